//! Tokens: owned decisions, each answered once by the connection that made it, and fail-closed when dropped.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;

use crate::auth::{AuthMethod, AuthOutcome, GssapiAsk, GssapiStep, Prompts, Restrictions};
use crate::crypto::{Certificate, PublicKey, SecurityKeyUse};
use crate::error::ApiMisuse;
use crate::mux::{ChannelId, ChannelKind, ChannelRequest, GlobalRequest, RequestKey};

/// What a connection and its tokens share.
#[derive(Debug, Default)]
pub struct Desk {
    /// Tokens that were dropped without an answer and not yet settled.
    abandoned: AtomicUsize,
}

impl Desk {
    /// Whether a token was dropped whose question is not settled.
    pub(crate) fn has_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire) > 0
    }

    /// Whether a token has been dropped since the last call.
    pub(crate) fn take_abandoned(&self) -> bool {
        // An atomic read first: this is asked at every poll.
        self.abandoned.load(Ordering::Acquire) > 0 && self.abandoned.swap(0, Ordering::AcqRel) > 0
    }
}

/// The connection's end of a question.
#[derive(Debug, Clone)]
pub struct Stub(Arc<AtomicBool>);

impl Stub {
    /// Whether the token was dropped without an answer.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn is_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The token's end of a question.
#[derive(Debug)]
pub(crate) struct Ticket {
    desk: Arc<Desk>,
    stub: Stub,
    answered: bool,
}

impl Ticket {
    pub(crate) fn new(desk: &Arc<Desk>) -> (Self, Stub) {
        let stub = Stub(Arc::new(AtomicBool::new(false)));
        (
            Self {
                desk: Arc::clone(desk),
                stub: stub.clone(),
                answered: false,
            },
            stub,
        )
    }

    /// Whether it is the other end of this stub.
    pub(crate) fn is_of(&self, stub: &Stub) -> bool {
        self.stub.is_of(stub)
    }

    /// Marks the question as answered, if it is one of this connection.
    pub(crate) fn redeem(mut self, desk: &Arc<Desk>) -> Result<Stub, ApiMisuse> {
        if !Arc::ptr_eq(&self.desk, desk) {
            return Err(ApiMisuse::ForeignToken);
        }
        self.answered = true;
        Ok(self.stub.clone())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.stub.0.store(true, Ordering::Release);
            self.desk.abandoned.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// A client is to judge the server's host key (RFC 4251 section 4.1).
///
/// The signature over the key exchange is verified already; what is open is whether this key is
/// that of the intended server. Answer with `accept_host_key` or `reject_host_key`; dropping the
/// token rejects. Raised at the first key exchange, and again should the key change at a rekey.
#[must_use = "dropping the token rejects the host key"]
#[derive(Debug)]
pub struct HostKeyCheck {
    pub(crate) ticket: Ticket,
    pub(crate) key: PublicKey,
    pub(crate) certificate: Option<Box<Certificate>>,
    pub(crate) algorithm: &'static str,
    pub(crate) previous: Option<PublicKey>,
}

impl HostKeyCheck {
    /// The host key, or the certificate of one.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The certificate, where the server presents one; [`Certificate::verify`] tells whether to
    /// believe it. If not, its [`public_key`](Certificate::public_key) can still be one that is
    /// known by itself, unless it is revoked; nothing here falls back to that.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }

    /// The host key algorithm negotiated.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The key accepted before in this connection, which the server has now replaced.
    pub fn previous(&self) -> Option<&PublicKey> {
        self.previous.as_ref()
    }
}

/// It is the client's turn to authenticate (RFC 4252 section 5).
///
/// Answer with one of the `auth_*` methods of `ClientConnection`; each raises another event.
/// Dropping the token ends the connection.
#[must_use = "dropping the token ends the connection"]
#[derive(Debug)]
pub struct AuthTurn {
    pub(crate) ticket: Ticket,
    pub(crate) outcome: AuthOutcome,
    pub(crate) methods: Option<Vec<String>>,
}

impl AuthTurn {
    /// What came of the attempt before.
    pub fn outcome(&self) -> &AuthOutcome {
        &self.outcome
    }

    /// The methods that can continue, as the server named them; `None` until it has.
    pub fn methods(&self) -> Option<&[String]> {
        self.methods.as_deref()
    }

    /// Whether this method can continue, as far as the server has said.
    pub fn can_continue(&self, method: &str) -> bool {
        self.methods
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|name| name == method))
    }
}

/// The server of a client asks in `keyboard-interactive` (RFC 4256 section 3.2).
///
/// Answer with `answer_prompts`, also where there are no prompts, or leave the method with
/// `abandon_method`; dropping the token leaves it too.
#[must_use = "dropping the token abandons the method"]
#[derive(Debug)]
pub struct PromptsRequest {
    pub(crate) ticket: Ticket,
    pub(crate) prompts: Prompts,
}

impl PromptsRequest {
    /// What the server asks.
    pub fn prompts(&self) -> &Prompts {
        &self.prompts
    }
}

/// A client's mechanism is to take a step in `gssapi-with-mic` (RFC 4462 section 3.4).
///
/// Answer with `gssapi_token`, `gssapi_finish` or `gssapi_fail`; dropping the token leaves the
/// method.
#[must_use = "dropping the token abandons the method"]
#[derive(Debug)]
pub struct GssapiTurn {
    pub(crate) ticket: Ticket,
    pub(crate) ask: GssapiAsk,
}

impl GssapiTurn {
    /// What the server says.
    pub fn step(&self) -> &GssapiStep {
        &self.ask.step
    }

