//! The description of a host.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Host;
use crate::abi::LogLevel;
use crate::appointments::Appointment;
use crate::attributes::Attributes;
use crate::budgets::Budget;
use crate::clusters::Clusters;
use crate::codec::Codec;
use crate::connection::{Arrival, TcpReply};
use crate::dns::Dns;
use crate::engine::Shared;
use crate::entries::Entries;
use crate::envoy_version::EnvoyVersion;
use crate::error::HostError;
use crate::limits::Limits;
use crate::lints::{LintKind, Lints};
use crate::mutation::Mutator;
use crate::phases::Phases;
use crate::plugin::Plugin;
use crate::proxy::{Proxy, Thread};
use crate::random::Random;
use crate::world::World;

/// Envoy's `per_connection_buffer_limit_bytes`, where a listener does not set it.
const BUFFER_LIMIT: usize = 1 << 20;

/// Envoy's timeout of a route that sets none.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(15);

/// Envoy's `stream_idle_timeout` of a connection manager that sets none.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Envoy's `stats_flush_interval`, where the bootstrap does not set it.
const STATS_FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// Describes a [`Host`]: its chain and Envoy's settings.
#[derive(Debug)]
#[must_use]
pub struct HostBuilder {
    pub(super) entries: Entries<Plugin>,
    /// A chain that was described with two protocols.
    pub(super) chain_twice: Option<String>,
    pub(super) stats_flush_interval: Duration,
    pub(super) workers: usize,
    pub(super) log_level: LogLevel,
    pub(super) buffer_limit: usize,
    pub(super) limits: Limits,
    pub(super) upstream_codec: Codec,
    pub(crate) upgrades: Vec<String>,
    pub(super) budget: Budget,
    pub(super) memory_limit: Option<usize>,
    pub(super) lints: Lints,
    pub(super) seed: u64,
    pub(super) environment: BTreeMap<String, String>,
    pub(crate) clusters: Clusters,
    pub(crate) route_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(super) attributes: Attributes,
    pub(crate) dns: Dns,
    pub(crate) appointments: Option<Vec<Appointment>>,
    pub(crate) phases: Option<Phases>,
    pub(crate) clock: Option<Duration>,
    pub(crate) given_properties: BTreeMap<String, Vec<u8>>,
    version: EnvoyVersion,
    mutator: Option<Arc<Mutator>>,
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
            upgrades: Vec::new(),
            budget: Budget::new(),
            memory_limit: None,
            lints: Lints::default(),
            seed: 0,
            environment: BTreeMap::new(),
            clusters: Clusters::of_route(),
            route_timeout: ROUTE_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            attributes: Attributes::default(),
            dns: Dns::default(),
            appointments: None,
            phases: None,
            clock: None,
            given_properties: BTreeMap::new(),
            version: EnvoyVersion::default(),
            mutator: None,
        }
    }
}

impl HostBuilder {
    /// Sets the Envoy that the host plays; 1.40 unless set. What the older ones do otherwise is
    /// listed in [`VersionDifference`](crate::VersionDifference).
    pub fn envoy_version(mut self, version: EnvoyVersion) -> Self {
        self.version = version;
        self
    }

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
    /// 1 MiB unless set. 0 is no limit, as in Envoy. Of requests over HTTP/2, and their responses, 16 MiB may be
    /// held back whatever this says.
    pub fn buffer_limit(mut self, bytes: usize) -> Self {
        self.buffer_limit = if bytes == 0 { usize::MAX } else { bytes };
        self
    }

    /// Sets the protocol that the upstream speaks; HTTP/1.1 unless set.
    pub fn upstream_codec(mut self, codec: Codec) -> Self {
        self.upstream_codec = codec;
        self
    }

    /// Sets the fuel that one callback may burn before the harness takes it for endless.
    /// Unless set, 2,000,000,000; and 50,000,000,000 where a module starts or a plugin is configured, which
    /// may read dictionaries and compile rules. Envoy has no such limit.
    pub fn fuel_limit(mut self, fuel: u64) -> Self {
        self.limits.fuel = Some(fuel);
        self
    }

    /// Sets the time that one callback may take, by the clock on the wall, before the harness takes
    /// it for endless: 10 seconds unless set, and a minute for a start. It ends what fuel lets pass, because its limit was
    /// raised or the machine is slow. Envoy has no such limit.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.limits.deadline = Some(time);
        self
    }

    /// Sets what properties tell of node, listener, route, cluster and upstream.
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Makes every [`Lint`](crate::Lint) an error, [`HostError::Lint`], but those that
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

    /// Makes the host depart from Envoy, or watches where it could: for tests of tests.
    #[doc(hidden)]
    pub fn mutate(mut self, mutator: Arc<Mutator>) -> Self {
        self.mutator = Some(mutator);
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
            buried: Vec::new(),
            ended: false,
            plugins: Vec::new(),
            entries,
            tcp_clusters: BTreeMap::new(),
            tcp_upstream: Box::new(|arrival| match arrival {
                Arrival::End => TcpReply::none().end(),
                Arrival::Connection | Arrival::Data(_) => TcpReply::none(),
            }),
            limits: self.limits,
            _ticker: Some(Shared::ticker()?),
            upstream_codec: self.upstream_codec,
            environment: self.environment,
        };
        proxy.world.budget = self.budget;
        proxy.world.appointments = self.appointments;
        proxy.world.phases = self.phases;
        proxy.world.given_properties = self.given_properties;
        if let Some(time) = self.clock {
            proxy.world.clock.set(time);
            proxy.world.started = time;
        }
        proxy.world.version = self.version;
        proxy.world.upgrades = self.upgrades;
        proxy.world.mutator = self.mutator;
        proxy.world.memory_limit = self.memory_limit;
        proxy.world.lints = self.lints;
        proxy.world.route_timeout = self.route_timeout;
        proxy.world.idle_timeout = self.idle_timeout;
        proxy.world.random = Random::seeded(self.seed);
        for (plugin, threads) in list {
            proxy.load(plugin, threads)?;
        }
        proxy.world.attributes = self.attributes;
        proxy.world.attributes.node.version = self.version;
        proxy.world.dns = self.dns;
        proxy.start_all()?;
        proxy.schedule_flush(self.stats_flush_interval);
        if let Some(fatal) = proxy.world.fatal.take() {
            return Err(fatal);
        }
        Ok(Host { proxy })
    }
}
