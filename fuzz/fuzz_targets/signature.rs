//! See [`ssh_fuzz::signature`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::signature(data));
