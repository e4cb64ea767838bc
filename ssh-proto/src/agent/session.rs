//! What a connection to an agent is bound to, and what that permits a constrained key (OpenSSH PROTOCOL.agent sections 1 and 2).

use alloc::vec::Vec;

use bytes::Bytes;

use super::algorithm::is_algorithm_of;
use super::constraint::DestinationConstraint;
use super::message::SessionBind;
use crate::crypto::{Certificate, CryptoProvider, PublicKey, Signature};
use crate::error::DecodeError;
use crate::limits::{MAX_AGENT_BINDS, MAX_AGENT_SESSION_ID};
use crate::wire::{Field, Reader, number};

/// A session that a connection to an agent is bound to: one hop on the way from the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionBinding {
    /// The host key of the server.
    pub host_key: PublicKey,
    /// The session identifier: the exchange hash of the first key exchange.
    pub session_id: Bytes,
    /// The host key's signature over it, from that key exchange.
    pub signature: Signature,
    /// Whether the agent is forwarded to the host, rather than used to log in there.
    pub is_forwarding: bool,
}

/// The bindings of one connection, in order from the agent.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// All but the last are forwarded over: behind a login nothing is bound.
    bindings: Vec<SessionBinding>,
    /// A request to bind came, whether or not it was granted: the connection is not a local one.
    attempted: bool,
}

impl Session {
    /// Takes `session-bind@openssh.com`; `None` if it is refused.
    pub(super) fn bind(
        &mut self,
        provider: &CryptoProvider,
        contents: &[u8],
    ) -> Option<&SessionBinding> {
        self.attempted = true;
        let binding = read_binding(contents).ok()?;
        let is_new = self
            .bindings
            .iter()
            .all(|bound| bound.is_forwarding && bound.session_id != binding.session_id);
        if !is_new || self.bindings.len() >= MAX_AGENT_BINDS {
            return None;
        }
        let signature = &binding.signature;
        let certificate = binding.host_key.certificate();
        let signing = certificate.as_ref().map(Certificate::public_key);
        provider
            .signature(signature.algorithm())?
            .verify(
                signing.unwrap_or(&binding.host_key),
                &binding.session_id,
                signature,
            )
            .ok()?;
        self.bindings.push(binding);
        self.bindings.last()
    }

    /// Whether a key with these constraints may be seen on this connection.
    pub(super) fn shows(&self, constraints: &[DestinationConstraint]) -> bool {
        self.permits(constraints, None)
    }

    /// Whether a key with these constraints may sign this: a request to authenticate in the very
    /// session that the connection is bound to, as a user and at a host that are permitted.
    pub(super) fn permits_signing(
        &self,
        constraints: &[DestinationConstraint],
        key: &PublicKey,
        data: &[u8],
    ) -> bool {
        if constraints.is_empty() {
            return true;
        }
        let (Some(last), Ok(request)) = (self.bindings.last(), read_userauth(data)) else {
            return false;
        };
        let host_key_fits = match request.host_key {
            Some(host_key) => host_key == last.host_key.as_blob(),
            // A forwarded request has to say which host it is for.
            None => self.bindings.len() == 1,
        };
        request.key == key.as_blob()
            && is_algorithm_of(request.algorithm, key.key_type())
            && request.session_id == last.session_id
            && host_key_fits
            && self.permits(constraints, Some(request.user))
    }

    /// Whether each hop that the connection is bound to is permitted; the user is that of a
    /// request to sign.
    fn permits(&self, constraints: &[DestinationConstraint], user: Option<&[u8]>) -> bool {
        if constraints.is_empty() {
            return true;
        }
        let Some((last, before)) = self.bindings.split_last() else {
            return !self.attempted;
        };
        let hop = |from: Option<&PublicKey>, to: Option<&PublicKey>, user: Option<&[u8]>| {
            constraints
                .iter()
                .any(|constraint| constraint.permits(from, to, user))
        };
        let mut from = None;
        for binding in before {
            if !hop(from, Some(&binding.host_key), None) {
                return false;
            }
            from = Some(&binding.host_key);
        }
        if (last.is_forwarding && user.is_some()) || !hop(from, Some(&last.host_key), user) {
            return false;
        }
        // Behind a host, a key is seen only if it may go on from there.
        !last.is_forwarding || hop(Some(&last.host_key), None, None)
    }
}

fn read_binding(contents: &[u8]) -> Result<SessionBinding, DecodeError> {
    let mut reader = Reader::new(contents);
    let bind = SessionBind::decode(&mut reader)?;
    reader.finish()?;
    if bind.session_id.is_empty() || bind.session_id.len() > MAX_AGENT_SESSION_ID {
        return Err(DecodeError::OutOfRange);
    }
    Ok(SessionBinding {
        host_key: PublicKey::from_blob(Bytes::copy_from_slice(bind.host_key))?,
        session_id: Bytes::copy_from_slice(bind.session_id),
        signature: Signature::from_encoded(Bytes::copy_from_slice(bind.signature))?,
        is_forwarding: bind.is_forwarding,
    })
}

/// What a signature of `publickey` covers (RFC 4252 section 7).
struct Userauth<'a> {
    session_id: &'a [u8],
    user: &'a [u8],
    algorithm: &'a str,
    key: &'a [u8],
    /// With `publickey-hostbound-v00@openssh.com`.
    host_key: Option<&'a [u8]>,
}

fn read_userauth(data: &[u8]) -> Result<Userauth<'_>, DecodeError> {
    let mut reader = Reader::new(data);
    let session_id = reader.string()?;
    let is_request = reader.u8()? == number::USERAUTH_REQUEST;
    let user = reader.string()?;
    let is_request = reader.string()? == b"ssh-connection" && is_request;
    let method = reader.string()?;
    let is_request = reader.u8()? == 1 && is_request;
    let algorithm = reader.text()?;
    let key = reader.string()?;
    let host_key = match method {
        b"publickey" => None,
        b"publickey-hostbound-v00@openssh.com" => Some(reader.string()?),
        _ => return Err(DecodeError::OutOfRange),
    };
    reader.finish()?;
    match is_request && !session_id.is_empty() {
        true => Ok(Userauth {
            session_id,
            user,
            algorithm,
            key,
            host_key,
        }),
        false => Err(DecodeError::OutOfRange),
    }
}
