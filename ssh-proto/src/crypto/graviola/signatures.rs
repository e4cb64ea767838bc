//! Ed25519 and ECDSA of Graviola, and which keys it signs with (RFC 8032, FIPS 186-5 section 6).

use alloc::sync::Arc;
use alloc::vec::Vec;

use ::graviola::hashing::{Hash, Sha256, Sha384};
use ::graviola::key_agreement::{p256, p384};
use ::graviola::signing::ecdsa::{Curve, P256, P384, SigningKey as EcdsaKey, VerifyingKey};
use ::graviola::signing::eddsa::{Ed25519SigningKey, Ed25519VerifyingKey};

#[cfg(feature = "rsa")]
use super::rsa;
#[cfg(feature = "rsa")]
use crate::crypto::frame::rsa_signing_key;
use crate::crypto::frame::{Ecdsa, Ed25519, NOT_FIPS, Sign, Signer, ecdsa_blob};
use crate::crypto::{
    CertificateAlgorithm, EcdsaCurve, KeyProvider, PrivateKey, PublicKey, SecureRandom, SigningKey,
    rustcrypto,
};
use crate::error::CryptoError;

pub(super) static SSH_ED25519: Ed25519 = Ed25519 {
    verify: verify_ed25519,
    fips: NOT_FIPS,
};

pub(super) static ECDSA_SHA2_NISTP256: Ecdsa = Ecdsa {
    curve: EcdsaCurve::Nistp256,
    verify: |point, message, signature| {
        let public_key =
            p256::PublicKey::from_x962_uncompressed(point).map_err(|_| CryptoError::InvalidKey)?;
        verify_ecdsa::<P256, Sha256>(&VerifyingKey { public_key }, message, signature)
    },
    fips: NOT_FIPS,
};

pub(super) static ECDSA_SHA2_NISTP384: Ecdsa = Ecdsa {
    curve: EcdsaCurve::Nistp384,
    verify: |point, message, signature| {
        let public_key =
            p384::PublicKey::from_x962_uncompressed(point).map_err(|_| CryptoError::InvalidKey)?;
        verify_ecdsa::<P384, Sha384>(&VerifyingKey { public_key }, message, signature)
    },
    fips: NOT_FIPS,
};

fn verify_ed25519(
    public: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), CryptoError> {
    Ed25519VerifyingKey::from_bytes(public)
        .map_err(|_| CryptoError::InvalidKey)?
        .verify(signature, message)
        .map_err(|_| CryptoError::InvalidSignature)
}

fn verify_ecdsa<C: Curve, H: Hash>(
    key: &VerifyingKey<C>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    key.verify::<H>(&[message], signature)
        .map_err(|_| CryptoError::InvalidSignature)
}

/// The algorithms of certificates, over those above.
pub(super) static SSH_ED25519_CERT: CertificateAlgorithm = CertificateAlgorithm::new(
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-ed25519-cert-v01@openssh.com",
    &SSH_ED25519,
);
pub(super) static ECDSA_SHA2_NISTP256_CERT: CertificateAlgorithm = CertificateAlgorithm::new(
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    &ECDSA_SHA2_NISTP256,
);
pub(super) static ECDSA_SHA2_NISTP384_CERT: CertificateAlgorithm = CertificateAlgorithm::new(
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    &ECDSA_SHA2_NISTP384,
);

pub(super) static KEYS: Keys = Keys;

/// Signs with Graviola where it has the algorithm. New keys are made by RustCrypto, from the
/// randomness that it is given.
pub(super) struct Keys;

