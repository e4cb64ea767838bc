//! AES in counter mode with a separate MAC (RFC 4344 section 4; encrypt-then-MAC as in OpenSSH PROTOCOL section 1.7).

use alloc::boxed::Box;
use core::marker::PhantomData;

use aes::{Aes128, Aes192, Aes256};
use ctr::Ctr128BE;
use ctr::cipher::consts::U16;
use ctr::cipher::{
    BlockCipherEncrypt, BlockSizeUser, KeyInit, KeyIvInit as _, KeySizeUser, StreamCipher as _,
};

use crate::crypto::{CipherAlgorithm, CipherKeys, MacKey, OpeningKey, PacketLayout, SealingKey};
use crate::error::CryptoError;

pub(super) static AES128_CTR: AesCtr<Aes128> = AesCtr::new("aes128-ctr");
pub(super) static AES192_CTR: AesCtr<Aes192> = AesCtr::new("aes192-ctr");
pub(super) static AES256_CTR: AesCtr<Aes256> = AesCtr::new("aes256-ctr");

const BLOCK_LEN: usize = 16;

/// What this file asks of the block cipher: any size of AES has it.
pub(super) trait Aes:
    BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit + Send + 'static
{
}

impl<C> Aes for C where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit + Send + 'static
{
}

pub(super) struct AesCtr<C> {
    name: &'static str,
    cipher: PhantomData<fn() -> C>,
}

impl<C> AesCtr<C> {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            cipher: PhantomData,
        }
    }
}

impl<C: Aes> CipherAlgorithm for AesCtr<C> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        <C as KeySizeUser>::key_size()
    }

    fn iv_len(&self) -> usize {
        BLOCK_LEN
    }

    fn is_aead(&self) -> bool {
        false
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        let (key, etm) = Keyed::<C>::new(keys)?;
        Ok(match etm {
            true => Box::new(EncryptThenMac(key)),
            false => Box::new(EncryptAndMac(key)),
        })
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        let (key, etm) = Keyed::<C>::new(keys)?;
        Ok(match etm {
            true => Box::new(EncryptThenMac(key)),
            false => Box::new(EncryptAndMac(key)),
        })
    }
}

/// One direction: the keystream runs on from packet to packet.
struct Keyed<C: Aes> {
    keystream: Ctr128BE<C>,
    mac: Box<dyn MacKey>,
    tag_len: usize,
}

impl<C: Aes> Keyed<C> {
    /// The keys, and whether the MAC is an encrypt-then-MAC one.
    fn new(keys: CipherKeys<'_>) -> Result<(Self, bool), CryptoError> {
        let (mac, mac_key) = keys.mac.ok_or(CryptoError::InvalidKey)?;
        let keystream = Ctr128BE::<C>::new_from_slices(keys.key, keys.iv)
            .map_err(|_| CryptoError::InvalidKey)?;
        let keyed = Self {
            keystream,
            mac: mac.key(mac_key)?,
            tag_len: mac.tag_len(),
        };
        Ok((keyed, mac.is_etm()))
    }

    fn apply(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        self.keystream
            .try_apply_keystream(bytes)
            .map_err(|_| CryptoError::KeyExhausted)
    }

    /// The packet and its tag; `None` if not even the tag is there.
    fn split<'p>(&self, packet: &'p mut [u8]) -> Option<(&'p mut [u8], &'p mut [u8])> {
        let at = packet.len().checked_sub(self.tag_len)?;
        packet.split_at_mut_checked(at)
    }
}

/// The length is in clear, the MAC is over the length and the encrypted text.
struct EncryptThenMac<C: Aes>(Keyed<C>);

impl<C: Aes> EncryptThenMac<C> {
    const fn layout(&self) -> PacketLayout {
        PacketLayout {
            block_len: BLOCK_LEN,
            length_is_padded: false,
            tag_len: self.0.tag_len,
            head_len: 4,
        }
    }
}

