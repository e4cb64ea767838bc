//! The driver on a transport that does as it is told.

use std::thread;

use ssh_proto::crypto::rustcrypto;
use ssh_proto::error::DisconnectReason;
use ssh_proto::{ClientConfig, ClientConnection, ClientEvent, Disconnected, Event};

use super::*;
use crate::random::OsRandom;

/// Does as it is told: the result of each call in turn, then `WouldBlock`.
#[derive(Debug, Default)]
struct Script {
    sends: Vec<io::Result<usize>>,
    receives: Vec<io::Result<&'static [u8]>>,
    sent: usize,
    flushes: usize,
}

impl Transport for Script {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.receives.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes = self.receives.remove(0)?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.sends.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = self.sends.remove(0)?;
        self.sent += most.min(data.len());
        Ok(most.min(data.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        Ok(())
    }
}

fn driver(script: Script) -> Driver<ClientConnection, Script> {
    let config = ClientConfig::builder(rustcrypto::provider())
        .build()
        .unwrap();
    let clock = Clock::new();
    let connection =
        ClientConnection::new(&config, "ferris", Box::new(OsRandom), clock.now()).unwrap();
    Driver::new(connection, script, clock)
}

fn last_event(driver: &mut Driver<ClientConnection, Script>) -> Option<Disconnected> {
    std::iter::from_fn(|| driver.poll_event()).find_map(|event| match event {
        ClientEvent::Shared(Event::Disconnected(cause)) => Some(cause),
        _ => None,
    })
}

const BOTH: Interest = Interest {
    read: true,
    write: true,
};

#[test]
fn q3_it_receives_while_it_cannot_send() {
    let mut driver = driver(Script {
        sends: vec![Ok(5)],
        receives: vec![Ok(b"SSH-2.0-x\r\n")],
        ..Script::default()
    });
    assert_eq!(driver.interest(), BOTH);
    driver.transmit();
    assert_eq!(driver.transport().sent, 5);
    while driver.poll_event().is_some() {}
    assert_eq!(driver.interest(), BOTH);
    driver.drive();
    assert_eq!(driver.timeout(), Some(Duration::ZERO));
    assert!(matches!(
        driver.poll_event(),
        Some(ClientEvent::Shared(Event::Identified(_)))
    ));
    assert_eq!(driver.poll_event().map(drop), None);
    assert_ne!(driver.timeout(), Some(Duration::ZERO));
}

#[test]
fn q1_interrupted_calls_are_made_again() {
    let interrupted = || io::ErrorKind::Interrupted.into();
    let mut driver = driver(Script {
        sends: vec![
            Err(interrupted()),
            Ok(1),
            Err(interrupted()),
            Ok(usize::MAX),
        ],
        receives: vec![Err(interrupted()), Ok(b"SSH-2.0-x\r\n")],
        ..Script::default()
    });
    driver.transmit();
    while driver.poll_event().is_some() {}
    assert!(driver.transport().sends.is_empty());
    assert_eq!(driver.transport().flushes, 1);
    assert!(!driver.interest().write);
    driver.drive();
    assert!(driver.poll_event().is_some());
    assert!(driver.error().is_none());
}

#[test]
fn q1_nothing_taken_means_closed() {
    let mut driver = driver(Script {
        sends: vec![Ok(0)],
        receives: vec![Ok(b"SSH-2.0-x\r\n"), Ok(b"")],
        ..Script::default()
    });
    driver.transmit();
    assert_eq!(
        driver.error().map(io::Error::kind),
        Some(io::ErrorKind::WriteZero)
    );
    // What the peer had to say is still read.
    let expected = Interest {
        read: true,
        write: false,
    };
    assert_eq!(driver.interest(), expected);
    while driver.poll_event().is_some() {}
    driver.drive();
    assert!(driver.poll_event().is_some());
    while driver.poll_event().is_some() {}
    driver.drive();
    assert_eq!(last_event(&mut driver), Some(Disconnected::Eof));
    driver.drive();
    assert!(driver.is_finished());
    assert!(driver.interest().is_empty());
}

#[test]
fn an_error_of_receiving_is_the_end_and_kept() {
    let mut driver = driver(Script {
        receives: vec![Err(io::ErrorKind::ConnectionReset.into())],
        ..Script::default()
    });
    driver.drive();
    assert_eq!(last_event(&mut driver), Some(Disconnected::Eof));
    let kind = driver.error().map(io::Error::kind);
    assert_eq!(kind, Some(io::ErrorKind::ConnectionReset));
}

#[test]
fn q2_a_peer_that_takes_nothing_is_given_up() {
    let mut driver = driver(Script::default());
    driver.transmit();
    let now = driver.now();
    driver
        .connection_mut()
        .disconnect(now, DisconnectReason::BY_APPLICATION, "");
    assert_eq!(last_event(&mut driver), Some(Disconnected::ByApplication));
    driver.drive();
    assert!(!driver.is_finished());
    assert!(driver.timeout().is_some_and(|timeout| timeout <= LINGER));
    driver.deadline = Some(driver.now());
    driver.drive();
    assert!(driver.is_finished());
}

#[test]
fn a_quiet_connection_gives_its_memory_back() {
    let mut driver = driver(Script {
        sends: vec![Ok(usize::MAX)],
        receives: vec![Ok(b"SSH-2.0-x\r\n")],
        ..Script::default()
    });
    driver.transmit();
    while driver.poll_event().is_some() {}
    driver.drive();
    while driver.poll_event().is_some() {}
    assert!(driver.input.arena.capacity() > 0);
    let quiet = driver.timeout().unwrap();
    assert!(quiet > Duration::ZERO && quiet <= QUIET);
    thread::sleep(quiet);
    driver.drive();
    assert_eq!(driver.input.arena.capacity(), 0);
    assert_eq!(driver.output.pending.capacity(), 0);
}

#[test]
fn room_grows_with_what_arrives_and_memory_serves_again() {
    let mut input = Input {
        arena: BytesMut::new(),
        room: MIN_ROOM,
        quiet_at: None,
        ended: false,
    };
    assert_eq!(input.make_room().len(), MIN_ROOM);
    let first = input.take(100, false);
    let rest = input.make_room().len();
    assert_eq!(rest, MIN_ROOM - 100);
    let mut joined = first;
    joined.unsplit(input.take(rest, true));
    assert_eq!(joined.len(), MIN_ROOM, "contiguous");
    assert_eq!(input.make_room().len(), 4 * MIN_ROOM);
    let at = input.arena.as_ptr();
    let data = input.take(4 * MIN_ROOM - 10, false);
    drop(data);
    assert_eq!(input.make_room().len(), 4 * MIN_ROOM);
    assert_eq!(input.arena.as_ptr(), at);
    for _ in 0..10 {
        let len = input.make_room().len();
        assert!(len <= MAX_ROOM);
        input.take(len, true);
    }
}
