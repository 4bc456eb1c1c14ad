//! What an Envoy's admin endpoint says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use attache_envoy::{stats_literal, stats_path};
use http_body_util::{BodyExt, Limited};

use crate::connection::Connection;
use crate::machine::{Counts, PluginCounts, slot};
use crate::rollout::CONFIGURED;

/// The statistics that are asked for take a few hundred bytes for each listener and plugin.
const LARGEST_ANSWER: usize = 4 << 20;
/// Modules of our SDK cut the values of labels to so many bytes.
const LONGEST_LABEL: usize = 120;

/// Reads the counters that say what becomes of versions of these plugins.
pub(crate) async fn read(admin: SocketAddr, plugins: &BTreeSet<String>) -> Result<Counts, String> {
    let names = Names::new(plugins);
    let text = get(admin, &names.path()).await?;
    Ok(names.counts(&text))
}

/// The node id of the Envoy whose endpoint this is.
pub(crate) async fn node_id(admin: SocketAddr) -> Result<String, String> {
    let text = get(admin, "/server_info").await?;
    let info: serde_json::Value = serde_json::from_str(&text)
        .map_err(|_| format!("what answers at {admin} is no admin endpoint of an Envoy"))?;
    let id = info.pointer("/node/id").and_then(|id| id.as_str());
    Ok(id.unwrap_or_default().to_owned())
}

async fn get(admin: SocketAddr, path: &str) -> Result<String, String> {
    let fault = |error: &dyn std::fmt::Display| {
        format!("the admin endpoint at {admin} cannot be asked: {error}")
    };
    let connection = Connection::open(admin).await;
    let mut connection = connection.map_err(|error| fault(&error))?;
    let response = connection.get(path, &admin.to_string()).await;
    let response = response.map_err(|error| fault(&error))?;
    if response.status() != 200 {
        return Err(fault(&format_args!("it answers {}", response.status())));
    }
    let body = Limited::new(response.into_body(), LARGEST_ANSWER);
    let bytes = body.collect().await.map_err(|error| fault(&error))?;
    String::from_utf8(bytes.to_bytes().to_vec()).map_err(|error| fault(&error))
}

/// The connections that workers have taken, from the start of the Envoy on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Connections {
    /// How many workers there are.
    pub(crate) workers: u64,
    /// By listener, as statistics name it, and worker.
    pub(crate) taken: BTreeMap<String, BTreeMap<u64, u64>>,
}

/// Reads which worker has taken how many connections.
pub(crate) async fn connections(admin: SocketAddr) -> Result<Connections, String> {
    let pattern = r"^(server\.concurrency|listener\..*\.worker_\d+\.downstream_cx_total)$";
    Ok(taken(&get(admin, &stats_path(pattern)).await?))
}

fn taken(text: &str) -> Connections {
    let mut connections = Connections::default();
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        let number = value.parse().unwrap_or(0);
        if name == "server.concurrency" {
            connections.workers = number;
        }
        let name = name.strip_prefix("listener.");
        let name = name.and_then(|name| name.strip_suffix(".downstream_cx_total"));
        if let Some((listener, worker)) = name.and_then(|name| name.rsplit_once(".worker_"))
            && let Ok(worker) = worker.parse()
        {
            let of_listener = connections.taken.entry(listener.to_owned());
            of_listener.or_default().insert(worker, number);
        }
    }
    connections
}

/// What a statistic of a plugin counts.
#[derive(Clone, Copy, Debug)]
enum What {
    Configured(u64),
    Restarts,
    FailedRestarts,
    Errors,
}

/// The names of these counters.
struct Names<'p> {
    plugins: &'p BTreeSet<String>,
    of_plugins: BTreeMap<String, (&'p str, What)>,
}

impl<'p> Names<'p> {
    fn new(plugins: &'p BTreeSet<String>) -> Self {
        let of_plugins = plugins.iter().flat_map(|plugin| {
            let label = label(plugin);
            let of_slots = label.clone();
            let slots = (0..10).map(move |generation| {
                let slot = slot(generation);
                let name = format!("wasmcustom.{CONFIGURED};plugin={of_slots};slot={slot}");
                (name, What::Configured(slot))
            });
            let others = [
                (
                    format!("wasmcustom.attache_errors_total;plugin={label}"),
                    What::Errors,
                ),
                (format!("wasm.{plugin}.vm_reload_success"), What::Restarts),
                (
                    format!("wasm.{plugin}.vm_reload_failure"),
                    What::FailedRestarts,
                ),
            ];
            let all = slots.chain(others);
            all.map(|(name, what)| (name, (plugin.as_str(), what)))
        });
        Self {
            plugins,
            of_plugins: of_plugins.collect(),
        }
    }

