//! SHA-256, for exchange hashes, key derivation and fingerprints (RFC 6234, RFC 6668).

use sha2::Digest as _;
use zeroize::Zeroizing;

use crate::crypto::{HashAlgorithm, HashOutput};

pub(super) static SHA256: Sha256 = Sha256;

pub(super) struct Sha256;

impl HashAlgorithm for Sha256 {
    fn output_len(&self) -> usize {
        32
    }

    fn hash(&self, parts: &[&[u8]]) -> HashOutput {
        let mut hasher = sha2::Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        let mut output = Zeroizing::new([0; 32]);
        hasher.finalize_into((&mut *output).into());
        HashOutput::new(&*output)
    }
}
