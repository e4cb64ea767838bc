//! What can go wrong and whose fault it is; the only place that turns an error into a `DISCONNECT` reason (RFC 4253 section 11.1).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::time::Timer;

/// Why a connection ended on our side.
///
/// The variant says who was at fault: the peer broke the protocol, the peer is merely
/// incompatible, a limit was reached, time ran out, the application decided, the caller misused
/// the interface, or something failed inside.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The peer broke a rule of the protocol.
    PeerMisbehaved(PeerMisbehaved),
    /// The peer sent a message with this number whose body is malformed.
    InvalidMessage {
        /// The message number (RFC 4250 section 4.1).
        number: u8,
        /// What is wrong with the body.
        error: DecodeError,
    },
    /// The peer follows the rules but shares no algorithm or service with us.
    PeerIncompatible(PeerIncompatible),
    /// A bound of [`Limits`](crate::Limits) was reached.
    LimitExceeded(Limit),
    /// A deadline passed.
    Timeout(Timer),
    /// The application did not accept the server's host key.
    HostKeyRejected,
    /// The application, or the key that it holds elsewhere, declined to sign.
    SignatureDeclined,
    /// The caller broke the contract of this interface.
    ApiMisuse(ApiMisuse),
    /// Cryptography or randomness failed on our side.
    Crypto(CryptoError),
    /// An invariant of this library does not hold. Always a bug here.
    Internal(&'static str),
}

/// A rule that the peer broke. Ends the connection.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerMisbehaved {
    /// The identification string is not one of SSH 2.0 (RFC 4253 section 4.2).
    BadIdentification,
    /// A client sent text before its identification string; only servers may.
    TextBeforeIdentification,
    /// `packet_length` is below the minimum, or not a multiple of the block size (RFC 4253 section 6).
    BadPacketLength,
    /// `padding_length` is below four or leaves no payload (RFC 4253 section 6).
    BadPaddingLength,
    /// A MAC or authentication tag does not fit the packet.
    BadMac,
    /// A compressed payload does not decompress.
    BadCompression,
    /// A message arrived that is not allowed in this state; its number.
    UnexpectedMessage(u8),
    /// Strict key exchange was agreed, but the first packet was not `KEXINIT`.
    StrictKexViolation,
    /// The packet sequence number wrapped during the first key exchange.
    SequenceWrapped,
    /// The peer's ephemeral key or group element is invalid, or the shared secret is zero.
    BadKexValue,
    /// The host key does not parse or is not of the negotiated type.
    BadHostKey,
    /// The signature over the exchange hash is wrong or of the wrong type.
    BadHostKeySignature,
    /// The peer began a second key exchange before authentication.
    RekeyBeforeAuthentication,
    /// The user or service name changed between authentication requests.
    AuthIdentityChanged,
    /// A reply to authentication arrived that answers nothing.
    UnsolicitedAuthReply,
    /// `USERAUTH_PK_OK` names a key or an algorithm that was not offered.
    MismatchedPkOk,
    /// The server chose a GSS-API mechanism that was not offered (RFC 4462 section 3.3).
    MechanismNotOffered,
    /// A frame for a channel that does not exist or is not in a state to receive it.
    BadChannelState,
    /// More data than the window or the maximum packet size allows (RFC 4254 section 5.2).
    WindowExceeded,
    /// A window grew past 2^32 - 1 (RFC 4254 section 5.2).
    WindowOverflow,
    /// The maximum packet size of a channel confirmation is too small to be of use.
    BadMaximumPacketSize,
    /// Replies arrived for which there was no request, beyond tolerance.
    UnsolicitedReplies,
    /// A session was opened after `no-more-sessions@openssh.com`.
    NoMoreSessions,
}

/// What we and the peer do not have in common.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerIncompatible {
    /// No algorithm in common for this slot of `KEXINIT`.
    NoCommonAlgorithm(Box<NoCommonAlgorithm>),
    /// The service that the peer asked for, or accepted, is not one that we speak.
    UnknownService,
    /// The peer lacks strict key exchange, which the config requires, be it for this cipher.
    NoStrictKex,
    /// The server's host key, or the authority of its certificate, is of RSA and has so many bits:
    /// fewer than the config accepts, or more than are computed with.
    HostKeySize(usize),
    /// The client asked for a group of a size that the server has none of (RFC 4419 section 3).
    NoDhGroup,
    /// The server asked for no proof of who the user is, which the config refuses.
    TrivialSuccess,
}

