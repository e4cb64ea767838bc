//! Authentication end to end: each method, limits, banners, timers.

use std::time::Duration;

use ssh_proto::error::{ApiMisuse, DisconnectReason, Error, Limit};
use ssh_proto::{
    AuthMethod, AuthOutcome, AuthRequest, AuthTurn, ClientConnection, ClientEvent, Connection,
    Disconnected, Event, MethodSet, Password, ServerConnection, ServerEvent, Timer,
};
use ssh_tests::{
    ClientApp, Credential, Inbox, Job, Pair, ServerApp, fixtures, for_each_mode, take,
};

/// A pair whose events the test answers itself, at the client's first turn.
struct Login {
    pair: Pair,
    client: Inbox<ClientConnection>,
    server: Inbox<ServerConnection>,
}

impl Login {
    fn new(pair: Pair) -> Self {
        let (client, server) = (Inbox::new(), Inbox::new());
        let mut login = Self {
            pair,
            client,
            server,
        };
        login.run();
        let check = take!(login.client.events, ClientEvent::HostKey(check) => check);
        login.pair.client.accept_host_key(check).unwrap();
        login.run();
        login
    }

    fn run(&mut self) {
        self.pair.run(&mut self.client, &mut self.server);
    }

    fn turn(&mut self) -> AuthTurn {
        take!(self.client.events, ClientEvent::Auth(turn) => turn)
    }

    fn request(&mut self) -> AuthRequest {
        take!(self.server.events, ServerEvent::Auth(request) => request)
    }

    /// The client sends this password; the server is asked.
    fn password(&mut self, password: &str) -> AuthRequest {
        let turn = self.turn();
        let password = Password::new(password);
        self.pair.client.auth_password(turn, &password).unwrap();
        self.run();
        self.request()
    }

    fn accept(&mut self, request: AuthRequest) {
        self.pair.server.accept_auth(request).unwrap();
        self.run();
    }

    fn reject(&mut self, request: AuthRequest) {
        self.pair.server.reject_auth(request, None).unwrap();
        self.run();
    }

    fn assert_authenticated(&self, method: &str) {
        for proof in [
            self.pair.client.authenticated(),
            self.pair.server.authenticated(),
        ] {
            let proof = proof.expect("authenticated");
            assert_eq!((proof.user(), proof.method()), (fixtures::USER, method));
        }
    }

    fn assert_server_ended(&self, limit: Limit, reason: DisconnectReason) {
        let error = Error::LimitExceeded(limit);
        assert_eq!(self.pair.server_end(), Some(&Disconnected::Error(error)));
        let Some(Disconnected::ByPeer { reason: said, .. }) = self.pair.client_end() else {
            panic!("{:?}", self.pair.client_end());
        };
        assert_eq!(*said, reason);
    }
}

#[test]
fn none_is_enough_where_the_server_says_so() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        let turn = login.turn();
        assert_eq!(turn.outcome(), &AuthOutcome::Start);
        assert_eq!(turn.methods(), None);
        login.pair.client.auth_none(turn).unwrap();
        login.run();
        let request = login.request();
        assert_eq!(request.user(), fixtures::USER);
        assert!(matches!(request.method(), AuthMethod::None));
        login.accept(request);
        login.assert_authenticated("none");
    });
}

#[test]
fn passwords_one_wrong_one_right() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        let request = login.password("wrong");
        let AuthMethod::Password(password) = request.method() else {
            panic!("{request:?}");
        };
        assert!(password.matches(b"wrong") && !password.matches(b"right"));
        login.reject(request);
        let turn = login.turn();
        assert_eq!(turn.outcome(), &AuthOutcome::Failed);
        assert_eq!(turn.methods().unwrap(), ["publickey", "password"]);
        assert!(turn.can_continue("password") && !turn.can_continue("hostbased"));
        assert!(login.pair.client.authenticated().is_none());
        login
            .pair
            .client
            .auth_password(turn, &Password::new("right"))
            .unwrap();
        login.run();
        let request = login.request();
        login.accept(request);
        login.assert_authenticated("password");
    });
}

