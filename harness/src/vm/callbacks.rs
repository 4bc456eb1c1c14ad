//! The exports that the host calls.

use wasmtime::{Instance, Memory, Store, TypedFunc, WasmParams, WasmResults};

use super::VmState;
use crate::abi::AbiVersion;
use crate::capabilities::Capabilities;
use crate::timeline::Numbers;

/// A callback of one, two or three numbers.
pub(crate) type One<R = ()> = TypedFunc<(u32,), R>;
pub(crate) type Two<R = ()> = TypedFunc<(u32, u32), R>;
pub(crate) type Three<R = ()> = TypedFunc<(u32, u32, u32), R>;
pub(crate) type Five = TypedFunc<(u32, u32, u32, u32, u32), ()>;

/// Where a callback of a type stands among all.
pub(crate) type Find<T> = fn(&Callbacks) -> &Option<T>;

/// What gives room in the guest's memory, and the name under which it is exported.
#[derive(Clone)]
pub(crate) struct Allocator {
    pub(crate) name: &'static str,
    pub(crate) function: TypedFunc<u32, u32>,
}

/// What a module exports of what the host may call.
#[derive(Clone, Default)]
pub(crate) struct Callbacks {
    pub(crate) allocator: Option<Allocator>,
    pub(crate) initialize: Option<TypedFunc<(), ()>>,
    pub(crate) start: Option<TypedFunc<(), ()>>,
    pub(crate) main: Option<Two<u32>>,
    pub(crate) main_void: Option<TypedFunc<(), u32>>,
    pub(crate) context_create: Option<Two>,
    pub(crate) vm_start: Option<Two<u32>>,
    pub(crate) configure: Option<Two<u32>>,
    pub(crate) tick: Option<One>,
    pub(crate) queue_ready: Option<Two>,
    pub(crate) resolve_dns: Option<Three>,
    pub(crate) http_call_response: Option<Five>,
    pub(crate) grpc_initial_metadata: Option<Three>,
    pub(crate) grpc_receive: Option<Three>,
    pub(crate) grpc_trailing_metadata: Option<Three>,
    pub(crate) grpc_close: Option<Three>,
    pub(crate) request_headers: Option<Three<u32>>,
    /// Those of ABI 0.1.0, which are not told whether the stream ends.
    pub(crate) request_headers_without_end: Option<Two<u32>>,
    pub(crate) response_headers_without_end: Option<Two<u32>>,
    pub(crate) request_body: Option<Three<u32>>,
    pub(crate) request_trailers: Option<Two<u32>>,
    pub(crate) response_headers: Option<Three<u32>>,
    pub(crate) response_body: Option<Three<u32>>,
    pub(crate) response_trailers: Option<Two<u32>>,
    pub(crate) new_connection: Option<One<u32>>,
    pub(crate) downstream_data: Option<Three<u32>>,
    pub(crate) upstream_data: Option<Three<u32>>,
    pub(crate) downstream_connection_close: Option<Two>,
    pub(crate) upstream_connection_close: Option<Two>,
    pub(crate) stats_update: Option<Two>,
    pub(crate) done: Option<One<u32>>,
    pub(crate) log: Option<One>,
    pub(crate) delete: Option<One>,
}

