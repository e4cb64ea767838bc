//! SHA-2, for exchange hashes, key derivation and fingerprints (RFC 6234, RFC 6668).

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

pub(super) static SHA512: Sha512 = Sha512;

pub(super) struct Sha512;

impl HashAlgorithm for Sha512 {
    fn output_len(&self) -> usize {
        64
    }

    fn hash(&self, parts: &[&[u8]]) -> HashOutput {
        let mut hasher = sha2::Sha512::new();
        for part in parts {
            hasher.update(part);
        }
        let mut output = Zeroizing::new([0; 64]);
        hasher.finalize_into((&mut *output).into());
        HashOutput::new(&*output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::testing::hex;

    /// FIPS 180-4, the examples of NIST.
    #[test]
    fn sha256() {
        let abc = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(SHA256.hash(&[b"abc"]).as_ref(), abc);
        assert_eq!(SHA256.hash(&[b"a", b"", b"bc"]).as_ref(), abc);
        assert_eq!(
            SHA256.hash(&[]).as_ref(),
            hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
    }

    /// FIPS 180-4, the example of NIST.
    #[test]
    fn sha512() {
        let abc = hex(
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        );
        assert_eq!(SHA512.hash(&[b"a", b"", b"bc"]).as_ref(), abc);
    }
}
