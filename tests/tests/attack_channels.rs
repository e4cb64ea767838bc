//! Attacks on channels and requests by peers that are logged in (RFC 4254, OpenSSH PROTOCOL section 2), groups H and I of the notes.

use std::time::Duration;

use ssh_proto::error::{ApiMisuse, DisconnectReason, PeerMisbehaved};
use ssh_proto::wire::connection as wire;
use ssh_proto::wire::connection::ChannelOpenKind;
use ssh_proto::wire::extension::ExtInfo;
use ssh_proto::wire::number;
use ssh_proto::{
    ChannelError, ChannelKind, ClientConnection, Connection, DataStream, Disconnected, Error,
    Event, IncomingChannel, Limits, OpenFailure, PeerOpens, ServerConnection, ServerEvent, Timer,
};
use ssh_tests::attack::{Asked, F, both, chunked, message};
use ssh_tests::raw::payload_of;
use ssh_tests::{Hostile, Mode, Pair, Stage};

fn tcpip() -> wire::TcpipOpen<'static> {
    wire::TcpipOpen {
        host: b"localhost",
        port: 22,
        originator_address: b"192.0.2.7",
        originator_port: 4242,
    }
}

fn opened_by_clients() -> [ChannelOpenKind<'static>; 4] {
    [
        ChannelOpenKind::Session(()),
        ChannelOpenKind::DirectTcpip(tcpip()),
        ChannelOpenKind::DirectStreamlocal(wire::DirectStreamlocalOpen {
            path: b"/run/socket",
            reserved: b"",
            reserved_number: 0,
        }),
        ChannelOpenKind::Tun(wire::TunOpen { mode: 1, unit: 0 }),
    ]
}

fn opened_by_servers() -> [ChannelOpenKind<'static>; 5] {
    [
        ChannelOpenKind::ForwardedTcpip(tcpip()),
        ChannelOpenKind::ForwardedStreamlocal(wire::ForwardedStreamlocalOpen {
            path: b"/run/socket",
            reserved: b"",
        }),
        ChannelOpenKind::X11(wire::X11Open {
            originator_address: b"192.0.2.7",
            originator_port: 4242,
        }),
        ChannelOpenKind::AuthAgent(()),
        ChannelOpenKind::AgentConnect(()),
    ]
}

fn named(name: &[u8]) -> ChannelOpenKind<'_> {
    ChannelOpenKind::Unknown { name, body: b"raw" }
}

fn open(kind: ChannelOpenKind<'_>, sender: u32) -> Vec<u8> {
    payload_of(&wire::ChannelOpen {
        kind,
        sender,
        window_size: 1 << 20,
        max_packet_size: 1 << 15,
    })
}

/// A server behind its login whose config admits these channels.
fn server(
    mode: Mode,
    kinds: PeerOpens,
    limits: impl FnOnce(&mut Limits),
) -> Hostile<ServerConnection> {
    let pair = Pair::builder(mode.without_rekeys())
        .server(|config| config.peer_channels(kinds))
        .server_limits(limits)
        .build();
    let mut h = Hostile::with_connection(pair.server, mode.chunking);
    h.advance_to(Stage::Authenticated);
    h
}

/// A client behind its login whose config admits these channels.
fn client(
    mode: Mode,
    kinds: PeerOpens,
    limits: impl FnOnce(&mut Limits),
) -> Hostile<ClientConnection> {
    let pair = Pair::builder(mode.without_rekeys())
        .client(|config| config.peer_channels(kinds))
        .client_limits(limits)
        .build();
    let mut h = Hostile::with_connection(pair.client, mode.chunking);
    h.advance_to(Stage::Authenticated);
    h
}

/// Sends an open, and asserts that it is refused for this reason without the application.
fn refuses_open<E: Asked>(h: &mut Hostile<E>, kind: ChannelOpenKind<'_>, reason: OpenFailure) {
    h.peer.drain();
    let events = h.events.len();
    let shown = format!("{kind:?}");
    h.send_payload(&open(kind, 77));
    assert_eq!(h.ended, None, "{shown}");
    assert_eq!(h.events.len(), events, "{shown}: {:?}", h.events);
    let answer = h.peer.expect(number::CHANNEL_OPEN_FAILURE);
    let answer: wire::ChannelOpenFailure<'_> = answer.decode();
    assert_eq!((answer.recipient, answer.reason), (77, reason.0), "{shown}");
    assert_eq!(h.peer.drain(), []);
}

