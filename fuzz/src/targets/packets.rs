//! Packets under the real ciphers, with keys that the fuzzer knows: damage is found, whatever it is.

use arbitrary::{Arbitrary, Unstructured};
use ssh_proto::crypto::{CipherKeys, OpeningKey, SealingKey, rustcrypto};
use ssh_proto::error::{Error, PeerMisbehaved};
use ssh_proto::{
    ClientConfig, ClientConnection, Connection, Disconnected, Instant, ServerConfig,
    ServerConnection,
};

use crate::app::{Watch, limits};
use crate::link::Pair;
use crate::provider::{FixedRandom, NullKey, SIGNATURES, provider};

/// Packets of one input, at most.
const PACKETS: usize = 32;

/// Seals and opens packets of each cipher, raw ones and damaged ones, alone and in a session.
pub fn packets(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(choice) = u8::arbitrary(&mut u) else {
        return;
    };
    let _ = keys(choice, &mut u);
    let mut u = Unstructured::new(data.get(1..).unwrap_or_default());
    let _ = session(choice, &mut u);
}

/// Cipher and MAC by number.
fn suite(choice: u8) -> (&'static str, Option<&'static str>) {
    let provider = rustcrypto::provider();
    let cipher = provider.ciphers[usize::from(choice) % provider.ciphers.len()];
    let mac = provider.macs[usize::from(choice >> 4) % provider.macs.len()];
    (cipher.name(), (!cipher.is_aead()).then(|| mac.name()))
}

fn key_pair(choice: u8) -> (Box<dyn SealingKey>, Box<dyn OpeningKey>) {
    let provider = rustcrypto::provider();
    let (cipher, mac) = suite(choice);
    let cipher = provider.cipher(cipher).expect("its own cipher");
    let mac = mac.map(|mac| provider.mac(mac).expect("its own MAC"));
    let secret = [choice; 64];
    let keys = CipherKeys {
        key: &secret[..cipher.key_len()],
        iv: &secret[..cipher.iv_len()],
        mac: mac.map(|mac| (mac, &secret[..mac.key_len()])),
    };
    let sealing = cipher.sealing_key(keys).expect("a key");
    (sealing, cipher.opening_key(keys).expect("a key"))
}

fn keys(choice: u8, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let (mut sealing, mut opening) = key_pair(choice);
    let layout = sealing.layout();
    for sequence in 0..PACKETS as u32 {
        if u.is_empty() {
            break;
        }
        let operation = u8::arbitrary(u)?;
        if operation & 3 == 3 {
            // Bytes that no one sealed. They end the connection, and so the use of the key.
            let mut packet = <&[u8]>::arbitrary(u)?.to_vec();
            let least = layout.head_len.max(4 + layout.block_len) + layout.tag_len;
            let blocks = packet.len() / layout.block_len * layout.block_len;
            packet.resize(least + blocks, 0);
            let (_, mut opening) = key_pair(choice);
            let _ = opening.open_length(sequence, &mut packet[..layout.head_len]);
            assert!(opening.open(sequence, &mut packet).is_err());
            continue;
        }
        let body = <&[u8]>::arbitrary(u)?;
        let field = if layout.length_is_padded { 4 } else { 0 };
        let length = (body.len() + field + 1).next_multiple_of(layout.block_len.max(8)) - field;
        let length = length.max(layout.block_len.max(8) * 2 - field);
        let mut packet = (length as u32).to_be_bytes().to_vec();
        packet.extend_from_slice(body);
        packet.resize(4 + length + layout.tag_len, 9);
        let clear = packet.clone();
        sealing.seal(sequence, &mut packet).expect("a fresh nonce");
        if operation & 3 == 2 {
            let at = usize::from(u16::arbitrary(u)?) % packet.len();
            packet[at] ^= u8::arbitrary(u)?.max(1);
            let opened = opening.open_length(sequence, &mut packet[..layout.head_len]);
            // Another length is another packet, which the connection would wait for or refuse.
            if opened.is_ok_and(|opened| opened as usize == length) {
                assert!(
                    opening.open(sequence, &mut packet).is_err(),
                    "damage at {at}"
                );
            }
            break;
        }
        let opened = opening.open_length(sequence, &mut packet[..layout.head_len]);
        assert_eq!(opened, Ok(length as u32));
        opening
            .open(sequence, &mut packet)
            .expect("an honest packet");
        assert_eq!(packet[4..4 + length], clear[4..4 + length]);
    }
    Ok(())
}

/// A session under a real cipher, and one change to what the client sends.
fn session(choice: u8, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let (cipher, mac) = suite(choice);
    let real = rustcrypto::provider();
    let mut provider = provider();
    provider.ciphers = real.ciphers;
    provider.macs = real.macs;
    let server = ServerConfig::builder(provider.clone())
        .limits(limits())
        .ciphers([cipher])
        .macs(mac)
        .signing_host_key(NullKey::new(SIGNATURES[0]))
        .build()
        .expect("a config");
    let server = ServerConnection::new(&server, Box::new(FixedRandom(1)), Instant::EPOCH);
    let client = ClientConfig::builder(provider)
        .limits(limits())
        .ciphers([cipher])
        .macs(mac)
        .build()
        .expect("a config");
    let client = ClientConnection::new(&client, "alice", Box::new(FixedRandom(2)), Instant::EPOCH);
    let mut pair = Pair::new(
        Watch::new(client.expect("a connection"), limits()),
        Watch::new(server.expect("a connection"), limits()),
    );
    pair.settle();
    assert!(pair.client.authenticated && pair.server.authenticated);
    for _ in 0..4 {
        let _ = pair.client.conn.send_ignore(<&[u8]>::arbitrary(u)?);
    }
    pair.client.transmit(&mut pair.to_server);
    let before = pair.to_server.clone();
    match u8::arbitrary(u)? & 3 {
        0 => {
            pair.to_server
                .truncate(usize::from(u16::arbitrary(u)?) % before.len());
        }
        1 => {
            let bytes = <&[u8]>::arbitrary(u)?;
            pair.to_server.extend_from_slice(bytes);
        }
        2 => pair.to_server = <&[u8]>::arbitrary(u)?.into(),
        _ => {
            let at = usize::from(u16::arbitrary(u)?) % before.len();
            pair.to_server[at] ^= u8::arbitrary(u)?.max(1);
        }
    }
    let damaged = !pair.to_server.starts_with(&before) && !before.starts_with(&pair.to_server);
    let told = pair.server.told;
    while pair.deliver_to_server(usize::from(u8::arbitrary(u)?) + 1) {
        pair.server.poll();
    }
    // Nothing but what the client sent in front of the damage is ever told, and one ending.
    assert!(pair.server.told <= told + 5);
    if damaged {
        // Or it waits for the rest of a packet whose length was changed.
        assert!(match &pair.server.ended {
            None => pair.server.told < told + 4,
            Some(Disconnected::Error(Error::PeerMisbehaved(fault))) => matches!(
                fault,
                PeerMisbehaved::BadMac
                    | PeerMisbehaved::BadPacketLength
                    | PeerMisbehaved::BadPaddingLength
            ),
            Some(Disconnected::Error(Error::LimitExceeded(_))) => true,
            _ => false,
        });
    }
    pair.server.finish();
    pair.client.finish();
    Ok(())
}
