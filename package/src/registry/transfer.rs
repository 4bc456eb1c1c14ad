//! What came from a registry, and whole images to one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};

use super::client::{Client, fallback_tag};
use super::error::RegistryError;
use super::reference::Reference;
use crate::digest::Digest;
use crate::graph::{Attached, Document, Graph, signature_tag};
use crate::layout::{DOCUMENT_LIMIT, Published};
use crate::manifest::{Descriptor, media_type};
use crate::signing::Verdict;

/// An image that came from a registry, every byte held against its digest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// The image as it was asked for, with the digest of what came.
    pub reference: Reference,
    /// The module, and the manifest that it came by.
    pub image: Published,
    /// What is attached to it.
    pub attached: Vec<Attached>,
    /// Why the client's policy lets it in, where it has one.
    pub verdict: Option<Verdict>,
    /// All of it, to be put into a folder or another registry.
    pub graph: Graph,
}

impl Pulled {
    /// The suites that the image brings along: a title and a text in YAML each.
    pub fn suites(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let suites = self
            .attached
            .iter()
            .filter(|attached| attached.artifact_type == media_type::SUITE);
        suites.map(|suite| (suite.title.as_str(), suite.content.as_ref()))
    }
}

/// An image that a registry has taken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pushed {
    /// The image with its digest.
    pub reference: Reference,
    /// How many bytes went; those that the registry had are not among them.
    pub sent: u64,
    /// What the tag named before, where that was something else.
    pub replaced: Option<Digest>,
    /// Whether the list of what is attached was written under the tag `sha256-…`, because the registry keeps none.
    pub fallback: bool,
}

