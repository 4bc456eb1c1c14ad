//! Files that are taken for suites, and what they are.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// What a file is that is no suite, and what to do with it; nothing of a file that may be one.
pub(in crate::program) fn mistaken(path: &Path) -> Option<String> {
    let shown = path.display();
    let bytes = fs::read(path).ok()?;
    if bytes.starts_with(b"\0asm") {
        return Some(format!(
            "`{shown}` is a module, and `attache test` plays suites; \
             `attache test FILE.suite.yaml --plugin {shown}` holds it to one"
        ));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Some(format!(
            "`{shown}` is no text; expected a suite, which is YAML and ends in `.suite.yaml`"
        ));
    };
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("rs") => {
            return Some(format!(
                "`{shown}` is Rust, whose tests `cargo test` runs; `attache test` plays suites, files that \
                 end in `.suite.yaml`"
            ));
        }
        Some("toml") => {
            return Some(format!(
                "`{shown}` is no suite; `attache test FOLDER` plays the suites of a package"
            ));
        }
        _ => {}
    }
    let keys = top_level_keys(text);
    let has = |key: &str| keys.iter().any(|known| known == key);
    if has("version") && has("cases") {
        return None;
    }
    if has("static_resources") || has("dynamic_resources") || (has("admin") && has("node")) {
        return Some(format!(
            "`{shown}` is a configuration of Envoy's and no suite; `attache run FILTER --bootstrap {shown}` \
             starts it with a filter in it, and `attache check {shown}` says what is wrong with it"
        ));
    }
    if has("apiVersion") && has("kind") {
        return Some(format!(
            "`{shown}` is a manifest of Kubernetes' and no suite; `attache check {shown}` says what is \
             wrong with it"
        ));
    }
    if has("log") && text.contains("\"entries\"") {
        return Some(format!(
            "`{shown}` is traffic (HAR) and no suite; `attache record {shown} -o NAME.suite.yaml` makes one \
             of it"
        ));
    }
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    (is_json && !has("version") && !has("cases")).then(|| {
        format!(
            "`{shown}` is no suite; if it is a configuration, it stands in the suite, as `configuration` of \
             the plugin, or goes behind `--config` where --plugin gives the module"
        )
    })
}

/// The keys of the outermost object, as far as that can be seen without reading all of it.
fn top_level_keys(text: &str) -> Vec<String> {
    if text.trim_start().starts_with('{') {
        let value = serde_json::from_str(text).unwrap_or(Value::Null);
        let object = value.as_object().into_iter().flatten();
        return object.map(|(key, _)| key.clone()).collect();
    }
    let key = |line: &str| {
        let (key, _) = line.split_once(':')?;
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        (!key.is_empty() && key.chars().all(word)).then(|| key.to_owned())
    };
    text.lines().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_outermost_object() {
        assert_eq!(
            top_level_keys("# a: b\nstatic_resources:\n  listeners: []\nadmin: {}\n"),
            ["static_resources", "admin"]
        );
        assert_eq!(top_level_keys("{\"a\": {\"b\": 1}}"), ["a"]);
    }
}
