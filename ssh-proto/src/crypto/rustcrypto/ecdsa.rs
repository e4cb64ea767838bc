//! `ecdsa-sha2-nistp256`: verification, and deterministic signing (RFC 5656 section 3, RFC 6979).

use core::fmt;

use bytes::BytesMut;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature as RawSignature, VerifyingKey};
use p256::{FieldBytes, SecretKey};
use zeroize::Zeroizing;

use super::keys::signature_blob;
use super::nistp256::{generate_secret, parse_point, uncompressed};
use crate::crypto::{
    EcdsaCurve, PrivateKey, PublicKey, SecureRandom, Signature, SignatureAlgorithm, SigningKey,
};
use crate::error::{CryptoError, DecodeError};
use crate::wire::{Mpint, Reader, put_mpint};

pub(super) const NAME: &str = "ecdsa-sha2-nistp256";
const CURVE: &[u8] = b"nistp256";

pub(super) static ECDSA_SHA2_NISTP256: EcdsaSha2Nistp256 = EcdsaSha2Nistp256;

pub(super) struct EcdsaSha2Nistp256;

impl SignatureAlgorithm for EcdsaSha2Nistp256 {
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
            .and_then(parse_point)
            .ok_or(CryptoError::InvalidKey)?;
        let (r, s) = read_scalars(signature_blob(signature, NAME)?)
            .map_err(|_| CryptoError::InvalidSignature)?;
        // Refuses zero and values from the order of the curve on.
        let raw = RawSignature::from_scalars(r, s).map_err(|_| CryptoError::InvalidSignature)?;
        VerifyingKey::from(key)
            .verify(message, &raw)
            .map_err(|_| CryptoError::InvalidSignature)
    }
}

/// The encoded point of a key (RFC 5656 section 3.1).
fn read_key(key: &PublicKey) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    if reader.string()? != NAME.as_bytes() || reader.string()? != CURVE {
        return Err(DecodeError::BadText);
    }
    let point = reader.string()?;
    reader.finish()?;
    Ok(point)
}

/// The two numbers of a signature (RFC 5656 section 3.1.2).
fn read_scalars(blob: &[u8]) -> Result<(FieldBytes, FieldBytes), DecodeError> {
    let mut reader = Reader::new(blob);
    let r = read_scalar(&mut reader)?;
    let s = read_scalar(&mut reader)?;
    reader.finish()?;
    Ok((r, s))
}

fn read_scalar(reader: &mut Reader<'_>) -> Result<FieldBytes, DecodeError> {
    let digits = Mpint::from_twos_complement(reader.string()?)?.magnitude();
    let mut scalar = FieldBytes::default();
    if digits.len() > scalar.len() {
        return Err(DecodeError::BadMpint);
    }
    for (to, from) in scalar.iter_mut().rev().zip(digits.iter().rev()) {
        *to = *from;
    }
    Ok(scalar)
}

/// A private key that signs.
pub(super) struct EcdsaNistp256Key {
    signing: p256::ecdsa::SigningKey,
    public: PublicKey,
}

impl EcdsaNistp256Key {
    pub(super) fn new(public: &[u8], scalar: &[u8]) -> Result<Self, CryptoError> {
        let secret = SecretKey::from_slice(scalar).map_err(|_| CryptoError::InvalidKey)?;
        match uncompressed(&secret.public_key()) == *public {
            true => Ok(Self {
                signing: secret.into(),
                public: PublicKey::ecdsa(EcdsaCurve::Nistp256, public),
            }),
            false => Err(CryptoError::InvalidKey),
        }
    }
}

