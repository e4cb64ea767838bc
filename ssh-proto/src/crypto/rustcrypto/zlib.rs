//! `zlib@openssh.com`: compression that begins with authentication (RFC 4253 section 6.2, RFC 1950, OpenSSH PROTOCOL section 1.2).
//!
//! Plain `zlib`, which begins before it, is not here: it lets anybody feed the inflater.

use alloc::boxed::Box;
use core::hint::black_box;

use bytes::BytesMut;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, ZeroReset, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::crypto::{CompressionAlgorithm, Compressor, Decompressor};
use crate::error::CryptoError;

pub(super) static ZLIB_OPENSSH: Zlib = Zlib;

/// The level of OpenSSH, and a window of 32 KiB: some 310 KiB for each compressor.
const LEVEL: i32 = 6;
const WINDOW_BITS: i32 = 15;

/// Decompressed payloads grow in steps of this size at most.
const STEP: usize = 8 << 10;

pub(super) struct Zlib;

impl CompressionAlgorithm for Zlib {
    fn name(&self) -> &'static str {
        "zlib@openssh.com"
    }

    fn is_delayed(&self) -> bool {
        true
    }

    fn compressor(&self) -> Option<Box<dyn Compressor>> {
        let flags = create_comp_flags_from_zip_params(LEVEL, WINDOW_BITS, 0);
        Some(Box::new(Deflater(Box::new(CompressorOxide::new(flags)))))
    }

    fn decompressor(&self) -> Option<Box<dyn Decompressor>> {
        Some(Box::new(Inflater(InflateState::new_boxed(
            DataFormat::Zlib,
        ))))
    }
}

/// Its window holds the latest plaintext, so it is wiped with the keys of its epoch.
struct Deflater(Box<CompressorOxide>);

impl Drop for Deflater {
    fn drop(&mut self) {
        self.0.reset();
        black_box(&mut self.0);
    }
}

impl Compressor for Deflater {
    fn compress(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), CryptoError> {
        let start = out.len();
        // More than incompressible data takes: 5 bytes for each 31 KiB, header and flush.
        let bound = payload
            .len()
            .checked_add(payload.len() / 1024 + 64)
            .ok_or(CryptoError::Failed)?;
        out.resize(start.saturating_add(bound), 0);
        let room = out.get_mut(start..).unwrap_or_default();
        // To a byte boundary, which every inflater takes for the partial flush of the RFC.
        let result = deflate(&mut self.0, payload, room, MZFlush::Sync);
        out.truncate(start.saturating_add(result.bytes_written));
        let is_whole = result.bytes_consumed == payload.len() && result.bytes_written < bound;
        match result.status {
            Ok(MZStatus::Ok) if is_whole => Ok(()),
            _ => Err(CryptoError::Failed),
        }
    }
}

/// As for the compressor.
struct Inflater(Box<InflateState>);

impl Drop for Inflater {
    fn drop(&mut self) {
        self.0.reset_as(ZeroReset);
        black_box(&mut self.0);
    }
}

