//! `gssapi-with-mic` (RFC 4462 section 3).

use super::*;
use crate::auth::signed::gssapi_mic_data;
use crate::auth::toy::SESSION;
use crate::limits::{MAX_AUTH_TEXT, MAX_PROMPTS};
use crate::wire::auth::UserauthGssapiMic;

/// Kerberos, 1.2.840.113554.1.2.2.
pub(super) const KERBEROS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// SPNEGO, 1.3.6.1.5.5.2.
const SPNEGO: &[u8] = b"\x06\x06\x2b\x06\x01\x05\x05\x02";

pub(super) fn selects(oid: &[u8]) -> Bytes {
    payload(&UserauthGssapiResponse { oid })
}

pub(super) fn token(token: &[u8]) -> Bytes {
    payload(&UserauthGssapiToken { token })
}

pub(super) fn error() -> Bytes {
    payload(&UserauthGssapiError {
        major: 0xd0000,
        minor: 7,
        message: b"no \x1bticket",
        language: b"",
    })
}

pub(super) fn error_token() -> Bytes {
    payload(&UserauthGssapiErrtok { token: b"why" })
}

impl Rig {
    pub(super) fn gssapi(mut self) -> Self {
        self.client
            .gssapi(&[KERBEROS, SPNEGO], &mut self.out)
            .unwrap();
        only(&mut self.out);
        self
    }

    fn step(&mut self, payload: &Bytes) -> GssapiStep {
        match self.send(payload).unwrap() {
            ClientAsk::Gssapi(ask) => {
                assert_eq!(ask.mic_message, gssapi_mic_data(SESSION, b"me"));
                ask.step
            }
            other => panic!("{other:?}"),
        }
    }

    fn selected(self) -> Self {
        let mut rig = self.gssapi();
        rig.step(&selects(KERBEROS));
        rig
    }

    fn sends_token(mut self) -> Self {
        self.client.gssapi_token(b"t", &mut self.out).unwrap();
        assert_eq!(only(&mut self.out), token(b"t"));
        self
    }

    /// The server's token is due.
    pub(super) fn exchanging(self) -> Self {
        self.selected().sends_token()
    }

    fn finished(mut self) -> Self {
        self.client
            .gssapi_finish(None, Some(b"mic"), &mut self.out)
            .unwrap();
        only(&mut self.out);
        self
    }

