//! One connection joined to a hostile peer, brought quickly to the stage that a test is about.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::error::DisconnectReason;
use ssh_proto::wire::auth::{AuthMethod as WireMethod, PasswordAuth, UserauthRequest};
use ssh_proto::wire::connection::{ChannelOpen, ChannelOpenConfirmation, ChannelOpenKind};
use ssh_proto::wire::transport::{ServiceAccept, ServiceRequest};
use ssh_proto::wire::{Message, Rest, number};
use ssh_proto::{
    AuthMethod, ChannelKind, ClientConnection, ClientEvent, Connection, Disconnected, Event,
    Instant, Password, Role, ServerConnection, ServerEvent,
};

use crate::endpoint::Endpoint;
use crate::fixtures;
use crate::link::Link;
use crate::mode::{Chunking, Mode};
use crate::pair::Pair;
use crate::raw::{RawPacket, RawPeer};
use crate::rng::TestRng;

/// How far a [`Hostile`] is brought. Everything up to it was done properly by both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing has passed.
    Start,
    /// Both identification lines have passed. The connection has sent its `KEXINIT`.
    Identified,
    /// Both `KEXINIT`s have passed, and from a client its ephemeral key.
    KexInit,
    /// The ephemeral keys have passed too; the connection has sent its `NEWKEYS`, the peer's is due.
    BeforeNewKeys,
    /// `NEWKEYS` has passed both ways. A client has sent its service request.
    NewKeys,
    /// The service is accepted: a client is about to choose a method, a server waits for one.
    Service,
    /// [`fixtures::USER`] is authenticated by password.
    Authenticated,
    /// The client has opened a session; both numbers are 0, see [`Hostile::channel`].
    Channel,
}

/// A connection under test and its hostile peer.
pub struct Hostile<E: Endpoint> {
    /// The connection under test.
    pub connection: E,
    /// Its peer.
    pub peer: RawPeer,
    /// Events that nothing has looked at yet.
    pub events: VecDeque<E::Event>,
    /// The virtual clock.
    pub now: Instant,
    /// Why the connection ended, if it has.
    pub ended: Option<Disconnected>,
    /// The channel of [`Stage::Channel`], as the connection names it.
    pub channel: Option<ssh_proto::ChannelId>,
    /// Packets that arrived at the peer while the connection was brought to its stage, and that
    /// belong to no step: `EXT_INFO` mostly.
    pub extras: Vec<RawPacket>,
    /// Whether events are left in the connection. Off at first.
    pub holds_events: bool,
    link: Link,
    closed: bool,
}

impl<E: Endpoint> std::fmt::Debug for Hostile<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hostile")
            .field("peer", &self.peer)
            .field("events", &self.events)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// What differs between the roles on the way to a stage.
pub trait Victim: Endpoint + Sized {
    /// A connection of the default config.
    fn fresh(mode: Mode) -> Self;

    /// Its role.
    const ROLE: Role;

    /// Brings authentication and the first channel about.
    fn advance(hostile: &mut Hostile<Self>, stage: Stage);
}

impl Victim for ServerConnection {
    fn fresh(mode: Mode) -> Self {
        Pair::new(mode.without_rekeys()).server
    }

    const ROLE: Role = Role::Server;

