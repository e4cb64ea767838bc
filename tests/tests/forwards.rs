//! Forwarded connections end to end: each kind opened by the side that opens it, with data both ways, half-closed, while keys are replaced.

use bytes::Bytes;
use ssh_proto::agent::{AgentClient, AgentReply, AgentServer, KeyConstraints, Keyring};
use ssh_proto::{
    ChannelId, ChannelKind, ChannelRequest, ClientEvent, Connection, DataStream, Event,
    GlobalRequest, PeerOpens, ServerEvent, X11Cookie,
};
use ssh_tests::{Connected, Endpoint, Mode, Pair, for_each_mode, read_all, take};

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// A session for which the client asks for X11, both kinds of agent, a port and a socket, all of
/// which it is granted.
fn ask_for_everything(c: &mut Connected) {
    let (session, _) = c.open();
    let x11 = ChannelRequest::X11 {
        single_connection: false,
        auth_protocol: text("MIT-MAGIC-COOKIE-1"),
        cookie: X11Cookie::new(b"00ff".to_vec()),
        screen: 0,
    };
    for request in [x11, ChannelRequest::AuthAgent] {
        grant(c, session, &request);
    }
    for request in [
        GlobalRequest::TcpipForward {
            address: text("localhost"),
            port: 0,
        },
        GlobalRequest::StreamlocalForward { path: text("/s") },
    ] {
        c.pair.client.global_request(&request, true).unwrap();
        c.run();
        let token = take!(c.server.events, ServerEvent::Shared(Event::GlobalRequest(t)) => t);
        match request {
            GlobalRequest::TcpipForward { .. } => {
                c.pair.server.accept_tcpip_forward(token, 2000).unwrap();
            }
            _ => c.pair.server.accept_global_request(token, b"").unwrap(),
        }
        c.run();
        let result = take!(
            c.client.events,
            ClientEvent::Shared(Event::GlobalReply { result, .. }) => result
        );
        assert!(result.is_ok());
    }
}

fn grant(c: &mut Connected, session: ChannelId, request: &ChannelRequest) {
    c.pair.client.request(session, request, true).unwrap();
    c.run();
    granted(c);
}

fn granted(c: &mut Connected) {
    let token = take!(c.server.events, ServerEvent::Shared(Event::Request(r)) => r);
    c.pair.server.accept_request(token).unwrap();
    c.run();
    let success = take!(
        c.client.events,
        ClientEvent::Shared(Event::RequestReply { success, .. }) => success
    );
    assert!(success);
}

fn kinds(by_server: bool) -> Vec<ChannelKind> {
    let originator_address = text("192.0.2.7");
    let originator_port = 4242;
    let unknown = ChannelKind::Unknown {
        name: text("crab@example.org"),
        body: text("raw"),
    };
    match by_server {
        false => vec![
            ChannelKind::DirectTcpip {
                host: text("example.org"),
                port: 80,
                originator_address,
                originator_port,
            },
            ChannelKind::DirectStreamlocal { path: text("/d") },
            ChannelKind::Tun { mode: 2, unit: 1 },
            unknown,
        ],
        true => vec![
            ChannelKind::ForwardedTcpip {
                address: text("localhost"),
                port: 2000,
                originator_address: originator_address.clone(),
                originator_port,
            },
            ChannelKind::ForwardedStreamlocal { path: text("/s") },
            ChannelKind::X11 {
                originator_address,
                originator_port,
            },
            ChannelKind::AuthAgent,
            ChannelKind::AgentConnect,
            unknown,
        ],
    }
}

