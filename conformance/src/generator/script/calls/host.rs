//! What is the host's own.

use serde_json::{Value, json};

use super::{Phase, one};
use crate::generator::draw::Draw;

pub(super) fn of(draw: &mut Draw, name: &str) -> Value {
    match name {
        "log" => one(name, json!([draw.one_of(&[2, 3, 4, 5, 6]), "a line"])),
        "set_tick_period_milliseconds" => one(name, json!([0])),
        "get_current_time_nanoseconds" => json!({ "call": name, "args": [], "hide": true }),
        "set_effective_context" => context(draw),
        "continue_stream" | "close_stream" => one(name, json!([draw.between(0, 4)])),
        "send_local_response" => super::super::endings::reply(draw),
        "pthread_equal" => one(name, json!([1, draw.between(1, 2)])),
        _ => one(name, json!([])),
    }
}

fn context(draw: &mut Draw) -> Value {
    let id = draw.one_of(&[
        json!(0),
        json!("$context"),
        json!("$root"),
        json!("$root"),
        json!(99),
    ]);
    one("set_effective_context", json!([id]))
}

pub(super) fn foreign(draw: &mut Draw, phase: &Phase<'_>) -> Value {
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
