//! Keys replaced while everything goes on (group F): by bytes, packets, age and on demand, by both at once, and what a peer may do meanwhile.

use std::time::Duration;

use ssh_proto::error::{ApiMisuse, DisconnectReason, Error, Limit, PeerMisbehaved};
use ssh_proto::wire::connection::{ChannelData, ChannelEof};
use ssh_proto::wire::connection::{GlobalRequest as WireGlobal, GlobalRequestKind};
use ssh_proto::wire::number;
use ssh_proto::wire::transport::{Disconnect, Ignore};
use ssh_proto::{
    ClientConnection, ClientEvent, Connection, Disconnected, Event, HostKey, ServerConnection,
    ServerEvent, Timer,
};
use ssh_tests::hostile::Victim;
use ssh_tests::{
    App, ClientApp, Hostile, Job, Mode, Pair, ServerApp, Stage, fixtures, for_each_chunking,
    for_each_mode, take,
};

fn both_roles(client: fn(Mode), server: fn(Mode)) {
    for_each_chunking(|mode| {
        client(mode);
        server(mode);
    });
}

/// F1: connection messages behind the peer's own `KEXINIT` end the connection.
#[test]
fn f1_traffic_behind_kexinit() {
    fn check<E: Victim>(mode: Mode) {
        for kind in 0..3 {
            let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
            hostile.peer.send_kexinit();
            match kind {
                0 => hostile.peer.send(&ChannelData {
                    recipient: 0,
                    data: b"late",
                }),
                1 => hostile.peer.send(&WireGlobal {
                    kind: GlobalRequestKind::Keepalive(()),
                    want_reply: true,
                }),
                _ => hostile.peer.send_kexinit(),
            }
            hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
        }
    }
    both_roles(check::<ClientConnection>, check::<ServerConnection>);
}

/// F1: what is legal then is taken.
#[test]
fn f1_transport_messages_pass() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        hostile.peer.send_kexinit();
        hostile.peer.send(&Ignore { data: b"padding" });
        hostile.exchange_answering_kex();
        assert_eq!(hostile.ended, None);
        hostile.peer.send(&ChannelData {
            recipient: 0,
            data: b"in time",
        });
        hostile.exchange();
        let read = hostile.connection.read(hostile.channel.unwrap()).unwrap();
        assert_eq!(&read.unwrap().bytes[..], b"in time");
    }
    both_roles(check::<ClientConnection>, check::<ServerConnection>);
}

/// F2: we began, the peer floods and never answers: replies wait up to a bound, and that bound or
/// the deadline ends it.
#[test]
fn f2_a_peer_that_never_answers() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        hostile.connection.rekey().expect("authenticated");
        hostile.exchange();
        hostile.peer.expect(number::KEXINIT);
        let request = WireGlobal {
            kind: GlobalRequestKind::Unknown {
                name: b"what?",
                body: b"",
            },
            want_reply: true,
        };
        let limit = ssh_proto::Limits::default().deferred_messages;
        let mut sent = 0;
        for _ in 0..2 * limit {
            hostile.peer.send(&request);
            sent += 1;
        }
        // Unanswered questions are refused when their tokens go.
        hostile.holds_events = true;
        loop {
            hostile.exchange();
            let mut any = false;
            while let Some(event) = hostile.connection.next_event() {
                any = true;
                hostile.ended = E::terminal(&event).cloned();
            }
            if !any {
                break;
            }
        }
        hostile.holds_events = false;
        assert!(sent > limit);
        hostile.advance(Duration::from_secs(60));
        let Some(Disconnected::Error(error)) = &hostile.ended else {
            panic!("{:?}", hostile.ended);
        };
        let bounds = [
            Error::LimitExceeded(Limit::DeferredOutput),
            Error::Timeout(Timer::Kex),
        ];
        assert!(bounds.contains(error), "{error:?}");
        let sent: Vec<u8> = hostile.peer.drain().iter().map(|p| p.number()).collect();
        assert_eq!(sent, [number::DISCONNECT], "nothing else passes the gate");
        assert_eq!(hostile.peer.disconnects, [DisconnectReason::BY_APPLICATION]);
        assert!(hostile.connection.is_closed());
    }
    both_roles(check::<ClientConnection>, check::<ServerConnection>);
}

