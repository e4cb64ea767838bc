//! How the private section of an OpenSSH key file is encrypted: bcrypt-pbkdf and a cipher (PROTOCOL.key section 2).

use alloc::vec::Vec;

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use bytes::{BufMut, BytesMut};
use cbc::Decryptor;
use chacha20::ChaCha20;
use ctr::Ctr128BE;
use ctr::cipher::{BlockModeDecrypt, KeyIvInit, StreamCipher, StreamCipherSeek};
use poly1305::Poly1305;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Damage, KeyFileError};
use crate::crypto::SecureRandom;
use crate::error::CryptoError;
use crate::limits::MAX_BCRYPT_ROUNDS;
use crate::wire::{Reader, put_string};

/// Key and IV of the cipher with the longest: 64 bytes, two blocks of bcrypt-pbkdf.
const MAX_KEY_MATERIAL: usize = 64;
const BCRYPT_BLOCK: usize = 32;

const FAILED: KeyFileError = KeyFileError::Crypto(CryptoError::Failed);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    /// The default of ssh-keygen up to 7.5.
    Aes256Cbc,
    Aes192Cbc,
    Aes128Cbc,
    #[cfg(feature = "legacy")]
    TripleDesCbc,
    Aes128Ctr,
    Aes192Ctr,
    Aes256Ctr,
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Cipher {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "aes256-cbc" => Self::Aes256Cbc,
            "aes192-cbc" => Self::Aes192Cbc,
            "aes128-cbc" => Self::Aes128Cbc,
            #[cfg(feature = "legacy")]
            "3des-cbc" => Self::TripleDesCbc,
            "aes128-ctr" => Self::Aes128Ctr,
            "aes192-ctr" => Self::Aes192Ctr,
            "aes256-ctr" => Self::Aes256Ctr,
            "aes128-gcm@openssh.com" => Self::Aes128Gcm,
            "aes256-gcm@openssh.com" => Self::Aes256Gcm,
            "chacha20-poly1305@openssh.com" => Self::ChaCha20Poly1305,
            _ => return None,
        })
    }

    const fn key_len(self) -> usize {
        match self {
            Self::Aes128Cbc | Self::Aes128Ctr | Self::Aes128Gcm => 16,
            Self::Aes192Cbc | Self::Aes192Ctr => 24,
            Self::Aes256Cbc | Self::Aes256Ctr | Self::Aes256Gcm => 32,
            #[cfg(feature = "legacy")]
            Self::TripleDesCbc => 24,
            Self::ChaCha20Poly1305 => 64,
        }
    }

    const fn iv_len(self) -> usize {
        match self {
            Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc => 16,
            Self::Aes128Ctr | Self::Aes192Ctr | Self::Aes256Ctr => 16,
            #[cfg(feature = "legacy")]
            Self::TripleDesCbc => 8,
            Self::Aes128Gcm | Self::Aes256Gcm => 12,
            Self::ChaCha20Poly1305 => 0,
        }
    }
}

/// A supported cipher with the parameters of bcrypt-pbkdf, whose rounds are within bounds.
#[derive(Debug, Clone)]
pub(super) struct Encryption {
    cipher: Cipher,
    salt: Vec<u8>,
    rounds: u32,
}

impl Encryption {
    /// The name of the cipher that we write, ssh-keygen's default.
    pub(super) const WRITTEN: &str = "aes256-ctr";

    /// Reads cipher name, KDF name and KDF options; `None` for an unencrypted file.
    pub(super) fn parse(
        cipher: &str,
        kdf: &str,
        options: &[u8],
    ) -> Result<Option<Self>, KeyFileError> {
        match (cipher, kdf) {
            ("none", "none") if options.is_empty() => return Ok(None),
            ("none", _) | (_, "none") => return Err(Damage::KdfOptions.into()),
            (_, "bcrypt") => {}
            _ => return Err(KeyFileError::UnsupportedKdf(kdf.into())),
        }
        let cipher = Cipher::from_name(cipher)
            .ok_or_else(|| KeyFileError::UnsupportedCipher(cipher.into()))?;
        let mut reader = Reader::new(options);
        let salt = reader.string().map_err(|_| Damage::KdfOptions)?;
        let rounds = reader.u32().map_err(|_| Damage::KdfOptions)?;
        reader.finish().map_err(|_| Damage::KdfOptions)?;
        if salt.is_empty() {
            return Err(Damage::KdfOptions.into());
        }
        check_rounds(rounds)?;
        Ok(Some(Self {
            cipher,
            salt: salt.to_vec(),
            rounds,
        }))
    }

