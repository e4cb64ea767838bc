//! Forwarding: the listeners, connects and pumps of one connection, driven beside it (RFC 4254 sections 6.3 and 7).

mod client;
mod connect;
mod dialogue;
mod listen;
mod pump;
mod remote;
mod remote_socks;
mod session;
pub mod socks;
mod target;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ssh_proto::{
    ChannelError, ChannelId, ChannelKind, Connection, Event, GlobalRequest, IncomingChannel,
    OpenFailure,
};

use self::connect::Connecting;
use self::dialogue::Dialogue;
pub use self::listen::{ListenId, ListenSocket, bind_private};
use self::listen::{Listener, Purpose};
pub use self::pump::{Duplex, Pump, Socket};
pub use self::remote::Bind;
use self::remote::Remote;
use self::remote_socks::Proxied;
use self::socks::SocksRequest;
pub use self::target::{Gateway, Target};
use crate::transport::Interest;
use crate::x11::{CookieSwap, X11Forward};

/// Listeners of one connection: a client that may listen must not take all descriptors.
const MAX_LISTENERS: usize = 100;

/// Connections that are being made for one connection's peer, each a descriptor and perhaps a
/// thread: as many as a browser has under way. More are refused.
const MAX_CONNECTING: usize = 128;

/// Streams whose channel is closed and that have not taken its last packet yet: the peer may open
/// others in place of their channels. The data of more than these is given up.
const MAX_LINGERING: usize = 64;

/// Connections taken from one listener in a row, so that the others have their turn.
const ACCEPTED_AT_ONCE: usize = 16;

/// What is read from a stream at once.
const BUFFER: usize = 64 << 10;

/// When a connection that found no room for a channel tries again. Room can come without an event.
const RETRY: Duration = Duration::from_millis(100);

type PermitOpen = Box<dyn FnMut(&Target) -> bool + Send>;
type PermitListen = Box<dyn FnMut(&GlobalRequest) -> Option<Gateway> + Send>;

/// Everything that one connection forwards: listeners, connections being made, and pumps.
///
/// It moves only when it is called, beside the connection: [`Self::handle`] takes the events,
/// [`Self::advance`] moves bytes, and the descriptors of [`Self::entries`] are waited for with the
/// transport, at most for [`Self::timeout`]. [`Driver::wait_with`](crate::Driver::wait_with) does
/// the waiting where there is nothing else to wait for, and a [`Client`](crate::Client) does
/// everything:
///
/// ```no_run
/// # use ssh_io_std::{Driver, Forwards};
/// # use ssh_proto::{Connection, ServerConnection, ServerEvent};
/// # fn on_event(_: ServerEvent, _: &mut ServerConnection) {}
/// # fn serve<T: ssh_io_std::Wait>(mut driver: Driver<ServerConnection, T>) -> std::io::Result<()> {
/// let mut forwards = Forwards::new();
/// forwards.permit_open(|target| *target == ssh_io_std::Target::tcp("localhost", 5432));
/// while !driver.is_finished() {
///     while let Some(event) = driver.poll_event() {
///         let connection = driver.connection_mut();
///         let event = match event {
///             ServerEvent::Shared(event) => forwards.handle(event, connection).map(Into::into),
///             event => Some(event),
///         };
///         if let Some(event) = event {
///             on_event(event, connection);
///         }
///     }
///     forwards.advance(driver.connection_mut());
///     driver.transmit();
///     driver.wait_with(&forwards, None)?;
///     driver.drive();
/// }
/// # Ok(())
/// # }
/// ```
///
/// Nothing is permitted at first. Dropping it, like the end of the connection, closes everything.
#[derive(Default)]
pub struct Forwards {
    listeners: Vec<Listener>,
    next_listener: u64,
    dialogues: Vec<Dialogue>,
    connecting: Vec<(IncomingChannel, Connecting, Option<Box<CookieSwap>>)>,
    links: HashMap<ChannelId, Link>,
    remotes: Vec<Remote>,
    proxied: Vec<Proxied>,
    permit_open: Option<PermitOpen>,
    permit_listen: Option<PermitListen>,
    agent: Option<PathBuf>,
    x11: Option<X11Forward>,
    buffer: Vec<u8>,
}

