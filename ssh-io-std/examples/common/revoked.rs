//! Files of revoked keys: KRLs, and lists of public keys (sshd_config(5) RevokedKeys).

use std::io;
use std::path::Path;

use ssh_proto::crypto::{Certificate, HashAlgorithm, PublicKey};
use ssh_proto::keys::{CertificateIdentity, RevocationList};
use ssh_proto::limits::MAX_KEY_LIST;

use crate::files;

/// Whether the file revokes a key, or the certificate that it is. One that cannot be read could
/// revoke any.
pub(crate) fn names(
    file: &Path,
    key: &PublicKey,
    certificate: Option<&Certificate>,
    sha256: &dyn HashAlgorithm,
) -> io::Result<bool> {
    let list = read_list(file)?;
    Ok(match certificate {
        Some(certificate) => {
            let identity = CertificateIdentity {
                key: certificate.public_key(),
                authority: certificate.signature_key(),
                serial: certificate.serial(),
                key_id: certificate.key_id().as_bytes(),
            };
            list.is_certificate_revoked(&identity, sha256)
        }
        None => list.is_key_revoked(key, sha256),
    })
}

pub(crate) fn read_list(file: &Path) -> io::Result<RevocationList> {
    let bytes = files::read(file, MAX_KEY_LIST as u64)?;
    RevocationList::parse(&bytes).map_err(io::Error::other)
}
