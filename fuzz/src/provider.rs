//! A provider without any security, so that a fuzzer speaks the protocol without knowing a key.
//!
//! Nothing in it hides or proves anything: the shared secret is 1, a tag is zeros, a signature is
//! the word `ok`. It is a value like every other provider; the core does not know of it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::BytesMut;
use ssh_proto::crypto::{
    CipherAlgorithm, CipherKeys, CryptoProvider, DhGroup, HashAlgorithm, HashOutput, KexAlgorithm,
    KexExchange, KexResponse, KexShape, KeyProvider, MacAlgorithm, MacKey, NoCompression,
    OnRequest, OpeningKey, PacketLayout, PrivateKey, PublicKey, SealingKey, SecureRandom,
    SharedSecret, Signature, SignatureAlgorithm, SigningKey,
};
use ssh_proto::error::{CryptoError, RandomFailed};
use ssh_proto::wire::put_string;

/// The bytes of the one valid signature.
pub const SIGNATURE: &[u8] = b"ok";

/// Bytes of tag on every packet.
pub const TAG_LEN: usize = 16;

/// Key exchange methods, in order of preference.
pub const KEX: [&str; 3] = ["null-kex-a", "null-kex-b", "null-kex-c"];

/// Signature algorithms, in order of preference.
pub const SIGNATURES: [&str; 2] = ["null-sig-a", "null-sig-b"];

/// Ciphers, in order of preference; the first two authenticate by themselves.
pub const CIPHERS: [&str; 4] = ["null-aead-a", "null-aead-b", "null-ctr-a", "null-ctr-b"];

/// MACs, in order of preference; the first covers the encrypted packet.
pub const MACS: [&str; 3] = ["null-mac-etm", "null-mac-a", "null-mac-b"];

static KEX_LIST: [&dyn KexAlgorithm; 3] = [&NullKex(KEX[0]), &NullKex(KEX[1]), &NullKex(KEX[2])];
static SIGNATURE_LIST: [&dyn SignatureAlgorithm; 2] =
    [&NullSignature(SIGNATURES[0]), &NullSignature(SIGNATURES[1])];
static CIPHER_LIST: [&dyn CipherAlgorithm; 4] = [
    &NullCipher {
        name: CIPHERS[0],
        aead: true,
    },
    &NullCipher {
        name: CIPHERS[1],
        aead: true,
    },
    &NullCipher {
        name: CIPHERS[2],
        aead: false,
    },
    &NullCipher {
        name: CIPHERS[3],
        aead: false,
    },
];
static MAC_LIST: [&dyn MacAlgorithm; 3] = [
    &NullMac {
        name: MACS[0],
        etm: true,
    },
    &NullMac {
        name: MACS[1],
        etm: false,
    },
    &NullMac {
        name: MACS[2],
        etm: false,
    },
];
static COMPRESSION_LIST: [&dyn ssh_proto::crypto::CompressionAlgorithm; 1] = [&NoCompression];

/// The provider.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        name: "null",
        sha256: &NullHash,
        sha512: &NullHash,
        kex: Cow::Borrowed(&KEX_LIST),
        signatures: Cow::Borrowed(&SIGNATURE_LIST),
        ciphers: Cow::Borrowed(&CIPHER_LIST),
        macs: Cow::Borrowed(&MAC_LIST),
        compression: Cow::Borrowed(&COMPRESSION_LIST),
        keys: &NullKeys,
        on_request: OnRequest::default(),
    }
}

/// Numbers in a row, the same for every run.
#[derive(Debug, Clone)]
pub struct FixedRandom(pub u64);

impl SecureRandom for FixedRandom {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        for byte in dest {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
        Ok(())
    }
}

/// FNV-1a, four times over. Different transcripts should have different hashes, no more.
struct NullHash;

impl HashAlgorithm for NullHash {
    fn output_len(&self) -> usize {
        32
    }

    fn hash(&self, parts: &[&[u8]]) -> HashOutput {
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        for byte in parts.iter().copied().flatten() {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let words = [1, 3, 5, 7].map(|factor| sum.wrapping_mul(factor).to_be_bytes());
        HashOutput::new(&words.concat())
    }
}

struct NullKex(&'static str);

struct NullExchange;

fn secret(peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
    match peer_public {
        [] => Err(CryptoError::InvalidPublicValue),
        _ => SharedSecret::mpint(&[1]),
    }
}

impl KexAlgorithm for NullKex {
    fn name(&self) -> &'static str {
        self.0
    }

    fn shape(&self) -> KexShape {
        KexShape::Ecdh
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        &NullHash
    }

    fn start(
        &self,
        _: Option<&DhGroup>,
        _: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        Ok(Box::new(NullExchange))
    }

    fn respond(
        &self,
        _: Option<&DhGroup>,
        peer_public: &[u8],
        _: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        Ok(KexResponse {
            public: b"server".to_vec(),
            secret: secret(peer_public)?,
        })
    }
}

impl KexExchange for NullExchange {
    fn public(&self) -> &[u8] {
        b"client"
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        secret(peer_public)
    }
}

/// The name of the algorithm is that of its key type, too.
struct NullSignature(&'static str);

impl SignatureAlgorithm for NullSignature {
    fn name(&self) -> &'static str {
        self.0
    }

    fn key_type(&self) -> &'static str {
        self.0
    }

