//! Requests and answers, put together of those that a suite has.

use serde_json::{Map, Value, json};

use crate::generator::draw::Draw;
use crate::generator::peers;

/// The parts of all requests and answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    requests: Vec<Value>,
    answers: Vec<Value>,
    /// Header lines of requests.
    lines: Vec<Value>,
    bodies: Vec<Value>,
    paths: Vec<Value>,
}

/// What belongs to the message that it stands in.
const OF_ONE: [&str; 6] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "host",
    "te",
];

impl Messages {
    pub(super) fn add_request(&mut self, request: &Value) {
        let Some(request) = request.as_object() else {
            return;
        };
        let mut request = Value::Object(request.clone());
        let lines = lines(&request["headers"]);
        let movable = lines.iter().filter(|line| !is_of_one(line));
        self.lines.extend(movable.cloned());
        request["headers"] = json!(lines);
        self.bodies.extend(request.get("body").cloned());
        self.paths.extend(request.get("path").cloned());
        self.requests.push(request);
    }

    pub(super) fn add_answer(&mut self, answer: &Value) {
        let Some(answer) = answer.as_object() else {
            return;
        };
        let mut answer = Value::Object(answer.clone());
        answer["headers"] = json!(lines(&answer["headers"]));
        self.answers.push(answer);
    }

    /// A request of the suite, more or less.
    pub(super) fn request(&self, draw: &mut Draw, protocols: &Value) -> Value {
        let http2 = protocols["downstream"] == json!("http2");
        let mut request = match self.requests.is_empty() || draw.chance(10) {
            true => peers::request(draw, http2),
            false => draw.one_of(&self.requests),
        };
        if draw.chance(20) && !self.paths.is_empty() {
            request["path"] = draw.one_of(&self.paths);
        }
        if draw.chance(15) {
            request["method"] =
                json!(draw.one_of(&["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"]));
        }
        let mut lines = lines(&request["headers"]);
        lines.retain(|_| draw.chance(88));
        if http2 {
            lines.retain(|line| !is_of_one(line));
        }
        for _ in 0..draw.weighted(&[(5, 0), (3, 1), (2, 2)]) {
            let place = draw.between(0, u32::try_from(lines.len()).unwrap_or(0));
            let line = match self.lines.is_empty() || draw.chance(30) {
                true => peers::line(draw),
                false => draw.one_of(&self.lines),
            };
            lines.insert(place as usize, line);
        }
        // Envoy would draw one by lot.
        lines.retain(|line| line.get("x-request-id").is_none());
        lines.push(json!({ "x-request-id": "fixed" }));
        request["headers"] = json!(lines);
        self.vary_body(draw, &mut request);
        let method = request["method"].as_str().unwrap_or("GET");
        if matches!(method, "GET" | "HEAD" | "OPTIONS") && draw.chance(80) {
            without_body(&mut request);
        }
        request
    }

    /// An answer of the suite, more or less, which may fail.
    pub(super) fn answer(&self, draw: &mut Draw, protocols: &Value) -> Value {
        let protocol = protocols["upstream"].as_str().unwrap_or("http1");
        if self.answers.is_empty() || draw.chance(25) {
            return peers::answer(draw, protocol, true);
        }
        let mut answer = draw.one_of(&self.answers);
        answer.as_object_mut().map(|answer| answer.remove("fault"));
        self.vary_body(draw, &mut answer);
        if draw.chance(8) {
            let other = peers::answer(draw, protocol, true);
            answer["status"] = other["status"].clone();
            without_body(&mut answer);
            answer.as_object_mut().into_iter().for_each(|answer| {
                let parts = ["body", "chunks", "trailers", "fault"];
                let known = parts
                    .iter()
                    .filter_map(|part| Some((*part, other.get(*part)?)));
                answer.extend(known.map(|(part, value)| (part.to_owned(), value.clone())));
            });
        }
        if protocol == "http2" {
            let mut lines = lines(&answer["headers"]);
            lines.retain(|line| !is_of_one(line));
            answer["headers"] = json!(lines);
        }
        answer
    }

    /// An answer to a call-out, which often fails.
    pub(super) fn vary_cluster(&self, draw: &mut Draw, cluster: &mut Value) {
        self.vary_body(draw, cluster);
        match draw.between(0, 19) {
            0 => cluster["fault"] = json!("closed"),
            1 => cluster["fault"] = json!("malformed"),
            2 => cluster["fault"] = json!("never"),
            3 | 4 => cluster["status"] = json!(draw.one_of(&[200, 302, 403, 404, 500, 503])),
            5 | 6 => {
                without_body(cluster);
                cluster["body"] = json!(draw.one_of(&["", "{}", "not json", "null"]));
            }
            _ => {}
        }
    }

    /// Another body, or the same one in pieces, with or without trailers.
    fn vary_body(&self, draw: &mut Draw, message: &mut Value) {
        let framed = lines(&message["headers"]).iter().any(is_of_one);
        if framed {
            return;
        }
        if draw.chance(10) && !self.bodies.is_empty() {
            without_body(message);
            message["body"] = draw.one_of(&self.bodies);
        }
        let text = message["body"].as_str().unwrap_or_default().to_owned();
        if text.is_ascii() && text.len() > 1 && draw.chance(45) {
            without_body(message);
            message["chunks"] = json!(pieces(draw, &text));
        }
        if message.get("chunks").is_some() && draw.chance(25) {
            message["trailers"] = json!({ "x-t": draw.one_of(&peers::VALUES) });
        }
    }
}

/// An ASCII text in two to four pieces.
fn pieces(draw: &mut Draw, text: &str) -> Vec<String> {
    let mut rest = text;
    let mut pieces = Vec::new();
    for _ in 0..draw.between(1, 3) {
        let most = u32::try_from(rest.len().saturating_sub(1)).unwrap_or(0);
        if most == 0 {
            break;
        }
        let (piece, next) = rest.split_at(draw.between(1, most) as usize);
        pieces.push(piece.to_owned());
        rest = next;
    }
    pieces.push(rest.to_owned());
    pieces
}

fn without_body(message: &mut Value) {
    let parts = message.as_object_mut();
    if let Some(part) = parts {
        part.retain(|key, _| !matches!(key.as_str(), "body" | "chunks" | "trailers"));
    }
}

/// Headers as a list of lines, however they were written.
fn lines(headers: &Value) -> Vec<Value> {
    match headers {
        Value::Array(lines) => lines.clone(),
        Value::Object(map) => map
            .iter()
            .flat_map(|(name, values)| {
                let one = std::slice::from_ref(values);
                let values = values.as_array().map_or(one, Vec::as_slice);
                values
                    .iter()
                    .map(|value| Value::Object(Map::from_iter([(name.clone(), value.clone())])))
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn is_of_one(line: &Value) -> bool {
    let mut names = line.as_object().into_iter().flat_map(Map::keys);
    names.any(|name| OF_ONE.contains(&name.to_ascii_lowercase().as_str()))
}
