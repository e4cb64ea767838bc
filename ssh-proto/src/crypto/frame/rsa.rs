//! RSASSA-PKCS1-v1_5 around a library's RSA, and RustCrypto's for the keys that the library does not take (RFC 8332, RFC 8017 section 8.2).

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::NOT_FIPS;
use super::signature::blob;
use crate::crypto::rustcrypto::rsa::{self, RsaComponents, RsaKey};
use crate::crypto::{PrivateKey, PublicKey, Signature, SignatureAlgorithm, SigningKey};
use crate::error::CryptoError;

const KEY_TYPE: &str = "ssh-rsa";

/// The hashes that libraries sign with: none has SHA-1.
#[derive(Clone, Copy)]
pub(in crate::crypto) enum RsaHash {
    Sha256,
    Sha512,
}

impl RsaHash {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    const fn algorithm(self) -> &'static str {
        match self {
            Self::Sha256 => "rsa-sha2-256",
            Self::Sha512 => "rsa-sha2-512",
        }
    }

    fn rustcrypto(self) -> &'static dyn SignatureAlgorithm {
        match self {
            Self::Sha256 => &rsa::RSA_SHA2_256,
            Self::Sha512 => &rsa::RSA_SHA2_512,
        }
    }
}

/// RSA of a library; its values are private keys. Numbers are big-endian magnitudes without leading
/// zeros, and those of a public key have passed [`PublicKey::usable_rsa_numbers`].
pub(in crate::crypto) trait Rsa: Sized + Send + Sync + 'static {
    /// Whether keys with a modulus of so many bits are for the library.
    fn takes(bits: usize) -> bool;

    /// Verifies a signature as long as the modulus.
    fn verify(
        modulus: &[u8],
        exponent: &[u8],
        hash: RsaHash,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError>;

    /// A private key whose parts belong together; `None` for one that is not for the library.
    fn new(components: &RsaComponents) -> Option<Self>;

    /// A signature as long as the modulus. It need not be right: it is verified.
    fn sign(&self, hash: RsaHash, message: &[u8]) -> Result<Vec<u8>, CryptoError>;
}

/// `rsa-sha2-*`.
pub(in crate::crypto) struct RsaSha2<L> {
    hash: RsaHash,
    library: PhantomData<fn() -> L>,
}

impl<L: Rsa> RsaSha2<L> {
    pub(in crate::crypto) const fn new(hash: RsaHash) -> Self {
        let library = PhantomData;
        Self { hash, library }
    }
}

impl<L: Rsa> SignatureAlgorithm for RsaSha2<L> {
    fn name(&self) -> &'static str {
        self.hash.algorithm()
    }

    fn key_type(&self) -> &'static str {
        KEY_TYPE
    }

    /// Not all keys are for the library.
    fn fips(&self) -> bool {
        NOT_FIPS()
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let (exponent, modulus) = key
            .usable_rsa_numbers()
            .filter(|_| key.key_type() == KEY_TYPE)
            .ok_or(CryptoError::InvalidKey)?;
        if !takes::<L>(key) {
            return self.hash.rustcrypto().verify(key, message, signature);
        }
        let blob = blob(signature, self.name())?;
        // OpenSSH leaves out leading zeros at times, and takes signatures without them.
        let zeros = modulus
            .len()
            .checked_sub(blob.len())
            .ok_or(CryptoError::InvalidSignature)?;
        let mut padded = vec![0; zeros];
        padded.extend_from_slice(blob);
        L::verify(modulus, exponent, self.hash, message, &padded)
    }
}

fn takes<L: Rsa>(key: &PublicKey) -> bool {
    key.rsa_bits().is_some_and(L::takes)
}

/// A private key that signs, with the library if that takes it.
pub(in crate::crypto) fn rsa_signing_key<L: Rsa>(
    key: &PrivateKey,
) -> Result<Arc<dyn SigningKey>, CryptoError> {
    // What belongs together is checked in there, and what private keys leave out is computed.
    let rustcrypto = RsaKey::new(key)?;
    let library = match takes::<L>(rustcrypto.public_key()) {
        true => L::new(&rustcrypto.components()?),
        false => None,
    };
    Ok(match library {
        Some(library) => Arc::new(RsaSigner {
            library,
            rustcrypto,
        }),
        None => Arc::new(rustcrypto),
    })
}

struct RsaSigner<L> {
    library: L,
    /// For the algorithms that the library lacks.
    rustcrypto: RsaKey,
}

