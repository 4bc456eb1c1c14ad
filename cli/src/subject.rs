//! The module that a command is about, from the word on the command line.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attache_module::{Built, Facts, Guest, Output};

use crate::screen::{Screen, bytes, shown};

/// What the word on the command line names.
pub(crate) enum Subject {
    /// A crate to build.
    Guest(Guest),
    /// A module that somebody else built.
    File(PathBuf),
}

/// A module, ready to load.
pub(crate) struct Loaded {
    /// What to call it: the package, or the file without its ending.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) facts: Facts,
    pub(crate) path: PathBuf,
    /// Our folder in cargo's target folder, where the module is one that we built.
    pub(crate) target: Option<PathBuf>,
    /// The files that a change in calls for another build.
    pub(crate) sources: Vec<PathBuf>,
}

impl Subject {
    /// What a word names; without one, the package that we are in.
    pub(crate) fn named(word: Option<&str>) -> anyhow::Result<Self> {
        if let Some(word) = word {
            return Self::find(word);
        }
        let mut guests = Guest::all(Path::new("."))?;
        match guests.pop() {
            Some(guest) if guests.is_empty() => Ok(Self::Guest(guest)),
            last => {
                let all = guests.iter().chain(&last);
                let names: Vec<&str> = all.filter_map(Guest::package).collect();
                bail!("which filter is meant? Name one of: {}", names.join(", "))
            }
        }
    }

    /// A file that ends in `.wasm` is a module, a folder is a package's, and any other word names a
    /// package of the workspace here.
    pub(crate) fn find(word: &str) -> anyhow::Result<Self> {
        let path = Path::new(word);
        if path.extension().is_some_and(|ending| ending == "wasm") {
            if !path.is_file() {
                bail!("there is no file `{word}`");
            }
            return Ok(Self::File(path.to_owned()));
        }
        if path.is_dir() && path.join("Cargo.toml").is_file() {
            return Ok(Self::Guest(Guest::in_workspace(path, None)));
        }
        if word.contains(['/', '\\']) || word.is_empty() {
            bail!(
                "`{word}` is neither a folder with a `Cargo.toml` nor a file that ends in `.wasm`"
            );
        }
        Ok(Self::Guest(Guest::find(Path::new("."), word)?))
    }

    /// Builds or reads the module.
    pub(crate) fn load(&self, screen: &Screen) -> anyhow::Result<Loaded> {
        match self {
            Self::Guest(guest) => build(guest, screen).map(Loaded::from),
            Self::File(path) => read(path),
        }
    }
}

/// Builds a guest with cargo's words on standard error.
pub(crate) fn build(guest: &Guest, screen: &Screen) -> anyhow::Result<Built> {
    let output = Output {
        color: screen.colors_errors(),
        writer: &mut std::io::stderr(),
    };
    let built = guest.build_showing(output, &mut |notice| screen.stage("Target", notice))?;
    screen.stage(
        "Built",
        format_args!(
            "{} ({}; {} as linked)",
            shown(&built.path),
            bytes(built.bytes.len() as u64),
            bytes(built.linked_size as u64),
        ),
    );
    Ok(built)
}

fn read(path: &Path) -> anyhow::Result<Loaded> {
    let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let facts = Facts::read(&bytes).with_context(|| format!("cannot load `{}`", path.display()))?;
    let path = std::path::absolute(path)?;
    Ok(Loaded {
        name: path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default(),
        bytes,
        facts,
        sources: vec![path.clone()],
        target: None,
        path,
    })
}

impl From<Built> for Loaded {
    fn from(built: Built) -> Self {
        Self {
            name: built.name,
            bytes: built.bytes,
            facts: built.facts,
            target: built.path.parent().map(Path::to_owned),
            path: built.path,
            sources: built.sources,
        }
    }
}
