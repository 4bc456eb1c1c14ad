//! Steps that may stand in any callback.

use serde_json::{Value, json};

/// Every call of every map. Headers that tell time and chance are named by nobody.
pub(super) fn maps() -> Value {
    let of_map = |map: i32| {
        json!([
            {"call": "get_header_map_value", "args": [map, "x-a"]},
            {"call": "get_header_map_value", "args": [map, "X-E"]},
            {"call": "get_header_map_value", "args": [map, "x-none"]},
            {"call": "get_header_map_value", "args": [map, "x-bytes"]},
            {"call": "get_header_map_value", "args": [map, "x-t"]},
            {"call": "get_header_map_value", "args": [map, "x-rt"]},
            {"call": "get_header_map_value", "args": [map, ""]},
            {"call": "get_header_map_pairs", "args": [map], "hide": true},
            {"call": "get_header_map_size", "args": [map], "hide": true},
            {"call": "add_header_map_value", "args": [map, "x-n", "1"]},
            {"call": "add_header_map_value", "args": [map, "X-N", "2"]},
            {"call": "get_header_map_value", "args": [map, "x-n"]},
            {"call": "replace_header_map_value", "args": [map, "x-n", ""]},
            {"call": "get_header_map_value", "args": [map, "x-n"]},
            {"call": "remove_header_map_value", "args": [map, "x-n"]},
            {"call": "get_header_map_value", "args": [map, "x-n"]},
        ])
    };
    let steps = (-1..9).flat_map(|map| of_map(map).as_array().cloned().unwrap_or_default());
    steps.collect()
}

/// Reads of every buffer; writes are a matter of the body phases.
pub(super) fn buffers() -> Value {
    let of_buffer = |buffer: i32| {
        json!([
            {"call": "get_buffer_bytes", "args": [buffer, 0, 4]},
            {"call": "get_buffer_bytes", "args": [buffer, 2, -1]},
            {"call": "get_buffer_bytes", "args": [buffer, 100, 1]},
            {"call": "get_buffer_bytes", "args": [buffer, 0, 0]},
            {"call": "get_buffer_status", "args": [buffer]},
        ])
    };
    // Buffer 8 keeps what the host handed out last, which is a matter of its own.
    let known = [-1, 0, 1, 2, 3, 4, 5, 6, 7, 9];
    let steps = known
        .into_iter()
        .flat_map(|map| of_buffer(map).as_array().cloned().unwrap_or_default());
    steps.collect()
}