impl KeyProvider for Keys {
    fn signing_key(&self, key: &PrivateKey) -> Result<Arc<dyn SigningKey>, CryptoError> {
        let public = key.public_key();
        match key {
            // The library takes other lengths as well.
            PrivateKey::Ecdsa { curve, scalar, .. } if scalar.len() != curve.field_len() => {
                Err(CryptoError::InvalidKey)
            }
            PrivateKey::Ed25519 {
                public: stored,
                seed,
            } => {
                let key = Ed25519SigningKey::from_bytes(&seed[..])
                    .ok()
                    .filter(|key| key.public_key().as_bytes() == *stored)
                    .ok_or(CryptoError::InvalidKey)?;
                Ok(Arc::new(Signer {
                    key,
                    public,
                    algorithms: &["ssh-ed25519"],
                }))
            }
            PrivateKey::Ecdsa {
                curve: EcdsaCurve::Nistp256,
                public: stored,
                scalar,
            } => {
                let private_key = p256::StaticPrivateKey::from_bytes(scalar)
                    .ok()
                    .filter(|key| key.public_key_uncompressed() == **stored)
                    .ok_or(CryptoError::InvalidKey)?;
                let public_key = p256::PublicKey::from_x962_uncompressed(stored)
                    .map_err(|_| CryptoError::InvalidKey)?;
                Ok(ecdsa_signer::<P256, Sha256>(
                    EcdsaKey { private_key },
                    VerifyingKey { public_key },
                    public,
                    &["ecdsa-sha2-nistp256"],
                ))
            }
            PrivateKey::Ecdsa {
                curve: EcdsaCurve::Nistp384,
                public: stored,
                scalar,
            } => {
                let private_key = p384::StaticPrivateKey::from_bytes(scalar)
                    .ok()
                    .filter(|key| key.public_key_uncompressed() == **stored)
                    .ok_or(CryptoError::InvalidKey)?;
                let public_key = p384::PublicKey::from_x962_uncompressed(stored)
                    .map_err(|_| CryptoError::InvalidKey)?;
                Ok(ecdsa_signer::<P384, Sha384>(
                    EcdsaKey { private_key },
                    VerifyingKey { public_key },
                    public,
                    &["ecdsa-sha2-nistp384"],
                ))
            }
            #[cfg(feature = "rsa")]
            PrivateKey::Rsa { .. } => rsa_signing_key::<rsa::Key>(key),
            _ => rustcrypto::provider().keys.signing_key(key),
        }
    }

    fn generate(
        &self,
        key_type: &str,
        random: &mut dyn SecureRandom,
    ) -> Result<PrivateKey, CryptoError> {
        rustcrypto::provider().keys.generate(key_type, random)
    }

    fn generate_rsa(
        &self,
        bits: usize,
        random: &mut dyn SecureRandom,
    ) -> Result<PrivateKey, CryptoError> {
        rustcrypto::provider().keys.generate_rsa(bits, random)
    }
}

impl Sign for Ed25519SigningKey {
    fn sign(&self, _algorithm: &str, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.sign(message).to_vec())
    }
}

struct EcdsaPair<C: Curve, H> {
    signing: EcdsaKey<C>,
    verifying: VerifyingKey<C>,
    hash: core::marker::PhantomData<fn() -> H>,
}

fn ecdsa_signer<C, H>(
    signing: EcdsaKey<C>,
    verifying: VerifyingKey<C>,
    public: PublicKey,
    algorithms: &'static [&'static str],
) -> Arc<dyn SigningKey>
where
    C: Curve + 'static,
    H: Hash + 'static,
    EcdsaPair<C, H>: Send + Sync,
{
    Arc::new(Signer {
        key: EcdsaPair::<C, H> {
            signing,
            verifying,
            hash: core::marker::PhantomData,
        },
        public,
        algorithms,
    })
}

impl<C, H> Sign for EcdsaPair<C, H>
where
    C: Curve + 'static,
    H: Hash + 'static,
    Self: Send + Sync,
{
    fn sign(&self, _algorithm: &str, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut room = [0; 2 * 48];
        let fixed = self
            .signing
            .sign::<H>(&[message], &mut room)
            .map_err(|_| CryptoError::Failed)?;
        // A signature spoilt by a fault would give the key away.
        self.verifying
            .verify::<H>(&[message], fixed)
            .map_err(|_| CryptoError::Failed)?;
        Ok(ecdsa_blob(fixed))
    }
}
