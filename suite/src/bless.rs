//! Writes what was seen into a suite, and leaves everything else as it stands.

use std::ops::Range;

use crate::check::{Key, log_yaml, outcome_of, request_yaml, response_yaml, shown_path};
use crate::file::OutcomeExpect;
use crate::plan::{Plan, PlannedStream};
use crate::report::{CaseReport, Report, Verdict};
use crate::seen::{Ended, Seen, Stream};
use crate::suite::Suite;
use crate::yaml::{Node, Value, Yaml};

/// A suite with what was seen in the place of what was expected, for review as a diff.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Blessed {
    /// The whole file.
    pub text: String,
    /// The cases that say something else now, by name.
    pub changed: Vec<String>,
    /// What only a person can put right: the case, the key, and what was found.
    pub left: Vec<String>,
}

impl Suite {
    /// Fills in `expect` where a case has none, and rewrites the values that differ from what the
    /// report found: on the harness, or on Envoy where only that played.
    #[must_use]
    pub fn blessed(&self, report: &Report) -> Blessed {
        let mut writer = Writer {
            text: &self.text,
            edits: Vec::new(),
            left: Vec::new(),
        };
        let mut changed = Vec::new();
        for (plan, case) in self.plans.iter().zip(&report.cases) {
            let node = self
                .node
                .get("cases")
                .and_then(|cases| cases.at(plan.index));
            let Some(node) = node else { continue };
            let before = writer.edits.len();
            writer.case(plan, node, case);
            if writer.edits.len() > before {
                changed.push(plan.name.clone());
            }
        }
        Blessed {
            text: apply(&self.text, writer.edits),
            changed,
            left: writer.left,
        }
    }
}

struct Writer<'t> {
    text: &'t str,
    edits: Vec<(Range<usize>, String)>,
    left: Vec<String>,
}

