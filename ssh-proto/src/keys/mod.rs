//! Key files: bytes in, values out. This file holds what can be wrong with one.
//!
//! [`PrivateKeyFile`] reads private keys in every [`Container`] that is built in: OpenSSH's, with the
//! feature `pem` those of OpenSSL, with `ppk` PuTTY's. They are written as OpenSSH does (PROTOCOL.key), by
//! [`PrivateKey::to_openssh`](crate::crypto::PrivateKey::to_openssh). A public key is a
//! [`PublicKeyLine`]: the line of a `.pub` file, or a file of RFC 4716.
//! Files of many keys are [`KnownHosts`] of a client and
//! [`AuthorizedKeys`] of a server's users; a [`RevocationList`] tells either which keys are lost.
//! [`SshSig`] is a signature of a file, and [`AllowedSigners`] are those whose signatures count.
//! Nothing here opens a file.

mod allowed_signers;
mod armor;
#[cfg(feature = "pem")]
mod asn1;
mod authorized_keys;
mod cbc;
mod clock;
mod container;
mod encryption;
mod fields;
mod known_hosts;
mod krl;
mod line;
mod openssh;
#[cfg(any(feature = "pem", feature = "ppk"))]
mod parts;
mod pattern;
#[cfg(feature = "pem")]
mod pbes2;
#[cfg(feature = "pem")]
mod pem;
#[cfg(feature = "pem")]
mod pkcs1;
#[cfg(feature = "pem")]
mod pkcs8;
#[cfg(feature = "ppk")]
mod ppk;
mod private;
mod public;
mod randomart;
mod rfc4716;
#[cfg(feature = "pem")]
mod sec1;
mod sshsig;

use alloc::string::String;
use core::fmt;

pub use self::allowed_signers::{AllowedSigner, AllowedSigners, SignerRefusal};
pub use self::authorized_keys::{
    AuthorizedKey, AuthorizedKeys, KeyOptions, KeyRefusal, PermittedPlace, SourceList, TunnelDevice,
};
pub use self::clock::{FileTime, WallClock};
pub use self::container::Container;
#[cfg(feature = "agent")]
pub(crate) use self::fields::{put_private, read_private};
pub use self::known_hosts::{
    HostEntries, HostEntry, HostMarker, HostPort, KnownHosts, Place, Verdict,
};
pub use self::krl::{CertificateIdentity, RevocationError, RevocationList};
pub use self::line::{LineError, LineProblem};
pub use self::openssh::BCRYPT_ROUNDS;
pub use self::private::PrivateKeyFile;
pub use self::public::{Comment, PublicKeyLine};
pub use self::randomart::Md5Fingerprint;
pub use self::sshsig::{SshSig, SshSigError, SshSigHash};
use crate::error::{CryptoError, RandomFailed};

/// Why a key file could not be read or written.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFileError {
    /// The bytes do not begin as any key file does. A byte order mark ends here too.
    NotAKeyFile,
    /// A key file of a format that is not read here or not built in, which `ssh-keygen` or the tool
    /// that made it can convert.
    UnsupportedContainer(Container),
    /// The key is of a type that has no private key value here; its name, or the object identifier
    /// of a type or curve.
    UnsupportedKeyType(String),
    /// The file is encrypted with a cipher that is not supported.
    UnsupportedCipher {
        /// What was found.
        container: Container,
        /// The cipher's name in it, or its object identifier.
        name: String,
    },
    /// The file is encrypted under a key derivation function that is not supported.
    UnsupportedKdf {
        /// What was found.
        container: Container,
        /// The function's name in it, or its object identifier.
        name: String,
    },
    /// The file holds a secret whose public key is missing, or a compressed point, which nothing
    /// here computes; `openssl ec -conv_form uncompressed` writes it.
    MissingPublicKey,
    /// The file is damaged, at this place.
    Damaged(Damage),
    /// The file is encrypted, or is to be, and there is no passphrase, or an empty one to write with.
    PassphraseRequired,
    /// The passphrase is wrong. A file whose encrypted part is damaged looks the same.
    WrongPassphrase,
    /// The file or line is longer than its bound in [`limits`](crate::limits).
    TooLong,
    /// The rounds of bcrypt are outside 1 to [`MAX_BCRYPT_ROUNDS`](crate::limits::MAX_BCRYPT_ROUNDS).
    BadRounds(u32),
    /// The key derivation function of this name would take no work at all, or more memory or time
    /// than its bounds in [`limits`](crate::limits): nothing was derived.
    KdfOutOfBounds(&'static str),
    /// The comment to be written is too long or has control characters, which would end its line.
    BadComment,
    /// A host name that cannot stand in a known_hosts file.
    BadHostName,
    /// Randomness or cryptography failed on our side.
    Crypto(CryptoError),
}

