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

/// What is hashed, in this order, followed by the secret.
pub(crate) struct Transcript<'a> {
    pub(crate) client_ident: &'a [u8],
    pub(crate) server_ident: &'a [u8],
    pub(crate) client_init: &'a [u8],
    pub(crate) server_init: &'a [u8],
    pub(crate) host_key: &'a [u8],
    /// The public values and what they depend on, as the method hashes them.
    pub(crate) values: &'a [u8],
}

impl Transcript<'_> {
    /// H (RFC 4253 section 8, RFC 4419 section 3, RFC 5656 section 4).
    pub(crate) fn hash(&self, hash: &dyn HashAlgorithm, secret: &SharedSecret) -> HashOutput {
        let mut parts = BytesMut::new();
        for part in [
            self.client_ident,
            self.server_ident,
            self.client_init,
            self.server_init,
            self.host_key,
        ] {
            put_string(&mut parts, part);
        }
        hash.hash(&[&parts, self.values, secret.as_encoded()])
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
    use alloc::vec;

    use super::*;
    use crate::transport::kex::values::Values;

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
    /// C19, C20: H and all keys as hashlib of Python has them, computed by a script that shares
    /// nothing with this crate. K has leading zeros to be dropped and then a top bit; the second
    /// column is of a rekey, where the session id is not H.
    #[cfg(feature = "rustcrypto")]
    #[test]
    fn c19_c20_known_answers() {
        fn hex(bytes: &[u8]) -> alloc::string::String {
            bytes.iter().map(|b| alloc::format!("{b:02x}")).collect()
        }
        let mut magnitude = vec![0, 0, 0x81];
        magnitude.extend((0..29).map(|i| i * 7 + 3));
        let secret = SharedSecret::mpint(&magnitude).unwrap();
        let init = |cookie: core::ops::Range<u8>, lists: &[u8]| {
            let mut init = vec![20];
            init.extend(cookie);
            init.extend(lists);
            init
        };
        let mut host_key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
        host_key.extend([0x5a; 32]);
        let hash = crate::crypto::rustcrypto::provider().sha256;
        let exchange_hash = Transcript {
            client_ident: b"SSH-2.0-client_1.0",
            server_ident: b"SSH-2.0-server_2.0 comment",
            client_init: &init(0..16, b"client lists"),
            server_init: &init(16..32, b"server lists"),
            host_key: &host_key,
            values: &Values::Strings.hashed(&[0xc1; 32], &[0x51; 32]),
        }
        .hash(hash, &secret);
        assert_eq!(
            hex(exchange_hash.as_ref()),
            "083900a66b20469766b16f14d7206d829f1f02e0a215d1f49bdd443a9dbfdf9b"
        );
        let other: Vec<u8> = (0..32).collect();
        let keys = [
            (
                b'A',
                "b237cab5d1e7286b3b06fb2cae4da46871accd9d6f3570dd5b9f41864b1a7c91da71a3ab585fc6c0e3d2c29ccf9c2806793bd2dca5d4951d127f7f347432a5b4",
                "c7d8eacfead6721fccba618d3e8a87c8878cbbede1ed1bbaba0ff21e35a33746341956412809fd1a1e2d46bb6c40182c07ceff6ae87366535a6d84c20f99cd41",
            ),
            (
                b'B',
                "42cd618d278ceaad8b21427783c9083082761f2653688a57232090aa6c06bf378ac6643d11718fbf1643b6cd2caf1c1d3a70e327bee49ad06826f5b076f7bee3",
                "067d96738920e7fd9ac1b868ed49088ddfb29690d4934c3331d5bdf63311a39ed6282654e7dc567c47d5782b6c9b9dccac4dab1f408b46075aeb0a41bb64a075",
            ),
            (
                b'C',
                "3eee4b893b748f5261a520f64d9ffe026f2c719c66c398ef78339df2123e7da0aefce361fd9a827d71b5b7fda8d8842572dc35898981ac4a9387cc287843e89c",
                "74d26d7cca3035bce75d989734ccdaa56a0f1a2fd66cf49853b334e3d181d323d9560ef2326dc3ea053fe520590f9993960dd29d732eb8fc75c9d0a10e22ae43",
            ),
            (
                b'D',
                "faa0ae3286a18e68c18f2e702813e808f30154b4c2dd9a8853ef6306ba483c31390905b87dc53c2432a530cadcdcd161f37f833d41324ad9b90f2cfed630f63c",
                "1765fdf5fd28c55212e77b45cb64cc1d4e34fd3ffdda952bea2bbc48bb03107dc25500a3a429950a010a6cd395803c22590c95bf2a416e29d1b41e26eb8a7510",
            ),
            (
                b'E',
                "c82a0bf584255ae7e057334209529aa5594e032bb8ed804777d3f0b61c1947779e57e2961aa45a1d0728a96b0784a143e17a619b45df82d21ee32d246cfdfd9f",
                "05a1b91761231981b5e7aeee91a2bcf4b0825fb855bdfcac3d9ebea80b06a8d4432b5660937caed2c23fd6d3f4ef4daee919018e2896c34e5e16fa3045cd8fbe",
            ),
            (
                b'F',
                "40d7fb3744fb589d87c666db088b0f97df8417fbf92c7c954268d42d57f7bc348c2f39a78fce7a8220a958bc28f55593cf58529e21e9f77a996c4d5683db9299",
                "c16516cb9c97ac838e16d1e3042c307dc6ff45dc46febdcc956a8f0292dea92b0212b31527cf22235b0c398328a95e5eea20246abfeb1e0e51e091e197417940",
            ),
        ];
        for (letter, first, rekeyed) in keys {
            for (session_id, expected) in [(exchange_hash.as_ref(), first), (&other, rekeyed)] {
                let schedule = KeySchedule {
                    hash,
                    secret: &secret,
                    exchange_hash: exchange_hash.as_ref(),
                    session_id,
                };
                assert_eq!(hex(&schedule.derive(letter, 64)), expected);
            }
        }
    }
}
