//! ML-KEM-768 of Graviola (FIPS 203).

use alloc::vec::Vec;

use ::graviola::key_agreement::mlkem768::{Ciphertext, DecapKey, EncapKey};
use zeroize::Zeroizing;

use crate::crypto::SecureRandom;
use crate::crypto::frame::Kem;
use crate::error::CryptoError;

/// Its randomness is that of the operating system: the library has no public call that takes any.
pub(super) struct Mlkem768(DecapKey);

impl Kem for Mlkem768 {
    const PUBLIC_LEN: usize = 1184;
    const CIPHERTEXT_LEN: usize = 1088;

    fn generate(_random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
        DecapKey::generate()
            .map(Self)
            .map_err(|_| CryptoError::RandomFailed)
    }

    fn public(&self) -> Result<Vec<u8>, CryptoError> {
        Ok(self.0.encapsulation_key().as_bytes().to_vec())
    }

    fn encapsulate(
        peer_public: &[u8],
        _random: &mut dyn SecureRandom,
    ) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>), CryptoError> {
        let key = peer_public
            .try_into()
            .ok()
            .and_then(|bytes| EncapKey::from_bytes(bytes).ok())
            .ok_or(CryptoError::InvalidPublicValue)?;
        let (secret, ciphertext) = key.encaps().map_err(|_| CryptoError::RandomFailed)?;
        Ok((
            ciphertext.as_ref().to_vec(),
            Zeroizing::new(*secret.as_ref()),
        ))
    }

    fn decapsulate(self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let ciphertext: [u8; 1088] = ciphertext
            .try_into()
            .map_err(|_| CryptoError::InvalidPublicValue)?;
        let secret = self.0.decaps(&Ciphertext::from(ciphertext));
        Ok(Zeroizing::new(*secret.as_ref()))
    }
}
