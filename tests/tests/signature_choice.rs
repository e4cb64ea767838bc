//! Which signature algorithm a key of several logs in with (RFC 8308 section 3.1, RFC 8332), item 17 of section 8 of the notes.

use std::borrow::Cow;

use bytes::BytesMut;
use ssh_proto::crypto::{CryptoProvider, PublicKey, Signature, SignatureAlgorithm, SigningKey};
use ssh_proto::error::CryptoError;
use ssh_proto::wire::auth::{AuthMethod as WireMethod, UserauthRequest};
use ssh_proto::wire::extension::ExtInfo;
use ssh_proto::wire::{number, put_string};
use ssh_proto::{
    AuthMethod, AuthOutcome, ClientConnection, ClientEvent, Connection, Event, Instant, ServerEvent,
};
use ssh_tests::attack::{F, message};
use ssh_tests::{
    Hostile, Login, Pair, Stage, TestRng, fixtures, for_each_chunking, for_each_mode, take,
};

const SHA512: &str = "rsa-sha2-512";
const SHA256: &str = "rsa-sha2-256";

/// An algorithm of `ssh-rsa` keys by name; of RSA there is nothing in it.
struct Toy(&'static str);

/// A sum of the name and of what is signed.
fn sum(algorithm: &str, message: &[u8]) -> [u8; 8] {
    let bytes = algorithm.bytes().chain(message.iter().copied());
    let sum = bytes.fold(1_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    sum.to_be_bytes()
}

impl SignatureAlgorithm for Toy {
    fn name(&self) -> &'static str {
        self.0
    }

    fn key_type(&self) -> &'static str {
        "ssh-rsa"
    }

    fn verify(&self, _: &PublicKey, message: &[u8], s: &Signature) -> Result<(), CryptoError> {
        match s.algorithm() == self.0 && s.blob() == sum(self.0, message) {
            true => Ok(()),
            false => Err(CryptoError::InvalidSignature),
        }
    }
}

/// A key that could sign with SHA-1 too, and is asked to only where it is said.
#[derive(Debug)]
struct ToyKey {
    public: PublicKey,
    may_sha1: bool,
}

impl SigningKey for ToyKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithms(&self) -> &[&'static str] {
        &[SHA512, SHA256, "ssh-rsa"]
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        assert!(self.may_sha1 || algorithm != "ssh-rsa");
        Ok(Signature::new(algorithm, &sum(algorithm, message)))
    }
}

fn key() -> ToyKey {
    let mut blob = BytesMut::new();
    for field in [&b"ssh-rsa"[..], &[1, 0, 1], &[7; 257]] {
        put_string(&mut blob, field);
    }
    ToyKey {
        public: PublicKey::from_blob(blob.freeze()).unwrap(),
        may_sha1: false,
    }
}

/// Has SHA-1 too, on request.
fn provider() -> CryptoProvider {
    let mut provider = fixtures::provider();
    let is_other = |a: &&'static dyn SignatureAlgorithm| a.key_type() != "ssh-rsa";
    let others = |list: &[&'static dyn SignatureAlgorithm]| -> Vec<_> {
        list.iter().copied().filter(is_other).collect()
    };
    let mut signatures = others(&provider.signatures);
    signatures.extend([&Toy(SHA512) as &dyn SignatureAlgorithm, &Toy(SHA256)]);
    provider.signatures = Cow::Owned(signatures);
    let mut on_request = others(&provider.on_request.signatures);
    on_request.push(&Toy("ssh-rsa"));
    provider.on_request.signatures = Cow::Owned(on_request);
    provider
}

fn client() -> ClientConnection {
    client_with(&[""; 0])
}

/// A client of the default list, as edited by this one.
fn client_with(edit: &[&str]) -> ClientConnection {
    let mut config = ssh_proto::ClientConfig::builder(provider());
    if !edit.is_empty() {
        config = config.public_key_algorithms(edit.iter().copied());
    }
    let config = config.build().unwrap();
    let random = Box::new(TestRng::new(1));
    let now = Instant::EPOCH + std::time::Duration::from_secs(1000);
    ClientConnection::new(&config, fixtures::USER, random, now).unwrap()
}

