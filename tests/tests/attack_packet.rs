//! Attacks on the binary packet protocol (RFC 4253 section 6) as a whole connection meets them, group B of the notes. The halves alone are attacked in `ssh-proto/src/transport/packet_tests.rs`.

use ssh_proto::error::{DisconnectReason, Limit, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::wire::transport::{Debug, Ignore, Unimplemented};
use ssh_proto::{ClientConnection, Event, Role, ServerConnection};
use ssh_tests::attack::{Asked, both};
use ssh_tests::hostile::Victim;
use ssh_tests::raw::{Framing, payload_of};
use ssh_tests::{Hostile, Mode, Pair, RawPeer, Stage};

/// Sealed packets of every kind: AEAD with clear and with encrypted length, encrypt-then-MAC,
/// encrypt-and-MAC.
const SUITES: [(&str, &str); 4] = [
    ("chacha20-poly1305@openssh.com", "hmac-sha2-256"),
    ("aes256-gcm@openssh.com", "hmac-sha2-256"),
    ("aes256-ctr", "hmac-sha2-256-etm@openssh.com"),
    ("aes128-ctr", "hmac-sha2-512"),
];

fn choose_suite(peer: &mut RawPeer, (cipher, mac): (&str, &str)) {
    peer.offer.ciphers = [vec![cipher.into()], vec![cipher.into()]];
    peer.offer.macs = [vec![mac.into()], vec![mac.into()]];
}

/// In clear, and under each suite.
fn in_clear_and_sealed<E: Victim>(mode: Mode, test: impl Fn(Hostile<E>)) {
    test(Hostile::at(Stage::Identified, mode));
    for suite in SUITES {
        let mut h = Hostile::new(mode);
        choose_suite(&mut h.peer, suite);
        h.advance_to(Stage::NewKeys);
        test(h);
    }
}

fn ignore(data: &[u8]) -> Vec<u8> {
    payload_of(&Ignore { data })
}

fn framed(length: u32) -> Framing {
    Framing {
        length: Some(length),
        ..Framing::default()
    }
}

#[test]
fn b1_tiny_lengths() {
    fn test<E: Victim>(mode: Mode) {
        for length in 0..5 {
            in_clear_and_sealed::<E>(mode, |mut h| {
                h.refuses(2, |peer| {
                    let packet = peer.seal_framed(&ignore(b""), framed(length));
                    peer.push_bytes(&packet);
                });
                assert_eq!(*h.error(), PeerMisbehaved::BadPacketLength.into());
            });
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn b2_giant_lengths() {
    fn test<E: Victim>(mode: Mode) {
        for length in [35_001, 0x7fff_ffff, 0xffff_fff0, 0xffff_fffb, u32::MAX] {
            in_clear_and_sealed::<E>(mode, |mut h| {
                h.refuses(2, |peer| {
                    let packet = peer.seal_framed(&ignore(b""), framed(length));
                    // What it takes to read the length, and no byte more.
                    peer.push_bytes(&packet[..16]);
                });
                assert_eq!(*h.error(), Limit::PacketLength.into());
            });
        }
        let mut h = Hostile::<E>::at(Stage::Authenticated, mode);
        h.refuses(2, |peer| {
            let packet = peer.seal_framed(&ignore(b""), framed(262_145));
            peer.push_bytes(&packet[..16]);
        });
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// B2: the largest packet of each phase is taken.
#[test]
fn b2_the_largest_packets_are_taken() {
    fn test<E: Victim>(mode: Mode) {
        let mut h = Hostile::<E>::at(Stage::NewKeys, mode);
        h.ignores(|peer| peer.send_payload(&ignore(&vec![0; 34_976])));
        let mut h = Hostile::<E>::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&ignore(&vec![0; 35_000])));
        let mut h = Hostile::<E>::at(Stage::Authenticated, mode);
        h.ignores(|peer| peer.send_payload(&ignore(&vec![0; 262_120])));
        let mut h = Hostile::<E>::at(Stage::Authenticated, mode);
        h.refuses(2, |peer| peer.send_payload(&ignore(&vec![0; 262_144])));
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// None of these is aligned under any suite, whether or not the length field counts.
#[test]
fn b3_misaligned_lengths() {
    fn test<E: Victim>(mode: Mode) {
        for length in [5, 17, 18, 19, 21, 22, 23, 34_999] {
            in_clear_and_sealed::<E>(mode, |mut h| {
                h.refuses(2, |peer| {
                    let packet = peer.seal_framed(&ignore(b""), framed(length));
                    peer.push_bytes(&packet[..16]);
                });
                assert_eq!(*h.error(), PeerMisbehaved::BadPacketLength.into());
            });
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn b4_padding_lengths() {
    fn test<E: Victim>(mode: Mode) {
        for padding_length in [0, 1, 2, 3, 250, 255] {
            in_clear_and_sealed::<E>(mode, |mut h| {
                h.refuses(2, |peer| {
                    let framing = Framing {
                        padding_length: Some(padding_length),
                        ..Framing::default()
                    };
                    let packet = peer.seal_framed(&ignore(b""), framing);
                    peer.push_bytes(&packet);
                });
                assert_eq!(*h.error(), PeerMisbehaved::BadPaddingLength.into());
            });
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn b5_damaged_packets_say_nothing() {
    fn test<E: Victim>(mode: Mode) {
        for suite in SUITES {
            let mut h = Hostile::<E>::new(mode);
            choose_suite(&mut h.peer, suite);
            h.advance_to(Stage::NewKeys);
            let size = h.peer.seal(&ignore(b"")).len();
            // The length is B8's.
            for byte in 4..size {
                let mut h = Hostile::<E>::new(mode);
                choose_suite(&mut h.peer, suite);
                h.advance_to(Stage::NewKeys);
                h.refuses(5, |peer| {
                    peer.send_flipped(&Ignore { data: b"" }, byte * 8 + byte % 8);
                });
                assert_eq!(*h.error(), PeerMisbehaved::BadMac.into());
            }
        }
    }
    // Every byte; every bit is flipped in the tests of the halves.
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// B8: a damaged length, encrypted or not, is out of bounds at once, or else waited for up to the
/// largest packet and found out by the tag, with nothing to be seen until then.
#[test]
fn b8_damaged_lengths() {
    fn test<E: Victim>(mode: Mode) {
        for suite in SUITES {
            let (mut refused, mut waited) = (0, 0);
            for bit in 0..32 {
                let mut h = Hostile::<E>::new(mode);
                choose_suite(&mut h.peer, suite);
                h.advance_to(Stage::NewKeys);
                h.peer.drain();
                let events = h.events.len();
                h.peer.send_flipped(&Ignore { data: b"" }, bit);
                h.exchange();
                let reason = match &h.ended {
                    Some(_) => h.error().disconnect_reason().expect("said").0,
                    None => {
                        waited += 1;
                        assert_eq!(h.events.len(), events);
                        assert_eq!(h.peer.drain(), [], "nothing depends on it");
                        h.peer.push_bytes(&vec![0; 35_100]);
                        h.exchange();
                        assert_eq!(*h.error(), PeerMisbehaved::BadMac.into());
                        5
                    }
                };
                refused += u32::from(reason == 2);
                assert!(matches!(reason, 2 | 5), "bit {bit}: {:?}", h.error());
                h.assert_disconnected(DisconnectReason(reason));
                h.assert_only_the_end(events);
            }
            assert!(refused >= 16, "{refused}: the upper half is out of bounds");
            assert!(waited > 0 || suite.0 == "aes128-ctr", "{suite:?}");
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// B5: the tag covers the sequence number, so nothing can be replayed, left out or moved.
#[test]
fn b5_packets_out_of_their_place() {
    fn test<E: Victim>(mode: Mode) {
        for suite in SUITES {
            for shift in [1, u32::MAX, 7] {
                let mut h = Hostile::<E>::new(mode);
                choose_suite(&mut h.peer, suite);
                h.advance_to(Stage::NewKeys);
                // GCM counts by itself, so that the sequence number alone changes nothing there.
                if suite.0.contains("gcm") {
                    h.refuses(5, |peer| {
                        peer.seal(&ignore(b"lost"));
                        peer.send_payload(&ignore(b"next"));
                    });
                    continue;
                }
                h.exchange();
                h.peer.send_sequence = h.peer.send_sequence.wrapping_add(shift);
                h.peer.send_payload(&ignore(b""));
                h.peer.push_bytes(&vec![0; 35_100]);
                h.exchange();
                let reason = h.error().disconnect_reason().expect("said");
                assert!(matches!(reason.0, 2 | 5), "{reason:?}");
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn b9_b17_what_is_never_offered() {
    fn test<E: Victim>(mode: Mode) {
        let mut h = Hostile::<E>::at(Stage::Identified, mode);
        let packet = h.peer.expect(number::KEXINIT);
        let text = String::from_utf8_lossy(&packet.payload).into_owned();
        for name in [
            "cbc", "3des", "arcfour", "blowfish", "md5", "sha1", "-96", "group1-", "dss", "zlib",
        ] {
            assert!(!text.contains(name), "{name}");
        }
        let init: ssh_proto::wire::kex::KexInit<'_> = packet.decode();
        for list in [
            &init.cipher_client_to_server,
            &init.cipher_server_to_client,
            &init.mac_client_to_server,
            &init.mac_server_to_client,
        ] {
            assert!(!list.contains("none"), "B17");
        }
        for none in ["none", "aes128-cbc", "3des-cbc", "arcfour"] {
            let mut h = Hostile::<E>::at(Stage::Identified, mode);
            choose_suite(&mut h.peer, (none, "hmac-sha2-256"));
            h.refuses(3, RawPeer::send_kexinit);
            let mut h = Hostile::<E>::at(Stage::Identified, mode);
            choose_suite(&mut h.peer, ("aes128-ctr", "none"));
            h.refuses(3, RawPeer::send_kexinit);
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn b10_unknown_numbers_are_answered_with_their_sequence() {
    fn test<E: Victim>(mode: Mode) {
        for strict in [true, false] {
            let mut h = Hostile::<E>::new(mode);
            h.peer.offer.strict = strict;
            h.advance_to(Stage::NewKeys);
            if E::ROLE == Role::Client {
                h.expect_skipping_extras(number::SERVICE_REQUEST);
            }
            assert_eq!(h.peer.send_sequence, if strict { 0 } else { 3 });
            for number in [8, 19, 22, 29] {
                h.does_not_know(&[number]);
                h.does_not_know(&[number, 1, 2, 3]);
            }
            // In the order in which they came.
            let first = h.peer.send_sequence;
            h.peer.send_payload(&[9]);
            h.peer.send_payload(&[10]);
            h.exchange();
            for sequence in [first, first + 1] {
                let answer = h.peer.expect(number::UNIMPLEMENTED);
                assert_eq!(answer.decode::<Unimplemented>().sequence, sequence);
            }
        }
        let mut h = Hostile::<E>::at(Stage::Authenticated, mode);
        for number in [83, 101, 127, 128, 191, 194, 255] {
            h.does_not_know(&[number, 0]);
        }
        // Not of another UNIMPLEMENTED, whatever it says.
        for sequence in [0, 77, u32::MAX] {
            h.events.clear();
            h.send(&Unimplemented { sequence });
            assert_eq!(h.peer.drain(), []);
            assert!(matches!(
                E::shared(&h.events[0]),
                Some(Event::Unimplemented { sequence: s }) if *s == sequence
            ));
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// B10: with keys already changed once more, strict and not.
#[test]
fn b10_sequence_numbers_after_a_rekey() {
    fn test<E: Victim>(mode: Mode) {
        for strict in [true, false] {
            let mut h = Hostile::<E>::new(mode);
            h.peer.offer.strict = strict;
            h.advance_to(Stage::Authenticated);
            h.rekey();
            h.events.clear();
            assert_eq!(h.peer.send_sequence == 0, strict, "C6");
            h.does_not_know(&[200]);
            h.does_not_know(&[200]);
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn b11_number_zero_and_nothing() {
    fn test<E: Asked>(mode: Mode) {
        for stage in [
            Stage::Identified,
            Stage::KexInit,
            Stage::BeforeNewKeys,
            Stage::NewKeys,
            Stage::Authenticated,
        ] {
            let mut h = Hostile::<E>::at(stage, mode);
            h.refuses(2, |peer| peer.send_payload(&[0]));
            let mut h = Hostile::<E>::at(stage, mode);
            h.refuses(2, |peer| peer.send_payload(&[0, 1, 2, 3]));
            let mut h = Hostile::<E>::at(stage, mode);
            h.refuses(2, |peer| peer.send_payload(&[]));
        }
        E::asked(mode).refuses(2, |peer| peer.send_payload(&[0]));
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn b12_floods_are_consumed() {
    fn test<E: Asked>(mode: Mode) {
        let count = if mode == Mode::PLAIN { 500 } else { 50 };
        for mut h in [E::asked(mode), Hostile::at(Stage::Authenticated, mode)] {
            h.ignores(|peer| {
                for at in 0..count {
                    peer.send_payload(&ignore(&vec![0xff; at % 300]));
                }
                // What is to be ignored is ignored even where it is malformed.
                peer.send_payload(&[number::IGNORE]);
                peer.send_payload(&[number::IGNORE, 0xff, 0xff, 0xff, 0xff]);
            });
            h.events.clear();
            let text = b"\x1b]0;title\x07\xff\xfe\r\nok";
            for _ in 0..count {
                h.peer.send(&Debug {
                    always_display: true,
                    message: text,
                    language: b"\xff",
                });
                h.peer.send(&Unimplemented { sequence: 0xdead });
            }
            h.exchange();
            assert_eq!(h.ended, None);
            assert_eq!(h.events.len(), 2 * count);
            match E::shared(&h.events[0]) {
                Some(Event::Debug {
                    always_display: true,
                    message,
                    language,
                }) => {
                    assert_eq!(message.as_bytes(), text);
                    assert_eq!(language.as_bytes(), b"\xff");
                    assert!(!message.to_string().contains(['\x1b', '\x07', '\r']));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(h.peer.drain(), []);
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// B12: all of it counts towards rekeying.
#[test]
fn b12_floods_count_towards_rekeying() {
    fn test<E: Victim>(mode: Mode, of: fn(Pair) -> E) {
        let rekeying = Mode {
            rekey_every: Some(20),
            ..mode
        };
        let mut h = Hostile::with_connection(of(Pair::new(rekeying)), mode.chunking);
        h.advance_to(Stage::Authenticated);
        h.peer.drain();
        for _ in 0..25 {
            h.peer.send_payload(&ignore(b""));
        }
        h.exchange();
        h.peer.expect(number::KEXINIT);
    }
    both(
        |mode| test(mode, |pair| pair.client),
        |mode| test(mode, |pair| pair.server),
    );
}

/// B12: an application that takes no events stops the flood, and loses none of it.
#[test]
fn b12_a_flood_that_is_not_polled_is_not_read() {
    fn test<E: Victim>(mode: Mode) {
        let mut h = Hostile::<E>::at(Stage::Authenticated, mode);
        h.events.clear();
        h.holds_events = true;
        for sequence in 0..200 {
            h.peer.send(&Unimplemented { sequence });
        }
        h.exchange();
        assert!(
            !h.connection.wants_read(),
            "what is there is to be parsed first"
        );
        h.holds_events = false;
        h.exchange();
        assert_eq!(h.events.len(), 200);
        assert!(h.connection.wants_read());
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}
