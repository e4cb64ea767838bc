//! What the newest OpenSSH has of its own: post-quantum keys by default, logins bound to the host, RFC 9987's names, keystrokes obscured, rekeys that nothing may interrupt.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ssh_interop::process::{PATIENCE, Running, command, run, wait_until};
use ssh_interop::{KeyType, Login, Output, Pair, Setup, Side, TestDir};
use ssh_io_std::{Client, Driver};
use ssh_proto::crypto::{PrivateKey, rustcrypto};
use ssh_proto::keys::PublicKeyLine;
use ssh_proto::{
    ChannelId, ChannelKind, ChannelRequest, ClientConfig, ClientConnection, ClientEvent,
    Connection, DataStream, Event, HostKeyCheck, Limits, OpenFailure,
};

use crate::{Scene, assert_same, noise, pair_tests};

macro_rules! with_the_newest {
    ($($scenario:ident),* $(,)?) => {
        pair_tests!(newest_to_ours, NewestOpenSsh, Ours, $($scenario),*);
        pair_tests!(ours_to_newest, Ours, NewestOpenSsh, $($scenario),*);
        pair_tests!(newest_alone, NewestOpenSsh, NewestOpenSsh, $($scenario),*);
    };
}

with_the_newest!(
    post_quantum_by_default,
    login_is_bound_to_the_host,
    agent_is_forwarded_under_its_own_names,
    restricted_key_is_used_where_it_may_be,
    rekeys_amid_bulk_on_several_channels,
    keystrokes_are_obscured,
    keystrokes_are_obscured_amid_rekeys,
    other_host_key_is_learned,
);

mod ours_as_client {
    #[test]
    #[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
    fn agent_comes_back_under_its_own_name() {
        super::agent_comes_back_under_its_own_name();
    }

    #[test]
    #[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
    fn second_ext_info_is_taken() {
        super::second_ext_info_is_taken();
    }
}

/// Both ends tell of every packet.
fn verbose(pair: Pair) -> Scene {
    let mut scene = Scene::with(pair, |_, setup| setup.line("LogLevel DEBUG3"));
    scene.login = scene.login.flag("-vvv");
    scene
}

/// Waits for a line of the server's log, which may come after the client has gone.
#[track_caller]
fn expect_logged(scene: &Scene, line: &str) {
    wait_until(&format!("the log says {line:?}"), PATIENCE, || {
        scene.server.log().contains(line)
    });
}

#[track_caller]
fn assert_says(output: &Output, line: &str) {
    assert!(output.err().contains(line), "no {line:?} in {output:?}");
}

fn post_quantum_by_default(pair: Pair) {
    let scene = Scene::new(pair);
    let login = scene.login.clone().flag("-v");
    let strong = login.run("true");
    strong.ok();
    assert_says(&strong, "kex: algorithm: mlkem768x25519-sha256\n");
    expect_logged(
        &scene,
        match pair.server {
            Side::Ours => "keys: mlkem768x25519-sha256 ",
            _ => "kex: algorithm: mlkem768x25519-sha256",
        },
    );
    if pair.client == Side::Ours {
        assert_says(&strong, "post-quantum: yes\n");
        let weak = login.option("KexAlgorithms", "curve25519-sha256");
        let weak = weak.run("true");
        weak.ok();
        assert_says(&weak, "post-quantum: no\n");
    }
}

fn login_is_bound_to_the_host(pair: Pair) {
    let scene = verbose(pair);
    let output = scene.login.run("echo in");
    assert_eq!(output.ok(), "in\n");
    if pair.client != Side::Ours {
        let line = "sign_and_send_pubkey: using publickey-hostbound-v00@openssh.com with ED25519";
        assert_says(&output, line);
    }
    if pair.server != Side::Ours {
        let line =
            "userauth_pubkey: publickey-hostbound-v00@openssh.com have ssh-ed25519 signature";
        expect_logged(&scene, line);
    }
}

/// sshd says anew which signatures it takes, once it knows who logs in (`ext-info-in-auth@openssh.com`).
fn second_ext_info_is_taken() {
    let scene = verbose(Pair {
        client: Side::Ours,
        server: Side::NewestOpenSsh,
    });
    let output = scene.login.run("echo in");
    assert_eq!(output.ok(), "in\n");
    let line = "Server extension: server-sig-algs=";
    assert_eq!(output.err().matches(line).count(), 2, "{output:?}");
    expect_logged(&scene, "extension ext-info-in-auth@openssh.com");
}