/// A pump, and what has to be said to its stream before it starts.
struct Link {
    pump: Pump<Socket>,
    socks: Option<SocksRequest>,
}

impl Forwards {
    /// Nothing is forwarded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the client have connections made to the targets for which this says yes; others are
    /// refused. They are made with the rights of this process. For servers.
    pub fn permit_open(&mut self, permit: impl FnMut(&Target) -> bool + Send + 'static) {
        self.permit_open = Some(Box::new(permit));
    }

    /// Lets the client have us listen for it, where this says so; other requests are refused.
    /// UNIX sockets are made with the rights of this process, for its user only, where no file is.
    /// For servers.
    pub fn permit_listen(
        &mut self,
        permit: impl FnMut(&GlobalRequest) -> Option<Gateway> + Send + 'static,
    ) {
        self.permit_listen = Some(Box::new(permit));
    }

    /// Forwards the agent at this path to a server that was asked to (`auth-agent-req`). For
    /// clients.
    pub fn forward_agent(&mut self, path: impl Into<PathBuf>) {
        self.agent = Some(path.into());
    }

    /// Forwards a display to a server that was asked to, with [`X11Forward::request`]. For
    /// clients.
    pub fn forward_x11(&mut self, x11: X11Forward) {
        self.x11 = Some(x11);
    }

    /// Has the peer connect to a target whoever connects to this socket. For clients. A UNIX
    /// socket's file is removed when this ends; [`bind_private`] makes one.
    ///
    /// # Errors
    /// `QuotaExceeded` above 100 listeners; what the system says.
    pub fn listen(
        &mut self,
        socket: impl Into<ListenSocket>,
        target: Target,
    ) -> io::Result<ListenId> {
        self.add_listener(socket, Purpose::Direct(target), None)
    }

    /// As [`Self::listen`], where each connection says by SOCKS 4, 4a or 5 where to.
    ///
    /// # Errors
    /// As for [`Self::listen`].
    pub fn listen_socks(&mut self, socket: impl Into<ListenSocket>) -> io::Result<ListenId> {
        self.add_listener(socket, Purpose::Socks, None)
    }

    /// Listens no more. What was accepted goes on.
    pub fn stop(&mut self, listener: ListenId) {
        self.listeners.retain(|open| open.id != listener);
    }

    fn add_listener(
        &mut self,
        socket: impl Into<ListenSocket>,
        purpose: Purpose,
        owner: Option<ChannelId>,
    ) -> io::Result<ListenId> {
        if self.listeners.len() >= MAX_LISTENERS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let id = ListenId(self.next_listener);
        let mut listener = Listener::new(id, socket, purpose)?;
        listener.owner = owner;
        self.next_listener += 1;
        self.listeners.push(listener);
        Ok(id)
    }

    /// Accepts a channel of the peer and joins it to a stream.
    ///
    /// # Errors
    /// What the system says of the stream; `NotConnected` if the channel is no more.
    pub fn join<C: Connection>(
        &mut self,
        connection: &mut C,
        channel: IncomingChannel,
        stream: impl Into<Socket>,
    ) -> io::Result<ChannelId> {
        let stream = stream.into();
        stream.prepare()?;
        self.accept_link(connection, channel, stream, None)
    }

    /// Joins a channel that we opened, which need not be open yet, or accepted, to a stream: at
    /// once, since its events are to come here. [`Self::handle`] keeps them from then on, and
    /// refuses requests on it.
    ///
    /// # Errors
    /// What the system says of the stream.
    pub fn attach(&mut self, channel: ChannelId, stream: impl Into<Socket>) -> io::Result<()> {
        let stream = stream.into();
        stream.prepare()?;
        self.link(Pump::new(channel, stream), None);
        Ok(())
    }

