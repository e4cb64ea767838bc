//! The known_hosts file: which keys hosts have, read, looked up and edited (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

mod verdict;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

pub use self::verdict::{HostEntries, HostEntry, HostMarker, Place, Verdict};
use super::line::{
    LineError, LineProblem, is_certificate, parse_lines, plain_key, shown, split_field,
};
use super::pattern::{Letters, list_matches};
use super::{Comment, KeyFileError, PublicKeyLine};
use crate::crypto::{PublicKey, SecureRandom};
use crate::error::CryptoError;
use crate::limits::{MAX_HOST_NAME, MAX_KEY_LIST, MAX_KEY_LIST_LINES, MAX_KNOWN_HOSTS_LINE};

/// The port that is not written.
const DEFAULT_PORT: u16 = 22;

/// The length of salts and hashes, those of SHA-1.
const HASH: usize = 20;

/// A host as known_hosts names it: `name`, or `[name]:port` where the port is not 22.
///
/// The name is what the user asked for, or an alias in its place (`HostKeyAlias`), or an address.
/// A host at another port is found under that port alone; OpenSSH goes on to accept, without a
/// question, a key that is known for port 22 of a host of which nothing is known at the other:
/// whoever wants that asks again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort(String);

impl HostPort {
    /// A name or address, in letters of either case and without brackets, and a port.
    ///
    /// # Errors
    /// `BadHostName` if it is empty, longer than 255 bytes or has characters that mean something
    /// else in the file: blanks, commas, wildcards, brackets, `!`, `|`, `#`, `@`, quotes and all
    /// that is not printable ASCII.
    pub fn new(name: &str, port: u16) -> Result<Self, KeyFileError> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b",*?[]!|#@\"'".contains(&byte);
        if name.is_empty() || name.len() > MAX_HOST_NAME || !name.bytes().all(is_plain) {
            return Err(KeyFileError::BadHostName);
        }
        let name = name.to_ascii_lowercase();
        Ok(Self(match port {
            DEFAULT_PORT => name,
            port => alloc::format!("[{name}]:{port}"),
        }))
    }

    /// As it stands in the file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A known_hosts file. It stays as it is to the byte, but for the lines that are added and removed.
///
/// A client's application reads one before it connects, [finds](Self::find) what is known of the
/// host, and adds the host's key when its user accepts it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHosts {
    text: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    line: usize,
    hosts: Hosts,
    marker: HostMarker,
    key: PublicKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    /// Patterns between commas.
    Patterns(Box<[u8]>),
    /// One name, as HMAC-SHA1 under the salt.
    Hashed { salt: [u8; HASH], hash: [u8; HASH] },
}

impl KnownHosts {
    /// Reads a file. Lines that are not understood are left out and reported, the first
    /// [`MAX_LINE_ERRORS`](crate::limits::MAX_LINE_ERRORS) of them; they match nothing.
    ///
    /// # Errors
    /// `TooLong` above 64 MiB or 131072 lines with keys.
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<(Self, Vec<LineError>), KeyFileError> {
        let text = text.into();
        let (entries, errors) = parse_lines(&text, Entry::parse)?;
        Ok((Self { text, entries }, errors))
    }

    /// The file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Everything that the file says about a host.
    pub fn find(&self, host: &HostPort) -> HostEntries {
        let entries = self.entries.iter().filter(|entry| entry.hosts.names(host));
        HostEntries::new(entries.map(Entry::found).collect())
    }

    /// Adds a key of a host under its name, and returns what this puts at the end of the file:
    /// a line, behind a line end where the last line lacks its own.
    ///
    /// # Errors
    /// `UnsupportedKeyType` for a certificate, `TooLong` if the line or the file would be.
    pub fn add(&mut self, host: &HostPort, key: &PublicKey) -> Result<&[u8], KeyFileError> {
        self.append(host.as_str(), key)
    }

    /// Adds a key of a host with its name hashed (`HashKnownHosts`): who reads the file can try
    /// names, and cannot list them.
    ///
    /// # Errors
    /// As [`Self::add`]; `Crypto` if there is no randomness for the salt.
    pub fn add_hashed(
        &mut self,
        host: &HostPort,
        key: &PublicKey,
        random: &mut dyn SecureRandom,
    ) -> Result<&[u8], KeyFileError> {
        let mut salt = [0; HASH];
        random.fill(&mut salt)?;
        let hash = hash_of(host, &salt).ok_or(KeyFileError::Crypto(CryptoError::Failed))?;
        let (salt, hash) = (Base64::encode_string(&salt), Base64::encode_string(&hash));
        self.append(&alloc::format!("|1|{salt}|{hash}"), key)
    }

