//! The blocking client: connects, authenticates, and opens one session at a time.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use ssh_proto::crypto::{PublicKey, Signature, SigningKey};
use ssh_proto::error::{ApiMisuse, DisconnectReason};
use ssh_proto::{
    AuthTurn, Authenticated, Banner, ChannelError, ChannelRequest, ClientConfig, ClientConnection,
    ClientEvent, Connection, Disconnected, Event, HostKeyCheck, Password, Prompts, PromptsRequest,
    SignRequest,
};

use crate::clock::Clock;
use crate::driver::Driver;
use crate::error::ClientError;
use crate::random::OsRandom;
use crate::session::Session;
use crate::transport::Wait;

/// Whom the client asks, and tells: given to [`Client::connect`] and [`Client::over`], and called
/// from within the client's calls for as long as it lives. A closure that judges the host key is
/// one.
pub trait ClientHandler {
    /// Whether the host key is that of the intended server. There is no default: a client that
    /// accepts any key talks to anybody. Asked again should the key change later.
    fn host_key(&mut self, check: &HostKeyCheck) -> bool;

    /// Answers what the server asks after [`Credential::KeyboardInteractive`], one answer for each
    /// prompt, none where there are none (RFC 4256 section 3.2). There may be several rounds.
    /// `None`, the default, leaves the method.
    fn prompts(&mut self, prompts: &Prompts) -> Option<Vec<Password>> {
        let _ = prompts;
        None
    }

    /// Signs with the key of [`Credential::RemoteKey`], once the server has said that it would
    /// take it. `None`, the default, declines.
    fn sign(&mut self, request: &SignRequest) -> Option<Signature> {
        let _ = request;
        None
    }

    /// Takes text that the server wants shown before authentication (RFC 4252 section 5.4); by
    /// default it is not.
    fn banner(&mut self, banner: &Banner) {
        let _ = banner;
    }

    /// Learns why `gssapi-with-mic` failed, at either side; by default it is lost. The outcome of
    /// the next turn says that it did.
    #[cfg(feature = "gssapi")]
    fn gssapi_error(&mut self, error: &crate::gssapi::Error) {
        let _ = error;
    }

    /// Sees every event that both roles share, before the client acts on it.
    fn event(&mut self, event: &Event) {
        let _ = event;
    }
}

impl<F: FnMut(&HostKeyCheck) -> bool> ClientHandler for F {
    fn host_key(&mut self, check: &HostKeyCheck) -> bool {
        self(check)
    }
}

/// One attempt to authenticate: given by the caller to [`Client::authenticate`], several in the
/// order in which to try them, and to [`Client::authenticate_with`], one at each turn.
#[non_exhaustive]
#[derive(Debug)]
pub enum Credential {
    /// Nothing: it mostly fails, and tells which methods there are (RFC 4252 section 5.2).
    None,
    /// A password (RFC 4252 section 8).
    Password(Password),
    /// A new password for one that has expired, once the server has asked for it with
    /// [`AuthOutcome::PasswordChangeRequired`](ssh_proto::AuthOutcome::PasswordChangeRequired).
    PasswordChange {
        /// The one that has expired.
        old: Password,
        /// The new one.
        new: Password,
    },
    /// A private key, which signs (RFC 4252 section 7).
    Key(Arc<dyn SigningKey>),
    /// A key that is held elsewhere, as by an agent: [`ClientHandler::sign`] signs if the server
    /// would take it.
    RemoteKey(PublicKey),
    /// Answers to what the server asks, given by [`ClientHandler::prompts`] (RFC 4256).
    KeyboardInteractive,
    /// A key of the client's host, which vouches for its user (RFC 4252 section 9).
    Hostbased {
        /// The host's key.
        key: Arc<dyn SigningKey>,
        /// The host's full name, to which OpenSSH adds a dot.
        client_host: String,
        /// The user's name there.
        client_user: String,
    },
    /// Whether the server would take this key, worth asking before a passphrase is asked for. The
    /// answer is the outcome of the next turn, so this is for [`Client::authenticate_with`].
    Query(PublicKey),
    /// A Kerberos ticket (RFC 4462 section 3).
    #[cfg(feature = "gssapi")]
    Gssapi(crate::gssapi::Initiator),
}

impl Credential {
    const fn method(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Password(_) | Self::PasswordChange { .. } => Some("password"),
            Self::Key(_) | Self::RemoteKey(_) | Self::Query(_) => Some("publickey"),
            Self::KeyboardInteractive => Some("keyboard-interactive"),
            Self::Hostbased { .. } => Some("hostbased"),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(_) => Some("gssapi-with-mic"),
        }
    }
}

