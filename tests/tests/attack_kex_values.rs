//! Attacks on what key exchange carries: public values, randomness, extensions, reserved fields (RFC 4253 section 8, RFC 8308), group C of the notes.

use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::crypto::SecureRandom;
use ssh_proto::error::{DisconnectReason, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::wire::transport::Ignore;
use ssh_proto::{
    ClientConnection, ClientEvent, Connection, Error, Event, Instant, Role, ServerConnection, Timer,
};
use ssh_tests::attack::{Asked, F, agreed, both, chunked, message, negotiated, prepared};
use ssh_tests::raw::payload_of;
use ssh_tests::rng::FailingRng;
use ssh_tests::{Endpoint, Hostile, Mode, Stage, fixtures};

const CURVE: &str = "curve25519-sha256";

/// Public values that no honest peer sends, for this method and direction.
fn bad_publics(kex: &str, to: Role) -> Vec<Vec<u8>> {
    let fill = |len: usize| vec![9; len];
    let order_8 = {
        let mut point = [0; 32];
        let hex = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
        for (at, byte) in point.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        }
        point.to_vec()
    };
    let one = [&[1_u8][..], &[0; 31]].concat();
    let p_minus_one = [&[0xec_u8][..], &[0xff; 30], &[0x7f]].concat();
    let weak = [vec![0; 32], one, order_8, p_minus_one];
    match kex {
        "curve25519-sha256" => {
            let lengths = [0, 1, 31, 33, 64].map(fill);
            lengths.into_iter().chain(weak).collect()
        }
        "ecdh-sha2-nistp256" => bad_points(65),
        "ecdh-sha2-nistp384" => bad_points(97),
        "ecdh-sha2-nistp521" => bad_points(133),
        _ => {
            let (key, ciphertext, point) = halves(kex);
            let pq = if to == Role::Server { key } else { ciphertext };
            let lengths = [0, point, pq, pq + point - 1, pq + point + 1];
            let mut all: Vec<Vec<u8>> = lengths.map(fill).into();
            // The classical half is weak; towards a server, the other one is no key at all.
            let bad_halves = match point {
                32 => weak.to_vec(),
                len => bad_points(len)
                    .into_iter()
                    .filter(|p| p.len() == len)
                    .collect(),
            };
            all.extend(bad_halves.into_iter().map(|half| [fill(pq), half].concat()));
            if to == Role::Server && kex.starts_with("mlkem") {
                all.push([vec![0xff; pq], fill(point)].concat());
            }
            all
        }
    }
}

/// What is no uncompressed point of so many bytes on a curve.
fn bad_points(len: usize) -> Vec<Vec<u8>> {
    let begins = |first: u8, fill: u8, len: usize| [vec![first], vec![fill; len - 1]].concat();
    vec![
        vec![],
        vec![0],
        begins(0, 0, len),
        // Off the curve; compressed; hybrid.
        begins(4, 9, len),
        begins(2, 9, len / 2 + 1),
        begins(6, 9, len),
        begins(4, 9, len - 1),
        begins(4, 9, len + 1),
        begins(4, 0, len),
        begins(4, 0xff, len),
    ]
}

/// Bytes of the encapsulation key, of the ciphertext and of the point of a hybrid.
fn halves(kex: &str) -> (usize, usize, usize) {
    match kex {
        "mlkem768x25519-sha256" => (1184, 1088, 32),
        "mlkem768nistp256-sha256" => (1184, 1088, 65),
        "mlkem1024nistp384-sha384" => (1568, 1568, 97),
        _ => (1158, 1039, 32),
    }
}

const HYBRIDS: [&str; 5] = [
    "mlkem768x25519-sha256",
    "mlkem768nistp256-sha256",
    "mlkem1024nistp384-sha384",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
];

#[test]
fn c14_c15_c16_bad_public_values() {
    let curves = [
        CURVE,
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
    ];
    chunked(|mode| {
        for kex in curves.into_iter().chain(HYBRIDS) {
            for public in bad_publics(kex, Role::Server) {
                let mut h = agreed::<ServerConnection>(kex, mode, true);
                h.refuses(3, |peer| peer.send_payload(&message(30, &[F::S(&public)])));
                assert_eq!(*h.error(), PeerMisbehaved::BadKexValue.into(), "{kex}");
            }
            for public in bad_publics(kex, Role::Client) {
                let mut h = agreed::<ClientConnection>(kex, mode, true);
                let init = h.peer.expect(number::KEX_ECDH_INIT);
                let mut reply = h.peer.make_reply(&init);
                reply.public = public;
                h.refuses(3, |peer| peer.send_reply(&reply));
                assert_eq!(*h.error(), PeerMisbehaved::BadKexValue.into(), "{kex}");
            }
        }
        for kex in HYBRIDS {
            // A ciphertext that is merely wrong is rejected implicitly: the signature does not fit.
            let mut h = agreed::<ClientConnection>(kex, mode, true);
            let init = h.peer.expect(number::KEX_ECDH_INIT);
            let mut reply = h.peer.make_reply(&init);
            reply.public[500] ^= 1;
            h.refuses(3, |peer| peer.send_reply(&reply));
            assert_eq!(*h.error(), PeerMisbehaved::BadHostKeySignature.into());
            // The halves swapped. Any bytes are a key of sntrup761, as is any point of X25519, and
            // then the keys are not the same.
            let mut h = agreed::<ServerConnection>(kex, mode, true);
            let init = h.peer.make_kex_init();
            let (key, _, _) = halves(kex);
            let swapped = message(30, &[F::S(&[&init[5 + key..], &init[5..5 + key]].concat())]);
            match kex.starts_with("mlkem") {
                true => h.refuses(3, |peer| peer.send_payload(&swapped)),
                false => {
                    h.peer.send_payload(&swapped);
                    h.exchange();
                    assert_eq!(h.ended, None);
                    h.peer.expect(number::KEX_ECDH_REPLY);
                }
            }
        }
    });
}

