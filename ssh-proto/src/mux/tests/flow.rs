//! Data and windows: H6 to H10.

use super::*;

const PACKET: u32 = 100;

/// Limits with a window of ten packets of a hundred bytes.
fn small() -> Limits {
    Limits {
        window_size: 10 * PACKET,
        max_window_size: 0,
        max_packet_size: PACKET,
        channel_send_buffer: 1000,
        ..Limits::default()
    }
}

fn lengths(sent: &[Bytes]) -> Vec<usize> {
    sent.iter()
        .map(|payload| wire::ChannelData::from_payload(payload).unwrap().data.len())
        .collect()
}

#[test]
fn h6_data_for_no_channel_is_fatal() {
    for role in ROLES {
        let (mut side, _) = Side::open(role);
        for index in [1, u32::MAX] {
            let nobody = ChannelId {
                index,
                generation: 0,
            };
            assert_eq!(side.feed(&data(nobody, b"x")), BAD_STATE);
            assert_eq!(side.feed(&stderr(nobody, 1, b"x")), BAD_STATE);
            assert_eq!(side.feed(&eof(nobody)), BAD_STATE);
            assert_eq!(side.feed(&close(nobody)), BAD_STATE);
        }
    }
}

#[test]
fn h6_data_after_eof_or_close_is_fatal() {
    for role in ROLES {
        let (mut side, id) = Side::open(role);
        side.feed(&eof(id)).unwrap();
        assert_eq!(side.feed(&data(id, b"x")), BAD_STATE);
        let (mut side, id) = Side::open(role);
        side.feed(&close(id)).unwrap();
        assert_eq!(side.feed(&data(id, b"x")), BAD_STATE);
    }
}

#[test]
fn h6_data_after_our_close_is_dropped_but_counted() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &small(), 10, PACKET);
        side.mux.close(id).unwrap();
        assert_eq!(side.sent_numbers(), [number::CHANNEL_CLOSE]);
        for _ in 0..10 {
            side.feed(&data(id, &[0; 100])).unwrap();
        }
        assert!(side.no_event());
        assert!(side.sent().is_empty(), "nothing follows a CLOSE");
        assert_eq!(side.mux.unread_bytes(), 0);
        assert_eq!(side.feed(&data(id, b"x")), WINDOW_EXCEEDED);
    }
}

#[test]
fn h7_the_window_and_the_packet_are_exact() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &small(), 10, PACKET);
        assert_eq!(side.feed(&data(id, &[0; 101])), WINDOW_EXCEEDED);
        let (mut side, id) = Side::open_with(role, &small(), 10, PACKET);
        for _ in 0..10 {
            match role {
                Role::Client => side.feed(&stderr(id, 1, &[0; 100])).unwrap(),
                Role::Server => side.feed(&data(id, &[0; 100])).unwrap(),
            }
        }
        assert_eq!(side.feed(&data(id, b"x")), WINDOW_EXCEEDED);
        assert_eq!(side.mux.unread_bytes(), 1000);
    }
}

#[test]
fn h7_empty_data_is_nothing() {
    for role in ROLES {
        let (mut side, id) = Side::open(role);
        for copy in [true, false] {
            for _ in 0..1000 {
                side.feed_payload(encode(&data(id, b"")), copy).unwrap();
                side.feed_payload(encode(&stderr(id, 1, b"")), copy)
                    .unwrap();
            }
        }
        assert!(side.no_event() && side.sent().is_empty());
        assert_eq!(side.mux.read(id), Ok(None));
        assert!(!side.mux.take_user_data_seen());
    }
}

#[test]
fn h8_a_window_may_grow_to_its_end_and_no_further() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &Limits::default(), 1, PACKET);
        side.feed(&adjust(id.index, 0)).unwrap();
        side.feed(&adjust(id.index, u32::MAX - 1)).unwrap();
        assert_eq!(
            side.feed(&adjust(id.index, 1)),
            Err(PeerMisbehaved::WindowOverflow.into())
        );
        side.feed(&adjust(99, 1)).unwrap();
    }
}

