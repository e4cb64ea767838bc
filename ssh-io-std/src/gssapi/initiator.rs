//! The client's security context (RFC 4462 section 3.4).

use std::fmt;

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE};
use libgssapi::util::Buf;
use ssh_proto::{ClientConnection, GssapiError, GssapiStep, GssapiTurn};

use super::{Error, kerberos, sendable};

/// A client's Kerberos ticket on its way to one server, for one attempt.
pub struct Initiator {
    context: ClientCtx,
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator").finish_non_exhaustive()
    }
}

impl Initiator {
    /// Prepares to log in at `host` with the tickets of the default credential cache. The
    /// service is `host/` and that name, canonicalised as `krb5.conf` says
    /// (`dns_canonicalize_hostname`, `rdns`).
    ///
    /// `delegate` hands the server a ticket to act as the user elsewhere, if it is forwardable:
    /// for servers that are trusted with all that the user may do.
    ///
    /// # Errors
    /// There are no tickets, or no library configuration.
    pub fn new(host: &str, delegate: bool) -> Result<Self, Error> {
        let credentials = Cred::acquire(None, None, CredUsage::Initiate, Some(&kerberos()?))?;
        let service = format!("host@{host}");
        let service = Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
        // RFC 4462 would have no mutual authentication here, but OpenSSH and the others ask for
        // it, and so servers expect the longer exchange.
        let mut flags = CtxFlags::GSS_C_INTEG_FLAG | CtxFlags::GSS_C_MUTUAL_FLAG;
        flags.set(CtxFlags::GSS_C_DELEG_FLAG, delegate);
        Ok(Self {
            context: ClientCtx::new(Some(credentials), service, flags, Some(GSS_MECH_KRB5)),
        })
    }

    /// Answers [`ClientEvent::Gssapi`](ssh_proto::ClientEvent::Gssapi), the first after
    /// `auth_gssapi` with [`KERBEROS`](super::KERBEROS). May ask the KDC for the service's ticket.
    ///
    /// # Errors
    /// The mechanism failed: there is no such service, or the server is not it. The method is
    /// left, and the next turn to authenticate follows.
    pub fn answer(
        &mut self,
        connection: &mut ClientConnection,
        turn: GssapiTurn,
    ) -> Result<(), Error> {
        let received = match turn.step() {
            GssapiStep::Token(token) => Some(&token[..]),
            _ => None,
        };
        // An answer fails only where the connection has ended meanwhile, which an event tells.
        let _ = match self.step(received, turn.mic_message()) {
            Ok((token, Some(mic))) => {
                connection.gssapi_finish(turn, token.as_deref(), Some(&mic[..]))
            }
            Ok((token, None)) => {
                connection.gssapi_token(turn, token.as_deref().unwrap_or_default())
            }
            Err(error) => {
                let _ = connection.gssapi_fail(turn, None);
                return Err(error);
            }
        };
        Ok(())
    }

    /// A token to send, and the MIC once the context is complete.
    fn step(
        &mut self,
        received: Option<&[u8]>,
        message: &[u8],
    ) -> Result<(Option<Buf>, Option<Buf>), Error> {
        let token = self.context.step(received, None)?;
        let token = token.map(sendable).transpose()?;
        let mic = match self.context.is_complete() {
            true => Some(sendable(self.context.get_mic(message)?)?),
            false => None,
        };
        Ok((token, mic))
    }

    /// What [`ClientEvent::GssapiError`](ssh_proto::ClientEvent::GssapiError) says: an error token
    /// is for the context to read.
    pub fn explain(&mut self, error: &GssapiError) -> Error {
        match error {
            GssapiError::Status {
                major,
                minor,
                message,
            } => Error {
                major: *major,
                minor: *minor,
                message: format!("the server says: {message}"),
            },
            GssapiError::Token(token) => match self.context.step(Some(token), None) {
                Err(error) => error.into(),
                Ok(_) => Error::new("the server's mechanism failed"),
            },
            _ => Error::new("the server's mechanism failed"),
        }
    }
}
