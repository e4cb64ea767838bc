//! SHA-2 of Graviola, for key exchange and fingerprints (RFC 6234).

use ::graviola::hashing::{Hash, HashContext as _, Sha256, Sha384};

use crate::crypto::{HashAlgorithm, HashOutput};

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
