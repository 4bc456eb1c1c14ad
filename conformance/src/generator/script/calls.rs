//! Host calls with arguments that reach all of their answers.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::generator::draw::Draw;
use crate::generator::peers::{AWAITED, NOWHERE, SLOW};

/// Where calls are made.
pub(super) struct Phase<'a> {
    pub(super) callback: &'a str,
    pub(super) package: &'a str,
    /// Part of names that all cases on an Envoy share.
    pub(super) seed: u64,
    /// Whether the cluster that thinks may still be asked.
    pub(super) slow: &'a Cell<bool>,
}

impl Phase<'_> {
    fn is_start(&self) -> bool {
        super::is_start(self.callback)
    }

    /// Whether it answers a call or a tick: calls from there would go on without an end.
    fn is_answer(&self) -> bool {
        matches!(self.callback, "http_call_response" | "tick")
    }

    fn in_log(&self) -> bool {
        matches!(self.callback, "log" | "done" | "delete")
    }
}

const KEYS: [&str; 16] = [
    "x-a",
    "X-B",
    "x-e",
    "x-none",
    "x-t",
    "x-new",
    ":path",
    ":method",
    ":status",
    "host",
    "cookie",
    "via",
    "content-length",
    "content-type",
    "",
    "accept",
];
const WORDS: [&str; 5] = ["v", "", "two words", "/new", "200"];

const PATHS: [&str; 40] = [
    "",
    "request",
    "request\0path",
    "request\0url_path",
    "request\0query",
    "request\0host",
    "request\0scheme",
    "request\0method",
    "request\0protocol",
    "request\0id",
    "request\0referer",
    "request\0useragent",
    "request\0size",
    "request\0headers\0x-a",
    "request\0nothing",
    "response\0code",
    "response\0code_details",
    "response\0flags",
    "response\0grpc_status",
    "response\0size",
    "response\0headers\0x-a",
    "response\0trailers\0x-t",
    "source\0nothing",
    "connection\0mtls",
    "connection\0requested_server_name",
    "connection\0tls_version",
    "connection\0termination_details",
    "connection\0transport_failure_reason",
    "upstream\0tls_version",
    "upstream\0transport_failure_reason",
    "upstream\0request_attempt_count",
    "metadata\0filter_metadata",
    "xds\0cluster_name",
    "xds\0route_name",
    "xds\0virtual_host_name",
    "xds\0filter_chain_name",
    "plugin_name",
    "plugin_root_id",
    "custom",
    "nothing",
];

/// A call, with steps before it where its answer would otherwise differ from run to run.
pub(super) fn call(draw: &mut Draw, phase: &Phase<'_>) -> Vec<Value> {
    let old = phase.package == "probe-0-1-0";
    let kind = draw.weighted(&[
        (10, "header"),
        (9, "change"),
        (5, "pairs"),
        (7, "buffer"),
        (7, "write"),
        (6, "property"),
        (3, "filter_state"),
        (3, "metric"),
        (3, "shared_data"),
        (2, "queue"),
        (3, "context"),
        (2, "call_out"),
        (2, "grpc"),
        (3, "foreign"),
        (2, "wasi"),
        (2, "other"),
        (1, "pointer"),
    ]);
    match kind {
        "header" => vec![header(draw)],
        "change" => change(draw),
        "pairs" => pairs(draw),
        "buffer" => vec![buffer(draw)],
        "write" => vec![write(draw)],
        "property" => vec![one("get_property", json!([draw.one_of(&PATHS)]))],
        "filter_state" => vec![one(
            "set_property",
            json!([
                draw.one_of(&["custom", "", "plugin_name", "a.b"]),
                draw.one_of(&WORDS)
            ]),
        )],
        "metric" => metric(draw, phase),
        "shared_data" => vec![shared_data(draw)],
        "queue" if !phase.is_start() => queue(draw),
        "context" if !phase.is_start() => vec![context(draw)],
        "call_out" if !phase.is_start() && !phase.is_answer() => {
            // Two answers that come at a time come in any order.
            let clusters: &[&str] = if phase.slow.replace(false) {
                &[SLOW, NOWHERE]
            } else {
                &[NOWHERE]
            };
            vec![http_call(draw, clusters)]
        }
        "grpc" if !phase.is_start() => vec![grpc(draw)],
        "foreign" => vec![foreign(draw, phase)],
        "wasi" => vec![wasi(draw)],
        "pointer" => vec![pointer(draw)],
        _ => vec![other(draw, old)],
    }
}