#[test]
fn h8_our_adjusts_come_at_half_the_window() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &small(), 10, PACKET);
        let mut credit = 0;
        for packet in 1..=100u32 {
            side.feed(&data(id, &[0; 100])).unwrap();
            assert_eq!(side.read_all(id).len(), 100);
            let sent = side.sent();
            assert_eq!(sent.len(), usize::from(packet % 5 == 0));
            for payload in sent {
                credit += wire::ChannelWindowAdjust::from_payload(&payload)
                    .unwrap()
                    .bytes;
            }
        }
        assert_eq!(credit, 100 * PACKET);
    }
}

#[test]
fn h8_while_much_is_unread_credit_comes_back_by_packets() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &small(), 10, PACKET);
        for _ in 0..10 {
            side.feed(&data(id, &[0; 100])).unwrap();
        }
        assert!(side.sent().is_empty());
        let credits: Vec<_> = (0..10)
            .map(|_| {
                side.mux.read(id).unwrap().unwrap();
                let sent = side.sent();
                sent.first().map_or(0, |payload| {
                    wire::ChannelWindowAdjust::from_payload(payload)
                        .unwrap()
                        .bytes
                })
            })
            .collect();
        assert_eq!(credits, [0, 0, 0, 400, 0, 0, 0, 400, 0, 0]);
    }
}

#[test]
fn h8_a_pending_adjust_gathers_and_ends_with_the_peers_eof() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &small(), 10, PACKET);
        for _ in 0..10 {
            side.feed(&data(id, &[0; 100])).unwrap();
        }
        side.read_all(id);
        assert!(side.mux.wants_transmit());
        side.sent_is(&adjust(7, 1000));
        for _ in 0..10 {
            side.feed(&data(id, &[0; 100])).unwrap();
        }
        side.read_all(id);
        side.feed(&eof(id)).unwrap();
        assert!(!side.mux.wants_transmit());
        assert!(side.sent().is_empty());
    }
}

#[test]
fn h9_a_closed_window_blocks_and_wakes_once() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &small(), 1, 9);
        assert_eq!(side.mux.write(id, DataStream::Data, &[5; 5000]), Ok(1000));
        assert_eq!(side.mux.write(id, DataStream::Data, b"x"), Ok(0));
        assert_eq!(
            side.mux
                .write_bytes(id, DataStream::Data, &mut Bytes::from_static(&[0; 600])),
            Ok(0)
        );
        assert_eq!(side.mux.writable_bytes(id), Ok(0));
        assert_eq!(lengths(&side.sent()), [1]);
        assert!(!side.mux.wants_transmit());
        assert!(side.no_event());
        side.feed(&adjust(id.index, 498)).unwrap();
        assert_eq!(side.sent().len(), 56);
        assert!(side.no_event(), "501 of 1000 are queued");
        side.feed(&adjust(id.index, 300)).unwrap();
        side.sent();
        assert_eq!(side.event(), Some(MuxEvent::Writable { id }));
        side.feed(&adjust(id.index, 300)).unwrap();
        assert_eq!(lengths(&side.sent()).iter().sum::<usize>(), 201);
        assert!(side.no_event());
        assert_eq!(side.mux.writable_bytes(id), Ok(1000));
    }
}

#[test]
fn h9_one_byte_windows_make_one_byte_packets() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &small(), 0, u32::MAX);
        side.mux.write(id, DataStream::Data, b"abc").unwrap();
        assert!(!side.mux.wants_transmit());
        let mut all = Vec::new();
        for _ in 0..3 {
            side.feed(&adjust(id.index, 1)).unwrap();
            let sent = side.sent();
            assert_eq!(lengths(&sent), [1]);
            all.push(sent[0][9]);
        }
        assert_eq!(all, b"abc");
    }
}

