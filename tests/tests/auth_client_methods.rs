//! The methods of a client against a server played by hand (RFC 4252, RFC 4256, RFC 4462, OpenSSH PROTOCOL section 3.1): what it sends, what it asks its application.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use ssh_proto::crypto::{PublicKey, Signature, SignatureAlgorithm};
use ssh_proto::error::{ApiMisuse, CryptoError, DisconnectReason};
use ssh_proto::wire::auth::{
    AuthMethod as WireMethod, UserauthGssapiErrtok, UserauthGssapiMic, UserauthGssapiToken,
    UserauthInfoRequest, UserauthInfoResponse, UserauthRequest,
};
use ssh_proto::wire::extension::ExtInfo;
use ssh_proto::wire::number;
use ssh_proto::{
    AuthOutcome, AuthTurn, ClientConnection, ClientEvent, Connection, Disconnected, Error, Event,
    GssapiError, GssapiStep, GssapiTurn, Password, Prompt, Prompts, PromptsRequest, SignRequest,
    Timer,
};
use ssh_tests::attack::{F, message};
use ssh_tests::{Hostile, Mode, Pair, RawPacket, Stage, fixtures, for_each_chunking, take};

type Client = Hostile<ClientConnection>;

const KERBEROS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
const SPNEGO: &[u8] = b"\x06\x06\x2b\x06\x01\x05\x05\x02";

/// A client at its first turn; the server announced this before it.
fn announced(mode: Mode, extensions: &[(&'static str, &'static str)]) -> Client {
    announced_to(Client::new(mode), extensions)
}

fn announced_to(mut h: Client, extensions: &[(&'static str, &'static str)]) -> Client {
    h.advance_to(Stage::NewKeys);
    ext_info(&mut h, extensions);
    h.expect_skipping_extras(number::SERVICE_REQUEST);
    h.send_payload(&message(6, &[F::S(b"ssh-userauth")]));
    h
}

fn ext_info(h: &mut Client, extensions: &[(&str, &str)]) {
    let extensions = extensions
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    h.send(&ExtInfo { extensions });
}

fn turn(h: &mut Client) -> AuthTurn {
    take!(h.events, ClientEvent::Auth(turn) => turn)
}

fn prompts(h: &mut Client) -> PromptsRequest {
    take!(h.events, ClientEvent::Prompts(request) => request)
}

fn gssapi(h: &mut Client) -> GssapiTurn {
    take!(h.events, ClientEvent::Gssapi(turn) => turn)
}

fn signing(h: &mut Client) -> SignRequest {
    take!(h.events, ClientEvent::Shared(Event::Sign(request)) => request)
}

fn interactive(h: &mut Client) {
    h.answer_turn(|client, turn| client.auth_keyboard_interactive(turn, ""));
    request(h);
}

/// The client's request.
fn request(h: &mut Client) -> RawPacket {
    h.exchange();
    h.expect_skipping_extras(number::USERAUTH_REQUEST)
}

fn ask(h: &mut Client, prompts: &[(&[u8], bool)]) {
    h.send(&UserauthInfoRequest {
        name: b"",
        instruction: b"",
        language: b"",
        prompts: prompts.to_vec(),
    });
}

fn fail(h: &mut Client) {
    h.send_payload(&message(51, &[F::S(b"password"), F::B(0)]));
}

/// The server is content, and the client holds a proof by this method.
fn succeeds(h: &mut Client, method: &str) {
    h.send_payload(&[number::USERAUTH_SUCCESS]);
    let proof = h.connection.authenticated().expect("authenticated");
    assert_eq!((proof.user(), proof.method()), (fixtures::USER, method));
}

fn assert_sends_nothing(h: &mut Client) {
    h.exchange();
    assert_eq!(h.peer.drain(), []);
    assert_eq!(h.ended, None);
}

#[test]
fn tokens_are_send_and_static() {
    fn check<T: Send + 'static>() {}
    check::<PromptsRequest>();
    check::<GssapiTurn>();
}

