//! `chacha20-poly1305@openssh.com` (OpenSSH PROTOCOL.chacha20poly1305).

use alloc::boxed::Box;

use chacha20::ChaCha20LegacyCore;
use chacha20::cipher::array::Array;
use chacha20::cipher::consts::U64;
use chacha20::cipher::{KeyIvInit as _, StreamCipherCore as _};
use orion::hazardous::mac::poly1305 as scalar;
use poly1305::universal_hash::{KeyInit as _, UniversalHash as _};
use poly1305::{Block, Poly1305};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::crypto::{CipherAlgorithm, CipherKeys, OpeningKey, PacketLayout, SealingKey};
use crate::error::CryptoError;

pub(super) static CHACHA20_POLY1305: ChaCha20Poly1305 = ChaCha20Poly1305;

const TAG_LEN: usize = 16;

const LAYOUT: PacketLayout = PacketLayout {
    block_len: 8,
    length_is_padded: false,
    tag_len: TAG_LEN,
    head_len: 4,
};

pub(super) struct ChaCha20Poly1305;

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
    payload: Zeroizing<[u8; 32]>,
    length: Zeroizing<[u8; 32]>,
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
        let length: &[u8; 32] = rest.try_into().map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self {
            payload: Zeroizing::new(*payload),
            length: Zeroizing::new(*length),
            left: 1 << 32,
        })
    }

    fn spend(&mut self) -> Result<(), CryptoError> {
        self.left = self.left.checked_sub(1).ok_or(CryptoError::KeyExhausted)?;
        Ok(())
    }

    fn apply_to_length(&self, sequence: u32, length: &mut [u8; 4]) {
        keystream(&self.length, sequence).apply_keystream_partial(length.as_mut_slice().into());
    }

    /// The keystream of the payload, and the Poly1305 key.
    fn payload_keystream(&self, sequence: u32) -> (Keystream, Zeroizing<[u8; 32]>) {
        let mut rest = keystream(&self.payload, sequence);
        let mut blocks = Zeroizing::new([Array::<u8, U64>::default(); 4]);
        rest.write_keystream_blocks(&mut *blocks);
        let mut key = Zeroizing::new([0; 32]);
        for (to, from) in key.iter_mut().zip(blocks.iter().flatten()) {
            *to = *from;
        }
        (Keystream { blocks, rest }, key)
    }
}

/// The keystream of a payload, from block 1 on. The first blocks are made along with block 0, since
/// four cost little more than one.
struct Keystream {
    blocks: Zeroizing<[Array<u8, U64>; 4]>,
    rest: ChaCha20LegacyCore,
}

impl Keystream {
    fn apply(self, payload: &mut [u8]) {
        let [_, first @ ..] = &*self.blocks;
        let (head, tail) = payload.split_at_mut(payload.len().min(3 * 64));
        for (chunk, block) in head.chunks_mut(64).zip(first) {
            for (byte, mask) in chunk.iter_mut().zip(block) {
                *byte ^= mask;
            }
        }
        if !tail.is_empty() {
            self.rest.apply_keystream_partial(tail.into());
        }
    }
}

impl SealingKey for Key {
    fn layout(&self) -> PacketLayout {
        LAYOUT
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = packet.split_last_chunk_mut().ok_or(CryptoError::Failed)?;
        let (length, body) = data.split_first_chunk_mut().ok_or(CryptoError::Failed)?;
        self.spend()?;
        self.apply_to_length(sequence, length);
        let (keystream, key) = self.payload_keystream(sequence);
        keystream.apply(body);
        *tag = authenticate(&key, data)?;
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
        self.apply_to_length(sequence, &mut length);
        Ok(u32::from_be_bytes(length))
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = packet
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(CryptoError::TagMismatch)?;
        let (keystream, key) = self.payload_keystream(sequence);
        if !bool::from(authenticate(&key, data)?.ct_eq(tag)) {
            return Err(CryptoError::TagMismatch);
        }
        let body = data.get_mut(4..).ok_or(CryptoError::TagMismatch)?;
        keystream.apply(body);
        Ok(())
    }
}

fn keystream(key: &[u8; 32], sequence: u32) -> ChaCha20LegacyCore {
    let nonce = u64::from(sequence).to_be_bytes();
    ChaCha20LegacyCore::new(key.into(), &nonce.into())
}

/// The longest message for which one block at a time is faster, by measurement. Where the `poly1305`
/// crate finds AVX2 it prepares four powers of the key, which takes most of a microsecond; elsewhere
/// it has no such costs.
const SHORT: usize = if cfg!(any(target_arch = "x86", target_arch = "x86_64")) {
    1536
} else {
    0
};

fn authenticate(key: &[u8; 32], data: &[u8]) -> Result<[u8; TAG_LEN], CryptoError> {
    if data.len() <= SHORT {
        let key = scalar::OneTimeKey::from(*key);
        let tag = scalar::Poly1305::poly1305(&key, data).map_err(|_| CryptoError::Failed)?;
        return tag
            .unprotected_as_bytes()
            .try_into()
            .map_err(|_| CryptoError::Failed);
    }
    // Whole blocks on their own, since the code for an unpadded message takes them one by one.
    let mut poly1305 = Poly1305::new(key.into());
    let (blocks, rest) = Block::slice_as_chunks(data);
    poly1305.update(blocks);
    Ok(poly1305.compute_unpadded(rest).into())
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