pub(super) fn pointers() -> Value {
    json!([
        {"call": "get_header_map_value", "args": [0, {"at": 4294967295u32, "length": 1}]},
        {"call": "get_header_map_value", "args": [0, {"end": -2, "length": 3}]},
        {"call": "get_header_map_value", "args": [0, {"end": 0, "length": 0}]},
        {"call": "get_header_map_value", "args": [0, {"end": 1, "length": 0}]},
        {"call": "get_header_map_value", "args": [0, {"of": "x-a", "length": 4294967295u32}]},
        {"call": "get_header_map_value", "args": [0, "x-a"], "out": [4294967292u32]},
        {"call": "get_header_map_value", "args": [0, "x-a"], "out": [{"end": -3}]},
        {"call": "get_header_map_value", "args": [0, "x-a"], "out": [null, {"end": 0}]},
        {"call": "get_header_map_value", "args": [0, "x-e"], "out": [null, {"end": 0}]},
        {"call": "get_header_map_value", "args": [0, "x-none"], "out": [{"end": 0}]},
        {"call": "get_header_map_pairs", "args": [2], "out": [{"end": 0}]},
        {"call": "get_header_map_size", "args": [0], "out": [{"end": 0}]},
        {"call": "get_buffer_status", "args": [0], "out": [null, {"end": 0}]},
        {"call": "get_current_time_nanoseconds", "out": [{"end": -4}]},
        {"call": "get_log_level", "out": [{"end": 0}]},
        {"call": "get_property", "args": ["plugin_name"], "out": [{"end": 0}]},
        {"call": "add_header_map_value", "args": [0, "x-n", {"end": 0, "length": 1}]},
        {"call": "set_header_map_pairs", "args": [0, {"end": 0, "length": 1}]},
        {"call": "set_property", "args": ["k", {"end": 0, "length": 1}]},
        {"call": "set_buffer_bytes", "args": [0, 0, 0, {"end": 0, "length": 1}]},
        {"call": "send_local_response", "args": [200, {"end": 0, "length": 1}, "", "", -1]},
        {"call": "send_local_response", "args": [200, "", "", {"end": 0, "length": 1}, -1]},
        {"call": "log", "args": [2, {"end": -1, "length": 2}]},
        {"call": "log", "args": [6, {"end": -1, "length": 2}]},
        {"call": "log", "args": [6, "x"]},
        {"call": "set_shared_data", "args": ["k", {"end": -1, "length": 2}, 0]},
        {"call": "define_metric", "args": [0, "pointer"], "out": [{"end": 0}]},
        {"call": "get_metric", "args": [4], "out": [{"end": -4}]},
        {"call": "get_metric", "args": [99], "out": [{"end": -4}]},
        {"malloc": "null"},
        {"call": "get_header_map_value", "args": [0, "x-a"]},
        {"call": "get_header_map_value", "args": [0, "x-e"]},
        {"call": "get_header_map_value", "args": [0, "x-none"]},
        {"call": "get_header_map_pairs", "args": [0]},
        {"call": "get_property", "args": ["plugin_name"]},
    ])
}

pub(super) fn changes() -> Value {
    json!([
        {"call": "get_header_map_value", "args": [0, "host"]},
        {"call": "add_header_map_value", "args": [0, ":path", "/y"]},
        {"call": "get_header_map_value", "args": [0, ":path"]},
        {"call": "add_header_map_value", "args": [0, "x-m", "3"]},
        {"call": "replace_header_map_value", "args": [0, "X-M", "4"]},
        {"call": "get_header_map_value", "args": [0, "x-m"]},
        {"call": "set_header_map_pairs", "args": [0, {"pairs":
            [["X-B", "1"], ["x-c", ""], ["x-b", "2"], [":method", "GET"], [":path", "/z"], ["", "v"]]}]},
        {"call": "get_header_map_pairs", "args": [0]},
        {"call": "get_header_map_size", "args": [0]},
        {"call": "replace_header_map_value", "args": [0, "x-b", "3"]},
        {"call": "replace_header_map_value", "args": [0, ":method", "PUT"]},
        {"call": "replace_header_map_value", "args": [0, "host", "h"]},
        {"call": "add_header_map_value", "args": [0, "Cookie", "a"]},
        {"call": "add_header_map_value", "args": [0, "cookie", "b"]},
        {"call": "get_header_map_pairs", "args": [0]},
        {"call": "set_header_map_pairs", "args": [0, "garbage"]},
        {"call": "get_header_map_pairs", "args": [0]},
        {"call": "set_header_map_pairs", "args": [0, null]},
        {"call": "set_header_map_pairs", "args": [0, {"u32": 0}]},
        {"call": "get_header_map_size", "args": [0]},
        {"call": "send_local_response", "args": [200, "", "", "", -1]},
    ])
}