#[test]
fn h10_a_client_reads_stderr_and_discards_other_types_with_credit() {
    let (mut side, id) = Side::open_with(Role::Client, &small(), 10, PACKET);
    for data_type in [0, 2, u32::MAX, 0, 2] {
        side.feed(&stderr(id, data_type, &[0; 100])).unwrap();
    }
    assert!(side.no_event());
    side.sent_is(&adjust(7, 500));
    side.feed(&stderr(id, 1, b"e")).unwrap();
    assert_eq!(side.event(), Some(MuxEvent::Readable { id }));
    assert_eq!(
        side.mux.read(id).unwrap().unwrap().stream,
        DataStream::STDERR
    );
    side.feed(&eof(id)).unwrap();
    assert_eq!(side.feed(&stderr(id, 1, b"e")), BAD_STATE);
    assert_eq!(side.feed(&stderr(id, 2, b"e")), BAD_STATE);
}

#[test]
fn h10_a_server_discards_all_extended_data_with_credit() {
    let (mut side, id) = Side::open_with(Role::Server, &small(), 10, PACKET);
    for data_type in [0, 1, 2, u32::MAX, 1] {
        side.feed(&stderr(id, data_type, &[0; 100])).unwrap();
    }
    assert!(side.no_event());
    side.sent_is(&adjust(7, 500));
}

#[test]
fn h10_a_client_sends_no_extended_data() {
    let (mut side, id) = Side::open(Role::Client);
    assert_eq!(
        side.mux.write(id, DataStream::STDERR, b"x"),
        Err(ChannelError::WrongRole)
    );
    let (mut side, id) = Side::open(Role::Server);
    assert_eq!(side.mux.write(id, DataStream::STDERR, b"x"), Ok(1));
    side.sent_is(&wire::ChannelExtendedData {
        recipient: 7,
        data_type: 1,
        data: b"x",
    });
}

#[test]
fn readable_is_an_edge() {
    let (mut side, id) = Side::open(Role::Client);
    side.feed(&data(id, b"a")).unwrap();
    side.feed(&data(id, b"b")).unwrap();
    assert_eq!(side.event(), Some(MuxEvent::Readable { id }));
    assert!(side.no_event());
    side.mux.read(id).unwrap().unwrap();
    side.feed(&data(id, b"c")).unwrap();
    assert!(side.no_event(), "there was still something to read");
    assert_eq!(side.read_all(id), b"bc");
    side.feed(&data(id, b"d")).unwrap();
    assert_eq!(side.event(), Some(MuxEvent::Readable { id }));
}

#[test]
fn data_is_sliced_or_copied_as_asked() {
    let (mut side, id) = Side::open(Role::Client);
    let packet = encode(&data(id, b"sliced"));
    side.feed_payload(packet.clone(), false).unwrap();
    let chunk = side.mux.read(id).unwrap().unwrap();
    assert_eq!(chunk.bytes.as_ptr(), packet[9..].as_ptr());

    side.feed_payload(encode(&data(id, b"one ")), true).unwrap();
    side.feed_payload(encode(&data(id, b"two")), true).unwrap();
    side.feed_payload(encode(&stderr(id, 1, b"other stream")), true)
        .unwrap();
    side.feed_payload(packet, false).unwrap();
    side.feed_payload(encode(&data(id, b"three")), true)
        .unwrap();
    let chunks: Vec<_> = core::iter::from_fn(|| side.mux.read(id).unwrap())
        .map(|chunk| chunk.bytes)
        .collect();
    assert_eq!(
        chunks,
        [&b"one two"[..], b"other stream", b"sliced", b"three"]
    );
    assert_eq!(side.mux.unread_bytes(), 0);
}

