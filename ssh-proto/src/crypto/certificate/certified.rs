//! A private key with its certificate, for users and hosts (draft-ietf-sshm-cert section 2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Certificate;
use super::algorithm::{certified_name, plain_name};
use crate::crypto::{PublicKey, Signature, SigningKey};
use crate::error::CryptoError;

/// A private key that presents itself by its certificate: use it wherever a [`SigningKey`] goes,
/// to log in with or as a host key.
#[derive(Debug, Clone)]
pub struct CertifiedKey {
    key: Arc<dyn SigningKey>,
    certificate: Certificate,
    algorithms: Vec<&'static str>,
}

impl CertifiedKey {
    /// Joins a private key and its certificate.
    ///
    /// # Errors
    /// `InvalidKey` if the certificate is of another key, `Unsupported` if the key signs with
    /// nothing that certificates know.
    pub fn new(key: Arc<dyn SigningKey>, certificate: Certificate) -> Result<Self, CryptoError> {
        if key.public_key() != certificate.public_key() {
            return Err(CryptoError::InvalidKey);
        }
        let names = key.algorithms().iter();
        let algorithms: Vec<_> = names.filter_map(|name| certified_name(name)).collect();
        match algorithms.is_empty() {
            true => Err(CryptoError::Unsupported),
            false => Ok(Self {
                key,
                certificate,
                algorithms,
            }),
        }
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

impl SigningKey for CertifiedKey {
    fn public_key(&self) -> &PublicKey {
        self.certificate.as_public_key()
    }

    fn algorithms(&self) -> &[&'static str] {
        &self.algorithms
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        // The signature says nothing of the certificate, and agents name it by the key alone.
        self.key
            .sign(plain_name(algorithm).unwrap_or(algorithm), message)
    }
}