    /// Fresh parameters for a file that we write.
    pub(super) fn generate(
        rounds: u32,
        random: &mut dyn SecureRandom,
    ) -> Result<Self, KeyFileError> {
        check_rounds(rounds)?;
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        Ok(Self {
            cipher: Cipher::Aes256Ctr,
            salt: salt.to_vec(),
            rounds,
        })
    }

    /// The KDF options as they stand in the file.
    pub(super) fn options(&self) -> BytesMut {
        let mut options = BytesMut::new();
        put_string(&mut options, &self.salt);
        options.put_u32(self.rounds);
        options
    }

    /// What the length of the private section is a multiple of.
    pub(super) const fn block_len(&self) -> usize {
        match self.cipher {
            Cipher::ChaCha20Poly1305 => 8,
            #[cfg(feature = "legacy")]
            Cipher::TripleDesCbc => 8,
            _ => 16,
        }
    }

    /// The length of the tag that follows the private section.
    pub(super) const fn tag_len(&self) -> usize {
        match self.cipher {
            Cipher::Aes128Gcm | Cipher::Aes256Gcm | Cipher::ChaCha20Poly1305 => 16,
            _ => 0,
        }
    }

    /// Encrypts a section that we write, in place.
    pub(super) fn seal(&self, passphrase: &[u8], section: &mut [u8]) -> Result<(), KeyFileError> {
        // Only counter mode is written, and it is its own inverse.
        self.open(passphrase, section, &[])
    }

    /// Decrypts in place. Only a cipher with a tag notices a wrong passphrase here.
    pub(super) fn open(
        &self,
        passphrase: &[u8],
        section: &mut [u8],
        tag: &[u8],
    ) -> Result<(), KeyFileError> {
        let mut material = Zeroizing::new([0; MAX_KEY_MATERIAL]);
        let len = self.cipher.key_len().saturating_add(self.cipher.iv_len());
        let material = material.get_mut(..len).ok_or(FAILED)?;
        let mut memory = Zeroizing::new([0; MAX_KEY_MATERIAL]);
        let memory = memory
            .get_mut(..len.next_multiple_of(BCRYPT_BLOCK))
            .ok_or(FAILED)?;
        bcrypt_pbkdf::bcrypt_pbkdf_with_memory(
            passphrase,
            &self.salt,
            self.rounds,
            material,
            memory,
        )
        .map_err(|_| FAILED)?;
        let (key, iv) = material
            .split_at_checked(self.cipher.key_len())
            .ok_or(FAILED)?;
        match self.cipher {
            Cipher::Aes256Cbc => open_cbc::<Decryptor<Aes256>>(key, iv, section),
            Cipher::Aes192Cbc => open_cbc::<Decryptor<Aes192>>(key, iv, section),
            Cipher::Aes128Cbc => open_cbc::<Decryptor<Aes128>>(key, iv, section),
            #[cfg(feature = "legacy")]
            Cipher::TripleDesCbc => open_cbc::<Decryptor<des::TdesEde3>>(key, iv, section),
            Cipher::Aes128Ctr => apply_ctr::<Ctr128BE<Aes128>>(key, iv, section),
            Cipher::Aes192Ctr => apply_ctr::<Ctr128BE<Aes192>>(key, iv, section),
            Cipher::Aes256Ctr => apply_ctr::<Ctr128BE<Aes256>>(key, iv, section),
            Cipher::Aes128Gcm => open_gcm::<Aes128Gcm>(key, iv, section, tag),
            Cipher::Aes256Gcm => open_gcm::<Aes256Gcm>(key, iv, section, tag),
            Cipher::ChaCha20Poly1305 => open_chacha20_poly1305(key, section, tag),
        }
    }
}

fn check_rounds(rounds: u32) -> Result<(), KeyFileError> {
    if (1..=MAX_BCRYPT_ROUNDS).contains(&rounds) {
        Ok(())
    } else {
        Err(KeyFileError::BadRounds(rounds))
    }
}

