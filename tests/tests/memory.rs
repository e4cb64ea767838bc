//! Memory under a counting allocator (N1, U4): what is held is bounded by what was received and by named limits, never by what a peer claims.
//!
//! No modes: what is counted depends on how bytes are cut and keys replaced, and each bound is one of
//! a single way.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use ssh_proto::agent::AgentClient;
use ssh_proto::wire::number;
use ssh_proto::{
    ChannelKind, ClientConnection, Connection, DataStream, Event, Limits, MethodSet, OpenFailure,
    Prompt, Prompts, ServerConnection, ServerEvent,
};
use ssh_tests::agent::frame;
use ssh_tests::attack::{F, message};
use ssh_tests::hostile::Victim;
use ssh_tests::{AgentPair, Connected, Hostile, Mode, Pair, Stage, take};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards to the system's allocator and only counts beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests run one at a time: the counters are of the whole process.
static TURN: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How much the live memory grows by this, and how much it grows at most on the way.
fn growth<T>(what: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let value = what();
    let after = LIVE.load(Ordering::Relaxed);
    let peak = PEAK.load(Ordering::Relaxed);
    (
        value,
        after.saturating_sub(before),
        peak.saturating_sub(before),
    )
}

/// U4, s8_13: a packet that claims the most allocates nothing for it.
fn claims<E: Victim>(stage: Stage, claim: u32) {
    let mut hostile = Hostile::<E>::at(stage, Mode::PLAIN);
    let mut bytes = BytesMut::from(&claim.to_be_bytes()[..]);
    bytes.extend_from_slice(&[0; 60]);
    hostile.connection.handle_input(hostile.now, bytes);
    let ((), _, peak) = growth(|| while hostile.connection.next_event().is_some() {});
    assert!(peak < 16_000, "{peak} bytes for a claim of {claim}");
}

#[test]
fn u4_claimed_lengths() {
    let _turn = alone();
    for claim in [34_996, 35_000, 262_144, 0x7fff_ffff, 0xffff_fff0, u32::MAX] {
        claims::<ServerConnection>(Stage::Identified, claim);
        claims::<ClientConnection>(Stage::Identified, claim);
    }
}

/// s8_13: counts and lengths within messages, at their maxima.
#[test]
fn s8_13_lengths_at_their_maxima() {
    let _turn = alone();
    let max = [0xff; 4];
    let kexinit = |at: usize| {
        let mut payload = vec![number::KEXINIT];
        payload.extend([0; 16]);
        for _ in 0..at {
            payload.extend([0, 0, 0, 4]);
            payload.extend(b"none");
        }
        payload.extend(max);
        payload.extend([0; 40]);
        payload
    };
    for list in 0..10 {
        let mut hostile = Hostile::<ServerConnection>::at(Stage::Identified, Mode::PLAIN);
        hostile.peer.send_payload(&kexinit(list));
        let (_, _, peak) = growth(|| hostile.exchange());
        assert!(hostile.ended.is_some());
        assert!(peak < 16_000, "{peak}");
    }
    let ext_info = [&[number::EXT_INFO][..], &max, &[0; 40]].concat();
    let open = [&[number::CHANNEL_OPEN][..], &max, b"session", &[0; 12]].concat();
    let request = [&[number::CHANNEL_REQUEST, 0, 0, 0, 0][..], &max, b"exec"].concat();
    let data = [&[number::CHANNEL_DATA, 0, 0, 0, 0][..], &max, b"data"].concat();
    let debug = [&[number::DEBUG, 1][..], &max, b"text"].concat();
    let global = [&[number::GLOBAL_REQUEST][..], &max, b"name"].concat();
    for (stage, payload) in [
        (Stage::NewKeys, ext_info),
        (Stage::Channel, open),
        (Stage::Channel, request),
        (Stage::Channel, data),
        (Stage::Channel, debug),
        (Stage::Channel, global),
    ] {
        let mut hostile = Hostile::<ServerConnection>::at(stage, Mode::PLAIN);
        hostile.peer.send_payload(&payload);
        let (_, _, peak) = growth(|| hostile.exchange());
        assert!(hostile.ended.is_some(), "{payload:?}");
        assert!(peak < 16_000, "{peak}");
    }
}

