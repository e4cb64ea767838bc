//! P1 and P4 on connections: passwords, answers to prompts, cookies, K, derived and ephemeral keys.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::crypto::CryptoProvider;
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    AuthMethod, AuthOutcome, ChannelRequest, ClientConfig, ClientConnection, ClientEvent,
    Connection, DataStream, Event, Instant, Limits, MethodSet, Password, Prompt, Prompts,
    ServerConfig, ServerConnection, ServerEvent, X11Cookie,
};
use ssh_tests::{Mode, Pair, TestRng, fixtures};

use crate::allocator::{Watch, secret};
use crate::provider::{
    CLEAR, KEYS_MADE, OPENING_KEYS, PLAINTEXT, SEALING_KEYS, SPOILING, WatchedRandom, provider,
    provider_in_clear,
};

pub(crate) const WRONG: &str = "wrong-password-canary-0123456789-abcdefghijklmnop";
pub(crate) const OLD: &str = "expired-password-canary-2468013579-qrstuvwxyz-QRST";
pub(crate) const NEW: &str = "new-password-canary-9876543210-zyxwvutsrqponmlkj-9";
pub(crate) const ANSWERS: [&str; 2] = [
    "answer-to-a-prompt-canary-5647382910-ABCDEFGHIJKL",
    "another-answer-canary-1029384756-mnopqrstuvwxyz-MN",
];
pub(crate) const COOKIE: &[u8] = b"0f1e2d3c4b5a69780f2e4d6c8baac9e8";

fn name_texts() {
    for (name, text) in [
        ("a wrong password", WRONG),
        ("an expired password", OLD),
        ("a new password", NEW),
        ("an answer", ANSWERS[0]),
        ("another answer", ANSWERS[1]),
    ] {
        secret(name, text.as_bytes());
    }
    secret("a cookie", COOKIE);
}

/// What a scene differs in.
#[derive(Debug, Clone, Copy)]
struct Scene {
    kex: &'static str,
    cipher: &'static str,
    mac: &'static str,
    mode: Mode,
}

const SCENE: Scene = Scene {
    kex: "mlkem768x25519-sha256",
    cipher: "chacha20-poly1305@openssh.com",
    mac: "hmac-sha2-256",
    mode: Mode::PLAIN,
};

/// Every key exchange method with the first cipher, every cipher and MAC with the first method.
fn scenes() -> Vec<Scene> {
    let provider = fixtures::provider();
    let mut scenes: Vec<Scene> = provider
        .kex
        .iter()
        .map(|kex| Scene {
            kex: kex.name(),
            ..SCENE
        })
        .collect();
    for cipher in provider.ciphers.iter() {
        let macs: Vec<_> = provider.macs.iter().map(|mac| mac.name()).collect();
        let used = if cipher.is_aead() { 1 } else { macs.len() };
        scenes.extend(macs[..used].iter().map(|mac| Scene {
            cipher: cipher.name(),
            mac,
            ..SCENE
        }));
    }
    scenes
}

fn pair(scene: Scene) -> Pair {
    pair_of(scene, false, &provider())
}

fn pair_of(scene: Scene, accepts_forged: bool, provider: &CryptoProvider) -> Pair {
    let mut limits = Limits::default();
    scene.mode.apply(&mut limits);
    let methods = MethodSet::PASSWORD | MethodSet::KEYBOARD_INTERACTIVE;
    let client = ClientConfig::builder(provider.clone())
        .kex([scene.kex])
        .ciphers([scene.cipher])
        .macs([scene.mac])
        .limits(limits.clone())
        .build()
        .unwrap();
    let server = ServerConfig::builder(provider.clone())
        .kex([scene.kex])
        .signing_host_key(fixtures::host_key())
        .kex([scene.kex])
        .auth_methods(methods)
        .dangerously_accept_forged_packets(accepts_forged)
        .limits(limits)
        .build()
        .unwrap();
    let mut pair = Pair::from_configs(scene.mode, &client, &server, fixtures::USER);
    let random = |seed| Box::new(WatchedRandom(TestRng::new(seed)));
    pair.client = ClientConnection::new(&client, fixtures::USER, random(31), pair.now).unwrap();
    pair.server = ServerConnection::new(&server, random(32), pair.now).unwrap();
    pair
}

/// A client that fails once, answers prompts, changes its password, asks for X11 and new keys.
#[derive(Default)]
struct Client {
    turns: usize,
    replies: usize,
    ended: bool,
    /// Panics when this is asked.
    panics_at_turn: Option<usize>,
}

