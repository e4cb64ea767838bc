//! What a network sees and should not: lengths of passwords (O6), an order of host keys that tells what is known (O7), echoes of what was sent (P3), one generator in two connections (O5).
//!
//! No modes: how bytes are cut on their way in changes nothing of what is looked at here.

use std::collections::BTreeSet;

use bytes::BytesMut;
use ssh_proto::wire::auth::UserauthInfoRequest;
use ssh_proto::wire::kex::{KexEcdhInit, KexInit};
use ssh_proto::wire::{Message, number};
use ssh_proto::{
    AuthTurn, ClientConnection, ClientEvent, Connection, Password, PromptsRequest, Role,
    ServerConnection,
};
use ssh_tests::attack::{F, message};
use ssh_tests::hostile::Victim;
use ssh_tests::{ClientApp, Hostile, Job, Mode, Pair, ServerApp, Stage, fixtures, take};

/// A client of these algorithms at its first turn to authenticate.
fn client(cipher: &str, mac: &str) -> Hostile<ClientConnection> {
    let mode = Mode::PLAIN;
    let pair = Pair::builder(mode).client(|b| b.ciphers([cipher]).macs([mac]));
    let mut h = Hostile::with_connection(pair.build().client, mode.chunking);
    h.advance_to(Stage::Service);
    h
}

/// Each cipher, with each MAC where it takes one.
fn suites() -> Vec<(&'static str, &'static str)> {
    let provider = fixtures::provider();
    let mut suites = Vec::new();
    for cipher in provider.ciphers.iter() {
        let macs = provider.macs.iter().map(|mac| mac.name());
        let used = if cipher.is_aead() { 1 } else { usize::MAX };
        suites.extend(macs.take(used).map(|mac| (cipher.name(), mac)));
    }
    suites
}

fn turn(h: &mut Hostile<ClientConnection>) -> AuthTurn {
    take!(h.events, ClientEvent::Auth(turn) => turn)
}

/// The bytes that the client sends now.
fn sent(h: &mut Hostile<ClientConnection>) -> usize {
    let mut out = BytesMut::new();
    while h.connection.poll_transmit(h.now, &mut out).is_some() {}
    assert!(!out.is_empty());
    out.len()
}

fn secret(length: usize) -> Password {
    Password::new(vec![b'p'; length])
}

/// The lengths seen for each of these, as many as differ.
fn seen(
    suite: (&str, &str),
    lengths: impl IntoIterator<Item = usize>,
    send: impl Fn(&mut Hostile<ClientConnection>, usize),
) -> BTreeSet<usize> {
    let seen = lengths.into_iter().map(|length| {
        let mut h = client(suite.0, suite.1);
        send(&mut h, length);
        sent(&mut h)
    });
    seen.collect()
}

/// A sample of 1 to 64 with both ends; each is a handshake.
const SHORT: [usize; 12] = [1, 2, 3, 7, 8, 15, 16, 31, 32, 47, 63, 64];
const LONG: [usize; 5] = [65, 72, 80, 127, 128];

fn password(h: &mut Hostile<ClientConnection>, length: usize) {
    let turn = turn(h);
    h.connection.auth_password(turn, &secret(length)).unwrap();
}

#[test]
fn o6_passwords_of_one_to_64_bytes_look_the_same() {
    for suite in suites() {
        let short = seen(suite, SHORT, password);
        let long = seen(suite, LONG, password);
        assert_eq!(short.len(), 1, "{suite:?}: {short:?}");
        assert_eq!(long.len(), 1, "{suite:?}: {long:?}");
        assert_ne!(short, long, "{suite:?}: in steps, not all alike");
    }
}

/// Every length there is, in one suite.
#[test]
fn o6_no_length_stands_out() {
    let suite = suites()[0];
    assert_eq!(seen(suite, 0..=64, password).len(), 1);
    assert_eq!(seen(suite, [960, 961, 1000, 1024], password).len(), 2);
}

#[test]
fn o6_changed_passwords_look_the_same() {
    for suite in suites() {
        let lengths = seen(suite, SHORT, |h, length| {
            let change = message(60, &[F::S(b"old"), F::S(b"")]);
            password(h, 5);
            h.exchange();
            h.peer.drain();
            h.peer.send_payload(&change);
            h.exchange();
            let turn = turn(h);
            let (old, new) = (secret(65 - length), secret(length));
            let client = &mut h.connection;
            client.auth_password_change(turn, &old, &new).unwrap();
        });
        assert_eq!(lengths.len(), 1, "{suite:?}: {lengths:?}");
    }
}

