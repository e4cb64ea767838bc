//! std I/O for [`ssh_proto`]: sockets, streams and closures that carry its connections.
//!
//! - [`Driver`] moves one connection on one [`Transport`], in a loop of its own or in one that
//!   serves many. Everything else is made of it.
//! - [`Client`] connects, authenticates and runs commands with calls that block.
//! - [`Listener`] accepts TCP connections; a server is a `Driver` over a `ServerConnection`, which
//!   [`Driver::server`] makes on any transport. `examples/server.rs` can be logged in to,
//!   `examples/session.rs` is small.
//! - [`Forwards`] joins channels of either to sockets: local, remote and dynamic forwarding, agents
//!   and displays. On UNIX only.
//! - [`Descriptors`] is a connection on standard input and output, as inetd and `ProxyCommand` give
//!   it. On UNIX only.
//! - With the feature `keys`, `read_signing_key` and its kin read private keys of every form that is
//!   built in, `KnownHostsFiles` what is known of a host.
//! - [`Clock`] and [`OsRandom`] are what a connection needs of the system.
#![forbid(unsafe_code)]

#[cfg(unix)]
mod agent;
mod client;
mod clock;
#[cfg(unix)]
mod descriptors;
mod driver;
mod error;
#[cfg(unix)]
mod forward;
#[cfg(feature = "gssapi")]
pub mod gssapi;
#[cfg(feature = "keys")]
mod key_file;
#[cfg(feature = "keys")]
mod known_hosts;
mod listener;
mod random;
mod session;
mod transport;
#[cfg(unix)]
mod x11;

#[cfg(unix)]
pub use self::agent::{agent_path, connect_agent};
pub use self::client::{Client, ClientHandler, Credential};
pub use self::clock::Clock;
#[cfg(unix)]
pub use self::descriptors::Descriptors;
pub use self::driver::Driver;
pub use self::error::ClientError;
#[cfg(unix)]
pub use self::forward::{
    Bind, Duplex, Forwards, Gateway, ListenId, ListenSocket, Pump, Socket, Target, bind_private,
    socks,
};
#[cfg(feature = "keys")]
pub use self::key_file::{
    Existing, KeyReadError, KeyWriteError, read_private_key, read_signing_key,
    read_signing_key_with, write_private_key,
};
#[cfg(feature = "keys")]
pub use self::known_hosts::{HostNames, KnownHostsFiles, KnownHostsProblem, add_known_host};
pub use self::listener::{Incoming, Listener};
pub use self::random::OsRandom;
pub use self::session::{Exit, Output, Session, Stderr};
pub use self::transport::{Closures, Interest, Stream, Transport, Wait, poll_all};
#[cfg(unix)]
pub use self::x11::{Display, X11Forward};

/// The examples in the documents.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/driving.md")]
    struct Driving;
}
