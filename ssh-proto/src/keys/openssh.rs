//! OpenSSH private key files, read and written (PROTOCOL.key).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};
use zeroize::{Zeroize, Zeroizing};

use super::encryption::Encryption;
use super::fields::{put_private, read_private, reader_of};
use super::{Comment, Damage, KeyFileError, armor};
use crate::crypto::{PrivateKey, PublicKey, SecureRandom};
use crate::error::DecodeError;
use crate::limits::MAX_NAME;
use crate::wire::{Reader, put_string};

const MAGIC: &[u8] = b"openssh-key-v1\0";
/// Room for the longest private section without its comment: five numbers of RSA with 16384 bits, at most.
const MAX_PRIVATE_SECTION: usize = 10 * 1024;

const NO_ENCRYPTION: &str = "none";

/// What the private section of an unencrypted file is padded to.
const PLAIN_BLOCK: usize = 8;

/// The rounds of bcrypt that ssh-keygen takes today, for [`PrivateKey::to_openssh_encrypted`].
pub const BCRYPT_ROUNDS: u32 = 24;

/// An OpenSSH private key file, read but not yet decrypted. Wiped on drop.
///
/// What stands in clear, the public key, is known before any passphrase is asked for.
#[derive(Clone)]
pub(super) struct PrivateKeyFile {
    public: PublicKey,
    encryption: Option<Encryption>,
    section: Zeroizing<Vec<u8>>,
    tag: Vec<u8>,
}

impl PrivateKeyFile {
    /// Reads the text of a file; decrypts nothing and derives no key.
    pub(super) fn parse(file: &[u8]) -> Result<Self, KeyFileError> {
        Self::from_blob(&armor::decode(file)?)
    }

    fn from_blob(blob: &[u8]) -> Result<Self, KeyFileError> {
        let header = |_: DecodeError| Damage::Header;
        let rest = blob.strip_prefix(MAGIC).ok_or(Damage::Header)?;
        let mut reader = Reader::new(rest);
        let cipher = name(reader.string().map_err(header)?)?;
        let kdf = name(reader.string().map_err(header)?)?;
        let options = reader.string().map_err(header)?;
        let encryption = Encryption::parse(cipher, kdf, options)?;
        if reader.u32().map_err(header)? != 1 {
            return Err(Damage::KeyCount.into());
        }
        let public = reader.string().map_err(header)?;
        let public = PublicKey::from_blob(public.to_vec()).map_err(|_| Damage::PublicKey)?;
        let section = reader.string().map_err(header)?;
        let (block_len, tag_len) = encryption
            .as_ref()
            .map_or((PLAIN_BLOCK, 0), |e| (e.block_len(), e.tag_len()));
        let tag = reader.bytes(tag_len).map_err(header)?;
        reader.finish().map_err(|_| Damage::TrailingBytes)?;
        let key_type = public.key_type();
        if reader_of(key_type).is_none() {
            return Err(KeyFileError::UnsupportedKeyType(key_type.to_owned()));
        }
        if section.is_empty() || !section.len().is_multiple_of(block_len) {
            return Err(Damage::PrivateSection.into());
        }
        Ok(Self {
            public,
            encryption,
            section: Zeroizing::new(section.to_vec()),
            tag: tag.to_vec(),
        })
    }

    pub(super) const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        self.encryption.is_some()
    }

    /// The private key and its comment.
    pub(super) fn decrypt(
        &self,
        passphrase: Option<&[u8]>,
    ) -> Result<(PrivateKey, Comment), KeyFileError> {
        let Some(encryption) = &self.encryption else {
            return self.read_section(&self.section);
        };
        let passphrase = passphrase.ok_or(KeyFileError::PassphraseRequired)?;
        if passphrase.is_empty() {
            return Err(KeyFileError::WrongPassphrase);
        }
        let mut section = self.section.clone();
        encryption.open(passphrase, &mut section, &self.tag)?;
        self.read_section(&section)
    }

    fn read_section(&self, section: &[u8]) -> Result<(PrivateKey, Comment), KeyFileError> {
        let damaged = |_: DecodeError| Damage::PrivateSection;
        let mut reader = Reader::new(section);
        if reader.u32().map_err(damaged)? != reader.u32().map_err(damaged)? {
            return Err(if self.is_encrypted() {
                KeyFileError::WrongPassphrase
            } else {
                Damage::CheckIntegers.into()
            });
        }
        if reader.string().map_err(damaged)? != self.public.key_type().as_bytes() {
            return Err(Damage::PublicKeyMismatch.into());
        }
        let key = read_private(self.public.key_type(), &mut reader)?;
        let comment = Comment::new(reader.string().map_err(damaged)?);
        let padding = reader.rest();
        if !padding
            .iter()
            .copied()
            .eq((1..=u8::MAX).take(padding.len()))
        {
            return Err(Damage::Padding.into());
        }
        // A signer that trusted another public key than its own would give the secret away.
        if key.public_key() != self.public {
            return Err(Damage::PublicKeyMismatch.into());
        }
        Ok((key, comment))
    }
}

