//! Key exchange (RFC 4253 sections 7 to 9, strict key exchange): its states, and what both roles do in them.

mod client;
mod derive;
pub(crate) mod negotiate;
mod report;
mod server;
mod values;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::mem;

use bytes::{Bytes, BytesMut};

use self::derive::KeySchedule;
use self::negotiate::{Agreement, marker};
pub use self::report::{Negotiated, NegotiatedSuite, SessionId, Weakness};
use self::values::{Gex, Values};
use super::TransportConfig;
use super::recv::OpeningEpoch;
use super::send::SealingEpoch;
use crate::crypto::{
    HashOutput, KexExchange, KexShape, PublicKey, SecureRandom, SharedSecret, Signature,
};
use crate::error::{CryptoError, Error, PeerIncompatible, PeerMisbehaved};
use crate::role::Role;
use crate::wire::kex::{KexDhGexRequest, KexInit, NewKeys};
use crate::wire::{Message, decode, number};

/// What may arrive next, as far as key exchange decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KexStage {
    /// The peer has not sent `KEXINIT` in this round.
    Open,
    /// The peer's wrong guess, which is discarded.
    Guess,
    /// On a server, the client's ephemeral key.
    Init,
    /// On a client, the server's reply.
    Reply,
    /// On a server, which group the client wants.
    GexRequest,
    /// On a client, the server's group.
    GexGroup,
    /// On a server, the client's ephemeral key in its group.
    GexInit,
    /// On a client, the server's reply in its group.
    GexReply,
    /// The peer's `NEWKEYS`.
    NewKeys,
    /// Nothing is read: the application is to judge the host key or to sign.
    Paused,
}

/// What waits to be sealed in the lane that passes while keys are exchanged.
pub(crate) enum KexItem {
    /// A message.
    Payload(Bytes),
    /// `NEWKEYS`, and the keys that follow it.
    NewKeys(Box<SealingEpoch>),
}

/// What the engine has to ask the application.
#[derive(Debug)]
pub(crate) enum KexAsk {
    /// Whether this client is worth the computation that is due now, by this method.
    Admission { kex: &'static str },
    /// The server's host key, whose signature over this exchange is verified.
    HostKey {
        key: PublicKey,
        algorithm: &'static str,
        previous: Option<PublicKey>,
    },
    /// A signature with a host key that is held elsewhere.
    Sign {
        key: PublicKey,
        algorithm: &'static str,
        message: Bytes,
    },
}

pub(crate) struct Kex {
    role: Role,
    config: Arc<TransportConfig>,
    state: State,
    lane: VecDeque<KexItem>,
    session_id: Option<SessionId>,
    /// The host key of the latest exchange; on a client, one that was accepted.
    host_key: Option<PublicKey>,
    strict: bool,
    peer_takes_ext_info: bool,
}

enum State {
    /// No exchange is under way, or an error ended it.
    Idle,
    /// Our `KEXINIT` is out.
    InitSent(Bytes),
    Exchanging(Box<Exchange>),
}

struct Exchange {
    client_init: Bytes,
    server_init: Bytes,
    agreement: Agreement,
    /// The group, once the server has chosen it.
    gex: Option<Gex>,
    discard_guess: bool,
    step: Step,
}

enum Step {
    /// Server: the client's wishes for a group are due.
    GexRequest,
    /// Client: the group is due that it asked for.
    GexGroup(KexDhGexRequest),
    /// Server: the client's ephemeral key is due.
    Init,
    /// Server: it is there; the application decides whether anything is computed for it.
    Admission { public: Bytes },
    /// Client: the server's reply is due.
    Reply(Box<dyn KexExchange>),
    /// Client: the application judges the host key.
    HostKey {
        secrets: Secrets,
        signature: Signature,
    },
    /// Server: the application signs.
    Signature { secrets: Secrets, public: Bytes },
    /// The peer's `NEWKEYS` is due.
    NewKeys {
        opening: OpeningEpoch,
        host_key: PublicKey,
        signature: Signature,
    },
}

/// What both sides share once the public values are exchanged.
struct Secrets {
    secret: SharedSecret,
    hash: HashOutput,
    host_key: PublicKey,
}

impl Exchange {
    /// How its public values travel.
    fn values(&self) -> Result<Values<'_>, Error> {
        match (self.agreement.kex.shape(), &self.gex) {
            (KexShape::Ecdh, _) => Ok(Values::Strings),
            (KexShape::Dh, _) => Ok(Values::Mpints),
            (KexShape::DhGex, Some(gex)) => Ok(Values::Gex(gex)),
            (KexShape::DhGex, None) => Err(Error::Internal("values before the group")),
        }
    }
}

