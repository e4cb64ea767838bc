//! Being an agent: one connection to a keyring, each request answered in turn (RFC 9987 section 3).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::algorithm::{is_signature_of, signature_algorithm};
use super::frame::{AgentCodec, AgentMessage, Outgoing, WipedBuffer};
use super::keyring::{Holder, Keyring};
use super::message::{
    AddIdentity, AgentRequest, AgentResponse, Extension, ExtensionResponse, IdentitiesAnswer,
    SignData, SignResponse,
};
use super::session::{Session, SessionBinding};
use super::{QUERY, SESSION_BIND, SignFlags};
use crate::crypto::{CertifiedKey, HashOutput, PublicKey, Signature};
use crate::error::{ApiMisuse, Error};
use crate::keys::Comment;
use crate::limits::{MAX_AGENT_MESSAGE, MAX_AGENT_OUTPUT, MAX_KEY_COMMENT};
use crate::time::Instant;
use crate::wire::{Rest, put_string};

/// One connection to an agent of ours.
///
/// Hand over what is received, poll for events until there is none, and send
/// [`output`](Self::output). Requests are answered one after the other: one that needs a decision
/// or a signature from elsewhere holds up those behind it. A request that is malformed, unknown
/// or not permitted is answered with a failure; only broken framing ends the connection.
#[derive(Debug, Default)]
pub struct AgentServer {
    codec: AgentCodec,
    output: WipedBuffer,
    session: Session,
    waiting: Option<Waiting>,
    event: Option<AgentServerEvent>,
    failed: Option<Error>,
}

/// What the request at the head waits for.
#[derive(Debug)]
enum Waiting {
    Confirmation { token: Weak<()>, sign: Sign },
    Signature { token: Weak<()> },
    UnlockTurn { passphrase: Digest, until: Instant },
}

struct Digest(HashOutput);

impl core::fmt::Debug for Digest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// A request to sign, whose flags are known.
#[derive(Debug)]
struct Sign {
    key: Bytes,
    data: Bytes,
    flags: SignFlags,
}

/// What happens on a connection to an agent of ours.
#[non_exhaustive]
#[derive(Debug)]
pub enum AgentServerEvent {
    /// A key that wants confirmation is to sign.
    Confirm(ConfirmRequest),
    /// A key whose private half is elsewhere is to sign.
    Sign(RemoteSignRequest),
    /// This key was added, or added again with other constraints.
    KeyAdded(PublicKey),
    /// This key was removed.
    KeyRemoved(PublicKey),
    /// All keys were removed.
    AllKeysRemoved,
    /// The keyring was locked.
    Locked,
    /// The keyring was unlocked.
    Unlocked,
    /// The passphrase to unlock was wrong.
    UnlockFailed,
    /// The connection was bound to a session. An agent that stands before another passes it on.
    SessionBound(SessionBinding),
}

/// The agent's user is to confirm that a key signs (RFC 9987 section 3.2.7).
///
/// Answer with [`AgentServer::confirm`] or [`AgentServer::refuse`]; dropping the token refuses.
#[must_use = "dropping the token refuses"]
#[derive(Debug)]
pub struct ConfirmRequest {
    alive: Arc<()>,
    key: PublicKey,
    comment: Comment,
    data: Bytes,
}

impl ConfirmRequest {
    /// The key that is to sign.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Its comment. Whoever added the key chose it.
    pub fn comment(&self) -> &Comment {
        &self.comment
    }

    /// What is to be signed.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// A signature is wanted from a key that was added with [`Keyring::add_remote`].
///
/// Answer with [`AgentServer::provide_signature`] whenever the signature comes, or with
/// [`AgentServer::decline_signature`]; dropping the token declines.
#[must_use = "dropping the token declines to sign"]
#[derive(Debug)]
pub struct RemoteSignRequest {
    alive: Arc<()>,
    key: PublicKey,
    algorithm: String,
    flags: SignFlags,
    data: Bytes,
}

impl RemoteSignRequest {
    /// The public half of the key that is to sign.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The signature algorithm.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The flags as asked, to be passed on to another agent.
    pub fn flags(&self) -> SignFlags {
        self.flags
    }

    /// What is to be signed.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

impl AgentServer {
    /// On a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the other end, in any pieces.
    pub fn handle_input(&mut self, data: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.codec.handle_input(data).err();
        }
    }

