//! The server against hand-made clients (RFC 4252).

mod gssapi;
mod hostbased;
mod keyboard_interactive;
mod publickey;
mod steps;

use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::auth::signed::signed_data;
use crate::auth::toy::{self, SESSION, ToyKey, payload, public_key, shown};
use crate::crypto::SigningKey;
use crate::error::DecodeError;
use crate::wire::Message;
use crate::wire::auth::{KeyboardInteractiveAuth, PasswordAuth};

const OPEN: &str = "51 publickey,password";
const ALL_OPEN: &str = "51 publickey,gssapi-with-mic,password,keyboard-interactive,hostbased";

const ALL: MethodSet = MethodSet::PUBLICKEY
    .union(MethodSet::GSSAPI_WITH_MIC)
    .union(MethodSet::PASSWORD)
    .union(MethodSet::KEYBOARD_INTERACTIVE)
    .union(MethodSet::HOSTBASED);

struct Rig {
    server: Server,
    out: Outbox,
    /// What a failure says.
    open: &'static str,
}

impl Rig {
    fn new() -> Self {
        Self::with(&Limits::default())
    }

    /// A server that has granted the service.
    fn with(limits: &Limits) -> Self {
        Self::of(toy::server(limits), OPEN)
    }

    /// A server that takes every method.
    fn all() -> Self {
        Self::all_with(&Limits::default())
    }

    fn all_with(limits: &Limits) -> Self {
        Self::of(toy::server_with(limits, toy::policy(ALL)), ALL_OPEN)
    }

    fn of(server: Server, open: &'static str) -> Self {
        let mut rig = Self {
            server,
            out: Outbox::default(),
            open,
        };
        rig.send(&service("ssh-userauth")).unwrap();
        assert_eq!(shown(&mut rig.out), ["6"]);
        rig
    }

    fn send(&mut self, payload: &Bytes) -> Result<Option<ServerAsk>, Error> {
        self.server.handle(payload, &mut self.out)
    }

    fn asks(&mut self, payload: &Bytes) -> AuthMethod {
        match self.send(payload).unwrap() {
            Some(ServerAsk::Request { user, method, .. }) => {
                assert_eq!(user, "me");
                assert!(self.out.is_empty());
                method
            }
            other => panic!("{other:?}"),
        }
    }

    /// The request fails without a question.
    fn fails(&mut self, payload: &Bytes) {
        assert!(self.send(payload).unwrap().is_none(), "{payload:?}");
        assert_eq!(shown(&mut self.out), [self.open], "{payload:?}");
    }

    /// The message is not one that is due: it ends the connection.
    fn refuses(&mut self, payload: &Bytes) {
        let refused = self.send(payload).unwrap_err();
        assert_eq!(refused, unexpected(payload[0]));
        assert!(self.out.is_empty());
    }

    /// The answer does not fit the question, and changes nothing.
    fn misfits<T: core::fmt::Debug>(
        &mut self,
        answer: impl FnOnce(&mut Server, &mut Outbox) -> Result<T, Error>,
    ) {
        let answered = answer(&mut self.server, &mut self.out);
        assert_eq!(answered.unwrap_err(), ApiMisuse::WrongAnswer.into());
        assert!(self.out.is_empty());
    }

    fn rejects(&mut self) {
        self.server.reject(None, &mut self.out).unwrap();
        assert_eq!(shown(&mut self.out), [self.open]);
    }
}

fn service(name: &str) -> Bytes {
    payload(&ServiceRequest {
        service: name.as_bytes(),
    })
}

fn request(user: &[u8], method: WireMethod<'_>) -> Bytes {
    payload(&UserauthRequest {
        user,
        service: SSH_CONNECTION,
        method,
    })
}

fn none() -> Bytes {
    request(b"me", WireMethod::None(()))
}

fn password(password: &[u8], new_password: Option<&[u8]>) -> Bytes {
    request(
        b"me",
        WireMethod::Password(PasswordAuth {
            password,
            new_password,
        }),
    )
}

fn publickey(user: &str, algorithm: &str, key: &[u8], signature: Option<&[u8]>) -> Bytes {
    request(
        user.as_bytes(),
        WireMethod::PublicKey(PublicKeyAuth {
            algorithm: algorithm.as_bytes(),
            key,
            signature,
        }),
    )
}

fn query(key: &PublicKey) -> Bytes {
    publickey("me", "toy", key.as_blob(), None)
}