    /// What the MIC is to cover, once the context is complete (RFC 4462 section 3.5).
    pub fn mic_message(&self) -> &[u8] {
        &self.ask.mic_message
    }
}

/// A server is to decide on an authentication request, or a step of one (RFC 4252 section 5).
///
/// A public key in it is proven: its signature over this session has been verified. Answer with
/// `accept_auth`, `accept_auth_partially`, `reject_auth` or `reject_unknown_user`, or with what
/// the method has besides; dropping the token rejects.
#[must_use = "dropping the token rejects the request"]
#[derive(Debug)]
pub struct AuthRequest {
    pub(crate) ticket: Ticket,
    pub(crate) user: String,
    pub(crate) method: AuthMethod,
    pub(crate) certificate: Option<Box<Certificate>>,
    pub(crate) security_key: Option<SecurityKeyUse>,
    pub(crate) permits_absent_touch: bool,
    pub(crate) restrictions: Restrictions,
}

impl AuthRequest {
    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The method, with what was presented.
    pub fn method(&self) -> &AuthMethod {
        &self.method
    }

    /// The certificate, where the key of `publickey` or `hostbased` is in one. That the client has
    /// the key is proven; who says whose key it is, [`Certificate::verify`] finds out, and nothing
    /// else does.
    ///
    /// What the certificate of a user restricts holds by itself (its forced command, and the
    /// rights that it does not name). One that is for hosts, has critical options that are not
    /// known, or requires of a security key what its signature lacks has failed without a question.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }

    /// What the signature says of the person at the security key, where the proven key is one
    /// (OpenSSH PROTOCOL.u2f). Whether their PIN or fingerprint is required (`verify-required` of
    /// `authorized_keys` or a certificate) is for the application to check here.
    pub fn security_key(&self) -> Option<SecurityKeyUse> {
        self.security_key
    }

    /// Lets the proof of a security key that nobody touched be accepted (`no-touch-required` of
    /// `authorized_keys` or a certificate). Without this, accepting it fails and refuses.
    pub fn permit_absent_touch(&mut self) {
        self.permits_absent_touch = true;
    }

    /// Restricts what a login that this request is a step of may do, before it is answered.
    ///
    /// Restrictions count if the request is accepted, now or after further rounds of the same
    /// method, the change of a password among them, and vanish if it fails. Those of all steps are
    /// gathered, and only ever tighten.
    pub fn restrict(&mut self, restrictions: &Restrictions) {
        self.restrictions.tighten(restrictions);
    }
}

/// A client presents a signature, and the server has yet to verify it (RFC 4252 sections 7 and 9).
///
/// Nothing is proven. Raised where the config says so, for an application that slows or refuses a
/// source before it costs anything. Answer with `verify_attempt` or `refuse_attempt`; dropping the
/// token refuses.
#[must_use = "dropping the token refuses the attempt"]
#[derive(Debug)]
pub struct UnverifiedAttempt {
    pub(crate) ticket: Ticket,
    pub(crate) user: String,
    pub(crate) algorithm: &'static str,
    pub(crate) key: PublicKey,
    pub(crate) certificate: Option<Box<Certificate>>,
}

impl UnverifiedAttempt {
    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The algorithm of the signature.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The key, offered and not proven.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The certificate that the key is, offered and not proven.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }
}

