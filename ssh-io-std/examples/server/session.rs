//! One connection: its user, its channels, and the loop over its socket and programs.

#[cfg(feature = "gssapi")]
#[path = "gssapi.rs"]
mod gssapi;

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use ssh_io_std::{Clock, Driver, OsRandom};
use ssh_proto::{
    AuthMethod, AuthRequest, ChannelError, ChannelId, ChannelKind, ChannelRequest, Connection,
    DataStream, Disconnected, Event, IncomingChannel, IncomingRequest, OpenFailure, ServerConfig,
    ServerConnection, ServerEvent,
};

use crate::account::Account;
use crate::args::{Permits, matches};
use crate::log::Log;
use crate::login::{Grant, Logins};
use crate::process::{Process, Program, exit_signal, signal_named};
use crate::pty::Pty;

/// What all connections share.
pub(crate) struct Site {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) logins: Logins,
    pub(crate) permits: Permits,
}

/// What is read from a program at once, and copied into the connection.
const BUFFER: usize = 64 << 10;

/// Less room than this in a channel is not worth a read from its program.
const MIN_ROOM: usize = 8 << 10;

/// Serves a connection to its end. Programs that still run then are hung up.
pub(crate) fn serve(stream: TcpStream, site: &Site, log: &Log) -> io::Result<()> {
    let addresses = (stream.peer_addr()?, stream.local_addr()?);
    let clock = Clock::new();
    let connection = ServerConnection::new(&site.config, Box::new(OsRandom), clock.now())
        .map_err(io::Error::other)?;
    let mut link = Link {
        driver: Driver::new(connection, stream, clock),
        site,
        log,
        addresses,
        login: None,
        #[cfg(feature = "gssapi")]
        tickets: gssapi::Tickets::default(),
        sessions: HashMap::new(),
        buffer: vec![0; BUFFER],
    };
    log.line(format_args!("connected"));
    link.run()
}

struct Link<'a> {
    driver: Driver<ServerConnection, TcpStream>,
    site: &'a Site,
    log: &'a Log,
    /// The peer's and ours.
    addresses: (SocketAddr, SocketAddr),
    /// Who has logged in, and what came with it.
    login: Option<(Account, Grant)>,
    #[cfg(feature = "gssapi")]
    tickets: gssapi::Tickets,
    sessions: HashMap<ChannelId, Session>,
    buffer: Vec<u8>,
}

/// A session channel.
enum Session {
    /// Nothing runs yet.
    Preparing {
        /// What the client wants in the environment.
        environment: Vec<(OsString, OsString)>,
        pty: Option<Pty>,
    },
    Running(Running),
    /// All is said; the peer has to close.
    Over,
}

/// A program and what is on its way to it.
struct Running {
    process: Process,
    /// Input that the program has not taken yet. Nothing is read from the channel behind it, so
    /// that the client gets no credit for more.
    pending: Bytes,
    /// The client sends no more.
    eof: bool,
    /// The program takes no more.
    deaf: bool,
    /// How the program ended, as of the last look. To ask anew before waiting would miss an end
    /// that comes between.
    exit: Option<ExitStatus>,
}

