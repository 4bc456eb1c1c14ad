//! Requests of the user's, each with what the filters made of it, and with which of them did what.
//!
//! They come to an address of ours, which asks Envoy and knows so what a client sent and got. With the
//! upstream that echoes it also knows what arrived there.

mod filters;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use attache_envoy::http1::{self, Header, Response};
use attache_envoy::upstream::{Fault, Reply, Request, Upstream};
use attache_envoy::{AdminError, Archived, ArchivedResponse, Envoy, printable};
use serde_json::json;

use crate::screen::{Screen, Tone};

use super::comparison::{Row, rows};
use super::report::{headers_json, message_lines};

use self::filters::ByFilter;
pub(super) use self::filters::{Taps, between};

/// Longer than any timeout that Envoy has by default.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How many requests are kept that nobody has looked at.
const KEPT: usize = 1_000;

/// What Envoy itself does to every message, and says nothing about a filter.
const OF_ENVOY: [&str; 7] = [
    "connection",
    "date",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "x-forwarded-proto",
    "x-request-id",
];

/// The address, and what came there.
pub(super) struct Live {
    front: Upstream,
    shared: Arc<Shared>,
    taps: Option<Mutex<Taps>>,
}

struct Shared {
    through: SocketAddr,
    echo: Option<Upstream>,
    /// One request at a time, so that it is known which one the upstream received.
    turn: Mutex<()>,
    seen: Mutex<Vec<Seen>>,
}

/// The counters of filters, and how much they have grown since they were looked at.
#[derive(Default)]
pub(super) struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// What has grown, as a line of a block; empty where nothing has.
    pub(super) fn grown(&mut self, envoy: &Envoy) -> Result<String, AdminError> {
        let now: BTreeMap<String, u64> = envoy.counters("wasmcustom.")?.into_iter().collect();
        let grown = now.iter().filter_map(|(name, value)| {
            let before = self.0.get(name).copied().unwrap_or(0);
            let more = value.checked_sub(before).filter(|more| *more > 0)?;
            Some(format!("{name} +{more}"))
        });
        let grown: Vec<String> = grown.collect();
        self.0 = now;
        Ok(match grown.is_empty() {
            true => String::new(),
            false => format!("  counters: {}\n", grown.join(", ")),
        })
    }
}

/// A request and all that came of it.
pub(super) struct Seen {
    pub(super) request: Request,
    /// What the upstream received, and answered; unknown where it is not ours.
    pub(super) upstream: Option<Option<(Request, Reply)>>,
    pub(super) response: Result<Response, String>,
    /// When it came.
    pub(super) started: SystemTime,
    pub(super) took: Duration,
    /// Of our end of the connection to Envoy, by which Envoy's word on it is known.
    port: Option<u16>,
    /// What each filter of a chain changed, where Envoy has said it.
    filters: Option<ByFilter>,
}

