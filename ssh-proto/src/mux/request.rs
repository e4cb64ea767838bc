//! Requests on a channel with their fields (RFC 4254 sections 6.2 to 6.10, RFC 4335, OpenSSH PROTOCOL section 2).

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::types::ChannelError;
use crate::limits::{MAX_NAME, MAX_PEER_TEXT, MAX_PTY_MODES};
use crate::role::Role;
use crate::wire::connection::{
    ChannelRequestKind, EnvReq, ExitSignalReq, PtyReq, WindowChangeReq, X11Req,
    decode_terminal_modes,
};

/// A request on a channel. Text is as the peer sent it and need not be UTF-8.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelRequest {
    /// A pseudo-terminal (RFC 4254 section 6.2). Clients ask.
    Pty(Pty),
    /// X11 forwarding (RFC 4254 section 6.3.1). Clients ask.
    X11 {
        /// Whether only one connection is to be forwarded.
        single_connection: bool,
        /// The authentication protocol.
        auth_protocol: Bytes,
        /// The authentication cookie.
        cookie: X11Cookie,
        /// The screen.
        screen: u32,
    },
    /// An environment variable (RFC 4254 section 6.4). Clients ask.
    Env {
        /// Its name.
        name: Bytes,
        /// Its value.
        value: Bytes,
    },
    /// A shell (RFC 4254 section 6.5). Clients ask.
    Shell,
    /// A command (RFC 4254 section 6.5). Clients ask.
    Exec(Bytes),
    /// A subsystem by name (RFC 4254 section 6.5). Clients ask.
    Subsystem(Bytes),
    /// A new terminal size (RFC 4254 section 6.7). Clients send it, without reply.
    WindowChange {
        /// Width in characters.
        columns: u32,
        /// Height in rows.
        rows: u32,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Whether the client may do flow control (RFC 4254 section 6.8). Servers send it, without reply.
    XonXoff(bool),
    /// A signal by name, without `SIG`, such as `TERM`, or `INFO@openssh.com` (RFC 4254 sections
    /// 6.9 and 6.10, OpenSSH PROTOCOL section 2.6). Sent without reply.
    Signal(Bytes),
    /// A break of this many milliseconds; 0 for what is usual, and servers keep it between 500 and
    /// 3000 (RFC 4335). Clients ask.
    Break(u32),
    /// The sender reads no more (OpenSSH PROTOCOL section 2.1). Sent without reply, and only to
    /// peers that are known to take it.
    Eow,
    /// Agent forwarding, by OpenSSH's name. Clients ask.
    AuthAgent,
    /// Agent forwarding, by the name of RFC 9987. Clients ask.
    Agent,
    /// How the command ended (RFC 4254 section 6.10). Servers send it, once, behind the data queued before.
    ExitStatus(u32),
    /// The command ended by a signal (RFC 4254 section 6.10). Servers send it like `ExitStatus`.
    ExitSignal(ExitSignal),
    /// A request that is not known here. One that is a keepalive by its name, as OpenSSH's server
    /// sends it, is answered with `CHANNEL_FAILURE` and is not passed to the application; see
    /// [`GlobalRequest::Keepalive`](super::GlobalRequest::Keepalive).
    Unknown {
        /// Its name.
        name: Bytes,
        /// Its fields, raw.
        body: Bytes,
    },
}

/// A pseudo-terminal (RFC 4254 section 6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pty {
    /// The value of `TERM`.
    pub term: Bytes,
    /// Width in characters.
    pub columns: u32,
    /// Height in rows.
    pub rows: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Terminal modes: opcode, see [`pty_mode`](super::pty_mode), and argument (RFC 4254 section 8).
    pub modes: Vec<(u8, u32)>,
}

/// How a command ended by a signal (RFC 4254 section 6.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitSignal {
    /// The signal's name without `SIG`.
    pub signal: Bytes,
    /// Whether the command dumped core.
    pub core_dumped: bool,
    /// Text of the peer's making; escape it for display. Cut at [`MAX_PEER_TEXT`] bytes.
    pub message: Bytes,
}

/// The cookie that lets a program talk to an X11 server, in hexadecimal. Wiped when dropped and
/// never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct X11Cookie(Vec<u8>);

impl X11Cookie {
    /// From hexadecimal digits.
    pub const fn new(hex: Vec<u8>) -> Self {
        Self(hex)
    }

