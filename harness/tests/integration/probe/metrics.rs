use serde_json::json;

use super::{Tested, lines_of};

#[test]
fn each_kind_of_metric_has_its_own_ids_and_rules() -> Tested {
    assert_eq!(
        lines_of(json!([
            {"call": "define_metric", "args": [0, "c"], "save": "c"},
            {"call": "define_metric", "args": [1, "g"], "save": "g"},
            {"call": "define_metric", "args": [2, "h"], "save": "h"},
            {"call": "define_metric", "args": [0, "c"], "save": "again"},
            {"call": "define_metric", "args": [3, "x"]},
            {"call": "increment_metric", "args": ["$c", 5]},
            {"call": "increment_metric", "args": ["$c", 0]},
            {"call": "increment_metric", "args": ["$c", -1]},
            {"call": "record_metric", "args": ["$again", 2]},
            {"call": "get_metric", "args": ["$c"]},
            {"call": "increment_metric", "args": ["$g", -1]},
            {"call": "get_metric", "args": ["$g"]},
            {"call": "record_metric", "args": ["$g", 7]},
            {"call": "get_metric", "args": ["$g"]},
            {"call": "increment_metric", "args": ["$h", 1]},
            {"call": "record_metric", "args": ["$h", 1]},
            {"call": "get_metric", "args": ["$h"]},
            {"call": "get_metric", "args": [0]},
        ]))?,
        [
            r#"define_metric(0, "c") = 0 4"#,
            r#"define_metric(1, "g") = 0 5"#,
            r#"define_metric(2, "h") = 0 6"#,
            r#"define_metric(0, "c") = 0 8"#,
            r#"define_metric(3, "x") = 2"#,
            "increment_metric(4, 5) = 0",
            "increment_metric(4, 0) = 2",
            "increment_metric(4, -1) = 2",
            "record_metric(8, 2) = 0",
            "get_metric(4) = 0 7",
            "increment_metric(5, -1) = 0",
            "get_metric(5) = 0 18446744073709551615",
            "record_metric(5, 7) = 0",
            "get_metric(5) = 0 7",
            "increment_metric(6, 1) = 2",
            "record_metric(6, 1) = 0",
            "get_metric(6) = 2",
            "get_metric(0) = 1",
        ]
    );
    Ok(())
}
