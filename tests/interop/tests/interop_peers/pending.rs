//! What the examples do not do yet. Delete an entry and its cells run;
//! `SSH_INTEROP_PENDING=1` runs them all.

use crate::matrix::Scenario;

/// Scenarios that wait for flags of the example server and client.
const SCENARIOS: &[Scenario] = &[];

/// Whether the examples have no flag for this yet.
pub(crate) fn awaited(scenario: Scenario) -> bool {
    SCENARIOS.contains(&scenario)
}
