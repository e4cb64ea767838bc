//! Policy of a server towards its clients: who is served, how a login that came to nothing is told, what a login may do.

use std::time::Duration;

use bytes::Bytes;
use ssh_proto::error::{ApiMisuse, DisconnectReason, Error, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::{
    ChannelError, ChannelKind, ChannelRequest, ClientEvent, Connection, Disconnected, Event,
    GlobalRequest, Incoming, Limits, MethodSet, OpenFailure, PeerOpens, Permissions, Pty,
    Restrictions, ServerConnection, ServerEvent, Timer, X11Cookie,
};
use ssh_tests::attack::{F, message};
use ssh_tests::{
    ClientApp, Connected, Hostile, Inbox, Job, Login, Mode, Pair, PairBuilder, ServerApp, Stage,
    fixtures, for_each_chunking, for_each_mode, take,
};

type Server = Hostile<ServerConnection>;

fn asking(mode: Mode) -> PairBuilder {
    Pair::builder(mode).server(|config| config.ask_before_kex(true))
}

/// A server that asks before it computes, and the question, up to which all is done properly.
fn incoming(pair: &mut Pair) -> Incoming {
    let (mut client, mut server) = (ClientApp::new([]), Inbox::<ServerConnection>::new());
    pair.run(&mut client, &mut server);
    take!(server.events, ServerEvent::Incoming(incoming) => incoming)
}

/// A server that asks before it computes, whose hostile client has sent its `KEXINIT`.
fn hostile(mode: Mode, limits: impl FnOnce(&mut Limits)) -> Server {
    let pair = asking(mode.without_rekeys()).server_limits(limits).build();
    let mut hostile = Hostile::with_connection(pair.server, mode.chunking);
    hostile.peer.offer.kex = vec!["curve25519-sha256".into()];
    hostile.advance_to(Stage::KexInit);
    hostile
}

fn question(hostile: &mut Server) -> Incoming {
    match hostile.take_event(|event| matches!(event, ServerEvent::Incoming(_))) {
        ServerEvent::Incoming(incoming) => incoming,
        _ => unreachable!(),
    }
}

#[test]
fn a_client_is_admitted_before_the_key_exchange_and_once() {
    for_each_mode(|mode| {
        let mut pair = asking(mode).build();
        let mut client = ClientApp::new([Job::with_input("echo", "hello")]).then_disconnect();
        let mut server = Inbox::<ServerConnection>::new();
        pair.run(&mut client, &mut server);
        let sent = pair.to_client.total();
        let incoming = take!(server.events, ServerEvent::Incoming(incoming) => incoming);
        assert_eq!(
            Some(incoming.identification()),
            pair.server.peer_identification()
        );
        assert_eq!(incoming.kex(), "mlkem768x25519-sha256");
        assert!(pair.server.is_handshaking() && !pair.server.wants_read());
        pair.run(&mut client, &mut server);
        assert_eq!(pair.to_client.total(), sent, "the answer is waited for");
        pair.server.admit(incoming).unwrap();
        let mut asked = 0;
        let mut app = ServerApp::new();
        pair.run(&mut client, &mut |server: &mut ServerConnection, event| {
            asked += usize::from(matches!(event, ServerEvent::Incoming(_)));
            let now = ssh_proto::Instant::EPOCH;
            ssh_tests::App::on_event(&mut app, server, event, now);
        });
        assert_eq!(client.results[0].stdout, b"hello");
        assert_eq!(asked, 0, "rekeys are not asked about");
        assert!(mode.rekey_every.is_none() || app.exchanges.len() > 1);
    });
}

#[test]
fn nobody_is_asked_about_unless_the_config_says_so() {
    for_each_mode(|mode| {
        let mut pair = Pair::new(mode);
        let mut server = Inbox::<ServerConnection>::new();
        pair.run(&mut ClientApp::new([]), &mut server);
        let asked = |event: &ServerEvent| matches!(event, ServerEvent::Incoming(_));
        assert!(!server.events.iter().any(asked));
    });
}

#[test]
fn a_refused_client_is_told_why() {
    for_each_mode(|mode| {
        let refusals = [
            Some((DisconnectReason::TOO_MANY_CONNECTIONS, "come back later")),
            Some((DisconnectReason::HOST_NOT_ALLOWED_TO_CONNECT, "")),
            None,
        ];
        for refusal in refusals {
            let mut pair = asking(mode).build();
            let incoming = incoming(&mut pair);
            match refusal {
                Some((reason, text)) => pair.server.refuse(incoming, reason, text).unwrap(),
                None => drop(incoming),
            }
            let mut client = ClientApp::new([]);
            pair.run(&mut client, &mut Inbox::new());
            let expected = refusal.unwrap_or((DisconnectReason::TOO_MANY_CONNECTIONS, ""));
            let Some(Disconnected::ByPeer {
                reason,
                description,
                ..
            }) = &client.ended
            else {
                panic!("{:?}", client.ended);
            };
            assert_eq!((*reason, &*description.to_string()), expected);
            assert!(client.exchanges.is_empty() && client.host_key_checks == 0);
            assert_eq!(pair.server_end(), Some(&Disconnected::ByApplication));
        }
    });
}

/// `DISCONNECT` leaves in the clear, behind our `KEXINIT` and nothing else.
#[test]
fn nothing_is_computed_for_a_refused_client() {
    for_each_chunking(|mode| {
        let mut h = hostile(mode, |_| ());
        h.peer.send_kex_init();
        h.exchange();
        assert_eq!(h.peer.drain(), []);
        let incoming = question(&mut h);
        let reason = DisconnectReason::TOO_MANY_CONNECTIONS;
        h.connection.refuse(incoming, reason, "").unwrap();
        h.assert_disconnected(reason);
    });
}

/// A public value that is worth nothing is found out only once the client is admitted.
#[test]
fn bad_values_are_looked_at_behind_the_question() {
    for_each_chunking(|mode| {
        let mut h = hostile(mode, |_| ());
        h.send_payload(&message(number::KEX_ECDH_INIT, &[F::S(&[0; 32])]));
        assert_eq!(h.ended, None);
        let incoming = question(&mut h);
        h.connection.admit(incoming).unwrap();
        h.assert_disconnected(DisconnectReason::KEY_EXCHANGE_FAILED);
        let error = PeerMisbehaved::BadKexValue.into();
        assert_eq!(h.ended, Some(Disconnected::Error(error)));
        // The form is looked at before anyone is asked.
        for malformed in [
            vec![number::KEX_ECDH_INIT],
            message(number::KEX_ECDH_INIT, &[F::S(&[9; 32]), F::B(0)]),
        ] {
            let mut h = hostile(mode, |_| ());
            h.send_payload(&malformed);
            h.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
            let asked = |event: &ServerEvent| matches!(event, ServerEvent::Incoming(_));
            assert!(!h.events.iter().any(asked));
        }
    });
}

/// What the client sends behind its key is not parsed before the answer; then it is what it is.
#[test]
fn c7_nothing_is_parsed_while_a_client_waits() {
    for_each_chunking(|mode| {
        let mut h = hostile(mode, |_| ());
        h.peer.send_kex_init();
        h.peer.send_kex_init();
        h.exchange();
        assert_eq!(h.ended, None);
        let incoming = question(&mut h);
        assert!(
            h.events
                .iter()
                .all(|event| !matches!(event, ServerEvent::Incoming(_)))
        );
        h.connection.admit(incoming).unwrap();
        h.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
        // It may leave meanwhile.
        let mut h = hostile(mode, |_| ());
        h.peer.send_kex_init();
        h.eof();
        assert_eq!(h.ended, Some(Disconnected::Eof));
        let late = question(&mut h);
        assert_eq!(h.connection.admit(late), Err(ApiMisuse::StaleToken));
    });
}

/// The question lapses with its deadline, or that of the login; the clock of the key exchange is
/// for the client's delays alone.
#[test]
fn a_forgotten_question_lapses() {
    let secs = Duration::from_secs;
    for_each_mode(|mode| {
        for (decision, grace, timer) in [
            (Some(secs(90)), Some(secs(120)), Timer::Decision),
            (None, Some(secs(120)), Timer::LoginGrace),
            (Some(secs(90)), None, Timer::Decision),
        ] {
            let mut pair = asking(mode)
                .server_limits(|limits| {
                    limits.decision_timeout = decision;
                    limits.login_grace = grace;
                    limits.handshake_timeout = Some(secs(20));
                })
                .client_limits(|limits| limits.handshake_timeout = None)
                .build();
            let incoming = incoming(&mut pair);
            let (mut client, mut server) = (ClientApp::new([]), Inbox::new());
            pair.advance(secs(89), &mut client, &mut server);
            assert_eq!(pair.server_end(), None);
            pair.advance(secs(31), &mut client, &mut server);
            let error = Error::Timeout(timer);
            assert_eq!(pair.server_end(), Some(&Disconnected::Error(error)));
            assert_eq!(pair.server.admit(incoming), Err(ApiMisuse::StaleToken));
        }
    });
}

#[test]
fn an_admission_is_of_its_connection() {
    let mut one = asking(Mode::PLAIN).build();
    let mut other = asking(Mode::PLAIN).build();
    let (first, second) = (incoming(&mut one), incoming(&mut other));
    assert_eq!(other.server.admit(first), Err(ApiMisuse::ForeignToken));
    assert_eq!(one.server_end(), None);
    other.server.admit(second).unwrap();
    other.run(&mut ClientApp::new([]), &mut ServerApp::new());
    assert!(other.server.authenticated().is_some());
    // The first was used up by the mistake: its question is answered as if it had been dropped.
    let mut client = ClientApp::new([]);
    one.run(&mut client, &mut ServerApp::new());
    assert_eq!(one.server_end(), Some(&Disconnected::ByApplication));
}

/// The host key may be held elsewhere: admission first, then the signature.
#[test]
fn admission_comes_before_a_signature_by_a_remote_host_key() {
    for_each_mode(|mode| {
        let held = fixtures::host_key();
        let mut pair = asking(mode)
            .server(|config| {
                config.host_key(ssh_proto::HostKey::Remote {
                    key: held.public_key().clone(),
                    algorithms: held.algorithms().to_vec(),
                })
            })
            .build();
        let incoming = incoming(&mut pair);
        pair.server.admit(incoming).unwrap();
        let mut client = ClientApp::new([]);
        let mut server = ServerApp::new();
        server.signers.push(held.clone());
        pair.run(&mut client, &mut server);
        assert!(client.authenticated.is_some() && server.signatures > 0);
    });
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn channels() -> [(Permissions, ChannelKind); 3] {
    [
        (
            Permissions::DIRECT_TCPIP,
            ChannelKind::DirectTcpip {
                host: text("localhost"),
                port: 80,
                originator_address: text("192.0.2.7"),
                originator_port: 4242,
            },
        ),
        (
            Permissions::DIRECT_STREAMLOCAL,
            ChannelKind::DirectStreamlocal { path: text("/p") },
        ),
        (Permissions::TUN, ChannelKind::Tun { mode: 1, unit: 0 }),
    ]
}

fn channels_of_the_server() -> [(Permissions, ChannelKind); 5] {
    [
        (
            Permissions::FORWARDED_TCPIP,
            ChannelKind::ForwardedTcpip {
                address: text("localhost"),
                port: 80,
                originator_address: text("192.0.2.7"),
                originator_port: 4242,
            },
        ),
        (
            Permissions::FORWARDED_STREAMLOCAL,
            ChannelKind::ForwardedStreamlocal { path: text("/p") },
        ),
        (
            Permissions::X11,
            ChannelKind::X11 {
                originator_address: text("192.0.2.7"),
                originator_port: 4242,
            },
        ),
        (Permissions::AGENT, ChannelKind::AuthAgent),
        (Permissions::AGENT, ChannelKind::AgentConnect),
    ]
}

fn requests() -> [(Permissions, ChannelRequest); 4] {
    let pty = Pty {
        term: text("xterm"),
        columns: 80,
        rows: 24,
        width: 0,
        height: 0,
        modes: Vec::new(),
    };
    let x11 = ChannelRequest::X11 {
        single_connection: false,
        auth_protocol: text("MIT-MAGIC-COOKIE-1"),
        cookie: X11Cookie::new(b"00".to_vec()),
        screen: 0,
    };
    [
        (Permissions::PTY, ChannelRequest::Pty(pty)),
        (Permissions::X11, x11),
        (Permissions::AGENT, ChannelRequest::AuthAgent),
        (Permissions::AGENT, ChannelRequest::Agent),
    ]
}

fn forwards() -> [(Permissions, GlobalRequest); 2] {
    [
        (
            Permissions::FORWARDED_TCPIP,
            GlobalRequest::TcpipForward {
                address: text(""),
                port: 8080,
            },
        ),
        (
            Permissions::FORWARDED_STREAMLOCAL,
            GlobalRequest::StreamlocalForward { path: text("/p") },
        ),
    ]
}

/// A login by two steps, each of which allows what is given.
fn restricted(mode: Mode, steps: [Permissions; 2]) -> Connected {
    let pair = Pair::builder(mode)
        .client(|config| config.peer_channels(PeerOpens::ALL))
        .build();
    let mut login = Login::new(pair);
    let mut request = login.password("one");
    request.restrict(&Restrictions::new(steps[0]));
    let methods = MethodSet::PASSWORD;
    let partial = login.pair.server.accept_auth_partially(request, methods);
    partial.unwrap();
    login.run();
    let mut request = login.password("two");
    request.restrict(&Restrictions::new(steps[1]));
    login.accept(request);
    Connected {
        pair: login.pair,
        client: Inbox::new(),
        server: Inbox::new(),
    }
}

/// H19: every forwarding kind under a login that lacks its right, whichever step took it away.
#[test]
fn h19_what_a_login_may_do() {
    let all = Permissions::ALL;
    let sets = [
        [Permissions::NONE, all],
        [all, all.without(Permissions::PORT_FORWARDING)],
        [
            all.without(Permissions::TUN),
            all.without(Permissions::X11 | Permissions::AGENT),
        ],
        [all.without(Permissions::PTY), Permissions::PTY],
        [all, all],
    ];
    for_each_mode(|mode| {
        for steps in sets {
            let granted = steps[0].intersection(steps[1]);
            let mut c = restricted(mode, steps);
            let proof = c.pair.server.authenticated().expect("logged in");
            assert_eq!(proof.permissions(), granted);
            let (session, at_server) = c.open();
            for (right, kind) in channels() {
                c.pair.client.open_channel(&kind).unwrap();
                c.run();
                if granted.contains(right) {
                    drop(take!(c.server.events, ServerEvent::Shared(Event::ChannelOpen(o)) => o));
                    c.run();
                }
                let reason = take!(
                    c.client.events,
                    ClientEvent::Shared(Event::ChannelOpenFailed { reason, .. }) => reason
                );
                assert_eq!(reason, OpenFailure::ADMINISTRATIVELY_PROHIBITED);
            }
            for (right, request) in requests() {
                c.pair.client.request(session, &request, true).unwrap();
                c.run();
                if granted.contains(right) {
                    let asked = take!(c.server.events, ServerEvent::Shared(Event::Request(r)) => r);
                    c.pair.server.accept_request(asked).unwrap();
                    c.run();
                }
                let success = take!(
                    c.client.events,
                    ClientEvent::Shared(Event::RequestReply { success, .. }) => success
                );
                assert_eq!(success, granted.contains(right), "{request:?}");
            }
            for (right, request) in forwards() {
                c.pair.client.global_request(&request, true).unwrap();
                c.run();
                if granted.contains(right) {
                    let asked =
                        take!(c.server.events, ServerEvent::Shared(Event::GlobalRequest(r)) => r);
                    c.pair.server.accept_global_request(asked, b"").unwrap();
                    c.run();
                }
                let result = take!(
                    c.client.events,
                    ClientEvent::Shared(Event::GlobalReply { result, .. }) => result
                );
                assert_eq!(result.is_ok(), granted.contains(right), "{request:?}");
            }
            for (right, kind) in channels_of_the_server() {
                let opened = c.pair.server.open_channel(&kind).map(|_| ());
                let expected = match granted.contains(right) {
                    true => Ok(()),
                    false => Err(ChannelError::Forbidden),
                };
                assert_eq!(opened, expected, "{kind:?}");
            }
            let agent = c.pair.server.open_agent_channel().map(|_| ());
            assert_eq!(agent.is_ok(), granted.contains(Permissions::AGENT));
            c.run();
            assert_eq!(c.server.count("Request("), 0, "{:?}", c.server.events);
            // What is no forwarding goes on.
            let exec = ChannelRequest::Exec(text("true"));
            c.pair.client.request(session, &exec, true).unwrap();
            c.run();
            let asked = take!(c.server.events, ServerEvent::Shared(Event::Request(r)) => r);
            assert_eq!(asked.channel(), at_server);
        }
    });
}
