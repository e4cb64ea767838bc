//! Rules that types keep to: what is secret is not copied (O5) and not shown (P2), nothing is unsafe, no drop panics (P5), and nothing is decrypted by RSA (O2).

use std::fmt::{Debug, Write};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::BytesMut;
use ssh_proto::agent::{
    AddIdentity, AgentClient, AgentCodec, AgentRequest, AgentServer, ConfirmRequest, Keyring,
    RemoteSignRequest,
};
use ssh_proto::crypto::{
    CipherKeys, Compressor, Decompressor, HashOutput, KexExchange, KexResponse, MacKey, OpeningKey,
    PrivateKey, SealingKey, SecureRandom, SharedSecret,
};
use ssh_proto::keys::{Comment, PrivateKeyFile};
use ssh_proto::wire::auth::{
    AuthMethod as WireMethod, PasswordAuth, UserauthGssapiMic, UserauthGssapiToken,
    UserauthInfoResponse, UserauthRequest,
};
use ssh_proto::{
    AuthMethod, AuthRequest, AuthTurn, ChannelRequest, ClientConnection, ClientEvent, Connection,
    ForgedPacket, GssapiTurn, HostKeyCheck, Incoming, IncomingChannel, IncomingGlobalRequest,
    IncomingRequest, KeyQuery, MethodSet, Password, Prompt, Prompts, PromptsRequest,
    ServerConnection, ServerEvent, SignRequest, UnverifiedAttempt, X11Cookie,
};
use ssh_tests::agent::private_key;
use ssh_tests::{
    ClientApp, Inbox, Job, Login, Mode, Pair, ServerApp, TestRng, fixtures, for_each_mode, take,
};

/// Does not compile if a type has the trait: then the path has two meanings.
macro_rules! assert_not_clone {
    ($($type:ty),* $(,)?) => {$(
        const _: fn() = || {
            trait Ambiguous<Meaning> {
                fn path() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct IfClone;
            impl<T: ?Sized + Clone> Ambiguous<IfClone> for T {}
            let _ = <$type as Ambiguous<_>>::path;
        };
    )*};
}

// O5: neither connections nor what is random or secret in them can be copied, be it by a fork of
// the state. Private keys can, which hold no state.
assert_not_clone!(
    ClientConnection,
    ServerConnection,
    AgentClient,
    AgentServer,
    AgentCodec,
    Keyring,
    Box<dyn SecureRandom>,
    Box<dyn KexExchange>,
    Box<dyn SealingKey>,
    Box<dyn OpeningKey>,
    Box<dyn MacKey>,
    Box<dyn Compressor>,
    Box<dyn Decompressor>,
    SharedSecret,
    KexResponse,
    Password,
    AuthMethod,
    // An answer is given once.
    HostKeyCheck,
    AuthTurn,
    PromptsRequest,
    GssapiTurn,
    AuthRequest,
    UnverifiedAttempt,
    KeyQuery,
    SignRequest,
    IncomingChannel,
    IncomingRequest,
    IncomingGlobalRequest,
    ForgedPacket,
    Incoming,
    ConfirmRequest,
    RemoteSignRequest,
);

fn core_files() -> Vec<(String, String)> {
    fn walk(dir: &Path, into: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).expect("source folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).expect("source file");
                into.push((path.display().to_string(), text));
            }
        }
    }
    let mut files = Vec::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../ssh-proto/src"),
        &mut files,
    );
    assert!(files.len() > 100);
    files
}

/// O5: keys of packets, ephemeral keys and generators behind the traits cannot be copied either:
/// nothing in the providers of the core can be but plain names of algorithms.
#[test]
fn o5_nothing_in_providers_is_clone() {
    for (file, text) in core_files() {
        if !file.contains("/crypto/rustcrypto/") && !file.ends_with("/transport/stream.rs") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, _) in code.match_indices("derive(") {
            let derive = &code[at..];
            let derive = &derive[..derive.find(']').expect("an end")];
            assert!(
                !derive.contains("Clone") || derive.contains("Copy"),
                "{file}: {derive}"
            );
        }
        assert!(!code.contains("impl Clone"), "{file}");
    }
}

