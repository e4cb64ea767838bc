//! Tokens: dropped they fail closed, foreign or stale ones are refused and change nothing.

use ssh_proto::crypto::Signature;
use ssh_proto::error::{ApiMisuse, DisconnectReason, Error};
use ssh_proto::wire::number;
use ssh_proto::{
    AuthOutcome, AuthRequest, AuthTurn, ChannelError, ChannelKind, ChannelRequest,
    ClientConnection, ClientEvent, Connection, Disconnected, Event, ForgedPacket, GlobalRequest,
    HostKey, HostKeyCheck, Incoming, IncomingChannel, IncomingGlobalRequest, IncomingRequest,
    KeyQuery, OpenFailure, Password, ServerConnection, ServerEvent, SignRequest,
};
use ssh_tests::{
    App, ClientApp, Credential, Hostile, Inbox, Mode, Pair, ServerApp, Stage, fixtures,
    for_each_chunking, for_each_mode, take,
};

/// Tokens travel to other threads.
#[test]
fn tokens_are_send_and_static() {
    fn check<T: Send + 'static>() {}
    check::<HostKeyCheck>();
    check::<AuthTurn>();
    check::<AuthRequest>();
    check::<KeyQuery>();
    check::<SignRequest>();
    check::<Incoming>();
    check::<ForgedPacket>();
    check::<IncomingChannel>();
    check::<IncomingRequest>();
    check::<IncomingGlobalRequest>();
    check::<ClientConnection>();
    check::<ServerConnection>();
}

/// D4: a host key that nobody vouches for ends the connection before anything else is said.
#[test]
fn d4_dropped_host_key_check() {
    for_each_chunking(|mode| {
        for reject in [false, true] {
            let mut hostile = Hostile::<ClientConnection>::at(Stage::KexInit, mode);
            let init = hostile.peer.expect(number::KEX_ECDH_INIT);
            let reply = hostile.peer.make_reply(&init);
            hostile.peer.send_reply(&reply);
            hostile.exchange();
            let check = take!(hostile.events, ClientEvent::HostKey(check) => check);
            assert_eq!(hostile.peer.drain(), [], "not a byte before the verdict");
            match reject {
                true => hostile.connection.reject_host_key(check).unwrap(),
                false => drop(check),
            }
            hostile.assert_disconnected(DisconnectReason::HOST_KEY_NOT_VERIFIABLE);
            assert_eq!(
                hostile.ended,
                Some(Disconnected::Error(Error::HostKeyRejected))
            );
        }
    });
}

/// D5: while the verdict is pending the server's messages are held, in order and bounded, and
/// nothing is sent.
#[test]
fn d5_input_behind_a_pending_verdict() {
    for_each_chunking(|mode| {
        let mut hostile = Hostile::<ClientConnection>::at(Stage::KexInit, mode);
        let init = hostile.peer.expect(number::KEX_ECDH_INIT);
        let reply = hostile.peer.make_reply(&init);
        hostile.peer.send_reply(&reply);
        hostile.peer.send_newkeys();
        hostile.peer.send(&ssh_proto::wire::extension::ExtInfo {
            extensions: vec![(b"server-sig-algs", b"ssh-ed25519")],
        });
        hostile.exchange();
        let check = take!(hostile.events, ClientEvent::HostKey(check) => check);
        assert!(!hostile.connection.wants_read());
        assert_eq!(hostile.peer.drain(), []);
        assert!(
            !hostile
                .events
                .iter()
                .any(|event| format!("{event:?}").contains("KeysChanged"))
        );
        hostile.connection.accept_host_key(check).unwrap();
        hostile.exchange();
        hostile.peer.expect(number::NEWKEYS);
        hostile.expect_skipping_extras(number::SERVICE_REQUEST);
        take!(hostile.events, ClientEvent::Shared(Event::KeysChanged(_)) => ());
        take!(hostile.events, ClientEvent::Shared(Event::ExtInfo(_)) => ());
    });
}

