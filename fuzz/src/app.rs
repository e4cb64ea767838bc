//! An application that answers every question by a policy, and watches that its connection keeps its promises.

use std::collections::HashMap;

use bytes::BytesMut;
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    ChannelId, DataStream, Disconnected, Event, IncomingChannel, Instant, Limits, Negotiated,
};

use crate::endpoint::{Endpoint, Policy, Told};

/// Events that one call may bring, and rounds until nothing moves: far above what an input of the
/// fuzzer's size can cause.
pub(crate) const STEPS: usize = 20_000;

/// The bounds of connections under test: small, so that they are met.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.rekey_bytes = 1 << 20;
    limits.rekey_packets = 200;
    limits.pre_auth_bytes = 64 << 10;
    limits.buffered_input = 1 << 20;
    limits.deferred_messages = 32;
    limits.deferred_bytes = 8 << 10;
    limits.channels = 8;
    limits.sessions = 4;
    limits.pending_requests = 4;
    limits.env_requests = 4;
    limits.window_size = 4096;
    limits.max_window_size = 16 << 10;
    limits.window_growth = 32 << 10;
    limits.max_packet_size = 1024;
    limits.channel_send_buffer = 2048;
    limits
}

/// What is known of a channel.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) open: bool,
    /// Whether the peer said that it sends no more.
    pub(crate) eof: bool,
    /// Whether this side finished or closed it.
    pub(crate) finished: bool,
    pub(crate) closing: bool,
    pub(crate) closed: bool,
    /// Bytes written, and read, each of which has a value by its place.
    pub(crate) written: u64,
    pub(crate) read: u64,
    /// Replies that are due to us.
    pub(crate) awaited: u32,
    /// The largest receive window that the application has set.
    pub(crate) window: u32,
}

/// The byte at this place of a stream that the other side's application wrote.
pub(crate) fn pattern(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9) >> 13) as u8
}

/// A connection with its application.
pub(crate) struct Watch<C> {
    pub(crate) conn: C,
    pub(crate) now: Instant,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    pub(crate) channels: HashMap<ChannelId, Known>,
    /// In the order in which they came to be, for choices by number.
    pub(crate) order: Vec<ChannelId>,
    /// Whether what is read has to be the peer application's pattern.
    pub(crate) checks_data: bool,
    pub(crate) ended: Option<Disconnected>,
    pub(crate) authenticated: bool,
    /// Replies to global requests, and proofs of host keys, that are due to us.
    pub(crate) global_replies: u32,
    pub(crate) proofs: u32,
    /// What the last key exchange came to.
    pub(crate) negotiated: Option<Negotiated>,
    /// Events so far.
    pub(crate) told: usize,
    /// The events in short, where `logs`.
    pub(crate) log: Vec<String>,
    /// Whether events are written down, which takes most of the time. With `FUZZ_LOG` set, always.
    pub(crate) logs: bool,
    held: Vec<Told>,
    sent: usize,
}

impl<C: Endpoint> Watch<C> {
    pub(crate) fn new(conn: C, limits: Limits) -> Self {
        Self {
            conn,
            now: Instant::EPOCH,
            policy: Policy::default(),
            limits,
            channels: HashMap::new(),
            order: Vec::new(),
            checks_data: false,
            ended: None,
            authenticated: false,
            global_replies: 0,
            proofs: 0,
            negotiated: None,
            told: 0,
            log: Vec::new(),
            logs: std::env::var_os("FUZZ_LOG").is_some(),
            held: Vec::new(),
            sent: 0,
        }
    }

    /// Takes events until there are none; whether there were any.
    pub(crate) fn poll(&mut self) -> bool {
        for step in 0.. {
            assert!(step < STEPS, "events without end");
            let Some(told) = self.conn.next() else {
                // Until its end is told, a channel that is gone seems to be there.
                let live = self.channels.values().filter(|known| !known.closed);
                assert!(live.count() <= self.limits.channels, "too many channels");
                return step > 0;
            };
            let ended = self.ended.is_some();
            self.note(&told);
            assert!(!ended, "an event behind the last one: {:?}", self.log);
            self.handle(told);
        }
        unreachable!("the steps are counted")
    }

