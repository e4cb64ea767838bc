//! Asking the user: a descriptor that has the password, the program of `SSH_ASKPASS`, or the terminal.

use std::env;
use std::fs::File;
use std::io;
use std::process::{Command, Stdio};

use crate::terminal;

/// Who answers questions.
pub(crate) struct Asker {
    /// One line of it is good for one attempt.
    password_fd: Option<i32>,
    batch_mode: bool,
    /// Passwords are no longer asked for.
    exhausted: bool,
}

impl Asker {
    pub(crate) const fn new(password_fd: Option<i32>, batch_mode: bool) -> Self {
        Self {
            password_fd,
            batch_mode,
            exhausted: false,
        }
    }

    /// Whether a password can be asked for.
    pub(crate) const fn has_password(&self) -> bool {
        self.password_fd.is_some() || !self.exhausted && !self.batch_mode
    }

    /// A password, or what is as secret.
    pub(crate) fn password(&mut self, prompt: &str) -> io::Result<String> {
        match self.password_fd.take() {
            Some(fd) => {
                self.exhausted = true;
                terminal::line(&mut File::open(format!("/dev/fd/{fd}"))?)
            }
            None => self.ask(prompt, false),
        }
    }

    /// `echo`: the answer may be seen.
    pub(crate) fn ask(&self, prompt: &str, echo: bool) -> io::Result<String> {
        if self.batch_mode {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        match askpass() {
            Some(program) => run(&program, prompt),
            None => terminal::ask(prompt, echo),
        }
    }
}

/// The program to ask by, where OpenSSH would use it: without a terminal on a display, or by
/// `SSH_ASKPASS_REQUIRE`.
fn askpass() -> Option<String> {
    let program = env::var("SSH_ASKPASS")
        .ok()
        .filter(|name| !name.is_empty())?;
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_display = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    let required = env::var("SSH_ASKPASS_REQUIRE").unwrap_or_default();
    let used = match &*required {
        "force" => true,
        "prefer" => has_display,
        "never" => false,
        _ => has_display && File::open("/dev/tty").is_err(),
    };
    used.then_some(program)
}

fn run(program: &str, prompt: &str) -> io::Result<String> {
    let output = Command::new(program)
        .arg(prompt)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::ErrorKind::Interrupted.into());
    }
    terminal::line(&mut &*output.stdout).map(|line| line.trim_end_matches('\r').to_owned())
}
