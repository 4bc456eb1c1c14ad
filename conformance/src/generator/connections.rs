//! What clients and the upstream of TCP connections do.

use serde_json::{Value, json};

use super::chain::Chain;
use super::draw::Draw;
use super::times::Times;
use super::{Words, servers};
use crate::coverage::Cell;

/// What the upstream does.
pub(super) fn upstream(draw: &mut Draw, planted: Option<Cell>) -> Value {
    let wanted = |callback: &str| planted.is_some_and(|cell| cell.callback == callback);
    let speaks = wanted("upstream_data") || wanted("upstream_connection_close");
    let mut upstream = json!({});
    if draw.chance(40) {
        upstream["greeting"] = json!(text(draw));
    }
    if draw.chance(60) || (speaks && upstream.get("greeting").is_none()) {
        upstream["answer"] = json!(text(draw));
    }
    let ends = draw.weighted(&[
        (12, "with_client"),
        (2, "after_greeting"),
        (2, "after_answer"),
        (1, "never"),
    ]);
    let needs = ends.strip_prefix("after_");
    if needs.is_none_or(|said| upstream.get(said).is_some()) {
        upstream["ends"] = json!(ends);
    }
    if !speaks && draw.chance(10) {
        upstream["fault"] = json!(draw.one_of(&["refused", "reset"]));
    }
    upstream
}

/// Connections, one after the other and side by side. What follows from a step is over before the next one:
/// there is time for all that a script waits for.
pub(super) fn steps(draw: &mut Draw, times: &Times, chain: &Chain, planted: Option<Cell>) -> Value {
    let words = Words::of(&chain.scripts());
    let mut timed = vec!["set_tick_period_milliseconds"];
    timed.extend(servers::AWAITED);
    timed.extend(servers::RPC);
    let timed = timed.iter().any(|word| words.has(word));
    let rpc = servers::RPC.iter().any(|word| words.has(word));
    let mut steps = Vec::new();
    let mut step = |step: Value| {
        steps.push(step);
        if timed {
            steps.push(json!({ "wait": if rpc { times.after_rpc() } else { times.pause() } }));
        }
    };
    let wanted = |callback: &str| planted.is_some_and(|cell| cell.callback == callback);
    let ended = wanted("upstream_connection_close");
    let count = draw.weighted(&[(4, 1), (2, 2)]);
    let open: Vec<String> = (0..count).map(|number| format!("c{number}")).collect();
    for name in &open {
        step(json!({ "connect": { "name": name } }));
        if draw.chance(60) {
            exchange(draw, name, ended, &mut step);
        }
    }
    for name in &open {
        exchange(draw, name, ended, &mut step);
    }
    json!(steps)
}

/// What a client says, and how it ends.
fn exchange(draw: &mut Draw, name: &str, ended: bool, step: &mut impl FnMut(Value)) {
    for _ in 0..draw.between(0, 2) {
        step(json!({ "send": text(draw), "to": name }));
    }
    match draw.between(0, 9) {
        0..=4 => step(json!({ "half_close": name })),
        _ if ended => step(json!({ "half_close": name })),
        5 => step(json!({ "disconnect": name })),
        _ => {}
    }
}

fn text(draw: &mut Draw) -> String {
    draw.weighted(&[
        (4, "hello".to_owned()),
        (3, "more of it".to_owned()),
        (1, "a".repeat(700)),
    ])
}
