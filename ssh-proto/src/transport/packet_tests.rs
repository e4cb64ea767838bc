//! Attacks on the binary packet protocol (RFC 4253 section 6): both halves, in clear and under every cipher with every MAC.

mod chunking;
mod compression;
#[cfg(feature = "legacy")]
mod refusals;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use std::format;
use std::string::String;

use bytes::{BufMut, BytesMut};

use super::recv::{OpeningEpoch, Packet, RecvHalf};
use super::send::{SealingEpoch, SendHalf};
use crate::crypto::rustcrypto::provider;
use crate::crypto::{
    CipherAlgorithm, CipherKeys, CompressionAlgorithm, MacAlgorithm, NoCompression, PacketLayout,
    SealingKey, SecureRandom,
};
use crate::error::{Error, Limit, PeerMisbehaved, RandomFailed};
use crate::limits::{
    MAX_PACKET_LENGTH, MAX_PACKET_LENGTH_PRE_AUTH, MAX_PACKET_LENGTH_SENT, MAX_PACKETS_PER_KEY,
};
use crate::role::Role;

/// The layout in clear, as RFC 4253 section 6 has it.
const CLEAR: PacketLayout = PacketLayout {
    block_len: 8,
    length_is_padded: true,
    tag_len: 0,
    head_len: 4,
};

/// Splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 16) as usize % sides
    }
}

impl SecureRandom for Dice {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        dest.fill_with(|| self.roll(256) as u8);
        Ok(())
    }
}

/// How packets are protected; `None` is in clear.
#[derive(Clone, Copy)]
struct Suite(
    Option<(
        &'static dyn CipherAlgorithm,
        Option<&'static dyn MacAlgorithm>,
    )>,
);

impl Suite {
    fn all() -> Vec<Self> {
        let provider = provider();
        let (ciphers, macs) = (&provider.ciphers, &provider.macs);
        let ciphers = ciphers.iter().chain(provider.on_request.ciphers.iter());
        let macs = macs.iter().chain(provider.on_request.macs.iter());
        let mut all = vec![Self(None)];
        for cipher in ciphers.copied() {
            if cipher.is_aead() {
                all.push(Self(Some((cipher, None))));
            } else {
                all.extend(macs.clone().map(|m| Self(Some((cipher, Some(*m))))));
            }
        }
        let legacy = cfg!(feature = "legacy");
        assert_eq!(all.len(), if legacy { 4 + 7 * 6 } else { 4 + 3 * 4 });
        all
    }

    /// Those under which a packet is refused as soon as something is wrong. Of the others, see
    /// `refusals`.
    fn prompt() -> impl Iterator<Item = Self> {
        Self::all().into_iter().filter(|suite| !suite.hides())
    }

    /// Whether a refusal waits for the longest packet (B9).
    fn hides(&self) -> bool {
        self.0.is_some_and(|(cipher, mac)| {
            cipher.name().ends_with("-cbc") && mac.is_some_and(|mac| !mac.is_etm())
        })
    }

    fn name(&self) -> String {
        self.0.map_or("clear".into(), |(cipher, mac)| {
            format!("{} {}", cipher.name(), mac.map_or("", |mac| mac.name()))
        })
    }

