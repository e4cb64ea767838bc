//! The receiving half of a channel: our window, and data that the application has not read (RFC 4254 sections 5.2 and 5.3).

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::types::{Chunk, DataStream};
use crate::error::PeerMisbehaved;
use crate::limits::MAX_UNREAD_PIECES;

/// Small pieces are copied together up to this size.
const GATHERED: usize = 32 << 10;

/// Data of one stream that waits to be read.
enum Piece {
    /// A slice of the packet it came in.
    Slice(Bytes),
    /// Copies of small packets.
    Gathered(BytesMut),
}

/// The receiving half.
pub(super) struct RecvHalf {
    /// Bytes that the peer may still send, as it knows.
    window: u32,
    /// What `window` is brought back to; a larger value here would grow it.
    target: u32,
    max_packet: u32,
    /// Bytes read or discarded that are not given back yet. `window + unread + consumed <= target`.
    consumed: u32,
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
            max_packet,
            consumed: 0,
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

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
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

    /// Credits data that was charged and is of no use.
    pub(super) fn discard(&mut self, len: usize) {
        self.consumed = self
            .consumed
            .saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// Takes the next chunk and credits it.
    pub(super) fn read(&mut self) -> Option<Chunk> {
        let (stream, piece) = self.pieces.pop_front()?;
        let bytes = match piece {
            Piece::Slice(bytes) => bytes,
            Piece::Gathered(gathered) => gathered.freeze(),
        };
        self.unread = self.unread.saturating_sub(bytes.len());
        self.discard(bytes.len());
        if self.pieces.is_empty() {
            self.pieces.shrink_to(4);
        }
        Some(Chunk { stream, bytes })
    }

    /// Credits everything that is unread; how much it was.
    pub(super) fn discard_all(&mut self) -> usize {
        let unread = core::mem::take(&mut self.unread);
        self.pieces = VecDeque::new();
        self.discard(unread);
        unread
    }

    /// Whether credit is to be given back: half the window was consumed, or, while much is unread
    /// and less than half of the window is left, more than three packets were.
    pub(super) fn owes_credit(&self) -> bool {
        let half = (self.target / 2).max(1);
        let ends = self.eof || self.closed;
        !ends
            && (self.consumed >= half
                || self.window < half && self.consumed > self.max_packet.saturating_mul(3))
    }

    /// Gives the credit back: the bytes to announce.
    pub(super) fn credit(&mut self) -> u32 {
        let credit = core::mem::take(&mut self.consumed);
        self.window = self.window.saturating_add(credit);
        credit
    }
}
