//! Channel data end to end: both streams, windows, back-pressure, EOF and CLOSE in every order.

use bytes::Bytes;
use ssh_proto::error::{DisconnectReason, PeerMisbehaved};
use ssh_proto::wire::connection::{ChannelData, ChannelWindowAdjust};
use ssh_proto::wire::number;
use ssh_proto::{
    ChannelError, ClientConnection, ClientEvent, Connection, DataStream, Disconnected, Event,
    ExtendedData, ServerConnection, ServerEvent,
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
        for mode in Mode::ALL {
            let size = mode.bulk(1 << 20) / 2;
            let mut pair = Pair::builder(mode)
                .limits(|limits| {
                    limits.window_size = window;
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
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// An application that does not read stops the peer's, and nothing else; reading starts it again.
#[test]
fn back_pressure() {
    for_each_mode(|mode| {
        let (window, buffer) = (10_000, 3_000);
        let mut c = Connected::of(Pair::builder(mode).limits(|limits| {
            limits.window_size = window;
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

/// H10: other types than standard error pass where both sides want it, and only there; what is not
/// wanted is credited.
#[test]
fn h10_extended_data_of_every_type() {
    const TYPES: [u32; 4] = [0, 1, 2, u32::MAX];
    for_each_mode(|mode| {
        for all in [false, true] {
            let extended = match all {
                true => ExtendedData::All,
                false => ExtendedData::Stderr,
            };
            let mut c = Connected::of(
                Pair::builder(mode)
                    .client(|b| b.extended_data(extended))
                    .server(|b| b.extended_data(extended))
                    .limits(|limits| {
                        limits.window_size = 400;
                        limits.max_packet_size = 100;
                    }),
            );
            let (at_client, at_server) = c.open();
            for data_type in TYPES {
                let stream = DataStream::Extended(data_type);
                // More than a window, so that credit must come back.
                let taken = c.pair.server.write(at_server, stream, &[9; 1000]);
                assert_eq!(taken, Ok(1000));
                let mut received = 0;
                for _ in 0..10 {
                    c.run();
                    while let Ok(Some(chunk)) = c.pair.client.read(at_client) {
                        assert_eq!(chunk.stream, stream);
                        received += chunk.bytes.len();
                    }
                }
                let delivered = all || stream == DataStream::STDERR;
                assert_eq!(received, if delivered { 1000 } else { 0 });

                let sent = c.pair.client.write(at_client, stream, b"from a client");
                match all {
                    false => assert_eq!(sent, Err(ChannelError::WrongRole)),
                    true => {
                        c.run();
                        let chunk = c.pair.server.read(at_server).unwrap().unwrap();
                        assert_eq!(
                            (chunk.stream, &chunk.bytes[..]),
                            (stream, &b"from a client"[..])
                        );
                    }
                }
            }
            let done = DataStream::Data;
            c.pair.server.write(at_server, done, b"done").unwrap();
            c.run();
            assert_eq!(read_all(&mut c.pair.client, at_client).0, b"done");
        }
    });
}

type Frame<E> = dyn Fn(&mut Hostile<E>, u32);

/// H6, H11: frames for no channel, behind EOF and behind CLOSE, from a peer of either role.
#[test]
fn h11_frames_out_of_place() {
    fn check<E: Victim>(mode: Mode) {
        use ssh_proto::wire::connection::{ChannelClose, ChannelEof, ChannelExtendedData};
        let data = |h: &mut Hostile<E>, recipient| {
            h.send(&ChannelData {
                recipient,
                data: b"x",
            });
        };
        let extended = |h: &mut Hostile<E>, recipient| {
            h.send(&ChannelExtendedData {
                recipient,
                data_type: 1,
                data: b"x",
            });
        };
        let eof = |h: &mut Hostile<E>, recipient| h.send(&ChannelEof { recipient });
        let close = |h: &mut Hostile<E>, recipient| h.send(&ChannelClose { recipient });
        let frames: [&Frame<E>; 4] = [&data, &extended, &eof, &close];
        for (i, frame) in frames.iter().enumerate() {
            for recipient in [1, u32::MAX] {
                let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
                frame(&mut hostile, recipient);
                hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
            }
            let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
            eof(&mut hostile, 0);
            frame(&mut hostile, 0);
            // Data is not; a second EOF and a CLOSE are.
            assert_eq!(hostile.ended.is_some(), i < 2, "{i}");
            let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
            close(&mut hostile, 0);
            frame(&mut hostile, 0);
            hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
            // Behind our own CLOSE everything is the peer's right until its own.
            let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
            let channel = hostile.channel.unwrap();
            hostile.connection.close_channel(channel).unwrap();
            hostile.exchange();
            frame(&mut hostile, 0);
            assert_eq!(hostile.ended, None);
        }
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}
