//! The order that `gssapi-with-mic` has (RFC 4462 section 3).

use super::*;
use crate::auth::signed::gssapi_mic_data;
use crate::limits::{MAX_AUTH_ROUNDS, MAX_AUTH_TEXT};
use crate::wire::auth::{
    GssapiAuth, UserauthGssapiError, UserauthGssapiErrtok, UserauthGssapiExchangeComplete,
    UserauthGssapiMic, UserauthGssapiResponse, UserauthGssapiToken,
};

const KERBEROS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
const OTHER: &[u8] = b"\x06\x01\x2a";

fn offer(oids: &[&[u8]]) -> Bytes {
    let oids = oids.to_vec();
    request(b"me", WireMethod::GssapiWithMic(GssapiAuth { oids }))
}

fn token(token: &[u8]) -> Bytes {
    payload(&UserauthGssapiToken { token })
}

fn mic(mic: &[u8]) -> Bytes {
    payload(&UserauthGssapiMic { mic })
}

fn complete() -> Bytes {
    payload(&UserauthGssapiExchangeComplete {})
}

fn error_token() -> Bytes {
    payload(&UserauthGssapiErrtok { token: b"oops" })
}

impl Rig {
    fn said(&mut self, payload: &Bytes) -> ServerGssapi {
        match self.asks(payload) {
            AuthMethod::Gssapi(said) => said,
            other => panic!("{other:?}"),
        }
    }

    /// A rig that awaits a token.
    fn selected() -> Self {
        let mut rig = Self::all();
        rig.asks(&offer(&[OTHER, KERBEROS]));
        rig.server.select_mechanism(KERBEROS, &mut rig.out).unwrap();
        let sent = toy::only(&mut rig.out);
        let expected = UserauthGssapiResponse { oid: KERBEROS };
        assert_eq!(UserauthGssapiResponse::from_payload(&sent), Ok(expected));
        rig
    }

    /// A rig that awaits the proof.
    fn established() -> Self {
        let mut rig = Self::selected();
        assert_eq!(rig.said(&token(b"a")), ServerGssapi::Token("a".into()));
        let last = Some(&b"z"[..]);
        rig.server.context_established(last, &mut rig.out).unwrap();
        assert_eq!(toy::only(&mut rig.out), token(b"z"));
        rig
    }
}

#[test]
fn a_mic_over_the_session_ends_it() {
    let mut rig = Rig::all();
    match rig.said(&offer(&[OTHER, KERBEROS])) {
        ServerGssapi::Mechanisms(oids) => assert_eq!(oids, [OTHER, KERBEROS]),
        other => panic!("{other:?}"),
    }
    rig.server.select_mechanism(OTHER, &mut rig.out).unwrap();
    shown(&mut rig.out);
    rig.said(&token(b"a"));
    rig.server.continue_context(b"b", &mut rig.out).unwrap();
    assert_eq!(toy::only(&mut rig.out), token(b"b"));
    rig.said(&token(b""));
    // Without a last token there is nothing to say.
    rig.server.context_established(None, &mut rig.out).unwrap();
    assert!(rig.out.is_empty());
    let expected = ServerGssapi::Mic {
        mic: "m".into(),
        message: gssapi_mic_data(SESSION, b"me").into(),
    };
    assert_eq!(rig.said(&mic(b"m")), expected);
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!((proof.method(), proof.key()), ("gssapi-with-mic", None));
    assert_eq!(shown(&mut rig.out), ["52"]);
}

#[test]
fn completion_without_a_mic_is_told_apart() {
    let mut rig = Rig::established();
    assert_eq!(rig.said(&complete()), ServerGssapi::Complete);
    rig.rejects();
}

#[test]
fn g5_mechanisms_that_are_none_fail_unasked() {
    let long = [&[6, 0x80][..], &[1; 0x80]].concat();
    Rig::all().fails(&offer(&[]));
    for bad in [
        &b""[..],
        b"\x06\x00",
        b"\x05\x01\x2a",
        b"\x06\x02\x2a",
        b"\x06\x01\x2a\x2a",
        b"\x06\x81\x01\x2a",
        &long,
    ] {
        Rig::all().fails(&offer(&[bad]));
    }
    match Rig::all().said(&offer(&[b"", KERBEROS, b"\x06"])) {
        ServerGssapi::Mechanisms(oids) => assert_eq!(oids, [KERBEROS]),
        other => panic!("{other:?}"),
    }
    // More than anybody has.
    let many = [&offer(&[])[..offer(&[]).len() - 4], &[0xff; 4]].concat();
    let refused = Rig::all().send(&many.into()).unwrap_err();
    let error = DecodeError::TooMany;
    assert_eq!(refused, Error::InvalidMessage { number: 50, error });
}

