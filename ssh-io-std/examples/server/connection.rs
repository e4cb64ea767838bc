//! One connection: its login, its channels and forwards, and the loop over its socket and programs.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;

use ssh_io_std::{Descriptors, Driver, Forwards, Gateway, Interest, Transport, poll_all};
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    Authenticated, ChannelId, ChannelKind, Connection, Disconnected, Event, IncomingChannel,
    IncomingRequest, OpenFailure, ServerConnection, ServerEvent,
};

use crate::account::Account;
use crate::args::Permits;
use crate::environment::User;
use crate::log::Log;
use crate::login::{Login, Logins};
use crate::session::Session;

/// What all connections share.
pub(crate) struct Site {
    pub(crate) logins: Logins,
    pub(crate) permits: Permits,
}

/// What is read from a program at once, and copied into the connection.
const BUFFER: usize = 64 << 10;

/// A transport that can be waited for beside others.
pub(crate) trait Wires: Transport {
    /// What to wait for.
    fn entries(&self, interest: Interest) -> Vec<(BorrowedFd<'_>, Interest)>;
}

impl Wires for TcpStream {
    fn entries(&self, interest: Interest) -> Vec<(BorrowedFd<'_>, Interest)> {
        vec![(self.as_fd(), interest)]
    }
}

impl Wires for Descriptors {
    fn entries(&self, interest: Interest) -> Vec<(BorrowedFd<'_>, Interest)> {
        self.entries(interest).collect()
    }
}

/// Serves a connection to its end, in a thread that serves no other, since it acts as the account
/// that logs in. Programs that still run then are hung up.
///
/// `addresses` are the peer's and ours, where there are any.
pub(crate) fn serve<T: Wires>(
    driver: Driver<ServerConnection, T>,
    addresses: Option<(SocketAddr, SocketAddr)>,
    site: &Site,
    log: &Log,
) -> io::Result<()> {
    let peer = addresses.map(|(peer, _)| peer.ip());
    let mut link = Link {
        driver,
        forwards: Forwards::new(),
        site,
        log,
        addresses,
        login: Login::new(&site.logins, peer, log),
        user: None,
        sessions: HashMap::new(),
        buffer: vec![0; BUFFER],
    };
    log.line(format_args!("connected"));
    link.run()
}

struct Link<'a, T> {
    driver: Driver<ServerConnection, T>,
    forwards: Forwards,
    site: &'a Site,
    log: &'a Log,
    /// The peer's and ours.
    addresses: Option<(SocketAddr, SocketAddr)>,
    login: Login<'a>,
    /// Once the login is complete.
    user: Option<User<'a>>,
    sessions: HashMap<ChannelId, Session>,
    buffer: Vec<u8>,
}

