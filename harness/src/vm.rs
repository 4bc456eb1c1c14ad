//! A VM: one wasm instance, its contexts and what they are doing.

mod callbacks;
mod calling;
mod failure;
mod frame;
mod instance;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::{AsContextMut, Store, TypedFunc};

pub(crate) use self::callbacks::{Allocator, Arguments, Callbacks, Find, Results, Three, Two};
pub(crate) use self::calling::Calling;
pub(crate) use self::failure::Failure;
pub(crate) use self::instance::{Instance, Order};
pub(crate) use self::state::{Home, LastBuffer, Place, Root, RootEnd, Tick, VmState};
use crate::abi::{AbiVersion, Direction};
use crate::budgets::Cost;
use crate::calls::CallId;
use crate::capabilities::Capabilities;
use crate::engine::Ticker;
use crate::expressions::Work;
use crate::limits::Limit;
use crate::module::Module;
use crate::mutation::Rule;
use crate::stream::Reply;
use crate::variables::Variables;
use crate::world::World;

/// The thread whose callbacks are counted one by one; 0 is the main thread.
const FIRST_WORKER: usize = 1;

/// One copy of a module, as a thread of Envoy has it.
pub(crate) struct Vm {
    pub(crate) instance: Instance,
    home: Home,
    /// The plugin that made this VM start.
    first_plugin: usize,
    abi: AbiVersion,
    pub(crate) callbacks: Callbacks,
    pub(crate) role: Role,
    /// Whether a trap ended it, or it is gone.
    pub(crate) failed: bool,
    /// Whether the guest may be called back inside of a host call, in the middle of which the machine may have
    /// to move.
    pub(crate) runs_inside: bool,
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
    pub(crate) limit: Limit,
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
        let mut capabilities = world.plugins[state.first_plugin].capabilities.clone();
        if capabilities.restrict() && world.mutated(Rule::RestrictedCallbacksAreMade) {
            capabilities = Capabilities::default();
        }
        let home = state.home();
        let first_plugin = state.first_plugin;
        let mut store = Store::new(linked.module().engine(), state);
        store.limiter(|state| state);
        let mut failed = false;
        let link = Entry {
            phase: Phase::Link,
            ..entry
        };
        let instance = lend(&mut store, &mut failed, world, link, |store| {
            linked.instantiate(store)
        });
        let mut callbacks = Callbacks::default();
        let started = instance.map(|(instance, imported)| {
            callbacks = Callbacks::of(&instance, &mut store, module.abi(), &capabilities);
            let memory = callbacks::memory(&instance, &mut store).or(imported);
            let state = store.data_mut();
            state.memory = memory;
            state.allocator = callbacks.allocator.clone();
            state.resolve_dns.clone_from(&callbacks.resolve_dns);
        });
        let vm = Self {
            instance: Instance::Own(store),
            home,
            first_plugin,
            abi: module.abi(),
            runs_inside: linked.calls_back && callbacks.may_run_inside(),
            callbacks,
            role,
            failed: started.is_err(),
        };
        (vm, started)
    }

    pub(crate) fn state(&mut self) -> &mut VmState {
        let (home, plugin, abi) = (self.home, self.first_plugin, self.abi);
        self.instance.state_mut(|| VmState::new(home, plugin, abi))
    }

    pub(crate) fn thread(&self) -> usize {
        self.home.thread
    }

    /// The plugin that made this VM start.
    pub(crate) fn first_plugin(&self) -> usize {
        self.first_plugin
    }

    /// The bytes of its linear memory.
    pub(crate) fn memory_size(&self) -> usize {
        self.instance.state().map_or(0, |state| state.memory_total)
    }

    /// The contexts that the guest knows.
    pub(crate) fn context_count(&self) -> usize {
        let state = self.instance.state();
        state.map_or(0, |state| state.contexts.len())
    }

    pub(crate) fn metric_id_count(&self) -> usize {
        let state = self.instance.state();
        state.map_or(0, |state| state.metric_ids.len())
    }

    /// Frees the instance and forgets its contexts. Its number stays taken, so that nothing that
    /// still names it reaches another VM.
    pub(crate) fn discard(&mut self) {
        let state = VmState::new(self.home, self.first_plugin, self.abi);
        self.instance = match &self.instance {
            Instance::Own(store) => Instance::Own(Store::new(store.engine(), state)),
            Instance::Lent(..) | Instance::Away(_) => Instance::Away(Some(Box::new(state))),
        };
        self.callbacks = Callbacks::default();
        self.role = Role::Gone;
        self.failed = true;
    }

    /// The plugin whose context this is; during `_initialize` the one that made the VM start.
    pub(crate) fn plugin_of(&self, context: u32) -> usize {
        let state = self.instance.state();
        state
            .and_then(|state| state.contexts.get(&context))
            .map_or(self.first_plugin, |context| context.plugin)
    }

    /// Calls an export of the guest, if there is one, and records it. Not for a guest that may be called
    /// back inside of a host call: see [`Proxy::call`](crate::proxy::Proxy::call).
    pub(crate) fn call<P: Arguments, R: Results>(
        &mut self,
        world: &mut Box<World>,
        calling: Calling,
        find: Find<TypedFunc<P, R>>,
        arguments: P,
    ) -> Option<Result<R, Failure>> {
        let Self {
            instance,
            callbacks,
            failed,
            ..
        } = self;
        let function = find(callbacks).as_ref()?;
        let Instance::Own(store) = instance else {
            return None;
        };
        let before = calling.begin(world, store.data_mut(), &arguments);
        let result = lend(store, failed, world, calling.entry, |store| {
            function.call(store, arguments)
        });
        *failed |= result.is_err();
        calling.end(world, store.data(), before, &result);
        Some(result)
    }

    /// A callback to be made, and what is recorded of it.
    pub(crate) fn calling(&self, entry: Entry, name: &'static str) -> Calling {
        Calling {
            entry,
            name,
            plugin: self.plugin_of(entry.context),
            counts: self.role == Role::Thread && self.home.thread == FIRST_WORKER,
        }
    }
}

