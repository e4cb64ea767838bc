//! Whose turn it is: channels that owe credit, then channels that have something to send, round robin.

use alloc::collections::VecDeque;

use super::types::ChannelId;

/// A list of channels in turn. Each channel notes whether it is in it.
#[derive(Default)]
pub(super) struct Turns {
    order: VecDeque<ChannelId>,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn first(&self) -> Option<ChannelId> {
        self.order.front().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = ChannelId> {
        self.order.iter().copied()
    }

    /// Adds a channel at the end, unless `member` says that it is there.
    pub(super) fn join(&mut self, id: ChannelId, member: &mut bool) {
        if !core::mem::replace(member, true) {
            self.order.push_back(id);
        }
    }

    /// Removes a channel if it is there. Asked for each packet, when it mostly is not.
    #[inline]
    pub(super) fn leave(&mut self, id: ChannelId, member: &mut bool) {
        if core::mem::replace(member, false) {
            self.remove(id);
        }
    }

    /// At once for the first.
    fn remove(&mut self, id: ChannelId) {
        if self.first() == Some(id) {
            self.order.pop_front();
        } else {
            self.order.retain(|other| *other != id);
        }
        if self.order.is_empty() {
            self.order.shrink_to(4);
        }
    }

    /// Puts the first behind all others.
    pub(super) fn rotate(&mut self) {
        if !self.order.is_empty() {
            self.order.rotate_left(1);
        }
    }
}
