use super::*;
use crate::json::{parse, print};

fn searched(expression: &str, body: &str, dialect: Dialect) -> String {
    let expression = Expression::parse(expression, dialect).expect("an expression");
    let value = parse(body).expect("JSON").value;
    match expression.search(&value, &Fuel::new(100_000)) {
        Ok(found) => print(&found, 100_000).expect("it is small"),
        Err(failure) => format!("{failure:?}"),
    }
}

#[test]
fn what_is_selected_keeps_its_spelling() {
    let body = r#"{"id": 12345678901234567890123, "price": 1.0, "z": {"b": 1e5, "a": "\u00e9"}}"#;
    assert_eq!(
        searched("{price: price, id: id, z: z}", body, Dialect::Standard),
        r#"{"price":1.0,"id":12345678901234567890123,"z":{"b": 1e5, "a": "\u00e9"}}"#
    );
    assert_eq!(
        searched("to_string(z)", body, Dialect::Standard),
        r#""{\"b\":1e5,\"a\":\"\\u00e9\"}""#
    );
    assert_eq!(
        searched("id > `12345678901234567890122`", body, Dialect::Standard),
        "true"
    );
}

#[test]
fn templates_read_two_spellings_more() {
    let body = r#"{"headers": {"x-tenant": "a b"}, "lower": 1}"#;
    assert_eq!(
        searched("headers['x-tenant'] | upper", body, Dialect::Template),
        r#""A B""#
    );
    assert_eq!(
        searched("headers | tojson", body, Dialect::Template),
        r#""{\"x-tenant\":\"a b\"}""#
    );
    assert_eq!(searched("@ | lower", body, Dialect::Standard), "1");
    assert!(Expression::parse("headers['x']", Dialect::Standard).is_err());
}

#[test]
fn work_is_bounded() {
    let doubling = "[@,@][]|".repeat(60) + "@";
    assert_eq!(searched(&doubling, "1", Dialect::Standard), "Work");
    let deep = "[@,@]|".repeat(80) + "@ == `1`";
    assert_eq!(searched(&deep, "1", Dialect::Standard), "false");
    let deep = format!("{0}@ == {0}@", "[@,@]|".repeat(30));
    assert!(Expression::parse(&deep, Dialect::Standard).is_ok());
    assert!(Expression::parse(&"(".repeat(4_000), Dialect::Standard).is_err());
    assert!(Expression::parse(&"a.".repeat(2_000), Dialect::Standard).is_err());
    assert!(Expression::parse(&"!".repeat(4_000), Dialect::Standard).is_err());
}

#[test]
fn faults_say_where() {
    for (expression, at) in [
        ("", 0),
        ("a.", 2),
        ("a b", 2),
        ("foo(a)", 0),
        ("length()", 0),
        ("length(a, b)", 0),
        ("sort_by(a, b)", 0),
        ("length(&a)", 0),
        ("a[", 2),
        ("a[::0]", 6),
        ("`x`", 3),
        ("'x", 2),
        ("a = b", 2),
        ("é", 0),
    ] {
        let fault = Expression::parse(expression, Dialect::Standard).expect_err(expression);
        assert_eq!(fault.at, at, "{expression}: {fault}");
    }
}

#[test]
fn what_a_template_looks_at_is_known() {
    let looks = |text| {
        let expression = Expression::parse(text, Dialect::Template).expect("an expression");
        expression.looks_at("body")
    };
    for text in [
        "body",
        "body.a",
        "headers.x || body.y",
        "to_string(@)",
        "{a: body}",
        "*",
        "length(body[0])",
    ] {
        assert!(looks(text), "{text}");
    }
    for text in [
        "headers.body",
        "`1`",
        "method",
        "headers['x'] | lower",
        "join('', [path, query.a])",
    ] {
        assert!(!looks(text), "{text}");
    }
}