impl<T: Wires> Link<'_, T> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            self.handle_events();
            let connection = self.driver.connection_mut();
            for (channel, session) in &mut self.sessions {
                session.advance(connection, *channel, &mut self.buffer);
            }
            self.forwards.advance(connection);
            self.driver.transmit();
            if self.driver.is_finished() {
                return Ok(());
            }
            // What was sent can be an event, too; then there may be more to do before waiting.
            if !self.handle_events() {
                self.wait()?;
                self.driver.drive();
            }
        }
    }

    /// Whether there were any.
    fn handle_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.driver.poll_event() {
            self.handle(event);
            any = true;
        }
        any
    }

    /// Waits until the socket, a program or something that is forwarded can be served.
    fn wait(&self) -> io::Result<()> {
        let connection = self.driver.connection();
        let sessions = self.sessions.iter();
        let own = self.driver.transport().entries(self.driver.interest());
        let own = own.into_iter();
        let entries = own
            .chain(sessions.flat_map(|(channel, session)| session.entries(connection, *channel)))
            .chain(self.forwards.entries(connection));
        let timeouts = [self.driver.timeout(), self.forwards.timeout()];
        poll_all(entries, timeouts.into_iter().flatten().min())
    }

    /// An answer fails only where the connection has ended meanwhile, which its last event tells.
    fn handle(&mut self, event: ServerEvent) {
        let connection = self.driver.connection_mut();
        match event {
            ServerEvent::KeyQuery(query) => self.login.query(query, connection),
            ServerEvent::Auth(request) => self.login.decide(request, connection),
            ServerEvent::Shared(event) => {
                if let Some(event) = self.forwards.handle(event, connection) {
                    self.handle_shared(event);
                }
            }
            _ => {}
        }
    }

    fn handle_shared(&mut self, event: Event) {
        match event {
            Event::Identified(identification) => {
                self.log.line(format_args!("is {identification}"));
            }
            Event::KeysChanged(keys) => self.log.line(format_args!(
                "keys: {} {} {} in, {} out",
                keys.kex,
                keys.host_key_algorithm,
                keys.client_to_server.cipher,
                keys.server_to_client.cipher,
            )),
            Event::Authenticated(proof) => self.logged_in(&proof),
            Event::ChannelOpen(open) => self.open(open),
            Event::Request(request) => self.request(request),
            Event::Eof(channel) => {
                if let Some(session) = self.sessions.get_mut(&channel) {
                    session.end_input();
                }
            }
            Event::ChannelClosed(channel) => drop(self.sessions.remove(&channel)),
            Event::GlobalRequest(request) => {
                let _ = self.driver.connection_mut().reject_global_request(request);
            }
            Event::Disconnected(cause) => self.ended(&cause),
            _ => {}
        }
    }

    /// From here on this thread acts as the account.
    fn logged_in(&mut self, proof: &Authenticated) {
        let user = proof.user();
        let account = become_account(user, self.site.logins.names(user));
        let account = match account {
            Ok(account) => account,
            Err(error) => {
                self.log
                    .line(format_args!("cannot become {user:?}: {error}"));
                let now = self.driver.now();
                let connection = self.driver.connection_mut();
                connection.disconnect(now, DisconnectReason::SERVICE_NOT_AVAILABLE, "");
                return;
            }
        };
        let grant = self.login.take_gathered();
        let (open, listen) = (grant.open, grant.listen);
        self.forwards
            .permit_open(move |target| open.permit_open(target));
        self.forwards.permit_listen(move |request| {
            listen.permit_listen(request).then_some(Gateway::Loopback)
        });
        let command = proof.force_command();
        self.user = Some(User {
            account,
            permits: &self.site.permits,
            command: command.map(|command| OsString::from_vec(command.to_vec())),
            environment: grant.environment,
            addresses: self.addresses,
        });
    }

    fn open(&mut self, open: IncomingChannel) {
        let connection = self.driver.connection_mut();
        let refusal = match open.kind() {
            ChannelKind::Session => {
                if let Ok(channel) = connection.accept_channel(open) {
                    self.sessions.insert(channel, Session::new());
                }
                return;
            }
            ChannelKind::Unknown { .. } => OpenFailure::UNKNOWN_CHANNEL_TYPE,
            _ => OpenFailure::ADMINISTRATIVELY_PROHIBITED,
        };
        let _ = connection.reject_channel(open, refusal, "");
    }

    fn request(&mut self, request: IncomingRequest) {
        let session = self.sessions.get_mut(&request.channel());
        let granted = match session.zip(self.user.as_ref()) {
            Some((session, user)) => session.grant(&request, user, &mut self.forwards),
            None => Ok(false),
        };
        let granted = granted.unwrap_or_else(|error| {
            self.log.line(format_args!("{error}"));
            false
        });
        let connection = self.driver.connection_mut();
        let _ = match granted {
            true => connection.accept_request(request),
            false => connection.reject_request(request),
        };
    }

    fn ended(&mut self, cause: &Disconnected) {
        self.sessions.clear();
        if let Some(failure) = self.driver.connection().login_failure() {
            self.log.line(format_args!("no login: {failure:?}"));
        }
        let line = match (cause, self.driver.error()) {
            (Disconnected::Eof, Some(error)) => format!("disconnected: {error}"),
            (Disconnected::ByPeer { description, .. }, _) => {
                format!("disconnected by the peer: {description:?}")
            }
            (Disconnected::Error(error), _) => format!("disconnected: {error}"),
            _ => "disconnected".into(),
        };
        self.log.line(format_args!("{line}"));
    }
}

/// Has this thread act as the user's account.
fn become_account(user: &str, is_named: bool) -> io::Result<Account> {
    let no_account = || io::Error::new(io::ErrorKind::NotFound, "there is no such account");
    let account = Account::of(user, is_named).ok_or_else(no_account)?;
    if let Some(identity) = &account.identity {
        identity.assume()?;
    }
    Ok(account)
}
