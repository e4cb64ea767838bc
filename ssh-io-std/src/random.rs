//! Randomness: the operating system's.

use ssh_proto::crypto::SecureRandom;
use ssh_proto::error::RandomFailed;

/// The operating system's source of randomness, to be given to connections and key generation.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl SecureRandom for OsRandom {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        getrandom::fill(dest).map_err(|_| RandomFailed)
    }
}
