//! The examples that show a whole session, as programs: what they print and how they end.
#![cfg(unix)]

mod programs;

use programs::{Folder, PASSWORD, Server, USER, example, run, stderr, stdout};

#[test]
fn a_session_shows_what_was_negotiated_and_the_output() {
    let output = run(example("session").arg("--once"));
    assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
    let text = stdout(&output);
    let suite = "chacha20-poly1305@openssh.com, MAC: that of the cipher, compression: none";
    for line in [
        "server          SSH-2.0-ssh-proto_0.1.0",
        "key exchange    mlkem768x25519-sha256",
        "host key        ssh-ed25519 SHA256:",
        &format!("to the server   {suite}"),
        &format!("to the client   {suite}"),
        "strict          true",
        "post-quantum    true",
        "authenticated   ferris by password",
        "output          Hello ferris, you asked for greet. All I can do is greet.",
        "exit status     7",
    ] {
        let found = text.lines().any(|printed| printed.starts_with(line));
        assert!(found, "{line} is missing in:\n{text}");
    }
}

#[test]
fn a_session_tells_how_to_log_in() {
    // Its input is at its end, as if Enter were pressed.
    let output = run(&mut example("session"));
    let text = stdout(&output);
    for part in [
        "This server greets and does nothing else.",
        "ssh -o UserKnownHostsFile=/dev/null -p 2222 ferris@127.0.0.1",
        "password: crab, host key: SHA256:",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    assert!(output.status.success());
}

#[test]
fn the_quickstart_runs_a_command() {
    let folder = Folder::new();
    let key = folder.key("host_key", "ssh-ed25519");
    let server = Server::start(&["--host-key", &key.path]);
    let quickstart = |fingerprint: &str, password: &str| {
        run(example("quickstart_std")
            .args([&server.address, fingerprint, USER, password])
            .arg("echo out; echo err >&2; exit 3"))
    };
    let output = quickstart(&key.fingerprint, PASSWORD);
    assert_eq!(stdout(&output), "out\nexit: Status(3)\n");
    assert_eq!((stderr(&output), output.status.code()), ("err\n", Some(0)));

    let other = folder.key("other", "ssh-ed25519").fingerprint;
    for (fingerprint, password) in [(&*other, PASSWORD), (&*key.fingerprint, "wrong")] {
        let output = quickstart(fingerprint, password);
        assert_eq!((stdout(&output), output.status.code()), ("", Some(1)));
        assert!(stderr(&output).starts_with("Error: "), "{output:?}");
    }
    let output = run(&mut example("quickstart_std"));
    assert!(stderr(&output).contains("usage: HOST:PORT"), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn usage_is_told() {
    for (name, part) in [
        ("server", "--listen ADDR:PORT"),
        ("client", "PubkeyAccepted"),
    ] {
        let output = run(example(name).arg("--help"));
        assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
        let text = stdout(&output);
        assert!(text.starts_with("usage: ") && text.contains(part), "{text}");
    }
}
