//! `docs/reference-api.md` names items and tests that exist.
//!
//! Its tables have three columns: what the reference offers, the public items that stand for it, and
//! the tests that prove it. Items are paths such as `ssh_proto::ClientConnection::auth_none`, the
//! variants of an enum and the methods of a trait included; tests are `path/of/file.rs::name`.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// The public face of a crate, as far as text shows it.
struct Crate(Vec<String>);

impl Crate {
    fn read(name: &str) -> Self {
        let mut files = Vec::new();
        sources(&root().join(name).join("src"), &mut files);
        Self(files)
    }

    /// Whether an item of this name is public.
    fn has_item(&self, name: &str) -> bool {
        let kinds = ["struct", "enum", "trait", "fn", "mod", "const", "type"];
        let forms: Vec<String> = kinds
            .iter()
            .map(|kind| format!("pub {kind} {name}"))
            .chain([format!("pub const fn {name}")])
            .collect();
        self.0
            .iter()
            .any(|file| forms.iter().any(|form| has_word(file, form)))
    }

    /// Whether something of this name belongs to the type: a method, a constant, a variant, a field.
    fn has_member(&self, owner: &str, name: &str) -> bool {
        self.0.iter().any(|file| {
            // Setters that both builders have come from one macro.
            let shared =
                owner.ends_with("ConfigBuilder") && file.contains("macro_rules! common_setters");
            let bodies: Vec<&str> = bodies_of(file, owner)
                .into_iter()
                .chain(shared.then_some(&file[..]))
                .collect();
            bodies.iter().any(|body| {
                [
                    format!("fn {name}"),
                    format!("pub const {name}"),
                    format!("pub {name}:"),
                ]
                .iter()
                .any(|form| has_word(body, form))
                    || is_variant(body, name)
            })
        })
    }
}

/// Whether the text stands there and no longer word begins with it.
fn has_word(file: &str, text: &str) -> bool {
    file.match_indices(text).any(|(at, _)| {
        let next = file[at + text.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// A line that begins a variant of this name.
fn is_variant(body: &str, name: &str) -> bool {
    body.lines().any(|line| {
        line.trim().strip_prefix(name).is_some_and(|rest| {
            rest.is_empty()
                || rest.starts_with(',')
                || rest.starts_with('(')
                || rest.starts_with(" {")
        })
    })
}

/// Whether a file has a test of this name.
fn has_test(file: &str, name: &str) -> bool {
    file.split_once(&format!("fn {name}()"))
        .is_some_and(|(before, _)| {
            let lines = before.lines().rev().map(str::trim);
            let mut attributes = lines
                .skip_while(|line| line.is_empty())
                .take_while(|line| line.starts_with("#["));
            attributes.any(|line| line == "#[test]")
        })
}

/// The definition of a type or trait, and its `impl` blocks.
fn bodies_of<'f>(file: &'f str, owner: &str) -> Vec<&'f str> {
    let heads = ["impl", "pub struct ", "pub enum ", "pub trait "];
    let lines = file.match_indices('\n').map(|(at, _)| &file[at + 1..]);
    lines
        .filter(|rest| {
            let head = rest.lines().next().unwrap_or_default();
            heads.iter().any(|kind| head.starts_with(kind)) && has_word(head, owner)
        })
        .map(|rest| &rest[..rest.find("\n}").unwrap_or(rest.len())])
        .collect()
}

/// What stands in backquotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_row_names_items_and_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/reference-api.md")).expect("the document");
    let crates = [
        ("ssh_proto", Crate::read("ssh-proto")),
        ("ssh_io_std", Crate::read("ssh-io-std")),
    ];
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 3, "{line}");
        if cells[0].trim() == "reference" {
            continue;
        }
        rows += 1;
        let mut items = 0;
        for item in quoted(cells[1]) {
            let path: Vec<&str> = item.split("::").collect();
            let Some((_, face)) = crates.iter().find(|(name, _)| *name == path[0]) else {
                continue; // A word of Rust or of the protocol.
            };
            items += 1;
            let exists = match &path[1..] {
                [] => false,
                [item] => face.has_item(item),
                [module, item] if module.starts_with(char::is_lowercase) => face.has_item(item),
                [.., owner, member] => face.has_member(owner, member),
            };
            if !exists {
                wrong.push(format!("item {item}"));
            }
        }
        if items == 0
            && !cells[1].starts_with("replaced on purpose")
            && !cells[1].starts_with("the feature")
        {
            wrong.push(format!("no item: {line}"));
        }
        let tests = quoted(cells[2]);
        if tests.is_empty() {
            wrong.push(format!("no test: {line}"));
        }
        for test in tests {
            let exists = test.split_once("::").is_some_and(|(path, name)| {
                fs::read_to_string(root().join(path)).is_ok_and(|file| has_test(&file, name))
            });
            if !exists {
                wrong.push(format!("test {test}"));
            }
        }
    }
    assert!(rows > 50, "only {rows} rows");
    assert!(wrong.is_empty(), "not there:\n{}", wrong.join("\n"));
}