fn one(name: &str, args: Value) -> Value {
    json!({ "call": name, "args": args })
}

fn map(draw: &mut Draw) -> u32 {
    draw.weighted(&[
        (6, 0),
        (3, 1),
        (6, 2),
        (3, 3),
        (1, 4),
        (1, 6),
        (1, 7),
        (1, 8),
    ])
}

fn header(draw: &mut Draw) -> Value {
    one(
        "get_header_map_value",
        json!([map(draw), draw.one_of(&KEYS)]),
    )
}

fn change(draw: &mut Draw) -> Vec<Value> {
    let (map, mut key) = (map(draw), draw.one_of(&KEYS));
    // Doubles do not read trailers with the names of pseudo headers, nor an empty name.
    if matches!(map, 1 | 3) && (key.starts_with(':') || key.is_empty()) {
        key = "x-new";
    }
    // A server of HTTP/2 resets a request with a status.
    if map == 0 && key == ":status" {
        key = ":path";
    }
    // A peer that knows no such method resets the stream.
    let value = match key {
        ":method" => "PATCH",
        "content-length" => "5",
        _ => draw.one_of(&WORDS),
    };
    // What is added to these is joined, and no peer reads the result.
    let single = matches!(key, ":method" | "content-length");
    let mut steps = match draw.between(0, 4) {
        0 | 1 if !single => vec![one("add_header_map_value", json!([map, key, value]))],
        0..=3 => vec![one("replace_header_map_value", json!([map, key, value]))],
        _ => vec![one("remove_header_map_value", json!([map, key]))],
    };
    if draw.chance(40) {
        steps.push(one("get_header_map_value", json!([map, key])));
    }
    steps
}

/// What Envoy adds to a response says how long the upstream took.
fn without_times(map: u32) -> Value {
    one(
        "remove_header_map_value",
        json!([map, "x-envoy-upstream-service-time"]),
    )
}

fn pairs(draw: &mut Draw) -> Vec<Value> {
    let map = map(draw);
    let hide = map == 2 || map == 6;
    match draw.between(0, 5) {
        0 => vec![json!({ "call": "get_header_map_pairs", "args": [map], "hide": hide })],
        1 => vec![json!({ "call": "get_header_map_size", "args": [map], "hide": hide })],
        2 | 3 if map == 2 => vec![
            without_times(map),
            json!({ "when": { "status": 0 }, "then": [
                { "call": "get_header_map_pairs", "args": [map], "hide": hide },
                { "call": "get_header_map_size", "args": [map], "hide": hide },
            ]}),
        ],
        2 | 3 => vec![json!({ "call": "get_header_map_pairs", "args": [map], "hide": hide })],
        // Doubles do not read trailers with the names of pseudo headers.
        _ if map == 1 || map == 3 => {
            let list = draw.one_of(&[
                json!({ "pairs": [["x-a", "1"], ["X-A", "2"], ["x-e", ""]] }),
                json!({ "pairs": [] }),
                json!("garbage"),
                json!(null),
            ]);
            vec![one("set_header_map_pairs", json!([map, list]))]
        }
        _ => {
            let list = draw.one_of(&[
                json!({ "pairs": [[":method", "GET"], [":path", "/set"], [":authority", "h"], ["x-forwarded-proto", "http"], ["x-a", "1"]] }),
                json!({ "pairs": [[":status", "201"], ["x-a", "1"], ["X-A", "2"]] }),
                json!({ "pairs": [] }),
                json!("garbage"),
                json!(null),
            ]);
            vec![one("set_header_map_pairs", json!([map, list]))]
        }
    }
}

