//! What the example client forwards: ports, sockets, SOCKS, its own streams and a display, and how it ends.
#![cfg(unix)]

mod client_server;
mod common;
mod forwarding;
mod programs;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use client_server::{Step, listen, x11_setup};
use forwarding::{closed_port, displays, echo, exercise, program, until};
use programs::{Folder, PASSWORD, client, finish, run, signal, start, stderr, stdout};
use rustix::process::Signal;

struct Setup {
    folder: Folder,
    port: String,
}

impl Setup {
    fn new() -> Self {
        Self {
            folder: Folder::new(),
            port: format!("-p{}", listen(&[Step::Password(PASSWORD)], &[])),
        }
    }

    fn client(&self, flags: &[&str], words: &[&str]) -> Command {
        let common = ["-Fnone", &self.port, "-oPubkeyAuthentication=no"];
        let flags = [&common, flags, &["me@127.0.0.1"], words].concat();
        client(&self.folder, &flags)
    }
}

fn connect(port: u16) -> TcpStream {
    let mut stream = None;
    until(|| {
        stream = TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    stream.unwrap()
}

fn socks(port: u16, to: u16) -> TcpStream {
    let mut stream = connect(port);
    let [high, low] = to.to_be_bytes();
    stream
        .write_all(&[4, 1, high, low, 127, 0, 0, 1, 0])
        .unwrap();
    let mut reply = [0; 8];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply[..2], [0, 90]);
    stream
}

/// Ends it as a user does.
fn end(child: Child) {
    signal(&child, Signal::TERM);
    let output = finish(child);
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    assert!(
        stderr(&output).contains("Killed by signal 15."),
        "{output:?}"
    );
}

#[test]
fn ports_and_sockets_lead_to_the_other_side_until_the_end() {
    let setup = Setup::new();
    let to = program(echo);
    let there = setup.folder.path("there");
    let listener = UnixListener::bind(&there).unwrap();
    forwarding::unix_program(listener, echo);
    let [tcp, unix, dynamic] = [0; 3].map(|_: u8| closed_port());
    let [near, near_unix] = ["near", "near_unix"].map(|name| setup.folder.path(name));
    let child = start(&mut setup.client(
        &[
            "-N",
            "-L",
            &format!("{tcp}:localhost:{to}"),
            "-L",
            &format!("127.0.0.1:{unix}:{there}"),
            "-L",
            &format!("{near}:localhost:{to}"),
            &format!("-oLocalForward={near_unix} {there}"),
            "-D",
            &dynamic.to_string(),
            "-oExitOnForwardFailure=yes",
        ],
        &[],
    ));
    exercise(connect(tcp), 300_000);
    exercise(TcpStream::connect(("::1", tcp)).unwrap(), 1000);
    exercise(connect(unix), 1000);
    exercise(UnixStream::connect(&near).unwrap(), 300_000);
    exercise(UnixStream::connect(&near_unix).unwrap(), 1000);
    exercise(socks(dynamic, to), 300_000);
    let mode = fs::metadata(&near).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    end(child);
    assert!(fs::metadata(near).is_err() && fs::metadata(near_unix).is_err());
}

#[test]
fn ports_and_sockets_of_the_other_side_lead_here() {
    let setup = Setup::new();
    let to = program(echo);
    let [tcp, dynamic] = [0; 2].map(|_: u8| closed_port());
    let far = setup.folder.path("far");
    let mut child = start(&mut setup.client(
        &[
            "-N",
            "-R",
            &format!("{tcp}:localhost:{to}"),
            "-R",
            &format!("{far}:localhost:{to}"),
            "-R",
            &dynamic.to_string(),
            "-R",
            &format!("0:localhost:{to}"),
            "-oExitOnForwardFailure=yes",
        ],
        &[],
    ));
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let port = line
        .strip_prefix("Allocated port ")
        .unwrap_or_else(|| panic!("{line}"));
    let (port, rest) = port.split_once(' ').unwrap();
    assert_eq!(
        rest.trim_end(),
        format!("for remote forward to localhost:{to}")
    );
    exercise(connect(port.parse().unwrap()), 1000);
    exercise(connect(tcp), 300_000);
    exercise(UnixStream::connect(&far).unwrap(), 300_000);
    exercise(socks(dynamic, to), 300_000);
    // What is refused by SOCKS ends nothing else.
    let mut refused = connect(dynamic);
    refused.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(matches!(refused.read(&mut [0]), Ok(0) | Err(_)));
    exercise(socks(dynamic, to), 1000);
    end(child);
    until(|| TcpStream::connect(("127.0.0.1", tcp)).is_err());
}

#[test]
fn what_cannot_be_forwarded_is_told_and_ends_it_where_that_is_asked_for() {
    let setup = Setup::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let _also = TcpListener::bind(("::1", taken.local_addr().unwrap().port()));
    let local = format!("-L{}:localhost:1", taken.local_addr().unwrap().port());
    let remote = "-R1:localhost:1".to_owned();
    let socket = setup.folder.write("socket", "not one");
    let path = format!("-L{socket}:localhost:1");
    for (flag, message) in [
        (&local, "Could not request local forwarding."),
        (&path, "Could not request local forwarding."),
        (
            &remote,
            "Error: remote port forwarding failed for listen port 1",
        ),
    ] {
        let strict = "-oExitOnForwardFailure=yes";
        let output = run(&mut setup.client(&["-N", flag, strict], &[]));
        assert_eq!(output.status.code(), Some(255), "{output:?}");
        assert!(stderr(&output).contains(message), "{output:?}");

        let output = run(&mut setup.client(&[flag], &["status 3"]));
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let output = run(&mut setup.client(
            &["-q", flag, strict, "-oClearAllForwardings=yes"],
            &["status 3"],
        ));
        assert_eq!((stderr(&output), output.status.code()), ("", Some(3)));
    }
    let output = run(&mut setup.client(&[&path, "-oStreamLocalBindUnlink=yes"], &["status 3"]));
    assert_eq!((stderr(&output), output.status.code()), ("", Some(3)));
    assert!(fs::metadata(&socket).is_err(), "it is in the way no more");

    let output = run(&mut setup.client(&["-L", "1:2"], &["status 3"]));
    assert_eq!(
        stderr(&output).trim_end(),
        "Bad local forwarding specification '1:2'"
    );
    assert_eq!(output.status.code(), Some(255));
}

#[test]
fn ports_are_open_to_others_where_that_is_asked_for() {
    let setup = Setup::new();
    let to = program(echo);
    // All of 127.0.0.0/8 is this machine.
    let others = |port: u16| TcpStream::connect(("127.0.0.2", port));
    for (flags, is_open) in [
        (&[][..], false),
        (&["-g"], true),
        (&["-oGatewayPorts=yes"], true),
    ] {
        let port = closed_port();
        let forward = format!("-L{port}:localhost:{to}");
        let child = start(&mut setup.client(&[&["-N", &forward], flags].concat(), &[]));
        exercise(connect(port), 10);
        assert_eq!(others(port).is_ok(), is_open, "{flags:?}");
        end(child);
    }
    let port = closed_port();
    let forward = format!("*:{port}");
    let child = start(&mut setup.client(&["-N", "-D", &forward], &[]));
    connect(port);
    assert!(others(port).is_ok());
    end(child);
}

#[test]
fn what_is_forwarded_outlasts_its_session() {
    let setup = Setup::new();
    let (port, to) = (closed_port(), program(echo));
    let control = TcpListener::bind("127.0.0.1:0").unwrap();
    let command = format!("while {}", control.local_addr().unwrap().port());
    let forward = format!("-L{port}:localhost:{to}");
    let mut child = start(&mut setup.client(&[&forward], &[&command]));
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 2]).unwrap();
    let mut stream = connect(port);
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    drop(control.accept().unwrap());
    thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None, "it does not wait");
    exercise(stream, 300_000);
    finish(child);
}

