//! The algorithms of certificates, each of the plain algorithm of the keys in them (draft-ietf-sshm-cert section 2.1).

#[cfg(feature = "legacy")]
use super::dsa;
#[cfg(feature = "rsa")]
use super::rsa;
use super::{ecdsa, ed25519, mldsa, sk};
use crate::crypto::CertificateAlgorithm;

macro_rules! certificates {
    ($($(#[$meta:meta])* $constant:ident = $name:literal, $key_type:literal, $plain:expr;)*) => {$(
        $(#[$meta])*
        pub(super) static $constant: CertificateAlgorithm =
            CertificateAlgorithm::new($name, $key_type, &$plain);
    )*};
}

certificates! {
    SSH_ED25519 = "ssh-ed25519-cert-v01@openssh.com",
        "ssh-ed25519-cert-v01@openssh.com", ed25519::SSH_ED25519;
    ECDSA_SHA2_NISTP256 = "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com", ecdsa::ECDSA_SHA2_NISTP256;
    ECDSA_SHA2_NISTP384 = "ecdsa-sha2-nistp384-cert-v01@openssh.com",
        "ecdsa-sha2-nistp384-cert-v01@openssh.com", ecdsa::ECDSA_SHA2_NISTP384;
    ECDSA_SHA2_NISTP521 = "ecdsa-sha2-nistp521-cert-v01@openssh.com",
        "ecdsa-sha2-nistp521-cert-v01@openssh.com", ecdsa::ECDSA_SHA2_NISTP521;
    SK_SSH_ED25519 = "sk-ssh-ed25519-cert-v01@openssh.com",
        "sk-ssh-ed25519-cert-v01@openssh.com", sk::SK_SSH_ED25519;
    SK_ECDSA_SHA2_NISTP256 = "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", sk::SK_ECDSA_SHA2_NISTP256;
    WEBAUTHN_SK_ECDSA_SHA2_NISTP256 = "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", sk::WEBAUTHN_SK_ECDSA_SHA2_NISTP256;
    #[cfg(feature = "rsa")]
    RSA_SHA2_512 = "rsa-sha2-512-cert-v01@openssh.com",
        "ssh-rsa-cert-v01@openssh.com", rsa::RSA_SHA2_512;
    #[cfg(feature = "rsa")]
    RSA_SHA2_256 = "rsa-sha2-256-cert-v01@openssh.com",
        "ssh-rsa-cert-v01@openssh.com", rsa::RSA_SHA2_256;
    #[cfg(all(feature = "rsa", feature = "legacy"))]
    SSH_RSA = "ssh-rsa-cert-v01@openssh.com",
        "ssh-rsa-cert-v01@openssh.com", rsa::SSH_RSA;
    #[cfg(feature = "legacy")]
    SSH_DSS = "ssh-dss-cert-v01@openssh.com",
        "ssh-dss-cert-v01@openssh.com", dsa::SSH_DSS;
    SSH_MLDSA44_ED25519 = "ssh-mldsa44-ed25519-cert", "ssh-mldsa44-ed25519-cert",
        mldsa::SSH_MLDSA44_ED25519;
}
