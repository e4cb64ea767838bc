//! The connection protocol (RFC 4254): channels, windows, requests and ordered replies, as the engine drives them.
//!
//! Payloads come in decrypted and admitted; replies and requests leave through the outbox; data,
//! credit, EOF and CLOSE are pulled one message at a time, always after the outbox is empty, which
//! is what keeps a reply in front of the CLOSE of its channel. Nothing here knows of transport,
//! keys or time.

mod channel;
mod event;
mod global;
mod incoming;
mod interactive;
mod invite;
mod kind;
mod outgoing;
mod permit;
pub mod pty_mode;
mod recv;
mod reply;
mod request;
mod schedule;
mod send;
mod table;
#[cfg(test)]
mod tests;
mod types;

use alloc::collections::VecDeque;

use bytes::Bytes;

use self::channel::{Channel, Stage};
pub(crate) use self::event::{MuxEvent, Pulled};
use self::global::Globals;
pub use self::global::{GlobalReply, GlobalRequest};
use self::invite::Invitations;
pub use self::kind::{ChannelKind, PeerOpens};
use self::permit::Permit;
use self::recv::{Growth, RecvHalf};
pub use self::request::{ChannelRequest, ExitSignal, Pty, X11Cookie};
use self::schedule::Turns;
use self::send::{SendHalf, Sent};
use self::table::Table;
pub(crate) use self::types::RequestKey;
pub use self::types::{
    ChannelError, ChannelId, Chunk, DataStream, ExtendedData, OpenFailure, RequestId,
};
use crate::auth::Authenticated;
use crate::error::Error;
use crate::limits::{Limits, MAX_PACKET_LENGTH, MAX_REQUEST_TEXT, MIN_PEER_MAX_PACKET};
use crate::role::Role;
use crate::text::cut;
use crate::wire::Rest;
use crate::wire::connection as wire;
use crate::wire::outbox::Outbox;

/// The bounds of [`Limits`] that matter here.
struct Bounds {
    channels: usize,
    sessions: usize,
    pending_requests: usize,
    deferred_messages: usize,
    deferred_bytes: usize,
    env_requests: u32,
    window_size: u32,
    max_packet_size: u32,
    send_buffer: usize,
}

impl Bounds {
    fn new(limits: &Limits) -> Self {
        Self {
            channels: limits.channels,
            sessions: limits.sessions,
            pending_requests: limits.pending_requests,
            deferred_messages: limits.deferred_messages,
            deferred_bytes: limits.deferred_bytes,
            env_requests: limits.env_requests,
            window_size: limits.window_size,
            // A packet must hold the data, its header, padding and MAC.
            max_packet_size: limits
                .max_packet_size
                .clamp(MIN_PEER_MAX_PACKET, MAX_PACKET_LENGTH - 1024),
            send_buffer: limits.channel_send_buffer,
        }
    }

    /// Replies of one kind that may wait behind a question that the application leaves open.
    fn waiting_replies(&self) -> usize {
        self.pending_requests.saturating_add(self.deferred_messages)
    }

    fn is_full(&self, out: &Outbox) -> bool {
        out.is_full(self.deferred_messages, self.deferred_bytes)
    }
}

/// All channels of one connection, and its global requests.
pub(crate) struct Mux {
    role: Role,
    bounds: Bounds,
    table: Table<Channel>,
    /// Channels that owe credit.
    creditors: Turns,
    /// Channels that have something else to send.
    senders: Turns,
    globals: Globals,
    peer_opens: PeerOpens,
    permit: Permit,
    /// What this client asked for; beyond it `peer_opens` admits nothing that has a name here.
    invitations: Invitations,
    extended_data: ExtendedData,
    growth: Growth,
    /// The client opens no more sessions.
    no_more_sessions: bool,
    /// Session channels that the peer opened.
    sessions: usize,
    /// Opens and channel requests of the peer that await the application.
    unanswered: usize,
    /// Channel requests of the peer whose reply has not left, answered or not.
    waiting: usize,
    /// Bytes that the application has not read.
    unread: usize,
    unsolicited: u32,
    next_request: u64,
    user_data_seen: bool,
    events: VecDeque<MuxEvent>,
}

