//! What all VMs of a host share: time, streams, logs, metrics, shared data.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::abi::{Direction, LogLevel};
use crate::agenda::Agenda;
use crate::appointments::Appointment;
use crate::attributes::Attributes;
use crate::budgets::Budget;
use crate::calls::CallOut;
use crate::clock::{Clock, LastDate};
use crate::clusters::Clusters;
use crate::codec::Codec;
use crate::dns::Dns;
use crate::downstream::Downstream;
use crate::envoy_version::{EnvoyVersion, VersionDifference};
use crate::error::HostError;
use crate::exchange::{Exchange, StreamId};
use crate::http_calls::CallConnections;
use crate::known_difference::KnownGround;
use crate::lints::Lints;
use crate::metrics::Metrics;
use crate::mutation::{Mutator, Rule};
use crate::phases::Phases;
use crate::random::Random;
use crate::router::{Asked, IdleConnections};
use crate::shared_data::SharedData;
use crate::shared_queues::SharedQueues;
use crate::stream::Stream;
use crate::timeline::{LogLine, Timeline};
use crate::vm::PluginInfo;

/// Bytes of log lines that a host keeps: a guest that floods the log must not take all memory.
const LOG_KEPT: usize = 64 << 20;

/// Bytes of log lines that a stream keeps.
const STREAM_LOG_KEPT: usize = 16 << 20;

/// The state of a host that its VMs see. It is lent to a VM for the time of a call, so that no lock
/// and no cell is needed.
#[derive(Default)]
pub(crate) struct World {
    /// All plugins of the host; an index stays what it is.
    pub(crate) plugins: Vec<Arc<PluginInfo>>,
    pub(crate) clock: Clock,
    pub(crate) last_date: LastDate,
    /// When the host started.
    pub(crate) started: Duration,
    pub(crate) agenda: Agenda,
    /// What was due when; kept only if asked for.
    pub(crate) appointments: Option<Vec<Appointment>>,
    pub(crate) clusters: Clusters,
    pub(crate) call_outs: Vec<CallOut>,
    numbered: u64,
    /// Who waits for the answer of a cluster, in the order in which they asked.
    pub(crate) asked: VecDeque<Asked>,
    /// Connections that are closed and not logged yet.
    pub(crate) closed: VecDeque<(usize, StreamId)>,
    /// The cluster whose connection Envoy reads a gRPC answer from. What is asked of that cluster meanwhile is
    /// sent when all of it is read.
    pub(crate) reading_from: Option<usize>,
    /// Where there is a connection for gRPC, by thread and cluster; it takes all calls at once.
    pub(crate) grpc_connections: BTreeSet<(usize, usize)>,
    /// Connections that call-outs have left.
    pub(crate) call_connections: CallConnections,
    /// How long the upstream may take to answer a stream; no limit if zero.
    pub(crate) route_timeout: Duration,
    /// How long nothing may move on an HTTP stream; no limit if zero.
    pub(crate) idle_timeout: Duration,
    pub(crate) streams: Vec<Stream>,
    /// What leads to the upstream and is free.
    pub(crate) idle_connections: IdleConnections,
    free: Vec<usize>,
    opened: u64,
    pub(crate) timeline: Timeline,
    pub(crate) log: Vec<LogLine>,
    log_bytes: usize,
    log_full: bool,
    /// The level that `proxy_get_log_level` tells.
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) lints: Lints,
    /// Where a real Envoy is known to do otherwise, and a play has come to.
    pub(crate) known_grounds: Vec<KnownGround>,
    pub(crate) metrics: Metrics,
    /// What properties tell of node, listener, route and cluster.
    pub(crate) attributes: Attributes,
    /// The downstream end of every stream that does not say otherwise.
    pub(crate) downstream: Downstream,
    pub(crate) shared_data: SharedData,
    pub(crate) shared_queues: SharedQueues,
    pub(crate) dns: Dns,
    pub(crate) random: Random,
    pub(crate) buffer_limit: usize,
    /// What requests may ask an upgrade to.
    pub(crate) upgrades: Vec<String>,
    /// What each stream may cost.
    pub(crate) budget: Budget,
    /// What properties are, whatever Envoy would say.
    pub(crate) given_properties: BTreeMap<String, Vec<u8>>,
    /// What callbacks cost; counted only if asked for.
    pub(crate) phases: Option<Phases>,
    /// What a VM's memory may grow to, where it is less than V8's limit.
    pub(crate) memory_limit: Option<usize>,
    /// Whom callbacks are about in whose host calls the machine moves, the outermost first.
    pub(crate) entered: Vec<Option<usize>>,
    /// Why the run has to end, set by a host call.
    pub(crate) fatal: Option<HostError>,
    /// The Envoy that is played.
    pub(crate) version: EnvoyVersion,
    /// What host calls answer by their names, without doing anything.
    pub(crate) forced: BTreeMap<String, u32>,
    /// How this host departs from Envoy; None but in tests of tests.
    pub(crate) mutator: Option<Arc<Mutator>>,
}

/// Over HTTP/2 the window of a stream, `initial_stream_window_size`, is its limit, whatever the listener says.
const HTTP2_LIMIT: usize = 16 << 20;

