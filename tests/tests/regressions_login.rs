//! Failures seen elsewhere on the way to a session, each by its number in the list they were collected in; `regressions.rs` has those of sessions.

use ssh_proto::error::{DisconnectReason, PeerMisbehaved};
use ssh_proto::wire::connection as wire;
use ssh_proto::wire::kex::KexEcdhInit;
use ssh_proto::wire::number;
use ssh_proto::{
    ChannelRequest, ClientConnection, ClientEvent, Connection, Disconnected, Event, Pty,
    ServerConnection, ServerEvent,
};
use ssh_tests::hostile::Victim;
use ssh_tests::{
    App, ClientApp, Connected, Credential, Hostile, Mode, Pair, RawPeer, ServerApp, Stage,
    fixtures, for_each_chunking, for_each_mode, take,
};

/// 12 (minimal#974): key exchange values of zeros, and of the wrong length.
#[test]
fn s8_12_bad_kex_values() {
    for_each_chunking(|mode| {
        for (kex, lengths) in [
            ("curve25519-sha256", [32, 31, 33, 0]),
            ("ecdh-sha2-nistp256", [65, 64, 33, 0]),
            ("mlkem768x25519-sha256", [1216, 1215, 1217, 0]),
        ] {
            for len in lengths {
                let mut hostile = Hostile::<ServerConnection>::new(mode);
                hostile.peer.offer.kex = vec![kex.to_owned()];
                hostile.advance_to(Stage::KexInit);
                hostile.send(&KexEcdhInit {
                    public: &vec![0; len],
                });
                hostile.assert_disconnected(DisconnectReason::KEY_EXCHANGE_FAILED);
                let fault = Disconnected::Error(PeerMisbehaved::BadKexValue.into());
                assert_eq!(hostile.ended, Some(fault), "{kex} {len}");
            }
        }
    });
}

/// 12 (russh#710): 131 terminal modes, and as many as fit; more fail the request alone.
#[test]
fn s8_12_many_terminal_modes() {
    let modes = |count: usize| -> Vec<(u8, u32)> {
        (0..count)
            .map(|i| ((i % 159) as u8 + 1, i as u32))
            .collect()
    };
    let pty = |modes| {
        ChannelRequest::Pty(Pty {
            term: "xterm".into(),
            columns: 80,
            rows: 24,
            width: 0,
            height: 0,
            modes,
        })
    };
    for_each_mode(|mode| {
        for count in [0, 131, 255] {
            let mut c = Connected::new(mode);
            let (at_client, _) = c.open();
            let request = pty(modes(count));
            c.pair.client.request(at_client, &request, true).unwrap();
            c.run();
            let token = take!(c.server.events, ServerEvent::Shared(Event::Request(r)) => r);
            assert_eq!(token.request(), &request);
        }
    });
    for_each_chunking(|mode| {
        let mut hostile = Hostile::<ServerConnection>::at(Stage::Channel, mode);
        for raw in [
            vec![1; 5 * 5_000],
            vec![1, 0, 0],
            vec![],
            vec![0; 10],
            vec![200; 3],
        ] {
            hostile.events.clear();
            hostile.send(&wire::ChannelRequest {
                recipient: 0,
                kind: wire::ChannelRequestKind::Pty(wire::PtyReq {
                    term: b"xterm",
                    columns: 0,
                    rows: u32::MAX,
                    width: 0,
                    height: 0,
                    modes: &raw,
                }),
                want_reply: true,
            });
            assert_eq!(hostile.ended, None);
            // Dropped or refused: an answer comes in any case.
            hostile.events.clear();
            hostile.exchange();
            hostile.expect_skipping_extras(number::CHANNEL_FAILURE);
        }
    });
}

/// 12 (russh#743): name-lists that are empty or end in a comma.
#[test]
fn s8_12_odd_name_lists() {
    fn kexinit_with(peer: &mut RawPeer, edit: impl Fn(&str) -> String) -> Vec<u8> {
        let payload = peer.make_kexinit();
        let mut out = payload[..17].to_vec();
        let mut rest = &payload[17..];
        for _ in 0..10 {
            let len = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let list = edit(std::str::from_utf8(&rest[4..4 + len]).unwrap());
            out.extend((list.len() as u32).to_be_bytes());
            out.extend(list.as_bytes());
            rest = &rest[4 + len..];
        }
        out.extend(rest);
        out
    }
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Identified, mode);
        let comma = |list: &str| match list {
            "" => String::new(),
            list => format!("{list},"),
        };
        let payload = kexinit_with(&mut hostile.peer, comma);
        hostile.peer.send_kexinit_payload(payload);
        hostile.exchange();
        assert_eq!(hostile.ended, None, "one trailing comma is tolerated");

        let mut hostile = Hostile::<E>::at(Stage::Identified, mode);
        let payload = kexinit_with(&mut hostile.peer, |_| String::new());
        hostile.peer.send_kexinit_payload(payload);
        hostile.assert_disconnected(DisconnectReason::KEY_EXCHANGE_FAILED);

        for bad in [",", ",a", "a,,b", "a,,", "a b", "\u{e4}", &"x".repeat(65)] {
            let mut hostile = Hostile::<E>::at(Stage::Identified, mode);
            let payload = kexinit_with(&mut hostile.peer, |_| bad.to_owned());
            hostile.peer.send_kexinit_payload(payload);
            hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
        }
    }
    for_each_chunking(|mode| {
        check::<ClientConnection>(mode);
        check::<ServerConnection>(mode);
    });
}

