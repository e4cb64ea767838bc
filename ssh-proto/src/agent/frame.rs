//! Frames of the agent protocol, a length and a message (RFC 9987 section 3), in buffers that are wiped.

use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, BytesMut};
use zeroize::{Zeroize, Zeroizing};

use super::message::{AgentRequest, AgentResponse};
use crate::error::{DecodeError, Error, Limit, PeerMisbehaved};
use crate::limits::{MAX_AGENT_INPUT, MAX_AGENT_MESSAGE};

/// Takes the bytes of a connection in any pieces and gives whole messages.
///
/// [`AgentClient`](super::AgentClient) and [`AgentServer`](super::AgentServer) have one inside;
/// by itself it is for those who pass messages on or look into them. What passes through may be
/// private keys and passphrases, so its memory is wiped.
#[derive(Debug, Default)]
pub struct AgentCodec {
    input: WipedBuffer,
}

impl AgentCodec {
    /// Without any input yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes that were received.
    ///
    /// # Errors
    /// `LimitExceeded(BufferedInput)` above [`MAX_AGENT_INPUT`] bytes that no call of
    /// [`next_message`](Self::next_message) has taken; nothing is kept of `data` then.
    pub fn handle_input(&mut self, data: &[u8]) -> Result<(), Error> {
        if self.buffered().saturating_add(data.len()) > MAX_AGENT_INPUT {
            return Err(Limit::BufferedInput.into());
        }
        self.input.extend(data);
        Ok(())
    }

    /// The next message, if all of it is there.
    ///
    /// # Errors
    /// For good, since nothing behind it can be found: `PeerMisbehaved(BadPacketLength)` for a
    /// frame without a message, `LimitExceeded(PacketLength)` above [`MAX_AGENT_MESSAGE`].
    pub fn next_message(&mut self) -> Result<Option<AgentMessage>, Error> {
        let Some((length, rest)) = self.input.as_slice().split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 {
            return Err(PeerMisbehaved::BadPacketLength.into());
        }
        if length > MAX_AGENT_MESSAGE {
            return Err(Limit::PacketLength.into());
        }
        let Some(message) = rest.get(..length) else {
            return Ok(None);
        };
        let message = AgentMessage(Zeroizing::new(message.to_vec()));
        self.input.advance(length.saturating_add(4));
        Ok(Some(message))
    }

    /// Bytes that were handed over and are not yet part of a message given out.
    pub fn buffered(&self) -> usize {
        self.input.as_slice().len()
    }

    /// Whether more input is of use before [`next_message`](Self::next_message) is called.
    pub fn wants_input(&self) -> bool {
        self.buffered() < MAX_AGENT_MESSAGE.saturating_add(4)
    }
}

/// A whole message, without its length. Wiped on drop.
pub struct AgentMessage(Zeroizing<Vec<u8>>);

impl AgentMessage {
    /// Type and body.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The message as one that an agent receives.
    ///
    /// # Errors
    /// What is wrong with the body; a type that is not known is no error.
    pub fn request(&self) -> Result<AgentRequest<'_>, DecodeError> {
        AgentRequest::decode(&self.0)
    }

    /// The message as one that an agent sends.
    ///
    /// # Errors
    /// As for [`request`](Self::request).
    pub fn response(&self) -> Result<AgentResponse<'_>, DecodeError> {
        AgentResponse::decode(&self.0)
    }
}

impl fmt::Debug for AgentMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.first().copied().unwrap_or_default();
        write!(f, "AgentMessage({number}, {} bytes)", self.0.len())
    }
}

/// A message to be framed. Its capacity is enough from the start: growing would leave copies behind.
pub(super) struct Outgoing(BytesMut);

impl Outgoing {
    /// `size_hint` is an upper bound of the length where there are secrets in it.
    pub(super) fn new(size_hint: usize, encode: impl FnOnce(&mut BytesMut)) -> Self {
        let mut message = BytesMut::with_capacity(size_hint.saturating_add(4));
        message.put_u32(0);
        encode(&mut message);
        let length = message.len().saturating_sub(4);
        if let Some(field) = message.first_chunk_mut() {
            *field = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        }
        Self(message)
    }

    /// Whether the other end may refuse it for its length.
    pub(super) fn is_too_long(&self) -> bool {
        self.0.len() > MAX_AGENT_MESSAGE.saturating_add(4)
    }

