//! Client and server in one thread, joined by two buffers.

use std::sync::Arc;

use bytes::BytesMut;
use ssh_proto::crypto::{SecureRandom, SigningKey, rustcrypto};
use ssh_proto::error::RandomFailed;
use ssh_proto::{
    AuthMethod, ChannelId, ChannelKind, ClientConfig, ClientConnection, ClientEvent, Connection,
    Event, Instant, Limits, Password, ServerConfig, ServerConnection, ServerEvent,
};

use super::Meter;

/// No timer matters here, so time stands still.
pub const NOW: Instant = Instant::EPOCH;

pub struct OsRandom;

impl SecureRandom for OsRandom {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        getrandom::fill(dest).map_err(|_| RandomFailed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    None,
    Password,
    PublicKey,
}

/// Everything that connections of one kind share.
pub struct Setup {
    pub client: Arc<ClientConfig>,
    pub server: Arc<ServerConfig>,
    user_key: Arc<dyn SigningKey>,
    login: Login,
}

impl Setup {
    pub fn new(kex: &str, cipher: &str, mac: &str, login: Login) -> Self {
        let provider = rustcrypto::provider();
        let key = || {
            let key = provider.keys.generate("ssh-ed25519", &mut OsRandom);
            provider.signing_key(&key.unwrap()).unwrap()
        };
        // A new key exchange would hold data back in the middle of a sample.
        let mut limits = Limits::default();
        limits.rekey_bytes = u64::MAX;
        let server = ServerConfig::builder(provider.clone())
            .signing_host_key(key())
            .limits(limits.clone());
        let client = ClientConfig::builder(provider.clone()).limits(limits);
        Self {
            client: client
                .kex([kex])
                .ciphers([cipher])
                .macs([mac])
                .build()
                .unwrap(),
            server: server.build().unwrap(),
            user_key: key(),
            login,
        }
    }
}

pub struct Pair {
    pub client: ClientConnection,
    pub server: ServerConnection,
    to_client: BytesMut,
    to_server: BytesMut,
}

impl Pair {
    /// From nothing to an authenticated connection on both sides, with the CPU time of each.
    pub fn connect(setup: &Setup, client_time: &mut Meter, server_time: &mut Meter) -> Self {
        let mut pair = Self {
            client: client_time.time(|| {
                ClientConnection::new(&setup.client, "ferris", Box::new(OsRandom), NOW).unwrap()
            }),
            server: server_time
                .time(|| ServerConnection::new(&setup.server, Box::new(OsRandom), NOW).unwrap()),
            to_client: BytesMut::new(),
            to_server: BytesMut::new(),
        };
        while pair.client.authenticated().is_none() || pair.server.authenticated().is_none() {
            client_time.time(|| pair.step_client(setup));
            server_time.time(|| pair.step_server());
        }
        // What is left to say, such as the server's other extensions.
        for _ in 0..2 {
            pair.step_client(setup);
            pair.step_server();
        }
        pair
    }

    fn step_client(&mut self, setup: &Setup) {
        let client = &mut self.client;
        client.handle_input(NOW, self.to_client.split());
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::HostKey(check) => client.accept_host_key(check).unwrap(),
                ClientEvent::Auth(turn) => match setup.login {
                    Login::None => client.auth_none(turn).unwrap(),
                    Login::Password => client
                        .auth_password(turn, &Password::new("correct horse"))
                        .unwrap(),
                    Login::PublicKey => client.auth_publickey(turn, &*setup.user_key).unwrap(),
                },
                ClientEvent::Shared(Event::Disconnected(why)) => panic!("client: {why:?}"),
                _ => {}
            }
        }
        while client.poll_transmit(NOW, &mut self.to_server).is_some() {}
    }

    fn step_server(&mut self) {
        let server = &mut self.server;
        server.handle_input(NOW, self.to_server.split());
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::KeyQuery(query) => server.answer_key_query(query, true).unwrap(),
                ServerEvent::Auth(request) => match request.method() {
                    AuthMethod::Password(password) if !password.matches(b"correct horse") => {
                        server.reject_auth(request, None).unwrap();
                    }
                    _ => server.accept_auth(request).unwrap(),
                },
                ServerEvent::Shared(Event::ChannelOpen(channel)) => {
                    server.accept_channel(channel).unwrap();
                }
                ServerEvent::Shared(Event::Disconnected(why)) => panic!("server: {why:?}"),
                _ => {}
            }
        }
        while server.poll_transmit(NOW, &mut self.to_client).is_some() {}
    }

    /// A session, by its id on the client.
    pub fn open_session(&mut self, setup: &Setup) -> ChannelId {
        let channel = self.client.open_channel(&ChannelKind::Session).unwrap();
        for _ in 0..2 {
            self.step_client(setup);
            self.step_server();
        }
        self.step_client(setup);
        channel
    }

    /// The client's half of a transfer: `write`, then everything that is to be sent.
    pub fn send(&mut self, write: impl FnOnce(&mut ClientConnection, &mut BytesMut)) {
        self.client.handle_input(NOW, self.to_client.split());
        while let Some(event) = self.client.poll_event() {
            assert!(!matches!(
                event,
                ClientEvent::Shared(Event::Disconnected(_))
            ));
        }
        write(&mut self.client, &mut self.to_server);
        while self
            .client
            .poll_transmit(NOW, &mut self.to_server)
            .is_some()
        {}
    }

    /// The server's half: reads everything and answers with credit. Bytes of data.
    pub fn receive(&mut self) -> usize {
        let mut received = 0;
        self.server.handle_input(NOW, self.to_server.split());
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::Shared(Event::Readable(channel)) => {
                    while let Some(chunk) = self.server.read(channel).unwrap() {
                        received += chunk.bytes.len();
                    }
                }
                ServerEvent::Shared(Event::Disconnected(why)) => panic!("server: {why:?}"),
                _ => {}
            }
        }
        while self
            .server
            .poll_transmit(NOW, &mut self.to_client)
            .is_some()
        {}
        received
    }
}
