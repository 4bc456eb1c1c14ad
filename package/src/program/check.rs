//! `attache check`

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use attache_package::{Crds, Layout, Published, Severity};
use serde_json::json;

use super::arguments::Check;
use super::print;
use super::remote::{clear, wait};

/// The most bytes that a file of manifests may have.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;

pub(super) fn check(arguments: &Check) -> anyhow::Result<()> {
    if arguments.trust.policy.is_some() && arguments.image.is_empty() {
        bail!("--policy is for images that are fetched: name one with --image");
    }
    let mut images = match &arguments.images {
        Some(folder) => images(&Layout::open(folder)?)?,
        None => Vec::new(),
    };
    if !arguments.image.is_empty() {
        images.extend(fetched(arguments)?);
    }
    let mut crds = Crds::default();
    for path in &arguments.crds {
        let read = Crds::read(&read(path)?)
            .with_context(|| format!("cannot use the CRDs in `{}`", path.display()))?;
        if read.is_empty() {
            bail!("`{}` has no CustomResourceDefinition", path.display());
        }
        crds.extend(read);
    }
    let (mut documents, mut errors, mut warnings) = (0, 0, 0);
    for path in &arguments.files {
        let name = path.display();
        let text = read(path)?;
        let checked = attache_package::check_against(&text, &images, &crds)
            .with_context(|| format!("cannot check `{name}`"))?;
        documents += checked.len();
        for document in checked {
            for finding in &document.findings {
                match finding.severity {
                    Severity::Error => errors += 1,
                    _ => warnings += 1,
                }
                let (severity, line) = (finding.severity, finding.line);
                print(&if arguments.json {
                    let found = json!({
                        "file": path,
                        "line": line,
                        "severity": severity.to_string(),
                        "document": document.what,
                        "text": finding.text,
                    });
                    format!("{found}\n")
                } else {
                    format!(
                        "{name}:{line}: {severity}: {}: {}\n",
                        document.what, finding.text
                    )
                })?;
            }
        }
    }
    if documents == 0 {
        bail!(
            "nothing to check: there is no WasmPlugin, TrafficExtension, EnvoyExtensionPolicy, EnvoyFilter, and no Wasm plugin in a configuration of Envoy"
        );
    }
    if !arguments.json {
        let count =
            |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        print(&format!(
            "{}: {}, {}\n",
            count(documents, "document"),
            count(errors, "error"),
            count(warnings, "warning")
        ))?;
    }
    if errors > 0 {
        bail!("something is wrong");
    }
    Ok(())
}

fn fetched(arguments: &Check) -> anyhow::Result<Vec<Published>> {
    let client = arguments.remote.client(&arguments.trust)?;
    let fetched = wait(async {
        let mut images = Vec::new();
        for word in &arguments.image {
            images.push(client.pull(&word.parse()?).await?.image);
        }
        Ok(images)
    });
    clear();
    fetched
}

fn images(layout: &Layout) -> anyhow::Result<Vec<Published>> {
    let tags = layout.tags()?;
    Ok(tags
        .iter()
        .map(|tag| layout.module(tag))
        .collect::<Result<_, _>>()?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read `{}`", path.display());
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(FILE_LIMIT)
            .read_to_string(&mut text)
    } else {
        fs::File::open(path)
            .with_context(cannot)?
            .take(FILE_LIMIT)
            .read_to_string(&mut text)
    };
    if read.with_context(cannot)? as u64 == FILE_LIMIT {
        bail!("`{}` is larger than {FILE_LIMIT} bytes", path.display());
    }
    Ok(text)
}
