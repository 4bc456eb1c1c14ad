use serde_json::{Value, json};

use super::{Tested, lines, lines_of, play};

/// Reads, writes and counts of one map.
fn every_call(map: u32) -> Value {
    json!([
        {"call": "get_header_map_value", "args": [map, "x-none"]},
        {"call": "get_header_map_pairs", "args": [map], "hide": true},
        {"call": "get_header_map_size", "args": [map], "hide": true},
        {"call": "add_header_map_value", "args": [map, "x-n", "1"]},
        {"call": "replace_header_map_value", "args": [map, "x-n", "2"]},
        {"call": "get_header_map_value", "args": [map, "x-n"]},
        {"call": "remove_header_map_value", "args": [map, "x-n"]},
    ])
}

#[test]
fn a_header_is_found_by_any_case_empty_by_null_and_absent_by_its_status() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "get_header_map_value", "args": [0, "X-A"]},
            {"call": "get_header_map_value", "args": [0, "x-e"]},
            {"call": "get_header_map_value", "args": [0, "x-m"]},
            {"call": "get_header_map_value", "args": [0, "host"]},
            {"call": "get_header_map_value", "args": [0, "x-b"]},
            {"call": "get_header_map_value", "args": [0, ""]},
            {"call": "get_header_map_value", "args": [8, "x-a"]},
            {"call": "get_header_map_value", "args": [-1, "x-a"]},
        ]))?,
        [
            r#"get_header_map_value(0, "X-A") = 0 "v""#,
            r#"get_header_map_value(0, "x-e") = 0 null"#,
            r#"get_header_map_value(0, "x-m") = 0 "1""#,
            r#"get_header_map_value(0, "host") = 0 "example.com""#,
            r#"get_header_map_value(0, "x-b") = 1"#,
            r#"get_header_map_value(0, "") = 1"#,
            r#"get_header_map_value(8, "x-a") = 2"#,
            r#"get_header_map_value(-1, "x-a") = 2"#,
        ]
    );
    Ok(())
}

#[test]
fn the_map_of_the_phase_is_writable_and_the_others_are_absent() -> Tested {
    let present = [
        r#"get_header_map_value(M, "x-none") = 1"#,
        "get_header_map_pairs(M) = 0 …",
        "get_header_map_size(M) = 0 …",
        r#"add_header_map_value(M, "x-n", "1") = 0"#,
        r#"replace_header_map_value(M, "x-n", "2") = 0"#,
        r#"get_header_map_value(M, "x-n") = 0 "2""#,
        r#"remove_header_map_value(M, "x-n") = 0"#,
    ];
    let absent = [
        r#"get_header_map_value(M, "x-none") = 2"#,
        "get_header_map_pairs(M) = 0 null",
        "get_header_map_size(M) = 2",
        r#"add_header_map_value(M, "x-n", "1") = 2"#,
        r#"replace_header_map_value(M, "x-n", "2") = 2"#,
        r#"get_header_map_value(M, "x-n") = 2"#,
        r#"remove_header_map_value(M, "x-n") = 2"#,
    ];
    for (callback, own) in [
        ("request_headers", Some(0)),
        ("request_body", None),
        ("request_trailers", Some(1)),
        ("response_headers", Some(2)),
    ] {
        for map in 0..4 {
            let exchange = play(json!({ callback: every_call(map) }))?;
            let expected = if own == Some(map) { present } else { absent };
            let expected =
                expected.map(|line| format!("{callback}: {}", line.replace('M', &map.to_string())));
            let log = lines(exchange.log());
            assert_eq!(&log[..7], expected, "map {map} in {callback}");
        }
    }
    Ok(())
}

#[test]
fn absent_pairs_are_no_error_and_null() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "get_header_map_pairs", "args": [2]},
            {"call": "get_header_map_pairs", "args": [8]},
            {"call": "set_header_map_pairs", "args": [2, {"pairs": [["a", "b"]]}]},
        ]))?,
        [
            "get_header_map_pairs(2) = 0 null",
            "get_header_map_pairs(8) = 2",
            r#"set_header_map_pairs(2, ["a": "b"]) = 2"#,
        ]
    );
    Ok(())
}

