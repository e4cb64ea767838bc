//! See [`ssh_fuzz::pair_ops`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::pair_ops(data));
