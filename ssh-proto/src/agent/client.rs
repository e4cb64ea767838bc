//! Asking an agent: requests go out, replies come back in the same order (RFC 9987 section 3).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};

use super::algorithm::{is_signature_of, signature_algorithm};
use super::constraint::KeyConstraints;
use super::frame::{AgentCodec, AgentMessage, Outgoing, WipedBuffer};
use super::message::{
    AddIdentity, AgentRequest, AgentResponse, Extension, RemoveIdentity, SessionBind, SignData,
    decode_extensions,
};
use super::session::SessionBinding;
use super::{QUERY, SESSION_BIND, SignFlags};
use crate::crypto::{Certificate, PrivateKey, PublicKey, Signature};
use crate::error::{DecodeError, Error, PeerMisbehaved};
use crate::keys::Comment;
use crate::limits::MAX_AGENT_REQUESTS;
use crate::wire::{Field, Rest};

/// A connection to an agent, the asking end.
///
/// Call a method for each request, send [`output`](Self::output) to the agent, hand what it sends
/// to [`handle_input`](Self::handle_input), and poll for events until there is none. Several
/// requests may be on their way at once; an agent answers them in order.
#[derive(Debug, Default)]
pub struct AgentClient {
    codec: AgentCodec,
    output: WipedBuffer,
    asked: VecDeque<(RequestId, Expected)>,
    next_id: u64,
    failed: Option<Error>,
}

/// Which request an event answers. Ids are not used twice on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// What a request has to be answered with.
#[derive(Debug)]
enum Expected {
    Success,
    Identities,
    Signature { algorithm: String },
    Query,
    Extension { name: Vec<u8> },
}

/// The answer to a request.
#[derive(Debug)]
pub struct AgentClientEvent {
    /// The request.
    pub request: RequestId,
    /// What came of it.
    pub result: Result<AgentReply, RequestFailed>,
}

/// What an agent granted.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentReply {
    /// The request is done, and asked for no value.
    Done,
    /// The keys of the agent. Those whose encoding is malformed are left out.
    Identities(Vec<Identity>),
    /// The signature. It names the algorithm that was asked for; whether it is right is not
    /// looked into here.
    Signature(Signature),
    /// The extensions that the agent has.
    Extensions(Vec<String>),
    /// What an extension answered.
    Extension(Bytes),
}

/// A key in an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The public half, or a certificate.
    pub key: PublicKey,
    /// Its comment.
    pub comment: Comment,
}

/// Why a request was not granted. The connection goes on.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestFailed {
    /// The agent said no, or does not know the request.
    Refused,
    /// The agent knows the extension, and it failed.
    ExtensionFailed,
    /// The reply has this number, which is no answer to the request. A mere success is none to
    /// one that asks for a value.
    UnexpectedReply(u8),
    /// The reply is malformed.
    MalformedReply(DecodeError),
    /// The signature is of this algorithm and not of that which key and flags ask for.
    WrongAlgorithm(String),
}

/// Why a request was not sent. The caller's fault; nothing has changed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotSent {
    /// It is longer than [`MAX_AGENT_MESSAGE`](crate::limits::MAX_AGENT_MESSAGE).
    TooLong,
    /// [`MAX_AGENT_REQUESTS`] await their replies.
    TooMany,
    /// The connection has failed.
    Failed,
}

impl AgentClient {
    /// On a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the keys (RFC 9987 section 3.5). Answered by [`AgentReply::Identities`].
    ///
    /// # Errors
    /// [`NotSent`], as all requests.
    pub fn identities(&mut self) -> Result<RequestId, NotSent> {
        self.ask(&AgentRequest::RequestIdentities, Expected::Identities)
    }

    /// Asks for a signature over `data` (RFC 9987 section 3.6). The flags choose the algorithm of
    /// an RSA key. Answered by [`AgentReply::Signature`].
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn sign(
        &mut self,
        key: &PublicKey,
        data: &[u8],
        flags: SignFlags,
    ) -> Result<RequestId, NotSent> {
        let sign = SignData {
            key: key.as_blob(),
            data,
            flags: flags.bits(),
        };
        let algorithm = signature_algorithm(key.key_type(), flags).to_owned();
        let expected = Expected::Signature { algorithm };
        self.ask(&AgentRequest::Sign(sign), expected)
    }

    /// Hands a private key to the agent (RFC 9987 section 3.2). Answered by [`AgentReply::Done`];
    /// an agent that does not know one of the constraints refuses.
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn add(
        &mut self,
        key: &PrivateKey,
        comment: &Comment,
        constraints: &KeyConstraints,
    ) -> Result<RequestId, NotSent> {
        self.add_identity(key, None, comment, constraints)
    }

