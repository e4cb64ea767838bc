//! From the first byte to the first keys: negotiation, reports, extensions, keys held elsewhere.

use ssh_proto::error::{DisconnectReason, Error, KexSlot, PeerIncompatible};
use ssh_proto::wire::connection::ChannelEof;
use ssh_proto::wire::number;
use ssh_proto::{
    ClientConfig, ClientConnection, ClientEvent, Connection, Disconnected, Event, HostKey,
    Negotiated, ServerConfig, ServerConnection, ServerEvent,
};
use ssh_tests::faults::ChosenKex;
use ssh_tests::hostile::Victim;
use ssh_tests::{
    App, ClientApp, Credential, Hostile, Job, Mode, Pair, ServerApp, Stage, fixtures,
    for_each_chunking, for_each_mode,
};

/// Logs in, runs a command, replaces keys, runs what is left.
fn run_session(pair: &mut Pair, client: &mut ClientApp, server: &mut ServerApp) {
    pair.run(client, server);
    pair.client.rekey().expect("authenticated");
    pair.run(client, server);
    assert!(
        client.results.iter().all(|result| result.closed),
        "{:?}",
        pair.client_end()
    );
}

#[test]
fn every_kex_cipher_and_mac_works() {
    for_each_mode(|mode| {
        let provider = fixtures::provider();
        let macs: Vec<_> = provider.macs.iter().map(|a| a.name()).collect();
        // The other methods: `kex_methods.rs`.
        for kex in [
            "mlkem768x25519-sha256",
            "curve25519-sha256",
            "ecdh-sha2-nistp256",
        ] {
            for cipher in provider.ciphers.iter() {
                for mac in &macs[..if cipher.is_aead() { 1 } else { macs.len() }] {
                    let mut pair = Pair::builder(mode)
                        .client(|b| b.kex([kex]).ciphers([cipher.name()]).macs([*mac]))
                        .build();
                    let mut client = ClientApp::new([Job::with_input("echo", "hello")]);
                    let mut server = ServerApp::new();
                    run_session(&mut pair, &mut client, &mut server);
                    assert_eq!(client.results[0].stdout, b"hello");
                    assert_eq!(client.exchanges, server.exchanges, "both report the same");
                    let exchanges = client.exchanges.len();
                    match (mode.rekey_every, mode.rekey_bytes) {
                        (Some(_), _) => assert!(exchanges > 2),
                        // So little is said here that it may not come to that.
                        (None, Some(_)) => assert!(exchanges >= 2),
                        (None, None) => assert_eq!(exchanges, 2),
                    }
                    for (at, report) in client.exchanges.iter().enumerate() {
                        assert_eq!(report.is_rekey, at > 0);
                        assert_eq!(report.kex, kex);
                        assert_eq!(report.post_quantum, kex.starts_with("mlkem"));
                        assert!(report.strict_kex);
                        assert_eq!(report.host_key_algorithm, "ssh-ed25519");
                        assert_eq!(&report.host_key, fixtures::host_key().public_key());
                        assert_eq!(Some(&report.session_id), pair.client.session_id());
                        let (id, signature) = (&report.session_id, &report.host_key_signature);
                        let algorithm = provider.signature("ssh-ed25519").unwrap();
                        let bound = algorithm.verify(&report.host_key, id.as_bytes(), signature);
                        assert_eq!(
                            bound.is_ok(),
                            at == 0,
                            "over the session id, and only at first"
                        );
                        for suite in [report.client_to_server, report.server_to_client] {
                            assert_eq!(suite.cipher, cipher.name());
                            assert_eq!(suite.mac, (!cipher.is_aead()).then_some(*mac));
                            assert_eq!(suite.compression, "none");
                        }
                    }
                    assert_eq!(pair.client.session_id(), pair.server.session_id());
                }
            }
        }
    });
}

