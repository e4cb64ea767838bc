//! Handshakes in memory, and what an idle connection holds.
//!
//! `cargo bench -p ssh-proto --bench handshake [-- part-of-a-kex-name ...]`

mod support;

use ssh_proto::crypto::rustcrypto;
use ssh_proto::{ClientConnection, ServerConnection};
use support::pair::{Login, Pair, Setup};
use support::{Counting, Filter, Meter, Samples, allocations, live_bytes};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CIPHER: &str = "aes256-gcm@openssh.com";
const MAC: &str = "hmac-sha2-256-etm@openssh.com";
const SAMPLES: usize = 15;
const HANDSHAKES: u64 = 20;

fn handshakes(kex: &str, login: Login) {
    let setup = Setup::new(kex, CIPHER, MAC, login);
    let mut micros: [Samples; 2] = Default::default();
    for warm in 0..=SAMPLES {
        let (mut client, mut server) = (Meter::new(), Meter::new());
        for _ in 0..HANDSHAKES {
            Pair::connect(&setup, &mut client, &mut server);
        }
        if warm > 0 {
            micros[0].push(client.ns as f64 / HANDSHAKES as f64 / 1e3);
            micros[1].push(server.ns as f64 / HANDSHAKES as f64 / 1e3);
        }
    }
    let before = allocations();
    Pair::connect(&setup, &mut Meter::default(), &mut Meter::default());
    let calls = allocations() - before;
    let [client, server] = &micros;
    let rate = 1e6 / (client.median() + server.median());
    println!(
        "{kex:<30} {:<10} {client:>12.1} {server:>12.1} {rate:>12.0} {calls:>8}",
        format!("{login:?}")
    );
}

/// Bytes on the heap that go when the value goes.
fn held<T>(value: T) -> i64 {
    let before = live_bytes();
    drop(value);
    before - live_bytes()
}

fn memory(cipher: &str) {
    let setup = Setup::new("curve25519-sha256", cipher, MAC, Login::PublicKey);
    for session in [false, true] {
        let mut pair = Pair::connect(&setup, &mut Meter::default(), &mut Meter::default());
        if session {
            pair.open_session(&setup);
        }
        let (client, server) = (held(pair.client), held(pair.server));
        println!(
            "{cipher:<30} {:<16} {:>8} + {client:<8} {:>8} + {server:<8}",
            if session { "one session" } else { "no channel" },
            size_of::<ClientConnection>(),
            size_of::<ServerConnection>(),
        );
    }
}

fn main() {
    let filter = Filter::from_args();
    let provider = rustcrypto::provider();
    println!("Handshake and authentication, Ed25519 host and user keys, {CIPHER};");
    println!("CPU µs in memory, medians of {SAMPLES} samples of {HANDSHAKES}; allocations of both");
    println!(
        "{:<30} {:<10} {:>12} {:>12} {:>12} {:>8}",
        "kex", "login", "client", "server", "pairs / s", "allocs"
    );
    for kex in provider.kex.iter() {
        for login in [Login::None, Login::Password, Login::PublicKey] {
            if filter.admits(kex.name()) {
                handshakes(kex.name(), login);
            }
        }
    }
    println!("\nIdle connection after authentication by public key, bytes: the value + its heap");
    println!(
        "{:<30} {:<16} {:>19} {:>19}",
        "cipher", "", "client", "server"
    );
    for cipher in provider.ciphers.iter() {
        memory(cipher.name());
    }
}
