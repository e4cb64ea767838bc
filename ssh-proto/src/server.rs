//! The server's face: its config, its events and its connection.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::auth::{MethodSet, Server, ServerAsk};
use crate::config::{Common, ConfigError, common_setters};
use crate::connection::{Connection, sealed::HasCore};
use crate::crypto::{CryptoProvider, PublicKey, SecureRandom, Signature, SigningKey};
use crate::engine::event::Event;
use crate::engine::host_keys::HostKeyNews;
use crate::engine::side::{AuthProgress, AuthResult, Pause, Side};
use crate::engine::token::{AuthRequest, Desk, HostKeyCheck, KeyQuery, Ticket};
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
}

impl ServerConfig {
    /// Begins with everything that the provider has, in its order of preference, and no host key.
    pub fn builder(provider: CryptoProvider) -> ServerConfigBuilder {
        ServerConfigBuilder {
            common: Common::new(provider, Limits::default(), PeerOpens::ALL),
            host_keys: Vec::new(),
            methods: MethodSet::default(),
            banner: None,
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
    methods: MethodSet,
    banner: Option<String>,
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
        }
        let mut offer = common.offer()?;
        offer.host_keys.retain(|a| {
            self.host_keys
                .iter()
                .any(|key| key.algorithms().contains(&a.name()))
        });
        if offer.host_keys.is_empty() {
            return Err(ConfigError::NoAlgorithms("host key algorithms"));
        }
        let signatures = common.user_signatures()?;
        let sig_algs = NameList::from_names(signatures.iter().map(|a| a.name()));
        let transport = Arc::new(TransportConfig {
            identification: common.identification()?,
            offer,
            sha256: provider.sha256,
            require_strict_kex: common.require_strict_kex,
            keeps_forged: common.accept_forged,
            host_keys: self.host_keys,
            extensions: alloc::vec![
                ("server-sig-algs", sig_algs.as_str().as_bytes().to_vec()),
                ("ping@openssh.com", b"0".to_vec()),
            ],
        });
        let settings = Arc::new(Settings {
            transport,
            signatures,
            report_ignore: common.report_ignore,
            peer_opens: common.peer_opens,
            announce_host_keys: self.announce_host_keys,
            obscure: None,
            limits: common.limits,
        });
        let auth = Arc::new(AuthPolicy {
            methods: self.methods,
            banner: self.banner,
        });
        Ok(Arc::new(ServerConfig { settings, auth }))
    }
}

