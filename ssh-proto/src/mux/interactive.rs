//! What the timing of keystrokes depends on: whether somebody types, and how much waits to be sent (RFC 4254 section 6.2).

use super::Mux;
use super::channel::{Channel, Stage};

impl Mux {
    /// Whether a terminal was asked for on a channel that is open.
    pub(crate) fn has_pty(&self) -> bool {
        self.table.iter().any(|channel: &Channel| {
            channel.has_pty && channel.stage == Stage::Open && !channel.send.is_closed()
        })
    }

    /// Bytes of data that would leave now.
    pub(crate) fn sendable_data(&self) -> usize {
        self.senders
            .iter()
            .filter_map(|id| self.table.get(id))
            .fold(0, |sum: usize, channel| {
                sum.saturating_add(channel.send.sendable())
            })
    }
}
