//! `rsa-sha2-256` and `rsa-sha2-512`, and `ssh-rsa` with the feature `legacy`: RSASSA-PKCS1-v1_5 (RFC 8332, RFC 8017 section 8.2).

#[cfg(any(feature = "graviola", feature = "aws-lc-rs"))]
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use ::hmac::{Hmac, KeyInit as _, Mac as _};
use ::rsa::rand_core::{TryCryptoRng, TryRng};
use ::rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use ::rsa::{BoxedUint, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _};
#[cfg(feature = "legacy")]
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::keys::signature_blob;
use crate::crypto::{
    HashOutput, PrivateKey, PublicKey, SecureRandom, Signature, SignatureAlgorithm, SigningKey,
};
use crate::error::CryptoError;
use crate::limits::{MAX_RSA_BITS, MIN_RSA_BITS};

const KEY_TYPE: &str = "ssh-rsa";

/// Shorter keys are not made, though they are still verified with.
const MIN_GENERATED_BITS: usize = 2048;

pub(in crate::crypto) static RSA_SHA2_256: RsaPkcs1 = RsaPkcs1(Hash::Sha256);
pub(in crate::crypto) static RSA_SHA2_512: RsaPkcs1 = RsaPkcs1(Hash::Sha512);

/// One of the algorithms.
pub(in crate::crypto) struct RsaPkcs1(Hash);

#[cfg(feature = "legacy")]
pub(super) static SSH_RSA: RsaPkcs1 = RsaPkcs1(Hash::Sha1);

#[derive(Clone, Copy)]
enum Hash {
    #[cfg(feature = "legacy")]
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    const ALL: &[Self] = &[
        Self::Sha512,
        Self::Sha256,
        #[cfg(feature = "legacy")]
        Self::Sha1,
    ];

    const NAMES: &[&str] = &[
        Self::Sha512.algorithm(),
        Self::Sha256.algorithm(),
        #[cfg(feature = "legacy")]
        Self::Sha1.algorithm(),
    ];

    const fn algorithm(self) -> &'static str {
        match self {
            #[cfg(feature = "legacy")]
            Self::Sha1 => "ssh-rsa",
            Self::Sha256 => "rsa-sha2-256",
            Self::Sha512 => "rsa-sha2-512",
        }
    }

    fn scheme(self) -> Pkcs1v15Sign {
        match self {
            #[cfg(feature = "legacy")]
            Self::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
            Self::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
            Self::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
        }
    }

    fn digest(self, message: &[u8]) -> HashOutput {
        match self {
            #[cfg(feature = "legacy")]
            Self::Sha1 => HashOutput::new(&Sha1::digest(message)),
            Self::Sha256 => HashOutput::new(&Sha256::digest(message)),
            Self::Sha512 => HashOutput::new(&Sha512::digest(message)),
        }
    }
}

impl SignatureAlgorithm for RsaPkcs1 {
    fn name(&self) -> &'static str {
        self.0.algorithm()
    }

    fn key_type(&self) -> &'static str {
        KEY_TYPE
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let key = read_key(key)?;
        let blob = signature_blob(signature, self.name())?;
        // OpenSSH leaves out leading zeros at times, and takes signatures without them.
        let zeros = key
            .size()
            .checked_sub(blob.len())
            .ok_or(CryptoError::InvalidSignature)?;
        let mut padded = vec![0; zeros];
        padded.extend_from_slice(blob);
        verify(&key, self.0, self.0.digest(message).as_ref(), &padded)
    }
}

fn verify(key: &RsaPublicKey, hash: Hash, digest: &[u8], blob: &[u8]) -> Result<(), CryptoError> {
    key.verify(hash.scheme(), digest, blob)
        .map_err(|_| CryptoError::InvalidSignature)
}

/// A key of a size that bounds what verifying costs. Nothing is computed for another.
fn read_key(key: &PublicKey) -> Result<RsaPublicKey, CryptoError> {
    let (exponent, modulus) = key
        .usable_rsa_numbers()
        .filter(|_| key.key_type() == KEY_TYPE)
        .ok_or(CryptoError::InvalidKey)?;
    RsaPublicKey::new_with_size_limits(
        number(modulus)?,
        number(exponent)?,
        MIN_RSA_BITS..=MAX_RSA_BITS,
    )
    .map_err(|_| CryptoError::InvalidKey)
}

