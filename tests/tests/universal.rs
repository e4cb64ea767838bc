//! The universal invariants, each by its number; all other tests assert them too, through `Pair` and `Hostile`.

use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::crypto::{CryptoProvider, HashOutput, KexAlgorithm, SecureRandom, SharedSecret};
use ssh_proto::error::{ApiMisuse, CryptoError, DisconnectReason, Error};
use ssh_proto::wire::connection as wire;
use ssh_proto::wire::extension::Ping;
use ssh_proto::wire::number;
use ssh_proto::{
    ChannelKind, ClientConnection, ClientEvent, Connection, Disconnected, Event, IncomingChannel,
    Instant, ServerConnection, ServerEvent,
};
use ssh_tests::faults::{BrokenKex, BrokenKey};
use ssh_tests::hostile::Victim;
use ssh_tests::raw::payload_of;
use ssh_tests::rng::FailingRng;
use ssh_tests::{
    Chunking, ClientApp, Credential, Hostile, Job, Link, Mode, Pair, ServerApp, Stage, TestRng,
    fixtures, for_each_chunking, for_each_mode, take,
};

const STAGES: [Stage; 8] = [
    Stage::Start,
    Stage::Identified,
    Stage::KexInit,
    Stage::BeforeNewKeys,
    Stage::NewKeys,
    Stage::Service,
    Stage::Authenticated,
    Stage::Channel,
];

/// U1: whatever a peer sends in whatever stage, well sealed or not, the connection answers, ignores
/// or ends.
#[test]
fn u1_no_input_panics() {
    fn check<E: Victim>(stage: Stage, seed: u64, mode: Mode) {
        let mut rng = TestRng::new(seed);
        let mut hostile = Hostile::<E>::at(stage, mode);
        for _ in 0..40 {
            match rng.below(4) {
                // Noise.
                0 if rng.below(8) == 0 => {
                    let len = rng.below(200);
                    let noise = rng.bytes(len);
                    hostile.peer.push_bytes(&noise);
                }
                // A message number that exists, with noise behind it.
                1 => {
                    let numbers = [1, 2, 3, 4, 5, 6, 7, 20, 21, 30, 31, 50, 51, 52, 53, 60, 61];
                    let number = match rng.below(2) {
                        0 => numbers[rng.below(numbers.len())],
                        _ => 80 + rng.below(21) as u8,
                    };
                    let len = rng.below(60);
                    let body = rng.bytes(len);
                    hostile.peer.send_payload(&[&[number][..], &body].concat());
                }
                // A message on the first channel, small numbers in its fields.
                2 => {
                    let mut payload = vec![93 + rng.below(8) as u8];
                    for _ in 0..rng.below(5) {
                        payload.extend([0, 0, 0, rng.below(6) as u8]);
                    }
                    hostile.peer.send_payload(&payload);
                }
                _ => {
                    let known: &[&[u8]] = &[
                        &payload_of(&wire::ChannelData {
                            recipient: 0,
                            data: b"data",
                        }),
                        &payload_of(&wire::ChannelEof { recipient: 0 }),
                        &payload_of(&Ping { data: b"x" }),
                        &payload_of(&wire::ChannelWindowAdjust {
                            recipient: 0,
                            bytes: 1,
                        }),
                        &hostile.peer.make_kexinit(),
                    ];
                    let mut payload = known[rng.below(known.len())].to_vec();
                    if rng.below(2) == 0 {
                        let at = rng.below(payload.len());
                        payload[at] ^= 1 << rng.below(8);
                    }
                    hostile.peer.send_payload(&payload);
                }
            }
            hostile.exchange();
            hostile.events.clear();
            if hostile.ended.is_some() {
                break;
            }
        }
        hostile.advance(Duration::from_secs(200));
    }
    for_each_chunking(|mode| {
        for seed in 0..25 {
            for stage in STAGES {
                println!("{stage:?} {seed}");
                check::<ClientConnection>(stage, seed, mode);
                check::<ServerConnection>(stage, seed, mode);
            }
        }
    });
}

