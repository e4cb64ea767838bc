//! Bulk data and small packets through a client and a server in memory, next to the cipher alone on packets of the same layout.
//!
//! `cargo bench -p ssh-proto --bench data [-- part-of-cipher/payloadB ...]`

mod support;

use bytes::Bytes;
use ssh_proto::crypto::{CipherAlgorithm, MacAlgorithm, rustcrypto};
use ssh_proto::{ChannelId, Connection, DataStream};
use support::pair::{Login, NOW, Pair, Setup};
use support::raw::Raw;
use support::{Counting, Filter, Meter, Samples, allocations, cpu_ns};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KEX: &str = "curve25519-sha256";
const MAC: &str = "hmac-sha2-256-etm@openssh.com";
const SAMPLES: usize = 15;
const SAMPLE_NS: u64 = 20_000_000;

/// Bytes of payload in a packet and packets that pass from one side to the other at once.
const LOADS: [(usize, usize); 3] = [(32 << 10, 4), (1400, 93), (32, 64)];

/// Below this the core gathers what is written into larger packets, so each is asked for at once.
const GATHERED: usize = 512;

/// The whole core.
struct Core {
    pair: Pair,
    channel: ChannelId,
    data: Bytes,
    payload: usize,
    count: usize,
}

impl Core {
    fn send(&mut self) {
        let Self {
            channel,
            payload,
            count,
            ..
        } = *self;
        let data = &self.data;
        self.pair.send(|client, out| {
            for _ in 0..count {
                if payload < GATHERED {
                    let data = &data[..payload];
                    let taken = client.write(channel, DataStream::Data, data).unwrap();
                    assert_eq!(taken, payload);
                    let _ = client.poll_transmit(NOW, out).unwrap();
                } else {
                    let mut piece = data.slice(..payload);
                    let taken = client.write_bytes(channel, DataStream::Data, &mut piece);
                    assert_eq!(taken.unwrap(), payload);
                }
            }
        });
    }

    fn receive(&mut self) {
        assert_eq!(self.pair.receive(), self.payload * self.count);
    }
}

/// Packets until `SAMPLE_NS` have passed; nanoseconds for each.
fn sample(count: usize, mut batch: impl FnMut()) -> f64 {
    let (start, mut packets) = (cpu_ns(), 0);
    loop {
        for _ in 0..8 {
            batch();
            packets += count;
        }
        let ns = cpu_ns() - start;
        if ns > SAMPLE_NS {
            return ns as f64 / packets as f64;
        }
    }
}

/// The same with the two halves apart.
fn sample_sides<T>(it: &mut T, count: usize, halves: [fn(&mut T); 2]) -> [f64; 2] {
    let mut meters = [Meter::new(), Meter::new()];
    let mut packets = 0;
    while meters[0].ns + meters[1].ns < SAMPLE_NS {
        for (meter, half) in meters.iter_mut().zip(halves) {
            meter.time(|| half(it));
        }
        packets += count;
    }
    meters.map(|meter| meter.ns as f64 / packets as f64)
}

fn measure(cipher: &'static dyn CipherAlgorithm, mac: &'static dyn MacAlgorithm, filter: &Filter) {
    for load in LOADS {
        let (payload, count) = load;
        if !filter.admits(&format!("{}/{payload}B", cipher.name())) {
            continue;
        }
        let mut raw = Raw::new(cipher, mac, payload, count);
        let setup = Setup::new(KEX, cipher.name(), mac.name(), Login::None);
        let mut pair = Pair::connect(&setup, &mut Meter::new(), &mut Meter::new());
        let channel = pair.open_session(&setup);
        let mut core = Core {
            pair,
            channel,
            data: Bytes::from(vec![0xa5; payload]),
            payload,
            count,
        };
        let mut ratio = Samples::default();
        let mut extra: [Samples; 2] = Default::default();
        let mut sides: [Samples; 2] = Default::default();
        let mut raw_total = Samples::default();
        for warm in 0..=SAMPLES {
            let alone = sample(count, || {
                raw.seal();
                raw.open();
            });
            let whole = sample(count, || {
                core.send();
                core.receive();
            });
            let alone_sides = sample_sides(&mut raw, count, [Raw::seal, Raw::open]);
            let whole_sides = sample_sides(&mut core, count, [Core::send, Core::receive]);
            if warm == 0 {
                continue;
            }
            raw_total.push(alone);
            ratio.push(whole / alone);
            for side in 0..2 {
                sides[side].push(whole_sides[side]);
                extra[side].push(whole_sides[side] - alone_sides[side]);
            }
        }
        let mut calls = [0, 0];
        let batches = (1 << 16) / count;
        for _ in 0..batches {
            let before = allocations();
            core.send();
            let between = allocations();
            core.receive();
            calls[0] += between - before;
            calls[1] += allocations() - between;
        }
        let calls = calls.map(|calls| calls as f64 / (batches * count) as f64);
        // The queue of pieces handed over grows and shrinks with each batch of them.
        assert!(calls[0] < 0.1, "sending allocates for each packet");
        assert!(calls[1] < 0.01, "receiving allocates for each packet");
        let [send, receive] = &sides;
        let [more_send, more_receive] = &extra;
        println!(
            "{:<30} {payload:>6} B {ratio:>12.3} {raw_total:>13} {send:>13} {receive:>13} \
             {more_send:>11} {more_receive:>11} {:>8.4} {:>7.4}",
            cipher.name(),
            calls[0],
            calls[1],
        );
    }
}

fn main() {
    let filter = Filter::from_args();
    let provider = rustcrypto::provider();
    let mac = provider.mac(MAC).unwrap();
    println!(
        "CPU ns per packet, medians of {SAMPLES} samples; \
         ciphers without authentication of their own with {MAC}"
    );
    println!(
        "{:<30} {:>8} {:>12} {:>13} {:>13} {:>13} {:>11} {:>11} {:>8} {:>7}",
        "cipher",
        "payload",
        "core / raw",
        "seal + open",
        "send",
        "receive",
        "- seal",
        "- open",
        "allocs:s",
        "r"
    );
    for cipher in provider.ciphers.iter().copied() {
        measure(cipher, mac, &filter);
    }
}
