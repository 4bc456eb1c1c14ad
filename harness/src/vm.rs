//! A VM: one wasm instance, its contexts and what they are doing.

mod callbacks;
mod failure;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Memory, ResourceLimiter, Store, TypedFunc};

pub(crate) use self::callbacks::{Allocator, Arguments, Callbacks, Find, Results, Three, Two};
pub(crate) use self::failure::{Failure, Trapped};
use crate::abi::{AbiVersion, BufferType, Direction};
use crate::agenda::Moment;
use crate::calls::{CallState, Calls};
use crate::capabilities::Capabilities;
use crate::engine::{MEMORY_LIMIT, TABLE_LIMIT, Ticker};
use crate::error::HostError;
use crate::filter_state::Prototype;
use crate::limits::Limits;
use crate::metrics::Ids;
use crate::module::Module;
use crate::stats_sink::StatsBuffer;
use crate::stream::Reply;
use crate::timeline::Event;
use crate::variables::Variables;
use crate::world::World;

/// One copy of a module, as a thread of Envoy has it.
pub(crate) struct Vm {
    store: Store<VmState>,
    pub(crate) callbacks: Callbacks,
    pub(crate) role: Role,
    /// Whether a trap ended it, or it is gone.
    pub(crate) failed: bool,
}

/// What a VM is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// It only runs the module's start.
    Base,
    /// A plugin is tried in it.
    Canary,
    /// It serves a thread.
    Thread,
    /// None any more: its instance is freed.
    Gone,
}

/// Who is called, and for what.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) phase: Phase,
    pub(crate) context: u32,
    /// The stream on whose account the call goes.
    pub(crate) slot: Option<usize>,
    pub(crate) limits: Limits,
}

impl Vm {
    /// Starts an instance. The wasm start function, if there is one, runs in here.
    pub(crate) fn start(
        module: &Module,
        role: Role,
        state: VmState,
        world: &mut Box<World>,
        entry: Entry,
    ) -> (Self, Result<(), Failure>) {
        let linked = module.linked();
        let capabilities = world.plugins[state.first_plugin].capabilities.clone();
        let mut store = Store::new(linked.module().engine(), state);
        store.limiter(|state| state);
        let mut vm = Self {
            store,
            callbacks: Callbacks::default(),
            role,
            failed: false,
        };
        let link = Entry {
            phase: Phase::Link,
            ..entry
        };
        let instance = vm.lend(world, link, |store| linked.instantiate(store));
        let started = instance.map(|(instance, imported)| {
            vm.callbacks = Callbacks::of(&instance, &mut vm.store, module.abi(), &capabilities);
            let memory = callbacks::memory(&instance, &mut vm.store).or(imported);
            let state = vm.store.data_mut();
            state.memory = memory;
            state.allocator = vm.callbacks.allocator.clone();
            state.resolve_dns.clone_from(&vm.callbacks.resolve_dns);
        });
        vm.failed = started.is_err();
        (vm, started)
    }

    pub(crate) fn state(&mut self) -> &mut VmState {
        self.store.data_mut()
    }

    pub(crate) fn thread(&self) -> usize {
        self.store.data().thread
    }

    /// The plugin that made this VM start.
    pub(crate) fn first_plugin(&self) -> usize {
        self.store.data().first_plugin
    }

    /// The bytes of its linear memory.
    pub(crate) fn memory_size(&self) -> usize {
        self.store.data().memory_total
    }

    /// The contexts that the guest knows.
    pub(crate) fn context_count(&self) -> usize {
        self.store.data().contexts.len()
    }

    pub(crate) fn metric_id_count(&self) -> usize {
        self.store.data().metric_ids.len()
    }

    /// Frees the instance and forgets its contexts. Its number stays taken, so that nothing that
    /// still names it reaches another VM.
    pub(crate) fn discard(&mut self) {
        let old = self.store.data();
        let home = Home {
            index: old.index,
            thread: old.thread,
            base: old.base,
        };
        let state = VmState::new(home, old.first_plugin, old.abi);
        self.store = Store::new(self.store.engine(), state);
        self.callbacks = Callbacks::default();
        self.role = Role::Gone;
        self.failed = true;
    }

    /// The plugin whose context this is; during `_initialize` the one that made the VM start.
    pub(crate) fn plugin_of(&self, context: u32) -> usize {
        let state = self.store.data();
        state
            .contexts
            .get(&context)
            .map_or(state.first_plugin, |context| context.plugin)
    }

    /// Calls an export of the guest and records it.
    pub(crate) fn call<P: Arguments, R: Results>(
        &mut self,
        world: &mut Box<World>,
        entry: Entry,
        name: &'static str,
        function: &TypedFunc<P, R>,
        arguments: P,
    ) -> Result<R, Failure> {
        let plugin = world.plugins[self.plugin_of(entry.context)].name.clone();
        let event = Event::Callback {
            plugin,
            name,
            arguments: arguments.list(),
        };
        world.timeline(entry.slot).push(event);
        if let Some(slot) = entry.slot {
            world.streams[slot].exchange.cost.crossings += 1;
        }
        let result = self.lend(world, entry, |store| function.call(store, arguments));
        match &result {
            Ok(result) => {
                if let Some(result) = result.shown() {
                    world
                        .timeline(entry.slot)
                        .push(Event::Returned { name, result });
                }
            }
            Err(_) => self.failed = true,
        }
        result
    }

