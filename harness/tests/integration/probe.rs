//! Tables 1.6 and 1.7 of the host's behaviour, by scripts of host calls.

use attache_harness::{Exchange, Host, HostError, Plugin, Request, plugin};
use serde_json::{Value, json};

use crate::guest::said;

type Tested = Result<(), HostError>;

fn probe(script: Value) -> Plugin {
    plugin!("probe").config(script)
}

/// Plays one GET for `/x` with the header `x-a: v` by a script for `request_headers`.
fn request_headers(steps: Value) -> Result<Exchange, HostError> {
    let mut host = Host::with(probe(json!({ "request_headers": steps })))?;
    host.send(Request::get("/x").header("x-a", "v").header("x-e", ""))
}

#[test]
fn a_header_is_found_by_any_case_empty_by_null_and_absent_by_its_status() -> Tested {
    let exchange = request_headers(json!([
        {"call": "get_header_map_value", "args": [0, "X-A"]},
        {"call": "get_header_map_value", "args": [0, "x-e"]},
        {"call": "get_header_map_value", "args": [0, "x-b"]},
        {"call": "get_header_map_value", "args": [8, "x-b"]},
        {"call": "get_header_map_value", "args": [2, "x-b"]},
    ]))?;
    assert_eq!(
        said(exchange.log()),
        [
            r#"request_headers: get_header_map_value(0, "X-A") = 0 "v""#,
            r#"request_headers: get_header_map_value(0, "x-e") = 0 null"#,
            r#"request_headers: get_header_map_value(0, "x-b") = 1"#,
            r#"request_headers: get_header_map_value(8, "x-b") = 2"#,
            r#"request_headers: get_header_map_value(2, "x-b") = 2"#,
        ]
    );
    Ok(())
}
