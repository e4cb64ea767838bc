//! A model of the connection protocol: random operations on both ends of a pair, against a few integers and queues for each channel that say what must have happened.
//!
//! After each operation what may be is checked; whenever the pair has come to rest, what must be:
//! nothing that can be delivered, answered or closed is left undone.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ssh_proto::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, ClientEvent, Connection, DataStream,
    Event, ExtendedData, GlobalRequest, IncomingChannel, IncomingGlobalRequest, IncomingRequest,
    OpenFailure, PeerOpens, RequestId, ServerEvent,
};
use ssh_tests::{Chunking, Connected, Mode, Pair, TestRng};

const WINDOW: u32 = 4000;
const PACKET: u32 = 500;
const BUFFER: usize = 3000;
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
struct Requests<T> {
    next: u64,
    /// Ours, with what the answer will be, in the order of the replies.
    awaiting: VecDeque<(RequestId, u64, bool)>,
    /// The number of the next that the other side may see.
    seen: u64,
    /// What the other side has not answered.
    held: Vec<T>,
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
    fn check_rest(&self, number_of: impl Fn(&T) -> u64) {
        if let Some((_, number, _)) = self.awaiting.front() {
            let is_held = self.held.iter().any(|token| number_of(token) == *number);
            assert!(is_held, "request {number} was answered");
        }
    }
}

/// What one side of a channel has done and seen.
#[derive(Debug, Default)]
struct End {
    id: Option<ChannelId>,
    is_open: bool,
    is_gone: bool,
    written: [u64; STREAMS.len()],
    read: [u64; STREAMS.len()],
    /// A write fell short, and nothing has said since that there is room.
    is_blocked: bool,
    short_writes: u32,
    wakes: u32,
    /// There is something to read, as was said.
    was_readable: bool,
    finished: bool,
    eof_seen: bool,
    /// How often it was closed. The second time gives up what is queued.
    closed: u32,
    /// The window that is aimed at; `None` where it may grow.
    window: Option<u32>,
    /// Bytes that the other side may have sent by now, in all.
    promised: u64,
    requests: Requests<IncomingRequest>,
}

impl End {
    fn total_written(&self) -> u64 {
        self.written.iter().sum()
    }

    fn total_read(&self) -> u64 {
        self.read.iter().sum()
    }

    fn is_usable(&self) -> bool {
        self.is_open && !self.is_gone && self.closed == 0
    }

    fn promise(&mut self, most: u32) {
        let size = self.window.unwrap_or(most);
        self.promised = self.promised.max(self.total_read() + u64::from(size));
    }
}

#[derive(Debug, Default)]
struct Channel {
    opener: usize,
    /// What the open is to be answered, and the token while it is not.
    accept: bool,
    token: Option<IncomingChannel>,
    is_over: bool,
    ends: [End; 2],
}

#[derive(Debug, Default)]
struct Model {
    channels: BTreeMap<u64, Channel>,
    next: u64,
    numbers: [HashMap<ChannelId, u64>; 2],
    globals: [Requests<IncomingGlobalRequest>; 2],
    /// Questions are answered at once.
    ends: bool,
    /// The largest window there can be.
    most: u32,
    bytes: u64,
    replies: u64,
    lived: u64,
}

impl Model {
    fn channel(&mut self, side: usize, id: ChannelId) -> &mut Channel {
        let number = self.numbers[side].get(&id).expect("an id that was told");
        self.channels.get_mut(number).expect("a channel")
    }

