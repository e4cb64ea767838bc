//! See [`ssh_fuzz::ident`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::ident(data));
