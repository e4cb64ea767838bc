//! AsyncSSH, by the program of `tests/interop/peers/asyncssh`, which has a scenario for this.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use ssh_interop::peers::{account, peers_folder};
use ssh_interop::process::{PATIENCE, command, run, run_with};
use ssh_interop::server::listening_port;
use ssh_interop::{Running, Server};

use super::Outcome;
use super::keyring::{Keyring, Pair, Trust};
use super::slots::{Row, Slot};

fn program() -> Command {
    command(peers_folder().join("peers/asyncssh"))
}

/// What it has in a slot.
pub(super) fn query(slot: Slot) -> Vec<String> {
    static ALL: OnceLock<String> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut list = program();
        list.arg("algorithms");
        run(list).ok()
    });
    let names = all.lines().filter_map(|line| line.split_once(' '));
    let names = names.filter(|(query, name)| *query == slot.query() && slot.takes(name));
    names.map(|(_, name)| name.to_owned()).collect()
}

/// Its server with all that it knows.
pub(super) fn server(keyring: &Keyring) -> Server {
    let known = query(Slot::HostKey);
    let known = |pair: &&Pair| known.iter().any(|name| name == pair.key_type);
    let hosts = keyring.hosts.iter().filter(known);
    let mut keys = String::new();
    for pair in hosts {
        let _ = writeln!(
            keys,
            "{} {}",
            pair.key.private.display(),
            pair.certificate.display()
        );
    }
    let users = keyring.users.iter().filter(known);
    let mut authorized: String = users.map(|pair| format!("{}\n", pair.key.line)).collect();
    let _ = writeln!(authorized, "cert-authority {}", keyring.authority.line);
    let mut server = program();
    server
        .args(["server", "algorithms"])
        .env("PEER_HOST_KEYS", keyring.dir.write("host_keys", keys))
        .env(
            "PEER_AUTHORIZED_KEYS",
            keyring.dir.write("authorized", authorized),
        )
        .env("PEER_USER", account())
        .env("PEER_TMP", keyring.dir.path());
    let mut running = Running::start(server);
    match listening_port(&mut running) {
        Some(port) => Server::new(running, port, keyring.hosts[0].key.clone()),
        None => panic!("AsyncSSH's server ended: {:?}", running.wait(PATIENCE)),
    }
}

/// Has its client play all rows in one run: it takes a while to start.
pub(super) fn sessions(
    rows: &[Row],
    keyring: &Keyring,
    server: &Server,
    trust: &Trust,
) -> Vec<Outcome> {
    let mut jobs = String::new();
    for row in rows {
        let name = match row.slot {
            Slot::UserKey | Slot::UserCertificate => row.name.as_str(),
            _ => "ssh-ed25519",
        };
        let pair = keyring.user(name);
        let (key, certificate) = (pair.key.private.display(), pair.certificate.display());
        let _ = writeln!(jobs, "{} {} {key} {certificate}", row.slot.id(), row.name);
    }
    let mut client = program();
    client
        .args(["client", "127.0.0.1", &server.port.to_string()])
        .args([account(), "algorithms"])
        .env("PEER_HOST_KEY", &trust.keys)
        .env("PEER_HOST_AUTHORITY", &trust.authority)
        .env("PEER_AGENT", keyring.agent())
        .env("PEER_TMP", keyring.dir.path());
    let output = run_with(client, jobs.into_bytes(), Duration::from_secs(240));
    let report = output.ok();
    let outcomes: Vec<_> = report
        .lines()
        .map(|line| match line {
            "ok" => Outcome::Works,
            how => Outcome::Failed(how.to_owned()),
        })
        .collect();
    assert_eq!(outcomes.len(), rows.len(), "{output:?}");
    outcomes
}
