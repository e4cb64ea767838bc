//! What steps gather (RFC 4252 section 5.1), leave to verify, and failures that look alike whoever the user is.

use std::time::Duration;

use ssh_proto::error::{ApiMisuse, Limit};
use ssh_proto::{AuthMethod, Permissions, Restrictions};
use ssh_tests::attack::chunked;

use super::*;

/// The application grants a step with these restrictions.
fn grant_step(h: &mut Server, payload: &[u8], restrictions: &Restrictions) {
    let mut pending = ask(h, payload);
    pending.restrict(restrictions);
    h.connection
        .accept_auth_partially(pending, ALL)
        .expect("fits");
    h.exchange();
    let partly = h.peer.expect(number::USERAUTH_FAILURE);
    assert_eq!(
        partly.payload[..],
        message(51, &[F::S(ALL_NAMES), F::B(1)])[..]
    );
}

#[test]
fn g11_steps_in_every_order_tighten() {
    let (a, b) = (
        fixtures::key("ssh-ed25519", 1),
        fixtures::key("ssh-ed25519", 2),
    );
    let tun = Permissions::PTY | Permissions::TUN;
    let restrictions = [
        Restrictions::new(tun).with_force_command("id"),
        Restrictions::new(Permissions::PTY | Permissions::X11),
        Restrictions::default(),
    ];
    chunked(|mode| {
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut h = server(mode);
            let steps = [
                signed(&h, &*a),
                bound(&h, &*b, &right_host_key()),
                password(),
            ];
            for step in &order[..2] {
                grant_step(&mut h, &steps[*step], &restrictions[*step]);
                // What fails in between, with restrictions of its own, changes nothing.
                let mut pending = ask(&mut h, &interactive());
                pending.restrict(&Restrictions::new(Permissions::NONE).with_force_command("false"));
                h.connection.reject_auth(pending, None).expect("own token");
                expect_failure(&mut h);
            }
            // A key that was used is used, bound or not.
            if order[2] == 2 {
                let again = [signed(&h, &*b), bound(&h, &*a, &right_host_key())];
                for again in again {
                    fails_unasked(&mut h, &again);
                }
            }
            let mut pending = ask(&mut h, &steps[order[2]]);
            pending.restrict(&restrictions[order[2]]);
            let methods = ["publickey", "publickey", "password"];
            accept(&mut h, pending, methods[order[2]]);
            let proof = h.connection.authenticated().expect("authenticated");
            assert_eq!(proof.permissions(), Permissions::PTY);
            assert_eq!(proof.force_command(), Some(&b"id"[..]));
            let kept: Vec<_> = proof.steps().iter().map(|step| step.method).collect();
            assert_eq!(kept, order.map(|step| methods[step]));
        }
    });
}

#[test]
fn m10_two_forced_commands_refuse_the_later_step() {
    let key = fixtures::user_key();
    let forced = |command| Restrictions::default().with_force_command(command);
    chunked(|mode| {
        let mut h = server(mode);
        let payload = signed(&h, &*key);
        grant_step(&mut h, &payload, &forced("id"));
        let mut pending = ask(&mut h, &password());
        pending.restrict(&forced("date"));
        let refused = h.connection.accept_auth(pending);
        assert_eq!(refused, Err(ApiMisuse::WrongAnswer));
        expect_failure(&mut h);
        assert!(h.connection.authenticated().is_none());
        let mut pending = ask(&mut h, &password());
        pending.restrict(&forced("id"));
        accept(&mut h, pending, "password");
    });
}

#[test]
fn s8_16_publickey_then_publickey_or_password() {
    let (a, b) = (
        fixtures::key("ssh-ed25519", 1),
        fixtures::key("ssh-ed25519", 2),
    );
    chunked(|mode| {
        for second_key in [true, false] {
            let mut h = server(mode);
            let payload = signed(&h, &*a);
            let pending = ask(&mut h, &payload);
            let rest = MethodSet::PUBLICKEY | MethodSet::PASSWORD;
            h.connection
                .accept_auth_partially(pending, rest)
                .expect("fits");
            h.exchange();
            let partly = h.peer.expect(number::USERAUTH_FAILURE);
            let names = message(51, &[F::S(b"publickey,password"), F::B(1)]);
            assert_eq!(partly.payload[..], names[..]);
            let (payload, method) = match second_key {
                true => (signed(&h, &*b), "publickey"),
                false => (password(), "password"),
            };
            let pending = ask(&mut h, &payload);
            accept(&mut h, pending, method);
        }
    });
}

