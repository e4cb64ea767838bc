//! HMAC with SHA-2 of RustCrypto (RFC 2104, RFC 6234).

use hmac::{EagerHash, KeyInit as _, Mac as _};
#[cfg(feature = "legacy")]
use sha1::Sha1;
use sha2::digest::OutputSizeUser;
use sha2::digest::typenum::Unsigned as _;
use sha2::{Sha256, Sha512};

use crate::crypto::frame::{Hmac, HmacKey, NOT_FIPS};
use crate::error::CryptoError;

type Key<D> = hmac::Hmac<D>;

pub(super) static HMAC_SHA2_256: Hmac<Key<Sha256>> = Hmac::new("hmac-sha2-256", false, NOT_FIPS);
pub(super) static HMAC_SHA2_512: Hmac<Key<Sha512>> = Hmac::new("hmac-sha2-512", false, NOT_FIPS);
pub(super) static HMAC_SHA2_256_ETM: Hmac<Key<Sha256>> =
    Hmac::new("hmac-sha2-256-etm@openssh.com", true, NOT_FIPS);
pub(super) static HMAC_SHA2_512_ETM: Hmac<Key<Sha512>> =
    Hmac::new("hmac-sha2-512-etm@openssh.com", true, NOT_FIPS);
#[cfg(feature = "legacy")]
pub(super) static HMAC_SHA1: Hmac<Key<Sha1>> = Hmac::new("hmac-sha1", false, NOT_FIPS);
#[cfg(feature = "legacy")]
pub(super) static HMAC_SHA1_ETM: Hmac<Key<Sha1>> =
    Hmac::new("hmac-sha1-etm@openssh.com", true, NOT_FIPS);

/// The state after both key blocks; a copy of it is where each packet starts.
impl<D> HmacKey for Key<D>
where
    D: EagerHash + OutputSizeUser + 'static,
    Self: Send,
{
    const LEN: usize = <D as OutputSizeUser>::OutputSize::USIZE;

    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        Self::new_from_slice(key).map_err(|_| CryptoError::InvalidKey)
    }

    fn sign(&self, parts: [&[u8]; 2], tag: &mut [u8]) {
        let mut mac = self.clone();
        for part in parts {
            mac.update(part);
        }
        for (to, from) in tag.iter_mut().zip(mac.finalize().into_bytes()) {
            *to = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::frame::tests::{rfc_4231, wycheproof_hmac};

    #[test]
    fn known_answers() {
        rfc_4231::<Key<Sha256>, Key<Sha512>>();
        wycheproof_hmac::<Key<Sha256>, Key<Sha512>>();
    }
    /// RFC 2202 section 3, test cases 1, 2, 3 and 6.
    #[cfg(feature = "legacy")]
    #[test]
    fn rfc_2202() {
        use crate::crypto::rustcrypto::testing::hex;
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
            let mut tag = [0; 20];
            <Key<Sha1> as HmacKey>::new(key)
                .unwrap()
                .sign([data, &[]], &mut tag);
            assert_eq!(tag[..], hex(sha1));
        }
    }
}
