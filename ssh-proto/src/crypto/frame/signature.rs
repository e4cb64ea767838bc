//! Strict reading of keys and signatures around a library's Ed25519 and ECDSA (RFC 8709, RFC 8032 section 5.1.7, RFC 5656 section 3.1).

use alloc::vec::Vec;
use core::fmt;

use bytes::BytesMut;

use crate::crypto::{EcdsaCurve, PublicKey, Signature, SignatureAlgorithm, SigningKey};
use crate::error::{CryptoError, DecodeError};
use crate::wire::{Mpint, Reader, put_mpint};

pub(in crate::crypto) const SSH_ED25519: &str = "ssh-ed25519";

/// Verifies with a library: `InvalidKey` if the point is none of the curve, else `InvalidSignature`.
pub(in crate::crypto) type Ed25519Verify =
    fn(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), CryptoError>;

/// `ssh-ed25519`.
pub(in crate::crypto) struct Ed25519 {
    pub(in crate::crypto) verify: Ed25519Verify,
    pub(in crate::crypto) fips: fn() -> bool,
}

impl SignatureAlgorithm for Ed25519 {
    fn name(&self) -> &'static str {
        SSH_ED25519
    }

    fn key_type(&self) -> &'static str {
        SSH_ED25519
    }

    fn fips(&self) -> bool {
        (self.fips)()
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let public = read_ed25519_key(key).map_err(|_| CryptoError::InvalidKey)?;
        if !is_canonical(&public) || has_small_order(&public) {
            return Err(CryptoError::InvalidKey);
        }
        let signature: &[u8; 64] = blob(signature, SSH_ED25519)?
            .try_into()
            .map_err(|_| CryptoError::InvalidSignature)?;
        // Libraries compare encodings, so that an R which is not canonical never fits, and refuse
        // an S from the order of the group on. An R of small order they take.
        match signature.first_chunk().is_some_and(has_small_order) {
            true => Err(CryptoError::InvalidSignature),
            false => (self.verify)(&public, message, signature),
        }
    }
}

fn read_ed25519_key(key: &PublicKey) -> Result<[u8; 32], DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    if reader.string()? != SSH_ED25519.as_bytes() {
        return Err(DecodeError::BadText);
    }
    let bytes = reader.string()?;
    reader.finish()?;
    bytes.try_into().map_err(|_| DecodeError::Truncated)
}

/// The y coordinate of an encoded point, without the sign of x, with the highest byte first.
fn y_of(point: &[u8; 32]) -> [u8; 32] {
    let mut y = *point;
    y.reverse();
    if let Some(top) = y.first_mut() {
        *top &= 0x7f;
    }
    y
}

/// 2^255 - 19.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0x7f;
    p[31] = 0xed;
    p
};

fn is_canonical(point: &[u8; 32]) -> bool {
    y_of(point) < P
}

/// The y coordinates, below p, of the eight points whose order divides eight.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[31] = 1;
        one
    },
    {
        let mut minus_one = P;
        minus_one[31] = 0xec;
        minus_one
    },
    *b"\x05\xfc\x53\x6d\x88\x02\x38\xb1\x39\x33\xc6\xd3\x05\xac\xdf\xd5\
       \xf0\x98\xef\xf2\x89\xf4\xc3\x45\xb0\x27\xb2\xc2\x8f\x95\xe8\x26",
    *b"\x7a\x03\xac\x92\x77\xfd\xc7\x4e\xc6\xcc\x39\x2c\xfa\x53\x20\x2a\
       \x0f\x67\x10\x0d\x76\x0b\x3c\xba\x4f\xd8\x4d\x3d\x70\x6a\x17\xc7",
];

fn has_small_order(point: &[u8; 32]) -> bool {
    SMALL_ORDER.contains(&y_of(point))
}