/// Where a key file is damaged.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Damage {
    /// The `BEGIN` or `END` line is missing, doubled or followed by text.
    Armor,
    /// The base64 is malformed.
    Base64,
    /// The magic, or one of the fields before the private section.
    Header,
    /// Cipher and key derivation function do not go together, or its options are malformed.
    KdfOptions,
    /// The file claims another number of keys than one.
    KeyCount,
    /// The encoding of the public key.
    PublicKey,
    /// A field of the private section.
    PrivateSection,
    /// The two check integers of an unencrypted file differ.
    CheckIntegers,
    /// The padding behind the comment is not 1, 2, 3 and so on.
    Padding,
    /// The copies of the public key differ (RUSTSEC-2022-0093).
    PublicKeyMismatch,
    /// Bytes are left over behind the last field.
    TrailingBytes,
    /// The type that a line names is not the type of its key.
    TypeMismatch,
    /// A line that has a line end or NUL inside.
    Line,
    /// The DER encoding.
    Encoding,
    /// The authentication code of a file that is not encrypted.
    Mac,
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKeyFile => f.write_str("not a key file"),
            Self::UnsupportedContainer(container) => {
                write!(f, "unsupported key file format: {container}")?;
                match container.missing_feature() {
                    Some(feature) => write!(f, " (built without the feature `{feature}`)"),
                    None => Ok(()),
                }
            }
            Self::UnsupportedKeyType(name) => write!(f, "unsupported key type: {name}"),
            Self::UnsupportedCipher { container, name } => {
                write!(f, "unsupported cipher of a key file ({container}): {name}")
            }
            Self::UnsupportedKdf { container, name } => {
                write!(
                    f,
                    "unsupported key derivation of a key file ({container}): {name}"
                )
            }
            Self::MissingPublicKey => f.write_str("the key file lacks the public key"),
            Self::Damaged(damage) => write!(f, "damaged key file: {damage}"),
            Self::PassphraseRequired => f.write_str("a passphrase is required"),
            Self::WrongPassphrase => f.write_str("wrong passphrase, or damaged key file"),
            Self::TooLong => f.write_str("the key file is too long"),
            Self::BadRounds(rounds) => write!(f, "{rounds} bcrypt rounds are out of range"),
            Self::KdfOutOfBounds(name) => write!(f, "the parameters of {name} are out of range"),
            Self::BadComment => f.write_str("the comment is too long or has control characters"),
            Self::BadHostName => f.write_str("the host name is empty, too long or not plain"),
            Self::Crypto(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Armor => "BEGIN and END lines",
            Self::Base64 => "base64",
            Self::Header => "header",
            Self::KdfOptions => "key derivation options",
            Self::KeyCount => "number of keys",
            Self::PublicKey => "public key",
            Self::PrivateSection => "private section",
            Self::CheckIntegers => "check integers",
            Self::Padding => "padding",
            Self::PublicKeyMismatch => "the copies of the public key differ",
            Self::TrailingBytes => "trailing bytes",
            Self::TypeMismatch => "the named type is not that of the key",
            Self::Line => "line end or NUL inside a line",
            Self::Encoding => "DER encoding",
            Self::Mac => "message authentication code",
        })
    }
}

impl core::error::Error for KeyFileError {}

impl From<Damage> for KeyFileError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl From<RandomFailed> for KeyFileError {
    fn from(_: RandomFailed) -> Self {
        Self::Crypto(CryptoError::RandomFailed)
    }
}
