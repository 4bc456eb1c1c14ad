//! What an Envoy's admin endpoint counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use attache_envoy::{stats_literal, stats_path};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::machine::{Share, Sight};
use crate::rollout::{CONFIGURED, Rollout};

/// An Envoy answers in milliseconds, unless its main thread compiles a module.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// The statistics that are asked for take a few hundred bytes for each listener.
const LARGEST_ANSWER: usize = 1 << 20;

/// The counters of an Envoy that say what becomes of a version.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    workers: u64,
    /// How often the slot of the generation was configured.
    configured: u64,
    /// Restarts of the plugin's VM.
    restarts: u64,
    /// Errors of the filter.
    errors: u64,
    requests: Share,
    p99: Option<Duration>,
}

/// Reads the counters; nothing if the Envoy does not answer.
pub(crate) async fn read(admin: SocketAddr, rollout: &Rollout, generation: u64) -> Option<Counts> {
    let names = Names::new(&rollout.plugin, generation);
    let text = timeout(ANSWERED_WITHIN, get(admin, &names.path()))
        .await
        .ok()??;
    Some(names.counts(&text))
}

async fn get(admin: SocketAddr, path: &str) -> Option<String> {
    let stream = TcpStream::connect(admin).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", admin.to_string())
        .body(Empty::<Bytes>::new())
        .ok()?;
    let answer = async {
        let response = sender.send_request(request).await.ok()?;
        if response.status() != 200 {
            return None;
        }
        let body = Limited::new(response.into_body(), LARGEST_ANSWER);
        let bytes = body.collect().await.ok()?.to_bytes();
        String::from_utf8(bytes.to_vec()).ok()
    };
    let answer = answer.await;
    connection.abort();
    answer
}

/// The names of these counters.
struct Names {
    configured: String,
    errors: String,
    restarts: [String; 2],
}

impl Names {
    fn new(plugin: &str, generation: u64) -> Self {
        let slot = generation % 10;
        Self {
            configured: format!("wasmcustom.{CONFIGURED};plugin={plugin};slot={slot}"),
            errors: format!("wasmcustom.attache_errors_total;plugin={plugin}"),
            restarts: ["vm_reload_success", "vm_reload_failure"]
                .map(|name| format!("wasm.{plugin}.{name}")),
        }
    }

    fn path(&self) -> String {
        let exact = [&self.configured, &self.errors].into_iter();
        let exact = exact.chain(&self.restarts).map(|name| stats_literal(name));
        let mut pattern: Vec<String> = exact.collect();
        pattern.push(r"server\.concurrency".to_owned());
        pattern.push(r"http\..*\.downstream_rq_(completed|5xx|time)".to_owned());
        stats_path(&format!("^({})$", pattern.join("|")))
    }

    fn counts(&self, text: &str) -> Counts {
        let mut counts = Counts::default();
        let lines: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(": "))
            .collect();
        for (name, value) in lines {
            let number = value.parse::<u64>().unwrap_or(0);
            if name == "server.concurrency" {
                counts.workers = number;
            } else if name == self.configured {
                counts.configured = number;
            } else if name == self.errors {
                counts.errors = number;
            } else if self.restarts.iter().any(|one| one == name) {
                counts.restarts += number;
            } else if name.starts_with("http.admin.") || name.starts_with("http.async-client.") {
                // Not what clients see.
            } else if name.ends_with(".downstream_rq_completed") {
                counts.requests.all += number;
            } else if name.ends_with(".downstream_rq_5xx") {
                counts.requests.failed += number;
            } else if name.ends_with(".downstream_rq_time") {
                counts.p99 = counts.p99.max(p99(value));
            }
        }
        counts
    }
}

impl Counts {
    /// What has happened since `before`, which was read when the version was sent.
    pub(crate) fn since(&self, before: &Self) -> Sight {
        let configured = self.configured.saturating_sub(before.configured);
        let restarts = self.restarts.saturating_sub(before.restarts);
        Sight {
            workers: self.workers,
            // The canary and the main thread configure it too, and each VM that was restarted.
            running: configured.saturating_sub(2 + restarts),
            requests: Share {
                all: self.requests.all.saturating_sub(before.requests.all),
                failed: self.requests.failed.saturating_sub(before.requests.failed),
            },
            requests_before: before.requests,
            plugin_failures: restarts + self.errors.saturating_sub(before.errors),
            p99: self.p99,
        }
    }
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

    const STATS: &str = "\
        http.admin.downstream_rq_5xx: 9\n\
        http.in.downstream_rq_5xx: 3\n\
        http.in.downstream_rq_completed: 40\n\
        http.in.downstream_rq_time: P0(nan,1) P25(nan,1) P99(250.5,3) P100(nan,4)\n\
        server.concurrency: 2\n\
        wasm.p.vm_reload_success: 1\n\
        wasmcustom.attache_configured_total;plugin=p;slot=7: 9\n";

    #[test]
    fn counters_are_told_apart_by_their_names() {
        let counts = Names::new("p", 17).counts(STATS);
        assert_eq!((counts.workers, counts.configured), (2, 9));
        assert_eq!(counts.requests, Share { all: 40, failed: 3 });
        assert_eq!(counts.p99, Some(Duration::from_micros(250_500)));
        assert_eq!(Names::new("p", 18).counts(STATS).configured, 0);
    }

    #[test]
    fn a_restarted_vm_counts_for_no_worker() {
        let before = Counts {
            configured: 4,
            ..Counts::default()
        };
        let counts = Names::new("p", 17).counts(STATS);
        let sight = counts.since(&before);
        assert_eq!((sight.workers, sight.running), (2, 2));
        assert_eq!(sight.plugin_failures, 1);
    }
}
