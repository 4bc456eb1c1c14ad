//! Filters that are no modules: those that Envoy brings along.

use crate::yaml::{Yaml, quoted};

/// Filters of Envoy's own, as they stand in a list of `http_filters`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NativeFilter {
    /// Items of a list, line by line.
    lines: Vec<String>,
}

/// Why a text is no filter of a list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NativeFilterError {
    /// There is nothing but comments in it.
    #[error("it is empty; expected an item of `http_filters`: `name` and `typed_config`")]
    Empty,
    /// It is more than a filter.
    #[error(
        "`{key}` belongs to a whole configuration; expected an item of `http_filters` alone: `name` and \
         `typed_config`"
    )]
    Whole {
        /// A key that stands in its place.
        key: String,
    },
    /// A key is missing.
    #[error(
        "there is no `{key}` in its first column; expected an item of `http_filters`: `name` and \
         `typed_config`, whose `@type` says which filter it is"
    )]
    Missing {
        /// Which one.
        key: &'static str,
    },
    /// It ends the list.
    #[error("it has a router, which stands behind the filter already; leave it out")]
    Router,
    /// YAML has no tabs there.
    #[error("line {line}: a tab; YAML is indented by blanks")]
    Tab {
        /// From 1.
        line: usize,
    },
}

impl NativeFilter {
    /// A filter by its entry, YAML or JSON, as it stands in a bootstrap: `name` and `typed_config`, with the
    /// `-` of a list or without. Several items are several filters. What they say is for Envoy to judge.
    ///
    /// # Errors
    ///
    /// [`NativeFilterError`], for what is seen without reading YAML.
    pub fn from_entry(text: &str) -> Result<Self, NativeFilterError> {
        let mut lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
        let said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let first = lines
            .iter()
            .position(|line| said(line) && line.trim_end() != "---");
        let Some(first) = first else {
            return Err(NativeFilterError::Empty);
        };
        lines.drain(..first);
        let tab = |line: &&str| line.trim_start_matches(' ').starts_with('\t');
        let is_json = lines
            .first()
            .is_some_and(|line| line.trim_start().starts_with('{'));
        if !is_json && let Some(at) = lines.iter().position(tab) {
            return Err(NativeFilterError::Tab {
                line: first + at + 1,
            });
        }
        // Where a block of a larger file was copied, all of it is further in.
        let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let further = lines
            .iter()
            .filter(|line| said(line))
            .map(|line| indent(line))
            .min()
            .unwrap_or_default();
        let lines: Vec<&str> = lines
            .into_iter()
            .map(|line| line.get(further.min(indent(line))..).unwrap_or_default())
            .collect();
        let is_list = lines
            .first()
            .is_some_and(|line| line.starts_with("- ") || line.trim_end() == "-");
        if is_json {
            keys_of_json(&lines.join("\n"))?;
        } else {
            keys_of_yaml(&lines, is_list)?;
        }
        if lines
            .iter()
            .any(|line| !line.trim_start().starts_with('#') && line.contains(ROUTER))
        {
            return Err(NativeFilterError::Router);
        }
        let item = |(number, line): (usize, &str)| match (is_list, number) {
            (true, _) => line.to_owned(),
            (false, 0) => format!("- {line}"),
            (false, _) => format!("  {line}"),
        };
        Ok(Self {
            lines: lines.into_iter().enumerate().map(item).collect(),
        })
    }

    /// Envoy's Lua filter with a script, which has `envoy_on_request`, `envoy_on_response` or both.
    #[must_use]
    pub fn lua(script: &str) -> Self {
        let lines = [
            "- name: envoy.filters.http.lua".to_owned(),
            "  typed_config:".to_owned(),
            "    \"@type\": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
                .to_owned(),
            format!(
                "    default_source_code: {{ inline_string: {} }}",
                quoted(script)
            ),
        ];
        Self {
            lines: lines.into(),
        }
    }

    pub(crate) fn write(&self, yaml: &mut Yaml) {
        for line in &self.lines {
            yaml.line(line);
        }
    }
}

