//! The session: what goes between standard input, output and error and the channel, never more than the other side takes, and what is forwarded beside it.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::isatty;
use ssh_io_std::{Driver, Target};
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    ChannelId, ChannelKind, ChannelRequest, Chunk, ClientConnection, ClientEvent, Connection,
    DataStream, Disconnected, Event, RequestId,
};

use crate::forward::Forwarding;
use crate::handler::show_negotiated;
use crate::log;
use crate::options::Options;
use crate::output::{Descriptor, Output, timespec};
use crate::signals::Signals;
use crate::terminal::{self, Raw};
use crate::update::HostKeys;

/// A read of standard input.
const READ: usize = 64 << 10;

type Error = Box<dyn std::error::Error>;

pub(crate) struct Relay<'o, T> {
    driver: Driver<ClientConnection, T>,
    options: &'o Options,
    forwarding: Forwarding,
    /// Where other keys of the host are remembered, if they are.
    host_keys: Option<HostKeys>,
    channel: Option<ChannelId>,
    wants_pty: bool,
    pty_request: Option<RequestId>,
    start_request: Option<RequestId>,
    started: bool,
    raw: Option<Raw<io::Stdin>>,
    signals: Signals,
    has_pty: bool,
    input_ended: bool,
    /// The other side sends no more.
    peer_ended: bool,
    /// Whoever reads our output was told so.
    output_ended: bool,
    output: Output,
    /// Output that waits for its descriptor.
    held: Option<Chunk>,
    status: Option<u32>,
    closed: bool,
    over: Option<Disconnected>,
}

impl<'o, T: AsFd + ssh_io_std::Transport> Relay<'o, T> {
    pub(crate) fn new(
        driver: Driver<ClientConnection, T>,
        options: &'o Options,
        forwarding: Forwarding,
        host_keys: Option<HostKeys>,
    ) -> Result<Self, Error> {
        let signals = Signals::new()?;
        let has_terminal = isatty(io::stdin());
        let wants_pty = match options.request_tty() {
            _ if options.stdio.is_some() => false,
            2 => true,
            1 => has_terminal,
            0 => has_terminal && options.command.is_empty() && !options.no_command,
            _ => false,
        };
        if options.request_tty() == 1 && !has_terminal {
            log::info("Pseudo-terminal will not be allocated because stdin is not a terminal.");
        }
        Ok(Self {
            driver,
            options,
            forwarding,
            host_keys,
            channel: None,
            wants_pty,
            pty_request: None,
            start_request: None,
            started: false,
            raw: None,
            signals,
            has_pty: false,
            input_ended: options.no_stdin,
            peer_ended: false,
            output_ended: false,
            output: Output::new(),
            held: None,
            status: None,
            closed: false,
            over: None,
        })
    }

    /// Runs the session to its end, and what is forwarded to its own; the exit status.
    pub(crate) fn run(mut self) -> Result<u8, Error> {
        let connection = self.driver.connection_mut();
        self.forwarding.begin(connection)?;
        self.channel = match &self.options.stdio {
            Some(target) => Some(connection.open_channel(&direct(target))?),
            None if self.options.no_command => None,
            None => Some(connection.open_channel(&ChannelKind::Session)?),
        };
        while !self.is_over() {
            while let Some(event) = self.driver.poll_event() {
                self.handle(event)?;
            }
            self.forwarding
                .forwards
                .advance(self.driver.connection_mut());
            self.write_output()?;
            self.driver.transmit();
            if let Some(cause) = self.over.take() {
                return Err(describe(&cause, self.driver.error()).into());
            }
            if self.is_over() {
                break;
            }
            // Nothing to wait for while what was sent has made room for more.
            if self.driver.timeout() != Some(Duration::ZERO) {
                self.wait()?;
            }
            self.driver.drive();
        }
        drop(self.raw.take());
        let now = self.driver.now();
        let connection = self.driver.connection_mut();
        connection.disconnect(
            now,
            DisconnectReason::BY_APPLICATION,
            "disconnected by user",
        );
        self.driver.transmit();
        Ok(match self.status {
            Some(status) => status as u8,
            None if self.options.stdio.is_some() => 0,
            // What OpenSSH says where there is no status, as after a signal.
            None => 255,
        })
    }

    fn is_over(&self) -> bool {
        self.closed && self.held.is_none() && self.forwarding.forwards.is_idle()
    }

