//! What client and server connections have in common: the trait through which they are driven, and the channel operations of both.

use bytes::{Bytes, BytesMut};

use crate::auth::Authenticated;
use crate::crypto::Signature;
use crate::engine::side::Side;
use crate::engine::token::{
    ForgedPacket, IncomingChannel, IncomingGlobalRequest, IncomingRequest, SignRequest,
};
use crate::engine::{Core, Transmit};
use crate::error::{ApiMisuse, DisconnectReason, Error};
use crate::mux::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, Chunk, DataStream, GlobalRequest,
    OpenFailure, RequestId,
};
use crate::role::Role;
use crate::time::Instant;
use crate::transport::ident::Identification;
use crate::transport::kex::SessionId;

pub(crate) mod sealed {
    use super::{Core, Side};

    /// Where the engine is. Only connections of this crate have one.
    pub trait HasCore {
        type Side: Side;

        fn core(&self) -> &Core<Self::Side>;

        fn core_mut(&mut self) -> &mut Core<Self::Side>;
    }
}

/// A connection of either role.
///
/// # Driving it
/// The methods fall into four families:
/// - `handle_*` hand it what happened: bytes that arrived, the end of them, time that passed.
/// - `poll_*` take out what came of it: events, bytes to send, the next deadline.
/// - Calls of the application: open, read, write, answer a token, disconnect.
/// - Getters and `wants_*`, pure functions of the state.
///
/// Any order of calls is legal. A loop polls events until there are none, then transmits until
/// there is nothing, then waits for whichever comes first: input, if `wants_read`; room for
/// output, if there is some unsent; the moment of `poll_timeout`. `docs/driving.md` shows it.
///
/// Input is parsed when events are polled: an application that stops polling stops reading, and
/// the peer feels it. Nothing blocks, nothing has to be repeated with the same arguments.
pub trait Connection: sealed::HasCore<Side: Side<Event = <Self as Connection>::Event>> {
    /// What it tells its application: `ClientEvent` or `ServerEvent`.
    type Event;

    /// Which side this is.
    fn role(&self) -> Role {
        <Self::Side as Side>::ROLE
    }

    /// Hands over bytes from the peer. They are parsed by [`Self::poll_event`].
    ///
    /// Bytes are kept whatever [`Self::wants_read`] says, up to `Limits::buffered_input`, beyond
    /// which the connection ends. Input that continues the memory of the input before is joined
    /// without copying: read into the spare room of one `BytesMut` and `split` off what arrived.
    fn handle_input(&mut self, now: Instant, data: BytesMut) {
        self.core_mut().handle_input(now, data);
    }

    /// Tells that the peer sends no more bytes.
    fn handle_eof(&mut self, now: Instant) {
        self.core_mut().handle_eof(now);
    }

    /// Tells that the moment of [`Self::poll_timeout`] has come. Too early a call does nothing.
    fn handle_timeout(&mut self, now: Instant) {
        self.core_mut().handle_timeout(now);
    }

    /// The next event, parsing input as far as it takes. `None`: more input, or an answer to the
    /// question that is open, is needed.
    fn poll_event(&mut self) -> Option<<Self as Connection>::Event> {
        self.core_mut().poll_event()
    }

    /// Appends packets for the peer to `out`, whole ones, about 128 KiB at most in one call.
    /// `None`: there is nothing to send.
    fn poll_transmit(&mut self, now: Instant, out: &mut BytesMut) -> Option<Transmit> {
        self.core_mut().poll_transmit(now, out)
    }

    /// When [`Self::handle_timeout`] is to be called next.
    fn poll_timeout(&self) -> Option<Instant> {
        self.core().poll_timeout()
    }

    /// Whether more input would be of use now.
    fn wants_read(&self) -> bool {
        self.core().wants_read()
    }

    /// Whether [`Self::poll_transmit`] has something to send.
    fn wants_write(&self) -> bool {
        self.core().wants_write()
    }

    /// Whether [`Self::poll_event`] may have an event without further input: for drivers that
    /// sleep, after calls of the application.
    fn wants_poll(&self) -> bool {
        self.core().wants_poll()
    }

