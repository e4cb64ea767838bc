//! Proofs of host keys whose type has two signature algorithms, as RSA has (item I6 of the notes, OpenSSH PROTOCOL section 2.5).

use std::sync::Arc;

use ssh_proto::crypto::{CryptoProvider, PublicKey, Signature, SignatureAlgorithm, SigningKey};
use ssh_proto::error::CryptoError;
use ssh_proto::wire::number;
use ssh_proto::{ClientConfig, ClientEvent, ServerConfig};
use ssh_tests::attack::{F, chunked, message};
use ssh_tests::{Hostile, Login, Pair, Stage, fixtures, for_each_mode, take};

const PROVE: &[u8] = b"hostkeys-prove-00@openssh.com";

fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes()[..], bytes].concat()
}

/// Two algorithms over one type of key, as RSA has them.
#[derive(Debug, Clone, Copy)]
struct Twin(&'static str);

static TWINS: [Twin; 2] = [Twin("twin-256"), Twin("twin-512")];

impl Twin {
    fn key() -> PublicKey {
        PublicKey::from_blob([string(b"ssh-twin"), string(b"x")].concat()).unwrap()
    }

    fn signature(name: &str, message: &[u8]) -> Signature {
        let hash = fixtures::provider()
            .sha256
            .hash(&[name.as_bytes(), message]);
        Signature::new(name, hash.as_ref())
    }

    fn provider() -> CryptoProvider {
        let mut provider = fixtures::provider();
        let signatures = provider.signatures.to_mut();
        signatures.extend(TWINS.iter().map(|twin| twin as &dyn SignatureAlgorithm));
        provider
    }
}

impl SignatureAlgorithm for Twin {
    fn name(&self) -> &'static str {
        self.0
    }

    fn key_type(&self) -> &'static str {
        "ssh-twin"
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        match *key == Self::key() && *signature == Self::signature(self.0, message) {
            true => Ok(()),
            false => Err(CryptoError::InvalidSignature),
        }
    }
}

#[derive(Debug)]
struct TwinKey(PublicKey);

impl SigningKey for TwinKey {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn algorithms(&self) -> &[&'static str] {
        &["twin-256", "twin-512"]
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        Ok(Twin::signature(algorithm, message))
    }
}

/// I6: where the key exchange chose one of two algorithms of a key's type, the proof is by that
/// one; elsewhere by any that is offered.
#[test]
fn i6_the_negotiated_kind_of_signature_proves() {
    let twin_key = || Arc::new(TwinKey(Twin::key()));
    for (kex, chosen) in [
        ("twin-512", "twin-512"),
        ("twin-256", "twin-256"),
        ("ssh-ed25519", "twin-256"),
    ] {
        let client = || ClientConfig::builder(Twin::provider());
        let others = ["twin-256", "twin-512", "ssh-ed25519"].into_iter();
        let order = [kex].into_iter().chain(others.filter(|name| *name != kex));
        let order: Vec<_> = order.collect();
        let server = ServerConfig::builder(Twin::provider())
            .signing_host_key(fixtures::host_key())
            .signing_host_key(twin_key());
        for_each_mode(|mode| {
            let config = client().host_key_algorithms(order.clone());
            let builder = Pair::builder(mode)
                .client(|_| config)
                .server(|_| server.clone());
            let mut login = Login::new(builder.build());
            let request = login.password(fixtures::PASSWORD);
            login.accept(request);
            let told = take!(login.client.events, ClientEvent::HostKeys(keys) => keys);
            assert_eq!(told[1], Twin::key());
            login.pair.client.prove_host_keys(&told).unwrap();
            login.run();
            let proved = take!(login.client.events, ClientEvent::HostKeysProved(keys) => keys);
            assert_eq!(proved, told);
        });
        chunked(|mode| {
            let builder = Pair::builder(mode.without_rekeys()).server(|_| server.clone());
            let mut h = Hostile::with_connection(builder.build().server, mode.chunking);
            h.peer.provider = Twin::provider();
            h.peer.offer.host_keys = vec![kex.into()];
            h.advance_to(Stage::Authenticated);
            let key = Twin::key();
            let ask = [F::S(PROVE), F::B(1), F::S(key.as_blob())];
            h.send_payload(&message(number::GLOBAL_REQUEST, &ask));
            let answer = h.peer.expect(number::REQUEST_SUCCESS);
            let signature = Signature::from_encoded(answer.payload.slice(5..)).unwrap();
            assert_eq!(signature.algorithm(), chosen);

            let config = client().host_key_algorithms(order.clone());
            let builder = Pair::builder(mode.without_rekeys()).client(|_| config);
            let mut h = Hostile::with_connection(builder.build().client, mode.chunking);
            h.peer.provider = Twin::provider();
            if kex != "ssh-ed25519" {
                h.peer.host_key = Arc::new(OneTwin(Twin::key(), kex));
            }
            h.peer.offer.host_keys = vec![kex.into()];
            h.advance_to(Stage::Authenticated);
            h.events.clear();
            let session_id = h.peer.session_id.clone().unwrap();
            for twin in &TWINS {
                h.connection.prove_host_keys(&[Twin::key()]).unwrap();
                h.exchange();
                let key = Twin::key();
                let signed = [PROVE, &session_id, key.as_blob()].map(string).concat();
                let signature = Twin::signature(twin.0, &signed);
                let body = string(signature.as_encoded());
                h.send_payload(&message(number::REQUEST_SUCCESS, &[F::Raw(&body)]));
                let proved = matches!(h.events.pop_front(), Some(ClientEvent::HostKeysProved(_)));
                assert_eq!(
                    proved,
                    kex == twin.0 || kex == "ssh-ed25519",
                    "{kex} {twin:?}"
                );
            }
        });
    }
}

/// A key of the hostile server, which signs with the first algorithm that it has.
#[derive(Debug)]
struct OneTwin(PublicKey, &'static str);

impl SigningKey for OneTwin {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn algorithms(&self) -> &[&'static str] {
        std::slice::from_ref(&self.1)
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        Ok(Twin::signature(algorithm, message))
    }
}
