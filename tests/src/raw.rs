//! A peer of either role that can do every step of the protocol wrong. It shares no code with the transport of `ssh-proto`: framing, sequence numbers, negotiation, exchange hash and key derivation are its own.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use ssh_proto::Role;
use ssh_proto::crypto::{CryptoProvider, OpeningKey, SealingKey, SigningKey};
use ssh_proto::error::DisconnectReason;
use ssh_proto::wire::transport::Disconnect;
use ssh_proto::wire::{Message, number};
use std::sync::Arc;

use crate::fixtures;
use crate::raw_kex::{Pending, RawGex, RawOffer};
use crate::rng::TestRng;

/// A packet that the connection under test sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPacket {
    /// Its implicit sequence number.
    pub sequence: u32,
    /// Message number and body.
    pub payload: Bytes,
    /// How much padding it had.
    pub padding: u8,
}

impl RawPacket {
    /// The message number.
    ///
    /// # Panics
    /// If the payload is empty.
    pub fn number(&self) -> u8 {
        self.payload[0]
    }

    /// The message in it.
    ///
    /// # Panics
    /// If it is another one, or malformed.
    pub fn decode<'a, M: Message<'a>>(&'a self) -> M {
        M::from_payload(&self.payload).unwrap_or_else(|error| {
            panic!("message {}: {error}: {:?}", self.number(), self.payload)
        })
    }
}

/// How to frame a packet, where it is not as RFC 4253 section 6 wants it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Framing {
    /// The claimed `packet_length`.
    pub length: Option<u32>,
    /// The claimed `padding_length`.
    pub padding_length: Option<u8>,
    /// The bytes of padding there really are.
    pub padding: Option<usize>,
}

/// A scriptable peer.
///
/// Steps send and read one message each and assume nothing of what went before. What to send is
/// built by `make_*` methods or by hand, so that it can be changed before it is sent.
pub struct RawPeer {
    /// Which role this peer plays.
    pub role: Role,
    /// Where its algorithms come from.
    pub provider: CryptoProvider,
    /// Its randomness.
    pub rng: TestRng,
    /// Its identification line, without line end.
    pub identification: Vec<u8>,
    /// The other side's, once read.
    pub peer_identification: Option<Vec<u8>>,
    /// What its `KEXINIT` offers.
    pub offer: RawOffer,
    /// The host key of a server.
    pub host_key: Arc<dyn SigningKey>,
    /// The sequence number of the next packet sent. Free to be changed.
    pub send_sequence: u32,
    /// The sequence number that the next packet read must have been sealed with.
    pub recv_sequence: u32,
    /// The payload of the latest `KEXINIT` sent.
    pub our_kexinit: Option<Vec<u8>>,
    /// The payload of the latest `KEXINIT` read.
    pub peer_kexinit: Option<Vec<u8>>,
    /// Whether both first `KEXINIT`s had the marker of strict key exchange.
    pub strict: bool,
    /// The hash of the first exchange.
    pub session_id: Option<Vec<u8>>,
    /// The host key that the other side, a server, sent last.
    pub peer_host_key: Option<Vec<u8>>,
    /// The shared secret in the encoding in which it is hashed, where the test knows it beforehand
    /// and does not rely on [`SharedSecret`](ssh_proto::crypto::SharedSecret) for it.
    pub known_secret: Option<Vec<u8>>,
    /// The group of an exchange whose server chooses it.
    pub gex: RawGex,
    /// The other side's `DISCONNECT`s.
    pub disconnects: Vec<DisconnectReason>,
    pub(crate) first_kexinit_seen: bool,
    pub(crate) our_kexinit_stale: bool,
    pub(crate) pending: Pending,
    seal_key: Option<Box<dyn SealingKey>>,
    open_key: Option<Box<dyn OpeningKey>>,
    /// The length of the packet being read; its head must not be opened twice.
    open_length: Option<usize>,
    input: BytesMut,
    output: BytesMut,
    inbox: VecDeque<RawPacket>,
    eof: bool,
}

impl std::fmt::Debug for RawPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawPeer")
            .field("role", &self.role)
            .field("send_sequence", &self.send_sequence)
            .field("recv_sequence", &self.recv_sequence)
            .field("strict", &self.strict)
            .field("disconnects", &self.disconnects)
            .finish_non_exhaustive()
    }
}

impl RawPeer {
    /// A client, to attack a server.
    pub fn client() -> Self {
        Self::new(Role::Client)
    }

    /// A server with [`fixtures::host_key`], to attack a client.
    pub fn server() -> Self {
        Self::new(Role::Server)
    }