    /// Whether the connection is over and everything it had to send was taken.
    fn is_closed(&self) -> bool {
        self.core().is_closed()
    }

    /// Whether the connection is over, but for what it still has to send: `Disconnected` is the
    /// last event, and nothing is read any more. A transport that takes nothing can be given up.
    fn is_ending(&self) -> bool {
        !self.core().is_open()
    }

    /// Whether the first key exchange is under way.
    fn is_handshaking(&self) -> bool {
        self.core().is_handshaking()
    }

    /// The proof of authentication, once there is one.
    fn authenticated(&self) -> Option<&Authenticated> {
        self.core().authenticated()
    }

    /// The peer's identification, once it has arrived.
    fn peer_identification(&self) -> Option<&Identification> {
        self.core().peer_identification()
    }

    /// The session id, once the first key exchange has made it.
    fn session_id(&self) -> Option<&SessionId> {
        self.core().session_id()
    }

    /// Begins a key exchange (RFC 4253 section 9), unless one is under way. Traffic goes on by itself.
    ///
    /// # Errors
    /// `ApiMisuse` before authentication and after the end; `Crypto` if randomness fails.
    fn rekey(&mut self) -> Result<(), Error> {
        self.core_mut().rekey()
    }

    /// Ends the connection (RFC 4253 section 11.1): what is queued and may leave does, then `DISCONNECT`.
    fn disconnect(&mut self, now: Instant, reason: DisconnectReason, description: &str) {
        self.core_mut().disconnect(now, reason, description);
    }

    /// Answers [`Event::Sign`](crate::Event::Sign).
    ///
    /// # Errors
    /// `InvalidSignature` if it does not verify, in which case the question is raised anew;
    /// otherwise what is wrong with the token.
    fn provide_signature(
        &mut self,
        request: SignRequest,
        signature: &Signature,
    ) -> Result<(), ApiMisuse> {
        self.core_mut().provide_signature(request, signature)
    }

    /// Answers [`Event::Sign`](crate::Event::Sign) with a refusal: a host key's ends the
    /// connection, or where a client asked for proofs refuses them; a user key's fails the attempt.
    ///
    /// # Errors
    /// `ForeignToken` for a token of another connection, `StaleToken` for one whose question has
    /// lapsed, as all have at the end.
    fn decline_signature(&mut self, request: SignRequest) -> Result<(), ApiMisuse> {
        self.core_mut().decline_signature(request)
    }

    /// Accepts a packet that is not authentic ([`Event::MacError`](crate::Event::MacError)): it is
    /// handled as if it were. Protocol tests alone do that.
    ///
    /// # Errors
    /// `ForeignToken` for a token of another connection, `StaleToken` for one whose question has
    /// lapsed, as all have at the end.
    fn accept_forged(&mut self, packet: ForgedPacket) -> Result<(), ApiMisuse> {
        self.core_mut().accept_forged(packet)
    }

    /// Opens a channel (RFC 4254 section 5.1). `ChannelOpened` or `ChannelOpenFailed` follows.
    ///
    /// # Errors
    /// `Blocked` if as many are open as may be, or as much waits to be sent; `WrongRole` if only the
    /// peer opens such ones, `Forbidden` if the login does not permit them, `Finished` for a session
    /// after `NoMoreSessions`; `TooLong`, `Invalid`; `NotOpen` before authentication, `Closed` after
    /// the end.
    fn open_channel(&mut self, kind: &ChannelKind) -> Result<ChannelId, ChannelError> {
        self.core_mut().open_channel(kind)
    }

    /// Accepts a channel of the peer (RFC 4254 section 5.1). It is open at once.
    ///
    /// # Errors
    /// `ForeignToken` for a token of another connection, `StaleToken` for one whose question has
    /// lapsed, as all have at the end.
    fn accept_channel(&mut self, token: IncomingChannel) -> Result<ChannelId, ApiMisuse> {
        self.core_mut().accept_channel(token)
    }

    /// Refuses a channel of the peer, with a reason and a text for people (RFC 4254 section 5.1).
    ///
    /// # Errors
    /// `ForeignToken` for a token of another connection, `StaleToken` for one whose question has
    /// lapsed, as all have at the end.
    fn reject_channel(
        &mut self,
        token: IncomingChannel,
        reason: OpenFailure,
        description: &str,
    ) -> Result<(), ApiMisuse> {
        self.core_mut().reject_channel(token, reason, description)
    }

