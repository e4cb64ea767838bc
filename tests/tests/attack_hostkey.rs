//! Attacks on the server's host key and its signature (RFC 4253 section 8), group D of the notes.

use std::time::Duration;

use ssh_proto::crypto::Signature;
use ssh_proto::error::{Limit, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::{ClientConnection, ClientEvent, Connection, Error, Event, Timer};
use ssh_tests::attack::{Asked, F, chunked, message};
use ssh_tests::{Hostile, Mode, Pair, RawReply, Stage, fixtures};

type Client = Hostile<ClientConnection>;

/// A client that awaits the reply, and the reply it is to have.
fn ready(mode: Mode, algorithm: &str) -> (Client, RawReply) {
    let mut h = Client::new(mode);
    h.peer.host_key = fixtures::key(algorithm, 100);
    h.peer.offer.kex = vec!["curve25519-sha256".into()];
    h.peer.offer.host_keys = vec![algorithm.into()];
    h.advance_to(Stage::KexInit);
    let init = h.peer.expect(number::KEX_ECDH_INIT);
    let reply = h.peer.make_reply(&init);
    (h, reply)
}

/// The reply, changed, is refused, and the key in it never offered to the application.
fn refused(mode: Mode, algorithm: &str, change: impl Fn(&Client, &mut RawReply)) -> Error {
    let (mut h, mut reply) = ready(mode, algorithm);
    change(&h, &mut reply);
    h.refuses(3, |peer| {
        peer.send_reply(&reply);
        peer.send_newkeys();
    });
    let check = |event: &ClientEvent| matches!(event, ClientEvent::HostKey(_));
    assert!(!h.events.iter().any(check), "{:?}", h.events);
    h.error().clone()
}

const TYPES: [&str; 2] = ["ssh-ed25519", "ecdsa-sha2-nistp256"];

fn other(algorithm: &str) -> &'static str {
    TYPES[usize::from(algorithm == TYPES[0])]
}

#[test]
fn d1_a_key_or_signature_of_another_type() {
    chunked(|mode| {
        for algorithm in TYPES {
            let impostor = fixtures::key(other(algorithm), 7);
            // The key of another type, with its own good signature over H.
            let error = refused(mode, algorithm, |h, reply| {
                reply.host_key = impostor.public_key().as_blob().to_vec();
                let signature = impostor.sign(other(algorithm), h.peer.latest_hash());
                reply.signature = signature.expect("signs").as_encoded().to_vec();
            });
            assert_eq!(error, PeerMisbehaved::BadHostKey.into());
            // The right key; the signature says that it is of another algorithm.
            for name in [other(algorithm), "ssh-rsa", "", "rsa-sha2-512", "\0"] {
                let error = refused(mode, algorithm, |_, reply| {
                    let inner = reply.signature[4 + algorithm.len()..].to_vec();
                    reply.signature = [&string(name.as_bytes()), &inner[..]].concat();
                });
                assert_eq!(error, PeerMisbehaved::BadHostKeySignature.into(), "{name}");
            }
            // The blob says that it is of another type.
            for name in [
                other(algorithm),
                "ssh-rsa",
                "",
                "ssh-ed25519-cert-v01@openssh.com",
            ] {
                let error = refused(mode, algorithm, |_, reply| {
                    let inner = reply.host_key[4 + algorithm.len()..].to_vec();
                    reply.host_key = [&string(name.as_bytes()), &inner[..]].concat();
                });
                assert_eq!(error, PeerMisbehaved::BadHostKey.into(), "{name}");
            }
        }
    });
}

