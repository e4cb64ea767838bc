//! Attacks of a server on a client that authenticates (RFC 4252), group G' of the notes. The layer alone is attacked in `ssh-proto/src/auth`.

use std::time::Duration;

use ssh_proto::crypto::SigningKey;
use ssh_proto::error::{Limit, PeerIncompatible, PeerMisbehaved};
use ssh_proto::{
    AuthOutcome, ClientConnection, ClientEvent, Connection, Error, Event, Password, Timer,
};
use ssh_tests::attack::{Asked, F, chunked, message};
use ssh_tests::{Hostile, Mode, Pair, Stage, fixtures};

type Client = Hostile<ClientConnection>;

const USERAUTH: F<'static> = F::S(b"ssh-userauth");
const CONNECTION: F<'static> = F::S(b"ssh-connection");

fn request(user: &[u8], method: &[u8], rest: &[F<'_>]) -> Vec<u8> {
    let head = message(50, &[F::S(user), CONNECTION, F::S(method)]);
    [&head, &message(0, rest)[1..]].concat()
}

fn none(user: &[u8]) -> Vec<u8> {
    request(user, b"none", &[])
}

#[test]
fn g20_success_that_was_not_asked_for() {
    let key = fixtures::user_key();
    chunked(|mode| {
        let mut h = Client::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&[52]));
        // A query can be answered, not granted.
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.query_publickey(turn, key.public_key()));
        h.refuses(2, |peer| peer.send_payload(&[52]));
        // Trivial success is named as what it is.
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(ClientConnection::auth_none);
        h.send_payload(&[52]);
        assert_eq!(
            h.connection.authenticated().expect("granted").method(),
            "none"
        );
        // And again.
        h.refuses(2, |peer| peer.send_payload(&[52]));
    });
}

/// A refusal, on request, of a server that wants no proof.
#[test]
fn g20_trivial_success_is_refused_on_request() {
    let refused = Error::PeerIncompatible(PeerIncompatible::TrivialSuccess);
    chunked(|mode| {
        let strict = || {
            let pair = Pair::builder(mode).client(|config| config.refuse_trivial_success(true));
            let mut h = Client::with_connection(pair.build().client, mode.chunking);
            h.advance_to(Stage::Service);
            h
        };
        let mut h = strict();
        h.answer_turn(ClientConnection::auth_none);
        h.refuses(14, |peer| peer.send_payload(&[52]));
        assert_eq!(*h.error(), refused);
        assert_eq!(h.connection.authenticated(), None);

        // No question, or one without prompts, or one that is answered.
        for prompts in [None, Some(0), Some(1)] {
            let mut h = strict();
            h.answer_turn(|client, turn| client.auth_keyboard_interactive(turn, ""));
            if let Some(prompts) = prompts {
                let prompt = [F::S(b"?"), F::B(0)];
                let head = [F::S(b""), F::S(b""), F::S(b""), F::U(prompts)];
                let fields = [&head[..], &prompt[..2 * prompts as usize]].concat();
                h.send_payload(&message(60, &fields));
                answer(&mut h, prompts as usize);
            }
            if prompts == Some(1) {
                h.send_payload(&[52]);
                let proof = h.connection.authenticated().expect("a prompt was answered");
                assert_eq!(proof.method(), "keyboard-interactive");
            } else {
                h.refuses(14, |peer| peer.send_payload(&[52]));
                assert_eq!(*h.error(), refused);
            }
        }
    });
}

/// Answers the prompts that the server has sent.
fn answer(h: &mut Client, count: usize) {
    match h.take_event(|event| matches!(event, ClientEvent::Prompts(_))) {
        ClientEvent::Prompts(request) => {
            assert_eq!(request.prompts().prompts.len(), count);
            let answers: Vec<_> = (0..count).map(|_| Password::new("x")).collect();
            h.connection
                .answer_prompts(request, &answers)
                .expect("own token");
        }
        _ => unreachable!(),
    }
    h.exchange();
}

#[test]
fn g21_service_accept() {
    chunked(|mode| {
        for service in [&b"ssh-connection"[..], b"", b"ssh-userauth2"] {
            let mut h = Client::at(Stage::NewKeys, mode);
            h.refuses(2, |peer| peer.send_payload(&message(6, &[F::S(service)])));
        }
        let mut h = ClientConnection::asked(mode);
        h.refuses(2, |peer| peer.send_payload(&message(6, &[USERAUTH])));
        let mut h = Client::at(Stage::Authenticated, mode);
        h.refuses(2, |peer| peer.send_payload(&message(6, &[USERAUTH])));
    });
}

