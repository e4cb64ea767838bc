//! Every algorithm that ours knows by every peer, in both roles: each column of docs/interop.md's
//! tables of algorithms is a test, which has one server and a session for each row.
//!
//! The rows are what our `-Q` prints, so none can be forgotten: a name that no peer had a session
//! with takes a reason in `slots.rs`.

mod asyncssh;
mod keyring;
mod openssh;
mod page;
mod slots;

use ssh_interop::{Login, Server, Setup, Side};

pub(crate) use page::tables;

use crate::matrix::Role;
use keyring::Keyring;
use slots::{Row, Slot, rows};

/// Who plays with us, as what, and by which provider of cryptography we play.
struct Column {
    id: &'static str,
    /// What the document calls the peer.
    title: &'static str,
    peer: Peer,
    role: Role,
    provider: &'static str,
}

#[derive(Clone, Copy)]
enum Peer {
    OpenSsh(Side),
    AsyncSsh,
}

impl Peer {
    /// Whether it has an algorithm of this name in `slot`.
    fn knows(self, slot: Slot, name: &str) -> bool {
        let known = match self {
            Self::OpenSsh(side) => openssh::query(side, slot),
            Self::AsyncSsh => asyncssh::query(slot),
        };
        known.iter().any(|known| known == name)
    }
}

macro_rules! columns {
    ($($name:ident: $title:literal $peer:expr, $role:ident, $provider:literal;)*) => {
        const COLUMNS: &[Column] = &[$(Column {
            id: stringify!($name),
            title: $title,
            peer: $peer,
            role: Role::$role,
            provider: $provider,
        }),*];
        $(
            #[test]
            #[ignore = "needs the peer: tests/run.sh installs it and runs this"]
            fn $name() {
                play(stringify!($name));
            }
        )*
    };
}

// The providers differ at our end alone, so one peer in either role shows all of them.
columns! {
    system_client: "system" Peer::OpenSsh(Side::OpenSsh), Client, "rustcrypto";
    system_server: "system" Peer::OpenSsh(Side::OpenSsh), Server, "rustcrypto";
    trixie_client: "trixie" Peer::OpenSsh(Side::NewOpenSsh), Client, "rustcrypto";
    trixie_server: "trixie" Peer::OpenSsh(Side::NewOpenSsh), Server, "rustcrypto";
    sid_client: "sid" Peer::OpenSsh(Side::NewestOpenSsh), Client, "rustcrypto";
    sid_server: "sid" Peer::OpenSsh(Side::NewestOpenSsh), Server, "rustcrypto";
    graviola_client: "sid, graviola" Peer::OpenSsh(Side::NewestOpenSsh), Client, "graviola";
    graviola_server: "sid, graviola" Peer::OpenSsh(Side::NewestOpenSsh), Server, "graviola";
    aws_lc_client: "sid, aws-lc-rs" Peer::OpenSsh(Side::NewestOpenSsh), Client, "aws-lc-rs";
    aws_lc_server: "sid, aws-lc-rs" Peer::OpenSsh(Side::NewestOpenSsh), Server, "aws-lc-rs";
    asyncssh_client: "AsyncSSH" Peer::AsyncSsh, Client, "rustcrypto";
    asyncssh_server: "AsyncSSH" Peer::AsyncSsh, Server, "rustcrypto";
}

/// How a row went.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Works,
    /// The peer has no such algorithm, or no peer is asked for it.
    NotTried,
    Failed(String),
}

fn play(column: &str) {
    let column = COLUMNS.iter().find(|known| known.id == column);
    let column = column.expect("a column");
    let keyring = Keyring::new();
    let mut rows = rows();
    if matches!(column.peer, Peer::AsyncSsh) {
        // Its server signs as `ssh-rsa-cert-v01@openssh.com` by the hash that a session before had
        // (2.24.1), so the others come later.
        rows.reverse();
    }
    let knows = |row: &Row| row.untried().is_none() && column.peer.knows(row.slot, &row.name);
    let (tried, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(knows);
    let server = match (column.role, column.peer) {
        (Role::Client, _) => ours(&keyring, column.provider),
        (Role::Server, Peer::OpenSsh(side)) => openssh::server(side, &keyring),
        (Role::Server, Peer::AsyncSsh) => asyncssh::server(&keyring),
    };
    let trust = keyring.trust(&server);
    let outcomes: Vec<_> = match (column.role, column.peer) {
        (Role::Client, Peer::AsyncSsh) => asyncssh::sessions(&tried, &keyring, &server, &trust),
        (role, peer) => {
            let side = match (role, peer) {
                (Role::Client, Peer::OpenSsh(side)) => side,
                _ => Side::Ours,
            };
            let login = Login::new(side, &server, &keyring.dir)
                .env("SSH_PROTO_PROVIDER", column.provider)
                .flag("-v");
            let session = |row| openssh::session(&login, row, &keyring, &trust);
            tried.iter().map(session).collect()
        }
    };
    let outcomes = tried.into_iter().zip(outcomes);
    let others = others.into_iter().map(|row| (row, Outcome::NotTried));
    let outcomes: Vec<_> = outcomes.chain(others).collect();
    page::record(column, &outcomes);
    let mut failed = Vec::new();
    for (row, outcome) in &outcomes {
        if let Outcome::Failed(how) = outcome {
            println!("== {} {}: {how}\n", row.slot.id(), row.name);
            failed.push(format!("{} {}", row.slot.id(), row.name));
        }
    }
    assert!(failed.is_empty(), "{}: {failed:#?}", column.id);
}

/// Our server with all that it knows.
fn ours(keyring: &Keyring, provider: &str) -> Server {
    let authorized = keyring.authorized_keys();
    let authority = keyring.authority.public.display().to_string();
    let mut setup = Setup::default().authorized(&authorized).flags(&[
        "--provider",
        provider,
        "--compression",
        "--trusted-user-ca",
        &authority,
    ]);
    for (slot, flags) in [
        (Slot::Kex, &["--kex"][..]),
        (Slot::Cipher, &["--ciphers"]),
        (Slot::Mac, &["--macs"]),
        (Slot::HostKey, &["--hostkey-algs", "--pubkey-algs"]),
    ] {
        let names = openssh::query_all(Side::Ours, slot).join(",");
        for flag in flags {
            setup = setup.flags(&[flag, &names]);
        }
    }
    for pair in &keyring.hosts {
        setup = setup.host_key(&pair.key);
        let certificate = pair.certificate.display().to_string();
        setup = setup.flags(&["--host-cert", &certificate]);
    }
    setup.start(Side::Ours, &keyring.dir)
}
