//! See [`ssh_fuzz::allowed_signers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::allowed_signers(data));
