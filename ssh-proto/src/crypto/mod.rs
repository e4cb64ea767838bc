//! What the protocol asks of cryptography: the provider as a plain value, and the traits of its parts.
//!
//! A [`CryptoProvider`] is a set of lists in order of preference, each entry carrying its code, so
//! that what is offered is what is implemented. It is a value in the config and never a global.
//! Applications use a ready one, such as `rustcrypto::provider()`; the traits are for those who
//! write another: hardware, FIPS modules, deterministic tests, fuzzing without security.

#[cfg(feature = "aws-lc-rs")]
pub mod aws_lc_rs;
mod certificate;
mod dh_group;
#[cfg(feature = "rustcrypto")]
mod frame;
#[cfg(feature = "graviola")]
pub mod graviola;
mod kex;
mod key;
mod packet;
mod private_key;
#[cfg(feature = "purecrypto")]
pub mod purecrypto;
mod rsa_size;
#[cfg(feature = "rustcrypto")]
pub mod rustcrypto;
pub(crate) mod security_key;

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

pub use self::certificate::{
    Certificate, CertificateAlgorithm, CertificateBuilder, CertificateCheck, CertificateError,
    CertificateKind, CertificateOption, CertificateRights, CertifiedKey, IssueError,
};
#[cfg(feature = "agent")]
pub(crate) use self::certificate::{is_certificate_type, plain_key_type};
pub use self::dh_group::{DhGroup, InvalidModuli};
pub use self::kex::{KexAlgorithm, KexExchange, KexResponse, KexShape, SharedSecret};
pub use self::key::{
    EcdsaCurve, Fingerprint, KeyProvider, PublicKey, Signature, SignatureAlgorithm, SigningKey,
};
pub use self::packet::{
    CipherAlgorithm, CipherKeys, CompressionAlgorithm, Compressor, Decompressor, MacAlgorithm,
    MacKey, NoCompression, OpeningKey, PacketLayout, SealingKey,
};
pub use self::private_key::PrivateKey;
pub(crate) use self::rsa_size::{has_accepted_size, refused_rsa_bits};
pub use self::security_key::{SecurityKeyHandle, SecurityKeyUse};
use crate::error::RandomFailed;

/// Algorithms and their code, each list in order of preference.
///
/// Lists can be edited before the value goes into a config: remove an entry and it is neither
/// offered nor accepted.
#[derive(Clone)]
pub struct CryptoProvider {
    /// What the provider is called, such as `rustcrypto`. For logs and reports.
    pub name: &'static str,
    /// SHA-256, for fingerprints and for expanding padding.
    pub sha256: &'static dyn HashAlgorithm,
    /// SHA-512, for the messages that signature files are of.
    pub sha512: &'static dyn HashAlgorithm,
    /// Key exchange methods (RFC 4253 section 8).
    pub kex: Cow<'static, [&'static dyn KexAlgorithm]>,
    /// Signature algorithms for host keys and user keys (RFC 4253 section 6.6).
    pub signatures: Cow<'static, [&'static dyn SignatureAlgorithm]>,
    /// Ciphers (RFC 4253 section 6.3).
    pub ciphers: Cow<'static, [&'static dyn CipherAlgorithm]>,
    /// Message authentication codes, for ciphers that have none of their own (RFC 4253 section 6.4).
    pub macs: Cow<'static, [&'static dyn MacAlgorithm]>,
    /// Compression (RFC 4253 section 6.2).
    pub compression: Cow<'static, [&'static dyn CompressionAlgorithm]>,
    /// Makes signing keys of private key values.
    pub keys: &'static dyn KeyProvider,
    /// What is there beside the lists above and is not offered until a config names it.
    pub on_request: OnRequest,
}

/// Algorithms that a provider has and that are not offered until a config names them: new ones that
/// few peers know, ones that cost something, and with the feature `legacy` those that are weak.
#[non_exhaustive]
#[derive(Clone, Default)]
pub struct OnRequest {
    /// Key exchange methods.
    pub kex: Cow<'static, [&'static dyn KexAlgorithm]>,
    /// Signature algorithms.
    pub signatures: Cow<'static, [&'static dyn SignatureAlgorithm]>,
    /// Ciphers.
    pub ciphers: Cow<'static, [&'static dyn CipherAlgorithm]>,
    /// Message authentication codes.
    pub macs: Cow<'static, [&'static dyn MacAlgorithm]>,
    /// Compression.
    pub compression: Cow<'static, [&'static dyn CompressionAlgorithm]>,
}

