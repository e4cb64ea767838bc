//! What the examples or the peers do not do yet. Delete an entry and its cells run;
//! `SSH_INTEROP_PENDING=1` runs them all.

use crate::matrix::Scenario;

/// Scenarios that wait for flags of the example server and client.
const SCENARIOS: &[Scenario] = &[
    Scenario::KeyboardInteractive,
    Scenario::LocalForward,
    Scenario::RemoteForward,
    Scenario::DynamicForward,
    Scenario::UnixForward,
    Scenario::RemoteUnixForward,
    Scenario::AgentForward,
];

/// Peers that wait for their program in `tests/interop/peers`.
const PEERS: &[&str] = &["libssh2"];

/// Whether the cell is left out.
pub(crate) fn is_pending(peer: &str, scenario: Scenario) -> bool {
    awaited(scenario) || PEERS.contains(&peer)
}

/// Whether the examples have no flag for this yet.
pub(crate) fn awaited(scenario: Scenario) -> bool {
    SCENARIOS.contains(&scenario)
}
