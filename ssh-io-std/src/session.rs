//! A session of the blocking client: one command, its three streams and its end (RFC 4254 section 6).

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use ssh_proto::{
    ChannelId, ChannelKind, ChannelRequest, Chunk, Connection, DataStream, Event, ExitSignal,
    OpenFailure, PeerText, Pty,
};

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::Wait;

/// Output that is kept of one stream while the other is read: as much as the default window.
const MAX_ASIDE: usize = 2 << 20;

/// How a command ended: returned by [`Session::wait`], in an [`Output`], and by
/// [`Session::exit_status`] once it is known (RFC 4254 section 6.10).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this status, zero mostly for success.
    Status(u32),
    /// By a signal, whose name and message are the server's.
    Signal(ExitSignal),
    /// The channel was closed, and the server did not say.
    Unknown,
}

impl Exit {
    /// Whether there was a status, and it was zero.
    pub fn success(&self) -> bool {
        *self == Self::Status(0)
    }
}

/// What a command gave out, and how it ended: returned by [`Session::output`], all of it at once.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The standard output.
    pub stdout: Vec<u8>,
    /// The standard error, and other extended data if there was any (RFC 4254 section 5.2).
    pub stderr: Vec<u8>,
    /// How it ended.
    pub exit: Exit,
}

/// What has become of the session's channel.
#[derive(Debug)]
struct State {
    channel: ChannelId,
    stage: Stage,
    /// The answer to the request that was made last.
    reply: Option<bool>,
    eof: bool,
    exit: Option<Exit>,
}

#[derive(Debug)]
enum Stage {
    Opening,
    Open,
    Refused(OpenFailure, PeerText),
    Closed,
}

impl State {
    fn handle(&mut self, event: Event) {
        let ours = self.channel;
        match event {
            Event::ChannelOpened(channel) if channel == ours => self.stage = Stage::Open,
            Event::ChannelOpenFailed {
                channel,
                reason,
                description,
            } if channel == ours => self.stage = Stage::Refused(reason, description),
            Event::RequestReply {
                channel, success, ..
            } if channel == ours => self.reply = Some(success),
            Event::Eof(channel) if channel == ours => self.eof = true,
            Event::ExitStatus { channel, status } if channel == ours => {
                self.exit = Some(Exit::Status(status));
            }
            Event::ExitSignal { channel, signal } if channel == ours => {
                self.exit = Some(Exit::Signal(signal));
            }
            Event::ChannelClosed(channel) if channel == ours => self.stage = Stage::Closed,
            _ => {}
        }
    }
}

/// A session, returned by [`Client::exec`] and its like with the command running, and by
/// [`Client::session`] with nothing yet: reading it reads the standard output, writing it the
/// standard input. A client has one at a time.
///
/// Dropping it closes the channel, which ends most commands.
#[must_use = "dropping it closes the channel, which ends most commands"]
#[derive(Debug)]
pub struct Session<'c, T: Wait> {
    client: &'c mut Client<T>,
    channel: ChannelId,
    state: State,
    stdout: Aside,
    stderr: Aside,
}

/// Output that was received and not yet asked for.
#[derive(Default)]
struct Aside {
    chunks: VecDeque<Bytes>,
    len: usize,
}

/// Without the output itself.
impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

impl Aside {
    fn push(&mut self, bytes: Bytes) {
        self.len = self.len.saturating_add(bytes.len());
        self.chunks.push_back(bytes);
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some(front) = self.chunks.front_mut() else {
            return 0;
        };
        let len = front.len().min(buffer.len());
        front.copy_to_slice(&mut buffer[..len]);
        if front.is_empty() {
            self.chunks.pop_front();
        }
        self.len = self.len.saturating_sub(len);
        len
    }

    fn take(&mut self) -> Option<Bytes> {
        let bytes = self.chunks.pop_front()?;
        self.len = self.len.saturating_sub(bytes.len());
        Some(bytes)
    }
}

impl<'c, T: Wait> Session<'c, T> {
    pub(crate) fn open(client: &'c mut Client<T>) -> Result<Self, ClientError> {
        let connection = client.driver.connection_mut();
        let opened = connection.open_channel(&ChannelKind::Session);
        let channel = opened.map_err(|error| client.explain(error))?;
        let state = State {
            channel,
            stage: Stage::Opening,
            reply: None,
            eof: false,
            exit: None,
        };
        // From here on, dropping it closes the channel.
        let mut session = Self {
            client,
            channel,
            state,
            stdout: Aside::default(),
            stderr: Aside::default(),
        };
        loop {
            match &session.state.stage {
                Stage::Opening => session.step()?,
                Stage::Open | Stage::Closed => return Ok(session),
                Stage::Refused(reason, description) => {
                    return Err(ClientError::OpenRefused {
                        reason: *reason,
                        description: description.clone(),
                    });
                }
            }
        }
    }

