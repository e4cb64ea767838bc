//! The sending half of a channel: what is queued, the peer's window, and what may leave next (RFC 4254 sections 5.2 and 5.3).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};

use super::event::Pulled;
use super::types::{ChannelError, DataStream};
use crate::error::{Error, PeerMisbehaved};
use crate::limits::MAX_DATA_SENT;
use crate::wire::connection::{ChannelClose, ChannelData, ChannelEof, ChannelExtendedData};

/// Copied data is gathered in blocks of this size: a whole number of packets, so that their ends
/// make no short ones.
const BLOCK: usize = 64 << 10;

/// A drained block of up to this size is kept by an idle channel, so that typing allocates nothing.
const KEPT_BLOCK: usize = 512;

/// Handing over less than this many bytes copies them: it is cheaper, and one packet carries many.
const SMALL: usize = 512;

/// What leaves a channel by the pull, in the order in which the application gave it.
enum Segment {
    /// Data that was copied; the part before `sent` has left.
    Copied {
        stream: DataStream,
        block: Vec<u8>,
        sent: usize,
    },
    /// Data that was handed over.
    Shared {
        stream: DataStream,
        bytes: Bytes,
    },
    /// An encoded `exit-status` or `exit-signal`.
    Exit(Bytes),
    Eof,
    Close,
}

/// How far the application has ended this half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Open,
    /// EOF is queued or sent.
    Eof,
    /// CLOSE is queued.
    Close,
    /// CLOSE has left; nothing may follow it.
    Closed,
}

/// What a pull sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Data,
    Other,
    Close,
}

/// The sending half.
pub(super) struct SendHalf {
    /// The peer's number of the channel.
    pub(super) recipient: u32,
    /// Bytes that the peer takes.
    window: u32,
    max_packet: usize,
    queue: VecDeque<Segment>,
    /// Bytes of data in `queue`.
    queued: usize,
    /// The most that `queued` may be.
    budget: usize,
    /// The application was told to wait for room.
    blocked: bool,
    exit_given: bool,
    end: End,
    /// A drained block, for the next copy.
    spare: Vec<u8>,
}

impl SendHalf {
    /// A half whose peer is not known yet: its window is closed.
    pub(super) const fn new(budget: usize) -> Self {
        Self {
            recipient: 0,
            window: 0,
            max_packet: 0,
            queue: VecDeque::new(),
            queued: 0,
            budget,
            blocked: false,
            exit_given: false,
            end: End::Open,
            spare: Vec::new(),
        }
    }

    /// Takes what the peer's open or confirmation says.
    pub(super) fn connect(&mut self, recipient: u32, window: u32, max_packet: u32) {
        self.recipient = recipient;
        self.window = window;
        self.max_packet = usize::try_from(max_packet)
            .unwrap_or(usize::MAX)
            .min(MAX_DATA_SENT);
    }

    /// Adds what a `WINDOW_ADJUST` gives.
    pub(super) fn extend_window(&mut self, bytes: u32) -> Result<(), PeerMisbehaved> {
        self.window = self
            .window
            .checked_add(bytes)
            .ok_or(PeerMisbehaved::WindowOverflow)?;
        Ok(())
    }

    /// Whether a pull would send something.
    pub(super) fn is_ready(&self) -> bool {
        match self.queue.front() {
            Some(Segment::Copied { .. } | Segment::Shared { .. }) => self.window > 0,
            Some(Segment::Exit(_) | Segment::Eof | Segment::Close) => true,
            None => false,
        }
    }

    /// Bytes of data that the peer's window lets leave.
    pub(super) fn sendable(&self) -> usize {
        let window = usize::try_from(self.window).unwrap_or(usize::MAX);
        self.queued.min(window)
    }

