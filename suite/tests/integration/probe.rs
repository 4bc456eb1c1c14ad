//! Scripts of host calls: the harness and Envoy answer alike, line by line.

mod calls;

use std::time::Duration;

use attache_suite::{Case, Filter, Reply, Request, Seen};
use serde_json::{Value, json};

use crate::both::{Play, module, plays};

plays! {
    header_maps_answer_alike_in_every_phase => every_phase(&calls::maps());
    buffers_answer_alike_in_every_phase => every_phase(&calls::buffers());
    pointers_that_lead_nowhere_answer_alike => request_headers(&calls::pointers());
    changes_of_a_map_answer_alike => request_headers(&calls::changes());
    properties_answer_alike_in_every_phase => every_phase(&calls::properties());
    metrics_and_shared_data_answer_alike => request_headers(&calls::state());
    streams_and_contexts_answer_alike_in_every_phase => every_phase(&streams());
    a_body_is_changed_alike => play(bodies());
    a_body_that_is_held_grows_alike => play(held());
    without_a_scheme_there_is_no_route_on_either => request_headers(&json!([
        {"call": "remove_header_map_value", "args": [0, "x-forwarded-proto"]}, {"show": 1},
        {"show": "$context"}, {"show": "$root"},
    ]));
    a_reply_meets_its_own_filter_alike => play(replies());
    abi_0_2_0_answers_alike => of_abi("probe-0-2-0", &calls::old_calls());
    abi_0_1_0_answers_alike => of_abi("probe-0-1-0", &calls::old_calls());
    what_only_abi_0_1_0_has_answers_alike => of("probe-0-1-0", only_0_1_0());
    wasi_answers_alike => request_headers(&calls::wasi());
    queues_answer_alike => play(queues());
    foreign_functions_answer_alike => request_headers(&calls::foreign());
    call_outs_that_cannot_be_made_answer_alike => every_phase(&calls::call_outs());
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
