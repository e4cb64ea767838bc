//! The methods of several messages between both sides of our own: what the one asks the other answers, and both hold the same proof.

use ssh_proto::error::ApiMisuse;
use ssh_proto::{
    AuthMethod, AuthOutcome, AuthRequest, ClientEvent, Connection, Event, GssapiError, GssapiStep,
    GssapiTurn, MethodSet, Password, Prompt, Prompts, ServerGssapi,
};
use ssh_tests::{Login, Mode, Pair, fixtures, for_each_mode, take};

const KERBEROS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
const SPNEGO: &[u8] = b"\x06\x06\x2b\x06\x01\x05\x05\x02";

/// A pair at the client's first turn, whose server takes every method.
fn login(mode: Mode) -> Login {
    let all = MethodSet::PUBLICKEY
        | MethodSet::PASSWORD
        | MethodSet::KEYBOARD_INTERACTIVE
        | MethodSet::HOSTBASED
        | MethodSet::GSSAPI_WITH_MIC;
    Login::new(Pair::builder(mode).server(|b| b.auth_methods(all)).build())
}

/// Both sides hold the same proof, step by step.
fn assert_same_proof(login: &Login, methods: &[&str]) {
    let theirs = login.pair.server.authenticated().expect("authenticated");
    let ours = login.pair.client.authenticated().expect("authenticated");
    assert_eq!(ours.user(), theirs.user());
    assert_eq!(ours.steps(), theirs.steps());
    let steps: Vec<_> = ours.steps().iter().map(|step| step.method).collect();
    assert_eq!(steps, methods);
}

/// The client begins keyboard-interactive; what the server is asked.
fn interactive(login: &mut Login) -> AuthRequest {
    let turn = login.turn();
    let client = &mut login.pair.client;
    client.auth_keyboard_interactive(turn, "pam").unwrap();
    login.run();
    let request = login.request();
    match request.method() {
        AuthMethod::KeyboardInteractive { submethods } => assert_eq!(submethods, "pam"),
        other => panic!("{other:?}"),
    }
    request
}

/// The server asks, the client answers; what the server is asked next.
fn round(
    login: &mut Login,
    request: AuthRequest,
    prompts: &Prompts,
    answers: &[&str],
) -> AuthRequest {
    login.pair.server.prompt_auth(request, prompts).unwrap();
    login.run();
    let asked = take!(login.client.events, ClientEvent::Prompts(request) => request);
    assert_eq!(asked.prompts(), prompts);
    let passwords: Vec<_> = answers.iter().map(|text| Password::new(*text)).collect();
    login.pair.client.answer_prompts(asked, &passwords).unwrap();
    login.run();
    let request = login.request();
    match request.method() {
        AuthMethod::KeyboardInteractiveResponses(got) => {
            let got: Vec<_> = got.iter().map(|p| p.as_str().unwrap()).collect();
            assert_eq!(got, answers);
        }
        other => panic!("{other:?}"),
    }
    request
}

#[test]
fn prompts_are_answered_in_rounds() {
    for_each_mode(|mode| {
        let mut login = login(mode);
        let mut request = interactive(&mut login);
        let password = [Prompt::new("Password: ", false)];
        let both = [Prompt::new("Token: ", true), Prompt::new("PIN: ", false)];
        for (prompts, answers) in [
            (
                Prompts::new("Login", "As ever\nand ever", password),
                &["crab"][..],
            ),
            (Prompts::new("", "Well done", []), &[]),
            (Prompts::new("", "", both), &["1", ""]),
        ] {
            request = round(&mut login, request, &prompts, answers);
        }
        login.accept(request);
        login.assert_authenticated("keyboard-interactive");
        assert_same_proof(&login, &["keyboard-interactive"]);
    });
}

#[test]
fn rounds_end_at_the_same_bound_on_both_sides() {
    for_each_mode(|mode| {
        let mut login = login(mode);
        let mut request = interactive(&mut login);
        let none = Prompts::default();
        for _ in 0..100 {
            request = round(&mut login, request, &none, &[]);
        }
        // The server does not ask what the client would not take.
        let answer = login.pair.server.prompt_auth(request, &none);
        assert_eq!(answer, Err(ApiMisuse::WrongAnswer));
        login.run();
        assert_eq!(login.turn().outcome(), &AuthOutcome::Failed);
    });
}