/// Opens a channel from either side; its id at the client and at the server.
fn open(c: &mut Connected, by_server: bool, kind: &ChannelKind) -> (ChannelId, ChannelId) {
    match by_server {
        false => {
            let at_client = c.pair.client.open_channel(kind).unwrap();
            c.run();
            let open = take!(c.server.events, ServerEvent::Shared(Event::ChannelOpen(o)) => o);
            assert_eq!(open.kind(), kind);
            let at_server = c.pair.server.accept_channel(open).unwrap();
            c.run();
            let opened =
                take!(c.client.events, ClientEvent::Shared(Event::ChannelOpened(id)) => id);
            assert_eq!(opened, at_client);
            (at_client, at_server)
        }
        true => {
            let at_server = c.pair.server.open_channel(kind).unwrap();
            (accept_at_client(c, at_server, kind), at_server)
        }
    }
}

fn accept_at_client(c: &mut Connected, at_server: ChannelId, kind: &ChannelKind) -> ChannelId {
    c.run();
    let open = take!(c.client.events, ClientEvent::Shared(Event::ChannelOpen(o)) => o);
    assert_eq!(open.kind(), kind);
    let at_client = c.pair.client.accept_channel(open).unwrap();
    c.run();
    let opened = take!(c.server.events, ServerEvent::Shared(Event::ChannelOpened(id)) => id);
    assert_eq!(opened, at_server);
    at_client
}

/// Sends all of this, the reader keeping up.
fn transfer(c: &mut Connected, to_server: bool, at: (ChannelId, ChannelId), data: &[u8]) {
    let (mut written, mut got) = (0, Vec::new());
    while got.len() < data.len() {
        let rest = &data[written..];
        let before = got.len() + written;
        written += match to_server {
            true => c.pair.client.write(at.0, DataStream::Data, rest),
            false => c.pair.server.write(at.1, DataStream::Data, rest),
        }
        .unwrap();
        c.run();
        got.extend(match to_server {
            true => read_all(&mut c.pair.server, at.1).0,
            false => read_all(&mut c.pair.client, at.0).0,
        });
        assert!(got.len() + written > before, "stuck at {}", got.len());
    }
    assert!(got == data, "other data than was sent");
}

/// How many key exchanges there were.
fn exchanges(c: &Connected) -> usize {
    let of_client = |event: &&ClientEvent| {
        matches!(
            ssh_proto::ClientConnection::shared(event),
            Some(Event::KeysChanged(_))
        )
    };
    c.client.events.iter().filter(of_client).count()
}

/// The side that opened has no more to send; the other has, says so, and both close.
fn half_close(c: &mut Connected, by_server: bool, at: (ChannelId, ChannelId), data: &[u8]) {
    match by_server {
        true => {
            c.pair.server.finish(at.1).unwrap();
            c.run();
            let ended = take!(c.client.events, ClientEvent::Shared(Event::Eof(id)) => id);
            assert_eq!(ended, at.0);
        }
        false => {
            c.pair.client.finish(at.0).unwrap();
            c.run();
            let ended = take!(c.server.events, ServerEvent::Shared(Event::Eof(id)) => id);
            assert_eq!(ended, at.1);
        }
    }
    transfer(c, by_server, at, data);
    match by_server {
        true => c.pair.client.finish(at.0).unwrap(),
        false => c.pair.server.finish(at.1).unwrap(),
    }
    c.run();
    match by_server {
        true => take!(c.server.events, ServerEvent::Shared(Event::Eof(_)) => ()),
        false => take!(c.client.events, ClientEvent::Shared(Event::Eof(_)) => ()),
    }
    assert_eq!(c.client.count("ChannelClosed"), 0, "EOF does not close");
    c.pair.server.close_channel(at.1).unwrap();
    c.run();
    let (client, server) = (&mut c.client.events, &mut c.server.events);
    let closed = take!(client, ClientEvent::Shared(Event::ChannelClosed(id)) => id);
    assert_eq!(closed, at.0);
    let closed = take!(server, ServerEvent::Shared(Event::ChannelClosed(id)) => id);
    assert_eq!(closed, at.1);
}

