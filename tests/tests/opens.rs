//! Channel opens end to end: every type, by those who may, up to bounds, and refusals with their reasons.

use bytes::Bytes;
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, ClientConnection, ClientEvent,
    Connection, DataStream, Event, GlobalRequest, OpenFailure, PeerOpens, ServerConnection,
    ServerEvent, X11Cookie,
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

fn ask_x11(single_connection: bool) -> ChannelRequest {
    ChannelRequest::X11 {
        single_connection,
        auth_protocol: "MIT-MAGIC-COOKIE-1".into(),
        cookie: X11Cookie::new(b"00ff".to_vec()),
        screen: 0,
    }
}

fn forward(address: &'static str, port: u32) -> GlobalRequest {
    GlobalRequest::TcpipForward {
        address: address.into(),
        port,
    }
}

/// Makes the client ask for all that `opens(true)` has.
fn ask_for_everything(c: &mut Connected) {
    let (session, _) = c.open();
    let client = &mut c.pair.client;
    for request in [ask_x11(false), ChannelRequest::AuthAgent] {
        client.request(session, &request, false).unwrap();
    }
    let socket = GlobalRequest::StreamlocalForward {
        path: "/run/other".into(),
    };
    for request in [forward("localhost", 8080), socket] {
        client.global_request(&request, false).unwrap();
    }
    c.run();
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
        ask_for_everything(&mut c);
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

/// Opens this at the client; whether the client is asked, and lets it be.
fn admits(c: &mut Connected, kind: &ChannelKind) -> bool {
    c.pair.server.open_channel(kind).unwrap();
    c.run();
    let asked = |event: &ClientEvent| matches!(event, ClientEvent::Shared(Event::ChannelOpen(_)));
    let is_asked = c.client.events.iter().any(asked);
    // Dropping the token refuses.
    c.client.events.retain(|event| !asked(event));
    c.run();
    let reason = take!(
        c.server.events,
        ServerEvent::Shared(Event::ChannelOpenFailed { reason, .. }) => reason
    );
    assert_eq!(reason, OpenFailure::ADMINISTRATIVELY_PROHIBITED);
    is_asked
}

/// Makes a global request; the server grants it, listening on this port, or refuses.
fn ask(c: &mut Connected, request: &GlobalRequest, port: Option<u16>) -> Option<u16> {
    c.pair.client.global_request(request, true).unwrap();
    c.run();
    let token = take!(c.server.events, ServerEvent::Shared(Event::GlobalRequest(t)) => t);
    match (port, request) {
        (Some(port), GlobalRequest::TcpipForward { .. }) => {
            c.pair.server.accept_tcpip_forward(token, port).unwrap();
        }
        (Some(_), _) => c.pair.server.accept_global_request(token, b"").unwrap(),
        (None, _) => c.pair.server.reject_global_request(token).unwrap(),
    }
    c.run();
    let result = take!(
        c.client.events,
        ClientEvent::Shared(Event::GlobalReply { result, .. }) => result
    );
    assert_eq!(result.is_ok(), port.is_some());
    result.ok().and_then(|reply| reply.port())
}

/// H1: a client without any config admits what it asked for, as long as it asks for it.
#[test]
fn h1_forwards_are_admitted_while_they_are_asked_for() {
    let connection = |address: &'static str, port| ChannelKind::ForwardedTcpip {
        address: address.into(),
        port,
        originator_address: "192.0.2.7".into(),
        originator_port: 4242,
    };
    let socket = |path: &'static str| ChannelKind::ForwardedStreamlocal { path: path.into() };
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let (chosen, fixed) = (connection("localhost", 2000), connection("", 22));
        assert!(!admits(&mut c, &chosen) && !admits(&mut c, &fixed));

        assert_eq!(
            ask(&mut c, &forward("localhost", 0), Some(2000)),
            Some(2000)
        );
        assert_eq!(ask(&mut c, &forward("", 22), None), None);
        assert!(admits(&mut c, &chosen) && !admits(&mut c, &fixed));
        assert!(!admits(&mut c, &connection("192.0.2.1", 2000)));

        assert_eq!(ask(&mut c, &forward("", 22), Some(22)), Some(22));
        assert!(admits(&mut c, &fixed) && admits(&mut c, &connection("192.0.2.1", 22)));

        let cancel = GlobalRequest::CancelTcpipForward {
            address: "localhost".into(),
            port: 2000,
        };
        ask(&mut c, &cancel, Some(0));
        assert!(!admits(&mut c, &chosen) && admits(&mut c, &fixed));

        assert!(!admits(&mut c, &socket("/a")));
        let path = || Bytes::from_static(b"/a");
        ask(
            &mut c,
            &GlobalRequest::StreamlocalForward { path: path() },
            Some(0),
        );
        assert!(admits(&mut c, &socket("/a")) && !admits(&mut c, &socket("/b")));
        ask(
            &mut c,
            &GlobalRequest::CancelStreamlocalForward { path: path() },
            None,
        );
        assert!(!admits(&mut c, &socket("/a")));
    });
}

