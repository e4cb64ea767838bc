//! Client and server joined by two links under a virtual clock, with the universal invariants watched.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::{
    ClientConfig, ClientConfigBuilder, ClientConnection, Connection, Disconnected, Instant, Limits,
    ServerConfig, ServerConfigBuilder, ServerConnection,
};

use crate::endpoint::{App, Endpoint};
use crate::fixtures;
use crate::link::Link;
use crate::mode::Mode;
use crate::rng::TestRng;
use crate::transcript::Transcript;

/// Bytes either way after which a run is taken for one that never ends.
const MAX_BYTES: u64 = 1 << 30;

/// Builds a [`Pair`].
pub struct PairBuilder {
    mode: Mode,
    user: String,
    client: ClientConfigBuilder,
    server: ServerConfigBuilder,
    client_limits: Limits,
    server_limits: Limits,
}

impl PairBuilder {
    /// Changes the client's config. Its limits are set by [`Self::client_limits`].
    pub fn client(
        mut self,
        change: impl FnOnce(ClientConfigBuilder) -> ClientConfigBuilder,
    ) -> Self {
        self.client = change(self.client);
        self
    }

    /// Changes the server's config. Its limits are set by [`Self::server_limits`].
    pub fn server(
        mut self,
        change: impl FnOnce(ServerConfigBuilder) -> ServerConfigBuilder,
    ) -> Self {
        self.server = change(self.server);
        self
    }

    /// Changes the client's limits.
    pub fn client_limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.client_limits);
        self
    }

    /// Changes the server's limits.
    pub fn server_limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.server_limits);
        self
    }

    /// Changes the limits of both.
    pub fn limits(mut self, change: impl Fn(&mut Limits)) -> Self {
        change(&mut self.client_limits);
        change(&mut self.server_limits);
        self
    }

    /// The user who logs in, where it is not [`fixtures::USER`].
    pub fn user(mut self, user: &str) -> Self {
        self.user = user.to_owned();
        self
    }

    /// Both configs.
    ///
    /// # Panics
    /// If a config is not valid.
    pub fn configs(self) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
        let client = self.client.limits(self.client_limits).build();
        let server = self.server.limits(self.server_limits).build();
        (
            client.expect("client config"),
            server.expect("server config"),
        )
    }

    /// The pair.
    ///
    /// # Panics
    /// If a config is not valid.
    pub fn build(self) -> Pair {
        let (mode, user) = (self.mode, self.user.clone());
        let (client, server) = self.configs();
        Pair::from_configs(mode, &client, &server, &user)
    }
}

/// What the pair watches of one side.
#[derive(Debug, Default)]
struct Watch {
    transcript: Option<Transcript>,
    terminal: Option<Disconnected>,
    eof: bool,
    closed: bool,
    events: u64,
}

impl Watch {
    fn saw<E: Endpoint>(&mut self, event: &E::Event) {
        self.events += 1;
        assert_eq!(
            self.terminal, None,
            "U3: {event:?} after the terminal event"
        );
        self.terminal = E::terminal(event).cloned();
        if let Some(transcript) = &mut self.transcript {
            transcript.events.push(format!("{event:?}"));
        }
    }
}

/// Client and server, joined.
#[derive(Debug)]
pub struct Pair {
    /// The client.
    pub client: ClientConnection,
    /// The server.
    pub server: ServerConnection,
    /// What travels to the server.
    pub to_server: Link,
    /// What travels to the client.
    pub to_client: Link,
    /// The virtual clock.
    pub now: Instant,
    /// How the pair is run.
    pub mode: Mode,
    client_watch: Watch,
    server_watch: Watch,
    work: u64,
}

impl Pair {
    /// A pair of the default configs in this mode.
    pub fn new(mode: Mode) -> Self {
        Self::builder(mode).build()
    }

    /// Begins with the default configs.
    pub fn builder(mode: Mode) -> PairBuilder {
        let mut client_limits = fixtures::client_limits();
        let mut server_limits = Limits::default();
        mode.apply(&mut client_limits);
        mode.apply(&mut server_limits);
        PairBuilder {
            mode,
            user: fixtures::USER.to_owned(),
            client: fixtures::client_config(),
            server: fixtures::server_config(),
            client_limits,
            server_limits,
        }
    }

    /// A pair of these configs.
    ///
    /// # Panics
    /// If the user name is not valid.
    pub fn from_configs(
        mode: Mode,
        client: &ClientConfig,
        server: &ServerConfig,
        user: &str,
    ) -> Self {
        // Not the epoch itself, so that a deadline before now can be told from none.
        let now = Instant::EPOCH + Duration::from_secs(1_000);
        let client_random = Box::new(TestRng::new(mode.seed.wrapping_mul(2)));
        let server_random = Box::new(TestRng::new(mode.seed.wrapping_mul(2) + 1));
        Self {
            client: ClientConnection::new(client, user, client_random, now).expect("client"),
            server: ServerConnection::new(server, server_random, now).expect("server"),
            to_server: Link::new(mode.chunking),
            to_client: Link::new(mode.chunking),
            now,
            mode,
            client_watch: Watch::default(),
            server_watch: Watch::default(),
            work: 0,
        }
    }

    /// Records bytes and events from now on, to be taken by [`Self::transcripts`].
    pub fn record(&mut self) {
        self.client_watch.transcript = Some(Transcript::default());
        self.server_watch.transcript = Some(Transcript::default());
    }

    /// The client's and the server's transcript.
    ///
    /// # Panics
    /// If nothing was recorded.
    pub fn transcripts(&mut self) -> (Transcript, Transcript) {
        let client = self.client_watch.transcript.take();
        let server = self.server_watch.transcript.take();
        (client.expect("recorded"), server.expect("recorded"))
    }

