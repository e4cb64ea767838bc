//! The receiving half: framing, opening in place, sequence number and epoch (RFC 4253 section 6).

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use bytes::{Buf, BytesMut};
use zeroize::Zeroize;

use super::ident::{IdentReader, Identification};
use crate::crypto::{CompressionAlgorithm, Decompressor, OpeningKey, PacketLayout};
use crate::error::{CryptoError, Error, Limit, PeerMisbehaved};
use crate::limits::{
    MAX_PACKET_LENGTH, MAX_PACKET_LENGTH_PRE_AUTH, MAX_PACKETS_PER_KEY, MIN_PACKET_LENGTH,
};
use crate::role::Role;

/// Below this length a chunk of input is copied behind the one before it rather than kept apart.
const SMALL_CHUNK: usize = 4096;

/// An opened packet.
#[derive(Debug)]
pub(crate) struct Packet {
    /// Message number and body; never empty.
    pub(crate) payload: BytesMut,
    /// The sequence number, for `UNIMPLEMENTED`.
    pub(crate) sequence: u32,
    /// Its length on the wire, tag included.
    pub(crate) length: usize,
    /// The size of the memory that slices of the payload keep alive.
    pub(crate) pinned: usize,
}

impl Packet {
    pub(crate) fn number(&self) -> u8 {
        self.payload.first().copied().unwrap_or(0)
    }
}

/// A packet that is not authentic, opened all the same: whether it is used is yet to be decided.
/// Wiped unless it is.
struct Forged {
    packet: BytesMut,
    total: usize,
    pinned: usize,
    accepted: bool,
}

impl Drop for Forged {
    fn drop(&mut self) {
        self.packet.as_mut().zeroize();
    }
}

/// What there is to tell of a packet that is not authentic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MacFailure {
    pub(crate) sequence: u32,
    /// Its length on the wire, tag included.
    pub(crate) length: usize,
    /// Whether it is kept and can be accepted.
    pub(crate) is_held: bool,
}

/// A packet that was refused under a cipher that hides when and why. What follows is thrown away
/// up to the end of the longest packet that this one could have been.
struct Refused {
    /// Bytes still to be thrown away.
    left: usize,
    /// Bytes that a longest packet would have had verified and this one has not.
    unverified: usize,
    failure: MacFailure,
}

/// The keys of a receiving epoch, ready to be installed by the peer's `NEWKEYS`.
pub(crate) struct OpeningEpoch {
    pub(crate) key: Box<dyn OpeningKey>,
    pub(crate) compression: &'static dyn CompressionAlgorithm,
}

/// The layout before the first `NEWKEYS`.
const PLAIN: PacketLayout = PacketLayout {
    block_len: 8,
    length_is_padded: true,
    tag_len: 0,
    head_len: 4,
};

pub(crate) struct RecvHalf {
    /// Input that is contiguous, the current packet first.
    head: BytesMut,
    /// The size of the memory behind `head`, as far as it was handed over.
    head_memory: usize,
    /// Input behind `head`.
    queue: VecDeque<BytesMut>,
    queued: usize,
    ident: Option<IdentReader>,
    key: Option<Box<dyn OpeningKey>>,
    layout: PacketLayout,
    /// The length of the current packet, once opened; the head must not be opened twice.
    length: Option<PacketLength>,
    max_length: u32,
    sequence: u32,
    /// Packets and bytes opened in this epoch.
    packets: u64,
    bytes: u64,
    total_bytes: u64,
    compression: Option<&'static dyn CompressionAlgorithm>,
    decompressor: Option<Box<dyn Decompressor>>,
    authenticated: bool,
    /// Whether packets that are not authentic are kept for a verdict, where the cipher can.
    keeps_forged: bool,
    forged: Option<Forged>,
    refused: Option<Refused>,
    /// A packet that was not authentic and has not been told of.
    mac_failure: Option<MacFailure>,
}

/// A `packet_length` that has been checked against its bounds and the alignment.
#[derive(Debug, Clone, Copy)]
struct PacketLength {
    /// The whole packet: length field, body and tag.
    total: usize,
}

