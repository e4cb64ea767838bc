//! A host in the middle cannot pass a user's ticket on: the MIC covers the session identifier (RFC 4462
//! section 3.5).

use std::collections::VecDeque;
use std::env;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ssh_interop::TestDir;
use ssh_interop::peers::account;
use ssh_interop::process::{command, run};
use ssh_io_std::OsRandom;
use ssh_io_std::gssapi::{Acceptor, Initiator, KERBEROS, Proven};
use ssh_proto::crypto::{SigningKey, rustcrypto};
use ssh_proto::{
    AuthMethod, AuthOutcome, AuthRequest, AuthTurn, ClientConfig, ClientConnection, ClientEvent,
    Connection, Event, GssapiStep, GssapiTurn, Instant, MethodSet, ServerConfig, ServerConnection,
    ServerEvent, ServerGssapi,
};

use crate::kdc::Realm;

/// Set where the environment is that of a realm.
const IN_REALM: &str = "SSH_INTEROP_REALM";

#[test]
#[ignore = "needs a KDC: tests/run.sh installs it and runs this"]
fn a_relayed_ticket_is_refused() {
    let dir = TestDir::new();
    let realm = Realm::new(&dir, &[account()]);
    // The library reads its environment, which a process does not safely change for itself.
    let mut test = command(env::current_exe().expect("the path of this test"));
    test.args(["--ignored", "--exact", "relay::in_realm"]);
    test.envs(realm.of_client(Some(account())));
    test.envs(realm.of_server()).env(IN_REALM, "");
    let output = run(test).ok();
    assert!(output.contains("1 passed"), "{output}");
}

/// The body of the test above; by itself it does nothing.
#[test]
#[ignore = "runs within the test of relays"]
fn in_realm() {
    if env::var_os(IN_REALM).is_some() {
        directly();
        relayed(Forward::Mic);
        relayed(Forward::Nothing);
    }
}

/// A client and a server, joined.
struct Link {
    client: ClientConnection,
    server: ServerConnection,
    client_events: VecDeque<ClientEvent>,
    server_events: VecDeque<ServerEvent>,
}

const NOW: Instant = Instant::from_micros(0);

impl Link {
    /// Up to the client's first attempt, which is with tickets.
    fn new() -> Self {
        let provider = rustcrypto::provider();
        let key = provider.keys.generate("ssh-ed25519", &mut OsRandom);
        let key: Arc<dyn SigningKey> = provider.signing_key(&key.expect("a key")).expect("its use");
        let server = ServerConfig::builder(provider.clone())
            .signing_host_key(key)
            .auth_methods(MethodSet::GSSAPI_WITH_MIC)
            .build()
            .expect("a config");
        let client = ClientConfig::builder(provider).build().expect("a config");
        let client = ClientConnection::new(&client, account(), Box::new(OsRandom), NOW);
        let server = ServerConnection::new(&server, Box::new(OsRandom), NOW);
        let mut link = Self {
            client: client.expect("a client"),
            server: server.expect("a server"),
            client_events: VecDeque::new(),
            server_events: VecDeque::new(),
        };
        let turn = link.turn();
        let tried = link.client.auth_gssapi(turn, &[KERBEROS]);
        tried.expect("an attempt");
        link
    }

    /// Moves bytes and events until there are no more.
    fn exchange(&mut self) {
        loop {
            let mut moved = false;
            while let Some(event) = self.client.poll_event() {
                moved = true;
                match event {
                    ClientEvent::HostKey(check) => {
                        self.client.accept_host_key(check).expect("a fresh token");
                    }
                    event => self.client_events.push_back(event),
                }
            }
            while let Some(event) = self.server.poll_event() {
                moved = true;
                self.server_events.push_back(event);
            }
            moved |= carry(&mut self.client, &mut self.server);
            moved |= carry(&mut self.server, &mut self.client);
            if !moved {
                return;
            }
        }
    }

    fn client_event<T>(&mut self, pick: impl Fn(ClientEvent) -> Option<T>) -> T {
        self.exchange();
        let found = std::mem::take(&mut self.client_events)
            .into_iter()
            .find_map(pick);
        found.expect("the client's event")
    }

