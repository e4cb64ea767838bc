//! Keys that sign: which algorithm, what is signed, and what is sent (RFC 4252 section 7, OpenSSH PROTOCOL section 3.1).

use super::*;
use crate::auth::signed::{hostbound_signed_data, signed_data};
use crate::auth::toy::{OTHER, SESSION, TOY};
use crate::crypto::SigningKey;
use crate::wire::auth::PublicKeyHostboundAuth;

#[test]
fn server_sig_algs_decide_between_algorithms_of_a_key() {
    let remote = |client: &mut Client, key: &PublicKey| {
        let mut out = Outbox::default();
        client.publickey_remote(key, &mut out).unwrap();
        sent(&mut out)
    };
    let toy = public_key("toy", "a");
    assert_eq!(remote(&mut Rig::new().client, &toy), ("toy".into(), false));
    for (list, chosen) in [
        ("toy-2", "toy-2"),
        ("x,toy-2,toy,\x1b,", "toy"),
        ("", "toy"),
        // Not announced, still tried.
        ("other", "toy"),
        ("toy-22,xtoy-2", "toy"),
    ] {
        let mut rig = Rig::new();
        rig.client.set_server_sig_algs(b"toy-2");
        rig.client.set_server_sig_algs(list.as_bytes());
        assert_eq!(
            rig.client.algorithm_for(&toy).unwrap().name(),
            chosen,
            "{list}"
        );
        assert_eq!(remote(&mut rig.client, &toy), (chosen.into(), false));
    }
    // Of a key of our own, its own order counts.
    for (list, chosen) in [("", "toy-2"), ("toy", "toy"), ("toy,toy-2", "toy-2")] {
        let mut rig = Rig::new();
        rig.client.set_server_sig_algs(list.as_bytes());
        let key = ToyKey::new(&["strange", "toy-2", "toy"], "a");
        rig.client.publickey(&key, &mut rig.out).unwrap();
        assert_eq!(sent(&mut rig.out), (chosen.into(), true), "{list}");
    }
}

#[test]
fn signatures_from_elsewhere_are_verified_before_they_leave() {
    let mut rig = Rig::new().remote();
    let (public, message) = match rig.send(&pk_ok("toy", &public_key("toy", "a"))).unwrap() {
        ClientAsk::Sign {
            key,
            algorithm: "toy",
            message,
        } => (key, message),
        other => panic!("{other:?}"),
    };
    assert_eq!(message, signed_data(SESSION, b"me", "toy", &public));
    let Rig { client, out } = &mut rig;
    let wrong = ToyKey::new(&["toy", "toy-2"], "b");
    for signature in [
        wrong.sign("toy", &message).unwrap(),
        key().sign("toy-2", &message).unwrap(),
        key().sign("toy", b"").unwrap(),
        Signature::new("toy", b""),
    ] {
        let refused = client.provide_signature(&signature, out);
        assert_eq!(refused, Err(ApiMisuse::InvalidSignature));
        assert!(out.is_empty());
    }
    let right = key().sign("toy", &message).unwrap();
    client.provide_signature(&right, out).unwrap();
    assert_eq!(sent(out), ("toy".into(), true));
    assert!(TOY.verify(&public, &message, &right).is_ok());
    assert!(OTHER.verify(&public, &message, &right).is_err());
}

#[test]
fn a_declined_signature_is_a_failed_attempt() {
    let mut rig = Rig::new().remote();
    rig.send(&pk_ok("toy", &public_key("toy", "a"))).unwrap();
    match rig.client.abandon().unwrap() {
        ClientAsk::Turn(turn) => assert_eq!(turn.outcome, AuthOutcome::Failed),
        other => panic!("{other:?}"),
    }
    assert!(rig.out.is_empty());
    rig.password().send(&success()).unwrap();
}

/// The fields of the hostbound request that waits.
fn sent_hostbound(out: &mut Outbox) -> (Vec<u8>, Vec<u8>, Option<Vec<u8>>) {
    let request = only(out);
    match UserauthRequest::from_payload(&request).unwrap().method {
        WireMethod::PublicKeyHostbound(PublicKeyHostboundAuth {
            key,
            host_key,
            signature,
            ..
        }) => (
            key.to_vec(),
            host_key.to_vec(),
            signature.map(<[u8]>::to_vec),
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hostbound_takes_the_place_of_publickey_once_announced() {
    let host = public_key("host", "h");
    let key = key();
    let public = key.public_key();
    let covered = hostbound_signed_data(SESSION, b"me", "toy", public, &host);
    let signature = key.sign("toy", &covered).unwrap();
    let blobs = |signature| {
        (
            public.as_blob().to_vec(),
            host.as_blob().to_vec(),
            signature,
        )
    };
    let signed = || blobs(Some(signature.as_encoded().to_vec()));

    // In memory.
    let mut rig = Rig::new();
    rig.client.set_hostbound();
    rig.client.publickey(&key, &mut rig.out).unwrap();
    assert_eq!(sent_hostbound(&mut rig.out), signed());
    match rig.send(&success()).unwrap() {
        ClientAsk::Authenticated(proof) => {
            assert_eq!(proof.method(), "publickey");
            assert_eq!(proof.key(), Some(public));
        }
        other => panic!("{other:?}"),
    }

    // Elsewhere: the query names the host key, too.
    let mut rig = Rig::new();
    rig.client.set_hostbound();
    rig.client.publickey_remote(public, &mut rig.out).unwrap();
    assert_eq!(sent_hostbound(&mut rig.out), blobs(None));
    match rig.send(&pk_ok("toy", public)).unwrap() {
        ClientAsk::Sign { message, .. } => assert_eq!(message, covered),
        other => panic!("{other:?}"),
    }
    // What is good for the one method is no good for the other.
    let unbound = signed_data(SESSION, b"me", "toy", public);
    let unbound = key.sign("toy", &unbound).unwrap();
    let refused = rig.client.provide_signature(&unbound, &mut rig.out);
    assert_eq!(refused, Err(ApiMisuse::InvalidSignature));
    rig.client
        .provide_signature(&signature, &mut rig.out)
        .unwrap();
    assert_eq!(sent_hostbound(&mut rig.out), signed());
}

#[test]
fn hostbound_bytes_are_those_of_openssh() {
    let mut rig = Rig::new();
    rig.client.set_hostbound();
    let public = public_key("toy", "a");
    rig.client.publickey_remote(&public, &mut rig.out).unwrap();
    let expected = [
        &b"\x32\0\0\0\x02me\0\0\0\x0essh-connection"[..],
        b"\0\0\0\x23publickey-hostbound-v00@openssh.com\0",
        b"\0\0\0\x03toy\0\0\0\x0c\0\0\0\x03toy\0\0\0\x01a",
        b"\0\0\0\x0d\0\0\0\x04host\0\0\0\x01h",
    ];
    assert_eq!(only(&mut rig.out), expected.concat());
}
