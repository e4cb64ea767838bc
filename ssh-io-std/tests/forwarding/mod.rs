//! A server that forwards, a client that serves, and programs at both ends, for the tests of forwarding.
#![allow(dead_code)] // Each test uses its own part of it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ssh_io_std::{Client, Clock, Driver, Forwards, Gateway, OsRandom, Wait};
use ssh_proto::crypto::rustcrypto;
use ssh_proto::{
    ChannelKind, ChannelRequest, ClientConfig, ConfigError, Connection, Event, PeerOpens,
    ServerConnection, ServerEvent,
};

use crate::common::{PASSWORD, USER, any_key, server_config};

/// What a server tells its test.
#[derive(Debug)]
pub(crate) enum Told {
    Agent(PathBuf),
    /// A display and the cookie for it.
    Display(u16, Vec<u8>),
}

/// A pair of connections over loopback: the client for the test, the server in a thread.
pub(crate) struct Site {
    pub(crate) client: Client<TcpStream>,
    pub(crate) told: Receiver<Told>,
    pub(crate) server: JoinHandle<()>,
}

/// Everything is permitted.
pub(crate) fn permit_all(forwards: &mut Forwards) {
    forwards.permit_open(|_| true);
    forwards.permit_listen(|_| Some(Gateway::AsAsked));
}

pub(crate) fn client_config() -> Result<Arc<ClientConfig>, ConfigError> {
    ClientConfig::builder(rustcrypto::provider())
        .peer_channels(PeerOpens::ALL)
        .build()
}

pub(crate) fn site(setup: impl FnOnce(&mut Forwards) + Send + 'static) -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    let (tell, told) = channel();
    let server = thread::spawn(move || serve(far, setup, &tell));
    let config = client_config().unwrap();
    let mut client = Client::over(near, USER, &config, any_key()).unwrap();
    client.authenticate_password(PASSWORD).unwrap();
    Site {
        client,
        told,
        server,
    }
}

/// Forwards as the setup says. Commands echo.
fn serve<T: Wait>(mut transport: T, setup: impl FnOnce(&mut Forwards), tell: &Sender<Told>) {
    transport.prepare().unwrap();
    let clock = Clock::new();
    let connection =
        ServerConnection::new(&server_config(), Box::new(OsRandom), clock.now()).unwrap();
    let mut driver = Driver::new(connection, transport, clock);
    let mut forwards = Forwards::new();
    setup(&mut forwards);
    while !driver.is_finished() {
        while let Some(event) = driver.poll_event() {
            let connection = driver.connection_mut();
            match event {
                ServerEvent::Auth(request) => connection.accept_auth(request).unwrap(),
                ServerEvent::Shared(event) => {
                    if let Some(event) = forwards.handle(event, connection) {
                        on_event(event, connection, &mut forwards, tell);
                    }
                }
                _ => {}
            }
        }
        forwards.advance(driver.connection_mut());
        driver.transmit();
        driver.wait_with(&forwards, None).unwrap();
        driver.drive();
    }
    assert!(forwards.is_idle());
}

fn on_event(
    event: Event,
    connection: &mut ServerConnection,
    forwards: &mut Forwards,
    tell: &Sender<Told>,
) {
    match event {
        Event::ChannelOpen(open) if *open.kind() == ChannelKind::Session => {
            connection.accept_channel(open).unwrap();
        }
        Event::Request(request) => {
            let channel = request.channel();
            match request.request() {
                ChannelRequest::Exec(_) => {
                    let (ours, theirs) = UnixStream::pair().unwrap();
                    thread::spawn(move || echo(theirs));
                    forwards.attach(channel, ours).unwrap();
                }
                ChannelRequest::AuthAgent => {
                    let path = forwards.serve_agent(&request).unwrap();
                    assert_eq!(forwards.serve_agent(&request).unwrap(), path);
                    tell.send(Told::Agent(path)).unwrap();
                }
                ChannelRequest::X11 { cookie, .. } => {
                    let display = forwards.serve_x11(&request).unwrap();
                    let cookie = cookie.as_bytes().to_vec();
                    tell.send(Told::Display(display, cookie)).unwrap();
                }
                other => panic!("{other:?}"),
            }
            connection.accept_request(request).unwrap();
        }
        _ => {}
    }
}

/// A client that serves in a thread until it is dropped, and then ends the connection.
pub(crate) struct Serving {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn serving(site: Site) -> Serving {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        let mut client = site.client;
        while !stopped.load(Ordering::Relaxed) {
            client.serve(Some(Duration::from_millis(20))).unwrap();
        }
        client.disconnect().unwrap();
        site.server.join().unwrap();
    });
    Serving {
        stop,
        thread: Some(thread),
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

/// A stream of either kind.
pub(crate) trait Stream: Read + Write + Send + 'static {
    fn half(&self) -> Box<dyn Write + Send>;
    fn shut(&self, how: Shutdown);
}

macro_rules! stream {
    ($kind:ty) => {
        impl Stream for $kind {
            fn half(&self) -> Box<dyn Write + Send> {
                Box::new(self.try_clone().unwrap())
            }

            fn shut(&self, how: Shutdown) {
                self.shutdown(how).unwrap();
            }
        }
    };
}

stream!(TcpStream);
stream!(UnixStream);

/// Sends back what comes, then the end.
pub(crate) fn echo(mut stream: impl Stream) {
    let mut half = stream.half();
    let _ = io::copy(&mut stream, &mut half);
    drop(half);
    // Fails if the other end is gone.
    let _ = stream.flush();
}

/// A program that serves each connection in a thread: its port.
pub(crate) fn program(each: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || each(stream));
        }
    });
    port
}

pub(crate) fn unix_program(listener: UnixListener, each: fn(UnixStream)) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || each(stream));
        }
    });
}

/// A port where nobody listens.
pub(crate) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Sends this much each way through an echo at the other end, and closes both directions.
pub(crate) fn exercise(mut stream: impl Stream, len: usize) {
    let sent: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    let mut half = stream.half();
    let writer = {
        let sent = sent.clone();
        thread::spawn(move || half.write_all(&sent).unwrap())
    };
    let mut received = vec![0; len];
    stream.read_exact(&mut received).unwrap();
    assert!(sent == received);
    writer.join().unwrap();
    stream.shut(Shutdown::Write);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// Waits for something that will be.
pub(crate) fn until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "it never came to be");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The displays of this machine, for the one test that has them: others would connect to ours.
pub(crate) fn displays() -> std::fs::File {
    use rustix::fs::{FlockOperation, flock};

    let path = std::env::temp_dir().join("ssh-test-displays.lock");
    let file = std::fs::File::create(path).unwrap();
    flock(&file, FlockOperation::LockExclusive).unwrap();
    file
}

/// A directory for sockets, removed with what is in it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ssh-fwd-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
