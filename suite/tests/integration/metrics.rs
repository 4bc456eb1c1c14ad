//! The filter metrics as operators see it: in Envoy's own pages, in a Prometheus, in manifests.

mod odd;
mod prometheus;

use std::net::SocketAddr;
use std::time::Duration;

use attache_envoy::upstream::Upstream;
use attache_envoy::{
    Bootstrap, Envoy, FilterSource, Listener, Plugin, RunFolder, StartOptions, http1,
};
use attache_harness::{Attributes, Host, Request, Response, TrafficDirection};
use serde_json::{Value, json};

use crate::both::{envoy, folder, module, repository_file, until};
use crate::crds::Crd;
use crate::envoy_configs::bootstrap;

const LIMIT: Duration = Duration::from_secs(90);

/// The Envoy of the bootstrap `envoy-configs/metrics.yaml`.
fn started(folder: &RunFolder) -> (Envoy, Upstream, SocketAddr) {
    let upstream = Upstream::echo().unwrap();
    let path = folder.join("envoy.yaml");
    std::fs::write(&path, bootstrap("metrics", upstream.address().port())).unwrap();
    let envoy = Envoy::start(envoy(), &path, folder, StartOptions::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let address = envoy.listener_address("http").unwrap();
    (envoy, upstream, address)
}

fn get(address: SocketAddr, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let response = http1::exchange(address, request.as_bytes(), LIMIT).unwrap();
    assert_eq!(response.status, 200, "{path}");
}

/// The lines of `/stats/prometheus` that begin so.
fn scraped(envoy: &Envoy, prefix: &str) -> Vec<String> {
    let page = envoy.admin("/stats/prometheus?usedonly").unwrap();
    let page = String::from_utf8(page.body).unwrap();
    let lines = page.lines().filter(|line| line.starts_with(prefix));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// The labels of a line, and its value.
fn parsed(line: &str) -> (Vec<(&str, &str)>, u64) {
    let (labels, value) = line.split_once("} ").unwrap();
    let (_, labels) = labels.split_once('{').unwrap();
    let pairs = labels.split("\",").map(|pair| {
        let (name, value) = pair.split_once("=\"").unwrap();
        (name, value.trim_end_matches('"'))
    });
    (pairs.collect(), value.parse().unwrap())
}

#[test]
#[ignore = "needs Envoy"]
fn labels_are_labels_at_the_page_that_prometheus_reads() {
    let folder = folder("metrics-page");
    let (envoy, _upstream, address) = started(&folder);
    for path in ["/orders/7", "/orders/8?x=y", "/static/a/b", "/x_rq_200"] {
        get(address, path);
    }
    let lines = scraped(&envoy, "istio_requests_total");
    let found: Vec<(String, String, u64)> = lines
        .iter()
        .map(|line| {
            let (labels, value) = parsed(line);
            let label = |name: &str| {
                let label = labels.iter().find(|(own, _)| *own == name);
                label.unwrap_or_else(|| panic!("{name} in {line}")).1
            };
            assert_eq!(labels.len(), 27, "{line}");
            assert_eq!(label("reporter"), "destination");
            assert_eq!(label("response_code"), "200");
            assert_eq!(label("response_flags"), "-");
            assert_eq!(label("request_protocol"), "http");
            assert_eq!(label("grpc_response_status"), "");
            assert_eq!(label("connection_security_policy"), "none");
            let text = |name| label(name).to_owned();
            (text("request_operation"), text("request_method"), value)
        })
        .collect();
    let expected = [
        ("/orders/{id}", "GET", 2),
        ("/static/{rest...}", "GET", 1),
        ("other", "GET", 1),
    ];
    assert_eq!(
        found,
        expected.map(|(path, method, count)| (path.to_owned(), method.to_owned(), count)),
        "{lines:#?}"
    );
    assert_eq!(
        scraped(&envoy, "attache_requests_total"),
        [r#"attache_requests_total{plugin="metrics"} 4"#]
    );
    // Envoy merges what its threads have recorded every five seconds.
    let buckets = || scraped(&envoy, "istio_request_bytes_bucket");
    until(|| !buckets().is_empty());
    let last = |line: &String| parsed(line).0.contains(&("le", "1073741824"));
    assert!(buckets().iter().any(last), "{:#?}", buckets());
    let latency = scraped(&envoy, "istio_backend_latency_milliseconds_count");
    assert_eq!(latency.len(), 1, "{latency:#?}");
}

fn unbounded(limit: usize) -> String {
    json!({
        "metrics": [{"dimensions": {"path": "request.path"}}],
        "cardinality": {"max_series": limit},
    })
    .to_string()
}

#[test]
#[ignore = "needs Envoy"]
fn thousands_of_random_paths_are_few_series_in_envoy() {
    const SERIES: usize = 100;
    const WORKERS: u32 = 2;
    let folder = folder("metrics-random-paths");
    let upstream = Upstream::echo().unwrap();
    let mut listener = Listener::new("inner");
    let plugin = Plugin::new("metrics", module("metrics")).configured(unbounded(SERIES));
    listener.filters = vec![FilterSource::Static(plugin)];
    let bootstrap = Bootstrap::new(upstream.address().into(), vec![listener]);
    let path = bootstrap.write(&folder.join("envoy.yaml")).unwrap();
    let options = StartOptions {
        concurrency: WORKERS,
        ..StartOptions::default()
    };
    let envoy = Envoy::start(envoy(), &path, &folder, options).unwrap();
    let address = envoy.listener_address("inner").unwrap();
    let requests: u64 = 3_000;
    std::thread::scope(|scope| {
        for client in 0..4 {
            scope.spawn(move || {
                (0..requests / 4).for_each(|number| get(address, &format!("/{client}-{number}")));
            });
        }
    });
    let series = envoy.counters("wasmcustom.istio_requests_total").unwrap();
    // Each worker bounds its own, over all four metrics, and has one series more for the rest.
    assert!(series.len() <= SERIES / 4 * 2 + 2, "{}", series.len());
    assert_eq!(series.iter().map(|(_, count)| count).sum::<u64>(), requests);
    let (_, rest) = series
        .iter()
        .find(|(name, _)| name.contains("path=__overflow__"))
        .unwrap();
    let overflow = envoy
        .stat("wasmcustom.istio_metrics_overflow_total")
        .unwrap();
    assert_eq!(overflow, Some(*rest));
}

#[test]
fn an_hour_of_random_paths_is_bounded_on_the_harness() {
    let bytes = std::fs::read(module("metrics")).unwrap();
    let plugin = attache_harness::Plugin::from_bytes("metrics", bytes).config(unbounded(400));
    let mut host = Host::with(plugin).unwrap();
    let mut fuel = Vec::new();
    for number in 0..10_000_u32 {
        let path = format!("/{:x}/{number}", number.wrapping_mul(2_654_435_761));
        fuel.push(host.send(Request::get(path)).unwrap().cost().fuel);
    }
    let series = |host: &Host, prefix: &str| {
        let counters = host.counters();
        counters
            .filter(|(name, _)| name.starts_with(prefix.as_bytes()))
            .count()
    };
    assert_eq!(series(&host, "istio_requests_total"), 101);
    assert_eq!(host.counter("istio_metrics_overflow_total"), Some(9_900));
    // What is too much costs no more than what is known.
    assert!(fuel[9_999] < fuel[99] * 2, "{} {}", fuel[99], fuel[9_999]);
}

/// The labels of the only series of a metric.
fn labels(host: &Host, metric: &str) -> Vec<(String, String)> {
    let names: Vec<String> = host
        .counters()
        .map(|(name, _)| String::from_utf8(name.to_vec()).unwrap())
        .filter(|name| name.starts_with(metric))
        .collect();
    let [name] = &names[..] else {
        panic!("{names:?}");
    };
    let pairs = name
        .split(';')
        .skip(1)
        .map(|pair| pair.split_once('=').unwrap());
    pairs
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .collect()
}

/// An Envoy as Istio configures it, as far as this filter looks at it.
#[test]
fn labels_come_from_what_istio_tells_a_proxy() {
    let attributes = |direction| {
        Attributes::default()
            .listener_direction(direction)
            .node_metadata([
                ("WORKLOAD_NAME", json!("cart-v2")),
                ("NAMESPACE", json!("shop")),
                ("CLUSTER_ID", json!("north")),
                (
                    "LABELS",
                    json!({
                        "app": "cart",
                        "version": "v2",
                        "service.istio.io/canonical-name": "cart",
                        "service.istio.io/canonical-revision": "v2",
                    }),
                ),
            ])
            .cluster_name("outbound|80||stock.store.svc.cluster.local")
            .cluster_metadata(
                "istio",
                [("services", json!([{"host": "stock.store.svc.cluster.local", "name": "stock", "namespace": "store"}]))],
            )
            .upstream_host_metadata(
                "istio",
                [("workload", json!("stock-v1;store;stock;v1;south"))],
            )
    };
    for (direction, expected) in [
        (
            TrafficDirection::Outbound,
            [
                ("reporter", "source"),
                ("source_workload", "cart-v2"),
                ("source_workload_namespace", "shop"),
                ("source_app", "cart"),
                ("source_version", "v2"),
                ("source_canonical_service", "cart"),
                ("source_canonical_revision", "v2"),
                ("source_cluster", "north"),
                ("destination_workload", "stock-v1"),
                ("destination_workload_namespace", "store"),
                ("destination_service", "stock.store.svc.cluster.local"),
                ("destination_service_name", "stock"),
                ("destination_service_namespace", "store"),
                ("destination_canonical_service", "stock"),
                ("destination_canonical_revision", "v1"),
                ("destination_cluster", "south"),
            ],
        ),
        (
            TrafficDirection::Inbound,
            [
                ("reporter", "destination"),
                ("source_workload", "unknown"),
                ("source_workload_namespace", "unknown"),
                ("source_app", "unknown"),
                ("source_version", "unknown"),
                ("source_canonical_service", "unknown"),
                ("source_canonical_revision", "latest"),
                ("source_cluster", "unknown"),
                ("destination_workload", "cart-v2"),
                ("destination_workload_namespace", "shop"),
                ("destination_service", "stock.store.svc.cluster.local"),
                ("destination_service_name", "stock"),
                ("destination_service_namespace", "shop"),
                ("destination_canonical_service", "cart"),
                ("destination_canonical_revision", "v2"),
                ("destination_cluster", "north"),
            ],
        ),
    ] {
        let bytes = std::fs::read(module("metrics")).unwrap();
        let plugin = attache_harness::Plugin::from_bytes("metrics", bytes);
        let mut host = Host::builder()
            .attributes(attributes(direction))
            .plugin(plugin)
            .start()
            .unwrap();
        host.upstream(|_| Response::new(200));
        host.send(Request::get("/")).unwrap();
        let found = labels(&host, "istio_requests_total;");
        for (name, value) in expected {
            let pair = (name.to_owned(), value.to_owned());
            assert!(found.contains(&pair), "{name}={value} in {found:?}");
        }
    }
}

fn manifest(path: &str) -> Value {
    serde_saphyr::from_str(&repository_file(path)).unwrap()
}

#[test]
fn the_configurations_of_the_manifests_are_accepted() {
    let istio = manifest("envoy-configs/istio/metrics.yaml");
    let gateway = manifest("envoy-configs/envoy-gateway/metrics.yaml");
    for (name, configuration) in [
        (&istio["spec"]["pluginName"], &istio["spec"]["pluginConfig"]),
        (
            &gateway["spec"]["wasm"][0]["rootID"],
            &gateway["spec"]["wasm"][0]["config"],
        ),
    ] {
        let bytes = std::fs::read(module("metrics")).unwrap();
        let plugin = attache_harness::Plugin::from_bytes("metrics", bytes)
            .root_id(name.as_str().unwrap())
            .config(configuration.to_string());
        Host::with(plugin).unwrap_or_else(|error| panic!("{configuration}: {error}"));
    }
}

#[test]
#[ignore = "needs ATTACHE_TEST_DATA, with the real CRDs"]
fn the_manifests_satisfy_the_real_crds() {
    for (crd, path) in [
        ("wasmplugin", "envoy-configs/istio/metrics.yaml"),
        (
            "envoyextensionpolicy",
            "envoy-configs/envoy-gateway/metrics.yaml",
        ),
    ] {
        let crd = Crd::read(crd);
        let manifest = manifest(path);
        crd.check(&manifest);
        let mut unknown = manifest;
        unknown["spec"]["unknown"] = json!({});
        assert_ne!(crd.faults(&unknown), [""; 0], "{path}");
    }
}
