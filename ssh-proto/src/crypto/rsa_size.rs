//! Whether RSA keys are of a size that a config accepts (RFC 8332 section 2, RFC 9142).

use super::PublicKey;
use crate::limits::MAX_RSA_BITS;

/// Whether a key is of another type, or has so many bits at least and not more than are computed
/// with; of a certificate, the key in it and that of its authority.
pub(crate) fn has_accepted_size(key: &PublicKey, min_rsa_bits: usize) -> bool {
    let is_accepted = |key: &PublicKey| {
        key.rsa_bits()
            .is_none_or(|bits| (min_rsa_bits..=MAX_RSA_BITS).contains(&bits))
    };
    match key.certificate() {
        Some(certificate) => {
            is_accepted(certificate.public_key()) && is_accepted(certificate.signature_key())
        }
        None => is_accepted(key),
    }
}
