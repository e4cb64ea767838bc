//! What a child does between fork and exec, which is unsafe code, since the standard library has no other way in.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Uid, ioctl_tiocsctty, setsid};

use crate::account::Identity;

/// Makes the command's process the leader of a session of its own, with the default signal
/// dispositions. With `terminal`, standard input becomes the terminal that controls the session;
/// with `uid`, whom the calling thread acts as, the process is that account's for good.
pub(crate) fn prepare(command: &mut Command, terminal: bool, uid: Option<Uid>) {
    let setup = move || -> io::Result<()> {
        if let Some(uid) = uid {
            Identity::assume_for_good(uid)?;
        }
        setsid()?;
        if terminal {
            ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        default_signals();
        Ok(())
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are sound.
    // It makes system calls and nothing else: no allocation, no lock, no panic.
    unsafe { command.pre_exec(setup) };
}

/// Undoes what exec does not: signals that are ignored or blocked. A shell ignores `SIGINT` in what
/// it starts in the background, and Rust ignores `SIGPIPE`; neither is the user's wish.
fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: `signal` is async-signal-safe and installs no function here. For numbers whose
        // disposition cannot be changed it fails without effect.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = MaybeUninit::uninit();
    // SAFETY: both are async-signal-safe; `sigemptyset` initializes the set before it is used.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}
