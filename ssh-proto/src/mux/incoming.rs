//! Messages of the peer: which may come when, and what each does (RFC 4254 section 9).

use bytes::Bytes;

use super::Mux;
use super::channel::{Channel, Stage};
use super::event::MuxEvent;
use super::global::{GlobalReply, GlobalRequest, is_keepalive, is_port};
use super::kind::{ChannelKind, PeerOpens};
use super::recv::RecvHalf;
use super::request::ChannelRequest;
use super::send::SendHalf;
use super::table::Table;
use super::types::{ChannelId, DataStream, ExtendedData, OpenFailure, RequestKey};
use crate::error::{DecodeError, Error, Limit, PeerMisbehaved};
use crate::limits::{MAX_NAME, MAX_UNSOLICITED_REPLIES, MIN_PEER_MAX_PACKET};
use crate::role::Role;
use crate::text::PeerText;
use crate::wire::connection as wire;
use crate::wire::connection::ChannelOpenKind;
use crate::wire::outbox::Outbox;
use crate::wire::{decode, number};

impl Mux {
    /// Takes one payload of the numbers 80 to 100. With `retain_copy`, data is copied out of it
    /// instead of being kept as a slice. Events follow from `poll_event`.
    pub(crate) fn handle(
        &mut self,
        payload: Bytes,
        retain_copy: bool,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let number = payload.first().copied().unwrap_or_default();
        match number {
            number::GLOBAL_REQUEST => self.global_requested(decode(&payload)?, out),
            number::REQUEST_SUCCESS => {
                let wire::RequestSuccess { body } = decode(&payload)?;
                self.global_replied(Some(body.0))
            }
            number::REQUEST_FAILURE => {
                let wire::RequestFailure {} = decode(&payload)?;
                self.global_replied(None)
            }
            number::CHANNEL_OPEN => self.open_requested(&decode(&payload)?, out),
            number::CHANNEL_OPEN_CONFIRMATION => self.confirmed(&decode(&payload)?),
            number::CHANNEL_OPEN_FAILURE => self.open_failed(&decode(&payload)?),
            number::CHANNEL_WINDOW_ADJUST => self.window_adjusted(&decode(&payload)?),
            number::CHANNEL_DATA => {
                let wire::ChannelData { recipient, data } = decode(&payload)?;
                self.data(recipient, DataStream::Data, data, &payload, retain_copy)
            }
            number::CHANNEL_EXTENDED_DATA => {
                let message: wire::ChannelExtendedData<'_> = decode(&payload)?;
                let stream = DataStream::Extended(message.data_type);
                let (recipient, data) = (message.recipient, message.data);
                self.data(recipient, stream, data, &payload, retain_copy)
            }
            number::CHANNEL_EOF => self.ended(&decode(&payload)?),
            number::CHANNEL_CLOSE => self.closed(&decode(&payload)?),
            number::CHANNEL_REQUEST => self.requested(&decode(&payload)?, out),
            number::CHANNEL_SUCCESS => {
                let wire::ChannelSuccess { recipient } = decode(&payload)?;
                self.replied(recipient, true)
            }
            number::CHANNEL_FAILURE => {
                let wire::ChannelFailure { recipient } = decode(&payload)?;
                self.replied(recipient, false)
            }
            number => Err(PeerMisbehaved::UnexpectedMessage(number).into()),
        }
    }