impl PacketLength {
    fn new(length: u32, max: u32, layout: PacketLayout) -> Result<Self, Error> {
        if length > max {
            return Err(Limit::PacketLength.into());
        }
        if length < MIN_PACKET_LENGTH {
            return Err(PeerMisbehaved::BadPacketLength.into());
        }
        let length = usize::try_from(length).map_err(|_| Limit::PacketLength)?;
        let with_field = length.checked_add(4).ok_or(Limit::PacketLength)?;
        let padded = if layout.length_is_padded {
            with_field
        } else {
            length
        };
        if !padded.is_multiple_of(layout.block_len.max(8)) {
            return Err(PeerMisbehaved::BadPacketLength.into());
        }
        let total = with_field
            .checked_add(layout.tag_len)
            .ok_or(Limit::PacketLength)?;
        Ok(Self { total })
    }
}

impl RecvHalf {
    pub(crate) fn new(peer: Role, keeps_forged: bool) -> Self {
        Self {
            head: BytesMut::new(),
            head_memory: 0,
            queue: VecDeque::new(),
            queued: 0,
            ident: Some(IdentReader::new(peer)),
            key: None,
            layout: PLAIN,
            length: None,
            max_length: MAX_PACKET_LENGTH_PRE_AUTH,
            sequence: 0,
            packets: 0,
            bytes: 0,
            total_bytes: 0,
            compression: None,
            decompressor: None,
            authenticated: false,
            keeps_forged,
            forged: None,
            refused: None,
            mac_failure: None,
        }
    }

    /// Takes bytes from the transport, without copying unless they are few.
    pub(crate) fn push(&mut self, data: BytesMut) {
        if data.is_empty() {
            return;
        }
        self.total_bytes = self.total_bytes.saturating_add(data.len() as u64);
        self.queued = self.queued.saturating_add(data.len());
        if let Some(last) = self.queue.back_mut()
            && data.len() < SMALL_CHUNK
            && last.len() < SMALL_CHUNK
        {
            last.extend_from_slice(&data);
            return;
        }
        self.queue.push_back(data);
    }

    /// Bytes held and not yet opened.
    pub(crate) fn buffered(&self) -> usize {
        self.head.len().saturating_add(self.queued)
    }