/// An agent of OpenSSH that runs until the value is dropped.
struct Agent {
    _running: Running,
    socket: PathBuf,
    ssh_add: PathBuf,
}

impl Agent {
    fn start(side: Side, dir: &TestDir) -> Self {
        let openssh = side.openssh().expect("OpenSSH");
        let socket = dir.file("agent");
        let mut agent = command(openssh.program("bin/ssh-agent"));
        agent.args(["-D", "-a"]).arg(&socket);
        let running = Running::start(agent);
        wait_until("the agent's socket", PATIENCE, || socket.exists());
        Self {
            _running: running,
            socket,
            ssh_add: openssh.program("bin/ssh-add"),
        }
    }

    fn add(&self, arguments: &[&str], key: &Path) {
        let mut add = command(&self.ssh_add);
        add.arg("-q").args(arguments).arg(key);
        run(add_socket(add, &self.socket)).ok();
    }

    fn forget_all(&self) {
        let mut add = command(&self.ssh_add);
        add.args(["-q", "-D"]);
        run(add_socket(add, &self.socket)).ok();
    }
}

fn add_socket(mut command: std::process::Command, socket: &Path) -> std::process::Command {
    command.env("SSH_AUTH_SOCK", socket);
    command
}

fn agent_is_forwarded_under_its_own_names(pair: Pair) {
    let scene = verbose(pair);
    let agent = Agent::start(Side::NewestOpenSsh, &scene.dir);
    let other = scene.dir.key("other", KeyType::EcdsaP256, "");
    agent.add(&[], &scene.key.private);
    agent.add(&[], &other.private);
    let login = scene.login.clone().flag("-A");
    let login = login.env("SSH_AUTH_SOCK", &agent.socket);
    // The key of the login is in the agent, so that the agent is bound for both of its uses.
    let list = format!("'{}' -L", agent.ssh_add.display());
    let output = login.run(&list);
    let listed = output.ok();
    for key in [&scene.key, &other] {
        assert!(listed.contains(&key.line), "{output:?}");
    }
    if pair.client == Side::Ours {
        let line = "debug1: The agent is bound to the session.";
        assert_eq!(output.err().matches(line).count(), 2, "{output:?}");
    } else {
        assert_says(
            &output,
            "Requesting agent forwarding on channel 0 via agent-req\n",
        );
        assert_says(&output, "client_input_channel_open: ctype agent-connect ");
        assert_says(&output, "client_request_agent: bound agent to hostkey\n");
    }
    if pair.server != Side::Ours {
        expect_logged(&scene, "session_input_channel_req: session 0 req agent-req");
    }
    let output = scene.login.clone().flag("-a").run("echo [$SSH_AUTH_SOCK]");
    assert_eq!(output.ok(), "[]\n");
}

/// A key that is good for one host, and for another from there, whatever client asks for it.
fn restricted_key_is_used_where_it_may_be(pair: Pair) {
    let dir = TestDir::new();
    let key = dir.key("user", KeyType::Ed25519, "");
    let servers: Vec<_> = (0..3)
        .map(|_| Setup::default().authorized(&key.public))
        .map(|setup| setup.start(pair.server, &dir))
        .collect();
    let hosts = ["alpha", "beta", "gamma"].iter().zip(&servers);
    let hosts = hosts.map(|(name, server)| format!("{name} {}\n", server.host_keys[0].line));
    let hosts = dir.write("hosts", hosts.collect::<String>());
    let hosts = hosts.to_str().expect("a plain path");
    let logins: Vec<_> = servers
        .iter()
        .map(|server| Login::new(pair.client, server, &dir).option("IdentitiesOnly", "no"))
        .collect();
    for side in [Side::OpenSsh, Side::NewestOpenSsh] {
        let dir = TestDir::new();
        let agent = Agent::start(side, &dir);
        let socket = agent.socket.to_str().expect("a plain path");
        let direct = |login: &Login| {
            let login = login.clone().option("IdentityAgent", socket);
            login.run("echo in")
        };
        let through_alpha = |to: &Login| {
            let there = to.command("echo in");
            let words = std::iter::once(there.get_program()).chain(there.get_args());
            let words: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
            let login = logins[0].clone().option("IdentityAgent", socket);
            login.flag("-A").run(&words.join(" "))
        };
        agent.add(
            &["-H", hosts, "-h", "alpha", "-h", "alpha>beta"],
            &key.private,
        );
        assert_eq!(direct(&logins[0]).ok(), "in\n");
        direct(&logins[1]).failed(255);
        assert_eq!(through_alpha(&logins[1]).ok(), "in\n");
        through_alpha(&logins[2]).failed(255);
        agent.forget_all();
        agent.add(&["-H", hosts, "-h", "nobody@alpha"], &key.private);
        direct(&logins[0]).failed(255);
    }
}

