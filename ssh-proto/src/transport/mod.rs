//! The transport layer (RFC 4253): identification, packets, key exchange, rekeying. It knows nothing of users or channels.

pub(crate) mod ident;
pub(crate) mod kex;
#[cfg(test)]
mod packet_tests;
mod recv;
mod rekey;
mod send;
mod stream;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use self::ident::Identification;
use self::kex::negotiate::Offer;
use self::kex::{Idents, Kex, KexAsk, KexItem, KexStage, Negotiated};
use self::recv::RecvHalf;
pub(crate) use self::recv::{MacFailure, Packet};
use self::rekey::{PeerRekeys, RekeyPolicy};
use self::send::SendHalf;
pub(crate) use self::stream::RandomStream;
use crate::crypto::{DhGroup, HashAlgorithm, PublicKey, SecureRandom, Signature, SigningKey};
use crate::error::{Error, PeerMisbehaved, RandomFailed};
use crate::limits::Limits;
use crate::role::Role;
use crate::time::Instant;
use crate::trace::{Trace, event};
use crate::wire::extension::ExtInfo;
use crate::wire::kex::NewKeys;
use crate::wire::trace::PacketTrace;
use crate::wire::{Message, number};

/// Length fields, padding and MAC of a packet, at most.
const MAX_OVERHEAD: usize = 512;

/// A server's host key: in memory, or held elsewhere and asked for each signature.
#[derive(Debug, Clone)]
pub enum HostKey {
    /// Signs at once.
    Local(Arc<dyn SigningKey>),
    /// Raises a `Sign` event for each key exchange.
    Remote {
        /// The public half.
        key: PublicKey,
        /// The algorithms that the holder signs with, in order of preference.
        algorithms: Vec<&'static str>,
    },
}

impl HostKey {
    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Local(key) => key.public_key(),
            Self::Remote { key, .. } => key,
        }
    }

    /// The algorithms that it signs with, in order of preference.
    pub fn algorithms(&self) -> &[&'static str] {
        match self {
            Self::Local(key) => key.algorithms(),
            Self::Remote { algorithms, .. } => algorithms,
        }
    }

    fn signing_key(&self) -> Option<&dyn SigningKey> {
        match self {
            Self::Local(key) => Some(&**key),
            Self::Remote { .. } => None,
        }
    }
}

/// What the faces build of their configs, shared by all connections of one config.
pub(crate) struct TransportConfig {
    pub(crate) identification: Identification,
    pub(crate) offer: Offer,
    pub(crate) sha256: &'static dyn HashAlgorithm,
    pub(crate) require_strict_kex: bool,
    /// Whether strict key exchange is required where the cipher needs it.
    pub(crate) refuse_prefix_truncation: bool,
    /// The shortest RSA key that is accepted, of hosts and of users.
    pub(crate) min_rsa_bits: usize,
    /// Whether a server asks before it computes anything for a client.
    pub(crate) ask_before_kex: bool,
    /// Whether the application decides on packets that are not authentic, where the cipher can.
    pub(crate) keeps_forged: bool,
    /// A server's; empty on a client.
    pub(crate) host_keys: Vec<HostKey>,
    /// The groups that a server chooses from; empty on a client.
    pub(crate) moduli: Vec<DhGroup>,
    /// The extensions that we announce (RFC 8308).
    pub(crate) extensions: Vec<(&'static str, Vec<u8>)>,
}

impl TransportConfig {
    fn host_key_for(&self, algorithm: &str) -> Option<&HostKey> {
        self.host_keys
            .iter()
            .find(|key| key.algorithms().contains(&algorithm))
    }
}

pub(crate) struct Transport {
    role: Role,
    config: Arc<TransportConfig>,
    random: Box<dyn SecureRandom>,
    recv: RecvHalf,
    send: SendHalf,
    trace: PacketTrace,
    pub(crate) kex: Kex,
    peer_identification: Option<Identification>,
    identification_sent: bool,
    rekey: RekeyPolicy,
    peer_rekeys: PeerRekeys,
    authenticated: bool,
    /// The first exchange is complete in the receiving direction.
    keyed: bool,
    /// Our first `NEWKEYS` is sealed.
    sealing: bool,
    /// New keys are wanted as soon as they may be.
    rekey_wanted: bool,
}

/// What came of handing a kex message to the transport.
pub(crate) enum KexProgress {
    /// Nothing to tell.
    Continues,
    /// A question to the application.
    Ask(KexAsk),
    /// New keys are in use in the receiving direction.
    Done(Box<Negotiated>),
}

impl Transport {
    pub(crate) fn new(
        role: Role,
        config: Arc<TransportConfig>,
        limits: &Limits,
        mut random: Box<dyn SecureRandom>,
    ) -> Result<Self, Error> {
        let send = SendHalf::new(config.sha256, &mut *random)?;
        let mut kex = Kex::new(role, Arc::clone(&config));
        // Our KEXINIT leaves with the identification: neither waits for the peer.
        kex.start(&mut *random)?;
        Ok(Self {
            role,
            recv: RecvHalf::new(role.peer(), config.keeps_forged),
            config,
            random,
            send,
            trace: PacketTrace::new(role),
            kex,
            peer_identification: None,
            identification_sent: false,
            rekey: RekeyPolicy::new(limits),
            peer_rekeys: PeerRekeys::default(),
            authenticated: false,
            keyed: false,
            sealing: false,
            rekey_wanted: false,
        })
    }

