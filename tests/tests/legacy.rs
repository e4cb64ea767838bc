//! What is weak, under the feature `legacy` and a config that names it (RFC 8758, RFC 9142): that it works, that it is reported, and that CBC hides why it refuses (B9, E6).

use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::error::PeerMisbehaved;
use ssh_proto::wire::number;
use ssh_proto::{ClientConnection, Connection, Error, ServerConnection, Weakness};
use ssh_tests::attack::{Asked, both, message, negotiated};
use ssh_tests::{ClientApp, Hostile, Job, Mode, Pair, ServerApp, Stage, fixtures, for_each_mode};

const CIPHERS: [&str; 4] = ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"];
const MACS: [&str; 2] = ["hmac-sha1-etm@openssh.com", "hmac-sha1"];

fn names<A: ?Sized>(list: &[&'static A], name: impl Fn(&A) -> &'static str) -> Vec<&'static str> {
    list.iter().map(|algorithm| name(algorithm)).collect()
}

/// E6: they are there to be asked for, and nothing is offered of them.
#[test]
fn e6_nothing_weak_is_offered_unasked() {
    let provider = fixtures::provider();
    let ciphers = names(&provider.on_request.ciphers, |a| a.name());
    assert!(CIPHERS.iter().all(|name| ciphers.contains(name)));
    let macs = names(&provider.on_request.macs, |a| a.name());
    assert!(MACS.iter().all(|name| macs.contains(name)));
    let mut app = ClientApp::new([]);
    Pair::new(Mode::PLAIN).run(&mut app, &mut ServerApp::new());
    assert_eq!(app.exchanges[0].weaknesses(), []);
    for offered in [
        names(&provider.kex, |a| a.name()),
        names(&provider.signatures, |a| a.name()),
        names(&provider.ciphers, |a| a.name()),
        names(&provider.macs, |a| a.name()),
    ] {
        for name in offered {
            let weak = ["sha1", "md5", "cbc", "arcfour", "dss"];
            assert!(!weak.iter().any(|part| name.contains(part)), "{name}");
            assert_ne!(name, "ssh-rsa");
        }
    }
}

/// E6: one side alone does not bring it about; with both it works and both say so.
#[test]
fn e6_what_is_asked_for_works_and_is_reported() {
    for_each_mode(|mode| {
        for cipher in CIPHERS {
            for mac in [
                MACS[0],
                MACS[1],
                "hmac-sha2-256",
                "hmac-sha2-512-etm@openssh.com",
            ] {
                let mut pair = Pair::builder(mode)
                    .client(|b| b.kex(["curve25519-sha256"]).ciphers([cipher]).macs([mac]))
                    .server(|b| b.ciphers([format!("+{cipher}")]).macs(["+hmac-sha1*"]))
                    .build();
                let job = Job::with_input("echo", "of old");
                let mut client = ClientApp::new([job]);
                let mut server = ServerApp::new();
                pair.run(&mut client, &mut server);
                assert_eq!(client.results[0].stdout, b"of old");
                assert_eq!(client.exchanges, server.exchanges);
                for exchange in &client.exchanges {
                    let mut expected = vec![Weakness::Algorithm(cipher)];
                    if MACS.contains(&mac) {
                        expected.push(Weakness::Algorithm(mac));
                    }
                    assert_eq!(exchange.weaknesses(), expected);
                    assert_eq!(exchange.client_to_server.mac, Some(mac));
                }
            }
        }
    });
    for (client, server) in [("aes128-cbc", "-nothing"), ("-nothing", "aes128-cbc")] {
        let mut pair = Pair::builder(Mode::PLAIN)
            .client(|b| b.ciphers([client]))
            .server(|b| b.ciphers([server]))
            .build();
        pair.run(&mut ClientApp::new([]), &mut ServerApp::new());
        assert!(pair.client_end().is_some() && pair.server_end().is_some());
        assert!(pair.client.authenticated().is_none());
    }
}

/// The victim takes this suite, and its peer speaks it.
fn at<E: Asked>(mode: Mode, of: fn(Pair) -> E, cipher: &str, mac: &str) -> Hostile<E> {
    let builder = Pair::builder(mode.without_rekeys())
        .client(|b| b.ciphers([cipher]).macs([mac]))
        .server(|b| b.ciphers([cipher]).macs([mac]));
    let mut h = Hostile::with_connection(of(builder.build()), mode.chunking);
    h.peer.offer.kex = vec!["curve25519-sha256".into()];
    h.peer.offer.ciphers = [vec![cipher.into()], vec![cipher.into()]];
    h.peer.offer.macs = [vec![mac.into()], vec![mac.into()]];
    h.advance_to(Stage::Authenticated);
    h.events.clear();
    h.peer.drain();
    h
}

