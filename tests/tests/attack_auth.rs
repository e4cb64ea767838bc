//! Attacks on authentication (RFC 4252) as a whole connection meets them, groups G and G' of the notes. The layer alone is attacked in `ssh-proto/src/auth`.

use std::time::Duration;

use ssh_proto::crypto::SigningKey;
use ssh_proto::error::{Limit, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::wire::transport::Ignore;
use ssh_proto::{
    AuthMethod, AuthRequest, ClientConnection, Connection, Error, Event, MethodSet,
    ServerConnection, ServerEvent, Timer,
};
use ssh_tests::attack::{Asked, F, chunked, message};
use ssh_tests::raw::payload_of;
use ssh_tests::{Hostile, Mode, RawPeer, Stage, fixtures};

type Server = Hostile<ServerConnection>;
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

fn password(user: &[u8], password: &[u8]) -> Vec<u8> {
    request(user, b"password", &[F::B(0), F::S(password)])
}

fn query(user: &[u8], key: &dyn SigningKey) -> Vec<u8> {
    let name = key.algorithms()[0].as_bytes();
    let blob = key.public_key().as_blob();
    request(user, b"publickey", &[F::B(0), F::S(name), F::S(blob)])
}

/// What is signed (RFC 4252 section 7).
fn to_be_signed(session: &[u8], user: &[u8], algorithm: &str, blob: &[u8]) -> Vec<u8> {
    let body = [
        F::S(user),
        CONNECTION,
        F::S(b"publickey"),
        F::B(1),
        F::S(algorithm.as_bytes()),
        F::S(blob),
    ];
    [&message(0, &[F::S(session)])[1..], &message(50, &body)].concat()
}

fn signed(peer: &RawPeer, user: &[u8], key: &dyn SigningKey) -> Vec<u8> {
    let name = key.algorithms()[0];
    let blob = key.public_key().as_blob();
    let session = peer.session_id.as_deref().expect("keys");
    let signature = key
        .sign(name, &to_be_signed(session, user, name, blob))
        .expect("signs");
    proof(user, name, blob, signature.as_encoded())
}

fn proof(user: &[u8], algorithm: &str, blob: &[u8], signature: &[u8]) -> Vec<u8> {
    let fields = [
        F::B(1),
        F::S(algorithm.as_bytes()),
        F::S(blob),
        F::S(signature),
    ];
    request(user, b"publickey", &fields)
}

fn take_request(h: &mut Server) -> AuthRequest {
    match h.take_event(|event| matches!(event, ServerEvent::Auth(_))) {
        ServerEvent::Auth(request) => request,
        _ => unreachable!(),
    }
}

/// Sends a request that must fail without a question to the application.
fn fails_unasked(h: &mut Server, payload: &[u8]) {
    h.events.clear();
    h.send_payload(payload);
    assert_eq!(h.ended, None, "{:?}", payload.escape_ascii());
    assert_eq!(h.events.len(), 0, "{:?}", h.events);
    h.expect_skipping_extras(number::USERAUTH_FAILURE);
    assert_eq!(h.peer.drain(), []);
}

fn has_authenticated(h: &Server) -> bool {
    let proof = |e: &ServerEvent| matches!(e, ServerEvent::Shared(Event::Authenticated(_)));
    h.events.iter().any(proof) || h.connection.authenticated().is_some()
}

#[test]
fn g1_the_connection_protocol_before_success() {
    chunked(|mode| {
        for stage in [Stage::NewKeys, Stage::Service] {
            for number in (80..=255).filter(|n| *n != number::PING) {
                let mut h = Server::at(stage, mode);
                h.refuses(2, |peer| peer.send_payload(&[number]));
                assert_eq!(*h.error(), PeerMisbehaved::UnexpectedMessage(number).into());
            }
            for payload in [
                message(80, &[F::S(b"keepalive@openssh.com"), F::B(1)]),
                message(
                    90,
                    &[F::S(b"session"), F::U(0), F::U(1 << 20), F::U(32_768)],
                ),
                message(98, &[F::U(0), F::S(b"exec"), F::B(1), F::S(b"id")]),
            ] {
                let mut h = Server::at(stage, mode);
                h.refuses(2, |peer| peer.send_payload(&payload));
                let mut h = Client::at(Stage::NewKeys, mode);
                h.refuses(2, |peer| peer.send_payload(&payload));
                let mut h = ClientConnection::asked(mode);
                h.refuses(2, |peer| peer.send_payload(&payload));
            }
            // I7: a ping before success is not answered.
            let mut h = Server::at(stage, mode);
            h.ignores(|peer| peer.send_payload(&message(192, &[F::S(b"x")])));
        }
    });
}

#[test]
fn g2_a_client_cannot_say_what_a_server_says() {
    let blob = [7; 51];
    chunked(|mode| {
        for payload in [
            message(6, &[USERAUTH]),
            message(51, &[F::S(b"password"), F::B(1)]),
            vec![52],
            message(53, &[F::S(b"hello"), F::S(b"")]),
            message(60, &[F::S(b"ssh-ed25519"), F::S(&blob)]),
            message(60, &[F::S(b""), F::S(b""), F::S(b""), F::U(0)]),
        ] {
            for stage in [Stage::NewKeys, Stage::Service, Stage::Authenticated] {
                let mut h = Server::at(stage, mode);
                let before = has_authenticated(&h);
                h.refuses(2, |peer| peer.send_payload(&payload));
                assert_eq!(has_authenticated(&h), before);
            }
            // With a request pending nothing is read; afterwards it is.
            let mut h = Server::at(Stage::Service, mode);
            h.send_payload(&password(b"ferris", b"wrong"));
            let pending = take_request(&mut h);
            h.peer.send_payload(&payload);
            h.exchange();
            assert_eq!(h.ended, None);
            h.connection.reject_auth(pending, None).expect("own token");
            h.assert_disconnected(ssh_proto::error::DisconnectReason::PROTOCOL_ERROR);
            assert!(!has_authenticated(&h));
        }
    });
}

#[test]
fn g3_services() {
    chunked(|mode| {
        let mut h = Server::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&none(b"ferris")));
        let mut h = Server::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&message(5, &[CONNECTION])));
        for service in [&b"ssh-fun"[..], b"", b"ssh-userauth\0", b"SSH-USERAUTH"] {
            let mut h = Server::at(Stage::NewKeys, mode);
            h.refuses(7, |peer| peer.send_payload(&message(5, &[F::S(service)])));
        }
        // Repeated, as Paramiko does: answered, up to the cap on requests.
        let mut h = Server::at(Stage::Service, mode);
        h.peer.drain();
        for _ in 1..128 {
            h.send_payload(&message(5, &[USERAUTH]));
            h.peer.expect(number::SERVICE_ACCEPT);
        }
        h.refuses(14, |peer| peer.send_payload(&message(5, &[USERAUTH])));
        assert_eq!(*h.error(), Limit::AuthRequests.into());
    });
}