#[test]
fn an_abandoned_dialog_gives_way_to_the_next_request() {
    for_each_mode(|mode| {
        let mut login = login(mode);
        let request = interactive(&mut login);
        let prompts = Prompts::new("", "", [Prompt::new("Password: ", false)]);
        login.pair.server.prompt_auth(request, &prompts).unwrap();
        login.run();
        let asked = take!(login.client.events, ClientEvent::Prompts(request) => request);
        login.pair.client.abandon_method(asked).unwrap();
        login.run();
        let request = login.password("crab");
        assert!(matches!(request.method(), AuthMethod::Password(_)));
        login.accept(request);
        login.assert_authenticated("password");
        assert_same_proof(&login, &["password"]);
    });
}

#[test]
fn a_host_vouches_for_its_user() {
    for_each_mode(|mode| {
        for remote in [false, true] {
            let key = fixtures::key("ecdsa-sha2-nistp256", 51);
            let mut login = login(mode);
            let turn = login.turn();
            let client = &mut login.pair.client;
            match remote {
                false => client
                    .auth_hostbased(turn, &*key, "h.example.", "crab")
                    .unwrap(),
                true => {
                    let public = key.public_key();
                    client
                        .auth_hostbased_remote(turn, public, "h.example.", "crab")
                        .unwrap();
                    login.run();
                    let request = take!(login.client.events, ClientEvent::Shared(Event::Sign(request)) => request);
                    let signature = key.sign(request.algorithm(), request.message()).unwrap();
                    let client = &mut login.pair.client;
                    client.provide_signature(request, &signature).unwrap();
                }
            }
            login.run();
            let request = login.request();
            match request.method() {
                AuthMethod::HostBased {
                    key: proven,
                    client_host,
                    client_user,
                    ..
                } => {
                    assert_eq!(proven, key.public_key());
                    assert_eq!((&client_host[..], &client_user[..]), ("h.example.", "crab"));
                }
                other => panic!("{other:?}"),
            }
            login.accept(request);
            login.assert_authenticated("hostbased");
            assert_same_proof(&login, &["hostbased"]);
        }
    });
}

/// The client offers mechanisms, the server chooses; what the client's mechanism is told.
fn selected(login: &mut Login) -> GssapiTurn {
    let turn = login.turn();
    let client = &mut login.pair.client;
    client.auth_gssapi(turn, &[KERBEROS, SPNEGO]).unwrap();
    login.run();
    let request = login.request();
    match request.method() {
        AuthMethod::Gssapi(ServerGssapi::Mechanisms(oids)) => assert_eq!(oids, &[KERBEROS, SPNEGO]),
        other => panic!("{other:?}"),
    }
    login
        .pair
        .server
        .select_gssapi_mechanism(request, SPNEGO)
        .unwrap();
    login.run();
    let step = take!(login.client.events, ClientEvent::Gssapi(turn) => turn);
    assert_eq!(step.step(), &GssapiStep::Selected(SPNEGO.into()));
    step
}

/// What the server is told by this token of the client's.
fn token(login: &mut Login, step: GssapiTurn, token: &[u8]) -> AuthRequest {
    login.pair.client.gssapi_token(step, token).unwrap();
    login.run();
    let request = login.request();
    match request.method() {
        AuthMethod::Gssapi(ServerGssapi::Token(got)) => assert_eq!(got, token),
        other => panic!("{other:?}"),
    }
    request
}

#[test]
fn mechanisms_exchange_tokens_and_a_mic() {
    for_each_mode(|mode| {
        let mut login = login(mode);
        let step = selected(&mut login);
        let request = token(&mut login, step, b"one");
        login.pair.server.gssapi_token(request, b"two").unwrap();
        login.run();
        let step = take!(login.client.events, ClientEvent::Gssapi(turn) => turn);
        assert_eq!(step.step(), &GssapiStep::Token(b"two"[..].into()));
        let request = token(&mut login, step, b"three");
        login
            .pair
            .server
            .gssapi_established(request, Some(b"four"))
            .unwrap();
        login.run();
        let step = take!(login.client.events, ClientEvent::Gssapi(turn) => turn);
        let covered = step.mic_message().to_vec();
        login
            .pair
            .client
            .gssapi_finish(step, None, Some(b"mic"))
            .unwrap();
        login.run();
        let request = login.request();
        match request.method() {
            AuthMethod::Gssapi(ServerGssapi::Mic { mic, message }) => {
                assert_eq!((&mic[..], &message[..]), (&b"mic"[..], &covered[..]));
            }
            other => panic!("{other:?}"),
        }
        login.accept(request);
        login.assert_authenticated("gssapi-with-mic");
        assert_same_proof(&login, &["gssapi-with-mic"]);
    });
}

