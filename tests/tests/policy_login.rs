//! How a login fails, and how long and by which algorithms it may go on.

use std::time::Duration;

use bytes::Bytes;
use ssh_proto::crypto::SigningKey;
use ssh_proto::error::{ApiMisuse, DisconnectReason, Error};
use ssh_proto::wire::extension::ExtInfo;
use ssh_proto::wire::number;
use ssh_proto::{
    AuthRequest, ClientEvent, Connection, Disconnected, Event, Incoming, Limits, LoginFailure,
    MethodSet, Prompt, Prompts, ServerConnection, ServerEvent, Timer,
};
use ssh_tests::attack::{F, message};
use ssh_tests::rng::FailingRng;
use ssh_tests::{Hostile, Login, Mode, Pair, Stage, fixtures, for_each_chunking, for_each_mode};

type Server = Hostile<ServerConnection>;

/// A server that asks before it computes, whose hostile client has sent its `KEXINIT`.
fn hostile(mode: Mode, limits: impl FnOnce(&mut Limits)) -> Server {
    let pair = Pair::builder(mode.without_rekeys())
        .server(|config| config.ask_before_kex(true))
        .server_limits(limits)
        .build();
    let mut hostile = Hostile::with_connection(pair.server, mode.chunking);
    hostile.peer.offer.kex = vec!["curve25519-sha256".into()];
    hostile.advance_to(Stage::KexInit);
    hostile
}

fn question(hostile: &mut Server) -> Incoming {
    match hostile.take_event(|event| matches!(event, ServerEvent::Incoming(_))) {
        ServerEvent::Incoming(incoming) => incoming,
        _ => unreachable!(),
    }
}

