//! Destination constraints and session bindings, as OpenSSH's agent enforces them (PROTOCOL.agent sections 1 and 2).

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use ssh_proto::agent::{
    AgentClient, AgentReply, AgentServerEvent, ConstraintHop, DestinationConstraint, HopKey,
    KeyConstraints, RequestFailed, SessionBinding, SignFlags,
};
use ssh_proto::crypto::{PrivateKey, PublicKey, SigningKey};
use ssh_proto::keys::Comment;
use ssh_proto::limits::{MAX_AGENT_BINDS, MAX_AGENT_SESSION_ID};
use ssh_proto::wire::put_string;
use ssh_tests::AgentPair;
use ssh_tests::agent::{Answer, DONE, REFUSED, private_key};
use ssh_tests::fixtures::key;

const FAILED: Answer = Err(RequestFailed::ExtensionFailed);

/// The host key of a host named by a letter.
fn host(name: char) -> Arc<dyn SigningKey> {
    key("ssh-ed25519", 1000 + u64::from(u32::from(name)))
}

fn hop(name: char) -> ConstraintHop {
    let key = host(name).public_key().clone();
    let known = HopKey {
        key,
        is_authority: false,
    };
    ConstraintHop::new(&format!("{name}.example"), vec![known]).unwrap()
}

/// Constraints written as `ssh-add -h` takes them: `"b"`, `"me@b"`, `"b>c"`, `"b>me@c"`.
fn restricted(specs: &[&str]) -> KeyConstraints {
    let mut constraints = KeyConstraints::default();
    for spec in specs {
        let (from, to) = match spec.split_once('>') {
            Some((from, to)) => (from.chars().next(), to),
            None => (None, *spec),
        };
        let (user, to) = match to.split_once('@') {
            Some((user, to)) => (Some(user), to),
            None => (None, to),
        };
        let to = hop(to.chars().next().unwrap());
        let destination = DestinationConstraint::new(from.map(hop), user, to).unwrap();
        constraints.destinations.push(destination);
    }
    constraints
}

fn binding(name: char, session_id: &[u8], is_forwarding: bool) -> SessionBinding {
    let host = host(name);
    SessionBinding {
        host_key: host.public_key().clone(),
        session_id: Bytes::copy_from_slice(session_id),
        signature: host.sign("ssh-ed25519", session_id).unwrap(),
        is_forwarding,
    }
}

fn bind(pair: &mut AgentPair, name: char, session_id: &[u8], is_forwarding: bool) -> Answer {
    let binding = binding(name, session_id, is_forwarding);
    pair.ask(|client| client.session_bind(&binding))
}

/// What is signed to log in, hostbound if there is a host key.
fn login(session_id: &[u8], user: &str, key: &PublicKey, host_key: Option<char>) -> Vec<u8> {
    let mut data = BytesMut::new();
    put_string(&mut data, session_id);
    data.put_u8(50);
    put_string(&mut data, user.as_bytes());
    put_string(&mut data, b"ssh-connection");
    put_string(
        &mut data,
        match host_key {
            Some(_) => b"publickey-hostbound-v00@openssh.com",
            None => b"publickey",
        },
    );
    data.put_u8(1);
    put_string(&mut data, key.key_type().as_bytes());
    put_string(&mut data, key.as_blob());
    if let Some(name) = host_key {
        put_string(&mut data, host(name).public_key().as_blob());
    }
    data.to_vec()
}

struct Scene {
    pair: AgentPair,
    private: PrivateKey,
    key: PublicKey,
}

impl Scene {
    /// An agent with one key under these constraints.
    fn new(specs: &[&str]) -> Self {
        let private = private_key("ssh-ed25519", 1);
        let mut scene = Self {
            pair: AgentPair::default(),
            key: private.public_key(),
            private,
        };
        assert_eq!(scene.add(&restricted(specs)), DONE);
        scene
    }

    fn add(&mut self, constraints: &KeyConstraints) -> Answer {
        let private = &self.private;
        self.pair
            .ask(|client| client.add(private, &Comment::default(), constraints))
    }

    fn signs(&mut self, data: &[u8]) -> bool {
        let key = &self.key;
        match self
            .pair
            .ask(|client| client.sign(key, data, SignFlags::NONE))
        {
            Ok(AgentReply::Signature(_)) => true,
            Err(RequestFailed::Refused) => false,
            other => panic!("{other:?}"),
        }
    }

    fn shows(&mut self) -> bool {
        !self.pair.list().is_empty()
    }