const CHANNELS: usize = 4;
const REKEY: u64 = 64 << 10;
const BULK: usize = 2 << 20;
const LIMIT: Duration = Duration::from_secs(180);

/// Each end replaces its keys after each 64 KiB, while every channel is full both ways: from
/// OpenSSH 10.4 on, whoever sends more than key exchange behind `KEXINIT` is thrown out.
fn rekeys_amid_bulk_on_several_channels(pair: Pair) {
    let scene = Scene::with(pair, |_, setup| setup.rekey_bytes(REKEY));
    let rekeys = match pair.client {
        Side::Ours => bulk_of_ours(&scene),
        _ => bulk_of_openssh(&scene),
    };
    assert!(rekeys > CHANNELS * BULK / (4 << 16), "{rekeys} rekeys");
    assert_eq!(scene.login.run("echo in").ok(), "in\n");
}

/// What goes through a channel: no two are the same.
fn bulk(n: usize) -> Vec<u8> {
    let mut bytes = noise(BULK + n);
    bytes.drain(..n);
    bytes
}

fn bulk_of_openssh(scene: &Scene) -> usize {
    let control = scene.dir.file("ctl");
    let login = scene.login.clone();
    let login = login.option("ControlPath", &control.display().to_string());
    let limited = login.clone().option("RekeyLimit", "64K").flag("-v");
    let mut master = limited.flag("-M").flag("-N").start("");
    wait_until("the master connection is up", PATIENCE, || {
        assert!(master.is_running(), "{}", master.stderr_so_far());
        control.exists()
    });
    // It fails rather than connect by itself.
    let login = login.option("ProxyCommand", "false");
    let channels: Vec<_> = (0..CHANNELS)
        .map(|n| {
            let login = login.clone();
            thread::spawn(move || login.run_within("cat", bulk(n), LIMIT))
        })
        .collect();
    for (n, channel) in channels.into_iter().enumerate() {
        let output = channel.join().expect("no panic");
        assert_eq!(output.code(), Some(0), "{}", output.err());
        assert_same(&output.stdout, &bulk(n));
    }
    assert!(master.is_running(), "{}", master.stderr_so_far());
    let report = master.stderr_so_far();
    report.matches("debug1: SSH2_MSG_NEWKEYS sent").count() - 1
}

/// A login by the library, for what the example client does not do.
fn log_in(scene: &Scene, limits: Limits) -> Driver<ClientConnection, std::net::TcpStream> {
    let provider = rustcrypto::provider();
    let known = PublicKeyLine::parse(scene.server.host_keys[0].line.as_bytes()).expect("a key");
    let judge = move |check: &HostKeyCheck| *check.key() == known.key;
    let config = ClientConfig::builder(provider.clone()).limits(limits);
    let config = config.build().expect("sound");
    let address = ("127.0.0.1", scene.server.port);
    let user = ssh_interop::peers::account();
    let mut client = Client::connect(address, user, &config, judge).expect("a connection");
    let file = fs::read(&scene.key.private).expect("the private key");
    let private = PrivateKey::from_openssh(&file).expect("a private key");
    let key = provider.signing_key(&private).expect("a key to sign with");
    client.authenticate_key(key).expect("a login");
    client.into_driver()
}

/// A channel of bulk.
struct Bulk {
    id: ChannelId,
    bytes: Vec<u8>,
    sent: usize,
    back: Vec<u8>,
}

