//! Identification strings (RFC 4253 section 4.2): ours, checked when the config is built, and the peer's, read under bounds.

use alloc::string::String;
use core::fmt;

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{ApiMisuse, Error, Limit, PeerMisbehaved};
use crate::limits::{
    MAX_IDENTIFICATION, MAX_PRE_IDENTIFICATION_BYTES, MAX_PRE_IDENTIFICATION_LINES,
};
use crate::role::Role;

/// An identification string, such as `SSH-2.0-OpenSSH_10.0`, without its line end.
///
/// The peer's may hold any bytes but NUL, CR and LF; `Display` escapes what is not printable.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identification(Bytes);

impl Identification {
    /// Our own, from the software version and an optional comment.
    ///
    /// # Errors
    /// `InvalidText` if the version is empty or has anything but printable US-ASCII without
    /// space, the comment anything but printable US-ASCII, or the line passes 255 bytes.
    pub fn new(software: &str, comment: Option<&str>) -> Result<Self, ApiMisuse> {
        let mut line = String::from("SSH-2.0-");
        line.push_str(software);
        if let Some(comment) = comment {
            line.push(' ');
            line.push_str(comment);
        }
        let valid = !software.is_empty()
            && software.bytes().all(|byte| byte.is_ascii_graphic())
            && line
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ')
            && line.len() <= MAX_IDENTIFICATION - 2;
        if !valid {
            return Err(ApiMisuse::InvalidText);
        }
        Ok(Self(line.into_bytes().into()))
    }

    /// The exact bytes, as they enter the exchange hash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The software version: what stands between the second dash and the first space.
    pub fn software(&self) -> &[u8] {
        let after = self
            .0
            .splitn(3, |byte| *byte == b'-')
            .nth(2)
            .unwrap_or_default();
        after.split(|byte| *byte == b' ').next().unwrap_or_default()
    }
}

impl fmt::Display for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads the peer's identification string, keeping no more than that one line.
#[derive(Debug)]
pub(crate) struct IdentReader {
    peer: Role,
    lines: usize,
    skipped: usize,
    /// In the middle of a line that is not the identification.
    skipping: bool,
}

impl IdentReader {
    pub(crate) const fn new(peer: Role) -> Self {
        Self {
            peer,
            lines: 0,
            skipped: 0,
            skipping: false,
        }
    }

    /// Takes the identification from the front of `input`; `None` if it is not complete.
    pub(crate) fn read(&mut self, input: &mut BytesMut) -> Result<Option<Identification>, Error> {
        const PREFIX: &[u8] = b"SSH-";
        loop {
            if !self.skipping {
                let known = input.len().min(PREFIX.len());
                if input.get(..known) != PREFIX.get(..known) {
                    if self.peer == Role::Client {
                        return Err(PeerMisbehaved::TextBeforeIdentification.into());
                    }
                    self.skipping = true;
                } else if known < PREFIX.len() {
                    return Ok(None);
                } else {
                    return self.read_line(input);
                }
            }
            let line_end = input.iter().position(|byte| *byte == b'\n');
            let taken = line_end.map_or(input.len(), |at| at.saturating_add(1));
            input.advance(taken);
            self.skipped = self.skipped.saturating_add(taken);
            if line_end.is_some() {
                self.lines = self.lines.saturating_add(1);
                self.skipping = false;
            }
            if self.skipped > MAX_PRE_IDENTIFICATION_BYTES
                || self.lines > MAX_PRE_IDENTIFICATION_LINES
            {
                return Err(Limit::Identification.into());
            }
            if input.is_empty() {
                return Ok(None);
            }
        }
    }

    fn read_line(&self, input: &mut BytesMut) -> Result<Option<Identification>, Error> {
        let bad = Err(PeerMisbehaved::BadIdentification.into());
        let window = input
            .get(..input.len().min(MAX_IDENTIFICATION))
            .unwrap_or_default();
        let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
            // A NUL or a bare CR will not become valid by waiting.
            let settled = window.strip_suffix(b"\r").unwrap_or(window);
            return match settled.iter().any(|byte| matches!(byte, 0 | b'\r')) {
                true => bad,
                false if input.len() >= MAX_IDENTIFICATION => Err(Limit::Identification.into()),
                false => Ok(None),
            };
        };
        let line = window.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let version = match line {
            [b'S', b'S', b'H', b'-', b'2', b'.', b'0', b'-', rest @ ..] => rest,
            [
                b'S',
                b'S',
                b'H',
                b'-',
                b'1',
                b'.',
                b'9',
                b'9',
                b'-',
                rest @ ..,
            ] if self.peer == Role::Server => rest,
            _ => return bad,
        };
        if version.first().is_none_or(|byte| *byte == b' ')
            || line.iter().any(|byte| matches!(byte, 0 | b'\r'))
        {
            return bad;
        }
        let identification = Identification(Bytes::copy_from_slice(line));
        input.advance(end.saturating_add(1));
        Ok(Some(identification))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn read(peer: Role, bytes: &[u8]) -> Result<Option<Identification>, Error> {
        let whole = IdentReader::new(peer).read(&mut BytesMut::from(bytes));
        let mut reader = IdentReader::new(peer);
        let mut input = BytesMut::new();
        let mut piecewise = Ok(None);
        for byte in bytes {
            input.extend_from_slice(&[*byte]);
            piecewise = reader.read(&mut input);
            assert!(
                input.len() <= MAX_IDENTIFICATION,
                "A1: more kept than one line"
            );
            if !matches!(piecewise, Ok(None)) {
                break;
            }
        }
        assert_eq!(whole, piecewise, "U2");
        whole
    }

