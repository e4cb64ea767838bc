//! The example server on standard input and output, as inetd and `ProxyCommand` start it.
#![cfg(unix)]

mod programs;

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

use programs::{Folder, PASSWORD, USER, example};
use ssh_io_std::{Client, Descriptors, Wait};
use ssh_proto::crypto::rustcrypto;
use ssh_proto::{ClientConfig, HostKeyCheck};

fn start(input: impl Into<Stdio>, output: impl Into<Stdio>, flags: &[&str]) -> Child {
    let mut server = example("server");
    server
        .args([
            "--inetd",
            "--allow-all",
            "--user",
            USER,
            "--password",
            PASSWORD,
        ])
        .args(flags)
        .stdin(input)
        .stdout(output)
        .stderr(Stdio::piped());
    server.spawn().unwrap()
}

/// Logs in and runs a command, after which the server ends: what both said.
fn run<T: Wait>(transport: T, mut server: Child, command: &str) -> (String, String) {
    let config = ClientConfig::builder(rustcrypto::provider())
        .build()
        .unwrap();
    let trusting = |_: &HostKeyCheck| true;
    let mut client = Client::over(transport, USER, &config, trusting).unwrap();
    client.authenticate_password(PASSWORD).unwrap();
    let mut session = client.exec(command).unwrap();
    session.finish().unwrap();
    let output = session.output(1000).unwrap();
    client.disconnect().unwrap();
    let mut log = String::new();
    let stderr = server.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert!(server.wait().unwrap().success(), "{log}");
    (String::from_utf8(output.stdout).unwrap(), log)
}

const COMMAND: &str = "cat; echo \"${SSH_CLIENT%% *}\"";

#[test]
fn pipes_are_a_connection() {
    let mut server = start(Stdio::piped(), Stdio::piped(), &[]);
    let input: OwnedFd = server.stdout.take().unwrap().into();
    let output: OwnedFd = server.stdin.take().unwrap().into();
    let (said, log) = run(Descriptors::new(input, output), server, COMMAND);
    assert_eq!(said, "\n");
    assert!(log.contains("accepted: password for \"me\""), "{log}");
}

#[test]
fn one_socket_is_a_connection() {
    let (near, far) = UnixStream::pair().unwrap();
    let far: OwnedFd = far.into();
    let server = start(far.try_clone().unwrap(), far, &[]);
    assert_eq!(run(near, server, COMMAND).0, "\n");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far: OwnedFd = listener.accept().unwrap().0.into();
    let server = start(far.try_clone().unwrap(), far, &[]);
    let (said, log) = run(near, server, COMMAND);
    assert_eq!(said, "127.0.0.1\n");
    assert!(log.starts_with("127.0.0.1:"), "{log}");
}

/// As inetd starts it, whose programs have the socket as their standard error, too.
#[test]
fn the_log_does_not_go_into_the_connection() {
    let folder = Folder::new();
    let path = folder.path("log");
    for flags in [&[][..], &["--log", &path]] {
        let (near, far) = UnixStream::pair().unwrap();
        let far: OwnedFd = far.into();
        let mut server = example("server");
        server
            .args(["--inetd", "--exec", "--user", USER, "--password", PASSWORD])
            .args(flags)
            .stdin(far.try_clone().unwrap())
            .stdout(far.try_clone().unwrap())
            .stderr(far);
        let mut child = server.spawn().unwrap();
        // The command has the descriptors that the server was started with.
        drop(server);
        let config = ClientConfig::builder(rustcrypto::provider())
            .build()
            .unwrap();
        let mut client = Client::over(near, USER, &config, |_: &HostKeyCheck| true).unwrap();
        client.authenticate_password(PASSWORD).unwrap();
        client.disconnect().unwrap();
        assert!(child.wait().unwrap().success());
    }
    let log = std::fs::read_to_string(path).unwrap();
    assert!(log.contains("accepted: password for \"me\""), "{log}");
}
