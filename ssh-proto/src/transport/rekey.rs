//! When keys are to be replaced (RFC 4253 section 9, RFC 4344 section 3), and how often the peer may ask for it.

use core::time::Duration;

use crate::error::Limit;
use crate::limits::{FREE_REKEY_BYTES, Limits, REKEY_PACKETS};
use crate::time::Instant;

/// The thresholds of [`Limits`] that key usage is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RekeyPolicy {
    bytes: u64,
    packets: u64,
    peer_rekeys: u32,
    peer_interval: Duration,
}

/// Key exchanges that the peer began, counted by interval.
#[derive(Debug, Default)]
pub(crate) struct PeerRekeys {
    since: Instant,
    count: u32,
}

impl RekeyPolicy {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            bytes: limits.rekey_bytes,
            packets: limits.rekey_packets.min(REKEY_PACKETS),
            peer_rekeys: limits.peer_rekeys,
            peer_interval: limits.peer_rekey_interval,
        }
    }

    /// Whether a direction has used its keys enough.
    pub(crate) fn is_due(&self, bytes: u64, packets: u64) -> bool {
        bytes >= self.bytes || packets >= self.packets
    }

    /// Counts a key exchange that the peer began after this many bytes both ways, unless they are
    /// reason enough for it.
    pub(crate) fn admit(
        &self,
        peer: &mut PeerRekeys,
        bytes: u64,
        now: Instant,
    ) -> Result<(), Limit> {
        if bytes >= FREE_REKEY_BYTES {
            return Ok(());
        }
        if now - peer.since > self.peer_interval {
            *peer = PeerRekeys {
                since: now,
                count: 0,
            };
        }
        peer.count = peer.count.saturating_add(1);
        match peer.count > self.peer_rekeys {
            true => Err(Limit::PeerRekeys),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f3_thresholds() {
        let limits = Limits {
            rekey_bytes: 100,
            rekey_packets: 10,
            ..Limits::default()
        };
        let policy = RekeyPolicy::new(&limits);
        assert!(!policy.is_due(99, 9));
        assert!(policy.is_due(100, 0));
        assert!(policy.is_due(0, 10));
        let limits = Limits {
            rekey_packets: u64::MAX,
            ..Limits::default()
        };
        assert!(
            RekeyPolicy::new(&limits).is_due(0, 1 << 31),
            "never past RFC 4344"
        );
    }

    #[test]
    fn f5_rekey_budget() {
        let limits = Limits {
            peer_rekeys: 2,
            peer_rekey_interval: Duration::from_secs(1),
            ..Limits::default()
        };
        let policy = RekeyPolicy::new(&limits);
        let mut peer = PeerRekeys::default();
        let at = Instant::from_micros;
        assert_eq!(policy.admit(&mut peer, 0, at(1)), Ok(()));
        assert_eq!(policy.admit(&mut peer, FREE_REKEY_BYTES - 1, at(2)), Ok(()));
        assert_eq!(policy.admit(&mut peer, 0, at(3)), Err(Limit::PeerRekeys));
        assert_eq!(
            policy.admit(&mut peer, FREE_REKEY_BYTES, at(4)),
            Ok(()),
            "data was reason enough"
        );
        assert_eq!(policy.admit(&mut peer, 0, at(5)), Err(Limit::PeerRekeys));
        assert_eq!(
            policy.admit(&mut peer, 0, at(2_000_000)),
            Ok(()),
            "a new interval"
        );
    }
}
