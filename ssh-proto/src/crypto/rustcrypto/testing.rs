//! What the tests of the provider share: hexadecimal, and a source of randomness that follows a script.

use alloc::vec::Vec;

use crate::crypto::SecureRandom;
use crate::error::RandomFailed;

pub(in crate::crypto) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The bytes from `first` on.
pub(super) fn counting(first: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| first.wrapping_add(i as u8)).collect()
}

/// Delivers the bytes it was given, then fails.
pub(super) struct Script(pub(super) Vec<u8>);

impl SecureRandom for Script {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        if dest.len() > self.0.len() {
            return Err(RandomFailed);
        }
        let rest = self.0.split_off(dest.len());
        dest.copy_from_slice(&core::mem::replace(&mut self.0, rest));
        Ok(())
    }
}