    fn fails(&mut self, payload: &Bytes) -> GssapiError {
        match self.send(payload).unwrap() {
            ClientAsk::GssapiError(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bytes_are_those_of_rfc_4462() {
    let mut rig = Rig::new();
    let Rig { client, out } = &mut rig;
    client.gssapi(&[KERBEROS, SPNEGO], out).unwrap();
    let expected = [
        &b"\x32\0\0\0\x02me\0\0\0\x0essh-connection\0\0\0\x0fgssapi-with-mic\0\0\0\x02"[..],
        b"\0\0\0\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02",
        b"\0\0\0\x08\x06\x06\x2b\x06\x01\x05\x05\x02",
    ];
    assert_eq!(only(out), expected.concat());
    let chosen = b"\x3c\0\0\0\x08\x06\x06\x2b\x06\x01\x05\x05\x02";
    let step = rig.step(&Bytes::from_static(chosen));
    assert_eq!(step, GssapiStep::Selected(Bytes::from_static(SPNEGO)));
    rig.client.gssapi_token(b"one", &mut rig.out).unwrap();
    assert_eq!(only(&mut rig.out), &b"\x3d\0\0\0\x03one"[..]);
    let step = rig.step(&Bytes::from_static(b"\x3d\0\0\0\x03two"));
    assert_eq!(step, GssapiStep::Token(Bytes::from_static(b"two")));
    rig.client
        .gssapi_finish(Some(b"three"), Some(b"mic"), &mut rig.out)
        .unwrap();
    let last = Bytes::copy_from_slice(rig.out.pop().unwrap().as_ref());
    assert_eq!(last, &b"\x3d\0\0\0\x05three"[..]);
    assert_eq!(only(&mut rig.out), &b"\x42\0\0\0\x03mic"[..]);
    match rig.send(&success()).unwrap() {
        ClientAsk::Authenticated(proof) => assert_eq!(proof.method(), "gssapi-with-mic"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_integrity_there_is_no_mic() {
    let mut rig = Rig::new().exchanging();
    rig.step(&token(b"u"));
    rig.client.gssapi_finish(None, None, &mut rig.out).unwrap();
    assert_eq!(only(&mut rig.out), &b"\x3f"[..]);
    rig.send(&success()).unwrap();
}

#[test]
fn a_failed_context_is_told_by_its_token_and_left() {
    for error_token in [None, Some(&b"why"[..])] {
        let mut rig = Rig::new().selected();
        match rig.client.gssapi_fail(error_token, &mut rig.out).unwrap() {
            ClientAsk::Turn(turn) => assert_eq!(turn.outcome, AuthOutcome::Failed),
            other => panic!("{other:?}"),
        }
        match error_token {
            Some(_) => assert_eq!(only(&mut rig.out), &b"\x41\0\0\0\x03why"[..]),
            None => assert!(rig.out.is_empty()),
        }
        // One message that crosses is let pass.
        let mut rig = rig.password();
        assert!(rig.client.handle(&token(b"late")).unwrap().is_none());
        rig.refuses(&token(b"later"), UNSOLICITED);
        rig.send(&success()).unwrap();
    }
    for late in [selects(KERBEROS), error(), error_token()] {
        let mut rig = Rig::new().selected();
        rig.client.abandon().unwrap();
        let mut rig = rig.query();
        assert!(rig.client.handle(&late).unwrap().is_none());
    }
}

#[test]
fn the_servers_errors_are_told_and_its_refusal_awaited() {
    let told = |error| match error {
        GssapiError::Status {
            major,
            minor,
            message,
        } => assert_eq!(
            (major, minor, message.to_string().as_str()),
            (0xd0000, 7, "no \\u{1b}ticket")
        ),
        other => panic!("{other:?}"),
    };
    // No mechanism of ours will do.
    let mut rig = Rig::new().gssapi();
    told(rig.fails(&error()));
    rig.turns(&failure(&["password"], false));
    // In the midst of it, and at the MIC.
    for mut rig in [Rig::new().exchanging(), Rig::new().selected().finished()] {
        told(rig.fails(&error()));
        let token = Bytes::from_static(b"why");
        assert_eq!(rig.fails(&error_token()), GssapiError::Token(token));
        let turn = rig.turns(&failure(&["password"], false));
        assert_eq!(turn.outcome, AuthOutcome::Failed);
    }
}

#[test]
fn the_mechanism_is_one_of_those_offered() {
    let truncated = &KERBEROS[..KERBEROS.len() - 1];
    for other in [&b""[..], b"\x06\x01\x2a", &KERBEROS[2..], truncated] {
        let refused = PeerMisbehaved::MechanismNotOffered;
        Rig::new().gssapi().refuses(&selects(other), refused);
    }
    // And chosen once.
    let mut rig = Rig::new().selected();
    rig.refuses(&selects(KERBEROS), UNSOLICITED);
    rig.sends_token().refuses(&selects(KERBEROS), UNSOLICITED);
}

#[test]
fn messages_come_in_their_order() {
    // No token before the choice, none once the context is complete, nothing of others.
    Rig::new().gssapi().refuses(&token(b"t"), UNSOLICITED);
    Rig::new().gssapi().refuses(&error_token(), UNSOLICITED);
    Rig::new().selected().refuses(&token(b"t"), UNSOLICITED);
    let mut rig = Rig::new().selected().finished();
    rig.refuses(&token(b"t"), UNSOLICITED);
    rig.refuses(&selects(KERBEROS), UNSOLICITED);
    for number in [62, 63, 66, 67, 79] {
        let mut rig = Rig::new().exchanging();
        rig.refuses(&Bytes::from(vec![number]), UNSOLICITED);
    }
    let mic = payload(&UserauthGssapiMic { mic: b"mic" });
    Rig::new()
        .selected()
        .sends_token()
        .refuses(&mic, UNSOLICITED);
    for message in [selects(KERBEROS), token(b"t"), error(), error_token()] {
        Rig::new().refuses(&message, UNSOLICITED);
        Rig::new().none().refuses(&message, UNSOLICITED);
        assert!(Rig::new().interactive().send(&message).is_err());
    }
}

#[test]
fn g20_success_before_the_context_is_complete_is_refused() {
    Rig::new().gssapi().refuses(&success(), UNSOLICITED);
    Rig::new().selected().refuses(&success(), UNSOLICITED);
    let mut rig = Rig::new().exchanging();
    rig.refuses(&success(), UNSOLICITED);
    // Nor is it a step of several (G25).
    let turn = rig.turns(&failure(&["password"], true));
    assert_eq!(turn.outcome, AuthOutcome::Failed);
    let mut rig = Rig::new().selected().finished();
    let turn = rig.turns(&failure(&["password"], true));
    assert_eq!(turn.outcome, AuthOutcome::PartialSuccess);
}

#[test]
fn g24_tokens_without_end_end() {
    let mut rig = Rig::new().selected();
    for _ in 1..MAX_AUTH_ROUNDS {
        rig = rig.sends_token();
        rig.step(&token(b"u"));
    }
    rig = rig.sends_token();
    rig.refuses(&token(b"u"), Limit::AuthRounds);

    let mut rig = Rig::new().gssapi();
    for _ in 0..MAX_AUTH_ROUNDS {
        rig.fails(&error());
    }
    rig.refuses(&error(), Limit::AuthRounds);
}

#[test]
fn what_cannot_be_sent_leaves_the_question() {
    let mut rig = Rig::new();
    let Rig { client, out } = &mut rig;
    let bad_oids: [&[&[u8]]; 7] = [
        &[],
        &[b""],
        &[b"\x06\x00"],
        &[KERBEROS, b"\x06\x02\x2a"],
        &[b"\x06\x01\x2a\x03"],
        &[b"\x05\x01\x2a"],
        &[KERBEROS; MAX_PROMPTS + 1],
    ];
    for bad in bad_oids {
        assert_eq!(client.gssapi(bad, out), Err(ApiMisuse::InvalidText));
    }
    let mut rig = rig.selected();
    let Rig { client, out } = &mut rig;
    let long = [0; MAX_AUTH_TEXT + 1];
    let refused = Err(ApiMisuse::InvalidText);
    assert_eq!(client.gssapi_token(&long, out), refused);
    assert_eq!(client.gssapi_finish(Some(&long), None, out), refused);
    assert_eq!(client.gssapi_finish(None, Some(&long), out), refused);
    let refused = client.gssapi_fail(Some(&long), out);
    assert_eq!(refused.map(drop), Err(ApiMisuse::InvalidText));
    assert!(out.is_empty());
    let mut rig = rig.sends_token();
    let Rig { client, out } = &mut rig;
    let misuse = Err(ApiMisuse::WrongAnswer);
    assert_eq!(client.gssapi_token(b"t", out), misuse);
    assert_eq!(client.gssapi_finish(None, None, out), misuse);
    assert_eq!(client.gssapi_fail(None, out).map(drop), misuse);
    assert!(out.is_empty());
}