/// What a server connection tells its application.
#[non_exhaustive]
#[derive(Debug)]
pub enum ServerEvent {
    /// Whether a public key, which is not proven, would be acceptable.
    KeyQuery(KeyQuery),
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
        };
        let core = Core::new(Arc::clone(&config.settings), side, random, now)?;
        Ok(Self { core })
    }

    /// Says whether a signature by the key would be acceptable. Nothing is granted by it.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn answer_key_query(&mut self, query: KeyQuery, usable: bool) -> Result<(), ApiMisuse> {
        self.core
            .answer_auth(query.ticket, Pause::KeyQuery, |side, _, outbox| {
                side.auth()?.answer_query(usable, outbox)?;
                Ok(AuthProgress::Continues)
            })
    }

    /// Authenticates the user of the request. `Authenticated` follows.
    ///
    /// # Errors
    /// What is wrong with the token; `WrongAnswer` where the password was to be changed and is
    /// not, in which case the request is refused.
    pub fn accept_auth(&mut self, request: AuthRequest) -> Result<(), ApiMisuse> {
        self.grant(request, |auth, outbox| {
            auth.accept(outbox).map(AuthProgress::Authenticated)
        })
    }

    /// Accepts the request as one step of several; `remaining` says what may follow.
    ///
    /// # Errors
    /// As for [`Self::accept_auth`].
    pub fn accept_auth_partially(
        &mut self,
        request: AuthRequest,
        remaining: MethodSet,
    ) -> Result<(), ApiMisuse> {
        self.grant(request, |auth, outbox| {
            auth.accept_partial(remaining, outbox)?;
            Ok(AuthProgress::Continues)
        })
    }

    /// Refuses the request. `methods` that can continue, where they are not those of the config.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn reject_auth(
        &mut self,
        request: AuthRequest,
        methods: Option<MethodSet>,
    ) -> Result<(), ApiMisuse> {
        self.core
            .answer_auth(request.ticket, Pause::AuthRequest, |side, _, outbox| {
                side.auth()?.reject(methods, outbox)?;
                Ok(AuthProgress::Continues)
            })
    }

    /// Answers a password with the demand to change it (RFC 4252 section 8).
    ///
    /// # Errors
    /// What is wrong with the token; `WrongAnswer` if the request is not one with a password,
    /// which is then refused.
    pub fn request_password_change(
        &mut self,
        request: AuthRequest,
        prompt: &str,
    ) -> Result<(), ApiMisuse> {
        self.grant(request, |auth, outbox| {
            auth.request_password_change(prompt, outbox)?;
            Ok(AuthProgress::Continues)
        })
    }

    /// Gives an answer that may not fit the request, which is then refused.
    fn grant(
        &mut self,
        request: AuthRequest,
        answer: impl FnOnce(&mut Server, &mut Outbox) -> AuthResult<ServerEvent>,
    ) -> Result<(), ApiMisuse> {
        let mut answered = Ok(());
        self.core.answer_auth(
            request.ticket,
            Pause::AuthRequest,
            |side, _, outbox| match answer(side.auth()?, outbox) {
                Err(Error::ApiMisuse(misuse)) => {
                    answered = Err(misuse);
                    side.auth()?.reject(None, outbox)?;
                    Ok(AuthProgress::Continues)
                }
                other => other,
            },
        )?;
        answered
    }

    /// Sends text to show before authentication (RFC 4252 section 5.4), besides that of the
    /// config.
    ///
    /// # Errors
    /// `WrongAnswer` outside of authentication.
    pub fn send_banner(&mut self, text: &str) -> Result<(), ApiMisuse> {
        if !self.core.is_authenticating() {
            return Err(ApiMisuse::WrongAnswer);
        }
        let (side, outbox) = self.core.side_mut();
        side.auth
            .as_mut()
            .ok_or(ApiMisuse::WrongAnswer)?
            .banner(text, outbox)
    }
}

/// The server's half of the engine.
pub struct ServerSide {
    policy: Arc<AuthPolicy>,
    /// From the first keys on.
    auth: Option<Server>,
    banner_is_due: bool,
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
        _: &PublicKey,
        settings: &Settings,
        _: &mut Outbox,
    ) {
        self.auth = Some(Server::new(
            Bytes::copy_from_slice(session_id.as_bytes()),
            &settings.limits,
            settings.signatures.clone(),
            self.policy.methods,
            settings.limits.auth_failure_delay.is_some(),
        ));
    }

    fn host_key(_: HostKeyCheck) -> Result<ServerEvent, Error> {
        Err(Error::Internal("a server judges no host key"))
    }

    fn host_key_news(_: HostKeyNews) -> Option<ServerEvent> {
        None
    }

    fn peer_extensions(&mut self, _: &ExtInfo<'_>) {}

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
        Ok(match self.auth()?.handle(payload, outbox)? {
            None => AuthProgress::Continues,
            Some(ServerAsk::KeyQuery {
                user,
                algorithm,
                key,
            }) => {
                let (ticket, stub) = Ticket::new(desk);
                let query = KeyQuery {
                    ticket,
                    user,
                    algorithm,
                    key,
                };
                AuthProgress::Ask(Pause::KeyQuery, stub, ServerEvent::KeyQuery(query))
            }
            Some(ServerAsk::Request { user, method }) => {
                let (ticket, stub) = Ticket::new(desk);
                let request = AuthRequest {
                    ticket,
                    user,
                    method,
                };
                AuthProgress::Ask(Pause::AuthRequest, stub, ServerEvent::Auth(request))
            }
        })
    }

    fn settle(
        &mut self,
        pause: Pause,
        _: &Arc<Desk>,
        outbox: &mut Outbox,
    ) -> AuthResult<ServerEvent> {
        match pause {
            Pause::KeyQuery => self.auth()?.answer_query(false, outbox)?,
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
