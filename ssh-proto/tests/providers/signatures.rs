//! Signatures of each provider: known ones, ones that must be refused, and each signer against every verifier.

use bytes::BytesMut;
use ssh_proto::crypto::{
    CertificateBuilder, CertifiedKey, CryptoProvider, EcdsaCurve, PrivateKey, PublicKey, Signature,
    SigningKey as _, rustcrypto,
};
use ssh_proto::error::CryptoError;
use ssh_proto::wire::{put_mpint, put_string};

use crate::{OsRandom, algorithms, hex, providers};

const ED25519: &str = "ssh-ed25519";

fn ed25519(seed: &str, public: &str) -> PrivateKey {
    PrivateKey::Ed25519 {
        public: hex(public).try_into().unwrap(),
        seed: Box::new(<[u8; 32]>::try_from(hex(seed)).unwrap().into()),
    }
}

/// A private key of each type that a signature algorithm of the provider verifies with, but for
/// those of certificates and security keys. Primes take long to find, so these are known.
fn generated(provider: &CryptoProvider) -> Vec<PrivateKey> {
    let more = provider.on_request.signatures.iter();
    let all = provider.signatures.iter().chain(more);
    let mut types: Vec<_> = all.map(|a| a.key_type()).collect();
    types.sort_unstable();
    types.dedup();
    types
        .into_iter()
        .filter_map(|key_type| match key_type {
            #[cfg(feature = "rsa")]
            "ssh-rsa" => Some(crate::rsa::key()),
            "ssh-dss" => Some(dsa_key()),
            _ => provider.keys.generate(key_type, &mut OsRandom).ok(),
        })
        .collect()
}

/// `dsa.generate_private_key(1024)` of `cryptography` (Python): p, q, g, y, x.
fn dsa_key() -> PrivateKey {
    let mut numbers = include_str!("dsa_key.txt").trim().split(' ').map(hex);
    let mut next = || numbers.next().unwrap();
    PrivateKey::Dsa {
        prime: next(),
        subprime: next(),
        generator: next(),
        public: next(),
        secret: next().into(),
    }
}

/// Every key type of every provider: what one signs with any algorithm of the key, all verify.
#[test]
fn providers_verify_what_others_sign() {
    let mut seen = 0;
    let dsa = usize::from(cfg!(feature = "legacy"));
    let rsa = usize::from(cfg!(feature = "rsa"));
    for maker in providers() {
        let keys = generated(&maker);
        assert!(keys.len() == 5 + rsa + dsa || maker.fips(), "{keys:?}");
        for private in keys {
            for signer in providers() {
                let Ok(key) = signer.signing_key(&private) else {
                    assert!(signer.fips());
                    continue;
                };
                assert_eq!(*key.public_key(), private.public_key());
                for algorithm in key.algorithms() {
                    for message in [&b""[..], b"sample", &[0x5a; 1000]] {
                        let signature = key.sign(algorithm, message).unwrap();
                        for verifier in providers() {
                            let Some(verifier) = verifier.signature(algorithm) else {
                                assert!(verifier.fips());
                                continue;
                            };
                            let verdict = verifier.verify(key.public_key(), message, &signature);
                            assert_eq!(verdict, Ok(()), "{algorithm}");
                            let other = verifier.verify(key.public_key(), b"other", &signature);
                            assert_eq!(other, Err(CryptoError::InvalidSignature));
                            seen += 1;
                        }
                    }
                }
                let unknown = key.sign("ssh-unknown", b"");
                assert_eq!(unknown, Err(CryptoError::Unsupported));
            }
        }
    }
    assert!(seen > 0);
}

