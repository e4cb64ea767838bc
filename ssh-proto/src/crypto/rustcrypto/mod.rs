//! The default provider: RustCrypto, in pure Rust.

mod aes_ctr;
mod aes_gcm;
#[cfg(feature = "legacy")]
mod cbc;
mod certificates;
mod chacha20poly1305;
#[cfg(feature = "legacy")]
mod dsa;
mod ecdsa;
mod ed25519;
mod hash;
mod hmac;
mod kex_dh;
mod kex_ecdh;
mod kex_hybrid;
mod kex_nist;
mod kex_x25519;
mod keys;
mod mldsa;
mod mlkem;
mod nistp;
#[cfg(test)]
mod packet_tests;
#[cfg(feature = "rsa")]
pub(in crate::crypto) mod rsa;
mod sk;
mod sntrup761;
#[cfg(test)]
pub(in crate::crypto) mod testing;
#[cfg(feature = "zlib")]
mod zlib;

use alloc::borrow::Cow;

use super::{
    CipherAlgorithm, CompressionAlgorithm, CryptoProvider, KexAlgorithm, MacAlgorithm,
    NoCompression, OnRequest, SignatureAlgorithm,
};

/// The last four are a client's alone by default.
static KEX: [&dyn KexAlgorithm; 12] = [
    &kex_hybrid::MLKEM768X25519_SHA256,
    &kex_hybrid::SNTRUP761X25519_SHA512,
    &kex_hybrid::SNTRUP761X25519_SHA512_OPENSSH,
    &kex_x25519::CURVE25519_SHA256,
    &kex_x25519::CURVE25519_SHA256_LIBSSH,
    &kex_nist::ECDH_SHA2_NISTP256,
    &kex_nist::ECDH_SHA2_NISTP384,
    &kex_nist::ECDH_SHA2_NISTP521,
    &kex_dh::GROUP_EXCHANGE_SHA256,
    &kex_dh::GROUP16_SHA512,
    &kex_dh::GROUP18_SHA512,
    &kex_dh::GROUP14_SHA256,
];

static KEX_ON_REQUEST: &[&dyn KexAlgorithm] = &[
    &kex_hybrid::MLKEM768NISTP256_SHA256,
    &kex_hybrid::MLKEM1024NISTP384_SHA384,
    &kex_dh::GROUP15_SHA512,
    &kex_dh::GROUP17_SHA512,
    #[cfg(feature = "legacy")]
    &kex_dh::GROUP_EXCHANGE_SHA1,
    #[cfg(feature = "legacy")]
    &kex_dh::GROUP14_SHA1,
    #[cfg(feature = "legacy")]
    &kex_dh::GROUP1_SHA1,
];

static SIGNATURES: &[&dyn SignatureAlgorithm] = &[
    &certificates::SSH_ED25519,
    &certificates::ECDSA_SHA2_NISTP256,
    &certificates::ECDSA_SHA2_NISTP384,
    &certificates::ECDSA_SHA2_NISTP521,
    &certificates::SK_SSH_ED25519,
    &certificates::SK_ECDSA_SHA2_NISTP256,
    &certificates::WEBAUTHN_SK_ECDSA_SHA2_NISTP256,
    #[cfg(feature = "rsa")]
    &certificates::RSA_SHA2_512,
    #[cfg(feature = "rsa")]
    &certificates::RSA_SHA2_256,
    &certificates::SSH_MLDSA44_ED25519,
    &ed25519::SSH_ED25519,
    &ecdsa::ECDSA_SHA2_NISTP256,
    &ecdsa::ECDSA_SHA2_NISTP384,
    &ecdsa::ECDSA_SHA2_NISTP521,
    &sk::SK_SSH_ED25519,
    &sk::SK_ECDSA_SHA2_NISTP256,
    &sk::WEBAUTHN_SK_ECDSA_SHA2_NISTP256,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_512,
    #[cfg(feature = "rsa")]
    &rsa::RSA_SHA2_256,
    &mldsa::SSH_MLDSA44_ED25519,
];

/// Verified and signed with on request only.
static SIGNATURES_ON_REQUEST: &[&dyn SignatureAlgorithm] = &[
    #[cfg(all(feature = "rsa", feature = "legacy"))]
    &certificates::SSH_RSA,
    #[cfg(feature = "legacy")]
    &certificates::SSH_DSS,
    #[cfg(all(feature = "rsa", feature = "legacy"))]
    &rsa::SSH_RSA,
    #[cfg(feature = "legacy")]
    &dsa::SSH_DSS,
];

static CIPHERS: [&dyn CipherAlgorithm; 6] = [
    &chacha20poly1305::CHACHA20_POLY1305,
    &aes_gcm::AES128_GCM,
    &aes_gcm::AES256_GCM,
    &aes_ctr::AES128_CTR,
    &aes_ctr::AES192_CTR,
    &aes_ctr::AES256_CTR,
];

static MACS: [&dyn MacAlgorithm; 4] = [
    &hmac::HMAC_SHA2_256_ETM,
    &hmac::HMAC_SHA2_512_ETM,
    &hmac::HMAC_SHA2_256,
    &hmac::HMAC_SHA2_512,
];

#[cfg(feature = "legacy")]
static LEGACY_CIPHERS: [&dyn CipherAlgorithm; 4] = [
    &cbc::AES128_CBC,
    &cbc::AES192_CBC,
    &cbc::AES256_CBC,
    &cbc::TDES_CBC,
];

#[cfg(feature = "legacy")]
static LEGACY_MACS: [&dyn MacAlgorithm; 2] = [&hmac::HMAC_SHA1_ETM, &hmac::HMAC_SHA1];

static COMPRESSION: [&dyn CompressionAlgorithm; 1] = [&NoCompression];

#[cfg(feature = "zlib")]
static COMPRESSION_ON_REQUEST: [&dyn CompressionAlgorithm; 1] = [&zlib::ZLIB_OPENSSH];

/// The default provider. Put it into a config, whole or with entries removed from its lists.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        name: "rustcrypto",
        sha256: &hash::SHA256,
        sha512: &hash::SHA512,
        kex: Cow::Borrowed(&KEX),
        signatures: Cow::Borrowed(SIGNATURES),
        ciphers: Cow::Borrowed(&CIPHERS),
        macs: Cow::Borrowed(&MACS),
        compression: Cow::Borrowed(&COMPRESSION),
        keys: &keys::KEYS,
        on_request: OnRequest {
            kex: Cow::Borrowed(KEX_ON_REQUEST),
            signatures: Cow::Borrowed(SIGNATURES_ON_REQUEST),
            #[cfg(feature = "legacy")]
            ciphers: Cow::Borrowed(&LEGACY_CIPHERS),
            #[cfg(feature = "legacy")]
            macs: Cow::Borrowed(&LEGACY_MACS),
            #[cfg(feature = "zlib")]
            compression: Cow::Borrowed(&COMPRESSION_ON_REQUEST),
            ..OnRequest::default()
        },
    }
}