    fn path(&self) -> String {
        let mut pattern: Vec<String> = Vec::new();
        for plugin in self.plugins {
            let name = stats_literal(plugin);
            let label = stats_literal(&label(plugin));
            pattern.push(format!(r"wasmcustom\.{CONFIGURED};plugin={label};slot=\d"));
            pattern.push(format!(r"wasmcustom\.attache_errors_total;plugin={label}"));
            pattern.push(format!(r"wasm\.{name}\.vm_reload_(success|failure)"));
        }
        pattern.push(r"server\.concurrency".to_owned());
        pattern.push(r"http\..*\.downstream_rq_(completed|5xx|time)".to_owned());
        stats_path(&format!("^({})$", pattern.join("|")))
    }

    fn counts(&self, text: &str) -> Counts {
        let mut counts = Counts::default();
        for plugin in self.plugins {
            let none = PluginCounts::default();
            counts.plugins.insert(plugin.clone(), none);
        }
        let lines: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(": "))
            .collect();
        for (name, value) in lines {
            let number = value.parse::<u64>().unwrap_or(0);
            if let Some((plugin, what)) = self.of_plugins.get(name) {
                if let Some(of_plugin) = counts.plugins.get_mut(*plugin) {
                    what.put(of_plugin, number);
                }
            } else if name == "server.concurrency" {
                counts.workers = number;
            } else if name.starts_with("http.admin.") || name.starts_with("http.async-client.") {
                // Not what clients see.
            } else if name.ends_with(".downstream_rq_completed") {
                counts.requests.all = counts.requests.all.saturating_add(number);
            } else if name.ends_with(".downstream_rq_5xx") {
                counts.requests.failed = counts.requests.failed.saturating_add(number);
            } else if name.ends_with(".downstream_rq_time") {
                counts.p99 = counts.p99.max(p99(value));
            }
        }
        counts
    }
}

impl What {
    fn put(self, counts: &mut PluginCounts, number: u64) {
        match self {
            Self::Configured(slot) => {
                counts.configured.insert(slot, number);
            }
            Self::Restarts => counts.restarts = number,
            Self::FailedRestarts => counts.failed_restarts = number,
            Self::Errors => counts.errors = number,
        }
    }
}

/// A plugin's name as modules of our SDK write it into the names of their counters.
fn label(plugin: &str) -> String {
    plugin
        .bytes()
        .take(LONGEST_LABEL)
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte),
            b'_' | b'.' | b'/' | b':' | b'{' | b'}' | b'*' | b'-' | b',' | b'+' | b'@' => {
                char::from(byte)
            }
            _ => '_',
        })
        .collect()
}

/// The 99th percentile of the last interval, out of `P0(1,1) … P99(3,4) …`, in milliseconds.
fn p99(value: &str) -> Option<Duration> {
    let (_, rest) = value.split_once("P99(")?;
    let (interval, _) = rest.split_once(',')?;
    let milliseconds: f64 = interval.parse().ok()?;
    Duration::try_from_secs_f64(milliseconds / 1_000.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Share;

    const STATS: &str = "\
        http.admin.downstream_rq_5xx: 9\n\
        http.in.downstream_rq_5xx: 3\n\
        http.in.downstream_rq_completed: 40\n\
        http.in.downstream_rq_time: P0(nan,1) P25(nan,1) P99(250.5,3) P100(nan,4)\n\
        server.concurrency: 2\n\
        wasm.p.vm_reload_failure: 4\n\
        wasm.p.vm_reload_success: 1\n\
        wasmcustom.attache_configured_total;plugin=p;slot=7: 9\n\
        wasmcustom.attache_configured_total;plugin=p_q;slot=7: 5\n";

    fn names(plugins: &[&str]) -> BTreeSet<String> {
        plugins.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn connections_are_told_by_listener_and_worker() {
        let connections = taken(
            "listener.0.0.0.0_80.worker_0.downstream_cx_total: 3\n\
             listener.0.0.0.0_80.worker_11.downstream_cx_total: 4\n\
             listener.a.worker_1.b.worker_1.downstream_cx_total: 5\n\
             server.concurrency: 12\n",
        );
        assert_eq!(connections.workers, 12);
        let of = |name: &str| connections.taken[name].clone();
        assert_eq!(of("0.0.0.0_80"), BTreeMap::from([(0, 3), (11, 4)]));
        assert_eq!(of("a.worker_1.b"), BTreeMap::from([(1, 5)]));
    }

    #[test]
    fn counters_are_told_apart_by_their_names() {
        let plugins = names(&["p", "p q", "other"]);
        let counts = Names::new(&plugins).counts(STATS);
        assert_eq!(counts.workers, 2);
        assert_eq!(counts.requests, Share { all: 40, failed: 3 });
        assert_eq!(counts.p99, Some(Duration::from_micros(250_500)));
        let p = &counts.plugins["p"];
        assert_eq!(p.configured, BTreeMap::from([(7, 9)]));
        assert_eq!((p.restarts, p.failed_restarts, p.errors), (1, 4, 0));
        // Signs that mean something in a statistic are written as `_`.
        let written = &counts.plugins["p q"].configured;
        assert_eq!(*written, BTreeMap::from([(7, 5)]));
        assert_eq!(counts.plugins["other"], PluginCounts::default());
    }
}
