//! A small server for the tests, driven as any server is, with commands of its own; and pipes in memory.
#![allow(dead_code)] // Each test uses its own part of it.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use ssh_io_std::{Client, ClientHandler, Clock, Driver, OsRandom, Wait};
use ssh_proto::crypto::rustcrypto;
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    AuthMethod, ChannelId, ChannelRequest, ClientConfig, Connection, DataStream, Disconnected,
    Event, HostKeyCheck, ServerConfig, ServerConnection, ServerEvent,
};

pub(crate) const USER: &str = "ferris";
pub(crate) const PASSWORD: &str = "crab";

pub(crate) fn server_config() -> Arc<ServerConfig> {
    let provider = rustcrypto::provider();
    let key = provider
        .keys
        .generate("ssh-ed25519", &mut OsRandom)
        .unwrap();
    let key = provider.signing_key(&key).unwrap();
    ServerConfig::builder(provider)
        .signing_host_key(key)
        .build()
        .unwrap()
}

pub(crate) fn client_config() -> Arc<ClientConfig> {
    ClientConfig::builder(rustcrypto::provider())
        .build()
        .unwrap()
}

pub(crate) fn any_key() -> impl ClientHandler + Send + 'static {
    |_: &HostKeyCheck| true
}

pub(crate) fn login<T: Wait>(transport: T) -> Client<T> {
    let mut client = Client::over(transport, USER, &client_config(), any_key()).unwrap();
    client.authenticate_password(PASSWORD).unwrap();
    client
}

/// Serves one connection to its end, under a host key of its own, and says how that was.
pub(crate) fn serve<T: Wait + Send + 'static>(transport: T) -> JoinHandle<Option<Disconnected>> {
    serve_as(transport, server_config())
}

pub(crate) fn serve_as<T: Wait + Send + 'static>(
    mut transport: T,
    config: Arc<ServerConfig>,
) -> JoinHandle<Option<Disconnected>> {
    thread::spawn(move || {
        transport.prepare().unwrap();
        let clock = Clock::new();
        let connection = ServerConnection::new(&config, Box::new(OsRandom), clock.now()).unwrap();
        Server {
            driver: Driver::new(connection, transport, clock),
            commands: HashMap::new(),
            gone: false,
        }
        .run()
    })
}

struct Server<T> {
    driver: Driver<ServerConnection, T>,
    commands: HashMap<ChannelId, Command>,
    gone: bool,
}

enum Command {
    /// Sends back what comes, holding what does not fit.
    Cat { held: Bytes, ended: bool },
    /// Sends this many bytes.
    Source(usize),
    /// Counts what comes.
    Sink(usize),
}

impl<T: Wait> Server<T> {
    fn run(mut self) -> Option<Disconnected> {
        let mut cause = None;
        while let Some(event) = self.driver.next_event().unwrap() {
            if self.gone {
                break;
            }
            match event {
                ServerEvent::Auth(request) => {
                    let good = matches!(request.method(), AuthMethod::Password(p) if p.matches(PASSWORD.as_bytes()));
                    let connection = self.driver.connection_mut();
                    match good && request.user() == USER {
                        true => connection.accept_auth(request).unwrap(),
                        false => connection.reject_auth(request, None).unwrap(),
                    }
                }
                ServerEvent::Shared(event) => match event {
                    Event::ChannelOpen(open) => {
                        self.driver.connection_mut().accept_channel(open).unwrap();
                    }
                    Event::Request(request) => {
                        let (channel, asked) = (request.channel(), request.request().clone());
                        let connection = self.driver.connection_mut();
                        match asked {
                            ChannelRequest::Exec(command) if command != "no" => {
                                connection.accept_request(request).unwrap();
                                self.start(channel, std::str::from_utf8(&command).unwrap());
                            }
                            ChannelRequest::Env { .. } => {
                                connection.accept_request(request).unwrap()
                            }
                            // Whatever the signal, the command ends by it.
                            ChannelRequest::Signal(_) => self.exit(channel, 143),
                            _ => connection.reject_request(request).unwrap(),
                        }
                    }
                    Event::Readable(channel) | Event::Writable(channel) => self.go_on(channel),
                    Event::Eof(channel) => {
                        if let Some(Command::Cat { ended, .. }) = self.commands.get_mut(&channel) {
                            *ended = true;
                        }
                        if let Some(Command::Sink(count)) = self.commands.get(&channel) {
                            let count = count.to_string();
                            self.write(channel, DataStream::Data, count.as_bytes());
                            self.exit(channel, 0);
                        }
                        self.go_on(channel);
                    }
                    Event::Disconnected(why) => cause = Some(why),
                    _ => {}
                },
                _ => {}
            }
        }
        cause
    }

    fn write(&mut self, channel: ChannelId, stream: DataStream, data: &[u8]) {
        let written = self.driver.connection_mut().write(channel, stream, data);
        assert_eq!(written, Ok(data.len()));
    }

