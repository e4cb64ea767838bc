//! Signatures of files, revocation lists and lists of hosts, there and back with `ssh-keygen`.

use std::path::Path;

use ssh_interop::process::{PATIENCE, command, run, run_with};
use ssh_interop::{Key, OpenSsh, Output, TestDir};
use ssh_proto::crypto::{PrivateKey, PublicKey, rustcrypto};
use ssh_proto::keys::{
    HostPort, KnownHosts, PublicKeyLine, RevocationList, SshSig, SshSigHash, Verdict,
};

use crate::keyfiles::SystemRandom;

/// Types of keys, as `ssh-keygen` is asked for them; the last by the newest alone.
const TYPES: [(&str, &[&str]); 6] = [
    ("ed25519", &[]),
    ("ecdsa", &["-b", "256"]),
    ("ecdsa", &["-b", "384"]),
    ("ecdsa", &["-b", "521"]),
    ("rsa", &["-b", "2048"]),
    ("mldsa44-ed25519", &[]),
];

fn newest(arguments: &[&str], files: &[&Path]) -> Output {
    let mut keygen = command(OpenSsh::of_release("sid").program("bin/ssh-keygen"));
    keygen.args(arguments).args(files);
    run(keygen)
}

fn key(dir: &TestDir, key_type: &str, more: &[&str]) -> Key {
    let path = dir.file(&format!("key-{key_type}{}", more.concat()));
    let first = ["-q", "-N", "", "-t", key_type];
    newest(&[&first[..], more, &["-f"]].concat(), &[&path]).ok();
    Key::at(path)
}

