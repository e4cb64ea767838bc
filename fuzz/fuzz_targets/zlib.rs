//! See [`ssh_fuzz::zlib`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::zlib(data));
