//! Refusals that show nothing of their reason: CBC with encrypt-and-MAC, where a length is believed before it can be verified (B9, CVE-2008-5161).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;

use super::Suite;
use crate::crypto::{NoCompression, OpeningKey, PacketLayout};
use crate::error::{CryptoError, PeerMisbehaved};
use crate::limits::{MAX_PACKET_LENGTH, MAX_PACKET_LENGTH_PRE_AUTH};
use crate::transport::recv::{OpeningEpoch, RecvHalf};

fn hiding() -> Vec<Suite> {
    let all = Suite::all().into_iter().filter(Suite::hides);
    let all: Vec<_> = all.collect();
    assert_eq!(all.len(), 4 * 3);
    all
}

/// A key whose MAC work is counted.
struct Counting {
    key: Box<dyn OpeningKey>,
    work: Arc<AtomicUsize>,
}

impl OpeningKey for Counting {
    fn layout(&self) -> PacketLayout {
        self.key.layout()
    }

    fn open_length(&mut self, sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        self.key.open_length(sequence, head)
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let verified = packet.len() - self.layout().tag_len;
        self.work.fetch_add(verified, Ordering::Relaxed);
        self.key.open(sequence, packet)
    }

    fn hides_refusals(&self) -> bool {
        self.key.hides_refusals()
    }

    fn verify_nothing(&mut self, len: usize) {
        self.work.fetch_add(len, Ordering::Relaxed);
        self.key.verify_nothing(len);
    }
}

/// Everything that is wrong with a packet, and one that is longest and not authentic.
fn refused(suite: Suite, max: u32) -> Vec<BytesMut> {
    let longest = (0..=max).rev().find(|n| suite.is_aligned(*n)).unwrap();
    let lengths = [
        0,
        4,
        suite.aligned(5) + 1,
        max + 1,
        u32::MAX,
        suite.aligned(40),
        longest,
    ];
    let mut packets: Vec<_> = lengths
        .into_iter()
        .map(|length| {
            let body = usize::try_from(length).unwrap().clamp(28, 300_000);
            suite.forge(length, &vec![4; body])
        })
        .collect();
    for packet in packets.iter_mut().rev().take(2) {
        *packet.last_mut().unwrap() ^= 1;
    }
    // Any bit of the first block: what an attacker gets at.
    let sealed = suite.forge(suite.aligned(40), &vec![4; suite.aligned(40) as usize]);
    packets.extend((0..suite.layout().block_len * 8).map(|bit| {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        damaged
    }));
    packets
}

#[test]
fn b9_nothing_shows_why_a_packet_is_refused() {
    for suite in hiding() {
        for authenticated in [false, true] {
            let max = match authenticated {
                false => MAX_PACKET_LENGTH_PRE_AUTH,
                true => MAX_PACKET_LENGTH,
            };
            let longest = max as usize + 4 + suite.layout().tag_len;
            for mut packet in refused(suite, max) {
                let work = Arc::default();
                let mut recv = RecvHalf::new(crate::role::Role::Server, false);
                recv.push(BytesMut::from(&b"SSH-2.0-x\r\n"[..]));
                assert!(recv.read_identification().unwrap().is_some());
                let OpeningEpoch { key, .. } = suite.opening(&NoCompression).unwrap();
                let key = Box::new(Counting {
                    key,
                    work: Arc::clone(&work),
                });
                let compression = &NoCompression;
                recv.install(OpeningEpoch { key, compression }, true);
                if authenticated {
                    recv.authenticated();
                }
                packet.resize(longest, 0);
                let last = packet.split_off(longest - 1);
                recv.push(packet);
                assert!(recv.next_packet().unwrap().is_none(), "{}", suite.name());
                assert_eq!(recv.missing(), 1);
                assert!(recv.take_mac_failure().is_none());
                recv.push(last);
                let error = recv.next_packet().map(|_| ()).unwrap_err();
                assert_eq!(error, PeerMisbehaved::BadMac.into());
                assert_eq!(
                    work.load(Ordering::Relaxed),
                    longest - suite.layout().tag_len
                );
                let failure = recv.take_mac_failure().unwrap();
                assert_eq!((failure.length, failure.is_held), (longest, false));
            }
        }
    }
}

#[test]
fn b9_what_is_thrown_away_is_not_held() {
    for suite in hiding() {
        let mut recv = suite.receiver();
        recv.authenticated();
        recv.push(suite.forge(u32::MAX, &[4; 28]));
        let longest = MAX_PACKET_LENGTH as usize + 4 + suite.layout().tag_len;
        let mut left = longest - recv.buffered();
        while left > 0 {
            assert!(recv.next_packet().unwrap().is_none());
            assert_eq!((recv.missing(), recv.buffered()), (left, 0));
            let piece = left.min(1000);
            recv.push(BytesMut::zeroed(piece));
            left -= piece;
        }
        // What follows is not looked at.
        recv.push(BytesMut::zeroed(5000));
        let error = recv.next_packet().map(|_| ()).unwrap_err();
        assert_eq!(error, PeerMisbehaved::BadMac.into());
    }
}

/// With encrypt-then-MAC the length is not secret and the MAC comes first: no need to hide.
#[test]
fn b9_encrypt_then_mac_is_refused_at_once() {
    let etm = Suite::prompt().filter(|suite| suite.name().contains("-cbc"));
    let etm: Vec<_> = etm.collect();
    assert_eq!(etm.len(), 4 * 3);
    for suite in etm {
        let mut recv = suite.receiver();
        recv.push(suite.forge(u32::MAX, &[4; 28]));
        assert!(recv.next_packet().is_err());
    }
}
