//! Finite-field Diffie-Hellman, in fixed groups and in one that the server chooses (RFC 4253 section 8, RFC 4419, RFC 8268).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use zeroize::Zeroizing;

#[cfg(feature = "legacy")]
use super::hash::SHA1;
use super::hash::{SHA256, SHA512};
use crate::crypto::{
    DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexResponse, KexShape, SecureRandom,
    SharedSecret,
};
use crate::error::CryptoError;

macro_rules! methods {
    ($($(#[$meta:meta])* $constant:ident = $name:literal, $hash:ident, $group:expr;)*) => {$(
        $(#[$meta])*
        pub(super) static $constant: DhKex = DhKex {
            name: $name,
            hash: &$hash,
            group: $group,
        };
    )*};
}

methods! {
    GROUP14_SHA256 = "diffie-hellman-group14-sha256", SHA256, Some(|| DhGroup::modp(2048));
    GROUP15_SHA512 = "diffie-hellman-group15-sha512", SHA512, Some(|| DhGroup::modp(3072));
    GROUP16_SHA512 = "diffie-hellman-group16-sha512", SHA512, Some(|| DhGroup::modp(4096));
    GROUP17_SHA512 = "diffie-hellman-group17-sha512", SHA512, Some(|| DhGroup::modp(6144));
    GROUP18_SHA512 = "diffie-hellman-group18-sha512", SHA512, Some(|| DhGroup::modp(8192));
    GROUP_EXCHANGE_SHA256 = "diffie-hellman-group-exchange-sha256", SHA256, None;
    #[cfg(feature = "legacy")]
    GROUP14_SHA1 = "diffie-hellman-group14-sha1", SHA1, Some(|| DhGroup::modp(2048));
    #[cfg(feature = "legacy")]
    GROUP_EXCHANGE_SHA1 = "diffie-hellman-group-exchange-sha1", SHA1, None;
    #[cfg(feature = "legacy")]
    GROUP1_SHA1 = "diffie-hellman-group1-sha1", SHA1, Some(|| Some(DhGroup::oakley_2()));
}

pub(super) struct DhKex {
    name: &'static str,
    hash: &'static dyn HashAlgorithm,
    /// The fixed group; `None` where the server chooses.
    group: Option<fn() -> Option<DhGroup>>,
}

impl DhKex {
    fn group<'a>(&self, chosen: Option<&'a DhGroup>) -> Result<Cow<'a, DhGroup>, CryptoError> {
        let group = match self.group {
            Some(fixed) => fixed().map(Cow::Owned),
            None => chosen.map(Cow::Borrowed),
        };
        group.ok_or(CryptoError::InvalidKey)
    }

    /// Bytes of a private exponent: of twice as many bits as anything that follows has strength
    /// (RFC 4419 section 6.2), since a logarithm in an interval costs the root of its length. That
    /// is less than any group has.
    fn exponent_len(&self) -> usize {
        (2 * self.hash.output_len()).max(64)
    }
}

impl KexAlgorithm for DhKex {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> KexShape {
        match self.group {
            Some(_) => KexShape::Dh,
            None => KexShape::DhGex,
        }
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        self.hash
    }

    fn start(
        &self,
        group: Option<&DhGroup>,
        random: &mut dyn SecureRandom,
    ) -> Result<Box<dyn KexExchange>, CryptoError> {
        let group = self.group(group)?.into_owned();
        let secret = EphemeralSecret::generate(group, self.exponent_len(), random)?;
        Ok(Box::new(secret))
    }

    fn respond(
        &self,
        group: Option<&DhGroup>,
        peer_public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<KexResponse, CryptoError> {
        let group = self.group(group)?;
        // Before anything is computed.
        if !group.is_public_value(peer_public) {
            return Err(CryptoError::InvalidPublicValue);
        }
        let group = group.into_owned();
        let secret = EphemeralSecret::generate(group, self.exponent_len(), random)?;
        Ok(KexResponse {
            secret: secret.agree(peer_public)?,
            public: secret.public,
        })
    }
}

/// A private exponent and its group.
struct EphemeralSecret {
    group: DhGroup,
    params: BoxedMontyParams,
    exponent: Zeroizing<BoxedUint>,
    public: Vec<u8>,
}

impl EphemeralSecret {
    /// A random exponent is a bad one never but where the source is broken.
    fn generate(
        group: DhGroup,
        exponent_len: usize,
        random: &mut dyn SecureRandom,
    ) -> Result<Self, CryptoError> {
        let prime = BoxedUint::from_be_slice_vartime(group.prime());
        let prime = Odd::new(prime)
            .into_option()
            .ok_or(CryptoError::InvalidKey)?;
        // The group is public.
        let params = BoxedMontyParams::new_vartime(prime);
        let mut bytes = Zeroizing::new(vec![0; exponent_len]);
        for _ in 0..8 {
            random.fill(&mut bytes)?;
            let exponent = Zeroizing::new(BoxedUint::from_be_slice_vartime(&bytes));
            let public = power(&params, group.generator(), &exponent)?;
            let public = Vec::from(public.to_be_bytes_trimmed_vartime());
            if group.is_public_value(&public) {
                return Ok(Self {
                    group,
                    params,
                    exponent,
                    public,
                });
            }
        }
        Err(CryptoError::RandomFailed)
    }

    fn agree(&self, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        if !self.group.is_public_value(peer_public) {
            return Err(CryptoError::InvalidPublicValue);
        }
        let secret = power(&self.params, peer_public, &self.exponent)?;
        SharedSecret::mpint(&Zeroizing::new(secret.to_be_bytes()))
    }
}

impl KexExchange for EphemeralSecret {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer_public: &[u8]) -> Result<SharedSecret, CryptoError> {
        self.agree(peer_public)
    }
}

/// `base` to the power of `exponent`, in time that depends on the sizes alone. The base is public
/// and below p.
fn power(
    params: &BoxedMontyParams,
    base: &[u8],
    exponent: &BoxedUint,
) -> Result<Zeroizing<BoxedUint>, CryptoError> {
    let base = BoxedUint::from_be_slice(base, params.bits_precision())
        .map_err(|_| CryptoError::InvalidPublicValue)?;
    let power = Zeroizing::new(BoxedMontyForm::new(base, params).pow(exponent));
    Ok(Zeroizing::new(power.retrieve()))
}

#[cfg(test)]
#[path = "kex_dh_tests.rs"]
mod tests;
