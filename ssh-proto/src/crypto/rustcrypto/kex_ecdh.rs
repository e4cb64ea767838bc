//! Key exchange over one elliptic curve (RFC 5656 section 4, RFC 8731), whichever it is.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;

use zeroize::Zeroizing;

use crate::crypto::{
    DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexResponse, KexShape, SecureRandom,
    SharedSecret,
};
use crate::error::CryptoError;

/// An ephemeral private key on a curve, wiped on drop.
pub(super) trait Ecdh: Sized + Send + 'static {
    /// Bytes of a public value.
    const PUBLIC_LEN: usize;

    fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError>;

    fn public(&self) -> Vec<u8>;

    /// The shared secret as the bytes of a field element. `InvalidPublicValue` unless the value is
    /// a good one, in its one encoding.
    fn agree(&self, peer_public: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError>;
}

/// A key exchange method over the curve of `E`.
pub(super) struct EcdhKex<E> {
    name: &'static str,
    hash: &'static dyn HashAlgorithm,
    curve: PhantomData<fn() -> E>,
}

impl<E> EcdhKex<E> {
    pub(super) const fn new(name: &'static str, hash: &'static dyn HashAlgorithm) -> Self {
        Self {
            name,
            hash,
            curve: PhantomData,
        }
    }
}

impl<E: Ecdh> KexAlgorithm for EcdhKex<E> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> KexShape {
        KexShape::Ecdh
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        self.hash
    }

    fn start(
        &self,
        _group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        let secret = E::generate(random)?;
        let public = secret.public();
        Ok(Box::new(Exchange { secret, public }))
    }

    fn respond(
        &self,
        _group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let secret = E::generate(random)?;
        Ok(KexResponse {
            secret: SharedSecret::mpint(&secret.agree(peer_public)?)?,
            public: secret.public(),
        })
    }
}

struct Exchange<E> {
    secret: E,
    public: Vec<u8>,
}

impl<E: Ecdh> KexExchange for Exchange<E> {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        SharedSecret::mpint(&self.secret.agree(peer_public)?)
    }
}
