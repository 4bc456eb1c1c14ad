//! The request that is shown, and what became of it on either way.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use attache_envoy::AccessEntry;
use attache_envoy::http1::{self, Response};
use attache_envoy::upstream::{Request, Upstream};

use crate::arguments::Run;

use super::{PAST, Stage, THROUGH};

/// How many more requests go each way for the time that Envoy takes: the first one pays for
/// connections.
const TIMED: usize = 15;
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What a client with every usual credential sends.
const USUAL: [&str; 4] = [
    "authorization: Bearer demo-token",
    "x-api-key: demo-key",
    "cookie: session=demo; theme=dark",
    "accept: application/json",
];

/// A request, as it goes to both listeners.
pub(super) struct Sample {
    method: String,
    path: String,
    headers: Vec<String>,
    body: Option<String>,
    /// Whether the upstream is the one that says what it received.
    echoed: bool,
}

/// What became of the request on either way.
pub(super) struct Exchanges {
    pub(super) past: Exchange,
    pub(super) through: Exchange,
}

/// One way.
pub(super) struct Exchange {
    /// What the upstream received; `None` when it received nothing.
    pub(super) upstream: Option<Request>,
    /// What the client got.
    pub(super) response: Response,
    /// Envoy's own time from the first byte of the request to the last of the response: the median
    /// of requests after the shown one.
    pub(super) took: Option<Duration>,
}

impl Sample {
    /// Checks what the arguments ask for: it goes to the socket as it is.
    pub(super) fn new(arguments: &Run) -> anyhow::Result<Self> {
        let Run {
            method,
            path,
            headers,
            body,
            ..
        } = arguments;
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            bail!("`{method}` is not a method; expected letters, such as `POST`");
        }
        if !path.starts_with('/') || path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            bail!("`{path}` is not a path; expected it to begin with `/` and to have no blanks");
        }
        for (index, header) in headers.iter().enumerate() {
            let name = header.split_once(':').map_or("", |(name, _)| name);
            if name.is_empty() || header.contains(['\r', '\n', '\0']) {
                // Its value may be a secret, and is not repeated.
                bail!(
                    "--header number {} has no name before a colon, or more than one line; expected \
                     `NAME: VALUE`, such as -H 'x-tenant: acme'",
                    index + 1
                );
            }
        }
        let usual = || USUAL.map(str::to_owned).to_vec();
        Ok(Self {
            method: method.clone(),
            path: path.clone(),
            headers: if headers.is_empty() {
                usual()
            } else {
                headers.clone()
            },
            body: body.clone(),
            echoed: arguments.upstream.is_none(),
        })
    }

    /// The request as options of a program that sends it.
    pub(super) fn options(&self) -> Vec<OsString> {
        let mut words = vec!["-X", &self.method, "--path", &self.path];
        words.extend(self.headers.iter().flat_map(|header| ["-H", header]));
        words.extend(self.body.iter().flat_map(|body| ["-d", body]));
        words.into_iter().map(OsString::from).collect()
    }

    /// Whether what the upstream received is known.
    pub(super) fn is_echoed(&self) -> bool {
        self.echoed
    }

    /// Sends the request past the filter and through it. Without the echo upstream nobody knows what
    /// a request does there, so that it is not repeated for the time that Envoy takes.
    pub(super) fn exchange(
        &self,
        stage: &Stage,
        echo: Option<&Upstream>,
    ) -> anyhow::Result<Exchanges> {
        let before = AccessEntry::read_all(&stage.access_log)?.len();
        let mut past = self.send(stage.past, echo)?;
        let mut through = self.send(stage.through, echo)?;
        if echo.is_none() {
            return Ok(Exchanges { past, through });
        }
        // By turns, so that what else the machine does meets both ways alike.
        for _ in 0..TIMED {
            self.send(stage.past, echo)?;
            self.send(stage.through, echo)?;
        }
        let entries = timed_entries(stage, before)?;
        past.took = median(&entries, PAST);
        through.took = median(&entries, THROUGH);
        Ok(Exchanges { past, through })
    }

    fn send(&self, address: SocketAddr, echo: Option<&Upstream>) -> anyhow::Result<Exchange> {
        // What a request of the user's left behind is not this one's.
        drop(echo.map(Upstream::take));
        let response = http1::exchange(address, &self.to_wire(), TIME_LIMIT)
            .with_context(|| format!("no answer from Envoy at {address}"))?;
        Ok(Exchange {
            upstream: echo.and_then(|echo| echo.take().into_iter().next()),
            response,
            took: None,
        })
    }

    fn to_wire(&self) -> Vec<u8> {
        let mut wire = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        let named = |wanted: &str| {
            self.headers.iter().any(|header| {
                header
                    .split_once(':')
                    .is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            })
        };
        if !named("host") {
            wire.push_str("host: example.com\r\n");
        }
        for header in &self.headers {
            wire.push_str(header);
            wire.push_str("\r\n");
        }
        let body = self.body.as_deref().unwrap_or_default();
        if !body.is_empty() && !named("content-length") && !named("transfer-encoding") {
            wire.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        wire.push_str("\r\n");
        wire.push_str(body);
        wire.into_bytes()
    }

    /// The same request as a command for a shell: without curl's own ideas about brackets, dots in
    /// the path, the method that goes with a body, and headers without a value.
    pub(super) fn curl(&self, address: SocketAddr) -> String {
        let mut line = String::from("curl -i");
        if self.path.contains(['[', ']', '{', '}']) {
            line.push_str(" -g");
        }
        if self.path.contains("/.") {
            line.push_str(" --path-as-is");
        }
        if self.method != "GET" || self.body.is_some() {
            line.push_str(&format!(" -X {}", self.method));
        }
        for header in &self.headers {
            let empty = header
                .split_once(':')
                .filter(|(_, value)| value.trim().is_empty());
            let header = empty.map_or_else(|| header.clone(), |(name, _)| format!("{name};"));
            line.push_str(&format!(" -H {}", quoted(&header)));
        }
        if let Some(body) = &self.body {
            line.push_str(&format!(" --data-raw {}", quoted(body)));
        }
        line.push(' ');
        line.push_str(&quoted(&format!("http://{address}{}", self.path)));
        line
    }
}