fn number(magnitude: &[u8]) -> Result<BoxedUint, CryptoError> {
    let bits = u32::try_from(magnitude.len().saturating_mul(8));
    bits.ok()
        .filter(|bits| *bits > 0)
        .and_then(|bits| BoxedUint::from_be_slice(magnitude, bits).ok())
        .ok_or(CryptoError::InvalidKey)
}

/// A private key that signs.
///
/// The private operation is blinded (RUSTSEC-2023-0071): each signature has its own factor, drawn
/// from a stream whose seed comes of the private exponent, the digest and a counter, so that
/// signing needs no randomness. What is blinded does not show in the signature, which is the same
/// each time. A signature is verified before it leaves, since one that is wrong modulo one of the
/// primes alone tells the primes.
pub(in crate::crypto) struct RsaKey {
    private: RsaPrivateKey,
    public: PublicKey,
    blinding: Blinding,
}

/// The numbers of a private key as another library wants them, without leading zeros; p is the
/// greater prime.
#[cfg(any(feature = "graviola", feature = "aws-lc-rs"))]
pub(in crate::crypto) struct RsaComponents {
    pub(in crate::crypto) modulus: Box<[u8]>,
    pub(in crate::crypto) exponent: Box<[u8]>,
    pub(in crate::crypto) private_exponent: Zeroizing<Vec<u8>>,
    pub(in crate::crypto) prime_p: Zeroizing<Vec<u8>>,
    pub(in crate::crypto) prime_q: Zeroizing<Vec<u8>>,
    /// d modulo p - 1.
    pub(in crate::crypto) exponent_p: Zeroizing<Vec<u8>>,
    /// d modulo q - 1.
    pub(in crate::crypto) exponent_q: Zeroizing<Vec<u8>>,
    /// The inverse of q modulo p.
    pub(in crate::crypto) coefficient: Zeroizing<Vec<u8>>,
}

impl RsaKey {
    pub(in crate::crypto) fn new(key: &PrivateKey) -> Result<Self, CryptoError> {
        let PrivateKey::Rsa {
            private_exponent,
            prime_p,
            prime_q,
            coefficient,
            ..
        } = key
        else {
            return Err(CryptoError::InvalidKey);
        };
        let public = key.public_key();
        let (exponent, modulus) = public.usable_rsa_numbers().ok_or(CryptoError::InvalidKey)?;
        // That n = pq, and that d undoes e modulo p - 1 and q - 1, is checked in there.
        let private = RsaPrivateKey::from_components(
            number(modulus)?,
            number(exponent)?,
            number(private_exponent)?,
            vec![number(prime_p)?, number(prime_q)?],
        )
        .map_err(|_| CryptoError::InvalidKey)?;
        let expected = crt_coefficient(&private)?;
        let fits = expected.ct_eq(strip_zeros(coefficient));
        if !bool::from(fits) {
            return Err(CryptoError::InvalidKey);
        }
        let blinding = Blinding::new(private_exponent)?;
        Ok(Self {
            private,
            public,
            blinding,
        })
    }

    #[cfg(any(feature = "graviola", feature = "aws-lc-rs"))]
    pub(in crate::crypto) fn components(&self) -> Result<RsaComponents, CryptoError> {
        let key = &self.private;
        let [p, q] = key.primes() else {
            return Err(CryptoError::Failed);
        };
        let swapped;
        let (key, p, q) = match p < q {
            true => {
                let primes = vec![q.as_ref().clone(), p.as_ref().clone()];
                let (n, e, d) = (key.n().as_ref(), key.e(), key.d());
                swapped = RsaPrivateKey::from_components(n.clone(), e.clone(), d.clone(), primes)
                    .map_err(|_| CryptoError::Failed)?;
                (&swapped, q, p)
            }
            false => (key, p, q),
        };
        Ok(RsaComponents {
            modulus: key.n_bytes(),
            exponent: key.e_bytes(),
            private_exponent: magnitude(key.d()),
            prime_p: magnitude(p),
            prime_q: magnitude(q),
            exponent_p: magnitude(key.dp().ok_or(CryptoError::Failed)?),
            exponent_q: magnitude(key.dq().ok_or(CryptoError::Failed)?),
            coefficient: crt_coefficient(key)?,
        })
    }

