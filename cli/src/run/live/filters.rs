//! Which filter of a chain changed what: what passed the places before, between and behind them.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use attache_envoy::{AccessEntry, AccessLogReader, FilterSource, Passed, Tapped, printable};
use serde_json::{Value, json};

use crate::screen::Screen;

use super::super::comparison::{Row, rows};
use super::{Seen, changes, of_envoy};

/// How long after its answer Envoy's word on a request is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The places, and the file in which Envoy says what passed them.
pub(in crate::run) struct Taps {
    log: AccessLogReader,
    /// The filters between the places, in order.
    filters: Vec<String>,
    waiting: VecDeque<(Instant, Seen)>,
}

/// What passed the places around the filters of a chain.
pub(in crate::run) struct ByFilter {
    filters: Vec<String>,
    places: BTreeMap<String, Tapped>,
}

/// The filters with a place before the first and behind each.
pub(in crate::run) fn between(filters: Vec<FilterSource>) -> Vec<FilterSource> {
    let mut all = vec![FilterSource::Tap(place(0))];
    for (number, filter) in filters.into_iter().enumerate() {
        all.extend([filter, FilterSource::Tap(place(number + 1))]);
    }
    all
}

fn place(number: usize) -> String {
    number.to_string()
}

impl Taps {
    /// Of the lines that are written from now on.
    pub(in crate::run) fn new(log: &Path, filters: Vec<String>) -> Self {
        Self {
            log: AccessLogReader::from_end(log),
            filters,
            waiting: VecDeque::new(),
        }
    }

    /// The requests of which Envoy has spoken, with what it said; in its order.
    pub(super) fn told(&mut self, seen: Vec<Seen>) -> Vec<Seen> {
        let now = Instant::now();
        self.waiting
            .extend(seen.into_iter().map(|seen| (now, seen)));
        if self.waiting.is_empty() {
            return Vec::new();
        }
        // A log that cannot be read says nothing, and the requests are told without it.
        let entries = self.log.next_entries().unwrap_or_default();
        self.matched(entries)
    }

    fn matched(&mut self, entries: Vec<AccessEntry>) -> Vec<Seen> {
        let mut told = Vec::new();
        for entry in entries {
            // Filters and Envoy may have changed all of a request but the connection on which it came.
            let is_of =
                |(_, seen): &(Instant, Seen)| seen.port.is_some() && seen.port == entry.client_port;
            let at = self.waiting.iter().position(is_of);
            // What came to that listener past the address of the live view is nobody's here.
            let Some((_, mut seen)) = at.and_then(|at| self.waiting.remove(at)) else {
                continue;
            };
            seen.filters = (!entry.taps.is_empty()).then(|| ByFilter {
                filters: self.filters.clone(),
                places: entry.taps,
            });
            told.push(seen);
        }
        while let Some((_, seen)) = self
            .waiting
            // Of what never came to Envoy it says nothing.
            .pop_front_if(|(since, seen)| seen.port.is_none() || since.elapsed() > PATIENCE)
        {
            told.push(seen);
        }
        told
    }
}

fn value<'p>(passed: &'p Passed, name: &str) -> &'p str {
    let header = passed.headers.iter().find(|(known, _)| known == name);
    header.map_or("", |(_, value)| value)
}

impl ByFilter {
    fn place(&self, number: usize) -> Option<&Tapped> {
        self.places.get(&place(number))
    }

    fn request(&self, number: usize) -> Option<&Passed> {
        self.place(number)?.request.as_ref()
    }

    fn response(&self, number: usize) -> Option<&Passed> {
        self.place(number)?.response.as_ref()
    }

    /// How many filters the request came to, and whether it passed them all.
    fn reached(&self) -> (usize, bool) {
        let places = self.filters.len() + 1;
        let passed = (0..places).take_while(|&number| self.request(number).is_some());
        match passed.count() {
            count if count == places => (self.filters.len(), true),
            count => (count, false),
        }
    }

    /// A line for each filter and direction, and what it changed.
    pub(super) fn to_text(&self, screen: &Screen) -> String {
        let (reached, passed_all) = self.reached();
        let mut text = String::new();
        for (number, name) in self.filters.iter().enumerate().take(reached) {
            let (before, after) = (self.request(number), self.request(number + 1));
            match before.zip(after) {
                Some((before, after)) => {
                    let title = format!("{name}, to the upstream");
                    text.push_str(&changes(&title, &lines(before), &lines(after), screen));
                }
                None if !passed_all => {
                    text.push_str(&format!("  {name}: the request went no further\n"));
                }
                None => {}
            }
        }
        for (number, name) in self.filters.iter().enumerate().take(reached).rev() {
            let (before, after) = (self.response(number + 1), self.response(number));
            if let Some((before, after)) = before.zip(after) {
                let title = format!("{name}, to the client");
                text.push_str(&changes(&title, &lines(before), &lines(after), screen));
            }
        }
        text
    }

    /// For programs: of each filter that the request came to, the lines that are no longer there and those
    /// that are new, either way.
    pub(super) fn to_json(&self) -> Value {
        let (reached, _) = self.reached();
        let changed = |before: Option<&Passed>, after: Option<&Passed>| {
            let (before, after) = (lines(before?), lines(after?));
            let (mut gone, mut new) = (Vec::new(), Vec::new());
            for row in rows(&before, &after) {
                match row {
                    Row::Same(..) => {}
                    Row::Removed(line) => gone.push(line.to_owned()),
                    Row::Added(line) => new.push(line.to_owned()),
                    Row::Changed(from, to) => {
                        gone.push(from.to_owned());
                        new.push(to.to_owned());
                    }
                }
            }
            Some(json!({ "gone": gone, "new": new }))
        };
        let filters = self.filters.iter().enumerate().take(reached);
        filters
            .map(|(number, name)| {
                json!({
                    "filter": name,
                    "request": changed(self.request(number), self.request(number + 1)),
                    "response": changed(self.response(number + 1), self.response(number)),
                })
            })
            .collect()
    }
}

