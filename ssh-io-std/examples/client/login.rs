//! Logging in: which keys and passwords there are to try, and in which order.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssh_io_std::Credential;
use ssh_proto::crypto::{
    Certificate, CertifiedKey, CryptoProvider, PrivateKey, PublicKey, SigningKey,
};
use ssh_proto::keys::{KeyFileError, PrivateKeyFile, PublicKeyLine};
use ssh_proto::{AuthOutcome, AuthTurn, Password};

use crate::agent::Agent;
use crate::certified;
use crate::fingerprint::FingerprintHash;
use crate::handler::{Shared, State};
use crate::host::Trust;
use crate::log;
use crate::options::Options;

/// What is there to try.
pub(crate) struct Login {
    provider: CryptoProvider,
    shared: Shared,
    methods: Vec<String>,
    fingerprints: FingerprintHash,
    /// The shortest RSA keys that are offered, in bits.
    min_rsa_bits: usize,
    identities: Vec<Identity>,
    /// Certificates of `CertificateFile`, whose keys the agent may have.
    certificates: Vec<Certificate>,
    agent: Option<PathBuf>,
    /// The agent's other keys are left out.
    identities_only: bool,
    /// The key that was tried last.
    last: Option<usize>,
    /// Attempts left.
    prompts: u32,
    passwords: u32,
    has_prompted: bool,
    prompt: String,
    /// The host that a ticket is for, and whether to delegate it, until it was tried.
    #[cfg(feature = "gssapi")]
    ticket: Option<(String, bool)>,
}

/// A key, and where it is.
#[derive(Clone)]
struct Identity {
    /// The file, or the agent's comment.
    name: String,
    /// `None` if it is encrypted, too.
    public: Option<PublicKey>,
    /// The key is offered by this.
    certificate: Option<Certificate>,
    /// The private key; `None` if the agent has it, or nobody.
    file: Option<PrivateKeyFile>,
    in_agent: bool,
    tried: bool,
}

impl Login {
    pub(crate) fn new(
        options: &Options,
        provider: CryptoProvider,
        shared: Shared,
    ) -> Result<Self, String> {
        let (files, named) = options.identities();
        let certificates = certified::named(&options.certificates());
        let mut identities = Vec::new();
        for file in files {
            match Identity::read(&file) {
                Ok(identity) => identities.extend(identity.with(&certificates, &file)),
                Err(error) if named => log::info(format!(
                    "Warning: identity file {}: {error}",
                    file.display()
                )),
                Err(_) => {}
            }
        }
        let prompts = options.password_prompts()?;
        Ok(Self {
            provider,
            shared,
            methods: options.methods()?,
            fingerprints: options.fingerprint_hash()?,
            min_rsa_bits: options.required_rsa_size()?.unwrap_or(2048),
            identities,
            certificates,
            agent: options.agent(),
            identities_only: options.identities_only()?,
            last: None,
            prompts,
            passwords: prompts,
            has_prompted: false,
            prompt: format!("{}@{}'s password: ", options.user()?, options.host),
            #[cfg(feature = "gssapi")]
            ticket: options
                .delegation()?
                .map(|delegate| (options.hostname(), delegate)),
        })
    }