    fn with_keys<T>(&self, make: impl Fn(&dyn CipherAlgorithm, CipherKeys<'_>) -> T) -> Option<T> {
        self.0.map(|(cipher, mac)| {
            let keys = CipherKeys {
                key: &vec![0x5a; cipher.key_len()],
                iv: &vec![0xa5; cipher.iv_len()],
                mac: None,
            };
            match mac {
                None => make(cipher, keys),
                Some(mac) => make(
                    cipher,
                    CipherKeys {
                        mac: Some((mac, &vec![0x33; mac.key_len()])),
                        ..keys
                    },
                ),
            }
        })
    }

    fn sealing_key(&self) -> Option<Box<dyn SealingKey>> {
        self.with_keys(|cipher, keys| cipher.sealing_key(keys).unwrap())
    }

    fn layout(&self) -> PacketLayout {
        self.sealing_key().map_or(CLEAR, |key| key.layout())
    }

    fn opening(&self, compression: &'static dyn CompressionAlgorithm) -> Option<OpeningEpoch> {
        let key = self.with_keys(|cipher, keys| cipher.opening_key(keys).unwrap())?;
        Some(OpeningEpoch { key, compression })
    }

    fn sealing(&self, compression: &'static dyn CompressionAlgorithm) -> Option<SealingEpoch> {
        Some(SealingEpoch {
            key: self.sealing_key()?,
            compression,
            reset_sequence: true,
        })
    }

    fn sender(&self) -> SendHalf {
        let mut send = SendHalf::new(provider().sha256, &mut Dice(7)).unwrap();
        if let Some(epoch) = self.sealing(&NoCompression) {
            send.install(epoch);
        }
        send
    }

    fn receiver(&self) -> RecvHalf {
        let mut recv = RecvHalf::new(Role::Server, false);
        recv.push(BytesMut::from(&b"SSH-2.0-x\r\n"[..]));
        assert!(recv.read_identification().unwrap().is_some());
        if let Some(epoch) = self.opening(&NoCompression) {
            recv.install(epoch, true);
        }
        recv
    }

    /// A packet whose fields may lie, protected as the first of its epoch. `body` stands behind
    /// the length field, padding length first, and is filled up to whole blocks.
    fn forge(&self, length: u32, body: &[u8]) -> BytesMut {
        let mut packet = BytesMut::new();
        packet.put_u32(length);
        packet.extend_from_slice(body);
        let layout = self.layout();
        let counted = packet.len() - if layout.length_is_padded { 0 } else { 4 };
        let blocks = counted.next_multiple_of(layout.block_len);
        packet.put_bytes(0, blocks - counted + layout.tag_len);
        if let Some(mut key) = self.sealing_key() {
            key.seal(0, &mut packet).unwrap();
        }
        packet
    }

    /// Whether a packet of this length may be, by the RFC's rule: independent of the halves.
    fn is_aligned(&self, length: u32) -> bool {
        let layout = self.layout();
        let counted = length + if layout.length_is_padded { 4 } else { 0 };
        counted.is_multiple_of(u32::try_from(layout.block_len.max(8)).unwrap())
    }

    /// The smallest aligned length that is not below this.
    fn aligned(&self, at_least: u32) -> u32 {
        (at_least..).find(|n| self.is_aligned(*n)).unwrap()
    }
}

/// Feeds a forged packet's head alone, whole and byte by byte.
fn judge_head(suite: Suite, length: u32) -> Result<(), Error> {
    let mut packet = suite.forge(length, &[4; 28]);
    let head = packet.split_to(suite.layout().head_len);
    let mut whole = suite.receiver();
    whole.push(head.clone());
    let verdict = whole.next_packet().map(|packet| assert!(packet.is_none()));
    assert_eq!(whole.buffered(), head.len(), "nothing but what arrived");

    let mut piecewise = suite.receiver();
    for (at, byte) in head.iter().enumerate() {
        piecewise.push(BytesMut::from(&[*byte][..]));
        let result = piecewise
            .next_packet()
            .map(|packet| assert!(packet.is_none()));
        match at + 1 == head.len() {
            true => assert_eq!(result, verdict, "U2 {}", suite.name()),
            false => assert_eq!(result, Ok(()), "judged before it can be read"),
        }
    }
    verdict
}

fn reason(error: &Error) -> u32 {
    error.disconnect_reason().unwrap().0
}

#[test]
fn b1_lengths_below_the_minimum_are_refused() {
    for suite in Suite::prompt() {
        for length in 0..=4 {
            let error = judge_head(suite, length).unwrap_err();
            assert_eq!(
                error,
                PeerMisbehaved::BadPacketLength.into(),
                "{length} {}",
                suite.name()
            );
            assert_eq!(reason(&error), 2);
        }
    }
}

#[test]
fn b2_giant_lengths_are_refused_with_the_head() {
    let giants = [0x7fff_ffff, 0x8000_0000, MAX_PACKET_LENGTH_PRE_AUTH + 1];
    for suite in Suite::prompt() {
        for length in giants.into_iter().chain(0xffff_fff0..=u32::MAX) {
            let error = judge_head(suite, length).unwrap_err();
            assert_eq!(
                error,
                Limit::PacketLength.into(),
                "{length:#x} {}",
                suite.name()
            );
            assert_eq!(reason(&error), 2);
        }
        let next = suite.aligned(MAX_PACKET_LENGTH_PRE_AUTH + 1);
        assert!(judge_head(suite, next).is_err());
        let most = (0..=MAX_PACKET_LENGTH_PRE_AUTH)
            .rev()
            .find(|n| suite.is_aligned(*n))
            .unwrap();
        assert_eq!(judge_head(suite, most), Ok(()), "{}", suite.name());
    }
}

#[test]
fn b2_the_bound_rises_with_authentication() {
    for suite in Suite::prompt() {
        let judge = |length| {
            let mut recv = suite.receiver();
            recv.authenticated();
            recv.push(
                suite
                    .forge(length, &[4; 28])
                    .split_to(suite.layout().head_len),
            );
            recv.next_packet().map(|packet| assert!(packet.is_none()))
        };
        let most = (0..=MAX_PACKET_LENGTH)
            .rev()
            .find(|n| suite.is_aligned(*n))
            .unwrap();
        assert_eq!(judge(most), Ok(()));
        let next = suite.aligned(MAX_PACKET_LENGTH + 1);
        assert_eq!(judge(next), Err(Limit::PacketLength.into()));
        assert_eq!(judge(u32::MAX), Err(Limit::PacketLength.into()));
    }
}

#[test]
fn b3_misaligned_lengths_are_refused() {
    for suite in Suite::prompt() {
        for length in 5..=300 {
            let expected = match suite.is_aligned(length) {
                true => Ok(()),
                false => Err(PeerMisbehaved::BadPacketLength.into()),
            };
            assert_eq!(
                judge_head(suite, length),
                expected,
                "{length} {}",
                suite.name()
            );
        }
    }
}

#[test]
fn b4_padding_is_held_against_the_packet() {
    for suite in Suite::all() {
        for least in [5, 60, 200, 300] {
            let length = suite.aligned(least);
            for padding in 0..=255_u8 {
                let mut body = vec![2; length as usize];
                body[0] = padding;
                let mut recv = suite.receiver();
                recv.push(suite.forge(length, &body));
                let payload = i64::from(length) - 1 - i64::from(padding);
                match recv.next_packet() {
                    Ok(packet) => {
                        assert!(padding >= 4 && payload >= 1, "{padding} of {length}");
                        let packet = packet.unwrap();
                        assert_eq!(packet.payload.len() as i64, payload);
                        assert_eq!(packet.sequence, 0);
                    }
                    Err(error) => {
                        assert!(padding < 4 || payload < 1, "{padding} of {length}");
                        assert_eq!(error, PeerMisbehaved::BadPaddingLength.into());
                        assert_eq!(reason(&error), 2);
                    }
                }
            }
        }
    }
}

#[test]
fn b11_an_empty_payload_is_refused() {
    for suite in Suite::all() {
        let length = suite.aligned(5);
        let mut body = vec![0; length as usize];
        body[0] = u8::try_from(length - 1).unwrap();
        let mut recv = suite.receiver();
        recv.push(suite.forge(length, &body));
        assert_eq!(
            recv.next_packet().unwrap_err(),
            PeerMisbehaved::BadPaddingLength.into()
        );
    }
}

/// B5 to B7: wherever behind the length a bit is flipped no packet comes out; the tag is judged
/// before anything that was decrypted.
#[test]
fn b5_no_flipped_bit_passes() {
    for suite in Suite::prompt().filter(|suite| suite.0.is_some()) {
        let mut sealed = BytesMut::new();
        let mut send = suite.sender();
        send.seal(&mut sealed, |out| out.extend_from_slice(b"\x02flip"))
            .unwrap();
        for bit in 32..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut recv = suite.receiver();
            recv.push(damaged);
            let error = recv.next_packet().map(|_| ()).unwrap_err();
            assert_eq!(
                error,
                PeerMisbehaved::BadMac.into(),
                "{bit} {}",
                suite.name()
            );
        }
        let mut recv = suite.receiver();
        recv.push(sealed);
        assert_eq!(
            &recv.next_packet().unwrap().unwrap().payload[..],
            b"\x02flip"
        );
    }
}

