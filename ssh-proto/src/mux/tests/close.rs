//! EOF and CLOSE: H11, and section 8 items 2, 10 and 11 of the protocol notes.

use super::*;

#[test]
fn h11_a_second_eof_is_ignored() {
    for role in ROLES {
        let (mut side, id) = Side::open(role);
        side.feed(&eof(id)).unwrap();
        assert_eq!(side.event(), Some(MuxEvent::Eof { id }));
        side.feed(&eof(id)).unwrap();
        assert!(side.no_event());
        assert_eq!(side.mux.write(id, DataStream::Data, b"still open"), Ok(10));
    }
}

#[test]
fn h11_data_and_requests_after_their_close_are_fatal() {
    for role in ROLES {
        for place in 0..4 {
            let (mut side, id) = Side::open(role);
            side.feed(&close(id)).unwrap();
            let frames = [
                encode(&close(id)),
                encode(&eof(id)),
                encode(&data(id, b"")),
                encode(&request(id, wire::ChannelRequestKind::ExitStatus(0), false)),
            ];
            assert_eq!(side.feed_payload(frames[place].clone(), false), BAD_STATE);
        }
    }
}

/// An adjust or a reply may cross a CLOSE; whether ours has left is no concern of the peer's.
#[test]
fn h8_h12_adjusts_and_replies_after_their_close_are_dropped() {
    for role in ROLES {
        for answered in [false, true] {
            let (mut side, id) = Side::open(role);
            side.feed(&close(id)).unwrap();
            if answered {
                side.sent_is(&wire::ChannelClose { recipient: 7 });
            }
            side.feed(&adjust(id.index, 1)).unwrap();
            let reply = wire::ChannelSuccess {
                recipient: id.index,
            };
            for _ in 0..crate::limits::MAX_UNSOLICITED_REPLIES {
                side.feed(&reply).unwrap();
            }
            assert!(side.feed(&reply).is_err());
        }
    }
}

/// A peer that never opens its window again does not keep a channel.
#[test]
fn a_second_close_gives_up_what_is_queued() {
    let (mut client, ours, ..) = pair(&Limits::default());
    while client
        .mux
        .write(ours, DataStream::Data, &[0; 1 << 16])
        .unwrap()
        > 0
    {
        client.sent();
    }
    client.mux.close(ours).unwrap();
    assert!(client.sent().is_empty());
    client.mux.close(ours).unwrap();
    assert_eq!(client.sent().len(), 1);
}

#[test]
fn h11_close_is_answered_and_frees_when_both_are_through() {
    for role in ROLES {
        let (mut side, id) = Side::open(role);
        side.feed(&close(id)).unwrap();
        assert!(side.no_event());
        assert_eq!(side.mux.table.len(), 1);
        side.sent_is(&wire::ChannelClose { recipient: 7 });
        assert_eq!(side.event(), Some(MuxEvent::Closed { id }));
        assert_eq!(side.mux.table.len(), 0);
        assert_eq!(
            side.mux.write(id, DataStream::Data, b"x"),
            Err(ChannelError::Closed)
        );
        assert_eq!(side.mux.close(id), Err(ChannelError::Closed));
    }
}

#[test]
fn h11_closes_that_cross_free_the_channel_once() {
    let (mut client, ours, mut server, theirs) = pair(&Limits::default());
    client.mux.close(ours).unwrap();
    server.mux.close(theirs).unwrap();
    let (from_client, from_server) = (client.sent(), server.sent());
    assert_eq!((from_client.len(), from_server.len()), (1, 1));
    client.feed_payload(from_server[0].clone(), false).unwrap();
    server.feed_payload(from_client[0].clone(), false).unwrap();
    assert_eq!(client.event(), Some(MuxEvent::Closed { id: ours }));
    assert_eq!(server.event(), Some(MuxEvent::Closed { id: theirs }));
    assert!(client.sent().is_empty() && server.sent().is_empty());
}

#[test]
fn h11_an_id_is_not_reused_before_both_have_closed() {
    let (mut side, id) = Side::open(Role::Client);
    side.mux.close(id).unwrap();
    assert_eq!(side.sent_numbers(), [number::CHANNEL_CLOSE]);
    let next = side.mux.open(&ChannelKind::Session, &mut side.out).unwrap();
    assert_ne!(next.index, id.index);
    side.feed(&data(id, b"late")).unwrap();
    side.feed(&close(id)).unwrap();
    assert_eq!(side.event(), Some(MuxEvent::Closed { id }));
    let reused = side.mux.open(&ChannelKind::Session, &mut side.out).unwrap();
    assert_eq!(reused.index, id.index);
    assert_ne!(reused, id);
    assert_eq!(side.mux.read(id), Err(ChannelError::Closed));
}

#[test]
fn unsent_data_is_dropped_once_the_peer_has_closed() {
    let (mut side, id) = Side::open_with(Role::Server, &Limits::default(), 0, 100);
    assert_eq!(
        side.mux.write(id, DataStream::Data, &[0; 1 << 20]),
        Ok(256 << 10)
    );
    side.mux
        .request(id, &ChannelRequest::ExitStatus(0), false, &mut side.out)
        .unwrap();
    side.mux.finish(id).unwrap();
    side.mux.close(id).unwrap();
    assert!(side.sent().is_empty());
    side.feed(&close(id)).unwrap();
    side.sent_is(&wire::ChannelClose { recipient: 7 });
    assert_eq!(side.event(), Some(MuxEvent::Closed { id }));
}