impl Writer<'_> {
    fn case(&mut self, plan: &Plan, node: &Node, report: &CaseReport) {
        let Some((_, verdict)) = report.verdicts.first() else {
            return;
        };
        match verdict {
            Verdict::Failed { differences, .. } => {
                for difference in differences {
                    match &difference.fix {
                        Some(fix) => self.put(node, &difference.keys, fix),
                        None => self.left.push(format!(
                            "{}: {}: found {}",
                            plan.name, difference.key, difference.found
                        )),
                    }
                }
            }
            Verdict::Error(reason) => {
                let first = reason.lines().next().unwrap_or_default();
                self.left.push(format!("{}: {first}", plan.name));
            }
            Verdict::Passed | Verdict::Skipped(_) => {}
        }
        if let Some(seen) = report.on_harness.as_ref().or(report.on_envoy.as_ref()) {
            self.fill(plan, node, seen);
        }
    }

    /// Says what was seen where nothing is expected.
    fn fill(&mut self, plan: &Plan, node: &Node, seen: &Seen) {
        for (planned, stream) in plan.streams.iter().zip(&seen.streams) {
            let Some(step) = planned.step else { continue };
            let step = node.get("steps").and_then(|steps| steps.at(step));
            if let Some(step) = step.filter(|step| step.get("expect").is_none()) {
                let expect = Yaml::Map(stream_yaml(planned, stream));
                self.insert(step, "expect", &expect);
            }
        }
        if node.get("expect").is_some() {
            return;
        }
        let mut entries = Vec::new();
        if let ([planned], [stream]) = (plan.streams.as_slice(), seen.streams.as_slice())
            && planned.step.is_none()
        {
            entries = stream_yaml(planned, stream);
        }
        entries.push(("log".to_owned(), log_yaml(&seen.log)));
        if !seen.counters.is_empty() {
            let counters = seen.counters.iter();
            let counters = counters.map(|(name, value)| (name.clone(), Yaml::word(value)));
            entries.push(("counters".to_owned(), Yaml::Map(counters.collect())));
        }
        self.insert(node, "expect", &Yaml::Map(entries));
    }

    /// Puts a value under these keys, in the place of the one that is there.
    fn put(&mut self, root: &Node, keys: &[Key], value: &Yaml) {
        let mut node = root;
        for (depth, key) in keys.iter().enumerate() {
            let last = depth + 1 == keys.len();
            match key {
                Key::Index(index) => {
                    let Some(next) = node.at(*index) else { return };
                    node = next;
                }
                Key::Name(name) => match entry(node, name) {
                    Some((own, _)) if last => return self.replace(node, own, value),
                    Some((_, next)) => node = next,
                    None => {
                        // The keys that are missing on the way are written too.
                        let mut whole = value.clone();
                        for key in keys[depth + 1..].iter().rev() {
                            let Key::Name(name) = key else { return };
                            whole = Yaml::Map(vec![(name.clone(), whole)]);
                        }
                        return self.insert(node, name, &whole);
                    }
                },
            }
        }
        self.left
            .push(format!("{}: no place to write to", shown_path(keys)));
    }

    fn replace(&mut self, map: &Node, key: &Node, value: &Yaml) {
        let Some((_, old)) = key.as_key().and_then(|name| entry(map, name)) else {
            return;
        };
        let written = if is_flow(map) {
            format!(": {}", value.flow())
        } else {
            format!(":{}", value.block(key.place.column - 1))
        };
        let end = old.span.end.max(key.span.end + 1);
        self.edits.push((key.span.end..end, written));
    }

    fn insert(&mut self, map: &Node, name: &str, value: &Yaml) {
        let Value::Map { entries, flow } = &map.value else {
            self.left.push(format!("{name}: no place to write to"));
            return;
        };
        if *flow {
            let comma = if entries.is_empty() { "" } else { ", " };
            let end = map.span.end - 1;
            let written = format!("{comma}{name}: {}", value.flow());
            self.edits.push((end..end, written));
            return;
        }
        let column = map.place.column - 1;
        // After what stands beside the last value: a comment, say.
        let rest = &self.text[map.span.end..];
        let end = map.span.end + rest.find('\n').unwrap_or(rest.len());
        let indent = " ".repeat(column);
        let written = format!("\n{indent}{name}:{}", value.block(column));
        self.edits.push((end..end, written));
    }
}

fn is_flow(map: &Node) -> bool {
    matches!(map.value, Value::Map { flow: true, .. })
}

fn entry<'n>(map: &'n Node, name: &str) -> Option<(&'n Node, &'n Node)> {
    let Value::Map { entries, .. } = &map.value else {
        return None;
    };
    let own = |(key, _): &&(Node, Node)| key.as_key() == Some(name);
    entries.iter().find(own).map(|(key, value)| (key, value))
}

fn stream_yaml(planned: &PlannedStream, stream: &Stream) -> Vec<(String, Yaml)> {
    let mut entries = Vec::new();
    let ended = outcome_of(&stream.downstream);
    let usual = if planned.abandoned {
        OutcomeExpect::Abandoned
    } else {
        OutcomeExpect::Answered
    };
    if ended != usual {
        entries.push(("outcome".to_owned(), Yaml::word(ended.word())));
    }
    let upstream = stream.upstream.as_ref();
    let upstream = upstream.map_or_else(|| Yaml::word("none"), request_yaml);
    entries.push(("upstream".to_owned(), upstream));
    if let Ended::Answered(message) = &stream.downstream {
        entries.push(("response".to_owned(), response_yaml(message)));
    }
    entries
}

fn apply(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut written = String::new();
    let mut position = 0;
    for (range, new) in edits {
        if range.start < position {
            // Two of one value, as when several names of `lacks` are there: the first stands.
            continue;
        }
        written.push_str(&text[position..range.start]);
        written.push_str(&new);
        position = range.end;
    }
    written.push_str(&text[position..]);
    written
}