/// In quotes that a POSIX shell takes literally.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The entries of this exchange but the first of each way; Envoy writes the log with a delay.
fn timed_entries(stage: &Stage, before: usize) -> anyhow::Result<Vec<AccessEntry>> {
    let expected = before + 2 * (TIMED + 1);
    let begun = Instant::now();
    loop {
        let mut entries = AccessEntry::read_all(&stage.access_log)?;
        if entries.len() >= expected || begun.elapsed() > Duration::from_secs(2) {
            return Ok(entries.split_off(entries.len().min(before + 2)));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn median(entries: &[AccessEntry], listener: &str) -> Option<Duration> {
    let mut times: Vec<Duration> = entries
        .iter()
        .filter(|entry| entry.listener == listener)
        .filter_map(|entry| entry.duration)
        .collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Verb};

    fn sample(words: &[&str]) -> anyhow::Result<Sample> {
        let words = ["attache", "run", "x"].iter().chain(words);
        match Arguments::parse_from(words).verb {
            Verb::Run(run) => Sample::new(&run),
            _ => bail!("not a run"),
        }
    }

    #[test]
    fn the_usual_request_has_credentials() {
        let wire = sample(&[]).unwrap().to_wire();
        let text = String::from_utf8(wire).unwrap();
        assert!(text.starts_with("GET /orders?page=2&access_token=demo HTTP/1.1\r\nhost: "));
        assert!(text.contains("\r\nauthorization: Bearer demo-token\r\n"));
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn headers_of_ones_own_take_the_place_of_the_usual_ones() {
        let sample = sample(&["-H", "X-A: 1", "-H", "x-a:2", "-X", "POST", "-d", "b"]).unwrap();
        let text = String::from_utf8(sample.to_wire()).unwrap();
        assert!(
            text.contains("\r\nX-A: 1\r\nx-a:2\r\ncontent-length: 1\r\n\r\nb"),
            "{text}"
        );
        assert!(!text.contains("authorization"));
    }

    #[test]
    fn the_curl_line_survives_a_shell() {
        let sample = sample(&["-H", "x-a: it's", "--path", "/?a=$b"]).unwrap();
        let line = sample.curl(([127, 0, 0, 1], 80).into());
        assert_eq!(
            line,
            r"curl -i -H 'x-a: it'\''s' 'http://127.0.0.1:80/?a=$b'"
        );
    }

    #[test]
    fn what_would_break_the_request_is_refused() {
        for words in [
            ["-H", "no colon"],
            ["-H", ": no name"],
            ["-H", "a: b\r\nc: d"],
            ["--path", "orders"],
            ["--path", "/a b"],
            ["-X", "GE T"],
        ] {
            assert!(sample(&words).is_err(), "{words:?}");
        }
    }
}
