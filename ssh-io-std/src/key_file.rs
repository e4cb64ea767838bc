//! Private keys from files, with errors that name the file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssh_proto::crypto::{CryptoProvider, SigningKey};
use ssh_proto::error::CryptoError;
use ssh_proto::keys::{KeyFileError, PrivateKeyFile};
use ssh_proto::limits::MAX_KEY_FILE;
use zeroize::Zeroizing;

/// Reads a host key or a user key from a file, decrypting it where a passphrase is given.
///
/// # Errors
/// Which file cannot be used, and why: [`KeyReadError::needs_passphrase`] says that a passphrase is
/// what it lacks.
pub fn read_signing_key(
    path: impl AsRef<Path>,
    passphrase: Option<&[u8]>,
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, KeyReadError> {
    let path = path.as_ref();
    read(path, passphrase, provider).map_err(|cause| KeyReadError {
        path: path.to_owned(),
        cause,
    })
}

fn read(
    path: &Path,
    passphrase: Option<&[u8]>,
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, Cause> {
    // One byte more than a key may have: then the parser says that it is too long. Room for all of
    // it, since growing would leave copies behind.
    let mut file = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE + 1));
    File::open(path)
        .and_then(|source| source.take(MAX_KEY_FILE as u64 + 1).read_to_end(&mut file))
        .map_err(Cause::Io)?;
    let parsed = PrivateKeyFile::parse(&file).map_err(Cause::File)?;
    let passphrase = passphrase.filter(|_| parsed.is_encrypted());
    let (key, _) = parsed.decrypt(passphrase).map_err(Cause::File)?;
    provider.signing_key(&key).map_err(Cause::Crypto)
}

/// A key file that cannot be used.
#[derive(Debug)]
pub struct KeyReadError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Io(io::Error),
    File(KeyFileError),
    Crypto(CryptoError),
}

impl KeyReadError {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the key is encrypted and no passphrase was given.
    pub const fn needs_passphrase(&self) -> bool {
        matches!(self.cause, Cause::File(KeyFileError::PassphraseRequired))
    }
}

impl fmt::Display for KeyReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.cause {
            Cause::Io(error) => write!(f, "{error}"),
            Cause::File(error) => write!(f, "{error}"),
            Cause::Crypto(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for KeyReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match &self.cause {
            Cause::Io(error) => error,
            Cause::File(error) => error,
            Cause::Crypto(error) => error,
        })
    }
}
