//! Known hosts: finding the keys of a host in files of OpenSSH's form, and adding one (sshd(8)).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use ssh_proto::crypto::PublicKey;
use ssh_proto::keys::{Comment, PublicKeyLine};

use crate::pattern;

/// What the files say about a host.
#[derive(Default)]
pub(crate) struct KnownHosts {
    keys: Vec<(PublicKey, PathBuf, usize)>,
    revoked: Vec<PublicKey>,
}

/// What is known about a key.
pub(crate) enum Verdict<'k> {
    /// It is the host's.
    Known,
    /// Nothing is known of the host, or only keys of other types.
    New,
    /// The host's key of this type is another one; where that stands.
    Changed(&'k Path, usize),
    /// It is marked as stolen.
    Revoked,
}

impl KnownHosts {
    /// Reads the files, as far as they are there, for a host: `name`, or `[name]:port` where the
    /// port is not 22.
    pub(crate) fn read(files: &[PathBuf], host: &str) -> Self {
        let mut known = Self::default();
        for file in files {
            let text = fs::read(file).unwrap_or_default();
            for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
                known.take_line(line, host, file, number + 1);
            }
        }
        known
    }

    fn take_line(&mut self, line: &[u8], host: &str, file: &Path, number: usize) {
        let Ok(line) = std::str::from_utf8(line) else {
            return;
        };
        let mut fields = line.trim_ascii().splitn(2, [' ', '\t']);
        let mut first = fields.next().unwrap_or_default();
        let mut rest = fields.next().unwrap_or_default().trim_ascii_start();
        let mut revoked = false;
        if first.is_empty() || first.starts_with('#') {
            return;
        }
        if first.starts_with('@') {
            // Certificates come with a later version.
            revoked = first == "@revoked";
            if !revoked {
                return;
            }
            (first, rest) = rest.split_once([' ', '\t']).unwrap_or_default();
        }
        let named = match first.strip_prefix("|1|") {
            Some(hashed) => hash_matches(hashed, host),
            None => pattern::list_matches(first.to_ascii_lowercase().split(','), host),
        };
        if let (true, Ok(line)) = (named, PublicKeyLine::parse(rest.as_bytes())) {
            match revoked {
                true => self.revoked.push(line.key),
                false => self.keys.push((line.key, file.to_owned(), number)),
            }
        }
    }

    /// The types of the keys that are known: the server is asked for these first.
    pub(crate) fn key_types(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(key, ..)| key.key_type())
    }

    pub(crate) fn verdict(&self, key: &PublicKey) -> Verdict<'_> {
        if self.revoked.contains(key) {
            return Verdict::Revoked;
        }
        if self.keys.iter().any(|(known, ..)| known == key) {
            return Verdict::Known;
        }
        match self
            .keys
            .iter()
            .find(|(known, ..)| known.key_type() == key.key_type())
        {
            Some((_, file, line)) => Verdict::Changed(file, *line),
            None => Verdict::New,
        }
    }
}

/// Whether `salt|hash`, in base64, is HMAC-SHA1 of the host under the salt.
fn hash_matches(hashed: &str, host: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else {
        return false;
    };
    let (Ok(salt), Ok(hash)) = (Base64::decode_vec(salt), Base64::decode_vec(hash)) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else {
        return false;
    };
    mac.update(host.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// Adds a line to a file, which it makes if it is not there, in a folder for its owner alone.
pub(crate) fn add(file: &Path, host: &str, key: &PublicKey) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let line = PublicKeyLine {
        key: key.clone(),
        comment: Comment::default(),
    };
    // A last line without its end would swallow ours.
    let open_line = fs::read(file).is_ok_and(|text| text.last().is_some_and(|byte| *byte != b'\n'));
    let start = if open_line { "\n" } else { "" };
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(format!("{start}{host} {line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJbs0eZwBgIdfK+7qxD3BszxJY9xkLSkH1QEdJTL4nhY";

    fn key() -> PublicKey {
        PublicKeyLine::parse(KEY.as_bytes()).unwrap().key
    }

    fn known(lines: &str, host: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        for (number, line) in lines.lines().enumerate() {
            known.take_line(line.as_bytes(), host, Path::new("f"), number + 1);
        }
        known
    }

    #[test]
    fn plain_lines() {
        for (names, host, is_known) in [
            ("crate.example", "crate.example", true),
            ("other,crate.example", "crate.example", true),
            ("Crate.example", "crate.example", true),
            ("*.example,!crate.example", "crate.example", false),
            ("crate.example", "[crate.example]:2222", false),
            ("[crate.example]:2222", "[crate.example]:2222", true),
            ("# crate.example", "crate.example", false),
            ("@cert-authority crate.example", "crate.example", false),
        ] {
            let known = known(&format!("{names} {KEY} comment"), host);
            let is = matches!(known.verdict(&key()), Verdict::Known);
            assert_eq!(is, is_known, "{names} {host}");
        }
    }

    /// Made by `ssh-keygen -H` of OpenSSH 9.2.
    #[test]
    fn hashed_lines() {
        let lines = format!("|1|anDdU1wnSpOGaGo8AqHggHDNiVY=|YcKDBJQSAXfChiV3E0Ok68VS5+k= {KEY}");
        assert!(matches!(
            known(&lines, "crate.example").verdict(&key()),
            Verdict::Known
        ));
        assert!(matches!(
            known(&lines, "crate.exampl").verdict(&key()),
            Verdict::New
        ));
        let damaged = format!("|1|AAAA|!!!! {KEY}\n|1|AAAA {KEY}\n|1| {KEY}");
        assert!(matches!(known(&damaged, "").verdict(&key()), Verdict::New));
    }

    #[test]
    fn a_new_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;

        let name = format!("ssh-io-std-known-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        add(&folder.join("known_hosts"), "h", &key()).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        let known = KnownHosts::read(&[folder.join("known_hosts")], "h");
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(mode & 0o777, 0o700);
        assert!(matches!(known.verdict(&key()), Verdict::Known));
    }

    #[test]
    fn other_keys() {
        let other = PublicKey::ed25519(&[1; 32]);
        let known_lines = format!("x y\nh {KEY}");
        let files = known(&known_lines, "h");
        assert!(
            matches!(files.verdict(&other), Verdict::Changed(file, 2) if file == Path::new("f"))
        );
        let ecdsa = PublicKey::ecdsa(ssh_proto::crypto::EcdsaCurve::Nistp256, &[4; 65]);
        assert!(matches!(files.verdict(&ecdsa), Verdict::New));
        let revoked = known(&format!("h {KEY}\n@revoked * {KEY}"), "h");
        assert!(matches!(revoked.verdict(&key()), Verdict::Revoked));
    }
}