/// Prompts, and the answers to them.
type Round<'a> = (&'a [(&'a [u8], bool)], &'a [&'a str]);

#[test]
fn keyboard_interactive_in_several_rounds() {
    for_each_chunking(|mode| {
        let mut h = Client::at(Stage::Service, mode);
        h.answer_turn(|client, turn| client.auth_keyboard_interactive(turn, "pam"));
        let packet = request(&mut h);
        match packet.decode::<UserauthRequest<'_>>().method {
            WireMethod::KeyboardInteractive(method) => {
                assert_eq!(
                    (method.language, method.submethods),
                    (&b""[..], &b"pam"[..])
                );
            }
            other => panic!("{other:?}"),
        }
        let rounds: [Round<'_>; 3] = [
            (&[(b"Password: ", false)], &["crab"]),
            (&[], &[]),
            (&[(b"Name: ", true), (b"PIN: ", false)], &["ferris", ""]),
        ];
        for (asked, answers) in rounds {
            ask(&mut h, asked);
            let request = prompts(&mut h);
            let expected: Vec<_> = asked
                .iter()
                .map(|(text, echo)| Prompt::new(std::str::from_utf8(text).unwrap(), *echo))
                .collect();
            assert_eq!(request.prompts(), &Prompts::new("", "", expected));
            // While a person thinks, nothing is read and nothing is sent.
            assert!(!h.connection.wants_read());
            assert_sends_nothing(&mut h);
            let answers: Vec<_> = answers.iter().map(|text| Password::new(*text)).collect();
            h.connection.answer_prompts(request, &answers).unwrap();
            h.exchange();
            let packet = h.peer.expect(number::USERAUTH_INFO_RESPONSE);
            let sent = packet.decode::<UserauthInfoResponse<'_>>().responses;
            let answers: Vec<_> = answers.iter().map(Password::as_bytes).collect();
            assert_eq!(sent, answers);
        }
        succeeds(&mut h, "keyboard-interactive");
    });
}

#[test]
fn answers_that_do_not_fit_are_asked_for_again() {
    for_each_chunking(|mode| {
        let mut h = Client::at(Stage::Service, mode);
        interactive(&mut h);
        ask(&mut h, &[(b"a", true), (b"b", false)]);
        let of = |texts: &[&str]| -> Vec<Password> {
            texts.iter().map(|text| Password::new(*text)).collect()
        };
        let long = "x".repeat(1025);
        for bad in [of(&[]), of(&["a"]), of(&["a", "b", "c"]), of(&["a", &long])] {
            let request = prompts(&mut h);
            let answer = h.connection.answer_prompts(request, &bad);
            assert_eq!(answer, Err(ApiMisuse::InvalidText));
            assert_sends_nothing(&mut h);
        }
        let request = prompts(&mut h);
        assert_eq!(request.prompts().prompts[1], Prompt::new("b", false));
        let answers = of(&["a", "b"]);
        h.connection.answer_prompts(request, &answers).unwrap();
        h.exchange();
        h.peer.expect(number::USERAUTH_INFO_RESPONSE);
        // A turn is given back in the same way.
        fail(&mut h);
        let again = turn(&mut h);
        let answer = h.connection.auth_keyboard_interactive(again, "\n");
        assert_eq!(answer, Err(ApiMisuse::InvalidText));
        h.exchange();
        assert_eq!(turn(&mut h).outcome(), &AuthOutcome::Failed);
    });
}

#[test]
fn an_abandoned_method_is_told_by_the_next_request() {
    for_each_chunking(|mode| {
        for drops in [false, true] {
            let mut h = Client::at(Stage::Service, mode);
            interactive(&mut h);
            ask(&mut h, &[(b"Password: ", false)]);
            let request = prompts(&mut h);
            match drops {
                true => drop(request),
                false => h.connection.abandon_method(request).unwrap(),
            }
            assert_sends_nothing(&mut h);
            let next = turn(&mut h);
            assert_eq!(next.outcome(), &AuthOutcome::Failed);
            let key = fixtures::user_key();
            h.connection.auth_publickey(next, &*key).unwrap();
            self::request(&mut h);
            // One question that the server asked meanwhile.
            h.ignores(|peer| {
                peer.send(&UserauthInfoRequest {
                    name: b"",
                    instruction: b"",
                    language: b"",
                    prompts: vec![(b"late", true)],
                });
            });
            succeeds(&mut h, "publickey");
        }
    });
}

#[test]
fn questions_lapse_and_belong_to_their_connection() {
    for_each_chunking(|mode| {
        let asked = || {
            let mut h = Client::at(Stage::Service, mode);
            interactive(&mut h);
            ask(&mut h, &[]);
            h
        };
        let (mut one, mut other) = (asked(), asked());
        let foreign = other.connection.answer_prompts(prompts(&mut one), &[]);
        assert_eq!(foreign, Err(ApiMisuse::ForeignToken));
        let request = prompts(&mut other);
        let (now, reason) = (other.now, DisconnectReason::BY_APPLICATION);
        other.connection.disconnect(now, reason, "");
        let stale = other.connection.answer_prompts(request, &[]);
        assert_eq!(stale, Err(ApiMisuse::StaleToken));
        // The one that was handed to the wrong connection counts as dropped.
        one.exchange();
        assert_eq!(turn(&mut one).outcome(), &AuthOutcome::Failed);
    });
}

#[test]
fn a_question_may_be_bounded_in_time() {
    for_each_chunking(|mode| {
        let builder = Pair::builder(mode);
        let limited = builder.client_limits(|l| l.decision_timeout = Some(Duration::from_secs(30)));
        let mut h = Client::with_connection(limited.build().client, mode.chunking);
        h.advance_to(Stage::Service);
        interactive(&mut h);
        ask(&mut h, &[(b"?", true)]);
        let request = prompts(&mut h);
        h.advance(Duration::from_secs(29));
        assert_eq!(h.ended, None);
        h.advance(Duration::from_secs(2));
        let timeout = Error::Timeout(Timer::Decision);
        assert_eq!(h.ended, Some(Disconnected::Error(timeout)));
        let late = h.connection.answer_prompts(request, &[Password::new("x")]);
        assert_eq!(late, Err(ApiMisuse::StaleToken));
    });
}

/// What a `hostbased` signature covers, put together by hand.
fn hostbased_data(h: &Client, key: &PublicKey, host: &str, user: &str) -> Vec<u8> {
    let session_id = h.peer.session_id.as_deref().expect("keys");
    let fields = [
        F::S(session_id),
        F::B(50),
        F::S(fixtures::USER.as_bytes()),
        F::S(b"ssh-connection"),
        F::S(b"hostbased"),
        F::S(key.key_type().as_bytes()),
        F::S(key.as_blob()),
        F::S(host.as_bytes()),
        F::S(user.as_bytes()),
    ];
    message(0, &fields)[1..].to_vec()
}

#[test]
fn hostbased_with_a_key_in_memory_and_elsewhere() {
    for_each_chunking(|mode| {
        for remote in [false, true] {
            let key = fixtures::key("ssh-ed25519", 41);
            let public = key.public_key();
            let mut h = Client::at(Stage::Service, mode);
            let covered = hostbased_data(&h, public, "client.example.", "crab");
            if remote {
                h.answer_turn(|client, turn| {
                    client.auth_hostbased_remote(turn, public, "client.example.", "crab")
                });
                // At once: there is no query to be answered first.
                assert_sends_nothing(&mut h);
                let request = signing(&mut h);
                assert_eq!((request.key(), request.message()), (public, &covered[..]));
                let signature = key.sign(request.algorithm(), request.message()).unwrap();
                h.connection.provide_signature(request, &signature).unwrap();
            } else {
                h.answer_turn(|client, turn| {
                    client.auth_hostbased(turn, &*key, "client.example.", "crab")
                });
            }
            let packet = request(&mut h);
            let WireMethod::Hostbased(sent) = packet.decode::<UserauthRequest<'_>>().method else {
                panic!("{packet:?}");
            };
            assert_eq!(sent.algorithm, b"ssh-ed25519");
            assert_eq!(sent.key, public.as_blob());
            assert_eq!(
                (sent.client_host, sent.client_user),
                (&b"client.example."[..], &b"crab"[..])
            );
            let signature =
                Signature::from_encoded(Bytes::copy_from_slice(sent.signature)).unwrap();
            let algorithm = fixtures::provider().signature("ssh-ed25519").unwrap();
            algorithm.verify(public, &covered, &signature).unwrap();
            succeeds(&mut h, "hostbased");
        }
    });
}

#[test]
fn hostbased_declined_or_refused_leaves_the_choice() {
    for_each_chunking(|mode| {
        let key = fixtures::key("ssh-ed25519", 41);
        let mut h = Client::at(Stage::Service, mode);
        for drops in [false, true] {
            h.answer_turn(|client, turn| {
                client.auth_hostbased_remote(turn, key.public_key(), "h", "u")
            });
            let request = signing(&mut h);
            match drops {
                true => drop(request),
                false => h.connection.decline_signature(request).unwrap(),
            }
            assert_sends_nothing(&mut h);
        }
        let bad = turn(&mut h);
        let answer = h.connection.auth_hostbased(bad, &*key, "h\0", "u");
        assert_eq!(answer, Err(ApiMisuse::InvalidText));
        assert_sends_nothing(&mut h);
        h.answer_turn(|client, turn| client.auth_hostbased(turn, &*key, "h", "u"));
        request(&mut h);
        fail(&mut h);
        let next = turn(&mut h);
        assert_eq!(next.outcome(), &AuthOutcome::Failed);
        assert_eq!(next.methods().unwrap(), ["password"]);
    });
}

/// `gssapi-with-mic` up to the server's choice of the second mechanism.
fn selected(mode: Mode) -> (Client, GssapiTurn) {
    let mut h = Client::at(Stage::Service, mode);
    h.answer_turn(|client, turn| client.auth_gssapi(turn, &[KERBEROS, SPNEGO]));
    let packet = request(&mut h);
    match packet.decode::<UserauthRequest<'_>>().method {
        WireMethod::GssapiWithMic(offer) => assert_eq!(offer.oids, [KERBEROS, SPNEGO]),
        other => panic!("{other:?}"),
    }
    h.send_payload(&message(60, &[F::S(SPNEGO)]));
    let step = gssapi(&mut h);
    assert_eq!(step.step(), &GssapiStep::Selected(SPNEGO.into()));
    (h, step)
}

