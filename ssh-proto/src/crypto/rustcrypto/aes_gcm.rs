//! `aes128-gcm@openssh.com` and `aes256-gcm@openssh.com` (RFC 5647 section 7, OpenSSH PROTOCOL section 1.6).

use alloc::boxed::Box;
use core::marker::PhantomData;

use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::{AeadCore, AeadInOut, KeyInit, KeySizeUser};
use aes_gcm::{Aes128Gcm, Aes256Gcm};

use crate::crypto::{CipherAlgorithm, CipherKeys, OpeningKey, PacketLayout, SealingKey};
use crate::error::CryptoError;

pub(super) static AES128_GCM: Gcm<Aes128Gcm> = Gcm::new("aes128-gcm@openssh.com");
pub(super) static AES256_GCM: Gcm<Aes256Gcm> = Gcm::new("aes256-gcm@openssh.com");

const IV_LEN: usize = 12;
const TAG_LEN: usize = 16;

const LAYOUT: PacketLayout = PacketLayout {
    block_len: 16,
    length_is_padded: false,
    tag_len: TAG_LEN,
    head_len: 4,
};

/// What this file asks of the AEAD: AES-GCM with any size of AES has it.
pub(super) trait Aead:
    AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + KeyInit + Send + 'static
{
}

impl<A> Aead for A where
    A: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + KeyInit + Send + 'static
{
}

pub(super) struct Gcm<A> {
    name: &'static str,
    aead: PhantomData<fn() -> A>,
}

impl<A> Gcm<A> {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            aead: PhantomData,
        }
    }
}

impl<A: Aead> CipherAlgorithm for Gcm<A> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        <A as KeySizeUser>::key_size()
    }

    fn iv_len(&self) -> usize {
        IV_LEN
    }

    fn is_aead(&self) -> bool {
        true
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        Ok(Box::new(Key::<A>::new(keys)?))
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        Ok(Box::new(Key::<A>::new(keys)?))
    }
}

/// One direction. The nonce is a fixed field and a counter of packets, which starts anywhere and
/// has nothing to do with the sequence number (RFC 5647 section 7.1).
struct Key<A> {
    aead: A,
    fixed: [u8; 4],
    counter: u64,
    /// Packets until the counter is back where it began.
    left: u64,
}

impl<A: Aead> Key<A> {
    fn new(keys: CipherKeys<'_>) -> Result<Self, CryptoError> {
        let iv: &[u8; IV_LEN] = keys.iv.try_into().map_err(|_| CryptoError::InvalidKey)?;
        let (fixed, counter) = iv.split_first_chunk().ok_or(CryptoError::InvalidKey)?;
        if keys.mac.is_some() {
            return Err(CryptoError::InvalidKey);
        }
        Ok(Self {
            aead: A::new_from_slice(keys.key).map_err(|_| CryptoError::InvalidKey)?,
            fixed: *fixed,
            counter: counter.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
            left: u64::MAX,
        })
    }

    fn next_nonce(&mut self) -> Result<Array<u8, U12>, CryptoError> {
        self.left = self.left.checked_sub(1).ok_or(CryptoError::KeyExhausted)?;
        let mut nonce = Array::<u8, U12>::default();
        let counter = self.counter.to_be_bytes();
        for (to, from) in nonce.iter_mut().zip(self.fixed.iter().chain(&counter)) {
            *to = *from;
        }
        self.counter = self.counter.wrapping_add(1);
        Ok(nonce)
    }
}

impl<A: Aead> SealingKey for Key<A> {
    fn layout(&self) -> PacketLayout {
        LAYOUT
    }

    fn seal(&mut self, _sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (length, body, tag) = split(packet).ok_or(CryptoError::Failed)?;
        let nonce = self.next_nonce()?;
        *tag = self
            .aead
            .encrypt_inout_detached(&nonce, length, body.into())
            .map_err(|_| CryptoError::Failed)?
            .into();
        Ok(())
    }
}

impl<A: Aead> OpeningKey for Key<A> {
    fn layout(&self) -> PacketLayout {
        LAYOUT
    }

    fn open_length(&mut self, _sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        head.first_chunk()
            .map(|length| u32::from_be_bytes(*length))
            .ok_or(CryptoError::Failed)
    }

    fn open(&mut self, _sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (length, body, tag) = split(packet).ok_or(CryptoError::TagMismatch)?;
        let nonce = self.next_nonce()?;
        self.aead
            .decrypt_inout_detached(&nonce, length, body.into(), (&*tag).into())
            .map_err(|_| CryptoError::TagMismatch)
    }
}

type Parts<'p> = (&'p [u8; 4], &'p mut [u8], &'p mut [u8; TAG_LEN]);

/// Length field, text and tag.
fn split(packet: &mut [u8]) -> Option<Parts<'_>> {
    let (data, tag) = packet.split_last_chunk_mut()?;
    let (length, body) = data.split_first_chunk_mut()?;
    Some((length, body, tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::testing::hex;

    /// Test cases 4 and 16 of the GCM specification, which NIST SP 800-38D took over.
    #[test]
    fn nist_gcm() {
        fn check<A: Aead>(key: &str, sealed: &str) {
            let (key, iv) = (hex(key), hex("cafebabefacedbaddecaf888"));
            let mut key = Key::<A>::new(CipherKeys {
                key: &key,
                iv: &iv,
                mac: None,
            })
            .unwrap();
            let mut text = hex(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                 1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            );
            let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
            let nonce = key.next_nonce().unwrap();
            let tag = key
                .aead
                .encrypt_inout_detached(&nonce, &aad, text.as_mut_slice().into())
                .unwrap();
            text.extend_from_slice(&tag);
            assert_eq!(text, hex(sealed));
        }
        check::<Aes128Gcm>(
            "feffe9928665731c6d6a8f9467308308",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091\
             5bc94fbc3221a5db94fae95ae7121a47",
        );
        check::<Aes256Gcm>(
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
             76fc6ece0f4e1768cddf8853bb2d551b",
        );
    }

    #[test]
    fn a_nonce_is_never_used_twice() {
        let keys = CipherKeys {
            key: &[0; 16],
            iv: &[0xff; 12],
            mac: None,
        };
        let mut key = Key::<Aes128Gcm>::new(keys).unwrap();
        assert_eq!(key.next_nonce().unwrap(), [0xff; 12]);
        let wrapped = [[0xff; 4].as_slice(), &[0; 8]].concat();
        assert_eq!(key.next_nonce().unwrap().as_slice(), wrapped);
        key.left = 1;
        let mut packet = [0; 36];
        assert_eq!(key.seal(0, &mut packet), Ok(()));
        let sealed = packet;
        assert_eq!(key.seal(1, &mut packet), Err(CryptoError::KeyExhausted));
        assert_eq!(key.open(1, &mut packet), Err(CryptoError::KeyExhausted));
        assert_eq!(packet, sealed);
    }
}
