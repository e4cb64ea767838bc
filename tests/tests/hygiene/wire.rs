//! P3: bytes on the wire against what stands in memory: every one of them was meant to leave.

use std::collections::HashMap;

use bytes::BytesMut;
use ssh_proto::Connection;
use ssh_proto::wire::number;
use ssh_tests::Pair;

use crate::allocator::{UNWRITTEN, Watch};
use crate::connections::{ANSWERS, COOKIE, NEW, OLD, WRONG, pair_in_clear, play};
use crate::provider::CLEAR_TAG;

/// Bytes of new memory in a row that are not chance.
const RUN: [u8; 6] = [UNWRITTEN; 6];

/// A packet that was sent in clear.
struct Sent<'a> {
    payload: &'a [u8],
    padding: &'a [u8],
}

/// The packets behind the identification line.
fn packets(sent: &[u8]) -> Vec<Sent<'_>> {
    let line = sent.iter().position(|byte| *byte == b'\n').unwrap();
    let mut rest = &sent[line + 1..];
    let mut packets = Vec::new();
    let mut tag = 0;
    while let Some((length, packet)) = rest.split_first_chunk() {
        let (packet, behind) = packet.split_at(u32::from_be_bytes(*length) as usize);
        let payload = packet.len() - usize::from(packet[0]);
        packets.push(Sent {
            payload: &packet[1..payload],
            padding: &packet[payload..],
        });
        rest = &behind[tag..];
        if packet[1] == number::NEWKEYS {
            tag = CLEAR_TAG;
        }
    }
    packets
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// What both sides sent in a whole session.
fn session() -> [Vec<u8>; 2] {
    let mut pair = pair_in_clear();
    pair.record();
    play(&mut pair);
    let (client, server) = pair.transcripts();
    [client.sent, server.sent]
}

#[test]
fn p3_nothing_unwritten_is_sent() {
    let _watch = Watch::begin();
    assert!(contains(&Vec::from_iter((0..40).map(|_| UNWRITTEN)), &RUN));
    for sent in session() {
        assert!(sent.len() > 2_000);
        assert!(!contains(&sent, &RUN));
    }
}

/// A secret is in the message that it belongs to, once, and in no other, be it behind the payload.
#[test]
fn p3_secrets_are_sent_once() {
    let _watch = Watch::begin();
    let [client, server] = session();
    let client = packets(&client);
    let expected = [
        (WRONG.as_bytes(), number::USERAUTH_REQUEST, 1),
        // Once to log in, once to be replaced.
        (OLD.as_bytes(), number::USERAUTH_REQUEST, 2),
        (NEW.as_bytes(), number::USERAUTH_REQUEST, 1),
        (ANSWERS[0].as_bytes(), number::USERAUTH_INFO_RESPONSE, 1),
        (ANSWERS[1].as_bytes(), number::USERAUTH_INFO_RESPONSE, 1),
        (COOKIE, number::CHANNEL_REQUEST, 1),
    ];
    for (secret, number, count) in expected {
        let mut found = 0;
        for packet in &client {
            assert!(!contains(packet.padding, &secret[..8]));
            if contains(packet.payload, &secret[..8]) {
                assert_eq!(packet.payload[0], number);
                found += 1;
            }
        }
        assert_eq!(found, count, "message {number}");
        assert!(!contains(&server, &secret[..8]));
    }
}

/// Padding is random: no four bytes of it come twice, in either direction, and all values occur.
#[test]
fn p3_padding_is_random() {
    let _watch = Watch::begin();
    let mut seen: HashMap<[u8; 4], usize> = HashMap::new();
    let mut values = [0_usize; 256];
    let mut count = 0;
    let sessions = session();
    for sent in &sessions {
        for (at, packet) in packets(sent).iter().enumerate() {
            assert!(packet.padding.len() >= 4);
            let (chunks, _) = packet.padding.as_chunks::<4>();
            for chunk in chunks {
                assert_eq!(seen.insert(*chunk, at), None, "packet {at}");
            }
            for byte in packet.padding {
                values[usize::from(*byte)] += 1;
                count += 1;
            }
        }
    }
    assert!(count > 300, "{count}");
    let most = values.iter().max().unwrap();
    assert!(*most < 5 + count / 50, "{most} of {count}");
}

/// What the caller's buffer held before is not sent, and what it holds stays as it is.
#[test]
fn p3_stale_bytes_of_the_callers_buffer() {
    let _watch = Watch::begin();
    let mut pair: Pair = pair_in_clear();
    let (mut client, mut server) = (BytesMut::new(), BytesMut::new());
    let stale = |out: &mut BytesMut| {
        out.clear();
        out.resize(4096, UNWRITTEN);
        out.truncate(8);
    };
    let mut total = 0;
    for _ in 0..20 {
        stale(&mut client);
        stale(&mut server);
        while pair.client.poll_transmit(pair.now, &mut client).is_some() {}
        while pair.server.poll_transmit(pair.now, &mut server).is_some() {}
        for sent in [&client, &server] {
            assert_eq!(sent[..8], [UNWRITTEN; 8]);
            assert!(!contains(&sent[8..], &RUN));
            total += sent.len() - 8;
        }
        pair.client
            .handle_input(pair.now, BytesMut::from(&server[8..]));
        pair.server
            .handle_input(pair.now, BytesMut::from(&client[8..]));
        while let Some(event) = pair.client.poll_event() {
            if let ssh_proto::ClientEvent::HostKey(check) = event {
                pair.client.accept_host_key(check).unwrap();
            }
        }
        while pair.server.poll_event().is_some() {}
    }
    assert!(total > 3_000, "{total}");
}