/// Certificates of keys of every type: all providers verify with the key inside, and by its own
/// algorithm alone.
#[test]
fn certified_keys_are_verified_with() {
    for signer in providers() {
        let mut keys = generated(&signer);
        let certifies = |key: &PrivateKey| !matches!(key, PrivateKey::Dsa { .. });
        keys.retain(certifies);
        let authority = signer.signing_key(&keys[0]).unwrap();
        for private in keys {
            let key = signer.signing_key(&private).unwrap();
            let certificate = CertificateBuilder::user(key.public_key().clone(), "id")
                .principal("ferris")
                .sign(&*authority, authority.algorithms()[0], &mut OsRandom)
                .unwrap();
            let certified = CertifiedKey::new(key, certificate).unwrap();
            for name in certified.algorithms() {
                let signature = certified.sign(name, b"sample").unwrap();
                for verifier in providers() {
                    let Some(algorithm) = verifier.signature(name) else {
                        assert!(verifier.fips());
                        continue;
                    };
                    let verify =
                        |key: &PublicKey, message| algorithm.verify(key, message, &signature);
                    assert_eq!(algorithm.signature_name(), signature.algorithm());
                    assert_eq!(verify(certified.public_key(), b"sample"), Ok(()), "{name}");
                    let refused = verify(certified.public_key(), b"Sample");
                    assert_eq!(refused, Err(CryptoError::InvalidSignature), "{name}");
                    let refused = verify(&private.public_key(), b"sample");
                    assert_eq!(refused, Err(CryptoError::InvalidKey), "{name}");
                }
            }
        }
    }
}

/// RFC 8032 section 7.1, tests 1 to 3: Ed25519 is deterministic, so signatures are known, too.
#[test]
fn rfc_8032() {
    let cases = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            &[][..],
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
             5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            &[0x72],
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (SEED, PUBLIC, &MESSAGE, SIGNATURE),
    ];
    for provider in providers() {
        for (seed, public, message, signature) in cases {
            let Ok(key) = provider.signing_key(&ed25519(seed, public)) else {
                assert!(provider.fips());
                continue;
            };
            let signed = key.sign(ED25519, message).unwrap();
            assert_eq!(signed, Signature::new(ED25519, &hex(signature)));
            let algorithm = provider.signature(ED25519).unwrap();
            assert_eq!(algorithm.verify(key.public_key(), message, &signed), Ok(()));
        }
    }
}

/// A key on this curve whose scalar begins with a zero.
fn with_zero(provider: &CryptoProvider, curve: EcdsaCurve) -> (Vec<u8>, Vec<u8>) {
    loop {
        let made = provider.keys.generate(curve.key_type(), &mut OsRandom);
        let PrivateKey::Ecdsa { public, scalar, .. } = made.unwrap() else {
            panic!("another type");
        };
        if scalar[0] == 0 {
            return (public, scalar.to_vec());
        }
    }
}

/// What a key holds must belong together, and be of its length.
#[test]
fn keys_must_fit_together() {
    for provider in providers() {
        let mut mixed = Vec::new();
        for private in generated(&provider) {
            match private {
                PrivateKey::Ed25519 { seed, .. } => {
                    let other = provider.keys.generate(ED25519, &mut OsRandom).unwrap();
                    let PrivateKey::Ed25519 { public, .. } = other else {
                        panic!("another type");
                    };
                    mixed.push(PrivateKey::Ed25519 { public, seed });
                }
                PrivateKey::Ecdsa { curve, public, .. } => {
                    let (own, scalar) = with_zero(&provider, curve);
                    let ecdsa = |public: &[u8], scalar: &[u8]| PrivateKey::Ecdsa {
                        curve,
                        public: public.to_vec(),
                        scalar: scalar.to_vec().into(),
                    };
                    assert!(provider.signing_key(&ecdsa(&own, &scalar)).is_ok());
                    mixed.extend([
                        ecdsa(&public, &scalar),
                        ecdsa(&own[..own.len() - 1], &scalar),
                        ecdsa(&[], &scalar),
                        ecdsa(&own, &[]),
                        ecdsa(&own, &scalar[1..]),
                        ecdsa(&own, &[&[0], &scalar[..]].concat()),
                        ecdsa(&own, &vec![0; scalar.len()]),
                        ecdsa(&own, &vec![0xff; scalar.len()]),
                    ]);
                }
                _ => {}
            }
        }
        for mixed in mixed {
            let refused = provider.signing_key(&mixed).err();
            assert_eq!(refused, Some(CryptoError::InvalidKey), "{}", provider.name);
        }
    }
}

