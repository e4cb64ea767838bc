//! Whom a client believes: `known_hosts` and `StrictHostKeyChecking`.

use std::fs;

use ssh_interop::{KeyType, Pair};

use crate::{Scene, for_each_pair};

for_each_pair!(
    unknown_host_is_refused,
    changed_host_key_is_refused,
    new_host_is_accepted_once,
    hashed_names_are_found,
    known_type_is_asked_for,
);

fn unknown_host_is_refused(pair: Pair) {
    let scene = Scene::new(pair);
    let empty = scene.dir.write("nobody", "");
    let output = scene.login.clone().known_hosts(&empty).run("echo in");
    let report = output.failed(255);
    assert_eq!(output.out(), "");
    assert!(report.to_lowercase().contains("host key"), "{output:?}");
    assert!(!scene.server.log().contains("Accepted"), "it logged in");
}

fn changed_host_key_is_refused(pair: Pair) {
    let scene = Scene::new(pair);
    let other = scene.dir.key("other", KeyType::Ed25519, "");
    let line = format!("[127.0.0.1]:{} {}\n", scene.server.port, other.line);
    let file = scene.dir.write("changed", &line);
    for strict in ["yes", "accept-new"] {
        let login = scene.login.clone().known_hosts(&file);
        let output = login.option("StrictHostKeyChecking", strict).run("echo in");
        let report = output.failed(255).to_lowercase();
        assert_eq!(output.out(), "");
        assert!(report.contains("changed"), "{strict}: {output:?}");
        assert_eq!(fs::read_to_string(&file).unwrap_or_default(), line);
    }
}

fn new_host_is_accepted_once(pair: Pair) {
    let scene = Scene::new(pair);
    let file = scene.dir.write("growing", "");
    let login = scene.login.clone().known_hosts(&file);
    let accepting = login.clone().option("StrictHostKeyChecking", "accept-new");
    assert_eq!(accepting.run("echo in").ok(), "in\n");
    let lines = fs::read_to_string(&file).unwrap_or_default();
    assert!(lines.contains(&scene.server.host_keys[0].line), "{lines}");
    assert_eq!(login.run("echo in").ok(), "in\n");
    assert_eq!(accepting.run("echo in").ok(), "in\n");
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), lines);
}

fn hashed_names_are_found(pair: Pair) {
    let scene = Scene::new(pair);
    let mut keygen = ssh_interop::process::command("ssh-keygen");
    keygen
        .args(["-H", "-f"])
        .arg(scene.login.known_hosts_file());
    ssh_interop::process::run(keygen).ok();
    let lines = fs::read_to_string(scene.login.known_hosts_file()).unwrap_or_default();
    assert!(lines.starts_with("|1|"), "{lines}");
    assert_eq!(scene.login.run("echo in").ok(), "in\n");
}

/// A host known by one of its keys is asked for that one, and not called unknown for the other.
fn known_type_is_asked_for(pair: Pair) {
    let mut line = String::new();
    let scene = Scene::with(pair, |dir, setup| {
        let known = dir.key("known", KeyType::EcdsaP256, "");
        line.clone_from(&known.line);
        let unknown = dir.key("unknown", KeyType::Ed25519, "");
        setup.host_key(&unknown).host_key(&known)
    });
    let line = format!("[127.0.0.1]:{} {line}\n", scene.server.port);
    let file = scene.dir.write("one", line);
    assert_eq!(
        scene.login.clone().known_hosts(&file).run("echo in").ok(),
        "in\n"
    );
}