#[test]
fn every_host_key_type_works() {
    for key_type in fixtures::KEY_TYPES {
        for remote in [false, true] {
            for_each_mode(|mode| {
                let key = fixtures::key(key_type, 7);
                let host_key = match remote {
                    false => HostKey::Local(key.clone()),
                    true => HostKey::Remote {
                        key: key.public_key().clone(),
                        algorithms: key.algorithms().to_vec(),
                    },
                };
                let mut pair = Pair::builder(mode)
                    .server(|b| b.host_key(host_key).host_key_algorithms([key_type]))
                    .build();
                let mut client = ClientApp::new([Job::with_input("echo", "hello")]);
                client.host_keys = vec![key.public_key().clone()];
                let mut server = ServerApp::new();
                server.signers = vec![key];
                run_session(&mut pair, &mut client, &mut server);
                assert_eq!(client.exchanges[0].host_key_algorithm, key_type);
                assert_eq!(client.host_key_checks, 1, "accepted once, known afterwards");
                let expected = if remote { server.exchanges.len() } else { 0 };
                assert_eq!(server.signatures, expected, "one for each exchange");
            });
        }
    }
}

/// One RSA key signs by several algorithms: the host's by what was negotiated, the user's by what
/// the server announced.
#[test]
fn rsa_keys_work() {
    let provider = fixtures::provider();
    let [host, user] = [1, 2].map(|seed| {
        let key = provider.signing_key(&fixtures::rsa_private_key(seed));
        key.expect("generated key")
    });
    for_each_mode(|mode| {
        for algorithm in ["rsa-sha2-512", "rsa-sha2-256"] {
            for remote in [false, true] {
                let credential = match remote {
                    false => Credential::Key(user.clone()),
                    true => Credential::RemoteKey(user.clone()),
                };
                let mut pair = Pair::builder(mode)
                    .server(|b| {
                        b.signing_host_key(host.clone())
                            .host_key_algorithms([algorithm])
                    })
                    .build();
                let mut client = ClientApp::with_credential(credential, [Job::new("exit 1")]);
                client.host_keys = vec![host.public_key().clone()];
                let mut server = ServerApp::new();
                server.keys = vec![(fixtures::USER.into(), user.public_key().clone())];
                pair.run(&mut client, &mut server);
                assert_eq!(client.exchanges[0].host_key_algorithm, algorithm);
                assert_eq!(client.results[0].status, Some(1));
                let proof = server.authenticated.unwrap();
                assert_eq!(proof.key(), Some(user.public_key()));
            }
        }
    });
}

#[test]
fn a_user_key_held_elsewhere_signs() {
    for_each_mode(|mode| {
        for key_type in fixtures::KEY_TYPES {
            let key = fixtures::key(key_type, 8);
            let credential = Credential::RemoteKey(key.clone());
            let mut client = ClientApp::with_credential(credential, [Job::new("exit 1")]);
            let mut server = ServerApp::new();
            server.keys = vec![(fixtures::USER.into(), key.public_key().clone())];
            let mut pair = Pair::new(mode);
            pair.run(&mut client, &mut server);
            assert_eq!(client.results[0].status, Some(1));
            assert_eq!(server.authenticated.unwrap().key(), Some(key.public_key()));
        }
    });
}

#[test]
fn identification_and_extensions_are_reported_both_ways() {
    for_each_mode(|mode| {
        let mut pair = Pair::builder(mode)
            .client(|b| b.identification("crab_1.0", Some("on the beach")))
            .server(|b| b.identification("shore_2.0", None))
            .build();
        let (mut client, mut server) = (ClientApp::new([]), ServerApp::new());
        let (mut client_saw, mut server_saw) = (Vec::new(), Vec::new());
        let (mut extensions, mut client_extensions) = (None, None);
        assert!(pair.client.is_handshaking() && pair.server.is_handshaking());
        let now = pair.now;
        pair.run(
            &mut |connection: &mut ClientConnection, event: ClientEvent| {
                match &event {
                    ClientEvent::Shared(Event::Identified(ident)) => {
                        client_saw = ident.as_bytes().to_vec();
                    }
                    ClientEvent::Shared(Event::ExtInfo(info)) => extensions = Some(info.clone()),
                    _ => {}
                }
                client.on_event(connection, event, now);
            },
            &mut |connection: &mut ServerConnection, event: ServerEvent| {
                match &event {
                    ServerEvent::Shared(Event::Identified(ident)) => {
                        server_saw = ident.as_bytes().to_vec();
                    }
                    ServerEvent::Shared(Event::ExtInfo(info)) => {
                        client_extensions = Some(info.clone());
                    }
                    _ => {}
                }
                server.on_event(connection, event, now);
            },
        );
        assert_eq!(client_saw, b"SSH-2.0-shore_2.0");
        assert_eq!(server_saw, b"SSH-2.0-crab_1.0 on the beach");
        assert_eq!(
            pair.client.peer_identification().unwrap().software(),
            b"shore_2.0"
        );
        let extensions = extensions.expect("EXT_INFO of the server");
        let algorithms = extensions
            .value("server-sig-algs")
            .expect("server-sig-algs");
        assert_eq!(algorithms, fixtures::signature_names().as_bytes());
        assert_eq!(extensions.value("ping@openssh.com"), Some(&b"0"[..]));
        let client_extensions = client_extensions.expect("EXT_INFO of the client");
        assert!(
            client_extensions
                .value("ext-info-in-auth@openssh.com")
                .is_some()
        );
        assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
    });
}

