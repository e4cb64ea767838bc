//! Rounds of prompts and their answers (RFC 4256).

use alloc::string::String;

use super::*;
use crate::auth::{Prompt, Prompts};
use crate::limits::{MAX_AUTH_ROUNDS, MAX_AUTH_TEXT, MAX_PASSWORD, MAX_PROMPTS};
use crate::wire::auth::{UserauthInfoRequest, UserauthInfoResponse};

fn start() -> Bytes {
    start_with(b"")
}

fn start_with(submethods: &[u8]) -> Bytes {
    let method = KeyboardInteractiveAuth {
        language: b"",
        submethods,
    };
    request(b"me", WireMethod::KeyboardInteractive(method))
}

fn responses(responses: &[&[u8]]) -> Bytes {
    payload(&UserauthInfoResponse {
        responses: responses.to_vec(),
    })
}

fn prompts(count: usize) -> Prompts {
    Prompts::new("", "", vec![Prompt::new("?", false); count])
}

impl Rig {
    /// The application asks so many questions.
    fn prompts(&mut self, count: usize) {
        self.server.prompt(&prompts(count), &mut self.out).unwrap();
        assert_eq!(shown(&mut self.out), ["60"]);
    }

    /// A rig whose client was asked so many questions.
    fn prompted(count: usize) -> Self {
        let mut rig = Self::all();
        rig.asks(&start());
        rig.prompts(count);
        rig
    }
}

#[test]
fn prompts_go_out_as_rfc_4256_has_them() {
    let mut rig = Rig::all();
    match rig.asks(&start_with(b"otp,\x1b[2Jpam")) {
        AuthMethod::KeyboardInteractive { submethods } => {
            assert_eq!(submethods, "otp,\\u{1b}[2Jpam");
        }
        other => panic!("{other:?}"),
    }
    let asked = Prompts::new(
        "Name",
        "Do\nthis",
        [
            Prompt::new("Password: ", false),
            Prompt::new("Code: ", true),
        ],
    );
    rig.server.prompt(&asked, &mut rig.out).unwrap();
    let sent = toy::only(&mut rig.out);
    let expected = UserauthInfoRequest {
        name: b"Name",
        instruction: b"Do\nthis",
        language: b"",
        prompts: vec![(b"Password: ", false), (b"Code: ", true)],
    };
    assert_eq!(UserauthInfoRequest::from_payload(&sent), Ok(expected));
    match rig.asks(&responses(&[b"secret", b""])) {
        AuthMethod::KeyboardInteractiveResponses(given) => {
            assert_eq!(given.len(), 2);
            assert!(given[0].matches(b"secret") && given[1].matches(b""));
        }
        other => panic!("{other:?}"),
    }
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.method(), "keyboard-interactive");
}

#[test]
fn g14_success_takes_a_round_which_may_be_empty() {
    let mut rig = Rig::all();
    rig.asks(&start());
    rig.misfits(|server, out| server.accept(out));
    rig.misfits(|server, out| server.accept_partial(ALL, out));
    rig.misfits(|server, out| server.request_password_change("", out));
    rig.prompts(0);
    rig.misfits(|server, out| server.accept(out));
    match rig.asks(&responses(&[])) {
        AuthMethod::KeyboardInteractiveResponses(given) => assert!(given.is_empty()),
        other => panic!("{other:?}"),
    }
    assert!(rig.server.accept(&mut rig.out).is_ok());
}

#[test]
fn g14_answers_that_nobody_asked_for_end_it() {
    Rig::all().refuses(&responses(&[]));
    let mut rig = Rig::all();
    rig.asks(&start());
    rig.rejects();
    rig.refuses(&responses(&[]));
    // A second time.
    let mut rig = Rig::prompted(1);
    rig.asks(&responses(&[b"x"]));
    rig.rejects();
    rig.refuses(&responses(&[b"x"]));
    // Nor is anything else due.
    for number in (60..80).filter(|number| *number != 61) {
        Rig::prompted(1).refuses(&Bytes::from(vec![number]));
    }
}

#[test]
fn g14_a_wrong_count_fails_unasked() {
    for (asked, given) in [(1, 0), (1, 2), (0, 1), (2, 1), (2, 3), (2, 0), (100, 99)] {
        let mut rig = Rig::prompted(asked);
        rig.fails(&responses(&vec![&b"x"[..]; given]));
        // The method is over.
        rig.refuses(&responses(&vec![&b"x"[..]; asked]));
    }
    // A count that is past every bound is not counted to, whatever follows it.
    for rest in [&b""[..], &[0; 4], &[0; 20]] {
        let payload = [&[61, 0xff, 0xff, 0xff, 0xff], rest].concat();
        Rig::prompted(1).fails(&payload.into());
    }
    // One that the message itself belies is malformed (U8).
    let whole = responses(&[b"x"]);
    for cut in 1..whole.len() {
        let cut = Rig::prompted(1).send(&whole.slice(..cut)).unwrap_err();
        assert!(matches!(cut, Error::InvalidMessage { number: 61, .. }));
    }
    let longer = [&whole[..], &[0]].concat();
    let refused = Rig::prompted(1).send(&longer.into()).unwrap_err();
    assert!(matches!(refused, Error::InvalidMessage { number: 61, .. }));
}

