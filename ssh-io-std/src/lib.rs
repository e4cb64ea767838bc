//! std I/O for [`ssh_proto`]: sockets, streams and closures that carry its connections.
//!
//! - [`Driver`] moves one connection on one [`Transport`], in a loop of its own or in one that
//!   serves many. Everything else is made of it.
//! - [`Client`] connects, authenticates and runs commands with calls that block.
//! - A server is a `Driver` over a `ServerConnection`: `examples/server.rs` has one that can be
//!   logged in to, `examples/session.rs` a small one.
//! - [`Clock`] and [`OsRandom`] are what a connection needs of the system.
#![forbid(unsafe_code)]

mod client;
mod clock;
mod driver;
mod error;
mod random;
mod session;
mod transport;

pub use self::client::{Client, ClientHandler, Credential};
pub use self::clock::Clock;
pub use self::driver::Driver;
pub use self::error::ClientError;
pub use self::random::OsRandom;
pub use self::session::{Exit, Output, Session, Stderr};
pub use self::transport::{Closures, Interest, Stream, Transport, Wait};
