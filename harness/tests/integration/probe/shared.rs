use serde_json::json;

use super::{Tested, lines_of};

#[test]
fn shared_data_is_changed_by_its_cas_or_without_one() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "get_shared_data", "args": ["k"]},
            {"call": "set_shared_data", "args": ["k", "v", 99]},
            {"call": "get_shared_data", "args": ["k"], "save": ["value", "cas"]},
            {"call": "set_shared_data", "args": ["k", "w", "$cas"]},
            {"call": "set_shared_data", "args": ["k", "x", "$cas"]},
            {"call": "set_shared_data", "args": ["k", null, 0]},
            {"call": "get_shared_data", "args": ["k"]},
            {"show": "$value"},
        ]))?,
        [
            r#"get_shared_data("k") = 1"#,
            r#"set_shared_data("k", "v", 99) = 0"#,
            r#"get_shared_data("k") = 0 "v" 1"#,
            r#"set_shared_data("k", "w", 1) = 0"#,
            r#"set_shared_data("k", "x", 1) = 8"#,
            r#"set_shared_data("k", null, 0) = 0"#,
            r#"get_shared_data("k") = 0 null 3"#,
            r#"show "v""#,
        ]
    );
    Ok(())
}

#[test]
fn keys_and_values_are_any_bytes() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "set_shared_data", "args": [{"hex": "00ff"}, {"times": 600, "of": "x"}, 0]},
            {"call": "get_shared_data", "args": [{"hex": "00ff"}]},
            {"call": "set_shared_data", "args": ["", {"join": ["a", {"u32": 258}]}, 0]},
            {"call": "get_shared_data", "args": [""]},
        ]))?,
        [
            r#"set_shared_data("\x00\xff", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"… 600 bytes, sum f7f2e4ea97561685, 0) = 0"#,
            r#"get_shared_data("\x00\xff") = 0 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"… 600 bytes, sum f7f2e4ea97561685 1"#,
            r#"set_shared_data("", "a\x02\x01\x00\x00", 0) = 0"#,
            r#"get_shared_data("") = 0 "a\x02\x01\x00\x00" 2"#,
        ]
    );
    Ok(())
}