#[test]
fn g4_user_and_service_stay() {
    chunked(|mode| {
        let other = message(50, &[F::S(b"ferris"), F::S(b"ssh-fun"), F::S(b"none")]);
        let mut h = Server::at(Stage::Service, mode);
        h.refuses(7, |peer| peer.send_payload(&other));
        for change in [none(b"root"), none(b"ferri"), none(b""), other] {
            // After a failure, and after a partial success, which must not be carried over.
            for partial in [false, true] {
                let mut h = Server::at(Stage::Service, mode);
                h.send_payload(&password(b"ferris", b"crab"));
                let pending = take_request(&mut h);
                match partial {
                    true => h
                        .connection
                        .accept_auth_partially(pending, MethodSet::PUBLICKEY),
                    false => h.connection.reject_auth(pending, None),
                }
                .expect("own token");
                h.exchange();
                h.expect_skipping_extras(number::USERAUTH_FAILURE);
                h.refuses(2, |peer| peer.send_payload(&change));
                assert_eq!(*h.error(), PeerMisbehaved::AuthIdentityChanged.into());
            }
        }
    });
}

/// Sends requests until the server ends; how many it took, and why.
fn until_the_end(
    mode: Mode,
    payloads: &mut dyn FnMut(usize, &RawPeer) -> Vec<u8>,
) -> (usize, Error) {
    let mut h = Server::at(Stage::Service, mode);
    for count in 1..=10_000 {
        let payload = payloads(count, &h.peer);
        h.send_payload(&payload);
        while let Some(event) = h.events.pop_front() {
            match event {
                ServerEvent::Auth(request) => {
                    h.connection.reject_auth(request, None).expect("own token");
                }
                ServerEvent::KeyQuery(query) => {
                    h.connection
                        .answer_key_query(query, true)
                        .expect("own token");
                }
                _ => {}
            }
        }
        h.exchange();
        if h.ended.is_some() {
            let error = h.error().clone();
            h.assert_disconnected(ssh_proto::error::DisconnectReason(14));
            return (count, error);
        }
    }
    panic!("never");
}