/// The lines of a message that a filter has a say in.
fn lines(passed: &Passed) -> Vec<String> {
    let start = match value(passed, ":status") {
        "" => format!("{} {}", value(passed, ":method"), value(passed, ":path")),
        status => status.to_owned(),
    };
    let mut lines = vec![start];
    for (name, value) in &passed.headers {
        match name.as_str() {
            ":authority" => lines.push(format!("host: {value}")),
            name if name.starts_with(':') || of_envoy(name.as_bytes()) => {}
            name => lines.push(format!("{name}: {value}")),
        }
    }
    if let Some(body) = passed.body.as_ref().filter(|body| body.length > 0) {
        let start = printable(body.start.as_bytes());
        lines.push(match body.length {
            0..=200 => format!("(body): {start}"),
            // What differs behind the start differs in the sum.
            length => format!("(body): {start}… ({length} B, sum {:08x})", body.sum),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use attache_envoy::http1;
    use attache_envoy::upstream::Upstream;

    use super::*;

    fn passed(headers: &[(&str, &str)]) -> Option<Passed> {
        let mut passed = Passed::default();
        passed.headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Some(passed)
    }

    fn by_filter(places: Vec<(Option<Passed>, Option<Passed>)>) -> ByFilter {
        let places = places.into_iter().enumerate().map(|(number, both)| {
            let mut tapped = Tapped::default();
            (tapped.request, tapped.response) = both;
            (place(number), tapped)
        });
        ByFilter {
            filters: vec!["first".to_owned(), "second".to_owned()],
            places: places.collect(),
        }
    }

    fn seen(echo: &Upstream, target: &str, port: Option<u16>) -> Seen {
        let wire = format!("GET {target} HTTP/1.1\r\nhost: h\r\n\r\n");
        http1::exchange(echo.address(), wire.as_bytes(), PATIENCE).unwrap();
        Seen {
            request: echo.take().remove(0),
            upstream: None,
            response: Err("none".to_owned()),
            started: SystemTime::now(),
            took: Duration::ZERO,
            port,
            filters: None,
        }
    }

    #[test]
    fn lines_find_their_requests_by_the_connection_in_any_order() {
        let log = std::env::temp_dir().join(format!("attache-taps-{}.log", std::process::id()));
        let mut taps = Taps::new(&log, vec!["first".to_owned()]);
        let echo = Upstream::echo().unwrap();
        let requests = [("http://a/b", 1), ("/c", 2), ("/d", 3)];
        let requests = requests.map(|(target, port)| seen(&echo, target, Some(port)));
        assert!(taps.told(requests.into()).is_empty());
        let line =
            |port: u16| format!(r#"{{"client_port":{port},"taps":{{"0 request":":path: /b"}}}}"#);
        std::fs::write(
            &log,
            [
                line(9),
                line(2),
                "no JSON".to_owned(),
                line(1),
                String::new(),
            ]
            .join("\n"),
        )
        .unwrap();
        let told: Vec<_> = taps.told(vec![seen(&echo, "/e", None)]);
        let told = told
            .iter()
            .map(|seen| (&seen.request.target[..], seen.filters.is_some()));
        assert!(told.eq([(&b"/c"[..], true), (b"http://a/b", true)]));
        assert_eq!(taps.waiting.len(), 2);
        std::fs::remove_file(&log).unwrap();
    }

    #[test]
    fn each_filter_has_its_own_changes_and_what_went_no_further_is_told() {
        let start = [(":method", "GET"), (":path", "/?t=1"), ("x-a", "1")];
        let shorter = [(":method", "GET"), (":path", "/"), ("x-a", "1")];
        let fewer = [(":method", "GET"), (":path", "/")];
        let answer = [(":status", "200")];
        let more = [(":status", "200"), ("x-b", "2"), ("date", "now")];
        let screen = Screen::new();
        let whole = by_filter(vec![
            (passed(&start), passed(&more)),
            (passed(&shorter), passed(&more)),
            (passed(&fewer), passed(&answer)),
        ]);
        assert_eq!(
            whole.to_text(&screen),
            "  first, to the upstream:\n    ~ GET /?t=1\n      GET /\n  second, to the upstream:\n    - x-a: 1\n\
             \x20 second, to the client:\n    + x-b: 2\n  first, to the client: nothing changed\n"
        );
        let json = whole.to_json();
        assert_eq!(json[0]["request"]["gone"][0], "GET /?t=1");
        assert_eq!(json[1]["response"]["new"][0], "x-b: 2");

        let denied = [(":status", "403")];
        let denied = by_filter(vec![
            (passed(&start), passed(&denied)),
            (None, passed(&denied)),
            (None, passed(&denied)),
        ]);
        assert_eq!(
            denied.to_text(&screen),
            "  first: the request went no further\n  first, to the client: nothing changed\n"
        );
        assert_eq!(denied.to_json()[0]["request"], Value::Null);
        assert_eq!(denied.to_json().as_array().map(Vec::len), Some(1));
    }
}
