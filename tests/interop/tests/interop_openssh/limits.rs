//! What the server says before a login and how much of one it bears.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ssh_interop::{KeyType, Login, Pair, Setup, Side, TestDir};

use crate::{Scene, for_each_pair};
use ssh_interop::peers::password_account;

for_each_pair!(
    banner_is_shown,
    attempts_are_counted,
    login_has_an_end,
    half_open_connections_are_borne,
    garbage_is_refused,
);

fn banner_is_shown(pair: Pair) {
    let scene = Scene::with(pair, |dir, setup| {
        setup.banner(dir.write("banner", "First line\nSecond line: \u{e4}\n"))
    });
    let output = scene.login.run("echo in");
    assert_eq!(output.ok(), "in\n");
    let report = output.err().replace('\r', "");
    assert!(report.contains("First line\nSecond line: "), "{output:?}");
    let quiet = scene.login.clone().flag("-q").run("echo in");
    assert_eq!((quiet.ok().as_str(), quiet.err().as_str()), ("in\n", ""));
}

/// By passwords: that a key may log in is asked for without a count of attempts by our server.
fn attempts_are_counted(pair: Pair) {
    let (user, password) = password_account();
    let dir = TestDir::new();
    let setup = Setup::default().password(&user, &password).max_auth(3);
    let server = setup.start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).user(&user);
    let patient = login
        .clone()
        .option("NumberOfPasswordPrompts", "6")
        .asking();
    let mut terminal = patient.on_terminal("echo in", 24, 80);
    for _ in 0..3 {
        terminal.expect("assword: ");
        terminal.type_keys("wrong\r");
    }
    terminal.expect("oo many authentication failures");
    let (status, screen) = terminal.wait();
    assert_eq!(status.code(), Some(255), "{screen}");
    assert_eq!(login.secret(&dir, &password).run("echo in").ok(), "in\n");
}

fn login_has_an_end(pair: Pair) {
    let scene = Scene::with(pair, |_, setup| setup.login_grace(2));
    let mut stream = connect(scene.server.port);
    let start = Instant::now();
    stream.write_all(b"SSH-2.0-silent\r\n").expect("written");
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest);
    let lasted = start.elapsed();
    assert!(ended.is_ok() || lasted < Duration::from_secs(20), "no end");
    assert!(
        lasted > Duration::from_millis(1500),
        "ended after {lasted:?}"
    );
    assert!(lasted < Duration::from_secs(8), "ended after {lasted:?}");
    // Who is logged in stays.
    assert_eq!(scene.login.run("sleep 3; echo in").ok(), "in\n");
}

fn half_open_connections_are_borne(pair: Pair) {
    let mut scene = Scene::with(pair, |_, setup| setup);
    // sshd has its own limit, which the configuration of these tests sets to 100.
    let count = if scene_is_ours(pair) { 120 } else { 90 };
    let held: Vec<TcpStream> = (0..count).map(|_| connect(scene.server.port)).collect();
    assert_eq!(scene.login.run("echo in").ok(), "in\n");
    drop(held);
    assert_eq!(scene.login.run("echo in").ok(), "in\n");
    scene.server.assert_alive();
}

fn scene_is_ours(pair: Pair) -> bool {
    pair.server == Side::Ours
}

fn garbage_is_refused(pair: Pair) {
    let mut scene = Scene::new(pair);
    let mut noise = crate::noise(40_000);
    noise.retain(|byte| *byte != b'\n');
    let after_ident = [b"SSH-2.0-noise\r\n".as_slice(), &noise].concat();
    for bytes in [
        b"GET / HTTP/1.0\r\n\r\n".as_slice(),
        &noise,
        &after_ident,
        b"SSH-1.5-old\r\n",
    ] {
        let mut stream = connect(scene.server.port);
        // The server may have closed before it was all written.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let start = Instant::now();
        let _ = stream.read_to_end(&mut Vec::new());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it keeps a connection of noise"
        );
    }
    scene.server.assert_alive();
    assert_eq!(scene.login.run("echo in").ok(), "in\n");
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn version_is_what_the_caller_says() {
    let dir = TestDir::new();
    let key = dir.key("user", KeyType::Ed25519, "");
    let setup = Setup::default().authorized(&key.public);
    let server = setup.version("Tested_1.0 by many").start(Side::Ours, &dir);
    let mut line = String::new();
    let mut stream = BufReader::new(connect(server.port));
    stream.read_line(&mut line).expect("a line");
    assert_eq!(line, "SSH-2.0-Tested_1.0 by many\r\n");
    let login = Login::new(Side::OpenSsh, &server, &dir)
        .key(&key)
        .flag("-v");
    let output = login.run("echo in");
    assert_eq!(output.ok(), "in\n");
    let line = "remote software version Tested_1.0 by many";
    assert!(output.err().contains(line), "{output:?}");
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    stream
}
