//! Requests of ours and answers to the peer's, as they enter the outbox (RFC 4254 sections 4 and 5.4).

use bytes::{Bytes, BytesMut};

use super::Mux;
use super::global::{Asked, GlobalRequest};
use super::request::ChannelRequest;
use super::types::{ChannelError, ChannelId, RequestId, RequestKey};
use crate::limits::MAX_REQUEST_TEXT;
use crate::wire::connection as wire;
use crate::wire::outbox::Outbox;
use crate::wire::{Message, Rest};

/// Name and fixed fields of a request, at most.
const REQUEST_OVERHEAD: usize = 256;

impl Mux {
    /// Sends a request on a channel. With `want_reply`, `RequestReply` follows under the id returned.
    ///
    /// How the command ended goes out behind the data queued before, without reply; everything else at once.
    pub(crate) fn request(
        &mut self,
        id: ChannelId,
        request: &ChannelRequest,
        want_reply: bool,
        out: &mut Outbox,
    ) -> Result<Option<RequestId>, ChannelError> {
        let channel = self.table.get_mut(id).ok_or(ChannelError::Closed)?;
        channel.check_open()?;
        if channel.send.is_closing() {
            return Err(ChannelError::Closed);
        }
        request.check_send(self.role)?;
        if request.text_len() > MAX_REQUEST_TEXT {
            return Err(ChannelError::TooLong);
        }
        let has_pty = matches!(request, ChannelRequest::Pty(_));
        let modes = match request {
            ChannelRequest::Pty(pty) => wire::encode_terminal_modes(&pty.modes),
            _ => alloc::vec::Vec::new(),
        };
        let want_reply = want_reply && request.takes_reply();
        let message = wire::ChannelRequest {
            recipient: channel.send.recipient,
            kind: request.to_wire(&modes),
            want_reply,
        };
        if request.is_exit() {
            let mut payload = BytesMut::new();
            message.to_payload(&mut payload);
            channel.send.exit(payload.freeze())?;
            self.update(id);
            return Ok(None);
        }
        if self.bounds.is_full(out)
            || want_reply && channel.ours.len() >= self.bounds.pending_requests
        {
            return Err(ChannelError::Blocked);
        }
        if let ChannelRequest::X11 { .. } = request {
            let size = request.text_len().saturating_add(REQUEST_OVERHEAD);
            out.push_secret(&message, size);
        } else {
            out.push(&message);
        }
        channel.has_pty |= has_pty;
        let reply = want_reply.then(|| {
            let id = next_request(&mut self.next_request);
            channel.ours.push_back(id);
            id
        });
        self.invitations.asked(id, request, reply);
        Ok(reply)
    }

    /// Answers a request of the peer; the reply leaves when all before it are answered.
    pub(crate) fn answer_request(
        &mut self,
        id: ChannelId,
        key: RequestKey,
        success: bool,
        out: &mut Outbox,
    ) -> Result<(), ChannelError> {
        let channel = self.table.get_mut(id).ok_or(ChannelError::Closed)?;
        channel.answer(key, success)?;
        if key != RequestKey(None) {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        self.release_replies(id, out);
        Ok(())
    }

    /// Sends a global request. With `want_reply`, `GlobalReply` follows under the id returned.
    pub(crate) fn global_request(
        &mut self,
        request: &GlobalRequest,
        want_reply: bool,
        out: &mut Outbox,
    ) -> Result<Option<RequestId>, ChannelError> {
        request.check_send(self.role)?;
        if request.text_len() > MAX_REQUEST_TEXT {
            return Err(ChannelError::TooLong);
        }
        let want_reply = want_reply && request.takes_reply();
        if self.bounds.is_full(out)
            || want_reply && self.globals.ours.len() >= self.bounds.pending_requests
            || !self.invitations.has_room(request)
        {
            return Err(ChannelError::Blocked);
        }
        if *request == GlobalRequest::NoMoreSessions {
            self.no_more_sessions = true;
        }
        out.push(&wire::GlobalRequest {
            kind: request.to_wire(),
            want_reply,
        });
        let reply = want_reply.then(|| {
            let id = next_request(&mut self.next_request);
            self.globals.ours.push_back(Asked::new(id, request));
            id
        });
        self.invitations.global_asked(request, reply);
        Ok(reply)
    }

    /// Awaits no reply any more to our oldest global request, if it is this one.
    pub(crate) fn forget_global(&mut self, request: RequestId) -> bool {
        let ours = &mut self.globals.ours;
        ours.front().is_some_and(|asked| asked.id == request) && ours.pop_front().is_some()
    }

    /// Answers a global request of the peer; the reply leaves when all before it are answered.
    pub(crate) fn answer_global(
        &mut self,
        key: RequestKey,
        result: Result<&[u8], ()>,
        out: &mut Outbox,
    ) -> Result<(), ChannelError> {
        if result.is_ok_and(|body| body.len() > MAX_REQUEST_TEXT) {
            return Err(ChannelError::TooLong);
        }
        let reply = result.map(Bytes::copy_from_slice);
        self.globals.theirs.answer(key, reply)?;
        self.release_global_replies(out);
        Ok(())
    }

    /// Sends the replies of a channel whose turn has come.
    pub(super) fn release_replies(&mut self, id: ChannelId, out: &mut Outbox) {
        let Some(channel) = self.table.get_mut(id) else {
            return;
        };
        let recipient = channel.send.recipient;
        while let Some(success) = channel.theirs.pop_ready() {
            self.waiting = self.waiting.saturating_sub(1);
            if success {
                out.push(&wire::ChannelSuccess { recipient });
            } else {
                out.push(&wire::ChannelFailure { recipient });
            }
        }
    }

    /// Sends the global replies whose turn has come.
    pub(super) fn release_global_replies(&mut self, out: &mut Outbox) {
        while let Some(reply) = self.globals.theirs.pop_ready() {
            match reply {
                Ok(body) => out.push(&wire::RequestSuccess { body: Rest(&body) }),
                Err(()) => out.push(&wire::RequestFailure {}),
            }
        }
    }
}

fn next_request(next: &mut u64) -> RequestId {
    let id = RequestId(*next);
    *next = next.saturating_add(1);
    id
}
