//! Where the packages of Attaché come from that a new crate depends on.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::arguments::Sdk as Words;
use crate::checkout;

use super::manifest;

/// The packages that a filter's crate names, and their folders in a checkout.
const FOLDERS: [(&str, &str); 3] = [
    ("attache", "sdk"),
    ("attache-harness", "harness"),
    ("attache-suite", "suite"),
];

/// A source of packages.
#[derive(Debug)]
pub(super) enum Sdk {
    /// What the workspace says, or this where it does not say.
    Workspace(Box<Self>),
    /// A checkout.
    Path(PathBuf),
    Git {
        url: String,
        rev: Option<String>,
    },
    /// The registry.
    Version(String),
}

impl Sdk {
    /// What the command line says; or what is nearest: the workspace's own, the checkout that the new
    /// crate will be in, the one that this program was built in, the registry.
    pub(super) fn new(
        words: &Words,
        folder: &Path,
        workspace: Option<&str>,
    ) -> anyhow::Result<Self> {
        if let Some(path) = &words.sdk_path {
            return Self::in_checkout(path);
        }
        if let Some(url) = &words.sdk_git {
            let (url, rev) = (url.clone(), words.sdk_rev.clone());
            return Ok(Self::Git { url, rev });
        }
        if let Some(version) = &words.sdk_version {
            return Ok(Self::Version(version.clone()));
        }
        let nearest = checkout::around(folder).or_else(checkout::built_in);
        let nearest = nearest.map_or_else(
            || Self::Version(env!("CARGO_PKG_VERSION").to_owned()),
            Self::Path,
        );
        Ok(match workspace {
            Some(_) => Self::Workspace(Box::new(nearest)),
            None => nearest,
        })
    }

    /// A checkout, or its folder with the SDK.
    fn in_checkout(path: &Path) -> anyhow::Result<Self> {
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot find `{}`", path.display()))?;
        let parent = path.parent().filter(|_| path.ends_with("sdk"));
        let root = [Some(path.as_path()), parent].into_iter().flatten();
        let mut roots = root.filter(|root| checkout::is_one(root));
        match roots.next() {
            Some(root) => Ok(Self::Path(root.to_owned())),
            None => bail!(
                "`{}` is not a checkout of Attaché: there is no `suite/Cargo.toml` of `attache-suite`",
                path.display()
            ),
        }
    }

    /// The line of a dependency on a package, in the manifest of the crate in `folder`.
    pub(super) fn line(&self, package: &str, folder: &Path, workspace: Option<&str>) -> String {
        match self {
            Self::Workspace(_)
                if workspace.is_some_and(|text| manifest::has_dependency(text, package)) =>
            {
                format!("{package}.workspace = true")
            }
            Self::Workspace(other) => other.line(package, folder, None),
            Self::Path(root) => {
                let found = FOLDERS.iter().find(|(name, _)| *name == package);
                let path = root.join(found.map_or("", |(_, folder)| folder));
                let path = relative(&path, folder);
                format!("{package} = {{ path = {:?} }}", path.to_string_lossy())
            }
            Self::Git { url, rev: None } => format!("{package} = {{ git = {url:?} }}"),
            Self::Git {
                url,
                rev: Some(rev),
            } => format!("{package} = {{ git = {url:?}, rev = {rev:?} }}"),
            Self::Version(version) => format!("{package} = {version:?}"),
        }
    }
}

/// The way from `folder` to `path`; the path itself where only the root is above both.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let common = path
        .components()
        .zip(folder.components())
        .take_while(|(one, other)| one == other)
        .count();
    if common < 2 {
        return path.to_owned();
    }
    let up = folder.components().skip(common).map(|_| "..");
    let down = path.components().skip(common);
    up.collect::<PathBuf>().join(down.collect::<PathBuf>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_relative_where_the_crate_and_the_checkout_move_together() {
        let relative = |path: &str, folder: &str| relative(Path::new(path), Path::new(folder));
        assert_eq!(relative("/w/a/sdk", "/w/b/c"), Path::new("../../a/sdk"));
        assert_eq!(relative("/w/a/sdk", "/w/a/c"), Path::new("../sdk"));
        assert_eq!(relative("/w/a/sdk", "/tmp/c"), Path::new("/w/a/sdk"));
    }

    #[test]
    fn a_workspace_that_names_a_package_is_asked() {
        let root = "[workspace]\n[workspace.dependencies]\nattache = \"0.1\"\n";
        let sdk = Sdk::Workspace(Box::new(Sdk::Version("0.1.0".to_owned())));
        let line = |package| sdk.line(package, Path::new("/w"), Some(root));
        assert_eq!(line("attache"), "attache.workspace = true");
        assert_eq!(line("attache-suite"), "attache-suite = \"0.1.0\"");
    }
}
