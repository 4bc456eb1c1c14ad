//! Drawn bodies, configurations and requests: what no step names keeps every byte, what one names becomes what a
//! plain reading of it says, and nothing traps.

use attache_harness::{Exchange, Host, HostError, Request, plugin};
use serde_json::{Map, Value, json};

/// Numbers drawn from a seed (SplitMix64).
struct Draw(u64);

/// Keys of drawn bodies; a pointer writes some of them otherwise.
const KEYS: [&str; 7] = ["a", "b", "a/b", "~", "", "é\"", "0"];

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ bits >> 31) % end as u64).expect("it is below")
    }

    fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn blank(&mut self) -> &'static str {
        self.one::<&str>(&["", "", "", " ", "\n\t", "\r\n  "])
    }

    /// A text of JSON with white space, numbers and escapes in their own spelling, and no key twice.
    fn json(&mut self, depth: usize) -> String {
        let (front, back) = (self.blank(), self.blank());
        let value = match self.below(if depth == 0 { 6 } else { 10 }) {
            0 => "null".to_owned(),
            1 => (*self.one(&["true", "false"])).to_owned(),
            2 | 3 => {
                let numbers = [
                    "0",
                    "-1",
                    "7",
                    "12345678901234567",
                    "1.0",
                    "2.50",
                    "1e2",
                    "-0.5E+1",
                ];
                (*self.one(&numbers)).to_owned()
            }
            4 | 5 => {
                let texts = [
                    r#""""#,
                    r#""a b""#,
                    r#""\u00E9\/""#,
                    r#""\ud83d\ude00""#,
                    r#""\\\"\n""#,
                ];
                (*self.one(&texts)).to_owned()
            }
            6 | 7 => {
                let count = self.below(4);
                let elements: Vec<String> = (0..count).map(|_| self.json(depth - 1)).collect();
                format!("[{}{}]", self.blank(), elements.join(","))
            }
            _ => {
                let mut members = Vec::new();
                for key in KEYS {
                    if self.below(2) == 0 {
                        let key = Value::from(key).to_string();
                        let (before, after) = (self.blank(), self.blank());
                        members.push(format!("{before}{key}{after}:{}", self.json(depth - 1)));
                    }
                }
                format!("{{{}{}}}", members.join(","), self.blank())
            }
        };
        [front, &value, back].concat()
    }

    /// The parts of a pointer, which may lead somewhere.
    fn path(&mut self) -> Vec<&'static str> {
        let count = 1 + self.below(3);
        (0..count)
            .map(|_| match self.below(4) {
                0 => *self.one(&["0", "1", "-", "01"]),
                _ => *self.one(&KEYS),
            })
            .collect()
    }
}

fn pointer(path: &[&str]) -> String {
    let part = |part: &&str| format!("/{}", part.replace('~', "~0").replace('/', "~1"));
    path.iter().map(part).collect()
}

fn host(steps: &Value) -> Result<Host, HostError> {
    let request = json!({"body": {"hold_headers": true}, "rules": [{"steps": steps}]});
    let plugin = plugin!("transform")
        .config(json!({"request": request}))
        .allow_on_headers_stop_iteration();
    Host::with(plugin)
}

fn sent(host: &mut Host, body: &str) -> Result<Exchange, HostError> {
    let request = Request::post("/a?b=%41").header("content-type", "application/json");
    host.send(request.body(body))
}

#[test]
fn what_no_step_names_keeps_every_byte() -> Result<(), HostError> {
    let steps = json!([
        {"op": "remove", "body": "/nobody"},
        {"op": "rename", "body": "/nobody/at/all", "to": "x"},
        {"op": "replace", "body": "/a/nobody", "value": 1},
        {"op": "copy", "from": {"body": "/nobody"}, "to": {"body": "/x"}},
        {"op": "move", "from": {"body": "/nobody"}, "to": {"header": "x"}},
        {"op": "set", "body": "/x", "value": "{{ body.nobody }}"},
        {"op": "replace", "query": "nobody", "value": 1},
    ]);
    let mut host = host(&steps)?;
    let mut draw = Draw(3);
    for _ in 0..1_000 {
        let body = draw.json(4);
        let exchange = sent(&mut host, &body)?;
        let upstream = exchange.upstream_request();
        assert_eq!(upstream.body(), body.as_bytes());
        assert_eq!(upstream.path(), b"/a?b=%41");
        let length = body.len().to_string();
        assert_eq!(
            upstream.headers().get("content-length"),
            Some(length.as_bytes())
        );
    }
    Ok(())
}

