//! Filters put into a configuration that somebody else wrote.

use serde_json::{Value, json};

use crate::discovered::Discovered;
use crate::plugin::{NotUtf8, utf8};
use crate::yaml::{Yaml, quoted};

/// What tells a router among the filters.
const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
/// What discovery asks for, where the configuration does not say it.
const NODE: &str = "node: { id: attache, cluster: attache }";
/// Where the admin endpoint listens where the configuration has none.
const ADMIN: &str = "admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }";

/// A configuration with filters before its routers; everything else is as it was.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Insertion {
    /// The configuration's text.
    pub text: String,
    /// How many routers there are, each with the filters before it.
    pub routers: usize,
}

/// Why filters cannot be put into a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InsertionError {
    /// There is no router.
    #[error(
        "it has no HTTP router (`@type: …{ROUTER}`) to put filters before; listeners that come by \
         discovery are not in this file"
    )]
    NoRouter,
    /// A router does not stand in a list as most people write them.
    #[error(
        "line {line}: this router is not an item of `http_filters` on a line of its own; write the list \
         as lines that begin with `- name:`"
    )]
    NotAnItem {
        /// The line of its type, from 1.
        line: usize,
    },
    /// It begins as JSON and is none.
    #[error("it is not JSON, as its first sign says")]
    Json(#[from] serde_json::Error),
    /// A path cannot be written.
    #[error("{reason}")]
    Path {
        /// Which one.
        reason: String,
    },
}

impl From<NotUtf8> for InsertionError {
    fn from(error: NotUtf8) -> Self {
        Self::Path {
            reason: error.to_string(),
        }
    }
}

/// Puts filters before each router of a bootstrap, YAML or JSON, and gives it a node and an admin endpoint
/// if it has none. In YAML only lines are added: comments, anchors and order stay.
///
/// ```
/// use attache_envoy::{Discovered, insert_before_routers};
///
/// let bootstrap = "
/// http_filters:
/// - name: envoy.filters.http.router
///   typed_config:
///     \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
/// ";
/// let filter = Discovered::new("auth-scrub", "/run/plugins");
/// let inserted = insert_before_routers(bootstrap, &[filter])?;
/// assert_eq!(inserted.routers, 1);
/// assert!(inserted.text.contains("\n- name: \"auth-scrub\"\n  # Envoy reads"));
/// # Ok::<(), attache_envoy::InsertionError>(())
/// ```
///
/// # Errors
///
/// [`InsertionError`], where it cannot be told for sure where the routers stand.
pub fn insert_before_routers(
    bootstrap: &str,
    filters: &[Discovered],
) -> Result<Insertion, InsertionError> {
    if bootstrap.trim_start().starts_with('{') {
        return into_json(bootstrap, filters);
    }
    into_yaml(bootstrap, filters)
}

fn into_yaml(bootstrap: &str, filters: &[Discovered]) -> Result<Insertion, InsertionError> {
    let lines: Vec<&str> = bootstrap.lines().collect();
    let mut places = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let said = line.split(" #").next().unwrap_or_default();
        if !said.trim_start().starts_with('#') && said.contains(ROUTER) {
            let place = item(&lines, number);
            places.push(place.ok_or(InsertionError::NotAnItem { line: number + 1 })?);
        }
    }
    if places.is_empty() {
        return Err(InsertionError::NoRouter);
    }
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        if places.contains(&number) {
            for filter in filters {
                text.push_str(&as_item(filter, indent(line))?);
            }
        }
        text.push_str(line);
        text.push('\n');
    }
    for (key, own) in [("node:", NODE), ("admin:", ADMIN)] {
        if !lines.iter().any(|line| line.starts_with(key)) {
            text.push_str(own);
            text.push('\n');
        }
    }
    Ok(Insertion {
        text,
        routers: places.len(),
    })
}

/// The line on which the item of `http_filters` begins that has its type on this line.
fn item(lines: &[&str], number: usize) -> Option<usize> {
    let is_item = |line: &str| line.trim_start().starts_with("- ");
    let within = indent(lines[number]);
    let first = (0..=number)
        .rev()
        .find(|&at| is_item(lines[at]) && (at == number || indent(lines[at]) < within))?;
    let of_item = indent(lines[first]);
    // The list's key: the nearest line above that is no deeper, and no item beside it.
    let key = lines[..first].iter().rev().find(|line| {
        let line = line.trim_end();
        let blank = line.trim_start().is_empty() || line.trim_start().starts_with('#');
        let beside = is_item(line) && indent(line) == of_item;
        !blank && indent(line) <= of_item && !beside
    })?;
    let key = key.split(" #").next().unwrap_or_default().trim();
    let key = key.strip_prefix("- ").unwrap_or(key).trim();
    (key == "http_filters:").then_some(first)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// A filter as an item of a block list.
fn as_item(filter: &Discovered, indent: usize) -> Result<String, InsertionError> {
    let mut yaml = Yaml::default();
    let mut done = Ok(());
    yaml.within(&format!("- name: {}", quoted(filter.name())), |yaml| {
        done = filter.refer(yaml);
    });
    done?;
    let indented = |line: &str| format!("{}{line}\n", " ".repeat(indent));
    Ok(yaml.finish().lines().map(indented).collect())
}

fn into_json(bootstrap: &str, filters: &[Discovered]) -> Result<Insertion, InsertionError> {
    let mut value: Value = serde_json::from_str(bootstrap)?;
    let mut items = Vec::new();
    for filter in filters {
        let path = filter.path();
        items.push(json!({
            "name": filter.name(),
            "config_discovery": {
                "config_source": {
                    "resource_api_version": "V3",
                    "path_config_source": { "path": utf8(&path)? },
                },
                "type_urls": [WASM],
            },
        }));
    }
    let routers = insert(&mut value, &items);
    if routers == 0 {
        return Err(InsertionError::NoRouter);
    }
    if value.get("node").is_none() {
        value["node"] = json!({ "id": "attache", "cluster": "attache" });
    }
    if value.get("admin").is_none() {
        value["admin"] = json!({
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } }
        });
    }
    Ok(Insertion {
        text: format!("{value:#}\n"),
        routers,
    })
}