pub(super) fn properties() -> Value {
    let paths = [
        "",
        "request",
        "request\0path",
        "request\0url_path",
        "request\0query",
        "request\0host",
        "request\0method",
        "request\0scheme",
        "request\0protocol",
        "request\0referer",
        "request\0useragent",
        "request\0headers\0x-a",
        "request\0headers\0x-none",
        "request\0headers\0X-A",
        "request\0path\0below",
        "request\0nothing",
        "nothing",
        "plugin_name",
        "plugin_root_id",
        "plugin_vm_id",
        "response\0code",
        "response\0headers\0x-r",
        "response\0flags",
        "node",
        "cluster_name",
        "route_name",
        "k",
        "wasm.k",
        "filter_state",
        "filter_state\0wasm.k",
        "metadata\0filter_metadata\0none",
        "metadata",
        "connection\0mtls",
        "connection\0requested_server_name",
        "connection\0tls_version",
        "connection\0termination_details",
        "connection\0id\0below",
        "upstream\0request_attempt_count",
        "upstream\0tls_version",
        "upstream\0transport_failure_reason",
        "xds\0cluster_name",
        "xds\0filter_chain_name",
        "xds\0listener_direction",
        "xds\0nothing",
        "request\0size",
        "request\0total_size\0x",
        "response\0code_details",
        "response\0grpc_status",
        "response\0size",
        "response\0trailers",
        "response\0trailers\0x-rt",
        "request\0",
        "plugin_name\0below",
        "xds",
    ];
    let get = |path: &&str| json!({"call": "get_property", "args": [path]});
    let mut steps: Vec<Value> = paths.iter().map(get).collect();
    // Maps come in the order of hashes, of which Envoy draws the seed.
    for map in [
        "request\0headers",
        "request\0headers\0",
        "response\0headers",
    ] {
        steps.push(json!({"call": "get_property", "args": [map], "hide": true}));
    }
    steps.push(json!({"call": "set_property", "args": ["k", "v"]}));
    steps.push(json!({"call": "get_property", "args": ["k"]}));
    steps.push(json!({"call": "set_property", "args": ["", "v"]}));
    steps.into()
}

pub(super) fn state() -> Value {
    json!([
        {"call": "define_metric", "args": [0, "c"], "save": "c"},
        {"call": "define_metric", "args": [1, "g"], "save": "g"},
        {"call": "define_metric", "args": [2, "h"], "save": "h"},
        {"call": "define_metric", "args": [0, "c"], "save": "again"},
        {"call": "define_metric", "args": [3, "x"]},
        {"call": "increment_metric", "args": ["$c", 5]},
        {"call": "increment_metric", "args": ["$c", 0]},
        {"call": "increment_metric", "args": ["$c", -1]},
        {"call": "record_metric", "args": ["$again", 2]},
        {"call": "get_metric", "args": ["$c"]},
        {"call": "increment_metric", "args": ["$g", -1]},
        {"call": "get_metric", "args": ["$g"]},
        {"call": "record_metric", "args": ["$g", 7]},
        {"call": "get_metric", "args": ["$g"]},
        {"call": "increment_metric", "args": ["$h", 1]},
        {"call": "record_metric", "args": ["$h", 1]},
        {"call": "get_metric", "args": ["$h"]},
        {"call": "get_metric", "args": [0]},
        {"call": "increment_metric", "args": [12, 1]},
        {"call": "get_shared_data", "args": ["k"]},
        {"call": "set_shared_data", "args": ["k", "v", 99]},
        {"call": "get_shared_data", "args": ["k"], "save": ["value", "cas"]},
        {"call": "set_shared_data", "args": ["k", "w", "$cas"]},
        {"call": "set_shared_data", "args": ["k", "x", "$cas"]},
        {"call": "set_shared_data", "args": ["k", null, 0]},
        {"call": "get_shared_data", "args": ["k"]},
        {"call": "set_shared_data", "args": [{"hex": "00ff"}, {"times": 600, "of": "x"}, 0]},
        {"call": "get_shared_data", "args": [{"hex": "00ff"}]},
        {"call": "set_shared_data", "args": ["", "y", 0]},
        {"call": "get_shared_data", "args": [""]},
    ])
}