    /// Makes a request on a channel (RFC 4254 section 5.4). With `want_reply`, `RequestReply` with the returned id
    /// follows, in the order of the requests. Those that are sent without reply return no id.
    ///
    /// # Errors
    /// `NotOpen` before authentication or confirmation, `Blocked` while as much waits as may (try
    /// again after `poll_transmit`), `TooLong`, `Invalid`, `WrongRole`, `Closed`; `Finished` where
    /// it was told before how the command ended.
    fn request(
        &mut self,
        channel: ChannelId,
        request: &ChannelRequest,
        want_reply: bool,
    ) -> Result<Option<RequestId>, ChannelError> {
        self.core_mut().request(channel, request, want_reply)
    }

    /// Grants a request of the peer on a channel (RFC 4254 section 5.4).
    ///
    /// # Errors
    /// `ForeignToken` for a token of another connection, `StaleToken` for one whose question has
    /// lapsed, as all have at the end.
    fn accept_request(&mut self, token: IncomingRequest) -> Result<(), ApiMisuse> {
        self.core_mut().answer_request(token, true)
    }

    /// Refuses a request of the peer on a channel (RFC 4254 section 5.4).
    ///
    /// # Errors
    /// `ForeignToken` for a token of another connection, `StaleToken` for one whose question has
    /// lapsed, as all have at the end.
    fn reject_request(&mut self, token: IncomingRequest) -> Result<(), ApiMisuse> {
        self.core_mut().answer_request(token, false)
    }

    /// Makes a request to the connection (RFC 4254 section 4). With `want_reply`, `GlobalReply` with the returned id
    /// follows.
    ///
    /// # Errors
    /// `NotOpen` before authentication or confirmation, `Blocked` while as much waits as may (try
    /// again after `poll_transmit`) and where [`MAX_FORWARDS`](crate::limits::MAX_FORWARDS) are
    /// asked for, `TooLong`, `Invalid`, `WrongRole`, `Closed`.
    fn global_request(
        &mut self,
        request: &GlobalRequest,
        want_reply: bool,
    ) -> Result<Option<RequestId>, ChannelError> {
        self.core_mut().global_request(request, want_reply)
    }

    /// Grants a global request of the peer (RFC 4254 section 4); `body` is what the request defines, mostly empty.
    ///
    /// # Errors
    /// `ForeignToken` or `StaleToken`; `InvalidText` for a body above 32000 bytes and `WrongAnswer`
    /// for one that is no port where a forward asks for a port: the request is then refused.
    fn accept_global_request(
        &mut self,
        token: IncomingGlobalRequest,
        body: &[u8],
    ) -> Result<(), ApiMisuse> {
        self.core_mut().answer_global_request(token, Ok(body))
    }

    /// Grants a `tcpip-forward` of a client (RFC 4254 section 7.1): we listen on `port`. The reply
    /// carries it where the client left the choice to us, and nothing else.
    ///
    /// # Errors
    /// As for [`Self::accept_global_request`]; `WrongAnswer` also if something else, or another
    /// port, is asked for, or `port` is 0; the request is then refused.
    fn accept_tcpip_forward(
        &mut self,
        token: IncomingGlobalRequest,
        port: u16,
    ) -> Result<(), ApiMisuse> {
        self.core_mut().accept_tcpip_forward(token, port)
    }

    /// Refuses a global request of the peer (RFC 4254 section 4).
    ///
    /// # Errors
    /// `ForeignToken` for a token of another connection, `StaleToken` for one whose question has
    /// lapsed, as all have at the end.
    fn reject_global_request(&mut self, token: IncomingGlobalRequest) -> Result<(), ApiMisuse> {
        self.core_mut().answer_global_request(token, Err(()))
    }

    /// Takes received data (RFC 4254 section 5.2), which gives the peer credit to send more. `None`: nothing is there.
    /// Data received before a channel or the connection closed can be read after it.
    ///
    /// # Errors
    /// `Closed` for an id that is no longer valid.
    fn read(&mut self, channel: ChannelId) -> Result<Option<Chunk>, ChannelError> {
        self.core_mut().read(channel)
    }