#[test]
fn gssapi_tokens_go_to_and_fro_and_the_mic_ends_it() {
    for_each_chunking(|mode| {
        for (last, mic) in [
            (None, Some(&b"mic"[..])),
            (Some(&b"last"[..]), Some(&b"mic"[..])),
            (Some(&b"last"[..]), None),
        ] {
            let (mut h, step) = selected(mode);
            let session_id = h.peer.session_id.clone().expect("keys");
            let covered = message(
                0,
                &[
                    F::S(&session_id),
                    F::B(50),
                    F::S(fixtures::USER.as_bytes()),
                    F::S(b"ssh-connection"),
                    F::S(b"gssapi-with-mic"),
                ],
            );
            assert_eq!(step.mic_message(), &covered[1..]);
            h.connection.gssapi_token(step, b"one").unwrap();
            h.exchange();
            let packet = h.peer.expect(number::USERAUTH_GSSAPI_TOKEN);
            assert_eq!(packet.decode::<UserauthGssapiToken<'_>>().token, b"one");
            h.send(&UserauthGssapiToken { token: b"two" });
            let step = gssapi(&mut h);
            assert_eq!(step.step(), &GssapiStep::Token(Bytes::from_static(b"two")));
            h.connection.gssapi_finish(step, last, mic).unwrap();
            h.exchange();
            if let Some(last) = last {
                let packet = h.peer.expect(number::USERAUTH_GSSAPI_TOKEN);
                assert_eq!(packet.decode::<UserauthGssapiToken<'_>>().token, last);
            }
            if let Some(mic) = mic {
                let packet = h.peer.expect(number::USERAUTH_GSSAPI_MIC);
                assert_eq!(packet.decode::<UserauthGssapiMic<'_>>().mic, mic);
            } else {
                h.peer.expect(number::USERAUTH_GSSAPI_EXCHANGE_COMPLETE);
            }
            succeeds(&mut h, "gssapi-with-mic");
        }
    });
}

#[test]
fn gssapi_failures_of_either_side_leave_the_choice() {
    for_each_chunking(|mode| {
        // The server's, told before its refusal.
        let (mut h, step) = selected(mode);
        h.connection.gssapi_token(step, b"one").unwrap();
        h.exchange();
        h.peer.drain();
        let fields = [F::U(0xd0000), F::U(9), F::S(b"no \x1bkey"), F::S(b"")];
        h.send_payload(&message(64, &fields));
        h.send_payload(&message(65, &[F::S(b"why")]));
        match take!(h.events, ClientEvent::GssapiError(error) => error) {
            GssapiError::Status {
                major,
                minor,
                message,
            } => {
                assert_eq!((major, minor), (0xd0000, 9));
                assert_eq!(message.to_string(), "no \\u{1b}key");
            }
            other => panic!("{other:?}"),
        }
        let token = take!(h.events, ClientEvent::GssapiError(error) => error);
        assert_eq!(token, GssapiError::Token(Bytes::from_static(b"why")));
        assert_sends_nothing(&mut h);
        fail(&mut h);
        assert_eq!(turn(&mut h).outcome(), &AuthOutcome::Failed);

        // Ours: with an error token, without, and by doing nothing.
        for how in 0..3 {
            let (mut h, step) = selected(mode);
            match how {
                0 => h.connection.gssapi_fail(step, Some(b"why")).unwrap(),
                1 => h.connection.gssapi_fail(step, None).unwrap(),
                _ => drop(step),
            }
            h.exchange();
            if how == 0 {
                let packet = h.peer.expect(number::USERAUTH_GSSAPI_ERRTOK);
                assert_eq!(packet.decode::<UserauthGssapiErrtok<'_>>().token, b"why");
            }
            assert_sends_nothing(&mut h);
            assert_eq!(turn(&mut h).outcome(), &AuthOutcome::Failed);
        }

        // What is too long is given back.
        let (mut h, step) = selected(mode);
        let long = vec![0; 32_001];
        let answer = h.connection.gssapi_token(step, &long);
        assert_eq!(answer, Err(ApiMisuse::InvalidText));
        h.exchange();
        let step = gssapi(&mut h);
        assert_eq!(step.step(), &GssapiStep::Selected(SPNEGO.into()));
        h.connection.gssapi_token(step, &long[1..]).unwrap();
        h.exchange();
        h.peer.expect(number::USERAUTH_GSSAPI_TOKEN);
    });
}

#[test]
fn hostbound_is_used_where_it_is_announced() {
    for_each_chunking(|mode| {
        let key = fixtures::user_key();
        let name = "publickey-hostbound@openssh.com";
        for (value, bound) in [("0", true), ("1", false), ("", false)] {
            for remote in [false, true] {
                let mut h = announced(mode, &[(name, value)]);
                let host_key = h.peer.host_key.public_key().clone();
                if remote {
                    h.answer_turn(|client, turn| {
                        client.auth_publickey_remote(turn, key.public_key())
                    });
                    let packet = request(&mut h);
                    match packet.decode::<UserauthRequest<'_>>().method {
                        WireMethod::PublicKeyHostbound(query) if bound => {
                            assert_eq!(query.host_key, host_key.as_blob());
                            assert_eq!(query.signature, None);
                        }
                        WireMethod::PublicKey(query) if !bound => {
                            assert_eq!(query.signature, None);
                        }
                        other => panic!("{other:?}"),
                    }
                    let blob = key.public_key().as_blob();
                    h.send_payload(&message(60, &[F::S(b"ssh-ed25519"), F::S(blob)]));
                    let request = signing(&mut h);
                    let signature = key.sign("ssh-ed25519", request.message()).unwrap();
                    h.connection.provide_signature(request, &signature).unwrap();
                } else {
                    h.answer_turn(|client, turn| client.auth_publickey(turn, &*key));
                }
                let packet = request(&mut h);
                let sent = packet.decode::<UserauthRequest<'_>>().method;
                let (method, signature) = match &sent {
                    WireMethod::PublicKeyHostbound(proof) if bound => {
                        assert_eq!(proof.host_key, host_key.as_blob());
                        (&b"publickey-hostbound-v00@openssh.com"[..], proof.signature)
                    }
                    WireMethod::PublicKey(proof) if !bound => (&b"publickey"[..], proof.signature),
                    other => panic!("{other:?}"),
                };
                let session_id = h.peer.session_id.as_deref().expect("keys");
                let mut fields = vec![
                    F::S(session_id),
                    F::B(50),
                    F::S(fixtures::USER.as_bytes()),
                    F::S(b"ssh-connection"),
                    F::S(method),
                    F::B(1),
                    F::S(b"ssh-ed25519"),
                    F::S(key.public_key().as_blob()),
                ];
                if bound {
                    fields.push(F::S(host_key.as_blob()));
                }
                let covered = message(0, &fields);
                let signature = Bytes::copy_from_slice(signature.expect("signed"));
                let signature = Signature::from_encoded(signature).unwrap();
                let algorithm = fixtures::provider().signature("ssh-ed25519").unwrap();
                algorithm
                    .verify(key.public_key(), &covered[1..], &signature)
                    .unwrap();
                succeeds(&mut h, "publickey");
            }
        }
    });
}

/// A second algorithm for Ed25519 keys, as RSA has several; nothing is ever signed with it.
struct Twin;

impl SignatureAlgorithm for Twin {
    fn name(&self) -> &'static str {
        "twin@test"
    }

    fn key_type(&self) -> &'static str {
        "ssh-ed25519"
    }

    fn verify(&self, _: &PublicKey, _: &[u8], _: &Signature) -> Result<(), CryptoError> {
        Err(CryptoError::Unsupported)
    }
}

/// E8: of the algorithms of a key, the first that `server-sig-algs` names; what it names and we
/// lack is skipped, and the second list, sent while we authenticate, replaces the first.
#[test]
fn e8_server_sig_algs_decide_and_may_be_replaced() {
    for_each_chunking(|mode| {
        let key = fixtures::user_key();
        let chosen = |h: &mut Client| {
            h.answer_turn(|client, turn| client.query_publickey(turn, key.public_key()));
            let packet = request(h);
            match packet.decode::<UserauthRequest<'_>>().method {
                WireMethod::PublicKey(query) => String::from_utf8(query.algorithm.to_vec()),
                other => panic!("{other:?}"),
            }
            .unwrap()
        };
        for (first, second, expected) in [
            ("twin@test", "ssh-ed25519", ["twin@test", "ssh-ed25519"]),
            ("ssh-ed25519", "twin@test", ["ssh-ed25519", "twin@test"]),
            ("unknown,,\x7f,twin@test", "", ["twin@test", "ssh-ed25519"]),
            ("", "ssh-rsa,twin@test2", ["ssh-ed25519", "ssh-ed25519"]),
        ] {
            let mut provider = fixtures::provider();
            let mut signatures = provider.signatures.into_owned();
            signatures.push(&Twin);
            provider.signatures = Cow::Owned(signatures);
            let config = ssh_proto::ClientConfig::builder(provider)
                .host_key_algorithms(["ssh-ed25519"])
                .build()
                .unwrap();
            let random = Box::new(ssh_tests::TestRng::new(1));
            let now = ssh_proto::Instant::EPOCH;
            let client = ClientConnection::new(&config, fixtures::USER, random, now).unwrap();
            let h = Client::with_connection(client, mode.chunking);
            let mut h = announced_to(h, &[("server-sig-algs", first)]);
            assert_eq!(chosen(&mut h), expected[0], "{first}");
            ext_info(&mut h, &[("server-sig-algs", second)]);
            fail(&mut h);
            assert_eq!(chosen(&mut h), expected[1], "{first} {second}");
        }
    });
}
