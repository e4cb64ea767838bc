//! Private keys of PuTTY, versions 2 and 3 (appendix C of PuTTY's manual).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::vec::Vec;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use bytes::BytesMut;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::cbc::Cbc;
use super::parts::{self, RsaNumbers};
use super::{Comment, Container, Damage, KeyFileError, armor};
use crate::crypto::{EcdsaCurve, PrivateKey, PublicKey};
use crate::error::{CryptoError, DecodeError};
use crate::limits::{MAX_KDF_MEMORY, MAX_KDF_SALT, MAX_KDF_WORK, MAX_NAME};
use crate::wire::{Mpint, Reader, put_string};

const FAILED: KeyFileError = KeyFileError::Crypto(CryptoError::Failed);
const CIPHER: Cbc = Cbc::Aes256;
/// What the one cipher is called.
const CIPHER_NAME: &str = "aes256-cbc";

/// A private key file that has been read but not yet decrypted. Wiped on drop.
#[derive(Clone)]
pub(super) struct PrivateKeyFile {
    protection: Protection,
    public: PublicKey,
    comment: Comment,
    /// As it stands in the file, padding included.
    private: Zeroizing<Vec<u8>>,
    mac: Vec<u8>,
}

/// Under what the private part is, and what the MAC is made with.
#[derive(Clone)]
enum Protection {
    Version2 { encrypted: bool },
    Version3(Option<Kdf>),
}

#[derive(Clone)]
struct Kdf {
    algorithm: Algorithm,
    params: Params,
    salt: Vec<u8>,
}

/// Cipher key, IV and MAC key.
struct Keys {
    cipher: Zeroizing<[u8; 48]>,
    mac: Zeroizing<Vec<u8>>,
}

impl PrivateKeyFile {
    pub(super) fn parse(file: &[u8]) -> Result<Self, KeyFileError> {
        let mut lines = Lines(file);
        let (version, name) = match lines.line()? {
            line if line.starts_with(b"PuTTY-User-Key-File-2:") => (2, line),
            line => (3, line),
        };
        let key_type = name.get(b"PuTTY-User-Key-File-N:".len()..);
        let key_type = key_type.ok_or(Damage::Header)?.trim_ascii();
        let is_encrypted = match lines.header("Encryption")? {
            b"none" => false,
            name if name == CIPHER_NAME.as_bytes() => true,
            name => {
                return Err(KeyFileError::UnsupportedCipher {
                    container: Container::Ppk,
                    name: text(name)?.to_owned(),
                });
            }
        };
        let comment = Comment::new(lines.header("Comment")?);
        let public = lines.base64("Public-Lines")?;
        let public = PublicKey::from_blob(public.to_vec()).map_err(|_| Damage::PublicKey)?;
        if public.key_type().as_bytes() != key_type {
            return Err(Damage::TypeMismatch.into());
        }
        let key_type = public.key_type();
        if !matches!(key_type, "ssh-ed25519" | "ssh-rsa")
            && EcdsaCurve::of_key_type(key_type).is_none()
        {
            return Err(KeyFileError::UnsupportedKeyType(key_type.to_owned()));
        }
        let protection = match (version, is_encrypted) {
            (2, encrypted) => Protection::Version2 { encrypted },
            (_, true) => Protection::Version3(Some(Kdf::read(&mut lines)?)),
            (_, false) => Protection::Version3(None),
        };
        let private = lines.base64("Private-Lines")?;
        if is_encrypted && !private.len().is_multiple_of(CIPHER.block_len()) {
            return Err(Damage::PrivateSection.into());
        }
        let mac = armor::hex(lines.header("Private-MAC")?).ok_or(Damage::Mac)?;
        let mac_len = match version {
            2 => 20,
            _ => 32,
        };
        if mac.len() != mac_len {
            return Err(Damage::Mac.into());
        }
        while !lines.0.is_empty() {
            if !lines.line()?.is_empty() {
                return Err(Damage::TrailingBytes.into());
            }
        }
        Ok(Self {
            protection,
            public,
            comment,
            private,
            mac,
        })
    }