impl SigningKey for EcdsaNistp256Key {
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
        let signature: RawSignature = self
            .signing
            .try_sign(message)
            .map_err(|_| CryptoError::Failed)?;
        // A signature spoilt by a fault would give the key away.
        self.signing
            .verifying_key()
            .verify(message, &signature)
            .map_err(|_| CryptoError::Failed)?;
        let (r, s) = signature.split_bytes();
        let mut blob = BytesMut::with_capacity(2 * (4 + 1 + 32));
        put_mpint(&mut blob, &r);
        put_mpint(&mut blob, &s);
        Ok(Signature::new(NAME, &blob))
    }
}

impl fmt::Debug for EcdsaNistp256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcdsaNistp256Key")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A new private key.
pub(super) fn generate(random: &mut dyn SecureRandom) -> Result<PrivateKey, CryptoError> {
    let secret = generate_secret(random)?;
    let public = uncompressed(&secret.public_key());
    Ok(PrivateKey::Ecdsa {
        curve: EcdsaCurve::Nistp256,
        public: public.to_vec(),
        scalar: Zeroizing::new(secret.to_bytes().to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;
    use std::format;

    use super::*;
    use crate::crypto::rustcrypto::testing::{Script, hex};
    use crate::wire::put_string;

    const SCALAR: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    const POINT: &str = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                         7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    const R: &str = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
    const S: &str = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";

    fn key() -> PublicKey {
        PublicKey::ecdsa(EcdsaCurve::Nistp256, &hex(POINT))
    }

    fn signing_key(scalar: &[u8], point: &str) -> Result<EcdsaNistp256Key, CryptoError> {
        EcdsaNistp256Key::new(&hex(point), scalar)
    }

    fn verify(blob: &[u8]) -> Result<(), CryptoError> {
        ECDSA_SHA2_NISTP256.verify(&key(), b"sample", &Signature::new(NAME, blob))
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

    /// RFC 6979 appendix A.2.5, SHA-256; the second signature has an s with a leading zero bit.
    #[test]
    fn rfc_6979() {
        let key = signing_key(&hex(SCALAR), POINT).unwrap();
        let cases = [
            (&b"sample"[..], R, S),
            (
                b"test",
                "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
                "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
            ),
        ];
        for (message, r, s) in cases {
            let signature = key.sign(NAME, message).unwrap();
            let expected = Signature::new(NAME, &mpints(&hex(r), &hex(s)));
            assert_eq!(signature, expected);
            let verdict = ECDSA_SHA2_NISTP256.verify(key.public_key(), message, &signature);
            assert_eq!(verdict, Ok(()));
        }
    }

    #[test]
    fn keys_must_fit_together() {
        let scalar = hex(SCALAR);
        let mut other = scalar.clone();
        other[31] ^= 1;
        for scalar in [other, vec![0; 32], hex(ORDER), vec![0xff; 32]] {
            let refused = signing_key(&scalar, POINT).err();
            assert_eq!(refused, Some(CryptoError::InvalidKey));
        }
        let hybrid = POINT.replacen("04", "07", 1);
        let refused = signing_key(&scalar, &hybrid).err();
        assert_eq!(refused, Some(CryptoError::InvalidKey));
        let key = signing_key(&scalar, POINT).unwrap();
        let refused = key.sign("ssh-ed25519", b"");
        assert_eq!(refused, Err(CryptoError::Unsupported));
        assert!(!format!("{key:?}").contains(&SCALAR[..8]));
    }

    #[test]
    fn generated_keys_sign() {
        let provider = crate::crypto::rustcrypto::provider();
        let private = provider
            .keys
            .generate(NAME, &mut Script(hex(SCALAR)))
            .unwrap();
        assert_eq!(private.public_key(), key());
        let signature = provider
            .signing_key(&private)
            .unwrap()
            .sign(NAME, b"sample");
        let expected = Signature::new(NAME, &mpints(&hex(R), &hex(S)));
        assert_eq!(signature, Ok(expected));
    }

    /// D2: zero, from the order on, negative, not minimal, too long, truncated, trailing, wrong.
    #[test]
    fn d2_bad_signatures_are_refused() {
        let (r, s, n) = (hex(R), hex(S), hex(ORDER));
        let good = mpints(&r, &s);
        assert_eq!(verify(&good), Ok(()));
        // The top bits of both are set, so without a zero in front they are negative.
        let (positive_r, positive_s) = ([&[0], &r[..]].concat(), [&[0], &s[..]].concat());
        assert_eq!(verify(&strings(&positive_r, &positive_s)), Ok(()));
        let mut bad = vec![
            mpints(&[], &s),
            mpints(&r, &[]),
            mpints(&[], &[]),
            mpints(&n, &s),
            mpints(&r, &n),
            mpints(&[0xff; 32], &s),
            mpints(&r, &[0xff; 32]),
            mpints(&[&[1], &r[..]].concat(), &s),
            mpints(&r, &[&[1], &s[..]].concat()),
            mpints(&s, &r),
            strings(&r, &positive_s),
            strings(&positive_r, &s),
            strings(&[0], &positive_s),
            strings(&[&[0], &positive_r[..]].concat(), &positive_s),
            strings(&positive_r, &[&[0], &positive_s[..]].concat()),
            [&good[..], &[0]].concat(),
            [&r[..], &s].concat(),
        ];
        bad.extend((0..good.len()).map(|len| good[..len].to_vec()));
        bad.extend((0..good.len() * 8).map(|bit| {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            bad
        }));
        for bad in bad {
            let refused = verify(&bad);
            assert_eq!(refused, Err(CryptoError::InvalidSignature), "{bad:x?}");
        }
        let signature = Signature::new(NAME, &good);
        let refused = ECDSA_SHA2_NISTP256.verify(&key(), b"Sample", &signature);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }

    /// D2: another algorithm's name, bytes behind the blob.
    #[test]
    fn d2_signature_framing_is_strict() {
        let good = Signature::new(NAME, &mpints(&hex(R), &hex(S)));
        let trailing = [good.as_encoded(), &[0]].concat();
        for bad in [
            Signature::new("ecdsa-sha2-nistp384", &mpints(&hex(R), &hex(S))),
            Signature::from_encoded(trailing).unwrap(),
        ] {
            let refused = ECDSA_SHA2_NISTP256.verify(&key(), b"sample", &bad);
            assert_eq!(refused, Err(CryptoError::InvalidSignature));
        }
    }

    /// D2: type and curve must agree, and the point must be an uncompressed one on the curve.
    #[test]
    fn d2_bad_keys_are_refused() {
        let point = hex(POINT);
        let compressed = [&[3], &point[1..33]].concat();
        let hybrid = [&[7], &point[1..]].concat();
        let mut off = point.clone();
        off[64] ^= 1;
        let signature = Signature::new(NAME, &mpints(&hex(R), &hex(S)));
        for (name, curve, point, rest) in [
            ("ecdsa-sha2-nistp384", "nistp256", &point, &[][..]),
            (NAME, "nistp384", &point, &[]),
            (NAME, "", &point, &[]),
            (NAME, "nistp256", &compressed, &[]),
            (NAME, "nistp256", &hybrid, &[]),
            (NAME, "nistp256", &off, &[]),
            (NAME, "nistp256", &vec![], &[]),
            (NAME, "nistp256", &vec![0], &[]),
            (NAME, "nistp256", &point[..64].to_vec(), &[]),
            (NAME, "nistp256", &point, &[0]),
        ] {
            let mut blob = BytesMut::new();
            for part in [name.as_bytes(), curve.as_bytes(), point] {
                put_string(&mut blob, part);
            }
            blob.extend_from_slice(rest);
            let key = PublicKey::from_blob(blob.freeze()).unwrap();
            let refused = ECDSA_SHA2_NISTP256.verify(&key, b"sample", &signature);
            assert_eq!(
                refused,
                Err(CryptoError::InvalidKey),
                "{:x?}",
                key.as_blob()
            );
        }
    }
}
