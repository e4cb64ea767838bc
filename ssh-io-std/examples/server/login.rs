//! Who may log in, and with what rights: passwords of the command line, keys of files, and the steps that one connection has passed.

#[cfg(feature = "gssapi")]
#[path = "gssapi.rs"]
mod gssapi;

use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use ssh_proto::crypto::{Certificate, CryptoProvider, PublicKey, rustcrypto};
use ssh_proto::{
    AuthMethod, AuthRequest, KeyQuery, MethodSet, Password, Permissions, Prompt, Prompts,
    Restrictions, ServerConnection,
};

use crate::authorized_keys::{self, Grant, Offer};
use crate::log::Log;
use crate::methods::{MethodLists, Passed, name_of};
use crate::{files, revoked};

/// Bytes of a file of keys: thousands of lines.
const MAX_KEY_FILE: u64 = 1 << 20;

/// Who may log in, and what all of them may do.
#[derive(Debug)]
pub(crate) struct Logins {
    /// User names with their passwords.
    pub(crate) passwords: Vec<(String, Password)>,
    /// Paths; `%u` stands for the user name.
    pub(crate) authorized_keys: Vec<String>,
    /// Who signs certificates for every user.
    pub(crate) authorities: Vec<PublicKey>,
    /// Files of keys and certificates that nobody can log in with.
    pub(crate) revoked_keys: Vec<PathBuf>,
    /// What certificates are verified by.
    pub(crate) provider: CryptoProvider,
    /// Whether Kerberos tickets are taken.
    pub(crate) gssapi: bool,
    /// What a login takes.
    pub(crate) methods: MethodLists,
    /// What a login may do at most.
    pub(crate) permissions: Permissions,
    /// Run in place of whatever is asked for, and whatever a key forces.
    pub(crate) force_command: Option<OsString>,
}

impl Default for Logins {
    /// Nobody, and nothing.
    fn default() -> Self {
        Self {
            passwords: Vec::new(),
            authorized_keys: Vec::new(),
            authorities: Vec::new(),
            revoked_keys: Vec::new(),
            provider: rustcrypto::provider(),
            gssapi: false,
            methods: MethodLists::default(),
            permissions: Permissions::NONE,
            force_command: None,
        }
    }
}

impl Logins {
    /// The methods that can begin a login.
    pub(crate) fn first_methods(&self) -> MethodSet {
        self.methods.next().unwrap_or_else(|| self.available())
    }

    /// The methods that somebody can log in with.
    pub(crate) fn available(&self) -> MethodSet {
        let mut methods = MethodSet::EMPTY;
        if !self.authorized_keys.is_empty() || !self.authorities.is_empty() {
            methods |= MethodSet::PUBLICKEY;
        }
        if !self.passwords.is_empty() {
            methods |= MethodSet::PASSWORD | MethodSet::KEYBOARD_INTERACTIVE;
        }
        if self.gssapi {
            methods |= MethodSet::GSSAPI_WITH_MIC;
        }
        methods
    }

    /// Whether the password is that of the user. Compares with every one, so that the time tells
    /// nothing of which users there are.
    fn password(&self, user: &str, password: &Password) -> Option<Grant> {
        let mut known = false;
        for (name, expected) in &self.passwords {
            known |= password.matches(expected.as_bytes()) & (name == user);
        }
        known.then(Grant::default)
    }

    /// What a key or certificate grants. All files are read anew each time.
    fn key(&self, offer: &Offer<'_>, log: &Log) -> Option<Grant> {
        if self.is_revoked(offer, log) {
            return None;
        }
        let listed = self.key_files(offer.user).find_map(|path| {
            match files::read(Path::new(&path), MAX_KEY_FILE) {
                Ok(file) => authorized_keys::search(&file, offer, |number, reason| {
                    log.line(format_args!("{path}:{number}: refused: {reason}"));
                }),
                Err(error) => {
                    log.line(format_args!("{path}: {error}"));
                    None
                }
            }
        });
        listed.or_else(|| {
            let certificate = offer.certificate?;
            Grant::of_certificate(certificate, offer, &self.authorities)
                .inspect_err(|reason| log.line(format_args!("certificate refused: {reason}")))
                .ok()
        })
    }

    fn is_revoked(&self, offer: &Offer<'_>, log: &Log) -> bool {
        self.revoked_keys.iter().any(|file| {
            let sha256 = self.provider.sha256;
            match revoked::names(file, offer.key, offer.certificate, sha256) {
                Ok(false) => false,
                Ok(true) => {
                    log.line(format_args!("refused: a revoked key for {:?}", offer.user));
                    true
                }
                Err(error) => {
                    log.line(format_args!("{}: {error}", file.display()));
                    true
                }
            }
        })
    }

