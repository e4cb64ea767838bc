//! Whether secrets show in how long something takes (O1, O4, O8), by statistics in the manner of dudect: two classes of input, in random order, compared by Welch's t-test.
//!
//! On a machine at rest, with optimisation, one at a time; a million runs of each take some minutes:
//!
//! ```sh
//! cargo test --release -p ssh-tests --test timing -- --ignored --nocapture --test-threads=1
//! ```
//!
//! `TIMING_RUNS=100000` in the environment makes it fewer. A |t| above 4.5 is a leak, unless it
//! vanishes with the next attempt: something else may have had the machine. That failures leave at
//! a time of their own, whatever was computed, is shown on a virtual clock: the tests `g12_`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ssh_proto::crypto::{
    CipherAlgorithm, CipherKeys, KexAlgorithm, KexShape, MacAlgorithm, SecureRandom,
};
use ssh_proto::error::{CryptoError, RandomFailed};
use ssh_proto::{ClientEvent, Connection, MethodSet, Password, ServerConnection, ServerEvent};
use ssh_tests::{Login, Mode, Pair, TestRng, fixtures, take};

/// Beyond it chance is no explanation.
const MOST: f64 = 4.5;

/// How many inputs are made before they are run: making them is not to disturb the measurement.
const BATCH: usize = 512;

fn runs() -> usize {
    let runs = std::env::var("TIMING_RUNS").ok();
    runs.map_or(1_000_000, |runs| runs.parse().expect("a number"))
}

/// Welch's t of two samples.
fn welch(samples: [&[f64]; 2]) -> f64 {
    let [(mean_a, error_a), (mean_b, error_b)] = samples.map(|sample| {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let squares = sample.iter().map(|x| (x - mean) * (x - mean));
        (mean, squares.sum::<f64>() / (count - 1.0) / count)
    });
    let error = (error_a + error_b).sqrt();
    match error == 0.0 && mean_a == mean_b {
        true => 0.0,
        false => (mean_a - mean_b) / error,
    }
}

/// The largest |t|, with all measurements and without those that interrupts have made the slowest.
fn largest_t(times: &[Vec<f64>; 2]) -> f64 {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    [0.5, 0.9, 1.0]
        .map(|kept| {
            let most = all[((all.len() - 1) as f64 * kept) as usize];
            let cropped = [0, 1].map(|class: usize| {
                let times = times[class].iter().copied();
                times.filter(|time| *time <= most).collect::<Vec<_>>()
            });
            match cropped.iter().all(|sample| sample.len() > 100) {
                true => welch([&cropped[0], &cropped[1]]).abs(),
                false => 0.0,
            }
        })
        .into_iter()
        .fold(0.0, f64::max)
}

/// Runs inputs of the classes 0 and 1 as `make` makes them; the largest |t|.
fn measure<I, O>(
    runs: usize,
    mut make: impl FnMut(usize, &mut TestRng) -> I,
    mut run: impl FnMut(I) -> O,
) -> f64 {
    let mut rng = TestRng::new(0x7469_6d65);
    let mut times = [Vec::with_capacity(runs), Vec::with_capacity(runs)];
    let mut warm = false;
    while times[0].len() + times[1].len() < runs {
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            let class = rng.below(2);
            batch.push((class, make(class, &mut rng)));
        }
        for (class, input) in batch {
            let start = Instant::now();
            let output = black_box(run(black_box(input)));
            let time = start.elapsed();
            drop(output);
            if warm {
                times[class].push(time.as_nanos() as f64);
            }
        }
        // The first batch meets cold caches.
        warm = true;
    }
    largest_t(&times)
}

