//! A pump: one channel joined to one stream, both ways, each end closed by itself (RFC 4254 section 5.3).

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use bytes::{Buf, Bytes};
use ssh_proto::{ChannelError, ChannelId, Connection, DataStream, Event};

use crate::transport::Interest;
use crate::x11::{CookieSwap, Swapped};

/// A stream of bytes that does not block, can be waited for, and can end its sending half alone:
/// what a [`Pump`] joins to a channel.
pub trait Duplex: Read + Write + AsFd {
    /// Tells the other end that nothing more will be written.
    ///
    /// # Errors
    /// What failed; the stream is then taken not to be written any more all the same.
    fn finish(&mut self) -> io::Result<()>;
}

impl Duplex for TcpStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Duplex for UnixStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A socket of either kind.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// UNIX.
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl Socket {
    /// Makes it what a pump wants: it does not block, and holds nothing back.
    pub(super) fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)
            }
            Self::Unix(stream) => stream.set_nonblocking(true),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(data),
            Self::Unix(stream) => stream.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Duplex for Socket {
    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.finish(),
            Self::Unix(stream) => stream.finish(),
        }
    }
}

/// The direction from the channel to the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inward {
    Open,
    /// The peer sends no more; what there is goes to the stream.
    Ended,
    /// The stream was told the end.
    Shut,
    /// The stream takes no more: what comes is passed over, and what it still says is sent.
    Deaf,
}

/// One channel joined to one stream.
///
/// Nothing is taken from the channel but what the stream takes, so that the peer has credit for
/// what was written and one packet more; nothing is read from the stream but what the channel has
/// room for. The end of either direction is passed on by itself, and when both have ended the
/// channel is closed. A stream that fails closes the channel.
///
/// Used as [`Forwards`](super::Forwards) does: each [event](Self::handle) of the channel, then
/// [`Self::advance`], then a wait for [`Self::interest`].
#[derive(Debug)]
pub struct Pump<S> {
    channel: ChannelId,
    /// Gone once it is of no more use.
    stream: Option<S>,
    /// Taken from the channel, and not yet by the stream.
    held: Bytes,
    /// To be sent in front of what the stream says.
    early: Bytes,
    swap: Option<Box<CookieSwap>>,
    inward: Inward,
    /// The end of the stream has been sent.
    finished: bool,
    /// The channel is no more.
    gone: bool,
}

impl<S: Duplex> Pump<S> {
    /// Joins a channel, which may be still opening, to a stream, which must not block.
    pub const fn new(channel: ChannelId, stream: S) -> Self {
        Self::with(channel, Some(stream))
    }

    /// For a channel that is closed from here, and that the peer has to close yet.
    pub(super) const fn without_stream(channel: ChannelId) -> Self {
        Self::with(channel, None)
    }

    const fn with(channel: ChannelId, stream: Option<S>) -> Self {
        Self {
            channel,
            stream,
            held: Bytes::new(),
            early: Bytes::new(),
            swap: None,
            inward: Inward::Open,
            finished: false,
            gone: false,
        }
    }

    /// As [`Self::new`], where some of what the stream says was read before.
    pub(super) fn with_early(mut self, early: Bytes) -> Self {
        self.early = early;
        self
    }

    /// As [`Self::new`], with the cookie changed that the peer's program shows to a display.
    pub(super) fn with_swap(mut self, swap: Option<Box<CookieSwap>>) -> Self {
        self.swap = swap;
        self
    }

    /// Gives the stream something of our own in front of what the channel brings.
    pub(super) fn tell(&mut self, message: Bytes) {
        self.held = message;
    }

