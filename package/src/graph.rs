mod document;
mod judge;
mod simple;
mod walk;

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use bytes::Bytes;

use crate::consumer::{Consumer, Found, Refusal};
use crate::digest::Digest;
use crate::image::Image;
use crate::layer::{LayerError, MODULE_LIMIT, module};
use crate::layout::Published;
use crate::manifest::{Descriptor, Manifest, media_type};
use attache_module::{Facts, ReadError};

pub(crate) use self::document::{Content, Document, Unread};
pub(crate) use self::simple::{Simple, pieces, signature_tag};
pub(crate) use self::walk::{Need, Part, Refused, Walk};

/// An image, or a list of images, with everything that it names and what is attached to it: what goes from one
/// place to another.
///
/// Every byte of it was held against the digest that names it.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) root: Descriptor,
    /// Manifests and lists of them, the root first.
    pub(crate) documents: BTreeMap<Digest, Document>,
    /// Configurations and layers.
    pub(crate) blobs: BTreeMap<Digest, (Descriptor, Bytes)>,
    /// Lists of images that name it, without their other images and with their signatures.
    pub(crate) lists: Vec<Self>,
    /// Signatures under a tag of their own, by the document that they are about.
    pub(crate) simple: BTreeMap<Digest, Document>,
    /// What was left out.
    pub(crate) left_out: Vec<LeftOut>,
}

/// Something that was left out of what goes with an image, because it is of a foreign kind, broken, missing or too
/// large. The image itself is whole.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// What it is.
    pub what: String,
    /// Why it was left out.
    pub why: String,
}

/// Something that is attached to an image: its README, a schema, a suite, a bill of materials.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attached {
    /// What names its manifest.
    pub descriptor: Descriptor,
    /// Of what kind it is, such as `text/markdown`.
    pub artifact_type: String,
    /// What to call it: its file's name where it was one.
    pub title: String,
    /// The content.
    pub content: Bytes,
}

/// Why a graph has no module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoModule {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Module(#[from] ReadError),
    #[error("it is a list of images")]
    List,
}

impl Graph {
    /// An image of which no more than the name is known. What is attached to it can be published after it.
    #[must_use]
    pub fn about(root: Descriptor) -> Self {
        Self {
            root,
            documents: BTreeMap::new(),
            blobs: BTreeMap::new(),
            lists: Vec::new(),
            simple: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    /// What was left out of what is attached to it.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Attaches a content to the image.
    pub(crate) fn attach<const N: usize>(
        &mut self,
        artifact_type: &str,
        annotations: [(&str, &str); N],
        content: Vec<u8>,
    ) -> serde_json::Result<()> {
        let mut add = |kind: &str, content: Vec<u8>| {
            let descriptor = Descriptor::of(kind, &content);
            let entry = (descriptor.clone(), content.into());
            self.blobs.insert(descriptor.digest, entry);
            descriptor
        };
        let config = add(media_type::EMPTY, crate::image::EMPTY.to_vec());
        let mut manifest = Manifest::new(config, vec![add(artifact_type, content)]);
        manifest.artifact_type = Some(artifact_type.to_owned());
        let mut subject = self.root.clone();
        subject.annotations.clear();
        manifest.subject = Some(subject);
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value.to_owned()));
        manifest.annotations.extend(annotations);
        let bytes = serde_json::to_vec(&manifest)?;
        let descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
        let document = Document {
            bytes: bytes.into(),
            content: Content::Manifest(Box::new(manifest)),
            descriptor,
        };
        self.documents.insert(document.descriptor.digest, document);
        Ok(())
    }

    /// The digests of the lists of images that it came by, whose signatures count for it.
    #[must_use]
    pub fn lists(&self) -> Vec<Digest> {
        self.lists.iter().map(|list| list.root.digest).collect()
    }

    /// The document that all is about.
    pub(crate) fn root(&self) -> Option<&Document> {
        self.documents.get(&self.root.digest)
    }

