//! Providers that fail, or do as the test says: for fault injection (U9, C21) and chosen secrets (C19).

use std::sync::atomic::{AtomicUsize, Ordering};

use ssh_proto::crypto::{
    CryptoProvider, DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexResponse, KexShape,
    PublicKey, SecureRandom, SharedSecret, Signature, SigningKey,
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
