//! `-Q`: the names of what there is, offered or on request.

use ssh_proto::crypto::{CryptoProvider, SignatureAlgorithm};

/// The names of one list, by a name of it or by the keyword that takes it.
pub(crate) fn query(what: &str, provider: &CryptoProvider) -> Result<Vec<&'static str>, String> {
    let more = &provider.on_request;
    let ciphers = || provider.ciphers.iter().chain(more.ciphers.iter());
    let signatures = || provider.signatures.iter().chain(more.signatures.iter());
    let is_certificate = |a: &&&dyn SignatureAlgorithm| a.key_type().contains("-cert");
    let mut names: Vec<&str> = match what.to_ascii_lowercase().as_str() {
        "kex" | "kexalgorithms" => {
            let all = provider.kex.iter().chain(more.kex.iter());
            all.map(|a| a.name()).collect()
        }
        "cipher" | "ciphers" => ciphers().map(|a| a.name()).collect(),
        "cipher-auth" => {
            let all = ciphers().filter(|a| a.is_aead());
            all.map(|a| a.name()).collect()
        }
        "mac" | "macs" => {
            let all = provider.macs.iter().chain(more.macs.iter());
            all.map(|a| a.name()).collect()
        }
        "compression" => {
            let all = provider.compression.iter().chain(more.compression.iter());
            all.map(|a| a.name()).collect()
        }
        "key" => signatures().map(|a| a.key_type()).collect(),
        "key-cert" => {
            let certificates = signatures().filter(is_certificate);
            certificates.map(|a| a.key_type()).collect()
        }
        "key-plain" => {
            let plain = signatures().filter(|a| !is_certificate(a));
            plain.map(|a| a.key_type()).collect()
        }
        "key-sig"
        | "hostkeyalgorithms"
        | "pubkeyacceptedalgorithms"
        | "pubkeyacceptedkeytypes"
        | "hostbasedacceptedalgorithms" => signatures().map(|a| a.name()).collect(),
        "sig" | "casignaturealgorithms" | "key-ca-sign-algorithms" => {
            let plain = signatures().filter(|a| !is_certificate(a));
            plain.map(|a| a.name()).collect()
        }
        _ => return Err(format!("Unsupported query \"{what}\"")),
    };
    // Several algorithms may be of one type of key.
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(*name);
            true
        }
    });
    Ok(names)
}
