//! Public keys, private keys and signatures as values, and the traits that sign and verify (RFC 4253 section 6.6).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use bytes::{Bytes, BytesMut};

use super::security_key::{SK_ECDSA, SK_ED25519};
use super::{HashAlgorithm, PrivateKey, SecureRandom};
use crate::error::{CryptoError, DecodeError};
use crate::limits::{
    MAX_KEY_BLOB, MAX_NAME, MAX_RSA_BITS, MAX_RSA_EXPONENT_BITS, MAX_SIGNATURE_BLOB, MIN_RSA_BITS,
};
use crate::wire::{Mpint, Reader, put_mpint, put_string};

/// `ssh-mldsa44-ed25519`
const MLDSA44_ED25519: &str = "ssh-mldsa44-ed25519";

/// A public key in its wire encoding (RFC 4253 section 6.6), of any type.
///
/// Holding one says only that the encoding begins with a type name; whether the rest is a valid
/// key is decided where it is used to verify. Two keys are equal if their encodings are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    blob: Bytes,
    key_type: String,
}

impl PublicKey {
    /// Takes a key from its wire encoding.
    ///
    /// # Errors
    /// `TooMany` above 16 KiB, `Truncated` or `BadText` if it does not begin with a type name.
    pub fn from_blob(blob: impl Into<Bytes>) -> Result<Self, DecodeError> {
        let blob = blob.into();
        if blob.len() > MAX_KEY_BLOB {
            return Err(DecodeError::TooMany);
        }
        let name = Reader::new(&blob).string()?;
        if name.is_empty() || name.len() > MAX_NAME || !name.iter().all(u8::is_ascii_graphic) {
            return Err(DecodeError::BadText);
        }
        let key_type = core::str::from_utf8(name)
            .map_err(|_| DecodeError::BadText)?
            .to_owned();
        Ok(Self { blob, key_type })
    }

    /// A key of a type, from what follows the type's name.
    fn from_fields(key_type: &str, put_fields: impl FnOnce(&mut BytesMut)) -> Self {
        let mut blob = BytesMut::new();
        put_string(&mut blob, key_type.as_bytes());
        put_fields(&mut blob);
        Self {
            blob: blob.freeze(),
            key_type: key_type.to_owned(),
        }
    }

    /// An Ed25519 key (RFC 8709 section 4).
    pub fn ed25519(public: &[u8; 32]) -> Self {
        Self::from_fields("ssh-ed25519", |blob| put_string(blob, public))
    }

    /// An ECDSA key from its uncompressed point (RFC 5656 section 3.1).
    pub fn ecdsa(curve: EcdsaCurve, point: &[u8]) -> Self {
        Self::from_fields(curve.key_type(), |blob| {
            put_string(blob, curve.name().as_bytes());
            put_string(blob, point);
        })
    }

    /// An RSA key from the big-endian magnitudes of exponent and modulus (RFC 4253 section 6.6).
    pub fn rsa(exponent: &[u8], modulus: &[u8]) -> Self {
        Self::from_fields("ssh-rsa", |blob| {
            put_mpint(blob, exponent);
            put_mpint(blob, modulus);
        })
    }

    /// A DSA key from big-endian magnitudes: p, q, g and y (RFC 4253 section 6.6).
    pub fn dsa(prime: &[u8], subprime: &[u8], generator: &[u8], public: &[u8]) -> Self {
        Self::from_fields("ssh-dss", |blob| {
            for number in [prime, subprime, generator, public] {
                put_mpint(blob, number);
            }
        })
    }

    /// A key of ML-DSA-44 and Ed25519 from both, 1344 bytes
    /// (draft-miller-sshm-mldsa44-ed25519-composite-sigs).
    pub fn mldsa44_ed25519(public: &[u8]) -> Self {
        Self::from_fields(MLDSA44_ED25519, |blob| put_string(blob, public))
    }

    /// A security key with Ed25519 for an application, mostly `ssh:` (OpenSSH PROTOCOL.u2f).
    pub fn sk_ed25519(public: &[u8; 32], application: &str) -> Self {
        Self::from_fields(SK_ED25519, |blob| {
            put_string(blob, public);
            put_string(blob, application.as_bytes());
        })
    }

