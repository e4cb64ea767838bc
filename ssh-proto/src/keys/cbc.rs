//! Ciphers in CBC mode, as key files are encrypted with (NIST SP 800-38A section 6.2).

use ::cbc::Decryptor;
use ::cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InOutBuf, KeyInit, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
#[cfg(feature = "pem")]
use des::TdesEde3;

use super::KeyFileError;
use crate::error::CryptoError;

const FAILED: KeyFileError = KeyFileError::Crypto(CryptoError::Failed);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cbc {
    Aes128,
    Aes192,
    Aes256,
    #[cfg(feature = "pem")]
    TripleDes,
}

impl Cbc {
    pub(super) const fn key_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
            #[cfg(feature = "pem")]
            Self::TripleDes => 24,
        }
    }

    /// Bytes in a block, and in the initialisation vector.
    pub(super) const fn block_len(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
            #[cfg(feature = "pem")]
            Self::TripleDes => 8,
        }
    }

    /// Decrypts whole blocks in place.
    pub(super) fn decrypt(
        self,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), KeyFileError> {
        match self {
            Self::Aes128 => decrypt::<Aes128>(key, iv, data),
            Self::Aes192 => decrypt::<Aes192>(key, iv, data),
            Self::Aes256 => decrypt::<Aes256>(key, iv, data),
            #[cfg(feature = "pem")]
            Self::TripleDes => decrypt::<TdesEde3>(key, iv, data),
        }
    }

    /// Decrypts in place and tells what is left without the padding of RFC 8018 section 6.1.1, by
    /// which a wrong key is noticed most times.
    #[cfg(feature = "pem")]
    pub(super) fn decrypt_padded<'d>(
        self,
        key: &[u8],
        iv: &[u8],
        data: &'d mut [u8],
    ) -> Result<&'d [u8], KeyFileError> {
        self.decrypt(key, iv, data)?;
        let padding = data.last().map_or(0, |last| usize::from(*last));
        let end = data.len().checked_sub(padding);
        match end.and_then(|end| data.split_at_checked(end)) {
            Some((text, tail))
                if (1..=self.block_len()).contains(&padding)
                    && tail.iter().all(|byte| usize::from(*byte) == padding) =>
            {
                Ok(text)
            }
            _ => Err(KeyFileError::WrongPassphrase),
        }
    }
}

fn decrypt<C: BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Result<(), KeyFileError> {
    let mut cipher = Decryptor::<C>::new_from_slices(key, iv).map_err(|_| FAILED)?;
    let (blocks, rest) = InOutBuf::from(data).into_chunks();
    if !rest.is_empty() {
        return Err(FAILED);
    }
    cipher.decrypt_blocks_inout(blocks);
    Ok(())
}
