//! Logins of several steps (RFC 4252 section 5.1), what they gather, and the question before a signature is verified.

use super::*;
use crate::auth::{Permissions, Prompts};
use crate::wire::auth::UserauthInfoResponse;

const PTY: Permissions = Permissions::PTY;

impl Rig {
    /// The request is asked about, and would be granted with these restrictions.
    fn restricted(&mut self, payload: &Bytes, restrictions: &Restrictions) {
        self.asks(payload);
        self.server.restrict(restrictions);
    }

    fn partly(&mut self) {
        self.server.accept_partial(ALL, &mut self.out).unwrap();
        assert_eq!(shown(&mut self.out).len(), 1);
    }

    /// `keyboard-interactive` up to the answer to its one round.
    fn answers(&mut self, first: &Restrictions) {
        let method = WireMethod::KeyboardInteractive(KeyboardInteractiveAuth {
            language: b"",
            submethods: b"",
        });
        self.restricted(&request(b"me", method), first);
        let prompts = Prompts::default();
        self.server.prompt(&prompts, &mut self.out).unwrap();
        shown(&mut self.out);
        self.asks(&payload(&UserauthInfoResponse { responses: vec![] }));
    }
}

fn allow(permissions: Permissions) -> Restrictions {
    Restrictions::new(permissions)
}

#[test]
fn g11_steps_are_kept_in_every_order() {
    let (a, b) = (key("a"), key("b"));
    let steps = [signed(&a), password(b"x", None), signed(&b)];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut rig = Rig::all();
        for (at, step) in order.iter().enumerate() {
            // A step that fails in between changes nothing.
            rig.asks(&password(b"wrong", None));
            rig.rejects();
            rig.asks(&steps[*step]);
            if at < 2 {
                rig.partly();
            }
        }
        let proof = rig.server.accept(&mut rig.out).unwrap();
        let kept: Vec<_> = proof
            .steps()
            .iter()
            .map(|s| (s.method, s.key.clone()))
            .collect();
        let expected = order.map(|step| match step {
            0 => ("publickey", Some(a.public_key().clone())),
            1 => ("password", None),
            _ => ("publickey", Some(b.public_key().clone())),
        });
        assert_eq!(kept, expected);
    }
}

#[test]
fn g11_restrictions_of_all_steps_count() {
    let (a, b) = (key("a"), key("b"));
    let mut rig = Rig::all();
    let tun = allow(PTY | Permissions::TUN).with_force_command("id");
    rig.restricted(&signed(&a), &tun);
    rig.partly();
    // A later key without options, and one that fails, loosen nothing.
    rig.restricted(&password(b"wrong", None), &allow(Permissions::NONE));
    rig.rejects();
    rig.restricted(&signed(&b), &allow(PTY | Permissions::X11));
    rig.partly();
    rig.asks(&password(b"right", None));
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.permissions(), PTY);
    assert_eq!(proof.force_command(), Some(&b"id"[..]));
}

#[test]
fn g11_restrictions_of_a_failed_request_vanish() {
    let mut rig = Rig::all();
    let none = allow(Permissions::NONE).with_force_command("false");
    rig.restricted(&signed(&key("a")), &none);
    rig.rejects();
    // Of an abandoned method as well.
    rig.answers(&none);
    rig.rejects();
    rig.asks(&password(b"x", None));
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.permissions(), Permissions::ALL);
    assert_eq!(proof.force_command(), None);
}

#[test]
fn g11_restrictions_of_one_method_add_up_over_its_rounds() {
    let mut rig = Rig::all();
    rig.answers(&allow(PTY | Permissions::TUN).with_force_command("id"));
    rig.server.restrict(&allow(PTY | Permissions::X11));
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.permissions(), PTY);
    assert_eq!(proof.force_command(), Some(&b"id"[..]));
}

#[test]
fn g11_restrictions_of_a_password_hold_for_its_change() {
    let mut rig = Rig::all();
    let tun = allow(PTY | Permissions::TUN).with_force_command("id");
    rig.restricted(&password(b"expired", None), &tun);
    let demand = |rig: &mut Rig| {
        rig.server
            .request_password_change("", &mut rig.out)
            .unwrap();
        shown(&mut rig.out);
    };
    demand(&mut rig);
    // Once more, since the new one will not do.
    let change = password(b"expired", Some(b"new"));
    rig.restricted(&change, &allow(PTY | Permissions::X11));
    demand(&mut rig);
    rig.asks(&change);
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.permissions(), PTY);
    assert_eq!(proof.force_command(), Some(&b"id"[..]));
    // Another method is not restricted by it.
    let mut rig = Rig::all();
    rig.restricted(&password(b"expired", None), &tun);
    demand(&mut rig);
    rig.asks(&signed(&key("a")));
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.permissions(), Permissions::ALL);
}

