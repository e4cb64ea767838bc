//! What a server's application decides about a peer beyond its login: whether it is served, and what becomes of those who fail.

use super::{ServerConnection, signature_names};
use crate::connection::Connection;
use crate::engine::policy::{Incoming, LoginFailure};
use crate::error::{ApiMisuse, DisconnectReason};
use crate::mux::{ChannelError, ChannelId};
use crate::wire::extension::ExtInfo;

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

    /// How the login failed, once the connection is over without one. `None` while it is open and
    /// after a login, whatever ended it then.
    pub fn login_failure(&self) -> Option<LoginFailure> {
        self.core.side().failure.filter(|_| self.is_ending())
    }

    /// Narrows the signature algorithms of user keys to these, mostly by who the user is, and tells
    /// the client in a second `EXT_INFO` (RFC 8308 section 3.1, OpenSSH's
    /// `ext-info-in-auth@openssh.com`) if it can be told. To be called once, before the first
    /// request is answered or any time later while the client authenticates; what it asks from then
    /// on with another algorithm fails without a question. Whether the client was told.
    ///
    /// # Errors
    /// `UnsupportedKey` for a name that is not among the algorithms of the config; `WrongAnswer`
    /// before the first request, behind the login, and a second time.
    pub fn announce_signature_algorithms(
        &mut self,
        algorithms: &[&str],
    ) -> Result<bool, ApiMisuse> {
        if !self.core.is_authenticating() {
            return Err(ApiMisuse::WrongAnswer);
        }
        let (side, outbox) = self.core.side_mut();
        let auth = side.auth.as_mut().ok_or(ApiMisuse::WrongAnswer)?;
        let names = signature_names(&auth.narrow(algorithms)?);
        if side.takes_ext_info_in_auth {
            outbox.push(&ExtInfo {
                extensions: alloc::vec![(b"server-sig-algs", names.as_str().as_bytes())],
            });
        }
        Ok(side.takes_ext_info_in_auth)
    }
}