/// B8: a damaged length is out of bounds at once, or waited for up to the largest packet and no
/// further, to be found out by the tag.
#[test]
fn b8_a_damaged_length_is_waited_for_within_bounds() {
    for suite in Suite::prompt().filter(|suite| suite.0.is_some()) {
        let most = MAX_PACKET_LENGTH_PRE_AUTH as usize + 4 + suite.layout().tag_len;
        let mut sealed = BytesMut::new();
        suite
            .sender()
            .seal(&mut sealed, |out| out.extend_from_slice(b"\x02flip"))
            .unwrap();
        for bit in 0..32 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut recv = suite.receiver();
            recv.push(damaged);
            let error = match recv.next_packet() {
                Ok(None) => {
                    let missing = recv.missing();
                    assert!((1..=most).contains(&missing), "waits for {missing}");
                    recv.push(BytesMut::zeroed(missing));
                    let error = recv.next_packet().map(|_| ()).unwrap_err();
                    assert_eq!(error, PeerMisbehaved::BadMac.into());
                    continue;
                }
                result => result.map(|_| ()).unwrap_err(),
            };
            let name = suite.name();
            assert!(matches!(reason(&error), 2 | 5), "{bit} {name}: {error:?}");
        }
    }
}

/// B6, B7: the padding of a packet that is not authentic is not looked at.
#[test]
fn b7_the_tag_is_judged_before_the_padding() {
    for suite in Suite::prompt().filter(|suite| suite.0.is_some()) {
        let length = suite.aligned(40);
        for padding in [0, 3, 255] {
            let mut packet = suite.forge(length, &vec![padding; length as usize]);
            *packet.last_mut().unwrap() ^= 1;
            let mut recv = suite.receiver();
            recv.push(packet);
            assert_eq!(
                recv.next_packet().unwrap_err(),
                PeerMisbehaved::BadMac.into(),
                "{}",
                suite.name()
            );
        }
    }
}

