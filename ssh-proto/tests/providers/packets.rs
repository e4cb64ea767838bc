//! Every cipher with every MAC of each provider: known packets, round trips, damage, order of checks, lengths of keys; and what one seals another opens.

use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use ssh_proto::crypto::{
    CipherAlgorithm, CipherKeys, CryptoProvider, MacAlgorithm, OpeningKey, PacketLayout,
    SealingKey, rustcrypto,
};
use ssh_proto::error::CryptoError;

use crate::{counting, hex, providers};

struct Suite {
    cipher: &'static dyn CipherAlgorithm,
    mac: Option<&'static dyn MacAlgorithm>,
    key: Vec<u8>,
    iv: Vec<u8>,
    mac_key: Vec<u8>,
}

impl Suite {
    fn new(cipher: &'static dyn CipherAlgorithm, mac: Option<&'static dyn MacAlgorithm>) -> Self {
        Self {
            cipher,
            mac,
            key: counting(0, cipher.key_len()),
            iv: counting(0xa0, cipher.iv_len()),
            mac_key: counting(0x40, mac.map_or(0, |mac| mac.key_len())),
        }
    }

    /// The suite of these names of each provider that has both.
    fn named(cipher: &str, mac: Option<&str>) -> Vec<Self> {
        let named = |provider: &CryptoProvider| {
            let cipher = provider.cipher(cipher)?;
            let mac = match mac {
                Some(name) => Some(provider.mac(name)?),
                None => None,
            };
            Some(Self::new(cipher, mac))
        };
        providers().iter().filter_map(named).collect()
    }

    /// Every cipher of a provider with every MAC it takes.
    fn of(provider: &CryptoProvider) -> Vec<Self> {
        let mut suites = Vec::new();
        for cipher in provider.ciphers.iter().copied() {
            match cipher.is_aead() {
                true => suites.push(Self::new(cipher, None)),
                false => suites.extend(
                    provider
                        .macs
                        .iter()
                        .map(|mac| Self::new(cipher, Some(*mac))),
                ),
            }
        }
        assert!(suites.len() >= 8);
        suites
    }

    /// Those of all providers.
    fn all() -> Vec<Self> {
        providers().iter().flat_map(Self::of).collect()
    }

    fn name(&self) -> String {
        let mac = self.mac.map_or("", |mac| mac.name());
        format!("{} {mac}", self.cipher.name())
    }

    fn encrypts_and_macs(&self) -> bool {
        self.mac.is_some_and(|mac| !mac.is_etm())
    }

    fn keys(&self) -> CipherKeys<'_> {
        CipherKeys {
            key: &self.key,
            iv: &self.iv,
            mac: self.mac.map(|mac| (mac, &*self.mac_key)),
        }
    }

    fn sealing(&self) -> Box<dyn SealingKey> {
        self.cipher.sealing_key(self.keys()).unwrap()
    }

    fn opening(&self) -> Box<dyn OpeningKey> {
        self.cipher.opening_key(self.keys()).unwrap()
    }
}

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    rustcrypto::provider().sha256.hash(parts).as_ref().to_vec()
}

/// A packet of `blocks` blocks with `tag_len` bytes of room.
fn packet(layout: PacketLayout, blocks: usize, fill: u8) -> Vec<u8> {
    let body = blocks * layout.block_len - if layout.length_is_padded { 4 } else { 0 };
    let mut packet = u32::try_from(body).unwrap().to_be_bytes().to_vec();
    packet.push(4);
    packet.extend(counting(fill, body - 1));
    packet.resize(packet.len() + layout.tag_len, 0xee);
    packet
}

fn open(
    key: &mut dyn OpeningKey,
    sequence: u32,
    packet: &mut [u8],
) -> (u32, Result<(), CryptoError>) {
    let head_len = OpeningKey::layout(key).head_len;
    let length = key.open_length(sequence, &mut packet[..head_len]).unwrap();
    (length, key.open(sequence, packet))
}

