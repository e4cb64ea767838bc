//! Keys, providers and configs that tests begin with.

use std::sync::Arc;

use ssh_proto::crypto::{CryptoProvider, PrivateKey, SigningKey, rustcrypto};
use ssh_proto::{ClientConfig, ClientConfigBuilder, Limits, ServerConfig, ServerConfigBuilder};

use crate::rng::TestRng;

/// The user of all tests.
pub const USER: &str = "ferris";

/// Its password.
pub const PASSWORD: &str = "crab";

/// The key types of the default provider whose one algorithm has the same name, and that sign here.
pub const KEY_TYPES: [&str; 5] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-mldsa44-ed25519",
];

/// The default provider.
pub fn provider() -> CryptoProvider {
    rustcrypto::provider()
}

/// A key of this type; the same for the same seed.
///
/// # Panics
/// If the provider has no such type.
pub fn key(key_type: &str, seed: u64) -> Arc<dyn SigningKey> {
    let provider = provider();
    let key = provider
        .keys
        .generate(key_type, &mut TestRng::new(seed ^ 0x6b65_7900))
        .expect("key type of the provider");
    provider.signing_key(&key).expect("generated key")
}

/// An RSA key of 2048 bits; the same for the same seed.
///
/// # Panics
/// If the provider has no RSA.
pub fn rsa_private_key(seed: u64) -> PrivateKey {
    let keys = provider().keys;
    let key = keys.generate_rsa(2048, &mut TestRng::new(seed));
    key.expect("RSA of the provider")
}

/// The names of what the default provider signs with, as in `server-sig-algs`: without those of
/// certificates, as OpenSSH has it.
pub fn signature_names() -> String {
    let provider = provider();
    let names: Vec<_> = (provider.signatures.iter())
        .filter(|algorithm| algorithm.signature_name() == algorithm.name())
        .map(|algorithm| algorithm.name())
        .collect();
    names.join(",")
}

/// The host key of [`server_config`].
pub fn host_key() -> Arc<dyn SigningKey> {
    key("ssh-ed25519", 100)
}

/// The key that [`ServerApp`](crate::ServerApp) knows of [`USER`].
pub fn user_key() -> Arc<dyn SigningKey> {
    key("ssh-ed25519", 200)
}

/// A client with the default provider.
pub fn client_config() -> ClientConfigBuilder {
    ClientConfig::builder(provider())
}

/// A server with the default provider and [`host_key`].
pub fn server_config() -> ServerConfigBuilder {
    ServerConfig::builder(provider()).signing_host_key(host_key())
}

/// The limits with which [`client_config`] begins.
pub fn client_limits() -> Limits {
    Limits::for_clients()
}
