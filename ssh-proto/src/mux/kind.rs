//! Channel types with their fields, and which of them a peer may open (RFC 4254 sections 6.1, 6.3.2 and 7.2, OpenSSH PROTOCOL section 2).

use core::ops::BitOr;

use bytes::Bytes;

use super::types::ChannelError;
use crate::role::Role;
use crate::wire::connection::{
    ChannelOpenKind, DirectStreamlocalOpen, ForwardedStreamlocalOpen, TcpipOpen, TunOpen, X11Open,
};

/// A channel type with its fields. Text is as the peer sent it and need not be UTF-8.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelKind {
    /// A command, shell or subsystem (RFC 4254 section 6.1). Clients open it.
    Session,
    /// A connection that the server is to make (RFC 4254 section 7.2). Clients open it.
    DirectTcpip {
        /// The host to connect to.
        host: Bytes,
        /// Its port.
        port: u32,
        /// Where the connection comes from.
        originator_address: Bytes,
        /// Its port.
        originator_port: u32,
    },
    /// A connection to a port that the server listens on for the client (RFC 4254 section 7.2). Servers open it.
    ForwardedTcpip {
        /// The address that was connected.
        address: Bytes,
        /// Its port.
        port: u32,
        /// Where the connection comes from.
        originator_address: Bytes,
        /// Its port.
        originator_port: u32,
    },
    /// A connection of an X11 program (RFC 4254 section 6.3.2). Servers open it.
    X11 {
        /// Where the connection comes from.
        originator_address: Bytes,
        /// Its port.
        originator_port: u32,
    },
    /// A connection to the client's agent, by OpenSSH's name. Servers open it.
    AuthAgent,
    /// A connection to the client's agent, by the name of RFC 9987. Servers open it.
    AgentConnect,
    /// A connection to a UNIX socket that the server is to make. Clients open it.
    DirectStreamlocal {
        /// The socket's path.
        path: Bytes,
    },
    /// A connection to a UNIX socket that the server listens on for the client. Servers open it.
    ForwardedStreamlocal {
        /// The socket's path.
        path: Bytes,
    },
    /// A tunnel (OpenSSH PROTOCOL section 2.3). Clients open it.
    Tun {
        /// 1 for layer 3, 2 for layer 2.
        mode: u32,
        /// The interface's number; 0x7fffffff for any.
        unit: u32,
    },
    /// A type that is not known here.
    Unknown {
        /// Its name.
        name: Bytes,
        /// Its fields, raw.
        body: Bytes,
    },
}

impl ChannelKind {
    pub(super) fn from_wire(kind: &ChannelOpenKind<'_>) -> Self {
        let own = Bytes::copy_from_slice;
        match kind {
            ChannelOpenKind::Session(()) => Self::Session,
            ChannelOpenKind::X11(open) => Self::X11 {
                originator_address: own(open.originator_address),
                originator_port: open.originator_port,
            },
            ChannelOpenKind::DirectTcpip(open) => Self::DirectTcpip {
                host: own(open.host),
                port: open.port,
                originator_address: own(open.originator_address),
                originator_port: open.originator_port,
            },
            ChannelOpenKind::ForwardedTcpip(open) => Self::ForwardedTcpip {
                address: own(open.host),
                port: open.port,
                originator_address: own(open.originator_address),
                originator_port: open.originator_port,
            },
            ChannelOpenKind::AuthAgent(()) => Self::AuthAgent,
            ChannelOpenKind::AgentConnect(()) => Self::AgentConnect,
            ChannelOpenKind::DirectStreamlocal(open) => Self::DirectStreamlocal {
                path: own(open.path),
            },
            ChannelOpenKind::ForwardedStreamlocal(open) => Self::ForwardedStreamlocal {
                path: own(open.path),
            },
            ChannelOpenKind::Tun(open) => Self::Tun {
                mode: open.mode,
                unit: open.unit,
            },
            ChannelOpenKind::Unknown { name, body } => Self::Unknown {
                name: own(name),
                body: own(body),
            },
        }
    }

