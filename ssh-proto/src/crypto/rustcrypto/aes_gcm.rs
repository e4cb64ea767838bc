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
