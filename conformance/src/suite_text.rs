//! Cases as a suite, and as the text of a suite's file.

use attache_suite::{Suite, SuiteError};
use serde_json::{Value, json};

use crate::corpus::repository;

/// A suite of these cases, as if it stood in the repository.
pub(crate) fn suite_of<'c>(
    cases: impl IntoIterator<Item = &'c Value>,
) -> Result<Suite, SuiteError> {
    let cases: Vec<&Value> = cases.into_iter().collect();
    let file = json!({ "version": "1", "cases": cases });
    // JSON is YAML.
    Suite::from_text(
        repository().join("conformance/generated.suite.yaml"),
        file.to_string(),
    )
}

/// The text of a file with this case alone.
#[must_use]
pub fn text_of(case: &Value, description: &str) -> String {
    let file = json!({ "version": "1", "description": description, "cases": [case] });
    let mut text = String::new();
    write(&file, 0, &mut text);
    text
}

/// Block style for what is large, JSON for what fits a line.
fn write(value: &Value, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                entry(&format!("{pad}{key}:"), value, indent, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                entry(&format!("{pad}-"), item, indent, text);
            }
        }
        value => text.push_str(&format!("{pad}{value}\n")),
    }
}

fn entry(head: &str, value: &Value, indent: usize, text: &mut String) {
    let line = value.to_string();
    let nested = matches!(value, Value::Object(_) | Value::Array(_));
    if !nested || indent + line.len() <= 100 {
        text.push_str(&format!("{head} {line}\n"));
    } else {
        text.push_str(head);
        text.push('\n');
        write(value, indent + 2, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Scenario;

    #[test]
    fn the_text_of_a_case_is_read_as_the_case() {
        for seed in 0..50 {
            let case = Scenario::draw(seed, 0).case;
            let path = repository().join("conformance/generated.suite.yaml");
            let suite = Suite::from_text(path, text_of(&case, "drawn"));
            let name = format!("seed {seed}");
            assert_eq!(suite.unwrap().cases().collect::<Vec<_>>(), [name.as_str()]);
        }
    }
}
