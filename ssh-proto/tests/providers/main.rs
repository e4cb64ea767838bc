//! Tests that run over every provider that is compiled in: known answers, packets, and each with every other.
//!
//! `cargo test -p ssh-proto --all-features --test providers`

#![allow(unreachable_pub, missing_docs)]

mod kex;
mod known_packets;
mod packets;
#[cfg(feature = "rsa")]
mod rsa;
mod signatures;
mod suite;
mod wycheproof_kex;
#[cfg(feature = "rsa")]
mod wycheproof_rsa;
mod wycheproof_signatures;

use ssh_proto::crypto::{CryptoProvider, SecureRandom, SignatureAlgorithm, rustcrypto};
use ssh_proto::error::RandomFailed;

/// Every provider that is compiled in.
fn providers() -> Vec<CryptoProvider> {
    let providers = vec![
        rustcrypto::provider(),
        #[cfg(feature = "graviola")]
        ssh_proto::crypto::graviola::provider(),
        #[cfg(feature = "aws-lc-rs")]
        ssh_proto::crypto::aws_lc_rs::provider(),
        #[cfg(feature = "purecrypto")]
        ssh_proto::crypto::purecrypto::provider(),
    ];
    #[cfg(feature = "aws-lc-rs")]
    let providers: Vec<_> = providers
        .into_iter()
        .chain(ssh_proto::crypto::aws_lc_rs::fips_provider())
        .collect();
    providers
}

/// Those whose ephemeral keys on curves come from the randomness they are given; a FIPS module
/// takes none.
fn deterministic() -> Vec<CryptoProvider> {
    let mut providers = providers();
    let fips = providers.iter().any(CryptoProvider::fips);
    providers.retain(|provider| !fips || !provider.name.starts_with("aws-lc-rs"));
    providers
}

/// The signature algorithm of each provider that has it.
fn algorithms(name: &str) -> Vec<&'static dyn SignatureAlgorithm> {
    let of = |provider: CryptoProvider| provider.signature(name);
    providers().into_iter().filter_map(of).collect()
}

fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The bytes from `first` on.
fn counting(first: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| first.wrapping_add(i as u8)).collect()
}

/// Delivers the bytes it was given, then fails.
struct Script(Vec<u8>);

impl SecureRandom for Script {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        if dest.len() > self.0.len() {
            return Err(RandomFailed);
        }
        let rest = self.0.split_off(dest.len());
        dest.copy_from_slice(&std::mem::replace(&mut self.0, rest));
        Ok(())
    }
}

struct OsRandom;

impl SecureRandom for OsRandom {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        getrandom::fill(dest).map_err(|_| RandomFailed)
    }
}

/// The names of a list, for comparison.
macro_rules! names {
    ($list:expr) => {
        $list.iter().map(|a| a.name()).collect::<Vec<_>>()
    };
}

/// What a provider has besides RustCrypto's names would be lost in a change of provider, and the other
/// way round.
#[test]
fn names_and_order_are_those_of_rustcrypto() {
    let base = rustcrypto::provider();
    assert!(!base.fips());
    for provider in providers() {
        if provider.name.ends_with("-fips") {
            assert!(provider.fips());
            continue;
        }
        assert!(!provider.fips());
        assert_eq!(names!(provider.kex), names!(base.kex));
        assert_eq!(names!(provider.signatures), names!(base.signatures));
        assert_eq!(names!(provider.ciphers), names!(base.ciphers));
        assert_eq!(names!(provider.macs), names!(base.macs));
        assert_eq!(names!(provider.compression), names!(base.compression));
        let (more, base_more) = (&provider.on_request, &base.on_request);
        assert_eq!(names!(more.kex), names!(base_more.kex));
        assert_eq!(names!(more.signatures), names!(base_more.signatures));
        assert_eq!(names!(more.ciphers), names!(base_more.ciphers));
        assert_eq!(names!(more.macs), names!(base_more.macs));
        assert_eq!(names!(more.compression), names!(base_more.compression));
    }
    let mut names: Vec<_> = providers().iter().map(|provider| provider.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), providers().len());
}

/// FIPS 180-4, the examples of NIST.
#[test]
fn sha256() {
    for provider in providers() {
        let abc = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(provider.sha256.output_len(), 32);
        assert_eq!(provider.sha256.hash(&[b"abc"]).as_ref(), abc);
        assert_eq!(provider.sha256.hash(&[b"a", b"", b"bc"]).as_ref(), abc);
        assert_eq!(
            provider.sha256.hash(&[]).as_ref(),
            hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
    }
}

/// The hashes of key exchange methods, which need not be those of the library: FIPS 180-4.
#[test]
fn hashes_of_key_exchange() {
    for provider in providers() {
        for kex in provider.kex.iter().chain(provider.on_request.kex.iter()) {
            let hash = kex.hash();
            let abc = match hash.output_len() {
                20 => "a9993e364706816aba3e25717850c26c9cd0d89d",
                32 => "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                48 => {
                    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                     8086072ba1e7cc2358baeca134c825a7"
                }
                _ => {
                    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                     2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
                }
            };
            for parts in [&[&b"abc"[..]][..], &[b"a", b"", b"bc"]] {
                assert_eq!(hash.hash(parts).as_ref(), hex(abc), "{}", kex.name());
            }
        }
    }
}