fn request(user: &[u8], method: &[u8], rest: &[F<'_>]) -> Vec<u8> {
    let head = message(50, &[F::S(user), F::S(b"ssh-connection"), F::S(method)]);
    [&head, &message(0, rest)[1..]].concat()
}

fn password(user: &[u8]) -> Vec<u8> {
    request(user, b"password", &[F::B(0), F::S(b"wrong")])
}

fn query(key: &dyn SigningKey) -> Vec<u8> {
    let name = key.algorithms()[0].as_bytes();
    let fields = [F::B(0), F::S(name), F::S(key.public_key().as_blob())];
    request(b"ferris", b"publickey", &fields)
}

fn auth(h: &mut Server) -> AuthRequest {
    match h.take_event(|event| matches!(event, ServerEvent::Auth(_))) {
        ServerEvent::Auth(request) => request,
        _ => unreachable!(),
    }
}

/// A wrong password, refused.
fn fail(h: &mut Server) {
    h.send_payload(&password(b"ferris"));
    let request = auth(h);
    h.connection.reject_auth(request, None).unwrap();
    h.exchange();
}

/// A client that leaves without a word, or with one, at every stage: nothing was tried.
#[test]
fn a_client_that_only_looked() {
    for_each_chunking(|mode| {
        for stage in [
            Stage::Start,
            Stage::Identified,
            Stage::KexInit,
            Stage::BeforeNewKeys,
            Stage::NewKeys,
            Stage::Service,
        ] {
            let bye = message(1, &[F::U(11), F::S(b"bye"), F::S(b"")]);
            for said in [false, true] {
                let mut h = Server::at(stage, mode);
                assert_eq!(h.connection.login_failure(), None, "it is open");
                match said && stage > Stage::Start {
                    true => h.send_payload(&bye),
                    false => h.eof(),
                }
                let failure = h.connection.login_failure();
                assert_eq!(failure, Some(LoginFailure::NotTried), "{stage:?}");
            }
        }
        // Asking for the methods, and whether a key would do, is looking as well.
        let mut h = Server::at(Stage::Service, mode);
        h.send_payload(&request(b"ferris", b"none", &[]));
        let none = auth(&mut h);
        h.connection.reject_auth(none, None).unwrap();
        h.send_payload(&query(&*fixtures::user_key()));
        h.take_event(|event| matches!(event, ServerEvent::KeyQuery(_)));
        h.exchange();
        h.eof();
        let failure = h.connection.login_failure();
        assert_eq!(failure, Some(LoginFailure::NotTried));
        // Nothing in common.
        let mut h = Server::at(Stage::Identified, mode);
        h.peer.offer.kex = vec!["diffie-hellman-group1-sha1".into()];
        h.peer.send_kexinit();
        h.assert_disconnected(DisconnectReason::KEY_EXCHANGE_FAILED);
        let failure = h.connection.login_failure();
        assert_eq!(failure, Some(LoginFailure::NotTried));
    });
}

/// What ends a login on the server, from its own side and the client's, and how it is told.
#[test]
fn every_failed_login_is_told() {
    type End = fn(Mode) -> Server;
    fn service(mode: Mode) -> Server {
        Server::at(Stage::Service, mode)
    }
    let ends: [(LoginFailure, End); 17] = [
        (LoginFailure::Failed, |mode| {
            let mut h = service(mode);
            fail(&mut h);
            h.eof();
            h
        }),
        (LoginFailure::Failed, |mode| {
            let mut h = service(mode);
            for _ in 0..6 {
                fail(&mut h);
            }
            h
        }),
        (LoginFailure::Failed, |mode| {
            let mut h = service(mode);
            for _ in 0..16 {
                h.send_payload(&query(&*fixtures::user_key()));
                h.events.clear();
            }
            h.exchange();
            h
        }),
        (LoginFailure::Failed, |mode| {
            let mut h = service(mode);
            fail(&mut h);
            let reason = DisconnectReason::BY_APPLICATION;
            h.connection.disconnect(h.now, reason, "enough");
            h
        }),
        (LoginFailure::UnknownUser, |mode| {
            let mut h = service(mode);
            h.send_payload(&password(b"nobody"));
            let request = auth(&mut h);
            h.connection.reject_unknown_user(request, None).unwrap();
            h.eof();
            h
        }),
        (LoginFailure::UnknownUser, |mode| {
            let mut h = service(mode);
            h.send_payload(&password(&[b'n'; 1000]));
            h
        }),
        (LoginFailure::GraceExceeded, |mode| {
            let mut h = service(mode);
            fail(&mut h);
            h.advance(Duration::from_secs(121));
            h
        }),
        (LoginFailure::GraceExceeded, |mode| {
            let mut h = Server::at(Stage::KexInit, mode);
            h.advance(Duration::from_secs(61));
            h
        }),
        (LoginFailure::ProtocolViolation, |mode| {
            let mut h = Server::new(mode);
            h.peer.push_bytes(b"GET / HTTP/1.1\r\n\r\n");
            h.exchange();
            h
        }),
        (LoginFailure::ProtocolViolation, |mode| {
            let mut h = service(mode);
            fail(&mut h);
            h.send_payload(&message(90, &[]));
            h
        }),
        (LoginFailure::ProtocolViolation, |mode| {
            let mut h = service(mode);
            h.send_payload(&request(b"ferris", b"password", &[F::B(0)]));
            h
        }),
        (LoginFailure::Refused, |mode| {
            let mut h = hostile(mode, |_| ());
            h.peer.send_kex_init();
            h.exchange();
            let incoming = question(&mut h);
            let reason = DisconnectReason::HOST_NOT_ALLOWED_TO_CONNECT;
            h.connection.refuse(incoming, reason, "").unwrap();
            h
        }),
        (LoginFailure::Refused, |mode| {
            let mut h = hostile(mode, |_| ());
            h.peer.send_kex_init();
            h.exchange();
            drop(question(&mut h));
            h
        }),
        (LoginFailure::Ours, |mode| {
            let mut h = hostile(mode, |limits| limits.login_grace = None);
            h.peer.send_kex_init();
            h.advance(Duration::from_secs(121));
            h
        }),
        (LoginFailure::Ours, |mode| {
            let mut h = service(mode);
            let reason = DisconnectReason::BY_APPLICATION;
            h.connection.disconnect(h.now, reason, "shutting down");
            h
        }),
        (LoginFailure::Ours, |mode| {
            let key = fixtures::host_key();
            let remote = ssh_proto::HostKey::Remote {
                key: key.public_key().clone(),
                algorithms: key.algorithms().to_vec(),
            };
            let config = |config: ssh_proto::ServerConfigBuilder| config.host_key(remote);
            let pair = Pair::builder(mode.without_rekeys()).server(config).build();
            let mut h = Server::with_connection(pair.server, mode.chunking);
            h.advance_to(Stage::KexInit);
            h.peer.send_kex_init();
            h.exchange();
            let is_sign =
                |event: &ServerEvent| matches!(event, ServerEvent::Shared(Event::Sign(_)));
            drop(h.take_event(is_sign));
            h
        }),
        (LoginFailure::Internal, |mode| {
            let config = fixtures::server_config().build().unwrap();
            let random = Box::new(FailingRng::new(1, 2));
            let now = ssh_proto::Instant::EPOCH + Duration::from_secs(1000);
            let server = ServerConnection::new(&config, random, now).unwrap();
            let mut h = Server::with_connection(server, mode.chunking);
            h.advance_to(Stage::KexInit);
            h.peer.send_kex_init();
            h.exchange();
            h
        }),
    ];
    for_each_chunking(|mode| {
        for (at, (failure, end)) in ends.iter().enumerate() {
            let mut h = end(mode);
            h.exchange();
            assert!(h.ended.is_some(), "{at}");
            let told = h.connection.login_failure();
            assert_eq!(told, Some(*failure), "{at}: {:?}", h.ended);
        }
        // A login that succeeded has not failed, whatever comes.
        let mut h = Server::at(Stage::Authenticated, mode);
        assert_eq!(h.connection.login_failure(), None);
        h.send_payload(&[0]);
        assert!(h.ended.is_some());
        assert_eq!(h.connection.login_failure(), None);
    });
}

/// G19: methods of many slow steps have the same grace in all, and no more.
#[test]
fn g19_slow_methods_have_one_grace() {
    let prompts = Prompts::new("", "", [Prompt::new("code: ", false)]);
    let seconds = Duration::from_secs;
    for_each_chunking(|mode| {
        // Either side may be the slow one; a failure that is withheld is no way around it.
        for (client, server) in [(25, 0), (0, 25), (13, 12)] {
            let methods = MethodSet::KEYBOARD_INTERACTIVE | MethodSet::PASSWORD;
            let pair = Pair::builder(mode.without_rekeys())
                .server(|config| config.auth_methods(methods))
                .server_limits(|limits| limits.auth_failure_delay = Some(seconds(3)))
                .build();
            let mut h = Server::with_connection(pair.server, mode.chunking);
            let start = h.now;
            h.advance_to(Stage::Service);
            h.send_payload(&request(
                b"ferris",
                b"keyboard-interactive",
                &[F::S(b""), F::S(b"")],
            ));
            while h.ended.is_none() {
                let question = auth(&mut h);
                h.advance(seconds(server));
                if h.ended.is_some() {
                    let late = h.connection.prompt_auth(question, &prompts);
                    assert_eq!(late, Err(ApiMisuse::StaleToken));
                    break;
                }
                h.connection.prompt_auth(question, &prompts).unwrap();
                h.exchange();
                h.peer.expect(60);
                h.advance(seconds(client));
                if h.ended.is_none() {
                    h.send_payload(&message(61, &[F::U(1), F::S(b"123456")]));
                }
            }
            assert_eq!(h.now, start + seconds(125));
            h.assert_disconnected(DisconnectReason::BY_APPLICATION);
            let error = Error::Timeout(Timer::LoginGrace);
            assert_eq!(h.ended, Some(Disconnected::Error(error)));
            let failure = h.connection.login_failure();
            assert_eq!(failure, Some(LoginFailure::GraceExceeded));
        }
    });
}

/// A second `EXT_INFO` (OpenSSH's `ext-info-in-auth@openssh.com`): what a user's keys may sign with.
#[test]
fn algorithms_narrow_with_the_user() {
    const LEFT: &str = "ecdsa-sha2-nistp256";
    for_each_mode(|mode| {
        let ecdsa = fixtures::key(LEFT, 7);
        let mut login = Login::new(Pair::new(mode));
        let narrow = |login: &mut Login, names: &[&str]| {
            login.pair.server.announce_signature_algorithms(names)
        };
        assert_eq!(narrow(&mut login, &[LEFT]), Err(ApiMisuse::WrongAnswer));
        let request = login.password("wrong");
        let unknown = narrow(&mut login, &[LEFT, "ssh-dss"]);
        assert_eq!(unknown, Err(ApiMisuse::UnsupportedKey));
        assert_eq!(narrow(&mut login, &[LEFT]), Ok(true));
        assert_eq!(narrow(&mut login, &[LEFT]), Err(ApiMisuse::WrongAnswer));
        login.reject(request);
        // The client has read it ahead of the failure.
        let told: Vec<Bytes> = login
            .client
            .events
            .iter()
            .filter_map(|event| match event {
                ClientEvent::Shared(Event::ExtInfo(info)) => info.value("server-sig-algs"),
                _ => None,
            })
            .map(Bytes::copy_from_slice)
            .collect();
        assert_eq!(told.len(), 2);
        assert_eq!(told[1], LEFT);
        let turn = login.turn();
        let ed25519 = fixtures::user_key();
        login.pair.client.auth_publickey(turn, &*ed25519).unwrap();
        login.run();
        let asked = |event: &ServerEvent| matches!(event, ServerEvent::Auth(_));
        assert!(!login.server.events.iter().any(asked), "it fails unasked");
        let turn = login.turn();
        login.pair.client.auth_publickey(turn, &*ecdsa).unwrap();
        login.run();
        let request = login.request();
        login.accept(request);
        login.assert_authenticated("publickey");
        assert_eq!(narrow(&mut login, &[LEFT]), Err(ApiMisuse::WrongAnswer));
    });
}

/// A client that has not announced it is told nothing; the bound holds all the same.
#[test]
fn algorithms_narrow_for_a_client_that_cannot_be_told() {
    for_each_chunking(|mode| {
        for value in [None, Some(&b"1"[..])] {
            let mut h = Server::at(Stage::NewKeys, mode);
            if let Some(value) = value {
                h.send(&ExtInfo {
                    extensions: vec![(b"ext-info-in-auth@openssh.com", value)],
                });
            }
            h.send_payload(&message(5, &[F::S(b"ssh-userauth")]));
            fail(&mut h);
            h.peer.drain();
            let told = h
                .connection
                .announce_signature_algorithms(&["ecdsa-sha2-nistp256"]);
            assert_eq!(told, Ok(false));
            h.events.clear();
            h.send_payload(&query(&*fixtures::user_key()));
            assert_eq!(h.events.len(), 0, "{:?}", h.events);
            h.peer.expect(number::USERAUTH_FAILURE);
            h.send_payload(&query(&*fixtures::key("ecdsa-sha2-nistp256", 7)));
            let asked = |event: &ServerEvent| matches!(event, ServerEvent::KeyQuery(_));
            assert!(h.events.iter().any(asked));
        }
    });
}