#[test]
fn a_writer_that_waits_is_woken_when_the_peer_closes() {
    let (mut side, id) = Side::open_with(Role::Server, &Limits::default(), 0, 100);
    side.feed(&data(id, b"unread")).unwrap();
    assert_eq!(side.event(), Some(MuxEvent::Readable { id }));
    side.mux.write(id, DataStream::Data, &[0; 1 << 20]).unwrap();
    side.feed(&close(id)).unwrap();
    assert_eq!(side.event(), Some(MuxEvent::Writable { id }));
    assert_eq!(
        side.mux.write(id, DataStream::Data, b"x"),
        Err(ChannelError::Closed)
    );
    assert_eq!(side.mux.finish(id), Err(ChannelError::Closed));
    assert_eq!(
        side.mux
            .request(id, &ChannelRequest::Eow, false, &mut side.out),
        Err(ChannelError::Closed)
    );
    side.sent_is(&wire::ChannelClose { recipient: 7 });
    assert!(side.no_event(), "there is still something to read");
    assert_eq!(side.mux.read(id).unwrap().unwrap().bytes, "unread");
    assert_eq!(side.event(), Some(MuxEvent::Closed { id }));
}

#[test]
fn our_close_discards_what_is_unread_with_credit() {
    for role in ROLES {
        let limits = Limits {
            window_size: 1000,
            ..Limits::default()
        };
        let (mut side, id) = Side::open_with(role, &limits, 0, 100);
        side.feed(&data(id, &[0; 600])).unwrap();
        // The peer's window is closed: our CLOSE has to wait behind the data, and credit must flow.
        side.mux.write(id, DataStream::Data, b"queued").unwrap();
        side.mux.close(id).unwrap();
        assert_eq!(side.mux.unread_bytes(), 0);
        side.sent_is(&adjust(7, 600));
        side.feed(&data(id, &[0; 1000])).unwrap();
        side.sent_is(&adjust(7, 1000));
        assert_eq!(side.mux.read(id), Err(ChannelError::Closed));
        side.feed(&adjust(id.index, 6)).unwrap();
        assert_eq!(
            side.sent_numbers(),
            [number::CHANNEL_DATA, number::CHANNEL_CLOSE]
        );
    }
}

#[test]
fn data_exit_eof_and_close_leave_in_order_and_other_requests_at_once() {
    let (mut side, id) = Side::open_with(Role::Server, &Limits::default(), 2, 100);
    side.mux.write(id, DataStream::Data, b"data").unwrap();
    let out = &mut side.out;
    let signal = ExitSignal {
        signal: "TERM".into(),
        core_dumped: false,
        message: Bytes::new(),
    };
    side.mux.finish(id).unwrap();
    assert_eq!(
        side.mux.write(id, DataStream::Data, b"x"),
        Err(ChannelError::Finished)
    );
    assert_eq!(side.mux.writable_bytes(id), Err(ChannelError::Finished));
    assert_eq!(side.mux.finish(id), Ok(()), "again");
    side.mux
        .request(id, &ChannelRequest::ExitSignal(signal), true, out)
        .unwrap();
    assert_eq!(
        side.mux
            .request(id, &ChannelRequest::ExitStatus(0), false, out),
        Err(ChannelError::Finished)
    );
    side.mux
        .request(id, &ChannelRequest::XonXoff(true), false, out)
        .unwrap();
    side.mux.close(id).unwrap();
    assert_eq!(
        side.sent_numbers(),
        [number::CHANNEL_REQUEST, number::CHANNEL_DATA]
    );
    side.feed(&adjust(id.index, 2)).unwrap();
    assert_eq!(
        side.sent_numbers(),
        [
            number::CHANNEL_DATA,
            number::CHANNEL_EOF,
            number::CHANNEL_REQUEST,
            number::CHANNEL_CLOSE
        ]
    );
}

/// Section 8, item 2: a channel that nobody reads holds up no other, and memory stays at its window.
#[test]
fn a_channel_that_is_not_read_does_not_hold_up_another() {
    let (mut client, stuck, mut server, stuck_there) = pair(&Limits::default());
    let moving = client
        .mux
        .open(&ChannelKind::Session, &mut client.out)
        .unwrap();
    pump(&mut client, &mut server);
    let moving_there = server.open_requested();
    server
        .mux
        .accept_open(moving_there, &mut server.out)
        .unwrap();
    let mut read = 0;
    while read < 8 << 20 {
        client
            .mux
            .write(stuck, DataStream::Data, &[0; 64 << 10])
            .unwrap();
        // Not confirmed in the first round.
        let _ = client.mux.write(moving, DataStream::Data, &[0; 64 << 10]);
        pump(&mut client, &mut server);
        read += server.read_all(moving_there).len();
        assert!(server.mux.unread_bytes() <= 2 << 20);
    }
    assert_eq!(server.mux.readable_bytes(stuck_there), Ok(2 << 20));
    assert_eq!(client.mux.writable_bytes(stuck), Ok(0));
}

/// Our CLOSE may have to wait behind data; nothing is asked about a channel that is given up.
#[test]
fn requests_on_a_channel_that_the_application_has_closed_fail_unasked() {
    let (mut side, id) = Side::open_with(Role::Server, &Limits::default(), 0, 100);
    side.mux.write(id, DataStream::Data, b"queued").unwrap();
    side.mux.close(id).unwrap();
    let shell = || wire::ChannelRequestKind::Shell(());
    side.feed(&request(id, shell(), true)).unwrap();
    side.sent_is(&wire::ChannelFailure { recipient: 7 });
    side.feed(&request(id, shell(), false)).unwrap();
    assert!(side.no_event() && side.sent().is_empty());
}