#[test]
fn a_password_is_changed() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        let request = login.password("old");
        login
            .pair
            .server
            .request_password_change(request, "too old\x1b[2J")
            .unwrap();
        login.run();
        let turn = login.turn();
        let AuthOutcome::PasswordChangeRequired { prompt } = turn.outcome() else {
            panic!("{turn:?}");
        };
        assert!(prompt.starts_with("too old") && !prompt.contains('\x1b'));
        let (old, new) = (Password::new("old"), Password::new("new"));
        login
            .pair
            .client
            .auth_password_change(turn, &old, &new)
            .unwrap();
        login.run();
        let request = login.request();
        match request.method() {
            AuthMethod::PasswordChange { old, new } => {
                assert!(old.matches(b"old") && new.matches(b"new"));
            }
            other => panic!("{other:?}"),
        }
        login.accept(request);
        login.assert_authenticated("password");
    });
}

/// Only a password can be answered with the demand to change it.
#[test]
fn nothing_else_has_a_password_to_change() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        let turn = login.turn();
        login.pair.client.auth_none(turn).unwrap();
        login.run();
        let request = login.request();
        let answer = login
            .pair
            .server
            .request_password_change(request, "why not");
        assert_eq!(answer, Err(ApiMisuse::WrongAnswer));
        login.run();
        assert_eq!(
            login.turn().outcome(),
            &AuthOutcome::Failed,
            "refused instead"
        );
    });
}

#[test]
fn a_password_too_long_gives_the_turn_back() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        let turn = login.turn();
        let long = Password::new(vec![b'x'; 1025]);
        let answer = login.pair.client.auth_password(turn, &long);
        assert_eq!(answer, Err(ApiMisuse::InvalidText));
        login.run();
        let request = login.password("short");
        login.accept(request);
        login.assert_authenticated("password");
    });
}

#[test]
fn keys_in_memory_and_elsewhere() {
    for_each_mode(|mode| {
        for key_type in fixtures::KEY_TYPES {
            for remote in [false, true] {
                let key = fixtures::key(key_type, 31);
                let credential = match remote {
                    false => Credential::Key(key.clone()),
                    true => Credential::RemoteKey(key.clone()),
                };
                let mut client = ClientApp::with_credential(credential, [Job::new("exit 2")]);
                let mut server = ServerApp::new();
                server.keys = vec![(fixtures::USER.into(), key.public_key().clone())];
                let mut pair = Pair::new(mode);
                pair.run(&mut client, &mut server);
                assert_eq!(client.results[0].status, Some(2));
                let proof = server.authenticated.unwrap();
                assert_eq!(proof.key(), Some(key.public_key()));
                assert_eq!(proof.method(), "publickey");
            }
        }
    });
}

#[test]
fn an_unknown_key_is_not_enough() {
    for_each_mode(|mode| {
        let stranger = fixtures::key("ssh-ed25519", 77);
        let mut client = ClientApp::with_credential(Credential::Key(stranger.clone()), []);
        client
            .credentials
            .push_back(Credential::RemoteKey(stranger));
        client
            .credentials
            .push_back(Credential::Key(fixtures::user_key()));
        let mut server = ServerApp::new();
        let mut pair = Pair::new(mode);
        pair.run(&mut client, &mut server);
        let proof = server.authenticated.expect("the last one is known");
        assert_eq!(proof.key(), Some(fixtures::user_key().public_key()));
    });
}

/// G7: a query is answered and grants nothing.
#[test]
fn g7_queries_prove_nothing() {
    for_each_mode(|mode| {
        for usable in [true, false] {
            let mut login = Login::new(Pair::new(mode));
            let key = fixtures::user_key().public_key().clone();
            let turn = login.turn();
            login.pair.client.query_publickey(turn, &key).unwrap();
            login.run();
            let query = take!(login.server.events, ServerEvent::KeyQuery(query) => query);
            assert_eq!((query.user(), query.key()), (fixtures::USER, &key));
            assert_eq!(query.algorithm(), "ssh-ed25519");
            login.pair.server.answer_key_query(query, usable).unwrap();
            login.run();
            let turn = login.turn();
            let expected = match usable {
                true => AuthOutcome::KeyUsable(key),
                false => AuthOutcome::Failed,
            };
            assert_eq!(turn.outcome(), &expected);
            assert!(login.pair.server.authenticated().is_none());
            login.pair.client.auth_none(turn).unwrap();
            login.run();
            let request = login.request();
            assert!(matches!(request.method(), AuthMethod::None));
            login.reject(request);
            assert!(login.pair.server.authenticated().is_none());
        }
    });
}

