//! The exchange hash and the keys derived from it (RFC 4253 sections 7.2 and 8).

use alloc::vec::Vec;

use bytes::BytesMut;
use zeroize::Zeroizing;

use super::negotiate::Suite;
use crate::crypto::{CipherKeys, HashAlgorithm, HashOutput, SharedSecret};
use crate::error::CryptoError;
use crate::role::Role;
use crate::transport::recv::OpeningEpoch;
use crate::transport::send::SealingEpoch;
use crate::wire::put_string;

/// What is hashed, in this order, followed by the public values of the method and the secret.
pub(crate) struct Transcript<'a> {
    pub(crate) client_ident: &'a [u8],
    pub(crate) server_ident: &'a [u8],
    pub(crate) client_init: &'a [u8],
    pub(crate) server_init: &'a [u8],
    pub(crate) host_key: &'a [u8],
    pub(crate) client_public: &'a [u8],
    pub(crate) server_public: &'a [u8],
}

impl Transcript<'_> {
    /// H for methods whose public values are strings (RFC 5656 section 4).
    pub(crate) fn hash(&self, hash: &dyn HashAlgorithm, secret: &SharedSecret) -> HashOutput {
        let mut parts = BytesMut::new();
        for part in [
            self.client_ident,
            self.server_ident,
            self.client_init,
            self.server_init,
            self.host_key,
            self.client_public,
            self.server_public,
        ] {
            put_string(&mut parts, part);
        }
        hash.hash(&[&parts, secret.as_encoded()])
    }
}

/// Derives keys from K, H and the session id.
pub(crate) struct KeySchedule<'a> {
    pub(crate) hash: &'a dyn HashAlgorithm,
    pub(crate) secret: &'a SharedSecret,
    pub(crate) exchange_hash: &'a [u8],
    pub(crate) session_id: &'a [u8],
}

impl KeySchedule<'_> {
    /// `len` bytes of the key with this letter: K1 = HASH(K || H || X || session_id),
    /// K(n+1) = HASH(K || H || K1 || .. || Kn).
    fn derive(&self, letter: u8, len: usize) -> Zeroizing<Vec<u8>> {
        let secret = self.secret.as_encoded();
        // Room for every block, so that growing leaves no copy of the key behind.
        let mut key = Zeroizing::new(Vec::with_capacity(len.saturating_add(HashOutput::MAX_LEN)));
        while key.len() < len {
            let block = match key.is_empty() {
                true => self
                    .hash
                    .hash(&[secret, self.exchange_hash, &[letter], self.session_id]),
                false => self.hash.hash(&[secret, self.exchange_hash, &key]),
            };
            key.extend_from_slice(block.as_ref());
        }
        key.truncate(len);
        key
    }

    fn direction_keys<T>(
        &self,
        from: Role,
        suite: Suite,
        make: impl FnOnce(CipherKeys<'_>) -> Result<T, CryptoError>,
    ) -> Result<T, CryptoError> {
        let (iv, key, mac_key) = match from {
            Role::Client => (b'A', b'C', b'E'),
            Role::Server => (b'B', b'D', b'F'),
        };
        let iv = self.derive(iv, suite.cipher.iv_len());
        let key = self.derive(key, suite.cipher.key_len());
        let mac_key = suite
            .mac
            .map(|mac| (mac, self.derive(mac_key, mac.key_len())));
        let mac = mac_key.as_ref().map(|(mac, key)| (*mac, key.as_slice()));
        make(CipherKeys {
            key: &key,
            iv: &iv,
            mac,
        })
    }

    /// The epoch in which `from` sends.
    pub(crate) fn sealing(
        &self,
        from: Role,
        suite: Suite,
        reset_sequence: bool,
    ) -> Result<SealingEpoch, CryptoError> {
        let key = self.direction_keys(from, suite, |keys| suite.cipher.sealing_key(keys))?;
        Ok(SealingEpoch {
            key,
            compression: suite.compression,
            reset_sequence,
        })
    }

    /// The epoch in which the other side opens what `from` sends.
    pub(crate) fn opening(&self, from: Role, suite: Suite) -> Result<OpeningEpoch, CryptoError> {
        let key = self.direction_keys(from, suite, |keys| suite.cipher.opening_key(keys))?;
        Ok(OpeningEpoch {
            key,
            compression: suite.compression,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash that lists its input lengths, so that the order of the parts shows.
    struct Toy;

    impl HashAlgorithm for Toy {
        fn output_len(&self) -> usize {
            4
        }

        fn hash(&self, parts: &[&[u8]]) -> HashOutput {
            let sum = parts.iter().flat_map(|p| p.iter()).fold(0u32, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
            });
            HashOutput::new(&sum.to_be_bytes())
        }
    }

    /// C20: keys longer than the hash are extended block by block.
    #[test]
    fn c20_key_extension() {
        let secret = SharedSecret::string(b"k");
        let schedule = KeySchedule {
            hash: &Toy,
            secret: &secret,
            exchange_hash: b"hash",
            session_id: b"session",
        };
        let k = secret.as_encoded();
        let k1 = Toy.hash(&[k, b"hash", b"C", b"session"]);
        let k2 = Toy.hash(&[k, b"hash", k1.as_ref()]);
        let k3 = Toy.hash(&[k, b"hash", k1.as_ref(), k2.as_ref()]);
        let expected = [k1.as_ref(), k2.as_ref(), k3.as_ref()].concat();
        for len in 0..=12 {
            assert_eq!(schedule.derive(b'C', len).as_slice(), &expected[..len]);
        }
    }
}
