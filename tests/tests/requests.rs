//! Requests and replies end to end: every kind, of channels and global, refused or granted, in order.

use bytes::Bytes;
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, ClientEvent, Connection, DataStream,
    Event, ExitSignal, GlobalRequest, Pty, ServerEvent, X11Cookie,
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
            modes: vec![(1, 3), (53, 1), (129, 38_400)],
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
        ChannelRequest::Break(500),
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
                    ChannelRequest::WindowChange { .. } | ChannelRequest::Signal(_)
                );
                let asked = c.pair.client.request(at_client, request, !mute).unwrap();
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
                    global_replies.push((request, result.unwrap()));
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
                (Some(id), &result.unwrap()[..]),
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
            let mut c = Connected::of(Pair::builder(mode).client(|b| b.report_ignore(report)));
            c.pair.server.send_ignore(b"traffic analysis").unwrap();
            c.pair.server.send_debug(true, "look\x1b[A").unwrap();
            c.pair.client.send_debug(false, "here").unwrap();
            c.run();
            assert_eq!(c.client.count("Ignore"), usize::from(report));
            let message = take!(
                c.client.events,
                ClientEvent::Shared(Event::Debug { always_display: true, message }) => message
            );
            let message = message.to_string();
            assert!(message.starts_with("look") && !message.contains('\x1b'));
            take!(c.server.events, ServerEvent::Shared(Event::Debug { .. }) => ());
        }
    });
}
