//! `curve25519-sha256` (RFC 8731), and X25519 for the hybrids (RFC 7748 section 5).

use alloc::vec::Vec;

use curve25519_dalek::montgomery::MontgomeryPoint;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::hash::SHA256;
use super::kex_ecdh::{Ecdh, EcdhKex};
use crate::crypto::SecureRandom;
use crate::error::CryptoError;

pub(super) static CURVE25519_SHA256: EcdhKex<X25519> = EcdhKex::new("curve25519-sha256", &SHA256);

/// The name from before the RFC.
pub(super) static CURVE25519_SHA256_LIBSSH: EcdhKex<X25519> =
    EcdhKex::new("curve25519-sha256@libssh.org", &SHA256);

/// An X25519 private key.
pub(super) struct X25519(Zeroizing<[u8; 32]>);

impl Ecdh for X25519 {
    const PUBLIC_LEN: usize = 32;

    fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    fn public(&self) -> Vec<u8> {
        Vec::from(MontgomeryPoint::mul_base_clamped(*self.0).to_bytes())
    }

    /// The shared secret; zero, which points of small order lead to, is refused.
    fn agree(&self, peer_public: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let point = peer_public
            .try_into()
            .map_err(|_| CryptoError::InvalidPublicValue)?;
        let secret = Zeroizing::new(MontgomeryPoint(point).mul_clamped(*self.0).to_bytes());
        match bool::from(secret.ct_eq(&[0; 32])) {
            true => Err(CryptoError::InvalidPublicValue),
            false => Ok(Zeroizing::new(secret.to_vec())),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use alloc::boxed::Box;
    use alloc::vec;

    use super::*;
    use crate::crypto::rustcrypto::testing::{Script, hex};
    use crate::crypto::{KexAlgorithm as _, KexExchange, KexResponse};

    const ALICE: &str = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    const ALICE_PUBLIC: &str = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    const BOB: &str = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    const BOB_PUBLIC: &str = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    const SHARED: &str = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

    /// The points of small order, p more than some of them, to be tried with and without the top bit.
    pub(in crate::crypto::rustcrypto) const SMALL_ORDER: [&str; 7] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    fn start(secret: &str) -> Box<dyn KexExchange> {
        CURVE25519_SHA256
            .start(None, &mut Script(hex(secret)))
            .unwrap()
    }

    fn respond(peer_public: &[u8]) -> Result<KexResponse, CryptoError> {
        CURVE25519_SHA256.respond(None, peer_public, &mut Script(hex(BOB)))
    }

    /// RFC 7748 section 6.1, through both halves of the exchange.
    #[test]
    fn rfc_7748_exchange() {
        let alice = start(ALICE);
        assert_eq!(alice.public(), hex(ALICE_PUBLIC));
        let bob = respond(alice.public()).unwrap();
        assert_eq!(bob.public, hex(BOB_PUBLIC));
        let encoded = [&[0, 0, 0, 32][..], &hex(SHARED)].concat();
        assert_eq!(bob.secret.as_encoded(), encoded);
        let secret = alice.complete(&bob.public).unwrap();
        assert_eq!(secret.as_encoded(), encoded);
    }

    /// RFC 7748 section 5.2: single multiplications, the second with the top bit of the point
    /// set, and the iterated one.
    #[test]
    fn rfc_7748_multiplication() {
        let multiply = |scalar: &[u8], point: &[u8]| {
            X25519::generate(&mut Script(scalar.to_vec()))
                .unwrap()
                .agree(point)
                .unwrap()
                .to_vec()
        };
        assert_eq!(
            multiply(
                &hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                &hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
            ),
            hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
        );
        assert_eq!(
            multiply(
                &hex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
                &hex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"),
            ),
            hex("95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957")
        );
        let mut base = vec![0; 32];
        base[0] = 9;
        let (mut k, mut u) = (base.clone(), base);
        for _ in 0..1000 {
            (k, u) = (multiply(&k, &u), k);
        }
        assert_eq!(
            k,
            hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
        );
    }

    /// C15: lengths.
    #[test]
    fn c15_wrong_lengths_are_refused() {
        let public = [hex(ALICE_PUBLIC), vec![0; 32]].concat();
        for len in [0, 1, 31, 33, 64] {
            let refused = respond(&public[..len]).err();
            assert_eq!(refused, Some(CryptoError::InvalidPublicValue), "{len}");
            let refused = start(ALICE).complete(&public[..len]).err();
            assert_eq!(refused, Some(CryptoError::InvalidPublicValue), "{len}");
        }
    }

    /// C15: points of small order, which lead to a secret of zero.
    #[test]
    fn c15_small_order_is_refused() {
        for point in SMALL_ORDER {
            for top in [0, 0x80] {
                let mut point = hex(point);
                point[31] |= top;
                let refused = respond(&point).err();
                assert_eq!(refused, Some(CryptoError::InvalidPublicValue), "{point:x?}");
                let refused = start(ALICE).complete(&point).err();
                assert_eq!(refused, Some(CryptoError::InvalidPublicValue), "{point:x?}");
            }
        }
    }

    #[test]
    fn failing_randomness_ends_the_exchange() {
        let refused = CURVE25519_SHA256
            .start(None, &mut Script(vec![1; 31]))
            .err();
        assert_eq!(refused, Some(CryptoError::RandomFailed));
    }
}