    /// A new connection that goes along `path` (`"bc"`) and logs in at its last host, or is
    /// forwarded there.
    fn travel(&mut self, path: &str, is_forwarding: bool) {
        self.pair.reconnect();
        let last = path.len() - 1;
        for (i, name) in path.chars().enumerate() {
            let forwards = i < last || is_forwarding;
            let answer = bind(&mut self.pair, name, &[i as u8; 32], forwards);
            assert_eq!(answer, DONE);
        }
    }

    /// Whether the key logs in as `user` at the end of a path.
    fn logs_in(&mut self, path: &str, user: &str) -> bool {
        self.travel(path, false);
        let last = path.len() - 1;
        let data = login(&[last as u8; 32], user, &self.key, path.chars().last());
        self.signs(&data)
    }
}

#[test]
fn l6_bindings_are_verified() {
    let mut pair = AgentPair::default();
    let good = binding('b', b"session", true);
    let mut bad = good.clone();
    bad.session_id = Bytes::from_static(b"Session");
    assert_eq!(pair.ask(|client| client.session_bind(&bad)), FAILED);
    let mut bad = good.clone();
    bad.host_key = host('c').public_key().clone();
    assert_eq!(pair.ask(|client| client.session_bind(&bad)), FAILED);
    let empty = binding('b', b"", true);
    assert_eq!(pair.ask(|client| client.session_bind(&empty)), FAILED);
    let long = binding('b', &[1; MAX_AGENT_SESSION_ID + 1], true);
    assert_eq!(pair.ask(|client| client.session_bind(&long)), FAILED);
    let name = "session-bind@openssh.com";
    for contents in [&b""[..], b"\0\0\0\0", b"\xff\xff\xff\xff"] {
        let answer = pair.ask(|client| client.extension(name, contents));
        assert_eq!(answer, FAILED);
    }
    pair.client.session_bind(&good).unwrap();
    let told = pair.run();
    let [AgentServerEvent::SessionBound(bound)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(*bound, good);
    assert_eq!(pair.answered().result, DONE);
}

#[test]
fn l6_bindings_that_are_refused() {
    let mut pair = AgentPair::default();
    assert_eq!(bind(&mut pair, 'b', b"one", true), DONE);
    assert_eq!(bind(&mut pair, 'b', b"one", true), FAILED, "twice");
    assert_eq!(
        bind(&mut pair, 'c', b"one", true),
        FAILED,
        "of another host"
    );
    assert_eq!(bind(&mut pair, 'b', b"two", false), DONE, "logs in");
    assert_eq!(
        bind(&mut pair, 'c', b"three", true),
        FAILED,
        "behind a login"
    );
    assert_eq!(bind(&mut pair, 'c', b"three", false), FAILED);

    pair.reconnect();
    for hop in 0..MAX_AGENT_BINDS {
        assert_eq!(bind(&mut pair, 'b', &[hop as u8], true), DONE);
    }
    let answer = bind(&mut pair, 'b', &[MAX_AGENT_BINDS as u8], true);
    assert_eq!(answer, FAILED, "one too many");
}

#[test]
fn l5_a_locked_agent_is_bound_all_the_same() {
    let mut scene = Scene::new(&["b"]);
    assert_eq!(scene.pair.ask(|client| client.lock(b"secret")), DONE);
    assert_eq!(bind(&mut scene.pair, 'c', b"session", false), DONE);
    assert_eq!(scene.pair.ask(|client| client.unlock(b"secret")), DONE);
    assert!(!scene.shows(), "bound to another host");
}

#[test]
fn l8_a_restricted_key_signs_nothing_on_an_unbound_connection() {
    let mut scene = Scene::new(&["b"]);
    assert!(scene.shows(), "where the agent runs");
    let data = login(&[0; 32], "me", &scene.key, Some('b'));
    assert!(!scene.signs(&data));
    assert!(!scene.signs(b"anything"));
    // A failed attempt to bind is no local use.
    let answer = scene
        .pair
        .ask(|client| client.extension("session-bind@openssh.com", b""));
    assert_eq!(answer, FAILED);
    assert!(!scene.shows());
}

#[test]
fn hops_are_permitted_one_by_one() {
    let mut scene = Scene::new(&["b", "b>c", "c>me@d"]);
    for (path, user, permitted) in [
        ("b", "anyone", true),
        ("bc", "anyone", true),
        ("bcd", "me", true),
        ("bcd", "you", false),
        ("c", "me", false),
        ("d", "me", false),
        ("bd", "me", false),
        ("cd", "me", false),
        ("bcb", "me", false),
        ("x", "me", false),
        ("bx", "me", false),
    ] {
        assert_eq!(scene.logs_in(path, user), permitted, "{user} {path}");
    }
    let mut scene = Scene::new(&["a*@b", "root@b"]);
    for (user, permitted) in [("alice", true), ("root", true), ("bob", false), ("", false)] {
        assert_eq!(scene.logs_in("b", user), permitted, "{user}");
    }
}

#[test]
fn keys_are_shown_where_they_may_go_on() {
    let mut scene = Scene::new(&["b", "b>c"]);
    for (path, is_forwarding, shown) in [
        ("b", false, true),
        ("b", true, true),
        ("bc", false, true),
        // It may log in at c, and go nowhere from there.
        ("bc", true, false),
        ("c", false, false),
        ("c", true, false),
    ] {
        scene.travel(path, is_forwarding);
        assert_eq!(scene.shows(), shown, "{path} {is_forwarding}");
        let key = scene.key.clone();
        let removed = scene.pair.ask(|client| client.remove(&key));
        assert_eq!(removed == DONE, shown);
        if shown {
            scene.pair.reconnect();
            assert_eq!(scene.add(&restricted(&["b", "b>c"])), DONE);
        } else {
            // Nor are its constraints changed by whom it is hidden from.
            assert_eq!(scene.add(&KeyConstraints::default()), REFUSED);
        }
    }
}

#[test]
fn only_the_login_of_the_bound_session_is_signed() {
    let mut scene = Scene::new(&["b", "b>c"]);
    let key = scene.key.clone();
    scene.travel("b", false);
    let session = [0; 32];
    let good = login(&session, "me", &key, Some('b'));
    assert!(scene.signs(&good));
    // Without the host key, as clients before the hostbound method do, on the first hop alone.
    assert!(scene.signs(&login(&session, "me", &key, None)));
    assert!(!scene.signs(&login(&[9; 32], "me", &key, Some('b'))));
    assert!(!scene.signs(&login(&session, "me", &key, Some('c'))));
    let other = host('z').public_key().clone();
    assert!(!scene.signs(&login(&session, "me", &other, Some('b'))));
    for cut in 0..good.len() {
        assert!(!scene.signs(&good[..cut]), "{cut}");
    }
    assert!(!scene.signs(&[&good[..], b"x"].concat()));
    // Number, flag, service and algorithm each matter.
    for (from, to) in [
        (&b"\x32\0\0\0\x02me"[..], &b"\x33\0\0\0\x02me"[..]),
        (b".com\x01", b".com\0"),
        (b"ssh-connection", b"ssh-connectiom"),
        (b"\x0bssh-ed25519\0\0\0\x33", b"\x0bssh-ed25518\0\0\0\x33"),
        (b"publickey-hostbound-v00", b"publickey-hostbound-v01"),
    ] {
        let at = good.windows(from.len()).position(|window| window == from);
        let at = at.unwrap();
        let mut changed = good.clone();
        changed[at..at + to.len()].copy_from_slice(to);
        assert!(!scene.signs(&changed), "{}", to.escape_ascii());
    }

    scene.travel("bc", false);
    let last = [1; 32];
    assert!(scene.signs(&login(&last, "me", &key, Some('c'))));
    assert!(
        !scene.signs(&login(&last, "me", &key, None)),
        "for which host?"
    );
    assert!(
        !scene.signs(&login(&session, "me", &key, Some('b'))),
        "an earlier hop"
    );
    scene.travel("b", true);
    assert!(!scene.signs(&good), "a hop to be forwarded over");
}

#[test]
fn keys_without_restriction_do_not_care() {
    let mut scene = Scene::new(&[]);
    scene.travel("bcx", true);
    assert!(scene.shows());
    assert!(scene.signs(b"anything"));
}

#[test]
fn a_restricted_key_asks_for_confirmation_only_where_it_is_permitted() {
    let mut constraints = restricted(&["b"]);
    constraints.confirm = true;
    let mut scene = Scene::new(&["b"]);
    assert_eq!(scene.add(&constraints), DONE);
    let data = login(&[0; 32], "me", &scene.key, Some('b'));
    assert!(!scene.signs(&data), "unbound: nobody is asked");
    scene.travel("b", false);
    let key = scene.key.clone();
    scene
        .pair
        .client
        .sign(&key, &data, SignFlags::NONE)
        .unwrap();
    let Some(AgentServerEvent::Confirm(token)) = scene.pair.serve().unwrap() else {
        panic!("confirmation");
    };
    let pair = &mut scene.pair;
    pair.server
        .confirm(&mut pair.keyring, pair.now, token)
        .unwrap();
    pair.run();
    assert!(matches!(
        pair.answered().result,
        Ok(AgentReply::Signature(_))
    ));
    assert_eq!(pair.ask(AgentClient::remove_all), DONE);
}
