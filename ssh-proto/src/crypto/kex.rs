//! Key exchange methods as a provider offers them (RFC 4253 section 8, RFC 5656 section 4, RFC 8731, RFC 10042).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{DhGroup, HashAlgorithm, SecureRandom};
use crate::error::CryptoError;

/// How the public values of a method travel.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KexShape {
    /// Messages 30 and 31 with `string` values (RFC 5656 section 4); elliptic curves and hybrids.
    Ecdh,
    /// Messages 30 and 31 with `mpint` values in a fixed group (RFC 4253 section 8).
    Dh,
    /// Messages 30 to 34, the group chosen by the server (RFC 4419).
    DhGex,
}

/// A key exchange method.
///
/// Public values are the bytes of the `string` for [`KexShape::Ecdh`], and big-endian magnitudes
/// without leading zeros for the others. `group` is `Some` for [`KexShape::DhGex`] alone.
pub trait KexAlgorithm: Send + Sync {
    /// The name in `KEXINIT`.
    fn name(&self) -> &'static str;

    /// How public values travel.
    fn shape(&self) -> KexShape;

    /// The hash of the exchange and of key derivation.
    fn hash(&self) -> &'static dyn HashAlgorithm;

    /// Whether the method resists a quantum computer. For the negotiation report.
    fn is_post_quantum(&self) -> bool {
        false
    }

    /// Whether this runs in a module validated after FIPS 140-3, for [`CryptoProvider::fips`](super::CryptoProvider::fips).
    fn fips(&self) -> bool {
        false
    }

    /// The client's half: makes an ephemeral key.
    ///
    /// # Errors
    /// `RandomFailed`, or `InvalidKey` for a group that is not acceptable.
    fn start(
        &self,
        group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError>;

    /// The server's half: answers the client's public value.
    ///
    /// # Errors
    /// `InvalidPublicValue` if the client's value has the wrong length, is not a valid point or
    /// element, or leads to a zero secret; `RandomFailed`.
    fn respond(
        &self,
        group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError>;
}

/// The client's ephemeral key, between its message and the server's reply.
pub trait KexExchange: Send {
    /// The value to send.
    fn public(&self) -> &[u8];

    /// Combines the server's public value into the shared secret.
    ///
    /// # Errors
    /// `InvalidPublicValue`, as for [`KexAlgorithm::respond`].
    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError>;
}

/// The server's public value and the secret it shares with the client.
#[derive(Debug)]
pub struct KexResponse {
    /// The value to send.
    pub public: Vec<u8>,
    /// The shared secret.
    pub secret: SharedSecret,
}

/// The shared secret K, in the encoding in which it is hashed. Wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedSecret {
    encoded: Vec<u8>,
}

impl SharedSecret {
    /// K as an `mpint` (RFC 4253 section 8, RFC 5656 section 4, RFC 8731 section 3.1), from its big-endian magnitude.
    ///
    /// # Errors
    /// `InvalidPublicValue` for zero, which no honest exchange yields.
    pub fn mpint(magnitude: &[u8]) -> Result<Self, CryptoError> {
        let start = magnitude
            .iter()
            .position(|b| *b != 0)
            .ok_or(CryptoError::InvalidPublicValue)?;
        let digits = magnitude.get(start..).unwrap_or_default();
        let pad = digits.first().is_some_and(|b| b & 0x80 != 0);
        let mut encoded = Vec::with_capacity(5 + digits.len());
        let len = u32::try_from(digits.len() + usize::from(pad))
            .map_err(|_| CryptoError::InvalidPublicValue)?;
        encoded.extend_from_slice(&len.to_be_bytes());
        if pad {
            encoded.push(0);
        }
        encoded.extend_from_slice(digits);
        Ok(Self { encoded })
    }

    /// K as a `string`, as the hybrid methods hash it (RFC 10042 section 2.4).
    pub fn string(bytes: &[u8]) -> Self {
        let mut encoded = Zeroizing::new(Vec::with_capacity(4 + bytes.len()));
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        encoded.extend_from_slice(&len.to_be_bytes());
        encoded.extend_from_slice(bytes);
        Self {
            encoded: core::mem::take(&mut *encoded),
        }
    }

    /// K as it enters the exchange hash and key derivation, length field included.
    pub fn as_encoded(&self) -> &[u8] {
        &self.encoded
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C19: the classic one-in-256 failure.
    #[test]
    fn c19_mpint_secrets_are_canonical() {
        let secret = SharedSecret::mpint(&[0, 0, 0x7f, 1]).unwrap();
        assert_eq!(secret.as_encoded(), [0, 0, 0, 2, 0x7f, 1]);
        let secret = SharedSecret::mpint(&[0x80, 1]).unwrap();
        assert_eq!(secret.as_encoded(), [0, 0, 0, 3, 0, 0x80, 1]);
        assert!(SharedSecret::mpint(&[0; 32]).is_err());
        assert!(SharedSecret::mpint(&[]).is_err());
        assert_eq!(
            SharedSecret::string(&[0, 9]).as_encoded(),
            [0, 0, 0, 2, 0, 9]
        );
    }
}
