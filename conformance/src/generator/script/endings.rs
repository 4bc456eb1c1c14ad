//! How callbacks end.

use serde_json::{Value, json};

use super::waits::{Waits, Way};
use super::{Drawn, Role};
use crate::coverage;
use crate::generator::chain::Entry;
use crate::generator::draw::Draw;

/// How a callback ends.
#[derive(Clone, Copy, Default)]
enum End {
    #[default]
    Nothing,
    Return(u32),
    /// Holds the stream until something resumes it.
    Until(Way),
    Reply,
    Close,
    Resume,
    Trap,
}

pub(super) fn ending(
    draw: &mut Draw,
    callback: &str,
    role: &Role,
    at: &Drawn<'_>,
    waits: &mut Waits,
) -> Vec<Value> {
    let body = callback.ends_with("_body");
    let end = if coverage::is_flow(callback) {
        draw.weighted(&[
            (30, End::Nothing),
            (14, End::Return(0)),
            (if body { 12 } else { 2 }, End::Return(1)),
            (if body { 4 } else { 1 }, End::Return(2)),
            (2, End::Return(3)),
            (1, End::Return(4)),
            (10, End::Until(Way::Tick)),
            (10, End::Until(Way::Answer)),
            (2, End::Until(Way::Rpc)),
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
    match end {
        End::Nothing => Vec::new(),
        End::Return(value) => vec![json!({ "return": value })],
        End::Until(way) => waits.hold(draw, role, at, callback, way),
        End::Reply => of(draw, callback, role, "reply"),
        End::Close => of(draw, callback, role, "close"),
        End::Resume => of(draw, callback, role, "resume"),
        End::Trap => of(draw, callback, role, "trap"),
    }
}

/// Steps that end a callback like this, of a root in the place of the stream that waits.
pub(super) fn of(draw: &mut Draw, callback: &str, role: &Role, action: &str) -> Vec<Value> {
    let flows = coverage::is_flow(callback);
    let mut steps = Vec::new();
    let acts = matches!(action, "reply" | "close" | "resume");
    if acts && is_of_root(callback) && draw.chance(70) {
        steps.push(json!({ "call": "set_effective_context", "args": ["$stream"] }));
    }
    match action {
        "stop" => steps.push(json!({ "return": 1 })),
        "stop 2" => steps.push(json!({ "return": 2 })),
        "stop 3" => steps.push(json!({ "return": draw.between(3, 4) })),
        "reply" => steps.push(reply(draw)),
        "close" if role.is_old() => {}
        "close" => {
            let stream = match role.entry {
                Entry::Tcp => draw.weighted(&[(1, 0), (4, 2), (3, 3)]),
                _ => draw.between(0, 1),
            };
            steps.push(json!({ "call": "close_stream", "args": [stream] }));
        }
        "resume" => steps.push(resume(draw, role)),
        "trap" => steps.push(json!({ "trap": true })),
        _ => {}
    }
    if acts && flows && !steps.is_empty() {
        let answer = if action == "close" {
            1
        } else {
            draw.between(0, 1)
        };
        steps.push(json!({ "return": answer }));
    }
    steps
}

/// Whether a callback is of a root, and no part of its start.
pub(super) fn is_of_root(callback: &str) -> bool {
    matches!(
        callback,
        "tick" | "queue_ready" | "http_call_response" | "resolve_dns"
    ) || callback.starts_with("grpc_")
}

fn resume(draw: &mut Draw, role: &Role) -> Value {
    let direction = match role.entry {
        Entry::Tcp => draw.weighted(&[(1, 0), (4, 2), (2, 3)]),
        _ => draw.weighted(&[(3, 0), (1, 1), (1, 2), (1, 3)]),
    };
    match (role.is_old(), direction) {
        (false, _) => json!({ "call": "continue_stream", "args": [direction] }),
        (true, 1) => json!({ "call": "continue_response" }),
        (true, _) => json!({ "call": "continue_request" }),
    }
}

pub(super) fn reply(draw: &mut Draw) -> Value {
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
