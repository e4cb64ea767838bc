//! Cryptographic providers by name: those that the examples were built with.

use ssh_proto::crypto::{CryptoProvider, rustcrypto};

/// The provider of this name.
pub(crate) fn by_name(name: &str) -> Result<CryptoProvider, String> {
    match name {
        "rustcrypto" => Ok(rustcrypto::provider()),
        #[cfg(feature = "graviola")]
        "graviola" => Ok(ssh_proto::crypto::graviola::provider()),
        #[cfg(feature = "aws-lc-rs")]
        "aws-lc-rs" => Ok(ssh_proto::crypto::aws_lc_rs::provider()),
        _ if ["graviola", "aws-lc-rs"].contains(&name) => {
            Err(format!("provider {name} needs the feature {name}"))
        }
        _ => Err(format!("unknown provider {name:?}")),
    }
}
