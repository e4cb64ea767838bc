//! Signatures of files and messages, with the text form that `ssh-keygen -Y` reads and writes (PROTOCOL.sshsig).

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding};
use bytes::{BufMut, BytesMut};

use crate::crypto::{CryptoProvider, HashAlgorithm, PublicKey, Signature, SigningKey};
use crate::error::{CryptoError, DecodeError};
use crate::limits::{MAX_NAME, MAX_SIGNATURE_FILE, MAX_SIGNATURE_NAMESPACE};
use crate::text::cut;
use crate::wire::{Reader, put_string};

const MAGIC: &[u8; 6] = b"SSHSIG";
const VERSION: u32 = 1;
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// The width of ssh-keygen's lines.
const LINE: usize = 70;

/// How the message is hashed before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SshSigHash {
    /// SHA-256.
    Sha256,
    /// SHA-512, which ssh-keygen takes unless told otherwise.
    #[default]
    Sha512,
}

impl SshSigHash {
    /// The name in signatures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Bytes in the digest.
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn algorithm(self, provider: &CryptoProvider) -> &'static dyn HashAlgorithm {
        match self {
            Self::Sha256 => provider.sha256,
            Self::Sha512 => provider.sha512,
        }
    }
}

/// Why a signature could not be read, made or verified.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshSigError {
    /// The bytes do not begin as a signature does.
    NotASignature,
    /// It is longer than [`MAX_SIGNATURE_FILE`].
    TooLong,
    /// The armor, the base64 or a field is damaged, or bytes are left over.
    Damaged,
    /// It is of another version than 1.
    UnsupportedVersion(u32),
    /// It is made with a hash function other than SHA-256 and SHA-512.
    UnsupportedHash(String),
    /// It is made with a signature algorithm that the provider lacks, or one with SHA-1, which is
    /// refused whatever the provider has.
    UnsupportedAlgorithm(String),
    /// The namespace is empty, too long or has control characters.
    BadNamespace,
    /// It was made for another namespace.
    WrongNamespace,
    /// A digest of another length than that of the hash function.
    WrongDigestLength,
    /// The message is another one, or the key is.
    InvalidSignature,
    /// The key cannot sign, or the provider failed.
    Crypto(CryptoError),
}

impl fmt::Display for SshSigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASignature => f.write_str("not an SSH signature"),
            Self::TooLong => f.write_str("the signature is too long"),
            Self::Damaged => f.write_str("damaged signature"),
            Self::UnsupportedVersion(version) => write!(f, "signature of version {version}"),
            Self::UnsupportedHash(name) => write!(f, "signature of a message hashed by {name:?}"),
            Self::UnsupportedAlgorithm(name) => write!(f, "signature algorithm {name:?}"),
            Self::BadNamespace => f.write_str("the namespace is empty or malformed"),
            Self::WrongNamespace => f.write_str("the signature is for another namespace"),
            Self::WrongDigestLength => f.write_str("the digest has a wrong length"),
            Self::InvalidSignature => f.write_str("the signature is wrong"),
            Self::Crypto(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for SshSigError {}

impl From<DecodeError> for SshSigError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooMany => Self::TooLong,
            _ => Self::Damaged,
        }
    }
}

/// A signature of a message, with the key that made it and what it was made for.
///
/// Who may sign is another question than whether a signature is good: hold the key that
/// [`Self::verify`] returns against [`AllowedSigners`](super::AllowedSigners) or a list of your own.
/// Where that is a certificate, nobody has looked yet whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSig {
    key: PublicKey,
    namespace: String,
    hash: SshSigHash,
    signature: Signature,
}

