//! How bytes are split changes nothing (U2), and nothing but seed, clock and input decides (U10).

use bytes::BytesMut;
use ssh_proto::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use ssh_tests::{
    App, Chunking, ClientApp, Credential, Endpoint, Job, Link, Mode, Pair, ServerApp, TestRng,
    Transcript, fixtures,
};

use std::sync::Arc;

/// One side with its application, as it was at the beginning.
trait Side {
    type Connection: Endpoint;
    type App: App<Self::Connection>;

    fn begin(&self) -> (Self::Connection, Self::App);
}

struct Client(Arc<ClientConfig>);

impl Side for Client {
    type Connection = ClientConnection;
    type App = ClientApp;

    fn begin(&self) -> (ClientConnection, ClientApp) {
        let random = Box::new(TestRng::new(5));
        let now = ssh_proto::Instant::EPOCH;
        let connection = ClientConnection::new(&self.0, fixtures::USER, random, now).unwrap();
        let mut app = ClientApp::with_credential(
            Credential::RemoteKey(fixtures::user_key()),
            [
                Job::with_input("echo", vec![1; 3_000]),
                Job::with_input("stderr", vec![2; 100]),
                Job::new("source 5000"),
                Job::new("exit 3"),
                Job::new("nothing"),
            ],
        );
        app.credentials
            .push_front(Credential::Password("wrong".into()));
        app.credentials.push_front(Credential::None);
        (connection, app.then_disconnect())
    }
}

struct Server(Arc<ServerConfig>);

impl Side for Server {
    type Connection = ServerConnection;
    type App = ServerApp;

    fn begin(&self) -> (ServerConnection, ServerApp) {
        let random = Box::new(TestRng::new(6));
        let now = ssh_proto::Instant::EPOCH;
        (
            ServerConnection::new(&self.0, random, now).unwrap(),
            ServerApp::new(),
        )
    }
}

/// Polls and transmits until nothing is left; the bytes sent.
fn turn<E: Endpoint>(
    connection: &mut E,
    app: &mut impl App<E>,
    transcript: &mut Transcript,
) -> BytesMut {
    let now = ssh_proto::Instant::EPOCH;
    let mut out = BytesMut::new();
    loop {
        let events = transcript.events.len();
        poll(connection, app, transcript);
        let sent = out.len();
        while connection.poll_transmit(now, &mut out).is_some() {}
        transcript.sent.extend_from_slice(&out[sent..]);
        if out.len() == sent && transcript.events.len() == events {
            return out;
        }
    }
}

fn poll<E: Endpoint>(connection: &mut E, app: &mut impl App<E>, transcript: &mut Transcript) {
    while let Some(event) = connection.next_event() {
        transcript.events.push(format!("{event:?}"));
        app.on_event(connection, event, ssh_proto::Instant::EPOCH);
    }
}

/// What each side was sent, turn by turn, and what it did.
struct Recording {
    to_client: Vec<BytesMut>,
    to_server: Vec<BytesMut>,
    client: Transcript,
    server: Transcript,
}

fn record(client: &Client, server: &Server) -> Recording {
    let (mut c, mut client_app) = client.begin();
    let (mut s, mut server_app) = server.begin();
    let mut recording = Recording {
        to_client: Vec::new(),
        to_server: Vec::new(),
        client: Transcript::default(),
        server: Transcript::default(),
    };
    let now = ssh_proto::Instant::EPOCH;
    loop {
        let out = turn(&mut c, &mut client_app, &mut recording.client);
        s.handle_input(now, out.clone());
        let answer = turn(&mut s, &mut server_app, &mut recording.server);
        c.handle_input(now, answer.clone());
        if out.is_empty() && answer.is_empty() {
            break;
        }
        recording.to_server.push(out);
        recording.to_client.push(answer);
    }
    assert!(client_app.results.iter().all(|result| result.closed));
    assert!(recording.to_server.len() > 5, "a conversation");
    recording
}

/// Runs one side against what it was sent before, cut otherwise.
fn replay<S: Side>(side: &S, turns: &[BytesMut], begins: bool, chunking: Chunking) -> Transcript {
    let (mut connection, mut app) = side.begin();
    let mut transcript = Transcript::default();
    let now = ssh_proto::Instant::EPOCH;
    if begins {
        turn(&mut connection, &mut app, &mut transcript);
    }
    let mut link = Link::new(chunking);
    for input in turns {
        link.push(now, input.clone());
        while let Some(piece) = link.pull(now) {
            connection.handle_input(now, piece);
            poll(&mut connection, &mut app, &mut transcript);
        }
        turn(&mut connection, &mut app, &mut transcript);
    }
    transcript
}

fn sides(rekey_every: Option<u64>) -> (Client, Server) {
    let mode = Mode {
        rekey_every,
        ..Mode::PLAIN
    };
    let (client, server) = Pair::builder(mode).server(|b| b.banner("hello")).configs();
    (Client(client), Server(server))
}

#[test]
fn u2_splits_change_nothing() {
    for rekey_every in [None, Some(4)] {
        let (client, server) = sides(rekey_every);
        let recording = record(&client, &server);
        let random = (0..12).map(Chunking::Random);
        for chunking in [Chunking::Whole, Chunking::ByteAtATime]
            .into_iter()
            .chain(random)
        {
            println!("{rekey_every:?} {chunking:?}");
            replay(&client, &recording.to_client, true, chunking).assert_same(&recording.client);
            replay(&server, &recording.to_server, false, chunking).assert_same(&recording.server);
        }
    }
}

/// Every place for a single cut in the handshake, where lengths and keys change.
#[test]
fn u2_every_single_cut() {
    let (client, server) = sides(None);
    let recording = record(&client, &server);
    let first: usize = recording.to_server[..2].iter().map(|turn| turn.len()).sum();
    for at in (1..first).step_by(7) {
        let (mut connection, mut app) = server.begin();
        let mut transcript = Transcript::default();
        let mut passed = 0;
        for input in &recording.to_server {
            let mut rest = input.clone();
            if (passed..passed + input.len()).contains(&at) {
                connection.handle_input(ssh_proto::Instant::EPOCH, rest.split_to(at - passed));
                poll(&mut connection, &mut app, &mut transcript);
            }
            passed += input.len();
            connection.handle_input(ssh_proto::Instant::EPOCH, rest);
            turn(&mut connection, &mut app, &mut transcript);
        }
        transcript.assert_same(&recording.server);
    }
}

fn run(mode: Mode, seed: u64) -> (Transcript, Transcript) {
    let mut pair = Pair::new(Mode { seed, ..mode });
    pair.record();
    let jobs = [
        Job::with_input("echo", vec![1; 3_000]),
        Job::new("source 9000"),
    ];
    pair.run(
        &mut ClientApp::new(jobs).then_disconnect(),
        &mut ServerApp::new(),
    );
    pair.transcripts()
}

#[test]
fn u10_the_same_again() {
    for mode in Mode::ALL {
        println!("{mode:?}");
        let (client, server) = run(mode, 1);
        let (client_again, server_again) = run(mode, 1);
        client.assert_same(&client_again);
        server.assert_same(&server_again);
        assert_ne!(client.sent, run(mode, 2).0.sent, "the seed decides");
    }
}
