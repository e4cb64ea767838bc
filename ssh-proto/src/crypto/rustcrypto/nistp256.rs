//! What key agreement and signatures over nistp256 share: scalars and points (SEC 1 sections 2.3 and 3.2).

use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::crypto::SecureRandom;
use crate::error::CryptoError;

/// A secret scalar. A random value of 32 bytes is out of range once in 2^32, so a source that
/// fails a few times in a row is broken.
pub(super) fn generate_secret(random: &mut dyn SecureRandom) -> Result<SecretKey, CryptoError> {
    let mut bytes = Zeroizing::new([0; 32]);
    for _ in 0..8 {
        random.fill(&mut *bytes)?;
        if let Ok(secret) = SecretKey::from_slice(&*bytes) {
            return Ok(secret);
        }
    }
    Err(CryptoError::RandomFailed)
}

/// A point on the curve but not infinity, in uncompressed form alone (RFC 5656 section 3.1 leaves
/// compression to agreement, and nobody agrees on it).
pub(super) fn parse_point(bytes: &[u8]) -> Option<PublicKey> {
    match bytes {
        [0x04, rest @ ..] if rest.len() == 64 => PublicKey::from_sec1_bytes(bytes).ok(),
        _ => None,
    }
}

/// The uncompressed form.
pub(super) fn uncompressed(public: &PublicKey) -> [u8; 65] {
    public.to_uncompressed_point().into()
}
