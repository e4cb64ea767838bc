//! The one check of what a login may do, for every kind of channel and request (RFC 4254; OpenSSH's `restrict` and `permit-*` options).

use super::Mux;
use super::global::GlobalRequest;
use super::kind::ChannelKind;
use super::request::ChannelRequest;
use super::types::{ChannelError, ChannelId};
use crate::auth::Permissions;
use crate::wire::connection::ChannelOpenKind;
use crate::wire::outbox::Outbox;

/// What is subject to the rights of the login. The matches have no arm for what is yet to come, so
/// that no new kind slips through.
pub(super) trait Needs {
    /// The rights that it needs.
    fn needs(&self) -> Permissions;
}

impl Needs for ChannelOpenKind<'_> {
    fn needs(&self) -> Permissions {
        match self {
            Self::Session(()) | Self::Unknown { .. } => Permissions::NONE,
            Self::X11(_) => Permissions::X11,
            Self::AuthAgent(()) | Self::AgentConnect(()) => Permissions::AGENT,
            Self::DirectTcpip(_) => Permissions::DIRECT_TCPIP,
            Self::ForwardedTcpip(_) => Permissions::FORWARDED_TCPIP,
            Self::DirectStreamlocal(_) => Permissions::DIRECT_STREAMLOCAL,
            Self::ForwardedStreamlocal(_) => Permissions::FORWARDED_STREAMLOCAL,
            Self::Tun(_) => Permissions::TUN,
        }
    }
}

impl Needs for GlobalRequest {
    fn needs(&self) -> Permissions {
        match self {
            Self::TcpipForward { .. } | Self::CancelTcpipForward { .. } => {
                Permissions::FORWARDED_TCPIP
            }
            Self::StreamlocalForward { .. } | Self::CancelStreamlocalForward { .. } => {
                Permissions::FORWARDED_STREAMLOCAL
            }
            Self::HostKeys(_)
            | Self::HostKeysProve(_)
            | Self::NoMoreSessions
            | Self::Keepalive
            | Self::Unknown { .. } => Permissions::NONE,
        }
    }
}

impl Needs for ChannelRequest {
    fn needs(&self) -> Permissions {
        match self {
            Self::Pty(_) => Permissions::PTY,
            Self::X11 { .. } => Permissions::X11,
            Self::AuthAgent | Self::Agent => Permissions::AGENT,
            Self::Env { .. }
            | Self::Shell
            | Self::Exec(_)
            | Self::Subsystem(_)
            | Self::WindowChange { .. }
            | Self::XonXoff(_)
            | Self::Signal(_)
            | Self::Break(_)
            | Self::Eow
            | Self::ExitStatus(_)
            | Self::ExitSignal(_)
            | Self::Unknown { .. } => Permissions::NONE,
        }
    }
}

/// What the login may do, and what the client has asked for under it.
pub(super) struct Permit {
    permissions: Permissions,
    /// The type of channel that goes with the client's latest request for agent forwarding.
    agent: Option<ChannelKind>,
}

impl Permit {
    pub(super) const fn new(permissions: Permissions) -> Self {
        Self {
            permissions,
            agent: None,
        }
    }

    /// Whether the login may do this.
    pub(super) fn allows(&self, what: &impl Needs) -> bool {
        self.permissions.contains(what.needs())
    }

    /// The application is told of this request.
    pub(super) fn note(&mut self, request: &ChannelRequest) {
        match request {
            ChannelRequest::AuthAgent => self.agent = Some(ChannelKind::AuthAgent),
            ChannelRequest::Agent => self.agent = Some(ChannelKind::AgentConnect),
            _ => {}
        }
    }
}

impl Mux {
    /// Opens a channel to the client's agent, of the type that goes with the client's request.
    pub(crate) fn open_agent(&mut self, out: &mut Outbox) -> Result<ChannelId, ChannelError> {
        let kind = self.permit.agent.clone().ok_or(ChannelError::Forbidden)?;
        self.open(&kind, out)
    }
}