/// The question about a channel.
fn asked<E: Asked>(h: &mut Hostile<E>, take: fn(E::Event) -> Option<Event>) -> IncomingChannel {
    let is_open = |event: &E::Event| matches!(E::shared(event), Some(Event::ChannelOpen(_)));
    match take(h.take_event(is_open)) {
        Some(Event::ChannelOpen(open)) => open,
        _ => unreachable!(),
    }
}

fn of_server(event: ServerEvent) -> Option<Event> {
    match event {
        ServerEvent::Shared(event) => Some(event),
        _ => None,
    }
}

fn of_client(event: ssh_proto::ClientEvent) -> Option<Event> {
    match event {
        ssh_proto::ClientEvent::Shared(event) => Some(event),
        _ => None,
    }
}

#[test]
fn h1_each_role_refuses_what_only_it_opens() {
    chunked(|mode| {
        let mut h = server(mode, PeerOpens::ALL, |_| ());
        for kind in opened_by_servers() {
            refuses_open(&mut h, kind, OpenFailure::ADMINISTRATIVELY_PROHIBITED);
        }
        let mut h = client(mode, PeerOpens::ALL, |_| ());
        for kind in opened_by_clients() {
            refuses_open(&mut h, kind, OpenFailure::ADMINISTRATIVELY_PROHIBITED);
        }
        let mut h = client(mode, PeerOpens::NONE, |_| ());
        for kind in opened_by_servers().into_iter().chain(opened_by_clients()) {
            refuses_open(&mut h, kind, OpenFailure::ADMINISTRATIVELY_PROHIBITED);
        }
        refuses_open(&mut h, named(b"x@y"), OpenFailure::UNKNOWN_CHANNEL_TYPE);
    });
}

#[test]
fn h2_channels_that_are_not_enabled() {
    chunked(|mode| {
        let kinds = [
            PeerOpens::SESSION,
            PeerOpens::DIRECT_TCPIP,
            PeerOpens::DIRECT_STREAMLOCAL,
            PeerOpens::TUN,
        ];
        for (enabled, _) in kinds.iter().zip(opened_by_clients()) {
            let mut h = server(mode, *enabled, |_| ());
            for (kind, open) in kinds.iter().zip(opened_by_clients()) {
                if kind != enabled {
                    refuses_open(&mut h, open, OpenFailure::ADMINISTRATIVELY_PROHIBITED);
                }
            }
            for name in [&b"x@y"[..], b"direct-tcpip2", b"SESSION", b"session\0", b""] {
                refuses_open(&mut h, named(name), OpenFailure::UNKNOWN_CHANNEL_TYPE);
            }
        }
        // Where unknown ones are enabled, a name is one as long as it can be one.
        let mut h = server(mode, PeerOpens::ALL, |_| ());
        for name in [&[b'n'; 65][..], &[b'n'; 30_000], b""] {
            refuses_open(&mut h, named(name), OpenFailure::UNKNOWN_CHANNEL_TYPE);
        }
        h.send_payload(&open(named(&[b'n'; 64]), 1));
        assert!(matches!(
            asked(&mut h, of_server).kind(),
            ChannelKind::Unknown { name, .. } if name.len() == 64
        ));
    });
}

#[test]
fn h18_a_session_after_the_promise() {
    let promise = message(80, &[F::S(b"no-more-sessions@openssh.com"), F::B(0)]);
    chunked(|mode| {
        // What was asked before stays what it is, decided or not; what is no session is not meant.
        let mut h = server(mode, PeerOpens::ALL, |_| ());
        let session = || ChannelOpenKind::Session(());
        h.peer.send_payload(&open(session(), 1));
        h.peer.send_payload(&promise);
        h.peer.send_payload(&promise);
        h.peer
            .send_payload(&open(ChannelOpenKind::DirectTcpip(tcpip()), 2));
        h.exchange();
        let first = asked(&mut h, of_server);
        assert_eq!(first.kind(), &ChannelKind::Session);
        h.connection.accept_channel(first).unwrap();
        let second = asked(&mut h, of_server);
        h.connection.accept_channel(second).unwrap();
        h.exchange();
        h.peer.expect(number::CHANNEL_OPEN_CONFIRMATION);
        h.peer.expect(number::CHANNEL_OPEN_CONFIRMATION);
        h.refuses(2, |peer| peer.send_payload(&open(session(), 3)));
        assert_eq!(*h.error(), Error::from(PeerMisbehaved::NoMoreSessions));
        // Even where sessions would be refused, and where as many are open as may be.
        for (kinds, sessions) in [(PeerOpens::NONE, 10), (PeerOpens::ALL, 0)] {
            let mut h = server(mode, kinds, |limits| limits.sessions = sessions);
            refuses_open(
                &mut h,
                session(),
                match sessions {
                    0 => OpenFailure::RESOURCE_SHORTAGE,
                    _ => OpenFailure::ADMINISTRATIVELY_PROHIBITED,
                },
            );
            h.peer.send_payload(&promise);
            h.refuses(2, |peer| peer.send_payload(&open(session(), 3)));
        }
        // The reply, where one is wanted, is a good one.
        let mut h = server(mode, PeerOpens::ALL, |_| ());
        h.send_payload(&message(
            80,
            &[F::S(b"no-more-sessions@openssh.com"), F::B(1)],
        ));
        h.peer.expect(number::REQUEST_SUCCESS);
    });
}