impl<C: Aes> SealingKey for EncryptThenMac<C> {
    fn layout(&self) -> PacketLayout {
        self.layout()
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = self.0.split(packet).ok_or(CryptoError::Failed)?;
        let body = data.get_mut(4..).ok_or(CryptoError::Failed)?;
        self.0.apply(body)?;
        self.0.mac.sign(sequence, data, tag);
        Ok(())
    }
}

impl<C: Aes> OpeningKey for EncryptThenMac<C> {
    fn layout(&self) -> PacketLayout {
        self.layout()
    }

    fn open_length(&mut self, _sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        clear_length(head)
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = self.0.split(packet).ok_or(CryptoError::TagMismatch)?;
        self.0.mac.verify(sequence, data, tag)?;
        let body = data.get_mut(4..).ok_or(CryptoError::TagMismatch)?;
        self.0.apply(body)
    }

    fn open_unverified(&mut self, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, _) = self.0.split(packet).ok_or(CryptoError::TagMismatch)?;
        let body = data.get_mut(4..).ok_or(CryptoError::TagMismatch)?;
        self.0.apply(body)
    }
}

/// The length is encrypted too, the MAC is over the packet in clear (RFC 4253 section 6.4).
struct EncryptAndMac<C: Aes>(Keyed<C>);

impl<C: Aes> EncryptAndMac<C> {
    const fn layout(&self) -> PacketLayout {
        PacketLayout {
            block_len: BLOCK_LEN,
            length_is_padded: true,
            tag_len: self.0.tag_len,
            head_len: BLOCK_LEN,
        }
    }
}

impl<C: Aes> SealingKey for EncryptAndMac<C> {
    fn layout(&self) -> PacketLayout {
        self.layout()
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = self.0.split(packet).ok_or(CryptoError::Failed)?;
        self.0.mac.sign(sequence, data, tag);
        self.0.apply(data)
    }
}

impl<C: Aes> OpeningKey for EncryptAndMac<C> {
    fn layout(&self) -> PacketLayout {
        self.layout()
    }

    fn open_length(&mut self, _sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        let block = head
            .first_chunk_mut::<BLOCK_LEN>()
            .ok_or(CryptoError::Failed)?;
        self.0.apply(block)?;
        clear_length(block)
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = self.0.split(packet).ok_or(CryptoError::TagMismatch)?;
        let rest = data.get_mut(BLOCK_LEN..).ok_or(CryptoError::TagMismatch)?;
        self.0.apply(rest)?;
        self.0.mac.verify(sequence, data, tag)
    }

    /// [`Self::open`] has to decrypt before it can verify.
    fn open_unverified(&mut self, _: &mut [u8]) -> Result<(), CryptoError> {
        Ok(())
    }
}

fn clear_length(head: &[u8]) -> Result<u32, CryptoError> {
    head.first_chunk()
        .map(|length| u32::from_be_bytes(*length))
        .ok_or(CryptoError::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::hmac::HMAC_SHA2_256;
    use crate::crypto::rustcrypto::testing::hex;

    /// NIST SP 800-38A, F.5.1, F.5.3 and F.5.5, in pieces to show that the keystream runs on.
    #[test]
    fn nist_ctr() {
        fn check<C: Aes>(key: &str, encrypted: &str) {
            let (key, iv) = (hex(key), hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"));
            let (mut key, _) = Keyed::<C>::new(CipherKeys {
                key: &key,
                iv: &iv,
                mac: Some((&HMAC_SHA2_256, &[0; 32])),
            })
            .unwrap();
            let mut text = hex(
                "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                 30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
            );
            key.apply(&mut text[..16]).unwrap();
            key.apply(&mut text[16..]).unwrap();
            assert_eq!(text, hex(encrypted));
        }
        check::<Aes128>(
            "2b7e151628aed2a6abf7158809cf4f3c",
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff\
             5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
        );
        check::<Aes192>(
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94\
             1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050",
        );
        check::<Aes256>(
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
             2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
        );
    }
}
