//! `ssh-dss`: DSA with SHA-1 and a subgroup of 160 bits (RFC 4253 section 6.6, RFC 6979). Weak, for the feature `legacy`.

use core::fmt;

use ::dsa::{BoxedUint, Components};
use sha1::{Digest as _, Sha1};

use ::dsa::signature::hazmat::PrehashVerifier as _;

use super::keys::signature_blob;
use crate::crypto::{PrivateKey, PublicKey, Signature, SignatureAlgorithm, SigningKey};
use crate::error::{CryptoError, DecodeError};
use crate::wire::{Mpint, Reader};

const NAME: &str = "ssh-dss";

/// The sizes of p that there are, in bytes.
const PRIMES: core::ops::RangeInclusive<usize> = 1024 / 8..=3072 / 8;

/// Bytes in q, and in either number of a signature.
const SUBPRIME: usize = 160 / 8;

pub(super) static SSH_DSS: SshDss = SshDss;

pub(super) struct SshDss;

impl SignatureAlgorithm for SshDss {
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
        let numbers = read_key(key).map_err(|_| CryptoError::InvalidKey)?;
        let key = verifying_key(numbers)?;
        verify(&key, message, signature_blob(signature, NAME)?)
    }
}

/// p, q, g and y.
fn read_key(key: &PublicKey) -> Result<[&[u8]; 4], DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    if reader.string()? != NAME.as_bytes() {
        return Err(DecodeError::BadText);
    }
    let mut numbers = [&[][..]; 4];
    for number in &mut numbers {
        *number = Mpint::from_twos_complement(reader.string()?)?.magnitude();
    }
    reader.finish()?;
    Ok(numbers)
}

/// A key of sizes that bound what verifying costs. Nothing is computed for another.
fn verifying_key([p, q, g, y]: [&[u8]; 4]) -> Result<::dsa::VerifyingKey, CryptoError> {
    let has_top_bit = |number: &[u8]| number.first().is_some_and(|first| first & 0x80 != 0);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    // Of the same length they compare as numbers do.
    let is_below_p =
        |number: &[u8]| number.len() < p.len() || number.len() == p.len() && number < p;
    let is_usable = PRIMES.contains(&p.len())
        && q.len() == SUBPRIME
        && [p, q]
            .into_iter()
            .all(|prime| has_top_bit(prime) && is_odd(prime))
        && is_below_p(g)
        && is_below_p(y);
    if !is_usable {
        return Err(CryptoError::InvalidKey);
    }
    let components = Components::from_components_unchecked(
        number(p, p.len())?,
        number(q, q.len())?,
        number(g, p.len())?,
    )
    .map_err(|_| CryptoError::InvalidKey)?;
    // Checks that y is in the subgroup.
    ::dsa::VerifyingKey::from_components(components, number(y, p.len())?)
        .map_err(|_| CryptoError::InvalidKey)
}

/// A magnitude as a number of so many bytes.
fn number(magnitude: &[u8], len: usize) -> Result<BoxedUint, CryptoError> {
    let bits = u32::try_from(len.saturating_mul(8)).map_err(|_| CryptoError::InvalidKey)?;
    BoxedUint::from_be_slice(magnitude, bits).map_err(|_| CryptoError::InvalidKey)
}

fn verify(key: &::dsa::VerifyingKey, message: &[u8], blob: &[u8]) -> Result<(), CryptoError> {
    let (r, s) = blob
        .split_first_chunk::<SUBPRIME>()
        .filter(|(_, s)| s.len() == SUBPRIME)
        .ok_or(CryptoError::InvalidSignature)?;
    // Refuses zero; values from q on are refused by the verification.
    let raw = ::dsa::Signature::from_components(number(r, SUBPRIME)?, number(s, SUBPRIME)?)
        .ok_or(CryptoError::InvalidSignature)?;
    key.verify_prehash(&Sha1::digest(message), &raw)
        .map_err(|_| CryptoError::InvalidSignature)
}

/// A private key that signs.
pub(super) struct DsaKey {
    signing: ::dsa::SigningKey,
    public: PublicKey,
}

impl DsaKey {
    pub(super) fn new(key: &PrivateKey) -> Result<Self, CryptoError> {
        let PrivateKey::Dsa {
            prime,
            subprime,
            generator,
            public,
            secret,
        } = key
        else {
            return Err(CryptoError::InvalidKey);
        };
        let verifying = verifying_key([prime, subprime, generator, public])?;
        // Refuses zero and values from q on.
        let signing = ::dsa::SigningKey::from_components(verifying, number(secret, SUBPRIME)?)
            .map_err(|_| CryptoError::InvalidKey)?;
        let key = Self {
            signing,
            public: key.public_key(),
        };
        // With another secret than that of the public number no signature verifies.
        key.sign(NAME, b"").map_err(|_| CryptoError::InvalidKey)?;
        Ok(key)
    }
}

impl SigningKey for DsaKey {
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
        let raw = self
            .signing
            .sign_prehashed_rfc6979::<Sha1>(&Sha1::digest(message))
            .map_err(|_| CryptoError::Failed)?;
        let mut blob = [0; 2 * SUBPRIME];
        for (half, number) in blob.chunks_mut(SUBPRIME).zip([raw.r(), raw.s()]) {
            let digits = number.to_be_bytes();
            for (to, from) in half.iter_mut().rev().zip(digits.iter().rev()) {
                *to = *from;
            }
        }
        // A signature spoilt by a fault would give the key away.
        verify(self.signing.verifying_key(), message, &blob).map_err(|_| CryptoError::Failed)?;
        Ok(Signature::new(NAME, &blob))
    }
}

impl fmt::Debug for DsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DsaKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
