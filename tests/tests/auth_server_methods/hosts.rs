//! Hosts in authentication: those that vouch for a user (RFC 4252 section 9), and the one that a key is bound to (OpenSSH PROTOCOL section 3.1).

use ssh_proto::AuthMethod;
use ssh_tests::attack::chunked;

use super::*;

#[test]
fn g5_methods_that_are_not_offered_fail() {
    chunked(|mode| {
        let mut h = Hostile::at(Stage::Service, mode);
        h.peer.drain();
        let host = fixtures::key("ssh-ed25519", 7);
        let list = message(51, &[F::S(b"publickey,password"), F::B(0)]);
        for payload in [
            interactive(),
            mechanisms(&[KERBEROS]),
            vouched(&h, &*host, b"client.example", b"me"),
        ] {
            h.events.clear();
            h.send_payload(&payload);
            assert_eq!(h.events.len(), 0, "{:?}", h.events);
            assert_eq!(h.peer.expect(51).payload[..], list[..]);
        }
    });
}

#[test]
fn g8_hosts_that_vouch() {
    let keys = ["ssh-ed25519", "ecdsa-sha2-nistp256"].map(|name| fixtures::key(name, 3));
    let (host, user) = (&b"client.example"[..], &b"me"[..]);
    let names = [F::S(host), F::S(user)];
    chunked(|mode| {
        for key in keys.iter().map(|key| &**key) {
            let name = key.algorithms()[0];
            let mut h = server(mode);
            let right = unsigned(b"hostbased", name, key, &names);
            // Of another session, over other names or another key, cut, longer, none at all.
            let elsewhere = message(0, &[F::S(&[9; 32])]);
            let swapped = unsigned(b"hostbased", name, key, &[F::S(user), F::S(host)]);
            let other_key = fixtures::key(name, 4);
            let other = unsigned(b"hostbased", name, &*other_key, &names);
            let signature = sign(&session(&h), &right, key);
            let wrong = [
                sign(&elsewhere[1..], &right, key),
                sign(&session(&h), &swapped, key),
                sign(&session(&h), &other, key),
                signature[..signature.len() - 1].to_vec(),
                vec![],
            ];
            for wrong in wrong {
                fails_unasked(&mut h, &with_signature(&right, &wrong));
            }
            // The matrix of names; one of them is right.
            for algorithm in ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"] {
                for format in ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"] {
                    let mut h = server(mode);
                    let unsigned = unsigned(b"hostbased", algorithm, key, &names);
                    let data = [&session(&h), &unsigned[..]].concat();
                    let signature = key.sign(name, &data).expect("signs");
                    let renamed = [F::S(format.as_bytes()), F::S(signature.blob())];
                    let renamed = message(0, &renamed);
                    let payload = with_signature(&unsigned, &renamed[1..]);
                    match (algorithm, format) == (name, name) {
                        true => drop(ask(&mut h, &payload)),
                        false => fails_unasked(&mut h, &payload),
                    }
                }
            }
            let mut h = server(mode);
            let payload = vouched(&h, key, host, user);
            let pending = ask(&mut h, &payload);
            match pending.method() {
                AuthMethod::HostBased {
                    key: proven,
                    client_host,
                    client_user,
                    ..
                } => {
                    assert_eq!(proven, key.public_key());
                    assert_eq!(client_host.as_bytes(), host);
                    assert_eq!(client_user.as_bytes(), user);
                }
                other => panic!("{other:?}"),
            }
            accept(&mut h, pending, "hostbased");
        }
    });
}

#[test]
fn g16_names_of_hosts_and_their_users() {
    let key = fixtures::key("ssh-ed25519", 3);
    chunked(|mode| {
        for bad in [&b"a\0b"[..], b"a\nb", b"\x1b[2J", b"\xff", &[b'x'; 257]] {
            let mut h = server(mode);
            let (as_host, as_user) = (
                vouched(&h, &*key, bad, b"me"),
                vouched(&h, &*key, b"h", bad),
            );
            fails_unasked(&mut h, &as_host);
            fails_unasked(&mut h, &as_user);
        }
        for odd in [&b"-oProxyCommand=x"[..], b"$(id)", b"h.example."] {
            let mut h = server(mode);
            let payload = vouched(&h, &*key, odd, odd);
            drop(ask(&mut h, &payload));
        }
    });
}

#[test]
fn g17_keys_bound_to_the_host() {
    let key = fixtures::user_key();
    let other = fixtures::key("ssh-ed25519", 5);
    let other = other.public_key().as_blob();
    chunked(|mode| {
        let mut h = server(mode);
        let info = h.extras.iter().find(|p| p.number() == number::EXT_INFO);
        let announced = message(0, &[F::S(b"publickey-hostbound@openssh.com"), F::S(b"0")]);
        let info = info.expect("EXT_INFO").payload.escape_ascii().to_string();
        assert!(info.contains(&announced[1..].escape_ascii().to_string()));

        let name = F::S(key.algorithms()[0].as_bytes());
        let blob = F::S(key.public_key().as_blob());
        let right = right_host_key();
        fails_unasked(
            &mut h,
            &request(HOSTBOUND, &[F::B(0), name, blob, F::S(other)]),
        );
        for wrong in [other, b"", &right[..4], &[&right[..], b"x"].concat()] {
            let mut h = server(mode);
            let payload = bound(&h, &*key, wrong);
            fails_unasked(&mut h, &payload);
        }
        // Names our host key, and signed for another.
        let named = unsigned(HOSTBOUND, key.algorithms()[0], &*key, &[F::S(&right)]);
        let meant = unsigned(HOSTBOUND, key.algorithms()[0], &*key, &[F::S(other)]);
        let signature = sign(&session(&h), &meant, &*key);
        fails_unasked(&mut h, &with_signature(&named, &signature));

        h.send_payload(&request(HOSTBOUND, &[F::B(0), name, blob, F::S(&right)]));
        match h.take_event(|event| matches!(event, ServerEvent::KeyQuery(_))) {
            ServerEvent::KeyQuery(query) => {
                h.connection
                    .answer_key_query(query, true)
                    .expect("own token");
            }
            _ => unreachable!(),
        }
        h.exchange();
        h.peer.expect(number::USERAUTH_PK_OK);
        let payload = bound(&h, &*key, &right);
        let pending = ask(&mut h, &payload);
        assert!(matches!(pending.method(), AuthMethod::PublicKey { .. }));
        accept(&mut h, pending, "publickey");
    });
}