#[test]
fn an_ordinary_ping_is_answered() {
    for_each_mode(|mode| {
        let (mut client, mut server) = (ClientApp::new([]), ServerApp::new());
        let mut pair = Pair::new(mode);
        pair.run(&mut client, &mut server);
        pair.client.ping(b"hello").expect("announced");
        let mut pong = None;
        pair.run(
            &mut |_: &mut ClientConnection, event: ClientEvent| {
                if let ClientEvent::Shared(Event::Pong(data)) = event {
                    pong = Some(data);
                }
            },
            &mut server,
        );
        assert_eq!(pong.as_deref(), Some(&b"hello"[..]));
    });
}

fn failed_slot(end: Option<&Disconnected>) -> Option<KexSlot> {
    match end? {
        Disconnected::Error(Error::PeerIncompatible(PeerIncompatible::NoCommonAlgorithm(n))) => {
            Some(n.slot)
        }
        _ => None,
    }
}

/// E1 with two of ours: each side says which list failed, and nothing of an exchange is left.
#[test]
fn e1_nothing_in_common() {
    let cases = [
        (
            KexSlot::Kex,
            "kex",
            ["curve25519-sha256", "ecdh-sha2-nistp256"],
        ),
        (
            KexSlot::HostKey,
            "host_key",
            ["ecdsa-sha2-nistp256", "ssh-ed25519"],
        ),
        (
            KexSlot::CipherClientToServer,
            "cipher",
            ["aes128-ctr", "aes256-ctr"],
        ),
        (
            KexSlot::MacClientToServer,
            "mac",
            ["hmac-sha2-256", "hmac-sha2-512"],
        ),
    ];
    for_each_mode(|mode| {
        for (slot, list, [client, server]) in cases {
            let builder = Pair::builder(mode)
                .client(|b| match list {
                    "kex" => b.kex([client]),
                    "host_key" => b.host_key_algorithms([client]),
                    "cipher" => b.ciphers([client]),
                    _ => b.ciphers(["aes128-ctr"]).macs([client]),
                })
                .server(|b| match list {
                    "kex" => b.kex([server]),
                    "host_key" => b.host_key_algorithms([server]),
                    "cipher" => b.ciphers([server]),
                    _ => b.ciphers(["aes128-ctr"]).macs([server]),
                });
            let mut pair = builder.build();
            pair.run(&mut ClientApp::new([]), &mut ServerApp::new());
            let ends = [pair.client_end(), pair.server_end()].map(failed_slot);
            assert!(ends.contains(&Some(slot)), "{:?}", pair.server_end());
            assert!(pair.client.is_closed() && pair.server.is_closed());
            assert_eq!(pair.client.session_id(), None);
        }
    });
}

/// E1 against a peer: each slot of each direction alone, in both roles, with DISCONNECT 3.
fn fails_in_each_slot<E: Victim>(mode: Mode) {
    type Change = fn(&mut ssh_tests::RawOffer);
    fn set(list: &mut Vec<String>, name: &str) {
        *list = vec![name.to_owned()];
    }
    let changes: [(KexSlot, Change); 8] = [
        (KexSlot::Kex, |o| {
            set(&mut o.kex, "diffie-hellman-group1-sha1")
        }),
        (KexSlot::HostKey, |o| set(&mut o.host_keys, "ssh-dss")),
        (KexSlot::CipherClientToServer, |o| {
            set(&mut o.ciphers[0], "3des-cbc")
        }),
        (KexSlot::CipherServerToClient, |o| {
            set(&mut o.ciphers[1], "none")
        }),
        (KexSlot::MacClientToServer, |o| {
            set(&mut o.ciphers[0], "aes128-ctr");
            set(&mut o.macs[0], "hmac-md5");
        }),
        (KexSlot::MacServerToClient, |o| {
            set(&mut o.ciphers[1], "aes128-ctr");
            set(&mut o.macs[1], "none");
        }),
        (KexSlot::CompressionClientToServer, |o| {
            set(&mut o.compression[0], "zlib")
        }),
        (KexSlot::CompressionServerToClient, |o| {
            set(&mut o.compression[1], "zlib")
        }),
    ];
    for (slot, change) in changes {
        let mut hostile = Hostile::<E>::at(Stage::Identified, mode);
        change(&mut hostile.peer.offer);
        hostile.peer.send_kexinit();
        hostile.assert_disconnected(DisconnectReason::KEY_EXCHANGE_FAILED);
        assert_eq!(failed_slot(hostile.ended.as_ref()), Some(slot));
    }
}

