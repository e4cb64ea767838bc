//! Client against server in memory (RFC 4252): every flow from the first request to the proof.

use alloc::string::ToString;

use bytes::Bytes;

use super::toy::{self, ToyKey, public_key};
use super::*;
use crate::crypto::SigningKey;
use crate::limits::Limits;
use crate::wire::outbox::Outbox;

struct Pair {
    client: Client,
    server: Server,
    to_server: Outbox,
    to_client: Outbox,
}

impl Pair {
    /// A pair whose client has its first turn.
    fn new() -> Self {
        let mut pair = Self {
            client: toy::client("me"),
            server: toy::server(&Limits::default()),
            to_server: Outbox::default(),
            to_client: Outbox::default(),
        };
        pair.client.start(&mut pair.to_server);
        assert!(pair.ask().is_none());
        assert_eq!(pair.outcome(), AuthOutcome::Start);
        pair
    }

    fn ask(&mut self) -> Option<ServerAsk> {
        let payload = toy::only(&mut self.to_server);
        self.server.handle(&payload, &mut self.to_client).unwrap()
    }

    fn method(&mut self) -> AuthMethod {
        match self.ask() {
            Some(ServerAsk::Request { user, method, .. }) => {
                assert_eq!(user, "me");
                method
            }
            other => panic!("{other:?}"),
        }
    }

    fn reply(&mut self) -> ClientAsk {
        let payload = self.to_client.pop().expect("a reply");
        let payload = Bytes::copy_from_slice(payload.as_ref());
        self.client.handle(&payload).unwrap().unwrap()
    }

    fn turn(&mut self) -> Turn {
        match self.reply() {
            ClientAsk::Turn(turn) => turn,
            other => panic!("{other:?}"),
        }
    }

    fn outcome(&mut self) -> AuthOutcome {
        self.turn().outcome
    }

