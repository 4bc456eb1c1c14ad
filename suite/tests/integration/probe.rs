//! Scripts of host calls: the harness and Envoy answer alike, line by line.

use std::time::Duration;

use attache_suite::{Case, Filter, Reply, Request, Seen};
use serde_json::{Value, json};

use crate::both::{Play, module, plays};

plays! {
    header_maps_answer_alike_in_every_phase => every_phase(&maps());
    buffers_answer_alike_in_every_phase => every_phase(&buffers());
    pointers_that_lead_nowhere_answer_alike => request_headers(&pointers());
    changes_of_a_map_answer_alike => request_headers(&changes());
    properties_answer_alike_in_every_phase => every_phase(&properties());
    metrics_and_shared_data_answer_alike => request_headers(&state());
    streams_and_contexts_answer_alike_in_every_phase => every_phase(&streams());
    a_body_is_changed_alike => play(bodies());
    a_body_that_is_held_grows_alike => play(held());
    without_a_scheme_there_is_no_route_on_either => request_headers(&json!([
        {"call": "remove_header_map_value", "args": [0, "x-forwarded-proto"]}, {"show": 1},
        {"show": "$context"}, {"show": "$root"},
    ]));
    a_reply_meets_its_own_filter_alike => play(replies());
    abi_0_2_0_answers_alike => of_abi("probe-0-2-0", &old_calls());
    abi_0_1_0_answers_alike => of_abi("probe-0-1-0", &old_calls());
    what_only_abi_0_1_0_has_answers_alike => of("probe-0-1-0", only_0_1_0());
    queues_answer_alike => play(queues());
    foreign_functions_answer_alike => request_headers(&foreign());
    call_outs_that_cannot_be_made_answer_alike => every_phase(&call_outs());
    a_tick_resumes_what_waits_alike => waiting(tick());
    a_reply_in_the_response_answers_alike => play(reply_in("response_headers"));
    a_second_reply_answers_alike => request_headers(&second_reply());
    a_reply_in_the_request_trailers_answers_alike => play(reply_in("request_trailers"));
    a_trap_in_a_request_callback_answers_alike => play(trap_in("request_headers"));
    a_trap_in_a_response_callback_answers_alike => play(trap_in("response_headers"));
    a_trap_in_the_log_answers_alike => play(trap_in("log"));
    an_allocator_that_traps_answers_alike => play(json!({ "request_headers": [
        {"show": 1}, {"show": 2}, {"show": 3}, {"show": 4}, {"malloc": "trap"},
        {"call": "get_header_map_value", "args": [0, "x-a"]}, {"show": "unreached"},
    ] }));
}

const PHASES: [&str; 9] = [
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
    "log",
    "done",
    "delete",
];

/// A script with a request that has body and trailers, and a response that has both.
fn play(script: Value) -> Play {
    of("probe", script)
}

fn of(package: &'static str, script: Value) -> Play {
    let filter = Filter::new(package, module(package)).configured(script.to_string());
    let request = Request::post("/x?y=1")
        .header("x-a", "v")
        .header("x-e", "")
        .header("x-m", "1")
        .header("x-m", "2")
        .header("x-bytes", b"\xff\x80".as_slice())
        .chunk("abcdef")
        .trailer("x-t", "t");
    let answer = Reply::new(200)
        .header("x-r", "r")
        .body("response")
        .trailer("x-rt", "rt");
    let case = Case::new(filter).answer(answer).request(request);
    (case, |seen: &Seen| assert!(seen.log.len() > 2, "{seen:#?}"))
}

/// As `play`, with time for a tick between the request and one for `/last`.
fn waiting(script: Value) -> Play {
    let (case, check) = play(script);
    let last = Request::get("/last").after(Duration::from_millis(300));
    (case.request(last), check)
}

fn every_phase(steps: &Value) -> Play {
    play(
        PHASES
            .iter()
            .map(|phase| ((*phase).to_owned(), steps.clone()))
            .collect(),
    )
}

fn request_headers(steps: &Value) -> Play {
    play(json!({ "request_headers": steps }))
}

fn of_abi(package: &'static str, steps: &Value) -> Play {
    of(
        package,
        PHASES
            .iter()
            .map(|phase| ((*phase).to_owned(), steps.clone()))
            .collect(),
    )
}

