//! std I/O for [`ssh_proto`]: sockets, streams and closures that carry its connections.
//!
//! - [`Driver`] moves one connection on one [`Transport`], in a loop of its own or in one that
//!   serves many. Everything else is made of it.
//! - [`Clock`] and [`OsRandom`] are what a connection needs of the system.
#![forbid(unsafe_code)]

mod clock;
mod driver;
mod random;
mod transport;

pub use self::clock::Clock;
pub use self::driver::Driver;
pub use self::random::OsRandom;
pub use self::transport::{Closures, Interest, Stream, Transport, Wait};
