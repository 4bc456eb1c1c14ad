//! Plays a test, callback by callback.

use std::path::{Path, PathBuf};
use std::time::Duration;

use attache_harness::{
    BareReply, BareResult, BareStream, Direction, Host, HostError, LogLevel, LogLine, Plugin,
};

use super::file::{Env, Expectation, Header, Level, StringMatcher, Test};
use super::input::{self, Pairs};
use crate::check::Difference;
use crate::report::Verdict;
use crate::seen::shown;

/// What all tests of a file are about.
pub(super) struct Subject<'a> {
    pub(super) module: PathBuf,
    pub(super) root_id: String,
    pub(super) configuration: Option<Vec<u8>>,
    pub(super) env: &'a Env,
    /// The folder of the tests.
    pub(super) folder: &'a Path,
}

/// Why a test does not come to its end.
enum Broken {
    Host(Box<HostError>),
    Other(String),
}

impl From<HostError> for Broken {
    fn from(error: HostError) -> Self {
        Self::Host(Box::new(error))
    }
}

impl From<String> for Broken {
    fn from(reason: String) -> Self {
        Self::Other(reason)
    }
}

pub(super) fn verdict(subject: &Subject<'_>, test: &Test) -> Verdict {
    let mut play = match Play::start(subject, test) {
        Ok(play) => play,
        Err(error) => return Verdict::Error(format!("{error:?}")),
    };
    match play.run() {
        Ok(()) if play.differences.is_empty() => Verdict::Passed,
        Ok(()) => Verdict::Failed {
            differences: play.differences,
            timeline: Some(format!("timeline:\n{}", play.timeline)),
        },
        Err(Broken::Host(error)) => Verdict::Error(format!("{error:?}")),
        Err(Broken::Other(reason)) => Verdict::Error(reason),
    }
}

struct Play<'a> {
    subject: &'a Subject<'a>,
    test: &'a Test,
    host: Host,
    /// Where the log begins that the callback under way has written.
    logged: usize,
    /// Whether a reply has ended the stream.
    replied: bool,
    differences: Vec<Difference>,
    timeline: String,
}

impl<'a> Play<'a> {
    fn start(subject: &'a Subject<'a>, test: &'a Test) -> Result<Self, HostError> {
        let mut plugin = Plugin::from_file(&subject.module)
            .name("test")
            .root_id(&subject.root_id);
        if let Some(configuration) = &subject.configuration {
            plugin = plugin.config(configuration.as_slice());
        }
        let builder = Host::builder()
            .plugin(plugin)
            .log_level(level(subject.env.log_level))
            .clock(Duration::from_secs(subject.env.time_secs));
        let properties = test.properties.iter();
        let builder = properties.fold(builder, |builder, property| {
            builder.property(&property.path, property.value.0.as_slice())
        });
        Ok(Self {
            subject,
            test,
            host: builder.start()?,
            logged: 0,
            replied: false,
            differences: Vec::new(),
            timeline: String::new(),
        })
    }

    fn run(&mut self) -> Result<(), Broken> {
        let test = self.test;
        self.check_log("plugin_init", &test.plugin_init)?;
        let stream = self.host.bare_stream()?;
        self.check_log("stream_init", &test.stream_init)?;
        let done = self.phases(stream);
        self.timeline = self.host.bare_timeline(stream).to_string();
        done?;
        self.host.end_bare_stream(stream)?;
        self.check_log("stream_destroy", &test.stream_destroy)
    }

