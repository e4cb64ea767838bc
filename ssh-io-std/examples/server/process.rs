//! A program of a session: started, fed, read, signalled and reaped.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use ssh_proto::ExitSignal;

use crate::account::Account;
use crate::child;
use crate::pty::{Pty, Terminal};

/// What a session starts.
#[derive(Debug)]
pub(crate) enum Program<'a> {
    /// The account's shell, as at login.
    Shell,
    /// A command for the account's shell.
    Command(&'a OsStr),
}

/// A program that runs, and what it is connected by. Dropping it hangs it up.
#[derive(Debug)]
pub(crate) struct Process {
    wires: Wires,
    leader: Pid,
    /// Filled by the thread that waits for the program.
    exit: Arc<Mutex<Option<ExitStatus>>>,
    /// Ends when the program has ended.
    ended: PipeReader,
}

/// The file descriptors of a program, non-blocking. Those that have ended are gone.
#[derive(Debug)]
enum Wires {
    Pipes {
        stdin: Option<OwnedFd>,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
    },
    Terminal {
        terminal: Terminal,
        /// The program's end is closed by all who had it.
        hung_up: bool,
    },
}

impl Process {
    /// Starts a program for the account, which the calling thread acts as, on the terminal if
    /// there is one.
    pub(crate) fn start(
        program: &Program<'_>,
        account: &Account,
        environment: &[(OsString, OsString)],
        pty: Option<Pty>,
    ) -> io::Result<Self> {
        let mut command = Command::new(&account.shell);
        match program {
            Program::Shell => {
                // A dash before its name tells a shell that this is a login.
                let shell = Path::new(&account.shell);
                let mut name = OsString::from("-");
                name.push(shell.file_name().unwrap_or(shell.as_os_str()));
                command.arg0(name)
            }
            Program::Command(line) => command.arg("-c").arg(line),
        };
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)));
        // Whether it may be entered, too.
        command.current_dir(match account.home.join(".").is_dir() {
            true => account.home.as_os_str(),
            false => OsStr::new("/"),
        });
        let uid = account.identity.as_ref().map(|identity| identity.uid);
        child::prepare(&mut command, pty.is_some(), uid);
        // What can fail for want of descriptors or threads comes before there is a child.
        let (ended, end) = io::pipe()?;
        let exit = Arc::new(Mutex::new(None));
        let (hand_over, child) = sync_channel(1);
        reap(child, Arc::clone(&exit), end)?;
        let (child, wires) = match pty {
            Some(pty) => on_terminal(command, pty)?,
            None => on_pipes(command)?,
        };
        let leader = Pid::from_child(&child);
        // The other end waits for it.
        let _ = hand_over.send(child);
        Ok(Self {
            wires,
            leader,
            exit,
            ended,
        })
    }

    /// The terminal that the program runs on.
    pub(crate) fn terminal(&self) -> Option<&Terminal> {
        match &self.wires {
            Wires::Terminal { terminal, .. } => Some(terminal),
            Wires::Pipes { .. } => None,
        }
    }

    /// Where the program's input goes, until it is closed.
    pub(crate) fn input(&self) -> Option<BorrowedFd<'_>> {
        match &self.wires {
            Wires::Pipes { stdin, .. } => stdin.as_ref().map(AsFd::as_fd),
            Wires::Terminal { terminal, hung_up } => (!hung_up).then_some(terminal.0.as_fd()),
        }
    }

    /// Where the program's output comes from, until it ends.
    pub(crate) fn output(&self) -> Option<BorrowedFd<'_>> {
        match &self.wires {
            Wires::Pipes { stdout, .. } => stdout.as_ref().map(AsFd::as_fd),
            Wires::Terminal { terminal, hung_up } => (!hung_up).then_some(terminal.0.as_fd()),
        }
    }

    /// Where the program's messages come from, until they end; a terminal has them in its output.
    pub(crate) fn errors(&self) -> Option<BorrowedFd<'_>> {
        match &self.wires {
            Wires::Pipes { stderr, .. } => stderr.as_ref().map(AsFd::as_fd),
            Wires::Terminal { .. } => None,
        }
    }

    /// Becomes readable when the program has ended.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Gives the program input, as much as it takes.
    pub(crate) fn feed(&mut self, data: &[u8]) -> io::Result<usize> {
        let Some(input) = self.input() else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(rustix::io::write(input, data)?)
    }

    /// The program gets no more input. On a terminal, where nothing can be closed, the end is
    /// typed.
    pub(crate) fn end_input(&mut self) {
        match &mut self.wires {
            Wires::Pipes { stdin, .. } => *stdin = None,
            Wires::Terminal { terminal, .. } => {
                if let Some(code) = terminal.end_of_input() {
                    // A terminal that is full or gone cannot be told.
                    let _ = rustix::io::write(&terminal.0, &[code]);
                }
            }
        }
    }

    /// Nobody reads the output any more, which the program learns when it writes. A terminal's goes
    /// on.
    pub(crate) fn close_output(&mut self) {
        if let Wires::Pipes { stdout, .. } = &mut self.wires {
            *stdout = None;
        }
    }

    /// Reads output into a buffer that is not empty; zero bytes are its end.
    pub(crate) fn read_output(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.wires {
            Wires::Pipes { stdout, .. } => read(stdout, buffer),
            Wires::Terminal { terminal, hung_up } => {
                match rustix::io::read(&terminal.0, buffer) {
                    // The latter is what Linux says when nobody has the other end any more.
                    Ok(0) | Err(Errno::IO) => {
                        *hung_up = true;
                        Ok(0)
                    }
                    other => Ok(other?),
                }
            }
        }
    }

    /// Reads messages into a buffer that is not empty; zero bytes are their end.
    pub(crate) fn read_errors(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.wires {
            Wires::Pipes { stderr, .. } => read(stderr, buffer),
            Wires::Terminal { .. } => Ok(0),
        }
    }

    /// How the program ended, if it has.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signal to the program and what it started, while it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        // Held over the call: the id is that of this program for as long.
        let exit = self.exit.lock().unwrap_or_else(PoisonError::into_inner);
        if exit.is_none() && kill_process_group(self.leader, signal).is_err() {
            let _ = kill_process(self.leader, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::HUP);
        // A stopped program would not notice.
        self.signal(Signal::CONT);
    }
}

