//! What providers share: the framing of SSH around the primitives of a library, and lists with entries replaced by name.

mod ctr;
mod gcm;
mod hmac;
#[cfg(any(feature = "graviola", feature = "aws-lc-rs"))]
mod kex;
#[cfg(any(feature = "graviola", feature = "aws-lc-rs"))]
mod overlay;
#[cfg(all(feature = "rsa", any(feature = "graviola", feature = "aws-lc-rs")))]
mod rsa;
#[cfg(any(feature = "graviola", feature = "aws-lc-rs"))]
mod signature;

pub(super) use self::ctr::{BLOCK_LEN, Ctr, Keystream};
pub(super) use self::gcm::{Gcm, GcmKey, IV_LEN, TAG_LEN};
pub(super) use self::hmac::{Hmac, HmacKey};
#[cfg(any(feature = "graviola", feature = "aws-lc-rs", feature = "purecrypto"))]
pub(super) use self::overlay::Overlay;
#[cfg(all(feature = "rsa", any(feature = "graviola", feature = "aws-lc-rs")))]
pub(super) use self::{
    super::rustcrypto::rsa::RsaComponents,
    rsa::{Rsa, RsaHash, RsaSha2, rsa_signing_key},
};
#[cfg(any(feature = "graviola", feature = "aws-lc-rs"))]
pub(super) use self::{
    kex::{Agreement, Ecdh, Hybrid, Kem},
    signature::{Ecdsa, Ed25519, Sign, Signer, ecdsa_blob},
};

/// For algorithms outside of a validated module.
pub(super) const NOT_FIPS: fn() -> bool = || false;

#[cfg(test)]
pub(super) mod tests {
    pub(in crate::crypto) use super::gcm::tests::{nist_gcm, wycheproof_gcm};
    pub(in crate::crypto) use super::hmac::tests::{rfc_4231, wycheproof_hmac};
    #[cfg(all(feature = "rsa", any(feature = "graviola", feature = "aws-lc-rs")))]
    pub(in crate::crypto) use super::rsa::tests::takes_usual_keys;
}
