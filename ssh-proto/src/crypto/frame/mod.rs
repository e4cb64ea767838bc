//! What providers share: the framing of SSH around the primitives of a library, and lists with entries replaced by name.

mod ctr;
mod gcm;
mod hmac;
#[cfg(any(
    feature = "graviola",
    feature = "aws-lc-rs",
    feature = "aws-lc-rs-fips"
))]
mod kex;
#[cfg(any(
    feature = "graviola",
    feature = "aws-lc-rs",
    feature = "aws-lc-rs-fips"
))]
mod overlay;
#[cfg(any(
    feature = "graviola",
    feature = "aws-lc-rs",
    feature = "aws-lc-rs-fips"
))]
mod signature;

pub(super) use self::ctr::{BLOCK_LEN, Ctr, Keystream};
pub(super) use self::gcm::{Gcm, GcmKey, IV_LEN, TAG_LEN};
pub(super) use self::hmac::{Hmac, HmacKey};
#[cfg(any(
    feature = "graviola",
    feature = "aws-lc-rs",
    feature = "aws-lc-rs-fips"
))]
pub(super) use self::{
    kex::{Agreement, Ecdh, Hybrid, Kem},
    overlay::Overlay,
    signature::{Ecdsa, Ed25519, Sign, Signer, ecdsa_blob},
};
#[cfg(test)]
pub(super) mod tests {
    pub(in crate::crypto) use super::gcm::tests::nist_gcm;
    pub(in crate::crypto) use super::hmac::tests::rfc_4231;
}
