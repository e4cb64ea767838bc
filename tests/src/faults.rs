//! Providers that fail, or do as the test says: for fault injection (U9, C21) and chosen secrets (C19).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use ssh_proto::crypto::{
    CipherAlgorithm, CipherKeys, CryptoProvider, DhGroup, HashAlgorithm, KexAlgorithm, KexExchange,
    KexResponse, KexShape, OpeningKey, PacketLayout, PublicKey, SealingKey, SecureRandom,
    SharedSecret, Signature, SigningKey,
};
use ssh_proto::error::CryptoError;

use crate::fixtures;

/// A host key that fails to sign.
#[derive(Debug)]
pub struct BrokenKey(pub PublicKey);

impl SigningKey for BrokenKey {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn algorithms(&self) -> &[&'static str] {
        &["ssh-ed25519"]
    }

    fn sign(&self, _: &str, _: &[u8]) -> Result<Signature, CryptoError> {
        Err(CryptoError::Failed)
    }
}

/// A key exchange method that fails at one of its steps: 0 in `start`, 1 in `respond`, 2 in
/// `complete`.
#[derive(Debug)]
pub struct BrokenKex(pub u8);

impl KexAlgorithm for BrokenKex {
    fn name(&self) -> &'static str {
        "broken@example.org"
    }

    fn shape(&self) -> KexShape {
        KexShape::Ecdh
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        fixtures::provider().sha256
    }

    fn start(
        &self,
        _: Option<&DhGroup>,
        _: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        match self.0 {
            0 => Err(CryptoError::Failed),
            _ => Ok(Box::new(Self(self.0))),
        }
    }

    fn respond(
        &self,
        _: Option<&DhGroup>,
        _: &[u8],
        _: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        match self.0 {
            1 => Err(CryptoError::Failed),
            _ => Ok(KexResponse {
                public: vec![1],
                secret: SharedSecret::string(b"secret"),
            }),
        }
    }
}

impl KexExchange for BrokenKex {
    fn public(&self) -> &[u8] {
        &[1]
    }

    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, CryptoError> {
        Err(CryptoError::Failed)
    }
}

/// A key exchange method whose shared secret is what the test chooses.
#[derive(Debug)]
pub struct ChosenKex {
    magnitude: &'static [u8],
    uses: AtomicUsize,
}

impl ChosenKex {
    /// Its name in `KEXINIT`.
    pub const NAME: &'static str = "chosen@example.org";

    /// With this K, big-endian, leading zeros and all.
    pub const fn new(magnitude: &'static [u8]) -> Self {
        Self {
            magnitude,
            uses: AtomicUsize::new(0),
        }
    }

    /// How many secrets it has made.
    pub fn uses(&self) -> usize {
        self.uses.load(Ordering::Relaxed)
    }

    /// The default provider with this method alone.
    pub fn provider(&'static self) -> CryptoProvider {
        let methods: Vec<&'static dyn KexAlgorithm> = vec![self];
        CryptoProvider {
            kex: methods.into(),
            ..fixtures::provider()
        }
    }

    fn secret(&self) -> Result<SharedSecret, CryptoError> {
        self.uses.fetch_add(1, Ordering::Relaxed);
        SharedSecret::mpint(self.magnitude)
    }
}

/// The client's half of a [`ChosenKex`], whose secret is there from the start.
struct ChosenExchange(SharedSecret);

impl KexExchange for ChosenExchange {
    fn public(&self) -> &[u8] {
        &[1]
    }

    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, CryptoError> {
        Ok(self.0)
    }
}

impl KexAlgorithm for ChosenKex {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn shape(&self) -> KexShape {
        KexShape::Ecdh
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        fixtures::provider().sha256
    }

    fn start(
        &self,
        _: Option<&DhGroup>,
        _: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        Ok(Box::new(ChosenExchange(self.secret()?)))
    }

    fn respond(
        &self,
        _: Option<&DhGroup>,
        _: &[u8],
        _: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        Ok(KexResponse {
            public: vec![2],
            secret: self.secret()?,
        })
    }
}