#[test]
fn g22_pk_ok() {
    let (a, b) = (
        fixtures::key("ssh-ed25519", 1),
        fixtures::key("ssh-ed25519", 2),
    );
    let ok = |name: &str, key: &dyn SigningKey| {
        message(
            60,
            &[F::S(name.as_bytes()), F::S(key.public_key().as_blob())],
        )
    };
    chunked(|mode| {
        let signs = |e: &ClientEvent| matches!(e, ClientEvent::Shared(Event::Sign(_)));
        // For another key, or as another algorithm: nothing is signed.
        for answer in [
            ok("ssh-ed25519", &*b),
            ok("ssh-rsa", &*a),
            message(60, &[F::S(b""), F::S(b"")]),
        ] {
            let mut h = Client::at(Stage::Service, mode);
            h.answer_turn(|client, turn| client.auth_publickey_remote(turn, a.public_key()));
            h.refuses(2, |peer| peer.send_payload(&answer));
            assert!(!h.events.iter().any(signs));
        }
        // Unasked: before the service, after `none`, after a signature.
        let mut h = Client::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&ok("ssh-ed25519", &*a)));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(ClientConnection::auth_none);
        h.refuses(2, |peer| peer.send_payload(&ok("ssh-ed25519", &*a)));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.auth_publickey(turn, &*a));
        h.refuses(2, |peer| peer.send_payload(&ok("ssh-ed25519", &*a)));
        assert!(!h.events.iter().any(signs));
        // Nor after a request that has no query.
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.auth_hostbased(turn, &*a, "h", "u"));
        h.refuses(2, |peer| peer.send_payload(&ok("ssh-ed25519", &*a)));
        assert!(!h.events.iter().any(signs));
    });
}

#[test]
fn g23_banners() {
    let banner = |text: &[u8]| message(53, &[F::S(text), F::S(b"")]);
    chunked(|mode| {
        let mut h = ClientConnection::asked(mode);
        h.events.clear();
        h.send_payload(&banner(b"hi\x1b[2J\x07\xff"));
        match h.events.pop_front() {
            Some(ClientEvent::Banner(banner)) => {
                assert!(!banner.display().to_string().contains(['\x1b', '\x07']));
            }
            other => panic!("{other:?}"),
        }
        // In all, whether in a few large ones or in many that are empty.
        let mut h = ClientConnection::asked(mode);
        h.ended_by_flood(&banner(&[b'x'; 30_000]), 3);
        let mut h = ClientConnection::asked(mode);
        if mode == Mode::PLAIN {
            h.ended_by_flood(&banner(b""), 10_000);
        }
        // Out of its time.
        for stage in [Stage::NewKeys, Stage::Authenticated] {
            let mut h = Client::at(stage, mode);
            h.refuses(2, |peer| peer.send_payload(&banner(b"late")));
        }
    });
}

trait EndedByFlood {
    fn ended_by_flood(&mut self, payload: &[u8], most: usize);
}

impl EndedByFlood for Client {
    fn ended_by_flood(&mut self, payload: &[u8], most: usize) {
        for _ in 0..most {
            self.peer.send_payload(payload);
        }
        self.exchange();
        self.assert_disconnected(ssh_proto::error::DisconnectReason::PROTOCOL_ERROR);
        assert_eq!(*self.error(), Limit::Banner.into());
    }
}

/// `USERAUTH_INFO_REQUEST` that claims so many prompts.
fn info_request(claimed: u32, prompts: &[(&[u8], u8)]) -> Vec<u8> {
    let mut fields = vec![F::S(b""), F::S(b""), F::S(b""), F::U(claimed)];
    for (text, echo) in prompts {
        fields.extend([F::S(text), F::B(*echo)]);
    }
    message(60, &fields)
}

/// A client that has asked to be asked.
fn interactive(mode: Mode) -> Client {
    let mut h = Client::at(Stage::Service, mode);
    h.answer_turn(|client, turn| client.auth_keyboard_interactive(turn, ""));
    h
}

fn no_prompts(h: &Client) {
    let asks = |event: &ClientEvent| matches!(event, ClientEvent::Prompts(_));
    assert!(!h.events.iter().any(asks));
}

