//! OpenSSH certificates (draft-ietf-sshm-cert): what an authority says of a user's or a host's key.
//!
//! A certificate is a [`PublicKey`] whose type says so, and [`Certificate::from_public_key`] reads
//! it. That it reads means nothing yet: [`Certificate::verify`] finds out whether a trusted
//! authority signed it and whether it holds here and now. Who proves possession of the key in it
//! is found out by the connection, by [`CertificateAlgorithm`]s in the provider's list.

mod algorithm;
mod certified;
mod check;
mod issue;
mod source;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};

pub use self::algorithm::CertificateAlgorithm;
pub use self::certified::CertifiedKey;
pub use self::check::{CertificateCheck, CertificateError, CertificateRights};
pub use self::issue::{CertificateBuilder, IssueError};
use super::{PublicKey, Signature};
use crate::error::DecodeError;
use crate::limits::MAX_CERTIFICATE_PRINCIPALS;
use crate::wire::{Reader, put_string};

/// Types of keys, of the certificates of such keys, and how many fields make up a key.
const TYPES: [(&str, &str, usize); 9] = [
    ("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", 1),
    (
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        2,
    ),
    (
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp384-cert-v01@openssh.com",
        2,
    ),
    (
        "ecdsa-sha2-nistp521",
        "ecdsa-sha2-nistp521-cert-v01@openssh.com",
        2,
    ),
    (
        "sk-ssh-ed25519@openssh.com",
        "sk-ssh-ed25519-cert-v01@openssh.com",
        2,
    ),
    (
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        3,
    ),
    ("ssh-rsa", "ssh-rsa-cert-v01@openssh.com", 2),
    ("ssh-dss", "ssh-dss-cert-v01@openssh.com", 4),
    ("ssh-mldsa44-ed25519", "ssh-mldsa44-ed25519-cert", 1),
];

/// The options that are switches, and have no data.
const SWITCHES: [&str; 7] = [
    option::VERIFY_REQUIRED,
    option::NO_TOUCH_REQUIRED,
    option::PERMIT_X11_FORWARDING,
    option::PERMIT_AGENT_FORWARDING,
    option::PERMIT_PORT_FORWARDING,
    option::PERMIT_PTY,
    option::PERMIT_USER_RC,
];

/// The options that are known here (draft-ietf-sshm-cert section 3).
mod option {
    pub(super) const FORCE_COMMAND: &str = "force-command";
    pub(super) const SOURCE_ADDRESS: &str = "source-address";
    pub(super) const VERIFY_REQUIRED: &str = "verify-required";
    pub(super) const NO_TOUCH_REQUIRED: &str = "no-touch-required";
    pub(super) const PERMIT_X11_FORWARDING: &str = "permit-X11-forwarding";
    pub(super) const PERMIT_AGENT_FORWARDING: &str = "permit-agent-forwarding";
    pub(super) const PERMIT_PORT_FORWARDING: &str = "permit-port-forwarding";
    pub(super) const PERMIT_PTY: &str = "permit-pty";
    pub(super) const PERMIT_USER_RC: &str = "permit-user-rc";
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateKind {
    /// A user logs in with the key.
    User,
    /// A host is known by the key.
    Host,
}

/// A critical option or an extension of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateOption {
    name: String,
    data: Bytes,
}

impl CertificateOption {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The data as it is encoded: empty for a switch, a wire string for the options of OpenSSH
    /// that have a value.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The value, where the data is one string.
    fn value(&self) -> Result<&[u8], DecodeError> {
        let mut reader = Reader::new(&self.data);
        let value = reader.string()?;
        reader.finish()?;
        Ok(value)
    }
}

/// A certificate: a public key, what an authority says of it, and the authority's signature.
///
/// Reading one checks its form and nothing else; see [`Self::verify`]. Text in it was chosen by
/// the authority at best, by the peer at worst: escape it before it goes to a terminal or a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    encoded: PublicKey,
    public_key: PublicKey,
    serial: u64,
    kind: CertificateKind,
    key_id: String,
    principals: Vec<String>,
    valid_after: u64,
    valid_before: u64,
    critical_options: Vec<CertificateOption>,
    extensions: Vec<CertificateOption>,
    signature_key: PublicKey,
    /// How much of the encoding the signature covers.
    signed_len: usize,
    signature: Signature,
}

