//! Reading revocation lists (PROTOCOL.krl), and lists of plain keys in their place.

use alloc::string::String;

use super::{RevocationError, RevocationList, Revoked};
use crate::crypto::PublicKey;
use crate::keys::KeyFileError;
use crate::keys::line::{LineProblem, is_certificate, parse_lines, plain_key, shown};
use crate::limits::{MAX_KEY_LINE, MAX_KEY_LIST, MAX_KEY_LIST_LINES};
use crate::wire::{Mpint, Reader};

pub(super) const MAGIC: &[u8; 8] = b"SSHKRL\n\0";
pub(super) const FORMAT: u32 = 1;

/// Types of sections.
pub(super) const CERTIFICATES: u8 = 1;
pub(super) const KEYS: u8 = 2;
pub(super) const SHA1: u8 = 3;
const SIGNATURE: u8 = 4;
pub(super) const SHA256: u8 = 5;
const EXTENSION: u8 = 255;

/// Types of sections within one of certificates.
pub(super) const SERIAL_LIST: u8 = 0x20;
pub(super) const SERIAL_RANGE: u8 = 0x21;
pub(super) const SERIAL_BITMAP: u8 = 0x22;
pub(super) const KEY_IDS: u8 = 0x23;
const CERTIFICATES_EXTENSION: u8 = 0x39;

impl RevocationList {
    /// Reads a KRL, or a list of public key lines if the file does not begin as one.
    ///
    /// Signatures of a KRL are not looked at, as in OpenSSH: who can replace the file can leave
    /// them out.
    ///
    /// # Errors
    /// Anything that is not understood: a key might be revoked by it.
    pub fn parse(file: &[u8]) -> Result<Self, RevocationError> {
        if file.len() > MAX_KEY_LIST {
            return Err(RevocationError::TooLong);
        }
        match file.strip_prefix(MAGIC) {
            Some(rest) => Self::parse_krl(Reader::new(rest)),
            None => Self::parse_text(file),
        }
    }

    fn parse_text(text: &[u8]) -> Result<Self, RevocationError> {
        let mut list = Self::default();
        let add = |_, line: &[u8]| {
            if line.len() > MAX_KEY_LINE {
                return Err(LineProblem::TooLong);
            }
            list.revoke_key(&plain_key(line)?.key);
            Ok(())
        };
        let (_, errors) =
            parse_lines(text, add).map_err(|_: KeyFileError| RevocationError::TooLong)?;
        match errors.into_iter().next() {
            None => Ok(list),
            Some(error) => Err(RevocationError::Line(error)),
        }
    }

    fn parse_krl(mut reader: Reader<'_>) -> Result<Self, RevocationError> {
        let format = reader.u32()?;
        if format != FORMAT {
            return Err(RevocationError::UnsupportedVersion(format));
        }
        let (version, generated) = (reader.u64()?, reader.u64()?);
        // Flags, of which there are none, and what is reserved.
        reader.u64()?;
        reader.string()?;
        let comment = String::from_utf8_lossy(reader.string()?);
        let mut list = Self::new(version, generated, comment);
        let mut signed = false;
        while reader.remaining() > 0 {
            let section = reader.u8()?;
            let data = reader.string()?;
            if signed && section != SIGNATURE {
                return Err(RevocationError::Damaged);
            }
            let mut items = Reader::new(data);
            match section {
                CERTIFICATES => list.take_certificates(items)?,
                KEYS => {
                    while items.remaining() > 0 {
                        list.revoke_key(&plain_blob(items.string()?)?);
                    }
                }
                SHA1 => {
                    while items.remaining() > 0 {
                        list.sha1.insert(digest(&mut items)?);
                    }
                }
                SHA256 => {
                    while items.remaining() > 0 {
                        list.sha256.insert(digest(&mut items)?);
                    }
                }
                SIGNATURE => {
                    signed = true;
                    reader.string()?;
                }
                EXTENSION => skip_extension(items)?,
                _ => return Err(RevocationError::UnknownSection(section)),
            }
        }
        Ok(list)
    }

    fn take_certificates(&mut self, mut reader: Reader<'_>) -> Result<(), RevocationError> {
        let authority = match reader.string()? {
            b"" => None,
            blob => Some(plain_blob(blob)?),
        };
        reader.string()?;
        let revoked = self.of_authority(authority.as_ref());
        while reader.remaining() > 0 {
            let section = reader.u8()?;
            revoked.take_section(section, Reader::new(reader.string()?))?;
        }
        match self.authorities.len() > MAX_KEY_LIST_LINES {
            true => Err(RevocationError::TooLong),
            false => Ok(()),
        }
    }
}

impl Revoked {
    fn take_section(&mut self, section: u8, mut items: Reader<'_>) -> Result<(), RevocationError> {
        let damaged = RevocationError::Damaged;
        match section {
            SERIAL_LIST => {
                while items.remaining() > 0 {
                    let serial = items.u64()?;
                    self.serials
                        .add(serial, serial)
                        .ok_or(RevocationError::Damaged)?;
                }
            }
            SERIAL_RANGE => {
                let (first, last) = (items.u64()?, items.u64()?);
                items.finish()?;
                self.serials.add(first, last).ok_or(damaged)?;
            }
            SERIAL_BITMAP => {
                let first = items.u64()?;
                let bits = Mpint::from_twos_complement(items.string()?)?;
                items.finish()?;
                self.serials
                    .add_bitmap(first, bits.magnitude())
                    .ok_or(damaged)?;
            }
            KEY_IDS => {
                while items.remaining() > 0 {
                    self.key_ids.insert(items.string()?.to_vec());
                }
            }
            CERTIFICATES_EXTENSION => skip_extension(items)?,
            _ => return Err(RevocationError::UnknownSection(section)),
        }
        Ok(())
    }
}

/// A key that is not a certificate: those are revoked by their numbers and names.
fn plain_blob(blob: &[u8]) -> Result<PublicKey, RevocationError> {
    let key = PublicKey::from_blob(blob.to_vec())?;
    match is_certificate(&key) {
        true => Err(RevocationError::Damaged),
        false => Ok(key),
    }
}

fn digest<const N: usize>(items: &mut Reader<'_>) -> Result<[u8; N], RevocationError> {
    items
        .string()?
        .try_into()
        .map_err(|_| RevocationError::Damaged)
}

fn skip_extension(mut items: Reader<'_>) -> Result<(), RevocationError> {
    let name = items.string()?;
    let critical = items.bool()?;
    items.string()?;
    items.finish()?;
    match critical {
        true => Err(RevocationError::CriticalExtension(shown(name))),
        false => Ok(()),
    }
}