/// Brings the client to this many prompts.
fn prompts(h: &mut Hostile<ClientConnection>, count: usize) -> PromptsRequest {
    let turn = turn(h);
    h.connection.auth_keyboard_interactive(turn, "").unwrap();
    h.exchange();
    h.peer.drain();
    h.peer.send(&UserauthInfoRequest {
        name: b"",
        instruction: b"",
        language: b"",
        prompts: vec![(&b"?"[..], false); count],
    });
    h.exchange();
    take!(h.events, ClientEvent::Prompts(request) => request)
}

#[test]
fn o6_answers_to_prompts_look_the_same() {
    for suite in suites() {
        for count in [1, 2, 3] {
            let lengths = seen(suite, [1, 8, 33, 64], |h, length| {
                let asked = prompts(h, count);
                let answers: Vec<_> = (0..count)
                    .map(|i| secret(if i == 0 { length } else { 65 - length }))
                    .collect();
                h.connection.answer_prompts(asked, &answers).unwrap();
            });
            assert_eq!(lengths.len(), 1, "{suite:?}, {count} prompts: {lengths:?}");
        }
    }
    // More than can be hidden one by one.
    let lengths = seen(suites()[0], [1, 5, 9, 19], |h, length| {
        let asked = prompts(h, 10);
        let answers: Vec<_> = (0..10).map(|_| secret(length)).collect();
        h.connection.answer_prompts(asked, &answers).unwrap();
    });
    assert_eq!(lengths.len(), 1, "{lengths:?}");
}

/// The host key algorithms of the latest `KEXINIT` that the client sent.
fn offered(h: &Hostile<ClientConnection>) -> Vec<String> {
    let payload = h.peer.peer_kexinit.as_ref().unwrap();
    let init = KexInit::from_payload(payload).unwrap();
    init.host_key.iter().map(str::to_owned).collect()
}

/// The order offered is that of the config: neither the user, nor randomness, nor the server, nor
/// a key that was accepted changes it. Whoever wants to tell the server which key is known does so
/// by the config.
#[test]
fn o7_the_order_of_host_keys_is_that_of_the_config() {
    let provider = fixtures::provider();
    let all: Vec<&str> = provider.signatures.iter().map(|s| s.name()).collect();
    let reversed: Vec<&str> = all.iter().rev().copied().collect();
    assert!(all.len() > 1);
    for (configured, expected) in [
        (None, &all),
        (Some(&all), &all),
        (Some(&reversed), &reversed),
    ] {
        let kinds = [
            (1, "ferris", "ssh-ed25519"),
            (7, "corro", "ecdsa-sha2-nistp521"),
        ];
        for (seed, user, key_type) in kinds {
            let mode = Mode {
                seed,
                ..Mode::PLAIN
            };
            let fresh = || {
                let pair = Pair::builder(mode).user(user).client(|b| match configured {
                    Some(names) => b.host_key_algorithms(names.iter().copied()),
                    None => b,
                });
                let mut h = Hostile::with_connection(pair.build().client, mode.chunking);
                h.peer.identification = format!("SSH-2.0-{user}").into_bytes();
                h.peer.host_key = fixtures::key(key_type, seed);
                h.peer.offer.host_keys = vec![key_type.into()];
                h
            };
            let mut h = fresh();
            h.advance_to(Stage::KexInit);
            assert_eq!(&offered(&h), expected, "at first");
            let mut h = fresh();
            h.advance_to(Stage::Authenticated);
            h.rekey();
            assert_eq!(&offered(&h), expected, "once a key is accepted");
        }
    }
}

/// What each connection draws comes from the source that it was given, and from nowhere else:
/// beside another connection it does the same to the byte, and with another source, otherwise.
#[test]
fn o5_each_connection_has_its_own_randomness() {
    let pair = |seed| {
        let mut pair = Pair::new(Mode {
            seed,
            ..Mode::PLAIN
        });
        pair.record();
        pair
    };
    let play = |pairs: &mut [Pair]| {
        let apps = || {
            let job = Job::with_input("echo", "hello");
            (ClientApp::new([job]).then_disconnect(), ServerApp::new())
        };
        let mut apps: Vec<_> = pairs.iter().map(|_| apps()).collect();
        let mut busy = true;
        while busy {
            busy = false;
            for (pair, (client, server)) in pairs.iter_mut().zip(&mut apps) {
                busy |= pair.step(client, server);
            }
        }
        pairs.iter_mut().map(Pair::transcripts).collect::<Vec<_>>()
    };
    let alone = play(&mut [pair(5)]).remove(0);
    let together = play(&mut [pair(5), pair(6), pair(5)]);
    for same in [&together[0], &together[2]] {
        alone.0.assert_same(&same.0);
        alone.1.assert_same(&same.1);
    }
    // Nothing random of the one is in the other: 8 bytes in a row of what is behind NEWKEYS.
    let other = &together[1].0.sent;
    let tail = alone.0.sent.len() - 400;
    let windows: BTreeSet<_> = alone.0.sent[tail..].windows(8).collect();
    assert!(other.windows(8).all(|window| !windows.contains(window)));
}

