//! Expressions in CEL: the harness and Envoy answer alike.
//!
//! The tables have an expression a line, and what Envoy 1.40 answers to it in request headers: the
//! status of `expr_evaluate` with what it handed out, or `refused` where `expr_create` answers 2. Maps of
//! several keys are left out, because Envoy lists them in another order each time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use attache_suite::{Case, Filter, Reply, Request, Seen};
use serde_json::{Value, json};

use crate::both::{Play, module, plays};

plays! {
    values_and_operators_answer_alike => table(VALUES, |seen| check(seen, VALUES));
    functions_and_macros_answer_alike => table(FUNCTIONS, |seen| check(seen, FUNCTIONS));
    texts_are_read_or_refused_alike => table(SYNTAX, |seen| check(seen, SYNTAX));
    attributes_answer_alike => table(ATTRIBUTES, |seen| check(seen, ATTRIBUTES));
    conversions_answer_alike => table(CONVERSIONS, |seen| check(seen, CONVERSIONS));
    patterns_answer_alike => table(PATTERNS, |seen| check(seen, PATTERNS));
    faults_are_made_good_alike => table(FAULTS, |seen| check(seen, FAULTS));
    attributes_answer_alike_in_every_phase => (every_phase(), |seen| as_written("phases", &statuses(seen)));
    attributes_that_only_a_response_has_answer_alike => (late(), |seen| as_written("late", &answers(seen)));
    limits_of_the_parser_are_alike => (limits(), |seen| as_written("limits", &answers(seen)));
    macros_take_as_many_turns_alike => (turns(), |seen| as_written("turns", &answers(seen)));
    tokens_answer_alike => (tokens(), |seen| as_written("tokens", &answers(seen)));
    the_current_context_counts_and_not_the_effective_one => (contexts(), |seen| {
        as_written("contexts", &answers(seen));
    });
}

const VALUES: &str = include_str!("expressions/values.txt");
const FUNCTIONS: &str = include_str!("expressions/functions.txt");
const SYNTAX: &str = include_str!("expressions/syntax.txt");
const ATTRIBUTES: &str = include_str!("expressions/attributes.txt");
const CONVERSIONS: &str = include_str!("expressions/conversions.txt");
const PATTERNS: &str = include_str!("expressions/patterns.txt");
const FAULTS: &str = include_str!("expressions/faults.txt");

/// The expressions of a table with their answers.
fn rows(table: &str) -> impl Iterator<Item = (&str, &str)> {
    let row = |line| str::split_once(line, "  =>  ").unwrap_or_else(|| panic!("{line}"));
    table.lines().map(row)
}

fn foreign(name: &str, argument: Value) -> Value {
    json!({"call": "call_foreign_function", "args": [name, argument]})
}

fn create(text: &str, token: &str) -> Value {
    json!({
        "call": "call_foreign_function",
        "args": ["expr_create", {"text": text}],
        "save": token,
    })
}

fn evaluate(token: &str) -> Value {
    foreign("expr_evaluate", json!(format!("${token}")))
}

fn delete(token: &str) -> Value {
    foreign("expr_delete", json!(format!("${token}")))
}

/// Creates, evaluates and deletes each expression.
fn steps<'a>(expressions: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let mut steps = vec![json!({"call": "set_property", "args": ["k", "v"]})];
    for expression in expressions {
        steps.extend([create(expression, "t"), evaluate("t"), delete("t")]);
    }
    steps
}

fn play(script: Value) -> Case {
    let filter = Filter::new("probe", module("probe")).configured(script.to_string());
    let request = Request::post("/x?y=1")
        .header("x-a", "v")
        .header("x-e", "")
        .header("x-m", "1")
        .header("x-m", "2")
        .header("x-bytes", b"\xff\x80".as_slice())
        .chunk("abcdef")
        .trailer("x-t", "t");
    let answer = Reply::new(200)
        .header("x-r", "r")
        .body("response")
        .trailer("x-rt", "rt");
    Case::new(filter).answer(answer).request(request)
}

fn table(table: &str, check: fn(&Seen)) -> Play {
    let expressions = rows(table).map(|(expression, _)| expression);
    let case = play(json!({ "request_headers": steps(expressions) }));
    (case, check)
}

