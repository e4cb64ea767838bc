//! Runs the unit tests of the example server's parts: an example that is itself tested would not be built for `server_example`.
#![cfg(unix)]
#![allow(dead_code, reason = "what connects the parts is in the example")]

#[path = "../examples/server/account.rs"]
mod account;
#[path = "../examples/server/args.rs"]
mod args;
#[path = "../examples/server/authorized_keys.rs"]
mod authorized_keys;
#[path = "../examples/server/child.rs"]
mod child;
#[path = "../examples/common/files.rs"]
mod files;
#[path = "../examples/server/host_keys.rs"]
mod host_keys;
#[path = "../examples/server/log.rs"]
mod log;
#[path = "../examples/server/login.rs"]
mod login;
#[path = "../examples/server/methods.rs"]
mod methods;
#[path = "../examples/server/places.rs"]
mod places;
#[path = "../examples/server/process.rs"]
mod process;
#[path = "../examples/common/provider.rs"]
mod provider;
#[path = "../examples/server/pty.rs"]
mod pty;
#[path = "../examples/common/revoked.rs"]
mod revoked;
#[path = "../examples/server/x11.rs"]
mod x11;