/// Measures, and once again if something shows: what is in the code shows each time.
#[track_caller]
fn same_time<I, O>(
    name: &str,
    mut make: impl FnMut(usize, &mut TestRng) -> I,
    mut run: impl FnMut(I) -> O,
) {
    let mut t = measure(runs(), &mut make, &mut run);
    println!("{name}: |t| = {t:.2}");
    if t >= MOST {
        t = measure(runs(), &mut make, &mut run);
        println!("{name}: |t| = {t:.2} in the second attempt");
    }
    assert!(t < MOST, "{name}: |t| = {t:.2}");
}

/// The test itself: a value of t that Python's `statistics` gives, from mean and variance.
#[test]
fn o1_welch_known_answers() {
    let a = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6];
    let b = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2];
    assert!(
        (welch([&a, &b]) + 2.035_662).abs() < 1e-6,
        "{}",
        welch([&a, &b])
    );
    assert_eq!(welch([&a, &a]), 0.0);
    assert_eq!(welch([&[1.0; 9], &[1.0; 7]]), 0.0);
}

/// The test itself: a comparison that stops at the first difference is found out, with few runs
/// and without optimisation.
#[test]
fn o1_a_leak_is_found() {
    let expected = [7_u8; 4096];
    let make = |class: usize, _: &mut TestRng| {
        let mut given = expected.to_vec();
        given[[0, 4095][class]] ^= 1;
        given
    };
    let leaky = |given: Vec<u8>| {
        let mut pairs = given.iter().zip(&expected);
        pairs.all(|(a, b)| black_box(a) == black_box(b))
    };
    let t = measure(3_000, make, leaky);
    assert!(t > 2.0 * MOST, "{t}");
}

#[test]
#[ignore = "statistics over many runs, see above"]
fn o1_passwords() {
    const RIGHT: &[u8] = b"correct horse battery staple, 32";
    let password = |at: Option<usize>| {
        let mut bytes = RIGHT.to_vec();
        if let Some(at) = at {
            bytes[at] ^= 1;
        }
        Password::new(bytes)
    };
    let matches = |password: Password| password.matches(RIGHT);
    let last = RIGHT.len() - 1;
    same_time(
        "password, the first byte or the last wrong",
        |class, _| password(Some([0, last][class])),
        matches,
    );
    same_time(
        "password, right or wrong",
        |class, _| password([None, Some(0)][class]),
        matches,
    );
    same_time(
        "password, against another of more bytes or fewer",
        |class, _| [&RIGHT[..5], &[RIGHT, RIGHT].concat()][class].to_vec(),
        |expected: Vec<u8>| Password::new(RIGHT).matches(&expected),
    );
}

/// The first byte or the last of a tag wrong.
fn tags(cipher: &'static dyn CipherAlgorithm, mac: Option<&'static dyn MacAlgorithm>) {
    let key = TestRng::new(1).bytes(cipher.key_len());
    let iv = TestRng::new(2).bytes(cipher.iv_len());
    let mac_key = mac.map(|mac| TestRng::new(3).bytes(mac.key_len()));
    let keys = CipherKeys {
        key: &key,
        iv: &iv,
        mac: mac.zip(mac_key.as_deref()),
    };
    let opening = cipher.opening_key(keys).expect("key");
    let layout = opening.layout();
    // All of one length field, 64 bytes and the tag.
    let len = 4 + 64 - if layout.length_is_padded { 4 } else { 0 } + layout.tag_len;
    let make = |class: usize, _: &mut TestRng| {
        // A new key for each, since a key is of no use behind an error.
        let mut packet = vec![0x5a; len];
        packet[..4].copy_from_slice(&64_u32.to_be_bytes());
        let mut sealing = cipher.sealing_key(keys).expect("key");
        sealing.seal(0, &mut packet).expect("sealed");
        let mut opening = cipher.opening_key(keys).expect("key");
        let head = &mut packet[..layout.head_len];
        opening.open_length(0, head).expect("length");
        let tag = len - layout.tag_len;
        packet[[tag, len - 1][class]] ^= 1;
        (opening, packet)
    };
    let name = format!(
        "tag of {}{}",
        cipher.name(),
        mac.map_or(String::new(), |mac| format!(" with {}", mac.name()))
    );
    same_time(&name, make, |(mut opening, mut packet)| {
        let refused = opening.open(0, &mut packet);
        debug_assert_eq!(refused, Err(CryptoError::TagMismatch));
        // Freed outside of the measurement.
        (opening, packet, refused)
    });
}

