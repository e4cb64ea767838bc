//! Failures seen elsewhere, each by its number in the list they were collected in: real bugs of other implementations.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ssh_proto::error::{DisconnectReason, Error, PeerMisbehaved};
use ssh_proto::wire::connection as wire;
use ssh_proto::wire::number;
use ssh_proto::wire::transport::{Debug, Ignore};
use ssh_proto::{
    ChannelKind, ClientConnection, ClientEvent, Connection, DataStream, Disconnected, Event,
    Limits, ServerConnection, ServerEvent, Timer,
};
use ssh_tests::hostile::Victim;
use ssh_tests::{
    App, ClientApp, Connected, Hostile, Job, Mode, Pair, ServerApp, Stage, for_each_chunking,
    for_each_mode, read_all, take,
};

/// 1 (warpgate#2498): a channel open that is never answered while three others move data.
#[test]
fn s8_01_an_unanswered_open_holds_up_nothing() {
    for_each_mode(|mode| {
        let size = mode.bulk(200_000);
        let job = || Job::with_input("echo", vec![4; size / 3]);
        let mut client = ClientApp::new([job(), job(), job(), Job::new("exit 1")]);
        let mut server = ServerApp::new();
        let mut pair = Pair::new(mode);
        let mut forgotten = None;
        let now = pair.now;
        pair.run(
            &mut client,
            &mut |connection: &mut ServerConnection, event: ServerEvent| match event {
                ServerEvent::Shared(Event::ChannelOpen(open)) if forgotten.is_none() => {
                    forgotten = Some(open);
                }
                event => server.on_event(connection, event, now),
            },
        );
        assert!(forgotten.is_some());
        assert!(!client.results[0].closed && client.results[0].granted.is_none());
        for result in &client.results[1..3] {
            assert_eq!(result.stdout.len(), size / 3);
        }
        assert!(client.results[1..].iter().all(|result| result.closed));
        assert_eq!((pair.client_end(), pair.server_end()), (None, None));
    });
}

/// 2 (russh#392): one channel is never read; the others finish.
#[test]
fn s8_02_an_unread_channel_holds_up_nothing() {
    for_each_mode(|mode| {
        let size = mode.bulk(3 << 20);
        let mut client = ClientApp::new([
            Job::with_input("hold", vec![1; size.max(100_000)]),
            Job::with_input("echo", vec![2; size / 4]),
            Job::with_input("sink", vec![3; size / 4]),
        ]);
        let mut pair = Pair::builder(mode)
            .limits(|l| l.window_size = 64 << 10)
            .build();
        pair.run(&mut client, &mut ServerApp::new());
        assert_eq!(client.results[1].stdout.len(), size / 4);
        assert!(client.results[1].closed && client.results[2].closed);
        assert!(!client.results[0].closed);
        assert_eq!((pair.client_end(), pair.server_end()), (None, None));
    });
}

/// 3 (russh#725): three gigabytes into a closed window.
#[test]
fn s8_03_closed_window_bounds_writes() {
    for_each_mode(|mode| {
        let mut c = Connected::of(Pair::builder(mode).limits(|limits| {
            limits.window_size = 50_000;
        }));
        let buffer = Limits::default().channel_send_buffer;
        let (at_client, at_server) = c.open();
        let block = Bytes::from(vec![0; 1 << 20]);
        let (mut up, mut down) = (0, 0);
        for round in 0..3 << 10 {
            let data = DataStream::Data;
            up += c.pair.client.write(at_client, data, &block).unwrap();
            down += c
                .pair
                .server
                .write_bytes(at_server, data, &mut block.clone())
                .unwrap();
            if round % 500 == 0 {
                c.run();
            }
        }
        assert_eq!((up, down), (buffer + 50_000, buffer + 50_000));
    });
}