impl SshSig {
    /// Signs a message for a namespace, such as `file`, `git` or one of your own at a domain of
    /// yours, with the first algorithm of the key that is without SHA-1.
    ///
    /// # Errors
    /// `BadNamespace`; `UnsupportedAlgorithm` if the key has none; `Crypto` if it fails to sign.
    pub fn sign(
        key: &dyn SigningKey,
        namespace: &str,
        hash: SshSigHash,
        message: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, SshSigError> {
        let digest = hash.algorithm(provider).hash(&[message]);
        Self::sign_digest(key, namespace, hash, digest.as_ref())
    }

    /// The same for a message that the caller has hashed.
    ///
    /// # Errors
    /// As [`Self::sign`], and `WrongDigestLength`.
    pub fn sign_digest(
        key: &dyn SigningKey,
        namespace: &str,
        hash: SshSigHash,
        digest: &[u8],
    ) -> Result<Self, SshSigError> {
        let data = Self::signed_data(namespace, hash, digest)?;
        let algorithm = key.algorithms().iter().find(|name| !has_sha1(name));
        let algorithm = algorithm
            .ok_or_else(|| SshSigError::UnsupportedAlgorithm(key.public_key().key_type().into()))?;
        let signature = key.sign(algorithm, &data).map_err(SshSigError::Crypto)?;
        Self::new(key.public_key().clone(), namespace, hash, signature)
    }

    /// What a key that lives elsewhere, in an agent say, has to sign; [`Self::new`] takes the result.
    ///
    /// # Errors
    /// `BadNamespace`, `WrongDigestLength`.
    pub fn signed_data(
        namespace: &str,
        hash: SshSigHash,
        digest: &[u8],
    ) -> Result<Vec<u8>, SshSigError> {
        check_namespace(namespace)?;
        if digest.len() != hash.output_len() {
            return Err(SshSigError::WrongDigestLength);
        }
        let mut data = BytesMut::new();
        data.put_slice(MAGIC);
        put_string(&mut data, namespace.as_bytes());
        // Reserved.
        put_string(&mut data, b"");
        put_string(&mut data, hash.name().as_bytes());
        put_string(&mut data, digest);
        Ok(data.into())
    }

    /// A signature made elsewhere, of [`Self::signed_data`]. It is not verified.
    ///
    /// # Errors
    /// `BadNamespace`; `UnsupportedAlgorithm` for one with SHA-1.
    pub fn new(
        key: PublicKey,
        namespace: &str,
        hash: SshSigHash,
        signature: Signature,
    ) -> Result<Self, SshSigError> {
        check_namespace(namespace)?;
        if has_sha1(signature.algorithm()) {
            return Err(unsupported_algorithm(&signature));
        }
        Ok(Self {
            key,
            namespace: namespace.into(),
            hash,
            signature,
        })
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// What keeps the signature from being understood. Whether it is good is not looked at.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SshSigError> {
        if bytes.len() > MAX_SIGNATURE_FILE {
            return Err(SshSigError::TooLong);
        }
        let mut reader = Reader::new(bytes);
        if reader.array() != Ok(*MAGIC) {
            return Err(SshSigError::NotASignature);
        }
        let version = reader.u32()?;
        if version != VERSION {
            return Err(SshSigError::UnsupportedVersion(version));
        }
        let key = PublicKey::from_blob(reader.string()?.to_vec())?;
        let namespace = reader.string()?;
        let namespace = core::str::from_utf8(namespace).map_err(|_| SshSigError::BadNamespace)?;
        // Reserved: not part of what is signed, and to be ignored.
        reader.string()?;
        let hash = match reader.string()? {
            b"sha256" => SshSigHash::Sha256,
            b"sha512" => SshSigHash::Sha512,
            other => {
                let name = String::from_utf8_lossy(other);
                return Err(SshSigError::UnsupportedHash(cut(&name, MAX_NAME).into()));
            }
        };
        let signature = Signature::from_encoded(reader.string()?.to_vec())?;
        reader.finish()?;
        Self::new(key, namespace, hash, signature)
    }

    /// Reads the text form, as in the `.sig` files of ssh-keygen and the signatures of git.
    ///
    /// # Errors
    /// As [`Self::from_bytes`].
    pub fn from_armored(text: &[u8]) -> Result<Self, SshSigError> {
        if text.len() > MAX_SIGNATURE_FILE {
            return Err(SshSigError::TooLong);
        }
        let mut lines = text
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_end);
        if lines.next() != Some(BEGIN.as_bytes()) {
            return Err(SshSigError::NotASignature);
        }
        let mut base64 = Vec::new();
        loop {
            match lines.next() {
                Some(line) if line == END.as_bytes() => break,
                Some(line) => base64.extend_from_slice(line),
                None => return Err(SshSigError::Damaged),
            }
        }
        if lines.any(|line| !line.is_empty()) {
            return Err(SshSigError::Damaged);
        }
        let mut blob = vec![0; base64.len()];
        let blob = Base64::decode(&base64, &mut blob).map_err(|_| SshSigError::Damaged)?;
        Self::from_bytes(blob)
    }

