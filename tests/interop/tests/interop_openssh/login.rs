//! Who gets in: RFC 4252.

use std::fs;

use ssh_interop::peers::{account, password_account};
use ssh_interop::process::run;
use ssh_interop::{KeyType, Login, Pair, Setup, TestDir};

use crate::{Scene, for_each_pair};

for_each_pair!(
    key_types,
    encrypted_key,
    wrong_passphrase,
    wrong_key,
    second_key,
    authorized_keys_are_read_again,
    password,
    password_on_a_terminal,
    wrong_password,
    unknown_user,
    nobody_is_let_in_by_default,
);

fn key_types(pair: Pair) {
    for key_type in KeyType::ALL {
        let dir = TestDir::new();
        let key = dir.key("user", key_type, "");
        let server = Setup::default()
            .authorized(&key.public)
            .start(pair.server, &dir);
        let login = Login::new(pair.client, &server, &dir).key(&key);
        assert_eq!(login.run("id -un").ok().trim(), account());
    }
}

fn encrypted_key(pair: Pair) {
    for key_type in KeyType::ALL {
        let dir = TestDir::new();
        let key = dir.key("user", key_type, "a pass phrase");
        let server = Setup::default()
            .authorized(&key.public)
            .start(pair.server, &dir);
        let login = Login::new(pair.client, &server, &dir).key(&key).asking();
        let mut terminal = login.on_terminal("echo in; exit 4", 24, 80);
        terminal.expect("Enter passphrase for key ");
        terminal.type_keys("a pass phrase\r");
        terminal.expect("in\r\n");
        let (status, screen) = terminal.wait();
        assert_eq!(status.code(), Some(4), "{screen}");
        assert!(!screen.contains("a pass phrase"), "it shows on the screen");
    }
}

fn wrong_passphrase(pair: Pair) {
    let dir = TestDir::new();
    let key = dir.key("user", KeyType::Ed25519, "a pass phrase");
    let server = Setup::default()
        .authorized(&key.public)
        .start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).key(&key).asking();
    let mut terminal = login.on_terminal("echo in", 24, 80);
    for _ in 0..3 {
        terminal.expect("Enter passphrase for key ");
        terminal.type_keys("a wrong phrase\r");
    }
    terminal.expect("ermission denied");
    let (status, screen) = terminal.wait();
    assert_eq!(status.code(), Some(255), "{screen}");
}

fn wrong_key(pair: Pair) {
    let scene = Scene::new(pair);
    for key_type in KeyType::ALL {
        let wrong = scene
            .dir
            .key(&format!("wrong-{}", key_type.name()), key_type, "");
        let login = Login::new(pair.client, &scene.server, &scene.dir).key(&wrong);
        let output = login.run("echo in");
        assert!(
            output.failed(255).contains("ermission denied"),
            "{output:?}"
        );
        assert_eq!(output.out(), "");
    }
}

fn second_key(pair: Pair) {
    let scene = Scene::new(pair);
    let wrong = scene.dir.key("wrong", KeyType::EcdsaP256, "");
    let login = Login::new(pair.client, &scene.server, &scene.dir);
    let login = login.key(&wrong).key(&scene.key);
    assert_eq!(login.run("echo in").ok(), "in\n");
}

fn authorized_keys_are_read_again(pair: Pair) {
    let scene = Scene::new(pair);
    let second = scene.dir.key("second", KeyType::EcdsaP256, "");
    let login = Login::new(pair.client, &scene.server, &scene.dir).key(&second);
    login.run("echo in").failed(255);
    let lines = fs::read_to_string(&scene.key.public).unwrap_or_default();
    let lines = format!(
        "# two keys\n\n{lines}{} comment of three words\n",
        second.line
    );
    scene.dir.write("user.pub", lines);
    assert_eq!(login.run("echo in").ok(), "in\n");
    assert_eq!(scene.login.run("echo in").ok(), "in\n");
    scene.dir.write("user.pub", "");
    login.run("echo in").failed(255);
}

fn password(pair: Pair) {
    let (user, password) = password_account();
    let dir = TestDir::new();
    let server = Setup::default()
        .password(&user, &password)
        .start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).user(&user);
    let login = login.secret(&dir, &password);
    let output = login.run("id -un; id -Gn; echo ~; pwd");
    let mut expected = ssh_interop::process::command("sh");
    let script = format!("id -un {user}; id -Gn {user}; echo ~{user}; echo ~{user}");
    expected.args(["-c", &script]);
    assert_eq!(output.ok(), run(expected).ok());
}

fn wrong_password(pair: Pair) {
    let (user, password) = password_account();
    let dir = TestDir::new();
    let server = Setup::default()
        .password(&user, &password)
        .start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).user(&user);
    for wrong in ["wrong", &format!("{password}x"), &password[1..]] {
        let output = login.clone().secret(&dir, wrong).run("echo in");
        assert!(
            output.failed(255).contains("ermission denied"),
            "{output:?}"
        );
        assert_eq!(output.out(), "");
    }
    assert_eq!(login.secret(&dir, &password).run("echo in").ok(), "in\n");
}

fn password_on_a_terminal(pair: Pair) {
    let (user, password) = password_account();
    let dir = TestDir::new();
    let server = Setup::default()
        .password(&user, &password)
        .start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).user(&user).asking();
    let mut terminal = login.on_terminal("echo in; exit 4", 24, 80);
    for attempt in ["wrong", &password] {
        terminal.expect("assword: ");
        terminal.type_keys(&format!("{attempt}\r"));
    }
    terminal.expect("in\r\n");
    let (status, screen) = terminal.wait();
    assert_eq!(status.code(), Some(4), "{screen}");
    assert!(!screen.contains(&password), "it shows on the screen");
}

fn unknown_user(pair: Pair) {
    let (user, password) = password_account();
    let dir = TestDir::new();
    let server = Setup::default()
        .password(&user, &password)
        .start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).user("nobody-of-this-name");
    let output = login.secret(&dir, &password).run("echo in");
    assert!(
        output.failed(255).contains("ermission denied"),
        "{output:?}"
    );
}

fn nobody_is_let_in_by_default(pair: Pair) {
    let dir = TestDir::new();
    let key = dir.key("user", KeyType::Ed25519, "");
    let server = Setup::default().start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir);
    login.run("echo in").failed(255);
    login.key(&key).run("echo in").failed(255);
}
