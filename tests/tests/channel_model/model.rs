//! The model: what each side of each channel has done and seen, what may follow, and what must.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ssh_proto::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, Connection, DataStream, Event,
    GlobalRequest, IncomingChannel, IncomingGlobalRequest, IncomingRequest, OpenFailure, RequestId,
};
use ssh_tests::TestRng;

pub(super) const WINDOW: u32 = 4000;
pub(super) const PACKET: u32 = 500;
pub(super) const BUFFER: usize = 3000;
const CHANNELS: usize = 6;
const STREAMS: [DataStream; 3] = [
    DataStream::Data,
    DataStream::STDERR,
    DataStream::Extended(u32::MAX),
];

/// Byte `at` of a stream.
fn byte(stream: usize, at: u64) -> u8 {
    (at ^ (at >> 8))
        .wrapping_mul(31)
        .wrapping_add(stream as u64) as u8
}

/// What the body of a question says: its number, and the answer it is to get.
fn question(number: u64, answer: bool) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u64(number);
    body.put_u8(answer.into());
    body.freeze()
}

fn asked(body: &Bytes) -> (u64, bool) {
    let mut body = body.clone();
    (body.get_u64(), body.get_u8() != 0)
}

/// Requests of one side, and the other's tokens for them.
#[derive(Debug)]
pub(super) struct Requests<T> {
    next: u64,
    /// Ours, with what the answer will be, in the order of the replies.
    pub(super) awaiting: VecDeque<(RequestId, u64, bool)>,
    /// The number of the next that the other side may see.
    seen: u64,
    /// What the other side has not answered.
    pub(super) held: Vec<T>,
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self {
            next: 0,
            awaiting: VecDeque::new(),
            seen: 0,
            held: Vec::new(),
        }
    }
}

impl<T> Requests<T> {
    /// They come once, and in order.
    fn arrive(&mut self, number: u64) {
        assert!(
            number >= self.seen && number < self.next,
            "request {number}"
        );
        self.seen = number + 1;
    }

    /// So do their replies.
    fn reply(&mut self, id: RequestId, answer: bool) {
        let (expected, number, decided) = self.awaiting.pop_front().expect("unasked");
        assert_eq!((id, answer), (expected, decided), "request {number}");
    }

    /// At rest, whatever awaits a reply has one that is held, at the head of the queue.
    pub(super) fn check_rest(&self, number_of: impl Fn(&T) -> u64) {
        if let Some((_, number, _)) = self.awaiting.front() {
            let is_held = self.held.iter().any(|token| number_of(token) == *number);
            assert!(is_held, "request {number} was answered");
        }
    }
}

/// What one side of a channel has done and seen.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) id: Option<ChannelId>,
    pub(super) is_open: bool,
    pub(super) is_gone: bool,
    pub(super) written: [u64; STREAMS.len()],
    pub(super) read: [u64; STREAMS.len()],
    /// A write fell short, and nothing has said since that there is room.
    pub(super) is_blocked: bool,
    short_writes: u32,
    wakes: u32,
    /// There is something to read, as was said.
    pub(super) was_readable: bool,
    pub(super) finished: bool,
    pub(super) eof_seen: bool,
    /// How often it was closed. The second time gives up what is queued.
    pub(super) closed: u32,
    /// The window that is aimed at; `None` where it may grow.
    pub(super) window: Option<u32>,
    /// Bytes that the other side may have sent by now, in all.
    pub(super) promised: u64,
    pub(super) requests: Requests<IncomingRequest>,
}

impl End {
    pub(super) fn total_written(&self) -> u64 {
        self.written.iter().sum()
    }

    pub(super) fn total_read(&self) -> u64 {
        self.read.iter().sum()
    }

    pub(super) fn is_usable(&self) -> bool {
        self.is_open && !self.is_gone && self.closed == 0
    }

    fn promise(&mut self, most: u32) {
        let size = self.window.unwrap_or(most);
        self.promised = self.promised.max(self.total_read() + u64::from(size));
    }
}

#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) opener: usize,
    /// What the open is to be answered, and the token while it is not.
    pub(super) accept: bool,
    pub(super) token: Option<IncomingChannel>,
    pub(super) is_over: bool,
    pub(super) ends: [End; 2],
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) channels: BTreeMap<u64, Channel>,
    next: u64,
    numbers: [HashMap<ChannelId, u64>; 2],
    pub(super) globals: [Requests<IncomingGlobalRequest>; 2],
    /// Questions are answered at once.
    pub(super) ends: bool,
    /// The largest window there can be.
    most: u32,
    pub(super) bytes: u64,
    pub(super) replies: u64,
    pub(super) lived: u64,
}

