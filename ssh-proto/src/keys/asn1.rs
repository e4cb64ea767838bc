//! What the DER containers share: their faults, object identifiers, and which of them bytes begin as (X.690 section 10).

use alloc::string::ToString;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Reader as _, SliceReader, Tag, Tagged as _};

use super::{Container, Damage, KeyFileError};
use crate::crypto::EcdsaCurve;

/// Wraps the error, so that `?` takes those of the decoder while no public type knows them.
pub(super) struct Fault(pub(super) KeyFileError);

impl From<der::Error> for Fault {
    fn from(_: der::Error) -> Self {
        Damage::Encoding.into()
    }
}

impl From<Damage> for Fault {
    fn from(damage: Damage) -> Self {
        Self(damage.into())
    }
}

impl From<KeyFileError> for Fault {
    fn from(error: KeyFileError) -> Self {
        Self(error)
    }
}

/// Reads one sequence that is all of `bytes`, and all of which `read` takes.
pub(super) fn sequence<'b, T>(
    bytes: &'b [u8],
    read: impl FnOnce(&mut SliceReader<'b>) -> Result<T, Fault>,
) -> Result<T, KeyFileError> {
    let whole = || -> Result<T, Fault> {
        let mut reader = SliceReader::new(bytes)?;
        let value = reader.sequence(read)?;
        reader.finish().map_err(|_| Damage::TrailingBytes)?;
        Ok(value)
    };
    whole().map_err(|Fault(error)| error)
}

/// An algorithm and its parameters (RFC 5280 section 4.1.1.2).
pub(super) fn algorithm<'b>(
    reader: &mut SliceReader<'b>,
) -> Result<(ObjectIdentifier, Option<AnyRef<'b>>), Fault> {
    reader.sequence(|reader| Ok((reader.decode()?, reader.decode()?)))
}

/// The curve of this object identifier (RFC 5480 section 2.1.1.1).
pub(super) fn curve(oid: ObjectIdentifier) -> Result<EcdsaCurve, KeyFileError> {
    const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
    const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
    match oid {
        P256 => Ok(EcdsaCurve::Nistp256),
        P384 => Ok(EcdsaCurve::Nistp384),
        P521 => Ok(EcdsaCurve::Nistp521),
        _ => Err(KeyFileError::UnsupportedKeyType(oid.to_string())),
    }
}

/// Which container these bytes are, if they have the outer form of a private key in DER, and
/// whether it is encrypted.
pub(super) fn container(bytes: &[u8]) -> Option<(Container, bool)> {
    let tags = || -> Result<(Tag, Tag), der::Error> {
        let mut reader = SliceReader::new(bytes)?;
        reader.sequence(|reader| {
            let first: AnyRef<'_> = reader.decode()?;
            let second: AnyRef<'_> = reader.decode()?;
            while !reader.is_finished() {
                reader.decode::<AnyRef<'_>>()?;
            }
            Ok((first.tag(), second.tag()))
        })
    };
    match tags().ok()? {
        (Tag::Integer, Tag::Integer) => Some((Container::Pkcs1, false)),
        (Tag::Integer, Tag::OctetString) => Some((Container::Sec1, false)),
        (Tag::Integer, Tag::Sequence) => Some((Container::Pkcs8, false)),
        (Tag::Sequence, Tag::OctetString) => Some((Container::Pkcs8, true)),
        _ => None,
    }
}
