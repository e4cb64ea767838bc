//! A cipher that fails, at each of its steps: one end, the right last word, no keys, nothing of the packet (U9, C21, B6).

use ssh_proto::error::{CryptoError, DisconnectReason, Error, PeerMisbehaved};
use ssh_proto::wire::connection::ChannelData;
use ssh_proto::wire::number;
use ssh_proto::wire::transport::Ignore;
use ssh_proto::{ClientConfig, ClientConnection, DataStream, ServerConfig, ServerConnection};
use ssh_tests::attack::{Asked, both, negotiated};
use ssh_tests::faults::{BrokenCipher, CipherStep};
use ssh_tests::{Hostile, Mode, Pair, RawPacket, Stage, fixtures};

/// One with a tag of its own, one with a MAC.
const CIPHERS: [&str; 2] = ["aes256-gcm@openssh.com", "aes128-ctr"];

/// A role whose connection can be built with a provider of the test.
trait Built: Asked {
    fn of(pair: Pair) -> Self;
}

impl Built for ClientConnection {
    fn of(pair: Pair) -> Self {
        pair.client
    }
}

impl Built for ServerConnection {
    fn of(pair: Pair) -> Self {
        pair.server
    }
}

/// A connection with this cipher; the peer has the same, whole.
fn broken<E: Built>(cipher: &'static BrokenCipher, mode: Mode) -> Hostile<E> {
    let provider = cipher.provider();
    let builder = Pair::builder(mode)
        .client(|_| ClientConfig::builder(provider.clone()))
        .server(|_| ServerConfig::builder(provider.clone()).signing_host_key(fixtures::host_key()));
    let mut h = Hostile::with_connection(E::of(builder.build()), mode.chunking);
    h.peer.offer.kex = vec!["curve25519-sha256".to_owned()];
    h
}

/// The peer plays its part of a key exchange and the application accepts the host key, for as long
/// as the connection lives. What arrived.
fn play<E: Asked>(h: &mut Hostile<E>) -> Vec<u8> {
    let mut numbers = Vec::new();
    h.exchange();
    loop {
        E::accept_host_keys(h);
        h.exchange();
        if h.ended.is_some() {
            return numbers;
        }
        let Some(packet) = h.peer.next_packet() else {
            return numbers;
        };
        numbers.push(packet.number());
        h.peer.answer_kex(&packet);
        h.exchange();
    }
}

fn assert_failed<E: Asked>(h: &Hostile<E>, error: CryptoError) {
    assert_eq!(*h.error(), Error::Crypto(error));
}