fn buffer(draw: &mut Draw) -> Value {
    // Buffer 8 holds what the host handed out last, whatever that is.
    let buffer = draw.weighted(&[
        (6, 0),
        (6, 1),
        (1, 2),
        (1, 4),
        (1, 5),
        (1, 6),
        (1, 7),
        (1, 9),
    ]);
    if draw.chance(30) {
        return one("get_buffer_status", json!([buffer]));
    }
    let start = draw.one_of(&[0, 0, 0, 2, 1_000]);
    let length = draw.one_of(&[4, 100, -1, 0]);
    one("get_buffer_bytes", json!([buffer, start, length]))
}

fn write(draw: &mut Draw) -> Value {
    let buffer = draw.weighted(&[(6, 0), (6, 1), (1, 4), (1, 7)]);
    let (start, length) = draw.one_of(&[(0, 0), (0, 3), (0, -1), (1_000_000, 0), (2, 1)]);
    let data = draw.one_of(&["", "W", "written"]);
    one("set_buffer_bytes", json!([buffer, start, length, data]))
}

fn metric(draw: &mut Draw, phase: &Phase<'_>) -> Vec<Value> {
    let kind = draw.weighted(&[(3, 0), (3, 1), (1, 2), (1, 3)]);
    let name = format!("s{}_{kind}", phase.seed);
    let mut steps = vec![json!({
        "call": "define_metric", "args": [kind, name], "save": "metric",
    })];
    if phase.is_start() {
        return steps;
    }
    let id = draw.weighted(&[(4, json!("$metric")), (1, json!(99))]);
    // Nothing was saved where the kind is unknown.
    let id = if kind == 3 { json!(99) } else { id };
    let value = draw.one_of(&[1, 5, 0, -1]);
    steps.push(match draw.between(0, 2) {
        0 => one("increment_metric", json!([id, value])),
        1 => one("record_metric", json!([id, value.max(0)])),
        _ => one("get_metric", json!([id])),
    });
    steps.push(one("get_metric", json!([id])));
    steps
}

fn shared_data(draw: &mut Draw) -> Value {
    let key = draw.one_of(&["k", "l", ""]);
    if draw.chance(50) {
        return json!({ "call": "get_shared_data", "args": [key], "hide": true });
    }
    let cas = draw.one_of(&[0, 0, 2_000_000_000]);
    one("set_shared_data", json!([key, draw.one_of(&WORDS), cas]))
}

fn queue(draw: &mut Draw) -> Vec<Value> {
    match draw.between(0, 3) {
        0 => vec![one("enqueue_shared_queue", json!([2_000_000_000, "item"]))],
        1 => vec![one("dequeue_shared_queue", json!([2_000_000_000]))],
        2 => vec![json!({
            "call": "resolve_shared_queue", "args": [draw.one_of(&["", "nobody"]), "q"], "hide": true,
        })],
        _ => vec![json!({ "call": "register_shared_queue", "args": ["q"], "hide": true })],
    }
}

fn context(draw: &mut Draw) -> Value {
    let id = draw.one_of(&[
        json!(0),
        json!("$context"),
        json!("$root"),
        json!("$stream"),
        json!(99),
    ]);
    let id = if id == json!("$stream") {
        json!("$root")
    } else {
        id
    };
    one("set_effective_context", json!([id]))
}

