use serde_json::json;

use super::{Tested, lines_of};

#[test]
fn pointers_out_of_memory_are_refused() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "get_header_map_value", "args": [0, {"at": 4294967295u32, "length": 1}]},
            {"call": "get_header_map_value", "args": [0, {"end": -2, "length": 3}]},
            {"call": "get_header_map_value", "args": [0, {"of": "x-a", "length": 4294967295u32}]},
            {"call": "get_header_map_value", "args": [0, "x-a"], "out": [4294967292u32]},
            {"call": "get_header_map_value", "args": [0, "x-a"], "out": [{"end": -3}]},
            {"call": "get_header_map_value", "args": [0, "x-a"], "out": [null, {"end": 0}]},
            {"call": "add_header_map_value", "args": [0, "x-n", {"end": 0, "length": 1}]},
            {"call": "log", "args": [2, {"at": 4294967295u32, "length": 2}]},
            {"call": "set_shared_data", "args": ["k", {"end": -1, "length": 2}, 0]},
        ]))?,
        [
            "get_header_map_value(0, at 4294967295+1) = 6",
            "get_header_map_value(0, at end-2+3) = 6",
            r#"get_header_map_value(0, "x-a" as 4294967295 bytes) = 6"#,
            r#"get_header_map_value(0, "x-a") = 6"#,
            r#"get_header_map_value(0, "x-a") = 6"#,
            // The address was written before the size could not be.
            r#"get_header_map_value(0, "x-a") = 6 """#,
            r#"add_header_map_value(0, "x-n", at end+0+1) = 6"#,
            "log(2, at 4294967295+2) = 6",
            r#"set_shared_data("k", at end-1+2, 0) = 6"#,
        ]
    );
    Ok(())
}

#[test]
fn an_allocator_that_gives_nothing_fails_the_call_and_not_the_empty_value() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"malloc": "null"},
            {"call": "get_header_map_value", "args": [0, "x-a"]},
            {"call": "get_header_map_value", "args": [0, "x-e"]},
            {"call": "get_header_map_pairs", "args": [0]},
            {"malloc": "usual"},
            {"call": "get_header_map_value", "args": [0, "x-a"]},
        ]))?,
        [
            r#"get_header_map_value(0, "x-a") = 6"#,
            r#"get_header_map_value(0, "x-e") = 0 null"#,
            "get_header_map_pairs(0) = 6",
            r#"get_header_map_value(0, "x-a") = 0 "v""#,
        ]
    );
    Ok(())
}

#[test]
fn a_level_that_is_none_is_not_logged() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "log", "args": [5, "critical"]},
            {"call": "log", "args": [6, "none"]},
            {"call": "get_log_level"},
        ]))?,
        [
            "critical",
            r#"log(5, "critical") = 0"#,
            r#"log(6, "none") = 2"#,
            "get_log_level() = 0 2",
        ]
    );
    Ok(())
}

#[test]
fn properties_say_what_is_missing_and_what_has_no_bytes() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "get_property", "args": ["request\0path"]},
            {"call": "get_property", "args": ["plugin_name"]},
            {"call": "get_property", "args": ["nothing"]},
            {"call": "get_property", "args": ["request"]},
            {"call": "get_property", "args": [""]},
            {"call": "set_property", "args": ["k", "v"]},
            {"call": "get_property", "args": ["k"]},
            {"call": "get_property", "args": ["k\0below"]},
        ]))?,
        [
            r#"get_property("request\x00path") = 0 "/x""#,
            r#"get_property("plugin_name") = 0 "probe""#,
            r#"get_property("nothing") = 1"#,
            r#"get_property("request") = 3"#,
            r#"get_property("") = 3"#,
            r#"set_property("k", "v") = 0"#,
            r#"get_property("k") = 0 "v""#,
            r#"get_property("k\x00below") = 1"#,
        ]
    );
    Ok(())
}

#[test]
fn streams_that_are_no_streams_are_told_apart() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "continue_stream", "args": [2]},
            {"call": "continue_stream", "args": [3]},
            {"call": "continue_stream", "args": [4]},
            {"call": "close_stream", "args": [4]},
            {"call": "done"},
        ]))?,
        [
            "continue_stream(2) = 0",
            "continue_stream(3) = 12",
            "continue_stream(4) = 2",
            "close_stream(4) = 2",
            "done() = 1",
        ]
    );
    Ok(())
}

#[test]
fn wasi_writes_to_its_log_and_has_no_sockets_but_zeroes() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "fd_write", "args": [1, ["one", " line\n", ""]]},
            {"call": "fd_write", "args": [3, ["x"]]},
            {"call": "fd_fdstat_get", "args": [2, 24]},
            {"call": "sock_recv", "args": [3, ["room"], 0]},
            {"call": "random_get", "args": [65537]},
            {"call": "pthread_equal", "args": [7, 7]},
        ]))?,
        [
            "one line",
            r#"fd_write(1, ["one", " line\n", ""]) = 0 9"#,
            r#"fd_write(3, ["x"]) = 8"#,
            r#"fd_fdstat_get(2, 24) = 0 "\x00\x00\x00\x00\x00\x00\x00\x00@\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00""#,
            // Of the second output only 16 bits are written.
            r#"sock_recv(3, ["room"], 0) = 58 0 3735879680"#,
            "random_get(65537) = 28",
            "pthread_equal(7, 7) = 1",
        ]
    );
    Ok(())
}
