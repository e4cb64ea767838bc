//! `zlib@openssh.com` (RFC 4253 section 6.2, OpenSSH PROTOCOL section 1.2): group J of the notes, and what a context costs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use ssh_proto::crypto::{CompressionAlgorithm, Compressor, Decompressor};
use ssh_proto::error::PeerMisbehaved;
use ssh_proto::wire::kex::KexInit;
use ssh_proto::wire::{Message, number};
use ssh_proto::{
    ChannelKind, ClientConfigBuilder, ClientConnection, Connection, Error, Limits, Password,
    ServerConfigBuilder, ServerConnection,
};
use ssh_tests::attack::{Asked, F, both, message};
use ssh_tests::{
    ClientApp, Connected, Hostile, Job, Mode, Pair, ServerApp, Stage, fixtures, for_each_mode,
};

const ZLIB: &str = "zlib@openssh.com";

/// The longest payload after authentication.
const MAX_PAYLOAD: usize = 262_144;

/// Counts what this thread of tests holds.
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

fn zlib() -> &'static dyn CompressionAlgorithm {
    let provider = fixtures::provider();
    let mut all = provider.on_request.compression.iter();
    *all.find(|a| a.name() == ZLIB).expect("on request")
}

fn compressor() -> Box<dyn Compressor> {
    zlib().compressor().expect("it compresses")
}

fn inflate(context: &mut dyn Decompressor, compressed: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let inflated = context.decompress(compressed, MAX_PAYLOAD, &mut out);
    inflated.expect("a stream");
    out.to_vec()
}

fn deflate(context: &mut dyn Compressor, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    context.compress(payload, &mut out).expect("compressed");
    out.to_vec()
}

/// A connection that takes compression, and a peer that wants it for what it sends.
fn compressing<E: Role>(mode: Mode) -> Hostile<E> {
    let builder = Pair::builder(mode.without_rekeys())
        .client(|b| b.compression(["^zlib@openssh.com"]))
        .server(|b| b.compression(["^zlib@openssh.com"]));
    let mut h = Hostile::with_connection(E::of(builder.build()), mode.chunking);
    h.peer.offer.kex = vec!["curve25519-sha256".into()];
    h.peer.offer.compression[E::FROM_PEER] = vec![ZLIB.into(), "none".into()];
    h
}

trait Role: Asked {
    /// The direction of what the peer sends, client to server being the first.
    const FROM_PEER: usize;

    fn of(pair: Pair) -> Self;

    /// A client sends its password; a server reads on by itself.
    fn begin(_: &mut Hostile<Self>) {}
}

impl Role for ClientConnection {
    const FROM_PEER: usize = 1;

    fn of(pair: Pair) -> Self {
        pair.client
    }

    fn begin(h: &mut Hostile<Self>) {
        let password = Password::new(fixtures::PASSWORD);
        h.answer_turn(|client, turn| client.auth_password(turn, &password));
    }
}

impl Role for ServerConnection {
    const FROM_PEER: usize = 0;

    fn of(pair: Pair) -> Self {
        pair.server
    }
}

fn authenticated<E: Role>(mode: Mode) -> Hostile<E> {
    let mut h = compressing::<E>(mode);
    h.advance_to(Stage::Authenticated);
    h.events.clear();
    h
}

/// An `IGNORE` whose payload has so many bytes.
fn ignore(len: usize) -> Vec<u8> {
    message(number::IGNORE, &[F::S(&vec![0; len - 5])])
}

fn unimplemented(sequence: u32) -> Vec<u8> {
    message(number::UNIMPLEMENTED, &[F::U(sequence)])
}

