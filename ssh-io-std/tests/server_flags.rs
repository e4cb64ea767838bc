//! Flags of the example server by what they do: the server and the example client as programs.
#![cfg(unix)]

mod programs;

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use programs::{
    Folder, KeyPair, PASSWORD, Server, USER, client, example, run, signal, start, stderr, stdout,
};
use rustix::process::Signal;

/// Flags of the client that lead to the server.
fn destination(server: &Server) -> [String; 2] {
    [format!("-p{}", server.port()), format!("{USER}@127.0.0.1")]
}

fn run_client(folder: &Folder, server: &Server, flags: &[&str]) -> std::process::Output {
    let [port, host] = destination(server);
    let flags = [&[&*port], flags, &[&*host, "echo done"]].concat();
    run(&mut client(folder, &flags))
}

/// Waits until it is so.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn hostkey_algs_choose_the_host_key() {
    let folder = Folder::new();
    let keys = ["ssh-ed25519", "ecdsa-sha2-nistp256"].map(|name| folder.key(name, name));
    let [ed25519, ecdsa] = &keys;
    let files = ["--host-key", &ed25519.path, "--host-key", &ecdsa.path];
    for (list, key) in [("ecdsa-sha2-nistp256", ecdsa), ("-ecdsa*", ed25519)] {
        let server = Server::start(&[&files[..], &["--hostkey-algs", list]].concat());
        let output = run_client(&folder, &server, &["-v"]);
        assert_eq!((stdout(&output), output.status.code()), ("done\n", Some(0)));
        assert!(stderr(&output).contains(&key.fingerprint), "{output:?}");
        let name = key.line.split(' ').next().unwrap();
        let negotiated = format!("kex: host key algorithm: {name}\r\n");
        assert!(stderr(&output).contains(&negotiated), "{output:?}");
        // The other is not to be had.
        let output = run_client(&folder, &server, &[&format!("-oHostKeyAlgorithms=-{name}")]);
        assert_eq!((stdout(&output), output.status.code()), ("", Some(255)));
    }
}

#[test]
fn providers_are_chosen_by_name() {
    let folder = Folder::new();
    for (name, is_built) in [
        ("rustcrypto", true),
        ("graviola", cfg!(feature = "graviola")),
        ("aws-lc-rs", cfg!(feature = "aws-lc-rs")),
        ("leadcrypto", false),
    ] {
        if is_built {
            let server = Server::start(&["--provider", name]);
            let [port, host] = destination(&server);
            let flags = [&*port, &host, "echo done"];
            let mut client = client(&folder, &flags);
            let output = run(client.env("SSH_PROTO_PROVIDER", name));
            assert_eq!((stdout(&output), output.status.code()), ("done\n", Some(0)));
            continue;
        }
        let mut server = example("server");
        let output = run(server.args(["--listen", "127.0.0.1:0", "--provider", name]));
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).starts_with("server: --provider: "),
            "{output:?}"
        );
        let mut client = client(&folder, &["nowhere.invalid"]);
        let output = run(client.env("SSH_PROTO_PROVIDER", name));
        assert_eq!(output.status.code(), Some(255));
        assert!(
            stderr(&output).starts_with("SSH_PROTO_PROVIDER: "),
            "{output:?}"
        );
    }
}

#[test]
fn pubkey_algs_choose_whose_keys_log_in() {
    let folder = Folder::new();
    let keys = ["ssh-ed25519", "ecdsa-sha2-nistp256"].map(|name| folder.key(name, name));
    let lines = keys.each_ref().map(|key| &*key.line).join("\n");
    let file = folder.write("authorized_keys", &lines);
    let flags = [
        "--authorized-keys",
        &file,
        "--pubkey-algs",
        "ecdsa-sha2-nistp256",
    ];
    let server = Server::start(&flags);
    let only_keys = "-oPreferredAuthentications=publickey";
    let login = |keys: &[&KeyPair]| {
        let mut flags = vec!["-v", only_keys];
        keys.iter().for_each(|key| flags.extend(["-i", &key.path]));
        run_client(&folder, &server, &flags)
    };
    let [ed25519, ecdsa] = &keys;
    for (keys, status) in [
        (&[ed25519][..], 255),
        (&[ecdsa], 0),
        // The first does not stand in the way of the second.
        (&[ed25519, ecdsa], 0),
    ] {
        let output = login(keys);
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let announced = "Server extension: server-sig-algs=ecdsa-sha2-nistp256\r\n";
        assert!(stderr(&output).contains(announced), "{output:?}");
    }
    assert!(
        stderr(&login(&[ed25519]))
            .contains("Permission denied (publickey,password,keyboard-interactive).")
    );
}

#[test]
fn rekey_seconds_give_new_keys_while_nothing_goes_on() {
    let folder = Folder::new();
    let server = Server::start(&["--rekey-seconds", "1"]);
    let [port, host] = destination(&server);
    let flags = ["-v", &port, &host, "sleep 3; echo done"];
    let output = run(&mut client(&folder, &flags));
    assert_eq!((stdout(&output), output.status.code()), ("done\n", Some(0)));
    let count = stderr(&output).matches("keys were exchanged anew").count();
    assert!((2..=10).contains(&count), "{output:?}");
}

#[test]
fn keepalive_ends_the_connection_of_a_silent_client() {
    let folder = Folder::new();
    let log = folder.path("log");
    let server = Server::start(&["--keepalive", "1", "--log", &log]);
    let logged = |text: &str| fs::read_to_string(&log).unwrap().contains(text);
    let [port, host] = destination(&server);
    // It answers for longer than it may be silent.
    let mut silent = start(&mut client(&folder, &[&port, &host, "sleep 60"]));
    thread::sleep(Duration::from_secs(5));
    assert!(logged("accepted: keyboard-interactive for \"me\"") && !logged("disconnected"));
    signal(&silent, Signal::STOP);
    eventually("the client is given up", || logged("disconnected"));
    silent.kill().unwrap();
    silent.wait().unwrap();
}

#[test]
fn log_has_what_would_be_on_standard_error() {
    let folder = Folder::new();
    let log = folder.write("log", "earlier\n");
    let mut server = Server::start(&["--log", &log]);
    assert!(run_client(&folder, &server, &[]).status.success());
    let lines = || fs::read_to_string(&log).unwrap();
    eventually("the end is logged", || lines().contains(": disconnected"));
    assert!(lines().starts_with("earlier\n127.0.0.1:"), "{}", lines());
    for part in [
        ": connected\n",
        ": is SSH-2.0-",
        ": keys: ",
        "accepted: keyboard-interactive",
    ] {
        assert!(lines().contains(part), "{part} is missing in:\n{}", lines());
    }
    assert!(!lines().contains(PASSWORD));
    server.child.kill().unwrap();
    let mut errors = String::new();
    let mut stderr = server.child.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
}

#[test]
fn login_grace_ends_a_connection_without_login() {
    let begin = Instant::now();
    let server = Server::start(&["--login-grace", "1"]);
    let mut idle = TcpStream::connect(&server.address).unwrap();
    idle.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut sent = Vec::new();
    idle.read_to_end(&mut sent).unwrap();
    assert!(sent.starts_with(b"SSH-2.0-"));
    let elapsed = begin.elapsed();
    assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
    // Whoever is logged in stays.
    let folder = Folder::new();
    let [port, host] = destination(&server);
    let output = run(&mut client(&folder, &[&port, &host, "sleep 2; echo done"]));
    assert_eq!((stdout(&output), output.status.code()), ("done\n", Some(0)));
}
