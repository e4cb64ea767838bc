//! Every cipher with every MAC of each provider: round trips, damage, order of checks, lengths of keys; and what one seals another opens.

use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use ssh_proto::crypto::{CipherKeys, PacketLayout, rustcrypto};
use ssh_proto::error::CryptoError;

use crate::suite::{Suite, open, packet, sha256};
use crate::{counting, providers};

#[test]
fn layouts() {
    for suite in Suite::all() {
        let seal = suite.sealing().layout();
        assert_eq!(seal, suite.opening().layout());
        let block_len = match suite.cipher.name() {
            "chacha20-poly1305@openssh.com" | "3des-cbc" => 8,
            _ => 16,
        };
        assert_eq!(
            seal,
            PacketLayout {
                block_len,
                length_is_padded: suite.encrypts_and_macs(),
                tag_len: suite.mac.map_or(16, |mac| mac.tag_len()),
                head_len: match suite.encrypts_and_macs() {
                    true => block_len,
                    false => 4,
                },
            }
        );
    }
}

/// B9: where a length is believed before it is verified, and an attacker can choose it.
#[test]
fn b9_cbc_hides_why_it_refuses() {
    for suite in Suite::all() {
        let hides = suite.is_cbc() && suite.encrypts_and_macs();
        assert_eq!(suite.opening().hides_refusals(), hides, "{}", suite.name());
    }
}

#[test]
fn packets_come_back() {
    for suite in Suite::all() {
        let (mut sealing, mut opening) = (suite.sealing(), suite.opening());
        let layout = sealing.layout();
        // Sizes around the widths at which implementations change their stride, up to a full packet.
        let sizes = (1..40).chain([63, 64, 65, 127, 128, 129, 2048]);
        for (sequence, blocks) in (u32::MAX - 5..=u32::MAX).chain(0..100).zip(sizes) {
            let plain = packet(layout, blocks, blocks as u8);
            let mut sealed = plain.clone();
            sealing.seal(sequence, &mut sealed).unwrap();
            assert_ne!(sealed, plain);
            let (length, result) = open(&mut *opening, sequence, &mut sealed);
            assert_eq!(result, Ok(()), "{}", suite.name());
            let end = plain.len() - layout.tag_len;
            assert_eq!(length as usize, end - 4);
            assert_eq!(sealed[4..end], plain[4..end], "{}", suite.name());
        }
    }
}

/// B5: no bit of a packet can be changed, and packets are bound to their place in the sequence.
#[test]
fn b5_every_flipped_bit_is_noticed() {
    for suite in Suite::all() {
        let mut sealed = packet(suite.sealing().layout(), 2, 0);
        suite.sealing().seal(9, &mut sealed).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (_, result) = open(&mut *suite.opening(), 9, &mut damaged);
            assert_eq!(
                result,
                Err(CryptoError::TagMismatch),
                "{} {bit}",
                suite.name()
            );
        }
        let (_, intact) = open(&mut *suite.opening(), 9, &mut sealed.clone());
        assert_eq!(intact, Ok(()));

        let mut second = packet(suite.sealing().layout(), 2, 0);
        let mut sealing = suite.sealing();
        sealing.seal(9, &mut sealed.clone()).unwrap();
        sealing.seal(10, &mut second).unwrap();
        let (_, result) = open(&mut *suite.opening(), 9, &mut second);
        assert_eq!(result, Err(CryptoError::TagMismatch), "{}", suite.name());
    }
}

/// B5: a packet cut short is an error, wherever the cut is.
#[test]
fn b5_short_packets_do_not_panic() {
    for suite in Suite::all() {
        let mut sealed = packet(suite.sealing().layout(), 2, 0);
        suite.sealing().seal(0, &mut sealed).unwrap();
        for len in 0..sealed.len() {
            let mut cut = sealed[..len].to_vec();
            assert_eq!(
                suite.opening().open(0, &mut cut),
                Err(CryptoError::TagMismatch),
                "{} {len}",
                suite.name()
            );
            let head_len = suite.opening().layout().head_len;
            let head = suite
                .opening()
                .open_length(0, &mut cut[..len.min(head_len)]);
            assert_eq!(head.is_ok(), len >= head_len, "{} {len}", suite.name());
        }
        assert!(suite.sealing().seal(0, &mut [0; 3]).is_err());
    }
}

