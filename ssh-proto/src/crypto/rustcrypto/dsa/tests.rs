//! Tests of DSA.

use alloc::vec;
use alloc::vec::Vec;
use std::format;

use zeroize::Zeroizing;

use super::*;
use crate::crypto::rustcrypto::testing::hex;

/// A key of ssh-keygen 9.2.
const P: &str = "9a91cc0643e8c5d9c6acdffbad70378db73be2df9f826d0c6305412540a27e6c684597f9df2fbe1dcd\
                 3eeb893dc951ad66ddd7f8111e7e3fe4a9758b98af1ee7819216edd260a587124611e4900bf5158f0d\
                 40c56be6923c63061f33ef5caca47182b527d3a1f529b70480c4478998c53e4a0d8857c69d83ed8c2d\
                 478fa52eaf";
const Q: &str = "877619489cd6969df0bd65f57637d2af2487c61b";
const G: &str = "73f0f7422591400373cbed0fd08a46ef061ae0c27c5546321038a3d4bbd5663a6eb0cb2ff72582c0bb\
                 073dad3257261b3234c4d738fb90581cd021836cccce7101e156af7b6c4283ceda15792d22ecf5f08b\
                 dba2b83eba1259c810cc2cd63142bef0cd2ac85dd071644884a0e1debf5517045501e92e02c1fca1e7\
                 cbd14caeb3";
const Y: &str = "58a15fd2d581f9a74eb93984441094ffd4cf950ef59466edc309483340edc26cf23826f50a6e576f9b\
                 aa0b38d5d570c53b3090abfaef049d4833d30140659c33e54b07770d9da48947544ba605641f69d5e4\
                 eac424c904d880783d693e2bb2f5ceb3328cdb2ba6f3bc4fe95af2fc67d1a5e8e151f81051d4001ead\
                 18fa26ef8b";
const X: &str = "59319c2314f6e0005693b8740f98eedf04d3856d";
/// Signatures of "sample": with a random nonce by `cryptography` (Python), and with that of
/// RFC 6979 section 3.2 by a few lines of Python, which `cryptography` verifies.
const RANDOM: &str =
    "26ac0f49b50944792c0c68a97c0440d360008906460903975febb0e2b33236e63d2f0f92a8ca3c03";
const DETERMINISTIC: &str =
    "69943481331e6686dcfb6aa3e4dcfb830fe6d86f4248f0850799771a9cd61bf47c6feb571cebaa89";

fn numbers() -> [Vec<u8>; 4] {
    [hex(P), hex(Q), hex(G), hex(Y)]
}

fn public([p, q, g, y]: &[Vec<u8>; 4]) -> PublicKey {
    PublicKey::dsa(p, q, g, y)
}

fn private([prime, subprime, generator, public]: [Vec<u8>; 4], secret: Vec<u8>) -> PrivateKey {
    PrivateKey::Dsa {
        prime,
        subprime,
        generator,
        public,
        secret: Zeroizing::new(secret),
    }
}

fn verify(message: &[u8], blob: &[u8]) -> Result<(), CryptoError> {
    SSH_DSS.verify(&public(&numbers()), message, &Signature::new(NAME, blob))
}

#[test]
fn signatures_are_those_of_others() {
    let key = DsaKey::new(&private(numbers(), hex(X))).unwrap();
    assert_eq!(key.public_key(), &public(&numbers()));
    let expected = Signature::new(NAME, &hex(DETERMINISTIC));
    assert_eq!(key.sign(NAME, b"sample"), Ok(expected));
    for good in [RANDOM, DETERMINISTIC] {
        assert_eq!(verify(b"sample", &hex(good)), Ok(()));
        let refused = verify(b"Sample", &hex(good));
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }
    for i in 0..20_u8 {
        let signature = key.sign(NAME, &[i]).unwrap();
        assert_eq!(verify(&[i], signature.blob()), Ok(()));
    }
    let refused = key.sign("ssh-rsa", b"sample");
    assert_eq!(refused, Err(CryptoError::Unsupported));
    assert!(!format!("{key:?}").contains("secret"));
}

#[test]
fn it_is_there_on_request_alone() {
    let provider = crate::crypto::rustcrypto::provider();
    assert!(provider.signatures.iter().all(|a| a.name() != NAME));
    assert!(provider.signature(NAME).is_some());
}

/// D2: zero, from q on, too short, too long, wrong.
#[test]
fn d2_bad_signatures_are_refused() {
    let good = hex(RANDOM);
    let (r, s) = good.split_at(SUBPRIME);
    let (zero, q) = (vec![0; SUBPRIME], hex(Q));
    let mut bad = vec![
        [&zero[..], s].concat(),
        [r, &zero].concat(),
        [&q[..], s].concat(),
        [r, &q].concat(),
        [s, r].concat(),
        vec![0xff; 40],
        [&good[..], &[0]].concat(),
        [&[0], &good[..]].concat(),
    ];
    bad.extend((0..good.len()).map(|len| good[..len].to_vec()));
    bad.extend((0..good.len() * 8).step_by(7).map(|bit| {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    }));
    for bad in bad {
        let refused = verify(b"sample", &bad);
        assert_eq!(refused, Err(CryptoError::InvalidSignature), "{bad:x?}");
    }
}

/// G9: sizes and ranges are looked at before anything is computed.
#[test]
fn g9_bad_keys_are_refused() {
    type Change = fn(&mut [Vec<u8>; 4]);
    let changes: [Change; 14] = [
        |numbers| numbers[0].truncate(64),
        |numbers| numbers[0] = [&numbers[0][..]; 8].concat(),
        |numbers| numbers[0][127] ^= 1,
        |numbers| numbers[0][0] = 0x7f,
        |numbers| numbers[1][19] ^= 1,
        |numbers| numbers[1][0] = 0x7f,
        |numbers| numbers[1].extend([1; 12]),
        |numbers| numbers[1].truncate(0),
        |numbers| numbers[2] = hex(P),
        |numbers| numbers[2].truncate(0),
        |numbers| numbers[3] = hex(P),
        |numbers| numbers[3].insert(0, 1),
        |numbers| numbers[3][127] ^= 1,
        |numbers| numbers[3] = vec![1],
    ];
    let signature = Signature::new(NAME, &hex(RANDOM));
    for (i, change) in changes.into_iter().enumerate() {
        let mut numbers = numbers();
        change(&mut numbers);
        let refused = SSH_DSS.verify(&public(&numbers), b"sample", &signature);
        assert_eq!(refused, Err(CryptoError::InvalidKey), "{i}");
        let refused = DsaKey::new(&private(numbers, hex(X))).err();
        assert_eq!(refused, Some(CryptoError::InvalidKey), "{i}");
    }
    let trailing = [public(&numbers()).as_blob(), &[0]].concat();
    let refused = SSH_DSS.verify(
        &PublicKey::from_blob(trailing).unwrap(),
        b"sample",
        &signature,
    );
    assert_eq!(refused, Err(CryptoError::InvalidKey));
}

#[test]
fn m4_keys_must_fit_together() {
    let mut other = hex(X);
    other[19] ^= 1;
    for secret in [other, vec![], vec![0], hex(Q), vec![0xff; 20], vec![1; 21]] {
        let refused = DsaKey::new(&private(numbers(), secret)).err();
        assert_eq!(refused, Some(CryptoError::InvalidKey));
    }
}
