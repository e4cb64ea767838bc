//! The provider on AWS-LC, by way of aws-lc-rs: the fastest AES-GCM, and on request its FIPS module.
//!
//! Names and order are those of [`rustcrypto::provider`]. From AWS-LC come
//! `chacha20-poly1305@openssh.com`, AES-GCM, AES-CTR, HMAC, SHA-2, X25519, ECDH and ECDSA over the
//! curves of NIST, Ed25519, RSA of 2048 to 8192 bits with SHA-2, ML-KEM-768 and -1024 and what is made
//! of these; from RustCrypto what aws-lc-rs lacks: finite fields, other sizes of RSA and everything
//! else. New keys are made by RustCrypto, too.
//!
//! Needs std and a C compiler. ML-KEM and ECDSA take randomness from the library's own generator,
//! beside the source that a connection is given.
//!
//! A program that depends on `aws-lc-rs` itself, with its feature `fips` (which wants CMake and Go
//! besides), has all of this run in the FIPS module of AWS-LC, and finds in [`fips_provider`] what of
//! it is approved.

mod agreement;
mod chacha20poly1305;
mod hashes;
mod mlkem;
mod packets;
#[cfg(feature = "rsa")]
mod rsa;
mod signatures;

use self::agreement::{Nistp256, Nistp384, Nistp521, X25519};
use self::hashes::{HmacSha256, HmacSha512, SHA256, SHA384, SHA512};
use self::mlkem::{Mlkem768, Mlkem1024};
use self::packets::{AesCtr, AesGcm};
use super::frame::{Ctr, Ecdh, Gcm, Hmac, Hybrid, NOT_FIPS, Overlay};
use super::{
    CipherAlgorithm, CryptoProvider, KexAlgorithm, MacAlgorithm, SignatureAlgorithm, rustcrypto,
};

/// Whether what is linked is the FIPS module.
const FIPS: fn() -> bool = || ::aws_lc_rs::try_fips_mode().is_ok();

static KEX: [&dyn KexAlgorithm; 8] = [
    // X25519 is not approved, so neither is what has it as a part.
    &Hybrid::<Mlkem768, X25519>::new("mlkem768x25519-sha256", &SHA256, NOT_FIPS),
    &Hybrid::<Mlkem768, Nistp256>::new("mlkem768nistp256-sha256", &SHA256, FIPS),
    &Hybrid::<Mlkem1024, Nistp384>::new("mlkem1024nistp384-sha384", &SHA384, FIPS),
    &Ecdh::<X25519>::new("curve25519-sha256", &SHA256, NOT_FIPS),
    &Ecdh::<X25519>::new("curve25519-sha256@libssh.org", &SHA256, NOT_FIPS),
    &Ecdh::<Nistp256>::new("ecdh-sha2-nistp256", &SHA256, FIPS),
    &Ecdh::<Nistp384>::new("ecdh-sha2-nistp384", &SHA384, FIPS),
    &Ecdh::<Nistp521>::new("ecdh-sha2-nistp521", &SHA512, FIPS),
];

static SIGNATURES: &[&dyn SignatureAlgorithm] = &[
    &signatures::SSH_ED25519_CERT,
    &signatures::ECDSA_SHA2_NISTP256_CERT,
    &signatures::ECDSA_SHA2_NISTP384_CERT,
    &signatures::ECDSA_SHA2_NISTP521_CERT,
    &signatures::SSH_ED25519,
    &signatures::ECDSA_SHA2_NISTP256,
    &signatures::ECDSA_SHA2_NISTP384,
    &signatures::ECDSA_SHA2_NISTP521,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_512_CERT,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_256_CERT,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_512,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_256,
];

static CIPHERS: [&dyn CipherAlgorithm; 6] = [
    &chacha20poly1305::CHACHA20_POLY1305,
    // aws-lc-rs has no approved call that seals with a nonce of the caller's making.
    &Gcm::<AesGcm>::new("aes128-gcm@openssh.com", 16, NOT_FIPS),
    &Gcm::<AesGcm>::new("aes256-gcm@openssh.com", 32, NOT_FIPS),
    &Ctr::<AesCtr>::new("aes128-ctr", 16, FIPS),
    // Nor an approved one for keys of 192 bits.
    &Ctr::<AesCtr>::new("aes192-ctr", 24, NOT_FIPS),
    &Ctr::<AesCtr>::new("aes256-ctr", 32, FIPS),
];

static MACS: [&dyn MacAlgorithm; 4] = [
    &Hmac::<HmacSha256>::new("hmac-sha2-256-etm@openssh.com", true, FIPS),
    &Hmac::<HmacSha512>::new("hmac-sha2-512-etm@openssh.com", true, FIPS),
    &Hmac::<HmacSha256>::new("hmac-sha2-256", false, FIPS),
    &Hmac::<HmacSha512>::new("hmac-sha2-512", false, FIPS),
];

static OVERLAY: Overlay = Overlay {
    kex: &KEX,
    signatures: SIGNATURES,
    ciphers: &CIPHERS,
    macs: &MACS,
};

/// The provider on AWS-LC.
pub fn provider() -> CryptoProvider {
    let mut provider = rustcrypto::provider();
    provider.name = "aws-lc-rs";
    provider.sha256 = &SHA256;
    provider.sha512 = &SHA512;
    provider.keys = &signatures::KEYS;
    OVERLAY.lay_over(&mut provider);
    provider
}

/// What of [`provider`] runs in approved calls of the FIPS module of AWS-LC, and nothing else:
/// [`CryptoProvider::fips`] holds. Ephemeral keys are drawn inside the module. `None` where what is
/// linked is not that module.
///
/// Neither Ed25519, X25519, ChaCha20-Poly1305 nor, for how its nonces are made, AES-GCM are among it;
/// nor is RSA, of which some sizes are RustCrypto's.
pub fn fips_provider() -> Option<CryptoProvider> {
    if !FIPS() {
        return None;
    }
    let mut provider = provider();
    provider.name = "aws-lc-rs-fips";
    provider.keys = &signatures::FIPS_KEYS;
    let more = &mut provider.on_request;
    for list in [&mut provider.kex, &mut more.kex] {
        list.to_mut().retain(|a| a.fips());
    }
    for list in [&mut provider.signatures, &mut more.signatures] {
        list.to_mut().retain(|a| a.fips());
    }
    for list in [&mut provider.ciphers, &mut more.ciphers] {
        list.to_mut().retain(|a| a.fips());
    }
    for list in [&mut provider.macs, &mut more.macs] {
        list.to_mut().retain(|a| a.fips());
    }
    Some(provider)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::frame::tests::{nist_gcm, rfc_4231, wycheproof_gcm, wycheproof_hmac};

    #[test]
    fn known_answers_below_the_framing() {
        nist_gcm::<AesGcm, AesGcm>();
        rfc_4231::<HmacSha256, HmacSha512>();
        wycheproof_gcm::<AesGcm, AesGcm>();
        wycheproof_hmac::<HmacSha256, HmacSha512>();
    }

    #[test]
    fn fips_is_said_of_the_module_alone() {
        assert!(!provider().fips());
        match fips_provider() {
            None => assert!(!FIPS()),
            Some(provider) => {
                assert!(provider.fips());
                assert!(!provider.kex.is_empty() && !provider.signatures.is_empty());
                assert!(!provider.ciphers.is_empty() && !provider.macs.is_empty());
            }
        }
    }
}
