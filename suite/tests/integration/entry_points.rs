//! All entry points of one Envoy: in which order plugins start, log and end, here and there.

mod answers;

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use attache_envoy::upstream::Upstream;
use attache_envoy::{Envoy, StartOptions, http1};
use attache_harness::{Host, Plugin, Request, TcpReply};
use serde_json::{Value, json};

use crate::both::{chain, envoy, folder, lines_of_filters, nobody};

/// Longer than a tick of the guests.
const TICK: Duration = Duration::from_millis(300);

/// Says what is called, and lets everything pass.
const GUEST: &str = r#"(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "configure/log/stats/done/delete/new/headers")
  (func $say (param i32 i32) (drop (call $log (i32.const 2) (local.get 0) (local.get 1))))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) i32.const 1024)
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (call $say (i32.const 0) (i32.const 9)) i32.const 1)
  (func (export "proxy_on_log") (param i32) (call $say (i32.const 10) (i32.const 3)))
  (func (export "envoy_on_stats_update") (param i32 i32) (call $say (i32.const 14) (i32.const 5)))
  (func (export "proxy_on_done") (param i32) (result i32)
    (call $say (i32.const 20) (i32.const 4)) i32.const 1)
  (func (export "proxy_on_delete") (param i32) (call $say (i32.const 25) (i32.const 6)))
  (func (export "proxy_on_new_connection") (param i32) (result i32)
    (call $say (i32.const 32) (i32.const 3)) i32.const 0)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $say (i32.const 36) (i32.const 7)) i32.const 0))"#;

/// The line as both write it: roots by their root id, streams by their name too.
fn line(text: &str) -> Option<String> {
    let (_, line) = text.split_once("wasm log ")?;
    // Envoy's log format of these tests ends in a quote.
    Some(line.trim_end_matches('"').to_owned())
}

/// What is logged, and how many lines of it after a request and before the end.
fn on_harness(guest: &str) -> (Vec<String>, [usize; 2]) {
    let module = wat::parse_str(guest).unwrap();
    let plugin = |name: &str| {
        Plugin::from_bytes(name, module.clone())
            .root_id(name)
            .vm_id("vm-".to_owned() + name)
    };
    let mut host = Host::builder()
        .singleton_service(plugin("one"))
        .service(plugin("each"))
        .singleton_service(plugin("two"))
        .stats_sink(plugin("sink"))
        .stats_sink(plugin("drain"))
        .http_chain("http", [plugin("a"), plugin("b")])
        .http_access_loggers("http", [plugin("l"), plugin("m")])
        .tcp_chain("tcp", [plugin("c"), plugin("d")])
        .tcp_access_loggers("tcp", [plugin("n")])
        .http_chain("late", [plugin("z")])
        .start()
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    let lines = |host: &Host| -> Vec<String> {
        let lines = host.log().iter();
        lines
            .filter_map(|logged| line(&format!("{}{}", logged.prefix, logged.message)))
            .collect()
    };
    host.send(Request::get("/")).unwrap();
    let answered = lines(&host).len();
    host.tcp_upstream(|_| TcpReply::refuse());
    host.connect().unwrap();
    host.advance(TICK).unwrap();
    let counts = [answered, lines(&host).len()];
    host.shut_down().unwrap();
    (lines(&host), counts)
}

fn typed(name: &str, kind: &str, fields: Value) -> Value {
    let mut config = fields;
    config["@type"] = json!(format!("type.googleapis.com/envoy.{kind}"));
    json!({"name": name, "typed_config": config})
}

