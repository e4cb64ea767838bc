//! `gssapi-with-mic` (RFC 4462 section 3), with tokens that mean nothing.

use ssh_proto::{AuthMethod, ServerGssapi};
use ssh_tests::attack::chunked;

use super::*;

#[test]
fn gssapi_passes_tokens_and_the_mic() {
    chunked(|mode| {
        let mut h = server(mode);
        select(&mut h);
        let pending = ask(&mut h, &message(61, &[F::S(b"a")]));
        h.connection.gssapi_token(pending, b"b").expect("fits");
        h.exchange();
        assert_eq!(
            h.peer.expect(61).payload[..],
            message(61, &[F::S(b"b")])[..]
        );
        let pending = ask(&mut h, &message(61, &[F::S(b"c")]));
        h.connection
            .gssapi_established(pending, Some(b"d"))
            .expect("fits");
        h.exchange();
        assert_eq!(
            h.peer.expect(61).payload[..],
            message(61, &[F::S(b"d")])[..]
        );
        let pending = ask(&mut h, &message(66, &[F::S(b"mic")]));
        let covered = [session(&h), request(b"gssapi-with-mic", &[])].concat();
        match pending.method() {
            AuthMethod::Gssapi(ServerGssapi::Mic { mic, message }) => {
                assert_eq!(mic[..], b"mic"[..]);
                assert_eq!(message[..], covered[..]);
            }
            other => panic!("{other:?}"),
        }
        accept(&mut h, pending, "gssapi-with-mic");

        // The server's mechanism fails: its reasons, and then the failure.
        let mut h = server(mode);
        select(&mut h);
        let pending = ask(&mut h, &message(61, &[F::S(b"a")]));
        h.connection
            .gssapi_error(pending, 1, 2, "why", Some(b"e"))
            .expect("fits");
        h.exchange();
        let why = message(64, &[F::U(1), F::U(2), F::S(b"why"), F::S(b"")]);
        assert_eq!(h.peer.expect(64).payload[..], why[..]);
        assert_eq!(
            h.peer.expect(65).payload[..],
            message(65, &[F::S(b"e")])[..]
        );
        expect_failure(&mut h);
        // The client's does: it has gone on, and is not answered.
        select(&mut h);
        drop(ask(&mut h, &message(65, &[F::S(b"e")])));
        h.exchange();
        assert_eq!(h.peer.drain(), []);
        let pending = ask(&mut h, &password());
        accept(&mut h, pending, "password");
    });
}

#[test]
fn g5_gssapi_out_of_order() {
    chunked(|mode| {
        for payload in [
            message(61, &[F::S(b"")]),
            vec![63],
            message(66, &[F::S(b"")]),
        ] {
            let mut h = server(mode);
            h.refuses(2, |peer| peer.send_payload(&payload));
            let mut h = server(mode);
            prompt(&mut h, 0);
            let is_response = payload[0] == 61 && payload.len() == 5;
            match is_response {
                // An answer to no prompts looks like an empty token.
                true => drop(ask(&mut h, &payload)),
                false => h.refuses(2, |peer| peer.send_payload(&payload)),
            }
        }
        for payload in [vec![63], message(66, &[F::S(b"")])] {
            let mut h = server(mode);
            select(&mut h);
            h.refuses(2, |peer| peer.send_payload(&payload));
        }
        let mut h = server(mode);
        fails_unasked(&mut h, &mechanisms(&[]));
        fails_unasked(&mut h, &mechanisms(&[b"", b"\x06\x05\x00"]));
        let many = request(b"gssapi-with-mic", &[F::U(u32::MAX)]);
        h.refuses(2, |peer| peer.send_payload(&many));
    });
}
