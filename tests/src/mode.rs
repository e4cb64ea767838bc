//! The ways in which every behavioural test is run: how bytes are split, how often keys are replaced.
//!
//! Every behavioural test whose sides are both ours runs under [`for_each_mode`]; one with a hostile
//! peer under [`for_each_chunking`], since there a rekey is a step of the test. Less is right only
//! where a mode would take away what is measured, and the test says so: exact rekey thresholds,
//! memory counted by an allocator (`memory.rs`), work counted for each byte (U5), input that is
//! never parsed, calls without a byte in between, what passes through a [`Mitm`](crate::mitm::Mitm),
//! and tests that are themselves about modes
//! (U2, U10, `harness.rs`, `invariance.rs`, `soak.rs`).

use ssh_proto::Limits;

/// How a stream of bytes is cut before it is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunking {
    /// Everything that is there at once.
    Whole,
    /// One byte at a time.
    ByteAtATime,
    /// Pieces of random size, mostly small, in memory of their own half of the time.
    Random(u64),
}

/// How a test is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// How bytes are cut, in both directions.
    pub chunking: Chunking,
    /// Packets in either direction after which each side begins a key exchange.
    pub rekey_every: Option<u64>,
    /// Bytes in either direction after which each side begins a key exchange.
    pub rekey_bytes: Option<u64>,
    /// Where the randomness of both sides and of the link begins.
    pub seed: u64,
}

impl Mode {
    /// Everything whole, keys kept.
    pub const PLAIN: Self = Self {
        chunking: Chunking::Whole,
        rekey_every: None,
        rekey_bytes: None,
        seed: 1,
    };

    /// The modes of [`for_each_mode`].
    pub const ALL: [Self; 7] = [
        Self::PLAIN,
        Self {
            chunking: Chunking::ByteAtATime,
            ..Self::PLAIN
        },
        Self {
            chunking: Chunking::Random(2),
            ..Self::PLAIN
        },
        Self {
            rekey_every: Some(3),
            ..Self::PLAIN
        },
        Self {
            chunking: Chunking::ByteAtATime,
            rekey_every: Some(5),
            ..Self::PLAIN
        },
        Self {
            rekey_bytes: Some(4 << 10),
            ..Self::PLAIN
        },
        Self {
            chunking: Chunking::ByteAtATime,
            rekey_bytes: Some(4 << 10),
            ..Self::PLAIN
        },
    ];

    /// Changes limits as this mode wants them.
    pub fn apply(&self, limits: &mut Limits) {
        if let Some(packets) = self.rekey_every {
            limits.rekey_packets = packets;
        }
        if let Some(bytes) = self.rekey_bytes {
            limits.rekey_bytes = bytes;
        }
        if self.rekeys() {
            // The virtual clock stands still, so all exchanges fall into one interval.
            limits.peer_rekeys = u32::MAX;
        }
    }

    /// Whether keys are replaced on the way.
    pub fn rekeys(&self) -> bool {
        self.rekey_every.is_some() || self.rekey_bytes.is_some()
    }

    /// The same, but keys are kept.
    pub fn without_rekeys(self) -> Self {
        Self {
            rekey_every: None,
            rekey_bytes: None,
            ..self
        }
    }

    /// A size for bulk data: `bytes`, or less where each byte or each few packets cost much.
    pub fn bulk(&self, bytes: usize) -> usize {
        match (self.chunking, self.rekeys()) {
            (Chunking::ByteAtATime, _) => bytes.min(48 << 10),
            (_, true) => bytes.min(512 << 10),
            (Chunking::Random(_), false) => bytes.min(256 << 10),
            (Chunking::Whole, false) => bytes,
        }
    }
}

/// Runs a test under every mode. The mode of the failure stands last in the captured output.
pub fn for_each_mode(mut test: impl FnMut(Mode)) {
    for mode in Mode::ALL {
        println!("{mode:?}");
        test(mode);
    }
}

/// Runs a test with bytes cut in every way and keys kept, for tests with a hostile peer.
pub fn for_each_chunking(mut test: impl FnMut(Mode)) {
    for mode in Mode::ALL {
        if !mode.rekeys() {
            println!("{mode:?}");
            test(mode);
        }
    }
}