    /// Lends the world to the store and runs guest code with a full tank.
    fn lend<T>(
        &mut self,
        world: &mut Box<World>,
        entry: Entry,
        run: impl FnOnce(&mut Store<VmState>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        let state = self.store.data_mut();
        std::mem::swap(&mut state.world, world);
        state.phase = entry.phase;
        state.current = entry.context;
        state.effective = entry.context;
        state.slot = entry.slot;
        state.in_allocator = false;
        state.host_calls = 0;
        state.copied = 0;
        state.callback += 1;
        self.store
            .set_epoch_deadline(Ticker::ticks(entry.limits.deadline));
        let result = self
            .store
            .set_fuel(entry.limits.fuel)
            .and_then(|()| run(&mut self.store));
        let burnt = entry.limits.fuel - self.store.get_fuel().unwrap_or(0);
        let state = self.store.data_mut();
        std::mem::swap(&mut state.world, world);
        if let Some(slot) = entry.slot {
            let cost = &mut world.streams[slot].exchange.cost;
            cost.fuel += burnt;
            cost.host_calls += u64::from(state.host_calls);
            cost.bytes_copied += state.copied as u64;
        }
        let trapped = self.store.data_mut().allocator_trap.take();
        match (result, trapped) {
            (Ok(_), Some(reason)) => Err(Failure::Allocator(reason)),
            (result, _) => result.map_err(|error| Failure::from(&error)),
        }
    }
}

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
    pub(crate) contexts: HashMap<u32, Context>,
    pub(crate) roots: HashMap<u32, Root>,
    last_context: u32,
    pub(crate) phase: Phase,
    /// The context that the callback names, and the one that host calls act on.
    pub(crate) current: u32,
    pub(crate) effective: u32,
    pub(crate) slot: Option<usize>,
    pub(crate) in_allocator: bool,
    /// How the allocator trapped in this callback: the guest goes on, and the VM has failed.
    pub(crate) allocator_trap: Option<Trapped>,
    /// Host calls made in this callback.
    pub(crate) host_calls: u32,
    /// Bytes handed over in them, either way.
    pub(crate) copied: usize,
    /// How many callbacks were made, to tell what belongs to this one.
    pub(crate) callback: u64,
    /// What waits for the callback to return.
    pub(crate) deferred: VecDeque<Deferred>,
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
            index: home.index,
            memory: None,
            memory_total: 0,
            allocator: None,
            thread: home.thread,
            abi,
            first_plugin,
            base: home.base,
            contexts: HashMap::new(),
            roots: HashMap::new(),
            last_context: 0,
            phase: Phase::Initialize,
            current: 0,
            effective: 0,
            slot: None,
            in_allocator: false,
            allocator_trap: None,
            host_calls: 0,
            copied: 0,
            callback: 0,
            deferred: VecDeque::new(),
            metric_ids: Ids::default(),
            // The first lookup has the token 2.
            dns_token: 1,
            lookups: HashSet::new(),
            resolve_dns: None,
            calls: Calls::default(),
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
                declared: HashMap::new(),
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
                declared: HashMap::new(),
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

    /// The stream that a host call acts on.
    pub(crate) fn place(&self) -> Option<Place> {
        self.context()?.stream
    }

    pub(crate) fn count_crossing(&mut self) {
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

/// What is told of a plugin.
#[derive(Debug)]
pub(crate) struct PluginInfo {
    pub(crate) name: Arc<str>,
    pub(crate) root_id: String,
    pub(crate) vm_id: String,
    pub(crate) configuration: Vec<u8>,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) capabilities: Capabilities,
    pub(crate) variables: Variables,
    /// What `environ_get` shows.
    pub(crate) environment: BTreeMap<String, String>,
}

/// A context that the guest may name.
pub(crate) struct Context {
    pub(crate) root: u32,
    pub(crate) plugin: usize,
    pub(crate) stream: Option<Place>,
    /// The stream whose access log a root context is writing.
    pub(crate) logs: Option<usize>,
    /// What it said by `declare_property`.
    pub(crate) declared: HashMap<Vec<u8>, Arc<Prototype>>,
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

/// What the VM is called for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// The wasm start function, when the host has no context yet.
    Link,
    /// `_initialize` and kin, where hardly any host call is allowed.
    Initialize,
    ContextCreate,
    VmStart,
    Configure,
    Tick,
    Queue,
    Dns,
    CallOut,
    StatsUpdate,
    Stream,
    Log,
    Done,
    Delete,
}

/// What a host call asked for and the host does when the callback has returned.
pub(crate) enum Deferred {
    Continue(Place, Direction),
    Close(Place, Direction),
    LocalReply(Place, Reply),
    /// A guest's write made a held body larger than the buffer limit.
    Overflow(Place, Direction),
    /// `proxy_continue_stream(2)` of a TCP filter.
    ContinueReading(Place),
    /// `proxy_close_stream` with 2 or 3 of a TCP filter.
    CloseConnection(Place),
    /// `proxy_done` of this root.
    EndRoot(u32),
    /// What a root was told of a call-out is over.
    ForgetCall(u32),
    /// A gRPC call that failed while it was made is closed.
    GrpcClose {
        root: u32,
        token: u32,
        status: u32,
        message: Vec<u8>,
    },
}
