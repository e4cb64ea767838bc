//! `ssh-ed25519`: strict verification, and signing (RFC 8709, RFC 8032 section 5.1).

use alloc::boxed::Box;
use core::fmt;

use ed25519_dalek::{SIGNATURE_LENGTH, Signer as _, VerifyingKey};
use zeroize::Zeroizing;

use super::keys::signature_blob;
use crate::crypto::{
    PrivateKey, PublicKey, SecureRandom, Signature, SignatureAlgorithm, SigningKey,
};
use crate::error::{CryptoError, DecodeError};
use crate::wire::Reader;

pub(super) const NAME: &str = "ssh-ed25519";

pub(super) static SSH_ED25519: SshEd25519 = SshEd25519;

pub(super) struct SshEd25519;

impl SignatureAlgorithm for SshEd25519 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn key_type(&self) -> &'static str {
        NAME
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let key = read_key(key)
            .ok()
            .and_then(parse_key)
            .ok_or(CryptoError::InvalidKey)?;
        verify(&key, message, signature_blob(signature, NAME)?)
    }
}

/// A point on the curve that is not one of the few of small order.
pub(super) fn parse_key(bytes: &[u8]) -> Option<VerifyingKey> {
    let key = VerifyingKey::from_bytes(bytes.try_into().ok()?).ok()?;
    (!key.is_weak()).then_some(key)
}

/// Strict: no S from the order of the group on, no R of small order.
pub(super) fn verify(key: &VerifyingKey, message: &[u8], blob: &[u8]) -> Result<(), CryptoError> {
    let bytes: &[u8; SIGNATURE_LENGTH] =
        blob.try_into().map_err(|_| CryptoError::InvalidSignature)?;
    key.verify_strict(message, &bytes.into())
        .map_err(|_| CryptoError::InvalidSignature)
}

fn read_key(key: &PublicKey) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    if reader.string()? != NAME.as_bytes() {
        return Err(DecodeError::BadText);
    }
    let bytes = reader.string()?;
    reader.finish()?;
    Ok(bytes)
}

/// A private key that signs.
pub(super) struct Ed25519Key {
    signing: ed25519_dalek::SigningKey,
    public: PublicKey,
}

impl Ed25519Key {
    pub(super) fn new(public: &[u8; 32], seed: &[u8; 32]) -> Result<Self, CryptoError> {
        let signing = ed25519_dalek::SigningKey::from_bytes(seed);
        match signing.verifying_key().as_bytes() == public {
            true => Ok(Self {
                signing,
                public: PublicKey::ed25519(public),
            }),
            false => Err(CryptoError::InvalidKey),
        }
    }
}

