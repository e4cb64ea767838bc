//! `keyboard-interactive` (RFC 4256).

use super::*;
use crate::auth::Prompt;
use crate::limits::{MAX_AUTH_TEXT, MAX_PROMPTS};
use crate::wire::outbox::Payload;

pub(super) fn info_request(prompts: &[(&[u8], bool)]) -> Bytes {
    payload(&UserauthInfoRequest {
        name: b"Title",
        instruction: b"Above\nall",
        language: b"en",
        prompts: prompts.to_vec(),
    })
}

impl Rig {
    pub(super) fn interactive(mut self) -> Self {
        self.client.keyboard_interactive("", &mut self.out).unwrap();
        only(&mut self.out);
        self
    }

    fn prompts(&mut self, payload: &Bytes) -> Prompts {
        match self.send(payload).unwrap() {
            ClientAsk::Prompts(prompts) => prompts,
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, answers: &[&str]) -> Bytes {
        let answers: Vec<_> = answers.iter().map(|text| Password::new(*text)).collect();
        self.client.answer_prompts(&answers, &mut self.out).unwrap();
        only(&mut self.out)
    }

    fn abandons(&mut self) {
        match self.client.abandon().unwrap() {
            ClientAsk::Turn(turn) => assert_eq!(turn.outcome, AuthOutcome::Failed),
            other => panic!("{other:?}"),
        }
        assert!(self.out.is_empty());
    }

    fn succeeds(&mut self, method: &str) {
        match self.send(&success()).unwrap() {
            ClientAsk::Authenticated(proof) => assert_eq!(proof.method(), method),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bytes_are_those_of_rfc_4256() {
    let mut rig = Rig::new();
    rig.client
        .keyboard_interactive("otp,pam", &mut rig.out)
        .unwrap();
    let expected = [
        &b"\x32\0\0\0\x02me\0\0\0\x0essh-connection\0\0\0\x14keyboard-interactive"[..],
        b"\0\0\0\0\0\0\0\x07otp,pam",
    ];
    assert_eq!(only(&mut rig.out), expected.concat());
    let question = b"\x3c\0\0\0\x01T\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x03PIN\0\0\0\0\x04Name\x01";
    let prompts = rig.prompts(&Bytes::from_static(question));
    let expected = [Prompt::new("PIN", false), Prompt::new("Name", true)];
    assert_eq!(prompts, Prompts::new("T", "", expected));
    let answer = rig.answer(&["12", ""]);
    assert_eq!(answer, &b"\x3d\0\0\0\x02\0\0\0\x0212\0\0\0\0"[..]);
    rig.succeeds("keyboard-interactive");
}

#[test]
fn rounds_follow_each_other_and_may_be_empty() {
    let mut rig = Rig::new().interactive();
    rig.prompts(&info_request(&[(b"Password: ", false)]));
    rig.answer(&["x"]);
    assert_eq!(rig.prompts(&info_request(&[])).prompts, []);
    assert_eq!(rig.answer(&[]), &b"\x3d\0\0\0\0"[..]);
    rig.prompts(&info_request(&[(b"Token: ", true), (b"PIN: ", false)]));
    rig.answer(&["1", "2"]);
    let turn = rig.turns(&failure(&["publickey"], true));
    assert_eq!(turn.outcome, AuthOutcome::PartialSuccess);
}

#[test]
fn answers_leave_as_secrets_and_must_fit() {
    let mut rig = Rig::new().interactive();
    let many = [(&b"?"[..], false); 40];
    rig.prompts(&info_request(&many));
    let Rig { client, out } = &mut rig;
    let answers = |count: usize, length: usize| -> Vec<Password> {
        (0..count)
            .map(|_| Password::new(vec![b'x'; length]))
            .collect()
    };
    for bad in [
        answers(39, 1),
        answers(41, 1),
        answers(0, 1),
        answers(40, MAX_PASSWORD + 1),
        // Each would do, all together would not fit a packet.
        answers(40, MAX_PASSWORD),
    ] {
        let refused = client.answer_prompts(&bad, out);
        assert_eq!(refused, Err(ApiMisuse::InvalidText));
        assert!(out.is_empty());
    }
    let most = (MAX_AUTH_TEXT - 8) / 40 - 8;
    client.answer_prompts(&answers(40, most), out).unwrap();
    let payload = out.pop().unwrap();
    assert!(matches!(&payload, Payload::Secret(_)));
    assert!(payload.as_ref().len() <= MAX_AUTH_TEXT);
    // Not twice.
    let again = client.answer_prompts(&answers(40, 1), out);
    assert_eq!(again, Err(ApiMisuse::WrongAnswer));
}

#[test]
fn submethods_are_text() {
    let mut rig = Rig::new();
    let Rig { client, out } = &mut rig;
    for bad in ["nul\0", "lf\n", &"x".repeat(MAX_AUTH_TEXT + 1)] {
        let refused = client.keyboard_interactive(bad, out);
        assert_eq!(refused, Err(ApiMisuse::InvalidText));
    }
    rig.interactive();
}

#[test]
fn g24_texts_are_escaped_and_cut() {
    let mut rig = Rig::new().interactive();
    let long = [b'x'; 3000];
    let prompts = rig.prompts(&payload(&UserauthInfoRequest {
        name: b"\x1b]0;me\x07",
        instruction: &long,
        language: b"",
        prompts: vec![(b"\x1b[2JPassword:\r", false), (&long, true)],
    }));
    assert_eq!(prompts.name, "\\u{1b}]0;me\\u{7}");
    assert_eq!(prompts.instruction.len(), MAX_PEER_TEXT);
    assert_eq!(prompts.prompts[0].text, "\\u{1b}[2JPassword:\\u{d}");
    assert_eq!(prompts.prompts[1].text.len(), MAX_PEER_TEXT);
}

#[test]
fn g24_n2_prompts_are_counted_before_they_are_kept() {
    let most = [(&b"?"[..], true); MAX_PROMPTS];
    let prompts = Rig::new().interactive().prompts(&info_request(&most));
    assert_eq!(prompts.prompts.len(), MAX_PROMPTS);
    for count in [101, 0x7fff_ffff, u32::MAX] {
        let head = b"\x3c\0\0\0\0\0\0\0\0\0\0\0\0";
        let message = [&head[..], &count.to_be_bytes(), &[0; 40]].concat();
        let too_many = Error::InvalidMessage {
            number: 60,
            error: DecodeError::TooMany,
        };
        Rig::new().interactive().refuses(&message.into(), too_many);
    }
}

#[test]
fn g24_rounds_without_end_end() {
    for prompts in [&[][..], &[(&b"again?"[..], true)]] {
        let mut rig = Rig::new().interactive();
        for _ in 0..MAX_AUTH_ROUNDS {
            rig.prompts(&info_request(prompts));
            rig.answer(&vec!["x"; prompts.len()]);
        }
        rig.refuses(&info_request(prompts), Limit::AuthRounds);
    }
}

#[test]
fn g24_a_round_comes_only_when_it_is_due() {
    let question = info_request(&[(b"?", true)]);
    Rig::new().refuses(&question, UNSOLICITED);
    Rig::new().none().refuses(&question, UNSOLICITED);
    Rig::new().signed().refuses(&question, UNSOLICITED);
    let malformed = Error::InvalidMessage {
        number: 60,
        error: DecodeError::TrailingBytes,
    };
    Rig::new().password().refuses(&question, malformed.clone());
    Rig::new().query().refuses(&question, malformed);
    // Before the one at hand is answered.
    let mut rig = Rig::new().interactive();
    rig.prompts(&question);
    rig.refuses(&question, UNSOLICITED);
    // Replies of other methods are none of this one.
    for other in [change(b"x"), pk_ok("toy", &public_key("toy", "a"))] {
        let refused = Rig::new().interactive().send(&other).unwrap_err();
        assert!(matches!(refused, Error::InvalidMessage { .. }));
    }
    for number in 61..=79 {
        let other = Bytes::from(vec![number]);
        Rig::new().interactive().refuses(&other, UNSOLICITED);
    }
}

#[test]
fn g20_success_while_the_user_is_asked_is_refused() {
    let mut rig = Rig::new().interactive();
    rig.prompts(&info_request(&[(b"?", true)]));
    rig.refuses(&success(), UNSOLICITED);
    rig.refuses(&failure(&["password"], false), UNSOLICITED);
}

#[test]
fn g20_trivial_success_is_refused_on_request() {
    let question = info_request(&[(b"?", true)]);
    let empty = info_request(&[]);
    let strict = || {
        let mut rig = Rig::new();
        rig.client.refuse_trivial_success = true;
        rig
    };
    let trivial = || Error::PeerIncompatible(PeerIncompatible::TrivialSuccess);
    strict().none().refuses(&success(), trivial());
    strict().interactive().refuses(&success(), trivial());
    let mut rig = strict().interactive();
    rig.prompts(&empty);
    rig.answer(&[]);
    rig.refuses(&success(), trivial());
    // A password that was refused is no proof, nor is a trivial step.
    let mut rig = strict().password();
    rig.turns(&failure(&["none"], false));
    rig.none().refuses(&success(), trivial());
    let mut rig = strict().none();
    rig.turns(&failure(&["none"], true));
    rig.interactive().refuses(&success(), trivial());

    // One prompt answered in any round is enough, as is a proof in an earlier step.
    let mut rig = strict().interactive();
    rig.prompts(&question);
    rig.answer(&["x"]);
    rig.prompts(&empty);
    rig.answer(&[]);
    rig.succeeds("keyboard-interactive");
    let mut rig = strict().signed();
    rig.turns(&failure(&["keyboard-interactive"], true));
    rig.interactive().succeeds("keyboard-interactive");
    strict().password().succeeds("password");
    // Otherwise it is named.
    Rig::new().none().succeeds("none");
    Rig::new().interactive().succeeds("keyboard-interactive");
}

#[test]
fn an_abandoned_method_sends_nothing_and_one_late_message_is_let_pass() {
    let question = info_request(&[(b"?", true)]);
    let abandoned = || {
        let mut rig = Rig::new().interactive();
        rig.prompts(&question);
        rig.abandons();
        let gone = rig.client.answer_prompts(&[], &mut rig.out);
        assert_eq!(gone, Err(ApiMisuse::WrongAnswer));
        rig
    };
    let again: [fn(Rig) -> Rig; 5] = [
        Rig::none,
        Rig::password,
        Rig::signed,
        Rig::query,
        Rig::remote,
    ];
    for (at, next) in again.into_iter().enumerate() {
        let mut rig = next(abandoned());
        assert!(rig.client.handle(&question).unwrap().is_none());
        // The attempt after it is what it was.
        if at < 3 {
            assert!(rig.client.handle(&question).is_err());
            rig.send(&success()).unwrap();
        } else {
            rig.send(&pk_ok("toy", &public_key("toy", "a"))).unwrap();
        }
    }
    // A late refusal cannot be told from one of the next attempt.
    let mut rig = abandoned().none();
    assert_eq!(rig.turns(&failure(&[], false)).outcome, AuthOutcome::Failed);
    // Tried anew, it asks anew.
    let mut rig = abandoned().interactive();
    rig.prompts(&question);
    // Only what was abandoned may be late.
    let mut rig = abandoned().none();
    rig.refuses(&change(b"x"), UNSOLICITED);
    rig.refuses(&Bytes::from_static(b"\x3d\0\0\0\0"), UNSOLICITED);
}
