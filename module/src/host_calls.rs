use crate::facts::Abi;

/// The calls that Envoy offers under module `env`: ABI 0.1.0 to 0.2.1 and Envoy's own
/// (`proxy-wasm-cpp-host`, `include/proxy-wasm/exports.h` and `src/wasm.cc`; Envoy,
/// `source/extensions/common/wasm/wasm.cc`).
const ENV: [&str; 46] = [
    "emscripten_notify_memory_growth",
    "envoy_resolve_dns",
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_clear_route_cache",
    "proxy_close_stream",
    "proxy_continue_request",
    "proxy_continue_response",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_get_configuration",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "pthread_equal",
];

/// The part of Envoy's WASI (same files) that a filter for wasm32-unknown-unknown can have a use
/// for; any other call is a sign of a library that expects another world.
const WASI: [&str; 4] = [
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "random_get",
];

/// All of Envoy's WASI.
const WHOLE_WASI: [&str; 45] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_exit",
    "random_get",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// Calls that some versions of the ABI lack (`src/wasm.cc`).
fn belongs_to(name: &str, abi: Abi) -> bool {
    match name {
        "proxy_clear_route_cache"
        | "proxy_continue_request"
        | "proxy_continue_response"
        | "proxy_get_configuration" => abi == Abi::V0_1_0,
        "proxy_close_stream" | "proxy_continue_stream" => abi != Abi::V0_1_0,
        "proxy_get_log_level" => abi == Abi::V0_2_1,
        _ => true,
    }
}

/// Whether Envoy offers the function `name` of `module` to a module of this ABI, and a finished
/// module may import it.
#[must_use]
pub fn is_host_call(abi: Abi, module: &str, name: &str) -> bool {
    match module {
        "env" => ENV.contains(&name) && belongs_to(name, abi),
        "wasi_snapshot_preview1" | "wasi_unstable" => WASI.contains(&name),
        _ => false,
    }
}

/// Whether `module` is a name of WASI and Envoy offers the function `name` of it. A filter of the SDK
/// has no use for most of them, and a module of another toolchain may.
pub(crate) fn is_wasi_call(module: &str, name: &str) -> bool {
    matches!(module, "wasi_snapshot_preview1" | "wasi_unstable") && WHOLE_WASI.contains(&name)
}
