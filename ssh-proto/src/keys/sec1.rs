//! ECDSA private keys of SEC 1 (RFC 5915 section 3).

use der::asn1::{AnyRef, BitStringRef, ContextSpecific, ObjectIdentifier, OctetStringRef};
use der::{Reader as _, Tag, TagMode, TagNumber, Tagged as _};

use super::{Damage, KeyFileError, asn1, parts};
use crate::crypto::{EcdsaCurve, PrivateKey};

/// Reads the DER. In PKCS#8 the curve, and seldom the point, stand outside.
pub(super) fn read(
    bytes: &[u8],
    outer_curve: Option<EcdsaCurve>,
    outer_point: Option<&[u8]>,
) -> Result<PrivateKey, KeyFileError> {
    asn1::sequence(bytes, |reader| {
        if reader.decode::<u8>()? != 1 {
            return Err(Damage::PrivateSection.into());
        }
        let scalar = reader.decode::<&OctetStringRef>()?.as_bytes();
        let parameters = ContextSpecific::<AnyRef<'_>>::decode_explicit(reader, TagNumber(0))?;
        let point = reader.context_specific::<BitStringRef<'_>>(TagNumber(1), TagMode::Explicit)?;
        let curve = match parameters {
            None => outer_curve.ok_or(Damage::PrivateSection)?,
            Some(parameters) if parameters.value.tag() == Tag::ObjectIdentifier => {
                let curve = asn1::curve(parameters.value.decode_as::<ObjectIdentifier>()?)?;
                if outer_curve.is_some_and(|outer| outer != curve) {
                    return Err(Damage::PublicKeyMismatch.into());
                }
                curve
            }
            Some(_) => {
                let name = "EC with explicit parameters";
                return Err(KeyFileError::UnsupportedKeyType(name.into()).into());
            }
        };
        let point = match point {
            None => outer_point.ok_or(KeyFileError::MissingPublicKey)?,
            Some(bits) => {
                let point = bits.as_bytes().ok_or(Damage::Encoding)?;
                if outer_point.is_some_and(|outer| outer != point) {
                    return Err(Damage::PublicKeyMismatch.into());
                }
                point
            }
        };
        if matches!(point.first(), Some(2 | 3)) && point.len() == 1 + curve.field_len() {
            return Err(KeyFileError::MissingPublicKey.into());
        }
        Ok(parts::ecdsa(curve, point, scalar)?)
    })
}