    /// Signs by way of `raw`, whose result is not trusted.
    fn sign_by(
        &self,
        hash: Hash,
        message: &[u8],
        raw: impl FnOnce(&[u8]) -> Result<Vec<u8>, CryptoError>,
    ) -> Result<Signature, CryptoError> {
        let digest = hash.digest(message);
        let blob = raw(digest.as_ref())?;
        verify(self.private.as_public_key(), hash, digest.as_ref(), &blob)
            .map_err(|_| CryptoError::Failed)?;
        Ok(Signature::new(hash.algorithm(), &blob))
    }
}

/// The inverse of q modulo p without leading zeros. There is none where both are the same.
fn crt_coefficient(private: &RsaPrivateKey) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let mut inverse = private.qinv().ok_or(CryptoError::InvalidKey)?.retrieve();
    let bytes = magnitude(&inverse);
    inverse.zeroize();
    Ok(bytes)
}

/// A secret number without leading zeros.
fn magnitude(number: &BoxedUint) -> Zeroizing<Vec<u8>> {
    let bytes = Zeroizing::new(number.to_be_bytes());
    Zeroizing::new(strip_zeros(&bytes).to_vec())
}

fn strip_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0);
    number
        .get(start.unwrap_or(number.len())..)
        .unwrap_or_default()
}

impl SigningKey for RsaKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithms(&self) -> &[&'static str] {
        Hash::NAMES
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        let hash = *Hash::ALL
            .iter()
            .find(|hash| hash.algorithm() == algorithm)
            .ok_or(CryptoError::Unsupported)?;
        self.sign_by(hash, message, |digest| {
            let mut stream = self.blinding.stream(digest)?;
            self.private
                .sign_with_rng(&mut stream, hash.scheme(), digest)
                .map_err(|_| CryptoError::Failed)
        })
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// Where the blinding factors of a key come from.
struct Blinding {
    key: Zeroizing<[u8; 32]>,
    used: AtomicUsize,
}

impl Blinding {
    fn new(private_exponent: &[u8]) -> Result<Self, CryptoError> {
        let key = hmac(private_exponent, &[b"ssh-proto: blinding of RSA"])?;
        let used = AtomicUsize::new(0);
        Ok(Self { key, used })
    }

    fn stream(&self, digest: &[u8]) -> Result<Stream, CryptoError> {
        let count = self.used.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let seed = hmac(&*self.key, &[&count, digest])?;
        Ok(Stream::new(&seed))
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| CryptoError::Failed)?;
    for part in parts {
        mac.update(part);
    }
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}

/// The bytes that a seed expands to, as the library wants its randomness: it cannot fail.
struct Stream(ChaCha20);

impl Stream {
    fn new(seed: &[u8; 32]) -> Self {
        Self(ChaCha20::new(seed.into(), &[0; 12].into()))
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Infallible> {
        dest.fill(0);
        self.0.apply_keystream(dest);
        Ok(())
    }
}

impl TryCryptoRng for Stream {}

/// A new private key, whose primes are looked for in the stream of a random seed.
pub(super) fn generate(
    bits: usize,
    random: &mut dyn SecureRandom,
) -> Result<PrivateKey, CryptoError> {
    if !(MIN_GENERATED_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(CryptoError::Unsupported);
    }
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(&mut *seed)?;
    let key = RsaPrivateKey::new(&mut Stream::new(&seed), bits).map_err(|_| CryptoError::Failed)?;
    let [p, q] = key.primes() else {
        return Err(CryptoError::Failed);
    };
    Ok(PrivateKey::Rsa {
        modulus: key.n_bytes().into(),
        exponent: key.e_bytes().into(),
        private_exponent: magnitude(key.d()),
        prime_p: magnitude(p),
        prime_q: magnitude(q),
        coefficient: crt_coefficient(&key)?,
    })
}

#[cfg(test)]
mod tests;
