//! AES and triple DES in CBC mode with a separate MAC (RFC 4253 section 6.3; encrypt-then-MAC as in OpenSSH PROTOCOL section 1.7).
//!
//! Weak: the last block of a packet is the IV of the next, and without encrypt-then-MAC a length has
//! to be believed before it can be verified. Triple DES has blocks of 64 bits and, in software, is
//! not constant in time besides.

use alloc::boxed::Box;
use alloc::vec;
use core::marker::PhantomData;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::inout::InOutBuf;
use cbc::cipher::typenum::Unsigned;
use cbc::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockModeEncrypt as _,
    BlockSizeUser, KeyInit, KeyIvInit as _, KeySizeUser,
};
use cbc::{Decryptor, Encryptor};
use des::TdesEde3;

use crate::crypto::{CipherAlgorithm, CipherKeys, MacKey, OpeningKey, PacketLayout, SealingKey};
use crate::error::CryptoError;

pub(super) static AES128_CBC: Cbc<Aes128> = Cbc::new("aes128-cbc");
pub(super) static AES192_CBC: Cbc<Aes192> = Cbc::new("aes192-cbc");
pub(super) static AES256_CBC: Cbc<Aes256> = Cbc::new("aes256-cbc");
pub(super) static TDES_CBC: Cbc<TdesEde3> = Cbc::new("3des-cbc");

/// What this file asks of a block cipher.
pub(super) trait Block:
    BlockCipherEncrypt + BlockCipherDecrypt + KeyInit + Send + 'static
{
    const LEN: usize = <Self as BlockSizeUser>::BlockSize::USIZE;
}

impl<C> Block for C where C: BlockCipherEncrypt + BlockCipherDecrypt + KeyInit + Send + 'static {}

pub(super) struct Cbc<C> {
    name: &'static str,
    cipher: PhantomData<fn() -> C>,
}

impl<C> Cbc<C> {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            cipher: PhantomData,
        }
    }
}

impl<C: Block> CipherAlgorithm for Cbc<C> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        <C as KeySizeUser>::key_size()
    }

    fn iv_len(&self) -> usize {
        C::LEN
    }

    fn is_aead(&self) -> bool {
        false
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        let mode = Encryptor::<C>::new_from_slices(keys.key, keys.iv)
            .map_err(|_| CryptoError::InvalidKey)?;
        Ok(Box::new(Sealing {
            mode,
            mac: Mac::new::<C>(keys)?,
        }))
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        let mode = Decryptor::<C>::new_from_slices(keys.key, keys.iv)
            .map_err(|_| CryptoError::InvalidKey)?;
        Ok(Box::new(Opening {
            mode,
            mac: Mac::new::<C>(keys)?,
        }))
    }
}

/// The MAC, and where it lets the encrypted text begin.
struct Mac {
    key: Box<dyn MacKey>,
    layout: PacketLayout,
}

impl Mac {
    fn new<C: Block>(keys: CipherKeys<'_>) -> Result<Self, CryptoError> {
        let (mac, key) = keys.mac.ok_or(CryptoError::InvalidKey)?;
        Ok(Self {
            key: mac.key(key)?,
            layout: PacketLayout {
                block_len: C::LEN,
                length_is_padded: !mac.is_etm(),
                tag_len: mac.tag_len(),
                head_len: if mac.is_etm() { 4 } else { C::LEN },
            },
        })
    }

    const fn is_etm(&self) -> bool {
        !self.layout.length_is_padded
    }

    /// The packet and its tag; `None` if not even the tag is there.
    fn split<'p>(&self, packet: &'p mut [u8]) -> Option<(&'p mut [u8], &'p mut [u8])> {
        let at = packet.len().checked_sub(self.layout.tag_len)?;
        packet.split_at_mut_checked(at)
    }
}

struct Sealing<C: Block> {
    mode: Encryptor<C>,
    mac: Mac,
}

impl<C: Block> Sealing<C> {
    /// Each block is chained to the one before, across packets.
    fn encrypt(&mut self, text: &mut [u8]) -> Result<(), CryptoError> {
        let (blocks, rest) = InOutBuf::from(text).into_chunks();
        self.mode.encrypt_blocks_inout(blocks);
        match rest.is_empty() {
            true => Ok(()),
            false => Err(CryptoError::Failed),
        }
    }
}

impl<C: Block> SealingKey for Sealing<C> {
    fn layout(&self) -> PacketLayout {
        self.mac.layout
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = self.mac.split(packet).ok_or(CryptoError::Failed)?;
        if self.mac.is_etm() {
            self.encrypt(data.get_mut(4..).ok_or(CryptoError::Failed)?)?;
            self.mac.key.sign(sequence, data, tag);
            Ok(())
        } else {
            self.mac.key.sign(sequence, data, tag);
            self.encrypt(data)
        }
    }
}

struct Opening<C: Block> {
    mode: Decryptor<C>,
    mac: Mac,
}