    pub(super) fn frame(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

/// A queue of bytes that leaves no copy of them behind.
#[derive(Default)]
pub(super) struct WipedBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl WipedBuffer {
    /// Kept when empty; more is given back.
    const SPARE: usize = 4096;

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    pub(super) fn extend(&mut self, data: &[u8]) {
        let space = self.bytes.capacity().saturating_sub(self.bytes.len());
        if space < data.len() {
            let live = self.as_slice();
            let needed = live.len().saturating_add(data.len());
            let mut grown = Vec::with_capacity(needed.max(live.len().saturating_mul(2)));
            grown.extend_from_slice(live);
            self.bytes.zeroize();
            self.bytes = grown;
            self.start = 0;
        }
        self.bytes.extend_from_slice(data);
    }

    /// Wipes and forgets the first `count` bytes.
    pub(super) fn advance(&mut self, count: usize) {
        let end = self.start.saturating_add(count).min(self.bytes.len());
        if let Some(taken) = self.bytes.get_mut(self.start..end) {
            taken.zeroize();
        }
        self.start = end;
        if end == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            if self.bytes.capacity() > Self::SPARE {
                self.bytes = Vec::new();
            }
        }
    }
}

impl Drop for WipedBuffer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for WipedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WipedBuffer({} bytes)", self.as_slice().len())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn frame(message: &[u8]) -> Vec<u8> {
        let mut out = u32::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(message);
        out
    }

    #[test]
    fn l1_lengths_at_their_edges() {
        let mut codec = AgentCodec::new();
        codec.handle_input(&[0, 0, 0, 0, 11]).unwrap();
        for _ in 0..2 {
            let error = codec.next_message().unwrap_err();
            assert_eq!(error, PeerMisbehaved::BadPacketLength.into());
        }
        for length in [MAX_AGENT_MESSAGE as u32 + 1, u32::MAX] {
            let mut codec = AgentCodec::new();
            codec.handle_input(&length.to_be_bytes()).unwrap();
            let error = codec.next_message().unwrap_err();
            assert_eq!(error, Limit::PacketLength.into());
            assert!(codec.input.bytes.capacity() < 64, "no room by a claim");
        }
        let mut codec = AgentCodec::new();
        codec
            .handle_input(&frame(&vec![9; MAX_AGENT_MESSAGE]))
            .unwrap();
        let message = codec.next_message().unwrap().unwrap();
        assert_eq!(message.as_bytes().len(), MAX_AGENT_MESSAGE);
        assert_eq!(codec.buffered(), 0);
        assert_eq!(codec.input.bytes.capacity(), 0, "given back");
    }

    #[test]
    fn l1_cut_at_each_byte_and_in_any_pieces() {
        let mut stream = frame(&[11]);
        stream.extend(frame(b"\x1bsomething longer"));
        stream.extend(frame(&[19]));
        for size in 1..=stream.len() {
            let mut codec = AgentCodec::new();
            let mut messages = Vec::new();
            for piece in stream.chunks(size) {
                codec.handle_input(piece).unwrap();
                while let Some(message) = codec.next_message().unwrap() {
                    messages.push(message.as_bytes().to_vec());
                }
            }
            let expected = [&[11][..], b"\x1bsomething longer", &[19]];
            assert_eq!(messages, expected);
        }
        for cut in 0..5 {
            let mut codec = AgentCodec::new();
            codec.handle_input(&stream[..cut]).unwrap();
            assert!(codec.next_message().unwrap().is_none());
        }
    }

    #[test]
    fn l1_unparsed_input_is_bounded() {
        let mut codec = AgentCodec::new();
        codec.handle_input(&vec![0; MAX_AGENT_INPUT]).unwrap();
        assert!(!codec.wants_input());
        let error = codec.handle_input(&[0]).unwrap_err();
        assert_eq!(error, Limit::BufferedInput.into());
    }

    #[test]
    fn what_is_taken_is_wiped() {
        let mut buffer = WipedBuffer::default();
        buffer.extend(b"secret");
        buffer.extend(b"s and more");
        buffer.advance(7);
        assert_eq!(buffer.as_slice(), b" and more");
        assert_eq!(&buffer.bytes[..7], [0; 7]);
        buffer.advance(100);
        assert!(buffer.as_slice().is_empty());
    }
}
