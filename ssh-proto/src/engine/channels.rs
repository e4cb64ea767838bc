//! The application's calls on channels and global requests, and the events that come of them.

use bytes::Bytes;

use super::event::{Event, RequestRefused};
use super::side::Side;
use super::token::{IncomingChannel, IncomingGlobalRequest, IncomingRequest, Stub, Ticket};
use super::{Core, Question};
use crate::error::ApiMisuse;
use crate::limits::MAX_REQUEST_TEXT;
use crate::mux::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, Chunk, DataStream, GlobalRequest, Mux,
    MuxEvent, OpenFailure, RequestId,
};
use crate::wire::extension::Ping;
use crate::wire::outbox::Outbox;
use crate::wire::transport::{Debug, Ignore};

impl<S: Side> Core<S> {
    /// The channels, where the connection is open and authenticated.
    fn open_mux(&mut self) -> Result<(&mut Mux, &mut Outbox), ChannelError> {
        match &mut self.mux {
            Some(mux) if matches!(self.life, super::Life::Open) => Ok((mux, &mut self.outbox)),
            Some(_) => Err(ChannelError::Closed),
            None => Err(ChannelError::NotOpen),
        }
    }

    /// As [`Self::open_mux`], for calls that queue something: refused while the queue is full.
    pub(super) fn queueing_mux(&mut self) -> Result<(&mut Mux, &mut Outbox), ChannelError> {
        let limits = &self.settings.limits;
        if self
            .outbox
            .is_full(limits.deferred_messages, limits.deferred_bytes)
        {
            return Err(ChannelError::Blocked);
        }
        self.open_mux()
    }

    pub(crate) fn open_channel(&mut self, kind: &ChannelKind) -> Result<ChannelId, ChannelError> {
        let (mux, outbox) = self.queueing_mux()?;
        mux.open(kind, outbox)
    }

    pub(crate) fn request(
        &mut self,
        channel: ChannelId,
        request: &ChannelRequest,
        want_reply: bool,
    ) -> Result<Option<RequestId>, ChannelError> {
        let (mux, outbox) = self.queueing_mux()?;
        mux.request(channel, request, want_reply, outbox)
    }

    pub(crate) fn global_request(
        &mut self,
        request: &GlobalRequest,
        want_reply: bool,
    ) -> Result<Option<RequestId>, ChannelError> {
        let (mux, outbox) = self.queueing_mux()?;
        mux.global_request(request, want_reply, outbox)
    }

    /// What was received before the end can be read after it.
    pub(crate) fn read(&mut self, channel: ChannelId) -> Result<Option<Chunk>, ChannelError> {
        self.mux
            .as_mut()
            .ok_or(ChannelError::NotOpen)?
            .read(channel)
    }

    pub(crate) fn readable_bytes(&self, channel: ChannelId) -> Result<usize, ChannelError> {
        self.mux
            .as_ref()
            .ok_or(ChannelError::NotOpen)?
            .readable_bytes(channel)
    }

    pub(crate) fn set_window_size(
        &mut self,
        channel: ChannelId,
        bytes: u32,
    ) -> Result<(), ChannelError> {
        self.open_mux()?.0.set_window_size(channel, bytes)
    }

    pub(crate) fn write(
        &mut self,
        channel: ChannelId,
        stream: DataStream,
        data: &[u8],
    ) -> Result<usize, ChannelError> {
        self.open_mux()?.0.write(channel, stream, data)
    }

    pub(crate) fn write_bytes(
        &mut self,
        channel: ChannelId,
        stream: DataStream,
        data: &mut Bytes,
    ) -> Result<usize, ChannelError> {
        self.open_mux()?.0.write_bytes(channel, stream, data)
    }

    pub(crate) fn writable_bytes(&self, channel: ChannelId) -> Result<usize, ChannelError> {
        match &self.mux {
            Some(mux) if self.is_open() => mux.writable_bytes(channel),
            Some(_) => Err(ChannelError::Closed),
            None => Err(ChannelError::NotOpen),
        }
    }

    pub(crate) fn finish(&mut self, channel: ChannelId) -> Result<(), ChannelError> {
        self.open_mux()?.0.finish(channel)
    }

    pub(crate) fn close_channel(&mut self, channel: ChannelId) -> Result<(), ChannelError> {
        self.open_mux()?.0.close(channel)
    }

    // Extras of the transport.

