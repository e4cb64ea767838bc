//! See [`ssh_fuzz::authorized_keys`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::authorized_keys(data));