impl Certificate {
    /// Reads the certificate that a key is by its type.
    ///
    /// # Errors
    /// What is wrong with it; `BadText` for a type that is not that of a certificate, an authority
    /// whose key is a certificate itself, or text that is not UTF-8 or has a NUL; `OutOfRange`
    /// for a kind that is neither user nor host, options that are not in order, and ones whose
    /// data is not what their name asks for.
    pub fn from_public_key(key: &PublicKey) -> Result<Self, DecodeError> {
        let blob = key.as_blob();
        let (plain_type, _, fields) = TYPES
            .into_iter()
            .find(|(_, certified, _)| *certified == key.key_type())
            .ok_or(DecodeError::BadText)?;
        let mut reader = Reader::new(blob);
        reader.string()?;
        // The nonce keeps an authority from signing what somebody else composed.
        reader.string()?;
        let mut plain = BytesMut::new();
        put_string(&mut plain, plain_type.as_bytes());
        for _ in 0..fields {
            put_string(&mut plain, reader.string()?);
        }
        let public_key = PublicKey::from_blob(plain)?;
        let serial = reader.u64()?;
        let kind = match reader.u32()? {
            1 => CertificateKind::User,
            2 => CertificateKind::Host,
            _ => return Err(DecodeError::OutOfRange),
        };
        let key_id = text(reader.string()?)?;
        let principals = read_principals(reader.string()?)?;
        let valid_after = reader.u64()?;
        let valid_before = reader.u64()?;
        let critical_options = read_options(reader.string()?)?;
        let extensions = read_options(reader.string()?)?;
        // Reserved, and ignored.
        reader.string()?;
        let signature_key = PublicKey::from_blob(Bytes::copy_from_slice(reader.string()?))?;
        if signature_key.is_certificate() {
            return Err(DecodeError::BadText);
        }
        let signed_len = blob.len().saturating_sub(reader.remaining());
        let signature = Signature::from_encoded(Bytes::copy_from_slice(reader.string()?))?;
        reader.finish()?;
        if !public_key.is_well_formed() || !signature_key.is_well_formed() {
            return Err(DecodeError::OutOfRange);
        }
        Ok(Self {
            encoded: key.clone(),
            public_key,
            serial,
            kind,
            key_id,
            principals,
            valid_after,
            valid_before,
            critical_options,
            extensions,
            signature_key,
            signed_len,
            signature,
        })
    }

    /// The certificate as a key, as it is offered and presented; its type is that of the
    /// certificate.
    pub fn as_public_key(&self) -> &PublicKey {
        &self.encoded
    }

    /// The plain key that is certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The number that the authority gave it, 0 if it numbers none.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// What it is for.
    pub fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// The name that the authority gave it, for logs.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The users or host names that it is good for. With none it is good for nobody.
    pub fn principals(&self) -> &[String] {
        &self.principals
    }

    /// The first second in which it is valid, since 1970 (UTC).
    pub fn valid_after(&self) -> u64 {
        self.valid_after
    }

    /// The first second in which it is no longer valid, since 1970 (UTC); `u64::MAX` for one that
    /// does not expire.
    pub fn valid_before(&self) -> u64 {
        self.valid_before
    }

    /// What must be understood and enforced, or the certificate refused; in order of their names.
    pub fn critical_options(&self) -> &[CertificateOption] {
        &self.critical_options
    }

    /// What may be ignored where it is not understood; in order of their names.
    pub fn extensions(&self) -> &[CertificateOption] {
        &self.extensions
    }

    /// The key of the authority that is said to have signed it.
    pub fn signature_key(&self) -> &PublicKey {
        &self.signature_key
    }

    /// The signature of the authority.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What the signature covers: all before it.
    fn signed(&self) -> &[u8] {
        let blob = self.encoded.as_blob();
        blob.get(..self.signed_len).unwrap_or(blob)
    }
}

impl TryFrom<&PublicKey> for Certificate {
    type Error = DecodeError;

    fn try_from(key: &PublicKey) -> Result<Self, DecodeError> {
        Self::from_public_key(key)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("kind", &self.kind)
            .field("public_key", &self.public_key)
            .field("key_id", &self.key_id)
            .field("serial", &self.serial)
            .field("principals", &self.principals)
            .field("signature_key", &self.signature_key)
            .finish_non_exhaustive()
    }
}

/// Certificates.
impl PublicKey {
    /// Whether the type is that of a certificate.
    pub fn is_certificate(&self) -> bool {
        is_certificate_type(self.key_type())
    }

    /// The certificate that this key is; `None` if it is a plain key, or malformed.
    pub fn certificate(&self) -> Option<Certificate> {
        Certificate::from_public_key(self).ok()
    }
}

/// Whether a type of keys is one of certificates, known here or not.
pub(crate) fn is_certificate_type(key_type: &str) -> bool {
    key_type.ends_with("-cert-v01@openssh.com")
        || TYPES.iter().any(|(_, certified, _)| *certified == key_type)
}

/// The type of the keys in certificates of this type; the type itself where it is not one of them.
#[cfg(feature = "agent")]
pub(crate) fn plain_key_type(key_type: &str) -> &str {
    let found = TYPES
        .iter()
        .find(|(_, certified, _)| *certified == key_type);
    found.map_or(key_type, |(plain, ..)| plain)
}

fn text(bytes: &[u8]) -> Result<String, DecodeError> {
    match core::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(DecodeError::BadText),
    }
}

fn read_principals(list: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut reader = Reader::new(list);
    let mut principals = Vec::new();
    while reader.remaining() > 0 {
        if principals.len() == MAX_CERTIFICATE_PRINCIPALS {
            return Err(DecodeError::TooMany);
        }
        principals.push(text(reader.string()?)?);
    }
    Ok(principals)
}

/// Names in order, each once, and data that fits the names that are known.
fn read_options(list: &[u8]) -> Result<Vec<CertificateOption>, DecodeError> {
    let mut reader = Reader::new(list);
    let mut options: Vec<CertificateOption> = Vec::new();
    while reader.remaining() > 0 {
        let option = CertificateOption {
            name: text(reader.string()?)?,
            data: Bytes::copy_from_slice(reader.string()?),
        };
        let name = option.name();
        if options.last().is_some_and(|earlier| earlier.name() >= name) {
            return Err(DecodeError::OutOfRange);
        }
        if SWITCHES.contains(&name) && !option.data.is_empty() {
            return Err(DecodeError::OutOfRange);
        }
        if [option::FORCE_COMMAND, option::SOURCE_ADDRESS].contains(&name) {
            option.value()?;
        }
        options.push(option);
    }
    Ok(options)
}
