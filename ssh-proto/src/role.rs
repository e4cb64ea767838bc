//! Which side of the connection this is.

/// A side of the connection. Client and server swap nothing but who began; roles stay when either rekeys (RFC 4253 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Opened the transport and asks for authentication.
    Client,
    /// Holds host keys and decides on authentication.
    Server,
}

impl Role {
    /// The other side.
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}
