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

/// Bytes without a pattern that a lost or doubled packet would keep.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
