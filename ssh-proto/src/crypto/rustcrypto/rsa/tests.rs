//! Tests of RSA.

use std::format;

use bytes::BytesMut;

use super::*;
use crate::crypto::rustcrypto::testing::{Script, counting, hex};
use crate::wire::put_string;

/// A key of 1024 bits and what it signs, by `cryptography` (Python): numbers of
/// `rsa.generate_private_key(65537, 1024)`, signatures of "sample" with `padding.PKCS1v15()`.
const N: &str = "ab3a5b2d286e7b8e2febb4309b8af0a6ca8fc84e2ef43281a6ee8d56307f079d5e1ca8a933112cddbf\
                 5de475001608047c32ccc6fca1f086337294186019b9e39abd7053648a6ced58edb4c4d3b141bf9810\
                 a77991c6cfb21c0e69cc0418e1ff1c434f9bccfa0b7008e7306e350b3f93f3c17ee423c85cbb3959b0\
                 9ca74feb9f";
const D: &str = "a148b78742b546b678d6f9046c0ea47d4701c63836ac1842dd9d880dee624926e6f5f1bc6678c01d23\
                 5b6a8cf686ca08878046390ccff0c248059e0f93bdc7c45c9989800ed7186f937d528e74a59edc5f38\
                 a7f5158e5902e50460f21fd4ee6bb5b53ea97791743dcfebb4c43fc7df372f878cbe1d00de6f131b7d\
                 4296357f79";
const P: &str = "d220ce9ce578a9ea148e84cf23579afef9b385c6ea3c91ee94b2538cce9d5e35dab2a4bdeb59295f3e\
                 0d45408dafd817902771d4cea4eabed3db2139228fe8d5";
const Q: &str = "d09b93f3593098004d612c6f8821cd21073effa4c171d67b2acd16defb7612a604afdd2dfbfdcd5670\
                 e55eb1a38a9180d92239ca85a4630b5f8ec1c21909fca3";
const INVERSE: &str = "745cd3e129898018615aafcffaf4bea47492686648e147e5ad61029a9efa8cc8be57ac28fd89\
                       951a3ae8e3418af03c13c1be16a884f2c91e0a065eeae232a77f";
const SHA256: &str = "3fbc6193794a6512fe2d418408d38c316f22b51a21def482e4f46c3582c48636080ddd5e41bde\
                      4998067d8a2cff61d19445bc8c3e31ec075282a640f89a53ce89031c26d5c0a894c5105c27af4\
                      5e89ae0c5415d0ca085627d81739838e047ef7618f67b49a5081425492d7ae5dc44e73c14893b\
                      4a3d687e62caab6c33e7d5e52";
const SHA512: &str = "6f585231b9bf279a7a435c42897dca29b01c996d283248779c020b63e089e6148a7c897ef449d\
                      3a11c4f44ff2a679a06bbf33a9588a2f2bda6e230b666120654164291bc9332988d7cc870beb9\
                      53ac0b79479f8885a7290f456bd432eee03774fac8d84ece12788ecb8ec981b607bd7e056c982\
                      22d0a32cded4e2a8dae6de564";
/// Of "399" under SHA-256; it begins with a zero.
const SHORT: &str = "9d7924750a124db3f190a03d17082a83d04c32a1536f46e61b64ee1b55a24850302779b1ae223a\
                     5c6ab3ccf3d431bdc90046968a244d90506afd3bfd294499392b7bdefdb85a2a0cb6576d7cdd15\
                     ce6e9443ba85d5801442929683d6bc7209fc815f916d58aba9a83fb3a32af8419605e7be779e52\
                     2128d935099063f86b81";

fn private() -> PrivateKey {
    let secret = |text| Zeroizing::new(hex(text));
    PrivateKey::Rsa {
        modulus: hex(N),
        exponent: vec![1, 0, 1],
        private_exponent: secret(D),
        prime_p: secret(P),
        prime_q: secret(Q),
        coefficient: secret(INVERSE),
    }
}

fn key() -> PublicKey {
    PublicKey::rsa(&[1, 0, 1], &hex(N))
}

fn verify(algorithm: &RsaPkcs1, message: &[u8], blob: &[u8]) -> Result<(), CryptoError> {
    let signature = Signature::new(algorithm.name(), blob);
    algorithm.verify(&key(), message, &signature)
}