/// Leaves waiting to a thread, so that a program is reaped whatever becomes of its connection. `end`
/// is closed when it has ended.
fn reap(
    children: Receiver<Child>,
    exit: Arc<Mutex<Option<ExitStatus>>>,
    end: PipeWriter,
) -> io::Result<()> {
    let wait = move || {
        let Ok(mut child) = children.recv() else {
            return;
        };
        // The process id stays taken until `wait`, under the lock that `signal` holds.
        let leader = WaitId::Pid(Pid::from_child(&child));
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(leader.clone(), options).is_err_and(|error| error == Errno::INTR) {}
        let mut exit = exit.lock().unwrap_or_else(PoisonError::into_inner);
        *exit = child.wait().ok();
        drop(exit);
        drop(end);
    };
    thread::Builder::new().stack_size(64 << 10).spawn(wait)?;
    Ok(())
}

fn on_terminal(mut command: Command, pty: Pty) -> io::Result<(Child, Wires)> {
    ioctl_fionbio(&pty.terminal.0, true)?;
    command
        .env("TERM", &pty.term)
        .env("SSH_TTY", &pty.name)
        .stdin(pty.slave.try_clone()?)
        .stdout(pty.slave.try_clone()?)
        .stderr(pty.slave);
    let wires = Wires::Terminal {
        terminal: pty.terminal,
        hung_up: false,
    };
    Ok((command.spawn()?, wires))
}

fn on_pipes(mut command: Command) -> io::Result<(Child, Wires)> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stdin = child.stdin.take().map(OwnedFd::from);
    let stdout = child.stdout.take().map(OwnedFd::from);
    let stderr = child.stderr.take().map(OwnedFd::from);
    for fd in [&stdin, &stdout, &stderr].into_iter().flatten() {
        ioctl_fionbio(fd, true)?;
    }
    let wires = Wires::Pipes {
        stdin,
        stdout,
        stderr,
    };
    Ok((child, wires))
}

/// Reads from a pipe, and closes it at its end.
fn read(pipe: &mut Option<OwnedFd>, buffer: &mut [u8]) -> io::Result<usize> {
    let Some(fd) = pipe else { return Ok(0) };
    match rustix::io::read(fd, buffer) {
        Ok(0) => {
            *pipe = None;
            Ok(0)
        }
        other => Ok(other?),
    }
}

/// Signals that have a name in RFC 4254 section 6.10.
const NAMES: [(&str, Signal); 13] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// The signal of this name.
pub(crate) fn signal_named(name: &[u8]) -> Option<Signal> {
    NAMES
        .iter()
        .find(|(known, _)| known.as_bytes() == name)
        .map(|(_, signal)| *signal)
}

