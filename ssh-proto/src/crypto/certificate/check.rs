//! Whether a certificate holds here and now, and what it then allows (draft-ietf-sshm-cert sections 2 and 3).

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

use bytes::Bytes;

use super::{Certificate, CertificateKind, option, source};
use crate::crypto::{CryptoProvider, PublicKey};

/// The signature algorithms by which authorities may have signed, unless a check names others:
/// OpenSSH's `CASignatureAlgorithms`. SHA-1 is not among them.
const CA_ALGORITHMS: [&str; 9] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-mldsa44-ed25519",
];

/// What a certificate is held against by [`Certificate::verify`].
#[derive(Clone, Copy)]
pub struct CertificateCheck<'a> {
    subject: Subject<'a>,
    now: u64,
    authorities: &'a [PublicKey],
    source: Option<IpAddr>,
    ca_algorithms: &'a [&'a str],
    is_revoked: Option<&'a dyn Fn(&Certificate) -> bool>,
}

#[derive(Debug, Clone, Copy)]
enum Subject<'a> {
    /// One of these, exactly.
    User(&'a [&'a str]),
    /// By a pattern.
    Host(&'a str),
}

impl<'a> CertificateCheck<'a> {
    /// The certificate of a user, for a server: `principals` are those that may log in to the
    /// account, mostly the name of the user alone, of which the certificate is to name one.
    /// `now` is in seconds since 1970 (UTC), `authorities` are the keys of those that are trusted
    /// to sign for users; with none, nothing passes.
    pub fn user(principals: &'a [&'a str], now: u64, authorities: &'a [PublicKey]) -> Self {
        Self::new(Subject::User(principals), now, authorities)
    }

    /// The certificate of a host, for a client, or for a server in `hostbased`: `name` is that by
    /// which the host was asked for, without a port; the certificate may name it by a pattern with
    /// `*` and `?`. The rest is as for [`Self::user`], `authorities` being those that are trusted
    /// to sign for this host.
    pub fn host(name: &'a str, now: u64, authorities: &'a [PublicKey]) -> Self {
        Self::new(Subject::Host(name), now, authorities)
    }

    fn new(subject: Subject<'a>, now: u64, authorities: &'a [PublicKey]) -> Self {
        Self {
            subject,
            now,
            authorities,
            source: None,
            ca_algorithms: &CA_ALGORITHMS,
            is_revoked: None,
        }
    }

    /// The address that the user comes from. Without it, a certificate that is bound to addresses
    /// is refused.
    pub fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// The signature algorithms by which an authority may have signed, in place of OpenSSH's
    /// `CASignatureAlgorithms`: all plain ones that are not weak.
    pub fn ca_algorithms(mut self, names: &'a [&'a str]) -> Self {
        self.ca_algorithms = names;
        self
    }

    /// Who has been revoked. The function is to look at all that a list can name: the certified
    /// key, the serial number, the key id, and the key of the authority.
    pub fn revoked(mut self, is_revoked: &'a dyn Fn(&Certificate) -> bool) -> Self {
        self.is_revoked = Some(is_revoked);
        self
    }
}

impl fmt::Debug for CertificateCheck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateCheck")
            .field("subject", &self.subject)
            .field("now", &self.now)
            .field("authorities", &self.authorities)
            .field("source", &self.source)
            .field("ca_algorithms", &self.ca_algorithms)
            .finish_non_exhaustive()
    }
}

/// Why a certificate does not hold.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateError {
    /// It is for users where a host's is wanted, or the other way round.
    WrongKind,
    /// None of the trusted authorities has the key that it names.
    UnknownAuthority,
    /// It has been revoked, or its key or its authority has.
    Revoked,
    /// It is not valid yet.
    NotYetValid,
    /// It is no longer valid.
    Expired,
    /// It names nobody, and is good for nobody.
    NoPrincipals,
    /// It names others.
    WrongPrincipal,
    /// It has a critical option that is not known, or that has no meaning for its kind.
    UnknownCriticalOption(String),
    /// Its list of addresses is malformed.
    BadSourceAddress,
    /// It is not good from this address, or from one that is not known.
    WrongSourceAddress,
    /// The authority signed by an algorithm that is not admitted, not known, or not one of its key.
    AlgorithmNotAllowed,
    /// The signature of the authority is wrong.
    BadSignature,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongKind => "the certificate is of the wrong kind",
            Self::UnknownAuthority => "the certificate is by an authority that is not trusted",
            Self::Revoked => "the certificate is revoked",
            Self::NotYetValid => "the certificate is not yet valid",
            Self::Expired => "the certificate has expired",
            Self::NoPrincipals => "the certificate names nobody",
            Self::WrongPrincipal => "the certificate is for others",
            Self::UnknownCriticalOption(name) => {
                return write!(
                    f,
                    "the certificate has the critical option \"{}\", which is not known",
                    name.escape_default()
                );
            }
            Self::BadSourceAddress => "the certificate has a malformed list of addresses",
            Self::WrongSourceAddress => "the certificate is not good from this address",
            Self::AlgorithmNotAllowed => {
                "the certificate is signed by an algorithm that is not allowed"
            }
            Self::BadSignature => "the signature of the certificate is wrong",
        })
    }
}