#[test]
fn g6_every_kind_of_request_comes_to_an_end() {
    let key = fixtures::user_key();
    chunked(|mode| {
        let (count, error) = until_the_end(mode, &mut |_, _| password(b"ferris", b"no"));
        assert_eq!((count, error), (6, Limit::AuthFailures.into()));
        let (count, error) = until_the_end(mode, &mut |_, peer| signed(peer, b"ferris", &*key));
        assert_eq!((count, error), (6, Limit::AuthFailures.into()));
        // The first `none` asks for the methods.
        let (count, error) = until_the_end(mode, &mut |_, _| none(b"ferris"));
        assert_eq!((count, error), (7, Limit::AuthFailures.into()));
        let (count, error) = until_the_end(mode, &mut |_, _| query(b"ferris", &*key));
        assert_eq!((count, error), (16, Limit::KeyQueries.into()));
        // Bad ones count as well: unknown methods and keys that do not parse.
        let (count, _) = until_the_end(mode, &mut |_, _| request(b"ferris", b"hostbased@x", &[]));
        assert_eq!(count, 6);
        let (count, _) = until_the_end(mode, &mut |_, _| {
            proof(b"ferris", "ssh-ed25519", b"x", b"y")
        });
        assert_eq!(count, 6);
        let (count, error) = until_the_end(mode, &mut |at, _| match at % 3 {
            0 => message(5, &[USERAUTH]),
            1 => query(b"ferris", &*key),
            _ => none(b"ferris"),
        });
        assert!(count < 25, "{count}: {error:?}");
    });
}

#[test]
fn g7_what_was_queried_is_not_what_was_proven() {
    let (a, b) = (
        fixtures::key("ssh-ed25519", 1),
        fixtures::key("ssh-ed25519", 2),
    );
    chunked(|mode| {
        let queried = || {
            let mut h = Server::at(Stage::Service, mode);
            h.send_payload(&query(b"ferris", &*a));
            match h.take_event(|event| matches!(event, ServerEvent::KeyQuery(_))) {
                ServerEvent::KeyQuery(query) => {
                    assert_eq!(query.key(), a.public_key());
                    h.connection
                        .answer_key_query(query, true)
                        .expect("own token");
                }
                _ => unreachable!(),
            }
            h.exchange();
            let ok = h.expect_skipping_extras(number::USERAUTH_PK_OK);
            let echo = message(60, &[F::S(b"ssh-ed25519"), F::S(a.public_key().as_blob())]);
            assert_eq!(ok.payload[..], echo[..]);
            assert!(!has_authenticated(&h));
            h
        };
        let mut h = queried();
        let payload = signed(&h.peer, b"ferris", &*b);
        h.send_payload(&payload);
        let pending = take_request(&mut h);
        match pending.method() {
            AuthMethod::PublicKey { key, .. } => assert_eq!(key, b.public_key()),
            other => panic!("{other:?}"),
        }
        h.connection.accept_auth(pending).expect("own token");
        h.exchange();
        let proof = h.connection.authenticated().expect("authenticated");
        assert_eq!(proof.key(), Some(b.public_key()));
        assert_eq!((proof.user(), proof.method()), ("ferris", "publickey"));

        // A query and then an empty password is no more than an empty password.
        let mut h = queried();
        h.send_payload(&password(b"ferris", b""));
        let pending = take_request(&mut h);
        assert!(matches!(pending.method(), AuthMethod::Password(p) if p.matches(b"")));
        drop(pending);
        h.exchange();
        h.expect_skipping_extras(number::USERAUTH_FAILURE);
        // A query as one user is none as another.
        let mut h = queried();
        let payload = signed(&h.peer, b"root", &*a);
        h.refuses(2, |peer| peer.send_payload(&payload));
        // Signed with A's signature over B's request.
        let mut h = queried();
        let session = h.peer.session_id.clone().expect("keys");
        let blob = b.public_key().as_blob();
        let signature = a.sign(
            "ssh-ed25519",
            &to_be_signed(&session, b"ferris", "ssh-ed25519", blob),
        );
        let forged = proof_of(blob, signature.expect("signs").as_encoded());
        fails_unasked(&mut h, &forged);
    });
}

