//! What a login may do: permissions and a forced command, which steps of authentication only ever tighten (the options of OpenSSH's `authorized_keys`).

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

use bytes::Bytes;

use crate::crypto::CertificateRights;

/// A set of rights of a login, as the options of a key or a certificate grant them.
///
/// A server's application hands one over with [`AuthRequest::restrict`](crate::AuthRequest::restrict);
/// the connection refuses by itself what the set of the finished login lacks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions(u8);

impl Permissions {
    /// No right.
    pub const NONE: Self = Self(0);
    /// A terminal: `pty-req` (RFC 4254 section 6.2).
    pub const PTY: Self = Self(1);
    /// X11 forwarding: `x11-req` (RFC 4254 section 6.3).
    pub const X11: Self = Self(1 << 1);
    /// Agent forwarding: `auth-agent-req@openssh.com` and `agent-req`.
    pub const AGENT: Self = Self(1 << 2);
    /// Connections from here to TCP ports: `direct-tcpip` (RFC 4254 section 7.2).
    pub const DIRECT_TCPIP: Self = Self(1 << 3);
    /// Listening on TCP ports here: `tcpip-forward` (RFC 4254 section 7.1).
    pub const FORWARDED_TCPIP: Self = Self(1 << 4);
    /// Connections from here to UNIX sockets: `direct-streamlocal@openssh.com`.
    pub const DIRECT_STREAMLOCAL: Self = Self(1 << 5);
    /// Listening on UNIX sockets here: `streamlocal-forward@openssh.com`.
    pub const FORWARDED_STREAMLOCAL: Self = Self(1 << 6);
    /// Network tunnels: `tun@openssh.com`.
    pub const TUN: Self = Self(1 << 7);
    /// Every right.
    pub const ALL: Self = Self(u8::MAX);
    /// Forwarding of TCP ports and UNIX sockets, both ways: what `permit-port-forwarding` grants.
    pub const PORT_FORWARDING: Self = Self::DIRECT_TCPIP
        .union(Self::FORWARDED_TCPIP)
        .union(Self::DIRECT_STREAMLOCAL)
        .union(Self::FORWARDED_STREAMLOCAL);

    const NAMES: [(Self, &'static str); 8] = [
        (Self::PTY, "PTY"),
        (Self::X11, "X11"),
        (Self::AGENT, "AGENT"),
        (Self::DIRECT_TCPIP, "DIRECT_TCPIP"),
        (Self::FORWARDED_TCPIP, "FORWARDED_TCPIP"),
        (Self::DIRECT_STREAMLOCAL, "DIRECT_STREAMLOCAL"),
        (Self::FORWARDED_STREAMLOCAL, "FORWARDED_STREAMLOCAL"),
        (Self::TUN, "TUN"),
    ];

    /// The rights of both sets; `|` for constants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rights that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rights of this set that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every right of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for Permissions {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Self::NAMES
            .into_iter()
            .filter(|(right, _)| self.contains(*right))
            .map(|(_, name)| name);
        f.debug_set().entries(held).finish()
    }
}

/// What a step of authentication allows at most: permissions, and the one command that may run.
///
/// Over several steps restrictions only tighten: permissions intersect, and a second forced
/// command that differs from the first makes its step fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restrictions {
    permissions: Permissions,
    command: Command,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Command {
    Any,
    Forced(Bytes),
    /// Two different ones are forced: none can be run.
    Contradictory,
}

impl Restrictions {
    /// At most these rights, and any command.
    pub const fn new(permissions: Permissions) -> Self {
        Self {
            permissions,
            command: Command::Any,
        }
    }

    /// Runs this command whatever the client asks to run (`command=` of `authorized_keys`,
    /// `force-command` of a certificate).
    pub fn with_force_command(mut self, command: impl Into<Bytes>) -> Self {
        self.command = Command::Forced(command.into());
        self
    }

