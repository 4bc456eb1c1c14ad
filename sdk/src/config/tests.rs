use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by Deserialize only")]
struct Sample {
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    limit: u8,
    key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by Deserialize only")]
struct Rule {
    name: String,
    #[serde(default)]
    action: Action,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Remove,
    Replace(String),
    Mask {
        #[allow(dead_code, reason = "read by Deserialize only")]
        keep: u8,
    },
}

fn refusal(json: &str) -> (String, String) {
    let error = parse::<Sample>(json.as_bytes()).unwrap_err();
    (error.pointer().to_owned(), error.reason().to_owned())
}

#[test]
fn no_bytes_are_the_empty_object() {
    let sample: Sample = parse(b"").unwrap();
    assert!(sample.rules.is_empty());
}

#[test]
fn each_form_of_an_enum_is_read() {
    let sample: Sample = parse(
        br#"{"limit": 3, "key": "k", "rules": [{"name": "a"}, {"name": "b", "action": "remove"},
            {"name": "c", "action": {"replace": "x"}}, {"name": "d", "action": {"mask": {"keep": 1}}}]}"#,
    )
    .unwrap();
    assert_eq!((sample.limit, sample.rules.len()), (3, 4));
    assert!(matches!(&sample.rules[2].action, Action::Replace(with) if with == "x"));
    assert!(matches!(&sample.rules[3].action, Action::Mask { keep: 1 }));
}

#[test]
fn text_that_is_not_json_is_refused_with_line_and_column() {
    let (pointer, reason) = refusal("{\n  rules: []\n}");
    assert_eq!(pointer, "");
    assert_eq!(reason, "not JSON: key must be a string at line 2 column 3");
}