fn insert(value: &mut Value, items: &[Value]) -> usize {
    let is_router = |filter: &Value| {
        let kind = filter["typed_config"]["@type"].as_str();
        kind.is_some_and(|kind| kind.ends_with(ROUTER))
    };
    match value {
        Value::Object(map) => {
            let mut routers = 0;
            for (key, value) in map.iter_mut() {
                if let (true, Value::Array(filters)) = (is_list(key), &mut *value)
                    && let Some(at) = filters.iter().position(is_router)
                {
                    filters.splice(at..at, items.iter().cloned());
                    routers += 1;
                } else {
                    routers += insert(value, items);
                }
            }
            routers
        }
        Value::Array(list) => list.iter_mut().map(|value| insert(value, items)).sum(),
        _ => 0,
    }
}

/// Protobuf's JSON has both spellings.
fn is_list(key: &str) -> bool {
    matches!(key, "http_filters" | "httpFilters")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "static_resources:
  listeners:
  - name: a
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          http_filters:
          # A word about cors.
          - name: cors
            typed_config: {\"@type\": x}
          - name: router # the last
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  - name: b
    filter_chains: [{filters: [x]}]
    http_filters:
      - {name: r, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
";

    fn inserted(text: &str) -> Result<Insertion, InsertionError> {
        let filters = ["one", "two"].map(|name| Discovered::new(name, "/p"));
        insert_before_routers(text, &filters)
    }

    #[test]
    fn filters_stand_before_each_router_and_every_other_line_stays() {
        let found = inserted(BLOCK).unwrap();
        assert_eq!(found.routers, 2);
        let names: Vec<&str> = found
            .text
            .lines()
            .filter(|line| line.contains("name:"))
            .collect();
        assert_eq!(
            names,
            [
                "  - name: a",
                "      - name: hcm",
                "          - name: cors",
                "          - name: \"one\"",
                "          - name: \"two\"",
                "          - name: router # the last",
                "  - name: b",
                "      - name: \"one\"",
                "      - name: \"two\"",
                "      - {name: r, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}",
            ]
        );
        let mut rest = found.text.lines();
        assert!(BLOCK.lines().all(|line| rest.any(|other| other == line)));
        assert!(found.text.ends_with(&format!("{NODE}\n{ADMIN}\n")));
        let own = format!("admin: {{}}\nnode: {{id: a, cluster: b}}\n{BLOCK}");
        let kept = inserted(&own).unwrap().text;
        assert!(!kept.contains(ADMIN) && !kept.contains(NODE));
    }

    #[test]
    fn json_is_taken_too() {
        let text = json!({"a": [{"http_filters": [
            {"name": "cors"},
            {"name": "r", "typed_config": {"@type": format!("type.googleapis.com/{ROUTER}")}},
        ]}]});
        let found = inserted(&text.to_string()).unwrap();
        let value: Value = serde_json::from_str(&found.text).unwrap();
        let names: Vec<&str> = value["a"][0]["http_filters"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|filter| filter["name"].as_str())
            .collect();
        assert_eq!(names, ["cors", "one", "two", "r"]);
        assert!(value["admin"].is_object() && value["node"].is_object());
        assert!(matches!(inserted("{"), Err(InsertionError::Json(_))));
        assert!(matches!(inserted("{}"), Err(InsertionError::NoRouter)));
    }

    #[test]
    fn what_is_written_in_other_ways_is_refused() {
        assert!(matches!(inserted("a: b\n"), Err(InsertionError::NoRouter)));
        assert!(matches!(
            inserted(&format!("# {ROUTER}\na: b # {ROUTER}\n")),
            Err(InsertionError::NoRouter)
        ));
        for text in [
            format!("x:\n- http_filters: [{{typed_config: {{\"@type\": {ROUTER}}}}}]\n"),
            format!("- name: x\n  typed_config:\n    \"@type\": {ROUTER}\n"),
            format!("filters:\n- name: x\n  typed_config:\n    \"@type\": {ROUTER}\n"),
        ] {
            let refused = inserted(&text);
            assert!(
                matches!(refused, Err(InsertionError::NotAnItem { .. })),
                "{refused:?}"
            );
        }
    }
}
