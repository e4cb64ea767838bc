//! What a scenario asks of a client and of a server, whatever program they are.

use std::path::PathBuf;
use std::process::Command;

use ssh_interop::Server;

use crate::matrix::Scenario;
use crate::program::Program;
use crate::scene::Scene;

/// The peer has no such thing; says why, for the document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown(pub(crate) String);

impl Unknown {
    pub(crate) fn because<T>(reason: &str) -> Result<T, Self> {
        Err(Self(reason.to_owned()))
    }
}

pub(crate) type Known<T> = Result<T, Unknown>;

/// A client: flags make it do what a scenario asks for, or it knows the scenarios itself.
pub(crate) enum Client {
    CommandLine(&'static dyn CommandLine),
    Program(Program),
}

/// The only way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Password,
    Key,
    KeyboardInteractive,
}

impl Method {
    /// Its name in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Key => "publickey",
            Self::KeyboardInteractive => "keyboard-interactive",
        }
    }
}

/// What a call is to have besides a login and a command.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// A terminal of type `vt220`.
    Terminal,
    /// A variable for the command.
    Env(&'static str, &'static str),
    /// What is called is a subsystem.
    Subsystem,
    /// Nothing is called; connections are forwarded.
    NoCommand,
    /// From a port here to a port there.
    Local { port: u16, to: u16 },
    /// From a port there to a port here.
    Remote { port: u16, to: u16 },
    /// From a SOCKS port here to wherever.
    Dynamic { port: u16 },
    /// From a socket here to one there.
    LocalUnix { from: PathBuf, to: PathBuf },
    /// From a socket there to one here.
    RemoteUnix { from: PathBuf, to: PathBuf },
    /// The agent at this socket.
    Agent(PathBuf),
    /// New keys after so many bytes, if the client has a say in it.
    Rekey(u64),
}

/// A client's call of a server.
pub(crate) struct Call<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) server: &'a Server,
    pub(crate) method: Method,
    pub(crate) wishes: Vec<Wish>,
    /// The command, or the name of a subsystem.
    pub(crate) remote: &'a str,
}

/// A client that is told by flags what to do.
pub(crate) trait CommandLine: Sync {
    /// The command line for this call, with OpenSSH's exit codes, or why there is none. The host
    /// key is known to it, and no other is taken.
    fn command(&self, call: &Call<'_>) -> Known<Command>;

    /// Logs in by the key, has `call.remote` run, sends it TERM once it printed `up`, and sees that
    /// it died of it.
    fn signal(&self, call: &Call<'_>) -> Known<()>;

    /// Whether it reads the answer to a prompt from its terminal, and there alone.
    fn asks_on_terminal(&self, _method: Method) -> bool {
        false
    }

    /// What it prints to standard error when it has logged in by `method` and when keys were
    /// exchanged, if it is to be had.
    fn traces(&self, _method: Method) -> Option<Traces> {
        None
    }
}

/// What shows in a log that something happened.
pub(crate) struct Traces {
    pub(crate) logged_in: String,
    pub(crate) keys_exchanged: &'static str,
}

/// A server that is started for a scenario.
pub(crate) trait Host: Sync {
    /// Starts one that lets the scene's user in by `scenario`'s method, or says why it cannot.
    fn start(&self, scenario: Scenario, scene: &Scene) -> Known<Server>;

    /// As for the client, in its log.
    fn traces(&self, _method: Method) -> Option<Traces> {
        None
    }
}
