//! What the connection protocol has to say to the engine, and what it hands over to be sealed.

use super::global::{GlobalReply, GlobalRequest};
use super::kind::ChannelKind;
use super::request::{ChannelRequest, ExitSignal};
use super::types::{ChannelId, OpenFailure, RequestId, RequestKey};
use crate::text::PeerText;
use crate::wire::connection::{
    ChannelClose, ChannelData, ChannelEof, ChannelExtendedData, ChannelWindowAdjust,
};

/// A message that leaves by the pull; it borrows from the channel that it is of.
#[derive(Debug)]
pub(crate) enum Pulled<'a> {
    WindowAdjust(ChannelWindowAdjust),
    Data(ChannelData<'a>),
    ExtendedData(ChannelExtendedData<'a>),
    Eof(ChannelEof),
    Close(ChannelClose),
    /// The whole payload of a request that keeps its place behind the data.
    Request(&'a [u8]),
}

/// Something happened. The events of one channel stand in the order of the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MuxEvent {
    /// The peer opens a channel; `accept_open` or `reject_open` answers.
    OpenRequested { id: ChannelId, kind: ChannelKind },
    /// The peer confirmed a channel that we opened.
    Opened { id: ChannelId },
    /// The peer refused a channel that we opened; the id is gone.
    OpenFailed {
        id: ChannelId,
        reason: OpenFailure,
        description: PeerText,
    },
    /// The peer asks; `answer_request` answers.
    Request {
        id: ChannelId,
        key: RequestKey,
        request: ChannelRequest,
        want_reply: bool,
    },
    /// The peer answered a request of ours.
    RequestReply {
        id: ChannelId,
        request: RequestId,
        success: bool,
    },
    /// There is data to read where there was none.
    Readable { id: ChannelId },
    /// There is room again after a write fell short, or the peer has closed and writes are in vain.
    Writable { id: ChannelId },
    /// The peer sends no more data.
    Eof { id: ChannelId },
    /// The command ended.
    ExitStatus { id: ChannelId, code: u32 },
    /// The command ended by a signal.
    ExitSignal { id: ChannelId, signal: ExitSignal },
    /// Both sides have closed and everything was read; the id is gone.
    Closed { id: ChannelId },
    /// The peer asks; `answer_global` answers.
    GlobalRequest {
        key: RequestKey,
        request: GlobalRequest,
        want_reply: bool,
    },
    /// The peer answered a global request of ours.
    GlobalReply {
        request: RequestId,
        result: Result<GlobalReply, ()>,
    },
}