#[test]
fn g24_n2_prompts_by_count() {
    chunked(|mode| {
        for claimed in [101, 1 << 16, 0x7fff_ffff, u32::MAX] {
            let mut h = interactive(mode);
            h.refuses(2, |peer| peer.send_payload(&info_request(claimed, &[])));
            let mut h = interactive(mode);
            let prompts = [(&b"?"[..], 1); 3];
            h.refuses(2, |peer| {
                peer.send_payload(&info_request(claimed, &prompts))
            });
        }
        // More or fewer than there are.
        for claimed in [0, 2] {
            let mut h = interactive(mode);
            h.refuses(2, |peer| {
                peer.send_payload(&info_request(claimed, &[(b"?", 1)]))
            });
            no_prompts(&h);
        }
        let mut h = interactive(mode);
        h.send_payload(&info_request(100, &[(&b"?"[..], 1); 100]));
        answer(&mut h, 100);
    });
}

#[test]
fn g24_prompts_are_shown_escaped() {
    chunked(|mode| {
        let mut h = interactive(mode);
        let text = b"\x1b]52;c;aGk=\x07root's password:\r\xe2\x80\xae";
        h.send_payload(&info_request(1, &[(text, 0)]));
        match h.take_event(|event| matches!(event, ClientEvent::Prompts(_))) {
            ClientEvent::Prompts(request) => {
                let shown = &request.prompts().prompts[0].text;
                assert!(shown.contains("root's password:"));
                assert!(
                    !shown.contains(['\x1b', '\x07', '\r', '\u{202e}']),
                    "{shown}"
                );
            }
            _ => unreachable!(),
        }
    });
}

#[test]
fn g24_rounds_without_end() {
    chunked(|mode| {
        for prompts in [&[][..], &[(&b"again?"[..], 1)]] {
            let question = info_request(prompts.len() as u32, prompts);
            let mut h = interactive(mode);
            for _ in 0..100 {
                h.send_payload(&question);
                answer(&mut h, prompts.len());
            }
            h.refuses(2, |peer| peer.send_payload(&question));
            assert_eq!(*h.error(), Limit::AuthRounds.into());
            no_prompts(&h);
        }
    });
}

#[test]
fn g24_questions_before_they_are_due() {
    let key = fixtures::user_key();
    let question = info_request(1, &[(b"Password: ", 0)]);
    chunked(|mode| {
        for stage in [Stage::NewKeys, Stage::Authenticated] {
            let mut h = Client::at(stage, mode);
            h.refuses(2, |peer| peer.send_payload(&question));
        }
        // In the midst of another method, of one that has no second message and of one that has.
        type Answer<'a> = &'a dyn Fn(&mut Client);
        let others: [Answer<'_>; 5] = [
            &|h| h.answer_turn(ClientConnection::auth_none),
            &|h| h.answer_turn(|client, turn| client.auth_password(turn, &Password::new("x"))),
            &|h| h.answer_turn(|client, turn| client.auth_publickey(turn, &*key)),
            &|h| h.answer_turn(|client, turn| client.auth_hostbased(turn, &*key, "h", "u")),
            &|h| h.answer_turn(|client, turn| client.auth_gssapi(turn, &[b"\x06\x01\x2a"])),
        ];
        for other in others {
            let mut h = Client::at(Stage::Service, mode);
            other(&mut h);
            h.refuses(2, |peer| peer.send_payload(&question));
            no_prompts(&h);
        }
        // Two at once: the second waits until the first is answered.
        let mut h = interactive(mode);
        h.send_payload(&question);
        h.peer.send_payload(&question);
        h.exchange();
        answer(&mut h, 1);
        answer(&mut h, 1);
    });
}

#[test]
fn g20_success_in_the_midst_of_gssapi() {
    chunked(|mode| {
        let offered = || {
            let mut h = Client::at(Stage::Service, mode);
            h.answer_turn(|client, turn| client.auth_gssapi(turn, &[b"\x06\x01\x2a"]));
            h
        };
        let mut h = offered();
        h.refuses(2, |peer| peer.send_payload(&[52]));
        assert_eq!(*h.error(), PeerMisbehaved::UnsolicitedAuthReply.into());
        // A mechanism that was not offered; a token before there is one.
        let mut h = offered();
        let other = message(60, &[F::S(b"\x06\x01\x2b")]);
        h.refuses(2, |peer| peer.send_payload(&other));
        assert_eq!(*h.error(), PeerMisbehaved::MechanismNotOffered.into());
        let mut h = offered();
        h.refuses(2, |peer| peer.send_payload(&message(61, &[F::S(b"t")])));
        // Errors without end.
        let mut h = offered();
        let error = message(64, &[F::U(1), F::U(2), F::S(b"no"), F::S(b"")]);
        for _ in 0..100 {
            h.send_payload(&error);
        }
        h.events.clear();
        h.refuses(2, |peer| peer.send_payload(&error));
        assert_eq!(*h.error(), Limit::AuthRounds.into());
    });
}