/// The failed slot of a negotiation, with both lists (RFC 4253 section 7.1).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoCommonAlgorithm {
    /// Which list of `KEXINIT` had no common entry.
    pub slot: KexSlot,
    /// What we offered, in order of preference.
    pub ours: Vec<String>,
    /// What the peer offered, in its order of preference.
    pub theirs: Vec<String>,
}

/// A list of `KEXINIT` (RFC 4253 section 7.1).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KexSlot {
    /// `kex_algorithms`
    Kex,
    /// `server_host_key_algorithms`
    HostKey,
    /// `encryption_algorithms_client_to_server`
    CipherClientToServer,
    /// `encryption_algorithms_server_to_client`
    CipherServerToClient,
    /// `mac_algorithms_client_to_server`
    MacClientToServer,
    /// `mac_algorithms_server_to_client`
    MacServerToClient,
    /// `compression_algorithms_client_to_server`
    CompressionClientToServer,
    /// `compression_algorithms_server_to_client`
    CompressionServerToClient,
}

/// Which bound of [`Limits`](crate::Limits) was reached.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The identification string or the text before it is too long.
    Identification,
    /// A packet is longer than is accepted in this phase.
    PacketLength,
    /// More input was handed over than the connection may hold unparsed.
    BufferedInput,
    /// More bytes were received before authentication than are accepted.
    PreAuthInput,
    /// More replies are due than may wait, and key exchange does not end.
    DeferredOutput,
    /// A sequence number or cipher counter would have been used twice.
    KeyUsage,
    /// The peer began more key exchanges than it may in the time.
    PeerRekeys,
    /// Failed authentication attempts.
    AuthFailures,
    /// Authentication requests of any kind.
    AuthRequests,
    /// Public key queries without signature.
    KeyQueries,
    /// Messages within one attempt of a method that has several.
    AuthRounds,
    /// The user name is too long.
    UserName,
    /// The banners are too long in all.
    Banner,
}

/// How the caller broke the contract. Never caused by wire input.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiMisuse {
    /// A token was handed to another connection than the one that made it.
    ForeignToken,
    /// A token arrived after its question had lapsed: the connection closed, or the channel did.
    StaleToken,
    /// The method does not answer this question.
    WrongAnswer,
    /// The call needs an authenticated connection.
    NotAuthenticated,
    /// The connection is closed.
    Closed,
    /// A string is too long or has characters that the protocol forbids.
    InvalidText,
    /// A signature does not verify under the key that was asked for it.
    InvalidSignature,
    /// The key is of a type, or the algorithm of a name, that the provider does not have.
    UnsupportedKey,
    /// A request of this kind cannot be sent by this role.
    WrongRole,
}

/// Why bytes are not a value of the wire format (RFC 4251 section 5).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecodeError {
    /// The bytes end before the value does.
    Truncated,
    /// Bytes are left over behind the value.
    TrailingBytes,
    /// Another message number than expected.
    WrongNumber,
    /// An `mpint` is negative, not minimal where it must be, or too long.
    BadMpint,
    /// A `name-list` breaks the grammar of RFC 4251 section 6.
    BadNameList,
    /// More elements than accepted.
    TooMany,
    /// A value outside its range.
    OutOfRange,
    /// Text is not UTF-8 or not printable where it must be.
    BadText,
}

/// A cryptographic operation failed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CryptoError {
    /// The random number generator failed.
    RandomFailed,
    /// A key has the wrong length or form.
    InvalidKey,
    /// A peer's public value is invalid, or the shared secret is zero.
    InvalidPublicValue,
    /// A signature is malformed or wrong.
    InvalidSignature,
    /// A tag or MAC does not fit.
    TagMismatch,
    /// The algorithm is not one that this key or provider has.
    Unsupported,
    /// Compressed data is damaged or grows past its bound.
    BadCompression,
    /// A key has sealed or opened as many packets as it may.
    KeyExhausted,
    /// The operation failed for a reason of the provider's own.
    Failed,
}

/// The random number generator could not deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomFailed;

/// A `DISCONNECT` reason code (RFC 4253 section 11.1). Unknown codes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct DisconnectReason(pub u32);

