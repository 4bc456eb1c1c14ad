//! What was expected against what was seen.

mod calls;
mod connection;
mod reload;

use std::collections::BTreeMap;
use std::fmt;

pub(crate) use calls::calls_yaml;
pub(crate) use connection::connection_yaml;

use crate::file::{
    AccessExpect, CaseExpect, HarnessExpect, HeaderExpect, Headers, LineExpect, Matcher,
    OutcomeExpect, RequestExpect, ResponseExpect, UpstreamExpect,
};
use crate::on_harness::Insight;
use crate::plan::{Plan, PlannedStream};
use crate::seen::{Access, Ended, Line, Message, Seen, Stream, shown};
use crate::yaml::Yaml;

/// One thing that is other than expected.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The key, under the case: `expect.upstream.path`.
    pub key: String,
    /// What was expected, in words.
    pub expected: String,
    /// What was seen.
    pub found: String,
    pub(crate) keys: Vec<Key>,
    /// What the file would have to say, where a value can say it.
    pub(crate) fix: Option<Yaml>,
}

/// A step on the way to a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    Name(String),
    Index(usize),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n  expected  {}\n  found     {}",
            self.key, self.expected, self.found
        )
    }
}

/// Compares a play with what its plan expects.
pub(crate) fn check(plan: &Plan, seen: &Seen, insights: Option<&[Insight]>) -> Vec<Difference> {
    let mut checker = Checker::default();
    for (number, (planned, stream)) in plan.streams.iter().zip(&seen.streams).enumerate() {
        let insight = insights.and_then(|insights| insights.get(number));
        match planned.step {
            None => checker.within("expect", |checker| checker.stream(planned, stream, insight)),
            Some(step) => checker.within("steps", |checker| {
                checker.at(step, |checker| {
                    checker.within("expect", |checker| checker.stream(planned, stream, insight));
                });
            }),
        }
    }
    for (number, (planned, found)) in plan.connections.iter().zip(&seen.connections).enumerate() {
        let insight = insights.and_then(|insights| insights.get(number));
        checker.within("steps", |checker| {
            checker.at(planned.step, |checker| {
                checker.within("connect", |checker| {
                    checker.within("expect", |checker| {
                        checker.connection(&planned.expect, found, insight);
                    });
                });
            });
        });
    }
    for (planned, found) in plan.reloads.iter().zip(&seen.reloads) {
        checker.within("steps", |checker| {
            checker.at(planned.step, |checker| {
                checker.within("reload", |checker| {
                    checker.reload(planned.refused.as_ref(), found.as_ref());
                });
            });
        });
    }
    checker.within("expect", |checker| checker.host(&plan.expect, seen));
    checker.differences
}

#[derive(Default)]
struct Checker {
    path: Vec<Key>,
    differences: Vec<Difference>,
}

impl Checker {
    fn within(&mut self, key: &str, check: impl FnOnce(&mut Self)) {
        self.path.push(Key::Name(key.to_owned()));
        check(self);
        self.path.pop();
    }

    fn at(&mut self, index: usize, check: impl FnOnce(&mut Self)) {
        self.path.push(Key::Index(index));
        check(self);
        self.path.pop();
    }

    fn differs(&mut self, key: &str, expected: String, found: String, fix: Option<Yaml>) {
        self.within(key, |checker| {
            let keys = checker.path.clone();
            checker.differences.push(Difference {
                key: shown_path(&keys),
                expected,
                found,
                keys,
                fix,
            });
        });
    }

    fn stream(&mut self, planned: &PlannedStream, stream: &Stream, insight: Option<&Insight>) {
        let expect = &planned.expect;
        let usual = planned.usual_outcome();
        let outcome = expect.outcome.unwrap_or(usual);
        let ended = outcome_of(&stream.downstream);
        if outcome != ended {
            let fix = Some(Yaml::word(ended.word()));
            self.differs("outcome", outcome.word().into(), ended.word().into(), fix);
        }
        if let Some(upstream) = &expect.upstream {
            self.upstream(upstream, stream.upstream.as_ref());
        }
        if let Some(response) = &expect.response {
            match &stream.downstream {
                Ended::Answered(message) => {
                    self.within("response", |checker| checker.response(response, message));
                }
                _ if outcome == OutcomeExpect::Answered => {}
                _ => self.differs("response", "a response".into(), "none".into(), None),
            }
        }
        if let Some(access) = &expect.access_log {
            self.within("access_log", |checker| {
                checker.access(access, stream.access.as_ref());
            });
        }
        if let (Some(harness), Some(insight)) = (&expect.harness, insight) {
            self.within("harness", |checker| checker.harness(harness, insight));
        }
    }