/// The identification strings, as they enter the exchange hash.
#[derive(Clone, Copy)]
pub(crate) struct Idents<'a> {
    pub(crate) ours: &'a [u8],
    pub(crate) theirs: &'a [u8],
}

impl Kex {
    pub(crate) fn new(role: Role, config: Arc<TransportConfig>) -> Self {
        Self {
            role,
            config,
            state: State::Idle,
            lane: VecDeque::new(),
            session_id: None,
            host_key: None,
            strict: false,
            peer_takes_ext_info: false,
        }
    }

    pub(crate) fn stage(&self) -> KexStage {
        match &self.state {
            State::Idle | State::InitSent(_) => KexStage::Open,
            State::Exchanging(exchange) if exchange.discard_guess => KexStage::Guess,
            State::Exchanging(exchange) => match exchange.step {
                Step::GexRequest => KexStage::GexRequest,
                Step::GexGroup(_) => KexStage::GexGroup,
                Step::Init if exchange.gex.is_some() => KexStage::GexInit,
                Step::Init => KexStage::Init,
                Step::Reply(_) if exchange.gex.is_some() => KexStage::GexReply,
                Step::Reply(_) => KexStage::Reply,
                Step::Admission { .. } | Step::HostKey { .. } | Step::Signature { .. } => {
                    KexStage::Paused
                }
                Step::NewKeys { .. } => KexStage::NewKeys,
            },
        }
    }

    /// Whether strict key exchange is agreed.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// Whether the first exchange has not been completed.
    pub(crate) fn is_first(&self) -> bool {
        self.session_id.is_none()
    }

    pub(crate) fn session_id(&self) -> Option<&SessionId> {
        self.session_id.as_ref()
    }

    pub(crate) fn peer_takes_ext_info(&self) -> bool {
        self.peer_takes_ext_info
    }

    /// Whether an exchange is under way, from either side's `KEXINIT` to the peer's `NEWKEYS`.
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Whether only the messages of this lane may leave: from our `KEXINIT` to our `NEWKEYS`,
    /// and before the first exchange.
    pub(crate) fn gate_is_closed(&self) -> bool {
        match &self.state {
            State::Idle => self.session_id.is_none(),
            State::InitSent(_) => true,
            State::Exchanging(exchange) => !matches!(exchange.step, Step::NewKeys { .. }),
        }
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.lane.is_empty()
    }

    pub(crate) fn pop_output(&mut self) -> Option<KexItem> {
        let item = self.lane.pop_front()?;
        if self.lane.is_empty() {
            self.lane = VecDeque::new();
        }
        Some(item)
    }

