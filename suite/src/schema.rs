//! The JSON Schema of a suite, from the types that read one.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::file::{
    FormatVersion, HeaderExpect, Headers, Level, LineExpect, Matcher, RequestExpect, Span,
    SuiteFile, Text, UpstreamExpect, Version,
};

/// Scalars that stand for themselves as text.
const SCALAR: [&str; 3] = ["string", "number", "boolean"];

macro_rules! schema {
    ($type:ty, $name:literal, |$generator:ident| $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

fn only(keys: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> = keys
        .iter()
        .map(|key| ((*key).to_owned(), serde_json::json!({ "type": SCALAR })))
        .collect();
    serde_json::json!({
        "type": "object", "properties": properties, "additionalProperties": false,
        "minProperties": 1, "maxProperties": 1,
    })
}

schema!(
    FormatVersion,
    "FormatVersion",
    |_generator| json_schema!({ "const": "1" })
);
schema!(Version, "Version", |_generator| json_schema!({
    "description": "A version, in quotes.", "type": "string",
}));
schema!(Span, "Time", |_generator| json_schema!({
    "description": "A stretch of time: `500ms`, `1.5s`, `2m`.",
    "type": "string", "pattern": "^[0-9.]+ *(ms|s|m)$",
}));
schema!(Text, "Text", |_generator| json_schema!({
    "description": "Bytes: as text, as `{bytes: 'caf\\xe9'}` or as `{base64: Y2Fm6Q==}`.",
    "anyOf": [{ "type": SCALAR }, only(&["bytes", "base64"])],
}));
schema!(Matcher, "Matcher", |_generator| json_schema!({
    "description": "What a text has to be like: a text is equal, `{contains: …}` and the like look \
                    closer, `{matches: …}` is a regular expression for all of it.",
    "anyOf": [
        { "type": SCALAR },
        only(&["contains", "starts_with", "ends_with", "matches", "bytes", "base64"]),
    ],
}));
schema!(Headers, "Headers", |generator| {
    let text = generator.subschema_for::<Text>();
    let lines = serde_json::json!({
        "type": "object",
        "additionalProperties": { "anyOf": [text, { "type": "array", "items": text }] },
    });
    json_schema!({
        "description": "Header lines in order: `name: value`, `name: [value, value]`, or a list of \
                        `- name: value` where the order among repeated names matters.",
        "anyOf": [lines, { "type": "array", "items": lines }],
    })
});
schema!(HeaderExpect, "HeaderExpect", |generator| {
    let matcher = generator.subschema_for::<Matcher>();
    json_schema!({
        "description": "Headers by name, each with what all its values are like.",
        "type": "object",
        "additionalProperties": { "anyOf": [matcher, { "type": "array", "items": matcher }] },
    })
});
schema!(UpstreamExpect, "UpstreamExpect", |generator| {
    let request = generator.subschema_for::<RequestExpect>();
    json_schema!({
        "description": "What the upstream received: keys, or the word `none` for nothing at all.",
        "anyOf": [{ "const": "none" }, request],
    })
});
schema!(LineExpect, "LineExpect", |generator| {
    let (level, matcher) = (
        generator.subschema_for::<Level>(),
        generator.subschema_for::<Matcher>(),
    );
    let text = serde_json::json!({ "type": SCALAR });
    json_schema!({
        "description": "A line that a filter logs: its message, or keys that look closer.",
        "anyOf": [{ "type": SCALAR }, {
            "type": "object",
            "properties": {
                "level": level, "plugin": { "type": "string" }, "message": matcher,
                "contains": text, "starts_with": text, "ends_with": text, "matches": text,
                "bytes": text, "base64": text,
            },
            "additionalProperties": false,
        }],
    })
});

fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<SuiteFile>().to_value();
    without_null(&mut schema);
    schema
}

/// Absent and `null` differ: a key without a value is a mistake.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                choices.retain(|choice| *choice != serde_json::json!({ "type": "null" }));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    members.remove("anyOf");
                    for (key, value) in only {
                        members.entry(key).or_insert(value);
                    }
                }
            }
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            members.values_mut().for_each(without_null);
        }
        Value::Array(elements) => elements.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All suites of the repository.
fn suites(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            suites(&path, found);
        } else if name.ends_with(".suite.yaml") {
            found.push(path);
        }
    }
}

#[test]
fn the_published_schema_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/attache-suite-1.json");
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == text, "BLESS=1 rewrites {}", path.display());
}

#[test]
fn every_suite_of_the_repository_satisfies_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let mut found = Vec::new();
    suites(&repository(), &mut found);
    assert!(!found.is_empty());
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        let faults: Vec<String> = validator
            .iter_errors(&value)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert_eq!(faults, [""; 0], "{}", path.display());
        crate::Suite::load(&path).unwrap();
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let whole = |case: &str| {
        format!("version: \"1\"\nplugins: [{{package: p}}]\ncases:\n  - {{name: a, {case}}}\n")
    };
    for case in [
        "request: {pth: /}",
        "request: {}, expect: {upstream: nothing}",
        "request: {headers: {x: {byte: ''}}}",
        "request: {}, expect: {log: [{level: loud}]}",
        "steps: [{wait: 5}]",
        "request:",
        "request: {}, expect: {response: {status: '200'}}",
    ] {
        let text = whole(case);
        assert!(crate::Suite::from_text("s.yaml", &text).is_err(), "{case}");
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        assert!(!validator.is_valid(&value), "{case}");
    }
}