/// D3: an RSA key is none that was negotiated, whatever its size: refused before any arithmetic.
#[test]
fn d3_no_rsa_key_is_looked_at() {
    let blob = |exponent: &[u8], modulus: &[u8]| {
        [string(b"ssh-rsa"), string(exponent), string(modulus)].concat()
    };
    // An mpint of so many bits, odd.
    let bits = |bits: usize| {
        let mut modulus = vec![0xff; bits / 8 + 1];
        modulus[0] = match bits % 8 {
            0 => 0,
            rest => (1 << rest) - 1,
        };
        modulus
    };
    let f4 = [1, 0, 1];
    let mut blobs: Vec<Vec<u8>> = [512, 1023, 1024, 2047, 2048, 16_385, 200_000]
        .map(|n| blob(&f4, &bits(n)))
        .into();
    for exponent in [&[][..], &[1], &[2], &[0x80], &[0; 9], &bits(4096)] {
        blobs.push(blob(exponent, &bits(2048)));
    }
    // A length that is not there, and one that is not read on.
    blobs.push([string(b"ssh-rsa"), vec![0xff; 4]].concat());
    blobs.push([blob(&f4, &bits(2048)), vec![0; 1000]].concat());
    chunked(|mode| {
        for algorithm in TYPES {
            for blob in &blobs {
                for name in [algorithm, "ssh-rsa", "rsa-sha2-512"] {
                    let signature = [string(name.as_bytes()), string(&[1; 256])].concat();
                    let error = refused(mode, algorithm, |_, reply| {
                        reply.host_key = blob.clone();
                        reply.signature = signature.clone();
                    });
                    assert_eq!(error, PeerMisbehaved::BadHostKey.into());
                }
            }
        }
    });
}

fn string(bytes: &[u8]) -> Vec<u8> {
    message(0, &[F::S(bytes)])[1..].to_vec()
}

#[test]
fn d2_signatures_that_do_not_hold() {
    chunked(|mode| {
        for algorithm in TYPES {
            let bad = Error::from(PeerMisbehaved::BadHostKeySignature);
            // Over something else; by another key; of the whole hash of another session.
            let error = refused(mode, algorithm, |h, reply| {
                let key = fixtures::key(algorithm, 100);
                let mut hash = h.peer.latest_hash().to_vec();
                hash[0] ^= 1;
                reply.signature = encoded(&key.sign(algorithm, &hash).expect("signs"));
            });
            assert_eq!(error, bad);
            let error = refused(mode, algorithm, |h, reply| {
                let key = fixtures::key(algorithm, 101);
                let hash = h.peer.latest_hash();
                reply.signature = encoded(&key.sign(algorithm, hash).expect("signs"));
            });
            assert_eq!(error, bad);
            let error = refused(mode, algorithm, |_, reply| {
                let key = fixtures::key(algorithm, 101);
                reply.host_key = key.public_key().as_blob().to_vec();
            });
            assert_eq!(error, bad);
            // Cut, stretched, damaged.
            let (_, reply) = ready(mode, algorithm);
            let len = reply.signature.len();
            for end in (0..len).step_by(9) {
                assert_eq!(
                    refused(mode, algorithm, |_, r| r.signature.truncate(end)),
                    bad
                );
            }
            assert_eq!(refused(mode, algorithm, |_, r| r.signature.push(0)), bad);
            for byte in (4..len).step_by(7) {
                assert_eq!(refused(mode, algorithm, |_, r| r.signature[byte] ^= 1), bad);
            }
        }
    });
}

fn encoded(signature: &Signature) -> Vec<u8> {
    signature.as_encoded().to_vec()
}

/// The order of P-256.
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(byte).collect()
}

#[test]
fn d2_ecdsa_numbers_out_of_range() {
    let n = [&[0_u8][..], &unhex(N)].concat();
    let good = [&[0x55_u8][..], &[0x55; 31]].concat();
    let huge = [&[0_u8][..], &[0xff; 64]].concat();
    chunked(|mode| {
        for (r, s) in [
            (&b""[..], &good[..]),
            (&good, b""),
            (b"", b""),
            (&n, &good),
            (&good, &n),
            // Negative, not minimal, longer than the order.
            (&[0xff; 32], &good),
            (&good, &[0x80; 32]),
            (&[0, 0, 1], &good),
            (&huge, &good),
            (&good, &huge),
        ] {
            let error = refused(mode, TYPES[1], |_, reply| {
                let inner = message(0, &[F::S(r), F::S(s)])[1..].to_vec();
                let whole = message(0, &[F::S(TYPES[1].as_bytes()), F::S(&inner)]);
                reply.signature = whole[1..].to_vec();
            });
            assert_eq!(error, PeerMisbehaved::BadHostKeySignature.into());
        }
    });
}

/// L of Ed25519, little-endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

