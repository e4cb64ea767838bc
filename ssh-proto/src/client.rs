//! The client's face: its config, its events and its connection.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::auth::{Banner, Client, ClientAsk, Password, Turn};
use crate::config::{Common, ConfigError, common_setters};
use crate::connection::{Connection, sealed::HasCore};
use crate::crypto::{CryptoProvider, PublicKey, SecureRandom, Signature, SigningKey};
use crate::engine::event::Event;
use crate::engine::host_keys::{HostKeyNews, HostKeyProofError};
use crate::engine::side::{AuthProgress, AuthResult, Pause, Side};
use crate::engine::token::{AuthTurn, Desk, HostKeyCheck, SignRequest, Ticket};
use crate::engine::{Core, Settings};
use crate::error::{ApiMisuse, Error};
use crate::limits::{Limits, MIN_KEYSTROKE_INTERVAL};
use crate::mux::{ChannelError, PeerOpens};
use crate::role::Role;
use crate::time::Instant;
use crate::transport::TransportConfig;
use crate::transport::kex::SessionId;
use crate::wire::extension::ExtInfo;
use crate::wire::outbox::Outbox;

/// What a client offers and bounds; shared by any number of connections.
pub struct ClientConfig {
    settings: Arc<Settings>,
}

impl ClientConfig {
    /// Begins with everything that the provider has, in its order of preference.
    ///
    /// Two deadlines of [`Limits`] are off for clients, where people are asked: `login_grace` and
    /// `decision_timeout`. The handshake is bounded by `kex_timeout`.
    pub fn builder(provider: CryptoProvider) -> ClientConfigBuilder {
        let limits = Limits {
            login_grace: None,
            decision_timeout: None,
            ..Limits::default()
        };
        ClientConfigBuilder {
            common: Common::new(provider, limits, PeerOpens::NONE),
            obscure: None,
        }
    }
}

impl core::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ClientConfig").finish_non_exhaustive()
    }
}

/// Builds a [`ClientConfig`].
#[derive(Debug, Clone)]
pub struct ClientConfigBuilder {
    common: Common,
    obscure: Option<Duration>,
}

impl ClientConfigBuilder {
    common_setters!();

    /// Hides the times between keystrokes, which tell what is typed to whoever watches the
    /// network: while little is written and a terminal was asked for, packets leave about this
    /// interval apart, and pings of the same size go on for one to three seconds after. As
    /// OpenSSH's `ObscureKeystrokeTiming`, whose interval is 20 ms; only with servers that
    /// announce `ping@openssh.com`. More than one byte at a time, as arrow keys send, may show in
    /// the packet's size.
    ///
    /// Default `None`: it delays each keystroke and wakes the connection at each interval, which
    /// is of use where a person types and of none to programs. An interactive client turns it on.
    pub fn obscure_keystroke_timing(mut self, interval: Option<Duration>) -> Self {
        self.obscure = interval;
        self
    }

    /// Checks and finishes the config.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn build(self) -> Result<Arc<ClientConfig>, ConfigError> {
        let common = self.common;
        common.check_limits()?;
        if self.obscure.is_some_and(|i| i < MIN_KEYSTROKE_INTERVAL) {
            return Err(ConfigError::InvalidLimit("obscure_keystroke_timing"));
        }
        let transport = Arc::new(TransportConfig {
            identification: common.identification()?,
            offer: common.offer()?,
            sha256: common.provider.sha256,
            require_strict_kex: common.require_strict_kex,
            keeps_forged: common.accept_forged,
            host_keys: Vec::new(),
            extensions: alloc::vec![("ext-info-in-auth@openssh.com", b"0".to_vec())],
        });
        let settings = Arc::new(Settings {
            transport,
            signatures: common.user_signatures()?,
            report_ignore: common.report_ignore,
            peer_opens: common.peer_opens,
            announce_host_keys: false,
            obscure: self.obscure,
            limits: common.limits,
        });
        Ok(Arc::new(ClientConfig { settings }))
    }
}

/// What a client connection tells its application.
#[non_exhaustive]
#[derive(Debug)]
pub enum ClientEvent {
    /// Whether the host key is that of the intended server.
    HostKey(HostKeyCheck),
    /// The next attempt to authenticate is to be chosen.
    Auth(AuthTurn),
    /// Text to show before authentication (RFC 4252 section 5.4).
    Banner(Banner),
    /// The host keys that the server says it has (OpenSSH PROTOCOL section 2.5), of types that the
    /// config offers, 64 at most. Nothing is proven: `prove_host_keys` asks for that.
    HostKeys(Vec<PublicKey>),
    /// The server has proved that it holds these keys: all that one call of `prove_host_keys`
    /// named.
    HostKeysProved(Vec<PublicKey>),
    /// The server has proved none of the keys that one call of `prove_host_keys` named.
    HostKeysNotProved(HostKeyProofError),
    /// What both roles share.
    Shared(Event),
}