    /// Takes an event of the channel: its opening, its end, its close. Others do nothing.
    pub fn handle(&mut self, event: &Event) {
        match event {
            Event::Eof(channel) if *channel == self.channel => self.end(),
            Event::ChannelClosed(channel) | Event::ChannelOpenFailed { channel, .. }
                if *channel == self.channel =>
            {
                self.end();
                self.gone = true;
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        if self.inward == Inward::Open {
            self.inward = Inward::Ended;
        }
    }

    /// Moves what can be moved, both ways, without blocking. `buffer` is scratch space that many
    /// pumps can share, best of 64 KiB.
    pub fn advance<C: Connection>(&mut self, connection: &mut C, buffer: &mut [u8]) {
        if self.stream.is_none() {
            return;
        }
        let moved = self
            .deliver(connection)
            .and_then(|()| self.collect(connection, buffer));
        let is_shut = matches!(self.inward, Inward::Shut | Inward::Deaf);
        if moved.is_err() || is_shut && (self.finished || self.gone) {
            self.stream = None;
            self.held = Bytes::new();
            // It may be closed already.
            let _ = connection.close_channel(self.channel);
        }
    }

    /// From the channel to the stream.
    fn deliver<C: Connection>(&mut self, connection: &mut C) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        loop {
            if self.held.is_empty() {
                let Ok(Some(chunk)) = connection.read(self.channel) else {
                    break;
                };
                if chunk.stream == DataStream::Data {
                    self.held = chunk.bytes;
                }
                if let Some(swap) = &mut self.swap {
                    match swap.feed(&self.held) {
                        Swapped::More => self.held = Bytes::new(),
                        Swapped::Done(bytes) => {
                            self.held = bytes;
                            self.swap = None;
                        }
                        Swapped::Refused => return Err(io::ErrorKind::PermissionDenied.into()),
                    }
                }
            }
            if self.inward == Inward::Deaf {
                self.held.clear();
            }
            if self.held.is_empty() {
                continue;
            }
            match stream.write(&self.held) {
                Ok(0) => self.inward = Inward::Deaf,
                Ok(count) => self.held.advance(count.min(self.held.len())),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted => {}
                    // It may have said something before.
                    _ => self.inward = Inward::Deaf,
                },
            }
        }
        if self.inward == Inward::Ended {
            // Where it hung up, there is nobody to be told.
            let _ = stream.finish();
            self.inward = Inward::Shut;
        }
        Ok(())
    }

    /// From the stream to the channel.
    fn collect<C: Connection>(&mut self, connection: &mut C, buffer: &mut [u8]) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while !self.finished && !self.gone {
            let sent = connection.write_bytes(self.channel, DataStream::Data, &mut self.early);
            let room = sent.and_then(|_| connection.writable_bytes(self.channel));
            let room = match room {
                Ok(0) | Err(ChannelError::NotOpen) => return Ok(()),
                Ok(room) => room.min(buffer.len()),
                // The peer has closed it: what is still to be delivered is.
                Err(_) => {
                    self.finished = true;
                    return Ok(());
                }
            };
            match stream.read(&mut buffer[..room]) {
                Ok(0) => {
                    self.finished = true;
                    let _ = connection.finish(self.channel);
                }
                Ok(count) => {
                    // It fits, since there was room for it.
                    let _ = connection.write(self.channel, DataStream::Data, &buffer[..count]);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// The channel.
    pub const fn channel(&self) -> ChannelId {
        self.channel
    }

    /// The stream and the directions of it that are worth waiting for, if any is.
    pub fn interest<C: Connection>(&self, connection: &C) -> Option<(BorrowedFd<'_>, Interest)> {
        let stream = self.stream.as_ref()?;
        let has_room = || {
            connection
                .writable_bytes(self.channel)
                .is_ok_and(|room| room > 0)
        };
        let interest = Interest {
            read: !self.finished && !self.gone && has_room(),
            write: !self.held.is_empty(),
        };
        (!interest.is_empty()).then(|| (stream.as_fd(), interest))
    }

    /// Whether the channel is no more.
    pub(super) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether all is done: the channel is closed, and everything it brought was taken.
    pub const fn is_finished(&self) -> bool {
        self.gone && self.stream.is_none()
    }
}