    /// The next attempt.
    pub(crate) fn choose(&mut self, turn: &AuthTurn) -> Option<Credential> {
        match turn.outcome() {
            AuthOutcome::Start => {
                self.ask_agent();
                return Some(Credential::None);
            }
            AuthOutcome::KeyUsable(_) => {
                let asked = self.last.and_then(|last| self.identities.get(last));
                if let Some(credential) = asked.and_then(|identity| self.unlock(identity)) {
                    return Some(credential);
                }
            }
            AuthOutcome::PasswordChangeRequired { prompt } => {
                log::error(format!(
                    "The password has expired, and changing it is not supported here: {prompt}"
                ));
                return None;
            }
            AuthOutcome::PartialSuccess => {
                log::debug("Authenticated with partial success.");
                // Another step may want another key.
                for (at, identity) in self.identities.iter_mut().enumerate() {
                    identity.tried = Some(at) == self.last;
                }
            }
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
                "keyboard-interactive" => self.next_prompts(),
                _ => self.next_password(),
            };
            if next.is_some() {
                log::debug(format!("Next authentication method: {method}"));
                return next;
            }
        }
        None
    }

    /// The agent's keys come first, those that are named in front.
    fn ask_agent(&mut self) {
        let mut state = self.shared.state();
        let (Some(path), Some(binding)) = (self.agent.take(), &state.binding) else {
            return;
        };
        if !self.methods.iter().any(|method| method == "publickey") {
            return;
        }
        let asked = Agent::connect(&path, binding).and_then(|mut agent| {
            let keys = agent.identities()?;
            Ok((agent, keys))
        });
        let keys = match asked {
            Ok((agent, keys)) => {
                state.agent = Some(agent);
                keys
            }
            Err(error) => {
                log::debug(format!("agent {}: {error}", path.display()));
                return;
            }
        };
        log::debug(format!("{} keys in the agent", keys.len()));
        for found in keys {
            let mut is_named = false;
            for identity in &mut self.identities {
                let is_this = identity.offered() == Some(&found.key)
                    || identity.public.as_ref() == Some(&found.key);
                identity.in_agent |= is_this;
                is_named |= is_this;
            }
            if is_named {
                continue;
            }
            let name = found.comment.to_string();
            let of_agent = Identity::in_agent(name, found.key);
            let certificates = self.certificates.iter();
            let certified = certificates.filter(|one| Some(one.public_key()) == of_agent.offered());
            let certified = certified.map(|one| of_agent.certified(one.clone()));
            self.identities.extend(certified);
            if !self.identities_only {
                self.identities.push(of_agent);
            }
        }
        // This keeps the order of each kind.
        self.identities.sort_by_key(|identity| !identity.in_agent);
    }

    fn next_key(&mut self) -> Option<Credential> {
        loop {
            let at = self.identities.iter().position(|key| !key.tried)?;
            self.last = Some(at);
            let identity = &mut self.identities[at];
            identity.tried = true;
            let place = if identity.in_agent { " agent" } else { "" };
            let Some(offered) = identity.offered().cloned() else {
                // What would be offered is behind the passphrase.
                log::debug(format!("Trying private key: {}", identity.name));
                let at = &self.identities[at];
                match self.unlock(at) {
                    Some(credential) => return Some(credential),
                    None => continue,
                }
            };
            let plain = identity.public.as_ref();
            if plain
                .and_then(PublicKey::rsa_bits)
                .is_some_and(|bits| bits < self.min_rsa_bits)
            {
                log::debug(format!("Skipping key {}: too short", identity.name));
                continue;
            }
            log::debug(format!(
                "Offering public key: {} {} {}{place}",
                identity.name,
                offered.key_type(),
                self.fingerprints.of(&offered, &self.provider),
            ));
            if identity.in_agent {
                return Some(Credential::RemoteKey(offered));
            }
            let Some(file) = &identity.file else { continue };
            if file.is_encrypted() {
                // No passphrase is asked for that the server has no use for.
                return Some(Credential::Query(offered));
            }
            match file.decrypt(None).map_err(|error| error.to_string()) {
                Ok((key, _)) => match identity.signing_key(&key, &self.provider) {
                    Some(credential) => return Some(credential),
                    None => continue,
                },
                Err(error) => log::info(format!("Load key \"{}\": {error}", identity.name)),
            }
        }
    }

    fn unlock(&self, identity: &Identity) -> Option<Credential> {
        let file = identity.file.as_ref()?;
        for _ in 0..3 {
            let prompt = format!("Enter passphrase for key '{}': ", identity.name);
            let passphrase = self.shared.state().asker.ask(&prompt, false).ok()?;
            let passphrase = Password::new(passphrase);
            match file.decrypt(Some(passphrase.as_bytes())) {
                Ok((key, _)) => return identity.signing_key(&key, &self.provider),
                Err(KeyFileError::WrongPassphrase) => {}
                Err(error) => {
                    log::info(format!("Load key \"{}\": {error}", identity.name));
                    return None;
                }
            }
        }
        None
    }

    fn next_prompts(&mut self) -> Option<Credential> {
        let state = self.shared.state();
        // A server that refused without a question has none.
        let is_known_vain = self.has_prompted && !state.prompted;
        if !may_ask(&state) || self.prompts == 0 || is_known_vain {
            return None;
        }
        self.prompts -= 1;
        self.has_prompted = true;
        Some(Credential::KeyboardInteractive)
    }

    #[cfg(feature = "gssapi")]
    fn next_ticket(&mut self) -> Option<Credential> {
        let (host, delegate) = self.ticket.take()?;
        let delegate = delegate && self.shared.state().trust == Trust::Full;
        match ssh_io_std::gssapi::Initiator::new(&host, delegate) {
            Ok(initiator) => Some(Credential::Gssapi(initiator)),
            Err(error) => {
                log::debug(format!("No ticket: {error}"));
                None
            }
        }
    }

    fn next_password(&mut self) -> Option<Credential> {
        let mut state = self.shared.state();
        if !may_ask(&state) || self.passwords == 0 {
            return None;
        }
        self.passwords -= 1;
        match state.asker.password(&self.prompt) {
            Ok(password) => Some(Credential::Password(Password::new(password))),
            Err(error) => {
                log::error(format!("read_passphrase: {error}"));
                None
            }
        }
    }
}

