//! The layers of the core, held to: no file names anything of a layer above its own, and each says what it is for.

use std::fs;
use std::path::{Path, PathBuf};

/// Layers, lowest first; each may name those before it and itself. [`SIDE`] stands aside.
const LAYERS: [(&str, &[&str]); 7] = [
    (
        "base",
        &["error", "time", "limits", "role", "text", "trace"],
    ),
    ("wire", &["wire"]),
    ("crypto", &["crypto"]),
    ("transport", &["transport"]),
    ("auth", &["auth"]),
    ("mux", &["mux"]),
    ("engine", &["engine"]),
];

/// The faces, above everything.
const FACE: [&str; 5] = ["client", "server", "config", "connection", "lib"];

/// The side branches, each with those of its kind that it sees. Of the layers they see what
/// cryptography sees, and no layer sees them.
const SIDE: [(&str, &[&str]); 2] = [("keys", &["keys"]), ("agent", &["agent", "keys"])];

fn side(module: &str) -> Option<&'static [&'static str]> {
    let found = SIDE.iter().find(|(name, _)| *name == module);
    found.map(|(_, sees)| *sees)
}

/// What the channels may know of authentication.
const KNOWN_TO_MUX: [&str; 2] = ["Authenticated;", "Permissions;"];

fn rank(module: &str) -> usize {
    if FACE.contains(&module) {
        return LAYERS.len();
    }
    LAYERS
        .iter()
        .position(|(_, modules)| modules.contains(&module))
        .unwrap_or_else(|| panic!("module `{module}` belongs to no layer: name it in this test"))
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ssh-proto/src")
}

fn files() -> Vec<(String, String)> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("source folder") {
            let path = entry.expect("entry").path();
            match path.is_dir() {
                true => walk(&path, into),
                false if path.extension().is_some_and(|ext| ext == "rs") => into.push(path),
                false => {}
            }
        }
    }
    let root = source();
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    assert!(paths.len() > 40, "the core is there");
    paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("under the root");
            let text = fs::read_to_string(path).expect("source file");
            (name.to_str().expect("UTF-8").replace('\\', "/"), text)
        })
        .collect()
}

