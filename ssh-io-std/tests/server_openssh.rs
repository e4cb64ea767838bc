//! The example server with the system's `ssh`, where there is one: every kind of forwarding, logins in steps, and keys that may not.
#![cfg(unix)]

mod common;
mod forwarding;
mod programs;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use forwarding::{closed_port, displays, echo, exercise, program, unix_program, until};
use programs::{Folder, PASSWORD, Server, USER, run, start, stderr, stdout};

/// A server whose user has a key, and the client's side of it.
struct Site {
    server: Server,
    folder: Folder,
}

/// `None`: there is no `ssh` here.
fn site(options: &str, flags: &[&str]) -> Option<Site> {
    Command::new("ssh").arg("-V").output().ok()?;
    let folder = Folder::new();
    let key = folder.key("key", "ssh-ed25519");
    fs::set_permissions(&key.path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = folder.write("authorized_keys", &format!("{options} {}\n", key.line));
    let server = Server::start(&[&["--authorized-keys", &file], flags].concat());
    Some(Site { server, folder })
}

impl Site {
    fn ssh(&self, flags: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(["-F", "none", "-p", self.server.port(), "-l", USER])
            .args(["-i", &self.folder.path("key"), "-oIdentitiesOnly=yes"])
            .args([
                "-oStrictHostKeyChecking=no",
                "-oUserKnownHostsFile=/dev/null",
            ])
            .args(["-oLogLevel=INFO", "-oExitOnForwardFailure=yes"])
            .args(flags)
            .arg("127.0.0.1")
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("DISPLAY")
            .env("XAUTHORITY", self.folder.path("no-authority"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command in a session.
    fn session(&self, flags: &[&str], line: &str) -> Output {
        run(self.ssh(flags).arg(line))
    }

    fn socket(&self, name: &str) -> (PathBuf, String) {
        let path = self.folder.path(name);
        (path.clone().into(), path)
    }
}

/// An `ssh` that goes on until it is dropped.
struct Going(Child);

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

#[test]
fn everything_is_forwarded_on_one_connection() {
    let Some(site) = site("", &[]) else { return };
    let port = program(echo);
    let (path, socket) = site.socket("echo");
    unix_program(UnixListener::bind(path).unwrap(), echo);
    let (near, dynamic, through) = (closed_port(), closed_port(), closed_port());
    let ((near_path, near_socket), (far_path, far_socket)) =
        (site.socket("near"), site.socket("far"));
    let mut ssh = site.ssh(&[
        "-N",
        &format!("-L{near}:localhost:{port}"),
        &format!("-D{dynamic}"),
        &format!("-L{near_socket}:{socket}"),
        &format!("-L{through}:127.0.0.1:{}", closed_port()),
        &format!("-R0:localhost:{port}"),
        &format!("-R{far_socket}:{socket}"),
    ]);
    let mut going = Going(start(&mut ssh));
    let lines = BufReader::new(going.0.stderr.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let far = lines.find_map(|line| {
        let port = line.strip_prefix("Allocated port ")?;
        port.split(' ').next()?.parse().ok()
    });
    let far: u16 = far.unwrap();
    // As nobody reads it any more.
    thread::spawn(move || lines.for_each(drop));
    until(|| {
        near_path.exists() && far_path.exists() && TcpStream::connect(("127.0.0.1", near)).is_ok()
    });
    exercise(connect(near), 3_000_000);
    exercise(connect(far), 3_000_000);
    exercise(UnixStream::connect(&near_path).unwrap(), 300_000);
    exercise(UnixStream::connect(&far_path).unwrap(), 300_000);
    let mut stream = connect(dynamic);
    let [high, low] = port.to_be_bytes();
    let request = [&[4, 1, high, low, 0, 0, 0, 1, 0][..], b"localhost\0"].concat();
    stream.write_all(&request).unwrap();
    let mut reply = [0; 8];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply[1], 90);
    exercise(stream, 300_000);
    // A target that is not there ends one stream, and nothing else.
    assert!(!matches!(connect(through).read(&mut [0]), Ok(1..)));
    exercise(connect(near), 1000);
    drop(going);
    until(|| TcpStream::connect(("127.0.0.1", far)).is_err() && !far_path.exists());
}

#[test]
fn standard_input_is_joined_to_a_port() {
    let Some(site) = site("", &[]) else { return };
    let mut ssh = site.ssh(&[&format!("-Wlocalhost:{}", program(echo))]);
    let mut child = start(ssh.stdin(Stdio::piped()));
    let mut input = child.stdin.take().unwrap();
    let sent = vec![b'x'; 1 << 20];
    let output = thread::scope(|scope| {
        // The end goes there and comes back.
        scope.spawn(move || input.write_all(&sent).unwrap());
        programs::finish(child)
    });
    assert!(output.status.success() && output.stdout == [b'x'; 1 << 20]);
    let output = run(&mut site.ssh(&[&format!("-Wlocalhost:{}", closed_port())]));
    assert_eq!(output.status.code(), Some(255));
    assert!(stderr(&output).contains("connect failed"), "{output:?}");
}

#[test]
fn an_agent_is_found_in_a_session() {
    let Some(site) = site("", &[]) else { return };
    let (path, socket) = site.socket("agent");
    let mut agent = Command::new("ssh-agent");
    let _agent = Going(start(agent.args(["-D", "-a", &socket])));
    until(|| path.exists());
    let with_agent = |command: &mut Command| run(command.env("SSH_AUTH_SOCK", &socket));
    let key = site.folder.path("key");
    assert!(
        with_agent(Command::new("ssh-add").arg(&key))
            .status
            .success()
    );
    let output = with_agent(
        site.ssh(&["-A"])
            .arg("ssh-add -l; stat -c %a $SSH_AUTH_SOCK"),
    );
    assert!(stdout(&output).contains("ED25519"), "{output:?}");
    assert!(stdout(&output).ends_with("\n600\n"), "{output:?}");
    // Without asking for it, there is none.
    let output = with_agent(site.ssh(&["-a"]).arg("echo [$SSH_AUTH_SOCK]"));
    assert_eq!(stdout(&output), "[]\n");
}

#[test]
fn a_display_is_found_in_a_session() {
    let Some(site) = site("", &[]) else { return };
    let _lock = displays();
    // A display below those that servers offer.
    let (number, display) = (1..10)
        .find_map(|number| {
            Some((
                number,
                TcpListener::bind(("127.0.0.1", 6000 + number)).ok()?,
            ))
        })
        .unwrap();
    let (send, shown) = mpsc::channel();
    thread::spawn(move || {
        let mut packet = vec![0; 48];
        let mut stream = display.accept().unwrap().0;
        stream.read_exact(&mut packet).unwrap();
        send.send(packet).unwrap();
        echo(stream);
    });
    let mut ssh = site.ssh(&["-Y"]);
    ssh.arg("echo $DISPLAY; echo $XAUTHORITY; xauth list $DISPLAY; echo .; cat")
        .env("DISPLAY", format!("localhost:{number}"))
        .stdin(Stdio::piped());
    let mut going = Going(start(&mut ssh));
    let mut lines = BufReader::new(going.0.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    let (name, authority, listed) = (line(), line(), line());
    let far: u16 = name
        .strip_prefix("localhost:")
        .and_then(|name| name.strip_suffix(".0"))
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{name}"));
    let file = fs::read(&authority).unwrap();
    let cookie = file.last_chunk::<16>().unwrap();
    // Where there is such a program.
    if listed != "." {
        let digits: String = cookie.iter().map(|byte| format!("{byte:02x}")).collect();
        let entry = format!("unix:{far}  MIT-MAGIC-COOKIE-1  {digits}");
        assert!(listed.ends_with(&entry), "{listed}");
    }
    let mut stream = connect(6000 + far);
    let mut packet = b"B\0\0\x0b\0\0\0\x12\0\x10\0\0MIT-MAGIC-COOKIE-1\0\0".to_vec();
    packet.extend(cookie);
    stream.write_all(&packet).unwrap();
    assert_eq!(shown.recv().unwrap()[..32], packet[..32]);
    exercise(stream, 100_000);
    drop(going);
    until(|| TcpStream::connect(("127.0.0.1", 6000 + far)).is_err());
    until(|| !fs::exists(&authority).unwrap());
}

#[test]
fn a_password_is_asked_for_alone_and_behind_a_key() {
    for (lists, preferred) in [
        ("keyboard-interactive", "publickey,keyboard-interactive"),
        (
            "publickey,keyboard-interactive",
            "publickey,keyboard-interactive",
        ),
        (
            "publickey,password password,publickey",
            "password,publickey",
        ),
    ] {
        let Some(site) = site("", &["--auth-methods", lists]) else {
            return;
        };
        let askpass = site.folder.write(
            "askpass",
            &format!("#!/bin/sh\necho \"$1\" >> \"$0.log\"; echo {PASSWORD}\n"),
        );
        fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700)).unwrap();
        let preferred = format!("-oPreferredAuthentications={preferred}");
        let mut ssh = site.ssh(&["-v", &preferred]);
        let output = run(ssh
            .arg("echo in")
            .env("SSH_ASKPASS", &askpass)
            .env("SSH_ASKPASS_REQUIRE", "force"));
        assert_eq!(stdout(&output), "in\n", "{lists}: {output:?}");
        let in_part = stderr(&output).contains("partial success");
        assert_eq!(in_part, lists.contains(','), "{lists}: {output:?}");
        let asked = fs::read_to_string(site.folder.path("askpass.log")).unwrap();
        assert!(asked.trim_end().ends_with("assword:"), "{asked:?}");
        // A key alone does not do.
        let output = site.session(&["-oBatchMode=yes"], "echo in");
        assert_eq!((stdout(&output), output.status.code()), ("", Some(255)));
    }
}

#[test]
fn a_restricted_key_forwards_nothing_and_has_no_terminal() {
    let Some(site) = site("restrict", &[]) else {
        return;
    };
    let (_, socket) = site.socket("socket");
    let port = program(echo);
    let output = site.session(&["-tt"], "tty");
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("PTY allocation request failed"));
    let (agent_path, agent) = site.socket("agent");
    unix_program(UnixListener::bind(agent_path).unwrap(), echo);
    let mut ssh = site.ssh(&["-A", "-Y"]);
    ssh.arg("echo [$SSH_AUTH_SOCK$DISPLAY$XAUTHORITY]")
        .env("SSH_AUTH_SOCK", agent)
        .env("DISPLAY", ":0");
    let output = run(&mut ssh);
    assert_eq!(stdout(&output), "[]\n");
    assert!(
        stderr(&output).contains("X11 forwarding request failed"),
        "{output:?}"
    );
    for (flag, message) in [
        (format!("-Wlocalhost:{port}"), "administratively prohibited"),
        (
            format!("-R0:localhost:{port}"),
            "remote port forwarding failed",
        ),
        (
            format!("-R{socket}:localhost:{port}"),
            "remote port forwarding failed",
        ),
    ] {
        let output = site.session(&[&flag], "echo in");
        assert_eq!(
            (stdout(&output), output.status.code()),
            ("", Some(255)),
            "{flag}"
        );
        assert!(stderr(&output).contains(message), "{flag}: {output:?}");
    }
    let near = closed_port();
    let _going = Going(start(&mut site.ssh(&["-N", &format!("-L{near}:{socket}")])));
    until(|| TcpStream::connect(("127.0.0.1", near)).is_ok());
    assert!(!matches!(connect(near).read(&mut [0]), Ok(1..)));
    // Commands it has.
    assert_eq!(stdout(&site.session(&[], "echo in")), "in\n");
}

#[test]
fn each_no_takes_its_own() {
    let options = "no-port-forwarding,no-X11-forwarding,no-agent-forwarding";
    let Some(site) = site(options, &[]) else {
        return;
    };
    let output = site.session(&["-tt"], "tty");
    assert!(stdout(&output).starts_with("/dev/"), "{output:?}");
    let output = site.session(&[&format!("-Wlocalhost:{}", program(echo))], "");
    assert!(stderr(&output).contains("administratively prohibited"));
    let output = site.session(&["-R0:localhost:1"], "echo in");
    assert_eq!(stdout(&output), "");
}