fn name(bytes: &[u8]) -> Result<&str, KeyFileError> {
    match core::str::from_utf8(bytes) {
        Ok(name) if name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(name)
        }
        _ => Err(Damage::Header.into()),
    }
}

/// Key files.
impl PrivateKey {
    /// Reads an OpenSSH private key file that is not encrypted. [`PrivateKeyFile`](crate::keys::PrivateKeyFile) reads the
    /// others, and tells the comment.
    ///
    /// # Errors
    /// `PassphraseRequired` if it is encrypted, otherwise as [`PrivateKeyFile::parse`](crate::keys::PrivateKeyFile::parse) and
    /// [`PrivateKeyFile::decrypt`](crate::keys::PrivateKeyFile::decrypt).
    pub fn from_openssh(file: &[u8]) -> Result<Self, KeyFileError> {
        PrivateKeyFile::parse(file)?
            .decrypt(None)
            .map(|(key, _)| key)
    }

    /// Writes an OpenSSH private key file in clear. Store it where only its owner reads, from
    /// its creation on.
    ///
    /// # Errors
    /// `BadComment`, `Crypto` if the random source fails.
    pub fn to_openssh(
        &self,
        comment: &Comment,
        random: &mut dyn SecureRandom,
    ) -> Result<Zeroizing<String>, KeyFileError> {
        write(self, comment, None, random)
    }

    /// Writes an OpenSSH private key file encrypted with aes256-ctr under bcrypt;
    /// [`BCRYPT_ROUNDS`] is a good number of rounds, and the time it takes grows with them.
    ///
    /// # Errors
    /// `PassphraseRequired` if it is empty, `BadRounds`, `BadComment`, `Crypto` if the random
    /// source fails.
    pub fn to_openssh_encrypted(
        &self,
        comment: &Comment,
        passphrase: &[u8],
        rounds: u32,
        random: &mut dyn SecureRandom,
    ) -> Result<Zeroizing<String>, KeyFileError> {
        if passphrase.is_empty() {
            return Err(KeyFileError::PassphraseRequired);
        }
        let encryption = Encryption::generate(rounds, random)?;
        write(self, comment, Some((&encryption, passphrase)), random)
    }
}

/// A buffer of secrets. Its capacity is enough from the start: growing would leave copies behind.
struct Wiped(BytesMut);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn write(
    key: &PrivateKey,
    comment: &Comment,
    encryption: Option<(&Encryption, &[u8])>,
    random: &mut dyn SecureRandom,
) -> Result<Zeroizing<String>, KeyFileError> {
    if !comment.is_writable() {
        return Err(KeyFileError::BadComment);
    }
    let public = key.public_key();
    let block_len = encryption.map_or(PLAIN_BLOCK, |(encryption, _)| encryption.block_len());
    let mut check = [0; 4];
    random.fill(&mut check)?;

    let mut section = Wiped(BytesMut::with_capacity(
        MAX_PRIVATE_SECTION + comment.as_bytes().len(),
    ));
    let out = &mut section.0;
    out.put_slice(&check);
    out.put_slice(&check);
    put_private(key, out);
    put_string(out, comment.as_bytes());
    for pad in 1..=u8::MAX {
        if out.len().is_multiple_of(block_len) {
            break;
        }
        out.put_u8(pad);
    }

    let mut file = Wiped(BytesMut::with_capacity(1024 + out.len()));
    file.0.put_slice(MAGIC);
    match encryption {
        None => {
            put_string(&mut file.0, NO_ENCRYPTION.as_bytes());
            put_string(&mut file.0, NO_ENCRYPTION.as_bytes());
            put_string(&mut file.0, &[]);
        }
        Some((encryption, passphrase)) => {
            encryption.seal(passphrase, out)?;
            put_string(&mut file.0, Encryption::WRITTEN.as_bytes());
            put_string(&mut file.0, b"bcrypt");
            put_string(&mut file.0, &encryption.options());
        }
    }
    file.0.put_u32(1);
    put_string(&mut file.0, public.as_blob());
    put_string(&mut file.0, out);
    armor::encode(&file.0)
}

#[cfg(test)]
mod tests;
