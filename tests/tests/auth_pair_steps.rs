//! Logins of several steps between both sides of our own, in every order, with every method, answered early and late.

use std::time::Duration;

use ssh_proto::error::{DisconnectReason, Error};
use ssh_proto::{
    AuthMethod, AuthOutcome, AuthRequest, ClientEvent, Connection, Disconnected, Event,
    LoginFailure, MethodSet, Password, Permissions, Prompt, Prompts, Restrictions, ServerEvent,
    ServerGssapi, Timer,
};
use ssh_tests::{Inbox, Login, Mode, Pair, PairBuilder, fixtures, for_each_mode, take};

const KERBEROS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
const ALL: MethodSet = MethodSet::PUBLICKEY
    .union(MethodSet::PASSWORD)
    .union(MethodSet::KEYBOARD_INTERACTIVE)
    .union(MethodSet::HOSTBASED)
    .union(MethodSet::GSSAPI_WITH_MIC);

fn pair(mode: Mode) -> PairBuilder {
    Pair::builder(mode).server(|config| config.auth_methods(ALL))
}

/// One step, as the client takes it.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// With the user key of this seed.
    Key(u64),
    Password,
    /// In rounds of so many prompts.
    Interactive(&'static [usize]),
    Host,
    Gssapi,
}

impl Step {
    fn method(self) -> &'static str {
        match self {
            Self::Key(_) => "publickey",
            Self::Password => "password",
            Self::Interactive(_) => "keyboard-interactive",
            Self::Host => "hostbased",
            Self::Gssapi => "gssapi-with-mic",
        }
    }

    /// Takes the step as far as its decision, which is the server's.
    fn take(self, login: &mut Login) -> AuthRequest {
        let turn = login.turn();
        let client = &mut login.pair.client;
        match self {
            Self::Key(seed) => client.auth_publickey(turn, &*fixtures::key("ssh-ed25519", seed)),
            Self::Password => client.auth_password(turn, &Password::new("crab")),
            Self::Interactive(_) => client.auth_keyboard_interactive(turn, ""),
            Self::Host => {
                let key = fixtures::key("ssh-ed25519", 51);
                client.auth_hostbased(turn, &*key, "h.example.", "crab")
            }
            Self::Gssapi => client.auth_gssapi(turn, &[KERBEROS]),
        }
        .unwrap();
        login.run();
        let mut request = login.request();
        match self {
            Self::Interactive(rounds) => {
                for count in rounds {
                    request = round(login, request, *count);
                }
            }
            Self::Gssapi => request = context(login, request),
            _ => {}
        }
        request
    }
}

/// The server asks so many prompts, the client answers; what the server is asked next.
fn round(login: &mut Login, request: AuthRequest, count: usize) -> AuthRequest {
    let prompts = Prompts::new("", "", vec![Prompt::new("?", true); count]);
    login.pair.server.prompt_auth(request, &prompts).unwrap();
    login.run();
    let asked = take!(login.client.events, ClientEvent::Prompts(request) => request);
    assert_eq!(asked.prompts(), &prompts);
    let answers: Vec<_> = (0..count).map(|_| Password::new("x")).collect();
    login.pair.client.answer_prompts(asked, &answers).unwrap();
    login.run();
    let request = login.request();
    match request.method() {
        AuthMethod::KeyboardInteractiveResponses(given) => assert_eq!(given.len(), count),
        other => panic!("{other:?}"),
    }
    request
}

/// A context of one token each way, and the MIC.
fn context(login: &mut Login, request: AuthRequest) -> AuthRequest {
    let server = &mut login.pair.server;
    server.select_gssapi_mechanism(request, KERBEROS).unwrap();
    let request = token(login);
    let server = &mut login.pair.server;
    server.gssapi_established(request, Some(b"t")).unwrap();
    login.run();
    let step = take!(login.client.events, ClientEvent::Gssapi(turn) => turn);
    let client = &mut login.pair.client;
    client.gssapi_finish(step, None, Some(b"mic")).unwrap();
    login.run();
    let request = login.request();
    let mic = AuthMethod::Gssapi(ServerGssapi::Mic {
        mic: b"mic"[..].into(),
        message: match request.method() {
            AuthMethod::Gssapi(ServerGssapi::Mic { message, .. }) => message.clone(),
            other => panic!("{other:?}"),
        },
    });
    assert_eq!(format!("{:?}", request.method()), format!("{mic:?}"));
    request
}

/// The client's mechanism sends a token; what the server is asked.
fn token(login: &mut Login) -> AuthRequest {
    login.run();
    let step = take!(login.client.events, ClientEvent::Gssapi(turn) => turn);
    login.pair.client.gssapi_token(step, b"t").unwrap();
    login.run();
    login.request()
}