    fn queueing_outbox(&mut self) -> Result<&mut Outbox, ChannelError> {
        self.queueing_mux().map(|(_, outbox)| outbox)
    }

    pub(crate) fn send_ignore(&mut self, data: &[u8]) -> Result<(), ChannelError> {
        let data = short(data)?;
        self.queueing_outbox()?.push(&Ignore { data });
        Ok(())
    }

    pub(crate) fn send_debug(
        &mut self,
        always_display: bool,
        text: &str,
    ) -> Result<(), ChannelError> {
        let message = short(text.as_bytes())?;
        self.queueing_outbox()?.push(&Debug {
            always_display,
            message,
            language: b"",
        });
        Ok(())
    }

    pub(crate) fn ping(&mut self, data: &[u8]) -> Result<(), ChannelError> {
        if !self.peer_answers_pings {
            return Err(ChannelError::WrongRole);
        }
        let data = short(data)?;
        self.queueing_outbox()?.push(&Ping { data });
        Ok(())
    }

    // Answers.

    fn redeem(&mut self, ticket: Ticket) -> Result<(), ApiMisuse> {
        let stub = ticket.redeem(&self.desk)?;
        let at = self
            .questions
            .iter()
            .position(|(_, open)| open.is_of(&stub));
        self.questions.swap_remove(at.ok_or(ApiMisuse::StaleToken)?);
        Ok(())
    }

    fn answer_on_mux(
        &mut self,
        ticket: Ticket,
        answer: impl FnOnce(&mut Mux, &mut Outbox) -> Result<(), ChannelError>,
    ) -> Result<(), ApiMisuse> {
        self.redeem(ticket)?;
        let (mux, outbox) = self.open_mux().map_err(|_| ApiMisuse::StaleToken)?;
        answer(mux, outbox).map_err(|error| match error {
            ChannelError::TooLong | ChannelError::Invalid => ApiMisuse::InvalidText,
            _ => ApiMisuse::StaleToken,
        })
    }

    pub(crate) fn accept_channel(
        &mut self,
        token: IncomingChannel,
    ) -> Result<ChannelId, ApiMisuse> {
        let id = token.id;
        self.answer_on_mux(token.ticket, |mux, outbox| mux.accept_open(id, outbox))?;
        Ok(id)
    }

    pub(crate) fn reject_channel(
        &mut self,
        token: IncomingChannel,
        reason: OpenFailure,
        description: &str,
    ) -> Result<(), ApiMisuse> {
        let id = token.id;
        self.answer_on_mux(token.ticket, |mux, outbox| {
            mux.reject_open(id, reason, description, outbox)
        })
    }

    pub(crate) fn answer_request(
        &mut self,
        token: IncomingRequest,
        success: bool,
    ) -> Result<(), ApiMisuse> {
        let IncomingRequest {
            ticket,
            channel,
            key,
            ..
        } = token;
        let Some(ticket) = ticket else { return Ok(()) };
        self.answer_on_mux(ticket, |mux, outbox| {
            mux.answer_request(channel, key, success, outbox)
        })
    }

    pub(crate) fn answer_global_request(
        &mut self,
        token: IncomingGlobalRequest,
        result: Result<&[u8], ()>,
    ) -> Result<(), ApiMisuse> {
        let IncomingGlobalRequest {
            ticket,
            key,
            request,
        } = token;
        let Some(ticket) = ticket else { return Ok(()) };
        // To return is to drop the ticket: the request is refused.
        match (request, result) {
            (_, Ok(body)) if body.len() > MAX_REQUEST_TEXT => return Err(ApiMisuse::InvalidText),
            // The client would take it for a refusal, and we would listen all the same.
            (GlobalRequest::TcpipForward { port: 0, .. }, Ok(body)) if body.len() != 4 => {
                return Err(ApiMisuse::WrongAnswer);
            }
            _ => {}
        }
        self.answer_on_mux(ticket, |mux, outbox| mux.answer_global(key, result, outbox))
    }

    /// The port goes out exactly where it was left to us.
    pub(crate) fn accept_tcpip_forward(
        &mut self,
        token: IncomingGlobalRequest,
        port: u16,
    ) -> Result<(), ApiMisuse> {
        let (GlobalRequest::TcpipForward { port: asked, .. }, 1..) = (&token.request, port) else {
            return Err(ApiMisuse::WrongAnswer);
        };
        let told = u32::from(port).to_be_bytes();
        let body: &[u8] = match *asked {
            0 => &told,
            asked if asked == u32::from(port) => &[],
            _ => return Err(ApiMisuse::WrongAnswer),
        };
        self.answer_global_request(token, Ok(body))
    }

