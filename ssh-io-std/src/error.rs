//! What can go wrong in blocking use.

use std::fmt;
use std::io;

use ssh_proto::error::ApiMisuse;
use ssh_proto::{ChannelError, Disconnected, Error, OpenFailure, PeerText};

/// Why a call of the blocking client failed: returned by [`Client`](crate::Client) and
/// [`Session`](crate::Session), and inside an [`io::Error`] by their `Read` and `Write`.
///
/// After `Io`, `Disconnected` and `NotBegun` the client is of no more use; after the others it
/// can go on.
#[non_exhaustive]
#[derive(Debug)]
pub enum ClientError {
    /// The transport failed: connecting, or in any call that waits for the server.
    Io(io::Error),
    /// The connection is over, which any call that waits for the server may find; the cause says
    /// who ended it and why.
    Disconnected(Disconnected),
    /// From [`Client::connect`](crate::Client::connect) and [`over`](crate::Client::over): the
    /// connection was not begun, since the user name is not valid or randomness failed.
    NotBegun(Error),
    /// From [`Client::authenticate_with`](crate::Client::authenticate_with): the attempt could not
    /// be made, since the provider or the config does not allow the key, the password is too long,
    /// or the answer of the [`ClientHandler`](crate::ClientHandler) would not do. Another one can
    /// be made.
    Unusable(ApiMisuse),
    /// From the calls that authenticate: no credential was accepted. Others can be tried.
    NotAuthenticated {
        /// The methods that could continue, as the server named them (RFC 4252 section 5.1).
        methods: Vec<String>,
    },
    /// From the calls that open a session: the server does not (RFC 4254 section 5.1).
    OpenRefused {
        /// Why.
        reason: OpenFailure,
        /// What the server says of it.
        description: PeerText,
    },
    /// From the calls that ask for something on a session, such as a command: the server refused
    /// it, or closed the session in place of an answer.
    RequestRefused,
    /// What was asked of the session is not possible now: it is closed or finished, or nobody has
    /// authenticated yet.
    Channel(ChannelError),
    /// There is more output than may be kept: above the limit of
    /// [`Session::output`](crate::Session::output), or above 2 MiB on one of the two streams while
    /// only the other is read.
    OutputUnread,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Disconnected(Disconnected::ByPeer {
                reason,
                description,
                ..
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
