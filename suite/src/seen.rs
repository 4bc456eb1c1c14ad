use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::case::{Case, MARK};

/// Everything that one play of a case showed; equal on both hosts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// One for each request, in their order.
    pub streams: Vec<Stream>,
    /// One for each TCP connection, in their order.
    pub connections: Vec<Connection>,
    /// One for each time that a plugin was replaced: why it was refused, or nothing.
    pub reloads: Vec<Option<Refusal>>,
    /// What the filters logged, in order, since the first request.
    pub log: Vec<Line>,
    /// How much each counter (`wasmcustom.<name>`) grew since the first request: those that did, and
    /// those that the case asks for, if they exist.
    pub counters: BTreeMap<String, u64>,
    /// What each cluster received since the first request.
    pub calls: BTreeMap<String, Calls>,
    /// How many values each histogram took that the case asks for, if it exists.
    pub histograms: BTreeMap<String, u64>,
    /// The gauges that the case asks for, in the end.
    pub gauges: BTreeMap<String, u64>,
}

/// What became of one request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stream {
    /// What the upstream received of it; `None` if nothing.
    pub upstream: Option<Message>,
    /// What the client received.
    pub downstream: Ended,
    /// What the access log says once the request has ended.
    pub access: Option<Access>,
}

/// How a request ended for its client.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ended {
    /// With a whole response.
    Answered(Message),
    /// With a cut connection.
    Reset,
    /// Not at all: a filter holds the stream.
    Held,
    /// The client went away.
    Abandoned,
}

/// The requests that a cluster received whole, in the order in which they came. Two are equal in any
/// order: calls that are made together overtake one another.
#[derive(Clone, Default)]
pub struct Calls(pub(crate) Vec<Message>);

impl Calls {
    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Message> {
        self.0.iter()
    }

    fn sorted(&self) -> Vec<&Message> {
        let mut messages: Vec<&Message> = self.0.iter().collect();
        messages.sort_by_cached_key(|message| format!("{message:?}"));
        messages
    }
}

impl PartialEq for Calls {
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

impl Eq for Calls {}

impl fmt::Debug for Calls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sorted().fmt(formatter)
    }
}

/// That a plugin was refused, with lines that say why. Hosts have their own, so that two refusals are
/// equal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The lines.
    pub lines: Vec<String>,
}

impl PartialEq for Refusal {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Refusal {}

/// What became of one TCP connection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Connection {
    /// What the upstream received.
    pub upstream: Received,
    /// What the client received.
    pub downstream: Received,
}

/// What one peer of a TCP connection received.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// How Envoy ended its side.
    pub end: PeerEnd,
}

/// How a peer of a TCP connection sees it end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PeerEnd {
    /// Not so far, or it was never connected.
    #[default]
    Open,
    /// With a FIN.
    Fin,
    /// With a RST, be it the peer's own.
    Reset,
}

impl Received {
    /// A number that changes with what is received.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() + usize::from(self.end != PeerEnd::Open)
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "\"{}\" {:?}",
            self.bytes.escape_ascii(),
            self.end
        )
    }
}

impl Ended {
    /// Whether another request can come on the same connection, over HTTP/1.1.
    pub(crate) fn leaves_open(&self) -> bool {
        match self {
            Self::Answered(message) => {
                let closes = |value: &[u8]| value.eq_ignore_ascii_case(b"close");
                !message.values("connection").any(closes)
            }
            Self::Reset | Self::Held | Self::Abandoned => false,
        }
    }
}

/// A line of the access log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Access {
    /// The status of the response, sent or not; 0 where there was none.
    pub status: u32,
    /// Envoy's reason for the response, such as `via_upstream`.
    pub details: Option<String>,
    /// Envoy's response flags, such as `UF`; `-` for none.
    pub flags: String,
}

/// A line that a filter logged.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Line {
    /// Envoy's name of the level, such as `warning`.
    pub level: String,
    /// The plugin's name.
    pub plugin: String,
    /// What Envoy puts before the message: `wasm log name root_id vm_id: `.
    pub prefix: String,
    /// The message.
    pub message: String,
    time: Time,
}

/// When something was seen, by a clock of the host's own: no two hosts are alike in it.
#[derive(Clone, Copy, Debug, Default)]
struct Time(Option<Duration>);

impl PartialEq for Time {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Time {}

/// A message on the wire, less what differs each time.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// `GET /path`, or the status.
    pub start: String,
    /// Names and values in order, without those that differ by the clock or by chance:
    /// `date`, `x-envoy-upstream-service-time` and `x-request-id`.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// The trailers in order.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The method and the target, of a request.
    pub(crate) request: Option<(Vec<u8>, Vec<u8>)>,
}

/// Headers that tell the time, the one that Envoy draws by lot, and our own.
pub(crate) const VOLATILE: [&str; 4] = [
    "date",
    "x-envoy-upstream-service-time",
    "x-request-id",
    MARK,
];