#[test]
fn d2_ed25519_is_verified_strictly() {
    chunked(|mode| {
        // S + L: the same signature for a lax verifier.
        let error = refused(mode, TYPES[0], |_, reply| {
            let at = reply.signature.len() - 32;
            let mut carry = 0;
            for (byte, l) in reply.signature[at..].iter_mut().zip(unhex(L)) {
                let sum = u16::from(*byte) + u16::from(l) + carry;
                *byte = sum as u8;
                carry = sum >> 8;
            }
        });
        assert_eq!(error, PeerMisbehaved::BadHostKeySignature.into());
        // Keys of small order, for which anyone can sign: the identity, and one of order four.
        for point in [
            [&[1_u8][..], &[0; 31]].concat(),
            vec![0; 32],
            [&[0xec_u8][..], &[0xff; 30], &[0x7f]].concat(),
        ] {
            for signature in [
                [point.clone(), vec![0; 32]].concat(),
                [[&[1_u8][..], &[0; 31]].concat(), vec![0; 32]].concat(),
            ] {
                let error = refused(mode, TYPES[0], |_, reply| {
                    let key = message(0, &[F::S(b"ssh-ed25519"), F::S(&point)]);
                    reply.host_key = key[1..].to_vec();
                    let whole = message(0, &[F::S(b"ssh-ed25519"), F::S(&signature)]);
                    reply.signature = whole[1..].to_vec();
                });
                let known = [
                    PeerMisbehaved::BadHostKey,
                    PeerMisbehaved::BadHostKeySignature,
                ];
                assert!(known.map(Error::from).contains(&error), "{error:?}");
            }
        }
    });
}

#[test]
fn d2_key_blobs_that_do_not_parse() {
    chunked(|mode| {
        for algorithm in TYPES {
            let (_, reply) = ready(mode, algorithm);
            for end in (0..reply.host_key.len()).step_by(5) {
                refused(mode, algorithm, |_, r| r.host_key.truncate(end));
            }
            refused(mode, algorithm, |_, r| r.host_key.push(0));
            refused(mode, algorithm, |_, r| r.host_key = vec![0xff; 20_000]);
            // An empty key, a point that is none.
            refused(mode, algorithm, |_, r| {
                r.host_key = string(algorithm.as_bytes());
            });
            refused(mode, algorithm, |_, r| {
                let at = r.host_key.len() - 20;
                r.host_key[at..].fill(0xff);
            });
        }
    });
}

/// D4: nothing but an explicit yes lets a session begin.
#[test]
fn d4_only_an_explicit_acceptance_proceeds() {
    fn raised(mode: Mode) -> (Client, ssh_proto::HostKeyCheck) {
        let (mut h, reply) = ready(mode, TYPES[0]);
        h.peer.send_reply(&reply);
        h.peer.send_newkeys();
        h.exchange();
        let check = h.take_event(|event| matches!(event, ClientEvent::HostKey(_)));
        let ClientEvent::HostKey(check) = check else {
            unreachable!();
        };
        assert_eq!(check.key(), fixtures::host_key().public_key());
        (h, check)
    }
    chunked(|mode| {
        let (mut h, check) = raised(mode);
        h.connection.reject_host_key(check).expect("own token");
        h.assert_disconnected(ssh_proto::error::DisconnectReason::HOST_KEY_NOT_VERIFIABLE);
        assert_eq!(*h.error(), Error::HostKeyRejected);

        let (mut h, check) = raised(mode);
        drop(check);
        h.assert_disconnected(ssh_proto::error::DisconnectReason::HOST_KEY_NOT_VERIFIABLE);

        // Forgotten: until the application's deadline, where it has set one.
        let mut limits = fixtures::client_limits();
        limits.decision_timeout = Some(Duration::from_secs(30));
        let pair = Pair::builder(mode)
            .client_limits(|l| *l = limits.clone())
            .build();
        let mut h = Client::with_connection(pair.client, mode.chunking);
        h.advance_to(Stage::KexInit);
        let init = h.peer.expect(number::KEX_ECDH_INIT);
        let reply = h.peer.make_reply(&init);
        h.peer.send_reply(&reply);
        h.exchange();
        h.advance(Duration::from_secs(31));
        assert_eq!(*h.error(), Error::Timeout(Timer::Decision));

        // The verdict of another connection counts for nothing, and is none of its own either.
        let (mut h, check) = raised(mode);
        let (mut foreign, its_own) = raised(mode);
        assert!(foreign.connection.accept_host_key(check).is_err());
        foreign.exchange();
        assert_eq!(foreign.ended, None);
        foreign
            .connection
            .accept_host_key(its_own)
            .expect("own token");
        h.assert_disconnected(ssh_proto::error::DisconnectReason::HOST_KEY_NOT_VERIFIABLE);
    });
}