impl From<Event> for ClientEvent {
    fn from(event: Event) -> Self {
        Self::Shared(event)
    }
}

/// The client's end of a connection. [`Connection`] drives it and carries its channels.
#[derive(Debug)]
pub struct ClientConnection {
    core: Core<ClientSide>,
}

impl Connection for ClientConnection {
    type Event = ClientEvent;
}

impl HasCore for ClientConnection {
    type Side = ClientSide;

    fn core(&self) -> &Core<ClientSide> {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core<ClientSide> {
        &mut self.core
    }
}

impl ClientConnection {
    /// A connection that will authenticate `user`. It has its identification and `KEXINIT` to
    /// send at once.
    ///
    /// # Errors
    /// `ApiMisuse::InvalidText` for a user name that is too long or has a NUL; `Crypto` if
    /// randomness fails.
    pub fn new(
        config: &ClientConfig,
        user: &str,
        random: Box<dyn SecureRandom>,
        now: Instant,
    ) -> Result<Self, Error> {
        if user.len() > config.settings.limits.user_name || user.contains('\0') {
            return Err(ApiMisuse::InvalidText.into());
        }
        let side = ClientSide {
            user: user.into(),
            auth: None,
        };
        let core = Core::new(Arc::clone(&config.settings), side, random, now)?;
        Ok(Self { core })
    }

    /// Accepts the host key: it is that of the intended server.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn accept_host_key(&mut self, check: HostKeyCheck) -> Result<(), ApiMisuse> {
        self.core.host_key_verdict(check.ticket, true)
    }

    /// Rejects the host key and ends the connection.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn reject_host_key(&mut self, check: HostKeyCheck) -> Result<(), ApiMisuse> {
        self.core.host_key_verdict(check.ticket, false)
    }

    /// Tries `none` (RFC 4252 section 5.2): it mostly fails, and tells which methods can
    /// continue.
    ///
    /// # Errors
    /// What is wrong with the token, as for all methods that answer an [`AuthTurn`].
    pub fn auth_none(&mut self, turn: AuthTurn) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| auth.none(outbox))
    }

    /// Tries a password (RFC 4252 section 8).
    ///
    /// # Errors
    /// `InvalidText` above 1024 bytes; the turn is then raised anew.
    pub fn auth_password(&mut self, turn: AuthTurn, password: &Password) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| auth.password(password, outbox))
    }

    /// Replaces a password that has expired (RFC 4252 section 8).
    ///
    /// # Errors
    /// As for [`Self::auth_password`].
    pub fn auth_password_change(
        &mut self,
        turn: AuthTurn,
        old: &Password,
        new: &Password,
    ) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| auth.change_password(old, new, outbox))
    }

    /// Tries a key in memory (RFC 4252 section 7), signing at once.
    ///
    /// # Errors
    /// `UnsupportedKey`, `InvalidSignature` if the key cannot sign; the turn is then raised anew.
    pub fn auth_publickey(
        &mut self,
        turn: AuthTurn,
        key: &dyn SigningKey,
    ) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| {
            auth.publickey(key, outbox).map_err(|error| match error {
                Error::ApiMisuse(misuse) => misuse,
                _ => ApiMisuse::InvalidSignature,
            })
        })
    }

    /// Tries a key that is held elsewhere: asks whether the server would take it and, if so,
    /// raises [`Event::Sign`].
    ///
    /// # Errors
    /// `UnsupportedKey`; the turn is then raised anew.
    pub fn auth_publickey_remote(
        &mut self,
        turn: AuthTurn,
        key: &PublicKey,
    ) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| auth.publickey_remote(key, outbox))
    }

    /// Asks whether the server would take a signature by this key. The next turn says
    /// [`AuthOutcome::KeyUsable`](crate::AuthOutcome::KeyUsable) or `Failed`.
    ///
    /// # Errors
    /// `UnsupportedKey`; the turn is then raised anew.
    pub fn query_publickey(&mut self, turn: AuthTurn, key: &PublicKey) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| {
            let algorithm = auth.algorithm_for(key)?;
            auth.query_publickey(key, algorithm, outbox)
        })
    }

    /// Sends `ping@openssh.com` (OpenSSH PROTOCOL section 1.8); `Pong` with the same data follows,
    /// unless keys are being exchanged, when servers leave it unanswered.
    ///
    /// # Errors
    /// `WrongRole` if the server has not announced that it answers; otherwise what keeps it from
    /// being sent.
    pub fn ping(&mut self, data: &[u8]) -> Result<(), ChannelError> {
        self.core.ping(data)
    }

    /// Asks the server to prove that it holds these host keys (OpenSSH PROTOCOL section 2.5), as
    /// before it is remembered by keys that [`ClientEvent::HostKeys`] announced. `HostKeysProved`
    /// or `HostKeysNotProved` follows.
    ///
    /// # Errors
    /// `Invalid` for no key, more than 64, or a type that the config does not offer; otherwise what
    /// keeps it from being sent, as for `global_request`.
    pub fn prove_host_keys(&mut self, keys: &[PublicKey]) -> Result<(), ChannelError> {
        self.core.prove_host_keys(keys)
    }

    fn take_turn(
        &mut self,
        turn: AuthTurn,
        answer: impl FnOnce(&mut Client, &mut Outbox) -> Result<(), ApiMisuse>,
    ) -> Result<(), ApiMisuse> {
        let AuthTurn {
            ticket,
            outcome,
            methods,
        } = turn;
        let mut answered = Ok(());
        self.core
            .answer_auth(ticket, Pause::AuthTurn, |side, desk, outbox| {
                let auth = side.auth()?;
                answered = answer(auth, outbox);
                match answered {
                    Ok(()) => Ok(AuthProgress::Continues),
                    Err(_) => Ok(ClientSide::turn(Turn { outcome, methods }, desk)),
                }
            })?;
        answered
    }
}