fn check(seen: &Seen, table: &str) {
    let answers = seen.log.iter().map(|line| line.message.as_str());
    let answers: Vec<&str> = answers
        .map(|line| line.rsplit_once(") = ").map_or(line, |(_, answer)| answer))
        .collect();
    let calls = answers[1..].chunks(3);
    assert_eq!(calls.len(), rows(table).count());
    let wrong: Vec<String> = calls
        .zip(rows(table))
        .filter_map(|(calls, (expression, expected))| {
            let answer = match calls[0].starts_with('0') {
                true => calls[1],
                false => "refused",
            };
            let answer = match answer.strip_suffix(" null") {
                Some(status) if status != "0" => status,
                _ => answer,
            };
            (answer != expected).then(|| format!("{expression}: {answer}, not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What each call answered, by the callback that made it.
fn answered(seen: &Seen) -> impl Iterator<Item = (&str, &str)> {
    seen.log.iter().filter_map(|line| {
        let (callback, call) = line.message.split_once(": ")?;
        Some((callback, call.rsplit_once(") = ")?.1))
    })
}

/// All answers in their order, a line each.
fn answers(seen: &Seen) -> String {
    let lines = answered(seen).map(|(callback, answer)| format!("{callback}: {answer}\n"));
    lines.collect()
}

/// How often each callback was answered each status.
fn statuses(seen: &Seen) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (callback, answer) in answered(seen) {
        let status = answer.split(' ').next().unwrap_or_default();
        *counts.entry((callback, status)).or_default() += 1;
    }
    let lines = counts.into_iter();
    lines
        .map(|((callback, status), count)| format!("{callback}: {status} {count} times\n"))
        .collect()
}

/// Compares with the file of this name, which `BLESS=1` writes.
fn as_written(name: &str, found: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/expressions");
    let path = folder.join(format!("{name}.answers"));
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{}", path.display());
}

/// Whose value is another one in each run, in some phase.
const VARIES: [&str; 4] = [
    // Whether there is a connection to the upstream yet is a matter of time.
    "upstream_filter_state",
    "response.backend_latency",
    // The order of maps.
    "[response.headers]",
    "{\"h\": request.headers[\"x-m\"], \"n\": 1}",
];

fn every_phase() -> Case {
    let phases = [
        "context_create",
        "vm_start",
        "configure",
        "request_body",
        "request_trailers",
        "response_headers",
        "response_body",
        "response_trailers",
        "log",
        "done",
        "delete",
    ];
    let expressions: Vec<&str> = rows(ATTRIBUTES)
        .map(|(expression, _)| expression)
        .filter(|expression| !VARIES.contains(expression))
        .collect();
    let script = phases.map(|phase| (phase.to_owned(), json!(steps(expressions.iter().copied()))));
    play(Value::Object(script.into_iter().collect()))
}

fn late() -> Case {
    let expressions = [
        "type(request.duration) == type(duration(\"1s\"))",
        "type(response.backend_latency) == type(duration(\"1s\"))",
        "type(upstream.cx_pool_ready_duration) == type(duration(\"1s\"))",
        "upstream.cx_pool_ready_duration >= duration(\"0s\")",
        "has(response.backend_latency)",
        "upstream.address.contains(\":\")",
        "upstream.port > 0",
        "upstream.locality",
        "upstream.locality == xds.node.locality",
        "has(upstream.locality.region)",
        "has(xds.upstream_host_metadata)",
        "xds.upstream_host_metadata",
        "xds.upstream_host_metadata == null",
        "xds.upstream_host_metadata.filter_metadata",
        "type(xds.upstream_host_metadata) == null_type",
        "type(upstream_filter_state) == map",
        "response.code / 100 == 2 && response.headers[\"x-r\"] == \"r\"",
    ];
    let phases = ["response_headers", "response_trailers", "log", "done"];
    let script = phases.map(|phase| (phase.to_owned(), json!(steps(expressions))));
    play(Value::Object(script.into_iter().collect()))
}

/// Terms around terms, up to Envoy's limits and beyond.
fn limits() -> Case {
    let mut expressions: Vec<String> = Vec::new();
    for count in [30, 31, 32, 33] {
        let around = |open: &str, inside: &str, close: &str| {
            format!("{}{inside}{}", open.repeat(count), close.repeat(count))
        };
        expressions.extend([
            around("(", "1", ")"),
            around("[", "1", "]"),
            around("{1: ", "1", "}"),
            around("int(", "1", ")"),
            around("[1].map(x, ", "x", ")"),
            around("[1, (", "1", ")]"),
            around("!", "true", ""),
            around("- ", "(1)", ""),
            around("true ? 1 : ", "2", ""),
            around("", "request", ".a"),
            around("", "[1]", "[0]"),
            around("", "\"a\"", ".contains('a')"),
            around("", "1", " + 1"),
            around("", "true", " == true"),
            around("", "true", " && true"),
            around("(true && ", "true", ")"),
        ]);
    }
    let lengths = [99_999, 100_000, 100_001];
    expressions.extend(lengths.map(|length| format!("1{}", " ".repeat(length - 1))));
    expressions.push(format!("size('{}')", "ä".repeat(99_992)));
    expressions.push(format!("size([{}])", "1,".repeat(2000)));
    play(json!({ "request_headers": steps(expressions.iter().map(String::as_str)) }))
}

fn turns() -> Case {
    let list = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    let nested =
        |count: usize| format!("{}.map(x, {}.all(y, true)).size()", list(100), list(count));
    let expressions = [
        nested(98),
        nested(99),
        format!("{} == 1 || true", nested(99)),
        format!("{}.exists(x, x == 1)", list(20_000)),
        format!("{}.all(x, true)", list(9_999)),
        format!("{}.all(x, true)", list(10_000)),
    ];
    play(json!({ "request_headers": steps(expressions.iter().map(String::as_str)) }))
}

/// Tokens are the root's, and are counted where a function is missing, not where the text is bad.
fn tokens() -> Case {
    let steps = |first: &str| {
        json!([
            create(first, "a"),
            create("1 +", "none"),
            create("missing(1)", "none"),
            create("missing(1", "none"),
            create("Missing{a: 1}", "none"),
            create("[1].map(1, 2)", "none"),
            create("\"b\"", "b"),
            foreign("expr_create", json!("")),
            foreign("expr_create", json!({"hex": "22ff22"})),
            evaluate("a"),
            evaluate("b"),
            evaluate("none"),
            foreign("expr_evaluate", json!({"hex": "000000"})),
            foreign("expr_evaluate", json!({"hex": "0000000000"})),
            foreign("expr_evaluate", json!({"hex": "ffffffff"})),
            foreign("expr_delete", json!({"hex": "000000"})),
            foreign("expr_delete", json!({"hex": "ffffffff"})),
            delete("b"),
            delete("b"),
            evaluate("b"),
            create("\"c\"", "c"),
            evaluate("c"),
            foreign("expr_evaluate", json!({"hex": "00000000"})),
        ])
    };
    play(json!({
        "vm_start": steps("1"),
        "configure": steps("plugin_name"),
        "request_headers": steps("request.path"),
        "response_headers": steps("response.code"),
    }))
}

fn contexts() -> Case {
    let all = json!([
        create("request.path", "path"),
        create("plugin_name", "name"),
        evaluate("path"),
        evaluate("name"),
        {"call": "set_effective_context", "args": ["$root"]},
        evaluate("path"),
        {"call": "get_property", "args": ["request\0path"]},
        create("1", "one"),
        evaluate("one"),
        {"set": "stream", "to": "$context"},
        {"call": "set_tick_period_milliseconds", "args": [20]},
    ]);
    let tick = json!([{ "when": { "count": 1 }, "then": [
        {"call": "set_tick_period_milliseconds", "args": [0]},
        evaluate("path"),
        {"call": "set_effective_context", "args": ["$stream"]},
        evaluate("path"),
        {"call": "get_property", "args": ["request\0path"]},
        evaluate("name"),
        {"call": "continue_stream", "args": [0]},
    ] }]);
    let mut first = all.as_array().cloned().unwrap_or_default();
    first.push(json!({"return": 1}));
    let last = Request::get("/last").after(Duration::from_millis(300));
    let script = json!({
        "request_headers": [{ "when": { "path": "/last" }, "then": [], "else": first }],
        "tick": tick,
    });
    play(script).request(last)
}