impl<C: Block> Opening<C> {
    fn decrypt(&mut self, text: &mut [u8]) -> Result<(), CryptoError> {
        let (blocks, rest) = InOutBuf::from(text).into_chunks();
        self.mode.decrypt_blocks_inout(blocks);
        match rest.is_empty() {
            true => Ok(()),
            false => Err(CryptoError::TagMismatch),
        }
    }
}

impl<C: Block> OpeningKey for Opening<C> {
    fn layout(&self) -> PacketLayout {
        self.mac.layout
    }

    fn open_length(&mut self, _sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        if !self.mac.is_etm() {
            let block = head.get_mut(..C::LEN).ok_or(CryptoError::Failed)?;
            self.decrypt(block)?;
        }
        head.first_chunk()
            .map(|length| u32::from_be_bytes(*length))
            .ok_or(CryptoError::Failed)
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let mismatch = CryptoError::TagMismatch;
        let (data, tag) = self.mac.split(packet).ok_or(mismatch)?;
        if self.mac.is_etm() {
            self.mac.key.verify(sequence, data, tag)?;
            self.decrypt(data.get_mut(4..).ok_or(mismatch)?)
        } else {
            // The first block is open already: the length was in it.
            self.decrypt(data.get_mut(C::LEN..).ok_or(mismatch)?)?;
            self.mac.key.verify(sequence, data, tag)
        }
    }

    fn open_unverified(&mut self, packet: &mut [u8]) -> Result<(), CryptoError> {
        let mismatch = CryptoError::TagMismatch;
        let (data, _) = self.mac.split(packet).ok_or(mismatch)?;
        match self.mac.is_etm() {
            true => self.decrypt(data.get_mut(4..).ok_or(mismatch)?),
            // `open` has to decrypt before it can verify.
            false => Ok(()),
        }
    }

    fn hides_refusals(&self) -> bool {
        !self.mac.is_etm()
    }

    fn verify_nothing(&mut self, len: usize) {
        let mut tag = vec![0; self.mac.layout.tag_len];
        self.mac.key.sign(0, &vec![0; len], &mut tag);
        core::hint::black_box(tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::hmac::{HMAC_SHA1, HMAC_SHA2_256_ETM};
    use crate::crypto::rustcrypto::testing::hex;

    /// Seals in one piece, decrypts in two to show that blocks are chained across packets.
    fn check<C: Block>(key: &str, iv: &str, clear: &str, encrypted: &str) {
        let (key, iv, mut text) = (hex(key), hex(iv), hex(clear));
        let keys = CipherKeys {
            key: &key,
            iv: &iv,
            mac: Some((&HMAC_SHA1, &[0; 20])),
        };
        let mac = || Mac::new::<C>(keys).unwrap();
        let mode = Encryptor::<C>::new_from_slices(&key, &iv).unwrap();
        Sealing { mode, mac: mac() }.encrypt(&mut text).unwrap();
        assert_eq!(text, hex(encrypted));
        let mode = Decryptor::<C>::new_from_slices(&key, &iv).unwrap();
        let mut opening = Opening { mode, mac: mac() };
        opening.decrypt(&mut text[..16]).unwrap();
        opening.decrypt(&mut text[16..]).unwrap();
        assert_eq!(text, hex(clear));
        assert!(opening.decrypt(&mut [0; 7]).is_err());
    }

    /// NIST SP 800-38A, F.2.1, F.2.3 and F.2.5.
    #[test]
    fn nist_aes() {
        let iv = "000102030405060708090a0b0c0d0e0f";
        let clear = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51";
        check::<Aes128>(
            "2b7e151628aed2a6abf7158809cf4f3c",
            iv,
            clear,
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
        );
        check::<Aes192>(
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            iv,
            clear,
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a",
        );
        check::<Aes256>(
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            iv,
            clear,
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
        );
    }

    /// `openssl enc -des-ede3-cbc -nopad -K … -iv …` (3.0).
    #[test]
    fn openssl_tdes() {
        check::<TdesEde3>(
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "f69f2445df4f9b17",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c",
            "2079c3d53aa763e193b79e2569ab5262516570481f25b50f",
        );
    }

    #[test]
    fn lengths_are_checked() {
        let keys = |key, iv| CipherKeys {
            key,
            iv,
            mac: Some((&HMAC_SHA2_256_ETM, &[0; 32])),
        };
        for (key, iv) in [(23, 8), (24, 7), (24, 16), (0, 0)] {
            let (key, iv) = (&[1; 32][..key], &[1; 32][..iv]);
            assert!(TDES_CBC.sealing_key(keys(key, iv)).is_err());
            assert!(TDES_CBC.opening_key(keys(key, iv)).is_err());
        }
        let without = CipherKeys {
            mac: None,
            ..keys(&[1; 24], &[1; 8])
        };
        assert!(TDES_CBC.sealing_key(without).is_err());
    }
}
