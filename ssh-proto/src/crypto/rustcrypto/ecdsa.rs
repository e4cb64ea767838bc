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
    PrivateKey, PublicKey, SecureRandom, Signature, SignatureAlgorithm, SigningKey,
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
    pub(super) fn new(public: &[u8; 65], scalar: &[u8; 32]) -> Result<Self, CryptoError> {
        let secret = SecretKey::from_slice(scalar).map_err(|_| CryptoError::InvalidKey)?;
        match uncompressed(&secret.public_key()) == *public {
            true => Ok(Self {
                signing: secret.into(),
                public: PublicKey::ecdsa_nistp256(public),
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
    Ok(PrivateKey::EcdsaNistp256 {
        public,
        scalar: Zeroizing::new(secret.to_bytes().into()),
    })
}
