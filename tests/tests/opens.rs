//! Channel opens end to end: every type, by those who may, up to bounds, and refusals with their reasons.

use bytes::Bytes;
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    ChannelError, ChannelKind, ClientConnection, ClientEvent, Connection, DataStream, Event,
    GlobalRequest, OpenFailure, PeerOpens, ServerConnection, ServerEvent,
};
use ssh_tests::{
    Connected, Endpoint, Hostile, Pair, Stage, for_each_chunking, for_each_mode, read_all, take,
};

fn opens(by_server: bool) -> Vec<ChannelKind> {
    let (text, originator_port) = (
        |text: &'static str| Bytes::from_static(text.as_bytes()),
        4242,
    );
    let originator_address = text("192.0.2.7");
    let unknown = ChannelKind::Unknown {
        name: text("crab@example.org"),
        body: text("\0\x01"),
    };
    match by_server {
        false => vec![
            ChannelKind::Session,
            ChannelKind::DirectTcpip {
                host: text("example.org"),
                port: 80,
                originator_address,
                originator_port,
            },
            ChannelKind::DirectStreamlocal {
                path: text("/run/socket"),
            },
            ChannelKind::Tun {
                mode: 1,
                unit: 0x7fff_ffff,
            },
            unknown,
        ],
        true => vec![
            ChannelKind::ForwardedTcpip {
                address: text("localhost"),
                port: 8080,
                originator_address: originator_address.clone(),
                originator_port,
            },
            ChannelKind::X11 {
                originator_address,
                originator_port,
            },
            ChannelKind::AuthAgent,
            ChannelKind::AgentConnect,
            ChannelKind::ForwardedStreamlocal {
                path: text("/run/other"),
            },
            unknown,
        ],
    }
}

/// Every type of channel can be opened by those who may, and by no others.
#[test]
fn every_channel_type() {
    for_each_mode(|mode| {
        let mut c = Connected::of(Pair::builder(mode).client(|b| b.peer_channels(PeerOpens::ALL)));
        for kind in opens(false) {
            let channel = c.pair.client.open_channel(&kind).unwrap();
            c.run();
            let open = take!(c.server.events, ServerEvent::Shared(Event::ChannelOpen(o)) => o);
            assert_eq!(open.kind(), &kind);
            let at_server = c.pair.server.accept_channel(open).unwrap();
            c.run();
            take!(c.client.events, ClientEvent::Shared(Event::ChannelOpened(_)) => ());
            c.pair
                .server
                .write(at_server, DataStream::Data, b"hello")
                .unwrap();
            c.run();
            assert_eq!(read_all(&mut c.pair.client, channel).0, b"hello");
            if !matches!(kind, ChannelKind::Unknown { .. }) {
                assert_eq!(
                    c.pair.server.open_channel(&kind),
                    Err(ChannelError::WrongRole)
                );
            }
        }
        for kind in opens(true) {
            let channel = c.pair.server.open_channel(&kind).unwrap();
            c.run();
            let open = take!(c.client.events, ClientEvent::Shared(Event::ChannelOpen(o)) => o);
            assert_eq!(open.kind(), &kind);
            let at_client = c.pair.client.accept_channel(open).unwrap();
            c.run();
            take!(c.server.events, ServerEvent::Shared(Event::ChannelOpened(_)) => ());
            c.pair
                .client
                .write(at_client, DataStream::Data, b"hello")
                .unwrap();
            c.run();
            assert_eq!(read_all(&mut c.pair.server, channel).0, b"hello");
            if !matches!(kind, ChannelKind::Unknown { .. }) {
                assert_eq!(
                    c.pair.client.open_channel(&kind),
                    Err(ChannelError::WrongRole)
                );
            }
        }
    });
}

