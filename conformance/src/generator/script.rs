//! The script of a probe.

mod calls;
mod endings;
mod waits;

use std::cell::Cell as Shared;

use serde_json::{Map, Value, json};

use self::calls::Phase;
use self::endings::ending;
use self::waits::Waits;
use super::chain::Entry;
use super::draw::Draw;
use super::servers::{AWAITED, RPC};
use super::times::Times;
use crate::coverage::{self, Cell};

/// Callbacks of an HTTP stream, and how likely they have steps.
const HTTP: [(&str, u32); 9] = [
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

/// The same of a TCP connection.
const TCP: [(&str, u32); 8] = [
    ("new_connection", 60),
    ("downstream_data", 70),
    ("upstream_data", 60),
    ("downstream_connection_close", 30),
    ("upstream_connection_close", 30),
    ("log", 30),
    ("done", 15),
    ("delete", 15),
];

/// The same of an access logger.
const LOGGER: [(&str, u32); 1] = [("log", 100)];

/// Callbacks of a root. A start happens in several VMs, so that little is drawn for it.
const ROOT: [(&str, u32); 3] = [("context_create", 6), ("vm_start", 6), ("configure", 12)];

/// What all scripts of a case share.
pub(super) struct Drawn<'a> {
    pub(super) seed: u64,
    /// Whether the cluster that thinks may still be asked.
    pub(super) slow: &'a Shared<bool>,
    pub(super) times: &'a Times,
    /// How many calls are waited for.
    pub(super) awaited: &'a Shared<usize>,
}

impl Drawn<'_> {
    /// A cluster to wait for: each call has its own, as long as there are any.
    fn next_of(&self, clusters: &[&'static str]) -> &'static str {
        let number = self.awaited.get();
        self.awaited.set(number + 1);
        let cluster = clusters.get(number % clusters.len().max(1));
        cluster.copied().unwrap_or_default()
    }

    fn next_awaited(&self) -> &'static str {
        self.next_of(&AWAITED)
    }

    fn next_rpc(&self) -> &'static str {
        self.next_of(&RPC)
    }
}

/// Whose script it is.
pub(super) struct Role {
    pub(super) package: &'static str,
    pub(super) entry: Entry,
    /// What it has in any case.
    pub(super) planted: Option<Cell>,
}

impl Role {
    /// Whether it is of ABI 0.1.0.
    fn is_old(&self) -> bool {
        self.package == "probe-0-1-0"
    }

    /// What is planted in a callback.
    fn planted_in(&self, callback: &str) -> Option<Cell> {
        let own = |cell: &Cell| {
            cell.callback == callback || (callback == "log" && cell.callback == "access_log")
        };
        self.planted.filter(own)
    }

    /// The callback that has to come about for what is planted.
    fn wants(&self) -> &'static str {
        self.planted.map_or("", |cell| cell.callback)
    }

    /// The first callback that can hold what it is about.
    fn first(&self) -> &'static str {
        match self.entry {
            Entry::Http => "request_headers",
            Entry::Tcp => "downstream_data",
            Entry::Logger => "log",
        }
    }
}

pub(super) fn script(draw: &mut Draw, role: &Role, at: &Drawn<'_>) -> Value {
    let mut script = Map::new();
    script.insert("trace".to_owned(), json!(true));
    let callbacks: &[(&str, u32)] = match role.entry {
        Entry::Http => &HTTP,
        Entry::Tcp => &TCP,
        Entry::Logger => &LOGGER,
    };
    let mut waits = Waits::new(draw, role);
    for (callback, percent) in ROOT.iter().chain(callbacks) {
        let wanted = role.planted_in(callback).is_some() || waits.begin_in(role, callback);
        if draw.chance(*percent) || wanted {
            let steps = steps(draw, callback, role, at, &mut waits);
            script.insert((*callback).to_owned(), json!(steps));
        }
    }
    waits.write(draw, role, at, &mut script);
    Value::Object(script)
}

fn steps(
    draw: &mut Draw,
    callback: &str,
    role: &Role,
    at: &Drawn<'_>,
    waits: &mut Waits,
) -> Vec<Value> {
    let most = if is_start(callback) { 2 } else { 4 };
    let mut steps = calls_in(draw, callback, role, at, most);
    if waits.begin_in(role, callback) {
        steps.extend(waits.begin(draw, role, at, callback));
        if steps
            .last()
            .is_some_and(|step| step.get("return").is_some())
        {
            return steps;
        }
    }
    if let Some(cell) = role.planted_in(callback) {
        steps.extend(planted(draw, cell, role, at));
        return steps;
    }
    if is_start(callback) || role.entry == Entry::Logger {
        return steps;
    }
    let ending = ending(draw, callback, role, at, waits);
    if draw.chance(30) {
        let condition = condition(draw);
        steps.push(json!({ "when": condition, "then": ending }));
        if draw.chance(50) {
            steps.extend(self::ending(draw, callback, role, at, waits));
        }
    } else {
        steps.extend(ending);
    }
    steps
}

/// The call that is planted, and how its callback ends.
fn planted(draw: &mut Draw, cell: Cell, role: &Role, at: &Drawn<'_>) -> Vec<Value> {
    let callback = if cell.callback == "access_log" {
        "log"
    } else {
        cell.callback
    };
    let phase = phase(callback, role, at);
    let mut steps = calls::of(draw, &phase, cell.call);
    let ends = !coverage::is_reply(cell.call) || cell.action != "reply";
    if ends {
        steps.extend(endings::of(draw, callback, role, cell.action));
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

fn phase<'a>(callback: &'a str, role: &'a Role, at: &Drawn<'a>) -> Phase<'a> {
    Phase {
        callback,
        package: role.package,
        seed: at.seed,
        slow: at.slow,
    }
}

fn calls_in(draw: &mut Draw, callback: &str, role: &Role, at: &Drawn<'_>, most: u32) -> Vec<Value> {
    let count = draw.between(0, most);
    let phase = phase(callback, role, at);
    (0..count)
        .flat_map(|_| calls::drawn(draw, &phase))
        .collect()
}

fn is_start(callback: &str) -> bool {
    matches!(callback, "context_create" | "vm_start" | "configure")
}
