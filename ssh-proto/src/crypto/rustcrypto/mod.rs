//! The default provider: RustCrypto, in pure Rust.

mod aes_ctr;
mod aes_gcm;
mod chacha20poly1305;
mod ecdsa;
mod ed25519;
mod hash;
mod hmac;
mod kex_mlkem768x25519;
mod kex_nistp256;
mod kex_x25519;
mod keys;
mod nistp256;
#[cfg(test)]
mod packet_tests;
#[cfg(test)]
mod testing;

use alloc::borrow::Cow;

use super::{
    CipherAlgorithm, CompressionAlgorithm, CryptoProvider, KexAlgorithm, MacAlgorithm,
    NoCompression, OnRequest, SignatureAlgorithm,
};

static KEX: [&dyn KexAlgorithm; 4] = [
    &kex_mlkem768x25519::MLKEM768X25519_SHA256,
    &kex_x25519::CURVE25519_SHA256,
    &kex_x25519::CURVE25519_SHA256_LIBSSH,
    &kex_nistp256::ECDH_SHA2_NISTP256,
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
        sha512: &hash::SHA512,
        kex: Cow::Borrowed(&KEX),
        signatures: Cow::Borrowed(&SIGNATURES),
        ciphers: Cow::Borrowed(&CIPHERS),
        macs: Cow::Borrowed(&MACS),
        compression: Cow::Borrowed(&COMPRESSION),
        keys: &keys::KEYS,
        on_request: OnRequest::default(),
    }
}
