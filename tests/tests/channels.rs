//! Channels and global requests end to end: data, windows, ends, requests and replies.

use bytes::Bytes;
use ssh_proto::error::{DisconnectReason, PeerMisbehaved};
use ssh_proto::wire::connection::{ChannelData, ChannelWindowAdjust};
use ssh_proto::wire::number;
use ssh_proto::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, ClientConnection, ClientEvent,
    Connection, DataStream, Disconnected, Event, ExitSignal, GlobalRequest, OpenFailure, PeerOpens,
    Pty, ServerConnection, ServerEvent, X11Cookie,
};
use ssh_tests::hostile::Victim;
use ssh_tests::{
    ClientApp, Connected, Endpoint, Hostile, Job, Mode, Pair, ServerApp, Stage, for_each_chunking,
    for_each_mode, read_all, take,
};

fn count<E: Endpoint>(events: &std::collections::VecDeque<E::Event>, what: &str) -> usize {
    let found = |event: &&E::Event| format!("{:?}", E::shared(event)).contains(what);
    events.iter().filter(found).count()
}

#[test]
fn data_both_ways_and_stderr() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let (at_client, at_server) = c.open();
        let data = DataStream::Data;
        assert_eq!(
            c.pair.client.write(at_client, data, b"to the server"),
            Ok(13)
        );
        assert_eq!(c.pair.server.write(at_server, data, b"out"), Ok(3));
        assert_eq!(
            c.pair.server.write(at_server, DataStream::STDERR, b"err"),
            Ok(3)
        );
        assert_eq!(
            c.pair.client.write(at_client, DataStream::STDERR, b"no"),
            Err(ChannelError::WrongRole)
        );
        c.run();
        take!(c.client.events, ClientEvent::Shared(Event::Readable(_)) => ());
        assert_eq!(c.pair.client.readable_bytes(at_client), Ok(6));
        assert_eq!(
            read_all(&mut c.pair.client, at_client),
            (b"out".into(), b"err".into())
        );
        assert_eq!(c.pair.client.readable_bytes(at_client), Ok(0));
        assert_eq!(read_all(&mut c.pair.server, at_server).0, b"to the server");
        // The edge comes again.
        c.pair.server.write(at_server, data, b"more").unwrap();
        c.run();
        take!(c.client.events, ClientEvent::Shared(Event::Readable(_)) => ());
        // Nothing for nothing.
        assert_eq!(c.pair.server.write(at_server, data, b""), Ok(0));
        c.run();
    });
}

#[test]
fn small_windows_and_packets() {
    for_each_mode(|mode| {
        for (window, packet) in [(9, 9), (100, 100), (1000, 300), (40_000, 32 << 10)] {
            let size = mode.bulk(window as usize * 4).min(20_000);
            let input = vec![3; size];
            let mut pair = Pair::builder(mode)
                .limits(|limits| {
                    limits.window_size = window;
                    limits.max_window_size = window;
                    limits.max_packet_size = packet;
                    limits.channel_send_buffer = 500;
                })
                .build();
            let mut client = ClientApp::new([
                Job::with_input("echo", input.clone()),
                Job::with_input("stderr", input.clone()),
            ]);
            pair.run(&mut client, &mut ServerApp::new());
            assert_eq!(client.results[0].stdout, input, "{window} {packet}");
            assert_eq!(client.results[1].stderr, input);
            assert!(client.results.iter().all(|result| result.closed));
        }
    });
}

/// 2^30 and 2^32 - 1 are windows like others.
#[test]
fn huge_windows() {
    for window in [1 << 30, u32::MAX] {
        for mode in [Mode::PLAIN, Mode::ALL[3]] {
            let size = mode.bulk(1 << 20) / 2;
            let mut pair = Pair::builder(mode)
                .limits(|limits| {
                    limits.window_size = window;
                    limits.max_window_size = window;
                })
                .build();
            let mut client = ClientApp::new([Job::with_input("echo", vec![3; size])]);
            pair.run(&mut client, &mut ServerApp::new());
            assert_eq!(client.results[0].stdout.len(), size);
        }
    }
}

/// H8: the window takes exactly 2^32 - 1.
#[test]
fn h8_window_edges() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        // The window is 1 MiB by then.
        for bytes in [0, u32::MAX - (1 << 20), 0] {
            hostile.send(&ChannelWindowAdjust {
                recipient: 0,
                bytes,
            });
            assert_eq!(hostile.ended, None);
        }
        hostile.send(&ChannelWindowAdjust {
            recipient: 0,
            bytes: 1,
        });
        hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
        let overflow = Disconnected::Error(PeerMisbehaved::WindowOverflow.into());
        assert_eq!(hostile.ended, Some(overflow));
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// H7: our window is enough for exactly what it says.
#[test]
fn h7_receive_window_edges() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        let window = ssh_proto::Limits::default().window_size as usize;
        let packet = 32 << 10;
        let block = vec![0; packet];
        for _ in 0..window / packet {
            hostile.peer.send(&ChannelData {
                recipient: 0,
                data: &block,
            });
        }
        hostile.exchange();
        assert_eq!(hostile.ended, None);
        assert_eq!(
            hostile.connection.readable_bytes(hostile.channel.unwrap()),
            Ok(window)
        );
        hostile.send(&ChannelData {
            recipient: 0,
            data: b"",
        });
        assert_eq!(hostile.ended, None, "empty data costs nothing");
        hostile.send(&ChannelData {
            recipient: 0,
            data: b"1",
        });
        hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
        let exceeded = Disconnected::Error(PeerMisbehaved::WindowExceeded.into());
        assert_eq!(hostile.ended, Some(exceeded));
    }
    check::<ClientConnection>(Mode::PLAIN);
    check::<ServerConnection>(Mode::PLAIN);
}