impl Bulk {
    fn new(id: ChannelId, bytes: Vec<u8>) -> Self {
        let (sent, back) = (0, Vec::new());
        Self {
            id,
            bytes,
            sent,
            back,
        }
    }

    fn send(&mut self, connection: &mut ClientConnection) {
        let rest = &self.bytes[self.sent..];
        let taken = connection.write(self.id, DataStream::Data, rest);
        self.sent += taken.expect("an open channel");
        if self.sent == self.bytes.len() {
            connection.finish(self.id).expect("an open channel");
        }
    }
}

fn bulk_of_ours(scene: &Scene) -> usize {
    const OURS: &str = "one of ours";
    let mut limits = Limits::default();
    limits.rekey_bytes = REKEY;
    // Those of sshd are as many, and each is before `FREE_REKEY_BYTES`.
    limits.peer_rekeys = u32::MAX;
    let mut driver = log_in(scene, limits);
    let mut channels = HashMap::new();
    for n in 0..CHANNELS {
        let connection = driver.connection_mut();
        let id = connection
            .open_channel(&ChannelKind::Session)
            .expect("a channel");
        channels.insert(id, Bulk::new(id, bulk(n)));
    }
    let (mut rekeys, mut open) = (0, CHANNELS);
    while open > 0 {
        let event = driver.next_event().expect("the transport");
        let connection = driver.connection_mut();
        let ClientEvent::Shared(event) = event.expect("an open connection") else {
            continue;
        };
        match event {
            Event::KeysChanged(keys) => rekeys += usize::from(keys.is_rekey),
            Event::ChannelOpened(id) => {
                let cat = ChannelRequest::Exec(b"cat".to_vec().into());
                connection.request(id, &cat, true).expect("requested");
            }
            Event::RequestReply {
                channel, success, ..
            } => {
                assert!(success, "a command was refused");
                channels.get_mut(&channel).expect(OURS).send(connection);
            }
            Event::Writable(id) => channels.get_mut(&id).expect(OURS).send(connection),
            Event::Readable(id) => {
                let channel = channels.get_mut(&id).expect(OURS);
                while let Some(chunk) = connection.read(id).expect("a channel") {
                    if chunk.stream == DataStream::Data {
                        channel.back.extend_from_slice(&chunk.bytes);
                    }
                }
            }
            Event::ChannelClosed(_) => open -= 1,
            Event::Disconnected(cause) => panic!("{cause:?}"),
            _ => {}
        }
    }
    for channel in channels.values() {
        assert_same(&channel.back, &channel.bytes);
    }
    rekeys
}

/// sshd opens its channels by the name that belongs to the request (RFC 9987).
fn agent_comes_back_under_its_own_name() {
    let scene = Scene::new(Pair {
        client: Side::Ours,
        server: Side::NewestOpenSsh,
    });
    let mut driver = log_in(&scene, Limits::default());
    let connection = driver.connection_mut();
    let id = connection
        .open_channel(&ChannelKind::Session)
        .expect("a channel");
    loop {
        let event = driver.next_event().expect("the transport");
        let connection = driver.connection_mut();
        match event.expect("an open connection") {
            ClientEvent::Shared(Event::ChannelOpened(_)) => {
                let asked = connection.request_agent_forwarding(id, true);
                asked.expect("requested");
                let list = ChannelRequest::Exec(b"ssh-add -l".to_vec().into());
                connection.request(id, &list, true).expect("requested");
            }
            ClientEvent::Shared(Event::RequestReply { success, .. }) => assert!(success),
            ClientEvent::Shared(Event::ChannelOpen(channel)) => {
                assert_eq!(*channel.kind(), ChannelKind::AgentConnect);
                let reason = OpenFailure::ADMINISTRATIVELY_PROHIBITED;
                let refused = connection.reject_channel(channel, reason, "");
                refused.expect("in time");
                return;
            }
            ClientEvent::Shared(Event::ChannelClosed(_)) => panic!("nobody asked for the agent"),
            _ => {}
        }
    }
}