    fn append(&mut self, hosts: &str, key: &PublicKey) -> Result<&[u8], KeyFileError> {
        if is_certificate(key) {
            return Err(KeyFileError::UnsupportedKeyType(key.key_type().to_string()));
        }
        let line = PublicKeyLine {
            key: key.clone(),
            comment: Comment::default(),
        };
        let line = alloc::format!("{hosts} {line}");
        if line.len() > MAX_KNOWN_HOSTS_LINE {
            return Err(KeyFileError::TooLong);
        }
        let start = if self.text.last().is_some_and(|byte| *byte != b'\n') {
            "\n"
        } else {
            ""
        };
        let added = alloc::format!("{start}{line}\n");
        let end = self.text.len();
        if end.saturating_add(added.len()) > MAX_KEY_LIST
            || self.entries.len() >= MAX_KEY_LIST_LINES
        {
            return Err(KeyFileError::TooLong);
        }
        let before = self.text.iter().filter(|byte| **byte == b'\n').count();
        let number = before.saturating_add(start.len()).saturating_add(1);
        let entry = Entry::parse(number, line.as_bytes()).map_err(|_| KeyFileError::BadHostName)?;
        self.entries.push(entry);
        self.text.extend_from_slice(added.as_bytes());
        Ok(self.text.get(end..).unwrap_or_default())
    }

    /// Takes out the lines about a host, as `ssh-keygen -R` does: those with a marker stay, those
    /// that name other hosts as well or have wildcards go. Returns how many went.
    pub fn remove(&mut self, host: &HostPort) -> usize {
        let gone: Vec<usize> = self
            .entries
            .iter()
            .filter(|entry| entry.marker == HostMarker::Key && entry.hosts.names(host))
            .map(|entry| entry.line)
            .collect();
        let kept: Vec<u8> = (1..)
            .zip(self.text.split_inclusive(|byte| *byte == b'\n'))
            .filter(|(line, _)| gone.binary_search(line).is_err())
            .flat_map(|(_, line)| line.iter().copied())
            .collect();
        // A part of a file that was short enough is.
        if let Ok((kept, _)) = Self::parse(kept) {
            *self = kept;
        }
        gone.len()
    }
}

impl Hosts {
    fn parse(field: &[u8]) -> Result<Self, LineProblem> {
        match field {
            [b'|', ..] => Self::parse_hashed(field).ok_or(LineProblem::HostHash),
            _ if field.iter().all(u8::is_ascii_graphic) => Ok(Self::Patterns(field.into())),
            _ => Err(LineProblem::Names),
        }
    }

    /// `|1|salt|hash`, both in base64.
    fn parse_hashed(field: &[u8]) -> Option<Self> {
        let mut parts = field.strip_prefix(b"|1|")?.split(|byte| *byte == b'|');
        let mut part = || {
            let mut bytes = [0; HASH];
            let decoded = Base64::decode(parts.next()?, &mut bytes).ok()?;
            (decoded.len() == HASH).then_some(bytes)
        };
        let (salt, hash) = (part()?, part()?);
        parts
            .next()
            .is_none()
            .then_some(Self::Hashed { salt, hash })
    }

    fn names(&self, host: &HostPort) -> bool {
        match self {
            Self::Patterns(patterns) => list_matches(patterns, host.0.as_bytes(), Letters::AnyCase),
            Self::Hashed { salt, hash } => hash_of(host, salt) == Some(*hash),
        }
    }
}

fn hash_of(host: &HostPort, salt: &[u8; HASH]) -> Option<[u8; HASH]> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(host.0.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

impl Entry {
    fn parse(number: usize, line: &[u8]) -> Result<Self, LineProblem> {
        if line.len() > MAX_KNOWN_HOSTS_LINE {
            return Err(LineProblem::TooLong);
        }
        let (first, behind) = split_field(line);
        let (marker, hosts, key) = match first {
            [b'@', ..] => {
                let marker = match first {
                    b"@cert-authority" => HostMarker::Authority,
                    b"@revoked" => HostMarker::Revoked,
                    _ => return Err(LineProblem::Marker(shown(first))),
                };
                let (hosts, key) = split_field(behind);
                (marker, hosts, key)
            }
            _ => (HostMarker::Key, first, behind),
        };
        if key.is_empty() {
            return Err(LineProblem::MissingField);
        }
        if hosts.starts_with(b"@") {
            return Err(LineProblem::Marker(shown(hosts)));
        }
        Ok(Self {
            line: number,
            hosts: Hosts::parse(hosts)?,
            marker,
            key: plain_key(key)?.key,
        })
    }

    fn found(&self) -> HostEntry {
        HostEntry {
            place: Place {
                file: 0,
                line: self.line,
            },
            marker: self.marker,
            key: self.key.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