    fn handle(&mut self, told: Told) {
        match told.is_question() {
            true if self.policy.keeps() => {
                self.held.push(told);
                self.check_questions();
            }
            true if self.policy.drops() => drop(told),
            true => self.answer(told),
            false => self.learn(told),
        }
    }

    fn note(&mut self, told: &Told) {
        self.told += 1;
        if !self.logs {
            return;
        }
        self.log.push(told.line());
    }

    /// Cap: questions about opens and requests that are open at once.
    fn check_questions(&self) {
        let open = self.held.iter().filter(|told| match told {
            Told::Shared(Event::ChannelOpen(_)) => true,
            Told::Shared(Event::Request(token)) => {
                let known = self.channels.get(&token.channel());
                token.wants_reply() && known.is_some_and(|known| !known.closed && !known.closing)
            }
            _ => false,
        });
        let open = open.count();
        assert!(
            open <= self.limits.pending_requests,
            "{open} questions are open"
        );
    }

    /// Answers what was put aside.
    pub(crate) fn settle(&mut self) {
        for told in std::mem::take(&mut self.held) {
            match self.policy.drops() {
                true => drop(told),
                false => self.answer(told),
            }
        }
    }

    pub(crate) fn forget_held(&mut self) {
        self.held.clear();
    }

    fn answer(&mut self, told: Told) {
        match told {
            Told::Shared(Event::ChannelOpen(token)) => self.answer_open(token),
            Told::Shared(event) => self.policy.answer(&mut self.conn, event),
            told => self.conn.answer(told, self.policy),
        }
    }

    fn answer_open(&mut self, token: IncomingChannel) {
        if let Some(id) = self.policy.answer_open(&mut self.conn, token) {
            self.adopt(id, true);
        }
    }

    /// Keeps a channel that is open or will be.
    pub(crate) fn adopt(&mut self, id: ChannelId, open: bool) {
        let known = Known {
            open,
            ..Known::default()
        };
        assert!(
            self.channels.insert(id, known).is_none(),
            "an id was given twice"
        );
        self.order.push(id);
    }

    pub(crate) fn known(&mut self, id: ChannelId) -> &mut Known {
        self.channels
            .get_mut(&id)
            .expect("an event of a channel that was never opened")
    }

    fn learn(&mut self, told: Told) {
        let event = match told {
            Told::Shared(event) => event,
            Told::Proof => {
                assert!(self.proofs > 0, "a proof that was not asked for");
                self.proofs -= 1;
                return;
            }
            _ => return,
        };
        match event {
            Event::Authenticated(_) => {
                assert!(!self.authenticated, "authenticated twice");
                self.authenticated = true;
            }
            Event::KeysChanged(negotiated) => self.negotiated = Some(negotiated),
            Event::ChannelOpened(id) => {
                let known = self.known(id);
                assert!(!known.open, "opened twice");
                known.open = true;
            }
            Event::ChannelOpenFailed { channel, .. } => {
                let known = self.known(channel);
                assert!(!known.open, "failed to open, once open");
                known.closed = true;
            }
            Event::Readable(id) => {
                assert!(!self.known(id).closed, "readable, once closed");
                if self.policy.reads() {
                    self.read(id);
                }
            }
            Event::Writable(id) => assert!(!self.known(id).closed, "writable, once closed"),
            Event::Eof(id) => {
                let known = self.known(id);
                assert!(!known.eof, "two ends");
                known.eof = true;
            }
            Event::RequestReply { channel, .. } => {
                let known = self.known(channel);
                assert!(known.awaited > 0, "a reply to no request");
                known.awaited -= 1;
            }
            Event::GlobalReply { .. } => {
                assert!(self.global_replies > 0, "a reply to no request");
                self.global_replies -= 1;
            }
            Event::ChannelClosed(id) => {
                let known = self.known(id);
                assert!(!known.closed, "closed twice");
                known.closed = true;
                if self.policy.reads() {
                    self.read(id);
                }
            }
            Event::Disconnected(cause) => self.ended = Some(cause),
            _ => {}
        }
    }

