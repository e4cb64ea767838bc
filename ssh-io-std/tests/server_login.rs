//! Logins to the example server: passwords that are asked for, several steps, and the conditions of keys.
#![cfg(unix)]
#![allow(
    dead_code,
    reason = "of what the tests of the server share, this needs a part"
)]

mod server_session;

use std::net::TcpStream;
use std::sync::Arc;

use ssh_proto::crypto::SigningKey;

use server_session::{Client, Credential, Server, TempFile, eventually, exec, new_key, pty};

/// A server that knows a password and these lines of keys.
fn server(name: &str, lines: &[&str], flags: &[&str]) -> (Server, TempFile) {
    let file = TempFile::new(name, &lines.join("\n"));
    let keys = ["--authorized-keys", file.path(), "--allow-all"];
    let server = Server::with_password(&[&keys, flags].concat());
    (server, file)
}

/// The methods that could have continued, if these credentials do not get in.
fn login(server: &Server, credentials: &[Credential<'_>]) -> Result<Client, String> {
    Client::connect(server, "me", credentials).map_err(|error| error.to_string())
}

fn refused(server: &Server, credentials: &[Credential<'_>]) -> String {
    login(server, credentials).map(|_| "logged in").unwrap_err()
}

#[test]
fn a_password_may_be_asked_for() {
    let server = Server::with_password(&["--exec"]);
    let mut client = login(&server, &[Credential::Answer("right")]).unwrap();
    assert_eq!(client.run(vec![exec("echo in")]).text(), "in\n");
    let methods = "password,keyboard-interactive";
    assert_eq!(refused(&server, &[Credential::Answer("wrong")]), methods);
    assert_eq!(refused(&server, &[Credential::None]), methods);
    let unknown = Client::connect(&server, "you", &[Credential::Answer("right")]);
    assert_eq!(unknown.map(|_| ()).unwrap_err().to_string(), methods);
    let second = [Credential::Answer("wrong"), Credential::Answer("right")];
    assert!(login(&server, &second).is_ok());
    let log = server.stop();
    assert!(
        log.contains("accepted: keyboard-interactive for \"me\""),
        "{log}"
    );
    assert!(
        log.contains("refused: keyboard-interactive for \"you\""),
        "{log}"
    );
}

#[test]
fn several_methods_are_passed_in_order() {
    let (key, line, _) = new_key();
    let lists = "publickey,password publickey,keyboard-interactive password,publickey";
    let flags = ["--auth-methods", lists, "--max-auth", "20"];
    let (server, _file) = server("steps", &[&line], &flags);
    let key = || Credential::Key(&*key);
    let (password, answer) = (
        || Credential::Password("right"),
        || Credential::Answer("right"),
    );
    for steps in [[key(), password()], [key(), answer()], [password(), key()]] {
        assert!(login(&server, &steps).is_ok());
    }
    // Nothing is enough by itself, nor what is out of order.
    assert_eq!(refused(&server, &[Credential::None]), "publickey,password");
    assert_eq!(refused(&server, &[key()]), "password,keyboard-interactive");
    assert_eq!(refused(&server, &[password()]), "publickey");
    assert_eq!(refused(&server, &[answer()]), "publickey,password");
    assert_eq!(refused(&server, &[password(), password()]), "publickey");
    assert_eq!(
        refused(&server, &[key(), Credential::Password("wrong")]),
        "password,keyboard-interactive"
    );
    let retried = [answer(), key(), Credential::Answer("wrong"), answer()];
    assert!(login(&server, &retried).is_ok());
    assert!(
        server
            .stop()
            .contains("accepted in part: publickey for \"me\"")
    );
}

#[test]
fn two_keys_are_two_and_what_they_force_has_to_agree() {
    let keys: Vec<(Arc<dyn SigningKey>, String, String)> = (0..4).map(|_| new_key()).collect();
    let line = |options: &str, number: usize| format!("{options} {}", keys[number].1);
    let lines = [
        line("no-pty,environment=\"A=1\"", 0),
        line("command=\"echo $A$B\",environment=\"B=2\"", 1),
        line("command=\"echo other\"", 2),
        line("command=\"echo other\"", 3),
    ];
    let lines = lines.each_ref().map(|line| &**line);
    let flags = ["--auth-methods", "publickey,publickey"];
    let (server, _file) = server("two", &lines, &flags);
    let key = |number: usize| Credential::Key(&*keys[number].0);
    assert_eq!(refused(&server, &[key(0)]), "publickey");
    assert_eq!(refused(&server, &[key(0), key(0)]), "publickey");
    // Rights and commands are gathered, and only tighten.
    let mut client = login(&server, &[key(1), key(0)]).unwrap();
    let outcome = client.run(vec![pty(&[]), exec("id")]);
    assert_eq!(
        (outcome.granted, outcome.output),
        (vec![false, true], b"12\n".to_vec())
    );
    assert_eq!(refused(&server, &[key(1), key(2)]), "publickey");
    assert!(login(&server, &[key(1), key(2), key(0)]).is_ok());
    assert!(login(&server, &[key(2), key(3)]).is_ok());
}

#[test]
fn keys_are_good_where_and_as_long_as_their_lines_say() {
    let keys: Vec<_> = (0..4).map(|_| new_key()).collect();
    let options = [
        (
            "from=\"127.0.0.0/8,!127.0.0.2\",expiry-time=\"29991231\"",
            true,
        ),
        ("from=\"!127.0.0.1,*\"", false),
        ("expiry-time=\"20200101\"", false),
        ("cert-authority", false),
    ];
    let lines: Vec<String> = keys
        .iter()
        .zip(options)
        .map(|((_, line, _), (options, _))| format!("{options} {line}"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(|line| &**line).collect();
    let (server, _file) = server("conditions", &lines, &[]);
    for ((key, ..), (options, good)) in keys.iter().zip(options) {
        let client = login(&server, &[Credential::Key(&**key)]);
        assert_eq!(client.is_ok(), good, "{options}");
    }
    let log = server.stop();
    for reason in [
        "refused: the key may not be used from there",
        "refused: the key has expired",
    ] {
        assert!(log.contains(reason), "{reason}:\n{log}");
    }
}

#[test]
fn the_log_says_how_a_login_failed() {
    let server = Server::with_password(&[]);
    drop(TcpStream::connect(&server.address).unwrap());
    let _ = refused(&server, &[]);
    let _ = refused(&server, &[Credential::Password("wrong")]);
    drop(Client::connect(
        &server,
        "you",
        &[Credential::Password("right")],
    ));
    drop(server.login());
    // All of them are over when a later one is.
    eventually("all is given back", || server.dependants().0 == 1);
    let log = server.stop();
    let times = |text: &str| log.matches(text).count();
    assert_eq!(times("no login: NotTried"), 2, "{log}");
    assert_eq!(times("no login: Failed"), 1, "{log}");
    assert_eq!(times("no login: UnknownUser"), 1, "{log}");
    assert_eq!(times("no login: "), 4, "{log}");
}

#[test]
fn a_hundred_half_open_connections_keep_nobody_out() {
    let server = Server::with_password(&["--exec"]);
    let half: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(&server.address).unwrap())
        .collect();
    let mut client = server.login();
    assert_eq!(client.run(vec![exec("echo in")]).text(), "in\n");
    drop(half);
    assert_eq!(client.run(vec![exec("echo still")]).text(), "still\n");
    let _ = server.login();
}
