//! Messages that filters keep as properties, and what is below them: the harness and Envoy answer alike.

use attache_suite::{Case, Filter, Request, Seen};
use serde_json::{Value, json};

use crate::both::{Play, module, plays};

plays! {
    messages_of_known_types_answer_alike => kept(&known());
    what_is_no_message_answers_alike => kept(&broken());
    objects_of_envoys_own_answer_alike => play(json!({ "request_headers": objects() }));
}

/// A property: its name, type URL and bytes, and what is read below it.
type Property = (
    &'static str,
    &'static str,
    &'static [u8],
    &'static [&'static str],
);

const STRUCT: &[u8] = b"\n\x08\n\x01a\x12\x03\x1a\x01x\
    \n\x0e\n\x01n\x12\x09\x11\0\0\0\0\0\0\xf8\x3f\
    \n\x11\n\x01l\x12\x0c\x32\x0a\n\x04\x1a\x02e1\n\x02\x20\x01\
    \n\x15\n\x01s\x12\x10\x2a\x0e\n\x0c\n\x02in\x12\x06\x1a\x04deep\
    \n\x09\n\x03nul\x12\x02\x08\0";

fn known() -> [Property; 19] {
    const INSIDE: &[&str] = &[
        "a", "n", "l", "l/0", "l/1", "l/9", "s", "s/in", "nul", "fields",
    ];
    [
        ("st", "Struct", STRUCT, INSIDE),
        ("st1", "Struct", STRUCT.split_at(10).0, &["a"]),
        ("st0", "Struct", b"", &["a"]),
        ("va", "Value", b"\x1a\x02vv", &["string_value"]),
        (
            "vs",
            "Value",
            b"\x2a\x0a\n\x08\n\x01a\x12\x03\x1a\x01x",
            &["a", "struct_value"],
        ),
        ("vn", "Value", b"", &["a"]),
        (
            "li",
            "ListValue",
            b"\n\x04\x1a\x02e1\n\x02\x08\0",
            &["0", "1", "2", "values"],
        ),
        ("l1", "ListValue", b"\n\x04\x1a\x02e1", &["0"]),
        ("sv", "StringValue", b"\n\x03abc", &["value"]),
        ("by", "BytesValue", b"\n\x01\xff", &["value"]),
        ("bv", "BoolValue", b"\x08\x01", &["value"]),
        ("i64", "Int64Value", b"\x08\x05", &["value"]),
        (
            "i32",
            "Int32Value",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            &["value"],
        ),
        (
            "u64",
            "UInt64Value",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            &["value"],
        ),
        ("dv", "DoubleValue", b"\x09\0\0\0\0\0\0\xf8\x3f", &["value"]),
        ("fv", "FloatValue", b"\x0d\0\0\xc0\x3f", &["value"]),
        ("du", "Duration", b"\x08\x05\x10\x07", &["seconds"]),
        ("ts", "Timestamp", b"\x08\x05\x10\x07", &["seconds"]),
        ("em", "Empty", b"", &["x"]),
    ]
}

fn broken() -> [Property; 8] {
    [
        ("cut", "Struct", b"\n\xff", &["a"]),
        ("latin", "StringValue", b"\n\x01\xff", &["value"]),
        ("kind", "StringValue", b"\x08\x05", &["value"]),
        (
            "group",
            "StringValue",
            b"\x33\x08\x01\x34\n\x01g",
            &["value"],
        ),
        (
            "none",
            "/no.such.Type",
            b"\n\x01x",
            &["x", "type_url", "value"],
        ),
        (
            "bare",
            "|google.protobuf.StringValue",
            b"\n\x01x",
            &["value"],
        ),
        (
            "odd",
            "|x/y/google.protobuf.StringValue",
            b"\n\x01x",
            &["value"],
        ),
        ("empty", "|", b"\n\x01x", &["value"]),
    ]
}

fn url(kind: &str) -> String {
    if let Some(url) = kind.strip_prefix('|') {
        url.to_owned()
    } else if let Some(kind) = kind.strip_prefix('/') {
        format!("type.googleapis.com/{kind}")
    } else {
        format!("type.googleapis.com/google.protobuf.{kind}")
    }
}

