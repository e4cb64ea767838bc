//! RSASSA-PKCS1-v1_5 of AWS-LC, for moduli of 2048 to 8192 bits (RFC 8017 section 8.2).

use alloc::vec;
use alloc::vec::Vec;

use ::aws_lc_rs::rand::SystemRandom;
use ::aws_lc_rs::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use ::aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
};

use crate::crypto::CertificateAlgorithm;
use crate::crypto::frame::{Rsa, RsaComponents, RsaHash, RsaSha2};
use crate::error::CryptoError;

pub(super) static RSA_SHA2_512: RsaSha2<Key> = RsaSha2::new(RsaHash::Sha512);
pub(super) static RSA_SHA2_256: RsaSha2<Key> = RsaSha2::new(RsaHash::Sha256);

/// The algorithms of certificates, over those above.
pub(super) static RSA_SHA2_512_CERT: CertificateAlgorithm = CertificateAlgorithm::new(
    "rsa-sha2-512-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    &RSA_SHA2_512,
);
pub(super) static RSA_SHA2_256_CERT: CertificateAlgorithm = CertificateAlgorithm::new(
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    &RSA_SHA2_256,
);

pub(super) struct Key(KeyPair);

impl Rsa for Key {
    fn takes(bits: usize) -> bool {
        (2048..=8192).contains(&bits)
    }

    fn verify(
        modulus: &[u8],
        exponent: &[u8],
        hash: RsaHash,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let (n, e) = (modulus, exponent);
        let parameters = match hash {
            RsaHash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            RsaHash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
        };
        PublicKeyComponents { n, e }
            .verify(parameters, message, signature)
            .map_err(|_| CryptoError::InvalidSignature)
    }

    fn new(key: &RsaComponents) -> Option<Self> {
        let (n, e) = (&key.modulus[..], &key.exponent[..]);
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n, e },
            d: &key.private_exponent[..],
            p: &key.prime_p,
            q: &key.prime_q,
            dP: &key.exponent_p,
            dQ: &key.exponent_q,
            qInv: &key.coefficient,
        };
        KeyPair::from_components(&components).ok().map(Self)
    }

    fn sign(&self, hash: RsaHash, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let encoding = match hash {
            RsaHash::Sha256 => &RSA_PKCS1_SHA256,
            RsaHash::Sha512 => &RSA_PKCS1_SHA512,
        };
        let mut signature = vec![0; self.0.public_modulus_len()];
        // The library ignores the source that it asks for.
        self.0
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| CryptoError::Failed)?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_keys_are_taken() {
        crate::crypto::frame::tests::takes_usual_keys::<Key>();
    }
}