    fn saw(
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
    fn decide(&mut self, connection: &mut impl Connection, side: usize, number: u64) {
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

    fn open(&mut self, connection: &mut impl Connection, side: usize, rng: &mut TestRng) {
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

    fn write(
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
    fn read(&mut self, connection: &mut impl Connection, side: usize, number: u64, chunks: usize) {
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

    fn request(
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

    fn global_request(&mut self, connection: &mut impl Connection, side: usize, rng: &mut TestRng) {
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
    fn answer_one(
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

    fn finish(&mut self, connection: &mut impl Connection, side: usize, number: u64) {
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

    fn close(&mut self, connection: &mut impl Connection, side: usize, number: u64) {
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

    fn set_window(
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

    /// What holds at any moment.
    fn check(&self, connections: [&dyn Ends; 2]) {
        for (number, channel) in &self.channels {
            for side in [0, 1] {
                let (end, other) = (&channel.ends[side], &channel.ends[1 - side]);
                let Some(id) = end.id.filter(|_| end.is_usable()) else {
                    continue;
                };
                let Ok(unread) = connections[side].unread(id) else {
                    continue;
                };
                let received = end.total_read() + unread as u64;
                assert!(received <= other.total_written(), "channel {number}");
                assert!(
                    received <= end.promised,
                    "channel {number}: a window was exceeded"
                );
                assert!(
                    unread == 0 || end.was_readable,
                    "channel {number}: nobody said so"
                );
                if let Ok(room) = connections[side].room(id) {
                    assert!(room <= BUFFER && !end.finished);
                }
            }
        }
    }

    /// What holds once neither side has anything to do.
    fn check_rest(&mut self, connections: [&dyn Ends; 2]) {
        self.check(connections);
        for requests in &self.globals {
            requests.check_rest(global_number_of);
        }
        for (number, channel) in &self.channels {
            if channel.token.is_some() || channel.is_over {
                continue;
            }
            let has_closed = channel.ends.iter().any(|end| end.closed > 0);
            for side in [0, 1] {
                let (end, other) = (&channel.ends[side], &channel.ends[1 - side]);
                if channel.accept {
                    assert!(end.is_open, "channel {number} was confirmed");
                }
                let Some(id) = end.id.filter(|_| end.is_open) else {
                    continue;
                };
                if !has_closed {
                    end.requests.check_rest(number_of);
                    let unread = connections[side].unread(id).expect("open");
                    let received = end.total_read() + unread as u64;
                    let missing = other.total_written() - received;
                    // What was not delivered waits for the window, which waits for the reader.
                    if let Some(size) = end.window.filter(|_| missing > 0) {
                        let owed = u64::from(size).saturating_sub(unread as u64);
                        let kept = u64::from((size / 2).max(1)).min(u64::from(3 * PACKET) + 1);
                        assert!(owed < kept, "channel {number}: {owed} of {size} are owed");
                    } else if missing > 0 {
                        assert!(unread > 0, "channel {number}: the window is lost");
                    }
                    // What is not there is queued, and the rest of the queue is free.
                    let other_id = other.id.expect("open");
                    if !other.finished {
                        let room = connections[1 - side].room(other_id);
                        assert_eq!(room, Ok(BUFFER - missing as usize), "channel {number}");
                        let is_told = missing as usize * 2 > BUFFER || !other.is_blocked;
                        assert!(is_told, "channel {number}: nobody said that there is room");
                    }
                    assert_eq!(end.eof_seen, other.finished && missing == 0);
                }
                // A CLOSE comes behind the data, and the reader sees it behind that.
                if end.closed > 0 && end.is_gone && !other.is_gone && other.closed == 0 {
                    let unread = connections[1 - side].unread(other.id.expect("open"));
                    assert!(unread.is_ok_and(|unread| unread > 0), "channel {number}");
                }
                if end.closed > 1 || end.closed > 0 && other.closed > 0 {
                    assert!(end.is_gone, "channel {number} is closed by both");
                }
            }
        }
        // What is over is forgotten.
        self.channels.retain(|_, channel| {
            let is_over = channel.is_over || channel.ends.iter().all(|end| end.is_gone);
            self.lived += u64::from(is_over);
            !is_over
        });
    }
}

/// What is asked of both connections at once.
trait Ends {
    fn unread(&self, id: ChannelId) -> Result<usize, ChannelError>;
    fn room(&self, id: ChannelId) -> Result<usize, ChannelError>;
}

impl<C: Connection> Ends for C {
    fn unread(&self, id: ChannelId) -> Result<usize, ChannelError> {
        self.readable_bytes(id)
    }

    fn room(&self, id: ChannelId) -> Result<usize, ChannelError> {
        self.writable_bytes(id)
    }
}

fn both(ends: &mut [End; 2], side: usize) -> [&mut End; 2] {
    let [client, server] = ends;
    match side {
        0 => [client, server],
        _ => [server, client],
    }
}

fn number_of(token: &IncomingRequest) -> u64 {
    match token.request() {
        ChannelRequest::Unknown { body, .. } => asked(body).0,
        other => panic!("{other:?}"),
    }
}

fn global_number_of(token: &IncomingGlobalRequest) -> u64 {
    match token.request() {
        GlobalRequest::Unknown { body, .. } => asked(body).0,
        other => panic!("{other:?}"),
    }
}

/// The channel may be gone meanwhile.
fn answer(connection: &mut impl Connection, token: IncomingRequest) {
    let ChannelRequest::Unknown { body, .. } = token.request() else {
        panic!("{token:?}");
    };
    let _ = match asked(body).1 {
        true => connection.accept_request(token),
        false => connection.reject_request(token),
    };
}

fn answer_global(connection: &mut impl Connection, token: IncomingGlobalRequest) {
    let GlobalRequest::Unknown { body, .. } = token.request() else {
        panic!("{token:?}");
    };
    let answered = match asked(body).1 {
        true => connection.accept_global_request(token, b""),
        false => connection.reject_global_request(token),
    };
    answered.expect("own token");
}

/// The pair and its model.
struct Run {
    c: Connected,
    model: Model,
    rng: TestRng,
}

/// Calls a method of the model with the connection of a side.
macro_rules! on {
    ($run:expr, $side:expr, $method:ident $(, $argument:expr)*) => {{
        let (pair, model, side) = (&mut $run.c.pair, &mut $run.model, $side);
        match side {
            0 => model.$method(&mut pair.client, side $(, $argument)*),
            _ => model.$method(&mut pair.server, side $(, $argument)*),
        }
    }};
}

impl Run {
    fn new(mode: Mode, seed: u64, most: u32) -> Self {
        let builder = Pair::builder(mode)
            .client(|b| {
                b.peer_channels(PeerOpens::ALL)
                    .extended_data(ExtendedData::All)
            })
            .server(|b| b.extended_data(ExtendedData::All))
            .limits(|limits| {
                limits.window_size = WINDOW;
                limits.max_window_size = most;
                limits.max_packet_size = PACKET;
                limits.channel_send_buffer = BUFFER;
                limits.peer_rekeys = u32::MAX;
            });
        Self {
            c: Connected::of(builder),
            model: Model {
                most,
                ..Model::default()
            },
            rng: TestRng::new(seed),
        }
    }

    /// Passes events on to the model.
    fn events(&mut self) {
        let (c, model, rng) = (&mut self.c, &mut self.model, &mut self.rng);
        for event in c.client.events.drain(..) {
            if let ClientEvent::Shared(event) = event {
                model.saw(&mut c.pair.client, 0, event, rng);
            }
        }
        for event in c.server.events.drain(..) {
            if let ServerEvent::Shared(event) = event {
                model.saw(&mut c.pair.server, 1, event, rng);
            }
        }
    }

    fn step(&mut self) -> bool {
        let Connected {
            pair,
            client,
            server,
        } = &mut self.c;
        let is_busy = pair.step(client, server);
        self.events();
        self.model.check([&self.c.pair.client, &self.c.pair.server]);
        is_busy
    }

    fn rest(&mut self) {
        // Answers to events may bring more about.
        while self.step() {}
        let pair = &self.c.pair;
        assert!(!pair.client.wants_write() && !pair.server.wants_write());
        self.model.check_rest([&pair.client, &pair.server]);
    }

    fn operate(&mut self) {
        let side = self.rng.below(2);
        let live = self.model.channels.iter().filter(|(_, it)| !it.is_over);
        let numbers: Vec<u64> = live.map(|(number, _)| *number).collect();
        let choice = self.rng.below(100);
        if numbers.is_empty() || choice < 4 {
            return on!(self, side, open, &mut self.rng);
        }
        let number = numbers[self.rng.below(numbers.len())];
        let rng = &mut self.rng;
        match choice {
            4..28 => on!(self, side, write, number, rng),
            28..45 => on!(self, side, read, number, 1 + rng.below(5)),
            45..50 => on!(self, side, read, number, usize::MAX),
            50..60 => on!(self, side, request, number, rng),
            60..64 => on!(self, side, global_request, rng),
            64..76 => on!(self, side, answer_one, number, rng),
            76..78 => on!(self, side, finish, number),
            78 => on!(self, side, close, number),
            79..81 => {
                let size = [0, 1, PACKET, WINDOW, 3 * WINDOW][rng.below(5)];
                on!(self, side, set_window, number, size);
            }
            81 => {
                let pair = &mut self.c.pair;
                match side {
                    0 => pair.client.rekey(),
                    _ => pair.server.rekey(),
                }
                .expect("randomness");
            }
            82..95 => drop(self.step()),
            _ => self.rest(),
        }
        self.events();
        self.model.check([&self.c.pair.client, &self.c.pair.server]);
    }

    /// Brings everything to its end: what was written is read, what was asked is answered, and
    /// what is open is closed.
    fn wind_up(&mut self) {
        let sides = |model: &Model| -> Vec<(usize, u64)> {
            let numbers = model.channels.keys();
            numbers
                .flat_map(|number| [(0, *number), (1, *number)])
                .collect()
        };
        self.model.ends = true;
        self.rest();
        for (side, number) in sides(&self.model) {
            if self.model.channels[&number].opener != side {
                on!(self, side, decide, number);
            }
            on!(self, side, set_window, number, 2 * WINDOW);
        }
        self.rest();
        for (side, number) in sides(&self.model) {
            let channel = self.model.channels.get_mut(&number).expect("a channel");
            for token in channel.ends[1 - side].requests.held.split_off(0) {
                match side {
                    0 => answer(&mut self.c.pair.client, token),
                    _ => answer(&mut self.c.pair.server, token),
                }
            }
        }
        for token in self.model.globals[1].held.split_off(0) {
            answer_global(&mut self.c.pair.client, token);
        }
        for token in self.model.globals[0].held.split_off(0) {
            answer_global(&mut self.c.pair.server, token);
        }
        self.read_everything();
        for channel in self.model.channels.values() {
            if channel.ends.iter().all(|end| end.closed == 0) {
                let [client, server] = &channel.ends;
                assert_eq!((client.read, server.read), (server.written, client.written));
                assert!(client.requests.awaiting.is_empty());
                assert!(server.requests.awaiting.is_empty());
            }
        }
        assert!(
            self.model
                .globals
                .iter()
                .all(|globals| globals.awaiting.is_empty())
        );
        for (side, number) in sides(&self.model) {
            if self.rng.below(2) == 0 || side == 1 {
                on!(self, side, close, number);
            }
        }
        self.read_everything();
        assert!(self.model.channels.is_empty(), "{:?}", self.model.channels);
    }

    fn read_everything(&mut self) {
        loop {
            self.rest();
            let before = self.model.bytes;
            let numbers: Vec<u64> = self.model.channels.keys().copied().collect();
            for number in numbers {
                on!(self, 0, read, number, usize::MAX);
                on!(self, 1, read, number, usize::MAX);
            }
            self.rest();
            if self.model.bytes == before {
                return;
            }
        }
    }
}

#[test]
fn random_operations_follow_the_model() {
    let mut totals = [0; 3];
    for mode in Mode::ALL {
        let operations = match mode.chunking {
            Chunking::ByteAtATime => 250,
            _ => 700,
        };
        for seed in 0..8 {
            for most in [WINDOW, 8 * WINDOW] {
                // Shown on failure.
                println!("{mode:?}, seed {seed}, windows up to {most}");
                let mut run = Run::new(mode, seed, most);
                for _ in 0..operations {
                    run.operate();
                }
                run.wind_up();
                let Model {
                    bytes,
                    replies,
                    lived,
                    ..
                } = run.model;
                totals = [totals[0] + bytes, totals[1] + replies, totals[2] + lived];
            }
        }
    }
    println!("bytes, replies, channels: {totals:?}");
    assert!(
        totals[0] > 1 << 20 && totals[1] > 1000 && totals[2] > 300,
        "{totals:?}"
    );
}
