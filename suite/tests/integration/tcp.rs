//! TCP filters: the harness against a real Envoy, callback by callback.

mod filter;
mod peers;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use attache_envoy::{Envoy, StartOptions};
use attache_harness::{Host, Plugin};
use serde_json::{Value, json};

use self::filter::{Other, module};
use self::peers::{Act, Received, Upstream, play_client, play_harness};
use crate::both::{chain, envoy, folder};

/// One connection: its filters, what the client does, what the upstream does.
struct Case {
    name: &'static str,
    filters: &'static [&'static [Other]],
    acts: &'static [Act],
    upstream: Upstream,
}

/// What was seen: the lines of stream contexts, each after its filter, and what the peers got.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    lines: Vec<String>,
    downstream: Received,
    upstream: Received,
}

const IDLE: &[Other] = &[];
const HELLO: &[Act] = &[Act::Send("hello"), Act::End, Act::Wait];
const WORLD: Upstream = Upstream::Answers("world!");
const SHOWS: &str = "(call $told (call $get_buffer_bytes (i32.const 2) (i32.const 0) (i32.const 99) (i32.const 16) (i32.const 20)))
    (call $told (i32.load (i32.const 20)))
    (call $told (call $get_buffer_bytes (i32.const 3) (i32.const 0) (i32.const 99) (i32.const 16) (i32.const 20)))
    (call $told (i32.load (i32.const 20))) (i32.lt_u (local.get $n) (i32.const 8))";
