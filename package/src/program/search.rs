//! `attache search`

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use attache_module::harmless;
use attache_package::registry::{Entry, Reference};

use super::arguments::Search;
use super::remote::{clear, wait};
use super::{print, stage, warn};

pub(super) fn search(arguments: &Search) -> anyhow::Result<()> {
    let mut entries = Vec::new();
    if arguments.registry.is_empty() && arguments.index.is_empty() {
        bail!("where? Name a registry (--registry HOST) or an index (--index FILE)");
    }
    for path in &arguments.index {
        entries.extend(read(path)?);
    }
    for registry in &arguments.registry {
        entries.extend(fetched(arguments, registry)?);
    }
    entries.retain(|entry| entry.has(&arguments.words));
    entries.sort_by(|one, other| one.reference.cmp(&other.reference));
    entries.dedup();
    let mut text = String::new();
    for entry in &entries {
        text += &match arguments.json {
            true => format!("{}\n", serde_json::to_string(entry)?),
            false => shown(entry),
        };
    }
    if entries.is_empty() && !arguments.json {
        stage("Nothing", "has these words");
    }
    Ok(print(&text)?)
}

fn fetched(arguments: &Search, registry: &str) -> anyhow::Result<Vec<Entry>> {
    // A registry alone is no reference, and any in it will do.
    let at: Reference = format!("{registry}/any").parse().with_context(|| {
        format!("`{registry}` is no registry: expected such as `localhost:5000`")
    })?;
    let client = arguments.remote.client_without_policy()?;
    stage("Searching", registry);
    let mut told = |reference: &Reference, error: &attache_package::registry::RegistryError| {
        warn(format_args!("{} is left out: {error}", reference.name()));
    };
    let found = wait(async { Ok(client.catalogue(&at, &mut told).await?) });
    clear();
    found
}

fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the index `{}`", path.display()))?;
    let mut entries = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let entry = serde_json::from_str(line).with_context(|| {
            format!(
                "`{}:{}` is no line that `attache search --json` prints",
                path.display(),
                number + 1
            )
        })?;
        entries.push(entry);
    }
    Ok(entries)
}

fn shown(entry: &Entry) -> String {
    let tag = entry.reference.tag().unwrap_or_default();
    let mut text = format!("{}:{tag}\n", entry.reference.name());
    if !entry.description.is_empty() {
        text += &format!("  {}\n", harmless(&entry.description));
    }
    text
}
