//! `curve25519-sha256` (RFC 8731), and X25519 for the hybrid (RFC 7748 section 5).

use alloc::boxed::Box;
use alloc::vec::Vec;

use curve25519_dalek::montgomery::MontgomeryPoint;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::hash::SHA256;
use crate::crypto::{
    DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexResponse, KexShape, SecureRandom,
    SharedSecret,
};
use crate::error::CryptoError;

pub(super) static CURVE25519_SHA256: Curve25519Sha256 = Curve25519Sha256 {
    name: "curve25519-sha256",
};

/// The name from before the RFC.
pub(super) static CURVE25519_SHA256_LIBSSH: Curve25519Sha256 = Curve25519Sha256 {
    name: "curve25519-sha256@libssh.org",
};

pub(super) struct Curve25519Sha256 {
    name: &'static str,
}

impl KexAlgorithm for Curve25519Sha256 {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> KexShape {
        KexShape::Ecdh
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        &SHA256
    }

    fn start(
        &self,
        _group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        let secret = EphemeralSecret::generate(random)?;
        let public = secret.public();
        Ok(Box::new(Exchange { secret, public }))
    }

    fn respond(
        &self,
        _group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let secret = EphemeralSecret::generate(random)?;
        Ok(KexResponse {
            secret: SharedSecret::mpint(&*secret.agree(peer_public)?)?,
            public: Vec::from(secret.public()),
        })
    }
}

struct Exchange {
    secret: EphemeralSecret,
    public: [u8; 32],
}

impl KexExchange for Exchange {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        SharedSecret::mpint(&*self.secret.agree(peer_public)?)
    }
}

/// An X25519 private key.
pub(super) struct EphemeralSecret(Zeroizing<[u8; 32]>);

impl EphemeralSecret {
    pub(super) fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    pub(super) fn public(&self) -> [u8; 32] {
        MontgomeryPoint::mul_base_clamped(*self.0).to_bytes()
    }

    /// The shared secret; zero, which points of small order lead to, is refused.
    pub(super) fn agree(&self, peer_public: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let point = peer_public
            .try_into()
            .map_err(|_| CryptoError::InvalidPublicValue)?;
        let secret = Zeroizing::new(MontgomeryPoint(point).mul_clamped(*self.0).to_bytes());
        match bool::from(secret.ct_eq(&[0; 32])) {
            true => Err(CryptoError::InvalidPublicValue),
            false => Ok(secret),
        }
    }
}
