//! Attacks on negotiation (RFC 4253 section 7.1) and prefix truncation of the whole (CVE-2023-48795): groups E and C3 of the notes.

use bytes::BytesMut;
use ssh_proto::error::{DisconnectReason, KexSlot, PeerIncompatible, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::wire::transport::Ignore;
use ssh_proto::{
    ClientConnection, Connection, Disconnected, Error, Event, Negotiated, Role, ServerConnection,
};
use ssh_tests::attack::{Asked, F, both, chunked, message};
use ssh_tests::mitm::Mitm;
use ssh_tests::raw::payload_of;
use ssh_tests::{ClientApp, Hostile, Mode, Pair, RawPeer, ServerApp, Stage, fixtures};

const CURVE: &str = "curve25519-sha256";

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// Negotiates with a changed offer, up to new keys.
fn agree<E: Asked>(mode: Mode, change: impl Fn(&mut RawPeer)) -> Hostile<E> {
    let mut h = Hostile::<E>::new(mode);
    change(&mut h.peer);
    h.advance_to(Stage::NewKeys);
    h
}

fn negotiated<E: Asked>(h: &Hostile<E>) -> Negotiated {
    let found = h.events.iter().find_map(|event| match E::shared(event) {
        Some(Event::KeysChanged(negotiated)) => Some(negotiated.clone()),
        _ => None,
    });
    found.expect("new keys")
}

/// Offers this, and asserts that there is nothing in common in that slot.
fn disagree<E: Asked>(mode: Mode, slot: KexSlot, change: impl Fn(&mut RawPeer)) {
    let mut h = Hostile::<E>::at(Stage::Identified, mode);
    change(&mut h.peer);
    h.refuses(3, RawPeer::send_kexinit);
    match h.error() {
        Error::PeerIncompatible(PeerIncompatible::NoCommonAlgorithm(failure)) => {
            assert_eq!(failure.slot, slot);
            assert!(!failure.ours.is_empty());
        }
        other => panic!("{other:?}"),
    }
    let packets = h.peer.drain();
    assert!(packets.iter().all(|p| p.number() != 30), "no partial state");
}

#[test]
fn e1_nothing_in_common_names_the_list() {
    fn test<E: Asked>(mode: Mode) {
        for none in [vec![], names(&["unknown@example.com"])] {
            disagree::<E>(mode, KexSlot::Kex, |p| p.offer.kex = none.clone());
            disagree::<E>(mode, KexSlot::HostKey, |p| p.offer.host_keys = none.clone());
            let ciphers = [KexSlot::CipherClientToServer, KexSlot::CipherServerToClient];
            let macs = [KexSlot::MacClientToServer, KexSlot::MacServerToClient];
            let compression = [
                KexSlot::CompressionClientToServer,
                KexSlot::CompressionServerToClient,
            ];
            for direction in [0, 1] {
                disagree::<E>(mode, ciphers[direction], |p| {
                    p.offer.ciphers[direction] = none.clone();
                });
                disagree::<E>(mode, macs[direction], |p| {
                    p.offer.ciphers[direction] = names(&["aes128-ctr"]);
                    p.offer.macs[direction] = none.clone();
                });
                disagree::<E>(mode, compression[direction], |p| {
                    p.offer.compression[direction] = none.clone();
                });
            }
        }
        // With AEAD ciphers the MAC lists are not consulted.
        for cipher in ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"] {
            let h = agree::<E>(mode, |p| {
                p.offer.ciphers = [names(&[cipher]), names(&[cipher])];
                p.offer.macs = [vec![], names(&["hmac-md5"])];
            });
            assert_eq!(negotiated(&h).client_to_server.mac, None);
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn e2_directions_differ_and_languages_do_not_matter() {
    fn test<E: Asked>(mode: Mode) {
        let h = agree::<E>(mode, |p| {
            p.offer.ciphers = [names(&["aes256-ctr"]), names(&["aes128-gcm@openssh.com"])];
            p.offer.macs = [names(&["hmac-sha2-512-etm@openssh.com"]), vec![]];
        });
        let n = negotiated(&h);
        assert_eq!(n.client_to_server.cipher, "aes256-ctr");
        assert_eq!(
            n.client_to_server.mac,
            Some("hmac-sha2-512-etm@openssh.com")
        );
        assert_eq!(n.server_to_client.cipher, "aes128-gcm@openssh.com");
        assert_eq!(n.server_to_client.mac, None);
        for languages in [&b"en,de"[..], b"", b",,", b"\xff\0", &[b'x'; 5000]] {
            let mut h = Hostile::<E>::at(Stage::Identified, mode);
            let kexinit = h.peer.make_kexinit();
            // Two empty lists, the boolean and the reserved field make the last 13 bytes.
            let head = &kexinit[..kexinit.len() - 13];
            let tail = message(0, &[F::S(languages), F::S(languages), F::B(0), F::U(0)]);
            let kexinit = [head, &tail[1..]].concat();
            h.peer.send_payload(&kexinit);
            h.exchange();
            assert_eq!(h.ended, None, "{:?}", languages.escape_ascii());
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn e3_the_client_prefers() {
    let kex = ["ecdh-sha2-nistp256", CURVE];
    let keys = ["ecdsa-sha2-nistp256", "ssh-ed25519"];
    let ciphers = ["aes256-ctr", "chacha20-poly1305@openssh.com"];
    chunked(|mode| {
        // The raw client's order wins over the server's.
        let h = agree::<ServerConnection>(mode, |p| {
            p.offer.kex = names(&kex);
            p.offer.ciphers = [names(&ciphers), names(&ciphers)];
        });
        let n = negotiated(&h);
        assert_eq!((n.kex, n.client_to_server.cipher), (kex[0], ciphers[0]));
        // The raw server's does not win over the client's.
        let h = agree::<ClientConnection>(mode, |p| {
            p.offer.kex = names(&kex);
            p.offer.host_keys = names(&keys);
            p.offer.ciphers = [names(&ciphers), names(&ciphers)];
        });
        let n = negotiated(&h);
        assert_eq!((n.kex, n.client_to_server.cipher), (CURVE, ciphers[1]));
        assert_eq!(n.host_key_algorithm, "ssh-ed25519");
        // A server chooses among the keys that it has.
        let h = agree::<ServerConnection>(mode, |p| p.offer.host_keys = names(&keys));
        assert_eq!(negotiated(&h).host_key_algorithm, "ssh-ed25519");
    });
}

#[test]
fn e4_lists_are_bounded() {
    fn test<E: Asked>(mode: Mode) {
        let filler = |count: usize| (0..count).map(|n| format!("x{n}"));
        let with = |list: Vec<String>| move |p: &mut RawPeer| p.offer.kex = list.clone();
        // Markers count: 253 and the method and two of them.
        let fits: Vec<String> = filler(253).chain([CURVE.to_owned()]).collect();
        agree::<E>(mode, with(fits));
        let twice = names(&[CURVE, CURVE, CURVE]);
        agree::<E>(mode, with(twice));
        let two_ats = names(&["a@b@c", CURVE]);
        agree::<E>(mode, with(two_ats));
        let list = |names: Vec<String>| names.join(",").into_bytes();
        for bad in [
            list(filler(256).chain([CURVE.to_owned()]).collect()),
            list(vec!["a".to_owned(); 10_000]),
            vec![b'a'; 30_000],
            list(vec!["b".repeat(65), CURVE.to_owned()]),
        ] {
            let mut h = Hostile::<E>::at(Stage::Identified, mode);
            let kexinit = h.peer.make_kexinit();
            let old = u32::from_be_bytes(kexinit[17..21].try_into().unwrap()) as usize;
            let field = message(0, &[F::S(&bad)]);
            let kexinit = [&kexinit[..17], &field[1..], &kexinit[21 + old..]].concat();
            h.refuses(2, |peer| peer.send_payload(&kexinit));
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// E5: whoever stands between and changes any byte of either `KEXINIT` is found out: where both
/// sides can still agree, by the signature over the hash.
#[test]
fn e5_every_byte_of_kexinit_is_signed() {
    // One method, so that the lists are short and the exchanges quick.
    let pair = || {
        let builder = Pair::builder(Mode::PLAIN);
        builder
            .client(|b| b.kex([CURVE]))
            .server(|b| b.kex([CURVE]))
    };
    for from in [Role::Client, Role::Server] {
        let len = {
            let mut out = BytesMut::new();
            let mut pair = pair().build();
            let now = pair.now;
            let sent = match from {
                Role::Client => pair.client.poll_transmit(now, &mut out),
                Role::Server => pair.server.poll_transmit(now, &mut out),
            };
            assert!(sent.is_some());
            let line = out.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
            let packet = &out[line..];
            assert_eq!(packet[5], number::KEXINIT, "sent unasked");
            packet.len() - 5 - usize::from(packet[4])
        };
        let signed = Disconnected::Error(PeerMisbehaved::BadHostKeySignature.into());
        let mut by_signature = 0;
        for at in 0..len {
            let mut mitm = Mitm::new(pair().build());
            mitm.tamper(from, move |index, packet| {
                // The payload stands behind length and padding length.
                if index == 0 {
                    packet[5 + at] ^= 1;
                }
            });
            mitm.run(&mut ClientApp::new([]), &mut ServerApp::new());
            assert!(mitm.authenticated().is_none(), "byte {at} from {from:?}");
            let end = mitm.client_end().expect("the client has ended");
            assert!(
                matches!(end, Disconnected::Error(_) | Disconnected::ByPeer { .. }),
                "byte {at} from {from:?}: {end:?}"
            );
            by_signature += usize::from(*end == signed);
            // Cookie and reserved field: nothing but the hash tells.
            if (1..17).contains(&at) || at >= len - 4 {
                assert_eq!(*end, signed, "byte {at} from {from:?}");
                let told = matches!(
                    mitm.server_end(),
                    Some(Disconnected::ByPeer { reason, .. })
                        if *reason == DisconnectReason::KEY_EXCHANGE_FAILED
                );
                assert!(told, "{:?}", mitm.server_end());
            }
        }
        // Names that were not chosen are no less signed.
        assert!(by_signature > 100, "{by_signature} of {len}");
    }
}

#[test]
fn e6_old_algorithms_are_not_accepted() {
    fn test<E: Asked>(mode: Mode) {
        let kex = names(&[
            "diffie-hellman-group1-sha1",
            "diffie-hellman-group14-sha1",
            "diffie-hellman-group-exchange-sha1",
            "rsa1024-sha1",
        ]);
        disagree::<E>(mode, KexSlot::Kex, |p| p.offer.kex = kex.clone());
        let keys = names(&["ssh-rsa", "ssh-dss", "ssh-rsa-cert-v01@openssh.com"]);
        disagree::<E>(mode, KexSlot::HostKey, |p| p.offer.host_keys = keys.clone());
        let ciphers = names(&["3des-cbc", "arcfour", "arcfour256", "aes128-cbc", "none"]);
        disagree::<E>(mode, KexSlot::CipherClientToServer, |p| {
            p.offer.ciphers = [ciphers.clone(), ciphers.clone()];
        });
        let macs = names(&[
            "hmac-md5",
            "hmac-sha1",
            "hmac-sha1-96",
            "umac-64@openssh.com",
            "none",
        ]);
        disagree::<E>(mode, KexSlot::MacClientToServer, |p| {
            p.offer.ciphers = [names(&["aes128-ctr"]), names(&["aes128-ctr"])];
            p.offer.macs = [macs.clone(), macs.clone()];
        });
        disagree::<E>(mode, KexSlot::CompressionClientToServer, |p| {
            p.offer.compression = [names(&["zlib"]), names(&["zlib"])];
        });
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn e7_missing_strictness_is_reported() {
    fn test<E: Asked>(mode: Mode) {
        for strict in [true, false] {
            let h = agree::<E>(mode, |p| p.offer.strict = strict);
            let n = negotiated(&h);
            assert_eq!(n.strict_kex, strict);
            assert_eq!(n.client_to_server.cipher, "chacha20-poly1305@openssh.com");
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// E7: the knob. It is about the marker alone, whatever the cipher.
#[test]
fn e7_strictness_can_be_required() {
    fn test<E: Asked>(mode: Mode, of: fn(Pair) -> E) {
        for strict in [true, false] {
            let builder = Pair::builder(mode)
                .client(|config| config.require_strict_kex(true))
                .server(|config| config.require_strict_kex(true));
            let mut h = Hostile::with_connection(of(builder.build()), mode.chunking);
            h.peer.offer.strict = strict;
            match strict {
                true => h.advance_to(Stage::NewKeys),
                false => {
                    h.advance_to(Stage::Identified);
                    h.refuses(3, RawPeer::send_kexinit);
                    let expected = PeerIncompatible::NoStrictKex;
                    assert_eq!(*h.error(), Error::PeerIncompatible(expected));
                }
            }
        }
    }
    both(
        |mode| test(mode, |pair| pair.client),
        |mode| test(mode, |pair| pair.server),
    );
}

/// E8: whatever a server says of the algorithms that it takes, a key signs with one of ours.
#[test]
fn e8_server_sig_algs_of_any_kind() {
    for value in [
        &b""[..],
        b"ssh-rsa",
        b"ssh-rsa,ssh-dss",
        b",,,\xff\xfe,",
        b"ssh-ed25519",
        b"rsa-sha2-512,unknown@example.com",
        &[b'x'; 3000],
    ] {
        chunked(|mode| {
            let mut h = Hostile::<ClientConnection>::at(Stage::NewKeys, mode);
            let info = message(7, &[F::U(1), F::S(b"server-sig-algs"), F::S(value)]);
            h.send_payload(&info);
            h.expect_skipping_extras(number::SERVICE_REQUEST);
            h.send_payload(&message(6, &[F::S(b"ssh-userauth")]));
            let key = fixtures::user_key();
            h.answer_turn(|client, turn| client.auth_publickey(turn, &*key));
            let request = h.expect_skipping_extras(number::USERAUTH_REQUEST);
            let text = request
                .payload
                .windows(7)
                .filter(|w| *w == b"ssh-rsa")
                .count();
            assert_eq!(text, 0);
            assert_eq!(h.ended, None);
        });
    }
}

#[test]
fn e10_ext_info_markers_of_the_wrong_role_mean_nothing() {
    fn test<E: Asked>(mode: Mode) {
        let wrong = match E::ROLE {
            Role::Client => "ext-info-c",
            Role::Server => "ext-info-s",
        };
        for (marker, expected) in [(Some(wrong), 0), (None, 0)] {
            let mut h = agree::<E>(mode, |p| {
                p.offer.ext_info = false;
                p.offer.kex = names(&[CURVE]);
                p.offer.kex.extend(marker.map(str::to_owned));
            });
            let count = h
                .peer
                .drain()
                .iter()
                .chain(&h.extras)
                .filter(|p| p.number() == 7)
                .count();
            assert_eq!(count, expected);
        }
        let mut h = agree::<E>(mode, |_| {});
        let all = h.peer.drain();
        assert_eq!(all.iter().filter(|p| p.number() == 7).count(), 1);
        assert_eq!(all[0].number(), 7, "the first packet under the new keys");
        // In a rekey it is no request for another one.
        let mut h = Hostile::<E>::at(Stage::Authenticated, mode);
        h.peer.drain();
        h.rekey();
        assert_eq!(h.peer.drain(), []);
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// C3: k plaintext packets put in, and as many of the first sealed ones taken out.
#[test]
fn c3_prefix_truncation_is_detected() {
    let ignore = payload_of(&Ignore { data: b"" });
    let debug = message(4, &[F::B(0), F::S(b""), F::S(b"")]);
    let unknown = vec![8];
    for towards in [Role::Client, Role::Server] {
        for payload in [&ignore, &debug, &unknown] {
            for count in 1..=5 {
                // Before the KEXINIT, between it and the reply, and right before NEWKEYS.
                for position in 0..3 {
                    let mut mitm = Mitm::new(Pair::new(Mode::PLAIN));
                    mitm.inject(towards, position, payload, count);
                    mitm.drop_sealed(towards, count);
                    let (mut client, mut server) = (ClientApp::new([]), ServerApp::new());
                    mitm.run(&mut client, &mut server);
                    assert!(mitm.injected() > 0, "{towards:?} {position}");
                    assert!(
                        mitm.authenticated().is_none(),
                        "{count} towards {towards:?} at {position}"
                    );
                    let end = match towards {
                        Role::Client => mitm.client_end(),
                        Role::Server => mitm.server_end(),
                    };
                    let Some(Disconnected::Error(error)) = end else {
                        panic!("{count} towards {towards:?} at {position}: {end:?}");
                    };
                    let reason = error.disconnect_reason().expect("said");
                    assert!(matches!(reason.0, 2 | 5), "{error:?}");
                }
            }
        }
    }
}

/// C3: taking out the first sealed packets alone is found out as well.
#[test]
fn c3_dropped_packets_are_missed() {
    for towards in [Role::Client, Role::Server] {
        for count in 1..=3 {
            let mut mitm = Mitm::new(Pair::new(Mode::PLAIN));
            mitm.drop_sealed(towards, count);
            mitm.run(&mut ClientApp::new([]), &mut ServerApp::new());
            assert!(mitm.authenticated().is_none());
        }
    }
    // The harness itself lets an honest session through.
    let mut mitm = Mitm::new(Pair::new(Mode::PLAIN));
    mitm.run(&mut ClientApp::new([]), &mut ServerApp::new());
    assert!(mitm.authenticated().is_some());
}

/// C3: what the marker is there for. Without it the same attack goes unnoticed, which the
/// handshake event lets the application see.
#[test]
fn c3_without_the_marker_truncation_works_and_is_reported() {
    chunked(|mode| {
        let mut h = Hostile::<ServerConnection>::new(mode);
        h.peer.offer.strict = false;
        h.advance_to(Stage::Identified);
        // Put in by someone else: the client has not counted it.
        h.peer.send(&Ignore { data: b"" });
        h.peer.send_sequence -= 1;
        h.peer.send_kexinit();
        h.exchange_answering_kex();
        assert!(!negotiated(&h).strict_kex);
        // Taken out again.
        let _ = h.peer.seal(&message(7, &[F::U(0)]));
        h.send_payload(&message(5, &[F::S(b"ssh-userauth")]));
        h.expect_skipping_extras(number::SERVICE_ACCEPT);
    });
}
