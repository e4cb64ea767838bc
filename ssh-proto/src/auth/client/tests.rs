//! The client against hand-made servers (RFC 4252).

mod gssapi;
mod hostbased;
mod keyboard_interactive;
mod publickey;

use alloc::vec;

use super::*;
use crate::auth::Password;
use crate::auth::toy::{self, ToyKey, only, payload, public_key};
use crate::crypto::Signature;
use crate::error::DecodeError;
use crate::limits::MAX_PASSWORD;
use crate::wire::auth::{PublicKeyAuth, UserauthPasswdChangereq, UserauthPkOk};
use crate::wire::{Message, NameList};

struct Rig {
    client: Client,
    out: Outbox,
}

impl Rig {
    /// A client that has been granted the service.
    fn new() -> Self {
        let mut rig = Self {
            client: toy::client("me"),
            out: Outbox::default(),
        };
        rig.client.start(&mut rig.out);
        let request = only(&mut rig.out);
        let request = ServiceRequest::from_payload(&request).unwrap();
        assert_eq!(request.service, SSH_USERAUTH);
        assert_eq!(rig.turns(&accept("ssh-userauth")).methods, None);
        rig
    }

    fn send(&mut self, payload: &Bytes) -> Result<ClientAsk, Error> {
        self.client.handle(payload).map(Option::unwrap)
    }

    fn turns(&mut self, payload: &Bytes) -> Turn {
        match self.send(payload).unwrap() {
            ClientAsk::Turn(turn) => turn,
            other => panic!("{other:?}"),
        }
    }

    fn refuses(&mut self, payload: &Bytes, error: impl Into<Error>) {
        assert_eq!(self.send(payload).unwrap_err(), error.into());
        assert!(self.out.is_empty());
    }

    fn none(mut self) -> Self {
        self.client.none(&mut self.out).unwrap();
        only(&mut self.out);
        self
    }

    fn password(mut self) -> Self {
        let password = Password::new("x");
        self.client.password(&password, &mut self.out).unwrap();
        only(&mut self.out);
        self
    }

    fn signed(mut self) -> Self {
        self.client.publickey(&key(), &mut self.out).unwrap();
        only(&mut self.out);
        self
    }

    fn query(mut self) -> Self {
        let key = public_key("toy", "a");
        self.client.query_publickey(&key, &mut self.out).unwrap();
        only(&mut self.out);
        self
    }

    fn remote(mut self) -> Self {
        let key = public_key("toy", "a");
        self.client.publickey_remote(&key, &mut self.out).unwrap();
        only(&mut self.out);
        self
    }
}

fn key() -> ToyKey {
    ToyKey::new(&["toy", "toy-2"], "a")
}

fn accept(service: &str) -> Bytes {
    payload(&ServiceAccept {
        service: service.as_bytes(),
    })
}

