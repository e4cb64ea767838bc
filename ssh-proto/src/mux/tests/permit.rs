//! What a login may do: H19, and keepalives under every name.

use super::*;
use crate::auth::{Permissions, Restrictions};
use wire::{ChannelOpenKind as Open, ChannelRequestKind as Ask, GlobalRequestKind as Global};

const RIGHTS: [Permissions; 8] = [
    Permissions::PTY,
    Permissions::X11,
    Permissions::AGENT,
    Permissions::DIRECT_TCPIP,
    Permissions::FORWARDED_TCPIP,
    Permissions::DIRECT_STREAMLOCAL,
    Permissions::FORWARDED_STREAMLOCAL,
    Permissions::TUN,
];

fn server(permissions: Permissions) -> Side {
    let proof = Authenticated::restricted_for_tests("alice", Restrictions::new(permissions));
    Side {
        mux: Mux::new(Role::Server, &proof, &Limits::default()),
        ..Side::server()
    }
}

fn tcpip() -> wire::TcpipOpen<'static> {
    wire::TcpipOpen {
        host: b"host",
        port: 80,
        originator_address: b"127.0.0.1",
        originator_port: 4,
    }
}

/// What a client may open, with the right that it takes.
fn opens() -> [(Option<Permissions>, Open<'static>); 5] {
    let socket = wire::DirectStreamlocalOpen {
        path: b"/p",
        reserved: b"",
        reserved_number: 0,
    };
    let unknown = Open::Unknown {
        name: b"x@y",
        body: b"",
    };
    [
        (None, session()),
        (None, unknown),
        (Some(Permissions::DIRECT_TCPIP), Open::DirectTcpip(tcpip())),
        (
            Some(Permissions::DIRECT_STREAMLOCAL),
            Open::DirectStreamlocal(socket),
        ),
        (
            Some(Permissions::TUN),
            Open::Tun(wire::TunOpen { mode: 1, unit: 2 }),
        ),
    ]
}

/// What a server may open.
fn our_opens() -> [(Option<Permissions>, ChannelKind); 6] {
    let text = || Bytes::from_static(b"text");
    [
        (
            Some(Permissions::FORWARDED_TCPIP),
            ChannelKind::ForwardedTcpip {
                address: text(),
                port: 1,
                originator_address: text(),
                originator_port: 2,
            },
        ),
        (
            Some(Permissions::FORWARDED_STREAMLOCAL),
            ChannelKind::ForwardedStreamlocal { path: text() },
        ),
        (
            Some(Permissions::X11),
            ChannelKind::X11 {
                originator_address: text(),
                originator_port: 1,
            },
        ),
        (Some(Permissions::AGENT), ChannelKind::AuthAgent),
        (Some(Permissions::AGENT), ChannelKind::AgentConnect),
        (
            None,
            ChannelKind::Unknown {
                name: text(),
                body: text(),
            },
        ),
    ]
}

fn globals() -> [(Option<Permissions>, Global<'static>); 6] {
    let tcpip = wire::TcpipForward {
        address: b"",
        port: 1,
    };
    let unknown = Global::Unknown {
        name: b"x@y",
        body: b"",
    };
    let (tcp, socket) = (
        Some(Permissions::FORWARDED_TCPIP),
        Some(Permissions::FORWARDED_STREAMLOCAL),
    );
    [
        (tcp, Global::TcpipForward(tcpip.clone())),
        (tcp, Global::CancelTcpipForward(tcpip)),
        (socket, Global::StreamlocalForward(b"/p")),
        (socket, Global::CancelStreamlocalForward(b"/p")),
        (None, Global::HostKeysProve(vec![b"key"])),
        (None, unknown),
    ]
}

fn requests() -> [(Option<Permissions>, Ask<'static>); 9] {
    let pty = wire::PtyReq {
        term: b"xterm",
        columns: 80,
        rows: 24,
        width: 0,
        height: 0,
        modes: b"\0",
    };
    let x11 = wire::X11Req {
        single_connection: true,
        auth_protocol: b"MIT-MAGIC-COOKIE-1",
        auth_cookie: b"00",
        screen: 0,
    };
    let env = wire::EnvReq {
        name: b"A",
        value: b"b",
    };
    [
        (Some(Permissions::PTY), Ask::Pty(pty)),
        (Some(Permissions::X11), Ask::X11(x11)),
        (Some(Permissions::AGENT), Ask::AuthAgent(())),
        (Some(Permissions::AGENT), Ask::Agent(())),
        (None, Ask::Env(env)),
        (None, Ask::Signal(b"HUP")),
        (None, Ask::Break(1)),
        (None, Ask::Shell(())),
        (None, unknown(b"x@y")),
    ]
}

fn unknown(name: &[u8]) -> Ask<'_> {
    Ask::Unknown { name, body: b"raw" }
}

/// A restricted server with a session; the peer's number of it is 7.
fn with_session(permissions: Permissions) -> (Side, ChannelId) {
    let mut side = server(permissions);
    side.feed(&open_message(session(), 7, 100, 100)).unwrap();
    let id = side.open_requested();
    side.mux.accept_open(id, &mut side.out).unwrap();
    side.sent();
    (side, id)
}

/// H19: every kind, under every set that lacks one right and every set that has one alone.
#[test]
fn h19_one_check_covers_every_kind() {
    let lacking = RIGHTS.map(|right| Permissions::ALL.without(right));
    for granted in RIGHTS
        .into_iter()
        .chain(lacking)
        .chain([Permissions::NONE, Permissions::ALL])
    {
        let may = |right: Option<Permissions>| right.is_none_or(|right| granted.contains(right));
        for (right, kind) in opens() {
            let mut side = server(granted);
            side.feed(&open_message(kind.clone(), 9, 100, 100)).unwrap();
            assert_eq!(!side.no_event(), may(right), "{granted:?}: {kind:?}");
            if !may(right) {
                side.sent_is(&failure(9, OpenFailure::ADMINISTRATIVELY_PROHIBITED));
                assert_eq!(side.mux.table.len(), 0);
            }
        }
        for (right, kind) in our_opens() {
            let mut side = server(granted);
            let opened = side.mux.open(&kind, &mut side.out).map(|_| ());
            let expected = match may(right) {
                true => Ok(()),
                false => Err(ChannelError::Forbidden),
            };
            assert_eq!(opened, expected, "{granted:?}: {kind:?}");
            assert_eq!(side.sent().is_empty(), !may(right));
        }
        for (right, kind) in globals() {
            let mut side = server(granted);
            for want_reply in [true, false] {
                let kind = kind.clone();
                side.feed(&wire::GlobalRequest { kind, want_reply })
                    .unwrap();
            }
            side.collect();
            assert_eq!(
                side.events.len(),
                if may(right) { 2 } else { 0 },
                "{kind:?}"
            );
            if !may(right) {
                side.sent_is(&wire::RequestFailure {});
            }
        }
        for (right, kind) in requests() {
            let (mut side, id) = with_session(granted);
            side.feed(&request(id, kind.clone(), true)).unwrap();
            assert_eq!(!side.no_event(), may(right), "{granted:?}: {kind:?}");
            if !may(right) {
                side.sent_is(&wire::ChannelFailure { recipient: 7 });
                side.feed(&request(id, kind, false)).unwrap();
                assert!(side.no_event() && side.sent().is_empty());
            }
        }
    }
}

/// The channel to the agent is of the type that goes with the latest request for it.
#[test]
fn the_agent_channel_follows_the_request() {
    let (mut side, id) = with_session(Permissions::ALL);
    let opened = |side: &mut Side| {
        side.mux.open_agent(&mut side.out)?;
        let sent = side.sent();
        let open: wire::ChannelOpen<'_> = Message::from_payload(&sent[0]).unwrap();
        Ok(Bytes::copy_from_slice(open.kind.name()))
    };
    assert_eq!(opened(&mut side), Err(ChannelError::Forbidden));
    for (ask, name) in [
        (Ask::AuthAgent(()), "auth-agent@openssh.com"),
        (Ask::Agent(()), "agent-connect"),
    ] {
        side.feed(&request(id, ask, false)).unwrap();
        assert_eq!(opened(&mut side).unwrap(), name);
    }
    // A request that is refused for want of the right leaves nothing behind.
    let (mut side, id) = with_session(Permissions::NONE);
    side.feed(&request(id, Ask::Agent(()), false)).unwrap();
    assert_eq!(opened(&mut side), Err(ChannelError::Forbidden));
}

/// I8: the names that are seen in the wild, with and without a body, globally and on a channel.
#[test]
fn i8_keepalives_by_every_name() {
    let names: [&[u8]; 9] = [
        b"keepalive@openssh.com",
        b"keepalive@libssh2.org",
        b"keepalive@lag.net",
        b"keepalive@jcraft.com",
        b"keepalive@golang.org",
        b"keepalive@putty.projects.tartarus.org",
        b"keepalive@rospo",
        b"keep-alive@openssh.com",
        b"keep-alive@bitvise.com",
    ];
    for role in [Role::Client, Role::Server] {
        let (mut side, id) = Side::open(role);
        for name in names {
            for body in [&b""[..], b"ping"] {
                for want_reply in [true, false] {
                    let mut payload = BytesMut::new();
                    let kind = Global::Unknown { name, body };
                    wire::GlobalRequest { kind, want_reply }.to_payload(&mut payload);
                    side.feed_payload(payload.freeze(), false).unwrap();
                    let kind = Ask::Unknown { name, body };
                    side.feed(&request(id, kind, want_reply)).unwrap();
                    assert!(side.no_event());
                    let failures = [
                        encode(&wire::RequestFailure {}),
                        encode(&wire::ChannelFailure { recipient: 7 }),
                    ];
                    let expected = if want_reply { &failures[..] } else { &[] };
                    assert_eq!(side.sent(), expected, "{role:?}: {name:?}");
                }
            }
        }
        // Names that only look alike are the application's.
        for name in [
            &b"keepalive"[..],
            b"xkeepalive@openssh.com",
            b"keepalives@x",
        ] {
            side.feed(&request(id, unknown(name), false)).unwrap();
            assert!(!side.no_event());
        }
    }
}
