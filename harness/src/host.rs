//! The host: what a test talks to.

mod connections;
mod entry_points;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::abi::{Direction, LogLevel};
use crate::attributes::Attributes;
use crate::budgets::Budget;
use crate::clusters::Clusters;
use crate::codec::Codec;
use crate::connection::{Arrival, TcpReply};
use crate::engine::Shared;
use crate::entries::{Entries, Protocol};
use crate::error::HostError;
use crate::exchange::{Exchange, StreamId};
use crate::limits::Limits;
use crate::lints::{Lint, LintKind, Lints};
use crate::plugin::Plugin;
use crate::proxy::{Proxy, Thread};
use crate::random::Random;
use crate::request::Request;
use crate::timeline::{LogLine, Timeline};
use crate::world::World;

/// Envoy's `per_connection_buffer_limit_bytes`, where a listener does not set it.
const BUFFER_LIMIT: usize = 1 << 20;

/// Envoy's timeout of a route that sets none.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(15);

/// Envoy's `stats_flush_interval`, where the bootstrap does not set it.
const STATS_FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// Envoy with a chain of Wasm filters and one route to one upstream.
///
/// It moves only when it is called: [`send`](Self::send) plays a request to its end, or to where a
/// filter holds it, and [`advance`](Self::advance) moves the clock. Two hosts share nothing.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "proxy_abi_version_0_2_1"))
/// #   (func (export "malloc") (param i32) (result i32) i32.const 1024))"#).unwrap();
/// use attache_harness::{Host, HostError, Plugin, Request};
///
/// let mut host = Host::with(Plugin::from_bytes("idle", wasm))?;
/// let exchange = host.send(Request::get("/orders").header("X-Tag", "a"))?;
/// assert_eq!(exchange.upstream_request().headers().get("x-tag"), Some(&b"a"[..]));
/// assert_eq!(exchange.response().status(), 200);
/// # Ok::<(), HostError>(())
/// ```
pub struct Host {
    pub(crate) proxy: Proxy,
}

impl Host {
    /// Starts a host with one plugin and everything else as it is by default.
    ///
    /// # Errors
    ///
    /// As [`HostBuilder::start`].
    pub fn with(plugin: Plugin) -> Result<Self, HostError> {
        Self::builder().plugin(plugin).start()
    }

    /// Describes a host.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Sends a request through the chain of the first worker, and lets everything happen that can.
    ///
    /// A filter that still holds the stream makes it [`Outcome::Paused`](crate::Outcome::Paused). The stream then stays: a
    /// later call may set it free, and [`exchange`](Self::exchange) shows it again.
    ///
    /// # Errors
    ///
    /// What a guest does to its stream is no error and shows in the exchange. A [`HostError`] is
    /// what Envoy would not survive or this harness cannot play; the host is of no use afterwards.
    pub fn send(&mut self, request: Request) -> Result<Exchange, HostError> {
        self.send_to_worker(0, request)
    }

    /// Sends a request through a chain that [`HostBuilder::http_chain`] described.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`HostError::UnknownChain`].
    pub fn send_to(&mut self, chain: &str, request: Request) -> Result<Exchange, HostError> {
        let slot = self.open_slot(0, Some(chain), request)?;
        Ok(self.show(slot))
    }

    /// Sends a request through the chain of any worker, counted from 0.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`HostError::UnknownWorker`].
    pub fn send_to_worker(
        &mut self,
        worker: usize,
        request: Request,
    ) -> Result<Exchange, HostError> {
        let slot = self.open_slot(worker, None, request)?;
        Ok(self.show(slot))
    }

