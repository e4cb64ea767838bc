//! `hmac-sha2-256` and `hmac-sha2-512`, and for old peers `hmac-sha1`, also as encrypt-then-MAC (RFC 6668, RFC 4253 section 6.4, OpenSSH PROTOCOL section 1.7).

use alloc::boxed::Box;
use core::marker::PhantomData;

use hmac::{EagerHash, Hmac, KeyInit as _, Mac as _};
#[cfg(feature = "legacy")]
use sha1::Sha1;
use sha2::digest::OutputSizeUser;
use sha2::{Sha256, Sha512};

use crate::crypto::{MacAlgorithm, MacKey};
use crate::error::CryptoError;

pub(super) static HMAC_SHA2_256: HmacSha<Sha256> = HmacSha::new("hmac-sha2-256", false);
pub(super) static HMAC_SHA2_512: HmacSha<Sha512> = HmacSha::new("hmac-sha2-512", false);
pub(super) static HMAC_SHA2_256_ETM: HmacSha<Sha256> =
    HmacSha::new("hmac-sha2-256-etm@openssh.com", true);
pub(super) static HMAC_SHA2_512_ETM: HmacSha<Sha512> =
    HmacSha::new("hmac-sha2-512-etm@openssh.com", true);

#[cfg(feature = "legacy")]
pub(super) static HMAC_SHA1: HmacSha<Sha1> = HmacSha::new("hmac-sha1", false);
#[cfg(feature = "legacy")]
pub(super) static HMAC_SHA1_ETM: HmacSha<Sha1> = HmacSha::new("hmac-sha1-etm@openssh.com", true);

pub(super) struct HmacSha<D> {
    name: &'static str,
    etm: bool,
    hash: PhantomData<fn() -> D>,
}

impl<D> HmacSha<D> {
    const fn new(name: &'static str, etm: bool) -> Self {
        Self {
            name,
            etm,
            hash: PhantomData,
        }
    }
}

impl<D> MacAlgorithm for HmacSha<D>
where
    D: EagerHash + OutputSizeUser + 'static,
    Hmac<D>: Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        <D as OutputSizeUser>::output_size()
    }

    fn tag_len(&self) -> usize {
        <D as OutputSizeUser>::output_size()
    }

    fn is_etm(&self) -> bool {
        self.etm
    }

    fn key(&self, key: &[u8]) -> Result<Box<dyn MacKey>, CryptoError> {
        // HMAC takes keys of any length; SSH fixes it to that of the hash.
        if key.len() != self.key_len() {
            return Err(CryptoError::InvalidKey);
        }
        let keyed = Hmac::<D>::new_from_slice(key).map_err(|_| CryptoError::InvalidKey)?;
        Ok(Box::new(Key { keyed }))
    }
}

/// The state after both key blocks; a copy of it is where each packet starts.
struct Key<D: EagerHash> {
    keyed: Hmac<D>,
}

impl<D: EagerHash> Key<D> {
    fn over(&self, sequence: u32, data: &[u8]) -> Hmac<D> {
        let mut mac = self.keyed.clone();
        mac.update(&sequence.to_be_bytes());
        mac.update(data);
        mac
    }
}

impl<D> MacKey for Key<D>
where
    D: EagerHash,
    Hmac<D>: Send,
{
    fn sign(&mut self, sequence: u32, data: &[u8], tag: &mut [u8]) {
        let output = self.over(sequence, data).finalize().into_bytes();
        for (to, from) in tag.iter_mut().zip(output) {
            *to = from;
        }
    }

    // Unlike the default, this refuses a tag of another length.
    fn verify(&mut self, sequence: u32, data: &[u8], tag: &[u8]) -> Result<(), CryptoError> {
        self.over(sequence, data)
            .verify_slice(tag)
            .map_err(|_| CryptoError::TagMismatch)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::crypto::rustcrypto::testing::hex;

    /// The first four bytes of the data are where the sequence number goes.
    fn mac<D>(key: &[u8], data: &[u8]) -> Vec<u8>
    where
        D: EagerHash + OutputSizeUser,
        Hmac<D>: Send,
    {
        let keyed = Hmac::<D>::new_from_slice(key).unwrap();
        let mut key = Key { keyed };
        let (sequence, rest) = data.split_first_chunk().unwrap();
        let sequence = u32::from_be_bytes(*sequence);
        let mut tag = [0; 64];
        let tag = &mut tag[..<D as OutputSizeUser>::output_size()];
        // Twice, since a key serves many packets.
        key.sign(sequence, rest, tag);
        key.sign(sequence, rest, tag);
        key.verify(sequence, rest, tag).unwrap();
        tag.to_vec()
    }

    /// RFC 4231 section 4, test cases 1, 2, 3 and 6.
    #[test]
    fn rfc_4231() {
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
            assert_eq!(mac::<Sha256>(key, data), hex(sha256));
            assert_eq!(mac::<Sha512>(key, data), hex(sha512));
        }
    }

    /// RFC 2202 section 3, test cases 1, 2, 3 and 6.
    #[cfg(feature = "legacy")]
    #[test]
    fn rfc_2202() {
        let cases: [(&[u8], &[u8], &str); 4] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b617318655057264e28bc0b6fb378c8ef146be00",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
            ),
            (
                &[0xaa; 80],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "aa4ae5e15272d00e95705637ce8a3b55ed402112",
            ),
        ];
        for (key, data, sha1) in cases {
            assert_eq!(mac::<Sha1>(key, data), hex(sha1));
        }
        assert_eq!((HMAC_SHA1.key_len(), HMAC_SHA1.tag_len()), (20, 20));
        assert!(HMAC_SHA1_ETM.is_etm() && !HMAC_SHA1.is_etm());
    }

    #[test]
    fn tags_of_another_length_are_refused() {
        let mut key = HMAC_SHA2_256.key(&[7; 32]).unwrap();
        let mut tag = [0; 32];
        key.sign(1, b"data", &mut tag);
        for len in 0..32 {
            let cut = key.verify(1, b"data", &tag[..len]);
            assert_eq!(cut, Err(CryptoError::TagMismatch));
        }
        let long = key.verify(1, b"data", &[&tag[..], &[0]].concat());
        assert_eq!(long, Err(CryptoError::TagMismatch));
        assert_eq!(key.verify(1, b"data", &tag), Ok(()));
    }
}
