//! See [`ssh_fuzz::public_key_line`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::public_key_line(data));
