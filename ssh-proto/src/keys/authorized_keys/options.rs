//! The options of an authorized key: what it may be used for, from where and until when (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use super::SourceList;
use crate::keys::line::{LineProblem, Options, set_once, shown};
use crate::keys::{FileTime, WallClock};
use crate::limits::{MAX_HOST_NAME, MAX_KEY_OPTIONS};

/// What a line grants and demands. The default is that of a line without options: everything is
/// granted, nothing demanded.
///
/// The values are those of the file; the application turns them into
/// [`Restrictions`](crate::Restrictions) and acts upon the rest itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyOptions {
    /// The key is that of an authority whose certificates are good (`cert-authority`).
    pub cert_authority: bool,
    /// The certificates of the authority are good for these names, of which each has to be
    /// compared as a whole, and not for that of the user (`principals=`).
    pub principals: Option<Vec<String>>,
    /// `restrict` is among the options: what these do not name is not granted either.
    pub restrict: bool,
    /// A terminal may be asked for (`pty`, `no-pty`).
    pub pty: bool,
    /// Ports and sockets may be forwarded (`port-forwarding`, `no-port-forwarding`).
    pub port_forwarding: bool,
    /// The agent may be forwarded (`agent-forwarding`, `no-agent-forwarding`).
    pub agent_forwarding: bool,
    /// X11 may be forwarded (`X11-forwarding`, `no-X11-forwarding`).
    pub x11_forwarding: bool,
    /// `~/.ssh/rc` is run (`user-rc`, `no-user-rc`).
    pub user_rc: bool,
    /// Run in place of whatever is asked for (`command=`).
    pub command: Option<Vec<u8>>,
    /// Variables for the session, with their values; a name is there once (`environment=`).
    pub environment: Vec<(String, Vec<u8>)>,
    /// Where connections may be made to; anywhere if it is empty (`permitopen=`).
    pub permit_open: Vec<PermittedPlace>,
    /// Where the client may have the server listen; anywhere if it is empty (`permitlisten=`).
    pub permit_listen: Vec<PermittedPlace>,
    /// The only tunnel device that may be used (`tunnel=`).
    pub tunnel: Option<TunnelDevice>,
    /// Where the key may be used from (`from=`); checked by [`Self::admits`].
    pub from: Option<SourceList>,
    /// The first moment at which the key is not good any more (`expiry-time=`); checked by
    /// [`Self::admits`].
    pub expiry_time: Option<FileTime>,
    /// A signature of a security key is good without a touch (`no-touch-required`).
    pub no_touch_required: bool,
    /// A security key has to have verified its user, by PIN say (`verify-required`).
    pub verify_required: bool,
}

impl Default for KeyOptions {
    fn default() -> Self {
        Self {
            cert_authority: false,
            principals: None,
            restrict: false,
            pty: true,
            port_forwarding: true,
            agent_forwarding: true,
            x11_forwarding: true,
            user_rc: true,
            command: None,
            environment: Vec::new(),
            permit_open: Vec::new(),
            permit_listen: Vec::new(),
            tunnel: None,
            from: None,
            expiry_time: None,
            no_touch_required: false,
            verify_required: false,
        }
    }
}

/// A host and a port of `permitopen=` or `permitlisten=`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PermittedPlace {
    /// The host as the client has to ask for it, without brackets; `*` is any. For
    /// `permitlisten=` it is a pattern.
    pub host: String,
    /// The port, or any.
    pub port: Option<u16>,
}

/// A tunnel device of `tunnel=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TunnelDevice {
    /// Whichever is free.
    Any,
    /// The one of this number.
    Number(u32),
}

/// Why a key that is listed is not good here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyRefusal {
    /// It may not be used from there (`from=`).
    Source,
    /// It is not good any more (`expiry-time=`).
    Expired,
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "the key may not be used from there",
            Self::Expired => "the key has expired",
        })
    }
}

impl core::error::Error for KeyRefusal {}

impl KeyOptions {
    /// Whether the key is good from there and now. To be asked for each attempt, before
    /// [`AuthRequest`](crate::AuthRequest) is answered.
    ///
    /// `address` is that of the peer, `name` its host name if that was looked up and leads back to
    /// the address; without both, no `from=` is met.
    ///
    /// # Errors
    /// Which of the conditions is not met.
    pub fn admits(
        &self,
        address: Option<IpAddr>,
        name: Option<&str>,
        now: WallClock,
    ) -> Result<(), KeyRefusal> {
        if self.expiry_time.is_some_and(|end| end.is_reached(now)) {
            return Err(KeyRefusal::Expired);
        }
        match &self.from {
            Some(list) if !list.admits(address, name) => Err(KeyRefusal::Source),
            _ => Ok(()),
        }
    }

