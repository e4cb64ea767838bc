//! What known_hosts says about one host: its keys, the authorities for it, what is revoked, and the order of algorithms that follows.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto::PublicKey;

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which of the files that were joined by [`HostEntries::and`], from 0.
    pub file: usize,
    /// The line of that file, from 1.
    pub line: usize,
}

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostMarker {
    /// It is the host's own (no marker).
    Key,
    /// It signs certificates of the host (`@cert-authority`).
    Authority,
    /// It must not be trusted for the host any more, as a key or as an authority (`@revoked`).
    Revoked,
}

/// A line that is about the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEntry {
    /// Where it stands.
    pub place: Place,
    /// What it says about the key.
    pub marker: HostMarker,
    /// The key, never a certificate.
    pub key: PublicKey,
}

/// Everything that files of known hosts say about one host; from [`KnownHosts::find`](super::KnownHosts::find).
///
/// The default is what an empty file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostEntries {
    /// How many files this is of, less one.
    last_file: usize,
    entries: Vec<HostEntry>,
}

/// What is known of a host's key. Only [`Self::Match`] says that the host is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is a key of the host.
    Match(Place),
    /// The host has a key of this type, and it is another one: somebody may be listening in, or
    /// the host was set up anew.
    Mismatch(Place),
    /// The host has keys, all of other types. Whoever has none of them may choose any other type,
    /// so this is no better than [`Self::Mismatch`] unless the host has proven itself otherwise,
    /// and OpenSSH warns of it in the same words.
    OtherType(Place),
    /// Nothing is known of the host.
    Unknown,
    /// The key is marked as revoked for the host. This wins over everything else.
    Revoked(Place),
}

impl HostEntries {
    pub(super) fn new(entries: Vec<HostEntry>) -> Self {
        Self {
            last_file: 0,
            entries,
        }
    }

    /// These, and behind them what a further file says about the same host.
    #[must_use]
    pub fn and(mut self, further: Self) -> Self {
        let first = self.last_file.saturating_add(1);
        self.last_file = first.saturating_add(further.last_file);
        self.entries
            .extend(further.entries.into_iter().map(|mut entry| {
                entry.place.file = entry.place.file.saturating_add(first);
                entry
            }));
        self
    }

    /// The lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = &HostEntry> {
        self.entries.iter()
    }

    fn marked(&self, marker: HostMarker) -> impl Iterator<Item = &HostEntry> {
        self.iter().filter(move |entry| entry.marker == marker)
    }

    /// Judges the plain key that the host has proven to have; asked in answer to
    /// [`ClientEvent::HostKey`](crate::ClientEvent::HostKey).
    ///
    /// A certificate is not judged here, but for one whose key or whose authority is revoked, and
    /// never matches: look for its authority among [`Self::authorities`].
    pub fn verdict(&self, key: &PublicKey) -> Verdict {
        if let Some(entry) = self.revocation(key) {
            return Verdict::Revoked(entry.place);
        }
        let mut verdict = Verdict::Unknown;
        for entry in self.marked(HostMarker::Key) {
            if entry.key == *key {
                return Verdict::Match(entry.place);
            }
            let same_type = entry.key.key_type() == key.key_type();
            verdict = match verdict {
                Verdict::Mismatch(_) => verdict,
                _ if same_type => Verdict::Mismatch(entry.place),
                Verdict::OtherType(_) => verdict,
                _ => Verdict::OtherType(entry.place),
            };
        }
        verdict
    }

    fn revocation(&self, key: &PublicKey) -> Option<&HostEntry> {
        let certificate = key.certificate();
        let names = |entry: &HostEntry| match &certificate {
            Some(it) => entry.key == *it.public_key() || entry.key == *it.signature_key(),
            None => entry.key == *key,
        };
        self.marked(HostMarker::Revoked).find(|entry| names(entry))
    }

    /// Whether a key, that of an authority, or either of a certificate's is marked as revoked for
    /// the host.
    pub fn is_revoked(&self, key: &PublicKey) -> bool {
        self.revocation(key).is_some()
    }

    /// The keys that may sign certificates of the host; revoked ones are left out (Go CVE-2026-42508).
    pub fn authorities(&self) -> impl Iterator<Item = &PublicKey> {
        self.marked(HostMarker::Authority)
            .map(|entry| &entry.key)
            .filter(|key| !self.is_revoked(key))
    }

    /// `offered`, the host key algorithms in order of preference, rearranged as OpenSSH does for
    /// [`ClientConfigBuilder::host_key_algorithms`](crate::ClientConfigBuilder::host_key_algorithms),
    /// so that the host shows a key that is known.
    ///
    /// If it has a key for the first of them, they stay as they are. Otherwise those come first
    /// for which it has a key, and those of certificates if it has an authority; each part keeps
    /// its order.
    ///
    /// The order that goes over the wire tells whoever listens in whether the host is known, and
    /// so whom a false key would be shown as that of a new host (CVE-2020-14145). Those to whom
    /// this matters leave the algorithms in their fixed order; a host whose known key is not the
    /// one that it prefers is then judged [`Verdict::OtherType`].
    pub fn host_key_algorithms(&self, offered: &[&str]) -> Vec<String> {
        let has_authority = self.authorities().next().is_some();
        let has_key = |key_type: &str| {
            self.marked(HostMarker::Key)
                .any(|entry| entry.key.key_type() == key_type && !self.is_revoked(&entry.key))
        };
        let is_known = |name: &str| match plain_name(name) {
            Some(plain) => has_authority || has_key(&plain),
            None => has_key(key_type(name)),
        };
        let first_has_key = offered
            .first()
            .is_some_and(|name| has_key(key_type(plain_name(name).as_deref().unwrap_or(name))));
        let own = |names: Vec<&str>| names.into_iter().map(ToOwned::to_owned).collect();
        if first_has_key {
            return own(offered.to_vec());
        }
        let (known, unknown): (Vec<&str>, Vec<&str>) =
            offered.iter().copied().partition(|name| is_known(name));
        own([known, unknown].concat())
    }
}

/// The name without what makes it that of a certificate, if it is.
fn plain_name(name: &str) -> Option<String> {
    let (plain, rest) = name
        .split_once("-cert-v01@")
        .or_else(|| name.strip_suffix("-cert").map(|plain| (plain, "")))?;
    let plain = key_type(plain);
    Some(match plain.starts_with("sk-") {
        true => [plain, "@", rest].concat(),
        false => plain.to_owned(),
    })
}

/// The type of the keys of a signature algorithm.
fn key_type(name: &str) -> &str {
    match name {
        "rsa-sha2-256" | "rsa-sha2-512" => "ssh-rsa",
        _ => name.strip_prefix("webauthn-").unwrap_or(name),
    }
}