/// D5: no more of it than a bound.
#[test]
fn d5_flood_behind_a_pending_verdict() {
    for_each_chunking(|mode| {
        let mut hostile = Hostile::<ClientConnection>::at(Stage::KexInit, mode);
        let init = hostile.peer.expect(number::KEX_ECDH_INIT);
        let reply = hostile.peer.make_reply(&init);
        hostile.peer.send_reply(&reply);
        hostile.peer.send_newkeys();
        hostile.exchange();
        let mut rounds = 0;
        while hostile.ended.is_none() {
            hostile.peer.push_bytes(&[0; 64 << 10]);
            hostile.exchange();
            rounds += 1;
            assert!(rounds < 200, "megabytes are kept");
        }
        assert!(matches!(
            hostile.ended,
            Some(Disconnected::Error(Error::LimitExceeded(_)))
        ));
        hostile.assert_disconnected(DisconnectReason::BY_APPLICATION);
    });
}

/// D5, U7: `NEWKEYS` while the verdict is pending must not stand for the verdict.
#[test]
fn d5_newkeys_is_no_verdict() {
    for_each_chunking(|mode| {
        let mut hostile = Hostile::<ClientConnection>::at(Stage::KexInit, mode);
        let init = hostile.peer.expect(number::KEX_ECDH_INIT);
        let reply = hostile.peer.make_reply(&init);
        hostile.peer.send_reply(&reply);
        hostile.peer.send_newkeys();
        hostile.exchange();
        let check = take!(hostile.events, ClientEvent::HostKey(check) => check);
        hostile.connection.reject_host_key(check).unwrap();
        hostile.assert_disconnected(DisconnectReason::HOST_KEY_NOT_VERIFIABLE);
        assert!(
            !hostile
                .events
                .iter()
                .any(|event| format!("{event:?}").contains("KeysChanged"))
        );
    });
}

/// D7: range comes before signature, signature before verdict: a weak value never gets so far.
#[test]
fn d7_checks_are_ordered() {
    for_each_chunking(|mode| {
        for weak in [vec![0; 32], vec![1; 31], Vec::new()] {
            let mut hostile = Hostile::<ClientConnection>::new(mode);
            hostile.peer.offer.kex = vec!["curve25519-sha256".to_owned()];
            hostile.advance_to(Stage::KexInit);
            let init = hostile.peer.expect(number::KEX_ECDH_INIT);
            let mut reply = hostile.peer.make_reply(&init);
            reply.public = weak;
            hostile.peer.send_reply(&reply);
            hostile.assert_disconnected(DisconnectReason::KEY_EXCHANGE_FAILED);
            assert!(
                !hostile
                    .events
                    .iter()
                    .any(|e| matches!(e, ClientEvent::HostKey(_)))
            );
        }
        // A key and its signature repeated under another hash.
        let mut hostile = Hostile::<ClientConnection>::at(Stage::KexInit, mode);
        let init = hostile.peer.expect(number::KEX_ECDH_INIT);
        let mut reply = hostile.peer.make_reply(&init);
        let old = hostile
            .peer
            .host_key
            .sign("ssh-ed25519", b"the hash of another exchange");
        reply.signature = old.unwrap().as_encoded().to_vec();
        hostile.peer.send_reply(&reply);
        hostile.assert_disconnected(DisconnectReason::KEY_EXCHANGE_FAILED);
        assert!(
            !hostile
                .events
                .iter()
                .any(|e| matches!(e, ClientEvent::HostKey(_)))
        );
    });
}

/// A pair whose client is about to authenticate; the server's events are kept.
fn at_turn(mode: Mode) -> (Pair, Inbox<ClientConnection>, Inbox<ServerConnection>) {
    let (mut client, mut server) = (Inbox::new(), Inbox::new());
    let mut pair = Pair::new(mode);
    pair.run(&mut client, &mut server);
    let check = take!(client.events, ClientEvent::HostKey(check) => check);
    pair.client.accept_host_key(check).unwrap();
    pair.run(&mut client, &mut server);
    (pair, client, server)
}

#[test]
fn a_dropped_turn_ends_the_connection() {
    for_each_mode(|mode| {
        let (mut pair, mut client, mut server) = at_turn(mode);
        drop(take!(client.events, ClientEvent::Auth(turn) => turn));
        pair.run(&mut client, &mut server);
        assert_eq!(pair.client_end(), Some(&Disconnected::ByApplication));
        let Some(Disconnected::ByPeer { reason, .. }) = pair.server_end() else {
            panic!("{:?}", pair.server_end());
        };
        assert_eq!(*reason, DisconnectReason::AUTH_CANCELLED_BY_USER);
    });
}