    /// Asks for a pseudo-terminal (RFC 4254 section 6.2).
    ///
    /// # Errors
    /// `RequestRefused`, `Channel`, `Disconnected`, `Io`.
    pub fn pty(&mut self, pty: Pty) -> Result<(), ClientError> {
        self.request(&ChannelRequest::Pty(pty))
    }

    /// Sets a variable for the command (RFC 4254 section 6.4). Servers refuse most names.
    ///
    /// # Errors
    /// `RequestRefused`, `Channel`, `Disconnected`, `Io`.
    pub fn env(&mut self, name: &str, value: &str) -> Result<(), ClientError> {
        self.request(&ChannelRequest::Env {
            name: name.to_owned().into(),
            value: value.to_owned().into(),
        })
    }

    /// Runs a command in it.
    ///
    /// # Errors
    /// `RequestRefused`, `Channel`, `Disconnected`, `Io`.
    pub fn exec(&mut self, command: impl AsRef<[u8]>) -> Result<(), ClientError> {
        self.request(&ChannelRequest::Exec(command.as_ref().to_vec().into()))
    }

    /// Runs the user's shell in it.
    ///
    /// # Errors
    /// `RequestRefused`, `Channel`, `Disconnected`, `Io`.
    pub fn shell(&mut self) -> Result<(), ClientError> {
        self.request(&ChannelRequest::Shell)
    }

    /// Makes a request on it and waits for the answer.
    ///
    /// # Errors
    /// `RequestRefused`, `Channel`, `Disconnected`, `Io`.
    pub fn request(&mut self, request: &ChannelRequest) -> Result<(), ClientError> {
        self.state.reply = None;
        let connection = self.client.driver.connection_mut();
        let made = connection.request(self.channel, request, true);
        made.map_err(|error| self.client.explain(error))?;
        loop {
            let state = &self.state;
            match (state.reply, &state.stage) {
                (Some(true), _) => return Ok(()),
                (Some(false), _) | (None, Stage::Closed) => {
                    return Err(ClientError::RequestRefused);
                }
                (None, _) => self.step()?,
            }
        }
    }

    /// Makes a request on it that has no answer: a signal, a new size of the terminal.
    ///
    /// # Errors
    /// `Channel`, `Disconnected`, `Io`.
    pub fn notify(&mut self, request: &ChannelRequest) -> Result<(), ClientError> {
        let connection = self.client.driver.connection_mut();
        let made = connection.request(self.channel, request, false);
        made.map_err(|error| self.client.explain(error))?;
        self.flush_all()
    }

    /// The standard error, to be read.
    pub fn stderr(&mut self) -> Stderr<'_, 'c, T> {
        Stderr(self)
    }

    /// Ends the standard input.
    ///
    /// # Errors
    /// `Disconnected`, `Io`.
    pub fn finish(&mut self) -> Result<(), ClientError> {
        let connection = self.client.driver.connection_mut();
        match connection.finish(self.channel) {
            // It may be over already.
            Ok(()) | Err(ssh_proto::ChannelError::Closed) => self.flush_all(),
            Err(error) => Err(self.client.explain(error)),
        }
    }

    /// Output of either stream, in the order in which it came. `None`: there will be no more.
    ///
    /// # Errors
    /// `Disconnected`, `Io`.
    pub fn read_chunk(&mut self) -> Result<Option<Chunk>, ClientError> {
        for (aside, stream) in [
            (&mut self.stdout, DataStream::Data),
            (&mut self.stderr, DataStream::STDERR),
        ] {
            if let Some(bytes) = aside.take() {
                return Ok(Some(Chunk { stream, bytes }));
            }
        }
        self.receive()
    }

    /// Ends the standard input, collects both outputs and waits for the command to end.
    ///
    /// # Errors
    /// `OutputUnread` above `limit` bytes, `Disconnected`, `Io`.
    pub fn output(mut self, limit: usize) -> Result<Output, ClientError> {
        self.finish()?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(chunk) = self.read_chunk()? {
            if chunk.bytes.len() > limit.saturating_sub(stdout.len() + stderr.len()) {
                return Err(ClientError::OutputUnread);
            }
            match chunk.stream {
                DataStream::Data => stdout.extend_from_slice(&chunk.bytes),
                DataStream::Extended(_) => stderr.extend_from_slice(&chunk.bytes),
            }
        }
        let exit = self.wait()?;
        Ok(Output {
            stdout,
            stderr,
            exit,
        })
    }

