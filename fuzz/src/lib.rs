//! The bodies of the fuzz targets: plain functions of bytes, that a fuzzer, a test or a debugger calls.
//!
//! A body panics where an invariant breaks and returns otherwise. The work that one input can
//! cause is bounded by its length and by fixed counts.

mod app;
mod endpoint;
mod link;
mod messages;
mod peer;
pub mod provider;
mod targets;

pub use self::targets::agent::{agent_client, agent_server};
pub use self::targets::certificate::certificate;
pub use self::targets::key_lists::{allowed_signers, authorized_keys, known_hosts, krl, sshsig};
pub use self::targets::keys::{openssh_key, pem_key, ppk_key, public_key_line, rfc4716_key};
pub use self::targets::moduli::moduli;
pub use self::targets::negotiation::negotiation;
pub use self::targets::packets::packets;
pub use self::targets::pair_ops::pair_ops;
pub use self::targets::signature::signature;
pub use self::targets::stream::{client_stream, ident, server_stream};
pub use self::targets::wire::wire;
pub use self::targets::zlib::zlib;

/// A target: its name, which is that of its corpus folder, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 23] = [
    ("agent_client", agent_client),
    ("agent_server", agent_server),
    ("allowed_signers", allowed_signers),
    ("authorized_keys", authorized_keys),
    ("certificate", certificate),
    ("client_stream", client_stream),
    ("ident", ident),
    ("known_hosts", known_hosts),
    ("krl", krl),
    ("moduli", moduli),
    ("negotiation", negotiation),
    ("openssh_key", openssh_key),
    ("packets", packets),
    ("pair_ops", pair_ops),
    ("pem_key", pem_key),
    ("ppk_key", ppk_key),
    ("public_key_line", public_key_line),
    ("rfc4716_key", rfc4716_key),
    ("server_stream", server_stream),
    ("signature", signature),
    ("sshsig", sshsig),
    ("wire", wire),
    ("zlib", zlib),
];
