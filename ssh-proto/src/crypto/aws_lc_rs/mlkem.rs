//! ML-KEM-768 and ML-KEM-1024 of AWS-LC (FIPS 203).

use alloc::vec::Vec;

use ::aws_lc_rs::kem::{
    Algorithm, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768, ML_KEM_1024,
};
use zeroize::Zeroizing;

use crate::crypto::SecureRandom;
use crate::crypto::frame::Kem;
use crate::error::CryptoError;

pub(super) type Mlkem768 = Mlkem<768>;
pub(super) type Mlkem1024 = Mlkem<1024>;

/// Its randomness is that of the library, which has no call that takes any.
pub(super) struct Mlkem<const SIZE: usize>(DecapsulationKey);

impl<const SIZE: usize> Mlkem<SIZE> {
    const ALGORITHM: &'static Algorithm = match SIZE {
        768 => &ML_KEM_768,
        _ => &ML_KEM_1024,
    };
}

impl<const SIZE: usize> Kem for Mlkem<SIZE> {
    // FIPS 203 section 8.
    const PUBLIC_LEN: usize = SIZE / 2 * 3 + 32;
    const CIPHERTEXT_LEN: usize = match SIZE {
        768 => 1088,
        _ => 1568,
    };

    fn generate(_random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
        DecapsulationKey::generate(Self::ALGORITHM)
            .map(Self)
            .map_err(|_| CryptoError::RandomFailed)
    }

    fn public(&self) -> Result<Vec<u8>, CryptoError> {
        self.0
            .encapsulation_key()
            .and_then(|key| Ok(key.key_bytes()?.as_ref().to_vec()))
            .map_err(|_| CryptoError::Failed)
    }

    fn encapsulate(
        peer_public: &[u8],
        _random: &mut dyn SecureRandom,
    ) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>), CryptoError> {
        let key = EncapsulationKey::new(Self::ALGORITHM, peer_public)
            .map_err(|_| CryptoError::InvalidPublicValue)?;
        // Here, if not before, the library makes the modulus check of FIPS 203 section 7.2.
        let (ciphertext, secret) = key
            .encapsulate()
            .map_err(|_| CryptoError::InvalidPublicValue)?;
        Ok((ciphertext.as_ref().to_vec(), copy(secret.as_ref())?))
    }

    fn decapsulate(self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let secret = self
            .0
            .decapsulate(Ciphertext::from(ciphertext))
            .map_err(|_| CryptoError::InvalidPublicValue)?;
        copy(secret.as_ref())
    }
}

fn copy(secret: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    let secret = secret.try_into().map_err(|_| CryptoError::Failed)?;
    Ok(Zeroizing::new(secret))
}