/// 4 (russh#630, golang/go#81317): ten thousand small things while the application does nothing.
#[test]
fn s8_04_floods_while_the_application_sleeps() {
    fn check<E: Victim>(mode: Mode) {
        for kind in 0..4 {
            let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
            hostile.holds_events = true;
            for i in 0..10_000u32 {
                match kind {
                    0 => hostile.peer.send(&wire::ChannelWindowAdjust {
                        recipient: 0,
                        bytes: 1,
                    }),
                    1 => hostile.peer.send(&Ignore {
                        data: &i.to_be_bytes(),
                    }),
                    2 => hostile.peer.send(&Debug {
                        always_display: false,
                        message: b"x",
                        language: b"",
                    }),
                    _ => hostile.peer.send(&wire::ChannelRequest {
                        recipient: 0,
                        kind: wire::ChannelRequestKind::Unknown {
                            name: b"x@y",
                            body: b"",
                        },
                        want_reply: i % 2 == 0,
                    }),
                }
            }
            hostile.exchange();
            assert!(!hostile.connection.is_closed());
            // It wakes up.
            loop {
                let mut any = false;
                while hostile.connection.next_event().is_some() {
                    any = true;
                }
                hostile.exchange();
                if !any {
                    break;
                }
            }
            let failures = hostile.peer.drain();
            let expected = if kind == 3 { 5_000 } else { 0 };
            assert_eq!(failures.len(), expected);
            hostile.holds_events = false;
            hostile.send(&wire::ChannelData {
                recipient: 0,
                data: b"well?",
            });
            assert_eq!(hostile.ended, None);
            let channel = hostile.channel.unwrap();
            assert_eq!(read_all(&mut hostile.connection, channel).0, b"well?");
        }
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// 5 (golang/go#79564, #81316): replies to nothing: a few are dropped, many end it.
#[test]
fn s8_05_unsolicited_replies() {
    fn check<E: Victim>(mode: Mode) {
        for reply in [
            &[number::REQUEST_SUCCESS][..],
            &[number::REQUEST_SUCCESS, 1, 2, 3],
            &[number::REQUEST_FAILURE],
            &[number::CHANNEL_SUCCESS, 0, 0, 0, 0],
            &[number::CHANNEL_FAILURE, 0, 0, 0, 0],
        ] {
            let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
            hostile.events.clear();
            for _ in 0..100 {
                hostile.send_payload(reply);
            }
            hostile.assert_unmoved();
            hostile.send_payload(reply);
            hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
            let fault = Disconnected::Error(PeerMisbehaved::UnsolicitedReplies.into());
            assert_eq!(hostile.ended, Some(fault));
        }
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
        // Before a channel is confirmed there is nothing to reply to on it.
        let mut hostile = Hostile::<ClientConnection>::at(Stage::Authenticated, mode);
        hostile
            .connection
            .open_channel(&ChannelKind::Session)
            .unwrap();
        hostile.exchange();
        hostile.send(&wire::ChannelSuccess { recipient: 0 });
        hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
    });
}

/// 6 (rustfs#2478): the peer's direction ends in every phase, without DISCONNECT.
#[test]
fn s8_06_eof_in_every_phase() {
    fn check<E: Victim>(mode: Mode) {
        for stage in [
            Stage::Start,
            Stage::Identified,
            Stage::KexInit,
            Stage::BeforeNewKeys,
            Stage::NewKeys,
            Stage::Service,
            Stage::Authenticated,
            Stage::Channel,
        ] {
            for torn in [false, true] {
                let mut hostile = Hostile::<E>::at(stage, mode);
                if torn {
                    hostile.peer.push_bytes(b"S");
                }
                hostile.eof();
                assert_eq!(hostile.ended, Some(Disconnected::Eof), "{stage:?} {torn}");
                hostile.assert_closed_silently();
            }
        }
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// 6: data that was received before the end can be read after it.
#[test]
fn s8_06_data_outlives_the_connection() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let (at_client, at_server) = c.open();
        c.pair
            .server
            .write(at_server, DataStream::Data, b"last words")
            .unwrap();
        c.run();
        c.pair.cut();
        c.run();
        assert_eq!(c.pair.client_end(), Some(&Disconnected::Eof));
        assert_eq!(read_all(&mut c.pair.client, at_client).0, b"last words");
        c.run();
    });
}