/// P5: every crate root that is part of the library.
#[test]
fn p5_no_unsafe_code() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for root in ["ssh-proto/src/lib.rs", "ssh-io-std/src/lib.rs"] {
        let text = fs::read_to_string(workspace.join(root)).expect(root);
        assert!(text.contains("\n#![forbid(unsafe_code)]\n"), "{root}");
    }
    let members = fs::read_to_string(workspace.join("Cargo.toml")).expect("manifest");
    let members = members.lines().find(|line| line.starts_with("members"));
    assert_eq!(
        members,
        Some(r#"members = ["ssh-proto", "ssh-io-std", "tests", "fuzz", "tests/interop"]"#),
        "name the root of a new library above"
    );
}

// P2.

const CANARY: &[u8; 32] = b"canary-of-32-bytes-to-be-shown--";

/// The ways in which bytes might be written.
fn forms(bytes: &[u8]) -> Vec<String> {
    let bytes = &bytes[..8];
    let decimal: Vec<_> = bytes.iter().map(u8::to_string).collect();
    let mut hex = String::new();
    for byte in bytes {
        write!(hex, "{byte:02x}").unwrap();
    }
    vec![
        String::from_utf8_lossy(bytes).into_owned(),
        decimal.join(", "),
        hex.to_uppercase(),
        hex.clone(),
        bytes.escape_ascii().to_string(),
        format!("{bytes:x?}").replace(['[', ']'], ""),
    ]
}

fn shows_secret(text: &str, secret: &[u8]) -> bool {
    // As `{:#?}` has it, too.
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    forms(secret)
        .iter()
        .any(|form| text.contains(form) || flat.contains(form))
}

/// `Debug`, plain and pretty, of a value that holds these secrets.
#[track_caller]
fn hides(value: &dyn Debug, secrets: &[&[u8]]) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        for secret in secrets {
            assert!(!shows_secret(&text, secret), "{text}");
        }
    }
}

/// The test itself: each form is found, and what is not secret is shown.
#[test]
fn p2_secrets_would_be_found() {
    let secret = &CANARY[..];
    for value in [
        &secret as &dyn Debug,
        &"canary-of-32-bytes",
        &CANARY,
        &Some(secret.to_vec()),
    ] {
        let texts = [format!("{value:?}"), format!("{value:#?}")];
        for text in texts {
            assert!(shows_secret(&text, secret), "{text}");
        }
    }
    for form in forms(secret) {
        assert!(shows_secret(&form, secret), "{form}");
    }
}

#[test]
fn p2_values_show_no_secret() {
    let text = "canary-of-32-bytes-to-be-shown--";
    let all = [&CANARY[..]];
    hides(&Password::new(text), &all);
    hides(&AuthMethod::Password(Password::new(text)), &all);
    let change = AuthMethod::PasswordChange {
        old: Password::new(text),
        new: Password::new(text),
    };
    hides(&change, &all);
    let answers = vec![Password::new(text), Password::new(text)];
    hides(&AuthMethod::KeyboardInteractiveResponses(answers), &all);
    hides(&SharedSecret::string(CANARY), &all);
    hides(&SharedSecret::mpint(CANARY).unwrap(), &all);
    hides(&HashOutput::new(CANARY), &all);
    let response = KexResponse {
        public: b"public".to_vec(),
        secret: SharedSecret::string(CANARY),
    };
    hides(&response, &all);
    hides(&X11Cookie::new(CANARY.to_vec()), &all);
    let x11 = ChannelRequest::X11 {
        single_connection: false,
        auth_protocol: "MIT-MAGIC-COOKIE-1".into(),
        cookie: X11Cookie::new(CANARY.to_vec()),
        screen: 0,
    };
    hides(&x11, &all);

    // Messages.
    let password = PasswordAuth {
        password: CANARY,
        new_password: Some(CANARY),
    };
    hides(&password, &all);
    let request = UserauthRequest {
        user: b"ferris",
        service: b"ssh-connection",
        method: WireMethod::Password(password),
    };
    hides(&request, &all);
    let responses = vec![&CANARY[..]];
    hides(&UserauthInfoResponse { responses }, &all);
    hides(&UserauthGssapiToken { token: CANARY }, &all);
    hides(&UserauthGssapiMic { mic: CANARY }, &all);
    hides(&AgentRequest::Lock(CANARY), &all);
    hides(&AgentRequest::Unlock(CANARY), &all);
    let unknown = AgentRequest::Unknown {
        number: 20,
        body: CANARY,
    };
    hides(&unknown, &all);
}

