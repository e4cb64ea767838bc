//! The example server as a program, ended with the test, and a scripted client that runs sessions on it.
#![allow(dead_code)] // Each test uses its own part of it.

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
    Connection, DataStream, Event, ExitSignal, Limits, Password, Prompt, Pty,
};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The program, ended when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
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

    pub(crate) fn with_password(args: &[&str]) -> Self {
        Self::start(&[&["--user", "me", "--password", "right"], args].concat())
    }

    pub(crate) fn login(&self) -> Client {
        Client::connect(self, "me", &[Credential::Password("right")]).unwrap()
    }

    /// Ends it and gives back what it logged.
    pub(crate) fn stop(mut self) -> String {
        self.child.kill().unwrap();
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        log
    }

    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(path).unwrap().count()
    }

    /// Its threads, and its children, dead or alive.
    pub(crate) fn dependants(&self) -> (usize, usize) {
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

pub(crate) enum Credential<'a> {
    None,
    Password(&'a str),
    /// By `keyboard-interactive`, to the one prompt.
    Answer(&'a str),
    Key(&'a dyn SigningKey),
}

pub(crate) struct Client {
    pub(crate) driver: Driver<ClientConnection, TcpStream>,
}

/// What a session is to do.
#[derive(Default)]
pub(crate) struct Job {
    pub(crate) requests: Vec<ChannelRequest>,
    pub(crate) input: Vec<u8>,
    /// Leaves the input open, for steps to go on with.
    pub(crate) keep_open: bool,
    /// Once the output holds the text, the next thing happens.
    pub(crate) steps: Vec<(&'static str, Step)>,
}

pub(crate) enum Step {
    Type(&'static [u8]),
    Request(ChannelRequest),
}

/// What a session did.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) granted: Vec<bool>,
    pub(crate) output: Vec<u8>,
    pub(crate) errors: Vec<u8>,
    pub(crate) status: Option<u32>,
    pub(crate) signal: Option<ExitSignal>,
    pub(crate) closed: bool,
}

impl Outcome {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.output).unwrap()
    }
}

pub(crate) fn exec(command: &str) -> ChannelRequest {
    ChannelRequest::Exec(command.to_owned().into())
}

pub(crate) fn env(name: &'static str, value: &'static str) -> ChannelRequest {
    ChannelRequest::Env {
        name: name.into(),
        value: value.into(),
    }
}

pub(crate) fn pty(modes: &[(u8, u32)]) -> ChannelRequest {
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
    /// Logs in with these credentials, one after the other. The error has the methods that could
    /// have continued.
    pub(crate) fn connect(
        server: &Server,
        user: &str,
        credentials: &[Credential<'_>],
    ) -> Result<Self> {
        // A test that waits in vain fails rather than waits for ever.
        let mut limits = Limits::default();
        limits.idle_timeout = Some(Duration::from_secs(60));
        let config = ClientConfig::builder(rustcrypto::provider())
            .limits(limits)
            .build()?;
        let stream = TcpStream::connect(&server.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let clock = Clock::new();
        let connection = ClientConnection::new(&config, user, Box::new(OsRandom), clock.now())?;
        let mut driver = Driver::new(connection, stream, clock);
        let mut credentials = credentials.iter();
        let mut answer = "";
        while let Some(event) = driver.next_event()? {
            let connection = driver.connection_mut();
            match event {
                ClientEvent::HostKey(check) => connection.accept_host_key(check)?,
                ClientEvent::Auth(turn) => match credentials.next() {
                    Some(Credential::Password(password)) => {
                        connection.auth_password(turn, &Password::new(*password))?;
                    }
                    Some(Credential::None) => connection.auth_none(turn)?,
                    Some(Credential::Answer(text)) => {
                        answer = text;
                        connection.auth_keyboard_interactive(turn, "")?;
                    }
                    Some(Credential::Key(key)) => connection.auth_publickey(turn, *key)?,
                    None => return Err(turn.methods().unwrap_or_default().join(",").into()),
                },
                ClientEvent::Prompts(request) => {
                    let expected = [Prompt::new("Password: ", false)];
                    assert_eq!(request.prompts().prompts, expected);
                    connection.answer_prompts(request, &[Password::new(answer)])?;
                }
                ClientEvent::Shared(Event::Authenticated(_)) => return Ok(Self { driver }),
                ClientEvent::Shared(Event::Disconnected(cause)) => {
                    return Err(format!("{cause:?}").into());
                }
                _ => {}
            }
        }
        Err("ended".into())
    }

    pub(crate) fn run(&mut self, requests: Vec<ChannelRequest>) -> Outcome {
        let job = Job {
            requests,
            ..Job::default()
        };
        self.run_all(vec![job]).remove(0)
    }

    /// Runs all jobs at once, each in a session of its own.
    pub(crate) fn run_all(&mut self, jobs: Vec<Job>) -> Vec<Outcome> {
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

    pub(crate) fn connection(&mut self) -> &mut ClientConnection {
        self.driver.connection_mut()
    }
}

impl Job {
    /// Writes what fits of the input, and its end.
    pub(crate) fn feed(&mut self, connection: &mut ClientConnection, channel: ChannelId) {
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
pub(crate) struct TempFile(PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ssh-server-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub(crate) fn new_key() -> (Arc<dyn SigningKey>, String, String) {
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
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
