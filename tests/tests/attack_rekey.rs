//! Attacks on rekeying (RFC 4253 section 9), group F of the notes and those of C that are about later exchanges.

use std::time::Duration;

use ssh_proto::error::{Limit, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::wire::transport::Ignore;
use ssh_proto::{ClientConnection, Role, ServerConnection};
use ssh_tests::attack::{
    Asked, F, both, chatter, chunked, message, negotiated, prepared, rekeying,
};
use ssh_tests::raw::payload_of;
use ssh_tests::{Hostile, Mode, RawPeer, Stage};

const CURVE: &str = "curve25519-sha256";

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
        // From a hash to a longer one, to a shorter one, and through each length.
        for kex in [
            "ecdh-sha2-nistp521",
            CURVE,
            "ecdh-sha2-nistp384",
            "mlkem768x25519-sha256",
            "sntrup761x25519-sha512",
            "ecdh-sha2-nistp256",
        ] {
            h.peer.offer.kex = vec![kex.into()];
            h.rekey();
            assert_ne!(h.peer.latest_hash(), first.as_bytes());
        }
        assert!(negotiated(&h).iter().all(|n| n.session_id == first));
        assert_eq!(negotiated(&h).len(), 7);
        assert_eq!(h.connection.session_id(), Some(&first));
        h.does_not_know(&[200]);
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
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
