//! The provider on AWS-LC, by way of aws-lc-rs: the fastest AES-GCM, and with a feature the FIPS module of AWS-LC.
//!
//! Names and order are those of [`rustcrypto::provider`]. From AWS-LC come
//! `chacha20-poly1305@openssh.com`, AES-GCM, AES-CTR, HMAC, SHA-2, X25519, ECDH and ECDSA over the
//! curves of NIST, Ed25519, ML-KEM-768 and -1024 and what is made of these; from RustCrypto what
//! aws-lc-rs lacks: finite fields and everything else. New keys are made by RustCrypto, too.
//!
//! Needs std and a C compiler. ML-KEM and ECDSA take randomness from the library's own generator,
//! beside the source that a connection is given.
//!
//! With the feature `aws-lc-rs-fips` all of this runs in the FIPS module, and `fips_provider` is
//! there, which has nothing else.

mod agreement;
mod chacha20poly1305;
mod hashes;
mod mlkem;
mod packets;
mod signatures;

use self::agreement::{Nistp256, Nistp384, Nistp521, X25519};
use self::hashes::{HmacSha256, HmacSha512, SHA256, SHA384, SHA512};
use self::mlkem::{Mlkem768, Mlkem1024};
use self::packets::{AesCtr, AesGcm};
use super::frame::{Ctr, Ecdh, Gcm, Hmac, Hybrid, Overlay};
use super::{
    CipherAlgorithm, CryptoProvider, KexAlgorithm, MacAlgorithm, SignatureAlgorithm, rustcrypto,
};

/// Whether what is compiled in is the validated module.
const FIPS: bool = cfg!(feature = "aws-lc-rs-fips");

static KEX: [&dyn KexAlgorithm; 8] = [
    // X25519 is not approved, so neither is what has it as a part.
    &Hybrid::<Mlkem768, X25519>::new("mlkem768x25519-sha256", &SHA256, false),
    &Hybrid::<Mlkem768, Nistp256>::new("mlkem768nistp256-sha256", &SHA256, FIPS),
    &Hybrid::<Mlkem1024, Nistp384>::new("mlkem1024nistp384-sha384", &SHA384, FIPS),
    &Ecdh::<X25519>::new("curve25519-sha256", &SHA256, false),
    &Ecdh::<X25519>::new("curve25519-sha256@libssh.org", &SHA256, false),
    &Ecdh::<Nistp256>::new("ecdh-sha2-nistp256", &SHA256, FIPS),
    &Ecdh::<Nistp384>::new("ecdh-sha2-nistp384", &SHA384, FIPS),
    &Ecdh::<Nistp521>::new("ecdh-sha2-nistp521", &SHA512, FIPS),
];

static SIGNATURES: [&dyn SignatureAlgorithm; 4] = [
    &signatures::SSH_ED25519,
    &signatures::ECDSA_SHA2_NISTP256,
    &signatures::ECDSA_SHA2_NISTP384,
    &signatures::ECDSA_SHA2_NISTP521,
];

static CIPHERS: [&dyn CipherAlgorithm; 6] = [
    &chacha20poly1305::CHACHA20_POLY1305,
    // aws-lc-rs has no approved call that seals with a nonce of the caller's making.
    &Gcm::<AesGcm>::new("aes128-gcm@openssh.com", 16, false),
    &Gcm::<AesGcm>::new("aes256-gcm@openssh.com", 32, false),
    &Ctr::<AesCtr>::new("aes128-ctr", 16, FIPS),
    // Nor an approved one for keys of 192 bits.
    &Ctr::<AesCtr>::new("aes192-ctr", 24, false),
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
    signatures: &SIGNATURES,
    ciphers: &CIPHERS,
    macs: &MACS,
};

/// The provider on AWS-LC.
pub fn provider() -> CryptoProvider {
    let mut provider = rustcrypto::provider();
    provider.name = "aws-lc-rs";
    provider.sha256 = &SHA256;
    provider.keys = &signatures::KEYS;
    OVERLAY.lay_over(&mut provider);
    provider
}

/// What of [`provider`] runs in approved calls of the FIPS module of AWS-LC, and nothing else:
/// [`CryptoProvider::fips`] holds. Ephemeral keys are drawn inside the module.
///
/// Neither Ed25519, X25519, ChaCha20-Poly1305 nor, for how its nonces are made, AES-GCM are among it.
#[cfg(feature = "aws-lc-rs-fips")]
pub fn fips_provider() -> CryptoProvider {
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
    provider
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::frame::tests::{nist_gcm, rfc_4231};

    #[test]
    fn known_answers_below_the_framing() {
        nist_gcm::<AesGcm, AesGcm>();
        rfc_4231::<HmacSha256, HmacSha512>();
    }

    #[test]
    fn fips_is_said_of_the_module_alone() {
        assert!(!provider().fips());
        #[cfg(feature = "aws-lc-rs-fips")]
        {
            let provider = fips_provider();
            assert!(provider.fips());
            assert!(!provider.kex.is_empty() && !provider.signatures.is_empty());
            assert!(!provider.ciphers.is_empty() && !provider.macs.is_empty());
        }
    }
}
