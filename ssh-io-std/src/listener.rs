//! The listener: TCP connections as they come in, each accepted or refused before anything is spent on it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ssh_proto::{ServerConfig, ServerConnection};

use crate::clock::Clock;
use crate::driver::Driver;
use crate::random::OsRandom;
use crate::transport::Wait;

/// The first pause after the system had no descriptor or memory for a connection.
const MIN_PAUSE: Duration = Duration::from_millis(10);

/// The longest one: what was short is mostly given back within moments.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Listens for TCP connections and makes servers of them, all with one config.
///
/// ```no_run
/// # fn serve(config: std::sync::Arc<ssh_proto::ServerConfig>) -> std::io::Result<()> {
/// let mut listener = ssh_io_std::Listener::bind("[::]:2222", config)?;
/// loop {
///     // After an error it can go on; it has paused, so that this loop does not spin.
///     let Ok(incoming) = listener.accept() else { continue };
///     std::thread::spawn(move || {
///         let mut driver = incoming.accept()?;
///         while let Some(_event) = driver.next_event()? {
///             // The application's decisions.
///         }
///         std::io::Result::Ok(())
///     });
/// }
/// # }
/// ```
///
/// A server needs no listener: [`Driver::server`] makes one on any transport, such as a stream that
/// inetd or systemd hands over.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    config: Arc<ServerConfig>,
    is_nonblocking: bool,
    pause: Duration,
    paused_until: Option<Instant>,
}

impl Listener {
    /// Binds and listens on the first of the addresses that can be bound, `SO_REUSEADDR` set where
    /// std does so.
    ///
    /// # Errors
    /// Those of resolving and binding.
    pub fn bind(addresses: impl ToSocketAddrs, config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self::new(TcpListener::bind(addresses)?, config))
    }

    /// Listens on a socket that is bound and listens already, in the blocking mode that std makes it
    /// with; [`Self::set_nonblocking`] changes that.
    pub const fn new(socket: TcpListener, config: Arc<ServerConfig>) -> Self {
        Self {
            socket,
            config,
            is_nonblocking: false,
            pause: MIN_PAUSE,
            paused_until: None,
        }
    }

    /// The address, whose port the system chose where it was 0.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Replaces the config for the connections that come from now on.
    pub fn set_config(&mut self, config: Arc<ServerConfig>) {
        self.config = config;
    }

    /// Whether [`Self::accept`] returns `WouldBlock` rather than wait.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_nonblocking(&mut self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)?;
        self.is_nonblocking = nonblocking;
        Ok(())
    }

    /// The next connection.
    ///
    /// A connection that its peer has given up before it was accepted is passed over.
    ///
    /// # Errors
    /// `WouldBlock` if there is none and the listener does not block. What else there is, most of
    /// all a lack of descriptors, passes: call again. A blocking listener has paused by then; of one
    /// that does not block, [`Self::timeout`] says how long to leave it alone.
    pub fn accept(&mut self) -> io::Result<Incoming> {
        if let Some(pause) = self.timeout() {
            if self.is_nonblocking {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            thread::sleep(pause);
        }
        self.paused_until = None;
        loop {
            let error = match self.socket.accept() {
                Ok((stream, peer)) => {
                    self.pause = MIN_PAUSE;
                    let config = Arc::clone(&self.config);
                    return Ok(Incoming {
                        stream,
                        peer,
                        config,
                    });
                }
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Err(error),
                _ => {
                    // The connection stays in the queue: whoever tries at once gets the same again.
                    self.paused_until = Some(Instant::now() + self.pause);
                    self.pause = (self.pause * 2).min(MAX_PAUSE);
                    return Err(error);
                }
            }
        }
    }

    /// How long not to call [`Self::accept`], after an error. `None`: call it when the socket is
    /// readable.
    pub fn timeout(&self) -> Option<Duration> {
        let until = self.paused_until?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// The socket.
    pub fn into_inner(self) -> TcpListener {
        self.socket
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A TCP connection that nothing has been said on yet.
///
/// [`Self::accept`] makes a server of it; dropping it closes it. What to know of the peer before the
/// costly part of a handshake, the core can ask about besides: see `ask_before_kex` of the config.
#[must_use = "dropping it closes the connection"]
pub struct Incoming {
    stream: TcpStream,
    peer: SocketAddr,
    config: Arc<ServerConfig>,
}

impl Incoming {
    /// Where it comes from.
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The socket, to look at or to set options of.
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Makes it a server connection, ready to be driven: non-blocking, without delay.
    ///
    /// # Errors
    /// Those of the socket and of the system's randomness.
    pub fn accept(self) -> io::Result<Driver<ServerConnection, TcpStream>> {
        Driver::server(self.stream, &self.config)
    }

    /// The same with another config than the listener's, as one by address or by load.
    ///
    /// # Errors
    /// As for [`Self::accept`].
    pub fn accept_with(
        self,
        config: &ServerConfig,
    ) -> io::Result<Driver<ServerConnection, TcpStream>> {
        Driver::server(self.stream, config)
    }

    /// Closes it without a word.
    pub fn refuse(self) {}
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl<T: Wait> Driver<ServerConnection, T> {
    /// A server on a transport that a client has opened, wherever it comes from: a listener, inetd,
    /// a pipe, a test.
    ///
    /// # Errors
    /// Those of [`Wait::prepare`] and of the system's randomness.
    pub fn server(mut transport: T, config: &ServerConfig) -> io::Result<Self> {
        transport.prepare()?;
        let clock = Clock::new();
        let connection = ServerConnection::new(config, Box::new(OsRandom), clock.now())
            .map_err(io::Error::other)?;
        Ok(Self::new(connection, transport, clock))
    }
}

impl<C: ssh_proto::Connection, T: Wait> Driver<C, T> {
    /// Drives the connection up to the end of its first key exchange, or to its own end, handing
    /// over the events on the way.
    ///
    /// Nobody has to call it: a connection that is driven gets there by itself. It is for those who
    /// want this step by itself, with a thread to wait in.
    ///
    /// # Errors
    /// As for [`Self::next_event`]; `UnexpectedEof` if the connection ended first, of which its last
    /// event has told.
    pub fn handshake(&mut self, mut on_event: impl FnMut(&mut C, C::Event)) -> io::Result<()> {
        while self.connection().is_handshaking() || self.connection().is_closed() {
            match self.next_event()? {
                Some(event) => on_event(self.connection_mut(), event),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(())
    }
}
