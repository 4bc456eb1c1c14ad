//! Writes what was seen into a suite, and leaves everything else as it stands.

use std::ops::Range;

use crate::check::{
    Key, calls_yaml, connection_yaml, log_yaml, outcome_of, request_yaml, response_yaml, shown_path,
};
use crate::plan::{Plan, PlannedStream};
use crate::report::{CaseReport, Player, Report, Verdict};
use crate::seen::{Ended, Seen, Stream};
use crate::suite::Suite;
use crate::yaml::{Node, Value, Yaml};

/// A suite with what was seen in the place of what was expected, for review as a diff.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Blessed {
    /// The whole file, which can be read.
    pub text: String,
    /// The cases that say something else now, by name.
    pub changed: Vec<String>,
    /// What only a person can put right: the case, and the key with what was found.
    pub left: Vec<(String, String)>,
    /// The changed cases as they read now. Only a play of them shows that they pass.
    pub again: Suite,
}

impl Suite {
    /// Fills in `expect` where a case has none, and rewrites the values that differ from what the
    /// report found. A case in which the harness and Envoy saw different things stays as it is.
    #[must_use]
    pub fn blessed(&self, report: &Report) -> Blessed {
        let mut edits: Vec<Edit> = Vec::new();
        let mut changed = Vec::new();
        let mut left = Vec::new();
        let mut again = self.clone();
        for (plan, case) in self.plans.iter().zip(&report.cases) {
            let node = self
                .node
                .get("cases")
                .and_then(|cases| cases.at(plan.index));
            let Some(node) = node else { continue };
            let mut writer = Writer {
                text: &self.text,
                edits: Vec::new(),
                left: Vec::new(),
            };
            writer.case(plan, node, case);
            if !writer.edits.is_empty() {
                edits.extend(writer.edits.iter().cloned());
                // What can be read no more would cost the author the file.
                match self.edited(&edits) {
                    Ok(suite) => {
                        again = suite;
                        changed.push(plan.name.clone());
                    }
                    Err(reason) => {
                        edits.truncate(edits.len() - writer.edits.len());
                        writer.left.push(reason);
                    }
                }
            }
            let named = |text| (plan.name.clone(), text);
            left.extend(writer.left.into_iter().map(named));
        }
        again.plans.retain(|plan| changed.contains(&plan.name));
        Blessed {
            text: again.text.clone(),
            changed,
            left,
            again,
        }
    }

    fn edited(&self, edits: &[Edit]) -> Result<Self, String> {
        let text = apply(&self.text, edits.to_vec())
            .ok_or_else(|| "two values would stand in one place".to_owned())?;
        Self::from_text(&self.path, text)
            .map_err(|error| format!("what was seen cannot be written: {error}"))
    }
}

/// What stands instead of these bytes.
type Edit = (Range<usize>, String);

const SHARED: &str = "an alias repeats what stands here, or would; write it out";

struct Writer<'t> {
    text: &'t str,
    edits: Vec<Edit>,
    left: Vec<String>,
}