#[test]
fn signatures_are_those_of_others() {
    let signing = RsaKey::new(&private()).unwrap();
    assert_eq!(signing.public_key(), &key());
    for (algorithm, expected) in [(&RSA_SHA2_256, SHA256), (&RSA_SHA2_512, SHA512)] {
        // Blinded by another factor each time, and still the same.
        for _ in 0..2 {
            let signature = signing.sign(algorithm.name(), b"sample").unwrap();
            assert_eq!(signature, Signature::new(algorithm.name(), &hex(expected)));
        }
        assert_eq!(verify(algorithm, b"sample", &hex(expected)), Ok(()));
        let refused = verify(algorithm, b"Sample", &hex(expected));
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }
    let refused = signing.sign("ssh-ed25519", b"sample");
    assert_eq!(refused, Err(CryptoError::Unsupported));
    assert!(!format!("{signing:?}").contains("private"));
}

/// `ssh-rsa` is there with `legacy` alone, and only on request.
#[test]
fn sha1_is_not_offered() {
    let provider = crate::crypto::rustcrypto::provider();
    assert!(provider.signatures.iter().all(|a| a.name() != "ssh-rsa"));
    let signature = RsaKey::new(&private()).unwrap().sign("ssh-rsa", b"sample");
    #[cfg(not(feature = "legacy"))]
    {
        assert!(provider.signature("ssh-rsa").is_none());
        assert_eq!(signature, Err(CryptoError::Unsupported));
    }
    #[cfg(feature = "legacy")]
    {
        const SHA1: &str = "0cc1c7a93abe7e5663f134af85aa8969abaf2a9061125a77ec192aaac32a0efffb6d76\
                            593812b8481c3c56f09dda77ad8e665f27697664c322d3a44c5e3f49620d2c2a37234a\
                            ff79504c4b86868167132fa9d8201d9329e0c3c95556a194b1dd65ac42c2988653fb85\
                            c64976995725385f8687f3700cb4c97aff500d2335e5fe";
        let expected = Signature::new("ssh-rsa", &hex(SHA1));
        assert_eq!(signature, Ok(expected.clone()));
        let algorithm = provider.signature("ssh-rsa").unwrap();
        assert_eq!(algorithm.verify(&key(), b"sample", &expected), Ok(()));
    }
}

/// D9: a signature that is right modulo one of the primes alone never leaves.
#[test]
fn d9_faulty_signatures_do_not_leave() {
    let signing = RsaKey::new(&private()).unwrap();
    let sign = |blob: Vec<u8>| signing.sign_by(Hash::Sha256, b"sample", |_| Ok(blob));
    assert!(sign(hex(SHA256)).is_ok());
    // Right modulo p, wrong modulo q: what a fault in half of the computation yields.
    let (good, p) = (number(&hex(SHA256)).unwrap(), number(&hex(P)).unwrap());
    let modulus = ::rsa::BoxedUint::from_be_slice(&hex(N), 1024).unwrap();
    let modulus = Option::from(modulus.to_nz()).unwrap();
    let p = BoxedUint::from_be_slice(&p.to_be_bytes(), 1024).unwrap();
    let faulty = good.add_mod(&p, &modulus).to_be_bytes();
    assert_eq!(sign(faulty.into()), Err(CryptoError::Failed));
    assert_eq!(sign(vec![0; 128]), Err(CryptoError::Failed));
    assert_eq!(sign(hex(SHA512)), Err(CryptoError::Failed));
}

/// D3: OpenSSH leaves out leading zeros.
#[test]
fn d3_short_signatures_are_padded() {
    let short = hex(SHORT);
    assert_eq!(short.len(), 127);
    assert_eq!(verify(&RSA_SHA2_256, b"399", &short), Ok(()));
    let padded = [&[0], &short[..]].concat();
    assert_eq!(verify(&RSA_SHA2_256, b"399", &padded), Ok(()));
    for bad in [[&[0, 0], &short[..]].concat(), short[1..].to_vec(), vec![]] {
        let refused = verify(&RSA_SHA2_256, b"399", &bad);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }
}

/// D1, D2: another algorithm's name or signature, bit flips, cuts, values from n on.
#[test]
fn d2_bad_signatures_are_refused() {
    let good = hex(SHA256);
    let mut bad = vec![hex(SHA512), hex(N), vec![0xff; 128], vec![0; 128]];
    bad.push([&good[..], &[0]].concat());
    bad.extend((0..good.len()).step_by(9).map(|len| good[..len].to_vec()));
    bad.extend((0..good.len() * 8).step_by(7).map(|bit| {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    }));
    for bad in bad {
        let refused = verify(&RSA_SHA2_256, b"sample", &bad);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }
    for name in [
        "ssh-rsa",
        "rsa-sha2-512",
        "rsa-sha2-256-cert-v01@openssh.com",
    ] {
        let signature = Signature::new(name, &good);
        let refused = RSA_SHA2_256.verify(&key(), b"sample", &signature);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }
    let trailing = [Signature::new("rsa-sha2-256", &good).as_encoded(), &[0]].concat();
    let signature = Signature::from_encoded(trailing).unwrap();
    let refused = RSA_SHA2_256.verify(&key(), b"sample", &signature);
    assert_eq!(refused, Err(CryptoError::InvalidSignature));
}