#[test]
#[ignore = "statistics over many runs, see above"]
fn o1_tags_of_packets() {
    let provider = fixtures::provider();
    for cipher in provider.ciphers.iter().copied() {
        if cipher.is_aead() {
            tags(cipher, None);
        }
    }
    let cipher = provider.ciphers.iter().copied().find(|c| !c.is_aead());
    if let Some(cipher) = cipher {
        for mac in provider.macs.iter().copied() {
            tags(cipher, Some(mac));
        }
    }
}

/// Bytes that were drawn beforehand.
struct Drawn(Vec<u8>);

impl SecureRandom for Drawn {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        let rest = self.0.split_off(dest.len());
        dest.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

/// The same secrets each time, or others.
fn drawn(class: usize, rng: &mut TestRng) -> Drawn {
    Drawn(match class {
        0 => TestRng::new(4).bytes(512),
        _ => rng.bytes(512),
    })
}

fn exchanges() -> Vec<&'static dyn KexAlgorithm> {
    let provider = fixtures::provider();
    let all = provider.kex.iter().chain(provider.on_request.kex.iter());
    let mut seen = Vec::new();
    all.copied()
        .filter(|kex| kex.shape() == KexShape::Ecdh)
        // The same method by an older name.
        .filter(|kex| {
            let base = kex.name().split('@').next().unwrap_or_default();
            let is_new = !seen.contains(&base);
            seen.push(base);
            is_new
        })
        .collect()
}

/// Scalar multiplication and encapsulation, with secrets that are always the same or not.
#[test]
#[ignore = "statistics over many runs, see above"]
fn o4_secrets_of_servers() {
    for kex in exchanges() {
        let client = kex.start(None, &mut TestRng::new(5)).expect("key");
        let public = client.public().to_vec();
        let name = format!("{}, the server's secrets", kex.name());
        same_time(&name, drawn, |mut random| {
            let response = kex.respond(None, &public, &mut random);
            (response, random)
        });
    }
}

/// Scalar multiplication. Keys of a KEM are left out: how long their public part takes to expand
/// differs, and everybody may know it.
#[test]
#[ignore = "statistics over many runs, see above"]
fn o4_secrets_of_clients() {
    for kex in exchanges().into_iter().filter(|kex| !kex.is_post_quantum()) {
        let client = kex.start(None, &mut TestRng::new(5)).expect("key");
        let response = kex.respond(None, client.public(), &mut TestRng::new(6));
        let public = response.expect("response").public;
        let name = format!("{}, the client's secrets", kex.name());
        let make = |class: usize, rng: &mut TestRng| {
            let mut random = drawn(class, rng);
            kex.start(None, &mut random).expect("key")
        };
        same_time(&name, make, |exchange| exchange.complete(&public));
    }
}

/// Decapsulation of what was encapsulated, and of what was not and leads to implicit rejection.
#[test]
#[ignore = "statistics over many runs, see above"]
fn o4_decapsulation() {
    for kex in exchanges().into_iter().filter(|kex| kex.is_post_quantum()) {
        let start = || kex.start(None, &mut TestRng::new(5)).expect("key");
        let client = start();
        let make = |class: usize, rng: &mut TestRng| {
            let response = kex.respond(None, client.public(), &mut TestRng::new(6));
            let mut public = response.expect("response").public;
            // Somewhere in the ciphertext, ahead of the point.
            let at = rng.below(700);
            public[at] ^= [0, 1][class];
            (start(), public)
        };
        let name = format!("{}, decapsulation", kex.name());
        same_time(&name, make, |(exchange, public)| {
            (exchange.complete(&public), public)
        });
    }
}

