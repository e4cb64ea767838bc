//! Attacks on key exchange in finite fields: values, groups, and the messages of group exchange (RFC 4253 section 8, RFC 4419), group C of the notes.

use ssh_proto::crypto::DhGroup;
use ssh_proto::error::{Error, PeerIncompatible, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::{ClientConnection, Instant, Role, ServerConnection, ServerEvent};
use ssh_tests::attack::{F, Offering, agreed, both, chunked, message, negotiated};
use ssh_tests::{Hostile, Mode, RawPeer, Stage, TestRng, fixtures, mpint};

const GROUP14: &str = "diffie-hellman-group14-sha256";
const GEX: &str = "diffie-hellman-group-exchange-sha256";

fn group14() -> DhGroup {
    DhGroup::modp(2048).expect("group 14")
}

/// The request that keeps tests short.
const SMALL: [u32; 3] = [2048, 2048, 8192];

/// At a server, behind its group; at a client, in front of its value.
fn group_chosen<E: Offering>(mode: Mode, strict: bool) -> Hostile<E> {
    let mut h = agreed::<E>(GEX, mode, strict);
    match E::ROLE {
        Role::Server => {
            h.peer.send_gex_request(SMALL);
            h.exchange();
            let group = h.peer.expect(number::KEX_DH_GEX_GROUP);
            h.peer.read_gex_group(&group);
        }
        Role::Client => {
            let request = h.peer.expect(number::KEX_DH_GEX_REQUEST);
            let (prime, generator) = (mpint(group14().prime()), mpint(&[2]));
            h.peer.send_gex_group(&request, &prime, &generator);
            h.exchange();
        }
    }
    assert_eq!(h.ended, None);
    h
}

/// What stands in the `mpint` of a value that no honest peer sends, in group 14.
fn bad_values() -> Vec<Vec<u8>> {
    let prime = group14().prime().to_vec();
    let ending = |last: u8| mpint(&[&prime[..255], &[last]].concat());
    let p_plus_1 = {
        let mut value = prime[..248].to_vec();
        *value.last_mut().expect("digits") += 1;
        mpint(&[&value[..], &[0; 8]].concat())
    };
    vec![
        vec![],
        vec![1],
        // Fewer than four bits.
        vec![2],
        vec![7],
        mpint(&[&[0x0e][..], &[0; 200]].concat()),
        // p - 1, p and p + 1.
        ending(0xfe),
        ending(0xff),
        p_plus_1,
        // 2^2048 and 2^20000.
        mpint(&[&[1][..], &[0; 256]].concat()),
        mpint(&[&[1][..], &[0; 2500]].concat()),
        // -1, a negative number of the right size, and numbers that are not minimal.
        vec![0xff],
        prime.clone(),
        vec![0],
        [&[0, 0][..], &prime[1..]].concat(),
    ]
}

#[test]
fn c13_bad_values() {
    chunked(|mode| {
        for value in bad_values() {
            for kex in [GROUP14, GEX] {
                let mut h = match kex {
                    GROUP14 => agreed::<ServerConnection>(kex, mode, true),
                    _ => group_chosen(mode, true),
                };
                let number = if kex == GROUP14 { 30 } else { 32 };
                h.refuses(3, |peer| {
                    peer.send_payload(&message(number, &[F::S(&value)]))
                });
                assert_eq!(*h.error(), PeerMisbehaved::BadKexValue.into(), "{value:x?}");

                let mut h = match kex {
                    GROUP14 => agreed::<ClientConnection>(kex, mode, true),
                    _ => group_chosen(mode, true),
                };
                let init = h.peer.expect(number);
                let mut reply = h.peer.make_reply(&init);
                reply.public = value.clone();
                h.refuses(3, |peer| peer.send_reply(&reply));
                assert_eq!(*h.error(), PeerMisbehaved::BadKexValue.into(), "{value:x?}");
            }
        }
    });
}

/// C13, D7: a good value with a signature over another one.
#[test]
fn c13_the_signature_covers_the_values() {
    chunked(|mode| {
        for kex in [GROUP14, GEX] {
            let mut h = match kex {
                GROUP14 => agreed::<ClientConnection>(kex, mode, true),
                _ => group_chosen(mode, true),
            };
            let init = h.peer.expect(if kex == GROUP14 { 30 } else { 32 });
            let mut reply = h.peer.make_reply(&init);
            reply.public[9] ^= 1;
            h.refuses(3, |peer| peer.send_reply(&reply));
            assert_eq!(*h.error(), PeerMisbehaved::BadHostKeySignature.into());
        }
        // The sizes that the client asked for are covered, too, which whoever stands between can
        // change: another number of them leads to another hash.
        for at in 0..3 {
            let mut h = group_chosen::<ClientConnection>(mode, true);
            h.peer.gex.request[at] ^= 1;
            let init = h.peer.expect(number::KEX_DH_GEX_INIT);
            let reply = h.peer.make_reply(&init);
            h.refuses(3, |peer| peer.send_reply(&reply));
            assert_eq!(*h.error(), PeerMisbehaved::BadHostKeySignature.into());
        }
    });
}

/// C17: groups that a client does not compute in.
#[test]
fn c17_bad_groups() {
    let prime = group14().prime().to_vec();
    let ending = |last: u8| [&prime[..255], &[last]].concat();
    let oversized = [&[0x01][..], &[0xff; 1024]].concat();
    let good = || mpint(&[2]);
    let bad: Vec<(Vec<u8>, Vec<u8>)> = vec![
        // The prime: of 1024, 2047, 8193 and 16385 bits, even, negative, zero.
        (mpint(&[&[0xff; 127][..], &[0xfb]].concat()), good()),
        (mpint(&[&[0x7f], &prime[1..]].concat()), good()),
        (mpint(&oversized), good()),
        (mpint(&[&[0x01][..], &[0xff; 2048]].concat()), good()),
        (mpint(&ending(0xfe)), good()),
        (prime.clone(), good()),
        (vec![], good()),
        // The generator: 0, 1, -1, p - 1, p, beyond p.
        (mpint(&prime), vec![]),
        (mpint(&prime), vec![1]),
        (mpint(&prime), vec![0xff]),
        (mpint(&prime), mpint(&ending(0xfe))),
        (mpint(&prime), mpint(&prime)),
        (mpint(&prime), mpint(&oversized)),
    ];
    chunked(|mode| {
        for (prime, generator) in &bad {
            let mut h = agreed::<ClientConnection>(GEX, mode, true);
            let request = h.peer.expect(number::KEX_DH_GEX_REQUEST);
            h.refuses(3, |peer| peer.send_gex_group(&request, prime, generator));
            assert_eq!(*h.error(), PeerMisbehaved::BadKexValue.into());
        }
        // Malformed ones.
        for payload in [
            vec![31],
            message(31, &[F::S(&mpint(&prime))]),
            message(31, &[F::S(&mpint(&prime)), F::S(&[2]), F::S(&[2])]),
        ] {
            let mut h = agreed::<ClientConnection>(GEX, mode, true);
            h.refuses(2, |peer| peer.send_payload(&payload));
        }
    });
}

/// C17, RFC 4419 section 3: what a client asks for goes by the strength of what the keys are for.
#[test]
fn c17_a_client_asks_by_strength() {
    chunked(|mode| {
        for (cipher, mac, n) in [
            ("aes128-gcm@openssh.com", "hmac-sha2-256", 3072),
            ("aes192-ctr", "hmac-sha2-256", 8192),
            ("aes256-gcm@openssh.com", "hmac-sha2-256", 8192),
            ("chacha20-poly1305@openssh.com", "hmac-sha2-256", 8192),
            ("aes128-ctr", "hmac-sha2-512", 8192),
        ] {
            let config = fixtures::client_config().kex([GEX]);
            let config = config
                .ciphers([cipher])
                .macs([mac])
                .build()
                .expect("config");
            let random = Box::new(TestRng::new(1));
            let client = ClientConnection::new(&config, fixtures::USER, random, Instant::EPOCH);
            let mut h = Hostile::with_connection(client.expect("randomness"), mode.chunking);
            h.peer.offer.kex = vec![GEX.into()];
            h.advance_to(Stage::KexInit);
            let request = h.peer.expect(number::KEX_DH_GEX_REQUEST);
            let expected = message(34, &[F::U(2048), F::U(n), F::U(8192)]);
            assert_eq!(request.payload, expected, "{cipher} {mac}");
        }
    });
}

fn server(moduli: Option<Vec<DhGroup>>, seed: u64) -> Hostile<ServerConnection> {
    let mut config = fixtures::server_config().kex([GEX]);
    if let Some(moduli) = moduli {
        config = config.moduli(moduli);
    }
    let config = config.build().expect("config");
    let random = Box::new(TestRng::new(seed));
    let server = ServerConnection::new(&config, random, Instant::EPOCH).expect("randomness");
    let mut h = Hostile::with_connection(server, Mode::PLAIN.chunking);
    h.peer.offer.kex = vec![GEX.into()];
    h.advance_to(Stage::KexInit);
    h
}

/// C18: the size that a server of the default groups chooses, or why none.
#[test]
fn c18_requests() {
    let chosen = [
        ([2048, 2048, 8192], 2048),
        ([2048, 2049, 8192], 3072),
        ([2048, 3072, 8192], 3072),
        ([2048, 5000, 8192], 6144),
        ([2048, 7680, 8192], 8192),
        ([2048, 8192, 8192], 8192),
        // None that is large enough.
        ([2048, 5000, 5500], 4096),
        // Ranges that overlap with ours.
        ([0, 0, u32::MAX], 2048),
        ([1024, 1024, 8192], 2048),
        ([1024, 1024, 2048], 2048),
        ([8192, 8192, 16_384], 8192),
        ([2048, 10_000, 16_384], 8192),
        ([0, u32::MAX, u32::MAX], 8192),
    ];
    for (request, bits) in chosen {
        let mut h = server(None, 1);
        h.peer.send_gex_request(request);
        h.exchange();
        let group = h.peer.expect(number::KEX_DH_GEX_GROUP);
        h.peer.read_gex_group(&group);
        let expected = DhGroup::modp(bits).expect("a group of RFC 3526");
        assert_eq!(h.peer.gex.prime, mpint(expected.prime()), "{request:?}");
        assert_eq!(h.peer.gex.generator, [2]);
    }
    let no_group = Error::PeerIncompatible(PeerIncompatible::NoDhGroup);
    let nonsense = Error::from(PeerMisbehaved::BadKexValue);
    for (request, error) in [
        ([2049, 2048, 8192], &nonsense),
        ([2048, 8192, 8191], &nonsense),
        ([u32::MAX, 0, 0], &nonsense),
        ([0, 0, 0], &no_group),
        ([u32::MAX; 3], &no_group),
        ([1024, 1536, 2047], &no_group),
        ([8193, 8193, 8193], &no_group),
        ([3073, 3500, 4095], &no_group),
    ] {
        let mut h = server(None, 1);
        h.refuses(3, |peer| peer.send_gex_request(request));
        assert_eq!(h.error(), error, "{request:?}");
    }
    // The form from before the RFC, and malformed ones.
    for payload in [
        message(30, &[F::U(2048)]),
        vec![34],
        message(34, &[F::U(2048), F::U(2048)]),
        message(34, &[F::U(2048), F::U(2048), F::U(2048), F::U(2048)]),
    ] {
        let mut h = server(None, 1);
        h.refuses(2, |peer| peer.send_payload(&payload));
    }
}

/// C18: groups of the caller's, and among equals a random one.
#[test]
fn c18_groups_of_the_caller() {
    let (one, other) = (
        group14(),
        DhGroup::ffdhe(2048).expect("a group of RFC 7919"),
    );
    let chosen = |seed| {
        let mut h = server(Some(vec![one.clone(), other.clone()]), seed);
        h.peer.send_gex_request([2048, 8192, 8192]);
        h.exchange();
        let group = h.peer.expect(number::KEX_DH_GEX_GROUP);
        h.peer.read_gex_group(&group);
        h.peer.gex.prime
    };
    let chosen: Vec<_> = (0..20).map(chosen).collect();
    for group in [&one, &other] {
        assert!(chosen.contains(&mpint(group.prime())));
    }
    let mut h = server(Some(vec![]), 1);
    h.refuses(3, |peer| peer.send_gex_request(SMALL));
}

/// Bodies of messages 30 to 34 as each method has them.
fn of_methods() -> Vec<Vec<u8>> {
    let value = mpint(&[9; 256]);
    vec![
        message(30, &[F::S(&[9; 32])]),
        message(30, &[F::S(&value)]),
        message(30, &[F::U(2048)]),
        message(31, &[F::S(b"k"), F::S(&value), F::S(b"s")]),
        message(31, &[F::S(&mpint(group14().prime())), F::S(&[2])]),
        message(32, &[F::S(&value)]),
        message(33, &[F::S(b"k"), F::S(&value), F::S(b"s")]),
        message(34, &[F::U(2048), F::U(2048), F::U(8192)]),
        vec![35],
    ]
}

/// C7, C8, C18: at each step one message is due, and no other of any method.
#[test]
fn c7_c8_one_message_is_due() {
    fn test<E: Offering>(mode: Mode) {
        type Steps<E> = [(fn(Mode, bool) -> Hostile<E>, u8); 3];
        let steps: Steps<E> = match E::ROLE {
            Role::Server => [
                (|mode, strict| agreed(GROUP14, mode, strict), 30),
                (|mode, strict| agreed(GEX, mode, strict), 34),
                (group_chosen, 32),
            ],
            Role::Client => [
                (|mode, strict| agreed(GROUP14, mode, strict), 31),
                (|mode, strict| agreed(GEX, mode, strict), 31),
                (group_chosen, 33),
            ],
        };
        for strict in [true, false] {
            for (at, due) in steps {
                for payload in of_methods() {
                    if payload[0] != due {
                        let mut h = at(mode, strict);
                        h.refuses(2, |peer| peer.send_payload(&payload));
                        let unexpected = PeerMisbehaved::UnexpectedMessage(payload[0]);
                        assert_eq!(*h.error(), unexpected.into());
                    }
                }
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// C7: what was right once, once more.
#[test]
fn c7_nothing_comes_twice() {
    chunked(|mode| {
        for strict in [true, false] {
            let mut h = group_chosen::<ServerConnection>(mode, strict);
            h.refuses(2, |peer| peer.send_gex_request(SMALL));
            let mut h = group_chosen::<ServerConnection>(mode, strict);
            let init = h.peer.make_kex_init();
            h.peer.send_payload(&init);
            h.exchange();
            let reply = h.peer.expect(number::KEX_DH_GEX_REPLY);
            h.peer.read_kex_reply(&reply);
            h.peer.expect(number::NEWKEYS);
            h.refuses(2, |peer| peer.send_payload(&init));

            let again = message(31, &[F::S(&mpint(group14().prime())), F::S(&[2])]);
            let mut h = group_chosen::<ClientConnection>(mode, strict);
            h.refuses(2, |peer| peer.send_payload(&again));
        }
        // In one flight.
        let mut h = agreed::<ServerConnection>(GEX, mode, true);
        h.refuses(2, |peer| {
            peer.send_gex_request(SMALL);
            peer.send_gex_request(SMALL);
        });
    });
}

/// C12: a guess of group exchange, wrong and right.
#[test]
fn c12_guesses() {
    chunked(|mode| {
        for guess in of_methods() {
            let mut h = Hostile::with_connection(ServerConnection::offering(GEX, 1), mode.chunking);
            h.peer.offer.kex = vec![GROUP14.into(), GEX.into()];
            h.peer.offer.first_kex_packet_follows = true;
            h.advance_to(Stage::Identified);
            h.peer.send_kexinit();
            h.peer.send_payload(&guess);
            h.exchange_answering_kex();
            assert_eq!(negotiated(&h)[0].kex, GEX);
        }
        let mut h = Hostile::with_connection(ServerConnection::offering(GEX, 1), mode.chunking);
        h.peer.offer.kex = vec![GEX.into()];
        h.peer.offer.first_kex_packet_follows = true;
        h.advance_to(Stage::Identified);
        h.peer.send_kexinit();
        h.peer.send_gex_request(SMALL);
        h.exchange();
        h.peer.expect(number::KEXINIT);
        h.exchange_answering_kex();
        assert_eq!(negotiated(&h)[0].kex, GEX);
    });
}

/// A server that asks whom to serve computes nothing before the answer, in either shape.
#[test]
fn admission_comes_before_the_exponentiation() {
    fn asked(kex: &str, mode: Mode) -> Hostile<ServerConnection> {
        let config = fixtures::server_config().kex([kex]).ask_before_kex(true);
        let config = config.build().expect("config");
        let random = Box::new(TestRng::new(1));
        let server = ServerConnection::new(&config, random, Instant::EPOCH).expect("randomness");
        let mut h = Hostile::with_connection(server, mode.chunking);
        h.peer.offer.kex = vec![kex.into()];
        h.advance_to(Stage::KexInit);
        if kex == GEX {
            h.peer.send_gex_request(SMALL);
            h.exchange();
            let group = h.peer.expect(number::KEX_DH_GEX_GROUP);
            h.peer.read_gex_group(&group);
        }
        h
    }
    chunked(|mode| {
        for kex in [GROUP14, GEX] {
            let mut h = asked(kex, mode);
            h.peer.send_kex_init();
            h.exchange();
            assert_eq!(h.peer.drain(), []);
            let is_incoming = |event: &ServerEvent| matches!(event, ServerEvent::Incoming(_));
            let ServerEvent::Incoming(incoming) = h.take_event(is_incoming) else {
                unreachable!()
            };
            assert_eq!(incoming.kex(), kex);
            h.connection.admit(incoming).expect("own token");
            h.exchange_answering_kex();
            assert_eq!(negotiated(&h)[0].kex, kex);
        }
    });
}

/// By default a server has no finite fields to compute in, and a client has them last.
#[test]
fn c8_servers_offer_none_by_default() {
    chunked(|mode| {
        for kex in [GROUP14, GEX] {
            let mut h = Hostile::<ServerConnection>::new(mode);
            h.peer.offer.kex = vec![kex.into()];
            h.advance_to(Stage::Identified);
            h.refuses(3, RawPeer::send_kexinit);
            let mut h = Hostile::<ClientConnection>::new(mode);
            h.peer.offer.kex = vec![kex.into()];
            h.advance_to(Stage::KexInit);
            assert_eq!(h.ended, None);
        }
    });
}