/// A number of so many bits, odd.
fn odd(bits: usize) -> Vec<u8> {
    let mut number = vec![0x5a; bits.div_ceil(8)];
    number[0] = 1 << ((bits - 1) % 8);
    *number.last_mut().unwrap() |= 1;
    number
}

/// D3, G9: nothing is computed with a key whose size or exponent is out of bounds.
#[test]
fn d3_keys_out_of_bounds_are_refused() {
    let even = {
        let mut even = odd(2048);
        *even.last_mut().unwrap() ^= 1;
        even
    };
    let e = [1, 0, 1];
    let keys = [
        (PublicKey::rsa(&e, &odd(512)), Some(512)),
        (PublicKey::rsa(&e, &odd(1023)), Some(1023)),
        (PublicKey::rsa(&e, &even), Some(2048)),
        (PublicKey::rsa(&e, &[]), Some(0)),
        (PublicKey::rsa(&[], &odd(2048)), Some(2048)),
        (PublicKey::rsa(&[1], &odd(2048)), Some(2048)),
        (PublicKey::rsa(&[2], &odd(2048)), Some(2048)),
        (PublicKey::rsa(&[1, 0, 0], &odd(2048)), Some(2048)),
        (PublicKey::rsa(&odd(33), &odd(2048)), Some(2048)),
        (PublicKey::rsa(&odd(4096), &odd(8192)), Some(8192)),
        (PublicKey::rsa(&e, &odd(16385)), Some(16385)),
        // Longer than any mpint.
        (PublicKey::rsa(&e, &odd(65536)), None),
        (PublicKey::ed25519(&[7; 32]), None),
    ];
    for (key, bits) in keys {
        assert_eq!(key.rsa_bits(), bits);
        assert_eq!(key.is_well_formed(), key.key_type() == "ssh-ed25519");
        let signature = Signature::new("rsa-sha2-256", &[1; 64]);
        let refused = RSA_SHA2_256.verify(&key, b"sample", &signature);
        assert_eq!(refused, Err(CryptoError::InvalidKey));
    }
    for len in [1024, 2047, 2048, 16384] {
        let key = PublicKey::rsa(&e, &odd(len));
        assert_eq!(key.rsa_bits(), Some(len));
        assert!(key.is_well_formed());
    }
    // Negative, not minimal, trailing bytes.
    for (exponent, modulus, rest) in [
        (&[1, 0, 1][..], &hex(N)[..], &[][..]),
        (&[1, 0, 1], &[&[0, 0], &hex(N)[..]].concat(), &[]),
        (&[0, 3], &[&[0], &hex(N)[..]].concat(), &[]),
        (&[1, 0, 1], &[&[0], &hex(N)[..]].concat(), &[0]),
    ] {
        let mut blob = BytesMut::new();
        for part in [b"ssh-rsa", exponent, modulus] {
            put_string(&mut blob, part);
        }
        blob.extend_from_slice(rest);
        let key = PublicKey::from_blob(blob.freeze()).unwrap();
        assert_eq!(key.rsa_bits(), None);
        let signature = Signature::new("rsa-sha2-256", &hex(SHA256));
        let refused = RSA_SHA2_256.verify(&key, b"sample", &signature);
        assert_eq!(refused, Err(CryptoError::InvalidKey));
    }
}

/// D3: the costliest key there is, 16384 bits under an exponent of 32, is done with soon.
#[test]
fn d3_verifying_is_bounded() {
    let key = PublicKey::rsa(&[0xff; 4], &odd(16384));
    let signature = Signature::new("rsa-sha2-512", &[1; 2048]);
    let start = std::time::Instant::now();
    let refused = RSA_SHA2_512.verify(&key, b"sample", &signature);
    assert_eq!(refused, Err(CryptoError::InvalidSignature));
    // A few milliseconds, with much room for slow machines.
    assert!(start.elapsed() < std::time::Duration::from_secs(2));
}

#[test]
fn the_longest_keys_are_verified_with() {
    let key = PublicKey::from_blob(&include_bytes!("../testdata/rsa16384.key")[..]).unwrap();
    let signature = &include_bytes!("../testdata/rsa16384.sig")[..];
    let signature = Signature::from_encoded(signature).unwrap();
    assert_eq!(key.rsa_bits(), Some(16384));
    assert_eq!(RSA_SHA2_512.verify(&key, b"sample", &signature), Ok(()));
    let refused = RSA_SHA2_512.verify(&key, b"Sample", &signature);
    assert_eq!(refused, Err(CryptoError::InvalidSignature));
}