fn proof_of(blob: &[u8], signature: &[u8]) -> Vec<u8> {
    proof(b"ferris", "ssh-ed25519", blob, signature)
}

#[test]
fn g8_signatures_that_prove_nothing() {
    let keys = ["ssh-ed25519", "ecdsa-sha2-nistp256"].map(|name| fixtures::key(name, 3));
    chunked(|mode| {
        let fresh = || Server::at(Stage::Service, mode);
        for key in &keys {
            let (name, blob) = (key.algorithms()[0], key.public_key().as_blob());
            let h = fresh();
            let session = h.peer.session_id.clone().expect("keys");
            let good = to_be_signed(&session, b"ferris", name, blob);
            let sign = |data: &[u8]| key.sign(name, data).expect("signs").as_encoded().to_vec();
            // Another session's; each byte of what is signed altered in turn; nothing of it.
            let replayed = sign(&to_be_signed(&[9; 32], b"ferris", name, blob));
            let mut all = vec![replayed, sign(b""), vec![], vec![0; 4]];
            for at in (0..good.len()).step_by(5) {
                let mut altered = good.clone();
                altered[at] ^= 1;
                all.push(sign(&altered));
            }
            let right = sign(&good);
            all.push(right[..right.len() - 1].to_vec());
            all.push([&right[..], &[0]].concat());
            for signature in all.chunks(5) {
                let mut h = fresh();
                for signature in signature {
                    fails_unasked(&mut h, &proof(b"ferris", name, blob, signature));
                }
            }
            // The full matrix of algorithm, key and signature names; one of them is right.
            let inner = &right[4 + name.len()..];
            let names = [
                "ssh-ed25519",
                "ecdsa-sha2-nistp256",
                "ecdsa-sha2-nistp384",
                "ssh-rsa",
            ];
            for algorithm in names {
                for format in names {
                    let mut h = fresh();
                    let signature = [&message(0, &[F::S(format.as_bytes())])[1..], inner].concat();
                    let payload = proof(b"ferris", algorithm, blob, &signature);
                    match (algorithm, format) == (name, name) {
                        true => {
                            h.send_payload(&payload);
                            drop(take_request(&mut h));
                        }
                        false => fails_unasked(&mut h, &payload),
                    }
                }
            }
            // Not announced, but there.
            let fields = [F::B(0), F::S(name.as_bytes()), F::S(blob), F::S(&right)];
            let payload = request(b"ferris", b"publickey", &fields);
            fresh().refuses(2, |peer| peer.send_payload(&payload));
        }
    });
}

/// E9: an algorithm that is not on the list fails before its key is looked at.
#[test]
fn e9_algorithms_off_the_list_fail_whatever_the_key() {
    let rsa_claims = message(0, &[F::S(b"ssh-rsa"), F::S(&[1; 5]), F::S(&[0xff; 4000])]);
    chunked(|mode| {
        for algorithm in [
            "ssh-rsa-cert-v01@openssh.com",
            "ssh-rsa",
            "ssh-dss",
            "",
            "ssh-ed25519,",
        ] {
            for blob in [&b""[..], b"\xff", &rsa_claims[1..]] {
                let mut h = Server::at(Stage::Service, mode);
                fails_unasked(&mut h, &proof(b"ferris", algorithm, blob, b"sig"));
                let fields = [F::B(0), F::S(algorithm.as_bytes()), F::S(blob)];
                fails_unasked(&mut h, &request(b"ferris", b"publickey", &fields));
            }
        }
    });
}