/// U2 in short; `invariance.rs` has it at length.
#[test]
fn u2_chunking_changes_nothing() {
    let outcome = |chunking| {
        let mut pair = Pair::new(Mode {
            chunking,
            ..Mode::PLAIN
        });
        let mut client = ClientApp::new([Job::with_input("echo", vec![8; 2_000])]);
        let mut server = ServerApp::new();
        pair.run(&mut client, &mut server);
        let id = pair.client.session_id().cloned();
        (client.results, client.exchanges, server.exchanges, id)
    };
    let whole = outcome(Chunking::Whole);
    assert_eq!(whole, outcome(Chunking::ByteAtATime));
    for seed in 0..5 {
        assert_eq!(whole, outcome(Chunking::Random(seed)));
    }
}

/// U3: one terminal event and at most one DISCONNECT, whatever happens around the end.
#[test]
fn u3_one_end() {
    fn check<E: Victim>(stage: Stage, mode: Mode) {
        for end in 0..5 {
            let mut hostile = Hostile::<E>::at(stage, mode);
            let goodbye = DisconnectReason::BY_APPLICATION;
            match end {
                0 => hostile.connection.disconnect(hostile.now, goodbye, "one"),
                1 => hostile.peer.send_payload(&[0]),
                2 => hostile.peer.send_payload(&[number::DISCONNECT]),
                3 => hostile.connection.handle_eof(hostile.now),
                _ => hostile
                    .connection
                    .handle_input(hostile.now, BytesMut::zeroed(9 << 20)),
            }
            // Everything else at once, behind it.
            hostile.connection.disconnect(hostile.now, goodbye, "two");
            hostile.peer.send_payload(&[0]);
            hostile.peer.send_payload(&[number::DISCONNECT]);
            hostile.exchange();
            hostile.connection.handle_eof(hostile.now);
            hostile.connection.disconnect(hostile.now, goodbye, "three");
            hostile.advance(Duration::from_secs(4_000));
            if hostile.peer.read_identification() {
                hostile.peer.drain();
            }
            assert!(
                hostile.peer.disconnects.len() <= 1,
                "{:?}",
                hostile.peer.disconnects
            );
            assert!(hostile.ended.is_some() && hostile.connection.is_closed());
            let ends = hostile
                .events
                .iter()
                .filter(|e| E::terminal(e).is_some())
                .count();
            assert_eq!(ends, 1);
        }
    }
    for_each_chunking(|mode| {
        for stage in STAGES {
            check::<ClientConnection>(stage, mode);
            check::<ServerConnection>(stage, mode);
        }
    });
}

/// U3: channels that end with the connection do not speak after it.
#[test]
fn u3_no_event_behind_the_last() {
    for_each_mode(|mode| {
        let mut c = ssh_tests::Connected::new(mode);
        let (at_client, at_server) = c.open();
        let stream = ssh_proto::DataStream::Data;
        c.pair.server.write(at_server, stream, b"unread").unwrap();
        c.run();
        c.pair
            .client
            .write(at_client, stream, &[0; 100_000])
            .unwrap();
        c.pair.client.close_channel(at_client).unwrap();
        let now = c.pair.now;
        c.pair
            .client
            .disconnect(now, DisconnectReason::BY_APPLICATION, "");
        // `Pair` asserts that nothing follows.
        c.run();
        let _ = c.pair.client.read(at_client);
        c.run();
        assert_eq!(c.pair.client_end(), Some(&Disconnected::ByApplication));
        assert!(matches!(
            c.pair.server_end(),
            Some(Disconnected::ByPeer { .. })
        ));
    });
}

/// U5: each byte costs a bounded number of steps: polls end, and events are no more than packets
/// allow. No modes: the steps of each single byte are counted; `Pair` counts under all modes.
#[test]
fn u5_work_is_bounded() {
    let mut pair = Pair::new(Mode::PLAIN);
    pair.record();
    pair.run(
        &mut ClientApp::new([Job::with_input("echo", vec![1; 2_000])]),
        &mut ServerApp::new(),
    );
    let (client, _) = pair.transcripts();
    let config = fixtures::server_config().build().unwrap();
    let now = Instant::EPOCH;
    let mut server = ServerConnection::new(&config, Box::new(TestRng::new(3)), now).unwrap();
    let mut link = Link::new(Chunking::ByteAtATime);
    link.push(now, BytesMut::from(&client.sent[..]));
    while let Some(byte) = link.pull(now) {
        server.handle_input(now, byte);
        let events = std::iter::from_fn(|| server.poll_event()).take(10).count();
        assert!(events < 4, "{events} events of one byte");
        let mut out = BytesMut::new();
        let packets = std::iter::from_fn(|| server.poll_transmit(now, &mut out))
            .take(10)
            .count();
        assert!(packets < 4, "{packets} transmits of one byte");
        assert!(server.poll_event().is_none() || server.is_closed());
    }
}

