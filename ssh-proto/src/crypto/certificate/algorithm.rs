//! Signature algorithms of certificates (draft-ietf-sshm-cert section 2.1): the key inside signs.

use super::Certificate;
use crate::crypto::{PublicKey, Signature, SignatureAlgorithm};
use crate::error::CryptoError;

/// Verifies signatures by the key in a certificate, with the algorithm of that key.
///
/// For the lists of a provider; each entry is made of the provider's own plain algorithm. It tells
/// that the peer has the key. Whether the certificate is to be believed is the application's to
/// decide, by [`Certificate::verify`].
pub struct CertificateAlgorithm {
    name: &'static str,
    key_type: &'static str,
    plain: &'static dyn SignatureAlgorithm,
}

impl CertificateAlgorithm {
    /// The algorithm `name`, for certificates of type `key_type`, of which `plain` is what the keys
    /// inside sign with. Name and type differ for RSA alone, and for what browsers sign with
    /// security keys.
    pub const fn new(
        name: &'static str,
        key_type: &'static str,
        plain: &'static dyn SignatureAlgorithm,
    ) -> Self {
        Self {
            name,
            key_type,
            plain,
        }
    }
}

impl SignatureAlgorithm for CertificateAlgorithm {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_type(&self) -> &'static str {
        self.key_type
    }

    fn signature_name(&self) -> &'static str {
        self.plain.signature_name()
    }

    fn fips(&self) -> bool {
        self.plain.fips()
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        if key.key_type() != self.key_type {
            return Err(CryptoError::InvalidKey);
        }
        let certificate = Certificate::from_public_key(key).map_err(|_| CryptoError::InvalidKey)?;
        self.plain
            .verify(certificate.public_key(), message, signature)
    }
}

/// Algorithms, and those of certificates of the same keys.
pub(super) const NAMES: [(&str, &str); 12] = [
    ("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"),
    (
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    ),
    (
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    ),
    (
        "ecdsa-sha2-nistp521",
        "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    ),
    (
        "sk-ssh-ed25519@openssh.com",
        "sk-ssh-ed25519-cert-v01@openssh.com",
    ),
    (
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    ),
    (
        "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
        "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    ),
    ("rsa-sha2-512", "rsa-sha2-512-cert-v01@openssh.com"),
    ("rsa-sha2-256", "rsa-sha2-256-cert-v01@openssh.com"),
    ("ssh-mldsa44-ed25519", "ssh-mldsa44-ed25519-cert"),
    ("ssh-rsa", "ssh-rsa-cert-v01@openssh.com"),
    ("ssh-dss", "ssh-dss-cert-v01@openssh.com"),
];

/// The algorithm for certificates of keys that sign with `plain`.
pub(super) fn certified_name(plain: &str) -> Option<&'static str> {
    let found = NAMES.iter().find(|(name, _)| *name == plain);
    found.map(|(_, certified)| *certified)
}

/// The algorithm that the key in a certificate signs with.
pub(super) fn plain_name(certified: &str) -> Option<&'static str> {
    let found = NAMES.iter().find(|(_, name)| *name == certified);
    found.map(|(plain, _)| *plain)
}
