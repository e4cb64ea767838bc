//! A server for the tests of the client example and the blocking client: any steps to log in, forwarding of every kind, a few commands.
#![allow(dead_code)] // Each test uses its own part of it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ssh_io_std::{Clock, Driver, Forwards, Gateway, OsRandom, Wait};
use ssh_proto::agent::{AgentClient, AgentReply};
use ssh_proto::crypto::{PublicKey, rustcrypto};
use ssh_proto::{
    AuthMethod, AuthRequest, ChannelId, ChannelKind, ChannelRequest, Connection, DataStream, Event,
    GlobalRequest, IncomingRequest, MethodSet, Password, Prompts, ServerConfig, ServerConnection,
    ServerEvent,
};

/// One step of a login.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Password(&'static str),
    Key(PublicKey),
    /// Rounds of prompts, with the answers that are right.
    Prompts(Vec<(Prompts, Vec<&'static str>)>),
    Hostbased(PublicKey),
}

impl Step {
    fn method(&self) -> MethodSet {
        match self {
            Self::Password(_) => MethodSet::PASSWORD,
            Self::Key(_) => MethodSet::PUBLICKEY,
            Self::Prompts(_) => MethodSet::KEYBOARD_INTERACTIVE,
            Self::Hostbased(_) => MethodSet::HOSTBASED,
        }
    }
}

/// Serves every connection under these host keys, of new ones if there is none: the port.
pub(crate) fn listen(steps: &[Step], host_keys: &[&str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let provider = rustcrypto::provider();
    let methods = steps.first().map_or(MethodSet::PASSWORD, Step::method);
    let mut config = ServerConfig::builder(provider.clone()).auth_methods(methods);
    let algorithms = if host_keys.is_empty() {
        &["ssh-ed25519"]
    } else {
        host_keys
    };
    for algorithm in algorithms {
        let key = provider.keys.generate(algorithm, &mut OsRandom).unwrap();
        config = config.signing_host_key(provider.signing_key(&key).unwrap());
    }
    let config = config.build().unwrap();
    let steps = steps.to_vec();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (config, steps) = (Arc::clone(&config), steps.clone());
            thread::spawn(move || serve(socket.unwrap(), &config, steps));
        }
    });
    port
}

/// Serves one connection to its end.
pub(crate) fn serve(mut socket: TcpStream, config: &ServerConfig, steps: Vec<Step>) {
    socket.prepare().unwrap();
    let clock = Clock::new();
    let connection = ServerConnection::new(config, Box::new(OsRandom), clock.now()).unwrap();
    let mut driver = Driver::new(connection, socket, clock);
    let mut server = Server {
        steps,
        round: 0,
        forwards: Forwards::new(),
        agent: None,
        display: None,
    };
    server.forwards.permit_open(|_| true);
    // Ports below are not for everybody.
    server.forwards.permit_listen(|request| match request {
        GlobalRequest::TcpipForward { port: 1, .. } => None,
        _ => Some(Gateway::AsAsked),
    });
    while !driver.is_finished() {
        while let Some(event) = driver.poll_event() {
            server.handle(event, driver.connection_mut());
        }
        server.forwards.advance(driver.connection_mut());
        driver.transmit();
        driver.wait_with(&server.forwards, None).unwrap();
        driver.drive();
    }
}

struct Server {
    steps: Vec<Step>,
    round: usize,
    forwards: Forwards,
    agent: Option<PathBuf>,
    /// Its number, and the cookie for it.
    display: Option<(u16, Vec<u8>)>,
}

impl Server {
    fn handle(&mut self, event: ServerEvent, connection: &mut ServerConnection) {
        match event {
            ServerEvent::KeyQuery(query) => {
                let usable =
                    matches!(self.steps.first(), Some(Step::Key(key)) if key == query.key());
                connection.answer_key_query(query, usable).unwrap();
            }
            ServerEvent::Auth(request) => self.judge(request, connection),
            ServerEvent::Shared(event) => match self.forwards.handle(event, connection) {
                Some(Event::ChannelOpen(open)) if *open.kind() == ChannelKind::Session => {
                    connection.accept_channel(open).unwrap();
                }
                Some(Event::Request(request)) => self.requested(request, connection),
                _ => {}
            },
            _ => {}
        }
    }