/// 7 (libssh2#2110, cbssh#231): keys change while a packet is half written, and by both at once.
/// Keys are kept until then: there would be no packet to cut.
#[test]
fn s8_07_rekey_within_a_packet() {
    for_each_chunking(|mode| {
        for cut in [1, 5, 100, 5_000] {
            let mut c = Connected::new(mode);
            let (at_client, at_server) = c.open();
            c.pair
                .client
                .write(at_client, DataStream::Data, &[1; 10_000])
                .unwrap();
            c.pair
                .server
                .write(at_server, DataStream::Data, &[2; 10_000])
                .unwrap();
            let now = c.pair.now;
            let mut up = BytesMut::new();
            let mut down = BytesMut::new();
            let _ = c.pair.client.poll_transmit(now, &mut up);
            let _ = c.pair.server.poll_transmit(now, &mut down);
            c.pair.to_server.push(now, up.split_to(cut));
            c.pair.to_client.push(now, down.split_to(cut));
            // Only what is there is delivered; the rest of the packet waits in the "socket".
            let piece = c.pair.to_server.pull(now).unwrap();
            c.pair.server.handle_input(now, piece);
            let piece = c.pair.to_client.pull(now).unwrap();
            c.pair.client.handle_input(now, piece);
            c.pair.client.rekey().unwrap();
            c.pair.server.rekey().unwrap();
            c.pair
                .client
                .write(at_client, DataStream::Data, &[3; 10_000])
                .unwrap();
            c.pair.to_server.push(now, up);
            c.pair.to_client.push(now, down);
            c.run();
            let read = read_all(&mut c.pair.server, at_server).0;
            assert_eq!(read, [[1; 10_000], [3; 10_000]].concat());
            assert_eq!(read_all(&mut c.pair.client, at_client).0, [2; 10_000]);
            take!(c.client.events, ClientEvent::Shared(Event::KeysChanged(_)) => ());
            take!(c.server.events, ServerEvent::Shared(Event::KeysChanged(_)) => ());
            assert_eq!((c.pair.client_end(), c.pair.server_end()), (None, None));
        }
    });
}

/// 8 (libssh2#2110, #1945): output taken in pieces of 1 KiB, with keys changing.
#[test]
fn s8_08_output_in_small_pieces() {
    for_each_mode(|mode| {
        let size = mode.bulk(4 << 20);
        let mut pair = Pair::builder(mode)
            .limits(|limits| {
                limits.rekey_bytes = size as u64 / 4;
                limits.peer_rekeys = u32::MAX;
            })
            .build();
        let mut client = ClientApp::new([Job::new(&format!("source {size}"))]);
        let mut server = ServerApp::new();
        let now = pair.now;
        let mut sockets = [BytesMut::new(), BytesMut::new()];
        let mut idle = 0;
        while idle < 2 {
            while let Some(event) = pair.client.poll_event() {
                client.on_event(&mut pair.client, event, now);
            }
            while let Some(event) = pair.server.poll_event() {
                server.on_event(&mut pair.server, event, now);
            }
            // A socket that takes 1 KiB at a time, and is asked for more only when it is empty.
            let [up, down] = &mut sockets;
            if up.is_empty() {
                let _ = pair.client.poll_transmit(now, up);
            }
            if down.is_empty() {
                let _ = pair.server.poll_transmit(now, down);
            }
            idle = if up.is_empty() && down.is_empty() {
                idle + 1
            } else {
                0
            };
            pair.to_server.push(now, up.split_to(up.len().min(1 << 10)));
            while let Some(piece) = pair.to_server.pull(now) {
                pair.server.handle_input(now, piece);
            }
            let piece = down.split_to(down.len().min(1 << 10));
            pair.to_client.push(now, piece);
            while let Some(piece) = pair.to_client.pull(now) {
                pair.client.handle_input(now, piece);
            }
        }
        let received = &client.results[0].stdout;
        assert_eq!(received.len(), size);
        assert!(
            received
                .iter()
                .zip(0..)
                .all(|(b, at)| *b == ssh_tests::app::pattern_byte(at))
        );
        assert!(client.results[0].closed && client.exchanges.len() > 2);
    });
}