fn may_ask(state: &State) -> bool {
    state.trust == Trust::Full && state.asker.has_password()
}

impl Identity {
    fn in_agent(name: String, public: PublicKey) -> Self {
        Self {
            name,
            public: Some(public),
            certificate: None,
            file: None,
            in_agent: true,
            tried: false,
        }
    }

    fn certified(&self, certificate: Certificate) -> Self {
        Self {
            certificate: Some(certificate),
            ..self.clone()
        }
    }

    /// What the server is shown.
    fn offered(&self) -> Option<&PublicKey> {
        let certificate = self.certificate.as_ref();
        certificate
            .map(Certificate::as_public_key)
            .or(self.public.as_ref())
    }

    fn signing_key(&self, key: &PrivateKey, provider: &CryptoProvider) -> Option<Credential> {
        let key = provider.signing_key(key).and_then(|key| {
            let certificate = self.certificate.clone();
            Ok(match certificate {
                Some(certificate) => {
                    Arc::new(CertifiedKey::new(key, certificate)?) as Arc<dyn SigningKey>
                }
                None => key,
            })
        });
        key.inspect_err(|error| log::info(format!("Load key \"{}\": {error}", self.name)))
            .ok()
            .map(Credential::Key)
    }

    /// The key with each of its certificates, those in front; unless some are named, it is that
    /// beside its file.
    fn with(self, named: &[Certificate], file: &Path) -> Vec<Self> {
        if self.certificate.is_some() {
            return vec![self];
        }
        let of_key = |one: &&Certificate| Some(one.public_key()) == self.public.as_ref();
        let mut certificates: Vec<_> = named.iter().filter(of_key).cloned().collect();
        if named.is_empty() {
            let beside = certified::beside(file);
            certificates.extend(beside.filter(|one| of_key(&one)));
        }
        let certified = certificates.into_iter().map(|one| self.certified(one));
        let mut identities: Vec<_> = certified.collect();
        identities.push(self);
        identities
    }

    /// The public key in the files that `ssh-keygen` writes beside the private one.
    fn beside(file: &Path) -> Option<PublicKey> {
        let mut name = file.as_os_str().to_owned();
        name.push(".pub");
        let line = fs::read(name).ok();
        let line = line.and_then(|bytes| PublicKeyLine::parse(&bytes).ok());
        let certified = || certified::beside(file).map(|one| one.public_key().clone());
        line.map(|line| line.key).or_else(certified)
    }

    /// A private key, or the public half of one that the agent may have.
    fn read(file: &Path) -> Result<Self, String> {
        let mut certificate = None;
        let (public, private) = match fs::read(file) {
            Ok(bytes) => match (PrivateKeyFile::parse(&bytes), PublicKeyLine::parse(&bytes)) {
                (Ok(key), _) => {
                    let public = key.public_key().cloned();
                    (public.or_else(|| Self::beside(file)), Some(key))
                }
                (Err(_), Ok(line)) => {
                    certificate = line.key.certificate();
                    let plain = certificate.as_ref().map(Certificate::public_key);
                    (Some(plain.unwrap_or(&line.key).clone()), None)
                }
                (Err(error), Err(_)) => return Err(error.to_string()),
            },
            Err(error) => {
                let public = Self::beside(file).ok_or_else(|| error.to_string())?;
                (Some(public), None)
            }
        };
        Ok(Self {
            name: file.display().to_string(),
            public,
            certificate,
            file: private,
            in_agent: false,
            tried: false,
        })
    }
}
