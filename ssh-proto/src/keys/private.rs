//! Private key files of every format that is built in, told apart by how they begin.

use core::fmt;

use super::container::unexpected;
#[cfg(feature = "pem")]
use super::pem;
#[cfg(feature = "ppk")]
use super::ppk;
use super::{Comment, Container, KeyFileError, openssh};
use crate::crypto::{PrivateKey, PublicKey};
use crate::limits::MAX_KEY_FILE;

/// A private key file, read but not yet decrypted. Wiped on drop.
///
/// What stands in clear is known before any passphrase is asked for.
#[derive(Clone)]
pub struct PrivateKeyFile(Content);

#[derive(Clone)]
enum Content {
    OpenSsh(openssh::PrivateKeyFile),
    #[cfg(feature = "pem")]
    Pem(pem::PrivateKeyFile),
    #[cfg(feature = "ppk")]
    Ppk(ppk::PrivateKeyFile),
}

impl PrivateKeyFile {
    /// Reads a file; decrypts nothing and derives no key.
    ///
    /// # Errors
    /// All of [`KeyFileError`] that do not depend on the passphrase, so that none is asked for in
    /// vain: `NotAKeyFile`, `UnsupportedContainer` with what was found, `UnsupportedKeyType` for one
    /// that has no [`PrivateKey`] value (in an encrypted file that does not tell it in clear, this
    /// comes from [`Self::decrypt`]), `UnsupportedCipher`, `UnsupportedKdf`, `BadRounds` and
    /// `KdfOutOfBounds` for key derivation that would take too long, `MissingPublicKey`, `TooLong`,
    /// and `Damaged`.
    pub fn parse(file: &[u8]) -> Result<Self, KeyFileError> {
        if file.len() > MAX_KEY_FILE {
            return Err(KeyFileError::TooLong);
        }
        Ok(Self(match Container::of(file) {
            Some(Container::OpenSsh) => Content::OpenSsh(openssh::PrivateKeyFile::parse(file)?),
            #[cfg(feature = "pem")]
            Some(Container::Pkcs1 | Container::Sec1 | Container::Pkcs8) => {
                Content::Pem(pem::PrivateKeyFile::parse(file)?)
            }
            #[cfg(feature = "ppk")]
            Some(Container::Ppk) => Content::Ppk(ppk::PrivateKeyFile::parse(file)?),
            _ => return Err(unexpected(file)),
        }))
    }

    /// The format that was found.
    pub const fn container(&self) -> Container {
        match &self.0 {
            Content::OpenSsh(_) => Container::OpenSsh,
            #[cfg(feature = "pem")]
            Content::Pem(file) => file.container(),
            #[cfg(feature = "ppk")]
            Content::Ppk(_) => Container::Ppk,
        }
    }

    /// The public key, unless it is encrypted, too: so it is in the forms of OpenSSL. Of an encrypted
    /// file it is only what the file claims until [`Self::decrypt`] has found the same key inside.
    pub const fn public_key(&self) -> Option<&PublicKey> {
        match &self.0 {
            Content::OpenSsh(file) => Some(file.public_key()),
            #[cfg(feature = "pem")]
            Content::Pem(file) => file.public_key(),
            #[cfg(feature = "ppk")]
            Content::Ppk(file) => Some(file.public_key()),
        }
    }

    /// Whether [`Self::decrypt`] needs a passphrase.
    pub const fn is_encrypted(&self) -> bool {
        match &self.0 {
            Content::OpenSsh(file) => file.is_encrypted(),
            #[cfg(feature = "pem")]
            Content::Pem(file) => file.public_key().is_none(),
            #[cfg(feature = "ppk")]
            Content::Ppk(file) => file.is_encrypted(),
        }
    }

    /// The private key and its comment, which the forms of OpenSSL do not have. Derives the key
    /// from the passphrase, which takes a tenth of a second to many seconds, and memory up to
    /// [`MAX_KDF_MEMORY`](crate::limits::MAX_KDF_MEMORY); a passphrase for a file that is not
    /// encrypted is ignored.
    ///
    /// All copies of the public key in the file are the same. That the secret belongs to it is
    /// found out by [`CryptoProvider::signing_key`](crate::crypto::CryptoProvider::signing_key).
    ///
    /// # Errors
    /// `PassphraseRequired`, `WrongPassphrase`, otherwise where the private section is `Damaged`, or
    /// what is not supported of it.
    pub fn decrypt(
        &self,
        passphrase: Option<&[u8]>,
    ) -> Result<(PrivateKey, Comment), KeyFileError> {
        match &self.0 {
            Content::OpenSsh(file) => file.decrypt(passphrase),
            #[cfg(feature = "pem")]
            Content::Pem(file) => Ok((file.decrypt(passphrase)?, Comment::default())),
            #[cfg(feature = "ppk")]
            Content::Ppk(file) => file.decrypt(passphrase),
        }
    }
}

impl fmt::Debug for PrivateKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKeyFile")
            .field("container", &self.container())
            .field("public", &self.public_key())
            .field("is_encrypted", &self.is_encrypted())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "pem", feature = "ppk"))]
mod tests;
