//! Logging in: is it the right host, and which keys and passwords are there to try.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ssh_io_std::{ClientHandler, Credential};
use ssh_proto::crypto::{CryptoProvider, PublicKey};
use ssh_proto::keys::{KeyFileError, PrivateKeyFile};
use ssh_proto::{AuthOutcome, AuthTurn, Banner, Event, HostKeyCheck, Negotiated, Password};

use crate::known_hosts::{self, KnownHosts, Verdict};
use crate::log;
use crate::options::Options;
use crate::terminal;

/// Judges the host key by the files of known hosts, and shows what is going on.
pub(crate) struct Judge {
    pub(crate) provider: CryptoProvider,
    pub(crate) known: KnownHosts,
    pub(crate) host: String,
    pub(crate) new_hosts: Option<PathBuf>,
    pub(crate) strictness: String,
    pub(crate) batch_mode: bool,
    /// Cleared where the host's identity is doubtful.
    pub(crate) trusted: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Judge {
    fn ask(&self, key: &PublicKey) -> bool {
        let fingerprint = key.fingerprint(self.provider.sha256).to_string();
        let question = format!(
            "The authenticity of host '{}' can't be established.\n\
             {} key fingerprint is {fingerprint}.\n\
             Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
            self.host.escape_debug(),
            key.key_type(),
        );
        let mut prompt = question;
        while let Ok(answer) = terminal::ask(&prompt, true) {
            match answer.trim() {
                "no" => return false,
                answer if answer == "yes" || answer == fingerprint => return true,
                _ => prompt = "Please type 'yes', 'no' or the fingerprint: ".to_owned(),
            }
        }
        false
    }

    fn remember(&self, key: &PublicKey) {
        let Some(file) = &self.new_hosts else { return };
        match known_hosts::add(file, &self.host, key) {
            Ok(()) => log::info(format!(
                "Warning: Permanently added '{}' ({}) to the list of known hosts.",
                self.host.escape_debug(),
                key.key_type()
            )),
            Err(error) => log::error(format!(
                "Failed to add the host to {}: {error}",
                file.display()
            )),
        }
    }
}

impl ClientHandler for Judge {
    fn host_key(&mut self, check: &HostKeyCheck) -> bool {
        let key = check.key();
        let fingerprint = key.fingerprint(self.provider.sha256);
        log::debug(format!("Server host key: {} {fingerprint}", key.key_type()));
        match self.known.verdict(key) {
            Verdict::Known => {
                log::debug(format!("Host '{}' is known.", self.host));
                true
            }
            Verdict::Revoked => {
                log::error("The host key is marked as revoked.");
                false
            }
            Verdict::New => {
                let accepted = match &*self.strictness {
                    "yes" => {
                        log::error(format!(
                            "No {} host key is known for {}.",
                            key.key_type(),
                            self.host
                        ));
                        false
                    }
                    "ask" => !self.batch_mode && self.ask(key),
                    _ => true,
                };
                if accepted {
                    self.remember(key);
                } else {
                    log::error("Host key verification failed.");
                }
                accepted
            }
            Verdict::Changed(file, line) => {
                log::error(format!(
                    "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\r\n\
                     Somebody may be listening in, or the host was set up anew.\r\n\
                     The {} key sent by the host is {fingerprint}.\r\n\
                     The offending key is in {}:{line}",
                    key.key_type(),
                    file.display()
                ));
                if self.strictness == "no" {
                    log::error(
                        "Password authentication is disabled to avoid man-in-the-middle attacks.",
                    );
                    self.trusted
                        .store(false, std::sync::atomic::Ordering::Relaxed);
                    return true;
                }
                log::error("Host key verification failed.");
                false
            }
        }
    }

    fn banner(&mut self, banner: &Banner) {
        log::info(
            banner
                .display()
                .to_string()
                .trim_end()
                .replace('\n', "\r\n"),
        );
    }

    #[cfg(feature = "gssapi")]
    fn gssapi_error(&mut self, error: &ssh_io_std::gssapi::Error) {
        log::debug(format!("gssapi-with-mic: {error}"));
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Identified(identification) => {
                log::debug(format!("Remote protocol: {identification}"))
            }
            Event::KeysChanged(negotiated) => show_negotiated(negotiated),
            Event::ExtInfo(info) => {
                for (name, value) in &info.extensions {
                    log::debug(format!(
                        "Server extension: {}={}",
                        name.escape_ascii(),
                        value.escape_ascii()
                    ));
                }
            }
            Event::Authenticated(proof) => {
                log::debug(format!(
                    "Authenticated as {} using \"{}\".",
                    proof.user(),
                    proof.method()
                ));
            }
            _ => {}
        }
    }
}

pub(crate) fn show_negotiated(negotiated: &Negotiated) {
    if negotiated.is_rekey {
        log::debug("keys were exchanged anew");
    }
    log::debug(format!("kex: algorithm: {}", negotiated.kex));
    log::debug(format!(
        "kex: host key algorithm: {}",
        negotiated.host_key_algorithm
    ));
    for (direction, suite) in [
        ("server->client", negotiated.server_to_client),
        ("client->server", negotiated.client_to_server),
    ] {
        log::debug(format!(
            "kex: {direction} cipher: {} MAC: {} compression: {}",
            suite.cipher,
            suite.mac.unwrap_or("<implicit>"),
            suite.compression
        ));
    }
    let yes_no = |is| if is { "yes" } else { "no" };
    log::debug(format!(
        "kex: strict: {} post-quantum: {}",
        yes_no(negotiated.strict_kex),
        yes_no(negotiated.post_quantum)
    ));
}