    fn turn(&mut self) -> AuthTurn {
        self.client_event(|event| match event {
            ClientEvent::Auth(turn) => Some(turn),
            _ => None,
        })
    }

    fn step(&mut self) -> GssapiTurn {
        self.client_event(|event| match event {
            ClientEvent::Gssapi(turn) => Some(turn),
            _ => None,
        })
    }

    fn request(&mut self) -> AuthRequest {
        self.exchange();
        let mut events = std::mem::take(&mut self.server_events).into_iter();
        let found = events.find_map(|event| match event {
            ServerEvent::Auth(request) => Some(request),
            _ => None,
        });
        found.expect("the server's event")
    }

    /// What the client sends in its next message, and the token to answer it.
    fn said(&mut self) -> (AuthRequest, Bytes) {
        let request = self.request();
        let bytes = match request.method() {
            AuthMethod::Gssapi(ServerGssapi::Token(token)) => token.clone(),
            AuthMethod::Gssapi(ServerGssapi::Mic { mic, .. }) => mic.clone(),
            other => panic!("{other:?}"),
        };
        (request, bytes)
    }

    fn accept(&mut self, acceptor: &mut Acceptor) -> Option<Proven> {
        let request = self.request();
        let proven = acceptor.answer(&mut self.server, request);
        proven.expect("a step of the exchange")
    }
}

fn carry(from: &mut impl Connection, to: &mut impl Connection) -> bool {
    let mut bytes = BytesMut::new();
    while from.poll_transmit(NOW, &mut bytes).is_some() {}
    let any = !bytes.is_empty();
    if any {
        to.handle_input(NOW, bytes);
    }
    any
}

fn parties() -> (Initiator, Acceptor) {
    let initiator = Initiator::new("127.0.0.1", false).expect("a ticket");
    (initiator, Acceptor::new("host").expect("a key"))
}

/// The control: without anybody in the middle the same steps lead in.
fn directly() {
    let (mut initiator, mut acceptor) = parties();
    let mut link = Link::new();
    for _ in 0..2 {
        assert!(link.accept(&mut acceptor).is_none());
        let turn = link.step();
        let answered = initiator.answer(&mut link.client, turn);
        answered.expect("a step of the exchange");
    }
    let proven = link.accept(&mut acceptor).expect("a proof");
    assert!(proven.is_user(), "{proven:?}");
    let accepted = link.server.accept_auth(proven.into_request());
    accepted.expect("a fresh token");
    link.client_event(|event| match event {
        ClientEvent::Shared(Event::Authenticated(proof)) => Some(proof),
        _ => None,
    });
}

/// What the host in the middle ends the exchange with.
enum Forward {
    /// The MIC that the user made.
    Mic,
    /// None.
    Nothing,
}

fn relayed(end: Forward) {
    let (mut initiator, mut acceptor) = parties();
    // The user, at the host in the middle; and that, at the server, as the user.
    let (mut user, mut target) = (Link::new(), Link::new());
    let request = user.request();
    let selected = user.server.select_gssapi_mechanism(request, KERBEROS);
    selected.expect("a fresh token");
    let turn = user.step();
    initiator.answer(&mut user.client, turn).expect("a token");

    // The token goes to the server, and its answer back.
    assert!(target.accept(&mut acceptor).is_none());
    let (request, token) = user.said();
    let turn = target.step();
    target.client.gssapi_token(turn, &token).expect("it fits");
    assert!(target.accept(&mut acceptor).is_none());
    let turn = target.step();
    let GssapiStep::Token(token) = turn.step() else {
        panic!("{turn:?}");
    };
    let passed = user.server.gssapi_established(request, Some(token));
    passed.expect("a fresh token");
    let step = user.step();
    initiator.answer(&mut user.client, step).expect("a MIC");

    let (_request, mic) = user.said();
    let mic = matches!(end, Forward::Mic).then_some(&mic[..]);
    target
        .client
        .gssapi_finish(turn, None, mic)
        .expect("it fits");
    let request = target.request();
    let error = acceptor.answer(&mut target.server, request);
    println!("{}", error.expect_err("it is not the user's session"));
    let outcome = target.turn();
    assert_eq!(*outcome.outcome(), AuthOutcome::Failed);
    assert!(target.client.authenticated().is_none());
}
