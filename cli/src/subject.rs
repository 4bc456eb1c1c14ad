//! The module that a command is about, from the word on the command line.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attache_envoy::{Environment, cache_folder};
use attache_module::{Built, Facts, Guest, Output};

use crate::handover;
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
    /// What a word names, an image in a registry too, whose module is fetched; without a word, the package
    /// that we are in.
    pub(crate) fn named(word: Option<&str>, screen: &Screen) -> anyhow::Result<Self> {
        if let Some(word) = word {
            return match names_an_image(word) {
                true => fetched(word, screen).map(Self::File),
                false => Self::find(word),
            };
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

/// Whether a word can only be the name of an image: it says so, or it begins with a host and is no file.
fn names_an_image(word: &str) -> bool {
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    let begins_with_host = word
        .split_once('/')
        .is_some_and(|(first, _)| is_host(first));
    word.starts_with("oci://")
        || word.starts_with("docker://")
        || (begins_with_host && !word.starts_with('.') && !Path::new(word).exists())
}

/// The module of an image, in a file of our own, which each image has once.
fn fetched(reference: &str, screen: &Screen) -> anyhow::Result<PathBuf> {
    let folder = cache_folder(&Environment::current())?.join("images");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let fits = |symbol: char| symbol.is_ascii_alphanumeric() || "._-".contains(symbol);
    let name = reference.replace(|symbol| !fits(symbol), "_");
    let path = folder.join(format!("{name}.wasm"));
    let words = ["pull", reference, "--module"].map(OsString::from);
    let arguments: Vec<OsString> = words.into_iter().chain([path.clone().into()]).collect();
    match handover::IMAGE.run_for_us(&arguments, screen)? {
        0 => Ok(path),
        _ => bail!("cannot fetch `{reference}`"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_told_from_files_and_packages() {
        for word in [
            "oci://a/b",
            "localhost:5000/a",
            "ghcr.io/me/filter:1",
            "localhost/a",
        ] {
            assert!(names_an_image(word), "{word}");
        }
        for word in [
            "scrub",
            "filters/scrub",
            "./a.b/c",
            "../x",
            "filter.wasm",
            "src/subject.rs",
        ] {
            assert!(!names_an_image(word), "{word}");
        }
    }
}
