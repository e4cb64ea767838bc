//! Packets in pieces: any split of the input gives the same packets, copied no more than needed (U2, U4).

use alloc::vec;
use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::{Dice, Suite};
use crate::transport::recv::RecvHalf;

/// The packets of one epoch, as sealed and as they are to come out.
fn stream(suite: Suite) -> (BytesMut, Vec<Vec<u8>>) {
    let mut send = suite.sender();
    let mut dice = Dice(3);
    let sizes = [1, 7, 100, 1, 5000, 32_768, 3, 4096, 40];
    let mut out = BytesMut::new();
    let payloads: Vec<Vec<u8>> = sizes
        .into_iter()
        .map(|size| {
            let payload: Vec<u8> = (0..size).map(|_| dice.roll(256) as u8).collect();
            send.seal(&mut out, |out| out.extend_from_slice(&payload))
                .unwrap();
            payload
        })
        .collect();
    (out, payloads)
}

fn drain(recv: &mut RecvHalf, opened: &mut Vec<Vec<u8>>) {
    while let Some(packet) = recv.next_packet().unwrap() {
        assert_eq!(packet.sequence as usize, opened.len());
        opened.push(packet.payload.to_vec());
    }
    assert!(recv.missing() > 0);
}

#[test]
fn u2_any_chunking_gives_the_same_packets() {
    for suite in Suite::all() {
        let (bytes, payloads) = stream(suite);
        let whole = |eager: bool, cut: &mut dyn FnMut() -> usize, contiguous: bool| {
            let mut recv = suite.receiver();
            let mut opened = Vec::new();
            let mut rest = BytesMut::from(&bytes[..]);
            while !rest.is_empty() {
                let size = cut().clamp(1, rest.len());
                let chunk = rest.split_to(size);
                match contiguous {
                    true => recv.push(chunk),
                    false => recv.push(BytesMut::from(&chunk[..])),
                }
                if eager {
                    drain(&mut recv, &mut opened);
                }
            }
            drain(&mut recv, &mut opened);
            assert_eq!(opened, payloads, "{}", suite.name());
            assert_eq!(recv.buffered(), 0);
            assert_eq!(recv.total_bytes(), bytes.len() as u64 + 11);
        };
        for contiguous in [false, true] {
            for eager in [false, true] {
                whole(eager, &mut || usize::MAX, contiguous);
                whole(eager, &mut || 1, contiguous);
                for seed in 0..2 {
                    let mut dice = Dice(seed);
                    whole(eager, &mut || dice.roll(40), contiguous);
                    whole(eager, &mut || dice.roll(9000), contiguous);
                    whole(
                        eager,
                        &mut || [1, 5000, 3, 4095, 4096][dice.roll(5)],
                        contiguous,
                    );
                }
            }
        }
    }
}

#[test]
fn u4_input_is_opened_where_it_lies() {
    for suite in Suite::all() {
        let mut send = suite.sender();
        let mut bytes = BytesMut::new();
        send.seal(&mut bytes, |out| out.put_bytes(7, 20_000))
            .unwrap();
        let first = bytes.len();
        send.seal(&mut bytes, |out| out.put_bytes(8, 9_000))
            .unwrap();
        for cut in (1..bytes.len()).step_by(1999) {
            let mut input = BytesMut::from(&bytes[..]);
            let base = input.as_ptr() as usize;
            let rest = input.split_off(cut);
            let mut recv = suite.receiver();
            let mut opened = Vec::new();
            for chunk in [input, rest] {
                recv.push(chunk);
                while let Some(packet) = recv.next_packet().unwrap() {
                    opened.push(packet.payload);
                }
            }
            let at: Vec<usize> = opened.iter().map(|p| p.as_ptr() as usize - base).collect();
            assert_eq!(at, [5, first + 5], "{cut} {}", suite.name());
        }

        // Apart: what the packet lacks is copied, the rest stays where it is.
        let mut input = BytesMut::from(&bytes[..]);
        let rest = BytesMut::from(&input.split_off(100)[..]);
        let second = rest.as_ptr() as usize + first - 100 + 5;
        let mut recv = suite.receiver();
        recv.push(input);
        recv.push(rest);
        let copied = recv.next_packet().unwrap().unwrap();
        assert!(copied.payload.iter().all(|byte| *byte == 7));
        let packet = recv.next_packet().unwrap().unwrap();
        assert_eq!(packet.payload.as_ptr() as usize, second);
    }
}

/// B2, N2: a declared length reserves nothing; the memory held is what arrived.
#[test]
fn u4_a_declared_length_reserves_nothing() {
    for suite in Suite::all() {
        let length = suite.aligned(30_000);
        let mut packet = suite.forge(length, &vec![4; length as usize]);
        let base = packet.as_ptr() as usize;
        let rest = packet.split_off(suite.layout().head_len);
        let mut recv = suite.receiver();
        recv.push(packet);
        assert!(recv.next_packet().unwrap().is_none());
        assert_eq!(recv.missing(), rest.len());
        recv.push(rest);
        let packet = recv.next_packet().unwrap().unwrap();
        // Had room been made for the packet, it would lie elsewhere.
        assert_eq!(packet.payload.as_ptr() as usize, base + 5);
        assert!(packet.pinned <= length as usize + 4 + suite.layout().tag_len);
    }
}
