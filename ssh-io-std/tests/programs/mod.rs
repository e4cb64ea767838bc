//! The examples as programs: started, watched, and ended with the test.
#![allow(dead_code)] // Each test uses its own part of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use ssh_io_std::OsRandom;
use ssh_proto::crypto::rustcrypto;
use ssh_proto::keys::{Comment, PublicKeyLine};

pub(crate) const USER: &str = "me";
pub(crate) const PASSWORD: &str = "right";

/// `cargo test` builds the examples next to the tests.
pub(crate) fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.extend(["examples", name]);
    let mut command = Command::new(path);
    // Where no file of the account that runs the tests can interfere.
    command.env("HOME", "/").stdin(Stdio::null());
    command
}

/// Runs a program to its end, which must be near.
pub(crate) fn run(command: &mut Command) -> Output {
    finish(start(command))
}

pub(crate) fn start(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("cargo build --examples")
}

pub(crate) fn finish(child: Child) -> Output {
    let id = pid(&child);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let _ = kill_process(id, Signal::KILL);
            panic!("the program does not end");
        }
    }
}

pub(crate) fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap()).unwrap()
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(pid(child), signal).unwrap();
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A folder of one test, gone with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ssh-io-std-programs-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A new key pair, in a file of that name.
    pub(crate) fn key(&self, name: &str, algorithm: &str) -> KeyPair {
        let provider = rustcrypto::provider();
        let private = provider.keys.generate(algorithm, &mut OsRandom).unwrap();
        let file = private.to_openssh(&Comment::default(), &mut OsRandom);
        let key = private.public_key();
        KeyPair {
            path: self.write(name, &file.unwrap()),
            fingerprint: key.fingerprint(provider.sha256).to_string(),
            line: PublicKeyLine {
                key,
                comment: Comment::default(),
            }
            .to_string(),
        }
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct KeyPair {
    /// Of the private key.
    pub(crate) path: String,
    /// As authorized_keys has it.
    pub(crate) line: String,
    pub(crate) fingerprint: String,
}

/// The example server with one user, ended when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_bare(&[&["--allow-all"], flags].concat())
    }

    /// Without `--allow-all`.
    pub(crate) fn start_bare(flags: &[&str]) -> Self {
        let mut command = example("server");
        command
            .args(["--listen", "127.0.0.1:0"])
            .args(["--user", USER, "--password", PASSWORD])
            .args(flags);
        let mut child = start(&mut command);
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening ").unwrap().trim().to_owned();
        Self { child, address }
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example client, which takes any host key, has no files but those of the flags, and has the
/// password ready.
pub(crate) fn client(folder: &Folder, flags: &[&str]) -> Command {
    let password = folder.write("password", &format!("{PASSWORD}\n"));
    let client = example("client");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"exec "$0" --password-fd 3 "$@" 3<"$PASSWORD_FILE""#])
        .arg(client.get_program())
        .args(["-oUserKnownHostsFile=none", "-oGlobalKnownHostsFile=none"])
        .arg("-oStrictHostKeyChecking=no")
        .args(flags)
        .env("PASSWORD_FILE", password)
        .env("HOME", "/")
        .stdin(Stdio::null());
    command
}
