//! The client's face: its config, its events and its connection.

mod side;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use self::side::ClientSide;
use crate::auth::{Banner, Client, ClientAsk, GssapiError, Password, Turn};
use crate::config::{Common, ConfigError, common_setters};
use crate::connection::{Connection, sealed::HasCore};
use crate::crypto::{CryptoProvider, PublicKey, SecureRandom, SigningKey};
use crate::engine::event::Event;
use crate::engine::host_keys::HostKeyProofError;
use crate::engine::side::Pause;
use crate::engine::token::{AuthTurn, GssapiTurn, HostKeyCheck, PromptsRequest, Ticket};
use crate::engine::{Core, Settings};
use crate::error::{ApiMisuse, Error};
use crate::limits::{Limits, MIN_KEYSTROKE_INTERVAL};
use crate::mux::{ChannelError, ChannelId, ChannelRequest, PeerOpens, RequestId};
use crate::role::Role;
use crate::time::Instant;
use crate::transport::TransportConfig;
use crate::wire::outbox::Outbox;

/// What a client offers and bounds; shared by any number of connections.
pub struct ClientConfig {
    settings: Arc<Settings>,
    refuse_trivial_success: bool,
}

impl ClientConfig {
    /// Begins with everything that the provider has, in its order of preference.
    ///
    /// Its limits are those of [`Limits::for_clients`]: two deadlines are off where people are asked.
    /// The handshake is bounded by `handshake_timeout`.
    pub fn builder(provider: CryptoProvider) -> ClientConfigBuilder {
        let limits = Limits::for_clients();
        ClientConfigBuilder {
            common: Common::new(provider, limits, PeerOpens::ASKED_FOR),
            refuse_trivial_success: false,
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
    refuse_trivial_success: bool,
    obscure: Option<Duration>,
}

impl ClientConfigBuilder {
    common_setters!();

    /// Whether to end the connection where the server lets the user in without any proof: for
    /// `none`, or `keyboard-interactive` in which no prompt was answered. Default no.
    ///
    /// A server that does so may be after the answers to a prompt of its own making, shown once
    /// the user takes the login for done (CVE-2021-36367, CVE-2021-36368, CVE-2021-36369).
    /// [`Authenticated::method`](crate::Authenticated::method) names the method in any case.
    pub fn refuse_trivial_success(mut self, refuse: bool) -> Self {
        self.refuse_trivial_success = refuse;
        self
    }

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
            offer: common.offer(Role::Client)?,
            sha256: common.provider.sha256,
            require_strict_kex: common.require_strict_kex,
            refuse_prefix_truncation: common.refuse_prefix_truncation,
            min_rsa_bits: common.min_rsa_bits,
            ask_before_kex: false,
            keeps_forged: common.accept_forged,
            host_keys: Vec::new(),
            moduli: Vec::new(),
            extensions: alloc::vec![("ext-info-in-auth@openssh.com", b"0".to_vec())],
        });
        let settings = Arc::new(Settings {
            transport,
            signatures: common.user_signatures()?,
            report_ignore: common.report_ignore,
            peer_opens: common.peer_opens,
            extended_data: common.extended_data,
            announce_host_keys: false,
            obscure: self.obscure,
            limits: common.limits,
        });
        Ok(Arc::new(ClientConfig {
            settings,
            refuse_trivial_success: self.refuse_trivial_success,
        }))
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
    /// The server asks in `keyboard-interactive`, perhaps nothing.
    Prompts(PromptsRequest),
    /// A mechanism is to take a step in `gssapi-with-mic`.
    Gssapi(GssapiTurn),
    /// Why a mechanism failed at the server, which refuses the attempt next.
    GssapiError(GssapiError),
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
            refuse_trivial_success: config.refuse_trivial_success,
            auth: None,
            knows_agent_req: false,
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
    /// The packet is padded so that its length tells that of the password to multiples of 64 bytes
    /// only; answers to prompts are hidden alike.
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
    /// Where the server takes `publickey-hostbound-v00@openssh.com`, this and the other methods
    /// with a user key use it, so that the signature covers the host key too. It is `publickey`
    /// by name all the same.
    ///
    /// # Errors
    /// `UnsupportedKey`, `InvalidSignature` if the key cannot sign; the turn is then raised anew.
    pub fn auth_publickey(
        &mut self,
        turn: AuthTurn,
        key: &dyn SigningKey,
    ) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| {
            auth.publickey(key, outbox).map_err(signing_misuse)
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
        self.take_turn(turn, |auth, outbox| auth.query_publickey(key, outbox))
    }

