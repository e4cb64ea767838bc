//! What differs between the roles, as the engine sees it.

use alloc::sync::Arc;

use super::Settings;
use super::event::{Disconnected, Event};
use super::host_keys::HostKeyNews;
use super::policy::Incoming;
use super::token::{Desk, HostKeyCheck, Stub};
use crate::auth::Authenticated;
use crate::crypto::{PublicKey, Signature};
use crate::error::{ApiMisuse, Error};
use crate::role::Role;
use crate::transport::kex::SessionId;
use crate::wire::extension::ExtInfo;
use crate::wire::outbox::Outbox;

/// A question that nothing is parsed behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    Admission,
    HostKey,
    HostSign,
    AuthTurn,
    UserSign,
    Prompts,
    Gssapi,
    KeyQuery,
    Unverified,
    AuthRequest,
    Forged,
}

/// What came of a step of authentication.
pub enum AuthProgress<E> {
    /// Nothing to tell.
    Continues,
    /// Something to tell.
    Tell(E),
    /// Something to ask.
    Ask(Pause, Stub, E),
    /// Done.
    Authenticated(Authenticated),
}

/// What came of it, or the end of the connection.
pub(crate) type AuthResult<E> = Result<AuthProgress<E>, Error>;

/// The half of a connection that its role decides.
pub trait Side: Sized {
    /// The role's events.
    type Event: From<Event>;

    /// The role.
    const ROLE: Role;

    /// The first keys are in use; `host_key` is what the server showed for them.
    fn keys_established(
        &mut self,
        session_id: &SessionId,
        host_key: &PublicKey,
        settings: &Settings,
        outbox: &mut Outbox,
    );

    /// The event for a client that is to be let in; a client has none.
    fn incoming(_: Incoming) -> Result<Self::Event, Error> {
        Err(Error::Internal("only a server lets clients in"))
    }

    /// The application turned the peer away before anything was computed for it.
    fn login_refused(&mut self) {}

    /// The connection ended before authentication was complete.
    fn login_ended(&mut self, _cause: &Disconnected) {}

    /// The event for a host key that is to be judged; a server has none.
    fn host_key(check: HostKeyCheck) -> Result<Self::Event, Error>;

    /// The event for news of the server's host keys; a server has none.
    fn host_key_news(news: HostKeyNews) -> Option<Self::Event>;

    /// What the peer announced (RFC 8308).
    fn peer_extensions(&mut self, info: &ExtInfo<'_>);

    /// A message of authentication that the phase table admitted.
    fn handle_auth(
        &mut self,
        payload: &[u8],
        desk: &Arc<Desk>,
        outbox: &mut Outbox,
    ) -> AuthResult<Self::Event>;

    /// The fail-closed answer to a question.
    fn settle(
        &mut self,
        pause: Pause,
        desk: &Arc<Desk>,
        outbox: &mut Outbox,
    ) -> AuthResult<Self::Event>;

    /// The signature of a user key.
    fn provide_signature(
        &mut self,
        signature: &Signature,
        outbox: &mut Outbox,
    ) -> Result<(), ApiMisuse>;

    /// Whether an authentication failure waits for its time.
    fn has_withheld_failure(&self) -> bool;

    /// Its time has come.
    fn release_failure(&mut self, outbox: &mut Outbox);
}
