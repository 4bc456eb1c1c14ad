//! All that the probe can do.

/// Host calls, of all versions of the ABI, without the functions of WASI.
pub(super) const CALLS: &[&str] = &[
    "log",
    "get_log_level",
    "get_current_time_nanoseconds",
    "set_tick_period_milliseconds",
    "get_property",
    "set_property",
    "get_header_map_value",
    "add_header_map_value",
    "replace_header_map_value",
    "remove_header_map_value",
    "get_header_map_pairs",
    "set_header_map_pairs",
    "get_header_map_size",
    "get_buffer_bytes",
    "get_buffer_status",
    "set_buffer_bytes",
    "send_local_response",
    "continue_stream",
    "close_stream",
    "continue_request",
    "continue_response",
    "clear_route_cache",
    "get_configuration",
    "get_status",
    "http_call",
    "grpc_call",
    "grpc_stream",
    "grpc_send",
    "grpc_close",
    "grpc_cancel",
    "get_shared_data",
    "set_shared_data",
    "register_shared_queue",
    "resolve_shared_queue",
    "enqueue_shared_queue",
    "dequeue_shared_queue",
    "define_metric",
    "increment_metric",
    "record_metric",
    "get_metric",
    "set_effective_context",
    "done",
    "call_foreign_function",
    "resolve_dns",
    "pthread_equal",
];

/// Functions of WASI.
pub(super) const WASI: &[&str] = &[
    "args_get",
    "args_sizes_get",
    "environ_get",
    "environ_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "random_get",
    "sched_yield",
    "poll_oneoff",
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
    "fd_prestat_get",
    "fd_prestat_dir_name",
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
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_unlink_file",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// Those of 0.1.0 alone.
pub(crate) const ONLY_0_1_0: &[&str] = &[
    "continue_request",
    "continue_response",
    "clear_route_cache",
    "get_configuration",
];
/// Those that 0.1.0 has not.
pub(crate) const ONLY_SINCE_0_2_0: &[&str] = &["continue_stream", "close_stream"];
/// Those of 0.2.1 alone.
pub(crate) const ONLY_0_2_1: &[&str] = &["get_log_level"];

/// What callbacks have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    /// Part of a root's start.
    Start,
    /// Moves an HTTP stream, and may hold it.
    Http,
    /// The same of a TCP connection.
    Tcp,
    /// Of a stream that ends.
    End,
    /// An answer, a tick and the like, of a root.
    Root,
}

impl Class {
    /// How such a callback can end.
    pub(super) fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Start => &["continue", "stop", "trap"],
            Self::Http => &[
                "continue", "stop", "stop 2", "stop 3", "reply", "close", "resume", "trap",
            ],
            Self::Tcp => &["continue", "stop", "reply", "close", "resume", "trap"],
            Self::End | Self::Root => &["continue", "reply", "close", "resume", "trap"],
        }
    }
}

/// Host calls and functions of WASI.
pub(super) fn calls() -> impl Iterator<Item = &'static str> {
    CALLS.iter().chain(WASI).copied()
}

/// Callbacks, and what they are.
pub(super) const CALLBACKS: &[(&str, Class)] = &[
    ("context_create", Class::Start),
    ("vm_start", Class::Start),
    ("validate_configuration", Class::Start),
    ("configure", Class::Start),
    ("tick", Class::Root),
    ("queue_ready", Class::Root),
    ("new_connection", Class::Tcp),
    ("downstream_data", Class::Tcp),
    ("upstream_data", Class::Tcp),
    ("downstream_connection_close", Class::End),
    ("upstream_connection_close", Class::End),
    ("request_headers", Class::Http),
    ("request_body", Class::Http),
    ("request_trailers", Class::Http),
    ("request_metadata", Class::Http),
    ("response_headers", Class::Http),
    ("response_body", Class::Http),
    ("response_trailers", Class::Http),
    ("response_metadata", Class::Http),
    ("http_call_response", Class::Root),
    ("grpc_receive_initial_metadata", Class::Root),
    ("grpc_receive", Class::Root),
    ("grpc_receive_trailing_metadata", Class::Root),
    ("grpc_close", Class::Root),
    ("foreign_function", Class::Root),
    ("resolve_dns", Class::Root),
    ("stats_update", Class::Root),
    ("done", Class::End),
    ("log", Class::End),
    ("delete", Class::End),
    ("access_log", Class::End),
];

fn class(callback: &str) -> Option<Class> {
    let mut callbacks = CALLBACKS.iter();
    let own = callbacks.find(|(name, _)| *name == callback)?;
    Some(own.1)
}

/// Whether a callback moves a stream or a connection.
pub(crate) fn is_flow(callback: &str) -> bool {
    matches!(class(callback), Some(Class::Http | Class::Tcp))
}

/// Whether only TCP connections have it.
pub(crate) fn is_of_tcp(callback: &str) -> bool {
    class(callback) == Some(Class::Tcp) || callback.ends_with("_connection_close")
}

/// The names as the tables have them.
pub(super) fn find(call: &str, callback: &str) -> Option<(&'static str, &'static str, Class)> {
    let call = calls().find(|name| *name == call)?;
    let (callback, class) = CALLBACKS.iter().find(|(name, _)| *name == callback)?;
    Some((call, callback, *class))
}
