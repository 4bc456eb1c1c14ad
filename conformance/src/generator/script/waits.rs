//! Streams that are held until a tick, an answer or a gRPC server resumes them.

use serde_json::{Map, Value, json};

use super::endings::reply;
use super::{Drawn, Role, calls, calls_in, planted};
use crate::generator::chain::Entry;
use crate::generator::draw::Draw;

/// What a stream waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Tick,
    Answer,
    /// The end of a call, or of a stream.
    Rpc,
}

/// Callbacks that gRPC servers make.
const OF_RPC: [&str; 4] = [
    "grpc_receive_initial_metadata",
    "grpc_receive",
    "grpc_receive_trailing_metadata",
    "grpc_close",
];

/// What streams wait for. Slot `stream` is the one that waits, slot `held` says what of it is held.
pub(super) struct Waits {
    tick: bool,
    answer: bool,
    rpc: bool,
    /// Whether gRPC is spoken in streams.
    streams: bool,
    /// Whether items are put into the queue.
    queue: bool,
    dns: bool,
}

impl Waits {
    pub(super) fn new(draw: &mut Draw, role: &Role) -> Self {
        let wants = role.wants();
        // Only streams have metadata.
        let streams = wants.ends_with("_metadata") || draw.chance(60);
        Self {
            tick: false,
            answer: false,
            rpc: false,
            streams,
            queue: wants == "queue_ready" || draw.chance(12),
            dns: wants == "resolve_dns",
        }
    }

    /// Whether in this callback begins what leads to the one in which something is planted.
    pub(super) fn begin_in(&self, role: &Role, callback: &str) -> bool {
        let wants = role.wants();
        let first = callback == role.first();
        let registers = self.queue && callback == "configure";
        registers || (first && (super::endings::is_of_root(wants) || self.queue))
    }

    /// The steps that lead there.
    pub(super) fn begin(
        &mut self,
        draw: &mut Draw,
        role: &Role,
        at: &Drawn<'_>,
        callback: &str,
    ) -> Vec<Value> {
        if callback == "configure" {
            return vec![json!({
                "call": "register_shared_queue", "args": ["q"], "hide": true, "save": "queue",
            })];
        }
        let mut steps = Vec::new();
        if self.queue {
            let item = draw.one_of(&["item", "another", ""]);
            steps.push(json!({ "call": "enqueue_shared_queue", "args": ["$queue", item] }));
        }
        if self.dns {
            steps.push(json!({ "call": "resolve_dns", "args": ["127.0.0.1"] }));
        }
        let way = match role.wants() {
            "tick" => Some(Way::Tick),
            "http_call_response" => Some(Way::Answer),
            wants if OF_RPC.contains(&wants) => Some(Way::Rpc),
            _ => None,
        };
        if let Some(way) = way {
            steps.extend(self.hold(draw, role, at, callback, way));
        }
        steps
    }

    /// Steps that hold what a callback is about.
    pub(super) fn hold(
        &mut self,
        draw: &mut Draw,
        role: &Role,
        at: &Drawn<'_>,
        callback: &str,
        way: Way,
    ) -> Vec<Value> {
        let held = match callback {
            "upstream_data" => return vec![json!({ "return": 1 })],
            "new_connection" | "downstream_data" if role.is_old() => return Vec::new(),
            "new_connection" | "downstream_data" => "downstream",
            _ if callback.starts_with("response") => "response",
            _ => "request",
        };
        let ask = match way {
            Way::Tick => {
                self.tick = true;
                vec![json!({ "call": "set_tick_period_milliseconds", "args": [at.times.period()] })]
            }
            Way::Answer => {
                self.answer = true;
                vec![calls::http_call(draw, &[at.next_awaited()])]
            }
            Way::Rpc => {
                self.rpc = true;
                self.ask_rpc(draw, at.next_rpc())
            }
        };
        let mut steps = Vec::new();
        if way != Way::Tick {
            // One answer is enough: two calls of one moment are answered in any order.
            let waits = json!({ "slot": { "stream": "$context", "held": held } });
            steps.push(json!({ "when": waits, "then": [{ "return": 1 }] }));
        }
        steps.push(json!({ "set": "stream", "to": "$context" }));
        steps.push(json!({ "set": "held", "to": held }));
        steps.extend(ask);
        if role.entry != Entry::Logger {
            steps.push(json!({ "return": 1 }));
        }
        steps
    }

    fn ask_rpc(&self, draw: &mut Draw, cluster: &str) -> Vec<Value> {
        let metadata = draw.one_of(&[
            json!(null),
            json!({ "pairs": [["x-m", "1"], ["X-N", "2"]] }),
        ]);
        let message = draw.one_of(&["", "one", "a message"]);
        if !self.streams {
            return vec![json!({
                "call": "grpc_call", "args": [cluster, "a.Service", "Say", metadata, message, 5_000],
                "save": "rpc",
            })];
        }
        let last = u32::from(draw.chance(50));
        vec![
            json!({
                "call": "grpc_stream", "args": [cluster, "a.Service", "Talk", metadata], "save": "rpc",
            }),
            json!({ "call": "grpc_send", "args": ["$rpc", message, last] }),
        ]
    }

