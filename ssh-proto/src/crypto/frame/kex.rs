//! Key exchange over elliptic curves, alone and together with ML-KEM, around a library's primitives (RFC 5656 section 4, RFC 8731, RFC 10042).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;

use zeroize::Zeroizing;

use crate::crypto::{
    DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexResponse, KexShape, SecureRandom,
    SharedSecret,
};
use crate::error::CryptoError;

/// An ephemeral key of a library, on one curve.
pub(in crate::crypto) trait Agreement: Sized + Send + 'static {
    /// A new key.
    fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError>;

    /// The public value, uncompressed where the curve leaves a choice.
    fn public(&self) -> &[u8];

    /// The shared secret, for curves of NIST the x coordinate. `InvalidPublicValue` for a value of
    /// another length or form, that is no point of the curve, or that leads to zero.
    fn agree(&self, peer_public: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError>;
}

/// ML-KEM of a library, at one size (FIPS 203). The value is the decapsulation key.
pub(in crate::crypto) trait Kem: Sized + Send + 'static {
    /// Bytes of an encapsulation key.
    const PUBLIC_LEN: usize;
    /// Bytes of a ciphertext.
    const CIPHERTEXT_LEN: usize;

    /// A new key.
    fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError>;

    /// The encapsulation key.
    fn public(&self) -> Result<Vec<u8>, CryptoError>;

    /// Ciphertext and secret for the holder of the key with this encapsulation key, which is
    /// [`Self::PUBLIC_LEN`] bytes long. `InvalidPublicValue` if it fails the modulus check.
    fn encapsulate(
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>), CryptoError>;

    /// The secret in a ciphertext of [`Self::CIPHERTEXT_LEN`] bytes. A wrong one yields a secret
    /// that nobody else has.
    fn decapsulate(self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError>;
}

/// A method on a curve alone.
pub(in crate::crypto) struct Ecdh<A> {
    name: &'static str,
    hash: &'static dyn HashAlgorithm,
    fips: fn() -> bool,
    agreement: PhantomData<fn() -> A>,
}

impl<A> Ecdh<A> {
    pub(in crate::crypto) const fn new(
        name: &'static str,
        hash: &'static dyn HashAlgorithm,
        fips: fn() -> bool,
    ) -> Self {
        Self {
            name,
            hash,
            fips,
            agreement: PhantomData,
        }
    }
}

impl<A: Agreement> KexAlgorithm for Ecdh<A> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> KexShape {
        KexShape::Ecdh
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        self.hash
    }

    fn fips(&self) -> bool {
        (self.fips)()
    }

    fn start(
        &self,
        _group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        Ok(Box::new(Exchange(A::generate(random)?)))
    }

    fn respond(
        &self,
        _group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let key = A::generate(random)?;
        Ok(KexResponse {
            secret: SharedSecret::mpint(&key.agree(peer_public)?)?,
            public: key.public().to_vec(),
        })
    }
}

struct Exchange<A>(A);

impl<A: Agreement> KexExchange for Exchange<A> {
    fn public(&self) -> &[u8] {
        self.0.public()
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        SharedSecret::mpint(&self.0.agree(peer_public)?)
    }
}

/// ML-KEM together with a curve: public values one behind the other, secrets hashed together.
pub(in crate::crypto) struct Hybrid<K, A> {
    name: &'static str,
    hash: &'static dyn HashAlgorithm,
    fips: fn() -> bool,
    parts: PhantomData<fn() -> (K, A)>,
}

impl<K, A> Hybrid<K, A> {
    pub(in crate::crypto) const fn new(
        name: &'static str,
        hash: &'static dyn HashAlgorithm,
        fips: fn() -> bool,
    ) -> Self {
        Self {
            name,
            hash,
            fips,
            parts: PhantomData,
        }
    }
}

impl<K: Kem, A: Agreement> KexAlgorithm for Hybrid<K, A> {
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

    fn fips(&self) -> bool {
        (self.fips)()
    }

    fn start(
        &self,
        _group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        let pq = K::generate(random)?;
        let classical = A::generate(random)?;
        let mut public = pq.public()?;
        public.extend_from_slice(classical.public());
        Ok(Box::new(HybridExchange {
            hash: self.hash,
            pq,
            classical,
            public,
        }))
    }

    fn respond(
        &self,
        _group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let (pq_public, classical_public) = peer_public
            .split_at_checked(K::PUBLIC_LEN)
            .ok_or(CryptoError::InvalidPublicValue)?;
        let (mut public, pq_secret) = K::encapsulate(pq_public, random)?;
        let classical = A::generate(random)?;
        let classical_secret = classical.agree(classical_public)?;
        public.extend_from_slice(classical.public());
        Ok(KexResponse {
            public,
            secret: combine(self.hash, &*pq_secret, &classical_secret),
        })
    }
}

struct HybridExchange<K, A> {
    hash: &'static dyn HashAlgorithm,
    pq: K,
    classical: A,
    public: Vec<u8>,
}

impl<K: Kem, A: Agreement> KexExchange for HybridExchange<K, A> {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        let (ciphertext, classical_public) = peer_public
            .split_at_checked(K::CIPHERTEXT_LEN)
            .ok_or(CryptoError::InvalidPublicValue)?;
        let classical_secret = self.classical.agree(classical_public)?;
        let pq_secret = self.pq.decapsulate(ciphertext)?;
        Ok(combine(self.hash, &*pq_secret, &classical_secret))
    }
}

fn combine(hash: &dyn HashAlgorithm, pq: &[u8], classical: &[u8]) -> SharedSecret {
    SharedSecret::string(hash.hash(&[pq, classical]).as_ref())
}