#[test]
fn standard_input_and_output_are_a_connection() {
    let setup = Setup::new();
    let there = setup.folder.path("there");
    forwarding::unix_program(UnixListener::bind(&there).unwrap(), echo);
    let sent: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    for target in [format!("127.0.0.1:{}", program(echo)), there] {
        let mut child = start(setup.client(&["-W", &target], &[]).stdin(Stdio::piped()));
        let mut stdin = child.stdin.take().unwrap();
        let input = sent.clone();
        let writer = thread::spawn(move || stdin.write_all(&input).unwrap());
        let output = finish(child);
        writer.join().unwrap();
        assert!(output.stdout == sent, "{} bytes", output.stdout.len());
        assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
    }
    let target = format!("127.0.0.1:{}", closed_port());
    let output = run(&mut setup.client(&["-W", &target], &[]));
    assert_eq!(output.status.code(), Some(255));
    assert!(
        stderr(&output).contains("open failed: connect failed"),
        "{output:?}"
    );
    // Nothing else is forwarded then, unless that is asked for.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("-L{}:localhost:1", listener.local_addr().unwrap().port());
    let target = format!("127.0.0.1:{}", program(echo));
    let output = run(&mut setup.client(&["-W", &target, &taken], &[]));
    assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
}

/// The end of either direction is passed on while the other goes on.
#[test]
fn a_connection_of_standard_streams_may_be_half_closed() {
    let setup = Setup::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let mut child = start(setup.client(&["-W", &target], &[]).stdin(Stdio::piped()));
    let mut far = listener.accept().unwrap().0;
    far.write_all(b"bye").unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    let mut said = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    assert_eq!(said, b"bye");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"and so on").unwrap();
    drop(stdin);
    let mut said = Vec::new();
    far.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"and so on");
    assert_eq!(finish(child).status.code(), Some(0));
}

