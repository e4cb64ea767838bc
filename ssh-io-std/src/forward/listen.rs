//! Listeners: sockets whose connections become channels of one kind, gone with their owner (RFC 4254 section 7).

use std::fs::{self, File, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::net::{AddressFamily, bind, listen};
use ssh_proto::{ChannelId, ChannelKind};

use super::connect::{socket, unix_address};
use super::pump::Socket;
use super::{Gateway, Target};
use crate::agent::PrivateSocket;
use crate::x11::FIRST_PORT;

/// How long a listener rests when the system has no descriptor or memory left, as in OpenSSH: the
/// connection stays in its queue, and would be offered again at once.
const REST: Duration = Duration::from_secs(1);

/// Connections that may wait to be accepted, as in std.
const BACKLOG: i32 = 128;

/// The first display that a server offers, as in OpenSSH: those below may be real ones.
const FIRST_DISPLAY: u16 = 10;

/// Displays of a machine, as in OpenSSH.
const MAX_DISPLAYS: u16 = 1000;

/// Ports chosen by the system that are given up because the other family has them in use.
const PORT_ATTEMPTS: usize = 10;

/// Names a listener of its [`Forwards`](super::Forwards).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenId(pub(super) u64);

/// A socket that listens, of either kind.
#[derive(Debug)]
pub enum ListenSocket {
    /// TCP.
    Tcp(TcpListener),
    /// UNIX.
    Unix(UnixListener),
}

impl From<TcpListener> for ListenSocket {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for ListenSocket {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// What becomes of the connections.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The peer connects them to this.
    Direct(Target),
    /// They say themselves where to.
    Socks,
    /// The client asked for them, in these words.
    Tcpip {
        address: Bytes,
        port: u32,
    },
    Streamlocal {
        path: Bytes,
    },
    /// Programs of a session look for the client's agent; the kind of channel.
    Agent(ChannelKind),
    /// Programs of a session look for the client's display.
    X11,
}

/// Where a connection comes from, as far as there are words for it.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) address: Bytes,
    pub(super) port: u32,
}

impl Origin {
    fn of(address: SocketAddr) -> Self {
        Self {
            address: address.ip().to_canonical().to_string().into(),
            port: address.port().into(),
        }
    }

    /// What OpenSSH says of UNIX sockets.
    const fn local() -> Self {
        Self {
            address: Bytes::from_static(b"127.0.0.1"),
            port: 65535,
        }
    }
}

impl Purpose {
    /// The channel for a connection; `None` where it is not known yet.
    pub(super) fn channel(&self, origin: Origin) -> Option<ChannelKind> {
        let Origin { address, port } = origin;
        Some(match self {
            Self::Direct(target) => target.channel(address, port),
            Self::Socks => return None,
            Self::Tcpip {
                address: bound,
                port: bound_port,
            } => ChannelKind::ForwardedTcpip {
                address: bound.clone(),
                port: *bound_port,
                originator_address: address,
                originator_port: port,
            },
            Self::Streamlocal { path } => ChannelKind::ForwardedStreamlocal { path: path.clone() },
            Self::Agent(kind) => kind.clone(),
            Self::X11 => ChannelKind::X11 {
                originator_address: address,
                originator_port: port,
            },
        })
    }
}

/// A listener and the connection it has for us.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) id: ListenId,
    pub(super) purpose: Purpose,
    /// The session with which it ends.
    pub(super) owner: Option<ChannelId>,
    /// One connection is all it serves.
    pub(super) once: bool,
    socket: ListenSocket,
    /// Accepted, and without a channel yet.
    pub(super) waiting: Option<(Socket, Origin)>,
    /// When it is looked at again.
    rests_until: Option<Instant>,
    /// Removed with it.
    _file: Option<SocketFile>,
    pub(super) private: Option<PrivateSocket>,
}