    /// Bytes that [`Self::read`] has ready.
    ///
    /// # Errors
    /// `Closed` for an id that is no longer valid.
    fn readable_bytes(&self, channel: ChannelId) -> Result<usize, ChannelError> {
        self.core().readable_bytes(channel)
    }

    /// Sets the size of the receive window of a channel in bytes (RFC 4254 section 5.2), for
    /// applications that know better than the window's own growth, which ends with it. A larger
    /// window is told to the peer at once if it is by half or more; a smaller one comes about as
    /// data is read, since what the peer was told before stands. No bound of
    /// [`Limits`](crate::Limits) applies.
    ///
    /// # Errors
    /// `NotOpen` before the channel is confirmed, `Closed`.
    fn set_window_size(&mut self, channel: ChannelId, bytes: u32) -> Result<(), ChannelError> {
        self.core_mut().set_window_size(channel, bytes)
    }

    /// Queues data (RFC 4254 section 5.2), as much as fits, and says how much that was. Where it was not everything,
    /// `Writable` follows once there is room.
    ///
    /// # Errors
    /// `NotOpen` before the channel is confirmed, `Finished` after `finish`, `Closed`; `WrongRole`
    /// for extended data of a client, unless its config has `ExtendedData::All`.
    fn write(
        &mut self,
        channel: ChannelId,
        stream: DataStream,
        data: &[u8],
    ) -> Result<usize, ChannelError> {
        self.core_mut().write(channel, stream, data)
    }

    /// As [`Self::write`], without copying: what is taken is split off the front of `data`.
    ///
    /// # Errors
    /// As for [`Self::write`].
    fn write_bytes(
        &mut self,
        channel: ChannelId,
        stream: DataStream,
        data: &mut Bytes,
    ) -> Result<usize, ChannelError> {
        self.core_mut().write_bytes(channel, stream, data)
    }

    /// Bytes that [`Self::write`] would take now.
    ///
    /// # Errors
    /// As for [`Self::write`].
    fn writable_bytes(&self, channel: ChannelId) -> Result<usize, ChannelError> {
        self.core().writable_bytes(channel)
    }

    /// Sends `EOF` (RFC 4254 section 5.3) behind what is queued, once: no more data will be written.
    ///
    /// # Errors
    /// `NotOpen` before the channel is confirmed, `Closed`.
    fn finish(&mut self, channel: ChannelId) -> Result<(), ChannelError> {
        self.core_mut().finish(channel)
    }

    /// Sends `CLOSE` (RFC 4254 section 5.3) behind what is queued. `ChannelClosed` follows once the peer has, too.
    /// Called again, it gives up what is queued, which a peer that opens its window no more would
    /// keep for ever.
    ///
    /// # Errors
    /// `Closed`.
    fn close_channel(&mut self, channel: ChannelId) -> Result<(), ChannelError> {
        self.core_mut().close_channel(channel)
    }

    /// Sends `IGNORE` (RFC 4253 section 11.2), a packet that means nothing: padding of a size that the
    /// caller chooses, against traffic analysis. It goes out at the next `poll_transmit`, before channel data that waits; the
    /// peer answers nothing, and sees it as an event only where its config says `report_ignore`.
    ///
    /// # Errors
    /// `NotOpen` before authentication, `Blocked` while as much waits as may (try again after
    /// `poll_transmit`), `TooLong` above 32000 bytes, `Closed`.
    fn send_ignore(&mut self, data: &[u8]) -> Result<(), ChannelError> {
        self.core_mut().send_ignore(data)
    }

    /// Sends `DEBUG` (RFC 4253 section 11.3).
    ///
    /// # Errors
    /// `NotOpen` before authentication, `Blocked` while as much waits as may (try again after
    /// `poll_transmit`), `TooLong` above 32000 bytes, `Closed`.
    fn send_debug(&mut self, always_display: bool, text: &str) -> Result<(), ChannelError> {
        self.core_mut().send_debug(always_display, text)
    }
}
