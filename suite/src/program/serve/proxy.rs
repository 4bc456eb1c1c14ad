//! The harness in the place of a proxy.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use attache_envoy::http1::{self, Header};
use attache_envoy::upstream::Request;
use attache_harness::{
    Event, Exchange, Headers, Host, HostCall, HostError, Outcome, Plugin, Response, Status,
};
use attache_module::{Facts, configuration};

use super::TIME_LIMIT;
use super::arguments::Arguments;

/// How much of the filters' time passes for a request that waits: Envoy's own limit of a route.
const PATIENCE: Duration = Duration::from_secs(15);

/// What changes a stream, of all that a filter may call.
const CHANGES: [&str; 8] = [
    "proxy_add_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_set_header_map_pairs",
    "proxy_set_buffer_bytes",
    "proxy_set_property",
    "proxy_send_local_response",
    "proxy_close_stream",
];

/// The filters in the harness, for many threads.
#[derive(Clone)]
pub(super) struct Proxy(Arc<Mutex<Served>>);

struct Served {
    host: Host,
    plugins: Vec<Plugin>,
    upstream: Option<SocketAddr>,
    /// Until when the filters' clock has gone.
    clock: Instant,
}

/// A message: its first line in pseudo headers, or in the status.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) status: u16,
    pub(super) headers: Vec<Header>,
    pub(super) body: Vec<u8>,
}

/// A request, and all that came of it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) request: Request,
    /// What the upstream received.
    pub(super) upstream: Option<Message>,
    /// What the upstream answered.
    pub(super) answered: Option<Message>,
    /// What the client gets; nothing where the connection is cut.
    pub(super) response: Option<Message>,
    /// What each filter called that changes the stream, in order.
    pub(super) changes: Vec<(String, String)>,
    pub(super) log: Vec<String>,
    pub(super) lints: Vec<String>,
    /// What Envoy would not survive, or the harness cannot play.
    pub(super) broken: Option<String>,
    pub(super) outcome: String,
}

impl Proxy {
    pub(super) fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        let plugins = plugins(arguments)?;
        let host = start(&plugins, arguments.upstream)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("cannot start `{}`", arguments.names().join(", ")))?;
        Ok(Self(Arc::new(Mutex::new(Served {
            host,
            plugins,
            upstream: arguments.upstream,
            clock: Instant::now(),
        }))))
    }

    /// Passes a request through the filters, to the upstream and back.
    pub(super) fn pass(&self, request: &Request) -> Answer {
        self.lock().pass(request)
    }

    /// Lets as much time pass for the filters as has passed.
    pub(super) fn let_time_pass(&self) {
        // What goes wrong meanwhile shows in the next request.
        let _ = self.lock().advance();
    }

    /// Replaces the filters by what their files hold now.
    pub(super) fn reload(&self, arguments: &Arguments) -> anyhow::Result<()> {
        let next = plugins(arguments)?;
        let mut served = self.lock();
        for (name, plugin) in arguments.names().into_iter().zip(&next) {
            served
                .host
                .reload(name, plugin.clone())
                .with_context(|| format!("`{name}` is refused, as Envoy would refuse it"))?;
        }
        served.plugins = next;
        Ok(())
    }

    /// A panic while the lock was held leaves a host that says itself that it is of no use.
    fn lock(&self) -> MutexGuard<'_, Served> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Served {
    fn advance(&mut self) -> Result<(), HostError> {
        let passed = self.clock.elapsed();
        self.clock += passed;
        self.host.advance(passed)
    }

    fn pass(&mut self, request: &Request) -> Answer {
        let played = self.play(request);
        match played {
            Ok(exchange) => answer(request, &exchange, self.upstream),
            Err(error) => {
                let mut broken = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(error) = cause {
                    broken.push_str(&format!(": {error}"));
                    cause = error.source();
                }
                // That host is of no use any more; a proxy would be started again, too.
                if let Ok(host) = start(&self.plugins, self.upstream) {
                    self.host = host;
                }
                Answer {
                    request: request.clone(),
                    upstream: None,
                    answered: None,
                    response: None,
                    changes: Vec::new(),
                    log: Vec::new(),
                    lints: Vec::new(),
                    broken: Some(broken),
                    outcome: "no answer".to_owned(),
                }
            }
        }
    }

    fn play(&mut self, request: &Request) -> Result<Exchange, HostError> {
        self.advance()?;
        let mut sent = attache_harness::Request::new(&request.method, &request.target);
        for header in &request.headers {
            let name = header.name.to_ascii_lowercase();
            // The body brings its own.
            if name != b"transfer-encoding" && name != b"content-length" {
                sent = sent.header(&name, &header.value);
            }
        }
        if !request.body.is_empty() {
            sent = sent.body(&request.body);
        }
        let exchange = self.host.send(sent)?;
        if matches!(exchange.outcome(), Outcome::Completed | Outcome::Reset) {
            return Ok(exchange);
        }
        let id = exchange.id();
        self.host.advance_until_idle(PATIENCE)?;
        let exchange = self.host.exchange(id)?.clone();
        if matches!(exchange.outcome(), Outcome::Paused { .. }) {
            self.host.disconnect(id)?;
        }
        Ok(exchange)
    }
}