impl<L: Rsa> SigningKey for RsaSigner<L> {
    fn public_key(&self) -> &PublicKey {
        self.rustcrypto.public_key()
    }

    fn algorithms(&self) -> &[&'static str] {
        self.rustcrypto.algorithms()
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        let mut hashes = RsaHash::ALL.into_iter();
        let Some(hash) = hashes.find(|hash| hash.algorithm() == algorithm) else {
            return self.rustcrypto.sign(algorithm, message);
        };
        let signature = Signature::new(algorithm, &self.library.sign(hash, message)?);
        // One that is wrong modulo one of the primes alone would tell the primes.
        RsaSha2::<L>::new(hash)
            .verify(self.public_key(), message, &signature)
            .map_err(|_| CryptoError::Failed)?;
        Ok(signature)
    }
}

impl<L> fmt::Debug for RsaSigner<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rustcrypto.fmt(f)
    }
}

#[cfg(test)]
pub(in crate::crypto) mod tests {
    use super::*;
    use crate::crypto::rustcrypto::testing::hex;

    /// Those of `tests/providers`, which tell where they come from.
    fn known() -> impl Iterator<Item = PrivateKey> {
        let lines = include_str!("../../../tests/providers/rsa_keys.txt").lines();
        lines.map(|line| {
            let mut fields = line.split(' ').map(hex);
            let mut next = || fields.next().unwrap();
            PrivateKey::Rsa {
                modulus: next(),
                exponent: next(),
                private_exponent: next().into(),
                prime_p: next().into(),
                prime_q: next().into(),
                coefficient: next().into(),
            }
        })
    }

    /// A library takes keys of usual sizes, whichever prime is the greater: RustCrypto stands in
    /// for it unnoticed otherwise.
    pub(in crate::crypto) fn takes_usual_keys<L: Rsa>() {
        assert!(!L::takes(1024) && !L::takes(16384));
        let mut orders = Vec::new();
        for private in known() {
            let PrivateKey::Rsa {
                modulus,
                exponent,
                prime_p,
                prime_q,
                ..
            } = &private
            else {
                panic!("another type");
            };
            let bits = private.public_key().rsa_bits().unwrap();
            if ![2048, 3072, 4096, 8192].contains(&bits) {
                continue;
            }
            orders.push(**prime_p > **prime_q);
            let components = RsaKey::new(&private).unwrap().components().unwrap();
            assert!(L::takes(bits) && *components.prime_p > *components.prime_q);
            let library = L::new(&components).unwrap();
            for hash in RsaHash::ALL {
                let signature = library.sign(hash, b"sample").unwrap();
                let verify =
                    |message: &[u8]| L::verify(modulus, exponent, hash, message, &signature);
                assert_eq!(verify(b"sample"), Ok(()));
                assert_eq!(verify(b"Sample"), Err(CryptoError::InvalidSignature));
            }
        }
        assert_eq!(orders, [true, false, true, true, true, true]);
    }

    /// Signs by RustCrypto, and then flips a bit.
    struct Faulty(RsaKey);

    impl Rsa for Faulty {
        fn takes(_bits: usize) -> bool {
            true
        }

        fn verify(
            modulus: &[u8],
            exponent: &[u8],
            hash: RsaHash,
            message: &[u8],
            signature: &[u8],
        ) -> Result<(), CryptoError> {
            let signature = Signature::new(hash.algorithm(), signature);
            let key = PublicKey::rsa(exponent, modulus);
            hash.rustcrypto().verify(&key, message, &signature)
        }

        fn new(_: &RsaComponents) -> Option<Self> {
            RsaKey::new(&known().next()?).ok().map(Self)
        }

        fn sign(&self, hash: RsaHash, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
            let signature = self.0.sign(hash.algorithm(), message)?;
            let mut blob = signature.blob().to_vec();
            if message == b"fault" {
                blob[17] ^= 4;
            }
            Ok(blob)
        }
    }

    #[test]
    fn d9_faulty_signatures_do_not_leave() {
        let key = rsa_signing_key::<Faulty>(&known().next().unwrap()).unwrap();
        for name in ["rsa-sha2-256", "rsa-sha2-512"] {
            assert!(key.sign(name, b"sample").is_ok());
            assert_eq!(key.sign(name, b"fault"), Err(CryptoError::Failed));
        }
        assert_eq!(key.sign("ssh-x", b"fault"), Err(CryptoError::Unsupported));
    }
}
