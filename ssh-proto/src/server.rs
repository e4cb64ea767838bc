//! The server's face: its config, its events and its connection.

mod auth;
mod policy;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::auth::{MethodSet, Policy, Restrictions, Server, ServerAsk};
use crate::config::{Common, ConfigError, common_setters};
use crate::connection::{Connection, sealed::HasCore};
use crate::crypto::{
    CryptoProvider, DhGroup, PublicKey, SecureRandom, Signature, SignatureAlgorithm, SigningKey,
    has_accepted_size,
};
use crate::engine::event::{Disconnected, Event};
use crate::engine::host_keys::HostKeyNews;
use crate::engine::policy::{Incoming, LoginFailure};
use crate::engine::side::{AuthProgress, AuthResult, Pause, Side};
use crate::engine::token::{AuthRequest, Desk, HostKeyCheck, KeyQuery, Ticket, UnverifiedAttempt};
use crate::engine::{Core, Settings};
use crate::error::{ApiMisuse, Error};
use crate::limits::{Limits, MAX_AUTH_TEXT};
use crate::mux::PeerOpens;
use crate::role::Role;
use crate::time::Instant;
use crate::transport::kex::SessionId;
use crate::transport::{HostKey, TransportConfig};
use crate::wire::extension::ExtInfo;
use crate::wire::outbox::Outbox;
use crate::wire::{NameList, number};

/// What a server offers, holds and bounds; shared by any number of connections.
pub struct ServerConfig {
    settings: Arc<Settings>,
    auth: Arc<AuthPolicy>,
}

struct AuthPolicy {
    methods: MethodSet,
    banner: Option<String>,
    ask_before_verifying: bool,
}

impl ServerConfig {
    /// Begins with everything that the provider has, in its order of preference, and no host key.
    pub fn builder(provider: CryptoProvider) -> ServerConfigBuilder {
        ServerConfigBuilder {
            common: Common::new(provider, Limits::default(), PeerOpens::ALL),
            host_keys: Vec::new(),
            moduli: None,
            methods: MethodSet::default(),
            banner: None,
            ask_before_kex: false,
            ask_before_verifying: false,
            announce_host_keys: true,
        }
    }
}

impl core::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerConfig").finish_non_exhaustive()
    }
}

/// Builds a [`ServerConfig`].
#[derive(Debug, Clone)]
pub struct ServerConfigBuilder {
    common: Common,
    host_keys: Vec<HostKey>,
    moduli: Option<Vec<DhGroup>>,
    methods: MethodSet,
    banner: Option<String>,
    ask_before_kex: bool,
    ask_before_verifying: bool,
    announce_host_keys: bool,
}

impl ServerConfigBuilder {
    common_setters!();

    /// Adds a host key; of each type there is one, and a later one replaces an earlier.
    pub fn host_key(mut self, key: HostKey) -> Self {
        let key_type = key.public_key().key_type();
        self.host_keys
            .retain(|earlier| earlier.public_key().key_type() != key_type);
        self.host_keys.push(key);
        self
    }

    /// Adds a host key that is in memory.
    pub fn signing_host_key(self, key: Arc<dyn SigningKey>) -> Self {
        self.host_key(HostKey::Local(key))
    }

    /// The groups to choose from in `diffie-hellman-group-exchange-*` (RFC 4419), where a config
    /// names such a method: the smallest that a client asks for, and among equals a random one.
    /// Default: groups 14 to 18 of RFC 3526. See [`DhGroup::parse_moduli`] for a file of them.
    pub fn moduli(mut self, groups: impl IntoIterator<Item = DhGroup>) -> Self {
        self.moduli = Some(groups.into_iter().collect());
        self
    }

    /// The methods named when authentication fails. Default `publickey` and `password`. A single
    /// answer can name others.
    pub fn auth_methods(mut self, methods: MethodSet) -> Self {
        self.methods = methods;
        self
    }