    fn open_requested(
        &mut self,
        open: &wire::ChannelOpen<'_>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let kind = PeerOpens::of(&open.kind);
        if kind == PeerOpens::SESSION && self.no_more_sessions && self.role == Role::Server {
            return Err(PeerMisbehaved::NoMoreSessions.into());
        }
        let mut send = SendHalf::new(self.bounds.send_buffer);
        send.connect(open.sender, open.window_size, open.max_packet_size);
        let recv = RecvHalf::new(self.bounds.window_size, self.bounds.max_packet_size);
        let channel = Channel::new(Stage::Asked, kind, send, recv);
        let is_session = channel.is_peers_session;
        let id = self.check_open(open, kind).and_then(|()| {
            self.table
                .insert(channel)
                .ok_or(OpenFailure::RESOURCE_SHORTAGE)
        });
        match id {
            Ok(id) => {
                self.unanswered = self.unanswered.saturating_add(1);
                self.sessions = self.sessions.saturating_add(usize::from(is_session));
                let kind = ChannelKind::from_wire(&open.kind);
                self.events.push_back(MuxEvent::OpenRequested { id, kind });
                self.invitations.follow(&open.kind);
            }
            Err(reason) => out.push(&wire::ChannelOpenFailure {
                recipient: open.sender,
                reason: reason.0,
                description: reason.text().as_bytes(),
                language: &[],
            }),
        }
        Ok(())
    }

    /// Whether an open comes before the application, or why it is refused here.
    fn check_open(&self, open: &wire::ChannelOpen<'_>, kind: PeerOpens) -> Result<(), OpenFailure> {
        let admitted = self
            .peer_opens
            .intersection(PeerOpens::openable_by(self.role.peer()));
        match &open.kind {
            ChannelOpenKind::Unknown { name, .. }
                if name.is_empty() || name.len() > MAX_NAME || !admitted.contains(kind) =>
            {
                return Err(OpenFailure::UNKNOWN_CHANNEL_TYPE);
            }
            _ if !admitted.contains(kind)
                || !self.permit.allows(&open.kind)
                || self.role == Role::Client
                    && kind != PeerOpens::UNKNOWN
                    && !self.invitations.admit(&open.kind) =>
            {
                return Err(OpenFailure::ADMINISTRATIVELY_PROHIBITED);
            }
            ChannelOpenKind::DirectTcpip(tcpip) | ChannelOpenKind::ForwardedTcpip(tcpip)
                if !is_port(tcpip.port) =>
            {
                return Err(OpenFailure::CONNECT_FAILED);
            }
            _ => {}
        }
        if open.max_packet_size < MIN_PEER_MAX_PACKET {
            return Err(OpenFailure::CONNECT_FAILED);
        }
        if self.table.len() >= self.bounds.channels
            || self.unanswered() >= self.bounds.pending_requests
            || kind == PeerOpens::SESSION && self.sessions >= self.bounds.sessions
        {
            return Err(OpenFailure::RESOURCE_SHORTAGE);
        }
        Ok(())
    }

    fn confirmed(&mut self, message: &wire::ChannelOpenConfirmation<'_>) -> Result<(), Error> {
        let (id, channel) = opening(&mut self.table, message.recipient)?;
        if message.max_packet_size < MIN_PEER_MAX_PACKET {
            return Err(PeerMisbehaved::BadMaximumPacketSize.into());
        }
        channel.stage = Stage::Open;
        channel
            .send
            .connect(message.sender, message.window_size, message.max_packet_size);
        self.events.push_back(MuxEvent::Opened { id });
        self.update(id);
        Ok(())
    }

    fn open_failed(&mut self, message: &wire::ChannelOpenFailure<'_>) -> Result<(), Error> {
        let (id, _) = opening(&mut self.table, message.recipient)?;
        let text =
            core::str::from_utf8(message.description).map_err(|_| Error::InvalidMessage {
                number: number::CHANNEL_OPEN_FAILURE,
                error: DecodeError::BadText,
            })?;
        self.remove(id);
        self.events.push_back(MuxEvent::OpenFailed {
            id,
            reason: OpenFailure(message.reason),
            description: PeerText::new(text.as_bytes()),
        });
        Ok(())
    }

    /// Whether the peer has closed this channel, or there is none.
    fn is_gone(&self, recipient: u32) -> bool {
        let id = self.table.find(recipient);
        let channel = id.and_then(|id| self.table.get(id));
        channel.is_none_or(|channel| channel.recv.is_closed())
    }

