//! Call-outs, and upstreams that fail: the harness says what Envoy says.
//!
//! A suite has no words for a server that breaks off, so that these tests bring their own.

mod inside;
mod server;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use attache_envoy::upstream::{Reply, Upstream};
use attache_envoy::{
    AccessEntry, Bootstrap, Endpoint, Envoy, FilterSource, Listener, StartOptions, Trailers, http1,
};
use attache_harness::{Answer, GrpcReply, Host, Plugin, Request, Response, UpstreamRequest};
use serde_json::{Value, json};

use self::server::{BEHAVIOURS, UNANSWERED, answering, serve};
use crate::both::{self, envoy, module, nobody};

/// How many milliseconds an answer is waited for that never comes, while others come in a tenth of it.
const LONG: u64 = 1000;

/// What both hosts have to say alike.
#[derive(Debug, Eq, PartialEq)]
struct Told {
    log: Vec<String>,
    /// Status, flags, details and body of each request.
    requests: Vec<(u16, String, String, String)>,
}

/// A play: the probe's script, the requests' paths, and clusters beside the upstream.
struct Play {
    script: Value,
    paths: Vec<&'static str>,
    clusters: Vec<Cluster>,
}

struct Cluster {
    name: &'static str,
    /// None where the cluster has no endpoint.
    address: Option<SocketAddr>,
    http2: bool,
    answer: Answer,
}

fn host(play: Play) -> (Host, Vec<&'static str>) {
    let plugin = Plugin::from_file(module("probe"))
        .name("probe")
        .root_id("probe")
        .config(play.script.to_string());
    let mut builder = Host::builder()
        .plugin(plugin)
        .cluster("upstream", answering());
    for cluster in play.clusters {
        builder = builder.cluster(cluster.name, cluster.answer);
    }
    (builder.start().unwrap(), play.paths)
}

/// What was told, and how many lines there were after each request.
fn on_harness(play: Play) -> (Told, Vec<usize>) {
    let (mut host, paths) = host(play);
    let started = host.log().len();
    // Envoy's own lines are not looked at.
    let lines = |host: &Host| -> Vec<String> {
        let lines = host.log()[started..].iter();
        let own = lines.filter(|line| !line.prefix.is_empty());
        own.map(|line| format!("{}: {}{}", line.level, line.prefix, line.message))
            .collect()
    };
    let mut requests = Vec::new();
    let mut counts = Vec::new();
    for path in paths {
        let id = host.open(Request::get(path)).unwrap();
        host.advance_until_idle(Duration::from_secs(5)).unwrap();
        let exchange = host.exchange(id).unwrap();
        let response = exchange.response();
        requests.push((
            response.status(),
            exchange.flags().to_string(),
            exchange.details().unwrap_or_default().to_owned(),
            String::from_utf8_lossy(&response.body()).into_owned(),
        ));
        counts.push(lines(&host).len());
    }
    let log = lines(&host);
    (Told { log, requests }, counts)
}

/// A real Envoy whose listener `faults` has the probe.
fn started(play: &Play, folder: &Path) -> Envoy {
    let mut plugin = attache_envoy::Plugin::new("probe", module("probe"));
    plugin.configuration = Some(play.script.to_string());
    let mut listener = Listener::new("faults");
    listener.trailers = Trailers::Kept;
    listener.access_log = Some(folder.join("access.log"));
    listener.filters.push(FilterSource::Static(plugin));
    let bootstrap = Bootstrap::new(Endpoint::from(serve()), vec![listener]);
    let mut yaml = bootstrap.to_yaml().unwrap();
    // The clusters stand last.
    for cluster in &play.clusters {
        yaml.push_str(&described(cluster));
    }
    let config: PathBuf = folder.join("envoy.yaml");
    std::fs::write(&config, yaml).unwrap();
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    Envoy::start(envoy(), &config, folder, options).unwrap()
}

