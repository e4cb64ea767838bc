//! Signals: the terminal has another size, or somebody wants an end, at which sockets are removed and the terminal is as before.

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// Readable when a signal has come.
pub(crate) struct Signals {
    wake: UnixStream,
    /// The signal that ends the program; zero for none.
    deadly: Arc<AtomicUsize>,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let deadly = Arc::new(AtomicUsize::new(0));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // As in a shell's background.
            if !is_ignored(signal) {
                flag::register_usize(signal, Arc::clone(&deadly), signal.unsigned_abs() as usize)?;
                pipe::register(signal, waker.try_clone()?)?;
            }
        }
        pipe::register(SIGWINCH, waker)?;
        Ok(Self { wake, deadly })
    }

    /// Takes notice of what has come.
    ///
    /// # Errors
    /// If it was a signal to end.
    pub(crate) fn take(&mut self) -> Result<(), String> {
        let mut bytes = [0; 64];
        while matches!(self.wake.read(&mut bytes), Ok(1..)) {}
        match self.deadly.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(format!("Killed by signal {signal}.")),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// Whether whoever started this has a signal ignored, as far as the system tells.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