    fn upstream(&mut self, expect: &UpstreamExpect, found: Option<&Message>) {
        match (expect, found) {
            (UpstreamExpect::None, None) => {}
            (UpstreamExpect::None, Some(message)) => {
                let fix = Some(request_yaml(message));
                self.differs("upstream", "no request".into(), message.start.clone(), fix);
            }
            (UpstreamExpect::Request(_), None) => {
                let fix = Some(Yaml::word("none"));
                self.differs("upstream", "a request".into(), "none arrived".into(), fix);
            }
            (UpstreamExpect::Request(expect), Some(message)) => {
                self.within("upstream", |checker| checker.request(expect, message));
            }
        }
    }

    fn request(&mut self, expect: &RequestExpect, message: &Message) {
        let (method, target) = message.request.clone().unwrap_or_default();
        self.text("method", expect.method.as_ref(), &method);
        self.text("path", expect.path.as_ref(), &target);
        self.headers(&expect.headers, &expect.lacks, message);
        self.lines("all_headers", expect.all_headers.as_ref(), &message.headers);
        self.text("body", expect.body.as_ref(), &message.body);
        if let Some(messages) = &expect.messages {
            self.messages(messages, message);
        }
        self.lines("trailers", expect.trailers.as_ref(), &message.trailers);
    }

    fn response(&mut self, expect: &ResponseExpect, message: &Message) {
        let status = message.status().unwrap_or(0);
        self.number("status", expect.status.map(u64::from), status.into());
        self.headers(&expect.headers, &expect.lacks, message);
        self.lines("all_headers", expect.all_headers.as_ref(), &message.headers);
        self.text("body", expect.body.as_ref(), &message.body);
        self.lines("trailers", expect.trailers.as_ref(), &message.trailers);
    }

    fn text(&mut self, key: &str, expect: Option<&Matcher>, found: &[u8]) {
        if let Some(expect) = expect
            && !expect.accepts(found)
        {
            let fix = Some(Yaml::text(found));
            self.differs(key, expect.to_string(), shown(found), fix);
        }
    }

    fn number(&mut self, key: &str, expect: Option<u64>, found: u64) {
        if let Some(expect) = expect
            && expect != found
        {
            let fix = Some(Yaml::word(found));
            self.differs(key, expect.to_string(), found.to_string(), fix);
        }
    }

    fn headers(&mut self, expect: &HeaderExpect, lacks: &[String], message: &Message) {
        self.within("headers", |checker| {
            for (name, matchers) in &expect.0 {
                let found: Vec<&[u8]> = message.values(name).collect();
                let same = found.len() == matchers.len();
                let mut pairs = matchers.iter().zip(&found);
                if same && pairs.all(|(matcher, value)| matcher.accepts(value)) {
                    continue;
                }
                let expected: Vec<String> = matchers.iter().map(ToString::to_string).collect();
                let values: Vec<String> = found.iter().map(|value| shown(value)).collect();
                let fix = match found.as_slice() {
                    // That it is gone is for `lacks` to say, and for a person to decide.
                    [] => None,
                    [one] => Some(Yaml::text(*one)),
                    several => Some(Yaml::List(
                        several.iter().map(|one| Yaml::text(*one)).collect(),
                    )),
                };
                checker.differs(name, list(&expected), list(&values), fix);
            }
        });
        for name in lacks {
            let found: Vec<String> = message.values(name).map(shown).collect();
            if !found.is_empty() {
                let expected = format!("no header `{name}`");
                self.differs("lacks", expected, format!("{name}: {}", list(&found)), None);
            }
        }
    }

    fn lines(&mut self, key: &str, expect: Option<&Headers>, found: &[(Vec<u8>, Vec<u8>)]) {
        let Some(expect) = expect else { return };
        let lower = |(name, value): &(Vec<u8>, Vec<u8>)| (name.to_ascii_lowercase(), value.clone());
        let expected: Vec<_> = expect.0.iter().map(lower).collect();
        if expected != found {
            let fix = Some(lines_yaml(found));
            self.differs(key, text_of(&expected), text_of(found), fix);
        }
    }

