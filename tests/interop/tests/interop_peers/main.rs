//! Every peer by every scenario, their client at our server and our client at theirs: each cell of
//! the table in docs/interop.md is a test, and the table is made of what the tests recorded.
//!
//! `tests/run.sh interop` puts the peers in place and runs this; `tests/run.sh interop dropbear` runs
//! one of them. A peer that does not know a scenario says why, and that goes into the table, too.

mod algorithms;
mod call;
mod dropbear;
mod matrix;
mod openssh;
mod peers;
mod play;
mod program;
mod putty;
mod scene;

use std::env;
use std::fs;
use std::path::Path;

use call::Client;
use matrix::{Outcome, Role, Scenario};
use openssh::OURS;
use peers::Peer;

/// A module of tests for each peer and role, named as the cells' columns are.
macro_rules! columns {
    ($($column:ident)*) => {
        $(mod $column {
            crate::each_scenario!(cells);
        })*
        const COLUMNS: &[&str] = &[$(stringify!($column)),*];
    };
}

macro_rules! each_scenario {
    ($make:ident) => {
        crate::$make! {
            password publickey publickey_ecdsa keyboard_interactive exec_status stderr env pty
            signal subsystem local_forward remote_forward dynamic_forward unix_forward
            remote_unix_forward agent_forward rekey_load
        }
    };
}

macro_rules! cells {
    ($($scenario:ident)*) => {
        $(
            #[test]
            #[ignore = "needs the peer: tests/run.sh installs it and runs this"]
            fn $scenario() {
                crate::cell(module_path!(), stringify!($scenario));
            }
        )*
    };
}

use {cells, each_scenario};

columns! {
    openssh_system_client openssh_system_server
    openssh_trixie_client openssh_trixie_server
    openssh_sid_client openssh_sid_server
    dropbear_client dropbear_server
    putty_client
    asyncssh_client asyncssh_server
    paramiko_client paramiko_server
    libssh_client libssh_server
    libssh2_client
    go_client go_server
}

/// The peers among themselves, to tell a wrong test from a wrong implementation.
macro_rules! alone {
    ($($pair:ident: $client:ident $server:ident,)*) => {
        mod alone {
            $(mod $pair {
                const CLIENT: &str = stringify!($client);
                const SERVER: &str = stringify!($server);
                crate::each_scenario!(alone_cells);
            })*
        }
    };
}

macro_rules! alone_cells {
    ($($scenario:ident)*) => {
        $(
            #[test]
            #[ignore = "run by name, where a test is in doubt"]
            fn $scenario() {
                crate::control(CLIENT, SERVER, stringify!($scenario));
            }
        )*
    };
}

use alone_cells;

alone! {
    openssh: openssh_system openssh_system,
    openssh_sid: openssh_sid openssh_sid,
    openssh_to_dropbear: openssh_system dropbear,
    dropbear_to_openssh: dropbear openssh_system,
    putty_to_openssh: putty openssh_system,
    asyncssh: openssh_system asyncssh,
    asyncssh_to_openssh: asyncssh openssh_system,
    paramiko: openssh_system paramiko,
    paramiko_to_openssh: paramiko openssh_system,
    libssh: openssh_system libssh,
    libssh_to_openssh: libssh openssh_system,
    libssh2_to_openssh: libssh2 openssh_system,
    go: openssh_system go,
    go_to_openssh: go openssh_system,
}

/// Plays one scenario and records how it went.
fn cell(module: &str, scenario: &str) {
    let (_, column) = module.split_once("::").expect("a module of a column");
    let (peer, role) = Role::of_column(column);
    let (peer, scenario) = (Peer::named(peer), Scenario::named(scenario));
    // What a panic leaves behind.
    Outcome::Failed.record(column, scenario);
    let outcome = match role {
        Role::Client => play::play(scenario, peer.client(), &OURS),
        Role::Server => play::play(scenario, &Client::CommandLine(&OURS), peer.server()),
    };
    let outcome = match outcome {
        Ok(()) => Outcome::Works,
        Err(unknown) => Outcome::Unknown(unknown.0),
    };
    println!("{column} {}: {outcome:?}", scenario.id());
    outcome.record(column, scenario);
}

/// Plays one scenario without any code of ours.
fn control(client: &str, server: &str, scenario: &str) {
    let scenario = Scenario::named(scenario);
    let (client, server) = (Peer::named(client), Peer::named(server));
    let outcome = play::play(scenario, client.client(), server.server());
    println!("{}: {outcome:?}", scenario.id());
}

/// Runs last and alone: the document is what the run recorded.
#[test]
#[ignore = "needs a whole run: tests/run.sh interop does it"]
fn document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop.md");
    let page = matrix::page(COLUMNS);
    if env::var_os("UPDATE_DOCS").is_some() {
        assert!(!page.contains("FAILED"), "not written with failed cells");
        fs::write(&path, &page).expect("docs/interop.md");
    }
    let committed = fs::read_to_string(&path).expect("docs/interop.md");
    let (committed, recorded) = (matrix::judged(&committed), matrix::judged(&page));
    for (committed, recorded) in committed.iter().zip(&recorded) {
        assert_eq!(
            committed, recorded,
            "docs/interop.md differs from this run: UPDATE_DOCS=1 tests/run.sh interop"
        );
    }
    assert_eq!(committed.len(), recorded.len());
}