impl Ended {
    /// The word of a suite for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Reset => "reset",
            Self::Held => "held",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Message {
    pub(crate) fn request(
        method: Vec<u8>,
        target: Vec<u8>,
        headers: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        body: Vec<u8>,
        trailers: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Self {
        let start = format!("{} {}", method.escape_ascii(), target.escape_ascii());
        let request = Some((method, target));
        Self {
            request,
            ..Self::response(start, headers, body, trailers)
        }
    }

    pub(crate) fn response(
        start: String,
        headers: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        body: Vec<u8>,
        trailers: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Self {
        let volatile = |name: &[u8]| VOLATILE.iter().any(|known| known.as_bytes() == name);
        Self {
            start,
            headers: headers
                .into_iter()
                .filter(|(name, _)| !volatile(name))
                .collect(),
            body,
            trailers,
            request: None,
        }
    }

    /// The messages of a gRPC call; `None` where the body is something else.
    pub(crate) fn grpc_messages(&self) -> Option<Vec<&[u8]>> {
        let is_grpc = |kind: &[u8]| kind.starts_with(b"application/grpc");
        if !self.values("content-type").any(is_grpc) {
            return None;
        }
        let mut messages = Vec::new();
        let mut rest = self.body.as_slice();
        // A flag, a length of four bytes, the message.
        while let Some(([_, length @ ..], behind)) = rest.split_first_chunk::<5>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            messages.push(behind.get(..length)?);
            rest = &behind[length..];
        }
        rest.is_empty().then_some(messages)
    }

    /// All values of a header, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> Option<u32> {
        self.start.parse().ok()
    }
}

/// As lines, so that a difference is found at a glance.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.start)?;
        for (name, value) in &self.headers {
            writeln!(
                formatter,
                "{}: {}",
                name.escape_ascii(),
                value.escape_ascii()
            )?;
        }
        writeln!(
            formatter,
            "({} bytes) {}",
            self.body.len(),
            self.body.escape_ascii()
        )?;
        for (name, value) in &self.trailers {
            writeln!(
                formatter,
                "trailer {}: {}",
                name.escape_ascii(),
                value.escape_ascii()
            )?;
        }
        Ok(())
    }
}

impl Line {
    /// The lines of filters from `start` on. Those of a range come from several threads in no certain
    /// order, and so are sorted.
    pub(crate) fn all<T>(
        lines: &[T],
        start: usize,
        sorted: &[Range<usize>],
        line: impl Fn(&T) -> Option<Self>,
    ) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let mut from = None;
        for (number, read) in lines.iter().enumerate().skip(start) {
            let within = sorted.iter().position(|range| range.contains(&number));
            let Some(line) = line(read) else { continue };
            let text = line.to_string();
            let place = match (within, from) {
                (Some(range), Some((same, first))) if range == same => {
                    let later = |other: &Self| other.to_string() > text;
                    let others = all.get(first..).unwrap_or_default();
                    others.iter().position(later).map(|place| first + place)
                }
                (Some(range), _) => {
                    from = Some((range, all.len()));
                    None
                }
                (None, _) => None,
            };
            all.insert(place.unwrap_or(all.len()), line);
        }
        all
    }

    #[cfg(test)]
    pub(crate) fn new(level: &str, plugin: &str, message: &str) -> Self {
        Self {
            level: level.to_owned(),
            plugin: plugin.to_owned(),
            prefix: String::new(),
            message: message.to_owned(),
            time: Time::default(),
        }
    }

    /// When it was logged, by the host's own clock.
    pub(crate) fn time(&self) -> Option<Duration> {
        self.time.0
    }

    /// The line with its time.
    pub(crate) fn at(mut self, time: Option<Duration>) -> Self {
        self.time = Time(time);
        self
    }

    /// The line that a host logged as `prefix` and `message`, if a filter of the case did, whose
    /// vm_id has `scope` before it on that host.
    pub(crate) fn of(case: &Case, scope: &str, level: String, text: &str) -> Option<Self> {
        case.plugins().find_map(|filter| {
            [filter.name.as_str(), ""].into_iter().find_map(|name| {
                let vm_id = format!("{scope}{}", filter.vm_id);
                let message = text.strip_prefix(&prefix(name, &filter.root_id, &vm_id))?;
                Some(Self {
                    level: level.clone(),
                    plugin: filter.name.clone(),
                    prefix: prefix(name, &filter.root_id, &filter.vm_id),
                    message: message.to_owned(),
                    time: Time::default(),
                })
            })
        })
    }
}

/// What Envoy puts before a message: `wasm log[ name][ root_id][ vm_id]: `, and root contexts have no
/// name.
fn prefix(name: &str, root_id: &str, vm_id: &str) -> String {
    let words = ["wasm log", name, root_id, vm_id];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("{}: ", words.join(" "))
}

/// As Envoy writes it.
impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}{}", self.level, self.prefix, self.message)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// How much counters grew: those that did, and of those that are asked for the ones that exist.
/// Counters wrap, as Envoy's do.
pub(crate) fn grown(
    after: impl IntoIterator<Item = (String, u64)>,
    before: &BTreeMap<String, u64>,
    asked: &[String],
) -> BTreeMap<String, u64> {
    let grown = after.into_iter().map(|(name, value)| {
        let before = before.get(&name).copied().unwrap_or_default();
        (name, value.wrapping_sub(before))
    });
    grown
        .filter(|(name, value)| *value > 0 || asked.contains(name))
        .collect()
}

/// Bytes in quotes; a long text with its middle left out.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 400;
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => bytes.escape_ascii().to_string(),
    };
    if text.len() <= MOST {
        return format!("\"{text}\"");
    }
    let start: String = text.chars().take(MOST / 2).collect();
    format!("\"{start}…\" ({} bytes)", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_wraps_has_grown_by_what_was_added() {
        let metrics = |values: &[(&str, u64)]| -> BTreeMap<String, u64> {
            let owned = values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value));
            owned.collect()
        };
        let before = metrics(&[("wraps", 5), ("rests", 7), ("asked", 1)]);
        let after = metrics(&[("wraps", 4), ("rests", 7), ("asked", 1), ("new", 2)]);
        assert_eq!(
            grown(after, &before, &["asked".to_owned(), "missing".to_owned()]),
            metrics(&[("wraps", u64::MAX), ("asked", 0), ("new", 2)])
        );
    }
}
