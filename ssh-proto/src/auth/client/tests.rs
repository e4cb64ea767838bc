//! The client against hand-made servers (RFC 4252).
