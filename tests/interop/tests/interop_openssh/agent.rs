//! The agent protocol: ours asks `ssh-agent`, and `ssh-add` and `ssh` ask ours.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ssh_interop::process::{PATIENCE, command, run, wait_until};
use ssh_interop::{Key, KeyType, Login, Output, Running, Setup, Side, TestDir};
use ssh_proto::agent::{
    AgentClient, AgentReply, AgentServer, AgentServerEvent, ConstraintHop, DestinationConstraint,
    HopKey, KeyConstraints, Keyring, NotSent, RequestFailed, RequestId, SessionBinding, SignFlags,
};
use ssh_proto::crypto::{PrivateKey, PublicKey, rustcrypto};
use ssh_proto::keys::{Comment, PublicKeyLine};
use ssh_proto::wire::{Field, put_string};

type Answer = Result<AgentReply, RequestFailed>;

const DONE: Answer = Ok(AgentReply::Done);
const REFUSED: Answer = Err(RequestFailed::Refused);

/// A connection to an agent, asked one thing at a time.
struct Asker {
    stream: UnixStream,
    client: AgentClient,
}

impl Asker {
    fn new(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("an agent");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let client = AgentClient::new();
        Self { stream, client }
    }

    fn ask(
        &mut self,
        request: impl FnOnce(&mut AgentClient) -> Result<RequestId, NotSent>,
    ) -> Answer {
        request(&mut self.client).expect("sent");
        let sent = self.client.output().len();
        self.stream
            .write_all(self.client.output())
            .expect("written");
        self.client.advance_output(sent);
        loop {
            if let Some(event) = self.client.poll_event().expect("well-formed replies") {
                return event.result;
            }
            let mut part = [0; 4096];
            let count = self.stream.read(&mut part).expect("a reply in time");
            assert!(count > 0, "the agent closed");
            self.client.handle_input(&part[..count]);
        }
    }

