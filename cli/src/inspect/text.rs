//! A module as a person reads of it.

use std::collections::BTreeMap;

use attache_module::{Description, Facts, Finding, Verdict, harmless_line};
use serde_json::Value;

use crate::screen::{Screen, Tone, bytes};

use super::{LISTED, Looked, purpose};

/// The hosts that something can be said of.
const HOSTS: [&str; 3] = ["Envoy", "Istio", "Envoy Gateway"];

impl Looked {
    pub(super) fn to_text(&self, functions: bool, screen: &Screen) -> String {
        let mut page = Page {
            screen,
            text: String::new(),
        };
        page.text.push_str(&screen.tint(Tone::Strong, &self.name));
        page.text.push('\n');
        self.outline(&mut page);
        if let Some(facts) = self.facts() {
            calls(facts, &mut page);
            if let Some(description) = &facts.description {
                configurations(description, &mut page);
            }
        }
        self.hosts(&mut page);
        if let Some(facts) = self.facts() {
            capabilities(facts, &mut page);
        }
        self.sizes(functions, &mut page);
        page.text
    }

    fn outline(&self, page: &mut Page<'_>) {
        let sizes = &self.inspection.sizes;
        let origin = &self.inspection.origin;
        page.line(
            "size",
            format_args!(
                "{}: code {}, data {}, custom sections {}; {} functions",
                bytes(sizes.module as u64),
                bytes(sizes.code as u64),
                bytes(sizes.data as u64),
                bytes(sizes.custom as u64),
                sizes.functions
            ),
        );
        page.line("sha256", &self.sha256);
        let abi = self.facts().map(|facts| facts.abi.version());
        page.line("ABI", abi.unwrap_or("none of proxy-wasm"));
        let made: Vec<&str> = [&origin.language, &origin.sdk]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let unknown = made.is_empty();
        page.line(
            "made with",
            if unknown {
                "it does not show".to_owned()
            } else {
                made.join(", ")
            },
        );
        if !origin.tools.is_empty() {
            page.line("tools", origin.tools.join(", "));
        }
        let memory = &self.inspection.memory;
        let limit = match memory.maximum {
            Some(maximum) => format!("{} at most", bytes(maximum)),
            None => "no limit of its own".to_owned(),
        };
        page.line(
            "memory",
            match memory.initial {
                Some(initial) => format!("{} at the start, {limit}", bytes(initial)),
                None => "none".to_owned(),
            },
        );
        let Some(description) = self.facts().and_then(|facts| facts.description.as_ref()) else {
            return;
        };
        let mut package = format!("{} {}", description.name, description.version);
        if !description.license.is_empty() {
            package.push_str(&format!(", {}", description.license));
        }
        page.line("package", package);
        if !description.description.is_empty() {
            page.line("", &description.description);
        }
        for filter in &description.filters {
            let phases = filter.phases.join(", ");
            page.line(
                "root id",
                format_args!("{} ({}): {phases}", filter.root_id, filter.kind),
            );
        }
        if description.host_options.allow_on_headers_stop_iteration {
            page.line("needs", "allow_on_headers_stop_iteration: true");
        }
    }

    fn hosts(&self, page: &mut Page<'_>) {
        page.title("Hosts");
        for host in HOSTS {
            let mut of_host = self.inspection.findings.iter().filter(|it| it.host == host);
            let said = |finding: &Finding| match finding.verdict {
                Verdict::Refuses => format!("no: {}", finding.text),
                _ => format!("yes, but {}", finding.text),
            };
            // What Envoy refuses reaches nobody.
            let envoy_refuses = self
                .inspection
                .findings
                .iter()
                .any(|it| it.host == "Envoy" && it.verdict == Verdict::Refuses);
            match of_host.next() {
                None if envoy_refuses => page.line(host, "no, as Envoy"),
                None => page.line(host, "yes"),
                Some(first) => {
                    page.line(host, said(first));
                    of_host.for_each(|finding| page.line("", said(finding)));
                }
            }
        }
    }