/// s8_13: counts of what authentication asks and answers, at their maxima: the claim alone, the
/// claim with a little behind it, and what may really be there.
#[test]
fn s8_13_prompts_at_their_maximum() {
    let _turn = alone();
    let prompt = [F::S(b"?"), F::B(0)];
    let info_request = |claimed: u32, there: usize| {
        let head = [F::S(b""), F::S(b""), F::S(b""), F::U(claimed)];
        message(60, &[&head[..], &prompt.repeat(there)].concat())
    };
    for (claimed, there) in [(u32::MAX, 0), (u32::MAX, 3), (101, 101), (0x00ff_ffff, 100)] {
        let mut h = Hostile::<ClientConnection>::at(Stage::Service, Mode::PLAIN);
        h.answer_turn(|client, turn| client.auth_keyboard_interactive(turn, ""));
        h.peer.send_payload(&info_request(claimed, there));
        let (_, _, peak) = growth(|| h.exchange());
        assert!(h.ended.is_some());
        assert!(peak < 16_000, "{peak} for {claimed} prompts");
    }
    let mut h = Hostile::<ClientConnection>::at(Stage::Service, Mode::PLAIN);
    h.answer_turn(|client, turn| client.auth_keyboard_interactive(turn, ""));
    h.peer.send_payload(&info_request(100, 100));
    let (_, kept, peak) = growth(|| h.exchange());
    assert!(h.ended.is_none());
    assert!(kept < 16_000 && peak < 32_000, "{kept}, {peak} at most");

    let request = |method: &[u8], rest: &[F<'_>]| {
        let head = [F::S(b"ferris"), F::S(b"ssh-connection"), F::S(method)];
        message(50, &[&head, rest].concat())
    };
    let methods = MethodSet::KEYBOARD_INTERACTIVE | MethodSet::GSSAPI_WITH_MIC;
    for claimed in [u32::MAX, 0x00ff_ffff, 101] {
        for gssapi in [false, true] {
            let server = Pair::builder(Mode::PLAIN).server(|config| config.auth_methods(methods));
            let mut h = Hostile::with_connection(server.build().server, Mode::PLAIN.chunking);
            h.advance_to(Stage::Service);
            let payload = match gssapi {
                true => request(b"gssapi-with-mic", &[F::U(claimed), F::S(b"\x06\x01\x2a")]),
                false => {
                    h.send_payload(&request(b"keyboard-interactive", &[F::S(b""), F::S(b"")]));
                    match h.take_event(|event| matches!(event, ServerEvent::Auth(_))) {
                        ServerEvent::Auth(request) => {
                            let prompts = vec![Prompt::new("?", false); 100];
                            let prompts = Prompts::new("", "", prompts);
                            h.connection.prompt_auth(request, &prompts).unwrap();
                        }
                        _ => unreachable!(),
                    }
                    h.exchange();
                    message(61, &[F::U(claimed), F::S(b"x")])
                }
            };
            h.events.clear();
            h.peer.send_payload(&payload);
            let (_, _, peak) = growth(|| h.exchange());
            assert!(
                h.events
                    .iter()
                    .all(|event| !matches!(event, ServerEvent::Auth(_)))
            );
            assert!(peak < 16_000, "{peak} for {claimed}");
        }
    }
}

/// s8_13: frames of the agent protocol, and the lists in them, at their maxima.
#[test]
fn s8_13_agent_frames_at_their_maximum() {
    let _turn = alone();
    for claim in [256 << 10, (256 << 10) + 1, 0x7fff_ffff, u32::MAX] {
        let mut head = claim.to_be_bytes().to_vec();
        head.extend([12, 0xff, 0xff, 0xff, 0xff]);
        let mut pair = AgentPair::default();
        let (_, _, peak) = growth(|| {
            pair.server.handle_input(&head);
            pair.client.handle_input(&head);
            let served = pair.server.poll_event(&mut pair.keyring, pair.now);
            let asked = pair.client.poll_event();
            let fits = claim <= 256 << 10;
            assert_eq!((served.is_ok(), asked.is_ok()), (fits, fits));
        });
        assert!(peak < 4_000, "{peak} for a frame of {claim}");
    }
    for claimed in [u32::MAX, 2048, 2049] {
        let mut client = AgentClient::new();
        client.identities().unwrap();
        let list = message(12, &[F::U(claimed), F::S(b"x"), F::S(b"y")]);
        let (_, _, peak) = growth(|| {
            client.handle_input(&frame(&list));
            assert!(client.poll_event().unwrap().unwrap().result.is_err());
        });
        assert!(peak < 4_000, "{peak} for a list of {claimed}");
    }
    // Byte strings in requests: of a key, of what is to be signed, of a passphrase.
    for number in [11, 13, 17, 18, 19, 22, 23, 25, 27] {
        let mut pair = AgentPair::default();
        let request = frame(&message(number, &[F::U(u32::MAX), F::Raw(&[0; 40])]));
        let (_, _, peak) = growth(|| {
            pair.server.handle_input(&request);
            while pair.serve().unwrap().is_some() {}
        });
        assert!(peak < 8_000, "{peak} for request {number}");
    }
}

/// N1: handed over and never parsed.
#[test]
fn n1_input_without_polling() {
    let _turn = alone();
    let limit = Limits::default().buffered_input;
    for piece in [1 << 10, 64 << 10] {
        let mut hostile = Hostile::<ServerConnection>::at(Stage::Channel, Mode::PLAIN);
        let (_, _, peak) = growth(|| {
            for _ in 0..(4 * limit / piece) {
                hostile
                    .connection
                    .handle_input(hostile.now, BytesMut::zeroed(piece));
            }
        });
        assert!(peak < limit * 2, "{peak} bytes for pieces of {piece}");
    }
}