impl Live {
    /// In front of a listener of Envoy's, which may have taps between its filters.
    pub(super) fn start(
        through: SocketAddr,
        echo: Option<Upstream>,
        taps: Option<Taps>,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            through,
            echo,
            turn: Mutex::new(()),
            seen: Mutex::new(Vec::new()),
        });
        let front = Upstream::start({
            let shared = Arc::clone(&shared);
            move |request| shared.pass(request)
        })?;
        let taps = taps.map(Mutex::new);
        Ok(Self {
            front,
            shared,
            taps,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// What has come since it was asked before; what Envoy has yet to speak of comes later.
    pub(super) fn take(&self) -> Vec<Seen> {
        drop(self.front.take());
        let seen = std::mem::take(&mut *lock(&self.shared.seen));
        match &self.taps {
            None => seen,
            Some(taps) => lock(taps).told(seen),
        }
    }

    /// Does something with the upstream while nobody else is served.
    pub(super) fn apart<T>(&self, act: impl FnOnce(Option<&Upstream>) -> T) -> T {
        let _turn = lock(&self.shared.turn);
        act(self.shared.echo.as_ref())
    }
}

impl Shared {
    fn pass(&self, request: &Request) -> Reply {
        let _turn = lock(&self.turn);
        // What came straight to Envoy is not this one's.
        drop(self.echo.as_ref().map(Upstream::take));
        let started = SystemTime::now();
        let begun = Instant::now();
        let (port, response) = exchange(self.through, &wire(request));
        let took = begun.elapsed();
        let upstream = self.echo.as_ref().map(|echo| {
            let received = echo.take().into_iter().next()?;
            let answered = Reply::echo(&received);
            Some((received, answered))
        });
        let (reply, response) = match response {
            Ok(response) => (reply(&response), Ok(response)),
            Err(error) => (Reply::new(502).fault(Fault::Closed), Err(error.to_string())),
        };
        let mut seen = lock(&self.seen);
        if seen.len() < KEPT {
            seen.push(Seen {
                request: request.clone(),
                upstream,
                response,
                started,
                took,
                port,
                filters: None,
            });
        }
        reply
    }
}

/// An exchange, and the port from which it was begun.
fn exchange(address: SocketAddr, wire: &[u8]) -> (Option<u16>, Result<Response, http1::Error>) {
    let stream = match TcpStream::connect_timeout(&address, TIME_LIMIT) {
        Ok(stream) => stream,
        Err(source) => return (None, Err(http1::Error::Connect { address, source })),
    };
    let port = stream.local_addr().ok().map(|it| it.port());
    (port, http1::exchange_on(stream, &[wire], TIME_LIMIT))
}

/// A panic while a lock was held has left nothing half done: what is guarded is one list.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The request again, with its body in one piece.
fn wire(request: &Request) -> Vec<u8> {
    let mut wire = [&request.method[..], b" ", &request.target, b" HTTP/1.1\r\n"].concat();
    let chunked = |header: &&Header| header.name.eq_ignore_ascii_case(b"transfer-encoding");
    let is_chunked = request.headers.iter().any(|header| chunked(&header));
    for header in request.headers.iter().filter(|header| !chunked(header)) {
        wire.extend_from_slice(&[&header.name[..], b": ", &header.value, b"\r\n"].concat());
    }
    if is_chunked {
        wire.extend_from_slice(format!("content-length: {}\r\n", request.body.len()).as_bytes());
    }
    wire.extend_from_slice(b"\r\n");
    wire.extend_from_slice(&request.body);
    wire
}

/// The response again, with its body in one piece.
fn reply(response: &Response) -> Reply {
    let mut reply = Reply::new(response.status).body(response.body.clone());
    let framed = |header: &&Header| !header.name.eq_ignore_ascii_case(b"transfer-encoding");
    reply.headers = response.headers.iter().filter(framed).cloned().collect();
    reply
}

impl Seen {
    /// What an archive keeps of it.
    pub(super) fn archived(&self) -> Archived<'_> {
        let response = self.response.as_ref().ok();
        Archived {
            request: &self.request,
            response: response.map(|it| ArchivedResponse {
                status: it.status,
                reason: &it.reason,
                headers: &it.headers,
                body: &it.body,
            }),
            started: self.started,
            took: self.took,
            reached: self.upstream.as_ref().map(Option::is_some),
        }
    }

    /// A block: the request, and the lines that are not what they were.
    pub(super) fn to_text(&self, screen: &Screen) -> String {
        let start = format!(
            "{} {}",
            printable(&self.request.method),
            printable(&self.request.target)
        );
        let end = match &self.response {
            Ok(response) => response.status.to_string(),
            Err(reason) => reason.clone(),
        };
        let took = self.took.as_secs_f64() * 1e3;
        let mut text = format!(
            "\n{} {end}, {took:.1} ms\n",
            screen.tint(Tone::Strong, &start)
        );
        if let Some(filters) = &self.filters {
            if let Some(None) = &self.upstream {
                text.push_str("  the upstream received nothing\n");
            }
            text.push_str(&filters.to_text(screen));
            return text;
        }
        match &self.upstream {
            None => {}
            Some(None) => text.push_str("  the upstream received nothing\n"),
            Some(Some((received, _))) => {
                let (sent, received) = (request_lines(&self.request), request_lines(received));
                text.push_str(&changes("to the upstream", &sent, &received, screen));
            }
        }
        if let (Some(Some((_, answered))), Ok(got)) = (&self.upstream, &self.response) {
            let answered = lines(answered.status.to_string(), &sent(answered), &answered.body);
            let got = lines(got.status.to_string(), &got.headers, &got.body);
            text.push_str(&changes("to the client", &answered, &got, screen));
        }
        text
    }

    /// One line for programs.
    pub(super) fn to_json(&self) -> String {
        let message = |request: &Request| {
            json!({
                "method": printable(&request.method),
                "path": printable(&request.target),
                "headers": headers_json(&request.headers),
                "body": printable(&request.body),
            })
        };
        let response = match &self.response {
            Ok(response) => json!({
                "status": response.status,
                "headers": headers_json(&response.headers),
                "body": printable(&response.body),
            }),
            Err(reason) => json!({ "error": reason }),
        };
        let line = json!({
            "live": {
                "request": message(&self.request),
                "upstream": self.upstream.as_ref().map(|upstream| upstream.as_ref().map(|(received, _)| message(received))),
                "response": response,
                "filters": self.filters.as_ref().map(ByFilter::to_json),
                "microseconds": self.took.as_micros(),
            }
        });
        format!("{line}\n")
    }
}

