//! The script of a probe.

mod calls;

use std::cell::Cell;

use serde_json::{Map, Value, json};

use super::draw::Draw;
use super::peers::AWAITED;
use super::times::Times;
use calls::{Phase, call};

/// Callbacks of a stream, and how likely they have steps.
const STREAM: [(&str, u32); 9] = [
    ("request_headers", 80),
    ("request_body", 50),
    ("request_trailers", 40),
    ("response_headers", 60),
    ("response_body", 45),
    ("response_trailers", 35),
    ("log", 30),
    ("done", 15),
    ("delete", 15),
];

/// Callbacks of a root. A start happens in several VMs, so that little is drawn for it.
const ROOT: [(&str, u32); 3] = [("context_create", 6), ("vm_start", 6), ("configure", 12)];

/// What all scripts of a case share.
pub(super) struct Drawn<'a> {
    pub(super) seed: u64,
    /// Whether the cluster that thinks may still be asked.
    pub(super) slow: &'a Cell<bool>,
    pub(super) times: &'a Times,
    /// How many calls are waited for.
    pub(super) awaited: &'a Cell<usize>,
}

impl Drawn<'_> {
    /// A cluster to wait for: each call has its own, as long as there are any.
    fn next_awaited(&self) -> &'static str {
        let number = self.awaited.get();
        self.awaited.set(number + 1);
        AWAITED
            .get(number % AWAITED.len())
            .copied()
            .unwrap_or_default()
    }
}

/// How a callback ends.
#[derive(Clone, Copy, Default)]
enum End {
    #[default]
    Nothing,
    Return(u32),
    /// Holds the stream until a tick resumes it.
    UntilTick,
    /// Holds it until a cluster has answered.
    UntilAnswer,
    Reply,
    Close,
    Resume,
    Trap,
}

pub(super) fn script(draw: &mut Draw, package: &str, at: &Drawn<'_>) -> Value {
    let old = package == "probe-0-1-0";
    let mut script = Map::new();
    script.insert("trace".to_owned(), json!(true));
    let mut waits = Waits::default();
    for (callback, percent) in ROOT.into_iter().chain(STREAM) {
        if draw.chance(percent) {
            let steps = steps(draw, callback, package, at, &mut waits);
            script.insert(callback.to_owned(), json!(steps));
        }
    }
    let resume = |direction: u32| {
        let step = match (old, direction) {
            (false, _) => json!({ "call": "continue_stream", "args": [direction] }),
            (true, 0) => json!({ "call": "continue_request" }),
            (true, _) => json!({ "call": "continue_response" }),
        };
        json!([{ "call": "set_effective_context", "args": ["$stream"] }, step])
    };
    if waits.tick {
        let mut steps = vec![json!({ "call": "set_tick_period_milliseconds", "args": [0] })];
        steps.extend(waits.end(draw, "tick", package, at, &resume));
        script.insert("tick".to_owned(), json!(steps));
    }
    if waits.answer {
        let steps = waits.end(draw, "http_call_response", package, at, &resume);
        script.insert("http_call_response".to_owned(), json!(steps));
    }
    Value::Object(script)
}

/// What streams wait for. Slot `stream` is the one that waits, slot `direction` says what is held.
#[derive(Default)]
struct Waits {
    tick: bool,
    answer: bool,
}

impl Waits {
    /// The steps that end it: now and then with a reply, or with a close, in the place of a resume.
    fn end(
        &self,
        draw: &mut Draw,
        callback: &str,
        package: &str,
        at: &Drawn<'_>,
        resume: &dyn Fn(u32) -> Value,
    ) -> Vec<Value> {
        let mut steps = calls_in(draw, callback, package, at, 2);
        let request = match draw.between(0, 11) {
            0 => json!([
                { "call": "set_effective_context", "args": ["$stream"] },
                reply(draw)
            ]),
            1 if package != "probe-0-1-0" => json!([
                { "call": "set_effective_context", "args": ["$stream"] },
                { "call": "close_stream", "args": [0] }
            ]),
            _ => resume(0),
        };
        let response = resume(1);
        steps.push(json!({
            "when": { "slot": { "direction": 1 } },
            "then": response,
            "else": [{ "when": { "slot": { "direction": 0 } }, "then": request }],
        }));
        // Answers to calls that nobody waits for come later.
        steps.push(json!({ "set": "direction", "to": 2 }));
        steps
    }
}

