//! Channel requests and their replies: H12 to H17.

use super::*;
use crate::error::Limit;
use wire::ChannelRequestKind as Kind;

fn unknown(name: &[u8]) -> Kind<'_> {
    Kind::Unknown { name, body: b"raw" }
}

/// Feeds a request that wants a reply; the key if it reaches the application.
fn ask(side: &mut Side, id: ChannelId, kind: Kind<'_>) -> Option<RequestKey> {
    side.feed(&request(id, kind, true)).unwrap();
    match side.event() {
        Some(MuxEvent::Request {
            key,
            want_reply: true,
            ..
        }) => Some(key),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// Feeds a request that must fail without the application.
fn fails(side: &mut Side, id: ChannelId, kind: Kind<'_>) {
    assert_eq!(ask(side, id, kind.clone()), None, "{kind:?}");
    side.sent_is(&wire::ChannelFailure { recipient: 7 });
    side.feed(&request(id, kind, false)).unwrap();
    assert!(side.no_event() && side.sent().is_empty());
}

fn pty(modes: &[u8]) -> Kind<'_> {
    Kind::Pty(wire::PtyReq {
        term: b"xterm",
        columns: 0,
        rows: u32::MAX,
        width: 0,
        height: 0,
        modes,
    })
}

fn other(name: &'static str) -> ChannelRequest {
    ChannelRequest::Unknown {
        name: name.into(),
        body: Bytes::new(),
    }
}

fn env<'a>(name: &'a [u8], value: &'a [u8]) -> Kind<'a> {
    Kind::Env(wire::EnvReq { name, value })
}

fn exit_signal(message: &[u8]) -> Kind<'_> {
    Kind::ExitSignal(wire::ExitSignalReq {
        signal: b"K\x1b",
        core_dumped: true,
        message,
        language: b"",
    })
}

fn x11(cookie: &[u8]) -> Kind<'_> {
    Kind::X11(wire::X11Req {
        single_connection: true,
        auth_protocol: b"MIT-MAGIC-COOKIE-1",
        auth_cookie: cookie,
        screen: 0,
    })
}

