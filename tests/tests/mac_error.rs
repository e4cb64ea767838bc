//! Packets that are not authentic: fatal, unless a config opts in and the cipher has a MAC beside it (`MACERROR` of libssh2).

use ssh_proto::error::{ApiMisuse, DisconnectReason, Error, PeerMisbehaved};
use ssh_proto::wire::connection::ChannelData;
use ssh_proto::wire::number;
use ssh_proto::wire::transport::{Debug, Ignore};
use ssh_proto::{
    ClientConnection, ClientEvent, Connection, DataStream, Event, ForgedPacket, Instant,
    ServerConnection, ServerEvent, Timer,
};
use ssh_tests::attack::{Asked, both};
use ssh_tests::hostile::Victim;
use ssh_tests::raw::payload_of;
use ssh_tests::{Connected, Hostile, Mode, Pair, Stage, for_each_mode, read_all, take};
use std::time::Duration;

const AEADS: [&str; 3] = [
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
];
const CIPHERS: [&str; 3] = ["aes128-ctr", "aes192-ctr", "aes256-ctr"];
const MACS: [&str; 4] = [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
];

/// A connection whose config opts in.
trait Opted: Asked {
    fn opted(mode: Mode) -> Self;

    fn into_shared(event: Self::Event) -> Option<Event>;
}

impl Opted for ClientConnection {
    fn opted(mode: Mode) -> Self {
        let pair = Pair::builder(mode.without_rekeys());
        let pair = pair.client_limits(|limits| limits.decision_timeout = Some(TIMEOUT));
        pair.client(|b| b.dangerously_accept_forged_packets(true))
            .build()
            .client
    }

    fn into_shared(event: ClientEvent) -> Option<Event> {
        match event {
            ClientEvent::Shared(event) => Some(event),
            _ => None,
        }
    }
}

impl Opted for ServerConnection {
    fn opted(mode: Mode) -> Self {
        let pair = Pair::builder(mode.without_rekeys());
        pair.server(|b| b.dangerously_accept_forged_packets(true))
            .build()
            .server
    }

