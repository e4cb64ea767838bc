//! What configs make of the provider's lists: edits as in OpenSSH, what is there on request, and the sizes of RSA keys (RFC 8332 section 2).

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use ssh_proto::crypto::{CryptoProvider, PublicKey, Signature, SignatureAlgorithm, SigningKey};
use ssh_proto::error::{CryptoError, PeerIncompatible};
use ssh_proto::wire::kex::KexInit;
use ssh_proto::wire::number;
use ssh_proto::{
    ClientConfig, ClientConfigBuilder, ClientConnection, ConfigError, Disconnected, Error,
    ServerConfig, ServerConfigBuilder, ServerConnection, ServerEvent, Weakness,
};
use ssh_tests::attack::{F, message, negotiated};
use ssh_tests::{
    ClientApp, Hostile, Mode, Pair, ServerApp, Stage, TestRng, fixtures, for_each_chunking,
};

/// What both roles offer under such configs: the lists of `KEXINIT` for kex, cipher, MAC and
/// compression, the last three once for each direction.
fn offers(
    client: impl FnOnce(ClientConfigBuilder) -> ClientConfigBuilder,
    server: impl FnOnce(ServerConfigBuilder) -> ServerConfigBuilder,
) -> [Vec<String>; 2] {
    let pair = || Pair::builder(Mode::PLAIN);
    let chunking = Mode::PLAIN.chunking;
    let mut c = Hostile::with_connection(pair().client(client).build().client, chunking);
    let mut s = Hostile::with_connection(pair().server(server).build().server, chunking);
    c.advance_to(Stage::Identified);
    s.advance_to(Stage::Identified);
    [
        c.peer.expect(number::KEXINIT),
        s.peer.expect(number::KEXINIT),
    ]
    .map(|packet| {
        let init: KexInit<'_> = packet.decode();
        let kex = init
            .kex
            .iter()
            .filter(|name| !name.starts_with("ext-info-") && !name.starts_with("kex-strict-"));
        let mut lists = vec![kex.collect::<Vec<_>>().join(",")];
        lists.extend(
            [
                init.host_key,
                init.cipher_client_to_server,
                init.cipher_server_to_client,
                init.mac_client_to_server,
                init.mac_server_to_client,
                init.compression_client_to_server,
                init.compression_server_to_client,
            ]
            .map(|list| list.as_str().to_owned()),
        );
        lists
    })
}

macro_rules! offers {
    (|$builder:ident| $change:expr) => {
        offers(|$builder| $change, |$builder| $change)
    };
}

