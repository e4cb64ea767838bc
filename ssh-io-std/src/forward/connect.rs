//! Connecting without blocking: names are resolved in a thread, addresses tried in turn, all within a time.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect};

use super::Target;
use super::pump::Socket;
use crate::transport::Interest;

/// From asking for a name to a connection: whoever waits at the other end gives up at about then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// For one address, where there is another to try.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// Addresses of one name that are tried: a name may have hundreds.
const MAX_ADDRESSES: usize = 16;

/// Threads of this process that resolve names at once, those whose connection is gone included:
/// the system's resolver cannot be told to stop, and may take the better part of a minute.
const MAX_RESOLVING: usize = 64;

static RESOLVING: AtomicUsize = AtomicUsize::new(0);

/// A connection that is being made.
#[derive(Debug)]
pub(super) struct Connecting {
    stage: Stage,
    deadline: Instant,
    addresses: VecDeque<SocketAddr>,
}

#[derive(Debug)]
enum Stage {
    /// The answer is there, or never will be, when `done` is at its end.
    Resolving {
        answer: Receiver<io::Result<VecDeque<SocketAddr>>>,
        done: UnixStream,
    },
    Trying {
        socket: Socket,
        until: Instant,
    },
    /// The next address is to be tried.
    Next(io::Error),
    Connected(Socket),
}

impl Connecting {
    pub(super) fn start(target: &Target, now: Instant) -> io::Result<Self> {
        let deadline = now + CONNECT_TIMEOUT;
        let mut addresses = VecDeque::new();
        let stage = match target {
            Target::Unix(path) => {
                let stream = connect_unix(path)?;
                Stage::Connected(Socket::Unix(stream))
            }
            Target::Tcp { host, port } => {
                if let Ok(address) = host.parse::<IpAddr>() {
                    addresses.push_back((address, *port).into());
                } else if host.eq_ignore_ascii_case("localhost") {
                    addresses.push_back((Ipv6Addr::LOCALHOST, *port).into());
                    addresses.push_back((Ipv4Addr::LOCALHOST, *port).into());
                }
                match addresses.is_empty() {
                    true => resolve(host, *port)?,
                    false => Stage::Next(io::ErrorKind::NotFound.into()),
                }
            }
        };
        Ok(Self {
            stage,
            deadline,
            addresses,
        })
    }

    /// Goes on as far as it can. `None`: it has to be waited for.
    pub(super) fn advance(&mut self, now: Instant) -> Option<io::Result<Socket>> {
        loop {
            let stage = std::mem::replace(&mut self.stage, timed_out());
            if now >= self.deadline && !matches!(stage, Stage::Connected(_)) {
                return Some(Err(io::ErrorKind::TimedOut.into()));
            }
            self.stage = match stage {
                Stage::Resolving { answer, done } => match answer.try_recv() {
                    Ok(Ok(addresses)) => {
                        self.addresses = addresses;
                        Stage::Next(io::ErrorKind::NotFound.into())
                    }
                    Ok(Err(error)) => return Some(Err(error)),
                    Err(TryRecvError::Disconnected) => {
                        return Some(Err(io::ErrorKind::NotFound.into()));
                    }
                    Err(TryRecvError::Empty) => {
                        self.stage = Stage::Resolving { answer, done };
                        return None;
                    }
                },
                Stage::Next(error) => {
                    let Some(address) = self.addresses.pop_front() else {
                        return Some(Err(error));
                    };
                    match connect_tcp(address) {
                        Ok(stream) => Stage::Trying {
                            socket: Socket::Tcp(stream),
                            until: now + ADDRESS_TIMEOUT,
                        },
                        Err(error) => Stage::Next(error),
                    }
                }
                Stage::Trying { socket, until } => match outcome(&socket) {
                    Ok(true) => Stage::Connected(socket),
                    Ok(false) if now >= until && !self.addresses.is_empty() => timed_out(),
                    Ok(false) => {
                        self.stage = Stage::Trying { socket, until };
                        return None;
                    }
                    Err(error) => Stage::Next(error),
                },
                Stage::Connected(socket) => {
                    return Some(socket.prepare().map(|()| socket));
                }
            };
        }
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        let (fd, read) = match &self.stage {
            Stage::Resolving { done, .. } => (done.as_fd(), true),
            Stage::Trying { socket, .. } => (socket.as_fd(), false),
            Stage::Next(_) | Stage::Connected(_) => return None,
        };
        let write = !read;
        Some((fd, Interest { read, write }))
    }

    /// When to look at it in any case.
    pub(super) fn deadline(&self) -> Instant {
        match &self.stage {
            Stage::Trying { until, .. } if !self.addresses.is_empty() => self.deadline.min(*until),
            _ => self.deadline,
        }
    }
}

fn timed_out() -> Stage {
    Stage::Next(io::ErrorKind::TimedOut.into())
}