    /// A security key with ECDSA over P-256 from its uncompressed point (OpenSSH PROTOCOL.u2f).
    pub fn sk_ecdsa(point: &[u8], application: &str) -> Self {
        Self::from_fields(SK_ECDSA, |blob| {
            put_string(blob, EcdsaCurve::Nistp256.name().as_bytes());
            put_string(blob, point);
            put_string(blob, application.as_bytes());
        })
    }

    /// The type name that the encoding begins with, such as `ssh-ed25519`.
    pub fn key_type(&self) -> &str {
        &self.key_type
    }

    /// The wire encoding.
    pub fn as_blob(&self) -> &[u8] {
        &self.blob
    }

    /// Bits in the modulus of an RSA key, its certificate included; `None` for other types, and
    /// where the encoding is damaged.
    pub fn rsa_bits(&self) -> Option<usize> {
        self.rsa_numbers().map(|(_, modulus)| bit_len(modulus))
    }

    /// Exponent and modulus of an RSA key, as magnitudes.
    fn rsa_numbers(&self) -> Option<(&[u8], &[u8])> {
        let mut reader = Reader::new(&self.blob);
        reader.string().ok()?;
        match self.key_type() {
            "ssh-rsa" => {}
            // The nonce (draft-miller-ssh-cert).
            "ssh-rsa-cert-v01@openssh.com" => {
                reader.string().ok()?;
            }
            _ => return None,
        }
        let mut number = || {
            Some(
                Mpint::from_twos_complement(reader.string().ok()?)
                    .ok()?
                    .magnitude(),
            )
        };
        let numbers = (number()?, number()?);
        let is_finished = self.key_type() != "ssh-rsa" || reader.finish().is_ok();
        is_finished.then_some(numbers)
    }

    /// Exponent and modulus of an RSA key that can be computed with at bounded cost: sizes within
    /// [`MIN_RSA_BITS`] and [`MAX_RSA_BITS`], both odd, the exponent at least 3 and of
    /// [`MAX_RSA_EXPONENT_BITS`] at most.
    pub(crate) fn usable_rsa_numbers(&self) -> Option<(&[u8], &[u8])> {
        self.rsa_numbers().filter(|(exponent, modulus)| {
            let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
            (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bit_len(modulus))
                && (2..=MAX_RSA_EXPONENT_BITS).contains(&bit_len(exponent))
                && is_odd(modulus)
                && is_odd(exponent)
        })
    }

    /// Whether the encoding has the form of its type, where the type is known here: fields and
    /// their lengths, and the sizes of RSA. Whether a point is on its curve takes arithmetic, and
    /// is seen where it is used to verify.
    pub(crate) fn is_well_formed(&self) -> bool {
        if self.key_type() == "ssh-rsa" {
            return self.usable_rsa_numbers().is_some();
        }
        let mut reader = Reader::new(&self.blob);
        let is_well_formed = || {
            reader.string()?;
            let well_formed = match self.key_type() {
                "ssh-ed25519" => reader.string()?.len() == 32,
                _ if self.is_certificate() => {
                    reader.rest();
                    self.certificate().is_some()
                }
                MLDSA44_ED25519 => reader.string()?.len() == 1344,
                SK_ED25519 => {
                    let is_key = reader.string()?.len() == 32;
                    is_key && !reader.string()?.is_empty()
                }
                SK_ECDSA => {
                    is_point(EcdsaCurve::Nistp256, &mut reader)? && !reader.string()?.is_empty()
                }
                "ssh-dss" => {
                    for _ in 0..4 {
                        Mpint::from_twos_complement(reader.string()?)?;
                    }
                    true
                }
                key_type => match EcdsaCurve::of_key_type(key_type) {
                    Some(curve) => is_point(curve, &mut reader)?,
                    None => {
                        reader.rest();
                        true
                    }
                },
            };
            reader.finish()?;
            Ok::<_, DecodeError>(well_formed)
        };
        is_well_formed() == Ok(true)
    }