fn open_cbc<C: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Result<(), KeyFileError> {
    let mut cipher = C::new_from_slices(key, iv).map_err(|_| FAILED)?;
    // The length is a multiple of the block.
    let (blocks, _) = InOutBuf::from(data).into_chunks();
    cipher.decrypt_blocks_inout(blocks);
    Ok(())
}

fn apply_ctr<C: KeyIvInit + StreamCipher>(
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Result<(), KeyFileError> {
    C::new_from_slices(key, iv)
        .map_err(|_| FAILED)?
        .try_apply_keystream(data)
        .map_err(|_| FAILED)
}

fn open_gcm<C: KeyInit + AeadInOut>(
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
    tag: &[u8],
) -> Result<(), KeyFileError> {
    C::new_from_slice(key)
        .map_err(|_| FAILED)?
        .decrypt_inout_detached(
            iv.try_into().map_err(|_| FAILED)?,
            &[],
            InOutBuf::from(data),
            tag.try_into().map_err(|_| FAILED)?,
        )
        .map_err(|_| KeyFileError::WrongPassphrase)
}

/// As packet 0 of the transport cipher without a length (PROTOCOL.chacha20poly1305): the second
/// key, for lengths, is idle. With an all-zero nonce this is the ChaCha20 of RFC 8439.
fn open_chacha20_poly1305(key: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), KeyFileError> {
    let (main, _lengths) = key.split_first_chunk::<32>().ok_or(FAILED)?;
    let mut cipher = ChaCha20::new(main.into(), &[0; 12].into());
    let mut poly_key = Zeroizing::new([0; 32]);
    cipher
        .try_apply_keystream(&mut poly_key[..])
        .map_err(|_| FAILED)?;
    let expected = Poly1305::new((&*poly_key).into()).compute_unpadded(data);
    if !bool::from(expected.as_slice().ct_eq(tag)) {
        return Err(KeyFileError::WrongPassphrase);
    }
    cipher.try_seek(64).map_err(|_| FAILED)?;
    cipher.try_apply_keystream(data).map_err(|_| FAILED)
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;

    use super::*;

    fn options(salt: &[u8], rounds: u32) -> BytesMut {
        let mut options = BytesMut::new();
        put_string(&mut options, salt);
        options.put_u32(rounds);
        options
    }

    #[test]
    fn m2_cipher_and_kdf_must_go_together() {
        let good = options(b"salt", 16);
        assert!(Encryption::parse("none", "none", &[]).unwrap().is_none());
        assert!(
            Encryption::parse("aes256-ctr", "bcrypt", &good)
                .unwrap()
                .is_some()
        );
        for (cipher, kdf, options) in [
            ("none", "bcrypt", &good[..]),
            ("aes256-ctr", "none", &[]),
            ("none", "none", &good),
            ("none", "scrypt", &good),
        ] {
            let error = Encryption::parse(cipher, kdf, options).unwrap_err();
            assert_eq!(error, Damage::KdfOptions.into(), "{cipher} {kdf}");
        }
        assert_eq!(
            Encryption::parse("aes256-ctr", "scrypt", &good).unwrap_err(),
            KeyFileError::UnsupportedKdf("scrypt".to_owned())
        );
        assert_eq!(
            Encryption::parse("blowfish-cbc", "bcrypt", &good).unwrap_err(),
            KeyFileError::UnsupportedCipher("blowfish-cbc".to_owned())
        );
    }

    #[test]
    fn m3_rounds_and_salt_are_bounded_before_any_work() {
        let parse = |options: &[u8]| Encryption::parse("aes256-ctr", "bcrypt", options);
        for rounds in [1, 16, 2048] {
            assert!(parse(&options(b"salt", rounds)).is_ok());
        }
        for rounds in [0, 2049, u32::MAX] {
            assert_eq!(
                parse(&options(b"salt", rounds)).unwrap_err(),
                KeyFileError::BadRounds(rounds)
            );
        }
        let damaged = KeyFileError::Damaged(Damage::KdfOptions);
        assert_eq!(parse(&options(b"", 16)).unwrap_err(), damaged);
        let good = options(b"salt", 16);
        for cut in 0..good.len() {
            assert_eq!(parse(&good[..cut]).unwrap_err(), damaged);
        }
        assert_eq!(parse(&[&good[..], &[0]].concat()).unwrap_err(), damaged);
    }
}