    fn exit(&mut self, channel: ChannelId, status: u32) {
        let connection = self.driver.connection_mut();
        connection
            .request(channel, &ChannelRequest::ExitStatus(status), false)
            .unwrap();
        connection.finish(channel).unwrap();
        connection.close_channel(channel).unwrap();
        self.commands.remove(&channel);
    }

    fn start(&mut self, channel: ChannelId, command: &str) {
        let (name, argument) = command.split_once(' ').unwrap_or((command, "0"));
        let number = argument.parse().unwrap_or(0);
        let command = match name {
            "cat" => Command::Cat {
                held: Bytes::new(),
                ended: false,
            },
            "source" => Command::Source(number),
            "sink" => Command::Sink(0),
            "both" => {
                for part in ["1", "2", "3"] {
                    self.write(channel, DataStream::Data, part.as_bytes());
                    self.write(channel, DataStream::STDERR, part.as_bytes());
                }
                return self.exit(channel, 3);
            }
            "bye" => {
                let now = self.driver.now();
                let connection = self.driver.connection_mut();
                connection.disconnect(now, DisconnectReason::TOO_MANY_CONNECTIONS, "");
                self.driver.transmit();
                // Lets input arrive, to be left unread.
                thread::sleep(Duration::from_millis(50));
                self.gone = true;
                return;
            }
            _ => return self.exit(channel, 127),
        };
        self.commands.insert(channel, command);
        self.go_on(channel);
    }

    fn go_on(&mut self, channel: ChannelId) {
        let connection = self.driver.connection_mut();
        match self.commands.get_mut(&channel) {
            Some(Command::Cat { held, ended }) => loop {
                if !held.is_empty() {
                    connection
                        .write_bytes(channel, DataStream::Data, held)
                        .unwrap();
                    if !held.is_empty() {
                        return;
                    }
                }
                match connection.read(channel).unwrap() {
                    Some(chunk) => *held = chunk.bytes,
                    None if *ended => return self.exit(channel, 0),
                    None => return,
                }
            },
            Some(Command::Source(left)) => {
                while *left > 0 {
                    let block = [b'x'; 65536];
                    let block = &block[..block.len().min(*left)];
                    let written = connection.write(channel, DataStream::Data, block).unwrap();
                    *left -= written;
                    if written < block.len() {
                        return;
                    }
                }
                self.exit(channel, 0);
            }
            Some(Command::Sink(count)) => {
                while let Some(chunk) = connection.read(channel).unwrap() {
                    *count += chunk.bytes.len();
                }
            }
            None => {}
        }
    }
}

/// One direction of a pipe in memory.
#[derive(Default)]
struct Pipe {
    state: Mutex<(VecDeque<u8>, bool)>,
    changed: Condvar,
}

/// One end of a pipe in memory, which blocks, takes `burst` bytes at a time and holds 64 KiB.
pub(crate) struct PipeEnd {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
    burst: usize,
    /// Every other call is interrupted, where asked for.
    interrupt: Option<bool>,
}

pub(crate) fn pipe(burst: usize, interrupted: bool) -> (PipeEnd, PipeEnd) {
    let (a, b) = (Arc::<Pipe>::default(), Arc::<Pipe>::default());
    let end = |incoming: &Arc<Pipe>, outgoing: &Arc<Pipe>| PipeEnd {
        incoming: Arc::clone(incoming),
        outgoing: Arc::clone(outgoing),
        burst,
        interrupt: interrupted.then_some(false),
    };
    (end(&a, &b), end(&b, &a))
}

impl PipeEnd {
    fn interruption(&mut self) -> io::Result<()> {
        if let Some(interrupt) = &mut self.interrupt {
            *interrupt = !*interrupt;
            if *interrupt {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        Ok(())
    }
}

impl Read for PipeEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interruption()?;
        let mut state = self.incoming.state.lock().unwrap();
        while state.0.is_empty() && !state.1 {
            state = self.incoming.changed.wait(state).unwrap();
        }
        let len = buffer.len().min(self.burst).min(state.0.len());
        for slot in &mut buffer[..len] {
            *slot = state.0.pop_front().unwrap();
        }
        self.incoming.changed.notify_all();
        Ok(len)
    }
}

impl Write for PipeEnd {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.interruption()?;
        let mut state = self.outgoing.state.lock().unwrap();
        while state.0.len() >= 64 << 10 && !state.1 {
            state = self.outgoing.changed.wait(state).unwrap();
        }
        if state.1 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let len = data.len().min(self.burst);
        state.0.extend(&data[..len]);
        self.outgoing.changed.notify_all();
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.interruption()
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        for pipe in [&self.incoming, &self.outgoing] {
            pipe.state.lock().unwrap().1 = true;
            pipe.changed.notify_all();
        }
    }
}
