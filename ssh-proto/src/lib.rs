//! Sans-IO SSH-2 protocol core.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod auth;
pub mod crypto;
pub mod error;
#[cfg(feature = "keys")]
pub mod keys;
pub mod limits;
mod role;
mod time;
pub mod wire;

pub use self::auth::Authenticated;
pub use self::limits::Limits;
pub use self::role::Role;
pub use self::time::{Instant, Timer};