fn public(key: &Key) -> PublicKey {
    let line = PublicKeyLine::parse(key.line.as_bytes());
    line.expect("a public key").key
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn signatures_go_there_and_back() {
    let dir = TestDir::new();
    let provider = rustcrypto::provider();
    for (key_type, more) in TYPES {
        let key = key(&dir, key_type, more);
        let private = std::fs::read(&key.private).expect("the key");
        let private = PrivateKey::from_openssh(&private).expect("the key");
        let signer = provider.signing_key(&private).expect("a key");
        let signers = dir.write("signers", format!("me@example {}\n", key.line));
        let signers = signers.display().to_string();
        for (name, hash) in [
            ("sha256", SshSigHash::Sha256),
            ("sha512", SshSigHash::Sha512),
        ] {
            let message = dir.write("message", format!("a text {name}"));
            let text = std::fs::read(&message).expect("the text");
            // Theirs.
            let option = format!("hashalg={name}");
            let file = key.private.display().to_string();
            let sign = ["-Y", "sign", "-n", "test", "-O", &option, "-f", &file];
            newest(&sign, &[&message]).ok();
            let written = dir.file("message.sig");
            let theirs = std::fs::read(&written).expect("a signature");
            std::fs::remove_file(&written).expect("removed");
            let theirs = SshSig::from_armored(&theirs).expect("a signature");
            let signed_by = theirs.verify("test", &text, &provider);
            assert_eq!(signed_by.expect("a good one"), &public(&key), "{key_type}");
            assert!(theirs.verify("test", b"another", &provider).is_err());
            assert!(theirs.verify("file", &text, &provider).is_err());
            // Ours.
            let ours = SshSig::sign(signer.as_ref(), "test", hash, &text, &provider);
            let ours = dir.write("ours", ours.expect("a signature").to_armored());
            let verify = |text: &[u8], namespace: &str| {
                let mut keygen = command(OpenSsh::of_release("sid").program("bin/ssh-keygen"));
                keygen.args(["-Y", "verify", "-n", namespace, "-I", "me@example"]);
                keygen.args(["-f", &signers, "-s"]).arg(&ours);
                run_with(keygen, text.to_vec(), PATIENCE)
            };
            let good = verify(&text, "test").ok();
            assert!(
                good.contains("Good \"test\" signature for me@example"),
                "{good}"
            );
            verify(b"another", "test").failed(255);
            verify(&text, "file").failed(255);
        }
    }
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn revocation_lists_go_there_and_back() {
    let dir = TestDir::new();
    let provider = rustcrypto::provider();
    let revoked: Vec<_> = TYPES.map(|(kind, more)| key(&dir, kind, more)).into();
    let good = {
        let other = dir.file("other");
        std::fs::create_dir(&other).expect("a folder");
        let path = other.join("good");
        newest(&["-q", "-N", "", "-t", "ed25519", "-f"], &[&path]).ok();
        Key::at(path)
    };
    // Theirs: keys, one by its hashes.
    let list = dir.file("theirs");
    let spec: String = revoked
        .iter()
        .zip(["key", "sha1", "sha256", "key", "sha256", "key"])
        .map(|(key, how)| format!("{how}: {}\n", key.line))
        .collect();
    let spec = dir.write("spec", spec);
    let listed = list.display().to_string();
    newest(&["-q", "-k", "-f", &listed], &[&spec]).ok();
    let theirs = RevocationList::parse(&std::fs::read(&list).expect("the list"));
    let theirs = theirs.expect("a list");
    for key in &revoked {
        assert!(
            theirs.is_key_revoked(&public(key), provider.sha256),
            "{}",
            key.line
        );
    }
    assert!(!theirs.is_key_revoked(&public(&good), provider.sha256));
    // Ours.
    let mut ours = RevocationList::new(3, 1_700_000_000, "a comment");
    for (at, key) in revoked.iter().enumerate() {
        match at % 2 {
            0 => ours.revoke_key(&public(key)),
            _ => ours.revoke_fingerprint(public(key).fingerprint(provider.sha256)),
        }
    }
    ours.revoke_serials(Some(&public(&good)), 5..=9);
    ours.revoke_key_id(Some(&public(&good)), b"an id");
    let ours = dir.write("ours", ours.to_bytes());
    let asked = ours.display().to_string();
    for key in &revoked {
        let output = newest(&["-Q", "-f", &asked], &[&key.public]);
        assert!(output.out().contains("REVOKED"), "{output:?}");
    }
    let output = newest(&["-Q", "-f", &asked], &[&good.public]);
    assert!(output.ok().ends_with(": ok\n"), "{output:?}");
    let shown = newest(&["-Q", "-l", "-f", &asked], &[]).ok();
    for line in ["KRL version 3", "serial: 5-9", "id: an id"] {
        assert!(shown.contains(line), "no {line:?} in {shown}");
    }
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn hashed_hosts_go_there_and_back() {
    let dir = TestDir::new();
    let (one, two) = (
        key(&dir, "ed25519", &[]),
        key(&dir, "ecdsa", &["-b", "256"]),
    );
    let at = |name, port| HostPort::new(name, port).expect("a host");
    // Theirs.
    let text = format!(
        "first.example,192.0.2.1 {}\n[second.example]:2200 {}\n@revoked * {}\n",
        one.line, one.line, two.line
    );
    let file = dir.write("theirs", text);
    newest(&["-H", "-f"], &[&file]).ok();
    let text = std::fs::read(&file).expect("the list");
    assert!(!String::from_utf8_lossy(&text).contains("first.example"));
    let (hosts, errors) = KnownHosts::parse(text).expect("a list");
    assert!(errors.is_empty(), "{errors:?}");
    for host in [
        at("first.example", 22),
        at("192.0.2.1", 22),
        at("second.example", 2200),
    ] {
        let found = hosts.find(&host);
        assert!(
            matches!(found.verdict(&public(&one)), Verdict::Match { .. }),
            "{host:?}"
        );
        assert!(
            matches!(found.verdict(&public(&two)), Verdict::Revoked { .. }),
            "{host:?}"
        );
    }
    let unknown = hosts.find(&at("second.example", 22)).verdict(&public(&one));
    assert!(matches!(unknown, Verdict::Unknown), "{unknown:?}");
    // Ours.
    let (mut ours, _) = KnownHosts::parse("").expect("an empty list");
    for host in [at("first.example", 22), at("second.example", 2200)] {
        ours.add_hashed(&host, &public(&one), &mut SystemRandom)
            .expect("added");
    }
    let file = dir.write("ours", ours.as_bytes());
    let asked = file.display().to_string();
    for (host, known) in [
        ("first.example", true),
        ("[second.example]:2200", true),
        ("second.example", false),
    ] {
        let output = newest(&["-F", host, "-f", &asked], &[]);
        assert_eq!(output.code(), Some(i32::from(!known)), "{host} {output:?}");
        assert_eq!(output.out().contains(&one.line), known, "{host}");
    }
}