impl core::error::Error for CertificateError {}

/// What a certificate that holds allows, and asks for.
///
/// A server's connection enforces what it can of it by itself, on every login by certificate: the
/// forced command, the rights, and that a security key verified its user. `no-touch-required`,
/// `permit-user-rc` and the extensions that are not known here ([`Certificate::extensions`]) are
/// left to the application. The certificate of a host allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateRights {
    force_command: Option<Bytes>,
    verify_required: bool,
    no_touch_required: bool,
    x11_forwarding: bool,
    agent_forwarding: bool,
    port_forwarding: bool,
    pty: bool,
    user_rc: bool,
}

impl CertificateRights {
    /// The command that is to run whatever the client asks for (`force-command`).
    pub fn force_command(&self) -> Option<&[u8]> {
        self.force_command.as_deref()
    }

    /// Whether a security key must have verified its user, by a PIN or a fingerprint
    /// (`verify-required`).
    pub fn verify_required(&self) -> bool {
        self.verify_required
    }

    /// Whether a security key need not have been touched (`no-touch-required`).
    pub fn no_touch_required(&self) -> bool {
        self.no_touch_required
    }

    /// Whether X11 may be forwarded (`permit-X11-forwarding`).
    pub fn x11_forwarding(&self) -> bool {
        self.x11_forwarding
    }

    /// Whether the agent may be forwarded (`permit-agent-forwarding`).
    pub fn agent_forwarding(&self) -> bool {
        self.agent_forwarding
    }

    /// Whether ports, sockets and tunnels may be forwarded (`permit-port-forwarding`).
    pub fn port_forwarding(&self) -> bool {
        self.port_forwarding
    }

    /// Whether there may be a terminal (`permit-pty`).
    pub fn pty(&self) -> bool {
        self.pty
    }

    /// Whether the user's `~/.ssh/rc` may run (`permit-user-rc`).
    pub fn user_rc(&self) -> bool {
        self.user_rc
    }
}

impl Certificate {
    /// Finds out whether the certificate holds: by a trusted authority, for this user or host,
    /// now, from here.
    ///
    /// For [`KeyQuery`](crate::KeyQuery), [`AuthRequest`](crate::AuthRequest) and
    /// [`HostKeyCheck`](crate::HostKeyCheck), and for certificates from files. That the peer has
    /// the key is not seen here; the connection sees to it.
    ///
    /// # Errors
    /// Why it does not hold. Tell the peer nothing of it.
    pub fn verify(
        &self,
        check: &CertificateCheck<'_>,
        provider: &CryptoProvider,
    ) -> Result<CertificateRights, CertificateError> {
        let kind = match check.subject {
            Subject::User(_) => CertificateKind::User,
            Subject::Host(_) => CertificateKind::Host,
        };
        if self.kind != kind {
            return Err(CertificateError::WrongKind);
        }
        if !check.authorities.contains(&self.signature_key) {
            return Err(CertificateError::UnknownAuthority);
        }
        if check.is_revoked.is_some_and(|is_revoked| is_revoked(self)) {
            return Err(CertificateError::Revoked);
        }
        if check.now < self.valid_after {
            return Err(CertificateError::NotYetValid);
        }
        if check.now >= self.valid_before {
            return Err(CertificateError::Expired);
        }
        self.check_principals(check.subject)?;
        let rights = self.stated_rights()?;
        if let Some(list) = self.source_address() {
            check_source(list, check.source)?;
        }
        self.check_signature(check.ca_algorithms, provider)?;
        Ok(rights)
    }