#[test]
fn unverified_signatures_wait_for_leave() {
    let key = fixtures::user_key();
    chunked(|mode| {
        let mut h = server_with(mode, |builder| builder.ask_before_verifying(true));
        let all = [
            signed(&h, &*key),
            bound(&h, &*key, &right_host_key()),
            vouched(&h, &*key, b"h", b"u"),
        ];
        let asked = |h: &mut Server, payload: &[u8]| {
            h.send_payload(payload);
            assert_eq!(h.peer.drain(), []);
            let attempt = take_unverified(h);
            assert_eq!(attempt.user(), fixtures::USER);
            assert_eq!(attempt.key(), key.public_key());
            assert_eq!(attempt.algorithm(), "ssh-ed25519");
            attempt
        };
        for (at, payload) in all.iter().enumerate() {
            let attempt = asked(&mut h, payload);
            match at % 2 {
                0 => drop(attempt),
                _ => h.connection.refuse_attempt(attempt).expect("own token"),
            }
            expect_failure(&mut h);
        }
        // A wrong signature is found out only if it is to be.
        let mut forged = all[0].clone();
        *forged.last_mut().expect("long") ^= 1;
        let attempt = asked(&mut h, &forged);
        h.connection.verify_attempt(attempt).expect("own token");
        expect_failure(&mut h);
        // Passwords and queries are not asked about twice.
        drop(ask(&mut h, &password()));
        expect_failure(&mut h);
        let attempt = asked(&mut h, &all[2]);
        h.connection.verify_attempt(attempt).expect("own token");
        h.exchange();
        let pending = take_request(&mut h);
        assert!(matches!(pending.method(), AuthMethod::HostBased { .. }));
        accept(&mut h, pending, "hostbased");
    });
}

/// G12: the same replies at the same time, whether the user is known and whatever was tried.
#[test]
fn g12_failures_of_all_methods_wait_for_their_time() {
    let delay = Duration::from_secs(2);
    let key = fixtures::user_key();
    chunked(|mode| {
        for known in [true, false] {
            let pair = Pair::builder(mode.without_rekeys())
                .server(|builder| builder.auth_methods(ALL))
                .server_limits(|limits| {
                    limits.auth_failure_delay = Some(delay);
                    limits.auth_failures = 100;
                })
                .build();
            let mut h = ready(pair, mode);
            let is_held = |h: &mut Server, failed: bool| {
                h.exchange();
                assert!(failed);
                assert_eq!(h.peer.drain(), [], "a failure ahead of its time");
                h.advance(delay - Duration::from_millis(1));
                assert_eq!(h.peer.drain(), []);
                h.advance(Duration::from_millis(1));
                expect_failure(h);
            };
            let reject = |h: &mut Server, pending: AuthRequest| match known {
                true => h.connection.reject_auth(pending, None),
                false => h.connection.reject_unknown_user(pending, None),
            };
            let (signed, vouched) = (signed(&h, &*key), vouched(&h, &*key, b"h", b"u"));
            let first_steps = [
                password(),
                signed,
                vouched,
                interactive(),
                mechanisms(&[KERBEROS]),
            ];
            for payload in &first_steps {
                let pending = ask(&mut h, payload);
                let answered = reject(&mut h, pending).is_ok();
                is_held(&mut h, answered);
            }
            // Further steps have a time of their own.
            prompt(&mut h, 1);
            h.advance(delay * 2);
            let pending = ask(&mut h, &responses(&[b"x"]));
            let answered = reject(&mut h, pending).is_ok();
            is_held(&mut h, answered);
            prompt(&mut h, 1);
            h.advance(delay * 2);
            h.send_payload(&responses(&[]));
            is_held(&mut h, true);
            select(&mut h);
            h.advance(delay * 2);
            let pending = ask(&mut h, &message(61, &[F::S(b"x")]));
            let answered = reject(&mut h, pending).is_ok();
            is_held(&mut h, answered);
            // What fails unasked.
            for payload in [mechanisms(&[]), request(b"unknown", &[])] {
                h.send_payload(&payload);
                is_held(&mut h, true);
            }
        }
    });
}

#[test]
fn g6_failures_of_all_methods_are_counted() {
    let key = fixtures::user_key();
    chunked(|mode| {
        let mut h = server(mode);
        for at in 0..6 {
            let payload = match at {
                0 => interactive(),
                1 => mechanisms(&[KERBEROS]),
                2 => vouched(&h, &*key, b"h", b"u"),
                3 => bound(&h, &*key, &right_host_key()),
                4 => {
                    prompt(&mut h, 1);
                    responses(&[b"x"])
                }
                _ => {
                    select(&mut h);
                    message(61, &[F::S(b"x")])
                }
            };
            drop(ask(&mut h, &payload));
            match at {
                5 => h.assert_disconnected(ssh_proto::error::DisconnectReason(14)),
                _ => expect_failure(&mut h),
            }
        }
        assert_eq!(*h.error(), Limit::AuthFailures.into());
    });
}

#[test]
fn g18_steps_after_success() {
    chunked(|mode| {
        let mut h = server(mode);
        prompt(&mut h, 0);
        let pending = ask(&mut h, &responses(&[]));
        accept(&mut h, pending, "keyboard-interactive");
        h.ignores(|peer| peer.send_payload(&interactive()));
        for payload in [
            responses(&[]),
            message(61, &[F::S(b"token")]),
            vec![63],
            message(65, &[F::S(b"error")]),
            message(66, &[F::S(b"mic")]),
        ] {
            h.does_not_know(&payload);
        }
    });
}
