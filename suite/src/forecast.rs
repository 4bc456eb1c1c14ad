//! How far a case comes, and when: what the harness says is waited for on Envoy, where times are real and
//! the machine may be busy.

use std::time::Duration;

use crate::seen::Seen;

/// What the harness saw of a case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forecast {
    /// How far it had come when each step was over.
    pub(crate) steps: Vec<Milestone>,
    /// And in the end.
    pub(crate) end: Milestone,
    /// How long it lasts.
    pub(crate) lasts: Duration,
    pub(crate) seen: Seen,
}

/// How far a case has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Milestone {
    /// So many lines of its filters are logged.
    pub(crate) lines: usize,
    /// Its last request has ended; in the end, all of them.
    pub(crate) ended: bool,
}

impl Forecast {
    /// How many requests the upstream received.
    pub(crate) fn arrivals(&self) -> usize {
        let streams = self.seen.streams.iter();
        streams.filter(|stream| stream.upstream.is_some()).count()
    }
}