    pub(super) const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(
            self.protection,
            Protection::Version2 { encrypted: true } | Protection::Version3(Some(_))
        )
    }

    pub(super) fn decrypt(
        &self,
        passphrase: Option<&[u8]>,
    ) -> Result<(PrivateKey, Comment), KeyFileError> {
        let passphrase = match (self.is_encrypted(), passphrase) {
            (true, None) => return Err(KeyFileError::PassphraseRequired),
            (true, Some(passphrase)) => passphrase,
            (false, _) => &[],
        };
        let keys = self.protection.keys(passphrase)?;
        let mut private = self.private.clone();
        if self.is_encrypted() {
            let (key, iv) = keys
                .cipher
                .split_at_checked(CIPHER.key_len())
                .ok_or(FAILED)?;
            CIPHER.decrypt(key, iv, &mut private)?;
        }
        if !self.is_authentic(&keys.mac, &private)? {
            return Err(match self.is_encrypted() {
                true => KeyFileError::WrongPassphrase,
                false => Damage::Mac.into(),
            });
        }
        Ok((self.read_private(&private)?, self.comment.clone()))
    }

    fn is_authentic(&self, key: &[u8], private: &[u8]) -> Result<bool, KeyFileError> {
        let encryption = match self.is_encrypted() {
            true => CIPHER_NAME,
            false => "none",
        };
        let fields = [
            self.public.key_type().as_bytes(),
            encryption.as_bytes(),
            self.comment.as_bytes(),
            self.public.as_blob(),
            private,
        ];
        let len = fields
            .iter()
            .map(|field| field.len().saturating_add(4))
            .sum();
        // All of it at the start: growing would leave copies of the secret behind.
        let mut covered = BytesMut::with_capacity(len);
        for field in fields {
            put_string(&mut covered, field);
        }
        let same = match self.protection {
            Protection::Version2 { .. } => authenticate::<Hmac<Sha1>>(key, &covered, &self.mac),
            Protection::Version3(_) => authenticate::<Hmac<Sha256>>(key, &covered, &self.mac),
        };
        covered.zeroize();
        same
    }

    /// The private part: numbers alone, the rest stands in the public key.
    fn read_private(&self, private: &[u8]) -> Result<PrivateKey, KeyFileError> {
        let damaged = |_: DecodeError| Damage::PrivateSection;
        let unfit = |_: DecodeError| Damage::PublicKey;
        let mut public = Reader::new(self.public.as_blob());
        public.string().map_err(unfit)?;
        let mut reader = Reader::new(private);
        let key = match self.public.key_type() {
            "ssh-ed25519" => {
                let public = public.string().map_err(unfit)?;
                let public = public.try_into().map_err(|_| Damage::PublicKey)?;
                // A little-endian number, so zeros may be missing at its end.
                let secret = reader.string().map_err(damaged)?;
                let mut seed = Box::new(Zeroizing::new([0; 32]));
                let digits = seed.get_mut(..secret.len()).ok_or(Damage::PrivateSection)?;
                digits.copy_from_slice(secret);
                PrivateKey::Ed25519 { public, seed }
            }
            "ssh-rsa" => {
                let exponent = number(&mut public).map_err(unfit)?;
                let modulus = number(&mut public).map_err(unfit)?;
                RsaNumbers {
                    modulus,
                    exponent,
                    private_exponent: number(&mut reader).map_err(damaged)?,
                    prime_p: number(&mut reader).map_err(damaged)?,
                    prime_q: number(&mut reader).map_err(damaged)?,
                    coefficient: number(&mut reader).map_err(damaged)?,
                }
                .key()?
            }
            key_type => {
                let curve = EcdsaCurve::of_key_type(key_type).ok_or(Damage::PublicKey)?;
                public.string().map_err(unfit)?;
                let point = public.string().map_err(unfit)?;
                parts::ecdsa(curve, point, number(&mut reader).map_err(damaged)?)?
            }
        };
        // The padding of the cipher is all that may follow.
        let padding = match self.is_encrypted() {
            true => CIPHER.block_len(),
            false => 1,
        };
        if reader.remaining() >= padding {
            return Err(Damage::TrailingBytes.into());
        }
        if key.public_key() != self.public {
            return Err(Damage::PublicKeyMismatch.into());
        }
        Ok(key)
    }
}

impl Protection {
    fn keys(&self, passphrase: &[u8]) -> Result<Keys, KeyFileError> {
        let mut keys = Keys {
            cipher: Zeroizing::new([0; 48]),
            mac: Zeroizing::new(Vec::new()),
        };
        match self {
            Self::Version2 { encrypted } => {
                if *encrypted {
                    // The IV stays zero.
                    let (key, _) = keys.cipher.split_at_mut(CIPHER.key_len());
                    for (counter, part) in (0_u32..).zip(key.chunks_mut(20)) {
                        let hash = Sha1::new()
                            .chain_update(counter.to_be_bytes())
                            .chain_update(passphrase)
                            .finalize();
                        let hash = Zeroizing::new(<[u8; 20]>::from(hash));
                        part.iter_mut().zip(*hash).for_each(|(to, from)| *to = from);
                    }
                }
                let hash = Sha1::new()
                    .chain_update("putty-private-key-file-mac-key")
                    .chain_update(passphrase)
                    .finalize();
                keys.mac.extend_from_slice(&hash);
            }
            Self::Version3(None) => {}
            Self::Version3(Some(kdf)) => {
                let mut derived = Zeroizing::new([0; 80]);
                kdf.derive(passphrase, &mut derived[..])?;
                let (cipher, mac) = derived.split_at(48);
                keys.cipher.copy_from_slice(cipher);
                keys.mac.extend_from_slice(mac);
            }
        }
        Ok(keys)
    }
}