    fn window_adjusted(&mut self, message: &wire::ChannelWindowAdjust) -> Result<(), Error> {
        // As OpenSSH: an adjust may be late. Whether our CLOSE has left must make no difference.
        if self.is_gone(message.recipient) {
            return Ok(());
        }
        let (id, channel) = open_channel(&mut self.table, message.recipient)?;
        channel.send.extend_window(message.bytes)?;
        self.update(id);
        Ok(())
    }

    fn data(
        &mut self,
        recipient: u32,
        stream: DataStream,
        data: &[u8],
        payload: &Bytes,
        retain_copy: bool,
    ) -> Result<(), Error> {
        let (id, channel) = open_channel(&mut self.table, recipient)?;
        channel.recv.charge(data.len())?;
        if data.is_empty() {
            return Ok(());
        }
        self.user_data_seen = true;
        let is_known = stream == DataStream::Data
            || self.extended_data == ExtendedData::All
            || stream == DataStream::STDERR && self.role == Role::Client;
        if channel.dropped || !is_known {
            // Not unread, so credit is owed for it.
            self.update(id);
            return Ok(());
        }
        if channel.recv.unread() == 0 {
            self.events.push_back(MuxEvent::Readable { id });
        }
        channel.recv.keep(stream, data, payload, retain_copy);
        self.unread = self.unread.saturating_add(data.len());
        self.update(id);
        Ok(())
    }

    fn ended(&mut self, message: &wire::ChannelEof) -> Result<(), Error> {
        let (id, channel) = open_channel(&mut self.table, message.recipient)?;
        if channel.recv.end() && !channel.dropped {
            self.events.push_back(MuxEvent::Eof { id });
        }
        self.update(id);
        Ok(())
    }

    fn closed(&mut self, message: &wire::ChannelClose) -> Result<(), Error> {
        let (id, channel) = open_channel(&mut self.table, message.recipient)?;
        channel.recv.close();
        if channel.send.abandon() {
            self.events.push_back(MuxEvent::Writable { id });
        }
        self.forget_requests(id);
        self.update(id);
        Ok(())
    }

    fn requested(
        &mut self,
        message: &wire::ChannelRequest<'_>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let unanswered = self.unanswered();
        let (id, channel) = open_channel(&mut self.table, message.recipient)?;
        let request = ChannelRequest::from_wire(&message.kind).filter(|request| {
            !is_keepalive(message.kind.name())
                && self.permit.allows(request)
                && channel.admits(request, self.role.peer(), self.bounds.env_requests)
        });
        // Behind our CLOSE nothing can be answered. Once the application has closed, nothing matters
        // to it but how the command ended.
        let want_reply = message.want_reply && !channel.send.is_closed();
        if want_reply {
            if self.waiting >= self.bounds.waiting_replies() {
                return Err(Limit::DeferredOutput.into());
            }
            self.waiting = self.waiting.saturating_add(1);
        }
        let event = match request {
            Some(ChannelRequest::ExitStatus(code)) => Some(MuxEvent::ExitStatus { id, code }),
            Some(ChannelRequest::ExitSignal(signal)) => Some(MuxEvent::ExitSignal { id, signal }),
            Some(request)
                if !channel.dropped
                    && (!want_reply || unanswered < self.bounds.pending_requests) =>
            {
                let key = if want_reply {
                    self.unanswered = self.unanswered.saturating_add(1);
                    channel.theirs.ask()
                } else {
                    RequestKey(None)
                };
                if request.starts_program() {
                    channel.program_asked(key);
                }
                self.permit.note(&request);
                self.events.push_back(MuxEvent::Request {
                    id,
                    key,
                    request,
                    want_reply,
                });
                return Ok(());
            }
            _ => None,
        };
        if want_reply {
            channel.theirs.settle(event.is_some());
        }
        self.events.extend(event);
        self.release_replies(id, out);
        Ok(())
    }

