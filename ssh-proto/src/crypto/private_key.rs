//! Private keys as values: what a key file or a message to an agent holds.

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::{EcdsaCurve, PublicKey};

/// A private key as a value. Wiped on drop.
///
/// That its parts belong together is found out by
/// [`CryptoProvider::signing_key`](super::CryptoProvider::signing_key).
#[non_exhaustive]
#[derive(Clone)]
pub enum PrivateKey {
    /// Ed25519 (RFC 8032 section 5.1.5).
    Ed25519 {
        /// The public key.
        public: [u8; 32],
        /// The 32-byte seed.
        seed: Zeroizing<[u8; 32]>,
    },
    /// ECDSA over one of the curves of NIST (RFC 5656).
    Ecdsa {
        /// The curve.
        curve: EcdsaCurve,
        /// The uncompressed point, [`EcdsaCurve::point_len`] bytes.
        public: Vec<u8>,
        /// The secret scalar, big-endian, [`EcdsaCurve::field_len`] bytes.
        scalar: Zeroizing<Vec<u8>>,
    },
    /// RSA (RFC 8017 section 3.2), numbers as big-endian magnitudes without leading zeros.
    Rsa {
        /// The modulus n.
        modulus: Vec<u8>,
        /// The public exponent e.
        exponent: Vec<u8>,
        /// The private exponent d.
        private_exponent: Zeroizing<Vec<u8>>,
        /// The first prime p.
        prime_p: Zeroizing<Vec<u8>>,
        /// The second prime q.
        prime_q: Zeroizing<Vec<u8>>,
        /// The inverse of q modulo p.
        coefficient: Zeroizing<Vec<u8>>,
    },
}

impl PrivateKey {
    /// The public half, as stored beside the private one.
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::Ed25519 { public, .. } => PublicKey::ed25519(public),
            Self::Ecdsa { curve, public, .. } => PublicKey::ecdsa(*curve, public),
            Self::Rsa {
                modulus, exponent, ..
            } => PublicKey::rsa(exponent, modulus),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, ..)", self.public_key().key_type())
    }
}