impl Decompressor for Inflater {
    fn decompress(
        &mut self,
        payload: &[u8],
        max: usize,
        out: &mut BytesMut,
    ) -> Result<(), CryptoError> {
        let bad = CryptoError::BadCompression;
        let mut input = payload;
        let mut left = max;
        let mut step = payload.len().saturating_mul(4).clamp(64, STEP);
        // Where no more may come, a byte shows whether more would.
        let mut excess = [0];
        loop {
            let start = out.len();
            let room = step.min(left);
            out.resize(start.saturating_add(room), 0);
            let to = match room {
                0 => &mut excess[..],
                _ => out.get_mut(start..).unwrap_or_default(),
            };
            let result = inflate(&mut self.0, input, to, MZFlush::None);
            let written = result.bytes_written;
            left = left.checked_sub(written).ok_or(bad)?;
            out.truncate(start.saturating_add(written));
            input = input.get(result.bytes_consumed..).unwrap_or_default();
            match result.status {
                Ok(MZStatus::Ok) if written < room.max(1) && input.is_empty() => return Ok(()),
                Ok(MZStatus::Ok) if written > 0 => {}
                // Nothing is left of what came before.
                Err(MZError::Buf) if input.is_empty() => return Ok(()),
                // The stream does not end while the epoch lasts.
                _ => return Err(bad),
            }
            step = STEP;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::crypto::rustcrypto::testing::hex;

    const TEXTS: [&[u8]; 3] = [b"^hello, hello, hello", b"^hello again", b"\x02"];

    /// Three packets of `zlib.compressobj(6)` of Python (zlib 1.2.13), flushed partially, as
    /// RFC 4253 section 6.2 says and OpenSSH does, and to a byte boundary.
    const STREAMS: [[&str; 3]; 2] = [
        [
            "789c8acb48cdc9c9d75140a60002",
            "280e4c2a24a62766e60104",
            "101340",
        ],
        [
            "789c8acb48cdc9c9d75140a600000000ffff",
            "8a03930a89e989997900000000ffff",
            "6202000000ffff",
        ],
    ];

    fn inflater() -> Box<dyn Decompressor> {
        ZLIB_OPENSSH.decompressor().unwrap()
    }

    fn inflated(
        inflater: &mut dyn Decompressor,
        input: &[u8],
        max: usize,
    ) -> Result<Vec<u8>, CryptoError> {
        let mut out = BytesMut::from(&b"kept"[..]);
        inflater.decompress(input, max, &mut out)?;
        assert_eq!(&out[..4], b"kept");
        Ok(out[4..].to_vec())
    }

    fn deflated(deflater: &mut dyn Compressor, payload: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::from(&b"kept"[..]);
        deflater.compress(payload, &mut out).unwrap();
        assert_eq!(&out[..4], b"kept");
        out[4..].to_vec()
    }

    #[test]
    fn j4_streams_of_another_implementation() {
        for stream in STREAMS {
            let mut inflater = inflater();
            for (packet, text) in stream.into_iter().zip(TEXTS) {
                assert_eq!(inflated(&mut *inflater, &hex(packet), 100).unwrap(), text);
            }
        }
    }

    #[test]
    fn j4_packets_are_whole_at_their_end() {
        let mut dice = 1_u32;
        let mut noise = |len: usize| -> Vec<u8> {
            let mut roll = || {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (dice >> 24) as u8
            };
            (0..len).map(|_| roll()).collect()
        };
        let mut deflater = ZLIB_OPENSSH.compressor().unwrap();
        let mut inflater = inflater();
        for len in (1..300).chain([4096, 31 << 10, 32 << 10, 34_000]) {
            for payload in [noise(len), vec![7; len]] {
                let packet = deflated(&mut *deflater, &payload);
                assert!(packet.ends_with(&[0, 0, 0xff, 0xff]));
                assert!(packet.len() < len + 100);
                assert_eq!(inflated(&mut *inflater, &packet, len).unwrap(), payload);
            }
        }
    }

    #[test]
    fn j1_nothing_grows_past_its_bound() {
        for len in [64, 100, STEP, STEP + 1, 35_000, 262_144] {
            let bomb = deflated(&mut *ZLIB_OPENSSH.compressor().unwrap(), &vec![0; len]);
            assert!(bomb.len() < 400, "{}", bomb.len());
            assert_eq!(inflated(&mut *inflater(), &bomb, len).unwrap().len(), len);
            for max in [0, 1, len / 2, len - 1] {
                let mut out = BytesMut::new();
                let result = inflater().decompress(&bomb, max, &mut out);
                assert_eq!(result, Err(CryptoError::BadCompression), "{len} {max}");
                assert!(out.len() <= max && out.capacity() <= 2 * max.max(STEP));
            }
        }
    }

    #[test]
    fn j2_what_is_no_stream_is_refused() {
        for bad in [
            // Not deflate; a check that fails; a window of 64 KiB; a preset dictionary.
            "799c8acb48",
            "789d8acb48",
            "8898",
            "78bb00000001",
            "78f9",
            // The end of a stream: empty, and with a checksum that is right or wrong.
            "789c030000000001",
            "789c4b040000620062",
            "789c4b040000620063",
            // A block of the reserved type, a stored one whose length is not what it says.
            "789c07",
            "789c010100fffe",
            "789c010100ffff61",
        ] {
            let result = inflated(&mut *inflater(), &hex(bad), 100);
            assert_eq!(result, Err(CryptoError::BadCompression), "{bad}");
        }
        // And nothing of it is taken after all.
        let mut inflater = inflater();
        assert!(inflated(&mut *inflater, &hex("799c"), 100).is_err());
        assert!(inflated(&mut *inflater, &hex(STREAMS[0][0]), 100).is_err());
    }

    /// A packet cut anywhere gives the beginning of its text at most, and no panic.
    #[test]
    fn j2_cut_and_damaged_packets() {
        let packet = hex(STREAMS[0][0]);
        for at in 0..packet.len() {
            let text = inflated(&mut *inflater(), &packet[..at], 100).unwrap();
            assert!(TEXTS[0].starts_with(&text));
        }
        for bit in 0..packet.len() * 8 {
            let mut damaged = packet.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = inflated(&mut *inflater(), &damaged, 100) {
                assert!(text.len() <= 100);
            }
        }
    }
}