#[test]
fn a_dropped_request_is_rejected() {
    for_each_mode(|mode| {
        let (mut pair, mut client, mut server) = at_turn(mode);
        let turn = take!(client.events, ClientEvent::Auth(turn) => turn);
        pair.client
            .auth_password(turn, &Password::new(fixtures::PASSWORD))
            .unwrap();
        pair.run(&mut client, &mut server);
        drop(take!(server.events, ServerEvent::Auth(request) => request));
        pair.run(&mut client, &mut server);
        let turn = take!(client.events, ClientEvent::Auth(turn) => turn);
        assert_eq!(turn.outcome(), &AuthOutcome::Failed);
        assert!(pair.server.authenticated().is_none());
    });
}

#[test]
fn a_dropped_query_says_no() {
    for_each_mode(|mode| {
        let (mut pair, mut client, mut server) = at_turn(mode);
        let turn = take!(client.events, ClientEvent::Auth(turn) => turn);
        let key = fixtures::user_key();
        pair.client.query_publickey(turn, key.public_key()).unwrap();
        pair.run(&mut client, &mut server);
        drop(take!(server.events, ServerEvent::KeyQuery(query) => query));
        pair.run(&mut client, &mut server);
        let turn = take!(client.events, ClientEvent::Auth(turn) => turn);
        assert_eq!(turn.outcome(), &AuthOutcome::Failed);
    });
}

/// A user key that does not sign fails its attempt; the next can be made.
#[test]
fn a_declined_user_signature_fails_the_attempt() {
    for_each_mode(|mode| {
        for explicit in [false, true] {
            let (mut pair, mut client, _) = at_turn(mode);
            let mut server = ServerApp::new();
            let turn = take!(client.events, ClientEvent::Auth(turn) => turn);
            let key = fixtures::user_key();
            pair.client
                .auth_publickey_remote(turn, key.public_key())
                .unwrap();
            pair.run(&mut client, &mut server);
            let request = take!(client.events, ClientEvent::Shared(Event::Sign(r)) => r);
            assert_eq!(request.key(), key.public_key());
            match explicit {
                true => pair.client.decline_signature(request).unwrap(),
                false => drop(request),
            }
            pair.run(&mut client, &mut server);
            let turn = take!(client.events, ClientEvent::Auth(turn) => turn);
            assert_eq!(turn.outcome(), &AuthOutcome::Failed);
            pair.client
                .auth_password(turn, &Password::new(fixtures::PASSWORD))
                .unwrap();
            pair.run(&mut client, &mut server);
            assert_eq!(pair.server.authenticated().unwrap().method(), "password");
        }
    });
}

/// A host key that does not sign ends the connection, at the first exchange and at any other.
#[test]
fn a_declined_host_signature_ends_the_connection() {
    for_each_mode(|mode| {
        for (explicit, signs) in [(false, 0), (true, 0), (false, 1), (true, 1)] {
            let key = fixtures::host_key();
            let remote = HostKey::Remote {
                key: key.public_key().clone(),
                algorithms: key.algorithms().to_vec(),
            };
            let mut pair = Pair::builder(mode).server(|b| b.host_key(remote)).build();
            let (mut client, mut server) = (ClientApp::new([]), ServerApp::new());
            server.signers = vec![key];
            let now = pair.now;
            let mut asked = 0;
            let mut app = |connection: &mut ServerConnection, event: ServerEvent| match event {
                ServerEvent::Shared(Event::Sign(request)) if asked == signs => {
                    asked += 1;
                    match explicit {
                        true => connection.decline_signature(request).unwrap(),
                        false => drop(request),
                    }
                }
                event => {
                    if matches!(event, ServerEvent::Shared(Event::Sign(_))) {
                        asked += 1;
                    }
                    server.on_event(connection, event, now);
                }
            };
            pair.run(&mut client, &mut app);
            if signs > 0 && pair.client_end().is_none() {
                pair.client.rekey().unwrap();
                pair.run(&mut client, &mut app);
            }
            let declined = Disconnected::Error(Error::SignatureDeclined);
            assert_eq!(pair.server_end(), Some(&declined));
        }
    });
}