impl Model {
    /// Windows grow up to `most`.
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    fn channel(&mut self, side: usize, id: ChannelId) -> &mut Channel {
        let number = self.numbers[side].get(&id).expect("an id that was told");
        self.channels.get_mut(number).expect("a channel")
    }

    pub(super) fn saw(
        &mut self,
        connection: &mut impl Connection,
        side: usize,
        event: Event,
        rng: &mut TestRng,
    ) {
        let (most, ends) = (self.most, self.ends);
        match event {
            Event::ChannelOpen(token) => {
                let ChannelKind::Unknown { body, .. } = token.kind() else {
                    panic!("{token:?}");
                };
                let (number, _) = asked(body);
                let channel = self.channels.get_mut(&number).expect("a channel");
                assert_eq!(channel.opener, 1 - side);
                self.numbers[side].insert(token.id(), number);
                channel.token = Some(token);
                if self.ends || rng.below(2) == 0 {
                    self.decide(connection, side, number);
                }
            }
            Event::ChannelOpened(id) => {
                let channel = self.channel(side, id);
                assert!(channel.accept && channel.opener == side && channel.token.is_none());
                channel.ends[side].is_open = true;
            }
            Event::ChannelOpenFailed {
                channel: id,
                reason,
                ..
            } => {
                assert_eq!(reason, OpenFailure::CONNECT_FAILED);
                let channel = self.channel(side, id);
                assert!(!channel.accept && channel.opener == side && !channel.is_over);
                channel.is_over = true;
            }
            Event::Request(token) => {
                let channel = self.channel(side, token.channel());
                let requests = &mut channel.ends[1 - side].requests;
                requests.arrive(number_of(&token));
                if token.wants_reply() {
                    match ends || rng.below(2) == 0 {
                        false => requests.held.push(token),
                        true => answer(connection, token),
                    }
                }
            }
            Event::RequestReply {
                channel: id,
                request,
                success,
            } => {
                self.replies += 1;
                let end = &mut self.channel(side, id).ends[side];
                end.requests.reply(request, success);
            }
            Event::GlobalRequest(token) => {
                let requests = &mut self.globals[1 - side];
                requests.arrive(global_number_of(&token));
                if token.wants_reply() {
                    match ends || rng.below(2) == 0 {
                        false => requests.held.push(token),
                        true => answer_global(connection, token),
                    }
                }
            }
            Event::GlobalReply { request, result } => {
                self.replies += 1;
                self.globals[side].reply(request, result.is_ok());
            }
            Event::Readable(id) => {
                let end = &mut self.channel(side, id).ends[side];
                assert!(!end.was_readable, "an edge");
                end.was_readable = true;
            }
            Event::Writable(id) => {
                // It may have been under way when a further write fell short.
                let end = &mut self.channel(side, id).ends[side];
                end.wakes += 1;
                assert!(end.wakes <= end.short_writes, "nobody waits");
                end.is_blocked = false;
            }
            Event::Eof(id) => {
                let channel = self.channel(side, id);
                assert!(channel.ends[1 - side].finished && !channel.ends[side].eof_seen);
                channel.ends[side].eof_seen = true;
            }
            Event::ChannelClosed(id) => {
                let channel = self.channel(side, id);
                assert!(
                    channel.ends.iter().any(|end| end.closed > 0),
                    "nobody closed"
                );
                assert!(!channel.ends[side].is_gone);
                channel.ends[side].is_gone = true;
                assert_eq!(connection.read(id), Err(ChannelError::Closed));
                assert_eq!(
                    connection.write(id, DataStream::Data, b"x"),
                    Err(ChannelError::Closed)
                );
            }
            Event::Disconnected(cause) => panic!("{cause:?}"),
            _ => {}
        }
        for channel in self.channels.values_mut() {
            channel.ends[side].promise(most);
        }
    }

    /// Answers an open as it was decided.
    pub(super) fn decide(&mut self, connection: &mut impl Connection, side: usize, number: u64) {
        let channel = self.channels.get_mut(&number).expect("a channel");
        let Some(token) = channel.token.take() else {
            return;
        };
        if channel.accept {
            let id = connection.accept_channel(token).expect("own token");
            channel.ends[side].id = Some(id);
            channel.ends[side].is_open = true;
        } else {
            let reason = OpenFailure::CONNECT_FAILED;
            connection
                .reject_channel(token, reason, "no")
                .expect("own token");
        }
    }

