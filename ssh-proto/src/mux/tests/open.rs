//! Opening channels: H1 to H5, H18, H20.

use super::*;

fn tcpip(port: u32) -> wire::TcpipOpen<'static> {
    wire::TcpipOpen {
        host: b"host",
        port,
        originator_address: b"127.0.0.1",
        originator_port: 4,
    }
}

fn known_kinds() -> [wire::ChannelOpenKind<'static>; 9] {
    [
        session(),
        wire::ChannelOpenKind::X11(wire::X11Open {
            originator_address: b"a",
            originator_port: 1,
        }),
        wire::ChannelOpenKind::DirectTcpip(tcpip(80)),
        wire::ChannelOpenKind::ForwardedTcpip(tcpip(80)),
        wire::ChannelOpenKind::AuthAgent(()),
        wire::ChannelOpenKind::AgentConnect(()),
        wire::ChannelOpenKind::DirectStreamlocal(wire::DirectStreamlocalOpen {
            path: b"/p",
            reserved: b"",
            reserved_number: 0,
        }),
        wire::ChannelOpenKind::ForwardedStreamlocal(wire::ForwardedStreamlocalOpen {
            path: b"/p",
            reserved: b"",
        }),
        wire::ChannelOpenKind::Tun(wire::TunOpen { mode: 1, unit: 2 }),
    ]
}

fn unknown(name: &[u8]) -> wire::ChannelOpenKind<'_> {
    wire::ChannelOpenKind::Unknown { name, body: b"raw" }
}

#[test]
fn h1_a_client_refuses_every_open_without_an_event() {
    for kind in known_kinds() {
        let mut client = Side::client();
        client.feed(&open_message(kind, 9, 100, 100)).unwrap();
        client.sent_is(&failure(9, OpenFailure::ADMINISTRATIVELY_PROHIBITED));
        assert!(client.no_event());
        assert_eq!(client.mux.table.len(), 0);
    }
    let mut client = Side::client();
    client
        .feed(&open_message(unknown(b"x@y"), 9, 100, 100))
        .unwrap();
    client.sent_is(&failure(9, OpenFailure::UNKNOWN_CHANNEL_TYPE));
    assert!(client.no_event());
}

#[test]
fn h1_a_client_admits_nothing_that_it_did_not_ask_for() {
    for kind in known_kinds() {
        let mut client = Side::client();
        client.mux.allow_open(PeerOpens::ALL);
        client.feed(&open_message(kind, 9, 100, 100)).unwrap();
        client.sent_is(&failure(9, OpenFailure::ADMINISTRATIVELY_PROHIBITED));
        assert!(client.no_event());
    }
    // Types without a name here are the application's own business.
    let mut client = Side::client();
    client.mux.allow_open(PeerOpens::ALL);
    client
        .feed(&open_message(unknown(b"x@y"), 9, 100, 100))
        .unwrap();
    client.open_requested();
}