impl ssh_tests::App<ClientConnection> for Client {
    fn on_event(&mut self, client: &mut ClientConnection, event: ClientEvent, now: Instant) {
        match event {
            ClientEvent::HostKey(check) => client.accept_host_key(check).unwrap(),
            ClientEvent::Auth(turn) => {
                self.turns += 1;
                match (self.turns, turn.outcome()) {
                    (_, AuthOutcome::PasswordChangeRequired { .. }) => {
                        let (old, new) = (Password::new(OLD), Password::new(NEW));
                        client.auth_password_change(turn, &old, &new).unwrap();
                    }
                    (1, _) => client.auth_password(turn, &Password::new(WRONG)).unwrap(),
                    (2, _) => client.auth_keyboard_interactive(turn, "").unwrap(),
                    _ => client.auth_password(turn, &Password::new(OLD)).unwrap(),
                }
                assert_ne!(self.panics_at_turn, Some(self.turns), "as asked");
            }
            ClientEvent::Prompts(asked) => {
                let answers = ANSWERS.map(Password::new);
                client.answer_prompts(asked, &answers).unwrap();
            }
            ClientEvent::Shared(Event::Authenticated(_)) => {
                client
                    .open_channel(&ssh_proto::ChannelKind::Session)
                    .unwrap();
            }
            ClientEvent::Shared(Event::ChannelOpened(channel)) => {
                let request = ChannelRequest::X11 {
                    single_connection: false,
                    auth_protocol: "MIT-MAGIC-COOKIE-1".into(),
                    cookie: X11Cookie::new(COOKIE.to_vec()),
                    screen: 0,
                };
                client.request(channel, &request, true).unwrap();
            }
            ClientEvent::Shared(Event::RequestReply { channel, .. }) => {
                self.replies += 1;
                client.rekey().unwrap();
                client
                    .write(channel, DataStream::Data, &[7; 10_000])
                    .unwrap();
            }
            ClientEvent::Shared(Event::KeysChanged(keys))
                if keys.is_rekey && self.replies > 0 && !self.ended =>
            {
                self.ended = true;
                client.disconnect(now, DisconnectReason::BY_APPLICATION, "");
            }
            _ => {}
        }
    }
}

/// A server that lets that client go through all of it.
#[derive(Default)]
struct Server {
    panics_at_password: bool,
}

impl ssh_tests::App<ServerConnection> for Server {
    fn on_event(&mut self, server: &mut ServerConnection, event: ServerEvent, _: Instant) {
        match event {
            ServerEvent::Auth(request) => match request.method() {
                AuthMethod::Password(password) => {
                    assert!(!self.panics_at_password, "as asked");
                    if password.matches(OLD.as_bytes()) {
                        server.request_password_change(request, "old").unwrap();
                    } else {
                        server.reject_auth(request, None).unwrap();
                    }
                }
                AuthMethod::PasswordChange { old, new } => {
                    assert!(old.matches(OLD.as_bytes()) && new.matches(NEW.as_bytes()));
                    server.accept_auth(request).unwrap();
                }
                AuthMethod::KeyboardInteractive { .. } => {
                    let prompt = Prompt::new("?", false);
                    let prompts = Prompts::new("", "", [prompt.clone(), prompt]);
                    server.prompt_auth(request, &prompts).unwrap();
                }
                AuthMethod::KeyboardInteractiveResponses(answers) => {
                    let pairs = answers.iter().zip(ANSWERS);
                    assert_eq!(answers.len(), 2);
                    for (answer, expected) in pairs {
                        assert!(answer.matches(expected.as_bytes()));
                    }
                    let next = MethodSet::PASSWORD;
                    server.accept_auth_partially(request, next).unwrap();
                }
                _ => drop(request),
            },
            ServerEvent::Shared(Event::ChannelOpen(open)) => {
                server.accept_channel(open).unwrap();
            }
            ServerEvent::Shared(Event::Request(request)) => {
                assert!(matches!(request.request(), ChannelRequest::X11 { .. }));
                server.accept_request(request).unwrap();
            }
            _ => {}
        }
    }
}

/// A session in clear, for those who look at what is sent.
pub(crate) fn pair_in_clear() -> Pair {
    let scene = Scene {
        cipher: CLEAR,
        ..SCENE
    };
    pair_of(scene, false, &provider_in_clear())
}