#[test]
fn two_steps() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        let turn = login.turn();
        login
            .pair
            .client
            .auth_publickey(turn, &*fixtures::user_key())
            .unwrap();
        login.run();
        let request = login.request();
        login
            .pair
            .server
            .accept_auth_partially(request, MethodSet::PASSWORD)
            .unwrap();
        login.run();
        let turn = login.turn();
        assert_eq!(turn.outcome(), &AuthOutcome::PartialSuccess);
        assert_eq!(turn.methods().unwrap(), ["password"]);
        assert!(login.pair.server.authenticated().is_none());
        login
            .pair
            .client
            .auth_password(turn, &Password::new("crab"))
            .unwrap();
        login.run();
        let request = login.request();
        login.accept(request);
        login.assert_authenticated("password");
    });
}

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

#[test]
fn banners_are_shown_escaped() {
    for_each_mode(|mode| {
        let pair = Pair::builder(mode)
            .server(|b| b.banner("Authorised crabs only\x1b]0;title\x07\n"))
            .build();
        let mut login = Login::new(pair);
        let request = login.password("crab");
        // It comes with the first attempt, once.
        let banner = take!(login.client.events, ClientEvent::Banner(banner) => banner);
        let shown = banner.display().to_string();
        assert!(shown.starts_with("Authorised crabs only"), "{shown}");
        assert!(!shown.contains('\x1b') && !shown.contains('\x07'));
        login.pair.server.send_banner("Wait").unwrap();
        login.accept(request);
        take!(login.client.events, ClientEvent::Banner(_) => ());
        login.assert_authenticated("password");
        assert_eq!(
            login.pair.server.send_banner("late"),
            Err(ApiMisuse::WrongAnswer)
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

/// G20: what was accepted without proof says so.
#[test]
fn g20_trivial_success_is_named() {
    for_each_mode(|mode| {
        let mut client = ClientApp::with_credential(Credential::None, []);
        let mut server = ServerApp::new();
        server.admits_all = true;
        Pair::new(mode).run(&mut client, &mut server);
        let proof = client.authenticated.expect("let in");
        assert_eq!((proof.method(), proof.key()), ("none", None));
    });
}

/// G16: user names that are out of bounds never reach the wire or the application.
#[test]
fn g16_user_names() {
    for_each_mode(|mode| {
        let (config, _) = Pair::builder(mode).configs();
        let random = || Box::new(ssh_tests::TestRng::new(1));
        for bad in ["nul\0", &"x".repeat(257)] {
            let made = ClientConnection::new(&config, bad, random(), ssh_proto::Instant::EPOCH);
            assert_eq!(made.err(), Some(Error::ApiMisuse(ApiMisuse::InvalidText)));
        }
        for good in ["-oProxyCommand=x", "$(reboot)", "a b", &"x".repeat(256)] {
            let mut pair = Pair::builder(mode).user(good).build();
            let (mut client, mut server) = (ClientApp::new([]), ServerApp::new());
            server.passwords = vec![(good.to_owned(), fixtures::PASSWORD.to_owned())];
            pair.run(&mut client, &mut server);
            assert_eq!(server.authenticated.expect("a name is a name").user(), good);
        }
    });
}

/// The event comes once on each side, and names the same.
#[test]
fn authenticated_is_reported_once() {
    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        let request = login.password("crab");
        login.accept(request);
        let count = |event: Option<&Event>| matches!(event, Some(Event::Authenticated(_)));
        let clients = login.client.events.iter().filter(|e| match e {
            ClientEvent::Shared(event) => count(Some(event)),
            _ => false,
        });
        let servers = login.server.events.iter().filter(|e| match e {
            ServerEvent::Shared(event) => count(Some(event)),
            _ => false,
        });
        assert_eq!((clients.count(), servers.count()), (1, 1));
    });
}