    /// Whether CLOSE has left.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.end, End::Closed)
    }

    /// Whether CLOSE is queued or has left.
    pub(super) const fn is_closing(&self) -> bool {
        matches!(self.end, End::Close | End::Closed)
    }

    fn check_writable(&self) -> Result<(), ChannelError> {
        match self.end {
            End::Open => Ok(()),
            End::Eof => Err(ChannelError::Finished),
            End::Close | End::Closed => Err(ChannelError::Closed),
        }
    }

    /// Bytes that may be written now.
    pub(super) fn room(&self) -> Result<usize, ChannelError> {
        self.check_writable()?;
        Ok(self.budget.saturating_sub(self.queued))
    }

    /// Queues as much of `data` as fits and says how much.
    pub(super) fn write(&mut self, stream: DataStream, data: &[u8]) -> Result<usize, ChannelError> {
        let room = self.room()?;
        let mut rest = data.get(..room).unwrap_or(data);
        let taken = rest.len();
        self.blocked |= taken < data.len();
        self.queued = self.queued.saturating_add(taken);
        while !rest.is_empty() {
            rest = match self.queue.back_mut() {
                Some(Segment::Copied {
                    stream: last,
                    block,
                    ..
                }) if *last == stream && has_room(block) => fill(block, rest),
                _ => {
                    let mut block = core::mem::take(&mut self.spare);
                    let rest = fill(&mut block, rest);
                    self.queue.push_back(Segment::Copied {
                        stream,
                        block,
                        sent: 0,
                    });
                    rest
                }
            };
        }
        Ok(taken)
    }

    /// Queues as much of `data` as fits, without copying, splits it off and says how much it was.
    pub(super) fn write_bytes(
        &mut self,
        stream: DataStream,
        data: &mut Bytes,
    ) -> Result<usize, ChannelError> {
        if data.len() < SMALL {
            let taken = self.write(stream, data)?;
            data.advance(taken);
            return Ok(taken);
        }
        let taken = self.room()?.min(data.len());
        self.blocked |= taken < data.len();
        if taken > 0 {
            self.queued = self.queued.saturating_add(taken);
            let bytes = data.split_to(taken);
            self.queue.push_back(Segment::Shared { stream, bytes });
        }
        Ok(taken)
    }

    /// Queues an encoded `exit-status` or `exit-signal` behind the data.
    pub(super) fn exit(&mut self, payload: Bytes) -> Result<(), ChannelError> {
        if self.is_closing() {
            return Err(ChannelError::Closed);
        }
        if self.exit_given {
            return Err(ChannelError::Finished);
        }
        self.exit_given = true;
        self.queue.push_back(Segment::Exit(payload));
        Ok(())
    }

    /// Queues EOF, once.
    pub(super) fn finish(&mut self) -> Result<(), ChannelError> {
        if self.end == End::Open {
            self.queue.push_back(Segment::Eof);
            self.end = End::Eof;
            self.blocked = false;
        }
        if self.is_closing() {
            return Err(ChannelError::Closed);
        }
        Ok(())
    }

    /// Queues CLOSE, once.
    pub(super) fn close(&mut self) {
        if !self.is_closing() {
            self.queue.push_back(Segment::Close);
            self.end = End::Close;
        }
        self.blocked = false;
    }

    /// The peer has closed and reads no more: only our CLOSE is left to send. Whether the
    /// application waits for room in vain.
    pub(super) fn abandon(&mut self) -> bool {
        let blocked = core::mem::take(&mut self.blocked);
        if !self.is_closed() {
            self.queue = VecDeque::from([Segment::Close]);
            self.queued = 0;
            self.spare = Vec::new();
            self.end = End::Close;
        }
        blocked
    }

    /// Whether the application waits for room and at least half is free.
    pub(super) fn take_writable(&mut self) -> bool {
        let writable = self.blocked && self.queued <= self.budget / 2;
        self.blocked &= !writable;
        writable
    }

    /// Sends one message.
    pub(super) fn pull(
        &mut self,
        emit: &mut dyn FnMut(Pulled<'_>) -> Result<(), Error>,
    ) -> Result<Sent, Error> {
        let recipient = self.recipient;
        let most = usize::try_from(self.window)
            .unwrap_or(usize::MAX)
            .min(self.max_packet);
        let front = self.queue.front_mut();
        let (len, drained) = match front.ok_or(Error::Internal("pull from an idle channel"))? {
            Segment::Copied {
                stream,
                block,
                sent,
            } => {
                let rest = block.get(*sent..).unwrap_or_default();
                let data = rest.get(..most).unwrap_or(rest);
                emit(pulled(recipient, *stream, data))?;
                let len = data.len();
                *sent = sent.saturating_add(len);
                (len, *sent >= block.len())
            }
            Segment::Shared { stream, bytes } => {
                let data = bytes.get(..most).unwrap_or(bytes);
                emit(pulled(recipient, *stream, data))?;
                let len = data.len();
                bytes.advance(len);
                (len, bytes.is_empty())
            }
            Segment::Exit(payload) => {
                emit(Pulled::Request(payload))?;
                self.pop();
                return Ok(Sent::Other);
            }
            Segment::Eof => {
                emit(Pulled::Eof(ChannelEof { recipient }))?;
                self.pop();
                return Ok(Sent::Other);
            }
            Segment::Close => {
                emit(Pulled::Close(ChannelClose { recipient }))?;
                self.pop();
                self.end = End::Closed;
                return Ok(Sent::Close);
            }
        };
        self.queued = self.queued.saturating_sub(len);
        self.window = self
            .window
            .saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
        if drained {
            self.pop();
        }
        Ok(Sent::Data)
    }

    /// Drops the head of the queue, and memory that an idle channel need not hold.
    fn pop(&mut self) {
        let head = self.queue.pop_front();
        if let Some(Segment::Copied { mut block, .. }) = head
            && block.capacity() > self.spare.capacity()
        {
            block.clear();
            self.spare = block;
        }
        if self.queue.is_empty() {
            if self.spare.capacity() > KEPT_BLOCK {
                self.spare = Vec::new();
            }
            // The smallest queue stays, for the next write.
            self.queue.shrink_to(4);
        }
    }
}