    fn handle(&mut self, event: ClientEvent) -> Result<(), Error> {
        let connection = self.driver.connection_mut();
        let event = match (event, &self.host_keys) {
            (ClientEvent::Shared(event), _) => self.forwarding.handle(event, connection)?,
            (ClientEvent::HostKeys(keys), Some(host_keys)) => {
                host_keys.announced(keys, connection);
                None
            }
            (ClientEvent::HostKeysProved(keys), Some(host_keys)) => {
                // It may ask, on a terminal as people know it.
                let was_raw = self.raw.take().is_some();
                host_keys.proved(&keys);
                if was_raw {
                    self.raw = Some(Raw::enter(io::stdin())?);
                }
                None
            }
            // A host key that changes under way is not accepted: dropping the question says so.
            _ => None,
        };
        let Some(event) = event else {
            return Ok(());
        };
        match event {
            Event::ChannelOpened(_) if self.options.stdio.is_some() => self.started = true,
            Event::ChannelOpened(channel) => self.start(channel)?,
            Event::Eof(_) => self.peer_ended = true,
            Event::ChannelOpenFailed {
                reason,
                description,
                ..
            } => {
                return Err(format!("channel 0: open failed: {reason}: {description}").into());
            }
            Event::RequestReply {
                channel,
                request,
                success,
            } => self.replied(channel, request, success)?,
            Event::ExitStatus { status, .. } => self.status = Some(status),
            Event::ExitSignal { signal, .. } => {
                log::debug(format!(
                    "the command was ended by signal {}",
                    signal.signal.escape_ascii()
                ));
            }
            Event::ChannelClosed(_) => {
                self.closed = true;
                // What is forwarded may go on for long.
                self.raw = None;
            }
            Event::KeysChanged(negotiated) => show_negotiated(&negotiated),
            Event::Debug {
                always_display,
                message,
                ..
            } => match always_display {
                true => log::info(format!("Remote: {message}")),
                false => log::debug(format!("Remote: {message}")),
            },
            Event::Disconnected(cause) => self.over = Some(cause),
            // What the server asks for is refused by dropping the question.
            _ => {}
        }
        Ok(())
    }

    /// The channel is open: asks for a terminal, sends variables and starts the program.
    fn start(&mut self, channel: ChannelId) -> Result<(), Error> {
        let options = self.options;
        let connection = self.driver.connection_mut();
        if self.wants_pty {
            let pty = ChannelRequest::Pty(terminal::pty(io::stdin()));
            self.pty_request = connection.request(channel, &pty, true)?;
            self.has_pty = true;
        }
        self.forwarding.prepare(channel, connection)?;
        for (name, value) in options.environment() {
            log::debug(format!("channel 0: setting env {name}"));
            let env = ChannelRequest::Env {
                name: name.into(),
                value: value.into(),
            };
            connection.request(channel, &env, false)?;
        }
        let command = options.command.clone();
        let request = match (options.subsystem, command.is_empty()) {
            (true, _) => ChannelRequest::Subsystem(command.into()),
            (false, false) => ChannelRequest::Exec(command.into()),
            (false, true) => ChannelRequest::Shell,
        };
        self.start_request = connection.request(channel, &request, true)?;
        Ok(())
    }

    fn replied(
        &mut self,
        channel: ChannelId,
        request: RequestId,
        success: bool,
    ) -> Result<(), Error> {
        if Some(request) == self.pty_request {
            if !success {
                log::error("PTY allocation request failed on channel 0");
                self.has_pty = false;
            }
        } else if Some(request) == self.start_request {
            if !success {
                let what = if self.options.subsystem {
                    "subsystem"
                } else if self.options.command.is_empty() {
                    "shell"
                } else {
                    "exec"
                };
                return Err(format!("{what} request failed on channel 0").into());
            }
            self.started = true;
            if self.has_pty && isatty(io::stdin()) {
                self.raw = Some(Raw::enter(io::stdin())?);
            }
            if self.input_ended {
                self.finish(channel);
            }
        }
        Ok(())
    }

    fn finish(&mut self, channel: ChannelId) {
        // If the channel is closed by now, nobody waits for the end.
        let _ = self.driver.connection_mut().finish(channel);
    }

