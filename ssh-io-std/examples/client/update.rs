//! `UpdateHostKeys`: other keys that a known host proves to have are remembered (OpenSSH PROTOCOL section 2.5).

use std::path::PathBuf;
use std::sync::Arc;

use ssh_io_std::{HostNames, KnownHostsFiles, add_known_host};
use ssh_proto::ClientConnection;
use ssh_proto::crypto::PublicKey;
use ssh_proto::keys::{HostPort, Verdict};

use crate::log;
use crate::prompt::Asker;

/// What is known of the host, and where more is written down.
pub(crate) struct HostKeys {
    pub(crate) known: Arc<KnownHostsFiles>,
    /// The key that it has shown, which is known by now.
    pub(crate) shown: PublicKey,
    pub(crate) host: HostPort,
    pub(crate) file: PathBuf,
    pub(crate) names: HostNames,
    /// The user is to agree.
    pub(crate) asker: Option<Asker>,
}

impl HostKeys {
    /// The host says that it has these keys.
    pub(crate) fn announced(&self, keys: Vec<PublicKey>, connection: &mut ClientConnection) {
        let is_new = |key: &PublicKey| {
            let verdict = self.known.entries().verdict(key);
            *key != self.shown && !matches!(verdict, Verdict::Match(_) | Verdict::Revoked(_))
        };
        let fresh: Vec<_> = keys.into_iter().filter(is_new).collect();
        if !fresh.is_empty()
            && let Err(error) = connection.prove_host_keys(&fresh)
        {
            log::debug(format!("Host keys are not asked for: {error}"));
        }
    }

    /// It has proved it.
    pub(crate) fn proved(&self, keys: &[PublicKey]) {
        if let Some(asker) = &self.asker {
            let question = format!(
                "The host '{}' has {} other keys. Remember them (yes/no)? ",
                self.host,
                keys.len()
            );
            if !asker
                .ask(&question, true)
                .is_ok_and(|answer| answer.trim() == "yes")
            {
                return;
            }
        }
        for key in keys {
            match add_known_host(&self.file, &self.host, key, self.names) {
                Ok(()) => log::debug(format!("Learned a new host key: {}", key.key_type())),
                Err(error) => log::error(format!("{}: {error}", self.file.display())),
            }
        }
    }
}