#[test]
fn layouts() {
    for suite in Suite::all() {
        let seal = suite.sealing().layout();
        assert_eq!(seal, suite.opening().layout());
        let block_len = match suite.cipher.name().starts_with("chacha") {
            true => 8,
            false => 16,
        };
        assert_eq!(
            seal,
            PacketLayout {
                block_len,
                length_is_padded: suite.encrypts_and_macs(),
                tag_len: suite.mac.map_or(16, |mac| mac.tag_len()),
                head_len: if suite.encrypts_and_macs() { 16 } else { 4 },
            }
        );
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

/// Seals packets of these numbers of bytes behind the length field.
fn seal_all(suite: &Suite, packets: &[(u32, usize, u8)]) -> Vec<Vec<u8>> {
    let mut sealing = suite.sealing();
    let seal = |&(sequence, body, fill): &(u32, usize, u8)| {
        let mut packet = u32::try_from(body).unwrap().to_be_bytes().to_vec();
        packet.push(4);
        packet.extend(counting(fill, body - 1));
        packet.resize(packet.len() + sealing.layout().tag_len, 0);
        sealing.seal(sequence, &mut packet).unwrap();
        packet
    };
    packets.iter().map(seal).collect()
}

/// Packets put together from ChaCha20 and Poly1305 of OpenSSL.
#[test]
fn chacha20_poly1305_known_packets() {
    for suite in Suite::named("chacha20-poly1305@openssh.com", None) {
        let sealed = seal_all(
            &suite,
            &[
                (0, 16, 16),
                (7, 24, 24),
                (0xffff_fffe, 8, 8),
                (0x0102_0304, 1400, 3),
            ],
        );
        assert_eq!(
            sealed[..3],
            [
                hex("94450e491ca85323bef2b3c70479457bb45f53398879c94a49e0901a9411a4a1b8893a73"),
                hex(
                    "a39afcb22c5e0c59559f3740734d9ad2f4abf60a139a191c55cf10ad703e4437bb3342504d25f83e\
                 2b9f691f"
                ),
                hex("69a614c033725596d5288135833070224f44e7d96dcb7b520d9999a5"),
            ]
        );
        assert_eq!(
            sha256(&[&sealed[3]]),
            hex("b41ca785c7780d5f32ccafdc1883b315b4042209745bc13bd93fc50e84c3b7cc")
        );
    }
}

/// Packets sealed by AES-GCM of OpenSSL, while the counter passes 2^64 and leaves the fixed field alone.
#[test]
fn aes_gcm_known_packets() {
    let cases = [
        (
            "aes128-gcm@openssh.com",
            [
                "00000010e59a17af29ab8163abf69c30b5bb778c2e2c8b41afc012e8e7dc5e5139852ba5",
                "00000020d43270445ac320c6b881be004651142adb00e215e8ee433c9990309106d65ecba0386a0f\
                 dffaca81993dfb4ab2a6093a",
                "000000308e5fcd99428933675acc212f7cc474b07d9ac6e30676b46d66a237b4e9709d4f98da04e3\
                 84d3f3b8bb5a0f743b79a6a2aaf0ddd6e156b522ccf16682bf535a61",
            ],
            "52ab58a4b2b1dd065ddfeda14e5048747d19d800050eed61e777fd405bc60557",
        ),
        (
            "aes256-gcm@openssh.com",
            [
                "00000010e0100d115e7c9714da19f75b30757bc6ddd98c67057c62cde1cae06c7a7b5240",
                "00000020a0bec04cf82a752a125719572710d47586e9465bbef534eb2c451e4a39ff7fdd9b72f8b4\
                 789325f909c0b50e64d15b26",
                "0000003018bb5f322662b2b4b031b03f5cd46acb83820e51ec5b820d7a2fde282644557ceef05e8c\
                 76b884c4a9d1eae27fa45cbc898ad1a7029d93cc3a818d5768bc5251",
            ],
            "47639cb42b4ae179a584b65fab0be8146a4a3ba9ede7e41a13e246ca270976b5",
        ),
    ];
    for (name, short, long) in cases {
        for mut suite in Suite::named(name, None) {
            suite.iv = hex("a0a1a2a3fffffffffffffffe");
            let sealed = seal_all(&suite, &[(0, 16, 0), (9, 32, 1), (2, 48, 2), (3, 1392, 3)]);
            assert_eq!(sealed[..3], short.map(hex));
            assert_eq!(sha256(&[&sealed[3]]), hex(long));
        }
    }
}

/// Pairs of packets from AES-CTR of OpenSSL and HMAC of Python, while the counter passes 2^128.
#[test]
fn aes_ctr_known_packets() {
    let etm = "-etm@openssh.com";
    let cases = [
        (
            "aes128-ctr",
            "256",
            etm,
            "8ba7daf6b4b6b390d993efbf75f628ac41dad4de16d97e8e440bc6b394b9d413",
        ),
        (
            "aes128-ctr",
            "256",
            "",
            "22d9e3318c8a2de95f8ea3cd527778da2136d174bb18e0afa3af981d689cc558",
        ),
        (
            "aes128-ctr",
            "512",
            etm,
            "3a2f03dfca233498e97e335b7106cbac6fa8e9716cb9710325bde33b9a0c0c9d",
        ),
        (
            "aes128-ctr",
            "512",
            "",
            "6490e3ae25c0a8481ba4d07cbd58e91ce37a7dbe3d56de4aeb2828495f96c9e7",
        ),
        (
            "aes192-ctr",
            "256",
            etm,
            "fad105e91f6ebea8aeb9a4d6733d58680b05afef9da3b8ce5e1e74012252be5a",
        ),
        (
            "aes192-ctr",
            "256",
            "",
            "162251d65c9a49db7dc771df7d9f9dcd602b9805403f7c31dffb18bb6ca61bcc",
        ),
        (
            "aes192-ctr",
            "512",
            etm,
            "02808fbd20715f4c6cfbb2f19ba712157e1418cf877b2d52131a9d42561b5aa5",
        ),
        (
            "aes192-ctr",
            "512",
            "",
            "836cb9eebae01931772164ab6a28c399f804aa7342578f8cbbb5fb421b38c7c5",
        ),
        (
            "aes256-ctr",
            "256",
            etm,
            "db313e0f039704efccb177e2879f9e35c7b5dd0947aae56fa14275d3fd86f265",
        ),
        (
            "aes256-ctr",
            "256",
            "",
            "91954606d6270b5aa1c420a3640205e4ae2dc51e6e9a0cab94b576ceea10b4cd",
        ),
        (
            "aes256-ctr",
            "512",
            etm,
            "a6f08704c620647d3cf2e8bb4c51069c7ac00cd18582eeb467ddb2b682d48457",
        ),
        (
            "aes256-ctr",
            "512",
            "",
            "0f44f065aa05a074affe18c09ed825c6c46b18e011db576742c31efc06f427e1",
        ),
    ];
    for (cipher, hash, kind, digest) in cases {
        for mut suite in Suite::named(cipher, Some(&format!("hmac-sha2-{hash}{kind}"))) {
            suite.iv = vec![0xff; 16];
            suite.iv[15] = 0xfe;
            let less = if kind.is_empty() { 4 } else { 0 };
            let sealed = seal_all(&suite, &[(3, 32 - less, 3), (4, 48 - less, 4)]);
            assert_eq!(
                sha256(&[&sealed[0], &sealed[1]]),
                hex(digest),
                "{}",
                suite.name()
            );
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

/// NIST SP 800-38A, F.5.1, F.5.3 and F.5.5: the text as the body of an encrypt-then-MAC packet.
#[test]
fn nist_ctr() {
    let cases = [
        (
            "aes128-ctr",
            "2b7e151628aed2a6abf7158809cf4f3c",
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff\
             5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
        ),
        (
            "aes192-ctr",
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94\
             1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050",
        ),
        (
            "aes256-ctr",
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
             2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
        ),
    ];
    let text = hex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                    30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    );
    for (name, key, encrypted) in cases {
        for mut suite in Suite::named(name, Some("hmac-sha2-256-etm@openssh.com")) {
            suite.key = hex(key);
            suite.iv = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
            let mut sealing = suite.sealing();
            // In pieces, to show that the keystream runs on.
            let mut bodies = Vec::new();
            for piece in [&text[..16], &text[16..]] {
                let mut packet = [&[0; 4], piece, &[0; 32]].concat();
                sealing.seal(0, &mut packet).unwrap();
                bodies.extend_from_slice(&packet[4..][..piece.len()]);
            }
            assert_eq!(bodies, hex(encrypted), "{name}");
        }
    }
}

/// A MAC is compared whole, whatever its length.
#[test]
fn tags_of_another_length_are_refused() {
    for provider in providers() {
        for mac in provider.macs.iter() {
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
