//! See [`ssh_fuzz::rfc4716_key`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::rfc4716_key(data));
