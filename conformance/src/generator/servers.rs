//! The clusters that scripts call out to.

use serde_json::{Map, Value, json};

use super::Words;
use super::draw::Draw;
use super::peers::{self, VALUES};
use super::times::Times;

/// Names of clusters that scripts wait for. Each takes a time of its own.
pub(super) const AWAITED: [&str; 5] = ["quick", "quick-2", "quick-3", "broken", "broken-2"];
/// The same of those that speak gRPC.
pub(super) const RPC: [&str; 3] = ["rpc", "rpc-2", "rpc-3"];
/// One that is asked and not waited for.
pub(super) const SLOW: &str = "slow";
/// One that does not exist.
pub(super) const NOWHERE: &str = "nowhere";

/// What the clusters answer that the plugins call. `slow` thinks so long that whoever asked is gone.
pub(super) fn clusters(draw: &mut Draw, times: &Times, case: &Value) -> Value {
    let words = Words::of(&json!([
        case["plugins"],
        case["access_loggers"],
        case["steps"]
    ]));
    let mut clusters = Map::new();
    for name in AWAITED {
        let mut cluster = if name.starts_with("broken") {
            json!({ "fault": draw.one_of(&["closed", "malformed"]) })
        } else {
            peers::answer(draw, "http1", false)
        };
        if name.starts_with("quick") && draw.chance(30) {
            cluster["status"] = json!(draw.one_of(&[302, 404, 503]));
        }
        cluster["after"] = times.soon();
        clusters.insert(name.to_owned(), cluster);
    }
    let slow = json!({ "after": times.late(), "status": 200, "headers": { "x-slow": "1" } });
    clusters.insert(SLOW.to_owned(), slow);
    clusters.retain(|name, _| words.has(name));
    // Cases that have all of them can share an Envoy.
    if RPC.iter().any(|name| words.has(name)) {
        for name in RPC {
            clusters.insert(name.to_owned(), rpc(draw, times));
        }
    }
    Value::Object(clusters)
}

/// A gRPC server. Each of its parts takes a time of its own, so that nothing is said at the time of something
/// else.
fn rpc(draw: &mut Draw, times: &Times) -> Value {
    let mut grpc = json!({});
    if draw.chance(50) {
        grpc["metadata"] = json!({ "x-i": draw.one_of(&VALUES), "x-i2": "i" });
    }
    if draw.chance(30) {
        grpc["opening"] = part(draw, times, 5);
    }
    if draw.chance(50) {
        grpc["each_message"] = part(draw, times, 25);
    }
    let fault: Option<&str> = match draw.between(0, 19) {
        0 => Some("reset"),
        1 => Some("cut"),
        2 => Some("never"),
        _ => None,
    };
    if fault != Some("cut") {
        ended(draw, &mut grpc);
        grpc["trailers_only"] = json!(draw.chance(20));
    }
    if grpc["trailers_only"] != json!(true) {
        grpc["messages"] = messages(draw);
    }
    let mut cluster = json!({ "grpc": grpc });
    if let Some(fault) = fault {
        cluster["fault"] = json!(fault);
    }
    if fault != Some("never") {
        cluster["after"] = times.soon();
    }
    cluster
}

fn part(draw: &mut Draw, times: &Times, ends: u32) -> Value {
    let mut part = json!({ "messages": messages(draw), "after": times.soon() });
    if draw.chance(ends) {
        ended(draw, &mut part);
    }
    part
}

fn ended(draw: &mut Draw, part: &mut Value) {
    part["status"] = json!(draw.weighted(&[(6, 0), (2, 5), (1, 13), (1, 17)]));
    if draw.chance(30) {
        part["status_message"] = json!(draw.one_of(&["not here", "a%0Ab"]));
    }
    if draw.chance(30) {
        part["trailers"] = json!({ "x-t": draw.one_of(&VALUES) });
    }
}

fn messages(draw: &mut Draw) -> Value {
    let count = draw.weighted(&[(1, 0), (4, 1), (2, 2)]);
    let message = |draw: &mut Draw| draw.one_of(&["", "one", "another message"]);
    json!((0..count).map(|_| message(draw)).collect::<Vec<_>>())
}
