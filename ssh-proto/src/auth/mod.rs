//! Authentication (RFC 4252): what both roles share, and the proof that it succeeded.

mod client;
mod methods;
mod password;
mod prompts;
mod restrictions;
mod server;
mod signed;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod toy;

use alloc::string::String;
use alloc::vec::Vec;

pub use self::client::{AuthOutcome, GssapiError, GssapiStep};
pub(crate) use self::client::{Client, ClientAsk, GssapiAsk, Turn};
pub use self::methods::MethodSet;
pub use self::password::Password;
pub use self::prompts::{Prompt, Prompts};
pub use self::restrictions::{Permissions, Restrictions};
pub use self::server::{AuthMethod, ServerGssapi};
pub(crate) use self::server::{LoginTrace, Policy, Server, ServerAsk};
pub use self::text::Banner;
use crate::crypto::{Certificate, PublicKey, SignatureAlgorithm};
use crate::error::{DecodeError, Error, PeerMisbehaved};

/// The service that authenticates (RFC 4252 section 3).
const SSH_USERAUTH: &[u8] = b"ssh-userauth";

/// The service that it is for (RFC 4254), the only one there is.
const SSH_CONNECTION: &[u8] = b"ssh-connection";

/// A method that was passed on the way to authentication, with what was proven by it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthStep {
    /// The method, as its RFC names it.
    pub method: &'static str,
    /// The key whose signature was verified, where the method has one; a certificate where the key
    /// was presented by one.
    pub key: Option<PublicKey>,
}

impl AuthStep {
    /// The certificate by which the key was presented, read anew at each call: who the user is to
    /// the authority that signed it, by its key id and serial number.
    pub fn certificate(&self) -> Option<Certificate> {
        self.key.as_ref().and_then(PublicKey::certificate)
    }
}

/// The proof of authentication: who, by which methods, with which keys, and with which rights.
///
/// Only this layer makes one. It is the only source of identity, and the connection layer cannot
/// be built without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    user: String,
    /// Never empty.
    steps: Vec<AuthStep>,
    restrictions: Restrictions,
}

impl Authenticated {
    fn new(user: String, steps: Vec<AuthStep>, restrictions: Restrictions) -> Self {
        Self {
            user,
            steps,
            restrictions,
        }
    }

    /// A proof out of thin air, to build the layer above in its tests.
    #[cfg(test)]
    pub(crate) fn for_tests(user: &str) -> Self {
        Self::restricted_for_tests(user, Restrictions::default())
    }

    /// The same with these restrictions.
    #[cfg(test)]
    pub(crate) fn restricted_for_tests(user: &str, restrictions: Restrictions) -> Self {
        let step = AuthStep {
            method: "none",
            key: None,
        };
        Self::new(user.into(), alloc::vec![step], restrictions)
    }

    /// The user who is authenticated.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The method that completed authentication, as RFC 4252 names it.
    pub fn method(&self) -> &'static str {
        self.steps.last().map_or("none", |step| step.method)
    }

    /// The key whose signature was verified, where the method was `publickey` or `hostbased`.
    pub fn key(&self) -> Option<&PublicKey> {
        self.steps.last().and_then(|step| step.key.as_ref())
    }

    /// The certificate by which that key was presented, read anew at each call.
    pub fn certificate(&self) -> Option<Certificate> {
        self.steps.last().and_then(AuthStep::certificate)
    }

    /// Everything that was passed, in order; the last completed it.
    pub fn steps(&self) -> &[AuthStep] {
        &self.steps
    }

    /// What the login may do: on a server, what every step allows. A client is told nothing of it.
    pub fn permissions(&self) -> Permissions {
        self.restrictions.permissions()
    }

    /// The command that a server runs whatever the client asks for.
    pub fn force_command(&self) -> Option<&[u8]> {
        self.restrictions.force_command()
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

/// Whether this is an OID in DER, of a length of one byte: what OpenSSH takes, and longer than any
/// there is.
fn is_oid(der: &[u8]) -> bool {
    match der {
        [6, length, body @ ..] => {
            *length < 0x80 && !body.is_empty() && usize::from(*length) == body.len()
        }
        _ => false,
    }
}
