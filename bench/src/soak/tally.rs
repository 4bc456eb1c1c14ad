//! What became of streams.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts that all threads raise.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) streams: AtomicU64,
    /// Answered as they should be, to the last byte.
    pub(super) answered: AtomicU64,
    pub(super) client_resets: AtomicU64,
    /// Those that ended for the client as they should.
    pub(super) upstream_resets: AtomicU64,
    /// Not answered though nobody had reset anything.
    pub(super) lost: AtomicU64,
    /// 5xx though nobody had reset anything.
    pub(super) unmeant: AtomicU64,
    /// Answers that are not those of the upstream.
    pub(super) wrong_answers: AtomicU64,
    /// Ends of streams that the upstream has reset which are not what Envoy should make of it.
    pub(super) wrong_resets: AtomicU64,
    /// Requests that came to the upstream otherwise than the filter should have them.
    pub(super) wrong_requests: AtomicU64,
    /// Requests that clients sent to the end, with a secret in them.
    pub(super) secrets: AtomicU64,
    /// Requests whose heads came to the upstream, which searches them at once.
    pub(super) searched: AtomicU64,
    /// Those of them whose bodies did not come to their ends.
    pub(super) cut: AtomicU64,
    /// Requests that came to the upstream with a secret.
    pub(super) leaks: AtomicU64,
}

pub(super) fn raise(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn of(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
