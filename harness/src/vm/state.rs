//! What the host knows of a VM: its contexts, its roots and the call that is being made.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Memory, ResourceLimiter};

use super::{Allocator, Deferred, Phase, Three};
use crate::abi::{AbiVersion, BufferType, Direction};
use crate::agenda::Moment;
use crate::budgets::Cost;
use crate::calls::{CallState, Calls};
use crate::engine::{MEMORY_LIMIT, TABLE_LIMIT};
use crate::error::HostError;
use crate::expressions::{Expressions, Work};
use crate::filter_state::Prototype;
use crate::metrics::Ids;
use crate::mutation::{Access, Entry, Holder, Resource};
use crate::proxy::Proxy;
use crate::stats_sink::StatsBuffer;
use crate::timers::TimerTable;
use crate::world::World;

/// Where a VM belongs.
#[derive(Clone, Copy)]
pub(crate) struct Home {
    /// Its place among the host's VMs.
    pub(crate) index: usize,
    pub(crate) thread: usize,
    pub(crate) base: usize,
}

/// What the host knows of a VM while guest code runs.
pub(crate) struct VmState {
    /// The host's world during a call, an empty one otherwise.
    pub(crate) world: Box<World>,
    /// The host's machine during a call in which it may have to move, with an empty world; one without
    /// anything otherwise.
    pub(crate) machine: Option<Box<Proxy>>,
    /// Its place among the host's VMs.
    pub(crate) index: usize,
    pub(crate) memory: Option<Memory>,
    /// Bytes of all its memories.
    pub(crate) memory_total: usize,
    pub(crate) allocator: Option<Allocator>,
    /// The thread that it belongs to; the canary, too, is the main thread's.
    pub(crate) thread: usize,
    /// The version of the ABI that the module asks for.
    pub(crate) abi: AbiVersion,
    /// The plugin that made this VM start.
    pub(crate) first_plugin: usize,
    /// The base that it is a copy of.
    pub(crate) base: usize,
    pub(crate) contexts: BTreeMap<u32, Context>,
    pub(crate) roots: BTreeMap<u32, Root>,
    pub(crate) timers: TimerTable,
    last_context: u32,
    pub(crate) phase: Phase,
    /// The export that was called.
    pub(crate) export: &'static str,
    /// The context that the callback names, and the one that host calls act on.
    pub(crate) current: u32,
    pub(crate) effective: u32,
    /// The context that the host called for, whatever callbacks are made inside of its host calls.
    pub(crate) entered_for: u32,
    pub(crate) slot: Option<usize>,
    pub(crate) in_allocator: bool,
    /// Whether the VM has failed, and the guest goes on all the same: the allocator, or a callback,
    /// trapped inside of a host call.
    pub(crate) failed_inside: bool,
    /// Host calls made in this callback.
    pub(crate) host_calls: u32,
    /// Bytes handed over in them, either way.
    pub(crate) copied: usize,
    /// How often the host entered the guest inside of this callback.
    pub(crate) crossings: u32,
    /// By how many bytes the memories grew in callbacks that were made in the middle of this one.
    pub(crate) grown_inside: usize,
    /// What the last callback cost.
    pub(crate) spent: Cost,
    /// What this callback may still do in expressions.
    pub(crate) work: Work,
    /// The number of this callback, to tell what belongs to it, and how many were made: in a callback that
    /// runs inside of another's host call both are larger than in the other.
    pub(crate) callback: u64,
    pub(crate) callbacks: u64,
    /// What waits for the callback to return.
    pub(crate) deferred: VecDeque<Deferred>,
    /// Whether the callback asked for a local reply, be it for nobody: Envoy stops the stream that the
    /// callback is about, whichever is replied to (`stopNextIteration` in proxy-wasm-cpp-host).
    pub(crate) stops: bool,
    pub(crate) metric_ids: Ids,
    /// The last token of a lookup, and the lookups that are not answered.
    pub(crate) dns_token: u32,
    pub(crate) lookups: HashSet<u64>,
    /// `envoy_on_resolve_dns`, which may be called inside of a host call.
    pub(crate) resolve_dns: Option<Three>,
    pub(crate) calls: Calls,
}