fn request_lines(request: &Request) -> Vec<String> {
    let start = format!(
        "{} {}",
        printable(&request.method),
        printable(&request.target)
    );
    lines(start, &request.headers, &request.body)
}

/// The headers of an answer as they go out.
fn sent(reply: &Reply) -> Vec<Header> {
    let mut headers = reply.headers.clone();
    let named = |header: &Header| header.name.eq_ignore_ascii_case(b"content-length");
    if !headers.iter().any(named) {
        headers.push(Header::new("content-length", reply.body.len().to_string()));
    }
    headers
}

/// The lines of a message that a filter has a say in.
fn lines(start: String, headers: &[Header], body: &[u8]) -> Vec<String> {
    let own = |header: &&Header| !of_envoy(&header.name.to_ascii_lowercase());
    let lower =
        |header: &Header| Header::new(header.name.to_ascii_lowercase(), header.value.clone());
    let headers: Vec<Header> = headers.iter().filter(own).map(lower).collect();
    let mut lines = message_lines(start, &headers, &[]);
    if !body.is_empty() {
        let start: String = printable(body).chars().take(200).collect();
        lines.push(format!("(body): {start}"));
    }
    lines
}

/// Whether a header, in lower case, is one that Envoy itself writes.
fn of_envoy(name: &[u8]) -> bool {
    OF_ENVOY.iter().any(|known| known.as_bytes() == name) || name.starts_with(b"x-envoy-")
}

fn changes(title: &str, before: &[String], after: &[String], screen: &Screen) -> String {
    let mut text = String::new();
    for row in rows(before, after) {
        let line = match row {
            Row::Same(..) => continue,
            Row::Removed(line) => screen.tint(Tone::Bad, &format!("    - {line}")),
            Row::Added(line) => screen.tint(Tone::Good, &format!("    + {line}")),
            Row::Changed(from, to) => {
                screen.tint(Tone::Changed, &format!("    ~ {from}\n      {to}"))
            }
        };
        text.push_str(&line);
        text.push('\n');
    }
    match text.is_empty() {
        true => format!("  {title}: nothing changed\n"),
        false => format!("  {title}:\n{text}"),
    }
}