impl Mux {
    /// Begins the connection protocol. No channel exists before the proof of authentication, and none
    /// that it does not permit.
    pub(crate) fn new(role: Role, proof: &Authenticated, limits: &Limits) -> Self {
        Self {
            role,
            bounds: Bounds::new(limits),
            table: Table::new(),
            creditors: Turns::default(),
            senders: Turns::default(),
            globals: Globals::new(),
            peer_opens: PeerOpens::at_first(role),
            permit: Permit::new(proof.permissions()),
            invitations: Invitations::new(),
            extended_data: ExtendedData::default(),
            growth: Growth::new(limits),
            no_more_sessions: false,
            sessions: 0,
            unanswered: 0,
            waiting: 0,
            unread: 0,
            unsolicited: 0,
            next_request: 0,
            user_data_seen: false,
            events: VecDeque::new(),
        }
    }

    /// The next event. To be asked after every other call until there is none.
    pub(crate) fn poll_event(&mut self) -> Option<MuxEvent> {
        let event = self.events.pop_front()?;
        if self.events.is_empty() {
            self.events.shrink_to(4);
        }
        Some(event)
    }

    /// Whether [`Self::poll_event`] has something.
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Lets opens of these kinds come before the application from now on, and no others.
    pub(crate) fn allow_open(&mut self, kinds: PeerOpens) {
        self.peer_opens = kinds;
    }

    /// Delivers and sends this extended data from now on.
    pub(crate) fn pass_extended_data(&mut self, types: ExtendedData) {
        self.extended_data = types;
    }

    /// Bytes that the application has not read, of all channels.
    pub(crate) fn unread_bytes(&self) -> usize {
        self.unread
    }

    /// Whether channel data passed in either direction since this was last asked.
    pub(crate) fn take_user_data_seen(&mut self) -> bool {
        core::mem::take(&mut self.user_data_seen)
    }

    /// Opens a channel. `Opened` or `OpenFailed` tells the outcome.
    pub(crate) fn open(
        &mut self,
        kind: &ChannelKind,
        out: &mut Outbox,
    ) -> Result<ChannelId, ChannelError> {
        let wire_kind = kind.to_wire();
        kind::check_open(self.role, &wire_kind)?;
        if !self.permit.allows(&wire_kind) {
            return Err(ChannelError::Forbidden);
        }
        let flag = PeerOpens::of(&wire_kind);
        if flag == PeerOpens::SESSION && self.no_more_sessions {
            return Err(ChannelError::Finished);
        }
        if kind.text_len() > MAX_REQUEST_TEXT {
            return Err(ChannelError::TooLong);
        }
        if self.table.len() >= self.bounds.channels || self.bounds.is_full(out) {
            return Err(ChannelError::Blocked);
        }
        let (window_size, max_packet_size) = (self.bounds.window_size, self.bounds.max_packet_size);
        let send = SendHalf::new(self.bounds.send_buffer);
        let recv = RecvHalf::new(window_size, max_packet_size);
        let channel = Channel::new(Stage::Opening, flag, send, recv);
        let id = self.table.insert(channel).ok_or(ChannelError::Blocked)?;
        out.push(&wire::ChannelOpen {
            kind: wire_kind,
            sender: id.index,
            window_size,
            max_packet_size,
        });
        Ok(id)
    }

    /// Confirms a channel that the peer asked for.
    pub(crate) fn accept_open(
        &mut self,
        id: ChannelId,
        out: &mut Outbox,
    ) -> Result<(), ChannelError> {
        let channel = asked(&mut self.table, id)?;
        channel.stage = Stage::Open;
        self.unanswered = self.unanswered.saturating_sub(1);
        out.push(&wire::ChannelOpenConfirmation {
            recipient: channel.send.recipient,
            sender: id.index,
            window_size: channel.recv.window(),
            max_packet_size: channel.recv.max_packet(),
            body: Rest(&[]),
        });
        Ok(())
    }

