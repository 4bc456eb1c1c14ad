//! The harness in the place of a proxy.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use attache_envoy::http1::Header;
use attache_envoy::upstream::Request;
use attache_harness::{
    Argument, Event, Exchange, Headers, Host, HostCall, HostError, Outcome, Plugin, Status,
};
use attache_module::{Facts, configuration};

use super::arguments::Arguments;
use super::ways::{Received, Ways, echo};

/// How much of the filters' time passes for a request that waits: Envoy's own limit of a route.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

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
    plugins: Vec<Member>,
    /// Whether the host has a part of a change that was not taken back.
    mixed: bool,
    ways: Ways,
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
    /// Clusters that a filter called out to, and that are not there.
    pub(super) missing: Vec<String>,
    /// What Envoy would not survive, or the harness cannot play.
    pub(super) broken: Option<String>,
    pub(super) outcome: String,
    pub(super) started: SystemTime,
    pub(super) took: Duration,
}

impl Proxy {
    pub(super) fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        let plugins = plugins(arguments)?;
        let ways = Ways {
            upstream: arguments.upstream,
            clusters: arguments.clusters.clone(),
        };
        let host = start(&plugins, &ways)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("cannot start `{}`", arguments.names().join(", ")))?;
        Ok(Self(Arc::new(Mutex::new(Served {
            host,
            plugins,
            mixed: false,
            ways,
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

    /// Replaces the filters by what their files hold now: all that changed, or none where one is refused.
    /// Names what was replaced.
    pub(super) fn reload(&self, arguments: &Arguments) -> anyhow::Result<Vec<String>> {
        let next = plugins(arguments)?;
        self.lock().replace(next)
    }

    /// Whether what served before a change still does, where the change was refused.
    pub(super) fn serves_as_before(&self) -> bool {
        !self.lock().mixed
    }

    /// A panic while the lock was held leaves a host that says itself that it is of no use.
    fn lock(&self) -> MutexGuard<'_, Served> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Served {
    /// Nobody is served meanwhile, so that nobody meets half of it.
    fn replace(&mut self, next: Vec<Member>) -> anyhow::Result<Vec<String>> {
        let changed: Vec<usize> = (0..next.len())
            .filter(|&at| {
                let serves = self.plugins.get(at).filter(|_| !self.mixed);
                serves.is_none_or(|serves| *serves != next[at])
            })
            .collect();
        for (number, &at) in changed.iter().enumerate() {
            let name = next[at].name.as_str();
            let Err(error) = self.host.reload(name, next[at].plugin()) else {
                continue;
            };
            let took_back = changed[..number].iter().all(|&at| {
                let before = &self.plugins[at];
                self.host.reload(&before.name, before.plugin()).is_ok()
            });
            // A host with a part of what is new, or a broken one, is of no use; one that is new has all of
            // what served before.
            if !took_back || self.mixed {
                self.mixed = true;
                self.host = start(&self.plugins, &self.ways)
                    .with_context(|| format!("`{name}` is refused: {error}"))
                    .context("what served before cannot be started again")?;
                self.mixed = false;
            }
            return Err(anyhow::Error::from(error))
                .with_context(|| format!("`{name}` is refused, as Envoy would refuse it"));
        }
        self.plugins = next;
        self.mixed = false;
        let name = |&at: &usize| self.plugins[at].name.clone();
        Ok(changed.iter().map(name).collect())
    }

    fn advance(&mut self) -> Result<(), HostError> {
        let passed = self.clock.elapsed();
        self.clock += passed;
        self.host.advance(passed)
    }

    fn pass(&mut self, request: &Request) -> Answer {
        let played = self.play(request);
        match played {
            Ok(exchange) => answer(request, &exchange, &self.ways),
            Err(error) => {
                let mut broken = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(error) = cause {
                    broken.push_str(&format!(": {error}"));
                    cause = error.source();
                }
                // That host is of no use any more; a proxy would be started again, too.
                if let Ok(host) = start(&self.plugins, &self.ways) {
                    self.host = host;
                    self.mixed = false;
                }
                Answer {
                    request: request.clone(),
                    upstream: None,
                    answered: None,
                    response: None,
                    changes: Vec::new(),
                    log: Vec::new(),
                    lints: Vec::new(),
                    missing: Vec::new(),
                    broken: Some(broken),
                    outcome: "no answer".to_owned(),
                    started: SystemTime::now(),
                    took: Duration::ZERO,
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
        // What servers took has passed for the filters by now.
        self.clock = Instant::now();
        let exchange = self.host.exchange(id)?.clone();
        if matches!(exchange.outcome(), Outcome::Paused { .. }) {
            self.host.disconnect(id)?;
        }
        Ok(exchange)
    }
}

/// A filter of the chain, as its files are.
#[derive(Clone, Eq, PartialEq)]
struct Member {
    name: String,
    bytes: Vec<u8>,
    root_id: String,
    configuration: Option<String>,
    /// Whether it needs the host option by which headers wait for it.
    holds_headers: bool,
}

impl Member {
    fn plugin(&self) -> Plugin {
        let mut plugin =
            Plugin::from_bytes(&self.name, self.bytes.clone()).root_id(self.root_id.as_str());
        if let Some(configuration) = &self.configuration {
            plugin = plugin.config(configuration.as_str());
        }
        if self.holds_headers {
            plugin = plugin.allow_on_headers_stop_iteration();
        }
        plugin
    }
}

fn plugins(arguments: &Arguments) -> anyhow::Result<Vec<Member>> {
    let mut members = Vec::new();
    for (name, file) in &arguments.plugins {
        let bytes = fs::read(file).with_context(|| format!("cannot read `{file}`"))?;
        let facts = Facts::read(&bytes).with_context(|| format!("cannot load `{file}`"))?;
        let declared = facts.declarations.first();
        let root_id = Arguments::of(&arguments.root_ids, name).map(str::to_owned);
        let root_id = root_id.or_else(|| declared.map(|it| it.root_id.clone()));
        let config = Arguments::of(&arguments.configs, name);
        let described = facts.description.as_ref();
        members.push(Member {
            name: name.clone(),
            bytes,
            root_id: root_id.unwrap_or_default(),
            configuration: config
                .map(|file| configuration(file.as_ref()))
                .transpose()?,
            holds_headers: described
                .is_some_and(|it| it.host_options.allow_on_headers_stop_iteration),
        });
    }
    Ok(members)
}

fn start(members: &[Member], ways: &Ways) -> Result<Host, HostError> {
    let builder = members.iter().fold(Host::builder(), |builder, member| {
        builder.plugin(member.plugin())
    });
    let mut host = builder.start()?;
    ways.lead(&mut host);
    Ok(host)
}

/// The cluster of a call-out that was refused.
fn called(call: &HostCall) -> Option<String> {
    let calls_out = matches!(
        call.name,
        "proxy_http_call" | "proxy_grpc_call" | "proxy_grpc_stream"
    );
    match call.arguments.first()? {
        Argument::Bytes(name) if calls_out && call.status == Some(Status::BadArgument) => {
            String::from_utf8(name.clone()).ok()
        }
        _ => None,
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

fn answer(request: &Request, exchange: &Exchange, ways: &Ways) -> Answer {
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
        .filter(|_| ways.upstream.is_none())
        .map(|it| echo(&Received::new(it.headers(), it.body())));
    let mut plugin = String::new();
    let (mut changes, mut missing) = (Vec::new(), Vec::new());
    for event in exchange.timeline().events() {
        match event {
            Event::Callback {
                plugin: entered, ..
            } => plugin = entered.to_string(),
            Event::HostCall(call) if CHANGES.contains(&call.name) => {
                changes.push((plugin.clone(), told(call)));
            }
            Event::HostCall(call) => {
                if let Some(name) = called(call).filter(|name| !ways.has(name))
                    && !missing.contains(&name)
                {
                    missing.push(name);
                }
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
        missing,
        lints: exchange.lints().iter().map(ToString::to_string).collect(),
        broken: None,
        outcome: exchange.outcome().to_string(),
        started: SystemTime::now(),
        took: Duration::ZERO,
    }
}
