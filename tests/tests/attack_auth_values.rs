//! Values that a client makes up while it authenticates (RFC 4252): methods, keys and passwords, items G5, G9 and G13 of the notes. Steps out of order are in `attack_auth.rs`.

use ssh_proto::error::ApiMisuse;
use ssh_proto::wire::number;
use ssh_proto::{AuthMethod, AuthRequest, Connection, MethodSet, ServerConnection, ServerEvent};
use ssh_tests::attack::{F, chunked, message};
use ssh_tests::{Hostile, Mode, Pair, Stage, fixtures};

type Server = Hostile<ServerConnection>;

/// A server that waits for a method, and takes every one.
fn server(mode: Mode) -> Server {
    let all = MethodSet::PUBLICKEY
        | MethodSet::PASSWORD
        | MethodSet::KEYBOARD_INTERACTIVE
        | MethodSet::HOSTBASED
        | MethodSet::GSSAPI_WITH_MIC;
    let pair = Pair::builder(mode.without_rekeys())
        .server(|config| config.auth_methods(all))
        .server_limits(|limits| {
            limits.auth_failures = 100;
            limits.key_queries = 100;
        })
        .build();
    let mut h = Server::with_connection(pair.server, mode.chunking);
    h.advance_to(Stage::Service);
    h.peer.drain();
    h
}

