//! The compression seam (RFC 4253 section 6.2, OpenSSH PROTOCOL section 1.2), proved with a toy method.

use alloc::boxed::Box;
use alloc::vec;

use bytes::{BufMut, BytesMut};

use super::Suite;
use crate::crypto::{CompressionAlgorithm, Compressor, Decompressor, NoCompression};
use crate::error::{CryptoError, DisconnectReason, Error, PeerMisbehaved};
use crate::limits::{MAX_PACKET_LENGTH, MAX_PACKET_LENGTH_PRE_AUTH};
use crate::transport::recv::RecvHalf;
use crate::transport::send::SendHalf;

/// Runs of bytes: `count` (two bytes), `byte`; each payload led by its number in the context.
struct Runs {
    delayed: bool,
}

struct RunContext(u8);

impl CompressionAlgorithm for Runs {
    fn name(&self) -> &'static str {
        "runs@test"
    }

    fn is_delayed(&self) -> bool {
        self.delayed
    }

    fn compressor(&self) -> Option<Box<dyn Compressor>> {
        Some(Box::new(RunContext(0)))
    }

    fn decompressor(&self) -> Option<Box<dyn Decompressor>> {
        Some(Box::new(RunContext(0)))
    }
}

impl Compressor for RunContext {
    fn compress(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), CryptoError> {
        out.put_u8(self.0);
        self.0 += 1;
        for run in payload.chunk_by(|a, b| a == b) {
            for part in run.chunks(65_535) {
                out.put_u16(part.len() as u16);
                out.put_u8(part[0]);
            }
        }
        Ok(())
    }
}

impl Decompressor for RunContext {
    fn decompress(
        &mut self,
        payload: &[u8],
        max: usize,
        out: &mut BytesMut,
    ) -> Result<(), CryptoError> {
        let bad = CryptoError::BadCompression;
        let (number, runs) = payload.split_first().ok_or(bad)?;
        if *number != self.0 || runs.len() % 3 != 0 {
            return Err(bad);
        }
        self.0 += 1;
        for run in runs.chunks(3) {
            let count = usize::from(u16::from_be_bytes([run[0], run[1]]));
            if out.len() + count > max {
                return Err(bad);
            }
            out.put_bytes(run[2], count);
        }
        Ok(())
    }
}

static AT_ONCE: Runs = Runs { delayed: false };
static DELAYED: Runs = Runs { delayed: true };

fn compressing(compression: &'static Runs) -> (SendHalf, RecvHalf) {
    let suite = Suite::all()[1];
    let (mut send, mut recv) = (suite.sender(), suite.receiver());
    send.install(suite.sealing(compression).unwrap());
    recv.install(suite.opening(compression).unwrap(), true);
    (send, recv)
}

fn cross(send: &mut SendHalf, recv: &mut RecvHalf, payload: &[u8]) -> (usize, Result<(), Error>) {
    let mut out = BytesMut::new();
    send.seal(&mut out, |out| out.extend_from_slice(payload))
        .unwrap();
    let size = out.len();
    recv.push(out);
    let opened = recv.next_packet();
    (
        size,
        opened.map(|packet| assert_eq!(&packet.unwrap().payload[..], payload)),
    )
}

#[test]
fn j1_a_bomb_ends_at_the_largest_packet() {
    for authenticated in [false, true] {
        let max = match authenticated {
            false => MAX_PACKET_LENGTH_PRE_AUTH,
            true => MAX_PACKET_LENGTH,
        };
        for over in [0, 1] {
            let (mut send, mut recv) = compressing(&AT_ONCE);
            if authenticated {
                recv.authenticated();
            }
            let payload = vec![2; (max + over) as usize];
            let (size, result) = cross(&mut send, &mut recv, &payload);
            assert!(size < 100, "compressed");
            match over {
                0 => assert_eq!(result, Ok(())),
                _ => {
                    let error = result.unwrap_err();
                    assert_eq!(error, PeerMisbehaved::BadCompression.into());
                    assert_eq!(
                        error.disconnect_reason(),
                        Some(DisconnectReason::COMPRESSION_ERROR)
                    );
                }
            }
        }
    }
}

#[test]
fn j2_damaged_and_empty_output_is_refused() {
    for compressed in [&b"\x07\0\x01a"[..], b"\0\0\x01", b"\0", b"\0\0\0a"] {
        let (_, mut recv) = compressing(&AT_ONCE);
        let mut plain = Suite::all()[1].sender();
        let mut out = BytesMut::new();
        plain
            .seal(&mut out, |out| out.extend_from_slice(compressed))
            .unwrap();
        recv.push(out);
        assert_eq!(
            recv.next_packet().unwrap_err(),
            PeerMisbehaved::BadCompression.into(),
            "{compressed:?}"
        );
    }
}

#[test]
fn j3_delayed_compression_waits_for_authentication() {
    let payload = [2; 5000];
    let (mut send, mut recv) = compressing(&DELAYED);
    let (size, result) = cross(&mut send, &mut recv, &payload);
    assert!(size > 5000);
    assert_eq!(result, Ok(()));
    // A peer that begins before its time is not understood.
    let mut early = Suite::all()[1].sender();
    early.install(Suite::all()[1].sealing(&AT_ONCE).unwrap());
    let (_, mut recv) = compressing(&DELAYED);
    let mut out = BytesMut::new();
    early
        .seal(&mut out, |out| out.extend_from_slice(&payload))
        .unwrap();
    recv.push(out);
    assert_eq!(
        recv.next_packet().unwrap().unwrap().payload[0],
        0,
        "B11: message number 0, which the phase table refuses"
    );
}

#[test]
fn j4_the_context_begins_with_the_switch_and_with_each_epoch() {
    let payload = [2; 5000];
    let (mut send, mut recv) = compressing(&DELAYED);
    // USERAUTH_SUCCESS itself is not compressed, the next packet is.
    let (size, result) = cross(&mut send, &mut recv, &[52; 300]);
    assert!(size > 300);
    assert_eq!(result, Ok(()));
    send.authenticated();
    recv.authenticated();
    for _ in 0..3 {
        let (size, result) = cross(&mut send, &mut recv, &payload);
        assert!(size < 100);
        assert_eq!(result, Ok(()));
    }
    // A rekey begins a new context at once; one to `none` ends it.
    let suite = Suite::all()[1];
    send.install(suite.sealing(&DELAYED).unwrap());
    recv.install(suite.opening(&DELAYED).unwrap(), true);
    let (size, result) = cross(&mut send, &mut recv, &payload);
    assert!(size < 100);
    assert_eq!(result, Ok(()));
    send.install(suite.sealing(&NoCompression).unwrap());
    recv.install(suite.opening(&NoCompression).unwrap(), true);
    let (size, result) = cross(&mut send, &mut recv, &payload);
    assert!(size > 5000);
    assert_eq!(result, Ok(()));
}
