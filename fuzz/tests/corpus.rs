//! Every target's body on its corpus, on random bytes, and on damaged corpus files: the fuzzer's
//! work in small, without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use ssh_fuzz::TARGETS;

/// Inputs made up for each target. `FUZZ_INPUTS` sets another number.
const INPUTS: u64 = 1500;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// Another input: cut, with bytes changed, repeated, put in, or of two files.
fn mutate(random: &mut Random, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].1.clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len());
        match random.below(6) {
            0 => input.truncate(at),
            1 if !input.is_empty() => input[at] ^= 1 << random.below(8),
            2 if !input.is_empty() => input[at] = random.next() as u8,
            3 => {
                let len = random.below(32);
                let bytes = random.bytes(len);
                input.splice(at..at, bytes);
            }
            4 => {
                let end = at + random.below(input.len() - at);
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            _ => {
                let other = &corpus[random.below(corpus.len())].1;
                input.truncate(at);
                input.extend_from_slice(&other[random.below(other.len())..]);
            }
        }
    }
    input.truncate(4096);
    input
}

/// Says which input it was, should the body panic.
struct Blame<'a>(&'a str, String, &'a [u8]);

impl Drop for Blame<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.2.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("target {}, {}: {hex}", self.0, self.1);
        }
    }
}

fn run(target: &str) {
    let (name, body) = TARGETS
        .into_iter()
        .find(|(name, _)| *name == target)
        .expect("a target");
    let call = |what: String, input: &[u8]| {
        let _blame = Blame(name, what, input);
        body(input);
    };
    let corpus = corpus(name);
    for (path, input) in &corpus {
        call(path.display().to_string(), input);
    }
    let inputs = std::env::var("FUZZ_INPUTS").ok();
    let inputs = inputs.map_or(INPUTS, |inputs| inputs.parse().unwrap());
    for seed in 0..inputs {
        let mut random = Random(seed);
        let len = random.below(1 << (seed % 11));
        call(format!("random {seed}"), &random.bytes(len));
        call(format!("mutated {seed}"), &mutate(&mut random, &corpus));
    }
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                run(stringify!($target));
            }
        )*

        #[test]
        fn every_target_is_run() {
            let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($target)),*]);
        }
    };
}

targets! {
    agent_client agent_server allowed_signers authorized_keys certificate
    client_stream ident known_hosts krl moduli negotiation openssh_key packets pair_ops pem_key
    ppk_key public_key_line rfc4716_key server_stream signature sshsig wire zlib
}