#[test]
fn every_kind_carries_data_both_ways_and_half_closes() {
    for_each_mode(|mode| {
        let mut c = Connected::of(Pair::builder(mode).client(|b| b.peer_channels(PeerOpens::ALL)));
        ask_for_everything(&mut c);
        let there: Vec<u8> = (0..6000_u32).map(|at| (at % 251) as u8).collect();
        let back: Vec<u8> = there.iter().rev().map(|byte| byte ^ 0x80).collect();
        for by_server in [false, true] {
            for kind in kinds(by_server) {
                let at = open(&mut c, by_server, &kind);
                transfer(&mut c, !by_server, at, &there);
                transfer(&mut c, by_server, at, &back);
                half_close(&mut c, by_server, at, &back);
            }
        }
        assert_eq!(exchanges(&c) > 0, mode.rekeys());
        assert_eq!((c.pair.client_end(), c.pair.server_end()), (None, None));
    });
}

/// The names of RFC 9987 where the server announced them, OpenSSH's where the client used it; the
/// agent protocol goes through either.
#[test]
fn an_agent_is_reached_by_either_name() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        for by_rfc in [true, false] {
            let (session, at_server) = c.open();
            match by_rfc {
                true => {
                    let client = &mut c.pair.client;
                    client.request_agent_forwarding(session, true).unwrap();
                    c.run();
                    let asked = c.server.count("request: Agent");
                    assert_eq!(asked, 1, "{:?}", c.server.events);
                    granted(&mut c);
                }
                false => grant(&mut c, session, &ChannelRequest::AuthAgent),
            }
            let kind = match by_rfc {
                true => ChannelKind::AgentConnect,
                false => ChannelKind::AuthAgent,
            };
            let at_agent = c.pair.server.open_agent_channel().unwrap();
            let at_client = accept_at_client(&mut c, at_agent, &kind);
            talk(&mut c, mode, (at_client, at_agent));
            c.pair.server.close_channel(at_agent).unwrap();
            c.pair.server.close_channel(at_server).unwrap();
            c.run();
        }
        assert_eq!(exchanges(&c) > 0, mode.rekeys());
    });
}

/// How often the agent is asked: often enough for keys of the connection to be replaced.
const ASKED: usize = 60;

/// The program on the server adds a key to the agent behind the client, and finds it there.
fn talk(c: &mut Connected, mode: Mode, (at_client, at_server): (ChannelId, ChannelId)) {
    let mut program = AgentClient::new();
    let (mut agent, mut keyring) = (
        AgentServer::new(),
        Keyring::new(ssh_tests::fixtures::provider()),
    );
    let key = ssh_tests::agent::private_key("ssh-ed25519", mode.seed);
    let comment = ssh_proto::keys::Comment::new("forwarded");
    program
        .add(&key, &comment, &KeyConstraints::default())
        .unwrap();
    for _ in 0..ASKED {
        program.identities().unwrap();
    }
    let mut replies = Vec::new();
    while replies.len() < 1 + ASKED {
        let sent = program.output().to_vec();
        let now = c.pair.now;
        if !sent.is_empty() {
            let taken = c.pair.server.write(at_server, DataStream::Data, &sent);
            program.advance_output(taken.unwrap());
        }
        c.run();
        agent.handle_input(&read_all(&mut c.pair.client, at_client).0);
        while agent.poll_event(&mut keyring, now).unwrap().is_some() {}
        let sent = agent.output().to_vec();
        if !sent.is_empty() {
            let taken = c.pair.client.write(at_client, DataStream::Data, &sent);
            agent.advance_output(taken.unwrap());
        }
        c.run();
        program.handle_input(&read_all(&mut c.pair.server, at_server).0);
        while let Some(event) = program.poll_event().unwrap() {
            replies.push(event.result.unwrap());
        }
    }
    assert_eq!(replies[0], AgentReply::Done);
    for reply in &replies[1..] {
        let AgentReply::Identities(found) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].key, key.public_key());
    }
}