#[test]
fn h12_unknown_requests_reach_the_application_raw() {
    for role in ROLES {
        let (mut side, id) = Side::open(role);
        side.feed(&request(id, unknown(b"crab@example.org"), true))
            .unwrap();
        let key = match side.event() {
            Some(MuxEvent::Request {
                key,
                request: ChannelRequest::Unknown { name, body },
                want_reply: true,
                ..
            }) if name == "crab@example.org" && body == "raw" => key,
            other => panic!("{other:?}"),
        };
        assert!(side.sent().is_empty());
        side.mux
            .answer_request(id, key, false, &mut side.out)
            .unwrap();
        side.sent_is(&wire::ChannelFailure { recipient: 7 });
        side.feed(&request(id, unknown(b"x@y"), false)).unwrap();
        match side.event() {
            Some(MuxEvent::Request {
                key,
                want_reply: false,
                ..
            }) => {
                assert_eq!(
                    side.mux.answer_request(id, key, true, &mut side.out),
                    Ok(())
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(side.sent().is_empty(), "no reply was wanted");
        fails(&mut side, id, unknown(&[b'n'; 65]));
    }
}

#[test]
fn h12_replies_leave_in_order_whatever_the_order_of_answers() {
    for role in ROLES {
        let (mut side, id) = Side::open(role);
        let first = ask(&mut side, id, unknown(b"a")).unwrap();
        let second = ask(&mut side, id, unknown(b"b")).unwrap();
        assert_eq!(ask(&mut side, id, env(b"", b"")), None);
        let out = &mut side.out;
        side.mux.answer_request(id, second, true, out).unwrap();
        assert_eq!(
            side.mux.answer_request(id, second, true, out),
            Err(ChannelError::Closed)
        );
        assert!(out.is_empty());
        side.mux.answer_request(id, first, false, out).unwrap();
        assert_eq!(
            side.sent_numbers(),
            [
                number::CHANNEL_FAILURE,
                number::CHANNEL_SUCCESS,
                number::CHANNEL_FAILURE
            ]
        );
        assert_eq!(
            side.mux.answer_request(id, first, true, &mut side.out),
            Err(ChannelError::Closed)
        );
        assert_eq!((side.mux.unanswered, side.mux.waiting), (0, 0));
    }
}

#[test]
fn h12_replies_match_our_requests_in_order() {
    for role in ROLES {
        let (mut side, id) = Side::open(role);
        let out = &mut side.out;
        let mut send =
            |request, want_reply| side.mux.request(id, &request, want_reply, out).unwrap();
        let first = send(other("a"), true).unwrap();
        assert_eq!(send(ChannelRequest::Signal("INT".into()), false), None);
        let second = send(other("b"), true).unwrap();
        assert_ne!(first, second);
        side.feed(&wire::ChannelSuccess {
            recipient: id.index,
        })
        .unwrap();
        side.feed(&wire::ChannelFailure {
            recipient: id.index,
        })
        .unwrap();
        for (request, success) in [(first, true), (second, false)] {
            assert_eq!(
                side.event(),
                Some(MuxEvent::RequestReply {
                    id,
                    request,
                    success
                })
            );
        }
    }
}

#[test]
fn h12_i2_unsolicited_replies_are_dropped_and_counted() {
    for role in ROLES {
        let (mut side, id) = Side::open(role);
        let recipient = id.index;
        for _ in 0..25 {
            side.feed(&wire::ChannelSuccess { recipient }).unwrap();
            side.feed(&wire::ChannelFailure { recipient }).unwrap();
            side.feed(&wire::RequestSuccess { body: Rest(b"x") })
                .unwrap();
            side.feed(&wire::RequestFailure {}).unwrap();
        }
        assert!(side.no_event());
        assert_eq!(
            side.feed(&wire::ChannelSuccess { recipient }),
            Err(PeerMisbehaved::UnsolicitedReplies.into())
        );
        // For a channel that is gone, or never was, as OpenSSH.
        let (mut side, _) = Side::open(role);
        side.feed(&wire::ChannelSuccess { recipient: 9 }).unwrap();
        assert!(side.no_event());
    }
}

#[test]
fn h12_requests_past_the_cap_fail_in_order_and_then_end_the_connection() {
    let limits = Limits {
        pending_requests: 2,
        deferred_messages: 3,
        ..Limits::default()
    };
    let (mut side, id) = Side::open_with(Role::Server, &limits, 0, 100);
    let keys = [(); 2].map(|()| ask(&mut side, id, unknown(b"x")).unwrap());
    for _ in 0..3 {
        assert_eq!(ask(&mut side, id, unknown(b"x")), None);
    }
    assert!(
        side.sent().is_empty(),
        "they wait behind the undecided ones"
    );
    side.feed(&open_message(session(), 8, 1, 100)).unwrap();
    side.sent_is(&failure(8, OpenFailure::RESOURCE_SHORTAGE));
    assert_eq!(
        side.feed(&request(id, unknown(b"x"), true)),
        Err(Limit::DeferredOutput.into())
    );
    side.feed(&request(id, unknown(b"x"), false)).unwrap();
    assert!(!side.no_event(), "what wants no reply is not counted");
    for key in keys {
        side.mux
            .answer_request(id, key, true, &mut side.out)
            .unwrap();
    }
    let (yes, no) = (number::CHANNEL_SUCCESS, number::CHANNEL_FAILURE);
    assert_eq!(side.sent_numbers(), [yes, yes, no, no, no]);
    assert!(ask(&mut side, id, unknown(b"x")).is_some());
}

#[test]
fn h12_our_requests_are_bounded() {
    let limits = Limits {
        pending_requests: 1,
        deferred_messages: 3,
        ..Limits::default()
    };
    let (mut side, id) = Side::open_with(Role::Client, &limits, 0, 100);
    let out = &mut side.out;
    let mut send = |want_reply| {
        side.mux
            .request(id, &ChannelRequest::Agent, want_reply, out)
    };
    assert!(send(true).is_ok());
    assert_eq!(send(true), Err(ChannelError::Blocked));
    assert!(send(false).is_ok() && send(false).is_ok());
    assert_eq!(
        send(false),
        Err(ChannelError::Blocked),
        "the outbox is full"
    );
    assert_eq!(
        side.mux.open(&ChannelKind::Session, out),
        Err(ChannelError::Blocked)
    );
    let keepalive = GlobalRequest::Keepalive;
    assert_eq!(
        side.mux.global_request(&keepalive, true, out),
        Err(ChannelError::Blocked)
    );
}

#[test]
fn h12_no_reply_follows_our_close() {
    for role in ROLES {
        let (mut side, id) = Side::open(role);
        let key = ask(&mut side, id, unknown(b"a")).unwrap();
        side.mux.close(id).unwrap();
        assert_eq!(side.sent_numbers(), [number::CHANNEL_CLOSE]);
        assert_eq!(
            side.mux.answer_request(id, key, true, &mut side.out),
            Err(ChannelError::Closed)
        );
        assert_eq!(ask(&mut side, id, unknown(b"x")), None);
        assert_eq!(ask(&mut side, id, env(b"", b"")), None);
        assert!(side.sent().is_empty());
        assert_eq!((side.mux.unanswered, side.mux.waiting), (0, 0));
    }
}

#[test]
fn h13_terminal_modes() {
    let mode = |opcode: u8| [opcode, 0, 0, 0, 9];
    let good: [(Vec<u8>, usize); 5] = [
        (vec![], 0),
        (mode(1).repeat(131), 131),
        ([&mode(1).repeat(255)[..], &[0]].concat(), 255),
        ([&mode(42)[..], &[160, 1]].concat(), 1),
        ([&[0][..], &[7; 100_000]].concat(), 0),
    ];
    for (modes, count) in good {
        let (mut side, id) = Side::open(Role::Server);
        side.feed(&request(id, pty(&modes), true)).unwrap();
        match side.event() {
            Some(MuxEvent::Request {
                request: ChannelRequest::Pty(pty),
                ..
            }) => {
                assert_eq!(
                    (pty.modes.len(), pty.columns, pty.rows),
                    (count, 0, u32::MAX)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    let (mut side, id) = Side::open(Role::Server);
    for bad in [&mode(1)[..4], &mode(1).repeat(256), &[5]] {
        fails(&mut side, id, pty(bad));
    }
    let Kind::Pty(mut nul) = pty(b"") else {
        unreachable!()
    };
    nul.term = b"x\0term";
    fails(&mut side, id, Kind::Pty(nul));
}

#[test]
fn h14_environment_variables() {
    let (mut side, id) = Side::open(Role::Server);
    for name in [&b""[..], b"A=B", b"A\0B"] {
        fails(&mut side, id, env(name, b"value"));
    }
    fails(&mut side, id, env(b"A", b"a\0b"));
    assert!(ask(&mut side, id, env(b"LD_PRELOAD", &[b'x'; 200_000])).is_some());

    let (mut side, id) = Side::open(Role::Server);
    for _ in 0..128 {
        assert!(ask(&mut side, id, env(b"A", b"b")).is_some());
    }
    assert_eq!(ask(&mut side, id, env(b"A", b"b")), None);
}

#[test]
fn h15_one_program_per_session() {
    let starts = [Kind::Shell(()), Kind::Exec(b"x"), Kind::Subsystem(b"sftp")];
    for first in &starts {
        for second in &starts {
            let (mut side, id) = Side::open(Role::Server);
            let key = ask(&mut side, id, first.clone()).unwrap();
            assert_eq!(ask(&mut side, id, second.clone()), None, "while undecided");
            side.mux
                .answer_request(id, key, true, &mut side.out)
                .unwrap();
            assert_eq!(
                side.sent_numbers(),
                [number::CHANNEL_SUCCESS, number::CHANNEL_FAILURE]
            );
            fails(&mut side, id, second.clone());
        }
    }
}

#[test]
fn h15_after_a_refused_program_another_may_be_asked_for() {
    let (mut side, id) = Side::open(Role::Server);
    let key = ask(&mut side, id, Kind::Subsystem(b"sftp")).unwrap();
    side.mux
        .answer_request(id, key, false, &mut side.out)
        .unwrap();
    assert_eq!(side.sent_numbers(), [number::CHANNEL_FAILURE]);
    side.feed(&request(id, Kind::Exec(b"sftp-server"), false))
        .unwrap();
    assert!(!side.no_event());
    fails(&mut side, id, Kind::Shell(()));
}

#[test]
fn h15_session_requests_to_a_client_fail() {
    let (mut side, id) = Side::open(Role::Client);
    for kind in [
        pty(b""),
        x11(b"00"),
        env(b"A", b"b"),
        Kind::Shell(()),
        Kind::Exec(b"x"),
        Kind::Subsystem(b"x"),
        Kind::WindowChange(wire::WindowChangeReq {
            columns: 1,
            rows: 1,
            width: 1,
            height: 1,
        }),
        Kind::Break(500),
        Kind::AuthAgent(()),
        Kind::Agent(()),
    ] {
        fails(&mut side, id, kind);
    }
    for kind in [Kind::XonXoff(true), Kind::Signal(b"INT"), Kind::Eow(())] {
        assert!(ask(&mut side, id, kind).is_some());
    }
    let (mut side, id) = Side::open(Role::Server);
    for kind in [Kind::ExitStatus(0), exit_signal(b""), Kind::XonXoff(true)] {
        fails(&mut side, id, kind);
    }
}

#[test]
fn h15_session_requests_on_another_channel_fail() {
    let mut server = Side::server();
    let kind = wire::ChannelOpenKind::Tun(wire::TunOpen { mode: 1, unit: 1 });
    server.feed(&open_message(kind, 7, 1, 100)).unwrap();
    let id = server.open_requested();
    server.mux.accept_open(id, &mut server.out).unwrap();
    server.sent();
    fails(&mut server, id, Kind::Shell(()));
    fails(&mut server, id, Kind::AuthAgent(()));
    assert!(ask(&mut server, id, unknown(b"x")).is_some());
}

#[test]
fn h15_a_command_with_nul_fails() {
    let (mut side, id) = Side::open(Role::Server);
    fails(&mut side, id, Kind::Exec(b"a\0b"));
    fails(&mut side, id, Kind::Subsystem(b"\0"));
    assert!(ask(&mut side, id, Kind::Exec(b"")).is_some());
}

#[test]
fn h16_the_exit_is_told_once() {
    let (mut side, id) = Side::open(Role::Client);
    side.feed(&request(id, Kind::ExitStatus(u32::MAX), true))
        .unwrap();
    assert_eq!(
        side.event(),
        Some(MuxEvent::ExitStatus { id, code: u32::MAX })
    );
    side.sent_is(&wire::ChannelSuccess { recipient: 7 });
    for kind in [Kind::ExitStatus(0), exit_signal(b"")] {
        fails(&mut side, id, kind);
    }

    let (mut side, id) = Side::open(Role::Client);
    side.feed(&request(id, exit_signal(&[b'\x1b'; 5000]), false))
        .unwrap();
    let signal = ExitSignal {
        signal: "K\x1b".into(),
        core_dumped: true,
        message: vec![b'\x1b'; 1024].into(),
    };
    assert_eq!(side.event(), Some(MuxEvent::ExitSignal { id, signal }));
    for _ in 0..100 {
        side.feed(&request(id, exit_signal(b""), false)).unwrap();
    }
    assert!(side.no_event() && side.sent().is_empty());
}

#[test]
fn h16_the_exit_is_told_after_our_close_too() {
    let (mut side, id) = Side::open(Role::Client);
    side.mux.close(id).unwrap();
    side.sent();
    side.feed(&request(id, Kind::ExitStatus(4), true)).unwrap();
    assert_eq!(side.event(), Some(MuxEvent::ExitStatus { id, code: 4 }));
    assert!(side.sent().is_empty());
}

#[test]
fn h17_odd_values_pass_and_nothing_is_answered_unasked() {
    let (mut side, id) = Side::open(Role::Server);
    let zero = wire::WindowChangeReq {
        columns: 0,
        rows: 0,
        width: 0,
        height: 0,
    };
    for kind in [
        Kind::Signal(b"\xff no such"),
        Kind::WindowChange(zero),
        Kind::Break(0),
    ] {
        side.feed(&request(id, kind, false)).unwrap();
        assert!(matches!(
            side.event(),
            Some(MuxEvent::Request {
                want_reply: false,
                ..
            })
        ));
    }
    for cookie in [&b""[..], b"0", b"0g", b"0 "] {
        fails(&mut side, id, x11(cookie));
    }
    assert!(side.sent().is_empty());
    side.feed(&request(id, x11(b"00fF"), true)).unwrap();
    match side.event() {
        Some(MuxEvent::Request { request, .. }) => {
            let shown = std::format!("{request:?}");
            assert!(
                shown.contains("X11Cookie(..)") && !shown.contains("fF"),
                "{shown}"
            );
            assert!(
                matches!(request, ChannelRequest::X11 { cookie, .. } if cookie.as_bytes() == b"00fF")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_request_survives_the_wire() {
    let text = || Bytes::from_static(b"text");
    let terminal = Pty {
        term: text(),
        columns: 1,
        rows: 2,
        width: 3,
        height: 4,
        modes: vec![(1, 2), (159, u32::MAX)],
    };
    let client = [
        ChannelRequest::Pty(terminal),
        ChannelRequest::X11 {
            single_connection: true,
            auth_protocol: text(),
            cookie: X11Cookie::new(b"0a".to_vec()),
            screen: 5,
        },
        ChannelRequest::Env {
            name: text(),
            value: text(),
        },
        ChannelRequest::Shell,
        ChannelRequest::WindowChange {
            columns: 1,
            rows: 2,
            width: 3,
            height: 4,
        },
        ChannelRequest::Signal(text()),
        ChannelRequest::Break(6),
        ChannelRequest::Eow,
        ChannelRequest::AuthAgent,
        ChannelRequest::Agent,
        ChannelRequest::Unknown {
            name: text(),
            body: text(),
        },
    ];
    let (mut ours, id, mut theirs, there) = pair(&Limits::default());
    for sent in client.iter().chain(&[ChannelRequest::Exec(text())]) {
        let reply = ours.mux.request(id, sent, true, &mut ours.out).unwrap();
        let is_mute = matches!(
            sent,
            ChannelRequest::WindowChange { .. } | ChannelRequest::Signal(_) | ChannelRequest::Eow
        );
        assert_eq!(reply.is_none(), is_mute, "{sent:?}");
        pump(&mut ours, &mut theirs);
        match theirs.event() {
            // Shell is the one program.
            None => assert_eq!(*sent, ChannelRequest::Exec(text())),
            Some(MuxEvent::Request {
                request,
                want_reply,
                ..
            }) => assert_eq!((&request, want_reply), (sent, !is_mute)),
            other => panic!("{other:?}"),
        }
    }
    for sent in [ChannelRequest::XonXoff(true), ChannelRequest::Eow] {
        theirs
            .mux
            .request(there, &sent, false, &mut theirs.out)
            .unwrap();
        pump(&mut ours, &mut theirs);
        let got = core::iter::from_fn(|| ours.event())
            .any(|event| matches!(event, MuxEvent::Request { request, .. } if request == sent));
        assert!(got);
    }
}

#[test]
fn requests_that_cannot_be_sent_are_errors() {
    let (mut side, id) = Side::open(Role::Client);
    let mut send = |request| side.mux.request(id, &request, false, &mut side.out);
    let name = |name: &'static str| ChannelRequest::Unknown {
        name: name.into(),
        body: Bytes::new(),
    };
    let modes = |modes| {
        ChannelRequest::Pty(Pty {
            term: Bytes::new(),
            columns: 1,
            rows: 1,
            width: 0,
            height: 0,
            modes,
        })
    };
    assert_eq!(
        send(ChannelRequest::ExitStatus(0)),
        Err(ChannelError::WrongRole)
    );
    assert_eq!(send(name("shell")), Err(ChannelError::Invalid));
    assert_eq!(send(name("")), Err(ChannelError::Invalid));
    assert_eq!(send(modes(vec![(160, 0)])), Err(ChannelError::Invalid));
    assert_eq!(send(modes(vec![(0, 0)])), Err(ChannelError::Invalid));
    assert_eq!(send(modes(vec![(1, 0); 256])), Err(ChannelError::Invalid));
    assert_eq!(
        send(ChannelRequest::Exec("a\0".into())),
        Err(ChannelError::Invalid)
    );
    let long = Bytes::from(vec![b'x'; 32_001]);
    assert_eq!(
        send(ChannelRequest::Exec(long.clone())),
        Err(ChannelError::TooLong)
    );
    assert_eq!(send(ChannelRequest::Exec(long.slice(1..))), Ok(None));
    let (mut side, id) = Side::open(Role::Server);
    assert_eq!(
        side.mux
            .request(id, &ChannelRequest::Shell, true, &mut side.out),
        Err(ChannelError::WrongRole)
    );
}
