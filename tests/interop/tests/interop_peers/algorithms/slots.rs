//! What is negotiated, and the names that ours knows for it.

use ssh_interop::Side;

use super::openssh;

/// Where an algorithm goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Kex,
    HostKey,
    HostCertificate,
    UserKey,
    UserCertificate,
    Cipher,
    Mac,
    Compression,
}

impl Slot {
    pub(super) const ALL: [Self; 8] = [
        Self::Kex,
        Self::HostKey,
        Self::HostCertificate,
        Self::UserKey,
        Self::UserCertificate,
        Self::Cipher,
        Self::Mac,
        Self::Compression,
    ];

    /// Its name in records and for programs.
    pub(super) fn id(self) -> &'static str {
        self.texts().0
    }

    /// The document's heading.
    pub(super) fn title(self) -> &'static str {
        self.texts().1
    }

    /// What `ssh -Q` is asked for.
    pub(super) fn query(self) -> &'static str {
        self.texts().2
    }

    fn texts(self) -> (&'static str, &'static str, &'static str) {
        const SIGNATURES: &str = "HostKeyAlgorithms";
        match self {
            Self::Kex => ("kex", "Key exchange", "kex"),
            Self::HostKey => ("host-key", "Host keys", SIGNATURES),
            Self::HostCertificate => ("host-certificate", "Certificates of hosts", SIGNATURES),
            Self::UserKey => ("user-key", "User keys", SIGNATURES),
            Self::UserCertificate => ("user-certificate", "Certificates of users", SIGNATURES),
            Self::Cipher => ("cipher", "Ciphers", "cipher"),
            Self::Mac => ("mac", "MACs", "mac"),
            Self::Compression => ("compression", "Compression", "compression"),
        }
    }

    /// Whether what `query` prints belongs here.
    pub(super) fn takes(self, name: &str) -> bool {
        match self {
            Self::HostKey | Self::UserKey => !name.contains("-cert"),
            Self::HostCertificate | Self::UserCertificate => name.contains("-cert"),
            _ => true,
        }
    }
}

/// An algorithm in its slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) slot: Slot,
    pub(super) name: String,
}

impl Row {
    /// Why no peer is asked for it.
    pub(super) fn untried(&self) -> Option<&'static str> {
        let security_key = self.name.starts_with("sk-") || self.name.starts_with("webauthn-");
        match self.slot {
            Slot::HostKey | Slot::HostCertificate if security_key => {
                Some("The example server has no host key on a device.")
            }
            Slot::UserKey | Slot::UserCertificate if self.name.starts_with("webauthn-") => {
                Some("No client of a peer signs so, but a browser; known answers stand for it.")
            }
            _ => None,
        }
    }
}

/// All that ours knows.
pub(super) fn rows() -> Vec<Row> {
    let of = |slot: Slot| {
        let names = openssh::query(Side::Ours, slot).into_iter();
        names.map(move |name| Row { slot, name })
    };
    Slot::ALL.into_iter().flat_map(of).collect()
}
