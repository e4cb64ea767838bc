//! Sans-IO SSH-2 protocol core.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod auth;
pub mod crypto;
pub mod error;
pub mod limits;
mod role;
mod time;
pub mod wire;

pub use self::auth::{AuthMethod, AuthOutcome, Authenticated, Banner, MethodSet, Password};
pub use self::limits::Limits;
pub use self::role::Role;
pub use self::time::{Instant, Timer};
