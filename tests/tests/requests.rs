//! Requests and replies end to end: every kind, of channels and global, refused or granted, in order.

use bytes::Bytes;
use ssh_proto::error::{ApiMisuse, DisconnectReason};
use ssh_proto::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, ClientEvent, Connection, DataStream,
    Event, ExitSignal, GlobalRequest, Pty, ServerEvent, X11Cookie, pty_mode,
};
use ssh_tests::{Connected, Pair, for_each_mode, read_all, take};

fn client_requests() -> Vec<ChannelRequest> {
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    vec![
        ChannelRequest::Pty(Pty {
            term: text("xterm-256color"),
            columns: 80,
            rows: 24,
            width: 640,
            height: 480,
            modes: vec![
                (pty_mode::VINTR, 3),
                (pty_mode::IUTF8, 1),
                (pty_mode::ECHO, 0),
                (pty_mode::TTY_OP_OSPEED, 38_400),
                (159, u32::MAX),
            ],
        }),
        ChannelRequest::X11 {
            single_connection: true,
            auth_protocol: text("MIT-MAGIC-COOKIE-1"),
            cookie: X11Cookie::new(b"00112233445566778899aabbccddeeff".to_vec()),
            screen: 1,
        },
        ChannelRequest::Env {
            name: text("LANG"),
            value: text("C.UTF-8"),
        },
        ChannelRequest::AuthAgent,
        ChannelRequest::Agent,
        ChannelRequest::Unknown {
            name: text("crab@example.org"),
            body: text("\x01\x02"),
        },
        ChannelRequest::Shell,
        ChannelRequest::WindowChange {
            columns: 1,
            rows: 2,
            width: 3,
            height: 4,
        },
        ChannelRequest::Signal(text("TERM")),
        ChannelRequest::Signal(text("INFO@openssh.com")),
        ChannelRequest::Break(500),
        ChannelRequest::Eow,
    ]
}

/// Every kind of request arrives as it was made, and its reply with the id that it was given.
#[test]
fn every_request_of_a_client() {
    for_each_mode(|mode| {
        for first in [
            ChannelRequest::Exec("true".into()),
            ChannelRequest::Subsystem("sftp".into()),
        ] {
            let mut c = Connected::new(mode);
            let (at_client, at_server) = c.open();
            let mut requests = client_requests();
            if !matches!(first, ChannelRequest::Subsystem(_)) {
                requests = vec![first];
            } else {
                requests.retain(|request| *request != ChannelRequest::Shell);
                requests.push(first);
            }
            for (i, request) in requests.iter().enumerate() {
                // These ask for no reply, whatever is said (RFC 4254 sections 6.7 to 6.9).
                let mute = matches!(
                    request,
                    ChannelRequest::WindowChange { .. }
                        | ChannelRequest::Signal(_)
                        | ChannelRequest::Eow
                );
                let asked = c.pair.client.request(at_client, request, true).unwrap();
                assert_eq!(asked.is_some(), !mute);
                c.run();
                let token = take!(c.server.events, ServerEvent::Shared(Event::Request(r)) => r);
                assert_eq!(token.request(), request);
                assert_eq!(token.channel(), at_server);
                assert_eq!(token.wants_reply(), !mute);
                match i % 2 {
                    0 => c.pair.server.accept_request(token).unwrap(),
                    _ => c.pair.server.reject_request(token).unwrap(),
                }
                c.run();
                assert_eq!(c.client.count("RequestReply"), usize::from(!mute));
                if let Some(asked) = asked {
                    let (id, ok) = take!(
                        c.client.events,
                        ClientEvent::Shared(Event::RequestReply { request, success, .. })
                            => (request, success)
                    );
                    assert_eq!((id, ok), (asked, i % 2 == 0), "{request:?}");
                }
            }
        }
    });
}