/// C21, U9: the source of randomness fails at each of its calls.
#[test]
fn c21_failing_randomness_fails_closed() {
    type Random = Box<dyn SecureRandom>;
    fn test<E: Asked>(mode: Mode, make: impl Fn(Random) -> Result<E, Error>) {
        let mut completed = false;
        for successes in 0..12 {
            let random = Box::new(FailingRng::new(5, successes));
            let Ok(connection) = make(random) else {
                assert!(successes < 2, "at construction two values are drawn");
                continue;
            };
            let mut h = Hostile::with_connection(connection, mode.chunking);
            h.advance_to(Stage::Identified);
            h.peer.send_kexinit();
            exchange_unless_over(&mut h);
            if h.ended.is_none() {
                completed = true;
                break;
            }
            let reason = h.error().disconnect_reason().expect("said");
            assert!(matches!(h.error(), Error::Crypto(_)), "{:?}", h.error());
            assert!(matches!(reason.0, 3 | 11));
            assert!(negotiated(&h).is_empty(), "no keys");
            h.assert_disconnected(reason);
        }
        assert!(completed, "enough randomness is enough");
    }
    let now = Instant::EPOCH + Duration::from_secs(1_000);
    both(
        |mode| {
            let config = fixtures::client_config().build().expect("config");
            test(mode, |random| {
                ClientConnection::new(&config, fixtures::USER, random, now)
            });
        },
        |mode| {
            let config = fixtures::server_config().build().expect("config");
            test(mode, |random| ServerConnection::new(&config, random, now));
        },
    );
}

fn exchange_unless_over<E: Asked>(h: &mut Hostile<E>) {
    h.exchange();
    while h.ended.is_none() {
        let Some(packet) = h.peer.next_packet() else {
            return;
        };
        h.peer.answer_kex(&packet);
        h.exchange();
    }
}

#[test]
fn c22_ext_info_from_a_client() {
    let one = message(7, &[F::U(1), F::S(b"name"), F::S(b"value")]);
    chunked(|mode| {
        // Directly behind NEWKEYS.
        let mut h = prepared::<ServerConnection>(Stage::NewKeys, mode, true);
        h.peer.drain();
        h.events.clear();
        h.send_payload(&one);
        match ServerConnection::shared(&h.events[0]) {
            Some(Event::ExtInfo(info)) => assert_eq!(info.value("name"), Some(&b"value"[..])),
            other => panic!("{other:?}"),
        }
        // Not a second time, nor later.
        h.does_not_know(&one);
        let mut h = prepared::<ServerConnection>(Stage::NewKeys, mode, true);
        h.ignores(|peer| peer.send_payload(&payload_of(&Ignore { data: b"" })));
        h.does_not_know(&one);
        for stage in [Stage::Service, Stage::Authenticated] {
            let mut h = prepared::<ServerConnection>(stage, mode, true);
            h.does_not_know(&one);
        }
    });
}

#[test]
fn c22_ext_info_from_a_server() {
    let one = message(
        7,
        &[
            F::U(1),
            F::S(b"server-sig-algs"),
            F::S(b"ssh-ed25519,unknown,,\xff"),
        ],
    );
    chunked(|mode| {
        let mut h = prepared::<ClientConnection>(Stage::NewKeys, mode, true);
        h.peer.drain();
        for _ in 0..2 {
            h.events.clear();
            h.send_payload(&one);
            assert!(matches!(
                h.events[0],
                ClientEvent::Shared(Event::ExtInfo(_))
            ));
        }
        h.does_not_know(&one);
        let mut h = prepared::<ClientConnection>(Stage::Authenticated, mode, true);
        h.does_not_know(&one);
    });
}

