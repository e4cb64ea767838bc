//! Random bytes that must not take part in the order in which key exchange draws its own: padding (RFC 4253 section 6), fuzzy timing.

use alloc::boxed::Box;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::{HashAlgorithm, SecureRandom};
use crate::error::RandomFailed;

/// Random bytes, expanded from a seed that is drawn once: however many are used changes nothing of
/// what is drawn for other ends.
pub(crate) struct RandomStream {
    sha256: &'static dyn HashAlgorithm,
    /// In a place of its own, where the seed is filled in: what is moved leaves a copy behind.
    state: Box<State>,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct State {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl RandomStream {
    pub(super) fn new(
        sha256: &'static dyn HashAlgorithm,
        random: &mut dyn SecureRandom,
    ) -> Result<Self, RandomFailed> {
        let mut state = Box::new(State {
            seed: [0; 32],
            counter: 0,
            block: [0; 32],
            used: 32,
        });
        random.fill(&mut state.seed)?;
        Ok(Self { sha256, state })
    }

    pub(crate) fn fill(&mut self, dest: &mut [u8]) {
        let state = &mut self.state;
        for byte in dest {
            if state.used >= state.block.len() {
                let block = self
                    .sha256
                    .hash(&[&state.seed, &state.counter.to_be_bytes()]);
                state.counter = state.counter.wrapping_add(1);
                state.used = 0;
                for (to, from) in state.block.iter_mut().zip(block.as_ref()) {
                    *to = *from;
                }
            }
            *byte = state.block.get(state.used).copied().unwrap_or_default();
            state.used = state.used.saturating_add(1);
        }
    }
}