    /// The size in bits as `ssh-keygen -l` tells it: of the modulus for RSA and DSA, of the field
    /// for curves. `None` for types that are not known here, certificates among them, and for
    /// moduli that are malformed.
    pub fn bits(&self) -> Option<u32> {
        let mut reader = Reader::new(&self.blob);
        reader.string().ok()?;
        let number = match self.key_type() {
            "ssh-ed25519" | "sk-ssh-ed25519@openssh.com" | "sk-ecdsa-sha2-nistp256@openssh.com" => {
                return Some(256);
            }
            "ssh-dss" => reader.string().ok()?,
            "ssh-rsa" => {
                reader.string().ok()?;
                reader.string().ok()?
            }
            key_type => {
                return EcdsaCurve::of_key_type(key_type).map(|curve| match curve {
                    EcdsaCurve::Nistp256 => 256,
                    EcdsaCurve::Nistp384 => 384,
                    EcdsaCurve::Nistp521 => 521,
                });
            }
        };
        let magnitude = Mpint::from_twos_complement(number).ok()?.magnitude();
        let zeros = magnitude.first().map_or(0, |byte| byte.leading_zeros());
        let bytes = u32::try_from(magnitude.len()).ok()?;
        Some(bytes.saturating_mul(8).saturating_sub(zeros))
    }

    /// The fingerprint as OpenSSH prints it. `sha256` is that of a [`CryptoProvider`](super::CryptoProvider).
    pub fn fingerprint(&self, sha256: &dyn HashAlgorithm) -> Fingerprint {
        let digest = sha256.hash(&[&self.blob]);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Fingerprint(bytes)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {} bytes)", self.key_type, self.blob.len())
    }
}

/// A curve that ECDSA keys are on (RFC 5656 section 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EcdsaCurve {
    /// NIST P-256.
    Nistp256,
    /// NIST P-384.
    Nistp384,
    /// NIST P-521.
    Nistp521,
}

impl EcdsaCurve {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nistp256, Self::Nistp384, Self::Nistp521];

    /// The identifier of the curve inside keys, such as `nistp256`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nistp256 => "nistp256",
            Self::Nistp384 => "nistp384",
            Self::Nistp521 => "nistp521",
        }
    }

    /// The type of keys on the curve, such as `ecdsa-sha2-nistp256`.
    pub const fn key_type(self) -> &'static str {
        match self {
            Self::Nistp256 => "ecdsa-sha2-nistp256",
            Self::Nistp384 => "ecdsa-sha2-nistp384",
            Self::Nistp521 => "ecdsa-sha2-nistp521",
        }
    }

    /// The curve of keys of this type.
    pub fn of_key_type(key_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|curve| curve.key_type() == key_type)
    }

    /// Bytes in a coordinate or a secret scalar.
    pub const fn field_len(self) -> usize {
        match self {
            Self::Nistp256 => 32,
            Self::Nistp384 => 48,
            Self::Nistp521 => 66,
        }
    }

    /// Bytes in an uncompressed point.
    pub const fn point_len(self) -> usize {
        1 + 2 * self.field_len()
    }
}

/// Whether the name of the curve follows, and what can be an uncompressed point on it.
fn is_point(curve: EcdsaCurve, reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let name = reader.string()?;
    let point = reader.string()?;
    Ok(name == curve.name().as_bytes()
        && point.len() == curve.point_len()
        && point.first() == Some(&4))
}

/// The bits of a magnitude without leading zeros.
fn bit_len(magnitude: &[u8]) -> usize {
    let zeros = magnitude.first().map_or(0, |first| first.leading_zeros());
    let bits = magnitude.len().saturating_mul(8);
    bits.saturating_sub(zeros as usize)
}

/// The SHA-256 fingerprint of a public key. Displays as `SHA256:` and unpadded base64, as OpenSSH does.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        f.write_str("SHA256:")?;
        for group in self.0.chunks(3) {
            let mut word = [0; 4];
            for (to, from) in word.iter_mut().skip(1).zip(group) {
                *to = *from;
            }
            let word = u32::from_be_bytes(word);
            for i in 0..=group.len() {
                let index = (word >> (18 - 6 * i)) & 63;
                let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'?');
                write!(f, "{}", char::from(letter))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A signature in its wire encoding: algorithm name and signature blob (RFC 4253 section 6.6).
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    encoded: Bytes,
    algorithm: String,
    blob_start: usize,
}

impl Signature {
    /// Builds a signature from the algorithm's name and its own encoding.
    pub fn new(algorithm: &str, blob: &[u8]) -> Self {
        let mut encoded = BytesMut::with_capacity(8 + algorithm.len() + blob.len());
        put_string(&mut encoded, algorithm.as_bytes());
        let blob_start = encoded.len() + 4;
        put_string(&mut encoded, blob);
        Self {
            encoded: encoded.freeze(),
            algorithm: algorithm.to_owned(),
            blob_start,
        }
    }