    fn list(&mut self) -> Vec<(PublicKey, String)> {
        match self.ask(AgentClient::identities) {
            Ok(AgentReply::Identities(list)) => list
                .into_iter()
                .map(|one| (one.key, one.comment.to_string()))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    fn signs(&mut self, key: &PublicKey, data: &[u8]) -> bool {
        match self.ask(|client| client.sign(key, data, SignFlags::NONE)) {
            Ok(AgentReply::Signature(signature)) => {
                let provider = rustcrypto::provider();
                let algorithm = provider.signature(signature.algorithm());
                algorithm
                    .expect("an algorithm of ours")
                    .verify(key, data, &signature)
                    .expect("a good signature");
                true
            }
            Err(RequestFailed::Refused) => false,
            other => panic!("{other:?}"),
        }
    }
}

fn ssh_agent(dir: &TestDir) -> (Running, PathBuf) {
    let socket = dir.file("theirs");
    let mut agent = command("ssh-agent");
    agent.args(["-D", "-a"]).arg(&socket);
    let agent = Running::start(agent);
    wait_until("the agent's socket", PATIENCE, || {
        UnixStream::connect(&socket).is_ok()
    });
    (agent, socket)
}

fn private(key: &Key) -> PrivateKey {
    let file = std::fs::read(&key.private).expect("the private key");
    PrivateKey::from_openssh(&file).expect("a key that ssh-keygen wrote")
}

fn public(key: &Key) -> PublicKey {
    let line = PublicKeyLine::parse(key.line.as_bytes());
    line.expect("a line of ssh-keygen").key
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn ours_asks_ssh_agent() {
    let dir = TestDir::new();
    let (_agent, socket) = ssh_agent(&dir);
    let mut asker = Asker::new(&socket);
    assert!(asker.list().is_empty());
    let keys = KeyType::ALL.map(|key_type| dir.key(key_type.name(), key_type, ""));
    for key in &keys {
        let (key, comment) = (private(key), Comment::new("where@from"));
        let none = KeyConstraints::default();
        assert_eq!(asker.ask(|client| client.add(&key, &comment, &none)), DONE);
    }
    let expected = keys
        .each_ref()
        .map(|key| (public(key), "where@from".into()));
    assert_eq!(asker.list(), expected);
    let mut list = command("ssh-add");
    list.arg("-L").env("SSH_AUTH_SOCK", &socket);
    let listed = run(list).ok();
    for key in &keys {
        assert!(asker.signs(&public(key), b"data"));
        assert!(listed.contains(&key.line), "{listed}");
    }

    let unlock = |asker: &mut Asker, word: &[u8]| asker.ask(|client| client.unlock(word));
    assert_eq!(asker.ask(|client| client.lock(b"word")), DONE);
    assert!(!asker.signs(&expected[0].0, b"data"));
    assert_eq!(unlock(&mut asker, b"other"), REFUSED);
    assert_eq!(unlock(&mut asker, b"word"), DONE);

    let answer = asker.ask(AgentClient::query);
    let known = [
        REFUSED,
        Err(RequestFailed::ExtensionFailed),
        Ok(AgentReply::Extensions(Vec::new())),
    ];
    let extended = matches!(&answer, Ok(AgentReply::Extensions(_)));
    assert!(extended || known.contains(&answer), "{answer:?}");
    let remove = |asker: &mut Asker| asker.ask(|client| client.remove(&expected[0].0));
    assert_eq!(remove(&mut asker), DONE);
    assert_eq!(remove(&mut asker), REFUSED);
    assert_eq!(asker.ask(AgentClient::remove_all), DONE);
    assert!(asker.list().is_empty());
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn ssh_agent_holds_to_our_constraints() {
    let dir = TestDir::new();
    let (_agent, socket) = ssh_agent(&dir);
    let key = dir.key("user", KeyType::Ed25519, "");
    let host = dir.key("host", KeyType::Ed25519, "");
    let (user, host_key) = (public(&key), public(&host));
    let add = |asker: &mut Asker, constraints: &KeyConstraints| {
        let (key, comment) = (private(&key), Comment::default());
        asker.ask(|client| client.add(&key, &comment, constraints))
    };
    let mut asker = Asker::new(&socket);
    let mut constraints = KeyConstraints::default();
    constraints.lifetime = Some(1);
    assert_eq!(add(&mut asker, &constraints), DONE);
    wait_until("the end of a lifetime", PATIENCE, || {
        asker.list().is_empty()
    });

    // Nobody is there to confirm.
    constraints.lifetime = None;
    constraints.confirm = true;
    assert_eq!(add(&mut asker, &constraints), DONE);
    assert!(!asker.signs(&user, b"data"));

    constraints.confirm = false;
    let known = HopKey {
        key: host_key.clone(),
        is_authority: false,
    };
    let hop = ConstraintHop::new("host", vec![known]).expect("a hop");
    let destination = DestinationConstraint::new(None, Some("m?"), hop).expect("a constraint");
    constraints.destinations.push(destination);
    assert_eq!(add(&mut asker, &constraints), DONE);
    assert!(!asker.signs(&user, b"data"), "anything");

    let session_id = [7; 32];
    let signing = rustcrypto::provider().signing_key(&private(&host));
    let signature = signing.expect("a key").sign("ssh-ed25519", &session_id);
    let mut binding = SessionBinding {
        host_key: host_key.clone(),
        session_id: session_id.to_vec().into(),
        signature: signature.expect("a signature"),
        is_forwarding: false,
    };
    assert_eq!(asker.ask(|client| client.session_bind(&binding)), DONE);
    let login = |user_name: &[u8]| {
        let mut data = bytes::BytesMut::new();
        put_string(&mut data, &session_id);
        50u8.encode(&mut data);
        put_string(&mut data, user_name);
        put_string(&mut data, b"ssh-connection");
        put_string(&mut data, b"publickey-hostbound-v00@openssh.com");
        true.encode(&mut data);
        put_string(&mut data, b"ssh-ed25519");
        put_string(&mut data, user.as_blob());
        put_string(&mut data, host_key.as_blob());
        data
    };
    assert!(asker.signs(&user, &login(b"me")));
    assert!(!asker.signs(&user, &login(b"you")));
    let mut other = Asker::new(&socket);
    binding.session_id = vec![8; 32].into();
    let refused = other.ask(|client| client.session_bind(&binding));
    let failed = [REFUSED, Err(RequestFailed::ExtensionFailed)];
    assert!(failed.contains(&refused), "{refused:?}");
}

/// An agent of ours behind a socket, until the test ends.
struct OurAgent {
    socket: PathBuf,
    keyring: Arc<Mutex<Keyring>>,
    confirms: Arc<AtomicBool>,
    dir: TestDir,
}

impl OurAgent {
    fn start() -> Self {
        let dir = TestDir::new();
        let socket = dir.file("ours");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let keyring = Arc::new(Mutex::new(Keyring::new(rustcrypto::provider())));
        let confirms = Arc::new(AtomicBool::new(true));
        let shared = (Arc::clone(&keyring), Arc::clone(&confirms));
        let start = Instant::now();
        // The threads end with the process, or with their connections.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (keyring, confirms) = (Arc::clone(&shared.0), Arc::clone(&shared.1));
                thread::spawn(move || serve(stream, &keyring, &confirms, start));
            }
        });
        Self {
            socket,
            keyring,
            confirms,
            dir,
        }
    }

    fn ssh_add(&self, arguments: &[&str]) -> Output {
        let mut add = command("ssh-add");
        let askpass = self.dir.write_private("askpass", "#!/bin/sh\necho word\n");
        add.args(arguments)
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force");
        run(add)
    }

    fn count(&self) -> usize {
        let keyring = self.keyring.lock().expect("no panic");
        keyring.identities().count()
    }
}

fn serve(mut stream: UnixStream, keyring: &Mutex<Keyring>, confirms: &AtomicBool, start: Instant) {
    let now = || ssh_proto::Instant::from_duration(start.elapsed());
    let mut server = AgentServer::new();
    loop {
        let mut keyring = keyring.lock().expect("no panic");
        while let Some(event) = server
            .poll_event(&mut keyring, now())
            .expect("well-formed requests")
        {
            if let AgentServerEvent::Confirm(token) = event {
                let answer = match confirms.load(Ordering::Relaxed) {
                    true => server.confirm(&mut keyring, now(), token),
                    false => server.refuse(token),
                };
                answer.expect("its own token");
            }
        }
        drop(keyring);
        let sent = server.output().len();
        if stream.write_all(server.output()).is_err() {
            return;
        }
        server.advance_output(sent);
        let wait = server.poll_timeout().map(|due| due - now());
        let wait = wait.map(|wait| wait.max(Duration::from_millis(1)));
        stream.set_read_timeout(wait).expect("a timeout");
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(0) => return,
            Ok(count) => server.handle_input(&part[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn ssh_add_asks_ours() {
    let agent = OurAgent::start();
    let report = agent.ssh_add(&["-l"]);
    assert_eq!(report.code(), Some(1));
    assert!(report.out().contains("no identities"), "{report:?}");
    let keys = KeyType::ALL.map(|key_type| agent.dir.key(key_type.name(), key_type, ""));
    for key in &keys {
        agent.ssh_add(&[path(&key.private)]).ok();
    }
    let listed = agent.ssh_add(&["-L"]).ok();
    for key in &keys {
        assert!(listed.contains(&key.line), "{listed}");
        let file = path(&key.public);
        // It signs and verifies.
        agent.ssh_add(&["-T", file]).ok();
    }
    assert_eq!(agent.ssh_add(&["-l"]).ok().lines().count(), 2);
    agent.ssh_add(&["-d", path(&keys[0].public)]).ok();
    agent.ssh_add(&["-d", path(&keys[0].public)]).failed(1);
    agent.ssh_add(&["-T", path(&keys[0].public)]).failed(1);
    assert_eq!(agent.count(), 1);
    let loaded = agent.ssh_add(&["-s", "/usr/lib/libc.so"]);
    assert_eq!(loaded.code(), Some(1), "{loaded:?}");

    agent.ssh_add(&["-x"]).ok();
    assert!(agent.keyring.lock().expect("no panic").is_locked());
    agent.ssh_add(&["-T", path(&keys[1].public)]).failed(1);
    agent.ssh_add(&["-x"]).failed(1);
    agent.ssh_add(&["-X"]).ok();
    agent.ssh_add(&["-T", path(&keys[1].public)]).ok();
    agent.ssh_add(&["-D"]).ok();
    assert_eq!(agent.count(), 0);

    agent.ssh_add(&["-c", path(&keys[0].private)]).ok();
    agent.ssh_add(&["-T", path(&keys[0].public)]).ok();
    agent.confirms.store(false, Ordering::Relaxed);
    agent.ssh_add(&["-T", path(&keys[0].public)]).failed(1);
    agent.ssh_add(&["-t", "2", path(&keys[0].private)]).ok();
    assert_eq!(agent.count(), 1);
    wait_until("the end of a lifetime", PATIENCE, || {
        agent.ssh_add(&["-l"]).code() == Some(1)
    });
}

/// `ssh` binds its connections to our agent to their sessions, over a hop too, and a key that
/// `ssh-add -h` restricts logs in there and nowhere else.
#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn ssh_logs_in_where_our_agent_permits() {
    for side in [Side::OpenSsh, Side::NewOpenSsh] {
        logs_in_where_our_agent_permits(side);
    }
}

fn logs_in_where_our_agent_permits(side: Side) {
    let agent = OurAgent::start();
    let dir = &agent.dir;
    let key = dir.key("user", KeyType::Ed25519, "");
    let servers: Vec<_> = (0..3)
        .map(|_| Setup::default().authorized(&key.public))
        .map(|setup| setup.start(side, dir))
        .collect();
    let names = ["alpha", "beta", "gamma"];
    let hosts = names.iter().zip(&servers);
    let hosts = hosts.map(|(name, server)| format!("{name} {}\n", server.host_keys[0].line));
    let hosts = dir.write("hosts", hosts.collect::<String>());
    let add = |hops: &[&str]| {
        let mut arguments = vec!["-q", "-H", path(&hosts)];
        for hop in hops {
            arguments.extend(["-h", hop]);
        }
        arguments.push(path(&key.private));
        agent.ssh_add(&arguments).ok();
    };
    let logins: Vec<_> = servers
        .iter()
        .map(|server| Login::new(side, server, dir).option("IdentitiesOnly", "no"))
        .collect();
    let first = |login: &Login| login.clone().option("IdentityAgent", path(&agent.socket));
    let through = |to: &Login| {
        let there = to.command("echo in");
        let words = std::iter::once(there.get_program()).chain(there.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
        let login = first(&logins[0]).flag("-A");
        login.run(&words.join(" "))
    };

    add(&[]);
    assert_eq!(first(&logins[1]).run("echo in").ok(), "in\n");
    assert_eq!(through(&logins[2]).ok(), "in\n");
    add(&["alpha", "alpha>beta"]);
    assert_eq!(first(&logins[0]).run("echo in").ok(), "in\n");
    first(&logins[1]).run("echo in").failed(255);
    assert_eq!(through(&logins[1]).ok(), "in\n");
    through(&logins[2]).failed(255);
    add(&["nobody@alpha"]);
    first(&logins[0]).run("echo in").failed(255);
}
