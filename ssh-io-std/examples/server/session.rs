//! A session channel: what is asked for it, the program it runs, and what goes between the two.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitStatus;

use bytes::{Buf, Bytes};
use ssh_io_std::{Forwards, Interest};
use ssh_proto::{
    ChannelError, ChannelId, ChannelRequest, Connection, DataStream, IncomingRequest,
    ServerConnection,
};

use crate::environment::{User, Variables};
use crate::process::{Process, Program, exit_signal, signal_named};
use crate::pty::{Pty, Terminal};
use crate::x11::Authority;

/// Less room than this in a channel is not worth a read from its program.
const MIN_ROOM: usize = 8 << 10;

/// A session channel.
pub(crate) enum Session {
    /// Nothing runs yet.
    Preparing(Preparation),
    Running(Running),
    /// All is said; the peer has to close.
    Over,
}

/// What the program will find.
#[derive(Default)]
pub(crate) struct Preparation {
    /// What the client wants in the environment.
    asked: Variables,
    /// What leads to the client's agent and display.
    offered: Variables,
    pty: Option<Pty>,
    authority: Option<Authority>,
}

/// A program and what is on its way to it.
pub(crate) struct Running {
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
    /// Removed with it.
    _authority: Option<Authority>,
}

impl Session {
    pub(crate) fn new() -> Self {
        Self::Preparing(Preparation::default())
    }

    /// Does what a request asks for, if the user may have it. What the login does not permit, the
    /// connection has refused before.
    pub(crate) fn grant(
        &mut self,
        incoming: &IncomingRequest,
        user: &User<'_>,
        forwards: &mut Forwards,
    ) -> io::Result<bool> {
        let request = incoming.request();
        match (request, &mut *self) {
            (
                ChannelRequest::WindowChange {
                    columns,
                    rows,
                    width,
                    height,
                },
                session,
            ) => {
                let Some(terminal) = session.terminal() else {
                    return Ok(false);
                };
                terminal.resize(*columns, *rows, *width, *height)?;
                Ok(true)
            }
            (ChannelRequest::Break(_), session) => {
                let Some(terminal) = session.terminal() else {
                    return Ok(false);
                };
                terminal.send_break()?;
                Ok(true)
            }
            (
                ChannelRequest::Shell | ChannelRequest::Exec(_) | ChannelRequest::Subsystem(_),
                Self::Preparing(_),
            ) => self.start(request, user),
            (_, Self::Preparing(preparation)) => preparation.grant(incoming, user, forwards),
            (ChannelRequest::Eow, Self::Running(running)) => {
                running.process.close_output();
                Ok(true)
            }
            (ChannelRequest::Signal(name), Self::Running(running)) => {
                let signal = signal_named(name);
                if let Some(signal) = signal {
                    running.process.signal(signal);
                }
                Ok(signal.is_some())
            }
            _ => Ok(false),
        }
    }

    /// Starts the program that is asked for, or the one that is forced.
    fn start(&mut self, request: &ChannelRequest, user: &User<'_>) -> io::Result<bool> {
        let asked = match request {
            ChannelRequest::Exec(asked) | ChannelRequest::Subsystem(asked) => {
                Some(OsStr::from_bytes(asked))
            }
            _ => None,
        };
        let program = match (&user.command, request, asked) {
            (Some(forced), ..) => Program::Command(forced),
            (None, ChannelRequest::Exec(_), Some(line)) if user.permits.exec => {
                Program::Command(line)
            }
            (None, ChannelRequest::Shell, _) if user.permits.exec => Program::Shell,
            _ => return Ok(false),
        };
        // If it does not start, nothing else will on this channel.
        let Self::Preparing(prepared) = std::mem::replace(self, Self::Over) else {
            return Ok(false);
        };
        let mut variables = prepared.asked;
        variables.extend(user.variables());
        variables.extend(prepared.offered);
        if let (Some(_), Some(asked)) = (&user.command, asked) {
            variables.push(("SSH_ORIGINAL_COMMAND".into(), asked.into()));
        }
        let process = Process::start(&program, &user.account, &variables, prepared.pty)
            .map_err(|error| io::Error::other(format!("cannot start {program:?}: {error}")))?;
        *self = Self::Running(Running {
            process,
            pending: Bytes::new(),
            eof: false,
            deaf: false,
            exit: None,
            _authority: prepared.authority,
        });
        Ok(true)
    }

