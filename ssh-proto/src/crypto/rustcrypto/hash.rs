//! SHA-2, and with the feature `legacy` SHA-1, for exchange hashes, key derivation and fingerprints (RFC 6234, RFC 6668).

use sha2::Digest as _;
use zeroize::Zeroizing;

use crate::crypto::{HashAlgorithm, HashOutput};

macro_rules! hashes {
    ($($(#[$meta:meta])* $constant:ident: $name:ident = $hasher:ty, $len:literal;)*) => {$(
        $(#[$meta])*
        pub(super) static $constant: $name = $name;

        $(#[$meta])*
        pub(super) struct $name;

        $(#[$meta])*
        impl HashAlgorithm for $name {
            fn output_len(&self) -> usize {
                $len
            }

            fn hash(&self, parts: &[&[u8]]) -> HashOutput {
                let mut hasher = <$hasher>::new();
                for part in parts {
                    hasher.update(part);
                }
                let mut output = Zeroizing::new([0; $len]);
                hasher.finalize_into((&mut *output).into());
                HashOutput::new(&*output)
            }
        }
    )*};
}

hashes! {
    SHA256: Sha256 = sha2::Sha256, 32;
    SHA384: Sha384 = sha2::Sha384, 48;
    SHA512: Sha512 = sha2::Sha512, 64;
    #[cfg(feature = "legacy")]
    SHA1: Sha1 = sha1::Sha1, 20;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::testing::hex;

    /// FIPS 180-4, the examples of NIST.
    #[test]
    fn nist_examples() {
        let abc = |hash: &dyn HashAlgorithm, expected| {
            assert_eq!(hash.hash(&[b"abc"]).as_ref(), hex(expected));
            assert_eq!(hash.hash(&[b"a", b"", b"bc"]).as_ref(), hex(expected));
            assert_eq!(hash.output_len(), expected.len() / 2);
        };
        abc(
            &SHA256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
        abc(
            &SHA384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
        );
        abc(
            &SHA512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        );
        #[cfg(feature = "legacy")]
        abc(&SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d");
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
