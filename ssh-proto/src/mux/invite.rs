//! What a client asked for, and with it which channels its server may open (RFC 4254 sections 6.3.2 and 7.2, OpenSSH PROTOCOL section 2.4, RFC 9987).

use alloc::vec::Vec;

use bytes::Bytes;

use super::global::GlobalRequest;
use super::request::ChannelRequest;
use super::types::{ChannelId, RequestId};
use crate::limits::MAX_FORWARDS;
use crate::wire::connection::ChannelOpenKind;

/// What the server may open channels for.
#[derive(Debug, PartialEq, Eq)]
enum Invited {
    /// Connections to a port that it listens on. While it has not said which, the port is zero.
    Tcpip { address: Bytes, port: u32 },
    /// Connections to a UNIX socket that it listens on.
    Streamlocal { path: Bytes },
    /// Connections to the agent. OpenSSH listens once for all sessions, so that this outlives the
    /// session that asked.
    Agent,
    /// X11 connections, for as long.
    X11,
    /// One X11 connection, while the session that asked is there.
    SingleX11(ChannelId),
}

/// Something that was asked for, and not refused.
struct Invitation {
    invited: Invited,
    /// Our request, while it is not answered, and the session it was made on.
    pending: Option<(RequestId, Option<ChannelId>)>,
}

/// Everything that was asked for, and not refused. Asking is enough: the first connection may come
/// before the reply, and there may be none.
pub(super) struct Invitations(Vec<Invitation>);

impl Invitations {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether there is room for what this request would invite.
    pub(super) fn has_room(&self, request: &GlobalRequest) -> bool {
        !matches!(
            request,
            GlobalRequest::TcpipForward { .. } | GlobalRequest::StreamlocalForward { .. }
        ) || self.0.len() < MAX_FORWARDS
    }

    /// Notes a global request of ours that was sent, and whose reply bears this id.
    pub(super) fn global_asked(&mut self, request: &GlobalRequest, reply: Option<RequestId>) {
        let pending = reply.map(|id| (id, None));
        match request.clone() {
            GlobalRequest::TcpipForward { address, port } => {
                self.add(Invited::Tcpip { address, port }, pending);
            }
            GlobalRequest::StreamlocalForward { path } => {
                self.add(Invited::Streamlocal { path }, pending);
            }
            GlobalRequest::CancelTcpipForward { address, port } => {
                self.withdraw(&Invited::Tcpip { address, port });
            }
            GlobalRequest::CancelStreamlocalForward { path } => {
                self.withdraw(&Invited::Streamlocal { path });
            }
            _ => {}
        }
    }

    /// Notes a request of ours that was sent on a session, and whose reply bears this id.
    pub(super) fn asked(
        &mut self,
        session: ChannelId,
        request: &ChannelRequest,
        reply: Option<RequestId>,
    ) {
        let invited = match request {
            ChannelRequest::AuthAgent | ChannelRequest::Agent => Invited::Agent,
            ChannelRequest::X11 {
                single_connection, ..
            } => match single_connection {
                true => Invited::SingleX11(session),
                false => Invited::X11,
            },
            _ => return,
        };
        self.add(invited, reply.map(|id| (id, Some(session))));
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    fn add(&mut self, invited: Invited, pending: Option<(RequestId, Option<ChannelId>)>) {
        // To ask again and again must not gather memory.
        if pending.is_some() || !self.is_settled(&invited) {
            self.0.push(Invitation { invited, pending });
        }
    }

    fn is_settled(&self, invited: &Invited) -> bool {
        let mut settled = self.0.iter().filter(|other| other.pending.is_none());
        settled.any(|other| other.invited == *invited)
    }

    /// Takes the reply to a request of ours: whether it was granted, and the port that the server
    /// listens on.
    pub(super) fn answered(&mut self, request: RequestId, granted: bool, port: Option<u16>) {
        let is_asked = |other: &Invitation| other.pending.is_some_and(|(id, _)| id == request);
        let Some(at) = self.0.iter().position(is_asked) else {
            return;
        };
        let mut invited = self.0.swap_remove(at).invited;
        if let (Invited::Tcpip { port: bound, .. }, Some(port)) = (&mut invited, port) {
            *bound = port.into();
        }
        if granted {
            self.add(invited, None);
        }
    }

    fn withdraw(&mut self, invited: &Invited) {
        if let Some(at) = self.0.iter().position(|other| other.invited == *invited) {
            self.0.swap_remove(at);
        }
    }

    /// Forgets what only stood while this session was there: what it was not granted, and what is
    /// for its one X11 connection.
    pub(super) fn session_gone(&mut self, session: ChannelId) {
        self.0.retain(|other| {
            other.invited != Invited::SingleX11(session)
                && other.pending.is_none_or(|(_, on)| on != Some(session))
        });
    }

    /// Whether the server was asked for what it opens.
    pub(super) fn admit(&self, open: &ChannelOpenKind<'_>) -> bool {
        self.0.iter().any(|other| other.invited.is_for(open))
    }

    /// Notes that what the server opens comes before the application: one invitation may be used
    /// up.
    pub(super) fn follow(&mut self, open: &ChannelOpenKind<'_>) {
        let mut fit = self.0.iter().filter(|other| other.invited.is_for(open));
        if fit.all(|other| matches!(other.invited, Invited::SingleX11(_)))
            && let Some(at) = self.0.iter().position(|other| other.invited.is_for(open))
        {
            self.0.swap_remove(at);
        }
    }
}

impl Invited {
    fn is_for(&self, open: &ChannelOpenKind<'_>) -> bool {
        match (self, open) {
            (Self::Tcpip { address, port }, ChannelOpenKind::ForwardedTcpip(open)) => {
                *port != 0 && *port == open.port && is_of_bind(address, open.host)
            }
            (Self::Streamlocal { path }, ChannelOpenKind::ForwardedStreamlocal(open)) => {
                path == open.path
            }
            (Self::Agent, ChannelOpenKind::AuthAgent(()) | ChannelOpenKind::AgentConnect(()))
            | (Self::X11 | Self::SingleX11(_), ChannelOpenKind::X11(_)) => true,
            _ => false,
        }
    }
}

/// Whether a connection to `address` can be one to the listener that was asked for as `bind`
/// (RFC 4254 section 7.1). OpenSSH repeats `bind` as it was sent; RFC 4254 section 7.2 has the address
/// that was connected, which is any where all are bound, and a loopback address for `localhost`.
fn is_of_bind(bind: &[u8], address: &[u8]) -> bool {
    const LOOPBACK: [&[u8]; 3] = [b"localhost", b"127.0.0.1", b"::1"];
    match bind {
        b"" | b"*" | b"0.0.0.0" | b"::" => true,
        bind if bind == address => true,
        bind => bind == b"localhost" && LOOPBACK.contains(&address),
    }
}