    pub(super) fn open(
        &mut self,
        connection: &mut impl Connection,
        side: usize,
        rng: &mut TestRng,
    ) {
        if self.channels.len() >= CHANNELS {
            // Those that are over count until the next rest.
            return;
        }
        let accept = rng.below(6) > 0;
        let kind = ChannelKind::Unknown {
            name: "model@example.org".into(),
            body: question(self.next, accept),
        };
        let id = connection.open_channel(&kind).expect("room");
        let mut channel = Channel {
            opener: side,
            accept,
            ..Channel::default()
        };
        channel.ends[side].id = Some(id);
        for end in &mut channel.ends {
            end.window = (self.most == WINDOW).then_some(WINDOW);
            end.promise(self.most);
        }
        self.numbers[side].insert(id, self.next);
        self.channels.insert(self.next, channel);
        self.next += 1;
    }

    pub(super) fn write(
        &mut self,
        connection: &mut impl Connection,
        side: usize,
        number: u64,
        rng: &mut TestRng,
    ) {
        let channel = self.channels.get_mut(&number).expect("a channel");
        let [end, other] = both(&mut channel.ends, side);
        let Some(id) = end.id else { return };
        let stream = rng.below(STREAMS.len());
        let most = [10, 1000, 2 * BUFFER][rng.below(3)];
        let len = rng.below(most);
        let from = end.written[stream];
        let data: Bytes = (from..from + len as u64)
            .map(|at| byte(stream, at))
            .collect();
        let room = connection.writable_bytes(id);
        let mut rest = data.clone();
        let taken = match rng.below(2) {
            0 => connection.write(id, STREAMS[stream], &data),
            _ => connection.write_bytes(id, STREAMS[stream], &mut rest),
        };
        match taken {
            Ok(taken) => {
                assert!(end.is_usable() && !end.finished);
                assert_eq!(room.map(|room| room.min(len)), Ok(taken));
                assert!(rest == data || rest == data[taken..]);
                end.written[stream] += taken as u64;
                end.is_blocked |= taken < len;
                end.short_writes += u32::from(taken < len);
            }
            Err(ChannelError::NotOpen) => assert!(!end.is_open),
            Err(ChannelError::Finished) => assert!(end.finished),
            Err(ChannelError::Closed) => assert!(end.closed > 0 || other.closed > 0),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Reads a number of chunks.
    pub(super) fn read(
        &mut self,
        connection: &mut impl Connection,
        side: usize,
        number: u64,
        chunks: usize,
    ) {
        let most = self.most;
        let channel = self.channels.get_mut(&number).expect("a channel");
        let [end, other] = both(&mut channel.ends, side);
        let Some(id) = end.id.filter(|_| end.is_open && !end.is_gone) else {
            return;
        };
        for _ in 0..chunks {
            let chunk = match connection.read(id) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    end.was_readable = false;
                    break;
                }
                Err(error) => {
                    assert_eq!(error, ChannelError::Closed);
                    assert!(end.closed > 0 || other.closed > 0);
                    break;
                }
            };
            let stream = STREAMS.iter().position(|stream| *stream == chunk.stream);
            let stream = stream.expect("a stream that was written");
            let from = end.read[stream];
            let is_right = |(i, got): (usize, &u8)| *got == byte(stream, from + i as u64);
            assert!(chunk.bytes.iter().enumerate().all(is_right), "at {from}");
            end.read[stream] += chunk.bytes.len() as u64;
            assert!(end.read[stream] <= other.written[stream]);
            self.bytes += chunk.bytes.len() as u64;
            end.promise(most);
            if connection.readable_bytes(id) == Ok(0) {
                end.was_readable = false;
            }
        }
    }

    pub(super) fn request(
        &mut self,
        connection: &mut impl Connection,
        side: usize,
        number: u64,
        rng: &mut TestRng,
    ) {
        let channel = self.channels.get_mut(&number).expect("a channel");
        let [end, other] = both(&mut channel.ends, side);
        let Some(id) = end.id else { return };
        let (answer, want_reply) = (rng.below(2) == 0, rng.below(4) > 0);
        let request = ChannelRequest::Unknown {
            name: "model@example.org".into(),
            body: question(end.requests.next, answer),
        };
        match connection.request(id, &request, want_reply) {
            Ok(asked) => {
                assert!(end.is_usable() && asked.is_some() == want_reply);
                let number = end.requests.next;
                end.requests.next += 1;
                end.requests
                    .awaiting
                    .extend(asked.map(|id| (id, number, answer)));
            }
            Err(ChannelError::NotOpen) => assert!(!end.is_open),
            Err(ChannelError::Closed) => assert!(end.closed > 0 || other.closed > 0),
            Err(error) => panic!("{error:?}"),
        }
    }

