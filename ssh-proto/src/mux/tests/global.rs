//! Global requests: I1 to I6.

use super::*;
use crate::error::Limit;
use wire::GlobalRequestKind as Kind;

fn global(kind: Kind<'_>, want_reply: bool) -> wire::GlobalRequest<'_> {
    wire::GlobalRequest { kind, want_reply }
}

fn forward(address: &[u8], port: u32) -> Kind<'_> {
    Kind::TcpipForward(wire::TcpipForward { address, port })
}

const UNKNOWN: Kind<'static> = Kind::Unknown {
    name: b"x@y",
    body: b"raw",
};

/// Feeds a request that wants a reply; the key if it reaches the application.
fn ask(side: &mut Side, kind: Kind<'_>) -> Option<RequestKey> {
    side.feed(&global(kind, true)).unwrap();
    match side.event() {
        Some(MuxEvent::GlobalRequest {
            key,
            want_reply: true,
            ..
        }) => Some(key),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// Feeds a request that must fail without the application.
fn fails(side: &mut Side, kind: Kind<'_>) {
    assert_eq!(ask(side, kind.clone()), None, "{kind:?}");
    side.sent_is(&wire::RequestFailure {});
    side.feed(&global(kind, false)).unwrap();
    assert!(side.no_event() && side.sent().is_empty());
}

#[test]
fn i1_replies_leave_in_order_and_silence_is_kept() {
    let mut side = Side::server();
    let first = ask(&mut side, UNKNOWN).unwrap();
    let second = ask(&mut side, forward(b"", 0)).unwrap();
    assert_eq!(ask(&mut side, Kind::Keepalive(())), None);
    side.feed(&global(UNKNOWN, false)).unwrap();
    match side.event() {
        Some(MuxEvent::GlobalRequest {
            key,
            request,
            want_reply: false,
        }) => {
            assert_eq!(request.to_wire(), UNKNOWN);
            side.mux.answer_global(key, Ok(b""), &mut side.out).unwrap();
        }
        other => panic!("{other:?}"),
    }
    let out = &mut side.out;
    side.mux
        .answer_global(second, Ok(&[0, 0, 31, 144]), out)
        .unwrap();
    assert!(out.is_empty());
    side.mux.answer_global(first, Err(()), out).unwrap();
    assert_eq!(
        side.mux.answer_global(first, Err(()), out),
        Err(ChannelError::Closed)
    );
    assert_eq!(
        side.sent(),
        [
            encode(&wire::RequestFailure {}),
            encode(&wire::RequestSuccess {
                body: Rest(&[0, 0, 31, 144])
            }),
            encode(&wire::RequestFailure {}),
        ]
    );
}

#[test]
fn i1_a_pipeline_of_requests_holds_nothing_once_answered() {
    for role in ROLES {
        let mut side = Side::new(role, &Limits::default());
        for _ in 0..100_000 {
            let key = ask(&mut side, UNKNOWN).unwrap();
            side.mux.answer_global(key, Err(()), &mut side.out).unwrap();
            side.sent_is(&wire::RequestFailure {});
        }
        assert_eq!(side.mux.globals.theirs.len(), 0);
    }
}

#[test]
fn i1_requests_past_the_cap_fail_in_order_and_then_end_the_connection() {
    for role in ROLES {
        let limits = Limits {
            pending_requests: 1,
            deferred_messages: 2,
            ..Limits::default()
        };
        let mut side = Side::new(role, &limits);
        let key = ask(&mut side, UNKNOWN).unwrap();
        assert_eq!(ask(&mut side, UNKNOWN), None);
        assert_eq!(ask(&mut side, UNKNOWN), None);
        assert_eq!(
            side.feed(&global(UNKNOWN, true)),
            Err(Limit::DeferredOutput.into())
        );
        side.mux.answer_global(key, Ok(b""), &mut side.out).unwrap();
        let (yes, no) = (number::REQUEST_SUCCESS, number::REQUEST_FAILURE);
        assert_eq!(side.sent_numbers(), [yes, no, no]);
    }
}

#[test]
fn i3_ports_have_16_bits_and_addresses_no_nul() {
    let mut side = Side::server();
    for port in [65536, u32::MAX] {
        fails(&mut side, forward(b"", port));
        fails(
            &mut side,
            Kind::CancelTcpipForward(wire::TcpipForward { address: b"", port }),
        );
    }
    fails(&mut side, forward(b"a\0b", 1));
    fails(&mut side, Kind::StreamlocalForward(b"/a\0b"));
    for address in [&b""[..], b"*", b"::1"] {
        for port in [0, 65535] {
            assert!(ask(&mut side, forward(address, port)).is_some());
        }
    }
}

/// The result that a client sees for a reply to `tcpip-forward`.
fn forwarded(port: u32, body: &[u8]) -> Result<Option<u16>, ()> {
    let mut side = Side::client();
    let request = GlobalRequest::TcpipForward {
        address: Bytes::new(),
        port,
    };
    let id = side
        .mux
        .global_request(&request, true, &mut side.out)
        .unwrap()
        .unwrap();
    side.feed(&wire::RequestSuccess { body: Rest(body) })
        .unwrap();
    match side.event() {
        Some(MuxEvent::GlobalReply { request, result }) if request == id => result.map(|reply| {
            assert_eq!(reply.body(), body);
            reply.port()
        }),
        other => panic!("{other:?}"),
    }
}

#[test]
fn i4_the_port_is_told_exactly_if_it_was_left_open() {
    assert_eq!(forwarded(0, &[0, 0, 4, 1]), Ok(Some(1025)));
    for bad in [
        &[][..],
        &[0, 0, 4],
        &[0, 0, 4, 1, 0],
        &[0; 4],
        &[0, 1, 0, 0],
    ] {
        assert_eq!(forwarded(0, bad), Err(()), "{bad:?}");
    }
    assert_eq!(forwarded(22, &[]), Ok(Some(22)));
    assert_eq!(forwarded(22, &[0, 0, 0, 22]), Ok(Some(22)));
    assert_eq!(forwarded(22, &[0, 0, 0, 23]), Err(()));
    assert_eq!(forwarded(22, &[22]), Err(()));
}

#[test]
fn i5_what_only_clients_ask_fails_at_a_client() {
    let mut side = Side::client();
    let tcpip = wire::TcpipForward {
        address: b"",
        port: 1,
    };
    for kind in [
        forward(b"", 0),
        Kind::CancelTcpipForward(tcpip),
        Kind::StreamlocalForward(b"/p"),
        Kind::CancelStreamlocalForward(b"/p"),
        Kind::HostKeysProve(vec![b"key"]),
        Kind::NoMoreSessions(()),
    ] {
        fails(&mut side, kind);
    }
    assert!(side.mux.open(&ChannelKind::Session, &mut side.out).is_ok());
    fails(&mut Side::server(), Kind::HostKeys(vec![b"key"]));
}

#[test]
fn i6_host_keys_are_capped() {
    let mut side = Side::client();
    side.feed(&global(Kind::HostKeys(vec![b"key"; 1000]), false))
        .unwrap();
    match side.event() {
        Some(MuxEvent::GlobalRequest {
            request: GlobalRequest::HostKeys(keys),
            ..
        }) => {
            assert_eq!(keys, vec!["key"; 64]);
        }
        other => panic!("{other:?}"),
    }
    let mut side = Side::server();
    fails(&mut side, Kind::HostKeysProve(vec![]));
    fails(&mut side, Kind::HostKeysProve(vec![b"key"; 65]));
    assert!(ask(&mut side, Kind::HostKeysProve(vec![b"key"; 64])).is_some());
}

#[test]
fn i8_keepalives_are_answered_without_the_application() {
    for mut side in [Side::client(), Side::server()] {
        fails(&mut side, Kind::Keepalive(()));
    }
}

#[test]
fn every_global_request_survives_the_wire() {
    let text = || Bytes::from_static(b"text");
    let (mut client, _, mut server, _) = pair(&Limits::default());
    for sent in [
        GlobalRequest::TcpipForward {
            address: text(),
            port: 1,
        },
        GlobalRequest::CancelTcpipForward {
            address: text(),
            port: 1,
        },
        GlobalRequest::StreamlocalForward { path: text() },
        GlobalRequest::CancelStreamlocalForward { path: text() },
        GlobalRequest::HostKeysProve(vec![text(), text()]),
        GlobalRequest::Unknown {
            name: text(),
            body: text(),
        },
    ] {
        let id = client
            .mux
            .global_request(&sent, true, &mut client.out)
            .unwrap()
            .unwrap();
        assert_eq!(
            server
                .mux
                .global_request(&sent, true, &mut server.out)
                .is_ok(),
            matches!(sent, GlobalRequest::Unknown { .. })
        );
        pump(&mut client, &mut server);
        let key = match server.event() {
            Some(MuxEvent::GlobalRequest { key, request, .. }) if request == sent => key,
            other => panic!("{other:?}"),
        };
        server
            .mux
            .answer_global(key, Err(()), &mut server.out)
            .unwrap();
        client.events.clear();
        pump(&mut client, &mut server);
        assert_eq!(
            client.event(),
            Some(MuxEvent::GlobalReply {
                request: id,
                result: Err(())
            })
        );
    }
    let keys = GlobalRequest::HostKeys(vec![text()]);
    let out = &mut client.out;
    assert_eq!(
        client.mux.global_request(&keys, false, out),
        Err(ChannelError::WrongRole)
    );
    let disguised = GlobalRequest::Unknown {
        name: "tcpip-forward".into(),
        body: text(),
    };
    assert_eq!(
        client.mux.global_request(&disguised, false, out),
        Err(ChannelError::Invalid)
    );
    server
        .mux
        .global_request(&keys, false, &mut server.out)
        .unwrap();
    pump(&mut client, &mut server);
    assert!(
        matches!(client.event(), Some(MuxEvent::GlobalRequest { request, .. }) if request == keys)
    );
}
