//! Replies carry no id: both directions keep requests in order and match or release replies by it (RFC 4254 sections 4 and 5.4).

use alloc::collections::VecDeque;

use super::types::{ChannelError, RequestKey};

/// The peer's requests that want a reply, in order. Only a head that is answered leaves, whatever
/// the order in which the application answers.
pub(super) struct ReplyQueue<R> {
    /// The number of the head.
    first: u64,
    /// `None` until answered.
    slots: VecDeque<Option<R>>,
    unanswered: usize,
}

impl<R> ReplyQueue<R> {
    pub(super) const fn new() -> Self {
        Self {
            first: 0,
            slots: VecDeque::new(),
            unanswered: 0,
        }
    }

    /// Requests that are in the queue, answered or not.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Requests that the application has not answered.
    pub(super) const fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Appends a request for the application to answer.
    pub(super) fn ask(&mut self) -> RequestKey {
        let number = self
            .first
            .saturating_add(u64::try_from(self.slots.len()).unwrap_or(u64::MAX));
        self.slots.push_back(None);
        self.unanswered = self.unanswered.saturating_add(1);
        RequestKey(Some(number))
    }

    /// Appends a request that is answered on the spot.
    pub(super) fn settle(&mut self, reply: R) {
        self.slots.push_back(Some(reply));
    }

    /// Answers a request. Where no reply is wanted this does nothing and is well.
    pub(super) fn answer(&mut self, key: RequestKey, reply: R) -> Result<(), ChannelError> {
        let RequestKey(Some(number)) = key else {
            return Ok(());
        };
        let slot = number
            .checked_sub(self.first)
            .and_then(|place| usize::try_from(place).ok())
            .and_then(|place| self.slots.get_mut(place))
            .filter(|slot| slot.is_none())
            .ok_or(ChannelError::Closed)?;
        *slot = Some(reply);
        self.unanswered = self.unanswered.saturating_sub(1);
        Ok(())
    }

    /// Takes the head if it is answered.
    pub(super) fn pop_ready(&mut self) -> Option<R> {
        let reply = self.slots.front_mut()?.take()?;
        self.slots.pop_front();
        self.first = self.first.saturating_add(1);
        if self.slots.is_empty() {
            self.slots = VecDeque::new();
        }
        Some(reply)
    }

    /// Forgets every request: none can be answered any more.
    pub(super) fn clear(&mut self) {
        let len = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        self.first = self.first.saturating_add(len);
        self.slots = VecDeque::new();
        self.unanswered = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h12_replies_leave_in_the_order_of_requests() {
        let mut queue = ReplyQueue::new();
        let keys = [queue.ask(), queue.ask()];
        queue.settle('c');
        let last = queue.ask();
        assert_eq!(queue.answer(last, 'd'), Ok(()));
        assert_eq!(queue.answer(keys[1], 'b'), Ok(()));
        assert_eq!(queue.pop_ready(), None);
        assert_eq!((queue.len(), queue.unanswered()), (4, 1));
        assert_eq!(queue.answer(keys[0], 'a'), Ok(()));
        let order: alloc::vec::Vec<_> = core::iter::from_fn(|| queue.pop_ready()).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }

    #[test]
    fn h12_a_second_answer_is_an_error() {
        let mut queue = ReplyQueue::new();
        let (first, second) = (queue.ask(), queue.ask());
        assert_eq!(queue.answer(second, true), Ok(()));
        assert_eq!(queue.answer(second, false), Err(ChannelError::Closed));
        assert_eq!(queue.answer(first, true), Ok(()));
        assert_eq!(queue.pop_ready(), Some(true));
        assert_eq!(queue.answer(first, true), Err(ChannelError::Closed));
        queue.clear();
        let third = queue.ask();
        assert_eq!(queue.answer(second, true), Err(ChannelError::Closed));
        assert_eq!(queue.answer(third, true), Ok(()));
        assert_eq!(queue.answer(RequestKey(None), true), Ok(()));
    }
}
