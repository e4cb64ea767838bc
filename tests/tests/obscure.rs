//! Keystroke timing obfuscation: packets at a fixed pace while somebody types, chaff of the same size after, nothing of it elsewhere.

use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::crypto::SecureRandom;
use ssh_proto::error::{DisconnectReason, Error};
use ssh_proto::wire::connection::{ChannelData, ChannelWindowAdjust};
use ssh_proto::wire::extension::{Ping, Pong};
use ssh_proto::wire::number::{CHANNEL_DATA, GLOBAL_REQUEST, KEX_ECDH_INIT, KEXINIT, PING};
use ssh_proto::{
    ChannelRequest, ClientConnection, ClientEvent, ConfigError, Connection, DataStream,
    Disconnected, Event, Instant, Pty, ServerEvent, Timer,
};
use ssh_tests::attack::{F, chunked, message};
use ssh_tests::hostile::Victim;
use ssh_tests::{
    Connected, Hostile, Mode, Pair, PairBuilder, RawPacket, Stage, TestRng, fixtures,
    for_each_mode, read_all, take,
};

const INTERVAL: Duration = Duration::from_millis(20);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pty() -> ChannelRequest {
    ChannelRequest::Pty(Pty {
        term: "xterm".into(),
        columns: 80,
        rows: 24,
        width: 0,
        height: 0,
        modes: Vec::new(),
    })
}

/// What a test changes of a session of somebody who types.
#[derive(Clone, Copy)]
struct Session {
    interval: Option<Duration>,
    pings: bool,
    pty: bool,
    suite: (&'static str, &'static str),
    keepalive: Option<Duration>,
}

const SESSION: Session = Session {
    interval: Some(INTERVAL),
    pings: true,
    pty: true,
    suite: ("chacha20-poly1305@openssh.com", "hmac-sha2-256"),
    keepalive: None,
};

/// A client with a session and what its server sees on the wire, and when.
struct Typing {
    h: Hostile<ClientConnection>,
    /// When something was sent, how long it was, and the messages in it.
    sent: Vec<(Instant, usize, Vec<u8>)>,
    /// The data that arrived.
    data: Vec<u8>,
    answers_pings: bool,
    /// Messages of key exchange that are not answered yet.
    kex: Vec<RawPacket>,
}

impl Typing {
    fn new(session: Session, mode: Mode) -> Self {
        let pair = Pair::builder(mode.without_rekeys())
            .client(|b| b.obscure_keystroke_timing(session.interval))
            .client_limits(|limits| limits.keepalive_interval = session.keepalive);
        let mut h = Hostile::with_connection(pair.build().client, mode.chunking);
        let (cipher, mac) = session.suite;
        h.peer.offer.ciphers = [vec![cipher.into()], vec![cipher.into()]];
        h.peer.offer.macs = [vec![mac.into()], vec![mac.into()]];
        h.advance_to(Stage::NewKeys);
        if session.pings {
            let ext_info = [F::U(1), F::S(b"ping@openssh.com"), F::S(b"0")];
            h.send_payload(&message(7, &ext_info));
        }
        for stage in [Stage::Service, Stage::Authenticated, Stage::Channel] {
            ClientConnection::advance(&mut h, stage);
        }
        if session.pty {
            let channel = h.channel.unwrap();
            h.connection.request(channel, &pty(), false).unwrap();
        }
        h.exchange();
        h.peer.drain();
        h.events.clear();
        Self {
            h,
            sent: Vec::new(),
            data: Vec::new(),
            answers_pings: true,
            kex: Vec::new(),
        }
    }

    fn write(&mut self, data: &[u8]) {
        let channel = self.h.channel.unwrap();
        let written = self.h.connection.write(channel, DataStream::Data, data);
        assert_eq!(written, Ok(data.len()));
    }