fn counts(mode: Mode, change: impl Fn(&mut ssh_proto::Limits), size: usize) -> (usize, usize) {
    let mut pair = Pair::builder(mode)
        .limits(|limits| {
            limits.peer_rekeys = u32::MAX;
            change(limits);
        })
        .build();
    let job = Job::with_input("echo", vec![5; size]);
    let (mut client, mut server) = (ClientApp::new([job]), ServerApp::new());
    pair.run(&mut client, &mut server);
    assert_eq!(
        client.results[0].stdout.len(),
        size,
        "{:?}",
        pair.client_end()
    );
    assert_eq!(client.exchanges, server.exchanges);
    (client.exchanges.len(), server.exchanges.len())
}

/// F3: each threshold on its own, so without the thresholds of a mode.
#[test]
fn f3_by_bytes_and_by_packets() {
    for_each_chunking(|mode| {
        assert_eq!(counts(mode, |_| {}, 1 << 20).0, 1, "no threshold near");
        let by_bytes = counts(mode, |limits| limits.rekey_bytes = 256 << 10, 1 << 20).0;
        assert!((4..=12).contains(&by_bytes), "{by_bytes}");
        let by_packets = counts(mode, |limits| limits.rekey_packets = 8, 1 << 20).0;
        assert!(by_packets >= 5, "{by_packets}");
    });
}

/// F3: packets, exactly: with a threshold of n, the n-th packet under one key brings `KEXINIT`.
#[test]
fn f3_threshold_exactly() {
    for_each_chunking(|mode| {
        let (client, server) = Pair::builder(mode)
            .limits(|limits| limits.rekey_packets = 10)
            .configs();
        let pair = Pair::from_configs(mode, &client, &server, fixtures::USER);
        let mut hostile = Hostile::with_connection(pair.server, mode.chunking);
        // EXT_INFO is sent by the server alone here; two packets of ours got to this stage.
        hostile.advance_to(Stage::Authenticated);
        let received = 2;
        for sent in received..9 {
            hostile.send(&Ignore { data: b"" });
            assert_eq!(hostile.peer.drain(), [], "after {sent} packets");
        }
        hostile.send(&Ignore { data: b"" });
        hostile.peer.expect(number::KEXINIT);
    });
}

/// F3: by age, while nothing else happens, again and again; without the thresholds of a mode.
#[test]
fn f3_by_age() {
    for_each_chunking(|mode| {
        let mut pair = Pair::builder(mode)
            .limits(|limits| limits.rekey_age = Some(Duration::from_secs(100)))
            .build();
        let (mut client, mut server) = (ClientApp::new([]), ServerApp::new());
        pair.run(&mut client, &mut server);
        for exchanges in 1..5 {
            assert_eq!(client.exchanges.len(), exchanges);
            pair.advance(Duration::from_secs(99), &mut client, &mut server);
            assert_eq!(client.exchanges.len(), exchanges);
            pair.advance(Duration::from_secs(1), &mut client, &mut server);
            assert_eq!(server.exchanges.len(), exchanges + 1);
        }
        assert_eq!((pair.client_end(), pair.server_end()), (None, None));
    });
}

/// F4: on demand by either, and by both at once, with data in flight both ways.
#[test]
fn f4_both_at_once_with_traffic() {
    for_each_mode(|mode| {
        let size = mode.bulk(256 << 10) / 2;
        let input: Vec<u8> = (0..size as u64).map(ssh_tests::app::pattern_byte).collect();
        let mut client = ClientApp::new([
            Job::with_input("echo", input.clone()),
            Job::with_input("echo", input.clone()),
        ]);
        let mut server = ServerApp::new();
        let mut pair = Pair::new(mode);
        let mut round = 0;
        while pair.step(&mut client, &mut server) {
            round += 1;
            // Not before authentication, which is an error of its own.
            if round % 3 == 0 {
                let _ = pair.client.rekey();
            }
            if round % 4 == 0 {
                let _ = pair.server.rekey();
            }
            assert!(round < 1_000_000);
            if client.exchanges.len() > 16 {
                break;
            }
        }
        pair.run(&mut client, &mut server);
        for result in &client.results {
            assert!(
                result.stdout == input,
                "{:?} {:?}",
                pair.client_end(),
                pair.server_end()
            );
            assert!(result.closed && result.status == Some(0));
        }
        assert!(client.exchanges.len() > 3, "{}", client.exchanges.len());
        assert_eq!(client.exchanges, server.exchanges);
    });
}