/// The server is content with a step, but wants one of these methods besides.
fn go_on(login: &mut Login, request: AuthRequest, remaining: MethodSet) {
    let server = &mut login.pair.server;
    server.accept_auth_partially(request, remaining).unwrap();
    login.run();
    let turn = login.turn();
    assert_eq!(turn.outcome(), &AuthOutcome::PartialSuccess);
    let names: Vec<_> = remaining.iter().collect();
    assert_eq!(turn.methods().expect("named"), names);
    login.client.events.push_back(ClientEvent::Auth(turn));
}

fn assert_same_steps(login: &Login, steps: &[Step]) {
    let theirs = login.pair.server.authenticated().expect("authenticated");
    let ours = login.pair.client.authenticated().expect("authenticated");
    assert_eq!(ours.steps(), theirs.steps());
    let methods: Vec<_> = ours.steps().iter().map(|step| step.method).collect();
    let expected: Vec<_> = steps.iter().map(|step| step.method()).collect();
    assert_eq!(methods, expected);
}

/// 16 of section 8 (libssh2#1612, warpgate#1273).
#[test]
fn s8_16_two_steps_and_no_prompts() {
    for_each_mode(|mode| {
        for steps in [
            [Step::Key(1), Step::Key(2)],
            [Step::Key(1), Step::Password],
            [Step::Password, Step::Key(1)],
            [Step::Key(1), Step::Interactive(&[0])],
            [Step::Interactive(&[0, 0]), Step::Key(1)],
            [Step::Interactive(&[0]), Step::Interactive(&[2, 0])],
        ] {
            let mut login = Login::new(pair(mode).build());
            let request = steps[0].take(&mut login);
            go_on(&mut login, request, ALL);
            // The first key again is no second step, and nobody is asked about it.
            if let [Step::Key(used), Step::Key(_)] = steps {
                let turn = login.turn();
                let key = fixtures::key("ssh-ed25519", used);
                login.pair.client.auth_publickey(turn, &*key).unwrap();
                login.run();
                assert!(
                    login
                        .server
                        .events
                        .iter()
                        .all(|e| !matches!(e, ServerEvent::Auth(_)))
                );
                let turn = login.turn();
                assert_eq!(turn.outcome(), &AuthOutcome::Failed);
                login.client.events.push_back(ClientEvent::Auth(turn));
            }
            let request = steps[1].take(&mut login);
            login.accept(request);
            assert_same_steps(&login, &steps);
        }
        // One step, without a prompt at all.
        let mut login = Login::new(pair(mode).build());
        let request = Step::Interactive(&[0]).take(&mut login);
        login.accept(request);
        login.assert_authenticated("keyboard-interactive");
    });
}

/// G11: each method as each step; every step takes something away, and nothing in between gives it
/// back.
#[test]
fn g11_every_method_in_every_place_tightens() {
    let steps = [
        (Step::Key(1), Permissions::X11),
        (Step::Password, Permissions::AGENT),
        (Step::Interactive(&[1, 0]), Permissions::TUN),
        (Step::Host, Permissions::DIRECT_TCPIP),
        (Step::Gssapi, Permissions::PTY),
    ];
    let taken = steps
        .iter()
        .fold(Permissions::NONE, |taken, (_, right)| taken | *right);
    for_each_mode(|mode| {
        for (first, reverse) in (0..steps.len()).flat_map(|at| [(at, false), (at, true)]) {
            let mut order = steps;
            order.rotate_left(first);
            if reverse {
                order.reverse();
            }
            let mut login = Login::new(pair(mode).build());
            for (at, (step, right)) in order.iter().enumerate() {
                let mut request = step.take(&mut login);
                let mut restrictions = Restrictions::new(Permissions::ALL.without(*right));
                if at == 1 {
                    restrictions = restrictions.with_force_command("id");
                }
                request.restrict(&restrictions);
                if at + 1 == order.len() {
                    login.accept(request);
                    break;
                }
                go_on(&mut login, request, ALL);
                let mut failing = Step::Password.take(&mut login);
                failing.restrict(&Restrictions::new(Permissions::NONE).with_force_command("no"));
                login.reject(failing);
            }
            assert_same_steps(&login, &order.map(|(step, _)| step));
            let proof = login.pair.server.authenticated().expect("authenticated");
            assert_eq!(proof.permissions(), Permissions::ALL.without(taken));
            assert_eq!(proof.force_command(), Some(&b"id"[..]));
        }
    });
}

fn wait(login: &mut Login, seconds: u64) {
    let by = Duration::from_secs(seconds);
    let (client, server) = (&mut login.client, &mut login.server);
    login.pair.advance(by, client, server);
}