    /// Refuses a channel that the peer asked for; the id is gone. The description is cut where it is too long.
    pub(crate) fn reject_open(
        &mut self,
        id: ChannelId,
        reason: OpenFailure,
        description: &str,
        out: &mut Outbox,
    ) -> Result<(), ChannelError> {
        let recipient = asked(&mut self.table, id)?.send.recipient;
        self.unanswered = self.unanswered.saturating_sub(1);
        self.remove(id);
        out.push(&wire::ChannelOpenFailure {
            recipient,
            reason: reason.0,
            description: cut(description, MAX_REQUEST_TEXT).as_bytes(),
            language: &[],
        });
        Ok(())
    }

    /// Takes data that was received, if there is any, and credits it to the peer.
    pub(crate) fn read(&mut self, id: ChannelId) -> Result<Option<Chunk>, ChannelError> {
        let channel = self.table.get_mut(id).ok_or(ChannelError::Closed)?;
        channel.check_open()?;
        let chunk = channel.recv.read();
        if let Some(chunk) = &chunk {
            self.unread = self.unread.saturating_sub(chunk.bytes.len());
            self.update(id);
        }
        Ok(chunk)
    }

    /// Bytes that wait to be read.
    pub(crate) fn readable_bytes(&self, id: ChannelId) -> Result<usize, ChannelError> {
        let channel = self.table.get(id).ok_or(ChannelError::Closed)?;
        channel.check_open()?;
        Ok(channel.recv.unread())
    }

    /// Brings the receive window to this size from now on.
    pub(crate) fn set_window_size(
        &mut self,
        id: ChannelId,
        bytes: u32,
    ) -> Result<(), ChannelError> {
        let channel = self.table.get_mut(id).ok_or(ChannelError::Closed)?;
        channel.check_open()?;
        channel.recv.resize(bytes, &mut self.growth);
        self.update(id);
        Ok(())
    }

    /// Queues as much of `data` as there is room for and says how much. After a short write, one
    /// `Writable` follows once half of the room is free.
    pub(crate) fn write(
        &mut self,
        id: ChannelId,
        stream: DataStream,
        data: &[u8],
    ) -> Result<usize, ChannelError> {
        let taken = self.writable(id, stream)?.write(stream, data)?;
        self.update(id);
        Ok(taken)
    }

    /// The same without copying: splits off what it takes.
    pub(crate) fn write_bytes(
        &mut self,
        id: ChannelId,
        stream: DataStream,
        data: &mut Bytes,
    ) -> Result<usize, ChannelError> {
        let taken = self.writable(id, stream)?.write_bytes(stream, data)?;
        self.update(id);
        Ok(taken)
    }

    /// Bytes that a write would take now.
    pub(crate) fn writable_bytes(&self, id: ChannelId) -> Result<usize, ChannelError> {
        let channel = self.table.get(id).ok_or(ChannelError::Closed)?;
        channel.check_open()?;
        channel.send.room()
    }

    /// Sends EOF behind the queued data.
    pub(crate) fn finish(&mut self, id: ChannelId) -> Result<(), ChannelError> {
        let channel = self.table.get_mut(id).ok_or(ChannelError::Closed)?;
        channel.check_open()?;
        channel.send.finish()?;
        self.update(id);
        Ok(())
    }

    /// Sends CLOSE behind what is queued and discards what was and will be received. A channel that
    /// the peer has yet to confirm is closed once it is. `Closed` tells the end. A second call gives up
    /// what is queued: a peer that opens its window no more must not keep the channel.
    pub(crate) fn close(&mut self, id: ChannelId) -> Result<(), ChannelError> {
        let channel = self.table.get_mut(id).ok_or(ChannelError::Closed)?;
        if channel.stage == Stage::Asked {
            return Err(ChannelError::NotOpen);
        }
        match channel.dropped {
            true => {
                channel.send.abandon();
            }
            false => channel.send.close(),
        }
        channel.dropped = true;
        self.unread = self.unread.saturating_sub(channel.recv.discard_all());
        self.update(id);
        Ok(())
    }

