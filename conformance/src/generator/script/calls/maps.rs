//! Header maps.

use serde_json::{Value, json};

use super::{WORDS, one};
use crate::generator::draw::Draw;

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

pub(super) fn map(draw: &mut Draw) -> u32 {
    draw.weighted(&[
        (6, 0),
        (3, 1),
        (6, 2),
        (3, 3),
        (1, 4),
        (1, 5),
        (1, 6),
        (1, 7),
        (1, 8),
    ])
}

pub(super) fn of(draw: &mut Draw, name: &str) -> Vec<Value> {
    match name {
        "get_header_map_value" => vec![one(name, json!([map(draw), draw.one_of(&KEYS)]))],
        "get_header_map_pairs" | "get_header_map_size" => read(draw, name),
        "set_header_map_pairs" => vec![set(draw)],
        _ => change(draw, name),
    }
}

fn change(draw: &mut Draw, name: &str) -> Vec<Value> {
    let (map, mut key) = (map(draw), draw.one_of(&KEYS));
    // Doubles do not read trailers with the names of pseudo headers, nor an empty name.
    if matches!(map, 1 | 3) && (key.starts_with(':') || key.is_empty()) {
        key = "x-new";
    }
    // A server of HTTP/2 resets a request with a status.
    if map == 0 && key == ":status" {
        key = ":path";
    }
    // What is added to these is joined, and no peer reads the result.
    if name == "add_header_map_value" && matches!(key, ":method" | "content-length") {
        key = "x-new";
    }
    // A peer that knows no such method resets the stream.
    let value = match key {
        ":method" => "PATCH",
        "content-length" => "5",
        _ => draw.one_of(&WORDS),
    };
    let args = match name {
        "remove_header_map_value" => json!([map, key]),
        _ => json!([map, key, value]),
    };
    let mut steps = vec![one(name, args)];
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

fn read(draw: &mut Draw, name: &str) -> Vec<Value> {
    let map = map(draw);
    let hide = map == 2 || map == 6;
    let call = json!({ "call": name, "args": [map], "hide": hide });
    if map != 2 || draw.chance(30) {
        return vec![call];
    }
    let open = json!({ "call": name, "args": [map] });
    vec![
        without_times(map),
        json!({ "when": { "status": 0 }, "then": [open], "else": [call] }),
    ]
}

fn set(draw: &mut Draw) -> Value {
    let map = map(draw);
    // Doubles do not read trailers with the names of pseudo headers.
    let list = if map == 1 || map == 3 {
        draw.one_of(&[
            json!({ "pairs": [["x-a", "1"], ["X-A", "2"], ["x-e", ""]] }),
            json!({ "pairs": [] }),
            json!("garbage"),
            json!(null),
        ])
    } else {
        draw.one_of(&[
            json!({ "pairs": [[":method", "GET"], [":path", "/set"], [":authority", "h"], ["x-forwarded-proto", "http"], ["x-a", "1"]] }),
            json!({ "pairs": [[":status", "201"], ["x-a", "1"], ["X-A", "2"]] }),
            json!({ "pairs": [] }),
            json!("garbage"),
            json!(null),
        ])
    };
    one("set_header_map_pairs", json!([map, list]))
}