fn foreign(name: &str, argument: &[u8]) -> Value {
    json!({"call": "call_foreign_function", "args": [name, { "hex": hex(argument) }]})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A field that has a length, of less than 128 bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    [&[number << 3 | 2, length], bytes].concat()
}

fn get(path: &str) -> Value {
    json!({"call": "get_property", "args": [{ "text": path.replace('/', "\0") }]})
}

fn evaluate(text: &str) -> [Value; 2] {
    [
        json!({
            "call": "call_foreign_function",
            "args": ["expr_create", { "text": text }],
            "save": "token",
        }),
        json!({"call": "call_foreign_function", "args": ["expr_evaluate", "$token"]}),
    ]
}

/// Declares properties, sets them, and reads them in all ways.
fn kept(properties: &[Property]) -> Play {
    let (mut declared, mut read) = (Vec::new(), Vec::new());
    for (name, kind, bytes, below) in properties {
        // 1: name, 3: type, 4: schema.
        let argument = [
            field(1, name.as_bytes()),
            vec![3 << 3, 3],
            field(4, url(kind).as_bytes()),
        ];
        declared.push(foreign("declare_property", &argument.concat()));
        read.push(json!({"call": "set_property", "args": [name, { "hex": hex(bytes) }]}));
        read.push(get(name));
        read.push(get(&format!("filter_state/wasm.{name}")));
        read.extend(evaluate(name));
        read.extend(evaluate(&format!("filter_state[\"wasm.{name}\"]")));
        read.extend(evaluate(&format!("type({name}) == type(plugin_name)")));
        read.extend(evaluate(&format!("{name} == {name}")));
        for part in *below {
            read.push(get(&format!("{name}/{part}")));
            read.push(get(&format!("filter_state/wasm.{name}/{part}")));
            if part.chars().all(|letter| letter.is_ascii_lowercase()) {
                read.extend(evaluate(&format!("{name}.{part}")));
                read.extend(evaluate(&format!("has({name}.{part})")));
            }
        }
    }
    if properties.iter().any(|(name, ..)| *name == "st") {
        for text in [
            "st.l.map(x, x)",
            "st.size()",
            "st1 == {\"a\": \"x\"}",
            "st.n + 1.0",
            "sv + \"x\"",
            "i64 + 1",
            "u64 > 5u",
            "du == duration(\"5.000000007s\")",
            "ts == timestamp(\"1970-01-01T00:00:05.000000007Z\")",
        ] {
            read.extend(evaluate(text));
        }
    }
    play(json!({ "configure": declared, "request_headers": read }))
}

fn objects() -> Vec<Value> {
    let mut steps = Vec::new();
    for (name, value) in [
        ("envoy.string", "s"),
        ("envoy.bool", "true"),
        ("envoy.upstream.dynamic_port", "5"),
        ("envoy.network.application_protocols", "h2"),
        (
            "envoy.filters.listener.original_dst.local_ip",
            "127.0.0.1:80",
        ),
        ("envoy.network.ip", "10.0.0.1"),
    ] {
        let argument = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
        steps.push(foreign("set_envoy_filter_state", &argument));
        let object = format!("filter_state[\"{name}\"]");
        for text in [
            object.clone(),
            format!("type({object}) == string"),
            format!("type({object}) == bytes"),
            format!("type({object}) == map"),
            format!("{object}.ip"),
            format!("{object}.port + 1"),
            format!("has({object}.port)"),
            format!("has({object}.nothing)"),
            format!("size({object})"),
            format!("\"{name}\" in filter_state"),
            format!("{object} == {{}}"),
            format!("{object}.map(k, k)"),
        ] {
            steps.extend(evaluate(&text));
        }
    }
    steps
}

fn play(script: Value) -> Play {
    let filter = Filter::new("probe", module("probe")).configured(script.to_string());
    let case = Case::new(filter).request(Request::get("/"));
    (case, |seen: &Seen| {
        assert!(seen.log.len() > 60, "{seen:#?}")
    })
}
