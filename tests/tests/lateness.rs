//! What is late on our own side is not held against the peer, and one reason brings one key exchange.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ssh_proto::crypto::rustcrypto;
use ssh_proto::error::ApiMisuse;
use ssh_proto::{
    AuthOutcome, ClientEvent, ConfigError, Connection, DataStream, Event, Instant, Password,
    ServerConfig, ServerEvent,
};
use ssh_tests::{Connected, Mode, Pair, fixtures};

/// All that one side has to send.
fn transmit(connection: &mut impl Connection, now: Instant) -> BytesMut {
    let mut out = BytesMut::new();
    while connection.poll_transmit(now, &mut out).is_some() {}
    out
}

fn poll_all<C: Connection>(connection: &mut C) -> Vec<C::Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

/// The reply and NEWKEYS of the server arrive in one piece, before our NEWKEYS is sealed: what was
/// sent under the old keys must not bring a second exchange, which the default bound would count.
#[test]
fn f3_one_threshold_brings_one_exchange() {
    const THRESHOLD: usize = 300_000;
    const TOTAL: usize = 3_000_000;
    let mut it = Connected::of(
        Pair::builder(Mode::PLAIN).client_limits(|limits| limits.rekey_bytes = THRESHOLD as u64),
    );
    let (at_client, at_server) = it.open();
    let now = it.pair.now;
    let (client, server) = (&mut it.pair.client, &mut it.pair.server);
    let mut data = Bytes::from(vec![7; TOTAL]);
    let (mut received, mut exchanges) = (0, 0);
    for _ in 0..1000 {
        client
            .write_bytes(at_client, DataStream::Data, &mut data)
            .unwrap();
        for event in poll_all(client) {
            exchanges += usize::from(matches!(event, ClientEvent::Shared(Event::KeysChanged(_))));
        }
        server.handle_input(now, transmit(client, now));
        poll_all(server);
        while let Some(chunk) = server.read(at_server).unwrap() {
            received += chunk.bytes.len();
        }
        client.handle_input(now, transmit(server, now));
    }
    assert_eq!(received, TOTAL);
    assert!(
        (TOTAL / THRESHOLD - 1..=TOTAL / THRESHOLD).contains(&exchanges),
        "{exchanges} exchanges"
    );
}

/// The peer answered at once; that we look after a minute is our own doing.
#[test]
fn a_reply_that_was_not_looked_at_is_no_timeout() {
    let mut it = Connected::new(Mode::PLAIN);
    let (client, server) = (&mut it.pair.client, &mut it.pair.server);
    let start = it.pair.now;
    client.rekey().unwrap();
    server.handle_input(start, transmit(client, start));
    poll_all(server);
    client.handle_input(start, transmit(server, start));
    let later = start + Duration::from_secs(100);
    client.handle_timeout(later);
    assert!(!client.is_closed());
    let events = poll_all(client);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, ClientEvent::Shared(Event::Disconnected(_)))),
        "{events:?}"
    );
    // Now that all is looked at, it is the peer's time that runs.
    let deadline = client.poll_timeout().expect("the exchange is under way");
    client.handle_timeout(deadline + Duration::from_secs(100));
    assert!(
        poll_all(client)
            .iter()
            .any(|event| matches!(event, ClientEvent::Shared(Event::Disconnected(_))))
    );
}

/// Bytes that arrive show that the peer lives, looked at or not.
#[test]
fn i8_input_that_was_not_looked_at_is_life() {
    let mut it = Connected::of(
        Pair::builder(Mode::PLAIN)
            .client_limits(|limits| limits.keepalive_interval = Some(Duration::from_secs(15))),
    );
    let (client, server) = (&mut it.pair.client, &mut it.pair.server);
    let mut now = it.pair.now;
    for _ in 0..20 {
        now = now + Duration::from_secs(10);
        server.send_ignore(b"here").unwrap();
        client.handle_input(now, transmit(server, now));
        client.handle_timeout(now);
    }
    let events = poll_all(client);
    assert!(events.is_empty(), "{events:?}");
}

/// An answer that does not fit refuses the request; it does not end the connection.
#[test]
fn a_password_that_was_to_be_changed_is_not_accepted() {
    let pair = Pair::new(Mode::PLAIN);
    let (mut client, mut server, now) = (pair.client, pair.server, pair.now);
    let mut asked = false;
    let mut refused = false;
    for _ in 0..20 {
        for event in poll_all(&mut client) {
            match event {
                ClientEvent::HostKey(check) => client.accept_host_key(check).unwrap(),
                ClientEvent::Auth(turn) => {
                    refused = *turn.outcome() == AuthOutcome::Failed;
                    if refused {
                        drop(turn);
                        return;
                    }
                    client.auth_password(turn, &Password::new("old")).unwrap();
                }
                ClientEvent::Shared(Event::Disconnected(cause)) => panic!("{cause:?}"),
                _ => {}
            }
        }
        for event in poll_all(&mut server) {
            match event {
                ServerEvent::Auth(request) if !asked => {
                    asked = true;
                    server
                        .request_password_change(request, "change it")
                        .unwrap();
                }
                ServerEvent::Auth(request) => {
                    assert_eq!(server.accept_auth(request), Err(ApiMisuse::WrongAnswer));
                }
                ServerEvent::Shared(Event::Disconnected(cause)) => panic!("{cause:?}"),
                _ => {}
            }
        }
        server.handle_input(now, transmit(&mut client, now));
        client.handle_input(now, transmit(&mut server, now));
    }
    assert!(refused);
}

#[test]
fn a_banner_that_fits_no_message_is_refused_with_the_config() {
    let config = |len| {
        ServerConfig::builder(rustcrypto::provider())
            .signing_host_key(fixtures::host_key())
            .banner("x".repeat(len))
            .build()
    };
    assert!(config(32_000).is_ok());
    assert_eq!(config(32_001).unwrap_err(), ConfigError::InvalidBanner);
}

/// What a driver asks before it sleeps.
#[test]
fn wants_poll_tells_of_events_that_calls_made() {
    let mut it = Connected::new(Mode::PLAIN);
    assert!(!it.pair.client.wants_poll());
    let (at_client, _) = it.open();
    let now = it.pair.now;
    it.pair.client.close_channel(at_client).unwrap();
    let out = transmit(&mut it.pair.client, now);
    it.pair.server.handle_input(now, out);
    assert!(it.pair.server.wants_poll(), "input is there");
    while it.pair.server.poll_event().is_some() {}
    assert!(!it.pair.server.wants_poll());
    it.pair
        .server
        .disconnect(now, ssh_proto::error::DisconnectReason::BY_APPLICATION, "");
    assert!(it.pair.server.wants_poll(), "the last event");
}