/// A private key of each type and the secrets in it.
fn private_keys() -> Vec<(PrivateKey, Vec<Vec<u8>>)> {
    let mut keys: Vec<_> = fixtures::KEY_TYPES
        .iter()
        .map(|key_type| private_key(key_type, 70))
        .collect();
    keys.push(PrivateKey::Rsa {
        modulus: TestRng::new(71).bytes(256),
        exponent: vec![1, 0, 1],
        private_exponent: TestRng::new(72).bytes(256).into(),
        prime_p: TestRng::new(73).bytes(128).into(),
        prime_q: TestRng::new(74).bytes(128).into(),
        coefficient: TestRng::new(75).bytes(128).into(),
    });
    let secrets = |key: &PrivateKey| match key {
        PrivateKey::Ed25519 { seed, .. } => vec![seed.to_vec()],
        PrivateKey::Mldsa44Ed25519 { seeds, .. } => {
            vec![seeds[..32].to_vec(), seeds[32..].to_vec()]
        }
        PrivateKey::Ecdsa { scalar, .. } => vec![scalar.to_vec()],
        PrivateKey::Rsa {
            private_exponent,
            prime_p,
            prime_q,
            coefficient,
            ..
        } => [private_exponent, prime_p, prime_q, coefficient]
            .map(|number| number.to_vec())
            .to_vec(),
        _ => unreachable!("name its secrets here"),
    };
    keys.into_iter()
        .map(|key| {
            let secrets = secrets(&key);
            (key, secrets)
        })
        .collect()
}

#[test]
fn p2_keys_files_and_agents_show_no_secret() {
    for (key, secrets) in private_keys() {
        let mut secrets: Vec<&[u8]> = secrets.iter().map(Vec::as_slice).collect();
        hides(&key, &secrets);
        let signer = fixtures::provider().signing_key(&key);
        hides(&signer, &secrets);
        hides(
            &ssh_proto::HostKey::Local(signer.unwrap_or_else(|_| fixtures::host_key())),
            &secrets,
        );
        let mut random = TestRng::new(76);
        let text = key
            .to_openssh_encrypted(&Comment::new("a comment"), CANARY, 1, &mut random)
            .unwrap();
        let file = PrivateKeyFile::parse(text.as_bytes()).unwrap();
        secrets.push(CANARY);
        hides(&file, &secrets);
        hides(&file.decrypt(Some(CANARY)), &secrets);
        hides(&file.decrypt(Some(&CANARY[..31])), &secrets);
        hides(&file.decrypt(None), &secrets);

        let mut client = AgentClient::new();
        let (comment, none) = (Comment::new("a comment"), Default::default());
        client.add(&key, &comment, &none).unwrap();
        client.lock(CANARY).unwrap();
        hides(&client, &secrets);
        let mut server = AgentServer::new();
        server.handle_input(client.output());
        hides(&server, &secrets);
        let mut codec = AgentCodec::new();
        codec.handle_input(client.output()).unwrap();
        hides(&codec, &secrets);
        let message = codec.next_message().unwrap().unwrap();
        hides(&message, &secrets);
        hides(&message.request(), &secrets);
        let mut keyring = Keyring::new(fixtures::provider());
        let event = server.poll_event(&mut keyring, ssh_proto::Instant::EPOCH);
        hides(&event, &secrets);
        let event = server.poll_event(&mut keyring, ssh_proto::Instant::EPOCH);
        hides(&event, &secrets);
        assert!(keyring.is_locked());
        hides(&keyring, &secrets);
        let add = AddIdentity {
            certificate: None,
            key,
            comment: b"a comment",
            constraints: None,
        };
        hides(&add, &secrets);
        hides(&AgentRequest::AddIdentity(add), &secrets);
    }
}

