//! `ssh-ed25519`: strict verification, and signing (RFC 8709, RFC 8032 section 5.1).

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
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .ok_or(CryptoError::InvalidKey)?;
        let bytes: &[u8; SIGNATURE_LENGTH] = signature_blob(signature, NAME)?
            .try_into()
            .map_err(|_| CryptoError::InvalidSignature)?;
        // Strict: no S from the order of the group on, no R of small order.
        key.verify_strict(message, &bytes.into())
            .map_err(|_| CryptoError::InvalidSignature)
    }
}

fn read_key(key: &PublicKey) -> Result<[u8; 32], DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    if reader.string()? != NAME.as_bytes() {
        return Err(DecodeError::BadText);
    }
    let bytes = reader.string()?;
    reader.finish()?;
    bytes.try_into().map_err(|_| DecodeError::Truncated)
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
        // A signature spoilt by a fault would give the key away.
        self.signing
            .verify_strict(message, &signature)
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
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(&mut *seed)?;
    let public = ed25519_dalek::SigningKey::from_bytes(&seed)
        .verifying_key()
        .to_bytes();
    Ok(PrivateKey::Ed25519 { public, seed })
}
