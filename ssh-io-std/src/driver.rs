//! The driver: one connection on one transport, moved on as far as both let it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use ssh_proto::{Connection, Instant};

use crate::clock::Clock;
use crate::transport::{Interest, Transport, Wait};

/// Room for input at first, and again once a connection has been quiet.
const MIN_ROOM: usize = 8 << 10;

/// Room for input of a bulk transfer: the kernel's share of the cost is the larger one, so a read
/// should bring as much as there is.
const MAX_ROOM: usize = 256 << 10;

/// Below this, more is gathered before it is sent, so that writes are whole batches. With the
/// 128 KiB or so of one `poll_transmit`, output stays below 300 KiB.
const LOW_WATER: usize = 128 << 10;

/// The time without input after which the memory for input and output is given back.
const QUIET: Duration = Duration::from_secs(1);

/// How long an ending connection has for its goodbye, and its peer to hang up. A socket that is
/// closed with input unread resets the connection, and what we sent last may be lost.
const LINGER: Duration = Duration::from_secs(2);

/// A connection on a transport.
///
/// The driver moves bytes, keeps time and never decides anything. It does not block unless the
/// transport does, and works alike in a loop of its own and in one that serves many:
///
/// ```no_run
/// # use ssh_proto::{ClientConnection, Connection};
/// # fn on_event(_: ssh_proto::ClientEvent, _: &mut ClientConnection) {}
/// # fn serve<T: ssh_io_std::Wait>(mut driver: ssh_io_std::Driver<ClientConnection, T>) -> std::io::Result<()> {
/// while !driver.is_finished() {
///     while let Some(event) = driver.poll_event() {
///         on_event(event, driver.connection_mut());
///     }
///     driver.transmit();
///     driver.wait(None)?; // Or a poll of many things, for `interest()` and `timeout()`.
///     driver.drive();
/// }
/// # Ok(())
/// # }
/// ```
///
/// [`Self::next_event`] is this loop, up to the next event.
///
/// An error of the transport is told by the connection's last event as the end of input, once all
/// that arrived before it is parsed; [`Self::error`] knows what it was.
pub struct Driver<C, T> {
    connection: C,
    transport: T,
    clock: Clock,
    input: Input,
    output: Output,
    /// Since the connection is ending: when it is given up.
    deadline: Option<Instant>,
    finished: bool,
    error: Option<io::Error>,
}

struct Input {
    /// Initialised memory that is read into; what was read is split off.
    arena: BytesMut,
    /// The size of the next arena.
    room: usize,
    /// When the arena is given back.
    quiet_at: Option<Instant>,
    ended: bool,
}

struct Output {
    pending: BytesMut,
    /// The transport has taken something since it was last flushed.
    unflushed: bool,
    state: OutputState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutputState {
    Open,
    /// Everything is sent, and the peer was told so.
    ShutDown,
    /// Nothing can be sent any more.
    Broken,
}

impl<C: Connection, T: Transport> Driver<C, T> {
    /// Puts a connection on a transport. `clock` is the one whose `now` the connection was made
    /// with. Nothing is sent yet.
    ///
    /// A socket should be non-blocking and have `TCP_NODELAY` set: [`Wait::prepare`] does it.
    pub fn new(connection: C, transport: T, clock: Clock) -> Self {
        Self {
            connection,
            transport,
            clock,
            input: Input {
                arena: BytesMut::new(),
                room: MIN_ROOM,
                quiet_at: None,
                ended: false,
            },
            output: Output {
                pending: BytesMut::new(),
                unflushed: false,
                state: OutputState::Open,
            },
            deadline: None,
            finished: false,
            error: None,
        }
    }

    /// The connection's next event, out of what has been received. `None`: the driver has to be
    /// driven first, when [`Self::interest`] or [`Self::timeout`] say so.
    #[must_use = "an event that is dropped is lost, and a question in it is refused"]
    pub fn poll_event(&mut self) -> Option<C::Event> {
        self.connection.poll_event()
    }

    /// Does all that can be done: handles timers, sends what there is, receives once.
    ///
    /// While there are events that have not been polled, nothing is received.
    pub fn drive(&mut self) {
        let now = self.now();
        self.handle_timers(now);
        self.transmit();
        self.receive(now);
        self.release(now);
        self.end(now);
    }