/// An application that does not read stops the peer's, and nothing else; reading starts it again.
#[test]
fn back_pressure() {
    for_each_mode(|mode| {
        let (window, buffer) = (10_000, 3_000);
        let mut c = Connected::of(Pair::builder(mode).limits(|limits| {
            limits.window_size = window;
            limits.max_window_size = window;
            limits.max_packet_size = 1_000;
            limits.channel_send_buffer = buffer;
        }));
        let (at_client, at_server) = c.open();
        let (other_client, other_server) = c.open();
        let all: Vec<u8> = (0..100_000u64).map(ssh_tests::app::pattern_byte).collect();
        let mut left = Bytes::from(all.clone());
        let mut write = |c: &mut Connected| {
            let mut writes = 0;
            while !left.is_empty() {
                let taken = c
                    .pair
                    .client
                    .write_bytes(at_client, DataStream::Data, &mut left);
                writes += 1;
                assert!(writes < 1_000);
                if taken.unwrap() == 0 {
                    c.run();
                    if c.pair.client.writable_bytes(at_client) == Ok(0) {
                        break;
                    }
                }
            }
            left.len()
        };
        let unsent = write(&mut c);
        assert_eq!(
            all.len() - unsent,
            window as usize + buffer,
            "window and buffer, no more"
        );
        c.client.events.clear();
        c.run();
        assert_eq!(count::<ClientConnection>(&c.client.events, "Writable"), 0);
        assert_eq!(c.pair.server.readable_bytes(at_server), Ok(window as usize));

        // The other channel does not notice.
        c.pair
            .client
            .write(other_client, DataStream::Data, b"hello")
            .unwrap();
        c.run();
        assert_eq!(read_all(&mut c.pair.server, other_server).0, b"hello");

        let mut received = Vec::new();
        while received.len() < all.len() {
            c.client.events.clear();
            let read = read_all(&mut c.pair.server, at_server).0;
            assert!(!read.is_empty(), "credit came back with what was read");
            received.extend(read);
            c.run();
            assert!(count::<ClientConnection>(&c.client.events, "Writable") <= 1);
            write(&mut c);
            c.run();
        }
        assert!(received == all);
    });
}

#[test]
fn eof_in_each_direction() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let (at_client, at_server) = c.open();
        c.pair
            .client
            .write(at_client, DataStream::Data, b"last words")
            .unwrap();
        c.pair.client.finish(at_client).unwrap();
        let late = c.pair.client.write(at_client, DataStream::Data, b"late");
        assert_eq!(late, Err(ChannelError::Finished));
        assert_eq!(
            c.pair.client.finish(at_client),
            Ok(()),
            "said once, said for good"
        );
        c.run();
        take!(c.server.events, ServerEvent::Shared(Event::Eof(_)) => ());
        assert_eq!(read_all(&mut c.pair.server, at_server).0, b"last words");
        // The other direction is open still.
        c.pair
            .server
            .write(at_server, DataStream::Data, b"answer")
            .unwrap();
        c.run();
        assert_eq!(read_all(&mut c.pair.client, at_client).0, b"answer");
        assert_eq!(count::<ClientConnection>(&c.client.events, "Eof"), 0);
        c.pair.server.finish(at_server).unwrap();
        c.run();
        take!(c.client.events, ClientEvent::Shared(Event::Eof(_)) => ());
        // EOF both ways closes nothing.
        assert_eq!(
            count::<ClientConnection>(&c.client.events, "ChannelClosed"),
            0
        );
        c.pair.client.close_channel(at_client).unwrap();
        c.run();
        take!(c.client.events, ClientEvent::Shared(Event::ChannelClosed(_)) => ());
        take!(c.server.events, ServerEvent::Shared(Event::ChannelClosed(_)) => ());
    });
}