/// A packet replayed, left out or out of order is not authentic.
#[test]
fn b5_packets_are_bound_to_their_place() {
    for suite in Suite::prompt().filter(|suite| suite.0.is_some()) {
        let mut send = suite.sender();
        let packets: Vec<_> = (0..3_u8)
            .map(|n| {
                let mut out = BytesMut::new();
                send.seal(&mut out, |out| out.extend_from_slice(&[2, n]))
                    .unwrap();
                out
            })
            .collect();
        for order in [&[0, 0][..], &[1], &[0, 2], &[1, 0]] {
            let mut recv = suite.receiver();
            let mut result = Ok(None);
            for (at, index) in order.iter().enumerate() {
                recv.push(packets[*index].clone());
                result = recv.next_packet();
                if result.is_err() {
                    assert_eq!(at, if order[0] == 0 { 1 } else { 0 });
                    break;
                }
            }
            let error = result.map(|_| ()).unwrap_err();
            assert!(
                matches!(reason(&error), 2 | 5),
                "{order:?} {}: {error:?}",
                suite.name()
            );
        }
    }
}

#[test]
fn b10_sequence_numbers_are_those_of_the_packets() {
    for suite in Suite::all() {
        let (mut send, mut recv) = (suite.sender(), suite.receiver());
        let edges = [0, 1, u32::MAX - 1, u32::MAX];
        for start in edges {
            send.set_counters(start, 5);
            recv.set_counters(start, 5);
            for step in 0..3 {
                let mut out = BytesMut::new();
                send.seal(&mut out, |out| out.put_u8(200)).unwrap();
                recv.push(out);
                let Packet { sequence, .. } = recv.next_packet().unwrap().unwrap();
                assert_eq!(sequence, start.wrapping_add(step), "{}", suite.name());
            }
            if let (Some(sealing), Some(opening)) =
                (suite.sealing(&NoCompression), suite.opening(&NoCompression))
            {
                // C6: strict key exchange begins anew, otherwise the number goes on.
                let strict = start % 2 == 0;
                send.install(SealingEpoch {
                    reset_sequence: strict,
                    ..sealing
                });
                recv.install(opening, strict);
                let mut out = BytesMut::new();
                send.seal(&mut out, |out| out.put_u8(200)).unwrap();
                recv.push(out);
                let sequence = recv.next_packet().unwrap().unwrap().sequence;
                let expected = if strict { 0 } else { start.wrapping_add(3) };
                assert_eq!(sequence, expected, "{}", suite.name());
            }
        }
    }
}

