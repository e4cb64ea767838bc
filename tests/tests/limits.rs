//! Bounds and deadlines: what a slow, silent, greedy or flooding peer gets.

use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::error::{DisconnectReason, Error, Limit};
use ssh_proto::wire::connection::{GlobalRequest as WireGlobal, GlobalRequestKind};
use ssh_proto::wire::extension::Ping;
use ssh_proto::wire::number;
use ssh_proto::wire::transport::{Ignore, Unimplemented};
use ssh_proto::{
    ClientConnection, Connection, DataStream, Disconnected, Limits, ServerConnection, Timer,
};
use ssh_tests::hostile::Victim;
use ssh_tests::{
    Connected, Endpoint, Hostile, Link, Mode, Pair, Stage, fixtures, for_each_chunking,
    for_each_mode, read_all,
};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn timeout(timer: Timer) -> Option<Disconnected> {
    Some(Disconnected::Error(Error::Timeout(timer)))
}

/// A connection of a changed config, and a peer that has done nothing.
fn hostile_server(mode: Mode, change: impl Fn(&mut Limits)) -> Hostile<ServerConnection> {
    let (client, server) = Pair::builder(mode).limits(change).configs();
    let pair = Pair::from_configs(mode, &client, &server, fixtures::USER);
    Hostile::with_connection(pair.server, mode.chunking)
}

fn hostile_client(mode: Mode, change: impl Fn(&mut Limits)) -> Hostile<ClientConnection> {
    let (client, server) = Pair::builder(mode).limits(change).configs();
    let pair = Pair::from_configs(mode, &client, &server, fixtures::USER);
    Hostile::with_connection(pair.client, mode.chunking)
}

/// U6: an application that fetches no events reads nothing, and what is handed over all the same
/// has a bound. No modes: what is handed over is never parsed, however it is cut.
#[test]
fn u6_input_that_nobody_parses() {
    fn check<E: Victim>(stage: Stage, most: usize) {
        let mut hostile = Hostile::<E>::at(stage, Mode::PLAIN);
        let mut handed = 0;
        while handed <= most {
            assert!(!hostile.connection.wants_write(), "after {handed} bytes");
            hostile
                .connection
                .handle_input(hostile.now, BytesMut::zeroed(64 << 10));
            handed += 64 << 10;
        }
        // Nothing was parsed, or it would have ended otherwise.
        hostile.exchange();
        let limit = Error::LimitExceeded(Limit::BufferedInput);
        assert_eq!(hostile.ended, Some(Disconnected::Error(limit)));
        hostile.assert_disconnected(DisconnectReason::BY_APPLICATION);
    }
    let limits = Limits::default();
    check::<ServerConnection>(Stage::Channel, limits.buffered_input);
    check::<ClientConnection>(Stage::Channel, limits.buffered_input);
}

/// No login needs megabytes.
#[test]
fn input_before_authentication_is_bounded() {
    for_each_chunking(|mode| {
        for kept in [false, true] {
            let mut hostile = hostile_server(mode, |limits| limits.pre_auth_bytes = 100_000);
            hostile.advance_to(match kept {
                true => Stage::Authenticated,
                false => Stage::Service,
            });
            for _ in 0..5 {
                hostile.send(&Ignore { data: &[0; 30_000] });
            }
            match kept {
                true => assert_eq!(hostile.ended, None),
                false => {
                    let limit = Error::LimitExceeded(Limit::PreAuthInput);
                    assert_eq!(hostile.ended, Some(Disconnected::Error(limit)));
                    hostile.assert_disconnected(DisconnectReason::BY_APPLICATION);
                }
            }
        }
    });
}

/// U6: a peer that asks without end and reads nothing: answers pile up to a bound, then nothing is
/// read any more; once it reads, everything goes on.
#[test]
fn u6_peer_that_never_reads() {
    fn check<E: Victim>(ping: bool, mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        let limits = Limits::default();
        let payload = match ping {
            true => ssh_tests::raw::payload_of(&Ping { data: &[7; 3_000] }),
            false => ssh_tests::raw::payload_of(&WireGlobal {
                kind: GlobalRequestKind::Keepalive(()),
                want_reply: true,
            }),
        };
        let mut link = Link::new(mode.chunking);
        let mut sent = 0;
        while hostile.connection.wants_read() && sent < 5_000 {
            let packet = hostile.peer.seal(&payload);
            link.push(hostile.now, BytesMut::from(&packet[..]));
            while let Some(piece) = link.pull(hostile.now) {
                hostile.connection.handle_input(hostile.now, piece);
            }
            while hostile.connection.next_event().is_some() {}
            sent += 1;
        }
        // At once the bound the application is stopped, at twice the peer.
        let most = match ping {
            true => 2 * limits.deferred_bytes / 3_000 + 2,
            false => 2 * limits.deferred_messages + 1,
        };
        assert!(sent <= most, "{sent} answers queued");
        assert!(!hostile.connection.wants_read());
        hostile.exchange();
        let answer = match ping {
            true => number::PONG,
            false => number::REQUEST_FAILURE,
        };
        let answers = hostile.peer.drain();
        assert_eq!(
            answers
                .iter()
                .filter(|packet| packet.number() == answer)
                .count(),
            sent
        );
        assert!(hostile.connection.wants_read());
        assert_eq!(hostile.ended, None);
    }
    for_each_chunking(|mode| {
        check::<ServerConnection>(true, mode);
        check::<ServerConnection>(false, mode);
        check::<ClientConnection>(false, mode);
    });
}

