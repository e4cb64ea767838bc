//! The server against hand-made clients (RFC 4252).
