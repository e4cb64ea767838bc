//! What a server's application decides about a peer beyond its login: whether it is served, and what becomes of those who fail.

use super::ServerConnection;
use crate::engine::policy::Incoming;
use crate::error::{ApiMisuse, DisconnectReason};
use crate::mux::{ChannelError, ChannelId};

impl ServerConnection {
    /// Goes on with a client's first key exchange.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn admit(&mut self, incoming: Incoming) -> Result<(), ApiMisuse> {
        self.core.admit(incoming)
    }

    /// Sends a client away with `DISCONNECT` (RFC 4253 section 11.1), mostly for
    /// [`DisconnectReason::TOO_MANY_CONNECTIONS`]. The description is for people; it leaves
    /// unencrypted.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn refuse(
        &mut self,
        incoming: Incoming,
        reason: DisconnectReason,
        description: &str,
    ) -> Result<(), ApiMisuse> {
        self.core.refuse(incoming, reason, description)
    }

    /// Opens a channel to the client's agent: `agent-connect` (RFC 9987) where the client
    /// asked for forwarding by `agent-req`, `auth-agent@openssh.com` where it used OpenSSH's name.
    ///
    /// # Errors
    /// `Forbidden` if the client has not asked, or its login does not permit it; otherwise as for
    /// [`Connection::open_channel`](crate::Connection::open_channel).
    pub fn open_agent_channel(&mut self) -> Result<ChannelId, ChannelError> {
        self.core.open_agent_channel()
    }
}