    /// A peer of this role, that behaves unless told otherwise.
    pub fn new(role: Role) -> Self {
        let provider = fixtures::provider();
        Self {
            role,
            offer: RawOffer::new(role, &provider),
            provider,
            rng: TestRng::new(0x7261_7700 + u64::from(role == Role::Server)),
            identification: b"SSH-2.0-raw".to_vec(),
            peer_identification: None,
            host_key: fixtures::host_key(),
            send_sequence: 0,
            recv_sequence: 0,
            our_kexinit: None,
            peer_kexinit: None,
            strict: false,
            session_id: None,
            peer_host_key: None,
            known_secret: None,
            gex: RawGex::default(),
            disconnects: Vec::new(),
            first_kexinit_seen: false,
            our_kexinit_stale: false,
            pending: Pending::None,
            seal_key: None,
            open_key: None,
            open_length: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
            inbox: VecDeque::new(),
            eof: false,
        }
    }

    // Bytes.

    /// Takes bytes that the connection under test sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Learns that no more come.
    pub fn feed_eof(&mut self) {
        self.eof = true;
    }

    /// Whether the connection under test has ended the transport.
    pub fn saw_eof(&self) -> bool {
        self.eof
    }

    /// The bytes to be handed to the connection under test.
    pub fn take_output(&mut self) -> BytesMut {
        self.output.split()
    }

    /// Sends bytes as they are.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Bytes received and not read.
    pub fn unread(&self) -> usize {
        self.input.len()
    }

    // Identification.

    /// Sends the identification line.
    pub fn send_identification(&mut self) {
        let line = [&self.identification[..], b"\r\n"].concat();
        self.push_bytes(&line);
    }

