//! Authentication (RFC 4252): what both roles share, and the proof that it succeeded.

use alloc::string::String;

use crate::crypto::PublicKey;

/// The proof of authentication: who, by which method, with which key.
///
/// Only this layer makes one. It is the only source of identity, and the connection layer cannot
/// be built without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    user: String,
    method: &'static str,
    key: Option<PublicKey>,
}

impl Authenticated {
    /// A proof out of thin air, to build the layer above in its tests.
    #[cfg(test)]
    pub(crate) fn for_tests(user: &str) -> Self {
        Self {
            user: user.into(),
            method: "none",
            key: None,
        }
    }

    /// The user who is authenticated.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The method that completed authentication, as RFC 4252 names it.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The key whose signature was verified, where the method was `publickey`.
    pub fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }
}
