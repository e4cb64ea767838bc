//! The library itself at a server: many channels on one connection, which the example client, with
//! its one command, does not have.

use std::collections::HashMap;

use ssh_interop::{Key, Pair, Server, Side, peers};
use ssh_io_std::{Client, Exit};
use ssh_proto::crypto::{PrivateKey, rustcrypto};
use ssh_proto::keys::PublicKeyLine;
use ssh_proto::{
    ChannelId, ChannelKind, ChannelRequest, ClientConfig, ClientEvent, Connection, DataStream,
    Event, HostKeyCheck,
};

use crate::{Scene, pair_tests};

pair_tests!(
    ours_to_openssh,
    Ours,
    OpenSsh,
    sixty_in_turn,
    sixteen_at_once
);
pair_tests!(ours_to_new_openssh, Ours, NewOpenSsh, sixteen_at_once);
pair_tests!(ours_to_ours, Ours, Ours, sixty_in_turn, sixteen_at_once);

fn logged_in(pair: Pair, server: &Server, key: &Key) -> Client<std::net::TcpStream> {
    assert_eq!(pair.client, Side::Ours);
    let provider = rustcrypto::provider();
    let known = PublicKeyLine::parse(server.host_keys[0].line.as_bytes()).expect("a key");
    let judge = move |check: &HostKeyCheck| *check.key() == known.key;
    let config = ClientConfig::builder(provider.clone()).build();
    let address = ("127.0.0.1", server.port);
    let mut client = Client::connect(address, peers::account(), &config.expect("sound"), judge)
        .expect("a connection");
    let file = std::fs::read(&key.private).expect("the private key");
    let private = PrivateKey::from_openssh(&file).expect("a private key");
    let key = provider.signing_key(&private).expect("a key to sign with");
    client.authenticate_key(key).expect("a login");
    client
}

fn sixty_in_turn(pair: Pair) {
    let scene = Scene::new(pair);
    let mut client = logged_in(pair, &scene.server, &scene.key);
    for count in 0..60 {
        let session = client
            .exec(format!("echo {count}; exit 3"))
            .expect("a session");
        let output = session.output(1 << 10).expect("its output");
        assert_eq!(output.stdout, format!("{count}\n").as_bytes());
        assert_eq!(output.exit, Exit::Status(3));
    }
    client.disconnect().expect("goodbye");
}

#[derive(Default)]
struct Session {
    output: Vec<u8>,
    status: Option<u32>,
}

/// All are open before any is told to end, and the keys are replaced while they are.
fn sixteen_at_once(pair: Pair) {
    let scene = Scene::new(pair);
    let mut driver = logged_in(pair, &scene.server, &scene.key).into_driver();
    let mut sessions: HashMap<ChannelId, Session> = HashMap::new();
    for _ in 0..16 {
        let connection = driver.connection_mut();
        let id = connection
            .open_channel(&ChannelKind::Session)
            .expect("a channel");
        sessions.insert(id, Session::default());
    }
    let (mut running, mut open) = (0, sessions.len());
    while open > 0 {
        let event = driver.next_event().expect("the transport");
        let connection = driver.connection_mut();
        match event.expect("an open connection") {
            ClientEvent::HostKey(check) => connection.accept_host_key(check).expect("in time"),
            ClientEvent::Shared(Event::ChannelOpened(id)) => {
                let command = ChannelRequest::Exec(b"cat; exit 7".to_vec().into());
                connection.request(id, &command, true).expect("requested");
            }
            ClientEvent::Shared(Event::RequestReply { success, .. }) => {
                assert!(success, "a command was refused");
                running += 1;
                if running == sessions.len() {
                    connection.rekey().expect("new keys");
                    for (n, id) in sessions.keys().enumerate() {
                        let line = format!("{n}\n");
                        let stream = DataStream::Data;
                        connection
                            .write(*id, stream, line.as_bytes())
                            .expect("room");
                        connection.finish(*id).expect("open");
                    }
                }
            }
            ClientEvent::Shared(Event::Readable(id)) => {
                let session = sessions.get_mut(&id).expect("one of the sixteen");
                while let Ok(Some(chunk)) = connection.read(id) {
                    // What the account's start-up files say on stderr is not ours.
                    if chunk.stream == DataStream::Data {
                        session.output.extend_from_slice(&chunk.bytes);
                    }
                }
            }
            ClientEvent::Shared(Event::ExitStatus { channel, status }) => {
                sessions
                    .get_mut(&channel)
                    .expect("one of the sixteen")
                    .status = Some(status);
            }
            ClientEvent::Shared(Event::ChannelClosed(_)) => open -= 1,
            ClientEvent::Shared(Event::ChannelOpenFailed { reason, .. }) => {
                panic!("a channel was refused: {reason:?}")
            }
            _ => {}
        }
    }
    for (n, session) in sessions.values().enumerate() {
        assert_eq!(session.output, format!("{n}\n").as_bytes());
        assert_eq!(session.status, Some(7));
    }
}