impl SigningKey for Ed25519Key {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithms(&self) -> &[&'static str] {
        &[NAME]
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        if algorithm != NAME {
            return Err(CryptoError::Unsupported);
        }
        let signature = self
            .signing
            .try_sign(message)
            .map_err(|_| CryptoError::Failed)?;
        Ok(Signature::new(NAME, &signature.to_bytes()))
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Key")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A new private key.
pub(super) fn generate(random: &mut dyn SecureRandom) -> Result<PrivateKey, CryptoError> {
    let mut seed = Box::new(Zeroizing::new([0; 32]));
    random.fill(&mut seed[..])?;
    let public = ed25519_dalek::SigningKey::from_bytes(&seed)
        .verifying_key()
        .to_bytes();
    Ok(PrivateKey::Ed25519 { public, seed })
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;
    use std::format;

    use bytes::BytesMut;

    use super::*;
    use crate::crypto::rustcrypto::testing::{Script, hex};
    use crate::wire::put_string;

    const SEED: &str = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";
    const PUBLIC: &str = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
    const MESSAGE: [u8; 2] = [0xaf, 0x82];
    const SIGNATURE: &str = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";

    fn key(public: &[u8]) -> PublicKey {
        PublicKey::ed25519(public.try_into().unwrap())
    }

    fn signing_key(seed: &str, public: &str) -> Result<Ed25519Key, CryptoError> {
        Ed25519Key::new(
            &hex(public).try_into().unwrap(),
            &hex(seed).try_into().unwrap(),
        )
    }

    fn verify(blob: &[u8]) -> Result<(), CryptoError> {
        SSH_ED25519.verify(&key(&hex(PUBLIC)), &MESSAGE, &Signature::new(NAME, blob))
    }

    /// RFC 8032 section 7.1, tests 1 to 3.
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
        for (seed, public, message, signature) in cases {
            let signed = signing_key(seed, public).unwrap().sign(NAME, message);
            assert_eq!(signed, Ok(Signature::new(NAME, &hex(signature))));
            let key = key(&hex(public));
            let verdict = SSH_ED25519.verify(&key, message, &signed.unwrap());
            assert_eq!(verdict, Ok(()));
        }
    }

    #[test]
    fn keys_must_fit_together() {
        let other = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let refused = signing_key(SEED, other).err();
        assert_eq!(refused, Some(CryptoError::InvalidKey));
        let key = signing_key(SEED, PUBLIC).unwrap();
        let refused = key.sign("ecdsa-sha2-nistp256", b"");
        assert_eq!(refused, Err(CryptoError::Unsupported));
        assert!(!format!("{key:?}").contains(&SEED[..8]));
    }

    #[test]
    fn generated_keys_sign() {
        let provider = crate::crypto::rustcrypto::provider();
        let private = provider
            .keys
            .generate(NAME, &mut Script(hex(SEED)))
            .unwrap();
        assert_eq!(private.public_key(), key(&hex(PUBLIC)));
        let signature = provider.signing_key(&private).unwrap().sign(NAME, &MESSAGE);
        assert_eq!(signature, Ok(Signature::new(NAME, &hex(SIGNATURE))));
        let failed = provider.keys.generate(NAME, &mut Script(vec![0; 31]));
        assert_eq!(failed.err(), Some(CryptoError::RandomFailed));
        let unknown = provider
            .keys
            .generate("ssh-ed448", &mut Script(vec![0; 99]));
        assert_eq!(unknown.err(), Some(CryptoError::Unsupported));
    }

    /// D2: wrong, truncated, padded, S not below the order of the group, R of small order.
    #[test]
    fn d2_bad_signatures_are_refused() {
        let good = hex(SIGNATURE);
        assert_eq!(verify(&good), Ok(()));
        for bit in 0..512 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&bad), Err(CryptoError::InvalidSignature), "{bit}");
        }
        for len in 0..64 {
            let refused = verify(&good[..len]);
            assert_eq!(refused, Err(CryptoError::InvalidSignature), "{len}");
        }
        let s_too_large = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                           05d391b0a77904e98404ef037747a56e4a7c15e9716ed28dc027beceea1ec41a";
        // Made with the private key so that the equation holds for R of order one.
        let small_r = "0100000000000000000000000000000000000000000000000000000000000000\
                       89653588ead4771e2326253c8cc167ed5f891f0c238314c9d136bb6e54f2f206";
        let bad = [
            [&good[..], &[0]].concat(),
            vec![0; 64],
            hex(s_too_large),
            hex(small_r),
        ];
        for bad in bad {
            assert_eq!(verify(&bad), Err(CryptoError::InvalidSignature));
        }
    }

    /// D2: another algorithm's name, bytes behind the blob, a blob shorter than what follows.
    #[test]
    fn d2_signature_framing_is_strict() {
        let verify = |encoded: Vec<u8>| {
            let signature = Signature::from_encoded(encoded).unwrap();
            SSH_ED25519.verify(&key(&hex(PUBLIC)), &MESSAGE, &signature)
        };
        let good = Signature::new(NAME, &hex(SIGNATURE)).as_encoded().to_vec();
        assert_eq!(verify(good.clone()), Ok(()));
        let mut short = good.clone();
        short[4 + NAME.len() + 3] = 32;
        let other = Signature::new("ssh-ed448", &hex(SIGNATURE));
        for bad in [
            [&good[..], &[0]].concat(),
            short,
            other.as_encoded().to_vec(),
        ] {
            assert_eq!(verify(bad), Err(CryptoError::InvalidSignature));
        }
    }

    /// D2: keys of small order, which would verify anything, and malformed ones.
    #[test]
    fn d2_bad_keys_are_refused() {
        let mut keys: Vec<_> = curve25519_dalek::constants::EIGHT_TORSION
            .iter()
            .map(|point| key(point.compress().as_bytes()))
            .collect();
        let mut identity = [0; 64];
        identity[0] = 1;
        // The identity with its sign set, and a y of p + 1: not canonical.
        for (first, middle, last) in [(1, 0, 0x80), (0xee, 0xff, 0x7f), (0xee, 0xff, 0xff)] {
            let mut bytes = [middle; 32];
            (bytes[0], bytes[31]) = (first, last);
            keys.push(key(&bytes));
        }
        // Not the y of any point.
        let mut bytes = [0; 32];
        bytes[0] = 2;
        keys.push(key(&bytes));
        let public = hex(PUBLIC);
        for (name, value, rest) in [
            ("ssh-ed448", &public[..], &[][..]),
            (NAME, &public[..31], &[]),
            (NAME, &public[..0], &[]),
            (NAME, &[&public[..], &[0]].concat(), &[]),
            (NAME, &public, &[0]),
        ] {
            let mut blob = BytesMut::new();
            put_string(&mut blob, name.as_bytes());
            put_string(&mut blob, value);
            blob.extend_from_slice(rest);
            keys.push(PublicKey::from_blob(blob.freeze()).unwrap());
        }
        let mut blob = BytesMut::new();
        put_string(&mut blob, NAME.as_bytes());
        keys.push(PublicKey::from_blob(blob.freeze()).unwrap());
        assert_eq!(keys.len(), 8 + 3 + 1 + 5 + 1);
        for key in keys {
            for signature in [&identity[..], &hex(SIGNATURE)] {
                let signature = Signature::new(NAME, signature);
                assert_eq!(
                    SSH_ED25519.verify(&key, &MESSAGE, &signature),
                    Err(CryptoError::InvalidKey),
                    "{:x?}",
                    key.as_blob()
                );
            }
        }
    }
}