impl Client {
    /// Publishes an image and what is attached to it under the reference's tag, or by its digest alone where the
    /// reference has no tag but the digest.
    ///
    /// The tag is written last: whoever finds the image finds all of it.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], when the registry does not take it. Without the tag nobody sees what went before.
    pub async fn push(
        &self,
        graph: &Graph,
        reference: &Reference,
    ) -> Result<Pushed, RegistryError> {
        let digest = graph.root.digest;
        if let Some(expected) = reference.digest().filter(|expected| *expected != digest) {
            return Err(RegistryError::OtherName {
                name: reference.to_string(),
                found: digest,
                expected,
            });
        }
        let mut sent = 0;
        for (descriptor, bytes) in graph.blobs.values() {
            if self.send_blob(reference, descriptor, bytes).await? {
                sent += descriptor.size;
            }
        }
        // Manifests before the lists that name them.
        let (mut parts, lists): (Vec<&Document>, Vec<&Document>) = graph
            .documents
            .values()
            .filter(|document| document.descriptor.digest != digest)
            .partition(|document| document.manifest().is_some());
        parts.extend(lists);
        let mut unlisted: BTreeMap<Digest, Vec<Descriptor>> = BTreeMap::new();
        for document in parts {
            let noted = self.send_document(reference, document, None).await?;
            if let (false, Some(subject)) = (noted, document.subject()) {
                unlisted
                    .entry(subject.digest)
                    .or_default()
                    .push(document.as_referrer());
            }
        }
        for (subject, referrers) in &unlisted {
            self.list(reference, *subject, referrers).await?;
        }
        for (subject, document) in &graph.simple {
            let tag = signature_tag(*subject);
            // What others have put there since stays.
            match self.resolve(&tagged(reference, &tag)?).await {
                Ok(_) => {}
                Err(error) if error.is_not_found() => {
                    self.send_document(reference, document, Some(&tag)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        let replaced = match self.resolve(&unpinned(reference)?).await {
            Ok(before) => Some(before).filter(|before| *before != digest),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        if let Some(root) = graph.root() {
            let tag = match (reference.tag(), reference.digest()) {
                (None, Some(_)) => None,
                (tag, _) => Some(tag.unwrap_or("latest")),
            };
            self.send_document(reference, root, tag).await?;
        }
        Ok(Pushed {
            reference: reference.pinned(digest),
            sent,
            replaced,
            fallback: !unlisted.is_empty(),
        })
    }

    async fn send_document(
        &self,
        reference: &Reference,
        document: &Document,
        tag: Option<&str>,
    ) -> Result<bool, RegistryError> {
        let digest = document.descriptor.digest.to_string();
        let wanted = tag.unwrap_or(&digest);
        self.send_manifest(reference, wanted, &document.descriptor, &document.bytes)
            .await
    }

    /// Enters referrers into the list under the tag `sha256-…`, which publishers keep where a registry has none
    /// ("Pushing Manifests with Subject").
    ///
    /// Another publisher may write the list at the same time, and nothing tells who was last; so it is read again.
    async fn list(
        &self,
        reference: &Reference,
        subject: Digest,
        referrers: &[Descriptor],
    ) -> Result<(), RegistryError> {
        let tag = fallback_tag(subject);
        let what = format!("the list `{tag}`");
        for _ in 0..5 {
            let before = match self.manifest(reference, &tag, DOCUMENT_LIMIT).await {
                Ok((_, bytes)) => bytes,
                Err(error) if error.is_not_found() => Vec::new(),
                Err(error) => return Err(error),
            };
            let Some(list) =
                entered(&before, referrers).map_err(|source| RegistryError::Document {
                    what: what.clone(),
                    source,
                })?
            else {
                return Ok(());
            };
            let bytes = Bytes::from(list);
            let descriptor = Descriptor::of(media_type::INDEX, &bytes);
            self.send_manifest(reference, &tag, &descriptor, &bytes)
                .await?;
        }
        Err(RegistryError::Broken {
            registry: reference.registry().to_owned(),
            what: format!("take {what}"),
            why: "what was entered is not there afterwards".to_owned(),
        })
    }
}

/// The list with what is missing in it; nothing where nothing is. What others wrote stays as it is.
fn entered(before: &[u8], referrers: &[Descriptor]) -> serde_json::Result<Option<Vec<u8>>> {
    let mut list = match before {
        [] => json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [] }),
        text => serde_json::from_slice(text)?,
    };
    let entries = list.get_mut("manifests").and_then(Value::as_array_mut);
    let Some(entries) = entries else {
        return Err(serde::de::Error::custom("there is no list `manifests`"));
    };
    let known: BTreeSet<String> = entries
        .iter()
        .filter_map(|entry| Some(entry.get("digest")?.as_str()?.to_owned()))
        .collect();
    let mut missing = false;
    for referrer in referrers {
        if !known.contains(&referrer.digest.to_string()) {
            entries.push(serde_json::to_value(referrer)?);
            missing = true;
        }
    }
    match missing {
        true => serde_json::to_vec(&list).map(Some),
        false => Ok(None),
    }
}

fn unpinned(reference: &Reference) -> Result<Reference, RegistryError> {
    match reference.tag() {
        Some(tag) => tagged(reference, tag),
        None => Ok(reference.clone()),
    }
}

fn tagged(reference: &Reference, tag: &str) -> Result<Reference, RegistryError> {
    let tagged = reference.tagged(tag);
    tagged.map_err(|error| RegistryError::Broken {
        registry: reference.registry().to_owned(),
        what: "name the tag".to_owned(),
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_what_others_wrote() {
        let mine = Descriptor::of(media_type::MANIFEST, b"mine");
        let first = entered(b"", std::slice::from_ref(&mine)).unwrap().unwrap();
        assert_eq!(entered(&first, std::slice::from_ref(&mine)).unwrap(), None);

        let others = json!({
            "schemaVersion": 2,
            "annotations": { "kept": "yes" },
            "manifests": [{ "digest": "sha512:00", "mediaType": "x", "size": 1, "data": "eA==" }],
        });
        let both = entered(others.to_string().as_bytes(), std::slice::from_ref(&mine));
        let both: Value = serde_json::from_slice(&both.unwrap().unwrap()).unwrap();
        assert_eq!(both["annotations"], others["annotations"]);
        assert_eq!(both["manifests"][0], others["manifests"][0]);
        assert_eq!(both["manifests"][1]["digest"], mine.digest.to_string());
        assert!(entered(b"{}", &[]).is_err());
        assert!(entered(b"[", &[]).is_err());
    }
}
