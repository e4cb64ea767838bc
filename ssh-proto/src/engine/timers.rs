//! The clock and the deadlines of a connection: what runs when, and what its end means.

use core::mem;
use core::time::Duration;

use super::Core;
use super::phase::Phase;
use super::side::{Pause, Side};
use crate::error::Error;
use crate::time::{Instant, Timer};

impl<S: Side> Core<S> {
    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        // What has happened by now counts, though nobody has polled for it.
        self.settle_abandoned();
        self.watch_idle();
        for timer in Timer::ALL {
            if !self.is_open() {
                return;
            }
            if self.timers.take_expired(timer, self.now) {
                match self.peer_is_judged(timer) && !self.is_caught_up() {
                    true => self.postpone(timer),
                    false => self.expire(timer),
                }
            }
        }
    }

    /// Whether the timer ends the connection because of what the peer does not send.
    fn peer_is_judged(&self, timer: Timer) -> bool {
        matches!(timer, Timer::Kex | Timer::KeepAlive | Timer::Idle)
    }

    /// Whether all that has arrived is parsed, so that silence is the peer's.
    fn is_caught_up(&self) -> bool {
        self.pause.is_none() && self.transport.needs_input()
    }

    /// What the peer has for the key exchange under way.
    fn kex_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::FirstKex => self.settings.limits.handshake_timeout,
            _ => self.settings.limits.kex_timeout,
        }
    }

    /// Gives the peer its time anew, since what it sent may be waiting for us.
    fn postpone(&mut self, timer: Timer) {
        let limits = &self.settings.limits;
        let after = match timer {
            Timer::Kex => self.kex_timeout(),
            Timer::KeepAlive => limits.keepalive_interval,
            _ => limits.idle_timeout,
        };
        self.timers.start(timer, self.now, after);
    }

    fn expire(&mut self, timer: Timer) {
        match timer {
            Timer::LoginGrace | Timer::Kex | Timer::Decision | Timer::Idle => {
                self.fail(Error::Timeout(timer));
            }
            Timer::AuthFailureDelay => self.side.release_failure(&mut self.outbox),
            Timer::RekeyAge => {
                if let Err(error) = self.transport.start_rekey() {
                    self.fail(error);
                }
                self.watch_kex();
            }
            Timer::KeepAlive => self.keep_alive(),
            Timer::Obscure => self.keystroke_tick(),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Moves the clock on; never back.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
        // Answers come without the time: what the peer owes since, it owes from now on.
        if mem::take(&mut self.answered) && self.timers.is_set(Timer::Kex) {
            self.timers.stop(Timer::Kex);
            self.timers.start(Timer::Kex, self.now, self.kex_timeout());
        }
    }

    /// Keeps the key exchange timer running while, and only while, the peer owes us something.
    pub(super) fn watch_kex(&mut self) {
        let waits_for_us = matches!(
            self.pause,
            Some((
                Pause::Admission | Pause::HostKey | Pause::HostSign | Pause::Forged,
                _
            ))
        );
        if self.transport.kex.is_active() && !waits_for_us {
            self.timers.start(Timer::Kex, self.now, self.kex_timeout());
        } else {
            self.timers.stop(Timer::Kex);
        }
    }

    pub(super) fn watch_idle(&mut self) {
        if let (Some(mux), Some(after)) = (&mut self.mux, self.settings.limits.idle_timeout)
            && mux.take_user_data_seen()
            && self.is_open()
        {
            self.timers.set(Timer::Idle, self.now + after);
        }
    }
}