/// What a server may ask for, and what it may not.
#[test]
fn every_request_of_a_server() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let (at_client, at_server) = c.open();
        let unknown = ChannelRequest::Unknown {
            name: "crab@example.org".into(),
            body: Bytes::from_static(b"\0\x01"),
        };
        for (i, request) in [
            ChannelRequest::XonXoff(true),
            ChannelRequest::XonXoff(false),
            ChannelRequest::Signal("USR1".into()),
            ChannelRequest::Eow,
            unknown.clone(),
            unknown,
        ]
        .iter()
        .enumerate()
        {
            let mute = i < 4;
            let asked = c.pair.server.request(at_server, request, true).unwrap();
            assert_eq!(asked.is_none(), mute, "{request:?}");
            c.run();
            let token = take!(c.client.events, ClientEvent::Shared(Event::Request(r)) => r);
            assert_eq!(
                (token.request(), token.channel(), token.wants_reply()),
                (request, at_client, !mute)
            );
            match i % 2 {
                0 => c.pair.client.accept_request(token).unwrap(),
                _ => c.pair.client.reject_request(token).unwrap(),
            }
            c.run();
            assert_eq!(c.server.count("RequestReply"), usize::from(!mute));
            if let Some(asked) = asked {
                let (id, ok) = take!(
                    c.server.events,
                    ServerEvent::Shared(Event::RequestReply { request, success, .. })
                        => (request, success)
                );
                assert_eq!((id, ok), (asked, i % 2 == 0));
            }
        }
        let mut requests = client_requests();
        requests.retain(|request| {
            !matches!(
                request,
                ChannelRequest::Unknown { .. } | ChannelRequest::Eow | ChannelRequest::Signal(_)
            )
        });
        requests.extend([
            ChannelRequest::Exec("true".into()),
            ChannelRequest::Subsystem("sftp".into()),
        ]);
        for request in &requests {
            assert_eq!(
                c.pair.server.request(at_server, request, true),
                Err(ChannelError::WrongRole)
            );
        }
        for request in [
            ChannelRequest::XonXoff(true),
            ChannelRequest::ExitStatus(0),
            ChannelRequest::ExitSignal(ExitSignal {
                signal: "HUP".into(),
                core_dumped: false,
                message: "".into(),
            }),
        ] {
            assert_eq!(
                c.pair.client.request(at_client, &request, false),
                Err(ChannelError::WrongRole)
            );
        }
    });
}

/// How a command ended: status, signal, neither; before and after EOF.
#[test]
fn exit_status_and_signal() {
    let signal = ExitSignal {
        signal: "KILL".into(),
        core_dumped: true,
        message: "out of memory".into(),
    };
    for_each_mode(|mode| {
        for eof_first in [false, true] {
            for ending in 0..3 {
                let mut c = Connected::new(mode);
                let (at_client, at_server) = c.open();
                c.pair
                    .server
                    .write(at_server, DataStream::Data, b"output")
                    .unwrap();
                if eof_first {
                    c.pair.server.finish(at_server).unwrap();
                }
                let request = match ending {
                    0 => Some(ChannelRequest::ExitStatus(255)),
                    1 => Some(ChannelRequest::ExitSignal(signal.clone())),
                    _ => None,
                };
                if let Some(request) = request {
                    let asked = c.pair.server.request(at_server, &request, true).unwrap();
                    assert_eq!(asked, None, "nobody answers this");
                }
                c.pair.server.close_channel(at_server).unwrap();
                c.run();
                assert_eq!(read_all(&mut c.pair.client, at_client).0, b"output");
                c.run();
                match ending {
                    0 => take!(
                        c.client.events,
                        ClientEvent::Shared(Event::ExitStatus { status: 255, .. }) => ()
                    ),
                    1 => {
                        let got = take!(
                            c.client.events,
                            ClientEvent::Shared(Event::ExitSignal { signal, .. }) => signal
                        );
                        assert_eq!(got, signal);
                    }
                    _ => {}
                }
                assert_eq!(c.client.count("Exit"), 0);
                assert_eq!(c.client.count("ChannelClosed"), 1);
            }
        }
    });
}

/// H12: replies leave in the order of the requests, however they are answered.
#[test]
fn h12_replies_are_ordered() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let (at_client, _) = c.open();
        let env = |i: usize| ChannelRequest::Env {
            name: format!("N{i}").into(),
            value: "x".into(),
        };
        let asked: Vec<_> = (0..6)
            .map(|i| {
                c.pair
                    .client
                    .request(at_client, &env(i), true)
                    .unwrap()
                    .unwrap()
            })
            .collect();
        let globals: Vec<_> = (0..4)
            .map(|i| {
                let kind = GlobalRequest::Unknown {
                    name: format!("g{i}").into(),
                    body: "".into(),
                };
                c.pair.client.global_request(&kind, true).unwrap().unwrap()
            })
            .collect();
        c.run();
        let mut tokens = Vec::new();
        let mut global_tokens = Vec::new();
        for event in c.server.events.drain(..) {
            match event {
                ServerEvent::Shared(Event::Request(token)) => tokens.push(token),
                ServerEvent::Shared(Event::GlobalRequest(token)) => global_tokens.push(token),
                _ => {}
            }
        }
        for (i, token) in tokens.into_iter().enumerate().rev() {
            match i % 3 {
                0 => drop(token),
                _ => c.pair.server.accept_request(token).unwrap(),
            }
            c.run();
        }
        for (i, token) in global_tokens.into_iter().enumerate().rev() {
            let body = [i as u8; 3];
            c.pair.server.accept_global_request(token, &body).unwrap();
            c.run();
        }
        let mut replies = Vec::new();
        let mut global_replies = Vec::new();
        for event in c.client.events.drain(..) {
            match event {
                ClientEvent::Shared(Event::RequestReply {
                    request, success, ..
                }) => {
                    replies.push((request, success));
                }
                ClientEvent::Shared(Event::GlobalReply { request, result }) => {
                    global_replies.push((request, result.unwrap().body().clone()));
                }
                _ => {}
            }
        }
        let expected: Vec<_> = asked
            .iter()
            .enumerate()
            .map(|(i, id)| (*id, i % 3 != 0))
            .collect();
        assert_eq!(replies, expected);
        let expected: Vec<_> = globals
            .iter()
            .enumerate()
            .map(|(i, id)| (*id, Bytes::copy_from_slice(&[i as u8; 3])))
            .collect();
        assert_eq!(global_replies, expected);
    });
}