/// Nothing of the key is shown.
#[test]
fn private_keys_are_not_shown() {
    for provider in providers() {
        for private in generated(&provider) {
            let key = provider.signing_key(&private).unwrap();
            let secret = match &private {
                PrivateKey::Ed25519 { seed, .. } => seed.to_vec(),
                PrivateKey::Ecdsa { scalar, .. } => scalar.to_vec(),
                PrivateKey::Rsa { prime_p, .. } => prime_p.to_vec(),
                PrivateKey::Dsa { secret, .. } => secret.to_vec(),
                PrivateKey::Mldsa44Ed25519 { seeds, .. } => seeds.to_vec(),
                _ => panic!("another type"),
            };
            let shown = format!("{key:?} {private:?}");
            assert!(!shown.contains(&format!("{secret:?}")[1..20]));
            assert!(!shown.contains(&format!("{secret:02x?}")[1..20]));
        }
    }
}

const SEED: &str = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";
const PUBLIC: &str = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
const MESSAGE: [u8; 2] = [0xaf, 0x82];
const SIGNATURE: &str = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                         18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";

fn ed25519_key(public: &[u8]) -> PublicKey {
    PublicKey::ed25519(public.try_into().unwrap())
}

/// D2: wrong, truncated, padded, S not below the order of the group, R of small order.
#[test]
fn d2_bad_ed25519_signatures_are_refused() {
    let good = hex(SIGNATURE);
    let key = ed25519_key(&hex(PUBLIC));
    for algorithm in algorithms(ED25519) {
        let verify = |blob: &[u8]| {
            let signature = Signature::new(ED25519, blob);
            algorithm.verify(&key, &MESSAGE, &signature)
        };
        assert_eq!(verify(&good), Ok(()));
        for bit in 0..512 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&bad), Err(CryptoError::InvalidSignature), "{bit}");
        }
        let s_too_large = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                           05d391b0a77904e98404ef037747a56e4a7c15e9716ed28dc027beceea1ec41a";
        // Made with the private key so that the equation holds for R of order one.
        let small_r = "0100000000000000000000000000000000000000000000000000000000000000\
                       89653588ead4771e2326253c8cc167ed5f891f0c238314c9d136bb6e54f2f206";
        let mut bad = vec![
            [&good[..], &[0]].concat(),
            vec![0; 64],
            hex(s_too_large),
            hex(small_r),
        ];
        bad.extend((0..64).map(|len| good[..len].to_vec()));
        for bad in bad {
            assert_eq!(verify(&bad), Err(CryptoError::InvalidSignature), "{bad:x?}");
        }
    }
}

/// D2: keys of small order, which would verify anything, whatever their encoding, and malformed ones.
#[test]
fn d2_bad_ed25519_keys_are_refused() {
    // The eight points; then the identity and the point of order two with the sign of zero set, and
    // y of p and p + 1 with either sign.
    let small = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    let mut keys: Vec<_> = small.iter().map(|point| ed25519_key(&hex(point))).collect();
    let public = hex(PUBLIC);
    for (name, value, rest) in [
        ("ssh-ed448", &public[..], &[][..]),
        (ED25519, &public[..31], &[]),
        (ED25519, &public[..0], &[]),
        (ED25519, &[&public[..], &[0]].concat(), &[]),
        (ED25519, &public, &[0]),
    ] {
        let mut blob = BytesMut::new();
        put_string(&mut blob, name.as_bytes());
        put_string(&mut blob, value);
        blob.extend_from_slice(rest);
        keys.push(PublicKey::from_blob(blob.freeze()).unwrap());
    }
    let mut identity = [0; 64];
    identity[0] = 1;
    for algorithm in algorithms(ED25519) {
        for signature in [&identity[..], &hex(SIGNATURE)] {
            let signature = Signature::new(ED25519, signature);
            for key in &keys {
                let refused = algorithm.verify(key, &MESSAGE, &signature);
                assert_eq!(
                    refused,
                    Err(CryptoError::InvalidKey),
                    "{:x?}",
                    key.as_blob()
                );
            }
            // Not the y of any point: not every library says which of the two is at fault.
            let mut bytes = [0; 32];
            bytes[0] = 2;
            let refused = algorithm.verify(&ed25519_key(&bytes), &MESSAGE, &signature);
            assert!(refused.is_err());
        }
    }
}