fn failure(methods: &[&'static str], partial_success: bool) -> Bytes {
    payload(&UserauthFailure {
        methods: NameList::from_names(methods.iter().copied()),
        partial_success,
    })
}

fn pk_ok(algorithm: &str, key: &PublicKey) -> Bytes {
    payload(&UserauthPkOk {
        algorithm: algorithm.as_bytes(),
        key: key.as_blob(),
    })
}

fn change(prompt: &[u8]) -> Bytes {
    payload(&UserauthPasswdChangereq {
        prompt,
        language: b"",
    })
}

fn banner(message: &[u8]) -> Bytes {
    payload(&UserauthBanner {
        message,
        language: b"",
    })
}

fn success() -> Bytes {
    payload(&UserauthSuccess {})
}

/// The algorithm of the request that waits, and whether it is signed.
fn sent(out: &mut Outbox) -> (String, bool) {
    let request = only(out);
    match UserauthRequest::from_payload(&request).unwrap().method {
        WireMethod::PublicKey(PublicKeyAuth {
            algorithm,
            signature,
            ..
        }) => (
            String::from_utf8(algorithm.to_vec()).unwrap(),
            signature.is_some(),
        ),
        other => panic!("{other:?}"),
    }
}

const UNSOLICITED: PeerMisbehaved = PeerMisbehaved::UnsolicitedAuthReply;

#[test]
fn g20_success_unasked_is_refused() {
    let mut fresh = toy::client("me");
    assert_eq!(fresh.handle(&success()).unwrap_err(), UNSOLICITED.into());
    fresh.start(&mut Outbox::default());
    assert_eq!(fresh.handle(&success()).unwrap_err(), UNSOLICITED.into());
    Rig::new().refuses(&success(), UNSOLICITED);
    // A query can be answered, not granted.
    Rig::new().query().refuses(&success(), UNSOLICITED);
    Rig::new().remote().refuses(&success(), UNSOLICITED);
    let mut signing = Rig::new().remote();
    signing
        .send(&pk_ok("toy", &public_key("toy", "a")))
        .unwrap();
    signing.refuses(&success(), UNSOLICITED);
}

#[test]
fn g20_success_names_the_method() {
    for (mut rig, method) in [
        (Rig::new().none(), "none"),
        (Rig::new().password(), "password"),
        (Rig::new().signed(), "publickey"),
    ] {
        match rig.send(&success()).unwrap() {
            ClientAsk::Authenticated(proof) => {
                assert_eq!((proof.user(), proof.method()), ("me", method));
                let key = (method == "publickey").then(|| public_key("toy", "a"));
                assert_eq!(proof.key(), key.as_ref());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn g21_service_accept_answers_the_request_once() {
    let mut fresh = toy::client("me");
    let accepted = accept("ssh-userauth");
    assert_eq!(fresh.handle(&accepted).unwrap_err(), unexpected(6));
    for other in ["ssh-connection", "", "ssh-userauth\0"] {
        let mut client = toy::client("me");
        client.start(&mut Outbox::default());
        assert_eq!(client.handle(&accept(other)).unwrap_err(), unexpected(6));
    }
    Rig::new().refuses(&accepted, unexpected(6));
    Rig::new().none().refuses(&accepted, unexpected(6));
}

#[test]
fn g22_pk_ok_unasked_is_refused() {
    let answer = pk_ok("toy", &public_key("toy", "a"));
    Rig::new().refuses(&answer, UNSOLICITED);
    Rig::new().none().refuses(&answer, UNSOLICITED);
    // Once signed, there is nothing more to say yes to.
    Rig::new().signed().refuses(&answer, UNSOLICITED);
    let mut twice = Rig::new().remote();
    twice.send(&answer).unwrap();
    twice.refuses(&answer, UNSOLICITED);
}

#[test]
fn g22_pk_ok_for_something_else_is_never_signed() {
    let (a, b) = (public_key("toy", "a"), public_key("toy", "b"));
    for answer in [pk_ok("toy", &b), pk_ok("toy-2", &a), pk_ok("", &a)] {
        for mut rig in [Rig::new().query(), Rig::new().remote()] {
            rig.refuses(&answer, PeerMisbehaved::MismatchedPkOk);
        }
    }
}

#[test]
fn g23_banners_are_bounded_in_all() {
    let mut rig = Rig::new();
    match rig.send(&banner(b"hi\x1b")).unwrap() {
        ClientAsk::Banner(banner) => assert_eq!(banner.display().to_string(), "hi\\u{1b}"),
        other => panic!("{other:?}"),
    }
    rig.refuses(&banner(&[b'x'; 64 << 10]), Limit::Banner);

    let mut rig = Rig::new().none();
    let mut count = 0;
    let end = loop {
        match rig.send(&banner(b"")) {
            Ok(_) => count += 1,
            Err(end) => break end,
        }
    };
    assert_eq!(end, Limit::Banner.into());
    assert!((1000..10_000).contains(&count), "{count}");
}

#[test]
fn g23_banners_come_during_authentication_only() {
    let mut early = toy::client("me");
    assert_eq!(early.handle(&banner(b"")).unwrap_err(), unexpected(53));
    early.start(&mut Outbox::default());
    assert_eq!(early.handle(&banner(b"")).unwrap_err(), unexpected(53));
    let mut late = Rig::new().none();
    // One in between costs the attempt nothing.
    late.send(&banner(b"")).unwrap();
    late.send(&success()).unwrap();
    late.refuses(&banner(b""), unexpected(53));
}

#[test]
fn g24_replies_of_other_methods_are_refused() {
    let prompts = payload(&UserauthInfoRequest {
        name: b"",
        instruction: b"",
        language: b"",
        prompts: vec![],
    });
    Rig::new().refuses(&prompts, UNSOLICITED);
    Rig::new().none().refuses(&prompts, UNSOLICITED);
    Rig::new().signed().refuses(&prompts, UNSOLICITED);
    for number in 60..=79 {
        Rig::new()
            .none()
            .refuses(&Bytes::from(vec![number]), UNSOLICITED);
    }
    for number in [5, 50, 54] {
        Rig::new()
            .none()
            .refuses(&Bytes::from(vec![number]), unexpected(number));
    }
}

#[test]
fn g25_failure_unasked_is_refused() {
    let message = failure(&["password"], false);
    Rig::new().refuses(&message, UNSOLICITED);
    let mut rig = Rig::new().none();
    rig.turns(&message);
    rig.refuses(&message, UNSOLICITED);
}

#[test]
fn g25_lists_may_be_empty_but_not_garbage() {
    let turn = Rig::new().none().turns(&failure(&[], false));
    assert_eq!(turn.outcome, AuthOutcome::Failed);
    assert_eq!(turn.methods, Some(vec![]));
    let mut garbage = failure(&["a,,b"], false);
    let bad_list = Error::InvalidMessage {
        number: 51,
        error: DecodeError::BadNameList,
    };
    Rig::new().none().refuses(&garbage, bad_list);
    garbage.truncate(garbage.len() - 1);
    assert!(Rig::new().none().send(&garbage).is_err());
}

#[test]
fn g25_partial_success_is_told_but_not_of_a_query() {
    let message = failure(&["publickey", "x"], true);
    let mut rig = Rig::new().password();
    let turn = rig.turns(&message);
    assert_eq!(turn.outcome, AuthOutcome::PartialSuccess);
    assert_eq!(turn.methods.unwrap(), ["publickey", "x"]);
    let mut rig = rig.query();
    assert_eq!(rig.turns(&message).outcome, AuthOutcome::Failed);
}

#[test]
fn g25_failures_without_end_end() {
    let mut rig = Rig::new();
    for round in 0..64 {
        rig = match round % 3 {
            0 => rig.none(),
            1 => rig.query(),
            _ => rig.password(),
        };
        let partial = round % 2 == 0;
        rig.turns(&failure(&["password"], partial));
    }
    rig.password()
        .refuses(&failure(&["password"], true), Limit::AuthFailures);
}

#[test]
fn g26_password_change_answers_a_password_only() {
    let demand = change(b"expired");
    Rig::new().refuses(&demand, UNSOLICITED);
    Rig::new().none().refuses(&demand, UNSOLICITED);
    Rig::new().signed().refuses(&demand, UNSOLICITED);
    assert!(matches!(
        Rig::new().query().send(&change(b"toy")).unwrap_err(),
        Error::PeerMisbehaved(PeerMisbehaved::MismatchedPkOk)
    ));

    let prompt = [&b"\x1b"[..], &[b'x'; 2000]].concat();
    let mut rig = Rig::new().password();
    match rig.turns(&change(&prompt)).outcome {
        AuthOutcome::PasswordChangeRequired { prompt } => {
            assert!(prompt.starts_with("\\u{1b}x"));
            assert!(prompt.len() < 1100);
        }
        other => panic!("{other:?}"),
    }
    // It may be demanded again, though not for ever.
    for round in 1..=64 {
        let (old, new) = (Password::new("x"), Password::new("y"));
        rig.client
            .change_password(&old, &new, &mut rig.out)
            .unwrap();
        only(&mut rig.out);
        if round < 64 {
            rig.turns(&change(b"too short"));
        }
    }
    rig.refuses(&change(b"too short"), Limit::AuthFailures);
}

#[test]
fn g27_nothing_follows_success() {
    for message in [
        success(),
        failure(&["password"], true),
        change(b""),
        accept("ssh-userauth"),
    ] {
        let mut rig = Rig::new().password();
        rig.send(&success()).unwrap();
        rig.send(&message).unwrap_err();
        let password = Password::new("x");
        let late = rig.client.password(&password, &mut rig.out);
        assert_eq!(late, Err(ApiMisuse::WrongAnswer));
        assert!(rig.out.is_empty());
    }
}

#[test]
fn messages_are_parsed_in_full() {
    for (make, message) in [
        (Rig::none as fn(Rig) -> Rig, failure(&["a"], false)),
        (Rig::none, success()),
        (Rig::none, banner(b"x")),
        (Rig::query, pk_ok("toy", &public_key("toy", "a"))),
        (Rig::password, change(b"x")),
        (Rig::interactive, keyboard_interactive::info_request(&[])),
        (Rig::gssapi, gssapi::selects(gssapi::KERBEROS)),
        (Rig::gssapi, gssapi::error()),
        (Rig::exchanging, gssapi::token(b"x")),
        (Rig::exchanging, gssapi::error_token()),
    ] {
        assert!(make(Rig::new()).send(&message).is_ok());
        for cut in 0..message.len() {
            let refused = make(Rig::new()).send(&message.slice(..cut)).unwrap_err();
            assert!(matches!(refused, Error::InvalidMessage { .. }));
        }
        let longer = Bytes::from([&message[..], &[0]].concat());
        let refused = make(Rig::new()).send(&longer).unwrap_err();
        assert!(matches!(refused, Error::InvalidMessage { .. }));
    }
}

#[test]
fn answers_out_of_turn_send_nothing() {
    let misuse = Err(ApiMisuse::WrongAnswer);
    let (password, public, key) = (Password::new("x"), public_key("toy", "a"), key());
    let signature = Signature::new("toy", b"");
    for mut rig in [Rig::new().none(), Rig::new().query()] {
        let Rig { client, out } = &mut rig;
        assert_eq!(client.none(out), misuse);
        assert_eq!(client.password(&password, out), misuse);
        assert_eq!(client.change_password(&password, &password, out), misuse);
        assert_eq!(client.query_publickey(&public, out), misuse);
        assert_eq!(client.publickey_remote(&public, out), misuse);
        assert_eq!(client.provide_signature(&signature, out), misuse);
        assert_eq!(client.abandon().map(drop), misuse);
        let late = client.publickey(&key, out);
        assert_eq!(late, Err(ApiMisuse::WrongAnswer.into()));
        assert!(out.is_empty());
    }
}

#[test]
fn refused_answers_leave_the_turn() {
    let mut rig = Rig::new();
    let Rig { client, out } = &mut rig;
    let (fine, long) = (Password::new("x"), Password::new([b'x'; 1025]));
    let too_long = Err(ApiMisuse::InvalidText);
    assert_eq!(client.password(&long, out), too_long);
    assert_eq!(client.change_password(&fine, &long, out), too_long);
    let unsupported = Err(ApiMisuse::UnsupportedKey);
    let strange = public_key("strange", "a");
    assert_eq!(client.query_publickey(&strange, out), unsupported);
    assert_eq!(client.publickey_remote(&strange, out), unsupported);
    let key = ToyKey::new(&["strange", "other"], "a");
    let refused = client.publickey(&key, out);
    assert_eq!(refused, Err(ApiMisuse::UnsupportedKey.into()));
    assert!(out.is_empty());
    rig.password();
}

#[test]
fn passwords_leave_as_secrets() {
    use crate::wire::outbox::Payload;
    let Rig {
        mut client,
        mut out,
    } = Rig::new();
    let longest = Password::new([b'x'; MAX_PASSWORD]);
    client
        .change_password(&longest, &longest, &mut out)
        .unwrap();
    assert!(matches!(out.pop(), Some(Payload::Secret(_))));
    let mut rig = Rig { client, out };
    rig.turns(&failure(&["password"], false));
    rig.client.password(&longest, &mut rig.out).unwrap();
    assert!(matches!(rig.out.pop(), Some(Payload::Secret(_))));
}
