//! What a child does between fork and exec: the only unsafe code of the server, since the standard library has no other way in.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{ioctl_tiocsctty, setsid};

use crate::account::Identity;

/// Makes the command's process the leader of a session of its own, with the default signal
/// dispositions, as another account where one is given. With `terminal`, standard input becomes
/// the terminal that controls the session.
pub(crate) fn prepare(command: &mut Command, terminal: bool, identity: Option<Identity>) {
    let setup = move || -> io::Result<()> {
        setsid()?;
        if terminal {
            ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        if let Some(identity) = &identity {
            assume(identity)?;
        }
        default_signals();
        Ok(())
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are sound.
    // It makes system calls and nothing else: no allocation, no lock, no panic.
    unsafe { command.pre_exec(setup) };
}

/// Becomes the account, groups first, while that is still allowed.
fn assume(identity: &Identity) -> io::Result<()> {
    // A forked child has one thread, so that what is the thread's is the process's.
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
        set_thread_groups(&identity.groups)?;
        set_thread_gid(identity.gid)?;
        set_thread_uid(identity.uid)?;
        Ok(())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = identity;
        Err(io::ErrorKind::Unsupported.into())
    }
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
