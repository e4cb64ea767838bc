//! Private keys of PKCS#8, in clear and the frame of encrypted ones (RFC 5958, RFC 8410 section 7).

use alloc::string::ToString;
use alloc::vec::Vec;

use der::asn1::{BitStringRef, ObjectIdentifier, OctetStringRef, SequenceRef};
use der::{Decode as _, Reader as _, TagMode, TagNumber};
use ed25519_dalek::SigningKey;

use super::pbes2::Pbes2;
use super::{Damage, KeyFileError, asn1, pkcs1, sec1};
use crate::crypto::PrivateKey;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");

/// Reads the DER of a key in clear.
pub(super) fn read(bytes: &[u8]) -> Result<PrivateKey, KeyFileError> {
    asn1::sequence(bytes, |reader| {
        let version: u8 = reader.decode()?;
        let (oid, parameters) = asn1::algorithm(reader)?;
        let private = reader.decode::<&OctetStringRef>()?.as_bytes();
        // Attributes say nothing about the key.
        reader.context_specific::<&SequenceRef>(TagNumber(0), TagMode::Implicit)?;
        let public =
            reader.context_specific::<BitStringRef<'_>>(TagNumber(1), TagMode::Implicit)?;
        if version > 1 || (public.is_some() && version == 0) {
            return Err(Damage::PrivateSection.into());
        }
        let public = match public {
            Some(bits) => Some(bits.as_bytes().ok_or(Damage::Encoding)?),
            None => None,
        };
        Ok(match oid {
            RSA => pkcs1::read(private)?,
            EC => {
                let parameters = parameters.ok_or(Damage::PrivateSection)?;
                let curve = parameters.decode_as::<ObjectIdentifier>().map_err(|_| {
                    KeyFileError::UnsupportedKeyType("EC with explicit parameters".to_string())
                })?;
                sec1::read(private, Some(asn1::curve(curve)?), public)?
            }
            ED25519 => ed25519(private, public)?,
            DSA => return Err(KeyFileError::UnsupportedKeyType("ssh-dss".to_string()).into()),
            _ => return Err(KeyFileError::UnsupportedKeyType(oid.to_string()).into()),
        })
    })
}

fn ed25519(private: &[u8], public: Option<&[u8]>) -> Result<PrivateKey, KeyFileError> {
    let seed = <&OctetStringRef>::from_der(private).map_err(|_| Damage::Encoding)?;
    let seed: &[u8; 32] = seed
        .as_bytes()
        .try_into()
        .map_err(|_| Damage::PrivateSection)?;
    // Most files have the seed alone.
    let computed = SigningKey::from_bytes(seed).verifying_key().to_bytes();
    if public.is_some_and(|public| *public != computed) {
        return Err(Damage::PublicKeyMismatch.into());
    }
    Ok(PrivateKey::Ed25519 {
        public: computed,
        seed: PrivateKey::boxed_seed(seed).ok_or(Damage::PrivateSection)?,
    })
}

/// Reads the DER of an encrypted key: how it is encrypted, and the ciphertext.
pub(super) fn read_encrypted(bytes: &[u8]) -> Result<(Pbes2, Vec<u8>), KeyFileError> {
    asn1::sequence(bytes, |reader| {
        let (oid, parameters) = asn1::algorithm(reader)?;
        let data = reader.decode::<&OctetStringRef>()?.as_bytes();
        Ok((Pbes2::read(oid, parameters)?, data.to_vec()))
    })
}
