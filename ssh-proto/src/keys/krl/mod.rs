//! Lists of keys and certificates that are not to be trusted any more: KRL files, and plain lists of keys (PROTOCOL.krl, sshd_config(5) RevokedKeys).

mod read;
mod serials;
mod write;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use sha1::{Digest, Sha1};

use self::serials::Serials;
use super::LineError;
use super::line::is_certificate;
use crate::crypto::{Certificate, Fingerprint, HashAlgorithm, PublicKey};
use crate::error::DecodeError;

/// A revocation list.
///
/// A server asks it about the keys and certificates of users, a client about those of hosts, each
/// before anything else is looked at. Revoked keys of authorities revoke their certificates.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RevocationList {
    version: u64,
    generated: u64,
    comment: String,
    /// Encodings of plain keys.
    keys: BTreeSet<Vec<u8>>,
    sha1: BTreeSet<[u8; 20]>,
    sha256: BTreeSet<[u8; 32]>,
    /// What is revoked of each authority, by the encoding of its key; of all where that is empty.
    authorities: BTreeMap<Vec<u8>, Revoked>,
}

/// Certificates of an authority.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Revoked {
    serials: Serials,
    key_ids: BTreeSet<Vec<u8>>,
}

/// What of a certificate decides whether it is revoked.
#[derive(Debug, Clone, Copy)]
pub struct CertificateIdentity<'a> {
    /// The plain key that is certified.
    pub key: &'a PublicKey,
    /// The key of the authority that signed.
    pub authority: &'a PublicKey,
    /// The serial number; zero if the authority gave none.
    pub serial: u64,
    /// The key id.
    pub key_id: &'a [u8],
}

impl<'a> From<&'a Certificate> for CertificateIdentity<'a> {
    fn from(certificate: &'a Certificate) -> Self {
        Self {
            key: certificate.public_key(),
            authority: certificate.signature_key(),
            serial: certificate.serial(),
            key_id: certificate.key_id().as_bytes(),
        }
    }
}

/// Why a revocation list could not be read. Whoever cannot read one must not trust any key.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationError {
    /// It is longer than [`MAX_KEY_LIST`](crate::limits::MAX_KEY_LIST) or has too many parts.
    TooLong,
    /// A field of a KRL is damaged, or bytes are left over.
    Damaged,
    /// A KRL of another version than 1.
    UnsupportedVersion(u32),
    /// A section of a KRL is of a type that is not known.
    UnknownSection(u8),
    /// A KRL has an extension that is not known and has to be.
    CriticalExtension(String),
    /// The first line of a list of keys that is not understood.
    Line(LineError),
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the revocation list is too long"),
            Self::Damaged => f.write_str("damaged revocation list"),
            Self::UnsupportedVersion(version) => write!(f, "revocation list of version {version}"),
            Self::UnknownSection(section) => {
                write!(f, "section of type {section} in the revocation list")
            }
            Self::CriticalExtension(name) => {
                write!(f, "critical extension {name:?} in the revocation list")
            }
            Self::Line(error) => write!(f, "revocation list, {error}"),
        }
    }
}

impl core::error::Error for RevocationError {}

impl From<DecodeError> for RevocationError {
    fn from(_: DecodeError) -> Self {
        Self::Damaged
    }
}

/// Of a list with a hundred thousand entries nobody wants to see them all.
impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("version", &self.version)
            .field("generated", &self.generated)
            .field("keys", &self.keys.len())
            .field(
                "fingerprints",
                &self.sha1.len().saturating_add(self.sha256.len()),
            )
            .field("authorities", &self.authorities.len())
            .finish_non_exhaustive()
    }
}

impl RevocationList {
    /// An empty list, of this version; a number that is never less than that of the list before.
    /// `generated` is in seconds since 1970.
    pub fn new(version: u64, generated: u64, comment: impl Into<String>) -> Self {
        Self {
            version,
            generated,
            comment: comment.into(),
            ..Self::default()
        }
    }

    /// The version of the list; zero for a plain list of keys.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// When the list was made, in seconds since 1970; zero for a plain list of keys.
    pub const fn generated(&self) -> u64 {
        self.generated
    }

    /// The comment. It comes from outside: escape it before it is shown.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Whether a plain key is revoked. `sha256` is that of a
    /// [`CryptoProvider`](crate::crypto::CryptoProvider).
    ///
    /// A certificate is no plain key, and counts as revoked here: ask
    /// [`Self::is_certificate_revoked`].
    pub fn is_key_revoked(&self, key: &PublicKey, sha256: &dyn HashAlgorithm) -> bool {
        is_certificate(key)
            || self.keys.contains(key.as_blob())
            || (!self.sha256.is_empty() && self.sha256.contains(&key.fingerprint(sha256).0))
            || (!self.sha1.is_empty()
                && self
                    .sha1
                    .contains::<[u8; 20]>(&Sha1::digest(key.as_blob()).into()))
    }

    /// Whether a certificate is revoked: by its number or key id, or because its key or the key
    /// of its authority is.
    pub fn is_certificate_revoked(
        &self,
        certificate: &CertificateIdentity<'_>,
        sha256: &dyn HashAlgorithm,
    ) -> bool {
        let by = |authority: &[u8]| {
            self.authorities.get(authority).is_some_and(|revoked| {
                revoked.key_ids.contains(certificate.key_id)
                    || (certificate.serial != 0 && revoked.serials.contains(certificate.serial))
            })
        };
        self.is_key_revoked(certificate.key, sha256)
            || self.is_key_revoked(certificate.authority, sha256)
            || by(certificate.authority.as_blob())
            || by(b"")
    }

    /// Revokes a plain key.
    pub fn revoke_key(&mut self, key: &PublicKey) {
        self.keys.insert(key.as_blob().to_vec());
    }

    /// Revokes the plain key with this fingerprint.
    pub fn revoke_fingerprint(&mut self, fingerprint: Fingerprint) {
        self.sha256.insert(fingerprint.0);
    }

    /// Revokes the certificates with these serial numbers, of an authority or of all. Zero is not
    /// among them: certificates without a number have it.
    pub fn revoke_serials(&mut self, authority: Option<&PublicKey>, serials: RangeInclusive<u64>) {
        let first = (*serials.start()).max(1);
        // An empty range revokes nothing.
        let _ = self
            .of_authority(authority)
            .serials
            .add(first, *serials.end());
    }

    /// Revokes the certificates with this key id, of an authority or of all.
    pub fn revoke_key_id(&mut self, authority: Option<&PublicKey>, key_id: &[u8]) {
        self.of_authority(authority).key_ids.insert(key_id.to_vec());
    }

    fn of_authority(&mut self, authority: Option<&PublicKey>) -> &mut Revoked {
        let blob = authority.map(PublicKey::as_blob).unwrap_or_default();
        self.authorities.entry(blob.to_vec()).or_default()
    }
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests;
