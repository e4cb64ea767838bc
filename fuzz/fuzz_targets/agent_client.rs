//! See [`ssh_fuzz::agent_client`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_fuzz::agent_client(data));
