//! RSASSA-PKCS1-v1_5 of Graviola, for moduli of 2048 to 8192 bits in whole words (RFC 8017 section 8.2).

use alloc::vec;
use alloc::vec::Vec;

use ::graviola::signing::rsa::{SigningKey, VerifyingKey};
use der::Encode as _;
use der::asn1::UintRef;
use zeroize::Zeroizing;

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

/// Bytes in the words that the library computes with.
const WORD_LEN: usize = 8;

pub(super) struct Key(SigningKey);

/// A sequence of numbers, which is what keys are in PKCS#1 (RFC 8017 appendix A.1).
fn sequence<const N: usize>(numbers: [&[u8]; N]) -> der::Result<Zeroizing<Vec<u8>>> {
    let mut integers = [UintRef::new(&[0])?; N];
    for (integer, number) in integers.iter_mut().zip(numbers) {
        *integer = UintRef::new(number)?;
    }
    let mut encoded = Zeroizing::new(vec![0; usize::try_from(integers.encoded_len()?)?]);
    integers.encode_to_slice(&mut encoded)?;
    Ok(encoded)
}

impl Rsa for Key {
    /// The library does take a modulus whose highest word is not full, but refuses all signatures
    /// then.
    fn takes(bits: usize) -> bool {
        (2048..=8192).contains(&bits) && bits.div_ceil(8).is_multiple_of(WORD_LEN)
    }

    fn verify(
        modulus: &[u8],
        exponent: &[u8],
        hash: RsaHash,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let key = sequence([modulus, exponent]).map_err(|_| CryptoError::InvalidKey)?;
        let key = VerifyingKey::from_pkcs1_der(&key).map_err(|_| CryptoError::InvalidKey)?;
        match hash {
            RsaHash::Sha256 => key.verify_pkcs1_sha256(signature, message),
            RsaHash::Sha512 => key.verify_pkcs1_sha512(signature, message),
        }
        .map_err(|_| CryptoError::InvalidSignature)
    }

    fn new(key: &RsaComponents) -> Option<Self> {
        // Nor is the library made for primes of different lengths, or that end within a word.
        let half = key.modulus.len() / 2;
        let lens = [key.prime_p.len(), key.prime_q.len()];
        if !half.is_multiple_of(WORD_LEN) || lens != [half; 2] {
            return None;
        }
        let encoded = sequence([
            &[0],
            &key.modulus,
            &key.exponent,
            &key.private_exponent,
            &key.prime_p,
            &key.prime_q,
            &key.exponent_p,
            &key.exponent_q,
            &key.coefficient,
        ]);
        SigningKey::from_pkcs1_der(&encoded.ok()?).ok().map(Self)
    }

    fn sign(&self, hash: RsaHash, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut signature = vec![0; self.0.modulus_len_bytes()];
        match hash {
            RsaHash::Sha256 => self.0.sign_pkcs1_sha256(&mut signature, message),
            RsaHash::Sha512 => self.0.sign_pkcs1_sha512(&mut signature, message),
        }
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