fn mpints(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut blob = BytesMut::new();
    put_mpint(&mut blob, r);
    put_mpint(&mut blob, s);
    blob.to_vec()
}

fn strings(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut blob = BytesMut::new();
    put_string(&mut blob, r);
    put_string(&mut blob, s);
    blob.to_vec()
}

/// RFC 6979 appendix A.2.5 to A.2.7, "sample" under the hash of the curve: point, r, s, order.
fn ecdsa_cases() -> [(EcdsaCurve, [Vec<u8>; 4]); 3] {
    [
        (
            EcdsaCurve::Nistp256,
            [
                "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                 7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
                "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
                "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
                "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
            ]
            .map(hex),
        ),
        (
            EcdsaCurve::Nistp384,
            [
                "04ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64\
                 def8f0ea9055866064a254515480bc138015d9b72d7d57244ea8ef9ac0c62189\
                 6708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
                "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c\
                 81a648152e44acf96e36dd1e80fabe46",
                "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f\
                 a329c145786e679e7b82c71a38628ac8",
                "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
                 581a0db248b0a77aecec196accc52973",
            ]
            .map(hex),
        ),
        (
            EcdsaCurve::Nistp521,
            [
                "0401894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd37\
                 1123d46e45db6b5d5370a7f20fb633155d38ffa16d2bd761dcac474b9a2f5023a4\
                 00493101c962cd4d2fddf782285e64584139c2f91b47f87ff82354d6630f746a28\
                 a0db25741b5b34a828008b22acc23f924faafbd4d33f81ea66956dfeaa2bfdfcf5",
                "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e\
                 25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa",
                "00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af2826\
                 23eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a",
                "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa\
                 51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
            ]
            .map(hex),
        ),
    ]
}

/// D2: zero, negative, padded, too large and swapped numbers, and every flipped bit.
#[test]
fn d2_bad_ecdsa_signatures_are_refused() {
    for (curve, [point, r, s, n]) in ecdsa_cases() {
        let name = curve.key_type();
        let key = PublicKey::ecdsa(curve, &point);
        let good = mpints(&r, &s);
        let zeros = vec![0; r.len()];
        let mut bad = vec![
            mpints(&[], &s),
            mpints(&r, &[]),
            mpints(&[], &[]),
            mpints(&n, &s),
            mpints(&r, &n),
            mpints(&vec![0xff; r.len()], &s),
            mpints(&r, &vec![0xff; r.len()]),
            mpints(&[&[1], &zeros[..]].concat(), &s),
            mpints(&r, &[&[1], &zeros[..]].concat()),
            mpints(&s, &r),
            // With a needless zero in front, without a needed one, and zero as a byte.
            strings(&[&[0, 0], &r[..]].concat(), &[&[0, 0], &s[..]].concat()),
            strings(&[0xff; 32], &s),
            strings(&[0], &s),
            [&good[..], &[0]].concat(),
            [&r[..], &s].concat(),
        ];
        bad.extend((0..good.len()).map(|len| good[..len].to_vec()));
        bad.extend((0..good.len() * 8).step_by(3).map(|bit| {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            bad
        }));
        for algorithm in algorithms(name) {
            let verify = |message: &[u8], blob: &[u8]| {
                algorithm.verify(&key, message, &Signature::new(name, blob))
            };
            assert_eq!(verify(b"sample", &good), Ok(()), "{name}");
            let other = verify(b"Sample", &good);
            assert_eq!(other, Err(CryptoError::InvalidSignature));
            for bad in &bad {
                let refused = verify(b"sample", bad);
                assert_eq!(refused, Err(CryptoError::InvalidSignature), "{bad:x?}");
            }
        }
    }
}

