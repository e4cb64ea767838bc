//! Targets: where forwarded connections go, and where a server listens for them (RFC 4254 sections 7.1 and 7.2).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use bytes::Bytes;
use ssh_proto::ChannelKind;

use super::listen::path_bytes;

/// Where forwarded connections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A port of a host, by name or address.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// A UNIX socket.
    Unix(PathBuf),
}

impl Target {
    /// A port of a host, by name or address.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self::Tcp { host, port }
    }

    /// The channel that asks the peer to connect to it (RFC 4254 section 7.2).
    pub(super) fn channel(&self, originator_address: Bytes, originator_port: u32) -> ChannelKind {
        match self {
            Self::Tcp { host, port } => ChannelKind::DirectTcpip {
                host: host.clone().into(),
                port: (*port).into(),
                originator_address,
                originator_port,
            },
            Self::Unix(path) => ChannelKind::DirectStreamlocal {
                path: path_bytes(path),
            },
        }
    }

    /// What a peer asks to be connected to.
    pub(super) fn asked(kind: &ChannelKind) -> Option<Self> {
        match kind {
            ChannelKind::DirectTcpip { host, port, .. } => Some(Self::Tcp {
                host: str::from_utf8(host).ok()?.to_owned(),
                port: u16::try_from(*port).ok()?,
            }),
            ChannelKind::DirectStreamlocal { path } => {
                Some(Self::Unix(OsStr::from_bytes(path).into()))
            }
            _ => None,
        }
    }
}

/// Where a server listens for its client, given what the client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gateway {
    /// On the machine itself only, whatever was asked (OpenSSH's `GatewayPorts no`).
    Loopback,
    /// At the address asked for (OpenSSH's `GatewayPorts clientspecified`): an address in digits,
    /// `localhost`, or all addresses, as the empty one or `*`. Other names are refused.
    AsAsked,
}
