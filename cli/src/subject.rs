//! The module that a command is about, from the word on the command line.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attache_envoy::{Environment, cache_folder};
use attache_module::{Built, Facts, Guest, Named, Output, sha256};

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
    /// What a word names, an image in a registry too, whose module is fetched if the policy lets it in; without a
    /// word, the package that we are in.
    pub(crate) fn named(
        word: Option<&str>,
        policy: Option<&Path>,
        screen: &Screen,
    ) -> anyhow::Result<Self> {
        if let Some(word) = word {
            return match names_an_image(word) {
                true => fetched(word, policy, screen).map(Self::File),
                false => Self::find(word),
            };
        }
        Ok(Self::Guest(Named::here(Path::new("."))?))
    }

    /// A file that ends in `.wasm` is a module, a folder is a package's, and any other word names a
    /// package of the workspace here.
    pub(crate) fn find(word: &str) -> anyhow::Result<Self> {
        Ok(match Named::find(word)? {
            Named::Guest(guest) => Self::Guest(guest),
            Named::File(path) => Self::File(path),
        })
    }

    /// Builds or reads the module.
    pub(crate) fn load(&self, screen: &Screen) -> anyhow::Result<Loaded> {
        match self {
            Self::Guest(guest) => build(guest, screen).map(Loaded::from),
            Self::File(path) => read(path),
        }
    }
}

/// Refuses a policy that would not be asked.
pub(crate) fn check_policy(policy: Option<&Path>, words: &[&str]) -> anyhow::Result<()> {
    if policy.is_some() && !words.iter().any(|word| names_an_image(word)) {
        bail!("--policy is for images in a registry, and none is named");
    }
    Ok(())
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

/// What the module of an image is called: the last part of its repository.
fn name_in(reference: &str) -> &str {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    last.split([':', '@']).next().unwrap_or(last)
}

/// The module of an image, in a file of our own: by what it is and not by what it was called, so that neither two names
/// nor two moments share a file.
fn fetched(reference: &str, policy: Option<&Path>, screen: &Screen) -> anyhow::Result<PathBuf> {
    let folder = cache_folder(&Environment::current())?.join("images");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let part = folder.join(format!("{}.part", std::process::id()));
    let mut arguments: Vec<OsString> = ["pull", reference, "--module"].map(Into::into).into();
    arguments.push(part.clone().into());
    if let Some(policy) = policy {
        arguments.extend(["--policy".into(), policy.into()]);
    }
    let status = handover::IMAGE.run_for_us(&arguments, screen)?;
    if status != 0 {
        bail!("cannot fetch `{reference}`");
    }
    let kept = keep(&folder, &part, name_in(reference));
    if kept.is_err() {
        // It may be there or not.
        let _ = fs::remove_file(&part);
    }
    kept.with_context(|| format!("cannot keep `{reference}` in `{}`", folder.display()))
}

/// Moves a module to its place: a folder for its digest, in which its name is the file's.
fn keep(folder: &Path, part: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = folder.join(sha256(&fs::read(part)?));
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.wasm"));
    fs::rename(part, &path)?;
    Ok(path)
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
    #[test]
    fn a_module_is_kept_by_what_it_is() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("attache-keep-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let keep = |reference: &str, module: &str| {
            let part = folder.join("part");
            fs::write(&part, module)?;
            keep(&folder, &part, name_in(reference))
        };
        // Names that were one file when signs were replaced.
        let one = keep("r.io/a/b:1", "one")?;
        let other = keep("r.io/a_b:1", "other")?;
        let moved = keep("r.io/a/b:1", "two")?;
        for (path, module, name) in [
            (&one, "one", "b"),
            (&other, "other", "a_b"),
            (&moved, "two", "b"),
        ] {
            assert_eq!(fs::read_to_string(path)?, module);
            assert_eq!(path.file_stem(), Some(name.as_ref()));
        }
        assert_eq!(keep("r.io/a/b@sha256:00", "one")?, one);
        fs::remove_dir_all(folder)
    }

    #[test]
    fn a_policy_that_would_not_be_asked_is_refused() {
        let policy = Some(Path::new("policy.yaml"));
        assert!(check_policy(policy, &["a", "r.io/b"]).is_ok());
        assert!(check_policy(None, &["a"]).is_ok());
        for words in [&[][..], &["a"], &["a", "b.wasm"]] {
            assert!(check_policy(policy, words).is_err(), "{words:?}");
        }
    }
}