    fn advance(h: &mut Hostile<Self>, stage: Stage) {
        match stage {
            Stage::Service => {
                h.peer.send(&ServiceRequest {
                    service: b"ssh-userauth",
                });
                h.exchange();
                h.expect_skipping_extras(number::SERVICE_ACCEPT);
            }
            Stage::Authenticated => {
                h.peer.send(&UserauthRequest {
                    user: fixtures::USER.as_bytes(),
                    service: b"ssh-connection",
                    method: WireMethod::Password(PasswordAuth {
                        password: fixtures::PASSWORD.as_bytes(),
                        new_password: None,
                    }),
                });
                h.exchange();
                match h.take_event(|event| matches!(event, ServerEvent::Auth(_))) {
                    ServerEvent::Auth(request) => {
                        assert!(matches!(request.method(), AuthMethod::Password(_)));
                        h.connection.accept_auth(request).expect("own token");
                    }
                    _ => unreachable!(),
                }
                h.exchange();
                h.expect_skipping_extras(number::USERAUTH_SUCCESS);
                // The server's host keys, where it announces them.
                if let Some(packet) = h.peer.next_packet() {
                    match packet.number() {
                        number::GLOBAL_REQUEST => h.extras.push(packet),
                        _ => h.peer.unread_packet(packet),
                    }
                }
            }
            Stage::Channel => {
                h.peer.send(&ChannelOpen {
                    kind: ChannelOpenKind::Session(()),
                    sender: 0,
                    window_size: 1 << 20,
                    max_packet_size: 32 << 10,
                });
                h.exchange();
                let open = |event: &_| matches!(event, ServerEvent::Shared(Event::ChannelOpen(_)));
                match h.take_event(open) {
                    ServerEvent::Shared(Event::ChannelOpen(open)) => {
                        h.channel = Some(h.connection.accept_channel(open).expect("own token"));
                    }
                    _ => unreachable!(),
                }
                h.exchange();
                h.expect_skipping_extras(number::CHANNEL_OPEN_CONFIRMATION);
            }
            _ => {}
        }
    }
}

impl Victim for ClientConnection {
    fn fresh(mode: Mode) -> Self {
        Pair::new(mode.without_rekeys()).client
    }

    const ROLE: Role = Role::Client;

    fn advance(h: &mut Hostile<Self>, stage: Stage) {
        match stage {
            Stage::BeforeNewKeys => {
                match h.take_event(|event| matches!(event, ClientEvent::HostKey(_))) {
                    ClientEvent::HostKey(check) => {
                        h.connection.accept_host_key(check).expect("own token");
                    }
                    _ => unreachable!(),
                }
                h.exchange();
            }
            Stage::Service => {
                h.expect_skipping_extras(number::SERVICE_REQUEST);
                h.peer.send(&ServiceAccept {
                    service: b"ssh-userauth",
                });
                h.exchange();
                assert!(h.events.iter().any(|e| matches!(e, ClientEvent::Auth(_))));
            }
            Stage::Authenticated => {
                match h.take_event(|event| matches!(event, ClientEvent::Auth(_))) {
                    ClientEvent::Auth(turn) => {
                        let password = Password::new(fixtures::PASSWORD);
                        h.connection
                            .auth_password(turn, &password)
                            .expect("own token");
                    }
                    _ => unreachable!(),
                }
                h.exchange();
                h.expect_skipping_extras(number::USERAUTH_REQUEST);
                h.peer.send_payload(&[number::USERAUTH_SUCCESS]);
                h.exchange();
            }
            Stage::Channel => {
                let channel = h.connection.open_channel(&ChannelKind::Session);
                h.channel = Some(channel.expect("room"));
                h.exchange();
                h.expect_skipping_extras(number::CHANNEL_OPEN);
                h.peer.send(&ChannelOpenConfirmation {
                    recipient: 0,
                    sender: 0,
                    window_size: 1 << 20,
                    max_packet_size: 32 << 10,
                    body: Rest(&[]),
                });
                h.exchange();
            }
            _ => {}
        }
    }
}

impl<E: Victim> Hostile<E> {
    /// A connection of the default config and a peer that has done nothing yet. Of the mode, only
    /// how bytes are cut applies: a rekey here is a step of the test, see [`Self::rekey`].
    pub fn new(mode: Mode) -> Self {
        Self::with_connection(E::fresh(mode), mode.chunking)
    }

    /// As [`Self::new`], brought to this stage.
    pub fn at(stage: Stage, mode: Mode) -> Self {
        let mut hostile = Self::new(mode);
        hostile.advance_to(stage);
        hostile
    }