impl World {
    pub(crate) fn new(log_level: LogLevel, buffer_limit: usize, clusters: Clusters) -> Self {
        let clock = Clock::default();
        Self {
            clusters,
            clock,
            last_date: LastDate::default(),
            started: clock.now(),
            log_level: Some(log_level),
            buffer_limit,
            ..Self::default()
        }
    }

    /// Whether a test of tests has this host break a rule.
    #[inline]
    pub(crate) fn mutated(&self, rule: Rule) -> bool {
        let mutator = self.mutator.as_ref();
        mutator.is_some_and(|mutator| mutator.breaks(rule))
    }

    /// Whether the Envoy that is played is older than a change.
    pub(crate) fn is_before(&self, difference: VersionDifference) -> bool {
        self.version.is_before(difference)
    }

    /// The filter that is the `step`th of a stream in this direction.
    pub(crate) fn filter_at(&self, slot: usize, direction: Direction, step: usize) -> usize {
        let stream = &self.streams[slot];
        let (backwards, other) = match direction {
            Direction::Request => (Rule::RequestPassesBackwards, Direction::Response),
            Direction::Response => (Rule::ResponsePassesForwards, Direction::Request),
        };
        if stream.filters.len() > 1 && self.mutated(backwards) {
            stream.at(other, step)
        } else {
            stream.at(direction, step)
        }
    }

    /// Makes room for a stream and numbers it.
    ///
    /// It is filled where it lies: a stream is large, and moving one costs as much as a callback.
    pub(crate) fn open(&mut self) -> usize {
        self.opened += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.streams.push(Stream::default());
            self.streams.len() - 1
        });
        let exchange = &mut self.streams[slot].exchange;
        exchange.id = StreamId(self.opened);
        exchange.timeline.expect_little();
        slot
    }

    /// How much of a body may be held back in a stream.
    pub(crate) fn buffer_limit_of(&self, slot: usize) -> usize {
        let stream = &self.streams[slot];
        if stream.codec == Codec::Http2 && !self.mutated(Rule::Http2HasTheListenersLimit) {
            HTTP2_LIMIT
        } else {
            self.buffer_limit
        }
    }

    /// Drops what the VMs of a `vm_id` shared. To be called when the last of them is gone.
    pub(crate) fn forget_vm_id(&mut self, vm_id: &str) {
        self.shared_data.forget(vm_id);
        self.shared_queues.forget(vm_id);
    }

    /// A number that no other thing of this host has.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }

    /// The number that the next stream gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.opened + 1
    }

    /// Takes a stream that has ended.
    pub(crate) fn close(&mut self, slot: usize) -> Exchange {
        self.free.push(slot);
        let stream = &mut self.streams[slot];
        let exchange = std::mem::take(&mut stream.exchange);
        let mut filters = std::mem::take(&mut stream.filters);
        filters.clear();
        *stream = Stream {
            filters,
            ..Stream::default()
        };
        exchange
    }

    pub(crate) fn find(&self, id: StreamId) -> Option<usize> {
        self.streams
            .iter()
            .position(|stream| stream.exchange.id == id)
    }

    /// Whether a slot still holds this stream, and it is not over.
    pub(crate) fn is_open(&self, slot: usize, id: StreamId) -> bool {
        self.streams
            .get(slot)
            .is_some_and(|stream| stream.exchange.id == id && !stream.finished)
    }

    /// The timeline of a stream, or the host's own.
    pub(crate) fn timeline(&mut self, slot: Option<usize>) -> &mut Timeline {
        match slot {
            Some(slot) => &mut self.streams[slot].exchange.timeline,
            None => &mut self.timeline,
        }
    }

    /// Logs a line, for the host and for the stream in whose callback it came.
    pub(crate) fn log(&mut self, slot: Option<usize>, line: LogLine) {
        let time = self.clock.now();
        let line = LogLine { time, ..line };
        let bytes = line.message.len() + line.prefix.len();
        if let Some(slot) = slot {
            let exchange = &mut self.streams[slot].exchange;
            exchange.log_bytes += bytes;
            if exchange.log_bytes <= STREAM_LOG_KEPT {
                exchange.log.push(line.clone());
            }
        }
        self.log_bytes += bytes;
        if self.log_bytes > LOG_KEPT {
            self.stop_logging();
            return;
        }
        self.log.push(line);
    }

    /// Says once that there is more than what is kept.
    fn stop_logging(&mut self) {
        if std::mem::replace(&mut self.log_full, true) {
            return;
        }
        self.log.push(LogLine {
            time: self.clock.now(),
            level: LogLevel::Warn,
            message: format!(
                "the host keeps {LOG_KEPT} bytes of log lines, and no more from here on"
            ),
            prefix: String::new(),
        });
    }

    /// Logs a line of Envoy's own.
    pub(crate) fn log_own(&mut self, slot: Option<usize>, level: LogLevel, message: String) {
        self.log(
            slot,
            LogLine {
                time: Duration::ZERO,
                level,
                message,
                prefix: String::new(),
            },
        );
    }
}
