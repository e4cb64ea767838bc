//! Sans-IO SSH-2 protocol core, client and server.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
// `derive(Arbitrary)` names `std`.
#[cfg(any(test, feature = "arbitrary"))]
extern crate std;

mod auth;
mod client;
mod config;
mod connection;
pub mod crypto;
mod engine;
pub mod error;
#[cfg(feature = "keys")]
pub mod keys;
pub mod limits;
mod mux;
mod role;
mod server;
mod text;
mod time;
mod transport;
pub mod wire;

pub use self::auth::{AuthMethod, AuthOutcome, Authenticated, Banner, MethodSet, Password};
pub use self::client::{ClientConfig, ClientConfigBuilder, ClientConnection, ClientEvent};
pub use self::config::ConfigError;
pub use self::connection::Connection;
pub use self::engine::Transmit;
pub use self::engine::event::{Disconnected, Event, PeerExtensions, RequestRefused};
pub use self::engine::token::{
    AuthRequest, AuthTurn, HostKeyCheck, IncomingChannel, IncomingGlobalRequest, IncomingRequest,
    KeyQuery, SignRequest,
};
pub use self::error::Error;
pub use self::limits::Limits;
pub use self::mux::*;
pub use self::role::Role;
pub use self::server::{ServerConfig, ServerConfigBuilder, ServerConnection, ServerEvent};
pub use self::text::PeerText;
pub use self::time::{Instant, Timer};
pub use self::transport::HostKey;
pub use self::transport::ident::Identification;
pub use self::transport::kex::{Negotiated, NegotiatedSuite, SessionId};
