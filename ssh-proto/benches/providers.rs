//! Each provider that is compiled in, through the traits that the core uses: packets, key exchange and signatures, as times and against RustCrypto.
//!
//! `cargo bench -p ssh-proto --features graviola,aws-lc-rs --bench providers [-- part-of-a-name ...]`

mod support;

use std::hint::black_box;
use std::sync::Arc;

use ssh_proto::crypto::{CryptoProvider, KexShape, SigningKey, rustcrypto};
use support::pair::OsRandom;
use support::raw::Raw;
use support::{Counting, Filter, Meter, Samples, cpu_ns};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MAC: &str = "hmac-sha2-256-etm@openssh.com";
const SAMPLES: usize = 21;
const SAMPLE_NS: u64 = 4_000_000;

/// Bytes of payload in a packet, and packets at once.
const LOADS: [(usize, usize); 3] = [(32, 64), (1400, 32), (32 << 10, 4)];

fn providers() -> Vec<CryptoProvider> {
    vec![
        rustcrypto::provider(),
        #[cfg(feature = "graviola")]
        ssh_proto::crypto::graviola::provider(),
        #[cfg(feature = "aws-lc-rs")]
        ssh_proto::crypto::aws_lc_rs::provider(),
        #[cfg(feature = "purecrypto")]
        ssh_proto::crypto::purecrypto::provider(),
    ]
}

/// One operation of one provider.
type Work<'a> = Box<dyn FnMut() + 'a>;

/// Prints a line of times, `None` where a provider lacks what it is about.
fn print(name: &str, times: &[Option<Samples>]) {
    let base = times.first().and_then(Option::as_ref).map(Samples::median);
    print!("{name:<44}");
    for time in times {
        match (time, base) {
            (Some(time), Some(base)) => {
                print!(" {time:>16.1} {:>5.2}", time.median() / base);
            }
            _ => print!(" {:>16} {:>5}", "-", "-"),
        }
    }
    println!();
}

/// Measures in turn what providers do, in microseconds.
fn compare(name: &str, mut works: Vec<Option<Work<'_>>>) {
    let mut times: Vec<_> = works
        .iter()
        .map(|work| work.as_ref().map(|_| Samples::default()))
        .collect();
    for warm in 0..=SAMPLES {
        for (work, times) in works.iter_mut().zip(&mut times) {
            let (Some(work), Some(times)) = (work, times) else {
                continue;
            };
            let (start, mut done) = (cpu_ns(), 0);
            let ns = loop {
                work();
                done += 1;
                let ns = cpu_ns() - start;
                if ns > SAMPLE_NS {
                    break ns;
                }
            };
            if warm > 0 {
                times.push(ns as f64 / f64::from(done) / 1e3);
            }
        }
    }
    print(name, &times);
}

/// Seal and open by turns, since both count what they have done.
fn packets(providers: &[CryptoProvider], filter: &Filter) {
    for cipher in providers[0].ciphers.iter() {
        for (payload, count) in LOADS {
            let name = format!("{} {payload} B", cipher.name());
            if !filter.admits(&name) {
                continue;
            }
            let raw = |provider: &CryptoProvider| {
                let cipher = provider.cipher(cipher.name())?;
                let mac = provider.mac(MAC).unwrap();
                Some(Raw::new(cipher, mac, payload, count))
            };
            let mut raws: Vec<_> = providers.iter().map(raw).collect();
            let new = || -> Vec<_> {
                let samples = raws
                    .iter()
                    .map(|raw| raw.as_ref().map(|_| Samples::default()));
                samples.collect()
            };
            let (mut seal, mut open) = (new(), new());
            for warm in 0..=SAMPLES {
                for (raw, (seal, open)) in raws.iter_mut().zip(seal.iter_mut().zip(&mut open)) {
                    let (Some(raw), Some(seal), Some(open)) = (raw, seal, open) else {
                        continue;
                    };
                    let (mut sealing, mut opening) = (Meter::new(), Meter::new());
                    let mut done = 0;
                    while sealing.ns + opening.ns < SAMPLE_NS {
                        sealing.time(|| raw.seal());
                        opening.time(|| raw.open());
                        done += count;
                    }
                    if warm > 0 {
                        seal.push(sealing.ns as f64 / done as f64);
                        open.push(opening.ns as f64 / done as f64);
                    }
                }
            }
            print(&format!("{name} seal"), &seal);
            print(&format!("{name} open"), &open);
        }
    }
}

fn kex(providers: &[CryptoProvider], filter: &Filter) {
    for method in providers[0].kex.iter() {
        if method.shape() != KexShape::Ecdh {
            continue;
        }
        for side in ["client", "server"] {
            let name = format!("{} {side}", method.name());
            if !filter.admits(&name) {
                continue;
            }
            let works = providers.iter().map(|provider| {
                let method = provider.kex(method.name())?;
                let start = method.start(None, &mut OsRandom).unwrap();
                let response = method.respond(None, start.public(), &mut OsRandom).unwrap();
                let work: Work<'_> = match side {
                    "client" => Box::new(move || {
                        let start = method.start(None, &mut OsRandom).unwrap();
                        black_box(start.complete(&response.public).unwrap());
                    }),
                    _ => Box::new(move || {
                        let answer = method.respond(None, start.public(), &mut OsRandom);
                        black_box(answer.unwrap());
                    }),
                };
                Some(work)
            });
            compare(&name, works.collect());
        }
    }
}

fn signatures(providers: &[CryptoProvider], filter: &Filter) {
    let message = [0x5a; 400];
    for algorithm in providers[0].signatures.iter() {
        let made = providers[0]
            .keys
            .generate(algorithm.key_type(), &mut OsRandom);
        let Ok(private) = made else { continue };
        for what in ["sign", "verify"] {
            let name = format!("{} {what}", algorithm.name());
            if !filter.admits(&name) {
                continue;
            }
            let works = providers.iter().map(|provider| {
                let algorithm = provider.signature(algorithm.name())?;
                let key: Arc<dyn SigningKey> = provider.signing_key(&private).ok()?;
                let signature = key.sign(algorithm.name(), &message).unwrap();
                let work: Work<'_> = match what {
                    "sign" => Box::new(move || {
                        black_box(key.sign(algorithm.name(), &message).unwrap());
                    }),
                    _ => Box::new(move || {
                        algorithm
                            .verify(key.public_key(), &message, &signature)
                            .unwrap();
                    }),
                };
                Some(work)
            });
            compare(&name, works.collect());
        }
    }
}

fn main() {
    let filter = Filter::from_args();
    let providers = providers();
    println!("CPU time, medians of {SAMPLES} samples taken in turn, and the ratio to RustCrypto;");
    println!("packets in ns, with {MAC} where the cipher needs it, the rest in µs");
    print!("{:<44}", "");
    for provider in &providers {
        print!(" {:>22}", provider.name);
    }
    println!();
    packets(&providers, &filter);
    kex(&providers, &filter);
    signatures(&providers, &filter);
}