    /// Reads what stands before the key. Later options override earlier ones, as in sshd.
    pub(super) fn parse(text: &[u8]) -> Result<Self, LineProblem> {
        let mut options = Self::default();
        for (count, option) in Options::new(text).enumerate() {
            if count == MAX_KEY_OPTIONS {
                return Err(LineProblem::TooLong);
            }
            let (name, value) = option?;
            match value {
                Some(value) => options.set(&name, value)?,
                None => options.switch(&name)?,
            }
        }
        // An authority's names on a key that is none: the line means something else than it says.
        if options.principals.is_some() && !options.cert_authority {
            return Err(LineProblem::OptionValue("principals".into()));
        }
        Ok(options)
    }

    /// An option without a value.
    fn switch(&mut self, name: &str) -> Result<(), LineProblem> {
        let (granted, right) = match name.strip_prefix("no-") {
            Some(right) => (false, right),
            None => (true, name),
        };
        let slot = match right {
            "pty" => &mut self.pty,
            "port-forwarding" => &mut self.port_forwarding,
            "agent-forwarding" => &mut self.agent_forwarding,
            "x11-forwarding" => &mut self.x11_forwarding,
            "user-rc" => &mut self.user_rc,
            "verify-required" => &mut self.verify_required,
            "touch-required" => {
                self.no_touch_required = !granted;
                return Ok(());
            }
            "cert-authority" if granted => &mut self.cert_authority,
            "restrict" if granted => {
                self.restrict = true;
                for right in [
                    &mut self.pty,
                    &mut self.port_forwarding,
                    &mut self.agent_forwarding,
                    &mut self.x11_forwarding,
                    &mut self.user_rc,
                ] {
                    *right = false;
                }
                return Ok(());
            }
            _ => return Err(LineProblem::UnknownOption(shown(name.as_bytes()))),
        };
        *slot = granted;
        Ok(())
    }

    /// An option with a value.
    fn set(&mut self, name: &str, value: Vec<u8>) -> Result<(), LineProblem> {
        let wrong = || LineProblem::OptionValue(name.into());
        match name {
            "command" => set_once(&mut self.command, name, value)?,
            "environment" => {
                let (name, value) = variable(&value).ok_or_else(wrong)?;
                // The first one counts, as in sshd.
                if !self.environment.iter().any(|(other, _)| other == name) {
                    self.environment.push((name.into(), value.into()));
                }
            }
            "from" => {
                let list = SourceList::parse(&value).ok_or_else(wrong)?;
                set_once(&mut self.from, name, list)?;
            }
            "principals" => {
                let text = String::from_utf8(value).map_err(|_| wrong())?;
                let names = text.split(',').filter(|name| !name.is_empty());
                set_once(&mut self.principals, name, names.map(Into::into).collect())?;
            }
            "permitopen" => {
                let place = PermittedPlace::parse(&value).ok_or_else(wrong)?;
                self.permit_open.push(place);
            }
            "permitlisten" => {
                let place = match value.contains(&b':') {
                    true => PermittedPlace::parse(&value),
                    false => PermittedPlace::parse(&[b"*:", &value[..]].concat()),
                };
                self.permit_listen.push(place.ok_or_else(wrong)?);
            }
            "tunnel" => {
                let device = TunnelDevice::parse(&value).ok_or_else(wrong)?;
                set_once(&mut self.tunnel, name, device)?;
            }
            "expiry-time" => {
                let end = FileTime::parse(&value).ok_or_else(wrong)?;
                set_once(&mut self.expiry_time, name, end)?;
            }
            _ => return Err(LineProblem::UnknownOption(shown(name.as_bytes()))),
        }
        Ok(())
    }
}

/// `NAME=value`, where the name is of letters, digits and underscores.
fn variable(text: &[u8]) -> Option<(&str, &[u8])> {
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = text.split_at(equals);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if name.is_empty() || !name.iter().all(is_name) {
        return None;
    }
    Some((core::str::from_utf8(name).ok()?, value.strip_prefix(b"=")?))
}

impl PermittedPlace {
    /// `host:port`, the host in brackets where it has colons of its own, either of them `*`.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(text).ok()?;
        let (host, port) = text.rsplit_once(':')?;
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let inner = literal.unwrap_or(host);
        let is_plain = |byte: u8| {
            byte.is_ascii_graphic()
                && !matches!(byte, b'[' | b']' | b',')
                && (literal.is_some() || byte != b':')
        };
        if inner.is_empty() || inner.len() > MAX_HOST_NAME || !inner.bytes().all(is_plain) {
            return None;
        }
        let port = match port {
            "*" => None,
            digits => Some(number(digits).filter(|port| *port != 0)?),
        };
        Some(Self {
            host: inner.into(),
            port,
        })
    }
}

impl TunnelDevice {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(text).ok()?;
        match text {
            "any" => Some(Self::Any),
            // The largest numbers have other meanings on the wire.
            _ => number(text)
                .filter(|number| *number <= i32::MAX as u32 - 2)
                .map(Self::Number),
        }
    }
}

/// A number of digits alone.
fn number<N: core::str::FromStr>(digits: &str) -> Option<N> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}