/// M4: every number of a private key has to fit the others.
#[test]
fn m4_keys_must_fit_together() {
    type Change = fn(&mut [Vec<u8>; 6]);
    let check = |change: Change| {
        let mut parts = [hex(N), vec![1, 0, 1], hex(D), hex(P), hex(Q), hex(INVERSE)];
        change(&mut parts);
        let [modulus, exponent, d, p, q, coefficient] = parts;
        RsaKey::new(&PrivateKey::Rsa {
            modulus,
            exponent,
            private_exponent: d.into(),
            prime_p: p.into(),
            prime_q: q.into(),
            coefficient: coefficient.into(),
        })
        .map(|_| ())
    };
    assert_eq!(check(|_| ()), Ok(()));
    let changes: [Change; 21] = [
        |parts| parts[0][20] ^= 1,
        |parts| parts[0][127] ^= 1,
        |parts| parts[1] = vec![3],
        |parts| parts[1] = vec![1, 0, 0],
        |parts| parts[1] = vec![1],
        |parts| parts[2][127] ^= 2,
        |parts| parts[2] = vec![1],
        |parts| parts[2].insert(0, 1),
        |parts| parts[3][63] ^= 2,
        |parts| parts[3] = vec![1],
        |parts| (parts[3], parts[4]) = (hex(N), vec![1]),
        |parts| (parts[3], parts[4]) = (vec![1], hex(N)),
        |parts| parts.swap(3, 4),
        |parts| parts[4] = hex(P),
        |parts| (parts[3], parts[4]) = (vec![], vec![]),
        |parts| parts[5][63] ^= 1,
        |parts| parts[5] = vec![],
        |parts| parts[5] = vec![0],
        |parts| parts[2] = vec![],
        |parts| parts[0] = vec![],
        |parts| parts.fill(vec![0]),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        assert_eq!(check(change), Err(CryptoError::InvalidKey), "{i}");
    }
    // p = q, with all else made to fit: there is no inverse.
    let square = |parts: &mut [Vec<u8>; 6]| {
        let p = BoxedUint::from_be_slice(&parts[3], 1024).unwrap();
        parts[0] = p.wrapping_square().to_be_bytes().into();
        parts[4] = parts[3].clone();
    };
    assert_eq!(check(square), Err(CryptoError::InvalidKey));
}

#[test]
fn generated_keys_sign() {
    let provider = crate::crypto::rustcrypto::provider();
    let make = |bits, random: &mut dyn SecureRandom| provider.keys.generate_rsa(bits, random);
    let private = make(2048, &mut Script(counting(0, 32))).unwrap();
    let public = private.public_key();
    assert_eq!(public.rsa_bits(), Some(2048));
    let again = make(2048, &mut Script(counting(0, 32))).unwrap();
    assert_eq!(again.public_key(), public);
    let signing = provider.signing_key(&private).unwrap();
    let signature = signing.sign("rsa-sha2-512", b"sample").unwrap();
    assert_eq!(RSA_SHA2_512.verify(&public, b"sample", &signature), Ok(()));
    for bits in [0, 1024, 2047, 16385, usize::MAX] {
        let refused = make(bits, &mut Script(counting(0, 32))).err();
        assert_eq!(refused, Some(CryptoError::Unsupported));
    }
    let refused = make(2048, &mut Script(vec![])).err();
    assert_eq!(refused, Some(CryptoError::RandomFailed));
}

/// Each signature draws a blinding factor of its own, also of the same message, and shows none.
#[test]
fn o2_each_signature_is_blinded_anew() {
    let key = RsaKey::new(&private()).unwrap();
    let drawn = |digest: &[u8]| {
        let mut bytes = [0; 32];
        let mut stream = key.blinding.stream(digest).unwrap();
        let Ok(()) = stream.try_fill_bytes(&mut bytes);
        bytes
    };
    let factors = [drawn(b"one"), drawn(b"one"), drawn(b"two")];
    assert!(factors[0] != factors[1] && factors[1] != factors[2] && factors[0] != factors[2]);
    let signed = |key: &RsaKey| key.sign("rsa-sha2-256", b"sample").unwrap();
    let before = key.blinding.used.load(Ordering::Relaxed);
    assert_eq!(signed(&key), signed(&key));
    assert_eq!(key.blinding.used.load(Ordering::Relaxed), before + 2);
    // Without it the factors would be known to whoever knows the digest.
    let other = Blinding::new(b"another exponent").unwrap();
    let mut bytes = [0; 32];
    let Ok(()) = other.stream(b"one").unwrap().try_fill_bytes(&mut bytes);
    assert_ne!(bytes, factors[0]);
}
