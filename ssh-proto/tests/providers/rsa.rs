//! RSA of each provider: known signatures of keys of many sizes, signatures and keys that must be refused, and parts that must fit together.
//!
//! A provider's library takes some of the sizes and leaves the others to RustCrypto; none must show.

use bytes::BytesMut;
use ssh_proto::crypto::{PrivateKey, PublicKey, Signature, SignatureAlgorithm};
use ssh_proto::error::CryptoError;
use ssh_proto::wire::put_string;

use crate::suite::sha256;
use crate::{algorithms, hex, providers};

/// Numbers of a key (n, e, d, p, q, the inverse of q), and the SHA-256 of its two signatures of
/// "sample", under SHA-256 and SHA-512, by `cryptography` (Python):
/// `rsa.generate_private_key(e, bits)`, `sign(b"sample", padding.PKCS1v15(), hash)`. The sizes are
/// 1024, 2048 three times (the second with p below q, the third with an exponent of 3), 2056, 2112,
/// 2176, 3072, 4096 and 8192 bits: primes end within a word of 64 bits, moduli do, or neither.
const KEYS: &str = include_str!("rsa_keys.txt");

const SIZES: [usize; 10] = [1024, 2048, 2048, 2048, 2056, 2112, 2176, 3072, 4096, 8192];

struct Known {
    /// n, e, d, p, q, the inverse of q.
    numbers: [Vec<u8>; 6],
    signatures: Vec<u8>,
}

fn private_key(numbers: [Vec<u8>; 6]) -> PrivateKey {
    let [modulus, exponent, d, p, q, coefficient] = numbers;
    PrivateKey::Rsa {
        modulus,
        exponent,
        private_exponent: d.into(),
        prime_p: p.into(),
        prime_q: q.into(),
        coefficient: coefficient.into(),
    }
}

fn known() -> impl Iterator<Item = Known> {
    KEYS.lines().map(|line| {
        let mut fields = line.split(' ').map(hex);
        let numbers = [(); 6].map(|()| fields.next().unwrap());
        let signatures = fields.next().unwrap();
        Known {
            numbers,
            signatures,
        }
    })
}

/// A key of 2048 bits, which all libraries take.
pub fn key() -> PrivateKey {
    private_key(known().nth(1).unwrap().numbers)
}

#[test]
fn signatures_are_those_of_others() {
    let mut sizes = Vec::new();
    for known in known() {
        let private = private_key(known.numbers.clone());
        let bits = private.public_key().rsa_bits().unwrap();
        sizes.push(bits);
        for provider in providers().iter().filter(|provider| !provider.fips()) {
            let key = provider.signing_key(&private).unwrap();
            assert_eq!(*key.public_key(), private.public_key());
            let sign = |name: &str| key.sign(name, b"sample").unwrap();
            let signatures = ["rsa-sha2-256", "rsa-sha2-512"].map(sign);
            let blobs = signatures.each_ref().map(|signature| signature.blob());
            let name = provider.name;
            assert_eq!(sha256(&blobs), known.signatures, "{name} {bits}");
            for signature in &signatures {
                for algorithm in algorithms(signature.algorithm()) {
                    let verify = |message| algorithm.verify(key.public_key(), message, signature);
                    assert_eq!(verify(b"sample"), Ok(()), "{name} {bits}");
                    assert_eq!(verify(b"Sample"), Err(CryptoError::InvalidSignature));
                }
            }
        }
    }
    assert_eq!(sizes, SIZES);
}

/// `ssh-rsa` is there with `legacy` alone, and only on request.
#[test]
fn sha1_is_left_to_rustcrypto() {
    for provider in providers().iter().filter(|provider| !provider.fips()) {
        assert!(provider.signatures.iter().all(|a| a.name() != "ssh-rsa"));
        let key = provider.signing_key(&key()).unwrap();
        let signature = key.sign("ssh-rsa", b"sample");
        let mut names = key.algorithms().to_vec();
        names.retain(|name| *name != "ssh-rsa");
        assert_eq!(names, ["rsa-sha2-512", "rsa-sha2-256"]);
        if cfg!(feature = "legacy") {
            let signature = signature.unwrap();
            for algorithm in algorithms("ssh-rsa") {
                let verdict = algorithm.verify(key.public_key(), b"sample", &signature);
                assert_eq!(verdict, Ok(()));
            }
        } else {
            assert_eq!(signature, Err(CryptoError::Unsupported));
            assert!(algorithms("ssh-rsa").is_empty());
        }
    }
}