/// H1, L9: X11 and agent connections come only after a session asked for them.
#[test]
fn l9_x11_and_agent_connections_are_admitted_once_they_are_asked_for() {
    fn ask(c: &mut Connected, session: ChannelId, request: &ChannelRequest, grant: bool) {
        c.pair.client.request(session, request, true).unwrap();
        c.run();
        let token = take!(c.server.events, ServerEvent::Shared(Event::Request(r)) => r);
        match grant {
            true => c.pair.server.accept_request(token).unwrap(),
            false => c.pair.server.reject_request(token).unwrap(),
        }
        c.run();
    }
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let (session, _) = c.open();
        let x11 = ChannelKind::X11 {
            originator_address: "192.0.2.7".into(),
            originator_port: 4242,
        };
        let agents = [ChannelKind::AuthAgent, ChannelKind::AgentConnect];
        for grant in [false, true] {
            assert!(!agents.iter().any(|kind| admits(&mut c, kind)) && !admits(&mut c, &x11));
            for request in [ChannelRequest::AuthAgent, ask_x11(true)] {
                ask(&mut c, session, &request, grant);
            }
        }
        assert!(agents.iter().all(|kind| admits(&mut c, kind)));
        assert!(
            admits(&mut c, &x11) && !admits(&mut c, &x11),
            "one connection"
        );
        ask(&mut c, session, &ask_x11(false), true);
        assert!(admits(&mut c, &x11) && admits(&mut c, &x11));
    });
}

type Frame<E> = dyn Fn(&mut Hostile<E>);

/// H4, H5, H20: answers to opens that were not made, or with values that cannot be, from a peer of
/// either role.
#[test]
fn h5_answers_to_no_open() {
    use ssh_proto::wire::connection as wire;
    fn check<E: ssh_tests::hostile::Victim>(mode: ssh_tests::Mode) {
        let confirmation = |recipient, max_packet_size| wire::ChannelOpenConfirmation {
            recipient,
            sender: 9,
            window_size: 1,
            max_packet_size,
            body: ssh_proto::wire::Rest(&[]),
        };
        let failure = |recipient| wire::ChannelOpenFailure {
            recipient,
            reason: 2,
            description: b"",
            language: b"",
        };
        // 0 is open, 1 is none.
        for recipient in [0, 1, u32::MAX] {
            let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
            hostile.send(&confirmation(recipient, 100));
            hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
            let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
            hostile.send(&failure(recipient));
            hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
        }
        let ours = ChannelKind::Unknown {
            name: "x@y".into(),
            body: "".into(),
        };
        for (max_packet_size, ends) in [(0, true), (8, true), (9, false), (u32::MAX, false)] {
            let mut hostile = Hostile::<E>::at(Stage::Authenticated, mode);
            hostile.connection.open_channel(&ours).unwrap();
            hostile.exchange();
            hostile.send(&confirmation(0, max_packet_size));
            assert_eq!(hostile.ended.is_some(), ends, "{max_packet_size}");
        }
        // Frames on a channel that neither side has confirmed.
        let frames: [&Frame<E>; 4] = [
            &|h| h.send(&wire::ChannelEof { recipient: 0 }),
            &|h| h.send(&wire::ChannelClose { recipient: 0 }),
            &|h| {
                h.send(&wire::ChannelData {
                    recipient: 0,
                    data: b"x",
                });
            },
            &|h| {
                h.send(&wire::ChannelWindowAdjust {
                    recipient: 0,
                    bytes: 1,
                });
            },
        ];
        for frame in frames {
            let mut hostile = Hostile::<E>::at(Stage::Authenticated, mode);
            hostile.connection.open_channel(&ours).unwrap();
            hostile.exchange();
            frame(&mut hostile);
            hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
        }
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}