    /// Whether clients are told after authentication which host keys there are, so that they can
    /// learn new ones before old ones go (OpenSSH PROTOCOL section 2.5). Default yes, as OpenSSH.
    /// Proofs are given in any case: clients ask for them, and keys that are held elsewhere raise
    /// `Sign`, one after the other.
    pub fn announce_host_keys(mut self, announce: bool) -> Self {
        self.announce_host_keys = announce;
        self
    }

    /// Text to show before authentication (RFC 4252 section 5.4).
    pub fn banner(mut self, text: impl Into<String>) -> Self {
        self.banner = Some(text.into());
        self
    }

    /// Whether [`ServerEvent::Incoming`] asks about each client before anything costly is computed
    /// for it. Default no.
    pub fn ask_before_kex(mut self, ask: bool) -> Self {
        self.ask_before_kex = ask;
        self
    }

    /// Whether [`ServerEvent::Unverified`] is raised before the signature of `publickey` or
    /// `hostbased` is verified. Default no.
    pub fn ask_before_verifying(mut self, ask: bool) -> Self {
        self.ask_before_verifying = ask;
        self
    }

    /// Checks and finishes the config.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn build(self) -> Result<Arc<ServerConfig>, ConfigError> {
        let common = self.common;
        common.check_limits()?;
        if self.host_keys.is_empty() {
            return Err(ConfigError::NoHostKey);
        }
        if self
            .banner
            .as_ref()
            .is_some_and(|text| text.len() > MAX_AUTH_TEXT)
        {
            return Err(ConfigError::InvalidBanner);
        }
        let provider = &common.provider;
        for key in &self.host_keys {
            let key_type = key.public_key().key_type();
            let fits = |name: &&'static str| {
                provider
                    .signature(name)
                    .is_some_and(|a| a.key_type() == key_type)
            };
            if !key.algorithms().iter().any(fits) {
                return Err(ConfigError::UnsupportedHostKey(key.public_key().clone()));
            }
            if !has_accepted_size(key.public_key(), common.min_rsa_bits) {
                return Err(ConfigError::HostKeySize(key.public_key().clone()));
            }
        }
        let mut offer = common.offer(Role::Server)?;
        offer.host_keys.retain(|a| {
            self.host_keys
                .iter()
                .any(|key| key.algorithms().contains(&a.name()))
        });
        if offer.host_keys.is_empty() {
            return Err(ConfigError::NoAlgorithms("host key algorithms"));
        }
        let signatures = common.user_signatures()?;
        let sig_algs = signature_names(&signatures);
        let transport = Arc::new(TransportConfig {
            identification: common.identification()?,
            offer,
            sha256: provider.sha256,
            require_strict_kex: common.require_strict_kex,
            refuse_prefix_truncation: common.refuse_prefix_truncation,
            min_rsa_bits: common.min_rsa_bits,
            ask_before_kex: self.ask_before_kex,
            keeps_forged: common.accept_forged,
            host_keys: self.host_keys,
            moduli: self.moduli.unwrap_or_else(default_moduli),
            extensions: alloc::vec![
                ("server-sig-algs", sig_algs.as_str().as_bytes().to_vec()),
                ("publickey-hostbound@openssh.com", b"0".to_vec()),
                ("ping@openssh.com", b"0".to_vec()),
                ("agent-forward", b"0".to_vec()),
            ],
        });
        let settings = Arc::new(Settings {
            transport,
            signatures,
            report_ignore: common.report_ignore,
            peer_opens: common.peer_opens,
            extended_data: common.extended_data,
            announce_host_keys: self.announce_host_keys,
            obscure: None,
            limits: common.limits,
        });
        let auth = Arc::new(AuthPolicy {
            methods: self.methods,
            banner: self.banner,
            ask_before_verifying: self.ask_before_verifying,
        });
        Ok(Arc::new(ServerConfig { settings, auth }))
    }
}