    /// Writes the callbacks that end the waiting.
    pub(super) fn write(
        self,
        draw: &mut Draw,
        role: &Role,
        at: &Drawn<'_>,
        script: &mut Map<String, Value>,
    ) {
        if self.tick {
            let mut steps = vec![json!({ "call": "set_tick_period_milliseconds", "args": [0] })];
            steps.extend(end(draw, "tick", role, at));
            script.insert("tick".to_owned(), json!(steps));
        }
        if self.answer {
            let steps = end(draw, "http_call_response", role, at);
            script.insert("http_call_response".to_owned(), json!(steps));
        }
        if self.rpc {
            for callback in OF_RPC {
                let steps = self.of_rpc(draw, callback, role, at);
                script.insert(callback.to_owned(), json!(steps));
            }
        }
        if self.queue {
            let mut steps = calls_in(draw, "queue_ready", role, at, 2);
            if draw.chance(70) {
                steps.push(json!({ "call": "dequeue_shared_queue", "args": ["$queue"] }));
            }
            steps.extend(planted_in(draw, "queue_ready", role, at));
            script.insert("queue_ready".to_owned(), json!(steps));
        }
        if self.dns {
            let mut steps = vec![json!({ "call": "get_buffer_bytes", "args": [8, 0, 100] })];
            steps.extend(planted_in(draw, "resolve_dns", role, at));
            script.insert("resolve_dns".to_owned(), json!(steps));
        }
    }

    fn of_rpc(&self, draw: &mut Draw, callback: &str, role: &Role, at: &Drawn<'_>) -> Vec<Value> {
        // A call has one of the two, a stream always its end.
        if callback == "grpc_close" || (callback == "grpc_receive" && !self.streams) {
            return end(draw, callback, role, at);
        }
        let mut steps = calls_in(draw, callback, role, at, 2);
        if callback == "grpc_receive" {
            steps.push(json!({ "call": "get_buffer_bytes", "args": [5, 0, 100] }));
            let end = match draw.between(0, 9) {
                0 => json!({ "call": "grpc_send", "args": ["$rpc", "the last", 1] }),
                _ => json!({ "call": "grpc_close", "args": ["$rpc"] }),
            };
            // Once for each stream, which may have said that nothing follows.
            steps.push(json!({
                "when": { "not": { "slot": { "ended": "$rpc" } } },
                "then": [{ "set": "ended", "to": "$rpc" }, end],
            }));
        } else {
            let map = if callback.contains("initial") { 4 } else { 5 };
            steps.push(json!({ "call": "get_header_map_pairs", "args": [map] }));
        }
        steps.extend(planted_in(draw, callback, role, at));
        steps
    }
}

fn planted_in(draw: &mut Draw, callback: &str, role: &Role, at: &Drawn<'_>) -> Vec<Value> {
    let cell = role.planted_in(callback);
    cell.map_or_else(Vec::new, |cell| planted(draw, cell, role, at))
}

/// The steps of a callback that ends the waiting: now and then with a reply, or with a close, in the place of a
/// resume.
fn end(draw: &mut Draw, callback: &str, role: &Role, at: &Drawn<'_>) -> Vec<Value> {
    let mut steps = calls_in(draw, callback, role, at, 2);
    if role.planted_in(callback).is_some() {
        steps.extend(planted_in(draw, callback, role, at));
        if draw.chance(50) {
            return steps;
        }
    }
    let on_stream =
        |step: Value| json!([{ "call": "set_effective_context", "args": ["$stream"] }, step]);
    let resume = |direction: u32| {
        on_stream(match (role.is_old(), direction) {
            (false, _) => json!({ "call": "continue_stream", "args": [direction] }),
            (true, 0) => json!({ "call": "continue_request" }),
            (true, _) => json!({ "call": "continue_response" }),
        })
    };
    let held = |what: &str| json!({ "slot": { "held": what } });
    if role.entry == Entry::Tcp {
        let end = match draw.between(0, 11) {
            0 => on_stream(json!({ "call": "close_stream", "args": [2] })),
            _ => resume(2),
        };
        steps.push(json!({ "when": held("downstream"), "then": end }));
    } else {
        let request = match draw.between(0, 11) {
            0 => on_stream(reply(draw)),
            1 if !role.is_old() => on_stream(json!({ "call": "close_stream", "args": [0] })),
            _ => resume(0),
        };
        steps.push(json!({
            "when": held("response"),
            "then": resume(1),
            "else": [{ "when": held("request"), "then": request }],
        }));
    }
    // Answers to calls that nobody waits for come later.
    steps.push(json!({ "set": "held", "to": "nothing" }));
    steps
}