#[test]
fn every_global_request() {
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let forward = |port| GlobalRequest::TcpipForward {
        address: text("127.0.0.1"),
        port,
    };
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        for (request, body) in [
            (forward(0), &[0, 0, 0x1f, 0x90][..]),
            (forward(2222), b""),
            (
                GlobalRequest::CancelTcpipForward {
                    address: text("127.0.0.1"),
                    port: 2222,
                },
                b"",
            ),
            (
                GlobalRequest::StreamlocalForward {
                    path: text("/run/x"),
                },
                b"",
            ),
            (
                GlobalRequest::CancelStreamlocalForward {
                    path: text("/run/x"),
                },
                b"",
            ),
            (
                GlobalRequest::Unknown {
                    name: text("x@example.org"),
                    body: text("?"),
                },
                b"!",
            ),
        ] {
            let asked = c.pair.client.global_request(&request, true).unwrap();
            c.run();
            let token = take!(c.server.events, ServerEvent::Shared(Event::GlobalRequest(t)) => t);
            assert_eq!(token.request(), &request);
            assert!(token.wants_reply());
            c.pair.server.accept_global_request(token, body).unwrap();
            c.run();
            let (id, result) = take!(
                c.client.events,
                ClientEvent::Shared(Event::GlobalReply { request, result }) => (request, result)
            );
            assert_eq!(
                (Some(id), &result.unwrap().body()[..]),
                (asked, body),
                "{request:?}"
            );
        }
        // A keepalive is answered without the application.
        let asked = c
            .pair
            .client
            .global_request(&GlobalRequest::Keepalive, true)
            .unwrap();
        c.run();
        assert_eq!(c.server.count("GlobalRequest"), 0);
        let (id, result) = take!(
            c.client.events,
            ClientEvent::Shared(Event::GlobalReply { request, result }) => (request, result)
        );
        assert_eq!((Some(id), result.is_err()), (asked, true));
        let asked = c
            .pair
            .server
            .global_request(&GlobalRequest::Keepalive, true)
            .unwrap();
        c.run();
        assert_eq!(c.client.count("GlobalRequest"), 0);
        let (id, result) = take!(
            c.server.events,
            ServerEvent::Shared(Event::GlobalReply { request, result }) => (request, result)
        );
        assert_eq!((Some(id), result.is_err()), (asked, true));
        // Without reply; from the server too.
        let unknown = GlobalRequest::Unknown {
            name: text("news@example.org"),
            body: text("?"),
        };
        assert_eq!(c.pair.server.global_request(&unknown, false), Ok(None));
        c.run();
        let token = take!(c.client.events, ClientEvent::Shared(Event::GlobalRequest(t)) => t);
        assert_eq!(token.request(), &unknown);
        assert!(!token.wants_reply());
    });
}

/// I3, I4: the port goes out exactly where it was left to the server, and reaches the application
/// as one in any case.
#[test]
fn i4_the_port_of_a_forward() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        for (asked, listens, reply) in [
            (0, 2222, &[0, 0, 0x08, 0xae][..]),
            (22, 22, b""),
            (65_535, 65_535, b""),
        ] {
            let request = GlobalRequest::TcpipForward {
                address: "".into(),
                port: asked,
            };
            c.pair.client.global_request(&request, true).unwrap();
            c.run();
            let token = take!(c.server.events, ServerEvent::Shared(Event::GlobalRequest(t)) => t);
            c.pair.server.accept_tcpip_forward(token, listens).unwrap();
            c.run();
            let result = take!(
                c.client.events,
                ClientEvent::Shared(Event::GlobalReply { result, .. }) => result
            );
            let granted = result.unwrap();
            assert_eq!(granted.port(), Some(listens));
            assert_eq!(granted.body(), reply);
        }
        // Neither is no port nor another request granted so.
        let unknown = GlobalRequest::Unknown {
            name: "x@example.org".into(),
            body: "".into(),
        };
        let forward = GlobalRequest::TcpipForward {
            address: "".into(),
            port: 0,
        };
        for (request, port) in [(forward, 0), (unknown, 22)] {
            c.pair.client.global_request(&request, true).unwrap();
            c.run();
            let token = take!(c.server.events, ServerEvent::Shared(Event::GlobalRequest(t)) => t);
            let answer = c.pair.server.accept_tcpip_forward(token, port);
            assert_eq!(answer, Err(ApiMisuse::WrongAnswer));
            c.run();
            let result = take!(
                c.client.events,
                ClientEvent::Shared(Event::GlobalReply { result, .. }) => result
            );
            assert!(result.is_err());
        }
        // Ports that are none are not even sent.
        for port in [65_536, u32::MAX] {
            let address = || Bytes::from_static(b"");
            for request in [
                GlobalRequest::TcpipForward {
                    address: address(),
                    port,
                },
                GlobalRequest::CancelTcpipForward {
                    address: address(),
                    port,
                },
            ] {
                assert_eq!(
                    c.pair.client.global_request(&request, true),
                    Err(ChannelError::Invalid)
                );
            }
        }
    });
}

