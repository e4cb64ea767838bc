//! The default provider: RustCrypto, in pure Rust.

mod aes_ctr;
mod aes_gcm;
mod chacha20poly1305;
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
mod mlkem;
mod nistp256;
#[cfg(test)]
mod packet_tests;
mod sntrup761;
#[cfg(test)]
pub(super) mod testing;

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

static SIGNATURES: [&dyn SignatureAlgorithm; 2] =
    [&ed25519::SSH_ED25519, &ecdsa::ECDSA_SHA2_NISTP256];

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

static COMPRESSION: [&dyn CompressionAlgorithm; 1] = [&NoCompression];

/// The default provider. Put it into a config, whole or with entries removed from its lists.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        sha256: &hash::SHA256,
        kex: Cow::Borrowed(&KEX),
        signatures: Cow::Borrowed(&SIGNATURES),
        ciphers: Cow::Borrowed(&CIPHERS),
        macs: Cow::Borrowed(&MACS),
        compression: Cow::Borrowed(&COMPRESSION),
        keys: &keys::KEYS,
        on_request: OnRequest {
            kex: Cow::Borrowed(KEX_ON_REQUEST),
            ..OnRequest::default()
        },
    }
}