    /// Sends what can be sent. To be called after events were handled, for the sake of speed:
    /// [`Self::drive`] does it, too.
    pub fn transmit(&mut self) {
        let now = self.now();
        loop {
            while self.output.pending.len() < LOW_WATER {
                let pending = &mut self.output.pending;
                if self.connection.poll_transmit(now, pending).is_none() {
                    break;
                }
                // What leaves makes room, which may be an event.
                if self.output.state != OutputState::Open {
                    self.output.pending.clear();
                }
            }
            if self.output.pending.is_empty() {
                break;
            }
            match self.transport.send(&self.output.pending) {
                Ok(0) => self.output_failed(io::ErrorKind::WriteZero.into(), now),
                Ok(sent) => {
                    let pending = &mut self.output.pending;
                    pending.advance(sent.min(pending.len()));
                    self.output.unflushed = true;
                    // Whoever still takes something is given time; what is left is bounded.
                    if let Some(deadline) = &mut self.deadline {
                        *deadline = now + LINGER;
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return self.end(now),
                    _ => self.output_failed(error, now),
                },
            }
        }
        while self.output.unflushed {
            match self.transport.flush() {
                Ok(()) => self.output.unflushed = false,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return self.end(now),
                    _ => self.output_failed(error, now),
                },
            }
        }
        self.end(now);
    }

    /// What is worth waiting for.
    pub fn interest(&self) -> Interest {
        if self.finished {
            return Interest::default();
        }
        let read = self.connection.wants_read() || self.connection.is_ending();
        let write = !self.output.pending.is_empty()
            || self.output.unflushed
            || self.connection.wants_write();
        Interest {
            read: read && !self.input.ended,
            write: write && self.output.state == OutputState::Open,
        }
    }

    /// How long to wait at most. Zero while there may be events to poll; `None`: for ever.
    pub fn timeout(&self) -> Option<Duration> {
        if self.finished || self.connection.wants_poll() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.connection.poll_timeout(),
            self.deadline,
            self.input.quiet_at,
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(self.now()))
    }

    /// Whether all is done: the connection is over and its last words are sent, or never will be.
    /// Dropping the driver then closes the transport. There may still be events to poll.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// What failed on the transport, first if there was more.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// The connection.
    pub fn connection(&self) -> &C {
        &self.connection
    }

    /// The connection, to call what the application has to call.
    pub fn connection_mut(&mut self) -> &mut C {
        &mut self.connection
    }

    /// The transport.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport. Bytes that are sent or received past the driver are missed by it.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// The moment, for calls of the connection that want it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    fn handle_timers(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
    }

    /// Gives memory back if nothing has arrived for a while.
    fn release(&mut self, now: Instant) {
        if self.input.quiet_at.is_none_or(|at| at <= now) {
            self.input.quiet_at = None;
            self.input.room = MIN_ROOM;
            self.input.arena = BytesMut::new();
            if self.output.pending.is_empty() {
                self.output.pending = BytesMut::new();
            }
        }
    }

    /// Receives once, if it is of use.
    fn receive(&mut self, now: Instant) {
        if self.connection.wants_poll() || !self.interest().read {
            return;
        }
        loop {
            let room = self.input.make_room();
            match self.transport.recv(room) {
                Ok(0) => return self.input_ended(now),
                Ok(received) => {
                    let filled = received >= room.len();
                    let data = self.input.take(received, filled);
                    self.input.quiet_at = Some(now + QUIET);
                    // What arrives behind the end is only read to get it out of the way.
                    if !self.connection.is_ending() {
                        self.connection.handle_input(now, data);
                    }
                    return;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return,
                    _ => {
                        self.error.get_or_insert(error);
                        return self.input_ended(now);
                    }
                },
            }
        }
    }

    fn input_ended(&mut self, now: Instant) {
        self.input.ended = true;
        self.input.arena = BytesMut::new();
        self.connection.handle_eof(now);
    }

    /// Nothing more can be sent. The peer may have said why: what it sent is still read.
    fn output_failed(&mut self, error: io::Error, now: Instant) {
        self.error.get_or_insert(error);
        self.output.state = OutputState::Broken;
        self.output.pending = BytesMut::new();
        self.output.unflushed = false;
        self.deadline.get_or_insert(now + LINGER);
    }

    /// Brings an ending connection to its end: the goodbye, our end of sending, the peer's.
    fn end(&mut self, now: Instant) {
        let ending = self.connection.is_ending();
        if ending {
            self.deadline.get_or_insert(now + LINGER);
            let sent = self.output.pending.is_empty() && !self.output.unflushed;
            if self.output.state == OutputState::Open && self.connection.is_closed() && sent {
                self.output.state = OutputState::ShutDown;
                // Where half a transport cannot be closed, or both are already, that was it.
                self.finished |= !self.transport.shutdown().unwrap_or(false);
            }
            self.finished |= self.output.state != OutputState::Open && self.input.ended;
        }
        if self.deadline.is_some_and(|at| at <= now) {
            if ending {
                self.finished = true;
            } else {
                self.deadline = None;
                self.input_ended(now);
            }
        }
    }
}

