//! Authentication (RFC 4252): what both roles share, and the proof that it succeeded.

mod client;
mod methods;
mod password;
mod prompts;
mod server;
mod signed;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod toy;

use alloc::string::String;

pub use self::client::{AuthOutcome, GssapiError, GssapiStep};
pub(crate) use self::client::{Client, ClientAsk, GssapiAsk, Turn};
pub use self::methods::MethodSet;
pub use self::password::Password;
pub use self::prompts::{Prompt, Prompts};
pub use self::server::AuthMethod;
pub(crate) use self::server::{Server, ServerAsk};
pub use self::text::Banner;
use crate::crypto::{PublicKey, SignatureAlgorithm};
use crate::error::{DecodeError, Error, PeerMisbehaved};

/// The service that authenticates (RFC 4252 section 3).
const SSH_USERAUTH: &[u8] = b"ssh-userauth";

/// The service that it is for (RFC 4254), the only one there is.
const SSH_CONNECTION: &[u8] = b"ssh-connection";

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

    /// The key whose signature was verified, where the method was `publickey` or `hostbased`.
    pub fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }
}

/// The number of a payload; the transport delivers none without one.
fn number_of(payload: &[u8]) -> Result<u8, Error> {
    payload.first().copied().ok_or(Error::InvalidMessage {
        number: 0,
        error: DecodeError::Truncated,
    })
}

fn unexpected(number: u8) -> Error {
    PeerMisbehaved::UnexpectedMessage(number).into()
}

/// The algorithm of this name, if keys of this type sign with it.
fn find_algorithm(
    algorithms: &[&'static dyn SignatureAlgorithm],
    name: &[u8],
    key_type: &str,
) -> Option<&'static dyn SignatureAlgorithm> {
    algorithms
        .iter()
        .copied()
        .find(|a| a.name().as_bytes() == name && a.key_type() == key_type)
}