impl VmState {
    pub(crate) fn new(home: Home, first_plugin: usize, abi: AbiVersion) -> Self {
        Self {
            world: Box::default(),
            machine: None,
            index: home.index,
            memory: None,
            memory_total: 0,
            allocator: None,
            thread: home.thread,
            abi,
            first_plugin,
            base: home.base,
            contexts: BTreeMap::new(),
            roots: BTreeMap::new(),
            timers: TimerTable::default(),
            last_context: 0,
            phase: Phase::Initialize,
            export: "",
            current: 0,
            effective: 0,
            entered_for: 0,
            slot: None,
            in_allocator: false,
            failed_inside: false,
            host_calls: 0,
            copied: 0,
            crossings: 0,
            grown_inside: 0,
            spent: Cost::default(),
            work: Work::A_CALLBACK,
            callback: 0,
            callbacks: 0,
            deferred: VecDeque::new(),
            stops: false,
            metric_ids: Ids::default(),
            // The first lookup has the token 2.
            dns_token: 1,
            lookups: HashSet::new(),
            resolve_dns: None,
            calls: Calls::default(),
        }
    }

    /// What the host would know of the VM if it had just started.
    pub(crate) fn blank(&self) -> Self {
        Self::new(self.home(), self.first_plugin, self.abi)
    }

    /// Where the VM belongs.
    pub(crate) fn home(&self) -> Home {
        Home {
            index: self.index,
            thread: self.thread,
            base: self.base,
        }
    }

    /// Numbers a root context: roots and streams of a VM share one count, from 1.
    pub(crate) fn add_root(&mut self, plugin: usize) -> u32 {
        self.last_context += 1;
        let id = self.last_context;
        self.contexts.insert(
            id,
            Context {
                root: id,
                plugin,
                stream: None,
                logs: None,
                declared: BTreeMap::new(),
                last_buffer: LastBuffer::Empty,
            },
        );
        self.roots.insert(id, Root::default());
        id
    }

    /// Numbers a stream context.
    pub(crate) fn add_stream(
        &mut self,
        root: u32,
        plugin: usize,
        slot: usize,
        filter: usize,
    ) -> u32 {
        self.last_context += 1;
        let stream = Some(Place { slot, filter });
        self.contexts.insert(
            self.last_context,
            Context {
                root,
                plugin,
                stream,
                logs: None,
                declared: BTreeMap::new(),
                last_buffer: LastBuffer::Empty,
            },
        );
        self.last_context
    }

    /// The context that a host call acts on. None during `_initialize`.
    pub(crate) fn context(&self) -> Option<&Context> {
        self.contexts.get(&self.effective)
    }

    /// The plugin whose callback is being made.
    pub(crate) fn plugin(&self) -> usize {
        let current = self.contexts.get(&self.current);
        current.map_or(self.first_plugin, |context| context.plugin)
    }

    /// The phase of the stream that a host call acts on: the callback's, unless another context was
    /// made the effective one.
    pub(crate) fn own_phase(&self) -> Option<Phase> {
        (self.effective == self.current).then_some(self.phase)
    }

    /// Envoy looks at a body for its size before it calls back, and so buffer 8 begins with it.
    pub(crate) fn show_first(&mut self, context: u32, direction: Direction) {
        let buffer = match direction {
            Direction::Request => BufferType::RequestBody,
            Direction::Response => BufferType::ResponseBody,
        };
        if let Some(context) = self.contexts.get_mut(&context) {
            context.last_buffer = LastBuffer::OfCallback(buffer, self.callbacks + 1);
        }
    }