    /// Bytes that the next step needs beyond those held; zero if it can go on.
    pub(crate) fn missing(&self) -> usize {
        if self.forged.is_some() {
            return 0;
        }
        if let Some(refused) = &self.refused {
            return refused.left.saturating_sub(self.buffered());
        }
        let wanted = match (&self.ident, self.length) {
            // What was looked at is in `head`; only a line end in more input helps.
            (Some(_), _) => return usize::from(self.queue.is_empty()),
            (None, Some(length)) => length.total,
            (None, None) => self.layout.head_len,
        };
        wanted.saturating_sub(self.buffered())
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub(crate) fn epoch_bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn epoch_packets(&self) -> u64 {
        self.packets
    }

    /// Makes `head` hold at least `wanted` bytes if that many have arrived. Memory that continues
    /// where `head` ends is joined, otherwise just the bytes that the packet lacks are copied.
    fn gather(&mut self, wanted: usize) -> bool {
        while self.head.len() < wanted {
            let Some(mut next) = self.queue.pop_front() else {
                return false;
            };
            let available = next.len();
            if self.head.is_empty() {
                self.head_memory = available;
                self.head = next;
            } else if self.head.as_ptr_range().end == next.as_ptr() {
                self.head_memory = self.head_memory.saturating_add(available);
                self.head.unsplit(next);
            } else {
                let lacking = wanted.saturating_sub(self.head.len()).min(available);
                self.head
                    .extend_from_slice(next.get(..lacking).unwrap_or_default());
                self.head_memory = self.head.len();
                next.advance(lacking);
                self.queued = self.queued.saturating_sub(lacking);
                if !next.is_empty() {
                    self.queue.push_front(next);
                }
                continue;
            }
            self.queued = self.queued.saturating_sub(available);
        }
        true
    }

    /// The peer's identification, once; `None` if more input is needed or it was read already.
    pub(crate) fn read_identification(&mut self) -> Result<Option<Identification>, Error> {
        while let Some(ident) = &mut self.ident {
            if let Some(identification) = ident.read(&mut self.head)? {
                self.ident = None;
                return Ok(Some(identification));
            }
            let Some(next) = self.queue.pop_front() else {
                return Ok(None);
            };
            self.queued = self.queued.saturating_sub(next.len());
            match self.head.is_empty() {
                true => self.head = next,
                false => self.head.extend_from_slice(&next),
            }
            self.head_memory = self.head.len();
        }
        Ok(None)
    }

    pub(crate) fn awaits_identification(&self) -> bool {
        self.ident.is_some()
    }

    /// Opens the next packet; `None` if it has not arrived in full.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>, Error> {
        if let Some(forged) = &mut self.forged {
            if !forged.accepted {
                return Err(Error::Internal("reading on behind a forged packet"));
            }
            let (packet, total, pinned) = (forged.packet.split(), forged.total, forged.pinned);
            self.forged = None;
            return self.finish(packet, total, pinned).map(Some);
        }
        if self.refused.is_some() {
            return self.throw_away();
        }
        let length = match self.length {
            Some(length) => length,
            None => {
                if !self.gather(self.layout.head_len) {
                    return Ok(None);
                }
                self.check_counters()?;
                let head = self
                    .head
                    .get_mut(..self.layout.head_len)
                    .ok_or(Error::Internal("packet head not gathered"))?;
                let length = match &mut self.key {
                    Some(key) => key.open_length(self.sequence, head)?,
                    None => head
                        .first_chunk()
                        .map_or(0, |bytes| u32::from_be_bytes(*bytes)),
                };
                match PacketLength::new(length, self.max_length, self.layout) {
                    Ok(length) => *self.length.insert(length),
                    Err(_) if self.hides_refusals() => return self.refuse(0),
                    Err(error) => return Err(error),
                }
            }
        };
        if !self.gather(length.total) {
            return Ok(None);
        }
        self.length = None;
        let mut packet = self.head.split_to(length.total);
        let pinned = self.head_memory;
        if self.head.is_empty() {
            // Lets go of the memory, so that an idle connection holds none.
            self.head = BytesMut::new();
            self.head_memory = 0;
        }
        if let Some(key) = &mut self.key
            && let Err(error) = key.open(self.sequence, &mut packet)
        {
            if error != CryptoError::TagMismatch {
                packet.as_mut().zeroize();
                return Err(error.into());
            }
            let is_held = self.keeps_forged && key.open_unverified(&mut packet).is_ok();
            if !is_held && key.hides_refusals() {
                packet.as_mut().zeroize();
                return self.refuse(length.total);
            }
            self.mac_failure = Some(MacFailure {
                sequence: self.sequence,
                length: length.total,
                is_held,
            });
            match is_held {
                true => {
                    self.forged = Some(Forged {
                        packet,
                        total: length.total,
                        pinned,
                        accepted: false,
                    });
                }
                false => packet.as_mut().zeroize(),
            }
            return Err(PeerMisbehaved::BadMac.into());
        }
        self.finish(packet, length.total, pinned).map(Some)
    }

