//! Is it the right host: its key is looked up in the files of known hosts, and new hosts are asked about.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ssh_io_std::{HostNames, KnownHostsFiles, add_known_host};
use ssh_proto::HostKeyCheck;
use ssh_proto::crypto::{
    Certificate, CertificateCheck, CertificateError, CryptoProvider, PublicKey,
};
use ssh_proto::keys::{HostPort, Verdict};

use crate::fingerprint::FingerprintHash;
use crate::prompt::Asker;
use crate::{log, revoked};

/// Judges the host key by the files of known hosts.
pub(crate) struct Judge {
    pub(crate) provider: CryptoProvider,
    pub(crate) known: Arc<KnownHostsFiles>,
    pub(crate) host: HostPort,
    /// The name that a certificate has to name.
    pub(crate) name: String,
    /// The algorithms by which authorities may have signed.
    pub(crate) ca_algorithms: Vec<String>,
    pub(crate) revoked: Option<PathBuf>,
    pub(crate) new_hosts: Option<PathBuf>,
    pub(crate) host_names: HostNames,
    pub(crate) strictness: String,
    pub(crate) fingerprints: FingerprintHash,
    /// The fingerprint is drawn, too.
    pub(crate) draws: bool,
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
        let fingerprint = self.fingerprints.of(key, &self.provider);
        let art = match self.draws {
            true => format!("{}\n", self.fingerprints.randomart(key, &self.provider)),
            false => String::new(),
        };
        let question = format!(
            "The authenticity of host '{}' can't be established.\n\
             {} key fingerprint is {fingerprint}.\n\
             {art}\
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
        match add_known_host(file, &self.host, key, self.host_names) {
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

    /// By the file of `RevokedHostKeys`, which revokes all if it cannot be read.
    fn is_revoked(&self, key: &PublicKey, certificate: Option<&Certificate>) -> bool {
        self.revoked.as_ref().is_some_and(|file| {
            revoked::names(file, key, certificate, self.provider.sha256).unwrap_or_else(|error| {
                log::error(format!("{}: {error}", file.display()));
                true
            })
        })
    }

    /// Whether an authority that is known for the host has signed the certificate for it.
    fn verify(&self, certificate: &Certificate) -> Result<(), CertificateError> {
        let entries = self.known.entries();
        let authorities: Vec<_> = entries.authorities().cloned().collect();
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs());
        let algorithms: Vec<_> = self.ca_algorithms.iter().map(String::as_str).collect();
        let is_revoked = |one: &Certificate| entries.is_revoked(one.public_key());
        let check = CertificateCheck::host(&self.name, now, &authorities)
            .ca_algorithms(&algorithms)
            .revoked(&is_revoked);
        certificate.verify(&check, &self.provider).map(drop)
    }

    pub(crate) fn trust(&self, check: &HostKeyCheck) -> Trust {
        let certificate = check.certificate();
        if self.is_revoked(check.key(), certificate) {
            log::error("The host key is revoked.");
            return Trust::None;
        }
        let key = certificate.map_or(check.key(), Certificate::public_key);
        let fingerprint = self.fingerprints.of(key, &self.provider);
        log::debug(format!(
            "Server host key: {} {fingerprint}",
            check.key().key_type()
        ));
        if self.draws {
            let art = self.fingerprints.randomart(key, &self.provider);
            let art = art.replace('\n', "\r\n");
            log::info(format!("Host key fingerprint is {fingerprint}\r\n{art}"));
        }
        if let Some(certificate) = certificate {
            match self.verify(certificate) {
                Ok(()) => {
                    log::debug(format!("Host '{}' is known by its certificate.", self.host));
                    return Trust::Full;
                }
                Err(CertificateError::Revoked) => {
                    log::error("The host key is marked as revoked.");
                    return Trust::None;
                }
                // As in OpenSSH, the key may still be known by itself.
                Err(error) => log::debug(format!("Certificate not used: {error}")),
            }
        }
        match self.known.entries().verdict(key) {
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
