//! Where the plugins of a host stand.

use std::time::Duration;

use super::HostBuilder;
#[cfg(doc)]
use crate::Host;
use crate::entries::{Chain, DEFAULT_CHAIN, Protocol, Threads};
use crate::plugin::Plugin;

impl HostBuilder {
    /// Adds a plugin at the end of the default HTTP chain: the request visits it after those
    /// before.
    pub fn plugin(mut self, plugin: Plugin) -> Self {
        self.chain(DEFAULT_CHAIN, Protocol::Http, |chain| {
            chain.plugins.push(plugin);
        });
        self
    }

    /// Adds plugins at the end of an HTTP chain of a listener of its own.
    /// [`Host::send`] takes the default chain, or where there is none the first;
    /// [`Host::send_to`] names one.
    pub fn http_chain(
        mut self,
        name: impl Into<String>,
        plugins: impl IntoIterator<Item = Plugin>,
    ) -> Self {
        self.chain(name, Protocol::Http, |chain| chain.plugins.extend(plugins));
        self
    }

    /// Adds a plugin to the access loggers of the default HTTP chain: its `proxy_on_log` is called
    /// on its root context at the end of each stream.
    pub fn access_logger(mut self, plugin: Plugin) -> Self {
        self.chain(DEFAULT_CHAIN, Protocol::Http, |chain| {
            chain.access_loggers.push(plugin);
        });
        self
    }

    /// Adds plugins to the access loggers of another HTTP chain.
    pub fn http_access_loggers(
        mut self,
        chain: impl Into<String>,
        plugins: impl IntoIterator<Item = Plugin>,
    ) -> Self {
        self.chain(chain, Protocol::Http, |chain| {
            chain.access_loggers.extend(plugins);
        });
        self
    }

    /// Adds plugins at the end of a TCP chain of a listener of its own, in front of Envoy's TCP
    /// proxy. [`Host::connect`] takes the first, [`Host::connect_to`] names one.
    pub fn tcp_chain(
        mut self,
        name: impl Into<String>,
        plugins: impl IntoIterator<Item = Plugin>,
    ) -> Self {
        self.chain(name, Protocol::Tcp, |chain| chain.plugins.extend(plugins));
        self
    }

    /// Adds plugins to the access loggers of a TCP chain: they log when every filter is done.
    pub fn tcp_access_loggers(
        mut self,
        chain: impl Into<String>,
        plugins: impl IntoIterator<Item = Plugin>,
    ) -> Self {
        self.chain(chain, Protocol::Tcp, |chain| {
            chain.access_loggers.extend(plugins);
        });
        self
    }

    /// Adds a plugin that runs for itself in every thread, as the bootstrap extension
    /// `WasmService`: its root has timers, queues and call-outs, and no streams.
    pub fn service(mut self, plugin: Plugin) -> Self {
        self.entries.services.push((plugin, Threads::All));
        self
    }

    /// Adds a plugin that runs for itself in the main thread only, as a `WasmService` with
    /// `singleton: true`.
    pub fn singleton_service(mut self, plugin: Plugin) -> Self {
        self.entries.services.push((plugin, Threads::Main));
        self
    }

    /// Adds a plugin that is told of all stats, in the main thread: its `envoy_on_stats_update` is
    /// called on its root context at each flush, and reads them out of buffer 8.
    pub fn stats_sink(mut self, plugin: Plugin) -> Self {
        self.entries.stats_sinks.push(plugin);
        self
    }

    /// Sets how often stats are flushed, as `stats_flush_interval`; every 5 seconds unless set.
    /// Nothing is flushed without a stats sink.
    pub fn stats_flush_interval(mut self, interval: Duration) -> Self {
        self.stats_flush_interval = interval;
        self
    }

    fn chain(
        &mut self,
        name: impl Into<String>,
        protocol: Protocol,
        change: impl FnOnce(&mut Chain<Plugin>),
    ) {
        let chain = self.entries.chain_mut(&name.into(), protocol);
        if chain.protocol != protocol {
            self.chain_twice = Some(chain.name.clone());
        }
        change(chain);
    }
}