/// Cookies and ephemeral keys differ from connection to connection and from exchange to exchange.
#[test]
fn o5_nothing_random_is_used_twice() {
    let mut cookies = BTreeSet::new();
    let mut ephemeral = BTreeSet::new();
    for seed in 0..8 {
        let mode = Mode {
            seed,
            ..Mode::PLAIN
        };
        let mut h =
            Hostile::<ClientConnection>::with_connection(Pair::new(mode).client, mode.chunking);
        h.advance_to(Stage::Authenticated);
        for exchange in 0..3 {
            let payload = h.peer.peer_kexinit.clone().unwrap();
            let init = KexInit::from_payload(&payload).unwrap();
            assert!(cookies.insert(init.cookie), "exchange {exchange}");
            h.peer.drain();
            h.peer.send_kexinit();
            h.exchange();
            h.peer.expect(number::KEXINIT);
            let init = h.peer.expect(number::KEX_ECDH_INIT);
            let KexEcdhInit { public } = init.decode();
            assert!(ephemeral.insert(public.to_vec()), "exchange {exchange}");
            let reply = h.peer.make_reply(&init);
            h.peer.send_reply(&reply);
            h.exchange();
            h.peer.expect(number::NEWKEYS);
            h.peer.send_newkeys();
            h.exchange();
        }
    }
}

/// Two marks that a peer sends, to find them in what is said about it.
const MARKS: [&[u8]; 2] = [b"marked-by-the-peer-1", b"marked-otherwise-222"];

/// What goes wrong, each with a mark in it.
fn wrong(role: Role) -> Vec<(Stage, Vec<u8>)> {
    let on_server = role == Role::Server;
    MARKS
        .iter()
        .flat_map(|mark| {
            let service = [F::S(mark)];
            let request = [F::S(mark), F::S(mark), F::S(mark), F::B(7), F::S(mark)];
            let cut = |payload: Vec<u8>| payload[..payload.len() - 2].to_vec();
            let list = [&[number::KEXINIT][..], &[0; 16], &[0, 0, 0, 20], mark].concat();
            let mut cases = vec![
                (Stage::Identified, list),
                (Stage::NewKeys, message(30, &[F::S(mark)])),
                (Stage::NewKeys, message(7, &[F::U(9), F::S(mark)])),
                (Stage::Channel, cut(message(80, &[F::S(mark)]))),
                (Stage::Channel, cut(message(90, &[F::S(mark)]))),
                (Stage::Channel, cut(message(98, &[F::U(0), F::S(mark)]))),
                (Stage::Channel, cut(message(94, &[F::U(0), F::S(mark)]))),
                (Stage::Channel, message(91, &[F::U(77), F::Raw(mark)])),
            ];
            if on_server {
                cases.push((Stage::NewKeys, message(5, &service)));
                cases.push((Stage::Service, cut(message(50, &request))));
                cases.push((Stage::Service, message(50, &request)));
            } else {
                cases.push((Stage::NewKeys, message(6, &service)));
            }
            cases
        })
        .collect()
}

/// What a peer is told of its fault: the same whatever it sent.
fn told<E: Victim>() {
    let cases = wrong(E::ROLE);
    let told: Vec<Vec<Vec<u8>>> = cases
        .iter()
        .map(|(stage, payload)| {
            let mut h = Hostile::<E>::at(*stage, Mode::PLAIN);
            h.peer.drain();
            h.send_payload(payload);
            assert!(h.ended.is_some(), "{stage:?}: {payload:?}");
            let packets = h.peer.drain();
            packets.iter().map(|p| p.payload.to_vec()).collect()
        })
        .collect();
    let (one, other) = told.split_at(told.len() / 2);
    for ((one, other), (stage, payload)) in one.iter().zip(other).zip(&cases) {
        assert_eq!(one, other, "{stage:?}: {payload:?}");
        assert!(!one.is_empty(), "{stage:?}: {payload:?}");
        for said in one {
            let mut found = said.windows(8).filter(|w| MARKS[0][..8] == **w);
            assert_eq!(found.next(), None, "{stage:?}: {payload:?}");
        }
    }
}

#[test]
fn p3_the_text_of_errors_is_constant() {
    told::<ServerConnection>();
    told::<ClientConnection>();
}
