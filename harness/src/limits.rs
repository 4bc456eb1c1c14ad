//! What a callback may use before the harness ends the test. Envoy has no such limits.

use std::time::Duration;

/// Callbacks that read dictionaries or compile rules: what takes seconds there costs no request any time.
const STARTS: [&str; 7] = [
    "(start)",
    "_initialize",
    "_start",
    "main",
    "__main_void",
    "proxy_on_vm_start",
    "proxy_on_configure",
];

/// What one callback may use, unless somebody has said otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Units of fuel.
    pub(crate) fuel: Option<u64>,
    /// Time of the wall clock.
    pub(crate) deadline: Option<Duration>,
}

/// What one callback may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) fuel: u64,
    pub(crate) deadline: Duration,
}

impl Limits {
    /// The limit of an export.
    pub(crate) fn of(self, export: &str) -> Limit {
        let starts = STARTS.contains(&export);
        // A callback that burns this much does not end: it would take seconds, and a start half a minute. The
        // time is for a machine, or a test, to which the fuel is worth more.
        let (fuel, seconds) = if starts {
            (50_000_000_000, 60)
        } else {
            (2_000_000_000, 10)
        };
        Limit {
            fuel: self.fuel.unwrap_or(fuel),
            deadline: self.deadline.unwrap_or(Duration::from_secs(seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_may_take_longer_than_what_a_request_waits_for_unless_somebody_says_otherwise() {
        let unset = Limits::default();
        let (start, request) = (
            unset.of("proxy_on_configure"),
            unset.of("proxy_on_request_headers"),
        );
        assert!(start.fuel > request.fuel && start.deadline > request.deadline);
        let set = Limits {
            fuel: Some(7),
            deadline: Some(Duration::from_secs(1)),
        };
        for export in ["proxy_on_configure", "proxy_on_request_headers"] {
            let limit = set.of(export);
            assert_eq!((limit.fuel, limit.deadline.as_secs()), (7, 1), "{export}");
        }
    }
}