#[test]
fn b16_no_key_outlives_its_sequence_numbers() {
    for suite in Suite::all() {
        let near = u32::try_from(MAX_PACKETS_PER_KEY - 1).unwrap();
        let (mut send, mut recv) = (suite.sender(), suite.receiver());
        send.set_counters(near, MAX_PACKETS_PER_KEY - 1);
        recv.set_counters(near, MAX_PACKETS_PER_KEY - 1);
        let mut out = BytesMut::from(&b"kept"[..]);
        send.seal(&mut out, |out| out.put_u8(2)).unwrap();
        recv.push(out.split_off(4));
        assert!(recv.next_packet().unwrap().is_some(), "the last one");

        let full = send.seal(&mut out, |out| out.put_u8(2));
        assert_eq!(full, Err(Limit::KeyUsage.into()), "{}", suite.name());
        assert_eq!(&out[..], b"kept", "nothing of it is left");
        // Refused by its place alone, whatever it is.
        recv.push(suite.forge(suite.aligned(12), &[4; 28]));
        let error = recv.next_packet().unwrap_err();
        match suite.0 {
            None => {
                assert_eq!(error, PeerMisbehaved::SequenceWrapped.into());
                assert_eq!(reason(&error), 2);
            }
            Some(_) => {
                assert_eq!(error, Limit::KeyUsage.into());
                assert_eq!(reason(&error), 11);
            }
        }
    }
}

#[test]
fn b18_what_we_send_keeps_the_rules() {
    let mut paddings = Vec::new();
    for suite in Suite::all() {
        let layout = suite.layout();
        let block = layout.block_len.max(8);
        let mut send = suite.sender();
        let mut recv = suite.receiver();
        for size in (1..600).chain([1400, 32_768, 34_900]) {
            let mut out = BytesMut::new();
            send.seal(&mut out, |out| out.put_bytes(9, size)).unwrap();
            let length = out.len() - 4 - layout.tag_len;
            assert!(length <= MAX_PACKET_LENGTH_SENT as usize);
            assert!(suite.is_aligned(u32::try_from(length).unwrap()));
            let padding = length - 1 - size;
            assert!((4..4 + block).contains(&padding), "{padding}");
            if suite.0.is_none() {
                assert_eq!(out[..4], u32::try_from(length).unwrap().to_be_bytes());
                assert_eq!(usize::from(out[4]), padding);
                paddings.push(out[5 + size..5 + size + 4].to_vec());
            }
            recv.push(out);
            let packet = recv.next_packet().unwrap().unwrap();
            assert!(packet.payload.len() == size && packet.payload.iter().all(|b| *b == 9));
        }
        let mut out = BytesMut::new();
        assert!(
            send.seal(&mut out, |out| out.put_bytes(9, 35_000)).is_err(),
            "a bug of ours, caught"
        );
        assert!(out.is_empty());
        send.seal(&mut out, |out| out.put_u8(9)).unwrap();
        recv.push(out);
        assert!(recv.next_packet().unwrap().is_some(), "as if never tried");
    }
    let drawn = paddings.len();
    paddings.sort();
    paddings.dedup();
    assert_eq!(paddings.len(), drawn, "P3: padding is not random");
}
