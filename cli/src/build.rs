//! `attache build`: modules that Envoy loads.

mod optimize;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::bail;
use attache_module::{Built, Guest};
use serde_json::json;

use crate::arguments::Build;
use crate::screen::{Screen, Tone, bytes, shown};
use crate::subject::{self, Subject};
use crate::watch::Watch;

/// `attache build`
pub(crate) fn build(arguments: &Build, screen: &Screen) -> anyhow::Result<()> {
    if arguments.release {
        screen.warn("--release says nothing new: a module is always built for release");
    }
    let guests = guests(&arguments.filters)?;
    let mut since = SystemTime::now();
    let mut built = build_all(&guests, arguments, screen);
    if !arguments.watch {
        return built.map(drop);
    }
    let mut watch = Watch::new()?;
    loop {
        let sources = match built {
            Ok(sources) => sources,
            Err(error) => {
                screen.error(error.as_ref());
                guests.iter().flat_map(sources_of).collect()
            }
        };
        watch.set(sources.iter().map(PathBuf::as_path))?;
        watch.look_back(since);
        screen.stage("Watching", format_args!("{} files", sources.len()));
        let changed = watch.wait(screen, &mut || Ok(()))?;
        screen.stage("Changed", shown(&changed));
        since = SystemTime::now();
        built = build_all(&guests, arguments, screen);
    }
}

/// What the words name, and all that is here where there are none.
fn guests(words: &[String]) -> anyhow::Result<Vec<Guest>> {
    if words.is_empty() {
        return Ok(Guest::all(Path::new("."))?);
    }
    let mut guests = Vec::new();
    for word in words {
        let folder = Path::new(word);
        // In the folder of a workspace, all of its filters are meant.
        if folder.join("Cargo.toml").is_file() {
            guests.extend(Guest::all(folder)?);
            continue;
        }
        match Subject::find(word)? {
            Subject::Guest(guest) => guests.push(guest),
            Subject::File(_) => {
                bail!("`{word}` is a module already; name a package or its folder")
            }
        }
    }
    Ok(guests)
}

/// Builds all, and returns the files that they are made of.
fn build_all(guests: &[Guest], arguments: &Build, screen: &Screen) -> anyhow::Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for guest in guests {
        let built = subject::build(guest, screen)?;
        let shipped = Shipped::new(built, arguments.wasm_opt)?;
        let text = match arguments.json {
            true => shipped.to_json(),
            false => shipped.to_text(screen),
        };
        screen.print(&text)?;
        sources.extend(shipped.built.sources);
        sources.extend(guest.folder().map(|folder| folder.join("Cargo.toml")));
    }
    Ok(sources)
}

/// What a change may mend in a package that does not build.
fn sources_of(guest: &Guest) -> Vec<PathBuf> {
    let Some(folder) = guest.folder() else {
        return Vec::new();
    };
    let mut files = vec![folder.join("Cargo.toml")];
    let mut folders = vec![folder.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                _ => files.push(path),
            }
        }
    }
    files
}

/// A module as it lies in the target folder.
struct Shipped {
    built: Built,
    /// Its size before `wasm-opt`, where that was asked for.
    finished_size: Option<usize>,
}

impl Shipped {
    fn new(mut built: Built, wasm_opt: bool) -> anyhow::Result<Self> {
        let mut finished_size = None;
        if wasm_opt {
            finished_size = Some(built.bytes.len());
            optimize::optimize(&built.path, &built.facts)?;
            built.read_again()?;
        }
        Ok(Self {
            built,
            finished_size,
        })
    }

    fn root_ids(&self) -> Vec<&str> {
        let declarations = self.built.facts.declarations.iter();
        declarations
            .map(|declaration| declaration.root_id.as_str())
            .collect()
    }

    fn to_json(&self) -> String {
        let built = &self.built;
        let imports = built.facts.imports.iter();
        let imports: Vec<String> = imports
            .map(|import| format!("{}.{}", import.module, import.name))
            .collect();
        let line = json!({
            "name": built.name,
            "path": built.path,
            "sha256": built.sha256,
            "bytes": built.bytes.len(),
            "finished_bytes": self.finished_size.unwrap_or(built.bytes.len()),
            "linked_bytes": built.linked_size,
            "root_ids": self.root_ids(),
            "imports": imports,
            "exports": built.facts.exports,
            "dropped_exports": built.dropped_exports,
        });
        format!("{line}\n")
    }

    fn to_text(&self, screen: &Screen) -> String {
        let built = &self.built;
        let roots = self.root_ids();
        let mut before = format!("{} as linked", bytes(built.linked_size as u64));
        if let Some(size) = self.finished_size {
            before.push_str(&format!(", {} before wasm-opt", bytes(size as u64)));
        }
        format!(
            "{}\n  path       {}\n  size       {} ({before})\n  sha256     {}\n  root ids   {}\n  callbacks  {}\n",
            screen.tint(Tone::Strong, &built.name),
            shown(&built.path),
            bytes(built.bytes.len() as u64),
            built.sha256,
            match roots.is_empty() {
                true => "not declared".to_owned(),
                false => roots.join(", "),
            },
            callbacks(&built.facts.exports),
        )
    }
}

fn callbacks(exports: &[String]) -> String {
    let names: Vec<&str> = exports
        .iter()
        .filter_map(|export| export.strip_prefix("proxy_on_"))
        .collect();
    names.join(", ")
}
