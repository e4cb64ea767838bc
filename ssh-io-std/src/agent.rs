//! Agents: the one of `$SSH_AUTH_SOCK`, and the private sockets through which a server forwards its client's (RFC 9987).

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process;

use crate::forward::bind_private;

/// Directories tried before the random names are given up: two equal ones are all but impossible.
const ATTEMPTS: usize = 10;

/// The path of the user's agent, as `$SSH_AUTH_SOCK` has it.
pub fn agent_path() -> Option<PathBuf> {
    env::var_os("SSH_AUTH_SOCK")
        .filter(|path| !path.is_empty())
        .map(Into::into)
}

/// Connects to the user's agent, to speak the agent protocol with it.
///
/// # Errors
/// `NotFound` if `$SSH_AUTH_SOCK` is not set; otherwise what connecting fails with.
pub fn connect_agent() -> io::Result<UnixStream> {
    let path = agent_path().ok_or(io::ErrorKind::NotFound)?;
    UnixStream::connect(path)
}

/// A directory that only its owner may enter, with a socket in it. Dropping it removes both.
#[derive(Debug)]
pub(crate) struct PrivateSocket {
    directory: PathBuf,
    path: PathBuf,
}

impl PrivateSocket {
    pub(crate) fn bind() -> io::Result<(Self, UnixListener)> {
        let mut attempts = ATTEMPTS;
        let directory = loop {
            let mut random = [0; 5];
            getrandom::fill(&mut random).map_err(io::Error::other)?;
            let [a, b, c, d, e] = random;
            let name = format!("ssh-{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}");
            let directory = env::temp_dir().join(name);
            attempts -= 1;
            // Fails if there is anything of this name, even a link.
            match fs::DirBuilder::new().mode(0o700).create(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempts > 0 => {}
                created => break created.map(|()| directory)?,
            }
        };
        let path = directory.join(format!("agent.{}", process::id()));
        let socket = Self { directory, path };
        let listener = bind_private(&socket.path)?;
        Ok((socket, listener))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        // Whoever removed them first is welcome.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(&self.directory);
    }
}