#[test]
fn n7_single_bytes_are_gathered_whatever_their_streams() {
    for copy in [true, false] {
        let (mut side, id) = Side::open(Role::Client);
        let (out, err) = (encode(&data(id, b"o")), encode(&stderr(id, 1, b"e")));
        for _ in 0..50_000 {
            side.feed_payload(out.clone(), copy).unwrap();
            side.feed_payload(err.clone(), copy).unwrap();
        }
        let chunks: Vec<_> = core::iter::from_fn(|| side.mux.read(id).unwrap()).collect();
        assert!(chunks.len() <= 1024 + 4, "{}", chunks.len());
        for (stream, byte) in [(DataStream::Data, b'o'), (DataStream::STDERR, b'e')] {
            let of_stream = chunks.iter().filter(|chunk| chunk.stream == stream);
            let bytes: Vec<_> = of_stream.flat_map(|chunk| chunk.bytes.to_vec()).collect();
            assert_eq!(bytes, [byte; 50_000]);
        }
    }
}

#[test]
fn written_pieces_arrive_whole_and_in_order() {
    let limits = Limits {
        channel_send_buffer: 200_000,
        ..Limits::default()
    };
    let (mut side, id) = Side::open_with(Role::Server, &limits, u32::MAX, 32 << 10);
    let mut expected = Vec::new();
    let mut byte = 0u8;
    let mut got = Vec::new();
    for round in 0..200usize {
        for size in [1, 511, 512, 700 * round, 3] {
            byte = byte.wrapping_add(1);
            let piece = vec![byte; size];
            let taken = if round % 3 == 0 {
                let mut bytes = Bytes::from(piece.clone());
                let taken = side
                    .mux
                    .write_bytes(id, DataStream::Data, &mut bytes)
                    .unwrap();
                assert_eq!(bytes.len(), size - taken);
                taken
            } else {
                side.mux.write(id, DataStream::Data, &piece).unwrap()
            };
            expected.extend_from_slice(&piece[..taken]);
        }
        for _ in 0..round % 7 {
            if let Some(payload) = side.send_one() {
                got.extend_from_slice(&payload[9..]);
            }
        }
    }
    got.extend(side.sent().iter().flat_map(|payload| payload[9..].to_vec()));
    assert!(got == expected);
    assert!(got.len() > 1_000_000);
}

#[test]
fn streams_keep_their_order_behind_each_other() {
    let (mut side, id) = Side::open(Role::Server);
    side.mux.write(id, DataStream::Data, b"1").unwrap();
    side.mux.write(id, DataStream::STDERR, b"2").unwrap();
    side.mux.write(id, DataStream::Data, b"3").unwrap();
    side.mux.write(id, DataStream::Data, b"4").unwrap();
    let (recipient, data_type) = (7, 1);
    assert_eq!(
        side.sent(),
        [
            encode(&wire::ChannelData {
                recipient,
                data: b"1"
            }),
            encode(&wire::ChannelExtendedData {
                recipient,
                data_type,
                data: b"2"
            }),
            encode(&wire::ChannelData {
                recipient,
                data: b"34"
            }),
        ]
    );
}

#[test]
fn channels_take_turns_of_one_packet() {
    let mut server = Side::server();
    let ids: Vec<_> = (0..3)
        .map(|number| {
            server
                .feed(&open_message(session(), number, 1 << 20, PACKET))
                .unwrap();
            let id = server.open_requested();
            server.mux.accept_open(id, &mut server.out).unwrap();
            id
        })
        .collect();
    server.sent();
    for (id, packets) in ids.iter().zip([3, 1, 2]) {
        server
            .mux
            .write(*id, DataStream::Data, &vec![0; packets * 100])
            .unwrap();
    }
    let order: Vec<_> = server
        .sent()
        .iter()
        .map(|payload| wire::ChannelData::from_payload(payload).unwrap().recipient)
        .collect();
    assert_eq!(order, [0, 1, 2, 0, 2, 0]);
}

#[test]
fn a_failing_emit_is_passed_on_and_sends_nothing() {
    let (mut side, id) = Side::open(Role::Client);
    side.mux.write(id, DataStream::Data, b"kept").unwrap();
    let result = side.mux.poll_transmit(&mut |_| Err(Error::Internal("no")));
    assert_eq!(result, Err(Error::Internal("no")));
    side.sent_is(&wire::ChannelData {
        recipient: 7,
        data: b"kept",
    });
}