/// Lends the world to the store and runs guest code with a full tank. What it returns counts even
/// where the VM has failed inside of a host call.
pub(crate) fn lend<C: AsContextMut<Data = VmState>, T>(
    store: &mut C,
    failed: &mut bool,
    world: &mut Box<World>,
    entry: Entry,
    run: impl FnOnce(&mut C) -> wasmtime::Result<T>,
) -> Result<T, Failure> {
    let mut context = store.as_context_mut();
    let state = context.data_mut();
    std::mem::swap(&mut state.world, world);
    state.failed_inside = *failed;
    state.phase = entry.phase;
    let own = state.effective == state.current;
    state.current = entry.context;
    state.entered_for = entry.context;
    if own || !state.world.mutated(Rule::EffectiveContextStays) {
        state.effective = entry.context;
    }
    state.slot = entry.slot;
    state.in_allocator = false;
    state.host_calls = 0;
    state.copied = 0;
    state.crossings = 0;
    state.work = Work::A_CALLBACK;
    state.callbacks += 1;
    state.callback = state.callbacks;
    context.set_epoch_deadline(Ticker::ticks(entry.limit.deadline));
    let result = context
        .set_fuel(entry.limit.fuel)
        .and_then(|()| run(&mut *store));
    let mut context = store.as_context_mut();
    let burnt = entry.limit.fuel - context.get_fuel().unwrap_or(0);
    let state = context.data_mut();
    std::mem::swap(&mut state.world, world);
    state.spent = Cost {
        fuel: burnt,
        crossings: u64::from(state.crossings) + 1,
        host_calls: u64::from(state.host_calls),
        bytes_copied: state.copied as u64,
    };
    if let Some(slot) = entry.slot {
        let cost = &mut world.streams[slot].exchange.cost;
        cost.fuel += state.spent.fuel;
        cost.host_calls += state.spent.host_calls;
        cost.bytes_copied += state.spent.bytes_copied;
    }
    *failed |= state.failed_inside;
    result.map_err(|error| Failure::from(&error))
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
    /// The root was told that this call is over: its token is unknown to what comes next.
    ForgetToken(u32, CallId),
    /// A gRPC call that failed while it was made is closed.
    GrpcClose {
        root: u32,
        token: u32,
        status: u32,
        message: Vec<u8>,
    },
}