    /// What names the image: Istio's and Envoy Gateway's `sha256` is this one's digest.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.root
    }

    /// The version that the image says it has.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let manifest = self.root()?.manifest()?;
        let version = manifest.annotations.get("org.opencontainers.image.version");
        version.map(String::as_str)
    }

    /// The documents of the image itself: the root, and of a list those that it names.
    pub(crate) fn images(&self) -> Vec<Digest> {
        let images = self.documents.values().filter(|document| {
            let is_root = document.descriptor.digest == self.root.digest;
            is_root || document.subject().is_none()
        });
        images.map(|document| document.descriptor.digest).collect()
    }

    /// The documents that are about another one.
    pub(crate) fn referrers(&self) -> impl Iterator<Item = &Document> {
        self.documents
            .values()
            .filter(|document| document.subject().is_some())
    }

    /// What is attached to the image, by title.
    #[must_use]
    pub fn attached(&self) -> Vec<Attached> {
        let about = self.referrers().filter(|document| {
            document
                .subject()
                .is_some_and(|it| it.digest == self.root.digest)
        });
        let mut attached: Vec<Attached> = about
            .filter_map(|document| {
                let layer = document.manifest()?.layers.first()?;
                let (_, content) = self.blobs.get(&layer.digest)?;
                let descriptor = document.as_referrer();
                let title = "org.opencontainers.image.title";
                let title = descriptor
                    .annotations
                    .get(title)
                    .or_else(|| layer.annotations.get(title));
                Some(Attached {
                    title: title.cloned().unwrap_or_default(),
                    artifact_type: descriptor.artifact_type.clone().unwrap_or_default(),
                    content: content.clone(),
                    descriptor,
                })
            })
            .collect();
        attached.sort_by(|one, other| one.title.cmp(&other.title));
        attached
    }

    /// The module, by the rules of Istio.
    pub(crate) fn module(&self) -> Result<Published, NoModule> {
        let manifest = self
            .root()
            .and_then(Document::manifest)
            .ok_or(NoModule::List)?;
        let layer = |layer: &Descriptor| match self.blobs.get(&layer.digest) {
            Some((_, bytes)) => Ok(bytes),
            None => Err(Refusal::NoLayers),
        };
        let bytes = match Consumer::Istio.find(manifest)? {
            Found::Archive(archive) => module(layer(archive)?, MODULE_LIMIT)?,
            Found::Raw(raw) => layer(raw)?.to_vec(),
        };
        Ok(Published {
            facts: Facts::read(&bytes)?,
            descriptor: self.root.clone(),
            manifest: manifest.clone(),
            bytes,
        })
    }
}

impl From<&Image> for Graph {
    fn from(image: &Image) -> Self {
        let mut blobs = BTreeMap::new();
        let mut add = |descriptor: &Descriptor, bytes: &[u8]| {
            let bytes = Bytes::copy_from_slice(bytes);
            blobs.insert(descriptor.digest, (descriptor.clone(), bytes));
        };
        let manifest = image.manifest();
        add(&manifest.config, image.config());
        for layer in &manifest.layers {
            add(layer, image.layer());
        }
        let mut documents = vec![(manifest.clone(), image.manifest_bytes().to_vec())];
        for referrer in image.referrers() {
            add(&referrer.manifest.config, crate::image::EMPTY);
            for layer in &referrer.manifest.layers {
                add(layer, &referrer.content);
            }
            documents.push((referrer.manifest.clone(), referrer.bytes.clone()));
        }
        let documents = documents.into_iter().map(|(manifest, bytes)| Document {
            descriptor: Descriptor::of(media_type::MANIFEST, &bytes),
            bytes: bytes.into(),
            content: Content::Manifest(Box::new(manifest)),
        });
        Self {
            root: image.descriptor(),
            documents: documents
                .map(|document| (document.descriptor.digest, document))
                .collect(),
            blobs,
            lists: Vec::new(),
            simple: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }
}

impl Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.what, self.why)
    }
}

/// Whether a descriptor names a bundle of Sigstore.
fn is_signature(descriptor: &Descriptor) -> bool {
    descriptor
        .artifact_type
        .as_ref()
        .is_some_and(|kind| kind.starts_with("application/vnd.dev.sigstore.bundle"))
}
