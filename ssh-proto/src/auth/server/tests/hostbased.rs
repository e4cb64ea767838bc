//! Hosts that vouch for users (RFC 4252 section 9), and keys bound to the host they are meant for (OpenSSH PROTOCOL section 3.1).

use super::*;
use crate::auth::signed::{hostbased_signed_data, hostbound_signed_data};
use crate::limits::MAX_HOST_NAME;
use crate::wire::auth::{HostbasedAuth, PublicKeyHostboundAuth};

fn hostbased(
    algorithm: &str,
    key: &PublicKey,
    (host, user): (&[u8], &[u8]),
    signature: &[u8],
) -> Bytes {
    let method = HostbasedAuth {
        algorithm: algorithm.as_bytes(),
        key: key.as_blob(),
        client_host: host,
        client_user: user,
        signature,
    };
    request(b"me", WireMethod::Hostbased(method))
}

/// As the client's host would sign it.
fn vouched(key: &ToyKey, host: &[u8], user: &[u8]) -> Bytes {
    let public = key.public_key();
    let message = hostbased_signed_data(SESSION, b"me", "toy", public, host, user);
    let signature = key.sign("toy", &message).unwrap();
    hostbased("toy", public, (host, user), signature.as_encoded())
}

fn hostbound(key: &PublicKey, host_key: &[u8], signature: Option<&[u8]>) -> Bytes {
    let method = PublicKeyHostboundAuth {
        algorithm: b"toy",
        key: key.as_blob(),
        host_key,
        signature,
    };
    request(b"me", WireMethod::PublicKeyHostbound(method))
}

fn bound(key: &ToyKey, host_key: &PublicKey) -> Bytes {
    let public = key.public_key();
    let message = hostbound_signed_data(SESSION, b"me", "toy", public, host_key);
    let signature = key.sign("toy", &message).unwrap();
    hostbound(public, host_key.as_blob(), Some(signature.as_encoded()))
}

#[test]
fn a_host_vouches_for_its_user() {
    let host = key("host");
    let mut rig = Rig::all();
    match rig.asks(&vouched(&host, b"client.example.", b"J\xc3\xbcrgen")) {
        AuthMethod::HostBased {
            key,
            algorithm,
            client_host,
            client_user,
        } => {
            assert_eq!((&key, algorithm), (host.public_key(), "toy"));
            assert_eq!(client_host, "client.example.");
            assert_eq!(client_user, "J\u{fc}rgen");
        }
        other => panic!("{other:?}"),
    }
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.method(), "hostbased");
    assert_eq!(proof.key(), Some(host.public_key()));
}

#[test]
fn g8_each_field_that_a_host_signs_counts() {
    let host = key("host");
    let public = host.public_key();
    let names = (&b"h"[..], &b"u"[..]);
    let right = hostbased_signed_data(SESSION, b"me", "toy", public, b"h", b"u");
    let with = |message: &[u8]| {
        let signature = host.sign("toy", message).unwrap();
        hostbased("toy", public, names, signature.as_encoded())
    };
    Rig::all().asks(&with(&right));
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        Rig::all().fails(&with(&wrong));
    }
    for wrong in [
        hostbased_signed_data(b"", b"me", "toy", public, b"h", b"u"),
        hostbased_signed_data(SESSION, b"you", "toy", public, b"h", b"u"),
        hostbased_signed_data(SESSION, b"me", "toy-2", public, b"h", b"u"),
        hostbased_signed_data(SESSION, b"me", "toy", public, b"hu", b""),
        // What a user signs is not what a host signs.
        signed_data(SESSION, b"me", "toy", public),
        hostbound_signed_data(SESSION, b"me", "toy", public, &toy::host_key()),
    ] {
        Rig::all().fails(&with(&wrong));
    }
    // Nor the other way round.
    let signature = host.sign("toy", &right).unwrap();
    let as_user = publickey("me", "toy", public.as_blob(), Some(signature.as_encoded()));
    Rig::all().fails(&as_user);
}

#[test]
fn g8_a_hosts_algorithm_key_and_signature_agree() {
    let names = ["toy", "toy-2", "other", "unknown", ""];
    for key_type in ["toy", "other", "unknown"] {
        let public = public_key(key_type, "a");
        let signer = ToyKey::with_public(&names, public.clone());
        for name in names {
            for format in names {
                let message = hostbased_signed_data(SESSION, b"me", name, &public, b"h", b"u");
                let signature = signer.sign(format, &message).unwrap();
                let message = hostbased(name, &public, (b"h", b"u"), signature.as_encoded());
                let fits = matches!(
                    (key_type, name),
                    ("toy", "toy" | "toy-2") | ("other", "other")
                );
                match fits && name == format {
                    true => drop(Rig::all().asks(&message)),
                    false => Rig::all().fails(&message),
                }
            }
        }
    }
    for bad in [&b""[..], b"\0\0\0\x03toy", &[0; 5000]] {
        Rig::all().fails(&hostbased(
            "toy",
            &public_key("toy", "a"),
            (b"h", b"u"),
            bad,
        ));
    }
}