/// Signatures by one key or by many.
#[test]
#[ignore = "statistics over many runs, see above"]
fn o4_signatures() {
    let provider = fixtures::provider();
    for key_type in fixtures::KEY_TYPES {
        let make = |class: usize, rng: &mut TestRng| {
            let seed = [8, rng.next_u64()][class];
            let mut random = TestRng::new(seed);
            let key = provider.keys.generate(key_type, &mut random);
            // In memory of its own either way.
            provider.signing_key(&key.expect("key")).expect("key")
        };
        same_time(&format!("{key_type}, signing"), make, |key| {
            let signature = key.sign(key.algorithms()[0], &[9; 32]);
            (key, signature)
        });
    }
}

/// What one attempt takes the server: from the request that has arrived to the failure that is
/// ready to leave, when its time has come.
fn attempt(login: &mut Login, unknown: bool) -> Duration {
    let turn = take!(login.client.events, ClientEvent::Auth(turn) => turn);
    let (client, server) = (&mut login.pair.client, &mut login.pair.server);
    client.auth_password(turn, &Password::new("wrong")).unwrap();
    let mut request = BytesMut::new();
    while client.poll_transmit(login.pair.now, &mut request).is_some() {}
    let mut answer = BytesMut::with_capacity(4096);
    let start = Instant::now();
    server.handle_input(login.pair.now, request);
    reject(server, unknown);
    let waited = server.poll_timeout().filter(|at| *at > login.pair.now);
    let judged = start.elapsed();
    login.pair.now = waited.expect("failures are withheld");
    let start = Instant::now();
    server.handle_timeout(login.pair.now);
    while server.poll_transmit(login.pair.now, &mut answer).is_some() {}
    let time = judged + start.elapsed();
    assert!(!answer.is_empty());
    client.handle_input(login.pair.now, answer);
    login.run();
    time
}

fn reject(server: &mut ServerConnection, unknown: bool) {
    let Some(ServerEvent::Auth(request)) = server.poll_event() else {
        panic!("a request");
    };
    match unknown {
        true => server.reject_unknown_user(request, None).unwrap(),
        false => server.reject_auth(request, None).unwrap(),
    }
}

/// O8: what the core computes for a user that the application knows, and for one that it does not.
/// (That the failure then leaves at the same time: `g12_` in `auth_limits.rs` and
/// `auth_server_methods/steps.rs`.)
#[test]
#[ignore = "statistics over many runs, see above"]
fn o8_unknown_users() {
    const ATTEMPTS: usize = 64;
    let sample = |runs: usize| {
        let mut rng = TestRng::new(10);
        let mut times = [Vec::new(), Vec::new()];
        while times[0].len() + times[1].len() < runs {
            let pair = Pair::builder(Mode::PLAIN)
                .server(|b| b.auth_methods(MethodSet::PASSWORD))
                .limits(|limits| {
                    limits.auth_failures = u32::MAX;
                    limits.auth_requests = u32::MAX;
                    limits.auth_failure_delay = Some(Duration::from_millis(1));
                    limits.pre_auth_bytes = u64::MAX;
                    limits.login_grace = None;
                });
            let mut login = Login::new(pair.build());
            for at in 0..ATTEMPTS {
                let class = rng.below(2);
                let time = attempt(&mut login, class == 1);
                // The first ones meet cold caches.
                if at >= 4 {
                    times[class].push(time.as_nanos() as f64);
                }
            }
        }
        largest_t(&times)
    };
    let runs = runs() / 4;
    let mut t = sample(runs);
    println!("users known or unknown: |t| = {t:.2}");
    if t >= MOST {
        t = sample(runs);
        println!("users known or unknown: |t| = {t:.2} in the second attempt");
    }
    assert!(t < MOST, "{t}");
}
