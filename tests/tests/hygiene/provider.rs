//! The default provider, with every secret named to the allocator as it comes into being, and the keys of packets counted.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};

use ssh_proto::crypto::{
    CipherAlgorithm, CipherKeys, CryptoProvider, DhGroup, HashAlgorithm, KexAlgorithm, KexExchange,
    KexResponse, KexShape, OpeningKey, PacketLayout, SealingKey, SecureRandom, SharedSecret,
};
use ssh_proto::error::{CryptoError, RandomFailed};
use ssh_tests::fixtures;

use crate::allocator::secret;

/// Keys of packets that exist.
pub(crate) static SEALING_KEYS: AtomicIsize = AtomicIsize::new(0);
/// As [`SEALING_KEYS`].
pub(crate) static OPENING_KEYS: AtomicIsize = AtomicIsize::new(0);
/// Keys of either kind that were ever made.
pub(crate) static KEYS_MADE: AtomicUsize = AtomicUsize::new(0);

/// Whether packets are opened to [`PLAINTEXT`] and then found not to be authentic.
pub(crate) static SPOILING: AtomicBool = AtomicBool::new(false);
/// What such a packet is full of.
pub(crate) const PLAINTEXT: &[u8; 32] = b"unauthentic-plaintext-canary-012";

/// The default provider, watched.
pub(crate) fn provider() -> CryptoProvider {
    let mut provider = fixtures::provider();
    provider.kex = Cow::Owned(provider.kex.iter().copied().map(kex).collect());
    provider.ciphers = Cow::Owned(provider.ciphers.iter().copied().map(cipher).collect());
    provider
}

/// The same with one cipher, which hides nothing: [`CLEAR_TAG`] zeros stand where a tag would.
pub(crate) fn provider_in_clear() -> CryptoProvider {
    let mut provider = provider();
    provider.ciphers = Cow::Borrowed(&[&Clear]);
    provider
}

/// The name of that cipher.
pub(crate) const CLEAR: &str = "clear";
/// Bytes behind each of its packets.
pub(crate) const CLEAR_TAG: usize = 16;

struct Clear;

impl CipherAlgorithm for Clear {
    fn name(&self) -> &'static str {
        CLEAR
    }

    fn key_len(&self) -> usize {
        0
    }

    fn iv_len(&self) -> usize {
        0
    }

    fn is_aead(&self) -> bool {
        true
    }

    fn sealing_key(&self, _: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        Ok(Box::new(Self))
    }

    fn opening_key(&self, _: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        Ok(Box::new(Self))
    }
}

impl SealingKey for Clear {
    fn layout(&self) -> PacketLayout {
        PacketLayout {
            block_len: 8,
            length_is_padded: false,
            tag_len: CLEAR_TAG,
            head_len: 4,
        }
    }

    fn seal(&mut self, _: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (_, tag) = packet.split_last_chunk_mut::<CLEAR_TAG>().expect("a tag");
        // Room that was given, and as it was given.
        assert_eq!(*tag, [0; CLEAR_TAG]);
        Ok(())
    }
}

impl OpeningKey for Clear {
    fn layout(&self) -> PacketLayout {
        SealingKey::layout(self)
    }

    fn open_length(&mut self, _: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        Ok(u32::from_be_bytes(*head.first_chunk().expect("a head")))
    }

    fn open(&mut self, _: u32, _: &mut [u8]) -> Result<(), CryptoError> {
        Ok(())
    }
}

