//! Receive windows that grow by themselves or are set, also while keys are replaced (RFC 4254 section 5.2).

use std::time::Duration;

use ssh_proto::{ChannelError, ChannelKind, Connection, DataStream, Event};
use ssh_tests::{
    ClientApp, Connected, Endpoint, Job, Mode, Pair, ServerApp, for_each_mode, read_all,
};

/// H8, N5: on a long link a window that grows carries more per round trip, in both directions.
#[test]
fn n5_growing_windows_fill_a_long_link() {
    const TOTAL: usize = 3 << 20;
    const ROUND_TRIP: Duration = Duration::from_millis(200);
    /// Round trips that a transfer takes.
    fn round_trips(job: Job, most: u32) -> u32 {
        let mut pair = Pair::builder(Mode::PLAIN)
            .limits(|limits| {
                limits.window_size = 64 << 10;
                limits.max_window_size = most;
                // What waits in the sender's buffer is no bound here.
                limits.channel_send_buffer = 2 << 20;
            })
            .build();
        pair.to_client.set_delay(ROUND_TRIP / 2, ROUND_TRIP / 2);
        pair.to_server.set_delay(ROUND_TRIP / 2, ROUND_TRIP / 2);
        let before = pair.now;
        let mut client = ClientApp::new([job]).then_disconnect();
        pair.run(&mut client, &mut ServerApp::new());
        let result = &client.results[0];
        assert!(result.closed && (result.stdout.len() == TOTAL || result.stdout == *b"3145728"));
        let time = pair.now.saturating_duration_since(before);
        u32::try_from(time.as_millis() / ROUND_TRIP.as_millis()).unwrap()
    }
    for job in [
        Job::new(&format!("source {TOTAL}")),
        Job::with_input("sink", vec![1; TOTAL]),
    ] {
        let fixed = round_trips(job.clone(), 0);
        let grown = round_trips(job, 1 << 20);
        println!("{fixed} round trips with a fixed window, {grown} with one that grows");
        assert!(fixed >= 48, "{fixed}: 48 windows");
        assert!(grown <= fixed / 3, "{grown} of {fixed}");
    }
}

/// H8: a window that the application sets is the peer's at once, and shrinks as it is read.
#[test]
fn h8_windows_that_are_set() {
    for_each_mode(|mode| {
        let mut c = Connected::of(Pair::builder(mode).limits(|limits| {
            limits.window_size = 1000;
            limits.max_packet_size = 1000;
        }));
        let (at_client, at_server) = c.open();
        let data = DataStream::Data;
        assert_eq!(c.pair.client.write(at_client, data, &[1; 9000]), Ok(9000));
        c.run();
        assert_eq!(c.pair.server.readable_bytes(at_server), Ok(1000));
        c.pair.server.set_window_size(at_server, 5000).unwrap();
        c.run();
        assert_eq!(c.pair.server.readable_bytes(at_server), Ok(5000));
        c.pair.server.set_window_size(at_server, 100).unwrap();
        assert_eq!(read_all(&mut c.pair.server, at_server).0.len(), 5000);
        c.run();
        assert_eq!(c.pair.server.readable_bytes(at_server), Ok(100));
        c.pair.server.set_window_size(at_server, 0).unwrap();
        assert_eq!(read_all(&mut c.pair.server, at_server).0.len(), 100);
        c.run();
        assert_eq!(c.pair.server.readable_bytes(at_server), Ok(0));
        c.pair.server.set_window_size(at_server, u32::MAX).unwrap();
        c.run();
        assert_eq!(read_all(&mut c.pair.server, at_server).0.len(), 3900);
        let early = c.pair.client.open_channel(&ChannelKind::Session).unwrap();
        assert_eq!(
            c.pair.client.set_window_size(early, 1),
            Err(ChannelError::NotOpen)
        );
    });
}

/// H8: windows grow on both sides alike, and end at their bound, whatever becomes of the keys
/// meanwhile.
#[test]
fn h8_windows_grow_across_rekeys() {
    const FIRST: u32 = 1000;
    const MOST: u32 = 16_000;
    for_each_mode(|mode| {
        for to_server in [true, false] {
            let mut c = Connected::of(Pair::builder(mode).limits(|limits| {
                limits.window_size = FIRST;
                limits.max_window_size = MOST;
                limits.max_packet_size = FIRST;
            }));
            let (at_client, at_server) = c.open();
            let block = [7; 20_000];
            // What is held if nobody reads is what the window is.
            let mut windows = vec![];
            for _ in 0..8 {
                let stream = DataStream::Data;
                let (client, server) = (&mut c.pair.client, &mut c.pair.server);
                match to_server {
                    true => client.write(at_client, stream, &block),
                    false => server.write(at_server, stream, &block),
                }
                .unwrap();
                c.run();
                windows.push(match to_server {
                    true => c.pair.server.readable_bytes(at_server),
                    false => c.pair.client.readable_bytes(at_client),
                });
                match to_server {
                    true => read_all(&mut c.pair.server, at_server),
                    false => read_all(&mut c.pair.client, at_client),
                };
                c.run();
                match to_server {
                    true => read_all(&mut c.pair.server, at_server),
                    false => read_all(&mut c.pair.client, at_client),
                };
            }
            let windows: Vec<_> = windows.into_iter().map(Result::unwrap).collect();
            assert_eq!(windows[0], FIRST as usize);
            assert!(windows.is_sorted(), "{windows:?}");
            assert_eq!(windows.last(), Some(&(MOST as usize)), "{windows:?}");
            let rekeyed = c.client.events.iter().any(|event| {
                matches!(
                    ssh_proto::ClientConnection::shared(event),
                    Some(Event::KeysChanged(_))
                )
            });
            assert_eq!(rekeyed, mode.rekeys());
        }
    });
}