    /// Reads the other side's identification line; `false` if it has not arrived.
    ///
    /// # Panics
    /// If it is not ended by CR LF.
    pub fn read_identification(&mut self) -> bool {
        if self.peer_identification.is_some() {
            return true;
        }
        let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
            return false;
        };
        let line = self.input.split_to(end + 1);
        let line = line.strip_suffix(b"\r\n").expect("CR LF");
        assert!(line.starts_with(b"SSH-2.0-"), "{line:?}");
        self.peer_identification = Some(line.to_vec());
        true
    }

    // Packets out.

    /// Seals a payload under the current keys and sequence number, framed as it must be, without
    /// sending it.
    pub fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        self.seal_framed(payload, Framing::default())
    }

    /// Seals a payload with a frame that may lie.
    ///
    /// # Panics
    /// If the cipher cannot seal such a packet.
    pub fn seal_framed(&mut self, payload: &[u8], framing: Framing) -> Vec<u8> {
        let (block, length_is_padded, tag) = match &self.seal_key {
            None => (8, true, 0),
            Some(key) => {
                let layout = key.layout();
                (
                    layout.block_len.max(8),
                    layout.length_is_padded,
                    layout.tag_len,
                )
            }
        };
        let unpadded = payload.len() + if length_is_padded { 5 } else { 1 };
        let fits = (4..).find(|padding| (unpadded + padding).is_multiple_of(block));
        let padding = framing.padding.unwrap_or(fits.expect("some padding fits"));
        let length = (1 + payload.len() + padding) as u32;
        let mut packet = Vec::new();
        packet.extend(framing.length.unwrap_or(length).to_be_bytes());
        packet.push(framing.padding_length.unwrap_or(padding as u8));
        packet.extend(payload);
        packet.extend(self.rng.bytes(padding));
        packet.resize(packet.len() + tag, 0);
        if let Some(key) = &mut self.seal_key {
            key.seal(self.send_sequence, &mut packet).expect("sealed");
        }
        self.send_sequence = self.send_sequence.wrapping_add(1);
        packet
    }

    /// Sends a payload.
    pub fn send_payload(&mut self, payload: &[u8]) {
        let packet = self.seal(payload);
        self.push_bytes(&packet);
    }

    /// Sends a message.
    pub fn send<'a>(&mut self, message: &impl Message<'a>) {
        self.send_payload(&payload_of(message));
    }

    /// Sends a message with one bit of its sealed packet flipped, counted from the packet's start.
    ///
    /// # Panics
    /// If the packet is shorter.
    pub fn send_flipped<'a>(&mut self, message: &impl Message<'a>, bit: usize) {
        let mut packet = self.seal(&payload_of(message));
        packet[bit / 8] ^= 1 << (bit % 8);
        self.push_bytes(&packet);
    }

    /// Sends a message in clear, whatever keys there are.
    pub fn send_in_clear<'a>(&mut self, message: &impl Message<'a>) {
        let key = self.seal_key.take();
        self.send(message);
        self.seal_key = key;
    }

    // Packets in.

    /// The next packet, if it has arrived in full. Keys change as `NEWKEYS` passes.
    ///
    /// # Panics
    /// If the packet is framed or sealed wrongly: the connection under test must never do that.
    pub fn next_packet(&mut self) -> Option<RawPacket> {
        if let Some(packet) = self.inbox.pop_front() {
            return Some(packet);
        }
        if !self.read_identification() {
            return None;
        }
        let (block, length_is_padded, tag, head) = match &self.open_key {
            None => (8, true, 0, 4),
            Some(key) => {
                let l = key.layout();
                (
                    l.block_len.max(8),
                    l.length_is_padded,
                    l.tag_len,
                    l.head_len,
                )
            }
        };
        let length = match self.open_length {
            Some(length) => length,
            None => {
                if self.input.len() < head {
                    return None;
                }
                let length = match &mut self.open_key {
                    None => u32::from_be_bytes(self.input[..4].try_into().expect("four bytes")),
                    Some(key) => key
                        .open_length(self.recv_sequence, &mut self.input[..head])
                        .expect("length"),
                };
                assert!(length <= 35_000, "a packet of {length} bytes");
                *self.open_length.insert(length as usize)
            }
        };
        let total = 4 + length + tag;
        if self.input.len() < total {
            return None;
        }
        self.open_length = None;
        let mut packet = self.input.split_to(total);
        if let Some(key) = &mut self.open_key {
            key.open(self.recv_sequence, &mut packet)
                .unwrap_or_else(|error| panic!("packet {}: {error}", self.recv_sequence));
        }
        let aligned = length + if length_is_padded { 4 } else { 0 };
        assert_eq!(aligned % block, 0, "alignment");
        let padding = packet[4];
        assert!(padding >= 4, "padding of {padding}");
        let payload = Bytes::copy_from_slice(&packet[5..4 + length - usize::from(padding)]);
        assert!(!payload.is_empty(), "empty payload");
        let packet = RawPacket {
            sequence: self.recv_sequence,
            payload,
            padding,
        };
        self.recv_sequence = self.recv_sequence.wrapping_add(1);
        match packet.number() {
            number::KEXINIT => self.note_kexinit(&packet.payload),
            number::NEWKEYS => self.open_with_new_keys(),
            number::DISCONNECT => {
                let Disconnect { reason, .. } = packet.decode();
                self.disconnects.push(reason);
            }
            _ => {}
        }
        Some(packet)
    }

    /// Puts a packet back, to be read next.
    pub fn unread_packet(&mut self, packet: RawPacket) {
        self.inbox.push_front(packet);
    }

    /// The next packet, which must have arrived and have this number.
    ///
    /// # Panics
    /// If not.
    pub fn expect(&mut self, number: u8) -> RawPacket {
        let packet = self
            .next_packet()
            .unwrap_or_else(|| panic!("nothing arrived where message {number} was due"));
        assert_eq!(packet.number(), number, "{packet:?}");
        packet
    }

    /// All packets that have arrived.
    pub fn drain(&mut self) -> Vec<RawPacket> {
        std::iter::from_fn(|| self.next_packet()).collect()
    }

    // Keys.

    /// Sends `NEWKEYS` and seals with the new keys from then on.
    ///
    /// # Panics
    /// If no exchange has made any.
    pub fn send_newkeys(&mut self) {
        self.send_payload(&[number::NEWKEYS]);
        self.seal_with_new_keys();
    }

    /// Seals with the new keys from now on, without sending `NEWKEYS`.
    ///
    /// # Panics
    /// If no exchange has made any.
    pub fn seal_with_new_keys(&mut self) {
        self.seal_key = Some(self.new_sealing_key());
        self.our_kexinit_stale = true;
        if self.strict {
            self.send_sequence = 0;
        }
    }

    fn open_with_new_keys(&mut self) {
        self.open_key = Some(self.new_opening_key());
        if self.strict {
            self.recv_sequence = 0;
        }
    }

    /// Whether the latest `KEXINIT` of ours belongs to an exchange that is complete.
    pub(crate) fn our_kexinit_is_stale(&self) -> bool {
        self.our_kexinit_stale
    }

    /// Whether packets are sealed.
    pub fn is_sealing(&self) -> bool {
        self.seal_key.is_some()
    }
}

/// The payload of a message.
pub fn payload_of<'a>(message: &impl Message<'a>) -> Vec<u8> {
    let mut payload = BytesMut::new();
    message.to_payload(&mut payload);
    payload.to_vec()
}