/// What is logged on Envoy, where nothing happens before so many lines are there.
fn on_envoy(folder: &Path, guest: &str, [answered, served]: [usize; 2]) -> Vec<String> {
    std::fs::create_dir_all(folder).unwrap();
    let module = folder.join("guest.wasm");
    std::fs::write(&module, wat::parse_str(guest).unwrap()).unwrap();
    let plugin = |name: &str| {
        json!({
            "name": name,
            "root_id": name,
            "vm_config": {
                "vm_id": "vm-".to_owned() + name,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module}},
            },
        })
    };
    let of_kind = |kind: &str, name: &str| typed(name, kind, json!({"config": plugin(name)}));
    let service = |name: &str, singleton: bool| {
        let fields = json!({"config": plugin(name), "singleton": singleton});
        typed(
            "envoy.bootstrap.wasm",
            "extensions.wasm.v3.WasmService",
            fields,
        )
    };
    let sink = |name: &str| {
        let mut sink = of_kind("extensions.stat_sinks.wasm.v3.Wasm", name);
        sink["name"] = json!("envoy.stat_sinks.wasm");
        sink
    };
    let logger = |name: &str| of_kind("extensions.access_loggers.wasm.v3.WasmAccessLog", name);
    let http = |filters: &[&str], loggers: &[&str]| {
        let mut all: Vec<Value> = filters
            .iter()
            .map(|name| of_kind("extensions.filters.http.wasm.v3.Wasm", name))
            .collect();
        all.push(typed(
            "router",
            "extensions.filters.http.router.v3.Router",
            json!({}),
        ));
        let loggers: Vec<Value> = loggers.iter().map(|name| logger(name)).collect();
        let manager = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
        let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "somebody"}});
        let fields = json!({
            "stat_prefix": "http",
            "http_filters": all,
            "access_log": loggers,
            "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]},
        });
        vec![typed("http", manager, fields)]
    };
    let tcp_filter = |name: &str| of_kind("extensions.filters.network.wasm.v3.Wasm", name);
    let tcp_proxy = typed(
        "tcp_proxy",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        json!({"stat_prefix": "tcp", "cluster": "nobody", "access_log": [logger("n")]}),
    );
    let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    let listener = |name: &str, filters: Vec<Value>| json!({"name": name, "address": address, "filter_chains": [{"filters": filters}]});
    let upstream = Upstream::echo().unwrap();
    let cluster = |name: &str, port: u16| {
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
        let endpoint = json!({"endpoint": {"address": address}});
        json!({"name": name, "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        }})
    };
    let config = json!({
        "admin": {"address": address},
        "stats_flush_interval": "290s",
        "bootstrap_extensions": [service("one", true), service("each", false), service("two", true)],
        "stats_sinks": [sink("sink"), sink("drain")],
        "static_resources": {
            "listeners": [
                listener("http", http(&["a", "b"], &["l", "m"])),
                listener("tcp", vec![tcp_filter("c"), tcp_filter("d"), tcp_proxy]),
                listener("late", http(&["z"], &[])),
            ],
            "clusters": [cluster("somebody", upstream.address().port()), cluster("nobody", nobody().port())],
        },
    });
    let path = folder.join("envoy.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    let envoy = Envoy::start(envoy(), &path, folder, options)
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let limit = Duration::from_secs(30);
    http1::exchange(envoy.listener_address("http").unwrap(), request, limit).unwrap();
    lines_of_filters(&envoy, answered);
    let mut client = TcpStream::connect(envoy.listener_address("tcp").unwrap()).unwrap();
    // Envoy closes where its upstream refuses, in whatever way.
    let _ = client.read_to_end(&mut Vec::new());
    lines_of_filters(&envoy, served);
    let log = envoy.log_path().to_owned();
    envoy.stop().unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().filter_map(line).collect()
}

#[test]
fn each_entry_point_starts_and_ends_on_the_harness() {
    let (lines, _) = on_harness(GUEST);
    for name in ["a", "b", "z", "c", "d", "l", "m", "n", "each"] {
        let configured = format!("{name} vm-{name}: configure");
        let count = lines.iter().filter(|line| **line == configured).count();
        assert_eq!(count, 3, "{name} has a canary, a main thread and a worker");
    }
    for name in ["one", "two", "sink", "drain"] {
        let configured = format!("{name} vm-{name}: configure");
        let count = lines.iter().filter(|line| **line == configured).count();
        assert_eq!(count, 2, "{name} runs in the main thread only");
    }
}

/// Every context that belongs to no HTTP filter asks for everything, and tells the statuses.
#[test]
#[ignore = "needs Envoy"]
fn envoy_answers_other_contexts_as_the_harness_does() {
    let guest = answers::guest();
    let folder = folder("entry-answers");
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines.dedup();
        lines.join("\n")
    };
    let (harness, counts) = on_harness(&guest);
    let (harness, envoy) = (sorted(harness), sorted(on_envoy(&folder, &guest, counts)));
    let differences: Vec<String> = harness
        .lines()
        .zip(envoy.lines())
        .filter(|(harness, envoy)| harness != envoy)
        .map(|(harness, envoy)| answers::difference(harness, envoy))
        .collect();
    assert_eq!(harness.lines().count(), envoy.lines().count());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn other_contexts_are_answered_on_the_harness() {
    let (lines, _) = on_harness(&answers::guest());
    for place in ["tick", "stats", "log", "new", "done", "delete"] {
        let start = format!(": {place} ");
        assert!(lines.iter().any(|line| line.contains(&start)), "{place}");
    }
}

#[test]
#[ignore = "needs Envoy"]
fn envoy_starts_logs_and_ends_plugins_in_the_order_of_the_harness() {
    let folder = folder("entry-points");
    let (harness, counts) = on_harness(GUEST);
    let envoy = on_envoy(&folder, GUEST, counts);
    assert_eq!(
        harness.join("\n"),
        envoy.join("\n"),
        "left: the harness, right: Envoy"
    );
}
