//! What a key exchange reports: the session id and everything negotiated (RFC 4253 sections 7.1 and 7.2).

use alloc::vec::Vec;
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

/// What is weak in a connection, and was agreed on only because the config allows it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weakness {
    /// An algorithm that rests on SHA-1, MD5, RC4, DSA, 3DES or CBC, by its name.
    Algorithm(&'static str),
    /// The server's host key is of RSA and has so many bits, fewer than 2048.
    HostKeySize(usize),
    /// Packets at the beginning of the session can have been cut out, since the cipher needs strict
    /// key exchange and the peer does not have it (CVE-2023-48795).
    PrefixTruncation,
}

impl Negotiated {
    /// What is weak in it; each once, nothing under the default config with a peer of today. That
    /// a quantum computer could open it is said by [`Self::post_quantum`] alone.
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let suites = [self.client_to_server, self.server_to_client];
        let protection = suites
            .iter()
            .flat_map(|suite| [Some(suite.cipher), suite.mac]);
        let names = [Some(self.kex), Some(self.host_key_algorithm)];
        let mut found = Vec::new();
        for name in names.into_iter().chain(protection).flatten() {
            let weakness = Weakness::Algorithm(name);
            if is_weak(name) && !found.contains(&weakness) {
                found.push(weakness);
            }
        }
        let short = self.host_key.rsa_bits().filter(|bits| *bits < 2048);
        found.extend(short.map(Weakness::HostKeySize));
        if !self.strict_kex && suites.iter().any(NegotiatedSuite::needs_strict_kex) {
            found.push(Weakness::PrefixTruncation);
        }
        found
    }
}

/// Whether an algorithm is weak by what its name says (RFC 8758, RFC 9142), whoever provides it.
fn is_weak(name: &str) -> bool {
    let parts = ["sha1", "md5", "-cbc", "arcfour"];
    parts.into_iter().any(|part| name.contains(part))
        || ["ssh-rsa", "ssh-dss"].into_iter().any(|sha1| {
            name.strip_prefix(sha1)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("-cert-"))
        })
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

impl NegotiatedSuite {
    /// Whether a packet that is missing at the beginning stays unnoticed but for strict key exchange.
    pub(super) fn needs_strict_kex(&self) -> bool {
        let is_etm = self.mac.is_some_and(|mac| mac.contains("-etm@"));
        self.cipher == "chacha20-poly1305@openssh.com" || self.cipher.ends_with("-cbc") && is_etm
    }
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