#[test]
fn m10_a_second_forced_command_fails_its_step() {
    let forced = |command| Restrictions::default().with_force_command(command);
    let mut rig = Rig::all();
    rig.restricted(&signed(&key("a")), &forced("id"));
    rig.partly();
    rig.restricted(&signed(&key("b")), &forced("date"));
    rig.misfits(|server, out| server.accept(out));
    rig.misfits(|server, out| server.accept_partial(ALL, out));
    rig.rejects();
    // The step before stands.
    rig.restricted(&signed(&key("b")), &forced("id"));
    let proof = rig.server.accept(&mut rig.out).unwrap();
    assert_eq!(proof.force_command(), Some(&b"id"[..]));
    assert_eq!(proof.steps().len(), 2);
}

#[test]
fn s8_16_publickey_then_publickey_or_password() {
    for second in [signed(&key("b")), password(b"x", None)] {
        let mut rig = Rig::new();
        rig.asks(&signed(&key("a")));
        let rest = MethodSet::PUBLICKEY | MethodSet::PASSWORD;
        rig.server.accept_partial(rest, &mut rig.out).unwrap();
        assert_eq!(shown(&mut rig.out), ["51 publickey,password partial"]);
        rig.asks(&second);
        assert!(rig.server.accept(&mut rig.out).is_ok());
    }
}

#[test]
fn unverified_signatures_wait_for_leave() {
    let policy = Policy {
        ask_before_verifying: true,
        ..toy::policy(MethodSet::default())
    };
    let mut rig = Rig::of(toy::server_with(&Limits::default(), policy), OPEN);
    let a = key("a");
    let blob = a.public_key().as_blob();
    let forged = a.sign("toy", b"something else").unwrap();
    let forged = publickey("me", "toy", blob, Some(forged.as_encoded()));
    let asks = |rig: &mut Rig, payload: &Bytes| match rig.send(payload).unwrap() {
        Some(ServerAsk::Unverified {
            user,
            algorithm,
            key,
        }) => {
            assert_eq!((user.as_str(), algorithm), ("me", "toy"));
            assert_eq!(&key, a.public_key());
            assert!(rig.out.is_empty());
        }
        other => panic!("{other:?}"),
    };
    // Refused, whether right or wrong; nothing else answers it.
    for message in [signed(&a), forged.clone()] {
        asks(&mut rig, &message);
        rig.misfits(|server, out| server.accept(out));
        rig.misfits(|server, out| server.reject(None, out));
        rig.misfits(|server, out| server.answer_query(true, out));
        assert!(matches!(rig.send(&none()), Err(Error::Internal(_))));
        rig.server.refuse(&mut rig.out).unwrap();
        assert_eq!(shown(&mut rig.out), [OPEN]);
    }
    rig.misfits(|server, out| server.verify(out));
    rig.misfits(|server, out| server.refuse(out));
    asks(&mut rig, &forged);
    assert!(rig.server.verify(&mut rig.out).unwrap().is_none());
    assert_eq!(shown(&mut rig.out), [OPEN]);
    // What fails by its form does so before.
    rig.fails(&publickey("me", "other", blob, Some(b"x")));
    asks(&mut rig, &signed(&a));
    let asked = rig.server.verify(&mut rig.out).unwrap();
    assert!(matches!(asked, Some(ServerAsk::Request { .. })));
    assert!(rig.server.accept(&mut rig.out).is_ok());
    assert_eq!(rig.server.trace().attempts, 5);
}

#[test]
fn what_was_tried_is_remembered() {
    let mut rig = Rig::new();
    rig.asks(&none());
    rig.rejects();
    rig.send(&query(key("a").public_key())).unwrap();
    rig.server.answer_query(false, &mut rig.out).unwrap();
    shown(&mut rig.out);
    assert_eq!(rig.server.trace(), LoginTrace::default());
    rig.asks(&password(b"x", None));
    rig.server.note_unknown_user();
    rig.rejects();
    let trace = LoginTrace {
        attempts: 1,
        unknown_user: true,
    };
    assert_eq!(rig.server.trace(), trace);
}