impl Kdf {
    fn read(lines: &mut Lines<'_>) -> Result<Self, KeyFileError> {
        const NAME: &str = "Argon2";
        const OUT_OF_BOUNDS: KeyFileError = KeyFileError::KdfOutOfBounds(NAME);
        let algorithm = match lines.header("Key-Derivation")? {
            b"Argon2id" => Algorithm::Argon2id,
            b"Argon2i" => Algorithm::Argon2i,
            b"Argon2d" => Algorithm::Argon2d,
            name => {
                return Err(KeyFileError::UnsupportedKdf {
                    container: Container::Ppk,
                    name: text(name)?.to_owned(),
                });
            }
        };
        let mut number = |name| -> Result<u32, KeyFileError> {
            let digits = text(lines.header(name)?)?;
            match digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
                true => Err(Damage::KdfOptions.into()),
                // More digits than fit are a number that is too large.
                false => digits.parse().map_err(|_| OUT_OF_BOUNDS),
            }
        };
        let memory = number("Argon2-Memory")?;
        let passes = number("Argon2-Passes")?;
        let parallelism = number("Argon2-Parallelism")?;
        let salt = armor::hex(lines.header("Argon2-Salt")?).ok_or(Damage::KdfOptions)?;
        if !(argon2::MIN_SALT_LEN..=MAX_KDF_SALT).contains(&salt.len()) {
            return Err(Damage::KdfOptions.into());
        }
        let bytes = u64::from(memory).saturating_mul(1024);
        if bytes > MAX_KDF_MEMORY || bytes.saturating_mul(passes.into()) > MAX_KDF_WORK {
            return Err(OUT_OF_BOUNDS);
        }
        let params = Params::new(memory, passes, parallelism, None).map_err(|_| OUT_OF_BOUNDS)?;
        Ok(Self {
            algorithm,
            params,
            salt,
        })
    }

    fn derive(&self, passphrase: &[u8], output: &mut [u8]) -> Result<(), KeyFileError> {
        let blocks = self.params.block_count();
        let mut memory = Vec::new();
        memory.try_reserve_exact(blocks).map_err(|_| FAILED)?;
        memory.resize(blocks, Block::default());
        let derived = Argon2::new(self.algorithm, Version::V0x13, self.params.clone())
            .hash_password_into_with_memory(passphrase, &self.salt, output, &mut memory[..])
            .map_err(|_| FAILED);
        memory.zeroize();
        derived
    }
}

fn authenticate<M: Mac + KeyInit>(
    key: &[u8],
    data: &[u8],
    mac: &[u8],
) -> Result<bool, KeyFileError> {
    let computed = <M as KeyInit>::new_from_slice(key)
        .map_err(|_| FAILED)?
        .chain_update(data)
        .finalize();
    Ok(computed.as_bytes().as_slice().ct_eq(mac).into())
}

/// A number as its magnitude.
fn number<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    Ok(Mpint::from_twos_complement(reader.string()?)?.magnitude())
}

/// A name in a header, for an error.
fn text(bytes: &[u8]) -> Result<&str, KeyFileError> {
    match core::str::from_utf8(bytes) {
        Ok(name) if name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(name)
        }
        _ => Err(Damage::Header.into()),
    }
}

/// What is left of the file. Lines end as on any system.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn line(&mut self) -> Result<&'a [u8], KeyFileError> {
        if self.0.is_empty() {
            return Err(Damage::Armor.into());
        }
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let end = self.0.iter().position(is_end).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest
            .strip_prefix(b"\r\n")
            .or_else(|| rest.get(1..))
            .unwrap_or_default();
        Ok(line)
    }

    /// The value of a header line, all of which have their place.
    fn header(&mut self, name: &str) -> Result<&'a [u8], KeyFileError> {
        self.line()?
            .strip_prefix(name.as_bytes())
            .and_then(|rest| rest.strip_prefix(b": "))
            .ok_or(KeyFileError::Damaged(Damage::Header))
    }

    /// Base64 in as many lines as the header says.
    fn base64(&mut self, name: &str) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
        let count = text(self.header(name)?)?;
        let count: usize = count.parse().map_err(|_| Damage::Header)?;
        // Sized once: a buffer that grows leaves copies behind.
        let mut encoded = Zeroizing::new(Vec::with_capacity(self.0.len()));
        for _ in 0..count {
            encoded.extend_from_slice(self.line()?);
        }
        armor::base64(&encoded)
    }
}
