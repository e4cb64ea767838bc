//! A command on a terminal of its own, as a user at a keyboard has it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::process::{command, wait_until};

/// A command with a terminal as its controlling terminal and its standard streams.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    seen: usize,
}

impl Terminal {
    /// Starts `program` on a terminal of this size.
    ///
    /// # Panics
    /// If there is no pty to be had or the command cannot be started.
    pub fn start(program: &Command, rows: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("ptsname");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let line: OwnedFd = rustix::fs::open(name, flags, Mode::empty()).expect("the pty's line");
        resize(&master, rows, columns);
        let stream = || Stdio::from(line.try_clone().expect("dup"));
        // setsid(1) makes its standard input the controlling terminal, then becomes the program.
        let mut setsid = command("setsid");
        setsid
            .arg("--ctty")
            .arg(program.get_program())
            .args(program.get_args())
            .stdin(stream())
            .stdout(stream())
            .stderr(stream());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => setsid.env(name, value),
                None => setsid.env_remove(name),
            };
        }
        let child = setsid.spawn().expect("setsid");
        drop((setsid, line));
        let keyboard = File::from(master);
        let mut out = keyboard.try_clone().expect("dup");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&screen);
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut part) {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.extend_from_slice(&part[..n]);
            }
        });
        Self {
            child,
            keyboard,
            screen,
            seen: 0,
        }
    }

    /// Types these keys.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("keyboard");
    }

    /// Waits until `text` appears behind what was waited for before, and gives what came with it.
    ///
    /// # Panics
    /// If it does not appear within half a minute, with all that was on the screen.
    pub fn expect(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            let fresh = screen.get(self.seen..).unwrap_or_default();
            if let Some(at) = fresh.find(text) {
                let end = at + text.len();
                self.seen += end;
                return fresh[..end].to_owned();
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "no {text:?} behind byte {} of the screen: {screen:?}",
                self.seen
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// All that was printed.
    pub fn screen(&self) -> String {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&screen).into_owned()
    }

    /// Gives the terminal another size; the kernel signals the command.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.keyboard, rows, columns);
    }

    /// Waits for the command's end.
    ///
    /// # Panics
    /// If it does not end within half a minute.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let mut status = None;
        wait_until(
            "the command on the terminal ends",
            Duration::from_secs(30),
            || {
                status = self.child.try_wait().ok().flatten();
                status.is_some()
            },
        );
        // What it printed last is on its way still.
        thread::sleep(Duration::from_millis(50));
        (status.unwrap_or_default(), self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).expect("window size");
}
