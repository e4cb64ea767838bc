//! Requests to the connection as a whole, with their fields and their replies (RFC 4254 sections 4 and 7.1, OpenSSH PROTOCOL section 2).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use super::reply::ReplyQueue;
use super::types::{ChannelError, RequestId};
use crate::limits::{MAX_HOST_KEYS, MAX_NAME};
use crate::role::Role;
use crate::wire::connection::{GlobalRequestKind, TcpipForward};

/// A request to the connection. Text is as the peer sent it and need not be UTF-8.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GlobalRequest {
    /// Listen on a port (RFC 4254 section 7.1). Clients ask; [`GlobalReply::port`] says which one
    /// it is, and `accept_tcpip_forward` tells them.
    TcpipForward {
        /// The address to bind.
        address: Bytes,
        /// The port to bind; zero lets the server choose.
        port: u32,
    },
    /// Listen no more (RFC 4254 section 7.1). Clients ask.
    CancelTcpipForward {
        /// The address as it was asked for.
        address: Bytes,
        /// The port that is bound.
        port: u32,
    },
    /// Listen on a UNIX socket (OpenSSH PROTOCOL section 2.4). Clients ask.
    StreamlocalForward {
        /// The socket's path.
        path: Bytes,
    },
    /// Listen no more (OpenSSH PROTOCOL section 2.4). Clients ask.
    CancelStreamlocalForward {
        /// The socket's path.
        path: Bytes,
    },
    /// The server's host keys (OpenSSH PROTOCOL section 2.5). Servers send it, without reply; no more than [`MAX_HOST_KEYS`] are kept. Clients see `ClientEvent::HostKeys` instead.
    HostKeys(Vec<Bytes>),
    /// Host keys that the server is to prove (OpenSSH PROTOCOL section 2.5). Clients ask by `prove_host_keys`; servers answer by themselves.
    HostKeysProve(Vec<Bytes>),
    /// The client opens no more sessions (OpenSSH PROTOCOL section 2.2).
    NoMoreSessions,
    /// Whether the peer is alive; any reply says so. Sent as `keepalive@openssh.com`. What arrives
    /// under that name, or any other that begins with `keepalive@` or `keep-alive@` as those of
    /// libssh2, paramiko, JSch, PuTTY, Bitvise and Go programs do, is answered with
    /// `REQUEST_FAILURE` where a reply is wanted, as OpenSSH does, and is not passed to the
    /// application.
    Keepalive,
    /// A request that is not known here.
    Unknown {
        /// Its name.
        name: Bytes,
        /// Its fields, raw.
        body: Bytes,
    },
}

impl GlobalRequest {
    /// Takes a peer's request over; `None` if its fields are such that the request must fail
    /// (protocol notes I3, I6).
    pub(super) fn from_wire(kind: &GlobalRequestKind<'_>) -> Option<Self> {
        let own = |bytes: &&[u8]| Bytes::copy_from_slice(bytes);
        let request = match kind {
            GlobalRequestKind::TcpipForward(forward) => Self::TcpipForward {
                address: own(&forward.address),
                port: forward.port,
            },
            GlobalRequestKind::CancelTcpipForward(forward) => Self::CancelTcpipForward {
                address: own(&forward.address),
                port: forward.port,
            },
            GlobalRequestKind::StreamlocalForward(path) => {
                Self::StreamlocalForward { path: own(path) }
            }
            GlobalRequestKind::CancelStreamlocalForward(path) => {
                Self::CancelStreamlocalForward { path: own(path) }
            }
            GlobalRequestKind::HostKeys(keys) => {
                Self::HostKeys(keys.iter().take(MAX_HOST_KEYS).map(own).collect())
            }
            // One more than the limit is enough to see that it is passed.
            GlobalRequestKind::HostKeysProve(keys) => {
                Self::HostKeysProve(keys.iter().take(MAX_HOST_KEYS + 1).map(own).collect())
            }
            GlobalRequestKind::NoMoreSessions(()) => Self::NoMoreSessions,
            GlobalRequestKind::Keepalive(()) => Self::Keepalive,
            GlobalRequestKind::Unknown { name, .. } if is_keepalive(name) => Self::Keepalive,
            GlobalRequestKind::Unknown { name, body } => Self::Unknown {
                name: own(name),
                body: own(body),
            },
        };
        request.is_valid().then_some(request)
    }

