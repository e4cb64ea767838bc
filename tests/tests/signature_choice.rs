//! Which signature algorithm a key of several logs in with (RFC 8308 section 3.1, RFC 8332), item 17 of section 8 of the notes.

use std::sync::{Arc, LazyLock};

use ssh_proto::crypto::{PublicKey, Signature, SigningKey};
use ssh_proto::error::CryptoError;
use ssh_proto::wire::auth::{AuthMethod as WireMethod, UserauthRequest};
use ssh_proto::wire::extension::ExtInfo;
use ssh_proto::wire::number;
use ssh_proto::{
    AuthMethod, AuthOutcome, ClientConnection, ClientEvent, Connection, Event, Instant, ServerEvent,
};
use ssh_tests::attack::{F, message};
use ssh_tests::{
    Hostile, Login, Pair, Stage, TestRng, fixtures, for_each_chunking, for_each_mode, take,
};

const SHA512: &str = "rsa-sha2-512";
const SHA256: &str = "rsa-sha2-256";

/// A key that could sign with SHA-1 too, and is never asked to.
#[derive(Debug)]
struct Key(Arc<dyn SigningKey>);

impl SigningKey for Key {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn algorithms(&self) -> &[&'static str] {
        &["ssh-rsa", SHA512, SHA256]
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        assert_ne!(algorithm, "ssh-rsa");
        self.0.sign(algorithm, message)
    }
}

fn key() -> Key {
    static KEY: LazyLock<Arc<dyn SigningKey>> = LazyLock::new(|| {
        let private = fixtures::rsa_private_key(1);
        fixtures::provider().signing_key(&private).unwrap()
    });
    Key(Arc::clone(&KEY))
}

fn client() -> ClientConnection {
    let config = ssh_proto::ClientConfig::builder(fixtures::provider())
        .build()
        .unwrap();
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
                let config = ssh_proto::ServerConfig::builder(fixtures::provider())
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
