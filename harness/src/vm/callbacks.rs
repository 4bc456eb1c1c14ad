//! The exports that the host calls.

use wasmtime::{Instance, Memory, Store, TypedFunc, WasmParams, WasmResults};

use super::VmState;

/// A callback of one, two or three numbers.
pub(crate) type One<R = ()> = TypedFunc<(u32,), R>;
pub(crate) type Two<R = ()> = TypedFunc<(u32, u32), R>;
pub(crate) type Three<R = ()> = TypedFunc<(u32, u32, u32), R>;

/// What a module exports of what the host may call.
#[derive(Clone, Default)]
pub(crate) struct Callbacks {
    pub(crate) allocator: Option<TypedFunc<u32, u32>>,
    pub(crate) initialize: Option<TypedFunc<(), ()>>,
    pub(crate) start: Option<TypedFunc<(), ()>>,
    pub(crate) main: Option<Two<u32>>,
    pub(crate) main_void: Option<TypedFunc<(), u32>>,
    pub(crate) context_create: Option<Two>,
    pub(crate) vm_start: Option<Two<u32>>,
    pub(crate) configure: Option<Two<u32>>,
    pub(crate) tick: Option<One>,
    pub(crate) queue_ready: Option<Two>,
    pub(crate) request_headers: Option<Three<u32>>,
    pub(crate) request_body: Option<Three<u32>>,
    pub(crate) request_trailers: Option<Two<u32>>,
    pub(crate) response_headers: Option<Three<u32>>,
    pub(crate) response_body: Option<Three<u32>>,
    pub(crate) response_trailers: Option<Two<u32>>,
    pub(crate) done: Option<One<u32>>,
    pub(crate) log: Option<One>,
    pub(crate) delete: Option<One>,
}

impl Callbacks {
    /// Looks the exports up; their types were checked when the module was loaded.
    pub(crate) fn of(instance: &Instance, store: &mut Store<VmState>) -> Self {
        let malloc = find(instance, store, "malloc");
        Self {
            allocator: malloc.or_else(|| find(instance, store, "proxy_on_memory_allocate")),
            initialize: find(instance, store, "_initialize"),
            start: find(instance, store, "_start"),
            main: find(instance, store, "main"),
            main_void: find(instance, store, "__main_void"),
            context_create: find(instance, store, "proxy_on_context_create"),
            vm_start: find(instance, store, "proxy_on_vm_start"),
            configure: find(instance, store, "proxy_on_configure"),
            tick: find(instance, store, "proxy_on_tick"),
            queue_ready: find(instance, store, "proxy_on_queue_ready"),
            request_headers: find(instance, store, "proxy_on_request_headers"),
            request_body: find(instance, store, "proxy_on_request_body"),
            request_trailers: find(instance, store, "proxy_on_request_trailers"),
            response_headers: find(instance, store, "proxy_on_response_headers"),
            response_body: find(instance, store, "proxy_on_response_body"),
            response_trailers: find(instance, store, "proxy_on_response_trailers"),
            done: find(instance, store, "proxy_on_done"),
            log: find(instance, store, "proxy_on_log"),
            delete: find(instance, store, "proxy_on_delete"),
        }
    }
}

/// The memory that pointers of the guest mean: the first that is exported.
pub(crate) fn memory(instance: &Instance, store: &mut Store<VmState>) -> Option<Memory> {
    instance
        .exports(store)
        .find_map(|export| export.into_memory())
}

fn find<P: WasmParams, R: WasmResults>(
    instance: &Instance,
    store: &mut Store<VmState>,
    name: &str,
) -> Option<TypedFunc<P, R>> {
    instance.get_typed_func(store, name).ok()
}

/// Parameters that a timeline can list.
pub(crate) trait Arguments: WasmParams {
    fn list(&self) -> Vec<u32>;
}

impl Arguments for () {
    fn list(&self) -> Vec<u32> {
        Vec::new()
    }
}

impl Arguments for (u32,) {
    fn list(&self) -> Vec<u32> {
        vec![self.0]
    }
}

impl Arguments for (u32, u32) {
    fn list(&self) -> Vec<u32> {
        vec![self.0, self.1]
    }
}

impl Arguments for (u32, u32, u32) {
    fn list(&self) -> Vec<u32> {
        vec![self.0, self.1, self.2]
    }
}

/// Results that a timeline can show.
pub(crate) trait Results: WasmResults {
    fn shown(&self) -> Option<u32>;
}

impl Results for () {
    fn shown(&self) -> Option<u32> {
        None
    }
}

impl Results for u32 {
    fn shown(&self) -> Option<u32> {
        Some(*self)
    }
}
