//! Scripted applications: a client that logs in and runs commands, a server that knows users and a few commands.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use ssh_proto::crypto::{PublicKey, SigningKey};
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    AuthMethod, AuthTurn, Authenticated, ChannelId, ChannelKind, ChannelRequest, ClientConnection,
    ClientEvent, Connection, DataStream, Disconnected, Event, Instant, Negotiated, Password,
    ServerConnection, ServerEvent, SignRequest,
};

use crate::endpoint::App;
use crate::fixtures;

/// Unwritten output above which a script stops reading.
const HIGH_WATER: usize = 64 << 10;

/// Byte `at` of the stream that `source` sends.
pub fn pattern_byte(at: u64) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)) as u8
}

/// What a client logs in with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// A password.
    Password(String),
    /// A key in memory.
    Key(Arc<dyn SigningKey>),
    /// A key that signs when it is asked to.
    RemoteKey(Arc<dyn SigningKey>),
}

/// A command to run on a session channel.
#[derive(Debug, Clone)]
pub struct Job {
    /// The command; see [`ServerApp`] for those there are.
    pub command: String,
    /// What is written to it, followed by EOF.
    pub input: Bytes,
}

impl Job {
    /// A command with nothing to read.
    pub fn new(command: &str) -> Self {
        Self::with_input(command, Bytes::new())
    }

    /// A command with input.
    pub fn with_input(command: &str, input: impl Into<Bytes>) -> Self {
        Self {
            command: command.to_owned(),
            input: input.into(),
        }
    }
}

/// What came of a [`Job`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobResult {
    /// Whether the server granted the command.
    pub granted: Option<bool>,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// Its exit status.
    pub status: Option<u32>,
    /// Whether the end of its output was announced.
    pub eof: bool,
    /// Whether the channel is closed.
    pub closed: bool,
}

/// A client that accepts [`fixtures::host_key`], tries its credentials in turn, runs its jobs all
/// at once and, if told to, disconnects when they are done.
#[derive(Debug, Default)]
pub struct ClientApp {
    /// What to log in with, in turn. After the last, the connection is given up.
    pub credentials: VecDeque<Credential>,
    /// The host keys to accept; where empty, that of the fixtures.
    pub host_keys: Vec<PublicKey>,
    /// What to run.
    pub jobs: Vec<Job>,
    /// What came of each job.
    pub results: Vec<JobResult>,
    /// Whether to disconnect once all jobs are done.
    pub disconnects: bool,
    /// The proof, once there is one.
    pub authenticated: Option<Authenticated>,
    /// Each completed key exchange.
    pub exchanges: Vec<Negotiated>,
    /// Questions about host keys that were raised.
    pub host_key_checks: usize,
    /// Why it is over.
    pub ended: Option<Disconnected>,
    channels: BTreeMap<String, usize>,
    remaining_input: Vec<Bytes>,
    signer: Option<Arc<dyn SigningKey>>,
}

impl ClientApp {
    /// Logs in with [`fixtures::PASSWORD`] and runs these jobs.
    pub fn new(jobs: impl IntoIterator<Item = Job>) -> Self {
        Self::with_credential(Credential::Password(fixtures::PASSWORD.to_owned()), jobs)
    }