#[test]
fn g16_names_on_the_clients_host() {
    let host = key("host");
    let long_host = [b'h'; MAX_HOST_NAME + 1];
    let long_user = [b'u'; 257];
    for bad in [
        &b"a\0b"[..],
        b"a\n",
        b"\x1b[2J",
        b"\x7f",
        b"\xff",
        b"\xc2\x9b",
    ] {
        Rig::all().fails(&vouched(&host, bad, b"u"));
        Rig::all().fails(&vouched(&host, b"h", bad));
    }
    Rig::all().fails(&vouched(&host, b"", b"u"));
    Rig::all().fails(&vouched(&host, &long_host, b"u"));
    Rig::all().fails(&vouched(&host, b"h", &long_user));
    for user in [&b""[..], b"-oProxyCommand=", b"$()", &long_user[1..]] {
        Rig::all().asks(&vouched(&host, &long_host[1..], user));
    }
}

#[test]
fn g17_a_bound_key_is_a_key() {
    let a = key("a");
    let mut rig = Rig::new();
    let asked = rig.send(&hostbound(a.public_key(), toy::host_key().as_blob(), None));
    assert!(matches!(asked, Ok(Some(ServerAsk::KeyQuery { .. }))));
    rig.server.answer_query(true, &mut rig.out).unwrap();
    assert_eq!(shown(&mut rig.out), ["60"]);
    match rig.asks(&bound(&a, &toy::host_key())) {
        AuthMethod::PublicKey { key, algorithm } => {
            assert_eq!((&key, algorithm), (a.public_key(), "toy"));
        }
        other => panic!("{other:?}"),
    }
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.method(), "publickey");
}

#[test]
fn g17_a_key_bound_to_another_host_fails() {
    let a = key("a");
    let right = toy::host_key();
    let other = public_key("toy", "other host");
    let longer = [right.as_blob(), b"\0"].concat();
    for host in [other.as_blob(), b"", &longer, &longer[..4]] {
        Rig::new().fails(&hostbound(a.public_key(), host, None));
    }
    Rig::new().fails(&bound(&a, &other));
    // Named rightly, but signed for the other, or for none.
    for message in [
        hostbound_signed_data(SESSION, b"me", "toy", a.public_key(), &other),
        signed_data(SESSION, b"me", "toy", a.public_key()),
    ] {
        let signature = a.sign("toy", &message).unwrap();
        let named = hostbound(
            a.public_key(),
            right.as_blob(),
            Some(signature.as_encoded()),
        );
        Rig::new().fails(&named);
    }
    // A bound signature does not do for the unbound method.
    let message = hostbound_signed_data(SESSION, b"me", "toy", a.public_key(), &right);
    let signature = a.sign("toy", &message).unwrap();
    let blob = a.public_key().as_blob();
    Rig::new().fails(&publickey("me", "toy", blob, Some(signature.as_encoded())));
}

#[test]
fn g8_each_field_that_a_bound_key_signs_counts() {
    let a = key("a");
    let right = hostbound_signed_data(SESSION, b"me", "toy", a.public_key(), &toy::host_key());
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        let signature = a.sign("toy", &wrong).unwrap();
        let host = toy::host_key();
        let altered = hostbound(a.public_key(), host.as_blob(), Some(signature.as_encoded()));
        Rig::new().fails(&altered);
    }
}

#[test]
fn g6_bound_queries_count_as_queries() {
    let a = key("a");
    let mut rig = Rig::new();
    let bound = hostbound(a.public_key(), toy::host_key().as_blob(), None);
    for round in 0..15 {
        let message = if round % 2 == 0 {
            &bound
        } else {
            &query(a.public_key())
        };
        rig.send(message).unwrap();
        rig.server.answer_query(false, &mut rig.out).unwrap();
        assert_eq!(shown(&mut rig.out), [OPEN]);
    }
    assert_eq!(rig.send(&bound).unwrap_err(), Limit::KeyQueries.into());
    assert_eq!(rig.server.trace().attempts, 0);
}

#[test]
fn g11_a_key_counts_once_whatever_the_method() {
    let a = key("a");
    let ways = [
        signed(&a),
        bound(&a, &toy::host_key()),
        vouched(&a, b"h", b"u"),
    ];
    for first in &ways {
        let mut rig = Rig::all();
        rig.asks(first);
        rig.server.accept_partial(ALL, &mut rig.out).unwrap();
        shown(&mut rig.out);
        for again in &ways {
            rig.fails(again);
        }
        rig.asks(&bound(&key("b"), &toy::host_key()));
    }
}
