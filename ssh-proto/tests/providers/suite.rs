//! A cipher and a MAC of a provider with fixed keys, and packets for them.

use ssh_proto::crypto::{
    CipherAlgorithm, CipherKeys, CryptoProvider, MacAlgorithm, OpeningKey, PacketLayout,
    SealingKey, rustcrypto,
};
use ssh_proto::error::CryptoError;

use crate::{counting, providers};

pub struct Suite {
    pub cipher: &'static dyn CipherAlgorithm,
    pub mac: Option<&'static dyn MacAlgorithm>,
    pub key: Vec<u8>,
    pub iv: Vec<u8>,
    pub mac_key: Vec<u8>,
}

impl Suite {
    pub fn new(
        cipher: &'static dyn CipherAlgorithm,
        mac: Option<&'static dyn MacAlgorithm>,
    ) -> Self {
        Self {
            cipher,
            mac,
            key: counting(0, cipher.key_len()),
            iv: counting(0xa0, cipher.iv_len()),
            mac_key: counting(0x40, mac.map_or(0, |mac| mac.key_len())),
        }
    }

    /// The suite of these names of each provider; those of FIPS lack some.
    pub fn named(cipher: &str, mac: Option<&str>) -> Vec<Self> {
        let named = |provider: &CryptoProvider| {
            let cipher = provider.cipher(cipher)?;
            let mac = match mac {
                Some(name) => Some(provider.mac(name)?),
                None => None,
            };
            Some(Self::new(cipher, mac))
        };
        providers()
            .iter()
            .filter_map(|provider| {
                let suite = named(provider);
                assert!(suite.is_some() || provider.fips(), "{}", provider.name);
                suite
            })
            .collect()
    }

    /// Every cipher of a provider with every MAC it takes, what is offered on request among them.
    pub fn of(provider: &CryptoProvider) -> Vec<Self> {
        let mut suites = Vec::new();
        let more = &provider.on_request;
        let macs = provider.macs.iter().chain(more.macs.iter());
        for cipher in provider.ciphers.iter().chain(more.ciphers.iter()) {
            match cipher.is_aead() {
                true => suites.push(Self::new(*cipher, None)),
                false => suites.extend(macs.clone().map(|mac| Self::new(*cipher, Some(*mac)))),
            }
        }
        match (provider.fips(), cfg!(feature = "legacy")) {
            (true, _) => assert!(!suites.is_empty()),
            (false, true) => assert_eq!(suites.len(), 3 + 7 * 6),
            (false, false) => assert_eq!(suites.len(), 3 + 3 * 4),
        }
        suites
    }

    /// Those of all providers.
    pub fn all() -> Vec<Self> {
        providers().iter().flat_map(Self::of).collect()
    }

    pub fn name(&self) -> String {
        let mac = self.mac.map_or("", |mac| mac.name());
        format!("{} {mac}", self.cipher.name())
    }

    pub fn is_cbc(&self) -> bool {
        self.cipher.name().ends_with("-cbc")
    }

    pub fn encrypts_and_macs(&self) -> bool {
        self.mac.is_some_and(|mac| !mac.is_etm())
    }

    pub fn keys(&self) -> CipherKeys<'_> {
        CipherKeys {
            key: &self.key,
            iv: &self.iv,
            mac: self.mac.map(|mac| (mac, &*self.mac_key)),
        }
    }

    pub fn sealing(&self) -> Box<dyn SealingKey> {
        self.cipher.sealing_key(self.keys()).unwrap()
    }

    pub fn opening(&self) -> Box<dyn OpeningKey> {
        self.cipher.opening_key(self.keys()).unwrap()
    }
}

pub fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    rustcrypto::provider().sha256.hash(parts).as_ref().to_vec()
}

/// A packet of `blocks` blocks with `tag_len` bytes of room.
pub fn packet(layout: PacketLayout, blocks: usize, fill: u8) -> Vec<u8> {
    let body = blocks * layout.block_len - if layout.length_is_padded { 4 } else { 0 };
    let mut packet = u32::try_from(body).unwrap().to_be_bytes().to_vec();
    packet.push(4);
    packet.extend(counting(fill, body - 1));
    packet.resize(packet.len() + layout.tag_len, 0xee);
    packet
}

pub fn open(
    key: &mut dyn OpeningKey,
    sequence: u32,
    packet: &mut [u8],
) -> (u32, Result<(), CryptoError>) {
    let head_len = OpeningKey::layout(key).head_len;
    let length = key.open_length(sequence, &mut packet[..head_len]).unwrap();
    (length, key.open(sequence, packet))
}