/// A client whose calls block: made by [`Self::connect`] or [`Self::over`], ended by
/// [`Self::disconnect`], or without a goodbye when dropped.
///
/// On a `TcpStream` or `UnixStream`, which it makes non-blocking, both directions go on while it
/// waits for either. Between calls nothing goes on.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ssh_io_std::Client;
/// use ssh_proto::crypto::rustcrypto;
/// use ssh_proto::{ClientConfig, HostKeyCheck};
///
/// let provider = rustcrypto::provider();
/// let known = "SHA256:v+h+H2vmDxViCsTwyvERIzMrmRFqks61feua+v2gIns";
/// let judge = move |check: &HostKeyCheck| {
///     check.key().fingerprint(rustcrypto::provider().sha256).to_string() == known
/// };
/// let config = ClientConfig::builder(provider).build()?;
/// let mut client = Client::connect("example.org:22", "ferris", &config, judge)?;
/// client.authenticate_password("crab")?;
/// let output = client.exec("uptime")?.output(1 << 20)?;
/// println!("{}", String::from_utf8_lossy(&output.stdout));
/// client.disconnect()?;
/// # Ok(())
/// # }
/// ```
pub struct Client<T> {
    pub(crate) driver: Driver<ClientConnection, T>,
    handler: Box<dyn ClientHandler + Send>,
    turn: Option<AuthTurn>,
    /// What the attempt that goes on is made with.
    #[cfg(feature = "gssapi")]
    gssapi: Option<crate::gssapi::Initiator>,
    /// What was wrong with an answer of the handler.
    misuse: Option<ApiMisuse>,
    authenticated: bool,
    over: Option<Disconnected>,
    #[cfg(unix)]
    pub(crate) forwards: crate::Forwards,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

impl Client<TcpStream> {
    /// Connects to a server and exchanges keys with it. Of several addresses, the first that
    /// answers is taken.
    ///
    /// # Errors
    /// What failed; `Disconnected` with `HostKeyRejected` if the handler does not accept the key.
    pub fn connect(
        address: impl ToSocketAddrs,
        user: &str,
        config: &ClientConfig,
        handler: impl ClientHandler + Send + 'static,
    ) -> Result<Self, ClientError> {
        Self::over(TcpStream::connect(address)?, user, config, handler)
    }
}

impl<T: Wait> Client<T> {
    /// Exchanges keys with the server at the other end of a transport.
    ///
    /// # Errors
    /// As for [`Client::connect`].
    pub fn over(
        mut transport: T,
        user: &str,
        config: &ClientConfig,
        handler: impl ClientHandler + Send + 'static,
    ) -> Result<Self, ClientError> {
        transport.prepare()?;
        let clock = Clock::new();
        let connection = ClientConnection::new(config, user, Box::new(OsRandom), clock.now())
            .map_err(ClientError::NotBegun)?;
        let mut client = Self {
            driver: Driver::new(connection, transport, clock),
            handler: Box::new(handler),
            turn: None,
            #[cfg(feature = "gssapi")]
            gssapi: None,
            misuse: None,
            authenticated: false,
            over: None,
            #[cfg(unix)]
            forwards: crate::Forwards::new(),
        };
        while client.turn.is_none() {
            client.step()?;
        }
        Ok(client)
    }

    /// Authenticates with the first of these that the server accepts, or with several if it wants
    /// more than one. Those whose method the server does not offer, and keys that the provider
    /// cannot use, are left out.
    ///
    /// # Errors
    /// `NotAuthenticated` when none is left; others can be tried then.
    pub fn authenticate(
        &mut self,
        credentials: impl IntoIterator<Item = Credential>,
    ) -> Result<&Authenticated, ClientError> {
        let mut credentials = credentials.into_iter();
        loop {
            let next = self.authenticate_with(|turn| {
                credentials.find(|credential| {
                    credential
                        .method()
                        .is_none_or(|method| turn.can_continue(method))
                })
            });
            match next {
                Err(ClientError::Unusable(_)) => {}
                Ok(_) => break,
                Err(error) => return Err(error),
            }
        }
        self.proof()
    }

