//! Host calls with arguments that reach all of their answers.

mod bytes;
mod host;
mod maps;
mod outward;
mod state;
mod wasi;

use std::cell::Cell;

use serde_json::{Value, json};

use crate::generator::draw::Draw;
pub(super) use outward::http_call;

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

    /// Whether it answers a call, a tick and the like: calls from there would go on without an end.
    fn is_answer(&self) -> bool {
        super::endings::is_of_root(self.callback)
    }

    fn in_log(&self) -> bool {
        matches!(self.callback, "log" | "done" | "delete")
    }

    fn is_old(&self) -> bool {
        self.package == "probe-0-1-0"
    }
}

const WORDS: [&str; 5] = ["v", "", "two words", "/new", "200"];

/// Calls that are drawn, and how likely.
const DRAWN: [(u32, &[&str]); 21] = [
    (10, &["get_header_map_value"]),
    (
        9,
        &[
            "add_header_map_value",
            "replace_header_map_value",
            "replace_header_map_value",
            "remove_header_map_value",
        ],
    ),
    (
        5,
        &[
            "get_header_map_pairs",
            "set_header_map_pairs",
            "get_header_map_size",
        ],
    ),
    (
        7,
        &["get_buffer_bytes", "get_buffer_bytes", "get_buffer_status"],
    ),
    (7, &["set_buffer_bytes"]),
    (6, &["get_property"]),
    (3, &["set_property"]),
    (
        3,
        &[
            "define_metric",
            "increment_metric",
            "record_metric",
            "get_metric",
        ],
    ),
    (4, &["get_shared_data", "set_shared_data"]),
    (
        3,
        &[
            "register_shared_queue",
            "resolve_shared_queue",
            "enqueue_shared_queue",
            "dequeue_shared_queue",
        ],
    ),
    (3, &["set_effective_context"]),
    (2, &["http_call"]),
    (
        2,
        &[
            "grpc_call",
            "grpc_stream",
            "grpc_send",
            "grpc_close",
            "grpc_cancel",
        ],
    ),
    (3, &["call_foreign_function"]),
    (1, &["fd_write"]),
    (
        1,
        &[
            "environ_sizes_get",
            "args_sizes_get",
            "clock_res_get",
            "sched_yield",
            "fd_close",
            "random_get",
            "path_open",
            "fd_fdstat_get",
        ],
    ),
    (1, &["log"]),
    (1, &["done", "get_status", "get_current_time_nanoseconds"]),
    (1, &["continue_stream"]),
    (1, &["get_configuration", "clear_route_cache"]),
    (1, &["pointer"]),
];

/// A call, with steps before it where its answer would otherwise differ from run to run.
pub(super) fn drawn(draw: &mut Draw, phase: &Phase<'_>) -> Vec<Value> {
    let names = draw.weighted(&DRAWN);
    let name = draw.one_of(names);
    if phase.is_start() && matches!(name, "set_effective_context" | "http_call") {
        return Vec::new();
    }
    if phase.is_start() && (name.contains("queue") || name.starts_with("grpc")) {
        return Vec::new();
    }
    match (phase.is_old(), name) {
        (true, "continue_stream") | (false, "get_configuration" | "clear_route_cache") => {
            Vec::new()
        }
        // What moves a stream is for the end of a callback.
        (false, "continue_stream") => {
            vec![one("continue_stream", json!([draw.one_of(&[2, 3, 4])]))]
        }
        _ => of(draw, phase, name),
    }
}

/// This call.
pub(super) fn of(draw: &mut Draw, phase: &Phase<'_>, name: &str) -> Vec<Value> {
    let map = name.contains("_header_map_");
    let metric = name.ends_with("_metric");
    match name {
        _ if map => maps::of(draw, name),
        _ if metric => state::metric(draw, phase, name),
        _ if name.ends_with("shared_data") => state::shared_data(draw, name),
        _ if name.ends_with("shared_queue") => state::queue(draw, phase, name),
        _ if name.starts_with("grpc_") => vec![outward::grpc(draw, name)],
        _ if name.contains("_buffer_") => vec![bytes::buffer(draw, name)],
        "get_property" | "set_property" => vec![bytes::property(draw, name)],
        "http_call" => vec![outward::call(draw, phase)],
        "resolve_dns" => vec![outward::resolve_dns(draw, phase)],
        "call_foreign_function" => vec![host::foreign(draw, phase)],
        "pointer" => vec![bytes::pointer(draw)],
        _ => match wasi::of(draw, name) {
            Some(step) => vec![step],
            None => vec![host::of(draw, name)],
        },
    }
}

fn one(name: &str, args: Value) -> Value {
    json!({ "call": name, "args": args })
}