impl CryptoProvider {
    /// Whether every algorithm in every list, the hash and the maker of keys run in a module that
    /// is validated after FIPS 140-3. Compression is no cryptography and does not count.
    ///
    /// What the core does with them is outside of any module: it derives keys by the hash of the
    /// key exchange (RFC 4253 section 7.2, SP 800-135), and takes the cookie and padding of its
    /// messages from the caller's [`SecureRandom`].
    pub fn fips(&self) -> bool {
        let more = &self.on_request;
        self.sha256.fips()
            && self.keys.fips()
            && self.kex.iter().chain(more.kex.iter()).all(|a| a.fips())
            && self
                .signatures
                .iter()
                .chain(more.signatures.iter())
                .all(|a| a.fips())
            && self
                .ciphers
                .iter()
                .chain(more.ciphers.iter())
                .all(|a| a.fips())
            && self.macs.iter().chain(more.macs.iter()).all(|a| a.fips())
    }

    /// The signature algorithm of this name, if the provider has it, be it on request.
    pub fn signature(&self, name: &str) -> Option<&'static dyn SignatureAlgorithm> {
        self.signatures
            .iter()
            .chain(self.on_request.signatures.iter())
            .copied()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The cipher of this name, if the provider has it, be it on request.
    pub fn cipher(&self, name: &str) -> Option<&'static dyn CipherAlgorithm> {
        self.ciphers
            .iter()
            .chain(self.on_request.ciphers.iter())
            .copied()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The MAC of this name, if the provider has it, be it on request.
    pub fn mac(&self, name: &str) -> Option<&'static dyn MacAlgorithm> {
        self.macs
            .iter()
            .chain(self.on_request.macs.iter())
            .copied()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The key exchange method of this name, if the provider has it, be it on request.
    pub fn kex(&self, name: &str) -> Option<&'static dyn KexAlgorithm> {
        self.kex
            .iter()
            .chain(self.on_request.kex.iter())
            .copied()
            .find(|algorithm| algorithm.name() == name)
    }

    /// A signing key for this private key.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`](crate::error::CryptoError::Unsupported) if the provider lacks
    /// the key type, `InvalidKey` if the parts of the key do not fit together.
    pub fn signing_key(
        &self,
        key: &PrivateKey,
    ) -> Result<Arc<dyn SigningKey>, crate::error::CryptoError> {
        self.keys.signing_key(key)
    }
}

struct Names<I>(I);

impl<I: Iterator<Item = &'static str> + Clone> fmt::Debug for Names<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.clone()).finish()
    }
}

impl fmt::Debug for CryptoProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CryptoProvider")
            .field("name", &self.name)
            .field("kex", &Names(self.kex.iter().map(|a| a.name())))
            .field(
                "signatures",
                &Names(self.signatures.iter().map(|a| a.name())),
            )
            .field("ciphers", &Names(self.ciphers.iter().map(|a| a.name())))
            .field("macs", &Names(self.macs.iter().map(|a| a.name())))
            .field(
                "compression",
                &Names(self.compression.iter().map(|a| a.name())),
            )
            .field("on_request", &self.on_request)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnRequest")
            .field("kex", &Names(self.kex.iter().map(|a| a.name())))
            .field(
                "signatures",
                &Names(self.signatures.iter().map(|a| a.name())),
            )
            .field("ciphers", &Names(self.ciphers.iter().map(|a| a.name())))
            .field("macs", &Names(self.macs.iter().map(|a| a.name())))
            .field(
                "compression",
                &Names(self.compression.iter().map(|a| a.name())),
            )
            .finish()
    }
}

/// A source of unpredictable bytes, given to a connection at construction.
///
/// The core draws cookies, ephemeral keys and the seed of its padding from it, in an order that
/// depends on the protocol alone. A deterministic source makes a whole session reproducible.
/// A function or closure that fills a buffer is one, too.
pub trait SecureRandom: Send {
    /// Fills `dest` with random bytes.
    ///
    /// # Errors
    /// [`RandomFailed`] if the source cannot deliver; the connection then ends.
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed>;
}

impl<F: FnMut(&mut [u8]) -> Result<(), RandomFailed> + Send> SecureRandom for F {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        self(dest)
    }
}

/// A hash function, for exchange hashes, key derivation and fingerprints.
pub trait HashAlgorithm: Send + Sync {
    /// The length of the output in bytes, at most 64.
    fn output_len(&self) -> usize;

    /// Whether this runs in a module validated after FIPS 140-3, for [`CryptoProvider::fips`].
    fn fips(&self) -> bool {
        false
    }

    /// Hashes the concatenation of `parts`.
    fn hash(&self, parts: &[&[u8]]) -> HashOutput;
}

/// The output of a hash function: up to 64 bytes, wiped on drop since keys are derived this way.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct HashOutput {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl HashOutput {
    /// The longest output, that of SHA-512.
    pub const MAX_LEN: usize = 64;

    /// Wraps the output of a hash function; bytes past the 64th are left out.
    pub fn new(output: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        let len = output.len().min(Self::MAX_LEN);
        for (to, from) in bytes.iter_mut().zip(output) {
            *to = *from;
        }
        Self { bytes, len }
    }
}

impl AsRef<[u8]> for HashOutput {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

impl fmt::Debug for HashOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashOutput(..)")
    }
}
