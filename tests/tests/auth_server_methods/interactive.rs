//! `keyboard-interactive` (RFC 4256), and answers that fit no question.

use ssh_proto::error::{ApiMisuse, DisconnectReason, Limit, PeerMisbehaved};
use ssh_proto::{AuthMethod, AuthRequest, Connection, Prompts, ServerConnection};
use ssh_tests::attack::chunked;

use super::*;

#[test]
fn s8_16_keyboard_interactive_with_and_without_prompts() {
    chunked(|mode| {
        for rounds in [&[0][..], &[2], &[1, 0, 3, 0], &[100]] {
            let mut h = server(mode);
            let mut pending = ask(&mut h, &interactive());
            assert!(
                matches!(pending.method(), AuthMethod::KeyboardInteractive { submethods } if submethods.is_empty())
            );
            for count in rounds {
                answer_with_prompts(&mut h, pending, *count);
                pending = ask(&mut h, &responses(&vec![&b"x"[..]; *count]));
                match pending.method() {
                    AuthMethod::KeyboardInteractiveResponses(given) => {
                        assert_eq!(given.len(), *count);
                        assert!(given.iter().all(|response| response.matches(b"x")));
                    }
                    other => panic!("{other:?}"),
                }
            }
            accept(&mut h, pending, "keyboard-interactive");
        }
    });
}

#[test]
fn g14_answers_unasked_or_wrong_in_number() {
    chunked(|mode| {
        let mut h = server(mode);
        h.refuses(2, |peer| peer.send_payload(&responses(&[])));
        assert_eq!(*h.error(), PeerMisbehaved::UnexpectedMessage(61).into());
        // Twice: the second is read once the first is decided on.
        let mut h = server(mode);
        prompt(&mut h, 1);
        h.peer.send_payload(&responses(&[b"x"]));
        h.peer.send_payload(&responses(&[b"x"]));
        h.exchange();
        let pending = take_request(&mut h);
        h.connection.reject_auth(pending, None).expect("own token");
        h.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);

        let mut h = server(mode);
        for (asked, given) in [(1, 0), (1, 2), (0, 1), (100, 99)] {
            prompt(&mut h, asked);
            fails_unasked(&mut h, &responses(&vec![&b"x"[..]; given]));
        }
        prompt(&mut h, 1);
        fails_unasked(&mut h, &message(61, &[F::U(u32::MAX)]));
        let mut h = server(mode);
        prompt(&mut h, 1);
        fails_unasked(&mut h, &responses(&[&[b'x'; 1025]]));
        prompt(&mut h, 1);
        h.refuses(2, |peer| peer.send_payload(&message(61, &[F::U(1)])));
    });
}

#[test]
fn g14_a_new_request_cancels() {
    chunked(|mode| {
        type Begin = fn(&mut Server);
        let begin: [Begin; 2] = [|h| prompt(h, 1), select];
        for begin in begin {
            let mut h = server(mode);
            begin(&mut h);
            // Not a word about the old one (RFC 4252 section 5).
            let pending = ask(&mut h, &password());
            assert!(matches!(pending.method(), AuthMethod::Password(_)));
            h.connection.reject_auth(pending, None).expect("own token");
            expect_failure(&mut h);
            h.refuses(2, |peer| peer.send_payload(&responses(&[b"x"])));
            // What is given up has failed.
            let mut h = server(mode);
            for _ in 0..6 {
                begin(&mut h);
            }
            h.refuses(14, |peer| peer.send_payload(&password()));
            assert_eq!(*h.error(), Limit::AuthFailures.into());
        }
    });
}

#[test]
fn g14_rounds_without_prompts_have_an_end() {
    chunked(|mode| {
        let mut h = server(mode);
        let mut pending = ask(&mut h, &interactive());
        for _ in 0..100 {
            answer_with_prompts(&mut h, pending, 0);
            pending = ask(&mut h, &responses(&[]));
        }
        let refused = h.connection.prompt_auth(pending, &Prompts::default());
        assert_eq!(refused, Err(ApiMisuse::WrongAnswer));
        expect_failure(&mut h);
    });
}

#[test]
fn g15_answers_that_do_not_fit_refuse() {
    chunked(|mode| {
        type Answer = fn(&mut ServerConnection, AuthRequest) -> Result<(), ApiMisuse>;
        let wrong: [Answer; 6] = [
            |server, request| server.accept_auth(request),
            |server, request| server.accept_auth_partially(request, ALL),
            |server, request| server.select_gssapi_mechanism(request, KERBEROS),
            |server, request| server.gssapi_token(request, b""),
            |server, request| server.gssapi_established(request, None),
            |server, request| server.gssapi_error(request, 0, 0, "", None),
        ];
        for wrong in wrong {
            let mut h = server(mode);
            let pending = ask(&mut h, &interactive());
            let refused = wrong(&mut h.connection, pending);
            assert_eq!(refused, Err(ApiMisuse::WrongAnswer));
            expect_failure(&mut h);
            assert!(h.connection.authenticated().is_none());
        }
        let mut h = server(mode);
        let pending = ask(&mut h, &password());
        let refused = h.connection.prompt_auth(pending, &Prompts::default());
        assert_eq!(refused, Err(ApiMisuse::WrongAnswer));
        expect_failure(&mut h);
        // Dropped in the middle of a method.
        prompt(&mut h, 1);
        drop(ask(&mut h, &responses(&[b"x"])));
        expect_failure(&mut h);
        // Of another connection, and after the end.
        let mut other = server(mode);
        let pending = ask(&mut h, &interactive());
        let refused = other.connection.prompt_auth(pending, &Prompts::default());
        assert_eq!(refused, Err(ApiMisuse::ForeignToken));
        expect_failure(&mut h);
        let pending = ask(&mut h, &interactive());
        h.eof();
        let refused = h.connection.prompt_auth(pending, &Prompts::default());
        assert_eq!(refused, Err(ApiMisuse::StaleToken));
    });
}
