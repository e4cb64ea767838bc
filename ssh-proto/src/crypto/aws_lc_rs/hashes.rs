//! SHA-2 and HMAC of AWS-LC (RFC 6234, RFC 2104).

use ::aws_lc_rs::{digest, hmac};

use super::FIPS;
use crate::crypto::frame::HmacKey;
use crate::crypto::{HashAlgorithm, HashOutput};
use crate::error::CryptoError;

pub(super) static SHA256: Sha2 = Sha2(&digest::SHA256, 32);
pub(super) static SHA384: Sha2 = Sha2(&digest::SHA384, 48);
pub(super) static SHA512: Sha2 = Sha2(&digest::SHA512, 64);

pub(super) struct Sha2(&'static digest::Algorithm, usize);

impl HashAlgorithm for Sha2 {
    fn output_len(&self) -> usize {
        self.1
    }

    fn fips(&self) -> bool {
        FIPS()
    }

    fn hash(&self, parts: &[&[u8]]) -> HashOutput {
        let mut context = digest::Context::new(self.0);
        for part in parts {
            context.update(part);
        }
        HashOutput::new(context.finish().as_ref())
    }
}

/// The state after both key blocks; a copy of it is where each packet starts.
pub(super) struct HmacSha256(hmac::Key);

/// The same with SHA-512.
pub(super) struct HmacSha512(hmac::Key);

impl HmacKey for HmacSha256 {
    const LEN: usize = 32;

    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    fn sign(&self, parts: [&[u8]; 2], tag: &mut [u8]) {
        sign(&self.0, parts, tag);
    }
}

impl HmacKey for HmacSha512 {
    const LEN: usize = 64;

    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA512, key)))
    }

    fn sign(&self, parts: [&[u8]; 2], tag: &mut [u8]) {
        sign(&self.0, parts, tag);
    }
}

fn sign(key: &hmac::Key, parts: [&[u8]; 2], tag: &mut [u8]) {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    for (to, from) in tag.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
}