/// Verifies with a library. `point` is uncompressed, `signature` is r and s in the length of the
/// field. `InvalidKey` if the point is none of the curve, else `InvalidSignature`.
pub(in crate::crypto) type EcdsaVerify =
    fn(point: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError>;

/// `ecdsa-sha2-*`.
pub(in crate::crypto) struct Ecdsa {
    pub(in crate::crypto) curve: EcdsaCurve,
    pub(in crate::crypto) verify: EcdsaVerify,
    pub(in crate::crypto) fips: fn() -> bool,
}

impl SignatureAlgorithm for Ecdsa {
    fn name(&self) -> &'static str {
        self.curve.key_type()
    }

    fn key_type(&self) -> &'static str {
        self.curve.key_type()
    }

    fn fips(&self) -> bool {
        (self.fips)()
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        // Whether the point is on the curve is for the library to find out.
        let point = read_point(self.curve, key).map_err(|_| CryptoError::InvalidKey)?;
        let blob = blob(signature, self.name())?;
        let fixed = read_scalars(self.curve, blob).map_err(|_| CryptoError::InvalidSignature)?;
        (self.verify)(point, message, &fixed)
    }
}

/// The encoded point of a key, uncompressed (RFC 5656 section 3.1).
fn read_point(curve: EcdsaCurve, key: &PublicKey) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    if reader.string()? != curve.key_type().as_bytes()
        || reader.string()? != curve.name().as_bytes()
    {
        return Err(DecodeError::BadText);
    }
    let point = reader.string()?;
    reader.finish()?;
    match point.first() == Some(&4) && point.len() == curve.point_len() {
        true => Ok(point),
        false => Err(DecodeError::Truncated),
    }
}

/// The two numbers of a signature (RFC 5656 section 3.1.2), each in the length of the field.
fn read_scalars(curve: EcdsaCurve, blob: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut reader = Reader::new(blob);
    let mut fixed = Vec::with_capacity(2 * curve.field_len());
    for end in [curve.field_len(), 2 * curve.field_len()] {
        let digits = Mpint::from_twos_complement(reader.string()?)?.magnitude();
        let zeros = curve
            .field_len()
            .checked_sub(digits.len())
            .ok_or(DecodeError::BadMpint)?;
        fixed.resize(fixed.len() + zeros, 0);
        fixed.extend_from_slice(digits);
        debug_assert_eq!(fixed.len(), end);
    }
    reader.finish()?;
    Ok(fixed)
}

/// A signature's two numbers as SSH encodes them, from r and s in the length of the field.
pub(in crate::crypto) fn ecdsa_blob(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let mut blob = BytesMut::with_capacity(2 * (4 + 1) + fixed.len());
    put_mpint(&mut blob, r);
    put_mpint(&mut blob, s);
    blob.into()
}

/// The blob of a signature that names `algorithm` and ends where the blob does.
pub(super) fn blob<'s>(signature: &'s Signature, algorithm: &str) -> Result<&'s [u8], CryptoError> {
    let mut reader = Reader::new(signature.as_encoded());
    let blob = (|| {
        let name = reader.string()?;
        let blob = reader.string()?;
        reader.finish()?;
        Ok::<_, DecodeError>((name, blob))
    })();
    match blob {
        Ok((name, blob)) if name == algorithm.as_bytes() => Ok(blob),
        _ => Err(CryptoError::InvalidSignature),
    }
}

/// A private key of a library.
pub(in crate::crypto) trait Sign: Send + Sync + 'static {
    /// The blob of a signature by an algorithm that the key was declared with.
    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, CryptoError>;
}

/// A private key that signs.
pub(in crate::crypto) struct Signer<S> {
    pub(in crate::crypto) key: S,
    pub(in crate::crypto) public: PublicKey,
    pub(in crate::crypto) algorithms: &'static [&'static str],
}

impl<S: Sign> SigningKey for Signer<S> {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithms(&self) -> &[&'static str] {
        self.algorithms
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        match self.algorithms.contains(&algorithm) {
            true => Ok(Signature::new(
                algorithm,
                &self.key.sign(algorithm, message)?,
            )),
            false => Err(CryptoError::Unsupported),
        }
    }
}

impl<S> fmt::Debug for Signer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
