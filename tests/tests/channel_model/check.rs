//! What the model says must hold: at any moment, and once the pair has come to rest.

use ssh_proto::{ChannelError, ChannelId, Connection};

use super::model::{BUFFER, Model, PACKET, global_number_of, number_of};

impl Model {
    /// What holds at any moment.
    pub(super) fn check(&self, connections: [&dyn Ends; 2]) {
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
    pub(super) fn check_rest(&mut self, connections: [&dyn Ends; 2]) {
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
pub(super) trait Ends {
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