impl DisconnectReason {
    /// `SSH_DISCONNECT_HOST_NOT_ALLOWED_TO_CONNECT`
    pub const HOST_NOT_ALLOWED_TO_CONNECT: Self = Self(1);
    /// `SSH_DISCONNECT_PROTOCOL_ERROR`
    pub const PROTOCOL_ERROR: Self = Self(2);
    /// `SSH_DISCONNECT_KEY_EXCHANGE_FAILED`
    pub const KEY_EXCHANGE_FAILED: Self = Self(3);
    /// `SSH_DISCONNECT_MAC_ERROR`
    pub const MAC_ERROR: Self = Self(5);
    /// `SSH_DISCONNECT_COMPRESSION_ERROR`
    pub const COMPRESSION_ERROR: Self = Self(6);
    /// `SSH_DISCONNECT_SERVICE_NOT_AVAILABLE`
    pub const SERVICE_NOT_AVAILABLE: Self = Self(7);
    /// `SSH_DISCONNECT_PROTOCOL_VERSION_NOT_SUPPORTED`
    pub const PROTOCOL_VERSION_NOT_SUPPORTED: Self = Self(8);
    /// `SSH_DISCONNECT_HOST_KEY_NOT_VERIFIABLE`
    pub const HOST_KEY_NOT_VERIFIABLE: Self = Self(9);
    /// `SSH_DISCONNECT_CONNECTION_LOST`
    pub const CONNECTION_LOST: Self = Self(10);
    /// `SSH_DISCONNECT_BY_APPLICATION`
    pub const BY_APPLICATION: Self = Self(11);
    /// `SSH_DISCONNECT_TOO_MANY_CONNECTIONS`
    pub const TOO_MANY_CONNECTIONS: Self = Self(12);
    /// `SSH_DISCONNECT_AUTH_CANCELLED_BY_USER`
    pub const AUTH_CANCELLED_BY_USER: Self = Self(13);
    /// `SSH_DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE`
    pub const NO_MORE_AUTH_METHODS_AVAILABLE: Self = Self(14);
    /// `SSH_DISCONNECT_ILLEGAL_USER_NAME`
    pub const ILLEGAL_USER_NAME: Self = Self(15);
}

impl Error {
    /// The reason to tell the peer, or `None` where nothing is to be sent.
    ///
    /// Before the identification strings are exchanged there is no packet to send it in; the
    /// engine leaves it out then.
    pub fn disconnect_reason(&self) -> Option<DisconnectReason> {
        use DisconnectReason as R;
        Some(match self {
            Self::PeerMisbehaved(fault) => match fault {
                PeerMisbehaved::BadIdentification | PeerMisbehaved::TextBeforeIdentification => {
                    return None;
                }
                PeerMisbehaved::BadMac => R::MAC_ERROR,
                PeerMisbehaved::BadCompression => R::COMPRESSION_ERROR,
                PeerMisbehaved::BadKexValue
                | PeerMisbehaved::BadHostKey
                | PeerMisbehaved::BadHostKeySignature => R::KEY_EXCHANGE_FAILED,
                _ => R::PROTOCOL_ERROR,
            },
            Self::InvalidMessage { .. } => R::PROTOCOL_ERROR,
            Self::PeerIncompatible(
                PeerIncompatible::NoCommonAlgorithm(_)
                | PeerIncompatible::NoStrictKex
                | PeerIncompatible::NoDhGroup,
            ) => R::KEY_EXCHANGE_FAILED,
            Self::PeerIncompatible(PeerIncompatible::HostKeySize(_)) => R::HOST_KEY_NOT_VERIFIABLE,
            Self::PeerIncompatible(PeerIncompatible::UnknownService) => R::SERVICE_NOT_AVAILABLE,
            // The server broke no rule; it has no method that this client would take.
            Self::PeerIncompatible(PeerIncompatible::TrivialSuccess) => {
                R::NO_MORE_AUTH_METHODS_AVAILABLE
            }
            Self::LimitExceeded(limit) => match limit {
                Limit::Identification => return None,
                Limit::PacketLength => R::PROTOCOL_ERROR,
                Limit::AuthFailures | Limit::AuthRequests | Limit::KeyQueries => {
                    R::NO_MORE_AUTH_METHODS_AVAILABLE
                }
                Limit::UserName => R::ILLEGAL_USER_NAME,
                Limit::Banner | Limit::AuthRounds => R::PROTOCOL_ERROR,
                Limit::BufferedInput
                | Limit::PreAuthInput
                | Limit::DeferredOutput
                | Limit::KeyUsage
                | Limit::PeerRekeys => R::BY_APPLICATION,
            },
            Self::Timeout(_) | Self::ApiMisuse(_) | Self::Internal(_) => R::BY_APPLICATION,
            Self::HostKeyRejected => R::HOST_KEY_NOT_VERIFIABLE,
            Self::SignatureDeclined => R::KEY_EXCHANGE_FAILED,
            Self::Crypto(_) => R::KEY_EXCHANGE_FAILED,
        })
    }