/// Where a [`BrokenCipher`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CipherStep {
    /// Making the key of the sending direction.
    SealingKey,
    /// Making the key of the receiving direction.
    OpeningKey,
    /// Sealing a packet.
    Seal,
    /// Reading a packet's length.
    OpenLength,
    /// Opening a packet.
    Open,
}

/// A cipher of the default provider that can be told to fail at one of its steps.
pub struct BrokenCipher {
    inner: &'static dyn CipherAlgorithm,
    fault: Arc<Fault>,
}

/// What a [`BrokenCipher`] and its keys share.
#[derive(Debug)]
struct Fault {
    step: CipherStep,
    error: CryptoError,
    failures: AtomicU32,
}

impl Fault {
    fn pass(&self, step: CipherStep) -> Result<(), CryptoError> {
        match self.failures.load(Ordering::Relaxed).checked_sub(1) {
            Some(left) if step == self.step => {
                self.failures.store(left, Ordering::Relaxed);
                Err(self.error)
            }
            _ => Ok(()),
        }
    }
}

/// A key of a [`BrokenCipher`].
struct BrokenCipherKey<K: ?Sized> {
    inner: Box<K>,
    fault: Arc<Fault>,
}

impl SealingKey for BrokenCipherKey<dyn SealingKey> {
    fn layout(&self) -> PacketLayout {
        self.inner.layout()
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        self.fault.pass(CipherStep::Seal)?;
        self.inner.seal(sequence, packet)
    }
}

impl OpeningKey for BrokenCipherKey<dyn OpeningKey> {
    fn layout(&self) -> PacketLayout {
        self.inner.layout()
    }

    fn open_length(&mut self, sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        self.fault.pass(CipherStep::OpenLength)?;
        self.inner.open_length(sequence, head)
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        // In clear by then: nothing of it may come out.
        self.inner.open(sequence, packet)?;
        self.fault.pass(CipherStep::Open)
    }
}

impl std::fmt::Debug for BrokenCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokenCipher")
            .field("name", &self.name())
            .field("fault", &self.fault)
            .finish()
    }
}

impl BrokenCipher {
    /// The cipher of this name, which works until [`Self::fail`]; never freed, as providers want it.
    ///
    /// # Panics
    /// If the default provider has none of this name.
    pub fn new(name: &str, step: CipherStep, error: CryptoError) -> &'static Self {
        let inner = fixtures::provider().cipher(name);
        Box::leak(Box::new(Self {
            inner: inner.expect("a cipher of the provider"),
            fault: Arc::new(Fault {
                step,
                error,
                failures: AtomicU32::new(0),
            }),
        }))
    }

    /// The default provider with this cipher alone.
    pub fn provider(&'static self) -> CryptoProvider {
        let ciphers: Vec<&'static dyn CipherAlgorithm> = vec![self];
        CryptoProvider {
            ciphers: ciphers.into(),
            ..fixtures::provider()
        }
    }

    /// Fails the next time that its step comes, and so often in all.
    pub fn fail(&self, times: u32) {
        self.fault.failures.store(times, Ordering::Relaxed);
    }

    /// How often it is still to fail.
    pub fn failures_left(&self) -> u32 {
        self.fault.failures.load(Ordering::Relaxed)
    }
}

impl CipherAlgorithm for BrokenCipher {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn key_len(&self) -> usize {
        self.inner.key_len()
    }

    fn iv_len(&self) -> usize {
        self.inner.iv_len()
    }

    fn is_aead(&self) -> bool {
        self.inner.is_aead()
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        self.fault.pass(CipherStep::SealingKey)?;
        Ok(Box::new(BrokenCipherKey {
            inner: self.inner.sealing_key(keys)?,
            fault: self.fault.clone(),
        }))
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        self.fault.pass(CipherStep::OpeningKey)?;
        Ok(Box::new(BrokenCipherKey {
            inner: self.inner.opening_key(keys)?,
            fault: self.fault.clone(),
        }))
    }
}
