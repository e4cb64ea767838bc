//! The table: its rows and columns, the record of each cell, and the document made of it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use ssh_interop::peers::peers_folder;

use crate::peers::{PEERS, Peer};

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Password,
    Publickey,
    PublickeyEcdsa,
    KeyboardInteractive,
    ExecStatus,
    Stderr,
    Env,
    Pty,
    Signal,
    Subsystem,
    LocalForward,
    RemoteForward,
    DynamicForward,
    UnixForward,
    RemoteUnixForward,
    AgentForward,
    RekeyLoad,
}

impl Scenario {
    const ALL: [Self; 17] = [
        Self::Password,
        Self::Publickey,
        Self::PublickeyEcdsa,
        Self::KeyboardInteractive,
        Self::ExecStatus,
        Self::Stderr,
        Self::Env,
        Self::Pty,
        Self::Signal,
        Self::Subsystem,
        Self::LocalForward,
        Self::RemoteForward,
        Self::DynamicForward,
        Self::UnixForward,
        Self::RemoteUnixForward,
        Self::AgentForward,
        Self::RekeyLoad,
    ];

    /// By the name of its test.
    pub(crate) fn named(test: &str) -> Self {
        let id = test.replace('_', "-");
        let found = Self::ALL.into_iter().find(|scenario| scenario.id() == id);
        found.unwrap_or_else(|| panic!("no scenario {id}"))
    }

    /// As programs are told it.
    pub(crate) fn id(self) -> &'static str {
        self.texts().0
    }

    /// Its name for programs, and what it asks for.
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Password => ("password", "log in by password alone"),
            Self::Publickey => ("publickey", "log in by an Ed25519 key alone"),
            Self::PublickeyEcdsa => ("publickey-ecdsa", "the same by one of ECDSA on P-256"),
            Self::KeyboardInteractive => (
                "keyboard-interactive",
                "log in by keyboard-interactive alone, one prompt",
            ),
            Self::ExecStatus => (
                "exec-status",
                "commands, their input, output and exit status 0 to 255",
            ),
            Self::Stderr => ("stderr", "standard error apart from standard output"),
            Self::Env => ("env", "a variable reaches the command"),
            Self::Pty => (
                "pty",
                "a terminal of the type and size asked for, which is resized and typed on",
            ),
            Self::Signal => (
                "signal",
                "a command is sent TERM and is reported to have died of it",
            ),
            Self::Subsystem => ("subsystem", "`sftp` answers its first packet"),
            Self::LocalForward => (
                "local-forward",
                "`direct-tcpip`: connections echo 1 MiB after a half-close",
            ),
            Self::RemoteForward => ("remote-forward", "`tcpip-forward`: the same"),
            Self::DynamicForward => ("dynamic-forward", "SOCKS 5 at the client: the same"),
            Self::UnixForward => (
                "unix-forward",
                "`direct-streamlocal@openssh.com`: the same over UNIX sockets",
            ),
            Self::RemoteUnixForward => (
                "remote-unix-forward",
                "`streamlocal-forward@openssh.com`: the same",
            ),
            Self::AgentForward => (
                "agent-forward",
                "`ssh-add -T` on the server signs by an agent beside the client",
            ),
            Self::RekeyLoad => (
                "rekey-load",
                "8 MiB both ways at once, new keys each MiB, and nothing lost",
            ),
        }
    }
}

/// What the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

impl Role {
    /// `dropbear_server` is the peer `dropbear` as a server.
    pub(crate) fn of_column(column: &str) -> (&str, Self) {
        match column.rsplit_once('_') {
            Some((peer, "client")) => (peer, Self::Client),
            Some((peer, "server")) => (peer, Self::Server),
            _ => panic!("{column} names no role"),
        }
    }
}

/// How a cell went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Works,
    /// The peer does not know it, and why.
    Unknown(String),
    Failed,
}

impl Outcome {
    /// Writes it down for the document.
    pub(crate) fn record(&self, column: &str, scenario: Scenario) {
        let file = Self::file(column, scenario);
        let folder = file.parent().expect("a folder");
        fs::create_dir_all(folder).expect("the results' folder");
        let text = match self {
            Self::Works => "works".to_owned(),
            Self::Unknown(reason) => format!("unknown {reason}"),
            Self::Failed => "failed".to_owned(),
        };
        fs::write(file, text).expect("the result");
    }