    /// Logs in with this and runs these jobs.
    pub fn with_credential(credential: Credential, jobs: impl IntoIterator<Item = Job>) -> Self {
        Self {
            credentials: [credential].into(),
            jobs: jobs.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Disconnects when the jobs are done.
    pub fn then_disconnect(mut self) -> Self {
        self.disconnects = true;
        self
    }

    fn authenticate(&mut self, client: &mut ClientConnection, turn: AuthTurn) {
        match self.credentials.pop_front() {
            None => drop(turn),
            Some(Credential::None) => client.auth_none(turn).expect("own token"),
            Some(Credential::Password(password)) => client
                .auth_password(turn, &Password::new(password))
                .expect("own token"),
            Some(Credential::Key(key)) => {
                client.auth_publickey(turn, &*key).expect("own token");
            }
            Some(Credential::RemoteKey(key)) => {
                client
                    .auth_publickey_remote(turn, key.public_key())
                    .expect("own token");
                self.signer = Some(key);
            }
        }
    }

    fn start(&mut self, client: &mut ClientConnection) {
        self.results = vec![JobResult::default(); self.jobs.len()];
        self.remaining_input = self.jobs.iter().map(|job| job.input.clone()).collect();
        for job in 0..self.jobs.len() {
            let channel = client.open_channel(&ChannelKind::Session).expect("room");
            self.channels.insert(channel.to_string(), job);
        }
    }

    fn job(&self, channel: ChannelId) -> Option<usize> {
        self.channels.get(&channel.to_string()).copied()
    }

    fn write(&mut self, client: &mut ClientConnection, channel: ChannelId) {
        let Some(job) = self.job(channel) else { return };
        let input = &mut self.remaining_input[job];
        while !input.is_empty() {
            match client.write_bytes(channel, DataStream::Data, input) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        // A second time, or behind the peer's CLOSE, this changes nothing.
        let _ = client.finish(channel);
    }

    fn handle(&mut self, client: &mut ClientConnection, event: Event, now: Instant) {
        match event {
            Event::Authenticated(proof) => {
                self.authenticated = Some(proof);
                self.start(client);
            }
            Event::KeysChanged(negotiated) => self.exchanges.push(negotiated),
            Event::Sign(request) => sign(client, request, self.signer.as_slice()),
            Event::ChannelOpened(channel) => {
                if let Some(job) = self.job(channel) {
                    let command = self.jobs[job].command.clone();
                    client
                        .request(channel, &ChannelRequest::Exec(command.into()), true)
                        .expect("room");
                }
            }
            Event::RequestReply {
                channel, success, ..
            } => {
                if let Some(job) = self.job(channel) {
                    self.results[job].granted = Some(success);
                    match success {
                        true => self.write(client, channel),
                        false => client.close_channel(channel).expect("open"),
                    }
                }
            }
            Event::Writable(channel) => self.write(client, channel),
            Event::Readable(channel) => {
                if let Some(job) = self.job(channel) {
                    while let Ok(Some(chunk)) = client.read(channel) {
                        match chunk.stream {
                            DataStream::Data => self.results[job].stdout.extend(&chunk.bytes),
                            _ => self.results[job].stderr.extend(&chunk.bytes),
                        }
                    }
                }
            }
            Event::ExitStatus { channel, status } => {
                if let Some(job) = self.job(channel) {
                    self.results[job].status = Some(status);
                }
            }
            Event::Eof(channel) => {
                if let Some(job) = self.job(channel) {
                    self.results[job].eof = true;
                }
            }
            Event::ChannelClosed(channel) => {
                if let Some(job) = self.job(channel) {
                    self.results[job].closed = true;
                }
                if self.disconnects && self.results.iter().all(|result| result.closed) {
                    client.disconnect(now, DisconnectReason::BY_APPLICATION, "done");
                }
            }
            Event::Disconnected(cause) => self.ended = Some(cause),
            _ => {}
        }
    }
}

impl App<ClientConnection> for ClientApp {
    fn on_event(&mut self, client: &mut ClientConnection, event: ClientEvent, now: Instant) {
        match event {
            ClientEvent::HostKey(check) => {
                self.host_key_checks += 1;
                let known = match self.host_keys.is_empty() {
                    true => check.key() == fixtures::host_key().public_key(),
                    false => self.host_keys.contains(check.key()),
                };
                match known {
                    true => client.accept_host_key(check).expect("own token"),
                    false => client.reject_host_key(check).expect("own token"),
                }
            }
            ClientEvent::Auth(turn) => self.authenticate(client, turn),
            ClientEvent::Shared(event) => self.handle(client, event, now),
            _ => {}
        }
    }
}

/// What a session channel of [`ServerApp`] does.
#[derive(Debug)]
enum Script {
    Echo,
    Stderr,
    Sink(u64),
    Source { sent: u64, total: u64 },
    Exit(u32),
    Hold,
}

impl Script {
    fn parse(command: &[u8]) -> Option<Self> {
        let command = std::str::from_utf8(command).ok()?;
        let (name, argument) = command.split_once(' ').unwrap_or((command, "0"));
        let argument = argument.parse().ok()?;
        Some(match name {
            "echo" => Self::Echo,
            "stderr" => Self::Stderr,
            "sink" => Self::Sink(0),
            "source" => Self::Source {
                sent: 0,
                total: argument,
            },
            "exit" => Self::Exit(u32::try_from(argument).ok()?),
            "hold" => Self::Hold,
            _ => return None,
        })
    }
}

#[derive(Debug, Default)]
struct Session {
    script: Option<Script>,
    output: VecDeque<(DataStream, Bytes)>,
    eof: bool,
    done: bool,
}

impl Session {
    fn backlog(&self) -> usize {
        self.output.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

/// A server that knows users by password and key, and runs on session channels, as `exec`:
/// `echo` (input to output), `stderr` (input to standard error), `sink` (counts its input and
/// writes the count), `source N` (writes N bytes of [`pattern_byte`]), `exit N`, `hold` (never
/// reads, writes or ends). All but `hold` end with an exit status, EOF and CLOSE.
#[derive(Debug)]
pub struct ServerApp {
    /// Users and their passwords.
    pub passwords: Vec<(String, String)>,
    /// Users and their keys.
    pub keys: Vec<(String, PublicKey)>,
    /// Whether `none` is enough.
    pub admits_all: bool,
    /// The private halves of host keys that the config holds as remote.
    pub signers: Vec<Arc<dyn SigningKey>>,
    /// The proof, once there is one.
    pub authenticated: Option<Authenticated>,
    /// Each completed key exchange.
    pub exchanges: Vec<Negotiated>,
    /// Signatures with host keys that were asked for.
    pub signatures: usize,
    /// Why it is over.
    pub ended: Option<Disconnected>,
    sessions: Vec<(ChannelId, Session)>,
}

impl Default for ServerApp {
    /// Knows [`fixtures::USER`] by [`fixtures::PASSWORD`] and [`fixtures::user_key`].
    fn default() -> Self {
        let user = fixtures::USER.to_owned();
        Self {
            passwords: vec![(user.clone(), fixtures::PASSWORD.to_owned())],
            keys: vec![(user, fixtures::user_key().public_key().clone())],
            admits_all: false,
            signers: Vec::new(),
            authenticated: None,
            exchanges: Vec::new(),
            signatures: 0,
            ended: None,
            sessions: Vec::new(),
        }
    }
}

impl ServerApp {
    /// As `default`.
    pub fn new() -> Self {
        Self::default()
    }

    fn knows_key(&self, user: &str, key: &PublicKey) -> bool {
        self.keys.iter().any(|(u, k)| u == user && k == key)
    }

    fn session(&mut self, channel: ChannelId) -> Option<&mut Session> {
        self.sessions
            .iter_mut()
            .find(|(id, _)| *id == channel)
            .map(|(_, session)| session)
    }

    /// Does what the script of a channel can do now.
    fn work(&mut self, server: &mut ServerConnection, channel: ChannelId) {
        let Some(session) = self.session(channel) else {
            return;
        };
        if session.done || matches!(session.script, None | Some(Script::Hold)) {
            return;
        }
        loop {
            while let Some((stream, bytes)) = session.output.front_mut() {
                match server.write_bytes(channel, *stream, bytes) {
                    Ok(_) if bytes.is_empty() => drop(session.output.pop_front()),
                    // `Writable` brings us back; a closed channel is no concern.
                    Ok(_) | Err(_) => break,
                }
            }
            if session.backlog() >= HIGH_WATER {
                return;
            }
            let mut progressed = false;
            if let Some(Script::Source { sent, total }) = &mut session.script {
                let size = (*total - *sent).min(32 << 10);
                if size > 0 {
                    let bytes: Bytes = (*sent..*sent + size).map(pattern_byte).collect();
                    *sent += size;
                    session.output.push_back((DataStream::Data, bytes));
                    progressed = true;
                }
            } else if let Ok(Some(chunk)) = server.read(channel) {
                progressed = true;
                match &mut session.script {
                    Some(Script::Echo) => {
                        session.output.push_back((DataStream::Data, chunk.bytes));
                    }
                    Some(Script::Stderr) => {
                        session.output.push_back((DataStream::STDERR, chunk.bytes));
                    }
                    Some(Script::Sink(count)) => *count += chunk.bytes.len() as u64,
                    _ => {}
                }
            }
            if !progressed {
                break;
            }
        }
        let status = match session.script {
            Some(Script::Exit(status)) => status,
            Some(Script::Source { sent, total }) if sent == total => 0,
            Some(Script::Sink(count)) if session.eof => {
                session.script = Some(Script::Exit(0));
                let count = Bytes::from(count.to_string());
                session.output.push_back((DataStream::Data, count));
                return self.work(server, channel);
            }
            Some(Script::Echo | Script::Stderr) if session.eof => 0,
            _ => return,
        };
        if session.output.is_empty() {
            session.done = true;
            // The peer may have closed the channel, or the connection, meanwhile.
            let _ = server.request(channel, &ChannelRequest::ExitStatus(status), false);
            let _ = server.finish(channel);
            let _ = server.close_channel(channel);
        }
    }

    fn handle(&mut self, server: &mut ServerConnection, event: Event) {
        match event {
            Event::Authenticated(proof) => self.authenticated = Some(proof),
            Event::KeysChanged(negotiated) => self.exchanges.push(negotiated),
            Event::Sign(request) => {
                self.signatures += 1;
                sign(server, request, &self.signers);
            }
            Event::ChannelOpen(open) => {
                let channel = server.accept_channel(open).expect("own token");
                self.sessions.push((channel, Session::default()));
            }
            Event::Request(request) => {
                let channel = request.channel();
                let script = match request.request() {
                    ChannelRequest::Exec(command) => Script::parse(command),
                    _ => None,
                };
                match (script, self.session(channel)) {
                    (Some(script), Some(session)) => {
                        session.script = Some(script);
                        server.accept_request(request).expect("own token");
                        self.work(server, channel);
                    }
                    _ => server.reject_request(request).expect("own token"),
                }
            }
            Event::Readable(channel) | Event::Writable(channel) => self.work(server, channel),
            Event::Eof(channel) => {
                if let Some(session) = self.session(channel) {
                    session.eof = true;
                }
                self.work(server, channel);
            }
            Event::ChannelClosed(channel) => self.sessions.retain(|(id, _)| *id != channel),
            Event::Disconnected(cause) => self.ended = Some(cause),
            _ => {}
        }
    }
}

impl App<ServerConnection> for ServerApp {
    fn on_event(&mut self, server: &mut ServerConnection, event: ServerEvent, _: Instant) {
        match event {
            ServerEvent::KeyQuery(query) => {
                let usable = self.knows_key(query.user(), query.key());
                server.answer_key_query(query, usable).expect("own token");
            }
            ServerEvent::Auth(request) => {
                let user = request.user();
                let admitted = self.admits_all
                    || match request.method() {
                        AuthMethod::Password(password) => self
                            .passwords
                            .iter()
                            .any(|(u, p)| u == user && password.matches(p.as_bytes())),
                        AuthMethod::PublicKey { key, .. } => self.knows_key(user, key),
                        _ => false,
                    };
                match admitted {
                    true => server.accept_auth(request).expect("own token"),
                    false => server.reject_auth(request, None).expect("own token"),
                }
            }
            ServerEvent::Shared(event) => self.handle(server, event),
            _ => {}
        }
    }
}

/// Answers a question for a signature with the first of these keys that it names.
///
/// # Panics
/// If none does, or the token is not of this connection.
pub fn sign(connection: &mut impl Connection, request: SignRequest, keys: &[Arc<dyn SigningKey>]) {
    let key = keys.iter().find(|key| key.public_key() == request.key());
    let key = key.expect("a key that we hold");
    let signature = key
        .sign(request.algorithm(), request.message())
        .expect("signature");
    connection
        .provide_signature(request, &signature)
        .expect("own token");
}