#[test]
fn a_fault_carries_its_json_pointer() {
    let (pointer, reason) = refusal(r#"{"rules": [{"name": "a"}, {"name": 7}]}"#);
    assert_eq!(pointer, "/rules/1/name");
    assert_eq!(reason, "expected a string, found an integer");
}

#[test]
fn an_unknown_field_is_named_and_the_known_ones_listed() {
    let (pointer, reason) = refusal(r#"{"rules": [{"name": "a", "x/y~": 1}]}"#);
    assert_eq!(pointer, "/rules/0/x~1y~0");
    assert_eq!(reason, "unknown field, expected one of `name`, `action`");
}

#[test]
fn a_missing_field_is_named() {
    assert_eq!(
        refusal(r#"{"rules": [{}]}"#),
        ("/rules/0/name".to_owned(), "missing".to_owned())
    );
}

#[test]
fn a_key_given_twice_is_refused() {
    let (pointer, reason) = refusal(r#"{"limit": 1, "limit": 2}"#);
    assert!(reason.contains(r#"key "limit" given twice"#), "{reason}");
    assert_eq!(pointer, "/limit");
}

#[test]
fn the_first_key_given_twice_is_named_with_its_place() {
    let json =
        r#"{"a": {"x": 1}, "b/c": [0, {"x": {}, "y": 1, "x": 2}, {"z": 0, "z": 0}], "a": 1}"#;
    let (pointer, reason) = refusal(json);
    assert_eq!(pointer, "/b~1c/1/x");
    assert_eq!(reason, r#"key "x" given twice"#);
}

#[test]
fn a_number_out_of_range_is_refused() {
    let (pointer, reason) = refusal(r#"{"limit": 256}"#);
    assert_eq!(pointer, "/limit");
    assert_eq!(reason, "expected u8, found another integer");
}

#[test]
fn values_never_stand_in_a_refusal() {
    for json in [
        r#"{"limit": "hunter2"}"#,
        r#"{"rules": "hunter2"}"#,
        r#"{"rules": [{"name": "a", "action": "hunter2"}]}"#,
        r#"{"rules": [{"name": "a", "action": {"remove": "hunter2"}}]}"#,
        r#"{"key": ["hunter2"]}"#,
        r#""hunter2""#,
        "hunter2",
    ] {
        let error = parse::<Sample>(json.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_key_cannot_forge_a_log_line() {
    let error = parse::<Sample>(b"{\"a\\nfilter=x\": 1}").unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = format!("{{\"rules\": {}", "[".repeat(100_000));
    let (_, reason) = refusal(&deep);
    assert!(reason.contains("nested too deeply"), "{reason}");
}

#[test]
fn numbers_keep_their_sign_and_lists_their_length() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Numbers {
        signed: i32,
        ratio: f64,
        whole: f32,
        pair: (u8, i64),
    }
    let numbers: Numbers =
        parse(br#"{"signed": -1, "ratio": -2, "whole": 0.5, "pair": [1, -3]}"#).unwrap();
    let expected = Numbers {
        signed: -1,
        ratio: -2.0,
        whole: 0.5,
        pair: (1, -3),
    };
    assert_eq!(numbers, expected);
    // As Envoy hands over what it read from YAML.
    let numbers: Numbers =
        parse(br#"{"signed": "-1", "ratio": "-0.25", "whole": "1e2", "pair": [1, "5000000000"]}"#)
            .unwrap();
    assert_eq!((numbers.ratio, numbers.whole), (-0.25, 100.0));
    assert_eq!((numbers.signed, numbers.pair.1), (-1, 5_000_000_000));
    for text in ["hunter2", "inf", "NaN", "", "1e999"] {
        let json = format!(r#"{{"signed": 1, "ratio": "{text}", "whole": 1, "pair": [1, 1]}}"#);
        let error = parse::<Numbers>(json.as_bytes()).unwrap_err();
        assert_eq!(error.reason(), "expected f64, found a string");
    }
    let error = parse::<(u8, u8)>(b"[1, 2, 3]").unwrap_err();
    assert_eq!(error.reason(), "1 elements too many");
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "read by Deserialize only")]
struct Loose {
    #[serde(default)]
    sizes: Vec<Size>,
    #[serde(default)]
    parts: Vec<Part>,
    kind: Option<Kind>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "read by Deserialize only")]
enum Size {
    Word(String),
    Count { count: u8 },
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "read by Deserialize only")]
struct Part {
    name: String,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "read by Deserialize only")]
struct Rest {
    limit: u8,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(dead_code, reason = "read by Deserialize only")]
enum Kind {
    Fixed { limit: u8 },
    Free,
}

#[test]
fn faults_within_untagged_tagged_and_flattened_types_name_at_least_the_enclosing_object() {
    parse::<Loose>(
        br#"{"sizes": ["a", {"count": 1}], "parts": [{"name": "a", "limit": 1}],
            "kind": {"type": "fixed", "limit": 2}}"#,
    )
    .unwrap();
    for (json, pointer, reason) in [
        (
            r#"{"sizes": ["a", {"count": "hunter2"}]}"#,
            "/sizes/1",
            "data did not match any variant of untagged enum Size",
        ),
        (
            r#"{"parts": [{"name": "a", "limit": "hunter2"}]}"#,
            "/parts/0",
            "expected u8, found a string",
        ),
        (r#"{"parts": [{"limit": 1}]}"#, "/parts/0/name", "missing"),
        (r#"{"parts": [{"name": "a"}]}"#, "/parts/0/limit", "missing"),
        (
            r#"{"kind": {"type": "hunter2"}}"#,
            "/kind/type",
            "expected one of `fixed`, `free`",
        ),
        (
            r#"{"kind": {"type": "fixed", "limit": 300}}"#,
            "/kind",
            "expected u8, found another integer",
        ),
        (r#"{"kind": {"limit": 3}}"#, "/kind/type", "missing"),
    ] {
        let error = parse::<Loose>(json.as_bytes()).unwrap_err();
        assert_eq!(
            (error.pointer(), error.reason()),
            (pointer, reason),
            "{json}"
        );
    }
}

#[test]
fn a_filter_without_configuration_takes_none_or_an_empty_object() {
    for bytes in ["", "{}", "null"] {
        parse::<()>(bytes.as_bytes()).unwrap();
    }
    let error = parse::<()>(br#"{"rules": []}"#).unwrap_err();
    assert!(error.reason().contains("nothing to configure"), "{error}");
}
