//! The curves of NIST for signatures: secret scalars and points of any of them (SEC 1 sections 2.3 and 3.2).

use alloc::vec::Vec;

use ecdsa::DigestAlgorithm;
use ecdsa::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use ecdsa::elliptic_curve::{Curve, CurveArithmetic, PublicKey, SecretKey};
use p256::NistP256;
use p384::NistP384;
use p521::NistP521;
use zeroize::Zeroizing;

use crate::crypto::{EcdsaCurve, SecureRandom};
use crate::error::CryptoError;

/// A curve with what signing and verifying needs of it.
pub(super) trait NistCurve:
    Curve<FieldBytesSize: ModulusSize>
    + CurveArithmetic<AffinePoint: FromSec1Point<Self> + ToSec1Point<Self>>
    + DigestAlgorithm
{
    /// Its name in SSH.
    const CURVE: EcdsaCurve;
}

impl NistCurve for NistP256 {
    const CURVE: EcdsaCurve = EcdsaCurve::Nistp256;
}

impl NistCurve for NistP384 {
    const CURVE: EcdsaCurve = EcdsaCurve::Nistp384;
}

impl NistCurve for NistP521 {
    const CURVE: EcdsaCurve = EcdsaCurve::Nistp521;
}

/// A secret scalar. A random one is out of range once in 2^32 and less, so a source that fails a
/// few times in a row is broken.
pub(super) fn generate_secret<C: NistCurve>(
    random: &mut dyn SecureRandom,
) -> Result<SecretKey<C>, CryptoError> {
    let mut bytes = Zeroizing::new([0; EcdsaCurve::Nistp521.field_len()]);
    let bytes = bytes
        .get_mut(..C::CURVE.field_len())
        .ok_or(CryptoError::Failed)?;
    for _ in 0..8 {
        random.fill(bytes)?;
        if let (EcdsaCurve::Nistp521, Some(first)) = (C::CURVE, bytes.first_mut()) {
            // 521 bits are 65 bytes and one bit.
            *first &= 1;
        }
        if let Ok(secret) = SecretKey::from_slice(bytes) {
            return Ok(secret);
        }
    }
    Err(CryptoError::RandomFailed)
}

/// A point on the curve but not infinity, in uncompressed form alone (RFC 5656 section 3.1 leaves
/// compression to agreement, and nobody agrees on it).
pub(super) fn parse_point<C: NistCurve>(bytes: &[u8]) -> Option<PublicKey<C>> {
    match bytes.first() {
        Some(4) if bytes.len() == C::CURVE.point_len() => PublicKey::from_sec1_bytes(bytes).ok(),
        _ => None,
    }
}

/// The uncompressed form.
pub(super) fn uncompressed<C: NistCurve>(public: &PublicKey<C>) -> Vec<u8> {
    public.to_uncompressed_point().to_vec()
}
