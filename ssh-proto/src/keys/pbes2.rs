//! Password-based encryption of PKCS#8 keys: PBES2 with PBKDF2 or scrypt, and a cipher in CBC mode (RFC 8018 section 6.2, RFC 7914).
//!
//! The crate `pkcs5` would do the same, but does not wipe the key that it derives, panics on
//! scrypt with a cost of 0, and tells a cipher that it lacks from a damaged file in no way.

use alloc::string::ToString;
use alloc::vec::Vec;

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Reader as _, SliceReader, Tag, Tagged as _};
use pbkdf2::pbkdf2_hmac;
use scrypt::scrypt;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::asn1::{self, Fault};
use super::cbc::Cbc;
use super::{Container, Damage, KeyFileError};
use crate::error::CryptoError;
use crate::limits::{MAX_KDF_MEMORY, MAX_KDF_SALT, MAX_KDF_WORK, MAX_PBKDF2_ROUNDS};

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA224: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.8");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const AES128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES192_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");

/// A supported cipher under a supported function, whose parameters are within bounds.
#[derive(Clone)]
pub(super) struct Pbes2 {
    kdf: Kdf,
    salt: Vec<u8>,
    cipher: Cbc,
    iv: Vec<u8>,
}

#[derive(Clone)]
enum Kdf {
    Pbkdf2 {
        hmac: fn(&[u8], &[u8], u32, &mut [u8]),
        rounds: u32,
    },
    Scrypt(scrypt::Params),
}

impl Pbes2 {
    pub(super) fn read(
        scheme: ObjectIdentifier,
        parameters: Option<AnyRef<'_>>,
    ) -> Result<Self, Fault> {
        if scheme != PBES2 {
            return Err(unsupported_kdf(scheme).into());
        }
        let parameters = parameters.ok_or(Damage::KdfOptions)?;
        parameters.sequence(|reader| {
            let (kdf, kdf_parameters) = asn1::algorithm(reader)?;
            let (cipher, iv) = asn1::algorithm(reader)?;
            let cipher = match cipher {
                AES128_CBC => Cbc::Aes128,
                AES192_CBC => Cbc::Aes192,
                AES256_CBC => Cbc::Aes256,
                DES_EDE3_CBC => Cbc::TripleDes,
                _ => {
                    return Err(Fault(KeyFileError::UnsupportedCipher {
                        container: Container::Pkcs8,
                        name: cipher.to_string(),
                    }));
                }
            };
            let iv = iv.ok_or(Damage::KdfOptions)?;
            let iv = iv.decode_as::<&OctetStringRef>()?.as_bytes();
            if iv.len() != cipher.block_len() {
                return Err(Damage::KdfOptions.into());
            }
            let read = match kdf {
                PBKDF2 => read_pbkdf2,
                SCRYPT => read_scrypt,
                _ => return Err(unsupported_kdf(kdf).into()),
            };
            let kdf_parameters = kdf_parameters.ok_or(Damage::KdfOptions)?;
            let (kdf, salt) = kdf_parameters.sequence(|reader| read(reader, cipher.key_len()))?;
            Ok(Self {
                kdf,
                salt: salt.to_vec(),
                cipher,
                iv: iv.to_vec(),
            })
        })
    }

    /// Decrypts in place, and tells what is left without padding.
    pub(super) fn open<'d>(
        &self,
        passphrase: &[u8],
        data: &'d mut [u8],
    ) -> Result<&'d [u8], KeyFileError> {
        let mut key = Zeroizing::new([0; 32]);
        let failed = KeyFileError::Crypto(CryptoError::Failed);
        let Some(key) = key.get_mut(..self.cipher.key_len()) else {
            return Err(failed);
        };
        match &self.kdf {
            Kdf::Pbkdf2 { hmac, rounds } => hmac(passphrase, &self.salt, *rounds, key),
            Kdf::Scrypt(params) => {
                scrypt(passphrase, &self.salt, params, key).map_err(|_| failed)?;
            }
        }
        self.cipher.decrypt_padded(key, &self.iv, data)
    }

    /// What the length of the ciphertext is a multiple of.
    pub(super) const fn block_len(&self) -> usize {
        self.cipher.block_len()
    }
}

