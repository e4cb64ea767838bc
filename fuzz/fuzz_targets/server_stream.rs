//! See [`ssh_fuzz::server_stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::server_stream(data));
