//! The example server, started as a program and talked to over TCP: logins, commands, terminals, limits, and what is left behind.
#![cfg(unix)]

mod server_session;

use std::collections::HashMap;
use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ssh_io_std::{Clock, Driver, OsRandom};
use ssh_proto::crypto::{SigningKey, rustcrypto};
use ssh_proto::keys::PublicKeyLine;
use ssh_proto::{
    ChannelKind, ChannelRequest, ClientConfig, ClientConnection, ClientEvent, Connection, Event,
    GlobalRequest, OpenFailure,
};

use server_session::{
    Client, Credential, Job, Outcome, Server, Step, TempFile, env, eventually, exec, new_key, pty,
};

#[test]
fn a_command_has_its_output_errors_and_status() {
    let server = Server::with_password(&["--exec"]);
    let mut client = server.login();
    let outcome = client.run(vec![exec("echo out; echo err >&2; exit 7")]);
    let expected = Outcome {
        granted: vec![true],
        output: b"out\n".to_vec(),
        errors: b"err\n".to_vec(),
        status: Some(7),
        signal: None,
        closed: true,
    };
    assert_eq!(outcome, expected);
}

#[test]
fn a_shell_reads_its_input_to_the_end() {
    let server = Server::with_password(&["--exec"]);
    let job = Job {
        requests: vec![ChannelRequest::Shell],
        input: b"echo $((6*7))\nexit 3\n".to_vec(),
        ..Job::default()
    };
    let outcome = server.login().run_all(vec![job]).remove(0);
    assert!(outcome.text().ends_with("42\n"), "{outcome:?}");
    assert_eq!(outcome.status, Some(3));
}

#[test]
fn eight_mebibytes_come_back_through_a_rekeying_connection() {
    let server = Server::with_password(&["--exec", "--rekey-bytes", "1000000"]);
    let input: Vec<u8> = (0..8u32 << 18).flat_map(u32::to_le_bytes).collect();
    let job = Job {
        requests: vec![exec("cat")],
        input: input.clone(),
        ..Job::default()
    };
    let outcome = server.login().run_all(vec![job]).remove(0);
    assert!(outcome.output == input, "{} bytes", outcome.output.len());
    assert_eq!(outcome.status, Some(0));
    // One at first, then one for about each million bytes: what is on its way when an exchange
    // begins makes the stretches longer.
    let exchanges = server.stop().matches("keys: ").count();
    assert!((5..=12).contains(&exchanges), "{exchanges}");
}

#[test]
fn a_program_that_needs_no_input_does_not_wait_for_its_end() {
    let server = Server::with_password(&["--exec"]);
    let job = Job {
        requests: vec![exec("head -c 5")],
        input: vec![b'x'; 16 << 20],
        ..Job::default()
    };
    let outcome = server.login().run_all(vec![job]).remove(0);
    assert_eq!((outcome.text(), outcome.status), ("xxxxx", Some(0)));
}

#[test]
fn a_terminal_has_its_size_modes_and_name_and_takes_keys() {
    let server = Server::with_password(&["--exec", "--pty"]);
    // Bash can miss an interrupt between two commands: ^C is for `cat`, once it has answered.
    let script = "stty size; echo $TERM $SSH_TTY; tty; stty -a; \
                  trap 'set -- $(stty size); echo $1 $2; exec cat' WINCH; echo on; \
                  while :; do sleep 0.01; done";
    let resize = ChannelRequest::WindowChange {
        columns: 60,
        rows: 20,
        width: 0,
        height: 0,
    };
    let job = Job {
        requests: vec![pty(&[(53, 0), (72, 0), (1, 3)]), exec(script)],
        keep_open: true,
        steps: vec![
            ("\non\n", Step::Request(resize)),
            ("\n20 60\n", Step::Type(b"cat\n")),
            ("\ncat\n", Step::Type(b"\x03")),
        ],
        ..Job::default()
    };
    let outcome = server.login().run_all(vec![job]).remove(0);
    let mut lines = outcome.text().lines();
    assert_eq!(lines.next(), Some("33 101"));
    let (term, name) = lines.next().unwrap().split_once(' ').unwrap();
    assert_eq!((term, Some(name)), ("vt220", lines.next()));
    assert!(outcome.text().contains("-echo "), "{}", outcome.text());
    assert_eq!(outcome.granted, [true, true]);
    assert_eq!(
        outcome.signal.map(|signal| signal.signal),
        Some("INT".into())
    );
    assert!(outcome.errors.is_empty());
}