/// The client's last token and its MIC travel together.
#[test]
fn a_mic_may_follow_the_last_token_at_once() {
    for_each_mode(|mode| {
        for mic in [Some(&b"mic"[..]), None] {
            let mut login = login(mode);
            let step = selected(&mut login);
            login
                .pair
                .client
                .gssapi_finish(step, Some(b"last"), mic)
                .unwrap();
            login.run();
            let request = login.request();
            assert!(matches!(
                request.method(),
                AuthMethod::Gssapi(ServerGssapi::Token(_))
            ));
            login.pair.server.gssapi_established(request, None).unwrap();
            login.run();
            let request = login.request();
            match (request.method(), mic) {
                (AuthMethod::Gssapi(ServerGssapi::Mic { .. }), Some(_))
                | (AuthMethod::Gssapi(ServerGssapi::Complete), None) => {}
                other => panic!("{other:?}"),
            }
            login.accept(request);
            login.assert_authenticated("gssapi-with-mic");
        }
    });
}

#[test]
fn mechanisms_fail_on_either_side() {
    for_each_mode(|mode| {
        // The server's.
        let mut failing = login(mode);
        let step = selected(&mut failing);
        let request = token(&mut failing, step, b"one");
        failing
            .pair
            .server
            .gssapi_error(request, 0xd0000, 7, "no key", Some(b"why"))
            .unwrap();
        failing.run();
        let errors: Vec<GssapiError> = (0..2)
            .map(|_| take!(failing.client.events, ClientEvent::GssapiError(error) => error))
            .collect();
        assert!(errors.iter().any(|error| matches!(
            error,
            GssapiError::Status {
                major: 0xd0000,
                minor: 7,
                ..
            }
        )));
        assert!(errors.contains(&GssapiError::Token(b"why"[..].into())));
        assert_eq!(failing.turn().outcome(), &AuthOutcome::Failed);

        // Ours.
        let mut login = login(mode);
        let step = selected(&mut login);
        login.pair.client.gssapi_fail(step, Some(b"why")).unwrap();
        login.run();
        let turn = login.turn();
        assert_eq!(turn.outcome(), &AuthOutcome::Failed);
        login.pair.client.auth_none(turn).unwrap();
        login.run();
        // What the server made of the token is its own affair; the next request is answered.
        let request = loop {
            let request = login.request();
            match request.method() {
                AuthMethod::None => break request,
                AuthMethod::Gssapi(ServerGssapi::ErrorToken(token)) => {
                    assert_eq!(&token[..], b"why");
                    login.reject(request);
                }
                other => panic!("{other:?}"),
            }
        };
        login.reject(request);
        assert_eq!(login.turn().outcome(), &AuthOutcome::Failed);
        assert_eq!(login.pair.client_end(), None);
    });
}

/// Our server announces `publickey-hostbound@openssh.com`, and our client uses it: by name it is
/// `publickey` on both sides.
#[test]
fn user_keys_are_bound_to_the_host_key() {
    for_each_mode(|mode| {
        let key = fixtures::user_key();
        let mut login = login(mode);
        let turn = login.turn();
        login.pair.client.auth_publickey(turn, &*key).unwrap();
        login.run();
        let request = login.request();
        login
            .pair
            .server
            .accept_auth_partially(request, MethodSet::KEYBOARD_INTERACTIVE)
            .unwrap();
        login.run();
        let request = interactive(&mut login);
        let prompts = Prompts::new("", "", [Prompt::new("Token: ", false)]);
        let request = round(&mut login, request, &prompts, &["1"]);
        login.accept(request);
        assert_same_proof(&login, &["publickey", "keyboard-interactive"]);
        let first = &login.pair.client.authenticated().unwrap().steps()[0];
        assert_eq!(first.key.as_ref(), Some(key.public_key()));
    });
}
