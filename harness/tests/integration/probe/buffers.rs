use serde_json::json;

use super::{Tested, lines, lines_of, play};

#[test]
fn a_body_is_cut_to_what_is_there() -> Tested {
    let exchange = play(json!({ "request_body": [{"when": {"count": 1}, "then": [
        {"call": "get_buffer_bytes", "args": [0, 0, 100]},
        {"call": "get_buffer_bytes", "args": [0, 1, 1]},
        {"call": "get_buffer_bytes", "args": [0, 3, 1]},
        {"call": "get_buffer_bytes", "args": [0, 1, 4294967295u32]},
        {"call": "get_buffer_bytes", "args": [0, 0, 0]},
        {"call": "get_buffer_bytes", "args": [9, 0, 1]},
        {"call": "get_buffer_status", "args": [0]},
        {"call": "get_buffer_status", "args": [9]},
    ]}] }))?;
    assert_eq!(
        lines(exchange.log()),
        [
            r#"request_body: get_buffer_bytes(0, 0, 100) = 0 "abc""#,
            r#"request_body: get_buffer_bytes(0, 1, 1) = 0 "b""#,
            "request_body: get_buffer_bytes(0, 3, 1) = 0 null",
            r#"request_body: get_buffer_bytes(0, 1, 4294967295) = 0 "bc""#,
            "request_body: get_buffer_bytes(0, 0, 0) = 0 null",
            "request_body: get_buffer_bytes(9, 0, 1) = 2",
            "request_body: get_buffer_status(0) = 0 3 0",
            "request_body: get_buffer_status(9) = 2",
        ]
    );
    Ok(())
}

#[test]
fn a_body_is_changed_at_its_ends_and_not_within() -> Tested {
    for (start, length, data, status, body) in [
        (0, 0, "X", 0, "Xabc"),
        (0, 1, "X", 0, "Xbc"),
        (0, 3, "X", 0, "X"),
        (0, 100, "X", 0, "X"),
        (0, 2, "", 0, "c"),
        (3, 0, "X", 0, "abcX"),
        (100, 5, "X", 0, "abcX"),
        (1, 1, "X", 2, "abc"),
    ] {
        let exchange = play(json!({ "request_body": [{"when": {"count": 1}, "then": [
            {"call": "set_buffer_bytes", "args": [0, start, length, data]},
            {"call": "get_buffer_bytes", "args": [0, 0, 100]},
        ]}] }))?;
        assert_eq!(
            lines(exchange.log()),
            [
                format!(
                    "request_body: set_buffer_bytes(0, {start}, {length}, {data:?}) = {status}"
                ),
                format!("request_body: get_buffer_bytes(0, 0, 100) = 0 {body:?}"),
            ]
        );
    }
    Ok(())
}

#[test]
fn buffers_that_are_not_of_the_phase_are_empty_or_absent() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "get_buffer_bytes", "args": [0, 0, 1]},
            {"call": "get_buffer_bytes", "args": [1, 0, 1]},
            {"call": "get_buffer_bytes", "args": [7, 0, 1]},
            {"call": "set_buffer_bytes", "args": [0, 0, 0, "x"]},
            {"call": "set_buffer_bytes", "args": [6, 0, 0, "x"]},
        ]))?,
        [
            "get_buffer_bytes(0, 0, 1) = 0 null",
            "get_buffer_bytes(1, 0, 1) = 0 null",
            "get_buffer_bytes(7, 0, 1) = 1",
            r#"set_buffer_bytes(0, 0, 0, "x") = 2"#,
            r#"set_buffer_bytes(6, 0, 0, "x") = 2"#,
        ]
    );
    Ok(())
}

#[test]
fn the_plugin_configuration_is_there_in_create_and_configure_only() -> Tested {
    let steps = json!([{"call": "get_buffer_bytes", "args": [7, 0, 1]}]);
    let script = json!({ "context_create": steps, "vm_start": steps, "configure": steps });
    let host = attache_harness::Host::with(super::probe(script))?;
    assert_eq!(
        lines(host.log())[..3],
        [
            r#"context_create: get_buffer_bytes(7, 0, 1) = 0 "{""#,
            "vm_start: get_buffer_bytes(7, 0, 1) = 1",
            r#"configure: get_buffer_bytes(7, 0, 1) = 0 "{""#,
        ]
    );
    Ok(())
}

#[test]
fn a_buffered_body_grows_until_it_is_let_go() -> Tested {
    let exchange = play(json!({ "trace": true, "request_body": [
        {"call": "get_buffer_status", "args": [0]},
        {"return": 1},
    ], "request_trailers": [{"call": "get_buffer_bytes", "args": [0, 0, 100]}] }))?;
    let log = lines(exchange.log());
    let statuses: Vec<_> = log
        .iter()
        .filter(|line| line.contains("get_buffer"))
        .collect();
    assert_eq!(
        statuses,
        [
            "request_body: get_buffer_status(0) = 0 3 0",
            "request_body: get_buffer_status(0) = 0 6 0",
            r#"request_trailers: get_buffer_bytes(0, 0, 100) = 0 "abcdef""#,
        ]
    );
    assert_eq!(exchange.upstream_request().body(), b"abcdef");
    Ok(())
}
