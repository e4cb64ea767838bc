//! The record of each column, and the document's tables made of it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use ssh_interop::peers::peers_folder;

use super::slots::{Row, Slot, rows};
use super::{COLUMNS, Column, Outcome};
use crate::matrix::Role;

/// Writes a column down.
pub(super) fn record(column: &Column, outcomes: &[(Row, Outcome)]) {
    let file = file(column);
    let folder = file.parent().expect("a folder");
    fs::create_dir_all(folder).expect("the results' folder");
    let mut text = String::new();
    for (row, outcome) in outcomes {
        let cell = match outcome {
            Outcome::Works => "yes",
            Outcome::NotTried => "–",
            Outcome::Failed(_) => "FAILED",
        };
        let _ = writeln!(text, "{} {} {cell}", row.slot.id(), row.name);
    }
    fs::write(file, text).expect("the result");
}

fn file(column: &Column) -> PathBuf {
    let folder = peers_folder().join("results/algorithms");
    folder.join(column.id)
}

/// The document's part.
///
/// # Panics
/// If a column was not run or has not all rows, or if there is a row that no peer was tried with and
/// that has no reason.
pub(crate) fn tables() -> String {
    let record = |column: &Column| {
        fs::read_to_string(file(column))
            .unwrap_or_else(|_| panic!("algorithms::{} was not run", column.id))
    };
    let records: Vec<String> = COLUMNS.iter().map(record).collect();
    let rows = rows();
    let mut text = "## Algorithms\n\n\
        Each algorithm that ours knows, by default, on request or as legacy, in sessions under that\n\
        one. `→ system` is our client at the server of the system's OpenSSH, `system →` its client\n\
        at our server; our provider is RustCrypto's but where another is named. `–`: the peer does\n\
        not know it.\n\n"
        .to_owned();
    for slot in Slot::ALL {
        let _ = write!(text, "### {}\n\n| |", slot.title());
        for column in COLUMNS {
            let _ = match column.role {
                Role::Client => write!(text, " {} → |", column.title),
                Role::Server => write!(text, " → {} |", column.title),
            };
        }
        let _ = writeln!(text, "\n|---|{}", "---|".repeat(COLUMNS.len()));
        let mut reasons = String::new();
        for row in rows.iter().filter(|row| row.slot == slot) {
            if let Some(reason) = row.untried() {
                let _ = writeln!(reasons, "- `{}` is not tried: {reason}", row.name);
                continue;
            }
            let _ = write!(text, "| {} |", row.name);
            let mut tried = false;
            for (column, record) in COLUMNS.iter().zip(&records) {
                let name = format!("{} {} ", slot.id(), row.name);
                let cell = record.lines().find_map(|line| line.strip_prefix(&name));
                let cell = cell.unwrap_or_else(|| panic!("{} has no {name}", column.id));
                tried |= cell != "–";
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
            assert!(tried, "no peer has {}: say why in slots.rs", row.name);
        }
        text.push('\n');
        if !reasons.is_empty() {
            let _ = writeln!(text, "{reasons}");
        }
    }
    text
}