    /// The stream that a host call acts on.
    pub(crate) fn place(&self) -> Option<Place> {
        self.context()?.stream
    }

    /// Whether a test of tests has it that a map or buffer is there where it should not be, or the other
    /// way round.
    pub(crate) fn flips(&self, resource: Resource, access: Access) -> bool {
        let Some(mutator) = &self.world.mutator else {
            return false;
        };
        let holder = match self.place() {
            Some(_) => Holder::Stream,
            None => Holder::Root,
        };
        mutator.flips(Entry {
            resource,
            callback: self.export,
            holder,
            access,
        })
    }

    pub(crate) fn count_crossing(&mut self) {
        self.crossings += 1;
        if let Some(slot) = self.slot {
            self.world.streams[slot].exchange.cost.crossings += 1;
        }
    }
}

/// What all memories of a VM may grow to together. V8 limits each by itself only.
const MEMORIES_LIMIT: usize = 4 * MEMORY_LIMIT;

impl ResourceLimiter for VmState {
    /// At V8's limit the guest is told that there is no more; at a lower one of the test's, the run
    /// ends.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A module may have several memories.
        let total = self.memory_total - current.min(self.memory_total) + desired;
        if let Some(limit) = self.world.memory_limit.filter(|limit| total > *limit) {
            let timeline = self.world.timeline(self.slot).clone();
            let plugin = self.world.plugins[self.plugin()].name.to_string();
            self.world.fatal = Some(HostError::MemoryLimit {
                plugin,
                desired: total,
                limit,
                timeline,
            });
            return Ok(false);
        }
        let granted = desired <= MEMORY_LIMIT && total <= MEMORIES_LIMIT;
        if granted {
            self.memory_total = total;
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= maximum.unwrap_or(TABLE_LIMIT).min(TABLE_LIMIT))
    }
}

/// A context that the guest may name.
pub(crate) struct Context {
    pub(crate) root: u32,
    pub(crate) plugin: usize,
    pub(crate) stream: Option<Place>,
    /// The stream whose access log a root context is writing.
    pub(crate) logs: Option<usize>,
    /// What it said by `declare_property`.
    pub(crate) declared: BTreeMap<Vec<u8>, Arc<Prototype>>,
    /// What buffer 8 shows.
    pub(crate) last_buffer: LastBuffer,
}

/// What a context was shown last through a buffer, which buffer 8 shows again.
#[derive(Clone, Default)]
pub(crate) enum LastBuffer {
    /// Nothing, or a buffer that did not exist.
    #[default]
    Empty,
    VmConfiguration,
    PluginConfiguration,
    /// Bytes that belong to the callback of this number.
    OfCallback(BufferType, u64),
    /// What was handed to a stats sink, or came of a lookup.
    HandedOut(Box<StatsBuffer>),
}

impl Context {
    /// The stream whose properties this context reads.
    pub(crate) fn observed(&self) -> Option<usize> {
        self.stream.map(|at| at.slot).or(self.logs)
    }
}

/// Where a stream context stands: the stream's slot and the filter in it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) slot: usize,
    pub(crate) filter: usize,
}

/// A configured plugin in a VM.
#[derive(Default)]
pub(crate) struct Root {
    /// Plugins of its thread and streams that use it.
    pub(crate) holders: u32,
    pub(crate) tick: Option<Tick>,
    pub(crate) end: RootEnd,
    pub(crate) call: CallState,
    pub(crate) expressions: Expressions,
}

/// A timer of a root context.
#[derive(Clone, Copy)]
pub(crate) struct Tick {
    pub(crate) period: Duration,
    /// When it fires next; what else the agenda holds for this root is out of date.
    pub(crate) due: Moment,
}

/// How far a root context has come in ending.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum RootEnd {
    #[default]
    Alive,
    /// `proxy_on_done` returned false: it ends when the guest calls `proxy_done`.
    Pending,
    /// `proxy_done` was called: it is deleted after the callback.
    Done,
}