const CONTINUES: &str = "(call $told (call $continue_stream (i32.const 2)))";
const AT_THE_END: &str = "(call $told (call $close_stream (i32.const 2)))
    (call $told (call $close_stream (i32.const 3)))
    (call $told (call $continue_stream (i32.const 2)))
    (call $told (call $send_local_response (i32.const 500) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
    (call $told (call $get_header_map_value (i32.const 0) (i32.const 2048) (i32.const 1) (i32.const 16) (i32.const 20)))
    (call $told (call $set_property (i32.const 2048) (i32.const 1) (i32.const 2049) (i32.const 1)))";

const CASES: &[Case] = &[
    Case { name: "plain", filters: &[IDLE, IDLE], acts: HELLO, upstream: WORLD },
    Case {
        name: "upstream-ends-first",
        filters: &[IDLE, IDLE],
        acts: &[Act::Send("hello"), Act::Send("more"), Act::End, Act::Wait],
        upstream: Upstream::AnswersAndEnds("world!"),
    },
    Case { name: "greeting", filters: &[IDLE], acts: HELLO, upstream: Upstream::Greets("220") },
    Case { name: "upstream-resets", filters: &[IDLE, IDLE], acts: HELLO, upstream: Upstream::Resets },
    Case { name: "upstream-refuses", filters: &[IDLE], acts: &[Act::Wait], upstream: Upstream::Refuses },
    Case {
        name: "paused-data",
        filters: &[IDLE, &[("downstream_data", SHOWS), ("upstream_data", SHOWS)], IDLE],
        acts: &[Act::Send("hello"), Act::Send("more"), Act::Send("and more"), Act::End, Act::Wait],
        upstream: WORLD,
    },
    Case {
        name: "paused-ends",
        filters: &[&[("upstream_data", "(local.get $eos)")], IDLE, &[("upstream_data", "(local.get $eos)")]],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "held-connection",
        filters: &[IDLE, &[("new_connection", "i32.const 1"), ("tick", CONTINUES)], IDLE],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "continue-in-callbacks",
        filters: &[
            &[("new_connection", "(call $told (call $continue_stream (i32.const 2))) i32.const 1")],
            &[("downstream_data", "(call $told (call $continue_stream (i32.const 2))) i32.const 0")],
            IDLE,
        ],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "changed-data",
        filters: &[&[
            ("downstream_data", "(call $told (call $set_buffer_bytes (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 2048) (i32.const 1)))
                (call $told (call $set_buffer_bytes (i32.const 2) (i32.const 99) (i32.const 0) (i32.const 2049) (i32.const 1)))
                (call $told (call $set_buffer_bytes (i32.const 2) (i32.const 1) (i32.const 1) (i32.const 2049) (i32.const 1)))
                (call $told (call $set_buffer_bytes (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 2049) (i32.const 1))) i32.const 0"),
            ("upstream_data", "(call $told (call $set_buffer_bytes (i32.const 3) (i32.const 0) (i32.const 99) (i32.const 2050) (i32.const 2)))
                (call $told (call $set_buffer_bytes (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 2049) (i32.const 1))) i32.const 0"),
        ], IDLE],
        acts: &[Act::Send("hello"), Act::Wait],
        upstream: WORLD,
    },
    Case {
        name: "close-new",
        filters: &[IDLE, &[("new_connection", "(call $told (call $close_stream (i32.const 2))) i32.const 0")], IDLE],
        acts: &[Act::Wait],
        upstream: WORLD,
    },
    Case {
        name: "close-down",
        filters: &[IDLE, &[("downstream_data", "(call $told (call $close_stream (i32.const 3))) i32.const 0")], IDLE],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "close-up",
        filters: &[IDLE, &[("upstream_data", "(call $told (call $close_stream (i32.const 2))) i32.const 0")], IDLE],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "calls-at-the-end",
        filters: &[&[
            ("downstream_connection_close", AT_THE_END),
            ("done", "(call $told (call $close_stream (i32.const 2))) i32.const 0"),
            ("log", AT_THE_END),
            ("delete", AT_THE_END),
        ], IDLE],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "http-calls",
        filters: &[&[("downstream_data", "(call $told (call $close_stream (i32.const 0)))
            (call $told (call $close_stream (i32.const 1))) (call $told (call $close_stream (i32.const 4)))
            (call $told (call $continue_stream (i32.const 0))) (call $told (call $continue_stream (i32.const 1)))
            (call $told (call $continue_stream (i32.const 3))) (call $told (call $continue_stream (i32.const 4)))
            (call $told (call $send_local_response (i32.const 500) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
            i32.const 0")]],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "trap-new",
        filters: &[IDLE, &[("new_connection", "unreachable")], IDLE],
        acts: &[Act::Wait],
        upstream: WORLD,
    },
    Case {
        name: "trap-down",
        filters: &[IDLE, &[("downstream_data", "unreachable")], IDLE],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "trap-up",
        filters: &[IDLE, &[("upstream_data", "unreachable")], IDLE],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "trap-at-the-end",
        filters: &[&[("upstream_connection_close", "unreachable")], &[("done", "unreachable")], &[("log", "unreachable")]],
        acts: HELLO,
        upstream: WORLD,
    },
    Case {
        name: "trap-in-a-tick",
        // The line tells when.
        filters: &[IDLE, &[("tick", "(call $told (i32.const 7)) unreachable")]],
        acts: HELLO,
        upstream: WORLD,
    },
];

fn plugin_name(filter: usize) -> String {
    ["A", "B", "C"][filter].to_owned()
}

/// What was seen when the connection stood, and after each act.
fn on_harness(case: &Case) -> Vec<Seen> {
    let plugins = case.filters.iter().enumerate().map(|(at, others)| {
        let name = plugin_name(at);
        let vm_id = format!("{}-{name}", case.name);
        Plugin::from_bytes(name, module(others)).vm_id(vm_id)
    });
    let mut host = Host::builder()
        .tcp_chain("tcp", plugins)
        .start()
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    let mut seen = Vec::new();
    play_harness(&mut host, case.acts, case.upstream, |host, id| {
        let connection = host.connection(id).unwrap();
        let lines = host.log().iter().filter_map(|line| {
            line_of_stream(&format!("{}{}", line.prefix, line.message)).map(|(_, line)| line)
        });
        seen.push(Seen {
            lines: lines.collect(),
            downstream: connection.downstream().into(),
            upstream: connection.upstream().into(),
        });
    })
    .unwrap_or_else(|error| panic!("{}: {}", case.name, chain(&error)));
    seen
}

/// The lines of a case in Envoy's log.
fn lines_of(case: &Case, log: &[attache_envoy::LogLine]) -> Vec<String> {
    let own = |line: &attache_envoy::LogLine| {
        let (vm_id, line) = line_of_stream(&line.message)?;
        let (of, _) = vm_id.rsplit_once('-')?;
        (of == case.name).then_some(line)
    };
    log.iter().filter_map(own).collect()
}

/// The VM and the line of a stream context: `wasm log A case-A: down 5 0`. Roots have no name.
fn line_of_stream(line: &str) -> Option<(&str, String)> {
    let (place, message) = line.strip_prefix("wasm log ")?.split_once(": ")?;
    let (name, vm_id) = place.split_once(' ')?;
    Some((vm_id, format!("{name}: {message}")))
}

fn listener(case: &Case, folder: &Path) -> Value {
    let mut filters: Vec<Value> = Vec::new();
    for (at, others) in case.filters.iter().enumerate() {
        let vm_id = format!("{}-{}", case.name, plugin_name(at));
        let path = folder.join(format!("{vm_id}.wasm"));
        std::fs::write(&path, module(others)).unwrap();
        filters.push(json!({
            "name": "wasm",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
                "config": {
                    "name": plugin_name(at),
                    "vm_config": {
                        "vm_id": vm_id,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": path}},
                    },
                },
            },
        }));
    }
    filters.push(json!({
        "name": "tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": case.name,
            "cluster": case.name,
        },
    }));
    json!({
        "name": case.name,
        "address": address(0),
        "filter_chains": [{"filters": filters}],
    })
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    })
}

/// Plays every case on one Envoy, each act when all has happened that the harness saw before.
fn on_envoy(folder: &Path, predicted: &[Vec<Seen>]) -> BTreeMap<&'static str, Seen> {
    let upstreams: Vec<(u16, Arc<Mutex<Received>>)> =
        CASES.iter().map(|case| case.upstream.listen()).collect();
    let listeners: Vec<Value> = CASES.iter().map(|case| listener(case, folder)).collect();
    let clusters: Vec<Value> = CASES
        .iter()
        .zip(&upstreams)
        .map(|(case, (port, _))| cluster(case.name, *port))
        .collect();
    let config = json!({
        "admin": {"address": address(0)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    });
    let path = folder.join("envoy.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    let envoy = Envoy::start(envoy(), &path, folder, options)
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    let mut downstreams = BTreeMap::new();
    let mut reader = envoy.read_log();
    let mut lines = Vec::new();
    for ((case, predicted), (_, upstream)) in CASES.iter().zip(predicted).zip(&upstreams) {
        let listener = envoy.listener_address(case.name).unwrap();
        let played = play_client(listener, case.acts, |act, received| {
            lines.extend(reader.next_lines().unwrap());
            let predicted = &predicted[act];
            lines_of(case, &lines).len() >= predicted.lines.len()
                && *received == predicted.downstream
                && *upstream.lock().unwrap() == predicted.upstream
        });
        downstreams.insert(case.name, played);
    }
    lines.extend(reader.next_lines().unwrap());
    let seen = CASES
        .iter()
        .zip(upstreams)
        .map(|(case, (_, upstream))| {
            let seen = Seen {
                lines: lines_of(case, &lines),
                downstream: downstreams[case.name].0.clone(),
                upstream: upstream.lock().unwrap().clone(),
            };
            (case.name, seen)
        })
        .collect();
    envoy.stop().unwrap();
    seen
}

#[test]
fn the_harness_plays_every_case_to_an_end() {
    for case in CASES {
        let seen = on_harness(case);
        let last = seen.last().unwrap();
        assert!(last.lines.len() > 2, "{}: {seen:?}", case.name);
    }
}

#[test]
#[ignore = "needs Envoy"]
fn envoy_calls_tcp_filters_as_the_harness_does() {
    let folder = folder("tcp");
    let predicted: Vec<Vec<Seen>> = CASES.iter().map(on_harness).collect();
    let mut seen = on_envoy(&folder, &predicted);
    let mut differences = String::new();
    for (case, mut predicted) in CASES.iter().zip(predicted) {
        let harness = predicted.pop().unwrap();
        let envoy = seen.remove(case.name).unwrap();
        if harness != envoy {
            let name = case.name;
            differences.push_str(&format!(
                "{name}:\n  harness {harness:?}\n  envoy   {envoy:?}\n"
            ));
        }
    }
    assert!(differences.is_empty(), "{differences}");
}
