//! What can go wrong in blocking use.

use std::fmt;
use std::io;

use ssh_proto::error::ApiMisuse;
use ssh_proto::{ChannelError, Disconnected, Error, OpenFailure, PeerText};

/// Why a call of the blocking client failed.
#[non_exhaustive]
#[derive(Debug)]
pub enum ClientError {
    /// The transport failed.
    Io(io::Error),
    /// The connection is over.
    Disconnected(Disconnected),
    /// The connection was not begun: the user name is not valid, or randomness failed.
    NotBegun(Error),
    /// The attempt to authenticate could not be made: the provider cannot use the key, or the
    /// password is too long. Another one can be made.
    Unusable(ApiMisuse),
    /// No credential was accepted. Others can be tried.
    NotAuthenticated {
        /// The methods that could continue, as the server named them.
        methods: Vec<String>,
    },
    /// The server does not open a session.
    OpenRefused {
        /// Why.
        reason: OpenFailure,
        /// What the server says of it.
        description: PeerText,
    },
    /// The server refused a request on the session.
    RequestRefused,
    /// What was asked of the channel is not possible.
    Channel(ChannelError),
    /// One of the session's two outputs is not read and has grown too long while the other was.
    OutputUnread,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Disconnected(Disconnected::ByPeer {
                reason,
                description,
            }) => {
                write!(f, "disconnected by the peer: {description} ({})", reason.0)
            }
            Self::Disconnected(Disconnected::Eof) => f.write_str("connection closed by the peer"),
            Self::Disconnected(Disconnected::Error(error)) | Self::NotBegun(error) => {
                write!(f, "{error}")
            }
            Self::Disconnected(_) => f.write_str("disconnected"),
            Self::Unusable(misuse) => write!(f, "{misuse}"),
            Self::NotAuthenticated { methods } => {
                f.write_str("permission denied")?;
                if !methods.is_empty() {
                    write!(f, " ({})", methods.join(",").escape_debug())?;
                }
                Ok(())
            }
            Self::OpenRefused {
                reason,
                description,
            } => write!(f, "no session: {reason}: {description}"),
            Self::RequestRefused => f.write_str("the server refused the request"),
            Self::Channel(error) => write!(f, "{error}"),
            Self::OutputUnread => {
                f.write_str("too much output on the stream that is not being read")
            }
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::NotBegun(error) | Self::Disconnected(Disconnected::Error(error)) => Some(error),
            Self::Unusable(misuse) => Some(misuse),
            Self::Channel(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ChannelError> for ClientError {
    fn from(error: ChannelError) -> Self {
        Self::Channel(error)
    }
}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::Io(_) => match error {
                ClientError::Io(error) => return error,
                _ => io::ErrorKind::Other,
            },
            ClientError::Disconnected(_) => io::ErrorKind::ConnectionAborted,
            ClientError::NotAuthenticated { .. } => io::ErrorKind::PermissionDenied,
            ClientError::Channel(ChannelError::Closed | ChannelError::Finished) => {
                io::ErrorKind::BrokenPipe
            }
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
