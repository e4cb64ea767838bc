//! The example client as a process, against a small server: streams, exit status, known hosts, refusals.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;

use common::{PASSWORD, USER, serve_as, server_config};

/// A folder of this test's own, with a server's port.
struct Setup {
    folder: PathBuf,
    port: u16,
}

impl Setup {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ssh-io-std-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("password"), format!("{PASSWORD}\n")).unwrap();
        let port = Self::listen();
        Self { folder, port }
    }

    fn listen() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let config = server_config();
            for socket in listener.incoming() {
                serve_as(socket.unwrap(), config.clone());
            }
        });
        port
    }

    /// Runs the client with these flags and words behind those that all have in common.
    fn run(&self, flags: &[&str], words: &[&str], input: &[u8]) -> Output {
        let deps = std::env::current_exe().unwrap();
        let client = deps
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("examples/client");
        let known_hosts = self.folder.join("known_hosts");
        let mut child = Command::new("/bin/sh")
            .args(["-c", r#"exec "$0" --password-fd 3 "$@" 3<"$PASSWORD_FILE""#])
            .arg(client)
            .args([
                "-F",
                "none",
                "-o",
                "GlobalKnownHostsFile=none",
                "-o",
                "PubkeyAuthentication no",
            ])
            .arg(format!("-oUserKnownHostsFile={}", known_hosts.display()))
            .arg(format!("-p{}", self.port))
            .args(flags)
            .arg(format!("{USER}@127.0.0.1"))
            .args(words)
            .env("PASSWORD_FILE", self.folder.join("password"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = thread::spawn(move || {
            // The client may not want it.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const NEW: &str = "-oStrictHostKeyChecking=accept-new";

#[test]
fn streams_and_status_pass_through() {
    let setup = Setup::new("streams");
    let output = setup.run(&[NEW, "-q"], &["both"], b"");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("123", "123"));
    assert_eq!(output.status.code(), Some(3));

    let input: Vec<u8> = (0..1u32 << 20).map(|i| (i % 253) as u8).collect();
    let output = setup.run(&["-q"], &["cat"], &input);
    assert!(output.stdout == input && output.stderr.is_empty());
    assert_eq!(output.status.code(), Some(0));

    let output = setup.run(&["-q", "-n"], &["cat"], b"not wanted");
    assert_eq!((output.stdout.len(), output.status.code()), (0, Some(0)));

    let output = setup.run(&["-q"], &["source", "300000"], b"");
    assert_eq!(output.stdout.len(), 300_000);
    let output = setup.run(&["-q"], &["no"], b"");
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(
        text(&output.stderr).trim_end(),
        "exec request failed on channel 0"
    );
}

#[test]
fn what_was_negotiated_is_shown() {
    let setup = Setup::new("verbose");
    let flags = [
        NEW,
        "-v",
        "-c",
        "aes256-ctr",
        "-m",
        "hmac-sha2-512",
        "-oKexAlgorithms=curve25519-sha256",
        "-oCheckHostIP=no",
    ];
    let output = setup.run(&flags, &["both"], b"");
    let log = text(&output.stderr);
    for line in [
        "debug1: CheckHostIP has no effect in this client",
        "debug1: kex: algorithm: curve25519-sha256",
        "debug1: kex: host key algorithm: ssh-ed25519",
        "debug1: kex: client->server cipher: aes256-ctr MAC: hmac-sha2-512 compression: none",
        "debug1: kex: strict: yes post-quantum: no",
        "debug1: Authenticated as ferris using \"password\".",
    ] {
        assert!(log.contains(line), "{line} is missing in:\n{log}");
    }
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn hosts_are_remembered_and_changes_refused() {
    let mut setup = Setup::new("hosts");
    let alias = "-oHostKeyAlias=crate.example";
    let output = setup.run(&[alias, "-oStrictHostKeyChecking=yes"], &["both"], b"");
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("Host key verification failed."));

    let output = setup.run(&[alias, NEW], &["both"], b"");
    assert_eq!(output.status.code(), Some(3));
    let line = fs::read_to_string(setup.folder.join("known_hosts")).unwrap();
    assert!(line.starts_with("crate.example ssh-ed25519 AAAA"), "{line}");
    assert_eq!(line.lines().count(), 1);
    let output = setup.run(&[alias, "-oStrictHostKeyChecking=yes"], &["both"], b"");
    assert_eq!(output.status.code(), Some(3));
    // Another server has another key.
    setup.port = Setup::listen();
    let output = setup.run(&[alias, NEW], &["both"], b"");
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("REMOTE HOST IDENTIFICATION HAS CHANGED"));
    // And where that is not checked, no password is given away.
    let output = setup.run(&[alias, "-oStrictHostKeyChecking=no"], &["both"], b"");
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("Permission denied (publickey,password)."));
}

#[test]
fn wrong_passwords_and_flags_are_refused() {
    let setup = Setup::new("refused");
    fs::write(setup.folder.join("password"), "lobster\n").unwrap();
    let output = setup.run(&[NEW, "-q"], &["both"], b"");
    assert_eq!(output.status.code(), Some(255));
    let message = format!("{USER}@127.0.0.1: Permission denied (publickey,password).");
    assert_eq!(text(&output.stderr).trim_end(), message);
    for (flag, message) in [
        ("-Z", "unknown option -Z"),
        ("--zero", "unknown option --zero"),
        ("-J", "option -J is not supported by this client yet"),
        ("-oNonsense=1", "bad configuration option: Nonsense"),
        (
            "-oProxyCommand=nc %h %p",
            "ProxyCommand is not supported by this client yet",
        ),
        ("-cnonsense", "unknown algorithm: nonsense"),
    ] {
        let output = setup.run(&[flag], &["both"], b"");
        assert_eq!(text(&output.stderr).trim_end(), message);
        assert_eq!(output.status.code(), Some(255));
    }
}
