//! The wire format (RFC 4251 section 5) and every message of the protocol as a plain value.
//!
//! Values borrow from the payload they were decoded from. Decoding is strict: a payload with a
//! byte too few or too many is an error, and what decodes encodes to the same bytes.

#[macro_use]
mod message;
pub mod auth;
pub mod connection;
pub mod extension;
pub mod kex;
pub mod number;
pub(crate) mod outbox;
pub(crate) mod show;
pub(crate) mod trace;
pub mod transport;
mod types;

pub(crate) use self::message::decode;
#[cfg(feature = "agent")]
pub(crate) use self::message::wire_struct;
pub use self::message::{Field, Message, Rest};
pub use self::types::{Mpint, NameList, Reader, put_mpint, put_string};
