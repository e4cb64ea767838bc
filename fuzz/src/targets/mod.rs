//! The targets by subject.

pub(crate) mod agent;
pub(crate) mod certificate;
pub(crate) mod key_lists;
pub(crate) mod keys;
pub(crate) mod moduli;
pub(crate) mod negotiation;
pub(crate) mod packets;
pub(crate) mod pair_ops;
pub(crate) mod signature;
pub(crate) mod stream;
pub(crate) mod wire;
pub(crate) mod zlib;
