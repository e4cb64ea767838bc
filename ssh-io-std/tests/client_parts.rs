//! Runs the unit tests of the example client's parts: an example that is itself tested would not be built for `client_example`.
#![cfg(unix)]
#![allow(
    dead_code,
    unused_imports,
    reason = "what connects the parts is in the example"
)]

#[path = "../examples/client/fingerprint.rs"]
mod fingerprint;
#[path = "../examples/client/log.rs"]
mod log;
#[path = "../examples/client/options.rs"]
mod options;
#[path = "../examples/client/pattern.rs"]
mod pattern;