    /// Authenticates with what `choose` says at each turn, knowing how the last attempt ended and
    /// what the server offers. `None` gives up.
    ///
    /// # Errors
    /// `NotAuthenticated` if it gave up, `Unusable` if an attempt could not be made or the handler's
    /// answer would not do; in both cases it can be called again.
    pub fn authenticate_with(
        &mut self,
        mut choose: impl FnMut(&AuthTurn) -> Option<Credential>,
    ) -> Result<&Authenticated, ClientError> {
        while !self.authenticated {
            let Some(turn) = self.turn.take() else {
                self.step()?;
                continue;
            };
            if let Some(misuse) = self.misuse.take() {
                self.turn = Some(turn);
                return Err(ClientError::Unusable(misuse));
            }
            let Some(credential) = choose(&turn) else {
                let methods = turn.methods().unwrap_or_default().to_vec();
                self.turn = Some(turn);
                return Err(ClientError::NotAuthenticated { methods });
            };
            let connection = self.driver.connection_mut();
            let tried = match credential {
                Credential::None => connection.auth_none(turn),
                Credential::Password(password) => connection.auth_password(turn, &password),
                Credential::PasswordChange { old, new } => {
                    connection.auth_password_change(turn, &old, &new)
                }
                Credential::Key(key) => connection.auth_publickey(turn, &*key),
                Credential::RemoteKey(key) => connection.auth_publickey_remote(turn, &key),
                Credential::KeyboardInteractive => connection.auth_keyboard_interactive(turn, ""),
                Credential::Hostbased {
                    key,
                    client_host,
                    client_user,
                } => connection.auth_hostbased(turn, &*key, &client_host, &client_user),
                Credential::Query(key) => connection.query_publickey(turn, &key),
                #[cfg(feature = "gssapi")]
                Credential::Gssapi(initiator) => {
                    self.gssapi = Some(initiator);
                    connection.auth_gssapi(turn, &[crate::gssapi::KERBEROS])
                }
            };
            if let Some(misuse) = misuse(tried) {
                return Err(ClientError::Unusable(misuse));
            }
        }
        self.proof()
    }

    /// Authenticates with a password.
    ///
    /// # Errors
    /// As for [`Self::authenticate`].
    pub fn authenticate_password(
        &mut self,
        password: impl Into<Vec<u8>>,
    ) -> Result<&Authenticated, ClientError> {
        self.authenticate([Credential::Password(Password::new(password))])
    }

    /// Authenticates with a private key.
    ///
    /// # Errors
    /// As for [`Self::authenticate`].
    pub fn authenticate_key(
        &mut self,
        key: Arc<dyn SigningKey>,
    ) -> Result<&Authenticated, ClientError> {
        self.authenticate([Credential::Key(key)])
    }

    fn proof(&self) -> Result<&Authenticated, ClientError> {
        let proof = self.driver.connection().authenticated();
        proof.ok_or(ClientError::Channel(ChannelError::NotOpen))
    }

    /// Opens a session, to be told what to run in it.
    ///
    /// # Errors
    /// `OpenRefused`, `Disconnected`, `Io`; `Channel` before authentication.
    pub fn session(&mut self) -> Result<Session<'_, T>, ClientError> {
        Session::open(self)
    }