    fn verify(&self, key: &PublicKey, _: &[u8], signature: &Signature) -> Result<(), CryptoError> {
        if key.key_type() != self.0 {
            return Err(CryptoError::InvalidKey);
        }
        match signature.algorithm() == self.0 && signature.blob() == SIGNATURE {
            true => Ok(()),
            false => Err(CryptoError::InvalidSignature),
        }
    }
}

/// A key of this type.
pub fn public_key(key_type: &str) -> PublicKey {
    let mut blob = BytesMut::new();
    put_string(&mut blob, key_type.as_bytes());
    put_string(&mut blob, b"public");
    PublicKey::from_blob(blob.freeze()).expect("a key blob")
}

/// A key that signs with the algorithm of its type.
#[derive(Debug)]
pub struct NullKey {
    public: PublicKey,
    algorithms: [&'static str; 1],
}

impl NullKey {
    /// A key for one of [`SIGNATURES`].
    pub fn new(key_type: &'static str) -> Arc<Self> {
        Arc::new(Self {
            public: public_key(key_type),
            algorithms: [key_type],
        })
    }
}

impl SigningKey for NullKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithms(&self) -> &[&'static str] {
        &self.algorithms
    }

    fn sign(&self, algorithm: &str, _: &[u8]) -> Result<Signature, CryptoError> {
        match self.algorithms.contains(&algorithm) {
            true => Ok(Signature::new(algorithm, SIGNATURE)),
            false => Err(CryptoError::Unsupported),
        }
    }
}

struct NullKeys;

impl KeyProvider for NullKeys {
    fn signing_key(&self, _: &PrivateKey) -> Result<Arc<dyn SigningKey>, CryptoError> {
        Err(CryptoError::Unsupported)
    }

    fn generate(&self, _: &str, _: &mut dyn SecureRandom) -> Result<PrivateKey, CryptoError> {
        Err(CryptoError::Unsupported)
    }
}

struct NullCipher {
    name: &'static str,
    aead: bool,
}

impl NullCipher {
    fn key(&self, keys: CipherKeys<'_>) -> Result<Box<NullCipherKey>, CryptoError> {
        let layout = match (self.aead, keys.mac) {
            (true, None) => PacketLayout {
                block_len: 8,
                length_is_padded: false,
                tag_len: TAG_LEN,
                head_len: 4,
            },
            (false, Some((mac, _))) => PacketLayout {
                block_len: 8,
                length_is_padded: !mac.is_etm(),
                tag_len: mac.tag_len(),
                head_len: if mac.is_etm() { 4 } else { 8 },
            },
            _ => return Err(CryptoError::InvalidKey),
        };
        Ok(Box::new(NullCipherKey {
            layout,
            aead: self.aead,
        }))
    }
}

impl CipherAlgorithm for NullCipher {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        0
    }

    fn iv_len(&self) -> usize {
        0
    }

    fn is_aead(&self) -> bool {
        self.aead
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        Ok(self.key(keys)?)
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        Ok(self.key(keys)?)
    }
}

struct NullCipherKey {
    layout: PacketLayout,
    aead: bool,
}

impl SealingKey for NullCipherKey {
    fn layout(&self) -> PacketLayout {
        self.layout
    }

    fn seal(&mut self, _: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let end = packet.len() - self.layout.tag_len;
        packet[end..].fill(0);
        Ok(())
    }
}

impl OpeningKey for NullCipherKey {
    fn layout(&self) -> PacketLayout {
        self.layout
    }

    fn open_length(&mut self, _: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        let length = head.first_chunk().ok_or(CryptoError::Failed)?;
        Ok(u32::from_be_bytes(*length))
    }

    fn open(&mut self, _: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let tag = packet.iter().rev().take(self.layout.tag_len);
        match tag.into_iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(CryptoError::TagMismatch),
        }
    }

    fn open_unverified(&mut self, _: &mut [u8]) -> Result<(), CryptoError> {
        match self.aead {
            true => Err(CryptoError::TagMismatch),
            false => Ok(()),
        }
    }
}

struct NullMac {
    name: &'static str,
    etm: bool,
}

impl MacAlgorithm for NullMac {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        0
    }

    fn tag_len(&self) -> usize {
        TAG_LEN
    }

    fn is_etm(&self) -> bool {
        self.etm
    }

    fn key(&self, _: &[u8]) -> Result<Box<dyn MacKey>, CryptoError> {
        Ok(Box::new(NullMacKey))
    }
}

struct NullMacKey;

impl MacKey for NullMacKey {
    fn sign(&mut self, _: u32, _: &[u8], tag: &mut [u8]) {
        tag.fill(0);
    }
}