fn default_moduli() -> Vec<DhGroup> {
    [2048, 3072, 4096, 6144, 8192]
        .into_iter()
        .filter_map(DhGroup::modp)
        .collect()
}

/// What a server connection tells its application.
#[non_exhaustive]
#[derive(Debug)]
pub enum ServerEvent {
    /// Whether a client is to be served at all. Raised only where the config asks for it.
    Incoming(Incoming),
    /// Whether a public key, which is not proven, would be acceptable.
    KeyQuery(KeyQuery),
    /// Whether a signature is to be verified at all. Raised only where the config asks for it.
    Unverified(UnverifiedAttempt),
    /// Whether a request authenticates its user.
    Auth(AuthRequest),
    /// What both roles share.
    Shared(Event),
}

impl From<Event> for ServerEvent {
    fn from(event: Event) -> Self {
        Self::Shared(event)
    }
}

/// The server's end of a connection. [`Connection`] drives it and carries its channels.
#[derive(Debug)]
pub struct ServerConnection {
    core: Core<ServerSide>,
}

impl Connection for ServerConnection {
    type Event = ServerEvent;
}

impl HasCore for ServerConnection {
    type Side = ServerSide;

    fn core(&self) -> &Core<ServerSide> {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core<ServerSide> {
        &mut self.core
    }
}

impl ServerConnection {
    /// A connection on a transport that a client has opened. It has its identification and
    /// `KEXINIT` to send at once.
    ///
    /// # Errors
    /// `Crypto` if randomness fails.
    pub fn new(
        config: &ServerConfig,
        random: Box<dyn SecureRandom>,
        now: Instant,
    ) -> Result<Self, Error> {
        let side = ServerSide {
            policy: Arc::clone(&config.auth),
            auth: None,
            banner_is_due: true,
            takes_ext_info_in_auth: false,
            failure: None,
        };
        let core = Core::new(Arc::clone(&config.settings), side, random, now)?;
        Ok(Self { core })
    }
}

/// The server's half of the engine.
pub struct ServerSide {
    policy: Arc<AuthPolicy>,
    /// From the first keys on.
    auth: Option<Server>,
    banner_is_due: bool,
    /// The client announced `ext-info-in-auth@openssh.com`.
    takes_ext_info_in_auth: bool,
    /// How the login failed.
    failure: Option<LoginFailure>,
}

impl ServerSide {
    fn auth(&mut self) -> Result<&mut Server, Error> {
        self.auth
            .as_mut()
            .ok_or(Error::Internal("authentication before the first keys"))
    }
}

impl Side for ServerSide {
    type Event = ServerEvent;

    const ROLE: Role = Role::Server;

    fn keys_established(
        &mut self,
        session_id: &SessionId,
        host_key: &PublicKey,
        settings: &Settings,
        _: &mut Outbox,
    ) {
        self.auth = Some(Server::new(
            Bytes::copy_from_slice(session_id.as_bytes()),
            host_key.clone(),
            &settings.limits,
            settings.signatures.clone(),
            Policy {
                methods: self.policy.methods,
                withhold_failures: settings.limits.auth_failure_delay.is_some(),
                ask_before_verifying: self.policy.ask_before_verifying,
                min_rsa_bits: settings.transport.min_rsa_bits,
            },
        ));
    }

    fn incoming(incoming: Incoming) -> Result<ServerEvent, Error> {
        Ok(ServerEvent::Incoming(incoming))
    }

    fn login_refused(&mut self) {
        self.failure = Some(LoginFailure::Refused);
    }

    fn login_ended(&mut self, cause: &Disconnected) {
        let trace = self.auth.as_ref().map(Server::trace).unwrap_or_default();
        self.failure
            .get_or_insert_with(|| LoginFailure::of(cause, trace));
    }

    fn host_key(_: HostKeyCheck) -> Result<ServerEvent, Error> {
        Err(Error::Internal("a server judges no host key"))
    }