fn failure(methods: &[u8], partial: u8) -> Vec<u8> {
    message(51, &[F::S(methods), F::B(partial)])
}

#[test]
fn g25_failures() {
    chunked(|mode| {
        let mut h = Client::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&failure(b"password", 0)));
        // An empty list leaves the choice to the application.
        let mut h = ClientConnection::asked(mode);
        h.send_payload(&failure(b"", 0));
        match h.take_event(|event| matches!(event, ClientEvent::Auth(_))) {
            ClientEvent::Auth(turn) => {
                assert!(matches!(turn.outcome(), AuthOutcome::Failed));
                drop(turn);
            }
            _ => unreachable!(),
        }
        for garbage in [&b",password"[..], b"a,,b", b"\xff", b"a b", &[b'm'; 65]] {
            let mut h = ClientConnection::asked(mode);
            h.refuses(2, |peer| peer.send_payload(&failure(garbage, 0)));
        }
        // A query proves nothing that could be a part of success.
        let key = fixtures::user_key();
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.query_publickey(turn, key.public_key()));
        h.send_payload(&failure(b"password", 1));
        match h.take_event(|event| matches!(event, ClientEvent::Auth(_))) {
            ClientEvent::Auth(turn) => assert!(matches!(turn.outcome(), AuthOutcome::Failed)),
            _ => unreachable!(),
        }
    });
}

#[test]
fn g25_an_endless_loop_ends() {
    chunked(|mode| {
        for partial in [0, 1] {
            let mut h = Client::at(Stage::Service, mode);
            let mut count = 0;
            while h.ended.is_none() {
                count += 1;
                h.answer_turn(|client, turn| client.auth_password(turn, &Password::new("x")));
                h.send_payload(&failure(b"password", partial));
                assert!(count < 100);
            }
            assert_eq!(count, 65);
            assert_eq!(*h.error(), Limit::AuthFailures.into());
            h.assert_disconnected(ssh_proto::error::DisconnectReason(14));
        }
    });
}

#[test]
fn g26_a_demand_for_a_new_password_without_a_password() {
    let demand = message(60, &[F::S(b"new password"), F::S(b"")]);
    let key = fixtures::user_key();
    chunked(|mode| {
        let mut h = Client::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&demand));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(ClientConnection::auth_none);
        h.refuses(2, |peer| peer.send_payload(&demand));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.auth_publickey(turn, &*key));
        h.refuses(2, |peer| peer.send_payload(&demand));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.query_publickey(turn, key.public_key()));
        h.refuses(2, |peer| peer.send_payload(&demand));
        let mut h = interactive(mode);
        h.refuses(2, |peer| peer.send_payload(&demand));
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.auth_hostbased(turn, &*key, "h", "u"));
        h.refuses(2, |peer| peer.send_payload(&demand));
    });
}

#[test]
fn g27_a_server_asks_for_more_after_success() {
    chunked(|mode| {
        for payload in [
            failure(b"password", 0),
            failure(b"password", 1),
            vec![52],
            message(53, &[F::S(b"hello"), F::S(b"")]),
            message(60, &[F::S(b"again"), F::S(b"")]),
            message(61, &[F::U(0)]),
            info_request(0, &[]),
            message(64, &[F::U(0), F::U(0), F::S(b""), F::S(b"")]),
            none(b"ferris"),
            message(5, &[USERAUTH]),
        ] {
            let mut h = Client::at(Stage::Authenticated, mode);
            h.refuses(2, |peer| peer.send_payload(&payload));
        }
    });
}

/// G19 for a client that sets a grace of its own.
#[test]
fn g19_a_client_may_have_a_grace_too() {
    chunked(|mode| {
        let builder = Pair::builder(mode);
        let limited = builder.client_limits(|l| l.login_grace = Some(Duration::from_secs(20)));
        let mut h = Client::with_connection(limited.build().client, mode.chunking);
        h.advance_to(Stage::NewKeys);
        h.advance(Duration::from_secs(21));
        assert_eq!(*h.error(), Error::Timeout(Timer::LoginGrace));
        h.assert_disconnected(ssh_proto::error::DisconnectReason::BY_APPLICATION);
    });
}