/// A peer that goes on with a channel, or with the connection, before the application has answered.
#[test]
fn h20_undecided_channels() {
    fn test<E: Asked>(
        mode: Mode,
        fresh: fn(Mode) -> Hostile<E>,
        kind: &ChannelOpenKind<'static>,
        take: fn(E::Event) -> Option<Event>,
    ) {
        let frames = |id: u32| {
            [
                message(93, &[F::U(id), F::U(1)]),
                message(94, &[F::U(id), F::S(b"x")]),
                message(95, &[F::U(id), F::U(1), F::S(b"x")]),
                message(96, &[F::U(id)]),
                message(97, &[F::U(id)]),
                message(98, &[F::U(id), F::S(b"shell"), F::B(1)]),
                message(99, &[F::U(id)]),
                message(100, &[F::U(id)]),
                message(91, &[F::U(id), F::U(0), F::U(9), F::U(9)]),
                message(92, &[F::U(id), F::U(1), F::S(b""), F::S(b"")]),
            ]
        };
        // Ours are numbered from 0.
        for frame in &frames(0) {
            let mut h = fresh(mode);
            h.send_payload(&open(kind.clone(), 5));
            let token = asked(&mut h, take);
            let id = token.id();
            h.peer.drain();
            h.refuses(2, |peer| peer.send_payload(frame));
            let misbehaved = Error::from(PeerMisbehaved::BadChannelState);
            assert_eq!(*h.error(), misbehaved, "{frame:?}");
            over(&mut h, token, id);
        }
        // Or it leaves.
        let ends: [fn(&mut Hostile<E>); 3] = [
            |h| h.eof(),
            |h| h.send_payload(&message(1, &[F::U(11), F::S(b""), F::S(b"")])),
            |h| {
                let now = h.now;
                h.connection
                    .disconnect(now, DisconnectReason::BY_APPLICATION, "");
                h.exchange();
            },
        ];
        for end in ends {
            let mut h = fresh(mode);
            h.send_payload(&open(kind.clone(), 5));
            let token = asked(&mut h, take);
            let id = token.id();
            end(&mut h);
            assert!(h.ended.is_some());
            over(&mut h, token, id);
        }
    }
    /// Whatever the application does with a channel that it never had.
    fn over<E: Asked>(h: &mut Hostile<E>, token: IncomingChannel, id: ssh_proto::ChannelId) {
        let c = &mut h.connection;
        assert_eq!(c.accept_channel(token), Err(ApiMisuse::StaleToken));
        assert!(c.write(id, DataStream::Data, b"x").is_err());
        assert!(c.read(id).is_err() && c.finish(id).is_err() && c.close_channel(id).is_err());
        h.exchange();
        assert!(h.connection.is_closed());
    }
    chunked(|mode| {
        test::<ServerConnection>(
            mode,
            |mode| server(mode, PeerOpens::ALL, |_| ()),
            &ChannelOpenKind::DirectTcpip(tcpip()),
            of_server,
        );
        test::<ClientConnection>(
            mode,
            |mode| client(mode, PeerOpens::UNKNOWN, |_| ()),
            &named(b"x@y"),
            of_client,
        );
    });
}

