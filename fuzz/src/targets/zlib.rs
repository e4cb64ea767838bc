//! Compressed packets: whatever a peer sends, no more comes of it than is let through, and what is compressed comes back.

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use ssh_proto::crypto::{CompressionAlgorithm, rustcrypto};

/// Packets of one input, at most.
const PACKETS: usize = 16;

/// What a packet holds at most, in a connection (RFC 4253 section 6.1, as OpenSSH has it).
const MOST: usize = 256 << 10;

fn algorithm() -> &'static dyn CompressionAlgorithm {
    let on_request = rustcrypto::provider().on_request.compression;
    let zlib = on_request.iter().find(|it| it.name() == "zlib@openssh.com");
    *zlib.expect("the feature is on")
}

/// Decompresses raw packets, then compresses them and decompresses what comes of it.
pub fn zlib(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let max = match choice & 3 {
        0 => usize::from(*choice),
        1 => 35_000,
        _ => MOST,
    };
    let mut packets = Vec::new();
    let mut u = Unstructured::new(data);
    while packets.len() < PACKETS && !u.is_empty() {
        let len = match choice & 4 {
            // All of it in one.
            0 => u.len(),
            _ => usize::from(u16::arbitrary(&mut u).unwrap_or(0)).min(u.len()),
        };
        packets.push(u.bytes(len).unwrap_or_default());
    }

    let mut inflater = algorithm().decompressor().expect("it compresses");
    for packet in &packets {
        let mut out = BytesMut::from(&b"kept"[..]);
        let result = inflater.decompress(packet, max, &mut out);
        assert!(out.starts_with(b"kept") && out.len() <= 4 + max);
        assert!(out.capacity() <= 2 * (4 + max).max(16 << 10));
        if result.is_err() {
            break;
        }
    }

    let mut deflater = algorithm().compressor().expect("it compresses");
    let mut inflater = algorithm().decompressor().expect("it decompresses");
    for packet in &packets {
        let (mut small, mut again) = (BytesMut::new(), BytesMut::new());
        deflater.compress(packet, &mut small).expect("compresses");
        inflater
            .decompress(&small, packet.len(), &mut again)
            .expect("its own");
        assert_eq!(again, packet);
    }
}