    /// The rights that are left.
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// The command that runs in place of what the client asks for.
    pub fn force_command(&self) -> Option<&[u8]> {
        match &self.command {
            Command::Forced(command) => Some(command),
            Command::Any | Command::Contradictory => None,
        }
    }

    /// Adds those of another source.
    pub(crate) fn tighten(&mut self, other: &Self) {
        self.permissions = self.permissions.intersection(other.permissions);
        match (&self.command, &other.command) {
            (_, Command::Any) => {}
            (Command::Any, _) => self.command = other.command.clone(),
            (ours, theirs) if ours == theirs => {}
            _ => self.command = Command::Contradictory,
        }
    }

    /// Whether nothing can satisfy them.
    pub(crate) fn contradict(&self) -> bool {
        self.command == Command::Contradictory
    }
}

/// What a certificate allows: each right only where it has the extension for it, and its forced
/// command. Tunnels are among what `permit-port-forwarding` grants.
impl From<&CertificateRights> for Restrictions {
    fn from(rights: &CertificateRights) -> Self {
        let forwarding = Permissions::PORT_FORWARDING | Permissions::TUN;
        let permissions = [
            (rights.pty(), Permissions::PTY),
            (rights.x11_forwarding(), Permissions::X11),
            (rights.agent_forwarding(), Permissions::AGENT),
            (rights.port_forwarding(), forwarding),
        ];
        let granted = permissions.into_iter().filter(|(granted, _)| *granted);
        let restrictions = Self::new(granted.fold(Permissions::NONE, |all, (_, one)| all | one));
        match rights.force_command() {
            Some(command) => restrictions.with_force_command(Bytes::copy_from_slice(command)),
            None => restrictions,
        }
    }
}

impl Default for Restrictions {
    /// No restriction.
    fn default() -> Self {
        Self::new(Permissions::ALL)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn all_rights_have_names() {
        let named = Permissions::NAMES
            .iter()
            .fold(Permissions::NONE, |all, (right, _)| all | *right);
        assert_eq!(named, Permissions::ALL);
        let some = Permissions::PTY | Permissions::TUN;
        assert_eq!(format!("{some:?}"), r#"{"PTY", "TUN"}"#);
    }

    #[test]
    fn sets_join_meet_and_part() {
        let forwarding = Permissions::PORT_FORWARDING;
        assert!(forwarding.contains(Permissions::DIRECT_TCPIP));
        assert!(!forwarding.contains(Permissions::DIRECT_TCPIP | Permissions::TUN));
        let rest = Permissions::ALL.without(forwarding);
        assert_eq!(rest.intersection(forwarding), Permissions::NONE);
        assert_eq!(rest | forwarding, Permissions::ALL);
    }

    #[test]
    fn g11_restrictions_tighten_in_any_order() {
        let pty = Restrictions::new(Permissions::PTY | Permissions::X11);
        let tun = Restrictions::new(Permissions::PTY | Permissions::TUN).with_force_command("id");
        for order in [[&pty, &tun], [&tun, &pty]] {
            let mut gathered = Restrictions::default();
            assert_eq!(gathered.permissions(), Permissions::ALL);
            for step in order {
                gathered.tighten(step);
            }
            // What came before is never loosened.
            gathered.tighten(&Restrictions::default());
            assert_eq!(gathered.permissions(), Permissions::PTY);
            assert_eq!(gathered.force_command(), Some(&b"id"[..]));
            assert!(!gathered.contradict());
        }
    }

    #[test]
    fn m10_two_forced_commands_contradict() {
        let forced = |command| Restrictions::default().with_force_command(command);
        let mut gathered = forced("id");
        gathered.tighten(&forced("id"));
        assert!(!gathered.contradict());
        gathered.tighten(&forced("date"));
        for again in [forced("id"), forced("date"), Restrictions::default()] {
            gathered.tighten(&again);
            assert!(gathered.contradict());
            assert_eq!(gathered.force_command(), None);
        }
    }
}
