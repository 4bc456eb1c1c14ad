//! What client and upstream of HTTP say.

use serde_json::{Map, Value, json};

use super::chain::Chain;
use super::draw::Draw;
use super::times::Times;
use super::{Words, servers};
use crate::coverage::Cell;

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
pub(super) const VALUES: [&str; 6] = ["1", "two", "", "a, b", "x=y; z", "  v  "];

pub(super) fn protocols(draw: &mut Draw) -> Value {
    let side = |draw: &mut Draw| draw.weighted(&[(3, "http1"), (1, "http2")]);
    json!({ "downstream": side(draw), "upstream": side(draw) })
}

/// Requests one after the other, with what is answered to each.
pub(super) fn steps(
    draw: &mut Draw,
    times: &Times,
    protocols: &Value,
    chain: &Chain,
    planted: Option<Cell>,
) -> Value {
    let http2 = |side: &str| protocols[side] == json!("http2");
    let wanted = Wanted::of(planted);
    let requests = draw.weighted(&[(5, 1), (3, 2), (1, 3)]);
    let requests = if chain.reloads {
        requests.max(2)
    } else {
        requests
    };
    let mut steps = Vec::new();
    for number in 0..requests {
        let mut upstream = answer(
            draw,
            if http2("upstream") { "http2" } else { "http1" },
            true,
        );
        let mut request = request(draw, http2("downstream"));
        // The first request has what leads to the call that is planted.
        if number == 0 {
            wanted.of_request(draw, &mut request);
            wanted.of_answer(draw, &mut upstream);
        }
        let mut step = json!({
            "request": request,
            "name": format!("r{number}"),
            "upstream": upstream,
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
    let scripts = Words::of(&chain.scripts());
    let has = |words: &[&str]| words.iter().any(|word| scripts.has(word));
    if has(&servers::RPC) {
        steps.push(json!({ "wait": times.after_rpc() }));
    } else if has(&[servers::SLOW, "set_tick_period_milliseconds"]) || has(&servers::AWAITED) {
        steps.push(json!({ "wait": times.wait() }));
    }
    json!(steps)
}

/// What a planted call needs to be made.
struct Wanted {
    body: bool,
    trailers: bool,
    response: bool,
}

impl Wanted {
    fn of(planted: Option<Cell>) -> Self {
        let callback = planted.map_or("", |cell| cell.callback);
        Self {
            body: callback.ends_with("_body"),
            trailers: callback.ends_with("_trailers"),
            response: callback.starts_with("response_"),
        }
    }

    fn of_request(&self, draw: &mut Draw, request: &mut Value) {
        if self.response && request["method"] == json!("HEAD") {
            request["method"] = json!("GET");
        }
        if !self.response && (self.body || self.trailers) {
            request["method"] = json!("POST");
            self.of_message(draw, request);
        }
    }

    fn of_answer(&self, draw: &mut Draw, answer: &mut Value) {
        if self.response && (self.body || self.trailers) {
            answer["status"] = json!(200);
            answer.as_object_mut().map(|answer| answer.remove("fault"));
            self.of_message(draw, answer);
        }
    }

    fn of_message(&self, draw: &mut Draw, message: &mut Value) {
        if message.get("body").is_some() && self.trailers {
            message
                .as_object_mut()
                .map(|message| message.remove("body"));
        }
        if message.get("body").is_none() && message.get("chunks").is_none() {
            message["chunks"] = json!([text(draw)]);
        }
        if self.trailers {
            message["trailers"] = json!({ "x-t": draw.one_of(&VALUES) });
        }
    }
}

pub(super) fn request(draw: &mut Draw, http2: bool) -> Value {
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
pub(super) fn answer(draw: &mut Draw, protocol: &str, may_fail: bool) -> Value {
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
    (0..count).map(|_| line(draw)).collect()
}

/// A line of headers.
pub(super) fn line(draw: &mut Draw) -> Value {
    let mut line = Map::new();
    let value = if draw.chance(5) {
        json!({ "bytes": "\\xff\\x80" })
    } else {
        json!(draw.one_of(&VALUES))
    };
    line.insert(draw.one_of(&NAMES).to_owned(), value);
    Value::Object(line)
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
