//! Random operations on both ends of a pair against a small model: every byte written arrives once, in order, every question gets one answer, whatever else goes on.

use std::collections::BTreeMap;

use ssh_proto::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, ClientEvent, Connection, DataStream,
    Event, GlobalRequest, ServerEvent,
};
use ssh_tests::app::pattern_byte;
use ssh_tests::{Chunking, Connected, Mode, Pair, TestRng};

/// One direction of a channel.
#[derive(Debug, Default)]
struct Stream {
    written: u64,
    read: u64,
    finished: bool,
    eof_seen: bool,
}

#[derive(Debug, Default)]
struct Channel {
    at_client: Option<ChannelId>,
    at_server: Option<ChannelId>,
    up: Stream,
    down: Stream,
    /// Either side has closed it: what is under way may be lost.
    closing: bool,
}

struct Soak {
    c: Connected,
    rng: TestRng,
    channels: BTreeMap<u32, Channel>,
    next: u32,
    asked: u32,
    answered: u32,
}

/// What both ends can do, so that each operation is written once.
fn write(connection: &mut impl Connection, id: ChannelId, stream: &mut Stream, len: u64) {
    let data: Vec<u8> = (stream.written..stream.written + len)
        .map(pattern_byte)
        .collect();
    match connection.write(id, DataStream::Data, &data) {
        Ok(taken) => stream.written += taken as u64,
        Err(ChannelError::Closed | ChannelError::NotOpen) => {}
        Err(ChannelError::Finished) => assert!(stream.finished),
        Err(error) => panic!("{error:?}"),
    }
}

fn read(connection: &mut impl Connection, id: ChannelId, stream: &mut Stream, chunks: usize) {
    for _ in 0..chunks {
        let Ok(Some(chunk)) = connection.read(id) else {
            return;
        };
        for byte in &chunk.bytes {
            assert_eq!(*byte, pattern_byte(stream.read), "at {}", stream.read);
            stream.read += 1;
        }
    }
}

impl Soak {
    fn new(mode: Mode, seed: u64) -> Self {
        let c = Connected::of(Pair::builder(mode).limits(|limits| {
            limits.window_size = 3_000;
            limits.max_packet_size = 1_000;
            limits.channel_send_buffer = 2_000;
            limits.sessions = 100;
            limits.peer_rekeys = u32::MAX;
        }));
        Self {
            c,
            rng: TestRng::new(seed),
            channels: BTreeMap::new(),
            next: 0,
            asked: 0,
            answered: 0,
        }
    }

    fn pick(&mut self) -> Option<&mut Channel> {
        let count = self.channels.len();
        let at = if count == 0 {
            return None;
        } else {
            self.rng.below(count)
        };
        self.channels.values_mut().nth(at)
    }

    fn operate(&mut self) {
        let op = self.rng.below(12);
        let len = self.rng.below(1_500) as u64;
        let chunks = self.rng.below(4);
        let Connected { pair, .. } = &mut self.c;
        match op {
            0 if self.channels.len() < 8 => {
                let id = pair
                    .client
                    .open_channel(&ChannelKind::Session)
                    .expect("room");
                let channel = Channel {
                    at_client: Some(id),
                    ..Channel::default()
                };
                self.channels.insert(self.next, channel);
                self.next += 1;
                return;
            }
            1 if len < 100 => {
                let _ = pair.client.rekey();
                return;
            }
            2 if len < 100 => {
                let _ = pair.server.rekey();
                return;
            }
            3 if len < 500 => {
                let request = GlobalRequest::Unknown {
                    name: "x@y".into(),
                    body: "".into(),
                };
                if pair.client.global_request(&request, true).is_ok() {
                    self.asked += 1;
                }
                return;
            }
            _ => {}
        }
        let mut channel = match self.pick() {
            Some(channel) => std::mem::take(channel),
            None => return,
        };
        let Connected { pair, .. } = &mut self.c;
        let (client, server) = (&mut pair.client, &mut pair.server);
        match (op, channel.at_client, channel.at_server) {
            (4 | 5, Some(id), _) => write(client, id, &mut channel.up, len),
            (6 | 7, _, Some(id)) => write(server, id, &mut channel.down, len),
            (8, _, Some(id)) => read(server, id, &mut channel.up, chunks),
            (9, Some(id), _) => read(client, id, &mut channel.down, chunks),
            (10, Some(id), Some(at_server)) => match len {
                0..300 => channel.up.finished |= client.finish(id).is_ok(),
                300..600 => channel.down.finished |= server.finish(at_server).is_ok(),
                600..640 => channel.closing |= client.close_channel(id).is_ok(),
                640..680 => channel.closing |= server.close_channel(at_server).is_ok(),
                _ => {}
            },
            (11, Some(id), Some(_)) if len < 700 => {
                let request = ChannelRequest::Env {
                    name: "A".into(),
                    value: "b".into(),
                };
                if client.request(id, &request, true).is_ok() {
                    self.asked += 1;
                }
            }
            _ => {}
        }
        // `take` left a default in its place.
        let empty = self
            .channels
            .values_mut()
            .find(|c| c.at_client.is_none() && !c.closing);
        *empty.expect("the one taken") = channel;
    }

