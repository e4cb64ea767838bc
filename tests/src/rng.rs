//! A seeded generator that stands in for the system's randomness.

use ssh_proto::crypto::SecureRandom;
use ssh_proto::error::RandomFailed;

/// SplitMix64, seeded. Not secure at all: whoever knows the seed knows every key.
#[derive(Debug, Clone)]
pub struct TestRng(u64);

impl TestRng {
    /// The same seed yields the same bytes.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound as u64) as usize
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill_bytes(&mut bytes);
        bytes
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for chunk in dest.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

impl SecureRandom for TestRng {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        self.fill_bytes(dest);
        Ok(())
    }
}

/// A generator that delivers a number of times and then fails, for fault injection (U9).
#[derive(Debug, Clone)]
pub struct FailingRng {
    inner: TestRng,
    left: u32,
}

impl FailingRng {
    /// Fails from the call after `successes` calls on.
    pub const fn new(seed: u64, successes: u32) -> Self {
        Self {
            inner: TestRng::new(seed),
            left: successes,
        }
    }
}

impl SecureRandom for FailingRng {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        self.left = self.left.checked_sub(1).ok_or(RandomFailed)?;
        self.inner.fill(dest)
    }
}
