//! See [`ssh_fuzz::negotiation`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::negotiation(data));