    /// The text that goes into `DISCONNECT`: constant, so that nothing of ours leaks.
    pub(crate) fn disconnect_text(&self) -> &'static str {
        match self {
            Self::PeerMisbehaved(PeerMisbehaved::BadMac) => "corrupted MAC on input",
            Self::PeerMisbehaved(_) | Self::InvalidMessage { .. } => "protocol error",
            Self::PeerIncompatible(PeerIncompatible::NoCommonAlgorithm(_)) => {
                "no matching algorithm found"
            }
            Self::PeerIncompatible(PeerIncompatible::UnknownService) => "service not available",
            Self::PeerIncompatible(PeerIncompatible::NoStrictKex) => "strict key exchange required",
            Self::PeerIncompatible(PeerIncompatible::HostKeySize(_)) => "host key not accepted",
            Self::PeerIncompatible(PeerIncompatible::NoDhGroup) => "no group of a size asked for",
            Self::PeerIncompatible(PeerIncompatible::TrivialSuccess) => {
                "authentication without proof refused"
            }
            Self::LimitExceeded(Limit::AuthFailures | Limit::AuthRequests | Limit::KeyQueries) => {
                "too many authentication failures"
            }
            Self::LimitExceeded(_) => "limit exceeded",
            Self::Timeout(_) => "timeout",
            Self::HostKeyRejected => "host key not accepted",
            Self::SignatureDeclined | Self::Crypto(_) => "key exchange failed",
            Self::ApiMisuse(_) | Self::Internal(_) => "internal error",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerMisbehaved(fault) => write!(f, "the peer broke the protocol: {fault}"),
            Self::InvalidMessage { number, error } => {
                write!(f, "the peer sent a malformed message {number}: {error}")
            }
            Self::PeerIncompatible(PeerIncompatible::NoCommonAlgorithm(failure)) => {
                write!(f, "no {} in common: we offer ", failure.slot)?;
                write_names(f, &failure.ours)?;
                f.write_str(", the peer offers ")?;
                write_names(f, &failure.theirs)
            }
            Self::PeerIncompatible(PeerIncompatible::NoStrictKex) => {
                f.write_str("the peer lacks strict key exchange, which is required here")
            }
            Self::PeerIncompatible(PeerIncompatible::HostKeySize(bits)) => {
                write!(f, "an RSA host key of {bits} bits is not accepted")
            }
            Self::PeerIncompatible(PeerIncompatible::NoDhGroup) => {
                f.write_str("the peer asked for a group of a size that there is none of here")
            }
            Self::PeerIncompatible(PeerIncompatible::TrivialSuccess) => {
                f.write_str("the server let the user in without any proof, which is refused here")
            }
            Self::PeerIncompatible(PeerIncompatible::UnknownService) => {
                f.write_str("the peer named a service that is not available")
            }
            Self::LimitExceeded(limit) => write!(f, "limit exceeded: {limit:?}"),
            Self::Timeout(timer) => write!(f, "deadline passed: {timer:?}"),
            Self::HostKeyRejected => f.write_str("the host key was not accepted"),
            Self::SignatureDeclined => f.write_str("the signature was declined"),
            Self::ApiMisuse(misuse) => write!(f, "{misuse}"),
            Self::Crypto(error) => write!(f, "{error}"),
            Self::Internal(what) => write!(f, "internal error: {what}"),
        }
    }
}

fn write_names(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return f.write_str("nothing");
    }
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            f.write_str(",")?;
        }
        write!(f, "{}", name.escape_default())?;
    }
    Ok(())
}

