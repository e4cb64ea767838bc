//! X11 forwarding: the client's display, and the cookie that is changed on the way to it (RFC 4254 section 6.3).

use std::env;
use std::fmt;
use std::io;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use ssh_proto::{ChannelRequest, X11Cookie};

use crate::forward::Target;

/// The one authentication protocol that is forwarded, as in OpenSSH without untrusted clients.
const COOKIE_PROTOCOL: &str = "MIT-MAGIC-COOKIE-1";

/// Bytes of a cookie.
const COOKIE: usize = 16;

/// Bytes of an authentication protocol's name, or of its data, in a program's first packet: many
/// times what any has; the packet itself could claim 64 KiB each.
const MAX_AUTH: usize = 256;

/// Displays are reached on TCP ports from this one on.
pub(crate) const FIRST_PORT: u16 = 6000;

/// An X11 display as `$DISPLAY` names it: `:0`, `unix:0.0`, `host:10.0`, or the path of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    target: Target,
    screen: u32,
}

impl Display {
    /// The display of `$DISPLAY`; `None` if there is none, or it cannot be understood.
    pub fn from_env() -> Option<Self> {
        Self::parse(env::var("DISPLAY").ok()?.as_str())
    }

    /// The display of this name.
    pub fn parse(name: &str) -> Option<Self> {
        if name.starts_with('/') {
            let target = Target::Unix(name.into());
            return Some(Self { target, screen: 0 });
        }
        let (host, numbers) = name.rsplit_once(':')?;
        let (number, screen) = numbers.split_once('.').unwrap_or((numbers, "0"));
        let number: u16 = number.parse().ok()?;
        let target = match host {
            "" | "unix" => Target::Unix(PathBuf::from(format!("/tmp/.X11-unix/X{number}"))),
            host => Target::Tcp {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: FIRST_PORT.checked_add(number)?,
            },
        };
        let screen = screen.parse().ok()?;
        Some(Self { target, screen })
    }

    /// Where it is.
    pub const fn target(&self) -> &Target {
        &self.target
    }
}

/// What a client forwards X11 connections with: a display of its own, the cookie that the display
/// wants, and another one, made up, that the server is told in its place. Given to
/// [`Forwards::forward_x11`](crate::Forwards::forward_x11).
pub struct X11Forward {
    display: Display,
    told: X11Cookie,
    wanted: Option<X11Cookie>,
}

impl X11Forward {
    /// Forwards to this display, whose cookie is `cookie`, in hexadecimal as `xauth list` shows
    /// it. Without one, programs are let in as the display lets any in.
    ///
    /// # Errors
    /// If randomness fails; `InvalidInput` for a cookie that is not hexadecimal.
    pub fn new(display: Display, cookie: Option<X11Cookie>) -> io::Result<Self> {
        if cookie
            .as_ref()
            .is_some_and(|cookie| bytes_of(cookie).is_none())
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut told = [0; COOKIE];
        getrandom::fill(&mut told).map_err(io::Error::other)?;
        Ok(Self {
            display,
            told: hex(&told),
            wanted: cookie,
        })
    }

    /// The request to make on the session whose programs are to use the display.
    pub fn request(&self, single_connection: bool) -> ChannelRequest {
        ChannelRequest::X11 {
            single_connection,
            auth_protocol: COOKIE_PROTOCOL.into(),
            cookie: self.told.clone(),
            screen: self.display.screen,
        }
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.display.target
    }

    /// What changes the cookie of one connection.
    pub(crate) fn swap(&self) -> Box<CookieSwap> {
        Box::new(CookieSwap {
            told: self.told.clone(),
            wanted: self.wanted.clone(),
            seen: BytesMut::new(),
        })
    }
}

/// Without the cookies.
impl fmt::Debug for X11Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X11Forward")
            .field("display", &self.display)
            .finish_non_exhaustive()
    }
}

/// Changes the cookie in a program's first packet, and lets nobody in who does not show ours.
#[derive(Debug)]
pub(crate) struct CookieSwap {
    told: X11Cookie,
    wanted: Option<X11Cookie>,
    /// The packet, as far as it has come.
    seen: BytesMut,
}

/// What came of a piece of a program's first packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swapped {
    /// The packet is not complete.
    More,
    /// The packet with the other cookie, and what came behind it.
    Done(Bytes),
    /// It is no such packet, or the cookie is not ours.
    Refused,
}

type FromWire = fn([u8; 2]) -> u16;
type ToWire = fn(u16) -> [u8; 2];

impl CookieSwap {
    /// Takes the next piece.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Swapped {
        self.seen.extend_from_slice(piece);
        let Some((head, rest)) = self.seen.split_first_chunk::<12>() else {
            return Swapped::More;
        };
        let [order, .., n0, n1, d0, d1, _, _] = *head;
        let (from_wire, to_wire): (FromWire, ToWire) = match order {
            b'B' => (u16::from_be_bytes, u16::to_be_bytes),
            b'l' => (u16::from_le_bytes, u16::to_le_bytes),
            _ => return Swapped::Refused,
        };
        let name_len = usize::from(from_wire([n0, n1]));
        let data_len = usize::from(from_wire([d0, d1]));
        if name_len > MAX_AUTH || data_len > MAX_AUTH {
            return Swapped::Refused;
        }
        let fields = padded(rest, name_len)
            .and_then(|(name, rest)| padded(rest, data_len).map(|(data, rest)| (name, data, rest)));
        let Some((name, data, rest)) = fields else {
            return Swapped::More;
        };
        // Cookies are compared in constant time.
        if name != COOKIE_PROTOCOL.as_bytes() || hex(data) != self.told {
            return Swapped::Refused;
        }
        let (name, data) = match self.wanted.as_ref().and_then(bytes_of) {
            Some(data) => (name, data),
            None => (&[][..], Vec::new()),
        };
        let len = |field: &[u8]| to_wire(u16::try_from(field.len()).unwrap_or_default());
        let [_, unused, major0, major1, minor0, minor1, ..] = *head;
        let mut packet = Vec::with_capacity(self.seen.len().saturating_add(data.len()));
        packet.extend([order, unused, major0, major1, minor0, minor1]);
        packet.extend([len(name), len(&data), [0; 2]].as_flattened());
        for field in [name, &data] {
            packet.extend_from_slice(field);
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        packet.extend_from_slice(rest);
        Swapped::Done(packet.into())
    }
}