pub(super) fn http_call(draw: &mut Draw, clusters: &[&str]) -> Value {
    let cluster = draw.one_of(clusters);
    let headers = draw.weighted(&[
        (8, json!({ "pairs": [[":method", "GET"], [":path", "/call"], [":authority", "a"], ["x-a", "1"]] })),
        (if AWAITED.contains(&cluster) { 0 } else { 1 }, json!({ "pairs": [[":method", "GET"]] })),
    ]);
    let body = draw.one_of(&["", "call body"]);
    json!({ "call": "http_call", "args": [cluster, headers, body, null, 5_000] })
}

fn grpc(draw: &mut Draw) -> Value {
    match draw.between(0, 4) {
        0 => one(
            "grpc_call",
            json!(["nowhere", "svc", "Method", null, "m", 1_000]),
        ),
        1 => one("grpc_send", json!([draw.one_of(&[4, 5, 6, 99]), "m", 0])),
        2 => one("grpc_close", json!([draw.one_of(&[4, 5, 6, 99])])),
        3 => one("grpc_cancel", json!([draw.one_of(&[4, 5, 6, 99])])),
        _ => one("grpc_stream", json!(["nowhere", "svc", "Method", null])),
    }
}

fn foreign(draw: &mut Draw, phase: &Phase<'_>) -> Value {
    let (name, argument) = draw.one_of(&[
        ("compress", json!("aaaaaaaaaaaaaaaa")),
        ("uncompress", json!("no zlib")),
        ("clear_route_cache", json!("")),
        ("declare_property", json!({ "hex": "0a06637573746f6d" })),
        ("set_envoy_filter_state", json!("bad")),
        ("verify_signature", json!("")),
        ("nothing", json!("")),
    ]);
    // It is an internal bug of Envoy's there, which it logs.
    let name = if phase.in_log() && name == "clear_route_cache" {
        "nothing"
    } else {
        name
    };
    one("call_foreign_function", json!([name, argument]))
}

fn wasi(draw: &mut Draw) -> Value {
    match draw.between(0, 8) {
        0 => one(
            "fd_write",
            json!([draw.one_of(&[1, 2, 3]), ["printed", "\n"]]),
        ),
        1 => one("environ_sizes_get", json!([])),
        2 => one("args_sizes_get", json!([])),
        3 => one("clock_res_get", json!([draw.between(0, 2)])),
        4 => one("sched_yield", json!([])),
        5 => one("fd_close", json!([draw.between(0, 4)])),
        6 => json!({ "call": "random_get", "args": [draw.one_of(&[8, 70_000])], "hide": true }),
        7 => one("path_open", json!([3, 0, "f", 0, 0, 0, 0])),
        _ => one("fd_fdstat_get", json!([draw.between(0, 3), 24])),
    }
}

/// Memory that is not there, and outputs that lead nowhere.
fn pointer(draw: &mut Draw) -> Value {
    match draw.between(0, 3) {
        0 => one(
            "get_header_map_value",
            json!([map(draw), { "end": -2, "length": 3 }]),
        ),
        1 => json!({ "call": "get_property", "args": ["plugin_name"], "out": [{ "end": 0 }] }),
        2 => one(
            "set_buffer_bytes",
            json!([0, 0, 0, { "end": 0, "length": 1 }]),
        ),
        _ => one(
            "add_header_map_value",
            json!([map(draw), "x-a", { "end": 0, "length": 1 }]),
        ),
    }
}

fn other(draw: &mut Draw, old: bool) -> Value {
    match draw.between(0, 7) {
        0 => one("log", json!([draw.one_of(&[2, 3, 4, 5, 6]), "a line"])),
        1 if !old => one("continue_stream", json!([draw.one_of(&[2, 3, 4])])),
        2 => one("done", json!([])),
        3 => one("get_status", json!([])),
        4 if old => one("get_configuration", json!([])),
        5 if old => one("clear_route_cache", json!([])),
        6 => one("resolve_shared_queue", json!(["", AWAITED[0]])),
        _ => json!({ "call": "get_current_time_nanoseconds", "args": [], "hide": true }),
    }
}
