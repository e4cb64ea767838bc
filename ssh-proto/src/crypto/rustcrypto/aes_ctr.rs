//! AES in counter mode of RustCrypto (NIST SP 800-38A section 6.5).

use aes::{Aes128, Aes192, Aes256};
use ctr::Ctr128BE;
use ctr::cipher::consts::U16;
use ctr::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit, KeyIvInit as _, StreamCipher as _};

use crate::crypto::frame::{BLOCK_LEN, Ctr, Keystream, NOT_FIPS};
use crate::error::CryptoError;

pub(super) static AES128_CTR: Ctr<Ctr128BE<Aes128>> = Ctr::new("aes128-ctr", 16, NOT_FIPS);
pub(super) static AES192_CTR: Ctr<Ctr128BE<Aes192>> = Ctr::new("aes192-ctr", 24, NOT_FIPS);
pub(super) static AES256_CTR: Ctr<Ctr128BE<Aes256>> = Ctr::new("aes256-ctr", 32, NOT_FIPS);

impl<C> Keystream for Ctr128BE<C>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit + Send + 'static,
{
    fn new(key: &[u8], iv: &[u8; BLOCK_LEN]) -> Result<Self, CryptoError> {
        Self::new_from_slices(key, iv).map_err(|_| CryptoError::InvalidKey)
    }

    fn apply(&mut self, blocks: &mut [u8]) -> Result<(), CryptoError> {
        self.try_apply_keystream(blocks)
            .map_err(|_| CryptoError::KeyExhausted)
    }
}