/// A signature that does not verify is not sent: the question comes anew.
#[test]
fn a_wrong_signature_is_asked_for_again() {
    for_each_mode(|mode| {
        let key = fixtures::host_key();
        let remote = HostKey::Remote {
            key: key.public_key().clone(),
            algorithms: key.algorithms().to_vec(),
        };
        let mut pair = Pair::builder(mode).server(|b| b.host_key(remote)).build();
        let mut client =
            ClientApp::with_credential(Credential::RemoteKey(fixtures::user_key()), []);
        let mut inbox = Inbox::new();
        for wrong in [
            Signature::new("ssh-ed25519", &[0; 64]),
            Signature::new("ssh-ed25519", &[]),
            Signature::new("ecdsa-sha2-nistp256", &[1; 64]),
        ] {
            pair.run(&mut client, &mut inbox);
            let request = take!(inbox.events, ServerEvent::Shared(Event::Sign(r)) => r);
            let answer = pair.server.provide_signature(request, &wrong);
            assert_eq!(answer, Err(ApiMisuse::InvalidSignature));
        }
        pair.run(&mut client, &mut inbox);
        let request = take!(inbox.events, ServerEvent::Shared(Event::Sign(r)) => r);
        let right = key.sign(request.algorithm(), request.message()).unwrap();
        pair.server.provide_signature(request, &right).unwrap();
        let mut server = ServerApp::new();
        server.signers = vec![key];
        pair.run(&mut client, &mut server);
        assert!(pair.client.authenticated().is_some());
    });
}

/// A token of one connection means nothing to another, and is not lost on it either: it fails
/// closed where it belongs.
#[test]
fn foreign_tokens() {
    for_each_mode(|mode| {
        let (mut pair, mut client, mut server) = at_turn(mode);
        let (mut other, mut other_client, mut other_server) = at_turn(mode);
        let turn = take!(client.events, ClientEvent::Auth(turn) => turn);
        assert_eq!(other.client.auth_none(turn), Err(ApiMisuse::ForeignToken));
        pair.run(&mut client, &mut server);
        assert_eq!(
            pair.client_end(),
            Some(&Disconnected::ByApplication),
            "as if dropped"
        );

        // The other goes on undisturbed.
        let turn = take!(other_client.events, ClientEvent::Auth(turn) => turn);
        other.client.auth_none(turn).unwrap();
        other.run(&mut other_client, &mut other_server);
        let request = take!(other_server.events, ServerEvent::Auth(request) => request);
        assert_eq!(
            pair.server.accept_auth(request),
            Err(ApiMisuse::ForeignToken)
        );
        other.run(&mut other_client, &mut other_server);
        assert!(other.server.authenticated().is_none());
        let turn = take!(other_client.events, ClientEvent::Auth(turn) => turn);
        assert_eq!(turn.outcome(), &AuthOutcome::Failed);
    });
}

/// G15: an answer that comes after the end changes nothing.
#[test]
fn stale_tokens() {
    for_each_mode(|mode| {
        let (mut pair, mut client, mut server) = at_turn(mode);
        let turn = take!(client.events, ClientEvent::Auth(turn) => turn);
        pair.client
            .auth_password(turn, &Password::new(fixtures::PASSWORD))
            .unwrap();
        pair.run(&mut client, &mut server);
        let request = take!(server.events, ServerEvent::Auth(request) => request);
        let now = pair.now;
        pair.client
            .disconnect(now, DisconnectReason::BY_APPLICATION, "never mind");
        pair.run(&mut client, &mut server);
        // The server reads on only once it has decided.
        pair.server
            .disconnect(now, DisconnectReason::BY_APPLICATION, "never mind either");
        pair.run(&mut client, &mut server);
        assert_eq!(pair.server.accept_auth(request), Err(ApiMisuse::StaleToken));
        assert!(pair.server.authenticated().is_none());
        pair.run(&mut client, &mut server);
    });
}

/// An authenticated pair that keeps its events.
fn connected(mode: Mode) -> (Pair, Inbox<ClientConnection>, Inbox<ServerConnection>) {
    let mut pair = Pair::new(mode);
    pair.run(&mut ClientApp::new([]), &mut ServerApp::new());
    assert!(pair.server.authenticated().is_some());
    (pair, Inbox::new(), Inbox::new())
}

