//! Where an image is, or goes: a folder or a registry.

use std::path::{Path, PathBuf};

use anyhow::bail;
use attache_package::registry::Reference;

/// What a word on the command line names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// `oci:FOLDER:TAG`, as skopeo has it, or `oci:FOLDER:sha256:…`; without a tag the folder's only one is meant.
    Folder(PathBuf, Option<String>),
    Registry(Reference),
}

impl Place {
    /// A place of images, where the word says so by `oci:`; a reference otherwise.
    pub(super) fn find(word: &str) -> anyhow::Result<Self> {
        match Self::folder(word) {
            Some(folder) => Ok(folder),
            None => Ok(Self::Registry(word.parse()?)),
        }
    }

    /// Whether the word is `oci:FOLDER:TAG`. `oci://` is the scheme of references.
    pub(super) fn folder(word: &str) -> Option<Self> {
        let rest = word.strip_prefix("oci:")?;
        if rest.starts_with("//") {
            return None;
        }
        // An image by its digest, as those are that a tag named before.
        if let Some((folder, digest)) = rest.rsplit_once(":sha256:") {
            let digest = format!("sha256:{digest}");
            return Some(Self::Folder(Path::new(folder).to_owned(), Some(digest)));
        }
        Some(match rest.rsplit_once(':') {
            Some((folder, tag)) if !tag.contains('/') => {
                Self::Folder(Path::new(folder).to_owned(), Some(tag.to_owned()))
            }
            _ => Self::Folder(Path::new(rest).to_owned(), None),
        })
    }
}

/// The tag that is meant in a folder where none is named.
pub(super) fn only(tags: &[String], folder: &Path) -> anyhow::Result<String> {
    match tags {
        [tag] => Ok(tag.clone()),
        [] => bail!("`{}` has no images", folder.display()),
        tags => bail!(
            "which image of `{}` is meant? Name one: oci:{}:TAG, of {}",
            folder.display(),
            folder.display(),
            tags.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_told_from_references() {
        let folder =
            |path: &str, tag: Option<&str>| Place::Folder(path.into(), tag.map(str::to_owned));
        for (word, expected) in [
            ("oci:images:a-1", folder("images", Some("a-1"))),
            ("oci:/x/y", folder("/x/y", None)),
            ("oci:c:/x/y", folder("c:/x/y", None)),
            ("oci:c:/x/y:sha256:0f", folder("c:/x/y", Some("sha256:0f"))),
        ] {
            assert_eq!(Place::find(word).unwrap(), expected, "{word}");
        }
        for word in ["oci://ghcr.io/a/b:1", "ghcr.io/a/b:1"] {
            assert!(
                matches!(Place::find(word), Ok(Place::Registry(_))),
                "{word}"
            );
        }
        assert!(Place::find("oci://").is_err());
    }
}
