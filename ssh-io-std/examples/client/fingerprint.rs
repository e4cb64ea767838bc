//! `FingerprintHash` and `VisualHostKey`: how a key is shown to people.

use ssh_proto::crypto::{CryptoProvider, PublicKey};
use ssh_proto::keys::Md5Fingerprint;

/// What fingerprints are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FingerprintHash {
    Sha256,
    Md5,
}

impl FingerprintHash {
    pub(crate) fn of(self, key: &PublicKey, provider: &CryptoProvider) -> String {
        match self {
            Self::Sha256 => key.fingerprint(provider.sha256).to_string(),
            Self::Md5 => Md5Fingerprint::of(key).to_string(),
        }
    }

    /// As a picture.
    pub(crate) fn randomart(self, key: &PublicKey, provider: &CryptoProvider) -> String {
        match self {
            Self::Sha256 => key.fingerprint(provider.sha256).randomart(key),
            Self::Md5 => Md5Fingerprint::of(key).randomart(key),
        }
    }
}
