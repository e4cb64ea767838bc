//! AES-GCM of RustCrypto (NIST SP 800-38D).

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::{AeadCore, AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};

use crate::crypto::frame::{Gcm, GcmKey, IV_LEN, NOT_FIPS, TAG_LEN};
use crate::error::CryptoError;

pub(super) static AES128_GCM: Gcm<Aes128Gcm> = Gcm::new("aes128-gcm@openssh.com", 16, NOT_FIPS);
pub(super) static AES256_GCM: Gcm<Aes256Gcm> = Gcm::new("aes256-gcm@openssh.com", 32, NOT_FIPS);

impl<A> GcmKey for A
where
    A: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + KeyInit + Send + 'static,
{
    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        Self::new_from_slice(key).map_err(|_| CryptoError::InvalidKey)
    }

    fn seal(
        &self,
        nonce: &[u8; IV_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG_LEN],
    ) -> Result<(), CryptoError> {
        *tag = self
            .encrypt_inout_detached(nonce.into(), aad, text.into())
            .map_err(|_| CryptoError::Failed)?
            .into();
        Ok(())
    }

    fn open(
        &self,
        nonce: &[u8; IV_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), CryptoError> {
        self.decrypt_inout_detached(nonce.into(), aad, text.into(), tag.into())
            .map_err(|_| CryptoError::TagMismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::frame::tests::{nist_gcm, wycheproof_gcm};

    #[test]
    fn known_answers() {
        nist_gcm::<Aes128Gcm, Aes256Gcm>();
        wycheproof_gcm::<Aes128Gcm, Aes256Gcm>();
    }
}