/// F4: a server that rekeys before its `USERAUTH_SUCCESS` has left must not get ahead of it.
#[test]
fn f4_rekey_between_decision_and_success() {
    for_each_mode(|mode| {
        let (mut client, mut server) = (ClientApp::new([Job::new("exit 4")]), ServerApp::new());
        let mut pair = Pair::new(mode);
        let now = pair.now;
        pair.run(
            &mut client,
            &mut |connection: &mut ServerConnection, event: ServerEvent| {
                let decides = matches!(event, ServerEvent::Auth(_));
                server.on_event(connection, event, now);
                if decides && connection.authenticated().is_some() {
                    connection.rekey().expect("authenticated");
                }
            },
        );
        assert_eq!((pair.client_end(), pair.server_end()), (None, None));
        assert_eq!(client.results[0].status, Some(4));
        assert!(client.exchanges.len() > 1, "the rekey was not forgotten");
    });
}

/// F4: before authentication neither side rekeys.
#[test]
fn f4_not_before_authentication() {
    for_each_mode(|mode| {
        let mut pair = Pair::new(mode);
        let not_yet = Err(Error::ApiMisuse(ApiMisuse::NotAuthenticated));
        assert_eq!(pair.client.rekey(), not_yet);
        let mut refused = 0;
        let mut app = ClientApp::new([]);
        let now = pair.now;
        pair.run(
            &mut |connection: &mut ClientConnection, event: ClientEvent| {
                if let ClientEvent::Auth(_) = &event {
                    assert_eq!(connection.rekey(), not_yet);
                    refused += 1;
                }
                app.on_event(connection, event, now);
            },
            &mut ServerApp::new(),
        );
        assert_eq!(refused, 1);
        pair.cut();
        pair.run(&mut app, &mut ServerApp::new());
        assert_eq!(
            pair.client.rekey(),
            Err(Error::ApiMisuse(ApiMisuse::Closed))
        );
    });
}

/// F5: the peer may not make us exchange keys without end.
#[test]
fn f5_rekey_storm() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Authenticated, mode);
        let budget = ssh_proto::Limits::default().peer_rekeys;
        for _ in 0..budget {
            hostile.rekey();
            assert_eq!(hostile.ended, None);
        }
        // Time gives new budget.
        hostile.now = hostile.now + Duration::from_secs(11);
        for _ in 0..budget {
            hostile.rekey();
            assert_eq!(hostile.ended, None);
        }
        hostile.peer.send_kexinit();
        hostile.assert_disconnected(DisconnectReason::BY_APPLICATION);
        let end = Disconnected::Error(Error::LimitExceeded(Limit::PeerRekeys));
        assert_eq!(hostile.ended, Some(end));
    }
    both_roles(check::<ClientConnection>, check::<ServerConnection>);
}

/// F5: a second exchange before authentication.
#[test]
fn f5_before_authentication() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::NewKeys, mode);
        hostile.peer.send_kexinit();
        hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
        let fault = PeerMisbehaved::RekeyBeforeAuthentication;
        assert_eq!(hostile.ended, Some(Disconnected::Error(fault.into())));
    }
    both_roles(check::<ClientConnection>, check::<ServerConnection>);
}

/// F6: the old key behind `NEWKEYS`, and the new key before it.
#[test]
fn f6_wrong_epoch() {
    fn check<E: Victim>(mode: Mode, early: bool) {
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        hostile.peer.send_kexinit();
        hostile.exchange();
        hostile.expect_skipping_extras(number::KEXINIT);
        if E::ROLE == ssh_proto::Role::Server {
            hostile.peer.send_kex_init();
            hostile.exchange();
            let reply = hostile.peer.expect(number::KEX_ECDH_REPLY);
            hostile.peer.read_kex_reply(&reply);
        } else {
            let init = hostile.peer.expect(number::KEX_ECDH_INIT);
            let reply = hostile.peer.make_reply(&init);
            hostile.peer.send_reply(&reply);
            hostile.exchange();
        }
        hostile.peer.expect(number::NEWKEYS);
        match early {
            true => hostile.peer.seal_with_new_keys(),
            false => {
                hostile.peer.send_payload(&[number::NEWKEYS]);
                hostile.peer.send_sequence = 0;
            }
        }
        hostile.peer.send(&Ignore { data: &[0; 300] });
        hostile.exchange();
        let end = hostile.ended.clone();
        // The encrypted length is garbage under the other key: that may be noticed first.
        let caught = [
            Disconnected::Error(PeerMisbehaved::BadMac.into()),
            Disconnected::Error(PeerMisbehaved::BadPacketLength.into()),
            Disconnected::Error(Limit::PacketLength.into()),
        ];
        assert!(
            end.is_some_and(|end| caught.contains(&end)),
            "{:?}",
            hostile.ended
        );
    }
    for_each_chunking(|mode| {
        for early in [false, true] {
            check::<ClientConnection>(mode, early);
            check::<ServerConnection>(mode, early);
        }
    });
}

