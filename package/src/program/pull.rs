//! `attache pull` and `attache tags`

use std::path::PathBuf;

use anyhow::Context;
use attache_module::{harmless, write_whole};
use attache_package::registry::{Pulled, Reference};
use attache_package::{Digest, Layout};
use serde_json::json;

use super::arguments::{Pull, Tags};
use super::push::{attachment, entry};
use super::remote::{clear, fields, say_left_out, shown, wait};
use super::{bytes, print, stage};

pub(super) fn pull(arguments: &Pull) -> anyhow::Result<()> {
    let reference: Reference = arguments.reference.parse()?;
    let client = arguments.remote.client(&arguments.trust)?;
    stage("Fetching", &reference);
    let pulled = wait(async { Ok(client.pull(&reference).await?) });
    clear();
    let pulled = pulled?;
    if let Some(path) = &arguments.module {
        write_whole(path, &pulled.image.bytes)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let folder = match (&arguments.output, &arguments.module) {
        (Some(folder), _) => Some(folder.clone()),
        (None, Some(_)) => None,
        (None, None) => Some(PathBuf::from("target/attache/images")),
    };
    let tag = arguments
        .tag
        .clone()
        .unwrap_or_else(|| local_tag(&reference));
    let replaced = match &folder {
        Some(folder) => Layout::create(folder)?.put(&pulled.graph, &tag)?,
        None => None,
    };
    say_left_out(&pulled.graph);
    show(
        arguments,
        &pulled,
        folder.map(|folder| (folder, tag)),
        replaced,
    )
}

/// What names an image in a folder: the last word of its repository, and its tag.
fn local_tag(reference: &Reference) -> String {
    let repository = reference.repository();
    let last = repository.rsplit('/').next().unwrap_or(repository);
    match (reference.tag(), reference.digest()) {
        (Some(tag), _) => format!("{last}-{tag}"),
        (None, Some(digest)) => format!("{last}-{}", &digest.hex()[..12]),
        (None, None) => format!("{last}-latest"),
    }
}

fn show(
    arguments: &Pull,
    pulled: &Pulled,
    folder: Option<(PathBuf, String)>,
    replaced: Option<Digest>,
) -> anyhow::Result<()> {
    let module = Digest::of(&pulled.image.bytes);
    let digest = pulled.image.descriptor.digest;
    if arguments.json {
        let (signers, allowed_by) = pulled.verdict.as_ref().map(fields).unwrap_or_default();
        let left_out = pulled.graph.left_out().iter().map(ToString::to_string);
        let line = json!({
            "reference": pulled.reference,
            "digest": digest,
            "module_sha256": module.hex(),
            "module_bytes": pulled.image.bytes.len(),
            "module": arguments.module,
            "layout": folder.as_ref().map(|(folder, _)| folder),
            "tag": folder.as_ref().map(|(_, tag)| tag),
            "replaced": replaced,
            "signers": signers,
            "allowed_by": allowed_by,
            "attached": pulled.attached.iter().map(entry).collect::<Vec<_>>(),
            "left_out": left_out.collect::<Vec<_>>(),
        });
        return Ok(print(&format!("{line}\n"))?);
    }
    let mut text = format!("{}\n", pulled.reference.name());
    if let Some((folder, tag)) = &folder {
        text += &format!("  image     oci:{}:{tag}\n", folder.display());
    }
    if let Some(path) = &arguments.module {
        text += &format!("  file      {}\n", path.display());
    }
    text += &format!(
        "  digest    {digest}\n  module    {module} ({})\n",
        bytes(pulled.image.bytes.len() as u64)
    );
    if let Some(before) = replaced {
        text += &moved(before);
    }
    if let Some(verdict) = &pulled.verdict {
        text += &shown(verdict);
    }
    for attached in &pulled.attached {
        text += &attachment(attached);
    }
    Ok(print(&text)?)
}

/// What a tag of a folder named before.
pub(super) fn moved(before: Digest) -> String {
    format!("  moved     the tag named {before} before, which stays in the folder by its digest\n")
}

pub(super) fn tags(arguments: &Tags) -> anyhow::Result<()> {
    let repository: Reference = arguments.repository.parse()?;
    let client = arguments.remote.client_without_policy()?;
    let mut tags = wait(async { Ok(client.tags(&repository).await?) })?;
    if !arguments.all {
        tags.retain(|tag| !is_about_another(tag));
    }
    let text = match arguments.json {
        true => format!(
            "{}\n",
            json!({ "repository": repository.name(), "tags": tags })
        ),
        false => tags
            .iter()
            .map(|tag| format!("{}\n", harmless(tag)))
            .collect(),
    };
    Ok(print(&text)?)
}

/// Whether a tag names a list or a signature that belongs to another image.
fn is_about_another(tag: &str) -> bool {
    let digits = tag.strip_prefix("sha256-").unwrap_or_default().bytes();
    digits.take(64).filter(u8::is_ascii_hexdigit).count() == 64
}
