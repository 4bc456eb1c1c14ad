//! Calls to others.

use serde_json::{Value, json};

use super::{Phase, one};
use crate::generator::draw::Draw;
use crate::generator::servers::{AWAITED, NOWHERE, SLOW};

/// A call that nobody waits for.
pub(super) fn call(draw: &mut Draw, phase: &Phase<'_>) -> Value {
    // Two answers that come at a time come in any order.
    let asks = !phase.is_start() && !phase.is_answer() && phase.slow.replace(false);
    let clusters: &[&str] = if asks { &[SLOW, NOWHERE] } else { &[NOWHERE] };
    http_call(draw, clusters)
}

/// A call to one of these clusters.
pub(in crate::generator::script) fn http_call(draw: &mut Draw, clusters: &[&str]) -> Value {
    let cluster = draw.one_of(clusters);
    let headers = draw.weighted(&[
        (8, json!({ "pairs": [[":method", "GET"], [":path", "/call"], [":authority", "a"], ["x-a", "1"]] })),
        (if AWAITED.contains(&cluster) { 0 } else { 1 }, json!({ "pairs": [[":method", "GET"]] })),
    ]);
    let body = draw.one_of(&["", "call body"]);
    json!({ "call": "http_call", "args": [cluster, headers, body, null, 5_000] })
}

/// One to nobody, or about one that is known. Slot `rpc` keeps the plugin's own, if it has one.
pub(super) fn grpc(draw: &mut Draw, name: &str) -> Value {
    let token = draw.weighted(&[
        (3, json!("$rpc")),
        (1, json!(4)),
        (1, json!(5)),
        (1, json!(6)),
        (1, json!(99)),
    ]);
    match name {
        "grpc_call" => one(name, json!([NOWHERE, "svc", "Method", null, "m", 1_000])),
        "grpc_stream" => one(name, json!([NOWHERE, "svc", "Method", null])),
        "grpc_send" => one(name, json!([token, "m", draw.between(0, 1)])),
        _ => one(name, json!([token])),
    }
}

pub(super) fn resolve_dns(draw: &mut Draw, phase: &Phase<'_>) -> Value {
    let nothing = json!({ "end": 0, "length": 1 });
    // An answer that asks again asks without an end.
    let name = if phase.callback == "resolve_dns" || phase.is_start() {
        nothing
    } else {
        draw.weighted(&[(3, json!("127.0.0.1")), (1, nothing)])
    };
    one("resolve_dns", json!([name]))
}