    fn access(&mut self, expect: &AccessExpect, found: Option<&Access>) {
        let Some(found) = found else {
            self.differs(
                "status",
                "a line".into(),
                "none, the request has not ended".into(),
                None,
            );
            return;
        };
        self.number("status", expect.status.map(u64::from), found.status.into());
        let details = found.details.clone().unwrap_or_default();
        self.text("details", expect.details.as_ref(), details.as_bytes());
        self.text("flags", expect.flags.as_ref(), found.flags.as_bytes());
    }

    fn harness(&mut self, expect: &HarnessExpect, found: &Insight) {
        self.words("host_calls", expect.host_calls.as_ref(), &found.host_calls);
        self.words("callbacks", expect.callbacks.as_ref(), &found.callbacks);
        let calls = u64::try_from(found.host_calls.len()).unwrap_or(u64::MAX);
        let most = expect.host_calls_at_most.map(|most| most as u64);
        self.at_most("host_calls_at_most", most, calls);
        self.at_most("fuel_at_most", expect.fuel_at_most, found.fuel);
    }

    fn words(&mut self, key: &str, expect: Option<&Vec<String>>, found: &[String]) {
        if let Some(expect) = expect
            && expect != found
        {
            let fix = Yaml::List(found.iter().map(|word| Yaml::text(word.as_str())).collect());
            self.differs(key, list(expect), list(found), Some(fix));
        }
    }

    fn at_most(&mut self, key: &str, most: Option<u64>, found: u64) {
        if let Some(most) = most
            && found > most
        {
            let fix = Some(Yaml::word(found));
            self.differs(key, format!("at most {most}"), found.to_string(), fix);
        }
    }

    fn host(&mut self, expect: &CaseExpect, seen: &Seen) {
        if let Some(expected) = &expect.log {
            let same = expected.len() == seen.log.len();
            let mut pairs = expected.iter().zip(&seen.log);
            if !same || !pairs.all(|(expected, line)| expected.accepts(line)) {
                let expected: Vec<String> = expected.iter().map(LineExpect::to_string).collect();
                let fix = log_yaml(&seen.log);
                self.differs("log", one_a_line(&expected), lines_of(&seen.log), Some(fix));
            }
        }
        for expected in expect.log_has.iter().flatten() {
            if !seen.log.iter().any(|line| expected.accepts(line)) {
                self.differs("log_has", expected.to_string(), lines_of(&seen.log), None);
            }
        }
        for unwanted in expect.log_lacks.iter().flatten() {
            if let Some(line) = seen.log.iter().find(|line| unwanted.accepts(line)) {
                self.differs(
                    "log_lacks",
                    format!("no {unwanted}"),
                    line.to_string(),
                    None,
                );
            }
        }
        self.metrics("counters", expect.counters.as_ref(), &seen.counters);
        self.metrics("gauges", expect.gauges.as_ref(), &seen.gauges);
        let histograms = expect.histograms.as_ref();
        self.metrics("histograms", histograms, &seen.histograms);
        self.within("clusters", |checker| {
            for (name, expect) in expect.clusters.iter().flatten() {
                checker.calls(name, expect, seen.calls.get(name));
            }
        });
    }

    fn metrics(
        &mut self,
        key: &str,
        expect: Option<&BTreeMap<String, u64>>,
        found: &BTreeMap<String, u64>,
    ) {
        self.within(key, |checker| {
            for (name, value) in expect.into_iter().flatten() {
                match found.get(name) {
                    Some(found) => checker.number(name, Some(*value), *found),
                    None => {
                        let missing = "no such metric".into();
                        checker.differs(name, value.to_string(), missing, None);
                    }
                }
            }
        });
    }
}

impl LineExpect {
    fn accepts(&self, line: &Line) -> bool {
        let message = |matcher: &Matcher| matcher.accepts(line.message.as_bytes());
        self.level.is_none_or(|level| level.word() == line.level)
            && self
                .plugin
                .as_ref()
                .is_none_or(|plugin| *plugin == line.plugin)
            && self.message.as_ref().is_none_or(message)
    }
}

