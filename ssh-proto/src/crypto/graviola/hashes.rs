//! SHA-2 and HMAC of Graviola (RFC 6234, RFC 2104).

use ::graviola::hashing::hmac::Hmac;
use ::graviola::hashing::{Hash, HashContext as _, Sha256, Sha384, Sha512};

use crate::crypto::frame::HmacKey;
use crate::crypto::{HashAlgorithm, HashOutput};
use crate::error::CryptoError;

pub(super) static SHA256: Sha2<Sha256> = Sha2(Sha256, 32);
pub(super) static SHA384: Sha2<Sha384> = Sha2(Sha384, 48);

pub(super) struct Sha2<H>(H, usize);

impl<H: Hash + Send + Sync> HashAlgorithm for Sha2<H> {
    fn output_len(&self) -> usize {
        self.1
    }

    fn hash(&self, parts: &[&[u8]]) -> HashOutput {
        let mut context = H::new();
        for part in parts {
            context.update(part);
        }
        HashOutput::new(context.finish().as_ref())
    }
}

pub(super) type HmacSha256 = Keyed<Sha256, 32>;
pub(super) type HmacSha512 = Keyed<Sha512, 64>;

/// The state after both key blocks; a copy of it is where each packet starts.
pub(super) struct Keyed<H: Hash, const LEN: usize>(Hmac<H>);

impl<H, const LEN: usize> HmacKey for Keyed<H, LEN>
where
    H: Hash + 'static,
    Hmac<H>: Clone + Send,
{
    const LEN: usize = LEN;

    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self(Hmac::new(key)))
    }

    fn sign(&self, parts: [&[u8]; 2], tag: &mut [u8]) {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        for (to, from) in tag.iter_mut().zip(mac.finish().as_ref()) {
            *to = *from;
        }
    }
}
