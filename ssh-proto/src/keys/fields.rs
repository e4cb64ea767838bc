//! The fields of private keys of each type, as OpenSSH's files and agents carry them (PROTOCOL.key section 3, RFC 9987 section 3.2).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};
use zeroize::Zeroizing;

use super::{Damage, KeyFileError};
use crate::crypto::security_key::{SK_ECDSA, SK_ED25519};
use crate::crypto::{EcdsaCurve, PrivateKey, SecurityKeyHandle};
use crate::wire::{Mpint, Reader, put_mpint, put_string};

type ReadFields = fn(&str, &mut Reader<'_>) -> Result<PrivateKey, Damage>;

/// What reads the fields of keys of a type, if it is known.
pub(super) fn reader_of(key_type: &str) -> Option<ReadFields> {
    Some(match key_type {
        "ssh-ed25519" => read_ed25519,
        "ssh-rsa" => read_rsa,
        "ssh-dss" => read_dsa,
        "ssh-mldsa44-ed25519" => read_mldsa44_ed25519,
        SK_ED25519 => read_sk_ed25519,
        SK_ECDSA => read_sk_ecdsa,
        _ => {
            EcdsaCurve::of_key_type(key_type)?;
            read_ecdsa
        }
    })
}

/// Reads what follows the type of a key.
pub(crate) fn read_private(
    key_type: &str,
    reader: &mut Reader<'_>,
) -> Result<PrivateKey, KeyFileError> {
    match reader_of(key_type) {
        Some(read) => Ok(read(key_type, reader)?),
        None => Err(KeyFileError::UnsupportedKeyType(key_type.to_owned())),
    }
}

/// Writes the type of a key and what follows it.
pub(crate) fn put_private(key: &PrivateKey, out: &mut BytesMut) {
    put_string(out, key.public_key().key_type().as_bytes());
    match key {
        PrivateKey::Ed25519 { public, seed } => {
            put_string(out, public);
            out.put_u32(64);
            out.put_slice(&seed[..]);
            out.put_slice(public);
        }
        PrivateKey::Ecdsa {
            curve,
            public,
            scalar,
        } => {
            put_string(out, curve.name().as_bytes());
            put_string(out, public);
            put_mpint(out, scalar);
        }
        PrivateKey::Rsa {
            modulus,
            exponent,
            private_exponent,
            prime_p,
            prime_q,
            coefficient,
        } => {
            put_mpint(out, modulus);
            put_mpint(out, exponent);
            put_mpint(out, private_exponent);
            put_mpint(out, coefficient);
            put_mpint(out, prime_p);
            put_mpint(out, prime_q);
        }
        PrivateKey::Dsa {
            prime,
            subprime,
            generator,
            public,
            secret,
        } => {
            for number in [prime, subprime, generator, public, &**secret] {
                put_mpint(out, number);
            }
        }
        PrivateKey::Mldsa44Ed25519 { public, seeds } => {
            put_string(out, public);
            put_string(out, &seeds[..]);
        }
        PrivateKey::SkEd25519 { public, handle } => {
            put_string(out, public);
            put_handle(handle, out);
        }
        PrivateKey::SkEcdsa { public, handle } => {
            put_string(out, EcdsaCurve::Nistp256.name().as_bytes());
            put_string(out, public);
            put_handle(handle, out);
        }
    }
}

fn put_handle(handle: &SecurityKeyHandle, out: &mut BytesMut) {
    put_string(out, handle.application.as_bytes());
    out.put_u8(handle.flags);
    put_string(out, &handle.key_handle);
    put_string(out, &handle.reserved);
}

fn string<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Damage> {
    reader.string().map_err(|_| Damage::PrivateSection)
}

/// A number above zero, as a magnitude.
fn number<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Damage> {
    let magnitude = Mpint::from_twos_complement(string(reader)?)
        .map_err(|_| Damage::PrivateSection)?
        .magnitude();
    match magnitude.is_empty() {
        false => Ok(magnitude),
        true => Err(Damage::PrivateSection),
    }
}

fn secret_number(reader: &mut Reader<'_>) -> Result<Zeroizing<Vec<u8>>, Damage> {
    Ok(Zeroizing::new(number(reader)?.to_vec()))
}

fn read_ed25519(_: &str, reader: &mut Reader<'_>) -> Result<PrivateKey, Damage> {
    let damaged = |_| Damage::PrivateSection;
    let public = string(reader)?;
    let mut pair = Reader::new(string(reader)?);
    let seed = PrivateKey::boxed_seed(pair.bytes(32).map_err(damaged)?);
    let seed = seed.ok_or(Damage::PrivateSection)?;
    let copy = pair.array().map_err(damaged)?;
    pair.finish().map_err(damaged)?;
    if copy != public {
        return Err(Damage::PublicKeyMismatch);
    }
    Ok(PrivateKey::Ed25519 { public: copy, seed })
}

/// The name of the curve, and what can be an uncompressed point on it.
fn read_point<'a>(curve: EcdsaCurve, reader: &mut Reader<'a>) -> Result<&'a [u8], Damage> {
    let name = string(reader)?;
    let point = string(reader)?;
    let fits = name == curve.name().as_bytes()
        && point.len() == curve.point_len()
        && point.starts_with(&[4]);
    fits.then_some(point).ok_or(Damage::PrivateSection)
}