    fn hides_refusals(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.hides_refusals())
    }

    /// Refuses the current packet, of which so many bytes are taken from the input and verified,
    /// once the longest one would have been read.
    fn refuse(&mut self, taken: usize) -> Result<Option<Packet>, Error> {
        let longest = usize::try_from(self.max_length)
            .unwrap_or(usize::MAX)
            .saturating_add(4)
            .saturating_add(self.layout.tag_len);
        let left = longest.saturating_sub(taken);
        self.refused = Some(Refused {
            left,
            unverified: match taken {
                0 => longest.saturating_sub(self.layout.tag_len),
                _ => left,
            },
            failure: MacFailure {
                sequence: self.sequence,
                length: longest,
                is_held: false,
            },
        });
        self.throw_away()
    }

    fn throw_away(&mut self) -> Result<Option<Packet>, Error> {
        let Some(mut refused) = self.refused.take() else {
            return Err(Error::Internal("nothing to be thrown away"));
        };
        while refused.left > 0 && self.gather(1) {
            let len = self.head.len().min(refused.left);
            self.head.advance(len);
            refused.left -= len;
        }
        if refused.left > 0 {
            self.refused = Some(refused);
            return Ok(None);
        }
        if let Some(key) = &mut self.key {
            key.verify_nothing(refused.unverified);
        }
        self.mac_failure = Some(refused.failure);
        Err(PeerMisbehaved::BadMac.into())
    }

    /// Counts an opened packet and takes its frame off.
    fn finish(&mut self, packet: BytesMut, total: usize, pinned: usize) -> Result<Packet, Error> {
        self.bytes = self.bytes.saturating_add(total as u64);
        self.packets = self.packets.saturating_add(1);
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let payload = self.unpad(packet)?;
        let pinned = match self.decompressor {
            Some(_) => payload.capacity(),
            None => pinned,
        };
        Ok(Packet {
            payload,
            sequence,
            length: total,
            pinned,
        })
    }

    fn check_counters(&self) -> Result<(), Error> {
        if self.packets >= MAX_PACKETS_PER_KEY {
            return Err(match self.key {
                None => PeerMisbehaved::SequenceWrapped.into(),
                Some(_) => Limit::KeyUsage.into(),
            });
        }
        Ok(())
    }

    fn unpad(&mut self, mut packet: BytesMut) -> Result<BytesMut, Error> {
        let bad_padding = PeerMisbehaved::BadPaddingLength;
        let body_end = packet
            .len()
            .checked_sub(self.layout.tag_len)
            .ok_or(bad_padding)?;
        let padding = usize::from(*packet.get(4).ok_or(bad_padding)?);
        let payload_end = body_end.checked_sub(padding).ok_or(bad_padding)?;
        if padding < 4 || payload_end <= 5 {
            return Err(bad_padding.into());
        }
        packet.truncate(payload_end);
        packet.advance(5);
        let Some(decompressor) = &mut self.decompressor else {
            return Ok(packet);
        };
        let max = usize::try_from(self.max_length).unwrap_or(usize::MAX);
        let mut payload = BytesMut::new();
        decompressor
            .decompress(&packet, max, &mut payload)
            .map_err(|error| match error {
                CryptoError::BadCompression => Error::from(PeerMisbehaved::BadCompression),
                other => other.into(),
            })?;
        match payload.is_empty() {
            true => Err(PeerMisbehaved::BadCompression.into()),
            false => Ok(payload),
        }
    }

    /// Begins a new epoch, after the peer's `NEWKEYS`.
    pub(crate) fn install(&mut self, epoch: OpeningEpoch, reset_sequence: bool) {
        self.layout = epoch.key.layout();
        self.key = Some(epoch.key);
        self.packets = 0;
        self.bytes = 0;
        if reset_sequence {
            self.sequence = 0;
        }
        self.decompressor = None;
        self.compression = Some(epoch.compression);
        if !epoch.compression.is_delayed() || self.authenticated {
            self.decompressor = epoch.compression.decompressor();
        }
    }

    /// Lifts the bounds of the time before authentication and begins delayed compression.
    pub(crate) fn authenticated(&mut self) {
        self.authenticated = true;
        self.max_length = MAX_PACKET_LENGTH;
        if let Some(compression) = self.compression.filter(|c| c.is_delayed()) {
            self.decompressor = compression.decompressor();
        }
    }

    /// What there is to tell of the packet that was not authentic, once.
    pub(crate) fn take_mac_failure(&mut self) -> Option<MacFailure> {
        self.mac_failure.take()
    }

    /// Lets the forged packet that is held be the next one.
    pub(crate) fn accept_forged(&mut self) {
        if let Some(forged) = &mut self.forged {
            forged.accepted = true;
        }
    }

    /// Forgets all input.
    pub(crate) fn clear(&mut self) {
        self.head = BytesMut::new();
        self.queue = VecDeque::new();
        self.queued = 0;
        self.key = None;
        self.forged = None;
        self.refused = None;
    }

    #[cfg(test)]
    pub(crate) fn set_counters(&mut self, sequence: u32, packets: u64) {
        self.sequence = sequence;
        self.packets = packets;
    }
}