/// Connections with secrets on their way, and every event and token that comes of them. What the
/// subscribers of `tracing` are told has tests of its own (`tracing.rs`).
#[test]
fn p2_connections_and_events_show_no_secret() {
    let secret = "canary-of-32-bytes-to-be-shown--";
    let all = [&CANARY[..]];
    let methods = MethodSet::PASSWORD | MethodSet::KEYBOARD_INTERACTIVE;
    let pair = Pair::builder(Mode::PLAIN).server(|b| b.auth_methods(methods));
    let mut login = Login::new(pair.build());
    let turn = login.turn();
    hides(&turn, &all);
    let client = &mut login.pair.client;
    client.auth_password(turn, &Password::new(secret)).unwrap();
    hides(&login.pair.client, &all);
    login.run();
    hides(&login, &all);
    let request = login.request();
    hides(&request, &all);
    hides(request.method(), &all);
    login.reject(request);
    let turn = login.turn();
    hides(turn.outcome(), &all);
    let client = &mut login.pair.client;
    client.auth_keyboard_interactive(turn, "").unwrap();
    login.run();
    let request = login.request();
    let prompts = Prompts::new("", "", [Prompt::new("?", false)]);
    login.pair.server.prompt_auth(request, &prompts).unwrap();
    login.run();
    let asked = take!(login.client.events, ClientEvent::Prompts(asked) => asked);
    let client = &mut login.pair.client;
    client
        .answer_prompts(asked, &[Password::new(secret)])
        .unwrap();
    hides(&login, &all);
    login.run();
    hides(&login, &all);
    let request = login.request();
    assert!(matches!(
        request.method(),
        AuthMethod::KeyboardInteractiveResponses(_)
    ));
    hides(&ServerEvent::Auth(request), &all);
    login.run();
    hides(&login, &all);
}

/// `CipherKeys` is for providers only and has no text at all.
#[test]
fn p2_derived_keys_have_no_debug() {
    trait Text {
        const SHOWN: bool = false;
    }
    impl<T> Text for T {}
    struct Probe<T>(std::marker::PhantomData<T>);
    impl<T: Debug> Probe<T> {
        #[allow(dead_code, reason = "chosen over the trait's where it applies")]
        const SHOWN: bool = true;
    }
    const { assert!(!Probe::<CipherKeys<'static>>::SHOWN) }
    const { assert!(Probe::<Password>::SHOWN) }
}

// P5.

/// Both sides and their events, dropped after each step, in each order, also while a panic unwinds
/// (where another one would abort).
#[test]
fn p5_no_drop_panics_in_any_phase() {
    for_each_mode(|mode| {
        let mut steps = 0;
        loop {
            let run = || {
                let mut pair = Pair::new(mode);
                let mut held = (Inbox::new(), Inbox::new());
                let job = Job::with_input("echo", "hello");
                let mut apps = (ClientApp::new([job]).then_disconnect(), ServerApp::new());
                let busy = (0..steps).all(|_| pair.step(&mut apps.0, &mut apps.1));
                // What comes next stays unanswered.
                pair.step(&mut held.0, &mut held.1);
                (pair, held, busy)
            };
            let (pair, held, busy) = run();
            drop(pair);
            drop(held);
            let (pair, held, _) = run();
            drop(held);
            drop(pair);
            let (mut pair, mut held, _) = run();
            // Tokens are dropped, and settled by a connection that lives on.
            held.0.events.clear();
            held.1.events.clear();
            pair.run(&mut held.0, &mut held.1);
            let mut out = BytesMut::new();
            let _ = pair.client.poll_transmit(pair.now, &mut out);
            let unwound = catch_unwind(AssertUnwindSafe(move || {
                let _kept = run();
                std::panic::resume_unwind(Box::new(()));
            }));
            assert!(unwound.is_err());
            if !busy {
                break;
            }
            // A byte at a time has thousands of steps that are alike.
            steps += 1 + steps / 12;
        }
        assert!(steps > 5, "{steps}");
    });
}

/// O2: nobody has us decrypt by RSA what they sent: there is no key exchange that would (RFC 4432).
#[test]
fn o2_no_key_exchange_decrypts_by_rsa() {
    let provider = fixtures::provider();
    let names = provider.kex.iter().chain(provider.on_request.kex.iter());
    let names: Vec<_> = names.map(|kex| kex.name()).collect();
    assert!(names.len() > 12, "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("rsa")));
}