/// Lists of a provider are of static values. The tests make few.
fn kex(inner: &'static dyn KexAlgorithm) -> &'static dyn KexAlgorithm {
    Box::leak(Box::new(Watched(inner)))
}

fn cipher(inner: &'static dyn CipherAlgorithm) -> &'static dyn CipherAlgorithm {
    Box::leak(Box::new(Watched(inner)))
}

struct Watched<T>(T);

/// Calls into a library, then overwrites what that has left on the stack: ciphers move their round
/// keys about there. That is not looked for, but would be found where the unused part of an enum
/// takes a copy of it along.
#[inline(never)]
fn call<T>(library: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn overwrite_stack() {
        let mut area = [0_u8; 64 << 10];
        std::hint::black_box(&mut area);
    }
    let result = library();
    overwrite_stack();
    result
}

/// A source of randomness whose longer outputs are secret: seeds and ephemeral keys, but not the
/// 16 bytes of a cookie.
pub(crate) struct WatchedRandom<R>(pub(crate) R);

impl<R: SecureRandom> SecureRandom for WatchedRandom<R> {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        self.0.fill(dest)?;
        name_random(dest);
        Ok(())
    }
}

/// Also backwards, as the limbs of a scalar stand in memory.
fn name_random(bytes: &mut [u8]) {
    if bytes.len() >= 32 {
        secret("random bytes", bytes);
        bytes.reverse();
        secret("random bytes, reversed", bytes);
        bytes.reverse();
    }
}

/// K, behind its length field.
fn name_shared(shared: &SharedSecret) {
    secret("K", &shared.as_encoded()[4..]);
}

impl KexAlgorithm for Watched<&'static dyn KexAlgorithm> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn shape(&self) -> KexShape {
        self.0.shape()
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        self.0.hash()
    }

    fn start(
        &self,
        group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        let exchange = call(|| self.0.start(group, random))?;
        Ok(Box::new(Watched(exchange)))
    }

    fn respond(
        &self,
        group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let response = call(|| self.0.respond(group, peer_public, random))?;
        name_shared(&response.secret);
        Ok(response)
    }
}

impl KexExchange for Watched<Box<dyn KexExchange>> {
    fn public(&self) -> &[u8] {
        self.0.public()
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        let shared = call(|| self.0.complete(peer_public))?;
        name_shared(&shared);
        Ok(shared)
    }
}

fn name_keys(keys: &CipherKeys<'_>) {
    secret("encryption key", keys.key);
    if keys.iv.len() >= 16 {
        secret("initial IV", keys.iv);
    }
    if let Some((_, key)) = keys.mac {
        secret("MAC key", key);
    }
}

impl CipherAlgorithm for Watched<&'static dyn CipherAlgorithm> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn iv_len(&self) -> usize {
        self.0.iv_len()
    }

    fn is_aead(&self) -> bool {
        self.0.is_aead()
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        name_keys(&keys);
        let key = call(|| self.0.sealing_key(keys))?;
        Ok(Box::new(Counted::new(key, &SEALING_KEYS)))
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        name_keys(&keys);
        let key = call(|| self.0.opening_key(keys))?;
        Ok(Box::new(Counted::new(key, &OPENING_KEYS)))
    }
}

/// A key of packets that is counted while it exists.
struct Counted<K> {
    key: K,
    live: &'static AtomicIsize,
}

impl<K> Counted<K> {
    fn new(key: K, live: &'static AtomicIsize) -> Self {
        live.fetch_add(1, Ordering::Relaxed);
        KEYS_MADE.fetch_add(1, Ordering::Relaxed);
        Self { key, live }
    }
}

impl<K> Drop for Counted<K> {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SealingKey for Counted<Box<dyn SealingKey>> {
    fn layout(&self) -> PacketLayout {
        self.key.layout()
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        call(|| self.key.seal(sequence, packet))
    }
}

impl OpeningKey for Counted<Box<dyn OpeningKey>> {
    fn layout(&self) -> PacketLayout {
        self.key.layout()
    }

    fn open_length(&mut self, sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        call(|| self.key.open_length(sequence, head))
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        if SPOILING.load(Ordering::Relaxed) {
            let plaintext = PLAINTEXT.iter().cycle();
            packet
                .iter_mut()
                .zip(plaintext)
                .for_each(|(to, from)| *to = *from);
            return Err(CryptoError::TagMismatch);
        }
        call(|| self.key.open(sequence, packet))
    }

    fn open_unverified(&mut self, packet: &mut [u8]) -> Result<(), CryptoError> {
        call(|| self.key.open_unverified(packet))
    }
}