/// A server that asks before the key exchange and before each signature is verified, and takes
/// most of a minute for each answer.
#[test]
fn questions_before_costly_steps_are_answered_late() {
    for_each_mode(|mode| {
        let pair = pair(mode)
            .server(|config| config.ask_before_kex(true).ask_before_verifying(true))
            .server_limits(|limits| limits.login_grace = Some(Duration::from_secs(600)))
            .build();
        let mut login = Login {
            pair,
            client: Inbox::new(),
            server: Inbox::new(),
        };
        login.run();
        let incoming = take!(login.server.events, ServerEvent::Incoming(i) => i);
        wait(&mut login, 50);
        login.pair.server.admit(incoming).unwrap();
        login.run();
        let check = take!(login.client.events, ClientEvent::HostKey(check) => check);
        login.pair.client.accept_host_key(check).unwrap();
        login.run();
        for host in [false, true] {
            let key = fixtures::key("ssh-ed25519", 51);
            // Refused once, with the signature unverified; then verified.
            for verified in [false, true] {
                let turn = login.turn();
                let client = &mut login.pair.client;
                match host {
                    false => client.auth_publickey(turn, &*key).unwrap(),
                    true => client.auth_hostbased(turn, &*key, "h", "u").unwrap(),
                }
                login.run();
                let attempt = take!(login.server.events, ServerEvent::Unverified(a) => a);
                assert_eq!(attempt.key(), key.public_key());
                wait(&mut login, 50);
                if verified {
                    login.pair.server.verify_attempt(attempt).unwrap();
                    login.run();
                    continue;
                }
                login.pair.server.refuse_attempt(attempt).unwrap();
                login.run();
                assert!(
                    login
                        .server
                        .events
                        .iter()
                        .all(|e| !matches!(e, ServerEvent::Auth(_)))
                );
            }
            let request = login.request();
            wait(&mut login, 50);
            match host {
                // A key counts once, whoever shows it.
                false => login.reject(request),
                true => login.accept(request),
            }
        }
        login.assert_authenticated("hostbased");
    });
}

/// G19: whichever side is slow, and in whatever method, there is one grace.
#[test]
fn g19_every_method_has_one_grace() {
    type Turn = fn(&mut Login, u32);
    let slow: [Turn; 5] = [
        // A person at the prompts.
        |login, at| {
            let request = match at {
                0 => Step::Interactive(&[]).take(login),
                _ => login.request(),
            };
            let request = round(login, request, 1);
            login.server.events.push_back(ServerEvent::Auth(request));
        },
        // Tokens to and fro.
        |login, at| {
            let request = match at {
                0 => {
                    let turn = login.turn();
                    login.pair.client.auth_gssapi(turn, &[KERBEROS]).unwrap();
                    login.run();
                    let request = login.request();
                    let server = &mut login.pair.server;
                    server.select_gssapi_mechanism(request, KERBEROS).unwrap();
                    token(login)
                }
                _ => login.request(),
            };
            login.pair.server.gssapi_token(request, b"t").unwrap();
            let request = token(login);
            login.server.events.push_back(ServerEvent::Auth(request));
        },
        // Signatures that the server does not verify.
        |login, _| {
            let turn = login.turn();
            let key = fixtures::user_key();
            login.pair.client.auth_publickey(turn, &*key).unwrap();
            login.run();
            drop(take!(login.server.events, ServerEvent::Unverified(a) => a));
            login.run();
        },
        // A host's key that does not sign.
        |login, at| {
            if at == 0 {
                let turn = login.turn();
                let client = &mut login.pair.client;
                let key = fixtures::user_key();
                let public = key.public_key();
                client
                    .auth_hostbased_remote(turn, public, "h", "u")
                    .unwrap();
                login.run();
                let asked = |e: &ClientEvent| matches!(e, ClientEvent::Shared(Event::Sign(_)));
                assert!(login.client.events.iter().any(asked));
            }
        },
        // Steps that succeed, one after the other, and are never enough.
        |login, _| {
            let request = Step::Password.take(login);
            go_on(login, request, ALL);
        },
    ];
    for_each_mode(|mode| {
        for (case, turn) in slow.iter().enumerate() {
            let pair = pair(mode).server(|config| config.ask_before_verifying(case == 2));
            let mut login = Login::new(pair.build());
            let mut turns = 0;
            while login.pair.server_end().is_none() {
                turn(&mut login, turns);
                turns += 1;
                wait(&mut login, 25);
            }
            assert_eq!(turns, 5, "{case}: the grace is 120 s");
            let error = Error::Timeout(Timer::LoginGrace);
            assert_eq!(login.pair.server_end(), Some(&Disconnected::Error(error)));
            let failure = login.pair.server.login_failure();
            assert_eq!(failure, Some(LoginFailure::GraceExceeded));
            // A client at a question of its own hears of it behind its answer.
            while login.pair.client_end().is_none() {
                match login.client.events.pop_front().expect("a question") {
                    ClientEvent::Auth(turn) => login.pair.client.auth_none(turn).unwrap(),
                    other => drop(other),
                }
                login.run();
            }
            match login.pair.client_end() {
                Some(Disconnected::ByPeer { reason, .. }) => {
                    assert_eq!(*reason, DisconnectReason::BY_APPLICATION, "{case}");
                }
                other => panic!("{case}: {other:?}"),
            }
        }
    });
}
