//! What subscribers of `tracing` are told of a connection: what each level shows, every packet in its order, and no secret.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    AuthMethod, AuthOutcome, ChannelKind, ChannelRequest, ClientEvent, Connection, DataStream,
    Event, MethodSet, Password, Prompt, Prompts, ServerConnection, ServerEvent, X11Cookie,
};
use ssh_tests::{
    Connected, Hostile, Login, Mode, Pair, Stage, fixtures, for_each_mode, read_all, take,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Level, Metadata, Subscriber, subscriber};

/// An event as a subscriber sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    level: Level,
    /// Of the span it belongs to.
    role: String,
    text: String,
    fields: BTreeMap<&'static str, String>,
}

impl Record {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn is(&self, role: &str, text: &str) -> bool {
        self.role == role && self.text == text
    }
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// Keeps the events up to a level.
struct Recorder {
    level: Level,
    spans: Mutex<HashMap<u64, BTreeMap<&'static str, String>>>,
    next_span: AtomicU64,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        assert_eq!(metadata.target(), "ssh_proto");
        *metadata.level() <= self.level
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        assert_eq!(span.metadata().name(), "connection");
        let id = self.next_span.fetch_add(1, Ordering::Relaxed);
        let mut fields = BTreeMap::new();
        span.record(&mut Fields(&mut fields));
        assert_eq!(fields.len(), 1, "{fields:?}");
        self.spans.lock().unwrap().insert(id, fields);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let span = event.parent().expect("the span of a connection");
        let role = self.spans.lock().unwrap()[&span.into_u64()]["role"].clone();
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        let text = fields.remove("message").expect("a text");
        self.records.lock().unwrap().push(Record {
            level: *event.metadata().level(),
            role,
            text,
            fields,
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What is told up to a level while this runs.
fn records(level: Level, scene: impl FnOnce()) -> Vec<Record> {
    let records = Arc::default();
    let recorder = Recorder {
        level,
        spans: Mutex::default(),
        next_span: AtomicU64::new(1),
        records: Arc::clone(&records),
    };
    subscriber::with_default(recorder, scene);
    let records = records.lock().unwrap();
    records.clone()
}

const WRONG_PASSWORD: &str = "wr\u{f6}ng-1st\"";
const OLD_PASSWORD: &str = "exp1red\u{7}once";
const NEW_PASSWORD: &str = "br\u{e4}nd-new";
const ANSWER: &str = "s3same\\open";
const TOKENS: [&[u8]; 3] = [b"t\x00ken-one", b"tw\xffken-two", b"m1c\x80\x81\x82"];
const COOKIE: &[u8] = b"00dead55beef99aabbccddeeff";
const VALUE: &[u8] = b"env-v4lue";
const INPUT: &[u8] = b"inpu7 of the command";
const OUTPUT: &[u8] = b"outpu7 of the command";
const ERRORS: &[u8] = b"err0rs of the command";
const IGNORED: &[u8] = b"1gnored";

fn secrets() -> Vec<&'static [u8]> {
    let texts = [WRONG_PASSWORD, OLD_PASSWORD, NEW_PASSWORD, ANSWER];
    let bytes = [COOKIE, VALUE, INPUT, OUTPUT, ERRORS, IGNORED];
    let texts = texts.into_iter().map(str::as_bytes);
    texts.chain(TOKENS).chain(bytes).collect()
}

/// The ways in which a secret might be written, if only its beginning.
fn forms(secret: &[u8]) -> Vec<String> {
    let secret = &secret[..6];
    let decimal: Vec<String> = secret.iter().map(u8::to_string).collect();
    let mut hex = String::new();
    for byte in secret {
        write!(hex, "{byte:02x}").unwrap();
    }
    let text = String::from_utf8_lossy(secret);
    vec![
        decimal.join(", "),
        decimal.join(","),
        hex.to_uppercase(),
        hex,
        secret.escape_ascii().to_string(),
        text.escape_debug().to_string(),
        text.escape_default().to_string(),
        text.into_owned(),
    ]
}

/// A form of a secret that stands in this text.
fn leak(text: &str) -> Option<String> {
    let mut forms = secrets().into_iter().flat_map(forms);
    forms.find(|form| text.contains(form.as_str()))
}

/// Every method that has secrets, after failures, then a session.
fn session(mode: Mode) {
    let all = MethodSet::PASSWORD | MethodSet::KEYBOARD_INTERACTIVE | MethodSet::GSSAPI_WITH_MIC;
    let mut login = Login::new(Pair::builder(mode).server(|b| b.auth_methods(all)).build());
    let wrong = login.password(WRONG_PASSWORD);
    login.reject(wrong);
    keyboard_interactive(&mut login);
    gssapi(&mut login);
    password_change(&mut login);
    assert_eq!(login.pair.server.authenticated().unwrap().steps().len(), 3);
    let Login {
        pair,
        client,
        server,
    } = login;
    let mut on = Connected {
        pair,
        client,
        server,
    };
    channels(&mut on);
    on.pair.client.disconnect(
        on.pair.now,
        DisconnectReason::BY_APPLICATION,
        "that\u{1b}[2Jis all",
    );
    on.run();
    assert!(on.pair.server_end().is_some() && on.pair.client_end().is_some());
}

fn keyboard_interactive(login: &mut Login) {
    let turn = login.turn();
    let client = &mut login.pair.client;
    client.auth_keyboard_interactive(turn, "").unwrap();
    login.run();
    let request = login.request();
    let prompts = Prompts::new("", "", [Prompt::new("Word: ", false)]);
    login.pair.server.prompt_auth(request, &prompts).unwrap();
    login.run();
    let asked = take!(login.client.events, ClientEvent::Prompts(request) => request);
    let answers = [Password::new(ANSWER)];
    login.pair.client.answer_prompts(asked, &answers).unwrap();
    login.run();
    let request = login.request();
    assert!(matches!(
        request.method(),
        AuthMethod::KeyboardInteractiveResponses(_)
    ));
    let next = MethodSet::GSSAPI_WITH_MIC;
    let server = &mut login.pair.server;
    server.accept_auth_partially(request, next).unwrap();
    login.run();
}

fn gssapi(login: &mut Login) {
    let turn = login.turn();
    let mechanism: &[u8] = b"\x06\x06\x2b\x06\x01\x05\x05\x02";
    login.pair.client.auth_gssapi(turn, &[mechanism]).unwrap();
    login.run();
    let request = login.request();
    let server = &mut login.pair.server;
    server.select_gssapi_mechanism(request, mechanism).unwrap();
    login.run();
    let step = take!(login.client.events, ClientEvent::Gssapi(turn) => turn);
    login.pair.client.gssapi_token(step, TOKENS[0]).unwrap();
    login.run();
    let request = login.request();
    let server = &mut login.pair.server;
    server.gssapi_established(request, Some(TOKENS[1])).unwrap();
    login.run();
    let step = take!(login.client.events, ClientEvent::Gssapi(turn) => turn);
    let client = &mut login.pair.client;
    client.gssapi_finish(step, None, Some(TOKENS[2])).unwrap();
    login.run();
    let request = login.request();
    let server = &mut login.pair.server;
    server
        .accept_auth_partially(request, MethodSet::PASSWORD)
        .unwrap();
    login.run();
}

fn password_change(login: &mut Login) {
    let request = login.password(OLD_PASSWORD);
    let server = &mut login.pair.server;
    server.request_password_change(request, "too old").unwrap();
    login.run();
    let turn = login.turn();
    assert!(matches!(
        turn.outcome(),
        AuthOutcome::PasswordChangeRequired { .. }
    ));
    let (old, new) = (Password::new(OLD_PASSWORD), Password::new(NEW_PASSWORD));
    let client = &mut login.pair.client;
    client.auth_password_change(turn, &old, &new).unwrap();
    login.run();
    let request = login.request();
    login.accept(request);
}

fn channels(on: &mut Connected) {
    let (ours, theirs) = on.open();
    for request in [
        ChannelRequest::X11 {
            single_connection: false,
            auth_protocol: "MIT-MAGIC-COOKIE-1".into(),
            cookie: X11Cookie::new(COOKIE.to_vec()),
            screen: 0,
        },
        ChannelRequest::Env {
            name: "TOKEN".into(),
            value: VALUE.into(),
        },
        ChannelRequest::Exec("true".into()),
    ] {
        on.pair.client.request(ours, &request, true).unwrap();
        on.run();
        let asked =
            take!(on.server.events, ServerEvent::Shared(Event::Request(request)) => request);
        on.pair.server.accept_request(asked).unwrap();
        on.run();
    }
    let (client, server) = (&mut on.pair.client, &mut on.pair.server);
    client.write(ours, DataStream::Data, INPUT).unwrap();
    client.send_ignore(IGNORED).unwrap();
    server.write(theirs, DataStream::Data, OUTPUT).unwrap();
    server.write(theirs, DataStream::STDERR, ERRORS).unwrap();
    on.run();
    assert_eq!(read_all(&mut on.pair.server, theirs).0, INPUT);
    let (output, errors) = read_all(&mut on.pair.client, ours);
    assert_eq!((&output[..], &errors[..]), (OUTPUT, ERRORS));
    on.pair.client.ping(IGNORED).unwrap();
    on.pair.client.close_channel(ours).unwrap();
    on.pair.server.close_channel(theirs).unwrap();
    on.run();
}

/// The packets that one side sent, or received, as its trace shows them.
fn packets(records: &[Record], role: &str, direction: &str) -> Vec<String> {
    let packets = records.iter().filter(|record| record.is(role, "packet"));
    let packets = packets.filter(|record| record.field("direction") == direction);
    let fields = ["number", "name", "sequence", "length", "body"];
    packets
        .map(|packet| fields.map(|name| packet.field(name)).join(" "))
        .collect()
}

#[test]
fn no_secret_is_told_at_any_level_in_any_mode() {
    for_each_mode(|mode| {
        let records = records(Level::TRACE, || session(mode));
        let text = format!("{records:?}\n");
        assert_eq!(leak(&text), None);
        for record in &records {
            for value in record.fields.values() {
                assert_eq!(leak(value), None, "{record:?}");
                assert!(!value.contains(char::is_control), "{record:?}");
            }
        }
        // They were on the way, all the same.
        for shown in [
            "Password(PasswordAuth(..))",
            "UserauthInfoResponse(1 answers)",
            "UserauthGssapiToken { token: (9 bytes) }",
            "UserauthGssapiMic { mic: (6 bytes) }",
            "auth_cookie: (26 bytes)",
            r#"EnvReq { name: "TOKEN", value: (9 bytes) }"#,
            "ChannelData { recipient: 0, data: (20 bytes) }",
            "ChannelExtendedData { recipient: 0, data_type: 1, data: (21 bytes) }",
            "Ignore { data: (7 bytes) }",
            "Pong { data: (7 bytes) }",
        ] {
            let mut bodies = records.iter().map(|record| record.field("body"));
            assert!(bodies.any(|body| body.contains(shown)), "{shown}");
        }
    });
}

/// The test itself: each form would be found.
#[test]
fn leaks_are_found() {
    for secret in secrets() {
        for form in forms(secret) {
            assert!(leak(&format!("user: {form}, ..")).is_some(), "{form}");
        }
    }
    assert_eq!(leak(fixtures::USER), None);
}

#[test]
fn both_sides_show_the_same_packets_in_their_order() {
    for_each_mode(|mode| {
        let records = records(Level::TRACE, || session(mode));
        for (from, to) in [("client", "server"), ("server", "client")] {
            let sent = packets(&records, from, "sent");
            assert_eq!(sent, packets(&records, to, "received"));
            assert!(sent.len() > 20, "{sent:?}");
            assert!(sent[0].starts_with("20 KEXINIT 0 "), "{}", sent[0]);
            // Strict key exchange: the number begins anew behind NEWKEYS.
            let keyed = sent.iter().position(|packet| packet.starts_with("21 "));
            let next = &sent[keyed.unwrap() + 1];
            assert_eq!(next.split(' ').nth(2), Some("0"), "{next}");
        }
        let sent = packets(&records, "client", "sent").join("\n");
        let mut rest = &sent[..];
        for name in [
            "20 KEXINIT",
            "30 KEX_ECDH_INIT",
            "21 NEWKEYS",
            "5 SERVICE_REQUEST",
            "50 USERAUTH_REQUEST",
            "61 USERAUTH_INFO_RESPONSE",
            "61 USERAUTH_GSSAPI_TOKEN",
            "66 USERAUTH_GSSAPI_MIC",
            "90 CHANNEL_OPEN",
            "98 CHANNEL_REQUEST",
            "94 CHANNEL_DATA",
            "192 PING",
            "97 CHANNEL_CLOSE",
            "1 DISCONNECT",
        ] {
            let at = rest
                .find(&format!("{name} "))
                .unwrap_or_else(|| panic!("{name}: {sent}"));
            rest = &rest[at..];
        }
    });
}

#[test]
fn each_level_shows_its_own_and_those_above() {
    for mode in [Mode::PLAIN, Mode::ALL[3]] {
        let all = records(Level::TRACE, || session(mode));
        for level in [Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR] {
            let expected: Vec<_> = all.iter().filter(|r| r.level <= level).cloned().collect();
            assert_eq!(records(level, || session(mode)), expected, "{level}");
        }
        let texts = |level: Level| -> Vec<&str> {
            let of_level = all.iter().filter(|record| record.level == level);
            of_level.map(|record| &record.text[..]).collect()
        };
        // An ordinary session warns of nothing.
        assert!(texts(Level::WARN).is_empty() && texts(Level::ERROR).is_empty());
        let info = texts(Level::INFO);
        let debug = texts(Level::DEBUG);
        for text in [
            "peer identified",
            "keys changed",
            "authentication refused",
            "authenticated",
            "connection over",
        ] {
            assert!(info.contains(&text), "{text}");
        }
        for text in [
            "identification sent",
            "key exchange begun",
            "new keys in use",
            "phase begun",
            "application asked",
            "application answered",
            "extensions announced",
            "service asked for",
            "service granted",
            "authentication asked for",
            "channel asked for",
            "channel opened",
            "channel request",
            "channel closed",
        ] {
            assert!(debug.contains(&text), "{text}");
        }
        assert!(texts(Level::TRACE).iter().all(|text| *text == "packet"));
    }
}

#[test]
fn what_is_told_names_who_and_what() {
    let records = records(Level::DEBUG, || session(Mode::PLAIN));
    for role in ["client", "server"] {
        let one = |text: &str| {
            let mut found = records.iter().filter(|record| record.is(role, text));
            found.next().unwrap_or_else(|| panic!("{role}: {text}"))
        };
        assert!(
            one("peer identified")
                .field("identification")
                .starts_with("SSH-2.0-")
        );
        let keys = one("keys changed");
        assert_eq!(keys.field("host_key"), "ssh-ed25519");
        assert_eq!(keys.field("strict_kex"), "true");
        assert!(keys.field("client_to_server").contains("cipher: \""));
        let refused = one("authentication refused");
        assert_eq!(refused.field("partial"), "false");
        assert!(refused.field("methods").contains("keyboard-interactive"));
        let proof = one("authenticated");
        assert_eq!(proof.field("user"), fixtures::USER);
        assert_eq!(proof.field("method"), "password");
        let asked = one("authentication asked for");
        assert_eq!(asked.field("method"), "\"password\"");
    }
    let over = |role: &str| {
        let over = records
            .iter()
            .find(|record| record.is(role, "connection over"));
        over.unwrap().field("cause").to_owned()
    };
    assert_eq!(over("client"), "ByApplication");
    assert!(over("server").contains(r#"description: "that\x1b[2Jis all""#));
}

#[test]
fn errors_forgeries_and_limits_are_warnings() {
    for_each_mode(|mode| {
        let told = records(Level::WARN, || {
            let pair = Pair::builder(mode).server_limits(|limits| limits.channels = 1);
            let mut on = Connected::of(pair);
            on.open();
            on.pair.client.open_channel(&ChannelKind::Session).unwrap();
            on.run();
            take!(on.client.events, ClientEvent::Shared(Event::ChannelOpenFailed { .. }) => ());
            // Of no use to the keys in force.
            let noise = [0x55; 64];
            on.pair.server.handle_input(on.pair.now, noise[..].into());
            on.run();
        });
        let texts: Vec<_> = told.iter().map(|record| &record.text[..]).collect();
        assert_eq!(texts[0], "no room for another channel");
        assert_eq!(texts.last(), Some(&"connection fails"), "{texts:?}");
        assert!(told.iter().all(|record| record.is("server", &record.text)));
        assert!(told.iter().all(|record| record.level == Level::WARN));
    });
    let told = records(Level::WARN, || {
        let mut hostile = Hostile::<ServerConnection>::at(Stage::Service, Mode::PLAIN);
        let mut packet = hostile.peer.seal(&[2, 0, 0, 0, 0]);
        *packet.last_mut().unwrap() ^= 1;
        hostile.peer.push_bytes(&packet);
        hostile.exchange();
    });
    let texts: Vec<_> = told.iter().map(|record| &record.text[..]).collect();
    assert_eq!(texts, ["packet not authentic", "connection fails"]);
    assert_eq!(told[0].field("is_held"), "false");
    let error = told[1].field("error");
    assert!(error.contains("message authentication failed"), "{error}");
}