pub(super) fn old_calls() -> Value {
    json!([
        {"call": "get_header_map_value", "args": [0, "x-a"]},
        {"call": "get_header_map_value", "args": [0, "x-none"]},
        {"call": "get_header_map_pairs", "args": [2], "hide": true},
        {"call": "get_buffer_bytes", "args": [0, 0, 9]},
        {"call": "get_status"},
        {"call": "done"},
    ])
}

pub(super) fn foreign() -> Value {
    json!([
        {"call": "call_foreign_function", "args": ["none", ""]},
        {"call": "call_foreign_function", "args": ["compress", "aaaaaaaaaaaaaaaaaaaaaaaa"], "save": "z", "hide": true},
        {"call": "call_foreign_function", "args": ["uncompress", "$z"]},
        {"call": "call_foreign_function", "args": ["uncompress", "bad"]},
        {"call": "call_foreign_function", "args": ["uncompress", ""]},
        {"call": "call_foreign_function", "args": ["clear_route_cache", ""]},
        {"call": "call_foreign_function", "args": ["clear_route_cache", ""], "out": [0, 0]},
        {"call": "call_foreign_function", "args": ["set_envoy_filter_state", ""]},
        {"call": "call_foreign_function", "args": ["declare_property", {"hex": "0a0178"}]},
        {"call": "call_foreign_function", "args": ["declare_property", {"hex": "0a0178"}]},
        {"call": "call_foreign_function", "args": [{"end": 0, "length": 1}, ""]},
    ])
}

pub(super) fn call_outs() -> Value {
    let ask = json!({"pairs": [[":method", "GET"], [":path", "/"], [":authority", "a"]]});
    json!([
        {"call": "http_call", "args": ["none", ask, "", "", 100]},
        {"call": "http_call", "args": ["none", ask, "", "", -1]},
        {"call": "http_call", "args": ["none", ask, "", "", 100], "out": [{"end": -3}]},
        {"call": "http_call", "args": ["none", {"pairs": [[":method", "GET"]]}, "", "", 100]},
        {"call": "http_call", "args": [{"end": 0, "length": 1}, ask, "", "", 100]},
        {"call": "http_call", "args": ["none", {"end": 0, "length": 1}, "", "", 100]},
        {"call": "grpc_call", "args": ["none", "s", "m", "", "", 100]},
        {"call": "grpc_stream", "args": ["none", "s", "m", ""]},
        {"call": "grpc_send", "args": [1, "x", 0]},
        {"call": "grpc_send", "args": [6, "x", 0]},
        {"call": "grpc_close", "args": [5]},
        {"call": "grpc_close", "args": [6]},
        {"call": "grpc_close", "args": [4]},
        {"call": "grpc_cancel", "args": [5]},
        {"call": "grpc_cancel", "args": [6]},
        {"call": "grpc_cancel", "args": [7]},
        {"call": "get_status"},
    ])
}