/// The client's half of the engine.
pub struct ClientSide {
    user: String,
    /// From the first keys on.
    auth: Option<Client>,
}

impl ClientSide {
    fn auth(&mut self) -> Result<&mut Client, Error> {
        self.auth
            .as_mut()
            .ok_or(Error::Internal("authentication before the first keys"))
    }

    fn turn(turn: Turn, desk: &Arc<Desk>) -> AuthProgress<ClientEvent> {
        let (ticket, stub) = Ticket::new(desk);
        let Turn { outcome, methods } = turn;
        AuthProgress::Ask(
            Pause::AuthTurn,
            stub,
            ClientEvent::Auth(AuthTurn {
                ticket,
                outcome,
                methods,
            }),
        )
    }

    fn progress(ask: ClientAsk, desk: &Arc<Desk>) -> AuthProgress<ClientEvent> {
        match ask {
            ClientAsk::Turn(turn) => Self::turn(turn, desk),
            ClientAsk::Sign {
                key,
                algorithm,
                message,
            } => {
                let (ticket, stub) = Ticket::new(desk);
                let message = message.into();
                let event = Event::Sign(SignRequest {
                    ticket,
                    key,
                    algorithm,
                    message,
                });
                AuthProgress::Ask(Pause::UserSign, stub, event.into())
            }
            ClientAsk::Banner(banner) => AuthProgress::Tell(ClientEvent::Banner(banner)),
            ClientAsk::Authenticated(proof) => AuthProgress::Authenticated(proof),
        }
    }
}

impl Side for ClientSide {
    type Event = ClientEvent;

    const ROLE: Role = Role::Client;

    fn keys_established(
        &mut self,
        session_id: &SessionId,
        _: &PublicKey,
        settings: &Settings,
        outbox: &mut Outbox,
    ) {
        let session_id = Bytes::copy_from_slice(session_id.as_bytes());
        let signatures = settings.signatures.clone();
        let auth = Client::new(session_id, &self.user, &settings.limits, signatures);
        self.auth.insert(auth).start(outbox);
    }

    fn host_key(check: HostKeyCheck) -> Result<ClientEvent, Error> {
        Ok(ClientEvent::HostKey(check))
    }

    fn host_key_news(news: HostKeyNews) -> Option<ClientEvent> {
        Some(match news {
            HostKeyNews::Announced(keys) => ClientEvent::HostKeys(keys),
            HostKeyNews::Proved(Ok(keys)) => ClientEvent::HostKeysProved(keys),
            HostKeyNews::Proved(Err(error)) => ClientEvent::HostKeysNotProved(error),
        })
    }

    fn peer_extensions(&mut self, info: &ExtInfo<'_>) {
        if let (Some(auth), Some(names)) = (&mut self.auth, info.value(b"server-sig-algs")) {
            auth.set_server_sig_algs(names);
        }
    }

    fn handle_auth(
        &mut self,
        payload: &[u8],
        desk: &Arc<Desk>,
        _: &mut Outbox,
    ) -> AuthResult<ClientEvent> {
        let ask = self.auth()?.handle(payload)?;
        Ok(ask.map_or(AuthProgress::Continues, |ask| Self::progress(ask, desk)))
    }

    fn settle(&mut self, _: Pause, desk: &Arc<Desk>, _: &mut Outbox) -> AuthResult<ClientEvent> {
        Ok(Self::progress(self.auth()?.decline_signature()?, desk))
    }

    fn provide_signature(
        &mut self,
        signature: &Signature,
        outbox: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        let auth = self.auth.as_mut().ok_or(ApiMisuse::StaleToken)?;
        auth.provide_signature(signature, outbox)
    }

    fn has_withheld_failure(&self) -> bool {
        false
    }

    fn release_failure(&mut self, _: &mut Outbox) {}
}
