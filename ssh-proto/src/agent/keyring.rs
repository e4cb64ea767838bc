//! The keys of an agent and its lock, which all of its connections share (RFC 9987 sections 3.2 to 3.7).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::BytesMut;
use subtle::ConstantTimeEq;

use super::client::Identity;
use super::constraint::KeyConstraints;
use crate::crypto::{CryptoProvider, HashOutput, PublicKey, SignatureAlgorithm, SigningKey};
use crate::keys::Comment;
use crate::limits::{
    AGENT_UNLOCK_DELAY, MAX_AGENT_CONSTRAINT_BYTES, MAX_AGENT_IDENTITIES, MAX_AGENT_UNLOCK_DELAY,
};
use crate::time::Instant;
use crate::wire::Field;

/// The keys of an agent and its lock.
///
/// One value for all connections: each call of an [`AgentServer`](super::AgentServer) that needs
/// it takes it by `&mut`. The application may add and remove keys itself at any time.
#[derive(Debug)]
pub struct Keyring {
    provider: CryptoProvider,
    entries: Vec<Entry>,
    lock: Option<Lock>,
    unlocks: Unlocks,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) identity: Identity,
    pub(super) holder: Holder,
    pub(super) constraints: KeyConstraints,
    expires: Option<Instant>,
    /// What constraints and comment take of their bound.
    weight: usize,
}

/// Who has the private half.
#[derive(Debug, Clone)]
pub(super) enum Holder {
    Here(Arc<dyn SigningKey>),
    Elsewhere,
}

/// A digest of the passphrase, wiped on drop.
struct Lock(HashOutput);

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock(..)")
    }
}

/// The pace at which passphrases are tried, over all connections.
#[derive(Debug, Default)]
struct Unlocks {
    failures: u32,
    next: Option<Instant>,
}

/// A keyring has as many keys as it may, or as many constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyringFull;

impl Keyring {
    /// Without keys. The provider makes signing keys of those that are added over a connection,
    /// and verifies session bindings. Keys sign with what it has in its lists: an algorithm that is
    /// there on request signs once it is put into [`CryptoProvider::signatures`].
    pub fn new(provider: CryptoProvider) -> Self {
        Self {
            provider,
            entries: Vec::new(),
            lock: None,
            unlocks: Unlocks::default(),
        }
    }

    /// Adds a key; one that is there already gets the new comment and constraints.
    ///
    /// # Errors
    /// [`KeyringFull`] at [`MAX_AGENT_IDENTITIES`] keys, or [`MAX_AGENT_CONSTRAINT_BYTES`] of
    /// constraints and comments.
    pub fn add(
        &mut self,
        now: Instant,
        key: Arc<dyn SigningKey>,
        comment: Comment,
        constraints: KeyConstraints,
    ) -> Result<(), KeyringFull> {
        let identity = Identity {
            key: key.public_key().clone(),
            comment,
        };
        self.insert(now, identity, Holder::Here(key), constraints)
    }

    /// Adds a key whose private half is elsewhere: in hardware, or in another agent that this one
    /// stands before. Each signature is asked for by
    /// [`AgentServerEvent::Sign`](super::AgentServerEvent::Sign).
    ///
    /// # Errors
    /// [`KeyringFull`].
    pub fn add_remote(
        &mut self,
        now: Instant,
        key: PublicKey,
        comment: Comment,
        constraints: KeyConstraints,
    ) -> Result<(), KeyringFull> {
        let identity = Identity { key, comment };
        self.insert(now, identity, Holder::Elsewhere, constraints)
    }

