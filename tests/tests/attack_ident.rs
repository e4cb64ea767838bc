//! Attacks on the exchange of identification strings (RFC 4253 section 4.2), group A of the notes.

use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::error::{Limit, PeerMisbehaved};
use ssh_proto::{
    ClientConnection, Connection, Disconnected, Error, Event, Identification, Instant,
    ServerConnection, Timer,
};
use ssh_tests::attack::{both, chunked};
use ssh_tests::hostile::Victim;
use ssh_tests::{Endpoint, Hostile, Mode, Stage, fixtures};

/// Sends bytes as the very first and asserts that the connection closes, having told nothing but
/// what it says to everybody.
fn closes<E: Victim>(mode: Mode, bytes: &[u8], error: impl Into<Error>) {
    let mut h = Hostile::<E>::new(mode);
    h.closes(|peer| peer.push_bytes(bytes));
    assert_eq!(*h.error(), error.into(), "{:?}", bytes.escape_ascii());
}

/// Sends bytes as the very first and yields the identification that the connection reports.
fn identifies<E: Victim>(mode: Mode, bytes: &[u8]) -> Identification {
    let mut h = Hostile::<E>::new(mode);
    h.peer.push_bytes(bytes);
    h.exchange();
    assert_eq!(h.ended, None, "{:?}", bytes.escape_ascii());
    assert_eq!(h.events.len(), 1);
    match E::shared(&h.events[0]) {
        Some(Event::Identified(identification)) => identification.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a1_a_line_without_end_closes() {
    fn test<E: Victim>(mode: Mode) {
        let endless = [b"SSH-2.0-".as_slice(), &[b'x'; 247]].concat();
        assert_eq!(endless.len(), 255);
        closes::<E>(mode, &endless, Limit::Identification);
        closes::<E>(mode, &endless.repeat(100), Limit::Identification);
        let mut h = Hostile::<E>::new(mode);
        h.exchange();
        h.ignores(|peer| peer.push_bytes(&endless[..254]));
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn a2_lines_before_the_identification_of_a_server() {
    chunked(|mode| {
        for count in [0, 1, 1024] {
            let text = [b"welcome\r\n".repeat(count).as_slice(), b"SSH-2.0-x\r\n"].concat();
            let ident = identifies::<ClientConnection>(mode, &text);
            assert_eq!(ident.as_bytes(), b"SSH-2.0-x");
        }
        let long = [[b'a'; 8193].as_slice(), b"\nSSH-2.0-x\r\n"].concat();
        identifies::<ClientConnection>(mode, &long);
        for flood in [
            b"x\n".repeat(1025),
            b"\n".repeat(70_000),
            vec![b'y'; 70_000],
        ] {
            closes::<ClientConnection>(mode, &flood, Limit::Identification);
        }
    });
}

#[test]
fn a3_a_client_sends_nothing_before_its_identification() {
    chunked(|mode| {
        for text in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\r\nSSH-2.0-x\r\n",
            b"\nSSH-2.0-x\r\n",
            b" SSH-2.0-x\r\n",
        ] {
            closes::<ServerConnection>(mode, text, PeerMisbehaved::TextBeforeIdentification);
        }
    });
}

/// A3: what a client sent in the wrong place is not answered by a byte of it.
#[test]
fn a3_nothing_is_reflected() {
    let mut server = ServerConnection::fresh(Mode::PLAIN);
    let now = Instant::EPOCH + Duration::from_secs(1_000);
    server.handle_input(now, BytesMut::from(&b"GET /canary HTTP/1.1\r\n\r\n"[..]));
    assert!(matches!(
        server
            .next_event()
            .as_ref()
            .and_then(ServerConnection::terminal),
        Some(Disconnected::Error(_))
    ));
    let mut out = BytesMut::new();
    assert_eq!(server.poll_transmit(now, &mut out), None);
    assert_eq!(out.len(), 0);
    assert!(server.is_closed());
}

#[test]
fn a4_nul_and_bare_cr_close_other_bytes_are_kept() {
    fn test<E: Victim>(mode: Mode) {
        for line in [
            &b"SSH-2.0-a\0b\r\n"[..],
            b"SSH-2.0-a\rb\r\n",
            b"SSH-2.0-a\r\r\n",
            b"SSH-2.0-\0\r\n",
        ] {
            closes::<E>(mode, line, PeerMisbehaved::BadIdentification);
        }
        let ident = identifies::<E>(mode, b"SSH-2.0-\x1b]0;x\x07\xff\r\n");
        assert_eq!(ident.as_bytes(), b"SSH-2.0-\x1b]0;x\x07\xff");
        assert!(
            ident
                .to_string()
                .bytes()
                .all(|byte| byte.is_ascii_graphic())
        );
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

#[test]
fn a5_only_version_two() {
    fn test<E: Victim>(mode: Mode) {
        for line in [
            &b"SSH-1.5-x\r\n"[..],
            b"SSH-2.1-x\r\n",
            b"SSH-2.0-\r\n",
            b"SSH-2.0- x\r\n",
            b"SSH-2.0\r\n",
            b"SSH-20-x\r\n",
            b"SSH-\r\n",
        ] {
            closes::<E>(mode, line, PeerMisbehaved::BadIdentification);
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
    chunked(|mode| {
        let old = PeerMisbehaved::BadIdentification;
        closes::<ServerConnection>(mode, b"SSH-1.99-x\r\n", old);
        let lower = PeerMisbehaved::TextBeforeIdentification;
        closes::<ServerConnection>(mode, b"ssh-2.0-x\r\n", lower);
        identifies::<ClientConnection>(mode, b"SSH-1.99-x\r\n");
    });
}

/// A6: the exchange hash of a second implementation agrees, so the exact bytes are hashed.
#[test]
fn a6_odd_identifications_are_hashed_as_they_are() {
    fn test<E: Victim>(mode: Mode) {
        for ident in [
            &b"SSH-2.0-x  "[..],
            b"SSH-2.0-x a comment - with dashes ",
            b"SSH-2.0-OpenSSH_2.3.0",
            b"SSH-2.0-OpenSSH_10.5",
            b"SSH-2.0-FuTTY_Release_9.1p1",
            b"SSH-2.0-\xff\xfe\x1b",
            &[b"SSH-2.0-".as_slice(), &[b'z'; 245]].concat(),
        ] {
            let mut h = Hostile::<E>::new(mode);
            h.peer.identification = ident.to_vec();
            h.advance_to(Stage::NewKeys);
            let reported = h.connection.peer_identification().expect("read");
            assert_eq!(reported.as_bytes(), ident);
        }
        // A line feed alone ends the line; it is not hashed either.
        let mut h = Hostile::<E>::new(mode);
        h.peer.identification = b"SSH-2.0-lf".to_vec();
        h.peer.push_bytes(b"SSH-2.0-lf\n");
        h.exchange();
        assert!(h.peer.read_identification());
        h.peer.send_kexinit();
        h.exchange_answering_kex();
        if E::ROLE == ssh_proto::Role::Server {
            assert!(h.peer.session_id.is_some());
            assert_eq!(
                h.connection.session_id().map(|id| id.as_bytes()),
                h.peer.session_id.as_deref()
            );
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// A7: identification, `KEXINIT` and the next packet in one segment, split at every offset, and
/// the end of the stream at every offset.
#[test]
fn a7_every_offset() {
    fn first_flight<E: Victim>() -> Vec<u8> {
        let mut h = Hostile::<E>::new(Mode::PLAIN);
        h.exchange();
        h.peer.offer.strict = false;
        h.peer.send_identification();
        h.peer.send_kexinit();
        h.peer.drain();
        if E::ROLE == ssh_proto::Role::Server {
            h.peer.send_kex_init();
        } else {
            h.peer.send(&ssh_proto::wire::transport::Debug {
                always_display: true,
                message: b"next",
                language: b"",
            });
        }
        h.peer.take_output().to_vec()
    }
    /// What comes of the flight in these pieces: events as text, and output.
    fn run<E: Victim>(pieces: &[&[u8]], eof: bool) -> (Vec<String>, Vec<u8>) {
        let mut connection = E::fresh(Mode::PLAIN);
        let now = Instant::EPOCH + Duration::from_secs(1_000);
        let (mut events, mut out) = (Vec::new(), BytesMut::new());
        let mut step = |connection: &mut E| {
            while let Some(event) = connection.next_event() {
                events.push(match E::shared(&event) {
                    Some(event) => format!("{event:?}"),
                    None => "question".to_owned(),
                });
            }
            while connection.poll_transmit(now, &mut out).is_some() {}
        };
        step(&mut connection);
        for piece in pieces {
            connection.handle_input(now, BytesMut::from(*piece));
            step(&mut connection);
        }
        if eof {
            connection.handle_eof(now);
            step(&mut connection);
            assert!(connection.is_closed());
        }
        (events, out.to_vec())
    }
    fn test<E: Victim>() {
        let flight = first_flight::<E>();
        let whole = run::<E>(&[&flight], false);
        for at in 1..flight.len() {
            let (a, b) = flight.split_at(at);
            let (events, out) = run::<E>(&[a, b], false);
            assert_eq!(events, whole.0, "split at {at}");
            assert!(
                out == whole.1,
                "split at {at}: {} and {}",
                out.len(),
                whole.1.len()
            );
            let (events, _) = run::<E>(&[a], true);
            let terminal = events
                .iter()
                .filter(|e| e.starts_with("Disconnected"))
                .count();
            assert_eq!(terminal, 1, "{events:?}");
            assert_eq!(events.last().map(String::as_str), Some("Disconnected(Eof)"));
        }
    }
    test::<ClientConnection>();
    test::<ServerConnection>();
}

/// A8: the timer fires wherever the peer stalls; before its identification nothing is said.
#[test]
fn a8_a_stall_anywhere_ends_at_the_deadline() {
    fn test<E: Victim>(mode: Mode) {
        for stalled_at in 0..400 {
            let mut h = Hostile::<E>::new(mode);
            h.peer.send_identification();
            let ident = h.peer.take_output();
            h.exchange();
            h.peer.send_kexinit();
            let bytes = [&ident[..], &h.peer.take_output()].concat();
            let sent = &bytes[..stalled_at.min(bytes.len())];
            h.peer.push_bytes(sent);
            h.exchange();
            let deadline = h.connection.poll_timeout().expect("a deadline");
            h.now = deadline;
            h.connection.handle_timeout(deadline);
            match stalled_at < ident.len() {
                true => h.assert_closed_silently(),
                false => h.assert_disconnected(ssh_proto::error::DisconnectReason::BY_APPLICATION),
            }
            assert!(matches!(
                h.error(),
                Error::Timeout(Timer::Kex | Timer::LoginGrace)
            ));
        }
    }
    chunked(|mode| {
        test::<ClientConnection>(mode);
        test::<ServerConnection>(mode);
    });
}

/// A8: as long as the peer owes something there is a deadline, at every stage.
#[test]
fn a8_every_stage_before_success_has_a_deadline() {
    chunked(|mode| {
        for stage in [
            Stage::Start,
            Stage::Identified,
            Stage::KexInit,
            Stage::BeforeNewKeys,
            Stage::NewKeys,
            Stage::Service,
        ] {
            for partial in [0, 3, 7] {
                let mut h = Hostile::<ServerConnection>::at(stage, mode);
                h.peer.push_bytes(
                    &b"SSH-2.0"[..partial.min(if stage == Stage::Start { 7 } else { 3 })],
                );
                h.exchange();
                h.advance(Duration::from_secs(120));
                assert!(matches!(h.error(), Error::Timeout(_)), "{stage:?}");
            }
        }
    });
}

#[test]
fn a9_our_own_identification_is_checked_and_does_not_wait() {
    for bad in ["", "a b", "a\n", "a\r", "a\0", "\u{e9}", &"x".repeat(246)] {
        assert!(
            fixtures::client_config()
                .identification(bad, None)
                .build()
                .is_err()
        );
        assert!(
            fixtures::server_config()
                .identification(bad, None)
                .build()
                .is_err()
        );
    }
    assert!(
        fixtures::client_config()
            .identification("a", Some("b\nc"))
            .build()
            .is_err()
    );
    assert!(
        fixtures::client_config()
            .identification("a", Some("b c"))
            .build()
            .is_ok()
    );
    fn test<E: Victim>(mode: Mode) {
        let mut h = Hostile::<E>::new(mode);
        h.exchange();
        assert!(h.peer.read_identification(), "sent without waiting");
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}
