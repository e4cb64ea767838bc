//! X25519 and ECDH of AWS-LC (RFC 7748 section 5, SEC 1 section 3.3.1).

use alloc::vec::Vec;

use ::aws_lc_rs::agreement::{
    Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey, X25519 as ALGORITHM,
    agree,
};
use zeroize::Zeroizing;

use super::FIPS;
use crate::crypto::SecureRandom;
use crate::crypto::frame::Agreement;
use crate::error::CryptoError;

/// An ephemeral key on a curve.
pub(super) struct Key<C> {
    secret: PrivateKey,
    public: Vec<u8>,
    curve: core::marker::PhantomData<fn() -> C>,
}

pub(super) trait Curve: 'static {
    const ALGORITHM: &'static Algorithm;
    const SECRET_LEN: usize;
    /// What of the first byte of a secret may be set.
    const MASK: u8 = 0xff;
    /// Whether a public value is of the right length and form. The library takes others as well.
    fn is_well_formed(public: &[u8]) -> bool;
}

pub(super) enum Curve25519 {}
pub(super) enum P256 {}
pub(super) enum P384 {}
pub(super) enum P521 {}

pub(super) type X25519 = Key<Curve25519>;
pub(super) type Nistp256 = Key<P256>;
pub(super) type Nistp384 = Key<P384>;
pub(super) type Nistp521 = Key<P521>;

impl Curve for Curve25519 {
    const ALGORITHM: &'static Algorithm = &ALGORITHM;
    const SECRET_LEN: usize = 32;

    fn is_well_formed(public: &[u8]) -> bool {
        public.len() == 32
    }
}

impl Curve for P256 {
    const ALGORITHM: &'static Algorithm = &ECDH_P256;
    const SECRET_LEN: usize = 32;

    fn is_well_formed(public: &[u8]) -> bool {
        public.len() == 65 && public.first() == Some(&4)
    }
}

impl Curve for P384 {
    const ALGORITHM: &'static Algorithm = &ECDH_P384;
    const SECRET_LEN: usize = 48;

    fn is_well_formed(public: &[u8]) -> bool {
        public.len() == 97 && public.first() == Some(&4)
    }
}

impl Curve for P521 {
    const ALGORITHM: &'static Algorithm = &ECDH_P521;
    const SECRET_LEN: usize = 66;
    const MASK: u8 = 1;

    fn is_well_formed(public: &[u8]) -> bool {
        public.len() == 133 && public.first() == Some(&4)
    }
}

/// A secret key from the caller's randomness. For curves of NIST a random value is out of range
/// once in 2^32, so a source that fails a few times in a row is broken.
fn import<C: Curve>(random: &mut dyn SecureRandom) -> Result<PrivateKey, CryptoError> {
    let mut bytes = Zeroizing::new([0; 66]);
    let bytes = bytes.get_mut(..C::SECRET_LEN).ok_or(CryptoError::Failed)?;
    for _ in 0..8 {
        random.fill(bytes)?;
        if let Some(first) = bytes.first_mut() {
            *first &= C::MASK;
        }
        if let Ok(secret) = PrivateKey::from_private_key(C::ALGORITHM, bytes) {
            return Ok(secret);
        }
    }
    Err(CryptoError::RandomFailed)
}

impl<C: Curve> Agreement for Key<C> {
    fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
        // The module does not vouch for keys that were made outside of it.
        let secret = match FIPS() {
            true => PrivateKey::generate(C::ALGORITHM).map_err(|_| CryptoError::RandomFailed)?,
            false => import::<C>(random)?,
        };
        let public = secret
            .compute_public_key()
            .map_err(|_| CryptoError::Failed)?;
        Ok(Self {
            public: public.as_ref().to_vec(),
            secret,
            curve: core::marker::PhantomData,
        })
    }

    fn public(&self) -> &[u8] {
        &self.public
    }

    fn agree(&self, peer_public: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if !C::is_well_formed(peer_public) {
            return Err(CryptoError::InvalidPublicValue);
        }
        let peer = UnparsedPublicKey::new(C::ALGORITHM, peer_public);
        agree(
            &self.secret,
            peer,
            CryptoError::InvalidPublicValue,
            |secret| Ok(Zeroizing::new(secret.to_vec())),
        )
    }
}
