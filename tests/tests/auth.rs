//! Authentication end to end: each method, several in turn, banners.

use ssh_proto::error::{ApiMisuse, Error};
use ssh_proto::{
    AuthMethod, AuthOutcome, ClientConnection, ClientEvent, Connection, Event, MethodSet, Password,
    ServerEvent,
};
use ssh_tests::{
    ClientApp, Credential, Job, Login, Pair, ServerApp, fixtures, for_each_mode, take,
};

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