/// From our `KEXINIT` to the peer's `NEWKEYS` there is a deadline, wherever the peer stops.
#[test]
fn a8_stalled_handshakes_end() {
    fn check<E: Victim>(stage: Stage, mode: Mode) {
        let mut hostile = Hostile::<E>::at(stage, mode);
        // Half of a packet does not help.
        if stage > Stage::Start {
            hostile.peer.push_bytes(&[0, 0]);
        }
        hostile.advance(secs(59));
        assert_eq!(hostile.ended, None);
        hostile.advance(secs(1));
        assert_eq!(hostile.ended, timeout(Timer::Kex));
        match stage {
            Stage::Start => hostile.assert_closed_silently(),
            _ => hostile.assert_disconnected(DisconnectReason::BY_APPLICATION),
        }
    }
    for_each_chunking(|mode| {
        for stage in [
            Stage::Start,
            Stage::Identified,
            Stage::KexInit,
            Stage::BeforeNewKeys,
        ] {
            check::<ClientConnection>(stage, mode);
            check::<ServerConnection>(stage, mode);
        }
    });
}

/// The first key exchange and those that replace keys have times of their own.
#[test]
fn a8_handshake_and_rekeys_have_their_own_time() {
    fn check<E: Victim>(make: impl Fn() -> Hostile<E>) {
        let mut hostile = make();
        hostile.advance_to(Stage::KexInit);
        hostile.advance(secs(4));
        assert_eq!(hostile.ended, None);
        hostile.advance(secs(1));
        assert_eq!(hostile.ended, timeout(Timer::Kex));

        let mut hostile = make();
        hostile.advance_to(Stage::Channel);
        // The connection was last told the time long before.
        hostile.advance(secs(100));
        hostile.connection.rekey().unwrap();
        hostile.advance(secs(19));
        assert_eq!(hostile.ended, None);
        hostile.advance(secs(1));
        assert_eq!(hostile.ended, timeout(Timer::Kex));
    }
    for_each_chunking(|mode| {
        let change = |limits: &mut Limits| {
            limits.handshake_timeout = Some(secs(5));
            limits.kex_timeout = Some(secs(20));
        };
        check(|| hostile_server(mode, change));
        check(|| hostile_client(mode, change));
    });
}

/// B12, G19: noise does not keep a login alive.
#[test]
fn g19_noise_extends_nothing() {
    for_each_chunking(|mode| {
        let mut hostile = Hostile::<ServerConnection>::at(Stage::Service, mode);
        for _ in 0..119 {
            hostile.advance(secs(1));
            hostile.send(&Ignore {
                data: b"still here",
            });
            hostile.send(&Ping { data: b"are you" });
        }
        assert_eq!(hostile.ended, None);
        hostile.advance(secs(1));
        assert_eq!(hostile.ended, timeout(Timer::LoginGrace));
        hostile.assert_disconnected(DisconnectReason::BY_APPLICATION);
    });
}

/// Keepalives: sent after silence, given up after so many.
#[test]
fn keepalive_of_a_silent_peer() {
    fn check<E: Victim>(mut hostile: Hostile<E>) {
        hostile.advance_to(Stage::Channel);
        for asked in 1..=3 {
            hostile.advance(secs(9));
            assert_eq!(hostile.peer.drain(), []);
            hostile.advance(secs(1));
            let request = hostile.peer.expect(number::GLOBAL_REQUEST);
            let keepalive = WireGlobal {
                kind: GlobalRequestKind::Keepalive(()),
                want_reply: true,
            };
            assert_eq!(
                request.decode::<WireGlobal<'_>>(),
                keepalive,
                "number {asked}"
            );
        }
        hostile.advance(secs(9));
        assert_eq!(hostile.ended, None);
        hostile.advance(secs(1));
        assert_eq!(hostile.ended, timeout(Timer::KeepAlive));
        hostile.assert_disconnected(DisconnectReason::BY_APPLICATION);
    }
    for_each_chunking(|mode| {
        let change = |limits: &mut Limits| limits.keepalive_interval = Some(secs(10));
        check(hostile_server(mode, change));
        check(hostile_client(mode, change));
    });
}

