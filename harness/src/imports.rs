//! The table of host calls: what a module may import, and who answers it.

mod signature;

use wasmtime::{Caller, Engine, Linker};

use crate::abi::AbiVersion;
use crate::call::Call;
use crate::envoy_version::{EnvoyVersion, MORE_OF_WASI, VersionDifference};
use crate::vm::VmState;
use crate::{
    buffers, configuration, contexts, dns, environment, foreign_functions, grpc_calls, http_calls,
    http_fields, http_streams, logging, metrics, properties, shared_data, shared_queues, timers,
    wasi,
};

pub(crate) use self::signature::{Number, Parameter, Signature, Versions, describe, describe_i32};

/// Builds the table and the function that puts it into a linker.
///
/// An entry is the import's name, its parameters, where it matters the versions of the ABI that
/// have it, and who answers it. Each returns one i32, its status.
macro_rules! host_calls {
    ($($name:literal ($($argument:ident: $ty:ty),*) $(in $versions:ident)? => $answer:path;)*) => {
        static HOST_CALLS: &[Signature] = &[
            $(Signature {
                name: $name,
                parameters: &[$(<$ty as Parameter>::NUMBER),*],
                results: &[Number::I32],
                versions: versions!($($versions)?),
            },)*
        ];

        fn define_host_calls(linker: &mut Linker<VmState>, abi: AbiVersion) -> wasmtime::Result<()> {
            $(
                if versions!($($versions)?).have(abi) {
                    linker.func_wrap("env", $name, |caller: Caller<'_, VmState>, $($argument: $ty),*| {
                        Call::run(caller, $name, |call| $answer(call, $($argument),*))
                    })?;
                }
            )*
            Ok(())
        }
    };
}

macro_rules! versions {
    () => {
        Versions::All
    };
    ($versions:ident) => {
        Versions::$versions
    };
}

host_calls! {
    "proxy_log" (level: u32, message: u32, size: u32) => logging::log;
    "proxy_get_log_level" (level: u32) in Since021 => logging::log_level;
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
    "proxy_continue_stream" (stream: u32) in Since020 => http_streams::continue_stream;
    "proxy_close_stream" (stream: u32) in Since020 => http_streams::close_stream;
    "proxy_continue_request" () in Only010 => http_streams::continue_request;
    "proxy_continue_response" () in Only010 => http_streams::continue_response;
    "proxy_clear_route_cache" () in Only010 => http_streams::clear_route_cache;
    "proxy_get_configuration" (configuration: u32, size: u32) in Only010 => configuration::get;
    "proxy_get_shared_data" (key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) => shared_data::get;
    "proxy_set_shared_data" (key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) => shared_data::set;
    "proxy_register_shared_queue" (name: u32, size: u32, token: u32) => shared_queues::register;
    "proxy_resolve_shared_queue" (vm_id: u32, vm_id_size: u32, name: u32, size: u32, token: u32) => shared_queues::resolve;
    "proxy_enqueue_shared_queue" (token: u32, value: u32, size: u32) => shared_queues::enqueue;
    "proxy_dequeue_shared_queue" (token: u32, value: u32, size: u32) => shared_queues::dequeue;
    "proxy_call_foreign_function" (
        name: u32, name_size: u32, argument: u32, argument_size: u32, result: u32, result_size: u32
    ) => foreign_functions::call;
    "envoy_resolve_dns" (name: u32, size: u32, token: u32) => dns::resolve;
    "proxy_define_metric" (kind: u32, name: u32, size: u32, id: u32) => metrics::define;
    "proxy_increment_metric" (id: u32, offset: i64) => metrics::increment;
    "proxy_record_metric" (id: u32, value: i64) => metrics::record;
    "proxy_get_metric" (id: u32, value: u32) => metrics::get;
    "proxy_http_call" (
        cluster: u32, cluster_size: u32, headers: u32, headers_size: u32, body: u32, body_size: u32,
        trailers: u32, trailers_size: u32, timeout: u32, token: u32
    ) => http_calls::http_call;
    "proxy_grpc_call" (
        target: u32, target_size: u32, service: u32, service_size: u32, method: u32, method_size: u32,
        metadata: u32, metadata_size: u32, message: u32, message_size: u32, timeout: u32, token: u32
    ) => grpc_calls::call;
    "proxy_grpc_stream" (
        target: u32, target_size: u32, service: u32, service_size: u32, method: u32, method_size: u32,
        metadata: u32, metadata_size: u32, token: u32
    ) => grpc_calls::stream;
    "proxy_grpc_send" (token: u32, message: u32, size: u32, end_stream: u32) => grpc_calls::send;
    "proxy_grpc_close" (token: u32) => grpc_calls::close;
    "proxy_grpc_cancel" (token: u32) => grpc_calls::cancel;
}

/// A linker that knows what Envoy offers to a module of this version.
pub(crate) fn linker(engine: &Engine, abi: AbiVersion) -> wasmtime::Result<Linker<VmState>> {
    let mut linker = Linker::new(engine);
    define_host_calls(&mut linker, abi)?;
    environment::define(&mut linker)?;
    for module in WASI_MODULES {
        wasi::define(&mut linker, module)?;
    }
    Ok(linker)
}

/// Envoy offers one WASI set under two names.
const WASI_MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// Finds what an Envoy offers under this name to a module of this version of the ABI.
pub(crate) fn lookup(
    abi: AbiVersion,
    envoy: EnvoyVersion,
    module: &str,
    name: &str,
) -> Option<&'static Signature> {
    let find = |table: &'static [Signature]| table.iter().find(|known| known.name == name);
    if WASI_MODULES.contains(&module) {
        let missing =
            envoy.is_before(VersionDifference::MoreOfWasi) && MORE_OF_WASI.contains(&name);
        return if missing { None } else { find(wasi::FUNCTIONS) };
    }
    let known =
        (module == "env").then(|| find(HOST_CALLS).or_else(|| find(environment::FUNCTIONS)))??;
    known.versions.have(abi).then_some(known)
}

#[cfg(test)]
mod tests {
    use attache_module::{Abi, is_host_call};

    use super::*;

    /// `attache-module` refuses a guest's import where the harness, and Envoy, would. It keeps a list
    /// of names only, and of WASI only what a guest for wasm32-unknown-unknown can have a use for.
    #[test]
    fn the_list_of_attache_module_agrees() {
        let newest = EnvoyVersion::default();
        for (abi, theirs) in [
            (AbiVersion::V0_1_0, Abi::V0_1_0),
            (AbiVersion::V0_2_0, Abi::V0_2_0),
            (AbiVersion::V0_2_1, Abi::V0_2_1),
        ] {
            let names = HOST_CALLS.iter().chain(environment::FUNCTIONS);
            for name in names.map(|signature| signature.name) {
                let known = lookup(abi, newest, "env", name).is_some();
                assert_eq!(is_host_call(theirs, "env", name), known, "{abi} {name}");
            }
            for name in wasi::FUNCTIONS.iter().map(|signature| signature.name) {
                if is_host_call(theirs, "wasi_snapshot_preview1", name) {
                    assert!(
                        lookup(abi, newest, "wasi_unstable", name).is_some(),
                        "{name}"
                    );
                }
            }
        }
        assert!(!is_host_call(Abi::V0_2_1, "env", "proc_exit"));
    }

    #[test]
    fn no_name_stands_twice() {
        let mut names: Vec<_> = HOST_CALLS.iter().map(|signature| signature.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), HOST_CALLS.len());
    }
}
