//! Windows that grow, or are set, while channels are open: H7, H8, N5.

use super::*;

const PACKET: u32 = 100;

/// A window of ten packets that may grow to eighty.
fn growing() -> Limits {
    Limits {
        window_size: 10 * PACKET,
        max_window_size: 80 * PACKET,
        max_packet_size: PACKET,
        ..Limits::default()
    }
}

/// Feeds packets, each of which the application reads at once if it keeps up. The credit given.
fn transfer(side: &mut Side, id: ChannelId, packets: u32, keeps_up: bool) -> u32 {
    let mut credit = 0;
    for _ in 0..packets {
        side.feed(&data(id, &[0; PACKET as usize])).unwrap();
        if keeps_up {
            side.read_all(id);
        }
        for payload in side.sent() {
            credit += wire::ChannelWindowAdjust::from_payload(&payload)
                .unwrap()
                .bytes;
        }
    }
    credit
}

/// What the peer may send now, as it knows.
fn window(side: &Side, id: ChannelId) -> u32 {
    side.mux.table.get(id).unwrap().recv.window()
}

/// What it may send once everything is read.
fn size(side: &Side, id: ChannelId) -> u32 {
    side.mux.table.get(id).unwrap().recv.target()
}

#[test]
fn h8_a_window_that_is_used_up_and_read_doubles_up_to_its_bound() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &growing(), 10, PACKET);
        assert_eq!(transfer(&mut side, id, 9, true), 500);
        // The credit for the second half doubles the window.
        assert_eq!(transfer(&mut side, id, 1, true), 500 + 1000);
        assert_eq!(size(&side, id), 2000);
        transfer(&mut side, id, 20, true);
        assert_eq!(size(&side, id), 4000);
        transfer(&mut side, id, 40 + 80 + 160, true);
        assert_eq!(size(&side, id), 8000, "no further than the bound");
        side.events.clear();
        assert_eq!(side.feed(&data(id, &[0; 101])), WINDOW_EXCEEDED);
    }
}

#[test]
fn n5_a_window_that_is_not_read_stays() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &growing(), 10, PACKET);
        transfer(&mut side, id, 10, false);
        assert_eq!(side.feed(&data(id, b"x")), WINDOW_EXCEEDED);

        // An application that is always half a window behind.
        let (mut side, id) = Side::open_with(role, &growing(), 10, PACKET);
        transfer(&mut side, id, 5, false);
        for _ in 0..1000 {
            transfer(&mut side, id, 1, false);
            side.mux.read(id).unwrap().unwrap();
            side.sent();
        }
        assert!(window(&side, id) <= 500);
        assert_eq!(side.mux.unread_bytes(), 500);

        // Once it keeps up, the window grows; once it reads no more, the peer is held to it.
        side.read_all(id);
        transfer(&mut side, id, 500, true);
        assert_eq!(size(&side, id), 8000);
        while window(&side, id) >= PACKET {
            transfer(&mut side, id, 1, false);
        }
        assert!((7700..=8000).contains(&side.mux.unread_bytes()));
        assert_eq!(side.feed(&data(id, b"x")), WINDOW_EXCEEDED);
    }
}

#[test]
fn n5_what_all_windows_grow_by_is_bounded() {
    let limits = Limits {
        window_growth: 25 * PACKET,
        ..growing()
    };
    let mut client = Side::new(Role::Client, &limits);
    let open = |client: &mut Side| {
        let kind = &ChannelKind::Session;
        let id = client.mux.open(kind, &mut client.out).unwrap();
        client.feed(&confirmation(id, 10, PACKET)).unwrap();
        client.sent();
        id
    };
    let (first, second) = (open(&mut client), open(&mut client));
    transfer(&mut client, first, 500, true);
    transfer(&mut client, second, 500, true);
    assert_eq!(size(&client, first), 3500);
    assert_eq!(size(&client, second), 1000);
    // A channel that is gone leaves its share to others.
    client.mux.close(first).unwrap();
    client.feed(&close(first)).unwrap();
    client.sent();
    transfer(&mut client, second, 500, true);
    assert_eq!(size(&client, second), 3500);
    // So does one whose size is set.
    client.mux.set_window_size(second, 1000).unwrap();
    let third = open(&mut client);
    transfer(&mut client, third, 500, true);
    assert_eq!(size(&client, third), 3500);
}

#[test]
fn n5_no_growth_where_the_bound_is_not_above_the_window() {
    for most in [0, 10 * PACKET] {
        let limits = Limits {
            max_window_size: most,
            ..growing()
        };
        let (mut side, id) = Side::open_with(Role::Client, &limits, 10, PACKET);
        assert_eq!(transfer(&mut side, id, 1000, true), 1000 * PACKET);
        assert_eq!(size(&side, id), 1000);
    }
}

#[test]
fn h8_a_window_size_that_is_set_is_announced_and_stays() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &growing(), 10, PACKET);
        side.mux.set_window_size(id, 10_000).unwrap();
        side.sent_is(&adjust(7, 9_000));
        transfer(&mut side, id, 1000, true);
        assert_eq!(window(&side, id), 10_000);
        // What was announced stands, and nothing is until less than the new size is out.
        side.mux.set_window_size(id, 1000).unwrap();
        assert_eq!(transfer(&mut side, id, 94, true), 0);
        assert_eq!(window(&side, id), 600);
        assert_eq!(transfer(&mut side, id, 1, true), 500);
        // Withheld to the end.
        side.mux.set_window_size(id, 0).unwrap();
        assert_eq!(transfer(&mut side, id, 10, true), 0);
        assert_eq!(side.feed(&data(id, b"x")), WINDOW_EXCEEDED);
        // And given again.
        side.mux.set_window_size(id, u32::MAX).unwrap();
        side.sent_is(&adjust(7, u32::MAX));
        assert_eq!(side.mux.set_window_size(id, u32::MAX), Ok(()));
        assert!(side.sent().is_empty());
        side.mux.close(id).unwrap();
        assert_eq!(side.mux.set_window_size(id, 1), Err(ChannelError::Closed));
    }
}

#[test]
fn h10_every_type_is_passed_both_ways_where_that_is_asked_for() {
    for role in ROLES {
        let (mut side, id) = Side::open_with(role, &growing(), 10, PACKET);
        side.mux.pass_extended_data(ExtendedData::All);
        for data_type in [0, 1, 2, u32::MAX] {
            side.feed(&stderr(id, data_type, b"x")).unwrap();
            assert_eq!(side.event(), Some(MuxEvent::Readable { id }));
            let stream = DataStream::Extended(data_type);
            let bytes = Bytes::from_static(b"x");
            assert_eq!(side.mux.read(id), Ok(Some(Chunk { stream, bytes })));
            assert_eq!(side.mux.write(id, stream, b"y"), Ok(1));
            let message = wire::ChannelExtendedData {
                recipient: 7,
                data_type,
                data: b"y",
            };
            side.sent_is(&message);
        }
        for _ in 0..9 {
            side.feed(&stderr(id, 2, &[0; PACKET as usize])).unwrap();
        }
        assert_eq!(side.feed(&stderr(id, 2, &[0; 97])), WINDOW_EXCEEDED);
    }
}