const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";

/// What stands in a filter's place where somebody names a file that holds more.
const WHOLE: [&str; 6] = [
    "static_resources",
    "admin",
    "node",
    "http_filters",
    "filter_chains",
    "resources",
];

fn keys_of_yaml(lines: &[&str], is_list: bool) -> Result<(), NativeFilterError> {
    let key = |line: &&str| -> Option<String> {
        let line = match is_list {
            true => line
                .strip_prefix("- ")
                .or_else(|| line.strip_prefix("  "))?,
            false => line,
        };
        let (key, _) = line.split_once(':')?;
        let key = key.trim_matches('"');
        (!line.starts_with([' ', '#', '-'])).then(|| key.to_owned())
    };
    checked(&lines.iter().filter_map(key).collect::<Vec<String>>())
}

fn keys_of_json(text: &str) -> Result<(), NativeFilterError> {
    // What is no JSON may be YAML in braces, which Envoy reads.
    let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) else {
        return Ok(());
    };
    checked(&object.keys().cloned().collect::<Vec<String>>())
}

fn checked(keys: &[String]) -> Result<(), NativeFilterError> {
    if let Some(key) = keys.iter().find(|key| WHOLE.contains(&key.as_str())) {
        return Err(NativeFilterError::Whole { key: key.clone() });
    }
    let has = |wanted: &str| keys.iter().any(|key| key == wanted);
    if !has("name") {
        return Err(NativeFilterError::Missing { key: "name" });
    }
    match has("typed_config") || has("config_discovery") {
        true => Ok(()),
        false => Err(NativeFilterError::Missing {
            key: "typed_config",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "\"@type\": type.googleapis.com/x";

    fn written(text: &str) -> String {
        let mut yaml = Yaml::default();
        NativeFilter::from_entry(text).unwrap().write(&mut yaml);
        yaml.finish()
    }

    #[test]
    fn an_entry_is_an_item_with_its_dash_or_without() {
        let item = format!("- name: x\n  typed_config:\n    {TYPE}\n");
        assert_eq!(
            written(&format!("# why\nname: x\ntyped_config:\n  {TYPE}\n")),
            item
        );
        assert_eq!(written(&item), item);
        let copied: String = item.lines().map(|line| format!("      {line}\n")).collect();
        assert_eq!(written(&format!("---\n{copied}")), item);
        let two = format!("{item}{item}");
        assert_eq!(written(&two), two);
    }

    #[test]
    fn json_is_yaml() {
        let json = "{\n\t\"name\": \"x\",\n\t\"typed_config\": {\"@type\": \"y\"}\n}\n";
        assert!(written(json).starts_with("- {\n"));
        let error = NativeFilter::from_entry("{\"name\": \"x\"}").unwrap_err();
        assert!(error.to_string().contains("no `typed_config`"), "{error}");
    }

    #[test]
    fn a_script_stays_one_text() {
        let mut yaml = Yaml::default();
        NativeFilter::lua("function envoy_on_request(h)\n  -- \"x\": y\nend\n").write(&mut yaml);
        let text = yaml.finish();
        assert!(
            text.contains(
                r#"inline_string: "function envoy_on_request(h)\n  -- \"x\": y\nend\n" }"#
            ),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_entry_is_told_what_it_is() {
        let whole = "static_resources:\n  listeners: []\n";
        let router = "name: r\ntyped_config:\n  \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router\n";
        for (text, expected) in [
            ("# nothing\n", "it is empty"),
            (whole, "`static_resources` belongs to a whole configuration"),
            (
                "http_filters:\n- name: x\n",
                "`http_filters` belongs to a whole",
            ),
            ("typed_config: {}\n", "no `name`"),
            ("- name: x\n", "no `typed_config`"),
            (router, "it has a router"),
            ("name: x\ntyped_config:\n\ta: b\n", "line 3: a tab"),
        ] {
            let error = NativeFilter::from_entry(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