    fn replied(&mut self, recipient: u32, success: bool) -> Result<(), Error> {
        // Our request and the peer's CLOSE may have crossed.
        if self.is_gone(recipient) {
            return self.unsolicited();
        }
        let (id, channel) = open_channel(&mut self.table, recipient)?;
        let Some(request) = channel.ours.pop_front() else {
            return self.unsolicited();
        };
        if channel.ours.is_empty() {
            channel.ours.shrink_to(4);
        }
        self.invitations.answered(request, success, None);
        if !channel.dropped {
            self.events.push_back(MuxEvent::RequestReply {
                id,
                request,
                success,
            });
        }
        Ok(())
    }

    fn global_requested(
        &mut self,
        message: wire::GlobalRequest<'_>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let want_reply = message.want_reply;
        if want_reply && self.globals.theirs.len() >= self.bounds.waiting_replies() {
            return Err(Limit::DeferredOutput.into());
        }
        let request = GlobalRequest::from_wire(&message.kind)
            .filter(|request| request.is_sent_by(self.role.peer()) && self.permit.allows(request));
        let settled = match request {
            Some(GlobalRequest::NoMoreSessions) => {
                self.no_more_sessions = true;
                Ok(Bytes::new())
            }
            Some(request)
                if request != GlobalRequest::Keepalive
                    && (!want_reply || self.unanswered() < self.bounds.pending_requests) =>
            {
                let key = if want_reply {
                    self.globals.theirs.ask()
                } else {
                    RequestKey(None)
                };
                self.events.push_back(MuxEvent::GlobalRequest {
                    key,
                    request,
                    want_reply,
                });
                return Ok(());
            }
            _ => Err(()),
        };
        if want_reply {
            self.globals.theirs.settle(settled);
            self.release_global_replies(out);
        }
        Ok(())
    }

    /// Takes the reply to our oldest global request: its body if it succeeded.
    fn global_replied(&mut self, body: Option<&[u8]>) -> Result<(), Error> {
        let Some(asked) = self.globals.ours.pop_front() else {
            return self.unsolicited();
        };
        if self.globals.ours.is_empty() {
            self.globals.ours.shrink_to(4);
        }
        let result = body.and_then(|body| asked.reply(body)).ok_or(());
        let port = result.as_ref().ok().and_then(GlobalReply::port);
        self.invitations.answered(asked.id, result.is_ok(), port);
        self.events.push_back(MuxEvent::GlobalReply {
            request: asked.id,
            result,
        });
        Ok(())
    }

    /// Counts a reply to nothing.
    fn unsolicited(&mut self) -> Result<(), Error> {
        self.unsolicited = self.unsolicited.saturating_add(1);
        if self.unsolicited > MAX_UNSOLICITED_REPLIES {
            return Err(PeerMisbehaved::UnsolicitedReplies.into());
        }
        Ok(())
    }

    /// Opens and requests of the peer that await the application.
    fn unanswered(&self) -> usize {
        self.unanswered
            .saturating_add(self.globals.theirs.unanswered())
    }
}

/// A channel on which the peer may send.
fn open_channel(
    table: &mut Table<Channel>,
    number: u32,
) -> Result<(ChannelId, &mut Channel), Error> {
    find(table, number, Channel::takes_frames)
}

/// A channel that we asked for and the peer has not answered.
fn opening(table: &mut Table<Channel>, number: u32) -> Result<(ChannelId, &mut Channel), Error> {
    find(table, number, |channel| channel.stage == Stage::Opening)
}

fn find(
    table: &mut Table<Channel>,
    number: u32,
    allowed: fn(&Channel) -> bool,
) -> Result<(ChannelId, &mut Channel), Error> {
    let id = table.find(number);
    id.and_then(|id| table.get_mut(id).map(|channel| (id, channel)))
        .filter(|(_, channel)| allowed(channel))
        .ok_or(Error::PeerMisbehaved(PeerMisbehaved::BadChannelState))
}