/// Calls on a channel that is not there yet, or on a connection that is not.
#[test]
fn calls_out_of_place() {
    for_each_mode(|mode| {
        let mut pair = Pair::new(mode);
        assert_eq!(
            pair.client.open_channel(&ChannelKind::Session),
            Err(ChannelError::NotOpen)
        );
        assert_eq!(
            pair.server.global_request(&GlobalRequest::Keepalive, true),
            Err(ChannelError::NotOpen)
        );
        let mut c = Connected::new(mode);
        let channel: ChannelId = c.pair.client.open_channel(&ChannelKind::Session).unwrap();
        let write = |c: &mut Connected| c.pair.client.write(channel, DataStream::Data, b"early");
        assert_eq!(write(&mut c), Err(ChannelError::NotOpen));
        let request = c.pair.client.request(channel, &ChannelRequest::Shell, true);
        assert_eq!(request, Err(ChannelError::NotOpen));
        let now = c.pair.now;
        c.pair
            .client
            .disconnect(now, DisconnectReason::BY_APPLICATION, "");
        assert_eq!(write(&mut c), Err(ChannelError::Closed));
        assert_eq!(c.pair.client.send_ignore(b""), Err(ChannelError::Closed));
    });
}

/// Ignore and debug, in both directions; ignore only where it is wanted.
#[test]
fn padding_and_debugging() {
    for_each_mode(|mode| {
        for report in [false, true] {
            let mut c = Connected::of(
                Pair::builder(mode)
                    .client(|b| b.report_ignore(report))
                    .server(|b| b.report_ignore(report)),
            );
            // Padding changes the size of what is sent, and nothing else.
            let (at_client, at_server) = c.open();
            for size in [0, 1, 1000, 32_000] {
                let before = [c.pair.to_client.total(), c.pair.to_server.total()];
                let padding = vec![7; size];
                c.pair.server.send_ignore(&padding).unwrap();
                c.pair.client.send_ignore(&padding).unwrap();
                c.pair
                    .server
                    .write(at_server, DataStream::Data, b"s")
                    .unwrap();
                c.pair
                    .client
                    .write(at_client, DataStream::Data, b"c")
                    .unwrap();
                c.run();
                let after = [c.pair.to_client.total(), c.pair.to_server.total()];
                assert!((0..2).all(|i| after[i] - before[i] > size as u64));
                assert_eq!(read_all(&mut c.pair.client, at_client).0, b"s");
                assert_eq!(read_all(&mut c.pair.server, at_server).0, b"c");
                if report {
                    let (at_client, at_server) = (
                        take!(c.client.events, ClientEvent::Shared(Event::Ignore(i)) => i),
                        take!(c.server.events, ServerEvent::Shared(Event::Ignore(i)) => i),
                    );
                    assert!(at_client == padding && at_server == padding);
                }
                assert_eq!(c.client.count("Ignore") + c.server.count("Ignore"), 0);
            }
            assert_eq!(
                c.pair.client.send_ignore(&[0; 32_001]),
                Err(ChannelError::TooLong)
            );
            c.pair.server.send_ignore(b"traffic analysis").unwrap();
            c.pair.server.send_debug(true, "look\x1b[A").unwrap();
            c.pair.client.send_debug(false, "here").unwrap();
            c.run();
            assert_eq!(c.client.count("Ignore"), usize::from(report));
            let message = take!(
                c.client.events,
                ClientEvent::Shared(Event::Debug { always_display: true, message, .. }) => message
            );
            let message = message.to_string();
            assert!(message.starts_with("look") && !message.contains('\x1b'));
            take!(c.server.events, ServerEvent::Shared(Event::Debug { .. }) => ());
        }
    });
}
