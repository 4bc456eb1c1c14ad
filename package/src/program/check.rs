//! `attache check`

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use attache_package::registry::{Pulled, Reference};
use attache_package::{Crds, Graph, Layout, Published, Severity};
use serde_json::json;

use super::arguments::Check;
use super::print;
use super::remote::{clear, wait};

/// The most bytes that a file of manifests may have.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;

pub(super) fn check(arguments: &Check) -> anyhow::Result<()> {
    let policy = arguments.trust.policy()?;
    if policy.is_some() && arguments.image.is_empty() && arguments.images.is_none() {
        bail!("--policy is for images: name one with --image, or a folder of them with --images");
    }
    let (mut images, mut graphs) = match &arguments.images {
        Some(folder) => images(&Layout::open(folder)?)?,
        None => (Vec::new(), Vec::new()),
    };
    if !arguments.image.is_empty() {
        for pulled in fetched(arguments)? {
            images.push(pulled.image);
            graphs.push(pulled.graph);
        }
    }
    let admission = |name: &Reference, image: &Published| {
        let digest = image.descriptor.digest;
        let graph = graphs.iter().find(|it| it.descriptor().digest == digest);
        let judged = match (&policy, graph) {
            (Some(policy), Some(graph)) => graph.judge(policy, &name.name()).map(|_| ()),
            (None, _) => return Ok(()),
            (Some(_), None) => return Err("nobody has looked at its signatures".to_owned()),
        };
        judged.map_err(|error| error.to_string())
    };
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
        let checked = match &policy {
            Some(_) => attache_package::check_admitted(&text, &images, &crds, &admission),
            None => attache_package::check_against(&text, &images, &crds),
        };
        let checked = checked.with_context(|| format!("cannot check `{name}`"))?;
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

fn fetched(arguments: &Check) -> anyhow::Result<Vec<Pulled>> {
    let client = arguments.remote.client(&arguments.trust)?;
    let fetched = wait(async {
        let mut images = Vec::new();
        for word in &arguments.image {
            images.push(client.pull(&word.parse()?).await?);
        }
        Ok(images)
    });
    clear();
    fetched
}

/// The images of a folder, each with what is attached to it.
fn images(layout: &Layout) -> anyhow::Result<(Vec<Published>, Vec<Graph>)> {
    let (mut images, mut graphs) = (Vec::new(), Vec::new());
    for tag in layout.tags()? {
        let image = layout.module(&tag)?;
        graphs.push(layout.graph(&image.descriptor.digest.to_string())?);
        images.push(image);
    }
    Ok((images, graphs))
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