#[test]
fn g15_one_question_at_a_time() {
    chunked(|mode| {
        let mut h = Server::at(Stage::Service, mode);
        let count = if mode == Mode::PLAIN { 1000 } else { 60 };
        for _ in 0..count {
            h.peer.send_payload(&password(b"ferris", b"no"));
        }
        let mut asked = 0;
        h.events.clear();
        h.exchange();
        while h.ended.is_none() {
            assert_eq!(h.events.len(), 1, "one question");
            asked += 1;
            let pending = take_request(&mut h);
            h.connection.reject_auth(pending, None).expect("own token");
            h.exchange();
        }
        assert_eq!(asked, 6);
        h.assert_disconnected(ssh_proto::error::DisconnectReason(14));

        // An answer after the end is an error and changes nothing.
        let mut h = Server::at(Stage::Service, mode);
        h.send_payload(&password(b"ferris", b"crab"));
        let pending = take_request(&mut h);
        h.eof();
        assert!(h.ended.is_some());
        assert!(h.connection.accept_auth(pending).is_err());
        assert!(!has_authenticated(&h));
        assert!(h.connection.is_closed());

        // So is one that belongs to another connection, which loses it.
        let mut h = Server::at(Stage::Service, mode);
        let mut other = Server::at(Stage::Service, mode);
        for h in [&mut h, &mut other] {
            h.send_payload(&password(b"ferris", b"crab"));
        }
        let pending = take_request(&mut h);
        assert!(other.connection.accept_auth(pending).is_err());
        h.exchange();
        h.expect_skipping_extras(number::USERAUTH_FAILURE);
        assert!(!has_authenticated(&h) && !has_authenticated(&other));
    });
}

#[test]
fn g16_user_names() {
    chunked(|mode| {
        for size in [257, 30_000] {
            let mut h = Server::at(Stage::Service, mode);
            h.refuses(15, |peer| peer.send_payload(&none(&vec![b'u'; size])));
        }
        for name in [
            &b"a\0b"[..],
            b"a\nb",
            b"\x1b[2J",
            b"\xff\xfe",
            b"a\x7f",
            "a\u{85}b".as_bytes(),
        ] {
            let mut h = Server::at(Stage::Service, mode);
            fails_unasked(&mut h, &none(name));
            fails_unasked(&mut h, &password(name, b"crab"));
        }
        let long = "u".repeat(256);
        for name in [
            "",
            "-oProxyCommand=x",
            "$(id)",
            "a b;c",
            "J\u{fc}rgen",
            &long,
        ] {
            let mut h = Server::at(Stage::Service, mode);
            h.send_payload(&none(name.as_bytes()));
            assert_eq!(take_request(&mut h).user(), name);
        }
    });
}

#[test]
fn g18_after_success() {
    let key = fixtures::user_key();
    chunked(|mode| {
        let mut h = Server::at(Stage::Authenticated, mode);
        let late = [
            none(b"ferris"),
            password(b"root", b"crab"),
            query(b"ferris", &*key),
            vec![50],
            request(b"root", b"keyboard-interactive", &[F::S(b""), F::S(b"")]),
        ];
        for payload in &late {
            h.ignores(|peer| peer.send_payload(payload));
        }
        h.does_not_know(&message(5, &[USERAUTH]));
        h.does_not_know(&message(5, &[CONNECTION]));
        h.does_not_know(&message(61, &[F::U(0)]));
        let proof = h.connection.authenticated().expect("as before");
        assert_eq!((proof.user(), proof.method()), ("ferris", "password"));
    });
}

#[test]
fn g19_nothing_prolongs_the_grace() {
    chunked(|mode| {
        for stage in [
            Stage::Start,
            Stage::Identified,
            Stage::NewKeys,
            Stage::Service,
        ] {
            let mut h = Server::new(mode);
            let start = h.now;
            h.advance_to(stage);
            let mut turn = 0;
            while h.ended.is_none() {
                turn += 1;
                match stage {
                    Stage::Start => {}
                    Stage::Identified => h.peer.send(&Ignore { data: b"x" }),
                    _ => {
                        h.peer.send_payload(&payload_of(&Ignore { data: b"x" }));
                        h.peer.send_payload(&message(192, &[F::S(b"ping")]));
                        if stage == Stage::Service && turn % 3 == 0 {
                            h.peer.send_payload(&message(5, &[USERAUTH]));
                        }
                    }
                }
                h.advance(Duration::from_secs(7));
                assert!(turn < 30);
            }
            assert!(h.now <= start + Duration::from_secs(126));
            assert!(matches!(
                h.error(),
                Error::Timeout(Timer::LoginGrace | Timer::Kex)
            ));
            if stage >= Stage::NewKeys {
                assert_eq!(*h.error(), Error::Timeout(Timer::LoginGrace));
                h.assert_disconnected(ssh_proto::error::DisconnectReason::BY_APPLICATION);
            }
        }
    });
}