fn unsupported_kdf(oid: ObjectIdentifier) -> KeyFileError {
    KeyFileError::UnsupportedKdf {
        container: Container::Pkcs8,
        name: oid.to_string(),
    }
}

/// The salt, where it is not taken from elsewhere.
fn read_salt<'b>(reader: &mut SliceReader<'b>) -> Result<&'b [u8], Fault> {
    let salt = reader.decode::<&OctetStringRef>()?.as_bytes();
    match salt.is_empty() || salt.len() > MAX_KDF_SALT {
        true => Err(Damage::KdfOptions.into()),
        false => Ok(salt),
    }
}

/// The length of the key, which says nothing new.
fn read_key_len(reader: &mut SliceReader<'_>, key_len: usize) -> Result<(), Fault> {
    match reader.decode::<Option<u32>>()? {
        Some(len) if usize::try_from(len) != Ok(key_len) => Err(Damage::KdfOptions.into()),
        _ => Ok(()),
    }
}

fn read_pbkdf2<'b>(reader: &mut SliceReader<'b>, key_len: usize) -> Result<(Kdf, &'b [u8]), Fault> {
    let salt = read_salt(reader)?;
    let rounds = bounded("PBKDF2", reader, MAX_PBKDF2_ROUNDS.into())?;
    let rounds = u32::try_from(rounds).map_err(|_| Damage::KdfOptions)?;
    read_key_len(reader, key_len)?;
    let hmac = match reader.is_finished() {
        true => HMAC_SHA1,
        false => asn1::algorithm(reader)?.0,
    };
    let hmac = match hmac {
        HMAC_SHA1 => pbkdf2_hmac::<Sha1>,
        HMAC_SHA224 => pbkdf2_hmac::<Sha224>,
        HMAC_SHA256 => pbkdf2_hmac::<Sha256>,
        HMAC_SHA384 => pbkdf2_hmac::<Sha384>,
        HMAC_SHA512 => pbkdf2_hmac::<Sha512>,
        _ => return Err(unsupported_kdf(hmac).into()),
    };
    Ok((Kdf::Pbkdf2 { hmac, rounds }, salt))
}

fn read_scrypt<'b>(reader: &mut SliceReader<'b>, key_len: usize) -> Result<(Kdf, &'b [u8]), Fault> {
    const NAME: &str = "scrypt";
    let out_of_bounds = || Fault(KeyFileError::KdfOutOfBounds(NAME));
    let salt = read_salt(reader)?;
    let cost = bounded(NAME, reader, MAX_KDF_MEMORY)?;
    let block_size = bounded(NAME, reader, MAX_KDF_MEMORY)?;
    let parallelism = bounded(NAME, reader, MAX_KDF_WORK)?;
    read_key_len(reader, key_len)?;
    let memory = (128_u64.checked_mul(cost))
        .and_then(|memory| memory.checked_mul(block_size))
        .filter(|memory| *memory <= MAX_KDF_MEMORY);
    let work = memory.and_then(|memory| memory.checked_mul(parallelism));
    if work.is_none_or(|work| work > MAX_KDF_WORK) || cost < 2 || !cost.is_power_of_two() {
        return Err(out_of_bounds());
    }
    let log_n = u8::try_from(cost.ilog2()).map_err(|_| out_of_bounds())?;
    let block_size = u32::try_from(block_size).map_err(|_| out_of_bounds())?;
    let parallelism = u32::try_from(parallelism).map_err(|_| out_of_bounds())?;
    let params =
        scrypt::Params::new(log_n, block_size, parallelism).map_err(|_| out_of_bounds())?;
    Ok((Kdf::Scrypt(params), salt))
}

/// A number from 1 to `max`; any other integer is no damage, but not a cost that is borne.
fn bounded(name: &'static str, reader: &mut SliceReader<'_>, max: u64) -> Result<u64, Fault> {
    let number: AnyRef<'_> = reader.decode()?;
    if number.tag() != Tag::Integer {
        return Err(Damage::KdfOptions.into());
    }
    match number.decode_as::<u64>() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(KeyFileError::KdfOutOfBounds(name).into()),
    }
}
