//! What outlives a stream: metrics, shared data, queues.

use serde_json::{Value, json};

use super::{Phase, WORDS, one};
use crate::generator::draw::Draw;

/// What no queue and no value has.
const UNKNOWN: u32 = 2_000_000_000;

pub(super) fn metric(draw: &mut Draw, phase: &Phase<'_>, call: &str) -> Vec<Value> {
    let kind = draw.weighted(&[(3, 0), (3, 1), (1, 2), (1, 3)]);
    let name = format!("s{}_{kind}", phase.seed);
    let mut steps = vec![json!({
        "call": "define_metric", "args": [kind, name], "save": "metric",
    })];
    // What a start counts, each VM counts.
    if phase.is_start() && call == "define_metric" {
        return steps;
    }
    let id = draw.weighted(&[(4, json!("$metric")), (1, json!(99))]);
    // Nothing was saved where the kind is unknown.
    let id = if kind == 3 || phase.is_start() {
        json!(99)
    } else {
        id
    };
    let value = draw.one_of(&[1, 5, 0, -1]);
    match call {
        "increment_metric" => steps.push(one(call, json!([id, value]))),
        "record_metric" => steps.push(one(call, json!([id, value.max(0)]))),
        _ => {}
    }
    steps.push(one("get_metric", json!([id])));
    steps
}

/// The versions of values are those of the whole process.
pub(super) fn shared_data(draw: &mut Draw, name: &str) -> Vec<Value> {
    let key = draw.one_of(&["k", "l", ""]);
    let read = json!({
        "call": "get_shared_data", "args": [key], "save": ["value", "cas"], "hide": [1],
    });
    if name == "get_shared_data" {
        return vec![read];
    }
    let word = draw.one_of(&WORDS);
    match draw.between(0, 4) {
        0 | 1 => vec![one(name, json!([key, word, 0]))],
        2 => vec![one(name, json!([key, word, UNKNOWN]))],
        // As it was read, which is then so no more.
        _ => vec![
            read,
            json!({ "when": { "status": 0 }, "then": [
                { "call": name, "args": [key, word, "$cas"] },
                { "call": name, "args": [key, "too late", "$cas"] },
            ]}),
        ],
    }
}

/// So are the tokens of queues. Slot `queue` keeps that of the plugin's own, if it has one.
pub(super) fn queue(draw: &mut Draw, phase: &Phase<'_>, name: &str) -> Vec<Value> {
    // What is enqueued when a queue is ready makes it ready again.
    let known = phase.callback != "queue_ready" && !phase.is_start() && draw.chance(70);
    let token = if known {
        json!("$queue")
    } else {
        json!(UNKNOWN)
    };
    match name {
        "enqueue_shared_queue" => vec![one(name, json!([token, draw.one_of(&["item", ""])]))],
        "dequeue_shared_queue" => vec![one(name, json!([token]))],
        "resolve_shared_queue" => {
            let vm_id = draw.one_of(&["", "nobody"]);
            let queue = draw.one_of(&["q", "quick"]);
            vec![json!({ "call": name, "args": [vm_id, queue], "hide": true })]
        }
        _ => vec![json!({ "call": name, "args": ["q"], "hide": true, "save": "queue" })],
    }
}
