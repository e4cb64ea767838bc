//! Test support: client and server joined by a seeded link under a virtual clock, a hostile peer of either role, and scripted applications.
//!
//! Nothing here opens a socket, reads a clock or asks the system for randomness: with the same
//! seed, the same test does the same to the byte.
//!
//! - [`Pair`] joins a client and a server. A [`Mode`] says how the bytes between them are split
//!   and how often keys are replaced; [`for_each_mode`] runs a test under all of them.
//! - [`Hostile`] joins one connection and a [`RawPeer`], which shares no code with the transport
//!   of `ssh-proto` and can do every step wrong.
//! - [`ClientApp`] and [`ServerApp`] are applications for tests that are about something else.
//!   Any closure that takes a connection and an event will do as well, see [`App`].
//! - [`Login`] is a pair before authentication, [`Connected`] one behind it, for tests that answer
//!   each event by hand, with the help of [`take!`].
//!
//! ```
//! use ssh_tests::{ClientApp, Job, Mode, Pair, ServerApp};
//!
//! let mut client = ClientApp::new([Job::with_input("echo", "hello")]).then_disconnect();
//! let mut pair = Pair::new(Mode { rekey_every: Some(3), ..Mode::PLAIN });
//! pair.run(&mut client, &mut ServerApp::new());
//! assert_eq!(client.results[0].stdout, b"hello");
//! assert!(pair.server_end().is_some());
//! ```
//!
//! A peer that breaks a rule, and what it gets for it:
//!
//! ```
//! use ssh_proto::{ServerConnection, error::DisconnectReason};
//! use ssh_tests::{Hostile, Mode, Stage};
//!
//! let mut hostile = Hostile::<ServerConnection>::at(Stage::Service, Mode::PLAIN);
//! hostile.send_payload(&[90]); // CHANNEL_OPEN before authentication.
//! hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
//! ```
//!
//! Attacks are named by their items in the notes on the protocol: `b8_`, `g17_`; those of the mux, of
//! authentication alone, of algorithms and of key files are beside the code (`d9_`, `m4_`, `o2_`), as
//! are ports that are bound and key files that are written in `ssh-io-std` (`m13_`). O1, O4 and O8 are
//! statistics over a long run, and are ignored unless asked for (`timing.rs`, which says how).
//!
//! Item 20 of section 8 and group K are about SFTP, which is not there to be attacked yet. And these
//! are not tested for what they cannot be: G13's and G16's largest values, which no packet carries
//! before authentication (beside the code); G17's request that was not announced, since servers
//! always announce it; P5's run under Miri, which takes a nightly compiler: the core has no unsafe
//! code for it to judge.

pub mod agent;
pub mod app;
pub mod attack;
pub mod connected;
pub mod endpoint;
pub mod faults;
pub mod fixtures;
pub mod hostile;
pub mod link;
pub mod login;
pub mod mitm;
pub mod mode;
pub mod pair;
pub mod raw;
mod raw_kex;
pub mod rng;
pub mod transcript;

pub use self::agent::AgentPair;
pub use self::app::{ClientApp, Credential, Job, JobResult, ServerApp};
pub use self::connected::{Connected, read_all};
pub use self::endpoint::{App, Endpoint, Inbox};
pub use self::hostile::{Hostile, Stage};
pub use self::link::Link;
pub use self::login::Login;
pub use self::mode::{Chunking, Mode, for_each_chunking, for_each_mode};
pub use self::pair::{Pair, PairBuilder};
pub use self::raw::{RawPacket, RawPeer};
pub use self::raw_kex::{RawGex, RawOffer, RawReply, mpint};
pub use self::rng::TestRng;
pub use self::transcript::Transcript;