#[test]
fn dropped_channel_questions_are_refused() {
    for_each_mode(|mode| {
        let (mut pair, mut client, mut server) = connected(mode);
        let refused = pair.client.open_channel(&ChannelKind::Session).unwrap();
        pair.run(&mut client, &mut server);
        drop(take!(server.events, ServerEvent::Shared(Event::ChannelOpen(open)) => open));
        pair.run(&mut client, &mut server);
        let (id, reason) = take!(
            client.events,
            ClientEvent::Shared(Event::ChannelOpenFailed { channel, reason, .. })
                => (channel, reason)
        );
        assert_eq!(
            (id, reason),
            (refused, OpenFailure::ADMINISTRATIVELY_PROHIBITED)
        );
        assert_eq!(pair.client.read(refused), Err(ChannelError::Closed));

        let channel = pair.client.open_channel(&ChannelKind::Session).unwrap();
        pair.run(&mut client, &mut server);
        let open = take!(server.events, ServerEvent::Shared(Event::ChannelOpen(open)) => open);
        pair.server.accept_channel(open).unwrap();
        pair.run(&mut client, &mut server);
        let asked = pair
            .client
            .request(channel, &ChannelRequest::Shell, true)
            .unwrap();
        let global = GlobalRequest::Unknown {
            name: "what?".into(),
            body: "".into(),
        };
        let global = pair.client.global_request(&global, true).unwrap();
        pair.run(&mut client, &mut server);
        drop(take!(server.events, ServerEvent::Shared(Event::Request(request)) => request));
        drop(take!(server.events, ServerEvent::Shared(Event::GlobalRequest(r)) => r));
        pair.run(&mut client, &mut server);
        let (request, success) = take!(
            client.events,
            ClientEvent::Shared(Event::RequestReply { request, success, .. })
                => (request, success)
        );
        assert_eq!((Some(request), success), (asked, false));
        let (request, result) = take!(
            client.events,
            ClientEvent::Shared(Event::GlobalReply { request, result }) => (request, result)
        );
        assert_eq!(Some(request), global);
        assert!(result.is_err());
    });
}

/// H20: a channel that is gone, or a connection that is, makes its questions void.
#[test]
fn h20_questions_outlive_their_channel() {
    for_each_mode(|mode| {
        let (mut pair, mut client, mut server) = connected(mode);
        pair.client.open_channel(&ChannelKind::Session).unwrap();
        pair.run(&mut client, &mut server);
        let open = take!(server.events, ServerEvent::Shared(Event::ChannelOpen(open)) => open);
        let id = open.id();
        assert!(
            pair.server
                .write(id, ssh_proto::DataStream::Data, b"early")
                .is_err()
        );
        pair.cut();
        pair.run(&mut client, &mut server);
        assert_eq!(pair.server_end(), Some(&Disconnected::Eof));
        assert!(pair.server.accept_channel(open).is_err());
        assert_eq!(
            pair.server.write(id, ssh_proto::DataStream::Data, b"late"),
            Err(ChannelError::Closed)
        );
        pair.run(&mut client, &mut server);
    });
}

/// A stale id is an error and never another channel.
#[test]
fn ids_are_not_reused() {
    for_each_mode(|mode| {
        let (mut pair, mut client, mut server) = connected(mode);
        let mut seen = Vec::new();
        for _ in 0..5 {
            let channel = pair.client.open_channel(&ChannelKind::Session).unwrap();
            assert!(!seen.contains(&channel));
            pair.run(&mut client, &mut server);
            let open = take!(server.events, ServerEvent::Shared(Event::ChannelOpen(open)) => open);
            pair.server.accept_channel(open).unwrap();
            pair.run(&mut client, &mut server);
            pair.client.close_channel(channel).unwrap();
            pair.run(&mut client, &mut server);
            let closed = take!(client.events, ClientEvent::Shared(Event::ChannelClosed(id)) => id);
            assert_eq!(closed, channel);
            seen.push(channel);
        }
        pair.client.open_channel(&ChannelKind::Session).unwrap();
        for stale in seen {
            let late = pair
                .client
                .write(stale, ssh_proto::DataStream::Data, b"late");
            assert_eq!(late, Err(ChannelError::Closed));
            assert_eq!(pair.client.close_channel(stale), Err(ChannelError::Closed));
        }
    });
}