/// N1: bytes that arrive one by one, in memory of their own, are not kept so.
#[test]
fn n1_tiny_pieces() {
    let _turn = alone();
    let mut hostile = Hostile::<ServerConnection>::at(Stage::Channel, Mode::PLAIN);
    let count = 200_000;
    let (_, kept, _) = growth(|| {
        for _ in 0..count {
            hostile
                .connection
                .handle_input(hostile.now, BytesMut::from(&[0][..]));
        }
    });
    assert!(kept < count * 3, "{kept} bytes for {count}");
}

/// N1: data that the application does not read is bounded by the window, even as crumbs of large
/// reads.
#[test]
fn n1_unread_data() {
    let _turn = alone();
    let mut c = Connected::new(Mode::PLAIN);
    let (at_client, at_server) = c.open();
    let window = Limits::default().window_size as usize;
    let (_, kept, _) = growth(|| {
        for _ in 0..3 * window / (64 << 10) {
            let _ = c
                .pair
                .client
                .write(at_client, DataStream::Data, &[7; 64 << 10]);
            c.run();
        }
    });
    assert_eq!(c.pair.server.readable_bytes(at_server), Ok(window));
    let bound = window * 3 / 2 + Limits::default().channel_send_buffer + (256 << 10);
    assert!(kept < bound, "{kept} bytes for a window of {window}");
}

/// N1: three gigabytes offered to a closed window.
#[test]
fn n1_writes_into_a_closed_window() {
    let _turn = alone();
    let mut hostile = Hostile::<ServerConnection>::at(Stage::Channel, Mode::PLAIN);
    let channel = hostile.channel.unwrap();
    let block = vec![0; 1 << 20];
    let (accepted, kept, _) = growth(|| {
        let mut accepted = 0;
        for _ in 0..3 << 10 {
            accepted += hostile
                .connection
                .write(channel, DataStream::Data, &block)
                .unwrap();
        }
        accepted
    });
    let buffer = Limits::default().channel_send_buffer;
    assert_eq!(accepted, buffer);
    assert!(kept < buffer * 2, "{kept}");
}

/// H3: what is closed or refused is gone: a thousand channels later as much is held as before.
#[test]
fn h3_memory_returns() {
    let _turn = alone();
    let mut c = Connected::new(Mode::PLAIN);
    let round = |c: &mut Connected| {
        let (at_client, _) = c.open();
        c.pair.client.close_channel(at_client).unwrap();
        c.run();
        // Refused in words, and by being dropped.
        for _ in 0..2 {
            c.pair.client.open_channel(&ChannelKind::Session).unwrap();
        }
        c.run();
        let open = take!(c.server.events, ServerEvent::Shared(Event::ChannelOpen(o)) => o);
        let reason = OpenFailure::CONNECT_FAILED;
        c.pair.server.reject_channel(open, reason, "no").unwrap();
        c.server.events.clear();
        c.run();
        assert_eq!(c.client.count("ChannelOpenFailed"), 2);
        c.client.events.clear();
    };
    for _ in 0..20 {
        round(&mut c);
    }
    let ((), kept, _) = growth(|| {
        for _ in 0..1_000 {
            round(&mut c);
        }
    });
    // The test runner itself allocates a little meanwhile; a channel that stayed would be seen.
    assert!(kept < 50_000, "{kept} bytes kept");
}

/// An idle connection is small.
#[test]
fn idle_connections_are_small() {
    let _turn = alone();
    let hostile = Hostile::<ServerConnection>::at(Stage::Authenticated, Mode::PLAIN);
    let Hostile { connection, .. } = hostile;
    let before = LIVE.load(Ordering::Relaxed);
    drop(connection);
    let heap = before - LIVE.load(Ordering::Relaxed);
    let whole = heap + size_of::<ServerConnection>();
    println!("{heap} bytes on the heap and {} in place", whole - heap);
    assert!(whole < 12_000, "{whole} bytes");
    assert!(size_of::<ServerEvent>() < 400);
}

/// Unread bytes that came in reads of their own keep no arena alive each.
#[test]
fn n1_unread_bytes_pin_little_memory() {
    const ARENA: usize = 256 << 10;
    const BYTES: usize = 500;
    let _alone = alone();
    let mut it = Connected::new(Mode::PLAIN);
    let (at_client, at_server) = it.open();
    let now = it.pair.now;
    let (client, server) = (&mut it.pair.client, &mut it.pair.server);
    let ((), held, _) = growth(|| {
        for _ in 0..BYTES {
            server.write(at_server, DataStream::Data, b"x").unwrap();
            let mut arena = BytesMut::with_capacity(ARENA);
            while server.poll_transmit(now, &mut arena).is_some() {}
            let len = arena.len();
            arena.resize(ARENA, 0);
            client.handle_input(now, arena.split_to(len));
            while client.poll_event().is_some() {}
        }
    });
    assert_eq!(client.readable_bytes(at_client), Ok(BYTES));
    assert!(held < 4 * ARENA, "{held} bytes held for {BYTES}");
}
