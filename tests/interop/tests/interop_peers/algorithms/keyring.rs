//! A key of each type for hosts and for users, and their certificates, all made by `ssh-keygen`.

use std::fs;
use std::path::PathBuf;

use ssh_interop::peers::{account, peers_folder};
use ssh_interop::process::{command, run};
use ssh_interop::server::wait_for_server;
use ssh_interop::{Key, KeyType, OpenSsh, Running, Server, TestDir};

/// The keys of one column.
pub(super) struct Keyring {
    /// Signs all certificates.
    pub(super) authority: Key,
    pub(super) hosts: Vec<Pair>,
    pub(super) users: Vec<Pair>,
    /// The security keys of users are in it alone.
    _agent: Running,
    pub(super) dir: TestDir,
}

/// A key and its certificate.
pub(super) struct Pair {
    pub(super) key_type: &'static str,
    pub(super) key: Key,
    /// The same key in another file, with the certificate beside it.
    pub(super) certified: Key,
    pub(super) certificate: PathBuf,
}

/// Files of known hosts.
pub(super) struct Trust {
    /// Knows the host by its keys.
    pub(super) keys: PathBuf,
    /// Knows it by the authority.
    pub(super) authority: PathBuf,
}

/// Types of keys, and how `ssh-keygen` is asked for one.
const TYPES: [(&str, &[&str]); 7] = [
    ("ssh-ed25519", &["-t", "ed25519"]),
    ("ecdsa-sha2-nistp256", &["-t", "ecdsa", "-b", "256"]),
    ("ecdsa-sha2-nistp384", &["-t", "ecdsa", "-b", "384"]),
    ("ecdsa-sha2-nistp521", &["-t", "ecdsa", "-b", "521"]),
    ("ssh-rsa", &["-t", "rsa", "-b", "2048"]),
    ("ssh-dss", &["-t", "dsa"]),
    ("ssh-mldsa44-ed25519", &["-t", "mldsa44-ed25519"]),
];

/// Those of the agent; its public key files are called so.
const SECURITY_KEYS: [&str; 2] = [
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

impl Keyring {
    pub(super) fn new() -> Self {
        let dir = TestDir::new();
        let authority = dir.key("authority", KeyType::Ed25519, "");
        let pairs = |of: &str, principal: &[&str]| {
            let pair = |(key_type, how): &(&'static str, &[&str])| {
                let name = format!("{of}-{key_type}");
                let mut keygen = command(ssh_keygen(key_type));
                keygen.args(["-q", "-N", "", "-C", &name]).args(*how);
                keygen.arg("-f").arg(dir.file(&name));
                run(keygen).ok();
                certified(&dir, &name, key_type, &authority, principal)
            };
            TYPES.iter().map(pair).collect::<Vec<_>>()
        };
        let hosts = pairs("host", &["-h", "-n", "127.0.0.1"]);
        let user = ["-n", account()];
        let mut users = pairs("user", &user);
        let mut agent = command(peers_folder().join("peers/asyncssh-venv/bin/python3"));
        agent.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/peers/asyncssh/security_keys.py"
        ));
        agent.arg(dir.path());
        let mut agent = Running::start(agent);
        wait_for_server(&mut agent, |agent| agent.stdout_so_far() == "ready\n");
        let pair = |name: &'static str| {
            // OpenSSH's client wants a file, and takes the public key in place of the private one.
            let line = fs::read(dir.file(&format!("{name}.pub"))).expect("the public key");
            dir.write_private(name, line);
            certified(&dir, name, name, &authority, &user)
        };
        users.extend(SECURITY_KEYS.map(pair));
        Self {
            authority,
            hosts,
            users,
            _agent: agent,
            dir,
        }
    }

    /// The socket of an agent with the security keys.
    pub(super) fn agent(&self) -> PathBuf {
        self.dir.file("agent")
    }

    /// The user's key that signs by `algorithm`.
    pub(super) fn user(&self, algorithm: &str) -> &Pair {
        let plain = algorithm.split("-cert").next().unwrap_or_default();
        let key_type = match plain {
            "rsa-sha2-256" | "rsa-sha2-512" => "ssh-rsa",
            other => other,
        };
        // The types of security keys have a domain, which is elsewhere in those of certificates.
        let is_of = |pair: &&Pair| pair.key_type.split('@').next() == key_type.split('@').next();
        let found = self.users.iter().find(is_of);
        found.unwrap_or_else(|| panic!("no key of the user for {algorithm}"))
    }

    /// A file with the user's keys.
    pub(super) fn authorized_keys(&self) -> PathBuf {
        let line = |pair: &Pair| format!("{}\n", pair.key.line);
        let lines: String = self.users.iter().map(line).collect();
        self.dir.write("authorized_keys", lines)
    }

    /// Files that know `server`.
    pub(super) fn trust(&self, server: &Server) -> Trust {
        let host = format!("[127.0.0.1]:{}", server.port);
        let line = |pair: &Pair| format!("{host} {}\n", pair.key.line);
        let lines: String = self.hosts.iter().map(line).collect();
        let authority = format!("@cert-authority {host} {}\n", self.authority.line);
        Trust {
            keys: self.dir.write("known_keys", lines),
            authority: self.dir.write("known_authority", authority),
        }
    }
}

/// The key in the file `name`, with a certificate.
fn certified(
    dir: &TestDir,
    name: &str,
    key_type: &'static str,
    authority: &Key,
    principal: &[&str],
) -> Pair {
    let key = Key::at(dir.file(name));
    // A copy, lest clients find the certificate where the key alone is wanted.
    let certified = dir.file(&format!("{name}-certified"));
    fs::copy(&key.private, &certified).expect("a copy");
    let public = dir.file(&format!("{name}-certified.pub"));
    fs::copy(&key.public, &public).expect("a copy");
    let mut certify = command(ssh_keygen(key_type));
    certify.args(["-q", "-I", name, "-s"]);
    certify.arg(&authority.private).args(principal);
    certify.arg(&public);
    run(certify).ok();
    Pair {
        key_type,
        key,
        certified: Key::at(certified),
        certificate: dir.file(&format!("{name}-certified-cert.pub")),
    }
}

/// That of the newest OpenSSH for what it alone has; the system's, which still has DSA, for the rest.
fn ssh_keygen(key_type: &str) -> PathBuf {
    let openssh = match key_type {
        "ssh-mldsa44-ed25519" => OpenSsh::of_release("sid"),
        _ => OpenSsh::system(),
    };
    openssh.program("bin/ssh-keygen")
}
