//! See [`ssh_fuzz::client_stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::client_stream(data));
