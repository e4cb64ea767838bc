//! AES-GCM and AES-CTR of AWS-LC (NIST SP 800-38D, SP 800-38A section 6.5).

use ::aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ::aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey,
};

use crate::crypto::frame::{BLOCK_LEN, GcmKey, IV_LEN, Keystream, TAG_LEN};
use crate::error::CryptoError;

pub(super) struct AesGcm(LessSafeKey);

impl GcmKey for AesGcm {
    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            _ => &AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    fn seal(
        &self,
        nonce: &[u8; IV_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG_LEN],
    ) -> Result<(), CryptoError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let sealed = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), text)
            .map_err(|_| CryptoError::Failed)?;
        *tag = sealed
            .as_ref()
            .try_into()
            .map_err(|_| CryptoError::Failed)?;
        Ok(())
    }

    fn open(
        &self,
        nonce: &[u8; IV_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), CryptoError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_in_place_separate_tag(nonce, Aad::from(aad), tag, text)
            .map(drop)
            .map_err(|_| CryptoError::TagMismatch)
    }
}

/// The counter is kept here, since the library's own way to go on from call to call works from one
/// buffer into another.
pub(super) struct AesCtr {
    key: EncryptingKey,
    counter: u128,
}

impl Keystream for AesCtr {
    fn new(key: &[u8], iv: &[u8; BLOCK_LEN]) -> Result<Self, CryptoError> {
        let algorithm = match key.len() {
            16 => &AES_128,
            24 => &AES_192,
            _ => &AES_256,
        };
        let key = UnboundCipherKey::new(algorithm, key)
            .and_then(EncryptingKey::ctr)
            .map_err(|_| CryptoError::InvalidKey)?;
        let counter = u128::from_be_bytes(*iv);
        Ok(Self { key, counter })
    }

    fn apply(&mut self, blocks: &mut [u8]) -> Result<(), CryptoError> {
        if !blocks.len().is_multiple_of(BLOCK_LEN) {
            return Err(CryptoError::Failed);
        }
        let from = EncryptionContext::Iv128(self.counter.to_be_bytes().into());
        self.key
            .less_safe_encrypt(blocks, from)
            .map_err(|_| CryptoError::Failed)?;
        let used = u128::try_from(blocks.len() / BLOCK_LEN).map_err(|_| CryptoError::Failed)?;
        self.counter = self.counter.wrapping_add(used);
        Ok(())
    }
}