    /// Runs a command.
    ///
    /// # Errors
    /// `OpenRefused`, `RequestRefused`, `Disconnected`, `Io`; `Channel` before authentication.
    pub fn exec(&mut self, command: impl AsRef<[u8]>) -> Result<Session<'_, T>, ClientError> {
        let command = command.as_ref().to_vec().into();
        self.run(&ChannelRequest::Exec(command))
    }

    /// Runs the user's shell, without a terminal.
    ///
    /// # Errors
    /// As for [`Self::exec`].
    pub fn shell(&mut self) -> Result<Session<'_, T>, ClientError> {
        self.run(&ChannelRequest::Shell)
    }

    /// Runs a subsystem, such as `sftp`.
    ///
    /// # Errors
    /// As for [`Self::exec`].
    pub fn subsystem(&mut self, name: &str) -> Result<Session<'_, T>, ClientError> {
        self.run(&ChannelRequest::Subsystem(name.to_owned().into()))
    }

    fn run(&mut self, request: &ChannelRequest) -> Result<Session<'_, T>, ClientError> {
        let mut session = self.session()?;
        session.request(request)?;
        Ok(session)
    }

    /// Says goodbye and closes the connection.
    ///
    /// # Errors
    /// What the transport fails with.
    pub fn disconnect(mut self) -> Result<(), ClientError> {
        let now = self.driver.now();
        let connection = self.driver.connection_mut();
        connection.disconnect(now, DisconnectReason::BY_APPLICATION, "");
        while self.driver.next_event()?.is_some() {}
        Ok(())
    }

    /// The driver, to go on without blocking, or with several channels at a time. Questions about
    /// the host key come to the caller from then on. To be called once authenticated: before, the
    /// turn to authenticate goes with the client, which ends the connection; what is forwarded
    /// does unless it is taken out of [`Self::forwards`].
    pub fn into_driver(self) -> Driver<ClientConnection, T> {
        self.driver
    }

    /// The driver, to look at the connection.
    pub fn driver(&self) -> &Driver<ClientConnection, T> {
        &self.driver
    }

    /// Waits for the next event and acts on it, unless it is one for the session.
    pub(crate) fn step(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.driver.poll_event() {
                return Ok(self.handle(event));
            }
            if self.driver.is_finished() {
                return Err(self.ended());
            }
            self.go_on(None)?;
        }
    }

    /// Moves what is forwarded, waits, and receives.
    pub(crate) fn go_on(&mut self, at_most: Option<Duration>) -> Result<(), ClientError> {
        #[cfg(unix)]
        self.forwards.advance(self.driver.connection_mut());
        self.driver.transmit();
        if !self.driver.connection().wants_poll() {
            #[cfg(unix)]
            self.driver.wait_with(&self.forwards, at_most)?;
            #[cfg(not(unix))]
            self.driver.wait(at_most)?;
            self.driver.drive();
        }
        Ok(())
    }

    /// Sends what may be sent, for as long as it takes.
    pub(crate) fn flush(&mut self, mut on_event: impl FnMut(Event)) -> Result<(), ClientError> {
        loop {
            while let Some(event) = self.driver.poll_event() {
                self.handle(event).map(&mut on_event);
            }
            self.driver.transmit();
            if self.driver.is_finished() {
                return Err(self.ended());
            }
            if !self.driver.interest().write {
                return Ok(());
            }
            // What is forwarded rests meanwhile: it could always bring more to send.
            self.driver.wait(None)?;
            self.driver.drive();
        }
    }

    /// Why a call on a channel failed: because the connection is over, if it is.
    pub(crate) fn explain(&mut self, error: ChannelError) -> ClientError {
        if !self.driver.connection().is_ending() {
            return ClientError::Channel(error);
        }
        while let Some(event) = self.driver.poll_event() {
            self.handle(event);
        }
        self.ended()
    }

    pub(crate) fn ended(&mut self) -> ClientError {
        let cause = self.over.clone().unwrap_or(Disconnected::ByApplication);
        match self.driver.take_error() {
            Some(error) if cause == Disconnected::Eof => ClientError::Io(error),
            _ => ClientError::Disconnected(cause),
        }
    }

    pub(crate) fn handle(&mut self, event: ClientEvent) -> Option<Event> {
        match event {
            ClientEvent::HostKey(check) => {
                let connection = self.driver.connection_mut();
                // A token that lapsed meanwhile needs no answer.
                let _ = match self.handler.host_key(&check) {
                    true => connection.accept_host_key(check),
                    false => connection.reject_host_key(check),
                };
            }
            ClientEvent::Auth(turn) => self.turn = Some(turn),
            ClientEvent::Prompts(request) => self.answer(request),
            ClientEvent::Banner(banner) => self.handler.banner(&banner),
            #[cfg(feature = "gssapi")]
            ClientEvent::Gssapi(turn) => {
                let connection = self.driver.connection_mut();
                if let Some(initiator) = &mut self.gssapi
                    && let Err(error) = initiator.answer(connection, turn)
                {
                    self.handler.gssapi_error(&error);
                }
            }
            #[cfg(feature = "gssapi")]
            ClientEvent::GssapiError(error) => {
                if let Some(initiator) = &mut self.gssapi {
                    self.handler.gssapi_error(&initiator.explain(&error));
                }
            }
            ClientEvent::Shared(event) => {
                self.handler.event(&event);
                #[cfg(unix)]
                let event = self.forwards.handle(event, self.driver.connection_mut())?;
                match event {
                    Event::Authenticated(_) => {
                        self.authenticated = true;
                        #[cfg(feature = "gssapi")]
                        drop(self.gssapi.take());
                    }
                    Event::Sign(request) => self.sign(request),
                    Event::Disconnected(cause) => self.over = Some(cause),
                    // Requests of the server are refused: their tokens end with the event.
                    event => return Some(event),
                }
            }
            // Events of a later version ask nothing of an earlier client.
            _ => {}
        }
        None
    }

    fn answer(&mut self, request: PromptsRequest) {
        let answers = match self.misuse {
            None => self.handler.prompts(request.prompts()),
            // Asked anew, since the answers would not do.
            Some(_) => None,
        };
        let connection = self.driver.connection_mut();
        let answered = match answers {
            Some(answers) => connection.answer_prompts(request, &answers),
            None => connection.abandon_method(request),
        };
        self.misuse = self.misuse.or(misuse(answered));
    }

    fn sign(&mut self, request: SignRequest) {
        let signature = match self.misuse {
            None => self.handler.sign(&request),
            Some(_) => None,
        };
        let connection = self.driver.connection_mut();
        let signed = match signature {
            Some(signature) => connection.provide_signature(request, &signature),
            None => connection.decline_signature(request),
        };
        self.misuse = self.misuse.or(misuse(signed));
    }
}

/// What was wrong with an answer. If the connection ended meanwhile, nothing: its event says why.
fn misuse(answered: Result<(), ApiMisuse>) -> Option<ApiMisuse> {
    let is_over = |misuse: &ApiMisuse| matches!(misuse, ApiMisuse::StaleToken | ApiMisuse::Closed);
    answered.err().filter(|misuse| !is_over(misuse))
}
