//! What a host may answer to a module of the SDK: any number, to any call, without a panic that can be
//! prevented. The module is the one that is shipped, with the crate `proxy-wasm` in it.

use std::time::Duration;

use attache_harness::{GrpcReply, Host, Plugin, Request, Response};

use crate::both::{chain, module};

/// Every status of the ABI, and some that are not in it.
const STATUSES: [u32; 17] = [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    76,
    4_711,
    u32::MAX,
];

/// Fewer, for calls that are the SDK's own: its unit tests have all of them.
const FEW: [u32; 5] = [0, 1, 6, 11, u32::MAX];

/// The calls that are made through the crate below.
const THROUGH: [&str; 3] = ["proxy_http_call", "proxy_grpc_call", "proxy_grpc_stream"];

/// Filters of the guests, what they are asked for, and the calls that they make.
const PLAYS: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "caller",
        "caller",
        &["/ask", "/ask-late", "/tell", "/both", "/retry", "/flight"],
        &[
            "proxy_http_call",
            "proxy_get_header_map_pairs",
            "proxy_get_buffer_bytes",
            "proxy_get_status",
            "proxy_set_tick_period_milliseconds",
            "proxy_get_current_time_nanoseconds",
            "proxy_continue_stream",
            "proxy_send_local_response",
            "proxy_get_property",
            "proxy_log",
        ],
    ),
    (
        "caller",
        "talker",
        &["/say", "/talk", "/small", "/impatient", "/greeted"],
        &[
            "proxy_grpc_call",
            "proxy_grpc_stream",
            "proxy_grpc_send",
            "proxy_grpc_close",
            "proxy_grpc_cancel",
            "proxy_get_header_map_pairs",
            "proxy_get_buffer_bytes",
            "proxy_get_status",
            "proxy_send_local_response",
        ],
    ),
    (
        "caller",
        "waiter",
        &["/sleep", "/limit", "/intervals", "/answer"],
        &[
            "proxy_set_tick_period_milliseconds",
            "proxy_get_current_time_nanoseconds",
            "proxy_set_effective_context",
            "proxy_continue_stream",
        ],
    ),
    (
        "keeper",
        "meters",
        &["/", "/denied", "/error", "/values"],
        &[
            "proxy_define_metric",
            "proxy_increment_metric",
            "proxy_record_metric",
            "proxy_get_metric",
            "proxy_get_property",
        ],
    ),
    (
        "keeper",
        "sharer",
        &["/add", "/take", "/text", "/read"],
        &["proxy_get_shared_data", "proxy_set_shared_data"],
    ),
    (
        "keeper",
        "queues",
        &["/put", "/get", "/wait", "/lost"],
        &[
            "proxy_register_shared_queue",
            "proxy_resolve_shared_queue",
            "proxy_enqueue_shared_queue",
            "proxy_dequeue_shared_queue",
        ],
    ),
    (
        "keeper",
        "functions",
        &["/packed", "/signed", "/unknown"],
        &["proxy_call_foreign_function", "proxy_get_buffer_bytes"],
    ),
    (
        "keeper",
        "surroundings",
        &["/"],
        &[
            "proxy_get_current_time_nanoseconds",
            "random_get",
            "environ_get",
            "environ_sizes_get",
        ],
    ),
];

fn host(package: &'static str, root_id: &str) -> Host {
    let bytes = std::fs::read(module(package)).unwrap();
    let mut plugin = Plugin::from_bytes(package, bytes).root_id(root_id);
    if root_id == "functions" {
        plugin = plugin.config(r#"{"private": "", "public": ""}"#);
    }
    let mut host = Host::with(plugin).unwrap_or_else(|error| panic!("{}", chain(&error)));
    host.cluster("authz", |_: &_| Response::new(200).body("yes"));
    host.cluster("other", |_: &_| Response::new(200));
    host.cluster("chat", |_: &_| {
        GrpcReply::new().message("hello").status(0, "")
    });
    host
}

/// Sends a request for each path and lets what waits come to its end; why that is a failure, if it is.
fn played(host: &mut Host, paths: &[&str]) -> Result<(), String> {
    for path in paths {
        let request = Request::post(path)
            .header("x-wait", "20")
            .header("authorization", "a")
            .body("some");
        host.open(request).map_err(|error| chain(&error))?;
        let time = host.advance(Duration::from_secs(3));
        time.map_err(|error| chain(&error))?;
    }
    // What a trap leaves, and a panic before it.
    let trapped = host.log().iter().find(|line| {
        let message = &line.message;
        message.starts_with("Function: ") || message.contains("panicked at")
    });
    trapped.map_or(Ok(()), |line| Err(line.message.clone()))
}

#[test]
fn no_status_of_a_call_makes_a_module_panic() {
    let mut failures = Vec::new();
    for (package, root_id, paths, calls) in PLAYS {
        for call in *calls {
            let statuses = if THROUGH.contains(call) {
                &STATUSES[..]
            } else {
                &FEW
            };
            for status in statuses {
                let mut host = host(package, root_id);
                host.force_status(*call, *status);
                if let Err(reason) = played(&mut host, paths) {
                    failures.push(format!("{root_id}: {call} = {status}: {reason}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What cannot be prevented, as ARCHITECTURE.md lists it.
#[test]
fn what_the_crate_below_panics_on_is_known() {
    let mut refuses = host("caller", "caller");
    refuses.force_status("proxy_set_effective_context", 10);
    let reason = played(&mut refuses, &["/tell"]).unwrap_err();
    assert!(reason.contains("unexpected status: 10"), "{reason}");

    for (root_id, path, call) in [
        ("caller", "/tell", "proxy_http_call"),
        ("talker", "/say", "proxy_grpc_call"),
        ("talker", "/talk", "proxy_grpc_stream"),
    ] {
        let mut changes_its_mind = host("caller", root_id);
        assert_eq!(played(&mut changes_its_mind, &[path]), Ok(()), "{call}");
        changes_its_mind.force_status(call, 7);
        let reason = played(&mut changes_its_mind, &[path]).unwrap_err();
        assert!(reason.contains("unexpected status: 7"), "{call}: {reason}");
    }
}
