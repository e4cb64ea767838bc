//! Which signature a key makes under which flags (RFC 9987 section 3.6.1, RFC 8332), by names alone.

use crate::crypto::{Signature, plain_key_type};

const CERTIFICATE: &str = "-cert-v01@openssh.com";
const SK_ECDSA: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
const WEBAUTHN: &str = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com";

/// The flags of a request to sign. They choose the hash for RSA keys and mean nothing to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignFlags(u32);

impl SignFlags {
    /// None. An RSA key signs with SHA-1, if at all.
    pub const NONE: Self = Self(0);
    /// `SSH_AGENT_RSA_SHA2_256`
    pub const RSA_SHA2_256: Self = Self(2);
    /// `SSH_AGENT_RSA_SHA2_512`
    pub const RSA_SHA2_512: Self = Self(4);

    /// The flags that make a key sign with this algorithm.
    pub fn for_algorithm(algorithm: &str) -> Self {
        match algorithm.strip_suffix(CERTIFICATE).unwrap_or(algorithm) {
            "rsa-sha2-256" => Self::RSA_SHA2_256,
            "rsa-sha2-512" => Self::RSA_SHA2_512,
            _ => Self::NONE,
        }
    }

    /// Flags as received, if all are known.
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        (bits & !(Self::RSA_SHA2_256.0 | Self::RSA_SHA2_512.0) == 0).then_some(Self(bits))
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

/// The algorithm that a signature by a key of this type names.
pub(super) fn signature_algorithm(key_type: &str, flags: SignFlags) -> &str {
    match plain_key_type(key_type) {
        // OpenSSH's order, should both be set.
        "ssh-rsa" if flags.has(SignFlags::RSA_SHA2_256) => "rsa-sha2-256",
        "ssh-rsa" if flags.has(SignFlags::RSA_SHA2_512) => "rsa-sha2-512",
        plain => plain,
    }
}

/// Whether a signature is of the algorithm that was asked for.
pub(super) fn is_signature_of(signature: &Signature, algorithm: &str) -> bool {
    let named = signature.algorithm();
    // The browser's form of a security key's signature has a name of its own.
    named == algorithm || (named == WEBAUTHN && algorithm == SK_ECDSA)
}

/// Whether the algorithm named in an authentication request is one of a key of this type.
pub(super) fn is_algorithm_of(algorithm: &str, key_type: &str) -> bool {
    let of_type = match algorithm {
        "rsa-sha2-256" | "rsa-sha2-512" => "ssh-rsa",
        "rsa-sha2-256-cert-v01@openssh.com" | "rsa-sha2-512-cert-v01@openssh.com" => {
            "ssh-rsa-cert-v01@openssh.com"
        }
        WEBAUTHN => SK_ECDSA,
        "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com" => {
            "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"
        }
        other => other,
    };
    of_type == key_type
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l3_flags_choose_the_hash_of_rsa_alone() {
        let both = SignFlags::from_bits(6).unwrap();
        for (key_type, flags, algorithm) in [
            ("ssh-rsa", SignFlags::NONE, "ssh-rsa"),
            ("ssh-rsa", SignFlags::RSA_SHA2_256, "rsa-sha2-256"),
            ("ssh-rsa", SignFlags::RSA_SHA2_512, "rsa-sha2-512"),
            ("ssh-rsa", both, "rsa-sha2-256"),
            (
                "ssh-rsa-cert-v01@openssh.com",
                SignFlags::RSA_SHA2_512,
                "rsa-sha2-512",
            ),
            ("ssh-ed25519", SignFlags::RSA_SHA2_512, "ssh-ed25519"),
            (
                "ssh-ed25519-cert-v01@openssh.com",
                SignFlags::NONE,
                "ssh-ed25519",
            ),
            (
                "sk-ssh-ed25519@openssh.com",
                SignFlags::NONE,
                "sk-ssh-ed25519@openssh.com",
            ),
            (
                "sk-ssh-ed25519-cert-v01@openssh.com",
                SignFlags::NONE,
                "sk-ssh-ed25519@openssh.com",
            ),
        ] {
            assert_eq!(signature_algorithm(key_type, flags), algorithm);
        }
        for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
            let flags = SignFlags::for_algorithm(algorithm);
            assert_eq!(signature_algorithm("ssh-rsa", flags), algorithm);
        }
        for unknown in [1, 3, 8, u32::MAX] {
            assert_eq!(SignFlags::from_bits(unknown), None);
        }
    }

    #[test]
    fn algorithms_belong_to_types() {
        assert!(is_algorithm_of("rsa-sha2-512", "ssh-rsa"));
        assert!(is_algorithm_of("ssh-ed25519", "ssh-ed25519"));
        assert!(!is_algorithm_of("ssh-ed25519", "ssh-rsa"));
        assert!(!is_algorithm_of("rsa-sha2-512", "ssh-ed25519"));
    }
}