    /// The files with keys of a user, whether they are there or not.
    fn key_files(&self, user: &str) -> impl Iterator<Item = String> {
        let paths = self.authorized_keys.iter();
        paths
            .filter(move |_| is_file_name(user))
            .map(move |path| path.replace("%u", user))
    }

    /// Whether the command line names the user.
    pub(crate) fn names(&self, user: &str) -> bool {
        self.passwords.iter().any(|(name, _)| name == user)
    }

    /// Whether a user of this name could log in at all.
    fn knows(&self, user: &str) -> bool {
        self.names(user)
            // The users of the KDC and of authorities are not known here.
            || self.gssapi
            || !self.authorities.is_empty()
            || self
                .key_files(user)
                .any(|path| fs::exists(path).unwrap_or(false))
    }
}

/// Whether a user name can stand for one part of a path, and nowhere else.
fn is_file_name(user: &str) -> bool {
    !matches!(user, "" | "." | "..") && !user.contains(['/', '\0'])
}

/// The login of one connection, step by step.
pub(crate) struct Login<'a> {
    logins: &'a Logins,
    log: &'a Log,
    /// The client's address, where it has one.
    peer: Option<IpAddr>,
    /// What is still to be passed.
    methods: MethodLists,
    #[cfg(feature = "gssapi")]
    tickets: gssapi::Tickets,
    /// What the steps so far bring together. Rights and commands the connection keeps.
    gathered: Grant,
}

impl<'a> Login<'a> {
    pub(crate) fn new(logins: &'a Logins, peer: Option<IpAddr>, log: &'a Log) -> Self {
        Self {
            logins,
            log,
            peer,
            methods: logins.methods.clone(),
            #[cfg(feature = "gssapi")]
            tickets: gssapi::Tickets::default(),
            gathered: Grant::default(),
        }
    }

    /// What all its steps have brought, once it is complete and this thread the account's.
    pub(crate) fn take_gathered(&mut self) -> Grant {
        #[cfg(feature = "gssapi")]
        self.gathered
            .environment
            .extend(self.tickets.keep(self.log));
        std::mem::take(&mut self.gathered)
    }

    /// Says whether a key could help. An answer fails only where the connection has ended
    /// meanwhile, which its last event tells.
    pub(crate) fn query(&self, query: KeyQuery, connection: &mut ServerConnection) {
        let usable = self.key(query.user(), query.key(), query.certificate());
        let _ = connection.answer_key_query(query, usable.is_some());
    }

    fn key(&self, user: &str, key: &PublicKey, certificate: Option<&Certificate>) -> Option<Grant> {
        let offer = Offer {
            user,
            key,
            certificate,
            peer: self.peer,
            provider: &self.logins.provider,
        };
        self.logins.key(&offer, self.log)
    }

    /// What a key grants that is proven.
    fn proven_key(&self, request: &AuthRequest, key: &PublicKey) -> Option<Grant> {
        let grant = self.key(request.user(), key, request.certificate())?;
        let is_verified = || {
            request
                .security_key()
                .is_some_and(|use_| use_.user_verified)
        };
        if grant.verify_required && !is_verified() {
            self.log.line(format_args!(
                "refused: a key that has not verified its user"
            ));
            return None;
        }
        Some(grant)
    }

    /// Answers an attempt.
    pub(crate) fn decide(&mut self, request: AuthRequest, connection: &mut ServerConnection) {
        let user = request.user();
        let (method, grant) = match request.method() {
            AuthMethod::Password(password) => {
                (MethodSet::PASSWORD, self.logins.password(user, password))
            }
            AuthMethod::PublicKey { key, .. } => {
                (MethodSet::PUBLICKEY, self.proven_key(&request, key))
            }
            AuthMethod::KeyboardInteractive { .. } => {
                let prompts = Prompts::new("", "", [Prompt::new("Password: ", false)]);
                let _ = connection.prompt_auth(request, &prompts);
                return;
            }
            AuthMethod::KeyboardInteractiveResponses(responses) => {
                let grant = match &responses[..] {
                    [password] => self.logins.password(user, password),
                    _ => None,
                };
                (MethodSet::KEYBOARD_INTERACTIVE, grant)
            }
            #[cfg(feature = "gssapi")]
            AuthMethod::Gssapi(_) => {
                let proven = self.tickets.step(request, connection, self.log);
                if let Some((request, is_user)) = proven {
                    let grant = is_user.then(Grant::default);
                    self.settle(request, MethodSet::GSSAPI_WITH_MIC, grant, connection);
                }
                return;
            }
            _ => {
                let _ = connection.reject_auth(request, None);
                return;
            }
        };
        self.settle(request, method, grant, connection);
    }

