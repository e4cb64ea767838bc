//! The table of peers: add a line here, and columns in `main.rs`.

use ssh_interop::process::{command, run};
use ssh_interop::{OpenSsh, Side};

use crate::call::{Client, Host};
use crate::dropbear::Dropbear;
use crate::openssh::OpenSshLike;
use crate::program::Program;
use crate::putty::Plink;

/// An SSH implementation.
pub(crate) struct Peer {
    /// What its columns are named by.
    pub(crate) id: &'static str,
    /// What the document calls it.
    pub(crate) title: &'static str,
    /// Its programs.
    pub(crate) runs: &'static str,
    pub(crate) version: fn(&Self) -> String,
    client: Client,
    server: Option<&'static dyn Host>,
}

impl Peer {
    pub(crate) fn named(id: &str) -> &'static Self {
        let peer = PEERS.iter().find(|peer| peer.id == id);
        peer.unwrap_or_else(|| panic!("no peer {id}"))
    }

    /// What its columns are called.
    pub(crate) fn columns(&self) -> impl Iterator<Item = String> {
        let roles = [Some("client"), self.server.map(|_| "server")];
        let named = |role| format!("{}_{role}", self.id);
        roles.into_iter().flatten().map(named)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn server(&self) -> &'static dyn Host {
        self.server.expect("a peer with a server")
    }
}

const fn openssh(
    id: &'static str,
    title: &'static str,
    peer: &'static OpenSshLike,
    version: fn(&Peer) -> String,
) -> Peer {
    Peer {
        id,
        title,
        runs: "`ssh`, `sshd`",
        version,
        client: Client::CommandLine(peer),
        server: Some(peer),
    }
}

const fn program(id: &'static str, title: &'static str, server: Option<&'static dyn Host>) -> Peer {
    Peer {
        id,
        title,
        runs: "a program of `tests/interop/peers`",
        version: |peer| Program(peer.id).version(),
        client: Client::Program(Program(id)),
        server,
    }
}

/// All of them.
pub(crate) static PEERS: &[Peer] = &[
    openssh(
        "openssh_system",
        "OpenSSH (system)",
        &OpenSshLike(Side::OpenSsh),
        |_| OpenSsh::system().version.clone(),
    ),
    openssh(
        "openssh_trixie",
        "OpenSSH (trixie)",
        &OpenSshLike(Side::NewOpenSsh),
        |_| OpenSsh::of_release("trixie").version.clone(),
    ),
    openssh(
        "openssh_sid",
        "OpenSSH (sid)",
        &OpenSshLike(Side::NewestOpenSsh),
        |_| OpenSsh::of_release("sid").version.clone(),
    ),
    Peer {
        id: "dropbear",
        title: "Dropbear",
        runs: "`dbclient`, `dropbear`",
        version: |_| {
            let mut version = command("dbclient");
            version.arg("-V");
            run(version).err().trim().to_owned()
        },
        client: Client::CommandLine(&Dropbear),
        server: Some(&Dropbear),
    },
    Peer {
        id: "putty",
        title: "PuTTY",
        runs: "`plink`; it has no server for the network",
        version: |_| {
            let mut version = command("plink");
            version.arg("-V");
            run(version)
                .ok()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        },
        client: Client::CommandLine(&Plink),
        server: None,
    },
    program("asyncssh", "AsyncSSH", Some(&Program("asyncssh"))),
    program("paramiko", "Paramiko", Some(&Program("paramiko"))),
    program("libssh", "libssh", Some(&Program("libssh"))),
    program("libssh2", "libssh2", None),
    program("go", "Go x/crypto/ssh", Some(&Program("go"))),
];