/// F7: the rekey may agree on other algorithms; the session id and strictness stay, and markers in
/// it say nothing.
#[test]
fn f7_other_algorithms() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        let id = hostile.connection.session_id().cloned().unwrap();
        for (strict, cipher) in [
            (false, "aes256-ctr"),
            (true, "chacha20-poly1305@openssh.com"),
        ] {
            hostile.events.clear();
            hostile.peer.offer.strict = strict;
            hostile.peer.offer.ciphers = std::array::from_fn(|_| vec![cipher.to_owned()]);
            hostile.peer.offer.kex = vec!["ecdh-sha2-nistp256".to_owned()];
            hostile.rekey();
            let event =
                hostile.take_event(|event| matches!(E::shared(event), Some(Event::KeysChanged(_))));
            let Some(Event::KeysChanged(report)) = E::shared(&event) else {
                unreachable!()
            };
            assert_eq!(report.client_to_server.cipher, cipher);
            assert_eq!(report.kex, "ecdh-sha2-nistp256");
            assert_eq!(report.session_id, id);
            assert!(report.strict_kex && report.is_rekey);
        }
        // Nothing in common ends it.
        hostile.peer.offer.kex = vec!["diffie-hellman-group1-sha1".to_owned()];
        hostile.peer.send_kexinit();
        hostile.assert_disconnected(DisconnectReason::KEY_EXCHANGE_FAILED);
    }
    both_roles(check::<ClientConnection>, check::<ServerConnection>);
}

/// D6, F7: another host key at a rekey is judged anew; rejecting or ignoring it ends it.
#[test]
fn d6_host_key_changes_at_rekey() {
    for_each_chunking(|mode| {
        for verdict in ["accept", "reject", "drop"] {
            let mut hostile = Hostile::<ClientConnection>::at(Stage::Channel, mode);
            let first = hostile.peer.host_key.public_key().clone();
            let other = fixtures::key("ssh-ed25519", 55);
            hostile.peer.host_key = other.clone();
            hostile.rekey();
            let check = take!(hostile.events, ClientEvent::HostKey(check) => check);
            assert_eq!(check.previous(), Some(&first));
            assert_eq!(check.key(), other.public_key());
            match verdict {
                "accept" => {
                    hostile.connection.accept_host_key(check).unwrap();
                    hostile.exchange_answering_kex();
                    assert_eq!(hostile.ended, None);
                    // From now on the new one is known.
                    hostile.events.clear();
                    hostile.rekey();
                    assert!(
                        !hostile
                            .events
                            .iter()
                            .any(|e| matches!(e, ClientEvent::HostKey(_)))
                    );
                    hostile.events.clear();
                    hostile.peer.host_key = fixtures::host_key();
                    hostile.rekey();
                    hostile.take_event(|e| matches!(e, ClientEvent::HostKey(_)));
                    continue;
                }
                "reject" => hostile.connection.reject_host_key(check).unwrap(),
                _ => drop(check),
            }
            hostile.assert_disconnected(DisconnectReason::HOST_KEY_NOT_VERIFIABLE);
            assert_eq!(
                hostile.ended,
                Some(Disconnected::Error(Error::HostKeyRejected))
            );
        }
    });
}