/// Asks the system's resolver, in a thread that ends with the answer.
fn resolve(host: &str, port: u16) -> io::Result<Stage> {
    /// One of [`MAX_RESOLVING`].
    struct Place;

    impl Drop for Place {
        fn drop(&mut self) {
            RESOLVING.fetch_sub(1, Ordering::Relaxed);
        }
    }

    let place = Place;
    if RESOLVING.fetch_add(1, Ordering::Relaxed) >= MAX_RESOLVING {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    let (done, signal) = UnixStream::pair()?;
    let (answers, answer) = sync_channel(1);
    let host = host.to_owned();
    thread::Builder::new()
        .name("ssh-resolve".to_owned())
        .spawn(move || {
            let resolved = (host.as_str(), port).to_socket_addrs();
            // Nobody may wait for it any more.
            let _ = answers.send(resolved.map(|all| all.take(MAX_ADDRESSES).collect()));
            drop((signal, place));
        })?;
    Ok(Stage::Resolving { answer, done })
}

/// Whether a connection under way is made.
fn outcome(socket: &Socket) -> io::Result<bool> {
    let Socket::Tcp(stream) = socket else {
        return Ok(true);
    };
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// A socket that no program inherits.
pub(super) fn socket(family: AddressFamily) -> io::Result<OwnedFd> {
    #[cfg(target_vendor = "apple")]
    {
        let fd = rustix::net::socket(family, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
        Ok(fd)
    }
    #[cfg(not(target_vendor = "apple"))]
    {
        use rustix::net::{SocketFlags, socket_with};
        Ok(socket_with(
            family,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?)
    }
}

/// Begins to connect.
fn connect_tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let stream = TcpStream::from(socket(family)?);
    stream.set_nonblocking(true)?;
    match connect(&stream, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(stream),
        Err(error) => Err(error.into()),
    }
}

/// Connects, or fails: where the listener's queue is full, too.
fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::from(socket(AddressFamily::UNIX)?);
    stream.set_nonblocking(true)?;
    connect(&stream, &unix_address(path)?)?;
    Ok(stream)
}

/// The address of a path. The empty one would mean something else.
pub(super) fn unix_address(path: &Path) -> io::Result<SocketAddrUnix> {
    match path.as_os_str().as_bytes() {
        [] | [0, ..] => Err(io::ErrorKind::InvalidInput.into()),
        _ => Ok(SocketAddrUnix::new(path)?),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What comes of it, looked at again and again at this moment.
    fn settle(connecting: &mut Connecting, now: Instant) -> Option<io::Result<Socket>> {
        (0..200).find_map(|_| {
            thread::sleep(Duration::from_millis(1));
            connecting.advance(now)
        })
    }

    fn error_of(outcome: Option<io::Result<Socket>>) -> io::ErrorKind {
        outcome.unwrap().unwrap_err().kind()
    }

    #[test]
    fn an_address_that_does_not_answer_gives_way_to_the_next() {
        let full = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&full, 0).unwrap();
        let full = full.local_addr().map(|address| (full, address)).unwrap();
        let now = Instant::now();
        let trying = |address| Connecting {
            stage: timed_out(),
            deadline: now + CONNECT_TIMEOUT,
            addresses: VecDeque::from([address]),
        };
        // Takes the few places that there are; from then on, nobody answers.
        let mut taken = Vec::new();
        let mut silent = loop {
            let mut connecting = trying(full.1);
            match settle(&mut connecting, now) {
                Some(outcome) => taken.push(outcome.unwrap()),
                None => break connecting,
            }
            assert!(taken.len() < 100);
        };
        let later = now + ADDRESS_TIMEOUT;
        assert!(silent.advance(later).is_none(), "it has no other address");
        assert_eq!(silent.deadline(), now + CONNECT_TIMEOUT);
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        silent.addresses.push_back(open.local_addr().unwrap());
        assert_eq!(silent.deadline(), later);
        assert!(silent.advance(now).is_none());
        let socket = settle(&mut silent, later).unwrap().unwrap();
        assert!(open.accept().is_ok());
        drop(socket);

        let mut silent = trying(full.1);
        assert!(settle(&mut silent, now).is_none());
        let outcome = silent.advance(now + CONNECT_TIMEOUT);
        assert_eq!(error_of(outcome), io::ErrorKind::TimedOut);
    }

    #[test]
    fn names_are_resolved_by_a_bounded_number_of_threads() {
        let now = Instant::now();
        // The system reads this as an address, without asking anybody.
        let start = || Connecting::start(&Target::tcp("127.1", 1), now);
        RESOLVING.fetch_add(MAX_RESOLVING, Ordering::Relaxed);
        assert_eq!(start().unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        assert_eq!(
            RESOLVING.fetch_sub(MAX_RESOLVING, Ordering::Relaxed),
            MAX_RESOLVING
        );
        let outcome = settle(&mut start().unwrap(), now);
        assert_eq!(error_of(outcome), io::ErrorKind::ConnectionRefused);
        while RESOLVING.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
    }
}
