//! Runs a client of either kind: both take OpenSSH's flags.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::peers::{Key, Side, TestDir, account, example};
use crate::process::{Output, PATIENCE, Running, command, run_with};
use crate::pty::Terminal;
use crate::server::Server;

/// A client's way into a server. Without more said, it logs in with nothing, knows the server's
/// host keys, insists on them, reads no configuration and asks nobody.
#[derive(Debug, Clone)]
pub struct Login {
    side: Side,
    port: u16,
    user: String,
    known_hosts: PathBuf,
    flags: Vec<OsString>,
    options: Vec<(String, String)>,
    environment: Vec<(String, OsString)>,
    secret: Option<Secret>,
    batch: bool,
}

#[derive(Debug, Clone)]
struct Secret {
    /// Holds the password.
    file: PathBuf,
    /// Prints it, for OpenSSH.
    askpass: PathBuf,
}

impl Login {
    /// A login at `server` by the client `side`, whose files go to `dir`.
    pub fn new(side: Side, server: &Server, dir: &TestDir) -> Self {
        let name = format!("known_hosts_{}", server.port);
        Self {
            side,
            port: server.port,
            user: account().to_owned(),
            known_hosts: dir.write(&name, server.known_hosts()),
            flags: Vec::new(),
            options: Vec::new(),
            environment: Vec::new(),
            secret: None,
            batch: true,
        }
    }

    /// The key to log in with.
    #[must_use]
    pub fn key(self, key: &Key) -> Self {
        let file = key.private.display().to_string();
        self.flag("-i").flag(&file)
    }

    /// The user to log in as.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// An argument as it stands.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// An option of `-o`; it stands before those that are always set.
    #[must_use]
    pub fn option(mut self, keyword: &str, value: &str) -> Self {
        self.options.push((keyword.to_owned(), value.to_owned()));
        self
    }

    /// A variable of the client's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The password, given without a terminal.
    #[must_use]
    pub fn secret(mut self, dir: &TestDir, secret: &str) -> Self {
        let file = dir.write_private("secret", format!("{secret}\n"));
        let script = format!("#!/bin/sh\nexec cat '{}'\n", file.display());
        let askpass = dir.write_private("askpass", script);
        self.secret = Some(Secret { file, askpass });
        self.batch = false;
        self
    }

    /// Asks on the terminal for what is needed.
    #[must_use]
    pub fn asking(mut self) -> Self {
        self.batch = false;
        self
    }

    /// Another file of known hosts.
    #[must_use]
    pub fn known_hosts(mut self, file: &Path) -> Self {
        file.clone_into(&mut self.known_hosts);
        self
    }

    /// The file of known hosts.
    pub fn known_hosts_file(&self) -> &Path {
        &self.known_hosts
    }

    /// The client's program.
    pub fn program(&self) -> PathBuf {
        self.side
            .openssh()
            .map_or_else(|| example("client"), |openssh| openssh.program("bin/ssh"))
    }

    /// The arguments before the host.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut push = |flag: &str, value: &str| {
            arguments.push(flag.into());
            arguments.push(value.into());
        };
        push("-F", "none");
        push("-p", &self.port.to_string());
        push("-l", &self.user);
        for (keyword, value) in &self.options {
            push("-o", &format!("{keyword}={value}"));
        }
        let known_hosts = format!("UserKnownHostsFile={}", self.known_hosts.display());
        push("-o", &known_hosts);
        push("-o", "GlobalKnownHostsFile=/dev/null");
        push("-o", "StrictHostKeyChecking=yes");
        push("-o", "IdentitiesOnly=yes");
        let batch = if self.batch { "yes" } else { "no" };
        push("-o", &format!("BatchMode={batch}"));
        arguments.extend(self.flags.iter().cloned());
        arguments
    }

    /// A program that is the client with the arguments of the login before its own, for programs
    /// that run a client of their own accord.
    pub fn wrapper(&self, dir: &TestDir) -> PathBuf {
        let quote = |word: &OsStr| format!("'{}'", word.to_string_lossy());
        let mut script = format!("#!/bin/sh\nexec {}", quote(self.program().as_os_str()));
        for word in self.arguments() {
            script.push(' ');
            script.push_str(&quote(&word));
        }
        script.push_str(" \"$@\"\n");
        dir.write_private("ssh", script)
    }

    /// The command that runs `remote` (nothing: a shell) on the server.
    pub fn command(&self, remote: &str) -> Command {
        let mut client = match &self.secret {
            // A shell opens the descriptor that our client reads the password from.
            Some(secret) if self.side.is_ours() => {
                let mut shell = command("/bin/sh");
                shell
                    .args(["-c", "exec 3<\"$0\"; exec \"$@\""])
                    .arg(&secret.file)
                    .arg(self.program())
                    .args(["--password-fd", "3"]);
                shell
            }
            Some(secret) => {
                let mut ssh = command(self.program());
                ssh.env("SSH_ASKPASS", &secret.askpass)
                    .env("SSH_ASKPASS_REQUIRE", "force")
                    .env("DISPLAY", ":0");
                ssh
            }
            None => command(self.program()),
        };
        client.args(self.arguments()).arg("127.0.0.1");
        client.envs(self.environment.clone());
        if !remote.is_empty() {
            client.arg(remote);
        }
        client
    }

    /// Runs `remote` to its end with nothing on standard input.
    pub fn run(&self, remote: &str) -> Output {
        self.run_with(remote, Vec::new())
    }

    /// Runs `remote` to its end with this standard input.
    pub fn run_with(&self, remote: &str, input: Vec<u8>) -> Output {
        run_with(self.command(remote), input, PATIENCE)
    }

    /// Runs `remote` to its end within `limit`.
    pub fn run_within(&self, remote: &str, input: Vec<u8>, limit: Duration) -> Output {
        run_with(self.command(remote), input, limit)
    }

    /// Starts `remote`.
    pub fn start(&self, remote: &str) -> Running {
        Running::start(self.command(remote))
    }

    /// Starts `remote` on a terminal.
    pub fn on_terminal(&self, remote: &str, rows: u16, columns: u16) -> Terminal {
        Terminal::start(&self.command(remote), rows, columns)
    }
}
