use std::time::Duration;

use attache_harness::{Host, Outcome, Request};
use serde_json::json;

use super::{Tested, lines, probe, request};

#[test]
fn a_tick_resumes_a_stream_by_its_context_and_later_ones_find_it_gone() -> Tested {
    let mut host = Host::with(probe(json!({
        "vm_start": [{"call": "set_tick_period_milliseconds", "args": [10]}],
        "request_headers": [{"set": "stream", "to": "$context"}, {"return": 1}],
        "tick": [{"when": {"not": {"slot": {"stream": null}}}, "then": [
            {"call": "set_effective_context", "args": ["$stream"]},
            {"call": "get_header_map_value", "args": [0, "x-a"]},
            {"call": "set_effective_context", "args": [0]},
            {"call": "get_header_map_value", "args": [0, "x-a"]},
            {"call": "set_effective_context", "args": ["$stream"]},
            {"call": "continue_stream", "args": [0]},
        ]}]
    })))?;
    let id = host.open(request())?;
    assert!(matches!(
        host.exchange(id)?.outcome(),
        Outcome::Paused { .. }
    ));
    let before = host.log().len();
    host.advance(Duration::from_millis(10))?;
    let expected = [
        "tick: set_effective_context(2) = 0",
        r#"tick: get_header_map_value(0, "x-a") = 0 "v""#,
        "tick: set_effective_context(0) = 0",
        r#"tick: get_header_map_value(0, "x-a") = 2"#,
        "tick: set_effective_context(2) = 0",
        "tick: continue_stream(0) = 0",
    ];
    assert_eq!(lines(&host.log()[before..]), expected);
    assert_eq!(host.exchange(id)?.outcome(), &Outcome::Completed);

    let before = host.log().len();
    host.advance(Duration::from_millis(10))?;
    assert_eq!(
        lines(&host.log()[before..])[0],
        "tick: set_effective_context(2) = 2"
    );
    Ok(())
}

#[test]
fn ticks_are_counted_and_a_period_of_0_ends_them() -> Tested {
    let mut host = Host::with(probe(json!({
        "configure": [{"call": "set_tick_period_milliseconds", "args": [10]}],
        "tick": [
            {"show": "$context"},
            {"when": {"count": 3}, "then": [{"call": "set_tick_period_milliseconds", "args": [0]}]},
        ]
    })))?;
    let before = host.log().len();
    host.advance(Duration::from_millis(100))?;
    // The main thread's copy and the worker's.
    let log = lines(&host.log()[before..]);
    assert_eq!(
        log.iter().filter(|line| *line == "tick: show 1").count(),
        6,
        "{log:?}"
    );
    assert_eq!(log.len(), 8);
    Ok(())
}

#[test]
fn a_context_that_is_unknown_cannot_be_effective() -> Tested {
    assert_eq!(
        super::lines_of(json!([
            {"call": "set_effective_context", "args": [99]},
            {"call": "set_effective_context", "args": ["$root"]},
            {"call": "get_header_map_value", "args": [0, "x-a"]},
            {"call": "set_effective_context", "args": ["$context"]},
            {"call": "get_header_map_value", "args": [0, "x-a"]},
        ]))?,
        [
            "set_effective_context(99) = 2",
            "set_effective_context(1) = 0",
            r#"get_header_map_value(0, "x-a") = 2"#,
            "set_effective_context(2) = 0",
            r#"get_header_map_value(0, "x-a") = 0 "v""#,
        ]
    );
    Ok(())
}

#[test]
fn a_root_has_no_stream_to_act_on() -> Tested {
    let host = Host::with(probe(json!({ "configure": [
        {"call": "get_header_map_value", "args": [0, "x-a"]},
        {"call": "get_header_map_pairs", "args": [0]},
        {"call": "get_buffer_bytes", "args": [0, 0, 1]},
        {"call": "get_buffer_bytes", "args": [4, 0, 1]},
        {"call": "get_property", "args": ["request\0path"]},
        {"call": "set_property", "args": ["k", "v"]},
        {"call": "continue_stream", "args": [0]},
        {"call": "close_stream", "args": [0]},
        {"call": "send_local_response", "args": [403, "", "", {"pairs": []}, -1]},
        {"call": "done"},
        {"call": "get_status"},
    ] })))?;
    assert_eq!(
        lines(&host.log()[..11]),
        [
            r#"configure: get_header_map_value(0, "x-a") = 2"#,
            "configure: get_header_map_pairs(0) = 0 null",
            "configure: get_buffer_bytes(0, 0, 1) = 0 null",
            "configure: get_buffer_bytes(4, 0, 1) = 1",
            r#"configure: get_property("request\x00path") = 1"#,
            r#"configure: set_property("k", "v") = 1"#,
            "configure: continue_stream(0) = 0",
            "configure: close_stream(0) = 0",
            r#"configure: send_local_response(403, "", "", [], -1) = 0"#,
            "configure: done() = 1",
            "configure: get_status() = 0 0 null",
        ]
    );
    Ok(())
}

#[test]
fn every_callback_of_a_stream_is_told_its_context() -> Tested {
    let mut host = Host::with(probe(json!({ "trace": true })))?;
    assert_eq!(
        lines(&host.log()[..3]),
        ["context_create(1, 0)", "vm_start(1, 0)", "configure(1, 14)"]
    );
    let exchange = host.send(request())?;
    assert_eq!(
        lines(exchange.log()),
        [
            "context_create(2, 1)",
            "request_headers(2, 10, 0)",
            "request_body(2, 3, 0)",
            "request_body(2, 3, 0)",
            "request_trailers(2, 1)",
            "response_headers(2, 3, 1)",
            "log(2)",
            "done(2)",
            "delete(2)",
        ]
    );
    Ok(())
}

#[test]
fn a_local_reply_passes_its_own_filter() -> Tested {
    let mut host = Host::with(probe(json!({
        "request_headers": [{"call": "send_local_response",
            "args": [403, "why not", "no\n", {"pairs": [["X-Why", "1"], ["x-why", "2"]]}, -1]}],
        "response_headers": [{"call": "get_header_map_pairs", "args": [2]}],
        "response_body": [{"call": "get_buffer_bytes", "args": [1, 0, 9]}],
    })))?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        lines(exchange.log()),
        [
            r#"request_headers: send_local_response(403, "why not", "no\n", ["X-Why": "1", "x-why": "2"], -1) = 0"#,
            r#"response_headers: get_header_map_pairs(2) = 0 [":status": "403", "x-why": "1", "x-why": "2", "content-length": "3", "content-type": "text/plain"]"#,
            r#"response_body: get_buffer_bytes(1, 0, 9) = 0 "no\n""#,
        ]
    );
    assert_eq!(exchange.response().status(), 403);
    Ok(())
}
