//! Connections over HTTP/1.1 that call-outs have left idle: each worker has its own to each cluster.

use std::collections::BTreeMap;

use crate::headers::Headers;

/// How many there are, by thread and cluster.
#[derive(Debug, Default)]
pub(crate) struct CallConnections(BTreeMap<(usize, usize), usize>);

impl CallConnections {
    /// A call is over, and its connection is of further use.
    pub(crate) fn leave(&mut self, thread: usize, cluster: usize) {
        *self.0.entry((thread, cluster)).or_default() += 1;
    }

    /// A call gets one, if there is one.
    pub(crate) fn take(&mut self, thread: usize, cluster: usize) -> bool {
        let count = self
            .0
            .get_mut(&(thread, cluster))
            .filter(|count| **count > 0);
        count.map(|count| *count -= 1).is_some()
    }
}

/// Whether a cluster keeps the connection open behind a response.
pub(crate) fn stays_open(headers: &Headers) -> bool {
    let closes = |value: &[u8]| {
        let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        options.any(|option| option.eq_ignore_ascii_case(b"close"))
    };
    !headers.get_all("connection").any(closes)
}
