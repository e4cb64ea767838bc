//! What a key exchange reports: the session id and everything negotiated (RFC 4253 sections 7.1 and 7.2).

use core::fmt;

use bytes::Bytes;

use super::negotiate::Suite;
use crate::crypto::{PublicKey, Signature};

/// The hash of the first key exchange: the name of the session for its whole life (RFC 4253 section 7.2).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Bytes);

impl SessionId {
    pub(super) fn new(hash: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(hash))
    }

    /// Its bytes: as many as the hash of the first key exchange has.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(")?;
        for byte in self.0.iter().take(8) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("..)")
    }
}

/// Everything that a key exchange agreed on.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The key exchange method.
    pub kex: &'static str,
    /// The host key algorithm.
    pub host_key_algorithm: &'static str,
    /// The server's host key.
    pub host_key: PublicKey,
    /// Its signature over the exchange hash, which in the first exchange is the session id: what an
    /// agent wants to see before it binds itself to a session (OpenSSH PROTOCOL.agent section 1).
    pub host_key_signature: Signature,
    /// What protects packets of the client.
    pub client_to_server: NegotiatedSuite,
    /// What protects packets of the server.
    pub server_to_client: NegotiatedSuite,
    /// Whether strict key exchange is in force, which thwarts prefix truncation (CVE-2023-48795).
    pub strict_kex: bool,
    /// Whether the method resists a quantum computer.
    pub post_quantum: bool,
    /// Whether this replaced earlier keys.
    pub is_rekey: bool,
    /// The session id; that of the first exchange.
    pub session_id: SessionId,
}

/// The algorithms of one direction.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiatedSuite {
    /// The cipher.
    pub cipher: &'static str,
    /// The MAC; `None` where the cipher authenticates by itself.
    pub mac: Option<&'static str>,
    /// The compression method.
    pub compression: &'static str,
}

impl From<Suite> for NegotiatedSuite {
    fn from(suite: Suite) -> Self {
        Self {
            cipher: suite.cipher.name(),
            mac: suite.mac.map(|mac| mac.name()),
            compression: suite.compression.name(),
        }
    }
}
