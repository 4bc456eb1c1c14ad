//! Random cases about plugins of anybody: what a suite says of them, put together anew.

mod messages;

use std::collections::BTreeMap;

use attache_suite::Suite;
use serde_json::{Map, Value, json};

use self::messages::Messages;
use super::draw::Draw;
use super::script::{self, Drawn, Role};
use super::times::Times;
use super::{chain, servers};
use crate::batch::is_sound;

/// What a suite says: chains of plugins, requests, answers, and what clusters answer.
#[derive(Clone, Debug)]
pub struct Likeness {
    chains: Vec<Map<String, Value>>,
    messages: Messages,
    clusters: BTreeMap<String, Vec<Value>>,
    /// What TCP upstreams do, and what clients say to them.
    tcp: Vec<Value>,
    sent: Vec<Value>,
}

/// So many times a case is drawn anew that no suite can hold.
const ANEW: u64 = 20;
/// What a chain consists of.
const OF_CHAINS: [&str; 5] = [
    "plugins",
    "access_loggers",
    "services",
    "route_metadata",
    "tcp",
];

impl Likeness {
    /// Reads what a suite says.
    #[must_use]
    pub fn of(suite: &Suite) -> Self {
        let file = suite.to_json();
        let mut like = Self {
            chains: Vec::new(),
            messages: Messages::default(),
            clusters: BTreeMap::new(),
            tcp: Vec::new(),
            sent: Vec::new(),
        };
        like.read_peers(&file);
        for case in file["cases"].as_array().into_iter().flatten() {
            like.read_chain(&file, case);
            like.read_peers(case);
            like.messages.add_request(&case["request"]);
            for step in case["steps"].as_array().into_iter().flatten() {
                like.messages.add_request(&step["request"]);
                like.messages.add_answer(&step["upstream"]);
                like.sent.extend(step.get("send").cloned());
            }
        }
        like
    }

    fn read_peers(&mut self, of: &Value) {
        self.messages.add_answer(&of["upstream"]);
        self.tcp.extend(of.get("tcp").cloned());
        for (name, cluster) in of["clusters"].as_object().into_iter().flatten() {
            let known = self.clusters.entry(name.clone()).or_default();
            known.push(cluster.clone());
        }
    }

    /// The chain of a case; the same one counts as often as there are cases with it.
    fn read_chain(&mut self, file: &Value, case: &Value) {
        let value = |key: &str| case.get(key).or_else(|| file.get(key)).cloned();
        let keys = OF_CHAINS.iter();
        let keys = keys.filter_map(|key| Some(((*key).to_owned(), value(key)?)));
        let mut chain: Map<String, Value> = keys.collect();
        if let (Some(configuration), Some(Value::Array(plugins))) =
            (case.get("configuration"), chain.get_mut("plugins"))
        {
            for plugin in plugins {
                plugin["configuration"] = configuration.clone();
            }
        }
        self.chains.push(chain);
    }

    /// Draws a case; times are drawn anew by each attempt.
    pub(super) fn draw(&self, seed: u64, attempt: u32) -> Value {
        let times = Times::new(seed, attempt);
        let drawn = (0..ANEW).map(|anew| self.case(&mut Draw::again(seed, anew), &times, seed));
        let mut drawn = drawn.skip_while(|case| !is_sound(case));
        drawn.next().unwrap_or_else(
            || json!({ "name": format!("seed {seed}"), "plugins": self.plugins(), "request": {} }),
        )
    }

    /// The plugins of the first chain.
    fn plugins(&self) -> Value {
        let first = self.chains.first().and_then(|chain| chain.get("plugins"));
        first.cloned().unwrap_or(json!([]))
    }

    fn case(&self, draw: &mut Draw, times: &Times, seed: u64) -> Value {
        let mut case = Value::Object(draw.one_of(&self.chains));
        case["name"] = json!(format!("seed {seed}"));
        let of_tcp = case.get("tcp").is_some();
        vary(draw, &mut case, of_tcp);
        if of_tcp {
            case["tcp"] = draw.one_of(&self.tcp);
            case["steps"] = self.connections(draw, times);
        } else {
            if draw.chance(15) {
                beside(draw, times, seed, &mut case);
            }
            let side = |draw: &mut Draw| draw.weighted(&[(3, "http1"), (1, "http2")]);
            case["protocols"] = json!({ "downstream": side(draw), "upstream": side(draw) });
            case["steps"] = self.requests(draw, times, &case["protocols"]);
            if draw.chance(6) {
                case["buffer_limit"] = json!(draw.between(1_500, 3_000));
            }
        }
        case["clusters"] = self.answering(draw, times, &case);
        case
    }

    /// Requests, some of them on one connection, whose clients and servers may go away.
    fn requests(&self, draw: &mut Draw, times: &Times, protocols: &Value) -> Value {
        let mut steps = Vec::new();
        let kept = protocols["downstream"] == json!("http1") && draw.chance(50);
        let count = draw.weighted(&[(3, 1), (3, 2), (2, 3), (1, 5)]);
        for number in 0..count {
            let request = self.messages.request(draw, protocols);
            let mut upstream = self.messages.answer(draw, protocols);
            if draw.chance(15) {
                upstream["after"] = times.soon();
            }
            let mut step = json!({ "request": request, "upstream": upstream });
            if kept && draw.chance(80) {
                step["connection"] = json!(draw.weighted(&[(4, "one"), (1, "another")]));
            }
            let name = format!("r{number}");
            let gone = draw.chance(6);
            if gone {
                step["name"] = json!(name);
            }
            steps.push(step);
            if draw.chance(if self.clusters.is_empty() { 10 } else { 40 }) {
                if gone && draw.chance(50) {
                    steps.push(json!({ "disconnect": name }));
                }
                steps.push(json!({ "wait": times.wait() }));
            }
            if gone {
                let told = json!({ "disconnect": name });
                if steps.iter().rev().take(2).all(|step| *step != told) {
                    steps.push(told);
                }
            }
        }
        json!(steps)
    }

