//! What streams leave behind.

use std::fmt;

use crate::error::HostError;
use crate::host::Host;
use crate::proxy::Proxy;
use crate::request::Request;

/// How much a host grew over many streams.
///
/// A guest's memory grows in steps of 64 KiB or more, and never shrinks, so that a small leak needs
/// many streams to show. An allocator that grows its heap early is no leak: that is what the streams
/// before the first count are for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Growth {
    /// The streams that were counted.
    pub streams: usize,
    /// Linear memory of all VMs, in bytes.
    pub memory: i64,
    /// Contexts that guests were not told to delete.
    pub contexts: i64,
    /// Metrics ids that guests defined; Envoy keeps them as long as the VM.
    pub metric_ids: i64,
    /// Keys of shared data.
    pub shared_data: i64,
    /// Messages in shared queues.
    pub queued: i64,
    /// Streams that are not over.
    pub open_streams: i64,
    /// Timers, answers and timeouts that wait for the clock.
    pub scheduled: i64,
}

impl Growth {
    /// The figures with their names.
    fn figures(&self) -> [(&'static str, i64); 7] {
        [
            ("bytes of memory", self.memory),
            ("contexts", self.contexts),
            ("metric ids", self.metric_ids),
            ("keys of shared data", self.shared_data),
            ("messages in shared queues", self.queued),
            ("open streams", self.open_streams),
            ("things on the agenda", self.scheduled),
        ]
    }

    /// Whether anything grew.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.figures().iter().all(|(_, figure)| *figure <= 0)
    }

    /// Asserts that nothing grew.
    ///
    /// # Panics
    ///
    /// If something did; the message says what, and by how much.
    #[track_caller]
    pub fn assert_none(&self) {
        assert!(self.is_none(), "{self}");
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            streams: self.streams - before.streams,
            memory: self.memory - before.memory,
            contexts: self.contexts - before.contexts,
            metric_ids: self.metric_ids - before.metric_ids,
            shared_data: self.shared_data - before.shared_data,
            queued: self.queued - before.queued,
            open_streams: self.open_streams - before.open_streams,
            scheduled: self.scheduled - before.scheduled,
        }
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "over {} streams the host grew by", self.streams)?;
        let grown = self.figures().into_iter().filter(|(_, figure)| *figure > 0);
        let mut grown = grown.peekable();
        if grown.peek().is_none() {
            return f.write_str(" nothing");
        }
        for (index, (name, figure)) in grown.enumerate() {
            let separator = if index > 0 { "," } else { "" };
            write!(f, "{separator} {figure} {name}")?;
        }
        Ok(())
    }
}

impl Host {
    /// Sends requests, `streams` of them and half as many before, and counts what is left of them.
    /// `request` is told the number of the request, from 0.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn growth(
        &mut self,
        streams: usize,
        mut request: impl FnMut(usize) -> Request,
    ) -> Result<Growth, HostError> {
        let first = streams / 2;
        for number in 0..first {
            self.send(request(number))?;
        }
        let before = self.proxy.size(0);
        for number in first..first + streams {
            self.send(request(number))?;
        }
        Ok(self.proxy.size(streams).since(&before))
    }

    /// The bytes of linear memory that a plugin's VM has in the first worker; None where there is no
    /// plugin of this name, or it did not start.
    #[must_use]
    pub fn memory(&self, plugin: &str) -> Option<usize> {
        let infos = &self.proxy.world.plugins;
        let handles = self.proxy.threads.get(1)?.handles.iter();
        let named = |(at, _): &(usize, _)| &*infos[*at].name == plugin;
        let (_, handle) = handles
            .enumerate()
            .filter_map(|(at, handle)| Some((at, (*handle)?)))
            .find(named)?;
        Some(self.proxy.vms[handle.vm].memory_size())
    }
}

impl Proxy {
    fn size(&self, streams: usize) -> Growth {
        let vms = || self.vms.iter();
        let world = &self.world;
        Growth {
            streams,
            memory: count(vms().map(crate::vm::Vm::memory_size).sum()),
            contexts: count(vms().map(crate::vm::Vm::context_count).sum()),
            metric_ids: count(vms().map(crate::vm::Vm::metric_id_count).sum()),
            shared_data: count(world.shared_data.len()),
            queued: count(world.shared_queues.len()),
            open_streams: count(
                world
                    .streams
                    .iter()
                    .filter(|stream| stream.is_open())
                    .count(),
            ),
            scheduled: count(world.agenda.len()),
        }
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