    fn line(bytes: &[u8]) -> Option<Vec<u8>> {
        read(Role::Server, bytes)
            .unwrap()
            .map(|ident| ident.as_bytes().to_vec())
    }

    #[test]
    fn a1_a_line_without_end_is_refused_at_255_bytes() {
        let endless = [b"SSH-2.0-".as_slice(), &[b'x'; 300]].concat();
        let error = Err(Error::LimitExceeded(Limit::Identification));
        assert_eq!(read(Role::Client, &endless), error);
        assert_eq!(read(Role::Server, &endless), error);
        assert_eq!(read(Role::Server, &endless[..254]), Ok(None));
    }

    #[test]
    fn a2_lines_before_the_identification_of_a_server() {
        for count in [0, 1, 1024] {
            let text = [b"hello\r\n".repeat(count).as_slice(), b"SSH-2.0-x\r\n"].concat();
            assert_eq!(line(&text).unwrap(), b"SSH-2.0-x", "{count} lines");
        }
        let limit = Err(Error::LimitExceeded(Limit::Identification));
        assert_eq!(read(Role::Server, &b"\n".repeat(1025)), limit);
        assert_eq!(
            read(Role::Server, &vec![b'a'; MAX_PRE_IDENTIFICATION_BYTES + 1]),
            limit
        );
        let long = [[b'a'; 8193].as_slice(), b"\nSSH-2.0-x\n"].concat();
        assert_eq!(line(&long).unwrap(), b"SSH-2.0-x");
    }

    #[test]
    fn a3_a_client_may_send_nothing_before_its_identification() {
        for text in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01\x02\x00",
            b"\r\n",
            b"\nSSH-2.0-x\n",
        ] {
            let error = Err(Error::PeerMisbehaved(
                PeerMisbehaved::TextBeforeIdentification,
            ));
            assert_eq!(read(Role::Client, text), error);
        }
    }

    #[test]
    fn a4_nul_and_bare_cr_are_refused_other_bytes_kept() {
        let bad = Err(Error::PeerMisbehaved(PeerMisbehaved::BadIdentification));
        assert_eq!(read(Role::Client, b"SSH-2.0-a\0b\r\n"), bad);
        assert_eq!(read(Role::Client, b"SSH-2.0-a\rb\r\n"), bad);
        assert_eq!(read(Role::Client, b"SSH-2.0-a\r\r\n"), bad);
        let odd = read(Role::Client, b"SSH-2.0-\x1b[31m\xff\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(odd.as_bytes(), b"SSH-2.0-\x1b[31m\xff");
        assert_eq!(odd.to_string(), r"SSH-2.0-\x1b[31m\xff");
    }

    #[test]
    fn a5_only_version_two() {
        let bad = Err(Error::PeerMisbehaved(PeerMisbehaved::BadIdentification));
        for text in [
            "SSH-1.5-x\n",
            "SSH-2.1-x\n",
            "SSH-2.0-\n",
            "SSH-2.0- x\n",
            "SSH-2.0\n",
        ] {
            assert_eq!(read(Role::Client, text.as_bytes()), bad, "{text}");
            assert_eq!(read(Role::Server, text.as_bytes()), bad, "{text}");
        }
        assert_eq!(read(Role::Client, b"SSH-1.99-x\n"), bad);
        assert_eq!(line(b"SSH-1.99-x\n").unwrap(), b"SSH-1.99-x");
        assert_eq!(
            line(b"ssh-2.0-x\n"),
            None,
            "a server's line like any other before the real one"
        );
    }

    #[test]
    fn a6_line_ends_spaces_and_comments_are_kept_exactly() {
        assert_eq!(line(b"SSH-2.0-x\n").unwrap(), b"SSH-2.0-x");
        assert_eq!(line(b"SSH-2.0-x  \r\n").unwrap(), b"SSH-2.0-x  ");
        let ident = read(Role::Server, b"SSH-2.0-a-b c d\r\n").unwrap().unwrap();
        assert_eq!(ident.as_bytes(), b"SSH-2.0-a-b c d");
        assert_eq!(ident.software(), b"a-b");
        let longest = [b"SSH-2.0-".as_slice(), &[b'x'; 245], b"\r\n"].concat();
        assert_eq!(longest.len(), 255);
        assert_eq!(line(&longest).unwrap(), &longest[..253]);
        let longer = [b"SSH-2.0-".as_slice(), &[b'x'; 246], b"\r\n"].concat();
        assert_eq!(
            read(Role::Server, &longer),
            Err(Error::LimitExceeded(Limit::Identification))
        );
    }

    #[test]
    fn a7_what_follows_stays_in_the_buffer() {
        let mut input = BytesMut::from(&b"SSH-2.0-x\r\n\0\0\0\x0c"[..]);
        assert!(
            IdentReader::new(Role::Client)
                .read(&mut input)
                .unwrap()
                .is_some()
        );
        assert_eq!(&input[..], b"\0\0\0\x0c");
    }

    #[test]
    fn a9_our_own_identification_is_checked() {
        assert_eq!(
            Identification::new("x_1.0", None).unwrap().as_bytes(),
            b"SSH-2.0-x_1.0"
        );
        assert_eq!(
            Identification::new("x", Some("c d")).unwrap().as_bytes(),
            b"SSH-2.0-x c d"
        );
        for bad in ["", "a b", "a\n", "a\0", "\u{e4}"] {
            assert_eq!(
                Identification::new(bad, None),
                Err(ApiMisuse::InvalidText),
                "{bad:?}"
            );
        }
        assert!(Identification::new("x", Some("a\nb")).is_err());
        assert!(Identification::new(&"x".repeat(245), None).is_ok());
        assert!(Identification::new(&"x".repeat(246), None).is_err());
    }
}
