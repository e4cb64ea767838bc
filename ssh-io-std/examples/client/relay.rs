//! The session: what goes between standard input, output and error and the channel, never more than the other side takes.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::termios::isatty;
use ssh_io_std::Driver;
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    ChannelId, ChannelKind, ChannelRequest, Chunk, ClientConnection, ClientEvent, Connection,
    DataStream, Disconnected, Event, RequestId,
};

use crate::log;
use crate::login::show_negotiated;
use crate::options::Options;
use crate::terminal::{self, Raw};

/// A read of standard input.
const READ: usize = 64 << 10;

/// What a descriptor that blocks takes without, once `poll` says that it can be written.
const PIPE_BUF: usize = 4096;

type Error = Box<dyn std::error::Error>;

pub(crate) struct Relay<'o, T> {
    driver: Driver<ClientConnection, T>,
    options: &'o Options,
    channel: Option<ChannelId>,
    wants_pty: bool,
    pty_request: Option<RequestId>,
    start_request: Option<RequestId>,
    started: bool,
    raw: Option<Raw<io::Stdin>>,
    resized: Option<UnixStream>,
    input_ended: bool,
    output: Output,
    /// Output that waits for its descriptor.
    held: Option<Chunk>,
    status: Option<u32>,
    closed: bool,
    over: Option<Disconnected>,
}

impl<'o, T: AsFd + ssh_io_std::Transport> Relay<'o, T> {
    pub(crate) fn new(driver: Driver<ClientConnection, T>, options: &'o Options) -> Self {
        let has_terminal = isatty(io::stdin());
        let wants_pty = match options.request_tty() {
            2 => true,
            1 => has_terminal,
            0 => has_terminal && options.command.is_empty() && !options.no_command,
            _ => false,
        };
        if options.request_tty() == 1 && !has_terminal {
            log::info("Pseudo-terminal will not be allocated because stdin is not a terminal.");
        }
        Self {
            driver,
            options,
            channel: None,
            wants_pty,
            pty_request: None,
            start_request: None,
            started: false,
            raw: None,
            resized: None,
            input_ended: options.no_stdin,
            output: Output::new(),
            held: None,
            status: None,
            closed: false,
            over: None,
        }
    }

    /// Runs the session to its end; the exit status.
    pub(crate) fn run(mut self) -> Result<u8, Error> {
        if !self.options.no_command {
            let connection = self.driver.connection_mut();
            self.channel = Some(connection.open_channel(&ChannelKind::Session)?);
        }
        while !(self.closed && self.held.is_none()) {
            while let Some(event) = self.driver.poll_event() {
                self.handle(event)?;
            }
            self.write_output()?;
            self.driver.transmit();
            if let Some(cause) = self.over.take() {
                return Err(describe(&cause, self.driver.error()).into());
            }
            if self.closed && self.held.is_none() {
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
        // OpenSSH says 255 where there is no status, as after a signal.
        Ok(self.status.map_or(255, |status| status as u8))
    }

    fn handle(&mut self, event: ClientEvent) -> Result<(), Error> {
        let ClientEvent::Shared(event) = event else {
            // A host key that changes under way is not accepted: dropping the question says so.
            return Ok(());
        };
        match event {
            Event::ChannelOpened(channel) => self.start(channel)?,
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
            Event::ChannelClosed(_) => self.closed = true,
            Event::KeysChanged(negotiated) => show_negotiated(&negotiated),
            Event::Debug {
                always_display,
                message,
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
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(signal_hook::consts::SIGWINCH, theirs)?;
            self.resized = Some(ours);
        }
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
                self.resized = None;
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
            if self.resized.is_some() && isatty(io::stdin()) {
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
        if let Some(winch) = &self.resized {
            entries.push(PollFd::new(winch, PollFlags::IN));
        }
        let input_at = entries.len();
        if wants_input.is_some() {
            entries.push(PollFd::new(&stdin, PollFlags::IN));
        }
        match blocked {
            Some(Descriptor::Stdout) => entries.push(PollFd::new(&stdout, PollFlags::OUT)),
            Some(Descriptor::Stderr) => entries.push(PollFd::new(&stderr, PollFlags::OUT)),
            None => {}
        }
        let timeout = self.driver.timeout().map(timespec);
        // A socket that hung up is always ready, which is of no use where nobody looks at it.
        let first = usize::from(socket.is_empty());
        match poll(&mut entries[first..], timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let resized = self.resized.is_some() && !entries[1].revents().is_empty();
        let input = wants_input.filter(|_| !entries[input_at].revents().is_empty());
        drop(entries);
        if resized {
            self.resize();
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
                return Ok(());
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

    fn resize(&mut self) {
        let mut bytes = [0; 64];
        while matches!(
            self.resized
                .as_ref()
                .map(|mut winch| winch.read(&mut bytes)),
            Some(Ok(1..))
        ) {}
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

enum Descriptor {
    Stdout,
    Stderr,
}

/// Standard output and error. Standard output does not block while this lives, unless it is a
/// terminal, whose modes others share.
struct Output {
    /// The flags of standard output before.
    before: Option<OFlags>,
}

impl Output {
    fn new() -> Self {
        let stdout = io::stdout();
        let before = fcntl_getfl(&stdout).ok().filter(|_| !isatty(&stdout));
        let set = before.filter(|flags| fcntl_setfl(&stdout, *flags | OFlags::NONBLOCK).is_ok());
        Self { before: set }
    }

    fn descriptor(stream: DataStream) -> Descriptor {
        match stream {
            DataStream::Data => Descriptor::Stdout,
            DataStream::Extended(_) => Descriptor::Stderr,
        }
    }

    fn write(&self, chunk: &Chunk) -> rustix::io::Result<usize> {
        match Self::descriptor(chunk.stream) {
            Descriptor::Stdout if self.before.is_some() => {
                rustix::io::write(io::stdout(), &chunk.bytes)
            }
            Descriptor::Stdout => write_some(io::stdout().as_fd(), &chunk.bytes),
            Descriptor::Stderr => write_some(io::stderr().as_fd(), &chunk.bytes),
        }
    }
}

/// Writes as much as can be written at once to a descriptor that blocks.
fn write_some(output: BorrowedFd<'_>, bytes: &[u8]) -> rustix::io::Result<usize> {
    let mut entry = [PollFd::new(&output, PollFlags::OUT)];
    match poll(&mut entry, Some(&timespec(Duration::ZERO)))? {
        0 => Err(Errno::AGAIN),
        _ => rustix::io::write(output, &bytes[..bytes.len().min(PIPE_BUF)]),
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = io::stdout().flush();
        if let Some(flags) = self.before {
            let _ = fcntl_setfl(io::stdout(), flags);
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().min(86_400) as _,
        tv_nsec: duration.subsec_nanos() as _,
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
            },
            _,
        ) => {
            format!("Received disconnect: {}: {description}", reason.0)
        }
        (Disconnected::Error(error), _) => error.to_string(),
        (other, _) => format!("{other:?}"),
    }
}
