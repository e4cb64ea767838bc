//! Known hosts: the files that say which keys a host has, and adding one to them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ssh_proto::crypto::PublicKey;
use ssh_proto::keys::{self, HostEntries, HostPort, Place, Verdict};

use crate::log;

/// What the files say about a host.
#[derive(Default)]
pub(crate) struct KnownHosts {
    files: Vec<PathBuf>,
    entries: HostEntries,
}

impl KnownHosts {
    /// Reads the files, as far as they are there.
    pub(crate) fn read(files: &[PathBuf], host: &HostPort) -> Self {
        let entries = files.iter().map(|file| {
            let known = parse(file).unwrap_or_else(|error| {
                log::error(format!("{}: {error}", file.display()));
                None
            });
            known.map_or_else(HostEntries::default, |known| known.find(host))
        });
        Self {
            entries: entries.reduce(HostEntries::and).unwrap_or_default(),
            files: files.to_vec(),
        }
    }

    /// The algorithms in the order in which the server is asked for its key.
    pub(crate) fn host_key_algorithms(&self, offered: &[&str]) -> Vec<String> {
        self.entries.host_key_algorithms(offered)
    }

    pub(crate) fn verdict(&self, key: &PublicKey) -> Verdict {
        self.entries.verdict(key)
    }

    /// The file that a line is of.
    pub(crate) fn file(&self, place: Place) -> &Path {
        self.files
            .get(place.file)
            .map_or(Path::new(""), |file| file)
    }
}

/// Reads a file; `None` if it is not there.
fn parse(file: &Path) -> io::Result<Option<keys::KnownHosts>> {
    let Ok(text) = fs::read(file) else {
        return Ok(None);
    };
    let (known, errors) = keys::KnownHosts::parse(text).map_err(io::Error::other)?;
    for error in errors {
        log::debug(format!("{}: {error}", file.display()));
    }
    Ok(Some(known))
}

/// Adds a line to a file, which it makes if it is not there, in a folder for its owner alone.
pub(crate) fn add(file: &Path, host: &HostPort, key: &PublicKey) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut known = parse(file)?.unwrap_or_default();
    let line = known.add(host, key).map_err(io::Error::other)?;
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostPort {
        HostPort::new("h", 22).unwrap()
    }

    #[test]
    fn a_new_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;

        let key = PublicKey::ed25519(&[1; 32]);
        let name = format!("ssh-io-std-known-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let files = [folder.join("none"), folder.join("known_hosts")];
        add(&files[1], &host(), &key).unwrap();
        add(&files[1], &host(), &PublicKey::ed25519(&[2; 32])).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        let known = KnownHosts::read(&files, &host());
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(mode & 0o777, 0o700);
        let place = Place { file: 1, line: 1 };
        assert_eq!(known.verdict(&key), Verdict::Match(place));
        assert_eq!(known.file(place), files[1]);
    }
}
