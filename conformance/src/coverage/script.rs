//! Reading cells out of a case.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Cell, universe};

/// All cells of a case's scripts.
pub(super) fn cells(case: &Value) -> BTreeSet<Cell> {
    let list = |key: &str| case[key].as_array().into_iter().flatten();
    let mut cells = BTreeSet::new();
    for plugin in list("plugins") {
        add(&plugin["configuration"], "log", &mut cells);
    }
    for step in list("steps") {
        add(&step["reload"]["configuration"], "log", &mut cells);
    }
    for logger in list("access_loggers") {
        add(&logger["configuration"], "access_log", &mut cells);
    }
    cells
}

fn add(script: &Value, log: &str, cells: &mut BTreeSet<Cell>) {
    for (callback, steps) in script.as_object().into_iter().flatten() {
        let callback = if callback == "log" { log } else { callback };
        let mut found = Found::default();
        found.steps(steps);
        if !found.always_ends(steps) {
            found.actions.insert("continue");
        }
        for call in &found.calls {
            let Some((call, callback, class)) = universe::find(call, callback) else {
                continue;
            };
            let actions = class.actions().iter();
            let own = actions.filter(|action| found.actions.contains(*action));
            cells.extend(own.map(|action| Cell {
                call,
                callback,
                action,
            }));
        }
    }
}

/// What a callback's steps have.
#[derive(Default)]
struct Found<'s> {
    calls: BTreeSet<&'s str>,
    actions: BTreeSet<&'static str>,
}

impl<'s> Found<'s> {
    fn steps(&mut self, steps: &'s Value) {
        for step in steps.as_array().into_iter().flatten() {
            if let Some(call) = step["call"].as_str() {
                self.calls.insert(call);
                if is_reply(call) {
                    self.actions.insert("reply");
                } else if call == "close_stream" {
                    self.actions.insert("close");
                } else if resumes(call) {
                    self.actions.insert("resume");
                }
            }
            if let Some(answer) = step["return"].as_u64() {
                self.actions.insert(match answer {
                    0 => "continue",
                    1 => "stop",
                    2 => "stop 2",
                    _ => "stop 3",
                });
            }
            if step.get("trap").is_some() {
                self.actions.insert("trap");
            }
            self.steps(&step["then"]);
            self.steps(&step["else"]);
        }
    }

    /// Whether the steps say how the callback ends whatever holds.
    fn always_ends(&self, steps: &Value) -> bool {
        let mut steps = steps.as_array().into_iter().flatten();
        steps.any(|step| step.get("return").is_some() || step.get("trap").is_some())
    }
}

/// Whether a host call replies.
pub(crate) fn is_reply(call: &str) -> bool {
    call == "send_local_response"
}

/// Whether a host call resumes a stream.
fn resumes(call: &str) -> bool {
    matches!(
        call,
        "continue_stream" | "continue_request" | "continue_response"
    )
}