/// Runs a whole session.
pub(crate) fn play(pair: &mut Pair) {
    let mut client = Client::default();
    pair.run(&mut client, &mut Server::default());
    assert!(client.ended, "{:?}", pair.client_end());
    assert!(pair.server_end().is_some() && pair.client_end().is_some());
}

/// A whole session: after its end, and when both sides are dropped.
#[test]
fn p1_whole_sessions_of_every_algorithm() {
    let watch = Watch::begin();
    for scene in scenes() {
        name_texts();
        let mut pair = pair(scene);
        play(&mut pair);
        drop(pair);
        watch.assert_clean(&format!("{scene:?}"));
    }
}

#[test]
fn p1_whole_sessions_in_every_mode() {
    let watch = Watch::begin();
    for mode in Mode::ALL {
        for cipher in ["aes256-ctr", SCENE.cipher] {
            let scene = Scene {
                cipher,
                mode,
                ..SCENE
            };
            name_texts();
            let mut pair = pair(scene);
            play(&mut pair);
            drop(pair);
            watch.assert_clean(&format!("{scene:?}"));
        }
    }
}

/// Both sides are dropped after each step of a session, in either order.
#[test]
fn p1_dropped_at_any_step() {
    let watch = Watch::begin();
    let provider = fixtures::provider();
    // Of the finite fields the smallest stands for all.
    let is_quick = |name: &&str| !name.contains("-group") || name.contains("-group14-");
    for kex in provider.kex.iter().map(|kex| kex.name()).filter(is_quick) {
        for steps in 0.. {
            name_texts();
            let mut pair = pair(Scene { kex, ..SCENE });
            let (mut client, mut server) = (Client::default(), Server::default());
            let busy = (0..steps).all(|_| pair.step(&mut client, &mut server));
            drop(pair);
            watch.assert_clean(&format!("{kex}, after {steps} steps"));
            if !busy {
                assert!(steps > 15, "{steps}");
                break;
            }
        }
    }
}

/// An error ends the session after each step: bytes that are not authentic, or are none of SSH.
#[test]
fn p1_errors_at_any_step() {
    let watch = Watch::begin();
    for steps in 0.. {
        name_texts();
        let mut pair = pair(SCENE);
        let (mut client, mut server) = (Client::default(), Server::default());
        let busy = (0..steps).all(|_| pair.step(&mut client, &mut server));
        let now = pair.now;
        pair.to_server.clear();
        pair.to_client.clear();
        let noise = || BytesMut::from(&[0x55; 256][..]);
        pair.to_server.push(now, noise());
        pair.to_client.push(now, noise());
        pair.run(&mut client, &mut server);
        watch_over(&pair, steps);
        drop(pair);
        watch.assert_clean(&format!("an error after {steps} steps"));
        if !busy {
            break;
        }
    }
}

fn watch_over(pair: &Pair, steps: usize) {
    assert!(
        pair.client_end().is_some() || pair.server_end().is_some(),
        "after {steps} steps"
    );
}

/// The application panics while it holds a password, and everything unwinds.
#[test]
fn p1_panics() {
    let watch = Watch::begin();
    for turn in 0..=4 {
        name_texts();
        let mut pair = pair(SCENE);
        let outcome = catch_unwind(AssertUnwindSafe(move || {
            let mut client = Client {
                panics_at_turn: (turn > 0).then_some(turn),
                ..Client::default()
            };
            let mut server = Server {
                panics_at_password: turn == 0,
            };
            pair.run(&mut client, &mut server);
        }));
        assert!(outcome.is_err(), "turn {turn}");
        watch.assert_clean(&format!("a panic at turn {turn}"));
    }
}

/// Time runs out while a question waits for its answer, and while the server hears nothing more.
#[test]
fn p1_timeouts() {
    let watch = Watch::begin();
    for steps in 0..12 {
        name_texts();
        let mut pair = pair(SCENE);
        let mut asked = Vec::new();
        let mut client = Client::default();
        let mut hold = |_: &mut ServerConnection, event: ServerEvent| {
            if matches!(event, ServerEvent::Auth(_)) {
                asked.push(event);
            }
        };
        for _ in 0..steps {
            pair.step(&mut client, &mut hold);
        }
        pair.to_server.stall(true);
        pair.advance(Duration::from_secs(4_000), &mut client, &mut hold);
        watch_over(&pair, steps);
        drop(pair);
        assert!(steps < 11 || !asked.is_empty());
        drop(asked);
        watch.assert_clean(&format!("timeouts after {steps} steps"));
    }
}