/// U6: what the peer makes us queue is capped; see `limits.rs` for each queue.
#[test]
fn u6_queues_are_capped() {
    for_each_chunking(|mode| {
        let mut hostile = Hostile::<ServerConnection>::at(Stage::Channel, mode);
        let ping = payload_of(&Ping { data: &[0; 20_000] });
        let mut link = Link::new(mode.chunking);
        let mut taken = 0;
        while hostile.connection.wants_read() {
            let packet = hostile.peer.seal(&ping);
            link.push(hostile.now, BytesMut::from(&packet[..]));
            while let Some(piece) = link.pull(hostile.now) {
                hostile.connection.handle_input(hostile.now, piece);
            }
            while hostile.connection.poll_event().is_some() {}
            taken += 1;
            assert!(taken < 100, "reading goes on without end");
        }
        assert_eq!(hostile.ended, None);
    });
}

/// U7: nothing of the connection layer happens before authentication, and a client says nothing of
/// itself before the host key is accepted.
#[test]
fn u7_gates() {
    for_each_chunking(|mode| {
        // Server: each connection message before success ends it, without an event.
        for stage in [Stage::NewKeys, Stage::Service] {
            for payload in [
                payload_of(&wire::GlobalRequest {
                    kind: wire::GlobalRequestKind::Keepalive(()),
                    want_reply: true,
                }),
                payload_of(&wire::ChannelOpen {
                    kind: wire::ChannelOpenKind::Session(()),
                    sender: 0,
                    window_size: 1 << 20,
                    max_packet_size: 1 << 15,
                }),
                payload_of(&wire::ChannelRequest {
                    recipient: 0,
                    kind: wire::ChannelRequestKind::Exec(b"id"),
                    want_reply: true,
                }),
            ] {
                let mut hostile = Hostile::<ServerConnection>::at(stage, mode);
                hostile.events.clear();
                hostile.send_payload(&payload);
                hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
                assert_eq!(hostile.events.len(), 1, "the terminal event alone");
            }
        }
        // Client: key exchange alone before the verdict, then the request for the service alone.
        let mut hostile = Hostile::<ClientConnection>::at(Stage::Identified, mode);
        hostile.peer.send_kexinit();
        hostile.exchange();
        hostile.peer.expect(number::KEXINIT);
        let init = hostile.peer.expect(number::KEX_ECDH_INIT);
        let reply = hostile.peer.make_reply(&init);
        hostile.peer.send_reply(&reply);
        hostile.peer.send_newkeys();
        hostile.exchange();
        assert_eq!(hostile.peer.drain(), []);
        let check = take!(hostile.events, ClientEvent::HostKey(check) => check);
        hostile.connection.accept_host_key(check).unwrap();
        hostile.exchange();
        let sent: Vec<u8> = hostile
            .peer
            .drain()
            .iter()
            .map(|packet| packet.number())
            .collect();
        assert_eq!(
            sent,
            [number::NEWKEYS, number::EXT_INFO, number::SERVICE_REQUEST]
        );
    });
}

