//! The statuses that host calls answer.

/// A host call with the statuses that a case of an HTTP filter can make it answer.
type Row = (&'static str, &'static [u32]);

const ENV: &[Row] = &[
    ("proxy_log", &[0, 2, 6]),
    ("proxy_get_log_level", &[0, 6]),
    ("proxy_get_current_time_nanoseconds", &[0, 6]),
    ("proxy_set_tick_period_milliseconds", &[0]),
    ("proxy_get_property", &[0, 1, 3, 6]),
    ("proxy_set_property", &[0, 1, 2, 6]),
    ("proxy_get_status", &[0, 6]),
    ("proxy_set_effective_context", &[0, 2]),
    ("proxy_done", &[1]),
    ("proxy_get_header_map_value", &[0, 1, 2, 6]),
    ("proxy_add_header_map_value", &[0, 2, 6]),
    ("proxy_replace_header_map_value", &[0, 2, 6]),
    ("proxy_remove_header_map_value", &[0, 2, 6]),
    ("proxy_get_header_map_pairs", &[0, 2, 6]),
    ("proxy_set_header_map_pairs", &[0, 2, 6]),
    ("proxy_get_header_map_size", &[0, 2, 6]),
    ("proxy_get_buffer_bytes", &[0, 1, 2, 6]),
    ("proxy_get_buffer_status", &[0, 1, 2, 6]),
    ("proxy_set_buffer_bytes", &[0, 1, 2, 6]),
    ("proxy_send_local_response", &[0, 6]),
    ("proxy_continue_stream", &[0, 2, 12]),
    ("proxy_close_stream", &[0, 2]),
    ("proxy_continue_request", &[0]),
    ("proxy_continue_response", &[0]),
    ("proxy_clear_route_cache", &[0]),
    ("proxy_get_configuration", &[0, 6]),
    ("proxy_get_shared_data", &[0, 1, 6]),
    ("proxy_set_shared_data", &[0, 6, 8]),
    ("proxy_register_shared_queue", &[0, 6]),
    ("proxy_resolve_shared_queue", &[0, 1, 6]),
    ("proxy_enqueue_shared_queue", &[0, 1, 6]),
    ("proxy_dequeue_shared_queue", &[0, 1, 6, 7]),
    ("proxy_call_foreign_function", &[0, 1, 2, 3, 6, 10]),
    ("proxy_define_metric", &[0, 2, 6]),
    ("proxy_increment_metric", &[0, 1, 2]),
    ("proxy_record_metric", &[0, 1]),
    ("proxy_get_metric", &[0, 1, 2, 6]),
    ("proxy_http_call", &[0, 2, 6, 10]),
    ("proxy_grpc_call", &[0, 4, 6, 10]),
    ("proxy_grpc_stream", &[0, 4, 6, 10]),
    ("proxy_grpc_send", &[0, 1, 2, 6]),
    ("proxy_grpc_close", &[0, 1, 2]),
    ("proxy_grpc_cancel", &[0, 1, 2]),
];

const WASI: &[Row] = &[
    ("args_get", &[0]),
    ("args_sizes_get", &[0, 21]),
    ("clock_res_get", &[0, 21, 58]),
    ("clock_time_get", &[0, 21, 58]),
    ("environ_get", &[0]),
    ("environ_sizes_get", &[0, 21]),
    ("fd_advise", &[0]),
    ("fd_allocate", &[0, 8]),
    ("fd_close", &[0]),
    ("fd_datasync", &[0, 8]),
    ("fd_fdstat_get", &[0, 8]),
    ("fd_fdstat_set_flags", &[52]),
    ("fd_fdstat_set_rights", &[0, 8]),
    ("fd_filestat_get", &[8]),
    ("fd_filestat_set_size", &[0, 8]),
    ("fd_filestat_set_times", &[0, 8]),
    ("fd_pread", &[52]),
    ("fd_prestat_dir_name", &[52]),
    ("fd_prestat_get", &[8]),
    ("fd_pwrite", &[0, 8]),
    ("fd_read", &[52]),
    ("fd_readdir", &[20, 21]),
    ("fd_renumber", &[8, 58]),
    ("fd_seek", &[0]),
    ("fd_sync", &[0, 8]),
    ("fd_tell", &[0, 8, 21]),
    ("fd_write", &[0, 8, 21]),
    ("path_create_directory", &[58]),
    ("path_filestat_get", &[58]),
    ("path_filestat_set_times", &[58]),
    ("path_open", &[44]),
    ("path_readlink", &[21, 58]),
    ("path_remove_directory", &[58]),
    ("path_rename", &[58]),
    ("path_unlink_file", &[58]),
    ("poll_oneoff", &[0, 21]),
    ("random_get", &[0, 28]),
    ("sched_yield", &[0]),
    ("sock_accept", &[21, 58]),
    ("sock_recv", &[21, 58]),
    ("sock_send", &[21, 58]),
    ("sock_shutdown", &[58]),
];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = (&'static str, u32)> {
    let rows = ENV.iter().chain(WASI);
    rows.flat_map(|(call, statuses)| statuses.iter().map(|status| (*call, *status)))
}

pub(super) fn has(call: &str, status: u32) -> bool {
    all().any(|known| known == (call, status))
}

/// What is answered in place of a status: a neighbour that the call, or one like it, might answer.
pub(super) fn another(call: &str, status: u32) -> u32 {
    let wasi = WASI.iter().any(|(name, _)| *name == call);
    match (wasi, status) {
        (true, 28) | (false, 0 | 2) => {
            if wasi {
                0
            } else {
                1
            }
        }
        (true, _) => 28,
        (false, 1) => 2,
        (false, _) => 0,
    }
}
