//! Why cells are empty.

use super::Cell;
use super::universe::{ONLY_0_1_0, WASI};

/// Why some cells are never drawn.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reason {
    /// Which host calls; none means all.
    calls: &'static [&'static str],
    /// Which callbacks; none means all.
    callbacks: &'static [&'static str],
    /// Which actions; none means all.
    actions: &'static [&'static str],
    /// The reason, after "because".
    pub text: &'static str,
}

impl Reason {
    pub(super) fn covers(&self, cell: &Cell) -> bool {
        let among = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        among(self.calls, cell.call)
            && among(self.callbacks, cell.callback)
            && among(self.actions, cell.action)
    }
}

/// The table. A line goes when what it is about is drawn.
pub(crate) const REASONS: &[Reason] = &[
    Reason {
        calls: &[],
        callbacks: &["validate_configuration", "foreign_function"],
        actions: &[],
        text: "Envoy never calls these callbacks",
    },
    Reason {
        calls: &[],
        callbacks: &["request_metadata", "response_metadata"],
        actions: &[],
        text: "no peer of a suite sends METADATA",
    },
    Reason {
        calls: &[],
        callbacks: &["stats_update"],
        actions: &[],
        text: "a stats sink is told of the whole process, and needs an Envoy of its own: \
               conformance/suites/entry-points.suite.yaml has it",
    },
    Reason {
        calls: &[],
        callbacks: &["context_create", "vm_start", "configure"],
        actions: &["stop", "trap"],
        text: "a start that fails leaves nothing to play: conformance/suites/settled-starts.suite.yaml has it",
    },
    Reason {
        calls: WASI,
        callbacks: &[],
        actions: &[
            "stop", "stop 2", "stop 3", "reply", "close", "resume", "trap",
        ],
        text: "nothing of a function of WASI outlives it, so that one way to end the callback is enough",
    },
    Reason {
        calls: ONLY_0_1_0,
        callbacks: &[],
        actions: &["close"],
        text: "ABI 0.1.0 cannot close a stream",
    },
];
