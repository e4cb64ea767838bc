//! See [`ssh_fuzz::openssh_key`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::openssh_key(data));