#[test]
fn e1_each_slot_of_each_direction() {
    for_each_chunking(|mode| {
        fails_in_each_slot::<ClientConnection>(mode);
        fails_in_each_slot::<ServerConnection>(mode);
    });
}

/// E1: with an AEAD cipher the MAC lists are not consulted.
#[test]
fn e1_aead_needs_no_mac() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::new(mode);
        let offer = &mut hostile.peer.offer;
        offer.ciphers = std::array::from_fn(|_| vec!["aes256-gcm@openssh.com".to_owned()]);
        offer.macs = std::array::from_fn(|_| vec!["hmac-of-another-world".to_owned()]);
        hostile.advance_to(Stage::Channel);
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// E2: each direction has algorithms of its own.
#[test]
fn e2_directions_differ() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::new(mode);
        let offer = &mut hostile.peer.offer;
        let names = |name: &str| vec![name.to_owned()];
        offer.ciphers = [names("aes192-ctr"), names("chacha20-poly1305@openssh.com")];
        offer.macs = [
            names("hmac-sha2-512-etm@openssh.com"),
            names("hmac-sha2-256"),
        ];
        hostile.advance_to(Stage::Channel);
        hostile.rekey();
        let reports: Vec<Negotiated> = hostile
            .events
            .iter()
            .filter_map(|event| match E::shared(event) {
                Some(Event::KeysChanged(report)) => Some(report.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(reports.len(), 2);
        for report in reports {
            assert_eq!(report.client_to_server.cipher, "aes192-ctr");
            assert_eq!(
                report.client_to_server.mac,
                Some("hmac-sha2-512-etm@openssh.com")
            );
            assert_eq!(
                report.server_to_client.cipher,
                "chacha20-poly1305@openssh.com"
            );
            assert_eq!(report.server_to_client.mac, None);
        }
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// E2: what a config says of one direction leaves the other alone, on either side.
#[test]
fn e2_a_direction_has_its_own_lists() {
    const GCM: &str = "aes256-gcm@openssh.com";
    for_each_mode(|mode| {
        for by_client in [true, false] {
            let pair = Pair::builder(mode);
            let mut pair = match by_client {
                true => pair.client(|b| {
                    b.ciphers([GCM])
                        .ciphers_client_to_server(["aes128-ctr"])
                        .macs_client_to_server(["hmac-sha2-256"])
                }),
                false => pair.server(|b| {
                    b.ciphers([GCM])
                        .ciphers_server_to_client(["aes192-ctr"])
                        .macs_server_to_client(["hmac-sha2-512"])
                }),
            }
            .build();
            let mut client = ClientApp::new([Job::with_input("echo", "hello")]);
            let mut server = ServerApp::new();
            run_session(&mut pair, &mut client, &mut server);
            let expected = match by_client {
                true => [("aes128-ctr", Some("hmac-sha2-256")), (GCM, None)],
                false => [(GCM, None), ("aes192-ctr", Some("hmac-sha2-512"))],
            };
            for keys in client.exchanges.iter().chain(&server.exchanges) {
                let suites = [&keys.client_to_server, &keys.server_to_client];
                assert_eq!(suites.map(|suite| (suite.cipher, suite.mac)), expected);
            }
        }
    });
}

/// E3: the client's order decides.
#[test]
fn e3_the_client_prefers() {
    for_each_mode(|mode| {
        for names in [["aes128-ctr", "aes256-ctr"], ["aes256-ctr", "aes128-ctr"]] {
            let mut pair = Pair::builder(mode)
                .client(|b| b.ciphers(names))
                .server(|b| b.ciphers(["aes256-ctr", "aes128-ctr"]))
                .build();
            let mut client = ClientApp::new([]);
            pair.run(&mut client, &mut ServerApp::new());
            assert_eq!(client.exchanges[0].client_to_server.cipher, names[0]);
            assert_eq!(client.exchanges[0].server_to_client.cipher, names[0]);
        }
    });
}

/// E10: the other role's marker says nothing, and no marker is ever chosen.
#[test]
fn e10_markers_of_the_wrong_role() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Identified, mode);
        let offer = &mut hostile.peer.offer;
        offer.ext_info = false;
        offer.strict = false;
        let wrong = match E::ROLE {
            ssh_proto::Role::Server => ["ext-info-s", "kex-strict-s-v00@openssh.com"],
            ssh_proto::Role::Client => ["ext-info-c", "kex-strict-c-v00@openssh.com"],
        };
        for marker in wrong {
            offer.kex.insert(0, marker.to_owned());
        }
        hostile.peer.send_kexinit();
        hostile.exchange();
        hostile.peer.expect(number::KEXINIT);
        assert_eq!(hostile.ended, None);
        if E::ROLE == ssh_proto::Role::Server {
            hostile.peer.send_kex_init();
            hostile.exchange();
            let reply = hostile.peer.expect(number::KEX_ECDH_REPLY);
            hostile.peer.read_kex_reply(&reply);
            hostile.peer.expect(number::NEWKEYS);
            assert_eq!(hostile.peer.drain(), [], "no EXT_INFO");
            hostile.peer.send_newkeys();
            hostile.exchange();
            let report =
                hostile.take_event(|event| matches!(E::shared(event), Some(Event::KeysChanged(_))));
            assert!(format!("{report:?}").contains("strict_kex: false"));
        }
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// C19: two implementations agree on H and keys whatever the secret looks like: leading zeros, top
/// bit, both, neither. The peer's encodings are written by hand.
#[test]
fn c19_every_shape_of_secret() {
    static SHAPES: [(ChosenKex, &[u8]); 4] = [
        (
            ChosenKex::new(&[0x00, 0x7f, 1, 2]),
            &[0, 0, 0, 3, 0x7f, 1, 2],
        ),
        (
            ChosenKex::new(&[0x00, 0x00, 0x80, 1]),
            &[0, 0, 0, 3, 0x00, 0x80, 1],
        ),
        (
            ChosenKex::new(&[0x80, 1, 2, 3]),
            &[0, 0, 0, 5, 0x00, 0x80, 1, 2, 3],
        ),
        (
            ChosenKex::new(&[0x7f, 1, 2, 3]),
            &[0, 0, 0, 4, 0x7f, 1, 2, 3],
        ),
    ];
    fn check<E: Victim>(
        mode: Mode,
        kex: &'static ChosenKex,
        encoded: &[u8],
        connection: impl Fn(Pair) -> E,
    ) {
        let provider = kex.provider();
        let builder = Pair::builder(mode)
            .client(|_| ClientConfig::builder(provider.clone()))
            .server(|_| {
                ServerConfig::builder(provider.clone()).signing_host_key(fixtures::host_key())
            });
        let mut hostile = Hostile::with_connection(connection(builder.build()), mode.chunking);
        hostile.peer.provider = provider;
        hostile.peer.offer.kex = vec![ChosenKex::NAME.to_owned()];
        hostile.peer.known_secret = Some(encoded.to_vec());
        let before = kex.uses();
        hostile.advance_to(Stage::Channel);
        // Now the session id is not H.
        hostile.rekey();
        assert_eq!(hostile.ended, None);
        hostile.send(&ChannelEof { recipient: 0 });
        hostile.take_event(|event| matches!(E::shared(event), Some(Event::Eof(_))));
        assert_eq!(kex.uses() - before, 4, "two exchanges of two sides");
    }
    for_each_chunking(|mode| {
        for (kex, encoded) in &SHAPES {
            check::<ClientConnection>(mode, kex, encoded, |pair| pair.client);
            check::<ServerConnection>(mode, kex, encoded, |pair| pair.server);
        }
    });
    for (kex, _) in &SHAPES {
        assert!(kex.uses() > 0, "each shape has run");
    }
}