/// What is there to try, in which order.
pub(crate) struct Login {
    provider: CryptoProvider,
    methods: Vec<String>,
    keys: VecDeque<(PathBuf, PrivateKeyFile)>,
    /// The encrypted key that the server is asked about.
    asked: Option<(PathBuf, PrivateKeyFile)>,
    prompts: u32,
    prompt: String,
    password_fd: Option<i32>,
    batch_mode: bool,
    trusted: std::sync::Arc<std::sync::atomic::AtomicBool>,
    /// The host that a ticket is for, and whether to delegate it, until it was tried.
    #[cfg(feature = "gssapi")]
    ticket: Option<(String, bool)>,
}

impl Login {
    pub(crate) fn new(options: &Options, judge: &Judge) -> Result<Self, String> {
        let (files, named) = options.identities();
        let mut keys = VecDeque::new();
        for file in files {
            match read_key(&file) {
                Ok(key) => keys.push_back((file, key)),
                Err(error) if named => log::info(format!(
                    "Warning: identity file {}: {error}",
                    file.display()
                )),
                Err(_) => {}
            }
        }
        Ok(Self {
            provider: judge.provider.clone(),
            methods: options.methods()?,
            keys,
            asked: None,
            prompts: options.password_prompts()?,
            prompt: format!("{}@{}'s password: ", options.user()?, options.host),
            password_fd: options.password_fd,
            batch_mode: judge.batch_mode,
            trusted: judge.trusted.clone(),
            #[cfg(feature = "gssapi")]
            ticket: options
                .delegation()?
                .map(|delegate| (options.hostname(), delegate)),
        })
    }

    /// The next attempt.
    pub(crate) fn choose(&mut self, turn: &AuthTurn) -> Option<Credential> {
        match turn.outcome() {
            AuthOutcome::Start => return Some(Credential::None),
            AuthOutcome::KeyUsable(_) => {
                if let Some(credential) = self
                    .asked
                    .take()
                    .and_then(|(file, key)| self.unlock(&file, &key))
                {
                    return Some(credential);
                }
            }
            AuthOutcome::PasswordChangeRequired { prompt } => {
                log::error(format!(
                    "The password has expired, and changing it is not supported here: {prompt}"
                ));
                return None;
            }
            AuthOutcome::PartialSuccess => log::debug("Authenticated with partial success."),
            _ => {}
        }
        log::debug(format!(
            "Authentications that can continue: {}",
            turn.methods().unwrap_or_default().join(",")
        ));
        for method in self.methods.clone() {
            if !turn.can_continue(&method) {
                continue;
            }
            let next = match &*method {
                "publickey" => self.next_key(),
                #[cfg(feature = "gssapi")]
                "gssapi-with-mic" => self.next_ticket(),
                _ => self.next_password(),
            };
            if next.is_some() {
                log::debug(format!("Next authentication method: {method}"));
                return next;
            }
        }
        None
    }

    #[cfg(feature = "gssapi")]
    fn next_ticket(&mut self) -> Option<Credential> {
        let (host, delegate) = self.ticket.take()?;
        match ssh_io_std::gssapi::Initiator::new(&host, delegate) {
            Ok(initiator) => Some(Credential::Gssapi(initiator)),
            Err(error) => {
                log::debug(format!("No ticket: {error}"));
                None
            }
        }
    }

    fn next_key(&mut self) -> Option<Credential> {
        while let Some((file, key)) = self.keys.pop_front() {
            let fingerprint = key.public_key().fingerprint(self.provider.sha256);
            log::debug(format!(
                "Offering public key: {} {} {fingerprint}",
                file.display(),
                key.public_key().key_type()
            ));
            if key.is_encrypted() {
                // No passphrase is asked for that the server has no use for.
                let public = key.public_key().clone();
                self.asked = Some((file, key));
                return Some(Credential::Query(public));
            }
            let signing = key
                .decrypt(None)
                .ok()
                .and_then(|(key, _)| self.provider.signing_key(&key).ok());
            match signing {
                Some(key) => return Some(Credential::Key(key)),
                None => log::info(format!("Load key \"{}\": not usable", file.display())),
            }
        }
        None
    }

    fn unlock(&self, file: &Path, key: &PrivateKeyFile) -> Option<Credential> {
        if self.batch_mode {
            return None;
        }
        for _ in 0..3 {
            let prompt = format!("Enter passphrase for key '{}': ", file.display());
            let passphrase = Password::new(terminal::ask(&prompt, false).ok()?);
            match key.decrypt(Some(passphrase.as_bytes())) {
                Ok((key, _)) => return self.provider.signing_key(&key).ok().map(Credential::Key),
                Err(KeyFileError::WrongPassphrase) => {}
                Err(error) => {
                    log::info(format!("Load key \"{}\": {error}", file.display()));
                    return None;
                }
            }
        }
        None
    }

    fn next_password(&mut self) -> Option<Credential> {
        if !self.trusted.load(std::sync::atomic::Ordering::Relaxed) {
            return None;
        }
        let password = match self.password_fd.take() {
            // One line, good for one attempt.
            Some(fd) => {
                self.prompts = 0;
                let mut source = File::open(format!("/dev/fd/{fd}"));
                source
                    .as_mut()
                    .map_err(|error| error.kind())
                    .map(terminal::line)
            }
            None if self.prompts == 0 || self.batch_mode => return None,
            None => {
                self.prompts -= 1;
                Ok(terminal::ask(&self.prompt, false))
            }
        };
        match password {
            Ok(Ok(password)) => Some(Credential::Password(Password::new(password))),
            Ok(Err(error)) => {
                log::error(format!("read_passphrase: {error}"));
                None
            }
            Err(kind) => {
                log::error(format!("the password's file descriptor: {kind}"));
                None
            }
        }
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyFile, String> {
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    PrivateKeyFile::parse(&bytes).map_err(|error| error.to_string())
}