/// Whether a block has room or may be given some.
fn has_room(block: &Vec<u8>) -> bool {
    block.len() < block.capacity().max(BLOCK)
}

/// Appends what fits in the block, which doubles up to [`BLOCK`] when it is full; the rest.
fn fill<'d>(block: &mut Vec<u8>, data: &'d [u8]) -> &'d [u8] {
    let capacity = block.capacity();
    if block.len() == capacity && capacity < BLOCK {
        let grown = data.len().max(capacity).min(BLOCK.saturating_sub(capacity));
        block.reserve_exact(grown);
    }
    let free = block.capacity().saturating_sub(block.len());
    let (fits, rest) = data.split_at_checked(free).unwrap_or((data, &[]));
    block.extend_from_slice(fits);
    rest
}

fn pulled(recipient: u32, stream: DataStream, data: &[u8]) -> Pulled<'_> {
    match stream {
        DataStream::Data => Pulled::Data(ChannelData { recipient, data }),
        DataStream::Extended(data_type) => Pulled::ExtendedData(ChannelExtendedData {
            recipient,
            data_type,
            data,
        }),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn half(window: u32) -> SendHalf {
        let mut half = SendHalf::new(256 << 10);
        half.connect(0, window, 32 << 10);
        half
    }

    fn drain(half: &mut SendHalf) -> Vec<usize> {
        let mut sizes = Vec::new();
        while half.is_ready() {
            half.pull(&mut |pulled| {
                if let Pulled::Data(message) = pulled {
                    sizes.push(message.data.len());
                }
                Ok(())
            })
            .unwrap();
        }
        sizes
    }

    /// Where the memory of the block at the end of the queue is.
    fn tail(half: &SendHalf) -> *const u8 {
        match half.queue.back() {
            Some(Segment::Copied { block, .. }) => block.as_ptr(),
            _ => panic!("no block"),
        }
    }

    #[test]
    fn typing_uses_one_block_and_an_idle_channel_keeps_little() {
        let mut half = half(u32::MAX);
        half.write(DataStream::Data, b"ls").unwrap();
        let first = tail(&half);
        drain(&mut half);
        for _ in 0..100 {
            half.write(DataStream::Data, b"\n").unwrap();
            assert_eq!(tail(&half), first);
            assert_eq!(drain(&mut half), [1]);
        }
        half.write(DataStream::Data, &[0; 200_000]).unwrap();
        drain(&mut half);
        assert!(half.spare.capacity() <= KEPT_BLOCK && half.queue.capacity() <= 4);
    }

    #[test]
    fn bulk_reuses_blocks_and_packets_are_full() {
        let mut half = half(u32::MAX);
        half.write(DataStream::Data, &[0; 256 << 10]).unwrap();
        let mut blocks: Vec<*const u8> = half
            .queue
            .iter()
            .filter_map(|segment| match segment {
                Segment::Copied { block, .. } => Some(block.as_ptr()),
                _ => None,
            })
            .collect();
        assert_eq!(blocks.len(), 4);
        let block = vec![0; BLOCK];
        for _ in 0..50 {
            for _ in 0..2 {
                half.pull(&mut |pulled| {
                    assert!(matches!(pulled, Pulled::Data(m) if m.data.len() == MAX_DATA_SENT));
                    Ok(())
                })
                .unwrap();
            }
            assert_eq!(half.write(DataStream::Data, &block), Ok(BLOCK));
            blocks.rotate_left(1);
            assert_eq!(Some(&tail(&half)), blocks.last());
        }
    }

    #[test]
    fn many_small_writes_make_full_packets_in_few_blocks() {
        let mut half = half(u32::MAX);
        while half.write(DataStream::Data, &[7; 100]).unwrap() > 0 {}
        assert!(half.queue.len() <= 4);
        assert_eq!(drain(&mut half), [32 << 10; 8]);
    }
}
