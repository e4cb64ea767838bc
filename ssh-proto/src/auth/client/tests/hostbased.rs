//! `hostbased` (RFC 4252 section 9).

use super::*;
use crate::auth::signed::hostbased_signed_data;
use crate::auth::toy::SESSION;
use crate::crypto::SigningKey;

/// The request with this signature, byte by byte.
fn request(signature: &Signature) -> Vec<u8> {
    let signature = signature.as_encoded();
    let length = u32::try_from(signature.len()).unwrap().to_be_bytes();
    [
        &b"\x32\0\0\0\x02me\0\0\0\x0essh-connection\0\0\0\x09hostbased"[..],
        b"\0\0\0\x03toy\0\0\0\x0c\0\0\0\x03toy\0\0\0\x01a",
        b"\0\0\0\x0bhost.local.\0\0\0\x03you",
        &length,
        signature,
    ]
    .concat()
}

fn signature() -> Signature {
    let key = key();
    let public = key.public_key();
    let covered = hostbased_signed_data(SESSION, b"me", "toy", public, b"host.local.", b"you");
    key.sign("toy", &covered).unwrap()
}

fn authenticates(rig: &mut Rig) {
    match rig.send(&success()).unwrap() {
        ClientAsk::Authenticated(proof) => {
            assert_eq!(proof.method(), "hostbased");
            assert_eq!(proof.key(), Some(key().public_key()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_in_memory_signs_at_once() {
    let mut rig = Rig::new();
    rig.client
        .hostbased(&key(), "host.local.", "you", &mut rig.out)
        .unwrap();
    assert_eq!(only(&mut rig.out), request(&signature()));
    authenticates(&mut rig);
}

#[test]
fn a_key_elsewhere_is_asked_without_a_query() {
    let mut rig = Rig::new();
    // It is no user key: the binding to the server's host key is not for it.
    rig.client.set_hostbound();
    let Rig { client, out } = &mut rig;
    let public = public_key("toy", "a");
    match client
        .hostbased_remote(&public, "host.local.", "you")
        .unwrap()
    {
        ClientAsk::Sign {
            key: asked,
            algorithm: "toy",
            message,
        } => {
            assert_eq!(asked, public);
            let wrong = ToyKey::new(&["toy"], "b").sign("toy", &message).unwrap();
            let refused = client.provide_signature(&wrong, out);
            assert_eq!(refused, Err(ApiMisuse::InvalidSignature));
            assert!(out.is_empty());
            let signature = key().sign("toy", &message).unwrap();
            client.provide_signature(&signature, out).unwrap();
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(only(out), request(&signature()));
    authenticates(&mut rig);
}

#[test]
fn a_declined_signature_sends_nothing() {
    let mut rig = Rig::new();
    let public = public_key("toy", "a");
    rig.client.hostbased_remote(&public, "h", "you").unwrap();
    rig.refuses(&success(), UNSOLICITED);
    match rig.client.abandon().unwrap() {
        ClientAsk::Turn(turn) => assert_eq!(turn.outcome, AuthOutcome::Failed),
        other => panic!("{other:?}"),
    }
    assert!(rig.out.is_empty());
    // Nothing was asked, so nothing can be late.
    rig.none().refuses(&pk_ok("toy", &public), UNSOLICITED);
}

#[test]
fn g16_names_out_of_bounds_leave_the_turn() {
    let mut rig = Rig::new();
    let Rig { client, out } = &mut rig;
    let public = public_key("toy", "a");
    for bad in ["nul\0", "esc\x1b", "lf\n", &"x".repeat(257)] {
        for (host, user) in [(bad, "you"), ("host", bad)] {
            let refused = client.hostbased(&key(), host, user, out);
            assert_eq!(refused, Err(ApiMisuse::InvalidText.into()), "{bad:?}");
            let refused = client.hostbased_remote(&public, host, user);
            assert_eq!(refused.map(drop), Err(ApiMisuse::InvalidText));
        }
    }
    let strange = public_key("strange", "a");
    let refused = client.hostbased_remote(&strange, "host", "you");
    assert_eq!(refused.map(drop), Err(ApiMisuse::UnsupportedKey));
    let longest = "x".repeat(256);
    client.hostbased(&key(), &longest, &longest, out).unwrap();
    only(out);
}
