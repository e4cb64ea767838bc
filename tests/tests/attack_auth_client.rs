//! Attacks of a server on a client that authenticates (RFC 4252), group G' of the notes. The layer alone is attacked in `ssh-proto/src/auth`.

use std::time::Duration;

use ssh_proto::crypto::SigningKey;
use ssh_proto::error::Limit;
use ssh_proto::{
    AuthOutcome, ClientConnection, ClientEvent, Connection, Error, Event, Password, Timer,
};
use ssh_tests::attack::{Asked, F, chunked, message};
use ssh_tests::{Hostile, Mode, Pair, Stage, fixtures};

type Client = Hostile<ClientConnection>;

const USERAUTH: F<'static> = F::S(b"ssh-userauth");
const CONNECTION: F<'static> = F::S(b"ssh-connection");

fn request(user: &[u8], method: &[u8], rest: &[F<'_>]) -> Vec<u8> {
    let head = message(50, &[F::S(user), CONNECTION, F::S(method)]);
    [&head, &message(0, rest)[1..]].concat()
}

fn none(user: &[u8]) -> Vec<u8> {
    request(user, b"none", &[])
}

#[test]
fn g20_success_that_was_not_asked_for() {
    let key = fixtures::user_key();
    chunked(|mode| {
        let mut h = Client::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&[52]));
        // A query can be answered, not granted.
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.query_publickey(turn, key.public_key()));
        h.refuses(2, |peer| peer.send_payload(&[52]));
        // Trivial success is named as what it is.
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(ClientConnection::auth_none);
        h.send_payload(&[52]);
        assert_eq!(
            h.connection.authenticated().expect("granted").method(),
            "none"
        );
        // And again.
        h.refuses(2, |peer| peer.send_payload(&[52]));
    });
}

#[test]
fn g21_service_accept() {
    chunked(|mode| {
        for service in [&b"ssh-connection"[..], b"", b"ssh-userauth2"] {
            let mut h = Client::at(Stage::NewKeys, mode);
            h.refuses(2, |peer| peer.send_payload(&message(6, &[F::S(service)])));
        }
        let mut h = ClientConnection::asked(mode);
        h.refuses(2, |peer| peer.send_payload(&message(6, &[USERAUTH])));
        let mut h = Client::at(Stage::Authenticated, mode);
        h.refuses(2, |peer| peer.send_payload(&message(6, &[USERAUTH])));
    });
}

#[test]
fn g22_pk_ok() {
    let (a, b) = (
        fixtures::key("ssh-ed25519", 1),
        fixtures::key("ssh-ed25519", 2),
    );
    let ok = |name: &str, key: &dyn SigningKey| {
        message(
            60,
            &[F::S(name.as_bytes()), F::S(key.public_key().as_blob())],
        )
    };
    chunked(|mode| {
        let signs = |e: &ClientEvent| matches!(e, ClientEvent::Shared(Event::Sign(_)));
        // For another key, or as another algorithm: nothing is signed.
        for answer in [
            ok("ssh-ed25519", &*b),
            ok("ssh-rsa", &*a),
            message(60, &[F::S(b""), F::S(b"")]),
        ] {
            let mut h = Client::at(Stage::Service, mode);
            h.answer_turn(|client, turn| client.auth_publickey_remote(turn, a.public_key()));
            h.refuses(2, |peer| peer.send_payload(&answer));
            assert!(!h.events.iter().any(signs));
        }
        // Unasked: before the service, after `none`, after a signature.
        let mut h = Client::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&ok("ssh-ed25519", &*a)));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(ClientConnection::auth_none);
        h.refuses(2, |peer| peer.send_payload(&ok("ssh-ed25519", &*a)));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.auth_publickey(turn, &*a));
        h.refuses(2, |peer| peer.send_payload(&ok("ssh-ed25519", &*a)));
        assert!(!h.events.iter().any(signs));
    });
}

#[test]
fn g23_banners() {
    let banner = |text: &[u8]| message(53, &[F::S(text), F::S(b"")]);
    chunked(|mode| {
        let mut h = ClientConnection::asked(mode);
        h.events.clear();
        h.send_payload(&banner(b"hi\x1b[2J\x07\xff"));
        match h.events.pop_front() {
            Some(ClientEvent::Banner(banner)) => {
                assert!(!banner.display().to_string().contains(['\x1b', '\x07']));
            }
            other => panic!("{other:?}"),
        }
        // In all, whether in a few large ones or in many that are empty.
        let mut h = ClientConnection::asked(mode);
        h.ended_by_flood(&banner(&[b'x'; 30_000]), 3);
        let mut h = ClientConnection::asked(mode);
        if mode == Mode::PLAIN {
            h.ended_by_flood(&banner(b""), 10_000);
        }
        // Out of its time.
        for stage in [Stage::NewKeys, Stage::Authenticated] {
            let mut h = Client::at(stage, mode);
            h.refuses(2, |peer| peer.send_payload(&banner(b"late")));
        }
    });
}