    /// The client sends no more.
    pub(crate) fn end_input(&mut self) {
        if let Self::Running(running) = self {
            running.eof = true;
        }
    }

    fn terminal(&self) -> Option<&Terminal> {
        match self {
            Self::Preparing(preparation) => preparation.pty.as_ref().map(|pty| &pty.terminal),
            Self::Running(running) => running.process.terminal(),
            Self::Over => None,
        }
    }

    /// Moves everything as far as program and channel let it.
    pub(crate) fn advance(
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

    /// What to wait for.
    pub(crate) fn entries(
        &self,
        connection: &ServerConnection,
        channel: ChannelId,
    ) -> impl Iterator<Item = (BorrowedFd<'_>, Interest)> {
        let running = match self {
            Self::Running(running) => Some(running),
            _ => None,
        };
        let room = has_room(connection, channel);
        running
            .into_iter()
            .flat_map(move |running| running.wants(room))
    }
}

impl Preparation {
    fn grant(
        &mut self,
        incoming: &IncomingRequest,
        user: &User<'_>,
        forwards: &mut Forwards,
    ) -> io::Result<bool> {
        match incoming.request() {
            ChannelRequest::Pty(request) => {
                let is_first = self.pty.is_none();
                if is_first {
                    self.pty = Some(Pty::open(request)?);
                }
                Ok(is_first)
            }
            ChannelRequest::Env { name, value } => {
                let allowed = user.may_set(name);
                if allowed {
                    let setting = (OsStr::from_bytes(name), OsStr::from_bytes(value));
                    self.asked
                        .push((setting.0.to_owned(), setting.1.to_owned()));
                }
                Ok(allowed)
            }
            ChannelRequest::AuthAgent | ChannelRequest::Agent => {
                let path = forwards.serve_agent(incoming)?;
                self.offered.push(("SSH_AUTH_SOCK".into(), path.into()));
                Ok(true)
            }
            ChannelRequest::X11 {
                auth_protocol,
                cookie,
                screen,
                ..
            } => {
                let display = forwards.serve_x11(incoming)?;
                let authority = Authority::write(display, auth_protocol, cookie)?;
                let name: OsString = format!("localhost:{display}.{screen}").into();
                self.offered.push(("DISPLAY".into(), name));
                self.offered
                    .push(("XAUTHORITY".into(), authority.path().into()));
                self.authority = Some(authority);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Whether a channel can take output of its program. It cannot once the peer has closed it.
fn has_room(connection: &ServerConnection, channel: ChannelId) -> bool {
    connection
        .writable_bytes(channel)
        .is_ok_and(|room| room >= MIN_ROOM)
}

impl Running {
    /// What to wait for, given whether the channel has room for output.
    fn wants(&self, room: bool) -> impl Iterator<Item = (BorrowedFd<'_>, Interest)> {
        let (read, write) = (true, true);
        let reading = Interest {
            read,
            ..Interest::default()
        };
        let writing = Interest {
            write,
            ..Interest::default()
        };
        let process = &self.process;
        let input = process.input().filter(|_| !self.pending.is_empty());
        let output = process.output().filter(|_| room);
        let errors = process.errors().filter(|_| room);
        let ended = Some(process.ended()).filter(|_| self.exit.is_none());
        [
            (input, writing),
            (output, reading),
            (errors, reading),
            (ended, reading),
        ]
        .into_iter()
        .filter_map(|(fd, interest)| Some((fd?, interest)))
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
