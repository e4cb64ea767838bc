//! Host keys and their certificates, from files or thrown away.

use std::path::Path;
use std::sync::Arc;

use ssh_io_std::{OsRandom, read_signing_key};
use ssh_proto::crypto::{Certificate, CertificateKind, CertifiedKey, CryptoProvider, SigningKey};
use ssh_proto::keys::PublicKeyLine;
use ssh_proto::limits::MAX_KEY_FILE;

use crate::args::Args;
use crate::files;

/// The host keys of the command line, each also with its certificates; without any, a new one.
pub(crate) fn read(
    args: &Args,
    provider: &CryptoProvider,
) -> Result<Vec<Arc<dyn SigningKey>>, String> {
    let mut keys = Vec::new();
    for path in &args.host_keys {
        let key = read_signing_key(path, None, provider);
        keys.push(key.map_err(|error| format!("--host-key {error}"))?);
    }
    if keys.is_empty() {
        let key = provider.keys.generate("ssh-ed25519", &mut OsRandom);
        let key = key.and_then(|key| provider.signing_key(&key));
        keys.push(key.map_err(|error| error.to_string())?);
    }
    for path in &args.host_certificates {
        let key = certified(path, &keys);
        keys.push(key.map_err(|error| format!("--host-cert {}: {error}", path.display()))?);
    }
    Ok(keys)
}

/// The key of a certificate, with it.
fn certified(path: &Path, keys: &[Arc<dyn SigningKey>]) -> Result<Arc<dyn SigningKey>, String> {
    let bytes = files::read(path, MAX_KEY_FILE as u64).map_err(|error| error.to_string())?;
    let line = PublicKeyLine::parse(&bytes).map_err(|error| error.to_string())?;
    let certificate = Certificate::from_public_key(&line.key)
        .map_err(|error| format!("not a certificate: {error}"))?;
    if certificate.kind() != CertificateKind::Host {
        return Err("the certificate of a user".into());
    }
    let key = keys
        .iter()
        .find(|key| key.public_key() == certificate.public_key())
        .ok_or("its key is not among those of --host-key")?;
    let key = CertifiedKey::new(Arc::clone(key), certificate);
    Ok(Arc::new(key.map_err(|error| error.to_string())?))
}
