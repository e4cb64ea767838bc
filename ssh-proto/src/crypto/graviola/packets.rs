//! AES-GCM of Graviola (NIST SP 800-38D).

use ::graviola::aead::AesGcm;

use crate::crypto::frame::{GcmKey, IV_LEN, TAG_LEN};
use crate::error::CryptoError;

pub(super) struct Gcm(AesGcm);

impl GcmKey for Gcm {
    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        match key.len() {
            16 | 32 => Ok(Self(AesGcm::new(key))),
            // The library would panic.
            _ => Err(CryptoError::InvalidKey),
        }
    }

    fn seal(
        &self,
        nonce: &[u8; IV_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG_LEN],
    ) -> Result<(), CryptoError> {
        self.0.encrypt(nonce, aad, text, tag);
        Ok(())
    }

    fn open(
        &self,
        nonce: &[u8; IV_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), CryptoError> {
        self.0
            .decrypt(nonce, aad, text, tag)
            .map_err(|_| CryptoError::TagMismatch)
    }
}