    /// The binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        bytes.put_slice(MAGIC);
        bytes.put_u32(VERSION);
        put_string(&mut bytes, self.key.as_blob());
        put_string(&mut bytes, self.namespace.as_bytes());
        put_string(&mut bytes, b"");
        put_string(&mut bytes, self.hash.name().as_bytes());
        put_string(&mut bytes, self.signature.as_encoded());
        bytes.into()
    }

    /// The text form, as ssh-keygen writes it.
    pub fn to_armored(&self) -> String {
        let base64 = Base64::encode_string(&self.to_bytes());
        let mut text = String::from(BEGIN);
        text.push('\n');
        for line in base64.as_bytes().chunks(LINE) {
            text.extend(line.iter().map(|byte| char::from(*byte)));
            text.push('\n');
        }
        text.push_str(END);
        text.push('\n');
        text
    }

    /// Verifies that the key signed this message for this namespace, and returns the key, or the
    /// certificate whose key it was.
    ///
    /// # Errors
    /// `WrongNamespace` if it was made for another one, `UnsupportedAlgorithm` if the provider
    /// lacks the algorithm, `InvalidSignature` if it is wrong or not of the key's type.
    pub fn verify(
        &self,
        namespace: &str,
        message: &[u8],
        provider: &CryptoProvider,
    ) -> Result<&PublicKey, SshSigError> {
        let digest = self.hash.algorithm(provider).hash(&[message]);
        self.verify_digest(namespace, digest.as_ref(), provider)
    }

    /// The same for a message that the caller has hashed, by [`Self::hash`].
    ///
    /// # Errors
    /// As [`Self::verify`], and `WrongDigestLength`.
    pub fn verify_digest(
        &self,
        namespace: &str,
        digest: &[u8],
        provider: &CryptoProvider,
    ) -> Result<&PublicKey, SshSigError> {
        check_namespace(namespace)?;
        if namespace != self.namespace {
            return Err(SshSigError::WrongNamespace);
        }
        let data = Self::signed_data(namespace, self.hash, digest)?;
        let algorithm = provider
            .signature(self.signature.algorithm())
            .ok_or_else(|| unsupported_algorithm(&self.signature))?;
        // The key in a certificate signs as it would without one.
        let certificate = self.key.certificate();
        let key = certificate.as_ref().map_or(&self.key, |it| it.public_key());
        if algorithm.key_type() != key.key_type() {
            return Err(SshSigError::InvalidSignature);
        }
        match algorithm.verify(key, &data, &self.signature) {
            Ok(()) => Ok(&self.key),
            Err(CryptoError::InvalidSignature | CryptoError::InvalidKey) => {
                Err(SshSigError::InvalidSignature)
            }
            Err(error) => Err(SshSigError::Crypto(error)),
        }
    }

    /// The key that claims to have signed; [`Self::verify`] tells whether it did.
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// What the signature was made for.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How the message is hashed.
    pub const fn hash(&self) -> SshSigHash {
        self.hash
    }

    /// The signature proper; of a security key it tells whether its user was there.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }
}

/// Whether an algorithm signs with SHA-1, which PROTOCOL.sshsig forbids.
fn has_sha1(algorithm: &str) -> bool {
    algorithm.starts_with("ssh-rsa") || algorithm.starts_with("ssh-dss")
}

fn unsupported_algorithm(signature: &Signature) -> SshSigError {
    SshSigError::UnsupportedAlgorithm(signature.algorithm().into())
}

fn check_namespace(namespace: &str) -> Result<(), SshSigError> {
    let is_good = !namespace.is_empty()
        && namespace.len() <= MAX_SIGNATURE_NAMESPACE
        && !namespace.contains(char::is_control);
    is_good.then_some(()).ok_or(SshSigError::BadNamespace)
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests;
