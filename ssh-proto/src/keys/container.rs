//! The formats of key files, told apart by how they begin.

use core::fmt;

use super::KeyFileError;

/// The format of a key file.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// A private key as `ssh-keygen` writes it (PROTOCOL.key).
    OpenSsh,
    /// An RSA private key as older tools wrote it, PEM or DER (RFC 8017 appendix A.1.2).
    Pkcs1,
    /// An ECDSA private key as older tools wrote it, PEM or DER (RFC 5915).
    Sec1,
    /// A private key of any type, in clear or encrypted, PEM or DER (RFC 5958).
    Pkcs8,
    /// A private key of PuTTY, of version 2 or 3.
    Ppk,
    /// A private key of PuTTY, of another version.
    OtherPpk,
    /// A DSA private key in PEM.
    Dsa,
    /// A public key of RFC 4716.
    Rfc4716,
    /// A private key of ssh.com, whose text is like that of RFC 4716.
    Ssh2,
    /// A private key of the protocol SSH-1.
    Ssh1,
    /// PEM with something else than a private key inside.
    OtherPem,
}

impl Container {
    /// Which format `file` begins as; `None` for a public key line or what is no key file.
    pub fn of(file: &[u8]) -> Option<Self> {
        const BEGINNINGS: [(&str, Container); 14] = [
            ("-----BEGIN OPENSSH PRIVATE KEY", Container::OpenSsh),
            ("-----BEGIN RSA PRIVATE KEY", Container::Pkcs1),
            ("-----BEGIN EC PRIVATE KEY", Container::Sec1),
            // `openssl ecparam -genkey` writes the curve in front of the key.
            ("-----BEGIN EC PARAMETERS", Container::Sec1),
            ("-----BEGIN DSA PRIVATE KEY", Container::Dsa),
            ("-----BEGIN PRIVATE KEY", Container::Pkcs8),
            ("-----BEGIN ENCRYPTED PRIVATE KEY", Container::Pkcs8),
            ("-----BEGIN ", Container::OtherPem),
            ("---- BEGIN SSH2 PUBLIC KEY", Container::Rfc4716),
            ("---- BEGIN SSH2 ", Container::Ssh2),
            ("PuTTY-User-Key-File-2:", Container::Ppk),
            ("PuTTY-User-Key-File-3:", Container::Ppk),
            ("PuTTY-User-Key-File-", Container::OtherPpk),
            ("SSH PRIVATE KEY FILE FORMAT 1.1", Container::Ssh1),
        ];
        let text = BEGINNINGS
            .iter()
            .find(|(beginning, _)| file.starts_with(beginning.as_bytes()))
            .map(|(_, container)| *container);
        #[cfg(feature = "pem")]
        let text = text.or_else(|| super::asn1::container(file).map(|(container, _)| container));
        text
    }

    /// The feature that would read it, where that is not built in.
    pub(super) const fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Pkcs1 | Self::Sec1 | Self::Pkcs8 if !cfg!(feature = "pem") => Some("pem"),
            Self::Ppk if !cfg!(feature = "ppk") => Some("ppk"),
            _ => None,
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenSsh => "OpenSSH private key",
            Self::Pkcs1 => "PKCS#1",
            Self::Sec1 => "SEC 1",
            Self::Pkcs8 => "PKCS#8",
            Self::Ppk => "PuTTY PPK",
            Self::OtherPpk => "PuTTY PPK of another version than 2 and 3",
            Self::Dsa => "DSA in PEM",
            Self::Rfc4716 => "SSH2 public key (RFC 4716)",
            Self::Ssh2 => "SSH2 private key of ssh.com",
            Self::Ssh1 => "SSH-1",
            Self::OtherPem => "PEM without a private key",
        })
    }
}

/// The error for a file that is not what its reader reads.
pub(super) fn unexpected(file: &[u8]) -> KeyFileError {
    Container::of(file).map_or(
        KeyFileError::NotAKeyFile,
        KeyFileError::UnsupportedContainer,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_beginning() {
        for (file, name) in [
            ("-----BEGIN PRIVATE KEY-----\nMC4=\n", "PKCS#8"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "PKCS#8"),
            ("-----BEGIN RSA PRIVATE KEY-----\n", "PKCS#1"),
            ("-----BEGIN EC PARAMETERS-----\n", "SEC 1"),
            ("-----BEGIN CERTIFICATE-----\n", "PEM without a private key"),
            ("PuTTY-User-Key-File-3: ssh-ed25519\r\n", "PuTTY PPK"),
            (
                "PuTTY-User-Key-File-1: ssh-rsa\r\n",
                "PuTTY PPK of another version than 2 and 3",
            ),
            (
                "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n",
                "SSH2 private key of ssh.com",
            ),
        ] {
            let container = Container::of(file.as_bytes()).unwrap();
            assert_eq!(alloc::string::ToString::to_string(&container), name);
        }
        for file in ["", "ssh-ed25519 AAAA", "\u{feff}-----BEGIN RSA PRIVATE KEY"] {
            assert_eq!(Container::of(file.as_bytes()), None);
            assert_eq!(unexpected(file.as_bytes()), KeyFileError::NotAKeyFile);
        }
    }
}
