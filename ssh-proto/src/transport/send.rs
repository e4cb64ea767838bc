//! The sending half: padding, sealing, sequence number and epoch (RFC 4253 section 6).

use alloc::boxed::Box;

use bytes::{BufMut, BytesMut};
use zeroize::Zeroize;

use super::stream::RandomStream;
use crate::crypto::{
    CompressionAlgorithm, Compressor, HashAlgorithm, PacketLayout, SealingKey, SecureRandom,
};
use crate::error::{Error, Limit, RandomFailed};
use crate::limits::{MAX_PACKET_LENGTH_SENT, MAX_PACKETS_PER_KEY};

/// The keys of a sending epoch, to be installed when our `NEWKEYS` is sealed.
pub(crate) struct SealingEpoch {
    pub(crate) key: Box<dyn SealingKey>,
    pub(crate) compression: &'static dyn CompressionAlgorithm,
    pub(crate) reset_sequence: bool,
}

const PLAIN: PacketLayout = PacketLayout {
    block_len: 8,
    length_is_padded: true,
    tag_len: 0,
    head_len: 4,
};

pub(crate) struct SendHalf {
    key: Option<Box<dyn SealingKey>>,
    layout: PacketLayout,
    sequence: u32,
    packets: u64,
    bytes: u64,
    /// Of its own: how packets are split must not change what the key exchange draws.
    padding: RandomStream,
    compression: Option<&'static dyn CompressionAlgorithm>,
    compressor: Option<Box<dyn Compressor>>,
    authenticated: bool,
}

impl SendHalf {
    pub(crate) fn new(
        sha256: &'static dyn HashAlgorithm,
        random: &mut dyn SecureRandom,
    ) -> Result<Self, RandomFailed> {
        Ok(Self {
            key: None,
            layout: PLAIN,
            sequence: 0,
            packets: 0,
            bytes: 0,
            padding: RandomStream::new(sha256, random)?,
            compression: None,
            compressor: None,
            authenticated: false,
        })
    }

    /// Appends one sealed packet to `out`, its payload written by `encode`. On error `out` is as
    /// it was.
    pub(crate) fn seal(
        &mut self,
        out: &mut BytesMut,
        encode: impl FnOnce(&mut BytesMut),
    ) -> Result<(), Error> {
        self.seal_padded(out, 0, encode)
    }

    /// The same with so many bytes of padding beyond what the cipher wants.
    pub(crate) fn seal_padded(
        &mut self,
        out: &mut BytesMut,
        extra_padding: u8,
        encode: impl FnOnce(&mut BytesMut),
    ) -> Result<(), Error> {
        let start = out.len();
        let sealed = self.try_seal(out, start, extra_padding, encode);
        if sealed.is_err() {
            if let Some(unsent) = out.get_mut(start..) {
                unsent.zeroize();
            }
            out.truncate(start);
        }
        sealed
    }

    fn try_seal(
        &mut self,
        out: &mut BytesMut,
        start: usize,
        extra_padding: u8,
        encode: impl FnOnce(&mut BytesMut),
    ) -> Result<(), Error> {
        if self.packets >= MAX_PACKETS_PER_KEY {
            return Err(Limit::KeyUsage.into());
        }
        out.put_bytes(0, 5);
        match &mut self.compressor {
            None => encode(out),
            Some(compressor) => {
                let mut payload = BytesMut::new();
                encode(&mut payload);
                compressor.compress(&payload, out)?;
                payload.as_mut().zeroize();
            }
        }
        let block = self.layout.block_len.max(8);
        let unpadded = out.len() - start - if self.layout.length_is_padded { 0 } else { 4 };
        // Its length is one byte.
        let extra = usize::from(extra_padding).min(252_usize.saturating_sub(block));
        let mut padding = block - (unpadded + extra) % block;
        if padding < 4 {
            padding += block;
        }
        padding += extra;
        let padding_start = out.len();
        out.put_bytes(0, padding + self.layout.tag_len);
        let packet = out
            .get_mut(start..)
            .ok_or(Error::Internal("packet out of bounds"))?;
        let length = packet.len() - 4 - self.layout.tag_len;
        if length > MAX_PACKET_LENGTH_SENT as usize {
            return Err(Error::Internal("packet longer than we send"));
        }
        let (fields, rest) = packet.split_at_mut(5);
        fields.copy_from_slice(&[
            (length >> 24) as u8,
            (length >> 16) as u8,
            (length >> 8) as u8,
            length as u8,
            padding as u8,
        ]);
        if let Some(padding) = rest
            .get_mut(padding_start - start - 5..)
            .and_then(|rest| rest.get_mut(..padding))
        {
            self.padding.fill(padding);
        }
        let total = packet.len();
        if let Some(key) = &mut self.key {
            key.seal(self.sequence, packet)?;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(total as u64);
        Ok(())
    }

    /// Begins a new epoch, once our `NEWKEYS` is sealed.
    pub(crate) fn install(&mut self, epoch: SealingEpoch) {
        self.layout = epoch.key.layout();
        self.key = Some(epoch.key);
        self.packets = 0;
        self.bytes = 0;
        if epoch.reset_sequence {
            self.sequence = 0;
        }
        self.compressor = None;
        self.compression = Some(epoch.compression);
        if !epoch.compression.is_delayed() || self.authenticated {
            self.compressor = epoch.compression.compressor();
        }
    }

    /// Begins delayed compression.
    pub(crate) fn authenticated(&mut self) {
        self.authenticated = true;
        if let Some(compression) = self.compression.filter(|c| c.is_delayed()) {
            self.compressor = compression.compressor();
        }
    }

    /// Whether what authentication holds back may be sent: on a server, `USERAUTH_SUCCESS` is out.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The sequence number of the next packet.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    pub(crate) fn epoch_bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn epoch_packets(&self) -> u64 {
        self.packets
    }

    #[cfg(test)]
    pub(crate) fn set_counters(&mut self, sequence: u32, packets: u64) {
        self.sequence = sequence;
        self.packets = packets;
    }
}
