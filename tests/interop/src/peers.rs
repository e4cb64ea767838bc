//! Where the peers are, and the files they need: directories, keys, lines of `known_hosts`.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::process::{command, run};

/// An installation of OpenSSH.
#[derive(Debug)]
pub struct OpenSsh {
    /// `OpenSSH_10.0p2 ...`, from `ssh -V`.
    pub version: String,
    /// The key exchanges that it has.
    pub kex: Vec<String>,
    /// What stands before `/bin`, `/sbin` and `/lib/openssh`.
    prefix: PathBuf,
}

impl OpenSsh {
    /// The one that the system installs.
    pub fn system() -> &'static Self {
        static SYSTEM: OnceLock<OpenSsh> = OnceLock::new();
        SYSTEM.get_or_init(|| Self::at(PathBuf::from("/usr")))
    }

    /// That of the Debian release `suite`, as `tests/interop/openssh.sh` unpacked it.
    ///
    /// # Panics
    /// If it is not there: an interop test is never skipped silently.
    pub fn of_release(suite: &str) -> &'static Self {
        static RELEASES: Mutex<Vec<(String, &OpenSsh)>> = Mutex::new(Vec::new());
        let mut releases = RELEASES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = releases.iter().find(|(known, _)| known == suite) {
            return known;
        }
        let prefix = peers_folder().join(format!("openssh-{suite}"));
        let openssh: &Self = Box::leak(Box::new(Self::at(prefix)));
        releases.push((suite.to_owned(), openssh));
        openssh
    }

    fn at(prefix: PathBuf) -> Self {
        let ssh = prefix.join("bin/ssh");
        let mut version = command(&ssh);
        version.arg("-V");
        let version = run(version).err().trim().to_owned();
        let mut kex = command(&ssh);
        kex.args(["-Q", "kex"]);
        let kex = run(kex).ok().lines().map(str::to_owned).collect();
        Self {
            version,
            kex,
            prefix,
        }
    }

    /// The path of one of its programs, such as `bin/ssh`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.prefix.join(name)
    }

    /// Where sshd finds the programs it consists of: lines for its configuration.
    pub fn sshd_parts(&self) -> String {
        if self.prefix == Path::new("/usr") {
            return String::new();
        }
        let parts = self.prefix.join("lib/openssh");
        let parts = parts.display();
        format!("SshdSessionPath {parts}/sshd-session\nSshdAuthPath {parts}/sshd-auth\n")
    }
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The example `client` or `server` of ssh-io-std.
    Ours,
    /// OpenSSH as the system has it.
    OpenSsh,
    /// That of the Debian release after the oldest that is supported; it has ML-KEM.
    NewOpenSsh,
    /// The newest that Debian has.
    NewestOpenSsh,
}

impl Side {
    /// The installation, if it is OpenSSH.
    pub fn openssh(self) -> Option<&'static OpenSsh> {
        match self {
            Self::Ours => None,
            Self::OpenSsh => Some(OpenSsh::system()),
            Self::NewOpenSsh => Some(OpenSsh::of_release("trixie")),
            Self::NewestOpenSsh => Some(OpenSsh::of_release("sid")),
        }
    }

    /// Whether it is an example of ours.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Ours)
    }
}

/// Where the peers are that the system does not install, and where the results go.
///
/// # Panics
/// If `SSH_INTEROP_PEERS` does not say.
pub fn peers_folder() -> PathBuf {
    let folder = env::var_os("SSH_INTEROP_PEERS");
    folder
        .expect("SSH_INTEROP_PEERS names the folder of the peers; run tests/run.sh")
        .into()
}

/// The path of an example: in `SSH_INTEROP_EXAMPLES`, or where cargo puts it beside this test.
///
/// # Panics
/// If it has not been built.
pub fn example(name: &str) -> PathBuf {
    let folder = env::var_os("SSH_INTEROP_EXAMPLES").map_or_else(
        || {
            let test = env::current_exe().expect("the path of this test");
            let profile = test.ancestors().nth(2).expect("target/debug");
            profile.join("examples")
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: cargo build -p ssh-io-std --examples",
        path.display()
    );
    path
}

/// The account that `tests/run.sh` made, and its password. It is not the one that the tests run as.
///
/// # Panics
/// If `SSH_INTEROP_ACCOUNT` does not name them.
pub fn password_account() -> (String, String) {
    let pair = env::var("SSH_INTEROP_ACCOUNT")
        .expect("SSH_INTEROP_ACCOUNT is NAME:PASSWORD of an account; run tests/run.sh");
    let (name, password) = pair.split_once(':').expect("NAME:PASSWORD");
    (name.to_owned(), password.to_owned())
}

/// The account that the tests run as.
pub fn account() -> &'static str {
    static ACCOUNT: OnceLock<String> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        let mut id = command("id");
        id.arg("-un");
        run(id).ok().trim().to_owned()
    })
}

/// A directory that is removed with its value. Its path is short enough for sockets.
#[derive(Debug)]
pub struct TestDir(PathBuf);

impl TestDir {
    /// A new directory that every account may read.
    ///
    /// # Panics
    /// If it cannot be made.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ssh-interop-{}-{count}", std::process::id());
        let path = env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory of its own");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("permissions");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and gives its path.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).expect("a file in the test's directory");
        path
    }

    /// Writes a file that its owner alone reads, and may run.
    pub fn write_private(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, content);
        fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("permissions");
        path
    }

    /// Makes a key with `ssh-keygen`.
    ///
    /// # Panics
    /// If that fails.
    pub fn key(&self, name: &str, key_type: KeyType, passphrase: &str) -> Key {
        let private = self.file(name);
        let mut keygen = command("ssh-keygen");
        keygen
            .args([
                "-q",
                "-t",
                key_type.keygen_name(),
                "-N",
                passphrase,
                "-C",
                name,
            ])
            .arg("-f")
            .arg(&private);
        run(keygen).ok();
        Key::at(private)
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A type of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `ssh-ed25519`
    Ed25519,
    /// `ecdsa-sha2-nistp256`
    EcdsaP256,
}

impl KeyType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ed25519, Self::EcdsaP256];

    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
        }
    }

    fn keygen_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa",
        }
    }
}

/// A key pair in files.
#[derive(Debug, Clone)]
pub struct Key {
    /// The private key file.
    pub private: PathBuf,
    /// The public key file.
    pub public: PathBuf,
    /// Type and base64 of the public key.
    pub line: String,
}

impl Key {
    /// The key in the file `private`, its public half beside it.
    ///
    /// # Panics
    /// If that is not there.
    pub fn at(private: PathBuf) -> Self {
        let mut public = private.clone().into_os_string();
        public.push(".pub");
        let line = fs::read_to_string(&public).expect("the public key");
        let end = line
            .match_indices(' ')
            .nth(1)
            .map_or(line.len(), |(at, _)| at);
        Self {
            private,
            public: public.into(),
            line: line[..end].to_owned(),
        }
    }
}