/// I8: whatever arrives shows life: either reply, UNIMPLEMENTED, noise.
#[test]
fn i8_anything_is_life() {
    for_each_chunking(|mode| {
        for answer in [
            &[number::REQUEST_SUCCESS][..],
            &[number::REQUEST_FAILURE],
            &[number::UNIMPLEMENTED, 0, 0, 0, 9],
            &[number::IGNORE, 0, 0, 0, 0],
        ] {
            let mut hostile =
                hostile_server(mode, |limits| limits.keepalive_interval = Some(secs(10)));
            hostile.advance_to(Stage::Channel);
            for _ in 0..20 {
                hostile.advance(secs(25));
                hostile.send_payload(answer);
                assert_eq!(hostile.ended, None);
            }
        }
    });
}

/// I8: a peer that knows no keepalive request says UNIMPLEMENTED, for hours; it lives, and is asked
/// again each time.
#[test]
fn i8_unimplemented_answers_a_keepalive() {
    let mut hostile = hostile_server(Mode::PLAIN, |limits| {
        limits.keepalive_interval = Some(secs(10));
        limits.rekey_age = None;
    });
    hostile.advance_to(Stage::Authenticated);
    for round in 0..400 {
        hostile.peer.drain();
        hostile.advance(secs(10));
        assert_eq!(hostile.ended, None, "round {round}");
        let asked: Vec<u8> = hostile.peer.drain().iter().map(|p| p.number()).collect();
        assert_eq!(asked, [number::GLOBAL_REQUEST], "round {round}");
        hostile.send(&Unimplemented { sequence: round });
    }
}

/// Idle means: no channel data. Noise, keepalives and rekeys do not count.
#[test]
fn idle_connections_end() {
    for_each_mode(|mode| {
        let mut c = Connected::of(Pair::builder(mode).server_limits(|limits| {
            limits.idle_timeout = Some(secs(100));
            limits.keepalive_interval = Some(secs(7));
            limits.rekey_age = Some(secs(31));
        }));
        let (at_client, at_server) = c.open();
        for _ in 0..4 {
            c.advance(secs(60));
            c.pair
                .client
                .write(at_client, DataStream::Data, b"user data")
                .unwrap();
            c.run();
            read_all(&mut c.pair.server, at_server);
            c.advance(secs(60));
            c.pair
                .server
                .write(at_server, DataStream::Data, b"and back")
                .unwrap();
            c.run();
            read_all(&mut c.pair.client, at_client);
        }
        c.advance(secs(50));
        c.pair.client.send_ignore(b"noise").unwrap();
        c.advance(secs(49));
        assert_eq!(c.pair.server_end(), None);
        c.advance(secs(1));
        assert_eq!(c.pair.server_end().cloned(), timeout(Timer::Idle));
        assert!(matches!(
            c.pair.client_end(),
            Some(Disconnected::ByPeer { .. })
        ));
    });
}

/// A timer that is handled too early does nothing, and the clock never runs back. No
/// modes: not a byte passes.
#[test]
fn early_and_backward_time() {
    fn check<E: Endpoint>(connection: &mut E) {
        let deadline = connection.poll_timeout().expect("a deadline");
        connection.handle_timeout(ssh_proto::Instant::EPOCH);
        let almost = ssh_proto::Instant::from_micros(deadline.as_micros() - 1);
        connection.handle_timeout(almost);
        assert!(connection.next_event().is_none());
        assert_eq!(connection.poll_timeout(), Some(deadline));
        connection.handle_timeout(ssh_proto::Instant::EPOCH);
        assert!(connection.next_event().is_none());
        connection.handle_timeout(deadline);
        assert!(connection.next_event().is_some());
        assert_eq!(connection.poll_timeout(), None);
    }
    let mut pair = Pair::new(Mode::PLAIN);
    check(&mut pair.client);
    check(&mut pair.server);
}

/// What is accepted of the application is bounded too, and said.
#[test]
fn our_own_queue_is_bounded() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let mut accepted = 0;
        let refused = loop {
            match c.pair.client.send_ignore(&[0; 1_000]) {
                Ok(()) => accepted += 1,
                Err(refused) => break refused,
            }
            assert!(accepted < 10_000);
        };
        assert_eq!(refused, ssh_proto::ChannelError::Blocked);
        c.run();
        c.pair.client.send_ignore(b"").expect("room again");
    });
}
