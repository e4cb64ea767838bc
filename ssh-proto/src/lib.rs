//! SSH-2, client and server, as a pure state machine: bytes and time go in; bytes, deadlines and events come out.
//!
//! There is no socket, clock, thread or source of randomness inside. A [`ClientConnection`] or
//! [`ServerConnection`] is a value that is driven through the trait [`Connection`] by whatever owns
//! the transport: a blocking loop, an event loop, an async runtime, a test, a fuzzer, or a channel
//! of another connection.
//!
//! # Ten names
//! - [`ClientConfig`] and [`ServerConfig`], built once and shared: algorithms of a
//!   [`CryptoProvider`](crypto::CryptoProvider), host keys, [`Limits`].
//! - [`ClientConnection`] and [`ServerConnection`], and [`Connection`], the trait that drives both.
//! - [`ClientEvent`] and [`ServerEvent`], each around the [`Event`]s that both roles share.
//! - [`ChannelId`] names a channel; one that is closed is never another.
//! - [`Error`] says whether the peer, the caller or a limit was at fault.
//!
//! # Decisions are tokens
//! Whatever the application decides comes as an owned token in an event: whether a host key is the
//! right one ([`HostKeyCheck`]), how to authenticate ([`AuthTurn`]), whether a request authenticates
//! ([`AuthRequest`]), whether a channel may be opened ([`IncomingChannel`]), a signature by a key that
//! lives elsewhere ([`SignRequest`]). A token is passed to the method that answers it, whenever the
//! answer is known; dropping it is the safe answer. There is no default that accepts.
//!
//! # A session between two buffers
//! ```
#![doc = include_str!("../examples/quickstart.rs")]
//! ```
//!
//! # Features
//! - `rustcrypto` (default): [`crypto::rustcrypto`], a provider in pure Rust.
//! - `rsa` (default): RSA in that provider. Its library is a pre-release, and pinned.
//! - `legacy`: weak algorithms for old peers, which are offered where a config names them alone.
//! - `zlib` (default): the compression `zlib@openssh.com`, offered where a config names it alone.
//! - `graviola`, `aws-lc-rs`, `purecrypto`: faster providers below [`crypto`]. They want std, and the
//!   first and the last a newer compiler than `rust-version`.
//! - `keys` (default): [`keys`], files of keys and of what is known about keys.
//! - `pem` (default), `ppk`: private keys in the forms of OpenSSL and of PuTTY.
//! - `agent`: [`agent`], the agent protocol, both asking an agent and being one. Implies `keys`.
//! - `tracing`: what happens on each connection, see below.
//! - `arbitrary`: `Arbitrary` for [wire messages](wire), for property tests and fuzzing.
//!
//! # Tracing
//! With the feature `tracing`, each connection has a span `connection` with its `role`, a child of
//! the span that is current where the connection is made, and tells the subscribers of the crate
//! `tracing`, under the target `ssh_proto`:
//! - `WARN`: an error or a limit ends the connection, a packet is forged.
//! - `INFO`: who the peer says it is, what was negotiated, how authentication goes and how the
//!   connection ends.
//! - `DEBUG`: phases, questions to the application and their answers, and the messages that
//!   everything else follows from: services, key exchanges, requests, channels.
//! - `TRACE`: each packet, sent and received, decoded. Passwords, answers to prompts, tokens of
//!   GSS-API, X11 cookies, values of environment variables, what belongs to methods and requests
//!   that are unknown here, and all channel data, that of agents included, are shown by their length
//!   at most. User names, commands, paths and host names are shown.
//!
//! These are the levels `WARNING`, `PROTOCOL` (two here) and `PACKET` of libssh. Its `FUNCTIONS` has
//! no counterpart: no function here is worth following that neither a packet nor a question marks.
//! Text of the peer stands escaped in all of them. Without the feature nothing of it is compiled;
//! where nobody listens, a packet costs the look at a level.
#![no_std]
#![forbid(unsafe_code)]
// Peer input never panics.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;
// `derive(Arbitrary)` names `std`.
#[cfg(any(test, feature = "arbitrary"))]
extern crate std;

#[cfg(feature = "agent")]
pub mod agent;
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
mod trace;
mod transport;
pub mod wire;

pub use self::auth::{
    AuthMethod, AuthOutcome, AuthStep, Authenticated, Banner, GssapiError, GssapiStep, MethodSet,
    Password, Permissions, Prompt, Prompts, Restrictions, ServerGssapi,
};
pub use self::client::{ClientConfig, ClientConfigBuilder, ClientConnection, ClientEvent};
pub use self::config::ConfigError;
pub use self::connection::Connection;
pub use self::engine::Transmit;
pub use self::engine::event::{Disconnected, Event, PeerExtensions, RequestRefused};
pub use self::engine::host_keys::HostKeyProofError;
pub use self::engine::policy::{Incoming, LoginFailure};
pub use self::engine::token::{
    AuthRequest, AuthTurn, ForgedPacket, GssapiTurn, HostKeyCheck, IncomingChannel,
    IncomingGlobalRequest, IncomingRequest, KeyQuery, PromptsRequest, SignRequest,
    UnverifiedAttempt,
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
pub use self::transport::kex::{Negotiated, NegotiatedSuite, SessionId, Weakness};
