//! Plugins that stand elsewhere than in an HTTP filter chain.

use super::TYPE;
use crate::bootstrap::{Bootstrap, FilterSource, Listener, Service};
use crate::plugin::{EntryPoint, NotUtf8, Plugin};
use crate::yaml::{Yaml, quoted};

/// Services and stats sinks, which belong to no listener.
pub(super) fn render(yaml: &mut Yaml, bootstrap: &Bootstrap) -> Result<(), NotUtf8> {
    services(yaml, &bootstrap.services)?;
    if let Some(interval) = bootstrap.stats_flush_interval {
        yaml.line(&format!(
            "stats_flush_interval: {}s",
            interval.as_secs_f64()
        ));
        yaml.line("");
    }
    sinks(yaml, &bootstrap.stats_sinks)
}

fn services(yaml: &mut Yaml, services: &[Service]) -> Result<(), NotUtf8> {
    if services.is_empty() {
        return Ok(());
    }
    let mut done = Ok(());
    yaml.within("bootstrap_extensions:", |yaml| {
        done = services.iter().try_for_each(|service| {
            let (plugin, entry) = match service {
                Service::Threads(plugin) => (plugin, EntryPoint::Service),
                Service::Singleton(plugin) => (plugin, EntryPoint::SingletonService),
            };
            named(yaml, "envoy.bootstrap.wasm", plugin, entry)
        });
    });
    yaml.line("");
    done
}

fn sinks(yaml: &mut Yaml, sinks: &[Plugin]) -> Result<(), NotUtf8> {
    if sinks.is_empty() {
        return Ok(());
    }
    let mut done = Ok(());
    yaml.within("stats_sinks:", |yaml| {
        done = sinks.iter().try_for_each(|plugin| {
            named(yaml, "envoy.stat_sinks.wasm", plugin, EntryPoint::StatsSink)
        });
    });
    yaml.line("");
    done
}

/// The plugins among the access loggers of a listener.
pub(super) fn loggers(yaml: &mut Yaml, listener: &Listener) -> Result<(), NotUtf8> {
    listener.access_loggers.iter().try_for_each(|plugin| {
        let name = "envoy.access_loggers.wasm";
        named(yaml, name, plugin, EntryPoint::AccessLogger)
    })
}

/// TCP filters, and the proxy behind them.
pub(super) fn tcp(yaml: &mut Yaml, listener: &Listener, cluster: &str) -> Result<(), NotUtf8> {
    for filter in &listener.filters {
        match filter {
            FilterSource::Static(plugin) => {
                let name = quoted(&plugin.name);
                named(yaml, &name, plugin, EntryPoint::TcpFilter)?;
            }
            FilterSource::Discovered(discovered) => {
                let mut done = Ok(());
                yaml.within(&format!("- name: {}", quoted(discovered.name())), |yaml| {
                    done = discovered.refer(yaml);
                });
                done?;
            }
            FilterSource::Served { name, cluster } => {
                yaml.within(&format!("- name: {}", quoted(name)), |yaml| {
                    super::served(yaml, cluster);
                });
            }
            FilterSource::Native(native) => native.write(yaml),
            // There is no such script for bytes.
            FilterSource::Tap(_) => {}
        }
    }
    let mut done = Ok(());
    yaml.within("- name: envoy.filters.network.tcp_proxy", |yaml| {
        yaml.within("typed_config:", |yaml| {
            yaml.line(&format!(
                "{TYPE}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
            ));
            yaml.field("stat_prefix", &listener.name);
            yaml.field("cluster", cluster);
            if !listener.access_loggers.is_empty() {
                yaml.within("access_log:", |yaml| done = loggers(yaml, listener));
            }
        });
    });
    done
}

fn named(yaml: &mut Yaml, name: &str, plugin: &Plugin, entry: EntryPoint) -> Result<(), NotUtf8> {
    let mut done = Ok(());
    yaml.within(&format!("- name: {name}"), |yaml| {
        done = plugin.write(yaml, entry);
    });
    done
}
