//! The default provider: RustCrypto, in pure Rust.