/// 9 (golang/go#32990): both speak first, over a pipe without a buffer.
#[test]
fn s8_09_nobody_waits_to_hear_first() {
    for_each_mode(|mode| {
        let mut pair = Pair::new(mode);
        let now = pair.now;
        assert!(pair.client.wants_write() && pair.server.wants_write());
        assert!(pair.client.wants_read() && pair.server.wants_read());
        // A rendezvous: a byte passes only while the other side reads, though its own are unsent.
        let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
        let _ = pair.client.poll_transmit(now, &mut up);
        let _ = pair.server.poll_transmit(now, &mut down);
        while !up.is_empty() || !down.is_empty() {
            for byte in 0..2 {
                let (from, to_server) = if byte == 0 {
                    (&mut up, true)
                } else {
                    (&mut down, false)
                };
                if from.is_empty() {
                    continue;
                }
                let piece = from.split_to(1);
                if to_server {
                    assert!(pair.server.wants_read());
                    pair.server.handle_input(now, piece);
                    assert!(!matches!(
                        pair.server.poll_event(),
                        Some(ServerEvent::Shared(Event::Disconnected(_)))
                    ));
                } else {
                    assert!(pair.client.wants_read());
                    pair.client.handle_input(now, piece);
                    assert!(!matches!(
                        pair.client.poll_event(),
                        Some(ClientEvent::Shared(Event::Disconnected(_)))
                    ));
                }
            }
        }
        pair.run(&mut ClientApp::new([]), &mut ServerApp::new());
        assert!(pair.client.authenticated().is_some());
    });
}

/// 10 (libssh2#2515, asyncssh#45): the end of a command in every order that servers send.
#[test]
fn s8_10_exit_in_every_order() {
    let status = ssh_tests::raw::payload_of(&wire::ChannelRequest {
        recipient: 0,
        kind: wire::ChannelRequestKind::ExitStatus(9),
        want_reply: false,
    });
    let signal = ssh_tests::raw::payload_of(&wire::ChannelRequest {
        recipient: 0,
        kind: wire::ChannelRequestKind::ExitSignal(wire::ExitSignalReq {
            signal: b"TERM",
            core_dumped: false,
            message: b"\x1b[2J",
            language: b"",
        }),
        want_reply: false,
    });
    let eof = [number::CHANNEL_EOF, 0, 0, 0, 0].to_vec();
    let close = [number::CHANNEL_CLOSE, 0, 0, 0, 0].to_vec();
    let orders: [(&str, Vec<&Vec<u8>>); 7] = [
        ("status eof close", vec![&status, &eof, &close]),
        ("eof status close", vec![&eof, &status, &close]),
        ("status close", vec![&status, &close]),
        ("eof close", vec![&eof, &close]),
        ("close", vec![&close]),
        ("eof signal close", vec![&eof, &signal, &close]),
        ("status status close", vec![&status, &status, &close]),
    ];
    for_each_chunking(|mode| {
        for (name, order) in &orders {
            let mut hostile = Hostile::<ClientConnection>::at(Stage::Channel, mode);
            hostile.events.clear();
            hostile.send(&wire::ChannelData {
                recipient: 0,
                data: b"output",
            });
            for payload in order {
                hostile.send_payload(payload);
            }
            let channel = hostile.channel.unwrap();
            assert_eq!(
                read_all(&mut hostile.connection, channel).0,
                b"output",
                "{name}"
            );
            hostile.exchange();
            let seen = |what: &str| {
                let text = |event: &&ClientEvent| format!("{event:?}").contains(what);
                hostile.events.iter().filter(text).count()
            };
            assert_eq!(
                seen("ExitStatus"),
                usize::from(name.contains("status")),
                "{name}"
            );
            assert_eq!(
                seen("ExitSignal {"),
                usize::from(name.contains("signal")),
                "{name}"
            );
            assert_eq!(seen("Eof"), usize::from(name.contains("eof")), "{name}");
            assert_eq!(seen("ChannelClosed"), 1, "{name}");
            hostile.expect_skipping_extras(number::CHANNEL_CLOSE);
            assert_eq!(hostile.ended, None);
        }
    });
}

