//! `ecdsa-sha2-nistp256`, `-nistp384` and `-nistp521`: verification, and deterministic signing (RFC 5656 section 3, RFC 6979).

use core::fmt;
use core::marker::PhantomData;
use core::slice;

use bytes::BytesMut;
use ecdsa::elliptic_curve::ops::Invert;
use ecdsa::elliptic_curve::subtle::CtOption;
use ecdsa::elliptic_curve::{FieldBytes, Scalar, SecretKey};
use ecdsa::signature::{Signer as _, Verifier as _};
use ecdsa::{Signature as RawSignature, VerifyingKey};
use p256::NistP256;
use p384::NistP384;
use p521::NistP521;
use zeroize::Zeroizing;

use super::keys::signature_blob;
use super::nistp::{NistCurve, generate_secret, parse_point, uncompressed};
use crate::crypto::{
    EcdsaCurve, PrivateKey, PublicKey, SecureRandom, Signature, SignatureAlgorithm, SigningKey,
};
use crate::error::{CryptoError, DecodeError};
use crate::wire::{Mpint, Reader, put_mpint};

pub(super) static ECDSA_SHA2_NISTP256: EcdsaSha2<NistP256> = EcdsaSha2(PhantomData);
pub(super) static ECDSA_SHA2_NISTP384: EcdsaSha2<NistP384> = EcdsaSha2(PhantomData);
pub(super) static ECDSA_SHA2_NISTP521: EcdsaSha2<NistP521> = EcdsaSha2(PhantomData);

/// One of the algorithms; each curve has its hash.
pub(super) struct EcdsaSha2<C>(PhantomData<C>);

impl<C: NistCurve> SignatureAlgorithm for EcdsaSha2<C> {
    fn name(&self) -> &'static str {
        C::CURVE.key_type()
    }

    fn key_type(&self) -> &'static str {
        C::CURVE.key_type()
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let key = read_key(key, C::CURVE)
            .ok()
            .and_then(parse_point::<C>)
            .ok_or(CryptoError::InvalidKey)?;
        verify(
            &key.into(),
            message,
            signature_blob(signature, C::CURVE.key_type())?,
        )
    }
}

/// The encoded point of a key (RFC 5656 section 3.1).
fn read_key(key: &PublicKey, curve: EcdsaCurve) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    if reader.string()? != curve.key_type().as_bytes()
        || reader.string()? != curve.name().as_bytes()
    {
        return Err(DecodeError::BadText);
    }
    let point = reader.string()?;
    reader.finish()?;
    Ok(point)
}

/// Verifies the two numbers of a signature (RFC 5656 section 3.1.2).
pub(super) fn verify<C: NistCurve>(
    key: &VerifyingKey<C>,
    message: &[u8],
    blob: &[u8],
) -> Result<(), CryptoError> {
    let (r, s) = read_scalars::<C>(blob).map_err(|_| CryptoError::InvalidSignature)?;
    // Refuses zero and values from the order of the curve on.
    let raw = RawSignature::from_scalars(r, s).map_err(|_| CryptoError::InvalidSignature)?;
    key.verify(message, &raw)
        .map_err(|_| CryptoError::InvalidSignature)
}

type Scalars<C> = (FieldBytes<C>, FieldBytes<C>);

fn read_scalars<C: NistCurve>(blob: &[u8]) -> Result<Scalars<C>, DecodeError> {
    let mut reader = Reader::new(blob);
    let r = read_scalar::<C>(&mut reader)?;
    let s = read_scalar::<C>(&mut reader)?;
    reader.finish()?;
    Ok((r, s))
}

fn read_scalar<C: NistCurve>(reader: &mut Reader<'_>) -> Result<FieldBytes<C>, DecodeError> {
    let digits = Mpint::from_twos_complement(reader.string()?)?.magnitude();
    let mut scalar = FieldBytes::<C>::default();
    if digits.len() > scalar.len() {
        return Err(DecodeError::BadMpint);
    }
    for (to, from) in scalar.iter_mut().rev().zip(digits.iter().rev()) {
        *to = *from;
    }
    Ok(scalar)
}

/// A private key that signs.
pub(super) struct EcdsaKey<C: NistCurve> {
    signing: ecdsa::SigningKey<C>,
    public: PublicKey,
    name: &'static str,
}

impl<C: NistCurve> EcdsaKey<C> {
    pub(super) fn new(public: &[u8], scalar: &[u8]) -> Result<Self, CryptoError> {
        // The library takes shorter ones as well.
        if scalar.len() != C::CURVE.field_len() {
            return Err(CryptoError::InvalidKey);
        }
        let secret = SecretKey::<C>::from_slice(scalar).map_err(|_| CryptoError::InvalidKey)?;
        match uncompressed(&secret.public_key()) == *public {
            true => Ok(Self {
                signing: secret.into(),
                public: PublicKey::ecdsa(C::CURVE, public),
                name: C::CURVE.key_type(),
            }),
            false => Err(CryptoError::InvalidKey),
        }
    }
}

impl<C> SigningKey for EcdsaKey<C>
where
    C: NistCurve,
    Scalar<C>: Invert<Output = CtOption<Scalar<C>>>,
{
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithms(&self) -> &[&'static str] {
        slice::from_ref(&self.name)
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        if algorithm != self.name {
            return Err(CryptoError::Unsupported);
        }
        let signature: RawSignature<C> = self
            .signing
            .try_sign(message)
            .map_err(|_| CryptoError::Failed)?;
        // A signature spoilt by a fault would give the key away.
        self.signing
            .verifying_key()
            .verify(message, &signature)
            .map_err(|_| CryptoError::Failed)?;
        let (r, s) = signature.split_bytes();
        let mut blob = BytesMut::with_capacity(2 * (4 + 1 + C::CURVE.field_len()));
        put_mpint(&mut blob, &r);
        put_mpint(&mut blob, &s);
        Ok(Signature::new(self.name, &blob))
    }
}

impl<C: NistCurve> fmt::Debug for EcdsaKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcdsaKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A new private key.
pub(super) fn generate<C: NistCurve>(
    random: &mut dyn SecureRandom,
) -> Result<PrivateKey, CryptoError> {
    let secret = generate_secret::<C>(random)?;
    Ok(PrivateKey::Ecdsa {
        curve: C::CURVE,
        public: uncompressed(&secret.public_key()),
        scalar: Zeroizing::new(secret.to_bytes().to_vec()),
    })
}

#[cfg(test)]
mod tests;
