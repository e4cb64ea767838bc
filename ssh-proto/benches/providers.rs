//! Each provider that is compiled in, through the traits that the core uses: packets, key exchange and signatures, as times and against RustCrypto.
//!
//! Prints the table of `docs/performance.md`. Of what a provider takes from RustCrypto nothing is
//! measured again: finite fields are the same in all, and left out.
//!
//! `cargo bench -p ssh-proto --features graviola,aws-lc-rs,purecrypto --bench providers [-- part-of-a-name ...]`

mod support;

use std::hint::black_box;
use std::sync::Arc;

use ssh_proto::crypto::{
    CryptoProvider, KexShape, PrivateKey, SignatureAlgorithm, SigningKey, rustcrypto,
};
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

/// One operation of one provider; `None` where that is RustCrypto's code.
type Work<'a> = Option<Box<dyn FnMut() + 'a>>;

/// Bits of the RSA keys.
const RSA_BITS: [usize; 3] = [2048, 3072, 4096];

/// Prints a row: medians, half the distance of the quartiles, and ratios to the first.
fn print(name: &str, times: &[Option<Samples>]) {
    print!("| {name} |");
    let base = times.first().and_then(Option::as_ref).map(Samples::median);
    for (i, time) in times.iter().enumerate() {
        match (time, base) {
            (Some(time), _) if i == 0 => print!(" {time:.1} |"),
            (Some(time), Some(base)) => print!(" {time:.1} ({:.2}) |", time.median() / base),
            _ => print!(" = |"),
        }
    }
    println!();
}

/// Whether a provider has RustCrypto's code.
fn is_same<T: ?Sized>(own: &T, base: &T) -> bool {
    std::ptr::eq(own, base)
}

/// Measures in turn what providers do, in microseconds.
fn compare(name: &str, mut works: Vec<Work<'_>>) {
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
            let name = format!("{}, {payload} B", cipher.name());
            if !filter.admits(&name) {
                continue;
            }
            let base_mac = providers[0].mac(MAC).unwrap();
            let raw = |(i, provider): (usize, &CryptoProvider)| {
                let own = provider.cipher(cipher.name()).unwrap();
                let mac = provider.mac(MAC).unwrap();
                let same_mac = cipher.is_aead() || is_same(mac, base_mac);
                let same = i > 0 && is_same(own, *cipher) && same_mac;
                (!same).then(|| Raw::new(own, mac, payload, count))
            };
            let mut raws: Vec<_> = providers.iter().enumerate().map(raw).collect();
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
            print(&format!("{name}, seal"), &seal);
            print(&format!("{name}, open"), &open);
        }
    }
}

fn kex(providers: &[CryptoProvider], filter: &Filter) {
    let more = providers[0].on_request.kex.iter();
    for base in providers[0].kex.iter().chain(more) {
        if base.shape() != KexShape::Ecdh {
            continue;
        }
        for side in ["client", "server"] {
            let name = format!("{}, {side}", base.name());
            if !filter.admits(&name) {
                continue;
            }
            let works = providers.iter().enumerate().map(|(i, provider)| {
                let method = provider.kex(base.name()).unwrap();
                if i > 0 && is_same(method, *base) {
                    return None;
                }
                let start = method.start(None, &mut OsRandom).unwrap();
                let response = method.respond(None, start.public(), &mut OsRandom).unwrap();
                let work: Box<dyn FnMut()> = match side {
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
    for algorithm in providers[0].signatures.iter() {
        let keys = providers[0].keys;
        let name = algorithm.name();
        match name {
            // Both hashes cost next to nothing beside the key.
            "rsa-sha2-256" => {}
            "rsa-sha2-512" => {
                for bits in RSA_BITS {
                    let name = format!("{name}, {bits} bits");
                    let mut whats = ["sign", "verify"].into_iter();
                    if whats.any(|what| filter.admits(&format!("{name}, {what}"))) {
                        let private = keys.generate_rsa(bits, &mut OsRandom).unwrap();
                        signature(providers, *algorithm, &private, &name, filter);
                    }
                }
            }
            // There are none to be made for certificates and security keys.
            _ => {
                if let Ok(private) = keys.generate(algorithm.key_type(), &mut OsRandom) {
                    signature(providers, *algorithm, &private, name, filter);
                }
            }
        }
    }
}

fn signature(
    providers: &[CryptoProvider],
    base: &'static dyn SignatureAlgorithm,
    private: &PrivateKey,
    name: &str,
    filter: &Filter,
) {
    let message = [0x5a; 400];
    for what in ["sign", "verify"] {
        let name = format!("{name}, {what}");
        if !filter.admits(&name) {
            continue;
        }
        let works = providers.iter().enumerate().map(|(i, provider)| {
            let algorithm = provider.signature(base.name()).unwrap();
            if i > 0 && is_same(algorithm, base) {
                return None;
            }
            let key: Arc<dyn SigningKey> = provider.signing_key(private).unwrap();
            let signature = key.sign(algorithm.name(), &message).unwrap();
            let work: Box<dyn FnMut()> = match what {
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

fn main() {
    let filter = Filter::from_args();
    let providers = providers();
    println!("CPU time, medians of {SAMPLES} samples taken in turn ± half the distance of the");
    println!(
        "quartiles, and the ratio to RustCrypto; \"=\" is RustCrypto's code. Packets in ns, with"
    );
    println!("{MAC} where the cipher needs it, the rest in µs.\n");
    print!("| |");
    for provider in &providers {
        print!(" {} |", provider.name);
    }
    println!("\n|---|{}", "---|".repeat(providers.len()));
    packets(&providers, &filter);
    kex(&providers, &filter);
    signatures(&providers, &filter);
}