fn keystrokes_are_obscured(pair: Pair) {
    let scene = Scene::new(pair);
    // OpenSSH does so by itself.
    let login = match pair.client {
        Side::Ours => obscuring(&scene.login, "interval:20"),
        _ => scene.login.clone(),
    };
    let report = typing(&scene, &login);
    if pair.client != Side::Ours {
        let (_, count) = report.split_once(": stopping: ").expect(&report);
        let (_, count) = count.split_once('(').expect(&report);
        let (count, _) = count.split_once(" chaff packets sent)").expect(&report);
        assert!(count.parse::<u32>().expect("a count") > 20, "{report}");
    }
}

/// Nor does a ping go out behind `KEXINIT`. The client alone comes to its limit, and the sooner for
/// all that it sends in between.
fn keystrokes_are_obscured_amid_rekeys(pair: Pair) {
    let mut scene = Scene::new(pair);
    scene.login = scene.login.option("RekeyLimit", "512");
    let line = match pair.client {
        Side::Ours => "kex: algorithm",
        _ => "SSH2_MSG_NEWKEYS sent",
    };
    let [plain, obscured] = ["no", "interval:20"].map(|timing| {
        let report = typing(&scene, &obscuring(&scene.login, timing));
        report.matches(line).count()
    });
    let told = format!("{plain} key exchanges, obscured {obscured}");
    assert!(plain > 3 && obscured > plain + plain / 2, "{told}");
}

fn obscuring(login: &Login, timing: &str) -> Login {
    login.clone().option("ObscureKeystrokeTiming", timing)
}

/// Types at a shell, one key at a time, and gives what the client told.
fn typing(scene: &Scene, login: &Login) -> String {
    let file = scene.dir.file("report");
    let _ = fs::remove_file(&file);
    let login = login.clone().flag("-tt").flag("-vvv").flag("-E");
    let login = login.flag(&file.display().to_string());
    let mut terminal = login.on_terminal("exec sh", 24, 80);
    let mut type_slowly = |keys: &str, answer: &str| {
        for key in keys.chars() {
            terminal.type_keys(key.encode_utf8(&mut [0; 4]));
            thread::sleep(Duration::from_millis(70));
        }
        terminal.expect(answer);
    };
    type_slowly("PS1=pr; PS1=${PS1}ompt\r", "prompt");
    for n in 0..2 {
        type_slowly(
            &format!("echo $(({n}+1000))\r"),
            &format!("{}\r\n", n + 1000),
        );
    }
    type_slowly("tr a-z A-Z\r", "\r\n");
    type_slowly("some words of a line\r", "SOME WORDS OF A LINE");
    type_slowly("\x04", "prompt");
    // The chaff goes on for a while.
    thread::sleep(Duration::from_millis(500));
    terminal.type_keys("exit 7\r");
    let (status, screen) = terminal.wait();
    let report = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(status.code(), Some(7), "{screen}\n{report}");
    report
}

/// A host with two keys, of which one is known: the other is known after the first session.
fn other_host_key_is_learned(pair: Pair) {
    let mut keys = Vec::new();
    let scene = Scene::with(pair, |dir, mut setup| {
        for key_type in KeyType::ALL {
            keys.push(dir.key(key_type.name(), key_type, ""));
            setup = setup.host_key(&keys[keys.len() - 1]);
        }
        setup
    });
    let port = scene.server.port;
    let file = |name: &str| {
        let known = format!("[127.0.0.1]:{port} {}\n", keys[0].line);
        scene.dir.write(name, known)
    };
    for update in ["no", "yes"] {
        let file = file(update);
        let login = scene.login.clone().known_hosts(&file);
        let mut session = login.clone().option("UpdateHostKeys", update).start("cat");
        let lines = || fs::read_to_string(&file).unwrap_or_default();
        let other = login.option("HostKeyAlgorithms", KeyType::EcdsaP256.name());
        if update == "no" {
            thread::sleep(Duration::from_secs(1));
            assert!(session.is_running(), "{}", session.stderr_so_far());
            assert!(!lines().contains(&keys[1].line), "{}", lines());
            other.run("echo in").failed(255);
        } else {
            wait_until("the other key is known", PATIENCE, || {
                lines().contains(&keys[1].line)
            });
            assert!(lines().contains(&keys[0].line), "{}", lines());
            assert_eq!(other.run("echo in").ok(), "in\n");
        }
        session.wait(PATIENCE).ok();
    }
}
