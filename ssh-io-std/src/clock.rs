//! The clock: std's monotonic time as the core's.

use ssh_proto::Instant;

/// std's monotonic clock, as microseconds since the clock was made.
///
/// Connections that share a thread may share a clock; it is a plain value.
#[derive(Debug, Clone, Copy)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// A clock whose epoch is now.
    pub fn new() -> Self {
        Self(std::time::Instant::now())
    }

    /// What a connection is to be given as `now`.
    pub fn now(self) -> Instant {
        Instant::from_duration(self.0.elapsed())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