    /// The hexadecimal digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for X11Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X11Cookie(..)")
    }
}

impl PartialEq for X11Cookie {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for X11Cookie {}

/// Terminal modes that survive the wire: opcode 0 would end the list, those from 160 on have no known length.
fn modes_are_encodable(modes: &[(u8, u32)]) -> bool {
    modes.len() <= MAX_PTY_MODES && modes.iter().all(|(opcode, _)| (1..160).contains(opcode))
}

fn has_nul(text: &[u8]) -> bool {
    text.contains(&0)
}

impl ChannelRequest {
    /// Takes a peer's request over; `None` if its fields are such that the request must fail
    /// (protocol notes H13, H14, H15, H17).
    pub(super) fn from_wire(kind: &ChannelRequestKind<'_>) -> Option<Self> {
        let own = Bytes::copy_from_slice;
        let request = match kind {
            ChannelRequestKind::Pty(pty) => Self::Pty(Pty {
                term: own(pty.term),
                columns: pty.columns,
                rows: pty.rows,
                width: pty.width,
                height: pty.height,
                modes: decode_terminal_modes(pty.modes).ok()?,
            }),
            ChannelRequestKind::X11(x11) => Self::X11 {
                single_connection: x11.single_connection,
                auth_protocol: own(x11.auth_protocol),
                cookie: X11Cookie(x11.auth_cookie.to_owned()),
                screen: x11.screen,
            },
            ChannelRequestKind::Env(env) => Self::Env {
                name: own(env.name),
                value: own(env.value),
            },
            ChannelRequestKind::Shell(()) => Self::Shell,
            ChannelRequestKind::Exec(command) => Self::Exec(own(command)),
            ChannelRequestKind::Subsystem(name) => Self::Subsystem(own(name)),
            ChannelRequestKind::WindowChange(size) => Self::WindowChange {
                columns: size.columns,
                rows: size.rows,
                width: size.width,
                height: size.height,
            },
            ChannelRequestKind::XonXoff(allowed) => Self::XonXoff(*allowed),
            ChannelRequestKind::Signal(name) => Self::Signal(own(name)),
            ChannelRequestKind::Break(length) => Self::Break(*length),
            ChannelRequestKind::Eow(()) => Self::Eow,
            ChannelRequestKind::AuthAgent(()) => Self::AuthAgent,
            ChannelRequestKind::Agent(()) => Self::Agent,
            ChannelRequestKind::ExitStatus(code) => Self::ExitStatus(*code),
            ChannelRequestKind::ExitSignal(exit) => Self::ExitSignal(ExitSignal {
                signal: own(exit.signal),
                core_dumped: exit.core_dumped,
                message: own(exit.message.get(..MAX_PEER_TEXT).unwrap_or(exit.message)),
            }),
            ChannelRequestKind::Unknown { name, body } => Self::Unknown {
                name: own(name),
                body: own(body),
            },
        };
        request.is_valid().then_some(request)
    }

    /// `modes` are those of a `Pty`, encoded; they have to live elsewhere.
    pub(super) fn to_wire<'a>(&'a self, modes: &'a [u8]) -> ChannelRequestKind<'a> {
        match self {
            Self::Pty(pty) => ChannelRequestKind::Pty(PtyReq {
                term: &pty.term,
                columns: pty.columns,
                rows: pty.rows,
                width: pty.width,
                height: pty.height,
                modes,
            }),
            Self::X11 {
                single_connection,
                auth_protocol,
                cookie,
                screen,
            } => ChannelRequestKind::X11(X11Req {
                single_connection: *single_connection,
                auth_protocol,
                auth_cookie: cookie.as_bytes(),
                screen: *screen,
            }),
            Self::Env { name, value } => ChannelRequestKind::Env(EnvReq { name, value }),
            Self::Shell => ChannelRequestKind::Shell(()),
            Self::Exec(command) => ChannelRequestKind::Exec(command),
            Self::Subsystem(name) => ChannelRequestKind::Subsystem(name),
            Self::WindowChange {
                columns,
                rows,
                width,
                height,
            } => ChannelRequestKind::WindowChange(WindowChangeReq {
                columns: *columns,
                rows: *rows,
                width: *width,
                height: *height,
            }),
            Self::XonXoff(allowed) => ChannelRequestKind::XonXoff(*allowed),
            Self::Signal(name) => ChannelRequestKind::Signal(name),
            Self::Break(length) => ChannelRequestKind::Break(*length),
            Self::Eow => ChannelRequestKind::Eow(()),
            Self::AuthAgent => ChannelRequestKind::AuthAgent(()),
            Self::Agent => ChannelRequestKind::Agent(()),
            Self::ExitStatus(code) => ChannelRequestKind::ExitStatus(*code),
            Self::ExitSignal(exit) => ChannelRequestKind::ExitSignal(ExitSignalReq {
                signal: &exit.signal,
                core_dumped: exit.core_dumped,
                message: &exit.message,
                language: &[],
            }),
            Self::Unknown { name, body } => ChannelRequestKind::Unknown { name, body },
        }
    }