/// 11 (bssh#216, russh#118): CLOSE from us and never from them, from them alone, from both at once.
#[test]
fn s8_11_close_unanswered() {
    fn check<E: Victim>(mode: Mode) {
        // Ours is never answered: the channel is unusable, everything else is not.
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        let channel = hostile.channel.unwrap();
        hostile.events.clear();
        hostile.connection.close_channel(channel).unwrap();
        hostile.exchange();
        hostile.expect_skipping_extras(number::CHANNEL_CLOSE);
        for _ in 0..3 {
            // Data that was under way is dropped, and costs nothing.
            hostile.send(&wire::ChannelData {
                recipient: 0,
                data: b"crossing",
            });
        }
        let late = hostile.connection.write(channel, DataStream::Data, b"x");
        assert_eq!(late, Err(ssh_proto::ChannelError::Closed));
        hostile.assert_unmoved();
        hostile.rekey();
        assert_eq!(hostile.ended, None);
        // Theirs, at last: freed, and its number is forgotten.
        hostile.send(&wire::ChannelClose { recipient: 0 });
        assert!(
            hostile
                .events
                .iter()
                .any(|e| format!("{e:?}").contains("ChannelClosed"))
        );
        hostile.send(&wire::ChannelData {
            recipient: 0,
            data: b"later still",
        });
        hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);

        // Theirs alone is answered at once.
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        hostile.send(&wire::ChannelClose { recipient: 0 });
        hostile.expect_skipping_extras(number::CHANNEL_CLOSE);
        assert_eq!(hostile.ended, None);

        // Both at once: one each.
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        hostile
            .connection
            .close_channel(hostile.channel.unwrap())
            .unwrap();
        hostile.send(&wire::ChannelClose { recipient: 0 });
        let packets = hostile.peer.drain();
        let closes = packets
            .iter()
            .filter(|p| p.number() == number::CHANNEL_CLOSE);
        assert_eq!(closes.count(), 1);
        assert_eq!(hostile.ended, None);
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// 18 (russh#316, claworc#213): keepalives of both sides, mid-rekey, and with a silent peer.
#[test]
fn s8_18_keepalives() {
    for_each_mode(|mode| {
        let mut c = Connected::of(Pair::builder(mode).limits(|limits| {
            limits.keepalive_interval = Some(Duration::from_secs(15));
            limits.rekey_age = Some(Duration::from_secs(61));
        }));
        c.advance(Duration::from_secs(600));
        assert_eq!((c.pair.client_end(), c.pair.server_end()), (None, None));
        take!(c.client.events, ClientEvent::Shared(Event::KeysChanged(_)) => ());
        let replies =
            |event: &ClientEvent| matches!(event, ClientEvent::Shared(Event::GlobalReply { .. }));
        assert!(
            !c.client.events.iter().any(replies),
            "keepalives are the connection's own"
        );
        // Mid-rekey the server hears nothing more: whichever deadline of either is nearer ends it,
        // and the client knows.
        c.pair.client.rekey().unwrap();
        c.pair.to_server.stall(true);
        c.advance(Duration::from_secs(120));
        let ends = [Timer::KeepAlive, Timer::Kex].map(|t| Disconnected::Error(Error::Timeout(t)));
        let (client, server) = (c.pair.client_end(), c.pair.server_end());
        assert!(client.is_some());
        let gave_up = |end: Option<&Disconnected>| end.is_some_and(|end| ends.contains(end));
        assert!(gave_up(client) || gave_up(server), "{client:?} {server:?}");
    });
}