fn steps(
    draw: &mut Draw,
    callback: &str,
    package: &str,
    at: &Drawn<'_>,
    waits: &mut Waits,
) -> Vec<Value> {
    let most = if is_start(callback) { 2 } else { 4 };
    let mut steps = calls_in(draw, callback, package, at, most);
    if is_start(callback) {
        return steps;
    }
    let ending = ending(draw, callback, package, at, waits);
    if draw.chance(30) {
        let condition = condition(draw);
        steps.push(json!({ "when": condition, "then": ending }));
        if draw.chance(50) {
            steps.extend(self::ending(draw, callback, package, at, waits));
        }
    } else {
        steps.extend(ending);
    }
    steps
}

fn condition(draw: &mut Draw) -> Value {
    match draw.between(0, 4) {
        0 | 1 => json!({ "count": draw.between(1, 3) }),
        2 => json!({ "stream": draw.between(1, 2) }),
        3 => json!({ "header": { "x-a": "1" } }),
        _ => json!({ "argument": { "2": draw.between(0, 1) } }),
    }
}

fn calls_in(
    draw: &mut Draw,
    callback: &str,
    package: &str,
    at: &Drawn<'_>,
    most: u32,
) -> Vec<Value> {
    let count = draw.between(0, most);
    let phase = Phase {
        callback,
        package,
        seed: at.seed,
        slow: at.slow,
    };
    (0..count).flat_map(|_| call(draw, &phase)).collect()
}

fn is_start(callback: &str) -> bool {
    matches!(callback, "context_create" | "vm_start" | "configure")
}

fn ending(
    draw: &mut Draw,
    callback: &str,
    package: &str,
    at: &Drawn<'_>,
    waits: &mut Waits,
) -> Vec<Value> {
    let headers = callback.ends_with("_headers");
    let body = callback.ends_with("_body");
    let flows = headers || body || callback.ends_with("_trailers");
    let direction = u32::from(callback.starts_with("response"));
    let end = if flows {
        draw.weighted(&[
            (30, End::Nothing),
            (14, End::Return(0)),
            (if body { 12 } else { 2 }, End::Return(1)),
            (if body { 4 } else { 1 }, End::Return(2)),
            (2, End::Return(3)),
            (1, End::Return(4)),
            (10, End::UntilTick),
            (10, End::UntilAnswer),
            (5, End::Reply),
            (2, End::Close),
            (2, End::Resume),
            (2, End::Trap),
        ])
    } else {
        draw.weighted(&[
            (40, End::Nothing),
            (4, End::Return(0)),
            (4, End::Return(1)),
            (1, End::Resume),
            (1, End::Trap),
        ])
    };
    let hold = |waits: Value| {
        vec![
            json!({ "set": "stream", "to": "$context" }),
            json!({ "set": "direction", "to": direction }),
            waits,
            json!({ "return": 1 }),
        ]
    };
    match end {
        End::Nothing => Vec::new(),
        End::Return(value) => vec![json!({ "return": value })],
        End::UntilTick => {
            waits.tick = true;
            hold(json!({ "call": "set_tick_period_milliseconds", "args": [at.times.period()] }))
        }
        End::UntilAnswer => {
            waits.answer = true;
            // One answer is enough: two calls of one moment are answered in any order.
            let waits = json!({ "slot": { "stream": "$context", "direction": direction } });
            let mut steps = vec![json!({ "when": waits, "then": [{ "return": 1 }] })];
            steps.extend(hold(calls::http_call(draw, &[at.next_awaited()])));
            steps
        }
        End::Reply => vec![reply(draw), json!({ "return": draw.between(0, 1) })],
        End::Close if package != "probe-0-1-0" => vec![
            json!({ "call": "close_stream", "args": [draw.between(0, 1)] }),
            json!({ "return": 1 }),
        ],
        End::Resume if package != "probe-0-1-0" => vec![
            json!({ "call": "continue_stream", "args": [draw.weighted(&[(3, 0), (1, 1), (1, 2), (1, 3)])] }),
            json!({ "return": draw.between(0, 1) }),
        ],
        End::Close | End::Resume => Vec::new(),
        End::Trap => vec![json!({ "trap": true })],
    }
}

fn reply(draw: &mut Draw) -> Value {
    let headers = draw.one_of(&[
        json!(null),
        json!({ "pairs": [["x-r", "1"], ["X-R", "2"], [":status", "299"]] }),
        json!({ "pairs": [["content-type", "a/b"], ["content-length", "99"]] }),
    ]);
    let code = draw.weighted(&[(6, 403), (2, 200), (1, 204), (1, 503), (1, 302)]);
    let details = draw.one_of(&["", "said no"]);
    let body = draw.one_of(&["", "denied", "a longer reply"]);
    let grpc = draw.one_of(&[-1, 0, 7, 16, 17]);
    json!({ "call": "send_local_response", "args": [code, details, body, headers, grpc] })
}