#[test]
fn g14_answers_that_are_too_long_fail_unasked() {
    let long = [b'x'; MAX_PASSWORD + 1];
    Rig::prompted(2).fails(&responses(&[b"x", &long]));
    Rig::prompted(2).asks(&responses(&[b"x", &long[1..]]));
}

#[test]
fn g14_rounds_have_an_end() {
    let mut rig = Rig::all();
    rig.asks(&start());
    for _ in 0..MAX_AUTH_ROUNDS {
        rig.prompts(0);
        rig.asks(&responses(&[]));
    }
    rig.misfits(|server, out| server.prompt(&prompts(0), out));
    rig.rejects();
    // The next attempt has its own.
    rig.asks(&start());
    rig.prompts(0);
}

#[test]
fn g14_too_much_to_ask_is_the_callers_fault() {
    let mut rig = Rig::all();
    rig.asks(&start());
    let too_much = [
        prompts(MAX_PROMPTS + 1),
        Prompts::new("x".repeat(MAX_AUTH_TEXT + 1), "", []),
        Prompts::new("", "x".repeat(MAX_AUTH_TEXT), [Prompt::new("x", true)]),
    ];
    for prompts in too_much {
        let refused = rig.server.prompt(&prompts, &mut rig.out);
        assert_eq!(refused, Err(ApiMisuse::InvalidText.into()));
    }
    rig.prompts(MAX_PROMPTS);
    rig.asks(&responses(&[&b""[..]; MAX_PROMPTS]));
}

#[test]
fn g14_a_new_request_gives_the_round_up() {
    let a = key("a");
    let others = [none(), password(b"x", None), start(), signed(&a)];
    for other in &others {
        let mut rig = Rig::prompted(1);
        assert!(rig.send(other).unwrap().is_some());
        assert!(rig.out.is_empty(), "an abandoned method is not answered");
        rig.rejects();
        rig.refuses(&responses(&[b"x"]));
    }
    let mut rig = Rig::prompted(1);
    rig.send(&query(a.public_key())).unwrap();
    rig.server.answer_query(true, &mut rig.out).unwrap();
    assert_eq!(shown(&mut rig.out), ["60"]);
    rig.refuses(&responses(&[b"x"]));
    // A request for the service is none for another method.
    let mut rig = Rig::prompted(1);
    rig.send(&service("ssh-userauth")).unwrap();
    assert_eq!(shown(&mut rig.out), ["6"]);
    rig.asks(&responses(&[b"x"]));
}

#[test]
fn g6_an_abandoned_method_has_failed() {
    let mut rig = Rig::all();
    let mut rounds = 0;
    let end = loop {
        match rig.send(&start()) {
            Ok(Some(_)) => rig.prompts(1),
            other => break other.unwrap_err(),
        }
        rounds += 1;
    };
    assert_eq!((rounds, end), (6, Limit::AuthFailures.into()));
    assert_eq!(rig.server.trace().attempts, 6);
    // Wrong counts and rejections count with it.
    let mut rig = Rig::all();
    for _ in 0..2 {
        rig.asks(&start());
        rig.prompts(1);
        rig.fails(&responses(&[]));
        rig.asks(&start());
        rig.rejects();
    }
    rig.asks(&start());
    rig.prompts(1);
    rig.asks(&start());
    let end = rig.server.reject(None, &mut rig.out).unwrap_err();
    assert_eq!(end, Limit::AuthFailures.into());
}

#[test]
fn g12_a_failed_round_waits_for_its_time() {
    let policy = Policy {
        withhold_failures: true,
        ..toy::policy(ALL)
    };
    let mut rig = Rig::of(toy::server_with(&Limits::default(), policy), ALL_OPEN);
    rig.asks(&start());
    rig.prompts(1);
    rig.send(&responses(&[])).unwrap();
    assert!(rig.out.is_empty() && rig.server.has_withheld_failure());
    assert!(matches!(rig.send(&start()), Err(Error::Internal(_))));
    rig.server.release_failure(&mut rig.out);
    assert_eq!(shown(&mut rig.out), [ALL_OPEN]);
}

#[test]
fn debug_shows_no_answers() {
    let mut rig = Rig::prompted(1);
    let asked = rig.asks(&responses(&[b"secret"]));
    let shown: String = alloc::format!("{asked:?}");
    assert_eq!(shown, "KeyboardInteractiveResponses([Password(..)])");
}