    fn judge(&mut self, request: AuthRequest, connection: &mut ServerConnection) {
        let step = self.steps.first().expect("a step");
        let right = match (request.method(), step) {
            (AuthMethod::Password(given), Step::Password(right)) => given.matches(right.as_bytes()),
            (AuthMethod::PublicKey { key, .. }, Step::Key(right)) => key == right,
            (
                AuthMethod::HostBased {
                    key,
                    client_host,
                    client_user,
                    ..
                },
                Step::Hostbased(right),
            ) => key == right && client_host == "here." && client_user == "ferris",
            (AuthMethod::KeyboardInteractive { .. }, Step::Prompts(rounds))
                if !rounds.is_empty() =>
            {
                self.round = 0;
                return connection.prompt_auth(request, &rounds[0].0).unwrap();
            }
            (AuthMethod::KeyboardInteractiveResponses(given), Step::Prompts(rounds)) => {
                let (_, right) = &rounds[self.round];
                let fits = |(given, right): (&Password, &&str)| given.matches(right.as_bytes());
                let right = given.len() == right.len() && given.iter().zip(right).all(fits);
                self.round += 1;
                if let (true, Some((prompts, _))) = (right, rounds.get(self.round)) {
                    return connection.prompt_auth(request, prompts).unwrap();
                }
                right
            }
            _ => false,
        };
        if !right {
            return connection
                .reject_auth(request, Some(step.method()))
                .unwrap();
        }
        self.steps.remove(0);
        match self.steps.first() {
            Some(next) => connection
                .accept_auth_partially(request, next.method())
                .unwrap(),
            None => connection.accept_auth(request).unwrap(),
        }
    }

    fn requested(&mut self, request: IncomingRequest, connection: &mut ServerConnection) {
        let channel = request.channel();
        match request.request() {
            ChannelRequest::Exec(command) => {
                let command = String::from_utf8(command.to_vec()).unwrap();
                connection.accept_request(request).unwrap();
                self.run(channel, &command, connection);
                return;
            }
            ChannelRequest::AuthAgent | ChannelRequest::Agent => {
                self.agent = Some(self.forwards.serve_agent(&request).unwrap());
            }
            ChannelRequest::X11 { cookie, .. } => {
                let cookie = cookie.as_bytes().to_vec();
                self.display = Some((self.forwards.serve_x11(&request).unwrap(), cookie));
            }
            _ => {}
        }
        connection.accept_request(request).unwrap();
    }

    fn run(&mut self, channel: ChannelId, command: &str, connection: &mut ServerConnection) {
        // A program that ends when it has no more to say, or at the end of its input.
        let mut attach = |program: Box<dyn FnOnce(UnixStream) + Send>| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            thread::spawn(move || program(theirs));
            self.forwards.attach(channel, ours).unwrap();
        };
        match command.split_once(' ').unwrap_or((command, "")) {
            ("status", number) => {
                let status = ChannelRequest::ExitStatus(number.parse().unwrap());
                connection.request(channel, &status, false).unwrap();
                connection.finish(channel).unwrap();
                connection.close_channel(channel).unwrap();
            }
            ("agent", _) => {
                let path = self.agent.take();
                attach(Box::new(move |mut out| {
                    let said = path.map_or_else(|| "none".to_owned(), |path| comments(&path));
                    out.write_all(said.as_bytes()).unwrap();
                }));
            }
            ("display", _) => {
                let display = self.display.take();
                attach(Box::new(move |mut out| {
                    let said = display.map_or_else(
                        || b"none".to_vec(),
                        |(number, cookie)| knock(number, &cookie),
                    );
                    out.write_all(&said).unwrap();
                }));
            }
            // Says so, and lasts as long as this connection.
            ("while", port) => {
                let mut control = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
                attach(Box::new(move |mut out| {
                    out.write_all(b"up").unwrap();
                    let _ = control.read(&mut [0]);
                }));
            }
            _ => connection
                .write(channel, DataStream::Data, command.as_bytes())
                .map(drop)
                .unwrap(),
        }
    }
}

/// What an agent has, by its comments.
fn comments(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut agent = AgentClient::new();
    agent.identities().unwrap();
    stream.write_all(agent.output()).unwrap();
    loop {
        if let Some(event) = agent.poll_event().unwrap() {
            let Ok(AgentReply::Identities(keys)) = event.result else {
                panic!("{event:?}");
            };
            let comments: Vec<_> = keys.iter().map(|key| key.comment.to_string()).collect();
            return comments.join(",");
        }
        let mut piece = [0; 1024];
        match stream.read(&mut piece) {
            Ok(count @ 1..) => agent.handle_input(&piece[..count]),
            _ => return "gone".to_owned(),
        }
    }
}

/// Shows this cookie to a display, and gives what it says.
fn knock(number: u16, hex: &[u8]) -> Vec<u8> {
    let hex = str::from_utf8(hex).unwrap();
    let cookie: Vec<_> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let mut stream = TcpStream::connect(("127.0.0.1", 6000 + number)).unwrap();
    stream.write_all(&x11_setup(&cookie)).unwrap();
    let mut said = vec![0; 7];
    stream.read_exact(&mut said).unwrap();
    said
}

/// The first packet to a display.
pub(crate) fn x11_setup(cookie: &[u8]) -> Vec<u8> {
    let mut packet = vec![b'B', 0, 0, 11, 0, 0, 0, 18, 0, cookie.len() as u8, 0, 0];
    packet.extend_from_slice(b"MIT-MAGIC-COOKIE-1\0\0");
    packet.extend_from_slice(cookie);
    packet
}