    /// A connection of one's own.
    pub fn with_connection(connection: E, chunking: Chunking) -> Self {
        Self {
            connection,
            peer: RawPeer::new(E::ROLE.peer()),
            events: VecDeque::new(),
            now: Instant::EPOCH + Duration::from_secs(1_000),
            ended: None,
            channel: None,
            extras: Vec::new(),
            holds_events: false,
            link: Link::new(chunking),
            closed: false,
        }
    }

    /// Brings a connection at which nothing has happened to this stage. The peer's offer,
    /// identification and keys may have been changed before.
    ///
    /// # Panics
    /// If the connection does anything but what is due.
    pub fn advance_to(&mut self, stage: Stage) {
        let is_client = E::ROLE == Role::Client;
        if stage >= Stage::Identified {
            self.peer.send_identification();
            self.exchange();
            assert!(self.peer.read_identification());
        }
        if stage >= Stage::KexInit {
            self.peer.send_kexinit();
            self.exchange();
            self.peer.expect(number::KEXINIT);
        }
        if stage >= Stage::BeforeNewKeys {
            if is_client {
                let init = self.peer.expect(number::KEX_ECDH_INIT);
                let reply = self.peer.make_reply(&init);
                self.peer.send_reply(&reply);
                self.exchange();
                E::advance(self, Stage::BeforeNewKeys);
            } else {
                self.peer.send_kex_init();
                self.exchange();
                let reply = self.peer.expect(number::KEX_ECDH_REPLY);
                self.peer.read_kex_reply(&reply);
            }
            self.peer.expect(number::NEWKEYS);
        }
        if stage >= Stage::NewKeys {
            self.peer.send_newkeys();
            self.exchange();
        }
        for next in [Stage::Service, Stage::Authenticated, Stage::Channel] {
            if stage >= next {
                E::advance(self, next);
            }
        }
        assert_eq!(self.ended, None);
    }

    /// A whole key exchange begun by the peer, at which both behave.
    pub fn rekey(&mut self) {
        self.peer.send_kexinit();
        self.exchange_answering_kex();
    }

    /// Exchanges bytes, the peer answering key exchange by itself; other packets are kept to be
    /// read.
    pub fn exchange_answering_kex(&mut self) {
        let mut others = Vec::new();
        loop {
            self.exchange();
            let mut answered = false;
            while let Some(packet) = self.peer.next_packet() {
                match packet.number() {
                    // Theirs, of their own accord: answered with ours first.
                    number::KEXINIT if self.peer.our_kexinit_is_stale() => {
                        self.peer.send_kexinit();
                        self.peer.answer_kex(&packet);
                        answered = true;
                    }
                    _ if self.peer.answer_kex(&packet) => answered = true,
                    _ => others.push(packet),
                }
            }
            if !answered {
                break;
            }
        }
        for packet in others.into_iter().rev() {
            self.peer.unread_packet(packet);
        }
    }
}

impl<E: Endpoint> Hostile<E> {
    /// Hands all bytes over, both ways, until none are left, and fetches events unless
    /// `holds_events`. Nothing is answered.
    ///
    /// # Panics
    /// If an event follows the terminal one, or output the last word (U3).
    pub fn exchange(&mut self) {
        loop {
            let out = self.peer.take_output();
            self.link.push(self.now, out);
            let mut busy = self.poll();
            while let Some(piece) = self.link.pull(self.now) {
                busy = true;
                self.connection.handle_input(self.now, piece);
                self.poll();
            }
            busy |= self.transmit();
            if !busy {
                return;
            }
        }
    }

    fn poll(&mut self) -> bool {
        let mut any = false;
        while !self.holds_events {
            let Some(event) = self.connection.next_event() else {
                break;
            };
            any = true;
            assert_eq!(self.ended, None, "U3: {event:?} after the end");
            self.ended = E::terminal(&event).cloned();
            self.events.push_back(event);
        }
        any
    }

