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
mod mux;
mod role;
mod time;
pub mod wire;

pub use self::auth::Authenticated;
pub use self::limits::Limits;
pub use self::mux::{
    ChannelError, ChannelId, ChannelKind, ChannelRequest, Chunk, DataStream, ExitSignal,
    GlobalRequest, OpenFailure, PeerOpens, Pty, RequestId, X11Cookie,
};
pub use self::role::Role;
pub use self::time::{Instant, Timer};