/// D2: type and curve must agree, and the point must be an uncompressed one on the curve.
#[test]
fn d2_bad_ecdsa_keys_are_refused() {
    for (curve, [point, r, s, _]) in ecdsa_cases() {
        let (name, short) = (curve.key_type(), curve.name());
        let compressed = [
            &[2 + (point[point.len() - 1] & 1)],
            &point[1..=curve.field_len()],
        ];
        let compressed = compressed.concat();
        let hybrid = [&[6 + (point[point.len() - 1] & 1)], &point[1..]].concat();
        let mut off = point.clone();
        *off.last_mut().unwrap() ^= 1;
        let zero = [&[4][..], &vec![0; 2 * curve.field_len()]].concat();
        let signature = Signature::new(name, &mpints(&r, &s));
        for (key_type, curve, point, rest) in [
            ("ecdsa-sha2-nistp224", short, &point, &[][..]),
            (name, "nistp224", &point, &[]),
            (name, "", &point, &[]),
            (name, short, &compressed, &[]),
            (name, short, &hybrid, &[]),
            (name, short, &off, &[]),
            (name, short, &zero, &[]),
            (name, short, &vec![], &[]),
            (name, short, &vec![0], &[]),
            (name, short, &point[..point.len() - 1].to_vec(), &[]),
            (name, short, &point, &[0]),
        ] {
            let mut blob = BytesMut::new();
            for part in [key_type.as_bytes(), curve.as_bytes(), point] {
                put_string(&mut blob, part);
            }
            blob.extend_from_slice(rest);
            let key = PublicKey::from_blob(blob.freeze()).unwrap();
            for algorithm in algorithms(name) {
                let refused = algorithm.verify(&key, b"sample", &signature);
                assert_eq!(
                    refused,
                    Err(CryptoError::InvalidKey),
                    "{:x?}",
                    key.as_blob()
                );
            }
        }
    }
}

/// D2: another algorithm's name, bytes behind the blob, a blob shorter than what follows.
#[test]
fn d2_signature_framing_is_strict() {
    for provider in providers() {
        for private in generated(&provider) {
            let key = provider.signing_key(&private).unwrap();
            for name in key.algorithms() {
                let Some(algorithm) = provider.signature(name) else {
                    continue;
                };
                let good = key.sign(name, b"sample").unwrap();
                let verify = |encoded: Vec<u8>| {
                    let signature = Signature::from_encoded(encoded).unwrap();
                    algorithm.verify(key.public_key(), b"sample", &signature)
                };
                let encoded = good.as_encoded().to_vec();
                assert_eq!(verify(encoded.clone()), Ok(()));
                let mut short = encoded.clone();
                let length = short[4 + name.len()..].first_chunk_mut::<4>().unwrap();
                *length = (u32::from_be_bytes(*length) - 1).to_be_bytes();
                let other = Signature::new("ssh-other", good.blob());
                for bad in [
                    [&encoded[..], &[0]].concat(),
                    short,
                    other.as_encoded().to_vec(),
                ] {
                    assert_eq!(verify(bad), Err(CryptoError::InvalidSignature), "{name}");
                }
            }
        }
    }
}

/// A key that none knows is said to be unsupported, as by RustCrypto.
#[test]
fn unknown_key_types_are_unsupported() {
    for provider in providers() {
        let unknown = provider.keys.generate("ssh-unknown", &mut OsRandom).err();
        assert_eq!(unknown, Some(CryptoError::Unsupported));
    }
    assert!(!generated(&rustcrypto::provider()).is_empty());
}
