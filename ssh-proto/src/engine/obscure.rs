//! Hides when keys are pressed, as OpenSSH's `ObscureKeystrokeTiming` does: while somebody types, packets leave at a fixed pace, and chaff goes on for a while after.
//!
//! The first keystroke of a burst leaves at once. From then on what is to be sent is held to ticks
//! about an interval apart; a tick without data sends a `ping@openssh.com` of the size of a
//! keystroke instead. The burst ends when nothing was typed for a random time, when more than a few
//! keystrokes wait (a paste, a transfer), when keys are exchanged, or with the terminal.

use core::time::Duration;

use super::Core;
use super::side::Side;
use crate::time::{Instant, Timer};
use crate::transport::RandomStream;
use crate::wire::extension::Ping;

/// Chaff goes on for at least this long after the last keystroke.
const CHAFF_MIN: Duration = Duration::from_millis(1024);

/// And for up to this much longer.
const CHAFF_RANGE: Duration = Duration::from_millis(2048);

/// The part of the interval by which ticks stray, and the pace of a burst with them.
const FUZZ: u32 = 10;

/// Bytes that wait to be sent from which on it is no typing.
const BULK: usize = 256;

/// The pace at which a client sends while somebody types.
pub(super) struct Obscure {
    interval: Duration,
    random: RandomStream,
    /// What our pings carry, five bytes so that they are as long as one byte of channel data.
    /// Random, so that no ping of the application is taken for one of them.
    chaff: [u8; 5],
    burst: Option<Burst>,
}

/// Somebody types.
struct Burst {
    chaff_until: Instant,
    /// How much slower than the shortest interval this burst is.
    rate: Duration,
    /// What the latest tick let pass has left: nothing follows before the next.
    holds: bool,
}

impl Obscure {
    pub(super) fn new(interval: Duration, mut random: RandomStream) -> Self {
        let mut chaff = [0; 5];
        random.fill(&mut chaff);
        Self {
            interval,
            random,
            chaff,
            burst: None,
        }
    }

    /// Whether a `PONG` with this data answers chaff.
    pub(super) fn is_chaff(&self, data: &[u8]) -> bool {
        data == self.chaff
    }

    /// A random time below this one.
    fn below(&mut self, range: Duration) -> Duration {
        let mut word = [0; 8];
        self.random.fill(&mut word);
        let micros = u64::try_from(range.as_micros()).unwrap_or(u64::MAX);
        let scaled = (u128::from(u64::from_le_bytes(word)) * u128::from(micros)) >> 64;
        Duration::from_micros(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    fn chaff_time(&mut self) -> Duration {
        CHAFF_MIN + self.below(CHAFF_RANGE)
    }

    fn begin(&mut self, now: Instant) {
        let fuzz = self.interval / FUZZ;
        self.burst = Some(Burst {
            chaff_until: now + self.chaff_time(),
            rate: self.below(fuzz),
            holds: false,
        });
    }

    /// The time from one tick to the next.
    fn gap(&mut self) -> Duration {
        let fuzz = self.interval / FUZZ;
        let rate = self.burst.as_ref().map_or(Duration::ZERO, |b| b.rate);
        (self.interval - fuzz)
            .saturating_add(self.below(fuzz))
            .saturating_add(rate)
    }
}

impl<S: Side> Core<S> {
    /// Bytes of data that wait to be sent, if somebody types, and only that.
    fn typed(&self) -> Option<usize> {
        let mux = self.mux.as_ref()?;
        if !self.is_open()
            || !self.peer_answers_pings
            || self.transport.kex.is_active()
            || !mux.has_pty()
        {
            return None;
        }
        let data = mux.sendable_data();
        (data.saturating_add(self.outbox.bytes()) < BULK).then_some(data)
    }

    /// Whether what is not key exchange waits for the next tick.
    pub(super) fn is_held(&self) -> bool {
        let burst = self.obscure.as_ref().and_then(|o| o.burst.as_ref());
        burst.is_some_and(|burst| burst.holds) && self.typed().is_some()
    }

    /// Before something is sent: a burst begins, ticks, or ends.
    pub(super) fn pace(&mut self) {
        let Some(obscure) = &self.obscure else {
            return;
        };
        let in_burst = obscure.burst.is_some();
        match self.typed() {
            Some(_) if in_burst => {
                if self.timers.take_expired(Timer::Obscure, self.now) {
                    self.keystroke_tick();
                }
            }
            Some(1..) => {
                if let Some(obscure) = &mut self.obscure {
                    obscure.begin(self.now);
                    let gap = obscure.gap();
                    self.timers.set(Timer::Obscure, self.now + gap);
                }
            }
            Some(0) => {}
            None => self.end_burst(),
        }
    }

    /// Everything that a tick let pass has left.
    pub(super) fn hold(&mut self) {
        if let Some(burst) = self.obscure.as_mut().and_then(|o| o.burst.as_mut()) {
            burst.holds = true;
        }
    }

    fn end_burst(&mut self) {
        if let Some(obscure) = &mut self.obscure {
            obscure.burst = None;
        }
        self.timers.stop(Timer::Obscure);
    }

    /// The time for the next keystroke, or what looks like one, has come.
    pub(super) fn keystroke_tick(&mut self) {
        let typed = self.typed();
        let Some(obscure) = &mut self.obscure else {
            return;
        };
        let (Some(typed), Some(burst)) = (typed, &obscure.burst) else {
            return self.end_burst();
        };
        let (chaff_until, holds) = (burst.chaff_until, burst.holds);
        let chaff_until = match typed {
            0 if self.now >= chaff_until => return self.end_burst(),
            0 => chaff_until,
            _ => self.now + obscure.chaff_time(),
        };
        // Where the transport has not taken what the tick before let pass, that is enough.
        if typed == 0 && holds {
            self.outbox.push(&Ping {
                data: &obscure.chaff,
            });
        }
        if let Some(burst) = &mut obscure.burst {
            burst.chaff_until = chaff_until;
            burst.holds = false;
        }
        let gap = obscure.gap();
        self.timers.set(Timer::Obscure, self.now + gap);
    }
}