/// Everything of WASI whose answer is no matter of time or chance.
pub(super) fn wasi() -> Value {
    let mut steps = vec![
        json!({"call": "pthread_equal", "args": [1, 1]}),
        json!({"call": "pthread_equal", "args": [1, 2]}),
        json!({"call": "args_sizes_get"}),
        json!({"call": "args_get", "args": [8, 8]}),
        json!({"call": "environ_sizes_get"}),
        json!({"call": "environ_get", "args": [8, 8]}),
        json!({"call": "clock_res_get", "args": [0]}),
        json!({"call": "clock_res_get", "args": [1]}),
        json!({"call": "clock_res_get", "args": [2]}),
        json!({"call": "clock_time_get", "args": [0, 1], "hide": true}),
        json!({"call": "clock_time_get", "args": [1, 1], "hide": true}),
        json!({"call": "clock_time_get", "args": [2, 1]}),
        json!({"call": "random_get", "args": [16], "hide": true}),
        json!({"call": "random_get", "args": [0]}),
        json!({"call": "random_get", "args": [65536], "hide": true}),
        json!({"call": "random_get", "args": [65537]}),
        json!({"call": "sched_yield"}),
        json!({"call": "poll_oneoff", "args": [48, 32, 1]}),
        json!({"call": "fd_write", "args": [1, ["one", " line\n", ""]]}),
        json!({"call": "fd_write", "args": [2, ["one\ntwo\n\n"]]}),
        json!({"call": "fd_write", "args": [1, []]}),
        json!({"call": "fd_write", "args": [1, ["", "\n"]]}),
        json!({"call": "fd_write", "args": [1, ["x"]], "out": [{"end": -3}]}),
        json!({"call": "fd_renumber", "args": [1, 2]}),
        json!({"call": "path_create_directory", "args": [3, "a"]}),
        json!({"call": "path_filestat_get", "args": [3, 0, "a", 64]}),
        json!({"call": "path_filestat_set_times", "args": [3, 0, "a", 1, 2, 0]}),
        json!({"call": "path_open", "args": [3, 0, "a", 0, 0, 0, 0]}),
        json!({"call": "path_open", "args": [3, 0, {"end": 0, "length": 9}, 0, 0, 0, 0]}),
        json!({"call": "path_readlink", "args": [3, "a", 8]}),
        json!({"call": "path_remove_directory", "args": [3, "a"]}),
        json!({"call": "path_rename", "args": [3, "a", 3, "b"]}),
        json!({"call": "path_unlink_file", "args": [3, "a"]}),
        json!({"call": "sock_accept", "args": [3, 0], "out": [{"end": -3}]}),
        json!({"call": "sock_recv", "args": [3, ["room"], 0], "out": [{"end": -3}]}),
        json!({"call": "sock_recv", "args": [3, ["room"], 0], "out": [null, {"end": -1}]}),
        json!({"call": "sock_send", "args": [3, ["x"], 0], "out": [{"end": -3}]}),
    ];
    for fd in [0, 1, 2, 3, -1] {
        steps.extend([
            json!({"call": "fd_write", "args": [fd, ["to ", "it"]]}),
            json!({"call": "fd_read", "args": [fd, ["room"]]}),
            json!({"call": "fd_pread", "args": [fd, ["room"], 0]}),
            json!({"call": "fd_pwrite", "args": [fd, ["at"], 0]}),
            json!({"call": "fd_close", "args": [fd]}),
            json!({"call": "fd_seek", "args": [fd, 1, 0]}),
            json!({"call": "fd_tell", "args": [fd]}),
            json!({"call": "fd_sync", "args": [fd]}),
            json!({"call": "fd_datasync", "args": [fd]}),
            json!({"call": "fd_advise", "args": [fd, 0, 1, 0]}),
            json!({"call": "fd_allocate", "args": [fd, 0, 1]}),
            json!({"call": "fd_fdstat_get", "args": [fd, 24]}),
            json!({"call": "fd_fdstat_set_flags", "args": [fd, 0]}),
            json!({"call": "fd_fdstat_set_rights", "args": [fd, 0, 0]}),
            json!({"call": "fd_filestat_get", "args": [fd, 64]}),
            json!({"call": "fd_filestat_set_size", "args": [fd, 0]}),
            json!({"call": "fd_filestat_set_times", "args": [fd, 0, 0, 0]}),
            json!({"call": "fd_prestat_get", "args": [fd, 8]}),
            json!({"call": "fd_prestat_dir_name", "args": [fd, 8]}),
            json!({"call": "fd_readdir", "args": [fd, 8, 0]}),
            json!({"call": "fd_renumber", "args": [fd, 1]}),
            json!({"call": "sock_accept", "args": [fd, 0]}),
            json!({"call": "sock_recv", "args": [fd, ["room"], 0]}),
            json!({"call": "sock_send", "args": [fd, ["x"], 0]}),
            json!({"call": "sock_shutdown", "args": [fd, 0]}),
        ]);
    }
    steps.into()
}