    fn read(column: &str, scenario: Scenario) -> Self {
        let file = Self::file(column, scenario);
        let text = fs::read_to_string(&file)
            .unwrap_or_else(|_| panic!("{column}::{} was not run", scenario.id()));
        match text.split_once(' ') {
            Some(("unknown", reason)) => Self::Unknown(reason.to_owned()),
            _ if text == "works" => Self::Works,
            _ => Self::Failed,
        }
    }

    fn file(column: &str, scenario: Scenario) -> PathBuf {
        let folder = peers_folder().join("results").join(column);
        folder.join(scenario.id())
    }
}

const VERSIONS: &str = "## Versions";
const SCENARIOS: &str = "## Scenarios";

/// The document, made of what was recorded.
///
/// # Panics
/// If a peer has no column, or a cell was not run.
pub(crate) fn page(columns: &[&str]) -> String {
    for peer in PEERS {
        let missing = peer.columns().find(|column| !columns.contains(&&**column));
        assert_eq!(missing, None, "main.rs has no such column");
    }
    let mut notes = Vec::new();
    let clients = table(columns, Role::Client, &mut notes);
    let servers = table(columns, Role::Server, &mut notes);
    let mut page = format!(
        "# Interop\n\n\
         What `tests/run.sh` found when it played each scenario with each peer: made from its results by\n\
         `UPDATE_DOCS=1 tests/run.sh interop` and never by hand. A later run that finds anything\n\
         else fails. A number in a cell is the reason below why the peer does not know it.\n\n\
         ## Their client at our server\n\n{clients}\n\
         ## Our client at their server\n\n{servers}\n"
    );
    if !notes.is_empty() {
        page.push_str("## What a peer does not know\n\n");
        for (at, note) in notes.iter().enumerate() {
            let _ = writeln!(page, "{}. {note}", at + 1);
        }
        page.push('\n');
    }
    page.push_str(&crate::algorithms::tables());
    let _ = writeln!(page, "{VERSIONS}\n");
    page.push_str(
        "Those of the last run that wrote this page; another version breaks nothing.\n\n",
    );
    page.push_str("| peer | version | runs |\n|---|---|---|\n");
    for peer in PEERS {
        let version = (peer.version)(peer);
        let _ = writeln!(page, "| {} | {version} | {} |", peer.title, peer.runs);
    }
    let _ = writeln!(
        page,
        "\n{SCENARIOS}\n\n| scenario | what it asks for |\n|---|---|"
    );
    for scenario in Scenario::ALL {
        let (id, meaning) = scenario.texts();
        let _ = writeln!(page, "| {id} | {meaning} |");
    }
    page
}

fn table(columns: &[&str], role: Role, notes: &mut Vec<String>) -> String {
    let of_role = |column: &&&str| Role::of_column(column).1 == role;
    let columns: Vec<&str> = columns.iter().filter(of_role).copied().collect();
    let mut table = "| |".to_owned();
    for column in &columns {
        let _ = write!(table, " {} |", Peer::named(Role::of_column(column).0).title);
    }
    let _ = writeln!(table, "\n|---|{}", "---|".repeat(columns.len()));
    for scenario in Scenario::ALL {
        let _ = write!(table, "| {} |", scenario.id());
        for column in &columns {
            let cell = match Outcome::read(column, scenario) {
                Outcome::Works => "yes".to_owned(),
                Outcome::Failed => "FAILED".to_owned(),
                Outcome::Unknown(reason) => {
                    let known = notes.iter().position(|note| *note == reason);
                    let at = known.unwrap_or_else(|| {
                        notes.push(reason);
                        notes.len() - 1
                    });
                    format!("no ({})", at + 1)
                }
            };
            let _ = write!(table, " {cell} |");
        }
        table.push('\n');
    }
    table
}

/// The lines of a document that a run is held to: all but the versions.
pub(crate) fn judged(page: &str) -> Vec<&str> {
    let (head, rest) = page.split_once(VERSIONS).unwrap_or((page, ""));
    let (_, tail) = rest.split_once(SCENARIOS).unwrap_or(("", ""));
    head.lines().chain(tail.lines()).collect()
}