    /// The server accepts; both sides hold the same proof.
    fn succeeds(&mut self, method: &str) -> Authenticated {
        let theirs = self.server.accept(&mut self.to_client).unwrap();
        match self.reply() {
            ClientAsk::Authenticated(ours) => {
                assert_eq!((ours.user(), ours.method()), ("me", method));
                assert_eq!(ours.key(), theirs.key());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!((theirs.user(), theirs.method()), ("me", method));
        theirs
    }

    fn reject(&mut self) {
        self.server.reject(None, &mut self.to_client).unwrap();
    }

    fn send_password(&mut self, password: &str) {
        let password = Password::new(password);
        self.client
            .password(&password, &mut self.to_server)
            .unwrap();
    }
}

#[test]
fn none_tells_the_methods_or_is_enough() {
    let mut pair = Pair::new();
    pair.client.none(&mut pair.to_server).unwrap();
    assert!(matches!(pair.method(), AuthMethod::None));
    pair.reject();
    assert_eq!(pair.turn().methods.unwrap(), ["publickey", "password"]);
    pair.client.none(&mut pair.to_server).unwrap();
    pair.method();
    pair.succeeds("none");
}

#[test]
fn password_fails_then_succeeds() {
    let mut pair = Pair::new();
    for password in ["wrong", "right"] {
        pair.send_password(password);
        match pair.method() {
            AuthMethod::Password(sent) if sent.matches(b"right") => break,
            AuthMethod::Password(_) => pair.reject(),
            other => panic!("{other:?}"),
        }
        assert_eq!(pair.outcome(), AuthOutcome::Failed);
    }
    assert_eq!(pair.succeeds("password").key(), None);
}

#[test]
fn g13_password_is_changed_on_demand() {
    let mut pair = Pair::new();
    pair.send_password("old");
    pair.method();
    pair.server
        .request_password_change("expired", &mut pair.to_client)
        .unwrap();
    let prompt = "expired".to_string();
    assert_eq!(
        pair.outcome(),
        AuthOutcome::PasswordChangeRequired { prompt }
    );
    let (old, new) = (Password::new("old"), Password::new("new"));
    pair.client
        .change_password(&old, &new, &mut pair.to_server)
        .unwrap();
    match pair.method() {
        AuthMethod::PasswordChange { old, new } => {
            assert!(old.matches(b"old") && new.matches(b"new"));
        }
        other => panic!("{other:?}"),
    }
    pair.succeeds("password");
}

#[test]
fn publickey_signs_at_once() {
    let mut pair = Pair::new();
    let key = ToyKey::new(&["toy"], "a");
    pair.client.publickey(&key, &mut pair.to_server).unwrap();
    match pair.method() {
        AuthMethod::PublicKey { key: proven, .. } => assert_eq!(&proven, key.public_key()),
        other => panic!("{other:?}"),
    }
    assert_eq!(pair.succeeds("publickey").key(), Some(key.public_key()));
}

#[test]
fn publickey_query_answers_without_proof() {
    let mut pair = Pair::new();
    let key = public_key("toy", "a");
    pair.client.set_server_sig_algs(b"toy-2");
    for usable in [false, true] {
        pair.client
            .query_publickey(&key, &mut pair.to_server)
            .unwrap();
        match pair.ask() {
            Some(ServerAsk::KeyQuery {
                key: asked,
                algorithm: "toy-2",
                ..
            }) => assert_eq!(asked, key),
            other => panic!("{other:?}"),
        }
        pair.server
            .answer_query(usable, &mut pair.to_client)
            .unwrap();
        let expected = if usable {
            AuthOutcome::KeyUsable(key.clone())
        } else {
            AuthOutcome::Failed
        };
        assert_eq!(pair.outcome(), expected);
    }
}

#[test]
fn publickey_signed_elsewhere_is_asked_for_only_if_usable() {
    let mut pair = Pair::new();
    let key = ToyKey::new(&["toy"], "a");
    for usable in [false, true] {
        pair.client
            .publickey_remote(key.public_key(), &mut pair.to_server)
            .unwrap();
        assert!(matches!(pair.ask(), Some(ServerAsk::KeyQuery { .. })));
        pair.server
            .answer_query(usable, &mut pair.to_client)
            .unwrap();
        if !usable {
            assert_eq!(pair.outcome(), AuthOutcome::Failed);
        }
    }
    match pair.reply() {
        ClientAsk::Sign {
            algorithm, message, ..
        } => {
            let signature = key.sign(algorithm, &message).unwrap();
            pair.client
                .provide_signature(&signature, &mut pair.to_server)
                .unwrap();
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(pair.method(), AuthMethod::PublicKey { .. }));
    assert_eq!(pair.succeeds("publickey").key(), Some(key.public_key()));
}

#[test]
fn g11_two_steps_make_one_login() {
    let mut pair = Pair::new();
    let key = ToyKey::new(&["toy"], "a");
    pair.client.publickey(&key, &mut pair.to_server).unwrap();
    pair.method();
    pair.server
        .accept_partial(MethodSet::PASSWORD, &mut pair.to_client)
        .unwrap();
    let turn = pair.turn();
    assert_eq!(turn.outcome, AuthOutcome::PartialSuccess);
    assert_eq!(turn.methods.unwrap(), ["password"]);
    pair.client.publickey(&key, &mut pair.to_server).unwrap();
    assert!(pair.ask().is_none());
    assert_eq!(pair.outcome(), AuthOutcome::Failed);
    pair.send_password("x");
    pair.method();
    pair.succeeds("password");
}

#[test]
fn g23_a_banner_comes_through_between_request_and_reply() {
    let mut pair = Pair::new();
    pair.send_password("x");
    pair.method();
    pair.server.banner("Hello", &mut pair.to_client).unwrap();
    let proof = pair.server.accept(&mut pair.to_client).unwrap();
    match pair.reply() {
        ClientAsk::Banner(banner) => assert_eq!(banner.display().to_string(), "Hello"),
        other => panic!("{other:?}"),
    }
    match pair.reply() {
        ClientAsk::Authenticated(ours) => assert_eq!(ours, proof),
        other => panic!("{other:?}"),
    }
}