    fn accept_link<C: Connection>(
        &mut self,
        connection: &mut C,
        token: IncomingChannel,
        stream: Socket,
        swap: Option<Box<CookieSwap>>,
    ) -> io::Result<ChannelId> {
        let channel = connection
            .accept_channel(token)
            .map_err(|_| io::ErrorKind::NotConnected)?;
        self.link(Pump::new(channel, stream).with_swap(swap), None);
        Ok(channel)
    }

    fn link(&mut self, pump: Pump<Socket>, socks: Option<SocksRequest>) {
        self.links.insert(pump.channel(), Link { pump, socks });
    }

    /// Connects a `direct-tcpip` or `direct-streamlocal` channel to what it asks for, without
    /// asking [`Self::permit_open`]: accepts it once that is done, refuses it if it fails. Other
    /// kinds are refused.
    pub fn connect<C: Connection>(&mut self, connection: &mut C, channel: IncomingChannel) {
        match Target::asked(channel.kind()) {
            Some(target) => self.connect_to(connection, channel, &target, None),
            None => refuse(connection, channel, OpenFailure::CONNECT_FAILED, ""),
        }
    }

    fn connect_to<C: Connection>(
        &mut self,
        connection: &mut C,
        channel: IncomingChannel,
        target: &Target,
        swap: Option<Box<CookieSwap>>,
    ) {
        if self.connecting.len() >= MAX_CONNECTING {
            return refuse(connection, channel, OpenFailure::RESOURCE_SHORTAGE, "");
        }
        match Connecting::start(target, Instant::now()) {
            Ok(connecting) => self.connecting.push((channel, connecting, swap)),
            Err(error) => refuse_for(connection, channel, &error),
        }
    }

    /// Takes an event, and gives it back if it is not, or not only, about what is forwarded:
    /// the end of the connection and the replies to global requests always come back.
    #[must_use = "an event that comes back is the application's to handle"]
    pub fn handle<C: Connection>(&mut self, event: Event, connection: &mut C) -> Option<Event> {
        match event {
            Event::ChannelOpened(channel)
            | Event::ChannelOpenFailed { channel, .. }
            | Event::Readable(channel)
            | Event::Writable(channel)
            | Event::Eof(channel)
            | Event::ChannelClosed(channel)
            | Event::RequestReply { channel, .. } => {
                if let Event::ChannelClosed(owner) = event {
                    self.listeners.retain(|open| open.owner != Some(owner));
                }
                if let Some(link) = self.links.get_mut(&channel) {
                    link.handle(&event);
                    return None;
                }
                if let Some(proxied) = self.proxied_by(channel) {
                    proxied.handle(&event);
                    return None;
                }
                Some(event)
            }
            // Nothing can be asked on these: dropping the question says so.
            Event::Request(request)
                if self.links.contains_key(&request.channel())
                    || self.proxied_by(request.channel()).is_some() =>
            {
                None
            }
            Event::ChannelOpen(channel) => self.opened_by_peer(connection, channel),
            Event::GlobalRequest(request) => self.asked_by_peer(connection, request),
            Event::GlobalReply {
                request,
                ref result,
            } => {
                self.remote_replied(request, result);
                Some(event)
            }
            Event::Disconnected(_) => {
                // What was received is still delivered, as far as it is taken at once.
                self.advance(connection);
                self.clear();
                Some(event)
            }
            event => Some(event),
        }
    }

    fn proxied_by(&mut self, channel: ChannelId) -> Option<&mut Proxied> {
        let mut proxied = self.proxied.iter_mut();
        proxied.find(|proxied| proxied.channel() == channel)
    }