#[test]
fn a_signal_reaches_the_command() {
    let server = Server::with_password(&["--exec"]);
    for (name, script) in [
        ("TERM", "echo up; exec sleep 100"),
        ("KILL", "echo up; read x"),
    ] {
        let signal = ChannelRequest::Signal(name.into());
        let job = Job {
            requests: vec![exec(script)],
            keep_open: true,
            steps: vec![("up", Step::Request(signal))],
            ..Job::default()
        };
        let outcome = server.login().run_all(vec![job]).remove(0);
        let signal = outcome.signal.unwrap();
        assert_eq!(
            (&signal.signal[..], signal.core_dumped),
            (name.as_bytes(), false)
        );
        assert_eq!(outcome.status, None);
    }
}

#[test]
fn the_environment_is_clean_but_for_what_is_allowed() {
    let server = Server::with_password(&["--exec", "--env", "FOO_*"]);
    let outcome = server.login().run(vec![
        env("LC_TEST", "1"),
        env("LANG", "xx"),
        env("FOO_BAR", "2"),
        env("LD_PRELOAD", "3"),
        env("PATHS", "4"),
        exec("/usr/bin/env"),
    ]);
    assert_eq!(outcome.granted, [true, true, true, false, false, true]);
    let has = |line: &str| outcome.text().lines().any(|l| l.starts_with(line));
    assert!(has("LC_TEST=1") && has("LANG=xx") && has("FOO_BAR=2") && has("USER=me"));
    assert!(has("SSH_CONNECTION=127.0.0.1 ") && has("HOME=") && has("PATH="));
    assert!(!has("LD_PRELOAD") && !has("PATHS") && !has("SECRET_OF_THE_SERVER"));
}

#[test]
fn sixty_sessions_in_turn_and_sixteen_at_once() {
    let server = Server::with_password(&["--exec"]);
    let mut client = server.login();
    for number in 0..60u32 {
        let outcome = client.run(vec![exec(&format!("echo {number}; exit {number}"))]);
        assert_eq!(outcome.text(), format!("{number}\n"));
        assert_eq!(outcome.status, Some(number));
    }
    // All of them have to have started for any of them to end.
    let meeting = TempFile::new("meeting", "");
    let jobs = (0..16).map(|number| Job {
        requests: vec![exec(&format!(
            "echo >> {0}; until test $(wc -l < {0}) -ge 16; do sleep 0.05; done; cat; exit {number}",
            meeting.path()
        ))],
        input: vec![number; 300_000],
        ..Job::default()
    });
    let outcomes = client.run_all(jobs.collect());
    for (number, outcome) in (0..).zip(outcomes) {
        assert_eq!(outcome.status, Some(u32::from(number)));
        assert!(outcome.output == [number; 300_000]);
    }
}

#[test]
fn no_more_sessions_than_allowed() {
    let server = Server::with_password(&["--exec", "--max-sessions", "1"]);
    let mut client = server.login();
    let connection = client.connection();
    connection.open_channel(&ChannelKind::Session).unwrap();
    connection.open_channel(&ChannelKind::Session).unwrap();
    let mut opened = 0;
    loop {
        match client.driver.next_event().unwrap().unwrap() {
            ClientEvent::Shared(Event::ChannelOpened(_)) => opened += 1,
            ClientEvent::Shared(Event::ChannelOpenFailed { .. }) => break,
            _ => {}
        }
    }
    assert_eq!(opened, 1);
}

