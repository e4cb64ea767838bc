//! Certificates: what is read says what is in it, and only what its authority signed holds.

use std::net::IpAddr;

use ssh_proto::Restrictions;
use ssh_proto::crypto::{
    Certificate, CertificateCheck, CertificateKind, CertificateRights, PublicKey, rustcrypto,
};

/// Reads a certificate, and verifies it as if its own authority were trusted.
pub fn certificate(data: &[u8]) {
    let Ok(key) = PublicKey::from_blob(data.to_vec()) else {
        return;
    };
    let Ok(read) = Certificate::from_public_key(&key) else {
        assert_eq!(key.certificate(), None);
        return;
    };
    assert!(key.is_certificate());
    assert_eq!(read.as_public_key().as_blob(), data);
    assert!(!read.public_key().is_certificate() && !read.signature_key().is_certificate());
    for options in [read.critical_options(), read.extensions()] {
        assert!(options.is_sorted_by(|one, next| one.name() < next.name()));
    }
    let authorities = [read.signature_key().clone()];
    let names: Vec<_> = read.principals().iter().map(String::as_str).collect();
    let host = names.first().copied().unwrap_or_default();
    for now in [0, read.valid_after(), read.valid_before(), u64::MAX] {
        let source: IpAddr = [10, 0, 0, 1].into();
        for check in [
            CertificateCheck::user(&names, now, &authorities).source(source),
            CertificateCheck::host(host, now, &authorities),
        ] {
            let Ok(rights) = read.verify(&check, &rustcrypto::provider()) else {
                continue;
            };
            assert!(read.valid_after() <= now && now < read.valid_before());
            assert!(!names.is_empty());
            if read.kind() == CertificateKind::Host {
                assert_eq!(rights, CertificateRights::default());
            }
            assert_eq!(
                Restrictions::from(&rights).force_command(),
                rights.force_command()
            );
            let others = [read.public_key().clone()];
            if others != authorities {
                let untrusted = CertificateCheck::user(&names, now, &others).source(source);
                assert!(read.verify(&untrusted, &rustcrypto::provider()).is_err());
            }
        }
    }
    let _ = format!("{read:?}");
}