impl Callbacks {
    /// Looks the exports up; their types were checked when the module was loaded. What the plugin
    /// has no capability for is not found, but for the start functions and the allocator.
    pub(crate) fn of(
        instance: &Instance,
        store: &mut Store<VmState>,
        abi: AbiVersion,
        capabilities: &Capabilities,
    ) -> Self {
        let mut exports = Exports {
            instance,
            store,
            capabilities,
        };
        let mut all = Self {
            allocator: exports.allocator("malloc"),
            initialize: exports.find("_initialize"),
            context_create: exports.callback("proxy_on_context_create"),
            vm_start: exports.callback("proxy_on_vm_start"),
            configure: exports.callback("proxy_on_configure"),
            tick: exports.callback("proxy_on_tick"),
            queue_ready: exports.callback("proxy_on_queue_ready"),
            resolve_dns: exports.find("envoy_on_resolve_dns"),
            http_call_response: exports.callback("proxy_on_http_call_response"),
            grpc_initial_metadata: exports.callback("proxy_on_grpc_receive_initial_metadata"),
            grpc_receive: exports.callback("proxy_on_grpc_receive"),
            grpc_trailing_metadata: exports.callback("proxy_on_grpc_receive_trailing_metadata"),
            grpc_close: exports.callback("proxy_on_grpc_close"),
            request_body: exports.callback("proxy_on_request_body"),
            request_trailers: exports.callback("proxy_on_request_trailers"),
            response_body: exports.callback("proxy_on_response_body"),
            response_trailers: exports.callback("proxy_on_response_trailers"),
            new_connection: exports.callback("proxy_on_new_connection"),
            downstream_data: exports.callback("proxy_on_downstream_data"),
            upstream_data: exports.callback("proxy_on_upstream_data"),
            downstream_connection_close: exports.callback("proxy_on_downstream_connection_close"),
            upstream_connection_close: exports.callback("proxy_on_upstream_connection_close"),
            stats_update: exports.find("envoy_on_stats_update"),
            done: exports.callback("proxy_on_done"),
            log: exports.callback("proxy_on_log"),
            delete: exports.callback("proxy_on_delete"),
            ..Self::default()
        };
        if all.allocator.is_none() {
            all.allocator = exports.allocator("proxy_on_memory_allocate");
        }
        if all.initialize.is_some() {
            all.main = exports.find("main");
            all.main_void = exports.find("__main_void");
        } else {
            all.start = exports.find("_start");
        }
        if abi == AbiVersion::V0_1_0 {
            all.request_headers_without_end = exports.callback("proxy_on_request_headers");
            all.response_headers_without_end = exports.callback("proxy_on_response_headers");
        } else {
            all.request_headers = exports.callback("proxy_on_request_headers");
            all.response_headers = exports.callback("proxy_on_response_headers");
        }
        all
    }
}

impl Callbacks {
    /// Whether there is one that Envoy may make inside of a host call.
    pub(crate) fn may_run_inside(&self) -> bool {
        self.resolve_dns.is_some()
            || self.grpc_initial_metadata.is_some()
            || self.grpc_trailing_metadata.is_some()
    }
}

/// Where callbacks are looked up.
struct Exports<'a> {
    instance: &'a Instance,
    store: &'a mut Store<VmState>,
    capabilities: &'a Capabilities,
}

impl Exports<'_> {
    fn callback<P: WasmParams, R: WasmResults>(&mut self, name: &str) -> Option<TypedFunc<P, R>> {
        if !self.capabilities.allow(name) {
            return None;
        }
        self.find(name)
    }

    fn allocator(&mut self, name: &'static str) -> Option<Allocator> {
        let function = self.find(name)?;
        Some(Allocator { name, function })
    }

    fn find<P: WasmParams, R: WasmResults>(&mut self, name: &str) -> Option<TypedFunc<P, R>> {
        // Not `get_typed_func`, which writes a message about each export that is missing.
        let function = self.instance.get_func(&mut *self.store, name)?;
        function.typed(&*self.store).ok()
    }
}

/// The memory that pointers of the guest mean: the last that is exported, as Envoy looks at all.
pub(crate) fn memory(instance: &Instance, store: &mut Store<VmState>) -> Option<Memory> {
    instance
        .exports(store)
        .filter_map(|export| export.into_memory())
        .last()
}

/// Parameters that a timeline can list.
pub(crate) trait Arguments: WasmParams + 'static {
    fn list(&self) -> Numbers;
}

impl Arguments for () {
    fn list(&self) -> Numbers {
        Numbers::default()
    }
}

impl Arguments for (u32,) {
    fn list(&self) -> Numbers {
        [self.0].into()
    }
}

impl Arguments for (u32, u32) {
    fn list(&self) -> Numbers {
        [self.0, self.1].into()
    }
}

impl Arguments for (u32, u32, u32) {
    fn list(&self) -> Numbers {
        [self.0, self.1, self.2].into()
    }
}

impl Arguments for (u32, u32, u32, u32, u32) {
    fn list(&self) -> Numbers {
        [self.0, self.1, self.2, self.3, self.4].into()
    }
}

/// Results that a timeline can show.
pub(crate) trait Results: WasmResults + 'static {
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
