//! X25519 and ECDH of Graviola (RFC 7748 section 5, SEC 1 section 3.3.1).

use alloc::vec::Vec;

use ::graviola::key_agreement::{p256, p384, x25519};
use zeroize::Zeroizing;

use crate::crypto::SecureRandom;
use crate::crypto::frame::Agreement;
use crate::error::CryptoError;

pub(super) struct X25519 {
    secret: x25519::StaticPrivateKey,
    public: [u8; 32],
}

impl Agreement for X25519 {
    fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes)?;
        let secret = x25519::StaticPrivateKey::from_array(&bytes);
        let public = secret.public_key().as_bytes();
        Ok(Self { secret, public })
    }

    fn public(&self) -> &[u8] {
        &self.public
    }

    fn agree(&self, peer_public: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        x25519::PublicKey::try_from_slice(peer_public)
            .and_then(|peer| self.secret.diffie_hellman(&peer))
            .map(|secret| Zeroizing::new(secret.0.to_vec()))
            .map_err(|_| CryptoError::InvalidPublicValue)
    }
}

/// One curve of NIST; the library has the same calls in a module for each.
macro_rules! nist {
    ($name:ident, $curve:ident, $field_len:literal) => {
        pub(super) struct $name {
            secret: $curve::StaticPrivateKey,
            public: [u8; 1 + 2 * $field_len],
        }

        impl Agreement for $name {
            // A random value is out of range once in 2^32, so a source that fails a few times in a
            // row is broken.
            fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
                let mut bytes = Zeroizing::new([0; $field_len]);
                for _ in 0..8 {
                    random.fill(&mut *bytes)?;
                    if let Ok(secret) = $curve::StaticPrivateKey::from_bytes(&*bytes) {
                        let public = secret.public_key_uncompressed();
                        return Ok(Self { secret, public });
                    }
                }
                Err(CryptoError::RandomFailed)
            }

            fn public(&self) -> &[u8] {
                &self.public
            }

            fn agree(&self, peer_public: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
                $curve::PublicKey::from_x962_uncompressed(peer_public)
                    .and_then(|peer| self.secret.diffie_hellman(&peer))
                    .map(|secret| Zeroizing::new(secret.0.to_vec()))
                    .map_err(|_| CryptoError::InvalidPublicValue)
            }
        }
    };
}

nist!(Nistp256, p256, 32);
nist!(Nistp384, p384, 48);
