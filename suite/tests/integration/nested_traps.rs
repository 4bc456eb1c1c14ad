//! Traps in callbacks that run inside of a host call. V8 ends the inner call only: the VM has failed,
//! and the guest that made the host call goes on to the end of its callback.

use std::time::Duration;

use attache_suite::{Case, Filter, Reply, Request, Seen, on_envoy, on_harness};
use serde_json::{Value, json};

use crate::both::{Play, chain, envoy, folder, module, plays};

plays! {
    the_guest_goes_on_and_nothing_enters_it_again => play("request_headers", json!([
        lookup(),
        {"call": "get_header_map_value", "args": [0, "x-a"]},
        {"call": "add_header_map_value", "args": [0, "x-b", "1"]},
        lookup(),
        {"show": "reached"},
    ]));
    a_reply_behind_the_trap_gives_the_failures_reply_its_details => play("request_headers", json!([
        lookup(),
        {"call": "send_local_response", "args": [418, "", "tea", {"pairs": []}, -1]},
        {"show": "reached"},
    ]));
    a_resume_behind_the_trap_does_nothing => play("request_headers", json!([
        lookup(), {"call": "continue_stream", "args": [0]},
    ]));
    the_guest_may_trap_too => play("request_headers", json!([lookup(), {"trap": true}]));
    a_response_is_replaced_as_after_any_trap => play("response_headers", json!([
        lookup(), {"call": "add_header_map_value", "args": [2, "x-b", "1"]},
    ]));
    the_log_goes_on => play("log", json!([lookup(), {"show": "reached"}]));
    done_goes_on => play("done", json!([lookup(), {"return": 0}]));
    a_tick_goes_on => tick();
    a_start_that_returns_true_has_not_failed => play("vm_start", json!([lookup()]));
    a_configuration_that_returns_true_is_taken => play("configure", json!([lookup()]));
    a_configuration_is_taken_where_only_a_worker_traps => play("configure", json!([
        {"call": "define_metric", "args": [0, "configured"], "save": "metric"},
        {"call": "increment_metric", "args": ["$metric", 1]},
        {"call": "get_metric", "args": ["$metric"], "save": "count"},
        {"when": {"slot": {"count": 3}}, "then": [lookup()]},
    ]));
    an_allocator_that_traps_in_configure_goes_unnoticed => play("configure", json!([
        {"malloc": "trap"}, {"call": "get_buffer_bytes", "args": [7, 0, 99]},
    ]));
    a_reply_before_a_trap_gives_its_details_too => play("request_headers", json!([
        {"call": "send_local_response", "args": [418, "", "tea", {"pairs": []}, -1]},
        {"trap": true},
    ]));
    a_resume_before_a_trap_does_nothing => play("request_headers", json!([
        {"call": "continue_stream", "args": [0]}, {"trap": true},
    ]));
}

/// An address is answered before the host call returns, and the answer traps.
fn lookup() -> Value {
    json!({"call": "resolve_dns", "args": ["127.0.0.1"]})
}

fn case(mut script: Value) -> Case {
    script["trace"] = true.into();
    script["resolve_dns"] = json!([{"show": "inside"}, {"trap": true}]);
    let filter = Filter::new("probe", module("probe")).configured(script.to_string());
    Case::new(filter)
        .answer(Reply::new(200))
        .request(Request::get("/x").header("x-a", "v"))
        .request(Request::get("/y").header("x-a", "w"))
}

fn play(callback: &str, steps: Value) -> Play {
    (case(json!({ callback: steps })), |seen: &Seen| {
        let second = seen.streams[1].access.as_ref().unwrap();
        assert_eq!(second.details.as_deref(), Some("wasm_fail_stream"));
    })
}

fn tick() -> Play {
    let case = case(json!({
        "request_headers": [
            {"when": {"path": "/y"}, "then": [{"call": "set_tick_period_milliseconds", "args": [20]}]},
        ],
        "tick": [lookup(), {"call": "set_tick_period_milliseconds", "args": [0]}],
    }));
    let last = Request::get("/last").after(Duration::from_millis(300));
    (case.request(last), |seen: &Seen| {
        assert!(seen.streams[1].upstream.is_some());
        assert!(seen.streams[2].upstream.is_none());
    })
}

#[test]
#[ignore = "needs Envoy"]
fn a_close_beside_a_trap_crashes_envoy() {
    let close = json!({"call": "close_stream", "args": [0]});
    for (name, steps) in [
        ("behind", json!([lookup(), close])),
        ("before", json!([close, {"trap": true}])),
    ] {
        let case = case(json!({ "request_headers": steps }));
        let error = on_harness(&case).expect_err(name);
        assert!(chain(&error).contains("Envoy would crash"), "{name}");
        let folder = folder(&format!("nested_traps-close-{name}"));
        on_envoy(&case, envoy(), &folder).expect_err(name);
        let log = std::fs::read_to_string(folder.join("envoy.log")).unwrap();
        assert!(log.contains("Caught Segmentation fault"), "{name}: {log}");
    }
}
