//! Private keys from files and to files, with errors that name the file.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssh_proto::crypto::{CryptoProvider, PrivateKey, SecureRandom as _, SigningKey};
use ssh_proto::error::CryptoError;
use ssh_proto::keys::{BCRYPT_ROUNDS, Comment, KeyFileError, PrivateKeyFile};
use ssh_proto::limits::MAX_KEY_FILE;
use zeroize::Zeroizing;

use crate::OsRandom;

/// Reads a host key or a user key from a file of any format that is built in, decrypting it where a
/// passphrase is given.
///
/// # Errors
/// Which file cannot be used, and why: [`KeyReadError::needs_passphrase`] says that a passphrase is
/// what it lacks.
pub fn read_signing_key(
    path: impl AsRef<Path>,
    passphrase: Option<&[u8]>,
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, KeyReadError> {
    let mut passphrase = passphrase.map(<[u8]>::to_vec);
    read_signing_key_with(path, |_, _| passphrase.take(), provider)
}

/// Reads a host key or a user key from a file, asking for the passphrase where one is needed.
///
/// `ask` gets the file, which may tell the public key, and how many passphrases were wrong already;
/// `None` gives up. What it returns is wiped.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn read_signing_key_with(
    path: impl AsRef<Path>,
    ask: impl FnMut(&PrivateKeyFile, u32) -> Option<Vec<u8>>,
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, KeyReadError> {
    let path = path.as_ref();
    let (key, _) = read_private_key(path, ask)?;
    provider
        .signing_key(&key)
        .map_err(|error| KeyReadError::new(path, Cause::Crypto(error)))
}

/// Reads a private key and its comment, to write it elsewhere or to give it to an agent. `ask` is
/// that of [`read_signing_key_with`].
///
/// # Errors
/// Which file cannot be read, and why.
pub fn read_private_key(
    path: impl AsRef<Path>,
    ask: impl FnMut(&PrivateKeyFile, u32) -> Option<Vec<u8>>,
) -> Result<(PrivateKey, Comment), KeyReadError> {
    let path = path.as_ref();
    read(path, ask).map_err(|cause| KeyReadError::new(path, cause))
}

fn read(
    path: &Path,
    mut ask: impl FnMut(&PrivateKeyFile, u32) -> Option<Vec<u8>>,
) -> Result<(PrivateKey, Comment), Cause> {
    // One byte more than a key may have: then the parser says that it is too long. Room for all of
    // it, since growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE + 1));
    File::open(path)
        .and_then(|source| source.take(MAX_KEY_FILE as u64 + 1).read_to_end(&mut bytes))
        .map_err(Cause::Io)?;
    let file = PrivateKeyFile::parse(&bytes).map_err(Cause::File)?;
    let mut read = file.decrypt(None);
    let mut wrong = 0;
    while let Err(KeyFileError::PassphraseRequired | KeyFileError::WrongPassphrase) = read {
        let Some(passphrase) = ask(&file, wrong).map(Zeroizing::new) else {
            break;
        };
        read = file.decrypt(Some(&passphrase));
        wrong = wrong.saturating_add(1);
    }
    read.map_err(Cause::File)
}

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and writing fails.
    Keep,
    /// It is replaced at once, so that there is a whole key at any time.
    Replace,
}

/// Writes a private key file of OpenSSH, encrypted where a passphrase is given.
///
/// On Unix nobody but the owner can read it, from its creation on; elsewhere it is as the folder
/// says. What was written is on the disk when this returns. A symbolic link is not followed, but
/// replaced, or kept as a file is.
///
/// # Errors
/// Which file cannot be written, and why: [`KeyWriteError::already_exists`] says that it was kept.
/// Nothing is left behind then.
pub fn write_private_key(
    path: impl AsRef<Path>,
    key: &PrivateKey,
    comment: &Comment,
    passphrase: Option<&[u8]>,
    existing: Existing,
) -> Result<(), KeyWriteError> {
    let path = path.as_ref();
    let text = match passphrase {
        None => key.to_openssh(comment, &mut OsRandom),
        Some(passphrase) => {
            key.to_openssh_encrypted(comment, passphrase, BCRYPT_ROUNDS, &mut OsRandom)
        }
    };
    text.map_err(Cause::File)
        .and_then(|text| write(path, text.as_bytes(), existing).map_err(Cause::Io))
        .map_err(|cause| KeyWriteError {
            path: path.to_owned(),
            cause,
        })
}

fn write(path: &Path, text: &[u8], existing: Existing) -> io::Result<()> {
    match existing {
        Existing::Keep => create(path, text)?,
        Existing::Replace => {
            let beside = beside(path)?;
            create(&beside, text)?;
            fs::rename(&beside, path).inspect_err(|_| drop(fs::remove_file(&beside)))?;
        }
    }
    // The name is on the disk when the folder is.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// A name in the same folder that nobody can have taken in advance.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    OsRandom.fill(&mut random).map_err(io::Error::other)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(format!(".{:016x}", u64::from_be_bytes(random)));
    Ok(path.with_file_name(name))
}

/// Creates a file that is not there, and removes it again if it cannot be written.
fn create(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)
        .and_then(|()| file.sync_all())
        .inspect_err(|_| drop(fs::remove_file(path)))
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

impl Cause {
    fn as_error(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Io(error) => error,
            Self::File(error) => error,
            Self::Crypto(error) => error,
        }
    }
}

impl KeyReadError {
    fn new(path: &Path, cause: Cause) -> Self {
        let path = path.to_owned();
        Self { path, cause }
    }

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
        write!(f, "{}: {}", self.path.display(), self.cause.as_error())
    }
}

impl std::error::Error for KeyReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause.as_error())
    }
}

/// A key file that cannot be written.
#[derive(Debug)]
pub struct KeyWriteError {
    path: PathBuf,
    cause: Cause,
}

impl KeyWriteError {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a file, which was to be kept.
    pub fn already_exists(&self) -> bool {
        matches!(&self.cause, Cause::Io(error) if error.kind() == io::ErrorKind::AlreadyExists)
    }
}

impl fmt::Display for KeyWriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.cause.as_error())
    }
}

impl std::error::Error for KeyWriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause.as_error())
    }
}
