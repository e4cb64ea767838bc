//! AES in counter mode with a separate MAC around a library's AES (RFC 4344 section 4; encrypt-then-MAC as in OpenSSH PROTOCOL section 1.7).

use alloc::boxed::Box;
use core::marker::PhantomData;

use crate::crypto::{CipherAlgorithm, CipherKeys, MacKey, OpeningKey, PacketLayout, SealingKey};
use crate::error::CryptoError;

pub(in crate::crypto) const BLOCK_LEN: usize = 16;

/// AES in counter mode of a library, whose keystream runs on from call to call.
pub(in crate::crypto) trait Keystream: Sized + Send + 'static {
    /// The key has the length that the algorithm was declared with.
    fn new(key: &[u8], iv: &[u8; BLOCK_LEN]) -> Result<Self, CryptoError>;

    /// Encrypts or decrypts whole blocks in place.
    fn apply(&mut self, blocks: &mut [u8]) -> Result<(), CryptoError>;
}

pub(in crate::crypto) struct Ctr<K> {
    name: &'static str,
    key_len: usize,
    fips: fn() -> bool,
    keystream: PhantomData<fn() -> K>,
}

impl<K> Ctr<K> {
    pub(in crate::crypto) const fn new(
        name: &'static str,
        key_len: usize,
        fips: fn() -> bool,
    ) -> Self {
        Self {
            name,
            key_len,
            fips,
            keystream: PhantomData,
        }
    }
}

impl<K: Keystream> CipherAlgorithm for Ctr<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        self.key_len
    }

    fn iv_len(&self) -> usize {
        BLOCK_LEN
    }

    fn is_aead(&self) -> bool {
        false
    }

    fn fips(&self) -> bool {
        (self.fips)()
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        let (key, etm) = Keyed::<K>::new(self.key_len, keys)?;
        Ok(match etm {
            true => Box::new(EncryptThenMac(key)),
            false => Box::new(EncryptAndMac(key)),
        })
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        let (key, etm) = Keyed::<K>::new(self.key_len, keys)?;
        Ok(match etm {
            true => Box::new(EncryptThenMac(key)),
            false => Box::new(EncryptAndMac(key)),
        })
    }
}

/// One direction: the keystream runs on from packet to packet.
struct Keyed<K> {
    keystream: K,
    mac: Box<dyn MacKey>,
    tag_len: usize,
}

impl<K: Keystream> Keyed<K> {
    /// The keys, and whether the MAC is an encrypt-then-MAC one.
    fn new(key_len: usize, keys: CipherKeys<'_>) -> Result<(Self, bool), CryptoError> {
        let (mac, mac_key) = keys.mac.ok_or(CryptoError::InvalidKey)?;
        let iv = keys.iv.try_into().map_err(|_| CryptoError::InvalidKey)?;
        if keys.key.len() != key_len {
            return Err(CryptoError::InvalidKey);
        }
        let keyed = Self {
            keystream: K::new(keys.key, iv)?,
            mac: mac.key(mac_key)?,
            tag_len: mac.tag_len(),
        };
        Ok((keyed, mac.is_etm()))
    }

    /// The packet and its tag; `None` if not even the tag is there.
    fn split<'p>(&self, packet: &'p mut [u8]) -> Option<(&'p mut [u8], &'p mut [u8])> {
        let at = packet.len().checked_sub(self.tag_len)?;
        packet.split_at_mut_checked(at)
    }
}

/// The length is in clear, the MAC is over the length and the encrypted text.
struct EncryptThenMac<K>(Keyed<K>);

impl<K: Keystream> EncryptThenMac<K> {
    const fn layout(&self) -> PacketLayout {
        PacketLayout {
            block_len: BLOCK_LEN,
            length_is_padded: false,
            tag_len: self.0.tag_len,
            head_len: 4,
        }
    }
}

impl<K: Keystream> SealingKey for EncryptThenMac<K> {
    fn layout(&self) -> PacketLayout {
        self.layout()
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = self.0.split(packet).ok_or(CryptoError::Failed)?;
        let body = data.get_mut(4..).ok_or(CryptoError::Failed)?;
        self.0.keystream.apply(body)?;
        self.0.mac.sign(sequence, data, tag);
        Ok(())
    }
}

impl<K: Keystream> OpeningKey for EncryptThenMac<K> {
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
        self.0.keystream.apply(body)
    }

    fn open_unverified(&mut self, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, _) = self.0.split(packet).ok_or(CryptoError::TagMismatch)?;
        let body = data.get_mut(4..).ok_or(CryptoError::TagMismatch)?;
        self.0.keystream.apply(body)
    }
}

/// The length is encrypted too, the MAC is over the packet in clear (RFC 4253 section 6.4).
struct EncryptAndMac<K>(Keyed<K>);

impl<K: Keystream> EncryptAndMac<K> {
    const fn layout(&self) -> PacketLayout {
        PacketLayout {
            block_len: BLOCK_LEN,
            length_is_padded: true,
            tag_len: self.0.tag_len,
            head_len: BLOCK_LEN,
        }
    }
}

impl<K: Keystream> SealingKey for EncryptAndMac<K> {
    fn layout(&self) -> PacketLayout {
        self.layout()
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = self.0.split(packet).ok_or(CryptoError::Failed)?;
        self.0.mac.sign(sequence, data, tag);
        self.0.keystream.apply(data)
    }
}

impl<K: Keystream> OpeningKey for EncryptAndMac<K> {
    fn layout(&self) -> PacketLayout {
        self.layout()
    }

    fn open_length(&mut self, _sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        let block = head
            .first_chunk_mut::<BLOCK_LEN>()
            .ok_or(CryptoError::Failed)?;
        self.0.keystream.apply(block)?;
        clear_length(block)
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (data, tag) = self.0.split(packet).ok_or(CryptoError::TagMismatch)?;
        let rest = data
            .get_mut(BLOCK_LEN..)
            .filter(|rest| rest.len().is_multiple_of(BLOCK_LEN))
            .ok_or(CryptoError::TagMismatch)?;
        self.0.keystream.apply(rest)?;
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
