//! Attacks on the order of key exchange and on strict key exchange (RFC 4253 sections 7 to 9), group C of the notes.

use ssh_proto::error::PeerMisbehaved;
use ssh_proto::wire::number;
use ssh_proto::{ClientConnection, Role, ServerConnection};
use ssh_tests::attack::{
    Asked, F, both, chatter, chunked, message, negotiated, prepared, rekeying,
};
use ssh_tests::{Hostile, Mode, RawPeer, Stage, fixtures};

const CURVE: &str = "curve25519-sha256";

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
    fn of_role<E: Asked>(mode: Mode, service: &str, asked: &str, connected: &str) {
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
    chunked(|mode| {
        let service = "2 8-19 22-29 54-59 192";
        of_role::<ServerConnection>(
            mode,
            service,
            "2 7-19 22-29 54-59 192",
            "2 5 7-19 22-29 50 54-59 61-79 81-89 101-191 193-255",
        );
        of_role::<ClientConnection>(
            mode,
            service,
            // SUCCESS has no body.
            "2 8-19 22-29 52 54-59 192",
            "2 7-19 22-29 54-59 81-89 101-192 194-255",
        );
    });
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
        }
        for stage in [Stage::Identified, Stage::KexInit, Stage::BeforeNewKeys] {
            let mut h = prepared::<E>(stage, mode, true);
            h.closes(|peer| peer.send_payload(&message(1, &[F::U(2), F::S(b""), F::S(b"")])));
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// C5: the first packet was not KEXINIT, which only the KEXINIT behind it shows to be wrong.
#[test]
fn c5_strict_begins_with_kexinit() {
    fn test<E: Asked>(mode: Mode) {
        for payload in chatter() {
            let mut h = prepared::<E>(Stage::Identified, mode, true);
            if payload[0] == number::EXT_INFO {
                h.refuses(2, |peer| peer.send_payload(&payload));
                continue;
            }
            h.send_payload(&payload);
            h.refuses(2, RawPeer::send_kexinit);
            assert_eq!(*h.error(), PeerMisbehaved::StrictKexViolation.into());
            // Without the marker the same is harmless.
            let mut h = prepared::<E>(Stage::Identified, mode, false);
            h.send_payload(&payload);
            complete(&mut h);
            assert!(!negotiated(&h)[0].strict_kex);
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
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

/// Whatever of the upper layers comes in clear ends the connection, with no event and with nothing
/// sent that a user would mind.
fn upper_layers_in_clear<E: Asked>(mode: Mode) {
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

#[test]
fn c9_upper_layers_before_the_keys() {
    chunked(upper_layers_in_clear::<ServerConnection>);
}

/// C10: of a server, too early: SERVICE_ACCEPT, EXT_INFO, SUCCESS, BANNER, CHANNEL_OPEN.
#[test]
fn c10_a_server_ahead_of_its_keys() {
    chunked(upper_layers_in_clear::<ClientConnection>);
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
        assert_eq!(h.ended, None);
    });
}

/// From [`Stage::Identified`] to new keys.
fn complete<E: Asked>(h: &mut Hostile<E>) {
    h.peer.send_kexinit();
    h.exchange_answering_kex();
    E::accept_host_keys(h);
    h.exchange_answering_kex();
    assert_eq!(h.ended, None);
}
