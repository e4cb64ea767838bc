//! How the example client logs in: prompts, several steps, an agent's keys, and the agent forwarded.
#![cfg(unix)]

mod client_server;
mod programs;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use client_server::{Step, listen};
use programs::{Folder, KeyPair, PASSWORD, client, example, run, stderr, stdout};
use ssh_io_std::{Clock, OsRandom, read_signing_key};
use ssh_proto::agent::{AgentServer, AgentServerEvent, KeyConstraints, Keyring, SessionBinding};
use ssh_proto::crypto::{CertificateBuilder, CertifiedKey, PrivateKey, PublicKey, rustcrypto};
use ssh_proto::keys::{Comment, PublicKeyLine};
use ssh_proto::{Prompt, Prompts};

/// A folder with a program that answers prompts, and writes them down.
struct Setup {
    folder: Folder,
}

impl Setup {
    fn new() -> Self {
        let folder = Folder::new();
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$1\" >>'{}'\ncase $1 in\n*first*) echo one;;\n*second*) \
             echo two;;\n*assword*) echo {PASSWORD};;\n*) exit 1;;\nesac\n",
            folder.path("asked")
        );
        let path = folder.write("askpass", &script);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder }
    }

    /// Runs a command that ends with status 3, asking by the program.
    fn run(&self, port: u16, flags: &[&str]) -> Output {
        let port = format!("-p{port}");
        let flags = [&["-Fnone", "-v", &port], flags, &["me@127.0.0.1"]].concat();
        let askpass = format!("SSH_ASKPASS={}", self.folder.path("askpass"));
        let mut command = client(&self.folder, &[&flags[..], &["status 3"]].concat());
        // Without the descriptor that has the password.
        let words: Vec<_> = command.get_args().skip(2).map(ToOwned::to_owned).collect();
        let mut client = Command::new("env");
        client
            .args([&askpass, "SSH_ASKPASS_REQUIRE=force"])
            .args(words)
            .env("HOME", "/")
            .env_remove("SSH_AUTH_SOCK");
        command = client;
        run(&mut command)
    }

    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.folder.path("asked")).unwrap_or_default();
        let _ = fs::remove_file(self.folder.path("asked"));
        asked.lines().map(str::to_owned).collect()
    }
}