fn live_keys() -> (isize, isize) {
    let count = |keys: &std::sync::atomic::AtomicIsize| keys.load(Ordering::Relaxed);
    (count(&SEALING_KEYS), count(&OPENING_KEYS))
}

/// P4: at rest, each side has one key for each direction; those before `NEWKEYS` are gone at once.
#[test]
fn p4_old_keys_are_dropped_at_newkeys() {
    let watch = Watch::begin();
    assert_eq!(live_keys(), (0, 0));
    name_texts();
    let mut on = pair(SCENE);
    let made = KEYS_MADE.load(Ordering::Relaxed);
    let (mut client, mut server) = (Client::default(), Server::default());
    let mut most = (0, 0);
    while on.step(&mut client, &mut server) {
        let (sealing, opening) = live_keys();
        most = (most.0.max(sealing), most.1.max(opening));
        if !client.ended && on.to_client.in_flight() == 0 && on.to_server.in_flight() == 0 {
            assert!(sealing <= 4 && opening <= 4, "{sealing}, {opening}");
        }
    }
    assert_eq!(KEYS_MADE.load(Ordering::Relaxed) - made, 8, "two exchanges");
    assert!(client.ended);
    // Old and new of both sides at most, for as long as an exchange takes.
    assert!(most.0 <= 4 && most.1 <= 4, "{most:?}");
    assert!(
        live_keys().0 <= 2 && live_keys().1 <= 2,
        "{:?}",
        live_keys()
    );
    drop(on);
    assert_eq!(live_keys(), (0, 0));
    watch.assert_clean("a rekey");
}

/// P4: what a cipher has decrypted before it found the tag to be wrong is wiped, and
/// is in no event.
#[test]
fn p4_plaintext_that_is_not_authentic_is_wiped() {
    let watch = Watch::begin();
    let mut errors = 0;
    for steps in 3..20 {
        secret("a plaintext", PLAINTEXT);
        let mut pair = pair(SCENE);
        let (mut client, mut server) = (Client::default(), Server::default());
        for _ in 0..steps {
            pair.step(&mut client, &mut server);
        }
        pair.to_server.stall(true);
        pair.step(&mut client, &mut server);
        pair.to_server.stall(false);
        SPOILING.store(true, Ordering::Relaxed);
        let mut count = |_: &mut ServerConnection, event: ServerEvent| {
            if let ServerEvent::Shared(Event::MacError { forged, .. }) = event {
                assert!(forged.is_none());
                errors += 1;
            }
        };
        pair.run(&mut client, &mut count);
        SPOILING.store(false, Ordering::Relaxed);
        drop(pair);
        watch.assert_clean(&format!("after {steps} steps"));
    }
    assert!(errors > 4, "{errors}");
}

/// P4: where forged packets may be accepted, one is kept in clear until the verdict, and wiped if
/// it is not accepted: dropped by the application, in time, or with the connection.
#[test]
fn p4_forged_packets_are_wiped() {
    let watch = Watch::begin();
    let mut held = 0;
    for steps in 3..20 {
        for answered in [true, false] {
            name_texts();
            let scene = Scene {
                cipher: "aes256-ctr",
                ..SCENE
            };
            let mut pair = pair_of(scene, true, &provider());
            let (mut client, mut server) = (Client::default(), Server::default());
            for _ in 0..steps {
                pair.step(&mut client, &mut server);
            }
            pair.to_server.stall(true);
            pair.step(&mut client, &mut server);
            pair.to_server.stall(false);
            if let Some(mut bytes) = pair.to_server.pull(pair.now) {
                // The last byte of the MAC.
                *bytes.last_mut().unwrap() ^= 1;
                pair.to_server.push(pair.now, bytes);
            }
            let mut forged_packets = Vec::new();
            let mut forged = |connection: &mut ServerConnection, event: ServerEvent| match event {
                ServerEvent::Shared(Event::MacError { forged, .. }) => {
                    held += usize::from(forged.is_some());
                    forged_packets.extend(forged.filter(|_| !answered));
                }
                event => {
                    let now = Instant::EPOCH;
                    ssh_tests::App::on_event(&mut server, connection, event, now);
                }
            };
            pair.run(&mut client, &mut forged);
            drop(pair);
            drop(forged_packets);
            watch.assert_clean(&format!("after {steps} steps"));
        }
    }
    assert!(held > 4, "{held}");
}
