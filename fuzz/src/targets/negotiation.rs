//! Negotiation: what two lists come to, against the rule of RFC 4253 section 7.1 written once more.

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use ssh_proto::error::{Error, PeerIncompatible};
use ssh_proto::wire::kex::{KexEcdhInit, KexEcdhReply, KexInit, NewKeys};
use ssh_proto::wire::{Message, NameList};
use ssh_proto::{Disconnected, Role};

use crate::app::{Watch, limits};
use crate::endpoint::Endpoint;
use crate::link::{client, server};
use crate::peer::{Peer, Protection};
use crate::provider::{CIPHERS, KEX, MACS, SIGNATURE, SIGNATURES, public_key};

/// A `KEXINIT` of the fuzzer's making to each role, and the exchange that follows from it.
pub fn negotiation(data: &[u8]) {
    // As it is.
    let mut u = Unstructured::new(data);
    if let Ok(init) = KexInit::arbitrary(&mut u) {
        exchange(Role::Client, &init, client(&limits()));
        exchange(Role::Server, &init, server(&limits(), false, false));
    }
    // Of names that are known.
    if let Ok(init) = likely(&mut Unstructured::new(data)) {
        exchange(Role::Client, &init, client(&limits()));
        exchange(Role::Server, &init, server(&limits(), false, false));
    }
}

fn likely(u: &mut Unstructured<'_>) -> arbitrary::Result<KexInit<'static>> {
    const MARKERS: [&str; 4] = [
        "ext-info-c",
        "ext-info-s",
        "kex-strict-c-v00@openssh.com",
        "kex-strict-s-v00@openssh.com",
    ];
    let mut list = |known: &[&'static str]| -> arbitrary::Result<NameList<'static>> {
        let mut names = Vec::new();
        for _ in 0..u8::arbitrary(u)? % 6 {
            let index = usize::from(u8::arbitrary(u)?);
            names.push(*known.get(index % (known.len() + 1)).unwrap_or(&"unknown"));
        }
        Ok(NameList::from_names(names))
    };
    Ok(KexInit {
        cookie: [0; 16],
        kex: list(&[&KEX[..], &MARKERS].concat())?,
        host_key: list(&SIGNATURES)?,
        cipher_client_to_server: list(&CIPHERS)?,
        cipher_server_to_client: list(&CIPHERS)?,
        mac_client_to_server: list(&MACS)?,
        mac_server_to_client: list(&MACS)?,
        compression_client_to_server: list(&["none"])?,
        compression_server_to_client: list(&["none"])?,
        languages_client_to_server: b"",
        languages_server_to_client: b"",
        first_kex_packet_follows: false,
        reserved: 0,
    })
}

/// The client's first name that the server has, too.
fn choose<'n>(role: Role, ours: &[&'n str], theirs: &NameList<'_>) -> Option<&'n str> {
    match role {
        Role::Client => ours.iter().find(|name| theirs.contains(name)).copied(),
        Role::Server => theirs
            .iter()
            .find_map(|wanted| ours.iter().find(|name| **name == wanted))
            .copied(),
    }
}

/// Cipher and MAC of a direction.
fn suite<'n>(
    role: Role,
    ciphers: &NameList<'_>,
    macs: &NameList<'_>,
) -> Option<(&'n str, Option<&'n str>)> {
    let cipher = choose(role, &CIPHERS, ciphers)?;
    match CIPHERS[..2].contains(&cipher) {
        true => Some((cipher, None)),
        false => Some((cipher, Some(choose(role, &MACS, macs)?))),
    }
}

fn expected(role: Role, init: &KexInit<'_>) -> Option<String> {
    let kex = choose(role, &KEX, &init.kex)?;
    let host_key = choose(role, &SIGNATURES, &init.host_key)?;
    let up = suite(
        role,
        &init.cipher_client_to_server,
        &init.mac_client_to_server,
    )?;
    let down = suite(
        role,
        &init.cipher_server_to_client,
        &init.mac_server_to_client,
    )?;
    choose(role, &["none"], &init.compression_client_to_server)?;
    choose(role, &["none"], &init.compression_server_to_client)?;
    Some(format!("{kex} {host_key} {up:?} {down:?}"))
}

/// `role` is that of the connection under test.
fn exchange<C: Endpoint>(role: Role, init: &KexInit<'_>, mut watch: Watch<C>) {
    let mut payload = BytesMut::new();
    init.to_payload(&mut payload);
    if payload.len() > 30_000 || KexInit::from_payload(&payload).is_err() {
        return;
    }
    let mut peer = Peer::new(role.peer(), false, Protection::Aead);
    peer.step(0);
    peer.payload(&payload);
    let expected = expected(role, init);
    // A wrong guess announced: the packet that follows is dropped, whatever it is.
    let guess_is_right =
        init.kex.first() == Some(KEX[0]) && init.host_key.first() == Some(SIGNATURES[0]);
    if init.first_kex_packet_follows && !guess_is_right {
        peer.payload(&[30, 1, 2, 3]);
    }
    match role {
        Role::Client => {
            let algorithm = choose(role, &SIGNATURES, &init.host_key).unwrap_or(SIGNATURES[0]);
            let signature = ssh_proto::crypto::Signature::new(algorithm, SIGNATURE);
            peer.send(&KexEcdhReply {
                host_key: public_key(algorithm).as_blob(),
                public: b"server",
                signature: signature.as_encoded(),
            });
        }
        Role::Server => peer.send(&KexEcdhInit { public: b"client" }),
    }
    peer.send(&NewKeys {});
    watch.conn.handle_input(watch.now, peer.take());
    watch.poll();
    let found = watch.negotiated.take();
    let found = found.map(|keys| {
        let suite = |suite: ssh_proto::NegotiatedSuite| (suite.cipher, suite.mac);
        let (up, down) = (suite(keys.client_to_server), suite(keys.server_to_client));
        format!("{} {} {up:?} {down:?}", keys.kex, keys.host_key_algorithm)
    });
    assert_eq!(found, expected, "{init:?}: {:?}", watch.ended);
    if expected.is_none() {
        assert!(
            matches!(
                &watch.ended,
                Some(Disconnected::Error(Error::PeerIncompatible(
                    PeerIncompatible::NoCommonAlgorithm(_)
                )))
            ),
            "{:?}",
            watch.ended
        );
    }
    watch.finish();
}
