//! Keys: what a query is worth, and what a signature has to cover (RFC 4252 section 7).

use bytes::{BufMut, BytesMut};

use super::*;
use crate::crypto::{CertificateAlgorithm, CertificateBuilder, SecureRandom, Signature};
use crate::error::{CryptoError, RandomFailed};
use crate::wire::put_string;

#[test]
fn g7_a_query_proves_nothing() {
    let mut rig = Rig::new();
    let (a, b) = (key("a"), key("b"));
    match rig.send(&query(a.public_key())).unwrap() {
        Some(ServerAsk::KeyQuery {
            user,
            algorithm,
            key,
        }) => {
            assert_eq!((user.as_str(), algorithm), ("me", "toy"));
            assert_eq!(&key, a.public_key());
        }
        other => panic!("{other:?}"),
    }
    // A query cannot be accepted, only answered.
    assert!(rig.server.accept(&mut rig.out).is_err());
    let all = MethodSet::default();
    assert!(rig.server.accept_partial(all, &mut rig.out).is_err());
    rig.server.answer_query(true, &mut rig.out).unwrap();
    assert_eq!(shown(&mut rig.out), ["60"]);
    assert!(rig.server.accept(&mut rig.out).is_err());

    // What follows stands for itself.
    match rig.asks(&password(b"", None)) {
        AuthMethod::Password(password) => assert!(password.matches(b"")),
        other => panic!("{other:?}"),
    }
    rig.rejects();
    match rig.asks(&signed(&b)) {
        AuthMethod::PublicKey { key, algorithm } => {
            assert_eq!((&key, algorithm), (b.public_key(), "toy"));
        }
        other => panic!("{other:?}"),
    }
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.key(), Some(b.public_key()));
    assert_eq!(proof.method(), "publickey");
}

#[test]
fn g7_a_query_as_another_user_ends_it() {
    let mut rig = Rig::new();
    let a = key("a");
    rig.send(&query(a.public_key())).unwrap();
    rig.server.answer_query(true, &mut rig.out).unwrap();
    let other = publickey("you", "toy", a.public_key().as_blob(), None);
    let refused = rig.send(&other).unwrap_err();
    assert_eq!(refused, PeerMisbehaved::AuthIdentityChanged.into());
}

#[test]
fn g8_each_signed_field_counts() {
    let a = key("a");
    let public = a.public_key();
    let right = signed_data(SESSION, b"me", "toy", public);
    let with = |message: &[u8]| {
        let signature = a.sign("toy", message).unwrap();
        publickey("me", "toy", public.as_blob(), Some(signature.as_encoded()))
    };
    Rig::new().asks(&with(&right));
    for wrong in [
        signed_data(b"sessiom", b"me", "toy", public),
        signed_data(b"", b"me", "toy", public),
        signed_data(SESSION, b"mE", "toy", public),
        signed_data(SESSION, b"me", "toy-2", public),
        signed_data(SESSION, b"me", "toy", &public_key("toy", "b")),
    ] {
        Rig::new().fails(&with(&wrong));
    }
    // Service, method, number and flag stand in the message too: every byte does.
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        Rig::new().fails(&with(&wrong));
    }
}

#[test]
fn g8_algorithm_key_and_signature_agree() {
    let types = ["toy", "other", "unknown"];
    let names = ["toy", "toy-2", "other", "unknown", ""];
    for key_type in types {
        let public = public_key(key_type, "a");
        for name in names {
            for signature_name in names {
                let message = signed_data(SESSION, b"me", name, &public);
                let signer = ToyKey::with_public(&names, public.clone());
                let signature = signer.sign(signature_name, &message).unwrap();
                let mut rig = Rig::new();
                let message = publickey("me", name, public.as_blob(), Some(signature.as_encoded()));
                let fits = name == signature_name
                    && matches!(
                        (key_type, name),
                        ("toy", "toy" | "toy-2") | ("other", "other")
                    );
                if fits {
                    rig.asks(&message);
                } else {
                    rig.fails(&message);
                }
            }
        }
    }
}

#[test]
fn g8_a_signature_behind_a_query_is_malformed() {
    let mut query = query(key("a").public_key()).to_vec();
    query.extend_from_slice(&[0, 0, 0, 1, 7]);
    let error = DecodeError::TrailingBytes;
    assert_eq!(
        Rig::new().send(&query.into()).unwrap_err(),
        Error::InvalidMessage { number: 50, error }
    );
}

#[test]
fn g8_malformed_signatures_fail() {
    let a = key("a");
    for bad in [
        &b""[..],
        b"\0\0\0\x03toy",
        b"\0\0\0\x03toy\xff\0\0\0",
        &[0; 5000],
    ] {
        Rig::new().fails(&publickey("me", "toy", a.public_key().as_blob(), Some(bad)));
    }
}

#[test]
fn g9_bad_keys_fail_this_attempt_only() {
    let mut huge = public_key("toy", "").as_blob().to_vec();
    huge.resize(16 * 1024 + 1, 0);
    for bad in [
        &b""[..],
        b"\0\0\0\x03",
        b"\xff\xff\xff\xfftoy",
        b"\0\0\0\0",
        &huge,
    ] {
        for signature in [None, Some(&b"\0\0\0\x03toy\0\0\0\0"[..])] {
            let mut rig = Rig::new();
            rig.fails(&publickey("me", "toy", bad, signature));
            rig.asks(&signed(&key("a")));
        }
    }
}

