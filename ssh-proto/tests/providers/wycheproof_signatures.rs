//! Wycheproof's vectors of Ed25519 and ECDSA, re-encoded as SSH has them.

use bytes::BytesMut;
use ssh_proto::crypto::{EcdsaCurve, PublicKey, Signature};
use ssh_proto::wire::put_mpint;
use wycheproof::{TestResult, ecdsa, eddsa};

use crate::providers;

#[test]
fn d2_ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    for provider in providers() {
        let Some(algorithm) = provider.signature("ssh-ed25519") else {
            assert!(provider.fips());
            continue;
        };
        let mut accepted = 0;
        for group in &set.test_groups {
            let key = PublicKey::ed25519(group.key.pk[..].try_into().unwrap());
            for test in &group.tests {
                let signature = Signature::new("ssh-ed25519", &test.sig);
                let verdict = algorithm.verify(&key, &test.msg, &signature);
                assert_eq!(
                    verdict.is_ok(),
                    test.result == TestResult::Valid,
                    "{}",
                    test.tc_id
                );
                accepted += u32::from(verdict.is_ok());
            }
        }
        assert!(accepted > 50);
    }
}

/// Signatures in the form of IEEE P1363, two numbers of fixed length: others have no like in SSH.
#[test]
fn d2_ecdsa() {
    let cases = [
        (
            ecdsa::TestName::EcdsaSecp256r1Sha256P1363,
            EcdsaCurve::Nistp256,
        ),
        (
            ecdsa::TestName::EcdsaSecp384r1Sha384P1363,
            EcdsaCurve::Nistp384,
        ),
        (
            ecdsa::TestName::EcdsaSecp521r1Sha512P1363,
            EcdsaCurve::Nistp521,
        ),
    ];
    for (name, curve) in cases {
        let set = ecdsa::TestSet::load(name).unwrap();
        for provider in providers() {
            let algorithm = provider.signature(curve.key_type()).unwrap();
            let mut accepted = 0;
            for group in &set.test_groups {
                let key = PublicKey::ecdsa(curve, &group.key.key);
                for test in &group.tests {
                    if test.sig.len() != 2 * curve.field_len() {
                        continue;
                    }
                    let (r, s) = test.sig.split_at(curve.field_len());
                    let mut blob = BytesMut::new();
                    put_mpint(&mut blob, r);
                    put_mpint(&mut blob, s);
                    let signature = Signature::new(curve.key_type(), &blob);
                    let verdict = algorithm.verify(&key, &test.msg, &signature);
                    assert_eq!(
                        verdict.is_ok(),
                        test.result == TestResult::Valid,
                        "{} {}",
                        provider.name,
                        test.tc_id
                    );
                    accepted += u32::from(verdict.is_ok());
                }
            }
            assert!(accepted > 100);
        }
    }
}