/// Opens by the hundred, none of them answered: the bound holds, and late answers fit.
#[test]
fn h20_a_flood_of_undecided_channels() {
    chunked(|mode| {
        let mut h = server(mode, PeerOpens::ALL, |limits| {
            limits.channels = 20;
            limits.sessions = 5;
        });
        for number in 0..30 {
            h.send_payload(&open(ChannelOpenKind::Session(()), number));
            h.send_payload(&open(ChannelOpenKind::DirectTcpip(tcpip()), 1000 + number));
        }
        let refused = h.peer.drain();
        assert_eq!(refused.len(), 40);
        for packet in &refused {
            let reason = packet.decode::<wire::ChannelOpenFailure<'_>>().reason;
            assert_eq!(reason, OpenFailure::RESOURCE_SHORTAGE.0);
        }
        let mut tokens: Vec<_> = (0..20).map(|_| asked(&mut h, of_server)).collect();
        let late = tokens.split_off(10);
        for token in tokens {
            h.connection.accept_channel(token).unwrap();
        }
        drop(late);
        h.exchange();
        let numbers: Vec<u8> = h.peer.drain().iter().map(|p| p.number()).collect();
        let (confirmed, failed): (Vec<u8>, Vec<u8>) = numbers
            .iter()
            .partition(|n| **n == number::CHANNEL_OPEN_CONFIRMATION);
        assert_eq!((confirmed.len(), failed.len()), (10, 10));
        assert_eq!(h.ended, None);
    });
}

#[test]
fn i5_requests_of_the_other_role() {
    let forward = [F::B(1), F::S(b""), F::U(0)];
    let requests = [
        [&[F::S(b"tcpip-forward")], &forward[..]].concat(),
        [&[F::S(b"cancel-tcpip-forward")], &forward[..]].concat(),
        vec![
            F::S(b"streamlocal-forward@openssh.com"),
            F::B(1),
            F::S(b"/p"),
        ],
        vec![
            F::S(b"cancel-streamlocal-forward@openssh.com"),
            F::B(1),
            F::S(b"/p"),
        ],
        vec![F::S(b"no-more-sessions@openssh.com"), F::B(1)],
    ];
    chunked(|mode| {
        let mut h = client(mode, PeerOpens::ALL, |_| ());
        for request in &requests {
            h.peer.drain();
            let events = h.events.len();
            h.send_payload(&message(80, request));
            h.peer.expect(number::REQUEST_FAILURE);
            assert_eq!(h.peer.drain(), []);
            assert_eq!((h.events.len(), &h.ended), (events, &None));
        }
        let session = h.connection.open_channel(&ChannelKind::Session);
        assert!(session.is_ok(), "a server promises nothing for us");
    });
}

/// I8: keepalives of all kinds are answered, are no event, and are no use of the connection.
#[test]
fn i8_keepalives_of_the_peer() {
    fn test<E: Asked>(mut h: Hostile<E>) {
        let ours = h.channel.expect("a channel").to_string();
        assert!(ours.starts_with('0'), "{ours}");
        let events = h.events.len();
        for round in 0..9 {
            h.peer.drain();
            for name in [
                &b"keepalive@openssh.com"[..],
                b"keepalive@libssh2.org",
                b"keep-alive@bitvise.com",
            ] {
                for tail in [&b""[..], b"ping"] {
                    let global = [F::S(name), F::B(1), F::Raw(tail)];
                    h.send_payload(&message(80, &global));
                    h.peer.expect(number::REQUEST_FAILURE);
                    let on_channel = [F::U(0), F::S(name), F::B(1), F::Raw(tail)];
                    h.send_payload(&message(98, &on_channel));
                    h.peer.expect(number::CHANNEL_FAILURE);
                }
            }
            h.send_payload(&message(80, &[F::S(b"keepalive@lag.net"), F::B(0)]));
            assert_eq!(h.peer.drain(), [], "round {round}");
            h.advance(Duration::from_secs(10));
        }
        assert_eq!(
            (h.events.len(), &h.ended),
            (events, &None),
            "{:?}",
            h.events
        );
        h.advance(Duration::from_secs(10));
        let idle = Error::Timeout(Timer::Idle);
        assert_eq!(h.ended, Some(Disconnected::Error(idle)));
    }
    chunked(|mode| {
        let idle = |limits: &mut Limits| limits.idle_timeout = Some(Duration::from_secs(100));
        let pair = Pair::builder(mode.without_rekeys()).limits(idle).build();
        let mut h = Hostile::with_connection(pair.server, mode.chunking);
        h.advance_to(Stage::Channel);
        test(h);
        let mut h = Hostile::with_connection(pair.client, mode.chunking);
        h.advance_to(Stage::Channel);
        test(h);
    });
}

