//! Hybrids of a key encapsulation mechanism and a curve: `mlkem768x25519-sha256`, `mlkem768nistp256-sha256`, `mlkem1024nistp384-sha384` (RFC 10042), `sntrup761x25519-sha512`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;

use zeroize::Zeroizing;

use super::hash::{SHA256, SHA384, SHA512};
use super::kex_ecdh::Ecdh;
use super::kex_nist::{P256, P384};
use super::kex_x25519::X25519;
use super::mlkem::{MlKem768, MlKem1024};
use super::sntrup761::Sntrup761;
use crate::crypto::{
    DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexResponse, KexShape, SecureRandom,
    SharedSecret,
};
use crate::error::CryptoError;

pub(super) static MLKEM768X25519_SHA256: Hybrid<MlKem768, X25519> =
    Hybrid::new("mlkem768x25519-sha256", &SHA256);
pub(super) static MLKEM768NISTP256_SHA256: Hybrid<MlKem768, P256> =
    Hybrid::new("mlkem768nistp256-sha256", &SHA256);
pub(super) static MLKEM1024NISTP384_SHA384: Hybrid<MlKem1024, P384> =
    Hybrid::new("mlkem1024nistp384-sha384", &SHA384);
pub(super) static SNTRUP761X25519_SHA512: Hybrid<Sntrup761, X25519> =
    Hybrid::new("sntrup761x25519-sha512", &SHA512);

/// The name from before it was registered.
pub(super) static SNTRUP761X25519_SHA512_OPENSSH: Hybrid<Sntrup761, X25519> =
    Hybrid::new("sntrup761x25519-sha512@openssh.com", &SHA512);

/// The secret key of a key encapsulation mechanism, wiped on drop.
pub(super) trait Kem: Sized + Send + 'static {
    /// Bytes of a public key.
    const PUBLIC_LEN: usize;
    /// Bytes of a ciphertext.
    const CIPHERTEXT_LEN: usize;

    fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError>;

    fn public(&self) -> Vec<u8>;

    /// A ciphertext for a public key, and the secret in it. `InvalidPublicValue` if the key is none.
    fn encapsulate(
        public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>), CryptoError>;

    /// The secret in a ciphertext. A wrong ciphertext yields a secret that nobody else has, and the
    /// signature then fails; `InvalidPublicValue` for a wrong length alone.
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError>;
}

/// A key exchange method of both: the values stand one behind the other, the secrets are hashed.
pub(super) struct Hybrid<K, E> {
    name: &'static str,
    hash: &'static dyn HashAlgorithm,
    parts: PhantomData<fn() -> (K, E)>,
}

impl<K, E> Hybrid<K, E> {
    const fn new(name: &'static str, hash: &'static dyn HashAlgorithm) -> Self {
        Self {
            name,
            hash,
            parts: PhantomData,
        }
    }
}

impl<K: Kem, E: Ecdh> KexAlgorithm for Hybrid<K, E> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> KexShape {
        KexShape::Ecdh
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        self.hash
    }

    fn is_post_quantum(&self) -> bool {
        true
    }

    fn start(
        &self,
        _group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        let pq = K::generate(random)?;
        let classical = E::generate(random)?;
        let mut public = pq.public();
        public.extend_from_slice(&classical.public());
        Ok(Box::new(Exchange {
            pq,
            classical,
            hash: self.hash,
            public,
        }))
    }

    fn respond(
        &self,
        _group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let (pq_public, classical_public) = split::<E>(peer_public, K::PUBLIC_LEN)?;
        let (mut public, pq_secret) = K::encapsulate(pq_public, random)?;
        let classical = E::generate(random)?;
        let classical_secret = classical.agree(classical_public)?;
        public.extend_from_slice(&classical.public());
        Ok(KexResponse {
            public,
            secret: combine(self.hash, &*pq_secret, &classical_secret),
        })
    }
}

struct Exchange<K, E> {
    pq: K,
    classical: E,
    hash: &'static dyn HashAlgorithm,
    public: Vec<u8>,
}

impl<K: Kem, E: Ecdh> KexExchange for Exchange<K, E> {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        let (ciphertext, classical_public) = split::<E>(peer_public, K::CIPHERTEXT_LEN)?;
        let classical_secret = self.classical.agree(classical_public)?;
        let pq_secret = self.pq.decapsulate(ciphertext)?;
        Ok(combine(self.hash, &*pq_secret, &classical_secret))
    }
}

/// The value of the mechanism, which has this length, and that of the curve. A wrong sum is found
/// before anything is computed.
fn split<E: Ecdh>(public: &[u8], pq_len: usize) -> Result<(&[u8], &[u8]), CryptoError> {
    match public.split_at_checked(pq_len) {
        Some(parts) if parts.1.len() == E::PUBLIC_LEN => Ok(parts),
        _ => Err(CryptoError::InvalidPublicValue),
    }
}

fn combine(hash: &dyn HashAlgorithm, pq_secret: &[u8], classical_secret: &[u8]) -> SharedSecret {
    SharedSecret::string(hash.hash(&[pq_secret, classical_secret]).as_ref())
}

#[cfg(test)]
#[path = "kex_hybrid_tests.rs"]
mod tests;
