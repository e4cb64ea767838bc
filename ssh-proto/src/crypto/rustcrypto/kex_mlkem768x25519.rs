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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::testing::{Script, counting, hex};

    /// Seed and X25519 secret of the client.
    fn start() -> Box<dyn KexExchange> {
        let random = [counting(0, 64), counting(0x80, 32)].concat();
        MLKEM768X25519_SHA256
            .start(None, &mut Script(random))
            .unwrap()
    }

    /// Message and X25519 secret of the server.
    fn respond(peer_public: &[u8]) -> Result<KexResponse, CryptoError> {
        let random = [counting(0xc0, 32), counting(0x20, 32)].concat();
        MLKEM768X25519_SHA256.respond(None, peer_public, &mut Script(random))
    }

    fn refused_by_server(public: &[u8]) -> bool {
        respond(public).err() == Some(CryptoError::InvalidPublicValue)
    }

    fn refused_by_client(public: &[u8]) -> bool {
        start().complete(public).err() == Some(CryptoError::InvalidPublicValue)
    }

    /// Values from kyber-py, an implementation of FIPS 203 of its own, and X25519 of OpenSSL.
    #[test]
    fn known_exchange() {
        let client = start();
        assert_eq!(client.public().len(), 1216);
        assert_eq!(
            SHA256.hash(&[client.public()]).as_ref(),
            hex("5854a0df900bcec9ed3ec6cf3647c874fdd52581f3f8ee7de15824d584ac1af9")
        );
        let server = respond(client.public()).unwrap();
        assert_eq!(server.public.len(), 1120);
        assert_eq!(
            SHA256.hash(&[&server.public]).as_ref(),
            hex("181ba661df2c8bd35a07765aff3cfbde206668693e816f8f9b61ef9b7c9b3045")
        );
        let secret =
            hex("000000203a78b865c185012785afbc69e3d5e5dfe78727f57c3941e914e1d13833f2e8e8");
        assert_eq!(server.secret.as_encoded(), secret);
        let completed = client.complete(&server.public).unwrap();
        assert_eq!(completed.as_encoded(), secret);
    }

    /// C16: lengths, and halves that have been swapped.
    #[test]
    fn c16_wrong_lengths_and_swapped_halves_are_refused() {
        let client = start();
        let public = client.public();
        let server = respond(public).unwrap().public;
        for (len, whole) in [(0, public), (32, public), (1184, public), (1215, public)] {
            assert!(refused_by_server(&whole[..len]), "{len}");
        }
        assert!(refused_by_server(&[public, &[0]].concat()));
        for len in [0, 32, 1088, 1119] {
            assert!(refused_by_client(&server[..len]), "{len}");
        }
        assert!(refused_by_client(&[&server[..], &[0]].concat()));
        // The key with its halves swapped fails the modulus check, as its X25519 half is too large.
        let (pq, classical) = public.split_at(ENCAPSULATION_KEY_LEN);
        assert!(refused_by_server(&[classical, pq].concat()));
        // Each side's value in the other's place.
        assert!(refused_by_server(&server));
        assert!(refused_by_client(public));
        // A ciphertext is any bytes at all, so what comes out is another secret.
        let (ciphertext, classical) = server.split_at(CIPHERTEXT_LEN);
        let swapped = start().complete(&[classical, ciphertext].concat()).unwrap();
        let honest = start().complete(&server).unwrap();
        assert_ne!(swapped.as_encoded(), honest.as_encoded());
    }

    /// C16: each coefficient must be below 3329 (FIPS 203 section 7.2).
    #[test]
    fn c16_modulus_check() {
        let client = start();
        // Pairs of coefficients share three bytes.
        for pair in 0..384 {
            for (low, high) in [(3329u32, 0), (0, 3329), (4095, 0), (0, 4095)] {
                let mut public = client.public().to_vec();
                let packed = low | high << 12;
                public[pair * 3..][..3].copy_from_slice(&packed.to_le_bytes()[..3]);
                assert!(refused_by_server(&public), "{pair} {low} {high}");
            }
        }
        let mut public = client.public().to_vec();
        let packed = 3328u32 | 3328 << 12;
        public[..3].copy_from_slice(&packed.to_le_bytes()[..3]);
        assert!(respond(&public).is_ok());
    }

    /// C16: a wrong ciphertext is rejected implicitly, by the secret of FIPS 203 section 6.3.
    #[test]
    fn c16_wrong_ciphertext_yields_another_secret() {
        let mut public = respond(start().public()).unwrap().public;
        public[0] ^= 1;
        assert_eq!(
            start().complete(&public).unwrap().as_encoded()[4..],
            hex("35ecf4c1eeff142eaf711623666af9cd43d4cc1a9b58654e304536d173e0efee")
        );
    }

    /// C16: the classical half is checked like X25519 alone.
    #[test]
    fn c16_small_order_in_the_classical_half_is_refused() {
        let client = start();
        let server = respond(client.public()).unwrap().public;
        for point in crate::crypto::rustcrypto::kex_x25519::tests::SMALL_ORDER {
            let point = hex(point);
            let public = &client.public()[..ENCAPSULATION_KEY_LEN];
            assert!(refused_by_server(&[public, &point].concat()));
            assert!(refused_by_client(
                &[&server[..CIPHERTEXT_LEN], &point].concat()
            ));
        }
    }
}