    /// Bytes of all fields of variable length.
    pub(super) fn text_len(&self) -> usize {
        let (a, b) = match self {
            Self::Pty(pty) => (pty.term.len(), pty.modes.len().saturating_mul(5)),
            Self::X11 {
                auth_protocol,
                cookie,
                ..
            } => (auth_protocol.len(), cookie.as_bytes().len()),
            Self::Env { name, value } => (name.len(), value.len()),
            Self::Exec(text) | Self::Subsystem(text) | Self::Signal(text) => (text.len(), 0),
            Self::ExitSignal(exit) => (exit.signal.len(), exit.message.len()),
            Self::Unknown { name, body } => (name.len(), body.len()),
            Self::Shell
            | Self::WindowChange { .. }
            | Self::XonXoff(_)
            | Self::Break(_)
            | Self::Eow
            | Self::AuthAgent
            | Self::Agent
            | Self::ExitStatus(_) => (0, 0),
        };
        a.saturating_add(b)
    }

    /// Whether every field has a value that can be meant.
    fn is_valid(&self) -> bool {
        match self {
            Self::Pty(pty) => !has_nul(&pty.term) && modes_are_encodable(&pty.modes),
            Self::X11 {
                auth_protocol,
                cookie,
                ..
            } => {
                !has_nul(auth_protocol)
                    && !cookie.0.is_empty()
                    && cookie.0.len().is_multiple_of(2)
                    && cookie.0.iter().all(u8::is_ascii_hexdigit)
            }
            Self::Env { name, value } => {
                !name.is_empty() && !name.contains(&b'=') && !has_nul(name) && !has_nul(value)
            }
            Self::Exec(text) | Self::Subsystem(text) => !has_nul(text),
            Self::Unknown { name, .. } => !name.is_empty() && name.len() <= MAX_NAME,
            _ => true,
        }
    }

    /// Whether it starts the one program of a session (RFC 4254 section 6.5).
    pub(super) const fn starts_program(&self) -> bool {
        matches!(self, Self::Shell | Self::Exec(_) | Self::Subsystem(_))
    }

    /// Whether it tells how the program ended (RFC 4254 section 6.10).
    pub(super) const fn is_exit(&self) -> bool {
        matches!(self, Self::ExitStatus(_) | Self::ExitSignal(_))
    }

    /// Whether it may want a reply (RFC 4254 sections 6.7 to 6.10, OpenSSH PROTOCOL section 2.1).
    pub(super) const fn takes_reply(&self) -> bool {
        !matches!(
            self,
            Self::WindowChange { .. } | Self::XonXoff(_) | Self::Signal(_) | Self::Eow
        ) && !self.is_exit()
    }

    /// Whether this role may send it.
    pub(super) const fn is_sent_by(&self, role: Role) -> bool {
        match self {
            Self::Signal(_) | Self::Eow | Self::Unknown { .. } => true,
            Self::XonXoff(_) | Self::ExitStatus(_) | Self::ExitSignal(_) => {
                matches!(role, Role::Server)
            }
            _ => matches!(role, Role::Client),
        }
    }

    /// Whether it makes sense only on a session (RFC 4254 section 6).
    pub(super) const fn is_for_sessions(&self) -> bool {
        !matches!(self, Self::Unknown { .. } | Self::Eow)
    }

    /// Whether we may send it.
    pub(super) fn check_send(&self, role: Role) -> Result<(), ChannelError> {
        if !self.is_sent_by(role) {
            return Err(ChannelError::WrongRole);
        }
        if !self.is_valid() || self.to_wire(&[]).is_disguised() {
            return Err(ChannelError::Invalid);
        }
        Ok(())
    }
}
