use std::time::Duration;

use super::Filter;

/// Plugins that are no filters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    /// They log each request of the chain.
    pub(crate) access_loggers: Vec<Filter>,
    pub(crate) services: Vec<Service>,
    pub(crate) stats_sinks: Vec<Filter>,
    pub(crate) stats_flush_interval: Option<Duration>,
}

/// A plugin that runs for itself.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) plugin: Filter,
    /// Whether it runs in the main thread only.
    pub(crate) singleton: bool,
}

impl Entries {
    /// Access loggers, then services, then stats sinks.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &Filter> {
        let services = self.services.iter().map(|service| &service.plugin);
        self.access_loggers
            .iter()
            .chain(services)
            .chain(&self.stats_sinks)
    }

    /// The same, in the same order.
    pub(super) fn plugins_mut(&mut self) -> impl Iterator<Item = &mut Filter> {
        let services = self.services.iter_mut().map(|service| &mut service.plugin);
        self.access_loggers
            .iter_mut()
            .chain(services)
            .chain(&mut self.stats_sinks)
    }

    /// Whether there are plugins that belong to no listener.
    pub(crate) fn are_of_process(&self) -> bool {
        !self.services.is_empty() || !self.stats_sinks.is_empty()
    }
}
