//! Plays cases on a real Envoy.

mod client;
mod doubles;
mod entries;
mod histograms;
mod log;
mod play;
mod reload;
mod tcp;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use attache_envoy::tcp::ClosedPort;
use attache_envoy::upstream::{self, Upstream, UpstreamError};
use attache_envoy::{
    AccessEntry, AccessLogError, AdminError, Bootstrap, BootstrapError, Endpoint, Envoy,
    FailurePolicy, FilterSource, Installation, Listener, Plugin, Proxy, StartError, StartOptions,
    Trailers,
};

use crate::case::{Case, Filter, MARK, Policy, Protocol, Step};
use crate::forecast::{Forecast, Milestone};
use crate::seen::{Line, Seen, grown};
use client::{After, Client};
use doubles::Doubles;
use log::Log;
use play::Play;
pub(crate) use play::Until;

/// How long a request may come no further until it counts as held.
pub(crate) const HELD_AFTER: Duration = Duration::from_millis(500);
/// The same at the end of the case, when nothing else can release it.
pub(crate) const HELD_IN_THE_END: Duration = Duration::from_millis(1_500);
/// How long Envoy has to notice that a client has gone, before anything else happens.
pub(crate) const NOTICED_AFTER: Duration = Duration::from_millis(250);
/// How long Envoy has to notice that servers have closed their connections.
const CLOSED_AFTER: Duration = Duration::from_millis(20);
/// How long the client of a stream that is cut has to read what came last.
pub(crate) const CUT_AFTER: Duration = Duration::from_millis(40);
/// How long an Envoy for many cases has to start, on a machine that does more than that.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long Envoy usually takes to write its logs.
const LOG_FLUSH: Duration = Duration::from_millis(150);
/// How often they are looked at.
const LOG_POLL: Duration = Duration::from_millis(10);
/// How long an Envoy that crashes takes to write down where.
const EXIT_LIMIT: Duration = Duration::from_secs(20);
/// How long it takes to say that it crashes.
const CAUGHT_WITHIN: Duration = Duration::from_secs(2);
/// What it says then.
const CAUGHT: &str = "Caught ";
/// How long a line of the access log is waited for.
const LOG_LIMIT: Duration = Duration::from_secs(5);
/// How late on a busy machine may be what is foreseen.
const LATE: Duration = Duration::from_secs(5);

/// How long nothing comes until a step of TCP counts as done.
const TCP_QUIET: Duration = Duration::from_millis(40);

/// What a case may take besides its own times.
const CLIENT_SLACK: Duration = Duration::from_secs(30);