impl fmt::Display for LineExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("line")?;
        if let Some(level) = self.level {
            write!(f, " of level {}", level.word())?;
        }
        if let Some(plugin) = &self.plugin {
            write!(f, " of plugin {plugin}")?;
        }
        match &self.message {
            Some(message) => write!(f, " {message}"),
            None => Ok(()),
        }
    }
}

impl PlannedStream {
    /// How it ends where nothing else is expected.
    pub(crate) fn usual_outcome(&self) -> OutcomeExpect {
        if self.abandoned {
            OutcomeExpect::Abandoned
        } else {
            OutcomeExpect::Answered
        }
    }
}

pub(crate) fn outcome_of(ended: &Ended) -> OutcomeExpect {
    match ended {
        Ended::Answered(_) => OutcomeExpect::Answered,
        Ended::Reset => OutcomeExpect::Reset,
        Ended::Held => OutcomeExpect::Held,
        Ended::Abandoned => OutcomeExpect::Abandoned,
    }
}

/// A request as a file expects it, in full.
pub(crate) fn request_yaml(message: &Message) -> Yaml {
    let (method, target) = message.request.clone().unwrap_or_default();
    let mut entries = vec![
        ("method".to_owned(), Yaml::Text(method)),
        ("path".to_owned(), Yaml::Text(target)),
    ];
    entries.push(("all_headers".to_owned(), lines_yaml(&message.headers)));
    if let Some(messages) = message.grpc_messages() {
        let messages = messages.into_iter().map(Yaml::text).collect();
        entries.push(("messages".to_owned(), Yaml::List(messages)));
    } else {
        body_yaml(message, &mut entries);
    }
    trailers_yaml(message, &mut entries);
    Yaml::Map(entries)
}

/// A response as a file expects it, in full.
pub(crate) fn response_yaml(message: &Message) -> Yaml {
    let status = message.status().unwrap_or(0);
    let mut entries = vec![("status".to_owned(), Yaml::word(status))];
    entries.push(("all_headers".to_owned(), lines_yaml(&message.headers)));
    body_yaml(message, &mut entries);
    trailers_yaml(message, &mut entries);
    Yaml::Map(entries)
}

fn body_yaml(message: &Message, entries: &mut Vec<(String, Yaml)>) {
    if !message.body.is_empty() {
        entries.push(("body".to_owned(), Yaml::text(message.body.clone())));
    }
}

fn trailers_yaml(message: &Message, entries: &mut Vec<(String, Yaml)>) {
    if !message.trailers.is_empty() {
        entries.push(("trailers".to_owned(), lines_yaml(&message.trailers)));
    }
}

/// Lines of the log as a file expects them; whose they are is said where several plugins log.
pub(crate) fn log_yaml(lines: &[Line]) -> Yaml {
    let several = lines.iter().any(|line| line.plugin != lines[0].plugin);
    let line = |line: &Line| {
        let mut entries = vec![("level".to_owned(), Yaml::text(line.level.as_str()))];
        if several {
            entries.push(("plugin".to_owned(), Yaml::text(line.plugin.as_str())));
        }
        entries.push(("message".to_owned(), Yaml::text(line.message.as_str())));
        Yaml::Map(entries)
    };
    Yaml::List(lines.iter().map(line).collect())
}

fn lines_yaml(lines: &[(Vec<u8>, Vec<u8>)]) -> Yaml {
    let line = |(name, value): &(Vec<u8>, Vec<u8>)| {
        let name = String::from_utf8_lossy(name).into_owned();
        Yaml::Map(vec![(name, Yaml::text(value.clone()))])
    };
    Yaml::List(lines.iter().map(line).collect())
}

fn text_of(lines: &[(Vec<u8>, Vec<u8>)]) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    one_a_line(&lines)
}

fn lines_of(lines: &[Line]) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| format!("[{}] {}: {}", line.level, line.plugin, line.message))
        .collect();
    one_a_line(&lines)
}

fn one_a_line(lines: &[String]) -> String {
    match lines {
        [] => "nothing".to_owned(),
        lines => lines.join("\n            "),
    }
}

fn list(items: &[String]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items.join(", "),
    }
}

pub(crate) fn shown_path(keys: &[Key]) -> String {
    let mut path = String::new();
    for key in keys {
        match key {
            Key::Name(name) if path.is_empty() => path.push_str(name),
            Key::Name(name) => path.extend([".", name]),
            Key::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}