    /// Whether more input is of use now: not while too much output waits to be sent, and not
    /// while a whole message may be there already.
    pub fn wants_read(&self) -> bool {
        self.failed.is_none() && self.codec.wants_input() && !self.is_output_full()
    }

    /// Bytes for the other end.
    pub fn output(&self) -> &[u8] {
        self.output.as_slice()
    }

    /// Tells that the first `count` bytes of [`output`](Self::output) have been sent.
    pub fn advance_output(&mut self, count: usize) {
        self.output.advance(count);
    }

    /// When [`poll_event`](Self::poll_event) is next due without input: a passphrase waits for
    /// its turn.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.waiting {
            Some(Waiting::UnlockTurn { until, .. }) => Some(*until),
            _ => None,
        }
    }

    /// Answers requests up to the next event; `None` if more input, room for output, an answer or
    /// time is needed. To be called after input, output, an answer, a dropped token and a timeout.
    ///
    /// # Errors
    /// For good: the other end broke the framing, or more was handed over than
    /// [`MAX_AGENT_INPUT`](crate::limits::MAX_AGENT_INPUT).
    pub fn poll_event(
        &mut self,
        keyring: &mut Keyring,
        now: Instant,
    ) -> Result<Option<AgentServerEvent>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            if let Some(event) = self.event.take() {
                return Ok(Some(event));
            }
            if !self.settle(keyring, now) {
                return Ok(None);
            }
            if self.event.is_some() {
                continue;
            }
            if self.is_output_full() {
                return Ok(None);
            }
            match self.codec.next_message() {
                Ok(Some(message)) => self.answer(keyring, now, &message),
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Lets a key sign after its user has confirmed. What is permitted is looked into once more:
    /// the key may have gone meanwhile.
    ///
    /// # Errors
    /// `ForeignToken` for one of another connection.
    pub fn confirm(
        &mut self,
        keyring: &mut Keyring,
        now: Instant,
        token: ConfirmRequest,
    ) -> Result<(), ApiMisuse> {
        let sign = self.take_confirmation(&token)?;
        keyring.handle_timeout(now);
        self.sign(keyring, sign, true);
        Ok(())
    }

    /// Answers that the key's user did not confirm.
    ///
    /// # Errors
    /// `ForeignToken` for one of another connection.
    pub fn refuse(&mut self, token: ConfirmRequest) -> Result<(), ApiMisuse> {
        self.take_confirmation(&token)?;
        self.reply(&AgentResponse::Failure);
        Ok(())
    }

    fn take_confirmation(&mut self, token: &ConfirmRequest) -> Result<Sign, ApiMisuse> {
        match self.waiting.take() {
            Some(Waiting::Confirmation { token: own, sign }) if is_of(&own, &token.alive) => {
                Ok(sign)
            }
            other => {
                self.waiting = other;
                Err(ApiMisuse::ForeignToken)
            }
        }
    }

    /// Answers with a signature that was made elsewhere.
    ///
    /// # Errors
    /// `ForeignToken` for a token of another connection; `InvalidSignature` if the signature is
    /// of another algorithm than was asked for, which answers the request with a failure.
    pub fn provide_signature(
        &mut self,
        token: RemoteSignRequest,
        signature: &Signature,
    ) -> Result<(), ApiMisuse> {
        self.take_signature(&token)?;
        if !is_signature_of(signature, &token.algorithm) {
            self.reply(&AgentResponse::Failure);
            return Err(ApiMisuse::InvalidSignature);
        }
        self.reply_signature(signature);
        Ok(())
    }

    /// Answers that there is no signature.
    ///
    /// # Errors
    /// `ForeignToken` for a token of another connection.
    pub fn decline_signature(&mut self, token: RemoteSignRequest) -> Result<(), ApiMisuse> {
        self.take_signature(&token)?;
        self.reply(&AgentResponse::Failure);
        Ok(())
    }

    fn take_signature(&mut self, token: &RemoteSignRequest) -> Result<(), ApiMisuse> {
        match &self.waiting {
            Some(Waiting::Signature { token: own }) if is_of(own, &token.alive) => {
                self.waiting = None;
                Ok(())
            }
            _ => Err(ApiMisuse::ForeignToken),
        }
    }

    /// Goes on with what the head of the queue waits for. Returns whether it waits no longer.
    fn settle(&mut self, keyring: &mut Keyring, now: Instant) -> bool {
        match self.waiting.take() {
            None => true,
            Some(Waiting::Confirmation { token, .. } | Waiting::Signature { token })
                if token.strong_count() == 0 =>
            {
                self.reply(&AgentResponse::Failure);
                true
            }
            Some(Waiting::UnlockTurn { passphrase, .. }) => {
                self.unlock(keyring, now, passphrase.0);
                self.waiting.is_none()
            }
            waiting => {
                self.waiting = waiting;
                false
            }
        }
    }

    fn is_output_full(&self) -> bool {
        self.output.as_slice().len() >= MAX_AGENT_OUTPUT
    }

    fn reply(&mut self, response: &AgentResponse<'_>) {
        let message = Outgoing::new(64, |out| response.encode(out));
        self.output.extend(message.frame());
    }

    fn reply_signature(&mut self, signature: &Signature) {
        let signature = signature.as_encoded();
        self.reply(&AgentResponse::Signature(SignResponse { signature }));
    }

    /// Replies with success and tells of it, or with failure.
    fn finish(&mut self, done: Option<AgentServerEvent>) {
        self.reply(match done {
            Some(_) => &AgentResponse::Success,
            None => &AgentResponse::Failure,
        });
        self.event = done;
    }

    fn answer(&mut self, keyring: &mut Keyring, now: Instant, message: &AgentMessage) {
        keyring.handle_timeout(now);
        let Ok(request) = message.request() else {
            self.reply(&AgentResponse::Failure);
            return;
        };
        match request {
            AgentRequest::Unlock(passphrase) => {
                let digest = keyring.digest(passphrase);
                self.unlock(keyring, now, digest);
            }
            AgentRequest::Extension(bind) if bind.name == SESSION_BIND.as_bytes() => {
                self.bind(keyring, bind.contents.0);
            }
            _ if keyring.is_locked() => self.reply(&AgentResponse::Failure),
            AgentRequest::RequestIdentities => self.list(keyring),
            AgentRequest::Sign(SignData { key, data, flags }) => {
                match SignFlags::from_bits(flags) {
                    Some(flags) => {
                        let (key, data) = (copy(key), copy(data));
                        self.sign(keyring, Sign { key, data, flags }, false);
                    }
                    None => self.reply(&AgentResponse::Failure),
                }
            }
            AgentRequest::AddIdentity(add) => {
                let added = self.add(keyring, now, add);
                self.finish(added.map(AgentServerEvent::KeyAdded));
            }
            AgentRequest::RemoveIdentity(remove) => {
                let entry = keyring.entry(remove.key);
                let key = entry
                    .filter(|entry| self.session.shows(&entry.constraints.destinations))
                    .map(|entry| entry.identity.key.clone())
                    .filter(|key| keyring.remove(key));
                self.finish(key.map(AgentServerEvent::KeyRemoved));
            }
            AgentRequest::RemoveAllIdentities => {
                keyring.remove_all();
                self.finish(Some(AgentServerEvent::AllKeysRemoved));
            }
            AgentRequest::Lock(passphrase) => {
                let locked = keyring.lock(passphrase);
                self.finish(locked.then_some(AgentServerEvent::Locked));
            }
            AgentRequest::Extension(Extension { name, contents })
                if name == QUERY.as_bytes() && contents.0.is_empty() =>
            {
                self.list_extensions();
            }
            // Smart cards and PKCS#11 are among these: nothing is ever loaded.
            AgentRequest::Extension(_) | AgentRequest::Unknown { .. } => {
                self.reply(&AgentResponse::Failure);
            }
        }
    }

    fn unlock(&mut self, keyring: &mut Keyring, now: Instant, digest: HashOutput) {
        if let Some(until) = keyring.unlock_delayed_until(now) {
            let passphrase = Digest(digest);
            self.waiting = Some(Waiting::UnlockTurn { passphrase, until });
            return;
        }
        let was_locked = keyring.is_locked();
        match keyring.unlock(now, &digest) {
            true => self.finish(Some(AgentServerEvent::Unlocked)),
            false => {
                self.reply(&AgentResponse::Failure);
                self.event = was_locked.then_some(AgentServerEvent::UnlockFailed);
            }
        }
    }

    fn bind(&mut self, keyring: &Keyring, contents: &[u8]) {
        match self.session.bind(keyring.provider(), contents) {
            Some(binding) => {
                let binding = binding.clone();
                self.finish(Some(AgentServerEvent::SessionBound(binding)));
            }
            None => self.reply(&AgentResponse::ExtensionFailure),
        }
    }

    /// The list has what fits into a message that every client takes.
    fn list(&mut self, keyring: &Keyring) {
        let mut room = MAX_AGENT_MESSAGE.saturating_sub(5);
        let mut identities = Vec::new();
        for entry in keyring.entries() {
            if !self.session.shows(&entry.constraints.destinations) {
                continue;
            }
            let key = entry.identity.key.as_blob();
            let comment = entry.identity.comment.as_bytes();
            let length = key.len().saturating_add(comment.len()).saturating_add(8);
            let Some(left) = room.checked_sub(length) else {
                break;
            };
            room = left;
            identities.push((key, comment));
        }
        self.reply(&AgentResponse::Identities(IdentitiesAnswer { identities }));
    }

    fn list_extensions(&mut self) {
        let mut names = BytesMut::new();
        for name in [QUERY, SESSION_BIND] {
            put_string(&mut names, name.as_bytes());
        }
        self.reply(&AgentResponse::ExtensionResponse(ExtensionResponse {
            name: QUERY.as_bytes(),
            contents: Rest(&names),
        }));
    }

    fn add(&self, keyring: &mut Keyring, now: Instant, add: AddIdentity<'_>) -> Option<PublicKey> {
        let constraints = add.constraints.unwrap_or_default();
        if constraints.lifetime == Some(0) || add.comment.len() > MAX_KEY_COMMENT {
            return None;
        }
        // Fails where the halves of the key do not belong together.
        let mut key = keyring.provider().signing_key(&add.key).ok()?;
        if let Some(certificate) = add.certificate {
            key = Arc::new(CertifiedKey::new(key, *certificate).ok()?);
        }
        let public = key.public_key().clone();
        // Whoever may not see a key must not change it either.
        let held = keyring.entry(public.as_blob());
        if held.is_some_and(|held| !self.session.shows(&held.constraints.destinations)) {
            return None;
        }
        let comment = Comment::new(add.comment);
        keyring.add(now, key, comment, constraints).ok()?;
        Some(public)
    }

    /// Signs, or asks those who have to decide or to sign.
    fn sign(&mut self, keyring: &Keyring, sign: Sign, is_confirmed: bool) {
        let entry = keyring
            .entry(&sign.key)
            .filter(|_| !keyring.is_locked())
            .filter(|entry| {
                let key = &entry.identity.key;
                let destinations = &entry.constraints.destinations;
                self.session.permits_signing(destinations, key, &sign.data)
            });
        let Some(entry) = entry else {
            self.reply(&AgentResponse::Failure);
            return;
        };
        let alive = Arc::new(());
        let token = Arc::downgrade(&alive);
        let key = &entry.identity.key;
        if entry.constraints.confirm && !is_confirmed {
            self.event = Some(AgentServerEvent::Confirm(ConfirmRequest {
                alive,
                key: key.clone(),
                comment: entry.identity.comment.clone(),
                data: sign.data.clone(),
            }));
            self.waiting = Some(Waiting::Confirmation { token, sign });
            return;
        }
        let algorithm = signature_algorithm(key.key_type(), sign.flags);
        if !keyring.permits(algorithm) {
            self.reply(&AgentResponse::Failure);
            return;
        }
        match &entry.holder {
            Holder::Here(held) => match held.sign(algorithm, &sign.data) {
                Ok(signature) => self.reply_signature(&signature),
                Err(_) => self.reply(&AgentResponse::Failure),
            },
            Holder::Elsewhere => {
                self.event = Some(AgentServerEvent::Sign(RemoteSignRequest {
                    alive,
                    key: key.clone(),
                    algorithm: algorithm.to_owned(),
                    flags: sign.flags,
                    data: sign.data,
                }));
                self.waiting = Some(Waiting::Signature { token });
            }
        }
    }
}

fn is_of(token: &Weak<()>, alive: &Arc<()>) -> bool {
    Weak::as_ptr(token) == Arc::as_ptr(alive)
}

fn copy(bytes: &[u8]) -> Bytes {
    bytes.to_owned().into()
}