/// CLOSE from either side, from both at once, with and without EOF, with data before it.
#[test]
fn close_in_every_order() {
    for_each_mode(|mode| {
        for closers in [[true, false], [false, true], [true, true]] {
            for eof in [false, true] {
                let mut c = Connected::new(mode);
                let (at_client, at_server) = c.open();
                c.pair
                    .server
                    .write(at_server, DataStream::Data, b"bye")
                    .unwrap();
                if eof {
                    c.pair.server.finish(at_server).unwrap();
                }
                if closers[0] {
                    c.pair.client.close_channel(at_client).unwrap();
                }
                if closers[1] {
                    c.pair.server.close_channel(at_server).unwrap();
                }
                c.run();
                if !closers[0] {
                    // What came before the peer's CLOSE is there to be read.
                    assert_eq!(read_all(&mut c.pair.client, at_client).0, b"bye");
                    c.run();
                }
                assert_eq!(
                    count::<ClientConnection>(&c.client.events, "ChannelClosed"),
                    1
                );
                assert_eq!(
                    count::<ServerConnection>(&c.server.events, "ChannelClosed"),
                    1
                );
                for late in [
                    c.pair.client.write(at_client, DataStream::Data, b"late"),
                    c.pair.server.write(at_server, DataStream::Data, b"late"),
                ] {
                    assert_eq!(late, Err(ChannelError::Closed));
                }
                // The connection lives on.
                c.open();
            }
        }
    });
}

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
                assert_eq!(count::<ClientConnection>(&c.client.events, "Exit"), 0);
                assert_eq!(
                    count::<ClientConnection>(&c.client.events, "ChannelClosed"),
                    1
                );
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
            assert_eq!(
                count::<ServerConnection>(&c.server.events, "ChannelOpen"),
                0
            );
        }
        for kind in opens(true) {
            c.pair.server.open_channel(&kind).unwrap();
            c.run();
            let expected = match kind {
                ChannelKind::Unknown { .. } => OpenFailure::UNKNOWN_CHANNEL_TYPE,
                _ => OpenFailure::ADMINISTRATIVELY_PROHIBITED,
            };
            assert_eq!(failure::<ServerConnection>(&c.server.events), expected);
            assert_eq!(
                count::<ClientConnection>(&c.client.events, "ChannelOpen("),
                0
            );
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
                GlobalRequest::HostKeysProve(vec![text("a key")]),
                b"signatures",
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
        assert!(c.server.events.is_empty());
        let (id, result) = take!(
            c.client.events,
            ClientEvent::Shared(Event::GlobalReply { request, result }) => (request, result)
        );
        assert_eq!((Some(id), result.is_err()), (asked, true));
        // Without reply; from the server too.
        let keys = GlobalRequest::HostKeys(vec![text("one"), text("two")]);
        assert_eq!(c.pair.server.global_request(&keys, false), Ok(None));
        c.run();
        let token = take!(c.client.events, ClientEvent::Shared(Event::GlobalRequest(t)) => t);
        assert_eq!(token.request(), &keys);
        assert!(!token.wants_reply());
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
    let mut hostile = Hostile::<ServerConnection>::at(Stage::Channel, Mode::PLAIN);
    use ssh_proto::wire::connection as wire;
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
}

/// The bound on sessions, and on channels in all.
#[test]
fn too_many_channels() {
    let mut c = Connected::of(Pair::builder(Mode::PLAIN).server_limits(|limits| {
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
}

/// Calls on a channel that is not there yet, or on a connection that is not.
#[test]
fn calls_out_of_place() {
    let mut pair = Pair::new(Mode::PLAIN);
    assert_eq!(
        pair.client.open_channel(&ChannelKind::Session),
        Err(ChannelError::NotOpen)
    );
    assert_eq!(
        pair.server.global_request(&GlobalRequest::Keepalive, true),
        Err(ChannelError::NotOpen)
    );
    let mut c = Connected::new(Mode::PLAIN);
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
            assert_eq!(
                count::<ClientConnection>(&c.client.events, "Ignore"),
                usize::from(report)
            );
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

/// H9: a window of one byte gets one byte, and one wake-up.
#[test]
fn h9_window_of_one() {
    for_each_chunking(|mode| {
        let mut hostile = Hostile::<ServerConnection>::at(Stage::Authenticated, mode);
        use ssh_proto::wire::connection as wire;
        hostile.send(&wire::ChannelOpen {
            kind: wire::ChannelOpenKind::Session(()),
            sender: 7,
            window_size: 1,
            max_packet_size: 9,
        });
        let open = take!(hostile.events, ServerEvent::Shared(Event::ChannelOpen(o)) => o);
        let channel = hostile.connection.accept_channel(open).unwrap();
        hostile.exchange();
        hostile.peer.expect(number::CHANNEL_OPEN_CONFIRMATION);
        let big = vec![1; 1 << 20];
        let taken = hostile
            .connection
            .write(channel, DataStream::Data, &big)
            .unwrap();
        assert_eq!(taken, ssh_proto::Limits::default().channel_send_buffer);
        hostile.exchange();
        let packet = hostile.peer.expect(number::CHANNEL_DATA);
        assert_eq!(
            packet.decode::<ChannelData<'_>>(),
            ChannelData {
                recipient: 7,
                data: &[1]
            }
        );
        assert_eq!(hostile.peer.drain(), []);
        assert!(
            !hostile.connection.wants_write(),
            "nothing to do until the window opens"
        );
        hostile.send(&ChannelWindowAdjust {
            recipient: 0,
            bytes: 20,
        });
        let sizes: Vec<_> = hostile
            .peer
            .drain()
            .iter()
            .map(|packet| packet.decode::<ChannelData<'_>>().data.len())
            .collect();
        assert_eq!(sizes, [9, 9, 2]);
    });
}
