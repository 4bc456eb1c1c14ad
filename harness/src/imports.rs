//! The table of host calls: what a module may import, and who answers it.

use wasmtime::{Caller, Engine, FuncType, Linker, ValType};

use crate::call::Call;
use crate::vm::VmState;
use crate::{
    buffers, contexts, http_fields, http_streams, logging, metrics, properties, shared_data,
    shared_queues, timers,
};

/// The parameters of a host call; each returns one i32, its status.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    parameters: &'static [Number],
}

impl Signature {
    /// Whether an import declares this type.
    pub(crate) fn accepts(&self, declared: &FuncType) -> bool {
        let parameters = declared.params().map(|ty| Number::of(&ty));
        let results = declared.results().map(|ty| Number::of(&ty));
        parameters.eq(self.parameters.iter().map(|number| Some(*number)))
            && results.eq([Some(Number::I32)])
    }

    /// The type as the text format writes it, such as `(i32, i32) -> i32`.
    pub(crate) fn describe(&self) -> String {
        let names: Vec<&str> = self.parameters.iter().map(|number| number.name()).collect();
        format!("({}) -> i32", names.join(", "))
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Number {
    I32,
    I64,
}

impl Number {
    fn of(ty: &ValType) -> Option<Self> {
        match ty {
            ValType::I32 => Some(Self::I32),
            ValType::I64 => Some(Self::I64),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
        }
    }
}

/// The wasm type of a parameter.
trait Parameter {
    const NUMBER: Number;
}

impl Parameter for u32 {
    const NUMBER: Number = Number::I32;
}

impl Parameter for i64 {
    const NUMBER: Number = Number::I64;
}

macro_rules! host_calls {
    (
        answered { $($name:literal ($($argument:ident: $ty:ty),*) => $answer:path;)* }
        not_yet { $($later:literal ($($ignored:ident),*);)* }
    ) => {
        /// The host calls of ABI 0.2.1 that a module may import.
        static LINKED: &[Signature] = &[
            $(Signature { name: $name, parameters: &[$(<$ty as Parameter>::NUMBER),*] },)*
            $(Signature { name: $later, parameters: &[$(number_for!($ignored)),*] },)*
        ];

        /// A linker that knows every linked host call.
        pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<VmState>> {
            let mut linker = Linker::new(engine);
            $(
                linker.func_wrap("env", $name, |caller: Caller<'_, VmState>, $($argument: $ty),*| {
                    Call::run(caller, $name, |call| $answer(call, $($argument),*))
                })?;
            )*
            $(
                linker.func_wrap("env", $later, |caller: Caller<'_, VmState>, $($ignored: u32),*| {
                    Call::run(caller, $later, |call| {
                        $(call.number($ignored);)*
                        Err(call.not_answered($later))
                    })
                })?;
            )*
            Ok(linker)
        }
    };
}

macro_rules! number_for {
    ($parameter:ident) => {
        Number::I32
    };
}

