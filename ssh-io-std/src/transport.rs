//! Transports: what carries the bytes of a connection, and how a caller waits for it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

/// How long what cannot be waited for is left alone.
const NAP: Duration = Duration::from_millis(1);

/// Something that carries bytes both ways.
///
/// The meaning of the results is that of `Read` and `Write`, and of libssh2's callbacks: a count
/// of bytes, [`WouldBlock`](io::ErrorKind::WouldBlock) for "not now",
/// [`Interrupted`](io::ErrorKind::Interrupted) for "again", otherwise an error, which ends the
/// transport in that direction.
pub trait Transport {
    /// Receives into the front of `buffer`, which is not empty. `Ok(0)`: the peer sends no more.
    ///
    /// # Errors
    /// As above.
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends from the front of `data`, which is not empty. `Ok(0)`: nothing can be sent any more.
    ///
    /// # Errors
    /// As above.
    fn send(&mut self, data: &[u8]) -> io::Result<usize>;

    /// Sends on what was taken and is still held back. Called when there is nothing more to send.
    ///
    /// # Errors
    /// As above.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Ends the sending direction, and says whether the other one still works. By default it does
    /// nothing, and says no: then dropping the transport is all there is.
    ///
    /// # Errors
    /// What failed; the transport is not used again.
    fn shutdown(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

/// A transport on which a blocking caller can wait.
pub trait Wait: Transport {
    /// Prepares the transport for waiting: a socket is made non-blocking, and one of TCP sends at
    /// once (`TCP_NODELAY`). To be called before the first byte.
    ///
    /// # Errors
    /// What failed.
    fn prepare(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Waits until one of the directions of `interest` may be tried, or the time has passed. It
    /// may return early.
    ///
    /// # Errors
    /// What failed; the transport is then taken to be broken.
    fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<()>;

    /// Waits as [`Self::wait`] does, and for any of `others` as well, as
    /// [`Forwards::entries`](crate::Forwards::entries) gives them. By default these are only
    /// looked at each millisecond, and not while the transport itself blocks.
    ///
    /// # Errors
    /// As for [`Self::wait`].
    #[cfg(unix)]
    fn wait_with(
        &mut self,
        interest: Interest,
        others: &[(BorrowedFd<'_>, Interest)],
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let nap = (!others.is_empty()).then_some(NAP);
        self.wait(interest, timeout.into_iter().chain(nap).min())
    }
}

/// The directions that are worth waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interest {
    /// Receiving.
    pub read: bool,
    /// Sending.
    pub write: bool,
}

impl Interest {
    /// Whether there is nothing to wait for.
    pub const fn is_empty(self) -> bool {
        !self.read && !self.write
    }
}

/// Any stream of bytes. In blocking use, it is the stream that blocks.
///
/// For sockets there is no need of it: they are transports themselves, on which both directions
/// go on at the same time and deadlines are kept. A stream that blocks can do one thing at a time:
/// a blocking caller sends all there is, then receives. One that returns
/// [`WouldBlock`](io::ErrorKind::WouldBlock) is asked again after a millisecond.
#[derive(Debug)]
pub struct Stream<S> {
    stream: S,
    /// The last attempt would have blocked.
    starved: bool,
}

impl<S: Read + Write> Stream<S> {
    /// A transport over this stream.
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            starved: false,
        }
    }

    /// The stream back.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Read + Write> Transport for Stream<S> {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        note_starved(&mut self.starved, self.stream.read(buffer))
    }

    fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        note_starved(&mut self.starved, self.stream.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Read + Write> Wait for Stream<S> {
    fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<()> {
        pause(self.starved, interest, timeout);
        Ok(())
    }
}

/// A transport of two closures, for bytes that travel by other means than a stream: libssh2's
/// `send` and `recv` callbacks, with the results that [`Transport`] describes. In blocking use it
/// is as a [`Stream`].
pub struct Closures<S, R> {
    send: S,
    recv: R,
    starved: bool,
}

impl<S, R> Closures<S, R>
where
    S: FnMut(&[u8]) -> io::Result<usize>,
    R: FnMut(&mut [u8]) -> io::Result<usize>,
{
    /// A transport that calls `send` with what is to be sent, and `recv` with a buffer to fill.
    pub const fn new(send: S, recv: R) -> Self {
        Self {
            send,
            recv,
            starved: false,
        }
    }
}

impl<S, R> fmt::Debug for Closures<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closures(..)")
    }
}

impl<S, R> Transport for Closures<S, R>
where
    S: FnMut(&[u8]) -> io::Result<usize>,
    R: FnMut(&mut [u8]) -> io::Result<usize>,
{
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        note_starved(&mut self.starved, (self.recv)(buffer))
    }

    fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        note_starved(&mut self.starved, (self.send)(data))
    }
}

impl<S, R> Wait for Closures<S, R>
where
    S: FnMut(&[u8]) -> io::Result<usize>,
    R: FnMut(&mut [u8]) -> io::Result<usize>,
{
    fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<()> {
        pause(self.starved, interest, timeout);
        Ok(())
    }
}

fn note_starved(starved: &mut bool, result: io::Result<usize>) -> io::Result<usize> {
    *starved = matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    result
}

/// Waits for a transport that blocks by itself: not at all, unless it turned out not to.
fn pause(starved: bool, interest: Interest, timeout: Option<Duration>) {
    if interest.is_empty() {
        thread::sleep(timeout.unwrap_or(NAP));
    } else if starved {
        thread::sleep(timeout.unwrap_or(NAP).min(NAP));
    }
}

macro_rules! socket_transport {
    ($socket:ty $(, $setup:ident)*) => {
        impl Transport for $socket {
            fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.read(buffer)
            }

            fn send(&mut self, data: &[u8]) -> io::Result<usize> {
                self.write(data)
            }

            fn shutdown(&mut self) -> io::Result<bool> {
                <$socket>::shutdown(self, Shutdown::Write).map(|()| true)
            }
        }

        impl Wait for $socket {
            fn prepare(&mut self) -> io::Result<()> {
                $(self.$setup(true)?;)*
                self.set_nonblocking(true)
            }

            fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<()> {
                poll_entries(entry(self.as_fd(), interest).as_mut_slice(), timeout)
            }

            #[cfg(unix)]
            fn wait_with(
                &mut self,
                interest: Interest,
                others: &[(BorrowedFd<'_>, Interest)],
                timeout: Option<Duration>,
            ) -> io::Result<()> {
                let own = [(self.as_fd(), interest)];
                poll_all(own.into_iter().chain(others.iter().copied()), timeout)
            }
        }
    };
}

// Each flight is one write and waits for an answer: nothing is gained by holding it back.
socket_transport!(TcpStream, set_nodelay);
#[cfg(unix)]
socket_transport!(UnixStream);

/// Waits until one of these can be served, or the time has passed, on anything that `poll` takes:
/// for loops that wait for more than a [`Driver`](crate::Driver) and its
/// [`Forwards`](crate::Forwards). Those without interest are left out. It may return early.
///
/// # Errors
/// What the system says.
pub fn poll_all<'fd>(
    entries: impl IntoIterator<Item = (BorrowedFd<'fd>, Interest)>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let entries = entries.into_iter();
    let mut entries: Vec<_> = entries
        .filter_map(|(fd, interest)| entry(fd, interest))
        .collect();
    poll_entries(&mut entries, timeout)
}

/// A socket that hung up is always ready, which is of no use where nobody looks at it.
fn entry(fd: BorrowedFd<'_>, interest: Interest) -> Option<PollFd<'_>> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.read);
    flags.set(PollFlags::OUT, interest.write);
    (!interest.is_empty()).then(|| PollFd::from_borrowed_fd(fd, flags))
}

fn poll_entries(entries: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let timeout = timeout.map(|timeout| Timespec {
        // A day is as good as for ever, and fits everywhere.
        tv_sec: timeout.as_secs().min(86_400) as _,
        tv_nsec: timeout.subsec_nanos() as _,
    });
    match poll(entries, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