    /// Tries `keyboard-interactive` (RFC 4256): [`ClientEvent::Prompts`] follows, as often as the
    /// server asks. `submethods` is a hint of what the user would like to be asked, a list with
    /// commas, mostly empty.
    ///
    /// # Errors
    /// `InvalidText` above 32000 bytes or with control characters; the turn is then raised anew.
    pub fn auth_keyboard_interactive(
        &mut self,
        turn: AuthTurn,
        submethods: &str,
    ) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| {
            auth.keyboard_interactive(submethods, outbox)
        })
    }

    /// Answers every prompt, in their order; an empty slice where there are none.
    ///
    /// # Errors
    /// `InvalidText` if there are more or fewer answers than prompts, one has more than 1024
    /// bytes, or all together some 32000; the question is then raised anew.
    pub fn answer_prompts(
        &mut self,
        request: PromptsRequest,
        responses: &[Password],
    ) -> Result<(), ApiMisuse> {
        let PromptsRequest { ticket, prompts } = request;
        let again = ClientAsk::Prompts(prompts);
        self.answer(ticket, Pause::Prompts, again, |auth, outbox| {
            auth.answer_prompts(responses, outbox).map(|()| None)
        })
    }

    /// Leaves `keyboard-interactive` unanswered: the next [`ClientEvent::Auth`] says `Failed`, and
    /// the request that answers it makes the server drop this one (RFC 4252 section 5).
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn abandon_method(&mut self, request: PromptsRequest) -> Result<(), ApiMisuse> {
        let PromptsRequest { ticket, prompts } = request;
        let again = ClientAsk::Prompts(prompts);
        self.answer(ticket, Pause::Prompts, again, |auth, _| {
            auth.abandon().map(Some)
        })
    }

    /// Tries `hostbased` (RFC 4252 section 9) with a key of the client's host in memory.
    /// `client_host` is its full name; OpenSSH sends it with a dot at the end. `client_user` is
    /// the user's name there.
    ///
    /// # Errors
    /// `UnsupportedKey`, `InvalidSignature` if the key cannot sign, `InvalidText` for names above
    /// [`Limits::user_name`] or with control characters; the turn is then raised anew.
    pub fn auth_hostbased(
        &mut self,
        turn: AuthTurn,
        key: &dyn SigningKey,
        client_host: &str,
        client_user: &str,
    ) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| {
            auth.hostbased(key, client_host, client_user, outbox)
                .map_err(signing_misuse)
        })
    }

    /// As [`Self::auth_hostbased`], with a key that is held elsewhere, by a program such as
    /// ssh-keysign: raises [`Event::Sign`] at once.
    ///
    /// # Errors
    /// `UnsupportedKey`, or `InvalidText` for the names; the turn is then raised anew.
    pub fn auth_hostbased_remote(
        &mut self,
        turn: AuthTurn,
        key: &PublicKey,
        client_host: &str,
        client_user: &str,
    ) -> Result<(), ApiMisuse> {
        let (ticket, again) = turn.into_parts();
        self.answer(ticket, Pause::AuthTurn, again, |auth, _| {
            auth.hostbased_remote(key, client_host, client_user)
                .map(Some)
        })
    }

    /// Tries `gssapi-with-mic` (RFC 4462 section 3) with these mechanisms, in order of preference:
    /// each an OID in its whole DER encoding, `06`, length, value. [`ClientEvent::Gssapi`] follows
    /// with the server's choice.
    ///
    /// # Errors
    /// `InvalidText` if there is none, there are more than 100, or one is not an OID; the turn is
    /// then raised anew.
    pub fn auth_gssapi(&mut self, turn: AuthTurn, mechanisms: &[&[u8]]) -> Result<(), ApiMisuse> {
        self.take_turn(turn, |auth, outbox| auth.gssapi(mechanisms, outbox))
    }

    /// Sends a token of a context that is not complete yet; the server's follows.
    ///
    /// # Errors
    /// `InvalidText` above 32000 bytes; the question is then raised anew.
    pub fn gssapi_token(&mut self, turn: GssapiTurn, token: &[u8]) -> Result<(), ApiMisuse> {
        self.answer_gssapi(turn, |auth, outbox| {
            auth.gssapi_token(token, outbox).map(|()| None)
        })
    }

    /// The context is complete: sends its last token, if it made one, and the MIC over
    /// [`GssapiTurn::mic_message`], which may only be missing where the context has no integrity
    /// (RFC 4462 sections 3.5 and 3.6).
    ///
    /// # Errors
    /// `InvalidText` if either has more than 32000 bytes; the question is then raised anew.
    pub fn gssapi_finish(
        &mut self,
        turn: GssapiTurn,
        token: Option<&[u8]>,
        mic: Option<&[u8]>,
    ) -> Result<(), ApiMisuse> {
        self.answer_gssapi(turn, |auth, outbox| {
            auth.gssapi_finish(token, mic, outbox).map(|()| None)
        })
    }

    /// The context failed: sends its error token, if it made one, and leaves the method. The next
    /// [`ClientEvent::Auth`] says `Failed`.
    ///
    /// # Errors
    /// `InvalidText` above 32000 bytes; the question is then raised anew.
    pub fn gssapi_fail(
        &mut self,
        turn: GssapiTurn,
        error_token: Option<&[u8]>,
    ) -> Result<(), ApiMisuse> {
        self.answer_gssapi(turn, |auth, outbox| {
            auth.gssapi_fail(error_token, outbox).map(Some)
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

    /// Asks for agent forwarding on a session: `agent-req` (RFC 9987) where the server
    /// announced that it knows it, else `auth-agent-req@openssh.com`. The server then opens channels
    /// of the kind `AgentConnect` or `AuthAgent`; the config must admit
    /// [`PeerOpens::AGENT`].
    ///
    /// # Errors
    /// As for [`Connection::request`].
    pub fn request_agent_forwarding(
        &mut self,
        channel: ChannelId,
        want_reply: bool,
    ) -> Result<Option<RequestId>, ChannelError> {
        let request = match self.core.side().knows_agent_req {
            true => ChannelRequest::Agent,
            false => ChannelRequest::AuthAgent,
        };
        self.core.request(channel, &request, want_reply)
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
        let (ticket, again) = turn.into_parts();
        self.answer(ticket, Pause::AuthTurn, again, |auth, outbox| {
            answer(auth, outbox).map(|()| None)
        })
    }

    fn answer_gssapi(
        &mut self,
        turn: GssapiTurn,
        answer: impl FnOnce(&mut Client, &mut Outbox) -> Result<Option<ClientAsk>, ApiMisuse>,
    ) -> Result<(), ApiMisuse> {
        let GssapiTurn { ticket, ask } = turn;
        self.answer(ticket, Pause::Gssapi, ClientAsk::Gssapi(ask), answer)
    }

    /// Answers a question, which is raised again where the answer will not do.
    fn answer(
        &mut self,
        ticket: Ticket,
        pause: Pause,
        again: ClientAsk,
        answer: impl FnOnce(&mut Client, &mut Outbox) -> Result<Option<ClientAsk>, ApiMisuse>,
    ) -> Result<(), ApiMisuse> {
        let mut answered = Ok(());
        self.core.answer_auth(ticket, pause, |side, desk, outbox| {
            let ask = answer(side.auth()?, outbox).unwrap_or_else(|misuse| {
                answered = Err(misuse);
                Some(again)
            });
            Ok(ClientSide::progress(ask, desk))
        })?;
        answered
    }
}

impl AuthTurn {
    /// The ticket, and the question it is for.
    fn into_parts(self) -> (Ticket, ClientAsk) {
        let Self {
            ticket,
            outcome,
            methods,
        } = self;
        (ticket, ClientAsk::Turn(Turn { outcome, methods }))
    }
}

/// A key that does not sign is the caller's to put right.
fn signing_misuse(error: Error) -> ApiMisuse {
    match error {
        Error::ApiMisuse(misuse) => misuse,
        _ => ApiMisuse::InvalidSignature,
    }
}