/// D5: what comes while the question is open is held, not acted on; and all is well afterwards.
#[test]
fn d5_nothing_moves_while_the_verdict_is_pending() {
    chunked(|mode| {
        let (mut h, reply) = ready(mode, TYPES[0]);
        h.peer.send_reply(&reply);
        h.exchange();
        let events = h.events.len();
        h.peer.send_newkeys();
        h.peer.send_payload(&message(7, &[F::U(0)]));
        h.peer.send_payload(&message(6, &[F::S(b"ssh-userauth")]));
        h.exchange();
        assert_eq!(h.events.len(), events);
        assert_eq!(h.peer.drain(), []);
        assert!(!h.connection.wants_read());
        assert_eq!(ClientConnection::accept_host_keys(&mut h), 1);
        assert_eq!(h.ended, None);
        let keys = |e: &ClientEvent| matches!(e, ClientEvent::Shared(Event::KeysChanged(_)));
        assert!(h.events.iter().any(keys));

        // A server that floods meanwhile comes to the bound of what is held.
        let (mut h, reply) = ready(mode, TYPES[0]);
        h.peer.send_reply(&reply);
        h.exchange();
        if mode == Mode::PLAIN {
            h.refuses(11, |peer| peer.push_bytes(&vec![0; 600 << 10]));
            assert_eq!(*h.error(), Limit::BufferedInput.into());
        }
    });
}

#[test]
fn d6_a_host_key_that_changes() {
    chunked(|mode| {
        for accept in [true, false] {
            for algorithm in TYPES {
                let mut h = Client::new(mode);
                h.peer.offer.kex = vec!["curve25519-sha256".into()];
                h.advance_to(Stage::Authenticated);
                h.rekey();
                let check = |e: &ClientEvent| matches!(e, ClientEvent::HostKey(_));
                assert!(
                    !h.events.iter().any(check),
                    "the same key is not asked about"
                );
                h.peer.drain();
                h.peer.host_key = fixtures::key(algorithm, 55);
                h.peer.offer.host_keys = vec![algorithm.into()];
                h.rekey();
                let ClientEvent::HostKey(check) = h.take_event(check) else {
                    unreachable!();
                };
                assert_eq!(check.previous(), Some(fixtures::host_key().public_key()));
                assert_eq!(check.key(), h.peer.host_key.public_key());
                assert_eq!(check.algorithm(), algorithm);
                match accept {
                    true => {
                        h.connection.accept_host_key(check).expect("own token");
                        h.exchange();
                        h.peer.expect(number::NEWKEYS);
                        h.does_not_know(&[200]);
                        // From now on it is the known one.
                        h.rekey();
                        assert!(
                            !h.events
                                .iter()
                                .any(|e| matches!(e, ClientEvent::HostKey(_)))
                        );
                    }
                    false => {
                        drop(check);
                        let reason = ssh_proto::error::DisconnectReason::HOST_KEY_NOT_VERIFIABLE;
                        h.assert_disconnected(reason);
                    }
                }
            }
        }
    });
}

/// D7: range before signature before verdict.
#[test]
fn d7_the_order_of_checks() {
    chunked(|mode| {
        let error = refused(mode, TYPES[0], |_, reply| {
            reply.public = vec![0; 32];
            reply.signature.clear();
        });
        // Either is fatal; what matters is that a weak secret with a good signature is.
        assert!(matches!(error, Error::PeerMisbehaved(_)));
        let error = refused(mode, TYPES[0], |_, reply| reply.public = vec![0; 32]);
        assert_eq!(error, PeerMisbehaved::BadKexValue.into());
        // A reply of another session, whole: its signature is over another H.
        let (_, old) = ready(mode, TYPES[0]);
        let (mut h, new) = ready(Mode { seed: 77, ..mode }, TYPES[0]);
        assert_ne!(old, new);
        h.refuses(3, |peer| peer.send_reply(&old));
    });
}