host_calls! {
answered {
    "proxy_log" (level: u32, message: u32, size: u32) => logging::log;
    "proxy_get_log_level" (level: u32) => logging::log_level;
    "proxy_get_current_time_nanoseconds" (time: u32) => timers::current_time;
    "proxy_set_tick_period_milliseconds" (period: u32) => timers::set_tick_period;
    "proxy_get_property" (path: u32, path_size: u32, value: u32, value_size: u32) => properties::get;
    "proxy_set_property" (key: u32, key_size: u32, value: u32, value_size: u32) => properties::set;
    "proxy_get_status" (code: u32, message: u32, size: u32) => contexts::status;
    "proxy_set_effective_context" (id: u32) => contexts::set_effective;
    "proxy_done" () => contexts::done;
    "proxy_get_header_map_value" (map: u32, key: u32, key_size: u32, value: u32, value_size: u32) => http_fields::value;
    "proxy_add_header_map_value" (map: u32, key: u32, key_size: u32, value: u32, value_size: u32) => http_fields::add;
    "proxy_replace_header_map_value" (map: u32, key: u32, key_size: u32, value: u32, value_size: u32) => http_fields::replace;
    "proxy_remove_header_map_value" (map: u32, key: u32, key_size: u32) => http_fields::remove;
    "proxy_get_header_map_pairs" (map: u32, pairs: u32, size: u32) => http_fields::pairs;
    "proxy_set_header_map_pairs" (map: u32, pairs: u32, size: u32) => http_fields::set_pairs;
    "proxy_get_header_map_size" (map: u32, size: u32) => http_fields::size;
    "proxy_get_buffer_bytes" (buffer: u32, start: u32, length: u32, data: u32, size: u32) => buffers::bytes;
    "proxy_get_buffer_status" (buffer: u32, length: u32, flags: u32) => buffers::status;
    "proxy_set_buffer_bytes" (buffer: u32, start: u32, length: u32, data: u32, size: u32) => buffers::set_bytes;
    "proxy_send_local_response" (
        code: u32, details: u32, details_size: u32, body: u32, body_size: u32, headers: u32, headers_size: u32, grpc: u32
    ) => http_streams::send_local_response;
    "proxy_continue_stream" (stream: u32) => http_streams::continue_stream;
    "proxy_close_stream" (stream: u32) => http_streams::close_stream;
    "proxy_get_shared_data" (key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) => shared_data::get;
    "proxy_set_shared_data" (key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) => shared_data::set;
    "proxy_register_shared_queue" (name: u32, size: u32, token: u32) => shared_queues::register;
    "proxy_resolve_shared_queue" (vm_id: u32, vm_id_size: u32, name: u32, size: u32, token: u32) => shared_queues::resolve;
    "proxy_enqueue_shared_queue" (token: u32, value: u32, size: u32) => shared_queues::enqueue;
    "proxy_dequeue_shared_queue" (token: u32, value: u32, size: u32) => shared_queues::dequeue;
    "proxy_define_metric" (kind: u32, name: u32, size: u32, id: u32) => metrics::define;
    "proxy_increment_metric" (id: u32, offset: i64) => metrics::increment;
    "proxy_record_metric" (id: u32, value: i64) => metrics::record;
    "proxy_get_metric" (id: u32, value: u32) => metrics::get;
}
// Linked, because SDKs import all of the ABI whether a filter calls it or not; whoever does call one
// of these ends the test.
not_yet {
    "proxy_http_call" (
        cluster, cluster_size, headers, headers_size, body, body_size, trailers, trailers_size, timeout, token
    );
    "proxy_grpc_call" (
        target, target_size, service, service_size, method, method_size, metadata, metadata_size,
        message, message_size, timeout, token
    );
    "proxy_grpc_stream" (
        target, target_size, service, service_size, method, method_size, metadata, metadata_size, token
    );
    "proxy_grpc_send" (token, message, size, end_stream);
    "proxy_grpc_close" (token);
    "proxy_grpc_cancel" (token);
    "proxy_call_foreign_function" (name, name_size, argument, argument_size, result, result_size);
}
}

/// What Envoy 1.40 also offers to a module of ABI 0.2.1, and no module for
/// wasm32-unknown-unknown imports for nothing.
const NOT_LINKED_YET: &[&str] = &[
    "envoy_resolve_dns",
    "pthread_equal",
    "emscripten_notify_memory_growth",
];

/// How the host meets an import.
pub(crate) enum Known {
    /// It is linked, if its type is this one.
    Linked(&'static Signature),
    /// Envoy answers it and this harness does not.
    NotYet,
    /// Envoy does not know it either.
    No,
}

/// Looks an import up. Envoy offers its WASI set under both names.
pub(crate) fn lookup(module: &str, name: &str) -> Known {
    match module {
        "env" => match LINKED.iter().find(|signature| signature.name == name) {
            Some(signature) => Known::Linked(signature),
            None if NOT_LINKED_YET.contains(&name) => Known::NotYet,
            None => Known::No,
        },
        "wasi_snapshot_preview1" | "wasi_unstable" => Known::NotYet,
        _ => Known::No,
    }
}
