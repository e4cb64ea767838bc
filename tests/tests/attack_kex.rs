//! Attacks on key exchange, strict key exchange and rekeying (RFC 4253 sections 7 to 9), groups C and F of the notes.

use std::time::Duration;

use ssh_proto::crypto::SecureRandom;
use ssh_proto::error::{Limit, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::wire::transport::{Debug, Ignore, Unimplemented};
use ssh_proto::{
    ClientConnection, ClientEvent, Disconnected, Error, Event, Instant, Negotiated, Role,
    ServerConnection,
};
use ssh_tests::attack::{Asked, F, both, chunked, message};
use ssh_tests::raw::payload_of;
use ssh_tests::rng::FailingRng;
use ssh_tests::{Endpoint, Hostile, Mode, RawPeer, Stage, fixtures};

const CURVE: &str = "curve25519-sha256";

fn prepared<E: Asked>(stage: Stage, mode: Mode, strict: bool) -> Hostile<E> {
    let mut h = Hostile::new(mode);
    h.peer.offer.strict = strict;
    h.peer.offer.kex = vec![CURVE.into()];
    h.advance_to(stage);
    h
}

/// Authenticated, and the peer's `KEXINIT` of a rekey is sent and answered.
fn rekeying<E: Asked>(mode: Mode, strict: bool) -> Hostile<E> {
    let mut h = prepared(Stage::Authenticated, mode, strict);
    h.peer.drain();
    h.peer.send_kexinit();
    h.exchange();
    h.peer.expect(number::KEXINIT);
    h
}

fn negotiated<E: Asked>(h: &Hostile<E>) -> Vec<Negotiated> {
    let each = h.events.iter().filter_map(|event| match E::shared(event) {
        Some(Event::KeysChanged(negotiated)) => Some(negotiated.clone()),
        _ => None,
    });
    each.collect()
}

fn chatter() -> [Vec<u8>; 5] {
    [
        payload_of(&Ignore { data: b"x" }),
        payload_of(&Debug {
            always_display: false,
            message: b"x",
            language: b"",
        }),
        payload_of(&Unimplemented { sequence: 0 }),
        message(7, &[F::U(0)]),
        vec![8],
    ]
}

fn is_in(list: &str, number: u8) -> bool {
    list.split_whitespace().any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        (first.parse().unwrap()..=last.parse().unwrap()).contains(&number)
    })
}

/// C1: every number without a body, in every state that a peer can bring about. What is not
/// listed as survivable is a protocol error: either the number is out of place or the body is
/// too short.
#[test]
fn c1_every_number_in_every_state() {
    fn test<E: Asked>(make: impl Fn() -> Hostile<E>, survives: &str) {
        for number in 0..=255 {
            let mut h = make();
            h.peer.drain();
            match number {
                1 => h.closes(|peer| peer.send_payload(&[1])),
                _ if is_in(survives, number) => {
                    h.send_payload(&[number]);
                    assert_eq!(h.ended, None, "{number}");
                }
                _ => {
                    h.refuses(2, |peer| peer.send_payload(&[number]));
                }
            }
        }
    }
    fn of_role<E: Asked>(service: &str, asked: &str, connected: &str) {
        let mode = Mode::PLAIN;
        for strict in [true, false] {
            let at = |stage| move || prepared::<E>(stage, mode, strict);
            let (init, keys) = match strict {
                true => ("", "21"),
                false => ("2 8-19 22-29 192", "2 8-19 21-29 192"),
            };
            test(at(Stage::Identified), "2 8-19 22-29 192");
            test(at(Stage::KexInit), init);
            test(at(Stage::BeforeNewKeys), keys);
            test(|| rekeying::<E>(mode, strict), "2 8-19 22-29");
        }
        test(|| prepared::<E>(Stage::NewKeys, mode, true), service);
        test(|| E::asked(mode), asked);
        test(
            || prepared::<E>(Stage::Authenticated, mode, true),
            connected,
        );
    }
    let service = "2 8-19 22-29 54-59 192";
    of_role::<ServerConnection>(
        service,
        "2 7-19 22-29 54-59 192",
        "2 5 7-19 22-29 50 54-59 61-79 81-89 101-191 193-255",
    );
    of_role::<ClientConnection>(
        service,
        // SUCCESS has no body.
        "2 8-19 22-29 52 54-59 192",
        "2 7-19 22-29 54-59 81-89 101-192 194-255",
    );
}