#[test]
fn g11_a_key_counts_once() {
    let (a, b) = (key("a"), key("b"));
    let mut rig = Rig::new();
    rig.asks(&signed(&a));
    let again = MethodSet::PUBLICKEY;
    rig.server.accept_partial(again, &mut rig.out).unwrap();
    assert_eq!(shown(&mut rig.out), ["51 publickey partial"]);

    // Failing steps in between clear nothing, and the set stays; `none` can add nothing.
    for message in [
        password(b"x", None),
        none(),
        signed(&a),
        query(a.public_key()),
    ] {
        assert!(rig.send(&message).unwrap().is_none());
        assert_eq!(shown(&mut rig.out), ["51 publickey"]);
    }
    rig.asks(&signed(&b));
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.key(), Some(b.public_key()));
}

/// A security key whose every signature is right.
struct Touched;

impl SignatureAlgorithm for Touched {
    fn name(&self) -> &'static str {
        "sk-ssh-ed25519@openssh.com"
    }

    fn key_type(&self) -> &'static str {
        self.name()
    }

    fn verify(&self, _: &PublicKey, _: &[u8], _: &Signature) -> Result<(), CryptoError> {
        Ok(())
    }
}

#[test]
fn g10_a_touch_is_needed_unless_it_is_not() {
    let key = PublicKey::sk_ed25519(&[7; 32], "ssh:");
    let asks = |flags: u8| {
        let mut rig = Rig::new();
        rig.server.accepted.push(&Touched);
        let mut signature = BytesMut::new();
        put_string(&mut signature, Touched.name().as_bytes());
        put_string(&mut signature, b"right");
        signature.put_u8(flags);
        signature.put_u32(3);
        let message = publickey("me", Touched.name(), key.as_blob(), Some(&signature));
        match rig.send(&message).unwrap() {
            Some(ServerAsk::Request { security_key, .. }) => (rig, security_key.unwrap()),
            other => panic!("{other:?}"),
        }
    };
    for (flags, user_present, user_verified) in [
        (0, false, false),
        (1, true, false),
        (4, false, true),
        (5, true, true),
    ] {
        let (mut rig, usage) = asks(flags);
        let expected = SecurityKeyUse {
            user_present,
            user_verified,
            counter: 3,
        };
        assert_eq!(usage, expected);
        if !user_present {
            rig.misfits(Server::accept);
            rig.misfits(|server, out| server.accept_partial(MethodSet::PUBLICKEY, out));
            let (again, _) = asks(flags);
            rig = again;
            rig.server.permit_absent_touch();
        }
        let proof = rig.server.accept(&mut rig.out).unwrap();
        assert_eq!(proof.key(), Some(&key));
    }
    // Leave for one request is none for the next.
    let (mut rig, _) = asks(0);
    rig.server.permit_absent_touch();
    rig.rejects();
    rig.server.permit_absent_touch();
    let mut signature = BytesMut::new();
    put_string(&mut signature, Touched.name().as_bytes());
    put_string(&mut signature, b"right");
    signature.put_bytes(0, 5);
    let message = publickey("me", Touched.name(), key.as_blob(), Some(&signature));
    rig.send(&message).unwrap();
    rig.misfits(Server::accept);
    // Without flags nobody was there, whatever the algorithm makes of it.
    let mut rig = Rig::new();
    rig.server.accepted.push(&Touched);
    let signature = Signature::new(Touched.name(), b"right");
    assert_eq!(signature.security_key(), None);
    let signature = Some(signature.as_encoded());
    let message = publickey("me", Touched.name(), key.as_blob(), signature);
    rig.asks(&message);
    rig.misfits(Server::accept);
}

static CERTIFIED: CertificateAlgorithm = CertificateAlgorithm::new(
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    &Touched,
);

struct Sevens;

impl SecureRandom for Sevens {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        dest.fill(7);
        Ok(())
    }
}

/// What a certificate asks of a security key: who did not show a PIN fails without a question, and
/// `no-touch-required` is for the application to grant.
#[test]
fn g10_a_certificate_may_ask_for_a_pin() {
    let authority = ToyKey::with_public(&["ssh-ed25519"], PublicKey::ed25519(&[8; 32]));
    let user =
        CertificateBuilder::user(PublicKey::sk_ed25519(&[7; 32], "ssh:"), "").principal("me");
    let sign = |builder: CertificateBuilder| {
        let signed = builder.sign(&authority, "ssh-ed25519", &mut Sevens);
        signed.unwrap().as_public_key().clone()
    };
    let untouched = "no-touch-required";
    for (builder, flags, is_asked, is_touch_due) in [
        (user.clone(), 0, true, true),
        (user.clone(), 1, true, false),
        (user.clone().permit(untouched), 0, true, true),
        (user.clone().verify_required(), 0, false, true),
        (user.clone().verify_required(), 1, false, false),
        (user.clone().verify_required(), 4, true, true),
        (user.clone().verify_required(), 5, true, false),
        (
            user.clone().verify_required().permit(untouched),
            4,
            true,
            true,
        ),
        (
            user.clone().verify_required().permit(untouched),
            0,
            false,
            true,
        ),
    ] {
        let key = sign(builder);
        let mut rig = Rig::new();
        rig.server.accepted.push(&CERTIFIED);
        let mut signature = BytesMut::new();
        put_string(&mut signature, Touched.name().as_bytes());
        put_string(&mut signature, b"right");
        signature.put_u8(flags);
        signature.put_u32(3);
        let message = publickey("me", CERTIFIED.name(), key.as_blob(), Some(&signature));
        let asked = rig.send(&message).unwrap();
        assert_eq!(asked.is_some(), is_asked, "{flags}");
        if is_asked && is_touch_due {
            rig.misfits(Server::accept);
        } else if is_asked {
            let proof = rig.server.accept(&mut rig.out).unwrap();
            assert_eq!(proof.key(), Some(&key));
            assert_eq!(proof.permissions(), crate::Permissions::NONE);
        }
    }
}