trait EndedByFlood {
    fn ended_by_flood(&mut self, payload: &[u8], most: usize);
}

impl EndedByFlood for Client {
    fn ended_by_flood(&mut self, payload: &[u8], most: usize) {
        for _ in 0..most {
            self.peer.send_payload(payload);
        }
        self.exchange();
        self.assert_disconnected(ssh_proto::error::DisconnectReason::PROTOCOL_ERROR);
        assert_eq!(*self.error(), Limit::Banner.into());
    }
}

fn failure(methods: &[u8], partial: u8) -> Vec<u8> {
    message(51, &[F::S(methods), F::B(partial)])
}

#[test]
fn g25_failures() {
    chunked(|mode| {
        let mut h = Client::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&failure(b"password", 0)));
        // An empty list leaves the choice to the application.
        let mut h = ClientConnection::asked(mode);
        h.send_payload(&failure(b"", 0));
        match h.take_event(|event| matches!(event, ClientEvent::Auth(_))) {
            ClientEvent::Auth(turn) => {
                assert!(matches!(turn.outcome(), AuthOutcome::Failed));
                drop(turn);
            }
            _ => unreachable!(),
        }
        for garbage in [&b",password"[..], b"a,,b", b"\xff", b"a b", &[b'm'; 65]] {
            let mut h = ClientConnection::asked(mode);
            h.refuses(2, |peer| peer.send_payload(&failure(garbage, 0)));
        }
        // A query proves nothing that could be a part of success.
        let key = fixtures::user_key();
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.query_publickey(turn, key.public_key()));
        h.send_payload(&failure(b"password", 1));
        match h.take_event(|event| matches!(event, ClientEvent::Auth(_))) {
            ClientEvent::Auth(turn) => assert!(matches!(turn.outcome(), AuthOutcome::Failed)),
            _ => unreachable!(),
        }
    });
}

#[test]
fn g25_an_endless_loop_ends() {
    chunked(|mode| {
        for partial in [0, 1] {
            let mut h = Client::at(Stage::Service, mode);
            let mut count = 0;
            while h.ended.is_none() {
                count += 1;
                h.answer_turn(|client, turn| client.auth_password(turn, &Password::new("x")));
                h.send_payload(&failure(b"password", partial));
                assert!(count < 100);
            }
            assert_eq!(count, 65);
            assert_eq!(*h.error(), Limit::AuthFailures.into());
            h.assert_disconnected(ssh_proto::error::DisconnectReason(14));
        }
    });
}

#[test]
fn g26_a_demand_for_a_new_password_without_a_password() {
    let demand = message(60, &[F::S(b"new password"), F::S(b"")]);
    let key = fixtures::user_key();
    chunked(|mode| {
        let mut h = Client::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&demand));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(ClientConnection::auth_none);
        h.refuses(2, |peer| peer.send_payload(&demand));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.auth_publickey(turn, &*key));
        h.refuses(2, |peer| peer.send_payload(&demand));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.query_publickey(turn, key.public_key()));
        h.refuses(2, |peer| peer.send_payload(&demand));
    });
}

#[test]
fn g27_a_server_asks_for_more_after_success() {
    chunked(|mode| {
        for payload in [
            failure(b"password", 0),
            failure(b"password", 1),
            vec![52],
            message(53, &[F::S(b"hello"), F::S(b"")]),
            message(60, &[F::S(b"again"), F::S(b"")]),
            message(61, &[F::U(0)]),
            none(b"ferris"),
            message(5, &[USERAUTH]),
        ] {
            let mut h = Client::at(Stage::Authenticated, mode);
            h.refuses(2, |peer| peer.send_payload(&payload));
        }
    });
}

/// G19 for a client that sets a grace of its own.
#[test]
fn g19_a_client_may_have_a_grace_too() {
    chunked(|mode| {
        let builder = Pair::builder(mode);
        let limited = builder.client_limits(|l| l.login_grace = Some(Duration::from_secs(20)));
        let mut h = Client::with_connection(limited.build().client, mode.chunking);
        h.advance_to(Stage::NewKeys);
        h.advance(Duration::from_secs(21));
        assert_eq!(*h.error(), Error::Timeout(Timer::LoginGrace));
        h.assert_disconnected(ssh_proto::error::DisconnectReason::BY_APPLICATION);
    });
}