    fn opened_by_peer<C: Connection>(
        &mut self,
        connection: &mut C,
        channel: IncomingChannel,
    ) -> Option<Event> {
        let (target, swap) = match channel.kind() {
            kind @ (ChannelKind::DirectTcpip { .. } | ChannelKind::DirectStreamlocal { .. }) => {
                let Some(permit) = &mut self.permit_open else {
                    return Some(Event::ChannelOpen(channel));
                };
                let Some(target) = Target::asked(kind).filter(|target| permit(target)) else {
                    let reason = OpenFailure::ADMINISTRATIVELY_PROHIBITED;
                    refuse(connection, channel, reason, "");
                    return None;
                };
                (Some(target), None)
            }
            ChannelKind::AuthAgent | ChannelKind::AgentConnect => {
                (self.agent.clone().map(Target::Unix), None)
            }
            ChannelKind::X11 { .. } => match &self.x11 {
                Some(x11) => (Some(x11.target().clone()), Some(x11.swap())),
                None => (None, None),
            },
            kind => match self.remote_target(kind) {
                Some(None) => {
                    self.proxy(connection, channel);
                    return None;
                }
                target => (target.flatten(), None),
            },
        };
        match target {
            Some(target) => self.connect_to(connection, channel, &target, swap),
            None => return Some(Event::ChannelOpen(channel)),
        }
        None
    }

    /// Moves everything as far as it goes without blocking. To be called before each wait, and
    /// before the connection transmits.
    pub fn advance<C: Connection>(&mut self, connection: &mut C) {
        if self.is_idle() && self.listeners.is_empty() {
            return;
        }
        let now = Instant::now();
        self.advance_connects(connection, now);
        self.advance_listeners(connection, now);
        self.advance_dialogues(connection, now);
        self.advance_proxied(connection, now);
        if self.links.is_empty() {
            self.buffer = Vec::new();
            return;
        }
        self.buffer.resize(BUFFER, 0);
        let mut lingering = 0;
        self.links.retain(|_, link| {
            if link.socks.is_none() {
                link.pump.advance(connection, &mut self.buffer);
            }
            lingering += usize::from(link.pump.is_gone());
            !link.pump.is_finished() && (!link.pump.is_gone() || lingering <= MAX_LINGERING)
        });
    }

    fn advance_connects<C: Connection>(&mut self, connection: &mut C, now: Instant) {
        let mut at = 0;
        while let Some((_, connecting, _)) = self.connecting.get_mut(at) {
            let Some(outcome) = connecting.advance(now) else {
                at += 1;
                continue;
            };
            let (channel, _, swap) = self.connecting.swap_remove(at);
            match outcome {
                // It fails only where the connection has ended, which closes everything.
                Ok(socket) => drop(self.accept_link(connection, channel, socket, swap)),
                Err(error) => refuse_for(connection, channel, &error),
            }
        }
    }

    fn advance_listeners<C: Connection>(&mut self, connection: &mut C, now: Instant) {
        let mut at = 0;
        while let Some(listener) = self.listeners.get_mut(at) {
            let mut over = false;
            for _ in 0..ACCEPTED_AT_ONCE {
                let Some((socket, origin)) = listener.accept(now) else {
                    break;
                };
                let Some(kind) = listener.purpose.channel(origin.clone()) else {
                    if let Err(back) = Dialogue::begin(&mut self.dialogues, socket, origin, now) {
                        listener.waiting = Some(back);
                        break;
                    }
                    continue;
                };
                match connection.open_channel(&kind) {
                    Ok(channel) => {
                        let pump = Pump::new(channel, socket);
                        self.links.insert(channel, Link { pump, socks: None });
                        over = listener.once;
                        if over {
                            break;
                        }
                    }
                    Err(ChannelError::Blocked | ChannelError::NotOpen) => {
                        listener.waiting = Some((socket, origin));
                        break;
                    }
                    // It cannot be asked for; whoever connected is told by the close.
                    Err(_) => {}
                }
            }
            if over {
                let owner = listener.owner;
                self.listeners
                    .retain(|open| !open.once || open.owner != owner);
            } else {
                at += 1;
            }
        }
    }