    fn into_shared(event: ServerEvent) -> Option<Event> {
        match event {
            ServerEvent::Shared(event) => Some(event),
            _ => None,
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(120);

fn suites() -> impl Iterator<Item = (&'static str, &'static str)> {
    CIPHERS
        .into_iter()
        .flat_map(|cipher| MACS.map(|mac| (cipher, mac)))
}

fn hostile<E: Opted>(
    connection: E,
    (cipher, mac): (&str, &str),
    stage: Stage,
    mode: Mode,
) -> Hostile<E> {
    let mut h = Hostile::with_connection(connection, mode.chunking);
    h.peer.offer.ciphers = [vec![cipher.into()], vec![cipher.into()]];
    h.peer.offer.macs = [vec![mac.into()], vec![mac.into()]];
    h.advance_to(stage);
    h.events.retain(|event| E::shared(event).is_none());
    h
}

/// A packet with `text` in it, and how long it is.
fn debug<E: Victim>(h: &mut Hostile<E>, text: &[u8]) -> Vec<u8> {
    h.peer.seal(&payload_of(&Debug {
        always_display: false,
        message: text,
        language: b"",
    }))
}

/// The event of a MAC error: what it tells, and its token.
fn mac_error<E: Opted>(h: &mut Hostile<E>) -> (u32, usize, Option<ForgedPacket>) {
    let is_mac_error = |event: &E::Event| matches!(E::shared(event), Some(Event::MacError { .. }));
    match E::into_shared(h.take_event(is_mac_error)) {
        Some(Event::MacError {
            sequence,
            length,
            forged,
        }) => (sequence, length, forged),
        _ => unreachable!(),
    }
}

fn messages<E: Opted>(h: &mut Hostile<E>) -> Vec<String> {
    h.exchange();
    h.events
        .drain(..)
        .map(|event| match E::into_shared(event) {
            Some(Event::Debug { message, .. }) => message.to_string(),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Each bit of the MAC, or of what it protects: an accepted packet is handled as it came, with the
/// next one right behind it.
#[test]
fn accepted_packets_are_handled() {
    fn test<E: Opted>(mode: Mode) {
        for suite in suites() {
            let mut h = hostile(E::opted(mode), suite, Stage::NewKeys, mode);
            for round in 0..3_usize {
                let sequence = h.peer.send_sequence;
                let mut packet = debug(&mut h, b"hello");
                let length = packet.len();
                let text = match round {
                    0 => {
                        packet[length - 1] ^= 1;
                        "hello"
                    }
                    1 => {
                        let tag = length - if suite.1.contains("256") { 32 } else { 64 };
                        packet[tag] ^= 0x80;
                        "hello"
                    }
                    // Counter mode: the same bit of the text. Behind the length of the packet and
                    // of its padding come number, flag and the length of the text.
                    _ => {
                        packet[5 + 1 + 1 + 4] ^= 0x20;
                        "Hello"
                    }
                };
                // Nothing behind it is read before the verdict.
                let behind = debug(&mut h, b"behind");
                packet.extend(behind);
                h.peer.push_bytes(&packet);
                h.exchange();
                assert_eq!(h.events.len(), 1, "{:?}", h.events);
                assert!(!h.connection.wants_read());
                let (number, told, forged) = mac_error(&mut h);
                assert_eq!((number, told), (sequence, length), "{suite:?}");
                h.connection.accept_forged(forged.unwrap()).unwrap();
                assert_eq!(messages(&mut h), [text, "behind"], "{suite:?}");
                assert_eq!(h.ended, None);
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// B5, B7: an AEAD cipher never offers the choice, nor does a config that has not opted in.
#[test]
fn b5_there_is_no_token_for_aead_or_by_default() {
    fn refused<E: Opted>(mut h: Hostile<E>) {
        let mut packet = debug(&mut h, b"hello");
        let last = packet.len() - 1;
        packet[last] ^= 1;
        h.refuses(5, |peer| peer.push_bytes(&packet));
        let (_, length, forged) = mac_error(&mut h);
        assert_eq!(length, packet.len());
        assert!(forged.is_none());
        assert_eq!(*h.error(), PeerMisbehaved::BadMac.into());
    }
    fn test<E: Opted>(mode: Mode) {
        for cipher in AEADS {
            let suite = (cipher, MACS[0]);
            refused(hostile(E::opted(mode), suite, Stage::NewKeys, mode));
        }
        for suite in suites() {
            refused(hostile(E::fresh(mode), suite, Stage::NewKeys, mode));
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// Dropping the token, and leaving it unanswered for too long, ends the connection; so do the
/// calls of someone else's token or one that comes too late.
#[test]
fn b5_the_safe_answer_is_the_end() {
    fn test<E: Opted>(mode: Mode) {
        let forge = |stage, mac| {
            let suite = (CIPHERS[0], mac);
            let mut h = hostile(E::opted(mode), suite, stage, mode);
            let mut packet = debug(&mut h, b"hello");
            let last = packet.len() - 1;
            packet[last] ^= 1;
            h.peer.push_bytes(&packet);
            h.exchange();
            let forged = mac_error(&mut h).2.unwrap();
            (h, forged)
        };
        for mac in MACS {
            let (mut h, forged) = forge(Stage::Authenticated, mac);
            drop(forged);
            h.assert_disconnected(DisconnectReason::MAC_ERROR);
            assert_eq!(*h.error(), PeerMisbehaved::BadMac.into());
            assert_eq!(h.events.len(), 1);
        }
        let (mut h, forged) = forge(Stage::NewKeys, MACS[0]);
        let (mut other, unanswered) = forge(Stage::Authenticated, MACS[2]);
        assert_eq!(
            other.connection.accept_forged(forged),
            Err(ApiMisuse::ForeignToken)
        );
        h.assert_disconnected(DisconnectReason::MAC_ERROR);
        other.advance(TIMEOUT);
        assert_eq!(*other.error(), Error::Timeout(Timer::Decision));
        assert_eq!(
            other.connection.accept_forged(unanswered),
            Err(ApiMisuse::StaleToken)
        );
        // The end of the transport behind it is not the end before the verdict.
        let (mut h, forged) = forge(Stage::NewKeys, MACS[1]);
        h.events.clear();
        h.eof();
        assert_eq!(h.ended, None);
        h.connection.accept_forged(forged).unwrap();
        h.exchange();
        assert!(matches!(
            h.events.pop_front().and_then(E::into_shared),
            Some(Event::Debug { .. })
        ));
        assert!(h.ended.is_some());
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// An accepted packet is judged like any other: by its frame, by the phase, by its layer.
#[test]
fn accepted_packets_are_judged_as_any_other() {
    fn test<E: Opted>(mode: Mode) {
        for mac in MACS {
            let forge = |stage, payload: &[u8], flip: Option<usize>| {
                let mut h = hostile(E::opted(mode), (CIPHERS[2], mac), stage, mode);
                let mut packet = h.peer.seal(payload);
                let last = packet.len() - 1;
                packet[flip.unwrap_or(last)] ^= 0xff;
                h.peer.push_bytes(&packet);
                h.exchange();
                let forged = mac_error(&mut h).2.unwrap();
                h.connection.accept_forged(forged).unwrap();
                h
            };
            // A channel message before authentication.
            let mut h = forge(Stage::NewKeys, &[number::CHANNEL_OPEN], None);
            h.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
            // A padding length that leaves no payload.
            let ignore = payload_of(&Ignore { data: b"x" });
            let mut h = forge(Stage::NewKeys, &ignore, Some(4));
            h.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
            assert_eq!(*h.error(), PeerMisbehaved::BadPaddingLength.into());
            // Channel data, where there is a channel.
            let data = payload_of(&ChannelData {
                recipient: 0,
                data: b"data",
            });
            let mut h = forge(Stage::Channel, &data, None);
            h.exchange();
            let channel = h.channel.unwrap();
            let chunk = h.connection.read(channel).unwrap().unwrap();
            assert_eq!(&chunk.bytes[..], b"data");
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// In the middle of a key exchange, whose deadline does not run while the application decides.
#[test]
fn accepted_within_a_key_exchange() {
    fn test<E: Opted>(mode: Mode) {
        for mac in [MACS[0], MACS[3]] {
            let suite = (CIPHERS[1], mac);
            let mut h = hostile(E::opted(mode), suite, Stage::Authenticated, mode);
            let mut packet = {
                let init = h.peer.make_kexinit();
                h.peer.our_kexinit = Some(init.clone());
                h.peer.seal(&init)
            };
            let last = packet.len() - 1;
            packet[last] ^= 1;
            h.peer.push_bytes(&packet);
            h.exchange();
            let forged = mac_error(&mut h).2.unwrap();
            h.advance(Duration::from_secs(100));
            assert_eq!(h.ended, None);
            h.connection.accept_forged(forged).unwrap();
            h.exchange();
            h.peer.expect(number::KEXINIT);
            let now: Instant = h.now;
            assert!(h.connection.poll_timeout().is_some_and(|at| at > now));
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// Both sides of our own: packets of either direction lose their MAC on the way, those of key
/// exchange among them, and the session goes on with what they carry.
#[test]
fn a_session_survives_what_it_accepts() {
    const ROUNDS: usize = 24;
    /// Sends what there is, the last packet with another MAC.
    fn forge(connection: &mut impl Connection, now: Instant, link: &mut ssh_tests::Link) {
        let mut out = bytes::BytesMut::new();
        while connection.poll_transmit(now, &mut out).is_some() {}
        *out.last_mut().expect("something to send") ^= 1;
        link.push(now, out);
    }
    for_each_mode(|mode| {
        for mac in [MACS[0], MACS[2]] {
            let mut c = Connected::of(
                Pair::builder(mode)
                    .client(|b| b.ciphers(["aes128-ctr"]).macs([mac]))
                    .client(|b| b.dangerously_accept_forged_packets(true))
                    .server(|b| b.dangerously_accept_forged_packets(true)),
            );
            let (at_client, at_server) = c.open();
            for _ in 0..ROUNDS {
                let (now, data) = (c.pair.now, [7; 300]);
                let client = &mut c.pair.client;
                assert_eq!(client.write(at_client, DataStream::Data, &data), Ok(300));
                forge(client, now, &mut c.pair.to_server);
                c.run();
                let forged = take!(
                    c.server.events,
                    ServerEvent::Shared(Event::MacError { forged, .. }) => forged
                );
                c.pair.server.accept_forged(forged.unwrap()).unwrap();
                c.run();
                assert_eq!(read_all(&mut c.pair.server, at_server).0, data);
                let server = &mut c.pair.server;
                assert_eq!(server.write(at_server, DataStream::Data, &data), Ok(300));
                forge(server, now, &mut c.pair.to_client);
                c.run();
                let forged = take!(
                    c.client.events,
                    ClientEvent::Shared(Event::MacError { forged, .. }) => forged
                );
                c.pair.client.accept_forged(forged.unwrap()).unwrap();
                c.run();
                assert_eq!(read_all(&mut c.pair.client, at_client).0, data);
            }
            let rekeyed = c.client.count("KeysChanged") > 0;
            assert_eq!(rekeyed, mode.rekeys());
        }
    });
}