    /// Connections of TCP, one after the other.
    fn connections(&self, draw: &mut Draw, times: &Times) -> Value {
        let mut steps = Vec::new();
        for number in 0..draw.between(1, 3) {
            let name = format!("c{number}");
            steps.push(json!({ "connect": { "name": name } }));
            for _ in 0..draw.between(0, 3) {
                let text = json!(draw.one_of(&["hello", "", "a longer text\r\n"]));
                let known = draw.chance(70).then(|| draw.one_of(&self.sent));
                let text = known.filter(|text| !text.is_null()).unwrap_or(text);
                if text != json!("") {
                    steps.push(json!({ "send": text, "to": name }));
                }
                if draw.chance(40) {
                    steps.push(json!({ "wait": times.pause() }));
                }
            }
            match draw.between(0, 9) {
                0..=5 => steps.push(json!({ "half_close": name })),
                6 | 7 => steps.push(json!({ "disconnect": name })),
                _ => {}
            }
            steps.push(json!({ "wait": times.pause() }));
        }
        json!(steps)
    }

    /// What each cluster answers.
    fn answering(&self, draw: &mut Draw, times: &Times, case: &Value) -> Value {
        let mut clusters = servers::clusters(draw, times, case);
        for (name, known) in &self.clusters {
            let mut cluster = draw.one_of(known);
            if cluster.get("grpc").is_none() {
                self.messages.vary_cluster(draw, &mut cluster);
            } else if draw.chance(20) {
                cluster["fault"] = json!(draw.one_of(&["reset", "never"]));
            }
            if cluster["fault"] != json!("never") {
                cluster["after"] = times.soon();
            }
            clusters[name.as_str()] = cluster;
        }
        clusters
    }
}

/// Plugins as they are, or with other options.
fn vary(draw: &mut Draw, case: &mut Value, of_tcp: bool) {
    let plugins = case["plugins"].as_array_mut();
    for plugin in plugins.into_iter().flatten() {
        if !of_tcp && draw.chance(20) {
            plugin["allow_on_headers_stop_iteration"] = json!(true);
        }
        if draw.chance(15) {
            plugin["failure_policy"] = json!("fail_open");
        }
    }
}

/// A probe before or behind the plugins.
fn beside(draw: &mut Draw, times: &Times, seed: u64, case: &mut Value) {
    let Some(plugins) = case["plugins"].as_array_mut() else {
        return;
    };
    let (slow, awaited) = (std::cell::Cell::new(false), std::cell::Cell::new(0));
    let drawn = Drawn {
        seed,
        slow: &slow,
        times,
        awaited: &awaited,
    };
    let role = Role {
        package: "probe",
        entry: chain::Entry::Http,
        planted: None,
    };
    let probe = json!({
        "package": "probe",
        "name": "probe",
        "configuration": script::script(draw, &role, &drawn),
    });
    let place = if draw.chance(50) { 0 } else { plugins.len() };
    plugins.insert(place, probe);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::repository;

    fn likeness() -> Likeness {
        let text = r#"
version: "1"
plugins: [{module: Cargo.toml, name: a, configuration: {limit: 5}}]
clusters: {authz: {status: 403}}
cases:
  - name: one
    request: {path: /orders, headers: {x-key: [k1, k2]}, body: text}
    upstream: {status: 404, chunks: [a, b]}
  - name: two
    configuration: wrong
    steps: [{request: {method: PUT, path: "/x?y"}, upstream: {headers: {x-r: r}}}]
  - name: three
    tcp: {greeting: hi}
    steps: [{connect: {}}, {send: HELO}]
"#;
        let path = repository().join("conformance/like.suite.yaml");
        Likeness::of(&Suite::from_text(path, text).unwrap())
    }

    #[test]
    fn cases_are_made_of_what_the_suite_says() {
        let like = likeness();
        let cases: Vec<Value> = (0..200).map(|seed| like.draw(seed, 0)).collect();
        assert!(cases.iter().all(is_sound));
        let text = serde_json::to_string(&cases).unwrap();
        for part in [
            r#""configuration":"wrong""#,
            r#"{"limit":5}"#,
            "/orders",
            "/x?y",
            r#""x-key":"k2""#,
            r#""x-r":"r""#,
            r#""status":403"#,
            r#""send":"HELO""#,
            r#""connection":"one""#,
            "disconnect",
            r#""package":"probe""#,
        ] {
            assert!(text.contains(part), "{part}");
        }
        // No case is played: any file will do.
        let module = repository().join("conformance/Cargo.toml");
        assert!(text.contains(module.to_str().unwrap()), "{text}");
    }

    #[test]
    fn a_seed_always_draws_the_same_case() {
        let like = likeness();
        assert_eq!(like.draw(7, 0), like.draw(7, 0));
        assert_ne!(like.draw(7, 0), like.draw(8, 0));
    }
}