    fn run(&mut self) {
        self.c.run();
        for event in std::mem::take(&mut self.c.server.events) {
            let server = &mut self.c.pair.server;
            match event {
                ServerEvent::Shared(Event::ChannelOpen(open)) => {
                    let id = server.accept_channel(open).expect("own token");
                    let waiting = self.channels.values_mut().find(|c| c.at_server.is_none());
                    waiting.expect("opens arrive in order").at_server = Some(id);
                }
                ServerEvent::Shared(Event::Request(request)) => match self.rng.below(3) {
                    0 => drop(request),
                    1 => drop(server.accept_request(request)),
                    _ => drop(server.reject_request(request)),
                },
                ServerEvent::Shared(Event::GlobalRequest(request)) => match self.rng.below(2) {
                    0 => drop(request),
                    _ => server
                        .accept_global_request(request, b"x")
                        .expect("own token"),
                },
                ServerEvent::Shared(Event::Eof(id)) => {
                    let of = self.channels.values_mut().find(|c| c.at_server == Some(id));
                    let stream = &mut of.expect("known").up;
                    assert!(stream.finished && !std::mem::replace(&mut stream.eof_seen, true));
                }
                ServerEvent::Shared(Event::Disconnected(why)) => panic!("{why:?}"),
                _ => {}
            }
        }
        for event in std::mem::take(&mut self.c.client.events) {
            match event {
                ClientEvent::Shared(Event::RequestReply { .. } | Event::GlobalReply { .. }) => {
                    self.answered += 1;
                }
                ClientEvent::Shared(Event::Eof(id)) => {
                    let of = self.channels.values_mut().find(|c| c.at_client == Some(id));
                    let stream = &mut of.expect("known").down;
                    assert!(stream.finished && !std::mem::replace(&mut stream.eof_seen, true));
                }
                ClientEvent::Shared(Event::Disconnected(why)) => panic!("{why:?}"),
                _ => {}
            }
        }
    }

    /// Everything comes to rest: all that was written is read, all that was asked is answered.
    fn settle(&mut self) {
        let closed_any = self.channels.values().any(|channel| channel.closing);
        for _ in 0..40 {
            self.run();
            let Connected { pair, .. } = &mut self.c;
            for channel in self.channels.values_mut() {
                if let Some(id) = channel.at_server {
                    read(&mut pair.server, id, &mut channel.up, usize::MAX);
                }
                if let Some(id) = channel.at_client {
                    read(&mut pair.client, id, &mut channel.down, usize::MAX);
                }
            }
        }
        self.run();
        for channel in self.channels.values().filter(|channel| !channel.closing) {
            for stream in [&channel.up, &channel.down] {
                assert_eq!(stream.read, stream.written, "{channel:?}");
                assert_eq!(stream.eof_seen, stream.finished, "{channel:?}");
            }
        }
        // Questions on a channel that is closed need no answer.
        assert!(
            closed_any || self.answered == self.asked,
            "{} {}",
            self.answered,
            self.asked
        );
        assert!(self.answered <= self.asked);
        assert_eq!(
            (self.c.pair.client_end(), self.c.pair.server_end()),
            (None, None)
        );
    }
}

fn soak(mode: Mode, seed: u64) {
    println!("{mode:?} {seed}");
    let mut soak = Soak::new(mode, seed);
    for _ in 0..250 {
        soak.operate();
        if soak.rng.below(3) == 0 {
            soak.run();
        }
    }
    soak.settle();
    assert!(soak.next > 2 && soak.channels.values().any(|channel| channel.up.read > 0));
}

#[test]
fn random_operations() {
    for seed in 0..10 {
        soak(Mode::PLAIN, seed);
        soak(
            Mode {
                rekey_every: Some(7),
                rekey_bytes: None,
                ..Mode::PLAIN
            },
            seed,
        );
        soak(
            Mode {
                chunking: Chunking::Random(seed),
                ..Mode::PLAIN
            },
            seed,
        );
        let both = Mode {
            chunking: Chunking::Random(seed),
            rekey_every: Some(4),
            rekey_bytes: None,
            seed,
        };
        soak(both, seed);
    }
}
