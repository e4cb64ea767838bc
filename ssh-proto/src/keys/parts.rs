//! Private keys put together from the numbers that foreign containers hold.

use alloc::vec;
use zeroize::Zeroizing;

use super::{Damage, KeyFileError};
use crate::crypto::{EcdsaCurve, PrivateKey};

/// Bytes in the modulus of the longest RSA key, of 16384 bits.
const MAX_RSA_MODULUS: usize = 2048;

/// Big-endian magnitudes, without leading zeros.
pub(super) struct RsaNumbers<'a> {
    pub(super) modulus: &'a [u8],
    pub(super) exponent: &'a [u8],
    pub(super) private_exponent: &'a [u8],
    pub(super) prime_p: &'a [u8],
    pub(super) prime_q: &'a [u8],
    pub(super) coefficient: &'a [u8],
}

impl RsaNumbers<'_> {
    pub(super) fn key(self) -> Result<PrivateKey, KeyFileError> {
        let bound = self.modulus.len().min(MAX_RSA_MODULUS);
        for number in [
            self.modulus,
            self.exponent,
            self.private_exponent,
            self.prime_p,
            self.prime_q,
            self.coefficient,
        ] {
            if number.len() > bound || number.first().is_none_or(|first| *first == 0) {
                return Err(Damage::PrivateSection.into());
            }
        }
        let secret = |number: &[u8]| Zeroizing::new(number.to_vec());
        Ok(PrivateKey::Rsa {
            modulus: self.modulus.to_vec(),
            exponent: self.exponent.to_vec(),
            private_exponent: secret(self.private_exponent),
            prime_p: secret(self.prime_p),
            prime_q: secret(self.prime_q),
            coefficient: secret(self.coefficient),
        })
    }
}

/// An ECDSA key from a point and a scalar. The scalar may be shorter than the field, as of old
/// tools, or have a zero in front, as of PuTTY.
pub(super) fn ecdsa(
    curve: EcdsaCurve,
    point: &[u8],
    scalar: &[u8],
) -> Result<PrivateKey, KeyFileError> {
    let scalar = match scalar.split_first() {
        Some((0, rest)) if rest.len() == curve.field_len() => rest,
        _ => scalar,
    };
    let mut padded = Zeroizing::new(vec![0; curve.field_len()]);
    let zeros = padded.len().checked_sub(scalar.len());
    let digits = zeros.and_then(|zeros| padded.get_mut(zeros..));
    match digits {
        Some(digits)
            if scalar.iter().any(|byte| *byte != 0)
                && point.len() == curve.point_len()
                && point.first() == Some(&4) =>
        {
            digits.copy_from_slice(scalar);
        }
        _ => return Err(Damage::PrivateSection.into()),
    }
    Ok(PrivateKey::Ecdsa {
        curve,
        public: point.to_vec(),
        scalar: padded,
    })
}