    fn sizes(&self, functions: bool, page: &mut Page<'_>) {
        let sizes = &self.inspection.sizes;
        let part = |bytes: usize| {
            let permille = bytes * 1000 / sizes.code.max(1);
            format!("{bytes:>8} {:>3}.{} %  ", permille / 10, permille % 10)
        };
        if !sizes.by_crate.is_empty() {
            page.title("Code by crate");
            for of in sizes.by_crate.iter().take(LISTED) {
                page.raw(format_args!("{}{}", part(of.bytes), of.name));
            }
        }
        if functions {
            page.title("Largest functions");
            for function in sizes.by_function.iter().take(LISTED) {
                let name = function.name.clone();
                let name = name.unwrap_or_else(|| format!("function {}", function.index));
                page.raw(format_args!("{}{name}", part(function.bytes)));
            }
            if sizes
                .by_function
                .iter()
                .all(|function| function.name.is_none())
            {
                page.raw("The module has no names. Those of a package are known: `attache inspect NAME`.");
            }
        }
    }
}

/// Callbacks and host calls.
fn calls(facts: &Facts, page: &mut Page<'_>) {
    page.title("Callbacks");
    let callbacks: Vec<&str> = facts
        .exports
        .iter()
        .filter(|name| name.starts_with("proxy_on_") || name.starts_with("envoy_on_"))
        .map(String::as_str)
        .collect();
    page.list(&callbacks);
    page.title("Host calls, by what they are for");
    let mut purposes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for import in &facts.imports {
        let purpose = purpose::of(&import.module, &import.name);
        purposes.entry(purpose).or_default().push(&import.name);
    }
    for (purpose, names) in purposes {
        page.raw(purpose);
        page.list(&names);
    }
}

/// The fields at the top of each configuration.
fn configurations(description: &Description, page: &mut Page<'_>) {
    for filter in &description.filters {
        page.title(&format!("Configuration of {}", filter.root_id));
        let schema = &filter.configuration;
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let Some(fields) = schema["properties"].as_object().filter(|it| !it.is_empty()) else {
            page.raw("none, or whatever it takes: the schema names no fields");
            continue;
        };
        for (name, field) in fields {
            let about = field["description"].as_str().unwrap_or_default();
            let about = about.lines().next().unwrap_or_default();
            let must = if required.contains(&name.as_str()) {
                "required"
            } else {
                ""
            };
            let kind = kind(field, schema);
            page.raw(format_args!("{name:<20} {kind:<10} {must:<8}  {about}"));
        }
    }
}

/// The type of a field, in a word.
fn kind(field: &Value, root: &Value) -> String {
    if let Some(target) = field["$ref"].as_str().and_then(|it| it.strip_prefix('#')) {
        return root
            .pointer(target)
            .map_or_else(String::new, |it| kind(it, &Value::Null));
    }
    match &field["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join("|")
        }
        _ => String::new(),
    }
}

/// The list of capabilities, to copy.
fn capabilities(facts: &Facts, page: &mut Page<'_>) {
    page.title("Envoy's restriction to what it links");
    page.raw("Envoy 1.40 calls this field of PluginConfig deprecated, and obeys it.");
    page.raw("capability_restriction_config:");
    page.raw("  allowed_capabilities:");
    for name in facts.capabilities() {
        page.raw(format_args!("    {name}: {{}}"));
    }
}

struct Page<'a> {
    screen: &'a Screen,
    text: String,
}

impl Page<'_> {
    fn title(&mut self, title: &str) {
        let title = self.screen.tint(Tone::Strong, &harmless_line(title));
        self.text.push_str(&format!("\n{title}\n"));
    }

    fn line(&mut self, label: &str, what: impl std::fmt::Display) {
        self.raw(format_args!("{label:<14}{what}"));
    }

    /// A line, in which the module has its word.
    fn raw(&mut self, line: impl std::fmt::Display) {
        let line = harmless_line(&format!("  {line}"));
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Words in lines as wide as the screen.
    fn list(&mut self, words: &[&str]) {
        let width = self.screen.width().max(40);
        let mut line = String::new();
        for (index, word) in words.iter().enumerate() {
            let comma = if index + 1 < words.len() { "," } else { "" };
            if !line.is_empty() && line.len() + word.len() + 6 > width {
                self.raw(format_args!("  {line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            line.push_str(comma);
        }
        self.raw(format_args!(
            "  {}",
            if line.is_empty() { "none" } else { &line }
        ));
    }
}