#[test]
fn what_is_not_asked_for_on_the_command_line_is_refused() {
    let server = Server::with_password(&[]);
    let mut client = server.login();
    for request in [
        exec("echo no"),
        ChannelRequest::Shell,
        ChannelRequest::Subsystem("sftp".into()),
        pty(&[]),
    ] {
        let outcome = client.run(vec![request]);
        assert_eq!(outcome.granted, [false]);
        assert!(outcome.output.is_empty());
    }
}

#[test]
fn other_channels_and_global_requests_are_refused_with_their_reasons() {
    let server = Server::with_password(&["--allow-all"]);
    let mut client = server.login();
    let connection = client.connection();
    let direct = ChannelKind::DirectTcpip {
        host: "127.0.0.1".into(),
        // Nobody listens there.
        port: 1,
        originator_address: "127.0.0.1".into(),
        originator_port: 1,
    };
    let unknown = ChannelKind::Unknown {
        name: "frob@example.com".into(),
        body: "".into(),
    };
    let direct = connection.open_channel(&direct).unwrap();
    let unknown = connection.open_channel(&unknown).unwrap();
    let request = GlobalRequest::Unknown {
        name: "frob@example.com".into(),
        body: "".into(),
    };
    connection.global_request(&request, true).unwrap();
    let (mut reasons, mut refused) = (HashMap::new(), 0);
    while reasons.len() + refused < 3 {
        match client.driver.next_event().unwrap().unwrap() {
            ClientEvent::Shared(Event::ChannelOpenFailed {
                channel, reason, ..
            }) => drop(reasons.insert(channel, reason)),
            ClientEvent::Shared(Event::GlobalReply { result, .. }) => {
                assert!(result.is_err());
                refused += 1;
            }
            _ => {}
        }
    }
    assert_eq!(reasons[&direct], OpenFailure::CONNECT_FAILED);
    assert_eq!(reasons[&unknown], OpenFailure::UNKNOWN_CHANNEL_TYPE);
}

#[test]
fn a_wrong_password_or_user_is_denied() {
    let server = Server::with_password(&["--exec", "--max-auth", "2"]);
    for (user, passwords) in [("me", &["wrong", ""][..]), ("you", &["right"])] {
        let credentials: Vec<_> = passwords.iter().map(|p| Credential::Password(p)).collect();
        assert!(Client::connect(&server, user, &credentials).is_err());
    }
    let second = [Credential::Password("wrong"), Credential::Password("right")];
    assert!(Client::connect(&server, "me", &second).is_ok());
    let third = ["a", "b", "right"].map(Credential::Password);
    assert!(Client::connect(&server, "me", &third).is_err());
}

#[test]
fn nobody_logs_in_where_no_login_is_configured() {
    let server = Server::start(&["--allow-all"]);
    let (key, _, _) = new_key();
    let credentials = [Credential::Password(""), Credential::Key(&*key)];
    assert!(Client::connect(&server, "root", &credentials).is_err());
    assert!(server.stop().contains("nobody can log in"));
}

#[test]
fn a_key_alone_does_not_make_anybody_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (key, line, _) = new_key();
    let file = TempFile::new("keys-of-anybody", &line);
    let server = Server::start(&["--authorized-keys", file.path(), "--allow-all"]);
    let login = |user| Client::connect(&server, user, &[Credential::Key(&*key)]);
    let outcome = login("root").unwrap().run(vec![exec("id -u")]);
    assert_eq!(outcome.text(), "0\n");
    let mut stranger = login("no-such-account").unwrap();
    while !stranger.driver.is_finished() {
        stranger.driver.next_event().unwrap();
    }
    let log = server.stop();
    let expected = "cannot become \"no-such-account\": there is no such account";
    assert!(log.contains(expected), "{log}");
}