impl Writer<'_> {
    fn case(&mut self, plan: &Plan, node: &Node, report: &CaseReport) {
        for (player, verdict) in &report.verdicts {
            match (player, verdict) {
                (Player::Comparison, Verdict::Failed { differences, .. }) => {
                    let keys: Vec<&str> = differences.iter().map(|one| one.key.as_str()).collect();
                    self.left.push(format!(
                        "{}: the harness saw something else than Envoy, which is right",
                        keys.join(", ")
                    ));
                }
                (player, Verdict::Error(reason)) => {
                    let first = reason.lines().next().unwrap_or_default();
                    self.left.push(format!("on {player}: {first}"));
                }
                _ => {}
            }
        }
        if !self.left.is_empty() {
            return;
        }
        if node.shared {
            self.left.push(SHARED.to_owned());
            return;
        }
        // Without a difference between the hosts, the first to see one saw all there are.
        let differences = report
            .verdicts
            .iter()
            .find_map(|(_, verdict)| match verdict {
                Verdict::Failed { differences, .. } => Some(differences),
                _ => None,
            });
        for difference in differences.into_iter().flatten() {
            if !is_expected(node, &difference.keys) {
                continue;
            }
            match &difference.fix {
                Some(fix) => self.put(node, &difference.keys, fix),
                None => self
                    .left
                    .push(format!("{}: found {}", difference.key, difference.found)),
            }
        }
        if let Some(seen) = report.on_harness.as_ref().or(report.on_envoy.as_ref()) {
            self.fill(plan, node, seen);
        }
    }

    /// Says what was seen where nothing is expected.
    fn fill(&mut self, plan: &Plan, node: &Node, seen: &Seen) {
        for (planned, stream) in plan.streams.iter().zip(&seen.streams) {
            let Some(step) = planned.step else { continue };
            let Some(steps) = node.get("steps") else {
                continue;
            };
            if let Some(step) = steps.at(step).filter(|step| step.get("expect").is_none()) {
                if steps.shared || step.shared {
                    self.left.push(format!("steps: {SHARED}"));
                    continue;
                }
                let expect = Yaml::Map(stream_yaml(planned, stream));
                self.insert(step, "expect", &expect);
            }
        }
        for (planned, seen) in plan.connections.iter().zip(&seen.connections) {
            let step = node.get("steps").and_then(|steps| steps.at(planned.step));
            let Some(connect) = step.and_then(|step| step.get("connect")) else {
                continue;
            };
            if connect.shared {
                self.left.push(format!("steps: {SHARED}"));
            } else if connect.get("expect").is_none() {
                self.insert(connect, "expect", &connection_yaml(seen));
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
        if !seen.calls.is_empty() {
            entries.push(("clusters".to_owned(), calls_yaml(seen.calls.iter())));
        }
        self.insert(node, "expect", &Yaml::Map(entries));
    }

    /// Puts a value under these keys, in the place of the one that is there.
    fn put(&mut self, root: &Node, keys: &[Key], value: &Yaml) {
        let mut node = root;
        for (depth, key) in keys.iter().enumerate() {
            if node.shared {
                return self.leave(keys, SHARED);
            }
            let last = depth + 1 == keys.len();
            match key {
                Key::Index(index) => {
                    let Some(next) = node.at(*index) else { break };
                    node = next;
                }
                Key::Name(name) => match entry(node, name) {
                    Some((_, old)) if last && old.holds_shared() => {
                        return self.leave(keys, SHARED);
                    }
                    Some((own, old)) if last => return self.replace(node, own, old, value),
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
        self.leave(keys, "no place to write to");
    }

    fn leave(&mut self, keys: &[Key], reason: &str) {
        self.left.push(format!("{}: {reason}", shown_path(keys)));
    }

    fn replace(&mut self, map: &Node, key: &Node, old: &Node, value: &Yaml) {
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
            let end = map.span.end - 1;
            let before = match entries.last() {
                Some((_, last)) => separator(&self.text[last.span.end.min(end)..end]),
                None => "",
            };
            let written = format!("{before}{name}: {}", value.flow());
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

/// Whether the `expect` that these keys lead through is there; where it is not, it is written whole.
fn is_expected(case: &Node, keys: &[Key]) -> bool {
    let mut node = case;
    for key in keys {
        let next = match key {
            Key::Index(index) => node.at(*index),
            Key::Name(name) => node.get(name),
        };
        if matches!(key, Key::Name(name) if name == "expect") {
            return next.is_some();
        }
        let Some(next) = next else { return false };
        node = next;
    }
    true
}

/// What has to stand between this, which follows the last value of a map with braces, and another.
fn separator(rest: &str) -> &'static str {
    let bare = |line: &str| line.split('#').next().unwrap_or_default().contains(',');
    match rest.lines().any(bare) {
        true if rest.ends_with(char::is_whitespace) => "",
        true => " ",
        false => ", ",
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
    if ended != planned.usual_outcome() {
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

/// The text with these changes, unless two of them change the same bytes.
fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut written = String::new();
    let mut position = 0;
    for (range, new) in edits {
        written.push_str(text.get(position..range.start)?);
        written.push_str(&new);
        position = range.end;
    }
    written.push_str(text.get(position..)?);
    Some(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::compare::compare;
    use crate::seen::Message;

    const TEXT: &str = "version: \"1\"\nplugins: [{package: m}]\ncases:\n  - name: one\n    \
                        request: {}\n    expect: {response: {status: 500}}\n  - name: one more\n    \
                        request: {}\n";

    fn answered(status: &str) -> Seen {
        let message = Message::response(status.to_owned(), [], Vec::new(), Vec::new());
        Seen {
            streams: vec![Stream {
                upstream: None,
                downstream: Ended::Answered(message),
                access: None,
            }],
            ..Seen::default()
        }
    }

    /// What both hosts saw of both cases.
    fn report(suite: &Suite, harness: &Seen, envoy: &Seen) -> Report {
        let case = |plan: &Plan| {
            let mut case = CaseReport::new(&plan.name);
            let differences = [
                (Player::Harness, check(plan, harness, None)),
                (Player::Envoy, check(plan, envoy, None)),
                (Player::Comparison, compare(harness, envoy)),
            ];
            for (player, differences) in differences {
                if !differences.is_empty() {
                    let verdict = Verdict::Failed {
                        differences,
                        timeline: None,
                    };
                    case.verdicts.push((player, verdict));
                }
            }
            case.on_harness = Some(harness.clone());
            case.on_envoy = Some(envoy.clone());
            case
        };
        Report {
            path: suite.path.clone(),
            cases: suite.plans.iter().map(case).collect(),
            note: None,
        }
    }

    #[test]
    fn what_the_hosts_saw_otherwise_is_not_written_down() {
        let suite = Suite::from_text("s.suite.yaml", TEXT).unwrap();
        let blessed = suite.blessed(&report(&suite, &answered("200"), &answered("201")));
        assert_eq!(blessed.text, TEXT);
        assert!(blessed.changed.is_empty());
        let reason = "downstream: the harness saw something else than Envoy, which is right";
        let left = ["one", "one more"].map(|case| (case.to_owned(), reason.to_owned()));
        assert_eq!(blessed.left, left);
    }

    #[test]
    fn what_both_hosts_saw_is_written_down() {
        let suite = Suite::from_text("s.suite.yaml", TEXT).unwrap();
        let blessed = suite.blessed(&report(&suite, &answered("200"), &answered("200")));
        assert_eq!(blessed.changed, ["one", "one more"]);
        assert_eq!(blessed.left, []);
        assert!(blessed.text.contains("{response: {status: 200}}"));
        let plans = &blessed.again.plans;
        assert!(
            plans
                .iter()
                .all(|plan| check(plan, &answered("200"), None).is_empty())
        );
    }

    #[test]
    fn changes_of_the_same_bytes_are_refused() {
        assert_eq!(
            apply("abc", vec![(1..2, "x".into()), (0..1, "y".into())]).as_deref(),
            Some("yxc")
        );
        assert_eq!(
            apply("abc", vec![(0..2, "x".into()), (1..3, "y".into())]),
            None
        );
    }
}