fn rounds(rounds: &[&[(&str, bool, &'static str)]]) -> Step {
    let round = |prompts: &&[(&str, bool, &'static str)]| {
        let texts = prompts
            .iter()
            .map(|(text, echo, _)| Prompt::new(*text, *echo));
        let asked = Prompts::new("Title", "Two\nlines", texts.collect::<Vec<_>>());
        (asked, prompts.iter().map(|(.., answer)| *answer).collect())
    };
    Step::Prompts(rounds.iter().map(round).collect())
}

fn public(pair: &KeyPair) -> PublicKey {
    PublicKeyLine::parse(pair.line.as_bytes()).unwrap().key
}

#[test]
fn prompts_are_shown_as_the_servers_and_answered() {
    let setup = Setup::new();
    let rounds = rounds(&[
        &[("first: ", false, "one"), ("second: ", true, "two")],
        &[],
        &[("Password: ", false, PASSWORD)],
    ]);
    let port = listen(&[rounds], &[]);
    let output = setup.run(port, &[]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let asked = ["first", "second", "Password"].map(|text| format!("(me@127.0.0.1) {text}: "));
    assert_eq!(setup.asked(), asked);
    let log = stderr(&output);
    assert!(log.contains("using \"keyboard-interactive\"."), "{log}");
    assert!(log.contains("Title\r\nTwo\r\nlines\r\n"), "{log}");

    let output = setup.run(port, &["-oBatchMode=yes"]);
    assert_eq!(output.status.code(), Some(255));
    let output = setup.run(port, &["-oKbdInteractiveAuthentication=no"]);
    let denied = "Permission denied (keyboard-interactive).";
    assert!(stderr(&output).contains(denied), "{output:?}");
    let output = setup.run(port, &["-oChallengeResponseAuthentication=no"]);
    assert!(stderr(&output).contains(denied), "{output:?}");
    assert!(setup.asked().is_empty());
}

#[test]
fn the_password_of_a_descriptor_is_good_for_one_prompt() {
    let folder = Folder::new();
    let port = listen(&[rounds(&[&[("Password: ", false, PASSWORD)]])], &[]);
    let port = format!("-p{port}");
    let flags = ["-Fnone", "-v", &port, "me@127.0.0.1", "status 3"];
    let output = run(&mut client(&folder, &flags));
    assert_eq!(output.status.code(), Some(3), "{output:?}");

    let wrong = listen(&[rounds(&[&[("Password: ", false, "other")]])], &[]);
    let port = format!("-p{wrong}");
    let flags = ["-Fnone", "-v", &port, "me@127.0.0.1", "status 3"];
    let output = run(&mut client(&folder, &flags));
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    let next = "Next authentication method: keyboard-interactive";
    assert_eq!(stderr(&output).matches(next).count(), 1, "{output:?}");
}

#[test]
fn wrong_answers_are_tried_as_often_as_is_wanted() {
    let setup = Setup::new();
    let wrong = listen(&[rounds(&[&[("first: ", false, "other")]])], &[]);
    let output = setup.run(wrong, &["-oNumberOfPasswordPrompts=2"]);
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(setup.asked().len(), 2);
    // One that refuses without a question is not asked again.
    let silent = listen(&[rounds(&[])], &[]);
    let output = setup.run(silent, &[]);
    assert_eq!(output.status.code(), Some(255));
    let next = "Next authentication method: keyboard-interactive";
    assert_eq!(stderr(&output).matches(next).count(), 1, "{output:?}");
    // Nor is one that the user does not answer taken for an answer.
    let odd = listen(&[rounds(&[&[("third: ", false, "")]])], &[]);
    let output = setup.run(odd, &["-oNumberOfPasswordPrompts=1"]);
    assert_eq!(output.status.code(), Some(255));
}

#[test]
fn steps_follow_each_other_until_the_server_is_content() {
    let setup = Setup::new();
    let (one, two) = (
        setup.folder.key("one", "ssh-ed25519"),
        setup.folder.key("two", "ssh-ed25519"),
    );
    let steps = [
        Step::Key(public(&two)),
        rounds(&[&[("first: ", false, "one")]]),
        Step::Key(public(&one)),
        Step::Password(PASSWORD),
    ];
    let port = listen(&steps, &[]);
    let output = setup.run(port, &["-i", &one.path, "-i", &two.path]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(stderr(&output).matches("partial success").count(), 3);
    assert_eq!(
        setup.asked(),
        ["(me@127.0.0.1) first: ", "me@127.0.0.1's password: "]
    );
}

#[test]
fn other_keys_of_the_host_are_learned_where_that_is_wanted() {
    let setup = Setup::new();
    let types = ["ssh-ed25519", "ecdsa-sha2-nistp256"];
    let port = listen(&[Step::Password(PASSWORD)], &types);
    let file = setup.folder.path("known_hosts");
    let known = |flag: &str| {
        let hosts = format!("-oUserKnownHostsFile={file}");
        let flags = [&*hosts, "-oStrictHostKeyChecking=accept-new", flag];
        let port = format!("-p{port}");
        // The flags that all tests have come later, and the first one counts.
        let mut command = Command::new(example("client").get_program());
        command.args(["-Fnone", "-q", &port]).args(flags);
        command.args(["-oGlobalKnownHostsFile=none", "me@127.0.0.1", "status 3"]);
        let askpass = setup.folder.path("askpass");
        command
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("HOME", "/");
        let output = run(&mut command);
        assert_eq!((stderr(&output), output.status.code()), ("", Some(3)));
        let text = fs::read_to_string(&file).unwrap();
        let types = text
            .lines()
            .map(|line| line.split(' ').nth(1).unwrap().to_owned());
        types.collect::<Vec<_>>()
    };
    // A file that is named for the occasion is left alone, but for the key that was shown.
    let shown = known("-q");
    assert_eq!(shown.len(), 1);
    assert_eq!(known("-oUpdateHostKeys=no"), shown);
    assert_eq!(known("-oUpdateHostKeys=ask"), shown, "nobody said yes");
    for _ in 0..2 {
        let mut all = known("-oUpdateHostKeys=yes");
        assert_eq!(all[0], shown[0]);
        all.sort();
        assert_eq!(all, ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    }
}

/// An agent with these keys: what it was bound to comes out.
fn agent(path: &str, keys: &[&KeyPair]) -> Receiver<SessionBinding> {
    let mut keyring = Keyring::new(rustcrypto::provider());
    let clock = Clock::new();
    for key in keys {
        let private = PrivateKey::from_openssh(&fs::read(&key.path).unwrap()).unwrap();
        let signing = rustcrypto::provider().signing_key(&private).unwrap();
        let comment = Comment::new(key.fingerprint.as_bytes());
        keyring
            .add(clock.now(), signing, comment, KeyConstraints::default())
            .unwrap();
    }
    serve_agent(path, keyring, clock)
}

fn serve_agent(path: &str, keyring: Keyring, clock: Clock) -> Receiver<SessionBinding> {
    let keyring = Arc::new(Mutex::new(keyring));
    let listener = UnixListener::bind(path).unwrap();
    let (told, bindings) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (keyring, told) = (Arc::clone(&keyring), told.clone());
            thread::spawn(move || answer(stream.unwrap(), &keyring, clock, &told));
        }
    });
    bindings
}

fn answer(
    mut stream: UnixStream,
    keyring: &Mutex<Keyring>,
    clock: Clock,
    told: &Sender<SessionBinding>,
) {
    let mut agent = AgentServer::new();
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        agent.handle_input(&piece[..count]);
        while let Some(event) = agent
            .poll_event(&mut keyring.lock().unwrap(), clock.now())
            .unwrap()
        {
            if let AgentServerEvent::SessionBound(binding) = event {
                told.send(binding).unwrap();
            }
        }
        stream.write_all(agent.output()).unwrap();
        agent.advance_output(agent.output().len());
    }
}

#[test]
fn keys_of_the_agent_log_in() {
    let setup = Setup::new();
    let folder = &setup.folder;
    let [other, right, named] =
        ["other", "right", "named"].map(|name| folder.key(name, "ssh-ed25519"));
    let path = folder.path("agent");
    let bindings = agent(&path, &[&other, &right]);
    let port = listen(&[Step::Key(public(&right))], &[]);
    let socket = format!("-oIdentityAgent={path}");
    let offered = |output: &Output| -> Vec<String> {
        let lines = stderr(output).lines();
        let offers = lines.filter_map(|line| line.split_once("Offering public key: "));
        offers.map(|(_, key)| key.trim().to_owned()).collect()
    };
    let as_agents = |key: &KeyPair| format!("{0} ssh-ed25519 {0} agent", key.fingerprint);

    let output = setup.run(port, &[&socket]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(offered(&output), [as_agents(&other), as_agents(&right)]);
    let binding = bindings.try_recv().unwrap();
    assert!(!binding.is_forwarding && !binding.session_id.is_empty());
    assert!(bindings.try_recv().is_err());

    // A file that is named comes first if the agent has its key, also by its public half alone.
    folder.write("right.pub", &right.line);
    fs::remove_file(&right.path).unwrap();
    let output = setup.run(port, &[&socket, "-i", &named.path, "-i", &right.path]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let file = format!("{} ssh-ed25519 {} agent", right.path, right.fingerprint);
    assert_eq!(offered(&output), [&*file]);

    let only = "-oIdentitiesOnly=yes";
    let output = setup.run(port, &[&socket, only, "-i", &named.path]);
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    let file = format!("{} ssh-ed25519 {}", named.path, named.fingerprint);
    assert_eq!(offered(&output), [file]);
    let output = setup.run(port, &[&socket, only, "-i", &folder.path("right.pub")]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");

    for none in [
        "-oIdentityAgent=none",
        "-oPubkeyAuthentication=no",
        "-oIdentityAgent=/missing",
    ] {
        let output = setup.run(port, &[none, &socket]);
        assert_eq!(output.status.code(), Some(255), "{output:?}");
        assert!(offered(&output).is_empty());
    }
}

#[test]
fn certificates_go_with_the_keys_of_the_agent() {
    let setup = Setup::new();
    let folder = &setup.folder;
    let [authority, key] = ["authority", "key"].map(|name| folder.key(name, "ssh-ed25519"));
    let provider = rustcrypto::provider();
    let authority = read_signing_key(&authority.path, None, &provider).unwrap();
    let certificate = CertificateBuilder::user(public(&key), "").principal("me");
    let certificate = certificate.sign(&*authority, "ssh-ed25519", &mut OsRandom);
    let certificate = certificate.unwrap();
    let certified = certificate.as_public_key().clone();
    let port = listen(&[Step::Key(certified.clone())], &[]);

    // The agent has the key, and a file the certificate.
    let path = folder.path("agent");
    let _bindings = agent(&path, &[&key]);
    let line = PublicKeyLine {
        key: certified,
        comment: Comment::default(),
    };
    let file = folder.write("certificate", &line.to_string());
    let socket = format!("-oIdentityAgent={path}");
    let named = format!("-oCertificateFile={file}");
    let output = setup.run(port, &[&socket]);
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    for flags in [
        &[&*socket, &named][..],
        &[&socket, &named, "-i", &key.path],
        &[&socket, "-i", &file],
    ] {
        let output = setup.run(port, flags);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
    }
    // The agent has both.
    let mut keyring = Keyring::new(provider.clone());
    let clock = Clock::new();
    let signing = read_signing_key(&key.path, None, &provider).unwrap();
    let signing = Arc::new(CertifiedKey::new(signing, certificate).unwrap());
    keyring
        .add(
            clock.now(),
            signing,
            Comment::default(),
            KeyConstraints::default(),
        )
        .unwrap();
    let path = folder.path("other_agent");
    let _bindings = serve_agent(&path, keyring, clock);
    let output = setup.run(port, &[&format!("-oIdentityAgent={path}")]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn the_agent_is_forwarded_where_that_is_asked_for() {
    let setup = Setup::new();
    let folder = &setup.folder;
    let (key, spare) = (
        folder.key("key", "ssh-ed25519"),
        folder.key("spare", "ssh-ed25519"),
    );
    let (path, spare_path) = (folder.path("agent"), folder.path("spare_agent"));
    let bindings = agent(&path, &[&key]);
    let _bindings = agent(&spare_path, &[&spare]);
    let port = listen(&[Step::Password(PASSWORD)], &[]);
    let port = format!("-p{port}");
    let said = |flags: &[&str]| {
        let flags = [&["-Fnone", "-q", &port], flags, &["me@127.0.0.1", "agent"]].concat();
        let mut command = client(folder, &flags);
        let output = run(command.env("SSH_AUTH_SOCK", &path));
        assert_eq!(stderr(&output), "");
        stdout(&output).to_owned()
    };
    // Whoever logs in by a password leaves it alone.
    let plain = "-oPubkeyAuthentication=no";
    for flags in [
        &[plain][..],
        &[plain, "-A", "-a"],
        &[plain, "-oForwardAgent=no", "-A", "-a"],
    ] {
        assert_eq!(said(flags), "none", "{flags:?}");
    }
    assert_eq!(said(&[plain, "-A", "-oIdentityAgent=none"]), "none");
    assert!(bindings.try_recv().is_err());
    for flags in [
        &[plain, "-A"][..],
        &[plain, "-aA"],
        &[plain, "-oForwardAgent=yes"],
    ] {
        assert_eq!(said(flags), key.fingerprint, "{flags:?}");
        assert!(bindings.try_recv().unwrap().is_forwarding);
    }
    let named = format!("-oForwardAgent={spare_path}");
    assert_eq!(said(&[plain, &named]), spare.fingerprint);
    assert_eq!(
        said(&[plain, "-oForwardAgent=$SSH_AUTH_SOCK"]),
        key.fingerprint
    );
    // One that is gone is a refusal, and no harm.
    assert_eq!(said(&[plain, "-oForwardAgent=/missing"]), "gone");
}

#[test]
fn nothing_is_forwarded_for_a_host_that_is_perhaps_another_one() {
    let setup = Setup::new();
    let folder = &setup.folder;
    let (key, other) = (
        folder.key("key", "ssh-ed25519"),
        folder.key("other", "ssh-ed25519"),
    );
    let path = folder.path("agent");
    let _bindings = agent(&path, &[&key]);
    let port = listen(&[Step::Key(public(&key))], &[]);
    let hosts = folder.write(
        "known_hosts",
        &format!("[127.0.0.1]:{port} {}\n", other.line),
    );
    let run = |flags: &[&str]| {
        let mut command = example("client");
        command.args([
            "-Fnone",
            "-q",
            "-A",
            "-X",
            "-D1080",
            "-oGlobalKnownHostsFile=none",
        ]);
        command.args([format!("-p{port}"), format!("-oUserKnownHostsFile={hosts}")]);
        command
            .args(["-oStrictHostKeyChecking=no"])
            .args(flags)
            .args(["me@127.0.0.1", "agent"]);
        command.env("SSH_AUTH_SOCK", &path).env("DISPLAY", ":99");
        run(&mut command)
    };
    let output = run(&[]);
    assert_eq!(stdout(&output), "none", "{output:?}");
    for what in ["Agent", "X11", "Port"] {
        let message = format!("{what} forwarding is disabled to avoid man-in-the-middle attacks.");
        assert!(stderr(&output).contains(&message), "{output:?}");
    }
    let output = run(&["-oExitOnForwardFailure=yes"]);
    assert_eq!((stdout(&output), output.status.code()), ("", Some(255)));
    fs::write(&hosts, "").unwrap();
    let output = run(&["-x", "-oClearAllForwardings=yes"]);
    assert_eq!((stdout(&output), stderr(&output)), (&*key.fingerprint, ""));
}