/// A client asks a server whether a public key would be acceptable (RFC 4252 section 7).
///
/// Nothing is proven: whoever asks may not hold the private key. Answer with `answer_key_query`;
/// dropping the token says no.
#[must_use = "dropping the token answers no"]
#[derive(Debug)]
pub struct KeyQuery {
    pub(crate) ticket: Ticket,
    pub(crate) user: String,
    pub(crate) algorithm: &'static str,
    pub(crate) key: PublicKey,
    pub(crate) certificate: Option<Box<Certificate>>,
}

impl KeyQuery {
    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The signature algorithm that the client would use.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The key, offered and not proven.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The certificate that the key is, offered and not proven.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }
}

/// A signature is wanted from a key that is held elsewhere: a host key or a user key.
///
/// Answer with `provide_signature` whenever the signature comes, or with `decline_signature`;
/// dropping the token declines.
#[must_use = "dropping the token declines to sign"]
#[derive(Debug)]
pub struct SignRequest {
    pub(crate) ticket: Ticket,
    pub(crate) key: PublicKey,
    pub(crate) algorithm: &'static str,
    pub(crate) message: Bytes,
}

impl SignRequest {
    /// The public half of the key that is to sign, or its certificate.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The signature algorithm, as the signature is to name it: for a certificate, that of the key
    /// in it.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The bytes to sign.
    pub fn message(&self) -> &[u8] {
        &self.message
    }
}

/// The peer opens a channel (RFC 4254 section 5.1).
///
/// Answer with `accept_channel` or `reject_channel`; dropping the token rejects. Other channels
/// go on meanwhile.
#[must_use = "dropping the token rejects the channel"]
#[derive(Debug)]
pub struct IncomingChannel {
    pub(crate) ticket: Ticket,
    pub(crate) id: ChannelId,
    pub(crate) kind: ChannelKind,
}

impl IncomingChannel {
    /// The id that the channel will have.
    pub fn id(&self) -> ChannelId {
        self.id
    }

    /// What is opened.
    pub fn kind(&self) -> &ChannelKind {
        &self.kind
    }
}

/// The peer makes a request on a channel (RFC 4254 section 5.4).
///
/// Answer with `accept_request` or `reject_request`; dropping the token rejects. Where the peer
/// wants no reply, the answer sends nothing.
#[must_use = "dropping the token rejects the request"]
#[derive(Debug)]
pub struct IncomingRequest {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) channel: ChannelId,
    pub(crate) key: RequestKey,
    pub(crate) request: ChannelRequest,
}

impl IncomingRequest {
    /// The channel.
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// What is asked.
    pub fn request(&self) -> &ChannelRequest {
        &self.request
    }

    /// Whether the peer wants a reply.
    pub fn wants_reply(&self) -> bool {
        self.ticket.is_some()
    }
}

/// The peer makes a request to the connection as a whole (RFC 4254 section 4).
///
/// Answer with `accept_global_request` or `reject_global_request`; dropping the token rejects.
#[must_use = "dropping the token rejects the request"]
#[derive(Debug)]
pub struct IncomingGlobalRequest {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) key: RequestKey,
    pub(crate) request: GlobalRequest,
}

impl IncomingGlobalRequest {
    /// What is asked.
    pub fn request(&self) -> &GlobalRequest {
        &self.request
    }

    /// Whether the peer wants a reply.
    pub fn wants_reply(&self) -> bool {
        self.ticket.is_some()
    }
}

/// A packet that is not authentic and could be accepted all the same (protocol tests alone: see
/// `dangerously_accept_forged_packets`).
///
/// Nothing behind it is read before the verdict. `accept_forged` decrypts it and handles it as if
/// it were authentic; dropping the token ends the connection, as without it.
#[must_use = "dropping the token ends the connection"]
#[derive(Debug)]
pub struct ForgedPacket {
    pub(crate) ticket: Ticket,
}