/// Plays each request when so many lines are there of those before.
fn on_envoy(play: &Play, folder: &str, counts: &[usize]) -> Told {
    let folder = both::folder(folder);
    let envoy = started(play, &folder);
    let lines = |envoy: &Envoy| -> Vec<String> {
        let lines = envoy.log_lines().unwrap();
        let own = lines
            .iter()
            .filter(|line| line.message.starts_with("wasm log "));
        own.map(ToString::to_string).collect()
    };
    let started = lines(&envoy).len();
    let address = envoy.listener_address("faults").unwrap();
    let mut bodies = Vec::new();
    for (path, count) in play.paths.iter().zip(counts) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: example.com\r\n\r\n");
        let answer = http1::exchange(address, request.as_bytes(), Duration::from_secs(10));
        bodies.push(match answer {
            Ok(response) => response.body,
            Err(http1::Error::Truncated { received }) => received.body,
            Err(error) => panic!("{path}: {error}"),
        });
        both::until(|| lines(&envoy).len() >= started + count);
    }
    let log = lines(&envoy).split_off(started);
    let entries = || AccessEntry::read_all(&folder.join("access.log")).unwrap();
    both::until(|| entries().len() >= play.paths.len());
    let entries = entries();
    envoy.stop().unwrap();
    let requests = entries.into_iter().zip(bodies).map(|(entry, body)| {
        (
            entry.status,
            entry.flags.unwrap_or_else(|| "-".to_owned()),
            entry.details.unwrap_or_default(),
            String::from_utf8_lossy(&body).into_owned(),
        )
    });
    Told {
        log,
        requests: requests.collect(),
    }
}

fn described(cluster: &Cluster) -> String {
    let name = cluster.name;
    let endpoints = cluster.address.map_or_else(String::new, |address| {
        let (ip, port) = (address.ip(), address.port());
        format!("- endpoint: {{ address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }} }}")
    });
    let protocol = if cluster.http2 {
        "http2_protocol_options: {}"
    } else {
        "http_protocol_options: { enable_trailers: true }"
    };
    format!(
        r#"    - name: {name}
      type: STATIC
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {{ {protocol} }}
      load_assignment:
        cluster_name: {name}
        endpoints:
          - lb_endpoints:
            {endpoints}
"#
    )
}

fn compare(folder: &str, play: impl Fn() -> Play) {
    let (predicted, counts) = on_harness(play());
    let seen = on_envoy(&play(), folder, &counts);
    for (predicted, seen) in predicted.log.iter().zip(&seen.log) {
        assert_eq!(predicted, seen, "left: the harness, right: Envoy");
    }
    assert_eq!(predicted, seen, "left: the harness, right: Envoy");
}

/// Upstreams that fail, with the route's timeout made short by the filter.
fn upstream_faults() -> Play {
    let timeout = json!(
        {"call": "add_header_map_value", "args": [0, "x-envoy-upstream-rq-timeout-ms", LONG.to_string()]}
    );
    let short: Vec<Value> = UNANSWERED
        .iter()
        .map(|path| json!({"when": {"path": path}, "then": [timeout]}))
        .collect();
    Play {
        script: json!({
            "trace": true,
            "request_headers": short,
            "response_headers": [
                {"call": "get_header_map_value", "args": [2, ":status"]},
                {"call": "get_header_map_value", "args": [2, "transfer-encoding"]},
            ],
            "log": [{"call": "get_property", "args": ["response\0flags"]}],
        }),
        paths: BEHAVIOURS.iter().map(|known| known.path).collect(),
        clusters: Vec::new(),
    }
}