#[test]
fn keys_log_in_with_the_options_of_their_lines() {
    let (plain, plain_line, _) = new_key();
    let (forced, forced_line, _) = new_key();
    let (unclear, unclear_line, _) = new_key();
    let (stranger, ..) = new_key();
    let file = TempFile::new(
        "keys-of-me",
        &format!(
            "# keys\n\n{plain_line}\n\
             restrict,environment=\"WHO=them\",command=\"echo $WHO $SSH_ORIGINAL_COMMAND\" {forced_line}\n\
             frob=\"0\" {unclear_line}\n"
        ),
    );
    let pattern = file.path().replace("keys-of-me", "keys-of-%u");
    // Root has no such account, and would take nobody for itself who has but a key.
    let server = Server::with_password(&["--authorized-keys", &pattern, "--allow-all"]);
    let login =
        |user, key: &dyn SigningKey| Client::connect(&server, user, &[Credential::Key(key)]);

    let outcome = login("me", &*plain)
        .unwrap()
        .run(vec![pty(&[]), exec("echo $USER")]);
    assert_eq!(outcome.granted, [true, true]);
    assert_eq!(outcome.text(), "me\r\n");

    let outcome =
        login("me", &*forced)
            .unwrap()
            .run(vec![pty(&[]), env("BASH_ENV", "x"), exec("rm -rf")]);
    assert_eq!(outcome.granted, [false, false, true]);
    assert_eq!(outcome.text(), "them rm -rf\n");

    assert!(login("me", &*unclear).is_err());
    assert!(login("me", &*stranger).is_err());
    assert!(login("you", &*plain).is_err());
    assert!(login("/../me", &*plain).is_err());

    // Read again at every attempt.
    fs::write(file.path(), forced_line).unwrap();
    assert!(login("me", &*plain).is_err());
    assert!(server.stop().contains("option \"frob\" is not understood"));
}

#[test]
fn a_forced_command_runs_instead_of_everything() {
    let server = Server::with_password(&["--force-command", "echo [$SSH_ORIGINAL_COMMAND]"]);
    let mut client = server.login();
    assert_eq!(client.run(vec![exec("id")]).text(), "[id]\n");
    assert_eq!(client.run(vec![ChannelRequest::Shell]).text(), "[]\n");
}

#[test]
fn a_host_key_file_and_lists_of_algorithms_are_what_is_negotiated() {
    let (_, line, file) = new_key();
    let (file, banner) = (
        TempFile::new("host", &file),
        TempFile::new("banner", "Hello.\n"),
    );
    let server = Server::with_password(&[
        "--host-key",
        file.path(),
        "--banner",
        banner.path(),
        "--version",
        "Example_1 with comment",
        "--ciphers",
        "aes256-ctr",
        "--macs",
        "^hmac-sha2-512",
        "--kex",
        "-curve25519*",
    ]);
    let config = ClientConfig::builder(rustcrypto::provider())
        .build()
        .unwrap();
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_nonblocking(true).unwrap();
    let clock = Clock::new();
    let connection = ClientConnection::new(&config, "me", Box::new(OsRandom), clock.now());
    let mut driver = Driver::new(connection.unwrap(), stream, clock);
    let mut seen = Vec::new();
    loop {
        match driver.next_event().unwrap().unwrap() {
            ClientEvent::Shared(Event::Identified(peer)) => seen.push(peer.to_string()),
            ClientEvent::HostKey(check) => {
                let key = PublicKeyLine::parse(line.as_bytes()).unwrap().key;
                assert_eq!(*check.key(), key);
                driver.connection_mut().accept_host_key(check).unwrap();
            }
            ClientEvent::Shared(Event::KeysChanged(keys)) => {
                assert!(!keys.kex.starts_with("curve25519"), "{}", keys.kex);
                seen.push(keys.client_to_server.cipher.into());
            }
            ClientEvent::Auth(turn) => driver.connection_mut().auth_none(turn).unwrap(),
            ClientEvent::Banner(banner) => {
                seen.push(banner.display().to_string());
                break;
            }
            _ => {}
        }
    }
    let expected = ["SSH-2.0-Example_1 with comment", "aes256-ctr", "Hello.\n"];
    assert_eq!(seen, expected);
}

