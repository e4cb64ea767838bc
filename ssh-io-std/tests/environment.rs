//! What is found through the environment: the agent of `SSH_AUTH_SOCK`, the display of `DISPLAY`.
#![cfg(unix)]

use std::io::{self, Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Command;

use ssh_io_std::{Display, agent_path, connect_agent};

/// Set in the process that looks at its environment, which a test cannot change of its own.
const CHILD: &str = "SSH_TESTS_LOOK";

fn look() {
    match std::env::var(CHILD).unwrap().as_str() {
        "nothing" => {
            assert_eq!(agent_path(), None);
            assert_eq!(connect_agent().unwrap_err().kind(), io::ErrorKind::NotFound);
            assert_eq!(Display::from_env(), None);
        }
        _ => {
            assert!(agent_path().unwrap().ends_with("agent"));
            connect_agent().unwrap().write_all(b"hello").unwrap();
            assert_eq!(Display::from_env(), Display::parse("example.org:3.1"));
        }
    }
}

#[test]
fn agents_and_displays_are_found_where_the_environment_says() {
    if std::env::var_os(CHILD).is_some() {
        return look();
    }
    let again = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let test = "agents_and_displays_are_found_where_the_environment_says";
        command.args(["--exact", test]);
        command
    };
    let folder = std::env::temp_dir().join(format!("ssh-environment-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let agent = UnixListener::bind(folder.join("agent")).unwrap();
    let looked = again()
        .env(CHILD, "both")
        .env("SSH_AUTH_SOCK", folder.join("agent"))
        .env("DISPLAY", "example.org:3.1")
        .output()
        .unwrap();
    assert!(looked.status.success(), "{looked:?}");
    let mut said = String::new();
    agent.accept().unwrap().0.read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello");
    // An empty variable is none.
    let looked = again()
        .env(CHILD, "nothing")
        .env("SSH_AUTH_SOCK", "")
        .env_remove("DISPLAY")
        .output()
        .unwrap();
    assert!(looked.status.success(), "{looked:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}
