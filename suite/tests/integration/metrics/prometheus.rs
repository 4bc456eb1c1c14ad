//! A real Prometheus, fetched by `.ci/prometheus`, reads the Envoy of `envoy-configs/metrics.yaml`.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use attache_envoy::http1;
use serde_json::Value;

use super::{LIMIT, get, started};
use crate::both::{folder, repository_file};

/// The folder of the programs.
fn programs() -> PathBuf {
    let output = Command::new(repository().join(".ci/prometheus"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        ".ci/prometheus finds no Prometheus"
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

struct Prometheus {
    process: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts one in `folder`, which has its configuration. It cannot be asked for a free port, so
    /// another one is tried where somebody else took it meanwhile.
    fn start(folder: &Path) -> Self {
        let program = programs().join("prometheus");
        for attempt in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let process = Command::new(&program)
                .arg("--config.file=prometheus.yaml")
                .arg(format!("--storage.tsdb.path=data-{attempt}"))
                .arg(format!("--web.listen-address={address}"))
                .current_dir(folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut prometheus = Self { process, address };
            if prometheus.is_ready() {
                return prometheus;
            }
        }
        panic!("no Prometheus starts");
    }

    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline && self.process.try_wait().unwrap().is_none() {
            if let Ok(response) = self.get("/-/ready")
                && response.status == 200
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    fn get(&self, path: &str) -> Result<http1::Response, http1::Error> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: p\r\nconnection: close\r\n\r\n");
        http1::exchange(self.address, request.as_bytes(), LIMIT)
    }

    /// The answer to a query.
    fn query(&self, query: &str) -> Value {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let response = self.get(&format!("/api/v1/query?query={escaped}")).unwrap();
        let answer: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].clone()
    }

    /// The value of a query that gives one, once it is this one.
    fn wait_for(&self, query: &str, expected: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let result = self.query(query);
            if result[0]["value"][1] == expected && result.as_array().unwrap().len() == 1 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{query} is not {expected}: {result}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs Envoy and a Prometheus, which .ci/prometheus fetches"]
fn a_prometheus_reads_the_labels_and_answers() {
    let folder = folder("metrics-prometheus");
    let (envoy, _upstream, address) = started(&folder);
    let config = repository_file("envoy-configs/prometheus/prometheus.yaml")
        .replace("15s", "200ms")
        .replace("127.0.0.1:9901", &envoy.admin_address().to_string());
    std::fs::write(folder.join("prometheus.yaml"), config).unwrap();
    let rules = repository_file("envoy-configs/prometheus/metrics-alerts.yaml");
    std::fs::write(folder.join("metrics-alerts.yaml"), rules).unwrap();
    let prometheus = Prometheus::start(&folder);
    for path in ["/orders/1", "/orders/2", "/orders/3", "/elsewhere"] {
        get(address, path);
    }
    prometheus.wait_for(
        r#"istio_requests_total{request_operation="/orders/{id}"}"#,
        "3",
    );
    prometheus.wait_for(r#"sum by (request_method) (istio_requests_total)"#, "4");
    prometheus.wait_for("sum(istio_request_duration_milliseconds_count)", "4");
    prometheus.wait_for(r#"sum(istio_response_bytes_bucket{le="+Inf"})"#, "4");
    prometheus.wait_for(r#"attache_requests_total{plugin="metrics"}"#, "4");
    prometheus.wait_for("istio_metrics_overflow_total", "0");

    // Every query of the dashboard and of the rules is one that it understands.
    let dashboard: Value = serde_json::from_str(&repository_file(
        "envoy-configs/prometheus/metrics-dashboard.json",
    ))
    .unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut asked = 0;
    for target in targets {
        let query = target["expr"].as_str().unwrap();
        prometheus.query(
            &query
                .replace("$service", ".*")
                .replace("$__rate_interval", "1m"),
        );
        asked += 1;
    }
    assert!(asked >= 10, "{asked}");
}

#[test]
#[ignore = "needs a Prometheus, which .ci/prometheus fetches"]
fn the_alert_rules_fire_as_they_say() {
    let promtool = programs().join("promtool");
    for arguments in [
        &["check", "config", "prometheus.yaml"][..],
        &["check", "rules", "metrics-alerts.yaml"],
        &["test", "rules", "metrics-alerts.test.yaml"],
    ] {
        let output = Command::new(&promtool)
            .args(arguments)
            .current_dir(repository().join("envoy-configs/prometheus"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}
