//! Standard output and error, written without waiting for whoever reads them.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::termios::isatty;
use ssh_proto::{Chunk, DataStream};

/// What a descriptor that blocks takes without, once `poll` says that it can be written.
const PIPE_BUF: usize = 4096;

pub(crate) enum Descriptor {
    Stdout,
    Stderr,
}

/// Standard output and error. Standard output does not block while this lives, unless it is a
/// terminal, whose modes others share.
pub(crate) struct Output {
    /// The flags of standard output before.
    before: Option<OFlags>,
}

impl Output {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        let before = fcntl_getfl(&stdout).ok().filter(|_| !isatty(&stdout));
        let set = before.filter(|flags| fcntl_setfl(&stdout, *flags | OFlags::NONBLOCK).is_ok());
        Self { before: set }
    }

    pub(crate) fn descriptor(stream: DataStream) -> Descriptor {
        match stream {
            DataStream::Data => Descriptor::Stdout,
            DataStream::Extended(_) => Descriptor::Stderr,
        }
    }

    pub(crate) fn write(&self, chunk: &Chunk) -> rustix::io::Result<usize> {
        match Self::descriptor(chunk.stream) {
            Descriptor::Stdout if self.before.is_some() => {
                rustix::io::write(io::stdout(), &chunk.bytes)
            }
            Descriptor::Stdout => write_some(io::stdout().as_fd(), &chunk.bytes),
            Descriptor::Stderr => write_some(io::stderr().as_fd(), &chunk.bytes),
        }
    }

    /// Tells whoever reads standard output that there is no more.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.restore();
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        Ok(rustix::stdio::dup2_stdout(nowhere)?)
    }

    fn restore(&mut self) {
        let _ = io::stdout().flush();
        if let Some(flags) = self.before.take() {
            let _ = fcntl_setfl(io::stdout(), flags);
        }
    }
}

/// Writes as much as can be written at once to a descriptor that blocks.
fn write_some(output: BorrowedFd<'_>, bytes: &[u8]) -> rustix::io::Result<usize> {
    let mut entry = [PollFd::new(&output, PollFlags::OUT)];
    match poll(&mut entry, Some(&timespec(Duration::ZERO)))? {
        0 => Err(Errno::AGAIN),
        _ => rustix::io::write(output, &bytes[..bytes.len().min(PIPE_BUF)]),
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.restore();
    }
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().min(86_400) as _,
        tv_nsec: duration.subsec_nanos() as _,
    }
}
