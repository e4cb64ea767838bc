//! Seal and open of a provider on packets as the core lays them out.

use ssh_proto::crypto::{CipherAlgorithm, CipherKeys, MacAlgorithm, OpeningKey, SealingKey};

/// Number, channel and length of `CHANNEL_DATA`.
const MESSAGE: usize = 9;

/// Seal and open of the provider, without anything around them.
pub struct Raw {
    sealing: Box<dyn SealingKey>,
    opening: Box<dyn OpeningKey>,
    sealed: u32,
    opened: u32,
    fields: [u8; 5],
    /// The length of each packet.
    pub packet: usize,
    pub buffer: Vec<u8>,
}

impl Raw {
    pub fn new(
        cipher: &dyn CipherAlgorithm,
        mac: &'static dyn MacAlgorithm,
        payload: usize,
        count: usize,
    ) -> Self {
        let (key, iv, mac_key) = ([7; 64], [9; 16], [5; 64]);
        let keys = CipherKeys {
            key: &key[..cipher.key_len()],
            iv: &iv[..cipher.iv_len()],
            mac: (!cipher.is_aead()).then(|| (mac, &mac_key[..mac.key_len()])),
        };
        let sealing = cipher.sealing_key(keys).unwrap();
        let opening = cipher.opening_key(keys).unwrap();
        let layout = sealing.layout();
        let head = if layout.length_is_padded { 5 } else { 1 };
        let block = layout.block_len.max(8);
        let padding = match block - (head + MESSAGE + payload) % block {
            short if short < 4 => short + block,
            enough => enough,
        };
        let length = 1 + MESSAGE + payload + padding;
        let mut fields = [0; 5];
        fields[..4].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        fields[4] = padding as u8;
        let packet = 4 + length + layout.tag_len;
        Self {
            sealing,
            opening,
            sealed: 3,
            opened: 3,
            fields,
            packet,
            buffer: vec![0x5a; packet * count],
        }
    }

    pub fn seal(&mut self) {
        for packet in self.buffer.chunks_exact_mut(self.packet) {
            packet[..5].copy_from_slice(&self.fields);
            self.sealing.seal(self.sealed, packet).unwrap();
            self.sealed = self.sealed.wrapping_add(1);
        }
    }

    pub fn open(&mut self) {
        let head = self.opening.layout().head_len;
        for packet in self.buffer.chunks_exact_mut(self.packet) {
            let length = self.opening.open_length(self.opened, &mut packet[..head]);
            assert_eq!(length.unwrap().to_be_bytes(), self.fields[..4]);
            self.opening.open(self.opened, packet).unwrap();
            self.opened = self.opened.wrapping_add(1);
        }
    }
}
