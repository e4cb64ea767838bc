//! `chacha20-poly1305@openssh.com` of AWS-LC (OpenSSH PROTOCOL.chacha20poly1305).

use alloc::boxed::Box;

use ::aws_lc_rs::aead::chacha20_poly1305_openssh::{
    KEY_LEN, OpeningKey as Opening, SealingKey as Sealing, TAG_LEN,
};

use crate::crypto::{CipherAlgorithm, CipherKeys, OpeningKey, PacketLayout, SealingKey};
use crate::error::CryptoError;

pub(super) static CHACHA20_POLY1305: ChaCha20Poly1305 = ChaCha20Poly1305;

const LENGTH_LEN: usize = 4;

const LAYOUT: PacketLayout = PacketLayout {
    block_len: 8,
    length_is_padded: false,
    tag_len: TAG_LEN,
    head_len: LENGTH_LEN,
};

pub(super) struct ChaCha20Poly1305;

impl CipherAlgorithm for ChaCha20Poly1305 {
    fn name(&self) -> &'static str {
        "chacha20-poly1305@openssh.com"
    }

    fn key_len(&self) -> usize {
        KEY_LEN
    }

    fn iv_len(&self) -> usize {
        0
    }

    fn is_aead(&self) -> bool {
        true
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        Ok(Box::new(Key::new(keys, Sealing::new)?))
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        Ok(Box::new(Key::new(keys, Opening::new)?))
    }
}

/// One direction. The nonce is the sequence number, so the key lasts for one turn of it.
struct Key<K> {
    key: K,
    /// Packets until the sequence number is back where it began.
    left: u64,
}

impl<K> Key<K> {
    fn new(keys: CipherKeys<'_>, make: fn(&[u8; KEY_LEN]) -> K) -> Result<Self, CryptoError> {
        if keys.mac.is_some() || !keys.iv.is_empty() {
            return Err(CryptoError::InvalidKey);
        }
        let key = keys.key.try_into().map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self {
            key: make(key),
            left: 1 << 32,
        })
    }

    fn spend(&mut self) -> Result<(), CryptoError> {
        self.left = self.left.checked_sub(1).ok_or(CryptoError::KeyExhausted)?;
        Ok(())
    }
}

/// The packet and its tag. The library would panic without a length field.
fn split(packet: &mut [u8]) -> Option<(&mut [u8], &mut [u8; TAG_LEN])> {
    let (data, tag) = packet.split_last_chunk_mut()?;
    (data.len() >= LENGTH_LEN).then_some((data, tag))
}

impl SealingKey for Key<Sealing> {
    fn layout(&self) -> PacketLayout {
        LAYOUT
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = split(packet).ok_or(CryptoError::Failed)?;
        self.spend()?;
        self.key.seal_in_place(sequence, data, tag);
        Ok(())
    }
}

impl OpeningKey for Key<Opening> {
    fn layout(&self) -> PacketLayout {
        LAYOUT
    }

    // The head stays as it came, since the tag covers the encrypted length.
    fn open_length(&mut self, sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        let length = *head.first_chunk().ok_or(CryptoError::Failed)?;
        self.spend()?;
        let length = self.key.decrypt_packet_length(sequence, length);
        Ok(u32::from_be_bytes(length))
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = split(packet).ok_or(CryptoError::TagMismatch)?;
        self.key
            .open_in_place(sequence, data, tag)
            .map(drop)
            .map_err(|_| CryptoError::TagMismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lasts_for_one_turn_of_the_sequence_number() {
        let keys = CipherKeys {
            key: &[7; 64],
            iv: &[],
            mac: None,
        };
        let mut packet = [0; 36];
        let mut key = Key::new(keys, Sealing::new).unwrap();
        assert_eq!(key.left, 1 << 32);
        key.left = 1;
        assert_eq!(key.seal(0, &mut packet), Ok(()));
        let sealed = packet;
        assert_eq!(key.seal(1, &mut packet), Err(CryptoError::KeyExhausted));
        assert_eq!(packet, sealed);
        let mut key = Key::new(keys, Opening::new).unwrap();
        key.left = 1;
        assert_eq!(key.open_length(0, &mut packet[..4]), Ok(0));
        assert_eq!(key.open(0, &mut packet), Ok(()));
        let again = key.open_length(1, &mut packet[..4]);
        assert_eq!(again, Err(CryptoError::KeyExhausted));
    }
}
