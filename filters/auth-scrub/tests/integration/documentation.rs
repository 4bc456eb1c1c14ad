//! What the README says is what the module does.

use attache_harness::{Host, HostError, Request, plugin};
use serde_json::Value;

const README: &str = include_str!("../../README.md");
const SCHEMA: &str = include_str!("../../configuration.schema.json");

/// The words in backticks of the table's row that begins with `title`.
fn row(title: &str) -> Vec<&'static str> {
    let start = format!("| {title} | ");
    let line = README.lines().find(|line| line.starts_with(&start));
    let names = line
        .expect("the README has the row")
        .trim_start_matches(&start);
    names.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_table_of_defaults_is_right() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("auth-scrub"))?;
    let (headers, parameters) = (row("request headers"), row("query parameters"));
    assert_eq!((headers.len(), parameters.len()), (8, 10));
    for header in headers {
        let exchange = host.send(Request::get("/").header(header, "s"))?;
        assert!(
            !exchange.upstream_request().headers().contains_key(header),
            "{header}"
        );
    }
    for parameter in parameters {
        let exchange = host.send(Request::get(format!("/?{parameter}=s")))?;
        assert_eq!(exchange.upstream_request().path(), b"/", "{parameter}");
    }
    Ok(())
}

/// The recipes, in order.
fn recipes() -> Vec<Value> {
    let parts = README.split("```json\n").skip(1);
    parts
        .map(|part| {
            let (json, _) = part.split_once("```").expect("the recipe ends");
            serde_json::from_str(json).expect("the recipe is JSON")
        })
        .collect()
}

#[test]
fn the_recipes_work() -> Result<(), HostError> {
    let [allow, pseudonyms, token] = &recipes()[..] else {
        panic!("there are three");
    };
    let mut host = Host::with(plugin!("auth-scrub").config(allow.clone()))?;
    let exchange = host.send(Request::get("/").header("cookie", "session=s; a=1"))?;
    let headers = exchange.upstream_request().headers();
    assert_eq!(headers.get("cookie"), Some(&b"a=1"[..]));

    let plugin = plugin!("auth-scrub")
        .config(pseudonyms.clone())
        .environment("SCRUB_KEY", "0123456789abcdef");
    let mut host = Host::with(plugin)?;
    let request = Request::get("/?card=12345678")
        .header("x-user-email", "ada@example.com")
        .header("x-real-ip", "192.0.2.7");
    let exchange = host.send(request)?;
    let upstream = exchange.upstream_request();
    assert_eq!(upstream.path(), b"/?card=****5678");
    assert_eq!(upstream.headers().get("x-real-ip"), Some(&b"192.0.2.0"[..]));
    let email = upstream.headers().get("x-user-email").expect("it stays");
    assert!(email.starts_with(b"h:") && email.len() == 18);

    let mut host = Host::with(plugin!("auth-scrub").config(token.clone()))?;
    let value = "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln";
    let exchange = host.send(Request::get("/").header("authorization", value))?;
    let headers = exchange.upstream_request().headers();
    assert_eq!(headers.get("x-user"), Some(&b"ada"[..]));
    let stripped = headers.get("authorization").expect("it stays");
    assert!(stripped.ends_with(b".signature-removed"));
    Ok(())
}

fn schema() -> Value {
    let generator = attache::schemars::SchemaGenerator::default();
    let schema = generator.into_root_schema_for::<auth_scrub::Config>();
    let mut schema = schema.to_value();
    let id = "the configuration of auth-scrub";
    schema["title"] = id.into();
    schema
}

/// What a value may be, in words.
fn kind(property: &Value) -> String {
    let reference = |value: &Value| {
        let name = value["$ref"].as_str()?.rsplit('/').next()?;
        Some(format!("[{name}](#{})", name.to_lowercase()))
    };
    if let Some(name) = reference(property) {
        return name.replace("[Pattern](#pattern)", "pattern");
    }
    if let Some(words) = property["enum"].as_array() {
        let words = words.iter().filter_map(Value::as_str);
        return words
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    match property["type"].as_str() {
        Some("array") => format!("list of {}", kind(&property["items"])),
        Some("object") => "object of strings".to_owned(),
        Some(name) => name.to_owned(),
        None => "string or object".to_owned(),
    }
}

/// A table of each shape, in the order in which the configuration leads to them.
fn tables(schema: &Value) -> String {
    let mut text = String::new();
    let mut names = vec!["Config".to_owned()];
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        next += 1;
        let shape = match name.as_str() {
            "Config" => schema,
            name => &schema["$defs"][name],
        };
        let about = shape["description"].as_str().expect("it says what it is");
        text.push_str(&format!("\n#### {name}\n\n{about}\n\n"));
        text.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
        let required = shape["required"].as_array();
        for (field, property) in shape["properties"].as_object().expect("it has fields") {
            let is_required = required.is_some_and(|names| names.contains(&field.as_str().into()));
            let default = match &property["default"] {
                Value::Null if is_required => "required".to_owned(),
                Value::Null => String::new(),
                value => format!("`{value}`"),
            };
            let meaning = property["description"]
                .as_str()
                .expect("it says what it is");
            let kind = kind(property);
            text.push_str(&format!("| `{field}` | {kind} | {default} | {meaning} |\n"));
            let inner = [&property["$ref"], &property["items"]["$ref"]];
            for name in inner.into_iter().filter_map(Value::as_str) {
                let name = name.rsplit('/').next().unwrap_or_default().to_owned();
                if name != "Pattern" && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
    text
}

#[test]
fn the_table_of_the_configuration_and_the_schema_are_those_of_the_code() {
    let schema = schema();
    let mark = "<!-- made from the schema: BLESS=1 cargo test -p auth-scrub -->\n";
    let (before, rest) = README.split_once(mark).expect("the README has the place");
    let (_, after) = rest.split_once("<!-- end -->").expect("the place ends");
    let tables = tables(&schema);
    let readme = format!("{before}{mark}{tables}\n<!-- end -->{after}");
    let mut json = serde_json::to_string_pretty(&schema).expect("it is JSON");
    json.push('\n');
    if std::env::var_os("BLESS").is_some() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::write(folder.join("README.md"), readme).expect("the README is written");
        std::fs::write(folder.join("configuration.schema.json"), json).expect("it is written");
        return;
    }
    assert!(readme == README, "BLESS=1 writes the tables anew");
    assert!(json == SCHEMA, "BLESS=1 writes the schema anew");
}
