//! Private keys in the forms of OpenSSL, PEM or DER, with the encryption of old PEM files (RFC 7468, RFC 1421 section 4.6).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::armor::{self, Armored};
use super::cbc::Cbc;
use super::container::unexpected;
use super::pbes2::Pbes2;
use super::{Container, Damage, KeyFileError, asn1, pkcs1, pkcs8, sec1};
use crate::crypto::{PrivateKey, PublicKey};
use crate::limits::MAX_KEY_FILE;

/// The labels between `BEGIN` and the dashes.
const LABELS: [(&str, Container); 4] = [
    ("RSA PRIVATE KEY", Container::Pkcs1),
    ("EC PRIVATE KEY", Container::Sec1),
    ("PRIVATE KEY", Container::Pkcs8),
    (ENCRYPTED, Container::Pkcs8),
];
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// A private key file that has been read but not yet decrypted. Wiped on drop.
#[derive(Clone)]
pub(super) struct PrivateKeyFile {
    container: Container,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Clear {
        key: PrivateKey,
        public: PublicKey,
    },
    Encrypted {
        encryption: Encryption,
        data: Vec<u8>,
    },
}

#[derive(Clone)]
enum Encryption {
    Pbes2(Pbes2),
    /// Of the whole DER of PKCS#1 or SEC 1, as the header `DEK-Info` says.
    Dek(Dek),
}

#[derive(Clone)]
struct Dek {
    cipher: Cbc,
    iv: Vec<u8>,
}

impl PrivateKeyFile {
    pub(super) fn parse(file: &[u8]) -> Result<Self, KeyFileError> {
        if file.len() > MAX_KEY_FILE {
            return Err(KeyFileError::TooLong);
        }
        if !file.starts_with(b"-") {
            return Self::from_der(file);
        }
        let file = behind_parameters(file)?;
        let (label, container) = file
            .strip_prefix(b"-----BEGIN ")
            .and_then(|rest| {
                LABELS
                    .into_iter()
                    .find(|(label, _)| rest.starts_with(label.as_bytes()))
            })
            .ok_or_else(|| unexpected(file))?;
        let Armored { headers, blob } = armor::open(file, label)?;
        let content = match (headers.as_slice(), container) {
            ([], _) if label == ENCRYPTED => encrypted_pkcs8(&blob)?,
            ([], _) => clear(container, &blob)?,
            (headers, Container::Pkcs1 | Container::Sec1) => {
                encrypted(Dek::read(container, headers)?, &blob)?
            }
            _ => return Err(Damage::Armor.into()),
        };
        Ok(Self { container, content })
    }

    fn from_der(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let (container, is_encrypted) = asn1::container(bytes).ok_or_else(|| unexpected(bytes))?;
        let content = match is_encrypted {
            true => encrypted_pkcs8(bytes)?,
            false => clear(container, bytes)?,
        };
        Ok(Self { container, content })
    }

    pub(super) const fn container(&self) -> Container {
        self.container
    }

    pub(super) const fn public_key(&self) -> Option<&PublicKey> {
        match &self.content {
            Content::Clear { public, .. } => Some(public),
            Content::Encrypted { .. } => None,
        }
    }

    pub(super) fn decrypt(&self, passphrase: Option<&[u8]>) -> Result<PrivateKey, KeyFileError> {
        let (encryption, data) = match &self.content {
            Content::Clear { key, .. } => return Ok(key.clone()),
            Content::Encrypted { encryption, data } => (encryption, data),
        };
        let passphrase = passphrase.ok_or(KeyFileError::PassphraseRequired)?;
        let mut data = Zeroizing::new(data.clone());
        let key = match encryption {
            Encryption::Pbes2(pbes2) => pkcs8::read(pbes2.open(passphrase, &mut data)?),
            Encryption::Dek(dek) => {
                let data = dek.open(passphrase, &mut data)?;
                decode(self.container, data)
            }
        };
        // By chance the padding may be right where the key is not.
        key.map_err(|error| match error {
            KeyFileError::Damaged(_) => KeyFileError::WrongPassphrase,
            other => other,
        })
    }
}