    fn insert(
        &mut self,
        now: Instant,
        identity: Identity,
        holder: Holder,
        constraints: KeyConstraints,
    ) -> Result<(), KeyringFull> {
        self.handle_timeout(now);
        let mut encoded = BytesMut::new();
        constraints.encode(&mut encoded);
        let weight = encoded
            .len()
            .saturating_add(identity.comment.as_bytes().len());
        let lifetime = constraints.lifetime;
        let entry = Entry {
            expires: lifetime.map(|seconds| now + Duration::from_secs(u64::from(seconds))),
            identity,
            holder,
            constraints,
            weight,
        };
        let held = self.position(entry.identity.key.as_blob());
        let taken: usize = self.entries.iter().map(|entry| entry.weight).sum();
        let freed = held.and_then(|at| self.entries.get(at));
        let taken = taken.saturating_sub(freed.map_or(0, |entry| entry.weight));
        if taken.saturating_add(weight) > MAX_AGENT_CONSTRAINT_BYTES {
            return Err(KeyringFull);
        }
        let is_full = self.entries.len() >= MAX_AGENT_IDENTITIES;
        match held.and_then(|at| self.entries.get_mut(at)) {
            Some(place) => *place = entry,
            None if is_full => return Err(KeyringFull),
            None => self.entries.push(entry),
        }
        Ok(())
    }

    /// Forgets a key. Returns whether it was there.
    pub fn remove(&mut self, key: &PublicKey) -> bool {
        let held = self.position(key.as_blob());
        held.map(|at| self.entries.remove(at)).is_some()
    }

    /// Forgets all keys.
    pub fn remove_all(&mut self) {
        self.entries.clear();
    }

    /// The keys, whatever their constraints.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.entries.iter().map(|entry| &entry.identity)
    }

    /// Whether the keyring is locked: it shows and uses no key then.
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next due: the end of a key's lifetime.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.expires).min()
    }

    /// Forgets the keys whose lifetime has ended. Requests never see them; calling this in time
    /// wipes them in time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.entries
            .retain(|entry| entry.expires.is_none_or(|at| at > now));
    }

    pub(super) fn provider(&self) -> &CryptoProvider {
        &self.provider
    }

    /// Whether a key may sign with this algorithm: not with one that the provider has on request
    /// alone, such as RSA with SHA-1.
    pub(super) fn permits(&self, algorithm: &str) -> bool {
        let is_in = |list: &[&'static dyn SignatureAlgorithm]| {
            list.iter().any(|entry| entry.name() == algorithm)
        };
        is_in(&self.provider.signatures) || !is_in(&self.provider.on_request.signatures)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn entry(&self, blob: &[u8]) -> Option<&Entry> {
        self.entries.get(self.position(blob)?)
    }

    fn position(&self, blob: &[u8]) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.identity.key.as_blob() == blob)
    }

    /// Locks with a passphrase that is not empty. Returns whether it was not locked yet.
    pub(super) fn lock(&mut self, passphrase: &[u8]) -> bool {
        if self.is_locked() || passphrase.is_empty() {
            return false;
        }
        self.lock = Some(Lock(self.provider.sha256.hash(&[passphrase])));
        true
    }

    /// What is kept of a passphrase that has to wait for its turn.
    pub(super) fn digest(&self, passphrase: &[u8]) -> HashOutput {
        self.provider.sha256.hash(&[passphrase])
    }

    /// When a passphrase may be tried, if not now.
    pub(super) fn unlock_delayed_until(&self, now: Instant) -> Option<Instant> {
        self.unlocks
            .next
            .filter(|next| self.is_locked() && *next > now)
    }

    /// Tries a passphrase by its digest. Returns whether the keyring was locked and now is not.
    pub(super) fn unlock(&mut self, now: Instant, digest: &HashOutput) -> bool {
        let Some(Lock(expected)) = &self.lock else {
            return false;
        };
        if bool::from(expected.as_ref().ct_eq(digest.as_ref())) {
            self.lock = None;
            self.unlocks = Unlocks::default();
            return true;
        }
        self.unlocks.failures = self.unlocks.failures.saturating_add(1);
        let delay = AGENT_UNLOCK_DELAY.saturating_mul(self.unlocks.failures);
        self.unlocks.next = Some(now + delay.min(MAX_AGENT_UNLOCK_DELAY));
        false
    }
}

impl fmt::Display for KeyringFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the agent cannot hold more keys or constraints")
    }
}

impl core::error::Error for KeyringFull {}