/// H1, H2: what the application did not ask for is refused without asking it.
#[test]
fn h1_unwanted_channels() {
    fn failure<E: Endpoint>(events: &std::collections::VecDeque<E::Event>) -> OpenFailure {
        let reason = events
            .iter()
            .rev()
            .find_map(|event| match E::shared(event) {
                Some(Event::ChannelOpenFailed { reason, .. }) => Some(*reason),
                _ => None,
            });
        reason.unwrap_or_else(|| panic!("{events:?}"))
    }
    for_each_mode(|mode| {
        let mut c =
            Connected::of(Pair::builder(mode).server(|b| b.peer_channels(PeerOpens::SESSION)));
        for kind in opens(false).into_iter().skip(1) {
            c.pair.client.open_channel(&kind).unwrap();
            c.run();
            let expected = match kind {
                ChannelKind::Unknown { .. } => OpenFailure::UNKNOWN_CHANNEL_TYPE,
                _ => OpenFailure::ADMINISTRATIVELY_PROHIBITED,
            };
            assert_eq!(failure::<ClientConnection>(&c.client.events), expected);
            assert_eq!(c.server.count("ChannelOpen"), 0);
        }
        for kind in opens(true) {
            c.pair.server.open_channel(&kind).unwrap();
            c.run();
            let expected = match kind {
                ChannelKind::Unknown { .. } => OpenFailure::UNKNOWN_CHANNEL_TYPE,
                _ => OpenFailure::ADMINISTRATIVELY_PROHIBITED,
            };
            assert_eq!(failure::<ServerConnection>(&c.server.events), expected);
            assert_eq!(c.client.count("ChannelOpen("), 0);
        }
    });
}

#[test]
fn refusals_carry_their_reason() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let asked = c.pair.client.open_channel(&ChannelKind::Session).unwrap();
        c.run();
        let open = take!(c.server.events, ServerEvent::Shared(Event::ChannelOpen(o)) => o);
        let reason = OpenFailure::CONNECT_FAILED;
        c.pair
            .server
            .reject_channel(open, reason, "not\x1btoday")
            .unwrap();
        c.run();
        let (channel, why, description) = take!(
            c.client.events,
            ClientEvent::Shared(Event::ChannelOpenFailed { channel, reason, description })
                => (channel, reason, description)
        );
        assert_eq!((channel, why), (asked, reason));
        let description = description.to_string();
        assert!(description.starts_with("not") && !description.contains('\x1b'));
    });
}

/// H18: no sessions after the promise, from our client; a peer that breaks it is cut off.
#[test]
fn h18_no_more_sessions() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        c.open();
        let promise = GlobalRequest::NoMoreSessions;
        c.pair.client.global_request(&promise, false).unwrap();
        assert_eq!(
            c.pair.client.open_channel(&ChannelKind::Session),
            Err(ChannelError::Finished)
        );
        c.pair.client.open_channel(&opens(false)[1]).unwrap();
        c.run();
        assert_eq!(c.pair.server_end(), None);
    });
    for_each_chunking(|mode| {
        use ssh_proto::wire::connection as wire;
        let mut hostile = Hostile::<ServerConnection>::at(Stage::Channel, mode);
        hostile.peer.send(&wire::GlobalRequest {
            kind: wire::GlobalRequestKind::NoMoreSessions(()),
            want_reply: false,
        });
        hostile.peer.send(&wire::ChannelOpen {
            kind: wire::ChannelOpenKind::Session(()),
            sender: 1,
            window_size: 1,
            max_packet_size: 100,
        });
        hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
    });
}

/// The bound on sessions, and on channels in all.
#[test]
fn too_many_channels() {
    for_each_mode(|mode| {
        let mut c = Connected::of(Pair::builder(mode).server_limits(|limits| {
            limits.sessions = 3;
            limits.channels = 5;
        }));
        for _ in 0..3 {
            c.open();
        }
        let mut refusals = 0;
        for kind in [
            &opens(false)[0],
            &opens(false)[1],
            &opens(false)[1],
            &opens(false)[1],
        ] {
            c.pair.client.open_channel(kind).unwrap();
            c.run();
            if let Some(at) = c.client.events.iter().position(|event| {
                matches!(event, ClientEvent::Shared(Event::ChannelOpenFailed { reason, .. })
                if *reason == OpenFailure::RESOURCE_SHORTAGE)
            }) {
                c.client.events.remove(at);
                refusals += 1;
            }
        }
        assert_eq!(refusals, 2, "the fourth session, the sixth channel");
    });
}
