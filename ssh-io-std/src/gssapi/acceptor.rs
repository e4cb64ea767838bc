//! The server's security context (RFC 4462 sections 3.3 to 3.6), and whom it authenticates.

use std::fmt;

use libgssapi::context::{SecurityContext, ServerCtx};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::name::Name;
use libgssapi::oid::GSS_NT_HOSTBASED_SERVICE;
use libgssapi::util::Buf;
use ssh_proto::{AuthMethod, AuthRequest, ServerConnection, ServerGssapi};

use super::{Error, KERBEROS, kerberos, sendable};

/// A server's keys, and the security context of one connection.
pub struct Acceptor {
    credentials: Cred,
    context: Option<ServerCtx>,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl Acceptor {
    /// Finds the keys of a service in the default keytab: `host@NAME` for those of one name,
    /// `host` for those of any, as is best where the server has several. SSH's service is `host`
    /// (RFC 4462 section 3.4).
    ///
    /// # Errors
    /// The keytab cannot be read or has no such key.
    pub fn new(service: &str) -> Result<Self, Error> {
        let service = Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
        let mechanisms = kerberos()?;
        let credentials =
            Cred::acquire(Some(&service), None, CredUsage::Accept, Some(&mechanisms))?;
        Ok(Self {
            credentials,
            context: None,
        })
    }

    /// Answers a request of the method, a step of it too, until the client has proven who it is;
    /// what follows is the caller's to decide. A request of another method is refused.
    ///
    /// # Errors
    /// Why the request was refused, for the log: the client's ticket is not good, or is not its
    /// own in this session.
    pub fn answer(
        &mut self,
        connection: &mut ServerConnection,
        request: AuthRequest,
    ) -> Result<Option<Proven>, Error> {
        let said = match request.method() {
            AuthMethod::Gssapi(said) => Some(said.clone()),
            _ => None,
        };
        // An answer fails only where the connection has ended meanwhile, which an event tells.
        let _ = match said {
            Some(ServerGssapi::Mechanisms(offered))
                if offered.iter().any(|oid| oid == KERBEROS) =>
            {
                self.context = Some(ServerCtx::new(Some(self.credentials.clone())));
                connection.select_gssapi_mechanism(request, KERBEROS)
            }
            Some(ServerGssapi::Token(token)) => match self.step(&token) {
                Ok((token, true)) => connection.gssapi_established(request, token.as_deref()),
                Ok((token, false)) => {
                    connection.gssapi_token(request, token.as_deref().unwrap_or_default())
                }
                Err(error) => {
                    // Who is not known yet need not learn of names and paths here.
                    let text = "the server does not accept the token";
                    let (major, minor) = (error.major, error.minor);
                    let _ = connection.gssapi_error(request, major, minor, text, None);
                    return Err(error);
                }
            },
            Some(ServerGssapi::Mic { mic, message }) => match self.prove(&mic, &message) {
                Ok(peer) => return Ok(Some(Proven { request, peer })),
                Err(error) => {
                    let _ = connection.reject_auth(request, None);
                    return Err(error);
                }
            },
            Some(ServerGssapi::ErrorToken(_)) => {
                let _ = connection.reject_auth(request, None);
                return Err(Error::new("the client's mechanism failed"));
            }
            // What Kerberos establishes can make a MIC; without one the context may be relayed.
            Some(ServerGssapi::Complete) => {
                let _ = connection.reject_auth(request, None);
                return Err(Error::new("the client sent no MIC"));
            }
            _ => connection.reject_auth(request, None),
        };
        Ok(None)
    }

    /// A token to send, and whether the context is complete.
    fn step(&mut self, received: &[u8]) -> Result<(Option<Buf>, bool), Error> {
        let context = self.context.as_mut().ok_or_else(no_context)?;
        let token = context.step(received, None)?;
        let token = token.map(sendable).transpose()?;
        Ok((token, context.is_complete()))
    }

    fn prove(&mut self, mic: &[u8], message: &[u8]) -> Result<Peer, Error> {
        let mut context = self.context.take().ok_or_else(no_context)?;
        context.verify_mic(message, mic)?;
        let name = context.source_name()?;
        let principal = name.display_name()?.to_vec();
        Ok(Peer {
            principal: String::from_utf8(principal)
                .map_err(|_| Error::new("the principal's name is not UTF-8"))?,
            local_name: name.local_name(None).ok().map(|name| name.to_vec()),
            delegated: context.take_delegated_cred().map(Delegated),
        })
    }
}

fn no_context() -> Error {
    Error::new("no security context was begun")
}

/// Whom a context authenticates.
struct Peer {
    principal: String,
    local_name: Option<Vec<u8>>,
    delegated: Option<Delegated>,
}

/// A request whose client is a principal, proven for this session: returned by
/// [`Acceptor::answer`], to be answered like any other. That it may log in as the user whom it
/// names is not proven.
#[must_use = "dropping it refuses the request"]
pub struct Proven {
    request: AuthRequest,
    peer: Peer,
}

impl fmt::Debug for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proven")
            .field("user", &self.request.user())
            .field("principal", &self.peer.principal)
            .finish_non_exhaustive()
    }
}

impl Proven {
    /// The principal, such as `ferris@EXAMPLE.ORG`. To compare its first part alone would let in
    /// the namesakes of all realms that are trusted.
    pub fn principal(&self) -> &str {
        &self.peer.principal
    }

    /// Whether the principal is the user of the request by the rules of `krb5.conf`
    /// (`auth_to_local`): without any, where it is that name in the default realm. `.k5login` files
    /// are not read.
    pub fn is_user(&self) -> bool {
        self.peer.local_name.as_deref() == Some(self.request.user().as_bytes())
    }

    /// The request.
    pub fn request(&self) -> &AuthRequest {
        &self.request
    }

    /// The request, to be accepted or rejected.
    pub fn into_request(self) -> AuthRequest {
        self.request
    }

    /// What the client has delegated, once.
    pub fn take_delegated(&mut self) -> Option<Delegated> {
        self.peer.delegated.take()
    }
}

/// A ticket with which the server can act as the client.
pub struct Delegated(Cred);

impl fmt::Debug for Delegated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegated").finish_non_exhaustive()
    }
}

impl Delegated {
    /// Stores it in a credential cache, such as `FILE:/tmp/krb5cc_1000_x`, in place of what is
    /// there. A file is created for the process's own account alone, and is the caller's to hand
    /// over and to remove.
    ///
    /// # Errors
    /// The cache cannot be written, or the ticket has expired.
    pub fn store(&self, cache: &str) -> Result<(), Error> {
        Ok(self
            .0
            .store_into(cache, true, false, CredUsage::Initiate, None)?)
    }
}