#[test]
fn h2_a_server_gets_what_clients_open_as_typed_values() {
    for kind in known_kinds() {
        let mut server = Side::server();
        server
            .feed(&open_message(kind.clone(), 9, 100, 100))
            .unwrap();
        let legal = PeerOpens::openable_by(Role::Client).contains(PeerOpens::of(&kind));
        match server.event() {
            Some(MuxEvent::OpenRequested { kind: owned, .. }) => {
                assert!(legal);
                assert_eq!(owned.to_wire(), kind);
                assert!(server.sent().is_empty());
            }
            None => {
                assert!(!legal);
                server.sent_is(&failure(9, OpenFailure::ADMINISTRATIVELY_PROHIBITED));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn h2_unknown_types_reach_the_server_raw_and_long_names_do_not() {
    let mut server = Side::server();
    let name = [b'n'; 64];
    server
        .feed(&open_message(unknown(&name), 9, 100, 100))
        .unwrap();
    match server.event() {
        Some(MuxEvent::OpenRequested {
            kind: ChannelKind::Unknown { name: got, body },
            ..
        }) => {
            assert_eq!((&got[..], &body[..]), (&name[..], &b"raw"[..]));
        }
        other => panic!("{other:?}"),
    }
    for name in [&[b'n'; 65][..], b""] {
        server
            .feed(&open_message(unknown(name), 9, 100, 100))
            .unwrap();
        server.sent_is(&failure(9, OpenFailure::UNKNOWN_CHANNEL_TYPE));
        assert!(server.no_event());
    }
}

#[test]
fn h2_a_policy_without_a_kind_refuses_it() {
    let mut server = Side::server();
    server.mux.allow_open(PeerOpens::SESSION);
    for kind in known_kinds().into_iter().skip(1) {
        server.feed(&open_message(kind, 9, 100, 100)).unwrap();
        server.sent_is(&failure(9, OpenFailure::ADMINISTRATIVELY_PROHIBITED));
        assert!(server.no_event());
    }
    server.feed(&open_message(session(), 9, 100, 100)).unwrap();
    server.open_requested();
}

#[test]
fn h3_opens_past_a_cap_are_refused() {
    let limits = Limits {
        sessions: 2,
        channels: 3,
        ..Limits::default()
    };
    let mut server = Side::new(Role::Server, &limits);
    let mut open = |kind, refused: bool| {
        // The same sender number every time, and the oddest one.
        server
            .feed(&open_message(kind, u32::MAX, 100, 100))
            .unwrap();
        assert_eq!(server.no_event(), refused);
        if refused {
            server.sent_is(&failure(u32::MAX, OpenFailure::RESOURCE_SHORTAGE));
        }
    };
    open(session(), false);
    open(session(), false);
    open(session(), true);
    open(wire::ChannelOpenKind::DirectTcpip(tcpip(1)), false);
    open(wire::ChannelOpenKind::DirectTcpip(tcpip(1)), true);
    assert_eq!(
        server.mux.open(&ChannelKind::AuthAgent, &mut server.out),
        Err(ChannelError::Blocked)
    );
    let id = server.mux.table.find(0).unwrap();
    let out = &mut server.out;
    server
        .mux
        .reject_open(id, OpenFailure(99), "no", out)
        .unwrap();
    assert_eq!(
        server.mux.reject_open(id, OpenFailure(99), "no", out),
        Err(ChannelError::Closed)
    );
    assert_eq!(server.sent_numbers(), [number::CHANNEL_OPEN_FAILURE]);
    server.feed(&open_message(session(), 1, 100, 100)).unwrap();
    assert_ne!(server.open_requested(), id);
}

#[test]
fn h3_unanswered_opens_past_the_cap_are_refused() {
    let limits = Limits {
        pending_requests: 1,
        ..Limits::default()
    };
    let mut server = Side::new(Role::Server, &limits);
    server.feed(&open_message(session(), 1, 100, 100)).unwrap();
    let id = server.open_requested();
    server.feed(&open_message(session(), 2, 100, 100)).unwrap();
    server.sent_is(&failure(2, OpenFailure::RESOURCE_SHORTAGE));
    server.mux.accept_open(id, &mut server.out).unwrap();
    server.feed(&open_message(session(), 3, 100, 100)).unwrap();
    server.open_requested();
}

#[test]
fn h3_many_channels_in_turn_leave_nothing_behind() {
    let limits = Limits {
        channels: 1,
        sessions: 1,
        pending_requests: 1,
        ..Limits::default()
    };
    let mut server = Side::new(Role::Server, &limits);
    for round in 0..20_000u32 {
        server
            .feed(&open_message(session(), round, 100, 100))
            .unwrap();
        let id = server.open_requested();
        if round % 2 == 0 {
            server
                .mux
                .reject_open(id, OpenFailure::CONNECT_FAILED, "", &mut server.out)
                .unwrap();
        } else {
            server.mux.accept_open(id, &mut server.out).unwrap();
            server
                .feed(&request(id, wire::ChannelRequestKind::Shell(()), true))
                .unwrap();
            server.feed(&data(id, b"unread")).unwrap();
            server.mux.close(id).unwrap();
            server.feed(&close(id)).unwrap();
        }
        assert_eq!(server.sent().len(), if round % 2 == 0 { 1 } else { 2 });
        server.events.clear();
    }
    let mux = &server.mux;
    assert_eq!((mux.table.len(), mux.sessions, mux.unanswered), (0, 0, 0));
    assert_eq!((mux.waiting, mux.unread), (0, 0));
    assert!(mux.events.capacity() <= 4 && !mux.wants_transmit());
}

#[test]
fn h4_an_open_with_a_tiny_maximum_packet_is_refused() {
    for size in [0, 1, 8] {
        let mut server = Side::server();
        server.feed(&open_message(session(), 5, 100, size)).unwrap();
        server.sent_is(&failure(5, OpenFailure::CONNECT_FAILED));
        assert!(server.no_event());
    }
    let mut server = Side::server();
    server.feed(&open_message(session(), 5, 0, 9)).unwrap();
    server.open_requested();
}

#[test]
fn h4_a_confirmation_with_a_tiny_maximum_packet_is_fatal() {
    for size in [0, 1, 8] {
        let mut client = Side::client();
        let id = client
            .mux
            .open(&ChannelKind::Session, &mut client.out)
            .unwrap();
        assert_eq!(
            client.feed(&confirmation(id, 100, size)),
            Err(PeerMisbehaved::BadMaximumPacketSize.into())
        );
    }
}

#[test]
fn h4_large_windows_and_packets_are_clamped_to_what_we_send() {
    let (mut client, id) = Side::open_with(Role::Client, &Limits::default(), u32::MAX, u32::MAX);
    client
        .mux
        .write(id, DataStream::Data, &[1; 100_000])
        .unwrap();
    let sizes: Vec<_> = client
        .sent()
        .iter()
        .map(|payload| payload.len() - 9)
        .collect();
    assert_eq!(sizes, [32768, 32768, 32768, 100_000 - 3 * 32768]);
}

#[test]
fn h5_answers_to_no_open_of_ours_are_fatal() {
    let (client, id) = Side::open(Role::Client);
    let unopened = ChannelId {
        index: 5,
        generation: 0,
    };
    let mut client = client;
    assert_eq!(client.feed(&confirmation(unopened, 1, 100)), BAD_STATE);
    assert_eq!(client.feed(&confirmation(id, 1, 100)), BAD_STATE, "twice");
    assert_eq!(
        client.feed(&failure(id.index, OpenFailure(1))),
        BAD_STATE,
        "open"
    );
    assert_eq!(client.feed(&failure(5, OpenFailure(1))), BAD_STATE);
    let mut server = Side::server();
    server.feed(&open_message(session(), 0, 1, 100)).unwrap();
    let id = server.open_requested();
    assert_eq!(
        server.feed(&confirmation(id, 1, 100)),
        BAD_STATE,
        "opened by the peer"
    );
    assert_eq!(server.feed(&failure(id.index, OpenFailure(1))), BAD_STATE);
    assert!(client.no_event() && server.no_event());
}

#[test]
fn h5_a_failure_ends_the_open_and_its_text_is_checked_and_cut() {
    let mut client = Side::client();
    let id = client
        .mux
        .open(&ChannelKind::Session, &mut client.out)
        .unwrap();
    let long = "ä".repeat(600);
    let mut message = failure(id.index, OpenFailure(77));
    message.description = long.as_bytes();
    client.feed(&message).unwrap();
    match client.event() {
        Some(MuxEvent::OpenFailed {
            id: failed,
            reason: OpenFailure(77),
            description,
        }) => {
            assert_eq!((failed, description.as_bytes().len()), (id, 1024));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(client.feed(&message), BAD_STATE, "twice");
    assert_eq!(client.mux.close(id), Err(ChannelError::Closed));

    let id = client
        .mux
        .open(&ChannelKind::Session, &mut client.out)
        .unwrap();
    let mut message = failure(id.index, OpenFailure(1));
    message.description = b"\xff";
    assert!(matches!(
        client.feed(&message),
        Err(Error::InvalidMessage { number: 92, .. })
    ));
}

#[test]
fn h18_a_session_after_no_more_sessions_is_fatal() {
    let (mut client, _, mut server, _) = pair(&Limits::default());
    let out = &mut client.out;
    client
        .mux
        .global_request(&GlobalRequest::NoMoreSessions, false, out)
        .unwrap();
    assert_eq!(
        client.mux.open(&ChannelKind::Session, out),
        Err(ChannelError::Finished)
    );
    pump(&mut client, &mut server);
    assert!(server.no_event());
    server
        .feed(&open_message(
            wire::ChannelOpenKind::DirectTcpip(tcpip(1)),
            3,
            1,
            100,
        ))
        .unwrap();
    server.open_requested();
    assert_eq!(
        server.feed(&open_message(session(), 4, 1, 100)),
        Err(PeerMisbehaved::NoMoreSessions.into())
    );
}

#[test]
fn h20_frames_before_confirmation_are_fatal() {
    let frames = |id| {
        [
            encode(&data(id, b"x")),
            encode(&data(id, b"")),
            encode(&stderr(id, 1, b"x")),
            encode(&eof(id)),
            encode(&close(id)),
            encode(&adjust(id.index, 1)),
            encode(&request(id, wire::ChannelRequestKind::Shell(()), true)),
            encode(&wire::ChannelSuccess {
                recipient: id.index,
            }),
            encode(&wire::ChannelFailure {
                recipient: id.index,
            }),
        ]
    };
    for place in 0..9 {
        let mut server = Side::server();
        server.feed(&open_message(session(), 0, 1, 100)).unwrap();
        let id = server.open_requested();
        assert_eq!(
            server.feed_payload(frames(id)[place].clone(), false),
            BAD_STATE
        );
        let mut client = Side::client();
        let id = client
            .mux
            .open(&ChannelKind::Session, &mut client.out)
            .unwrap();
        assert_eq!(
            client.feed_payload(frames(id)[place].clone(), false),
            BAD_STATE
        );
        assert!(client.no_event() && server.no_event());
    }
}

#[test]
fn h20_calls_on_a_channel_that_is_not_open_are_errors() {
    let mut server = Side::server();
    server.feed(&open_message(session(), 0, 1, 100)).unwrap();
    let mut client = Side::client();
    client
        .mux
        .open(&ChannelKind::Session, &mut client.out)
        .unwrap();
    for side in [&mut server, &mut client] {
        let id = side.mux.table.find(0).unwrap();
        let (mux, out) = (&mut side.mux, &mut side.out);
        assert_eq!(
            mux.write(id, DataStream::Data, b"x"),
            Err(ChannelError::NotOpen)
        );
        assert_eq!(mux.writable_bytes(id), Err(ChannelError::NotOpen));
        assert_eq!(mux.read(id), Err(ChannelError::NotOpen));
        assert_eq!(mux.readable_bytes(id), Err(ChannelError::NotOpen));
        assert_eq!(mux.finish(id), Err(ChannelError::NotOpen));
        assert_eq!(
            mux.request(id, &ChannelRequest::Eow, false, out),
            Err(ChannelError::NotOpen)
        );
        let stale = ChannelId {
            generation: 1,
            ..id
        };
        assert_eq!(
            mux.write(stale, DataStream::Data, b"x"),
            Err(ChannelError::Closed)
        );
        assert_eq!(mux.accept_open(stale, out), Err(ChannelError::Closed));
        assert_eq!(
            mux.reject_open(stale, OpenFailure(1), "", out),
            Err(ChannelError::Closed)
        );
    }
    let id = server.open_requested();
    assert_eq!(server.mux.close(id), Err(ChannelError::NotOpen));
    server.mux.accept_open(id, &mut server.out).unwrap();
    assert_eq!(
        server.mux.accept_open(id, &mut server.out),
        Err(ChannelError::Closed)
    );
}

#[test]
fn a_channel_may_be_given_up_before_it_is_confirmed() {
    let mut client = Side::client();
    let id = client
        .mux
        .open(&ChannelKind::Session, &mut client.out)
        .unwrap();
    client.mux.close(id).unwrap();
    assert_eq!(client.sent_numbers(), [number::CHANNEL_OPEN]);
    client.feed(&confirmation(id, 1, 100)).unwrap();
    assert_eq!(client.event(), Some(MuxEvent::Opened { id }));
    client.sent_is(&wire::ChannelClose { recipient: 7 });
    client.feed(&close(id)).unwrap();
    assert_eq!(client.event(), Some(MuxEvent::Closed { id }));
}

#[test]
fn i3_a_port_of_more_than_16_bits_is_refused() {
    let mut server = Side::server();
    for port in [65536, u32::MAX] {
        let kind = wire::ChannelOpenKind::DirectTcpip(tcpip(port));
        server.feed(&open_message(kind, 3, 1, 100)).unwrap();
        server.sent_is(&failure(3, OpenFailure::CONNECT_FAILED));
    }
    let kind = wire::ChannelOpenKind::DirectTcpip(tcpip(65535));
    server.feed(&open_message(kind, 3, 1, 100)).unwrap();
    server.open_requested();
}

#[test]
fn each_role_opens_only_its_kinds() {
    let mut server = Side::server();
    let mut client = Side::client();
    for kind in known_kinds().iter().map(ChannelKind::from_wire) {
        let by_client = client.mux.open(&kind, &mut client.out);
        let by_server = server.mux.open(&kind, &mut server.out);
        assert_ne!(by_client.is_ok(), by_server.is_ok(), "{kind:?}");
        assert!(
            by_client == Err(ChannelError::WrongRole) || by_server == Err(ChannelError::WrongRole)
        );
    }
    let open = |name: &'static [u8], body: Vec<u8>| ChannelKind::Unknown {
        name: name.into(),
        body: body.into(),
    };
    let out = &mut client.out;
    assert!(client.mux.open(&open(b"x@y", vec![]), out).is_ok());
    assert_eq!(
        client.mux.open(&open(b"session", vec![]), out),
        Err(ChannelError::Invalid)
    );
    assert_eq!(
        client.mux.open(&open(b"x@y", vec![0; 32_000]), out),
        Err(ChannelError::TooLong)
    );
}