/// Agent forwarding goes by the names of RFC 9987 where they are announced, else by OpenSSH's.
#[test]
fn agent_forwarding_by_either_name() {
    both(
        |mode| {
            for (announced, name) in [
                (None, &b"auth-agent-req@openssh.com"[..]),
                (Some(&b"0"[..]), b"agent-req"),
                (Some(b"1"), b"auth-agent-req@openssh.com"),
            ] {
                let mut h = Hostile::<ClientConnection>::at(Stage::Service, mode);
                if let Some(value) = announced {
                    h.send(&ExtInfo {
                        extensions: vec![(b"agent-forward", value)],
                    });
                }
                for stage in [Stage::Authenticated, Stage::Channel] {
                    <ClientConnection as ssh_tests::hostile::Victim>::advance(&mut h, stage);
                }
                h.peer.drain();
                let session = h.channel.expect("open");
                let asked = h.connection.request_agent_forwarding(session, true);
                assert!(asked.unwrap().is_some());
                h.exchange();
                let request = h.peer.expect(number::CHANNEL_REQUEST);
                assert_eq!(
                    request.decode::<wire::ChannelRequest<'_>>().kind.name(),
                    name
                );
            }
        },
        |mode| {
            let mut h = Hostile::<ServerConnection>::at(Stage::Channel, mode);
            let info = h.extras.iter().find(|p| p.number() == number::EXT_INFO);
            let info: ExtInfo<'_> = info.expect("EXT_INFO").decode();
            assert_eq!(info.value(b"agent-forward"), Some(&b"0"[..]));
            let none = Err(ChannelError::Forbidden);
            assert_eq!(h.connection.open_agent_channel(), none);
            for (request, channel) in [
                (
                    &b"auth-agent-req@openssh.com"[..],
                    &b"auth-agent@openssh.com"[..],
                ),
                (b"agent-req", b"agent-connect"),
            ] {
                h.peer.drain();
                h.send_payload(&message(98, &[F::U(0), F::S(request), F::B(0)]));
                h.connection.open_agent_channel().unwrap();
                h.exchange();
                let open = h.peer.expect(number::CHANNEL_OPEN);
                assert_eq!(open.decode::<wire::ChannelOpen<'_>>().kind.name(), channel);
            }
        },
    );
}

/// 18 of section 8: keepalives of both sides cross a key exchange of ours that the peer is slow to
/// join. Nothing leaves before it is over; then the replies go first, and every one is counted.
#[test]
fn s8_18_keepalives_across_a_rekey() {
    fn test<E: Asked>(mut h: Hostile<E>) {
        h.advance_to(Stage::Channel);
        h.peer.drain();
        let events = h.events.len();
        for _ in 0..3 {
            h.connection.rekey().unwrap();
            h.exchange();
            let kexinit = h.peer.expect(number::KEXINIT);
            let name = F::S(b"keepalive@openssh.com");
            h.send_payload(&message(80, &[name, F::B(1)]));
            h.send_payload(&message(98, &[F::U(0), name, F::B(1)]));
            h.advance(Duration::from_secs(25));
            assert_eq!((h.peer.drain(), &h.ended), (vec![], &None));
            h.peer.unread_packet(kexinit);
            h.exchange_answering_kex();
            let sent: Vec<u8> = h.peer.drain().iter().map(|p| p.number()).collect();
            assert_eq!(sent, [82, 100, 80, 80], "two replies, two keepalives");
            h.send_payload(&[number::REQUEST_FAILURE]);
            h.send_payload(&[number::REQUEST_SUCCESS]);
        }
        let shared = |event: &E::Event| format!("{:?}", E::shared(event));
        for event in h.events.iter().skip(events) {
            assert!(shared(event).contains("KeysChanged"), "{event:?}");
        }
        assert_eq!(h.ended, None);
    }
    chunked(|mode| {
        let keepalive = |limits: &mut Limits| {
            limits.keepalive_interval = Some(Duration::from_secs(10));
        };
        let pair = Pair::builder(mode.without_rekeys())
            .limits(keepalive)
            .build();
        test(Hostile::with_connection(pair.server, mode.chunking));
        test(Hostile::with_connection(pair.client, mode.chunking));
    });
}
