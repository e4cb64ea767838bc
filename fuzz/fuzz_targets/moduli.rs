//! See [`ssh_fuzz::moduli`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::moduli(data));
