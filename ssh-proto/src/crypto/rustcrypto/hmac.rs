//! `hmac-sha2-256` and `hmac-sha2-512`, also as encrypt-then-MAC (RFC 6668, OpenSSH PROTOCOL section 1.7).

use alloc::boxed::Box;
use core::marker::PhantomData;

use hmac::{EagerHash, Hmac, KeyInit as _, Mac as _};
use sha2::digest::OutputSizeUser;
use sha2::{Sha256, Sha512};

use crate::crypto::{MacAlgorithm, MacKey};
use crate::error::CryptoError;

pub(super) static HMAC_SHA2_256: HmacSha2<Sha256> = HmacSha2::new("hmac-sha2-256", false);
pub(super) static HMAC_SHA2_512: HmacSha2<Sha512> = HmacSha2::new("hmac-sha2-512", false);
pub(super) static HMAC_SHA2_256_ETM: HmacSha2<Sha256> =
    HmacSha2::new("hmac-sha2-256-etm@openssh.com", true);
pub(super) static HMAC_SHA2_512_ETM: HmacSha2<Sha512> =
    HmacSha2::new("hmac-sha2-512-etm@openssh.com", true);

pub(super) struct HmacSha2<D> {
    name: &'static str,
    etm: bool,
    hash: PhantomData<fn() -> D>,
}

impl<D> HmacSha2<D> {
    const fn new(name: &'static str, etm: bool) -> Self {
        Self {
            name,
            etm,
            hash: PhantomData,
        }
    }
}

impl<D> MacAlgorithm for HmacSha2<D>
where
    D: EagerHash + OutputSizeUser + 'static,
    Hmac<D>: Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        <D as OutputSizeUser>::output_size()
    }

    fn tag_len(&self) -> usize {
        <D as OutputSizeUser>::output_size()
    }

    fn is_etm(&self) -> bool {
        self.etm
    }

    fn key(&self, key: &[u8]) -> Result<Box<dyn MacKey>, CryptoError> {
        // HMAC takes keys of any length; SSH fixes it to that of the hash.
        if key.len() != self.key_len() {
            return Err(CryptoError::InvalidKey);
        }
        let keyed = Hmac::<D>::new_from_slice(key).map_err(|_| CryptoError::InvalidKey)?;
        Ok(Box::new(Key { keyed }))
    }
}

/// The state after both key blocks; a copy of it is where each packet starts.
struct Key<D: EagerHash> {
    keyed: Hmac<D>,
}

impl<D: EagerHash> Key<D> {
    fn over(&self, sequence: u32, data: &[u8]) -> Hmac<D> {
        let mut mac = self.keyed.clone();
        mac.update(&sequence.to_be_bytes());
        mac.update(data);
        mac
    }
}

impl<D> MacKey for Key<D>
where
    D: EagerHash,
    Hmac<D>: Send,
{
    fn sign(&mut self, sequence: u32, data: &[u8], tag: &mut [u8]) {
        let output = self.over(sequence, data).finalize().into_bytes();
        for (to, from) in tag.iter_mut().zip(output) {
            *to = from;
        }
    }

    // Unlike the default, this refuses a tag of another length.
    fn verify(&mut self, sequence: u32, data: &[u8], tag: &[u8]) -> Result<(), CryptoError> {
        self.over(sequence, data)
            .verify_slice(tag)
            .map_err(|_| CryptoError::TagMismatch)
    }
}
