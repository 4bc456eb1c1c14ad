//! What client, upstream and clusters say.

use serde_json::{Map, Value, json};

use super::draw::Draw;
use super::times::Times;

/// Names of clusters that scripts wait for. Each takes a time of its own.
pub(super) const AWAITED: [&str; 5] = ["quick", "quick-2", "quick-3", "broken", "broken-2"];
/// One that is asked and not waited for.
pub(super) const SLOW: &str = "slow";
/// One that does not exist.
pub(super) const NOWHERE: &str = "nowhere";

const NAMES: [&str; 9] = [
    "x-a",
    "x-b",
    "X-C",
    "x-e",
    "accept",
    "cookie",
    "via",
    "referer",
    "user-agent",
];
const VALUES: [&str; 6] = ["1", "two", "", "a, b", "x=y; z", "  v  "];

pub(super) fn protocols(draw: &mut Draw) -> Value {
    let side = |draw: &mut Draw| draw.weighted(&[(3, "http1"), (1, "http2")]);
    json!({ "downstream": side(draw), "upstream": side(draw) })
}

/// What the clusters answer that the plugins call. `slow` thinks so long that whoever asked is gone.
pub(super) fn clusters(draw: &mut Draw, times: &Times, plugins: &Value) -> Value {
    let mut clusters = Map::new();
    for name in AWAITED {
        let mut cluster = if name.starts_with("broken") {
            json!({ "fault": draw.one_of(&["closed", "malformed"]) })
        } else {
            answer(draw, "http1", false)
        };
        if name.starts_with("quick") && draw.chance(30) {
            cluster["status"] = json!(draw.one_of(&[302, 404, 503]));
        }
        cluster["after"] = times.soon();
        clusters.insert(name.to_owned(), cluster);
    }
    let slow = json!({ "after": times.late(), "status": 200, "headers": { "x-slow": "1" } });
    clusters.insert(SLOW.to_owned(), slow);
    clusters.retain(|name, _| names(plugins, name));
    Value::Object(clusters)
}

/// Whether a script has this word.
fn names(plugins: &Value, word: &str) -> bool {
    plugins.to_string().contains(&format!("\"{word}\""))
}

/// Requests one after the other, with what is answered to each.
pub(super) fn steps(draw: &mut Draw, times: &Times, protocols: &Value, plugins: &Value) -> Value {
    let http2 = |side: &str| protocols[side] == json!("http2");
    let requests = draw.weighted(&[(5, 1), (3, 2), (1, 3)]);
    let mut steps = Vec::new();
    for number in 0..requests {
        let mut step = json!({
            "request": request(draw, http2("downstream")),
            "name": format!("r{number}"),
            "upstream": answer(draw, if http2("upstream") { "http2" } else { "http1" }, true),
        });
        if draw.chance(15) {
            step["upstream"]["after"] = times.soon();
        }
        let gone = draw.chance(5);
        if !gone {
            step.as_object_mut().map(|step| step.remove("name"));
        }
        steps.push(step);
        if gone {
            steps.push(json!({ "disconnect": format!("r{number}") }));
        }
    }
    // Whatever waits for a slow cluster or a tick gets its time.
    let late = [SLOW, "set_tick_period_milliseconds"];
    if late.iter().chain(&AWAITED).any(|word| names(plugins, word)) {
        steps.push(json!({ "wait": times.wait() }));
    }
    json!(steps)
}

fn request(draw: &mut Draw, http2: bool) -> Value {
    let method = draw.weighted(&[
        (4, "GET"),
        (5, "POST"),
        (1, "HEAD"),
        (1, "PUT"),
        (1, "OPTIONS"),
    ]);
    // A client of HTTP/2 sends no fragment.
    let odd = if http2 { "/?" } else { "/x#f" };
    let path = draw.weighted(&[
        (4, "/"),
        (4, "/x?y=1"),
        (4, "/a/b%20c?q=1&r"),
        (4, "//d"),
        (1, odd),
    ]);
    let mut headers = headers(draw);
    // Envoy would draw one by lot.
    headers.push(json!({ "x-request-id": "fixed" }));
    if draw.chance(6) {
        headers.push(json!({ "content-type": "application/grpc" }));
    }
    let mut request = json!({ "method": method, "path": path, "headers": headers });
    if method == "POST" || method == "PUT" {
        body(draw, &mut request);
    }
    request
}

/// An answer, now and then one that fails where `may_fail`.
fn answer(draw: &mut Draw, protocol: &str, may_fail: bool) -> Value {
    let status = draw.weighted(&[(12, 200), (1, 201), (1, 204), (1, 304), (2, 404), (1, 500)]);
    let mut answer = json!({ "status": status, "headers": headers(draw) });
    if !matches!(status, 204 | 304) {
        body(draw, &mut answer);
    }
    if may_fail && draw.chance(6) {
        let faults: &[&str] = match protocol {
            "http2" => &["reset", "never"],
            _ => &["closed", "malformed", "never"],
        };
        let fault = draw.weighted(&[(4, *faults.first().unwrap_or(&"never")), (1, "cut")]);
        answer["fault"] = json!(fault);
        if fault == "cut" {
            let message = answer.as_object_mut();
            message.map(|message| (message.remove("body"), message.remove("trailers")));
            answer["status"] = json!(200);
            answer["chunks"] = json!(["cut"]);
        }
    }
    answer
}

fn headers(draw: &mut Draw) -> Vec<Value> {
    let count = draw.between(0, 4);
    let line = |draw: &mut Draw| {
        let mut line = Map::new();
        let value = if draw.chance(5) {
            json!({ "bytes": "\\xff\\x80" })
        } else {
            json!(draw.one_of(&VALUES))
        };
        line.insert(draw.one_of(&NAMES).to_owned(), value);
        Value::Object(line)
    };
    (0..count).map(|_| line(draw)).collect()
}

fn body(draw: &mut Draw, message: &mut Value) {
    match draw.between(0, 9) {
        0..=2 => {}
        3..=5 => message["body"] = json!(text(draw)),
        _ => {
            let count = draw.between(1, 3);
            let chunks: Vec<String> = (0..count).map(|_| text(draw)).collect();
            message["chunks"] = json!(chunks);
            if draw.chance(45) {
                message["trailers"] = json!({ "x-t": draw.one_of(&VALUES), "x-u": "u" });
            }
        }
    }
}

fn text(draw: &mut Draw) -> String {
    let size = draw.weighted(&[(6, 5), (3, 40), (1, 700)]);
    let first = draw.between(0, 25);
    let letters = "abcdefghijklmnopqrstuvwxyz".chars().cycle();
    letters.skip(first as usize).take(size).collect()
}
