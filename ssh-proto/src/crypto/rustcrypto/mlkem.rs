//! ML-KEM for the hybrids (FIPS 203).

use alloc::vec::Vec;

use ml_kem::kem::{Decapsulate as _, KeyExport as _};
use zeroize::Zeroizing;

use super::kex_hybrid::Kem;
use crate::crypto::SecureRandom;
use crate::error::CryptoError;

/// The bounds of the crate's generic keys cannot be named from outside of it.
macro_rules! parameter_set {
    ($(#[$meta:meta])* $name:ident = $module:ident, $public_len:literal, $ciphertext_len:literal) => {
        $(#[$meta])*
        pub(super) struct $name(ml_kem::$module::DecapsulationKey);

        impl Kem for $name {
            const PUBLIC_LEN: usize = $public_len;
            const CIPHERTEXT_LEN: usize = $ciphertext_len;

            fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
                let mut seed = Zeroizing::new([0; 64]);
                random.fill(&mut *seed)?;
                Ok(Self(ml_kem::$module::DecapsulationKey::from_seed((*seed).into())))
            }

            fn public(&self) -> Vec<u8> {
                self.0.encapsulation_key().to_bytes().to_vec()
            }

            fn encapsulate(
                public: &[u8],
                random: &mut dyn SecureRandom,
            ) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>), CryptoError> {
                let public: &[u8; $public_len] = public
                    .try_into()
                    .map_err(|_| CryptoError::InvalidPublicValue)?;
                // Makes the modulus check of FIPS 203 section 7.2.
                let key = ml_kem::$module::EncapsulationKey::new(public.into())
                    .map_err(|_| CryptoError::InvalidPublicValue)?;
                let mut message = Zeroizing::new([0; 32]);
                random.fill(&mut *message)?;
                let (ciphertext, secret) = key.encapsulate_deterministic((&*message).into());
                let secret = Zeroizing::new(secret);
                Ok((ciphertext.to_vec(), Zeroizing::new((*secret).into())))
            }

            fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
                let ciphertext: &[u8; $ciphertext_len] = ciphertext
                    .try_into()
                    .map_err(|_| CryptoError::InvalidPublicValue)?;
                let secret = Zeroizing::new(self.0.decapsulate(ciphertext.into()));
                Ok(Zeroizing::new((*secret).into()))
            }
        }
    };
}

parameter_set! {
    /// An ML-KEM-768 decapsulation key.
    MlKem768 = ml_kem_768, 1184, 1088
}

parameter_set! {
    /// An ML-KEM-1024 decapsulation key.
    MlKem1024 = ml_kem_1024, 1568, 1568
}