    fn check_principals(&self, subject: Subject<'_>) -> Result<(), CertificateError> {
        if self.principals.is_empty() {
            return Err(CertificateError::NoPrincipals);
        }
        let mut principals = self.principals.iter().map(String::as_str);
        let named = match subject {
            Subject::User(names) => principals.any(|principal| names.contains(&principal)),
            Subject::Host(name) => {
                let name = name.to_ascii_lowercase();
                principals.any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
            }
        };
        match named {
            true => Ok(()),
            false => Err(CertificateError::WrongPrincipal),
        }
    }

    /// What the certificate says of itself, whether it holds or not: to be held against whoever
    /// logs in by it in any case.
    pub(crate) fn stated_rights(&self) -> Result<CertificateRights, CertificateError> {
        match (self.kind, self.critical_options.first()) {
            (CertificateKind::User, _) => self.user_rights(),
            (CertificateKind::Host, None) => Ok(CertificateRights::default()),
            (CertificateKind::Host, Some(option)) => Err(unknown(option.name())),
        }
    }

    /// The list of addresses that a user has to come from.
    fn source_address(&self) -> Option<&[u8]> {
        let mut options = self.critical_options.iter();
        // Reading the certificate has seen to the form of known options.
        let option = options.find(|option| option.name() == option::SOURCE_ADDRESS)?;
        option.value().ok()
    }

    fn user_rights(&self) -> Result<CertificateRights, CertificateError> {
        let mut rights = CertificateRights::default();
        for option in &self.critical_options {
            match (option.name(), option.value()) {
                (option::FORCE_COMMAND, Ok(command)) => {
                    rights.force_command = Some(Bytes::copy_from_slice(command));
                }
                (option::SOURCE_ADDRESS, Ok(_)) => {}
                (option::VERIFY_REQUIRED, _) => rights.verify_required = true,
                (name, _) => return Err(unknown(name)),
            }
        }
        for extension in &self.extensions {
            match extension.name() {
                option::NO_TOUCH_REQUIRED => rights.no_touch_required = true,
                option::PERMIT_X11_FORWARDING => rights.x11_forwarding = true,
                option::PERMIT_AGENT_FORWARDING => rights.agent_forwarding = true,
                option::PERMIT_PORT_FORWARDING => rights.port_forwarding = true,
                option::PERMIT_PTY => rights.pty = true,
                option::PERMIT_USER_RC => rights.user_rc = true,
                _ => {}
            }
        }
        Ok(rights)
    }

    fn check_signature(
        &self,
        admitted: &[&str],
        provider: &CryptoProvider,
    ) -> Result<(), CertificateError> {
        let name = self.signature.algorithm();
        let algorithm = provider
            .signature(name)
            .filter(|a| admitted.contains(&name) && a.key_type() == self.signature_key.key_type())
            .ok_or(CertificateError::AlgorithmNotAllowed)?;
        algorithm
            .verify(&self.signature_key, self.signed(), &self.signature)
            .map_err(|_| CertificateError::BadSignature)
    }
}

fn unknown(name: &str) -> CertificateError {
    CertificateError::UnknownCriticalOption(name.to_owned())
}

fn check_source(list: &[u8], source: Option<IpAddr>) -> Result<(), CertificateError> {
    let source = source.ok_or(CertificateError::WrongSourceAddress)?;
    let admitted = core::str::from_utf8(list)
        .ok()
        .and_then(|list| source::admits(list, source));
    match admitted {
        Some(true) => Ok(()),
        Some(false) => Err(CertificateError::WrongSourceAddress),
        None => Err(CertificateError::BadSourceAddress),
    }
}

/// Whether a name fits a pattern with `*` and `?`. The last `*` alone is ever tried again, so the
/// time is bounded by the product of the lengths.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, name));
                pattern = rest;
            }
            (Some((wanted, rest)), Some((byte, behind))) if *wanted == b'?' || wanted == byte => {
                (pattern, name) = (rest, behind);
            }
            (None, None) => return true,
            _ => match retry {
                Some((rest, [_, behind @ ..])) => {
                    retry = Some((rest, behind));
                    (pattern, name) = (rest, behind);
                }
                _ => return false,
            },
        }
    }
}