    /// Queues a message behind our `NEWKEYS`, ahead of everything else.
    pub(crate) fn push_output<'a>(&mut self, message: &impl Message<'a>) {
        self.lane.push_back(KexItem::Payload(encode(message)));
    }

    /// Sends our `KEXINIT`, unless an exchange is under way.
    pub(crate) fn start(&mut self, random: &mut dyn SecureRandom) -> Result<(), Error> {
        if self.is_active() {
            return Ok(());
        }
        let mut cookie = [0; 16];
        random.fill(&mut cookie)?;
        let init = self
            .config
            .offer
            .kex_init(self.role, cookie, self.is_first());
        let payload = encode(&init);
        self.lane.push_back(KexItem::Payload(payload.clone()));
        self.state = State::InitSent(payload);
        Ok(())
    }

    /// The peer's `KEXINIT`.
    pub(crate) fn handle_kexinit(
        &mut self,
        payload: Bytes,
        sequence: u32,
        random: &mut dyn SecureRandom,
    ) -> Result<(), Error> {
        self.start(random)?;
        let State::InitSent(ours) = mem::replace(&mut self.state, State::Idle) else {
            return Err(PeerMisbehaved::UnexpectedMessage(number::KEXINIT).into());
        };
        let theirs = decode::<KexInit<'_>>(&payload)?;
        let peer = self.role.peer();
        if self.is_first() {
            self.strict = theirs.kex.contains(marker::strict(peer));
            self.peer_takes_ext_info = theirs.kex.contains(marker::ext_info(peer));
            if self.config.require_strict_kex && !self.strict {
                return Err(Error::PeerIncompatible(PeerIncompatible::NoStrictKex));
            }
            if self.strict && sequence != 0 {
                return Err(PeerMisbehaved::StrictKexViolation.into());
            }
        }
        let agreement = self.config.offer.negotiate(self.role, &theirs)?;
        if self.config.refuse_prefix_truncation && !self.strict && agreement.needs_strict_kex() {
            return Err(Error::PeerIncompatible(PeerIncompatible::NoStrictKex));
        }
        let (client_init, server_init) = match self.role {
            Role::Client => (ours, payload),
            Role::Server => (payload, ours),
        };
        let mut exchange = Box::new(Exchange {
            client_init,
            server_init,
            agreement,
            gex: None,
            discard_guess: agreement.discard_guess,
            step: Step::Init,
        });
        let chooses = agreement.kex.shape() == KexShape::DhGex;
        match (self.role, chooses) {
            (Role::Client, true) => {
                let request = values::request(&agreement);
                self.lane.push_back(KexItem::Payload(encode(&request)));
                exchange.step = Step::GexGroup(request);
            }
            (Role::Client, false) => {
                let message = exchange.start(random)?;
                self.lane.push_back(KexItem::Payload(message));
            }
            (Role::Server, true) => exchange.step = Step::GexRequest,
            (Role::Server, false) => {}
        }
        self.state = State::Exchanging(exchange);
        Ok(())
    }

    /// The peer's wrong guess has been discarded.
    pub(crate) fn guess_discarded(&mut self) {
        if let State::Exchanging(exchange) = &mut self.state {
            exchange.discard_guess = false;
        }
    }

    fn send_newkeys(&mut self, secrets: Secrets, signature: Signature) -> Result<(), Error> {
        let State::Exchanging(exchange) = &mut self.state else {
            return Err(Error::Internal("no exchange to complete"));
        };
        let session_id = self
            .session_id
            .get_or_insert_with(|| SessionId::new(secrets.hash.as_ref()));
        let agreement = exchange.agreement;
        let schedule = KeySchedule {
            hash: agreement.kex.hash(),
            secret: &secrets.secret,
            exchange_hash: secrets.hash.as_ref(),
            session_id: session_id.as_bytes(),
        };
        let (ours, theirs) = match self.role {
            Role::Client => (agreement.client_to_server, agreement.server_to_client),
            Role::Server => (agreement.server_to_client, agreement.client_to_server),
        };
        let sealing = schedule.sealing(self.role, ours, self.strict)?;
        let opening = schedule.opening(self.role.peer(), theirs)?;
        self.lane.push_back(KexItem::NewKeys(Box::new(sealing)));
        exchange.step = Step::NewKeys {
            opening,
            host_key: secrets.host_key,
            signature,
        };
        Ok(())
    }

    /// The peer's `NEWKEYS`: the exchange is complete.
    pub(crate) fn handle_newkeys(
        &mut self,
        payload: &[u8],
        is_rekey: bool,
    ) -> Result<(OpeningEpoch, Negotiated), Error> {
        decode::<NewKeys>(payload)?;
        let unexpected = Error::from(PeerMisbehaved::UnexpectedMessage(number::NEWKEYS));
        let State::Exchanging(exchange) = mem::replace(&mut self.state, State::Idle) else {
            return Err(unexpected);
        };
        let Exchange {
            agreement,
            step:
                Step::NewKeys {
                    opening,
                    host_key,
                    signature,
                },
            ..
        } = *exchange
        else {
            return Err(unexpected);
        };
        self.host_key = Some(host_key.clone());
        let session_id = self
            .session_id
            .clone()
            .ok_or(Error::Internal("keys without a session id"))?;
        let negotiated = Negotiated {
            kex: agreement.kex.name(),
            host_key_algorithm: agreement.host_key.name(),
            host_key,
            host_key_signature: signature,
            client_to_server: agreement.client_to_server.into(),
            server_to_client: agreement.server_to_client.into(),
            strict_kex: self.strict,
            post_quantum: agreement.kex.is_post_quantum(),
            is_rekey,
            session_id,
        };
        Ok((opening, negotiated))
    }

    /// Forgets an exchange under way and what it would send.
    pub(crate) fn clear(&mut self) {
        self.state = State::Idle;
        self.lane = VecDeque::new();
    }
}

fn encode<'a>(message: &impl Message<'a>) -> Bytes {
    let mut payload = BytesMut::new();
    message.to_payload(&mut payload);
    payload.freeze()
}

/// A message that the phase table should not have admitted.
fn unexpected(payload: &[u8]) -> Error {
    let number = payload.first().copied().unwrap_or_default();
    PeerMisbehaved::UnexpectedMessage(number).into()
}

/// The peer's public value was bad, or something failed on our side.
fn kex_error(error: CryptoError) -> Error {
    match error {
        CryptoError::InvalidPublicValue | CryptoError::InvalidKey => {
            PeerMisbehaved::BadKexValue.into()
        }
        other => other.into(),
    }
}