#[test]
fn g5_each_step_takes_its_own_answers_alone() {
    type Answer = fn(&mut Server, &mut Outbox) -> Result<(), Error>;
    let select: Answer = |server, out| server.select_mechanism(KERBEROS, out);
    let go_on: Answer = |server, out| server.continue_context(b"", out);
    let establish: Answer = |server, out| server.context_established(None, out);
    let fail: Answer = |server, out| server.context_failed((0, 0), "", None, out);
    let accept: Answer = |server, out| server.accept(out).map(drop);
    let partial: Answer = |server, out| server.accept_partial(ALL, out);

    let mut rig = Rig::all();
    rig.asks(&offer(&[KERBEROS]));
    for answer in [go_on, establish, fail, accept, partial] {
        rig.misfits(answer);
    }
    rig.misfits(|server, out| server.select_mechanism(OTHER, out));
    let mut rig = Rig::selected();
    for answer in [select, go_on, establish, fail, accept, partial] {
        rig.misfits(answer);
    }
    rig.asks(&token(b""));
    for answer in [select, accept, partial] {
        rig.misfits(answer);
    }
    for proof in [mic(b""), complete()] {
        let mut rig = Rig::established();
        rig.asks(&proof);
        for answer in [select, go_on, establish, fail] {
            rig.misfits(answer);
        }
        partial(&mut rig.server, &mut rig.out).unwrap();
    }
    let mut rig = Rig::selected();
    rig.asks(&error_token());
    for answer in [select, go_on, establish, fail, accept, partial] {
        rig.misfits(answer);
    }
}

#[test]
fn g5_messages_out_of_order_end_it() {
    let all = [token(b""), mic(b""), complete(), error_token()];
    for message in &all {
        Rig::all().refuses(message);
    }
    for early in [mic(b""), complete()] {
        Rig::selected().refuses(&early);
    }
    Rig::established().refuses(&token(b""));
    for number in [60, 62, 64, 67, 79] {
        Rig::selected().refuses(&Bytes::from(vec![number]));
        Rig::established().refuses(&Bytes::from(vec![number]));
    }
    // Once rejected, nothing goes on.
    let mut rig = Rig::selected();
    rig.asks(&token(b""));
    rig.rejects();
    rig.refuses(&token(b""));
}

#[test]
fn an_error_says_why_and_fails() {
    let mut rig = Rig::selected();
    rig.asks(&token(b"bad"));
    rig.server
        .context_failed((1, 2), "no ticket", Some(b"e"), &mut rig.out)
        .unwrap();
    let error = rig.out.pop().unwrap();
    let expected = UserauthGssapiError {
        major: 1,
        minor: 2,
        message: b"no ticket",
        language: b"",
    };
    assert_eq!(
        UserauthGssapiError::from_payload(error.as_ref()),
        Ok(expected)
    );
    assert_eq!(shown(&mut rig.out), ["65", ALL_OPEN]);
    rig.refuses(&token(b""));
}

/// RFC 4462 section 3.9: a client that failed has gone on, and would take a failure for the
/// answer to its next request.
#[test]
fn an_error_of_the_client_is_not_answered() {
    for mut rig in [Rig::selected(), Rig::established()] {
        let said = ServerGssapi::ErrorToken("oops".into());
        assert_eq!(rig.said(&error_token()), said);
        rig.server.reject(None, &mut rig.out).unwrap();
        assert!(rig.out.is_empty());
        rig.asks(&password(b"x", None));
        rig.rejects();
    }
    // It has failed all the same.
    let limits = Limits {
        auth_failures: 1,
        ..Limits::default()
    };
    let mut rig = Rig::all_with(&limits);
    rig.asks(&offer(&[KERBEROS]));
    rig.server.select_mechanism(KERBEROS, &mut rig.out).unwrap();
    shown(&mut rig.out);
    rig.asks(&error_token());
    let end = rig.server.reject(None, &mut rig.out).unwrap_err();
    assert_eq!(end, Limit::AuthFailures.into());
}

#[test]
fn g6_an_abandoned_context_has_failed() {
    let mut rig = Rig::all();
    let mut rounds = 0;
    let end = loop {
        match rig.send(&offer(&[KERBEROS])) {
            Ok(Some(_)) => rig.server.select_mechanism(KERBEROS, &mut rig.out).unwrap(),
            other => break other.unwrap_err(),
        }
        assert_eq!(shown(&mut rig.out), ["60"]);
        rounds += 1;
    };
    assert_eq!((rounds, end), (6, Limit::AuthFailures.into()));
}

#[test]
fn g14_tokens_have_an_end() {
    let mut rig = Rig::selected();
    for _ in 0..MAX_AUTH_ROUNDS {
        rig.asks(&token(b"x"));
        rig.server.continue_context(b"y", &mut rig.out).unwrap();
        shown(&mut rig.out);
    }
    rig.asks(&token(b"x"));
    rig.misfits(|server, out| server.continue_context(b"y", out));
    rig.rejects();
}

#[test]
fn tokens_that_do_not_fit_are_the_callers_fault() {
    let long = vec![0; MAX_AUTH_TEXT + 1];
    let text = "x".repeat(MAX_AUTH_TEXT + 1);
    let mut rig = Rig::selected();
    rig.asks(&token(b"x"));
    let Rig { server, out, .. } = &mut rig;
    for refused in [
        server.continue_context(&long, out),
        server.context_established(Some(&long), out),
        server.context_failed((0, 0), &text, None, out),
        server.context_failed((0, 0), "", Some(&long), out),
    ] {
        assert_eq!(refused, Err(ApiMisuse::InvalidText.into()));
    }
    assert!(out.is_empty());
}
