//! Ed25519 and ECDSA of AWS-LC (RFC 8032, FIPS 186-5 section 6).

use alloc::sync::Arc;
use alloc::vec::Vec;

use ::aws_lc_rs::rand::SystemRandom;
use ::aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING,
    ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, Ed25519KeyPair,
    ParsedPublicKey,
};

use super::FIPS;
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
    verify: |public, message, signature| {
        ParsedPublicKey::new(&ED25519, public)
            .map_err(|_| CryptoError::InvalidKey)?
            .verify_sig(message, signature)
            .map_err(|_| CryptoError::InvalidSignature)
    },
    // aws-lc-rs counts signing by it among the calls that must not be used.
    fips: NOT_FIPS,
};

const fn ecdsa(curve: EcdsaCurve) -> Ecdsa {
    Ecdsa {
        curve,
        verify: match curve {
            EcdsaCurve::Nistp256 => |p, m, s| verify_ecdsa(&ECDSA_P256_SHA256_FIXED, p, m, s),
            EcdsaCurve::Nistp384 => |p, m, s| verify_ecdsa(&ECDSA_P384_SHA384_FIXED, p, m, s),
            EcdsaCurve::Nistp521 => |p, m, s| verify_ecdsa(&ECDSA_P521_SHA512_FIXED, p, m, s),
        },
        fips: FIPS,
    }
}

pub(super) static ECDSA_SHA2_NISTP256: Ecdsa = ecdsa(EcdsaCurve::Nistp256);
pub(super) static ECDSA_SHA2_NISTP384: Ecdsa = ecdsa(EcdsaCurve::Nistp384);
pub(super) static ECDSA_SHA2_NISTP521: Ecdsa = ecdsa(EcdsaCurve::Nistp521);

fn verify_ecdsa(
    algorithm: &'static EcdsaVerificationAlgorithm,
    point: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    ParsedPublicKey::new(algorithm, point)
        .map_err(|_| CryptoError::InvalidKey)?
        .verify_sig(message, signature)
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
pub(super) static ECDSA_SHA2_NISTP521_CERT: CertificateAlgorithm = CertificateAlgorithm::new(
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    &ECDSA_SHA2_NISTP521,
);

pub(super) static KEYS: Keys = Keys;

/// Signs with AWS-LC where it has the algorithm. New keys are made by RustCrypto, from the
/// randomness that it is given.
pub(super) struct Keys;

impl KeyProvider for Keys {
    fn signing_key(&self, key: &PrivateKey) -> Result<Arc<dyn SigningKey>, CryptoError> {
        match key {
            PrivateKey::Ed25519 { public, seed } => Ok(Arc::new(Signer {
                key: Ed25519KeyPair::from_seed_and_public_key(&seed[..], public)
                    .map_err(|_| CryptoError::InvalidKey)?,
                public: key.public_key(),
                algorithms: &["ssh-ed25519"],
            })),
            PrivateKey::Ecdsa {
                curve,
                public,
                scalar,
            } => ecdsa_signer(*curve, public, scalar),
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

pub(super) static FIPS_KEYS: FipsKeys = FipsKeys;

/// Keys of approved algorithms alone, made inside the module.
pub(super) struct FipsKeys;

impl KeyProvider for FipsKeys {
    fn fips(&self) -> bool {
        true
    }

    fn signing_key(&self, key: &PrivateKey) -> Result<Arc<dyn SigningKey>, CryptoError> {
        match key {
            PrivateKey::Ecdsa {
                curve,
                public,
                scalar,
            } => ecdsa_signer(*curve, public, scalar),
            _ => Err(CryptoError::Unsupported),
        }
    }

    fn generate(
        &self,
        key_type: &str,
        _random: &mut dyn SecureRandom,
    ) -> Result<PrivateKey, CryptoError> {
        use ::aws_lc_rs::encoding::AsBigEndian as _;
        use ::aws_lc_rs::signature::KeyPair as _;

        let curve = EcdsaCurve::of_key_type(key_type).ok_or(CryptoError::Unsupported)?;
        let pair =
            EcdsaKeyPair::generate(algorithms(curve).0).map_err(|_| CryptoError::RandomFailed)?;
        let scalar = pair
            .private_key()
            .as_be_bytes()
            .map_err(|_| CryptoError::Failed)?;
        Ok(PrivateKey::Ecdsa {
            curve,
            public: pair.public_key().as_ref().to_vec(),
            scalar: zeroize::Zeroizing::new(scalar.as_ref().to_vec()),
        })
    }
}

fn algorithms(
    curve: EcdsaCurve,
) -> (
    &'static EcdsaSigningAlgorithm,
    &'static EcdsaVerificationAlgorithm,
    &'static [&'static str],
) {
    match curve {
        EcdsaCurve::Nistp256 => (
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &ECDSA_P256_SHA256_FIXED,
            &["ecdsa-sha2-nistp256"],
        ),
        EcdsaCurve::Nistp384 => (
            &ECDSA_P384_SHA384_FIXED_SIGNING,
            &ECDSA_P384_SHA384_FIXED,
            &["ecdsa-sha2-nistp384"],
        ),
        EcdsaCurve::Nistp521 => (
            &ECDSA_P521_SHA512_FIXED_SIGNING,
            &ECDSA_P521_SHA512_FIXED,
            &["ecdsa-sha2-nistp521"],
        ),
    }
}

fn ecdsa_signer(
    curve: EcdsaCurve,
    public: &[u8],
    scalar: &[u8],
) -> Result<Arc<dyn SigningKey>, CryptoError> {
    let (signing, verifying, algorithms) = algorithms(curve);
    // The library takes other lengths and forms as well.
    if scalar.len() != curve.field_len() || public.len() != curve.point_len() {
        return Err(CryptoError::InvalidKey);
    }
    let key = EcdsaPair {
        signing: EcdsaKeyPair::from_private_key_and_public_key(signing, scalar, public)
            .map_err(|_| CryptoError::InvalidKey)?,
        verifying: ParsedPublicKey::new(verifying, public).map_err(|_| CryptoError::InvalidKey)?,
    };
    Ok(Arc::new(Signer {
        key,
        public: PublicKey::ecdsa(curve, public),
        algorithms,
    }))
}

impl Sign for Ed25519KeyPair {
    fn sign(&self, _algorithm: &str, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = self.try_sign(message).map_err(|_| CryptoError::Failed)?;
        Ok(signature.as_ref().to_vec())
    }
}

struct EcdsaPair {
    signing: EcdsaKeyPair,
    verifying: ParsedPublicKey,
}

impl Sign for EcdsaPair {
    fn sign(&self, _algorithm: &str, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        // The library ignores the source that it asks for.
        let signature = self
            .signing
            .sign(&SystemRandom::new(), message)
            .map_err(|_| CryptoError::Failed)?;
        // A signature spoilt by a fault would give the key away.
        self.verifying
            .verify_sig(message, signature.as_ref())
            .map_err(|_| CryptoError::Failed)?;
        Ok(ecdsa_blob(signature.as_ref()))
    }
}