    pub(super) fn to_wire(&self) -> ChannelOpenKind<'_> {
        match self {
            Self::Session => ChannelOpenKind::Session(()),
            Self::DirectTcpip {
                host,
                port,
                originator_address,
                originator_port,
            } => ChannelOpenKind::DirectTcpip(TcpipOpen {
                host,
                port: *port,
                originator_address,
                originator_port: *originator_port,
            }),
            Self::ForwardedTcpip {
                address,
                port,
                originator_address,
                originator_port,
            } => ChannelOpenKind::ForwardedTcpip(TcpipOpen {
                host: address,
                port: *port,
                originator_address,
                originator_port: *originator_port,
            }),
            Self::X11 {
                originator_address,
                originator_port,
            } => ChannelOpenKind::X11(X11Open {
                originator_address,
                originator_port: *originator_port,
            }),
            Self::AuthAgent => ChannelOpenKind::AuthAgent(()),
            Self::AgentConnect => ChannelOpenKind::AgentConnect(()),
            Self::DirectStreamlocal { path } => {
                ChannelOpenKind::DirectStreamlocal(DirectStreamlocalOpen {
                    path,
                    reserved: &[],
                    reserved_number: 0,
                })
            }
            Self::ForwardedStreamlocal { path } => {
                ChannelOpenKind::ForwardedStreamlocal(ForwardedStreamlocalOpen {
                    path,
                    reserved: &[],
                })
            }
            Self::Tun { mode, unit } => ChannelOpenKind::Tun(TunOpen {
                mode: *mode,
                unit: *unit,
            }),
            Self::Unknown { name, body } => ChannelOpenKind::Unknown { name, body },
        }
    }

    /// Bytes of all fields of variable length.
    pub(super) fn text_len(&self) -> usize {
        match self {
            Self::Session | Self::AuthAgent | Self::AgentConnect | Self::Tun { .. } => 0,
            Self::DirectTcpip {
                host,
                originator_address,
                ..
            } => host.len().saturating_add(originator_address.len()),
            Self::ForwardedTcpip {
                address,
                originator_address,
                ..
            } => address.len().saturating_add(originator_address.len()),
            Self::X11 {
                originator_address, ..
            } => originator_address.len(),
            Self::DirectStreamlocal { path } | Self::ForwardedStreamlocal { path } => path.len(),
            Self::Unknown { name, body } => name.len().saturating_add(body.len()),
        }
    }
}

/// A set of channel types that the peer's opens may bring before the application; what is not in it
/// is refused without an event.
///
/// Whatever is in it, a client admits of the types that have a name here only what it asked for and
/// was not refused (RFC 4254 sections 6.1, 6.3.2 and 7.2): connections to a port or socket whose forwarding it
/// requested and did not cancel, X11 and agent connections after it requested them on a session.
/// So [`Self::ASKED_FOR`] is safe as its default. A server admits at first everything that a client
/// may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerOpens(u16);

impl PeerOpens {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `session`
    pub const SESSION: Self = Self(1);
    /// `direct-tcpip`
    pub const DIRECT_TCPIP: Self = Self(1 << 1);
    /// `direct-streamlocal@openssh.com`
    pub const DIRECT_STREAMLOCAL: Self = Self(1 << 2);
    /// `tun@openssh.com`
    pub const TUN: Self = Self(1 << 3);
    /// `forwarded-tcpip`
    pub const FORWARDED_TCPIP: Self = Self(1 << 4);
    /// `forwarded-streamlocal@openssh.com`
    pub const FORWARDED_STREAMLOCAL: Self = Self(1 << 5);
    /// `x11`
    pub const X11: Self = Self(1 << 6);
    /// `auth-agent@openssh.com` and `agent-connect`
    pub const AGENT: Self = Self(1 << 7);
    /// Types that are not known here, raw.
    pub const UNKNOWN: Self = Self(1 << 8);
    /// Everything of a server's that a client can ask for.
    pub const ASKED_FOR: Self =
        Self(Self::FORWARDED_TCPIP.0 | Self::FORWARDED_STREAMLOCAL.0 | Self::X11.0 | Self::AGENT.0);
    /// Everything.
    pub const ALL: Self = Self((1 << 9) - 1);

    /// What is in either; `|` for constants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether everything of `other` is in `self`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What this role may open at all.
    pub(super) const fn openable_by(role: Role) -> Self {
        match role {
            Role::Client => Self(
                Self::SESSION.0
                    | Self::DIRECT_TCPIP.0
                    | Self::DIRECT_STREAMLOCAL.0
                    | Self::TUN.0
                    | Self::UNKNOWN.0,
            ),
            Role::Server => Self(Self::ASKED_FOR.0 | Self::UNKNOWN.0),
        }
    }

    /// What the peer of this role may open until the application says otherwise.
    pub(super) const fn at_first(role: Role) -> Self {
        match role {
            Role::Client => Self::ASKED_FOR,
            Role::Server => Self::openable_by(Role::Client),
        }
    }

    pub(super) const fn of(kind: &ChannelOpenKind<'_>) -> Self {
        match kind {
            ChannelOpenKind::Session(()) => Self::SESSION,
            ChannelOpenKind::X11(_) => Self::X11,
            ChannelOpenKind::DirectTcpip(_) => Self::DIRECT_TCPIP,
            ChannelOpenKind::ForwardedTcpip(_) => Self::FORWARDED_TCPIP,
            ChannelOpenKind::AuthAgent(()) | ChannelOpenKind::AgentConnect(()) => Self::AGENT,
            ChannelOpenKind::DirectStreamlocal(_) => Self::DIRECT_STREAMLOCAL,
            ChannelOpenKind::ForwardedStreamlocal(_) => Self::FORWARDED_STREAMLOCAL,
            ChannelOpenKind::Tun(_) => Self::TUN,
            ChannelOpenKind::Unknown { .. } => Self::UNKNOWN,
        }
    }
}

impl BitOr for PeerOpens {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// Whether this role may open a channel of this kind.
pub(super) fn check_open(role: Role, kind: &ChannelOpenKind<'_>) -> Result<(), ChannelError> {
    if !PeerOpens::openable_by(role).contains(PeerOpens::of(kind)) {
        return Err(ChannelError::WrongRole);
    }
    if kind.is_disguised() {
        return Err(ChannelError::Invalid);
    }
    Ok(())
}