    /// Answers an attempt that is judged.
    fn settle(
        &mut self,
        request: AuthRequest,
        method: MethodSet,
        grant: Option<Grant>,
        connection: &mut ServerConnection,
    ) {
        let user = request.user();
        let verdict = match grant.zip(self.methods.pass(method)) {
            Some((grant, passed)) => self.accept(request, method, grant, passed, connection),
            None => {
                let verdict = format!("refused: {} for {user:?}", name_of(method));
                let _ = match self.logins.knows(user) {
                    true => connection.reject_auth(request, None),
                    false => connection.reject_unknown_user(request, None),
                };
                verdict
            }
        };
        self.log.line(format_args!("{verdict}"));
    }

    /// Accepts a step, or the last; what to log of it.
    fn accept(
        &mut self,
        mut request: AuthRequest,
        method: MethodSet,
        grant: Grant,
        passed: Passed,
        connection: &mut ServerConnection,
    ) -> String {
        let mut what = format!("{} for {:?}", name_of(method), request.user());
        if let Some(certificate) = request.certificate() {
            let authority = certificate.signature_key();
            what += &format!(
                ", certificate {:?} serial {} of {}",
                certificate.key_id(),
                certificate.serial(),
                authority.fingerprint(self.logins.provider.sha256)
            );
        }
        if grant.no_touch_required {
            request.permit_absent_touch();
        }
        request.restrict(&self.restrictions(&grant));
        let answered = match &passed {
            Passed::Login => connection.accept_auth(request),
            Passed::Step(rest) => {
                let next = rest.next().unwrap_or(MethodSet::EMPTY);
                connection.accept_auth_partially(request, next)
            }
        };
        // As where two keys force different commands.
        if let Err(error) = answered {
            return format!("refused: {what}: {error}");
        }
        self.gathered.environment.extend(grant.environment);
        self.gathered.open.0.extend(grant.open.0);
        self.gathered.listen.0.extend(grant.listen.0);
        match passed {
            Passed::Login => format!("accepted: {what}"),
            Passed::Step(rest) => {
                self.methods = rest;
                format!("accepted in part: {what}")
            }
        }
    }

    /// What a step allows at most.
    fn restrictions(&self, grant: &Grant) -> Restrictions {
        let permissions = grant.permissions.intersection(self.logins.permissions);
        let restrictions = Restrictions::new(permissions);
        match self
            .logins
            .force_command
            .as_ref()
            .or(grant.command.as_ref())
        {
            Some(command) => restrictions.with_force_command(command.clone().into_vec()),
            None => restrictions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins() -> Logins {
        Logins {
            passwords: vec![
                ("a".into(), Password::new("x")),
                ("b".into(), Password::new("y")),
            ],
            authorized_keys: vec!["/no/such/%u".into(), "/%u".into()],
            permissions: Permissions::PTY,
            ..Logins::default()
        }
    }

    #[test]
    fn a_user_name_cannot_leave_its_place_in_a_path() {
        for name in ["", ".", "..", "../root", "a/b", "/etc", "a\0"] {
            assert!(!is_file_name(name), "{name:?}");
            assert_eq!(logins().key_files(name).count(), 0);
        }
        let files: Vec<_> = logins().key_files("ferris").collect();
        assert_eq!(files, ["/no/such/ferris", "/ferris"]);
    }

    #[test]
    fn passwords_belong_to_their_users() {
        let logins = logins();
        let try_login = |user, password: &str| logins.password(user, &Password::new(password));
        assert!(try_login("a", "x").is_some() && try_login("b", "y").is_some());
        assert!(try_login("a", "y").is_none() && try_login("c", "x").is_none());
        assert!(try_login("a", "").is_none());
    }

    #[test]
    fn users_are_known_by_a_password_or_a_file_of_keys() {
        let logins = logins();
        assert!(logins.knows("a") && logins.knows("dev") && !logins.knows("c"));
        assert!(!logins.knows(".."));
    }

    #[test]
    fn the_command_line_bounds_what_a_key_brings() {
        let mut logins = logins();
        let log = Log::open(None).unwrap();
        let grant = Grant {
            permissions: Permissions::PTY | Permissions::AGENT,
            command: Some("id".into()),
            ..Grant::default()
        };
        let restrictions = |logins: &Logins| Login::new(logins, None, &log).restrictions(&grant);
        let expected = Restrictions::new(Permissions::PTY);
        assert_eq!(
            restrictions(&logins),
            expected.clone().with_force_command("id")
        );
        logins.force_command = Some("true".into());
        assert_eq!(restrictions(&logins), expected.with_force_command("true"));
    }
}