/// A call of each path, on the way of a request.
fn http_calls() -> Play {
    let call = |cluster: &str, path: &str| {
        let timeout = if UNANSWERED.contains(&path) {
            LONG
        } else {
            10 * LONG
        };
        json!({"call": "http_call", "args": [
            cluster,
            {"pairs": [[":method", "GET"], [":path", path], [":authority", "authz.example"]]},
            "", {"pairs": []}, timeout,
        ]})
    };
    let mut steps: Vec<Value> = BEHAVIOURS
        .iter()
        .map(|known| {
            let made = call("authz", known.path);
            json!({"when": {"path": known.path}, "then": [made]})
        })
        .collect();
    steps.push(json!({"when": {"path": "/refused"}, "then": [call("refused", "/")]}));
    steps.push(json!({"when": {"path": "/unknown"}, "then": [call("unknown", "/")]}));
    steps.push(json!({"when": {"path": "/unknown"}, "then": [{"return": 0}]}));
    steps.push(json!({"set": "stream", "to": "$context"}));
    steps.push(json!({"return": 1}));
    let paths = BEHAVIOURS.iter().map(|known| known.path);
    Play {
        script: json!({
            "trace": true,
            "request_headers": steps,
            "http_call_response": [
                {"call": "get_status"},
                {"call": "get_header_map_value", "args": [6, ":status"]},
                {"call": "get_header_map_value", "args": [6, "content-length"]},
                {"call": "get_header_map_value", "args": [6, "transfer-encoding"]},
                {"call": "get_header_map_value", "args": [7, "x-tr"]},
                {"call": "get_header_map_size", "args": [6], "hide": true},
                {"call": "add_header_map_value", "args": [6, "a", "b"]},
                {"call": "get_buffer_bytes", "args": [4, 0, 999]},
                {"call": "set_buffer_bytes", "args": [4, 0, 1, "x"]},
                {"call": "set_effective_context", "args": ["$stream"]},
                {"call": "get_buffer_status", "args": [4]},
                {"call": "send_local_response", "args": [218, "", "done", {"pairs": []}, -1]},
            ],
        }),
        paths: paths.chain(["/refused", "/unknown"]).collect(),
        clusters: vec![
            Cluster {
                name: "authz",
                address: Some(serve()),
                http2: false,
                answer: answering(),
            },
            Cluster {
                name: "refused",
                address: Some(nobody()),
                http2: false,
                answer: Response::refused().into(),
            },
        ],
    }
}

/// A serialized `GrpcService` that names a cluster.
fn service(cluster: &str) -> Value {
    let size = u8::try_from(cluster.len()).unwrap();
    let text = [&[0x0a, size + 2, 0x0a, size][..], cluster.as_bytes()].concat();
    json!({"hex": text.iter().map(|byte| format!("{byte:02x}")).collect::<String>()})
}

/// A gRPC server that answers by the method of the call.
fn grpc_server() -> Upstream {
    Upstream::start_http2(|request| {
        let reply = Reply::new(200).header("content-type", "application/grpc");
        let frame = |message: &str| {
            let size = u8::try_from(message.len()).unwrap();
            [&[0, 0, 0, 0, size], message.as_bytes()].concat()
        };
        match request.target.as_slice() {
            b"/t.S/Ok" => reply
                .header("x-init", "1")
                .body(frame("hello"))
                .trailer("grpc-status", "0")
                .trailer("x-end", "2"),
            b"/t.S/Two" => reply
                .body([frame("one"), frame("two")].concat())
                .trailer("grpc-status", "5")
                .trailer("grpc-message", "late"),
            b"/t.S/Denied" => reply
                .header("grpc-status", "7")
                .header("grpc-message", "denied"),
            _ => Reply::new(403).body("no"),
        }
    })
    .unwrap()
}

fn grpc_answer() -> Answer {
    Answer::with(|request: &UpstreamRequest| -> Response {
        match request.path() {
            b"/t.S/Ok" => GrpcReply::ok("hello")
                .initial("x-init", "1")
                .trailing("x-end", "2")
                .into(),
            b"/t.S/Two" => GrpcReply::new()
                .message("one")
                .message("two")
                .status(5, "late")
                .into(),
            b"/t.S/Denied" => GrpcReply::error(7, "denied").into(),
            _ => Response::new(403).body("no"),
        }
    })
}