/// The filters as their files are.
fn plugins(arguments: &Arguments) -> anyhow::Result<Vec<Plugin>> {
    let mut plugins = Vec::new();
    for (name, file) in &arguments.plugins {
        let bytes = fs::read(file).with_context(|| format!("cannot read `{file}`"))?;
        let facts = Facts::read(&bytes).with_context(|| format!("cannot load `{file}`"))?;
        let declared = facts.declarations.first();
        let root_id = Arguments::of(&arguments.root_ids, name).map(str::to_owned);
        let root_id = root_id.or_else(|| declared.map(|it| it.root_id.clone()));
        let mut plugin = Plugin::from_bytes(name, bytes).root_id(root_id.unwrap_or_default());
        if let Some(config) = Arguments::of(&arguments.configs, name) {
            plugin = plugin.config(configuration(config.as_ref())?.as_str());
        }
        let described = facts.description.as_ref();
        if described.is_some_and(|it| it.host_options.allow_on_headers_stop_iteration) {
            plugin = plugin.allow_on_headers_stop_iteration();
        }
        plugins.push(plugin);
    }
    Ok(plugins)
}

fn start(plugins: &[Plugin], upstream: Option<SocketAddr>) -> Result<Host, HostError> {
    let mut builder = Host::builder();
    for plugin in plugins {
        builder = builder.plugin(plugin.clone());
    }
    let mut host = builder.start()?;
    host.upstream(move |request| {
        let received = Received::new(request.headers(), request.body());
        let Some(answered) = asked(&received, upstream) else {
            return Response::refused();
        };
        let headers = answered.headers.iter();
        let response = headers.fold(Response::new(answered.status), |response, header| {
            response.header(&header.name, &header.value)
        });
        response.body(&answered.body)
    });
    Ok(host)
}

/// What an upstream answers: one of the user's, or the one that shows what it received.
fn asked(received: &Received, upstream: Option<SocketAddr>) -> Option<Message> {
    let (status, headers, body) = match upstream {
        Some(address) => {
            let response = http1::exchange(address, &received.text(b"\r\n"), TIME_LIMIT).ok()?;
            (response.status, response.headers, response.body)
        }
        None => {
            let kind = vec![Header::new("content-type", "text/plain")];
            (200, kind, received.text(b"\n"))
        }
    };
    let own = |header: &Header| {
        let name = header.name.to_ascii_lowercase();
        name != b"transfer-encoding" && name != b"content-length" && name != b"connection"
    };
    Some(Message {
        status,
        headers: headers.into_iter().filter(own).collect(),
        body,
    })
}

/// A request as an upstream receives it.
struct Received {
    line: Vec<u8>,
    headers: Vec<Header>,
    body: Vec<u8>,
}

impl Received {
    fn new(headers: &Headers, body: Vec<u8>) -> Self {
        let pseudo = |name: &str| headers.get(name).unwrap_or_default();
        let mut lines = vec![Header::new("host", pseudo(":authority"))];
        let own = headers.iter().filter(|(name, _)| {
            !name.starts_with(b":") && *name != b"transfer-encoding" && *name != b"content-length"
        });
        lines.extend(own.map(|(name, value)| Header::new(name, value)));
        Self {
            line: [pseudo(":method"), b" ", pseudo(":path"), b" HTTP/1.1"].concat(),
            headers: lines,
            body,
        }
    }

    fn text(&self, end: &[u8]) -> Vec<u8> {
        let mut text = [&self.line[..], end].concat();
        for header in &self.headers {
            text.extend_from_slice(&[&header.name[..], b": ", &header.value, end].concat());
        }
        if !self.body.is_empty() {
            let length = format!("content-length: {}", self.body.len());
            text.extend_from_slice(&[length.as_bytes(), end].concat());
        }
        [&text[..], end, &self.body].concat()
    }
}

/// A call in words: `replace_header_map_value(response headers, "server", "x")`.
fn told(call: &HostCall) -> String {
    let name = call.name.strip_prefix("proxy_").unwrap_or(call.name);
    let kinds: &[&str] = if name.contains("header_map") {
        &[
            "request headers",
            "request trailers",
            "response headers",
            "response trailers",
        ]
    } else if name == "set_buffer_bytes" {
        &["request body", "response body"]
    } else {
        &[]
    };
    let mut arguments: Vec<String> = call.arguments.iter().map(ToString::to_string).collect();
    if let Some(first) = arguments.first_mut()
        && let Some(kind) = first.parse().ok().and_then(|at: usize| kinds.get(at))
    {
        *first = (*kind).to_owned();
    }
    let refused = call.status.filter(|status| *status != Status::Ok);
    let refused = refused.map_or_else(String::new, |status| format!(", refused: {status}"));
    format!("{name}({}){refused}", arguments.join(", "))
}

fn answer(request: &Request, exchange: &Exchange, upstream: Option<SocketAddr>) -> Answer {
    let message = |status, headers: &Headers, body: Vec<u8>| Message {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| Header::new(name, value))
            .collect(),
        body,
    };
    let arrived = exchange.try_upstream_request();
    // One of the user's is not asked twice.
    let answered = arrived
        .filter(|_| upstream.is_none())
        .and_then(|it| asked(&Received::new(it.headers(), it.body()), None));
    let mut plugin = String::new();
    let mut changes = Vec::new();
    for event in exchange.timeline().events() {
        match event {
            Event::Callback {
                plugin: entered, ..
            } => plugin = entered.to_string(),
            Event::HostCall(call) if CHANGES.contains(&call.name) => {
                changes.push((plugin.clone(), told(call)));
            }
            _ => {}
        }
    }
    let complete = *exchange.outcome() == Outcome::Completed;
    let response = exchange.try_response().filter(|_| complete);
    Answer {
        request: request.clone(),
        upstream: arrived.map(|it| message(0, it.headers(), it.body())),
        answered,
        response: response.map(|it| message(it.status(), it.headers(), it.body())),
        changes,
        log: exchange.log().iter().map(ToString::to_string).collect(),
        lints: exchange.lints().iter().map(ToString::to_string).collect(),
        broken: None,
        outcome: exchange.outcome().to_string(),
    }
}
