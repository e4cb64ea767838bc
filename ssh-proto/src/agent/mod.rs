//! The agent protocol (RFC 9987, OpenSSH PROTOCOL.agent), both asking an agent and being one.
//!
//! As everywhere here, nothing does I/O: an [`AgentClient`] and an [`AgentServer`] take and give
//! bytes, so that they work over a UNIX socket, over a channel that forwards an agent, or between
//! two buffers.
//!
//! - [`AgentClient`] asks; each request has an id, and replies come as events.
//! - [`AgentServer`] is one connection to an agent of ours. All connections share a [`Keyring`],
//!   which has the keys, in memory or by their public half alone, and the lock.
//! - [`AgentCodec`] splits a stream into messages, for those who pass on what is asked.
//!
//! A key that an agent holds authenticates a client by way of
//! [`SignRequest`](crate::SignRequest): sign its message with [`AgentClient::sign`] and
//! [`SignFlags::for_algorithm`].

mod algorithm;
mod certified;
mod client;
mod constraint;
mod frame;
mod keyring;
mod message;
mod server;
mod session;

pub use self::algorithm::SignFlags;
pub use self::client::{
    AgentClient, AgentClientEvent, AgentReply, Identity, NotSent, RequestFailed, RequestId,
};
pub use self::constraint::{ConstraintHop, DestinationConstraint, HopKey, KeyConstraints};
pub use self::frame::{AgentCodec, AgentMessage};
pub use self::keyring::{Keyring, KeyringFull};
pub use self::message::*;
pub use self::server::{AgentServer, AgentServerEvent, ConfirmRequest, RemoteSignRequest};
pub use self::session::SessionBinding;

/// The extension that lists extensions (RFC 9987 section 3.8.1).
const QUERY: &str = "query";

/// The extension that binds a connection to a session (OpenSSH PROTOCOL.agent section 1).
const SESSION_BIND: &str = "session-bind@openssh.com";
