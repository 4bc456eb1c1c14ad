//! What a callback may use before the harness ends the test. Envoy has no such limits.

use std::time::Duration;

/// What one callback may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Units of fuel.
    pub(crate) fuel: u64,
    /// Time of the wall clock.
    pub(crate) deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A callback that burns this much does not end: it would take seconds.
            fuel: 2_000_000_000,
            // For a machine, or a test, to which the fuel is worth more.
            deadline: Duration::from_secs(10),
        }
    }
}
