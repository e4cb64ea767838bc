//! The key provider, and the strict reading of signatures that all algorithms share (RFC 4253 section 6.6).

use alloc::sync::Arc;

use p256::NistP256;
use p384::NistP384;
use p521::NistP521;

use super::ecdsa::EcdsaKey;
use super::ed25519::Ed25519Key;
use super::mldsa::Mldsa44Ed25519Key;
#[cfg(feature = "rsa")]
use super::rsa;
use super::{ecdsa, ed25519, mldsa};
use crate::crypto::{EcdsaCurve, KeyProvider, PrivateKey, SecureRandom, Signature, SigningKey};
use crate::error::CryptoError;
use crate::wire::Reader;

pub(super) static KEYS: Keys = Keys;

pub(super) struct Keys;

impl KeyProvider for Keys {
    fn signing_key(&self, key: &PrivateKey) -> Result<Arc<dyn SigningKey>, CryptoError> {
        Ok(match key {
            PrivateKey::Ed25519 { public, seed } => Arc::new(Ed25519Key::new(public, seed)?),
            PrivateKey::Ecdsa {
                curve,
                public,
                scalar,
            } => match curve {
                EcdsaCurve::Nistp256 => Arc::new(EcdsaKey::<NistP256>::new(public, scalar)?),
                EcdsaCurve::Nistp384 => Arc::new(EcdsaKey::<NistP384>::new(public, scalar)?),
                EcdsaCurve::Nistp521 => Arc::new(EcdsaKey::<NistP521>::new(public, scalar)?),
            },
            #[cfg(feature = "rsa")]
            PrivateKey::Rsa { .. } => Arc::new(rsa::RsaKey::new(key)?),
            #[cfg(feature = "legacy")]
            PrivateKey::Dsa { .. } => Arc::new(super::dsa::DsaKey::new(key)?),
            PrivateKey::Mldsa44Ed25519 { public, seeds } => {
                Arc::new(Mldsa44Ed25519Key::new(public, seeds)?)
            }
            _ => return Err(CryptoError::Unsupported),
        })
    }

    fn generate(
        &self,
        key_type: &str,
        random: &mut dyn SecureRandom,
    ) -> Result<PrivateKey, CryptoError> {
        match key_type {
            ed25519::NAME => ed25519::generate(random),
            mldsa::NAME => mldsa::generate(random),
            "ssh-rsa" => self.generate_rsa(3072, random),
            _ => match EcdsaCurve::of_key_type(key_type) {
                Some(EcdsaCurve::Nistp256) => ecdsa::generate::<NistP256>(random),
                Some(EcdsaCurve::Nistp384) => ecdsa::generate::<NistP384>(random),
                Some(EcdsaCurve::Nistp521) => ecdsa::generate::<NistP521>(random),
                None => Err(CryptoError::Unsupported),
            },
        }
    }

    #[cfg(feature = "rsa")]
    fn generate_rsa(
        &self,
        bits: usize,
        random: &mut dyn SecureRandom,
    ) -> Result<PrivateKey, CryptoError> {
        rsa::generate(bits, random)
    }
}

/// The blob of a signature that names `algorithm` and ends where the blob does.
pub(super) fn signature_blob<'s>(
    signature: &'s Signature,
    algorithm: &str,
) -> Result<&'s [u8], CryptoError> {
    let mut reader = Reader::new(signature.as_encoded());
    let blob = (|| {
        let name = reader.string()?;
        let blob = reader.string()?;
        reader.finish()?;
        Ok((name, blob))
    })();
    match blob {
        Ok((name, blob)) if name == algorithm.as_bytes() => Ok(blob),
        Ok(_) | Err::<_, crate::error::DecodeError>(_) => Err(CryptoError::InvalidSignature),
    }
}