/// Skips the curve that `openssl ecparam -genkey` writes in front of the key, which names it, too.
fn behind_parameters(file: &[u8]) -> Result<&[u8], KeyFileError> {
    const END: &[u8] = b"-----END EC PARAMETERS-----";
    if !file.starts_with(b"-----BEGIN EC PARAMETERS-----") {
        return Ok(file);
    }
    let end = file.windows(END.len()).position(|window| window == END);
    let rest = end.and_then(|end| file.get(end.saturating_add(END.len())..));
    Ok(rest.ok_or(Damage::Armor)?.trim_ascii_start())
}

fn decode(container: Container, bytes: &[u8]) -> Result<PrivateKey, KeyFileError> {
    match container {
        Container::Pkcs1 => pkcs1::read(bytes),
        Container::Sec1 => sec1::read(bytes, None, None),
        _ => pkcs8::read(bytes),
    }
}

fn clear(container: Container, bytes: &[u8]) -> Result<Content, KeyFileError> {
    let key = decode(container, bytes)?;
    let public = key.public_key();
    Ok(Content::Clear { key, public })
}

fn encrypted_pkcs8(bytes: &[u8]) -> Result<Content, KeyFileError> {
    let (pbes2, data) = pkcs8::read_encrypted(bytes)?;
    check_len(&data, pbes2.block_len())?;
    let encryption = Encryption::Pbes2(pbes2);
    Ok(Content::Encrypted { encryption, data })
}

fn encrypted(dek: Dek, data: &[u8]) -> Result<Content, KeyFileError> {
    check_len(data, dek.cipher.block_len())?;
    Ok(Content::Encrypted {
        encryption: Encryption::Dek(dek),
        data: data.to_vec(),
    })
}

fn check_len(data: &[u8], block_len: usize) -> Result<(), KeyFileError> {
    match !data.is_empty() && data.len().is_multiple_of(block_len) {
        true => Ok(()),
        false => Err(Damage::PrivateSection.into()),
    }
}

impl Dek {
    /// Reads `Proc-Type: 4,ENCRYPTED` and `DEK-Info: cipher,iv`.
    fn read(container: Container, headers: &[&[u8]]) -> Result<Self, KeyFileError> {
        let value = |header: &'static [u8], line: &[u8]| -> Result<Vec<u8>, Damage> {
            let value = line.strip_prefix(header).ok_or(Damage::Header)?;
            Ok(value.trim_ascii().to_owned())
        };
        let [proc_type, dek_info] = headers else {
            return Err(Damage::Header.into());
        };
        if value(b"Proc-Type:", proc_type)? != b"4,ENCRYPTED" {
            return Err(Damage::Header.into());
        }
        let dek_info = value(b"DEK-Info:", dek_info)?;
        let mut fields = dek_info.splitn(2, |byte| *byte == b',');
        let name = fields.next().unwrap_or_default();
        let cipher = match name {
            b"AES-128-CBC" => Cbc::Aes128,
            b"AES-192-CBC" => Cbc::Aes192,
            b"AES-256-CBC" => Cbc::Aes256,
            b"DES-EDE3-CBC" => Cbc::TripleDes,
            _ if !name.is_empty() && name.len() <= 64 && name.iter().all(u8::is_ascii_graphic) => {
                return Err(KeyFileError::UnsupportedCipher {
                    container,
                    name: String::from_utf8_lossy(name).into_owned(),
                });
            }
            _ => return Err(Damage::Header.into()),
        };
        match fields.next().and_then(armor::hex) {
            Some(iv) if iv.len() == cipher.block_len() => Ok(Self { cipher, iv }),
            _ => Err(Damage::KdfOptions.into()),
        }
    }

    /// Decrypts in place, and tells what is left without padding. The key is that of OpenSSL's
    /// `EVP_BytesToKey`: MD5, one round, salted with the first eight bytes of the IV.
    fn open<'d>(&self, passphrase: &[u8], data: &'d mut [u8]) -> Result<&'d [u8], KeyFileError> {
        let mut key = Zeroizing::new([0; 32]);
        let mut block = Zeroizing::new([0; 16]);
        for (round, chunk) in key.chunks_mut(16).enumerate() {
            let mut hash = Md5::new();
            if round > 0 {
                hash.update(&block[..]);
            }
            hash.update(passphrase);
            hash.update(self.iv.first_chunk::<8>().ok_or(Damage::KdfOptions)?);
            *block = hash.finalize().into();
            chunk.copy_from_slice(&block[..]);
        }
        let key = key.get(..self.cipher.key_len()).unwrap_or_default();
        self.cipher.decrypt_padded(key, &self.iv, data)
    }
}
