//! Time as a number: the caller's clock, and the table of the connection's timers.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment on the caller's monotonic clock, in microseconds since an epoch of the caller's choosing.
///
/// The core never reads a clock. Every method that depends on time takes an `Instant`; the
/// caller builds it from whatever it has. Arithmetic saturates, and a clock that steps back is
/// treated as standing still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Instant(u64);

impl Instant {
    /// The caller's epoch.
    pub const EPOCH: Self = Self(0);

    /// A moment `micros` microseconds after the caller's epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A moment `since_epoch` after the caller's epoch.
    pub fn from_duration(since_epoch: Duration) -> Self {
        Self(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
    }

    /// Microseconds since the caller's epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Self> for Instant {
    type Output = Duration;

    fn sub(self, rhs: Self) -> Duration {
        self.saturating_duration_since(rhs)
    }
}

/// What a deadline is for.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// From construction to successful authentication (OpenSSH's `LoginGraceTime`). Reset by nothing.
    LoginGrace,
    /// From our `KEXINIT` to the peer's `NEWKEYS`.
    Kex,
    /// The age at which keys are replaced (RFC 4253 section 9).
    RekeyAge,
    /// The interval after which silence is answered with a keepalive request.
    KeepAlive,
    /// The time without user data after which the connection ends.
    Idle,
    /// The time the application has to answer a question that pauses the connection.
    Decision,
    /// The moment at which a withheld authentication failure is sent.
    AuthFailureDelay,
    /// The moment at which keystrokes that are held, or chaff in their place, are sent.
    Obscure,
}

impl Timer {
    const COUNT: usize = 8;

    /// Every timer, in the order in which simultaneous deadlines are handled.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::LoginGrace,
        Self::Kex,
        Self::Decision,
        Self::Idle,
        Self::AuthFailureDelay,
        Self::KeepAlive,
        Self::RekeyAge,
        Self::Obscure,
    ];
}

/// One deadline for each [`Timer`].
#[derive(Debug, Default)]
pub(crate) struct TimerTable {
    deadlines: [Option<Instant>; Timer::COUNT],
}

impl TimerTable {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = Some(at);
        }
    }

    /// Sets the timer unless the duration is `None` or the timer already runs.
    pub(crate) fn start(&mut self, timer: Timer, now: Instant, after: Option<Duration>) {
        if let (Some(after), false) = (after, self.is_set(timer)) {
            self.set(timer, now + after);
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = None;
        }
    }

    pub(crate) fn stop_all(&mut self) {
        self.deadlines = Default::default();
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.deadlines
            .get(timer as usize)
            .is_some_and(Option::is_some)
    }

    pub(crate) fn is_expired(&self, timer: Timer, now: Instant) -> bool {
        self.deadlines
            .get(timer as usize)
            .is_some_and(|d| d.is_some_and(|at| at <= now))
    }

    /// Stops the timer and returns true if its deadline has passed.
    pub(crate) fn take_expired(&mut self, timer: Timer, now: Instant) -> bool {
        let expired = self.is_expired(timer, now);
        if expired {
            self.stop(timer);
        }
        expired
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.deadlines.iter().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_saturate() {
        let late = Instant::from_micros(u64::MAX - 1);
        assert_eq!(
            late + Duration::from_secs(5),
            Instant::from_micros(u64::MAX)
        );
        assert_eq!(Instant::EPOCH - late, Duration::ZERO);
        assert_eq!(
            Instant::from_duration(Duration::MAX),
            Instant::from_micros(u64::MAX)
        );
    }

    #[test]
    fn the_earliest_timer_is_next() {
        let mut table = TimerTable::default();
        assert_eq!(table.next(), None);
        table.set(Timer::Kex, Instant::from_micros(9));
        table.set(Timer::Idle, Instant::from_micros(4));
        assert_eq!(table.next(), Some(Instant::from_micros(4)));
        assert!(!table.take_expired(Timer::Idle, Instant::from_micros(3)));
        assert!(table.take_expired(Timer::Idle, Instant::from_micros(4)));
        assert!(!table.is_set(Timer::Idle));
        table.start(Timer::Kex, Instant::EPOCH, Some(Duration::ZERO));
        assert_eq!(
            table.next(),
            Some(Instant::from_micros(9)),
            "a running timer is not restarted"
        );
        for timer in Timer::ALL {
            table.set(timer, Instant::EPOCH);
            assert!(table.is_expired(timer, Instant::EPOCH));
        }
        table.stop_all();
        assert_eq!(table.next(), None);
    }
}
