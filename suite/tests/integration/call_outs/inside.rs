//! Callbacks that Envoy makes inside of a host call: of a gRPC stream to a cluster without an endpoint,
//! and of a lookup of an address. What the guest deferred is done when the inner callback returns.

use std::time::Duration;

use attache_envoy::http1::{self, Error};
use attache_harness::{Answer, Request};
use serde_json::{Value, json};

use super::{Cluster, LONG, Play, compare, host, started};
use crate::both;

fn stream() -> Value {
    json!({"call": "grpc_stream", "args": ["gone", "t.S", "Ok", {"pairs": []}]})
}

fn call() -> Value {
    json!({"call": "grpc_call", "args": ["gone", "t.S", "Ok", {"pairs": []}, "m", 0]})
}

fn reply() -> Value {
    json!({"call": "send_local_response", "args": [418, "", "tea", {"pairs": []}, -1]})
}

fn play(mut script: Value) -> Play {
    script["trace"] = true.into();
    script["grpc_close"] = json!([{"call": "get_status"}]);
    Play {
        script,
        paths: vec!["/ok", "/trailers"],
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
fn a_reply_before_a_stream_goes_out_behind_the_callback() {
    compare("call_outs-reply-and-stream", || {
        play(json!({"request_headers": [reply(), stream(), {"show": "behind"}]}))
    });
}

#[test]
#[ignore = "needs Envoy"]
fn a_reply_inside_of_a_stream_goes_out_behind_the_callback() {
    compare("call_outs-reply-inside-stream", || {
        let effective = json!({"call": "set_effective_context", "args": ["$stream"]});
        play(json!({
            "request_headers": [{"set": "stream", "to": "$context"}, stream(), {"show": "behind"}],
            "grpc_receive_initial_metadata": [effective, reply()],
        }))
    });
}

#[test]
#[ignore = "needs Envoy"]
fn a_request_that_is_resumed_before_a_stream_goes_on() {
    let resume = json!({"call": "continue_stream", "args": [0]});
    compare("call_outs-resume-and-stream", || {
        play(json!({"request_headers": [resume, stream(), {"show": "behind"}, {"return": 1}]}))
    });
}

/// The answer to a call-out is about no stream: the one that waits for it moves in the middle of
/// `proxy_grpc_stream`, and the probe is entered again.
#[test]
#[ignore = "needs Envoy"]
fn a_waiting_request_moves_in_the_middle_of_a_stream() {
    let effective = json!({"call": "set_effective_context", "args": ["$stream"]});
    let resume = json!({"call": "continue_stream", "args": [0]});
    for (name, moves) in [("resume", resume), ("reply", reply())] {
        compare(&format!("call_outs-{name}-of-another-inside"), || {
            let mut play = play(json!({
                "request_headers": [
                    {"set": "stream", "to": "$context"},
                    {"call": "http_call", "args": [
                        "upstream",
                        {"pairs": [[":method", "GET"], [":path", "/ok"], [":authority", "authz.example"]]},
                        "", {"pairs": []}, LONG,
                    ]},
                    {"return": 1},
                ],
                "http_call_response": [stream(), {"show": "behind"}],
                "grpc_receive_initial_metadata": [effective.clone(), moves.clone()],
                "response_headers": [{"call": "get_header_map_value", "args": [2, ":status"]}],
                "log": [{"call": "get_header_map_value", "args": [0, ":path"]}],
            }));
            play.paths.truncate(1);
            play
        });
    }
}

/// Behind a failure that the guest is to be told of, the inner callback is the last that its worker
/// makes.
#[test]
#[ignore = "needs Envoy"]
fn a_callback_inside_of_a_host_call_behind_a_failed_call_hangs_the_worker() {
    let lookup = json!({"call": "resolve_dns", "args": ["127.0.0.1"]});
    for (name, failed, inner, callback) in [
        (
            "two-streams",
            stream(),
            stream(),
            "grpc_receive_initial_metadata(1, 10, 0)",
        ),
        (
            "call-and-stream",
            call(),
            stream(),
            "grpc_receive_initial_metadata(1, 6, 0)",
        ),
        ("call-and-lookup", call(), lookup, "resolve_dns(1, 2, 20)"),
    ] {
        let script = json!({"request_headers": [failed, inner, {"show": "behind"}]});
        let (mut harness, _) = host(play(script.clone()));
        let error = harness.open(Request::get("/ok")).expect_err(name);
        let message = both::chain(&error);
        assert!(
            message.contains("Envoy's worker would hang"),
            "{name}: {message}"
        );

        let folder = both::folder(&format!("call_outs-{name}"));
        let envoy = started(&play(script), &folder);
        let address = envoy.listener_address("faults").unwrap();
        let request = b"GET /ok HTTP/1.1\r\nhost: example.com\r\n\r\n";
        let answer = http1::exchange(address, request, Duration::from_secs(2));
        let error = answer.expect_err(name);
        assert!(matches!(error, Error::TimedOut { .. }), "{name}: {error}");
        let last = || envoy.log_lines().unwrap().pop().map(|line| line.message);
        let is_callback = |line: String| line.ends_with(callback);
        both::until(|| last().is_some_and(is_callback));
        assert!(last().is_some_and(is_callback), "{:?}", last());
        envoy.stop().unwrap();
    }
}