    /// The fail-closed answers to questions whose tokens were dropped.
    pub(super) fn settle_questions(&mut self) {
        let Some(mux) = &mut self.mux else { return };
        let outbox = &mut self.outbox;
        self.questions.retain(|(question, stub)| {
            if !stub.is_abandoned() {
                return true;
            }
            // A question that has lapsed needs no answer.
            let _ = match *question {
                Question::Open(id) => {
                    mux.reject_open(id, OpenFailure::ADMINISTRATIVELY_PROHIBITED, "", outbox)
                }
                Question::Request(id, key) => mux.answer_request(id, key, false, outbox),
                Question::Global(key) => mux.answer_global(key, Err(()), outbox),
                Question::Proof(key) => {
                    self.host_keys.forget_proof(key);
                    mux.answer_global(key, Err(()), outbox)
                }
            };
            false
        });
    }

    // Events.

    /// The next event of the channels. It is not queued on its way: data would cost an allocation
    /// for each packet.
    pub(super) fn next_channel_event(&mut self) -> Option<S::Event> {
        loop {
            let event = self.mux.as_mut()?.poll_event()?;
            let event = match self.take_host_key_event(event) {
                Ok(event) => event,
                Err(event) => self.channel_event(event).map(Into::into),
            };
            if event.is_some() {
                return event;
            }
        }
    }

    /// Moves the events of the channels to those of the connection.
    pub(super) fn drain_channel_events(&mut self) {
        while let Some(event) = self.next_channel_event() {
            self.events.push_back(event);
        }
    }

    fn question(&mut self, question: Question) -> Ticket {
        let (ticket, stub): (Ticket, Stub) = Ticket::new(&self.desk);
        self.questions.push((question, stub));
        ticket
    }

    fn channel_event(&mut self, event: MuxEvent) -> Option<Event> {
        Some(match event {
            MuxEvent::OpenRequested { id, kind } => {
                let ticket = self.question(Question::Open(id));
                Event::ChannelOpen(IncomingChannel { ticket, id, kind })
            }
            MuxEvent::Opened { id } => Event::ChannelOpened(id),
            MuxEvent::OpenFailed {
                id,
                reason,
                description,
            } => Event::ChannelOpenFailed {
                channel: id,
                reason,
                description,
            },
            MuxEvent::Request {
                id,
                key,
                request,
                want_reply,
            } => {
                let ticket = want_reply.then(|| self.question(Question::Request(id, key)));
                Event::Request(IncomingRequest {
                    ticket,
                    channel: id,
                    key,
                    request,
                })
            }
            MuxEvent::RequestReply {
                id,
                request,
                success,
            } => Event::RequestReply {
                channel: id,
                request,
                success,
            },
            MuxEvent::Readable { id } => Event::Readable(id),
            MuxEvent::Writable { id } => Event::Writable(id),
            MuxEvent::Eof { id } => Event::Eof(id),
            MuxEvent::ExitStatus { id, code } => Event::ExitStatus {
                channel: id,
                status: code,
            },
            MuxEvent::ExitSignal { id, signal } => Event::ExitSignal {
                channel: id,
                signal,
            },
            MuxEvent::Closed { id } => Event::ChannelClosed(id),
            MuxEvent::GlobalRequest {
                key,
                request,
                want_reply,
            } => {
                let ticket = want_reply.then(|| self.question(Question::Global(key)));
                Event::GlobalRequest(IncomingGlobalRequest {
                    ticket,
                    key,
                    request,
                })
            }
            MuxEvent::GlobalReply { request, result } => {
                if self.keepalives.front() == Some(&request) {
                    self.keepalives.pop_front();
                    return None;
                }
                Event::GlobalReply {
                    request,
                    result: result.map_err(|()| RequestRefused),
                }
            }
        })
    }
}

/// Text and data that go into one message of the transport.
fn short(data: &[u8]) -> Result<&[u8], ChannelError> {
    match data.len() <= MAX_REQUEST_TEXT {
        true => Ok(data),
        false => Err(ChannelError::TooLong),
    }
}
