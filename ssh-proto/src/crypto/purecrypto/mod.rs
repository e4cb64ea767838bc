//! The provider with `chacha20-poly1305@openssh.com` of purecrypto, whose kernels use AVX-512 and AVX2 where they are found at run time.
//!
//! Everything else is RustCrypto's. The crate is young, has not been audited, and rests its claim of
//! constant time on construction and on its own checks; it wants Rust 1.95.

use alloc::boxed::Box;

use ::purecrypto::cipher::{ChaCha20, Poly1305};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::frame::Overlay;
use super::{
    CipherAlgorithm, CipherKeys, CryptoProvider, OpeningKey, PacketLayout, SealingKey, rustcrypto,
};
use crate::error::CryptoError;

static CIPHERS: [&dyn CipherAlgorithm; 1] = [&ChaCha20Poly1305];

static OVERLAY: Overlay = Overlay {
    kex: &[],
    signatures: &[],
    ciphers: &CIPHERS,
    macs: &[],
};

/// The provider of RustCrypto with the one cipher replaced.
pub fn provider() -> CryptoProvider {
    let mut provider = rustcrypto::provider();
    provider.name = "purecrypto";
    OVERLAY.lay_over(&mut provider);
    provider
}

const TAG_LEN: usize = 16;

const LAYOUT: PacketLayout = PacketLayout {
    block_len: 8,
    length_is_padded: false,
    tag_len: TAG_LEN,
    head_len: 4,
};

struct ChaCha20Poly1305;

impl CipherAlgorithm for ChaCha20Poly1305 {
    fn name(&self) -> &'static str {
        "chacha20-poly1305@openssh.com"
    }

    fn key_len(&self) -> usize {
        64
    }

    fn iv_len(&self) -> usize {
        0
    }

    fn is_aead(&self) -> bool {
        true
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        Ok(Box::new(Key::new(keys)?))
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        Ok(Box::new(Key::new(keys)?))
    }
}

/// One direction. The nonce is the sequence number, so the key lasts for one turn of it.
struct Key {
    payload: ChaCha20,
    length: ChaCha20,
    /// Packets until the sequence number is back where it began.
    left: u64,
}

impl Key {
    fn new(keys: CipherKeys<'_>) -> Result<Self, CryptoError> {
        if keys.mac.is_some() || !keys.iv.is_empty() {
            return Err(CryptoError::InvalidKey);
        }
        let (payload, rest) = keys
            .key
            .split_first_chunk()
            .ok_or(CryptoError::InvalidKey)?;
        let length = rest.try_into().map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self {
            payload: ChaCha20::new(payload),
            length: ChaCha20::new(length),
            left: 1 << 32,
        })
    }

    fn spend(&mut self) -> Result<(), CryptoError> {
        self.left = self.left.checked_sub(1).ok_or(CryptoError::KeyExhausted)?;
        Ok(())
    }

    fn apply_to_length(&self, nonce: &[u8; 8], length: &mut [u8; 4]) -> Result<(), CryptoError> {
        apply(&self.length, nonce, 0, length)
    }

    /// Poly1305 keyed with block 0 of the keystream.
    fn tag(&self, nonce: &[u8; 8], data: &[u8]) -> [u8; TAG_LEN] {
        let block = Zeroizing::new(self.payload.block_djb(nonce, 0));
        let mut key = Zeroizing::new([0; 32]);
        for (to, from) in key.iter_mut().zip(block.iter()) {
            *to = *from;
        }
        let mut poly1305 = Poly1305::new(&key);
        poly1305.update(data);
        poly1305.finish()
    }
}

fn nonce(sequence: u32) -> [u8; 8] {
    u64::from(sequence).to_be_bytes()
}

fn apply(
    cipher: &ChaCha20,
    nonce: &[u8; 8],
    from: u64,
    text: &mut [u8],
) -> Result<(), CryptoError> {
    cipher
        .apply_keystream_djb(nonce, from, text)
        .map_err(|_| CryptoError::Failed)
}

impl SealingKey for Key {
    fn layout(&self) -> PacketLayout {
        LAYOUT
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = packet
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(CryptoError::Failed)?;
        let (length, body) = data.split_first_chunk_mut().ok_or(CryptoError::Failed)?;
        self.spend()?;
        let nonce = nonce(sequence);
        self.apply_to_length(&nonce, length)?;
        apply(&self.payload, &nonce, 1, body)?;
        *tag = self.tag(&nonce, data);
        Ok(())
    }
}

impl OpeningKey for Key {
    fn layout(&self) -> PacketLayout {
        LAYOUT
    }

    // The head stays as it came, since the tag covers the encrypted length.
    fn open_length(&mut self, sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        let mut length = *head.first_chunk().ok_or(CryptoError::Failed)?;
        self.spend()?;
        self.apply_to_length(&nonce(sequence), &mut length)?;
        Ok(u32::from_be_bytes(length))
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = packet
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(CryptoError::TagMismatch)?;
        let nonce = nonce(sequence);
        if !bool::from(self.tag(&nonce, data).ct_eq(tag)) {
            return Err(CryptoError::TagMismatch);
        }
        let body = data.get_mut(4..).ok_or(CryptoError::TagMismatch)?;
        apply(&self.payload, &nonce, 1, body)
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
        let mut key = Key::new(keys).unwrap();
        assert_eq!(key.left, 1 << 32);
        key.left = 1;
        let mut packet = [0; 36];
        assert_eq!(key.seal(0, &mut packet), Ok(()));
        let sealed = packet;
        assert_eq!(key.seal(1, &mut packet), Err(CryptoError::KeyExhausted));
        assert_eq!(packet, sealed);
        let mut key = Key::new(keys).unwrap();
        key.left = 1;
        assert_eq!(key.open_length(0, &mut packet[..4]), Ok(0));
        assert_eq!(key.open(0, &mut packet), Ok(()));
        let again = key.open_length(1, &mut packet[..4]);
        assert_eq!(again, Err(CryptoError::KeyExhausted));
    }
}
