//! `attache push` and `attache copy`

use anyhow::bail;
use attache_module::harmless;
use attache_package::registry::{Client, Pushed, Reference};
use attache_package::signing::{BUNDLE, SigningKey, sign};
use attache_package::{Attached, Graph, Layout};
use serde_json::json;

use super::arguments::{Copy, Push};
use super::package::make;
use super::place::{Place, only};
use super::pull::moved;
use super::remote::{clear, say_left_out, wait};
use super::{bytes, print, stage};

pub(super) fn push(arguments: &Push) -> anyhow::Result<()> {
    let mut reference: Reference = arguments.reference.parse()?;
    // What is wrong with the certificates is said before anything is built.
    let client = arguments.remote.client(&arguments.trust)?;
    let key = arguments
        .sign
        .as_deref()
        .map(SigningKey::read)
        .transpose()?;
    let mut graph = match Place::folder(&arguments.filter) {
        Some(Place::Folder(folder, tag)) => in_folder(&folder, tag)?.0,
        _ => Graph::from(&make(&arguments.filter, &arguments.about)?.image),
    };
    if let Some(key) = &key {
        sign(&mut graph, key)?;
    }
    reference = with_tag(reference, &graph)?;
    arguments.trust.judge(&graph, &reference)?;
    stage("Pushing", &reference);
    let pushed = wait(async { Ok(send(&client, &graph, &reference).await?) })?;
    show(&graph, &pushed, arguments.json)
}

/// The image's version as its tag, where none is named.
fn with_tag(reference: Reference, graph: &Graph) -> anyhow::Result<Reference> {
    if reference.tag().is_some() || reference.digest().is_some() {
        return Ok(reference);
    }
    let Some(version) = graph.version() else {
        bail!("the image does not say its version: name a tag, {reference}:TAG");
    };
    // A tag cannot hold the sign that begins what a version says of its build.
    Ok(reference.tagged(&version.replace('+', "_"))?)
}

pub(super) fn copy(arguments: &Copy) -> anyhow::Result<()> {
    let (from, to) = (Place::find(&arguments.from)?, Place::find(&arguments.to)?);
    if let (Place::Folder(..), Place::Folder(..), Some(_)) = (&from, &to, &arguments.trust.policy) {
        bail!("--policy goes by the name in a registry, and a copy between folders has none");
    }
    let client = arguments.remote.client(&arguments.trust)?;
    let (graph, tag) = match &from {
        Place::Folder(folder, tag) => {
            let (graph, tag) = in_folder(folder, tag.clone())?;
            (graph, Some(tag))
        }
        Place::Registry(reference) => {
            stage("Fetching", reference);
            let graph = wait(async { Ok(client.fetch(reference).await?) });
            clear();
            (graph?, reference.tag().map(str::to_owned))
        }
    };
    say_left_out(&graph);
    match &to {
        Place::Registry(reference) => {
            let named = reference.tag().is_some() || reference.digest().is_some();
            let reference = match (&from, &tag) {
                (Place::Registry(_), Some(tag)) if !named => reference.tagged(tag)?,
                _ => with_tag(reference.clone(), &graph)?,
            };
            if matches!(from, Place::Folder(..)) {
                arguments.trust.judge(&graph, &reference)?;
            }
            stage("Pushing", &reference);
            let pushed = wait(async { Ok(send(&client, &graph, &reference).await?) })?;
            show(&graph, &pushed, arguments.json)
        }
        Place::Folder(folder, to) => {
            let Some(to) = to.clone().or(tag) else {
                bail!("the copy needs a tag: oci:{}:TAG", folder.display());
            };
            let replaced = Layout::create(folder)?.put(&graph, &to)?;
            let digest = graph.descriptor().digest;
            let text = match arguments.json {
                true => format!(
                    "{}\n",
                    json!({ "layout": folder, "tag": to, "digest": digest, "replaced": replaced })
                ),
                false => format!(
                    "oci:{}:{to}\n  digest    {digest}\n{}",
                    folder.display(),
                    replaced.map(moved).unwrap_or_default()
                ),
            };
            Ok(print(&text)?)
        }
    }
}

pub(super) fn in_folder(
    folder: &std::path::Path,
    tag: Option<String>,
) -> anyhow::Result<(Graph, String)> {
    let layout = Layout::open(folder)?;
    let tag = match tag {
        Some(tag) => tag,
        None => only(&layout.tags()?, folder)?,
    };
    Ok((layout.graph(&tag)?, tag))
}

async fn send(
    client: &Client,
    graph: &Graph,
    reference: &Reference,
) -> Result<Pushed, attache_package::registry::RegistryError> {
    let pushed = client.push(graph, reference).await;
    clear();
    pushed
}

fn show(graph: &Graph, pushed: &Pushed, as_json: bool) -> anyhow::Result<()> {
    let attached = graph.attached();
    let digest = graph.descriptor().digest;
    if as_json {
        let line = json!({
            "reference": pushed.reference,
            "digest": digest,
            "sent_bytes": pushed.sent,
            "replaced": pushed.replaced,
            "fallback_tag": pushed.fallback,
            "attached": attached.iter().map(entry).collect::<Vec<_>>(),
        });
        return Ok(print(&format!("{line}\n"))?);
    }
    let name = pushed.reference.name();
    let mut text = format!(
        "{}\n",
        pushed
            .reference
            .tag()
            .map_or(name.clone(), |tag| format!("{name}:{tag}"))
    );
    text += &format!("  digest    {digest}\n");
    if let Some(before) = pushed.replaced {
        text += &format!("  moved     the tag named {before} before\n");
    }
    for attached in &attached {
        text += &attachment(attached);
    }
    text += &match pushed.sent {
        0 => "  sent      nothing: the registry has it all\n".to_owned(),
        sent => format!("  sent      {}\n", bytes(sent)),
    };
    text += &format!("\nPinned:  {name}@{digest}\n");
    Ok(print(&text)?)
}

pub(super) fn attachment(attached: &Attached) -> String {
    let (title, kind) = (harmless(&attached.title), harmless(&attached.artifact_type));
    match attached.artifact_type.as_str() {
        BUNDLE => "  attached  a signature\n".to_owned(),
        _ => format!("  attached  {title} ({kind})\n"),
    }
}

pub(super) fn entry(attached: &Attached) -> serde_json::Value {
    json!({
        "title": attached.title,
        "type": attached.artifact_type,
        "digest": attached.descriptor.digest,
        "bytes": attached.content.len(),
    })
}
