//! `gssapi-with-mic` (RFC 4462 section 3) with Kerberos, by the GSS-API library of the system.
//!
//! A client gives an [`Initiator`] to [`Client`](crate::Client) as
//! [`Credential::Gssapi`](crate::Credential::Gssapi), or has it answer the events of its
//! `ClientConnection`. A server keeps an [`Acceptor`] for each connection, hands it the requests of
//! the method, and decides on the [`Proven`] ones:
//!
//! ```no_run
//! # use ssh_io_std::gssapi::{Acceptor, Error};
//! # use ssh_proto::{AuthMethod, AuthRequest, ServerConnection};
//! # fn auth(
//! #     connection: &mut ServerConnection, acceptor: &mut Acceptor, request: AuthRequest,
//! # ) -> Result<(), Error> {
//! // On ServerEvent::Auth(request), the config's methods having MethodSet::GSSAPI_WITH_MIC.
//! if matches!(request.method(), AuthMethod::Gssapi(_))
//!     && let Some(proven) = acceptor.answer(connection, request)?
//! {
//!     // Who somebody is does not say whom to log in as: without this check, everybody with a
//!     // ticket is anybody.
//!     let _ = match proven.is_user() {
//!         true => connection.accept_auth(proven.into_request()),
//!         false => connection.reject_auth(proven.into_request(), None),
//!     };
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The library is configured by its files and environment (`krb5.conf`, `KRB5CCNAME`,
//! `KRB5_KTNAME`), which this module leaves alone. Its calls block: a client's step may ask the
//! KDC, a server's reads the keytab and the replay cache. It is MIT's or Heimdal's, of UNIX.
//!
//! Error tokens (RFC 4462 section 3.9) are read but never sent: the safe binding drops them.

mod acceptor;
mod initiator;

use std::fmt;

use libgssapi::oid::{GSS_MECH_KRB5, OidSet};
use ssh_proto::limits::MAX_AUTH_TEXT;

pub use self::acceptor::{Acceptor, Delegated, Proven};
pub use self::initiator::Initiator;

/// The mechanism of both sides, Kerberos 5 (RFC 4121): its OID in DER, as
/// [`ClientConnection::auth_gssapi`](ssh_proto::ClientConnection::auth_gssapi) takes it.
pub const KERBEROS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";

/// The same for the library. Naming it keeps out whatever else is installed.
fn kerberos() -> Result<OidSet, Error> {
    Ok(OidSet::singleton(GSS_MECH_KRB5)?)
}

/// Why a security context was not established, or a credential not usable: returned by this
/// module, and given to
/// [`ClientHandler::gssapi_error`](crate::ClientHandler::gssapi_error).
///
/// Its text may tell names and paths, which a server better keeps to its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    major: u32,
    minor: u32,
    message: String,
}

impl Error {
    /// The major status (RFC 2744 section 3.9.1); zero where the failure is not the library's.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The minor status, of the mechanism; zero where the failure is not the library's.
    pub fn minor(&self) -> u32 {
        self.minor
    }

    fn new(message: &str) -> Self {
        Self {
            major: 0,
            minor: 0,
            message: message.to_owned(),
        }
    }
}

impl From<libgssapi::error::Error> for Error {
    fn from(error: libgssapi::error::Error) -> Self {
        // The library knows the text of a minor status only in the thread that it failed in. Part
        // of it may be the KDC's.
        let text = error.to_string();
        Self {
            major: error.major.bits(),
            minor: error.minor,
            message: text.chars().filter(|c| !c.is_control()).collect(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A token that fits a message. Those of tickets with very many groups do not.
fn sendable<T: std::ops::Deref<Target = [u8]>>(token: T) -> Result<T, Error> {
    match token.len() <= MAX_AUTH_TEXT {
        true => Ok(token),
        false => Err(Error::new("the token is too long for a message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves_between_threads<T: Send>() {}

    #[test]
    fn contexts_move_between_threads() {
        moves_between_threads::<Initiator>();
        moves_between_threads::<Acceptor>();
        moves_between_threads::<Proven>();
        moves_between_threads::<Delegated>();
    }

    #[test]
    fn the_mechanism_is_that_of_the_library() {
        let length = GSS_MECH_KRB5.len();
        assert_eq!(KERBEROS[..2], [6, length as u8]);
        assert_eq!(KERBEROS[2..], *GSS_MECH_KRB5);
    }

    #[test]
    fn a_token_too_long_for_a_message_is_not_sent() {
        assert!(sendable(vec![0; MAX_AUTH_TEXT]).is_ok());
        assert!(sendable(vec![0; MAX_AUTH_TEXT + 1]).is_err());
    }
}