#[test]
fn bad_command_lines_are_refused_by_name() {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/server");
    for (args, message) in [
        (
            &["--listen", "127.0.0.1:0", "--frob"][..],
            "unknown flag --frob",
        ),
        (
            &["--listen", "127.0.0.1:0", "--sftp"],
            "--sftp is not supported yet",
        ),
        (
            &["--listen", "127.0.0.1:0", "--kex", "rot13"],
            "unknown algorithm: rot13",
        ),
        (
            &["--listen", "127.0.0.1:0", "--host-key", "/no/such"],
            "/no/such",
        ),
    ] {
        let output = Command::new(&path).args(args).output().unwrap();
        assert!(!output.status.success());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(message), "{errors}");
        assert!(output.stdout.is_empty());
    }
}

/// What the kernel tells of processes is read from `/proc`.
#[cfg(target_os = "linux")]
#[test]
fn a_client_that_is_gone_leaves_nothing_behind() {
    let server = Server::with_password(&["--allow-all"]);
    let before = (server.descriptors(), server.dependants());
    for requests in [
        vec![exec("sleep 1000; true")],
        vec![exec("yes")],
        vec![pty(&[]), exec("sleep 1000")],
        vec![pty(&[]), ChannelRequest::Shell],
        vec![pty(&[])],
    ] {
        let mut client = server.login();
        let channel = client
            .connection()
            .open_channel(&ChannelKind::Session)
            .unwrap();
        let mut granted = 0;
        while granted < requests.len() {
            match client.driver.next_event().unwrap().unwrap() {
                ClientEvent::Shared(Event::ChannelOpened(_)) => {
                    for request in &requests {
                        client.connection().request(channel, request, true).unwrap();
                    }
                }
                ClientEvent::Shared(Event::RequestReply { success: true, .. }) => granted += 1,
                _ => {}
            }
        }
        assert_ne!((server.descriptors(), server.dependants()), before);
    }
    eventually("all is given back", || {
        (server.descriptors(), server.dependants()) == before
    });
}

/// As before, but the client is there and does not read.
#[cfg(target_os = "linux")]
#[test]
fn output_that_nobody_reads_waits_in_its_program() {
    let server = Server::with_password(&["--exec"]);
    let mut client = server.login();
    let channel = client
        .connection()
        .open_channel(&ChannelKind::Session)
        .unwrap();
    loop {
        match client.driver.next_event().unwrap().unwrap() {
            ClientEvent::Shared(Event::ChannelOpened(_)) => {
                client
                    .connection()
                    .request(channel, &exec("yes"), true)
                    .unwrap();
            }
            ClientEvent::Shared(Event::Readable(_)) => break,
            _ => {}
        }
    }
    // Everything is received that the window allows, and nothing is read.
    let deadline = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < deadline {
        while client.driver.poll_event().is_some() {}
        client.driver.transmit();
        client
            .driver
            .wait(Some(Duration::from_millis(100)))
            .unwrap();
        client.driver.drive();
    }
    let waiting = client.driver.connection().readable_bytes(channel).unwrap();
    assert!((1..=16 << 20).contains(&waiting), "{waiting}");
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let memory = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let memory: usize = memory
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(memory < 16 << 10, "{memory} kB");
    // Nor does it burn time meanwhile.
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
        let fields: Vec<&str> = stat.split_whitespace().collect();
        fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap()
    };
    let start = ticks();
    thread::sleep(Duration::from_millis(500));
    assert!(ticks() - start < 10);
}