    /// Waits for the command to end, passing over its output.
    ///
    /// # Errors
    /// `Disconnected`, `Io`.
    pub fn wait(&mut self) -> Result<Exit, ClientError> {
        while self.read_chunk()?.is_some() {}
        loop {
            let state = &self.state;
            match (&state.exit, &state.stage) {
                (Some(exit), _) => return Ok(exit.clone()),
                (None, Stage::Closed) => return Ok(Exit::Unknown),
                (None, _) => self.step()?,
            }
        }
    }

    /// How the command ended, as far as is known by now.
    pub fn exit_status(&self) -> Option<&Exit> {
        self.state.exit.as_ref()
    }

    /// Closes the channel and waits until the server has, too.
    ///
    /// # Errors
    /// `Disconnected`, `Io`.
    pub fn close(mut self) -> Result<(), ClientError> {
        // It may be closed already.
        let _ = self
            .client
            .driver
            .connection_mut()
            .close_channel(self.channel);
        while !matches!(self.state.stage, Stage::Closed) {
            self.step()?;
        }
        Ok(())
    }

    /// Waits for the next event.
    fn step(&mut self) -> Result<(), ClientError> {
        if let Some(event) = self.client.step()? {
            self.state.handle(event);
        }
        Ok(())
    }

    /// Sends what may be sent, for as long as it takes.
    fn flush_all(&mut self) -> Result<(), ClientError> {
        let state = &mut self.state;
        self.client.flush(|event| state.handle(event))
    }

    /// The next output, waiting for it.
    fn receive(&mut self) -> Result<Option<Chunk>, ClientError> {
        loop {
            match self.client.driver.connection_mut().read(self.channel) {
                Ok(Some(chunk)) => return Ok(Some(chunk)),
                Ok(None) | Err(ssh_proto::ChannelError::Closed) => {}
                Err(error) => return Err(error.into()),
            }
            let state = &self.state;
            if state.eof || matches!(state.stage, Stage::Closed) {
                return Ok(None);
            }
            self.step()?;
        }
    }

    /// Reads one stream, putting the other aside.
    fn read_stream(&mut self, wanted: DataStream, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let aside = match wanted {
                DataStream::Data => &mut self.stdout,
                DataStream::Extended(_) => &mut self.stderr,
            };
            let len = aside.read(buffer);
            if len > 0 {
                return Ok(len);
            }
            if self.stdout.len.max(self.stderr.len) > MAX_ASIDE {
                return Err(ClientError::OutputUnread.into());
            }
            match self.receive()? {
                None => return Ok(0),
                Some(Chunk {
                    stream: DataStream::Data,
                    bytes,
                }) => self.stdout.push(bytes),
                Some(Chunk { bytes, .. }) => self.stderr.push(bytes),
            }
        }
    }
}

impl<T: Wait> Drop for Session<'_, T> {
    fn drop(&mut self) {
        // Closed already, or the connection is: nothing is left to do.
        let _ = self
            .client
            .driver
            .connection_mut()
            .close_channel(self.channel);
        self.client.driver.transmit();
        // What the peer does not take now is given up, so that nothing keeps the channel open.
        let _ = self
            .client
            .driver
            .connection_mut()
            .close_channel(self.channel);
        self.client.driver.transmit();
    }
}

impl<T: Wait> Read for Session<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_stream(DataStream::Data, buffer)
    }
}

impl<T: Wait> Write for Session<'_, T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        loop {
            let connection = self.client.driver.connection_mut();
            let written = connection.write(self.channel, DataStream::Data, data);
            let written = written.map_err(|error| self.client.explain(error))?;
            if written > 0 {
                self.client.driver.transmit();
                return Ok(written);
            }
            self.step()?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.flush_all()?)
    }
}

/// The standard error of a session, returned by [`Session::stderr`]; what comes on the standard
/// output meanwhile is kept for later.
#[derive(Debug)]
pub struct Stderr<'s, 'c, T: Wait>(&'s mut Session<'c, T>);

impl<T: Wait> Read for Stderr<'_, '_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_stream(DataStream::STDERR, buffer)
    }
}