    /// Waits for whichever comes first: the server, input that would fit, room for output, a new
    /// size of the terminal, or the time for something.
    fn wait(&mut self) -> Result<(), Error> {
        let stdin = io::stdin();
        let interest = self.driver.interest();
        let wants_input = self.channel.filter(|channel| {
            let room = self.driver.connection().writable_bytes(*channel);
            self.started && !self.input_ended && room.is_ok_and(|room| room > 0)
        });
        let mut socket = PollFlags::empty();
        socket.set(PollFlags::IN, interest.read);
        socket.set(PollFlags::OUT, interest.write);
        let blocked = self
            .held
            .as_ref()
            .map(|chunk| Output::descriptor(chunk.stream));
        let (stdout, stderr) = (io::stdout(), io::stderr());

        let mut entries = vec![PollFd::new(&self.driver, socket)];
        entries.push(PollFd::new(&self.signals, PollFlags::IN));
        if wants_input.is_some() {
            entries.push(PollFd::new(&stdin, PollFlags::IN));
        }
        let forwards = &self.forwarding.forwards;
        let forwarded: Vec<_> = forwards.entries(self.driver.connection()).collect();
        for (descriptor, interest) in &forwarded {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, interest.read);
            flags.set(PollFlags::OUT, interest.write);
            entries.push(PollFd::new(descriptor, flags));
        }
        match blocked {
            Some(Descriptor::Stdout) => entries.push(PollFd::new(&stdout, PollFlags::OUT)),
            Some(Descriptor::Stderr) => entries.push(PollFd::new(&stderr, PollFlags::OUT)),
            None => {}
        }
        let timeouts = [self.driver.timeout(), forwards.timeout()];
        let timeout = timeouts.into_iter().flatten().min().map(timespec);
        // A socket that hung up is always ready, which is of no use where nobody looks at it.
        let first = usize::from(socket.is_empty());
        match poll(&mut entries[first..], timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let signalled = !entries[1].revents().is_empty();
        let input = wants_input.filter(|_| !entries[2].revents().is_empty());
        drop(entries);
        if signalled {
            self.signals.take()?;
            if self.has_pty {
                self.resize();
            }
        }
        if let Some(channel) = input {
            self.read_input(channel)?;
        }
        Ok(())
    }

    fn read_input(&mut self, channel: ChannelId) -> Result<(), Error> {
        let mut buffer = [0; READ];
        let connection = self.driver.connection_mut();
        let room = connection.writable_bytes(channel)?.min(buffer.len());
        match rustix::io::read(io::stdin(), &mut buffer[..room]) {
            Ok(0) => {
                self.input_ended = true;
                self.finish(channel);
            }
            Ok(len) => {
                connection.write(channel, DataStream::Data, &buffer[..len])?;
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => {
                log::debug(format!("standard input: {error}"));
                self.input_ended = true;
                self.finish(channel);
            }
        }
        Ok(())
    }

    /// Writes what was received, and gives the server credit for as much as was written.
    fn write_output(&mut self) -> Result<(), Error> {
        let Some(channel) = self.channel else {
            return Ok(());
        };
        loop {
            let chunk = match self.held.take() {
                Some(chunk) => Some(chunk),
                None => self
                    .driver
                    .connection_mut()
                    .read(channel)
                    .unwrap_or_default(),
            };
            let Some(mut chunk) = chunk else {
                return self.pass_end_on(channel);
            };
            match self.output.write(&chunk) {
                Ok(written) => {
                    let _ = chunk.bytes.split_to(written);
                    if !chunk.bytes.is_empty() {
                        self.held = Some(chunk);
                    }
                }
                Err(Errno::INTR) => self.held = Some(chunk),
                Err(Errno::AGAIN) => {
                    self.held = Some(chunk);
                    return Ok(());
                }
                // Nobody reads any more: nor do we.
                Err(error) => {
                    log::debug(format!("output: {error}"));
                    let _ = self.driver.connection_mut().close_channel(channel);
                }
            }
        }
    }

    /// A connection that ended in one direction still goes on in the other.
    fn pass_end_on(&mut self, channel: ChannelId) -> Result<(), Error> {
        if self.peer_ended && self.options.stdio.is_some() {
            self.peer_ended = false;
            self.output.end()?;
            self.output_ended = true;
        }
        if self.output_ended && self.input_ended {
            // It may be closed already.
            let _ = self.driver.connection_mut().close_channel(channel);
        }
        Ok(())
    }

    fn resize(&mut self) {
        let (columns, rows, width, height) = terminal::size(io::stdin());
        let request = ChannelRequest::WindowChange {
            columns,
            rows,
            width,
            height,
        };
        if let Some(channel) = self.channel {
            // The channel may be closing; then the size is of no interest.
            let _ = self
                .driver
                .connection_mut()
                .request(channel, &request, false);
        }
    }
}

fn describe(cause: &Disconnected, error: Option<&io::Error>) -> String {
    match (cause, error) {
        (Disconnected::Eof, Some(error)) => format!("connection lost: {error}"),
        (Disconnected::Eof, None) => "Connection closed by remote host.".to_owned(),
        (
            Disconnected::ByPeer {
                reason,
                description,
                ..
            },
            _,
        ) => {
            format!("Received disconnect: {}: {description}", reason.0)
        }
        (Disconnected::Error(error), _) => error.to_string(),
        (other, _) => format!("{other:?}"),
    }
}

/// The channel of `-W`, from nowhere that has a name.
fn direct(target: &Target) -> ChannelKind {
    match target {
        Target::Tcp { host, port } => ChannelKind::DirectTcpip {
            host: host.clone().into(),
            port: (*port).into(),
            originator_address: "127.0.0.1".into(),
            originator_port: 65535,
        },
        Target::Unix(path) => ChannelKind::DirectStreamlocal {
            path: path.as_os_str().as_encoded_bytes().to_vec().into(),
        },
    }
}
