//! RSA private keys of PKCS#1 (RFC 8017 appendix A.1.2).

use der::Reader as _;
use der::asn1::UintRef;

use super::parts::RsaNumbers;
use super::{Damage, KeyFileError, asn1};
use crate::crypto::PrivateKey;

/// Reads the DER. Keys of more than two primes are refused.
pub(super) fn read(bytes: &[u8]) -> Result<PrivateKey, KeyFileError> {
    asn1::sequence(bytes, |reader| {
        if reader.decode::<u8>()? != 0 {
            return Err(Damage::PrivateSection.into());
        }
        let mut numbers: [&[u8]; 8] = [&[]; 8];
        for number in &mut numbers {
            *number = reader.decode::<UintRef<'_>>()?.as_bytes();
        }
        let [
            modulus,
            exponent,
            private_exponent,
            prime_p,
            prime_q,
            _,
            _,
            coefficient,
        ] = numbers;
        let numbers = RsaNumbers {
            modulus,
            exponent,
            private_exponent,
            prime_p,
            prime_q,
            coefficient,
        };
        Ok(numbers.key()?)
    })
}