    /// The descriptors to wait for. To be asked after [`Self::advance`], when the connection has
    /// transmitted.
    pub fn entries<C: Connection>(
        &self,
        connection: &C,
    ) -> impl Iterator<Item = (BorrowedFd<'_>, Interest)> {
        const READ: Interest = Interest {
            read: true,
            write: false,
        };
        let listeners = self.listeners.iter().filter_map(Listener::fd);
        let dialogues = self.dialogues.iter().filter_map(Dialogue::fd);
        let readers = listeners.chain(dialogues).map(|fd| (fd, READ));
        let connecting = self.connecting.iter();
        let connecting = connecting.filter_map(|(_, connecting, _)| connecting.interest());
        let connecting = connecting.chain(self.proxied.iter().filter_map(Proxied::interest));
        let links = self.links.values().filter(|link| link.socks.is_none());
        let links = links.filter_map(move |link| link.pump.interest(connection));
        readers.chain(connecting).chain(links)
    }

    /// How long to wait at most; `None`: for ever.
    pub fn timeout(&self) -> Option<Duration> {
        let rests = self.listeners.iter().filter_map(Listener::rests_until);
        let connects = self.connecting.iter().map(|(_, open, _)| open.deadline());
        let dialogues = self.dialogues.iter().map(Dialogue::deadline);
        let proxied = self.proxied.iter().map(Proxied::deadline);
        let next = rests.chain(connects).chain(dialogues).chain(proxied).min();
        let next = next.map(|at| at.saturating_duration_since(Instant::now()));
        let blocked = self.listeners.iter().any(|open| open.waiting.is_some())
            || self.dialogues.iter().any(Dialogue::is_blocked);
        next.into_iter().chain(blocked.then_some(RETRY)).min()
    }

    /// Whether no stream is being forwarded or about to be. There may be listeners.
    pub fn is_idle(&self) -> bool {
        let streams = self.links.is_empty() && self.connecting.is_empty();
        streams && self.dialogues.is_empty() && self.proxied.is_empty()
    }

    /// Closes everything, for a connection that is over. What is permitted stays so.
    fn clear(&mut self) {
        self.listeners.clear();
        self.dialogues.clear();
        self.connecting.clear();
        self.proxied.clear();
        self.links.clear();
        self.remotes.clear();
        self.buffer = Vec::new();
    }
}

impl Link {
    fn handle(&mut self, event: &Event) {
        let reply = match (event, &self.socks) {
            (Event::ChannelOpened(_), Some(request)) => Some(request.granted()),
            (Event::ChannelOpenFailed { reason, .. }, Some(request)) => {
                Some(request.refused(*reason))
            }
            _ => None,
        };
        if let Some(reply) = reply {
            self.socks = None;
            self.pump.tell(Bytes::from_static(reply));
        }
        self.pump.handle(event);
    }
}

/// Without what is on its way, and the cookies.
impl fmt::Debug for Forwards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwards")
            .field("listeners", &self.listeners)
            .field("connecting", &self.connecting.len())
            .field("streams", &self.links.len())
            .field("remotes", &self.remotes)
            .finish_non_exhaustive()
    }
}

/// A refusal fails only where the question has lapsed.
fn refuse<C: Connection>(
    connection: &mut C,
    channel: IncomingChannel,
    reason: OpenFailure,
    description: &str,
) {
    let _ = connection.reject_channel(channel, reason, description);
}

fn refuse_for<C: Connection>(connection: &mut C, channel: IncomingChannel, error: &io::Error) {
    let reason = match error.kind() {
        io::ErrorKind::QuotaExceeded => OpenFailure::RESOURCE_SHORTAGE,
        _ => OpenFailure::CONNECT_FAILED,
    };
    refuse(connection, channel, reason, &error.kind().to_string());
}