/// The first segment of the path of a file.
fn module_of(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Code alone: without comments, string literals and what follows `#[cfg(test)] mod tests`.
fn code_of(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    let mut code = String::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or(line);
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// Every module of the crate's root that the code names: `crate::a::b`, and the groups of
/// `use crate::{a, b::c}`.
fn named_modules(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` in a macro is the same crate.
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => named.push(std::mem::take(&mut item)),
                    _ if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            named.push(item);
        } else {
            named.push(
                rest.chars()
                    .take_while(|c| *c == '_' || c.is_alphanumeric())
                    .collect(),
            );
        }
    }
    named
        .iter()
        .map(|item| {
            item.trim()
                .split("::")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .filter(|item| !item.is_empty())
        .collect()
}

/// Where a name of the crate's root that is no module of it lives.
fn home_of<'a>(named: &'a str, files: &[(String, String)]) -> &'a str {
    let is_module = files.iter().any(|(file, _)| module_of(file) == named);
    if is_module {
        return named;
    }
    // Re-exported by lib.rs; `pub use` in lower layers would be a hidden upward edge.
    match named {
        "Limits" => "limits",
        "Error" => "error",
        "Instant" | "Timer" => "time",
        "Role" => "role",
        "PeerText" => "text",
        // Everything else there is made above.
        _ => "lib",
    }
}

fn is_test_file(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    file.contains("/tests/")
        || name.ends_with("tests.rs")
        || name == "testing.rs"
        || name == "toy.rs"
}

fn violations(files: &[(String, String)]) -> Vec<String> {
    let mut violations = Vec::new();
    for (file, text) in files.iter().filter(|(file, _)| !is_test_file(file)) {
        let from = module_of(file);
        for named in named_modules(&code_of(text)) {
            let to = home_of(&named, files);
            let allowed = match (from, to) {
                (from, to) if side(to).is_some() => {
                    FACE.contains(&from) || side(from).is_some_and(|sees| sees.contains(&to))
                }
                (from, to) if side(from).is_some() => rank(to) <= rank("crypto"),
                // Neighbours that must not know each other though one stands above the other.
                ("auth" | "mux", "transport") => false,
                // The proof of authentication, and what it permits, is all that the channels know of it.
                ("mux", "auth") => code_of(text)
                    .split("crate::auth::")
                    .skip(1)
                    .all(|item| KNOWN_TO_MUX.iter().any(|name| item.starts_with(name))),
                (from, to) => rank(to) <= rank(from),
            };
            if !allowed {
                violations.push(format!("{file} names crate::{named}, of {to}"));
            }
        }
    }
    violations
}

#[test]
fn no_layer_names_one_above() {
    assert_eq!(violations(&files()), Vec::<String>::new());
}

/// Only the joint and what is above it know that there is a transport.
#[test]
fn transport_is_named_by_the_engine_and_the_faces_alone() {
    for (file, text) in files() {
        let from = module_of(&file);
        let names_it = named_modules(&code_of(&text))
            .iter()
            .any(|name| name == "transport");
        if names_it && !is_test_file(&file) {
            assert!(
                from == "transport" || from == "engine" || FACE.contains(&from),
                "{file} names crate::transport"
            );
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (file, text) in files() {
        let first = text.lines().next().unwrap_or_default();
        let says = first
            .strip_prefix("//! ")
            .is_some_and(|says| says.len() > 10);
        assert!(says, "{file} begins with `{first}`");
    }
}

#[test]
fn the_core_does_not_reach_outside() {
    let manifest = fs::read_to_string(source().join("../Cargo.toml")).expect("manifest");
    let lib = files()
        .into_iter()
        .find(|(file, _)| file == "lib.rs")
        .expect("lib.rs")
        .1;
    assert!(lib.contains("#![no_std]") && lib.contains("#![forbid(unsafe_code)]"));
    for (file, text) in files().iter().filter(|(file, _)| !is_test_file(file)) {
        let code = code_of(text);
        for outside in [
            "std::net",
            "std::io",
            "std::fs",
            "std::time",
            "std::thread",
            "SystemTime",
        ] {
            assert!(!code.contains(outside), "{file} names {outside}");
        }
    }
    let dependencies = manifest
        .split("[dependencies]")
        .nth(1)
        .expect("dependencies");
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    for outside in ["tokio", "mio", "getrandom", "rand", "socket2", "libc"] {
        let named = dependencies.lines().any(|line| {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            name == outside
        });
        assert!(!named, "the core depends on {outside}");
    }
}

/// The test itself: each kind of upward edge is seen.
#[test]
fn upward_edges_are_seen() {
    let mut files = files();
    let clean = violations(&files).len();
    for (file, code) in [
        ("wire/new.rs", "use crate::crypto::Signature;"),
        (
            "wire/new.rs",
            "use crate::{error::Error, transport::Packet};",
        ),
        ("crypto/new.rs", "fn f() -> crate::engine::Transmit {}"),
        ("transport/new.rs", "use crate::mux::ChannelId;"),
        ("auth/new.rs", "use crate::transport::kex::SessionId;"),
        ("mux/new.rs", "use crate::auth::Server;"),
        (
            "mux/new.rs",
            "use crate::{\n    limits::Limits,\n    transport::{Packet, HostKey},\n};",
        ),
        ("engine/new.rs", "use crate::client::ClientConnection;"),
        ("keys/new.rs", "use crate::transport::HostKey;"),
        ("keys/new.rs", "use crate::agent::Keyring;"),
        ("agent/new.rs", "use crate::auth::Server;"),
        ("auth/new.rs", "use crate::agent::Keyring;"),
        ("error.rs", "use crate::wire::Reader;"),
        ("engine/new.rs", "use crate::ClientEvent;"),
    ] {
        files.push((file.to_owned(), code.to_owned()));
        assert_eq!(violations(&files).len(), clean + 1, "{file}: {code}");
        files.pop();
    }
    files.push(("wire/new.rs".to_owned(), "// use crate::mux::X;".to_owned()));
    assert_eq!(violations(&files).len(), clean, "comments do not count");
}