/// 14 (russh#733): a wrong guess, by method and by host key, is dropped unread; a right one is used.
#[test]
fn s8_14_guesses() {
    for_each_chunking(|mode| {
        for (first_kex, first_host_key, right) in [
            (None, None, true),
            (Some("curve25519-sha256"), None, false),
            (None, Some("ecdsa-sha2-nistp256"), false),
            (
                Some("curve25519-sha256"),
                Some("ecdsa-sha2-nistp256"),
                false,
            ),
        ] {
            let mut hostile = Hostile::<ServerConnection>::at(Stage::Identified, mode);
            let offer = &mut hostile.peer.offer;
            // The server's first choices make a guess right.
            let front = |list: &mut Vec<String>, name: &str| {
                list.retain(|other| other != name);
                list.insert(0, name.to_owned());
            };
            front(&mut offer.kex, first_kex.unwrap_or("mlkem768x25519-sha256"));
            front(
                &mut offer.host_keys,
                first_host_key.unwrap_or("ssh-ed25519"),
            );
            offer.first_kex_packet_follows = true;
            hostile.peer.send_kexinit();
            if !right {
                // Whatever it is.
                hostile.peer.send_payload(&[number::KEX_ECDH_INIT, 1, 2, 3]);
            }
            hostile.exchange();
            hostile.peer.expect(number::KEXINIT);
            assert_eq!(hostile.ended, None);
            hostile.peer.send_kex_init();
            hostile.exchange();
            let reply = hostile.peer.expect(number::KEX_ECDH_REPLY);
            hostile.peer.read_kex_reply(&reply);
            hostile.peer.expect(number::NEWKEYS);
            hostile.peer.send_newkeys();
            hostile.exchange();
            assert_eq!(hostile.ended, None);
        }
    });
}

/// 14 (swift-nio-ssh#243): lines before a server's version, and `SSH-1.99` from servers alone.
#[test]
fn s8_14_version_lines() {
    for_each_chunking(|mode| {
        for (line, good) in [
            (&b"SSH-2.0-x"[..], true),
            (b"SSH-1.99-x", true),
            (b"SSH-1.5-x", false),
        ] {
            let mut hostile = Hostile::<ClientConnection>::new(mode);
            hostile.peer.push_bytes(b"Welcome to\r\n the machine\n\r\n");
            hostile.peer.identification = line.to_vec();
            hostile.peer.send_identification();
            hostile.exchange();
            assert_eq!(hostile.ended.is_none(), good);
            if good {
                let ident = hostile.connection.peer_identification().unwrap();
                assert_eq!(ident.as_bytes(), line);
            } else {
                hostile.assert_closed_silently();
            }
        }
        for lines in [
            &b"Hello\r\nSSH-2.0-x\r\n"[..],
            b"GET / HTTP/1.1\r\n",
            b"SSH-1.99-x\r\n",
        ] {
            let mut hostile = Hostile::<ServerConnection>::new(mode);
            hostile.peer.push_bytes(lines);
            hostile.assert_closed_silently();
        }
    });
}

/// 15 (CVE-2024-45337): A and B are offered, A is proven: the identity is A.
#[test]
fn s8_15_the_proven_key_is_the_identity() {
    for_each_mode(|mode| {
        let (a, b) = (
            fixtures::key("ssh-ed25519", 1),
            fixtures::key("ecdsa-sha2-nistp256", 2),
        );
        let mut client = ClientApp::with_credential(Credential::RemoteKey(a.clone()), []);
        let mut server = ServerApp::new();
        server.keys = [&a, &b]
            .map(|key| (fixtures::USER.into(), key.public_key().clone()))
            .into();
        let mut pair = Pair::new(mode);
        let now = pair.now;
        let mut queries = vec![a.clone(), b.clone(), a.clone(), b.clone()];
        pair.run(
            &mut |connection: &mut ClientConnection, event: ClientEvent| match event {
                ClientEvent::Auth(turn) if !queries.is_empty() => {
                    let key = queries.remove(0);
                    connection.query_publickey(turn, key.public_key()).unwrap();
                }
                event => client.on_event(connection, event, now),
            },
            &mut server,
        );
        for proof in [pair.client.authenticated(), pair.server.authenticated()] {
            assert_eq!(proof.unwrap().key(), Some(a.public_key()));
        }
    });
}