/// B7: the tag is verified before anything is decrypted, but for encrypt-and-MAC, which cannot.
#[test]
fn b7_nothing_is_decrypted_before_the_tag_is_verified() {
    for suite in Suite::all() {
        if suite.encrypts_and_macs() {
            continue;
        }
        let mut sealed = packet(suite.sealing().layout(), 3, 0);
        suite.sealing().seal(0, &mut sealed).unwrap();
        let mut damaged = sealed.clone();
        damaged[20] ^= 1;
        let before = damaged.clone();
        let mut opening = suite.opening();
        let (_, result) = open(&mut *opening, 0, &mut damaged);
        assert_eq!(result, Err(CryptoError::TagMismatch));
        // Some libraries decrypt as they go, and wipe what is not authentic.
        let wiped = damaged[4..before.len() - 16].iter().all(|byte| *byte == 0);
        assert!(wiped || damaged == before, "{}", suite.name());
        if suite.mac.is_some() {
            // Nor has the keystream moved on.
            assert_eq!(opening.open(0, &mut sealed), Ok(()), "{}", suite.name());
        }
    }
}

#[test]
fn wrong_key_lengths_are_refused() {
    for suite in Suite::all() {
        let refused = |keys: CipherKeys<'_>, what: &str| {
            let name = suite.name();
            let sealing = suite.cipher.sealing_key(keys).err();
            let opening = suite.cipher.opening_key(keys).err();
            assert_eq!(sealing, Some(CryptoError::InvalidKey), "{name} {what}");
            assert_eq!(opening, Some(CryptoError::InvalidKey), "{name} {what}");
        };
        let long = |bytes: &[u8]| [bytes, &[0]].concat();
        let keys = suite.keys();
        let key = long(keys.key);
        let iv = long(keys.iv);
        for key in [&key[..], &keys.key[1..], &[]] {
            refused(CipherKeys { key, ..keys }, "key");
        }
        refused(CipherKeys { iv: &iv, ..keys }, "long iv");
        if let Some(iv) = keys.iv.get(1..) {
            refused(CipherKeys { iv, ..keys }, "short iv");
        }
        match keys.mac {
            None => {
                let mac = rustcrypto::provider().mac("hmac-sha2-256").unwrap();
                let mac = Some((mac, &[0; 32][..]));
                refused(CipherKeys { mac, ..keys }, "superfluous mac");
            }
            Some((mac, key)) => {
                refused(CipherKeys { mac: None, ..keys }, "missing mac");
                for key in [&long(key)[..], &key[1..], &[]] {
                    let mac = Some((mac, key));
                    refused(CipherKeys { mac, ..keys }, "mac key");
                }
            }
        }
    }
}

/// What is not authentic is decrypted on request, unless the cipher is AEAD; the keystream runs on.
#[test]
fn unverified_packets() {
    for suite in Suite::all() {
        let (mut sealing, mut opening) = (suite.sealing(), suite.opening());
        let plain = packet(sealing.layout(), 3, 7);
        let (mut forged, mut next) = (plain.clone(), plain.clone());
        sealing.seal(1, &mut forged).unwrap();
        sealing.seal(2, &mut next).unwrap();
        *forged.last_mut().unwrap() ^= 1;
        let (_, result) = open(&mut *opening, 1, &mut forged);
        assert_eq!(result, Err(CryptoError::TagMismatch));
        let unverified = opening.open_unverified(&mut forged);
        if suite.mac.is_none() {
            assert_eq!(
                unverified,
                Err(CryptoError::TagMismatch),
                "{}",
                suite.name()
            );
            continue;
        }
        assert_eq!(unverified, Ok(()));
        let end = plain.len() - sealing.layout().tag_len;
        assert_eq!(forged[4..end], plain[4..end], "{}", suite.name());
        assert_eq!(open(&mut *opening, 2, &mut next).1, Ok(()));
    }
}

