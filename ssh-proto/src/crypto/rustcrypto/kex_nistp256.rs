//! `ecdh-sha2-nistp256` (RFC 5656 section 4).

use alloc::boxed::Box;
use alloc::vec::Vec;

use p256::SecretKey;

use super::hash::SHA256;
use super::nistp256::{generate_secret, parse_point, uncompressed};
use crate::crypto::{
    DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexResponse, KexShape, SecureRandom,
    SharedSecret,
};
use crate::error::CryptoError;

pub(super) static ECDH_SHA2_NISTP256: EcdhSha2Nistp256 = EcdhSha2Nistp256;

pub(super) struct EcdhSha2Nistp256;

impl KexAlgorithm for EcdhSha2Nistp256 {
    fn name(&self) -> &'static str {
        "ecdh-sha2-nistp256"
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
        let secret = generate_secret(random)?;
        let public = uncompressed(&secret.public_key());
        Ok(Box::new(Exchange { secret, public }))
    }

    fn respond(
        &self,
        _group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let secret = generate_secret(random)?;
        Ok(KexResponse {
            secret: agree(&secret, peer_public)?,
            public: Vec::from(uncompressed(&secret.public_key())),
        })
    }
}

struct Exchange {
    secret: SecretKey,
    public: [u8; 65],
}

impl KexExchange for Exchange {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        agree(&self.secret, peer_public)
    }
}

fn agree(secret: &SecretKey, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
    let point = parse_point(peer_public).ok_or(CryptoError::InvalidPublicValue)?;
    SharedSecret::mpint(secret.diffie_hellman(&point).raw_secret_bytes())
}
