//! Whole images from a registry and to one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};

use super::client::{Client, fallback_tag};
use super::error::RegistryError;
use super::reference::Reference;
use crate::digest::Digest;
use crate::graph::{Attached, Content, Document, Graph, NoModule};
use crate::layer::MODULE_LIMIT;
use crate::layout::Published;
use crate::manifest::{Descriptor, media_type};
use crate::signing::Signer;

/// The most bytes that are fetched for an image with all that is attached to it.
const GRAPH_LIMIT: u64 = MODULE_LIMIT + 64 * 1024 * 1024;

/// The most manifests that an image may have around it.
const DOCUMENTS: usize = 300;

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
    /// Who has signed it, of those whom the client's policy trusts.
    pub signers: Vec<Signer>,
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
    /// Fetches an image and what is attached to it, into memory.
    ///
    /// Where the reference names a list of images, the one for linux/amd64 is taken, as Istio and Envoy Gateway do.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], which says what is missing, refused, or not what it is said to be.
    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, RegistryError> {
        let mut root = self.root(reference).await?;
        if let Content::Index(index) = &root.content {
            let child = index
                .manifests
                .iter()
                .find(|child| child.is_for("linux", "amd64"));
            let Some(child) = child else {
                let platforms = index
                    .manifests
                    .iter()
                    .filter_map(|child| child.platform.as_ref());
                let platforms = platforms.map(|it| format!("{}/{}", it.os, it.architecture));
                return Err(RegistryError::Platform {
                    what: format!("`{reference}`"),
                    platforms: platforms.collect::<Vec<_>>().join(", "),
                });
            };
            root = self.root(&reference.pinned(child.digest)).await?;
        }
        let graph = self.around(reference, root).await?;
        let signers = self.judge(reference, &graph)?;
        let image = graph.module().map_err(|error| match error {
            NoModule::Refused(error) => error.into(),
            NoModule::Layer(error) => error.into(),
            NoModule::Module(error) => error.into(),
            NoModule::List => RegistryError::Platform {
                what: format!("`{reference}`"),
                platforms: "lists in a list".to_owned(),
            },
        })?;
        Ok(Pulled {
            reference: reference.pinned(graph.root.digest),
            image,
            attached: graph.attached(),
            signers,
            graph,
        })
    }

    /// Fetches whatever a reference names, with all that it names and what is attached to it, into memory: lists of
    /// images whole, and images that hold no module.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], which says what is missing or not what it is said to be.
    pub async fn fetch(&self, reference: &Reference) -> Result<Graph, RegistryError> {
        let root = self.root(reference).await?;
        let graph = self.around(reference, root).await?;
        self.judge(reference, &graph)?;
        Ok(graph)
    }

    /// What names the manifest that a reference names now.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], when the registry has none or does not answer.
    pub async fn describe(&self, reference: &Reference) -> Result<Descriptor, RegistryError> {
        Ok(self.root(reference).await?.descriptor)
    }

    fn judge(&self, reference: &Reference, graph: &Graph) -> Result<Vec<Signer>, RegistryError> {
        match &self.connection.options.policy {
            Some(policy) => Ok(graph.judge(policy, &reference.name())?),
            None => Ok(Vec::new()),
        }
    }

    pub(super) async fn root(&self, reference: &Reference) -> Result<Document, RegistryError> {
        let (descriptor, bytes) = self.manifest(reference, &reference.wanted()).await?;
        read(&format!("`{reference}`"), &descriptor, bytes)
    }

    async fn around(&self, reference: &Reference, root: Document) -> Result<Graph, RegistryError> {
        let mut graph = Graph {
            root: root.descriptor.clone(),
            documents: BTreeMap::new(),
            blobs: BTreeMap::new(),
        };
        let mut room = GRAPH_LIMIT;
        let mut next = vec![root];
        while let Some(document) = next.pop() {
            let digest = document.descriptor.digest;
            if graph.documents.contains_key(&digest) {
                continue;
            }
            room = less(reference, room, document.bytes.len() as u64)?;
            let mut named = match &document.content {
                Content::Index(index) => index.manifests.clone(),
                Content::Manifest(manifest) => {
                    for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
                        if let Entry::Vacant(place) = graph.blobs.entry(blob.digest) {
                            room = less(reference, room, blob.size)?;
                            let bytes = self.blob(reference, blob).await?;
                            place.insert((blob.clone(), bytes.into()));
                        }
                    }
                    Vec::new()
                }
            };
            // What is attached to what is attached stays where it is, but for what is named by a list.
            if document.subject().is_none() {
                named.extend(self.referrers(reference, digest).await?);
            }
            graph.documents.insert(digest, document);
            for descriptor in named {
                if graph.documents.len() + next.len() >= DOCUMENTS {
                    return Err(RegistryError::TooLarge {
                        what: format!("what is around `{reference}`, in manifests,"),
                        size: DOCUMENTS as u64 + 1,
                        limit: DOCUMENTS as u64,
                    });
                }
                let wanted = descriptor.digest.to_string();
                let (found, bytes) = self.manifest(reference, &wanted).await?;
                next.push(read(&format!("the manifest `{wanted}`"), &found, bytes)?);
            }
        }
        Ok(graph)
    }

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
            return Err(RegistryError::Digest {
                registry: "this machine".to_owned(),
                what: format!("`{reference}`"),
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
            let before = match self.manifest(reference, &tag).await {
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
        Some(tag) => reference
            .tagged(tag)
            .map_err(|error| RegistryError::Broken {
                registry: reference.registry().to_owned(),
                what: "name the tag".to_owned(),
                why: error.to_string(),
            }),
        None => Ok(reference.clone()),
    }
}

fn less(reference: &Reference, room: u64, size: u64) -> Result<u64, RegistryError> {
    room.checked_sub(size)
        .ok_or_else(|| RegistryError::TooLarge {
            what: format!("`{reference}` with all that is attached to it"),
            size: GRAPH_LIMIT - room + size.min(GRAPH_LIMIT),
            limit: GRAPH_LIMIT,
        })
}

fn read(what: &str, descriptor: &Descriptor, bytes: Vec<u8>) -> Result<Document, RegistryError> {
    match Document::read(descriptor, bytes.into()) {
        Ok(Some(document)) => Ok(document),
        Ok(None) => Err(RegistryError::Kind {
            what: what.to_owned(),
            media_type: descriptor
                .media_type
                .chars()
                .take(100)
                .flat_map(char::escape_debug)
                .collect(),
        }),
        Err(source) => Err(RegistryError::Document {
            what: what.to_owned(),
            source,
        }),
    }
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