#[test]
fn pairs_replace_the_map_and_bytes_that_are_none_empty_it() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "set_header_map_pairs", "args": [0, {"pairs": [["X-B", "1"], ["x-c", ""], ["x-b", "2"]]}]},
            {"call": "get_header_map_pairs", "args": [0]},
            {"call": "get_header_map_size", "args": [0]},
            {"call": "set_header_map_pairs", "args": [0, "garbage"]},
            {"call": "get_header_map_pairs", "args": [0]},
            {"call": "get_header_map_size", "args": [0]},
        ]))?,
        [
            r#"set_header_map_pairs(0, ["X-B": "1", "x-c": "", "x-b": "2"]) = 0"#,
            r#"get_header_map_pairs(0) = 0 ["x-b": "1", "x-c": "", "x-b": "2"]"#,
            "get_header_map_size(0) = 0 11",
            r#"set_header_map_pairs(0, "garbage") = 0"#,
            "get_header_map_pairs(0) = 0 null",
            "get_header_map_size(0) = 0 0",
        ]
    );
    Ok(())
}

#[test]
fn added_values_stand_apart_and_replacing_leaves_one() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "add_header_map_value", "args": [0, "x-m", "3"]},
            {"call": "replace_header_map_value", "args": [0, "X-M", "4"]},
            {"call": "add_header_map_value", "args": [0, ":path", "/y"]},
            {"call": "get_header_map_value", "args": [0, ":path"]},
            {"call": "remove_header_map_value", "args": [0, "x-none"]},
            {"call": "set_header_map_pairs", "args": [0, {"pairs": [["x-m", "1"], ["x-m", "2"], ["x-o", ""]]}]},
            {"call": "replace_header_map_value", "args": [0, "x-m", "3"]},
            {"call": "get_header_map_pairs", "args": [0]},
        ]))?,
        [
            r#"add_header_map_value(0, "x-m", "3") = 0"#,
            r#"replace_header_map_value(0, "X-M", "4") = 0"#,
            r#"add_header_map_value(0, ":path", "/y") = 0"#,
            r#"get_header_map_value(0, ":path") = 0 "/x,/y""#,
            r#"remove_header_map_value(0, "x-none") = 0"#,
            r#"set_header_map_pairs(0, ["x-m": "1", "x-m": "2", "x-o": ""]) = 0"#,
            r#"replace_header_map_value(0, "x-m", "3") = 0"#,
            r#"get_header_map_pairs(0) = 0 ["x-o": "", "x-m": "3"]"#,
        ]
    );
    Ok(())
}

#[test]
fn in_the_log_headers_are_read_only_and_trailers_never_there() -> Tested {
    let exchange = play(json!({ "log": [
        {"call": "get_header_map_value", "args": [0, "x-a"]},
        {"call": "get_header_map_value", "args": [2, ":status"]},
        {"call": "get_header_map_value", "args": [1, "x-t"]},
        {"call": "add_header_map_value", "args": [0, "x-n", "1"]},
        {"call": "remove_header_map_value", "args": [2, ":status"]},
    ] }))?;
    assert_eq!(
        lines(exchange.log()),
        [
            r#"log: get_header_map_value(0, "x-a") = 0 "v""#,
            r#"log: get_header_map_value(2, ":status") = 0 "200""#,
            r#"log: get_header_map_value(1, "x-t") = 1"#,
            r#"log: add_header_map_value(0, "x-n", "1") = 2"#,
            r#"log: remove_header_map_value(2, ":status") = 2"#,
        ]
    );
    Ok(())
}

#[test]
fn a_stream_that_is_done_has_no_maps() -> Tested {
    for callback in ["done", "delete"] {
        let exchange = play(json!({ callback: [
            {"call": "get_header_map_value", "args": [0, "x-a"]},
            {"call": "get_header_map_pairs", "args": [0]},
            {"call": "get_buffer_bytes", "args": [0, 0, 10]},
            {"call": "get_property", "args": ["request\0path"]},
        ] }))?;
        assert_eq!(
            lines(exchange.log()),
            [
                format!(r#"{callback}: get_header_map_value(0, "x-a") = 2"#),
                format!("{callback}: get_header_map_pairs(0) = 0 null"),
                format!("{callback}: get_buffer_bytes(0, 0, 10) = 0 null"),
                format!(r#"{callback}: get_property("request\x00path") = 1"#),
            ]
        );
    }
    Ok(())
}

#[test]
fn without_a_scheme_in_x_forwarded_proto_there_is_no_route() -> Tested {
    for steps in [
        json!([{"call": "remove_header_map_value", "args": [0, "x-forwarded-proto"]}]),
        json!([{"call": "replace_header_map_value", "args": [0, "x-forwarded-proto", ""]}]),
    ] {
        let exchange = play(json!({ "request_headers": steps }))?;
        assert_eq!(exchange.response().status(), 404);
    }
    let odd =
        json!([{"call": "replace_header_map_value", "args": [0, "x-forwarded-proto", "odd"]}]);
    assert_eq!(
        play(json!({ "request_headers": odd }))?.response().status(),
        200
    );
    Ok(())
}