    fn host_key_news(_: HostKeyNews) -> Option<ServerEvent> {
        None
    }

    fn peer_extensions(&mut self, info: &ExtInfo<'_>) {
        self.takes_ext_info_in_auth |= info.value(b"ext-info-in-auth@openssh.com") == Some(b"0");
    }

    fn handle_auth(
        &mut self,
        payload: &[u8],
        desk: &Arc<Desk>,
        outbox: &mut Outbox,
    ) -> AuthResult<ServerEvent> {
        if self.banner_is_due && payload.first() == Some(&number::USERAUTH_REQUEST) {
            // Behind the first request and ahead of its answer, as OpenSSH: a client that has
            // yet to choose what to try reads nothing.
            self.banner_is_due = false;
            let policy = Arc::clone(&self.policy);
            if let Some(text) = &policy.banner {
                self.auth()?.banner(text, outbox)?;
            }
        }
        let asked = self.auth()?.handle(payload, outbox)?;
        Ok(raise(asked, desk))
    }

    fn settle(
        &mut self,
        pause: Pause,
        _: &Arc<Desk>,
        outbox: &mut Outbox,
    ) -> AuthResult<ServerEvent> {
        match pause {
            Pause::KeyQuery => self.auth()?.answer_query(false, outbox)?,
            Pause::Unverified => self.auth()?.refuse(outbox)?,
            _ => self.auth()?.reject(None, outbox)?,
        }
        Ok(AuthProgress::Continues)
    }

    fn provide_signature(&mut self, _: &Signature, _: &mut Outbox) -> Result<(), ApiMisuse> {
        Err(ApiMisuse::WrongAnswer)
    }

    fn has_withheld_failure(&self) -> bool {
        self.auth.as_ref().is_some_and(Server::has_withheld_failure)
    }

    fn release_failure(&mut self, outbox: &mut Outbox) {
        if let Some(auth) = &mut self.auth {
            auth.release_failure(outbox);
        }
    }
}

/// What keys sign with under these algorithms, as `server-sig-algs` names it (RFC 8308 section
/// 3.1): those of certificates are left out, as in OpenSSH, in favour of those of the keys in them.
fn signature_names(algorithms: &[&'static dyn SignatureAlgorithm]) -> NameList<'static> {
    let mut names: Vec<&str> = Vec::new();
    for algorithm in algorithms {
        if !names.contains(&algorithm.signature_name()) {
            names.push(algorithm.signature_name());
        }
    }
    NameList::from_names(names)
}

/// The event for what is asked.
fn raise(asked: Option<ServerAsk>, desk: &Arc<Desk>) -> AuthProgress<ServerEvent> {
    let Some(asked) = asked else {
        return AuthProgress::Continues;
    };
    let (ticket, stub) = Ticket::new(desk);
    let (pause, event) = match asked {
        ServerAsk::KeyQuery {
            user,
            algorithm,
            key,
        } => {
            let query = KeyQuery {
                ticket,
                user,
                algorithm,
                certificate: key.certificate().map(Box::new),
                key,
            };
            (Pause::KeyQuery, ServerEvent::KeyQuery(query))
        }
        ServerAsk::Unverified {
            user,
            algorithm,
            key,
        } => {
            let attempt = UnverifiedAttempt {
                ticket,
                user,
                algorithm,
                certificate: key.certificate().map(Box::new),
                key,
            };
            (Pause::Unverified, ServerEvent::Unverified(attempt))
        }
        ServerAsk::Request {
            user,
            method,
            security_key,
        } => {
            let request = AuthRequest {
                ticket,
                user,
                certificate: method.key().and_then(PublicKey::certificate).map(Box::new),
                method,
                security_key,
                permits_absent_touch: false,
                restrictions: Restrictions::default(),
            };
            (Pause::AuthRequest, ServerEvent::Auth(request))
        }
    };
    AuthProgress::Ask(pause, stub, event)
}