/// What to tell the client of how a program ended.
pub(crate) fn exit_signal(status: ExitStatus) -> Option<ExitSignal> {
    let number = status.signal()?;
    let name = NAMES
        .iter()
        .find(|(_, signal)| signal.as_raw() == number)
        .map_or("SIG@openssh.com", |(name, _)| name);
    Some(ExitSignal {
        signal: name.into(),
        core_dumped: status.core_dumped(),
        message: Default::default(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{Gid, Uid};

    use super::*;
    use crate::account::Identity;

    fn start(line: &str, pty: Option<Pty>) -> Process {
        start_as(None, line, pty)
    }

    fn start_as(identity: Option<Identity>, line: &str, pty: Option<Pty>) -> Process {
        let account = Account {
            name: "me".into(),
            home: "/".into(),
            shell: "/bin/sh".into(),
            path: "/usr/bin:/bin".into(),
            identity,
        };
        let environment = [("PATH".into(), account.path.clone())];
        let program = Program::Command(OsStr::new(line));
        Process::start(&program, &account, &environment, pty).unwrap()
    }

    fn wait(fd: impl AsFd) {
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).unwrap();
    }

    fn output(process: &mut Process) -> String {
        let mut all = Vec::new();
        let mut buffer = [0; 1000];
        while let Some(output) = process.output() {
            wait(output);
            let read = process.read_output(&mut buffer).unwrap();
            all.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8(all).unwrap()
    }

    fn exit(process: &Process) -> ExitStatus {
        wait(process.ended());
        process.exit_status().unwrap()
    }

    fn terminal() -> Pty {
        Pty::open(&ssh_proto::Pty {
            term: "dumb".into(),
            columns: 80,
            rows: 24,
            width: 0,
            height: 0,
            modes: vec![(53, 0), (72, 0)],
        })
        .unwrap()
    }

    #[test]
    fn input_reaches_a_program_and_output_and_status_come_back() {
        let mut process = start("cat; echo oops >&2; exit 3", None);
        assert_eq!(process.feed(b"text").unwrap(), 4);
        process.end_input();
        assert_eq!(output(&mut process), "text");
        let mut buffer = [0; 10];
        wait(process.errors().unwrap());
        assert_eq!(process.read_errors(&mut buffer).unwrap(), 5);
        assert_eq!(exit(&process).code(), Some(3));
    }

    #[test]
    fn signals_reach_the_whole_group_and_are_told() {
        let mut process = start("sleep 100 & echo up; wait", None);
        let mut buffer = [0; 10];
        wait(process.output().unwrap());
        assert_eq!(process.read_output(&mut buffer).unwrap(), 3);
        assert_eq!(
            process.read_output(&mut buffer).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        process.signal(signal_named(b"TERM").unwrap());
        let signal = exit_signal(exit(&process)).unwrap();
        assert_eq!(&signal.signal[..], b"TERM");
        assert_eq!(output(&mut process), "");
        assert!(signal_named(b"SIGTERM").is_none());
    }

    #[test]
    fn a_terminal_controls_its_session() {
        let script = "tty; test -t 0 && echo $TERM; exec 2>&1; read x; echo got $x; exec sleep 100";
        let mut process = start(script, Some(terminal()));
        process.feed(b"line\n").unwrap();
        let mut seen = String::new();
        while !seen.contains("got line\n") {
            wait(process.output().unwrap());
            let mut buffer = [0; 100];
            let read = process.read_output(&mut buffer).unwrap();
            seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        assert!(
            seen.starts_with("/dev/") && seen.contains("\ndumb\n"),
            "{seen}"
        );
        process.feed(b"\x03").unwrap();
        assert_eq!(output(&mut process), "");
        assert_eq!(&exit_signal(exit(&process)).unwrap().signal[..], b"INT");
    }

    #[test]
    fn the_end_of_input_is_typed_on_a_terminal() {
        let mut process = start("cat", Some(terminal()));
        process.feed(b"abc\n").unwrap();
        process.end_input();
        assert_eq!(output(&mut process), "abc\n");
        assert!(exit(&process).success());
    }

    #[test]
    fn signals_have_their_default_dispositions() {
        // As in a daemon that a shell has started in the background.
        // SAFETY: no function is installed.
        unsafe { libc::signal(libc::SIGQUIT, libc::SIG_IGN) };
        let mut process = start("grep ^SigIgn: /proc/self/status", None);
        let seen = output(&mut process);
        let ignored = u64::from_str_radix(seen.split_whitespace().nth(1).unwrap(), 16).unwrap();
        // 32 and 33 belong to the C library, which lets nobody change them.
        assert_eq!(ignored & !(0b11 << 31), 0, "{seen}");
    }

    /// Only root can become somebody else.
    #[test]
    fn a_program_of_another_account_has_nothing_of_ours() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let identity = || Identity {
            uid: Uid::from_raw(12_345),
            gid: Gid::from_raw(12_346),
            groups: [12_346, 12_347].map(Gid::from_raw).to_vec(),
        };
        let user = thread::spawn(move || {
            identity().assume().unwrap();
            // Who may signal one of our threads may end them all.
            let ours = rustix::thread::gettid().as_raw_nonzero();
            for pty in [None, Some(terminal())] {
                let script = format!(
                    "id -u; id -ru; id -g; id -rg; id -G; test ! -t 0 || : < $SSH_TTY
                    grep -E '^(Uid|CapPrm):' /proc/self/status; kill -0 {ours} 2>&- || echo no"
                );
                let mut process = start_as(Some(identity()), &script, pty);
                let expected = "12345\n12345\n12346\n12346\n12346 12347\n\
                    Uid:\t12345\t12345\t12345\t12345\nCapPrm:\t0000000000000000\nno\n";
                assert_eq!(output(&mut process), expected);
                assert!(exit(&process).success());
            }
            assert!(std::fs::read("/etc/shadow").is_err());
        });
        user.join().unwrap();
        assert!(rustix::process::geteuid().is_root());
    }

    #[test]
    fn dropping_a_process_hangs_it_up_and_reaps_it() {
        let process = start("sleep 100; true", None);
        let leader = process.leader;
        drop(process);
        let deadline = Instant::now() + Duration::from_secs(10);
        while rustix::process::test_kill_process(leader).is_ok() {
            assert!(Instant::now() < deadline, "{leader:?} is still there");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