fn joined(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

#[test]
fn edits_reach_the_wire() {
    let provider = fixtures::provider();
    let kex = joined(provider.kex.iter().map(|a| a.name()));
    let ciphers = joined(provider.ciphers.iter().map(|a| a.name()));
    let macs = joined(provider.macs.iter().map(|a| a.name()));
    let on_request: Vec<_> = {
        let more = &provider.on_request;
        let kex = more.kex.iter().map(|a| a.name());
        kex.chain(more.ciphers.iter().map(|a| a.name()))
            .chain(more.macs.iter().map(|a| a.name()))
            .chain(more.signatures.iter().map(|a| a.name()))
            .chain(more.compression.iter().map(|a| a.name()))
            .collect()
    };
    // Servers offer no finite fields unless they are told to.
    let curves = kex.split(',').filter(|name| !name.contains("-group"));
    let of_server = curves.collect::<Vec<_>>().join(",");
    assert_ne!(of_server, kex);
    for (lists, kex) in offers!(|b| b).into_iter().zip([&kex, &of_server]) {
        assert_eq!(lists[0], *kex);
        assert_eq!([&lists[2], &lists[3]], [&ciphers; 2]);
        assert_eq!([&lists[4], &lists[5]], [&macs; 2]);
        assert_eq!([&lists[6], &lists[7]], ["none"; 2]);
        let all = lists.join(",");
        assert!(!all.split(',').any(|name| on_request.contains(&name)));
    }
    for lists in offers!(|b| b
        .ciphers(["+3des-cbc,aes128-ctr"])
        .kex(["-*"])
        .kex(["+ecdh-*256"]))
    {
        assert_eq!(lists[0], "ecdh-sha2-nistp256");
        assert_eq!(lists[2], format!("{ciphers},3des-cbc"));
    }
    for lists in offers!(|b| b
        .ciphers(["-chacha20*", "aes*-gcm@*"])
        .ciphers_server_to_client(["^aes256-ctr"])
        .macs_client_to_server(["hmac-sha2-512"])
        .compression_server_to_client(["^zlib@openssh.com"]))
    {
        assert_eq!(lists[2], "aes128-ctr,aes192-ctr,aes256-ctr");
        assert_eq!(lists[3], "aes256-ctr,aes128-ctr,aes192-ctr");
        assert_eq!((&*lists[4], &lists[5]), ("hmac-sha2-512", &macs));
        assert_eq!((&*lists[6], &*lists[7]), ("none", "zlib@openssh.com,none"));
    }
    // Nothing is offered twice.
    for lists in offers!(|b| b.kex([kex.clone(), kex.clone()]).macs(["+hmac-sha2-256"])) {
        assert_eq!(lists[0], kex);
        assert_eq!(lists[4], macs);
    }
}

/// E1: what failed reaches the application of either role, with both lists.
#[test]
fn e1_both_sides_are_told_both_lists() {
    let mut pair = Pair::builder(Mode::PLAIN)
        .client(|b| b.macs(["-*-etm@*"]).ciphers(["aes256-ctr", "aes192-ctr"]))
        .server(|b| b.ciphers(["aes128-ctr"]))
        .build();
    pair.run(&mut ClientApp::new([]), &mut ServerApp::new());
    for (end, ours, theirs) in [
        (pair.client_end(), "aes256-ctr,aes192-ctr", "aes128-ctr"),
        (pair.server_end(), "aes128-ctr", "aes256-ctr,aes192-ctr"),
    ] {
        let Some(Disconnected::Error(error)) = end else {
            panic!("{end:?}");
        };
        let Error::PeerIncompatible(PeerIncompatible::NoCommonAlgorithm(failure)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(failure.ours.join(","), ours);
        assert_eq!(failure.theirs.join(","), theirs);
        let shown = format!(
            "no cipher (client to server) in common: we offer {ours}, the peer offers {theirs}"
        );
        assert_eq!(error.to_string(), shown);
    }
}

/// Names of a peer are shown escaped.
#[test]
fn e1_names_are_shown_escaped() {
    let mut h = Hostile::<ServerConnection>::at(Stage::Identified, Mode::PLAIN);
    h.peer.offer.kex = vec!["\"quoted\"'\\back".into()];
    h.refuses(3, ssh_tests::RawPeer::send_kexinit);
    let shown = h.error().to_string();
    assert!(shown.contains(r#"\"quoted\"\'\\back"#), "{shown}");
}

const SHA512: &str = "rsa-sha2-512";

thread_local! {
    /// Verifications by [`Toy`] in the test that this thread runs.
    static VERIFIED: Cell<usize> = const { Cell::new(0) };
}

/// Under the name of an algorithm of RSA keys, with nothing of RSA in it.
struct Toy;

impl SignatureAlgorithm for Toy {
    fn name(&self) -> &'static str {
        SHA512
    }

    fn key_type(&self) -> &'static str {
        "ssh-rsa"
    }

    fn verify(&self, _: &PublicKey, _: &[u8], s: &Signature) -> Result<(), CryptoError> {
        VERIFIED.set(VERIFIED.get() + 1);
        match s.blob() {
            b"toy" => Ok(()),
            _ => Err(CryptoError::InvalidSignature),
        }
    }
}

#[derive(Debug)]
struct ToyKey(PublicKey);

impl SigningKey for ToyKey {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn algorithms(&self) -> &[&'static str] {
        &[SHA512]
    }

    fn sign(&self, algorithm: &str, _: &[u8]) -> Result<Signature, CryptoError> {
        Ok(Signature::new(algorithm, b"toy"))
    }
}

fn toy_key(bits: usize) -> Arc<dyn SigningKey> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= modulus.len() * 8 - bits;
    let key = PublicKey::rsa(&[1, 0, 1], &modulus);
    assert_eq!(key.rsa_bits(), Some(bits));
    Arc::new(ToyKey(key))
}

fn provider() -> CryptoProvider {
    let mut provider = fixtures::provider();
    let signatures = provider.signatures.iter().copied();
    let others = signatures.filter(|a| a.key_type() != "ssh-rsa");
    let signatures = others.chain([&Toy as &dyn SignatureAlgorithm]).collect();
    provider.signatures = Cow::Owned(signatures);
    provider
}

/// D3: the size of a host key is held against the policy before anything is computed with it.
#[test]
fn d3_host_keys_of_a_size_that_is_not_accepted() {
    for_each_chunking(|mode| {
        for (bits, min, accepted) in [
            (512, 1024, false),
            (1023, 1024, false),
            (1024, 1024, true),
            (1024, 2048, false),
            (2047, 2048, false),
            (2048, 2048, true),
            (3072, 4096, false),
            (16_384, 2048, true),
            (16_385, 2048, false),
            (16_385, 1024, false),
        ] {
            let config = ClientConfig::builder(provider()).min_rsa_bits(min).build();
            let random = Box::new(TestRng::new(1));
            let now = Pair::new(mode).now;
            let client =
                ClientConnection::new(&config.unwrap(), fixtures::USER, random, now).unwrap();
            let mut h = Hostile::with_connection(client, mode.chunking);
            h.peer.provider = provider();
            h.peer.host_key = toy_key(bits);
            h.peer.offer.host_keys = vec![SHA512.into()];
            h.peer.offer.kex = vec!["curve25519-sha256".into()];
            if accepted {
                h.advance_to(Stage::NewKeys);
                let found = negotiated(&h)[0].weaknesses();
                let short = (bits < 2048).then_some(Weakness::HostKeySize(bits));
                assert_eq!(found, Vec::from_iter(short));
                continue;
            }
            h.advance_to(Stage::KexInit);
            let init = h.peer.expect(number::KEX_ECDH_INIT);
            let reply = h.peer.make_reply(&init);
            let before = VERIFIED.get();
            h.refuses(9, |peer| peer.send_reply(&reply));
            let expected = PeerIncompatible::HostKeySize(bits);
            assert_eq!(*h.error(), Error::PeerIncompatible(expected));
            assert_eq!(VERIFIED.get(), before, "nothing computed");
        }
    });
}

fn publickey(key: &dyn SigningKey, signature: Option<&[u8]>) -> Vec<u8> {
    let blob = key.public_key().as_blob();
    let mut fields = vec![
        F::S(fixtures::USER.as_bytes()),
        F::S(b"ssh-connection"),
        F::S(b"publickey"),
        F::B(u8::from(signature.is_some())),
        F::S(SHA512.as_bytes()),
        F::S(blob),
    ];
    fields.extend(signature.map(F::S));
    message(number::USERAUTH_REQUEST, &fields)
}

/// The same of user keys: they fail without a question, and without arithmetic.
#[test]
fn user_keys_of_a_size_that_is_not_accepted() {
    for_each_chunking(|mode| {
        for (bits, min, accepted) in [
            (1023, 1024, false),
            (1024, 1024, true),
            (1024, 2048, false),
            (2047, 2048, false),
            (2048, 2048, true),
            (16_384, 2048, true),
            (16_385, 2048, false),
        ] {
            let config = ServerConfig::builder(provider())
                .signing_host_key(fixtures::host_key())
                .min_rsa_bits(min)
                .build();
            let random = Box::new(TestRng::new(2));
            let now = Pair::new(mode).now;
            let server = ServerConnection::new(&config.unwrap(), random, now).unwrap();
            let mut h = Hostile::with_connection(server, mode.chunking);
            h.peer.offer.kex = vec!["curve25519-sha256".into()];
            h.advance_to(Stage::Service);
            h.events.clear();
            let key = toy_key(bits);
            let before = VERIFIED.get();
            let signature = key.sign(SHA512, b"").unwrap();
            let query = publickey(&*key, None);
            let proof = publickey(&*key, Some(signature.as_encoded()));
            if accepted {
                h.send_payload(&query);
                match h.take_event(|event| matches!(event, ServerEvent::KeyQuery(_))) {
                    ServerEvent::KeyQuery(query) => {
                        h.connection.answer_key_query(query, true).unwrap();
                    }
                    _ => unreachable!(),
                }
                h.send_payload(&proof);
                h.take_event(|event| matches!(event, ServerEvent::Auth(_)));
                continue;
            }
            for payload in [query, proof] {
                h.send_payload(&payload);
                h.expect_skipping_extras(number::USERAUTH_FAILURE);
                assert_eq!(h.events.len(), 0, "{:?}", h.events);
            }
            assert_eq!(VERIFIED.get(), before, "nothing computed");
        }
    });
}

#[test]
fn sizes_are_checked_when_a_config_is_built() {
    for (bits, min, good) in [
        (2048, 2048, true),
        (2047, 2048, false),
        (1024, 1024, true),
        (1024, 2048, false),
        (3072, 3073, false),
        (16_385, 1024, false),
    ] {
        let key = toy_key(bits);
        let config = ServerConfig::builder(provider())
            .signing_host_key(Arc::clone(&key))
            .min_rsa_bits(min);
        let error = ConfigError::HostKeySize(key.public_key().clone());
        let shown = error.to_string();
        assert_eq!(
            shown,
            format!("an RSA host key of {bits} bits is not accepted")
        );
        assert_eq!(config.build().err(), (!good).then_some(error));
    }
    for bits in [0, 1023, 16_385, usize::MAX] {
        let error = Some(ConfigError::InvalidLimit("min_rsa_bits"));
        let client = fixtures::client_config().min_rsa_bits(bits);
        let server = fixtures::server_config().min_rsa_bits(bits);
        assert_eq!(client.build().err(), error);
        assert_eq!(server.build().err(), error);
    }
}
