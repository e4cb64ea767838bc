//! The example server, started as a program and talked to over TCP: logins, commands, terminals, limits, and what is left behind.
#![cfg(unix)]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ssh_io_std::{Clock, Driver, OsRandom};
use ssh_proto::crypto::{SigningKey, rustcrypto};
use ssh_proto::keys::{Comment, PublicKeyLine};
use ssh_proto::{
    ChannelId, ChannelKind, ChannelRequest, ClientConfig, ClientConnection, ClientEvent,
    Connection, DataStream, Event, ExitSignal, GlobalRequest, OpenFailure, Password, Pty,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The program, ended when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        // `cargo test` builds the examples next to the tests.
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        path.push("examples/server");
        let mut child = Command::new(path)
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .env("SECRET_OF_THE_SERVER", "1")
            // Where no start-up file of a shell can interfere.
            .env("HOME", "/")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo build --example server");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening ").unwrap().trim().to_owned();
        Self { child, address }
    }

    fn with_password(args: &[&str]) -> Self {
        Self::start(&[&["--user", "me", "--password", "right"], args].concat())
    }

    fn login(&self) -> Client {
        Client::connect(self, "me", &[Credential::Password("right")]).unwrap()
    }

    /// Ends it and gives back what it logged.
    fn stop(mut self) -> String {
        self.child.kill().unwrap();
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        log
    }

    fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(path).unwrap().count()
    }

    /// Its threads, and its children, dead or alive.
    fn dependants(&self) -> (usize, usize) {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut children = 0;
        let mut threads = 0;
        for task in fs::read_dir(tasks).unwrap() {
            threads += 1;
            let list = fs::read_to_string(task.unwrap().path().join("children"));
            children += list.unwrap_or_default().split_whitespace().count();
        }
        (threads, children)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

enum Credential<'a> {
    Password(&'a str),
    Key(&'a dyn SigningKey),
}

struct Client {
    driver: Driver<ClientConnection, TcpStream>,
}

/// What a session is to do.
#[derive(Default)]
struct Job {
    requests: Vec<ChannelRequest>,
    input: Vec<u8>,
    /// Leaves the input open, for steps to go on with.
    keep_open: bool,
    /// Once the output holds the text, the next thing happens.
    steps: Vec<(&'static str, Step)>,
}

enum Step {
    Type(&'static [u8]),
    Request(ChannelRequest),
}

/// What a session did.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    granted: Vec<bool>,
    output: Vec<u8>,
    errors: Vec<u8>,
    status: Option<u32>,
    signal: Option<ExitSignal>,
    closed: bool,
}

impl Outcome {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.output).unwrap()
    }
}

fn exec(command: &str) -> ChannelRequest {
    ChannelRequest::Exec(command.to_owned().into())
}

fn env(name: &'static str, value: &'static str) -> ChannelRequest {
    ChannelRequest::Env {
        name: name.into(),
        value: value.into(),
    }
}

fn pty(modes: &[(u8, u32)]) -> ChannelRequest {
    ChannelRequest::Pty(Pty {
        term: "vt220".into(),
        columns: 101,
        rows: 33,
        width: 0,
        height: 0,
        modes: modes.to_vec(),
    })
}

impl Client {
    /// Logs in with the first credential that works.
    fn connect(server: &Server, user: &str, credentials: &[Credential<'_>]) -> Result<Self> {
        let config = ClientConfig::builder(rustcrypto::provider()).build()?;
        let stream = TcpStream::connect(&server.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let clock = Clock::new();
        let connection = ClientConnection::new(&config, user, Box::new(OsRandom), clock.now())?;
        let mut driver = Driver::new(connection, stream, clock);
        let mut credentials = credentials.iter();
        while let Some(event) = driver.next_event()? {
            let connection = driver.connection_mut();
            match event {
                ClientEvent::HostKey(check) => connection.accept_host_key(check)?,
                ClientEvent::Auth(turn) => match credentials.next() {
                    Some(Credential::Password(password)) => {
                        connection.auth_password(turn, &Password::new(*password))?;
                    }
                    Some(Credential::Key(key)) => connection.auth_publickey(turn, *key)?,
                    None => return Err(format!("denied: {:?}", turn.methods()).into()),
                },
                ClientEvent::Shared(Event::Authenticated(_)) => return Ok(Self { driver }),
                ClientEvent::Shared(Event::Disconnected(cause)) => {
                    return Err(format!("{cause:?}").into());
                }
                _ => {}
            }
        }
        Err("ended".into())
    }

    fn run(&mut self, requests: Vec<ChannelRequest>) -> Outcome {
        let job = Job {
            requests,
            ..Job::default()
        };
        self.run_all(vec![job]).remove(0)
    }

    /// Runs all jobs at once, each in a session of its own.
    fn run_all(&mut self, jobs: Vec<Job>) -> Vec<Outcome> {
        let mut order = Vec::new();
        let mut sessions: HashMap<ChannelId, (Job, Outcome)> = HashMap::new();
        for job in jobs {
            let channel = self
                .connection()
                .open_channel(&ChannelKind::Session)
                .unwrap();
            order.push(channel);
            sessions.insert(channel, (job, Outcome::default()));
        }
        while sessions.values().any(|(_, outcome)| !outcome.closed) {
            let event = self
                .driver
                .next_event()
                .unwrap()
                .expect("an open connection");
            let ClientEvent::Shared(event) = event else {
                continue;
            };
            let connection = self.driver.connection_mut();
            match event {
                Event::ChannelOpened(channel) => {
                    let (job, _) = sessions.get_mut(&channel).unwrap();
                    for request in &job.requests {
                        connection.request(channel, request, true).unwrap();
                    }
                    job.feed(connection, channel);
                }
                Event::Writable(channel) => {
                    sessions
                        .get_mut(&channel)
                        .unwrap()
                        .0
                        .feed(connection, channel);
                }
                Event::RequestReply {
                    channel, success, ..
                } => {
                    let (job, outcome) = sessions.get_mut(&channel).unwrap();
                    outcome.granted.push(success);
                    if outcome.granted.len() == job.requests.len() && !success {
                        connection.close_channel(channel).unwrap();
                    }
                }
                Event::Readable(channel) => {
                    let (job, outcome) = sessions.get_mut(&channel).unwrap();
                    while let Some(chunk) = connection.read(channel).unwrap() {
                        match chunk.stream {
                            DataStream::Data => outcome.output.extend_from_slice(&chunk.bytes),
                            _ => outcome.errors.extend_from_slice(&chunk.bytes),
                        }
                    }
                    let text = String::from_utf8_lossy(&outcome.output);
                    while job
                        .steps
                        .first()
                        .is_some_and(|(wait, _)| text.contains(wait))
                    {
                        match job.steps.remove(0).1 {
                            Step::Type(keys) => {
                                connection.write(channel, DataStream::Data, keys).unwrap();
                            }
                            Step::Request(request) => {
                                connection.request(channel, &request, false).unwrap();
                            }
                        }
                    }
                }
                Event::ExitStatus { channel, status } => {
                    sessions.get_mut(&channel).unwrap().1.status = Some(status);
                }
                Event::ExitSignal { channel, signal } => {
                    sessions.get_mut(&channel).unwrap().1.signal = Some(signal);
                }
                Event::ChannelClosed(channel) => {
                    sessions.get_mut(&channel).unwrap().1.closed = true;
                }
                _ => {}
            }
        }
        order
            .iter()
            .map(|channel| sessions.remove(channel).unwrap().1)
            .collect()
    }

    fn connection(&mut self) -> &mut ClientConnection {
        self.driver.connection_mut()
    }
}

impl Job {
    /// Writes what fits of the input, and its end.
    fn feed(&mut self, connection: &mut ClientConnection, channel: ChannelId) {
        // The channel may be closed already, by a program that needed no input.
        if let Ok(taken) = connection.write(channel, DataStream::Data, &self.input) {
            self.input.drain(..taken);
            if self.input.is_empty() && !self.keep_open {
                connection.finish(channel).unwrap();
            }
        }
    }
}

/// A file of this test run, removed when dropped.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ssh-server-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn new_key() -> (Arc<dyn SigningKey>, String, String) {
    let provider = rustcrypto::provider();
    let private = provider
        .keys
        .generate("ssh-ed25519", &mut OsRandom)
        .unwrap();
    let line = PublicKeyLine {
        key: private.public_key(),
        comment: Comment::new("test"),
    };
    let file = private
        .to_openssh(&Comment::default(), &mut OsRandom)
        .unwrap();
    let key = provider.signing_key(&private).unwrap();
    (key, line.to_string(), file.to_string())
}

/// Waits until it is so.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_command_has_its_output_errors_and_status() {
    let server = Server::with_password(&["--exec"]);
    let mut client = server.login();
    let outcome = client.run(vec![exec("echo out; echo err >&2; exit 7")]);
    let expected = Outcome {
        granted: vec![true],
        output: b"out\n".to_vec(),
        errors: b"err\n".to_vec(),
        status: Some(7),
        signal: None,
        closed: true,
    };
    assert_eq!(outcome, expected);
}

#[test]
fn a_shell_reads_its_input_to_the_end() {
    let server = Server::with_password(&["--exec"]);
    let job = Job {
        requests: vec![ChannelRequest::Shell],
        input: b"echo $((6*7))\nexit 3\n".to_vec(),
        ..Job::default()
    };
    let outcome = server.login().run_all(vec![job]).remove(0);
    assert!(outcome.text().ends_with("42\n"), "{outcome:?}");
    assert_eq!(outcome.status, Some(3));
}

#[test]
fn eight_mebibytes_come_back_through_a_rekeying_connection() {
    let server = Server::with_password(&["--exec", "--rekey-bytes", "1000000"]);
    let input: Vec<u8> = (0..8u32 << 18).flat_map(u32::to_le_bytes).collect();
    let job = Job {
        requests: vec![exec("cat")],
        input: input.clone(),
        ..Job::default()
    };
    let outcome = server.login().run_all(vec![job]).remove(0);
    assert!(outcome.output == input, "{} bytes", outcome.output.len());
    assert_eq!(outcome.status, Some(0));
    // What is on its way when an exchange begins makes the stretches longer than asked for.
    assert!(server.stop().matches("keys: ").count() > 4);
}

#[test]
fn a_program_that_needs_no_input_does_not_wait_for_its_end() {
    let server = Server::with_password(&["--exec"]);
    let job = Job {
        requests: vec![exec("head -c 5")],
        input: vec![b'x'; 16 << 20],
        ..Job::default()
    };
    let outcome = server.login().run_all(vec![job]).remove(0);
    assert_eq!((outcome.text(), outcome.status), ("xxxxx", Some(0)));
}

#[test]
fn a_terminal_has_its_size_modes_and_name_and_takes_keys() {
    let server = Server::with_password(&["--exec", "--pty"]);
    // Bash takes no notice of an interrupt whose child ends well meanwhile: at the time of ^C, no
    // child may be about to end.
    let script = "stty size; echo $TERM $SSH_TTY; tty; stty -a; \
                  trap 'set -- $(stty size); echo $1 $2; exec sleep 60' WINCH; echo on; \
                  while :; do sleep 0.01; done";
    let resize = ChannelRequest::WindowChange {
        columns: 60,
        rows: 20,
        width: 0,
        height: 0,
    };
    let job = Job {
        requests: vec![pty(&[(53, 0), (72, 0), (1, 3)]), exec(script)],
        keep_open: true,
        steps: vec![
            ("\non\n", Step::Request(resize)),
            ("\n20 60\n", Step::Type(b"\x03")),
        ],
        ..Job::default()
    };
    let outcome = server.login().run_all(vec![job]).remove(0);
    let mut lines = outcome.text().lines();
    assert_eq!(lines.next(), Some("33 101"));
    let (term, name) = lines.next().unwrap().split_once(' ').unwrap();
    assert_eq!((term, Some(name)), ("vt220", lines.next()));
    assert!(outcome.text().contains("-echo "), "{}", outcome.text());
    assert_eq!(outcome.granted, [true, true]);
    assert_eq!(
        outcome.signal.map(|signal| signal.signal),
        Some("INT".into())
    );
    assert!(outcome.errors.is_empty());
}

#[test]
fn a_signal_reaches_the_command() {
    let server = Server::with_password(&["--exec"]);
    for (name, script) in [
        ("TERM", "echo up; exec sleep 100"),
        ("KILL", "echo up; read x"),
    ] {
        let signal = ChannelRequest::Signal(name.into());
        let job = Job {
            requests: vec![exec(script)],
            keep_open: true,
            steps: vec![("up", Step::Request(signal))],
            ..Job::default()
        };
        let outcome = server.login().run_all(vec![job]).remove(0);
        let signal = outcome.signal.unwrap();
        assert_eq!(
            (&signal.signal[..], signal.core_dumped),
            (name.as_bytes(), false)
        );
        assert_eq!(outcome.status, None);
    }
}

#[test]
fn the_environment_is_clean_but_for_what_is_allowed() {
    let server = Server::with_password(&["--exec", "--env", "FOO_*"]);
    let outcome = server.login().run(vec![
        env("LC_TEST", "1"),
        env("LANG", "xx"),
        env("FOO_BAR", "2"),
        env("LD_PRELOAD", "3"),
        env("PATHS", "4"),
        exec("/usr/bin/env"),
    ]);
    assert_eq!(outcome.granted, [true, true, true, false, false, true]);
    let has = |line: &str| outcome.text().lines().any(|l| l.starts_with(line));
    assert!(has("LC_TEST=1") && has("LANG=xx") && has("FOO_BAR=2") && has("USER=me"));
    assert!(has("SSH_CONNECTION=127.0.0.1 ") && has("HOME=") && has("PATH="));
    assert!(!has("LD_PRELOAD") && !has("PATHS") && !has("SECRET_OF_THE_SERVER"));
}

#[test]
fn sixty_sessions_in_turn_and_sixteen_at_once() {
    let server = Server::with_password(&["--exec"]);
    let mut client = server.login();
    for number in 0..60u32 {
        let outcome = client.run(vec![exec(&format!("echo {number}; exit {number}"))]);
        assert_eq!(outcome.text(), format!("{number}\n"));
        assert_eq!(outcome.status, Some(number));
    }
    // All of them have to have started for any of them to end.
    let meeting = TempFile::new("meeting", "");
    let jobs = (0..16).map(|number| Job {
        requests: vec![exec(&format!(
            "echo >> {0}; until test $(wc -l < {0}) -ge 16; do sleep 0.05; done; cat; exit {number}",
            meeting.path()
        ))],
        input: vec![number; 300_000],
        ..Job::default()
    });
    let outcomes = client.run_all(jobs.collect());
    for (number, outcome) in (0..).zip(outcomes) {
        assert_eq!(outcome.status, Some(u32::from(number)));
        assert!(outcome.output == [number; 300_000]);
    }
}

#[test]
fn no_more_sessions_than_allowed() {
    let server = Server::with_password(&["--exec", "--max-sessions", "1"]);
    let mut client = server.login();
    let connection = client.connection();
    connection.open_channel(&ChannelKind::Session).unwrap();
    connection.open_channel(&ChannelKind::Session).unwrap();
    let mut opened = 0;
    loop {
        match client.driver.next_event().unwrap().unwrap() {
            ClientEvent::Shared(Event::ChannelOpened(_)) => opened += 1,
            ClientEvent::Shared(Event::ChannelOpenFailed { .. }) => break,
            _ => {}
        }
    }
    assert_eq!(opened, 1);
}

#[test]
fn what_is_not_asked_for_on_the_command_line_is_refused() {
    let server = Server::with_password(&[]);
    let mut client = server.login();
    for request in [
        exec("echo no"),
        ChannelRequest::Shell,
        ChannelRequest::Subsystem("sftp".into()),
        pty(&[]),
    ] {
        let outcome = client.run(vec![request]);
        assert_eq!(outcome.granted, [false]);
        assert!(outcome.output.is_empty());
    }
}

#[test]
fn other_channels_and_global_requests_are_refused_with_their_reasons() {
    let server = Server::with_password(&["--allow-all"]);
    let mut client = server.login();
    let connection = client.connection();
    let direct = ChannelKind::DirectTcpip {
        host: "127.0.0.1".into(),
        port: 1,
        originator_address: "127.0.0.1".into(),
        originator_port: 1,
    };
    let unknown = ChannelKind::Unknown {
        name: "frob@example.com".into(),
        body: "".into(),
    };
    connection.open_channel(&direct).unwrap();
    connection.open_channel(&unknown).unwrap();
    let request = GlobalRequest::Unknown {
        name: "frob@example.com".into(),
        body: "".into(),
    };
    connection.global_request(&request, true).unwrap();
    let (mut reasons, mut refused) = (Vec::new(), 0);
    while reasons.len() + refused < 3 {
        match client.driver.next_event().unwrap().unwrap() {
            ClientEvent::Shared(Event::ChannelOpenFailed { reason, .. }) => reasons.push(reason),
            ClientEvent::Shared(Event::GlobalReply { result, .. }) => {
                assert!(result.is_err());
                refused += 1;
            }
            _ => {}
        }
    }
    let expected = [
        OpenFailure::ADMINISTRATIVELY_PROHIBITED,
        OpenFailure::UNKNOWN_CHANNEL_TYPE,
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn a_wrong_password_or_user_is_denied() {
    let server = Server::with_password(&["--exec", "--max-auth", "2"]);
    for (user, passwords) in [("me", &["wrong", ""][..]), ("you", &["right"])] {
        let credentials: Vec<_> = passwords.iter().map(|p| Credential::Password(p)).collect();
        assert!(Client::connect(&server, user, &credentials).is_err());
    }
    let second = [Credential::Password("wrong"), Credential::Password("right")];
    assert!(Client::connect(&server, "me", &second).is_ok());
    let third = ["a", "b", "right"].map(Credential::Password);
    assert!(Client::connect(&server, "me", &third).is_err());
}

#[test]
fn nobody_logs_in_where_no_login_is_configured() {
    let server = Server::start(&["--allow-all"]);
    let (key, _, _) = new_key();
    let credentials = [Credential::Password(""), Credential::Key(&*key)];
    assert!(Client::connect(&server, "root", &credentials).is_err());
    assert!(server.stop().contains("nobody can log in"));
}

#[test]
fn keys_log_in_with_the_options_of_their_lines() {
    let (plain, plain_line, _) = new_key();
    let (forced, forced_line, _) = new_key();
    let (unclear, unclear_line, _) = new_key();
    let (stranger, ..) = new_key();
    let file = TempFile::new(
        "keys-of-me",
        &format!(
            "# keys\n\n{plain_line}\n\
             restrict,environment=\"WHO=them\",command=\"echo $WHO $SSH_ORIGINAL_COMMAND\" {forced_line}\n\
             from=\"127.0.0.1\" {unclear_line}\n"
        ),
    );
    let pattern = file.path().replace("keys-of-me", "keys-of-%u");
    let server = Server::start(&["--authorized-keys", &pattern, "--allow-all"]);
    let login =
        |user, key: &dyn SigningKey| Client::connect(&server, user, &[Credential::Key(key)]);

    let outcome = login("me", &*plain)
        .unwrap()
        .run(vec![pty(&[]), exec("echo $USER")]);
    assert_eq!(outcome.granted, [true, true]);
    assert_eq!(outcome.text(), "me\r\n");

    let outcome =
        login("me", &*forced)
            .unwrap()
            .run(vec![pty(&[]), env("BASH_ENV", "x"), exec("rm -rf")]);
    assert_eq!(outcome.granted, [false, false, true]);
    assert_eq!(outcome.text(), "them rm -rf\n");

    assert!(login("me", &*unclear).is_err());
    assert!(login("me", &*stranger).is_err());
    assert!(login("you", &*plain).is_err());
    assert!(login("/../me", &*plain).is_err());

    // Read again at every attempt.
    fs::write(&file.0, forced_line).unwrap();
    assert!(login("me", &*plain).is_err());
    assert!(server.stop().contains("option \"from\" is not understood"));
}

#[test]
fn a_forced_command_runs_instead_of_everything() {
    let server = Server::with_password(&["--force-command", "echo [$SSH_ORIGINAL_COMMAND]"]);
    let mut client = server.login();
    assert_eq!(client.run(vec![exec("id")]).text(), "[id]\n");
    assert_eq!(client.run(vec![ChannelRequest::Shell]).text(), "[]\n");
}

#[test]
fn a_host_key_file_and_lists_of_algorithms_are_what_is_negotiated() {
    let (_, line, file) = new_key();
    let (file, banner) = (
        TempFile::new("host", &file),
        TempFile::new("banner", "Hello.\n"),
    );
    let server = Server::with_password(&[
        "--host-key",
        file.path(),
        "--banner",
        banner.path(),
        "--version",
        "Example_1 with comment",
        "--ciphers",
        "aes256-ctr",
        "--macs",
        "^hmac-sha2-512",
        "--kex",
        "-curve25519*",
    ]);
    let config = ClientConfig::builder(rustcrypto::provider())
        .build()
        .unwrap();
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_nonblocking(true).unwrap();
    let clock = Clock::new();
    let connection = ClientConnection::new(&config, "me", Box::new(OsRandom), clock.now());
    let mut driver = Driver::new(connection.unwrap(), stream, clock);
    let mut seen = Vec::new();
    loop {
        match driver.next_event().unwrap().unwrap() {
            ClientEvent::Shared(Event::Identified(peer)) => seen.push(peer.to_string()),
            ClientEvent::HostKey(check) => {
                let key = PublicKeyLine::parse(line.as_bytes()).unwrap().key;
                assert_eq!(*check.key(), key);
                driver.connection_mut().accept_host_key(check).unwrap();
            }
            ClientEvent::Shared(Event::KeysChanged(keys)) => {
                assert!(!keys.kex.starts_with("curve25519"), "{}", keys.kex);
                seen.push(keys.client_to_server.cipher.into());
            }
            ClientEvent::Auth(turn) => driver.connection_mut().auth_none(turn).unwrap(),
            ClientEvent::Banner(banner) => {
                seen.push(banner.display().to_string());
                break;
            }
            _ => {}
        }
    }
    let expected = ["SSH-2.0-Example_1 with comment", "aes256-ctr", "Hello.\n"];
    assert_eq!(seen, expected);
}

#[test]
fn bad_command_lines_are_refused_by_name() {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/server");
    for (args, message) in [
        (
            &["--listen", "127.0.0.1:0", "--frob"][..],
            "unknown flag --frob",
        ),
        (
            &["--listen", "127.0.0.1:0", "--x11"],
            "--x11 is not supported yet",
        ),
        (
            &["--listen", "127.0.0.1:0", "--kex", "rot13"],
            "unknown algorithm: rot13",
        ),
        (
            &["--listen", "127.0.0.1:0", "--host-key", "/no/such"],
            "/no/such",
        ),
    ] {
        let output = Command::new(&path).args(args).output().unwrap();
        assert!(!output.status.success());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(message), "{errors}");
        assert!(output.stdout.is_empty());
    }
}

/// What the kernel tells of processes is read from `/proc`.
#[cfg(target_os = "linux")]
#[test]
fn a_client_that_is_gone_leaves_nothing_behind() {
    let server = Server::with_password(&["--allow-all"]);
    let before = (server.descriptors(), server.dependants());
    for requests in [
        vec![exec("sleep 1000; true")],
        vec![exec("yes")],
        vec![pty(&[]), exec("sleep 1000")],
        vec![pty(&[]), ChannelRequest::Shell],
        vec![pty(&[])],
    ] {
        let mut client = server.login();
        let channel = client
            .connection()
            .open_channel(&ChannelKind::Session)
            .unwrap();
        let mut granted = 0;
        while granted < requests.len() {
            match client.driver.next_event().unwrap().unwrap() {
                ClientEvent::Shared(Event::ChannelOpened(_)) => {
                    for request in &requests {
                        client.connection().request(channel, request, true).unwrap();
                    }
                }
                ClientEvent::Shared(Event::RequestReply { success: true, .. }) => granted += 1,
                _ => {}
            }
        }
        assert_ne!((server.descriptors(), server.dependants()), before);
    }
    eventually("all is given back", || {
        (server.descriptors(), server.dependants()) == before
    });
}

/// As before, but the client is there and does not read.
#[cfg(target_os = "linux")]
#[test]
fn output_that_nobody_reads_waits_in_its_program() {
    let server = Server::with_password(&["--exec"]);
    let mut client = server.login();
    let channel = client
        .connection()
        .open_channel(&ChannelKind::Session)
        .unwrap();
    loop {
        match client.driver.next_event().unwrap().unwrap() {
            ClientEvent::Shared(Event::ChannelOpened(_)) => {
                client
                    .connection()
                    .request(channel, &exec("yes"), true)
                    .unwrap();
            }
            ClientEvent::Shared(Event::Readable(_)) => break,
            _ => {}
        }
    }
    // Everything is received that the window allows, and nothing is read.
    let deadline = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < deadline {
        while client.driver.poll_event().is_some() {}
        client.driver.transmit();
        client
            .driver
            .wait(Some(Duration::from_millis(100)))
            .unwrap();
        client.driver.drive();
    }
    let waiting = client.driver.connection().readable_bytes(channel).unwrap();
    assert!((1..=16 << 20).contains(&waiting), "{waiting}");
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let memory = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let memory: usize = memory
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(memory < 16 << 10, "{memory} kB");
    // Nor does it burn time meanwhile.
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
        let fields: Vec<&str> = stat.split_whitespace().collect();
        fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap()
    };
    let start = ticks();
    thread::sleep(Duration::from_millis(500));
    assert!(ticks() - start < 10);
}