#[test]
fn the_display_is_reached_by_the_cookie_that_xauth_knows() {
    let _displays = displays();
    let setup = Setup::new();
    let cookie: Vec<u8> = (0..16).collect();
    let path = setup.folder.path("display:0");
    let display = UnixListener::bind(&path).unwrap();
    let (seen, sees) = std::sync::mpsc::channel();
    let len = x11_setup(&cookie).len();
    thread::spawn(move || {
        for stream in display.incoming() {
            let mut stream = stream.unwrap();
            let mut packet = vec![0; 12];
            stream.read_exact(&mut packet).unwrap();
            let rest = if packet[7] == 0 { 0 } else { len - 12 };
            packet.resize(12 + rest, 0);
            stream.read_exact(&mut packet[12..]).unwrap();
            seen.send(packet).unwrap();
            stream.write_all(b"welcome").unwrap();
        }
    });
    let xauth = setup.folder.write(
        "xauth",
        "#!/bin/sh\ntest \"$1\" = list && echo \"$2  MIT-MAGIC-COOKIE-1  000102030405060708090a0b0c0d0e0f\"\n",
    );
    fs::set_permissions(&xauth, fs::Permissions::from_mode(0o700)).unwrap();
    let knows = format!("-oXAuthLocation={xauth}");
    let said = |flags: &[&str], display: &str| {
        let mut command = setup.client(flags, &["display"]);
        let output = run(command.env("DISPLAY", display));
        (stdout(&output).to_owned(), stderr(&output).to_owned())
    };
    for flags in [
        &["-X", &*knows][..],
        &["-Y", &knows],
        &["-xX", &knows],
        &["-oForwardX11=yes", &knows],
    ] {
        assert_eq!(
            said(flags, &path),
            ("welcome".into(), String::new()),
            "{flags:?}"
        );
        assert_eq!(sees.recv().unwrap(), x11_setup(&cookie));
    }
    let (shown, warning) = said(&["-X", "-oXAuthLocation=/missing"], &path);
    assert!(
        shown == "welcome" && warning.contains("No xauth data"),
        "{warning}"
    );
    assert_eq!(
        sees.recv().unwrap()[6..10],
        [0; 4],
        "no cookie is made up for a real display"
    );
    assert_eq!(said(&["-X", &knows], ""), ("none".into(), String::new()));
    assert_eq!(
        said(&["-Xx", &knows], &path),
        ("none".into(), String::new())
    );
}
