//! `ecdh-sha2-nistp256` (RFC 5656 section 4).

use alloc::boxed::Box;
use alloc::vec::Vec;

use p256::SecretKey;

use super::hash::SHA256;
use super::nistp256::{generate_secret, parse_point, uncompressed};
use crate::crypto::{
    DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexResponse, KexShape, SecureRandom,
    SharedSecret,
};
use crate::error::CryptoError;

pub(super) static ECDH_SHA2_NISTP256: EcdhSha2Nistp256 = EcdhSha2Nistp256;

pub(super) struct EcdhSha2Nistp256;

impl KexAlgorithm for EcdhSha2Nistp256 {
    fn name(&self) -> &'static str {
        "ecdh-sha2-nistp256"
    }

    fn shape(&self) -> KexShape {
        KexShape::Ecdh
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        &SHA256
    }

    fn start(
        &self,
        _group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        let secret = generate_secret(random)?;
        let public = uncompressed(&secret.public_key());
        Ok(Box::new(Exchange { secret, public }))
    }

    fn respond(
        &self,
        _group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let secret = generate_secret(random)?;
        Ok(KexResponse {
            secret: agree(&secret, peer_public)?,
            public: Vec::from(uncompressed(&secret.public_key())),
        })
    }
}

struct Exchange {
    secret: SecretKey,
    public: [u8; 65],
}

impl KexExchange for Exchange {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        agree(&self.secret, peer_public)
    }
}

fn agree(secret: &SecretKey, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
    let point = parse_point(peer_public).ok_or(CryptoError::InvalidPublicValue)?;
    SharedSecret::mpint(secret.diffie_hellman(&point).raw_secret_bytes())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::crypto::rustcrypto::testing::{Script, hex};

    const I: &str = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
    const I_PUBLIC: &str = "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180\
                            5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3";
    const R: &str = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53";
    const R_PUBLIC: &str = "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63\
                            56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab";
    const SHARED: &str = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de";

    fn start() -> Box<dyn KexExchange> {
        ECDH_SHA2_NISTP256.start(None, &mut Script(hex(I))).unwrap()
    }

    fn respond(peer_public: &[u8]) -> Result<KexResponse, CryptoError> {
        ECDH_SHA2_NISTP256.respond(None, peer_public, &mut Script(hex(R)))
    }

    /// RFC 5903 section 8.1, through both halves of the exchange.
    #[test]
    fn rfc_5903_exchange() {
        let client = start();
        assert_eq!(client.public(), hex(I_PUBLIC));
        let server = respond(client.public()).unwrap();
        assert_eq!(server.public, hex(R_PUBLIC));
        // The top bit of the secret is set, so the mpint has a zero in front.
        let encoded = [&[0, 0, 0, 33, 0][..], &hex(SHARED)].concat();
        assert_eq!(server.secret.as_encoded(), encoded);
        let secret = client.complete(&server.public).unwrap();
        assert_eq!(secret.as_encoded(), encoded);
    }

    /// C14: anything but an uncompressed point on the curve.
    #[test]
    fn c14_bad_points_are_refused() {
        let good = hex(R_PUBLIC);
        assert!(start().complete(&good).is_ok());
        let mut bad = vec![
            vec![],
            vec![0],
            vec![0; 65],
            good[..64].to_vec(),
            good[1..].to_vec(),
            [&good[..], &[0]].concat(),
        ];
        // Off the curve; a coordinate of p; compressed, hybrid and compact forms.
        let mut off = good.clone();
        off[64] ^= 1;
        bad.push(off);
        let p = hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
        bad.push([&[4], &p[..], &good[33..]].concat());
        bad.push([&[4], &good[1..33], &p[..]].concat());
        bad.push([&[4][..], &[0; 64]].concat());
        for prefix in [2, 3, 5] {
            bad.push([&[prefix], &good[1..33]].concat());
        }
        for prefix in [0, 1, 2, 3, 5, 6, 7] {
            bad.push([&[prefix], &good[1..]].concat());
        }
        for point in bad {
            let refused = respond(&point).err();
            assert_eq!(refused, Some(CryptoError::InvalidPublicValue), "{point:x?}");
            let refused = start().complete(&point).err();
            assert_eq!(refused, Some(CryptoError::InvalidPublicValue), "{point:x?}");
        }
    }

    #[test]
    fn scalars_out_of_range_are_drawn_again() {
        let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
        let random = [vec![0; 32], order, vec![0xff; 32], hex(I)].concat();
        let client = ECDH_SHA2_NISTP256.start(None, &mut Script(random)).unwrap();
        assert_eq!(client.public(), hex(I_PUBLIC));
        let refused = ECDH_SHA2_NISTP256.start(None, &mut Script(vec![0; 1 << 12]));
        assert_eq!(refused.err(), Some(CryptoError::RandomFailed));
    }
}
