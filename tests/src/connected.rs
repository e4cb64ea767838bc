//! An authenticated pair whose events the test takes itself.

use std::time::Duration;

use ssh_proto::{
    ChannelId, ChannelKind, ClientConnection, ClientEvent, Connection, DataStream, Event,
    ServerConnection, ServerEvent,
};

use crate::app::{ClientApp, ServerApp};
use crate::endpoint::{Endpoint, Inbox};
use crate::mode::Mode;
use crate::pair::{Pair, PairBuilder};
use crate::take;

/// A pair behind authentication, and the events of both sides that no test has taken.
#[derive(Debug)]
pub struct Connected {
    /// The pair.
    pub pair: Pair,
    /// The client's events.
    pub client: Inbox<ClientConnection>,
    /// The server's events.
    pub server: Inbox<ServerConnection>,
}

impl Connected {
    /// A pair of the default configs.
    pub fn new(mode: Mode) -> Self {
        Self::of(Pair::builder(mode))
    }

    /// A pair of these configs.
    ///
    /// # Panics
    /// If the login fails.
    pub fn of(builder: PairBuilder) -> Self {
        let mut pair = builder.build();
        pair.run(&mut ClientApp::new([]), &mut ServerApp::new());
        assert!(
            pair.client.authenticated().is_some(),
            "{:?}",
            pair.client_end()
        );
        Self {
            pair,
            client: Inbox::new(),
            server: Inbox::new(),
        }
    }

    /// Runs until nothing is left to do.
    pub fn run(&mut self) {
        self.pair.run(&mut self.client, &mut self.server);
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) {
        self.pair.advance(by, &mut self.client, &mut self.server);
    }

    /// Opens a session; its id at the client and at the server.
    ///
    /// # Panics
    /// If that fails.
    pub fn open(&mut self) -> (ChannelId, ChannelId) {
        let kind = ChannelKind::Session;
        let at_client = self.pair.client.open_channel(&kind).expect("room");
        self.run();
        let open = take!(self.server.events, ServerEvent::Shared(Event::ChannelOpen(open)) => open);
        assert_eq!(open.kind(), &kind);
        let at_server = self.pair.server.accept_channel(open).expect("own token");
        self.run();
        let opened = take!(self.client.events, ClientEvent::Shared(Event::ChannelOpened(id)) => id);
        assert_eq!(opened, at_client);
        (at_client, at_server)
    }
}

/// Reads everything that is there: what came as data, and what as extended data.
pub fn read_all(connection: &mut impl Endpoint, channel: ChannelId) -> (Vec<u8>, Vec<u8>) {
    let (mut data, mut extended) = (Vec::new(), Vec::new());
    while let Ok(Some(chunk)) = connection.read(channel) {
        assert!(!chunk.bytes.is_empty());
        match chunk.stream {
            DataStream::Data => data.extend(&chunk.bytes),
            DataStream::Extended(_) => extended.extend(&chunk.bytes),
        }
    }
    (data, extended)
}