    /// Sends a request as [`send`](Self::send) does, and keeps the stream however it ends, to be
    /// looked at by [`exchange`](Self::exchange). For filters that wait in one stream for another.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn open(&mut self, request: Request) -> Result<StreamId, HostError> {
        let slot = self.open_slot(0, None, request)?;
        Ok(self.proxy.world.streams[slot].exchange.id)
    }

    /// How a stream stands that [`open`](Self::open) began, or that [`send`](Self::send) left
    /// paused.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownStream`] if `send` handed the stream out when it ended.
    pub fn exchange(&self, id: StreamId) -> Result<&Exchange, HostError> {
        let slot = self
            .proxy
            .world
            .find(id)
            .ok_or(HostError::UnknownStream { id })?;
        Ok(&self.proxy.world.streams[slot].exchange)
    }

    /// Lets the client of a stream give up: the stream is reset, logged, done and deleted. Nothing
    /// happens to one that has ended.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownStream`], or as [`send`](Self::send).
    pub fn disconnect(&mut self, id: StreamId) -> Result<(), HostError> {
        let slot = self
            .proxy
            .world
            .find(id)
            .ok_or(HostError::UnknownStream { id })?;
        if !self.proxy.world.streams[slot].finished {
            if self.proxy.world.streams[slot].tcp.is_some() {
                self.proxy.downstream_resets(slot)?;
            } else {
                self.proxy.disconnect(slot)?;
            }
        }
        self.settle()
    }

    /// Moves the clock, and fires on the way the timers of the main thread and of all workers.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn advance(&mut self, time: Duration) -> Result<(), HostError> {
        let until = self.proxy.world.clock.now().saturating_add(time);
        self.proxy.advance_to(until)?;
        self.settle()
    }

    /// Moves the clock until nothing waits for a time any more but ticks, by `limit` at the most:
    /// answers that take their time arrive, timeouts fire.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn advance_until_idle(&mut self, limit: Duration) -> Result<(), HostError> {
        let until = self.proxy.world.clock.now().saturating_add(limit);
        self.proxy.advance_until_idle(until)?;
        self.settle()
    }

    /// Puts a plugin in the place of the filters of a name, as ECDS does, and streams in flight
    /// stay with the old one.
    ///
    /// The plugin is tried in a canary first. Where only its configuration is new, it gets a new
    /// root in the VMs that are there; where the VM configuration, the VM id or the module is new,
    /// it gets VMs of its own. An old root is told to end when its last stream has ended. Shared
    /// data and queues stay as long as a VM has their VM id.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`], [`HostError::Source`], [`HostError::Load`], and
    /// [`HostError::Start`] if the plugin is refused: after these the old one serves on, as in
    /// Envoy. Others as [`send`](Self::send).
    pub fn reload(&mut self, name: &str, plugin: Plugin) -> Result<(), HostError> {
        self.check_alive()?;
        self.proxy.replace(name, plugin)?;
        self.settle()
    }

    /// Ends everything as SIGTERM does: streams are reset, and the roots of all threads are told to
    /// end. One that asks for time is not waited for. The host serves no longer.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn shut_down(&mut self) -> Result<(), HostError> {
        self.proxy.shut_down()?;
        self.settle()
    }

    /// Tells the stats sinks of all stats now, as each `stats_flush_interval` does.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn flush_stats(&mut self) -> Result<(), HostError> {
        self.proxy.flush_stats()?;
        self.settle()
    }

    /// A stat of Envoy's own about Wasm, by its name: `wasm.<plugin>.vm_reload_success`, `_backoff`
    /// and `_failure`, `wasm.envoy.wasm.runtime.v8.created` and `active`, `wasm.wasm_vm_count`. None
    /// where there is no such stat.
    #[must_use]
    pub fn stat(&self, name: &str) -> Option<u64> {
        self.proxy.stat(name)
    }

    /// Every line that was logged since the host began to start, by guests and by Envoy's Wasm
    /// code.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.proxy.world.log
    }

    /// The surprises of callbacks outside of streams; those of a stream are in
    /// [`Exchange::lints`].
    #[must_use]
    pub fn lints(&self) -> &[Lint] {
        &self.proxy.world.lints.of_host
    }

    /// What happened outside of streams: starts, timers, ends.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.proxy.world.timeline
    }

    /// The value of the counter `wasmcustom.<name>`, if a guest defined it. The copies of a VM
    /// share it: what a guest adds in configure counts once a thread and once for the canary.
    #[must_use]
    pub fn counter(&self, name: impl AsRef<[u8]>) -> Option<u64> {
        self.proxy.world.metrics.counter(name.as_ref())
    }

    /// The counters that guests defined, in the order in which they did, without `wasmcustom.`.
    pub fn counters(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.proxy.world.metrics.counters()
    }

    /// The value of the gauge `wasmcustom.<name>`, if a guest defined it.
    #[must_use]
    pub fn gauge(&self, name: impl AsRef<[u8]>) -> Option<u64> {
        self.proxy.world.metrics.gauge(name.as_ref())
    }

    /// What was recorded in the histogram `wasmcustom.<name>`, if a guest defined it.
    #[must_use]
    pub fn histogram(&self, name: impl AsRef<[u8]>) -> Option<&[u64]> {
        self.proxy.world.metrics.histogram(name.as_ref())
    }

    /// Hands a stream out that has ended, or a copy of how it stands.
    fn show(&mut self, slot: usize) -> Exchange {
        if self.proxy.world.streams[slot].finished {
            self.proxy.world.close(slot)
        } else {
            self.proxy.world.streams[slot].exchange.clone()
        }
    }

    fn open_slot(
        &mut self,
        worker: usize,
        chain: Option<&str>,
        request: Request,
    ) -> Result<usize, HostError> {
        let workers = self.proxy.threads.len() - 1;
        if worker >= workers {
            return Err(HostError::UnknownWorker { worker, workers });
        }
        self.check_alive()?;
        let chain = self.proxy.entries.find(Protocol::Http, chain)?;
        let end = request.ends_with_headers();
        let stream = self.proxy.accept(request);
        let slot = self.proxy.open(worker + 1, chain, stream)?;
        self.proxy.headers(slot, Direction::Request, None, end)?;
        // What the client has sent is there before any upstream can answer.
        self.proxy.read_on(slot, Direction::Request)?;
        self.settle()?;
        Ok(slot)
    }

    fn check_alive(&self) -> Result<(), HostError> {
        if self.proxy.ended {
            return Err(HostError::ShutDown);
        }
        Ok(())
    }

    /// Lets everything happen, and says how the streams stand that are left.
    fn settle(&mut self) -> Result<(), HostError> {
        self.proxy.run_until_idle()?;
        for slot in 0..self.proxy.world.streams.len() {
            if self.proxy.world.streams[slot].is_open() {
                self.proxy.lint_waiting(slot);
            }
        }
        if let Some(fatal) = self.proxy.world.fatal.take() {
            return Err(fatal);
        }
        let world = &mut *self.proxy.world;
        let infos = &world.plugins;
        for stream in world.streams.iter_mut().filter(|stream| !stream.finished) {
            stream.exchange.outcome = stream.waiting(|plugin| infos[plugin].name.to_string());
        }
        Ok(())
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("plugins", &self.proxy.world.plugins)
            .finish_non_exhaustive()
    }
}

