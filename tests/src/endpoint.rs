//! What both connection types have in common beyond `Connection`: a look into their events, so that tests can be generic.

use std::collections::VecDeque;
use std::fmt::Debug;

use ssh_proto::{
    ClientConnection, ClientEvent, Connection, Disconnected, Event, Instant, ServerConnection,
    ServerEvent,
};

/// A connection whose events tests can look into.
pub trait Endpoint: Connection<Event: Debug> {
    /// The next event, as `poll_event`.
    fn next_event(&mut self) -> Option<Self::Event>;

    /// What both roles share.
    fn shared(event: &Self::Event) -> Option<&Event>;

    /// Why the connection ended, if this is the terminal event.
    fn terminal(event: &Self::Event) -> Option<&Disconnected> {
        match Self::shared(event) {
            Some(Event::Disconnected(cause)) => Some(cause),
            _ => None,
        }
    }
}

impl Endpoint for ClientConnection {
    fn next_event(&mut self) -> Option<ClientEvent> {
        self.poll_event()
    }

    fn shared(event: &ClientEvent) -> Option<&Event> {
        match event {
            ClientEvent::Shared(event) => Some(event),
            _ => None,
        }
    }
}

impl Endpoint for ServerConnection {
    fn next_event(&mut self) -> Option<ServerEvent> {
        self.poll_event()
    }

    fn shared(event: &ServerEvent) -> Option<&Event> {
        match event {
            ServerEvent::Shared(event) => Some(event),
            _ => None,
        }
    }
}

/// An application on one side. Closures over a connection and an event are applications.
pub trait App<E: Endpoint> {
    /// Handles one event.
    fn on_event(&mut self, connection: &mut E, event: E::Event, now: Instant);
}

impl<E: Endpoint, F: FnMut(&mut E, E::Event)> App<E> for F {
    fn on_event(&mut self, connection: &mut E, event: E::Event, _: Instant) {
        self(connection, event);
    }
}

/// An application that does nothing but keep its events, tokens included, for the test to take;
/// see [`take!`](crate::take).
#[derive(Debug)]
pub struct Inbox<E: Endpoint> {
    /// What was not taken, oldest first.
    pub events: VecDeque<E::Event>,
}

impl<E: Endpoint> Inbox<E> {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            events: VecDeque::new(),
        }
    }

    /// How many events of both roles there are whose `Debug` form contains this.
    pub fn count(&self, what: &str) -> usize {
        let found = |event: &&E::Event| format!("{:?}", E::shared(event)).contains(what);
        self.events.iter().filter(found).count()
    }
}

impl<E: Endpoint> Default for Inbox<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Endpoint> App<E> for Inbox<E> {
    fn on_event(&mut self, _: &mut E, event: E::Event, _: Instant) {
        self.events.push_back(event);
    }
}

/// Removes the first of a queue of events that fits the pattern and yields the value, which may
/// use what the pattern binds. Panics, showing the events, if there is none.
#[macro_export]
macro_rules! take {
    ($events:expr, $pattern:pat => $value:expr) => {{
        #[allow(unused_variables, reason = "bound for the value alone")]
        let at = $events.iter().position(|event| matches!(event, $pattern));
        let Some(at) = at else {
            panic!("no {} among {:?}", stringify!($pattern), $events);
        };
        match $events.remove(at) {
            Some($pattern) => $value,
            _ => unreachable!(),
        }
    }};
}
