//! Whether RSA keys are of a size that a config accepts (RFC 8332 section 2, RFC 9142).

use super::PublicKey;
use crate::limits::MAX_RSA_BITS;

/// The bits of an RSA key that are fewer than a config accepts or more than are computed with: of
/// the key, of that in a certificate, or of the certificate's authority.
pub(crate) fn refused_rsa_bits(key: &PublicKey, min_rsa_bits: usize) -> Option<usize> {
    let refused = |key: &PublicKey| {
        key.rsa_bits()
            .filter(|bits| !(min_rsa_bits..=MAX_RSA_BITS).contains(bits))
    };
    match key.certificate() {
        Some(certificate) => {
            refused(certificate.public_key()).or_else(|| refused(certificate.signature_key()))
        }
        None => refused(key),
    }
}

/// Whether nothing of a key is refused for its size.
pub(crate) fn has_accepted_size(key: &PublicKey, min_rsa_bits: usize) -> bool {
    refused_rsa_bits(key, min_rsa_bits).is_none()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn d3_the_size_that_is_refused_is_told() {
        let key = |bytes: usize| PublicKey::rsa(&[1, 0, 1], &vec![0xff; bytes]);
        assert_eq!(refused_rsa_bits(&key(256), 2048), None);
        assert_eq!(refused_rsa_bits(&key(255), 2048), Some(2040));
        assert_eq!(refused_rsa_bits(&key(128), 1024), None);
        let other = PublicKey::ed25519(&[1; 32]);
        assert_eq!(refused_rsa_bits(&other, 2048), None);
        assert!(has_accepted_size(&other, 2048) && !has_accepted_size(&key(255), 2048));
    }
}