/// U8: a known message with a byte too many or too few ends the connection.
#[test]
fn u8_exact_lengths() {
    fn check<E: Victim>(mode: Mode) {
        let mut payloads = vec![
            payload_of(&wire::ChannelData {
                recipient: 0,
                data: b"data",
            }),
            payload_of(&wire::ChannelWindowAdjust {
                recipient: 0,
                bytes: 1,
            }),
            payload_of(&wire::ChannelEof { recipient: 0 }),
            payload_of(&wire::ChannelClose { recipient: 0 }),
            payload_of(&wire::ChannelSuccess { recipient: 0 }),
            payload_of(&wire::ChannelRequest {
                recipient: 0,
                kind: wire::ChannelRequestKind::Signal(b"TERM"),
                want_reply: false,
            }),
            payload_of(&wire::GlobalRequest {
                kind: wire::GlobalRequestKind::CancelStreamlocalForward(b"/p"),
                want_reply: false,
            }),
            payload_of(&wire::ChannelOpen {
                kind: wire::ChannelOpenKind::Session(()),
                sender: 9,
                window_size: 100,
                max_packet_size: 100,
            }),
            vec![number::REQUEST_FAILURE],
        ];
        let mut peer = Hostile::<E>::at(Stage::Channel, mode).peer;
        payloads.push(peer.make_kexinit());
        for payload in payloads {
            for change in [-1, 1] {
                let mut payload = payload.clone();
                match change {
                    1 => payload.push(0),
                    _ if payload.len() == 1 => continue,
                    _ => drop(payload.pop()),
                }
                let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
                hostile.events.clear();
                hostile.send_payload(&payload);
                hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
                assert!(
                    matches!(
                        hostile.ended,
                        Some(Disconnected::Error(Error::InvalidMessage { .. }))
                    ),
                    "{payload:?}: {:?}",
                    hostile.ended
                );
                assert_eq!(hostile.events.len(), 1, "no event of the bad message");
            }
        }
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// U9: randomness that fails, at each point in turn: no connection, or an ended one, and never keys.
/// Rekeys are the test's own, so that it is known which of them lacks randomness.
#[test]
fn u9_random_fails() {
    for_each_chunking(|mode| {
        let client_config = fixtures::client_config().build().unwrap();
        let server_config = fixtures::server_config().build().unwrap();
        let now = Instant::EPOCH;
        for which in [true, false] {
            let mut outcomes = Vec::new();
            for successes in 0..12 {
                let mut pair =
                    Pair::from_configs(mode, &client_config, &server_config, fixtures::USER);
                let random: Box<dyn SecureRandom> = Box::new(FailingRng::new(4, successes));
                let failed = Error::Crypto(CryptoError::RandomFailed);
                if which {
                    match ClientConnection::new(&client_config, fixtures::USER, random, now) {
                        Ok(client) => pair.client = client,
                        Err(error) => {
                            assert_eq!(error, failed);
                            outcomes.push("refused");
                            continue;
                        }
                    }
                } else {
                    match ServerConnection::new(&server_config, random, now) {
                        Ok(server) => pair.server = server,
                        Err(error) => {
                            assert_eq!(error, failed);
                            outcomes.push("refused");
                            continue;
                        }
                    }
                }
                let (mut client, mut server) = (ClientApp::new([]), ServerApp::new());
                pair.run(&mut client, &mut server);
                let end = if which {
                    pair.client_end()
                } else {
                    pair.server_end()
                };
                match end {
                    Some(end) => {
                        assert_eq!(end, &Disconnected::Error(failed));
                        assert!(client.exchanges.is_empty() && server.exchanges.is_empty());
                        assert!(client.authenticated.is_none());
                        outcomes.push("ended");
                    }
                    None => {
                        assert!(client.authenticated.is_some());
                        // The next keys need more of it.
                        let mut rekeys = 0;
                        while pair.client_end().is_none() && rekeys < 20 {
                            rekeys += 1;
                            let begun = if which {
                                pair.client.rekey()
                            } else {
                                pair.server.rekey()
                            };
                            if begun.is_err() {
                                break;
                            }
                            pair.run(&mut client, &mut server);
                        }
                        assert!(rekeys < 20, "randomness ran out unnoticed");
                        outcomes.push("rekey");
                    }
                }
            }
            for outcome in ["refused", "ended", "rekey"] {
                assert!(outcomes.contains(&outcome), "{which}: {outcomes:?}");
            }
        }
    });
}

/// U9: a provider that fails within the first key exchange, so that none follows: no keys, no authentication, and it is said whose
/// fault it was.
#[test]
fn u9_crypto_fails() {
    for_each_chunking(|mode| {
        static BROKEN: [BrokenKex; 3] = [BrokenKex(0), BrokenKex(1), BrokenKex(2)];
        for (step, broken) in BROKEN.iter().enumerate() {
            let methods: Vec<&'static dyn KexAlgorithm> = vec![broken];
            let provider = CryptoProvider {
                kex: methods.into(),
                ..fixtures::provider()
            };
            let client = ssh_proto::ClientConfig::builder(provider.clone())
                .build()
                .unwrap();
            let server = ssh_proto::ServerConfig::builder(provider)
                .signing_host_key(fixtures::host_key())
                .build()
                .unwrap();
            let mut pair = Pair::from_configs(mode, &client, &server, fixtures::USER);
            let (mut c, mut s) = (ClientApp::new([]), ServerApp::new());
            pair.run(&mut c, &mut s);
            let failed = Disconnected::Error(Error::Crypto(CryptoError::Failed));
            let ends = [pair.client_end(), pair.server_end()];
            assert_eq!(ends[usize::from(step == 1)], Some(&failed), "{ends:?}");
            assert!(c.exchanges.is_empty() && s.exchanges.is_empty());
            assert_eq!((c.host_key_checks, c.authenticated), (0, None));
        }
        let broken = std::sync::Arc::new(BrokenKey(fixtures::host_key().public_key().clone()));
        let mut pair = Pair::builder(mode)
            .server(|b| b.signing_host_key(broken.clone()))
            .build();
        let mut client = ClientApp::with_credential(Credential::Key(broken), []);
        pair.run(&mut client, &mut ServerApp::new());
        let failed = Disconnected::Error(Error::Crypto(CryptoError::Failed));
        assert_eq!(pair.server_end(), Some(&failed));
        assert_eq!(client.host_key_checks, 0);
    });
}

/// U9: a hash too long to be one is still no panic.
#[test]
fn u9_outputs_out_of_range() {
    assert_eq!(
        HashOutput::new(&[1; 100]).as_ref().len(),
        HashOutput::MAX_LEN
    );
    assert_eq!(
        SharedSecret::mpint(&[]).err(),
        Some(CryptoError::InvalidPublicValue)
    );
}

/// U10 in short: the same seed, clock and input, the same bytes and events.
#[test]
fn u10_determinism() {
    let run = |seed| {
        let mut pair = Pair::new(Mode {
            seed,
            chunking: Chunking::Random(9),
            ..Mode::PLAIN
        });
        pair.record();
        pair.run(
            &mut ClientApp::new([Job::new("exit 1")]),
            &mut ServerApp::new(),
        );
        pair.transcripts()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0.sent, run(2).0.sent);
}

/// A token in hand outlives its connection: it still says what it is about, is foreign to every
/// other connection, and does nothing when it is dropped.
#[test]
fn tokens_outlive_their_connection() {
    fn opened(mode: Mode, sender: u32) -> (Hostile<ServerConnection>, IncomingChannel) {
        let mut hostile = Hostile::<ServerConnection>::at(Stage::Authenticated, mode);
        hostile.peer.drain();
        hostile.send(&wire::ChannelOpen {
            kind: wire::ChannelOpenKind::Session(()),
            sender,
            window_size: 1,
            max_packet_size: 100,
        });
        let open = take!(hostile.events, ServerEvent::Shared(Event::ChannelOpen(open)) => open);
        (hostile, open)
    }
    for_each_chunking(|mode| {
        let (first, orphan) = opened(mode, 4);
        let (also_first, dropped) = opened(mode, 5);
        drop((first, also_first));
        assert_eq!(orphan.kind(), &ChannelKind::Session);
        let (mut other, own) = opened(mode, 6);
        assert_eq!(
            orphan.id(),
            own.id(),
            "the same place in another connection"
        );
        drop(dropped);
        let answer = other.connection.accept_channel(orphan);
        assert_eq!(answer, Err(ApiMisuse::ForeignToken));
        other.exchange();
        assert_eq!(other.peer.drain(), [], "neither of them answers for `own`");
        other.connection.accept_channel(own).unwrap();
        other.exchange();
        let answer = other.peer.expect(number::CHANNEL_OPEN_CONFIRMATION);
        let answer = answer.decode::<wire::ChannelOpenConfirmation<'_>>();
        assert_eq!(answer.recipient, 6);
        assert_eq!(other.ended, None);
    });
}
