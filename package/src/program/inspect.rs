//! `attache images`

use attache_module::{harmless, harmless_line};
use attache_package::signing::BUNDLE;
use attache_package::{Consumer, Layout};
use serde_json::json;

use super::arguments::Images;
use super::{bytes, print};

pub(super) fn images(arguments: &Images) -> anyhow::Result<()> {
    let layout = Layout::open(&arguments.folder)?;
    for tag in layout.tags()? {
        let image = layout.module(&tag)?;
        let attached = layout.referrers(image.descriptor.digest)?;
        let verdicts: Vec<(Consumer, Option<String>)> = Consumer::ALL
            .into_iter()
            .map(|consumer| {
                (
                    consumer,
                    consumer
                        .find(&image.manifest)
                        .err()
                        .map(|refusal| refusal.to_string()),
                )
            })
            .collect();
        let module = attache_package::Digest::of(&image.bytes);
        if arguments.json {
            let titles: Vec<_> = attached
                .iter()
                .map(|(descriptor, _)| {
                    json!({
                        "title": descriptor.annotations.get("org.opencontainers.image.title"),
                        "type": descriptor.artifact_type,
                        "digest": descriptor.digest,
                    })
                })
                .collect();
            let refused: serde_json::Map<String, serde_json::Value> = verdicts
                .iter()
                .filter_map(|(consumer, refusal)| {
                    Some((consumer.to_string(), json!(refusal.as_ref()?)))
                })
                .collect();
            let line = json!({
                "tag": tag,
                "digest": image.descriptor.digest,
                "module_sha256": module.hex(),
                "module_bytes": image.bytes.len(),
                "annotations": image.manifest.annotations,
                "attached": titles,
                "refused_by": refused,
            });
            print(&format!("{line}\n"))?;
            continue;
        }
        let mut text = format!(
            "{}\n  digest    {}\n  module    {module} ({})\n",
            harmless(&tag),
            image.descriptor.digest,
            bytes(image.bytes.len() as u64)
        );
        for (name, value) in &image.manifest.annotations {
            if let Some(name) = name.strip_prefix("attache.image/") {
                text += &format!("  {:<8}  {}\n", harmless(name), harmless_line(value));
            }
        }
        for (descriptor, content) in &attached {
            let title = descriptor.annotations.get("org.opencontainers.image.title");
            let is_signature = descriptor.artifact_type.as_deref() == Some(BUNDLE);
            let title = match (is_signature, title) {
                (true, _) => "a signature",
                (false, title) => title.map_or("", String::as_str),
            };
            text += &format!(
                "  attached  {} ({})\n",
                harmless(title),
                bytes(content.len() as u64)
            );
        }
        for (consumer, refusal) in &verdicts {
            text += &match refusal {
                None => format!("  taken by  {consumer}\n"),
                Some(refusal) => format!("  refused   {consumer}: {refusal}\n"),
            };
        }
        print(&text)?;
    }
    Ok(())
}