    pub(super) fn global_request(
        &mut self,
        connection: &mut impl Connection,
        side: usize,
        rng: &mut TestRng,
    ) {
        let requests = &mut self.globals[side];
        let (answer, want_reply) = (rng.below(2) == 0, rng.below(4) > 0);
        let request = GlobalRequest::Unknown {
            name: "model@example.org".into(),
            body: question(requests.next, answer),
        };
        let asked = connection
            .global_request(&request, want_reply)
            .expect("room");
        assert_eq!(asked.is_some(), want_reply);
        let number = requests.next;
        requests.next += 1;
        requests
            .awaiting
            .extend(asked.map(|id| (id, number, answer)));
    }

    /// Answers one question that this side holds, in any order.
    pub(super) fn answer_one(
        &mut self,
        connection: &mut impl Connection,
        side: usize,
        number: u64,
        rng: &mut TestRng,
    ) {
        match rng.below(3) {
            0 if self.channels[&number].opener != side => self.decide(connection, side, number),
            0 => {}
            1 => {
                let held = &mut self.globals[1 - side].held;
                if !held.is_empty() {
                    answer_global(connection, held.swap_remove(rng.below(held.len())));
                }
            }
            _ => {
                let channel = self.channels.get_mut(&number).expect("a channel");
                let held = &mut channel.ends[1 - side].requests.held;
                if !held.is_empty() {
                    answer(connection, held.swap_remove(rng.below(held.len())));
                }
            }
        }
    }

    pub(super) fn finish(&mut self, connection: &mut impl Connection, side: usize, number: u64) {
        let channel = self.channels.get_mut(&number).expect("a channel");
        let [end, other] = both(&mut channel.ends, side);
        let Some(id) = end.id else { return };
        match connection.finish(id) {
            Ok(()) => {
                assert!(end.is_usable());
                end.finished = true;
                end.is_blocked = false;
            }
            Err(ChannelError::NotOpen) => assert!(!end.is_open),
            Err(ChannelError::Closed) => assert!(end.closed > 0 || other.closed > 0),
            Err(error) => panic!("{error:?}"),
        }
    }

    pub(super) fn close(&mut self, connection: &mut impl Connection, side: usize, number: u64) {
        let channel = self.channels.get_mut(&number).expect("a channel");
        let end = &mut channel.ends[side];
        let Some(id) = end.id.filter(|_| end.is_open) else {
            return;
        };
        match connection.close_channel(id) {
            Ok(()) => {
                assert!(!end.is_gone);
                end.closed += 1;
                end.is_blocked = false;
            }
            Err(error) => {
                assert_eq!(error, ChannelError::Closed);
                assert!(end.is_gone || channel.ends.iter().any(|end| end.closed > 0));
            }
        }
    }

    pub(super) fn set_window(
        &mut self,
        connection: &mut impl Connection,
        side: usize,
        number: u64,
        size: u32,
    ) {
        let most = self.most;
        let end = &mut self.channels.get_mut(&number).expect("a channel").ends[side];
        if let Some(id) = end.id
            && connection.set_window_size(id, size).is_ok()
        {
            end.window = Some(size);
            end.promise(most);
        }
    }
}

fn both(ends: &mut [End; 2], side: usize) -> [&mut End; 2] {
    let [client, server] = ends;
    match side {
        0 => [client, server],
        _ => [server, client],
    }
}

pub(super) fn number_of(token: &IncomingRequest) -> u64 {
    match token.request() {
        ChannelRequest::Unknown { body, .. } => asked(body).0,
        other => panic!("{other:?}"),
    }
}

pub(super) fn global_number_of(token: &IncomingGlobalRequest) -> u64 {
    match token.request() {
        GlobalRequest::Unknown { body, .. } => asked(body).0,
        other => panic!("{other:?}"),
    }
}

/// The channel may be gone meanwhile.
pub(super) fn answer(connection: &mut impl Connection, token: IncomingRequest) {
    let ChannelRequest::Unknown { body, .. } = token.request() else {
        panic!("{token:?}");
    };
    let _ = match asked(body).1 {
        true => connection.accept_request(token),
        false => connection.reject_request(token),
    };
}

pub(super) fn answer_global(connection: &mut impl Connection, token: IncomingGlobalRequest) {
    let GlobalRequest::Unknown { body, .. } = token.request() else {
        panic!("{token:?}");
    };
    let answered = match asked(body).1 {
        true => connection.accept_global_request(token, b""),
        false => connection.reject_global_request(token),
    };
    answered.expect("own token");
}