fn signed(key: &ToyKey) -> Bytes {
    let message = signed_data(SESSION, b"me", "toy", key.public_key());
    let signature = key.sign("toy", &message).unwrap();
    publickey(
        "me",
        "toy",
        key.public_key().as_blob(),
        Some(signature.as_encoded()),
    )
}

fn key(seed: &str) -> ToyKey {
    ToyKey::new(&["toy", "toy-2"], seed)
}

fn unknown_service() -> Error {
    Error::PeerIncompatible(PeerIncompatible::UnknownService)
}

#[test]
fn g2_messages_of_the_server_are_refused() {
    for number in (51..=79).chain([6]) {
        let message = Bytes::from(vec![number]);
        let mut fresh = toy::server(&Limits::default());
        let refused = fresh.handle(&message, &mut Outbox::default());
        assert_eq!(refused.unwrap_err(), unexpected(number));
        let mut rig = Rig::new();
        assert_eq!(rig.send(&message).unwrap_err(), unexpected(number));
        assert!(rig.out.is_empty());
        assert!(rig.server.accept(&mut rig.out).is_err());
    }
}

#[test]
fn g3_the_service_comes_first() {
    let mut server = toy::server(&Limits::default());
    let mut out = Outbox::default();
    let refused = server.handle(&none(), &mut out);
    assert_eq!(refused.unwrap_err(), unexpected(50));
    let refused = server.handle(&service("ssh-connection"), &mut out);
    assert_eq!(refused.unwrap_err(), unexpected(5));
    let refused = server.handle(&service("ssh-userauth2"), &mut out);
    assert_eq!(refused.unwrap_err(), unknown_service());
    assert!(out.is_empty());
}

#[test]
fn g3_repeated_service_requests_are_answered_up_to_the_cap() {
    let mut rig = Rig::new();
    for _ in 1..128 {
        assert!(rig.send(&service("ssh-userauth")).unwrap().is_none());
        assert_eq!(shown(&mut rig.out), ["6"]);
    }
    let end = rig.send(&service("ssh-userauth")).unwrap_err();
    assert_eq!(end, Limit::AuthRequests.into());
}

#[test]
fn g4_service_and_user_are_fixed() {
    let to = |user, service: &'static str| {
        payload(&UserauthRequest {
            user,
            service: service.as_bytes(),
            method: WireMethod::None(()),
        })
    };
    let refused = Rig::new().send(&to(b"me", "ssh-userauth"));
    assert_eq!(refused.unwrap_err(), unknown_service());

    for changed in [to(b"you", "ssh-connection"), to(b"me", "ssh-userauth")] {
        let mut rig = Rig::new();
        let a = key("a");
        rig.asks(&signed(&a));
        let remaining = MethodSet::PASSWORD;
        rig.server.accept_partial(remaining, &mut rig.out).unwrap();
        let refused = rig.send(&changed).unwrap_err();
        assert_eq!(refused, PeerMisbehaved::AuthIdentityChanged.into());
    }
}

#[test]
fn g5_odd_methods_fail_with_the_list() {
    let long = "x".repeat(65);
    let names = ["", "a\0b", "NONE", "none ", "gssapi-keyex", &long];
    for name in names {
        let name = name.as_bytes();
        let unknown = |body| request(b"me", WireMethod::Unknown { name, body });
        Rig::new().fails(&unknown(b""));
        Rig::new().fails(&unknown(b"\xff\xff\xff\xff"));
    }
    let interactive = WireMethod::KeyboardInteractive(KeyboardInteractiveAuth {
        language: b"",
        submethods: b"",
    });
    Rig::new().fails(&request(b"me", interactive));
}

#[test]
fn g5_none_succeeds_only_if_the_application_says_so() {
    let mut rig = Rig::new();
    assert!(matches!(rig.asks(&none()), AuthMethod::None));
    rig.rejects();
    assert!(matches!(rig.asks(&none()), AuthMethod::None));
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(
        (proof.user(), proof.method(), proof.key()),
        ("me", "none", None)
    );
    assert_eq!(shown(&mut rig.out), ["52"]);
}