/// A MAC is compared whole, whatever its length.
#[test]
fn tags_of_another_length_are_refused() {
    for provider in providers() {
        for mac in provider.macs.iter().chain(provider.on_request.macs.iter()) {
            let mut key = mac.key(&counting(7, mac.key_len())).unwrap();
            let mut tag = vec![0; mac.tag_len()];
            key.sign(1, b"data", &mut tag);
            for len in 0..tag.len() {
                let cut = key.verify(1, b"data", &tag[..len]);
                assert_eq!(cut, Err(CryptoError::TagMismatch), "{}", mac.name());
            }
            let long = key.verify(1, b"data", &[&tag[..], &[0]].concat());
            assert_eq!(long, Err(CryptoError::TagMismatch), "{}", mac.name());
            assert_eq!(key.verify(1, b"data", &tag), Ok(()), "{}", mac.name());
            assert_ne!(key.verify(2, b"data", &tag), Ok(()), "{}", mac.name());
        }
    }
}

/// What `from` seals of packets with these bodies, `to` opens.
fn opens(from: &Suite, to: &Suite, first: u32, bodies: &[Vec<u8>]) {
    let (mut sealing, mut opening) = (from.sealing(), to.opening());
    let layout = sealing.layout();
    assert_eq!(layout, opening.layout());
    let less = if layout.length_is_padded { 4 } else { 0 };
    for (number, body) in bodies.iter().enumerate() {
        let sequence = first.wrapping_add(number as u32);
        let len = (body.len() + 1).next_multiple_of(layout.block_len).max(16) - less;
        let mut plain = u32::try_from(len).unwrap().to_be_bytes().to_vec();
        plain.extend_from_slice(&body[..body.len().min(len)]);
        plain.resize(4 + len, 0x5a);
        let mut packet = plain.clone();
        packet.resize(plain.len() + layout.tag_len, 0);
        sealing.seal(sequence, &mut packet).unwrap();
        let (length, result) = open(&mut *opening, sequence, &mut packet);
        assert_eq!(result, Ok(()), "{}", from.name());
        assert_eq!(length as usize, len);
        assert_eq!(packet[4..plain.len()], plain[4..], "{}", from.name());
    }
}

/// What one provider seals every other opens, at lengths around every stride.
#[test]
fn providers_open_what_others_seal() {
    let providers: Vec<_> = providers().iter().map(Suite::of).collect();
    let bodies: Vec<_> = (0..80)
        .chain((80..600).step_by(37))
        .chain([1400, 2047, 4096, 8191, 32768])
        .map(|len| counting(len as u8, len))
        .collect();
    for from in providers.iter().flatten() {
        for to in providers.iter().flatten() {
            if from.name() == to.name() {
                opens(from, to, u32::MAX - 20, &bodies);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the keys, numbers and bodies: all providers seal to the same bytes.
    #[test]
    fn providers_seal_alike(
        seed in any::<[u8; 32]>(),
        first in any::<u32>(),
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 1..6),
    ) {
        let base = rustcrypto::provider();
        for mut reference in Suite::of(&base) {
            let suites = Suite::named(
                reference.cipher.name(),
                reference.mac.map(|mac| mac.name()),
            );
            let key = |len: usize, salt: u8| -> Vec<u8> {
                let blocks = (0..4).flat_map(|i| sha256(&[&seed, &[salt, i]]));
                blocks.take(len).collect()
            };
            let sealed = |suite: &mut Suite| -> Vec<Vec<u8>> {
                suite.key = key(suite.key.len(), 1);
                suite.iv = key(suite.iv.len(), 2);
                suite.mac_key = key(suite.mac_key.len(), 3);
                let mut sealing = suite.sealing();
                let layout = sealing.layout();
                let less = if layout.length_is_padded { 4 } else { 0 };
                let seal = |(number, body): (usize, &Vec<u8>)| {
                    let len = (body.len() + 1).next_multiple_of(layout.block_len).max(16) - less;
                    let mut packet = u32::try_from(len).unwrap().to_be_bytes().to_vec();
                    packet.extend_from_slice(&body[..body.len().min(len)]);
                    packet.resize(4 + len + layout.tag_len, 0x5a);
                    sealing.seal(first.wrapping_add(number as u32), &mut packet).unwrap();
                    packet
                };
                bodies.iter().enumerate().map(seal).collect()
            };
            let expected = sealed(&mut reference);
            for mut suite in suites {
                prop_assert_eq!(&sealed(&mut suite), &expected, "{}", suite.name());
            }
        }
    }
}
