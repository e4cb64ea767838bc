//! See [`ssh_fuzz::pem_key`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::pem_key(data));