/// B9: whatever bit is changed, of the length, of the rest or of the MAC, the connection goes on
/// reading up to the longest packet, and then ends for one and the same reason.
#[test]
fn b9_a_bad_packet_ends_the_connection_behind_the_longest() {
    fn test<E: Asked>(mode: Mode, of: fn(Pair) -> E) {
        for (cipher, mac, tag) in [
            ("aes128-cbc", "hmac-sha1", 20),
            ("3des-cbc", "hmac-sha2-256", 32),
        ] {
            let longest = 4 + 262_144 + tag;
            let bits = match mode == Mode::PLAIN {
                true => (0..64).step_by(3).chain([64, 100, 127, 200]).collect(),
                // A quarter of a million steps each.
                false => vec![0, 31, 100],
            };
            for bit in bits {
                let mut h = at(mode, of, cipher, mac);
                let mut packet = h.peer.seal(&message(number::IGNORE, &[]));
                packet[bit / 8] ^= 1 << (bit % 8);
                packet.resize(longest - 1, 0);
                h.peer.push_bytes(&packet);
                h.exchange();
                assert_eq!((h.ended.as_ref(), h.events.len()), (None, 0), "bit {bit}");
                assert_eq!(h.peer.drain(), []);
                assert!(h.connection.wants_read(), "it reads on");
                h.refuses(5, |peer| peer.push_bytes(&[0]));
                assert_eq!(*h.error(), Error::PeerMisbehaved(PeerMisbehaved::BadMac));
            }
        }
    }
    both(
        |mode| test(mode, |pair| pair.client),
        |mode| test(mode, |pair| pair.server),
    );
}

/// B9: a peer that stops there gains nothing by it, and what it sent is not held.
#[test]
fn b9_whoever_stops_is_timed_out() {
    let of = |pair: Pair| pair.server;
    let builder = Pair::builder(Mode::PLAIN)
        .server(|b| b.ciphers(["aes128-cbc"]).macs(["hmac-sha1"]))
        .server_limits(|limits| limits.login_grace = Some(Duration::from_secs(30)));
    let mut h =
        Hostile::<ServerConnection>::with_connection(of(builder.build()), Mode::PLAIN.chunking);
    h.peer.offer.ciphers = [vec!["aes128-cbc".into()], vec!["aes128-cbc".into()]];
    h.peer.offer.macs = [vec!["hmac-sha1".into()], vec!["hmac-sha1".into()]];
    h.advance_to(Stage::Service);
    h.peer.push_bytes(&[0xff; 30_000]);
    h.exchange();
    assert_eq!(h.ended, None);
    h.advance(Duration::from_secs(31));
    assert!(h.ended.is_some());
}

/// Where packets that are not authentic are asked for, one with a length that can be is told as
/// ever; nothing is hidden then.
#[test]
fn forged_packets_are_still_to_be_had() {
    let builder = Pair::builder(Mode::PLAIN).server(|b| {
        b.ciphers(["aes128-cbc"])
            .macs(["hmac-sha1"])
            .dangerously_accept_forged_packets(true)
    });
    let mut h =
        Hostile::<ServerConnection>::with_connection(builder.build().server, Mode::PLAIN.chunking);
    h.peer.offer.ciphers = [vec!["aes128-cbc".into()], vec!["aes128-cbc".into()]];
    h.peer.offer.macs = [vec!["hmac-sha1".into()], vec!["hmac-sha1".into()]];
    h.advance_to(Stage::Authenticated);
    h.events.clear();
    let mut packet = BytesMut::from(&h.peer.seal(&[8])[..]);
    *packet.last_mut().expect("a MAC") ^= 1;
    h.peer.push_bytes(&packet);
    h.exchange();
    assert_eq!(h.events.len(), 1, "told at once");
}

/// E6, E7 in what a handshake reports, by name, whoever provides the algorithm.
#[test]
fn e7_what_strictness_would_prevent_is_reported() {
    fn test<E: Asked>(mode: Mode, of: fn(Pair) -> E) {
        let [chacha, gcm] = ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"];
        let etm = "hmac-sha2-256-etm@openssh.com";
        for (cipher, mac, truncatable) in [
            (chacha, etm, true),
            (gcm, etm, false),
            ("aes128-ctr", etm, false),
            ("aes128-cbc", etm, true),
            ("aes128-cbc", "hmac-sha2-256", false),
        ] {
            for strict in [true, false] {
                for refuse in [true, false] {
                    let builder = Pair::builder(mode.without_rekeys())
                        .client(|b| {
                            b.ciphers([cipher])
                                .macs([mac])
                                .refuse_prefix_truncation(refuse)
                        })
                        .server(|b| {
                            b.ciphers([cipher])
                                .macs([mac])
                                .refuse_prefix_truncation(refuse)
                        });
                    let mut h = Hostile::with_connection(of(builder.build()), mode.chunking);
                    h.peer.offer.kex = vec!["curve25519-sha256".into()];
                    h.peer.offer.ciphers = [vec![cipher.into()], vec![cipher.into()]];
                    h.peer.offer.macs = [vec![mac.into()], vec![mac.into()]];
                    h.peer.offer.strict = strict;
                    if refuse && !strict && truncatable {
                        h.advance_to(Stage::Identified);
                        h.refuses(3, ssh_tests::RawPeer::send_kexinit);
                        let expected = ssh_proto::error::PeerIncompatible::NoStrictKex;
                        assert_eq!(*h.error(), Error::PeerIncompatible(expected));
                        continue;
                    }
                    h.advance_to(Stage::NewKeys);
                    let found = negotiated(&h)[0].weaknesses();
                    let reported = found.contains(&Weakness::PrefixTruncation);
                    assert_eq!(reported, truncatable && !strict, "{cipher} {mac}");
                    let cbc = found.contains(&Weakness::Algorithm("aes128-cbc"));
                    assert_eq!(cbc, cipher == "aes128-cbc");
                }
            }
        }
    }
    both(
        |mode| test::<ClientConnection>(mode, |pair| pair.client),
        |mode| test::<ServerConnection>(mode, |pair| pair.server),
    );
}
