//! Child processes that end: output captured, time bounded, the whole group killed on drop.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a command may take where a test names no other time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `what` holds.
///
/// # Panics
/// If it does not within `limit`; the message names `what`.
pub fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What a command left behind.
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text; OpenSSH ends its lines as a terminal in raw mode needs them.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).replace("\r\n", "\n")
    }

    /// Asserts that it ended with exit code 0 and gives standard output.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.code(), Some(0), "{self:?}");
        self.out()
    }

    /// Asserts that it ended with this exit code, and gives standard error.
    #[track_caller]
    pub fn failed(&self, code: i32) -> String {
        assert_eq!(self.code(), Some(code), "{self:?}");
        self.err()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |bytes: &[u8]| {
            let from = bytes.len().saturating_sub(6000);
            String::from_utf8_lossy(&bytes[from..]).into_owned()
        };
        write!(
            f,
            "{}\n--- stdout, {} bytes\n{}\n--- stderr, {} bytes\n{}",
            self.status,
            self.stdout.len(),
            cut(&self.stdout),
            self.stderr.len(),
            cut(&self.stderr)
        )
    }
}

/// A running command in a process group of its own, its output read by threads.
pub struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

#[derive(Default)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(from: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::default();
        let reader = from.map(|mut from| {
            let bytes = Arc::clone(&bytes);
            thread::spawn(move || {
                let mut part = vec![0; 1 << 16];
                loop {
                    match from.read(&mut part) {
                        Ok(0) => return,
                        Ok(n) => lock(&bytes).extend_from_slice(&part[..n]),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(_) => return,
                    }
                }
            })
        });
        Self { bytes, reader }
    }

    /// Waits for the end of the stream, but not for a grandchild that keeps it open.
    fn finish(&mut self, patience: Duration) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            let start = Instant::now();
            while !reader.is_finished() && start.elapsed() < patience {
                thread::sleep(Duration::from_millis(2));
            }
        }
        std::mem::take(&mut lock(&self.bytes))
    }
}

fn lock(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// Starts `command` with pipes on all three standard streams.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self {
            stdout: Stream::read(child.stdout.take()),
            stderr: Stream::read(child.stderr.take()),
            child,
        }
    }

    /// Its process.
    ///
    /// # Panics
    /// Never: a child has an id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its standard input; dropping it is end of input. `None` the second time.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// What it has printed so far.
    pub fn stdout_so_far(&self) -> String {
        String::from_utf8_lossy(&lock(&self.stdout.bytes)).into_owned()
    }

    /// How many bytes it has printed so far.
    pub fn stdout_len(&self) -> usize {
        lock(&self.stdout.bytes).len()
    }

    /// What it has printed to standard error so far.
    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&lock(&self.stderr.bytes)).into_owned()
    }

    /// Whether it runs still.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it runs longer than `limit`, with what it printed.
    pub fn wait(mut self, limit: Duration) -> Output {
        drop(self.child.stdin.take());
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if start.elapsed() < limit => thread::sleep(Duration::from_millis(3)),
                _ => break None,
            }
        };
        if status.is_none() {
            self.kill();
        }
        let output = Output {
            status: status.unwrap_or(ExitStatus::from_raw(9)),
            stdout: self.stdout.finish(Duration::from_secs(5)),
            stderr: self.stderr.finish(Duration::from_secs(5)),
        };
        assert!(
            status.is_some(),
            "still running after {limit:?}: {output:?}"
        );
        output
    }

    fn kill(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `command` to its end with `input` on its standard input.
pub fn run_with(command: Command, input: Vec<u8>, limit: Duration) -> Output {
    let mut running = Running::start(command);
    let stdin = running.take_stdin();
    let writer = thread::spawn(move || {
        // A command that ends early does not take all: it is judged by its output.
        let _ = stdin.map(|mut stdin| stdin.write_all(&input));
    });
    let output = running.wait(limit);
    let _ = writer.join();
    output
}

/// Runs `command` to its end with nothing on its standard input.
pub fn run(command: Command) -> Output {
    run_with(command, Vec::new(), PATIENCE)
}

/// A command with the same environment on every machine.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in ["SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY", "LC_ALL", "LANG"] {
        command.env_remove(name);
    }
    command
}

/// Resident memory of a process in KiB.
pub fn resident_kib(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// How many file descriptors a process has open.
pub fn open_files(pid: Pid) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// The command lines of all processes whose command line has `mark` in it.
pub fn processes_with(mark: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            if name == own || !name.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let line = fs::read(format!("/proc/{name}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(mark).then(|| format!("{name} {line}"))
        })
        .collect()
}

/// The processes started by a process that are there still, zombies too.
pub fn children(pid: Pid) -> Vec<String> {
    let parent = pid.to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let stat = fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
            // The name in parentheses may have spaces; state and parent follow it.
            let (_, rest) = stat.rsplit_once(')')?;
            let mut fields = rest.split_whitespace();
            let state = fields.next()?;
            (fields.next()? == parent).then(|| format!("{name} {state}"))
        })
        .collect()
}