/// Why a case could not be played on Envoy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvoyError {
    /// Envoy did not start.
    #[error("cannot start Envoy")]
    Start(#[from] StartError),
    /// Its configuration could not be written.
    #[error("cannot configure Envoy")]
    Bootstrap(#[from] BootstrapError),
    /// Its admin endpoint does not answer.
    #[error("cannot ask Envoy where it listens")]
    Admin(#[from] AdminError),
    /// There is no upstream.
    #[error("cannot start the upstream")]
    Upstream(#[from] UpstreamError),
    /// Its statistics cannot be read.
    #[error("Envoy's statistics are not JSON")]
    Statistics(#[source] serde_json::Error),
    /// Its access log cannot be read.
    #[error("cannot read Envoy's access log")]
    AccessLog(#[from] AccessLogError),
    /// A client could not send its request, or not take the answer.
    #[error("the client of a request has failed")]
    Client(#[from] attache_envoy::http1::Error),
    /// The same over HTTP/2.
    #[error("the HTTP/2 client of a request has failed")]
    Http2Client(#[from] attache_envoy::http2::Error),
    /// A plugin's file could not be written.
    #[error("cannot hand a plugin to Envoy")]
    Write(#[from] attache_envoy::WriteError),
    /// Nobody knows what became of a plugin that was replaced.
    #[error("cannot replace a plugin")]
    Push(#[from] attache_envoy::PushError),
    /// A connection or a file failed on our side.
    #[error("cannot talk to Envoy")]
    Io(#[from] io::Error),
}

/// Plays a case on a real Envoy, with its files in `folder`.
///
/// # Errors
///
/// [`EnvoyError`].
pub fn on_envoy(
    case: &Case,
    installation: &Installation,
    folder: &Path,
) -> Result<Seen, EnvoyError> {
    play_alone(case, None, installation, folder)
}

/// The same with what the harness has seen of the case.
pub(crate) fn play_alone(
    case: &Case,
    forecast: Option<&Forecast>,
    installation: &Installation,
    folder: &Path,
) -> Result<Seen, EnvoyError> {
    let mut stage = Stage::start(&[case], installation, folder)?;
    let seen = stage.play(0, forecast)?;
    stage.stop()?;
    Ok(seen)
}

/// An Envoy with a listener for each of several cases, which are played one after the other.
pub(crate) struct Stage {
    cases: Vec<Case>,
    envoy: Envoy,
    upstream: Upstream,
    /// Where those are that nobody listens at.
    _closed: ClosedPort,
    /// The upstream of cases of TCP.
    tcp: Option<tcp::Servers>,
    /// The doubles that filters call out to.
    clusters: Doubles,
    /// The number of the case that is being played.
    current: Arc<Mutex<usize>>,
    folder: PathBuf,
}

impl Stage {
    /// Starts an Envoy for cases that [`fit`](Self::fit) together.
    pub(crate) fn start(
        cases: &[&Case],
        installation: &Installation,
        folder: &Path,
    ) -> Result<Self, EnvoyError> {
        let cases: Vec<Case> = cases.iter().copied().cloned().collect();
        let folder = std::path::absolute(folder)?;
        let current = Arc::new(Mutex::new(0));
        let answers = (cases.clone(), Arc::clone(&current));
        let answer = move |request: &upstream::Request| {
            let (cases, current) = &answers;
            let case = &cases[*lock(current)];
            wire::reply(case.answer_to(wire::number_of(request).unwrap_or(0)))
        };
        let first = cases.first();
        let http2 = first.is_some_and(|case| case.protocols.upstream == Protocol::Http2);
        let upstream = if http2 {
            Upstream::start_http2(answer)?
        } else {
            Upstream::start(answer)?
        };
        let clusters = Doubles::start(&cases, &current)?;
        let listeners = (0..cases.len()).map(|number| listener(&cases, number, &folder));
        let refused = |case: &Case| case.is_refused();
        let of_tcp = first.is_some_and(|case| case.tcp.is_some());
        let tcp = of_tcp.then(|| tcp::Servers::start(&cases)).transpose()?;
        let closed = ClosedPort::take()?;
        let address = match (first, &tcp) {
            (Some(case), _) if refused(case) => closed.address(),
            (_, Some(servers)) => servers.address(),
            _ => upstream.address(),
        };
        let mut bootstrap = Bootstrap::new(Endpoint::from(address), listeners.collect());
        if http2 {
            bootstrap.upstream_codec = attache_envoy::Codec::Http2;
        }
        bootstrap.clusters = clusters.configured(first, &closed);
        bootstrap
            .clusters
            .extend(tcp.iter().flat_map(tcp::Servers::configured));
        if let Some(case) = first {
            entries::configure(&mut bootstrap, case);
        }
        if let Some(case) = first {
            reload::prepare(case, &folder)?;
        }
        let config = bootstrap.write(&folder.join("envoy.yaml"))?;
        let options = StartOptions {
            concurrency: cases.first().map_or(1, |case| case.workers),
            discovered: bootstrap.discovered(),
            ready_within: READY_WITHIN,
            ..StartOptions::default()
        };
        let envoy = Envoy::start(installation, &config, &folder, options)?;
        Ok(Self {
            cases,
            envoy,
            upstream,
            _closed: closed,
            tcp,
            clusters,
            current,
            folder,
        })
    }

    /// An error, and what Envoy logged last if it is gone.
    pub(crate) fn explain(mut self, error: &EnvoyError) -> String {
        let text = crate::run::chain(error);
        match self.envoy.ended() {
            Ok(Some(ended)) => {
                let lines = self.envoy.log_lines().unwrap_or_default();
                let last: Vec<String> = lines
                    .iter()
                    .skip(lines.len().saturating_sub(30))
                    .map(ToString::to_string)
                    .collect();
                format!("Envoy ended with {ended}: {text}\n{}", last.join("\n"))
            }
            _ => text,
        }
    }

    /// How Envoy ended by itself, if it does so soon, or says soon that it will.
    pub(crate) fn exit(mut self) -> io::Result<Option<attache_envoy::Ended>> {
        let begun = Instant::now();
        let (mut logged, mut quiet) = (0, Instant::now());
        loop {
            let ended = self.envoy.ended()?;
            if ended.is_some() || begun.elapsed() >= EXIT_LIMIT {
                return Ok(ended);
            }
            // What recurses without an end logs until its stack is full.
            let lines = self.envoy.log_lines()?;
            if lines.len() > logged {
                (logged, quiet) = (lines.len(), Instant::now());
            }
            let caught = || lines.iter().any(|line| line.message.contains(CAUGHT));
            if quiet.elapsed() >= CAUGHT_WITHIN && !caught() {
                return Ok(None);
            }
            thread::sleep(LOG_POLL * 5);
        }
    }

    /// Whether two cases can share an Envoy: what is the same for all of its listeners is the same.
    pub(crate) fn fit(one: &Case, other: &Case) -> bool {
        one.workers == other.workers
            && one.protocols.upstream == other.protocols.upstream
            && tcp::Servers::fit(one, other)
            && Doubles::fit(one, other)
    }

    /// Ends Envoy.
    pub(crate) fn stop(self) -> io::Result<()> {
        self.envoy.stop().map(|_| ())
    }

    /// Plays the case of this number. What is foreseen is waited for longer than the rest.
    pub(crate) fn play(
        &mut self,
        number: usize,
        forecast: Option<&Forecast>,
    ) -> Result<Seen, EnvoyError> {
        let case = &self.cases[number];
        *lock(&self.current) = number;
        // Envoy would go on with connections that a case before has left.
        self.upstream.disconnect();
        self.clusters.forget();
        thread::sleep(CLOSED_AFTER);
        let _ = self.upstream.take();
        let lines_before = if case.log_from_start {
            0
        } else {
            self.envoy.log_lines()?.len()
        };
        let counters_before = self.counters()?;
        let histograms_before = histograms::counts(&self.envoy, case)?;

        let mut filters_log = Log::of(case, scope(&self.cases, number), &self.envoy)?;
        let mut play = Play::new(case, &self.upstream);
        let address = self.envoy.listener_address(&listener_name(number))?;
        let limit = longest(case);
        let mut connections = tcp::Clients::default();
        let mut reloads = Vec::new();
        let mut sorted = Vec::new();
        if let (Some(servers), Some(upstream)) = (&self.tcp, &case.tcp) {
            servers.play(upstream);
        }
        for (place, step) in case.steps.iter().enumerate() {
            let milestone = forecast.and_then(|forecast| forecast.steps.get(place));
            match step {
                Step::Request(request) => {
                    play.begin();
                    let mark = case.mark(play.clients.len());
                    let client = match case.protocols.downstream {
                        Protocol::Http1 => {
                            let number = play.clients.len();
                            let connection = match play.before(request)? {
                                Some(connection) => connection,
                                None => TcpStream::connect(address)?,
                            };
                            let pieces = wire::pieces(request, mark);
                            let after = if request.asks_for_upgrade() {
                                After::Upgraded
                            } else if case.is_followed(number) {
                                After::Kept
                            } else {
                                After::Closed
                            };
                            Client::send(connection, pieces, limit, after)?
                        }
                        Protocol::Http2 => {
                            Client::send_http2(address, wire::http2(request, mark), limit)?
                        }
                    };
                    play.clients.push(client);
                    play.settle(patience(milestone, HELD_AFTER), Until::PassedOn)?;
                }
                Step::Tcp(step) => {
                    connections.step(address, step)?;
                    self.settle_tcp(&mut connections)?;
                }
                Step::Reload(filter) => {
                    let from = self.envoy.log_lines()?.len();
                    let place = reload::Place::of(filter, &self.folder);
                    reloads.push(place.replace(&mut self.envoy, case, filter)?);
                    filters_log.catch_up(milestone)?;
                    sorted.push(from..self.settled_log()?.len());
                }
                Step::Send(number, bytes) => play.send(*number, bytes),
                Step::Wait(time) => thread::sleep(*time),
                Step::Disconnect(number) => play.disconnect(*number)?,
            }
            filters_log.catch_up(milestone)?;
        }
        let end = forecast.map(|forecast| &forecast.end);
        let limit = HELD_IN_THE_END + case.patience();
        play.settle(patience(end, limit), Until::Ended)?;
        play.await_arrivals(forecast.map_or(0, Forecast::arrivals));
        if self.tcp.is_some() {
            self.settle_tcp(&mut connections)?;
        }
        let ended = play.clients.iter().filter(|client| client.has_ended());
        let accesses = match case.tcp {
            Some(_) => Vec::new(),
            None => self.accesses(number, ended.count())?,
        };
        filters_log.catch_up(end)?;
        let log = self.settled_log()?;
        let gauges = self.gauges(case)?;
        let foreseen = forecast.map(|forecast| &forecast.seen);
        let seen = Seen {
            streams: play.streams(&accesses),
            reloads,
            connections: connections.seen(self.tcp.as_ref(), foreseen),
            log: Line::all(&log, lines_before, &sorted, |line| filters_log.line(line)),
            calls: self.clusters.take(case, foreseen),
            counters: grown(self.counters()?, &counters_before, &case.counters),
            histograms: histograms::grown(&self.envoy, case, &histograms_before, foreseen)?,
            gauges,
        };
        // Whoever is still held must not be seen in the next case.
        if !play.clients.iter().all(Client::has_ended) {
            play.clients.iter_mut().for_each(Client::close);
            if self.cases.len() > 1 {
                self.accesses(number, play.clients.len())?;
            }
        }
        Ok(seen)
    }

    /// The access log of a case, once it has a line for each of so many streams, or none came.
    fn accesses(&self, number: usize, streams: usize) -> Result<Vec<AccessEntry>, EnvoyError> {
        let path = access_log(&self.folder, number);
        let deadline = Instant::now() + LOG_LIMIT;
        if streams == 0 {
            thread::sleep(LOG_FLUSH);
        }
        loop {
            let accesses = AccessEntry::read_all(&path)?;
            if accesses.len() >= streams || Instant::now() >= deadline {
                return Ok(accesses);
            }
            thread::sleep(LOG_POLL);
        }
    }

    /// Envoy's log, once nothing more comes.
    fn settled_log(&self) -> Result<Vec<attache_envoy::LogLine>, EnvoyError> {
        let deadline = Instant::now() + LOG_LIMIT;
        let mut lines = self.envoy.log_lines()?;
        loop {
            thread::sleep(LOG_POLL * 2);
            let now = self.envoy.log_lines()?;
            if now.len() == lines.len() || Instant::now() >= deadline {
                return Ok(now);
            }
            lines = now;
        }
    }

    /// Lets TCP peers and filters do what follows from a step, until nothing more comes.
    fn settle_tcp(&self, clients: &mut tcp::Clients) -> Result<(), EnvoyError> {
        let deadline = Instant::now() + LOG_LIMIT;
        let mut before = None;
        loop {
            thread::sleep(TCP_QUIET);
            let server = self.tcp.as_ref().map_or(0, tcp::Servers::weight);
            let now = Some((clients.look(), server, self.envoy.log_lines()?.len()));
            if now == before || Instant::now() >= deadline {
                return Ok(());
            }
            before = now;
        }
    }

    fn counters(&self) -> Result<BTreeMap<String, u64>, EnvoyError> {
        Ok(self.envoy.counters("wasmcustom.")?.into_iter().collect())
    }

    fn gauges(&self, case: &Case) -> Result<BTreeMap<String, u64>, EnvoyError> {
        let mut gauges = BTreeMap::new();
        for name in &case.gauges {
            if let Some(value) = self.envoy.stat(&format!("wasmcustom.{name}"))? {
                gauges.insert(name.clone(), value);
            }
        }
        Ok(gauges)
    }
}

/// How long a request may take to where it is to come.
fn patience(milestone: Option<&Milestone>, usually: Duration) -> Duration {
    match milestone {
        Some(milestone) if milestone.ended => usually.saturating_add(LATE),
        _ => usually,
    }
}

/// How long a case takes at the most, and twice that for a slow machine.
fn longest(case: &Case) -> Duration {
    let steps = case.steps.iter().map(|step| match step {
        Step::Request(_) | Step::Disconnect(_) | Step::Tcp(_) | Step::Send(..) => HELD_AFTER,
        Step::Reload(_) => reload::LIMIT,
        Step::Wait(time) => *time,
    });
    let end = HELD_IN_THE_END.saturating_add(case.patience());
    steps
        .fold(end, Duration::saturating_add)
        .saturating_add(CLIENT_SLACK)
        .saturating_mul(2)
}

fn lock(current: &Mutex<usize>) -> MutexGuard<'_, usize> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listener_name(number: usize) -> String {
    format!("case-{number}")
}

fn access_log(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("access-{number}.log"))
}

/// What stands before the vm_ids of a case, so that it shares nothing with another one.
fn scope(cases: &[Case], number: usize) -> String {
    if cases.len() == 1 {
        String::new()
    } else {
        format!("case-{number}.")
    }
}

fn listener(cases: &[Case], number: usize, folder: &Path) -> Listener {
    let case = &cases[number];
    let mut listener = Listener::new(listener_name(number));
    // Of TCP, too, where clusters that filters call have trailers.
    listener.trailers = Trailers::Kept;
    if case.tcp.is_some() {
        listener.proxy = Proxy::Tcp {
            cluster: "upstream".to_owned(),
        };
    } else {
        listener.delayed_close = Some(CUT_AFTER);
    }
    listener.buffer_limit = case.buffer_limit;
    listener.upgrades.clone_from(&case.upgrades);
    listener.route_metadata.clone_from(&case.route_metadata);
    let log = access_log(folder, number);
    // Envoy appends to what an earlier run left.
    let _ = std::fs::remove_file(&log);
    listener.access_log = Some(log);
    let scope = scope(cases, number);
    let loggers = &case.entries.access_loggers;
    listener.access_loggers = loggers.iter().map(|each| plugin(each, &scope)).collect();
    listener.filters = case
        .filters
        .iter()
        .map(|filter| {
            if case.reloads(&filter.name) {
                FilterSource::Discovered(reload::Place::of(filter, folder).discovered)
            } else {
                FilterSource::Static(plugin(filter, &scope))
            }
        })
        .collect();
    listener
}

fn plugin(filter: &Filter, scope: &str) -> Plugin {
    let mut plugin = Plugin::new(&filter.name, &filter.module);
    plugin.root_id.clone_from(&filter.root_id);
    plugin.vm_id = format!("{scope}{}", filter.vm_id);
    plugin.configuration.clone_from(&filter.configuration);
    plugin.vm_configuration.clone_from(&filter.vm_configuration);
    plugin.environment.clone_from(&filter.environment);
    plugin.allow_on_headers_stop_iteration = filter.allow_on_headers_stop_iteration;
    plugin
        .allowed_capabilities
        .clone_from(&filter.allowed_capabilities);
    plugin.failure_policy = match filter.policy {
        Policy::Closed => FailurePolicy::FailClosed,
        Policy::Open => FailurePolicy::FailOpen,
        Policy::Reload => FailurePolicy::FailReload,
    };
    plugin
}

/// The header that tells requests apart, as a filter may have left it.
fn is_mark(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(MARK.as_bytes())
}