    fn phases(&mut self, stream: BareStream) -> Result<(), Broken> {
        for (direction, headers, bodies) in [
            (
                Direction::Request,
                &self.test.request_headers,
                &self.test.request_body,
            ),
            (
                Direction::Response,
                &self.test.response_headers,
                &self.test.response_body,
            ),
        ] {
            if let Some(invocation) = headers {
                let phase = format!("{}_headers", word(direction));
                let is_request = direction == Direction::Request;
                let given = input::headers(&invocation.input, self.subject.folder, is_request)?;
                let result = match self.replied {
                    true => over(),
                    false => self.host.bare_headers(stream, direction, &given)?,
                };
                self.check(&phase, &invocation.result, result, Kind::Headers)?;
            }
            for (number, invocation) in bodies.iter().enumerate() {
                let phase = match bodies.len() {
                    1 => format!("{}_body", word(direction)),
                    _ => format!("{}_body[{number}]", word(direction)),
                };
                let pieces = input::pieces(&invocation.input, self.subject.folder, self.test)?;
                let mut whole = over();
                for (place, piece) in pieces.iter().enumerate() {
                    if self.replied || whole.reply.is_some() {
                        break;
                    }
                    let end = place + 1 == pieces.len();
                    let result = self.host.bare_body(stream, direction, piece, end)?;
                    whole.body.extend_from_slice(&result.body);
                    whole.failed |= result.failed;
                    whole.reply = result.reply;
                }
                self.check(&phase, &invocation.result, whole, Kind::Body)?;
            }
        }
        Ok(())
    }

    /// Compares what a callback left behind.
    fn check(
        &mut self,
        phase: &str,
        expected: &Expectation,
        result: BareResult,
        kind: Kind,
    ) -> Result<(), Broken> {
        if result.failed {
            let lines: Vec<String> = self.fresh().map(ToString::to_string).collect();
            return Err(Broken::Other(format!(
                "{phase}: the VM failed:\n{}",
                lines.join("\n")
            )));
        }
        self.replied |= result.reply.is_some();
        let (headers, body) = match &result.reply {
            Some(reply) => (&reply.headers, &reply.body),
            None => (&result.headers, &result.body),
        };
        let headers = joined(headers);
        self.check_headers(phase, expected, &headers);
        let lines = serialized(&headers);
        self.find(phase, "headers", expected.lines(), &lines)?;
        self.find(phase, "body", expected.body(), std::slice::from_ref(body))?;
        self.check_reply(phase, expected, result.reply.as_ref());
        if kind == Kind::Headers && !result.continues && result.reply.is_none() {
            self.differs(
                phase,
                "the stream",
                "to go on".to_owned(),
                "held by the filter".to_owned(),
            );
        }
        self.check_log(phase, expected)
    }

    fn check_headers(&mut self, phase: &str, expected: &Expectation, headers: &Pairs) {
        let found = |header: &Header| {
            let named =
                |(name, _): &&(Vec<u8>, Vec<u8>)| name.eq_ignore_ascii_case(header.key.as_bytes());
            headers.iter().find(named).map(|(_, value)| value)
        };
        for header in expected.has_header() {
            let found = found(header);
            if found != Some(&header.value.0) {
                let found = found.map_or_else(|| "missing".to_owned(), |value| shown(value));
                self.differs(phase, &header.key, shown(&header.value.0), found);
            }
        }
        for header in expected.no_header() {
            if let Some(value) = found(header) {
                self.differs(phase, &header.key, "missing".to_owned(), shown(value));
            }
        }
    }

    fn check_reply(&mut self, phase: &str, expected: &Expectation, reply: Option<&BareReply>) {
        let (expected, reply) = match (&expected.immediate, reply) {
            (None, None) => return,
            (Some(expected), Some(reply)) => (expected, reply),
            (None, Some(reply)) => {
                let found = format!("status {}", reply.status);
                return self.differs(phase, "immediate", "none".to_owned(), found);
            }
            (Some(_), None) => {
                return self.differs(phase, "immediate", "a reply".to_owned(), "none".to_owned());
            }
        };
        if let Some(status) = expected
            .http_status
            .filter(|status| *status != reply.status)
        {
            let found = reply.status.to_string();
            self.differs(phase, "immediate.http_status", status.to_string(), found);
        }
        if let Some(status) = expected.grpc_status
            && reply.grpc_status != Some(status)
        {
            let found = reply
                .grpc_status
                .map_or("none".to_owned(), |it| it.to_string());
            self.differs(phase, "immediate.grpc_status", status.to_string(), found);
        }
        // Envoy writes no blanks there.
        let blank = |sign: char| sign.is_ascii_whitespace();
        if let Some(details) = &expected.details
            && details.replace(blank, "_") != reply.details
        {
            let found = shown(reply.details.as_bytes());
            self.differs(phase, "immediate.details", shown(details.as_bytes()), found);
        }
    }