#[test]
fn j1_a_bomb_ends_at_the_largest_payload() {
    let _turn = alone();
    fn test<E: Role>(mode: Mode) {
        let bomb = |len| deflate(&mut *compressor(), &ignore(len));
        assert!(bomb(MAX_PAYLOAD).len() * 900 < MAX_PAYLOAD);
        let mut h = authenticated::<E>(mode);
        h.ignores(|peer| peer.send_payload(&bomb(MAX_PAYLOAD)));
        for len in [MAX_PAYLOAD + 1, 16 * MAX_PAYLOAD] {
            let mut h = authenticated::<E>(mode);
            let bomb = bomb(len);
            let before = LIVE.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            h.refuses(6, |peer| peer.send_payload(&bomb));
            let peak = PEAK.load(Ordering::Relaxed) - before;
            assert!(peak < 2 * MAX_PAYLOAD + 200_000, "{peak}");
            let expected = PeerMisbehaved::BadCompression;
            assert_eq!(*h.error(), Error::PeerMisbehaved(expected));
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// J2: what is no stream, or ends it, and packets of nothing.
#[test]
fn j2_damaged_streams_end_the_connection() {
    let _turn = alone();
    fn test<E: Role>(mode: Mode) {
        let good = deflate(&mut *compressor(), &ignore(300));
        let empty = deflate(&mut *compressor(), &[]);
        let mut flipped = good.clone();
        flipped[0] ^= 1;
        for bad in [
            &flipped[..],
            &empty,
            &good[..3],
            // The end of a stream, a preset dictionary, a block of the reserved type.
            b"\x78\x9c\x03\0\0\0\0\x01",
            b"\x78\xbb\0\0\0\x01",
            b"\x78\x9c\x07",
        ] {
            let mut h = authenticated::<E>(mode);
            h.refuses(6, |peer| peer.send_payload(bad));
        }
        // Cut behind its first bytes, a packet is what is left of the message.
        let mut h = authenticated::<E>(mode);
        let mut context = compressor();
        let debug = message(number::DEBUG, &[F::B(1), F::S(b"what is said"), F::S(b"")]);
        let packet = deflate(&mut *context, &debug);
        h.refuses(2, |peer| peer.send_payload(&packet[..packet.len() / 2]));
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// J3: nothing is compressed before authentication, and everything is behind it.
#[test]
fn j3_compression_waits_for_authentication() {
    let _turn = alone();
    fn test<E: Role>(mode: Mode) {
        let mut h = compressing::<E>(mode);
        h.advance_to(Stage::Service);
        E::begin(&mut h);
        let early = deflate(&mut *compressor(), &ignore(100));
        h.refuses(2, |peer| peer.send_payload(&early));
        let mut h = authenticated::<E>(mode);
        h.refuses(6, |peer| peer.send_payload(&ignore(100)));
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
    // Plain zlib is not there to be offered.
    let client = fixtures::client_config().compression(["+zlib"]).build();
    let server = fixtures::server_config().compression(["+zlib"]).build();
    assert!(client.is_err() && server.is_err());
}

/// J4: the first packet behind `USERAUTH_SUCCESS` begins the context, and every key exchange a
/// new one; one to `none` ends it.
#[test]
fn j4_the_context_begins_anew_with_each_exchange() {
    let _turn = alone();
    fn test<E: Role>(mode: Mode) {
        let mut h = authenticated::<E>(mode);
        h.peer.drain();
        let mut context = compressor();
        for at in 0..3 {
            let sequence = h.peer.send_sequence;
            h.send_payload(&deflate(&mut *context, &[8, at]));
            assert_eq!(h.peer.drain()[0].payload, unimplemented(sequence));
        }
        // Its own messages go through the context that is there.
        let rekey = |h: &mut Hostile<E>, mut context: Option<&mut dyn Compressor>| {
            let kexinit = h.peer.make_kexinit();
            let mut deflated = |payload: &[u8]| match &mut context {
                None => payload.to_vec(),
                Some(context) => deflate(&mut **context, payload),
            };
            let wire = deflated(&kexinit);
            h.peer.send_payload(&wire);
            h.peer.note_sent_kexinit(kexinit);
            h.exchange();
            h.peer.expect(number::KEXINIT);
            match E::FROM_PEER {
                0 => {
                    let init = h.peer.make_kex_init();
                    let wire = deflated(&init);
                    h.send_payload(&wire);
                    let reply = h.peer.expect(number::KEX_ECDH_REPLY);
                    h.peer.read_kex_reply(&reply);
                }
                _ => {
                    let init = h.peer.expect(number::KEX_ECDH_INIT);
                    let reply = h.peer.make_reply(&init);
                    let reply = message(
                        number::KEX_ECDH_REPLY,
                        &[
                            F::S(&reply.host_key),
                            F::S(&reply.public),
                            F::S(&reply.signature),
                        ],
                    );
                    let wire = deflated(&reply);
                    h.send_payload(&wire);
                }
            }
            h.peer.expect(number::NEWKEYS);
            let wire = deflated(&[number::NEWKEYS]);
            h.peer.send_payload(&wire);
            h.peer.seal_with_new_keys();
            h.exchange();
            assert_eq!(h.ended, None);
        };
        for _ in 0..2 {
            rekey(&mut h, Some(&mut *context));
            context = compressor();
            let sequence = h.peer.send_sequence;
            h.send_payload(&deflate(&mut *context, &[8]));
            assert_eq!(h.peer.drain()[0].payload, unimplemented(sequence));
        }
        // To none.
        h.peer.offer.compression[E::FROM_PEER] = vec!["none".into()];
        rekey(&mut h, Some(&mut *context));
        h.does_not_know(&[8]);
        // Begun again by a later one, at once: authentication is long past.
        h.peer.offer.compression[E::FROM_PEER] = vec![ZLIB.into()];
        rekey(&mut h, None);
        let sequence = h.peer.send_sequence;
        h.send_payload(&deflate(&mut *compressor(), &[8]));
        assert_eq!(h.peer.drain()[0].payload, unimplemented(sequence));
        // A context that goes on is not understood.
        let mut h = authenticated::<E>(mode);
        let mut context = compressor();
        h.peer.drain();
        rekey(&mut h, Some(&mut *context));
        let wire = deflate(&mut *context, &ignore(50));
        h.refuses(6, |peer| peer.send_payload(&wire));
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

type Client = fn(ClientConfigBuilder) -> ClientConfigBuilder;
type Server = fn(ServerConfigBuilder) -> ServerConfigBuilder;

/// J4 of both sides as they are, in both directions and in one, under every mode.
#[test]
fn j4_sessions_are_compressed() {
    let _turn = alone();
    let cases: [(Client, Server, [bool; 2]); 4] = [
        (
            |b| b.compression([ZLIB, "none"]),
            |b| b.compression(["none", ZLIB]),
            [true, true],
        ),
        (
            |b| b.compression_client_to_server([ZLIB]),
            |b| b.compression(["+zlib@openssh.com"]),
            [true, false],
        ),
        (
            |b| b.compression_server_to_client(["^zlib@openssh.com"]),
            |b| b.compression_server_to_client([ZLIB]),
            [false, true],
        ),
        // The client decides, and did not ask.
        (
            |b| b,
            |b| b.compression(["^zlib@openssh.com"]),
            [false, false],
        ),
    ];
    for_each_mode(|mode| {
        for (client, server, compressed) in cases {
            let mut pair = Pair::builder(mode)
                .client(|b| client(b.kex(["curve25519-sha256"])))
                .server(server)
                .build();
            let text = b"all work and no play ".repeat(mode.bulk(200_000) / 21);
            let job = Job::with_input("echo", text.clone());
            let mut app = ClientApp::new([job]).then_disconnect();
            pair.run(&mut app, &mut ServerApp::new());
            assert!(app.results[0].stdout == text && app.results[0].closed);
            for negotiated in &app.exchanges {
                let suites = [negotiated.client_to_server, negotiated.server_to_client];
                for (suite, compressed) in suites.into_iter().zip(compressed) {
                    assert_eq!(suite.compression, if compressed { ZLIB } else { "none" });
                }
            }
            if !mode.rekeys() {
                let wire = [pair.to_server.total(), pair.to_client.total()];
                for (bytes, compressed) in wire.into_iter().zip(compressed) {
                    let is_small = bytes < 10_000 + text.len() as u64 / 10;
                    assert_eq!(is_small, compressed, "{bytes} of {}", text.len());
                }
            }
        }
    });
}

/// Windows count what is said, not what it is compressed to.
#[test]
fn windows_count_uncompressed_bytes() {
    let _turn = alone();
    for over in [0, 1] {
        let mut h = authenticated::<ClientConnection>(Mode::PLAIN);
        let mut context = compressor();
        h.connection
            .open_channel(&ChannelKind::Session)
            .expect("room");
        h.exchange();
        h.expect_skipping_extras(number::CHANNEL_OPEN);
        let confirmation = message(91, &[F::U(0), F::U(0), F::U(1 << 20), F::U(1 << 15)]);
        h.send_payload(&deflate(&mut *context, &confirmation));
        let window = Limits::default().window_size;
        let full = 32 << 10;
        for _ in 0..window / full {
            let data = message(94, &[F::U(0), F::S(&vec![0; full as usize])]);
            h.send_payload(&deflate(&mut *context, &data));
        }
        assert_eq!(h.ended, None);
        if over == 1 {
            let data = deflate(&mut *context, &message(94, &[F::U(0), F::S(b"x")]));
            h.refuses(2, |peer| peer.send_payload(&data));
            let expected = PeerMisbehaved::WindowExceeded;
            assert_eq!(*h.error(), Error::PeerMisbehaved(expected));
        }
    }
}

/// J5: it is off unless asked for.
#[test]
fn j5_compression_is_off_by_default() {
    let _turn = alone();
    fn test<E: Asked>(mode: Mode) {
        let h = Hostile::<E>::at(Stage::KexInit, mode);
        let theirs = h.peer.peer_kexinit.as_deref().expect("read");
        let theirs = KexInit::from_payload(theirs).expect("well-formed");
        for list in [
            &theirs.compression_client_to_server,
            &theirs.compression_server_to_client,
        ] {
            assert_eq!(list.as_str(), "none");
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// What the setter says that it costs.
#[test]
fn contexts_take_what_is_said() {
    let _turn = alone();
    let held = |make: &dyn Fn() -> Box<dyn std::any::Any>| {
        let before = LIVE.load(Ordering::Relaxed);
        let context = make();
        let held = LIVE.load(Ordering::Relaxed) - before;
        drop(context);
        held
    };
    let data: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let compressor_size = held(&|| {
        let mut context = compressor();
        for part in data.chunks(32_000) {
            deflate(&mut *context, part);
        }
        Box::new(context)
    });
    let packets: Vec<_> = {
        let mut context = compressor();
        let parts = data.chunks(32_000);
        parts.map(|part| deflate(&mut *context, part)).collect()
    };
    let decompressor_size = held(&|| {
        let mut context = zlib().decompressor().expect("it decompresses");
        for packet in &packets {
            inflate(&mut *context, packet);
        }
        Box::new(context)
    });
    println!("{compressor_size} {decompressor_size}");
    assert!((200_000..330_000).contains(&compressor_size));
    assert!((33_000..48_000).contains(&decompressor_size));
    // And nothing is left behind by connections that end.
    let run = || {
        let builder = Pair::builder(Mode::PLAIN)
            .client(|b| b.compression([ZLIB]))
            .server(|b| b.compression([ZLIB]));
        drop(Connected::of(builder));
    };
    run();
    let before = LIVE.load(Ordering::Relaxed);
    run();
    assert!(LIVE.load(Ordering::Relaxed).abs_diff(before) < 10_000);
}