    /// What the connection tells of itself.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace.trace
    }

    /// A stream of random bytes, its seed drawn from the connection's source.
    pub(crate) fn random_stream(&mut self) -> Result<RandomStream, RandomFailed> {
        RandomStream::new(self.config.sha256, &mut *self.random)
    }

    pub(crate) fn push_input(&mut self, data: BytesMut) {
        self.recv.push(data);
    }

    pub(crate) fn buffered_input(&self) -> usize {
        self.recv.buffered()
    }

    /// Whether the next step needs input that has not arrived.
    pub(crate) fn needs_input(&self) -> bool {
        self.recv.missing() > 0
    }

    pub(crate) fn received_bytes(&self) -> u64 {
        self.recv.total_bytes()
    }

    pub(crate) fn peer_identification(&self) -> Option<&Identification> {
        self.peer_identification.as_ref()
    }

    /// Reads the peer's identification; `Some` once.
    pub(crate) fn read_identification(&mut self) -> Result<Option<Identification>, Error> {
        if !self.recv.awaits_identification() {
            return Ok(None);
        }
        let identification = self.recv.read_identification()?;
        self.peer_identification.clone_from(&identification);
        Ok(identification)
    }

    /// Opens the next packet.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>, Error> {
        if self.recv.awaits_identification() {
            return Ok(None);
        }
        let packet = self.recv.next_packet()?;
        if let Some(packet) = &packet {
            self.trace
                .received(packet.sequence, packet.length, &packet.payload);
        }
        Ok(packet)
    }

    /// What there is to tell of the packet that was not authentic, once.
    pub(crate) fn take_mac_failure(&mut self) -> Option<MacFailure> {
        self.recv.take_mac_failure()
    }

    /// Lets the forged packet that is held be the next one.
    pub(crate) fn accept_forged(&mut self) {
        self.recv.accept_forged();
    }

    /// Whether packets can be sent that the peer reads as such: it has spoken SSH to us.
    pub(crate) fn can_say_goodbye(&self) -> bool {
        self.peer_identification.is_some()
    }

    /// A message of key exchange that the phase table admitted.
    pub(crate) fn handle_kex(
        &mut self,
        packet: &Packet,
        now: Instant,
    ) -> Result<KexProgress, Error> {
        let asked = match packet.number() {
            number::KEXINIT => {
                if self.keyed && !self.kex.is_active() {
                    if !self.authenticated {
                        return Err(PeerMisbehaved::RekeyBeforeAuthentication.into());
                    }
                    let bytes = self
                        .send
                        .epoch_bytes()
                        .saturating_add(self.recv.epoch_bytes());
                    self.rekey.admit(&mut self.peer_rekeys, bytes, now)?;
                }
                let payload = Bytes::copy_from_slice(&packet.payload);
                self.kex
                    .handle_kexinit(payload, packet.sequence, &mut *self.random)?;
                None
            }
            number::NEWKEYS => {
                let (opening, negotiated) = self.kex.handle_newkeys(&packet.payload, self.keyed)?;
                self.recv.install(opening, self.kex.is_strict());
                self.keyed = true;
                return Ok(KexProgress::Done(Box::new(negotiated)));
            }
            number => {
                let idents = idents(&self.config, self.peer_identification.as_ref())?;
                let random = &mut *self.random;
                let payload = &packet.payload;
                // The numbers are those of the stage, whichever method that is.
                match self.kex.stage() {
                    KexStage::GexRequest => {
                        self.kex.handle_gex_request(payload, random)?;
                        None
                    }
                    KexStage::GexGroup => {
                        self.kex.handle_gex_group(payload, random)?;
                        None
                    }
                    KexStage::Init | KexStage::GexInit => {
                        self.kex.handle_init(payload, idents, random)?
                    }
                    KexStage::Reply | KexStage::GexReply => {
                        self.kex.handle_reply(payload, idents)?
                    }
                    _ => return Err(PeerMisbehaved::UnexpectedMessage(number).into()),
                }
            }
        };
        self.announce_extensions();
        Ok(asked.map_or(KexProgress::Continues, KexProgress::Ask))
    }

    /// The application lets the client in that the last message of key exchange is of.
    pub(crate) fn admit(&mut self) -> Result<KexProgress, Error> {
        let idents = idents(&self.config, self.peer_identification.as_ref())?;
        let asked = self.kex.admit(idents, &mut *self.random)?;
        self.announce_extensions();
        Ok(asked.map_or(KexProgress::Continues, KexProgress::Ask))
    }

    pub(crate) fn accept_host_key(&mut self) -> Result<(), Error> {
        self.kex.accept_host_key()?;
        self.announce_extensions();
        Ok(())
    }

    pub(crate) fn provide_signature(&mut self, signature: &Signature) -> Result<(), Error> {
        self.kex.provide_signature(signature)?;
        self.announce_extensions();
        Ok(())
    }

    /// Queues `EXT_INFO` directly behind our first `NEWKEYS` (RFC 8308 section 2.4).
    fn announce_extensions(&mut self) {
        let first_newkeys_queued = !self.keyed && !self.sealing && !self.kex.gate_is_closed();
        if !first_newkeys_queued
            || !self.kex.peer_takes_ext_info()
            || self.config.extensions.is_empty()
        {
            return;
        }
        let extensions = self
            .config
            .extensions
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_slice()))
            .collect();
        self.kex.push_output(&ExtInfo { extensions });
    }

    /// Begins a key exchange, if none is under way. A server's waits until `USERAUTH_SUCCESS` has
    /// left: no client expects one before.
    pub(crate) fn start_rekey(&mut self) -> Result<(), Error> {
        self.rekey_wanted = !self.send.is_authenticated();
        match self.rekey_wanted {
            true => Ok(()),
            false => self.kex.start(&mut *self.random),
        }
    }

    /// Whether either direction has used its keys enough, or new ones are wanted.
    pub(crate) fn rekey_is_due(&self) -> bool {
        self.keyed
            && !self.kex.is_active()
            // Until our NEWKEYS is sealed, what was sent counts for keys that are as good as gone.
            && !self.kex.has_output()
            && self.send.is_authenticated()
            && (self.rekey_wanted
                || self
                    .rekey
                    .is_due(self.send.epoch_bytes(), self.send.epoch_packets())
                || self
                    .rekey
                    .is_due(self.recv.epoch_bytes(), self.recv.epoch_packets()))
    }

    /// Lifts the bounds of the time before authentication.
    pub(crate) fn set_authenticated(&mut self) {
        self.authenticated = true;
        self.recv.authenticated();
        if self.role == Role::Client {
            self.send.authenticated();
        }
    }

    /// Whether the identification or key exchange has something to send.
    pub(crate) fn has_urgent_output(&self) -> bool {
        !self.identification_sent || self.kex.has_output()
    }

    /// Appends our identification, once.
    pub(crate) fn transmit_identification(&mut self, out: &mut BytesMut) {
        if !self.identification_sent {
            self.identification_sent = true;
            out.extend_from_slice(self.config.identification.as_bytes());
            out.extend_from_slice(b"\r\n");
            event!(self.trace(), DEBUG, identification = %self.config.identification, "identification sent");
        }
    }

    /// Appends one message of key exchange; false if there is none.
    pub(crate) fn transmit_kex(&mut self, out: &mut BytesMut) -> Result<bool, Error> {
        match self.kex.pop_output() {
            None => return Ok(false),
            Some(KexItem::Payload(payload)) => {
                self.transmit_payload(&payload, out)?;
            }
            Some(KexItem::NewKeys(epoch)) => {
                self.transmit(&NewKeys {}, out)?;
                self.send.install(*epoch);
                self.sealing = true;
            }
        }
        Ok(true)
    }

    /// Whether messages beyond key exchange may leave.
    pub(crate) fn gate_is_open(&self) -> bool {
        !self.kex.gate_is_closed()
    }

    /// Appends one packet with this message.
    pub(crate) fn transmit<'a, M: Message<'a>>(
        &mut self,
        message: &M,
        out: &mut BytesMut,
    ) -> Result<(), Error> {
        if self.trace.wants(M::NUMBER) {
            let mut payload = BytesMut::new();
            message.to_payload(&mut payload);
            return self.transmit_payload(&payload, out);
        }
        self.send.seal(out, |out| message.to_payload(out))
    }

    /// Appends one packet with this payload.
    pub(crate) fn transmit_payload(
        &mut self,
        payload: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), Error> {
        self.transmit_padded(payload, 0, out)
    }

    /// The same with so many bytes of padding beyond what the cipher wants.
    pub(crate) fn transmit_padded(
        &mut self,
        payload: &[u8],
        padding: u8,
        out: &mut BytesMut,
    ) -> Result<(), Error> {
        // Growing later would leave a copy of a password behind.
        out.reserve(payload.len().saturating_add(MAX_OVERHEAD));
        let (start, sequence) = (out.len(), self.send.sequence());
        self.send
            .seal_padded(out, padding, |out| out.extend_from_slice(payload))?;
        self.trace
            .sent(sequence, out.len().saturating_sub(start), payload);
        if payload.first() == Some(&number::USERAUTH_SUCCESS) {
            // Delayed compression begins with the next packet (OpenSSH PROTOCOL section 1.2).
            self.send.authenticated();
        }
        Ok(())
    }

    /// Forgets input, keys being exchanged and what they would send.
    pub(crate) fn clear(&mut self) {
        self.recv.clear();
        self.kex.clear();
    }
}

/// Both identification strings, once there are packets.
fn idents<'a>(
    config: &'a TransportConfig,
    theirs: Option<&'a Identification>,
) -> Result<Idents<'a>, Error> {
    let theirs = theirs.ok_or(Error::Internal("a packet before the identification"))?;
    Ok(Idents {
        ours: config.identification.as_bytes(),
        theirs: theirs.as_bytes(),
    })
}
