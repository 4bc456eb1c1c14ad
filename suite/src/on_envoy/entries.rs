//! Plugins that belong to no listener.

use attache_envoy::{Bootstrap, Service};

use super::histograms::FLUSH;
use super::plugin;
use crate::case::Case;

/// Adds the services and stats sinks of a case that has its Envoy for itself.
pub(super) fn configure(bootstrap: &mut Bootstrap, case: &Case) {
    let entries = &case.entries;
    let services = entries.services.iter().map(|service| {
        let plugin = plugin(&service.plugin, "");
        if service.singleton {
            Service::Singleton(plugin)
        } else {
            Service::Threads(plugin)
        }
    });
    bootstrap.services = services.collect();
    bootstrap.stats_sinks = entries
        .stats_sinks
        .iter()
        .map(|sink| plugin(sink, ""))
        .collect();
    bootstrap.stats_flush_interval = entries.stats_flush_interval;
    if !case.histograms.is_empty() && entries.stats_sinks.is_empty() {
        bootstrap.stats_flush_interval = Some(FLUSH);
    }
}
