//! Public keys, private keys and signatures as values, and the traits that sign and verify (RFC 4253 section 6.6).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use bytes::{Bytes, BytesMut};

use super::{HashAlgorithm, PrivateKey, SecureRandom};
use crate::error::{CryptoError, DecodeError};
use crate::limits::{MAX_KEY_BLOB, MAX_NAME, MAX_SIGNATURE_BLOB};
use crate::wire::{Mpint, Reader, put_mpint, put_string};

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

    /// An Ed25519 key (RFC 8709 section 4).
    pub fn ed25519(public: &[u8; 32]) -> Self {
        let mut blob = BytesMut::new();
        put_string(&mut blob, b"ssh-ed25519");
        put_string(&mut blob, public);
        Self {
            blob: blob.freeze(),
            key_type: "ssh-ed25519".to_owned(),
        }
    }

    /// An ECDSA key from its uncompressed point (RFC 5656 section 3.1).
    pub fn ecdsa(curve: EcdsaCurve, point: &[u8]) -> Self {
        let mut blob = BytesMut::new();
        put_string(&mut blob, curve.key_type().as_bytes());
        put_string(&mut blob, curve.name().as_bytes());
        put_string(&mut blob, point);
        Self {
            blob: blob.freeze(),
            key_type: curve.key_type().to_owned(),
        }
    }

    /// An RSA key from the big-endian magnitudes of exponent and modulus (RFC 4253 section 6.6).
    pub fn rsa(exponent: &[u8], modulus: &[u8]) -> Self {
        let mut blob = BytesMut::new();
        put_string(&mut blob, b"ssh-rsa");
        put_mpint(&mut blob, exponent);
        put_mpint(&mut blob, modulus);
        Self {
            blob: blob.freeze(),
            key_type: "ssh-rsa".to_owned(),
        }
    }

    /// The type name that the encoding begins with, such as `ssh-ed25519`.
    pub fn key_type(&self) -> &str {
        &self.key_type
    }

    /// The wire encoding.
    pub fn as_blob(&self) -> &[u8] {
        &self.blob
    }

    /// Whether the encoding has the form of its type, where the type is known here: fields and
    /// their lengths. Whether a point is on its curve takes arithmetic, and is seen where it is
    /// used to verify.
    pub(crate) fn is_well_formed(&self) -> bool {
        let mut reader = Reader::new(&self.blob);
        let fields = (|| {
            reader.string()?;
            let well_formed = match self.key_type() {
                "ssh-ed25519" => reader.string()?.len() == 32,
                key_type => match EcdsaCurve::of_key_type(key_type) {
                    Some(curve) => {
                        let name = reader.string()?;
                        let point = reader.string()?;
                        name == curve.name().as_bytes()
                            && point.len() == curve.point_len()
                            && point.first() == Some(&4)
                    }
                    None => {
                        reader.rest();
                        true
                    }
                },
            };
            reader.finish()?;
            Ok::<_, DecodeError>(well_formed)
        })();
        fields == Ok(true)
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

    /// Verifies a signature that names this algorithm.
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
    /// A signing key for this private key.
    ///
    /// # Errors
    /// `Unsupported` for a type that the provider lacks, `InvalidKey` if the parts do not fit.
    fn signing_key(&self, key: &PrivateKey) -> Result<Arc<dyn SigningKey>, CryptoError>;

    /// A new private key of a type such as `ssh-ed25519`.
    ///
    /// # Errors
    /// `Unsupported`, `RandomFailed`.
    fn generate(
        &self,
        key_type: &str,
        random: &mut dyn SecureRandom,
    ) -> Result<PrivateKey, CryptoError>;
}