/// Calls and streams of each method; the answer ends the request.
fn grpc_calls(server: SocketAddr) -> Play {
    let calls = [
        ("/ok", json!("g"), "Ok"),
        ("/two", service("g"), "Two"),
        ("/denied", json!("g"), "Denied"),
        ("/forbidden", json!("g"), "Else"),
        ("/refused", json!("gone"), "Ok"),
        ("/unknown", service("nope"), "Ok"),
        ("/unparsable", json!("nope"), "Ok"),
    ];
    let none = json!({"pairs": []});
    let mut steps: Vec<Value> = Vec::new();
    let mut paths = Vec::new();
    for (path, target, method) in &calls {
        let unary =
            json!({"call": "grpc_call", "args": [target, "t.S", method, none, "ping", 10_000]});
        steps
            .push(json!({"when": {"path": path}, "then": [{"set": "kind", "to": "unary"}, unary]}));
        paths.push(*path);
    }
    for (path, method) in [
        ("/s-ok", "Ok"),
        ("/s-two", "Two"),
        ("/s-denied", "Denied"),
        ("/s-else", "Else"),
    ] {
        steps.push(json!({"when": {"path": path}, "then": [
            {"set": "kind", "to": "stream"},
                {"call": "grpc_stream", "args": ["g", "t.S", method, none], "save": "token"},
            {"call": "grpc_send", "args": ["$token", "ping", 0]},
            {"call": "grpc_close", "args": ["$token"]},
        ]}));
        paths.push(path);
    }
    steps.push(json!({"when": {"path": "/unparsable"}, "then": [{"return": 0}]}));
    steps.push(json!({"set": "stream", "to": "$context"}));
    steps.push(json!({"return": 1}));
    let reply = json!([
        {"call": "get_status"},
        {"call": "get_buffer_bytes", "args": [5, 0, 99]},
        {"call": "set_effective_context", "args": ["$stream"]},
        {"call": "send_local_response", "args": [218, "", "done", {"pairs": []}, -1]},
    ]);
    Play {
        script: json!({
            "trace": true,
            "request_headers": steps,
            "grpc_receive_initial_metadata": [
                {"call": "get_header_map_value", "args": [4, "x-init"]},
                {"call": "get_header_map_value", "args": [5, "x-init"]},
            ],
            "grpc_receive": [
                {"call": "get_buffer_bytes", "args": [5, 0, 99]},
                {"call": "get_header_map_pairs", "args": [4]},
                {"when": {"slot": {"kind": "unary"}}, "then": reply.clone()},
            ],
            "grpc_receive_trailing_metadata": [
                {"call": "get_header_map_value", "args": [5, "grpc-status"]},
                {"call": "get_header_map_value", "args": [5, "x-end"]},
            ],
            "grpc_close": reply,
        }),
        paths,
        clusters: vec![
            Cluster {
                name: "g",
                address: Some(server),
                http2: true,
                answer: grpc_answer(),
            },
            Cluster {
                name: "gone",
                address: Some(nobody()),
                http2: true,
                answer: Response::refused().into(),
            },
        ],
    }
}

/// The first callback inside of `proxy_grpc_stream` traps; the guest goes on.
fn trap_inside() -> Play {
    let stream = json!({"call": "grpc_stream", "args": ["gone", "t.S", "Ok", {"pairs": []}]});
    Play {
        script: json!({
            "trace": true,
            "request_headers": [stream, {"call": "get_status"}],
            "grpc_receive_initial_metadata": [{"trap": true}],
        }),
        paths: vec!["/", "/again"],
        clusters: vec![Cluster {
            name: "gone",
            address: None,
            http2: true,
            answer: Answer::no_healthy_endpoint(),
        }],
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_trap_inside_of_a_host_call_ends_alike() {
    compare("call_outs-trap-inside", trap_inside);
}

#[test]
#[ignore = "needs Envoy"]
fn upstreams_fail_alike() {
    compare("call_outs-upstreams", upstream_faults);
}

#[test]
#[ignore = "needs Envoy"]
fn http_calls_are_answered_alike() {
    compare("call_outs-http", http_calls);
}

#[test]
#[ignore = "needs Envoy"]
fn grpc_calls_are_answered_alike() {
    let server = grpc_server();
    compare("call_outs-grpc", || grpc_calls(server.address()));
}

#[test]
fn the_harness_plays_every_fault() {
    for play in [upstream_faults(), http_calls(), grpc_calls(nobody())] {
        let paths = play.paths.len();
        assert_eq!(on_harness(play).0.requests.len(), paths);
    }
}