/// Every call of every map. Headers that tell time and chance are named by nobody.
fn maps() -> Value {
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
fn buffers() -> Value {
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

fn pointers() -> Value {
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

fn changes() -> Value {
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

fn properties() -> Value {
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

fn state() -> Value {
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

/// What acts on streams and does no harm.
fn streams() -> Value {
    json!([
        {"call": "continue_stream", "args": [2]},
        {"call": "continue_stream", "args": [3]},
        {"call": "continue_stream", "args": [4]},
        {"call": "continue_stream", "args": [-1]},
        {"call": "close_stream", "args": [4]},
        {"call": "done"},
        {"call": "get_status"},
        {"call": "set_effective_context", "args": [99]},
        {"call": "set_effective_context", "args": ["$root"]},
        {"call": "get_header_map_value", "args": [0, "x-a"]},
        {"call": "get_buffer_bytes", "args": [0, 0, 1]},
        {"call": "get_property", "args": ["request\0path"]},
        {"call": "set_property", "args": ["k", "v"]},
        {"call": "continue_stream", "args": [0]},
        {"call": "set_effective_context", "args": [0]},
        {"call": "get_header_map_value", "args": [0, "x-a"]},
        {"call": "set_effective_context", "args": ["$context"]},
        {"call": "get_log_level"},
        {"call": "set_tick_period_milliseconds", "args": [0]},
    ])
}

fn bodies() -> Value {
    let steps = |buffer: i32| {
        json!([
            {"call": "get_buffer_bytes", "args": [buffer, 0, 100]},
            {"call": "set_buffer_bytes", "args": [buffer, 0, 0, "<"]},
            {"call": "get_buffer_bytes", "args": [buffer, 0, 100]},
            {"call": "set_buffer_bytes", "args": [buffer, 100, 0, ">"]},
            {"call": "set_buffer_bytes", "args": [buffer, 1, 1, "x"]},
            {"call": "set_buffer_bytes", "args": [buffer, 0, 2, "-"]},
            {"call": "set_buffer_bytes", "args": [buffer, 7, 1, "+"]},
            {"call": "get_buffer_bytes", "args": [buffer, 0, 100]},
            {"call": "set_buffer_bytes", "args": [buffer, 0, -1, ""]},
            {"call": "get_buffer_bytes", "args": [buffer, 0, 100]},
            {"call": "set_buffer_bytes", "args": [buffer, 0, 0, "new"]},
            {"call": "get_buffer_status", "args": [buffer]},
            {"call": "set_buffer_bytes", "args": [7, 0, 0, "x"]},
            {"call": "set_buffer_bytes", "args": [9, 0, 0, "x"]},
            {"call": "set_buffer_bytes", "args": [4, 0, 0, "x"]},
        ])
    };
    json!({ "request_body": steps(0), "response_body": steps(1) })
}

fn held() -> Value {
    json!({
        "request_body": [{"call": "get_buffer_bytes", "args": [0, 0, 100]}, {"return": 1}],
        "request_trailers": [
            {"call": "get_buffer_bytes", "args": [0, 0, 100]},
            {"call": "set_buffer_bytes", "args": [0, 0, 3, "X"]},
            {"call": "get_buffer_bytes", "args": [0, 0, 100]},
        ],
        "response_body": [{"call": "get_buffer_bytes", "args": [1, 0, 100]}, {"return": 1}],
        "response_trailers": [
            {"call": "get_buffer_bytes", "args": [1, 0, 100]},
            {"call": "set_buffer_bytes", "args": [1, 0, 100, "Y"]},
            {"call": "get_buffer_bytes", "args": [1, 0, 100]},
        ],
    })
}

fn replies() -> Value {
    json!({
        "request_headers": [{"call": "send_local_response",
            "args": [403, "why not", "no\n", {"pairs": [["X-Why", "1"], ["x-why", "2"]]}, -1]}],
        "response_headers": [
            {"call": "get_header_map_pairs", "args": [2]},
            {"call": "get_property", "args": ["response\0code_details"]},
        ],
        "response_body": [{"call": "get_buffer_bytes", "args": [1, 0, 9]}],
        "context_create": [{"show": "$0"}],
        "log": [
            {"call": "get_property", "args": ["response\0code_details"]},
            {"call": "get_property", "args": ["response\0code"]},
        ],
    })
}

fn old_calls() -> Value {
    json!([
        {"call": "get_header_map_value", "args": [0, "x-a"]},
        {"call": "get_header_map_value", "args": [0, "x-none"]},
        {"call": "get_header_map_pairs", "args": [2], "hide": true},
        {"call": "get_buffer_bytes", "args": [0, 0, 9]},
        {"call": "get_status"},
        {"call": "done"},
    ])
}

fn only_0_1_0() -> Value {
    let steps = json!([
        {"call": "get_configuration"},
        {"call": "clear_route_cache"},
        {"call": "get_header_map_value", "args": [0, "x-a"]},
    ]);
    json!({
        "trace": true,
        "request_headers": steps,
        "response_headers": [{"call": "get_configuration"}, {"call": "clear_route_cache"}],
        "log": [{"call": "get_header_map_value", "args": [0, "x-none"]}, {"call": "get_configuration"}],
    })
}

fn queues() -> Value {
    json!({
        "request_headers": [
            {"call": "resolve_shared_queue", "args": ["", "q"]},
            {"call": "register_shared_queue", "args": ["q"], "save": "q"},
            {"call": "register_shared_queue", "args": ["q"]},
            {"call": "resolve_shared_queue", "args": ["", "q"]},
            {"call": "resolve_shared_queue", "args": ["probe", "q"]},
            {"call": "resolve_shared_queue", "args": ["other", "q"]},
            {"call": "dequeue_shared_queue", "args": ["$q"]},
            {"call": "enqueue_shared_queue", "args": ["$q", "one"]},
            {"call": "enqueue_shared_queue", "args": ["$q", ""]},
            {"call": "enqueue_shared_queue", "args": [99, "none"]},
            {"call": "dequeue_shared_queue", "args": [99]},
            {"call": "dequeue_shared_queue", "args": ["$q"]},
            {"call": "dequeue_shared_queue", "args": ["$q"]},
            {"call": "dequeue_shared_queue", "args": ["$q"]},
            {"call": "enqueue_shared_queue", "args": ["$q", "two"]},
            {"call": "register_shared_queue", "args": ["q2"], "out": [{"end": -3}]},
            {"call": "resolve_shared_queue", "args": ["", {"end": 0, "length": 1}]},
        ],
        "queue_ready": [{"show": "$1"}, {"call": "dequeue_shared_queue", "args": ["$1"]}],
    })
}

fn foreign() -> Value {
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

fn call_outs() -> Value {
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

fn tick() -> Value {
    json!({
        "request_headers": [
            {"when": {"path": "/last"}, "then": [{"return": 0}]},
            {"set": "stream", "to": "$context"},
            {"call": "set_tick_period_milliseconds", "args": [20]},
            {"return": 1},
        ],
        "tick": [{"when": {"not": {"slot": {"stream": null}}}, "then": [
            {"call": "set_tick_period_milliseconds", "args": [0]},
            {"call": "get_header_map_value", "args": [0, "x-a"]},
            {"call": "set_effective_context", "args": ["$stream"]},
            {"call": "get_header_map_value", "args": [0, "x-a"]},
            {"call": "add_header_map_value", "args": [0, "x-n", "1"]},
            {"call": "get_buffer_bytes", "args": [0, 0, 9]},
            {"call": "get_property", "args": ["request\0path"]},
            {"call": "continue_stream", "args": [0]},
            {"call": "get_header_map_value", "args": [0, "x-a"]},
            {"set": "stream", "to": null},
        ]}],
        "request_body": [{"show": ["$1", "$2"]}],
        "request_trailers": [{"show": "$1"}],
    })
}

fn reply_in(callback: &str) -> Value {
    json!({
        "trace": true,
        callback: [
            {"call": "send_local_response", "args": [418, "a b", "tea", {"pairs": [["x-why", "1"]]}, 5]},
            {"call": "get_header_map_pairs", "args": [2], "hide": true},
            {"return": 1},
        ],
        "log": [{"call": "get_property", "args": ["response\0code_details"]}],
    })
}

fn second_reply() -> Value {
    json!([
        {"call": "send_local_response", "args": [418, "first", "tea", "", -1]},
        {"call": "send_local_response", "args": [500, "second", "never", "", -1]},
        {"show": "$context"},
        {"show": "$root"},
    ])
}

fn trap_in(callback: &str) -> Value {
    json!({ "trace": true, callback: [{"show": "before"}, {"trap": true}] })
}