#[test]
fn g5_methods_outside_the_set_fail_unasked() {
    let mut rig = Rig::new();
    rig.asks(&none());
    let only_keys = Some(MethodSet::PUBLICKEY);
    rig.server.reject(only_keys, &mut rig.out).unwrap();
    assert_eq!(shown(&mut rig.out), ["51 publickey"]);
    assert!(rig.send(&password(b"x", None)).unwrap().is_none());
    assert_eq!(shown(&mut rig.out), ["51 publickey"]);
    rig.asks(&signed(&key("a")));
}

#[test]
fn g6_failures_are_capped() {
    let mut rig = Rig::new();
    rig.asks(&none());
    rig.rejects();
    for round in 1..6 {
        // Its own failures, the application's, and a `none` that is not the first all count.
        match round % 3 {
            0 => rig.fails(&password(&[0; 1025], None)),
            1 => {
                rig.asks(&password(b"wrong", None));
                rig.rejects();
            }
            _ => {
                rig.asks(&none());
                rig.rejects();
            }
        }
    }
    rig.asks(&password(b"wrong", None));
    let end = rig.server.reject(None, &mut rig.out).unwrap_err();
    assert_eq!(end, Limit::AuthFailures.into());
    assert!(rig.out.is_empty());
    assert!(rig.server.accept(&mut rig.out).is_err());
}

#[test]
fn g6_only_a_none_that_comes_first_is_free() {
    let limits = Limits {
        auth_failures: 1,
        ..Limits::default()
    };
    let mut rig = Rig::with(&limits);
    rig.asks(&none());
    rig.rejects();
    let end = rig.send(&password(&[0; 1025], None)).unwrap_err();
    assert_eq!(end, Limit::AuthFailures.into());

    let limits = Limits {
        auth_failures: 2,
        ..limits
    };
    let mut rig = Rig::with(&limits);
    rig.fails(&password(&[0; 1025], None));
    rig.asks(&none());
    let end = rig.server.reject(None, &mut rig.out).unwrap_err();
    assert_eq!(end, Limit::AuthFailures.into());
}

#[test]
fn g6_queries_are_capped() {
    let mut rig = Rig::new();
    let a = key("a");
    for round in 0..15 {
        if round % 2 == 0 {
            let asked = rig.send(&query(a.public_key())).unwrap();
            assert!(matches!(asked, Some(ServerAsk::KeyQuery { .. })));
            let usable = round % 4 == 0;
            rig.server.answer_query(usable, &mut rig.out).unwrap();
            assert_eq!(shown(&mut rig.out), [if usable { "60" } else { OPEN }]);
        } else {
            rig.fails(&query(&public_key("unknown", "")));
        }
    }
    let end = rig.send(&query(a.public_key())).unwrap_err();
    assert_eq!(end, Limit::KeyQueries.into());
}

#[test]
fn g6_requests_are_capped_whatever_they_are() {
    let mut rig = Rig::new();
    // One request was for the service; none of these is a failure.
    for round in 1..128 {
        rig.asks(&password(b"right", None));
        let Rig { server, out, .. } = &mut rig;
        let answered = match round {
            ..64 => server.accept_partial(MethodSet::PASSWORD, out),
            _ => server.request_password_change("", out),
        };
        assert_eq!(answered, Ok(()));
        shown(out);
    }
    let end = rig.send(&password(b"right", None)).unwrap_err();
    assert_eq!(end, Limit::AuthRequests.into());
}

#[test]
fn g6_a_mix_without_end_ends() {
    let mut rig = Rig::new();
    let a = key("a");
    let mix = [
        none(),
        query(a.public_key()),
        password(b"", None),
        signed(&a),
    ];
    let end = mix
        .iter()
        .cycle()
        .take(10_000)
        .try_for_each(|message| match rig.send(message)? {
            Some(ServerAsk::KeyQuery { .. }) => rig.server.answer_query(true, &mut rig.out),
            Some(ServerAsk::Request { .. }) => rig.server.reject(None, &mut rig.out),
            other => {
                assert!(other.is_none());
                Ok(())
            }
        });
    assert_eq!(end, Err(Limit::AuthFailures.into()));
}

#[test]
fn g12_requests_are_parsed_in_full_before_anything_is_asked() {
    let a = key("a");
    for whole in [
        none(),
        password(b"x", None),
        query(a.public_key()),
        signed(&a),
        service("ssh-userauth"),
    ] {
        for cut in 0..whole.len() {
            let refused = Rig::new().send(&whole.slice(..cut)).unwrap_err();
            assert!(
                matches!(refused, Error::InvalidMessage { .. }),
                "{refused:?}"
            );
        }
        let longer = [&whole[..], &[0]].concat();
        let refused = Rig::new().send(&longer.into()).unwrap_err();
        assert!(
            matches!(refused, Error::InvalidMessage { .. }),
            "{refused:?}"
        );
    }
}