#[test]
fn c2_strict_takes_nothing_but_what_is_due() {
    fn test<E: Asked>(mode: Mode) {
        for payload in chatter() {
            for stage in [Stage::KexInit, Stage::BeforeNewKeys] {
                let mut h = prepared::<E>(stage, mode, true);
                h.refuses(2, |peer| peer.send_payload(&payload));
                assert_eq!(
                    *h.error(),
                    PeerMisbehaved::UnexpectedMessage(payload[0]).into()
                );
            }
            // C5: the first packet was not KEXINIT, which only KEXINIT shows to be wrong.
            let mut h = prepared::<E>(Stage::Identified, mode, true);
            h.peer.send_payload(&payload);
            if payload[0] == 7 {
                h.assert_disconnected(ssh_proto::error::DisconnectReason::PROTOCOL_ERROR);
                continue;
            }
            h.exchange();
            h.refuses(2, RawPeer::send_kexinit);
            assert_eq!(*h.error(), PeerMisbehaved::StrictKexViolation.into());
            // Without the marker the same is harmless.
            if payload[0] != 7 {
                let mut h = prepared::<E>(Stage::Identified, mode, false);
                h.send_payload(&payload);
                complete(&mut h);
                assert!(!negotiated(&h)[0].strict_kex);
            }
        }
        for stage in [Stage::Identified, Stage::KexInit, Stage::BeforeNewKeys] {
            let mut h = prepared::<E>(stage, mode, true);
            h.closes(|peer| peer.send_payload(&message(1, &[F::U(2), F::S(b""), F::S(b"")])));
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// From [`Stage::Identified`] to new keys.
fn complete<E: Asked>(h: &mut Hostile<E>) {
    h.peer.send_kexinit();
    h.exchange_answering_kex();
    E::accept_host_keys(h);
    h.exchange_answering_kex();
    assert_eq!(h.ended, None);
}

#[test]
fn c4_markers_count_from_both_sides_in_the_first_kexinit() {
    fn test<E: Asked>(mode: Mode) {
        for strict in [true, false] {
            let mut h = prepared::<E>(Stage::Authenticated, mode, strict);
            assert_eq!(negotiated(&h)[0].strict_kex, strict);
            // In a rekey the marker means nothing, whether it appears or is gone.
            h.peer.offer.strict = !strict;
            h.peer.offer.ext_info = !strict;
            for _ in 0..3 {
                h.rekey();
            }
            assert!(negotiated(&h).iter().all(|n| n.strict_kex == strict));
            assert_eq!(negotiated(&h).len(), 4);
            let before = h.peer.send_sequence;
            assert_eq!(before == 0, strict);
            h.does_not_know(&[200]);
        }
        // The other role's marker is none.
        let wrong = match E::ROLE {
            Role::Client => ["kex-strict-c-v00@openssh.com", "ext-info-c"],
            Role::Server => ["kex-strict-s-v00@openssh.com", "ext-info-s"],
        };
        let mut h = Hostile::<E>::new(mode);
        h.peer.offer.strict = false;
        h.peer.offer.ext_info = false;
        h.peer.offer.kex = vec![CURVE.into(), wrong[0].into(), wrong[1].into()];
        h.advance_to(Stage::NewKeys);
        assert!(!negotiated(&h)[0].strict_kex);
        assert!(
            !h.peer
                .drain()
                .iter()
                .chain(&h.extras)
                .any(|p| p.number() == 7),
            "E10"
        );
        // Nor is any a method, even where it stands in both lists.
        for markers in [
            [
                "kex-strict-c-v00@openssh.com",
                "kex-strict-s-v00@openssh.com",
            ],
            ["ext-info-c", "ext-info-s"],
        ] {
            let mut h = Hostile::<E>::new(mode);
            h.peer.offer.kex = markers.map(str::to_owned).into();
            h.advance_to(Stage::Identified);
            h.refuses(3, RawPeer::send_kexinit);
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// C6: `NEWKEYS` has the old number, what follows it begins at zero, at every exchange.
#[test]
fn c6_numbers_begin_anew_with_each_keys() {
    fn test<E: Asked>(mode: Mode) {
        for strict in [true, false] {
            let mut h = prepared::<E>(Stage::Authenticated, mode, strict);
            h.peer.drain();
            for round in 0..4 {
                match round % 2 {
                    0 => h.rekey(),
                    _ => {
                        h.connection.rekey().expect("authenticated");
                        h.exchange_answering_kex();
                    }
                }
                assert_eq!(h.peer.recv_sequence == 0, strict);
                h.does_not_know(&[200]);
                h.does_not_know(&[201]);
            }
            // The old counting is not authentic.
            if strict {
                h.exchange();
                h.peer.send_sequence += 3;
                h.peer.send_payload(&payload_of(&Ignore { data: b"" }));
                h.peer.push_bytes(&vec![0; 263_000]);
                h.exchange();
                let reason = h.error().disconnect_reason().expect("said");
                assert!(matches!(reason.0, 2 | 5), "{:?}", h.error());
            }
        }
    }
    chunked(|mode| {
        test::<ClientConnection>(mode);
        test::<ServerConnection>(mode);
    });
}

#[test]
fn c7_nothing_comes_twice() {
    fn test<E: Asked>(mode: Mode) {
        for strict in [true, false] {
            let mut h = prepared::<E>(Stage::KexInit, mode, strict);
            h.refuses(2, |peer| {
                let again = peer.make_kexinit();
                peer.send_payload(&again);
            });
            let mut h = prepared::<E>(Stage::BeforeNewKeys, mode, strict);
            h.refuses(2, |peer| {
                let again = peer.make_kexinit();
                peer.send_payload(&again);
            });
            // The exchange is over; a method's message, well-formed, comes again.
            let again = match E::ROLE {
                Role::Client => message(31, &[F::S(b"k"), F::S(&[9; 32]), F::S(b"s")]),
                Role::Server => message(30, &[F::S(&[9; 32])]),
            };
            for stage in [Stage::BeforeNewKeys, Stage::NewKeys, Stage::Authenticated] {
                let mut h = prepared::<E>(stage, mode, strict);
                h.refuses(2, |peer| peer.send_payload(&again));
            }
            for stage in [Stage::NewKeys, Stage::Authenticated] {
                let mut h = prepared::<E>(stage, mode, strict);
                h.refuses(2, |peer| peer.send_payload(&[number::NEWKEYS]));
            }
            let mut h = rekeying::<E>(mode, strict);
            h.refuses(2, RawPeer::send_kexinit);
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn c8_messages_of_other_methods_and_of_the_wrong_role() {
    fn test<E: Asked>(mode: Mode) {
        let wrong_role = match E::ROLE {
            Role::Client => message(30, &[F::S(&[9; 32])]),
            Role::Server => message(31, &[F::S(b"k"), F::S(&[9; 32]), F::S(b"s")]),
        };
        let gex = message(34, &[F::U(2048), F::U(3072), F::U(8192)]);
        for strict in [true, false] {
            for payload in [
                wrong_role.clone(),
                gex.clone(),
                vec![32],
                vec![33],
                vec![49],
            ] {
                for stage in [Stage::Identified, Stage::KexInit, Stage::BeforeNewKeys] {
                    let mut h = prepared::<E>(stage, mode, strict);
                    h.refuses(2, |peer| peer.send_payload(&payload));
                }
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// C9, C10: whatever of the upper layers comes in clear ends the connection, with no event and
/// with nothing sent that a user would mind.
#[test]
fn c9_upper_layers_before_the_keys() {
    fn test<E: Asked>(mode: Mode) {
        let session = [F::S(b"session"), F::U(0), F::U(1 << 20), F::U(32768)];
        let premature = [
            message(5, &[F::S(b"ssh-userauth")]),
            message(6, &[F::S(b"ssh-userauth")]),
            message(
                7,
                &[F::U(1), F::S(b"server-sig-algs"), F::S(b"ssh-ed25519")],
            ),
            message(
                50,
                &[F::S(b"ferris"), F::S(b"ssh-connection"), F::S(b"none")],
            ),
            vec![52],
            message(53, &[F::S(b"hello"), F::S(b"")]),
            message(80, &[F::S(b"keepalive@openssh.com"), F::B(1)]),
            message(90, &session),
            message(98, &[F::U(0), F::S(b"exec"), F::B(1), F::S(b"id")]),
        ];
        for strict in [true, false] {
            for payload in &premature {
                for stage in [Stage::Identified, Stage::KexInit, Stage::BeforeNewKeys] {
                    let mut h = prepared::<E>(stage, mode, strict);
                    h.refuses(2, |peer| peer.send_payload(payload));
                    let sent: Vec<u8> = h.extras.iter().map(|p| p.number()).collect();
                    assert!(
                        sent.iter().all(|n| !(5..=6).contains(n) && *n < 50),
                        "U7: {sent:?}"
                    );
                }
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn c11_newkeys_out_of_place() {
    fn test<E: Asked>(mode: Mode) {
        for strict in [true, false] {
            for stage in [Stage::Identified, Stage::KexInit] {
                let mut h = prepared::<E>(stage, mode, strict);
                h.refuses(2, |peer| peer.send_payload(&[number::NEWKEYS]));
            }
            let mut h = prepared::<E>(Stage::BeforeNewKeys, mode, strict);
            h.refuses(2, |peer| peer.send_payload(&[number::NEWKEYS, 0]));
            // Left out: what follows is read in clear, and is none.
            let mut h = prepared::<E>(Stage::BeforeNewKeys, mode, strict);
            h.refuses(2, |peer| {
                peer.seal_with_new_keys();
                peer.send_payload(&message(5, &[F::S(b"ssh-userauth")]));
            });
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// F6: each packet under the keys of its place.
#[test]
fn f6_old_and_new_keys_do_not_mix() {
    fn test<E: Asked>(mode: Mode) {
        let ready = || {
            let mut h = rekeying::<E>(mode, true);
            match E::ROLE {
                Role::Client => {
                    let init = h.peer.expect(number::KEX_ECDH_INIT);
                    let reply = h.peer.make_reply(&init);
                    h.peer.send_reply(&reply);
                }
                Role::Server => {
                    h.peer.send_kex_init();
                    h.exchange();
                    let reply = h.peer.expect(number::KEX_ECDH_REPLY);
                    h.peer.read_kex_reply(&reply);
                }
            }
            h.exchange();
            h.events.clear();
            h
        };
        let ignore = payload_of(&Ignore { data: b"" });
        // The old keys after NEWKEYS: keys of the old epoch, whatever the number.
        let mut h = ready();
        h.peer.send_payload(&[number::NEWKEYS]);
        h.peer.send_sequence = 0;
        h.peer.send_payload(&ignore);
        h.peer.push_bytes(&vec![0; 263_000]);
        h.exchange();
        let reason = h.error().disconnect_reason().expect("said");
        assert!(matches!(reason.0, 2 | 5), "{:?}", h.error());
        // The new keys before NEWKEYS.
        let mut h = ready();
        h.peer.seal_with_new_keys();
        h.peer.send_payload(&ignore);
        h.peer.push_bytes(&vec![0; 263_000]);
        h.exchange();
        let reason = h.error().disconnect_reason().expect("said");
        assert!(matches!(reason.0, 2 | 5), "{:?}", h.error());
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn c12_guesses() {
    fn garbage() -> [Vec<u8>; 4] {
        // Not parsed, whatever it is.
        [
            vec![30],
            vec![31, 0xff, 0xff, 0xff, 0xff],
            vec![34, 1],
            vec![49; 3000],
        ]
    }
    fn test<E: Asked>(mode: Mode) {
        for strict in [true, false] {
            // Another method first; another host key first.
            for by_host_key in [false, true] {
                for guess in garbage() {
                    let mut h = Hostile::<E>::new(mode);
                    h.peer.offer.strict = strict;
                    match by_host_key {
                        false => h.peer.offer.kex = vec!["ecdh-sha2-nistp256".into(), CURVE.into()],
                        true => {
                            h.peer.offer.kex = vec!["mlkem768x25519-sha256".into(), CURVE.into()];
                            h.peer.offer.host_keys =
                                vec!["ecdsa-sha2-nistp256".into(), "ssh-ed25519".into()];
                        }
                    }
                    h.peer.offer.first_kex_packet_follows = true;
                    h.advance_to(Stage::Identified);
                    h.peer.drain();
                    h.peer.send_kexinit();
                    h.peer.send_payload(&guess);
                    h.exchange();
                    assert_eq!(h.ended, None);
                    // Only one packet is a guess.
                    let mut second = Hostile::<E>::new(mode);
                    second.peer.offer = h.peer.offer.clone();
                    second.advance_to(Stage::Identified);
                    second.peer.send_kexinit();
                    second.peer.send_payload(&guess);
                    second.refuses(2, |peer| peer.send_payload(&[49]));
                }
            }
        }
        // To the end, and again at each rekey.
        for strict in [true, false] {
            let mut h = Hostile::<E>::new(mode);
            h.peer.offer.strict = strict;
            h.peer.offer.kex = vec![CURVE.into()];
            h.peer.offer.first_kex_packet_follows = true;
            h.advance_to(Stage::Identified);
            h.peer.send_kexinit();
            h.peer.send_payload(&[40, 1, 2, 3]);
            h.exchange_answering_kex();
            E::accept_host_keys(&mut h);
            h.exchange_answering_kex();
            assert_eq!(negotiated(&h).len(), 1);
        }
        let mut h = prepared::<E>(Stage::Authenticated, mode, true);
        h.peer.offer.first_kex_packet_follows = true;
        h.peer.drain();
        for round in 1..=3 {
            h.peer.send_kexinit();
            h.peer.send_payload(&[40, 1, 2, 3]);
            h.exchange_answering_kex();
            assert_eq!(negotiated(&h).len(), 1 + round);
        }
        h.does_not_know(&[200]);
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// C12: a right guess is used.
#[test]
fn c12_a_right_guess_counts() {
    chunked(|mode| {
        let mut h = Hostile::<ServerConnection>::new(mode);
        let first = fixtures::provider().kex[0].name();
        h.peer.offer.kex = vec![first.into()];
        h.peer.offer.first_kex_packet_follows = true;
        h.advance_to(Stage::Identified);
        // Nothing of the server's choice is needed: its list is known.
        h.peer.send_kexinit();
        h.peer.expect(number::KEXINIT);
        h.peer.send_kex_init();
        h.exchange();
        let reply = h.peer.expect(number::KEX_ECDH_REPLY);
        h.peer.read_kex_reply(&reply);
        h.peer.expect(number::NEWKEYS);
        h.peer.send_newkeys();
        h.exchange();
        assert_eq!(negotiated(&h)[0].kex, first);
    });
}

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
        "ecdh-sha2-nistp256" => {
            let mut off_curve = fill(65);
            off_curve[0] = 4;
            let mut compressed = fill(33);
            compressed[0] = 2;
            let mut hybrid = fill(65);
            hybrid[0] = 6;
            vec![
                vec![],
                vec![0],
                [&[0][..], &[0; 64]].concat(),
                off_curve,
                compressed,
                hybrid,
                fill(64),
                fill(66),
                [&[4][..], &[0; 64]].concat(),
                [&[4][..], &[0xff; 64]].concat(),
            ]
        }
        _ => {
            let pq = if to == Role::Server { 1184 } else { 1088 };
            let mut all: Vec<Vec<u8>> = [0, 32, pq, pq + 31, pq + 33].map(fill).into();
            // The classical half is weak; towards a server, the other one is no key at all.
            all.extend(weak.map(|half| [fill(pq), half].concat()));
            if to == Role::Server {
                all.push([vec![0xff; pq], fill(32)].concat());
            }
            all
        }
    }
}

#[test]
fn c14_c15_c16_bad_public_values() {
    let methods = [CURVE, "ecdh-sha2-nistp256", "mlkem768x25519-sha256"];
    chunked(|mode| {
        for kex in methods {
            for public in bad_publics(kex, Role::Server) {
                let mut h = Hostile::<ServerConnection>::new(mode);
                h.peer.offer.kex = vec![kex.into()];
                h.advance_to(Stage::KexInit);
                h.refuses(3, |peer| peer.send_payload(&message(30, &[F::S(&public)])));
                assert_eq!(*h.error(), PeerMisbehaved::BadKexValue.into(), "{kex}");
            }
            for public in bad_publics(kex, Role::Client) {
                let mut h = Hostile::<ClientConnection>::new(mode);
                h.peer.offer.kex = vec![kex.into()];
                h.advance_to(Stage::KexInit);
                let init = h.peer.expect(number::KEX_ECDH_INIT);
                let mut reply = h.peer.make_reply(&init);
                reply.public = public;
                h.refuses(3, |peer| peer.send_reply(&reply));
                assert_eq!(*h.error(), PeerMisbehaved::BadKexValue.into(), "{kex}");
            }
        }
        // A ciphertext that is merely wrong is rejected implicitly: the signature does not fit.
        let mut h = Hostile::<ClientConnection>::new(mode);
        h.peer.offer.kex = vec!["mlkem768x25519-sha256".into()];
        h.advance_to(Stage::KexInit);
        let init = h.peer.expect(number::KEX_ECDH_INIT);
        let mut reply = h.peer.make_reply(&init);
        reply.public[500] ^= 1;
        h.refuses(3, |peer| peer.send_reply(&reply));
        assert_eq!(*h.error(), PeerMisbehaved::BadHostKeySignature.into());
        // The halves swapped.
        let mut h = Hostile::<ServerConnection>::new(mode);
        h.peer.offer.kex = vec!["mlkem768x25519-sha256".into()];
        h.advance_to(Stage::KexInit);
        let init = h.peer.make_kex_init();
        let swapped = [&init[5 + 1184..], &init[5..5 + 1184]].concat();
        h.refuses(3, |peer| peer.send_payload(&message(30, &[F::S(&swapped)])));
    });
}

/// C20: keys longer than the hash, and the session id of the first exchange for ever.
#[test]
fn c20_the_session_id_stays() {
    fn test<E: Asked>(mode: Mode) {
        let mut h = Hostile::<E>::new(mode);
        h.peer.offer.ciphers = [vec!["aes256-ctr".into()], vec!["aes256-ctr".into()]];
        h.peer.offer.macs = [vec!["hmac-sha2-512".into()], vec!["hmac-sha2-512".into()]];
        h.advance_to(Stage::Authenticated);
        h.peer.drain();
        let first = negotiated(&h)[0].session_id.clone();
        assert_eq!(
            first.as_bytes(),
            h.peer.session_id.as_deref().expect("made")
        );
        for kex in [CURVE, "ecdh-sha2-nistp256", "mlkem768x25519-sha256"] {
            h.peer.offer.kex = vec![kex.into()];
            h.rekey();
            assert_ne!(h.peer.latest_hash(), first.as_bytes());
        }
        assert!(negotiated(&h).iter().all(|n| n.session_id == first));
        assert_eq!(negotiated(&h).len(), 4);
        assert_eq!(h.connection.session_id(), Some(&first));
        h.does_not_know(&[200]);
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
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

/// F1: after its own `KEXINIT` a peer sends nothing of the upper layers.
#[test]
fn f1_upper_layers_behind_kexinit() {
    fn test<E: Asked>(mode: Mode) {
        for payload in [
            message(5, &[F::S(b"ssh-userauth")]),
            message(
                50,
                &[F::S(b"ferris"), F::S(b"ssh-connection"), F::S(b"none")],
            ),
            message(80, &[F::S(b"keepalive@openssh.com"), F::B(1)]),
            message(90, &[F::S(b"session"), F::U(0), F::U(1 << 20), F::U(32768)]),
            message(93, &[F::U(0), F::U(1)]),
            message(94, &[F::U(0), F::S(b"x")]),
            message(96, &[F::U(0)]),
            message(7, &[F::U(0)]),
            message(192, &[F::S(b"ping")]),
        ] {
            let mut h = Hostile::<E>::at(Stage::Channel, mode);
            h.peer.send_kexinit();
            h.exchange();
            h.refuses(2, |peer| peer.send_payload(&payload));
        }
        // What is legal stays so.
        let mut h = rekeying::<E>(mode, true);
        h.peer.drain();
        for payload in chatter().into_iter().filter(|p| p[0] != 7) {
            h.send_payload(&payload);
        }
        assert_eq!(h.ended, None);
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn f5_rekeys_are_rationed() {
    fn before_success<E: Asked>(mode: Mode) {
        for mut h in [Hostile::at(Stage::NewKeys, mode), E::asked(mode)] {
            h.peer.drain();
            h.refuses(2, RawPeer::send_kexinit);
            assert_eq!(*h.error(), PeerMisbehaved::RekeyBeforeAuthentication.into());
        }
    }
    both(
        before_success::<ClientConnection>,
        before_success::<ServerConnection>,
    );
    fn storm<E: Asked>(mode: Mode) {
        let mut h = prepared::<E>(Stage::Authenticated, mode, true);
        h.peer.drain();
        let budget = ssh_proto::Limits::default().peer_rekeys;
        for _ in 0..budget {
            h.rekey();
        }
        assert_eq!(negotiated(&h).len(), 1 + budget as usize);
        h.refuses(11, RawPeer::send_kexinit);
        assert_eq!(*h.error(), Limit::PeerRekeys.into());
        // Spread over time it is no storm.
        let mut h = prepared::<E>(Stage::Authenticated, mode, true);
        h.peer.drain();
        for _ in 0..budget + 3 {
            h.advance(Duration::from_secs(1));
            h.rekey();
        }
        assert_eq!(h.ended, None);
    }
    both(storm::<ClientConnection>, storm::<ServerConnection>);
}

#[test]
fn f7_a_rekey_is_negotiated_anew() {
    fn test<E: Asked>(mode: Mode) {
        let mut h = prepared::<E>(Stage::Authenticated, mode, true);
        h.peer.drain();
        h.peer.offer.ciphers = [
            vec!["aes128-ctr".into()],
            vec!["aes256-gcm@openssh.com".into()],
        ];
        h.peer.offer.macs = [vec!["hmac-sha2-256".into()], vec![]];
        h.rekey();
        let latest = negotiated(&h).pop().expect("keys");
        assert!(latest.is_rekey);
        assert_eq!(latest.client_to_server.cipher, "aes128-ctr");
        assert_eq!(latest.client_to_server.mac, Some("hmac-sha2-256"));
        assert_eq!(latest.server_to_client.cipher, "aes256-gcm@openssh.com");
        assert_eq!(latest.server_to_client.mac, None);
        h.does_not_know(&[200]);
        for weak in ["none", "3des-cbc", "aes128-cbc"] {
            let mut h = prepared::<E>(Stage::Authenticated, mode, true);
            h.peer.drain();
            h.peer.offer.ciphers = [vec![weak.into()], vec![weak.into()]];
            h.refuses(3, RawPeer::send_kexinit);
        }
        // No common host key algorithm any more.
        let mut h = prepared::<E>(Stage::Authenticated, mode, true);
        h.peer.drain();
        h.peer.offer.host_keys = vec!["ssh-rsa".into()];
        h.refuses(3, RawPeer::send_kexinit);
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// C9, U7: a client's service request counts only behind its `NEWKEYS`, and what it says before
/// the host key is judged is nothing but key exchange.
#[test]
fn u7_a_client_is_silent_until_the_host_key_is_accepted() {
    chunked(|mode| {
        let mut h = Hostile::<ClientConnection>::at(Stage::KexInit, mode);
        let init = h.peer.expect(number::KEX_ECDH_INIT);
        let reply = h.peer.make_reply(&init);
        h.peer.send_reply(&reply);
        h.peer.send_newkeys();
        h.exchange();
        assert_eq!(h.peer.drain(), [], "not even NEWKEYS");
        ClientConnection::accept_host_keys(&mut h);
        let numbers: Vec<u8> = h.peer.drain().iter().map(|p| p.number()).collect();
        assert_eq!(numbers.first(), Some(&number::NEWKEYS));
        assert_eq!(numbers.last(), Some(&number::SERVICE_REQUEST));
        assert!(h.ended.is_none() && !matches!(h.ended, Some(Disconnected::Eof)));
    });
}
