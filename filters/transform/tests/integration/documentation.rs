//! What the README says is what the module does.

use std::fmt::Write;
use std::path::Path;

use attache::schemars::schema_for;
use attache_harness::{Host, HostError, plugin};
use serde_json::Value;
use transform::config::Config;

const README: &str = include_str!("../../README.md");
const SCHEMA: &str = include_str!("../../configuration.schema.json");
const BEGIN: &str = "<!-- fields -->\n";
const END: &str = "<!-- end of fields -->";

/// Each example of a configuration.
fn examples() -> impl Iterator<Item = &'static str> {
    let blocks = README.split("```json\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("the example ends"))
}

#[test]
fn the_recipes_are_configurations_that_work() -> Result<(), HostError> {
    assert_eq!(examples().count(), 3);
    for example in examples() {
        Host::with(plugin!("transform").config(example))?;
    }
    Ok(())
}

/// The fields of a configuration as a table: path, type, meaning.
fn table(schema: &Value) -> String {
    let mut rows = String::from("| field | type | meaning |\n|---|---|---|\n");
    fields(schema, schema, "", &mut rows);
    rows
}

/// What a reference stands for.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let name = schema["$ref"].as_str();
    match name.and_then(|name| root.pointer(name.trim_start_matches('#'))) {
        Some(found) => found,
        None => schema,
    }
}

/// The schema itself, without the null that an optional field may be.
fn present<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let variants = schema["anyOf"].as_array();
    let found = variants.and_then(|variants| variants.iter().find(|one| one["type"] != "null"));
    resolved(
        root,
        found
            .filter(|_| {
                schema["anyOf"].as_array().is_some_and(|all| {
                    all.len() == 2 && all.iter().any(|one| one["type"] == "null")
                })
            })
            .unwrap_or(schema),
    )
}

fn kind(root: &Value, schema: &Value) -> String {
    let words = |variants: &[Value]| {
        let words = variants.iter().filter_map(|one| one["const"].as_str());
        words
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if let Some(variants) = schema["oneOf"].as_array() {
        return words(variants);
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().filter_map(Value::as_str);
        return words
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(variants) = schema["anyOf"].as_array() {
        let kinds = variants.iter().map(|one| kind(root, resolved(root, one)));
        return kinds.collect::<Vec<_>>().join(" or ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.first().and_then(Value::as_str),
        name => name.as_str(),
    };
    match name {
        Some("array") => format!("list of {}", kind(root, present(root, &schema["items"]))),
        Some("object") if schema["additionalProperties"].is_object() => "object by name".to_owned(),
        Some(name) => name.to_owned(),
        None => "any JSON".to_owned(),
    }
}

fn fields(root: &Value, schema: &Value, path: &str, rows: &mut String) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    for (name, property) in properties {
        let here = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let inner = present(root, property);
        let meaning = [property, inner].map(|one| one["description"].as_str());
        let meaning = meaning.into_iter().flatten().next().unwrap_or_default();
        let meaning = meaning.replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(rows, "| `{here}` | {} | {meaning} |", kind(root, inner));
        // The two sides are alike, and so are conditions.
        let is_told = name == "response" || path.contains(".match") && name != "path";
        if is_told {
            continue;
        }
        fields(root, inner, &here, rows);
        let element = present(root, &inner["items"]);
        fields(root, element, &format!("{here}[]"), rows);
    }
}

#[test]
fn the_table_of_fields_is_that_of_the_schema() {
    let schema = schema_for!(Config).to_value();
    let (before, rest) = README.split_once(BEGIN).expect("the table begins");
    let (found, after) = rest.split_once(END).expect("the table ends");
    let made = table(&schema);
    if std::env::var_os("BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        std::fs::write(path, [before, BEGIN, &made, END, after].concat()).expect("it is written");
        return;
    }
    assert_eq!(found, made, "run it with BLESS=1 to write the table");
}

/// With `BLESS=1` it is written.
#[test]
fn the_schema_is_that_of_the_code() {
    let mut schema = schema_for!(Config).to_value();
    schema["title"] = "the configuration of transform".into();
    let json = serde_json::to_string_pretty(&schema).expect("it is JSON") + "\n";
    if std::env::var_os("BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configuration.schema.json");
        std::fs::write(path, json).expect("it is written");
        return;
    }
    assert!(json == SCHEMA, "BLESS=1 writes the schema anew");
}
