//! What a connection tells its application, as far as both roles share it.

use alloc::vec::Vec;

use bytes::Bytes;

use super::token::{
    ForgedPacket, IncomingChannel, IncomingGlobalRequest, IncomingRequest, SignRequest,
};
use crate::auth::Authenticated;
use crate::error::{DisconnectReason, Error};
use crate::mux::{ChannelId, ExitSignal, GlobalReply, OpenFailure, RequestId};
use crate::text::PeerText;
use crate::transport::ident::Identification;
use crate::transport::kex::Negotiated;

/// An event of either role.
///
/// Channel data is not in events: [`Event::Readable`] says that there is some, and `read` takes
/// it. Events of a channel come in the order in which the peer caused them.
#[non_exhaustive]
#[derive(Debug)]
pub enum Event {
    /// The peer's identification string arrived.
    Identified(Identification),
    /// A key exchange is complete: everything negotiated.
    KeysChanged(Negotiated),
    /// The peer announced extensions (RFC 8308).
    ExtInfo(PeerExtensions),
    /// Authentication is complete; channels can be opened.
    Authenticated(Authenticated),
    /// A key that is held elsewhere is to sign.
    Sign(SignRequest),
    /// The peer opens a channel.
    ChannelOpen(IncomingChannel),
    /// A channel that we opened is open.
    ChannelOpened(ChannelId),
    /// A channel that we opened was refused; its id is no longer valid.
    ChannelOpenFailed {
        /// The channel.
        channel: ChannelId,
        /// Why.
        reason: OpenFailure,
        /// What the peer says of it.
        description: PeerText,
    },
    /// The peer makes a request on a channel.
    Request(IncomingRequest),
    /// The peer answered a request of ours on a channel.
    RequestReply {
        /// The channel.
        channel: ChannelId,
        /// The id that the request was given.
        request: RequestId,
        /// Whether it succeeded.
        success: bool,
    },
    /// Data is there to `read`, where none was before.
    Readable(ChannelId),
    /// `write` takes data again, after it took less than it was given.
    Writable(ChannelId),
    /// The peer sends no more data on this channel.
    Eof(ChannelId),
    /// The command on this channel ended.
    ExitStatus {
        /// The channel.
        channel: ChannelId,
        /// Its exit status.
        status: u32,
    },
    /// The command on this channel was ended by a signal.
    ExitSignal {
        /// The channel.
        channel: ChannelId,
        /// Which.
        signal: ExitSignal,
    },
    /// The channel is closed by both sides. Data not yet read can still be.
    ChannelClosed(ChannelId),
    /// The peer makes a request to the connection.
    GlobalRequest(IncomingGlobalRequest),
    /// The peer answered a global request of ours.
    GlobalReply {
        /// The id that the request was given.
        request: RequestId,
        /// What it answered with, or that it refused.
        result: Result<GlobalReply, RequestRefused>,
    },
    /// The peer sent `IGNORE`. Raised only where the config asks for it.
    Ignore(Bytes),
    /// The peer sent `DEBUG`.
    Debug {
        /// Whether the peer wants it shown in any case.
        always_display: bool,
        /// The text.
        message: PeerText,
        /// The tag of its language (RFC 3066); mostly empty.
        language: PeerText,
    },
    /// The peer did not understand the packet with this sequence number.
    Unimplemented {
        /// The sequence number.
        sequence: u32,
    },
    /// A packet is not authentic: its MAC or tag does not fit. The connection ends, and nothing of
    /// the packet is used, unless it is accepted.
    MacError {
        /// The sequence number of the packet.
        sequence: u32,
        /// Its length on the wire, tag included.
        length: usize,
        /// What can accept it all the same, where the config opts in by
        /// `dangerously_accept_forged_packets` and the cipher is no AEAD.
        forged: Option<ForgedPacket>,
    },
    /// The peer answered a `ping` of ours.
    Pong(Bytes),
    /// The connection is over. The last event.
    Disconnected(Disconnected),
}

/// The peer refused a global request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRefused;

/// Why a connection is over.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disconnected {
    /// The peer sent `DISCONNECT`.
    ByPeer {
        /// Its reason, raw.
        reason: DisconnectReason,
        /// What it says of it.
        description: PeerText,
        /// The tag of its language (RFC 3066); mostly empty.
        language: PeerText,
    },
    /// The application called `disconnect`.
    ByApplication,
    /// The transport ended without `DISCONNECT`.
    Eof,
    /// An error on either side ended it.
    Error(Error),
}

/// The extensions that a peer announced (RFC 8308).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerExtensions {
    /// Names and values, in the order given; values with a NUL are left out.
    pub extensions: Vec<(Bytes, Bytes)>,
}

impl PeerExtensions {
    /// The value of the extension of this name.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.extensions
            .iter()
            .find(|(n, _)| n == name.as_bytes())
            .map(|(_, value)| &value[..])
    }
}