    /// Reads everything that is there.
    pub(crate) fn read(&mut self, id: ChannelId) {
        for step in 0.. {
            assert!(step < STEPS, "chunks without end");
            if let Ok(bytes) = self.conn.readable_bytes(id) {
                let window = self.known(id).window.max(self.limits.max_window_size);
                assert!(bytes <= window as usize, "more than a window is held");
            }
            let Ok(Some(chunk)) = self.conn.read(id) else {
                return;
            };
            assert!(!chunk.bytes.is_empty(), "an empty chunk");
            let checks = self.checks_data;
            let known = self.known(id);
            for byte in chunk.bytes {
                assert!(
                    !checks || byte == pattern(known.read),
                    "other data than sent"
                );
                known.read += 1;
            }
        }
    }

    pub(crate) fn read_all(&mut self) {
        for at in 0..self.order.len() {
            self.read(self.order[at]);
        }
    }

    /// Writes as much as fits of so many bytes of the pattern.
    pub(crate) fn write(&mut self, id: ChannelId, stream: DataStream, len: usize) {
        let at = self.known(id).written;
        let data: Vec<u8> = (at..).take(len).map(pattern).collect();
        if let Ok(taken) = self.conn.write(id, stream, &data) {
            assert!(taken <= len, "more was taken than given");
            self.known(id).written += taken as u64;
        }
    }

    /// Appends what there is to send; whether there was any.
    pub(crate) fn transmit(&mut self, out: &mut BytesMut) -> bool {
        let before = out.len();
        for step in 0.. {
            assert!(step < STEPS, "output without end");
            let wanted = self.conn.wants_write();
            let len = out.len();
            let Some(transmit) = self.conn.poll_transmit(self.now, out) else {
                assert!(!wanted, "it wants to write, and has nothing to");
                break;
            };
            assert_eq!(out.len() - len, transmit.size, "a wrong size");
            assert!(transmit.size > 0 || transmit.then_close, "empty output");
            if transmit.then_close {
                assert!(self.conn.is_closed());
            }
        }
        assert!(
            !self.conn.wants_write(),
            "it had nothing, and wants to write"
        );
        self.sent += out.len() - before;
        out.len() > before
    }

    /// Moves time to the next deadline, at most; whether there was one.
    pub(crate) fn wait(&mut self) -> bool {
        let Some(deadline) = self.conn.poll_timeout() else {
            return false;
        };
        self.now = self.now.max(deadline);
        self.conn.handle_timeout(self.now);
        assert!(
            self.conn
                .poll_timeout()
                .is_none_or(|next| next > self.now || next != deadline),
            "a deadline that does not pass"
        );
        true
    }

    /// Ends the input and sees that the connection ends, once and for good.
    pub(crate) fn finish(&mut self) {
        let mut out = BytesMut::new();
        self.policy = Policy::default();
        self.forget_held();
        self.conn.handle_eof(self.now);
        for round in 0.. {
            assert!(round < STEPS, "no end");
            self.forget_held();
            let mut moved = self.poll();
            moved |= self.transmit(&mut out);
            out.clear();
            // A withheld failure waits for its time.
            if !moved && (self.ended.is_some() || !self.wait()) {
                break;
            }
        }
        if self.ended.is_none() {
            self.conn
                .disconnect(self.now, DisconnectReason::BY_APPLICATION, "");
            panic!("the input has ended, and the connection has not");
        }
        assert!(self.conn.is_closed(), "ended, and not closed");
        assert!(!self.conn.wants_read() && !self.conn.wants_write());
        assert_eq!(self.conn.poll_timeout(), None, "{:?}", self.log);
        self.read_all();
    }
}