    fn transmit(&mut self) -> bool {
        let mut any = false;
        loop {
            let mut out = BytesMut::new();
            let Some(transmit) = self.connection.poll_transmit(self.now, &mut out) else {
                if self.connection.is_closed() && !self.closed {
                    self.closed = true;
                    self.peer.feed_eof();
                }
                return any;
            };
            any = true;
            assert!(!self.closed, "U3: output after the last word");
            assert_eq!(transmit.size, out.len());
            self.peer.feed(&out);
            if transmit.then_close {
                self.closed = true;
                self.peer.feed_eof();
            }
        }
    }

    /// Lets time pass, stopping at deadlines.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        self.exchange();
        while let Some(deadline) = self.connection.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(deadline);
            self.connection.handle_timeout(self.now);
            self.exchange();
        }
        self.now = self.now.max(end);
    }

    /// The peer ends its direction.
    pub fn eof(&mut self) {
        self.exchange();
        self.connection.handle_eof(self.now);
        self.exchange();
    }

    /// Removes the first event that fits.
    ///
    /// # Panics
    /// If there is none.
    pub fn take_event(&mut self, fits: impl Fn(&E::Event) -> bool) -> E::Event {
        let at = self.events.iter().position(fits);
        let at = at.unwrap_or_else(|| panic!("no such event among {:?}", self.events));
        self.events.remove(at).expect("in range")
    }

    /// Reads packets up to one with this number; those before it go to `extras`.
    ///
    /// # Panics
    /// If it does not come.
    pub fn expect_skipping_extras(&mut self, number: u8) -> RawPacket {
        loop {
            let packet = self
                .peer
                .next_packet()
                .unwrap_or_else(|| panic!("no message {number}; the end: {:?}", self.ended));
            if packet.number() == number {
                return packet;
            }
            self.extras.push(packet);
        }
    }

    /// Sends a message and exchanges.
    pub fn send<'a>(&mut self, message: &impl Message<'a>) {
        self.peer.send(message);
        self.exchange();
    }

    /// Sends a payload and exchanges.
    pub fn send_payload(&mut self, payload: &[u8]) {
        self.peer.send_payload(payload);
        self.exchange();
    }

    /// Asserts that the connection has ended with this DISCONNECT as its last and only one, with
    /// one terminal event, and that it takes nothing more.
    ///
    /// # Panics
    /// If not.
    pub fn assert_disconnected(&mut self, reason: DisconnectReason) {
        self.exchange();
        let packets = self.peer.drain();
        assert_eq!(self.peer.disconnects, [reason], "the end: {:?}", self.ended);
        let last = packets.last().map(RawPacket::number);
        assert_eq!(
            last,
            Some(number::DISCONNECT),
            "DISCONNECT is the last packet"
        );
        self.assert_over();
    }

    /// Asserts that the connection has ended without a word.
    ///
    /// # Panics
    /// If not.
    pub fn assert_closed_silently(&mut self) {
        self.exchange();
        if self.peer.read_identification() {
            self.peer.drain();
        }
        assert_eq!(self.peer.disconnects, [], "nothing is said");
        self.assert_over();
    }

    fn assert_over(&mut self) {
        assert!(self.ended.is_some(), "U3: a terminal event");
        assert!(self.connection.is_closed());
        assert!(!self.connection.wants_read() && !self.connection.wants_write());
        assert_eq!(self.connection.poll_timeout(), None);
        // Later input changes nothing.
        let junk = TestRng::new(9).bytes(100);
        self.connection
            .handle_input(self.now, BytesMut::from(&junk[..]));
        self.connection.handle_eof(self.now);
        assert!(self.connection.next_event().is_none());
        let mut out = BytesMut::new();
        assert_eq!(self.connection.poll_transmit(self.now, &mut out), None);
        assert_eq!(out.len(), 0);
    }

    /// Asserts that the connection goes on and has said nothing.
    ///
    /// # Panics
    /// If not.
    pub fn assert_unmoved(&mut self) {
        self.exchange();
        assert_eq!(self.ended, None);
        assert_eq!(self.peer.drain(), []);
        assert_eq!(self.events.len(), 0, "{:?}", self.events);
    }
}
