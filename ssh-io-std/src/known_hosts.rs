//! Files of known hosts: what they say about a host, and adding a key to them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ssh_proto::crypto::PublicKey;
use ssh_proto::keys::{HostEntries, HostPort, KeyFileError, KnownHosts, LineError, Place};

use crate::OsRandom;

/// What the files of known hosts say about one host: read before connecting, asked for the order of
/// [`host_key_algorithms`](ssh_proto::keys::HostEntries::host_key_algorithms), and asked again by the
/// [`ClientHandler`](crate::ClientHandler) that judges the host key.
#[derive(Debug, Clone, Default)]
pub struct KnownHostsFiles {
    files: Vec<PathBuf>,
    entries: HostEntries,
}

/// What was left out of files of known hosts. Of a host that is named there, nothing is known then.
#[non_exhaustive]
#[derive(Debug)]
pub enum KnownHostsProblem {
    /// The file is there and cannot be read.
    Io(io::Error),
    /// The file as a whole is not understood.
    File(KeyFileError),
    /// One line is not understood.
    Line(LineError),
}

impl fmt::Display for KnownHostsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::Line(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KnownHostsProblem {}

impl KnownHostsFiles {
    /// Reads the files as far as they are there: the user's, then the system's. `report` learns
    /// what was left out of which.
    pub fn read(
        files: impl IntoIterator<Item = PathBuf>,
        host: &HostPort,
        mut report: impl FnMut(&Path, KnownHostsProblem),
    ) -> Self {
        let files: Vec<PathBuf> = files.into_iter().collect();
        let entries = files.iter().map(|file| match parse(file) {
            Ok((known, errors)) => {
                for error in errors {
                    report(file, KnownHostsProblem::Line(error));
                }
                known.find(host)
            }
            Err(problem) => {
                report(file, problem);
                HostEntries::default()
            }
        });
        let entries = entries.reduce(HostEntries::and).unwrap_or_default();
        Self { files, entries }
    }

    /// The lines about the host.
    pub const fn entries(&self) -> &HostEntries {
        &self.entries
    }

    /// The file that a line is of; empty for a place in other files.
    pub fn file(&self, place: Place) -> &Path {
        let file = self.files.get(place.file);
        file.map_or(Path::new(""), PathBuf::as_path)
    }
}

/// A file that is not there says nothing.
fn parse(file: &Path) -> Result<(KnownHosts, Vec<LineError>), KnownHostsProblem> {
    let text = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(KnownHostsProblem::Io)?,
    };
    KnownHosts::parse(text).map_err(KnownHostsProblem::File)
}

/// How a host is written into a file of known hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostNames {
    /// As it is.
    #[default]
    Plain,
    /// Hashed (`HashKnownHosts`): who reads the file can try names, and cannot list them.
    Hashed,
}

/// Adds a key of a host to the end of a file, at one stroke, so that others can do the same at the
/// same time. A file that is not there is made, and on Unix its folder for the owner alone.
///
/// # Errors
/// What the file cannot be read or written for; `InvalidData` if it is not understood as a whole, or
/// the key cannot stand in it.
pub fn add_known_host(
    file: impl AsRef<Path>,
    host: &HostPort,
    key: &PublicKey,
    names: HostNames,
) -> io::Result<()> {
    let invalid = |error: KeyFileError| io::Error::new(io::ErrorKind::InvalidData, error);
    let file = file.as_ref();
    let mut folder = DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    if let Some(parent) = file.parent().filter(|path| !path.as_os_str().is_empty()) {
        folder.create(parent)?;
    }
    let (mut known, _) = parse(file).map_err(|problem| match problem {
        KnownHostsProblem::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    })?;
    let line = match names {
        HostNames::Plain => known.add(host, key),
        HostNames::Hashed => known.add_hashed(host, key, &mut OsRandom),
    };
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(line.map_err(invalid)?)
}

#[cfg(test)]
mod tests {
    use ssh_proto::keys::Verdict;

    use super::*;

    fn read(files: &[PathBuf]) -> (KnownHostsFiles, Vec<String>) {
        let host = HostPort::new("h", 22).unwrap();
        let mut problems = Vec::new();
        let known = KnownHostsFiles::read(files.to_vec(), &host, |file, problem| {
            problems.push(format!("{}: {problem}", file.display()));
        });
        (known, problems)
    }

    #[test]
    fn keys_are_added_and_found_again() {
        let host = HostPort::new("h", 22).unwrap();
        let [first, second] = [[1; 32], [2; 32]].map(|key| PublicKey::ed25519(&key));
        let folder = std::env::temp_dir().join(format!("ssh-io-std-known-{}", std::process::id()));
        let files = [folder.join("none"), folder.join("known_hosts")];
        add_known_host(&files[1], &host, &first, HostNames::Plain).unwrap();
        let place = Place { file: 1, line: 1 };
        let (known, problems) = read(&files);
        assert_eq!(known.entries().verdict(&first), Verdict::Match(place));
        assert_eq!((known.file(place), problems.len()), (&*files[1], 0));

        add_known_host(&files[1], &host, &second, HostNames::Hashed).unwrap();
        let text = fs::read_to_string(&files[1]).unwrap();
        assert!(text.lines().nth(1).unwrap().starts_with("|1|"), "{text}");
        let place = Place { file: 1, line: 2 };
        let (known, _) = read(&files);
        assert_eq!(known.entries().verdict(&second), Verdict::Match(place));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&folder).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        fs::write(&files[0], "h nonsense\n").unwrap();
        let (_, problems) = read(&files);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(add_known_host(&folder, &host, &first, HostNames::Plain).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
