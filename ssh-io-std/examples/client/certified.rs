//! Certificates of the user's keys: those of `CertificateFile`, and those beside the keys.

use std::fs;
use std::path::Path;

use ssh_proto::crypto::Certificate;
use ssh_proto::keys::PublicKeyLine;

use crate::log;

/// The certificate in a file.
pub(crate) fn read(file: &Path) -> Result<Certificate, String> {
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    let line = PublicKeyLine::parse(&bytes).map_err(|error| error.to_string())?;
    let certificate = line.key.certificate();
    certificate.ok_or_else(|| "not a certificate".into())
}

/// The certificates that the user has named; what cannot be read is told.
pub(crate) fn named(files: &[impl AsRef<Path>]) -> Vec<Certificate> {
    let certificates = files.iter().map(AsRef::as_ref).map(|file| {
        read(file)
            .inspect_err(|error| log::info(format!("certificate {}: {error}", file.display())))
            .ok()
    });
    certificates.flatten().collect()
}

/// The certificate that `ssh-keygen` writes beside the key in a file.
pub(crate) fn beside(key: &Path) -> Option<Certificate> {
    let mut name = key.as_os_str().to_owned();
    name.push("-cert.pub");
    read(Path::new(&name)).ok()
}