    /// Takes what the client sends now, and answers pings.
    fn transmit(&mut self) {
        loop {
            let wanted = self.h.connection.wants_write();
            let mut out = BytesMut::new();
            let sent = self.h.connection.poll_transmit(self.h.now, &mut out);
            assert!(sent.is_some() || !wanted, "wants_write says so");
            if sent.is_none() {
                return;
            }
            self.h.peer.feed(&out);
            let packets = self.h.peer.drain();
            let numbers = packets.iter().map(|packet| packet.number()).collect();
            self.sent.push((self.h.now, out.len(), numbers));
            for packet in packets {
                match packet.number() {
                    CHANNEL_DATA => self.data.extend(packet.decode::<ChannelData<'_>>().data),
                    PING if self.answers_pings => {
                        let Ping { data } = packet.decode();
                        self.h.peer.send(&Pong { data });
                    }
                    KEXINIT | KEX_ECDH_INIT => self.kex.push(packet),
                    _ => {}
                }
            }
            let answers = self.h.peer.take_output();
            self.h.connection.handle_input(self.h.now, answers);
            while let Some(event) = self.h.connection.poll_event() {
                self.h.events.push_back(event);
            }
        }
    }

    /// Lets time pass, honouring deadlines.
    fn pass(&mut self, by: Duration) {
        let end = self.h.now + by;
        self.transmit();
        while let Some(at) = self.h.connection.poll_timeout().filter(|at| *at <= end) {
            assert!(at >= self.h.now);
            self.h.now = at;
            self.h.connection.handle_timeout(at);
            self.transmit();
        }
        self.h.now = end;
    }

    /// Types this, each byte after a time of its own.
    fn type_slowly(&mut self, text: &[u8], rng: &mut TestRng) {
        for byte in text {
            self.write(&[*byte]);
            self.transmit();
            let pause = Duration::from_micros(rng.below(240_000) as u64);
            self.pass(pause);
        }
    }

    fn numbers(&self) -> Vec<u8> {
        self.sent.iter().flat_map(|(_, _, n)| n.clone()).collect()
    }

    fn count(&self, number: u8) -> usize {
        self.numbers().iter().filter(|n| **n == number).count()
    }
}

/// Whether a gap is one of the pace: the interval, ten percent of it either way.
fn is_paced(gap: Duration) -> bool {
    gap >= ms(18) && gap <= ms(22)
}

/// Whatever is typed when, the wire shows packets of one size at one pace, from the first
/// keystroke to a random time after the last.
#[test]
fn the_wire_shows_one_pace_and_one_size() {
    let mut ends = Vec::new();
    let suites = [
        SESSION.suite,
        ("aes256-gcm@openssh.com", "hmac-sha2-256"),
        ("aes128-ctr", "hmac-sha2-256-etm@openssh.com"),
        ("aes128-ctr", "hmac-sha2-512"),
    ];
    chunked(|mode| {
        for (seed, suite) in (0..).zip(suites) {
            let mut t = Typing::new(Session { suite, ..SESSION }, mode);
            let mut rng = TestRng::new(seed);
            let text = b"correct horse battery staple";
            let start = t.h.now;
            t.type_slowly(text, &mut rng);
            t.pass(Duration::from_secs(60));
            assert_eq!(t.data, text, "all of it, in order");
            assert!(t.count(PING) > t.count(CHANNEL_DATA));

            let (at, size, first) = t.sent[0].clone();
            assert_eq!((at, &first[..]), (start, &[CHANNEL_DATA][..]), "at once");
            for pair in t.sent.windows(2) {
                let gap = pair[1].0 - pair[0].0;
                assert!(is_paced(gap), "{gap:?}");
                assert_eq!((pair[1].1, pair[1].2.len()), (size, 1));
            }
            // The paces of bursts differ, and within one gaps do.
            let gaps: Vec<_> = t
                .sent
                .windows(2)
                .map(|pair| pair[1].0 - pair[0].0)
                .collect();
            assert!(gaps.iter().any(|gap| *gap != gaps[0]));
            assert_eq!(t.h.events.len(), 0, "{:?}", t.h.events);
        }
    });
    // How long chaff goes on, over several sessions.
    for seed in 0..20 {
        let mode = Mode {
            seed,
            ..Mode::PLAIN
        };
        let mut t = Typing::new(SESSION, mode);
        t.write(b"x");
        t.transmit();
        let typed = t.h.now;
        t.pass(Duration::from_secs(10));
        let last = t.sent.last().unwrap().0;
        ends.push(last - typed);
        let count = t.sent.len();
        t.pass(Duration::from_secs(1000));
        assert_eq!(t.sent.len(), count, "chaff has stopped");
    }
    assert!(ends.iter().all(|end| *end > ms(1000) && *end < ms(3072)));
    let spread = *ends.iter().max().unwrap() - *ends.iter().min().unwrap();
    assert!(spread > ms(500), "{ends:?}");
}

/// Without a terminal, without the server's pings, or not asked for: what is written leaves at
/// once, and nothing else does.
#[test]
fn only_where_it_is_wanted_and_possible() {
    chunked(|mode| {
        for session in [
            Session {
                interval: None,
                ..SESSION
            },
            Session {
                pings: false,
                ..SESSION
            },
            Session {
                pty: false,
                ..SESSION
            },
        ] {
            let mut t = Typing::new(session, mode);
            let deadline = t.h.connection.poll_timeout();
            let mut times = Vec::new();
            for byte in *b"typed" {
                t.write(&[byte]);
                times.push(t.h.now);
                t.pass(ms(7));
            }
            let sent: Vec<_> = t.sent.iter().map(|(at, _, _)| *at).collect();
            assert_eq!(sent, times);
            assert_eq!((t.count(PING), &t.data[..]), (0, &b"typed"[..]));
            assert_eq!(t.h.connection.poll_timeout(), deadline);
        }
    });
}

/// More than a few keystrokes are not held, and end the burst; so does a window that opens for
/// what could not leave.
#[test]
fn bulk_data_is_not_held() {
    chunked(|mode| {
        let mut t = Typing::new(SESSION, mode);
        t.write(b"x");
        t.transmit();
        t.pass(ms(7));
        t.write(b"y");
        t.transmit();
        assert_eq!(t.data, b"x", "held");
        t.write(&[b'z'; 300]);
        t.transmit();
        assert_eq!(t.data.len(), 302);
        let at = t.h.now;
        assert_eq!(t.sent.last().unwrap().0, at);
        let count = t.sent.len();
        t.pass(Duration::from_secs(10));
        assert_eq!(t.sent.len(), count, "no chaff behind a paste");

        // What only the window holds back is no typing either.
        let start = t.h.now;
        let mut written = 0;
        while written < 2 << 20 {
            let channel = t.h.channel.unwrap();
            let chunk = [7; 10_000];
            written +=
                t.h.connection
                    .write(channel, DataStream::Data, &chunk)
                    .unwrap();
            t.transmit();
            let adjust = ChannelWindowAdjust {
                recipient: 0,
                bytes: 10_000,
            };
            t.h.peer.send(&adjust);
            let credit = t.h.peer.take_output();
            t.h.connection.handle_input(t.h.now, credit);
            assert!(t.h.connection.poll_event().is_none());
        }
        t.transmit();
        assert_eq!(t.data.len(), 302 + written);
        assert_eq!(t.sent.last().unwrap().0, start, "no time has passed");
        assert_eq!(t.count(PING), 0);
    });
}

/// A key exchange in the middle, begun by either side: what is typed waits for it alone, nothing
/// is lost, no ping falls into it, and typing goes on as before.
#[test]
fn rekey_in_the_middle() {
    chunked(|mode| {
        for ours in [false, true] {
            let mut t = Typing::new(SESSION, mode);
            let mut rng = TestRng::new(5);
            t.type_slowly(b"before ", &mut rng);
            t.write(b"h");
            match ours {
                true => t.h.connection.rekey().unwrap(),
                false => t.h.peer.send_kexinit(),
            }
            let pings = t.count(PING);
            let received = t.h.peer.take_output();
            t.h.connection.handle_input(t.h.now, received);
            assert!(t.h.connection.poll_event().is_none());
            // Not answered for a while.
            t.transmit();
            t.write(b"e");
            for _ in 0..20 {
                t.pass(ms(10));
            }
            assert_eq!(t.data, b"before ", "nothing but key exchange");
            assert_eq!(t.count(PING), pings);
            assert_eq!(t.count(KEXINIT), 1);
            finish_kex(&mut t);
            assert_eq!(t.data, b"before he");
            t.type_slowly(b" after", &mut rng);
            t.pass(Duration::from_secs(10));
            assert_eq!(t.data, b"before he after");
            assert_eq!(t.h.ended, None);
        }
    });
}

/// Answers the client's key exchange at last; what was held leaves behind it.
fn finish_kex(t: &mut Typing) {
    for packet in t.kex.drain(..).rev() {
        t.h.peer.unread_packet(packet);
    }
    t.h.exchange_answering_kex();
    for packet in t.h.peer.drain() {
        if packet.number() == CHANNEL_DATA {
            t.data.extend(packet.decode::<ChannelData<'_>>().data);
        }
    }
}

/// The application's own pings are answered to it, the chaff's are not.
#[test]
fn i7_the_chaffs_answers_are_swallowed() {
    chunked(|mode| {
        let mut t = Typing::new(SESSION, mode);
        t.write(b"x");
        t.transmit();
        t.pass(ms(100));
        t.h.connection.ping(b"PING!").unwrap();
        t.pass(ms(100));
        assert!(t.count(PING) > 5);
        let pongs: Vec<_> = t.h.events.drain(..).collect();
        assert_eq!(pongs.len(), 1, "{pongs:?}");
        match &pongs[0] {
            ClientEvent::Shared(Event::Pong(data)) => assert_eq!(&data[..], b"PING!"),
            other => panic!("{other:?}"),
        }
        // A server that answers none does no harm, nor one that answers more than was asked.
        t.answers_pings = false;
        t.pass(Duration::from_secs(10));
        t.h.peer.send(&Pong { data: b"unasked" });
        let out = t.h.peer.take_output();
        t.h.connection.handle_input(t.h.now, out);
        assert!(matches!(
            t.h.connection.poll_event(),
            Some(ClientEvent::Shared(Event::Pong(_)))
        ));
    });
}

/// The end of the terminal, and of the connection, ends it: what is queued leaves at once.
#[test]
fn the_end_is_not_held() {
    chunked(|mode| {
        for disconnects in [false, true] {
            let mut t = Typing::new(SESSION, mode);
            t.write(b"x");
            t.transmit();
            t.pass(ms(100));
            t.write(b"y");
            t.transmit();
            assert_eq!(t.data, b"x");
            if disconnects {
                let reason = DisconnectReason::BY_APPLICATION;
                t.h.connection.disconnect(t.h.now, reason, "");
                let mut out = BytesMut::new();
                let sent = t.h.connection.poll_transmit(t.h.now, &mut out).unwrap();
                assert!(sent.then_close);
                t.h.peer.feed(&out);
                let numbers: Vec<_> = t.h.peer.drain().iter().map(|p| p.number()).collect();
                assert_eq!(numbers, [CHANNEL_DATA, 1]);
            } else {
                let channel = t.h.channel.unwrap();
                t.h.connection.close_channel(channel).unwrap();
                t.pass(ms(25));
                assert_eq!(t.data, b"xy");
                let count = t.sent.len();
                t.pass(Duration::from_secs(10));
                assert_eq!(t.sent.len(), count, "no terminal, no chaff");
            }
        }
    });
}

/// A driver that comes late, or never says that time has passed, sends one packet for all the
/// ticks that it missed.
#[test]
fn missed_ticks_are_not_made_up_for() {
    let mut t = Typing::new(SESSION, Mode::PLAIN);
    t.write(b"x");
    t.transmit();
    for step in 1..10_u64 {
        t.h.now = t.h.now + ms(100);
        if step % 2 == 0 {
            t.write(b"y");
        }
        let before = t.sent.len();
        t.transmit();
        assert_eq!(t.sent.len(), before + 1);
        assert_eq!(t.sent[before].2.len(), 1);
    }
    // Told of every tick, but not asked for output: one ping waits, not five.
    for _ in 0..5 {
        let at = t.h.connection.poll_timeout().unwrap();
        assert!(is_paced(at - t.h.now));
        t.h.now = at;
        t.h.connection.handle_timeout(at);
    }
    let before = t.sent.len();
    t.transmit();
    assert_eq!(
        (t.sent.len(), &t.sent[before].2[..]),
        (before + 1, &[PING][..])
    );
}

#[test]
fn intervals_are_checked() {
    for interval in [Duration::ZERO, Duration::from_micros(999)] {
        let config = fixtures::client_config().obscure_keystroke_timing(Some(interval));
        assert_eq!(
            config.build().err(),
            Some(ConfigError::InvalidLimit("obscure_keystroke_timing"))
        );
    }
    let config = fixtures::client_config().obscure_keystroke_timing(Some(ms(1)));
    assert!(config.build().is_ok());
}

fn interactive(mode: Mode) -> PairBuilder {
    Pair::builder(mode).client(|b| b.obscure_keystroke_timing(Some(INTERVAL)))
}

/// The whole with our own server, in every mode: an echo comes back within a few ticks, and both
/// ends come to rest.
#[test]
fn an_interactive_session() {
    for_each_mode(|mode| {
        let mut c = Connected::of(interactive(mode));
        let (at_client, at_server) = c.open();
        c.pair.client.request(at_client, &pty(), false).unwrap();
        c.run();
        let mut rng = TestRng::new(mode.seed);
        let mut echoed = Vec::new();
        for byte in b"ls -l\r".repeat(4) {
            let stream = DataStream::Data;
            c.pair.client.write(at_client, stream, &[byte]).unwrap();
            for _ in 0..3 {
                c.advance(INTERVAL);
                let (typed, _) = read_all(&mut c.pair.server, at_server);
                c.pair.server.write(at_server, stream, &typed).unwrap();
                c.run();
                echoed.extend(read_all(&mut c.pair.client, at_client).0);
            }
            c.advance(Duration::from_micros(rng.below(90_000) as u64));
        }
        assert_eq!(echoed, b"ls -l\r".repeat(4));
        c.advance(Duration::from_secs(10));
        let bytes = c.pair.to_server.total();
        c.advance(Duration::from_secs(100));
        assert_eq!(c.pair.to_server.total(), bytes, "at rest");
        assert_eq!(c.client.count("Pong"), 0);
        assert_eq!(c.client.count("KeysChanged") > 0, mode.rekeys());
        assert_eq!(c.pair.client_end(), None);
    });
}

/// The same seed, clock and calls: the same bytes.
#[test]
fn it_is_deterministic() {
    let run = || {
        let mut pair = Connected::of(interactive(Mode::PLAIN));
        pair.pair.record();
        let (channel, _) = pair.open();
        pair.pair.client.request(channel, &pty(), false).unwrap();
        for _ in 0..5 {
            let stream = DataStream::Data;
            pair.pair.client.write(channel, stream, b"x").unwrap();
            pair.advance(ms(333));
        }
        pair.advance(Duration::from_secs(9));
        pair.pair.transcripts().0.sent
    };
    let sent = run();
    assert!(sent.len() > 3_000, "there was chaff");
    assert_eq!(sent, run());
}

/// The key exchange draws the same, whether or not: the seed is drawn behind its first draws.
#[test]
fn what_key_exchange_draws_is_unchanged() {
    let first_flight = |interval| {
        let config = fixtures::client_config().obscure_keystroke_timing(interval);
        let config = config.build().unwrap();
        let random: Box<dyn SecureRandom> = Box::new(TestRng::new(1));
        let now = Instant::EPOCH;
        let mut client = ClientConnection::new(&config, "u", random, now).unwrap();
        let mut out = BytesMut::new();
        let _ = client.poll_transmit(now, &mut out);
        out
    };
    assert_eq!(first_flight(None), first_flight(Some(INTERVAL)));
}

/// s8 18 (russh#316, claworc#213), while somebody types: keepalives with a silent server, with one
/// that sends its own, and within a key exchange.
#[test]
fn s8_18_keepalives_while_typing() {
    let session = Session {
        keepalive: Some(ms(500)),
        ..SESSION
    };
    let keepalive = message(80, &[F::S(b"keepalive@openssh.com"), F::B(1)]);
    chunked(|mode| {
        // Silent: chaff does not keep it alive, and does not keep keepalives from being sent.
        let mut t = Typing::new(session, mode);
        t.answers_pings = false;
        for _ in 0..30 {
            t.write(b"x");
            t.pass(ms(100));
            if t.h.connection.is_ending() {
                break;
            }
        }
        assert_eq!(t.count(GLOBAL_REQUEST), 3);
        let timeout = Disconnected::Error(Error::Timeout(Timer::KeepAlive));
        let ended = t.h.events.iter().find_map(|event| match event {
            ClientEvent::Shared(Event::Disconnected(cause)) => Some(cause.clone()),
            _ => None,
        });
        let ended = ended.or_else(|| match t.h.connection.poll_event() {
            Some(ClientEvent::Shared(Event::Disconnected(cause))) => Some(cause),
            _ => None,
        });
        assert_eq!(ended, Some(timeout));

        // A server that answers pings lives, and its own keepalives are answered at the next tick.
        let mut t = Typing::new(session, mode);
        for _ in 0..10 {
            t.write(b"x");
            t.h.peer.send_payload(&keepalive);
            let asked = t.h.peer.take_output();
            t.h.connection.handle_input(t.h.now, asked);
            assert!(t.h.connection.poll_event().is_none());
            let before = t.count(82);
            t.pass(ms(25));
            assert_eq!(t.count(82), before + 1);
            t.pass(ms(75));
        }
        assert_eq!(t.data, [b'x'; 10]);
    });
    for_each_mode(|mode| {
        let mut c = Connected::of(
            interactive(mode).limits(|limits| limits.keepalive_interval = Some(ms(500))),
        );
        let (at_client, at_server) = c.open();
        c.pair.client.request(at_client, &pty(), true).unwrap();
        c.run();
        let request = take!(c.server.events, ServerEvent::Shared(Event::Request(r)) => r);
        c.pair.server.accept_request(request).unwrap();
        for i in 0..20_u64 {
            let stream = DataStream::Data;
            c.pair.client.write(at_client, stream, b"x").unwrap();
            match i % 5 {
                0 => c.pair.client.rekey().unwrap(),
                1 => c.pair.server.rekey().unwrap(),
                _ => {}
            }
            c.advance(ms(100 * i));
        }
        assert_eq!(read_all(&mut c.pair.server, at_server).0.len(), 20);
        assert_eq!((c.pair.client_end(), c.pair.server_end()), (None, None));
    });
}