    /// Why the client ended, if it has.
    pub fn client_end(&self) -> Option<&Disconnected> {
        self.client_watch.terminal.as_ref()
    }

    /// Why the server ended, if it has.
    pub fn server_end(&self) -> Option<&Disconnected> {
        self.server_watch.terminal.as_ref()
    }

    /// Runs until neither side has anything to do and nothing is under way. Time passes only as
    /// far as delays of the links demand; deadlines on the way are honoured.
    ///
    /// # Panics
    /// If an invariant breaks: a second terminal event or one behind it (U3), output after the
    /// end (U3), work without end (U5).
    pub fn run(
        &mut self,
        client: &mut impl App<ClientConnection>,
        server: &mut impl App<ServerConnection>,
    ) {
        loop {
            while self.step(client, server) {}
            let arrivals = [self.to_server.next_arrival(), self.to_client.next_arrival()];
            // What has arrived and is not read waits for an answer of the application.
            let arrivals = arrivals.into_iter().flatten();
            let Some(arrival) = arrivals.filter(|at| *at > self.now).min() else {
                return;
            };
            let deadline = self.next_deadline().unwrap_or(arrival);
            self.now = self.now.max(arrival.min(deadline));
            self.fire();
        }
    }

    /// One round: events, output, input. Whether anything happened.
    pub fn step(
        &mut self,
        client: &mut impl App<ClientConnection>,
        server: &mut impl App<ServerConnection>,
    ) -> bool {
        let now = self.now;
        let (c, s) = (&mut self.client_watch, &mut self.server_watch);
        let mut busy = poll(&mut self.client, c, client, now);
        busy |= poll(&mut self.server, s, server, now);
        busy |= transmit(&mut self.client, c, &mut self.to_server, now);
        busy |= transmit(&mut self.server, s, &mut self.to_client, now);
        busy |= deliver(&mut self.client, c, &mut self.to_client, client, now);
        busy |= deliver(&mut self.server, s, &mut self.to_server, server, now);
        self.work += 1;
        let bytes = self.to_client.total() + self.to_server.total();
        let events = self.client_watch.events + self.server_watch.events;
        assert!(bytes < MAX_BYTES, "U5: the pair never comes to rest");
        let allowed = 100_000 + 4 * bytes;
        assert!(self.work + events < allowed, "U5: work without bytes");
        busy
    }

    /// The earlier deadline of the two.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.client.poll_timeout(), self.server.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    fn fire(&mut self) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= self.now);
        if due(self.client.poll_timeout()) {
            self.client.handle_timeout(self.now);
        }
        if due(self.server.poll_timeout()) {
            self.server.handle_timeout(self.now);
        }
    }

    /// Lets time pass, stopping at each deadline to run what comes of it.
    ///
    /// # Panics
    /// As [`Self::run`], and if a deadline that has been handled does not move.
    pub fn advance(
        &mut self,
        by: Duration,
        client: &mut impl App<ClientConnection>,
        server: &mut impl App<ServerConnection>,
    ) {
        let end = self.now + by;
        let mut stops = 0;
        self.run(client, server);
        while let Some(deadline) = self.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(deadline);
            self.fire();
            self.run(client, server);
            stops += 1;
            assert!(stops < 100_000, "U5: a deadline that stays");
        }
        self.now = self.now.max(end);
    }

    /// Cuts the transport without a word, both ways, once what is under way has arrived.
    pub fn cut(&mut self) {
        self.to_client.close();
        self.to_server.close();
    }
}

fn poll<E: Endpoint>(
    connection: &mut E,
    watch: &mut Watch,
    app: &mut impl App<E>,
    now: Instant,
) -> bool {
    let mut any = false;
    let before = watch.events;
    while let Some(event) = connection.next_event() {
        any = true;
        watch.saw::<E>(&event);
        app.on_event(connection, event, now);
        assert!(watch.events - before < 1_000_000, "U5: events without end");
    }
    any
}

fn transmit<E: Endpoint>(
    connection: &mut E,
    watch: &mut Watch,
    link: &mut Link,
    now: Instant,
) -> bool {
    let mut any = false;
    loop {
        let wanted = connection.wants_write();
        let mut out = BytesMut::new();
        let Some(transmit) = connection.poll_transmit(now, &mut out) else {
            assert!(
                !wanted || connection.is_closed(),
                "wants_write without output"
            );
            if connection.is_closed() && !watch.closed {
                any = true;
                watch.closed = true;
                link.close();
            }
            return any;
        };
        any = true;
        assert!(!watch.closed, "U3: output after the last word");
        assert_eq!(transmit.size, out.len());
        if let Some(transcript) = &mut watch.transcript {
            transcript.sent.extend_from_slice(&out);
        }
        link.push(now, out);
        if transmit.then_close {
            watch.closed = true;
            link.close();
            let mut more = BytesMut::new();
            assert_eq!(connection.poll_transmit(now, &mut more), None);
        }
    }
}

fn deliver<E: Endpoint>(
    connection: &mut E,
    watch: &mut Watch,
    link: &mut Link,
    app: &mut impl App<E>,
    now: Instant,
) -> bool {
    let mut any = false;
    // A burst, so that small pieces do not make a round each.
    for _ in 0..256 {
        if !connection.wants_read() && !connection.is_closed() {
            break;
        }
        let Some(piece) = link.pull(now) else { break };
        any = true;
        connection.handle_input(now, piece);
        poll(connection, watch, app, now);
    }
    if link.is_at_end() && !watch.eof {
        watch.eof = true;
        any = true;
        connection.handle_eof(now);
        poll(connection, watch, app, now);
    }
    any
}
