//! Packet protection and compression as a provider offers them (RFC 4253 sections 6.2 to 6.4).
//!
//! The unit is the whole packet, so that a provider may fuse cipher and MAC.

use alloc::boxed::Box;

use bytes::BytesMut;
use subtle::ConstantTimeEq;

use crate::error::CryptoError;

/// How a cipher lays out a packet: what alignment it wants and what it adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketLayout {
    /// The multiple to which a packet is padded, at least 8.
    pub block_len: usize,
    /// Whether the four bytes of the length field count towards that multiple: true for
    /// encrypt-and-MAC, false for encrypt-then-MAC and AEAD.
    pub length_is_padded: bool,
    /// Bytes of tag or MAC behind the packet.
    pub tag_len: usize,
    /// Bytes that must have arrived before the length can be opened: 4, or a whole block for
    /// encrypt-and-MAC.
    pub head_len: usize,
}

/// The keys of one direction, as derived (RFC 4253 section 7.2).
#[derive(Clone, Copy)]
pub struct CipherKeys<'a> {
    /// The encryption key, [`CipherAlgorithm::key_len`] bytes.
    pub key: &'a [u8],
    /// The initial IV, [`CipherAlgorithm::iv_len`] bytes.
    pub iv: &'a [u8],
    /// The MAC and its key of [`MacAlgorithm::key_len`] bytes; `None` for an AEAD cipher.
    pub mac: Option<(&'static dyn MacAlgorithm, &'a [u8])>,
}

/// A cipher, with a MAC where it has no authentication of its own.
pub trait CipherAlgorithm: Send + Sync {
    /// The name in `KEXINIT`.
    fn name(&self) -> &'static str;

    /// Bytes of key.
    fn key_len(&self) -> usize;

    /// Bytes of IV; zero where the cipher takes none.
    fn iv_len(&self) -> usize;

    /// Whether the cipher authenticates by itself, so that the MAC lists are not consulted.
    fn is_aead(&self) -> bool;

    /// Whether this runs in a module validated after FIPS 140-3, for [`CryptoProvider::fips`](super::CryptoProvider::fips).
    fn fips(&self) -> bool {
        false
    }

    /// Makes the key of the sending direction.
    ///
    /// # Errors
    /// `InvalidKey` if a length does not fit or a MAC is missing or superfluous.
    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError>;

    /// Makes the key of the receiving direction.
    ///
    /// # Errors
    /// As for [`Self::sealing_key`].
    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError>;
}

/// Protects outgoing packets. The core makes one at each `NEWKEYS` of ours and calls it once for
/// each packet, in order.
pub trait SealingKey: Send {
    /// The layout that the packet handed to [`Self::seal`] must have.
    fn layout(&self) -> PacketLayout;

    /// Encrypts and authenticates one packet in place.
    ///
    /// `packet` is the length field, the padding length, payload and padding, followed by
    /// `tag_len` bytes of room.
    ///
    /// # Errors
    /// `KeyExhausted` if a nonce would repeat. The packet is then not to be sent.
    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError>;
}

/// Opens incoming packets. The core makes one at each `NEWKEYS` of the peer and calls, for each
/// packet in order, `open_length` and then `open`; after an error it is not called again, but for
/// `open_unverified` where the application has asked for it.
pub trait OpeningKey: Send {
    /// The layout of incoming packets.
    fn layout(&self) -> PacketLayout;