    /// Takes a signature from its wire encoding.
    ///
    /// # Errors
    /// `TooMany` above 4 KiB, otherwise what is wrong with the encoding. Trailing bytes behind
    /// the blob are left to the algorithm: those of security keys put their counter there.
    pub fn from_encoded(encoded: impl Into<Bytes>) -> Result<Self, DecodeError> {
        let encoded = encoded.into();
        if encoded.len() > MAX_SIGNATURE_BLOB {
            return Err(DecodeError::TooMany);
        }
        let mut reader = Reader::new(&encoded);
        let name = reader.string()?;
        if name.len() > MAX_NAME || !name.iter().all(u8::is_ascii_graphic) {
            return Err(DecodeError::BadText);
        }
        let algorithm = core::str::from_utf8(name)
            .map_err(|_| DecodeError::BadText)?
            .to_owned();
        let blob_start = encoded.len() - reader.remaining() + 4;
        reader.string()?;
        Ok(Self {
            encoded,
            algorithm,
            blob_start,
        })
    }

    /// The name of the signature algorithm.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The blob behind the name's own length field, with whatever follows it.
    pub fn blob(&self) -> &[u8] {
        self.encoded.get(self.blob_start..).unwrap_or_default()
    }

    /// The wire encoding.
    pub fn as_encoded(&self) -> &[u8] {
        &self.encoded
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Signature({}, {} bytes)",
            self.algorithm,
            self.blob().len()
        )
    }
}

/// A signature algorithm: verifies, for host keys and user keys.
pub trait SignatureAlgorithm: Send + Sync {
    /// The name, as in `server_host_key_algorithms` and `server-sig-algs`.
    fn name(&self) -> &'static str;

    /// The type of the keys that it verifies with, which differs from the name for RSA with SHA-2.
    fn key_type(&self) -> &'static str;

    /// Whether this runs in a module validated after FIPS 140-3, for [`CryptoProvider::fips`](super::CryptoProvider::fips).
    fn fips(&self) -> bool {
        false
    }

    /// The name in its signatures, which differs from that of the algorithm for certificates: the
    /// key inside signs as it would without one.
    fn signature_name(&self) -> &'static str {
        self.name()
    }

    /// Verifies a signature that names this algorithm by [`Self::signature_name`].
    ///
    /// # Errors
    /// `InvalidKey` if the key is of another type or malformed, `InvalidSignature` if the
    /// signature names another algorithm, is malformed, has trailing bytes or is wrong.
    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError>;
}

/// A private key that can sign.
///
/// Keys in memory come from [`CryptoProvider::signing_key`](super::CryptoProvider::signing_key).
/// Keys that live elsewhere do not need this trait: they are named by their public key, and
/// a `Sign` event asks for the signature.
pub trait SigningKey: Send + Sync + fmt::Debug {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// The algorithms that the key signs with, in order of preference.
    fn algorithms(&self) -> &[&'static str];

    /// Signs.
    ///
    /// # Errors
    /// `Unsupported` for an algorithm that is not in the list, otherwise what failed.
    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError>;
}

/// Makes signing keys of private key values, and new private keys.
pub trait KeyProvider: Send + Sync {
    /// Whether all that it makes runs in a module validated after FIPS 140-3, for [`CryptoProvider::fips`](super::CryptoProvider::fips).
    fn fips(&self) -> bool {
        false
    }

    /// A signing key for this private key.
    ///
    /// # Errors
    /// `Unsupported` for a type that the provider lacks, `InvalidKey` if the parts do not fit.
    fn signing_key(&self, key: &PrivateKey) -> Result<Arc<dyn SigningKey>, CryptoError>;

    /// A new private key of a type such as `ssh-ed25519`; `ssh-rsa` has 3072 bits.
    ///
    /// # Errors
    /// `Unsupported`, `RandomFailed`.
    fn generate(
        &self,
        key_type: &str,
        random: &mut dyn SecureRandom,
    ) -> Result<PrivateKey, CryptoError>;

    /// A new RSA key of so many bits, 2048 to 16384, and the exponent 65537. Takes from a second
    /// to many minutes. A provider without RSA leaves this as it is.
    ///
    /// # Errors
    /// `Unsupported`, for another size too; `RandomFailed`.
    fn generate_rsa(
        &self,
        bits: usize,
        random: &mut dyn SecureRandom,
    ) -> Result<PrivateKey, CryptoError> {
        let _ = (bits, random);
        Err(CryptoError::Unsupported)
    }
}