impl Listener {
    pub(super) fn new(
        id: ListenId,
        socket: impl Into<ListenSocket>,
        purpose: Purpose,
    ) -> io::Result<Self> {
        let socket = socket.into();
        let file = match &socket {
            ListenSocket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                None
            }
            ListenSocket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                SocketFile::of(listener)
            }
        };
        Ok(Self {
            id,
            purpose,
            owner: None,
            once: false,
            socket,
            waiting: None,
            rests_until: None,
            _file: file,
            private: None,
        })
    }

    /// The next connection.
    pub(super) fn accept(&mut self, now: Instant) -> Option<(Socket, Origin)> {
        if let Some(waiting) = self.waiting.take() {
            return Some(waiting);
        }
        if self.rests_until.is_some_and(|until| now < until) {
            return None;
        }
        self.rests_until = None;
        loop {
            let accepted = match &self.socket {
                ListenSocket::Tcp(listener) => listener
                    .accept()
                    .map(|(stream, address)| (Socket::Tcp(stream), Origin::of(address))),
                ListenSocket::Unix(listener) => listener
                    .accept()
                    .map(|(stream, _)| (Socket::Unix(stream), Origin::local())),
            };
            match accepted {
                Ok((socket, origin)) => {
                    // It fails for what hung up meanwhile.
                    if socket.prepare().is_ok() {
                        return Some((socket, origin));
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return None,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        self.rests_until = Some(now + REST);
                        return None;
                    }
                },
            }
        }
    }

    /// What to wait for, if a connection could be taken.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        let ready = self.waiting.is_none() && self.rests_until.is_none();
        ready.then(|| match &self.socket {
            ListenSocket::Tcp(listener) => listener.as_fd(),
            ListenSocket::Unix(listener) => listener.as_fd(),
        })
    }

    pub(super) fn private_path(&self) -> Option<&Path> {
        self.private.as_ref().map(PrivateSocket::path)
    }

    pub(super) const fn rests_until(&self) -> Option<Instant> {
        self.rests_until
    }
}

/// The file of a UNIX socket, removed when dropped if it is still that one.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(listener: &UnixListener) -> Option<Self> {
        let path = listener.local_addr().ok()?.as_pathname()?.to_owned();
        let identity = Self::identity(&path)?;
        Some(Self { path, identity })
    }

    fn identity(path: &Path) -> Option<(u64, u64)> {
        let metadata = fs::symlink_metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::identity(&self.path) == Some(self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on a UNIX socket that only its owner may connect to, at a path where nothing is.
///
/// # Errors
/// What the system says.
pub fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let owner_only = || Permissions::from_mode(0o600);
    // Linux takes the mode of the file from that of the socket, so that at no time others may.
    let socket = File::from(socket(AddressFamily::UNIX)?);
    let _ = socket.set_permissions(owner_only());
    let socket = OwnedFd::from(socket);
    bind(&socket, &unix_address(path)?)?;
    if !cfg!(target_os = "linux") {
        fs::set_permissions(path, owner_only())?;
    }
    listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// Listens where a client asked for it; all have the same port.
pub(super) fn bind_asked(
    address: &[u8],
    port: u16,
    gateway: Gateway,
) -> io::Result<(Vec<TcpListener>, u16)> {
    let listeners = match (gateway, address) {
        (Gateway::Loopback, _) | (Gateway::AsAsked, b"localhost") => bind_loopback(port)?,
        (Gateway::AsAsked, b"" | b"*") => bind_everywhere(port)?,
        (Gateway::AsAsked, literal) => {
            let text = str::from_utf8(literal).ok();
            let address: IpAddr = text
                .and_then(|text| text.parse().ok())
                .ok_or(io::ErrorKind::InvalidInput)?;
            vec![TcpListener::bind((address, port))?]
        }
    };
    let port = port_of(listeners.first())?;
    Ok((listeners, port))
}

fn port_of(listener: Option<&TcpListener>) -> io::Result<u16> {
    let listener = listener.ok_or(io::ErrorKind::NotFound)?;
    Ok(listener.local_addr()?.port())
}

/// Both families, where there are both: whoever had the other one's port would be taken for us
/// (CVE-2008-1483).
fn bind_loopback(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut attempts = PORT_ATTEMPTS;
    loop {
        let mut listeners = vec![TcpListener::bind((Ipv4Addr::LOCALHOST, port))?];
        let bound = port_of(listeners.first())?;
        match TcpListener::bind((Ipv6Addr::LOCALHOST, bound)) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                attempts -= 1;
                if port != 0 || attempts == 0 {
                    return Err(error);
                }
                continue;
            }
            // There is no such family here.
            Err(_) => {}
        }
        return Ok(listeners);
    }
}

/// Mostly, the socket of one family serves both.
fn bind_everywhere(port: u16) -> io::Result<Vec<TcpListener>> {
    let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
        Err(_) => return Ok(vec![TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?]),
        Ok(listener) => listener,
    };
    let port = port_of(Some(&listener))?;
    let other = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    Ok(std::iter::once(listener).chain(other).collect())
}

/// Listens on the first display that is free.
pub(super) fn bind_display() -> io::Result<(Vec<TcpListener>, u16)> {
    for display in FIRST_DISPLAY..FIRST_DISPLAY + MAX_DISPLAYS {
        match bind_loopback(FIRST_PORT + display) {
            Ok(listeners) => return Ok((listeners, display)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// The bytes of a path, as channels carry them.
pub(super) fn path_bytes(path: &Path) -> Bytes {
    Bytes::copy_from_slice(path.as_os_str().as_bytes())
}