    /// Reads the packet length from the first `head_len` bytes, decrypting them in place where
    /// the length is part of the encrypted text. Called once for each packet, before
    /// [`Self::open`]. The result is not authenticated.
    ///
    /// # Errors
    /// `KeyExhausted` if a nonce would repeat.
    fn open_length(&mut self, sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError>;

    /// Verifies and decrypts one packet in place.
    ///
    /// `packet` is the whole packet, tag included. Afterwards the bytes from the fifth up to the
    /// tag are padding length, payload and padding in clear; the length field may have any value.
    ///
    /// # Errors
    /// `TagMismatch` if the packet is not authentic. The caller wipes the buffer.
    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError>;

    /// Decrypts in place the packet that [`Self::open`] has just found not to be authentic, as
    /// `open` left it. Called only where a config has opted in to accept forged packets.
    ///
    /// # Errors
    /// `TagMismatch` where this is not to be had, as the default has it: AEAD ciphers must keep
    /// to that.
    fn open_unverified(&mut self, _packet: &mut [u8]) -> Result<(), CryptoError> {
        Err(CryptoError::TagMismatch)
    }

    /// Whether nothing may show by when a packet is refused: where a length has to be believed
    /// that an attacker can choose by choosing the encrypted text, as in CBC with encrypt-and-MAC,
    /// its bits are plaintext (CVE-2008-5161). The core then reads on to the longest packet
    /// whatever is wrong, calls [`Self::verify_nothing`], and fails as if the MAC alone were wrong.
    fn hides_refusals(&self) -> bool {
        false
    }

    /// Takes as long as it takes to verify `len` bytes: what a refused packet falls short of the
    /// longest one. Called last of all, and only where [`Self::hides_refusals`].
    fn verify_nothing(&mut self, _len: usize) {}
}

/// A message authentication code, as ciphers without authentication of their own are given it.
pub trait MacAlgorithm: Send + Sync {
    /// The name in `KEXINIT`.
    fn name(&self) -> &'static str;

    /// Bytes of key.
    fn key_len(&self) -> usize;

    /// Bytes of MAC on each packet.
    fn tag_len(&self) -> usize;

    /// Whether the MAC covers the encrypted packet (`-etm@openssh.com`).
    fn is_etm(&self) -> bool;

    /// Whether this runs in a module validated after FIPS 140-3, for [`CryptoProvider::fips`](super::CryptoProvider::fips).
    fn fips(&self) -> bool {
        false
    }

    /// Makes a key.
    ///
    /// # Errors
    /// `InvalidKey` if the length does not fit.
    fn key(&self, key: &[u8]) -> Result<Box<dyn MacKey>, CryptoError>;
}

/// A keyed MAC, called by the cipher that was given it.
pub trait MacKey: Send {
    /// Writes the MAC over the sequence number and `data` into `tag`, which is `tag_len` bytes long.
    fn sign(&mut self, sequence: u32, data: &[u8], tag: &mut [u8]);

    /// Compares in constant time.
    ///
    /// # Errors
    /// `TagMismatch`.
    fn verify(&mut self, sequence: u32, data: &[u8], tag: &[u8]) -> Result<(), CryptoError> {
        let mut expected = [0; 64];
        let expected = expected
            .get_mut(..tag.len())
            .ok_or(CryptoError::TagMismatch)?;
        self.sign(sequence, data, expected);
        match bool::from(expected.ct_eq(tag)) {
            true => Ok(()),
            false => Err(CryptoError::TagMismatch),
        }
    }
}

/// A compression method (RFC 4253 section 6.2).
pub trait CompressionAlgorithm: Send + Sync {
    /// The name in `KEXINIT`.
    fn name(&self) -> &'static str;

    /// Whether compression begins only after authentication, as `zlib@openssh.com` does.
    fn is_delayed(&self) -> bool;

    /// A fresh compressor; `None` where payloads stay as they are.
    fn compressor(&self) -> Option<Box<dyn Compressor>>;

    /// A fresh decompressor; `None` where payloads stay as they are.
    fn decompressor(&self) -> Option<Box<dyn Decompressor>>;
}

/// The sending side of a compression context.
pub trait Compressor: Send {
    /// Appends the compressed payload to `out`, flushed so that the peer can decode it alone.
    ///
    /// # Errors
    /// `Failed`.
    fn compress(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), CryptoError>;
}

/// The receiving side of a compression context.
pub trait Decompressor: Send {
    /// Appends the decompressed payload to `out`, at most `max` bytes of it.
    ///
    /// # Errors
    /// `BadCompression` if the data is damaged or grows past `max`.
    fn decompress(
        &mut self,
        payload: &[u8],
        max: usize,
        out: &mut BytesMut,
    ) -> Result<(), CryptoError>;
}

/// The compression method `none`.
#[derive(Debug, Clone, Copy)]
pub struct NoCompression;

impl CompressionAlgorithm for NoCompression {
    fn name(&self) -> &'static str {
        "none"
    }

    fn is_delayed(&self) -> bool {
        false
    }

    fn compressor(&self) -> Option<Box<dyn Compressor>> {
        None
    }

    fn decompressor(&self) -> Option<Box<dyn Decompressor>> {
        None
    }
}