/// C21: keys that cannot be made, in the first exchange and in a later one: DISCONNECT 3 under
/// what keys there are, and no NEWKEYS.
#[test]
fn c21_keys_that_cannot_be_made() {
    fn test<E: Built>(mode: Mode) {
        for name in CIPHERS {
            for step in [CipherStep::SealingKey, CipherStep::OpeningKey] {
                for rekey in [false, true] {
                    let cipher = BrokenCipher::new(name, step, CryptoError::InvalidKey);
                    let mut h = broken::<E>(cipher, mode);
                    match rekey {
                        false => h.advance_to(Stage::Identified),
                        true => {
                            h.advance_to(Stage::Authenticated);
                            h.peer.drain();
                        }
                    }
                    let exchanges = negotiated(&h).len();
                    assert_eq!(exchanges, usize::from(rekey));
                    cipher.fail(u32::MAX);
                    h.peer.send_kexinit();
                    let mut numbers = play(&mut h);
                    numbers.extend(h.peer.drain().iter().map(RawPacket::number));
                    assert_failed(&h, CryptoError::InvalidKey);
                    assert!(cipher.failures_left() < u32::MAX);
                    assert!(!numbers.contains(&number::NEWKEYS), "{numbers:?}");
                    assert_eq!(numbers.last(), Some(&number::DISCONNECT));
                    assert_eq!(h.peer.disconnects, [DisconnectReason::KEY_EXCHANGE_FAILED]);
                    assert_eq!(negotiated(&h).len(), exchanges, "no new keys");
                }
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// U9: a packet that cannot be sealed ends the connection: without a word where that cannot be
/// sealed either, else with DISCONNECT 3; what failed is not sent.
#[test]
fn u9_sealing_fails() {
    fn test<E: Built>(mode: Mode) {
        type Trigger<E> = fn(&mut Hostile<E>);
        let triggers: [Trigger<E>; 2] = [
            |h| {
                let channel = h.channel.expect("a channel");
                let written = h.connection.write(channel, DataStream::Data, b"secret");
                assert_eq!(written, Ok(6));
            },
            |h| h.connection.rekey().expect("authenticated"),
        ];
        for name in CIPHERS {
            for trigger in triggers {
                for times in [1, u32::MAX] {
                    let cipher =
                        BrokenCipher::new(name, CipherStep::Seal, CryptoError::KeyExhausted);
                    let mut h = broken::<E>(cipher, mode);
                    h.advance_to(Stage::Channel);
                    h.peer.drain();
                    h.events.clear();
                    cipher.fail(times);
                    trigger(&mut h);
                    h.exchange();
                    assert_failed(&h, CryptoError::KeyExhausted);
                    assert!(cipher.failures_left() < times);
                    assert_eq!(h.events.len(), 1, "{:?}", h.events);
                    match times {
                        1 => {
                            let last = h.peer.expect(number::DISCONNECT);
                            h.peer.unread_packet(last);
                            h.assert_disconnected(DisconnectReason::KEY_EXCHANGE_FAILED);
                        }
                        _ => {
                            assert_eq!(h.peer.drain(), []);
                            assert_eq!(h.peer.unread(), 0);
                            h.assert_closed_silently();
                        }
                    }
                }
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// U9: a packet that cannot be opened for a reason of ours, even after it was decrypted: the fault
/// is not said to be the peer's, and nothing of it comes out.
#[test]
fn u9_opening_fails() {
    fn test<E: Built>(mode: Mode) {
        for name in CIPHERS {
            for step in [CipherStep::OpenLength, CipherStep::Open] {
                for error in [CryptoError::Failed, CryptoError::KeyExhausted] {
                    for stage in [Stage::NewKeys, Stage::Channel] {
                        let cipher = BrokenCipher::new(name, step, error);
                        let mut h = broken::<E>(cipher, mode);
                        h.advance_to(stage);
                        h.peer.drain();
                        cipher.fail(1);
                        h.refuses(3, |peer| match stage {
                            Stage::NewKeys => peer.send(&Ignore { data: b"data" }),
                            _ => peer.send(&ChannelData {
                                recipient: 0,
                                data: b"data",
                            }),
                        });
                        assert_failed(&h, error);
                        assert_eq!(cipher.failures_left(), 0);
                        if let Some(channel) = h.channel {
                            let read = h.connection.read(channel);
                            assert!(!matches!(read, Ok(Some(_))), "{read:?}");
                        }
                    }
                }
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// B6: decryption succeeds and the tag is wrong all the same: no packet, and it is the peer's
/// fault.
#[test]
fn b6_a_wrong_tag_behind_good_decryption() {
    fn test<E: Built>(mode: Mode) {
        for name in CIPHERS {
            let cipher = BrokenCipher::new(name, CipherStep::Open, CryptoError::TagMismatch);
            let mut h = broken::<E>(cipher, mode);
            h.advance_to(Stage::Channel);
            h.peer.drain();
            cipher.fail(1);
            h.refuses(5, |peer| {
                peer.send(&ChannelData {
                    recipient: 0,
                    data: b"data",
                });
            });
            assert_eq!(*h.error(), PeerMisbehaved::BadMac.into());
            let read = h.connection.read(h.channel.expect("a channel"));
            assert!(!matches!(read, Ok(Some(_))), "{read:?}");
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}