/// An index as RFC 6901 has it.
fn index(part: &str) -> Option<usize> {
    let is_plain = part == "0" || !part.starts_with('0');
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    part.parse().ok().filter(|_| is_plain && is_number)
}

fn parent<'v>(root: &'v mut Value, path: &[&str], makes: bool) -> Option<&'v mut Value> {
    let (_, above) = path.split_last()?;
    let mut value = root;
    for part in above {
        value = match value {
            Value::Array(elements) => elements.get_mut(index(part)?)?,
            Value::Object(members) => match makes {
                true => members
                    .entry(*part)
                    .or_insert_with(|| Value::Object(Map::new())),
                false => members.get_mut(*part)?,
            },
            _ => return None,
        };
    }
    Some(value)
}

/// What a step does, with nothing kept of how the body was written.
fn plainly(op: &str, root: &mut Value, path: &[&str]) {
    let before = root.clone();
    let Some(last) = path.last() else { return };
    let Some(parent) = parent(root, path, op == "set") else {
        *root = before;
        return;
    };
    match (op, parent) {
        ("remove", Value::Object(members)) => _ = members.remove(*last),
        ("remove", Value::Array(elements)) => {
            if let Some(at) = index(last).filter(|at| *at < elements.len()) {
                elements.remove(at);
            }
        }
        ("rename", Value::Object(members)) => {
            if let Some(value) = members.remove(*last) {
                members.insert("new".to_owned(), value);
            }
        }
        ("replace", Value::Object(members)) => {
            if let Some(value) = members.get_mut(*last) {
                *value = json!({"n": 1});
            }
        }
        ("set" | "add", Value::Object(members)) => {
            members.insert((*last).to_owned(), json!({"n": 1}));
        }
        ("replace", Value::Array(elements)) => {
            if let Some(element) = index(last).and_then(|at| elements.get_mut(at)) {
                *element = json!({"n": 1});
            }
        }
        ("set" | "add", Value::Array(elements)) => {
            let at = if *last == "-" {
                Some(elements.len())
            } else {
                index(last)
            };
            match at {
                Some(at) if op == "set" && at < elements.len() => elements[at] = json!({"n": 1}),
                Some(at) if at <= elements.len() => elements.insert(at, json!({"n": 1})),
                _ => {}
            }
        }
        _ => {}
    }
}

#[test]
fn a_step_does_what_a_plain_reading_of_it_says() -> Result<(), HostError> {
    let mut draw = Draw(5);
    let mut changed = 0;
    for _ in 0..150 {
        let op = *draw.one(&["remove", "rename", "replace", "set", "add"]);
        let path = draw.path();
        let mut step = json!({"op": op, "body": pointer(&path)});
        match op {
            "remove" => {}
            "rename" => step["to"] = "new".into(),
            _ => step["value"] = json!({"n": 1}),
        }
        let mut host = host(&json!([step]))?;
        for _ in 0..20 {
            let body = draw.json(3);
            let mut expected: Value = serde_json::from_str(&body).expect("it is JSON");
            let came = expected.clone();
            plainly(op, &mut expected, &path);
            let exchange = sent(&mut host, &body)?;
            let upstream = exchange.upstream_request();
            let found: Value = serde_json::from_slice(&upstream.body()).expect("it is JSON");
            assert_eq!(found, expected, "{step} {body}");
            match found == came {
                true => assert_eq!(upstream.body(), body.as_bytes(), "{step}"),
                false => changed += 1,
            }
        }
    }
    assert!(changed > 200, "{changed}");
    Ok(())
}
