//! `ecdh-sha2-nistp256`, `-nistp384` and `-nistp521` (RFC 5656 section 4), and their curves for the hybrids.

use alloc::vec::Vec;

use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey, SecretKey};
use zeroize::Zeroizing;

use super::hash::{SHA256, SHA384, SHA512};
use super::kex_ecdh::{Ecdh, EcdhKex};
use crate::crypto::SecureRandom;
use crate::error::CryptoError;

pub(super) static ECDH_SHA2_NISTP256: EcdhKex<P256> = EcdhKex::new("ecdh-sha2-nistp256", &SHA256);
pub(super) static ECDH_SHA2_NISTP384: EcdhKex<P384> = EcdhKex::new("ecdh-sha2-nistp384", &SHA384);
pub(super) static ECDH_SHA2_NISTP521: EcdhKex<P521> = EcdhKex::new("ecdh-sha2-nistp521", &SHA512);

pub(super) type P256 = NistSecret<p256::NistP256, 32>;
pub(super) type P384 = NistSecret<p384::NistP384, 48>;
pub(super) type P521 = NistSecret<p521::NistP521, 66>;

/// A private key on a curve whose field elements take `LEN` bytes.
pub(super) struct NistSecret<C: CurveArithmetic, const LEN: usize>(SecretKey<C>);

impl<C, const LEN: usize> Ecdh for NistSecret<C, LEN>
where
    C: CurveArithmetic + 'static,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    const PUBLIC_LEN: usize = 1 + 2 * LEN;

    /// Random bytes are out of range once in 2^32 (nistp256) or less, so a source that fails a few
    /// times in a row is broken.
    fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0; LEN]);
        for _ in 0..8 {
            random.fill(&mut *bytes)?;
            // 521 bits do not fill their bytes.
            if let ([first, ..], 66) = (&mut bytes[..], LEN) {
                *first &= 1;
            }
            if let Ok(secret) = SecretKey::from_slice(&*bytes) {
                return Ok(Self(secret));
            }
        }
        Err(CryptoError::RandomFailed)
    }

    fn public(&self) -> Vec<u8> {
        let point = self.0.public_key().as_affine().to_sec1_point(false);
        Vec::from(point.as_bytes())
    }

    /// The shared secret with a point in uncompressed form; RFC 5656 section 3.1 leaves compression
    /// to agreement, and nobody agrees on it.
    fn agree(&self, peer_public: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let point = match peer_public {
            [0x04, coordinates @ ..] if coordinates.len() == 2 * LEN => {
                PublicKey::<C>::from_sec1_bytes(peer_public).ok()
            }
            _ => None,
        };
        let point = point.ok_or(CryptoError::InvalidPublicValue)?;
        let secret = p256::elliptic_curve::ecdh::diffie_hellman(
            self.0.to_nonzero_scalar(),
            point.as_affine(),
        );
        Ok(Zeroizing::new(secret.raw_secret_bytes().to_vec()))
    }
}

#[cfg(test)]
#[path = "kex_nist_tests.rs"]
mod tests;