#[test]
fn g12_every_failure_can_wait_for_its_time() {
    let methods = MethodSet::default();
    let policy = Policy {
        withhold_failures: true,
        ..toy::policy(methods)
    };
    let mut rig = Rig::of(toy::server_with(&Limits::default(), policy), OPEN);
    let a = key("a");

    let released = |rig: &mut Rig| {
        assert!(rig.out.is_empty());
        assert!(rig.server.has_withheld_failure());
        rig.server.release_failure(&mut rig.out);
        assert_eq!(shown(&mut rig.out), [OPEN]);
        assert!(!rig.server.has_withheld_failure());
        rig.server.release_failure(&mut rig.out);
        assert!(rig.out.is_empty());
    };
    rig.asks(&password(b"wrong", None));
    rig.server.reject(None, &mut rig.out).unwrap();
    // Nothing else happens until then.
    assert!(matches!(rig.send(&none()), Err(Error::Internal(_))));
    released(&mut rig);
    rig.send(&password(&[0; 1025], None)).unwrap();
    released(&mut rig);
    rig.send(&query(a.public_key())).unwrap();
    rig.server.answer_query(false, &mut rig.out).unwrap();
    released(&mut rig);

    // Partial success tells no more when it is early.
    rig.asks(&signed(&a));
    rig.server.accept_partial(methods, &mut rig.out).unwrap();
    assert_eq!(shown(&mut rig.out), ["51 publickey,password partial"]);
}

#[test]
fn g13_password_sizes() {
    for bytes in [&b""[..], b"\0", b"\xff", &[b'x'; 1024]] {
        match Rig::new().asks(&password(bytes, None)) {
            AuthMethod::Password(password) => assert!(password.matches(bytes)),
            other => panic!("{other:?}"),
        }
    }
    Rig::new().fails(&password(&[b'x'; 1025], None));
    Rig::new().fails(&password(&[b'x'; 250_000], None));
}

#[test]
fn g13_a_change_comes_only_when_asked() {
    let mut rig = Rig::new();
    rig.fails(&password(b"old", Some(b"new")));
    rig.fails(&password(b"old", Some(b"")));
    rig.asks(&password(b"old", None));
    rig.server
        .request_password_change("expired", &mut rig.out)
        .unwrap();
    assert_eq!(shown(&mut rig.out), ["60"]);
    rig.fails(&password(b"old", Some(&[0; 1025])));
    match rig.asks(&password(b"old", Some(b""))) {
        AuthMethod::PasswordChange { old, new } => {
            assert!(old.matches(b"old") && new.matches(b""));
        }
        other => panic!("{other:?}"),
    }
    rig.server
        .request_password_change("too short", &mut rig.out)
        .unwrap();
    assert_eq!(shown(&mut rig.out), ["60"]);
    rig.asks(&password(b"old", Some(b"new")));
    assert_eq!(
        rig.server.accept(&mut rig.out).unwrap().method(),
        "password"
    );
}

#[test]
fn g13_an_expired_password_alone_never_succeeds() {
    let mut rig = Rig::new();
    rig.asks(&password(b"old", None));
    rig.server
        .request_password_change("", &mut rig.out)
        .unwrap();
    shown(&mut rig.out);
    let misuse = Error::from(ApiMisuse::WrongAnswer);
    let all = MethodSet::default();
    assert_eq!(rig.server.accept(&mut rig.out), Err(misuse.clone()));
    rig.asks(&password(b"old", None));
    assert_eq!(rig.server.accept(&mut rig.out), Err(misuse.clone()));
    assert_eq!(rig.server.accept_partial(all, &mut rig.out), Err(misuse));
    rig.rejects();
    // Another method is another matter.
    rig.asks(&signed(&key("a")));
    assert!(rig.server.accept(&mut rig.out).is_ok());
}