fn good(message: &[u8]) -> Vec<u8> {
    let key = providers()[0].signing_key(&key()).unwrap();
    let signature = key.sign("rsa-sha2-256", message).unwrap();
    signature.blob().to_vec()
}

fn verify(
    algorithm: &dyn SignatureAlgorithm,
    message: &[u8],
    blob: &[u8],
) -> Result<(), CryptoError> {
    let signature = Signature::new(algorithm.name(), blob);
    algorithm.verify(&key().public_key(), message, &signature)
}

/// D3: OpenSSH leaves out leading zeros.
#[test]
fn d3_short_signatures_are_padded() {
    // Of "20" it begins with one.
    let padded = good(b"20");
    let short = &padded[1..];
    assert_eq!(padded[0], 0);
    for algorithm in algorithms("rsa-sha2-256") {
        for good in [&padded, short] {
            assert_eq!(verify(algorithm, b"20", good), Ok(()));
        }
        for bad in [&[&[0], &padded[..]].concat()[..], &short[1..], &[]] {
            let refused = verify(algorithm, b"20", bad);
            assert_eq!(refused, Err(CryptoError::InvalidSignature));
        }
    }
}

/// D1, D2: another algorithm's name or signature, bit flips, cuts, values from n on.
#[test]
fn d2_bad_signatures_are_refused() {
    let good = good(b"sample");
    let modulus = known().nth(1).unwrap().numbers[0].clone();
    let one = [&vec![0; good.len() - 1][..], &[1]].concat();
    let mut bad = vec![modulus, vec![0xff; 256], vec![0; 256], one, vec![]];
    bad.push([&good[..], &[0]].concat());
    bad.push([&[0], &good[..]].concat());
    bad.extend((0..good.len()).step_by(9).map(|len| good[..len].to_vec()));
    bad.extend((0..good.len() * 8).step_by(7).map(|bit| {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    }));
    for algorithm in algorithms("rsa-sha2-256") {
        assert_eq!(verify(algorithm, b"sample", &good), Ok(()));
        for bad in &bad {
            let refused = verify(algorithm, b"sample", bad);
            assert_eq!(refused, Err(CryptoError::InvalidSignature), "{bad:x?}");
        }
        for name in [
            "ssh-rsa",
            "rsa-sha2-512",
            "rsa-sha2-256-cert-v01@openssh.com",
        ] {
            let signature = Signature::new(name, &good);
            let refused = algorithm.verify(&key().public_key(), b"sample", &signature);
            assert_eq!(refused, Err(CryptoError::InvalidSignature));
        }
    }
    for algorithm in algorithms("rsa-sha2-512") {
        let refused = verify(algorithm, b"sample", &good);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }
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
    let mut even = odd(2048);
    *even.last_mut().unwrap() ^= 1;
    let e = [1, 0, 1];
    let mut keys = vec![
        PublicKey::rsa(&e, &odd(512)),
        PublicKey::rsa(&e, &odd(1023)),
        PublicKey::rsa(&e, &even),
        PublicKey::rsa(&e, &[]),
        PublicKey::rsa(&[], &odd(2048)),
        PublicKey::rsa(&[1], &odd(2048)),
        PublicKey::rsa(&[2], &odd(2048)),
        PublicKey::rsa(&[1, 0, 0], &odd(2048)),
        PublicKey::rsa(&odd(33), &odd(2048)),
        PublicKey::rsa(&odd(4096), &odd(8192)),
        PublicKey::rsa(&e, &odd(16385)),
        PublicKey::ed25519(&[7; 32]),
    ];
    // Negative, not minimal, trailing bytes.
    let modulus = odd(2048);
    for (exponent, modulus, rest) in [
        (&[1, 0, 1][..], &modulus[..], &[][..]),
        (&[1, 0, 1], &[&[0, 0], &modulus[..]].concat(), &[]),
        (&[0, 3], &[&[0], &modulus[..]].concat(), &[]),
        (&[1, 0, 1], &[&[0], &modulus[..]].concat(), &[0]),
    ] {
        let mut blob = BytesMut::new();
        for part in [b"ssh-rsa", exponent, modulus] {
            put_string(&mut blob, part);
        }
        blob.extend_from_slice(rest);
        keys.push(PublicKey::from_blob(blob.freeze()).unwrap());
    }
    for algorithm in algorithms("rsa-sha2-256") {
        for (i, key) in keys.iter().enumerate() {
            let signature = Signature::new("rsa-sha2-256", &[1; 64]);
            let refused = algorithm.verify(key, b"sample", &signature);
            assert_eq!(refused, Err(CryptoError::InvalidKey), "{i}");
        }
    }
}