    /// As [`Self::add`], with a certificate: the agent then shows the certificate, not the plain
    /// key, which is to be added besides where it is wanted.
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn add_certified(
        &mut self,
        key: &PrivateKey,
        certificate: &Certificate,
        comment: &Comment,
        constraints: &KeyConstraints,
    ) -> Result<RequestId, NotSent> {
        self.add_identity(key, Some(certificate), comment, constraints)
    }

    fn add_identity(
        &mut self,
        key: &PrivateKey,
        certificate: Option<&Certificate>,
        comment: &Comment,
        constraints: &KeyConstraints,
    ) -> Result<RequestId, NotSent> {
        let add = AddIdentity {
            key: key.clone(),
            certificate: certificate.cloned().map(Box::new),
            comment: comment.as_bytes(),
            constraints: (!constraints.is_empty()).then(|| constraints.clone()),
        };
        self.ask(&AgentRequest::AddIdentity(add), Expected::Success)
    }

    /// Has the agent forget a key (RFC 9987 section 3.4). Answered by [`AgentReply::Done`].
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn remove(&mut self, key: &PublicKey) -> Result<RequestId, NotSent> {
        let key = key.as_blob();
        let remove = AgentRequest::RemoveIdentity(RemoveIdentity { key });
        self.ask(&remove, Expected::Success)
    }

    /// Has the agent forget all keys (RFC 9987 section 3.4). Answered by [`AgentReply::Done`].
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn remove_all(&mut self) -> Result<RequestId, NotSent> {
        self.ask(&AgentRequest::RemoveAllIdentities, Expected::Success)
    }

    /// Locks the agent with a passphrase, which most agents want not to be empty (RFC 9987
    /// section 3.7). Answered by [`AgentReply::Done`].
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn lock(&mut self, passphrase: &[u8]) -> Result<RequestId, NotSent> {
        self.ask(&AgentRequest::Lock(passphrase), Expected::Success)
    }

    /// Unlocks the agent (RFC 9987 section 3.7). Answered by [`AgentReply::Done`], after a delay
    /// if wrong passphrases were tried before.
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn unlock(&mut self, passphrase: &[u8]) -> Result<RequestId, NotSent> {
        self.ask(&AgentRequest::Unlock(passphrase), Expected::Success)
    }

    /// Asks which extensions the agent has (RFC 9987 section 3.8.1). Answered by
    /// [`AgentReply::Extensions`]; agents without this extension refuse.
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn query(&mut self) -> Result<RequestId, NotSent> {
        let contents = Rest(&[]);
        let name = QUERY.as_bytes();
        let query = AgentRequest::Extension(Extension { name, contents });
        self.ask(&query, Expected::Query)
    }

    /// Binds this connection to a session (OpenSSH PROTOCOL.agent section 1), so that the agent
    /// knows where its signatures lead. Ask it on a new connection to the agent before it is
    /// used to log in, and before it is forwarded. Answered by [`AgentReply::Done`]; agents
    /// without this extension refuse, and can be used all the same.
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn session_bind(&mut self, binding: &SessionBinding) -> Result<RequestId, NotSent> {
        let mut contents = BytesMut::new();
        SessionBind {
            host_key: binding.host_key.as_blob(),
            session_id: &binding.session_id,
            signature: binding.signature.as_encoded(),
            is_forwarding: binding.is_forwarding,
        }
        .encode(&mut contents);
        let name = SESSION_BIND.as_bytes();
        let contents = Rest(&contents);
        let bind = AgentRequest::Extension(Extension { name, contents });
        self.ask(&bind, Expected::Success)
    }

    /// Makes any other extension request (RFC 9987 section 3.8). Answered by
    /// [`AgentReply::Extension`] or [`AgentReply::Done`], whichever the extension has.
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn extension(&mut self, name: &str, contents: &[u8]) -> Result<RequestId, NotSent> {
        let name = name.as_bytes();
        let expected = Expected::Extension {
            name: name.to_owned(),
        };
        let contents = Rest(contents);
        let request = AgentRequest::Extension(Extension { name, contents });
        self.ask(&request, expected)
    }

    fn ask(
        &mut self,
        request: &AgentRequest<'_>,
        expected: Expected,
    ) -> Result<RequestId, NotSent> {
        if self.failed.is_some() {
            return Err(NotSent::Failed);
        }
        if self.asked.len() >= MAX_AGENT_REQUESTS {
            return Err(NotSent::TooMany);
        }
        let message = Outgoing::new(request.size_hint(), |out| request.encode(out));
        if message.is_too_long() {
            return Err(NotSent::TooLong);
        }
        self.output.extend(message.frame());
        let id = RequestId(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        self.asked.push_back((id, expected));
        Ok(id)
    }

    /// Bytes for the agent. Private keys and passphrases may be among them.
    pub fn output(&self) -> &[u8] {
        self.output.as_slice()
    }

    /// Tells that the first `count` bytes of [`output`](Self::output) have been sent; they are wiped.
    pub fn advance_output(&mut self, count: usize) {
        self.output.advance(count);
    }

    /// Takes bytes from the agent, in any pieces.
    pub fn handle_input(&mut self, data: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.codec.handle_input(data).err();
        }
    }