/// Describes a [`Host`]: its chain and Envoy's settings.
#[derive(Debug)]
#[must_use]
pub struct HostBuilder {
    entries: Entries<Plugin>,
    /// A chain that was described with two protocols.
    chain_twice: Option<String>,
    stats_flush_interval: Duration,
    workers: usize,
    log_level: LogLevel,
    buffer_limit: usize,
    limits: Limits,
    upstream_codec: Codec,
    budget: Budget,
    memory_limit: Option<usize>,
    lints: Lints,
    seed: u64,
    environment: BTreeMap<String, String>,
    pub(crate) clusters: Clusters,
    pub(crate) route_timeout: Duration,
    attributes: Attributes,
}

impl Default for HostBuilder {
    fn default() -> Self {
        Self {
            entries: Entries::default(),
            chain_twice: None,
            stats_flush_interval: STATS_FLUSH_INTERVAL,
            workers: 1,
            log_level: LogLevel::Info,
            buffer_limit: BUFFER_LIMIT,
            limits: Limits::default(),
            upstream_codec: Codec::Http1,
            budget: Budget::new(),
            memory_limit: None,
            lints: Lints::default(),
            seed: 0,
            environment: BTreeMap::new(),
            clusters: Clusters::of_route(),
            route_timeout: ROUTE_TIMEOUT,
            attributes: Attributes::default(),
        }
    }
}

impl HostBuilder {
    /// Sets how many workers there are, as `--concurrency`; 1 unless set.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets the level that `proxy_get_log_level` tells; info unless set. The host keeps lines of
    /// every level.
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// Sets the bytes of a body that may be held back, as `per_connection_buffer_limit_bytes`;
    /// 1 MiB unless set. 0 is no limit, as in Envoy.
    pub fn buffer_limit(mut self, bytes: usize) -> Self {
        self.buffer_limit = if bytes == 0 { usize::MAX } else { bytes };
        self
    }

