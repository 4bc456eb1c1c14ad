//! What filters a registry has, and in which of them words occur.

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::error::RegistryError;
use super::reference::Reference;
use crate::graph::Document;

/// A filter in a registry, as a list of them names it: what its newest image says of itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// The image, with tag and digest.
    pub reference: Reference,
    /// What it is called.
    #[serde(default)]
    pub title: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// A line for people.
    #[serde(default)]
    pub description: String,
    /// The licence.
    #[serde(default)]
    pub licenses: String,
    /// The host calls and callbacks that it links.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

impl Entry {
    /// Whether each of the words occurs in its name, its description or among its capabilities, whatever the case.
    #[must_use]
    pub fn has(&self, words: &[String]) -> bool {
        let name = self.reference.name();
        let texts = [&name, &self.title, &self.description];
        let texts: Vec<String> = texts
            .into_iter()
            .chain(&self.capabilities)
            .map(|text| text.to_lowercase())
            .collect();
        words.iter().all(|word| {
            let word = word.to_lowercase();
            texts.iter().any(|text| text.contains(&word))
        })
    }

    fn of(reference: Reference, root: &Document) -> Option<Self> {
        let notes = &root.manifest()?.annotations;
        let note = |name: &str| notes.get(name).cloned().unwrap_or_default();
        let oci = |name: &str| note(&format!("org.opencontainers.image.{name}"));
        // Other images than filters are in registries, too.
        let is_filter = notes.keys().any(|name| {
            name.starts_with("attache.image/") || name.starts_with("module.wasm.image/")
        });
        is_filter.then(|| Self {
            reference: reference.pinned(root.descriptor.digest),
            title: oci("title"),
            version: oci("version"),
            description: oci("description"),
            licenses: oci("licenses"),
            capabilities: note("attache.image/capabilities")
                .split(',')
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }
}

impl Client {
    /// The filters in the repositories of a registry, each by its newest tag. `at` is any reference in the registry.
    ///
    /// A repository that cannot be read, as others' may be, is told to `skipped` and left out.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], when the registry shows no list of its repositories.
    pub async fn catalogue(
        &self,
        at: &Reference,
        mut skipped: impl FnMut(&Reference, &RegistryError),
    ) -> Result<Vec<Entry>, RegistryError> {
        let mut entries = Vec::new();
        for repository in self.repositories(at).await? {
            let Ok(reference) = format!("{}/{repository}", at.registry()).parse::<Reference>()
            else {
                continue;
            };
            match self.entry(&reference).await {
                Ok(entry) => entries.extend(entry),
                Err(error) if error.is_not_found() => {}
                Err(error) => skipped(&reference, &error),
            }
        }
        Ok(entries)
    }

    /// The filter in one repository, by its newest tag; nothing where it holds no filter.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], when the repository cannot be read.
    pub async fn entry(&self, repository: &Reference) -> Result<Option<Entry>, RegistryError> {
        let tags = self.tags(repository).await?;
        let tagged = newest(&tags).and_then(|tag| repository.tagged(tag).ok());
        match tagged {
            Some(reference) => {
                let root = self.root(&reference).await?;
                Ok(Entry::of(reference, &root))
            }
            None => Ok(None),
        }
    }
}

/// The tag that is the highest version, or else the last of those that are names.
fn newest(tags: &[String]) -> Option<&str> {
    let names = tags
        .iter()
        .map(String::as_str)
        .filter(|tag| !tag.starts_with("sha256-"));
    names.max_by_key(|tag| (version(tag), *tag))
}

/// What a version is compared by; a preliminary one comes before the one that it prepares.
fn version(tag: &str) -> Option<(Vec<u64>, bool)> {
    let text = tag.strip_prefix('v').unwrap_or(tag);
    let text = text
        .split_once(['+', '_'])
        .map_or(text, |(version, _)| version);
    let (numbers, is_final) = match text.split_once('-') {
        Some((numbers, _)) => (numbers, false),
        None => (text, true),
    };
    let numbers = numbers
        .split('.')
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>();
    numbers.ok().map(|numbers| (numbers, is_final))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_tag_is_the_highest_version() {
        let newest = |tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            super::newest(&tags).map(str::to_owned)
        };
        let list = format!("sha256-{}", "a".repeat(64));
        for (tags, expected) in [
            (&["1.9.0", "1.10.0", "latest"][..], Some("1.10.0")),
            (&["1.0.0-rc.1", "1.0.0"], Some("1.0.0")),
            (&["v2.0.0", "1.0.0"], Some("v2.0.0")),
            (&["next", "latest"], Some("next")),
            (&[&list], None),
            (&[], None),
        ] {
            assert_eq!(newest(tags).as_deref(), expected, "{tags:?}");
        }
    }

    #[test]
    fn every_word_has_to_occur_somewhere() {
        let entry = Entry {
            reference: "r.io/filters/scrub:1".parse().unwrap(),
            title: "scrub".to_owned(),
            version: "1".to_owned(),
            description: "Hides credentials from upstreams".to_owned(),
            licenses: String::new(),
            capabilities: vec!["proxy_http_call".to_owned()],
        };
        let has =
            |words: &[&str]| entry.has(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        for words in [
            &[][..],
            &["Credentials"],
            &["filters/"],
            &["http_call", "scrub"],
        ] {
            assert!(has(words), "{words:?}");
        }
        assert!(!has(&["scrub", "grpc"]));
    }
}
