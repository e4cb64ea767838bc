//! Client and server in one function, joined by two byte buffers: no socket, no thread, no runtime.

use std::error::Error;

use bytes::BytesMut;
use ssh_proto::crypto::rustcrypto;
use ssh_proto::error::{DisconnectReason, RandomFailed};
use ssh_proto::{
    AuthMethod, ChannelKind, ChannelRequest, ClientConfig, ClientConnection, ClientEvent,
    Connection, DataStream, Event, Instant, Password, ServerConfig, ServerConnection, ServerEvent,
};

/// No timer matters here, so time may stand still.
const NOW: Instant = Instant::EPOCH;

fn os_random(dest: &mut [u8]) -> Result<(), RandomFailed> {
    getrandom::fill(dest).map_err(|_| RandomFailed)
}

fn main() -> Result<(), Box<dyn Error>> {
    let provider = rustcrypto::provider();
    let key = provider.keys.generate("ssh-ed25519", &mut os_random)?;
    let config = ServerConfig::builder(provider.clone());
    let config = config
        .signing_host_key(provider.signing_key(&key)?)
        .build()?;
    let mut server = ServerConnection::new(&config, Box::new(os_random), NOW)?;
    let config = ClientConfig::builder(provider).build()?;
    let mut client = ClientConnection::new(&config, "ferris", Box::new(os_random), NOW)?;
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let mut exit_status = None;

    while !client.is_closed() {
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::HostKey(check) => {
                    assert_eq!(check.key(), &key.public_key());
                    client.accept_host_key(check)?;
                }
                ClientEvent::Auth(turn) => client.auth_password(turn, &Password::new("crab"))?,
                ClientEvent::Shared(Event::Authenticated(_)) => {
                    client.open_channel(&ChannelKind::Session)?;
                }
                ClientEvent::Shared(Event::ChannelOpened(channel)) => {
                    client.request(channel, &ChannelRequest::Exec("greet".into()), true)?;
                }
                ClientEvent::Shared(Event::Readable(channel)) => {
                    while let Some(chunk) = client.read(channel)? {
                        println!("output: {}", String::from_utf8_lossy(&chunk.bytes));
                    }
                }
                ClientEvent::Shared(Event::ExitStatus { status, .. }) => exit_status = Some(status),
                ClientEvent::Shared(Event::ChannelClosed(_)) => {
                    client.disconnect(NOW, DisconnectReason::BY_APPLICATION, "");
                }
                _ => {}
            }
        }
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::Auth(request) => match request.method() {
                    AuthMethod::Password(password) if password.matches(b"crab") => {
                        server.accept_auth(request)?;
                    }
                    _ => server.reject_auth(request, None)?,
                },
                ServerEvent::Shared(Event::ChannelOpen(channel)) => {
                    server.accept_channel(channel)?;
                }
                ServerEvent::Shared(Event::Request(request)) => {
                    let channel = request.channel();
                    server.accept_request(request)?;
                    server.write(channel, DataStream::Data, b"hello from the other buffer")?;
                    server.request(channel, &ChannelRequest::ExitStatus(7), false)?;
                    server.finish(channel)?;
                    server.close_channel(channel)?;
                }
                _ => {}
            }
        }
        while client.poll_transmit(NOW, &mut to_server).is_some() {}
        while server.poll_transmit(NOW, &mut to_client).is_some() {}
        server.handle_input(NOW, to_server.split());
        client.handle_input(NOW, to_client.split());
    }
    println!("exit status: {}", exit_status.ok_or("no exit status")?);
    Ok(())
}