    /// Whether `poll_transmit` would send something.
    pub(crate) fn wants_transmit(&self) -> bool {
        !(self.creditors.is_empty() && self.senders.is_empty())
    }

    /// Sends one message: credit first, then what the next channel in turn has. To be called with
    /// an empty outbox only. Whether there was something.
    pub(crate) fn poll_transmit(
        &mut self,
        emit: &mut dyn FnMut(Pulled<'_>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        const MISSING: Error = Error::Internal("a scheduled channel is gone");
        if let Some(id) = self.creditors.first() {
            let channel = self.table.get_mut(id).ok_or(MISSING)?;
            let recipient = channel.send.recipient;
            let bytes = channel.recv.credit(&mut self.growth);
            emit(Pulled::WindowAdjust(wire::ChannelWindowAdjust {
                recipient,
                bytes,
            }))?;
            self.update(id);
            return Ok(true);
        }
        let Some(id) = self.senders.first() else {
            return Ok(false);
        };
        let channel = self.table.get_mut(id).ok_or(MISSING)?;
        match channel.send.pull(emit)? {
            Sent::Data => {
                self.user_data_seen = true;
                if channel.send.take_writable() {
                    self.events.push_back(MuxEvent::Writable { id });
                }
            }
            Sent::Close => self.forget_requests(id),
            Sent::Other => {}
        }
        if self.table.get(id).is_some_and(Channel::is_ready) {
            self.senders.rotate();
        }
        self.update(id);
        Ok(true)
    }

    /// The sending half, if this stream may be written.
    fn writable(
        &mut self,
        id: ChannelId,
        stream: DataStream,
    ) -> Result<&mut SendHalf, ChannelError> {
        let channel = self.table.get_mut(id).ok_or(ChannelError::Closed)?;
        channel.check_open()?;
        if stream != DataStream::Data
            && self.role == Role::Client
            && self.extended_data != ExtendedData::All
        {
            return Err(ChannelError::WrongRole);
        }
        Ok(&mut channel.send)
    }

    /// Brings the turns in line with the state of a channel, and frees it if it is done. To be
    /// called after every change.
    fn update(&mut self, id: ChannelId) {
        let Some(channel) = self.table.get_mut(id) else {
            return;
        };
        if channel.is_ready() {
            self.senders.join(id, &mut channel.is_sender);
        } else {
            self.senders.leave(id, &mut channel.is_sender);
        }
        if channel.owes_credit() {
            self.creditors.join(id, &mut channel.is_creditor);
        } else {
            self.creditors.leave(id, &mut channel.is_creditor);
        }
        if channel.is_done() {
            self.remove(id);
            self.events.push_back(MuxEvent::Closed { id });
        }
    }

    /// Frees a channel that is in no turn.
    fn remove(&mut self, id: ChannelId) {
        self.forget_requests(id);
        if let Some(channel) = self.table.remove(id) {
            self.growth.give_back(channel.recv.grown());
            self.invitations.session_gone(id);
            if channel.is_peers_session {
                self.sessions = self.sessions.saturating_sub(1);
            }
        }
    }

    /// Nothing can be answered on this channel any more.
    fn forget_requests(&mut self, id: ChannelId) {
        if let Some(channel) = self.table.get_mut(id) {
            let theirs = &mut channel.theirs;
            self.unanswered = self.unanswered.saturating_sub(theirs.unanswered());
            self.waiting = self.waiting.saturating_sub(theirs.len());
            theirs.clear();
        }
    }
}

/// The channel of this id, if the peer asked for it and has no answer yet.
fn asked(table: &mut Table<Channel>, id: ChannelId) -> Result<&mut Channel, ChannelError> {
    table
        .get_mut(id)
        .filter(|channel| channel.stage == Stage::Asked)
        .ok_or(ChannelError::Closed)
}