/// A field of this length in front of its padding, and what is behind it.
fn padded(bytes: &[u8], len: usize) -> Option<(&[u8], &[u8])> {
    let (field, rest) = bytes.split_at_checked(len.next_multiple_of(4))?;
    Some((field.get(..len)?, rest))
}

fn hex(bytes: &[u8]) -> X11Cookie {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS[usize::from(nibble & 15)];
    X11Cookie::new(
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
            .collect(),
    )
}

/// The bytes behind hexadecimal digits.
fn bytes_of(cookie: &X11Cookie) -> Option<Vec<u8>> {
    let (pairs, []) = cookie.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.is_empty() || pairs.len() > MAX_AUTH {
        return None;
    }
    pairs
        .iter()
        .map(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(order: u8, name: &[u8], data: &[u8]) -> Vec<u8> {
        let len = |len: usize| match order {
            b'B' => (len as u16).to_be_bytes(),
            _ => (len as u16).to_le_bytes(),
        };
        let mut packet = vec![order, 0];
        for number in [11, 0, name.len(), data.len(), 0] {
            packet.extend_from_slice(&len(number));
        }
        for field in [name, data] {
            packet.extend_from_slice(field);
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        packet
    }

    fn forward(cookie: Option<&str>) -> X11Forward {
        let display = Display::parse(":7.1").unwrap();
        X11Forward::new(display, cookie.map(|hex| X11Cookie::new(hex.into()))).unwrap()
    }

    #[test]
    fn displays_are_named_as_x11_does() {
        let unix = |number: u8| Target::Unix(format!("/tmp/.X11-unix/X{number}").into());
        let tcp = |host: &str, port| Target::Tcp {
            host: host.into(),
            port,
        };
        for (name, target, screen) in [
            (":0", unix(0), 0),
            ("unix:3.2", unix(3), 2),
            ("localhost:10.0", tcp("localhost", 6010), 0),
            ("[::1]:1", tcp("::1", 6001), 0),
            (
                "/tmp/launch/org.xquartz:0",
                Target::Unix("/tmp/launch/org.xquartz:0".into()),
                0,
            ),
        ] {
            assert_eq!(Display::parse(name), Some(Display { target, screen }));
        }
        for name in ["", "host", ":", ":x", ":0.x", "host:65000", ":-1"] {
            assert_eq!(Display::parse(name), None, "{name}");
        }
    }

    #[test]
    fn h17_the_told_cookie_is_changed_for_the_wanted_one() {
        for order in [b'B', b'l'] {
            for (wanted, expected) in [
                (
                    Some("00ff10203040"),
                    setup(
                        order,
                        COOKIE_PROTOCOL.as_bytes(),
                        b"\x00\xff\x10\x20\x30\x40",
                    ),
                ),
                (None, setup(order, b"", b"")),
            ] {
                let forward = forward(wanted);
                let told = bytes_of(&forward.told).unwrap();
                let sent = setup(order, COOKIE_PROTOCOL.as_bytes(), &told);
                for cut in 0..sent.len() {
                    let mut swap = forward.swap();
                    assert_eq!(swap.feed(&sent[..cut]), Swapped::More);
                    let rest = [&sent[cut..], b"more"].concat();
                    let expected = [&expected[..], b"more"].concat();
                    assert_eq!(swap.feed(&rest), Swapped::Done(expected.into()));
                }
            }
        }
    }

    #[test]
    fn h17_whoever_does_not_show_the_told_cookie_is_refused() {
        let forward = forward(Some("00ff"));
        let told = bytes_of(&forward.told).unwrap();
        let mut other = told.clone();
        other[15] ^= 1;
        for packet in [
            setup(b'B', COOKIE_PROTOCOL.as_bytes(), &other),
            setup(b'B', COOKIE_PROTOCOL.as_bytes(), &told[..15]),
            setup(b'B', COOKIE_PROTOCOL.as_bytes(), b""),
            setup(b'B', b"XDM-AUTHORIZATION-1", &told),
            setup(b'B', b"", b""),
            setup(b'x', COOKIE_PROTOCOL.as_bytes(), &told),
            setup(b'l', &[b'x'; 257], &told),
        ] {
            assert_eq!(forward.swap().feed(&packet), Swapped::Refused);
        }
        let odd = Some(X11Cookie::new(b"0".to_vec()));
        assert!(X11Forward::new(Display::parse(":0").unwrap(), odd).is_err());
        let shown = format!("{forward:?} {:?}", forward.swap());
        assert!(
            !shown.contains("00ff")
                && !shown.contains(str::from_utf8(forward.told.as_bytes()).unwrap())
        );
    }
}
