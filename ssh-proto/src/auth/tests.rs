//! Client against server in memory (RFC 4252).
