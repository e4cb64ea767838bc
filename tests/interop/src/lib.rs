//! What the interop tests stand on: the peers, processes that end, terminals.
//!
//! A test is a function of a [`Pair`], a client and a server of which either is OpenSSH's or ours,
//! so that what is asked of one direction is asked of the other. `tests/run.sh` installs the
//! peers, says where they are in the environment, and runs the tests.

pub mod client;
pub mod peers;
pub mod process;
pub mod pty;
pub mod server;

pub use client::Login;
pub use peers::{Key, KeyType, OpenSsh, Side, TestDir};
pub use process::{Output, Running};
pub use pty::Terminal;
pub use server::{Server, Setup};

/// Who talks to whom.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// The client.
    pub client: Side,
    /// The server.
    pub server: Side,
}
