//! The provider on Graviola: formally verified assembly for x86-64 and AArch64, without a C compiler.
//!
//! Names and order are those of [`rustcrypto::provider`]. From Graviola come AES-GCM, SHA-2, X25519,
//! ECDH and ECDSA over nistp256 and nistp384, Ed25519, RSA of 2048 to 8192 bits with SHA-2, ML-KEM-768
//! and what is made of these; from RustCrypto what Graviola lacks: `chacha20-poly1305@openssh.com`,
//! AES-CTR, nistp521, finite fields, other sizes of RSA and everything else. New keys are made by
//! RustCrypto, too.
//!
//! Needs std, and Rust 1.89. ML-KEM and ECDSA take randomness from the operating system, beside the
//! source that a connection is given.

mod agreement;
mod hashes;
mod mlkem;
mod packets;
#[cfg(feature = "rsa")]
mod rsa;
mod signatures;

use self::agreement::{Nistp256, Nistp384, X25519};
use self::hashes::{SHA256, SHA384};
use self::mlkem::Mlkem768;
use self::packets::Gcm;
use super::frame::{self, Ecdh, Hybrid, NOT_FIPS, Overlay};
use super::{CipherAlgorithm, CryptoProvider, KexAlgorithm, SignatureAlgorithm, rustcrypto};

static KEX: [&dyn KexAlgorithm; 6] = [
    &Hybrid::<Mlkem768, X25519>::new("mlkem768x25519-sha256", &SHA256, NOT_FIPS),
    &Hybrid::<Mlkem768, Nistp256>::new("mlkem768nistp256-sha256", &SHA256, NOT_FIPS),
    &Ecdh::<X25519>::new("curve25519-sha256", &SHA256, NOT_FIPS),
    &Ecdh::<X25519>::new("curve25519-sha256@libssh.org", &SHA256, NOT_FIPS),
    &Ecdh::<Nistp256>::new("ecdh-sha2-nistp256", &SHA256, NOT_FIPS),
    &Ecdh::<Nistp384>::new("ecdh-sha2-nistp384", &SHA384, NOT_FIPS),
];

static SIGNATURES: &[&dyn SignatureAlgorithm] = &[
    &signatures::SSH_ED25519_CERT,
    &signatures::ECDSA_SHA2_NISTP256_CERT,
    &signatures::ECDSA_SHA2_NISTP384_CERT,
    &signatures::SSH_ED25519,
    &signatures::ECDSA_SHA2_NISTP256,
    &signatures::ECDSA_SHA2_NISTP384,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_512_CERT,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_256_CERT,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_512,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_256,
];

static CIPHERS: [&dyn CipherAlgorithm; 2] = [
    &frame::Gcm::<Gcm>::new("aes128-gcm@openssh.com", 16, NOT_FIPS),
    &frame::Gcm::<Gcm>::new("aes256-gcm@openssh.com", 32, NOT_FIPS),
];

static OVERLAY: Overlay = Overlay {
    kex: &KEX,
    signatures: SIGNATURES,
    ciphers: &CIPHERS,
    // Its HMAC takes four times as long as RustCrypto's for short packets, and no less for long ones.
    macs: &[],
};

/// The provider on Graviola. On a processor that lacks the instructions which Graviola is written
/// for, this is RustCrypto's: its `name` tells.
pub fn provider() -> CryptoProvider {
    let mut provider = rustcrypto::provider();
    if ::graviola::util::is_cpu_supported() {
        provider.name = "graviola";
        provider.sha256 = &SHA256;
        provider.keys = &signatures::KEYS;
        OVERLAY.lay_over(&mut provider);
    }
    provider
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::frame::tests::{nist_gcm, wycheproof_gcm};

    #[test]
    fn known_answers_below_the_framing() {
        nist_gcm::<Gcm, Gcm>();
        wycheproof_gcm::<Gcm, Gcm>();
    }
}