impl<C: Connection, T: Wait> Driver<C, T> {
    /// Waits until there is something to do, or `at_most` so long. [`Self::drive`] does it.
    ///
    /// # Errors
    /// What the transport fails with; `Deadlock` if nothing is left to wait for, as when the
    /// application keeps a question of the connection without answering it.
    pub fn wait(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        let interest = self.interest();
        let timeout = [self.timeout(), at_most].into_iter().flatten().min();
        match timeout {
            Some(Duration::ZERO) => Ok(()),
            None if interest.is_empty() => Err(io::ErrorKind::Deadlock.into()),
            _ => self.transport.wait(interest, timeout),
        }
    }

    /// Waits as [`Self::wait`] does, and until one of the descriptors of `forwards` can be served:
    /// [`Forwards::advance`](crate::Forwards::advance) does it.
    ///
    /// # Errors
    /// As for [`Self::wait`].
    #[cfg(unix)]
    pub fn wait_with(
        &mut self,
        forwards: &crate::Forwards,
        at_most: Option<Duration>,
    ) -> io::Result<()> {
        let others: Vec<_> = forwards.entries(&self.connection).collect();
        if others.is_empty() {
            let timeout = [forwards.timeout(), at_most].into_iter().flatten().min();
            return self.wait(timeout);
        }
        let timeouts = [self.timeout(), forwards.timeout(), at_most];
        match timeouts.into_iter().flatten().min() {
            Some(Duration::ZERO) => Ok(()),
            timeout => self.transport.wait_with(self.interest(), &others, timeout),
        }
    }

    /// The next event, waiting for it. `None`: the connection is over, and all is done.
    ///
    /// # Errors
    /// As for [`Self::wait`]. Errors of sending and receiving are no errors of this: they end the
    /// connection, which tells so by an event.
    pub fn next_event(&mut self) -> io::Result<Option<C::Event>> {
        loop {
            if let Some(event) = self.poll_event() {
                return Ok(Some(event));
            }
            if self.finished {
                return Ok(None);
            }
            self.transmit();
            if !self.connection.wants_poll() {
                self.wait(None)?;
                self.drive();
            }
        }
    }
}

/// Without what was received and sent.
impl<C: fmt::Debug, T: fmt::Debug> fmt::Debug for Driver<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("connection", &self.connection)
            .field("transport", &self.transport)
            .field("pending", &self.output.pending.len())
            .field("finished", &self.finished)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
impl<C, T: std::os::fd::AsFd> std::os::fd::AsFd for Driver<C, T> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.transport.as_fd()
    }
}

impl Input {
    /// The room to read into.
    fn make_room(&mut self) -> &mut [u8] {
        // A short rest is not worth a read of its own.
        if self.arena.len() < self.room / 8 || self.arena.is_empty() {
            self.arena.clear();
            // Where all slices of it are gone, the old memory serves again.
            if !self.arena.try_reclaim(self.room) {
                self.arena = BytesMut::with_capacity(self.room);
            }
            self.arena.resize(self.room, 0);
        }
        &mut self.arena
    }

    /// Splits off what was received. `filled`: it was as much as there was room for.
    fn take(&mut self, received: usize, filled: bool) -> BytesMut {
        if filled {
            self.room = self.room.saturating_mul(4).min(MAX_ROOM);
        }
        self.arena.split_to(received.min(self.arena.len()))
    }
}
