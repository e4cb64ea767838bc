//! The receiving half of a channel: our window, and data that the application has not read (RFC 4254 sections 5.2 and 5.3).

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::types::{Chunk, DataStream};
use crate::error::PeerMisbehaved;
use crate::limits::{Limits, MAX_UNREAD_PIECES};

/// Small pieces are copied together up to this size.
const GATHERED: usize = 32 << 10;

/// Data of one stream that waits to be read.
enum Piece {
    /// A slice of the packet it came in.
    Slice(Bytes),
    /// Copies of small packets.
    Gathered(BytesMut),
}

/// How far windows may grow by themselves: one bound for each, one for all of a connection.
pub(super) struct Growth {
    /// The largest window.
    most: u32,
    /// Bytes by which the windows of all channels together may still grow.
    left: u32,
}

impl Growth {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            most: limits.max_window_size,
            left: limits.window_growth,
        }
    }

    /// Takes back what a channel that is gone had grown by.
    pub(super) const fn give_back(&mut self, bytes: u32) {
        self.left = self.left.saturating_add(bytes);
    }
}

/// The receiving half.
pub(super) struct RecvHalf {
    /// Bytes that the peer may still send, as it knows.
    window: u32,
    /// What `window` and `unread` together are brought back to.
    target: u32,
    /// The part of `target` that came of growth.
    grown: u32,
    /// Bytes received since the window was opened or grew; `None` where it grows no more.
    used: Option<u32>,
    max_packet: u32,
    pieces: VecDeque<(DataStream, Piece)>,
    /// Bytes in `pieces`.
    unread: usize,
    /// The peer has sent EOF.
    eof: bool,
    /// The peer has sent CLOSE.
    closed: bool,
}

impl RecvHalf {
    pub(super) const fn new(window: u32, max_packet: u32) -> Self {
        Self {
            window,
            target: window,
            grown: 0,
            used: Some(0),
            max_packet,
            pieces: VecDeque::new(),
            unread: 0,
            eof: false,
            closed: false,
        }
    }

    pub(super) const fn window(&self) -> u32 {
        self.window
    }

    pub(super) const fn max_packet(&self) -> u32 {
        self.max_packet
    }

    pub(super) const fn unread(&self) -> usize {
        self.unread
    }

    #[cfg(test)]
    pub(super) const fn target(&self) -> u32 {
        self.target
    }

    pub(super) const fn grown(&self) -> u32 {
        self.grown
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sets the size of the window; it grows by itself no more. What the peer was told it may send
    /// stands: a smaller window comes of credit that is withheld.
    pub(super) fn resize(&mut self, bytes: u32, growth: &mut Growth) {
        growth.give_back(core::mem::take(&mut self.grown));
        self.used = None;
        self.target = bytes;
    }

    /// Notes the peer's EOF; whether it is the first.
    pub(super) fn end(&mut self) -> bool {
        !core::mem::replace(&mut self.eof, true)
    }

    /// Notes the peer's CLOSE.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Charges data of this length to the window.
    pub(super) fn charge(&mut self, len: usize) -> Result<(), PeerMisbehaved> {
        if self.eof {
            return Err(PeerMisbehaved::BadChannelState);
        }
        let len = u32::try_from(len).map_err(|_| PeerMisbehaved::WindowExceeded)?;
        if len > self.max_packet {
            return Err(PeerMisbehaved::WindowExceeded);
        }
        self.window = self
            .window
            .checked_sub(len)
            .ok_or(PeerMisbehaved::WindowExceeded)?;
        self.used = self.used.map(|used| used.saturating_add(len));
        Ok(())
    }

    /// Keeps data of `packet` that was charged: as a slice of it, or as a copy.
    ///
    /// Past [`MAX_UNREAD_PIECES`] it is copied in any case, and streams that alternate are then
    /// gathered each by itself: single bytes must not cost a piece each.
    pub(super) fn keep(&mut self, stream: DataStream, data: &[u8], packet: &Bytes, copy: bool) {
        self.unread = self.unread.saturating_add(data.len());
        let crowded = self.pieces.len() >= MAX_UNREAD_PIECES;
        if !copy && !crowded {
            let slice = packet.slice_ref(data);
            self.pieces.push_back((stream, Piece::Slice(slice)));
            return;
        }
        let mut last = self.pieces.iter_mut().rev().take(1 + usize::from(crowded));
        match last.find(|(other, _)| *other == stream) {
            Some((_, Piece::Gathered(gathered)))
                if gathered.len().saturating_add(data.len()) <= GATHERED =>
            {
                gathered.extend_from_slice(data);
            }
            _ => {
                let gathered = BytesMut::from(data);
                self.pieces.push_back((stream, Piece::Gathered(gathered)));
            }
        }
    }

    /// Takes the next chunk, which makes room for more.
    pub(super) fn read(&mut self) -> Option<Chunk> {
        let (stream, piece) = self.pieces.pop_front()?;
        let bytes = match piece {
            Piece::Slice(bytes) => bytes,
            Piece::Gathered(gathered) => gathered.freeze(),
        };
        self.unread = self.unread.saturating_sub(bytes.len());
        if self.pieces.is_empty() {
            self.pieces.shrink_to(4);
        }
        Some(Chunk { stream, bytes })
    }

    /// Discards everything that is unread, of a channel that the application reads no more; how
    /// much it was.
    pub(super) fn discard_all(&mut self) -> usize {
        self.used = None;
        self.pieces = VecDeque::new();
        core::mem::take(&mut self.unread)
    }

    fn unread_window(&self) -> u32 {
        u32::try_from(self.unread).unwrap_or(u32::MAX)
    }

    /// Bytes that the peer may be told it can send beyond what it knows: those that were read or
    /// discarded, and those by which the window grew.
    fn owed(&self) -> u32 {
        self.target
            .saturating_sub(self.window)
            .saturating_sub(self.unread_window())
    }

    /// Whether credit is to be given: for half the window, or, while much is unread and less than
    /// half of the window is left, for more than three packets.
    pub(super) fn owes_credit(&self) -> bool {
        let half = (self.target / 2).max(1);
        let ends = self.eof || self.closed;
        let owed = self.owed();
        !ends && (owed >= half || self.window < half && owed > self.max_packet.saturating_mul(3))
    }

    /// Gives the credit: the bytes to announce.
    pub(super) fn credit(&mut self, growth: &mut Growth) -> u32 {
        self.grow(growth);
        let credit = self.owed();
        self.window = self.window.saturating_add(credit);
        credit
    }

    /// Doubles the window, as far as it may, once the peer has used up all of it and the
    /// application has kept up with reading: on a long link it is the window that holds the peer
    /// back then, and on a short one a larger window costs nothing while it is read. Where the
    /// application falls behind, a larger window would only be filled.
    fn grow(&mut self, growth: &mut Growth) {
        let keeps_up = self.unread_window() <= self.target / 4;
        if !keeps_up || self.used.is_none_or(|used| used < self.target) {
            return;
        }
        let room = growth.most.saturating_sub(self.target).min(growth.left);
        let by = self.target.min(room);
        growth.left = growth.left.saturating_sub(by);
        self.grown = self.grown.saturating_add(by);
        self.target = self.target.saturating_add(by);
        self.used = Some(0);
    }
}
