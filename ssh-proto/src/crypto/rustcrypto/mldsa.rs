//! `ssh-mldsa44-ed25519`: ML-DSA-44 and Ed25519 in one (draft-miller-sshm-mldsa44-ed25519-composite-sigs, draft-ietf-lamps-pq-composite-sigs).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::Signer as _;
use ml_dsa::{MlDsa44, Seed};
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

use super::ed25519;
use super::keys::signature_blob;
use crate::crypto::{
    PrivateKey, PublicKey, SecureRandom, Signature, SignatureAlgorithm, SigningKey,
};
use crate::error::{CryptoError, DecodeError};
use crate::wire::Reader;

pub(super) const NAME: &str = "ssh-mldsa44-ed25519";

/// What the signatures of both are bound to, so that neither serves by itself.
const PREFIX: &[u8] = b"CompositeAlgorithmSignatures2025";
const LABEL: &[u8] = b"COMPSIG-MLDSA44-Ed25519-SHA512";

const MLDSA_PUBLIC: usize = 1312;
const MLDSA_SIGNATURE: usize = 2420;
const SEED: usize = 32;

pub(super) static SSH_MLDSA44_ED25519: SshMldsa44Ed25519 = SshMldsa44Ed25519;

pub(super) struct SshMldsa44Ed25519;

impl SignatureAlgorithm for SshMldsa44Ed25519 {
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
            .and_then(VerifyingKey::parse)
            .ok_or(CryptoError::InvalidKey)?;
        key.verify(&representative(message), signature_blob(signature, NAME)?)
    }
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

/// What both sign: prefix, label, the length of a context that is empty, digest.
fn representative(message: &[u8]) -> Vec<u8> {
    [PREFIX, LABEL, &[0], &Sha512::digest(message)].concat()
}

struct VerifyingKey {
    mldsa: Box<ml_dsa::VerifyingKey<MlDsa44>>,
    ed25519: ed25519_dalek::VerifyingKey,
}

impl VerifyingKey {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (mldsa, ed25519) = bytes.split_at_checked(MLDSA_PUBLIC)?;
        Some(Self {
            mldsa: Box::new(ml_dsa::VerifyingKey::decode(mldsa.try_into().ok()?)),
            ed25519: ed25519::parse_key(ed25519)?,
        })
    }

    fn verify(&self, representative: &[u8], blob: &[u8]) -> Result<(), CryptoError> {
        let (mldsa, ed25519) = blob
            .split_at_checked(MLDSA_SIGNATURE)
            .ok_or(CryptoError::InvalidSignature)?;
        ed25519::verify(&self.ed25519, representative, ed25519)?;
        let mldsa =
            ml_dsa::Signature::try_from(mldsa).map_err(|_| CryptoError::InvalidSignature)?;
        match self
            .mldsa
            .verify_with_context(representative, LABEL, &mldsa)
        {
            true => Ok(()),
            false => Err(CryptoError::InvalidSignature),
        }
    }
}

/// A private key that signs. ML-DSA too signs without randomness (FIPS 204 section 3.4).
pub(super) struct Mldsa44Ed25519Key {
    mldsa: Box<ml_dsa::SigningKey<MlDsa44>>,
    ed25519: ed25519_dalek::SigningKey,
    public: PublicKey,
}

impl Mldsa44Ed25519Key {
    pub(super) fn new(
        public: &[u8],
        seeds: &[u8; PrivateKey::MLDSA44_ED25519_SEEDS],
    ) -> Result<Self, CryptoError> {
        let (mldsa, ed25519) = signing_keys(seeds)?;
        match public_bytes(&mldsa, &ed25519) == public {
            true => Ok(Self {
                mldsa,
                ed25519,
                public: PublicKey::mldsa44_ed25519(public),
            }),
            false => Err(CryptoError::InvalidKey),
        }
    }
}

type SigningKeys = (Box<ml_dsa::SigningKey<MlDsa44>>, ed25519_dalek::SigningKey);

/// The seed of ML-DSA comes first.
fn signing_keys(
    seeds: &[u8; PrivateKey::MLDSA44_ED25519_SEEDS],
) -> Result<SigningKeys, CryptoError> {
    let (mldsa, ed25519) = seeds
        .split_first_chunk::<SEED>()
        .ok_or(CryptoError::InvalidKey)?;
    let seed = Zeroizing::new(Seed::from(*mldsa));
    let ed25519 = ed25519.try_into().map_err(|_| CryptoError::InvalidKey)?;
    Ok((
        Box::new(ml_dsa::SigningKey::from_seed(&seed)),
        ed25519_dalek::SigningKey::from_bytes(ed25519),
    ))
}

fn public_bytes(
    mldsa: &ml_dsa::SigningKey<MlDsa44>,
    ed25519: &ed25519_dalek::SigningKey,
) -> Vec<u8> {
    [
        &mldsa.as_ref().encode()[..],
        ed25519.verifying_key().as_bytes(),
    ]
    .concat()
}

impl SigningKey for Mldsa44Ed25519Key {
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
        let representative = representative(message);
        let mldsa = self
            .mldsa
            .expanded_key()
            .sign_deterministic(&representative, LABEL)
            .map_err(|_| CryptoError::Failed)?;
        let ed25519 = self
            .ed25519
            .try_sign(&representative)
            .map_err(|_| CryptoError::Failed)?;
        let blob = [&mldsa.encode()[..], &ed25519.to_bytes()].concat();
        Ok(Signature::new(NAME, &blob))
    }
}

impl fmt::Debug for Mldsa44Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mldsa44Ed25519Key")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A new private key.
pub(super) fn generate(random: &mut dyn SecureRandom) -> Result<PrivateKey, CryptoError> {
    let mut seeds = Box::new(Zeroizing::new([0; PrivateKey::MLDSA44_ED25519_SEEDS]));
    random.fill(&mut seeds[..])?;
    let (mldsa, ed25519) = signing_keys(&seeds)?;
    Ok(PrivateKey::Mldsa44Ed25519 {
        public: public_bytes(&mldsa, &ed25519),
        seeds,
    })
}

#[cfg(test)]
mod tests;