/// F8: the end in each form at each step of a rekey: one terminal event, nothing left hanging.
#[test]
fn f8_the_end_during_rekey() {
    for_each_mode(|mode| {
        for steps in [0, 1, 2, 4, 7] {
            for ending in 0..4 {
                let input = vec![1; 5_000];
                let mut client = ClientApp::new([Job::with_input("echo", input)]);
                let mut server = ServerApp::new();
                let mut pair = Pair::new(mode);
                while client.authenticated.is_none() {
                    assert!(pair.step(&mut client, &mut server));
                }
                let _ = pair.client.rekey();
                for _ in 0..steps {
                    pair.step(&mut client, &mut server);
                }
                let now = pair.now;
                match ending {
                    0 => pair.cut(),
                    1 => pair
                        .client
                        .disconnect(now, DisconnectReason::BY_APPLICATION, "bye"),
                    2 => pair
                        .server
                        .disconnect(now, DisconnectReason::BY_APPLICATION, "bye"),
                    _ => {
                        pair.to_client.stall(true);
                        pair.to_server.stall(true);
                        // Where a rekey is under way its deadline ends it; where not, nothing does.
                        pair.advance(Duration::from_secs(61), &mut client, &mut server);
                        pair.to_client.stall(false);
                        pair.to_server.stall(false);
                        pair.run(&mut client, &mut server);
                        pair.cut();
                    }
                }
                pair.run(&mut client, &mut server);
                assert!(pair.client_end().is_some() && pair.server_end().is_some());
                assert!(pair.client.is_closed() && pair.server.is_closed());
                assert!(!pair.client.wants_write() && !pair.server.wants_read());
            }
        }
    });
}

/// A host key that is held elsewhere and slow: traffic waits, the kex deadline does not run against
/// it, and nothing is lost.
#[test]
fn rekey_waits_for_a_slow_signature() {
    for_each_mode(|mode| {
        let key = fixtures::host_key();
        let remote = HostKey::Remote {
            key: key.public_key().clone(),
            algorithms: key.algorithms().to_vec(),
        };
        let mut pair = Pair::builder(mode).server(|b| b.host_key(remote)).build();
        let input = vec![9; 10_000];
        let mut client = ClientApp::new([Job::with_input("echo", input.clone())]);
        let mut server = ServerApp::new();
        let mut pending = Vec::new();
        let mut rounds = 0;
        let now = pair.now;
        loop {
            pair.run(
                &mut client,
                &mut |connection: &mut ServerConnection, event: ServerEvent| match event {
                    ServerEvent::Shared(Event::Sign(request)) => pending.push(request),
                    event => server.on_event(connection, event, now),
                },
            );
            let Some(request) = pending.pop() else { break };
            assert!(pending.is_empty());
            rounds += 1;
            let signature = key.sign(request.algorithm(), request.message()).unwrap();
            pair.server.provide_signature(request, &signature).unwrap();
        }
        assert_eq!(client.results[0].stdout, input);
        assert_eq!(rounds, server.exchanges.len());
        // Longer than the kex deadline, which is the peer's, but shorter than that of decisions.
        pair.server.rekey().unwrap();
        let mut late = None;
        let mut hold = |connection: &mut ServerConnection, event: ServerEvent| match event {
            ServerEvent::Shared(Event::Sign(request)) => late = Some(request),
            event => server.on_event(connection, event, now),
        };
        pair.run(&mut client, &mut hold);
        pair.now = pair.now + Duration::from_secs(100);
        pair.server.handle_timeout(pair.now);
        pair.run(&mut client, &mut hold);
        let request = late.take().expect("asked");
        assert_eq!(pair.server_end(), None);
        let signature = key.sign(request.algorithm(), request.message()).unwrap();
        pair.server.provide_signature(request, &signature).unwrap();
        server.signers = vec![key];
        pair.run(&mut client, &mut server);
        assert_eq!((pair.client_end(), pair.server_end()), (None, None));
    });
}

/// F8: a `DISCONNECT` of the peer is taken in the middle of an exchange.
#[test]
fn f8_disconnect_in_the_middle() {
    fn check<E: Victim>(mode: Mode) {
        let mut hostile = Hostile::<E>::at(Stage::Channel, mode);
        hostile.peer.send_kexinit();
        hostile.peer.send(&Disconnect {
            reason: DisconnectReason(42),
            description: b"\x1b[31mbye",
            language: b"",
        });
        hostile.peer.send(&ChannelEof { recipient: 0 });
        hostile.exchange();
        let Some(Disconnected::ByPeer {
            reason,
            description,
            ..
        }) = &hostile.ended
        else {
            panic!("{:?}", hostile.ended);
        };
        assert_eq!(*reason, DisconnectReason(42));
        assert!(!description.to_string().contains('\x1b'));
        hostile.assert_closed_silently();
    }
    both_roles(check::<ClientConnection>, check::<ServerConnection>);
}