#[test]
fn g15_answers_out_of_place_change_nothing() {
    let misuse = || Error::from(ApiMisuse::WrongAnswer);
    let all = MethodSet::default();
    fn answers(rig: &mut Rig) -> [Result<(), Error>; 5] {
        let Rig { server, out, .. } = rig;
        [
            server.accept(out).map(drop),
            server.accept_partial(MethodSet::default(), out),
            server.reject(None, out),
            server.request_password_change("", out),
            server.answer_query(true, out),
        ]
    }

    let mut rig = Rig::new();
    assert!(answers(&mut rig).iter().all(|a| *a == Err(misuse())));
    // Answered once, late answers find nothing.
    rig.asks(&password(b"x", None));
    assert_eq!(rig.server.answer_query(true, &mut rig.out), Err(misuse()));
    // One question at a time: a second request is not even looked at.
    assert!(matches!(rig.send(&none()), Err(Error::Internal(_))));
    rig.rejects();
    assert!(answers(&mut rig).iter().all(|a| *a == Err(misuse())));
    // A key request takes no password answer.
    rig.asks(&signed(&key("a")));
    let refused = rig.server.request_password_change("", &mut rig.out);
    assert_eq!(refused, Err(misuse()));
    let long = "x".repeat(MAX_AUTH_TEXT + 1);
    rig.server.accept_partial(all, &mut rig.out).unwrap();
    shown(&mut rig.out);
    rig.asks(&password(b"x", None));
    let refused = rig.server.request_password_change(&long, &mut rig.out);
    assert_eq!(refused, Err(ApiMisuse::InvalidText.into()));
    rig.server.accept(&mut rig.out).unwrap();
    shown(&mut rig.out);
    assert!(answers(&mut rig).iter().all(|a| *a == Err(misuse())));
    assert!(rig.out.is_empty());
}

#[test]
fn g16_user_names() {
    for name in ["", "-oProxyCommand=", "$()", "ü", &"x".repeat(256)] {
        let mut rig = Rig::new();
        let asked = rig.send(&request(name.as_bytes(), WireMethod::None(())));
        match asked.unwrap() {
            Some(ServerAsk::Request { user, .. }) => assert_eq!(user, name),
            other => panic!("{other:?}"),
        }
        assert_eq!(rig.server.accept(&mut rig.out).unwrap().user(), name);
    }
    for bad in [
        &b"a\0"[..],
        b"a\n",
        b"\x1b[2J",
        b"\x7f",
        b"\xff",
        b"\xc2\x9b",
    ] {
        let mut rig = Rig::new();
        rig.fails(&request(bad, WireMethod::None(())));
        let key = public_key("toy", "");
        let query = PublicKeyAuth {
            algorithm: b"toy",
            key: key.as_blob(),
            signature: None,
        };
        rig.fails(&request(bad, WireMethod::PublicKey(query)));
    }
    for len in [257, 1 << 20] {
        let long = request(&vec![b'x'; len], WireMethod::None(()));
        let refused = Rig::new().send(&long).unwrap_err();
        assert_eq!(refused, Limit::UserName.into());
    }
}

#[test]
fn g18_nothing_is_taken_after_success() {
    let mut rig = Rig::new();
    rig.asks(&none());
    rig.server.accept(&mut rig.out).unwrap();
    shown(&mut rig.out);
    for message in [none(), service("ssh-userauth"), Bytes::from_static(&[61])] {
        let number = message[0];
        assert_eq!(rig.send(&message).unwrap_err(), unexpected(number));
    }
    assert!(rig.out.is_empty());
}

#[test]
fn g23_banners_go_out_during_authentication_only() {
    let mut server = toy::server(&Limits::default());
    let mut out = Outbox::default();
    assert_eq!(server.banner("hi", &mut out), Err(ApiMisuse::WrongAnswer));
    let mut rig = Rig::new();
    rig.server.banner("hi", &mut rig.out).unwrap();
    let sent = toy::only(&mut rig.out);
    let banner = UserauthBanner::from_payload(&sent).unwrap();
    assert_eq!(banner.message, b"hi");
    let long = "x".repeat(MAX_AUTH_TEXT + 1);
    let refused = rig.server.banner(&long, &mut rig.out);
    assert_eq!(refused, Err(ApiMisuse::InvalidText));
    rig.asks(&none());
    rig.server
        .banner("while it is decided", &mut rig.out)
        .unwrap();
    rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(
        shown(&mut rig.out),
        [number::USERAUTH_BANNER, 52].map(|n| n.to_string())
    );
    let refused = rig.server.banner("late", &mut rig.out);
    assert_eq!(refused, Err(ApiMisuse::WrongAnswer));
}
