//! Private keys as values: what a key file or a message to an agent holds.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::{EcdsaCurve, PublicKey, SecurityKeyHandle};

/// A private key as a value. Wiped on drop; secrets are on the heap, so that moving the value
/// leaves no copy of them behind.
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
        seed: Box<Zeroizing<[u8; 32]>>,
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
    /// DSA (FIPS 186-4), numbers as for RSA. Weak: signs with the feature `legacy` alone.
    Dsa {
        /// The prime p.
        prime: Vec<u8>,
        /// The prime q that divides p - 1.
        subprime: Vec<u8>,
        /// The generator g.
        generator: Vec<u8>,
        /// The public number y.
        public: Vec<u8>,
        /// The secret number x.
        secret: Zeroizing<Vec<u8>>,
    },
    /// ML-DSA-44 and Ed25519 in one (draft-miller-sshm-mldsa44-ed25519-composite-sigs).
    Mldsa44Ed25519 {
        /// Both public keys, 1312 and 32 bytes.
        public: Vec<u8>,
        /// Both seeds, of 32 bytes each.
        seeds: Box<Zeroizing<[u8; Self::MLDSA44_ED25519_SEEDS]>>,
    },
    /// A security key with Ed25519 (OpenSSH PROTOCOL.u2f). It signs in hardware, not here.
    SkEd25519 {
        /// The public key.
        public: [u8; 32],
        /// What leads to the private one.
        handle: SecurityKeyHandle,
    },
    /// A security key with ECDSA over P-256 (OpenSSH PROTOCOL.u2f). It signs in hardware, not here.
    SkEcdsa {
        /// The uncompressed point, 65 bytes.
        public: Vec<u8>,
        /// What leads to the private key.
        handle: SecurityKeyHandle,
    },
}

impl PrivateKey {
    /// Bytes in the seeds of ML-DSA-44 and Ed25519.
    pub(crate) const MLDSA44_ED25519_SEEDS: usize = 64;

    /// A seed in its place on the heap, without a copy on the stack; `None` where the length is wrong.
    #[cfg(feature = "keys")]
    pub(crate) fn boxed_seed<const N: usize>(bytes: &[u8]) -> Option<Box<Zeroizing<[u8; N]>>> {
        let mut seed = Box::new(Zeroizing::new([0; N]));
        if bytes.len() != N {
            return None;
        }
        seed.copy_from_slice(bytes);
        Some(seed)
    }

    /// The public half, as stored beside the private one.
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::Ed25519 { public, .. } => PublicKey::ed25519(public),
            Self::Ecdsa { curve, public, .. } => PublicKey::ecdsa(*curve, public),
            Self::Rsa {
                modulus, exponent, ..
            } => PublicKey::rsa(exponent, modulus),
            Self::Dsa {
                prime,
                subprime,
                generator,
                public,
                ..
            } => PublicKey::dsa(prime, subprime, generator, public),
            Self::Mldsa44Ed25519 { public, .. } => PublicKey::mldsa44_ed25519(public),
            Self::SkEd25519 { public, handle } => {
                PublicKey::sk_ed25519(public, &handle.application)
            }
            Self::SkEcdsa { public, handle } => PublicKey::sk_ecdsa(public, &handle.application),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, ..)", self.public_key().key_type())
    }
}