fn request(method: &[u8], rest: &[F<'_>]) -> Vec<u8> {
    let user = F::S(fixtures::USER.as_bytes());
    let head = [user, F::S(b"ssh-connection"), F::S(method)];
    message(50, &[&head, rest].concat())
}

fn password(password: &[u8]) -> Vec<u8> {
    request(b"password", &[F::B(0), F::S(password)])
}

fn change(old: &[u8], new: &[u8]) -> Vec<u8> {
    request(b"password", &[F::B(1), F::S(old), F::S(new)])
}

/// Sends a request that must fail without a question to the application.
fn fails_unasked(h: &mut Server, payload: &[u8]) {
    h.events.clear();
    h.send_payload(payload);
    assert_eq!(h.ended, None, "{:?}", payload.escape_ascii());
    assert_eq!(h.events.len(), 0, "{:?}", h.events);
    h.peer.expect(number::USERAUTH_FAILURE);
    assert_eq!(h.peer.drain(), []);
}

/// Sends a request that the application is asked about.
fn ask(h: &mut Server, payload: &[u8]) -> AuthRequest {
    h.send_payload(payload);
    match h.take_event(|event| matches!(event, ServerEvent::Auth(_))) {
        ServerEvent::Auth(request) => request,
        _ => unreachable!(),
    }
}

fn malformed(mode: Mode, payload: &[u8]) {
    server(mode).refuses(2, |peer| peer.send_payload(payload));
}

#[test]
fn g5_methods_that_are_none() {
    chunked(|mode| {
        let mut h = server(mode);
        for name in [
            &b""[..],
            b"pass\0word",
            b"NONE",
            b"none ",
            b"publickey,password",
            b"gssapi-keyex",
            b"\xff",
            &[b'm'; 65],
            &[b'm'; 30_000],
        ] {
            fails_unasked(&mut h, &request(name, &[]));
            fails_unasked(&mut h, &request(name, &[F::U(u32::MAX)]));
        }
        // Known ones with nothing in them.
        for name in [
            &b"password"[..],
            b"publickey",
            b"keyboard-interactive",
            b"hostbased",
            b"gssapi-with-mic",
            b"publickey-hostbound-v00@openssh.com",
        ] {
            malformed(mode, &request(name, &[]));
        }
        malformed(mode, &request(b"none", &[F::B(0)]));
        // `none` is asked about, and a dropped question is a refusal.
        for _ in 0..2 {
            let none = ask(&mut h, &request(b"none", &[]));
            assert!(matches!(none.method(), AuthMethod::None));
            drop(none);
            h.exchange();
            h.peer.expect(number::USERAUTH_FAILURE);
        }
        let none = ask(&mut h, &request(b"none", &[]));
        h.connection.accept_auth(none).unwrap();
        h.exchange();
        h.peer.expect(number::USERAUTH_SUCCESS);
        let proof = h
            .connection
            .authenticated()
            .expect("the application said so");
        assert_eq!((proof.method(), proof.key()), ("none", None));
    });
}

fn blob(fields: &[F<'_>]) -> Vec<u8> {
    message(0, fields)[1..].to_vec()
}

/// Keys that are none, or not of the algorithm.
fn bad_keys() -> Vec<(&'static str, Vec<u8>)> {
    let good = fixtures::user_key();
    let good = good.public_key().as_blob();
    let point = fixtures::key("ecdsa-sha2-nistp256", 1);
    let point = point.public_key().as_blob();
    let point = &point[point.len() - 65..];
    let ecdsa = |curve: &[u8], point: &[u8]| {
        let name = F::S(b"ecdsa-sha2-nistp256");
        (
            "ecdsa-sha2-nistp256",
            blob(&[name, F::S(curve), F::S(point)]),
        )
    };
    let ed25519 = |point: &[u8]| ("ssh-ed25519", blob(&[F::S(b"ssh-ed25519"), F::S(point)]));
    let compressed = [&[2][..], &point[1..33]].concat();
    vec![
        ("ssh-ed25519", vec![]),
        ("ssh-ed25519", b"\xff\xff\xff\xff".to_vec()),
        ("ssh-ed25519", good[..good.len() - 1].to_vec()),
        ("ssh-ed25519", [good, &[0]].concat()),
        ed25519(&[]),
        ed25519(&[1; 31]),
        ed25519(&[1; 33]),
        ed25519(&[1; 20_000]),
        ("ecdsa-sha2-nistp256", good.to_vec()),
        ecdsa(b"nistp384", point),
        ecdsa(b"", point),
        ecdsa(b"nistp256", &compressed),
        ecdsa(b"nistp256", &[0]),
        ecdsa(b"nistp256", &point[..64]),
        (
            "ssh-ed25519",
            blob(&[F::S(b"ssh-rsa"), F::S(b"\x03"), F::S(&[0xff; 64])]),
        ),
        (
            "rsa-sha2-512",
            blob(&[F::S(b"ssh-rsa"), F::S(b"\x01"), F::S(&[0xff; 64])]),
        ),
        (
            "rsa-sha2-256",
            blob(&[F::S(b"ssh-rsa"), F::S(&[3; 4096]), F::S(&[0x7f; 2049])]),
        ),
    ]
}

#[test]
fn g9_keys_that_are_none() {
    let good = fixtures::user_key();
    let signature = blob(&[F::S(b"ssh-ed25519"), F::S(&[1; 64])]);
    chunked(|mode| {
        let mut h = server(mode);
        for (algorithm, key) in bad_keys() {
            let (algorithm, key) = (F::S(algorithm.as_bytes()), F::S(&key));
            let query = request(b"publickey", &[F::B(0), algorithm, key]);
            fails_unasked(&mut h, &query);
            let fields = [F::B(1), algorithm, key, F::S(&signature)];
            fails_unasked(&mut h, &request(b"publickey", &fields));
            let host = [algorithm, key, F::S(b"h"), F::S(b"u"), F::S(&signature)];
            fails_unasked(&mut h, &request(b"hostbased", &host));
        }
        // Of the right form, but of small order or not on the curve: whatever is signed, it is not
        // proven.
        let identity = [&[1][..], &[0; 31]].concat();
        for point in [&[0; 32][..], &identity] {
            let key = blob(&[F::S(b"ssh-ed25519"), F::S(point)]);
            let trivial = [point, &[0; 32]].concat();
            let signature = blob(&[F::S(b"ssh-ed25519"), F::S(&trivial)]);
            let fields = [F::B(1), F::S(b"ssh-ed25519"), F::S(&key), F::S(&signature)];
            fails_unasked(&mut h, &request(b"publickey", &fields));
        }
        let ecdsa = fixtures::key("ecdsa-sha2-nistp256", 1);
        let mut off_curve = ecdsa.public_key().as_blob().to_vec();
        *off_curve.last_mut().expect("long") ^= 1;
        let name = "ecdsa-sha2-nistp256";
        let signature = ecdsa.sign(name, b"anything").expect("signs");
        let fields = [
            F::B(1),
            F::S(name.as_bytes()),
            F::S(&off_curve),
            F::S(signature.as_encoded()),
        ];
        fails_unasked(&mut h, &request(b"publickey", &fields));
        // It was this attempt alone.
        let key = good.public_key().as_blob();
        h.send_payload(&request(
            b"publickey",
            &[F::B(0), F::S(b"ssh-ed25519"), F::S(key)],
        ));
        let is_query = |event: &ServerEvent| matches!(event, ServerEvent::KeyQuery(_));
        match h.take_event(is_query) {
            ServerEvent::KeyQuery(query) => assert_eq!(query.key(), good.public_key()),
            _ => unreachable!(),
        }
    });
}

#[test]
fn g13_passwords() {
    chunked(|mode| {
        let mut h = server(mode);
        for text in [&b""[..], b"\0", b"a\0b", b"\xff\xfe", &[b'x'; 1024]] {
            let asked = ask(&mut h, &password(text));
            match asked.method() {
                AuthMethod::Password(password) => assert!(password.matches(text)),
                other => panic!("{other:?}"),
            }
            drop(asked);
            h.exchange();
            h.peer.expect(number::USERAUTH_FAILURE);
        }
        for length in [1025, 30_000] {
            fails_unasked(&mut h, &password(&vec![b'x'; length]));
        }
        // More than a packet may hold this early.
        let long = password(&vec![b'x'; 250_000]);
        server(mode).refuses(2, |peer| peer.send_payload(&long));

        // Nobody asked for a change.
        for new in [&b""[..], b"new", b"old"] {
            fails_unasked(&mut h, &change(b"old", new));
        }
        let expired = ask(&mut h, &password(b"old"));
        h.connection
            .request_password_change(expired, "too old")
            .unwrap();
        h.exchange();
        h.peer.expect(number::USERAUTH_PASSWD_CHANGEREQ);
        fails_unasked(&mut h, &change(b"old", &[b'x'; 1025]));
        fails_unasked(&mut h, &change(&[b'x'; 1025], b"new"));
        // An empty one is the application's to refuse, and can be refused by asking again.
        let empty = ask(&mut h, &change(b"old", b""));
        match empty.method() {
            AuthMethod::PasswordChange { old, new } => {
                assert!(old.matches(b"old") && new.matches(b""));
            }
            other => panic!("{other:?}"),
        }
        h.connection
            .request_password_change(empty, "not empty")
            .unwrap();
        h.exchange();
        h.peer.expect(number::USERAUTH_PASSWD_CHANGEREQ);
        // The expired one alone is no login, whatever the application says.
        let again = ask(&mut h, &password(b"old"));
        let refused = h.connection.accept_auth(again);
        assert_eq!(refused, Err(ApiMisuse::WrongAnswer));
        h.exchange();
        h.peer.expect(number::USERAUTH_FAILURE);
        assert!(h.connection.authenticated().is_none());
        let changed = ask(&mut h, &change(b"old", b"new"));
        h.connection.accept_auth(changed).unwrap();
        h.exchange();
        h.peer.expect(number::USERAUTH_SUCCESS);
    });
}