macro_rules! display_as {
    ($type:ty { $($pattern:pat => $text:literal),* $(,)? }) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($pattern => $text),* })
            }
        }
    };
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::UnexpectedMessage(number) = self {
            return write!(f, "message {number} is not allowed in this state");
        }
        f.write_str(match self {
            Self::BadIdentification => "bad identification string",
            Self::TextBeforeIdentification => "text before the identification string",
            Self::BadPacketLength => "bad packet length",
            Self::BadPaddingLength => "bad padding length",
            Self::BadMac => "message authentication failed",
            Self::BadCompression => "bad compressed data",
            Self::UnexpectedMessage(_) => "unexpected message",
            Self::StrictKexViolation => "KEXINIT was not the first packet of a strict exchange",
            Self::SequenceWrapped => "sequence number wrapped during the first key exchange",
            Self::BadKexValue => "bad key exchange value",
            Self::BadHostKey => "bad host key",
            Self::BadHostKeySignature => "bad host key signature",
            Self::RekeyBeforeAuthentication => "key exchange repeated before authentication",
            Self::AuthIdentityChanged => "user or service changed during authentication",
            Self::UnsolicitedAuthReply => "authentication reply without a request",
            Self::MismatchedPkOk => "PK_OK for a key that was not offered",
            Self::MechanismNotOffered => "GSS-API mechanism that was not offered",
            Self::BadChannelState => "frame for a channel in the wrong state",
            Self::WindowExceeded => "channel window exceeded",
            Self::WindowOverflow => "channel window overflow",
            Self::BadMaximumPacketSize => "maximum packet size too small",
            Self::UnsolicitedReplies => "replies without requests",
            Self::NoMoreSessions => "session opened after no-more-sessions",
        })
    }
}

display_as!(KexSlot {
    Self::Kex => "key exchange method",
    Self::HostKey => "host key algorithm",
    Self::CipherClientToServer => "cipher (client to server)",
    Self::CipherServerToClient => "cipher (server to client)",
    Self::MacClientToServer => "MAC (client to server)",
    Self::MacServerToClient => "MAC (server to client)",
    Self::CompressionClientToServer => "compression (client to server)",
    Self::CompressionServerToClient => "compression (server to client)",
});

display_as!(ApiMisuse {
    Self::ForeignToken => "the token belongs to another connection",
    Self::StaleToken => "the question of this token has lapsed",
    Self::WrongAnswer => "the method does not answer this question",
    Self::NotAuthenticated => "the connection is not authenticated",
    Self::Closed => "the connection is closed",
    Self::InvalidText => "a string is too long or has forbidden characters",
    Self::InvalidSignature => "the signature does not verify",
    Self::UnsupportedKey => "the key or algorithm is not supported by the provider",
    Self::WrongRole => "this role cannot send such a request",
});

display_as!(DecodeError {
    Self::Truncated => "truncated",
    Self::TrailingBytes => "trailing bytes",
    Self::WrongNumber => "wrong message number",
    Self::BadMpint => "bad mpint",
    Self::BadNameList => "bad name-list",
    Self::TooMany => "too many elements",
    Self::OutOfRange => "value out of range",
    Self::BadText => "bad text",
});

display_as!(CryptoError {
    Self::RandomFailed => "the random number generator failed",
    Self::InvalidKey => "invalid key",
    Self::InvalidPublicValue => "invalid public value",
    Self::InvalidSignature => "invalid signature",
    Self::TagMismatch => "authentication tag mismatch",
    Self::Unsupported => "algorithm not supported",
    Self::BadCompression => "bad compressed data",
    Self::KeyExhausted => "key exhausted",
    Self::Failed => "cryptographic operation failed",
});

impl fmt::Display for RandomFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the random number generator failed")
    }
}

impl core::error::Error for Error {}
impl core::error::Error for DecodeError {}
impl core::error::Error for CryptoError {}
impl core::error::Error for ApiMisuse {}
impl core::error::Error for RandomFailed {}

impl From<PeerMisbehaved> for Error {
    fn from(fault: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(fault)
    }
}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Self::LimitExceeded(limit)
    }
}

impl From<ApiMisuse> for Error {
    fn from(misuse: ApiMisuse) -> Self {
        Self::ApiMisuse(misuse)
    }
}

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl From<RandomFailed> for Error {
    fn from(_: RandomFailed) -> Self {
        Self::Crypto(CryptoError::RandomFailed)
    }
}

impl From<RandomFailed> for CryptoError {
    fn from(_: RandomFailed) -> Self {
        Self::RandomFailed
    }
}