fn read_ecdsa(key_type: &str, reader: &mut Reader<'_>) -> Result<PrivateKey, Damage> {
    let curve = EcdsaCurve::of_key_type(key_type).ok_or(Damage::PrivateSection)?;
    let point = read_point(curve, reader)?;
    let secret = number(reader)?;
    let mut scalar = Zeroizing::new(vec![0; curve.field_len()]);
    let zeros = scalar.len().checked_sub(secret.len());
    zeros
        .and_then(|zeros| scalar.get_mut(zeros..))
        .ok_or(Damage::PrivateSection)?
        .copy_from_slice(secret);
    Ok(PrivateKey::Ecdsa {
        curve,
        public: point.to_vec(),
        scalar,
    })
}

fn read_rsa(_: &str, reader: &mut Reader<'_>) -> Result<PrivateKey, Damage> {
    Ok(PrivateKey::Rsa {
        modulus: number(reader)?.to_vec(),
        exponent: number(reader)?.to_vec(),
        private_exponent: secret_number(reader)?,
        coefficient: secret_number(reader)?,
        prime_p: secret_number(reader)?,
        prime_q: secret_number(reader)?,
    })
}

fn read_dsa(_: &str, reader: &mut Reader<'_>) -> Result<PrivateKey, Damage> {
    Ok(PrivateKey::Dsa {
        prime: number(reader)?.to_vec(),
        subprime: number(reader)?.to_vec(),
        generator: number(reader)?.to_vec(),
        public: number(reader)?.to_vec(),
        secret: secret_number(reader)?,
    })
}

fn read_mldsa44_ed25519(_: &str, reader: &mut Reader<'_>) -> Result<PrivateKey, Damage> {
    let public = string(reader)?.to_vec();
    let seeds = PrivateKey::boxed_seed(string(reader)?).ok_or(Damage::PrivateSection)?;
    Ok(PrivateKey::Mldsa44Ed25519 { public, seeds })
}

fn read_sk_ed25519(_: &str, reader: &mut Reader<'_>) -> Result<PrivateKey, Damage> {
    let public = string(reader)?
        .try_into()
        .map_err(|_| Damage::PrivateSection)?;
    let handle = read_handle(reader)?;
    Ok(PrivateKey::SkEd25519 { public, handle })
}

fn read_sk_ecdsa(_: &str, reader: &mut Reader<'_>) -> Result<PrivateKey, Damage> {
    let public = read_point(EcdsaCurve::Nistp256, reader)?.to_vec();
    let handle = read_handle(reader)?;
    Ok(PrivateKey::SkEcdsa { public, handle })
}

fn read_handle(reader: &mut Reader<'_>) -> Result<SecurityKeyHandle, Damage> {
    let application = string(reader)?.to_vec();
    Ok(SecurityKeyHandle {
        application: String::from_utf8(application).map_err(|_| Damage::PrivateSection)?,
        flags: reader.u8().map_err(|_| Damage::PrivateSection)?,
        key_handle: Zeroizing::new(string(reader)?.to_vec()),
        reserved: string(reader)?.to_vec(),
    })
}
