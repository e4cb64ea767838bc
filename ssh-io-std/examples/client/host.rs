//! Is it the right host: its key is looked up in the files of known hosts, and new hosts are asked about.

use std::path::PathBuf;
use std::sync::Arc;

use ssh_proto::HostKeyCheck;
use ssh_proto::crypto::{Certificate, CryptoProvider, PublicKey};
use ssh_proto::keys::{HostPort, Verdict};

use crate::known_hosts::{self, KnownHosts};
use crate::log;
use crate::prompt::Asker;

/// Judges the host key by the files of known hosts.
pub(crate) struct Judge {
    pub(crate) provider: CryptoProvider,
    pub(crate) known: Arc<KnownHosts>,
    pub(crate) host: HostPort,
    pub(crate) new_hosts: Option<PathBuf>,
    pub(crate) strictness: String,
    /// For the questions about new hosts.
    pub(crate) asker: Asker,
}

/// What the host is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The host that it should be.
    Full,
    /// Perhaps another one: no secret is for it.
    Doubtful,
    /// Not to be talked to.
    None,
}

impl Judge {
    fn ask(&self, key: &PublicKey) -> bool {
        let fingerprint = key.fingerprint(self.provider.sha256).to_string();
        let question = format!(
            "The authenticity of host '{}' can't be established.\n\
             {} key fingerprint is {fingerprint}.\n\
             Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
            self.host,
            key.key_type(),
        );
        let mut prompt = question;
        while let Ok(answer) = self.asker.ask(&prompt, true) {
            match answer.trim() {
                "no" => return false,
                answer if answer == "yes" || answer == fingerprint => return true,
                _ => prompt = "Please type 'yes', 'no' or the fingerprint: ".to_owned(),
            }
        }
        false
    }

    fn remember(&self, key: &PublicKey) {
        let Some(file) = &self.new_hosts else { return };
        match known_hosts::add(file, &self.host, key) {
            Ok(()) => log::info(format!(
                "Warning: Permanently added '{}' ({}) to the list of known hosts.",
                self.host,
                key.key_type()
            )),
            Err(error) => log::error(format!(
                "Failed to add the host to {}: {error}",
                file.display()
            )),
        }
    }

    pub(crate) fn trust(&self, check: &HostKeyCheck) -> Trust {
        // No authority is trusted: a key that comes with a certificate is judged by itself.
        let certificate = check.certificate();
        let key = certificate.map_or(check.key(), Certificate::public_key);
        let fingerprint = key.fingerprint(self.provider.sha256);
        log::debug(format!("Server host key: {} {fingerprint}", key.key_type()));
        match self.known.verdict(key) {
            Verdict::Match(_) => {
                log::debug(format!("Host '{}' is known.", self.host));
                Trust::Full
            }
            Verdict::Revoked(_) => {
                log::error("The host key is marked as revoked.");
                Trust::None
            }
            Verdict::Unknown => {
                let accepted = match &*self.strictness {
                    "yes" => {
                        log::error(format!(
                            "No {} host key is known for {}.",
                            key.key_type(),
                            self.host
                        ));
                        false
                    }
                    "ask" => self.ask(key),
                    _ => true,
                };
                if accepted {
                    self.remember(key);
                    return Trust::Full;
                }
                log::error("Host key verification failed.");
                Trust::None
            }
            // A key of another type may be shown for lack of the known one.
            Verdict::Mismatch(place) | Verdict::OtherType(place) => {
                log::error(format!(
                    "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\r\n\
                     Somebody may be listening in, or the host was set up anew.\r\n\
                     The {} key sent by the host is {fingerprint}.\r\n\
                     The offending key is in {}:{}",
                    key.key_type(),
                    self.known.file(place).display(),
                    place.line
                ));
                if self.strictness == "no" {
                    log::error(
                        "Password authentication is disabled to avoid man-in-the-middle attacks.",
                    );
                    return Trust::Doubtful;
                }
                log::error("Host key verification failed.");
                Trust::None
            }
        }
    }
}
