//! The bounds of authentication end to end: how often and how long a client may try, and how long an answer may take.

use std::time::Duration;

use ssh_proto::error::{ApiMisuse, DisconnectReason, Error, Limit};
use ssh_proto::{ClientEvent, Connection, Disconnected, MethodSet, Password, ServerEvent, Timer};
use ssh_tests::{ClientApp, Inbox, Login, Pair, ServerApp, fixtures, for_each_mode, take};

/// G6: six failures end it, whatever they were made of.
#[test]
fn g6_failures_are_counted() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        for attempt in 1..=6 {
            let request = login.password("wrong");
            login.reject(request);
            let over = login.pair.server_end().is_some();
            assert_eq!(over, attempt == 6, "attempt {attempt}");
        }
        login.assert_server_ended(
            Limit::AuthFailures,
            DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE,
        );
    });
}

/// G6, G27: partial successes count among all requests, so that they have an end.
#[test]
fn g6_requests_are_counted() {
    for_each_mode(|mode| {
        let builder = Pair::builder(mode).server_limits(|limits| limits.auth_requests = 10);
        let mut login = Login::new(builder.build());
        // The request for the service is one of them.
        for _ in 1..10 {
            let request = login.password("right");
            let password = MethodSet::PASSWORD;
            login
                .pair
                .server
                .accept_auth_partially(request, password)
                .unwrap();
            login.run();
            assert_eq!(login.pair.server_end(), None);
        }
        let turn = login.turn();
        login
            .pair
            .client
            .auth_password(turn, &Password::new("x"))
            .unwrap();
        login.run();
        login.assert_server_ended(
            Limit::AuthRequests,
            DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE,
        );
    });
}

/// G6: queries, which prove nothing and cost little, have a bound of their own.
#[test]
fn g6_queries_are_counted() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        let key = fixtures::user_key().public_key().clone();
        for asked in 0..16 {
            let turn = login.turn();
            login.pair.client.query_publickey(turn, &key).unwrap();
            login.run();
            if asked == 15 {
                break;
            }
            let query = take!(login.server.events, ServerEvent::KeyQuery(query) => query);
            login.pair.server.answer_key_query(query, true).unwrap();
            login.run();
        }
        login.assert_server_ended(
            Limit::KeyQueries,
            DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE,
        );
    });
}

/// G12: a failure leaves no earlier than its time, whenever the application answered, and
/// a success at once.
#[test]
fn g12_failures_are_withheld() {
    for_each_mode(|mode| {
        let delay = Duration::from_secs(2);
        let pair = Pair::builder(mode)
            .server_limits(|limits| limits.auth_failure_delay = Some(delay))
            .build();
        let mut login = Login::new(pair);
        let request = login.password("wrong");
        let asked_at = login.pair.now;
        // The application takes a part of the time itself.
        login.pair.now = login.pair.now + Duration::from_millis(700);
        login.reject(request);
        assert!(
            !login
                .client
                .events
                .iter()
                .any(|e| matches!(e, ClientEvent::Auth(_)))
        );
        assert_eq!(login.pair.server.poll_timeout(), Some(asked_at + delay));
        let Login {
            pair,
            client,
            server,
        } = &mut login;
        pair.advance(Duration::from_millis(1299), client, server);
        assert!(
            !client
                .events
                .iter()
                .any(|e| matches!(e, ClientEvent::Auth(_)))
        );
        pair.advance(Duration::from_millis(1), client, server);
        // Longer than the time: at once.
        let request = login.password("wrong again");
        let Login {
            pair,
            client,
            server,
        } = &mut login;
        pair.advance(Duration::from_secs(5), client, server);
        login.reject(request);
        let request = login.password("crab");
        login.accept(request);
        login.assert_authenticated("password");
    });
}

/// G19: the grace counts from the beginning and is reset by nothing.
#[test]
fn g19_login_grace() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        for _ in 0..4 {
            let Login {
                pair,
                client,
                server,
            } = &mut login;
            pair.advance(Duration::from_secs(29), client, server);
            let request = login.password("wrong");
            login.reject(request);
        }
        let Login {
            pair,
            client,
            server,
        } = &mut login;
        pair.advance(Duration::from_secs(3), client, server);
        assert_eq!(pair.server_end(), None);
        pair.advance(Duration::from_secs(1), client, server);
        let timeout = Error::Timeout(Timer::LoginGrace);
        assert_eq!(pair.server_end(), Some(&Disconnected::Error(timeout)));
        // The client reads on once it has chosen its next attempt.
        let turn = login.turn();
        login.pair.client.auth_none(turn).unwrap();
        login.run();
        let pair = &login.pair;
        let Some(Disconnected::ByPeer { reason, .. }) = pair.client_end() else {
            panic!("{:?}", pair.client_end());
        };
        assert_eq!(*reason, DisconnectReason::BY_APPLICATION);
    });
}

/// The grace of a client that wants one, and none after success.
#[test]
fn login_grace_ends_with_success() {
    for_each_mode(|mode| {
        let grace = Some(Duration::from_secs(10));
        let builder = || Pair::builder(mode).limits(|limits| limits.login_grace = grace);
        let mut pair = builder().build();
        pair.to_client.stall(true);
        pair.advance(
            Duration::from_secs(10),
            &mut ClientApp::new([]),
            &mut ServerApp::new(),
        );
        let timeout = Disconnected::Error(Error::Timeout(Timer::LoginGrace));
        assert_eq!(pair.client_end(), Some(&timeout));

        let (mut client, mut server) = (ClientApp::new([]), ServerApp::new());
        let mut pair = builder().build();
        pair.advance(Duration::from_secs(100), &mut client, &mut server);
        assert!(client.authenticated.is_some());
        assert_eq!((pair.client_end(), pair.server_end()), (None, None));
    });
}

/// D4, G15: an application that never answers is not waited for without end.
#[test]
fn decisions_have_a_deadline() {
    for_each_mode(|mode| {
        let mut login = Login::new(
            Pair::builder(mode)
                .server_limits(|limits| {
                    limits.decision_timeout = Some(Duration::from_secs(20));
                    limits.login_grace = None;
                })
                .build(),
        );
        let request = login.password("crab");
        let Login {
            pair,
            client,
            server,
        } = &mut login;
        pair.advance(Duration::from_secs(19), client, server);
        assert_eq!(pair.server_end(), None);
        pair.advance(Duration::from_secs(1), client, server);
        let timeout = Disconnected::Error(Error::Timeout(Timer::Decision));
        assert_eq!(pair.server_end(), Some(&timeout));
        assert_eq!(pair.server.accept_auth(request), Err(ApiMisuse::StaleToken));
        assert!(pair.server.authenticated().is_none());
    });
}

/// D4: the same for host keys, with a deadline where the client has one.
#[test]
fn d4_host_key_undecided() {
    for_each_mode(|mode| {
        let mut pair = Pair::builder(mode)
            .client_limits(|limits| limits.decision_timeout = Some(Duration::from_secs(20)))
            .build();
        let (mut client, mut server) = (Inbox::new(), ServerApp::new());
        pair.advance(Duration::from_secs(20), &mut client, &mut server);
        let timeout = Disconnected::Error(Error::Timeout(Timer::Decision));
        assert_eq!(pair.client_end(), Some(&timeout));
        let check = take!(client.events, ClientEvent::HostKey(check) => check);
        assert_eq!(
            pair.client.accept_host_key(check),
            Err(ApiMisuse::StaleToken)
        );
    });
}