/// 17 (paramiko 3.2 notes): what our own server announces decides, and the login works.
#[test]
fn s8_17_what_is_announced_decides() {
    for_each_mode(|mode| {
        for (announced, expected) in [
            (&[SHA512, SHA256][..], SHA512),
            (&[SHA256, SHA512], SHA512),
            (&[SHA512], SHA512),
            (&[SHA256, "ssh-ed25519"], SHA256),
        ] {
            for remote in [false, true] {
                let mut pair = Pair::builder(mode).build();
                let config = ssh_proto::ServerConfig::builder(provider())
                    .signing_host_key(fixtures::host_key())
                    .public_key_algorithms(announced.iter().copied())
                    .build()
                    .unwrap();
                pair.client = client();
                let random = Box::new(TestRng::new(2));
                pair.server = ssh_proto::ServerConnection::new(&config, random, pair.now).unwrap();
                let mut login = Login::new(pair);
                let turn = login.turn();
                let (key, client) = (key(), &mut login.pair.client);
                if remote {
                    client
                        .auth_publickey_remote(turn, key.public_key())
                        .unwrap();
                    login.run();
                    let query = take!(login.server.events, ServerEvent::KeyQuery(q) => q);
                    assert_eq!(query.algorithm(), expected);
                    login.pair.server.answer_key_query(query, true).unwrap();
                    login.run();
                    let sign = take!(login.client.events, ClientEvent::Shared(Event::Sign(s)) => s);
                    let signature = key.sign(sign.algorithm(), sign.message()).unwrap();
                    login
                        .pair
                        .client
                        .provide_signature(sign, &signature)
                        .unwrap();
                } else {
                    client.auth_publickey(turn, &key).unwrap();
                }
                login.run();
                let request = login.request();
                match request.method() {
                    AuthMethod::PublicKey { algorithm, .. } => assert_eq!(*algorithm, expected),
                    other => panic!("{other:?}"),
                }
                login.accept(request);
                login.assert_authenticated("publickey");
            }
        }
    });
}

/// 17: a server without `EXT_INFO`, and one that says it has SHA-1 alone: SHA-2 is tried, and SHA-1
/// is not, even once that has failed.
#[test]
fn s8_17_never_by_sha1() {
    for_each_chunking(|mode| {
        for announced in [
            None,
            Some(&b"ssh-rsa"[..]),
            Some(b""),
            Some(b"ssh-rsa,ssh-dss"),
        ] {
            let mut h = Hostile::with_connection(client(), mode.chunking);
            h.advance_to(Stage::NewKeys);
            if let Some(names) = announced {
                h.send(&ExtInfo {
                    extensions: vec![(b"server-sig-algs", names)],
                });
            }
            h.expect_skipping_extras(number::SERVICE_REQUEST);
            h.send_payload(&message(6, &[F::S(b"ssh-userauth")]));
            for _ in 0..2 {
                h.answer_turn(|client, turn| client.auth_publickey(turn, &key()));
                let packet = h.expect_skipping_extras(number::USERAUTH_REQUEST);
                match packet.decode::<UserauthRequest<'_>>().method {
                    WireMethod::PublicKey(sent) => {
                        assert_eq!(sent.algorithm, SHA512.as_bytes());
                        // The blob keeps the type's name (RFC 8332 section 3).
                        assert_eq!(sent.key, key().public_key().as_blob());
                    }
                    other => panic!("{other:?}"),
                }
                h.send_payload(&message(51, &[F::S(b"publickey,password"), F::B(0)]));
                let turns = h.events.iter().filter(|event| {
                    matches!(event, ClientEvent::Auth(turn) if *turn.outcome() == AuthOutcome::Failed)
                });
                assert_eq!(turns.count(), 1);
            }
        }
    });
}

/// E8: SHA-1 that was asked for is used where the server announces it and nothing better, and never
/// else: not for want of an announcement, nor once SHA-2 has failed.
#[test]
fn e8_sha1_is_used_where_it_is_asked_for_and_announced() {
    for_each_chunking(|mode| {
        for (announced, expected) in [
            (None, SHA512),
            (Some(&b""[..]), SHA512),
            (Some(b"ssh-rsa,rsa-sha2-256"), SHA256),
            (Some(b"unknown@example.com,\xff,ssh-rsa"), "ssh-rsa"),
        ] {
            let mut h = Hostile::with_connection(client_with(&["+ssh-rsa"]), mode.chunking);
            h.advance_to(Stage::NewKeys);
            if let Some(names) = announced {
                h.send(&ExtInfo {
                    extensions: vec![(b"server-sig-algs", names)],
                });
            }
            h.expect_skipping_extras(number::SERVICE_REQUEST);
            h.send_payload(&message(6, &[F::S(b"ssh-userauth")]));
            let key = ToyKey {
                may_sha1: expected == "ssh-rsa",
                ..key()
            };
            for _ in 0..3 {
                h.answer_turn(|client, turn| client.auth_publickey(turn, &key));
                let packet = h.expect_skipping_extras(number::USERAUTH_REQUEST);
                match packet.decode::<UserauthRequest<'_>>().method {
                    WireMethod::PublicKey(sent) => assert_eq!(sent.algorithm, expected.as_bytes()),
                    other => panic!("{other:?}"),
                }
                h.send_payload(&message(51, &[F::S(b"publickey"), F::B(0)]));
            }
        }
    });
}
