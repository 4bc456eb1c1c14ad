//! What the README says is what the module does.

use attache::schemars::schema_for;
use attache_harness::{Host, HostError, Request, plugin};
use serde_json::{Map, Value};

const README: &str = include_str!("../../README.md");
const SCHEMA: &str = include_str!("../../configuration.schema.json");

/// The table of all fields, from the schema of the configuration.
fn table() -> String {
    let schema = Value::from(schema_for!(metrics::Config));
    let mut rows = String::from("| field | type | default | meaning |\n|---|---|---|---|\n");
    describe(&schema, &schema, "", &mut rows);
    rows
}

/// One row for each field of an object, and of the objects in it.
fn describe(schema: &Value, root: &Value, place: &str, rows: &mut String) {
    let none = Map::new();
    let fields = schema["properties"].as_object().unwrap_or(&none);
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    for (name, field) in fields {
        let place = format!("{place}{name}");
        let inner = resolved(field, root);
        let default = match field.get("default") {
            Some(default) if !default.is_object() && !default.is_null() => format!("`{default}`"),
            _ if required.iter().any(|known| known == name) => "required".to_owned(),
            _ => String::new(),
        };
        let meaning = field["description"]
            .as_str()
            .or(inner["description"].as_str());
        let meaning = meaning
            .unwrap_or_default()
            .replace('\n', " ")
            .replace('|', "\\|");
        let kind = kind(inner, root);
        rows.push_str(&format!("| `{place}` | {kind} | {default} | {meaning} |\n"));
        let (object, place) = match inner["items"].is_object() {
            true => (resolved(&inner["items"], root), format!("{place}[].")),
            false => (inner, format!("{place}.")),
        };
        describe(object, root, &place, rows);
    }
}

/// What a schema refers to, without the choice of `null`.
fn resolved<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    if let Some(choices) = schema["anyOf"].as_array() {
        let some = choices.iter().find(|choice| choice["type"] != "null");
        return some.map_or(schema, |some| resolved(some, root));
    }
    match schema["$ref"].as_str() {
        Some(reference) => root
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(schema),
        None => schema,
    }
}

fn kind(schema: &Value, root: &Value) -> String {
    let choices = |schema: &Value| -> Vec<String> {
        let all = schema["oneOf"].as_array().into_iter().flatten();
        let listed = schema["enum"].as_array().into_iter().flatten();
        all.map(|choice| &choice["const"])
            .chain(listed)
            .map(|word| format!("`{}`", word.as_str().unwrap_or_default()))
            .collect()
    };
    let words = choices(schema);
    if !words.is_empty() {
        return words.join(", ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names[0].as_str(),
        name => name.as_str(),
    };
    match name {
        Some("array") => format!("list of {}s", kind(resolved(&schema["items"], root), root)),
        Some("object") if schema["additionalProperties"]["type"] == "string" => {
            "object of strings".to_owned()
        }
        Some("integer") => match (&schema["minimum"], &schema["maximum"]) {
            (Value::Number(least), Value::Number(most)) => format!("{least} to {most}"),
            _ => "integer".to_owned(),
        },
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

/// With `BLESS=1` it is written.
#[test]
fn the_table_of_the_configuration_is_that_of_the_schema() {
    const START: &str = "<!-- from the schema -->\n";
    const END: &str = "<!-- end -->";
    let (before, rest) = README.split_once(START).expect("the README has the mark");
    let (found, after) = rest.split_once(END).expect("the README has the other mark");
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let text = format!("{before}{START}{}{END}{after}", table());
        std::fs::write(path, text).expect("the README can be written");
        return;
    }
    assert_eq!(found, table(), "BLESS=1 cargo test -p metrics writes it");
}

/// With `BLESS=1` it is written.
#[test]
fn the_schema_is_that_of_the_code() {
    let mut schema = Value::from(schema_for!(metrics::Config));
    schema["title"] = "the configuration of metrics".into();
    let json = serde_json::to_string_pretty(&schema).expect("it is JSON") + "\n";
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/configuration.schema.json");
        std::fs::write(path, json).expect("it can be written");
        return;
    }
    assert!(json == SCHEMA, "BLESS=1 writes the schema anew");
}

#[test]
fn the_recipes_are_accepted() -> Result<(), HostError> {
    let blocks = README.split("```json\n").skip(1);
    let mut count = 0;
    for block in blocks {
        let (recipe, _) = block.split_once("```").expect("the block ends");
        let recipe: Value = serde_json::from_str(recipe).expect("the block is JSON");
        let mut host = Host::with(plugin!("metrics").config(recipe))?;
        host.send(Request::get("/orders/7"))?;
        assert!(host.counters().count() > 1);
        count += 1;
    }
    assert_eq!(count, 3);
    Ok(())
}

/// The expressions in the bootstrap are those of its configuration.
#[test]
fn the_bootstrap_has_the_expressions_of_its_configuration() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../envoy-configs/metrics.yaml"
    );
    let bootstrap = std::fs::read_to_string(path).expect("there is a bootstrap");
    let (_, rest) = bootstrap
        .split_once("value: |\n")
        .expect("it has a configuration");
    let (configuration, _) = rest.split_once("vm_config:").expect("and more behind it");
    let configuration = serde_json::from_str(configuration).expect("it is JSON");
    let expected = metrics::stats_tags(&configuration).expect("it is accepted");
    assert!(bootstrap.contains(&expected), "{expected}");
}

/// What a request costs, in the numbers of the README.
#[test]
fn a_request_costs_what_the_readme_says() -> Result<(), HostError> {
    let calls = |configuration: &str| -> Result<usize, HostError> {
        let mut host = Host::with(plugin!("metrics").config(configuration))?;
        host.send(Request::get("/"))?;
        Ok(host.send(Request::get("/"))?.host_calls().len())
    };
    for (configuration, said) in [
        ("{}", "as it comes"),
        (r#"{"reporter": "source"}"#, "with `reporter` set"),
        (
            r#"{"reporter": "source", "metrics": [
                {"name": "request_bytes", "drop": true}, {"name": "response_bytes", "drop": true},
                {"tags_to_remove": ["source_principal", "destination_workload",
                    "destination_workload_namespace", "destination_principal",
                    "destination_service_namespace", "destination_canonical_service",
                    "destination_canonical_revision", "destination_cluster"]}]}"#,
            "outside of Istio, with its labels and the bytes left out",
        ),
    ] {
        let row = format!("| {said} | {} |", calls(configuration)?);
        assert!(README.contains(&row), "the README lacks: {row}");
    }
    Ok(())
}
