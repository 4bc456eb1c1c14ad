use serde_json::json;

use anyhow::bail;

use crate::arguments::Build;
use crate::screen::{Screen, Tone, bytes, shown};
use crate::subject::{self, Subject};

/// `attache build`
pub(crate) fn build(arguments: &Build, screen: &Screen) -> anyhow::Result<()> {
    for word in &arguments.filters {
        let Subject::Guest(guest) = Subject::find(word)? else {
            bail!("`{word}` is a module already; name a package or its folder");
        };
        let built = subject::build(&guest, screen)?;
        let roots: Vec<&str> = built
            .facts
            .declarations
            .iter()
            .map(|declaration| declaration.root_id.as_str())
            .collect();
        if arguments.json {
            let line = json!({
                "name": built.name,
                "path": built.path,
                "sha256": built.sha256,
                "bytes": built.bytes.len(),
                "linked_bytes": built.linked_size,
                "root_ids": roots,
                "exports": built.facts.exports,
                "dropped_exports": built.dropped_exports,
            });
            screen.print(&format!("{line}\n"))?;
            continue;
        }
        screen.print(&format!(
            "{}\n  path       {}\n  size       {} ({} as linked)\n  sha256     {}\n  root ids   {}\n  callbacks  {}\n",
            screen.tint(Tone::Strong, &built.name),
            shown(&built.path),
            bytes(built.bytes.len() as u64),
            bytes(built.linked_size as u64),
            built.sha256,
            if roots.is_empty() { "not declared".to_owned() } else { roots.join(", ") },
            callbacks(&built.facts.exports),
        ))?;
    }
    Ok(())
}

fn callbacks(exports: &[String]) -> String {
    let names: Vec<&str> = exports
        .iter()
        .filter_map(|export| export.strip_prefix("proxy_on_"))
        .collect();
    names.join(", ")
}