    /// Whether more input is of use now: not while a whole message may be there already.
    pub fn wants_read(&self) -> bool {
        self.failed.is_none() && self.codec.wants_input()
    }

    /// Requests that await their replies.
    pub fn in_flight(&self) -> usize {
        self.asked.len()
    }

    /// The next answer; `None` if more input is needed.
    ///
    /// # Errors
    /// For good: the agent broke the framing or answered what nobody asked, or more was handed
    /// over than [`MAX_AGENT_INPUT`](crate::limits::MAX_AGENT_INPUT).
    pub fn poll_event(&mut self) -> Result<Option<AgentClientEvent>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let event = self.next_event();
        self.failed = event.as_ref().err().cloned();
        event
    }

    fn next_event(&mut self) -> Result<Option<AgentClientEvent>, Error> {
        let Some(message) = self.codec.next_message()? else {
            return Ok(None);
        };
        let Some((request, expected)) = self.asked.pop_front() else {
            let number = message.as_bytes().first().copied().unwrap_or_default();
            return Err(PeerMisbehaved::UnexpectedMessage(number).into());
        };
        Ok(Some(AgentClientEvent {
            request,
            result: read_reply(&message, expected),
        }))
    }
}

fn read_reply(message: &AgentMessage, expected: Expected) -> Result<AgentReply, RequestFailed> {
    match (message.response()?, expected) {
        (AgentResponse::Failure, _) => Err(RequestFailed::Refused),
        (AgentResponse::ExtensionFailure, _) => Err(RequestFailed::ExtensionFailed),
        (AgentResponse::Success, Expected::Success | Expected::Extension { .. }) => {
            Ok(AgentReply::Done)
        }
        (AgentResponse::Identities(answer), Expected::Identities) => {
            let identities = answer.identities.iter();
            let identities = identities.filter_map(|(blob, comment)| read_identity(blob, comment));
            Ok(AgentReply::Identities(identities.collect()))
        }
        (AgentResponse::Signature(response), Expected::Signature { algorithm }) => {
            let encoded = Bytes::copy_from_slice(response.signature);
            let signature = Signature::from_encoded(encoded)?;
            match is_signature_of(&signature, &algorithm) {
                true => Ok(AgentReply::Signature(signature)),
                false => Err(RequestFailed::WrongAlgorithm(
                    signature.algorithm().to_owned(),
                )),
            }
        }
        (AgentResponse::ExtensionResponse(response), Expected::Query)
            if response.name == QUERY.as_bytes() =>
        {
            let names = decode_extensions(response.contents.0)?;
            let names = names.into_iter().map(ToOwned::to_owned);
            Ok(AgentReply::Extensions(names.collect()))
        }
        (AgentResponse::ExtensionResponse(response), Expected::Extension { name })
            if response.name == name =>
        {
            let contents = Bytes::copy_from_slice(response.contents.0);
            Ok(AgentReply::Extension(contents))
        }
        (other, _) => Err(RequestFailed::UnexpectedReply(other.number())),
    }
}

fn read_identity(blob: &[u8], comment: &[u8]) -> Option<Identity> {
    let key = PublicKey::from_blob(Bytes::copy_from_slice(blob)).ok()?;
    key.is_well_formed().then(|| Identity {
        key,
        comment: Comment::new(comment),
    })
}

impl From<DecodeError> for RequestFailed {
    fn from(error: DecodeError) -> Self {
        Self::MalformedReply(error)
    }
}

impl fmt::Display for RequestFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("the agent refused"),
            Self::ExtensionFailed => f.write_str("the extension of the agent failed"),
            Self::UnexpectedReply(number) => {
                write!(f, "the agent's reply {number} is no answer to the request")
            }
            Self::MalformedReply(error) => write!(f, "the agent's reply is malformed: {error}"),
            Self::WrongAlgorithm(name) => {
                let name = name.escape_default();
                write!(f, "the agent's signature is of another algorithm: {name}")
            }
        }
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the request is too long for an agent",
            Self::TooMany => "too many requests await the agent's replies",
            Self::Failed => "the connection to the agent has failed",
        })
    }
}

impl core::error::Error for RequestFailed {}
impl core::error::Error for NotSent {}