    /// Sets the protocol that the upstream speaks; HTTP/1.1 unless set.
    pub fn upstream_codec(mut self, codec: Codec) -> Self {
        self.upstream_codec = codec;
        self
    }

    /// Sets the fuel that one callback may burn before the harness takes it for endless;
    /// 2,000,000,000 unless set. Envoy has no such limit.
    pub fn fuel_limit(mut self, fuel: u64) -> Self {
        self.limits.fuel = fuel;
        self
    }

    /// Sets the time that one callback may take, by the clock on the wall, before the harness takes
    /// it for endless: 10 seconds unless set. It ends what fuel lets pass, because its limit was
    /// raised or the machine is slow. Envoy has no such limit.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.limits.deadline = time;
        self
    }

    /// Sets what properties tell of node, listener, route, cluster and upstream.
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Makes every [`Lint`] an error, [`HostError::Lint`], but those that
    /// [`allow_lint`](Self::allow_lint) names.
    pub fn deny_lints(mut self) -> Self {
        self.lints.denied = true;
        self
    }

    /// Lets a lint pass that [`deny_lints`](Self::deny_lints) would make an error.
    pub fn allow_lint(mut self, kind: LintKind) -> Self {
        self.lints.allowed.push(kind);
        self
    }

    /// Sets an environment variable of the process that the host plays, for plugins that ask for it
    /// by [`Plugin::host_environment_key`]. It has none unless set: a test does not depend on the
    /// machine that runs it.
    pub fn host_environment(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(key.into(), value.into());
        self
    }

    /// Makes it an error, [`HostError::OverBudget`], when a stream costs more than this.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Makes it an error, [`HostError::MemoryLimit`], when a VM's memory is to grow over so many
    /// bytes. Unless set, a guest is told at V8's limit of 1 GiB that there is no more.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Seeds what Envoy draws at random: `random_get`, and the jitter of back-offs. Hosts of one
    /// seed draw the same; 0 unless set.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Loads the modules and starts every plugin in a canary, in the main thread and in each
    /// worker.
    ///
    /// # Errors
    ///
    /// If there is no plugin or no worker, a module cannot be had or loaded, or a plugin does not
    /// start in the canary.
    pub fn start(self) -> Result<Host, HostError> {
        if let Some(chain) = self.chain_twice {
            return Err(HostError::ChainTwice { chain });
        }
        if self.workers == 0 {
            return Err(HostError::NoWorker);
        }
        let (entries, list) = self.entries.number();
        if list.is_empty() {
            return Err(HostError::NoPlugin);
        }
        let mut proxy = Proxy {
            world: Box::new(World::new(self.log_level, self.buffer_limit, self.clusters)),
            vms: Vec::new(),
            threads: (0..=self.workers).map(|_| Thread::default()).collect(),
            bases: Vec::new(),
            vms_created: 0,
            vms_active: 0,
            reloads: BTreeMap::new(),
            flushed: BTreeMap::new(),
            released: VecDeque::new(),
            ended: false,
            plugins: Vec::new(),
            entries,
            tcp_upstream: Box::new(|arrival| match arrival {
                Arrival::End => TcpReply::none().end(),
                Arrival::Connection | Arrival::Data(_) => TcpReply::none(),
            }),
            limits: self.limits,
            _ticker: Shared::ticker()?,
            upstream_codec: self.upstream_codec,
            environment: self.environment,
        };
        proxy.world.budget = self.budget;
        proxy.world.memory_limit = self.memory_limit;
        proxy.world.lints = self.lints;
        proxy.world.route_timeout = self.route_timeout;
        proxy.world.random = Random::seeded(self.seed);
        for (plugin, threads) in list {
            proxy.load(plugin, threads)?;
        }
        proxy.world.attributes = self.attributes;
        proxy.start_all()?;
        proxy.schedule_flush(self.stats_flush_interval);
        if let Some(fatal) = proxy.world.fatal.take() {
            return Err(fatal);
        }
        Ok(Host { proxy })
    }
}
