//! Every key exchange method that the provider has: between both of ours under all modes, and against the peer that computes hash and keys by itself (C19, C20).

use ssh_proto::crypto::KexAlgorithm;
use ssh_proto::wire::kex::KexInit;
use ssh_proto::wire::number;
use ssh_proto::{ClientConnection, ServerConnection};
use ssh_tests::attack::{Offering, negotiated};
use ssh_tests::{ClientApp, Hostile, Job, Mode, Pair, ServerApp, Stage, fixtures, for_each_mode};

/// Offered by default and on request.
fn methods() -> Vec<&'static dyn KexAlgorithm> {
    let provider = fixtures::provider();
    let on_request = provider.on_request.kex.iter();
    provider.kex.iter().chain(on_request).copied().collect()
}

/// Whether a method takes so long without optimisation that it is run but once.
fn is_slow(method: &dyn KexAlgorithm) -> bool {
    let name = method.name();
    ["group15", "group16", "group17", "group18"]
        .iter()
        .any(|group| name.contains(group))
}

#[test]
fn every_method_between_ours() {
    for_each_mode(|mode| {
        for method in methods() {
            if is_slow(method) && mode != Mode::PLAIN {
                continue;
            }
            let kex = method.name();
            // Of so little strength that the group that is asked for is not the largest.
            let mut pair = Pair::builder(mode)
                .client(|b| b.kex([kex]).ciphers(["aes128-gcm@openssh.com"]))
                .server(|b| b.kex([kex]))
                .build();
            let mut client = ClientApp::new([Job::with_input("echo", "hello")]);
            let mut server = ServerApp::new();
            pair.run(&mut client, &mut server);
            assert_eq!(client.results[0].stdout, b"hello", "{kex}");
            assert_eq!(client.exchanges, server.exchanges, "both report the same");
            for report in &client.exchanges {
                assert_eq!(report.kex, kex);
                let hybrid = kex.starts_with("mlkem") || kex.starts_with("sntrup");
                assert_eq!(report.post_quantum, hybrid);
                let hash_len = client.exchanges[0].session_id.as_bytes().len();
                assert_eq!(hash_len, method.hash().output_len());
            }
        }
    });
}

/// C19: the peer, which computes the exchange hash and the keys from the RFCs, and this
/// connection come to the same.
#[test]
fn c19_every_method_against_a_second_implementation() {
    fn test<E: Offering>() {
        for method in methods() {
            let kex = method.name();
            let connection = E::offering(kex, 1);
            let mut h = Hostile::with_connection(connection, Mode::PLAIN.chunking);
            h.peer.offer.kex = vec![kex.into()];
            h.advance_to(Stage::Identified);
            h.peer.send_kexinit();
            h.exchange_answering_kex();
            E::accept_host_keys(&mut h);
            h.exchange_answering_kex();
            let [report] = &negotiated(&h)[..] else {
                panic!("{kex}: {:?}", h.ended);
            };
            assert_eq!(report.kex, kex);
            assert_eq!(
                Some(report.session_id.as_bytes()),
                h.peer.session_id.as_deref()
            );
            // Packets under the new keys are understood both ways.
            E::advance(&mut h, Stage::Service);
            assert_eq!(h.ended, None, "{kex}");
        }
    }
    test::<ClientConnection>();
    test::<ServerConnection>();
}

/// C20: from each hash to each other and back, with shapes mixed. The session id stays, and keys that
/// are longer than a hash are extended.
#[test]
fn c20_rekeys_between_methods() {
    const METHODS: [&str; 8] = [
        "diffie-hellman-group-exchange-sha256",
        "sntrup761x25519-sha512",
        "diffie-hellman-group14-sha256",
        "mlkem1024nistp384-sha384",
        "curve25519-sha256",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group-exchange-sha256",
        "ecdh-sha2-nistp384",
    ];
    fn test<E: Offering>(server: impl Fn() -> E) {
        let mut h = Hostile::with_connection(server(), Mode::PLAIN.chunking);
        for list in &mut h.peer.offer.ciphers {
            *list = vec!["aes256-ctr".into()];
        }
        for list in &mut h.peer.offer.macs {
            *list = vec!["hmac-sha2-512".into()];
        }
        h.peer.offer.kex = vec!["ecdh-sha2-nistp256".into()];
        h.advance_to(Stage::Authenticated);
        h.peer.drain();
        for kex in METHODS {
            h.peer.offer.kex = vec![kex.into()];
            h.rekey();
            assert_eq!(negotiated(&h).last().map(|report| report.kex), Some(kex));
        }
        let all = negotiated(&h);
        assert_eq!(all.len(), 1 + METHODS.len());
        assert!(all.iter().all(|one| one.session_id == all[0].session_id));
        h.does_not_know(&[200]);
    }
    let names = || METHODS.into_iter().chain(["ecdh-sha2-nistp256"]);
    let mut limits = fixtures::client_limits();
    limits.peer_rekeys = u32::MAX;
    let now = ssh_proto::Instant::EPOCH;
    let random = || Box::new(ssh_tests::TestRng::new(1));
    test(|| {
        let config = fixtures::client_config()
            .kex(names())
            .limits(limits.clone());
        let config = config.build().expect("config");
        ClientConnection::new(&config, fixtures::USER, random(), now).expect("randomness")
    });
    test(|| {
        let config = fixtures::server_config()
            .kex(names())
            .limits(limits.clone());
        let config = config.build().expect("config");
        ServerConnection::new(&config, random(), now).expect("randomness")
    });
}

/// The lists of OpenSSH 10.5, in its order: finite fields come from a client alone, and last.
#[test]
fn defaults_differ_by_role() {
    fn offered<E: Offering>() -> String {
        let mut h = Hostile::<E>::at(Stage::Identified, Mode::PLAIN);
        let kexinit = h.peer.expect(number::KEXINIT);
        kexinit.decode::<KexInit<'_>>().kex.as_str().to_owned()
    }
    let both = "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,\
                curve25519-sha256,curve25519-sha256@libssh.org,\
                ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521";
    assert_eq!(
        offered::<ServerConnection>(),
        format!("{both},ext-info-s,kex-strict-s-v00@openssh.com")
    );
    assert_eq!(
        offered::<ClientConnection>(),
        format!(
            "{both},diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
             diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,\
             ext-info-c,kex-strict-c-v00@openssh.com"
        )
    );
}
