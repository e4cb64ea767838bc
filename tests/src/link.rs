//! One direction of a transport: bytes go in, and come out split, merged, late or not at all.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::Instant;

use crate::mode::Chunking;
use crate::rng::TestRng;

/// Bytes on their way to one end.
#[derive(Debug)]
pub struct Link {
    chunking: Chunking,
    rng: TestRng,
    /// What arrives when.
    travelling: VecDeque<(Instant, BytesMut)>,
    arrived: BytesMut,
    delay: (Duration, Duration),
    stalled: bool,
    closed: bool,
    total: u64,
}

impl Link {
    /// A link without delay.
    pub fn new(chunking: Chunking) -> Self {
        let seed = match chunking {
            Chunking::Random(seed) => seed,
            _ => 0,
        };
        Self {
            chunking,
            rng: TestRng::new(seed),
            travelling: VecDeque::new(),
            arrived: BytesMut::new(),
            delay: (Duration::ZERO, Duration::ZERO),
            stalled: false,
            closed: false,
            total: 0,
        }
    }

    /// Lets each write travel for a random time between the two.
    pub fn set_delay(&mut self, least: Duration, most: Duration) {
        self.delay = (least, most);
    }

    /// Delivers nothing until called again with `false`.
    pub fn stall(&mut self, stalled: bool) {
        self.stalled = stalled;
    }

    /// No more bytes follow: the reader sees the end behind what is under way.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Loses everything that is under way.
    pub fn clear(&mut self) {
        self.travelling.clear();
        self.arrived.clear();
    }

    /// Takes bytes from the writer. Those after [`Self::close`] are lost.
    pub fn push(&mut self, now: Instant, bytes: BytesMut) {
        if bytes.is_empty() || self.closed {
            return;
        }
        self.total += bytes.len() as u64;
        let spread = self.delay.1.saturating_sub(self.delay.0).as_micros() as usize;
        let extra = match spread {
            0 => 0,
            spread => self.rng.below(spread + 1),
        };
        let due = now + self.delay.0 + Duration::from_micros(extra as u64);
        // What was written first arrives first.
        let due = self
            .travelling
            .back()
            .map_or(due, |(last, _)| due.max(*last));
        self.travelling.push_back((due, bytes));
    }

    /// The next piece that has arrived.
    pub fn pull(&mut self, now: Instant) -> Option<BytesMut> {
        if self.stalled {
            return None;
        }
        while self.travelling.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, bytes)) = self.travelling.pop_front() {
                match self.arrived.is_empty() {
                    true => self.arrived = bytes,
                    false => self.arrived.extend_from_slice(&bytes),
                }
            }
        }
        if self.arrived.is_empty() {
            return None;
        }
        Some(self.cut())
    }

    fn cut(&mut self) -> BytesMut {
        let len = self.arrived.len();
        match self.chunking {
            Chunking::Whole => self.arrived.split(),
            Chunking::ByteAtATime => self.arrived.split_to(1),
            Chunking::Random(_) => {
                let most = [1, 7, 64, 1500, len][self.rng.below(5)];
                let size = 1 + self.rng.below(most.min(len));
                let piece = self.arrived.split_to(size);
                match self.rng.below(2) {
                    0 => piece,
                    _ => BytesMut::from(&piece[..]),
                }
            }
        }
    }

    /// Whether the reader is at the end.
    pub fn is_at_end(&self) -> bool {
        self.closed && !self.stalled && self.in_flight() == 0
    }

    /// When the next bytes arrive, if some are still travelling and the link is not stalled.
    pub fn next_arrival(&self) -> Option<Instant> {
        match self.stalled {
            true => None,
            false => self.travelling.front().map(|(due, _)| *due),
        }
    }

    /// Bytes not delivered.
    pub fn in_flight(&self) -> usize {
        let travelling: usize = self.travelling.iter().map(|(_, bytes)| bytes.len()).sum();
        travelling + self.arrived.len()
    }

    /// Bytes ever written.
    pub fn total(&self) -> u64 {
        self.total
    }
}