/// D3: keys that are no product of two primes, of every size and with the longest exponent, are
/// computed with and fit no signature; the costliest of them is done with soon.
#[test]
fn d3_odd_keys_verify_nothing() {
    for algorithm in algorithms("rsa-sha2-512") {
        for bits in [
            1024, 2047, 2048, 2049, 2056, 2111, 2112, 4095, 8191, 8192, 8193, 16384,
        ] {
            let key = PublicKey::rsa(&[0xff; 4], &odd(bits));
            for len in [0, 1, bits.div_ceil(8)] {
                let start = std::time::Instant::now();
                let signature = Signature::new("rsa-sha2-512", &vec![0x01; len]);
                let refused = algorithm.verify(&key, b"sample", &signature);
                assert_eq!(refused, Err(CryptoError::InvalidSignature), "{bits} {len}");
                // Milliseconds, with much room for slow machines.
                assert!(start.elapsed() < std::time::Duration::from_secs(2));
            }
        }
    }
}

#[test]
fn the_longest_keys_are_verified_with() {
    let key = include_bytes!("../../src/crypto/rustcrypto/testdata/rsa16384.key");
    let signature = include_bytes!("../../src/crypto/rustcrypto/testdata/rsa16384.sig");
    let key = PublicKey::from_blob(&key[..]).unwrap();
    let signature = Signature::from_encoded(&signature[..]).unwrap();
    for algorithm in algorithms("rsa-sha2-512") {
        assert_eq!(algorithm.verify(&key, b"sample", &signature), Ok(()));
        let refused = algorithm.verify(&key, b"Sample", &signature);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }
}

/// M4: every number of a private key has to fit the others.
#[test]
fn m4_keys_must_fit_together() {
    type Change = fn(&mut [Vec<u8>; 6]);
    let changes: [Change; 15] = [
        |parts| parts[0][20] ^= 1,
        |parts| parts[0][255] ^= 1,
        |parts| parts[1] = vec![3],
        |parts| parts[1] = vec![1, 0, 0],
        |parts| parts[2][127] ^= 2,
        |parts| parts[2] = vec![1],
        |parts| parts[3][63] ^= 2,
        |parts| (parts[3], parts[4]) = (parts[0].clone(), vec![1]),
        |parts| parts.swap(3, 4),
        |parts| parts[4] = parts[3].clone(),
        |parts| (parts[3], parts[4]) = (vec![], vec![]),
        |parts| parts[5][63] ^= 1,
        |parts| parts[5] = vec![],
        |parts| parts[2] = vec![],
        |parts| parts.fill(vec![0]),
    ];
    let numbers = known().nth(1).unwrap().numbers;
    for provider in providers().iter().filter(|provider| !provider.fips()) {
        for (i, change) in changes.iter().enumerate() {
            let mut changed = numbers.clone();
            change(&mut changed);
            let refused = provider.signing_key(&private_key(changed)).err();
            assert_eq!(refused, Some(CryptoError::InvalidKey), "{i}");
        }
    }
}