#[test]
fn c22_ext_info_bounds() {
    fn test<E: Asked>(mode: Mode) {
        let entries = |count: u32, claimed: u32| {
            let mut fields = vec![F::U(claimed)];
            fields.extend((0..count * 2).map(|_| F::S(b"a")));
            message(7, &fields)
        };
        for (bad, payload) in [
            (true, message(7, &[F::U(u32::MAX)])),
            (true, entries(1025, 1025)),
            (true, entries(3, 4)),
            (true, entries(3, 2)),
            (false, entries(1024, 1024)),
            (false, entries(0, 0)),
            // The same name again, and a NUL in a value.
            (
                false,
                message(
                    7,
                    &[F::U(2), F::S(b"a"), F::S(b"\0"), F::S(b"a"), F::S(b"b")],
                ),
            ),
        ] {
            let mut h = prepared::<E>(Stage::NewKeys, mode, true);
            match bad {
                true => h.refuses(2, |peer| peer.send_payload(&payload)),
                false => {
                    h.send_payload(&payload);
                    assert_eq!(h.ended, None);
                }
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// C23: what is reserved is hashed; our own packets thrown back lead nowhere.
#[test]
fn c23_reserved_fields_and_reflection() {
    fn reserved<E: Asked>(mode: Mode) {
        let mut h = Hostile::<E>::new(mode);
        h.advance_to(Stage::Identified);
        let mut kexinit = h.peer.make_kexinit();
        let end = kexinit.len();
        kexinit[end - 4..].copy_from_slice(&[1, 2, 3, 4]);
        h.peer.send_kexinit_payload(kexinit);
        h.exchange_answering_kex();
        E::accept_host_keys(&mut h);
        h.exchange_answering_kex();
        assert_eq!(negotiated(&h).len(), 1);
    }
    both(reserved::<ClientConnection>, reserved::<ServerConnection>);
    chunked(|mode| {
        let mut h = Hostile::<ClientConnection>::at(Stage::Identified, mode);
        let theirs = h.peer.expect(number::KEXINIT);
        h.peer.send_payload(&theirs.payload);
        h.exchange();
        let init = h.peer.expect(number::KEX_ECDH_INIT);
        h.refuses(2, |peer| peer.send_payload(&init.payload));
        let mut h = Hostile::<ServerConnection>::at(Stage::Identified, mode);
        let theirs = h.peer.expect(number::KEXINIT);
        h.ignores(|peer| peer.send_payload(&theirs.payload));
    });
}

/// C23: a server whose every word is thrown back at it, at whichever point: where nobody has a key
/// of its own it waits in vain, its own reply is not for it, and its own packets are sealed with
/// the keys of the other direction.
#[test]
fn c23_a_reflected_server_session_ends() {
    fn reflected(mode: Mode) -> Hostile<ServerConnection> {
        let mut h = Hostile::<ServerConnection>::new(mode);
        h.exchange();
        assert!(h.peer.read_identification());
        h.peer.identification = h.peer.peer_identification.clone().expect("just read");
        h.peer.send_identification();
        h.exchange();
        let theirs = h.peer.expect(number::KEXINIT);
        h.peer.send_kexinit_payload(theirs.payload.to_vec());
        h.exchange();
        assert_eq!(h.ended, None);
        assert_eq!(h.peer.drain(), []);
        h
    }
    chunked(|mode| {
        let mut h = reflected(mode);
        h.advance(Duration::from_secs(60));
        assert_eq!(*h.error(), Error::Timeout(Timer::Kex));
        h.assert_disconnected(DisconnectReason::BY_APPLICATION);

        let mut h = reflected(mode);
        h.peer.send_kex_init();
        h.exchange();
        let reply = h.peer.expect(number::KEX_ECDH_REPLY);
        h.peer.read_kex_reply(&reply);
        h.refuses(2, |peer| peer.send_payload(&reply.payload));

        let mut h = reflected(mode);
        h.peer.send_kex_init();
        h.exchange();
        let reply = h.peer.expect(number::KEX_ECDH_REPLY);
        h.peer.read_kex_reply(&reply);
        h.peer.expect(number::NEWKEYS);
        h.peer.send_newkeys();
        h.exchange();
        h.peer.drain();
        h.peer.send_payload(&message(5, &[F::S(b"ssh-userauth")]));
        // What the server answers goes nowhere but back.
        let request = h.peer.take_output();
        h.connection.handle_input(h.now, request);
        assert!(h.connection.next_event().is_none());
        let mut answer = BytesMut::new();
        let sent = h.connection.poll_transmit(h.now, &mut answer);
        assert!(sent.is_some() && h.ended.is_none());
        let events = h.events.len();
        h.peer.push_bytes(&answer);
        // A false length is waited for up to the largest packet.
        h.peer.push_bytes(&vec![0; 35_100]);
        h.exchange();
        let reason = h.error().disconnect_reason().expect("said").0;
        assert!(matches!(reason, 2 | 5), "{:?}", h.error());
        assert_eq!(h.events.len(), events + 1, "the terminal event alone");
        assert!(h.connection.authenticated().is_none());
    });
}