    pub(super) fn to_wire(&self) -> GlobalRequestKind<'_> {
        match self {
            Self::TcpipForward { address, port } => GlobalRequestKind::TcpipForward(TcpipForward {
                address,
                port: *port,
            }),
            Self::CancelTcpipForward { address, port } => {
                GlobalRequestKind::CancelTcpipForward(TcpipForward {
                    address,
                    port: *port,
                })
            }
            Self::StreamlocalForward { path } => GlobalRequestKind::StreamlocalForward(path),
            Self::CancelStreamlocalForward { path } => {
                GlobalRequestKind::CancelStreamlocalForward(path)
            }
            Self::HostKeys(keys) => {
                GlobalRequestKind::HostKeys(keys.iter().map(AsRef::as_ref).collect())
            }
            Self::HostKeysProve(keys) => {
                GlobalRequestKind::HostKeysProve(keys.iter().map(AsRef::as_ref).collect())
            }
            Self::NoMoreSessions => GlobalRequestKind::NoMoreSessions(()),
            Self::Keepalive => GlobalRequestKind::Keepalive(()),
            Self::Unknown { name, body } => GlobalRequestKind::Unknown { name, body },
        }
    }

    /// Bytes of all fields of variable length.
    pub(super) fn text_len(&self) -> usize {
        match self {
            Self::TcpipForward { address, .. } | Self::CancelTcpipForward { address, .. } => {
                address.len()
            }
            Self::StreamlocalForward { path } | Self::CancelStreamlocalForward { path } => {
                path.len()
            }
            Self::HostKeys(keys) | Self::HostKeysProve(keys) => {
                keys.iter().fold(0, |sum: usize, key| {
                    sum.saturating_add(key.len()).saturating_add(4)
                })
            }
            Self::NoMoreSessions | Self::Keepalive => 0,
            Self::Unknown { name, body } => name.len().saturating_add(body.len()),
        }
    }

    fn is_valid(&self) -> bool {
        match self {
            Self::TcpipForward { port, address } | Self::CancelTcpipForward { port, address } => {
                is_port(*port) && !address.contains(&0)
            }
            Self::StreamlocalForward { path } | Self::CancelStreamlocalForward { path } => {
                !path.contains(&0)
            }
            Self::HostKeysProve(keys) => (1..=MAX_HOST_KEYS).contains(&keys.len()),
            Self::Unknown { name, .. } => !name.is_empty() && name.len() <= MAX_NAME,
            Self::HostKeys(_) | Self::NoMoreSessions | Self::Keepalive => true,
        }
    }

    /// Whether it may want a reply.
    pub(super) const fn takes_reply(&self) -> bool {
        !matches!(self, Self::HostKeys(_))
    }

    /// Whether this role may send it.
    pub(super) const fn is_sent_by(&self, role: Role) -> bool {
        match self {
            Self::Keepalive | Self::Unknown { .. } => true,
            Self::HostKeys(_) => matches!(role, Role::Server),
            _ => matches!(role, Role::Client),
        }
    }

    /// Whether we may send it.
    pub(super) fn check_send(&self, role: Role) -> Result<(), ChannelError> {
        if !self.is_sent_by(role) {
            return Err(ChannelError::WrongRole);
        }
        if !self.is_valid() || self.to_wire().is_disguised() {
            return Err(ChannelError::Invalid);
        }
        Ok(())
    }
}

/// Whether a request of this name, global or on a channel, asks for nothing but a sign of life.
pub(super) fn is_keepalive(name: &[u8]) -> bool {
    name.len() <= MAX_NAME && (name.starts_with(b"keepalive@") || name.starts_with(b"keep-alive@"))
}

/// What the peer granted a global request with (RFC 4254 section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalReply {
    body: Bytes,
    port: Option<u16>,
}

impl GlobalReply {
    /// The port that the server listens on, if this answers `tcpip-forward`: the one that was asked
    /// for, or the one that the server chose for port 0 (RFC 4254 section 7.1).
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// What the request defines as its reply, raw; mostly empty.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Ports have 16 bits, whatever the wire's 32.
pub(super) fn is_port(port: u32) -> bool {
    u16::try_from(port).is_ok()
}

/// Global requests under way, of both sides.
pub(super) struct Globals {
    /// The peer's, until they are answered.
    pub(super) theirs: ReplyQueue<Result<Bytes, ()>>,
    /// Ours, until the reply comes.
    pub(super) ours: VecDeque<Asked>,
}

impl Globals {
    pub(super) const fn new() -> Self {
        Self {
            theirs: ReplyQueue::new(),
            ours: VecDeque::new(),
        }
    }
}

/// A global request of ours that awaits its reply.
pub(super) struct Asked {
    pub(super) id: RequestId,
    /// Which port `tcpip-forward` asked for: it decides what the reply must carry.
    port: Option<u32>,
}

impl Asked {
    pub(super) const fn new(id: RequestId, request: &GlobalRequest) -> Self {
        let port = match request {
            GlobalRequest::TcpipForward { port, .. } => Some(*port),
            _ => None,
        };
        Self { id, port }
    }

    /// What a `REQUEST_SUCCESS` with this body says, if this request can have such a one: for
    /// `tcpip-forward` four bytes if the port was left to the server, which chose one; else nothing,
    /// or the same port again (protocol notes I4).
    pub(super) fn reply(&self, body: &[u8]) -> Option<GlobalReply> {
        let told = <[u8; 4]>::try_from(body).ok().map(u32::from_be_bytes);
        let bound = match self.port {
            None => None,
            Some(0) => Some(told.filter(|port| *port != 0)?),
            Some(asked) if body.is_empty() || told == Some(asked) => Some(asked),
            Some(_) => return None,
        };
        let port = match bound {
            Some(port) => Some(u16::try_from(port).ok()?),
            None => None,
        };
        Some(GlobalReply {
            body: Bytes::copy_from_slice(body),
            port,
        })
    }
}