impl Link<'_> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            self.handle_events();
            let connection = self.driver.connection_mut();
            for (channel, session) in &mut self.sessions {
                session.advance(connection, *channel, &mut self.buffer);
            }
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

    /// Waits until the socket or a program can be served.
    fn wait(&self) -> io::Result<()> {
        let interest = self.driver.interest();
        let mut entries = Vec::with_capacity(1 + 4 * self.sessions.len());
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, interest.read);
        flags.set(PollFlags::OUT, interest.write);
        // A socket that hung up is always ready, which is of no use where nobody looks at it.
        if !interest.is_empty() {
            entries.push(PollFd::from_borrowed_fd(self.driver.as_fd(), flags));
        }
        for (channel, session) in &self.sessions {
            if let Session::Running(running) = session {
                let room = has_room(self.driver.connection(), *channel);
                entries.extend(
                    running
                        .wants(room)
                        .map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)),
                );
            }
        }
        let timeout = self.driver.timeout().map(|timeout| Timespec {
            // A day is as good as for ever, and fits everywhere.
            tv_sec: timeout.min(Duration::from_secs(86_400)).as_secs() as _,
            tv_nsec: timeout.subsec_nanos() as _,
        });
        match poll(&mut entries, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn handle(&mut self, event: ServerEvent) {
        let connection = self.driver.connection_mut();
        // An answer fails only where the connection has ended meanwhile, which another event tells.
        match event {
            ServerEvent::KeyQuery(query) => {
                let logins = &self.site.logins;
                let usable = logins.key(query.user(), query.key(), self.log).is_some();
                let _ = connection.answer_key_query(query, usable);
            }
            ServerEvent::Auth(request) => self.log_in(request),
            ServerEvent::Shared(event) => match event {
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
                Event::ChannelOpen(open) => self.open(open),
                Event::Request(request) => self.request(request),
                Event::Eof(channel) => {
                    if let Some(Session::Running(running)) = self.sessions.get_mut(&channel) {
                        running.eof = true;
                    }
                }
                Event::ChannelClosed(channel) => drop(self.sessions.remove(&channel)),
                Event::GlobalRequest(request) => {
                    let _ = connection.reject_global_request(request);
                }
                Event::Disconnected(cause) => {
                    self.sessions.clear();
                    match (cause, self.driver.error()) {
                        (Disconnected::Eof, Some(error)) => {
                            self.log.line(format_args!("disconnected: {error}"));
                        }
                        (Disconnected::ByPeer { description, .. }, _) => self
                            .log
                            .line(format_args!("disconnected by the peer: {description:?}")),
                        (Disconnected::Error(error), _) => {
                            self.log.line(format_args!("disconnected: {error}"));
                        }
                        _ => self.log.line(format_args!("disconnected")),
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn log_in(&mut self, request: AuthRequest) {
        #[cfg(feature = "gssapi")]
        if matches!(request.method(), AuthMethod::Gssapi(_)) {
            return self.log_in_with_ticket(request);
        }
        let logins = &self.site.logins;
        let user = request.user();
        let (method, grant) = match request.method() {
            AuthMethod::Password(password) => ("password", logins.password(user, password)),
            AuthMethod::PublicKey { key, .. } => ("publickey", logins.key(user, key, self.log)),
            _ => ("none", None),
        };
        let verdict = if grant.is_some() {
            "accepted"
        } else {
            "refused"
        };
        if method != "none" {
            self.log
                .line(format_args!("{verdict}: {method} for {user:?}"));
        }
        let connection = self.driver.connection_mut();
        match grant {
            Some(grant) => {
                self.login = Some((Account::of(user), grant));
                let _ = connection.accept_auth(request);
            }
            None => drop(connection.reject_auth(request, None)),
        }
    }

    fn open(&mut self, open: IncomingChannel) {
        let connection = self.driver.connection_mut();
        let refusal = match open.kind() {
            ChannelKind::Session => {
                if let Ok(channel) = connection.accept_channel(open) {
                    let session = Session::Preparing {
                        environment: Vec::new(),
                        pty: None,
                    };
                    self.sessions.insert(channel, session);
                }
                return;
            }
            ChannelKind::Unknown { .. } => OpenFailure::UNKNOWN_CHANNEL_TYPE,
            _ => OpenFailure::ADMINISTRATIVELY_PROHIBITED,
        };
        let _ = connection.reject_channel(open, refusal, "");
    }

    fn request(&mut self, request: IncomingRequest) {
        let granted = self.grant(&request).unwrap_or_else(|error| {
            self.log.line(format_args!("{error}"));
            false
        });
        let connection = self.driver.connection_mut();
        let _ = match granted {
            true => connection.accept_request(request),
            false => connection.reject_request(request),
        };
    }

    /// Does what a request asks for, if the user may have it.
    fn grant(&mut self, incoming: &IncomingRequest) -> io::Result<bool> {
        let permits = &self.site.permits;
        let channel = incoming.channel();
        let Some((account, grant)) = &self.login else {
            return Ok(false);
        };
        let Some(session) = self.sessions.get_mut(&channel) else {
            return Ok(false);
        };
        let forced = permits.force_command.as_ref().or(grant.command.as_ref());
        match (incoming.request(), session) {
            (ChannelRequest::Pty(request), Session::Preparing { pty, .. }) => {
                let allowed = permits.pty && !grant.no_pty && pty.is_none();
                if allowed {
                    *pty = Some(Pty::open(request)?);
                }
                Ok(allowed)
            }
            (ChannelRequest::Env { name, value }, Session::Preparing { environment, .. }) => {
                let may_all = permits.env_all && forced.is_none();
                let allowed = may_all || allows_variable(&permits.env, name);
                if allowed {
                    let setting = (OsStr::from_bytes(name), OsStr::from_bytes(value));
                    environment.push((setting.0.to_owned(), setting.1.to_owned()));
                }
                Ok(allowed)
            }
            (
                request @ (ChannelRequest::Shell
                | ChannelRequest::Exec(_)
                | ChannelRequest::Subsystem(_)),
                session @ Session::Preparing { .. },
            ) => {
                let asked = match request {
                    ChannelRequest::Exec(asked) | ChannelRequest::Subsystem(asked) => {
                        Some(OsStr::from_bytes(asked))
                    }
                    _ => None,
                };
                let program = match (forced, request, asked) {
                    (Some(forced), ..) => Program::Command(forced),
                    (None, ChannelRequest::Exec(_), Some(line)) if permits.exec => {
                        Program::Command(line)
                    }
                    (None, ChannelRequest::Shell, _) if permits.exec => Program::Shell,
                    _ => return Ok(false),
                };
                // If it does not start, nothing else will on this channel.
                let prepared = std::mem::replace(session, Session::Over);
                let Session::Preparing { environment, pty } = prepared else {
                    return Ok(false);
                };
                let mut variables = environment;
                variables.extend(fixed_environment(account, self.addresses));
                variables.extend(grant.environment.iter().cloned());
                if let (Some(_), Some(asked)) = (forced, asked) {
                    variables.push(("SSH_ORIGINAL_COMMAND".into(), asked.into()));
                }
                let process =
                    Process::start(&program, account, &variables, pty).map_err(|error| {
                        io::Error::other(format!("cannot start {program:?}: {error}"))
                    })?;
                *session = Session::Running(Running {
                    process,
                    pending: Bytes::new(),
                    eof: false,
                    deaf: false,
                    exit: None,
                });
                Ok(true)
            }
            (
                ChannelRequest::WindowChange {
                    columns,
                    rows,
                    width,
                    height,
                },
                session,
            ) => match session.terminal() {
                Some(terminal) => {
                    terminal.resize(*columns, *rows, *width, *height)?;
                    Ok(true)
                }
                None => Ok(false),
            },
            (ChannelRequest::Break(_), session) => match session.terminal() {
                Some(terminal) => {
                    terminal.send_break()?;
                    Ok(true)
                }
                None => Ok(false),
            },
            (ChannelRequest::Eow, Session::Running(running)) => {
                running.process.close_output();
                Ok(true)
            }
            (ChannelRequest::Signal(name), Session::Running(running)) => {
                let signal = signal_named(name);
                if let Some(signal) = signal {
                    running.process.signal(signal);
                }
                Ok(signal.is_some())
            }
            _ => Ok(false),
        }
    }
}

/// Whether a client may set this variable.
fn allows_variable(patterns: &[String], name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    ["LANG", "LC_*"]
        .into_iter()
        .chain(patterns.iter().map(String::as_str))
        .any(|pattern| matches(pattern, name))
}

/// What every program finds in its environment.
fn fixed_environment(
    account: &Account,
    (peer, own): (SocketAddr, SocketAddr),
) -> Vec<(OsString, OsString)> {
    let (client, server) = (peer.ip().to_canonical(), own.ip().to_canonical());
    let (from, to) = (peer.port(), own.port());
    let mut variables: Vec<(OsString, OsString)> = vec![
        ("USER".into(), account.name.clone().into()),
        ("LOGNAME".into(), account.name.clone().into()),
        ("HOME".into(), account.home.clone().into()),
        ("SHELL".into(), account.shell.clone()),
        ("PATH".into(), account.path.clone()),
        ("SSH_CLIENT".into(), format!("{client} {from} {to}").into()),
        (
            "SSH_CONNECTION".into(),
            format!("{client} {from} {server} {to}").into(),
        ),
    ];
    variables.extend(env::var_os("TZ").map(|zone| ("TZ".into(), zone)));
    variables
}

/// Whether a channel can take output of its program. It cannot once the peer has closed it.
fn has_room(connection: &ServerConnection, channel: ChannelId) -> bool {
    connection
        .writable_bytes(channel)
        .is_ok_and(|room| room >= MIN_ROOM)
}

impl Session {
    fn terminal(&self) -> Option<&crate::pty::Terminal> {
        match self {
            Self::Preparing { pty, .. } => pty.as_ref().map(|pty| &pty.terminal),
            Self::Running(running) => running.process.terminal(),
            Self::Over => None,
        }
    }

    /// Moves everything as far as program and channel let it.
    fn advance(
        &mut self,
        connection: &mut ServerConnection,
        channel: ChannelId,
        buffer: &mut [u8],
    ) {
        let Self::Running(running) = self else { return };
        running.exit = running.process.exit_status();
        running.feed(connection, channel);
        // An error says that the peer has closed the channel; its event follows.
        if running.drain(connection, channel, buffer).is_ok()
            && running.conclude(connection, channel).unwrap_or(false)
        {
            *self = Self::Over;
        }
    }
}

impl Running {
    /// What to wait for, given whether the channel has room for output.
    fn wants(&self, room: bool) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let process = &self.process;
        let input = process.input().filter(|_| !self.pending.is_empty());
        let output = process.output().filter(|_| room);
        let errors = process.errors().filter(|_| room);
        let ended = Some(process.ended()).filter(|_| self.exit.is_none());
        [
            (input, PollFlags::OUT),
            (output, PollFlags::IN),
            (errors, PollFlags::IN),
            (ended, PollFlags::IN),
        ]
        .into_iter()
        .filter_map(|(fd, flags)| Some((fd?, flags)))
    }

    /// From the channel to the program.
    fn feed(&mut self, connection: &mut ServerConnection, channel: ChannelId) {
        loop {
            if self.pending.is_empty() {
                match connection.read(channel) {
                    Ok(Some(chunk)) => self.pending = chunk.bytes,
                    _ => break,
                }
            }
            if self.deaf {
                self.pending.clear();
                continue;
            }
            match self.process.feed(&self.pending) {
                Ok(taken) => self.pending.advance(taken),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return,
                    _ => {
                        self.process.end_input();
                        self.deaf = true;
                    }
                },
            }
        }
        if self.eof && !self.deaf {
            self.process.end_input();
            self.deaf = true;
        }
    }

    /// From the program to the channel.
    fn drain(
        &mut self,
        connection: &mut ServerConnection,
        channel: ChannelId,
        buffer: &mut [u8],
    ) -> Result<(), ChannelError> {
        let process = &mut self.process;
        let (mut output, mut errors) = (process.output().is_some(), process.errors().is_some());
        // In turn, so that neither stream can keep the other waiting.
        while output || errors {
            if output {
                output = transfer(connection, channel, DataStream::Data, buffer, |buffer| {
                    process.read_output(buffer)
                })?;
            }
            if errors {
                errors = transfer(connection, channel, DataStream::STDERR, buffer, |buffer| {
                    process.read_errors(buffer)
                })?;
            }
        }
        Ok(())
    }

    /// Once there is no more output and no more program, tells the client so. True when all is
    /// said.
    ///
    /// The exit comes first: OpenSSH closes a channel as soon as both directions have ended, and
    /// nothing follows a close.
    fn conclude(
        &mut self,
        connection: &mut ServerConnection,
        channel: ChannelId,
    ) -> Result<bool, ChannelError> {
        let Some(status) = self.exit else {
            return Ok(false);
        };
        if self.process.output().is_some() || self.process.errors().is_some() {
            return Ok(false);
        }
        let exit = match exit_signal(status) {
            Some(signal) => ChannelRequest::ExitSignal(signal),
            None => ChannelRequest::ExitStatus(status.code().unwrap_or(255).unsigned_abs()),
        };
        connection.request(channel, &exit, false)?;
        connection.finish(channel)?;
        connection.close_channel(channel)?;
        Ok(true)
    }
}

/// Moves one bufferful. False: there is no more room, or no more to read for now.
fn transfer(
    connection: &mut ServerConnection,
    channel: ChannelId,
    stream: DataStream,
    buffer: &mut [u8],
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> Result<bool, ChannelError> {
    let room = connection.writable_bytes(channel)?;
    if room < MIN_ROOM {
        return Ok(false);
    }
    let most = room.min(buffer.len());
    match read(&mut buffer[..most]) {
        Ok(0) => Ok(false),
        Ok(count) => connection
            .write(channel, stream, &buffer[..count])
            .map(|_| true),
        Err(error) => Ok(error.kind() == io::ErrorKind::Interrupted),
    }
}