    fn check_log(&mut self, phase: &str, expected: &Expectation) -> Result<(), Broken> {
        let lines: Vec<Vec<u8>> = self
            .fresh()
            .map(|line| line.message.clone().into())
            .collect();
        self.logged = self.host.log().len();
        self.find(phase, "log", &expected.log, &lines)
    }

    /// The lines of the filter since the last callback.
    fn fresh(&self) -> impl Iterator<Item = &LogLine> {
        let least = level(self.subject.env.log_level);
        let lines = self.host.log().iter().skip(self.logged);
        lines.filter(move |line| line.level >= least)
    }

    /// Each matcher has to find one of the texts, or none.
    fn find<'m>(
        &mut self,
        phase: &str,
        what: &str,
        matchers: impl IntoIterator<Item = &'m StringMatcher>,
        texts: &[Vec<u8>],
    ) -> Result<(), Broken> {
        for matcher in matchers {
            let (exact, wanted) = match (&matcher.exact, &matcher.regex, &matcher.file) {
                (Some(exact), ..) => (Some(exact.0.clone()), shown(&exact.0)),
                (_, Some(regex), _) => (None, format!("a match of `{}`", regex.text)),
                (.., Some(file)) => {
                    let bytes = input::read(self.subject.folder, file)?;
                    (Some(bytes), format!("what `{}` holds", file.display()))
                }
                (None, None, None) => continue,
            };
            let accepts = |text: &Vec<u8>| match (&exact, &matcher.regex) {
                (Some(exact), _) => text == exact,
                (None, Some(pattern)) => pattern.regex.is_match(text),
                (None, None) => false,
            };
            if texts.iter().any(accepts) == matcher.invert {
                let no = if matcher.invert { "no " } else { "" };
                let found: Vec<String> = texts.iter().map(|text| shown(text)).collect();
                let found = match found.len() {
                    0 => "nothing".to_owned(),
                    _ => found.join(", "),
                };
                self.differs(phase, what, format!("{no}{wanted}"), found);
            }
        }
        Ok(())
    }

    fn differs(&mut self, phase: &str, what: &str, expected: String, found: String) {
        self.differences.push(Difference {
            key: format!("{phase}: {what}"),
            expected,
            found,
            keys: Vec::new(),
            fix: None,
        });
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Headers,
    Body,
}

/// What a callback leaves behind that is not made: a reply has ended the stream.
fn over() -> BareResult {
    let mut result = BareResult::default();
    result.continues = true;
    result
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Request => "request",
        Direction::Response => "response",
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
        Level::Critical => LogLevel::Critical,
    }
}

/// All values of a name in one.
fn joined(headers: &Pairs) -> Pairs {
    let mut all = Pairs::new();
    for (name, value) in headers {
        match all
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            Some((_, joined)) => *joined = [joined, &b", "[..], value].concat(),
            None => all.push((name.clone(), value.clone())),
        }
    }
    all
}

/// The lines that matchers look at. Envoy writes names in lower case; tests may have them as people write
/// them, `Content-Type`.
fn serialized(headers: &Pairs) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for (name, value) in headers {
        let mut start = true;
        let as_written: Vec<u8> = name
            .iter()
            .map(|byte| {
                let cased = if start {
                    byte.to_ascii_uppercase()
                } else {
                    *byte
                };
                start = !byte.is_ascii_alphanumeric();
                cased
            })
            .collect();
        lines.push([name, &b": "[..], value].concat());
        if as_written != *name {
            lines.push([&as_written, &b": "[..], value].concat());
        }
    }
    lines
}
