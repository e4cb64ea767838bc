//! See [`ssh_fuzz::ppk_key`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::ppk_key(data));
