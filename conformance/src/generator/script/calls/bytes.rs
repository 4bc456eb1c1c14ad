//! Buffers, properties, and memory that is not there.

use serde_json::{Value, json};

use super::maps::map;
use super::{WORDS, one};
use crate::generator::draw::Draw;

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

pub(super) fn property(draw: &mut Draw, name: &str) -> Value {
    if name == "get_property" {
        return one(name, json!([draw.one_of(&PATHS)]));
    }
    let key = draw.one_of(&["custom", "", "plugin_name", "a.b"]);
    one(name, json!([key, draw.one_of(&WORDS)]))
}

pub(super) fn buffer(draw: &mut Draw, name: &str) -> Value {
    if name == "set_buffer_bytes" {
        return write(draw);
    }
    // Buffer 8 holds what the host handed out last, whatever that is.
    let buffer = draw.weighted(&[
        (6, 0),
        (6, 1),
        (4, 2),
        (4, 3),
        (1, 4),
        (2, 5),
        (1, 6),
        (1, 7),
        (1, 9),
    ]);
    if name == "get_buffer_status" {
        return one(name, json!([buffer]));
    }
    let start = draw.one_of(&[0, 0, 0, 2, 1_000]);
    let length = draw.one_of(&[4, 100, -1, 0]);
    one(name, json!([buffer, start, length]))
}

fn write(draw: &mut Draw) -> Value {
    let buffer = draw.weighted(&[(6, 0), (6, 1), (4, 2), (4, 3), (1, 4), (1, 7)]);
    let (start, length) = draw.one_of(&[(0, 0), (0, 3), (0, -1), (1_000_000, 0), (2, 1)]);
    let data = draw.one_of(&["", "W", "written"]);
    one("set_buffer_bytes", json!([buffer, start, length, data]))
}

/// Memory that is not there, and outputs that lead nowhere.
pub(super) fn pointer(draw: &mut Draw) -> Value {
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
