//! The small values of the connection protocol: channel ids, streams, keys of requests, reasons and errors (RFC 4254 sections 5 and 6).

use core::fmt;

use bytes::Bytes;

use crate::wire::connection::EXTENDED_DATA_STDERR;

/// Names a channel of one connection, from its open to its `Closed` event.
///
/// The index is the number that we announce on the wire; it is used again once a channel is gone.
/// The generation is not, so that the id of a channel that is gone is an error and never another
/// channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelId({self})")
    }
}

/// A stream within one direction of a channel (RFC 4254 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataStream {
    /// The stream that every channel has.
    Data,
    /// Extended data of this type. Only servers send it, unless [`ExtendedData::All`] is set.
    Extended(u32),
}

impl DataStream {
    /// The standard error of a command.
    pub const STDERR: Self = Self::Extended(EXTENDED_DATA_STDERR);
}

/// Which extended data is delivered and sent (RFC 4254 section 5.2). What is not delivered is
/// discarded, and the peer is given credit for it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ExtendedData {
    /// Standard error to clients; servers send every type. RFC 4254 knows no other, and a client
    /// has no standard error to send.
    #[default]
    Stderr,
    /// Every type, both ways.
    All,
}

/// Received data, in the order of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The stream it belongs to.
    pub stream: DataStream,
    /// The data; never empty.
    pub bytes: Bytes,
}

/// Why a channel was not opened (RFC 4254 section 5.1). Unknown codes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenFailure(pub u32);

impl OpenFailure {
    /// `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED`
    pub const ADMINISTRATIVELY_PROHIBITED: Self = Self(1);
    /// `SSH_OPEN_CONNECT_FAILED`
    pub const CONNECT_FAILED: Self = Self(2);
    /// `SSH_OPEN_UNKNOWN_CHANNEL_TYPE`
    pub const UNKNOWN_CHANNEL_TYPE: Self = Self(3);
    /// `SSH_OPEN_RESOURCE_SHORTAGE`
    pub const RESOURCE_SHORTAGE: Self = Self(4);
}

impl OpenFailure {
    /// Empty for a code that is not known here.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::ADMINISTRATIVELY_PROHIBITED => "administratively prohibited",
            Self::CONNECT_FAILED => "connect failed",
            Self::UNKNOWN_CHANNEL_TYPE => "unknown channel type",
            Self::RESOURCE_SHORTAGE => "resource shortage",
            Self(_) => "",
        }
    }
}

impl fmt::Display for OpenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            "" => write!(f, "reason {}", self.0),
            text => f.write_str(text),
        }
    }
}

/// Names a request of ours that asked for a reply, unique within its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub(super) u64);

/// Names a request of the peer within its channel, or among the global ones. Holds nothing where no
/// reply is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestKey(pub(super) Option<u64>);

/// Why a call on a channel, or a global request, was not carried out. The connection goes on.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelError {
    /// The channel is closed, by either side, or the question that is answered has lapsed.
    Closed,
    /// The channel is not confirmed yet.
    NotOpen,
    /// The end of our data, of our sessions, or our exit status was announced before.
    Finished,
    /// A bound of [`Limits`](crate::Limits) is reached; try again later.
    Blocked,
    /// Only the other role may do this.
    WrongRole,
    /// The login does not permit it, or the client has not asked for it.
    Forbidden,
    /// A field is longer than a packet can carry.
    TooLong,
    /// A field has a value that the protocol forbids, or an unknown kind bears a known name.
    Invalid,
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the channel is closed",
            Self::NotOpen => "the channel is not open yet",
            Self::Finished => "the end was announced before",
            Self::Blocked => "a limit is reached for now",
            Self::WrongRole => "only the other role may do this",
            Self::Forbidden => "the login does not permit this, or nobody asked for it",
            Self::TooLong => "a field is too long",
            Self::Invalid => "a field has a forbidden value",
        })
    }
}

impl core::error::Error for ChannelError {}
