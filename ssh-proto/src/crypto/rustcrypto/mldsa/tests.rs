//! Tests of ML-DSA-44 with Ed25519.

use alloc::vec;
use std::format;

use super::*;
use crate::crypto::rustcrypto::testing::{Script, hex};

/// Key and signature of `regress/unittests/sshsig/testdata` of OpenSSH 10.6, and what it signed.
const KEY: &[u8] = include_bytes!("../testdata/mldsa44-ed25519.key");
const SIGNATURE: &[u8] = include_bytes!("../testdata/mldsa44-ed25519.sig");
const MESSAGE: &str = "53534853494700000008756e6974746573740000000000000006736861353132000000402cbb\
                       bc660712c6de8cb05533ba26601ba1b031d27d77bc5e13b628448c3483d88727fc2c143ef5a3\
                       85a5c9ecef1561236ea434a82ec5c06a639235103fe35deb";
const SEEDS: &str = "1cd4be0539cf5e5ffc9d5d06135f9e53be8c3fa89ea2cb4d6422ecb68f882d6193b19830ebb6cd\
                     d1f771a4876d001f2abc6ea37ca19bd2f3346359078f607e30";

fn key() -> PublicKey {
    PublicKey::from_blob(KEY).unwrap()
}

fn signing_key() -> Mldsa44Ed25519Key {
    let public = read_key(&key()).unwrap().to_vec();
    Mldsa44Ed25519Key::new(&public, &hex(SEEDS).try_into().unwrap()).unwrap()
}

fn verify(message: &[u8], blob: &[u8]) -> Result<(), CryptoError> {
    SSH_MLDSA44_ED25519.verify(&key(), message, &Signature::new(NAME, blob))
}

#[test]
fn signatures_of_openssh_are_verified() {
    let message = hex(MESSAGE);
    let signature = Signature::from_encoded(SIGNATURE).unwrap();
    assert_eq!(verify(&message, signature.blob()), Ok(()));
    let refused = verify(&message[1..], signature.blob());
    assert_eq!(refused, Err(CryptoError::InvalidSignature));
    // OpenSSH signs as we do, but for the randomness in ML-DSA.
    let ours = signing_key().sign(NAME, &message).unwrap();
    let ed25519 = |signature: &Signature| signature.blob()[MLDSA_SIGNATURE..].to_vec();
    assert_eq!(ed25519(&ours), ed25519(&signature));
    assert_eq!(verify(&message, ours.blob()), Ok(()));
}

#[test]
fn signatures_are_made() {
    let key = signing_key();
    assert_eq!(key.public_key().as_blob(), KEY);
    assert!(key.public_key().is_well_formed());
    let signature = key.sign(NAME, b"sample").unwrap();
    assert_eq!(key.sign(NAME, b"sample").unwrap(), signature);
    assert_eq!(verify(b"sample", signature.blob()), Ok(()));
    let refused = key.sign("ssh-ed25519", b"sample");
    assert_eq!(refused, Err(CryptoError::Unsupported));
    assert!(!format!("{key:?}").contains("seed"));
}

/// D2: each half has to be right, as long as it is, and of this message.
#[test]
fn d2_bad_signatures_are_refused() {
    let good = signing_key().sign(NAME, b"sample").unwrap().blob().to_vec();
    let other = signing_key().sign(NAME, b"other").unwrap().blob().to_vec();
    let (mldsa, ed25519) = good.split_at(MLDSA_SIGNATURE);
    let mut bad = vec![
        [mldsa, &other[MLDSA_SIGNATURE..]].concat(),
        [&other[..MLDSA_SIGNATURE], ed25519].concat(),
        [ed25519, mldsa].concat(),
        [&good[..], &[0]].concat(),
        mldsa.to_vec(),
        ed25519.to_vec(),
        vec![0; good.len()],
        vec![0xff; good.len()],
    ];
    bad.extend((0..good.len()).step_by(83).map(|len| good[..len].to_vec()));
    bad.extend((0..good.len() * 8).step_by(97).map(|bit| {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    }));
    for bad in bad {
        let refused = verify(b"sample", &bad);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }
}

#[test]
fn d2_bad_keys_are_refused() {
    let public = read_key(&key()).unwrap().to_vec();
    let good = signing_key().sign(NAME, b"sample").unwrap();
    // Of small order in its second half, too short, too long.
    let mut weak = public.clone();
    weak[MLDSA_PUBLIC..].fill(0);
    for bad in [&weak[..], &public[1..], &[&public[..], &[0]].concat(), &[]] {
        let refused =
            SSH_MLDSA44_ED25519.verify(&PublicKey::mldsa44_ed25519(bad), b"sample", &good);
        assert_eq!(refused, Err(CryptoError::InvalidKey));
    }
    let refused = SSH_MLDSA44_ED25519.verify(&PublicKey::ed25519(&[7; 32]), b"sample", &good);
    assert_eq!(refused, Err(CryptoError::InvalidKey));
}

#[test]
fn m4_keys_must_fit_together() {
    let public = read_key(&key()).unwrap().to_vec();
    for at in [0, 31, 32, 63] {
        let mut seeds: [u8; 64] = hex(SEEDS).try_into().unwrap();
        seeds[at] ^= 1;
        let refused = Mldsa44Ed25519Key::new(&public, &seeds).err();
        assert_eq!(refused, Some(CryptoError::InvalidKey));
    }
    let private = generate(&mut Script(hex(SEEDS))).unwrap();
    assert_eq!(private.public_key(), key());
}
