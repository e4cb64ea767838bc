//! `mlkem768x25519-sha256`, ML-KEM-768 together with X25519 (RFC 10042, FIPS 203).

use alloc::boxed::Box;
use alloc::vec::Vec;

use ml_kem::kem::{Decapsulate as _, KeyExport as _};
use ml_kem::ml_kem_768::{DecapsulationKey, EncapsulationKey};
use zeroize::Zeroizing;

use super::hash::SHA256;
use super::kex_x25519::EphemeralSecret;
use crate::crypto::{
    DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexResponse, KexShape, SecureRandom,
    SharedSecret,
};
use crate::error::CryptoError;

pub(super) static MLKEM768X25519_SHA256: Mlkem768x25519Sha256 = Mlkem768x25519Sha256;

const ENCAPSULATION_KEY_LEN: usize = 1184;
const CIPHERTEXT_LEN: usize = 1088;
const X25519_LEN: usize = 32;

pub(super) struct Mlkem768x25519Sha256;

impl KexAlgorithm for Mlkem768x25519Sha256 {
    fn name(&self) -> &'static str {
        "mlkem768x25519-sha256"
    }

    fn shape(&self) -> KexShape {
        KexShape::Ecdh
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        &SHA256
    }

    fn is_post_quantum(&self) -> bool {
        true
    }

    fn start(
        &self,
        _group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        let mut seed = Zeroizing::new([0; 64]);
        random.fill(&mut *seed)?;
        let pq = DecapsulationKey::from_seed((*seed).into());
        let classical = EphemeralSecret::generate(random)?;
        let mut public = Vec::with_capacity(ENCAPSULATION_KEY_LEN + X25519_LEN);
        public.extend_from_slice(&pq.encapsulation_key().to_bytes());
        public.extend_from_slice(&classical.public());
        Ok(Box::new(Exchange {
            pq,
            classical,
            public,
        }))
    }

    fn respond(
        &self,
        _group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let (pq_public, classical_public) = peer_public
            .split_first_chunk::<ENCAPSULATION_KEY_LEN>()
            .ok_or(CryptoError::InvalidPublicValue)?;
        // Makes the modulus check of FIPS 203 section 7.2.
        let pq =
            EncapsulationKey::new(pq_public.into()).map_err(|_| CryptoError::InvalidPublicValue)?;
        let mut message = Zeroizing::new([0; 32]);
        random.fill(&mut *message)?;
        let classical = EphemeralSecret::generate(random)?;
        let classical_secret = classical.agree(classical_public)?;
        let (ciphertext, pq_secret) = pq.encapsulate_deterministic((&*message).into());
        let pq_secret = Zeroizing::new(pq_secret);
        let mut public = Vec::with_capacity(CIPHERTEXT_LEN + X25519_LEN);
        public.extend_from_slice(&ciphertext);
        public.extend_from_slice(&classical.public());
        Ok(KexResponse {
            public,
            secret: combine(&pq_secret, &*classical_secret),
        })
    }
}

struct Exchange {
    pq: DecapsulationKey,
    classical: EphemeralSecret,
    public: Vec<u8>,
}

impl KexExchange for Exchange {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        let (ciphertext, classical_public) = peer_public
            .split_first_chunk::<CIPHERTEXT_LEN>()
            .ok_or(CryptoError::InvalidPublicValue)?;
        let classical_secret = self.classical.agree(classical_public)?;
        // A wrong ciphertext yields a secret nobody else has, and the signature then fails.
        let pq_secret = Zeroizing::new(self.pq.decapsulate(ciphertext.into()));
        Ok(combine(&pq_secret, &*classical_secret))
    }
}

fn combine(pq_secret: &[u8], classical_secret: &[u8]) -> SharedSecret {
    SharedSecret::string(SHA256.hash(&[pq_secret, classical_secret]).as_ref())
}
