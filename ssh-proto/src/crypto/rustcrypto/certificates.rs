//! The algorithms of certificates, each of the plain algorithm of the keys in them (draft-ietf-sshm-cert section 2.1).

use super::{ecdsa, ed25519};
use crate::crypto::CertificateAlgorithm;

pub(super) static SSH_ED25519: CertificateAlgorithm = CertificateAlgorithm::new(
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-ed25519-cert-v01@openssh.com",
    &ed25519::SSH_ED25519,
);

pub(super) static ECDSA_SHA2_NISTP256: CertificateAlgorithm = CertificateAlgorithm::new(
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    &ecdsa::ECDSA_SHA2_NISTP256,
);
